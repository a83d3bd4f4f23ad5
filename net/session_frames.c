/*
 * net/session_frames.c — what each client frame asks for: frames in, envelopes out.
 *
 * Thread: the I/O actor's. Source: SMQ protocol §3 and §4; the numbers in comments are its items.
 */
#include <string.h>

#include "core/identity.h"
#include "core/msg.h"
#include "core/shard.h"
#include "net/detour.h"
#include "net/holds.h"
#include "net/rights.h"
#include "net/session_parts.h"

static void push_to_owner(struct io *io, struct conn *conn, struct envelope envelope)
{
    struct mesh *mesh = io->port->mesh;

    envelope.conn = conn_handle_of(io, conn);
    envelope.instance_index = conn->instance_index;
    port_push(io->port, mesh_shard_index(mesh, mesh_shard_of_id(mesh, envelope.id)), envelope);
}

/* -- names: Subscribe (3), Create (4), Createsub -- */

static enum smq_packet ack_of(uint8_t type)
{
    return type == SMQ_SUBSCRIBE ? SMQ_SUBACK
           : type == SMQ_CREATE  ? SMQ_CREATEACK
                                 : SMQ_CREATESUBACK;
}

static enum envelope_kind request_of(uint8_t type)
{
    return type == SMQ_SUBSCRIBE ? ENVELOPE_SUBSCRIBE
           : type == SMQ_CREATE  ? ENVELOPE_CREATE
                                 : ENVELOPE_CREATESUB;
}

static enum acl_action action_of(uint8_t type)
{
    return type == SMQ_SUBSCRIBE ? ACL_SUBSCRIBE : type == SMQ_CREATE ? ACL_CREATE : ACL_SUBTOPIC;
}

/* May this client hold something new? The shard still says yes to what it holds already. What is
 * asked for and not yet answered is judged when the answer comes (session_answers.c). */
static uint8_t limit_flags(const struct io *io, const struct conn *conn)
{
    const struct config_limits *limits = &io->config->limits;
    uint8_t flags = 0;

    if (holds_count(conn, HELD_TOPIC) >= limits->topics_per_client_max)
        flags |= ENVELOPE_AT_LIMIT;
    if (holds_count(conn, HELD_SUBSCRIBED) >= limits->subscriptions_per_client_max)
        flags |= ENVELOPE_AT_SUB_LIMIT;
    return flags;
}

/* One more request without an answer, its own and its instance's; false: over a limit, counted. */
static bool take_pending(struct io *io, struct conn *conn)
{
    if (conn->pending_count >= io->config->limits.pending_per_client_max ||
        !quota_take(&io->quotas->instances[conn->instance_index].pending)) {
        io_count(io, IO_STAT_PENDING_LIMIT, 1);
        return false;
    }
    conn->pending_count++;
    return true;
}

static void on_name(struct io *io, struct conn *conn, const struct smq_frame *frame)
{
    struct mesh *mesh = io->port->mesh;
    struct span name = frame->body;

    if (name.bytes_count == 0 || name.bytes_count > io->config->limits.name_bytes_max) {
        io_count(io, IO_STAT_NAME_LIMIT, 1);
        session_send_ack(io, conn, ack_of(frame->type), SMQ_ACK_DENIED, 0, name);
        return;
    }
    if (!rights_may(io, conn, action_of(frame->type), name)) {
        session_send_ack(io, conn, ack_of(frame->type), SMQ_ACK_DENIED, 0, name);
        return;
    }
    struct msg *copy = msg_copy(&io->mem, name);
    if (!copy)
        io_count(io, IO_STAT_REFUSED_MEMORY, 1);
    if (!copy || !take_pending(io, conn)) {
        msg_unref(&io->mem, copy);
        session_send_ack(io, conn, ack_of(frame->type), SMQ_ACK_DENIED, 0, name);
        return;
    }
    uint64_t hash = siphash(&io->name_key, name);
    uint32_t shard = frame->type == SMQ_CREATESUB
                         ? mesh_shard_of_hash(mesh, hash)
                         : shard_of_topic_name(io->config, mesh, conn->instance_index, name, hash);
    struct envelope request = {.kind = (uint8_t)request_of(frame->type),
                               .flags = limit_flags(io, conn),
                               .instance_index = conn->instance_index,
                               .conn = conn_handle_of(io, conn),
                               .hash = hash,
                               .msg = copy};

    detour_name(io, conn, shard, request);
}

/* -- numbers: Unsubscribe, Observe (12, 13), Unobserve (14) -- */

