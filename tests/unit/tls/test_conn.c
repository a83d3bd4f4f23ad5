/*
 * tests/unit/tls/test_conn.c — mirrors tls/conn.c (and, through it, tls/context.c's callbacks).
 *
 * Goal:   handshakes of every kind end in a session that works both ways, in COMPACT and in FULL;
 *         every bad end is told apart, and gives all memory back.
 * Method: BoringSSL as the client, in the same process; no socket, so every cut of the bytes can
 *         be tried. Each test runs in both modes: see both_modes().
 */
#include "tls/conn.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/tls/check.h"
#include "tests/unit/tls/fixture.h"
#include "tls/boring_memory.h"
#include "tls/peer.h"

static struct duplex duplex_of_test; /* half a megabyte: not on the stack */
static struct duplex *const wire = &duplex_of_test;
static uint8_t text[100000];
static bool compact; /* the mode that runs now */

static struct tls_context_options options_of_mode(void)
{
    struct tls_context_options options = options_default();

    options.compact = compact;
    return options;
}

static void check_both_ways(void)
{
    static const size_t sizes[] = {1, 100, 16384, 16385, 70000};

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        duplex_check_client_says(wire, text, sizes[i]);
        duplex_check_server_says(wire, text, sizes[i], 0);
        duplex_check_server_says(wire, text, sizes[i], 257);
        duplex_check_server_says(wire, text, sizes[i], 1400);
    }
}

/* -- handshakes that work -- */

struct shape {
    uint16_t version;
    const char *ciphers;        /* TLS 1.2 only */
    const uint16_t *signatures; /* NULL: the client's default */
    const char *groups;         /* NULL: the client's default */
    enum tls_cert cert;
};

static const uint16_t only_rsa[] = {SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PKCS1_SHA256};
static const uint16_t only_ecdsa[] = {SSL_SIGN_ECDSA_SECP256R1_SHA256};

static const struct shape shapes[] = {
    {TLS1_3_VERSION, NULL, NULL, NULL, TLS_CERT_ECC},
    {TLS1_3_VERSION, NULL, only_rsa, NULL, TLS_CERT_RSA},
    {TLS1_3_VERSION, NULL, only_ecdsa, "P-256", TLS_CERT_ECC},
    {TLS1_3_VERSION, NULL, NULL, "P-384", TLS_CERT_ECC},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", NULL, NULL, TLS_CERT_ECC},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", NULL, NULL, TLS_CERT_ECC},
    {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", NULL, NULL, TLS_CERT_ECC},
    {TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", NULL, NULL, TLS_CERT_RSA},
    {TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384", NULL, NULL, TLS_CERT_RSA},
    {TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305", NULL, NULL, TLS_CERT_RSA},
    {TLS1_2_VERSION, NULL, only_rsa, NULL, TLS_CERT_RSA},
    {TLS1_2_VERSION, NULL, NULL, "X25519", TLS_CERT_RSA}, /* no P-256 to verify ours with */
    {TLS1_2_VERSION, NULL, NULL, "X25519:P-256", TLS_CERT_ECC},
};

static SSL_CTX *client_of_shape(const struct shape *shape)
{
    SSL_CTX *client = client_make(false);

    must(SSL_CTX_set_min_proto_version(client, shape->version) == 1);
    must(SSL_CTX_set_max_proto_version(client, shape->version) == 1);
    if (shape->ciphers)
        must(SSL_CTX_set_strict_cipher_list(client, shape->ciphers) == 1);
    if (shape->signatures)
        must(SSL_CTX_set_verify_algorithm_prefs(client, shape->signatures,
                                                shape->signatures == only_rsa ? 2 : 1) == 1);
    if (shape->groups)
        must(SSL_CTX_set1_curves_list(client, shape->groups) == 1);
    return client;
}

static void every_shape_of_client_gets_the_certificate_it_can_take(void)
{
    struct tls_context_options options = options_of_mode();
    struct tls_context *context = context_make(&options);

    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        SSL_CTX *client = client_of_shape(&shapes[i]);

        duplex_open(wire, context, client, NULL);
        CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
        CHECK(tls_conn_is_established(wire->conn));
        const struct tls_info info = tls_conn_info(wire->conn);
        CHECK_EQUAL(info.cert, shapes[i].cert);
        CHECK_EQUAL(info.version, shapes[i].version == TLS1_3_VERSION ? TLS_1_3 : TLS_1_2);
        CHECK_EQUAL(info.cipher, SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(wire->client)));
        CHECK(!info.resumed);
        CHECK(tls_conn_peer(wire->conn) == NULL);
        check_both_ways();
        duplex_close(wire);
        SSL_CTX_free(client);
    }
    tls_context_unref(context);
}

static void bytes_may_come_one_at_a_time(void)
{
    struct tls_context_options options = options_of_mode();
    struct tls_context *context = context_make(&options);

    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        SSL_CTX *client = client_of_shape(&shapes[i]);

        duplex_open(wire, context, client, NULL);
        wire->feed_bytes_max = 1;
        CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
        duplex_check_client_says(wire, text, 300);
        duplex_check_server_says(wire, text, 300, 0);
        duplex_close(wire);
        SSL_CTX_free(client);
    }
    tls_context_unref(context);
}

