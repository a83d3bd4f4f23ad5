/*
 * bench/buffer.c — growing a buffer, the rare half of bench/buffer.h.
 */
#include "bench/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/must.h"

#define PRINTF_BYTES_GUESS    160u
#define BUFFER_ROOM_BYTES_MIN 256u /* a greeting and a subscription; busy ones grow */

void buffer_reserve(struct buffer *buffer, size_t bytes_count)
{
    size_t room_bytes = buffer->room_bytes > 0 ? buffer->room_bytes : BUFFER_ROOM_BYTES_MIN;

    while (room_bytes - buffer->bytes_count < bytes_count)
        room_bytes *= 2;
    if (room_bytes == buffer->room_bytes)
        return;
    uint8_t *data = realloc(buffer->data, room_bytes);
    if (data == NULL) {
        fprintf(stderr, "smqbench: out of memory (a buffer of %zu bytes)\n", room_bytes);
        exit(2);
    }
    buffer->data = data;
    buffer->room_bytes = room_bytes;
}

void buffer_consume(struct buffer *buffer, size_t bytes_count)
{
    must(bytes_count <= buffer->bytes_count);
    buffer->bytes_count -= bytes_count;
    if (buffer->bytes_count > 0 && bytes_count > 0)
        memmove(buffer->data, buffer->data + bytes_count, buffer->bytes_count);
}

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;

    must(format != NULL);
    /* Greetings are short: one try nearly always does. vsnprintf also writes a terminator, which
     * goes into reserved room and is not counted. */
    for (size_t text_bytes = PRINTF_BYTES_GUESS;;) {
        buffer_reserve(buffer, text_bytes);
        va_start(arguments, format);
        int length =
            vsnprintf((char *)buffer->data + buffer->bytes_count, text_bytes, format, arguments);
        va_end(arguments);
        must(length >= 0);
        if ((size_t)length < text_bytes) {
            buffer->bytes_count += (size_t)length;
            return;
        }
        text_bytes = (size_t)length + 1;
    }
}
