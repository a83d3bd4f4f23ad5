/*
 * tests/unit/net/test_ws_codec.c — mirrors net/ws_codec.c.
 *
 * Goal:   a client's frame is taken only in the one form RFC 6455 allows, however it is cut; what
 *         is wrong is said as early as it shows; a run means the same as messages.
 * Method: each rule broken once; every prefix of good frames; runs of every size around the edges.
 */
#include "net/ws_codec.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "client/smq_wire.h"

#define PAYLOAD_MAX 70000u

static struct ws_frame frame;
static struct ws_fault fault;
static size_t wanted_bytes;

static enum ws_decode decode(const void *bytes, size_t bytes_count)
{
    uint8_t *exact = malloc(bytes_count ? bytes_count : 1);

    cr_assert_not_null(exact);
    memcpy(exact, bytes, bytes_count);
    enum ws_decode result =
        ws_decode(span_of(exact, bytes_count), PAYLOAD_MAX, &frame, &wanted_bytes, &fault);
    free(exact);
    return result;
}

static void assert_malformed(enum ws_close code, const char *bytes, size_t bytes_count)
{
    cr_assert_eq(decode(bytes, bytes_count), WS_DECODE_MALFORMED);
    cr_assert_eq(fault.code, code);
    cr_assert_not_null(fault.reason);
}

#define ASSERT_MALFORMED(code, text) assert_malformed(code, text, sizeof(text) - 1)

/* -- what is wrong -- */

Test(ws_codec, refuses_reserved_bits_and_opcodes_at_the_second_byte)
{
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\xc2\x80");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\xa2\x80");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x92\x80");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x83\x80");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x87\x80");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x8b\x80");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x8f\x80");
}

Test(ws_codec, refuses_what_is_not_masked)
{
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x82\x01");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x89\x00");
}

Test(ws_codec, refuses_control_frames_that_are_long_or_in_pieces)
{
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x89\xfe");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x88\xff");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x09\x80");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x08\x82");
}

Test(ws_codec, refuses_lengths_not_in_their_shortest_form)
{
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x82\xfe\x00\x7d");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff");
    ASSERT_MALFORMED(WS_CLOSE_PROTOCOL, "\x82\xff\x80\x00\x00\x00\x00\x01\x00\x00");
}

Test(ws_codec, refuses_what_is_too_large_by_its_header)
{
    ASSERT_MALFORMED(WS_CLOSE_TOO_BIG, "\x82\xff\x00\x00\x00\x00\x00\x01\x11\x71");
    ASSERT_MALFORMED(WS_CLOSE_TOO_BIG, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff");
    cr_assert_eq(decode("\x82\xff\x00\x00\x00\x00\x00\x01\x11\x70", 10), WS_DECODE_NEED_MORE);
    cr_assert_eq(wanted_bytes, 14 + PAYLOAD_MAX);
}

/* -- good frames -- */

/* A masked binary frame of @payload_bytes; returns its length. */
static size_t encode_client(uint8_t *out, size_t payload_bytes)
{
    size_t header_bytes = 2;

    out[0] = 0x82;
    if (payload_bytes < 126) {
        out[1] = (uint8_t)(0x80 | payload_bytes);
    } else if (payload_bytes <= UINT16_MAX) {
        out[1] = 0xfe;
        smq_store_u16(out + 2, (uint16_t)payload_bytes);
        header_bytes = 4;
    } else {
        out[1] = 0xff;
        smq_store_u32(out + 2, 0);
        smq_store_u32(out + 6, (uint32_t)payload_bytes);
        header_bytes = 10;
    }
    memcpy(out + header_bytes, "\x12\x34\x56\x78", 4);
    header_bytes += 4;
    for (size_t i = 0; i < payload_bytes; i++)
        out[header_bytes + i] = (uint8_t)(i * 7) ^ out[header_bytes - 4 + i % 4];
    return header_bytes + payload_bytes;
}

Test(ws_codec, asks_for_more_until_the_last_byte)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, PAYLOAD_MAX};
    uint8_t *bytes = malloc(PAYLOAD_MAX + WS_CLIENT_HEADER_BYTES_MAX);

    cr_assert_not_null(bytes);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        size_t bytes_count = encode_client(bytes, sizes[i]);

        for (size_t at = 0; at < bytes_count; at += at < 20 ? 1 : 1 + bytes_count / 7) {
            cr_assert_eq(decode(bytes, at), WS_DECODE_NEED_MORE);
            cr_assert_gt(wanted_bytes, at);
            cr_assert_leq(wanted_bytes, bytes_count);
        }
        cr_assert_eq(decode(bytes, bytes_count - (sizes[i] > 0)),
                     sizes[i] > 0 ? WS_DECODE_NEED_MORE : WS_DECODE_FRAME);
        cr_assert_eq(decode(bytes, bytes_count), WS_DECODE_FRAME);
        cr_assert_eq(frame.opcode, WS_BINARY);
        cr_assert(frame.is_final);
        cr_assert_eq(frame.payload_bytes, sizes[i]);
        cr_assert_eq(frame.header_bytes + frame.payload_bytes, bytes_count);
    }
    free(bytes);
}

