/*
 * tests/unit/net/test_smq_codec.c — mirrors net/smq_codec.c.
 *
 * Goal:   every type and every length gets the answer the protocol gives (§3, §4.18); the answer is
 *         the same however the bytes are cut; nothing beyond the bytes that are there is read.
 * Method: the whole table of types and lengths, each cut at every byte; inputs in blocks of exactly
 *         their size, so that a sanitizer sees a read too far.
 */
#include "net/smq_codec.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/core/dice.h"

#define FRAME_MAX SMQ_FRAME_BYTES_MAX

static struct smq_frame frame;
static const char *reason;

/* Decode the first @bytes_count of @bytes from a block that ends there. */
static enum smq_decode decode(const uint8_t *bytes, size_t bytes_count, uint32_t frame_bytes_max)
{
    static uint8_t *block;

    free(block); /* of the call before: the frame borrows it */
    block = malloc(bytes_count + 1);
    cr_assert_not_null(block);
    uint8_t *exact = block + 1; /* unaligned, too */
    memcpy(exact, bytes, bytes_count);
    reason = NULL;
    memset(&frame, 0xee, sizeof(frame));
    return smq_decode(span_of(exact, bytes_count), frame_bytes_max, &frame, &reason);
}

/* What the protocol page says about each type a client may send: its smallest body. */
static int body_bytes_min(int type)
{
    switch (type) {
    case SMQ_SUBSCRIBE:
    case SMQ_CREATE:
    case SMQ_CREATESUB:
    case SMQ_DISCONNECT:
    case SMQ_PING:
    case SMQ_PONG:
        return 0;
    case SMQ_CONNECT:
        return 3;
    case SMQ_UNSUBSCRIBE:
    case SMQ_OBSERVE:
    case SMQ_UNOBSERVE:
        return 4;
    case SMQ_PUBLISH:
    case SMQ_PUBFRAG:
        return 12;
    default:
        return -1;
    }
}

static void check_every_cut(const uint8_t *bytes, uint32_t announced, int type)
{
    int minimum = body_bytes_min(type);
    bool good = minimum >= 0 && (int)announced - 3 >= minimum;

    for (uint32_t cut = 0; cut <= announced + 2; cut++) {
        enum smq_decode got = decode(bytes, cut, FRAME_MAX);
        enum smq_decode expected = cut < 2           ? SMQ_DECODE_NEED_MORE
                                   : announced < 3   ? SMQ_DECODE_MALFORMED
                                   : cut < 3         ? SMQ_DECODE_NEED_MORE
                                   : !good           ? SMQ_DECODE_MALFORMED
                                   : cut < announced ? SMQ_DECODE_NEED_MORE
                                                     : SMQ_DECODE_FRAME;

        cr_assert_eq(got, expected, "type %d, length %u, %u bytes there", type, announced, cut);
        cr_assert_eq(reason != NULL, got == SMQ_DECODE_MALFORMED);
        if (got != SMQ_DECODE_FRAME)
            continue;
        cr_assert_eq(frame.type, type);
        cr_assert_eq(frame.bytes_count, announced);
        cr_assert_eq(frame.body.bytes_count, announced - 3);
        cr_assert_eq(memcmp(frame.body.data, bytes + 3, announced - 3), 0);
    }
}

Test(smq_codec, answers_for_every_type_and_length_however_it_is_cut)
{
    uint8_t bytes[64];

    for (int type = 0; type < 256; type++) {
        for (uint32_t announced = 0; announced < 24; announced++) {
            for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)(i * 7);
            smq_store_u16(bytes, (uint16_t)announced);
            bytes[2] = (uint8_t)type;
            check_every_cut(bytes, announced, type);
        }
    }
}

