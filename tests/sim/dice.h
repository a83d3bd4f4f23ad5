/*
 * tests/sim/dice.h — the only source of chance in the simulation: one seed, one sequence.
 *
 * SplitMix64: 64 bits of state, good enough to spread choices, and the same on every machine.
 * Nothing else in tests/sim/ may ask for randomness, the time or an address, or a seed would not
 * repeat its run. Thread: one.
 */
#pragma once

#include "core/must.h"

struct dice {
    uint64_t state;
};

/* The finalizer of SplitMix64; also used alone, to make message contents from their number. */
static inline uint64_t dice_mix(uint64_t value)
{
    value ^= value >> 30;
    value *= 0xbf58476d1ce4e5b9ull;
    value ^= value >> 27;
    value *= 0x94d049bb133111ebull;
    return value ^ value >> 31;
}

static inline uint64_t dice_next(struct dice *dice)
{
    dice->state += 0x9e3779b97f4a7c15ull;
    return dice_mix(dice->state);
}

/* 0 … @bound-1. */
static inline uint32_t dice_below(struct dice *dice, uint32_t bound)
{
    must(bound > 0);
    return (uint32_t)(((dice_next(dice) >> 32) * bound) >> 32);
}

/* @low … @high, both included. */
static inline uint32_t dice_between(struct dice *dice, uint32_t low, uint32_t high)
{
    must(low <= high);
    return low + dice_below(dice, high - low + 1);
}

/* True in @percent of 100 throws. */
static inline bool dice_percent(struct dice *dice, uint32_t percent)
{
    return dice_below(dice, 100) < percent;
}

/* An index into @weights, each as likely as its share of the sum (which must not be 0). */
static inline uint32_t dice_weighted(struct dice *dice, const uint8_t *weights, uint32_t count)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < count; i++)
        sum += weights[i];
    uint32_t throw = dice_below(dice, sum);

    for (uint32_t i = 0; i < count; i++) {
        if (throw < weights[i])
            return i;
        throw -= weights[i];
    }
    must_never("the throw was below the sum");
}
