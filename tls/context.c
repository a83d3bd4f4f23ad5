/*
 * tls/context.c — build one listener's credentials from files. See tls/context.h.
 *
 * Thread: create and the last unref in any; the callbacks at the end run in the I/O thread that
 *         drives the handshake, and only read the context (or go through its own locks).
 * Owns:   the SSL_CTXs, keys, lists and copied rules.
 */
#include "tls/context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tls/handshake.h"
#include "tls/peer.h"
#include "tls/signer.h"
#include "tls/tickets.h"

/* One revocation list, with the hash of its issuer's name. */
struct revocations {
    X509_CRL *crl;
    uint64_t issuer;
};

struct tls_context {
    atomic_uint reference_count;
    SSL_CTX *ecc; /* NULL: this kind is not served */
    SSL_CTX *rsa;
    EVP_PKEY *rsa_key; /* for the signer */
    struct revocations *revocations;
    size_t revocations_count;
    struct tls_rule *rules; /* with names of our own */
    size_t rule_count;
    bool allow_1_3;
    struct tls_tickets *tickets; /* borrowed */
    struct tls_signer *signer;   /* borrowed */
    struct tls_context_facts facts;
    char *expiry_path; /* facts.expiry_path */
};

/* What one call of tls_context_create works with. */
struct building {
    const struct tls_context_options *options;
    struct tls_context *context;
    char *error; /* TLS_ERROR_BYTES */
    STACK_OF(X509) * client_cas;
    uint8_t session_context[SHA256_DIGEST_LENGTH];
};

/* -- errors -- */

PRINTF(2, 3) static bool refuse(struct building *building, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(building->error, TLS_ERROR_BYTES, format, arguments);
    va_end(arguments);
    ERR_clear_error();
    return false;
}

/* The library's own reason for its oldest error. */
static const char *library_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    return reason ? reason : "not readable";
}

/* -- files -- */

static BIO *open_file(struct building *building, const char *path, const char *what)
{
    struct stat facts;

    if (stat(path, &facts) != 0) {
        refuse(building, "%s: cannot read the %s: %s", path, what, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(facts.st_mode) || facts.st_size > (off_t)TLS_CERT_FILE_BYTES_MAX) {
        refuse(building, "%s: the %s must be a plain file of at most %u bytes", path, what,
               TLS_CERT_FILE_BYTES_MAX);
        return NULL;
    }
    BIO *file = BIO_new_file(path, "r");
    if (!file)
        refuse(building, "%s: cannot read the %s: %s", path, what, strerror(errno));
    return file;
}

/* Did a loop of PEM_read end because there is nothing more, and not because of a bad block? */
static bool pem_at_end(void)
{
    unsigned error = (unsigned)ERR_peek_last_error();
    bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;

    if (at_end)
        ERR_clear_error();
    return at_end;
}

/* All certificates of a PEM file, at least one. NULL: refused. */
static STACK_OF(X509) *
    read_certificates(struct building *building, const char *path, const char *what)
{
    BIO *file = open_file(building, path, what);
    if (!file)
        return NULL;

    STACK_OF(X509) *certificates = sk_X509_new_null();
    must(certificates);
    for (X509 *one; (one = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL;)
        must(sk_X509_push(certificates, one) > 0);
    BIO_free(file);
    bool good = pem_at_end();
    if (good && sk_X509_num(certificates) > 0)
        return certificates;

    if (good)
        refuse(building, "%s: no certificate in this file (expected: the %s, in PEM form)", path,
               what);
    else
        refuse(building, "%s: a certificate in this file is damaged: %s", path, library_reason());
    sk_X509_pop_free(certificates, X509_free);
    return NULL;
}

static EVP_PKEY *read_key(struct building *building, const char *path)
{
    BIO *file = open_file(building, path, "private key");
    if (!file)
        return NULL;
    /* The callback that answers nothing: an encrypted key must not ask on the terminal. */
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, NULL, (void *)(uintptr_t) "");
    BIO_free(file);
    if (!key)
        refuse(building,
               "%s: no private key that can be read (PEM, not encrypted, is expected): %s", path,
               library_reason());
    return key;
}

/* -- credentials -- */

/* Borrow a certificate's public key; NULL: of a kind we do not know. */
static EVP_PKEY *public_key(X509 *certificate)
{
    EVP_PKEY *key = X509_get_pubkey(certificate);

    EVP_PKEY_free(key); /* the certificate holds it as well */
    if (!key)
        ERR_clear_error();
    return key;
}

static bool check_kind(struct building *building, const char *path, enum tls_cert cert,
                       X509 *certificate)
{
    const EVP_PKEY *key = public_key(certificate);

    if (cert == TLS_CERT_ECC) {
        const EC_KEY *ec = key ? EVP_PKEY_get0_EC_KEY(key) : NULL;
        if (!ec || EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) != NID_X9_62_prime256v1) {
            return refuse(building, "%s: the ecc credential needs an ECDSA P-256 certificate",
                          path);
        }
        return true;
    }
    unsigned bits = key ? (unsigned)EVP_PKEY_bits(key) : 0;
    if (bits == 0 || EVP_PKEY_id(key) != EVP_PKEY_RSA || bits < TLS_RSA_BITS_MIN ||
        bits > TLS_RSA_BITS_MAX)
        return refuse(building, "%s: the rsa credential needs an RSA certificate of %u to %u bits",
                      path, TLS_RSA_BITS_MIN, TLS_RSA_BITS_MAX);
    return true;
}

