/*
 * cli/admin.c — ask a broker on this machine; see cli/admin.h.
 *
 * Thread: main. Owns the socket for the length of one question.
 */
#include "cli/admin.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/table.h"

/* A broker with 100,000 clients says about 30 MB on `peers`; more than this is not sane. */
#define ANSWER_BYTES_MAX   (256u << 20)
#define ANSWER_BYTES_FIRST 65536u

struct answer {
    char *text;
    size_t bytes_count;
    size_t room_bytes;
};

static enum exit_code connect_to(const struct options *options, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/" ADMIN_SOCKET_NAME,
                          options->data_dir);

    if (length < 0 || (size_t)length >= sizeof address.sun_path)
        return complain(EXIT_USAGE, "the path %s/" ADMIN_SOCKET_NAME " is too long for a socket",
                        options->data_dir);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return complain(EXIT_SOFTWARE, "cannot make a socket: %s", strerror(errno));
    if (connect(*fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return EXIT_OK;

    int error = errno;
    close(*fd);
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return complain(EXIT_UNAVAILABLE,
                        "there is no %s\n     is smqd running, and is that its data directory? "
                        "give it with --data-dir",
                        address.sun_path);
    case ECONNREFUSED:
        return complain(EXIT_UNAVAILABLE, "nobody listens on %s: smqd has stopped, start it again",
                        address.sun_path);
    case EACCES:
    case EPERM:
        return complain(EXIT_DENIED, "no right to open %s: run this as smqd's user, or with sudo",
                        address.sun_path);
    default:
        return complain(EXIT_UNAVAILABLE, "cannot connect to %s: %s", address.sun_path,
                        strerror(error));
    }
}

static enum exit_code send_question(int fd, const char *question)
{
    char line[64];
    int length = snprintf(line, sizeof line, "%s\n", question);

    if (send(fd, line, (size_t)length, MSG_NOSIGNAL) != length)
        return complain(EXIT_UNAVAILABLE, "cannot ask the broker: %s", strerror(errno));
    return EXIT_OK;
}

/* Make room for more. */
static enum exit_code grow(struct answer *answer)
{
    size_t room_bytes = answer->room_bytes == 0 ? ANSWER_BYTES_FIRST : answer->room_bytes * 2;
    char *text;

    if (room_bytes > ANSWER_BYTES_MAX)
        return complain(EXIT_PROTOCOL, "the broker's answer does not end");
    text = realloc(answer->text, room_bytes);
    if (text == NULL)
        return complain(EXIT_SOFTWARE, "out of memory");
    answer->text = text;
    answer->room_bytes = room_bytes;
    return EXIT_OK;
}

static enum exit_code read_to_end(int fd, uint64_t timeout_ms, struct answer *answer)
{
    for (;;) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};

        if (answer->bytes_count == answer->room_bytes) {
            enum exit_code code = grow(answer);
            if (code != EXIT_OK)
                return code;
        }
        if (poll(&pollfd, 1, (int)timeout_ms) == 0)
            return complain(EXIT_TIMEOUT, "the broker did not answer within %g s",
                            (double)timeout_ms / 1000.0);
        ssize_t got_bytes =
            read(fd, answer->text + answer->bytes_count, answer->room_bytes - answer->bytes_count);
        if (got_bytes == 0)
            return EXIT_OK;
        if (got_bytes < 0 && errno != EINTR)
            return complain(EXIT_UNAVAILABLE, "the broker broke off: %s", strerror(errno));
        if (got_bytes > 0)
            answer->bytes_count += (size_t)got_bytes;
    }
}

static enum exit_code parse(const struct answer *answer, json_t **root)
{
    json_error_t error;

    *root = json_loadb(answer->text, answer->bytes_count, JSON_ALLOW_NUL, &error); /* in UIDs */
    if (*root == NULL)
        return complain(EXIT_PROTOCOL, "the broker's answer is not JSON: %s", error.text);
    const char *refusal = json_string_value(json_object_get(*root, "error"));
    if (refusal == NULL)
        return EXIT_OK;
    enum exit_code code = complain(EXIT_UNAVAILABLE, "the broker says: %s", refusal);
    json_decref(*root);
    *root = NULL;
    return code;
}

enum exit_code admin_ask(const struct options *options, const char *question, json_t **root)
{
    struct answer answer = {0};
    int fd = -1;
    enum exit_code code = connect_to(options, &fd);

    if (code != EXIT_OK)
        return code;
    code = send_question(fd, question);
    if (code == EXIT_OK)
        code = read_to_end(fd, options->timeout_ms, &answer);
    if (code == EXIT_OK)
        code = parse(&answer, root);
    free(answer.text);
    close(fd);
    return code;
}

enum exit_code admin_show(const struct options *options, const char *question, const char *only,
                          bool shows_zeros)
{
    json_t *root;
    enum exit_code code = admin_ask(options, question, &root);

    if (code != EXIT_OK)
        return code;
    const json_t *shown = only == NULL ? root : json_object_get(root, only);
    if (shown == NULL) {
        code = complain(EXIT_PROTOCOL, "the broker's answer has no part '%s'", only);
    } else if (options->json) {
        json_dumpf(shown, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
        putchar('\n');
    } else {
        table_print(stdout, shown, shows_zeros);
    }
    json_decref(root);
    if (code == EXIT_OK && fflush(stdout) != 0)
        code = complain(EXIT_IO, "cannot write the output: %s", strerror(errno));
    return code;
}
