/*
 * net/secure.c — see net/secure.h. Thread: the I/O actor's.
 *
 * tls/ calls back into this file while it runs; nothing here frees a connection in between: closing
 * is only noted, and the end of the turn goes on with it.
 */
#include "net/secure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/facts.h"
#include "core/limits.h"
#include "core/log.h"
#include "net/session_parts.h"

#define FILL_BYTES_MAX    65536u               /* plaintext sealed at once: four full records */
#define SIGNING_BYTES_MAX TLS_RECORD_BYTES_MAX /* what a client may send ahead of our signature */
#define JUDGED_A_TURN     256u
#define STEPS_A_TURN      8u /* 1 ms: those who are in should not notice a storm */

static_assert(FILL_BYTES_MAX <= UINT32_MAX / 4, "an outq counts in u32");

/* -- the listeners' credentials -- */

struct secure_set *secure_set_create(uint32_t policy_count)
{
    struct secure_set *set =
        calloc(1, sizeof(struct secure_set) + policy_count * sizeof(struct secure_policy));

    must(set); /* at start, or a reload: a few hundred bytes */
    atomic_init(&set->reference_count, 1);
    set->policy_count = policy_count;
    return set;
}

struct secure_set *secure_set_ref(struct secure_set *set)
{
    atomic_fetch_add_explicit(&set->reference_count, 1, memory_order_relaxed);
    return set;
}

void secure_set_unref(struct secure_set *set)
{
    if (!set)
        return;
    unsigned before = atomic_fetch_sub_explicit(&set->reference_count, 1, memory_order_acq_rel);
    must(before > 0);
    if (before > 1)
        return;
    for (uint32_t i = 0; i < set->policy_count; i++)
        tls_context_unref(set->policies[i].context);
    free(set);
}

static const struct secure_policy *policy_of(const struct io *io, const struct conn *conn)
{
    const struct secure_set *set = io->secure->set;

    return &set->policies[set->policy_of_listener[conn->listener_index]];
}

/* -- the sink of tls/conn.h -- */

struct sink_context {
    struct io *io;
    struct conn *conn;
};

static void take_cipher(void *context, const uint8_t *bytes, size_t bytes_count)
{
    struct sink_context *to = context;

    if (!outq_append(secure_queue(to->conn), &to->io->mem, span_of(bytes, bytes_count)))
        conn_close(to->io, to->conn, CLOSE_MEMORY);
    else
        conn_mark(to->io, to->conn);
}

/* -- whose turn it is -- */

bool secure_may_read(struct io *io, struct conn *conn)
{
    struct turns *turns = &io->secure->turns;
    struct conn_handle handle = conn_handle_of(io, conn);
    bool has_begun = conn->tls || conn->flags & CONN_TURN;

    if (conn->flags & CONN_SECURED)
        return true;
    if (conn->flags & CONN_WAITS)
        return false;
    if (has_begun ? !turns_wait_on(turns, &io->mem, handle)
                  : !turns_wait(turns, &io->mem, handle)) {
        io_count(io, IO_STAT_REFUSED_MEMORY, 1);
        conn_close(io, conn, CLOSE_MEMORY);
        return false;
    }
    conn->flags |= CONN_WAITS;
    io_count(io, IO_STAT_TLS_WAITING, 1);
    return false;
}

static void end_wait(struct io *io, struct conn *conn)
{
    if (!(conn->flags & CONN_WAITS) || conn->flags & CONN_SECURED) /* it waits for a buffer */
        return;
    conn->flags &= ~CONN_WAITS;
    io_count(io, IO_STAT_TLS_WAITING, (uint64_t)-1);
}

static void end_turn(struct io *io, struct conn *conn)
{
    if (!(conn->flags & CONN_TURN))
        return;
    conn->flags &= ~CONN_TURN;
    turns_end(&io->secure->turns);
}

/* The connection at the head of a line, when it still stands there. */
static struct conn *leave_line(struct io *io, struct conn_handle handle)
{
    struct conn *conn = conn_find(io, handle);

    if (!conn || !(conn->flags & CONN_WAITS) || conn->flags & CONN_SECURED)
        return NULL;
    end_wait(io, conn);
    conn_mark(io, conn); /* to be read from */
    return conn;
}

