/*
 * client/tls_ssl.c — a TLS transport for the client library, over BoringSSL or OpenSSL.
 *
 * Thread: the caller's.
 * Owns:   the TCP connection, the SSL object and its context, from smq_tls_open() to
 *         smq_tls_close().
 * The library reads and writes the non-blocking socket through a BIO of ours, which unlike its own
 * never raises SIGPIPE; every wait is a poll() with a bound.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* MSG_NOSIGNAL, clock_gettime */
#endif
#include "client/tls_ssl.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* -- the BIO -- */

static int bio_write(BIO *bio, const char *bytes, int bytes_count)
{
    struct smq_tls *tls = BIO_get_data(bio);
    ssize_t sent_bytes = send(tls->tcp.fd, bytes, (size_t)bytes_count, MSG_NOSIGNAL);

    BIO_clear_retry_flags(bio);
    if (sent_bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        BIO_set_retry_write(bio);
    else if (sent_bytes < 0)
        tls->tcp.error = errno;
    return (int)sent_bytes;
}

static int bio_read(BIO *bio, char *room, int room_bytes)
{
    struct smq_tls *tls = BIO_get_data(bio);
    ssize_t got_bytes = recv(tls->tcp.fd, room, (size_t)room_bytes, 0);

    BIO_clear_retry_flags(bio);
    if (got_bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        BIO_set_retry_read(bio);
    else if (got_bytes <= 0)
        tls->tcp.error = got_bytes < 0 ? errno : 0;
    return (int)got_bytes;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/* One for the process, made at the first use and never freed. */
static BIO_METHOD *bio_method(void)
{
    static BIO_METHOD *method;

    if (method == NULL) {
        method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "smq");
        if (method == NULL)
            return NULL;
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_ctrl(method, bio_control);
    }
    return method;
}

/* -- errors -- */

/* "@what: the library's reason". Empties the library's queue. */
static bool fail(struct smq_tls *tls, const char *what)
{
    const char *reason = ERR_peek_error() != 0 ? ERR_reason_error_string(ERR_peek_error()) : NULL;

    ERR_clear_error();
    tls->is_tls_error = true;
    snprintf(tls->error, sizeof tls->error, "%.200s%s%.100s", what, reason != NULL ? ": " : "",
             reason != NULL ? reason : "");
    return false;
}

static bool fail_file(struct smq_tls *tls, const char *what, const char *path)
{
    char text[SMQ_TLS_ERROR_BYTES];

    snprintf(text, sizeof text, "%s %.120s", what, path);
    return fail(tls, text);
}

/* -- waiting -- */

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Wait for what the library wants, until @end_ms. 1: ready; 0: not in time, or a signal came;
 * -1: it wants nothing, so it has failed. */
static int wait_for(struct smq_tls *tls, int result, uint64_t end_ms)
{
    int wanted = SSL_get_error(tls->ssl, result);
    uint64_t before_ms = now_ms();
    uint64_t left_ms = end_ms > before_ms ? end_ms - before_ms : 0;
    struct pollfd pollfd = {.fd = tls->tcp.fd};

    if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE)
        return -1;
    pollfd.events = wanted == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    int ready_count = poll(&pollfd, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
    return ready_count < 0 && errno == EINTR ? 0 : ready_count;
}

/* -- opening -- */

static bool load_files(struct smq_tls *tls, const struct smq_tls_options *options)
{
    const char *key_path = options->key_path != NULL ? options->key_path : options->cert_path;

    if (options->ca_path != NULL) {
        if (SSL_CTX_load_verify_locations(tls->context, options->ca_path, NULL) != 1)
            return fail_file(tls, "no CA certificate can be read from", options->ca_path);
    } else {
        (void)SSL_CTX_set_default_verify_paths(tls->context);
    }
    if (options->cert_path == NULL)
        return true;
    if (SSL_CTX_use_certificate_chain_file(tls->context, options->cert_path) != 1)
        return fail_file(tls, "no certificate can be read from", options->cert_path);
    if (SSL_CTX_use_PrivateKey_file(tls->context, key_path, SSL_FILETYPE_PEM) != 1)
        return fail_file(tls, "no private key that fits the certificate can be read from",
                         key_path);
    return true;
}

/* The name, or the address, that the certificate must be for. SNI is for names only. */
static bool expect_host(struct smq_tls *tls, const char *host)
{
    X509_VERIFY_PARAM *parameters = SSL_get0_param(tls->ssl);

    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1)
        return true;
    ERR_clear_error();
    return X509_VERIFY_PARAM_set1_host(parameters, host, strlen(host)) == 1 &&
           SSL_set_tlsext_host_name(tls->ssl, host) == 1;
}

static bool set_up(struct smq_tls *tls, const char *host, const struct smq_tls_options *options)
{
    tls->context = SSL_CTX_new(TLS_client_method());
    if (tls->context == NULL || SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1)
        return fail(tls, "the TLS library does not start");
    SSL_CTX_set_verify(tls->context, options->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (!load_files(tls, options))
        return false;
    tls->ssl = SSL_new(tls->context);
    BIO *bio = bio_method() != NULL ? BIO_new(bio_method()) : NULL;
    if (tls->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        return fail(tls, "no memory for TLS");
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio); /* takes it */
    SSL_set_connect_state(tls->ssl);
    SSL_set_mode(tls->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return expect_host(tls, host) || fail(tls, "the host's name cannot be used for TLS");
}

static bool shake_hands(struct smq_tls *tls, uint32_t timeout_ms)
{
    uint64_t end_ms = now_ms() + timeout_ms;

    for (;;) {
        int result = SSL_do_handshake(tls->ssl);

        if (result == 1)
            return true;
        int ready = wait_for(tls, result, end_ms);
        long verdict = SSL_get_verify_result(tls->ssl);
        if (ready > 0)
            continue;
        if (ready == 0 && now_ms() < end_ms)
            continue; /* a signal */
        if (ready == 0)
            return fail(tls, "no TLS handshake in time");
        /* BoringSSL says "invalid call" while there is no verdict yet. */
        tls->is_distrust = verdict != X509_V_OK && verdict != X509_V_ERR_INVALID_CALL;
        if (tls->is_distrust) {
            tls->is_outdated =
                verdict == X509_V_ERR_CERT_HAS_EXPIRED || verdict == X509_V_ERR_CERT_NOT_YET_VALID;
            ERR_clear_error();
            char text[SMQ_TLS_ERROR_BYTES];
            snprintf(text, sizeof text, "the server's certificate is not trusted: %s",
                     X509_verify_cert_error_string(verdict));
            return fail(tls, text);
        }
        return fail(tls, "the TLS handshake failed");
    }
}

/* -- the transport -- */

static int32_t tls_send(void *context, const void *data, size_t bytes_count, bool more)
{
    struct smq_tls *tls = context;
    uint64_t end_ms = now_ms() + tls->tcp.send_timeout_ms;

    (void)more; /* each call is a record of its own: the library has no way to join them */
    if (bytes_count > 16384)
        bytes_count = 16384;
    for (;;) {
        int result = SSL_write(tls->ssl, data, (int)bytes_count);

        if (result > 0)
            return result;
        int ready = wait_for(tls, result, end_ms);
        if (ready > 0 || (ready == 0 && now_ms() < end_ms))
            continue;
        if (ready == 0)
            tls->tcp.error = ETIMEDOUT;
        else if (SSL_get_error(tls->ssl, result) == SSL_ERROR_SSL)
            (void)fail(tls, "TLS");
        ERR_clear_error();
        return -1;
    }
}

static int32_t tls_recv(void *context, void *room, size_t room_bytes, uint32_t timeout_ms)
{
    struct smq_tls *tls = context;
    uint64_t end_ms = now_ms() + timeout_ms;

    if (room_bytes > INT_MAX)
        room_bytes = INT_MAX;
    for (;;) {
        int result = SSL_read(tls->ssl, room, (int)room_bytes);

        if (result > 0)
            return result;
        int ready = wait_for(tls, result, end_ms);
        if (ready > 0)
            continue; /* perhaps only a part of a record: then again, until the end */
        if (ready == 0)
            return 0;
        if (SSL_get_error(tls->ssl, result) == SSL_ERROR_SSL)
            (void)fail(tls, "TLS");
        ERR_clear_error();
        return -1;
    }
}

bool smq_tls_open(struct smq_tls *tls, const char *host, const char *port,
                  const struct smq_tls_options *options)
{
    *tls = (struct smq_tls){
        .transport = {.send = tls_send, .recv = tls_recv, .context = tls},
        .tcp = {.fd = -1},
    };
    /* The files first: a wrong name need not wait for the network. */
    if (set_up(tls, host, options) && smq_posix_open(&tls->tcp, host, port, options->timeout_ms) &&
        shake_hands(tls, options->timeout_ms))
        return true;
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    smq_posix_close(&tls->tcp);
    tls->ssl = NULL;
    tls->context = NULL;
    return false;
}

void smq_tls_close(struct smq_tls *tls)
{
    if (tls->ssl == NULL)
        return;
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    smq_posix_close(&tls->tcp);
    tls->ssl = NULL;
    tls->context = NULL;
}

const char *smq_tls_error(const struct smq_tls *tls)
{
    return tls->is_tls_error ? tls->error : smq_posix_error(&tls->tcp);
}
