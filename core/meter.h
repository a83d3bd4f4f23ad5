/*
 * core/meter.h — how much a second, and how long to wait when it was more.
 *
 *        paid until      now
 *      ──────┼────────────┼───────>     what is used moves `until` on by amount / rate
 *            └ at most a second back: so much may come at once
 *
 * A meter is one number: the time until which all that was used has been paid for at the rate.
 * While that is in the past there is credit; when it is in the future, the difference is the wait.
 * So a meter that nobody uses needs no care, and one of zeros is full.
 *
 * Time is in ticks (a quarter of a second, as in net/wheel.h) with 32 more bits behind the point.
 * Pure.
 */
#pragma once

#include <stdatomic.h>

#include "core/must.h"

#define METER_TICKS_PER_S 4u
#define METER_SECOND      ((int64_t)METER_TICKS_PER_S << 32)

/* Amounts are bounded so that amount * METER_SECOND fits: 2^28 is more than comes at once. */
#define METER_AMOUNT_MAX (1u << 28)

struct meter {
    int64_t until;
};

/* The same for several threads. */
struct shared_meter {
    _Atomic int64_t until;
};

static inline int64_t meter_next(int64_t until, uint32_t amount, uint32_t rate, uint32_t now_tick)
{
    int64_t now = (int64_t)now_tick << 32;
    int64_t start = until < now - METER_SECOND ? now - METER_SECOND : until;

    must(rate > 0 && amount <= METER_AMOUNT_MAX);
    return start + (int64_t)amount * METER_SECOND / rate;
}

/* Ticks from now until all is paid for, rounded up; 0: it is. */
static inline uint32_t meter_wait(int64_t until, uint32_t now_tick)
{
    int64_t debt = until - ((int64_t)now_tick << 32);

    return debt <= 0 ? 0 : (uint32_t)((debt + UINT32_MAX) >> 32);
}

/* Use @amount of @rate a second. Returns how many ticks to wait before more is used. */
static inline uint32_t meter_take(struct meter *meter, uint32_t amount, uint32_t rate,
                                  uint32_t now_tick)
{
    meter->until = meter_next(meter->until, amount, rate, now_tick);
    return meter_wait(meter->until, now_tick);
}

/* Any thread. */
static inline uint32_t shared_meter_take(struct shared_meter *meter, uint32_t amount, uint32_t rate,
                                         uint32_t now_tick)
{
    int64_t before = atomic_load_explicit(&meter->until, memory_order_relaxed);
    int64_t after;

    do {
        after = meter_next(before, amount, rate, now_tick);
    } while (!atomic_compare_exchange_weak_explicit(&meter->until, &before, after,
                                                    memory_order_relaxed, memory_order_relaxed));
    return meter_wait(after, now_tick);
}
