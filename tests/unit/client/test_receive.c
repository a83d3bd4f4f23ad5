/*
 * tests/unit/client/test_receive.c — mirrors the receiving half of client/smq.c.
 *
 * Goal:   the same events come out however the bytes come in, and whatever the buffer's size;
 *         what is not SMQ ends the connection at once.
 * Method: one stream with every packet a server may send is fed whole, byte by byte, with silence
 *         between any two bytes, into buffers from the smallest size up; the pieces are joined
 *         again and compared. Then each way to lie, and the end of the stream at every byte.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_transport.h"

#define PAYLOAD_BYTES 300u

struct expectation {
    uint8_t packet;
    uint8_t code;
    uint32_t id;
    uint32_t sender;
    uint32_t subtopic;
    uint32_t subscriber_count;
    const char *data;
    uint16_t data_bytes;
};

static char payload[PAYLOAD_BYTES];
static const struct expectation expected[] = {
    {.packet = SMQ_SUBACK, .code = 0, .id = 0x01020304, .data = "topic/name", .data_bytes = 10},
    {.packet = SMQ_SUBACK, .code = 1, .id = 0, .data = "forbidden", .data_bytes = 9},
    {.packet = SMQ_CREATEACK, .code = 0, .id = 0xFFFFFFFF, .data = "x", .data_bytes = 1},
    {.packet = SMQ_CREATESUBACK, .code = 0, .id = 7, .data = "", .data_bytes = 0},
    {.packet = SMQ_PUBLISH, .id = 1, .sender = 2, .subtopic = 3, .data = "", .data_bytes = 0},
    {.packet = SMQ_PUBLISH,
     .id = 0x80000001,
     .sender = 0x80000002,
     .subtopic = 0x80000003,
     .data = payload,
     .data_bytes = PAYLOAD_BYTES},
    {.packet = SMQ_CHANGE, .id = 9, .subscriber_count = 0x01000002, .data = "", .data_bytes = 0},
    {.packet = SMQ_PONG, .data = "", .data_bytes = 0},
    {.packet = SMQ_PUBLISH, .id = 1, .sender = 2, .data = payload, .data_bytes = 16},
    {.packet = SMQ_DISCONNECT, .data = "reconnect", .data_bytes = 9},
};
#define EXPECTED_COUNT (sizeof expected / sizeof expected[0])

static uint8_t stream[1024];
static size_t stream_bytes;
static size_t last_data_bytes; /* of the Disconnect, whose rest is not delivered */
static struct fake fake;
static struct smq smq;

static size_t body_of(const struct expectation *event, uint8_t *body)
{
    size_t fixed_bytes = 5;

    body[0] = event->code;
    smq_store_u32(body + 1, event->id);
    if (event->packet == SMQ_PUBLISH) {
        smq_store_u32(body, event->id);
        smq_store_u32(body + 4, event->sender);
        smq_store_u32(body + 8, event->subtopic);
        fixed_bytes = 12;
    } else if (event->packet == SMQ_CHANGE) {
        smq_store_u32(body, event->id);
        smq_store_u32(body + 4, event->subscriber_count);
        fixed_bytes = 8;
    } else if (event->packet == SMQ_PONG || event->packet == SMQ_DISCONNECT) {
        fixed_bytes = 0;
    }
    memcpy(body + fixed_bytes, event->data, event->data_bytes);
    return fixed_bytes + event->data_bytes;
}

static void begin(void)
{
    uint8_t body[512];

    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (char)(i * 7);
    stream_bytes = 0;
    for (size_t i = 0; i < EXPECTED_COUNT; i++) {
        size_t body_bytes = body_of(&expected[i], body);

        stream_bytes = append_frame(stream, stream_bytes, expected[i].packet, body, body_bytes);
        if (i == 3) /* a Ping in the middle: answered, not shown */
            stream_bytes = append_frame(stream, stream_bytes, SMQ_PING, NULL, 0);
    }
    last_data_bytes = expected[EXPECTED_COUNT - 1].data_bytes;
}

TestSuite(receive, .init = begin, .timeout = 60);

static void start(const void *script, size_t script_bytes, uint8_t *buffer, size_t buffer_bytes)
{
    fake_init(&fake, script, script_bytes);
    smq_init(&smq, &fake.transport, buffer, buffer_bytes);
}

/* Get the next piece through any number of silences. */
static enum smq_status next_patiently(void)
{
    for (size_t i = 0; i < 2 * sizeof stream; i++) {
        enum smq_status status = smq_next(&smq, 77);

        if (status != SMQ_TIMEOUT)
            return status;
    }
    return SMQ_TIMEOUT;
}

