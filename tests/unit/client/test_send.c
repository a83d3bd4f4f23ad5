/*
 * tests/unit/client/test_send.c — mirrors the sending half of client/smq.c.
 *
 * Goal:   each verb puts exactly its packet on the wire, however the transport cuts it, and
 *         nothing at all when it cannot be sent whole.
 * Method: a transport that takes a few bytes at a time, and one that fails at every byte in turn.
 *         The expected bytes are written out by hand from the protocol page, §3.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_transport.h"

#define ETID 0x01020304u

static struct fake fake;
static struct smq smq;
static uint8_t buffer[SMQ_BUFFER_BYTES_MIN];

static void begin(void)
{
    fake_init(&fake, "", 0);
    smq_init(&smq, &fake.transport, buffer, sizeof buffer);
    smq.etid = ETID;
}

TestSuite(send, .init = begin);

/* One verb each, with what it must put on the wire. */
static enum smq_status verb_subscribe(void)
{
    return smq_subscribe(&smq, "a/b");
}
static enum smq_status verb_create(void)
{
    return smq_create(&smq, "a/b");
}
static enum smq_status verb_createsub(void)
{
    return smq_createsub(&smq, "s");
}
static enum smq_status verb_unsubscribe(void)
{
    return smq_unsubscribe(&smq, 0xA1B2C3D4);
}
static enum smq_status verb_observe(void)
{
    return smq_observe(&smq, 0xA1B2C3D4);
}
static enum smq_status verb_unobserve(void)
{
    return smq_unobserve(&smq, 0xA1B2C3D4);
}
static enum smq_status verb_ping(void)
{
    return smq_ping(&smq);
}
static enum smq_status verb_disconnect(void)
{
    return smq_disconnect(&smq, NULL);
}
static enum smq_status verb_disconnect_reason(void)
{
    return smq_disconnect(&smq, "bye");
}
static enum smq_status verb_publish(void)
{
    return smq_publish(&smq, 0xA1B2C3D4, 0x11223344, "hi", 2);
}
static enum smq_status verb_publish_empty(void)
{
    return smq_publish(&smq, 0xA1B2C3D4, 0, NULL, 0);
}
static enum smq_status verb_fragment(void)
{
    return smq_publish_fragment(&smq, "hi", 2);
}
static enum smq_status verb_last(void)
{
    return smq_publish_last(&smq, 0xA1B2C3D4, 0x11223344, "hi", 2);
}

#define WIRE(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
static const struct verb {
    const char *name;
    enum smq_status (*run)(void);
    const uint8_t *wire;
    size_t wire_bytes;
} verbs[] = {
    {"subscribe", verb_subscribe, WIRE(0, 6, 4, 'a', '/', 'b')},
    {"create", verb_create, WIRE(0, 6, 6, 'a', '/', 'b')},
    {"createsub", verb_createsub, WIRE(0, 4, 17, 's')},
    {"unsubscribe", verb_unsubscribe, WIRE(0, 7, 9, 0xA1, 0xB2, 0xC3, 0xD4)},
    {"observe", verb_observe, WIRE(0, 7, 14, 0xA1, 0xB2, 0xC3, 0xD4)},
    {"unobserve", verb_unobserve, WIRE(0, 7, 15, 0xA1, 0xB2, 0xC3, 0xD4)},
    {"ping", verb_ping, WIRE(0, 3, 12)},
    {"disconnect", verb_disconnect, WIRE(0, 3, 11)},
    {"disconnect with a reason", verb_disconnect_reason, WIRE(0, 6, 11, 'b', 'y', 'e')},
    {"publish", verb_publish,
     WIRE(0, 17, 8, 0xA1, 0xB2, 0xC3, 0xD4, 1, 2, 3, 4, 0x11, 0x22, 0x33, 0x44, 'h', 'i')},
    {"publish nothing", verb_publish_empty,
     WIRE(0, 15, 8, 0xA1, 0xB2, 0xC3, 0xD4, 1, 2, 3, 4, 0, 0, 0, 0)},
    {"fragment", verb_fragment, WIRE(0, 17, 19, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 'h', 'i')},
    {"last", verb_last,
     WIRE(0, 17, 19, 0xA1, 0xB2, 0xC3, 0xD4, 1, 2, 3, 4, 0x11, 0x22, 0x33, 0x44, 'h', 'i')},
};
#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

