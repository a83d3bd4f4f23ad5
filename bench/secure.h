/*
 * bench/secure.h — what lies between a connection's bytes and its protocol, when it is not nothing.
 *
 *      fill (plaintext) --seal--> sealed --> the kernel
 *      the kernel --> records --feed--> plaintext --> the protocol
 *
 * An interface, so that a worker need not know which library does it (bench/tls.c: BoringSSL), and
 * so that the tests of everything else need not link one. A struct secure belongs to one
 * connection slot and outlives its visits: that is how a client has a ticket when it comes back.
 *
 * Thread: the layer is constant and any worker's; a struct secure is its worker's. Pure: bytes in,
 *         bytes out, no socket.
 */
#pragma once

#include "bench/buffer.h"
#include "core/must.h"

#define SECURE_REASON_BYTES 96u

struct secure; /* one connection's; only the layer knows what is in it */

enum secure_status {
    SECURE_HANDSHAKE,   /* going on; nothing may be sealed yet */
    SECURE_ESTABLISHED, /* seal as you like */
    SECURE_CLOSED,      /* the server said goodbye */
    SECURE_FAILED, /* @reason (SECURE_REASON_BYTES) says why; what is in @out may still be sent */
};

/* Bytes as they are on the wire, record headers included. Tickets count as the handshake's: all
 * that came before the first data. */
struct secure_handshakes {
    uint64_t count;
    uint64_t in_bytes;
    uint64_t out_bytes;
};

struct secure_tally {
    struct secure_handshakes full;
    struct secure_handshakes resumed;
};

struct secure_layer {
    /* For one slot; ends the process when there is no memory. */
    struct secure *(*create)(const struct secure_layer *layer);
    void (*destroy)(struct secure *secure); /* NULL is fine */

    /* A visit begins: append the first bytes to @out. */
    void (*begin)(struct secure *secure, struct buffer *out);

    /**
     * Take all of @input: append plaintext to @plain, and what must be answered to @out.
     * A handshake that is over, with its tickets, is added to @tally once.
     */
    enum secure_status (*feed)(struct secure *secure, struct span input, struct buffer *plain,
                               struct buffer *out, struct secure_tally *tally, char *reason);

    /* Append @plain to @out as records. Only when established. */
    void (*seal)(struct secure *secure, struct span plain, struct buffer *out);

    /* Append the word for "nothing more comes", if one can still be said. */
    void (*goodbye)(struct secure *secure, struct buffer *out);

    /* The visit is over, well or badly. */
    void (*end)(struct secure *secure);
};

static inline void secure_handshakes_add(struct secure_handshakes *into,
                                         const struct secure_handshakes *from)
{
    into->count += from->count;
    into->in_bytes += from->in_bytes;
    into->out_bytes += from->out_bytes;
}

static inline void secure_tally_add(struct secure_tally *into, const struct secure_tally *from)
{
    secure_handshakes_add(&into->full, &from->full);
    secure_handshakes_add(&into->resumed, &from->resumed);
}
