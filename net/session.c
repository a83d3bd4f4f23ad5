/*
 * net/session.c — the life of a session: bootstrap, frames cut out of bytes, deadlines, the end.
 *
 * Thread: the I/O actor's. See net/session.h, and net/session_parts.h for the other two files.
 */
#include "net/session.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/msg.h"
#include "net/bootstrap.h"
#include "net/holds.h"
#include "net/session_parts.h"

/* Without input for this long, a multishot receive is traded for a poll: 600 bytes of kernel. */
#define QUIET_TICKS (1000u / WHEEL_TICK_MS)

/* After our goodbye: the time for the peer to close its side. */
#define LINGER_TICKS (2000u / WHEEL_TICK_MS)

/* One more than it takes: the tick we are in has begun already, and nobody should be cut early. */
static uint32_t ticks_of(uint32_t ms)
{
    return (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS + 1;
}

/* -- sending -- */

void session_send(struct io *io, struct conn *conn, enum smq_packet type, struct span fixed,
                  struct span text)
{
    uint8_t frame[SMQ_HEADER_BYTES + 8 + 255];
    size_t bytes_count = smq_encode(frame, sizeof(frame), type, fixed, text);

    conn_send_control(io, conn, span_of(frame, bytes_count));
}

void session_send_ack(struct io *io, struct conn *conn, enum smq_packet type,
                      enum smq_ack_status status, uint32_t id, struct span name)
{
    /* A name over the limit is refused, but it comes back as it was sent: it may be long. */
    uint8_t fixed[5] = {(uint8_t)status};

    smq_store_u32(fixed + 1, id);
    if (name.bytes_count <= 255) {
        session_send(io, conn, type, span_of(fixed, sizeof(fixed)), name);
        return;
    }
    size_t name_bytes = min_size(name.bytes_count, SMQ_FRAME_BYTES_MAX - SMQ_HEADER_BYTES - 5);
    struct msg *frame = msg_new(&io->mem, SMQ_HEADER_BYTES + sizeof(fixed) + name_bytes);

    if (!frame) {
        conn_close(io, conn, CLOSE_MEMORY);
        return;
    }
    (void)smq_encode(frame->bytes, frame->bytes_count, type, span_of(fixed, sizeof(fixed)),
                     span_of(name.data, name_bytes));
    conn_send_control(io, conn, msg_span(frame));
    msg_unref(&io->mem, frame);
}

void session_refuse(struct io *io, struct conn *conn, enum smq_connack code, const char *reason)
{
    uint8_t fixed[5] = {(uint8_t)code};
    uint8_t frame[SMQ_HEADER_BYTES + sizeof(fixed) + LIMIT_REASON_BYTES];
    char ip[CONN_IP_TEXT_BYTES];
    size_t bytes_count =
        smq_encode(frame, sizeof(frame), SMQ_CONNACK, span_of(fixed, sizeof(fixed)),
                   span_of(reason, min_size(strlen(reason), LIMIT_REASON_BYTES)));

    conn_ip_text(conn, ip);
    log_event(LOG_LEVEL_INFO, "conn.refused", "peer=%s:%u code=%d reason=\"%s\"", ip,
              conn->peer_port, (int)code, reason);
    conn_leave(io, conn, CLOSE_REFUSED, span_of(frame, bytes_count));
}

static void leave_with_disconnect(struct io *io, struct conn *conn, enum close_reason why,
                                  const char *reason)
{
    uint8_t frame[SMQ_HEADER_BYTES + LIMIT_REASON_BYTES];
    size_t bytes_count = smq_encode(frame, sizeof(frame), SMQ_DISCONNECT, span_of(NULL, 0),
                                    span_of(reason, min_size(strlen(reason), LIMIT_REASON_BYTES)));

    conn_leave(io, conn, why, span_of(frame, bytes_count));
}

void session_protocol_error(struct io *io, struct conn *conn, const char *reason)
{
    char ip[CONN_IP_TEXT_BYTES];

    if (conn->state == CONN_GREETED) {
        session_refuse(io, conn, SMQ_CONNACK_BAD_CONNECT, reason);
        return;
    }
    conn_ip_text(conn, ip);
    log_event(LOG_LEVEL_INFO, "conn.protocol_error", "peer=%s:%u etid=%u reason=\"%s\"", ip,
              conn->peer_port, conn->etid, reason);
    leave_with_disconnect(io, conn, CLOSE_PROTOCOL, reason);
}

void session_end(struct io *io, struct conn *conn, enum close_reason why, const char *reason)
{
    if (conn->state == CONN_HTTP)
        conn_close(io, conn, why);
    else
        leave_with_disconnect(io, conn, why, reason);
}

/* -- bootstrap -- */

void session_open(struct io *io, struct conn *conn)
{
    must(conn->state == CONN_HTTP);
    session_retime(io, conn);
}

static void refuse_http(struct io *io, struct conn *conn, int code)
{
    const char *answer = bootstrap_refusal(code);

    log_event(LOG_LEVEL_DEBUG, "conn.http_refused", "code=%d", code);
    conn_leave(io, conn, CLOSE_HTTP, span_of(answer, strlen(answer)));
}

static bool find_instance(const struct config *config, const char *path, uint8_t *instance_index)
{
    for (uint32_t i = 0; i < config->instance_count; i++) {
        if (strcmp(config->instances[i].path, path) == 0) {
            *instance_index = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static void send_init(struct io *io, struct conn *conn)
{
    char ip[CONN_IP_TEXT_BYTES];
    uint8_t fixed[5] = {SMQ_PROTOCOL_VERSION};

    smq_store_u32(fixed + 1, random_ids_next(&io->seeds));
    session_send(io, conn, SMQ_INIT, span_of(fixed, sizeof(fixed)),
                 span_of(ip, conn_ip_text(conn, ip)));
}

static void greet(struct io *io, struct conn *conn, const struct bootstrap *bootstrap)
{
    if (!bootstrap->is_smq || !find_instance(io->config, bootstrap->path, &conn->instance_index)) {
        refuse_http(io, conn, 404);
        return;
    }
    if (bootstrap->wants_response)
        conn_send_control(io, conn, span_of(bootstrap_accepted, strlen(bootstrap_accepted)));
    send_init(io, conn);
    if (conn->state == CONN_HTTP)
        conn_set_state(conn, CONN_GREETED);
}

/* What a head that is not (yet) acceptable leads to. */
static void judge_head(struct io *io, struct conn *conn, enum bootstrap_result result,
                       const struct bootstrap *bootstrap)
{
    switch (result) {
    case BOOTSTRAP_DONE:
        greet(io, conn, bootstrap);
        return;
    case BOOTSTRAP_NEED_MORE:
        return;
    case BOOTSTRAP_BAD:
        refuse_http(io, conn, 400);
        return;
    case BOOTSTRAP_METHOD:
        refuse_http(io, conn, 405);
        return;
    case BOOTSTRAP_TOO_LONG:
        refuse_http(io, conn, 431);
        return;
    }
    must_never("an unknown bootstrap result");
}

/* Feed the head; returns what comes after it (bytes may already be SMQ frames). */
static struct span feed_head(struct io *io, struct conn *conn, struct span bytes)
{
    uint32_t held_bytes = conn->input ? conn->input->frame.used_bytes : 0;
    struct bootstrap bootstrap;
    struct span whole = bytes;
    size_t head_bytes = 0;

    if (held_bytes > 0) { /* came in pieces: join them, up to the limit of a head */
        size_t room = LIMIT_HTTP_HEAD_BYTES - held_bytes;
        struct input_part *part = &conn->input->frame;

        if (!input_append(io, conn, part, span_of(bytes.data, min_size(bytes.bytes_count, room)))) {
            conn_close(io, conn, CLOSE_MEMORY);
            return (struct span){0};
        }
        whole = span_of(part->data, part->used_bytes);
    }
    enum bootstrap_result result = bootstrap_parse(whole, held_bytes, &bootstrap, &head_bytes);

    if (result == BOOTSTRAP_NEED_MORE && held_bytes == 0) {
        struct conn_input *input = input_of(io, conn);

        if (!input || !input_append(io, conn, &input->frame, bytes))
            conn_close(io, conn, CLOSE_MEMORY);
    }
    if (result != BOOTSTRAP_NEED_MORE && held_bytes > 0)
        input_clear(io, conn, &conn->input->frame);
    judge_head(io, conn, result, &bootstrap);
    return result == BOOTSTRAP_DONE ? span_skip(bytes, head_bytes - held_bytes) : (struct span){0};
}

/* -- frames out of bytes -- */

static bool reads_frames(const struct conn *conn)
{
    return conn->state == CONN_GREETED || conn->state == CONN_LIVE;
}

/* Frames that lie whole in the receive buffer; returns the rest: incomplete, or not ours to read
 * yet (after a Connect) or any more. */
static struct span feed_in_place(struct io *io, struct conn *conn, struct span bytes)
{
    uint32_t frame_bytes_max = io->config->limits.frame_bytes_max;
    const char *reason = NULL;
    struct smq_frame frame;

    while (reads_frames(conn)) {
        switch (smq_decode(bytes, frame_bytes_max, &frame, &reason)) {
        case SMQ_DECODE_NEED_MORE:
            return bytes;
        case SMQ_DECODE_MALFORMED:
            session_protocol_error(io, conn, reason);
            return (struct span){0};
        case SMQ_DECODE_FRAME:
            break;
        }
        if (frame.type == SMQ_PUBLISH && conn->state == CONN_LIVE) {
            uint32_t frame_count;
            size_t run_bytes = smq_publish_run(bytes, frame_bytes_max, &frame_count);

            session_publish_run(io, conn, span_of(bytes.data, run_bytes), frame_count);
            bytes = span_skip(bytes, run_bytes);
        } else {
            session_frame(io, conn, &frame);
            bytes = span_skip(bytes, frame.bytes_count);
        }
    }
    return bytes;
}

/* Complete the frame that began in an earlier receive; returns what is left of @bytes. */
static struct span feed_held(struct io *io, struct conn *conn, struct span bytes)
{
    struct input_part *part = &conn->input->frame;
    /* First the header, then what it announces: never a byte of the next frame. */
    while (bytes.bytes_count > 0) {
        uint32_t wanted =
            part->used_bytes < SMQ_HEADER_BYTES ? SMQ_HEADER_BYTES : smq_load_u16(part->data);
        size_t step = min_size(wanted - part->used_bytes, bytes.bytes_count);
        struct span held;

        if (!input_append(io, conn, part, span_of(bytes.data, step))) {
            conn_close(io, conn, CLOSE_MEMORY);
            return (struct span){0};
        }
        bytes = span_skip(bytes, step);
        held = span_of(part->data, part->used_bytes);
        held = feed_in_place(io, conn, held);
        if (held.bytes_count < part->used_bytes) { /* it was whole, and has been handled */
            must(held.bytes_count == 0);
            input_clear(io, conn, part);
            return bytes;
        }
        if (!reads_frames(conn))
            return (struct span){0};
    }
    return bytes;
}

/* Keep what cannot be read yet: the beginning of a frame, or what came before the Connack. */
static void keep(struct io *io, struct conn *conn, struct span bytes)
{
    struct conn_input *input = input_of(io, conn);

    if (conn->state == CONN_JOINING && input &&
        input->frame.used_bytes + bytes.bytes_count > SMQ_FRAME_BYTES_MAX)
        session_protocol_error(io, conn, "too much sent before the Connack");
    else if (!input || !input_append(io, conn, &input->frame, bytes))
        conn_close(io, conn, CLOSE_MEMORY);
}

static void feed(struct io *io, struct conn *conn, struct span bytes)
{
    if (reads_frames(conn) && conn->input && conn->input->frame.used_bytes > 0)
        bytes = feed_held(io, conn, bytes);
    if (reads_frames(conn))
        bytes = feed_in_place(io, conn, bytes);
    if (bytes.bytes_count > 0 && (reads_frames(conn) || conn->state == CONN_JOINING))
        keep(io, conn, bytes);
}

void session_input(struct io *io, struct conn *conn, uint8_t *data, size_t bytes_count)
{
    struct span bytes = span_of(data, bytes_count);

    conn->last_input_tick = io->now_tick;
    conn->flags &= ~CONN_PINGED;
    if (conn->state == CONN_HTTP)
        bytes = feed_head(io, conn, bytes);
    if (bytes.bytes_count > 0)
        feed(io, conn, bytes);
}

void session_resume(struct io *io, struct conn *conn)
{
    if (!conn->input || conn->input->frame.used_bytes == 0)
        return;
    struct input_part part = conn->input->frame;

    conn->input->frame = (struct input_part){0};
    feed(io, conn, span_of(part.data, part.used_bytes));
    mem_free(&io->mem, MEM_INPUT, part.data, part.capacity);
    input_drop_if_empty(io, conn);
}

void session_eof(struct io *io, struct conn *conn)
{
    conn->flags |= CONN_EOF;
    if (conn->state != CONN_LEAVING)
        conn_close(io, conn, CLOSE_PEER);
    else
        conn_mark(io, conn); /* our goodbye goes out first */
}

/* -- deadlines -- */

uint32_t session_deadline(const struct io *io, const struct conn *conn)
{
    const struct config *config = io->config;

    switch ((enum conn_state)conn->state) {
    case CONN_HTTP:
    case CONN_GREETED:
    case CONN_JOINING: /* last_input_tick must not help: a byte a second is no handshake */
        return conn->wait_tick + ticks_of(config->limits.handshake_timeout_ms);
    case CONN_LIVE:
        return conn->flags & CONN_PINGED
                   ? conn->wait_tick + ticks_of(config->keepalive_answer_ms)
                   : conn->last_input_tick + ticks_of(config->keepalive_idle_ms);
    case CONN_LEAVING:
        return conn->wait_tick + LINGER_TICKS;
    case CONN_FREE:
    case CONN_CLOSING:
    case CONN_STATE_COUNT:
        break;
    }
    return io->now_tick + WHEEL_SLOTS;
}

void session_retime(struct io *io, struct conn *conn)
{
    if (conn->flags & CONN_TIMED)
        wheel_remove(&io->wheel, conn->slot_index);
    uint32_t tick = session_deadline(io, conn);
    uint32_t quiet_tick = conn->last_input_tick + QUIET_TICKS;

    /* Due now is due next tick: what one deadline began must go out before the next one acts. */
    if (conn->state == CONN_LIVE && conn->ops & OP_BIT(OP_RECV) && (int32_t)(tick - quiet_tick) > 0)
        tick = quiet_tick;
    if ((int32_t)(tick - io->now_tick) <= 0)
        tick = io->now_tick + 1;
    conn->flags |= CONN_TIMED;
    wheel_add(&io->wheel, conn->slot_index, tick);
}

bool session_is_quiet(const struct io *io, const struct conn *conn)
{
    return conn->state == CONN_LIVE && conn->ops & OP_BIT(OP_RECV) &&
           (int32_t)(io->now_tick - conn->last_input_tick - QUIET_TICKS) >= 0;
}

static void end_handshake(struct io *io, struct conn *conn)
{
    if (conn->state == CONN_HTTP) {
        const char *answer = bootstrap_refusal(408);

        conn_leave(io, conn, CLOSE_HANDSHAKE_TIMEOUT,
                   conn->input && conn->input->frame.data ? span_of(answer, strlen(answer))
                                                          : span_of(NULL, 0));
        return;
    }
    session_refuse(io, conn, SMQ_CONNACK_UNAVAILABLE, "Connect did not come in time");
    conn->close_reason = CLOSE_HANDSHAKE_TIMEOUT;
}

void session_on_deadline(struct io *io, struct conn *conn)
{
    if ((int32_t)(session_deadline(io, conn) - io->now_tick) > 0)
        return; /* something has happened since this timer was set */
    switch ((enum conn_state)conn->state) {
    case CONN_HTTP:
    case CONN_GREETED:
    case CONN_JOINING:
        end_handshake(io, conn);
        return;
    case CONN_LIVE:
        if (conn->flags & CONN_PINGED) {
            conn_close(io, conn, CLOSE_KEEPALIVE);
            return;
        }
        conn->flags |= CONN_PINGED;
        conn->wait_tick = io->now_tick;
        io_count(io, IO_STAT_PINGS, 1);
        session_send(io, conn, SMQ_PING, span_of(NULL, 0), span_of(NULL, 0));
        return;
    case CONN_LEAVING: /* the peer takes no notice of our goodbye */
        conn_close(io, conn, (enum close_reason)conn->close_reason);
        return;
    case CONN_FREE:
    case CONN_CLOSING:
    case CONN_STATE_COUNT:
        return;
    }
}

/* -- the end -- */

void session_release(struct io *io, struct conn *conn)
{
    struct mesh *mesh = io->port->mesh;

    if (conn->flags & CONN_RELEASED)
        return;
    conn->flags |= CONN_RELEASED;
    holds_drop_all(io, conn);
    if (conn->etid != SMQ_ID_NONE)
        port_push(io->port, mesh_shard_index(mesh, mesh_shard_of_id(mesh, conn->etid)),
                  (struct envelope){.kind = ENVELOPE_GONE,
                                    .instance_index = conn->instance_index,
                                    .id = conn->etid,
                                    .conn = conn_handle_of(io, conn)});
    quota_give(conn->flags & CONN_ADMITTED ? &io->quotas->connections : &io->quotas->handshakes);
    if (conn->flags & CONN_ADMITTED)
        io_count(io, IO_STAT_LIVE, (uint64_t)-1);
    counter_add(&io->closed_counts[conn->close_reason], 1);
    if (conn->input) {
        struct conn_input *input = conn->input;

        mem_free(&io->mem, MEM_INPUT, input->frame.data, input->frame.capacity);
        mem_free(&io->mem, MEM_INPUT, input->fragment.data, input->fragment.capacity);
        mem_free(&io->mem, MEM_INPUT, input->cipher.data, input->cipher.capacity);
        mem_free(&io->mem, MEM_INPUT, input, sizeof(*input));
        conn->input = NULL;
    }
    msg_unref(&io->mem, conn->identity);
    conn->identity = NULL;
    conn->wait_tick = io->now_tick;
}

void session_drain(struct io *io, struct conn *conn)
{
    conn_leave(io, conn, CLOSE_DRAIN, span_of(NULL, 0));
}
