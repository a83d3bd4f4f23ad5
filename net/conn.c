/*
 * net/conn.c — see net/conn.h. Thread: the I/O actor that owns the connections.
 */
#include "net/conn.h"

#include <arpa/inet.h>
#include <string.h>

#include "core/limits.h"
#include "core/log.h"
#include "net/io.h"
#include "net/session.h"
#include "net/throttle.h"
#include "net/ws_codec.h"

#define BIT(state) (1u << (state))

/* Row: from. Bits: where it may go. What is not here is a bug in the broker. */
static const uint8_t conn_may_go[CONN_STATE_COUNT] = {
    [CONN_FREE] = BIT(CONN_HTTP),
    [CONN_HTTP] = BIT(CONN_ASKING) | BIT(CONN_GREETED) | BIT(CONN_LEAVING) | BIT(CONN_CLOSING),
    [CONN_ASKING] = BIT(CONN_HTTP) | BIT(CONN_GREETED) | BIT(CONN_LEAVING) | BIT(CONN_CLOSING),
    [CONN_GREETED] = BIT(CONN_JOINING) | BIT(CONN_LEAVING) | BIT(CONN_CLOSING),
    [CONN_JOINING] = BIT(CONN_LIVE) | BIT(CONN_LEAVING) | BIT(CONN_CLOSING),
    [CONN_LIVE] = BIT(CONN_LEAVING) | BIT(CONN_CLOSING),
    [CONN_LEAVING] = BIT(CONN_CLOSING),
    [CONN_CLOSING] = BIT(CONN_FREE),
};
static_assert(CONN_STATE_COUNT <= 8, "conn_may_go rows are eight bits wide");

static const char *const state_names[CONN_STATE_COUNT] = {
    [CONN_FREE] = "free",       [CONN_HTTP] = "http",       [CONN_ASKING] = "asking",
    [CONN_GREETED] = "greeted", [CONN_JOINING] = "joining", [CONN_LIVE] = "live",
    [CONN_LEAVING] = "leaving", [CONN_CLOSING] = "closing",
};

static const struct {
    const char *name;
    const char *text;
} reasons[CLOSE_REASON_COUNT] = {
#define X(name, text) [CLOSE_##name] = {#name, text},
    CLOSE_REASONS(X)
#undef X
};

struct conn_chunk {
    uint32_t used_count;
    struct throttle *throttles; /* [LIMIT_CONN_CHUNK]; NULL: none of them was ever metered */
    struct conn conns[LIMIT_CONN_CHUNK] __attribute__((aligned(16)));
};

#define THROTTLES_BYTES (LIMIT_CONN_CHUNK * sizeof(struct throttle))

const char *conn_state_name(enum conn_state state)
{
    must(state < CONN_STATE_COUNT);
    return state_names[state];
}

const char *close_reason_name(enum close_reason reason)
{
    must(reason < CLOSE_REASON_COUNT);
    return reasons[reason].name;
}

const char *close_reason_text(enum close_reason reason)
{
    must(reason < CLOSE_REASON_COUNT);
    return reasons[reason].text;
}

void conn_set_state(struct conn *conn, enum conn_state next)
{
    must(next < CONN_STATE_COUNT);
    must(conn_may_go[conn->state] & BIT(next));
    conn->state = (uint8_t)next;
}

/* -- slots -- */

struct conn *conn_at(const struct io *io, uint32_t slot_index)
{
    must(slot_index < io->slot_count_max);
    struct conn_chunk *chunk = io->chunks[slot_index / LIMIT_CONN_CHUNK];

    must(chunk);
    return &chunk->conns[slot_index % LIMIT_CONN_CHUNK];
}

struct conn *conn_in_slot(const struct io *io, uint32_t slot_index)
{
    struct conn_chunk *chunk =
        slot_index < io->slot_count_max ? io->chunks[slot_index / LIMIT_CONN_CHUNK] : NULL;
    struct conn *conn = chunk ? &chunk->conns[slot_index % LIMIT_CONN_CHUNK] : NULL;

    return conn && conn->state != CONN_FREE ? conn : NULL;
}

struct throttle *conn_throttle(const struct io *io, const struct conn *conn)
{
    struct throttle *throttles = io->chunks[conn->slot_index / LIMIT_CONN_CHUNK]->throttles;

