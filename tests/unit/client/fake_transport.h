/*
 * tests/unit/client/fake_transport.h — a transport that plays a script and keeps what is sent.
 *
 * It can cut both directions into small pieces, let every second recv find nothing, and fail at
 * any chosen byte. Every promise the library makes to a transport is asserted in here.
 *
 * Thread: the test's.
 */
#pragma once

#include "client/smq.h"

#define FAKE_SENT_BYTES_MAX 200000u
#define FAKE_NEVER          SIZE_MAX

struct fake {
    struct smq_transport transport;

    /* -- the script: what the broker says -- */
    const uint8_t *script;
    size_t script_bytes;
    size_t script_at;
    bool is_closed_at_end; /* after the script: closed, else silence */

    /* -- how badly -- */
    size_t recv_bytes_max; /* at most so many at once */
    size_t send_bytes_max; /* at most so many taken at once */
    size_t send_fails_at;  /* index of the first byte that cannot be sent */
    bool is_stuttering;    /* every second recv finds nothing */
    int32_t recv_lie;      /* when not 0, recv returns this without storing anything */
    int32_t send_lie;      /* when not 0, send returns this */

    /* -- what the library did -- */
    uint8_t sent[FAKE_SENT_BYTES_MAX];
    size_t sent_bytes;
    size_t call_count;   /* of send and recv together */
    size_t packet_count; /* sends taken whole that promised no more */
    uint32_t timeout_ms; /* of the last recv */
    bool stutter_now;
};

/* A transport that takes everything and plays @script once. */
void fake_init(struct fake *fake, const void *script, size_t script_bytes);

/* Assert that exactly these bytes were sent, as one packet: all parts but the last promised more.
 * Then forget them. */
void fake_expect_sent(struct fake *fake, const void *bytes, size_t bytes_count);

/* Append a frame to @stream; returns the bytes it holds then. */
size_t append_frame(uint8_t *stream, size_t stream_bytes, uint8_t packet, const void *body,
                    size_t body_bytes);