Test(smq_codec, says_why)
{
    cr_assert_eq(decode((uint8_t[]){0, 2, 8}, 3, FRAME_MAX), SMQ_DECODE_MALFORMED);
    cr_assert_str_eq(reason, "frame shorter than its header");
    cr_assert_eq(decode((uint8_t[]){0, 9, 8}, 3, 8), SMQ_DECODE_MALFORMED);
    cr_assert_str_eq(reason, "frame too large");
    cr_assert_eq(decode((uint8_t[]){0, 3, 10}, 3, FRAME_MAX), SMQ_DECODE_MALFORMED);
    cr_assert_str_eq(reason, "unknown packet type");
    cr_assert_eq(decode((uint8_t[]){0, 3, SMQ_SUBACK}, 3, FRAME_MAX), SMQ_DECODE_MALFORMED);
    cr_assert_str_eq(reason, "packet type only a server sends");
    cr_assert_eq(decode((uint8_t[]){0, 14, SMQ_PUBLISH}, 3, FRAME_MAX), SMQ_DECODE_MALFORMED);
    cr_assert_str_eq(reason, "frame too short for its type");
}

Test(smq_codec, judges_a_frame_before_its_body_is_there)
{
    cr_assert_eq(decode((uint8_t[]){0xff, 0xff}, 2, 1000), SMQ_DECODE_MALFORMED, "too large");
    cr_assert_eq(decode((uint8_t[]){0xff, 0xff, 99}, 3, FRAME_MAX), SMQ_DECODE_MALFORMED);
}

Test(smq_codec, keeps_to_the_configured_limit_exactly)
{
    uint8_t bytes[1001] = {0x03, 0xe8, SMQ_PUBLISH}; /* 1000 */

    cr_assert_eq(decode(bytes, 1000, 1000), SMQ_DECODE_FRAME);
    cr_assert_eq(decode(bytes, 1000, 999), SMQ_DECODE_MALFORMED);
}

Test(smq_codec, takes_the_largest_frame)
{
    static uint8_t bytes[SMQ_FRAME_BYTES_MAX] = {0xff, 0xff, SMQ_PUBLISH};

    cr_assert_eq(decode(bytes, sizeof(bytes) - 1, FRAME_MAX), SMQ_DECODE_NEED_MORE);
    cr_assert_eq(decode(bytes, sizeof(bytes), FRAME_MAX), SMQ_DECODE_FRAME);
    cr_assert_eq(frame.body.bytes_count, SMQ_FRAME_BYTES_MAX - 3);
}

/* -- Publish -- */

Test(smq_codec, has_no_publish_in_another_frame, .signal = SIGABRT)
{
    cr_assert_eq(decode((uint8_t[]){0, 3, SMQ_PING}, 3, FRAME_MAX), SMQ_DECODE_FRAME);
    (void)smq_publish_of(&frame);
}

Test(smq_codec, finds_the_fields_of_a_publish)
{
    uint8_t bytes[] = {0, 17, SMQ_PUBLISH, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 'h', 'i'};

    for (int i = 0; i < 2; i++) {
        bytes[2] = i == 0 ? SMQ_PUBLISH : SMQ_PUBFRAG;
        cr_assert_eq(decode(bytes, sizeof(bytes), FRAME_MAX), SMQ_DECODE_FRAME);
        struct smq_publish publish = smq_publish_of(&frame);

        cr_assert_eq(publish.destination, 0x01020304);
        cr_assert_eq(publish.publisher, 0x05060708);
        cr_assert_eq(publish.subtopic, 0x090a0b0c);
        cr_assert_eq(publish.payload.bytes_count, 2);
        cr_assert_eq(memcmp(publish.payload.data, "hi", 2), 0);
    }
}

/* -- Connect -- */

static struct smq_connect connect;

static const char *parse(const void *body, size_t bytes_count)
{
    static uint8_t *block;

    free(block);
    block = malloc(bytes_count);
    cr_assert_not_null(block);
    memcpy(block, body, bytes_count);
    return smq_connect_parse(span_of(block, bytes_count), &connect);
}

static void assert_span(struct span span, const char *text)
{
    cr_assert_eq(span.bytes_count, strlen(text));
    cr_assert_eq(memcmp(span.data, text, span.bytes_count), 0);
}

#define BODY(text) (text), sizeof(text) - 1

