/*
 * client/posix.c — a plain TCP transport for the client library, over POSIX sockets.
 *
 * Thread: the caller's.
 * Owns:   the socket, between smq_posix_open() and smq_posix_close().
 * The socket is non-blocking, and every wait is a poll() with a bound.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* getaddrinfo, MSG_NOSIGNAL */
#endif
#include "client/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef MSG_MORE
#define SEND_MORE MSG_MORE
#else
#define SEND_MORE 0 /* costs a small packet for each header, no more than that */
#endif

#define IO_BYTES_MAX 0x40000000u /* of one send or recv, so that its result fits an int32_t */

/* Returns: 1 ready, 0 not in time or interrupted, -1 with errno. */
static int wait_for(int fd, short events, uint32_t timeout_ms)
{
    struct pollfd pollfd = {.fd = fd, .events = events};
    int ready_count = poll(&pollfd, 1, timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms);

    if (ready_count < 0 && errno == EINTR)
        return 0;
    return ready_count;
}

int32_t smq_posix_send(void *context, const void *data, size_t bytes_count, bool more)
{
    struct smq_posix *posix = context;

    if (bytes_count > IO_BYTES_MAX)
        bytes_count = IO_BYTES_MAX;
    for (;;) {
        int flags = MSG_NOSIGNAL | (more ? SEND_MORE : 0);
        ssize_t sent_bytes = send(posix->fd, data, bytes_count, flags);

        if (sent_bytes > 0)
            return (int32_t)sent_bytes;
        if (sent_bytes < 0 && errno == EINTR)
            continue;
        if (sent_bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (wait_for(posix->fd, POLLOUT, posix->send_timeout_ms) > 0)
                continue;
            errno = ETIMEDOUT;
        }
        posix->error = errno;
        return -1;
    }
}

int32_t smq_posix_recv(void *context, void *room, size_t room_bytes, uint32_t timeout_ms)
{
    struct smq_posix *posix = context;
    bool waited = false;

    if (room_bytes > IO_BYTES_MAX)
        room_bytes = IO_BYTES_MAX;
    for (;;) {
        /* Read first: under load the bytes are there, and a poll would be a wasted call. */
        ssize_t got_bytes = recv(posix->fd, room, room_bytes, 0);

        if (got_bytes > 0)
            return (int32_t)got_bytes;
        if (got_bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            if (waited || wait_for(posix->fd, POLLIN, timeout_ms) == 0)
                return 0;
            waited = true;
            continue;
        }
        posix->error = got_bytes == 0 ? 0 : errno;
        return -1;
    }
}

/* Connect to one address. Returns the socket, or -1 with posix->error. */
static int connect_address(struct smq_posix *posix, const struct addrinfo *address,
                           uint32_t timeout_ms)
{
    int one = 1;
    int error = 0;
    socklen_t error_bytes = sizeof error;
    int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);

    if (fd < 0) {
        posix->error = errno;
        return -1;
    }
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        error = errno;

    if (error == EINPROGRESS) {
        if (wait_for(fd, POLLOUT, timeout_ms) <= 0)
            error = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) < 0)
            error = errno;
    }
    if (error != 0) {
        posix->error = error;
        close(fd);
        return -1;
    }
    /* A frame is one send, or marked with MSG_MORE: nothing is gained by waiting for an ACK. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

bool smq_posix_open(struct smq_posix *posix, const char *host, const char *port,
                    uint32_t timeout_ms)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;

    *posix = (struct smq_posix){
        .transport = {.send = smq_posix_send, .recv = smq_posix_recv, .context = posix},
        .fd = -1,
        .send_timeout_ms = timeout_ms,
    };
    posix->lookup_error = getaddrinfo(host, port, &hints, &addresses);
    if (posix->lookup_error != 0)
        return false;
    for (const struct addrinfo *at = addresses; at != NULL && posix->fd < 0; at = at->ai_next)
        posix->fd = connect_address(posix, at, timeout_ms);
    freeaddrinfo(addresses);
    return posix->fd >= 0;
}

void smq_posix_close(struct smq_posix *posix)
{
    if (posix->fd >= 0)
        close(posix->fd);
    posix->fd = -1;
}

const char *smq_posix_error(const struct smq_posix *posix)
{
    if (posix->lookup_error != 0)
        return gai_strerror(posix->lookup_error);
    if (posix->error != 0)
        return strerror(posix->error);
    return "the other side closed the connection";
}