static void note_expiry(struct building *building, STACK_OF(X509) * chain, const char *path)
{
    struct tls_context *context = building->context;

    for (size_t i = 0; i < sk_X509_num(chain); i++) {
        int64_t expiry_s = tls_time_s(X509_get0_notAfter(sk_X509_value(chain, i)));

        if (context->facts.expiry_path && expiry_s >= context->facts.expiry_s)
            continue;
        char *copy = strdup(path);
        must(copy);
        free(context->expiry_path);
        context->expiry_path = copy;
        context->facts.expiry_path = copy;
        context->facts.expiry_s = expiry_s;
    }
}

static size_t chain_bytes(STACK_OF(X509) * chain)
{
    size_t bytes = 0;

    for (size_t i = 0; i < sk_X509_num(chain); i++)
        bytes += (size_t)i2d_X509(sk_X509_value(chain, i), NULL);
    return bytes;
}

/* Put chain and key into an SSL_CTX. An RSA key goes to the signer when there is one. */
static bool install(struct building *building, SSL_CTX *ssl_context, enum tls_cert cert,
                    STACK_OF(X509) * chain, EVP_PKEY *key);

static SSL_CTX *new_ssl_context(struct building *building);

/* Read and check one credential; *made is its SSL_CTX. */
static bool build_credential(struct building *building, enum tls_cert cert,
                             const struct tls_cert_files *files, SSL_CTX **made)
{
    bool good = false;
    EVP_PKEY *key = NULL;
    STACK_OF(X509) *chain = read_certificates(building, files->chain_path, "certificate");

    if (chain && check_kind(building, files->chain_path, cert, sk_X509_value(chain, 0)))
        key = read_key(building, files->key_path);
    if (key) {
        good = X509_check_private_key(sk_X509_value(chain, 0), key) == 1;
        if (!good)
            refuse(building, "%s: this key does not belong to the certificate in %s",
                   files->key_path, files->chain_path);
    }
    if (good) {
        *made = new_ssl_context(building);
        good = *made && install(building, *made, cert, chain, key);
    }
    if (good)
        note_expiry(building, chain, files->chain_path);
    EVP_PKEY_free(key);
    sk_X509_pop_free(chain, X509_free);
    return good;
}

/* -- client certificates -- */