Test(send, returns_closed_and_stays_silent_when_any_byte_fails)
{
    for (size_t v = 0; v < VERB_COUNT; v++) {
        for (size_t fails_at = 0; fails_at < verbs[v].wire_bytes; fails_at++) {
            begin();
            fake.send_fails_at = fails_at;
            cr_assert_eq(verbs[v].run(), SMQ_CLOSED, "%s, byte %zu", verbs[v].name, fails_at);
            cr_assert_eq(fake.sent_bytes, fails_at);

            size_t call_count = fake.call_count;
            for (size_t w = 0; w < VERB_COUNT; w++)
                cr_assert_eq(verbs[w].run(), SMQ_CLOSED);
            cr_assert_eq(smq_next(&smq, 0), SMQ_CLOSED);
            cr_assert_eq(fake.call_count, call_count, "the transport was used after its end");
        }
    }
}

Test(send, puts_each_packet_on_the_wire_however_it_is_cut)
{
    for (size_t v = 0; v < VERB_COUNT; v++) {
        for (size_t bytes_max = 1; bytes_max <= verbs[v].wire_bytes; bytes_max++) {
            begin();
            fake.send_bytes_max = bytes_max;
            cr_assert_eq(verbs[v].run(), SMQ_OK, "%s", verbs[v].name);
            fake_expect_sent(&fake, verbs[v].wire, verbs[v].wire_bytes);
        }
    }
}

Test(send, refuses_a_transport_that_takes_more_than_there_is)
{
    fake.send_lie = 4; /* of a Ping's three bytes */
    cr_assert_eq(smq_ping(&smq), SMQ_CLOSED);
}

Test(send, takes_zero_bytes_sent_for_the_end)
{
    fake.send_bytes_max = 0;
    cr_assert_eq(smq_ping(&smq), SMQ_CLOSED);
}

Test(send, sends_no_byte_of_what_is_too_big)
{
    static char name[SMQ_FRAME_BYTES_MAX];
    static uint8_t payload[SMQ_PAYLOAD_BYTES_MAX + 1];

    memset(name, 'x', sizeof name - 1);
    name[SMQ_FRAME_BYTES_MAX - SMQ_HEADER_BYTES + 1] = '\0';
    cr_assert_eq(smq_subscribe(&smq, name), SMQ_TOO_BIG);
    cr_assert_eq(smq_disconnect(&smq, name), SMQ_TOO_BIG);
    cr_assert_eq(smq_publish(&smq, 5, 0, payload, sizeof payload), SMQ_TOO_BIG);
    cr_assert_eq(smq_publish(&smq, 5, 0, payload, SIZE_MAX), SMQ_TOO_BIG);
    cr_assert_eq(smq_publish_fragment(&smq, payload, sizeof payload), SMQ_TOO_BIG);
    cr_assert_eq(smq_publish_last(&smq, 5, 0, payload, sizeof payload), SMQ_TOO_BIG);
    cr_assert_eq(fake.call_count, 0);

    cr_assert_eq(smq_ping(&smq), SMQ_OK, "too big must not end the connection");
}

Test(send, takes_the_largest_name_and_payload)
{
    static char name[SMQ_FRAME_BYTES_MAX];
    static uint8_t payload[SMQ_PAYLOAD_BYTES_MAX];

    memset(name, 'x', SMQ_FRAME_BYTES_MAX - SMQ_HEADER_BYTES);
    cr_assert_eq(smq_subscribe(&smq, name), SMQ_OK);
    cr_assert_eq(fake.sent_bytes, SMQ_FRAME_BYTES_MAX);
    cr_assert_eq(smq_load_u16(fake.sent), SMQ_FRAME_BYTES_MAX);

    fake.sent_bytes = 0;
    cr_assert_eq(smq_publish(&smq, 5, 0, payload, sizeof payload), SMQ_OK);
    cr_assert_eq(fake.sent_bytes, SMQ_FRAME_BYTES_MAX);
    cr_assert_eq(smq_load_u16(fake.sent), SMQ_FRAME_BYTES_MAX);
}

Test(send, counts_fragments_together_and_begins_anew_after_the_last)
{
    static uint8_t payload[SMQ_PAYLOAD_BYTES_MAX];

    for (int round = 0; round < 2; round++) {
        cr_assert_eq(smq_publish_fragment(&smq, payload, SMQ_PAYLOAD_BYTES_MAX - 10), SMQ_OK);
        cr_assert_eq(smq_publish_fragment(&smq, payload, 4), SMQ_OK);
        size_t sent_bytes = fake.sent_bytes;
        cr_assert_eq(smq_publish_fragment(&smq, payload, 7), SMQ_TOO_BIG);
        cr_assert_eq(smq_publish_last(&smq, 5, 0, payload, 7), SMQ_TOO_BIG);
        cr_assert_eq(fake.sent_bytes, sent_bytes);
        cr_assert_eq(smq_ping(&smq), SMQ_OK, "other packets may come between");
        cr_assert_eq(smq_publish_last(&smq, 5, 0, payload, 6), SMQ_OK);
    }
}