static void on_unsubscribe(struct io *io, struct conn *conn, const struct smq_frame *frame)
{
    uint32_t id = smq_load_u32(frame->body.data);

    if (holds_maybe(conn, id)) /* else it holds nothing there: ignored */
        detour_unsubscribe(io, conn, mesh_shard_of_id(io->port->mesh, id),
                           (struct envelope){.kind = ENVELOPE_UNSUBSCRIBE,
                                             .instance_index = conn->instance_index,
                                             .conn = conn_handle_of(io, conn),
                                             .id = id});
}

static void on_observe(struct io *io, struct conn *conn, const struct smq_frame *frame)
{
    struct envelope request = {.kind = ENVELOPE_OBSERVE, .id = smq_load_u32(frame->body.data)};

    if (holds_count(conn, HELD_OBSERVED) >= io->config->limits.observations_per_client_max)
        request.flags |= ENVELOPE_AT_LIMIT;
    if (conn->flags & CONN_RULED) { /* the shard knows whose number it is */
        request.flags |= ENVELOPE_JUDGE;
        request.msg = msg_copy(&io->mem, identity_without_info(msg_span(conn->identity)));
        if (!request.msg) {
            io_count(io, IO_STAT_REFUSED_MEMORY, 1);
            return;
        }
    }
    if (!take_pending(io, conn)) {
        msg_unref(&io->mem, request.msg);
        return;
    }
    push_to_owner(io, conn, request);
}

static void on_unobserve(struct io *io, struct conn *conn, const struct smq_frame *frame)
{
    uint32_t id = smq_load_u32(frame->body.data);

    if (holds_maybe(conn, id))
        push_to_owner(io, conn, (struct envelope){.kind = ENVELOPE_UNOBSERVE, .id = id});
}

/* -- messages: Publish (7–11), PubFrag (17) -- */

/* @run, NULL: there was no memory for it. @judge_bytes: of the identity in front of it, which the
 * shard shall judge; 0: it may. */
static void push_run(struct io *io, struct conn *conn, struct msg *run, uint32_t frame_count,
                     uint32_t destination, size_t judge_bytes)
{
    if (!run) {
        io_count(io, IO_STAT_DROPPED_MEMORY, frame_count);
        return;
    }
    io_count(io, IO_STAT_MESSAGES_IN, frame_count);
    conn->received_count += frame_count;
    if (conn->flags & CONN_TAPPED)
        tap_run(io, conn, /* is_out */ false, run, frame_count);
    detour_publish(io, conn, mesh_shard_of_id(io->port->mesh, destination),
                   (struct envelope){.kind = ENVELOPE_PUBLISH,
                                     .flags = judge_bytes > 0 ? ENVELOPE_JUDGE : 0,
                                     .instance_index = conn->instance_index,
                                     .conn = conn_handle_of(io, conn),
                                     .id = destination,
                                     .etid = conn->etid,
                                     .count = frame_count,
                                     .hash = judge_bytes,
                                     .msg = run,
                                     .received_ns = io->stamp_ns});
    io->stamp_ns = 0;
}

/* Where there is an access list: a run to a number that the client holds passes, if it might when
 * the number was given; any other goes to the shard with the client's identity in front. */
static void push_ruled_run(struct io *io, struct conn *conn, struct span run, uint32_t frame_count,
                           uint32_t destination)
{
    struct span identity = identity_without_info(msg_span(conn->identity));
    struct msg *both;

    if (holds_may_publish(conn, destination)) {
        push_run(io, conn, msg_copy(&io->mem, run), frame_count, destination, 0);
        return;
    }
    both = msg_new(&io->mem, identity.bytes_count + run.bytes_count);
    if (both) {
        memcpy(both->bytes, identity.data, identity.bytes_count);
        memcpy(both->bytes + identity.bytes_count, run.data, run.bytes_count);
    }
    push_run(io, conn, both, frame_count, destination, identity.bytes_count);
}

void session_publish_run(struct io *io, struct conn *conn, struct span run, uint32_t frame_count)
{
    uint32_t destination = smq_load_u32(run.data + SMQ_HEADER_BYTES);
    uint32_t publisher = smq_load_u32(run.data + SMQ_HEADER_BYTES + 4);

    if (publisher != conn->etid) { /* (9) */
        session_protocol_error(io, conn, "corrupt frame");
        return;
    }
    if (conn->flags & CONN_RULED)
        push_ruled_run(io, conn, run, frame_count, destination);
    else
        push_run(io, conn, msg_copy(&io->mem, run), frame_count, destination, 0);
}

