/*
 * net/turns.h — whose turn is it to begin a TLS handshake?
 *
 *      first bytes there --turns_wait--> waiting --turns_next--> in, at most @in_max
 *                                                                 |
 *                                    turns_end (done, or closed) -+- turns_expire (took too long)
 *
 * A handshake holds 5 to 11 kB, an established connection 130 bytes: so a storm of 10,000 devices
 * must not shake hands all at once. Those who wait have sent their ClientHello, but it stays in
 * the kernel; here each is one handle. First come, first served.
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

#include "core/envelope.h"
#include "core/mem.h"

#define TURNS_TICKS 4u /* a second: a few round trips of a bad radio link */

/* First in, first out; it grows as needed, and owns nothing when it is empty. */
struct turns_ring {
    struct turn *slots;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t first;
    uint32_t count;
};

struct turns {
    struct turns_ring waiting;
    struct turns_ring begun; /* by the time of their beginning; some may have ended */
    uint32_t in_count;       /* places taken */
    uint32_t in_max;
};

void turns_init(struct turns *turns, uint32_t in_max);
void turns_deinit(struct turns *turns, struct mem *mem);

/* Stand in line. false: over the memory limit. */
MUST_CHECK bool turns_wait(struct turns *turns, struct mem *mem, struct conn_handle conn);

/* Is there somebody, and a place? */
static inline bool turns_is_ready(const struct turns *turns)
{
    return turns->waiting.count > 0 && turns->in_count < turns->in_max;
}

/* Take the next out of the line; false: nobody may begin now. turns_begin must follow, unless the
 * connection has gone. */
MUST_CHECK bool turns_next(struct turns *turns, struct mem *mem, struct conn_handle *conn);
void turns_begin(struct turns *turns, struct mem *mem, struct conn_handle conn, uint32_t now_tick);

/* A place is free again. Once for each that began and has not expired. */
void turns_end(struct turns *turns);

/* Take out one that began TURNS_TICKS ago or earlier; false: none. When its place is still taken,
 * which the caller knows, turns_end must follow. */
MUST_CHECK bool turns_expire(struct turns *turns, struct mem *mem, uint32_t now_tick,
                             struct conn_handle *conn);
