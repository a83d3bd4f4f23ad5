/*
 * tls/ca_cert.h — make keys, certificates and revocation lists. Inside tls/ca.c's family only.
 *
 * Pure but for the clock and the random numbers: no file is touched. X.509 version 3, signed with
 * ECDSA P-256 and SHA-256, with the extensions that `openssl verify -x509_strict` asks for.
 *
 * Gives: what is returned is the caller's; NULL means that BoringSSL had no memory.
 */
#pragma once

#include <openssl/x509.h>
#include <stdint.h>

#include "core/must.h"

enum ca_kind { CA_ROOT = 0, CA_SERVER, CA_DEVICE };

/* How long, in days. Servers: what the pickiest systems accept under a private root (825). The
 * others outlive the hardware: they are ended by the revocation list. */
#define CA_ROOT_DAYS   (20 * 365)
#define CA_SERVER_DAYS 820
#define CA_DEVICE_DAYS (10 * 365)

/* Certificates begin to be valid so long ago, for devices whose clock is a little off. */
#define CA_BACKDATE_S (24 * 3600)

#define CA_SERIAL_BYTES 16u

MUST_CHECK EVP_PKEY *ca_key_ecc(void);
MUST_CHECK EVP_PKEY *ca_key_rsa(void); /* 2048 bits; takes up to a second */

struct ca_request {
    enum ca_kind kind;
    const char *common_name; /* at most 64 bytes (RFC 5280, ub-common-name) */
    const char *alt_names;   /* "DNS:a,IP:::1"; NULL: none. Already checked, see ca_name_check */
    EVP_PKEY *key;           /* the subject's */
    X509 *issuer;            /* both NULL for CA_ROOT: signs itself */
    EVP_PKEY *issuer_key;
};

MUST_CHECK X509 *ca_certificate(const struct ca_request *request);

/* One line of a revocation list. */
struct ca_revoked {
    uint8_t serial[CA_SERIAL_BYTES];
    int64_t revoked_s; /* Unix time */
};

/* A list signed by @issuer, valid as long as @issuer is: it is replaced by the next one, and a
 * broker must not lock everybody out because nobody revoked anything for a month. */
MUST_CHECK X509_CRL *ca_crl(X509 *issuer, EVP_PKEY *issuer_key, const struct ca_revoked *revoked,
                            size_t revoked_count);