static void expect_fields(const struct expectation *want, const struct smq_event *event)
{
    cr_assert_eq(event->packet, want->packet);
    switch (want->packet) {
    case SMQ_PUBLISH:
        cr_assert_eq(event->sender, want->sender);
        cr_assert_eq(event->subtopic, want->subtopic);
        break;
    case SMQ_CHANGE:
        cr_assert_eq(event->subscriber_count, want->subscriber_count);
        break;
    case SMQ_PONG:
    case SMQ_DISCONNECT:
        return;
    default:
        cr_assert_eq(event->code, want->code);
        break;
    }
    cr_assert_eq(event->id, want->id);
}

/* All pieces of one packet: in order, as large as the buffer allows, and complete. */
static void expect_packet(const struct expectation *want, size_t buffer_bytes)
{
    const struct smq_event *event = &smq.event;
    uint16_t offset = 0;

    do {
        cr_assert_eq(next_patiently(), SMQ_OK);
        expect_fields(want, event);
        cr_assert_eq(event->offset, offset);
        cr_assert_eq(event->offset + event->bytes_count + event->left_bytes_count,
                     want->data_bytes);
        cr_assert(event->left_bytes_count == 0 || event->bytes_count == buffer_bytes,
                  "a piece that is not the last must fill the buffer");
        cr_assert_arr_eq(event->data, want->data + offset, event->bytes_count);
        offset = (uint16_t)(offset + event->bytes_count);
    } while (event->left_bytes_count > 0);
}

static void expect_stream(uint8_t *buffer, size_t buffer_bytes)
{
    static const uint8_t pong[] = {0, 3, SMQ_PONG};

    for (size_t i = 0; i < EXPECTED_COUNT; i++)
        expect_packet(&expected[i], buffer_bytes);
    fake_expect_sent(&fake, pong, sizeof pong);

    size_t call_count = fake.call_count;
    cr_assert_eq(smq_next(&smq, 0), SMQ_CLOSED, "nothing follows a Disconnect");
    cr_assert_eq(smq_ping(&smq), SMQ_CLOSED);
    cr_assert_eq(fake.call_count, call_count);
    (void)buffer;
}

Test(receive, gives_the_same_events_however_the_bytes_are_cut)
{
    static uint8_t buffer[512];

    for (size_t buffer_bytes = SMQ_BUFFER_BYTES_MIN; buffer_bytes <= sizeof buffer;
         buffer_bytes += buffer_bytes < 40 ? 1 : 59) {
        for (size_t cut = 1; cut <= 24; cut++) {
            for (int stutter = 0; stutter < 2; stutter++) {
                start(stream, stream_bytes, buffer, buffer_bytes);
                fake.recv_bytes_max = cut == 24 ? FAKE_NEVER : cut;
                fake.is_stuttering = stutter != 0;
                expect_stream(buffer, buffer_bytes);
            }
        }
    }
}

Test(receive, ends_wherever_the_stream_ends)
{
    static uint8_t buffer[64];

    for (size_t end = 0; end < stream_bytes; end++) {
        enum smq_status status;

        start(stream, end, buffer, sizeof buffer);
        fake.is_closed_at_end = true;
        do
            status = smq_next(&smq, 0);
        while (status == SMQ_OK);
        cr_assert_eq(status, SMQ_CLOSED);

        size_t call_count = fake.call_count;
        cr_assert_eq(smq_next(&smq, 0), SMQ_CLOSED);
        cr_assert_eq(fake.call_count, call_count, "the transport was used after its end");
    }
}

Test(receive, refuses_types_a_server_never_sends)
{
    static const uint8_t from_server[] = {1, 3, 5, 7, 8, 11, 12, 13, 16, 18};
    static uint8_t buffer[64];

    for (unsigned type = 0; type <= 255; type++) {
        uint8_t frame[60] = {0, sizeof frame, (uint8_t)type};
        bool is_from_server = memchr(from_server, (int)type, sizeof from_server) != NULL;

        start(frame, sizeof frame, buffer, sizeof buffer);
        enum smq_status status = smq_next(&smq, 0);
        if (is_from_server)
            cr_assert_neq(status, SMQ_MALFORMED, "type %u", type);
        else
            cr_assert_eq(status, SMQ_MALFORMED, "type %u", type);
    }
}

Test(receive, refuses_a_frame_shorter_than_its_fixed_fields)
{
    static const struct {
        uint8_t type;
        uint8_t frame_bytes_min;
    } types[] = {{1, 8},  {3, 8},  {5, 8},  {7, 8},   {8, 15},
                 {11, 3}, {12, 3}, {13, 3}, {16, 11}, {18, 8}};
    static uint8_t buffer[64];

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (uint8_t length = 0; length <= types[i].frame_bytes_min; length++) {
            uint8_t frame[64] = {0, length, types[i].type};

            start(frame, length < 3 ? 3 : length, buffer, sizeof buffer);
            enum smq_status status = smq_next(&smq, 0);
            if (length == types[i].frame_bytes_min)
                cr_assert_neq(status, SMQ_MALFORMED, "type %u length %u", types[i].type, length);
            else
                cr_assert_eq(status, SMQ_MALFORMED, "type %u length %u", types[i].type, length);
        }
    }
}