    must(throttles);
    return &throttles[conn->slot_index % LIMIT_CONN_CHUNK];
}

struct throttle *conn_begin_throttle(struct io *io, const struct conn *conn)
{
    struct conn_chunk *chunk = io->chunks[conn->slot_index / LIMIT_CONN_CHUNK];

    if (!chunk->throttles)
        chunk->throttles = mem_alloc_zero(&io->mem, MEM_CONN, THROTTLES_BYTES);
    return chunk->throttles ? conn_throttle(io, conn) : NULL;
}

struct conn *conn_find(struct io *io, struct conn_handle handle)
{
    must(handle.host_index == io->io_index);
    struct conn *conn = conn_in_slot(io, handle.slot_index);

    if (!conn || conn->state >= CONN_LEAVING || conn->generation != handle.generation)
        return NULL;
    return conn;
}

struct conn_handle conn_handle_of(const struct io *io, const struct conn *conn)
{
    return (struct conn_handle){.host_index = io->io_index,
                                .generation = conn->generation,
                                .slot_index = conn->slot_index};
}

/* The gauge of what it speaks. */
static void count_transport(struct io *io, const struct conn *conn, uint64_t amount)
{
    enum io_stat plain = conn->flags & CONN_WS ? IO_STAT_OPEN_WS : IO_STAT_OPEN_TCP;
    enum io_stat secure = conn->flags & CONN_WS ? IO_STAT_OPEN_WSS : IO_STAT_OPEN_TLS;

    io_count(io, conn->flags & CONN_TLS ? secure : plain, amount);
}

void conn_speaks(struct io *io, struct conn *conn, uint32_t flag)
{
    count_transport(io, conn, (uint64_t)-1);
    conn->flags |= flag;
    count_transport(io, conn, 1);
}

/* With meters, where they are needed. false: no memory. */
static bool ensure_chunk(struct io *io, struct conn_chunk **chunk)
{
    if (!*chunk)
        *chunk = mem_alloc_zero(&io->mem, MEM_CONN, sizeof(**chunk));
    if (!*chunk)
        return false;
    if (io->is_metered && !(*chunk)->throttles)
        (*chunk)->throttles = mem_alloc_zero(&io->mem, MEM_CONN, THROTTLES_BYTES);
    if (!io->is_metered || (*chunk)->throttles)
        return true;
    if ((*chunk)->used_count == 0) {
        mem_free(&io->mem, MEM_CONN, *chunk, sizeof(**chunk));
        *chunk = NULL;
    }
    return false;
}

struct conn *conn_open(struct io *io, uint32_t slot_index, uint8_t listener_index)
{
    must(slot_index < io->slot_count_max);
    struct conn_chunk **chunk = &io->chunks[slot_index / LIMIT_CONN_CHUNK];

    if (!ensure_chunk(io, chunk))
        return NULL;
    (*chunk)->used_count++;
    struct conn *conn = &(*chunk)->conns[slot_index % LIMIT_CONN_CHUNK];

    must(conn->state == CONN_FREE);
    memset(conn, 0, sizeof(*conn));
    if ((*chunk)->throttles)
        (*chunk)->throttles[slot_index % LIMIT_CONN_CHUNK] = (struct throttle){0};
    conn->generation = io->next_generation++;
    if (io->next_generation == 0)
        io->next_generation = 1;
    conn->slot_index = slot_index;
    conn->listener_index = listener_index;
    conn->last_input_tick = conn->wait_tick = conn->since_tick = io->now_tick;
    conn_set_state(conn, CONN_HTTP);
    io_count(io, IO_STAT_OPEN, 1);
    count_transport(io, conn, 1);
    return conn;
}

void conn_free(struct io *io, struct conn *conn)
{
    uint32_t slot_index = conn->slot_index;
    struct conn_chunk **chunk = &io->chunks[slot_index / LIMIT_CONN_CHUNK];

    must(conn->ops == 0);
    must(!(conn->flags & (CONN_MARKED | CONN_TIMED)));
    must(conn->held_count == 0 && !conn->input && !conn->identity && !conn->tls);
    outq_clear(&conn->out, &io->mem);
    conn_set_state(conn, CONN_FREE);
    io_count(io, IO_STAT_OPEN, (uint64_t)-1);
    count_transport(io, conn, (uint64_t)-1);
    if (--(*chunk)->used_count > 0)
        return;
    mem_free(&io->mem, MEM_CONN, (*chunk)->throttles, THROTTLES_BYTES);
    mem_free(&io->mem, MEM_CONN, *chunk, sizeof(**chunk));
    *chunk = NULL;
}

