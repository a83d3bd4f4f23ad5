/* net/ws_codec.c — see net/ws_codec.h. Pure. */
#include "net/ws_codec.h"

#include <string.h>

#include "client/smq_wire.h"

#define FIN          0x80u
#define RSV          0x70u
#define OPCODE       0x0fu
#define MASKED       0x80u
#define LENGTH       0x7fu
#define LENGTH_IS_16 126u
#define LENGTH_IS_64 127u

static enum ws_decode malformed(struct ws_fault *fault, enum ws_close code, const char *reason)
{
    *fault = (struct ws_fault){code, reason};
    return WS_DECODE_MALFORMED;
}

static bool is_control(uint8_t opcode)
{
    return opcode & 0x8;
}

/* The first two bytes; NULL, or what is wrong with them. */
static const char *judge_start(const uint8_t *at)
{
    uint8_t opcode = at[0] & OPCODE;

    if (at[0] & RSV)
        return "no extension was agreed on";
    if ((opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG)
        return "unknown opcode";
    if (!(at[1] & MASKED))
        return "a client's frames are masked";
    if (is_control(opcode) && !(at[0] & FIN))
        return "fragmented control frame";
    if (is_control(opcode) && (at[1] & LENGTH) > WS_CONTROL_BYTES_MAX)
        return "control frame too long";
    return NULL;
}

static uint64_t load_u64(const uint8_t *at)
{
    return (uint64_t)smq_load_u32(at) << 32 | smq_load_u32(at + 4);
}

enum ws_decode ws_decode(struct span input, uint32_t payload_bytes_max, struct ws_frame *frame,
                         size_t *wanted_bytes, struct ws_fault *fault)
{
    const uint8_t *at = input.data;

    *wanted_bytes = 2;
    if (input.bytes_count < 2)
        return WS_DECODE_NEED_MORE;
    const char *reason = judge_start(at);
    if (reason)
        return malformed(fault, WS_CLOSE_PROTOCOL, reason);
    uint8_t length = at[1] & LENGTH;
    uint32_t length_bytes = length == LENGTH_IS_16 ? 2 : length == LENGTH_IS_64 ? 8 : 0;
    uint64_t payload_bytes = length;

    *wanted_bytes = 2 + length_bytes + sizeof(frame->mask);
    if (input.bytes_count < 2 + length_bytes)
        return WS_DECODE_NEED_MORE;
    if (length_bytes == 2)
        payload_bytes = smq_load_u16(at + 2);
    else if (length_bytes == 8)
        payload_bytes = load_u64(at + 2);
    /* §5.2: "the minimal number of bytes MUST be used", and the highest bit is 0. */
    if ((length_bytes == 2 && payload_bytes < LENGTH_IS_16) ||
        (length_bytes == 8 && (payload_bytes <= UINT16_MAX || payload_bytes >> 63)))
        return malformed(fault, WS_CLOSE_PROTOCOL, "length not in its shortest form");
    if (payload_bytes > payload_bytes_max)
        return malformed(fault, WS_CLOSE_TOO_BIG, "message too large");
    *wanted_bytes += payload_bytes;
    if (input.bytes_count < *wanted_bytes)
        return WS_DECODE_NEED_MORE;
    frame->opcode = at[0] & OPCODE;
    frame->is_final = at[0] & FIN;
    frame->header_bytes = 2 + length_bytes + (uint32_t)sizeof(frame->mask);
    frame->payload_bytes = (uint32_t)payload_bytes;
    memcpy(frame->mask, at + 2 + length_bytes, sizeof(frame->mask));
    return WS_DECODE_FRAME;
}

void ws_unmask(uint8_t *to, const uint8_t *from, size_t bytes_count, const uint8_t mask[4])
{
    uint64_t wide;
    uint64_t word;
    size_t at = 0;

    memcpy(&wide, mask, 4);
    memcpy((uint8_t *)&wide + 4, mask, 4);
    for (; at + sizeof(word) <= bytes_count; at += sizeof(word)) {
        memcpy(&word, from + at, sizeof(word));
        word ^= wide;
        memcpy(to + at, &word, sizeof(word));
    }
    for (; at < bytes_count; at++)
        to[at] = from[at] ^ mask[at % 4];
}

bool ws_close_code_is_valid(uint16_t code)
{
    /* §7.4.2; 1004 is reserved, 1005, 1006 and 1015 never travel. */
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

/* The bytes of the character that begins with @first; 0: none does. */
static size_t utf8_bytes(uint8_t first)
{
    return first < 0x80   ? 1
           : first < 0xc2 ? 0
           : first < 0xe0 ? 2
           : first < 0xf0 ? 3
           : first < 0xf5 ? 4
                          : 0;
}

bool ws_is_utf8(struct span text)
{
    while (text.bytes_count > 0) {
        const uint8_t *at = text.data;
        size_t bytes_count = utf8_bytes(at[0]);

        if (bytes_count == 0 || bytes_count > text.bytes_count)
            return false;
        for (size_t i = 1; i < bytes_count; i++)
            if ((at[i] & 0xc0) != 0x80)
                return false;
        /* The second byte tells the overlong forms, the surrogates and what is too large. */
        if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
            (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
            return false;
        text = span_skip(text, bytes_count);
    }
    return true;
}

size_t ws_encode_header(uint8_t out[WS_SERVER_HEADER_BYTES_MAX], enum ws_opcode opcode,
                        size_t payload_bytes)
{
    must(payload_bytes <= UINT16_MAX);
    out[0] = (uint8_t)(FIN | opcode);
    if (payload_bytes < LENGTH_IS_16) {
        out[1] = (uint8_t)payload_bytes;
        return 2;
    }
    out[1] = LENGTH_IS_16;
    smq_store_u16(out + 2, (uint16_t)payload_bytes);
    return 4;
}

size_t ws_server_frame_bytes(const uint8_t *frame)
{
    return frame[1] < LENGTH_IS_16 ? 2u + frame[1] : 4u + smq_load_u16(frame + 2);
}

uint8_t ws_server_frame_type(const uint8_t *frame)
{
    if ((frame[0] & OPCODE) != WS_BINARY)
        return 0;
    return frame[1] < LENGTH_IS_16 ? frame[2] : frame[4];
}

size_t ws_run_bytes(struct span run)
{
    size_t total_bytes = 0;

    for (size_t at = 0, frame_bytes; at < run.bytes_count; at += frame_bytes) {
        frame_bytes = smq_load_u16(run.data + at);
        total_bytes += frame_bytes + (frame_bytes - SMQ_LENGTH_BYTES < LENGTH_IS_16 ? 0 : 2);
    }
    return total_bytes;
}

void ws_encode_run(struct span run, uint8_t *out)
{
    for (size_t at = 0, frame_bytes; at < run.bytes_count; at += frame_bytes) {
        frame_bytes = smq_load_u16(run.data + at);
        size_t payload_bytes = frame_bytes - SMQ_LENGTH_BYTES;

        out += ws_encode_header(out, WS_BINARY, payload_bytes);
        memcpy(out, run.data + at + SMQ_LENGTH_BYTES, payload_bytes);
        out += payload_bytes;
    }
}
