/*
 * net/session_ws.c — a WebSocket's messages, made into the raw frames that a session reads.
 *
 *      received  | hdr | type body | hdr | type body | hdr | ty…      masked
 *                     ↙            ↙                      ↘
 *      in place  | len type body | len type body |         kept until the rest has come
 *
 * A client's header has 6 bytes or more and a raw frame's length has 2, so unmasking moves each
 * message towards the front and what comes together is read together, as one run. A fragmented
 * message is put together in conn->input->fragment, and an idle WebSocket owns nothing.
 *
 * Thread: the I/O actor's. Source: RFC 6455 §5; SMQ protocol §2.2.
 */
#include <string.h>

#include "core/log.h"
#include "net/detour.h"
#include "net/session_parts.h"
#include "net/ws_codec.h"

static void send_frame(struct io *io, struct conn *conn, enum ws_opcode opcode, struct span payload)
{
    uint8_t frame[WS_SERVER_HEADER_BYTES_MAX + WS_CONTROL_BYTES_MAX];
    size_t header_bytes = ws_encode_header(frame, opcode, payload.bytes_count);

    must(payload.bytes_count <= WS_CONTROL_BYTES_MAX);
    if (payload.bytes_count > 0)
        memcpy(frame + header_bytes, payload.data, payload.bytes_count);
    conn_send_ws(io, conn, span_of(frame, header_bytes + payload.bytes_count));
}

/* Say Close with a code and a reason, then leave. */
static void fail(struct io *io, struct conn *conn, enum ws_close code, const char *reason)
{
    uint8_t payload[WS_CONTROL_BYTES_MAX];
    size_t reason_bytes = min_size(strlen(reason), sizeof(payload) - 2);
    char ip[CONN_IP_TEXT_BYTES];

    smq_store_u16(payload, (uint16_t)code);
    memcpy(payload + 2, reason, reason_bytes);
    conn_ip_text(conn, ip);
    log_event(LOG_LEVEL_INFO, "conn.protocol_error", "peer=%s:%u etid=%u code=%d reason=\"%s\"", ip,
              conn->peer_port, conn->etid, (int)code, reason);
    send_frame(io, conn, WS_CLOSE, span_of(payload, 2 + reason_bytes));
    conn->flags |= CONN_WS_CLOSED;
    conn_leave(io, conn, CLOSE_PROTOCOL, span_of(NULL, 0));
}

void session_ws_ping(struct io *io, struct conn *conn)
{
    send_frame(io, conn, WS_PING, span_of(NULL, 0));
}

/* -- control frames -- */

/* The client closes: answer with its own code (§5.5.1), and nothing more comes from it. */
static void on_close(struct io *io, struct conn *conn, struct span payload)
{
    if (payload.bytes_count == 1) {
        fail(io, conn, WS_CLOSE_PROTOCOL, "half a close code");
        return;
    }
    if (payload.bytes_count >= 2 && !ws_close_code_is_valid(smq_load_u16(payload.data))) {
        fail(io, conn, WS_CLOSE_PROTOCOL, "invalid close code");
        return;
    }
    if (payload.bytes_count > 2 && !ws_is_utf8(span_skip(payload, 2))) {
        fail(io, conn, WS_CLOSE_NOT_UTF8, "a close reason is text in UTF-8");
        return;
    }
    send_frame(io, conn, WS_CLOSE, span_of(payload.data, min_size(payload.bytes_count, 2)));
    conn->flags |= CONN_WS_CLOSED | CONN_EOF;
    conn_leave(io, conn, CLOSE_PEER, span_of(NULL, 0));
}

static void on_control(struct io *io, struct conn *conn, uint8_t opcode, struct span payload)
{
    if (opcode == WS_CLOSE)
        on_close(io, conn, payload);
    else if (opcode == WS_PING)
        send_frame(io, conn, WS_PONG, payload);
    /* A Pong is a sign of life, as any byte is. */
}

/* -- messages -- */

static bool is_in_message(const struct conn *conn)
{
    return conn->input && conn->input->fragment.used_bytes > 0;
}

/* What is wrong with a data frame here and now; 0: nothing. */
static enum ws_close judge_data(const struct io *io, const struct conn *conn,
                                const struct ws_frame *frame, const char **reason)
{
    uint32_t message_bytes = frame->payload_bytes;

    if (frame->opcode == WS_TEXT && !(conn->flags & CONN_ECHO)) {
        *reason = "SMQ messages are binary";
        return WS_CLOSE_NOT_BINARY;
    }
    if ((frame->opcode == WS_CONTINUATION) != is_in_message(conn)) {
        *reason = is_in_message(conn) ? "a message within a message" : "nothing to continue";
        return WS_CLOSE_PROTOCOL;
    }
    if (is_in_message(conn))
        message_bytes += conn->input->fragment.used_bytes - SMQ_LENGTH_BYTES;
    if (message_bytes + SMQ_LENGTH_BYTES > io->config->limits.frame_bytes_max) {
        *reason = "message too large";
        return WS_CLOSE_TOO_BIG;
    }
    return (enum ws_close)0;
}

/* On web.echo: what came goes back. */
static void echo(struct io *io, struct conn *conn, enum ws_opcode opcode, struct span message)
{
    uint8_t header[WS_SERVER_HEADER_BYTES_MAX];

    if (opcode == WS_TEXT && !ws_is_utf8(message)) {
        fail(io, conn, WS_CLOSE_NOT_UTF8, "not UTF-8");
        return;
    }
    conn->wait_tick = io->now_tick; /* this is no handshake that stalls */
    conn_send_ws(io, conn, span_of(header, ws_encode_header(header, opcode, message.bytes_count)));
    if (message.bytes_count > 0)
        conn_send_ws(io, conn, message);
}

