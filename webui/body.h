/*
 * webui/body.h — a response that grows: its body first, then the head in front, in one message.
 *
 *      [ room for the head | body, as it is put ]   --body_finish-->   [ head | body ]
 *
 * A list of 20,000 devices is several megabytes; so it is written where it will be sent from.
 * Running out of memory is remembered, and told once, by body_finish().
 *
 * Thread: the web actor's. Owns the message until body_finish() or body_drop().
 */
#pragma once

#include "core/msg.h"

#define BODY_HEAD_BYTES_MAX 2048u

struct body {
    struct mem *mem;
    struct msg *msg; /* NULL: nothing was put yet, or there was no memory */
    size_t used_bytes;
    bool failed;
};

static inline struct body body_of(struct mem *mem)
{
    return (struct body){.mem = mem};
}

void body_put(struct body *body, struct span bytes);
/* Put @bytes_count bytes that the caller writes, at once. NULL: no memory. */
MUST_CHECK uint8_t *body_reserve(struct body *body, size_t bytes_count);

void body_put_text(struct body *body, const char *text);
void body_printf(struct body *body, const char *format, ...) PRINTF(2, 3);

/* @text as a JSON string, quotes and all. Bytes that are not ASCII become \u00XX, as everywhere. */
void body_put_json(struct body *body, struct span text);
void body_put_json_text(struct body *body, const char *text);

static inline size_t body_bytes(const struct body *body)
{
    return body->used_bytes;
}

/* Without line breaks. */
void body_put_base64(struct body *body, struct span bytes);

/* What was put so far. */
struct span body_span(const struct body *body);

/**
 * Put @head (at most BODY_HEAD_BYTES_MAX) in front.
 *
 * Gives:   the message, of exactly these bytes; the body is empty again.
 * Returns: NULL when there was no memory, now or before.
 */
MUST_CHECK struct msg *body_finish(struct body *body, struct span head);

/* Forget it all. */
void body_drop(struct body *body);
