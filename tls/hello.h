/*
 * tls/hello.h — what a ClientHello says about the certificate its sender can take.
 *
 * A listener has two credentials: ECDSA P-256 (small, for devices) and RSA with a chain (for
 * browsers). Which one is served is decided from the ClientHello alone:
 *
 *      only one kind possible      -> that one
 *      both, and a rule matches    -> the rule's, first match wins
 *      both, and none matches      -> looks like a browser (ALPN http/1.1 or h2): RSA, else ECC
 *
 * Pure: no BoringSSL, no allocation; what is read borrows the input. A malformed extension counts
 * as one that is not there: the handshake proper will refuse it with the right alert.
 *
 * Thread: any.
 */
#pragma once

#include "core/must.h"

enum tls_cert { TLS_CERT_NONE = 0, TLS_CERT_ECC, TLS_CERT_RSA };

/* "ecc", "rsa", "none". */
const char *tls_cert_name(enum tls_cert cert);

/* The parts of a ClientHello that matter here, as they came. */
struct tls_hello_parts {
    struct span cipher_suites; /* u16 each */
    struct span extensions;    /* type u16, length u16, body; one after the other */
};

struct tls_hello {
    bool can_ecc;     /* would verify an ECDSA P-256 certificate and its signature */
    bool can_rsa;     /* the same for RSA */
    bool is_1_3;      /* offers TLS 1.3, and we allow it */
    struct span sni;  /* the host name; empty: none */
    struct span alpn; /* the protocol list: length u8, name; one after the other */
};

enum tls_rule_kind { TLS_RULE_ALPN = 0, TLS_RULE_SNI };

/* "When the client's ALPN list holds / its SNI is NAME, serve CERT." */
struct tls_rule {
    enum tls_rule_kind kind;
    enum tls_cert cert;
    const char *name; /* an SNI may be "*.example.org": exactly one label more; case is ignored */
};

/* Read @parts. @allow_1_3: is TLS 1.3 allowed on this listener? */
void tls_hello_read(const struct tls_hello_parts *parts, bool allow_1_3, struct tls_hello *hello);

/**
 * Decide.
 *
 * Bytes:   @rule_count up to TLS_RULES_MAX.
 * Returns: the credential to serve; the only one when just one is there. When the client can
 *          take neither, the ECC one, with which the handshake then fails in the ordinary way.
 */
enum tls_cert tls_hello_choose(const struct tls_hello *hello, bool have_ecc, bool have_rsa,
                               const struct tls_rule *rules, size_t rule_count);
