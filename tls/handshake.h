/*
 * tls/handshake.h — what exists only while a handshake runs. Inside tls/ only.
 *
 * BoringSSL calls us back with an SSL object and nothing else. Its BIO is the engine's, and the
 * engine knows which handshake it is driving: so no ex_data is hung on SSL objects (it would cost
 * 100 bytes each).
 */
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "tls/conn.h"
#include "tls/context.h"

struct tls_sign_job;

struct tls_handshake {
    struct tls_engine *engine;   /* borrowed */
    SSL *ssl;                    /* owned until the hand-over */
    struct tls_context *context; /* shared */
    struct tls_sign_job *job;    /* owned while a signature is being made */
    uint64_t token;              /* the caller's name for the connection */
    enum tls_cert cert;          /* chosen from the ClientHello */
    enum tls_fail fail;          /* set by a callback that knows better than BoringSSL's error */
    uint8_t alert;               /* the last that BoringSSL sent; 0: none */
};

/* The I/O actor's own part, shared by all its connections. */
struct tls_engine {
    struct mem *mem;       /* borrowed */
    BIO *bio;              /* owned; every SSL object holds a reference */
    int64_t settled_bytes; /* of BoringSSL's, already in @mem */

    /* -- while one call runs -- */
    struct tls_handshake *handshake; /* NULL after the hand-over */
    const struct tls_sink *sink;
    struct span in;   /* not yet read by BoringSSL */
    uint8_t *out;     /* where ciphertext goes; NULL: to sink->cipher */
    size_t out_bytes; /* written there */
    size_t out_bytes_max;
    size_t sent_bytes; /* ciphertext of this call, either way */
};

static inline struct tls_engine *tls_engine_of(const SSL *ssl)
{
    return BIO_get_data(SSL_get_rbio(ssl));
}

/* Everything a call to BoringSSL needs, for the length of that call: @in is what it may read, and
 * what it writes goes to @sink, or to engine->out when that is set in between. */
void tls_engine_enter(struct tls_engine *engine, struct tls_handshake *handshake,
                      const struct tls_sink *sink, struct span in);
void tls_engine_leave(struct tls_engine *engine);

/* Bring BoringSSL's bytes into the engine's account. */
void tls_engine_settle(struct tls_engine *engine);

/* Explain a call to BoringSSL that failed; empties its error queue. @established: the handshake
 * had been done before. */
struct tls_failure tls_failure_of_ssl(const struct tls_handshake *handshake, bool established);

/* A fresh SSL object of @context for the server's side, without a BIO. NULL: no memory. */
SSL *tls_context_ssl(struct tls_context *context);
