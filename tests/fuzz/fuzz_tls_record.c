/*
 * tests/fuzz/fuzz_tls_record.c — our record layer against BoringSSL's own, on the same bytes.
 *
 *      a client that may misbehave --records--> struct tls_record  } must agree
 *                                  \---------> BoringSSL's SSL    }
 *
 * Each input makes a (resumed) handshake, takes the keys into a struct tls_record and keeps the SSL
 * object beside it. The input is a script of what the client sends then: honest data, anything
 * else under the right key, damaged records, KeyUpdates; and of what the server sends.
 *
 * Ours alone: what it opens is what was sealed, byte for byte; nothing damaged, repeated or made up
 * opens; the client opens what it seals. Agreed on with BoringSSL: every byte of plaintext,
 * close_notify, every byte of ciphertext that the server makes. Ours may refuse what BoringSSL
 * takes only for the reasons listed in stricter[]; it never takes what BoringSSL refuses.
 *
 * The handshake takes most of an input's time. With FUZZ_LIBRARY_EVERY=N in the environment only
 * one input in N, by a hash of its bytes, has one; the others begin with the keys of a handshake
 * made at the start, and are checked against themselves.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/smq_wire.h"
#include "tests/fuzz/exact.h"
#include "tls/ca_cert.h"
#include "tls/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes_count);

/* Where the record layer follows the RFC and BoringSSL is lenient, or counts otherwise. */
static const char *const stricter[] = {
    /* RFC 8446 §5.4; BoringSSL counts it as an empty record. */
    "an empty handshake record",
    "renegotiation is not allowed",
    /* At its first wrong byte; BoringSSL waits for the whole message. */
    "a handshake message other than KeyUpdate",
    "a KeyUpdate of the wrong length",
    /* TLS 1.2: warnings other than user_canceled, which BoringSSL ignores. */
    "the peer sent a fatal alert",
    /* Ours count until data comes, BoringSSL's until any content. */
    "too many empty records",
    "too many warning alerts",
};

/* -- one handshake, resumed from a session made at the start -- */

static const struct {
    uint16_t version;
    const char *ciphers;
} kinds[] = {
    {TLS1_3_VERSION, NULL}, /* AES-128-GCM: BoringSSL's choice among its own */
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"},
};

#define RECORD_KEYS_BYTES_MAX (2 * (TLS_SECRET_BYTES_MAX + TLS_KEY_BYTES_MAX + TLS_NONCE_BYTES))

static SSL_CTX *server_context;
static SSL_CTX *client_contexts[COUNT_OF(kinds)];
static SSL_SESSION *sessions[COUNT_OF(kinds)];
static SSL_SESSION *new_session;
static struct tls_record *started[COUNT_OF(kinds)]; /* as a handshake left it */
static uint32_t library_every = 1;

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(new_session);
    new_session = session;
    return 1;
}

struct pair {
    SSL *server;
    SSL *client;
};

static struct pair pair_make(size_t kind)
{
    struct pair pair = {SSL_new(server_context), SSL_new(client_contexts[kind])};
    BIO *to_server = BIO_new(BIO_s_mem());
    BIO *to_client = BIO_new(BIO_s_mem());
    uint8_t byte;

    must(pair.server && pair.client && to_server && to_client);
    BIO_set_mem_eof_return(to_server, -1);
    BIO_set_mem_eof_return(to_client, -1);
    BIO_up_ref(to_server);
    BIO_up_ref(to_client);
    SSL_set_bio(pair.server, to_server, to_client);
    SSL_set_bio(pair.client, to_client, to_server);
    SSL_set_accept_state(pair.server);
    SSL_set_connect_state(pair.client);
    if (sessions[kind])
        must(SSL_set_session(pair.client, sessions[kind]) == 1);
    for (int i = 0; i < 6 && (SSL_in_init(pair.client) || SSL_in_init(pair.server)); i++) {
        (void)SSL_do_handshake(pair.client);
        (void)SSL_do_handshake(pair.server);
    }
    must(!SSL_in_init(pair.client) && !SSL_in_init(pair.server));
    (void)SSL_write(pair.server, "", 0); /* the tickets */
    (void)SSL_peek(pair.client, &byte, 1);
    ERR_clear_error();
    return pair;
}