static bool read_client_cas(struct building *building)
{
    const struct tls_context_options *options = building->options;

    if (options->client_auth == TLS_CLIENT_OFF)
        return true;
    if (!options->client_ca_path)
        return refuse(building, "%s: client certificates are asked for, but no client CA is given",
                      options->name);
    building->client_cas =
        read_certificates(building, options->client_ca_path, "client CA certificate");
    if (!building->client_cas)
        return false;

    int64_t expiry_s = INT64_MAX;
    for (size_t i = 0; i < sk_X509_num(building->client_cas); i++) {
        X509 *ca = sk_X509_value(building->client_cas, i);
        if (X509_check_ca(ca) != 1)
            return refuse(building, "%s: certificate %zu in this file is not one of a CA",
                          options->client_ca_path, i + 1);
        int64_t one_s = tls_time_s(X509_get0_notAfter(ca));
        expiry_s = one_s < expiry_s ? one_s : expiry_s;
    }
    building->context->facts.client_ca_expiry_s = expiry_s;
    return true;
}

/* Is the list signed by one of our client CAs? */
static bool crl_is_ours(const struct building *building, X509_CRL *crl)
{
    for (size_t i = 0; i < sk_X509_num(building->client_cas); i++) {
        X509 *ca = sk_X509_value(building->client_cas, i);
        EVP_PKEY *key = public_key(ca);

        if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(ca)) == 0 && key &&
            X509_CRL_verify(crl, key) == 1)
            return true;
    }
    return false;
}

static bool take_crl(struct building *building, X509_CRL *crl)
{
    struct tls_context *context = building->context;
    const char *path = building->options->client_crl_path;

    if (!crl_is_ours(building, crl)) {
        X509_CRL_free(crl);
        return refuse(building, "%s: this revocation list is not signed by a CA in %s", path,
                      building->options->client_ca_path);
    }
    struct revocations *grown =
        realloc(context->revocations, (context->revocations_count + 1) * sizeof(*grown));
    must(grown);
    context->revocations = grown;
    grown[context->revocations_count++] =
        (struct revocations){crl, tls_name_hash(X509_CRL_get_issuer(crl))};

    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
    int64_t expiry_s = next ? tls_time_s(next) : INT64_MAX;
    if (expiry_s < context->facts.crl_expiry_s)
        context->facts.crl_expiry_s = expiry_s;
    return true;
}

static bool read_crls(struct building *building)
{
    const char *path = building->options->client_crl_path;

    building->context->facts.crl_expiry_s = INT64_MAX;
    if (!path)
        return true;
    if (building->options->client_auth == TLS_CLIENT_OFF)
        return refuse(building,
                      "%s: a revocation list is given, but no client certificates are "
                      "asked for",
                      path);
    BIO *file = open_file(building, path, "revocation list");
    if (!file)
        return false;
    bool good = true;
    for (X509_CRL *crl; good && (crl = PEM_read_bio_X509_CRL(file, NULL, NULL, NULL)) != NULL;)
        good = take_crl(building, crl);
    BIO_free(file);
    if (!good)
        return false;
    if (!pem_at_end())
        return refuse(building, "%s: the revocation list is damaged: %s", path, library_reason());
    if (building->context->revocations_count == 0)
        return refuse(building, "%s: no revocation list in this file (PEM is expected)", path);
    return true;
}

/* A session may be resumed only where the same rules hold: same listener, same client CAs. */
static void make_session_context(struct building *building)
{
    const struct tls_context_options *options = building->options;
    uint8_t policy[3] = {(uint8_t)options->client_auth, options->client_verdict_late,
                         (uint8_t)options->version_min};
    SHA256_CTX hash;

    SHA256_Init(&hash);
    SHA256_Update(&hash, options->name, strlen(options->name) + 1);
    SHA256_Update(&hash, policy, sizeof(policy));
    for (size_t i = 0; i < sk_X509_num(building->client_cas); i++) {
        uint8_t digest[SHA256_DIGEST_LENGTH];
        unsigned digest_bytes = 0;
        must(X509_digest(sk_X509_value(building->client_cas, i), EVP_sha256(), digest,
                         &digest_bytes) == 1);
        SHA256_Update(&hash, digest, digest_bytes);
    }
    SHA256_Final(building->session_context, &hash);
}

