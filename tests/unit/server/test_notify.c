/*
 * tests/unit/server/test_notify.c — mirrors server/notify.c.
 * Goal: the service manager gets exactly what was said; its absence is no error.
 * Method: be the service manager.
 */
#include "server/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <criterion/criterion.h>

static int listen_at(const char *address)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(at.sun_path, address, strlen(address));
    if (address[0] == '@')
        at.sun_path[0] = '\0';
    cr_assert_eq(bind(fd, (struct sockaddr *)&at,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address))),
                 0, "%s: %s", address, strerror(errno));
    return fd;
}

static void assert_heard(int fd, const char *expected)
{
    char heard[256];
    ssize_t bytes = recv(fd, heard, sizeof(heard) - 1, 0);

    cr_assert_geq(bytes, 0, "nothing was heard");
    heard[bytes] = '\0';
    cr_assert_str_eq(heard, expected);
}

Test(notify, does_nothing_when_nobody_asked)
{
    unsetenv("NOTIFY_SOCKET");
    cr_assert(notify_send(NOTIFY_READY));
    cr_assert(notify_send_to(NULL, NOTIFY_READY));
    cr_assert(notify_send_to("", NOTIFY_READY));
}

Test(notify, says_when_the_socket_is_not_there)
{
    cr_assert_not(notify_send_to("/nonexistent/notify", NOTIFY_READY));
    cr_assert_eq(errno, ENOENT);
}

Test(notify, says_when_it_does_not_know_the_kind_of_address)
{
    char too_long[200] = "/";

    memset(too_long + 1, 'x', sizeof(too_long) - 2);
    cr_assert_not(notify_send_to("vsock:2:1234", NOTIFY_READY));
    cr_assert_eq(errno, EAFNOSUPPORT);
    cr_assert_not(notify_send_to(too_long, NOTIFY_READY));
    cr_assert_eq(errno, EAFNOSUPPORT);
}

Test(notify, speaks_to_a_socket_in_the_file_system)
{
    char directory[] = "/tmp/smqd-notify-XXXXXX";
    char path[64];

    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/socket", directory);
    int fd = listen_at(path);

    setenv("NOTIFY_SOCKET", path, 1);
    cr_assert(notify_send(NOTIFY_READY "\nSTATUS=1 listener"));
    assert_heard(fd, "READY=1\nSTATUS=1 listener");
    close(fd);
    unlink(path);
    rmdir(directory);
}

Test(notify, speaks_to_an_abstract_socket)
{
    char address[64];

    snprintf(address, sizeof(address), "@smqd-notify-test-%d", (int)getpid());
    int fd = listen_at(address);

    cr_assert(notify_send_to(address, NOTIFY_STOPPING));
    assert_heard(fd, "STOPPING=1");
    close(fd);
}

Test(notify, does_not_wait_for_a_manager_that_does_not_listen)
{
    char address[64];
    int sent_count = 0;

    snprintf(address, sizeof(address), "@smqd-notify-full-%d", (int)getpid());
    int fd = listen_at(address);

    while (sent_count < 100000 && notify_send_to(address, NOTIFY_READY))
        sent_count++;
    cr_assert_lt(sent_count, 100000);
    cr_assert_eq(errno, EAGAIN);
    close(fd);
}
