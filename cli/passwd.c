/*
 * cli/passwd.c — `smq passwd FILE USER`: a user's line in a password file.
 *
 * Thread: main. The password is asked for on the terminal, never taken from the command line,
 * which everybody on the machine can read.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/mem.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "auth/passwd.h"
#include "cli/command.h"

/* A password as it is typed, its newline, and one byte more: then it is too long. */
#define TYPED_BYTES (PASSWD_PASSWORD_BYTES_MAX + 3u)

/* Ctrl-C while nothing is shown: the terminal must be put right before we end. */
static volatile sig_atomic_t was_interrupted;

static void on_interrupt(int number)
{
    (void)number;
    was_interrupted = 1;
}

/* A line from @fd without its newline, byte by byte: what follows is somebody else's. While it
 * waits, the signals of @mask are blocked (NULL: those that are so anyway). */
static bool read_line(int fd, char line[TYPED_BYTES], const sigset_t *mask)
{
    struct pollfd input = {.fd = fd, .events = POLLIN};
    size_t at = 0;
    ssize_t got = 0;

    while (at + 1 < TYPED_BYTES && !was_interrupted) {
        if (ppoll(&input, 1, NULL, mask) < 0 && errno == EINTR)
            continue;
        got = read(fd, line + at, 1);
        if (got <= 0 || line[at] == '\n')
            break;
        at++;
    }
    if (was_interrupted)
        return false;
    if (at > 0 && line[at - 1] == '\r')
        at--;
    line[at] = '\0';
    return got > 0 || (got == 0 && at > 0);
}

static bool ask(int terminal, const char *question, char line[TYPED_BYTES], const sigset_t *mask)
{
    dprintf(terminal, "%s: ", question);
    bool good = read_line(terminal, line, mask);
    dprintf(terminal, "\n");
    return good;
}

/* Twice, with the terminal's echo off. What is typed ahead is thrown away with TCSAFLUSH. An
 * interrupt is let in only while we wait: between a look at was_interrupted and a read it would be
 * missed. */
static enum exit_code ask_twice(const char *user, char password[TYPED_BYTES])
{
    char again[TYPED_BYTES];
    char question[PASSWD_USER_BYTES_MAX + 32];
    struct termios shown, hidden;
    sigset_t interrupt, before;
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);

    if (terminal < 0 || tcgetattr(terminal, &shown) != 0) {
        if (terminal >= 0)
            close(terminal);
        return complain(EXIT_NO_INPUT, "there is no terminal to ask on; --stdin reads a pipe");
    }
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    hidden.c_lflag |= ICANON | ISIG;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
    tcsetattr(terminal, TCSAFLUSH, &hidden);
    snprintf(question, sizeof(question), "New password of %.*s", (int)PASSWD_USER_BYTES_MAX, user);
    bool good = ask(terminal, question, password, &before) &&
                ask(terminal, "The same again", again, &before);
    tcsetattr(terminal, TCSAFLUSH, &shown);
    close(terminal);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);

    bool is_same = good && strcmp(password, again) == 0;
    OPENSSL_cleanse(again, sizeof(again));
    if (!good)
        return complain(EXIT_NO_INPUT, "no password was given");
    if (!is_same)
        return complain(EXIT_NO_INPUT, "the two are not the same; nothing was changed");
    return EXIT_OK;
}

static enum exit_code set_password(const char *path, const char *user, const char *password)
{
    char error[AUTH_ERROR_BYTES];
    bool is_new;

    if (!passwd_file_set(path, span_of(user, strlen(user)), span_of(password, strlen(password)),
                         &is_new, error))
        return complain(EXIT_NO_INPUT, "%s", error);
    printf("%s the password of %s in %s\n", is_new ? "Set" : "Changed", user, path);
    return EXIT_OK;
}

enum exit_code command_passwd(const struct options *options)
{
    const char *path = options->arguments[0];
    const char *user = options->arguments[1];
    char error[AUTH_ERROR_BYTES];
    char password[TYPED_BYTES];
    enum exit_code code = EXIT_OK;

    if (!passwd_user_is_good(span_of(user, strlen(user)), error))
        return complain(EXIT_USAGE, "%s", error);
    if (options->is_delete) {
        if (!passwd_file_delete(path, span_of(user, strlen(user)), error))
            return complain(EXIT_NO_INPUT, "%s", error);
        printf("Deleted %s from %s\n", user, path);
        return EXIT_OK;
    }
    if (!options->from_stdin)
        code = ask_twice(user, password);
    else if (!read_line(STDIN_FILENO, password, NULL))
        code = complain(EXIT_NO_INPUT, "no password was given");
    if (code == EXIT_OK)
        code = set_password(path, user, password);
    OPENSSL_cleanse(password, sizeof(password));
    return code;
}
