/*
 * tests/unit/core/dice.h — repeatable chance for tests: the same seed, the same throws.
 */
#pragma once

#include <stdint.h>

struct dice {
    uint64_t state; /* any number but 0 */
};

/* Marsaglia's xorshift: enough to mix the order of operations. */
static inline uint32_t dice_throw(struct dice *dice)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return (uint32_t)(dice->state >> 16);
}

/* 0 … @count - 1. */
static inline uint32_t dice_below(struct dice *dice, uint32_t count)
{
    return dice_throw(dice) % count;
}