static void pair_free(struct pair *pair)
{
    SSL_free(pair->client);
    SSL_free(pair->server);
    SSL_SESSION_free(new_session);
    new_session = NULL;
    ERR_clear_error();
}

/* The server's record layer, exactly as large as it must be: a sanitizer sees who reads beyond. */
static struct tls_record *record_of(const SSL *server)
{
    struct tls_record *record = malloc(sizeof(*record) + RECORD_KEYS_BYTES_MAX);

    must(record);
    tls_handover(record, server);
    record = realloc(record, tls_record_bytes(record));
    must(record);
    return record;
}

static struct tls_record *record_copy(const struct tls_record *record)
{
    size_t bytes = tls_record_bytes(record);
    struct tls_record *copy = malloc(bytes);

    must(copy);
    memcpy(copy, record, bytes);
    return copy;
}

static void setup(void)
{
    const char *every = getenv("FUZZ_LIBRARY_EVERY");
    EVP_PKEY *key = ca_key_ecc();
    struct ca_request root_request = {CA_ROOT, "root", NULL, key, NULL, NULL};
    X509 *root = ca_certificate(&root_request);
    struct ca_request request = {CA_SERVER, "fuzz", NULL, key, root, key};
    X509 *certificate = ca_certificate(&request);

    server_context = SSL_CTX_new(TLS_method());
    must(key && certificate && server_context);
    must(SSL_CTX_use_certificate(server_context, certificate) == 1);
    must(SSL_CTX_use_PrivateKey(server_context, key) == 1);
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        client_contexts[i] = SSL_CTX_new(TLS_method());
        must(client_contexts[i]);
        must(SSL_CTX_set_min_proto_version(client_contexts[i], kinds[i].version) == 1);
        must(SSL_CTX_set_max_proto_version(client_contexts[i], kinds[i].version) == 1);
        if (kinds[i].ciphers)
            must(SSL_CTX_set_strict_cipher_list(client_contexts[i], kinds[i].ciphers) == 1);
        SSL_CTX_set_session_cache_mode(client_contexts[i], SSL_SESS_CACHE_CLIENT);
        SSL_CTX_sess_set_new_cb(client_contexts[i], on_new_session);
        struct pair pair = pair_make(i);
        sessions[i] = new_session;
        new_session = NULL; /* kept: pair_free frees those of later handshakes */
        pair_free(&pair);
        must(sessions[i]);
        pair = pair_make(i);
        started[i] = record_of(pair.server);
        pair_free(&pair);
    }
    if (every)
        library_every = (uint32_t)strtoul(every, NULL, 10);
    must(library_every > 0);
    X509_free(root);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* -- the two record layers and the client -- */

struct bench {
    struct pair pair; /* NULLs: this input is without the library */
    struct tls_record *ours;
    struct tls_record *client; /* what the client writes with; may say anything */
    struct span sealed; /* the plaintext of the record that comes; nothing: it is a forgery */
    size_t data_bytes;  /* how much of it is data, if it opens as data; or ANY_BYTES */
    bool forged;
    bool over;
};

#define ANY_BYTES SIZE_MAX
#define ROOM      (2u * TLS_RECORD_BYTES_MAX)
static uint8_t last[ROOM]; /* the record that the client sent last */
static size_t last_bytes;

/* Copy a pair of parts, @bytes each, with reading and writing exchanged. */
static void copy_crossed(uint8_t *to, const uint8_t *from, size_t bytes)
{
    memcpy(to, from + bytes, bytes);
    memcpy(to + bytes, from, bytes);
}

/* The client's record layer is the server's with reading and writing exchanged. */
static struct tls_record *client_make(const struct tls_record *ours)
{
    size_t bytes = tls_record_state_bytes(ours->version, ours->suite);
    size_t secret_bytes = ours->version == TLS_1_3 ? tls_secret_bytes(ours->suite) : 0;
    size_t key_bytes =
        tls_key_bytes(ours->suite) + tls_iv_bytes((enum tls_version)ours->version, ours->suite);
    struct tls_record *client = malloc(bytes);

    must(client);
    memcpy(client, ours, offsetof(struct tls_record, keys));
    copy_crossed(client->keys, ours->keys, secret_bytes);
    copy_crossed(client->keys + 2 * secret_bytes, ours->keys + 2 * secret_bytes, key_bytes);
    client->write_sequence = ours->read_sequence;
    client->read_sequence = ours->write_sequence;
    return client;
}

