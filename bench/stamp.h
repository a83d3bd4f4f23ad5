/*
 * bench/stamp.h — the first bytes of every payload: who sent it, which one it is, and when.
 *
 * Sender and receiver are the same process, so the fields travel in the host's byte order. The
 * run number keeps messages of an earlier, killed run from being taken for ours.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/must.h"

#define STAMP_MAGIC 0x736D7162u /* "smqb" */

struct stamp {
    uint32_t magic;
    uint32_t run;             /* one number for each start of the bench */
    uint32_t publisher_index; /* who */
    uint32_t flow_index;      /* to what: see bench/plan.h */
    uint64_t number;          /* counts from 0 in each flow */
    uint64_t sent_ns;         /* when it was sent; at a fixed rate, when it should have been */
    uint32_t slot_index;      /* the place it takes in its publisher's window */
    uint32_t unused;
};

#define STAMP_BYTES 40u /* also the smallest --payload, and in its help */
_Static_assert(sizeof(struct stamp) == STAMP_BYTES, "no padding, no surprise");

static inline void stamp_write(uint8_t *at, const struct stamp *stamp)
{
    memcpy(at, stamp, sizeof(*stamp));
}

/* False when @payload is not one of this run's messages. */
MUST_CHECK static inline bool stamp_read(struct span payload, uint32_t run, struct stamp *stamp)
{
    if (payload.bytes_count < sizeof(*stamp))
        return false;
    memcpy(stamp, payload.data, sizeof(*stamp));
    return stamp->magic == STAMP_MAGIC && stamp->run == run;
}