static void the_first_data_may_come_with_the_last_of_the_handshake(void)
{
    struct tls_context_options options = options_of_mode();
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);

    duplex_open(wire, context, client, NULL);
    (void)SSL_do_handshake(wire->client);
    duplex_pump(wire);
    CHECK_EQUAL(SSL_do_handshake(wire->client), 1); /* its Finished is not delivered yet */
    CHECK_EQUAL(SSL_write(wire->client, "GET", 3), 3);
    CHECK_EQUAL(SSL_write(wire->client, "more", 4), 4);
    duplex_pump(wire);
    CHECK(tls_conn_is_established(wire->conn));
    CHECK_EQUAL(wire->said_bytes, 7);
    CHECK(memcmp(wire->said, "GETmore", 7) == 0);
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(context);
}

static void the_sink_may_stop_between_records(void)
{
    struct tls_context_options options = options_of_mode();
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);
    struct tls_sink sink = duplex_sink(wire);
    size_t used;

    duplex_open(wire, context, client, NULL);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    SSL_write(wire->client, "one", 3);
    SSL_write(wire->client, "two", 3);
    wire->plain_calls_max = 1;
    int got = BIO_read(SSL_get_wbio(wire->client), wire->to_server, FIXTURE_ROOM);
    CHECK_EQUAL(tls_conn_feed(wire->conn, wire->to_server, (size_t)got, &used, &sink), TLS_OK);
    CHECK_EQUAL(used, (size_t)got / 2);
    CHECK_EQUAL(wire->said_bytes, 3);
    size_t rest = (size_t)got - used;
    CHECK_EQUAL(tls_conn_feed(wire->conn, wire->to_server + used, rest, &used, &sink), TLS_OK);
    CHECK_EQUAL(used, rest);
    CHECK(memcmp(wire->said, "onetwo", 6) == 0);
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(context);
}

static void key_updates_go_both_ways(void)
{
    struct tls_context_options options = options_of_mode();
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);

    duplex_open(wire, context, client, NULL);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    for (int i = 0; i < 5; i++) {
        CHECK_EQUAL(SSL_key_update(wire->client,
                                   i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED),
                    1);
        duplex_check_client_says(wire, text, 50);
        duplex_check_server_says(wire, text, 50, 0);
        duplex_check_server_says(wire, text, 5000, 300);
    }
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(context);
}

static void sealing_stops_where_the_room_ends(void)
{
    struct tls_context_options options = options_of_mode();
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);
    static uint8_t out[3000];
    struct iovec plain = {text, 2000};
    size_t taken;
    size_t delivered = 0;

    duplex_open(wire, context, client, NULL);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    CHECK_EQUAL(tls_conn_seal(wire->conn, &plain, 1, out, 0, 0, &taken), 0);
    CHECK_EQUAL(taken, 0);
    for (size_t room = 1; delivered < 2000; room += 7) {
        plain = (struct iovec){text + delivered, 2000 - delivered};
        size_t written = tls_conn_seal(wire->conn, &plain, 1, out, room, 257, &taken);
        CHECK(written <= room);
        CHECK((taken == 0) == (written == 0));
        duplex_to_client(wire, out, written);
        delivered += taken;
    }
    for (size_t read = 0; read < 2000;) {
        int got = SSL_read(wire->client, out, sizeof(out));
        CHECK(got > 0 && memcmp(out, text + read, (size_t)got) == 0);
        if (got <= 0)
            break;
        read += (size_t)got;
    }
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(context);
}

/* -- closing -- */