Test(smq_connect, refuses_other_versions)
{
    cr_assert_str_eq(parse(BODY("\0\6abcdef\0")), "unacceptable protocol version");
    cr_assert_str_eq(parse(BODY("\3\6abcdef\0")), "unacceptable protocol version");
    cr_assert_str_eq(parse(BODY("\377\6abcdef\0")), "unacceptable protocol version");
}

Test(smq_connect, refuses_a_short_uid)
{
    cr_assert_str_eq(parse(BODY("\1\0\0")), "UID shorter than 6 bytes");
    cr_assert_str_eq(parse(BODY("\1\5abcde\0")), "UID shorter than 6 bytes");
    cr_assert_null(parse(BODY("\1\6abcdef\0")));
}

Test(smq_connect, refuses_every_cut_before_the_info)
{
    static const char first[] = "\1\6abcdef\3keyinfo";
    static const char second[] = "\2\1\2\6abcdef\3keyinfo";

    for (size_t cut = 1; cut < sizeof(first) - 1; cut++)
        cr_assert_eq(parse(first, cut) == NULL, cut >= sizeof(first) - 1 - 4, "%zu", cut);
    for (size_t cut = 1; cut < sizeof(second) - 1; cut++)
        cr_assert_eq(parse(second, cut) == NULL, cut >= sizeof(second) - 1 - 4, "%zu", cut);
    cr_assert_str_eq(parse(BODY("\1\7abcdef")), "malformed Connect");
    cr_assert_str_eq(parse(BODY("\1\6abcdef\4key")), "malformed Connect");
}

Test(smq_connect, finds_uid_credentials_and_info)
{
    cr_assert_null(parse(BODY("\1\6abcdef\3keysome info")));
    assert_span(connect.uid, "abcdef");
    assert_span(connect.credentials, "key");
    assert_span(connect.info, "some info");
    cr_assert_eq(connect.record_bytes_max, 0);

    cr_assert_null(parse(BODY("\2\x10\0\10uid-8-by\0")));
    assert_span(connect.uid, "uid-8-by");
    assert_span(connect.credentials, "");
    assert_span(connect.info, "");
    cr_assert_eq(connect.record_bytes_max, 0x1000);
}

Test(smq_connect, takes_the_longest_uid_and_credentials)
{
    uint8_t body[1 + 1 + 255 + 1 + 255] = {1, 255};

    body[2 + 255] = 255;
    cr_assert_null(parse(body, sizeof(body)));
    cr_assert_eq(connect.uid.bytes_count, SMQ_UID_BYTES_MAX);
    cr_assert_eq(connect.credentials.bytes_count, 255);
    cr_assert_str_eq(parse(body, sizeof(body) - 1), "malformed Connect");
}

Test(smq_connect, knows_which_maximum_counts)
{
    for (uint32_t max = 0; max <= UINT16_MAX; max++) {
        uint8_t body[] = {2, (uint8_t)(max >> 8), (uint8_t)max, 6, 'a', 'b', 'c', 'd', 'e', 'f', 0};

        cr_assert_null(smq_connect_parse(span_of(body, sizeof(body)), &connect));
        cr_assert_eq(connect.record_bytes_max, max >= 257 && max <= 8192 ? max : 0, "%u", max);
    }
}

/* -- runs -- */

static uint8_t run[4096];
static size_t run_bytes;

static void add(uint8_t type, uint32_t destination, uint32_t publisher, uint16_t bytes_count)
{
    uint8_t *at = run + run_bytes;

    memset(at, 0x77, bytes_count);
    smq_store_u16(at, bytes_count);
    at[2] = type;
    if (bytes_count >= 15) {
        smq_store_u32(at + 3, destination);
        smq_store_u32(at + 7, publisher);
        smq_store_u32(at + 11, (uint32_t)run_bytes); /* the sub-topic may differ */
    }
    run_bytes += bytes_count;
}

