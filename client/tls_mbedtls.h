/*
 * client/tls_mbedtls.h — a TLS transport for the client library, over Mbed TLS, for
 * microcontrollers.
 *
 *      static struct smq_mbedtls tls;     about 1.3 kB, plus Mbed TLS's heap
 *      struct smq_mbedtls_options options = {
 *          .ca = smq_root_ca,             the array that `smq ca header` prints
 *          .ca_bytes = sizeof smq_root_ca,
 *          .random = board_random,
 *          .timeout_ms = 10000,
 *      };
 *      if (!smq_mbedtls_open(&tls, &board_tcp, "broker.example.net", &options))
 *          retry_later(tls.error, tls.verify_flags);
 *      smq_init(&smq, &tls.transport, buffer, sizeof buffer);
 *      ...
 *      smq_mbedtls_close(&tls);
 *
 * It stands on another transport, whatever carries bytes on the board: no socket, no clock, no file
 * system, and no random numbers but the caller's. Written for Mbed TLS 2.28; 3.x has the same
 * calls.
 *
 * Memory: what counts is MBEDTLS_SSL_IN_CONTENT_LEN, 16 kB by default. Make it smaller and tell the
 * broker: it sends no record larger than identity.record_bytes_max (at least 256).
 *
 * Thread: one at a time for each struct.
 */
#ifndef SMQ_TLS_MBEDTLS_H
#define SMQ_TLS_MBEDTLS_H

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include "client/smq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Certificates and the key: DER, or PEM with the 0 at its end counted (and MBEDTLS_PEM_PARSE_C). */
struct smq_mbedtls_options {
    const unsigned char *ca; /* whom to trust; must not be NULL */
    size_t ca_bytes;
    const unsigned char *cert; /* ours; NULL: none */
    size_t cert_bytes;
    const unsigned char *key;
    size_t key_bytes;
    int (*random)(void *context, unsigned char *out, size_t bytes_count); /* 0: good. Good ones! */
    void *random_context;
    uint32_t timeout_ms; /* of each wait for the server during the handshake */
};

struct smq_mbedtls {
    struct smq_transport transport; /* hand its address to smq_init(); do not copy the struct */
    const struct smq_transport *below;
    uint32_t wait_ms;      /* of the call that runs */
    int error;             /* Mbed TLS's last; 0: none */
    uint32_t verify_flags; /* why the server was not trusted: MBEDTLS_X509_BADCERT_*; 0: it was */
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    mbedtls_x509_crt ca;
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
};

/**
 * Shake hands over @below, which is connected, and verify that the server is @host.
 *
 * Borrows: @below, and options->random with its context, until smq_mbedtls_close().
 * Returns: true; or false, nothing to close but @below, and tls->error says why.
 */
bool smq_mbedtls_open(struct smq_mbedtls *tls, const struct smq_transport *below, const char *host,
                      const struct smq_mbedtls_options *options);

/* Say goodbye and free; @below stays open. */
void smq_mbedtls_close(struct smq_mbedtls *tls);

#ifdef __cplusplus
}
#endif

#endif
