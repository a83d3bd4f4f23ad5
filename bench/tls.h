/*
 * bench/tls.h — the TLS client of every connection, over BoringSSL; see bench/secure.h.
 *
 * The generator's processor time is the broker's loss, so it does the least a correct client can:
 * the SSL object reads from the receive buffer and writes into the connection's send buffer. With
 * @is_insecure the certificate is not verified, which spares a third of a full handshake; that the
 * server has its key is always checked.
 */
#pragma once

#include "bench/secure.h"

#define TLS_REASON_BYTES 256u

struct tls_options {
    const char *host;       /* for SNI, and whom the certificate must be for */
    const char *ca_path;    /* PEM: whom to trust; NULL: the system's list */
    bool is_insecure;       /* trust anybody */
    const char *cert_path;  /* PEM: our certificate with its chain; NULL: none */
    const char *key_path;   /* PEM; NULL: in the file of the certificate */
    const char *version;    /* "1.2" or "1.3"; NULL: both */
    const char *signatures; /* "ecdsa" or "rsa": the only ones we take; NULL: both */
    bool is_resuming;       /* come back with the newest ticket */
};

/**
 * Gives: a layer for any number of workers, which must end before tls_layer_close().
 * Returns: NULL when a file or word is no good; @reason (TLS_REASON_BYTES) then says which.
 */
MUST_CHECK const struct secure_layer *tls_layer_open(const struct tls_options *options,
                                                     char *reason);
void tls_layer_close(const struct secure_layer *layer); /* NULL is fine */