static void assert_run(size_t there_bytes, uint32_t frame_bytes_max, uint32_t expected_count,
                       size_t expected_bytes)
{
    uint8_t *exact = malloc(there_bytes);
    uint32_t count;

    cr_assert_not_null(exact);
    memcpy(exact, run, there_bytes);
    cr_assert_eq(smq_publish_run(span_of(exact, there_bytes), frame_bytes_max, &count),
                 expected_bytes);
    cr_assert_eq(count, expected_count);
    free(exact);
}

Test(smq_run, needs_a_whole_publish, .signal = SIGABRT)
{
    uint32_t count;

    add(SMQ_PUBLISH, 1, 2, 20);
    (void)smq_publish_run(span_of(run, 19), FRAME_MAX, &count);
}

Test(smq_run, ends_where_something_differs)
{
    static const struct {
        uint8_t type;
        uint32_t destination;
        uint32_t publisher;
        uint16_t bytes_count;
    } others[] = {
        {SMQ_PUBLISH, 2, 9, 20}, {SMQ_PUBLISH, 1, 8, 20}, {SMQ_PUBFRAG, 1, 9, 20},
        {SMQ_PING, 1, 9, 3},     {SMQ_PUBLISH, 1, 9, 14}, {SMQ_PUBLISH, 1, 9, 101},
    };

    for (size_t i = 0; i < COUNT_OF(others); i++) {
        run_bytes = 0;
        add(SMQ_PUBLISH, 1, 9, 20);
        add(SMQ_PUBLISH, 1, 9, 15);
        add(others[i].type, others[i].destination, others[i].publisher, others[i].bytes_count);
        add(SMQ_PUBLISH, 1, 9, 20);
        assert_run(run_bytes, 100, 2, 35);
    }
}

Test(smq_run, has_only_whole_frames_however_it_is_cut)
{
    run_bytes = 0;
    for (int i = 0; i < 5; i++)
        add(SMQ_PUBLISH, 1, 9, 30);
    for (size_t cut = 30; cut <= run_bytes; cut++)
        assert_run(cut, FRAME_MAX, (uint32_t)(cut / 30), cut / 30 * 30);
}

Test(smq_run, agrees_with_reading_frame_by_frame)
{
    struct dice dice = {3};

    for (int round = 0; round < 2000; round++) {
        uint32_t count = 0;
        size_t bytes = 0;

        run_bytes = 0;
        for (uint32_t i = 0; i < 12; i++)
            add(dice_below(&dice, 9) ? SMQ_PUBLISH : SMQ_PUBFRAG, 1 + (dice_below(&dice, 9) == 0),
                1 + (dice_below(&dice, 9) == 0), (uint16_t)(15 + dice_below(&dice, 200)));
        run[2] = SMQ_PUBLISH;
        size_t there_bytes = smq_load_u16(run) + dice_below(&dice, (uint32_t)run_bytes);
        if (there_bytes > run_bytes)
            there_bytes = run_bytes;
        while (decode(run + bytes, there_bytes - bytes, 200) == SMQ_DECODE_FRAME &&
               frame.type == SMQ_PUBLISH && memcmp(frame.body.data, run + 3, 8) == 0) {
            bytes += frame.bytes_count;
            count++;
        }
        if (count > 0)
            assert_run(there_bytes, 200, count, bytes);
    }
}

/* -- server frames -- */

Test(smq_encode, refuses_what_does_not_fit, .signal = SIGABRT)
{
    uint8_t out[8];

    (void)smq_encode(out, sizeof(out), SMQ_SUBACK, span_of("12345", 5), span_of("x", 1));
}

Test(smq_encode, writes_length_type_fields_and_text)
{
    uint8_t out[16];

    cr_assert_eq(smq_encode(out, sizeof(out), SMQ_SUBACK, span_of("12345", 5), span_of("name", 4)),
                 12);
    cr_assert_eq(memcmp(out, "\0\14\00512345name", 12), 0);
    cr_assert_eq(smq_encode(out, 3, SMQ_PONG, span_of(NULL, 0), span_of(NULL, 0)), 3);
    cr_assert_eq(memcmp(out, "\0\3\15", 3), 0);
}