static bool begin_one(struct io *io)
{
    struct turns *turns = &io->secure->turns;
    struct conn_handle handle;

    if (!turns_next(turns, &io->mem, &handle))
        return false;
    struct conn *conn = leave_line(io, handle);
    if (!conn)
        return true;
    conn->flags |= CONN_TURN;
    turns_begin(turns, &io->mem, handle, io->now_tick);
    conn->wait_tick = io->now_tick; /* the wait was ours */
    session_retime(io, conn);
    return true;
}

static bool go_on_with_one(struct io *io)
{
    struct conn_handle handle;

    if (!turns_next_on(&io->secure->turns, &io->mem, &handle))
        return false;
    (void)leave_line(io, handle);
    return true;
}

/* A few of both lines, in turn, so that neither waits for the other to end. */
static void take_turns(struct io *io)
{
    struct turns *turns = &io->secure->turns;
    struct conn_handle handle;

    while (turns_expire(turns, &io->mem, io->now_tick, &handle)) {
        struct conn *conn = conn_find(io, handle);

        if (conn)
            end_turn(io, conn);
    }
    for (uint32_t i = 0; i < STEPS_A_TURN; i++) {
        bool is_taken =
            i % 2 == 0 ? go_on_with_one(io) || begin_one(io) : begin_one(io) || go_on_with_one(io);

        if (!is_taken)
            return;
    }
}

/* -- the handshake's end, good or bad -- */

static void end_handshake(struct io *io, struct conn *conn)
{
    end_wait(io, conn);
    end_turn(io, conn);
    if (!(conn->flags & CONN_SHAKES))
        return;
    conn->flags &= ~CONN_SHAKES;
    io_count(io, IO_STAT_TLS_HANDSHAKING, (uint64_t)-1);
}

/* The gauge of those to whom this certificate was shown. */
static void count_served(struct io *io, enum tls_cert cert, uint64_t amount)
{
    if (cert != TLS_CERT_NONE)
        io_count(io, cert == TLS_CERT_RSA ? IO_STAT_SERVED_RSA : IO_STAT_SERVED_ECC, amount);
}

static void count_established(struct io *io, struct conn *conn)
{
    const struct tls_info info = tls_conn_info(conn->tls);

    end_handshake(io, conn);
    conn->flags |= CONN_SECURED;
    count_served(io, info.cert, 1);
    io_count(io, IO_STAT_TLS_HANDSHAKES, 1);
    io_count(io, info.version == TLS_1_3 ? IO_STAT_TLS_1_3 : IO_STAT_TLS_1_2, 1);
    if (info.resumed)
        io_count(io, IO_STAT_TLS_RESUMED, 1);
    else
        io_count(io, info.cert == TLS_CERT_RSA ? IO_STAT_TLS_SERVED_RSA : IO_STAT_TLS_SERVED_ECC,
                 1);
    io_count(io, IO_STAT_TLS_HANDSHAKE_BYTES_IN, info.handshake_in_bytes);
    io_count(io, IO_STAT_TLS_HANDSHAKE_BYTES_OUT, info.handshake_out_bytes);
}

/* Who speaks HTTP in the clear could not read an alert. An SMQ device does, too, until it is let
 * in: to it, this is a refused bootstrap. */
static void answer_plain_text(struct io *io, struct conn *conn)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                 "Content-Type: text/plain\r\n"
                                 "Content-Length: 49\r\n"
                                 "Connection: close\r\n\r\n"
                                 "This port speaks TLS: use https:// here, or tls.\n";
    struct sink_context context = {io, conn};

    take_cipher(&context, (const uint8_t *)answer, sizeof(answer) - 1);
}

static void on_failed(struct io *io, struct conn *conn)
{
    struct tls_failure failure = tls_conn_failure(conn->tls);
    char ip[CONN_IP_TEXT_BYTES];

    end_handshake(io, conn);
    if (failure.kind == TLS_FAIL_PLAIN_TEXT)
        answer_plain_text(io, conn);
    counter_add(&io->tls_failed_counts[failure.kind], 1);
    conn_ip_text(conn, ip);
    log_event(LOG_LEVEL_INFO, "tls.failed", "peer=%s:%u kind=%s alert=%u reason=\"%s\"", ip,
              conn->peer_port, tls_fail_name(failure.kind), failure.alert,
              failure.text ? failure.text : "");
}

static void note_established(struct io *io, struct conn *conn)
{
    if (!(conn->flags & CONN_SECURED) && tls_conn_is_established(conn->tls))
        count_established(io, conn);
}