size_t conn_ip_text(const struct conn *conn, char text[CONN_IP_TEXT_BYTES])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool is_ipv4 = memcmp(conn->peer_ip, mapped, sizeof(mapped)) == 0;
    const void *address = is_ipv4 ? conn->peer_ip + sizeof(mapped) : conn->peer_ip;

    must(inet_ntop(is_ipv4 ? AF_INET : AF_INET6, address, text, CONN_IP_TEXT_BYTES));
    return strlen(text);
}

/* -- output -- */

void conn_mark(struct io *io, struct conn *conn)
{
    if (conn->flags & CONN_MARKED)
        return;
    conn->flags |= CONN_MARKED;
    conn->marked_next = io->marked_first;
    io->marked_first = conn->slot_index;
}

struct conn *conn_next_marked(struct io *io)
{
    if (io->marked_first == MARKED_NONE)
        return NULL;
    struct conn *conn = conn_at(io, io->marked_first);

    must(conn->flags & CONN_MARKED);
    conn->flags &= ~CONN_MARKED;
    io->marked_first = conn->marked_next;
    return conn;
}

static enum framing framing_of(const struct conn *conn)
{
    return conn->flags & CONN_WS ? FRAMING_WS : FRAMING_RAW;
}

/* Add a raw SMQ frame in the form the connection speaks. false: no memory. */
static bool append_frame(struct io *io, struct conn *conn, struct span frame)
{
    if (framing_of(conn) == FRAMING_RAW)
        return outq_append(&conn->out, &io->mem, frame);
    size_t bytes_count = ws_run_bytes(frame);
    uint8_t *to = outq_reserve(&conn->out, &io->mem, (uint32_t)bytes_count);

    if (!to)
        return false;
    ws_encode_run(frame, to);
    outq_commit(&conn->out, &io->mem, (uint32_t)bytes_count);
    return true;
}

/* While memory is tight queues are short: who reads does not notice, who does not must not take
 * the memory from those who do. */
static uint32_t queue_bytes_max(const struct io *io)
{
    uint32_t bytes_max = io->config->limits.queue_bytes_max;

    return mem_is_tight(io->mem.budget) ? min_u32(bytes_max, LIMIT_TIGHT_QUEUE_BYTES) : bytes_max;
}

/* Is there room for something that must not be dropped? Otherwise the connection is closed. */
static bool has_control_room(struct io *io, struct conn *conn, size_t bytes_count)
{
    uint32_t room_bytes = queue_bytes_max(io) + LIMIT_QUEUE_CONTROL_ROOM;

    if (conn->out.queued_bytes + bytes_count <= room_bytes)
        return true;
    conn_close(io, conn, CLOSE_SLOW);
    return false;
}

void conn_send_control(struct io *io, struct conn *conn, struct span frame)
{
    if (conn->state >= CONN_LEAVING || !has_control_room(io, conn, frame.bytes_count))
        return;
    if (!append_frame(io, conn, frame))
        conn_close(io, conn, CLOSE_MEMORY);
    else
        conn_mark(io, conn);
}

void conn_send_ws(struct io *io, struct conn *conn, struct span frame)
{
    if (conn->state >= CONN_LEAVING || !has_control_room(io, conn, frame.bytes_count))
        return;
    if (!outq_append(&conn->out, &io->mem, frame))
        conn_close(io, conn, CLOSE_MEMORY);
    else
        conn_mark(io, conn);
}

/* HTTP has been queued, or could not be. */
static void after_http(struct io *io, struct conn *conn, bool fits)
{
    if (!fits) {
        conn_close(io, conn, CLOSE_MEMORY);
        return;
    }
    conn->out.tail->is_opaque = true;
    conn_mark(io, conn);
}

void conn_send_http(struct io *io, struct conn *conn, struct span bytes)
{
    if (conn->state < CONN_LEAVING)
        after_http(io, conn, outq_append(&conn->out, &io->mem, bytes));
}

