/*
 * bench/tls.c — see bench/tls.h.
 *
 * The BIO of a connection has no memory of its own: while a call runs it reads from the caller's
 * input and appends to the caller's buffer.
 */
#include "bench/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define READ_BYTES   16384u    /* one record of plaintext */
#define WRITE_BYTES  (1 << 20) /* a piece for SSL_write, which counts in int */
#define HEADER_BYTES 5u

struct tls_layer {
    struct secure_layer calls; /* first: what the workers hold */
    SSL_CTX *context;
    BIO_METHOD *bio_method;
    char host[256];
    bool is_insecure;
};

struct secure {
    const struct tls_layer *layer;
    SSL *ssl;             /* NULL between visits */
    SSL_SESSION *session; /* the newest ticket, or NULL */
    bool is_established;
    bool is_counted;       /* data has come, so the handshake is over */
    uint64_t in_bytes;     /* of this visit */
    uint64_t out_bytes;    /* until the handshake was over */
    uint64_t record_bytes; /* of the last record that was opened */

    /* -- while a call runs -- */
    struct span input;
    struct buffer *out;
};

static const struct tls_layer *tls_layer_of(const struct secure_layer *layer)
{
    return (const struct tls_layer *)layer;
}

/* -- the BIO -- */

static int bio_write(BIO *bio, const char *bytes, int bytes_count)
{
    struct secure *secure = BIO_get_data(bio);

    buffer_append(secure->out, bytes, (size_t)bytes_count);
    if (!secure->is_counted)
        secure->out_bytes += (uint64_t)bytes_count;
    return bytes_count;
}

