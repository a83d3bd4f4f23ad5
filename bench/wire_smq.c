/*
 * bench/wire_smq.c — SMQ over a raw connection, as a device speaks it: no HTTP response.
 *
 * Frames are u16 length | u8 type | body; SMQ protocol §2.1 and §3.
 */
#include <stdio.h>

#include "bench/wire.h"
#include "client/smq_wire.h"

#define UID_BYTES           12u /* "smqb", run, client index: unique on one host */
#define CONNECT_VERSION     2u
#define RECORD_BYTES_NO_MAX 0u /* we take records of any size */

enum stage { STAGE_INIT = 0, STAGE_CONNACK, STAGE_OPEN };

/* Begin a frame of @type with @body_bytes of body; returns where the body goes. */
static uint8_t *frame_begin(struct buffer *out, enum smq_packet type, uint32_t body_bytes)
{
    uint8_t *at = buffer_extend(out, SMQ_HEADER_BYTES + body_bytes);

    smq_store_u16(at, (uint16_t)(SMQ_HEADER_BYTES + body_bytes));
    at[SMQ_LENGTH_BYTES] = (uint8_t)type;
    return at + SMQ_HEADER_BYTES;
}

static void smq_greet(struct wire *wire, struct buffer *out, const char *path)
{
    wire->stage = STAGE_INIT;
    wire->self_id = SMQ_ID_NONE;
    buffer_printf(out, "GET %s HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n", path);
}

static void connect_send(const struct wire *wire, struct buffer *out)
{
    /* A UID and nothing else: what an MQTT client's CONNECT says too. */
    uint8_t *at = frame_begin(out, SMQ_CONNECT, 1 + 2 + 1 + UID_BYTES + 1);

    at[0] = CONNECT_VERSION;
    smq_store_u16(at + 1, RECORD_BYTES_NO_MAX);
    at[3] = UID_BYTES;
    memcpy(at + 4, "smqb", 4);
    smq_store_u32(at + 8, wire->run);
    smq_store_u32(at + 12, wire->client_index);
    at[4 + UID_BYTES] = 0; /* no credentials */
}

/* Fill @event from a whole frame whose body has its smallest size. */
static void frame_take(struct wire *wire, uint8_t type, struct span body, struct buffer *out,
                       struct wire_event *event)
{
    size_t used_bytes = event->used_bytes;

    switch (type) {
    case SMQ_PUBLISH:
        event->kind = WIRE_MESSAGE;
        event->payload = span_skip(body, SMQ_PUBLISH_HEADER_BYTES - SMQ_HEADER_BYTES);
        return;
    case SMQ_INIT:
        wire->stage = STAGE_CONNACK;
        connect_send(wire, out);
        return;
    case SMQ_CONNACK:
        if (body.data[0] != SMQ_CONNACK_ACCEPTED) {
            wire_refuse(event, used_bytes, "Connack %u: %.*s", body.data[0],
                        (int)(body.bytes_count - 5), (const char *)body.data + 5);
            return;
        }
        wire->stage = STAGE_OPEN;
        wire->self_id = smq_load_u32(body.data + 1);
        event->kind = WIRE_READY;
        return;
    case SMQ_SUBACK:
        if (body.data[0] != SMQ_ACK_OK) {
            wire_refuse(event, used_bytes, "the broker denied a subscription (status %u)",
                        body.data[0]);
            return;
        }
        event->kind = WIRE_SUBSCRIBED;
        event->topic_id = smq_load_u32(body.data + 1);
        event->topic_name = span_skip(body, 5);
        return;
    case SMQ_PING:
        (void)frame_begin(out, SMQ_PONG, 0);
        return;
    case SMQ_PONG:
        event->kind = WIRE_PONG;
        return;
    case SMQ_DISCONNECT:
        wire_refuse(event, used_bytes, "Disconnect: %.*s", (int)body.bytes_count,
                    (const char *)body.data);
        return;
    default:
        return; /* Change and the like: not ours to judge */
    }
}

static void smq_next(struct wire *wire, struct span input, struct buffer *out,
                     struct wire_event *event)
{
    static const uint8_t body_bytes_min[SMQ_PACKET_COUNT] = {
#define X(name, value, body_bytes_min, from) [value] = body_bytes_min,
        SMQ_PACKETS(X)
#undef X
    };

    event->kind = WIRE_NEED_MORE;
    event->used_bytes = 0;
    if (input.bytes_count < SMQ_HEADER_BYTES)
        return;
    if (wire->stage == STAGE_INIT && memcmp(input.data, "HT", 2) == 0) {
        wire_refuse(event, input.bytes_count,
                    "the server answered HTTP instead of SMQ: is --path right?");
        return;
    }

    uint16_t frame_bytes = smq_load_u16(input.data);
    if (frame_bytes < SMQ_HEADER_BYTES) {
        wire_refuse(event, input.bytes_count, "a frame of %u bytes", frame_bytes);
        return;
    }
    if (input.bytes_count < frame_bytes)
        return;

    uint8_t type = input.data[SMQ_LENGTH_BYTES];
    struct span body =
        span_of(input.data + SMQ_HEADER_BYTES, (size_t)(frame_bytes - SMQ_HEADER_BYTES));
    event->kind = WIRE_NOTHING;
    event->used_bytes = frame_bytes;
    if (type >= SMQ_PACKET_COUNT || body.bytes_count < body_bytes_min[type]) {
        wire_refuse(event, frame_bytes, "a malformed frame of type %u", type);
        return;
    }
    frame_take(wire, type, body, out, event);
}

static void smq_subscribe(struct wire *wire, struct buffer *out, const struct wire_topic *topic)
{
    (void)wire;
    memcpy(frame_begin(out, SMQ_SUBSCRIBE, topic->name_bytes), topic->name, topic->name_bytes);
}

static void smq_ping(struct wire *wire, struct buffer *out)
{
    (void)wire;
    (void)frame_begin(out, SMQ_PING, 0);
}

static void smq_leave(struct wire *wire, struct buffer *out)
{
    (void)wire;
    (void)frame_begin(out, SMQ_DISCONNECT, 0);
}

static uint32_t smq_publish_head(const struct wire *wire, const struct wire_topic *topic,
                                 uint32_t topic_id, uint32_t payload_bytes, uint8_t *head)
{
    (void)topic;
    must(payload_bytes <= SMQ_PAYLOAD_BYTES_MAX);
    smq_store_u16(head, (uint16_t)(SMQ_PUBLISH_HEADER_BYTES + payload_bytes));
    head[SMQ_LENGTH_BYTES] = SMQ_PUBLISH;
    smq_store_u32(head + SMQ_HEADER_BYTES, topic_id);
    smq_store_u32(head + SMQ_HEADER_BYTES + 4, wire->self_id);
    smq_store_u32(head + SMQ_HEADER_BYTES + 8, SMQ_ID_NONE); /* no sub-topic */
    return SMQ_PUBLISH_HEADER_BYTES;
}

const struct wire_protocol wire_smq = {
    .name = "smq",
    .port = 8080,
    .has_self_address = true,
    .greet = smq_greet,
    .next = smq_next,
    .subscribe = smq_subscribe,
    .ping = smq_ping,
    .leave = smq_leave,
    .publish_head = smq_publish_head,
    .publish_tail = "",
    .publish_tail_bytes = 0,
};