static bool is_stricter(const char *text)
{
    for (size_t i = 0; i < COUNT_OF(stricter); i++) {
        if (strcmp(stricter[i], text) == 0)
            return true;
    }
    return false;
}

static void disagree(const char *what, const struct tls_failure *failure)
{
    char text[200];

    ERR_error_string_n(ERR_peek_error(), text, sizeof(text));
    fprintf(stderr, "disagreement: %s\n  ours: %s\n  BoringSSL: %s\n", what,
            failure->text ? failure->text : "-", text);
    abort();
}

/* What ours made of a record, by what we know of it. */
static void check_opened(const struct bench *bench, enum tls_opened opened, struct span data)
{
    must(!bench->forged || opened == TLS_OPENED_FAILED);
    if (opened != TLS_OPENED_DATA)
        return;
    must(data.bytes_count > 0 && data.bytes_count <= bench->sealed.bytes_count);
    must(bench->data_bytes == ANY_BYTES || bench->data_bytes == data.bytes_count);
    must(memcmp(data.data, bench->sealed.data, data.bytes_count) == 0);
}

/* Give the same record to BoringSSL; compare. */
static void check_agreement(struct bench *bench, struct span record, enum tls_opened opened,
                            struct span data, const struct tls_failure *failure)
{
    static uint8_t theirs[ROOM];

    ERR_clear_error();
    BIO_write(SSL_get_rbio(bench->pair.server), record.data, (int)record.bytes_count);
    int got = SSL_read(bench->pair.server, theirs, sizeof(theirs));
    int error = SSL_get_error(bench->pair.server, got);

    switch (opened) {
    case TLS_OPENED_DATA:
        if (got != (int)data.bytes_count || memcmp(theirs, data.data, data.bytes_count) != 0)
            disagree("data", failure);
        break;
    case TLS_OPENED_NOTHING:
        if (got > 0 || error != SSL_ERROR_WANT_READ)
            disagree("nothing to say", failure);
        break;
    case TLS_OPENED_CLOSED:
        /* Sent as a fatal alert BoringSSL takes it for one: the end either way. */
        if (got > 0 || (error != SSL_ERROR_ZERO_RETURN && error != SSL_ERROR_SSL))
            disagree("close_notify", failure);
        break;
    case TLS_OPENED_FAILED:
        if (error != SSL_ERROR_SSL && !is_stricter(failure->text))
            disagree("refused by ours alone", failure);
        break;
    }
}

/* The record in last arrives. */
static void deliver(struct bench *bench)
{
    static struct exact exact;
    struct span record = span_of(last, last_bytes);
    struct tls_failure failure = {TLS_FAIL_NONE, 0, NULL};
    struct span data = {NULL, 0};
    size_t record_bytes = 0;
    enum tls_opened opened = TLS_OPENED_FAILED;

    /* Only whole records: what the rest of another would be is a matter of framing. */
    if (last_bytes < TLS_HEADER_BYTES || last_bytes != TLS_HEADER_BYTES + smq_load_u16(last + 3))
        return;
    uint8_t *bytes = exact_copy(&exact, last, last_bytes);

    if (tls_record_measure(bench->ours, record, &record_bytes, &failure)) {
        must(record_bytes == last_bytes);
        opened = tls_record_open(bench->ours, bytes, last_bytes, &data, &failure);
    }
    must((opened == TLS_OPENED_FAILED) == (failure.text != NULL));
    check_opened(bench, opened, data);
    if (bench->pair.server)
        check_agreement(bench, record, opened, data, &failure);
    bench->over = opened == TLS_OPENED_CLOSED || opened == TLS_OPENED_FAILED;
    exact_free(&exact);
}

/* The client seals @plain_bytes, which stand in @plain, as @content; the record is in last. @plain
 * stays as it is until the record was delivered. */
static void client_seal(struct bench *bench, const uint8_t *plain, size_t plain_bytes,
                        enum tls_content content)
{
    if (plain_bytes > 0)
        memcpy(last + tls_record_prefix_bytes(bench->client), plain, plain_bytes);
    last_bytes = tls_record_seal(bench->client, last, plain_bytes, content);
    bench->sealed = span_of(plain, plain_bytes);
    bench->data_bytes = content == TLS_CONTENT_DATA ? plain_bytes : ANY_BYTES;
}

