/*
 * tests/unit/tls/fixture.h — what the tests of tls/ share: a CA of their own, a listener made from
 * it, and a client in the same process (BoringSSL's) connected by two buffers.
 *
 *      client SSL --to_server--> feed --> tls_conn      one step at a time, no socket
 *                 <--to_client-- sink <--
 */
#pragma once

#include <openssl/ssl.h>

#include "core/mem.h"
#include "tls/ca.h"
#include "tls/conn.h"
#include "tls/context.h"
#include "tls/signer.h"
#include "tls/tickets.h"

#define FIXTURE_ROOM 262144u

/* Credentials made once for the program, in a folder that fixture_remove takes away. */
struct credentials {
    char folder[64];
    struct tls_ca_server server;
    struct tls_ca_device device;
    char crl_path[PATH_MAX];
};

struct credentials *credentials_get(void);
void credentials_remove(void);

/* A server of one connection, and its client. */
struct duplex {
    struct mem_budget budget;
    struct mem mem;
    struct tls_engine *engine;
    struct tls_conn *conn;
    SSL *client;
    uint8_t to_server[FIXTURE_ROOM]; /* sent by the client, not yet used */
    size_t to_server_bytes;
    uint8_t said[FIXTURE_ROOM]; /* plaintext that arrived at the server */
    size_t said_bytes;
    unsigned fit_count;    /* how often tls_conn_fit was called */
    size_t feed_bytes_max; /* bytes given to tls_conn_feed at a time; 0: all there are */
    enum tls_status status;
    size_t plain_calls_max; /* on_plain says "stop" at this call; 0: never */
    size_t plain_calls;
};

/* The options of a context with both credentials, compact, without tickets. */
struct tls_context_options options_default(void);

/* NULL context: the test failed. */
struct tls_context *context_make(const struct tls_context_options *options);

/* A client's SSL_CTX that trusts our CA; with_certificate: shows the device's. */
SSL_CTX *client_make(bool with_certificate);

/* Begin a connection; nothing has been sent yet. @session: to resume, or NULL. */
void duplex_open(struct duplex *wire, struct tls_context *context, SSL_CTX *client_context,
                 SSL_SESSION *session);
/* Free both ends. All memory that was counted must be back (checked). */
void duplex_close(struct duplex *wire);

/* Move bytes both ways until nothing moves. Returns the client's SSL_get_error of its handshake,
 * SSL_ERROR_NONE when done. */
int duplex_handshake(struct duplex *wire);

/* What the client sent goes to the server. */
void duplex_pump(struct duplex *wire);

/* The server sends; the client must read exactly that. */
void duplex_check_server_says(struct duplex *wire, const void *bytes, size_t bytes_count,
                              size_t record_bytes_max);
/* The client sends; the server must read exactly that. */
void duplex_check_client_says(struct duplex *wire, const void *bytes, size_t bytes_count);

/* Give the client these bytes as if from the network. */
void duplex_to_client(struct duplex *wire, const uint8_t *bytes, size_t bytes_count);

/* A sink for direct calls. */
struct tls_sink duplex_sink(struct duplex *wire);

/* The session that the last client got, for resuming; the caller frees it. NULL: none came. */
SSL_SESSION *client_session_take(void);
