/*
 * tls/failure.h — the ways in which a TLS connection ends badly, as operators count them.
 *
 * One list: name, the counter's help text. A failure also carries a text for the log (static, or
 * of BoringSSL's tables: never freed) and the alert that the peer was sent.
 */
#pragma once

#include <stdint.h>

/* name, help */
#define TLS_FAILS(X)                                                                               \
    X(NONE, "nothing failed")                                                                      \
    X(PLAIN_TEXT, "the client spoke plain text (HTTP) on a TLS port")                              \
    X(GARBAGE, "the first bytes were no TLS record")                                               \
    X(VERSION, "the client speaks no version that this listener allows")                           \
    X(NO_SHARED_CIPHER, "no cipher suite, group or signature algorithm in common")                 \
    X(BAD_HANDSHAKE, "a handshake message was malformed or out of order")                          \
    X(CERTIFICATE_MISSING, "the client sent no certificate where one is required")                 \
    X(CERTIFICATE_BAD, "the client's certificate does not verify")                                 \
    X(CERTIFICATE_EXPIRED, "the client's certificate is out of its time")                          \
    X(CERTIFICATE_REVOKED, "the client's certificate is on the revocation list")                   \
    X(ALERT, "the client ended the connection with an alert")                                      \
    X(RECORD_OVERFLOW, "a record was larger than the protocol allows")                             \
    X(BAD_RECORD, "a record did not decrypt, or its type or version was wrong")                    \
    X(UNEXPECTED, "a message came that has no place after the handshake")                          \
    X(FLOOD, "too many empty records, warnings or key updates without data")                       \
    X(SIGNER_BUSY, "the queue of RSA signatures was full")                                         \
    X(NO_MEMORY, "the memory limit was reached")                                                   \
    X(INTERNAL, "the TLS library failed for a reason of its own")

enum tls_fail {
#define X(name, help) TLS_FAIL_##name,
    TLS_FAILS(X)
#undef X
        TLS_FAIL_COUNT
};

struct tls_failure {
    enum tls_fail kind;
    uint8_t alert;    /* what the peer was, or must be, told: RFC 8446 §6 */
    const char *text; /* for the log; constant */
};

/* "PLAIN_TEXT", and the sentence. Any thread. */
const char *tls_fail_name(enum tls_fail kind);
const char *tls_fail_help(enum tls_fail kind);
