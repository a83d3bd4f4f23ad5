/*
 * tls/conn.c — drive BoringSSL through a handshake, then live on keys alone. See tls/conn.h.
 *
 * Thread: the I/O actor that owns the engine. All functions here return without waiting.
 * Owns:   struct tls_conn and what hangs on it.
 * Never:  keeps a byte of input or output beyond a call.
 */
#include "tls/conn.h"

#include <openssl/mem.h>
#include <string.h>
#include <time.h>

#include "client/smq_wire.h"
#include "tls/handover.h"
#include "tls/handshake.h"
#include "tls/peer.h"
#include "tls/signer.h"

enum phase {
    PHASE_HANDSHAKE = 0, /* .handshake */
    PHASE_COMPACT,       /* .record */
    PHASE_FULL,          /* .handshake, for its SSL object */
    PHASE_CLOSED,        /* .failure */
};

/* The IANA numbers of those we allow (tls/context.c), so that two bits name one. */
static const uint16_t groups[4] = {0, 29 /* X25519 */, 23 /* P-256 */, 24 /* P-384 */};

struct tls_conn {
    uint64_t room[TLS_ROOM_BYTES / 8]; /* the caller's */
    struct tls_peer *peer;             /* NULL: no client certificate */
    uint16_t in_bytes;                 /* of the handshake; these stop at the largest */
    uint16_t out_bytes;
    uint16_t cipher;
    uint16_t version : 1; /* enum tls_version */
    uint16_t cert : 2;    /* enum tls_cert */
    uint16_t group : 2;   /* index in groups[] */
    uint16_t resumed : 1;
    uint16_t alpn_http : 1;
    uint16_t phase : 2; /* enum phase */
    uint16_t read_closed : 1;
    uint16_t write_closed : 1;
    uint16_t block_words : 5; /* 8 bytes each: the size of this block */
    union {
        struct tls_handshake *handshake; /* in HANDSHAKE and FULL */
        struct tls_failure failure;      /* in CLOSED */
        struct tls_record record;        /* in COMPACT: goes on to the end of the block */
    };
};
static_assert(offsetof(struct tls_conn, record) == 32, "what tls/README.md promises");

/* Room for the keys of any suite: where a connection lives until it is fitted. */
#define BLOCK_BYTES_MAX                                                                            \
    (sizeof(struct tls_conn) +                                                                     \
     2 * (TLS_SECRET_BYTES_MAX + TLS_KEY_BYTES_MAX + (size_t)TLS_NONCE_BYTES))
static_assert(BLOCK_BYTES_MAX % 8 == 0 && BLOCK_BYTES_MAX / 8 < 32, "block_words has five bits");

static size_t block_bytes(const struct tls_conn *conn)
{
    return conn->block_words * (size_t)8;
}

static size_t block_bytes_for(size_t record_bytes)
{
    return (offsetof(struct tls_conn, record) + record_bytes + 7) & ~(size_t)7;
}

/* -- life -- */

struct tls_conn *tls_conn_create(struct tls_engine *engine, struct tls_context *context,
                                 uint64_t token)
{
    struct tls_conn *conn = mem_alloc_zero(engine->mem, MEM_TLS, BLOCK_BYTES_MAX);
    if (!conn)
        return NULL;
    struct tls_handshake *handshake = mem_alloc_zero(engine->mem, MEM_TLS, sizeof(*handshake));
    if (handshake)
        handshake->ssl = tls_context_ssl(context);
    if (!handshake || !handshake->ssl) {
        mem_free(engine->mem, MEM_TLS, handshake, sizeof(*handshake));
        mem_free(engine->mem, MEM_TLS, conn, BLOCK_BYTES_MAX);
        return NULL;
    }
    BIO_up_ref(engine->bio);
    SSL_set_bio(handshake->ssl, engine->bio, engine->bio);
    handshake->engine = engine;
    handshake->context = tls_context_ref(context);
    handshake->token = token;
    conn->handshake = handshake;
    conn->phase = PHASE_HANDSHAKE;
    conn->block_words = BLOCK_BYTES_MAX / 8;
    tls_engine_settle(engine);
    return conn;
}