/* One fragment, unmasked; with the last one the message is whole and is read. */
static void on_fragment(struct io *io, struct conn *conn, const struct ws_frame *frame,
                        struct span payload)
{
    /* Where the length will be stands meanwhile what kind of message it is. */
    const uint8_t length_to_come[SMQ_LENGTH_BYTES] = {frame->opcode};
    struct conn_input *input = input_of(io, conn);
    struct input_part *part = input ? &input->fragment : NULL;

    if (!part ||
        (part->used_bytes == 0 &&
         !input_append(io, conn, part, span_of(length_to_come, sizeof(length_to_come)))) ||
        !input_append(io, conn, part, payload)) {
        conn_close(io, conn, CLOSE_MEMORY);
        return;
    }
    if (!frame->is_final)
        return;
    struct span message = span_of(part->data, part->used_bytes);

    if (conn->flags & CONN_ECHO) {
        echo(io, conn, (enum ws_opcode)part->data[0], span_skip(message, SMQ_LENGTH_BYTES));
    } else {
        smq_store_u16(part->data, (uint16_t)part->used_bytes);
        (void)session_frames(io, conn, message);
    }
    input_clear(io, conn, &conn->input->fragment);
}

/* Frames that lie whole in @bytes. Returns how many bytes they are. */
static size_t read_in_place(struct io *io, struct conn *conn, uint8_t *bytes, size_t bytes_count)
{
    uint32_t frame_bytes_max = io->config->limits.frame_bytes_max - SMQ_LENGTH_BYTES;
    bool may_be_held = detour_may_hold(io, conn);
    size_t ready_bytes = 0; /* raw frames at the front, not yet read */
    size_t at = 0;

    while (session_reads_frames(conn)) {
        struct ws_frame frame;
        struct ws_fault fault;
        const char *reason;
        size_t wanted_bytes;
        enum ws_decode decoded =
            ws_decode(span_of(bytes + at, bytes_count - at),
                      frame_bytes_max < WS_CONTROL_BYTES_MAX ? WS_CONTROL_BYTES_MAX
                                                             : frame_bytes_max,
                      &frame, &wanted_bytes, &fault);
        bool is_simple = decoded == WS_DECODE_FRAME && frame.opcode == WS_BINARY &&
                         frame.is_final && !is_in_message(conn) && !(conn->flags & CONN_ECHO) &&
                         frame.payload_bytes <= frame_bytes_max;

        /* What came before goes first; and a Connect, or a script that has to decide, changes what
         * may be read after it. */
        if (ready_bytes > 0 && (!is_simple || conn->state != CONN_LIVE || may_be_held)) {
            (void)session_frames(io, conn, span_of(bytes, ready_bytes));
            ready_bytes = 0;
            continue;
        }
        if (decoded == WS_DECODE_NEED_MORE)
            return at;
        if (decoded == WS_DECODE_MALFORMED) {
            fail(io, conn, fault.code, fault.reason);
            break;
        }
        uint8_t *payload = bytes + at + frame.header_bytes;

        at += frame.header_bytes + frame.payload_bytes;
        if (is_simple) {
            smq_store_u16(bytes + ready_bytes, (uint16_t)(frame.payload_bytes + SMQ_LENGTH_BYTES));
            ready_bytes += SMQ_LENGTH_BYTES;
            ws_unmask(bytes + ready_bytes, payload, frame.payload_bytes, frame.mask);
            ready_bytes += frame.payload_bytes;
            continue;
        }
        ws_unmask(payload, payload, frame.payload_bytes, frame.mask);
        if (frame.opcode >= WS_CLOSE) {
            on_control(io, conn, frame.opcode, span_of(payload, frame.payload_bytes));
            continue;
        }
        enum ws_close code = judge_data(io, conn, &frame, &reason);

        if (code != 0)
            fail(io, conn, code, reason);
        else
            on_fragment(io, conn, &frame, span_of(payload, frame.payload_bytes));
    }
    return at;
}

/* Complete the frame that began in an earlier receive. Returns how many of @bytes went into it. */
static size_t read_held(struct io *io, struct conn *conn, const uint8_t *bytes, size_t bytes_count)
{
    size_t taken_bytes = 0;

    while (session_reads_frames(conn) && conn->input && conn->input->frame.used_bytes > 0 &&
           taken_bytes < bytes_count) {
        struct input_part *part = &conn->input->frame;
        struct ws_frame frame;
        struct ws_fault fault;
        size_t wanted_bytes;

        /* First the header, then what it announces: never a byte of the next frame. */
        must(ws_decode(span_of(part->data, part->used_bytes), UINT32_MAX, &frame, &wanted_bytes,
                       &fault) == WS_DECODE_NEED_MORE);
        size_t step = min_size(wanted_bytes - part->used_bytes, bytes_count - taken_bytes);

        if (!input_append(io, conn, part, span_of(bytes + taken_bytes, step))) {
            conn_close(io, conn, CLOSE_MEMORY);
            break;
        }
        taken_bytes += step;
        if (read_in_place(io, conn, part->data, part->used_bytes) > 0 && conn->input)
            input_clear(io, conn, &conn->input->frame);
    }
    return taken_bytes;
}

size_t session_ws(struct io *io, struct conn *conn, uint8_t *bytes, size_t bytes_count)
{
    size_t at = read_held(io, conn, bytes, bytes_count);

    return at + read_in_place(io, conn, bytes + at, bytes_count - at);
}
