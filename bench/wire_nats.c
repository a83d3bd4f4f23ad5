/*
 * bench/wire_nats.c — the NATS client protocol: lines of text, and a payload after MSG.
 *
 * Ready is the PONG to the PING that follows CONNECT; a subscription is in force at the PONG to
 * the PING that follows SUB (verbose mode would cost an answer for every publish).
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/wire.h"

enum stage { STAGE_CONNECT = 0, STAGE_OPEN };

static const char ping_line[] = "PING\r\n";

static void nats_greet(struct wire *wire, struct buffer *out, const char *path)
{
    (void)path;
    wire->stage = STAGE_CONNECT;
    wire->ack_count = 0;
    buffer_printf(out,
                  "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\","
                  "\"version\":\"1\",\"name\":\"smqbench\",\"protocol\":1}\r\n%s",
                  ping_line);
}

static void pong_take(struct wire *wire, struct wire_event *event)
{
    if (wire->stage == STAGE_CONNECT) {
        wire->stage = STAGE_OPEN;
        event->kind = WIRE_READY;
    } else if (wire->ack_count > 0) {
        wire->ack_count--;
        event->kind = WIRE_SUBSCRIBED;
    } else {
        event->kind = WIRE_PONG;
    }
}

/* "MSG subject sid [reply] bytes": the payload's length is the last word. */
static void msg_take(struct span input, struct span line, struct wire_event *event)
{
    size_t at = line.bytes_count;
    size_t payload_bytes = 0;
    size_t weight = 1;

    while (at > 0 && line.data[at - 1] >= '0' && line.data[at - 1] <= '9') {
        payload_bytes += (size_t)(line.data[at - 1] - '0') * weight;
        weight *= 10;
        at--;
    }
    size_t head_bytes = line.bytes_count + 2;
    size_t whole_bytes = head_bytes + payload_bytes + 2;
    if (input.bytes_count < whole_bytes)
        return; /* still WIRE_NEED_MORE */
    event->kind = WIRE_MESSAGE;
    event->used_bytes = whole_bytes;
    event->payload = span_of(input.data + head_bytes, payload_bytes);
}

static bool line_begins(struct span line, const char *word)
{
    size_t bytes_count = strlen(word);

    return line.bytes_count >= bytes_count && memcmp(line.data, word, bytes_count) == 0;
}

static void nats_next(struct wire *wire, struct span input, struct buffer *out,
                      struct wire_event *event)
{
    struct span line = wire_line(input);

    event->kind = WIRE_NEED_MORE;
    event->used_bytes = 0;
    if (line.data == NULL)
        return;
    if (line_begins(line, "MSG ")) {
        msg_take(input, line, event);
        return;
    }

    event->kind = WIRE_NOTHING;
    event->used_bytes = line.bytes_count + 2;
    if (line_begins(line, "PONG")) {
        pong_take(wire, event);
    } else if (line_begins(line, "PING")) {
        buffer_append(out, "PONG\r\n", 6);
    } else if (line_begins(line, "-ERR")) {
        wire_refuse(event, event->used_bytes, "%.*s", (int)min_size(line.bytes_count, 80),
                    (const char *)line.data);
    } else if (!line_begins(line, "INFO") && !line_begins(line, "+OK")) {
        wire_refuse(event, event->used_bytes, "not NATS: \"%.*s\"",
                    (int)min_size(line.bytes_count, 60), (const char *)line.data);
    }
}

static void nats_ping(struct wire *wire, struct buffer *out)
{
    (void)wire;
    buffer_append(out, ping_line, sizeof(ping_line) - 1);
}

static void nats_subscribe(struct wire *wire, struct buffer *out, const struct wire_topic *topic)
{
    wire->ack_count++;
    wire->subscription_id++; /* a second SUB with the same id would replace the first */
    buffer_printf(out, "SUB %s %u\r\n", topic->name, wire->subscription_id);
    nats_ping(wire, out);
}

static void nats_leave(struct wire *wire, struct buffer *out)
{
    (void)wire;
    (void)out; /* NATS clients just close */
}

static uint32_t nats_publish_head(const struct wire *wire, const struct wire_topic *topic,
                                  uint32_t topic_id, uint32_t payload_bytes, uint8_t *head)
{
    (void)wire;
    (void)topic_id;
    int length =
        snprintf((char *)head, WIRE_HEAD_BYTES_MAX, "PUB %s %u\r\n", topic->name, payload_bytes);

    must(length > 0 && length < (int)WIRE_HEAD_BYTES_MAX);
    return (uint32_t)length;
}

const struct wire_protocol wire_nats = {
    .name = "nats",
    .port = 4222,
    .is_greeting_plain = true,
    .greet = nats_greet,
    .next = nats_next,
    .subscribe = nats_subscribe,
    .ping = nats_ping,
    .leave = nats_leave,
    .publish_head = nats_publish_head,
    .publish_tail = "\r\n",
    .publish_tail_bytes = 2,
};
