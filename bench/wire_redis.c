/*
 * bench/wire_redis.c — Redis pub/sub over RESP3.
 *
 * RESP3 (Redis 6 and later) rather than RESP2, because there a connection that subscribed may
 * still publish and ping, which a caller in `rpc` does.
 *
 *   push       >3 CRLF  $7 CRLF message CRLF  $n CRLF channel CRLF  $n CRLF payload CRLF
 *   replies    :1 (receivers of a PUBLISH), +PONG, %7 ... (the answer to HELLO)
 */
#include <stdio.h>

#include "bench/wire.h"

#define CRLF_BYTES 2u
/* Elements in one reply; HELLO's has under 30. More means we lost our place in the stream. */
#define ELEMENTS_MAX 256u

enum stage { STAGE_HELLO = 0, STAGE_OPEN };

static void redis_greet(struct wire *wire, struct buffer *out, const char *path)
{
    (void)path;
    wire->stage = STAGE_HELLO;
    buffer_printf(out, "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
}

/* One element of RESP at the front of an input: its kind, its number or length, its text. */
struct element {
    char kind;          /* the first byte */
    uint64_t number;    /* after it, when it is a number; for $ the length */
    struct span text;   /* for $: the string; else the rest of the line */
    size_t whole_bytes; /* with its CRLFs; 0: not all of it is here yet */
};

static void element_read(struct span input, struct element *element)
{
    struct span line = wire_line(input);

    element->whole_bytes = 0;
    if (line.data == NULL || line.bytes_count == 0)
        return;
    element->kind = (char)line.data[0];
    element->text = span_skip(line, 1);
    element->number = 0;
    for (size_t i = 1; i < line.bytes_count && line.data[i] >= '0' && line.data[i] <= '9'; i++)
        element->number = element->number * 10 + (uint64_t)(line.data[i] - '0');
    size_t head_bytes = line.bytes_count + CRLF_BYTES;
    bool is_string = element->kind == '$' && line.bytes_count > 1 && line.data[1] != '-';
    if (!is_string) {
        element->whole_bytes = head_bytes;
        return;
    }
    if (input.bytes_count < head_bytes + element->number + CRLF_BYTES)
        return;
    element->text = span_of(input.data + head_bytes, element->number);
    element->whole_bytes = head_bytes + element->number + CRLF_BYTES;
}

/* How many elements follow one of these as its children. */
static uint64_t element_child_count(const struct element *element)
{
    switch (element->kind) {
    case '*':
    case '>':
    case '~':
        return element->number;
    case '%':
        return 2 * element->number;
    default:
        return 0;
    }
}

/* The bytes of a whole reply with all its children; 0 when more must come; SIZE_MAX: nonsense. */
static size_t reply_bytes(struct span input)
{
    uint64_t left_count = 1;
    size_t used_bytes = 0;

    while (left_count > 0) {
        struct element element;

        element_read(span_skip(input, used_bytes), &element);
        if (element.whole_bytes == 0)
            return 0;
        used_bytes += element.whole_bytes;
        left_count += element_child_count(&element) - 1;
        if (left_count > ELEMENTS_MAX)
            return SIZE_MAX;
    }
    return used_bytes;
}

/* A push of three: ("message", channel, payload) or ("subscribe", channel, count). */
static void push_take(struct span input, size_t head_bytes, struct wire_event *event)
{
    struct element word;
    struct element channel;
    struct element last;
    size_t used_bytes = head_bytes;

    element_read(span_skip(input, used_bytes), &word);
    if (word.whole_bytes == 0)
        return;
    used_bytes += word.whole_bytes;
    element_read(span_skip(input, used_bytes), &channel);
    if (channel.whole_bytes == 0)
        return;
    used_bytes += channel.whole_bytes;
    element_read(span_skip(input, used_bytes), &last);
    if (last.whole_bytes == 0)
        return;
    event->used_bytes = used_bytes + last.whole_bytes;
    event->payload = last.text;
    event->kind = word.text.bytes_count == 7 && memcmp(word.text.data, "message", 7) == 0
                      ? WIRE_MESSAGE
                      : WIRE_SUBSCRIBED;
}

static void redis_next(struct wire *wire, struct span input, struct buffer *out,
                       struct wire_event *event)
{
    struct element element;

    (void)out;
    event->kind = WIRE_NEED_MORE;
    event->used_bytes = 0;
    element_read(input, &element);
    if (element.whole_bytes == 0)
        return;
    if (element.kind == '>' && element.number == 3) {
        push_take(input, element.whole_bytes, event);
        return;
    }
    size_t used_bytes = reply_bytes(input);
    if (used_bytes == 0)
        return;
    event->kind = WIRE_NOTHING;
    event->used_bytes = used_bytes;
    if (element.kind == '-') {
        wire_refuse(event, used_bytes, "redis: %.*s", (int)min_size(element.text.bytes_count, 80),
                    (const char *)element.text.data);
    } else if (used_bytes == SIZE_MAX) {
        wire_refuse(event, input.bytes_count, "a redis reply of more than %u elements",
                    ELEMENTS_MAX);
    } else if (wire->stage == STAGE_HELLO) {
        wire->stage = STAGE_OPEN;
        event->kind = WIRE_READY;
    } else if (element.kind == '+') {
        event->kind = WIRE_PONG;
    }
}

static void redis_subscribe(struct wire *wire, struct buffer *out, const struct wire_topic *topic)
{
    (void)wire;
    buffer_printf(out, "*2\r\n$9\r\nSUBSCRIBE\r\n$%u\r\n%s\r\n", topic->name_bytes, topic->name);
}

static void redis_ping(struct wire *wire, struct buffer *out)
{
    (void)wire;
    buffer_printf(out, "*1\r\n$4\r\nPING\r\n");
}

static void redis_leave(struct wire *wire, struct buffer *out)
{
    (void)wire;
    (void)out; /* redis clients just close */
}

static uint32_t redis_publish_head(const struct wire *wire, const struct wire_topic *topic,
                                   uint32_t topic_id, uint32_t payload_bytes, uint8_t *head)
{
    (void)wire;
    (void)topic_id;
    int length =
        snprintf((char *)head, WIRE_HEAD_BYTES_MAX, "*3\r\n$7\r\nPUBLISH\r\n$%u\r\n%s\r\n$%u\r\n",
                 topic->name_bytes, topic->name, payload_bytes);

    must(length > 0 && length < (int)WIRE_HEAD_BYTES_MAX);
    return (uint32_t)length;
}

const struct wire_protocol wire_redis = {
    .name = "redis",
    .port = 6379,
    .greet = redis_greet,
    .next = redis_next,
    .subscribe = redis_subscribe,
    .ping = redis_ping,
    .leave = redis_leave,
    .publish_head = redis_publish_head,
    .publish_tail = "\r\n",
    .publish_tail_bytes = 2,
};
