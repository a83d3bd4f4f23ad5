/*
 * net/door.h — limits for one address, where connections come and go; see core/guard.h.
 *
 *      accept ──door_admit──> guard ──> in, or closed before it has cost anything
 *      page ──door_admit_page─> guard ──> asked for, or 503
 *      release ─door_leave──> guard
 *      login refused ─door_login_failed──> guard ──> perhaps a ban, from the next accept on
 *      EXPEL ─door_expel──> a bite of the connections each turn: whose address is banned by hand?
 *
 * Thread: the I/O actor's.
 */
#pragma once

#include "net/io.h"

/* The connection's address is known. false: it has been told to close (counted, logged). */
MUST_CHECK bool door_admit(struct io *io, struct conn *conn);

/* The connection asks for web pages from now on, or does so no longer. false: its address has too
 * many that do (counted, logged). */
MUST_CHECK bool door_admit_page(struct io *io, const struct conn *conn);
void door_leave_page(struct io *io, const struct conn *conn);

/* The connection gives back what it holds. */
void door_leave(struct io *io, struct conn *conn);

/* A Connect was refused because the login is no good. */
void door_login_failed(struct io *io, const struct conn *conn);

/* Was its address banned while its password was checked? Then the verdict is not told. */
MUST_CHECK bool door_is_shut(const struct io *io, const struct conn *conn);

/* Begin, and go on, to disconnect those whose addresses are banned by hand. (An address that is
 * banned for failed logins keeps the clients that are in: they had the right password.) */
void door_expel(struct io *io);
void door_step(struct io *io);

static inline bool door_has_work(const struct io *io)
{
    return io->expel_cursor < io->slot_count_max;
}

/* Answer a WHERE. */
void door_tell_address(struct io *io, const struct envelope *envelope);
