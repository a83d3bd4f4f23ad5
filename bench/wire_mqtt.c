/*
 * bench/wire_mqtt.c — MQTT 3.1.1 at QoS 0, as much of it as a bench needs.
 *
 * Packets are u8 type and flags | remaining length in 1..4 bytes of 7 bits | body.
 */
#include <stdio.h>

#include "bench/wire.h"

enum packet {
    PACKET_CONNECT = 0x10,
    PACKET_CONNACK = 0x20,
    PACKET_PUBLISH = 0x30,
    PACKET_SUBSCRIBE = 0x82, /* with its fixed flags */
    PACKET_SUBACK = 0x90,
    PACKET_PINGREQ = 0xC0,
    PACKET_PINGRESP = 0xD0,
    PACKET_DISCONNECT = 0xE0,
};

#define REMAINING_BYTES_MAX 4u
#define SUBACK_FAILURE      0x80u

/* Write @length in 7-bit groups, smallest first; returns how many bytes. */
static uint32_t remaining_write(uint8_t *at, uint32_t length)
{
    uint32_t bytes_count = 0;

    do {
        at[bytes_count] = (uint8_t)(length & 0x7F);
        length >>= 7;
        if (length > 0)
            at[bytes_count] |= 0x80;
        bytes_count++;
    } while (length > 0);
    must(bytes_count <= REMAINING_BYTES_MAX);
    return bytes_count;
}

static uint8_t *packet_begin(struct buffer *out, enum packet type, uint32_t body_bytes)
{
    uint8_t head[1 + REMAINING_BYTES_MAX] = {(uint8_t)type};

    buffer_append(out, head, 1 + remaining_write(head + 1, body_bytes));
    return buffer_extend(out, body_bytes);
}

static uint8_t *text_write(uint8_t *at, const char *text, uint32_t text_bytes)
{
    at[0] = (uint8_t)(text_bytes >> 8);
    at[1] = (uint8_t)text_bytes;
    memcpy(at + 2, text, text_bytes);
    return at + 2 + text_bytes;
}

static void mqtt_greet(struct wire *wire, struct buffer *out, const char *path)
{
    (void)path;
    char client_id[32];
    int length = snprintf(client_id, sizeof(client_id), "b%u-%u", wire->run, wire->client_index);
    uint32_t id_bytes = (uint32_t)length;
    uint8_t *at = packet_begin(out, PACKET_CONNECT, 6 + 1 + 1 + 2 + 2 + id_bytes);

    at = text_write(at, "MQTT", 4);
    *at++ = 4; /* protocol level: 3.1.1 */
    *at++ = 2; /* clean session */
    *at++ = 0; /* no keep-alive */
    *at++ = 0;
    (void)text_write(at, client_id, id_bytes);
}

/* PUBLISH at QoS 0: u16 length, topic, payload. */
static void publish_take(struct span body, struct wire_event *event)
{
    size_t topic_bytes =
        body.bytes_count >= 2 ? (size_t)body.data[0] << 8 | body.data[1] : body.bytes_count;

    if (body.bytes_count < 2 + topic_bytes) {
        wire_refuse(event, event->used_bytes, "a PUBLISH shorter than its topic");
        return;
    }
    event->kind = WIRE_MESSAGE;
    event->payload = span_skip(body, 2 + topic_bytes);
}

static void packet_take(uint8_t head, struct span body, struct wire_event *event)
{
    switch (head & 0xF0) {
    case PACKET_PUBLISH:
        publish_take(body, event);
        return;
    case PACKET_CONNACK:
        if (body.bytes_count < 2 || body.data[1] != 0)
            wire_refuse(event, event->used_bytes, "CONNACK refused the connection (code %u)",
                        body.bytes_count < 2 ? 0u : body.data[1]);
        else
            event->kind = WIRE_READY;
        return;
    case PACKET_SUBACK:
        if (body.bytes_count < 3 || body.data[2] == SUBACK_FAILURE)
            wire_refuse(event, event->used_bytes, "SUBACK refused the subscription");
        else
            event->kind = WIRE_SUBSCRIBED;
        return;
    case PACKET_PINGRESP:
        event->kind = WIRE_PONG;
        return;
    default:
        wire_refuse(event, event->used_bytes, "an MQTT packet 0x%02x we did not expect", head);
    }
}

static void mqtt_next(struct wire *wire, struct span input, struct buffer *out,
                      struct wire_event *event)
{
    uint32_t remaining = 0;
    uint32_t head_bytes = 1;

    (void)wire;
    (void)out;
    event->kind = WIRE_NEED_MORE;
    event->used_bytes = 0;
    for (;; head_bytes++) {
        if (head_bytes >= input.bytes_count)
            return;
        uint8_t group = input.data[head_bytes];
        remaining |= (uint32_t)(group & 0x7F) << (7 * (head_bytes - 1));
        if ((group & 0x80) == 0)
            break;
        if (head_bytes == REMAINING_BYTES_MAX) {
            wire_refuse(event, input.bytes_count, "an MQTT length of more than four bytes");
            return;
        }
    }
    head_bytes++;
    if (input.bytes_count - head_bytes < remaining)
        return;
    event->kind = WIRE_NOTHING;
    event->used_bytes = head_bytes + remaining;
    packet_take(input.data[0], span_of(input.data + head_bytes, remaining), event);
}

static void mqtt_subscribe(struct wire *wire, struct buffer *out, const struct wire_topic *topic)
{
    (void)wire;
    uint8_t *at = packet_begin(out, PACKET_SUBSCRIBE, 2 + 2 + topic->name_bytes + 1);

    *at++ = 0;
    *at++ = 1; /* packet id; SUBACKs come in order, so one id is enough */
    at = text_write(at, topic->name, topic->name_bytes);
    *at = 0; /* QoS 0 */
}

static void mqtt_ping(struct wire *wire, struct buffer *out)
{
    (void)wire;
    (void)packet_begin(out, PACKET_PINGREQ, 0);
}

static void mqtt_leave(struct wire *wire, struct buffer *out)
{
    (void)wire;
    (void)packet_begin(out, PACKET_DISCONNECT, 0);
}

static uint32_t mqtt_publish_head(const struct wire *wire, const struct wire_topic *topic,
                                  uint32_t topic_id, uint32_t payload_bytes, uint8_t *head)
{
    (void)wire;
    (void)topic_id;
    uint8_t *at = head;

    *at++ = PACKET_PUBLISH;
    at += remaining_write(at, 2 + topic->name_bytes + payload_bytes);
    at = text_write(at, topic->name, topic->name_bytes);
    return (uint32_t)(at - head);
}

const struct wire_protocol wire_mqtt = {
    .name = "mqtt",
    .port = 1883,
    .greet = mqtt_greet,
    .next = mqtt_next,
    .subscribe = mqtt_subscribe,
    .ping = mqtt_ping,
    .leave = mqtt_leave,
    .publish_head = mqtt_publish_head,
    .publish_tail = "",
    .publish_tail_bytes = 0,
};
