/*
 * net/outq.h — what waits to be sent on one connection: whole frames in a list of chunks.
 *
 *      head → [ 1 2 3 | 4 5 ] → [ shared msg ] → [ 6 7 … room ] ← tail
 *               ^^^^^ in flight: the kernel reads these; nothing before in_flight_bytes moves
 *
 * Small pieces are copied into the tail chunk; a run of LIMIT_SHARE_BYTES_MIN or more is kept as a
 * reference to the message. A piece is never split over two chunks. An empty queue owns nothing.
 * The frames are raw SMQ or WebSocket, as the connection speaks; only dropping looks at them.
 * Thread: the I/O actor's.
 */
#pragma once

#include <sys/uio.h>

#include "core/msg.h"

struct out_chunk {
    struct out_chunk *next; /* of the last one: the first */
    struct msg *shared;     /* the bytes are in there; NULL: they are in data[] */
    uint32_t start;         /* first byte not yet sent */
    uint32_t end;           /* first byte not filled */
    uint32_t capacity;      /* of data[] */
    bool is_cut;            /* a send ended short: start may lie inside a frame */
    bool is_opaque;         /* it holds something else than frames: HTTP */
    uint8_t data[];
};

struct outq {
    struct out_chunk *tail;   /* a circle: tail->next is the head; NULL when empty */
    uint32_t queued_bytes;    /* in flight included */
    uint32_t in_flight_bytes; /* given to the kernel, not yet back */
};

/* Copy @bytes to the end. false: over the memory limit, nothing was added. */
MUST_CHECK bool outq_append(struct outq *out, struct mem *mem, struct span bytes);

/* Add @msg's bytes from @start on, by reference (takes a reference of its own on true). */
MUST_CHECK bool outq_append_shared(struct outq *out, struct mem *mem, struct msg *msg,
                                   uint32_t start, uint32_t end);

/* Room for @bytes_max at the end, in place, to be given back or committed before anything else is
 * done with the queue. NULL: over the memory limit. */
MUST_CHECK uint8_t *outq_reserve(struct outq *out, struct mem *mem, uint32_t bytes_max);
/* So many bytes were written to it; 0: none. */
void outq_commit(struct outq *out, struct mem *mem, uint32_t bytes_count);

/* Fill at most @room iovecs from the front and mark them in flight; nothing may be in flight.
 * Returns the number of iovecs; 0 when the queue is empty. */
uint32_t outq_gather(struct outq *out, struct iovec *iovecs, uint32_t room);

/* The kernel took @sent_bytes of what was in flight; the rest is queued again. */
void outq_sent(struct outq *out, struct mem *mem, uint32_t sent_bytes);

/* How the frames of a queue look: see net/ws_codec.h. */
enum framing { FRAMING_RAW = 0, FRAMING_WS };

/* The length of the frame that begins at @frame, and whether it carries a Publish. */
uint32_t framed_bytes(const uint8_t *frame, enum framing framing);
bool framed_is_publish(const uint8_t *frame, enum framing framing);

/* Drop the oldest Publishes that are not in flight until @bytes_wanted are free. Other frames stay,
 * in order. Returns the number of messages dropped; *@freed_bytes says what that freed. */
uint32_t outq_drop_oldest(struct outq *out, struct mem *mem, enum framing framing,
                          uint32_t bytes_wanted, uint32_t *freed_bytes);

/* Free everything. Nothing may be in flight. */
void outq_clear(struct outq *out, struct mem *mem);