/* A client may speak in the segment of its Finished: that it is who its certificate says must be
 * known by then. */
static bool take_plain(void *context, uint8_t *bytes, size_t bytes_count)
{
    struct sink_context *to = context;

    note_established(to->io, to->conn);
    session_input(to->io, to->conn, bytes, bytes_count);
    return to->conn->state < CONN_LEAVING;
}

/* What a feed or a resume has come to. */
static void act_on(struct io *io, struct conn *conn, enum tls_status status)
{
    note_established(io, conn);
    switch (status) {
    case TLS_OK:
        return;
    case TLS_WAIT_SIGN:
        if (!(conn->flags & CONN_SIGNING))
            io_count(io, IO_STAT_TLS_SIGNATURES, 1);
        conn->flags |= CONN_SIGNING;
        return;
    case TLS_CLOSED_BY_PEER: /* what is queued goes out first, then our close_notify */
        conn->flags |= CONN_DEAF;
        conn_leave(io, conn, CLOSE_PEER, span_of(NULL, 0));
        return;
    case TLS_FAILED: /* the alert is queued */
        conn->flags |= CONN_DEAF | CONN_MUTE;
        on_failed(io, conn);
        conn_leave(io, conn, CLOSE_TLS, span_of(NULL, 0));
        return;
    }
    must_never("an unknown status of a TLS connection");
}

/* -- receiving -- */

/* Feed; returns how many bytes were used. */
static size_t feed(struct io *io, struct conn *conn, uint8_t *bytes, size_t bytes_count)
{
    struct sink_context context = {io, conn};
    struct tls_sink sink = {.plain = take_plain, .cipher = take_cipher, .context = &context};
    size_t used_bytes = 0;
    enum tls_status status = tls_conn_feed(conn->tls, bytes, bytes_count, &used_bytes, &sink);

    act_on(io, conn, status);
    conn->tls = tls_conn_fit(io->secure->engine, conn->tls, false);
    return used_bytes;
}

static bool listens(const struct conn *conn)
{
    return conn->state < CONN_LEAVING && !(conn->flags & (CONN_DEAF | CONN_SIGNING));
}

static void keep(struct io *io, struct conn *conn, struct span bytes)
{
    struct conn_input *input = input_of(io, conn);

    if (!input || !input_append(io, conn, &input->cipher, bytes))
        conn_close(io, conn, CLOSE_MEMORY);
}

/* Complete the record whose beginning came earlier; returns how many of @bytes went into it. */
static size_t feed_held(struct io *io, struct conn *conn, const uint8_t *bytes, size_t bytes_count)
{
    size_t taken_bytes = 0;

    while (listens(conn) && conn->input && conn->input->cipher.used_bytes > 0 &&
           taken_bytes < bytes_count) {
        struct input_part part = conn->input->cipher;
        size_t wanted = tls_conn_wants(span_of(part.data, part.used_bytes));

        if (wanted == 0)
            wanted = TLS_HEADER_BYTES;
        if (wanted <= part.used_bytes) /* more of the handshake than one record */
            wanted = part.used_bytes + 1;
        size_t step = min_size(wanted - part.used_bytes, bytes_count - taken_bytes);

        if (!input_append(io, conn, &conn->input->cipher, span_of(bytes + taken_bytes, step))) {
            conn_close(io, conn, CLOSE_MEMORY);
            break;
        }
        taken_bytes += step;
        if (part.used_bytes + step < wanted)
            break;
        /* Out of the connection while the session runs: it may drop conn->input. */
        part = conn->input->cipher;
        conn->input->cipher = (struct input_part){0};
        size_t used_bytes = feed(io, conn, part.data, part.used_bytes);

        if (used_bytes < part.used_bytes && conn->state < CONN_LEAVING)
            keep(io, conn, span_of(part.data + used_bytes, part.used_bytes - used_bytes));
        mem_free(&io->mem, MEM_INPUT, part.data, part.capacity);
        input_drop_if_empty(io, conn);
    }
    return taken_bytes;
}

static bool begin(struct io *io, struct conn *conn)
{
    struct conn_handle handle = conn_handle_of(io, conn);
    uint64_t token =
        (uint64_t)handle.host_index << 48 | (uint64_t)handle.generation << 32 | handle.slot_index;

    conn->tls = tls_conn_create(io->secure->engine, policy_of(io, conn)->context, token);
    if (conn->tls) {
        conn->flags |= CONN_SHAKES;
        io_count(io, IO_STAT_TLS_HANDSHAKING, 1);
        return true;
    }
    io_count(io, IO_STAT_REFUSED_MEMORY, 1);
    conn_close(io, conn, CLOSE_MEMORY);
    return false;
}