/* The pieces are whole: one Publish with the last piece's destination and sub-topic. */
static void publish_fragments(struct io *io, struct conn *conn, const struct smq_publish *last)
{
    struct input_part *part = &conn->input->fragment;
    uint32_t frame_bytes = SMQ_PUBLISH_HEADER_BYTES + part->used_bytes;
    struct msg *run = msg_new(&io->mem, frame_bytes);

    if (run) {
        smq_store_u16(run->bytes, (uint16_t)frame_bytes);
        run->bytes[SMQ_LENGTH_BYTES] = SMQ_PUBLISH;
        smq_store_u32(run->bytes + SMQ_HEADER_BYTES, last->destination);
        smq_store_u32(run->bytes + SMQ_HEADER_BYTES + 4, last->publisher);
        smq_store_u32(run->bytes + SMQ_HEADER_BYTES + 8, last->subtopic);
        if (part->used_bytes > 0)
            memcpy(run->bytes + SMQ_PUBLISH_HEADER_BYTES, part->data, part->used_bytes);
    }
    if (run && conn->flags & CONN_RULED) {
        push_ruled_run(io, conn, msg_span(run), 1, last->destination);
        msg_unref(&io->mem, run);
    } else {
        push_run(io, conn, run, 1, last->destination, 0);
    }
    input_clear(io, conn, part);
}

static void on_pubfrag(struct io *io, struct conn *conn, const struct smq_frame *frame)
{
    struct smq_publish piece = smq_publish_of(frame);

    if (conn->flags & CONN_WS) { /* §2.2: a WebSocket has fragments of its own */
        session_protocol_error(io, conn, "PubFrag on a WebSocket");
        return;
    }
    if (piece.publisher != conn->etid) {
        session_protocol_error(io, conn, "corrupt frame");
        return;
    }
    struct conn_input *input = input_of(io, conn);
    if (!input) {
        conn_close(io, conn, CLOSE_MEMORY);
        return;
    }
    if (input->fragment.used_bytes + piece.payload.bytes_count > SMQ_PAYLOAD_BYTES_MAX) {
        session_protocol_error(io, conn, "fragmented message too large");
        return;
    }
    if (!input_append(io, conn, &input->fragment, piece.payload)) {
        conn_close(io, conn, CLOSE_MEMORY);
        return;
    }
    if (piece.destination != SMQ_ID_NONE)
        publish_fragments(io, conn, &piece);
}

/* -- any frame -- */

static void on_live_frame(struct io *io, struct conn *conn, const struct smq_frame *frame)
{
    switch ((enum smq_packet)frame->type) {
    case SMQ_SUBSCRIBE:
    case SMQ_CREATE:
    case SMQ_CREATESUB:
        on_name(io, conn, frame);
        return;
    case SMQ_PUBLISH:
        session_publish_run(io, conn,
                            span_of(frame->body.data - SMQ_HEADER_BYTES, frame->bytes_count), 1);
        return;
    case SMQ_PUBFRAG:
        on_pubfrag(io, conn, frame);
        return;
    case SMQ_UNSUBSCRIBE:
        on_unsubscribe(io, conn, frame);
        return;
    case SMQ_OBSERVE:
        on_observe(io, conn, frame);
        return;
    case SMQ_UNOBSERVE:
        on_unobserve(io, conn, frame);
        return;
    case SMQ_PING:
        session_send(io, conn, SMQ_PONG, span_of(NULL, 0), span_of(NULL, 0));
        return;
    case SMQ_PONG:
        return; /* any byte is a sign of life; session_input noted it */
    case SMQ_DISCONNECT:
        conn_leave(io, conn, CLOSE_DISCONNECT, span_of(NULL, 0));
        return;
    case SMQ_CONNECT:
        session_protocol_error(io, conn, "already connected");
        return;
    case SMQ_INIT:
    case SMQ_CONNACK:
    case SMQ_SUBACK:
    case SMQ_CREATEACK:
    case SMQ_CHANGE:
    case SMQ_CREATESUBACK:
    case SMQ_PACKET_COUNT:
        break;
    }
    must_never("the decoder let a server's packet type through");
}

void session_frame(struct io *io, struct conn *conn, const struct smq_frame *frame)
{
    if (conn->state == CONN_LIVE)
        on_live_frame(io, conn, frame);
    else if (conn->state == CONN_GREETED && frame->type == SMQ_CONNECT)
        session_connect(io, conn, frame);
    else /* (18) anything but Connect before Connack */
        session_protocol_error(io, conn, "Connect expected");
}