Test(receive, malformed_is_final)
{
    static const uint8_t frames[] = {0, 3, 10, 0, 3, SMQ_PONG};
    static uint8_t buffer[64];

    start(frames, sizeof frames, buffer, sizeof buffer);
    cr_assert_eq(smq_next(&smq, 0), SMQ_MALFORMED);
    cr_assert_eq(smq_next(&smq, 0), SMQ_MALFORMED);
    cr_assert_eq(smq_ping(&smq), SMQ_MALFORMED);
    cr_assert_eq(fake.sent_bytes, 0);
}

Test(receive, does_not_believe_a_transport_that_claims_more_than_there_was_room)
{
    static uint8_t buffer[64];

    start("", 0, buffer, sizeof buffer);
    fake.recv_lie = (int32_t)sizeof buffer + 1;
    cr_assert_eq(smq_next(&smq, 0), SMQ_CLOSED);
}

Test(receive, hands_the_timeout_to_the_transport)
{
    static uint8_t buffer[64];

    start("", 0, buffer, sizeof buffer);
    cr_assert_eq(smq_next(&smq, 123456), SMQ_TIMEOUT);
    cr_assert_eq(fake.timeout_ms, 123456);
    cr_assert_eq(smq_next(&smq, 0), SMQ_TIMEOUT, "a timeout is not final");
}

Test(receive, reports_a_pong_that_could_not_be_sent)
{
    static const uint8_t frames[] = {0, 3, SMQ_PING, 0, 3, SMQ_PONG};
    static uint8_t buffer[64];

    start(frames, sizeof frames, buffer, sizeof buffer);
    fake.send_fails_at = 1;
    cr_assert_eq(smq_next(&smq, 0), SMQ_CLOSED);
}

Test(receive, answers_a_long_ping_once)
{
    static uint8_t script[3 + 100 + 3] = {0, 103, SMQ_PING, [103] = 0, [104] = 3, [105] = SMQ_PONG};
    static uint8_t buffer[16];
    static const uint8_t pong[] = {0, 3, SMQ_PONG};

    start(script, sizeof script, buffer, sizeof buffer);
    cr_assert_eq(smq_next(&smq, 0), SMQ_OK);
    cr_assert_eq(smq.event.packet, SMQ_PONG);
    fake_expect_sent(&fake, pong, sizeof pong);
}

Test(receive, compares_names_whole)
{
    const uint8_t name[] = {'a', 'b', 'c'};
    struct smq_event event = {.data = name, .bytes_count = 3};

    cr_assert(smq_event_is(&event, "abc"));
    cr_assert_not(smq_event_is(&event, "ab"));
    cr_assert_not(smq_event_is(&event, "abcd"));
    cr_assert_not(smq_event_is(&event, "abd"));
    cr_assert_not(smq_event_is(&event, ""));
    event.left_bytes_count = 1;
    cr_assert_not(smq_event_is(&event, "abc"), "more is to come");
    event.left_bytes_count = 0;
    event.offset = 5;
    cr_assert_not(smq_event_is(&event, "abc"), "this is only the end of it");
    event.offset = 0;
    event.bytes_count = 0;
    cr_assert(smq_event_is(&event, ""));
}

Test(receive, takes_a_frame_of_the_largest_size_whole_or_in_pieces)
{
    static uint8_t frame[SMQ_FRAME_BYTES_MAX];
    static uint8_t buffer[SMQ_PAYLOAD_BYTES_MAX];
    size_t sizes[] = {SMQ_BUFFER_BYTES_MIN, 1000, SMQ_PAYLOAD_BYTES_MAX};

    memset(frame, 0x5A, sizeof frame);
    smq_store_u16(frame, SMQ_FRAME_BYTES_MAX);
    frame[2] = SMQ_PUBLISH;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t got_bytes = 0;

        start(frame, sizeof frame, buffer, sizes[i]);
        do {
            cr_assert_eq(smq_next(&smq, 0), SMQ_OK);
            cr_assert_eq(smq.event.offset, got_bytes);
            got_bytes += smq.event.bytes_count;
        } while (smq.event.left_bytes_count > 0);
        cr_assert_eq(got_bytes, SMQ_PAYLOAD_BYTES_MAX);
    }
}