/* -- callbacks: run inside SSL_do_handshake, in an I/O thread -- */

static struct tls_context *context_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static enum ssl_select_cert_result_t on_client_hello(const SSL_CLIENT_HELLO *client_hello)
{
    struct tls_context *context = context_of(client_hello->ssl);
    struct tls_handshake *handshake = tls_engine_of(client_hello->ssl)->handshake;
    struct tls_hello_parts parts = {
        span_of(client_hello->cipher_suites, client_hello->cipher_suites_len),
        span_of(client_hello->extensions, client_hello->extensions_len),
    };
    struct tls_hello hello;

    tls_hello_read(&parts, context->allow_1_3, &hello);
    handshake->cert = tls_hello_choose(&hello, context->facts.have_ecc, context->facts.have_rsa,
                                       context->rules, context->rule_count);
    SSL_CTX *chosen = handshake->cert == TLS_CERT_ECC ? context->ecc : context->rsa;
    return SSL_set_SSL_CTX(client_hello->ssl, chosen) ? ssl_select_cert_success
                                                      : ssl_select_cert_error;
}

/* We speak HTTP/1.1 (and SMQ inside it). A client that offers only others is left alone: old
 * devices offer what their library offers by default. */
static int on_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_bytes, const uint8_t *in,
                   unsigned in_bytes, void *context)
{
    static const uint8_t http_1_1[] = "\x08http/1.1";

    (void)ssl;
    (void)context;
    int result = SSL_select_next_proto((uint8_t **)(uintptr_t)out, out_bytes, http_1_1,
                                       sizeof(http_1_1) - 1, in, in_bytes);
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* Note the alerts that BoringSSL sends, for the log. */
static void on_info(const SSL *ssl, int event, int value)
{
    if (event == SSL_CB_WRITE_ALERT)
        tls_engine_of(ssl)->handshake->alert = (uint8_t)(value & 0xFF);
}

/* With client_verdict_late: note what is wrong (BoringSSL keeps it as the verify result), go on. */
static int on_verify_late(int good, X509_STORE_CTX *store)
{
    (void)good;
    (void)store;
    return 1;
}

static uint64_t ticket_clock_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec;
}

static size_t on_ticket_overhead(SSL *ssl)
{
    (void)ssl;
    return TLS_TICKET_OVERHEAD_BYTES;
}

static int on_ticket_seal(SSL *ssl, uint8_t *out, size_t *out_bytes, size_t out_bytes_max,
                          const uint8_t *in, size_t in_bytes)
{
    if (out_bytes_max < in_bytes + TLS_TICKET_OVERHEAD_BYTES)
        return 0;
    return tls_tickets_seal(context_of(ssl)->tickets, ticket_clock_s(), span_of(in, in_bytes), out,
                            out_bytes);
}

static enum ssl_ticket_aead_result_t on_ticket_open(SSL *ssl, uint8_t *out, size_t *out_bytes,
                                                    size_t out_bytes_max, const uint8_t *in,
                                                    size_t in_bytes)
{
    if (out_bytes_max < in_bytes)
        return ssl_ticket_aead_ignore_ticket;
    return tls_tickets_open_one(context_of(ssl)->tickets, ticket_clock_s(), span_of(in, in_bytes),
                                out, out_bytes)
               ? ssl_ticket_aead_success
               : ssl_ticket_aead_ignore_ticket;
}

static const SSL_TICKET_AEAD_METHOD ticket_method = {
    .max_overhead = on_ticket_overhead,
    .seal = on_ticket_seal,
    .open = on_ticket_open,
};

