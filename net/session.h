/*
 * net/session.h — the SMQ protocol, one connection at a time: bytes in, envelopes out; envelopes
 * in, frames out.
 *
 * Knows no socket, no uring and no clock but io->now_tick, so the simulation runs this very code.
 * Thread: the I/O actor's. Source: SMQ protocol §2.1, §3, §4.
 */
#pragma once

#include "net/io.h"

/* A connection has been accepted; its peer address is set. */
void session_open(struct io *io, struct conn *conn);

/* Bytes came; they may be overwritten. Consumes all of them; afterwards the connection may be
 * leaving or closing. */
void session_input(struct io *io, struct conn *conn, uint8_t *bytes, size_t bytes_count);

/* The peer closed its side. */
void session_eof(struct io *io, struct conn *conn);

/* An envelope from a shard or from control. Owns its msg reference. */
void session_envelope(struct io *io, struct envelope *envelope);

/* When this connection's next deadline is, in ticks; and what happens when it has come. */
uint32_t session_deadline(const struct io *io, const struct conn *conn);

/* Set the timer to the next thing that may be due: the deadline, or being quiet for long enough
 * that the reactor trades its receive for a poll (session_is_quiet). */
void session_retime(struct io *io, struct conn *conn);
bool session_is_quiet(const struct io *io, const struct conn *conn);

void session_on_deadline(struct io *io, struct conn *conn);

/* The kernel took bytes of ours: at the broker's end that buys the rest more time. */
void session_taken(struct io *io, struct conn *conn);

/* Give back what the connection holds: its ids, its ETID, its quota, its memory. Once; the end of
 * the turn calls it for connections that began to leave or close. */
void session_release(struct io *io, struct conn *conn);

/* Memory is tight: end who has begun something large and does not finish it, counted. */
void session_shed(struct io *io, struct conn *conn);

/* The broker shuts down: a plain close, so that browsers come back (§4.2). */
void session_drain(struct io *io, struct conn *conn);
