/*
 * tests/unit/client/test_posix.c — mirrors client/posix.c.
 *
 * Goal:   the transport keeps the promises of struct smq_transport on real sockets.
 * Method: a listener on the loopback whose other end the test holds.
 */
#include "client/posix.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TIMEOUT_MS 5000u /* never reached when all is well */

static int listener;
static int peer; /* the broker's end of the connection */
static char port[8];
static struct smq_posix posix;

static void listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t address_bytes = sizeof address;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &address_bytes), 0);
    snprintf(port, sizeof port, "%u", ntohs(address.sin_port));
}

static void begin(void)
{
    listen_on_loopback();
    cr_assert(smq_posix_open(&posix, "127.0.0.1", port, TIMEOUT_MS));
    peer = accept(listener, NULL, NULL);
    cr_assert(peer >= 0);
}

static void end(void)
{
    smq_posix_close(&posix);
    close(peer);
    close(listener);
}

TestSuite(posix, .init = begin, .fini = end, .timeout = 60);

Test(posix, open_says_why_it_cannot_connect)
{
    struct smq_posix other;

    close(listener);
    cr_assert_not(smq_posix_open(&other, "127.0.0.1", port, TIMEOUT_MS));
    cr_assert_eq(other.error, ECONNREFUSED);
    cr_assert_str_eq(smq_posix_error(&other), strerror(ECONNREFUSED));
    cr_assert_eq(other.fd, -1);
    smq_posix_close(&other); /* harmless */
}

Test(posix, open_says_when_the_name_is_the_trouble)
{
    struct smq_posix other;

    cr_assert_not(smq_posix_open(&other, "127.0.0.1", "no such service", TIMEOUT_MS));
    cr_assert_neq(other.lookup_error, 0);
    cr_assert_neq(strlen(smq_posix_error(&other)), 0);
}

Test(posix, recv_returns_0_when_nothing_comes)
{
    char room[8];

    cr_assert_eq(smq_posix_recv(&posix, room, sizeof room, 0), 0);
    cr_assert_eq(smq_posix_recv(&posix, room, sizeof room, 10), 0);
}

Test(posix, recv_returns_what_is_there_without_waiting_for_more)
{
    char room[8];

    cr_assert_eq(write(peer, "abc", 3), 3);
    cr_assert_eq(smq_posix_recv(&posix, room, sizeof room, TIMEOUT_MS), 3);
    cr_assert_arr_eq(room, "abc", 3);
}

Test(posix, recv_is_negative_when_the_peer_closed)
{
    char room[8];

    close(peer);
    cr_assert_lt(smq_posix_recv(&posix, room, sizeof room, TIMEOUT_MS), 0);
    cr_assert_eq(posix.error, 0);
    cr_assert_str_eq(smq_posix_error(&posix), "the other side closed the connection");
}

Test(posix, recv_is_negative_when_the_peer_reset)
{
    char room[8];
    struct linger linger = {.l_onoff = 1};

    setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(peer);
    cr_assert_lt(smq_posix_recv(&posix, room, sizeof room, TIMEOUT_MS), 0);
    cr_assert_eq(posix.error, ECONNRESET);
}

static void ignore(int number)
{
    (void)number;
}

Test(posix, recv_returns_0_when_a_signal_was_handled)
{
    struct sigaction action = {.sa_handler = ignore};
    struct itimerval soon = {.it_value = {.tv_usec = 20000}, .it_interval = {.tv_usec = 20000}};
    char room[8];

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    /* Without the signal this would take an hour, and the test's own time limit would end it. */
    cr_assert_eq(smq_posix_recv(&posix, room, sizeof room, 3600 * 1000), 0);
}

Test(posix, send_reaches_the_peer_with_or_without_more)
{
    char room[8];

    cr_assert_eq(smq_posix_send(&posix, "ab", 2, true), 2);
    cr_assert_eq(smq_posix_send(&posix, "c", 1, false), 1);
    cr_assert_eq(recv(peer, room, 3, MSG_WAITALL), 3);
    cr_assert_arr_eq(room, "abc", 3);
}

Test(posix, send_gives_up_on_a_peer_that_does_not_read)
{
    static char much[1 << 20];
    int32_t sent_bytes;

    posix.send_timeout_ms = 10;
    do
        sent_bytes = smq_posix_send(&posix, much, sizeof much, false);
    while (sent_bytes > 0);
    cr_assert_eq(posix.error, ETIMEDOUT);
}

Test(posix, send_to_a_closed_peer_raises_no_signal)
{
    struct linger linger = {.l_onoff = 1};
    char room[8];

    setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(peer);
    (void)smq_posix_recv(&posix, room, sizeof room, TIMEOUT_MS); /* takes note of the reset */
    cr_assert_lt(smq_posix_send(&posix, "x", 1, false), 0);
    cr_assert_eq(posix.error, EPIPE);
}