static void drop_handshake(struct tls_handshake *handshake)
{
    struct tls_engine *engine = handshake->engine;

    if (handshake->job)
        tls_sign_abandon(handshake->job);
    SSL_free(handshake->ssl);
    tls_context_unref(handshake->context);
    mem_free(engine->mem, MEM_TLS, handshake, sizeof(*handshake));
    tls_engine_settle(engine);
}

/* Give back what a dead connection does not need. The block stays as large as it is. */
static void drop_phase(struct tls_conn *conn)
{
    switch ((enum phase)conn->phase) {
    case PHASE_HANDSHAKE:
    case PHASE_FULL:
        drop_handshake(conn->handshake);
        break;
    case PHASE_COMPACT:
        tls_record_deinit(&conn->record);
        break;
    case PHASE_CLOSED:
        break;
    }
}

void tls_conn_destroy(struct tls_engine *engine, struct tls_conn *conn)
{
    if (!conn)
        return;
    drop_phase(conn);
    tls_peer_free(engine->mem, conn->peer);
    mem_free(engine->mem, MEM_TLS, conn, block_bytes(conn));
}

struct tls_conn *tls_conn_fit(struct tls_engine *engine, struct tls_conn *conn, bool quiet)
{
    if (conn->phase != PHASE_COMPACT)
        return conn;
    struct tls_record *record = &conn->record;
    bool rests = record->version == TLS_1_3 &&
                 (quiet || (record->is_resting && !tls_record_is_restless(record)));
    size_t wanted_bytes =
        block_bytes_for(rests ? tls_record_resting_bytes(record->suite)
                              : tls_record_state_bytes(record->version, record->suite));

    if (quiet && record->is_resting)
        tls_record_rest(record);
    if (wanted_bytes == block_bytes(conn))
        return conn;
    struct tls_conn *moved = mem_alloc(engine->mem, MEM_TLS, wanted_bytes);
    if (!moved)
        return conn;
    if (rests && !record->is_resting)
        tls_record_rest(record);
    memcpy(moved, conn, offsetof(struct tls_conn, record) + tls_record_bytes(record));
    moved->block_words = (wanted_bytes / 8) & 31;
    if (!rests && moved->record.is_resting)
        tls_record_wake(&moved->record);
    tls_record_deinit(record);
    mem_free(engine->mem, MEM_TLS, conn, block_bytes(conn));
    return moved;
}

void *tls_conn_room(struct tls_conn *conn)
{
    return conn->room;
}

/* -- failing -- */

static enum tls_status fail(struct tls_conn *conn, const struct tls_failure *failure)
{
    must(failure->kind != TLS_FAIL_NONE);
    /* A fitted block may be smaller than a struct tls_conn, but never than what CLOSED needs. */
    static_assert(sizeof(struct tls_failure) <= sizeof(struct tls_record), "see above");
    conn->read_closed = true;
    conn->write_closed = true;
    drop_phase(conn);
    conn->phase = PHASE_CLOSED;
    conn->failure = *failure;
    return TLS_FAILED;
}

/* Explain a call to BoringSSL that failed. */
static enum tls_status fail_of_ssl(struct tls_conn *conn)
{
    struct tls_failure failure = tls_failure_of_ssl(conn->handshake, conn->phase == PHASE_FULL);

    return fail(conn, &failure);
}

/* -- the hand-over: from an SSL object to what stays -- */

static void count_bytes(uint16_t *sum, size_t bytes)
{
    *sum = (uint16_t)min_size(*sum + bytes, UINT16_MAX);
}

