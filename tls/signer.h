/*
 * tls/signer.h — RSA signatures off the I/O threads.
 *
 *      I/O thread --submit--> queue --> worker: sign --> done(token) --> I/O thread --take-->
 *
 * An RSA-2048 signature takes 0.6 ms here; an I/O thread that made it itself would hold up all
 * its connections. (ECDSA P-256 takes 0.06 ms and is made in place.) The worker calls done() with
 * the token of the connection, which the broker sends through a lane to the I/O actor; that one
 * calls tls_conn_resume().
 *
 * A connection that closes abandons its job; whoever touches the job last frees it, and done()
 * is not called for it, or was: so a token may be stale, as any name of a connection may be.
 *
 * The queue is bounded: beyond it a handshake is refused at once instead of timing out later.
 */
#pragma once

#include <openssl/evp.h>

#include "core/must.h"

struct tls_signer;
struct tls_sign_job;

/* Thread: the worker numbered @worker_index. Must not block. */
typedef void tls_sign_done(void *context, uint32_t worker_index, uint64_t token);

struct tls_signer_options {
    uint32_t worker_count;    /* 1..TLS_SIGNER_WORKERS_MAX; 0: sign in place (tests, simulation) */
    uint32_t queue_count_max; /* jobs not yet taken, abandoned ones included */
    tls_sign_done *done;
    void *context; /* borrowed; outlives the signer */
};

enum tls_signed {
    TLS_SIGNED_NOT_YET = 0,
    TLS_SIGNED_DONE,
    TLS_SIGNED_FAILED,
};

/* Start the workers. NULL: the threads could not be had (errno). */
MUST_CHECK struct tls_signer *tls_signer_open(const struct tls_signer_options *options);

/* End and join the workers. No job may be left that is not abandoned (asserted). */
void tls_signer_close(struct tls_signer *signer);

/**
 * Queue a signature over @input with @key.
 *
 * Thread:  any I/O thread.
 * Takes:   a reference of its own on @key, a copy of @input.
 * Bytes:   @input up to TLS_SIGN_INPUT_BYTES_MAX.
 * Returns: the job, to be ended by tls_sign_take or tls_sign_abandon; NULL when the queue is full.
 */
MUST_CHECK struct tls_sign_job *tls_signer_submit(struct tls_signer *signer, EVP_PKEY *key,
                                                  uint16_t algorithm, struct span input,
                                                  uint64_t token);

/**
 * Fetch the result. DONE: @out holds *out_bytes of signature; the job is gone, as after FAILED.
 *
 * Thread: the one that submitted.
 */
MUST_CHECK enum tls_signed tls_sign_take(struct tls_sign_job *job, uint8_t *out,
                                         size_t out_bytes_max, size_t *out_bytes);

/* The connection closes: forget the job, wherever it is. Thread: the one that submitted. */
void tls_sign_abandon(struct tls_sign_job *job);

/* Jobs and bytes held now. Any thread. */
uint32_t tls_signer_job_count(struct tls_signer *signer);
size_t tls_signer_bytes(struct tls_signer *signer);

/* Make one signature in place; false: it failed. @out: TLS_SIGNATURE_BYTES_MAX. Any thread. */
MUST_CHECK bool tls_sign(EVP_PKEY *key, uint16_t algorithm, struct span input, uint8_t *out,
                         size_t out_bytes_max, size_t *out_bytes);
