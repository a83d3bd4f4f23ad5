/*
 * tls/peer.h — what is kept of a client's certificate after the handshake.
 *
 * About 150 bytes instead of the certificate: enough to name the client, bind it to a UID, and
 * find it on a revocation list later. One allocation, owned by the connection.
 */
#pragma once

#include <openssl/x509.h>

#include "core/mem.h"
#include "tls/failure.h"
#include "tls/limits.h"

struct tls_peer {
    uint8_t sha256[32];     /* of the whole certificate */
    uint64_t issuer;        /* of the issuer's name, see tls_name_hash */
    int64_t not_after_s;    /* Unix time */
    enum tls_fail verdict;  /* TLS_FAIL_NONE: verified. Else only with client_verdict_late */
    uint8_t serial_bytes;   /* big-endian, at most TLS_SERIAL_BYTES_MAX */
    uint8_t identity_bytes; /* without the 0 */
    uint8_t issuer_bytes;   /* of the text, without the 0 */
    uint16_t sans_bytes;    /* with the 0 behind each */
    uint8_t serial[TLS_SERIAL_BYTES_MAX];
    /* The first SAN (DNS, e-mail, URI), else the CN; 0-terminated; may be empty. Behind it the
     * issuer's text and the SANs. */
    char identity[];
};

/* The issuer's name as RFC 2253 writes it, cut at TLS_NAME_BYTES_MAX; and the SANs that are text
 * (DNS, e-mail, URI) or an address, each with a 0 behind it, as many as TLS_SANS_BYTES_MAX has room
 * for. Both belong to @peer. */
struct span tls_peer_issuer(const struct tls_peer *peer);
struct span tls_peer_sans(const struct tls_peer *peer);

/* NULL: no memory. Gives: the peer; tls_peer_free with the same kind of account. */
MUST_CHECK struct tls_peer *tls_peer_read(struct mem *mem, X509 *certificate);
void tls_peer_free(struct mem *mem, struct tls_peer *peer); /* NULL is fine */
size_t tls_peer_bytes(const struct tls_peer *peer);         /* as allocated; 0 for NULL */

/* 64 bits of SHA-256 over a name's DER: enough to tell the few CAs of one listener apart. */
uint64_t tls_name_hash(const X509_NAME *name);

/* A certificate's time as Unix time. */
int64_t tls_time_s(const ASN1_TIME *time);

/* What X509_verify_cert's error means for our counters. */
enum tls_fail tls_fail_of_verify(long verify_error);