Test(ws_codec, unmasks_to_any_place_before)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    uint8_t bytes[300];

    for (size_t length = 0; length < 40; length++)
        for (size_t back = 0; back <= 12; back++) {
            for (size_t i = 0; i < length; i++)
                bytes[20 + i] = (uint8_t)(i ^ mask[i % 4]);
            ws_unmask(bytes + 20 - back, bytes + 20, length, mask);
            for (size_t i = 0; i < length; i++)
                cr_assert_eq(bytes[20 - back + i], i);
        }
}

Test(ws_codec, knows_the_codes_a_client_may_send)
{
    static const uint16_t good[] = {1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999};
    static const uint16_t bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535};

    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_assert(ws_close_code_is_valid(good[i]), "%u", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_not(ws_close_code_is_valid(bad[i]), "%u", bad[i]);
}

/* -- our frames -- */

Test(ws_codec, makes_a_run_into_messages)
{
    static const uint16_t sizes[] = {3, 127, 128, 129, 200, 65535};
    uint8_t *run = malloc(200000);
    uint8_t *out = malloc(200000);
    size_t run_bytes = 0;

    cr_assert(run && out);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        smq_store_u16(run + run_bytes, sizes[i]);
        memset(run + run_bytes + 2, (int)(8 + i), sizes[i] - 2u);
        run_bytes += sizes[i];
    }
    size_t out_bytes = ws_run_bytes(span_of(run, run_bytes));
    ws_encode_run(span_of(run, run_bytes), out);

    size_t at = 0;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        size_t frame_bytes = ws_server_frame_bytes(out + at);
        size_t payload_bytes = sizes[i] - 2u;

        cr_assert_eq(out[at], 0x82);
        cr_assert_eq(frame_bytes, payload_bytes + (payload_bytes < 126 ? 2 : 4));
        cr_assert_eq(ws_server_frame_type(out + at), 8 + i);
        cr_assert_eq(out[at + frame_bytes - 1], 8 + i);
        at += frame_bytes;
    }
    cr_assert_eq(at, out_bytes);
    free(run);
    free(out);
}

Test(ws_codec, finds_no_packet_in_a_control_frame_of_ours)
{
    uint8_t bytes[WS_SERVER_HEADER_BYTES_MAX + 1];

    cr_assert_eq(ws_encode_header(bytes, WS_PONG, 1), 2);
    bytes[2] = SMQ_PUBLISH;
    cr_assert_eq(ws_server_frame_type(bytes), 0);
    cr_assert_eq(ws_server_frame_bytes(bytes), 3);
}

Test(ws_codec, tells_utf_8_from_what_only_looks_like_it)
{
    static const struct {
        const char *text;
        size_t bytes_count;
        bool is_good;
    } cases[] = {
#define CASE(text, is_good) {text, sizeof(text) - 1, is_good}
        CASE("", true),
        CASE("a\0z", true),
        CASE("\xc2\x80", true),
        CASE("\xdf\xbf\xe0\xa0\x80", true),
        CASE("\xed\x9f\xbf\xee\x80\x80", true),
        CASE("\xef\xbf\xbf\xf0\x90\x80\x80", true),
        CASE("\xf4\x8f\xbf\xbf", true),
        CASE("\x80", false),
        CASE("\xc1\xbf", false),         /* overlong */
        CASE("\xe0\x9f\xbf", false),     /* overlong */
        CASE("\xf0\x8f\xbf\xbf", false), /* overlong */
        CASE("\xed\xa0\x80", false),     /* a surrogate */
        CASE("\xf4\x90\x80\x80", false), /* over U+10FFFF */
        CASE("\xf5\x80\x80\x80", false),
        CASE("\xc3", false), /* cut */
        CASE("\xe2\x82", false),
        CASE("\xf0\x9f\x98", false),
        CASE("\xc3(", false),
        CASE("\xe2\x82(", false),
        CASE("\xf0\x9f\x98(", false),
        CASE("\xff", false),
#undef CASE
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_assert_eq(ws_is_utf8(span_of(cases[i].text, cases[i].bytes_count)), cases[i].is_good,
                     "case %zu", i);
}