static void close_notify_goes_both_ways(void)
{
    struct tls_context_options options = options_of_mode();
    struct tls_context *context = context_make(&options);
    struct tls_sink sink = duplex_sink(wire);

    for (uint16_t version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *client = client_make(false);
        uint8_t byte;

        must(SSL_CTX_set_max_proto_version(client, version) == 1);
        duplex_open(wire, context, client, NULL);
        CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
        SSL_write(wire->client, "bye", 3);
        SSL_shutdown(wire->client);
        duplex_pump(wire);
        CHECK_EQUAL(wire->status, TLS_CLOSED_BY_PEER);
        CHECK_EQUAL(wire->said_bytes, 3);
        tls_conn_close_notify(wire->conn, &sink);
        tls_conn_close_notify(wire->conn, &sink); /* once is enough */
        CHECK_EQUAL(SSL_read(wire->client, &byte, 1), 0);
        CHECK_EQUAL(SSL_get_error(wire->client, 0), SSL_ERROR_ZERO_RETURN);
        CHECK_EQUAL(BIO_pending(SSL_get_rbio(wire->client)), 0);
        duplex_close(wire);
        SSL_CTX_free(client);
    }
    tls_context_unref(context);
}

/* -- resumption -- */

/* Connect once for a session, then again with it. Returns whether the second was resumed. */
static bool resumes(struct tls_context *first, struct tls_context *second, SSL_CTX *client)
{
    duplex_open(wire, first, client, NULL);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    duplex_check_server_says(wire, "x", 1, 0);
    duplex_close(wire);
    SSL_SESSION *session = client_session_take();
    CHECK(session != NULL);
    duplex_open(wire, second, client, session);
    SSL_SESSION_free(session);
    if (duplex_handshake(wire) != SSL_ERROR_NONE || !tls_conn_is_established(wire->conn))
        return false;
    CHECK_EQUAL(tls_conn_info(wire->conn).resumed, SSL_session_reused(wire->client));
    duplex_check_client_says(wire, text, 500);
    duplex_check_server_says(wire, text, 500, 0);
    return tls_conn_info(wire->conn).resumed;
}

static void a_ticket_resumes_on_a_context_made_anew_from_the_same_files(void)
{
    struct tls_context_options options = options_of_mode();
    options.tickets = tls_tickets_open(3600);
    struct tls_context *first = context_make(&options);
    struct tls_context *second = context_make(&options);

    for (uint16_t version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *client = client_make(false);
        must(SSL_CTX_set_max_proto_version(client, version) == 1);
        CHECK(resumes(first, second, client));
        CHECK_EQUAL(tls_conn_info(wire->conn).cert, TLS_CERT_NONE);
        duplex_close(wire);
        SSL_CTX_free(client);
    }
    tls_context_unref(first);
    tls_context_unref(second);
    tls_tickets_close(options.tickets);
}

static void a_ticket_is_worth_nothing_on_another_listener(void)
{
    struct tls_context_options options = options_of_mode();
    options.tickets = tls_tickets_open(3600);
    struct tls_context *first = context_make(&options);
    options.name = "other";
    struct tls_context *second = context_make(&options);

    for (uint16_t version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *client = client_make(false);
        must(SSL_CTX_set_max_proto_version(client, version) == 1);
        CHECK(!resumes(first, second, client));
        CHECK(tls_conn_is_established(wire->conn));
        duplex_close(wire);
        SSL_CTX_free(client);
    }
    tls_context_unref(first);
    tls_context_unref(second);
    tls_tickets_close(options.tickets);
}

static void a_ticket_is_worth_nothing_where_a_client_certificate_is_asked_for(void)
{
    struct tls_context_options options = options_of_mode();
    options.tickets = tls_tickets_open(3600);
    struct tls_context *first = context_make(&options);
    options.client_auth = TLS_CLIENT_REQUIRED;
    options.client_ca_path = credentials_get()->server.ca_path;
    struct tls_context *second = context_make(&options);
    SSL_CTX *client = client_make(false);

    CHECK(!resumes(first, second, client));
    CHECK(!tls_conn_is_established(wire->conn));
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(first);
    tls_context_unref(second);
    tls_tickets_close(options.tickets);
}

static void after_a_reset_tickets_are_worth_nothing(void)
{
    struct tls_context_options options = options_of_mode();
    options.tickets = tls_tickets_open(3600);
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);

    CHECK(resumes(context, context, client));
    duplex_close(wire);
    SSL_SESSION *session = client_session_take();
    tls_tickets_reset(options.tickets);
    duplex_open(wire, context, client, session);
    SSL_SESSION_free(session);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    CHECK(!tls_conn_info(wire->conn).resumed);
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(context);
    tls_tickets_close(options.tickets);
}

/* -- client certificates -- */

