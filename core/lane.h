/*
 * core/lane.h — a one-way lane between two actors, and the parking place of a thread.
 *
 *      pusher --envelopes--> [spill] --> ck_ring of N slots --> popper
 *
 * Exactly one thread pushes and exactly one pops. Both sides are wait-free. We do not use CK's
 * many-producer ring: there a producer that was descheduled half-way holds up all later ones.
 *
 * A push never fails and never blocks: what does not fit goes to the pusher's own spill list and
 * moves on with the next push or flush. Who sees lane_is_backlogged() stops taking in new work
 * until the spill is empty, so the spill is bounded by what one bite of input can produce. That
 * is the whole of back-pressure between actors, and nobody ever waits for another.
 *
 * Order: first in, first out within a lane. Across lanes, no promise.
 * Room:  slots minus one (CK keeps one empty).
 * Sleep: the popper sets parked, fences fully, looks once more, then sleeps; the waker pushes,
 *        fences fully, then reads parked. One of the two must see the other. Leave out either
 *        fence and a wake-up is lost, on x86 too.
 */
#pragma once

#include <ck_ring.h>
#include <stdatomic.h>

#include "core/envelope.h"
#include "core/mem.h"

/* Where one thread sleeps. Inline shards share the parker of their I/O thread. */
struct parker {
    alignas(CACHE_LINE) _Atomic bool parked; /* set by the sleeper, cleared by one waker */
    int wake_fd;                             /* eventfd; constant after boot */
    _Atomic uint64_t wake_count;             /* system calls made to wake it: by any waker */
};

struct lane {
    ck_ring_t ring;         /* both sides; CK keeps head and tail on lines of their own */
    struct envelope *slots; /* constant after boot */
    struct parker *parker;  /* the popper's; constant after boot */

    /* -- pushing side only; full_count is read by any -- */
    alignas(CACHE_LINE) struct mem *mem;
    struct envelope *spill;
    uint32_t spill_first_index;
    uint32_t spill_count;
    uint32_t spill_capacity;
    _Atomic uint64_t full_count;
    _Atomic uint64_t pushed_count;
};

/* Boot and shutdown; only main, while no other thread runs. @slot_count: a power of two. */
void lane_init(struct lane *lane, struct mem *mem, uint32_t slot_count, struct parker *parker);
void lane_deinit(struct lane *lane); /* whatever is left in it is dropped, with its references */

/**
 * Copy @envelope into the lane. Thread: the pushing side.
 * Takes: the envelope's msg reference. Cost: wait-free, no system call (see parker_wake).
 */
void lane_push(struct lane *lane, const struct envelope *envelope);

/* Move the spill on. Thread: the pushing side. Returns: is the spill empty? */
bool lane_flush(struct lane *lane);

static inline bool lane_is_backlogged(const struct lane *lane)
{
    return lane->spill_count > 0;
}

/* Take the oldest; the caller owns its msg reference. Thread: the popping side. */
MUST_CHECK bool lane_pop(struct lane *lane, struct envelope *out);

/* How many envelopes wait in the ring: exact on either side, a snapshot for others. */
uint32_t lane_depth(const struct lane *lane);

/* How many more surely fit without a spill. Thread: the pushing side. */
uint32_t lane_room(const struct lane *lane);

/* Only main, at boot and shutdown. */
MUST_CHECK enum status parker_init(struct parker *parker);
void parker_deinit(struct parker *parker);

/* Wake the sleeper if it is parked; one system call then, none otherwise. Any thread, once per
 * batch of pushes. */
void parker_wake(struct parker *parker);

/* The sleeper's half: announce, then look at every lane once more before sleeping. */
void parker_prepare(struct parker *parker);
/* Woken, or there was work after all. */
void parker_cancel(struct parker *parker);