static int bio_read(BIO *bio, char *room, int room_bytes)
{
    struct secure *secure = BIO_get_data(bio);
    size_t bytes_count = min_size(secure->input.bytes_count, (size_t)room_bytes);

    BIO_clear_retry_flags(bio);
    if (bytes_count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(room, secure->input.data, bytes_count);
    secure->input = span_skip(secure->input, bytes_count);
    secure->in_bytes += bytes_count;
    return (int)bytes_count;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/* -- callbacks of the library -- */

/* How long each record is that comes; only while they are counted. */
static void on_bytes(int is_write, int version, int kind, const void *bytes, size_t bytes_count,
                     SSL *ssl, void *context)
{
    struct secure *secure = context;
    const uint8_t *header = bytes;

    (void)version;
    (void)ssl;
    if (!is_write && kind == SSL3_RT_HEADER && bytes_count == HEADER_BYTES)
        secure->record_bytes = HEADER_BYTES + (uint64_t)(header[3] << 8 | header[4]);
}

/* A ticket came: it replaces the one before. Returns 1: the session is ours now. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct secure *secure = SSL_get_app_data(ssl);

    SSL_SESSION_free(secure->session);
    secure->session = session;
    return 1;
}

static enum ssl_verify_result_t trust_anybody(SSL *ssl, uint8_t *alert)
{
    (void)ssl;
    (void)alert;
    return ssl_verify_ok;
}

/* -- a visit -- */

static struct secure *create(const struct secure_layer *layer)
{
    struct secure *secure = calloc(1, sizeof(*secure));

    must(secure != NULL);
    secure->layer = tls_layer_of(layer);
    return secure;
}

static void end(struct secure *secure)
{
    SSL_free(secure->ssl);
    secure->ssl = NULL;
}

static void destroy(struct secure *secure)
{
    if (secure == NULL)
        return;
    end(secure);
    SSL_SESSION_free(secure->session);
    free(secure);
}

/* The name, or the address, that the certificate must be for. SNI is for names only. */
static void expect_host(struct secure *secure)
{
    const char *host = secure->layer->host;
    X509_VERIFY_PARAM *parameters = SSL_get0_param(secure->ssl);

    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1)
        return;
    ERR_clear_error();
    must(X509_VERIFY_PARAM_set1_host(parameters, host, strlen(host)) == 1);
    must(SSL_set_tlsext_host_name(secure->ssl, host) == 1);
}

static void begin(struct secure *secure, struct buffer *out)
{
    must(secure->ssl == NULL);
    secure->ssl = SSL_new(secure->layer->context);
    BIO *bio = BIO_new(secure->layer->bio_method);
    must(secure->ssl != NULL && bio != NULL);
    BIO_set_data(bio, secure);
    BIO_set_init(bio, 1);
    SSL_set_bio(secure->ssl, bio, bio); /* takes it */
    SSL_set_app_data(secure->ssl, secure);
    SSL_set_msg_callback(secure->ssl, on_bytes);
    SSL_set_msg_callback_arg(secure->ssl, secure);
    SSL_set_connect_state(secure->ssl);
    if (!secure->layer->is_insecure)
        expect_host(secure);
    if (secure->session != NULL)
        must(SSL_set_session(secure->ssl, secure->session) == 1);
    secure->is_established = false;
    secure->is_counted = false;
    secure->in_bytes = 0;
    secure->out_bytes = 0;
    secure->out = out;
    secure->input = span_of(NULL, 0);
    must(SSL_do_handshake(secure->ssl) < 0); /* the ClientHello is out, and an answer is wanted */
}

static enum secure_status fail(struct secure *secure, int result, char *reason)
{
    int error = SSL_get_error(secure->ssl, result);
    uint32_t code = ERR_peek_error();

    if (error == SSL_ERROR_ZERO_RETURN)
        return SECURE_CLOSED;
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        snprintf(reason, SECURE_REASON_BYTES, "the certificate is not trusted: %s",
                 X509_verify_cert_error_string(SSL_get_verify_result(secure->ssl)));
    else
        snprintf(reason, SECURE_REASON_BYTES, "TLS: %s",
                 code != 0 ? ERR_reason_error_string(code) : "the connection broke");
    ERR_clear_error();
    return SECURE_FAILED;
}

/* The first data: whatever came before its record was the handshake. */
static void count_handshake(struct secure *secure, struct secure_tally *tally)
{
    struct secure_handshakes one = {
        .count = 1,
        .in_bytes = secure->in_bytes - secure->record_bytes,
        .out_bytes = secure->out_bytes,
    };

    secure->is_counted = true;
    SSL_set_msg_callback(secure->ssl, NULL);
    secure_handshakes_add(SSL_session_reused(secure->ssl) ? &tally->resumed : &tally->full, &one);
}

static enum secure_status feed(struct secure *secure, struct span input, struct buffer *plain,
                               struct buffer *out, struct secure_tally *tally, char *reason)
{
    secure->input = input;
    secure->out = out;
    for (;;) {
        int result;

        if (!secure->is_established) {
            result = SSL_do_handshake(secure->ssl);
            secure->is_established = result == 1;
        } else {
            uint8_t *room = buffer_extend(plain, READ_BYTES);

            result = SSL_read(secure->ssl, room, (int)READ_BYTES);
            plain->bytes_count -= READ_BYTES - (result > 0 ? (size_t)result : 0);
            if (result > 0 && !secure->is_counted)
                count_handshake(secure, tally);
        }
        if (result > 0)
            continue;
        if (SSL_get_error(secure->ssl, result) != SSL_ERROR_WANT_READ)
            return fail(secure, result, reason);
        return secure->is_established ? SECURE_ESTABLISHED : SECURE_HANDSHAKE;
    }
}

static void seal(struct secure *secure, struct span plain, struct buffer *out)
{
    bool was_counted = secure->is_counted;

    must(secure->is_established);
    secure->out = out;
    secure->is_counted = true; /* data is not the handshake's */
    while (plain.bytes_count > 0) {
        size_t bytes_count = min_size(plain.bytes_count, WRITE_BYTES);

        /* The BIO takes everything, so only a bug or an end of memory could stop it. */
        must(SSL_write(secure->ssl, plain.data, (int)bytes_count) == (int)bytes_count);
        plain = span_skip(plain, bytes_count);
    }
    secure->is_counted = was_counted;
}

static void goodbye(struct secure *secure, struct buffer *out)
{
    if (secure->ssl == NULL || !secure->is_established)
        return;
    secure->out = out;
    (void)SSL_shutdown(secure->ssl); /* 0: sent, and the answer is not waited for */
    ERR_clear_error();
}

/* -- the layer -- */

static bool complain(char *reason, const char *what, const char *word)
{
    uint32_t code = ERR_peek_error();

    snprintf(reason, TLS_REASON_BYTES, "%s \"%s\"%s%s", what, word, code != 0 ? ": " : "",
             code != 0 ? ERR_reason_error_string(code) : "");
    ERR_clear_error();
    return false;
}

MUST_CHECK static bool set_files(SSL_CTX *context, const struct tls_options *options, char *reason)
{
    const char *key_path = options->key_path != NULL ? options->key_path : options->cert_path;

    if (options->ca_path != NULL &&
        SSL_CTX_load_verify_locations(context, options->ca_path, NULL) != 1)
        return complain(reason, "no CA certificate can be read from --ca", options->ca_path);
    if (options->ca_path == NULL)
        (void)SSL_CTX_set_default_verify_paths(context);
    if (options->cert_path == NULL)
        return true;
    if (SSL_CTX_use_certificate_chain_file(context, options->cert_path) != 1)
        return complain(reason, "no certificate can be read from --cert", options->cert_path);
    if (SSL_CTX_use_PrivateKey_file(context, key_path, SSL_FILETYPE_PEM) != 1)
        return complain(reason, "no key that fits the certificate can be read from", key_path);
    return true;
}

MUST_CHECK static bool set_version(SSL_CTX *context, const char *version, char *reason)
{
    uint16_t low = TLS1_2_VERSION;
    uint16_t high = TLS1_3_VERSION;

    if (version != NULL && strcmp(version, "1.2") == 0)
        high = TLS1_2_VERSION;
    else if (version != NULL && strcmp(version, "1.3") == 0)
        low = TLS1_3_VERSION;
    else if (version != NULL)
        return complain(reason, "--tls-version is 1.2 or 1.3, not", version);
    return SSL_CTX_set_min_proto_version(context, low) == 1 &&
           SSL_CTX_set_max_proto_version(context, high) == 1;
}

MUST_CHECK static bool set_signatures(SSL_CTX *context, const char *signatures, char *reason)
{
    static const uint16_t ecdsa[] = {SSL_SIGN_ECDSA_SECP256R1_SHA256};
    static const uint16_t rsa[] = {SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PKCS1_SHA256};

    if (signatures == NULL)
        return true;
    if (strcmp(signatures, "ecdsa") == 0)
        return SSL_CTX_set_verify_algorithm_prefs(context, ecdsa, COUNT_OF(ecdsa)) == 1;
    if (strcmp(signatures, "rsa") == 0)
        return SSL_CTX_set_verify_algorithm_prefs(context, rsa, COUNT_OF(rsa)) == 1;
    return complain(reason, "--signatures is ecdsa or rsa, not", signatures);
}

static const struct secure_layer calls = {
    .create = create,
    .destroy = destroy,
    .begin = begin,
    .feed = feed,
    .seal = seal,
    .goodbye = goodbye,
    .end = end,
};

const struct secure_layer *tls_layer_open(const struct tls_options *options, char *reason)
{
    struct tls_layer *layer = calloc(1, sizeof(*layer));

    must(layer != NULL);
    layer->calls = calls;
    layer->is_insecure = options->is_insecure;
    snprintf(layer->host, sizeof(layer->host), "%s", options->host);
    layer->context = SSL_CTX_new(TLS_client_method());
    layer->bio_method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "smqbench");
    must(layer->context != NULL && layer->bio_method != NULL);
    BIO_meth_set_write(layer->bio_method, bio_write);
    BIO_meth_set_read(layer->bio_method, bio_read);
    BIO_meth_set_ctrl(layer->bio_method, bio_control);
    if (options->is_insecure)
        SSL_CTX_set_custom_verify(layer->context, SSL_VERIFY_PEER, trust_anybody);
    else
        SSL_CTX_set_verify(layer->context, SSL_VERIFY_PEER, NULL);
    if (options->is_resuming) {
        SSL_CTX_set_session_cache_mode(layer->context,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(layer->context, on_session);
    }
    if (set_files(layer->context, options, reason) &&
        set_version(layer->context, options->version, reason) &&
        set_signatures(layer->context, options->signatures, reason))
        return &layer->calls;
    tls_layer_close(&layer->calls);
    return NULL;
}

void tls_layer_close(const struct secure_layer *layer)
{
    if (layer == NULL)
        return;
    struct tls_layer *own = (struct tls_layer *)(uintptr_t)layer;

    SSL_CTX_free(own->context);
    BIO_meth_free(own->bio_method);
    free(own);
}