void conn_send_http_msg(struct io *io, struct conn *conn, struct msg *msg)
{
    if (conn->state < CONN_LEAVING && msg->bytes_count > 0)
        after_http(io, conn, outq_append_shared(&conn->out, &io->mem, msg, 0, msg->bytes_count));
}

/* Say once who is slow; again only after its queue had emptied. */
static void note_slow(struct io *io, struct conn *conn)
{
    char ip[CONN_IP_TEXT_BYTES];

    if (conn->flags & CONN_SLOW)
        return;
    conn->flags |= CONN_SLOW;
    io_count(io, IO_STAT_SLOW_CONSUMERS, 1);
    conn_ip_text(conn, ip);
    log_event(LOG_LEVEL_WARNING, "conn.slow",
              "uid=%.*s etid=%u peer=%s:%u queued_bytes=%u policy=%s",
              conn->identity ? conn->identity->bytes[0] : 0,
              conn->identity ? (const char *)conn->identity->bytes + 1 : "", conn->etid, ip,
              conn->peer_port, conn->out.queued_bytes,
              io->config->limits.slow_consumer == SLOW_DISCONNECT ? "disconnect"
              : io->config->limits.slow_consumer == SLOW_DROP_OLD ? "drop_old"
                                                                  : "drop_new");
}

static void drop(struct io *io, struct conn *conn, enum io_stat why, uint32_t frame_count)
{
    io_count(io, why, frame_count);
    conn->dropped_count += frame_count;
}

/* Queue bytes [start, end) of @run: by reference when large, else by copy. */
static bool append_part(struct io *io, struct conn *conn, struct msg *run, uint32_t start,
                        uint32_t end)
{
    if (end - start >= LIMIT_SHARE_BYTES_MIN)
        return outq_append_shared(&conn->out, &io->mem, run, start, end);
    return outq_append(&conn->out, &io->mem, span_of(run->bytes + start, end - start));
}

/* How much of @run, in whole frames, fits into @room_bytes. */
static uint32_t fitting_bytes(const struct msg *run, enum framing framing, uint32_t room_bytes,
                              uint32_t *frame_count)
{
    uint32_t end = 0;

    *frame_count = 0;
    while (end < run->bytes_count) {
        uint32_t frame_bytes = framed_bytes(run->bytes + end, framing);

        if (end + frame_bytes > room_bytes)
            break;
        end += frame_bytes;
        (*frame_count)++;
    }
    return end;
}

/* The queue has no room for the whole run: what the policy says. */
static void send_to_slow(struct io *io, struct conn *conn, struct msg *run, uint32_t frame_count)
{
    uint32_t bytes_max = queue_bytes_max(io);
    uint32_t excess_bytes = conn->out.queued_bytes + run->bytes_count - bytes_max;
    uint32_t freed_bytes;
    uint32_t fitting_count;

    note_slow(io, conn);
    if (io->config->limits.slow_consumer == SLOW_DISCONNECT) {
        drop(io, conn, IO_STAT_DROPPED_CLOSED, frame_count);
        conn_close(io, conn, CLOSE_SLOW);
        return;
    }
    if (io->config->limits.slow_consumer == SLOW_DROP_OLD) {
        uint32_t dropped_count =
            outq_drop_oldest(&conn->out, &io->mem, framing_of(conn), excess_bytes, &freed_bytes);

        drop(io, conn, IO_STAT_DROPPED_OLD, dropped_count);
    }
    /* Acks and the like may have filled it beyond the limit; a message never does. */
    uint32_t room = conn->out.queued_bytes < bytes_max ? bytes_max - conn->out.queued_bytes : 0;
    uint32_t end = fitting_bytes(run, framing_of(conn), room, &fitting_count);
    drop(io, conn, IO_STAT_DROPPED_NEW, frame_count - fitting_count);
    if (fitting_count > 0 && append_part(io, conn, run, 0, end)) {
        io_count(io, IO_STAT_MESSAGES_OUT, fitting_count);
        conn->sent_count += fitting_count;
    } else {
        drop(io, conn, IO_STAT_DROPPED_MEMORY, fitting_count);
    }
    conn_mark(io, conn);
}

