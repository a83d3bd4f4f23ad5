/* tests/unit/tls/fixture.c — see fixture.h. One thread. */
#include "tests/unit/tls/fixture.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/tls/check.h"
#include "tls/boring_memory.h"

/* -- credentials -- */

static struct credentials credentials;

struct credentials *credentials_get(void)
{
    static const char *const names[] = {"localhost", "127.0.0.1"};
    char error[TLS_CA_ERROR_BYTES] = "";

    if (credentials.folder[0])
        return &credentials;
    strcpy(credentials.folder, "/tmp/smq-tls-test-XXXXXX");
    must(mkdtemp(credentials.folder));
    bool good = tls_ca_ensure_server(credentials.folder, names, 2, &credentials.server, error);
    struct tls_ca *ca = good ? tls_ca_open(credentials.folder, error) : NULL;
    good = ca && tls_ca_device(ca, "pump-7", &credentials.device, error);
    tls_ca_close(ca);
    tls_ca_crl_path(credentials.folder, credentials.crl_path);
    if (!good)
        fprintf(stderr, "cannot make the credentials of the tests: %s\n", error);
    must(good);
    return &credentials;
}

void credentials_remove(void)
{
    char command[128];

    if (!credentials.folder[0])
        return;
    snprintf(command, sizeof(command), "rm -rf '%s'", credentials.folder);
    must(system(command) == 0);
    credentials.folder[0] = 0;
}

/* -- contexts -- */

struct tls_context_options options_default(void)
{
    const struct credentials *own = credentials_get();

    return (struct tls_context_options){
        .name = "test",
        .ecc = {own->server.ecc_chain_path, own->server.ecc_key_path},
        .rsa = {own->server.rsa_chain_path, own->server.rsa_key_path},
        .compact = true,
    };
}

struct tls_context *context_make(const struct tls_context_options *options)
{
    char error[TLS_ERROR_BYTES];
    struct tls_context *context = tls_context_create(options, error);

    if (!context)
        fprintf(stderr, "context_make: %s\n", error);
    must(context);
    return context;
}

static SSL_SESSION *last_session;

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(last_session);
    last_session = session;
    return 1; /* ours now */
}

SSL_SESSION *client_session_take(void)
{
    SSL_SESSION *session = last_session;

    last_session = NULL;
    return session;
}