void secure_input(struct io *io, struct conn *conn, uint8_t *bytes, size_t bytes_count)
{
    if (conn->state >= CONN_LEAVING || conn->flags & CONN_DEAF)
        return;
    conn->last_input_tick = io->now_tick;
    conn->flags &= ~CONN_PINGED;
    if (!conn->tls && !begin(io, conn))
        return;
    size_t at = feed_held(io, conn, bytes, bytes_count);

    if (at < bytes_count && listens(conn))
        at += feed(io, conn, bytes + at, bytes_count - at);
    if (at == bytes_count || conn->state >= CONN_LEAVING)
        return;
    uint32_t held_bytes = conn->input ? conn->input->cipher.used_bytes : 0;

    if (conn->flags & CONN_SIGNING && held_bytes + bytes_count - at > SIGNING_BYTES_MAX)
        conn_close(io, conn, CLOSE_PROTOCOL);
    else
        keep(io, conn, span_of(bytes + at, bytes_count - at));
}

static void on_signed(struct io *io, struct conn *conn)
{
    struct sink_context context = {io, conn};
    struct tls_sink sink = {.plain = take_plain, .cipher = take_cipher, .context = &context};

    if (!(conn->flags & CONN_SIGNING) || conn->state >= CONN_LEAVING)
        return;
    conn->flags &= ~CONN_SIGNING;
    act_on(io, conn, tls_conn_resume(conn->tls, &sink));
    if (!listens(conn) || !conn->input || conn->input->cipher.used_bytes == 0)
        return;
    struct input_part part = conn->input->cipher;

    conn->input->cipher = (struct input_part){0};
    input_drop_if_empty(io, conn);
    size_t used_bytes = feed(io, conn, part.data, part.used_bytes);

    if (used_bytes < part.used_bytes && conn->state < CONN_LEAVING)
        keep(io, conn, span_of(part.data + used_bytes, part.used_bytes - used_bytes));
    mem_free(&io->mem, MEM_INPUT, part.data, part.capacity);
}

/* -- sending -- */

/* Seal one gathering of what is queued; false: no more can be. */
static bool seal_some(struct io *io, struct conn *conn)
{
    struct outq *queue = secure_queue(conn);
    struct iovec plain[LIMIT_SEND_SEGMENTS];
    uint32_t plain_count = outq_gather(&conn->out, plain, LIMIT_SEND_SEGMENTS);
    size_t bite_bytes = min_size(conn->out.in_flight_bytes, FILL_BYTES_MAX);
    size_t room = tls_conn_seal_bytes_max(conn->tls, bite_bytes, conn->record_bytes_max);
    uint8_t *to = outq_reserve(queue, &io->mem, (uint32_t)room);
    size_t taken_bytes = 0;

    if (!to) {
        outq_sent(&conn->out, &io->mem, 0);
        conn_close(io, conn, CLOSE_MEMORY);
        return false;
    }
    size_t sealed_bytes = tls_conn_seal(conn->tls, plain, plain_count, to, room,
                                        conn->record_bytes_max, &taken_bytes);

    outq_commit(queue, &io->mem, (uint32_t)sealed_bytes);
    outq_sent(&conn->out, &io->mem, (uint32_t)taken_bytes);
    return taken_bytes > 0;
}

/* It leaves before the handshake was done: too late, or because we do. What is queued nobody could
 * read. The goodbye may take seconds, the handshake's memory is free now. */
static void leave_unsecured(struct io *io, struct conn *conn, const struct tls_sink *sink)
{
    outq_clear(&conn->out, &io->mem);
    if (conn->flags & CONN_SHAKES) {
        conn->flags |= CONN_DEAF | CONN_MUTE;
        io_count(io, IO_STAT_TLS_ABANDONED, 1);
        tls_conn_abandon(conn->tls, sink);
    }
    end_handshake(io, conn);
}