static enum ssl_private_key_result_t on_sign(SSL *ssl, uint8_t *out, size_t *out_bytes,
                                             size_t out_bytes_max, uint16_t algorithm,
                                             const uint8_t *in, size_t in_bytes)
{
    struct tls_context *context = context_of(ssl);
    struct tls_handshake *handshake = tls_engine_of(ssl)->handshake;

    (void)out;
    (void)out_bytes;
    (void)out_bytes_max;
    must(!handshake->job);
    if (in_bytes > TLS_SIGN_INPUT_BYTES_MAX)
        return ssl_private_key_failure;
    handshake->job = tls_signer_submit(context->signer, context->rsa_key, algorithm,
                                       span_of(in, in_bytes), handshake->token);
    if (!handshake->job) {
        handshake->fail = TLS_FAIL_SIGNER_BUSY;
        return ssl_private_key_failure;
    }
    return ssl_private_key_retry;
}

static enum ssl_private_key_result_t on_sign_complete(SSL *ssl, uint8_t *out, size_t *out_bytes,
                                                      size_t out_bytes_max)
{
    struct tls_handshake *handshake = tls_engine_of(ssl)->handshake;

    switch (tls_sign_take(handshake->job, out, out_bytes_max, out_bytes)) {
    case TLS_SIGNED_NOT_YET:
        return ssl_private_key_retry;
    case TLS_SIGNED_DONE:
        handshake->job = NULL;
        return ssl_private_key_success;
    case TLS_SIGNED_FAILED:
        handshake->job = NULL;
        return ssl_private_key_failure;
    }
    must(false && "an unknown result of a signature");
}

/* RSA key exchange, the only use of decrypt, is not among our suites. */
static enum ssl_private_key_result_t on_decrypt(SSL *ssl, uint8_t *out, size_t *out_bytes,
                                                size_t out_bytes_max, const uint8_t *in,
                                                size_t in_bytes)
{
    (void)ssl;
    (void)out;
    (void)out_bytes;
    (void)out_bytes_max;
    (void)in;
    (void)in_bytes;
    return ssl_private_key_failure;
}

static const SSL_PRIVATE_KEY_METHOD sign_method = {
    .sign = on_sign,
    .decrypt = on_decrypt,
    .complete = on_sign_complete,
};

/* -- SSL_CTX -- */

/* ECDHE with AEAD only. Within the brackets the client's own order counts: a device without AES
 * in hardware puts ChaCha20 first. TLS 1.3 suites are not configurable; all three are AEAD. */
static const char suites_1_2[] = "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305|"
                                 "ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]:"
                                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

static void note_facts(struct tls_context_facts *facts, enum tls_cert cert, STACK_OF(X509) * chain)
{
    X509 *leaf = sk_X509_value(chain, 0);
    bool is_ecc = cert == TLS_CERT_ECC;

    *(is_ecc ? &facts->have_ecc : &facts->have_rsa) = true;
    *(is_ecc ? &facts->ecc_chain_bytes : &facts->rsa_chain_bytes) = chain_bytes(chain);
    *(is_ecc ? &facts->ecc_expiry_s : &facts->rsa_expiry_s) = tls_time_s(X509_get0_notAfter(leaf));
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName,
                                    is_ecc ? facts->ecc_subject : facts->rsa_subject,
                                    TLS_SUBJECT_BYTES);
}

static bool install(struct building *building, SSL_CTX *ssl_context, enum tls_cert cert,
                    STACK_OF(X509) * chain, EVP_PKEY *key)
{
    struct tls_context *context = building->context;

    must(SSL_CTX_use_certificate(ssl_context, sk_X509_value(chain, 0)) == 1);
    for (size_t i = 1; i < sk_X509_num(chain); i++)
        must(SSL_CTX_add1_chain_cert(ssl_context, sk_X509_value(chain, i)) == 1);
    note_facts(&context->facts, cert, chain);
    if (cert == TLS_CERT_RSA && context->signer) {
        EVP_PKEY_up_ref(key);
        context->rsa_key = key;
        SSL_CTX_set_private_key_method(ssl_context, &sign_method);
        return true;
    }
    if (SSL_CTX_use_PrivateKey(ssl_context, key) != 1)
        return refuse(building, "%s: the key cannot be used: %s", building->options->name,
                      library_reason());
    return true;
}

