/*
 * net/secure.h — the TLS side of an I/O actor's connections: between the reactor and the session.
 *
 *      receive --secure_input--> tls_conn_feed --plaintext--> session_input
 *      conn->out --secure_fill--> tls_conn_seal --> the queue in tls_conn_room(conn->tls) --> send
 *
 * conn->out keeps plaintext frames, so the slow-consumer policies see frames; what is sealed is a
 * bounded bite, owned by the connection only until the kernel has taken it. An incomplete record
 * waits in conn->input->cipher. A TLS connection owns nothing of this before its first bytes, and
 * those stay in the kernel until it is its turn (net/turns.h).
 *
 * Thread: the I/O actor's. secure_offer is control's.
 */
#pragma once

#include <stdatomic.h>

#include "core/limits.h"
#include "net/io.h"
#include "net/turns.h"
#include "tls/conn.h"
#include "tls/context.h"
#include "tls/peer.h"

/* What is sealed, in the order in which it was made; the kernel sends from here. It lives in the
 * caller's room of the connection's TLS: one block for both. */
static inline struct outq *secure_queue(struct conn *conn)
{
    static_assert(sizeof(struct outq) <= TLS_ROOM_BYTES, "they share a block");
    return tls_conn_room(conn->tls);
}

/* The credentials of all listeners, shared by all I/O actors: they change together or not at all.
 * Immutable once filled in. */
struct secure_set {
    atomic_uint reference_count;
    uint8_t policy_of_listener[LIMIT_LISTENERS];
    uint32_t policy_count;
    struct secure_policy {
        struct tls_context *context; /* a reference */
        bool bind_uid; /* the UID must be the certificate's identity: judged at Connect, so that the
                        * client hears why */
    } policies[];
};

/* One I/O actor's. */
struct io_secure {
    struct tls_engine *engine;
    struct secure_set *set;               /* in force: a reference */
    _Atomic(struct secure_set *) offered; /* by control, not yet taken: a reference */
    struct turns turns;                   /* who may begin a handshake, or go on */
    bool is_judging;                      /* after a reload, a bite each turn: */
    uint32_t judge_cursor;
};

/* A set without contexts, with one reference. Thread: control. */
struct secure_set *secure_set_create(uint32_t policy_count);
struct secure_set *secure_set_ref(struct secure_set *set); /* returns @set */
void secure_set_unref(struct secure_set *set);             /* any thread; NULL is fine */

/* Boot and shutdown; main's, while the actor does not run. Takes a reference of its own. */
void secure_init(struct io *io, struct io_secure *secure, struct secure_set *set);
void secure_deinit(struct io_secure *secure);

/* The actor's own half: BoringSSL's bytes are counted by thread. */
void secure_start(struct io *io);
void secure_stop(struct io *io);

/* New credentials; a RELOAD must follow. Thread: control. Takes a reference of its own. */
void secure_offer(struct io_secure *secure, struct secure_set *set);

/* Bytes of a TLS connection are there to be read: may they be? Those of a handshake stand in line,
 * and are marked when their turn has come. */
MUST_CHECK bool secure_may_read(struct io *io, struct conn *conn);

/* Bytes came; they are overwritten. Afterwards the connection may be leaving or closing. */
void secure_input(struct io *io, struct conn *conn, uint8_t *bytes, size_t bytes_count);

/* Seal what is queued, up to a bite, and when the connection leaves and all is sealed, say
 * goodbye. Nothing of the cipher queue may be in flight. */
void secure_fill(struct io *io, struct conn *conn);

/* The connection has been quiet for a while: keep only what a quiet one needs. */
void secure_rest(struct io *io, struct conn *conn);

/* The descriptor is closed: wipe and free. */
void secure_free(struct io *io, struct conn *conn);

/* Once a turn: let some of those in line begin or go on; and after a reload, close live connections
 * whose client certificate has been revoked or has expired. A bite each. */
void secure_step(struct io *io);

static inline bool secure_has_work(const struct io *io)
{
    return io->secure && (io->secure->is_judging || turns_is_ready(&io->secure->turns));
}

/* Is a place in a handshake kept, or waited for? Then a tick is as long as the actor may sleep. */
static inline bool secure_needs_ticks(const struct io *io)
{
    return io->secure && io->secure->turns.waiting.count + io->secure->turns.begun.count > 0;
}

/* The queue that the kernel sends from. */
static inline struct outq *conn_wire_queue(struct conn *conn)
{
    return conn->flags & CONN_TLS && conn->tls ? secure_queue(conn) : &conn->out;
}