static void copy_info(struct tls_conn *conn)
{
    const SSL *ssl = conn->handshake->ssl;
    uint16_t group = SSL_get_curve_id(ssl);
    const uint8_t *alpn;
    unsigned alpn_bytes;

    conn->version = SSL_version(ssl) == TLS1_3_VERSION ? TLS_1_3 : TLS_1_2;
    conn->cipher = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl));
    conn->resumed = SSL_session_reused(ssl) == 1;
    conn->cert = conn->resumed ? TLS_CERT_NONE : conn->handshake->cert & 3;
    for (unsigned i = 0; i < COUNT_OF(groups); i++)
        if (groups[i] == group)
            conn->group = i & 3;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_bytes);
    conn->alpn_http = alpn_bytes > 0;
}

/* The client's certificate, if there was one; false: no memory. */
static bool copy_peer(struct tls_conn *conn)
{
    const SSL *ssl = conn->handshake->ssl;
    X509 *certificate = SSL_get_peer_certificate(ssl);

    if (!certificate)
        return true;
    conn->peer = tls_peer_read(conn->handshake->engine->mem, certificate);
    X509_free(certificate);
    if (conn->peer)
        conn->peer->verdict = tls_fail_of_verify(SSL_get_verify_result(ssl));
    return conn->peer != NULL;
}

static enum tls_status refuse_peer(struct tls_conn *conn, enum tls_fail verdict)
{
    enum tls_alert alert = verdict == TLS_FAIL_CERTIFICATE_REVOKED ? TLS_ALERT_CERTIFICATE_REVOKED
                                                                   : TLS_ALERT_CERTIFICATE_EXPIRED;

    SSL_send_fatal_alert(conn->handshake->ssl, (uint8_t)alert);
    return fail(conn, &(struct tls_failure){verdict, (uint8_t)alert, tls_fail_help(verdict)});
}

/* The handshake is done. Runs within engine_enter and engine_leave. */
static enum tls_status hand_over(struct tls_conn *conn)
{
    static const struct tls_failure no_memory = {TLS_FAIL_NO_MEMORY, TLS_ALERT_INTERNAL_ERROR,
                                                 "no memory for the session"};
    struct tls_handshake *handshake = conn->handshake;
    struct tls_engine *engine = handshake->engine;
    const struct tls_context_facts *facts = tls_context_facts(handshake->context);

    /* TLS 1.3 tickets wait for the first write; a write of nothing sends them now. */
    (void)SSL_write(handshake->ssl, "", 0);
    copy_info(conn);
    if (!copy_peer(conn))
        return fail(conn, &no_memory);
    if (conn->peer && conn->peer->verdict == TLS_FAIL_NONE) {
        /* A resumed session's certificate was verified when the ticket was made. */
        enum tls_fail verdict = tls_context_judge(handshake->context, conn->peer, time(NULL));
        if (verdict != TLS_FAIL_NONE && !facts->client_verdict_late)
            return refuse_peer(conn, verdict);
        conn->peer->verdict = verdict;
    }
    count_bytes(&conn->out_bytes, engine->sent_bytes);
    engine->sent_bytes = 0;
    if (!facts->compact) {
        conn->phase = PHASE_FULL;
        return TLS_OK;
    }
    tls_handover(&conn->record, handshake->ssl);
    conn->phase = PHASE_COMPACT;
    drop_handshake(handshake);
    return TLS_OK;
}

/* -- receiving: the handshake -- */

/* Does a TLS record, of any version and kind, begin here? Five bytes at least. */
static bool looks_like_record(const uint8_t *bytes)
{
    return bytes[0] >= TLS_CONTENT_CHANGE_CIPHER_SPEC && bytes[0] <= TLS_CONTENT_DATA &&
           bytes[1] == 3 && smq_load_u16(bytes + 3) <= TLS_PLAIN_BYTES_MAX + TLS_EXPANSION_BYTES;
}

/* The whole records at the front of @input, in bytes. What is no record at all counts as whole,
 * so that BoringSSL sees and refuses it at once, whatever length it seems to claim. */
