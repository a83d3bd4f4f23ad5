/*
 * bench/buffer.h — bytes that grow: what a connection has still to send, or half a frame it got.
 *
 * Thread: whichever owns the buffer; nothing is shared.
 * Memory: one malloc block, doubled when it is too small, kept until buffer_deinit. A load
 *         generator that runs out of memory has nothing sensible left to do, so it ends there.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buffer {
    uint8_t *data;
    size_t bytes_count;
    size_t room_bytes;
};

/* Make room for @bytes_count more bytes. */
void buffer_reserve(struct buffer *buffer, size_t bytes_count);

/* Forget the first @bytes_count bytes; the rest moves to the front. */
void buffer_consume(struct buffer *buffer, size_t bytes_count);

/* Free the block; the buffer is empty and usable again. */
void buffer_deinit(struct buffer *buffer);

/* printf to the end; for greetings, not for the hot path. */
__attribute__((format(printf, 2, 3))) void buffer_printf(struct buffer *buffer, const char *format,
                                                         ...);

/**
 * Grow by @bytes_count and return where to write them. The pointer lives until the next call
 * that may grow the buffer. Cost: O(1) amortised.
 */
static inline uint8_t *buffer_extend(struct buffer *buffer, size_t bytes_count)
{
    if (buffer->room_bytes - buffer->bytes_count < bytes_count)
        buffer_reserve(buffer, bytes_count);
    uint8_t *at = buffer->data + buffer->bytes_count;
    buffer->bytes_count += bytes_count;
    return at;
}

static inline void buffer_append(struct buffer *buffer, const void *data, size_t bytes_count)
{
    if (bytes_count > 0)
        memcpy(buffer_extend(buffer, bytes_count), data, bytes_count);
}