void secure_fill(struct io *io, struct conn *conn)
{
    struct sink_context context = {io, conn};
    struct tls_sink sink = {.plain = take_plain, .cipher = take_cipher, .context = &context};
    bool can_seal = conn->tls && conn->flags & CONN_SECURED && !(conn->flags & CONN_MUTE);

    if (!can_seal && conn->state >= CONN_LEAVING)
        leave_unsecured(io, conn, &sink);
    if (!can_seal)
        return;
    must(secure_queue(conn)->in_flight_bytes == 0);
    while (conn->out.queued_bytes > 0 && secure_queue(conn)->queued_bytes < FILL_BYTES_MAX)
        if (!seal_some(io, conn))
            return;
    if (conn->state == CONN_LEAVING && conn->out.queued_bytes == 0) {
        conn->flags |= CONN_MUTE;
        tls_conn_close_notify(conn->tls, &sink);
    }
    conn->tls = tls_conn_fit(io->secure->engine, conn->tls, false);
}

void secure_rest(struct io *io, struct conn *conn)
{
    if (conn->tls)
        conn->tls = tls_conn_fit(io->secure->engine, conn->tls, true);
}

void secure_free(struct io *io, struct conn *conn)
{
    end_handshake(io, conn);
    if (!conn->tls)
        return;
    if (conn->flags & CONN_SECURED)
        count_served(io, tls_conn_info(conn->tls).cert, (uint64_t)-1);
    outq_clear(secure_queue(conn), &io->mem);
    tls_conn_destroy(io->secure->engine, conn->tls);
    conn->tls = NULL;
}

/* -- what the session asks -- */

static enum smq_connack judge_uid(struct io *io, struct conn *conn, struct span uid,
                                  const char **reason)
{
    if (!(conn->flags & CONN_TLS))
        return SMQ_CONNACK_ACCEPTED;
    const struct secure_policy *policy = policy_of(io, conn);
    enum tls_client_auth auth = tls_context_facts(policy->context)->client_auth;
    const struct tls_peer *peer = tls_conn_peer(conn->tls);

    if (auth == TLS_CLIENT_OFF)
        return SMQ_CONNACK_ACCEPTED;
    if (!peer) {
        *reason = "a client certificate is required";
        return auth == TLS_CLIENT_REQUIRED || policy->bind_uid ? SMQ_CONNACK_CERTIFICATE_REQUIRED
                                                               : SMQ_CONNACK_ACCEPTED;
    }
    if (peer->verdict != TLS_FAIL_NONE) {
        counter_add(&io->tls_failed_counts[peer->verdict], 1);
        *reason = tls_fail_help(peer->verdict);
        return SMQ_CONNACK_CERTIFICATE_REFUSED;
    }
    if (!policy->bind_uid || (uid.bytes_count > 0 && peer->identity_bytes == uid.bytes_count &&
                              memcmp(peer->identity, uid.data, uid.bytes_count) == 0))
        return SMQ_CONNACK_ACCEPTED;
    *reason = "the UID is not the certificate's identity";
    return SMQ_CONNACK_CERTIFICATE_REFUSED;
}

/* As JSON members, each with its comma before it. */
static size_t put_row(const struct conn *conn, char *out, size_t room)
{
    static const char *const certs[] = {
        [TLS_CERT_NONE] = "none", [TLS_CERT_ECC] = "ecc", [TLS_CERT_RSA] = "rsa"};

    if (!conn->tls || !(conn->flags & CONN_SECURED))
        return (size_t)snprintf(out, room, ",\"tls\":\"%s\"",
                                conn->flags & CONN_TLS ? "handshake" : "");
    const struct tls_info info = tls_conn_info(conn->tls);
    const struct tls_peer *peer = tls_conn_peer(conn->tls);
    size_t used =
        (size_t)snprintf(out, room,
                         ",\"tls\":\"%s\",\"cipher\":\"%s\",\"certificate\":\"%s\",\"resumed\":%s,"
                         "\"handshake_in_bytes\":%u,\"handshake_out_bytes\":%u,\"identity\":\"",
                         tls_version_name(info.version), tls_cipher_name(info.cipher),
                         certs[info.cert], info.resumed ? "true" : "false", info.handshake_in_bytes,
                         info.handshake_out_bytes);

    for (uint32_t i = 0; peer && i < peer->identity_bytes; i++)
        used += (size_t)snprintf(out + used, room - used, "\\u%04x", (uint8_t)peer->identity[i]);
    return used + (size_t)snprintf(out + used, room - used, "\"");
}