/* The run as @conn's client wants it; NULL: no memory to make that form. */
static struct msg *run_form(struct run *run, struct io *io, const struct conn *conn)
{
    if (framing_of(conn) == FRAMING_RAW)
        return run->raw;
    if (!run->ws) {
        run->ws = msg_new(&io->mem, ws_run_bytes(msg_span(run->raw)));
        if (run->ws)
            ws_encode_run(msg_span(run->raw), run->ws->bytes);
    }
    return run->ws;
}

void run_deinit(struct run *run, struct mem *mem)
{
    msg_unref(mem, run->ws);
    run->ws = NULL;
}

void conn_send_run(struct io *io, struct conn *conn, struct run *run)
{
    if (conn->state != CONN_LIVE) {
        io_count(io, IO_STAT_DROPPED_GONE, run->frame_count);
        return;
    }
    struct msg *form = run_form(run, io, conn);

    if (form && conn->out.queued_bytes + form->bytes_count > queue_bytes_max(io)) {
        send_to_slow(io, conn, form, run->frame_count);
        return;
    }
    if (!form || !append_part(io, conn, form, 0, form->bytes_count)) {
        drop(io, conn, IO_STAT_DROPPED_MEMORY, run->frame_count);
        return;
    }
    io_count(io, IO_STAT_MESSAGES_OUT, run->frame_count);
    conn->sent_count += run->frame_count;
    if (conn->flags & CONN_TAPPED)
        tap_run(io, conn, /* is_out */ true, run->raw, run->frame_count);
    conn_mark(io, conn);
}

void conn_shed(struct io *io, struct conn *conn)
{
    uint32_t freed_bytes;

    if (conn->state != CONN_LIVE || conn->out.queued_bytes <= LIMIT_TIGHT_QUEUE_BYTES)
        return;
    note_slow(io, conn);
    uint32_t dropped_count =
        outq_drop_oldest(&conn->out, &io->mem, framing_of(conn),
                         conn->out.queued_bytes - LIMIT_TIGHT_QUEUE_BYTES, &freed_bytes);
    drop(io, conn, IO_STAT_DROPPED_MEMORY, dropped_count);
    /* What is left are answers that it does not read. */
    if (conn->out.queued_bytes > LIMIT_TIGHT_QUEUE_BYTES + LIMIT_QUEUE_CONTROL_ROOM)
        conn_close(io, conn, CLOSE_SLOW);
}

/* -- the end -- */

/* The code of the Close that ends a WebSocket. */
static enum ws_close ws_code_of(enum close_reason reason)
{
    return reason == CLOSE_DRAIN      ? WS_CLOSE_GOING_AWAY /* come back */
           : reason == CLOSE_PROTOCOL ? WS_CLOSE_POLICY
                                      : WS_CLOSE_NORMAL;
}

static bool append_ws_close(struct io *io, struct conn *conn, enum ws_close code)
{
    uint8_t frame[4];

    must(ws_encode_header(frame, WS_CLOSE, 2) == 2);
    smq_store_u16(frame + 2, (uint16_t)code);
    conn->flags |= CONN_WS_CLOSED;
    return outq_append(&conn->out, &io->mem, span_of(frame, sizeof(frame)));
}

void conn_leave(struct io *io, struct conn *conn, enum close_reason reason, struct span frame)
{
    if (conn->state >= CONN_LEAVING)
        return;
    bool fits = frame.bytes_count == 0 || append_frame(io, conn, frame);

    if (fits && conn->flags & CONN_WS && !(conn->flags & CONN_WS_CLOSED))
        fits = append_ws_close(io, conn, ws_code_of(reason));
    if (!fits) {
        conn_close(io, conn, reason);
        return;
    }
    conn_set_state(conn, CONN_LEAVING);
    conn->close_reason = (uint8_t)reason;
    conn_mark(io, conn);
}

void conn_close(struct io *io, struct conn *conn, enum close_reason reason)
{
    if (conn->state == CONN_CLOSING)
        return; /* both sides may notice the same failure: once is enough */
    if (conn->state != CONN_LEAVING)
        conn->close_reason = (uint8_t)reason; /* a goodbye already said why */
    conn_set_state(conn, CONN_CLOSING);
    conn_mark(io, conn);
}