static struct tls_context_options options_with_auth(enum tls_client_auth auth)
{
    struct tls_context_options options = options_of_mode();

    options.client_auth = auth;
    options.client_ca_path = credentials_get()->server.ca_path;
    options.client_crl_path = credentials_get()->crl_path;
    return options;
}

static void a_required_certificate_is_required(void)
{
    for (uint16_t version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_context_options options = options_with_auth(TLS_CLIENT_REQUIRED);
        struct tls_context *context = context_make(&options);
        SSL_CTX *client = client_make(false);

        must(SSL_CTX_set_max_proto_version(client, version) == 1);
        duplex_open(wire, context, client, NULL);
        (void)duplex_handshake(wire);
        CHECK_EQUAL(wire->status, TLS_FAILED);
        CHECK_EQUAL(tls_conn_failure(wire->conn).kind, TLS_FAIL_CERTIFICATE_MISSING);
        duplex_close(wire);
        SSL_CTX_free(client);
        tls_context_unref(context);
    }
}

static void an_optional_certificate_is_optional_but_must_verify(void)
{
    struct tls_context_options options = options_with_auth(TLS_CLIENT_OPTIONAL);
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);

    duplex_open(wire, context, client, NULL);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    CHECK(tls_conn_peer(wire->conn) == NULL);
    duplex_close(wire);
    /* A server's certificate is no client's: its extended key usage says so. */
    must(SSL_CTX_use_certificate_chain_file(client, credentials_get()->server.ecc_chain_path) == 1);
    must(SSL_CTX_use_PrivateKey_file(client, credentials_get()->server.ecc_key_path,
                                     SSL_FILETYPE_PEM) == 1);
    duplex_open(wire, context, client, NULL);
    (void)duplex_handshake(wire);
    CHECK_EQUAL(wire->status, TLS_FAILED);
    CHECK_EQUAL(tls_conn_failure(wire->conn).kind, TLS_FAIL_CERTIFICATE_BAD);
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(context);
}

static void a_good_certificate_names_its_peer(void)
{
    for (uint16_t version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_context_options options = options_with_auth(TLS_CLIENT_REQUIRED);
        struct tls_context *context = context_make(&options);
        SSL_CTX *client = client_make(true);

        must(SSL_CTX_set_max_proto_version(client, version) == 1);
        duplex_open(wire, context, client, NULL);
        CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
        const struct tls_peer *peer = tls_conn_peer(wire->conn);
        CHECK(peer != NULL);
        if (peer) {
            CHECK_TEXT(peer->identity, "pump-7");
            CHECK_EQUAL(peer->serial_bytes, 16);
            CHECK_EQUAL(peer->verdict, TLS_FAIL_NONE);
            CHECK_EQUAL(tls_context_judge(context, peer, 1800000000), TLS_FAIL_NONE);
            CHECK_EQUAL(tls_context_judge(context, peer, 4000000000), TLS_FAIL_CERTIFICATE_EXPIRED);
        }
        check_both_ways();
        duplex_close(wire);
        SSL_CTX_free(client);
        tls_context_unref(context);
    }
}

static void with_a_late_verdict_the_session_hears_what_is_wrong(void)
{
    struct tls_context_options options = options_with_auth(TLS_CLIENT_REQUIRED);
    options.client_verdict_late = true;
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);

    duplex_open(wire, context, client, NULL);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    CHECK(tls_conn_peer(wire->conn) == NULL);
    duplex_close(wire);
    must(SSL_CTX_use_certificate_chain_file(client, credentials_get()->server.ecc_chain_path) == 1);
    must(SSL_CTX_use_PrivateKey_file(client, credentials_get()->server.ecc_key_path,
                                     SSL_FILETYPE_PEM) == 1);
    duplex_open(wire, context, client, NULL);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    CHECK(tls_conn_peer(wire->conn) != NULL);
    if (tls_conn_peer(wire->conn))
        CHECK_EQUAL(tls_conn_peer(wire->conn)->verdict, TLS_FAIL_CERTIFICATE_BAD);
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(context);
}