static void put_facts(const struct conn *conn, struct facts *facts)
{
    const struct tls_peer *peer =
        conn->tls && conn->flags & CONN_SECURED ? tls_conn_peer(conn->tls) : NULL;

    if (!peer)
        return;
    facts->cert_name = span_of(peer->identity, peer->identity_bytes);
    facts->cert_serial = span_of(peer->serial, peer->serial_bytes);
    facts->cert_sha256 = span_of(peer->sha256, sizeof(peer->sha256));
    facts->cert_issuer = tls_peer_issuer(peer);
    facts->cert_sans = tls_peer_sans(peer);
}

/* -- reload -- */

static void on_reload(struct io *io)
{
    struct secure_set *set =
        io->secure ? atomic_exchange_explicit(&io->secure->offered, NULL, memory_order_acq_rel)
                   : NULL;

    if (!set)
        return; /* two offers in a row: the first RELOAD took the second one */
    secure_set_unref(io->secure->set);
    io->secure->set = set;
    io->secure->is_judging = true;
    io->secure->judge_cursor = 0;
}

static void judge(struct io *io, struct conn *conn, int64_t now_s)
{
    static const char reason[] = "the client certificate is no longer valid";
    const struct tls_peer *peer;
    char ip[CONN_IP_TEXT_BYTES];

    if (conn->state == CONN_FREE || conn->state >= CONN_LEAVING || !(conn->flags & CONN_SECURED))
        return;
    peer = tls_conn_peer(conn->tls);
    if (!peer)
        return;
    enum tls_fail verdict = tls_context_judge(policy_of(io, conn)->context, peer, now_s);
    if (verdict == TLS_FAIL_NONE)
        return;
    conn_ip_text(conn, ip);
    log_event(LOG_LEVEL_INFO, "tls.ended", "peer=%s:%u identity=\"%s\" kind=%s", ip,
              conn->peer_port, peer->identity, tls_fail_name(verdict));
    session_end(io, conn, CLOSE_CERTIFICATE, reason);
}

static void judge_some(struct io *io)
{
    struct io_secure *secure = io->secure;
    int64_t now_s = (int64_t)time(NULL);
    uint32_t looked_at = 0;

    for (; secure->judge_cursor < io->slot_count_max && looked_at < JUDGED_A_TURN;
         secure->judge_cursor++) {
        if (!io->chunks[secure->judge_cursor / LIMIT_CONN_CHUNK]) {
            secure->judge_cursor |= LIMIT_CONN_CHUNK - 1;
            continue;
        }
        looked_at++;
        judge(io, conn_at(io, secure->judge_cursor), now_s);
    }
    secure->is_judging = secure->judge_cursor < io->slot_count_max;
}

void secure_step(struct io *io)
{
    if (!io->secure)
        return;
    take_turns(io);
    if (io->secure->is_judging)
        judge_some(io);
}

void secure_offer(struct io_secure *secure, struct secure_set *set)
{
    struct secure_set *before =
        atomic_exchange_explicit(&secure->offered, secure_set_ref(set), memory_order_acq_rel);

    secure_set_unref(before); /* never taken: the newer one comes instead */
}

/* -- life -- */

static const struct io_secure_calls calls = {
    .on_signed = on_signed,
    .on_reload = on_reload,
    .judge_uid = judge_uid,
    .put_row = put_row,
    .put_facts = put_facts,
};

void secure_init(struct io *io, struct io_secure *secure, struct secure_set *set)
{
    uint32_t io_count = (uint32_t)io->config->io_thread_count;
    uint32_t share_count = (io->config->tls_handshake_count_max + io_count - 1) / io_count;

    *secure = (struct io_secure){.set = secure_set_ref(set)};
    turns_init(&secure->turns, share_count);
    io->secure = secure;
    io->secure_calls = &calls;
}

void secure_deinit(struct io_secure *secure)
{
    must(!secure->engine);
    secure_set_unref(secure->set);
    secure_set_unref(atomic_load_explicit(&secure->offered, memory_order_relaxed));
    secure->set = NULL;
}

void secure_start(struct io *io)
{
    if (!io->secure)
        return;
    io->secure->engine = tls_engine_create(&io->mem);
    must(io->secure->engine); /* at start: a few kB */
}

void secure_stop(struct io *io)
{
    if (!io->secure)
        return;
    turns_deinit(&io->secure->turns, &io->mem);
    tls_engine_destroy(io->secure->engine);
    io->secure->engine = NULL;
}
