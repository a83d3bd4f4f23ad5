/*
 * tls/context.h — the credentials and the policy of one listener, built whole or not at all.
 *
 *      files --tls_context_create--> struct tls_context --ref--> each handshake
 *                                          ^
 *      reload: build a new one, swap the listener's pointer, unref the old one
 *
 * Immutable once built, so a reload is a pointer's change: handshakes under way finish with what
 * they began with, and a bad file leaves the old context in force. Holds up to two credentials
 * (tls/hello.h chooses), the client CA with its revocation list, and the policy. Tickets and the
 * signer outlive contexts: they are the listener's and the broker's.
 *
 * Thread: create in any one; afterwards any number may use it at a time.
 */
#pragma once

#include "core/must.h"
#include "tls/hello.h"
#include "tls/limits.h"
#include "tls/record.h"

struct tls_context;
struct tls_peer;
struct tls_signer;
struct tls_tickets;

enum tls_client_auth {
    TLS_CLIENT_OFF = 0,  /* no certificate is asked for */
    TLS_CLIENT_OPTIONAL, /* asked for; one that is sent must verify */
    TLS_CLIENT_REQUIRED, /* no certificate, no connection */
};

/* A certificate with its chain, and its key, as PEM files. Both NULL: this kind is not served. */
struct tls_cert_files {
    const char *chain_path;
    const char *key_path; /* may be the same file */
};

struct tls_context_options {
    const char *name;          /* the listener, for messages; sessions are bound to it */
    struct tls_cert_files ecc; /* ECDSA P-256; at least one of the two */
    struct tls_cert_files rsa; /* 2048 to 4096 bits */
    enum tls_client_auth client_auth;
    const char *client_ca_path;  /* PEM; needed unless client_auth is OFF */
    const char *client_crl_path; /* PEM; NULL: nothing is revoked */
    /* Let the handshake succeed without a good certificate and leave the answer (Connack 4 or 5)
     * to the session: tls_peer.verdict, and a peer of NULL, must then be looked at. */
    bool client_verdict_late;
    enum tls_version version_min;
    bool compact;                 /* false: keep the SSL objects ("tls.compact = off") */
    const struct tls_rule *rules; /* copied */
    size_t rule_count;
    struct tls_tickets *tickets; /* borrowed; NULL: no resumption */
    struct tls_signer *signer;   /* borrowed; NULL: RSA signatures are made in place */
};

#define TLS_ERROR_BYTES 512u /* room for the longest message: a path and a reason */

/**
 * Read all files and check that they belong together.
 *
 * Gives:   a context with one reference.
 * Returns: NULL when anything is wrong; @error (TLS_ERROR_BYTES) then names file and reason.
 * Cost:    some milliseconds; for the control thread.
 */
MUST_CHECK struct tls_context *tls_context_create(const struct tls_context_options *options,
                                                  char *error);

struct tls_context *tls_context_ref(struct tls_context *context); /* returns @context */
void tls_context_unref(struct tls_context *context);              /* NULL is fine */

#define TLS_SUBJECT_BYTES 80u

/* What is served, for logs and statistics. */
struct tls_context_facts {
    bool have_ecc;
    bool have_rsa;
    bool compact;
    enum tls_client_auth client_auth;
    bool client_verdict_late;
    int64_t expiry_s;        /* Unix time: the first of our own certificates to expire */
    const char *expiry_path; /* its file */
    int64_t client_ca_expiry_s;
    int64_t crl_expiry_s;   /* when a fresher list was promised: after it, all clients fail */
    size_t ecc_chain_bytes; /* DER of all certificates that are sent */
    size_t rsa_chain_bytes;
    int64_t ecc_expiry_s; /* of the server's own certificate alone */
    int64_t rsa_expiry_s;
    char ecc_subject[TLS_SUBJECT_BYTES]; /* its common name, maybe cut; "" when it has none */
    char rsa_subject[TLS_SUBJECT_BYTES];
};

const struct tls_context_facts *tls_context_facts(const struct tls_context *context);

/* The 21 days from which on an expiry is warned about, and whole days left (negative: over). */
#define TLS_EXPIRY_WARNING_DAYS 21
int64_t tls_days_left(int64_t expiry_s, int64_t now_s);

/**
 * Is this client certificate still good under @context? For resumed sessions, and for live
 * connections after a reload.
 *
 * Returns: TLS_FAIL_NONE, TLS_FAIL_CERTIFICATE_REVOKED or TLS_FAIL_CERTIFICATE_EXPIRED.
 */
MUST_CHECK enum tls_fail tls_context_judge(const struct tls_context *context,
                                           const struct tls_peer *peer, int64_t now_s);