/* Revoke the device, which every later test then finds revoked: so it is the last but one. */
static void a_revoked_certificate_is_refused_fresh_and_resumed(void)
{
    struct tls_context_options options = options_with_auth(TLS_CLIENT_REQUIRED);
    options.tickets = tls_tickets_open(3600);
    struct tls_context *before = context_make(&options);
    SSL_CTX *client = client_make(true);
    char error[TLS_CA_ERROR_BYTES];
    uint32_t revoked_count = 0;

    CHECK(resumes(before, before, client));
    const struct tls_peer *peer = tls_conn_peer(wire->conn);
    CHECK(peer && strcmp(peer->identity, "pump-7") == 0); /* from the ticket */

    struct tls_ca *ca = tls_ca_open(credentials_get()->folder, error);
    must(ca && tls_ca_revoke(ca, "pump-7", &revoked_count, error));
    tls_ca_close(ca);
    struct tls_context *after = context_make(&options);
    CHECK_EQUAL(tls_context_judge(before, peer, 0), TLS_FAIL_NONE);
    CHECK_EQUAL(tls_context_judge(after, peer, 0), TLS_FAIL_CERTIFICATE_REVOKED);
    duplex_close(wire);

    SSL_SESSION *session = client_session_take();
    for (int resumed = 0; resumed < 2; resumed++) {
        duplex_open(wire, after, client, resumed ? session : NULL);
        (void)duplex_handshake(wire);
        CHECK_EQUAL(wire->status, TLS_FAILED);
        CHECK_EQUAL(tls_conn_failure(wire->conn).kind, TLS_FAIL_CERTIFICATE_REVOKED);
        duplex_close(wire);
    }
    /* Where the session gives the answer, it hears the same, from a fresh and an old session. */
    options.client_verdict_late = true;
    struct tls_context *late = context_make(&options);
    for (int resumed = 0; resumed < 2; resumed++) {
        SSL_SESSION *late_session = resumed ? client_session_take() : NULL;
        duplex_open(wire, late, client, late_session);
        SSL_SESSION_free(late_session);
        CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
        CHECK_EQUAL(tls_conn_info(wire->conn).resumed, resumed);
        CHECK(tls_conn_peer(wire->conn) != NULL);
        if (tls_conn_peer(wire->conn))
            CHECK_EQUAL(tls_conn_peer(wire->conn)->verdict, TLS_FAIL_CERTIFICATE_REVOKED);
        duplex_close(wire);
    }
    tls_context_unref(late);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    tls_context_unref(before);
    tls_context_unref(after);
    tls_tickets_close(options.tickets);

    /* The next mode's tests need a good one again. */
    ca = tls_ca_open(credentials_get()->folder, error);
    must(ca && tls_ca_device(ca, "pump-7", &credentials_get()->device, error));
    tls_ca_close(ca);
}

/* -- bad ends -- */

/* Feed a fresh connection @bytes; how does it fail? */
static struct tls_failure failure_of(struct tls_context *context, const void *bytes,
                                     size_t bytes_count)
{
    SSL_CTX *client = client_make(false);
    struct tls_sink sink = duplex_sink(wire);
    struct tls_failure failure = {TLS_FAIL_NONE, 0, NULL};
    size_t used;

    duplex_open(wire, context, client, NULL);
    memcpy(wire->to_server, bytes, bytes_count);
    if (tls_conn_feed(wire->conn, wire->to_server, bytes_count, &used, &sink) == TLS_FAILED)
        failure = tls_conn_failure(wire->conn);
    duplex_close(wire);
    SSL_CTX_free(client);
    return failure;
}

static void what_is_no_tls_is_told_apart(void)
{
    struct tls_context_options options = options_of_mode();
    struct tls_context *context = context_make(&options);
    static const uint8_t zeros[300];

    CHECK_EQUAL(failure_of(context, "GET /smq.lsp HTTP/1.0\r\n\r\n", 25).kind, TLS_FAIL_PLAIN_TEXT);
    CHECK_EQUAL(failure_of(context, "POST / HTTP/1.0\r\n\r\n", 19).kind, TLS_FAIL_PLAIN_TEXT);
    CHECK_EQUAL(failure_of(context, "SSH-2.0-x\r\n", 11).kind, TLS_FAIL_GARBAGE);
    CHECK_EQUAL(failure_of(context, zeros, sizeof(zeros)).kind, TLS_FAIL_GARBAGE);
    CHECK_EQUAL(failure_of(context,
                           "\x16\3\1\xff\xff"
                           "aaaa",
                           9)
                    .kind,
                TLS_FAIL_RECORD_OVERFLOW);
    CHECK_EQUAL(failure_of(context, "\x16\3\1\0\4\0\0\0\0", 9).kind, TLS_FAIL_BAD_HANDSHAKE);
    CHECK_EQUAL(failure_of(context, "\x15\3\1\0\2\2\x28", 7).kind, TLS_FAIL_ALERT);
    CHECK_EQUAL(failure_of(context, "\x17\3\3\0\2xx", 7).kind, TLS_FAIL_BAD_HANDSHAKE);
    /* not enough to tell: it waits */
    CHECK_EQUAL(failure_of(context, "GET ", 4).kind, TLS_FAIL_NONE);
    CHECK_EQUAL(failure_of(context, "\x16\3\1\0\x10\1", 6).kind, TLS_FAIL_NONE);
    tls_context_unref(context);
}

