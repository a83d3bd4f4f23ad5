/*
 * core/siphash.h — SipHash-2-4, the keyed hash for everything a client chooses (names, UIDs), and
 * the random numbers that ids are drawn from. Pure; any thread.
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). The key is drawn at
 * boot, so nobody outside can aim at one bucket, and nobody can guess the next id.
 */
#pragma once

#include "core/must.h"

struct siphash_key {
    uint64_t k0, k1;
};

uint64_t siphash(const struct siphash_key *key, struct span bytes);

/* Numbers nobody can predict without the key: siphash over a counter. One owner. */
struct random_ids {
    struct siphash_key key;
    uint64_t counter;
};

uint32_t random_ids_next(struct random_ids *random);

/* Mix of a small number, for table slots; not keyed: ids are random already or pinned. */
static inline uint32_t hash_u32(uint32_t value)
{
    value ^= value >> 16;
    value *= 0x7feb352du;
    value ^= value >> 15;
    value *= 0x846ca68bu;
    value ^= value >> 16;
    return value;
}
