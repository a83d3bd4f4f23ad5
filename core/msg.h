/*
 * core/msg.h — an immutable, shared piece of bytes: what envelopes carry between threads.
 *
 * A msg is written once by the actor that makes it and never changes after it was first pushed.
 * It holds either a run of raw SMQ frames, back to back as they came from the wire (a run: all
 * Publishes of one publisher to one destination), or a name, or a client's identity.
 *
 * Each holder has one reference. The last one frees it, on whichever thread that is.
 */
#pragma once

#include <stdatomic.h>

#include "core/mem.h"

struct msg {
    _Atomic uint32_t ref_count;
    uint32_t bytes_count;
    uint8_t bytes[];
};

/* Gives one reference. The caller fills bytes[] before sharing it. NULL: over the memory limit. */
MUST_CHECK struct msg *msg_new(struct mem *mem, size_t bytes_count);

/* The same with a copy of @bytes. */
MUST_CHECK struct msg *msg_copy(struct mem *mem, struct span bytes);

/* Grow or shrink a msg that nobody else holds yet. On NULL the old one is untouched. */
MUST_CHECK struct msg *msg_resize(struct mem *mem, struct msg *msg, size_t bytes_count);

/* One more holder. Any thread that holds a reference. */
static inline struct msg *msg_ref(struct msg *msg)
{
    atomic_fetch_add_explicit(&msg->ref_count, 1, memory_order_relaxed);
    return msg;
}

/* @count more holders at once, for a fan-out. */
static inline void msg_ref_many(struct msg *msg, uint32_t count)
{
    atomic_fetch_add_explicit(&msg->ref_count, count, memory_order_relaxed);
}

/* Takes one reference; NULL is fine. Any thread, with its own account. */
void msg_unref(struct mem *mem, struct msg *msg);

static inline struct span msg_span(const struct msg *msg)
{
    return span_of(msg->bytes, msg->bytes_count);
}
