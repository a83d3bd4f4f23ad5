/*
 * tests/fuzz/fuzz_tls_conn.c — any bytes, in any pieces, as the first ones of a TLS connection.
 *
 * Input: u8 flags, then pieces: u8 length, bytes. What is not used comes again in front of the
 * next piece, as the broker does it. Looks for: crashes, leaks, and a connection that takes bytes
 * back or goes on after its end. (The handshake itself is BoringSSL's; the framing is ours.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/ca.h"
#include "tls/conn.h"
#include "tls/context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes_count);

static struct tls_context *contexts[2];

static bool on_plain(void *context, uint8_t *bytes, size_t bytes_count)
{
    (void)context;
    (void)bytes;
    must(bytes_count > 0);
    return true;
}

static void on_cipher(void *context, const uint8_t *bytes, size_t bytes_count)
{
    size_t *sent_bytes = context;

    must(bytes != NULL);
    *sent_bytes += bytes_count;
}

static void setup(void)
{
    static const char *const names[] = {"localhost"};
    char folder[] = "/tmp/smq-fuzz-XXXXXX";
    char command[64];
    char error[TLS_CA_ERROR_BYTES];
    struct tls_ca_server server;

    must(mkdtemp(folder));
    must(tls_ca_ensure_server(folder, names, 1, &server, error));
    struct tls_context_options options = {
        .name = "fuzz",
        .ecc = {server.ecc_chain_path, server.ecc_key_path},
        .rsa = {server.rsa_chain_path, server.rsa_key_path},
        .compact = true,
    };
    contexts[0] = tls_context_create(&options, error);
    options.compact = false;
    options.client_auth = TLS_CLIENT_REQUIRED;
    options.client_ca_path = server.ca_path;
    contexts[1] = tls_context_create(&options, error);
    must(contexts[0] && contexts[1]);
    /* The files were read; so nothing is left behind when the fuzzer is killed. */
    snprintf(command, sizeof(command), "rm -r %s", folder);
    must(system(command) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes_count)
{
    static uint8_t held[TLS_RECORD_BYTES_MAX + 256];
    struct mem_budget budget;
    struct mem mem;
    size_t held_bytes = 0;
    size_t sent_bytes = 0;
    struct tls_sink sink = {on_plain, on_cipher, &sent_bytes};
    enum tls_status status = TLS_OK;

    if (bytes_count == 0)
        return 0;
    if (!contexts[0])
        setup();
    mem_budget_init(&budget, 1u << 30);
    mem_init(&mem, &budget);
    struct tls_engine *engine = tls_engine_create(&mem);
    struct tls_conn *conn = tls_conn_create(engine, contexts[data[0] & 1], 1);
    must(engine && conn);
    for (size_t at = 1; at < bytes_count && status == TLS_OK;) {
        size_t piece = min_size(data[at], bytes_count - at - 1);
        size_t used = 0;

        at++;

        if (held_bytes + piece > sizeof(held))
            break;
        memcpy(held + held_bytes, data + at, piece);
        at += piece;
        held_bytes += piece;
        status = tls_conn_feed(conn, held, held_bytes, &used, &sink);
        must(used <= held_bytes);
        /* What is left is less than the record that it begins. */
        size_t wanted = tls_conn_wants(span_of(held + used, held_bytes - used));
        must(status != TLS_OK || wanted == 0 || held_bytes - used < wanted);
        memmove(held, held + used, held_bytes - used);
        held_bytes -= used;
    }
    if (status == TLS_FAILED)
        must(tls_conn_failure(conn).kind != TLS_FAIL_NONE && tls_conn_failure(conn).text);
    tls_conn_destroy(engine, conn);
    tls_engine_destroy(engine);
    return 0;
}
