/*
 * bench/wire_smq.c — SMQ over a raw connection, as a device speaks it: no HTTP response; and over
 * WebSocket, as a browser does.
 *
 * Raw frames are u16 length | u8 type | body; SMQ protocol §2.1 and §3. A WebSocket message is the
 * same without the length (§2.2). A client's frames are masked with a random key, so that a proxy
 * cannot be led to take them for something else; there is no proxy here, and a key of zero, which
 * is as valid, spares the generator the work. The server cannot tell, and unmasks all the same.
 */
#include <stdio.h>

#include "bench/wire.h"
#include "client/smq_wire.h"

#define UID_BYTES           12u /* "smqb", run, client index: unique on one host */
#define CONNECT_VERSION     2u
#define RECORD_BYTES_NO_MAX 0u /* we take records of any size */
#define PUBLISH_IDS_BYTES   (SMQ_PUBLISH_HEADER_BYTES - SMQ_HEADER_BYTES)

/* RFC 6455 §5.2 */
#define WS_FINAL_BINARY 0x82u
#define WS_FINAL_CLOSE  0x88u
#define WS_FINAL_PING   0x89u
#define WS_FINAL_PONG   0x8Au
#define WS_MASKED       0x80u
#define WS_LENGTH_IS_16 126u
#define WS_MASK_BYTES   4u

/* The key of the RFC's own example, and what a server must make of it (§1.3). */
#define WS_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum stage { STAGE_INIT = 0, STAGE_CONNACK, STAGE_OPEN, STAGE_UPGRADE };

/* Write a WebSocket header for @payload_bytes, masked with zero. Returns its length. */
static uint32_t ws_header(uint8_t *at, uint8_t first, uint32_t payload_bytes)
{
    uint32_t bytes_count = 2;

    must(payload_bytes <= UINT16_MAX);
    at[0] = first;
    if (payload_bytes < WS_LENGTH_IS_16) {
        at[1] = (uint8_t)(WS_MASKED | payload_bytes);
    } else {
        at[1] = WS_MASKED | WS_LENGTH_IS_16;
        smq_store_u16(at + 2, (uint16_t)payload_bytes);
        bytes_count += 2;
    }
    memset(at + bytes_count, 0, WS_MASK_BYTES);
    return bytes_count + WS_MASK_BYTES;
}

/* Write what precedes @body_bytes of body in a packet of @type. Returns how many bytes. */
static uint32_t packet_head(const struct wire *wire, uint8_t *at, enum smq_packet type,
                            uint32_t body_bytes)
{
    if (!wire->is_ws) {
        smq_store_u16(at, (uint16_t)(SMQ_HEADER_BYTES + body_bytes));
        at[SMQ_LENGTH_BYTES] = (uint8_t)type;
        return SMQ_HEADER_BYTES;
    }
    uint32_t header_bytes = ws_header(at, WS_FINAL_BINARY, 1 + body_bytes);

    at[header_bytes] = (uint8_t)type;
    return header_bytes + 1;
}

/* Begin a packet of @type with @body_bytes of body; returns where the body goes. */
static uint8_t *packet_begin(const struct wire *wire, struct buffer *out, enum smq_packet type,
                             uint32_t body_bytes)
{
    uint8_t head[WIRE_HEAD_BYTES_MAX];

    buffer_append(out, head, packet_head(wire, head, type, body_bytes));
    return buffer_extend(out, body_bytes);
}

static void smq_greet(struct wire *wire, struct buffer *out, const char *path)
{
    wire->stage = STAGE_INIT;
    wire->self_id = SMQ_ID_NONE;
    buffer_printf(out, "GET %s HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n", path);
}

static void ws_greet(struct wire *wire, struct buffer *out, const char *path)
{
    wire->is_ws = true;
    wire->stage = STAGE_UPGRADE;
    wire->self_id = SMQ_ID_NONE;
    buffer_printf(out,
                  "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: " WS_KEY "\r\n\r\n",
                  path);
}

static void connect_send(const struct wire *wire, struct buffer *out)
{
    /* A UID and nothing else: what an MQTT client's CONNECT says too. */
    uint8_t *at = packet_begin(wire, out, SMQ_CONNECT, 1 + 2 + 1 + UID_BYTES + 1);

    at[0] = CONNECT_VERSION;
    smq_store_u16(at + 1, RECORD_BYTES_NO_MAX);
    at[3] = UID_BYTES;
    memcpy(at + 4, "smqb", 4);
    smq_store_u32(at + 8, wire->run);
    smq_store_u32(at + 12, wire->client_index);
    at[4 + UID_BYTES] = 0; /* no credentials */
}

/* Fill @event from a whole packet whose body has its smallest size. */
static void packet_judge(struct wire *wire, uint8_t type, struct span body, struct buffer *out,
                         struct wire_event *event)
{
    size_t used_bytes = event->used_bytes;

