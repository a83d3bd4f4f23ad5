/*
 * net/auth.h — who is it? The ways in that an instance's list `auth` has, asked at the Connect.
 *
 *      session_connect.c ──judge──> for each way in the list: is it about these credentials?
 *                                     no: the next one;  yes: right or wrong, and that is final
 *                        ──check──> a password goes to a worker, AUTH_VERDICT comes back
 *
 * A wrong password does not fall through to `anonymous`: whoever shows something must be right.
 * The session links without this file (and its cryptography); it is reached through io->auth_calls.
 *
 * Thread: the I/O actor's. io_auth_offer is control's, io_auth_on_verdict a worker's.
 */
#pragma once

#include "auth/book.h"
#include "auth/workers.h"
#include "net/io.h"

/* One I/O actor's. The book in force is io->book. */
struct io_auth {
    struct auth_workers *workers;        /* shared by all; NULL: nobody asks for passwords */
    _Atomic(struct auth_book *) offered; /* by control, not yet taken: a reference */
    struct auth_book *older;             /* after a reload: what the logins were judged by ... */
    uint32_t judge_cursor;               /* ... that are judged anew, a bite each turn, from here */
};

/* Boot and shutdown; main's, while the actor does not run. Takes a reference of its own. */
void io_auth_init(struct io *io, struct io_auth *auth, struct auth_book *book,
                  struct auth_workers *workers);
void io_auth_deinit(struct io *io);

/* New accounts and rules; a RELOAD must follow. Thread: control. Takes a reference of its own. */
void io_auth_offer(struct io_auth *auth, struct auth_book *book);

/* After a reload: end the sessions of logins that are no longer good. A bite each turn. */
void io_auth_judge_step(struct io *io);

static inline bool io_auth_has_work(const struct io *io)
{
    return io->auth && io->auth->older;
}

/* The worker's token for a connection, and back. */
uint64_t io_auth_token(struct conn_handle conn);
struct conn_handle io_auth_conn(uint64_t token);