/* The client opens what ours sealed: perhaps a KeyUpdate, and then @plain. */
static void check_answer(struct bench *bench, uint8_t *bytes, size_t bytes_count, struct span plain)
{
    enum tls_opened opened = TLS_OPENED_NOTHING;
    struct span data = {NULL, 0};

    while (bytes_count > 0) {
        struct tls_failure failure;
        size_t record_bytes = 0;

        must(opened == TLS_OPENED_NOTHING);
        must(tls_record_measure(bench->client, span_of(bytes, bytes_count), &record_bytes,
                                &failure));
        must(record_bytes > 0 && record_bytes <= bytes_count);
        opened = tls_record_open(bench->client, bytes, record_bytes, &data, &failure);
        bytes += record_bytes;
        bytes_count -= record_bytes;
    }
    must(opened == TLS_OPENED_DATA && data.bytes_count == plain.bytes_count);
    must(memcmp(data.data, plain.data, plain.bytes_count) == 0);
}

/* The server sends @plain, with both; the ciphertexts must be the same. */
static void server_says(struct bench *bench, struct span plain)
{
    static uint8_t ours[ROOM];
    static uint8_t theirs[ROOM];
    size_t ours_bytes = 0;
    int theirs_bytes = 0;

    if (plain.bytes_count == 0)
        return;
    if (tls_record_update_due(bench->ours))
        ours_bytes += tls_record_seal_update(bench->ours, ours);
    memcpy(ours + ours_bytes + tls_record_prefix_bytes(bench->ours), plain.data, plain.bytes_count);
    ours_bytes +=
        tls_record_seal(bench->ours, ours + ours_bytes, plain.bytes_count, TLS_CONTENT_DATA);

    if (bench->pair.server) {
        BIO_reset(SSL_get_wbio(bench->pair.server));
        must(SSL_write(bench->pair.server, plain.data, (int)plain.bytes_count) ==
             (int)plain.bytes_count);
        theirs_bytes = BIO_read(SSL_get_wbio(bench->pair.server), theirs, sizeof(theirs));
        must(theirs_bytes == (int)ours_bytes);
        must(memcmp(ours, theirs, ours_bytes) == 0);
    }
    check_answer(bench, ours, ours_bytes, plain);
}

/* -- the script -- */

struct script {
    const uint8_t *at;
    size_t bytes_count;
};

static uint8_t take_u8(struct script *script)
{
    if (script->bytes_count == 0)
        return 0;
    script->bytes_count--;
    return *script->at++;
}

static struct span take_bytes(struct script *script, size_t bytes_count)
{
    struct span taken = span_of(script->at, min_size(bytes_count, script->bytes_count));

    script->at += taken.bytes_count;
    script->bytes_count -= taken.bytes_count;
    return taken;
}

enum step {
    STEP_DATA = 0, /* honest data */
    STEP_BIG,      /* the same, up to the largest record */
    STEP_ANY,      /* any content type, any content, under the right key */
    STEP_UPDATE,   /* an honest KeyUpdate (TLS 1.3) */
    STEP_DAMAGED,  /* honest data with a byte changed */
    STEP_AGAIN,    /* the last record once more */
    STEP_RAW,      /* a record that the script spells out */
    STEP_ANSWER,   /* the server sends */
    STEP_PADDED,   /* honest data behind padding (TLS 1.3) */
    STEP_REST,     /* our keys come and go (TLS 1.3) */
    STEP_COUNT
};

static void send_update(struct bench *bench, bool ask)
{
    uint8_t message[5] = {24, 0, 0, 1, ask};

    if (bench->client->version != TLS_1_3) {
        client_seal(bench, message, sizeof(message), TLS_CONTENT_HANDSHAKE);
        return;
    }
    if (!ask) {
        last_bytes = tls_record_seal_update(bench->client, last);
        return;
    }
    /* tls_record_seal_update never asks; seal the question, then turn the key as it does. */
    client_seal(bench, message, sizeof(message), TLS_CONTENT_HANDSHAKE);
    uint8_t unsent[TLS_KEY_UPDATE_BYTES];
    (void)tls_record_seal_update(bench->client, unsent);
}

