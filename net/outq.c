/* net/outq.c — see net/outq.h. Thread: the I/O actor's. */
#include "net/outq.h"

#include <string.h>

#include "client/smq_wire.h"
#include "core/limits.h"
#include "net/ws_codec.h"

/* A quiet connection's chunk is small, a busy one's grows with its queue. */
#define CHUNK_BYTES_MIN 256u
#define CHUNK_BYTES_MAX 16384u

static const uint8_t *chunk_bytes(const struct out_chunk *chunk)
{
    return chunk->shared ? chunk->shared->bytes : chunk->data;
}

static void chunk_free(struct mem *mem, struct out_chunk *chunk)
{
    msg_unref(mem, chunk->shared);
    mem_free(mem, MEM_OUTPUT, chunk, sizeof(*chunk) + chunk->capacity);
}

static struct out_chunk *head_of(const struct outq *out)
{
    return out->tail ? out->tail->next : NULL;
}

/* The chunk behind @chunk, or NULL behind the last. */
static struct out_chunk *next_of(const struct outq *out, const struct out_chunk *chunk)
{
    return chunk == out->tail ? NULL : chunk->next;
}

static struct out_chunk *chunk_new(struct mem *mem, uint32_t capacity)
{
    struct out_chunk *chunk = mem_alloc(mem, MEM_OUTPUT, sizeof(*chunk) + capacity);

    if (chunk)
        *chunk = (struct out_chunk){.capacity = capacity};
    return chunk;
}

static void link_last(struct outq *out, struct out_chunk *chunk)
{
    if (out->tail) {
        chunk->next = out->tail->next;
        out->tail->next = chunk;
    } else {
        chunk->next = chunk;
    }
    out->tail = chunk;
}

static uint32_t capacity_for(const struct outq *out, size_t bytes_count)
{
    uint32_t capacity = CHUNK_BYTES_MIN - (uint32_t)sizeof(struct out_chunk) - 8;

    if (out->queued_bytes > CHUNK_BYTES_MIN)
        capacity = min_u32(out->queued_bytes * 2, CHUNK_BYTES_MAX - sizeof(struct out_chunk) - 8);
    return bytes_count > capacity ? (uint32_t)bytes_count : capacity;
}

bool outq_append(struct outq *out, struct mem *mem, struct span bytes)
{
    struct out_chunk *tail = out->tail;

    must(bytes.bytes_count > 0 && bytes.bytes_count <= UINT32_MAX / 4);
    if (!tail || tail->shared || tail->capacity - tail->end < bytes.bytes_count) {
        tail = chunk_new(mem, capacity_for(out, bytes.bytes_count));
        if (!tail)
            return false;
        link_last(out, tail);
    }
    memcpy(tail->data + tail->end, bytes.data, bytes.bytes_count);
    tail->end += (uint32_t)bytes.bytes_count;
    out->queued_bytes += (uint32_t)bytes.bytes_count;
    return true;
}

bool outq_append_shared(struct outq *out, struct mem *mem, struct msg *msg, uint32_t start,
                        uint32_t end)
{
    must(start < end && end <= msg->bytes_count);
    struct out_chunk *chunk = chunk_new(mem, 0);

    if (!chunk)
        return false;
    chunk->shared = msg_ref(msg);
    chunk->start = start;
    chunk->end = end;
    link_last(out, chunk);
    out->queued_bytes += end - start;
    return true;
}

uint8_t *outq_reserve(struct outq *out, struct mem *mem, uint32_t bytes_max)
{
    struct out_chunk *tail = out->tail;

    if (!tail || tail->shared || tail->capacity - tail->end < bytes_max) {
        tail = chunk_new(mem, bytes_max);
        if (!tail)
            return NULL;
        link_last(out, tail);
    }
    return tail->data + tail->end;
}

/* Take out the chunk behind @previous and free it. */
static void unlink_after(struct outq *out, struct mem *mem, struct out_chunk *previous)
{
    struct out_chunk *chunk = previous->next;

    previous->next = chunk->next;
    if (chunk == previous)
        out->tail = NULL;
    else if (chunk == out->tail)
        out->tail = previous;
    chunk_free(mem, chunk);
}

void outq_commit(struct outq *out, struct mem *mem, uint32_t bytes_count)
{
    struct out_chunk *tail = out->tail;

    must(tail && bytes_count <= tail->capacity - tail->end);
    tail->end += bytes_count;
    out->queued_bytes += bytes_count;
    if (tail->start < tail->end)
        return;
    struct out_chunk *previous = tail; /* an empty chunk would be an empty iovec */

    while (previous->next != tail)
        previous = previous->next;
    unlink_after(out, mem, previous);
}

uint32_t outq_gather(struct outq *out, struct iovec *iovecs, uint32_t room)
{
    uint32_t count = 0;

    must(out->in_flight_bytes == 0);
    for (struct out_chunk *chunk = head_of(out); chunk && count < room;
         chunk = next_of(out, chunk)) {
        uint32_t bytes_count = chunk->end - chunk->start;

        iovecs[count++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)(chunk_bytes(chunk) + chunk->start),
                           .iov_len = bytes_count};
        out->in_flight_bytes += bytes_count;
    }
    return count;
}

