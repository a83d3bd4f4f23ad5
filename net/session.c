/*
 * net/session.c — the life of a session: frames cut out of bytes, deadlines, the end.
 *
 * Thread: the I/O actor's. See net/session.h, and net/session_parts.h for the others.
 */
#include "net/session.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/msg.h"
#include "net/detour.h"
#include "net/door.h"
#include "net/holds.h"
#include "net/session_parts.h"
#include "net/throttle.h"

/* Without input for this long, a multishot receive is traded for a poll: 600 bytes of kernel. */
#define QUIET_TICKS (1000u / WHEEL_TICK_MS)

/* Between two requests for pages; and for the web actor to answer, or the peer to take it. */
#define HTTP_IDLE_TICKS (15000u / WHEEL_TICK_MS)
#define HTTP_TAKE_TICKS (60000u / WHEEL_TICK_MS)

/* While memory is tight: for what is larger than LIMIT_TIGHT_INPUT_BYTES to be whole. */
#define TIGHT_INPUT_TICKS (1000u / WHEEL_TICK_MS)

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
    if (conn->state == CONN_ASKING) { /* it does not speak SMQ yet */
        conn_close(io, conn, CLOSE_PROTOCOL);
        return;
    }
    conn_ip_text(conn, ip);
    log_event(LOG_LEVEL_INFO, "conn.protocol_error", "peer=%s:%u etid=%u reason=\"%s\"", ip,
              conn->peer_port, conn->etid, reason);
    leave_with_disconnect(io, conn, CLOSE_PROTOCOL, reason);
}

void session_end(struct io *io, struct conn *conn, enum close_reason why, const char *reason)
{
    if (conn->state == CONN_HTTP || conn->state == CONN_ASKING)
        conn_close(io, conn, why);
    else
        leave_with_disconnect(io, conn, why, reason);
}

/* -- the beginning -- */

void session_open(struct io *io, struct conn *conn)
{
    must(conn->state == CONN_HTTP);
    session_retime(io, conn);
}

/* -- frames out of bytes -- */

static bool speaks_frames(const struct conn *conn)
{
    return conn->state == CONN_GREETED || conn->state == CONN_LIVE;
}

bool session_reads_frames(const struct conn *conn)
{
    return speaks_frames(conn) && !(conn->flags & CONN_PAUSED);
}

/* Somebody else must answer first: a shard, or the web actor. What comes is kept. */
static bool waits_for_answer(const struct conn *conn)
{
    return conn->state == CONN_JOINING || conn->state == CONN_ASKING;
}

/* The same, and for who has sent too much. */
static bool keeps_input(const struct conn *conn)
{
    return waits_for_answer(conn) || speaks_frames(conn);
}

/* Where a run may lie that begins with a frame of @frame_bytes: not too long where it is paid for
 * afterwards. */
static struct span run_room(const struct io *io, struct span bytes, size_t frame_bytes)
{
    if (!io->is_metered)
        return bytes;
    size_t room_bytes =
        frame_bytes > LIMIT_METERED_RUN_BYTES ? frame_bytes : LIMIT_METERED_RUN_BYTES;

    return span_of(bytes.data, min_size(bytes.bytes_count, room_bytes));
}

struct span session_frames(struct io *io, struct conn *conn, struct span bytes)
{
    uint32_t frame_bytes_max = io->config->limits.frame_bytes_max;
    const char *reason = NULL;
    struct smq_frame frame;

    /* What a WebSocket has brought in one receive is raw already, and cannot be kept: who sends
     * more than its rate does so a receive later. */
    while (session_reads_frames(conn) || (conn->flags & CONN_WS && speaks_frames(conn))) {
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
            size_t run_bytes = smq_publish_run(run_room(io, bytes, frame.bytes_count),
                                               frame_bytes_max, &frame_count);

            throttle_use(io, conn, frame_count, (uint32_t)run_bytes);
            session_publish_run(io, conn, span_of(bytes.data, run_bytes), frame_count);
            bytes = span_skip(bytes, run_bytes);
        } else {
            throttle_use(io, conn, 1, frame.bytes_count);
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
        held = session_frames(io, conn, held);
        if (held.bytes_count < part->used_bytes) { /* it was whole, and has been handled */
            must(held.bytes_count == 0);
            input_clear(io, conn, part);
            return bytes;
        }
        if (!session_reads_frames(conn))
            return (struct span){0};
    }
    return bytes;
}

