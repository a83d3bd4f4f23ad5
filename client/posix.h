/*
 * client/posix.h — a plain TCP transport for the client library, over POSIX sockets.
 *
 *      struct smq_posix posix;
 *      if (!smq_posix_open(&posix, "example.net", "8080", 5000))
 *          die("%s", smq_posix_error(&posix));
 *      smq_init(&smq, &posix.transport, buffer, sizeof buffer);
 *      ...
 *      smq_posix_close(&posix);
 *
 * Thread: one at a time for each struct. IPv4 and IPv6. Never raises SIGPIPE.
 */
#ifndef SMQ_POSIX_H
#define SMQ_POSIX_H

#include "client/smq.h"

#ifdef __cplusplus
extern "C" {
#endif

struct smq_posix {
    struct smq_transport transport; /* hand its address to smq_init(); do not copy the struct */
    int fd;                         /* -1 when closed */
    int error;                      /* errno of the last failure; 0: the peer closed */
    int lookup_error;               /* getaddrinfo()'s, when the name was the trouble */
    uint32_t send_timeout_ms;       /* longest wait for room to send; set by smq_posix_open() */
};

/**
 * Resolve @host, connect to the first of its addresses that answers, and fill in @posix.
 *
 * @host:   name or address, IPv6 without brackets. @port: number or service name.
 * Time:    at most @timeout_ms for each address, after the lookup; the same bound then holds for
 *          each wait for room to send.
 * Returns: true, and the caller must call smq_posix_close(); or false, nothing to close, and
 *          smq_posix_error() says why.
 */
bool smq_posix_open(struct smq_posix *posix, const char *host, const char *port,
                    uint32_t timeout_ms);

/* Close the socket, if open. What was sent but not yet received by the peer may be lost when
 * received bytes were never read: see smq_disconnect(). */
void smq_posix_close(struct smq_posix *posix);

/* What went wrong last, as a text for people. Static, or the C library's until its next use. */
const char *smq_posix_error(const struct smq_posix *posix);

/*
 * The two functions behind posix->transport, for adapters built on a socket. @context is the
 * struct smq_posix. recv also returns 0 (as if nothing came in time) when a signal was handled,
 * so that a program can look at what its handler noted.
 */
int32_t smq_posix_send(void *context, const void *data, size_t bytes_count, bool more);
int32_t smq_posix_recv(void *context, void *room, size_t room_bytes, uint32_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
