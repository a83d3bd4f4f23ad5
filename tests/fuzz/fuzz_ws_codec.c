/*
 * tests/fuzz/fuzz_ws_codec.c — a client's WebSocket frames.
 *
 * Beyond not crashing: what is wrong stays wrong however much follows; a frame is whole exactly
 * when the bytes it asked for are there; what it asks for grows, and never beyond the limit.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/ws_codec.h"
#include "tests/fuzz/exact.h"

#define PAYLOAD_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Decode a prefix from a block that ends with it. */
static enum ws_decode decode(const uint8_t *data, size_t bytes, struct ws_frame *frame,
                             size_t *wanted_bytes)
{
    static struct exact exact;
    struct ws_fault fault = {0};
    uint8_t *copy = exact_copy(&exact, data, bytes);
    enum ws_decode result =
        ws_decode(span_of(copy, bytes), PAYLOAD_MAX, frame, wanted_bytes, &fault);
    if (result == WS_DECODE_MALFORMED)
        must(fault.reason && ws_close_code_is_valid((uint16_t)fault.code));
    if (result == WS_DECODE_FRAME)
        ws_unmask(copy, copy + frame->header_bytes, frame->payload_bytes, frame->mask);
    exact_free(&exact);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct ws_frame frame;
    size_t wanted_bytes = 0;
    enum ws_decode whole = decode(data, bytes, &frame, &wanted_bytes);

    if (whole == WS_DECODE_FRAME) {
        must(frame.header_bytes + frame.payload_bytes == wanted_bytes && wanted_bytes <= bytes);
        must(frame.payload_bytes <= PAYLOAD_MAX);
        must(frame.opcode <= WS_BINARY || (frame.opcode >= WS_CLOSE && frame.opcode <= WS_PONG));
        must(frame.opcode < WS_CLOSE || (frame.is_final && frame.payload_bytes <= 125));
        must(decode(data, wanted_bytes - 1, &frame, &wanted_bytes) == WS_DECODE_NEED_MORE);
    } else if (whole == WS_DECODE_NEED_MORE) {
        must(wanted_bytes > bytes && wanted_bytes <= WS_CLIENT_HEADER_BYTES_MAX + PAYLOAD_MAX);
    }
    /* The first bytes alone: never a different frame, never a fault that goes away. */
    for (size_t at = 0; at < bytes && at < 16; at++) {
        enum ws_decode part = decode(data, at, &frame, &wanted_bytes);

        if (part != WS_DECODE_NEED_MORE)
            must(part == whole);
    }
    return 0;
}