static size_t whole_records(struct span input, bool *garbage)
{
    size_t whole_bytes = 0;

    *garbage = false;
    while (input.bytes_count >= TLS_HEADER_BYTES) {
        if (!looks_like_record(input.data)) {
            *garbage = true;
            return whole_bytes + input.bytes_count;
        }
        size_t record_bytes = TLS_HEADER_BYTES + smq_load_u16(input.data + 3);
        if (record_bytes > input.bytes_count)
            break;
        whole_bytes += record_bytes;
        input = span_skip(input, record_bytes);
    }
    return whole_bytes;
}

/* Go on with the handshake over @input; *used_bytes of it were read. */
static enum tls_status drive(struct tls_conn *conn, struct span input, size_t *used_bytes,
                             const struct tls_sink *sink)
{
    static const struct tls_failure no_record = {TLS_FAIL_GARBAGE, TLS_ALERT_PROTOCOL_VERSION,
                                                 "the first bytes are no TLS record"};
    struct tls_handshake *handshake = conn->handshake;
    struct tls_engine *engine = handshake->engine;
    enum tls_status status = TLS_OK;
    bool garbage;

    input.bytes_count = whole_records(input, &garbage);
    tls_engine_enter(engine, handshake, sink, input);
    int result = SSL_do_handshake(handshake->ssl);
    *used_bytes = input.bytes_count - engine->in.bytes_count;
    count_bytes(&conn->in_bytes, *used_bytes);
    if (result == 1) {
        status = hand_over(conn);
    } else {
        count_bytes(&conn->out_bytes, engine->sent_bytes);
        switch (SSL_get_error(handshake->ssl, result)) {
        case SSL_ERROR_WANT_READ:
            if (garbage && engine->in.bytes_count == 0)
                status = fail(conn, &no_record);
            break;
        case SSL_ERROR_WANT_PRIVATE_KEY_OPERATION:
            status = TLS_WAIT_SIGN;
            break;
        default:
            status = fail_of_ssl(conn);
            break;
        }
    }
    tls_engine_leave(engine);
    return status;
}

/* -- receiving: COMPACT -- */

static enum tls_status fail_compact(struct tls_conn *conn, const struct tls_failure *failure,
                                    const struct tls_sink *sink)
{
    uint8_t alert[TLS_ALERT_BYTES_MAX];

    if (failure->kind != TLS_FAIL_ALERT && !conn->write_closed) {
        size_t bytes = tls_record_seal_alert(&conn->record, alert, failure->alert);
        sink->cipher(sink->context, alert, bytes);
    }
    return fail(conn, failure);
}

static enum tls_status feed_compact(struct tls_conn *conn, uint8_t *bytes, size_t bytes_count,
                                    size_t *used_bytes, const struct tls_sink *sink)
{
    struct tls_failure failure;
    struct span data;
    size_t at = 0;

    for (;;) {
        size_t record_bytes;
        struct span rest = span_of(bytes + at, bytes_count - at);

        *used_bytes = at;
        if (!tls_record_measure(&conn->record, rest, &record_bytes, &failure))
            return fail_compact(conn, &failure, sink);
        if (record_bytes == 0 || record_bytes > rest.bytes_count)
            return TLS_OK;

        enum tls_opened opened =
            tls_record_open(&conn->record, bytes + at, record_bytes, &data, &failure);
        at += record_bytes;
        *used_bytes = at;
        switch (opened) {
        case TLS_OPENED_NOTHING:
            break;
        case TLS_OPENED_DATA:
            if (!sink->plain(sink->context, (uint8_t *)(uintptr_t)data.data, data.bytes_count))
                return TLS_OK;
            break;
        case TLS_OPENED_CLOSED:
            conn->read_closed = true;
            return TLS_CLOSED_BY_PEER;
        case TLS_OPENED_FAILED:
            return fail_compact(conn, &failure, sink);
        }
    }
}

/* -- receiving: FULL -- */

