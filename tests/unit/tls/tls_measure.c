/*
 * tests/unit/tls/tls_measure.c — what tls/ costs: bytes a connection, microseconds a handshake and
 * a record. Not a test: it passes no judgement. The table in tls/README.md is its output.
 * `tls_measure --handshakes` prints a full and a resumed handshake alone, as JSON, for
 * bench/tls_table.py.
 *
 * Method: client and server in one thread and process; only the server's calls are counted, in CPU
 * time of the thread and in bytes as malloc gives them.
 */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/tls/check.h"
#include "tests/unit/tls/fixture.h"
#include "tls/boring_memory.h"

static struct duplex duplex_of_run;
static struct duplex *const wire = &duplex_of_run;

/* -- the server's share -- */

static int64_t boring_bytes; /* of BoringSSL, by the server's calls */
static double cpu_us;
static int64_t enter_bytes;
static double enter_us;

static double thread_cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void enter(void)
{
    enter_bytes = tls_boring_bytes_of_thread();
    enter_us = thread_cpu_us();
}

static void leave(void)
{
    cpu_us += thread_cpu_us() - enter_us;
    boring_bytes += tls_boring_bytes_of_thread() - enter_bytes;
}

/* -- a sink without an opinion: the client's side takes the flight afterwards -- */

static uint8_t flight[65536];
static size_t flight_bytes;

static bool on_plain(void *context, uint8_t *bytes, size_t bytes_count)
{
    (void)context;
    (void)bytes;
    (void)bytes_count;
    return true;
}

static void on_cipher(void *context, const uint8_t *bytes, size_t bytes_count)
{
    (void)context;
    must(flight_bytes + bytes_count <= sizeof(flight));
    memcpy(flight + flight_bytes, bytes, bytes_count);
    flight_bytes += bytes_count;
}

static const struct tls_sink sink = {on_plain, on_cipher, NULL};

/* One client step, one server step. True: there was something to do. */
static bool step(void)
{
    static uint8_t buffer[65536];
    size_t used;

    (void)SSL_do_handshake(wire->client);
    int got = BIO_read(SSL_get_wbio(wire->client), buffer, sizeof(buffer));
    if (got <= 0)
        return false;
    flight_bytes = 0;
    enter();
    enum tls_status status = tls_conn_feed(wire->conn, buffer, (size_t)got, &used, &sink);
    leave();
    must(status == TLS_OK);
    if (flight_bytes > 0)
        duplex_to_client(wire, flight, flight_bytes);
    return true;
}

struct result {
    double handshake_us;
    long fresh_bytes;
    long middle_bytes;
    long idle_bytes;
    long quiet_bytes;
    unsigned in_bytes;
    unsigned out_bytes;
};

static struct result measure(struct tls_context *context, SSL_CTX *client, SSL_SESSION **session,
                             unsigned run_count)
{
    struct result result = {0};
    uint8_t byte;

    for (unsigned run = 0; run < run_count; run++) {
        duplex_open(wire, context, client, session ? *session : NULL);
        tls_conn_destroy(wire->engine, wire->conn);
        boring_bytes = 0;
        enter();
        wire->conn = tls_conn_create(wire->engine, context, 0);
        leave();
        result.fresh_bytes = (long)(boring_bytes + (int64_t)tls_conn_bytes(wire->conn));
        (void)step();
        result.middle_bytes = (long)(boring_bytes + (int64_t)tls_conn_bytes(wire->conn));
        while (step())
            continue;
        must(tls_conn_is_established(wire->conn));
        (void)SSL_peek(wire->client, &byte, 1);
        ERR_clear_error();
        wire->conn = tls_conn_fit(wire->engine, wire->conn, false);
        result.idle_bytes = (long)(boring_bytes + (int64_t)tls_conn_bytes(wire->conn));
        wire->conn = tls_conn_fit(wire->engine, wire->conn, true);
        result.quiet_bytes = (long)(boring_bytes + (int64_t)tls_conn_bytes(wire->conn));
        result.in_bytes = tls_conn_info(wire->conn).handshake_in_bytes;
        result.out_bytes = tls_conn_info(wire->conn).handshake_out_bytes;
        must(!session || tls_conn_info(wire->conn).resumed == (*session != NULL));
        if (run == 0)
            cpu_us = 0; /* caches were cold */
        if (run + 1 < run_count)
            duplex_close(wire);
    }
    result.handshake_us = cpu_us / (run_count - 1);
    return result;
}

static void print(const char *name, const struct result *result)
{
    printf("%-34s %8.0f us %7ld %7ld %7ld %7ld B   %5u %5u B\n", name, result->handshake_us,
           result->fresh_bytes, result->middle_bytes, result->idle_bytes, result->quiet_bytes,
           result->in_bytes, result->out_bytes);
}