static void configure_client_auth(struct building *building, SSL_CTX *ssl_context)
{
    const struct tls_context_options *options = building->options;

    if (options->client_auth == TLS_CLIENT_OFF)
        return;
    X509_STORE *store = SSL_CTX_get_cert_store(ssl_context);
    for (size_t i = 0; i < sk_X509_num(building->client_cas); i++) {
        X509 *ca = sk_X509_value(building->client_cas, i);
        must(X509_STORE_add_cert(store, ca) == 1);
        must(SSL_CTX_add_client_CA(ssl_context, ca) == 1);
    }
    for (size_t i = 0; i < building->context->revocations_count; i++)
        must(X509_STORE_add_crl(store, building->context->revocations[i].crl) == 1);
    if (building->context->revocations_count > 0)
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);

    bool late = options->client_verdict_late;
    int mode = SSL_VERIFY_PEER;
    if (options->client_auth == TLS_CLIENT_REQUIRED && !late)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl_context, mode, late ? on_verify_late : NULL);
}

/* All contexts of a listener are configured alike: not every option follows SSL_set_SSL_CTX. */
static SSL_CTX *new_ssl_context(struct building *building)
{
    const struct tls_context_options *options = building->options;
    struct tls_context *context = building->context;
    SSL_CTX *ssl_context = SSL_CTX_new(TLS_server_method());

    must(ssl_context);
    SSL_CTX_set_app_data(ssl_context, context);
    must(SSL_CTX_set_min_proto_version(ssl_context, options->version_min == TLS_1_3
                                                        ? TLS1_3_VERSION
                                                        : TLS1_2_VERSION) == 1);
    must(SSL_CTX_set_max_proto_version(ssl_context, TLS1_3_VERSION) == 1);
    must(SSL_CTX_set_strict_cipher_list(ssl_context, suites_1_2) == 1);
    must(SSL_CTX_set1_curves_list(ssl_context, "X25519:P-256:P-384") == 1);
    SSL_CTX_set_options(ssl_context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_max_cert_list(ssl_context, 16384);
    SSL_CTX_set_select_certificate_cb(ssl_context, on_client_hello);
    SSL_CTX_set_alpn_select_cb(ssl_context, on_alpn, NULL);
    SSL_CTX_set_info_callback(ssl_context, on_info);

    SSL_CTX_set_session_cache_mode(ssl_context, SSL_SESS_CACHE_OFF);
    must(SSL_CTX_set_session_id_context(ssl_context, building->session_context,
                                        sizeof(building->session_context)) == 1);
    if (options->tickets) {
        uint32_t lifetime_s = tls_tickets_lifetime_s(options->tickets);
        SSL_CTX_set_ticket_aead_method(ssl_context, &ticket_method);
        SSL_CTX_set_timeout(ssl_context, lifetime_s);
        SSL_CTX_set_session_psk_dhe_timeout(ssl_context, lifetime_s);
        /* One ticket is what a device can use; BoringSSL's default of two doubles the bytes. */
        must(SSL_CTX_set_num_tickets(ssl_context, 1) == 1);
    } else {
        SSL_CTX_set_options(ssl_context, SSL_OP_NO_TICKET);
    }
    configure_client_auth(building, ssl_context);
    return ssl_context;
}

SSL *tls_context_ssl(struct tls_context *context)
{
    SSL *ssl = SSL_new(context->facts.have_ecc ? context->ecc : context->rsa);

    if (!ssl)
        return NULL;
    SSL_set_accept_state(ssl);
    SSL_set_shed_handshake_config(ssl, 1);
    return ssl;
}

/* -- life -- */

static void context_free(struct tls_context *context)
{
    SSL_CTX_free(context->ecc);
    SSL_CTX_free(context->rsa);
    EVP_PKEY_free(context->rsa_key);
    for (size_t i = 0; i < context->revocations_count; i++)
        X509_CRL_free(context->revocations[i].crl);
    free(context->revocations);
    for (size_t i = 0; i < context->rule_count; i++)
        free((char *)(uintptr_t)context->rules[i].name);
    free(context->rules);
    free(context->expiry_path);
    free(context);
}

static bool copy_rules(struct building *building)
{
    const struct tls_context_options *options = building->options;
    struct tls_context *context = building->context;

    if (options->rule_count > TLS_RULES_MAX)
        return refuse(building, "%s: at most %u certificate rules are possible", options->name,
                      TLS_RULES_MAX);
    context->rules = calloc(options->rule_count + 1, sizeof(*context->rules));
    must(context->rules);
    for (size_t i = 0; i < options->rule_count; i++) {
        context->rules[i] = options->rules[i];
        context->rules[i].name = strdup(options->rules[i].name);
        must(context->rules[i].name);
        context->rule_count = i + 1;
    }
    return true;
}

static bool build(struct building *building)
{
    const struct tls_context_options *options = building->options;
    struct tls_context *context = building->context;

    if (!options->ecc.chain_path && !options->rsa.chain_path)
        return refuse(building, "%s: a TLS listener needs a certificate (ecc, rsa or both)",
                      options->name);
    if (!copy_rules(building) || !read_client_cas(building) || !read_crls(building))
        return false;
    make_session_context(building);
    if (options->ecc.chain_path &&
        !build_credential(building, TLS_CERT_ECC, &options->ecc, &context->ecc))
        return false;
    if (options->rsa.chain_path &&
        !build_credential(building, TLS_CERT_RSA, &options->rsa, &context->rsa))
        return false;
    return true;
}

struct tls_context *tls_context_create(const struct tls_context_options *options, char *error)
{
    struct tls_context *context = calloc(1, sizeof(*context));
    struct building building = {.options = options, .context = context, .error = error};

    must(context);
    error[0] = 0;
    ERR_clear_error();
    atomic_init(&context->reference_count, 1);
    context->allow_1_3 = true;
    context->tickets = options->tickets;
    context->signer = options->signer;
    context->facts.compact = options->compact;
    context->facts.client_auth = options->client_auth;
    context->facts.client_verdict_late = options->client_verdict_late;

    bool good = build(&building);
    sk_X509_pop_free(building.client_cas, X509_free);
    if (good)
        return context;
    context_free(context);
    return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->reference_count, 1, memory_order_relaxed);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context)
        return;
    unsigned before = atomic_fetch_sub_explicit(&context->reference_count, 1, memory_order_acq_rel);
    must(before > 0);
    if (before == 1)
        context_free(context);
}

