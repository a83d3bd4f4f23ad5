/*
 * net/input.c — bytes that wait: the beginning of a frame, the pieces of a fragmented message.
 *
 * Thread: the I/O actor's. They exist only while something is incomplete, and grow with the bytes
 * that really came, so announcing 64 kB and sending three bytes costs the broker 64.
 */
#include <string.h>

#include "net/session_parts.h"

#define CAPACITY_FIRST 64u

struct conn_input *input_of(struct io *io, struct conn *conn)
{
    if (!conn->input)
        conn->input = mem_alloc_zero(&io->mem, MEM_INPUT, sizeof(*conn->input));
    return conn->input;
}

bool input_append(struct io *io, struct conn *conn, struct input_part *part, struct span bytes)
{
    uint32_t needed = part->used_bytes + (uint32_t)bytes.bytes_count;

    must(conn->input);
    if (part->used_bytes == 0)
        part->since_tick = io->now_tick;
    if (needed > part->capacity) {
        uint32_t capacity = part->capacity ? part->capacity : CAPACITY_FIRST;

        while (capacity < needed)
            capacity *= 2;
        uint8_t *grown = mem_resize(&io->mem, MEM_INPUT, part->data, part->capacity, capacity);
        if (!grown)
            return false;
        part->data = grown;
        part->capacity = capacity;
    }
    if (bytes.bytes_count > 0)
        memcpy(part->data + part->used_bytes, bytes.data, bytes.bytes_count);
    part->used_bytes = needed;
    return true;
}

void input_clear(struct io *io, struct conn *conn, struct input_part *part)
{
    mem_free(&io->mem, MEM_INPUT, part->data, part->capacity);
    *part = (struct input_part){0};
    input_drop_if_empty(io, conn);
}

void input_drop_if_empty(struct io *io, struct conn *conn)
{
    if (!conn->input || conn->input->frame.data || conn->input->fragment.data ||
        conn->input->cipher.data || conn->input->facts)
        return;
    mem_free(&io->mem, MEM_INPUT, conn->input, sizeof(*conn->input));
    conn->input = NULL;
}