/* One whole record through the SSL object; its plaintext comes back in the same place. */
static enum tls_status feed_full_record(struct tls_conn *conn, uint8_t *bytes, size_t record_bytes,
                                        const struct tls_sink *sink, bool *stop)
{
    SSL *ssl = conn->handshake->ssl;
    struct tls_engine *engine = conn->handshake->engine;
    enum tls_status status = TLS_OK;

    tls_engine_enter(engine, conn->handshake, sink, span_of(bytes, record_bytes));
    /* BoringSSL copies a whole record before it gives any of it back, so the place is free. */
    int got = SSL_read(ssl, bytes, (int)record_bytes);
    if (got <= 0) {
        switch (SSL_get_error(ssl, got)) {
        case SSL_ERROR_WANT_READ:
            break;
        case SSL_ERROR_ZERO_RETURN:
            conn->read_closed = true;
            status = TLS_CLOSED_BY_PEER;
            break;
        default:
            status = fail_of_ssl(conn);
            break;
        }
    }
    tls_engine_leave(engine);
    if (got > 0)
        *stop = !sink->plain(sink->context, bytes, (size_t)got);
    return status;
}

static enum tls_status feed_full(struct tls_conn *conn, uint8_t *bytes, size_t bytes_count,
                                 size_t *used_bytes, const struct tls_sink *sink)
{
    size_t at = 0;
    bool stop = false;
    enum tls_status status = TLS_OK;

    while (status == TLS_OK && !stop) {
        bool garbage;
        struct span rest = span_of(bytes + at, bytes_count - at);
        size_t record_bytes = rest.bytes_count; /* of garbage: BoringSSL shall see all of it */

        *used_bytes = at;
        if (rest.bytes_count < TLS_HEADER_BYTES)
            return TLS_OK;
        garbage = !looks_like_record(rest.data);
        if (!garbage)
            record_bytes = TLS_HEADER_BYTES + smq_load_u16(rest.data + 3);
        if (record_bytes > rest.bytes_count)
            return TLS_OK;
        status = feed_full_record(conn, bytes + at, record_bytes, sink, &stop);
        at += record_bytes;
        *used_bytes = at;
    }
    return status;
}

/* -- receiving -- */

size_t tls_conn_wants(struct span input)
{
    if (input.bytes_count < TLS_HEADER_BYTES)
        return 0;
    return min_size(TLS_HEADER_BYTES + smq_load_u16(input.data + 3), TLS_RECORD_BYTES_MAX);
}

enum tls_status tls_conn_feed(struct tls_conn *conn, uint8_t *bytes, size_t bytes_count,
                              size_t *used_bytes, const struct tls_sink *sink)
{
    size_t used = 0;
    enum tls_status status = TLS_OK;

    must(!conn->read_closed);
    *used_bytes = 0;
    if (conn->phase == PHASE_HANDSHAKE) {
        if (conn->handshake->job)
            return TLS_WAIT_SIGN;
        status = drive(conn, span_of(bytes, bytes_count), &used, sink);
        *used_bytes = used;
        if (status != TLS_OK || conn->phase == PHASE_HANDSHAKE)
            return status;
    }
    if (conn->phase == PHASE_COMPACT)
        status = feed_compact(conn, bytes + used, bytes_count - used, used_bytes, sink);
    else
        status = feed_full(conn, bytes + used, bytes_count - used, used_bytes, sink);
    *used_bytes += used;
    return status;
}

enum tls_status tls_conn_resume(struct tls_conn *conn, const struct tls_sink *sink)
{
    size_t used;

    if (conn->phase != PHASE_HANDSHAKE || !conn->handshake->job)
        return TLS_OK;
    return drive(conn, span_of(NULL, 0), &used, sink);
}

/* -- sending -- */

