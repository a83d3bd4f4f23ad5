/*
 * tests/unit/bench/test_tls.c — mirrors bench/tls.h.
 * Goal: the generator's TLS is a client like any other, counts the bytes of its handshakes as the
 *       server does, and comes back with a ticket when told to.
 * Method: tls/conn.h as the server, in the same process, connected by two buffers. A plain
 *         program: see tests/unit/tls/check.h.
 */
#include "bench/tls.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/tls/check.h"
#include "tests/unit/tls/fixture.h"

/* Both ends of one connection. */
static struct {
    struct mem_budget budget;
    struct mem mem;
    struct tls_engine *engine;
    struct tls_context *context;
    struct tls_tickets *tickets;
    const struct secure_layer *layer;
    struct secure *client;
    struct tls_conn *server;
    struct buffer to_server;
    struct buffer to_client;
    struct buffer server_heard;
    struct buffer client_heard;
    struct secure_tally tally;
    size_t feed_bytes_max; /* the client gets so many at a time; 0: all there are */
    enum secure_status status;
    char reason[SECURE_REASON_BYTES];
} wire;

static bool on_plain(void *context, uint8_t *bytes, size_t bytes_count)
{
    (void)context;
    buffer_append(&wire.server_heard, bytes, bytes_count);
    return true;
}

static void on_cipher(void *context, const uint8_t *bytes, size_t bytes_count)
{
    (void)context;
    buffer_append(&wire.to_client, bytes, bytes_count);
}

static const struct tls_sink sink = {.plain = on_plain, .cipher = on_cipher};

/* Move bytes both ways until nothing moves. */
static void pump(void)
{
    while (wire.to_server.bytes_count + wire.to_client.bytes_count > 0) {
        size_t used_bytes = 0;
        size_t step = wire.to_client.bytes_count;

        if (wire.feed_bytes_max > 0)
            step = min_size(step, wire.feed_bytes_max);
        if (step > 0)
            wire.status =
                wire.layer->feed(wire.client, span_of(wire.to_client.data, step),
                                 &wire.client_heard, &wire.to_server, &wire.tally, wire.reason);
        buffer_consume(&wire.to_client, step);
        if (wire.to_server.bytes_count == 0)
            continue;
        enum tls_status status = tls_conn_feed(wire.server, wire.to_server.data,
                                               wire.to_server.bytes_count, &used_bytes, &sink);
        if (status == TLS_FAILED || status == TLS_CLOSED_BY_PEER || used_bytes == 0)
            used_bytes = wire.to_server.bytes_count;
        buffer_consume(&wire.to_server, used_bytes);
    }
}

static void server_says(const void *bytes, size_t bytes_count)
{
    struct iovec plain = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = bytes_count};
    size_t room = tls_conn_seal_bytes_max(wire.server, bytes_count, 0);
    size_t taken_bytes = 0;
    uint8_t *at = buffer_extend(&wire.to_client, room);
    size_t sealed_bytes = tls_conn_seal(wire.server, &plain, 1, at, room, 0, &taken_bytes);

    wire.to_client.bytes_count -= room - sealed_bytes;
    CHECK_EQUAL(taken_bytes, bytes_count);
    pump();
}

static void client_says(const void *bytes, size_t bytes_count)
{
    wire.layer->seal(wire.client, span_of(bytes, bytes_count), &wire.to_server);
    pump();
}

/* A client of our CA at the address the certificate is for. */
static struct tls_options client_default(void)
{
    return (struct tls_options){.host = "localhost", .ca_path = credentials_get()->server.ca_path};
}

static void open_wire(const struct tls_options *client_options)
{
    struct tls_context_options options = options_default();
    char reason[TLS_REASON_BYTES] = "";

    memset(&wire, 0, sizeof(wire));
    wire.budget.limit_bytes = INT64_MAX;
    mem_init(&wire.mem, &wire.budget);
    wire.engine = tls_engine_create(&wire.mem);
    wire.tickets = tls_tickets_open(3600);
    options.tickets = wire.tickets;
    wire.context = context_make(&options);
    wire.layer = tls_layer_open(client_options, reason);
    CHECK_TEXT(reason, "");
    must(wire.layer != NULL);
    wire.client = wire.layer->create(wire.layer);
}

