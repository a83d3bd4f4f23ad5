/*
 * net/turns.h — whose turn is it to begin a TLS handshake, or to go on with one?
 *
 *      first bytes there --turns_wait--> waiting --turns_next--> in, at most @in_max <----------+
 *                                                                 |                             |
 *                                                                 +- more bytes: turns_wait_on  |
 *                                                                 |    --> going --turns_next_on+
 *                                                                 |
 *                                    turns_end (done, or closed) -+- turns_expire (took too long)
 *
 * A handshake holds 5 to 11 kB, an established connection 130 bytes: so a storm of 10,000 devices
 * must not shake hands all at once. Those who wait have sent their ClientHello, but it stays in
 * the kernel; here each is one handle. First come, first served.
 *
 * A step of a handshake takes 60 to 200 µs, and the answers to @in_max beginnings come together
 * when their clients were busy: so those who go on have a line, too, and a turn takes a few of
 * both.
 *
 * Somebody who begins and does not go on would keep a place from all others until its deadline.
 * Therefore a place is kept for TURNS_TICKS only; afterwards the handshake goes on without one. So
 * at least in_max begin in each such span, whatever the others do, and those who stall hold no more
 * than in_max handshakes for each span that limits.handshake_ms has.
 *
 * Handles only: who has closed meanwhile is found out by the caller. Pure, no clock.
 * Thread: the I/O actor's.
 */
#pragma once

#include "net/line.h"

#define TURNS_TICKS 4u /* a second: a few round trips of a bad radio link */

struct turns {
    struct line waiting;
    struct line going; /* they are in, and more has come of them */
    struct line begun; /* by the time of their beginning; some may have ended */
    uint32_t in_count; /* places taken */
    uint32_t in_max;
};

void turns_init(struct turns *turns, uint32_t in_max);
void turns_deinit(struct turns *turns, struct mem *mem);

/* Stand in line. false: over the memory limit. */
MUST_CHECK bool turns_wait(struct turns *turns, struct mem *mem, struct conn_handle conn);

/* May somebody begin: is there one, and a place? */
static inline bool turns_may_begin(const struct turns *turns)
{
    return turns->waiting.count > 0 && turns->in_count < turns->in_max;
}

/* May somebody begin, or go on? */
static inline bool turns_is_ready(const struct turns *turns)
{
    return turns->going.count > 0 || turns_may_begin(turns);
}

/* Take the next out of the line; false: nobody may begin now. turns_begin must follow, unless the
 * connection has gone. */
MUST_CHECK bool turns_next(struct turns *turns, struct mem *mem, struct conn_handle *conn);
void turns_begin(struct turns *turns, struct mem *mem, struct conn_handle conn, uint32_t now_tick);

/* The same for those who are in: stand in line to go on, and who goes on next? */
MUST_CHECK bool turns_wait_on(struct turns *turns, struct mem *mem, struct conn_handle conn);
MUST_CHECK bool turns_next_on(struct turns *turns, struct mem *mem, struct conn_handle *conn);

/* A place is free again. Once for each that began and has not expired. */
void turns_end(struct turns *turns);

/* Take out one that began TURNS_TICKS ago or earlier; false: none. When its place is still taken,
 * which the caller knows, turns_end must follow. */
MUST_CHECK bool turns_expire(struct turns *turns, struct mem *mem, uint32_t now_tick,
                             struct conn_handle *conn);