/* What one record adds to its plaintext. */
static size_t overhead_bytes(const struct tls_conn *conn)
{
    enum tls_suite suite;

    if (conn->phase == PHASE_COMPACT)
        return tls_record_prefix_bytes(&conn->record) + tls_record_suffix_bytes(&conn->record);
    if (conn->version == TLS_1_3)
        return TLS_HEADER_BYTES + 1 + TLS_TAG_BYTES;
    must(tls_suite_of_cipher(conn->cipher, &suite));
    return TLS_HEADER_BYTES + TLS_TAG_BYTES +
           (suite == TLS_SUITE_CHACHA20 ? 0 : TLS_EXPLICIT_NONCE);
}

static size_t plain_bytes_per_record(const struct tls_conn *conn, size_t record_bytes_max)
{
    if (record_bytes_max == 0)
        return TLS_PLAIN_BYTES_MAX;
    must(record_bytes_max >= SMQ_RECORD_BYTES_MIN);
    return min_size(record_bytes_max - overhead_bytes(conn), TLS_PLAIN_BYTES_MAX);
}

size_t tls_conn_seal_bytes_max(const struct tls_conn *conn, size_t plain_bytes,
                               size_t record_bytes_max)
{
    size_t per_record = plain_bytes_per_record(conn, record_bytes_max);
    size_t record_count = (plain_bytes + per_record - 1) / per_record;

    return plain_bytes + record_count * overhead_bytes(conn) + TLS_KEY_UPDATE_BYTES;
}

/* The plaintext of a call, as one stream. */
struct reader {
    const struct iovec *part;
    size_t part_count;
    size_t part_at; /* bytes of the first part that were read */
};

static size_t reader_left(const struct reader *reader, size_t enough_bytes)
{
    size_t bytes = 0;

    for (size_t i = 0; i < reader->part_count && bytes < enough_bytes; i++)
        bytes += reader->part[i].iov_len - (i == 0 ? reader->part_at : 0);
    return min_size(bytes, enough_bytes);
}

static void reader_copy(struct reader *reader, uint8_t *out, size_t bytes)
{
    while (bytes > 0) {
        must(reader->part_count > 0);
        size_t count = min_size(bytes, reader->part->iov_len - reader->part_at);

        if (count > 0) /* an empty part may have no address */
            memcpy(out, (const uint8_t *)reader->part->iov_base + reader->part_at, count);
        out += count;
        bytes -= count;
        reader->part_at += count;
        if (reader->part_at == reader->part->iov_len) {
            reader->part++;
            reader->part_count--;
            reader->part_at = 0;
        }
    }
}

/* Seal one record of @plain_bytes at @out in FULL: through the SSL object. */
static size_t seal_full(struct tls_conn *conn, struct reader *reader, size_t plain_bytes,
                        uint8_t *out, size_t room)
{
    struct tls_engine *engine = conn->handshake->engine;
    /* The plaintext waits at the end of the room, whence SSL_write reads it before it writes. */
    uint8_t *plain = out + room - plain_bytes;

    reader_copy(reader, plain, plain_bytes);
    tls_engine_enter(engine, conn->handshake, NULL, span_of(NULL, 0));
    engine->out = out;
    engine->out_bytes_max = room;
    int written = SSL_write(conn->handshake->ssl, plain, (int)plain_bytes);
    must(written == (int)plain_bytes);
    size_t bytes = engine->out_bytes;
    tls_engine_leave(engine);
    return bytes;
}

size_t tls_conn_seal(struct tls_conn *conn, const struct iovec *plain, size_t plain_count,
                     uint8_t *out, size_t room, size_t record_bytes_max, size_t *taken_bytes)
{
    struct reader reader = {plain, plain_count, 0};
    size_t per_record = plain_bytes_per_record(conn, record_bytes_max);
    size_t overhead = overhead_bytes(conn);
    size_t written = 0;

    must(tls_conn_is_established(conn));
    must(!conn->write_closed);
    *taken_bytes = 0;
    for (;;) {
        bool update = conn->phase == PHASE_FULL || tls_record_update_due(&conn->record);
        size_t extra = overhead + (update ? TLS_KEY_UPDATE_BYTES : 0);
        if (room - written <= extra)
            return written;
        size_t bytes = reader_left(&reader, min_size(per_record, room - written - extra));
        if (bytes == 0)
            return written;

        if (conn->phase == PHASE_FULL) {
            written += seal_full(conn, &reader, bytes, out + written, room - written);
        } else {
            if (update)
                written += tls_record_seal_update(&conn->record, out + written);
            reader_copy(&reader, out + written + tls_record_prefix_bytes(&conn->record), bytes);
            written += tls_record_seal(&conn->record, out + written, bytes, TLS_CONTENT_DATA);
        }
        *taken_bytes += bytes;
    }
}

