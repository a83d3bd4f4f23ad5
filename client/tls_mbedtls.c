/*
 * client/tls_mbedtls.c — see client/tls_mbedtls.h. Thread: the caller's.
 *
 * Owns: what Mbed TLS allocates, from smq_mbedtls_open() to smq_mbedtls_close().
 */
#include "client/tls_mbedtls.h"

#include <limits.h>
#include <string.h>

/* -- the transport below -- */

static int below_send(void *context, const unsigned char *bytes, size_t bytes_count)
{
    struct smq_mbedtls *tls = context;
    int32_t sent_bytes = tls->below->send(tls->below->context, bytes,
                                          bytes_count < INT_MAX ? bytes_count : INT_MAX, false);

    return sent_bytes > 0 ? (int)sent_bytes : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int below_recv(void *context, unsigned char *room, size_t room_bytes)
{
    struct smq_mbedtls *tls = context;
    int32_t got_bytes = tls->below->recv(tls->below->context, room,
                                         room_bytes < INT_MAX ? room_bytes : INT_MAX, tls->wait_ms);

    if (got_bytes == 0)
        return MBEDTLS_ERR_SSL_WANT_READ; /* not in time */
    return got_bytes > 0 ? (int)got_bytes : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* -- the transport that the library sees -- */

static int32_t tls_send(void *context, const void *data, size_t bytes_count, bool more)
{
    struct smq_mbedtls *tls = context;
    int result = mbedtls_ssl_write(&tls->ssl, data, bytes_count < INT_MAX ? bytes_count : INT_MAX);

    (void)more; /* each call is a record of its own: 29 bytes more for a header and its payload */
    if (result <= 0)
        tls->error = result;
    return result > 0 ? (int32_t)result : -1;
}

static int32_t tls_recv(void *context, void *room, size_t room_bytes, uint32_t timeout_ms)
{
    struct smq_mbedtls *tls = context;

    tls->wait_ms = timeout_ms;
    int result = mbedtls_ssl_read(&tls->ssl, room, room_bytes < INT_MAX ? room_bytes : INT_MAX);
    if (result > 0)
        return (int32_t)result;
    if (result == MBEDTLS_ERR_SSL_WANT_READ)
        return 0;
    tls->error = result; /* 0 and PEER_CLOSE_NOTIFY: an orderly end */
    return -1;
}

/* -- life -- */

static int load(struct smq_mbedtls *tls, const struct smq_mbedtls_options *options)
{
    int result = mbedtls_x509_crt_parse(&tls->ca, options->ca, options->ca_bytes);

    if (result != 0)
        return result < 0 ? result : MBEDTLS_ERR_X509_INVALID_FORMAT; /* so many were damaged */
    mbedtls_ssl_conf_ca_chain(&tls->config, &tls->ca, NULL);
    if (options->cert == NULL)
        return 0;
    result = mbedtls_x509_crt_parse(&tls->cert, options->cert, options->cert_bytes);
    if (result != 0)
        return result < 0 ? result : MBEDTLS_ERR_X509_INVALID_FORMAT;
#if MBEDTLS_VERSION_MAJOR >= 3
    result = mbedtls_pk_parse_key(&tls->key, options->key, options->key_bytes, NULL, 0,
                                  options->random, options->random_context);
#else
    result = mbedtls_pk_parse_key(&tls->key, options->key, options->key_bytes, NULL, 0);
#endif
    return result != 0 ? result : mbedtls_ssl_conf_own_cert(&tls->config, &tls->cert, &tls->key);
}

static int set_up(struct smq_mbedtls *tls, const char *host,
                  const struct smq_mbedtls_options *options)
{
    int result =
        mbedtls_ssl_config_defaults(&tls->config, MBEDTLS_SSL_IS_CLIENT,
                                    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

    if (result != 0)
        return result;
    mbedtls_ssl_conf_authmode(&tls->config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_rng(&tls->config, options->random, options->random_context);
    result = load(tls, options);
    if (result == 0)
        result = mbedtls_ssl_setup(&tls->ssl, &tls->config);
    if (result == 0)
        result = mbedtls_ssl_set_hostname(&tls->ssl, host);
    mbedtls_ssl_set_bio(&tls->ssl, tls, below_send, below_recv, NULL);
    return result;
}

static void free_all(struct smq_mbedtls *tls)
{
    mbedtls_ssl_free(&tls->ssl);
    mbedtls_ssl_config_free(&tls->config);
    mbedtls_x509_crt_free(&tls->ca);
    mbedtls_x509_crt_free(&tls->cert);
    mbedtls_pk_free(&tls->key);
}

bool smq_mbedtls_open(struct smq_mbedtls *tls, const struct smq_transport *below, const char *host,
                      const struct smq_mbedtls_options *options)
{
    memset(tls, 0, sizeof *tls);
    tls->below = below;
    tls->wait_ms = options->timeout_ms;
    tls->transport.send = tls_send;
    tls->transport.recv = tls_recv;
    tls->transport.context = tls;
    mbedtls_ssl_init(&tls->ssl);
    mbedtls_ssl_config_init(&tls->config);
    mbedtls_x509_crt_init(&tls->ca);
    mbedtls_x509_crt_init(&tls->cert);
    mbedtls_pk_init(&tls->key);

    tls->error = set_up(tls, host, options);
    if (tls->error == 0)
        tls->error = mbedtls_ssl_handshake(&tls->ssl); /* WANT_READ: the server was too slow */
    if (tls->error == 0)
        return true;
    tls->verify_flags = mbedtls_ssl_get_verify_result(&tls->ssl);
    if (tls->verify_flags == UINT32_MAX)
        tls->verify_flags = 0; /* it did not come to that */
    free_all(tls);
    return false;
}

void smq_mbedtls_close(struct smq_mbedtls *tls)
{
    tls->wait_ms = 0;
    (void)mbedtls_ssl_close_notify(&tls->ssl);
    free_all(tls);
}