static void visit_begin(void)
{
    wire.server = tls_conn_create(wire.engine, wire.context, 0);
    must(wire.server != NULL);
    wire.layer->begin(wire.client, &wire.to_server);
    pump();
}

static void visit_end(void)
{
    wire.layer->end(wire.client);
    tls_conn_destroy(wire.engine, wire.server);
    wire.to_server.bytes_count = 0;
    wire.to_client.bytes_count = 0;
    wire.server_heard.bytes_count = 0;
    wire.client_heard.bytes_count = 0;
}

static void close_wire(void)
{
    wire.layer->destroy(wire.client);
    tls_layer_close(wire.layer);
    tls_context_unref(wire.context);
    tls_tickets_close(wire.tickets);
    tls_engine_destroy(wire.engine);
    buffer_deinit(&wire.to_server);
    buffer_deinit(&wire.to_client);
    buffer_deinit(&wire.server_heard);
    buffer_deinit(&wire.client_heard);
}

/* What both ends counted of the handshake that just ended. */
static void check_counts(const struct secure_handshakes *handshakes)
{
    const struct tls_info info = tls_conn_info(wire.server);

    CHECK_EQUAL(handshakes->count, 1);
    CHECK_EQUAL(handshakes->in_bytes, info.handshake_out_bytes);
    CHECK_EQUAL(handshakes->out_bytes, info.handshake_in_bytes);
}

static void a_certificate_of_another_ca_is_not_trusted(void)
{
    struct tls_options options = client_default();

    options.ca_path = NULL; /* the system's list knows nothing of ours */
    open_wire(&options);
    visit_begin();
    CHECK_EQUAL(wire.status, SECURE_FAILED);
    CHECK(strstr(wire.reason, "not trusted") != NULL);
    CHECK(!tls_conn_is_established(wire.server));
    visit_end();
    close_wire();
}

static void a_certificate_for_another_host_is_not_trusted(void)
{
    struct tls_options options = client_default();

    options.host = "elsewhere.example";
    open_wire(&options);
    visit_begin();
    CHECK_EQUAL(wire.status, SECURE_FAILED);
    visit_end();
    close_wire();
}

static void whoever_is_insecure_trusts_anybody(void)
{
    struct tls_options options = {.host = "elsewhere.example", .is_insecure = true};

    open_wire(&options);
    visit_begin();
    CHECK_EQUAL(wire.status, SECURE_ESTABLISHED);
    visit_end();
    close_wire();
}

static void nonsense_instead_of_a_server_fails(void)
{
    struct tls_options options = client_default();
    static const uint8_t nonsense[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

    open_wire(&options);
    wire.layer->begin(wire.client, &wire.to_server);
    CHECK(wire.layer->feed(wire.client, span_of(nonsense, sizeof(nonsense)), &wire.client_heard,
                           &wire.to_server, &wire.tally, wire.reason) == SECURE_FAILED);
    CHECK(strstr(wire.reason, "TLS: ") != NULL);
    wire.layer->end(wire.client);
    close_wire();
}

static void files_and_words_that_are_no_good_are_named(void)
{
    static const struct {
        struct tls_options options;
        const char *word;
    } wrong[] = {
        {{.host = "h", .ca_path = "/nowhere/ca.crt"}, "/nowhere/ca.crt"},
        {{.host = "h", .is_insecure = true, .cert_path = "/nowhere/me.crt"}, "/nowhere/me.crt"},
        {{.host = "h", .is_insecure = true, .version = "1.1"}, "1.1"},
        {{.host = "h", .is_insecure = true, .signatures = "dsa"}, "dsa"},
    };

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char reason[TLS_REASON_BYTES] = "";

        CHECK(tls_layer_open(&wrong[i].options, reason) == NULL);
        CHECK(strstr(reason, wrong[i].word) != NULL);
    }
}