/* Keep what cannot be read yet: the beginning of a frame, or what came before an answer. */
static void keep(struct io *io, struct conn *conn, struct span bytes)
{
    struct conn_input *input = input_of(io, conn);

    if (waits_for_answer(conn) && input &&
        input->frame.used_bytes + bytes.bytes_count > SMQ_FRAME_BYTES_MAX)
        session_protocol_error(io, conn, "too much sent before the answer");
    else if (!input || !input_append(io, conn, &input->frame, bytes))
        conn_close(io, conn, CLOSE_MEMORY);
}

static void feed(struct io *io, struct conn *conn, uint8_t *data, size_t bytes_count)
{
    struct span bytes = span_of(data, bytes_count);

    if (conn->state == CONN_HTTP)
        bytes = session_http(io, conn, bytes);
    if (bytes.bytes_count > 0 && session_reads_frames(conn) && conn->flags & CONN_WS) {
        uint8_t *rest = data + (bytes_count - bytes.bytes_count);

        bytes = span_skip(bytes, session_ws(io, conn, rest, bytes.bytes_count));
    } else if (bytes.bytes_count > 0 && session_reads_frames(conn)) {
        if (conn->input && conn->input->frame.used_bytes > 0)
            bytes = feed_held(io, conn, bytes);
        bytes = session_frames(io, conn, bytes);
    }
    if (bytes.bytes_count > 0 && keeps_input(conn))
        keep(io, conn, bytes);
}

void session_input(struct io *io, struct conn *conn, uint8_t *bytes, size_t bytes_count)
{
    conn->last_input_tick = io->now_tick;
    conn->flags &= ~CONN_PINGED;
    feed(io, conn, bytes, bytes_count);
}

void session_resume(struct io *io, struct conn *conn)
{
    if (!conn->input || conn->input->frame.used_bytes == 0)
        return;
    struct input_part part = conn->input->frame;
    uint32_t done_bytes = conn->input->request_bytes;

    must(done_bytes <= part.used_bytes);
    conn->input->frame = (struct input_part){0};
    conn->input->request_bytes = 0;
    if (part.used_bytes > done_bytes)
        feed(io, conn, part.data + done_bytes, part.used_bytes - done_bytes);
    mem_free(&io->mem, MEM_INPUT, part.data, part.capacity);
    input_drop_if_empty(io, conn);
}

void session_read_again(struct io *io, struct conn *conn)
{
    conn->last_input_tick = io->now_tick; /* the silence was ours */
    if (conn->input)
        conn->input->frame.since_tick = conn->input->fragment.since_tick =
            conn->input->cipher.since_tick = io->now_tick;
    session_resume(io, conn); /* perhaps it has to wait again at once */
    if (conn->flags & CONN_EOF && !(conn->flags & CONN_PAUSED))
        conn_close(io, conn, CLOSE_PEER);
    session_retime(io, conn);
    conn_mark(io, conn);
}

void session_eof(struct io *io, struct conn *conn)
{
    conn->flags |= CONN_EOF;
    if (conn->state == CONN_LEAVING)
        conn_mark(io, conn);               /* our goodbye goes out first */
    else if (conn->state != CONN_ASKING && /* an answer is still wanted */
             !(conn->flags & CONN_PAUSED)) /* what it said before is still to be read */
        conn_close(io, conn, CLOSE_PEER);
}

/* -- deadlines -- */

/* When what has begun must be whole, of all that has; false: nothing has. */
static bool frame_deadline(const struct io *io, const struct conn *conn, uint32_t *tick)
{
    uint32_t timeout_ticks = ticks_of(io->config->limits.frame_timeout_ms);
    bool is_any = false;

    if (!conn->input)
        return false;
    const struct input_part *parts[] = {&conn->input->frame, &conn->input->fragment,
                                        &conn->input->cipher};

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        uint32_t end_tick = parts[i]->since_tick + timeout_ticks;

        if (parts[i]->used_bytes > 0 && (!is_any || (int32_t)(end_tick - *tick) < 0)) {
            *tick = end_tick;
            is_any = true;
        }
    }
    return is_any;
}