    switch (type) {
    case SMQ_PUBLISH:
        event->kind = WIRE_MESSAGE;
        event->payload = span_skip(body, PUBLISH_IDS_BYTES);
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
        (void)packet_begin(wire, out, SMQ_PONG, 0);
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

/* The same, of any packet; @event says how many bytes it used. */
static void packet_take(struct wire *wire, uint8_t type, struct span body, struct buffer *out,
                        struct wire_event *event)
{
    static const uint8_t body_bytes_min[SMQ_PACKET_COUNT] = {
#define X(name, value, body_bytes_min, from) [value] = body_bytes_min,
        SMQ_PACKETS(X)
#undef X
    };

    event->kind = WIRE_NOTHING;
    if (type >= SMQ_PACKET_COUNT || body.bytes_count < body_bytes_min[type])
        wire_refuse(event, event->used_bytes, "a malformed frame of type %u", type);
    else
        packet_judge(wire, type, body, out, event);
}

static void smq_next(struct wire *wire, struct span input, struct buffer *out,
                     struct wire_event *event)
{
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

    event->used_bytes = frame_bytes;
    packet_take(wire, input.data[SMQ_LENGTH_BYTES],
                span_of(input.data + SMQ_HEADER_BYTES, (size_t)(frame_bytes - SMQ_HEADER_BYTES)),
                out, event);
}

/* The answer to our upgrade. */
static void upgrade_take(struct wire *wire, struct span input, struct wire_event *event)
{
    const char *text = (const char *)input.data;
    const char *end = input.bytes_count > 0 ? memmem(text, input.bytes_count, "\r\n\r\n", 4) : NULL;

    if (end == NULL)
        return; /* a server that never ends its head is noticed by its silence */
    size_t head_bytes = (size_t)(end - text) + 4;

    if (head_bytes < 12 || memcmp(text, "HTTP/1.1 101", 12) != 0) {
        struct span line = wire_line(input);

        wire_refuse(event, head_bytes, "no upgrade to WebSocket: %.*s", (int)line.bytes_count,
                    (const char *)line.data);
        return;
    }
    if (memmem(text, head_bytes, WS_ACCEPT, strlen(WS_ACCEPT)) == NULL) {
        wire_refuse(event, head_bytes, "a WebSocket server that does not know our key");
        return;
    }
    wire->stage = STAGE_INIT;
    event->kind = WIRE_NOTHING;
    event->used_bytes = head_bytes;
}

/* A control frame, or one that no SMQ server sends. */
static void ws_control(uint8_t first, struct span payload, struct buffer *out,
                       struct wire_event *event)
{
    uint8_t header[2 + WS_MASK_BYTES];

    event->kind = WIRE_NOTHING;
    switch (first) {
    case WS_FINAL_PING:
        buffer_append(out, header, ws_header(header, WS_FINAL_PONG, (uint32_t)payload.bytes_count));
        buffer_append(out, payload.data, payload.bytes_count);
        return;
    case WS_FINAL_PONG:
        return;
    case WS_FINAL_CLOSE:
        wire_refuse(event, event->used_bytes, "Close %u",
                    payload.bytes_count >= 2 ? smq_load_u16(payload.data) : 1005);
        return;
    default:
        wire_refuse(event, event->used_bytes, "a WebSocket frame that begins with %02x", first);
    }
}

static void ws_next(struct wire *wire, struct span input, struct buffer *out,
                    struct wire_event *event)
{
    event->kind = WIRE_NEED_MORE;
    event->used_bytes = 0;
    if (wire->stage == STAGE_UPGRADE) {
        upgrade_take(wire, input, event);
        return;
    }
    if (input.bytes_count < 2)
        return;
    uint32_t header_bytes = 2;
    uint32_t payload_bytes = input.data[1];

    if (payload_bytes > WS_LENGTH_IS_16) { /* masked, or longer than an SMQ message can be */
        wire_refuse(event, input.bytes_count, "a WebSocket length of %02x", payload_bytes);
        return;
    }
    if (payload_bytes == WS_LENGTH_IS_16) {
        header_bytes = 4;
        if (input.bytes_count < header_bytes)
            return;
        payload_bytes = smq_load_u16(input.data + 2);
    }
    if (input.bytes_count < header_bytes + payload_bytes)
        return;
    struct span payload = span_of(input.data + header_bytes, payload_bytes);

    event->used_bytes = header_bytes + payload_bytes;
    if (input.data[0] == WS_FINAL_BINARY && payload_bytes > 0)
        packet_take(wire, payload.data[0], span_skip(payload, 1), out, event);
    else
        ws_control(input.data[0], payload, out, event);
}

static void smq_subscribe(struct wire *wire, struct buffer *out, const struct wire_topic *topic)
{
    memcpy(packet_begin(wire, out, SMQ_SUBSCRIBE, topic->name_bytes), topic->name,
           topic->name_bytes);
}

static void smq_ping(struct wire *wire, struct buffer *out)
{
    (void)packet_begin(wire, out, SMQ_PING, 0);
}

static void smq_leave(struct wire *wire, struct buffer *out)
{
    (void)packet_begin(wire, out, SMQ_DISCONNECT, 0);
}

static uint32_t smq_publish_head(const struct wire *wire, const struct wire_topic *topic,
                                 uint32_t topic_id, uint32_t payload_bytes, uint8_t *head)
{
    (void)topic;
    must(payload_bytes <= SMQ_PAYLOAD_BYTES_MAX);
    uint32_t bytes_count = packet_head(wire, head, SMQ_PUBLISH, PUBLISH_IDS_BYTES + payload_bytes);

    smq_store_u32(head + bytes_count, topic_id);
    smq_store_u32(head + bytes_count + 4, wire->self_id);
    smq_store_u32(head + bytes_count + 8, SMQ_ID_NONE); /* no sub-topic */
    return bytes_count + PUBLISH_IDS_BYTES;
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

const struct wire_protocol wire_smq_ws = {
    .name = "smq over WebSocket",
    .port = 8080,
    .has_self_address = true,
    .greet = ws_greet,
    .next = ws_next,
    .subscribe = smq_subscribe,
    .ping = smq_ping,
    .leave = smq_leave,
    .publish_head = smq_publish_head,
    .publish_tail = "",
    .publish_tail_bytes = 0,
};