static void data_goes_both_ways_however_it_is_cut(void)
{
    static uint8_t text[70000];
    struct tls_options options = client_default();

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 7);
    for (size_t cut = 0; cut < 200; cut = cut == 0 ? 1 : cut * 5) {
        open_wire(&options);
        wire.feed_bytes_max = cut;
        visit_begin();
        client_says(text, sizeof(text));
        server_says(text, sizeof(text));
        CHECK_EQUAL(wire.status, SECURE_ESTABLISHED);
        CHECK_EQUAL(wire.server_heard.bytes_count, sizeof(text));
        CHECK_EQUAL(wire.client_heard.bytes_count, sizeof(text));
        CHECK(memcmp(wire.server_heard.data, text, sizeof(text)) == 0);
        CHECK(memcmp(wire.client_heard.data, text, sizeof(text)) == 0);
        check_counts(&wire.tally.full);
        visit_end();
        close_wire();
    }
}

static void handshakes_are_counted_as_the_server_counts_them(void)
{
    static const char *const versions[] = {"1.2", "1.3"};
    static const char *const signatures[] = {"ecdsa", "rsa"};

    for (size_t i = 0; i < 4; i++) {
        struct tls_options options = client_default();

        options.version = versions[i / 2];
        options.signatures = signatures[i % 2];
        open_wire(&options);
        visit_begin();
        client_says("a", 1);
        server_says("b", 1);
        server_says("c", 1);
        check_counts(&wire.tally.full);
        CHECK_EQUAL(tls_conn_info(wire.server).version, i / 2 == 0 ? TLS_1_2 : TLS_1_3);
        CHECK_EQUAL(tls_conn_info(wire.server).cert, i % 2 == 0 ? TLS_CERT_ECC : TLS_CERT_RSA);
        visit_end();
        close_wire();
    }
}

static void whoever_resumes_comes_back_with_a_ticket(void)
{
    static const char *const versions[] = {"1.2", "1.3"};

    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct tls_options options = client_default();

        options.version = versions[i];
        options.is_resuming = true;
        open_wire(&options);
        for (int visit = 0; visit < 3; visit++) {
            visit_begin();
            wire.tally.resumed = (struct secure_handshakes){0};
            server_says("b", 1);
            CHECK_EQUAL(tls_conn_info(wire.server).resumed, visit > 0);
            if (visit > 0)
                check_counts(&wire.tally.resumed);
            visit_end();
        }
        CHECK_EQUAL(wire.tally.full.count, 1);
        close_wire();
    }
}

static void whoever_does_not_resume_shakes_hands_in_full(void)
{
    struct tls_options options = client_default();

    open_wire(&options);
    for (int visit = 0; visit < 3; visit++) {
        visit_begin();
        server_says("b", 1);
        visit_end();
    }
    CHECK_EQUAL(wire.tally.full.count, 3);
    CHECK_EQUAL(wire.tally.resumed.count, 0);
    close_wire();
}

static void a_goodbye_reaches_the_other_side(void)
{
    struct tls_options options = client_default();

    open_wire(&options);
    visit_begin();
    wire.layer->goodbye(wire.client, &wire.to_server);
    size_t used_bytes = 0;
    CHECK(tls_conn_feed(wire.server, wire.to_server.data, wire.to_server.bytes_count, &used_bytes,
                        &sink) == TLS_CLOSED_BY_PEER);
    visit_end();
    visit_begin();
    tls_conn_close_notify(wire.server, &sink);
    pump();
    CHECK_EQUAL(wire.status, SECURE_CLOSED);
    visit_end();
    close_wire();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_certificate_of_another_ca_is_not_trusted),
        CHECK_TEST(a_certificate_for_another_host_is_not_trusted),
        CHECK_TEST(whoever_is_insecure_trusts_anybody),
        CHECK_TEST(nonsense_instead_of_a_server_fails),
        CHECK_TEST(files_and_words_that_are_no_good_are_named),
        CHECK_TEST(data_goes_both_ways_however_it_is_cut),
        CHECK_TEST(handshakes_are_counted_as_the_server_counts_them),
        CHECK_TEST(whoever_resumes_comes_back_with_a_ticket),
        CHECK_TEST(whoever_does_not_resume_shakes_hands_in_full),
        CHECK_TEST(a_goodbye_reaches_the_other_side),
    };
    int code = check_main(tests, COUNT_OF(tests), argc, argv);

    credentials_remove();
    return code;
}