SSL_CTX *client_make(bool with_certificate)
{
    const struct credentials *own = credentials_get();
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    must(context);
    must(SSL_CTX_load_verify_locations(context, own->server.ca_path, NULL) == 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(context, on_new_session);
    if (with_certificate) {
        must(SSL_CTX_use_certificate_chain_file(context, own->device.pem_path) == 1);
        must(SSL_CTX_use_PrivateKey_file(context, own->device.pem_path, SSL_FILETYPE_PEM) == 1);
    }
    return context;
}

/* -- the two ends -- */

static bool on_plain(void *context, uint8_t *bytes, size_t bytes_count)
{
    struct duplex *wire = context;

    must(wire->said_bytes + bytes_count <= sizeof(wire->said));
    memcpy(wire->said + wire->said_bytes, bytes, bytes_count);
    wire->said_bytes += bytes_count;
    memset(bytes, 0xAA, bytes_count); /* it is ours to write on */
    return ++wire->plain_calls != wire->plain_calls_max;
}

static void on_cipher(void *context, const uint8_t *bytes, size_t bytes_count)
{
    duplex_to_client(context, bytes, bytes_count);
}

struct tls_sink duplex_sink(struct duplex *wire)
{
    return (struct tls_sink){on_plain, on_cipher, wire};
}

void duplex_to_client(struct duplex *wire, const uint8_t *bytes, size_t bytes_count)
{
    BIO_write(SSL_get_rbio(wire->client), bytes, (int)bytes_count);
}

void duplex_open(struct duplex *wire, struct tls_context *context, SSL_CTX *client_context,
                 SSL_SESSION *session)
{
    memset(wire, 0, sizeof(*wire));
    mem_budget_init(&wire->budget, 1u << 30);
    mem_init(&wire->mem, &wire->budget);
    wire->engine = tls_engine_create(&wire->mem);
    must(wire->engine);
    wire->conn = tls_conn_create(wire->engine, context, 7);
    must(wire->conn);

    wire->client = SSL_new(client_context);
    must(wire->client);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    must(in && out);
    BIO_set_mem_eof_return(in, -1); /* "nothing yet", not "the end" */
    SSL_set_bio(wire->client, in, out);
    SSL_set_connect_state(wire->client);
    must(SSL_set_tlsext_host_name(wire->client, "localhost") == 1);
    if (session)
        must(SSL_set_session(wire->client, session) == 1);
}

void duplex_close(struct duplex *wire)
{
    SSL_free(wire->client);
    tls_conn_destroy(wire->engine, wire->conn);
    tls_engine_destroy(wire->engine);
}

/* Between calls a connection may move and rest at any time. */
static void duplex_fit(struct duplex *wire)
{
    wire->conn = tls_conn_fit(wire->engine, wire->conn, wire->fit_count++ % 3 == 1);
}

void duplex_pump(struct duplex *wire)
{
    struct tls_sink sink = duplex_sink(wire);

    for (;;) {
        size_t used = 0;
        int got = BIO_read(SSL_get_wbio(wire->client), wire->to_server + wire->to_server_bytes,
                           (int)(FIXTURE_ROOM - wire->to_server_bytes));
        if (got > 0)
            wire->to_server_bytes += (size_t)got;
        if (wire->to_server_bytes == 0 || wire->status > TLS_WAIT_SIGN)
            return;

        size_t give = wire->to_server_bytes;
        if (wire->feed_bytes_max > 0)
            give = min_size(give, wire->feed_bytes_max);
        /* A caller gives more when what it gave was no whole record. */
        for (;;) {
            wire->status = tls_conn_feed(wire->conn, wire->to_server, give, &used, &sink);
            must(used <= give);
            if (used > 0 || give == wire->to_server_bytes || wire->status != TLS_OK)
                break;
            give++;
        }
        duplex_fit(wire);
        memmove(wire->to_server, wire->to_server + used, wire->to_server_bytes - used);
        wire->to_server_bytes -= used;
        if (used == 0)
            return;
    }
}

int duplex_handshake(struct duplex *wire)
{
    struct tls_sink sink = duplex_sink(wire);
    int error = SSL_ERROR_NONE;

    for (int i = 0; i < 20; i++) {
        int result = SSL_do_handshake(wire->client);
        error = SSL_get_error(wire->client, result);
        duplex_pump(wire);
        while (wire->status == TLS_WAIT_SIGN) {
            usleep(1000);
            wire->status = tls_conn_resume(wire->conn, &sink);
        }
        if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ)
            break;
        if (wire->status > TLS_WAIT_SIGN ||
            (error == SSL_ERROR_NONE && tls_conn_is_established(wire->conn)))
            break;
    }
    ERR_clear_error();
    if (error == SSL_ERROR_NONE && tls_conn_is_established(wire->conn)) {
        uint8_t byte;
        CHECK(SSL_peek(wire->client, &byte, 1) <= 0); /* takes the tickets */
    }
    return error;
}

void duplex_check_server_says(struct duplex *wire, const void *bytes, size_t bytes_count,
                              size_t record_bytes_max)
{
    size_t room = tls_conn_seal_bytes_max(wire->conn, bytes_count, record_bytes_max);
    uint8_t *out = malloc(room);
    uint8_t *back = malloc(bytes_count + 1);
    struct iovec parts[3] = {
        {(void *)(uintptr_t)bytes, bytes_count / 3},
        {NULL, 0},
        {(uint8_t *)(uintptr_t)bytes + bytes_count / 3, bytes_count - bytes_count / 3},
    };
    size_t taken = 0;
    size_t read = 0;

    must(out && back);
    size_t written = tls_conn_seal(wire->conn, parts, 3, out, room, record_bytes_max, &taken);
    CHECK_EQUAL(taken, bytes_count);
    CHECK(written <= room);
    if (record_bytes_max > 0) {
        for (size_t at = 0; at < written;) {
            size_t record_bytes = tls_conn_wants(span_of(out + at, written - at));
            CHECK(record_bytes <= record_bytes_max);
            at += record_bytes;
        }
    }
    duplex_fit(wire);
    duplex_to_client(wire, out, written);
    while (read < bytes_count) {
        int got = SSL_read(wire->client, back + read, (int)(bytes_count + 1 - read));
        if (got <= 0)
            break;
        read += (size_t)got;
    }
    CHECK_EQUAL(read, bytes_count);
    CHECK(read == bytes_count && memcmp(back, bytes, bytes_count) == 0);
    free(out);
    free(back);
}

void duplex_check_client_says(struct duplex *wire, const void *bytes, size_t bytes_count)
{
    wire->said_bytes = 0;
    CHECK_EQUAL(SSL_write(wire->client, bytes, (int)bytes_count), bytes_count);
    duplex_pump(wire);
    CHECK_EQUAL(wire->status, TLS_OK);
    CHECK_EQUAL(wire->said_bytes, bytes_count);
    CHECK(wire->said_bytes == bytes_count && memcmp(wire->said, bytes, bytes_count) == 0);
}
