/* tests/unit/server/test_activation.c — mirrors server/activation.c.
 * Goal: each socket goes to the address it is bound to, and nothing strange goes anywhere.
 * Method: real sockets of the loopback, passed from the number they happen to have. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/activation.h"

static char error[ACTIVATION_ERROR_BYTES];

static int open_at(const char *host, uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    cr_assert(fd >= 0);
    cr_assert_eq(inet_pton(AF_INET, host, &address.sin_addr), 1);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static enum status read_words(struct activation *activation, const char *pid, const char *count,
                              int first_fd)
{
    return activation_read(
        activation, &(struct activation_words){.pid = pid, .count = count, .first_fd = first_fd},
        error);
}

static const char *own_pid(void)
{
    static char text[24];

    snprintf(text, sizeof(text), "%d", (int)getpid());
    return text;
}

static struct config_listener at(char *host, uint16_t port)
{
    return (struct config_listener){.host = host, .port = port};
}

Test(activation, takes_nothing_that_is_not_for_this_process)
{
    struct activation activation;

    cr_assert_eq(read_words(&activation, NULL, NULL, 3), STATUS_OK);
    cr_assert_eq(activation.fd_count, 0);
    cr_assert_eq(read_words(&activation, "1", "1", 3), STATUS_OK);
    cr_assert_eq(activation.fd_count, 0);
    cr_assert_eq(read_words(&activation, "-1", "1", 3), STATUS_OK);
    cr_assert_eq(activation.fd_count, 0);
}

Test(activation, refuses_a_count_that_is_none)
{
    static const char *const wrong[] = {"-1", "", "1x", "33", "99999999999999999999999"};
    struct activation activation;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        error[0] = '\0';
        cr_assert_eq(read_words(&activation, own_pid(), wrong[i], 3), STATUS_SYSTEM, "%s",
                     wrong[i]);
        cr_assert(strstr(error, "LISTEN_FDS"));
    }
}

Test(activation, refuses_what_is_no_listening_tcp_socket)
{
    struct activation activation;
    int fds[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cr_assert_eq(read_words(&activation, own_pid(), "1", fds[0]), STATUS_SYSTEM);
    close(fds[0]);
    close(fds[1]);

    int unbound = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(read_words(&activation, own_pid(), "1", unbound), STATUS_SYSTEM);
    cr_assert(strstr(error, "no listening TCP socket"));
    close(unbound);
    cr_assert_eq(read_words(&activation, own_pid(), "1", unbound), STATUS_SYSTEM); /* closed */
}

Test(activation, prepares_a_socket_for_io_uring)
{
    struct activation activation;
    uint16_t port;
    int fd = open_at("127.0.0.1", &port);

    cr_assert_eq(read_words(&activation, own_pid(), "1", fd), STATUS_OK);
    cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    close(fd);
}

Test(activation, gives_a_socket_to_its_address_once)
{
    struct activation activation;
    uint16_t port;
    int fd = open_at("127.0.0.1", &port);
    struct config_listener other_port = at("127.0.0.1", (uint16_t)(port ^ 1u));
    struct config_listener other_host = at("127.0.0.2", port);
    struct config_listener any = at("*", port);
    struct config_listener chosen = at("127.0.0.1", 0);
    struct config_listener right = at("127.0.0.1", port);

    cr_assert_eq(read_words(&activation, own_pid(), "1", fd), STATUS_OK);
    cr_assert_eq(activation_find(&activation, &other_port), ACTIVATION_NONE);
    cr_assert_eq(activation_find(&activation, &other_host), ACTIVATION_NONE);
    cr_assert_eq(activation_find(&activation, &any), ACTIVATION_NONE);
    cr_assert_eq(activation_find(&activation, &chosen), ACTIVATION_NONE);
    cr_assert_eq(activation_finish(&activation, error), STATUS_SYSTEM);
    cr_assert(strstr(error, "127.0.0.1:"), "%s", error);
    cr_assert_eq(activation_find(&activation, &right), fd);
    cr_assert_eq(activation_find(&activation, &right), ACTIVATION_NONE);
    cr_assert_eq(activation_finish(&activation, error), STATUS_OK);
    close(fd);
}

Test(activation, knows_any_address_in_both_families)
{
    struct activation activation;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    socklen_t bytes = sizeof(address);
    uint16_t port;
    int ipv4 = open_at("0.0.0.0", &port);
    struct config_listener any = at("*", port);

    cr_assert_eq(read_words(&activation, own_pid(), "1", ipv4), STATUS_OK);
    cr_assert_eq(activation_find(&activation, &any), ipv4);
    close(ipv4);

    int ipv6 = socket(AF_INET6, SOCK_STREAM, 0);

    if (ipv6 < 0 || bind(ipv6, (struct sockaddr *)&address, bytes) != 0)
        cr_skip_test("no IPv6 here");
    cr_assert_eq(listen(ipv6, 1), 0);
    cr_assert_eq(getsockname(ipv6, (struct sockaddr *)&address, &bytes), 0);
    any.port = ntohs(address.sin6_port);
    cr_assert_eq(read_words(&activation, own_pid(), "1", ipv6), STATUS_OK);
    cr_assert_eq(activation_find(&activation, &any), ipv6);
    close(ipv6);
}