static void a_client_without_a_common_version_or_cipher_is_told_apart(void)
{
    struct tls_context_options options = options_of_mode();
    options.version_min = TLS_1_3;
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);

    must(SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION) == 1);
    duplex_open(wire, context, client, NULL);
    (void)duplex_handshake(wire);
    CHECK_EQUAL(tls_conn_failure(wire->conn).kind, TLS_FAIL_VERSION);
    CHECK_EQUAL(tls_conn_failure(wire->conn).alert, TLS_ALERT_PROTOCOL_VERSION);
    duplex_close(wire);
    tls_context_unref(context);

    options.version_min = TLS_1_2;
    context = context_make(&options);
    must(SSL_CTX_set_strict_cipher_list(client, "ECDHE-RSA-AES128-SHA") == 1);
    duplex_open(wire, context, client, NULL);
    (void)duplex_handshake(wire);
    CHECK_EQUAL(tls_conn_failure(wire->conn).kind, TLS_FAIL_NO_SHARED_CIPHER);
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(context);
}

static void a_broken_record_after_the_handshake_gets_an_alert_that_the_client_understands(void)
{
    struct tls_context_options options = options_of_mode();
    struct tls_context *context = context_make(&options);

    for (uint16_t version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *client = client_make(false);
        struct tls_sink sink = duplex_sink(wire);
        uint8_t byte;
        size_t used;

        must(SSL_CTX_set_max_proto_version(client, version) == 1);
        duplex_open(wire, context, client, NULL);
        CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
        SSL_write(wire->client, "hello", 5);
        int got = BIO_read(SSL_get_wbio(wire->client), wire->to_server, FIXTURE_ROOM);
        wire->to_server[got - 1] ^= 1;
        CHECK_EQUAL(tls_conn_feed(wire->conn, wire->to_server, (size_t)got, &used, &sink),
                    TLS_FAILED);
        CHECK_EQUAL(tls_conn_failure(wire->conn).kind, TLS_FAIL_BAD_RECORD);
        CHECK_EQUAL(tls_conn_failure(wire->conn).alert, TLS_ALERT_BAD_RECORD_MAC);
        CHECK(SSL_read(wire->client, &byte, 1) <= 0);
        CHECK_EQUAL(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
        ERR_clear_error();
        duplex_close(wire);
        SSL_CTX_free(client);
    }
    tls_context_unref(context);
}

static void a_client_that_leaves_at_any_byte_leaves_nothing_behind(void)
{
    struct tls_context_options options = options_of_mode();
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);
    struct tls_sink sink = duplex_sink(wire);

    /* once for what is made lazily and stays */
    duplex_open(wire, context, client, NULL);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    duplex_close(wire);
    int64_t before_bytes = tls_boring_bytes_of_thread();
    for (size_t at = 0; at < 700; at += 13) {
        size_t used;

        duplex_open(wire, context, client, NULL);
        (void)SSL_do_handshake(wire->client);
        int got = BIO_read(SSL_get_wbio(wire->client), wire->to_server, FIXTURE_ROOM);
        size_t give = min_size((size_t)got, at);
        CHECK(tls_conn_feed(wire->conn, wire->to_server, give, &used, &sink) <= TLS_WAIT_SIGN);
        duplex_close(wire);
        CHECK_EQUAL(wire->mem.kind_bytes[MEM_TLS], 0);
    }
    ERR_clear_error();
    CHECK_EQUAL(tls_boring_bytes_of_thread(), before_bytes);
    SSL_CTX_free(client);
    tls_context_unref(context);
}