static void unlink_first(struct outq *out, struct mem *mem)
{
    unlink_after(out, mem, out->tail);
}

void outq_sent(struct outq *out, struct mem *mem, uint32_t sent_bytes)
{
    bool is_short = sent_bytes < out->in_flight_bytes;

    must(sent_bytes <= out->in_flight_bytes);
    out->in_flight_bytes = 0;
    out->queued_bytes -= sent_bytes;
    while (sent_bytes > 0) {
        struct out_chunk *chunk = head_of(out);
        uint32_t step = min_u32(sent_bytes, chunk->end - chunk->start);

        chunk->start += step;
        sent_bytes -= step;
        if (chunk->start == chunk->end)
            unlink_first(out, mem);
    }
    if (out->tail) /* whole chunks, or what was in them, are given to the kernel: whole frames */
        head_of(out)->is_cut = is_short;
}

uint32_t framed_bytes(const uint8_t *frame, enum framing framing)
{
    return framing == FRAMING_WS ? (uint32_t)ws_server_frame_bytes(frame) : smq_load_u16(frame);
}

bool framed_is_publish(const uint8_t *frame, enum framing framing)
{
    return (framing == FRAMING_WS ? ws_server_frame_type(frame) : frame[SMQ_LENGTH_BYTES]) ==
           SMQ_PUBLISH;
}

/* What a walk over one chunk's frames found. */
struct chunk_survey {
    uint32_t publish_count;
    uint32_t kept_bytes; /* frames that are not Publishes */
};

static struct chunk_survey survey(const struct out_chunk *chunk, enum framing framing)
{
    const uint8_t *bytes = chunk_bytes(chunk);
    struct chunk_survey found = {0};

    for (uint32_t at = chunk->start, frame_bytes; at < chunk->end; at += frame_bytes) {
        frame_bytes = framed_bytes(bytes + at, framing);
        if (framed_is_publish(bytes + at, framing))
            found.publish_count++;
        else
            found.kept_bytes += frame_bytes;
    }
    return found;
}

/* Advance past leading Publishes until @bytes_wanted are free. */
static uint32_t drop_leading(struct out_chunk *chunk, enum framing framing, uint32_t bytes_wanted,
                             uint32_t *freed_bytes)
{
    const uint8_t *bytes = chunk_bytes(chunk);
    uint32_t dropped_count = 0;

    while (chunk->start < chunk->end && *freed_bytes < bytes_wanted &&
           framed_is_publish(bytes + chunk->start, framing)) {
        uint32_t frame_bytes = framed_bytes(bytes + chunk->start, framing);

        chunk->start += frame_bytes;
        *freed_bytes += frame_bytes;
        dropped_count++;
    }
    return dropped_count;
}

/* Squeeze the Publishes out of a chunk that also holds other frames (only copied chunks do). */
static void keep_others(struct out_chunk *chunk, enum framing framing)
{
    uint32_t to = chunk->start;

    must(!chunk->shared);
    for (uint32_t at = chunk->start, next; at < chunk->end; at = next) {
        uint32_t frame_bytes = framed_bytes(chunk->data + at, framing);

        next = at + frame_bytes;
        if (framed_is_publish(chunk->data + at, framing))
            continue;
        memmove(chunk->data + to, chunk->data + at, frame_bytes);
        to += frame_bytes;
    }
    chunk->end = to;
}

static uint32_t drop_from_chunk(struct out_chunk *chunk, enum framing framing,
                                uint32_t bytes_wanted, uint32_t *freed_bytes)
{
    struct chunk_survey found = survey(chunk, framing);

    if (found.kept_bytes == 0)
        return drop_leading(chunk, framing, bytes_wanted, freed_bytes);
    if (found.publish_count > 0) {
        *freed_bytes += chunk->end - chunk->start - found.kept_bytes;
        keep_others(chunk, framing);
    }
    return found.publish_count;
}

uint32_t outq_drop_oldest(struct outq *out, struct mem *mem, enum framing framing,
                          uint32_t bytes_wanted, uint32_t *freed_bytes)
{
    struct out_chunk *previous = out->tail;
    struct out_chunk *chunk = head_of(out);
    uint32_t passed_bytes = 0;
    uint32_t dropped_count = 0;

    *freed_bytes = 0;
    while (chunk && *freed_bytes < bytes_wanted) {
        struct out_chunk *next = next_of(out, chunk);
        uint32_t bytes_count = chunk->end - chunk->start;

        /* A chunk the kernel may be reading is not touched, not even its later part; nor is one
         * that no longer begins with a frame. */
        if (passed_bytes >= out->in_flight_bytes && !chunk->is_cut && !chunk->is_opaque)
            dropped_count += drop_from_chunk(chunk, framing, bytes_wanted, freed_bytes);
        passed_bytes += bytes_count;
        if (chunk->start == chunk->end)
            unlink_after(out, mem, previous);
        else
            previous = chunk;
        chunk = next;
    }
    out->queued_bytes -= *freed_bytes;
    return dropped_count;
}

void outq_clear(struct outq *out, struct mem *mem)
{
    must(out->in_flight_bytes == 0);
    while (out->tail)
        unlink_first(out, mem);
    out->queued_bytes = 0;
}