/* Always exactly as large as it must be. */
static void resize(struct bench *bench, size_t bytes)
{
    bench->ours = realloc(bench->ours, bytes);
    must(bench->ours);
}

static void change_rest(struct bench *bench)
{
    struct tls_record *ours = bench->ours;

    if (ours->version != TLS_1_3)
        return;
    if (!ours->is_resting) {
        tls_record_rest(ours);
        resize(bench, tls_record_resting_bytes((enum tls_suite)ours->suite));
    } else {
        resize(bench, tls_record_state_bytes(TLS_1_3, (enum tls_suite)ours->suite));
        tls_record_wake(bench->ours);
    }
}

/* Data behind which zeros stand, as TLS 1.3 hides its length. */
static void send_padded(struct bench *bench, struct span text, uint8_t zeros_bytes)
{
    static uint8_t padded[64 + 1 + UINT8_MAX];

    must(text.bytes_count < 64);
    if (text.bytes_count > 0)
        memcpy(padded, text.data, text.bytes_count);
    padded[text.bytes_count] = TLS_CONTENT_DATA;
    memset(padded + text.bytes_count + 1, 0, zeros_bytes);
    client_seal(bench, padded, text.bytes_count + 1 + zeros_bytes, (enum tls_content)0);
    bench->data_bytes = text.bytes_count;
}

static void run_step(struct bench *bench, struct script *script)
{
    static const uint8_t big[TLS_PLAIN_BYTES_MAX];
    enum step step = take_u8(script) % STEP_COUNT;
    uint8_t choice = take_u8(script);
    struct span text;

    bench->forged = step == STEP_DAMAGED || step == STEP_AGAIN || step == STEP_RAW;
    switch (step) {
    case STEP_DATA:
        text = take_bytes(script, choice);
        client_seal(bench, text.data, text.bytes_count, TLS_CONTENT_DATA);
        break;
    case STEP_BIG:
        client_seal(bench, big, TLS_PLAIN_BYTES_MAX - choice, TLS_CONTENT_DATA);
        break;
    case STEP_ANY:
        text = take_bytes(script, take_u8(script));
        client_seal(bench, text.data, text.bytes_count, (enum tls_content)choice);
        break;
    case STEP_UPDATE:
        send_update(bench, choice & 1);
        break;
    case STEP_DAMAGED:
        text = take_bytes(script, 16);
        client_seal(bench, text.data, text.bytes_count, TLS_CONTENT_DATA);
        last[choice % last_bytes] ^= (uint8_t)(take_u8(script) | 1);
        break;
    case STEP_AGAIN:
        if (last_bytes == 0)
            return;
        break;
    case STEP_RAW:
        text = take_bytes(script, (size_t)choice + TLS_HEADER_BYTES);
        memcpy(last, text.data, text.bytes_count);
        last_bytes = text.bytes_count;
        break;
    case STEP_ANSWER:
        text = take_bytes(script, choice);
        server_says(bench, text);
        return;
    case STEP_PADDED:
        text = take_bytes(script, choice % 64);
        send_padded(bench, text, choice);
        break;
    case STEP_REST:
        change_rest(bench);
        return;
    case STEP_COUNT:
        break;
    }
    deliver(bench);
}

/* FNV-1a: one input in library_every, and always the same ones. */
static bool is_with_library(const uint8_t *data, size_t bytes_count)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < bytes_count; i++)
        hash = (hash ^ data[i]) * 16777619u;
    return (hash >> 8) % library_every == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes_count)
{
    struct script script = {data, bytes_count};
    struct bench bench = {.over = false};

    if (!server_context)
        setup();
    size_t kind = take_u8(&script) % COUNT_OF(kinds);

    if (is_with_library(data, bytes_count)) {
        bench.pair = pair_make(kind);
        bench.ours = record_of(bench.pair.server);
    } else {
        bench.ours = record_copy(started[kind]);
    }
    bench.client = client_make(bench.ours);
    last_bytes = 0;
    while (script.bytes_count > 0 && !bench.over)
        run_step(&bench, &script);

    free(bench.ours);
    free(bench.client);
    pair_free(&bench.pair);
    return 0;
}