static void no_memory_at_any_point_ends_cleanly(void)
{
    struct tls_context_options options = options_with_auth(TLS_CLIENT_REQUIRED);
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(true);
    unsigned failed_count = 0;

    /* once for what is made lazily and stays */
    duplex_open(wire, context, client, NULL);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    duplex_close(wire);
    for (uint64_t at = 1; at < 10; at++) {
        duplex_open(wire, context, client, NULL);
        tls_conn_destroy(wire->engine, wire->conn);
        wire->mem.fail_at = at;
        wire->conn = tls_conn_create(wire->engine, context, 1);
        if (!wire->conn) {
            failed_count++;
        } else {
            (void)duplex_handshake(wire);
            if (wire->status == TLS_FAILED) {
                CHECK_EQUAL(tls_conn_failure(wire->conn).kind, TLS_FAIL_NO_MEMORY);
                failed_count++;
            } else {
                CHECK(tls_conn_is_established(wire->conn));
            }
        }
        duplex_close(wire);
        CHECK_EQUAL(wire->mem.kind_bytes[MEM_TLS], 0);
    }
    CHECK_EQUAL(failed_count, 3); /* connection, handshake, peer; a move is only put off */
    SSL_CTX_free(client);
    tls_context_unref(context);
}

/* So much that a connection at rest gets its keys back. */
static void talk_until_awake(size_t quiet_bytes)
{
    for (unsigned i = 0; i < TLS_DERIVED_MAX; i++) {
        CHECK(quiet_bytes == 0 || tls_conn_bytes(wire->conn) == quiet_bytes);
        wire->fit_count = 2; /* so that duplex_fit does not ask for quiet again */
        duplex_check_client_says(wire, text, 10);
    }
}

static void a_quiet_connection_is_small_and_a_busy_one_gets_its_keys_back(void)
{
    struct tls_context_options options = options_of_mode();
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);
    uint64_t *room;

    duplex_open(wire, context, client, NULL);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    talk_until_awake(0);
    room = tls_conn_room(wire->conn);
    room[0] = 17;
    room[1] = 18;
    size_t awake_bytes = tls_conn_bytes(wire->conn);
    int64_t awake_mem_bytes = wire->mem.kind_bytes[MEM_TLS];
    wire->conn = tls_conn_fit(wire->engine, wire->conn, true);
    size_t quiet_bytes = tls_conn_bytes(wire->conn);
    CHECK_EQUAL(awake_mem_bytes - wire->mem.kind_bytes[MEM_TLS], awake_bytes - quiet_bytes);
    if (compact) {
        CHECK(awake_bytes <= 192);
        CHECK(quiet_bytes <= 128);
    }
    talk_until_awake(quiet_bytes);
    CHECK_EQUAL(tls_conn_bytes(wire->conn), awake_bytes);
    room = tls_conn_room(wire->conn);
    CHECK(room[0] == 17 && room[1] == 18);
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(context);
}

/* -- signatures by workers -- */

static _Atomic uint64_t signed_token;

static void on_signed(void *context, uint32_t worker_index, uint64_t token)
{
    (void)context;
    (void)worker_index;
    signed_token = token;
}

static void an_rsa_signature_is_made_by_a_worker(void)
{
    struct tls_signer_options signer = {1, 4, on_signed, NULL};
    struct tls_context_options options = options_of_mode();
    options.signer = tls_signer_open(&signer);
    struct tls_context *context = context_make(&options);

    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        if (shapes[i].cert != TLS_CERT_RSA)
            continue;
        SSL_CTX *client = client_of_shape(&shapes[i]);
        signed_token = 0;
        duplex_open(wire, context, client, NULL);
        CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
        CHECK_EQUAL(signed_token, 7);
        duplex_check_client_says(wire, text, 100);
        duplex_close(wire);
        SSL_CTX_free(client);
    }
    CHECK_EQUAL(tls_signer_job_count(options.signer), 0);
    tls_context_unref(context);
    tls_signer_close(options.signer);
}

static void while_it_waits_for_a_signature_nothing_is_taken(void)
{
    struct tls_signer_options signer = {1, 4, on_signed, NULL};
    struct tls_context_options options = options_of_mode();
    options.ecc.chain_path = NULL;
    options.signer = tls_signer_open(&signer);
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);
    struct tls_sink sink = duplex_sink(wire);
    size_t used = 99;

    duplex_open(wire, context, client, NULL);
    (void)SSL_do_handshake(wire->client);
    duplex_pump(wire);
    CHECK_EQUAL(wire->status, TLS_WAIT_SIGN);
    memcpy(wire->to_server, "\x14\3\3\0\1\1", 6);
    CHECK_EQUAL(tls_conn_feed(wire->conn, wire->to_server, 6, &used, &sink), TLS_WAIT_SIGN);
    CHECK_EQUAL(used, 0);
    duplex_close(wire); /* with the signature under way, or just done */
    tls_context_unref(context);
    SSL_CTX_free(client);
    tls_signer_close(options.signer); /* joins the worker, which frees the abandoned job */
}