/* -- questions -- */

const struct tls_context_facts *tls_context_facts(const struct tls_context *context)
{
    return &context->facts;
}

int64_t tls_days_left(int64_t expiry_s, int64_t now_s)
{
    int64_t left_s = expiry_s - now_s;

    return left_s >= 0 ? left_s / 86400 : -((-left_s + 86399) / 86400);
}

static bool is_revoked(X509_CRL *crl, const struct tls_peer *peer)
{
    X509_REVOKED *entry = NULL;
    ASN1_INTEGER *serial = ASN1_INTEGER_new();

    must(serial && ASN1_STRING_set(serial, peer->serial, peer->serial_bytes) == 1);
    int found = X509_CRL_get0_by_serial(crl, &entry, serial);
    ASN1_INTEGER_free(serial);
    return found == 1; /* 2 is "removed from the list" */
}

enum tls_fail tls_context_judge(const struct tls_context *context, const struct tls_peer *peer,
                                int64_t now_s)
{
    for (size_t i = 0; i < context->revocations_count; i++) {
        if (context->revocations[i].issuer == peer->issuer &&
            is_revoked(context->revocations[i].crl, peer))
            return TLS_FAIL_CERTIFICATE_REVOKED;
    }
    return now_s > peer->not_after_s ? TLS_FAIL_CERTIFICATE_EXPIRED : TLS_FAIL_NONE;
}