/* Of a client: when to read again, else its keep-alive or its unfinished frame. */
static uint32_t live_deadline(const struct io *io, const struct conn *conn)
{
    const struct hooks_times times = detour_times(io, conn);
    uint32_t frame_tick;

    if (conn->flags & CONN_THROTTLED)
        return conn_throttle(io, conn)->resume_tick;
    if (conn->flags & CONN_HELD)
        return io->now_tick + WHEEL_SLOTS; /* until the script has answered */
    uint32_t tick = conn->flags & CONN_PINGED ? conn->wait_tick + ticks_of(times.answer_ms)
                                              : conn->last_input_tick + ticks_of(times.idle_ms);

    if (frame_deadline(io, conn, &frame_tick) && (int32_t)(frame_tick - tick) < 0)
        return frame_tick;
    return tick;
}

/* How long a goodbye may take from its begin on; at the broker's end, from the last bytes taken.
 * What was queued then is still to arrive: who takes nothing of it for half of the drain is given
 * up. */
static uint32_t goodbye_ticks(const struct io *io, const struct conn *conn)
{
    uint32_t half_ticks = ticks_of(io->config->drain_timeout_ms / 2);

    if (conn->close_reason != CLOSE_DRAIN || conn->out.queued_bytes == 0)
        return LINGER_TICKS;
    return half_ticks > LINGER_TICKS ? half_ticks : LINGER_TICKS;
}

uint32_t session_deadline(const struct io *io, const struct conn *conn)
{
    const struct config *config = io->config;

    switch ((enum conn_state)conn->state) {
    case CONN_HTTP:
        if (conn->flags & CONN_ANSWERED)
            return conn->wait_tick +
                   (conn->out.queued_bytes > 0 ? HTTP_TAKE_TICKS : HTTP_IDLE_TICKS);
        __attribute__((fallthrough));
    case CONN_JOINING: /* last_input_tick must not help: a byte a second is no handshake */
        return conn->wait_tick + ticks_of(config->limits.handshake_timeout_ms);
    case CONN_GREETED:
        return conn->wait_tick + ticks_of(detour_times(io, conn).connect_ms);
    case CONN_ASKING:
        return conn->wait_tick + HTTP_TAKE_TICKS;
    case CONN_LIVE:
        return live_deadline(io, conn);
    case CONN_LEAVING:
        return conn->wait_tick + goodbye_ticks(io, conn);
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

    /* An answer may be taken at any time, and then its reader is idle: look again soon. */
    if (conn->state == CONN_HTTP && conn->out.queued_bytes > 0)
        tick = min_u32(tick - io->now_tick, HTTP_IDLE_TICKS) + io->now_tick;
    /* Due now is due next tick: what one deadline began must go out before the next one acts. */
    if (conn->state == CONN_LIVE && conn->ops & OP_BIT(OP_RECV) && !(conn->flags & CONN_PAUSED) &&
        (int32_t)(tick - quiet_tick) > 0)
        tick = quiet_tick;
    if ((int32_t)(tick - io->now_tick) <= 0)
        tick = io->now_tick + 1;
    conn->flags |= CONN_TIMED;
    wheel_add(&io->wheel, conn->slot_index, tick);
}

bool session_is_quiet(const struct io *io, const struct conn *conn)
{
    return conn->state == CONN_LIVE && conn->ops & OP_BIT(OP_RECV) &&
           !(conn->flags & CONN_PAUSED) &&
           (int32_t)(io->now_tick - conn->last_input_tick - QUIET_TICKS) >= 0;
}

void session_shed(struct io *io, struct conn *conn)
{
    uint32_t held_bytes = 0;
    bool is_old = false;

    if (!conn->input || waits_for_answer(conn) || conn->flags & CONN_PAUSED)
        return; /* it is we who are late */
    const struct input_part *parts[] = {&conn->input->frame, &conn->input->fragment,
                                        &conn->input->cipher};

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        held_bytes += parts[i]->capacity;
        is_old = is_old || (parts[i]->used_bytes > 0 &&
                            io->now_tick - parts[i]->since_tick > TIGHT_INPUT_TICKS);
    }
    if (held_bytes <= LIMIT_TIGHT_INPUT_BYTES || !is_old)
        return;
    io_count(io, IO_STAT_SHED_INPUT, 1);
    session_end(io, conn, CLOSE_MEMORY, "the broker is out of memory");
}

