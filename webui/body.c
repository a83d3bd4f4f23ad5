/* webui/body.c — see webui/body.h. Thread: the web actor's. */
#include "webui/body.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/json_text.h"

#define FIRST_BYTES 4096u /* body and room for the head, at first */
static_assert(FIRST_BYTES > BODY_HEAD_BYTES_MAX, "some room for the body");

static void fail(struct body *body)
{
    body_drop(body);
    body->failed = true;
}

/* Room for @bytes_count more bytes; NULL: no memory. */
static uint8_t *room_for(struct body *body, size_t bytes_count)
{
    size_t needed = BODY_HEAD_BYTES_MAX + body->used_bytes + bytes_count;

    if (body->failed)
        return NULL;
    if (!body->msg) {
        body->msg = msg_new(body->mem, needed > FIRST_BYTES ? needed : FIRST_BYTES);
    } else if (needed > body->msg->bytes_count) {
        struct msg *grown = msg_resize(body->mem, body->msg, needed + needed / 2);

        if (!grown)
            fail(body);
        else
            body->msg = grown;
    }
    if (!body->msg) {
        fail(body);
        return NULL;
    }
    return body->msg->bytes + BODY_HEAD_BYTES_MAX + body->used_bytes;
}

void body_put(struct body *body, struct span bytes)
{
    uint8_t *room = room_for(body, bytes.bytes_count);

    if (!room)
        return;
    if (bytes.bytes_count > 0)
        memcpy(room, bytes.data, bytes.bytes_count);
    body->used_bytes += bytes.bytes_count;
}

uint8_t *body_reserve(struct body *body, size_t bytes_count)
{
    uint8_t *room = room_for(body, bytes_count);

    if (room)
        body->used_bytes += bytes_count;
    return room;
}

void body_put_text(struct body *body, const char *text)
{
    body_put(body, span_of(text, strlen(text)));
}

void body_printf(struct body *body, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int bytes_count = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    must(bytes_count >= 0);
    char *room = (char *)room_for(body, (size_t)bytes_count + 1); /* its zero is overwritten */

    if (!room)
        return;
    va_start(arguments, format);
    (void)vsnprintf(room, (size_t)bytes_count + 1, format, arguments);
    va_end(arguments);
    body->used_bytes += (size_t)bytes_count;
}

void body_put_json(struct body *body, struct span text)
{
    size_t used = 0;
    char *room = (char *)room_for(body, text.bytes_count * JSON_BYTES_PER_BYTE + 3);

    if (!room)
        return;
    room[used++] = '"';
    used += json_put_escaped(room + used, text);
    room[used++] = '"';
    body->used_bytes += used;
}

void body_put_json_text(struct body *body, const char *text)
{
    body_put_json(body, span_of(text, strlen(text)));
}

void body_put_base64(struct body *body, struct span bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t out_bytes = (bytes.bytes_count + 2) / 3 * 4;
    char *out = (char *)room_for(body, out_bytes);

    if (!out)
        return;
    for (size_t i = 0; i < bytes.bytes_count; i += 3) {
        size_t left = bytes.bytes_count - i;
        uint32_t bits = (uint32_t)bytes.data[i] << 16 |
                        (left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0) |
                        (left > 2 ? bytes.data[i + 2] : 0);

        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[bits & 63] : '=';
    }
    body->used_bytes += out_bytes;
}

struct span body_span(const struct body *body)
{
    return body->msg ? span_of(body->msg->bytes + BODY_HEAD_BYTES_MAX, body->used_bytes)
                     : span_of(NULL, 0);
}

struct msg *body_finish(struct body *body, struct span head)
{
    must(head.bytes_count <= BODY_HEAD_BYTES_MAX);
    if (!room_for(body, 0))
        return NULL;
    struct msg *msg = body->msg;
    size_t bytes_count = head.bytes_count + body->used_bytes;

    memcpy(msg->bytes, head.data, head.bytes_count);
    memmove(msg->bytes + head.bytes_count, msg->bytes + BODY_HEAD_BYTES_MAX, body->used_bytes);
    struct msg *exact = msg_resize(body->mem, msg, bytes_count);

    must(exact); /* it did not grow: there was room for the longest head */
    *body = body_of(body->mem);
    return exact;
}

void body_drop(struct body *body)
{
    msg_unref(body->mem, body->msg);
    *body = (struct body){.mem = body->mem};
}