static void when_the_signers_queue_is_full_a_handshake_is_refused(void)
{
    struct tls_signer_options signer = {0, 0, NULL, NULL};
    struct tls_context_options options = options_of_mode();
    options.ecc.chain_path = NULL;
    options.signer = tls_signer_open(&signer);
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);

    duplex_open(wire, context, client, NULL);
    (void)duplex_handshake(wire);
    CHECK_EQUAL(wire->status, TLS_FAILED);
    CHECK_EQUAL(tls_conn_failure(wire->conn).kind, TLS_FAIL_SIGNER_BUSY);
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(context);
    tls_signer_close(options.signer);
}

/* -- certificates change under way -- */

static void a_handshake_under_way_survives_the_end_of_its_context(void)
{
    struct tls_context_options options = options_of_mode();
    options.tickets = tls_tickets_open(60);
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);

    duplex_open(wire, context, client, NULL);
    (void)SSL_do_handshake(wire->client);
    duplex_pump(wire);
    tls_context_unref(context); /* the listener has a new one */
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    duplex_check_client_says(wire, text, 100);
    duplex_check_server_says(wire, text, 100, 0);
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_tickets_close(options.tickets);
}

static void the_handshakes_bytes_are_counted(void)
{
    struct tls_context_options options = options_of_mode();
    options.tickets = tls_tickets_open(60);
    struct tls_context *context = context_make(&options);
    SSL_CTX *client = client_make(false);

    duplex_open(wire, context, client, NULL);
    CHECK_EQUAL(duplex_handshake(wire), SSL_ERROR_NONE);
    CHECK_EQUAL(tls_conn_info(wire->conn).handshake_out_bytes,
                BIO_number_read(SSL_get_rbio(wire->client)));
    CHECK_EQUAL(tls_conn_info(wire->conn).handshake_in_bytes,
                BIO_number_written(SSL_get_wbio(wire->client)));
    duplex_close(wire);
    SSL_CTX_free(client);
    tls_context_unref(context);
    tls_tickets_close(options.tickets);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_is_no_tls_is_told_apart),
        CHECK_TEST(a_client_without_a_common_version_or_cipher_is_told_apart),
        CHECK_TEST(a_broken_record_after_the_handshake_gets_an_alert_that_the_client_understands),
        CHECK_TEST(a_client_that_leaves_at_any_byte_leaves_nothing_behind),
        CHECK_TEST(no_memory_at_any_point_ends_cleanly),
        CHECK_TEST(a_quiet_connection_is_small_and_a_busy_one_gets_its_keys_back),
        CHECK_TEST(every_shape_of_client_gets_the_certificate_it_can_take),
        CHECK_TEST(bytes_may_come_one_at_a_time),
        CHECK_TEST(the_first_data_may_come_with_the_last_of_the_handshake),
        CHECK_TEST(the_sink_may_stop_between_records),
        CHECK_TEST(key_updates_go_both_ways),
        CHECK_TEST(sealing_stops_where_the_room_ends),
        CHECK_TEST(close_notify_goes_both_ways),
        CHECK_TEST(a_ticket_resumes_on_a_context_made_anew_from_the_same_files),
        CHECK_TEST(a_ticket_is_worth_nothing_on_another_listener),
        CHECK_TEST(a_ticket_is_worth_nothing_where_a_client_certificate_is_asked_for),
        CHECK_TEST(after_a_reset_tickets_are_worth_nothing),
        CHECK_TEST(a_required_certificate_is_required),
        CHECK_TEST(an_optional_certificate_is_optional_but_must_verify),
        CHECK_TEST(a_good_certificate_names_its_peer),
        CHECK_TEST(with_a_late_verdict_the_session_hears_what_is_wrong),
        CHECK_TEST(a_revoked_certificate_is_refused_fresh_and_resumed),
        CHECK_TEST(an_rsa_signature_is_made_by_a_worker),
        CHECK_TEST(while_it_waits_for_a_signature_nothing_is_taken),
        CHECK_TEST(when_the_signers_queue_is_full_a_handshake_is_refused),
        CHECK_TEST(a_handshake_under_way_survives_the_end_of_its_context),
        CHECK_TEST(the_handshakes_bytes_are_counted),
    };
    int code = 0;

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 31 + i / 251);
    for (int mode = 0; mode < 2; mode++) {
        compact = mode == 0;
        printf("-- tls.compact = %s\n", compact ? "on" : "off");
        code |= check_main(tests, COUNT_OF(tests), argc, argv);
    }
    SSL_SESSION_free(client_session_take());
    credentials_remove();
    return code;
}
