/*
 * client/tls_ssl.h — a TLS transport for the client library, over BoringSSL or OpenSSL.
 *
 *      struct smq_tls tls;
 *      struct smq_tls_options options = {.ca_path = "ca.crt", .timeout_ms = 5000};
 *      if (!smq_tls_open(&tls, "example.net", "8883", &options))
 *          die("%s", smq_tls_error(&tls));
 *      smq_init(&smq, &tls.transport, buffer, sizeof buffer);
 *      ...
 *      smq_tls_close(&tls);
 *
 * The server's certificate must verify, and be for the host that was asked for. Only functions
 * that both libraries have are used. Thread: one at a time for each struct.
 */
#ifndef SMQ_TLS_SSL_H
#define SMQ_TLS_SSL_H

#include "client/posix.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SMQ_TLS_ERROR_BYTES 320

struct smq_tls_options {
    const char *ca_path;   /* PEM: whom to trust; NULL: the system's list */
    const char *cert_path; /* PEM: our certificate, its chain behind it; NULL: none */
    const char *key_path;  /* PEM; NULL: in the file of the certificate */
    bool insecure;         /* trust anybody: for experiments on one's own desk */
    uint32_t timeout_ms;   /* of each step, and of each wait for room to send */
};

struct smq_tls {
    struct smq_transport transport; /* hand its address to smq_init(); do not copy the struct */
    struct smq_posix tcp;
    struct ssl_ctx_st *context; /* the library's; NULL when closed */
    struct ssl_st *ssl;
    bool is_tls_error; /* else the error is tcp's */
    bool is_distrust;  /* the server's certificate was not accepted: */
    bool is_outdated;  /* it is not valid now, by this machine's clock */
    char error[SMQ_TLS_ERROR_BYTES];
};

/**
 * Connect, shake hands, verify, and fill in @tls.
 *
 * @host:   as for smq_posix_open; the certificate must be for it.
 * Returns: true, and the caller must call smq_tls_close(); or false, nothing to close, and
 *          smq_tls_error() says why.
 */
bool smq_tls_open(struct smq_tls *tls, const char *host, const char *port,
                  const struct smq_tls_options *options);

/* Say goodbye, if that can be done without waiting, and close. */
void smq_tls_close(struct smq_tls *tls);

/* What went wrong last, as a text for people: @tls's until the next failure. */
const char *smq_tls_error(const struct smq_tls *tls);

#ifdef __cplusplus
}
#endif

#endif
