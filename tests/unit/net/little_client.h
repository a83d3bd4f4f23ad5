/*
 * tests/unit/net/little_client.h — what tests say to and hear from a little_broker's first I/O
 * actor. Include Criterion first. One test, one thread.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "tests/unit/net/little_broker.h"

#define DEVICE_HEAD "GET /a HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n"

static struct little_broker broker;
static uint32_t heard_bytes[LITTLE_SLOTS]; /* of each wire: the test is past these */

static inline void say(uint32_t slot, const void *bytes, size_t bytes_count)
{
    little_feed(&broker, 0, slot, span_of(bytes, bytes_count));
}

static inline void say_text(uint32_t slot, const char *text)
{
    say(slot, text, strlen(text));
}

/* Build a frame; returns its length. */
static inline size_t frame_of(uint8_t *out, uint8_t type, const void *body, size_t bytes_count)
{
    smq_store_u16(out, (uint16_t)(SMQ_HEADER_BYTES + bytes_count));
    out[SMQ_LENGTH_BYTES] = type;
    if (bytes_count > 0)
        memcpy(out + SMQ_HEADER_BYTES, body, bytes_count);
    return SMQ_HEADER_BYTES + bytes_count;
}

static inline void say_frame(uint32_t slot, uint8_t type, const void *body, size_t bytes_count)
{
    static uint8_t frame[SMQ_FRAME_BYTES_MAX];

    say(slot, frame, frame_of(frame, type, body, bytes_count));
}

static inline size_t publish_body(uint8_t *out, uint32_t destination, uint32_t publisher,
                                  const char *payload)
{
    smq_store_u32(out, destination);
    smq_store_u32(out + 4, publisher);
    smq_store_u32(out + 8, 0);
    memcpy(out + 12, payload, strlen(payload));
    return 12 + strlen(payload);
}

/* The next frame that arrived; asserts its type. Returns its body. */
static inline struct span hear(uint32_t slot, uint8_t type)
{
    struct little_wire *wire = &broker.wires[0][slot];
    const uint8_t *frame = wire->got + heard_bytes[slot];

    cr_assert_geq(wire->got_bytes - heard_bytes[slot], SMQ_HEADER_BYTES, "nothing came");
    cr_assert_eq(frame[SMQ_LENGTH_BYTES], type, "type %u came, not %u", frame[SMQ_LENGTH_BYTES],
                 type);
    heard_bytes[slot] += smq_load_u16(frame);
    return span_of(frame + SMQ_HEADER_BYTES, smq_load_u16(frame) - SMQ_HEADER_BYTES);
}

static inline void hear_nothing(uint32_t slot)
{
    cr_assert_eq(broker.wires[0][slot].got_bytes, heard_bytes[slot], "something came");
}

/* The text that arrived next, all of it. */
static inline void hear_text(uint32_t slot, const char *text)
{
    struct little_wire *wire = &broker.wires[0][slot];

    cr_assert_eq(wire->got_bytes - heard_bytes[slot], strlen(text));
    cr_assert_eq(memcmp(wire->got + heard_bytes[slot], text, strlen(text)), 0);
    heard_bytes[slot] = wire->got_bytes;
}

static inline void assert_body(struct span body, const void *expected, size_t bytes_count)
{
    cr_assert_eq(body.bytes_count, bytes_count);
    cr_assert_eq(memcmp(body.data, expected, bytes_count), 0);
}

static inline void dial(uint32_t slot)
{
    cr_assert(little_accept(&broker, 0, slot));
    heard_bytes[slot] = 0;
}

/* Connect as @uid (six letters); returns the ETID. */
static inline uint32_t join(uint32_t slot, const char *uid)
{
    char body[16];
    int body_bytes = snprintf(body, sizeof(body), "\1\6%s%c", uid, 0);

    dial(slot);
    say_text(slot, DEVICE_HEAD);
    say_frame(slot, SMQ_CONNECT, body, (size_t)body_bytes);
    little_settle(&broker);
    (void)hear(slot, SMQ_INIT);
    struct span connack = hear(slot, SMQ_CONNACK);
    cr_assert_eq(connack.data[0], SMQ_CONNACK_ACCEPTED);
    return smq_load_u32(connack.data + 1);
}

/* Subscribe; returns the TID. */
static inline uint32_t subscribe(uint32_t slot, const char *name)
{
    say_frame(slot, SMQ_SUBSCRIBE, name, strlen(name));
    little_settle(&broker);
    struct span suback = hear(slot, SMQ_SUBACK);
    cr_assert_eq(suback.data[0], SMQ_ACK_OK);
    return smq_load_u32(suback.data + 1);
}

static inline struct conn *conn_of(uint32_t slot)
{
    return little_conn(&broker, 0, slot);
}

/* Bytes of one kind that the I/O actor holds. */
static inline int64_t io_bytes(enum mem_kind kind)
{
    return atomic_load(&broker.ios[0].mem.kind_bytes[kind]);
}
