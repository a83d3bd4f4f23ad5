/*
 * net/throttle.h — how much a client may send in a second: who sends more is not read from for a
 * while, so that TCP tells it, and nothing is lost.
 *
 *                              wait > 0
 *      a run ── throttle_use ─────────> CONN_THROTTLED: its receive is cancelled, and what has come
 *                 (meters)              with it is kept
 *                                              │ the wheel, at resume_tick
 *      read what was kept, receive again <─────┘ throttle_lift
 *
 * The run that goes beyond is still handled, and paid for afterwards; so nobody owes more than a
 * run (LIMIT_METERED_RUN_BYTES or a frame; of a WebSocket, a receive). What is kept came in one
 * turn: at most all receive buffers.
 *
 * Meters exist only where the configuration has had such limits (io->is_metered), for all
 * connections of a chunk. Those of an instance are shared by all I/O actors (core/quota.h).
 *
 * Thread: the I/O actor's.
 */
#pragma once

#include "core/meter.h"
#include "net/io.h"

struct throttle {
    struct meter messages;
    struct meter bytes;
    uint32_t resume_tick; /* while CONN_THROTTLED */
    uint32_t said_tick;   /* when that was last logged; 0: never */
};

/* Does the configuration limit what clients send in a second? */
bool throttle_is_wanted(const struct config *config);

/* A client past its Connack has sent these frames. Without such limits: nothing. */
void throttle_count(struct io *io, struct conn *conn, uint32_t message_count, uint32_t bytes_count);

static inline void throttle_use(struct io *io, struct conn *conn, uint32_t message_count,
                                uint32_t bytes_count)
{
    if (io->is_metered && conn->state == CONN_LIVE)
        throttle_count(io, conn, message_count, bytes_count);
}

/* The limits have changed: what it owed by the old ones is forgotten; session_retime must follow.
 */
void throttle_forgive(struct io *io, struct conn *conn);

/* Its time has come: read again. */
void throttle_lift(struct io *io, struct conn *conn);

/* It leaves. */
void throttle_end(struct io *io, struct conn *conn);
