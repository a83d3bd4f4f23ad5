/*
 * tls/conn.h — one TLS connection, server's side. No socket: bytes in, bytes out.
 *
 *      received bytes --tls_conn_feed--> sink.plain   (what the client said)
 *                            \---------> sink.cipher  (handshake flights, alerts: to be sent)
 *      plaintext --tls_conn_seal--> ciphertext in the caller's buffer
 *
 *      HANDSHAKE --done--> COMPACT   keys only (tls/record.h); the SSL object is freed
 *          |         \---> FULL      the SSL object stays ("tls.compact = off")
 *          \---fail--> CLOSED <---fail or both sides closed---
 *
 * A connection is made when the first bytes have come, never at accept: a port scan costs nothing.
 * It holds no buffer: a record not yet whole stays with the caller, who may ask how big it will
 * be (tls_conn_wants). In COMPACT it is one block, which tls_conn_fit makes as small as it can be:
 * 176 bytes with AES-128-GCM, and 120 when it is quiet.
 *
 * Everything is allocated in the engine's account as MEM_TLS, BoringSSL's own bytes included.
 *
 * Thread: the I/O actor that owns the engine.
 */
#pragma once

#include <sys/uio.h>

#include "core/mem.h"
#include "tls/failure.h"
#include "tls/hello.h"
#include "tls/record.h"

struct tls_conn;
struct tls_context;
struct tls_engine;
struct tls_peer;

enum tls_status {
    TLS_OK = 0,         /* go on when more bytes come */
    TLS_WAIT_SIGN,      /* nothing more is taken until tls_conn_resume: keep the bytes */
    TLS_CLOSED_BY_PEER, /* close_notify came: send what is queued, then close_notify, then close */
    TLS_FAILED,         /* tls_conn_failure says why; send what the sink was given, then close */
};

/* Where a call's output goes. Both callbacks borrow the bytes until they return. */
struct tls_sink {
    /* In place, in the fed buffer, writable. False: stop here (the session has ended). */
    bool (*plain)(void *context, uint8_t *bytes, size_t bytes_count);
    /* Must take all of it, after everything that was sealed before. */
    void (*cipher)(void *context, const uint8_t *bytes, size_t bytes_count);
    void *context;
};

/* What is worth knowing of a session; constant once established. */
struct tls_info {
    uint32_t
        handshake_in_bytes; /* on the wire, record headers included; at most 65535 are counted */
    uint32_t handshake_out_bytes; /* the same, tickets included */
    uint16_t cipher;              /* IANA number */
    uint16_t group;               /* IANA number of the key exchange; 0: none (TLS 1.2, resumed) */
    enum tls_version version;
    enum tls_cert cert; /* what was served; NONE when resumed */
    bool resumed;
    bool alpn_http; /* http/1.1 was agreed on */
};

/* Bytes of the caller's in each connection: zeroed at first, and moved along with it. */
#define TLS_ROOM_BYTES 16u

/* -- the engine: one for each I/O actor -- */

/* Borrows @mem, which outlives it. NULL: no memory. Thread: the actor's own. */
MUST_CHECK struct tls_engine *tls_engine_create(struct mem *mem);

/* All its connections are gone. NULL is fine. */
void tls_engine_destroy(struct tls_engine *engine);

/* -- life -- */

/**
 * Begin a handshake.
 *
 * Shares:  @context, until the handshake ends (in FULL: until the connection does).
 * @token:  comes back through the signer's done callback (tls/signer.h).
 * Returns: NULL when the memory limit is reached.
 * Cost:    about 4.6 kB until the first bytes, 6 kB while the handshake runs.
 */
MUST_CHECK struct tls_conn *tls_conn_create(struct tls_engine *engine, struct tls_context *context,
                                            uint64_t token);

/* Wipes and frees, in any phase, without a word to the peer. NULL is fine. */
void tls_conn_destroy(struct tls_engine *engine, struct tls_conn *conn);

/**
 * Move into as small a block as will do. Between calls, at any time; after each is a good one.
 *
 * @quiet:  nothing is likely to come or go for a while: keep only what cannot be derived again. One
 *          that turns out to be busy after all gets its keys back by a later call.
 * Returns: where the connection is now; the old place is wiped. No memory: where it was.
 */
MUST_CHECK struct tls_conn *tls_conn_fit(struct tls_engine *engine, struct tls_conn *conn,
                                         bool quiet);

/* The caller's TLS_ROOM_BYTES, as aligned as a pointer. */
void *tls_conn_room(struct tls_conn *conn);

/* -- receiving -- */

/**
 * Take what was received.
 *
 * Bytes:   @bytes is overwritten. *used_bytes of it are done with; an incomplete record at the
 *          end is not, and comes again at the front of the next call, with more behind it.
 * Returns: see enum tls_status. On CLOSED_BY_PEER and FAILED nothing may be fed any more.
 */
MUST_CHECK enum tls_status tls_conn_feed(struct tls_conn *conn, uint8_t *bytes, size_t bytes_count,
                                         size_t *used_bytes, const struct tls_sink *sink);

/**
 * How many bytes, from the front of @input, does the record there need in all?
 *
 * Returns: 0 when the header is not complete; else at most TLS_RECORD_BYTES_MAX. For choosing the
 *          size of a holding buffer.
 */
size_t tls_conn_wants(struct span input);

/* The signature is made: go on with the handshake. Then feed what was kept. Stale calls are fine.
 */
MUST_CHECK enum tls_status tls_conn_resume(struct tls_conn *conn, const struct tls_sink *sink);

/* -- sending, once established -- */

/**
 * The room that sealing @plain_bytes needs at most, with records of at most @record_bytes_max
 * (header and tag included; 0: no limit but the protocol's). A KeyUpdate that may be due counts.
 */
size_t tls_conn_seal_bytes_max(const struct tls_conn *conn, size_t plain_bytes,
                               size_t record_bytes_max);

/**
 * Seal plaintext into the caller's buffer, as many whole records as fit.
 *
 * Bytes:   @room of 0 up; @record_bytes_max as above, at least SMQ_RECORD_BYTES_MIN.
 * Returns: bytes written to @out, which must all be sent, in order, or the connection closed: the
 *          record counter has moved. *taken_bytes says how much plaintext went in.
 * Cost:    one copy and one AEAD pass; no allocation in COMPACT.
 */
MUST_CHECK size_t tls_conn_seal(struct tls_conn *conn, const struct iovec *plain,
                                size_t plain_count, uint8_t *out, size_t room,
                                size_t record_bytes_max, size_t *taken_bytes);

/* Say goodbye, once; nothing may be sealed afterwards. Without effect before the handshake is
 * done, and after a failure. */
void tls_conn_close_notify(struct tls_conn *conn, const struct tls_sink *sink);

/* Give up a handshake that is in progress, with an alert, and free what it holds at once. Without
 * effect when it is done or has failed. */
void tls_conn_abandon(struct tls_conn *conn, const struct tls_sink *sink);

/* -- questions -- */

bool tls_conn_is_established(const struct tls_conn *conn);
struct tls_failure tls_conn_failure(const struct tls_conn *conn); /* after TLS_FAILED */
struct tls_info tls_conn_info(const struct tls_conn *conn);
const struct tls_peer *tls_conn_peer(const struct tls_conn *conn); /* NULL: no certificate */

/* "TLSv1.3", "TLS_AES_128_GCM_SHA256". Constant. */
const char *tls_version_name(enum tls_version version);
const char *tls_cipher_name(uint16_t cipher);

/* What this connection holds besides BoringSSL's part, in bytes as allocated. */
size_t tls_conn_bytes(const struct tls_conn *conn);