static void end_handshake(struct io *io, struct conn *conn)
{
    if (conn->state == CONN_ASKING) { /* the web actor has too much to do */
        session_refuse_http(io, conn, 503);
    } else if (conn->state == CONN_HTTP && conn->flags & CONN_ANSWERED) {
        conn_close(io, conn, CLOSE_HTTP); /* no further request, or the answer is not taken */
    } else if (conn->state == CONN_HTTP) {
        if (!conn->input && !(conn->flags & CONN_TLS)) { /* it has said nothing: nor do we */
            conn_close(io, conn, CLOSE_HANDSHAKE_TIMEOUT);
            return;
        }
        if (conn->input && conn->input->frame.data)
            session_refuse_http(io, conn, 408);
        conn_leave(io, conn, CLOSE_HANDSHAKE_TIMEOUT, span_of(NULL, 0));
        conn->close_reason = CLOSE_HANDSHAKE_TIMEOUT;
    } else {
        session_refuse(io, conn, SMQ_CONNACK_UNAVAILABLE, "Connect did not come in time");
        conn->close_reason = CLOSE_HANDSHAKE_TIMEOUT;
    }
}

static void on_live_deadline(struct io *io, struct conn *conn)
{
    uint32_t frame_tick;

    if (conn->flags & CONN_THROTTLED) {
        throttle_lift(io, conn);
    } else if (frame_deadline(io, conn, &frame_tick) && (int32_t)(frame_tick - io->now_tick) <= 0) {
        session_end(io, conn, CLOSE_FRAME_TIMEOUT, "a frame was not finished in time");
    } else if (conn->flags & CONN_PINGED) {
        conn_close(io, conn, CLOSE_KEEPALIVE);
    } else {
        conn->flags |= CONN_PINGED;
        conn->wait_tick = io->now_tick;
        io_count(io, IO_STAT_PINGS, 1);
        if (conn->flags & CONN_WS)
            session_ws_ping(io, conn); /* a browser answers by itself, even when its page sleeps */
        else
            session_send(io, conn, SMQ_PING, span_of(NULL, 0), span_of(NULL, 0));
    }
}

void session_on_deadline(struct io *io, struct conn *conn)
{
    if ((int32_t)(session_deadline(io, conn) - io->now_tick) > 0)
        return; /* something has happened since this timer was set */
    switch ((enum conn_state)conn->state) {
    case CONN_HTTP:
    case CONN_ASKING:
    case CONN_GREETED:
    case CONN_JOINING:
        end_handshake(io, conn);
        return;
    case CONN_LIVE:
        on_live_deadline(io, conn);
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
    throttle_end(io, conn);
    detour_left(io, conn);
    if (conn->flags & CONN_PAGES)
        door_leave_page(io, conn);
    door_leave(io, conn);
    holds_drop_all(io, conn);
    if (conn->etid != SMQ_ID_NONE)
        report_left(io, conn);
    if (conn->etid != SMQ_ID_NONE)
        port_push(io->port, mesh_shard_index(mesh, mesh_shard_of_id(mesh, conn->etid)),
                  (struct envelope){.kind = ENVELOPE_GONE,
                                    .instance_index = conn->instance_index,
                                    .id = conn->etid,
                                    .conn = conn_handle_of(io, conn)});
    quota_give(conn->flags & CONN_ADMITTED ? &io->quotas->connections
               : conn->flags & CONN_PAGES  ? &io->quotas->pages
                                           : &io->quotas->handshakes);
    if (conn->flags & CONN_ADMITTED)
        io_count(io, IO_STAT_LIVE, (uint64_t)-1);
    counter_add(&io->closed_counts[conn->close_reason], 1);
    if (conn->input) {
        struct conn_input *input = conn->input;

        mem_free(&io->mem, MEM_INPUT, input->frame.data, input->frame.capacity);
        mem_free(&io->mem, MEM_INPUT, input->fragment.data, input->fragment.capacity);
        mem_free(&io->mem, MEM_INPUT, input->cipher.data, input->cipher.capacity);
        msg_unref(&io->mem, input->facts);
        mem_free(&io->mem, MEM_INPUT, input, sizeof(*input));
        conn->input = NULL;
    }
    msg_unref(&io->mem, conn->identity);
    conn->identity = NULL;
    conn->wait_tick = io->now_tick;
}

void session_taken(struct io *io, struct conn *conn)
{
    if (conn->state != CONN_LEAVING || conn->close_reason != CLOSE_DRAIN)
        return; /* others are not waited for longer: reading slowly must not keep a slot */
    conn->wait_tick = io->now_tick;
    session_retime(io, conn);
}

void session_drain(struct io *io, struct conn *conn)
{
    conn_leave(io, conn, CLOSE_DRAIN, span_of(NULL, 0));
}