/* Sealing and opening, over the connection that stands; @rests: it is kept at rest. */
static void measure_records(const char *name, bool rests)
{
    static uint8_t text[16384];
    static uint8_t out[32768];
    static const size_t sizes[] = {64, 1024, 16384};

    printf("%-34s", name);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct iovec plain = {text, sizes[i]};
        size_t taken;
        size_t used;
        unsigned count = sizes[i] > 4096 ? 2000 : 20000;
        double seal_us = 0;
        double open_us = 0;

        for (unsigned k = 0; k < count; k++) {
            wire->conn = tls_conn_fit(wire->engine, wire->conn, rests);
            double begin_us = thread_cpu_us();
            size_t written = tls_conn_seal(wire->conn, &plain, 1, out, sizeof(out), 0, &taken);
            seal_us += thread_cpu_us() - begin_us;
            must(written > sizes[i]);
            duplex_to_client(wire, out, written);
            while (SSL_read(wire->client, out, sizeof(out)) > 0)
                continue;
            must(SSL_write(wire->client, text, (int)sizes[i]) == (int)sizes[i]);
            int got = BIO_read(SSL_get_wbio(wire->client), out, sizeof(out));
            begin_us = thread_cpu_us();
            enum tls_status status = tls_conn_feed(wire->conn, out, (size_t)got, &used, &sink);
            open_us += thread_cpu_us() - begin_us;
            must(status == TLS_OK);
        }
        printf("  %5zu B: %5.2f %5.2f us", sizes[i], seal_us / count, open_us / count);
    }
    printf("\n");
}

static void run_kind(const char *name, struct tls_context_options *options, uint16_t version,
                     const char *groups, bool with_certificate)
{
    struct tls_context *context = context_make(options);
    SSL_CTX *client = client_make(with_certificate);
    char text[64];

    must(SSL_CTX_set_max_proto_version(client, version) == 1);
    if (groups)
        must(SSL_CTX_set1_curves_list(client, groups) == 1);
    SSL_SESSION_free(client_session_take());
    struct result result = measure(context, client, NULL, 300);
    print(name, &result);
    measure_records("", false);
    if (result.quiet_bytes < result.idle_bytes)
        measure_records("  at rest", true);
    duplex_close(wire);
    if (options->tickets) {
        SSL_SESSION *session = client_session_take();
        must(session);
        result = measure(context, client, &session, 300);
        snprintf(text, sizeof(text), "  resumed");
        print(text, &result);
        duplex_close(wire);
        SSL_SESSION_free(session);
    }
    SSL_CTX_free(client);
    tls_context_unref(context);
}

/* A device's usual handshake, full and resumed: what of a visit is the library's. */
static void run_handshakes(struct tls_context_options *options)
{
    struct tls_context *context = context_make(options);
    SSL_CTX *client = client_make(false);

    must(SSL_CTX_set_max_proto_version(client, TLS1_3_VERSION) == 1);
    double full_us = measure(context, client, NULL, 300).handshake_us;
    duplex_close(wire);
    SSL_SESSION *session = client_session_take();
    must(session);
    double resumed_us = measure(context, client, &session, 300).handshake_us;
    duplex_close(wire);
    printf("{\"full_us\": %.1f, \"resumed_us\": %.1f}\n", full_us, resumed_us);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    tls_context_unref(context);
}

/* What reading the clock twice adds to each figure. */
static double clock_cost_us(void)
{
    double sum_us = 0;

    for (int i = 0; i < 10000; i++) {
        double begin_us = thread_cpu_us();
        sum_us += thread_cpu_us() - begin_us;
    }
    return sum_us / 10000;
}

int main(int argc, char **argv)
{
    struct tls_context_options options = options_default();

    if (argc > 1) {
        must(strcmp(argv[1], "--handshakes") == 0);
        options.tickets = tls_tickets_open(3600);
        run_handshakes(&options);
        SSL_SESSION_free(client_session_take());
        credentials_remove();
        return 0;
    }
    printf("%-34s %11s %7s %7s %7s %9s   %5s %7s\n", "server's share", "handshake", "fresh",
           "middle", "idle", "quiet", "in", "out");
    printf("(each figure holds %.2f us of reading the clock)\n", clock_cost_us());
    options.tickets = tls_tickets_open(3600);
    run_kind("TLS 1.3, ECDSA, X25519", &options, TLS1_3_VERSION, "X25519:P-256", false);
    run_kind("TLS 1.2, ECDSA, X25519", &options, TLS1_2_VERSION, "X25519:P-256", false);
    run_kind("TLS 1.3, ECDSA, P-256", &options, TLS1_3_VERSION, "P-256", false);
    options.compact = false;
    run_kind("TLS 1.3, compact off", &options, TLS1_3_VERSION, "X25519:P-256", false);
    run_kind("TLS 1.2, compact off", &options, TLS1_2_VERSION, "X25519:P-256", false);
    options.compact = true;
    options.client_auth = TLS_CLIENT_REQUIRED;
    options.client_ca_path = credentials_get()->server.ca_path;
    run_kind("TLS 1.3, client certificate", &options, TLS1_3_VERSION, "X25519:P-256", true);
    options = options_default();
    options.ecc.chain_path = NULL;
    run_kind("TLS 1.3, RSA in place", &options, TLS1_3_VERSION, "X25519:P-256", false);
    SSL_SESSION_free(client_session_take());
    credentials_remove();
    return 0;
}