void tls_conn_close_notify(struct tls_conn *conn, const struct tls_sink *sink)
{
    uint8_t alert[TLS_ALERT_BYTES_MAX];

    if (conn->write_closed || !tls_conn_is_established(conn))
        return;
    conn->write_closed = true;
    if (conn->phase == PHASE_COMPACT) {
        size_t bytes = tls_record_seal_alert(&conn->record, alert, TLS_ALERT_CLOSE_NOTIFY);
        sink->cipher(sink->context, alert, bytes);
        return;
    }
    struct tls_handshake *handshake = conn->handshake;

    tls_engine_enter(handshake->engine, handshake, sink, span_of(NULL, 0));
    (void)SSL_shutdown(handshake->ssl); /* 0: ours is out, the peer's has not come */
    tls_engine_leave(handshake->engine);
}

void tls_conn_abandon(struct tls_conn *conn, const struct tls_sink *sink)
{
    static const struct tls_failure abandoned = {TLS_FAIL_BAD_HANDSHAKE, TLS_ALERT_USER_CANCELED,
                                                 "the handshake was given up"};
    struct tls_handshake *handshake = conn->handshake;

    if (conn->phase != PHASE_HANDSHAKE)
        return;
    struct tls_engine *engine = handshake->engine;

    tls_engine_enter(engine, handshake, sink, span_of(NULL, 0));
    (void)SSL_send_fatal_alert(handshake->ssl, TLS_ALERT_USER_CANCELED);
    (void)fail(conn, &abandoned);
    tls_engine_leave(engine);
}

/* -- questions -- */

bool tls_conn_is_established(const struct tls_conn *conn)
{
    return conn->phase == PHASE_COMPACT || conn->phase == PHASE_FULL;
}

struct tls_failure tls_conn_failure(const struct tls_conn *conn)
{
    must(conn->phase == PHASE_CLOSED);
    return conn->failure;
}

struct tls_info tls_conn_info(const struct tls_conn *conn)
{
    return (struct tls_info){.handshake_in_bytes = conn->in_bytes,
                             .handshake_out_bytes = conn->out_bytes,
                             .cipher = conn->cipher,
                             .group = groups[conn->group],
                             .version = (enum tls_version)conn->version,
                             .cert = (enum tls_cert)conn->cert,
                             .resumed = conn->resumed,
                             .alpn_http = conn->alpn_http};
}

const struct tls_peer *tls_conn_peer(const struct tls_conn *conn)
{
    return conn->peer;
}

const char *tls_version_name(enum tls_version version)
{
    return version == TLS_1_3 ? "TLSv1.3" : "TLSv1.2";
}

const char *tls_cipher_name(uint16_t cipher)
{
    const SSL_CIPHER *known = SSL_get_cipher_by_value(cipher);

    return known ? SSL_CIPHER_standard_name(known) : "unknown";
}

size_t tls_conn_bytes(const struct tls_conn *conn)
{
    size_t bytes = mem_cost(block_bytes(conn));

    if (conn->phase == PHASE_HANDSHAKE || conn->phase == PHASE_FULL)
        bytes += mem_cost(sizeof(*conn->handshake));
    if (conn->peer)
        bytes += mem_cost(tls_peer_bytes(conn->peer));
    return bytes;
}
