/*
 * core/latency.h — how long something takes: a histogram that one actor writes and any may read.
 *
 * Log-linear: eight steps to each doubling, so a figure is at most 7 % off, from nanoseconds to
 * eight seconds (longer counts as eight). Counts only grow: who wants those of the last second
 * subtracts what it read a second ago.
 */
#pragma once

#include "core/stats.h"

#define LATENCY_BUCKETS 248u

struct latency {
    _Atomic uint64_t counts[LATENCY_BUCKETS]; /* by latency_bucket() */
};

/* Counts as plain numbers: of several actors together, or of a span of time. */
struct latency_counts {
    uint64_t at[LATENCY_BUCKETS];
};

static inline uint32_t latency_bucket(uint64_t ns)
{
    if (ns < 8)
        return (uint32_t)ns;
    uint32_t log2 = 63 - (uint32_t)__builtin_clzll(ns);

    return log2 > 32 ? LATENCY_BUCKETS - 1 : (log2 - 2) * 8 + (uint32_t)(ns >> (log2 - 3) & 7);
}

/* Thread: the one writer. */
static inline void latency_note(struct latency *latency, uint64_t ns)
{
    counter_add(&latency->counts[latency_bucket(ns)], 1);
}

/* Add what was counted so far. Any thread. */
void latency_add(struct latency_counts *sum, const struct latency *latency);

/* What was counted since @before, which was read earlier. */
struct latency_counts latency_since(const struct latency_counts *now,
                                    const struct latency_counts *before);

uint64_t latency_count(const struct latency_counts *counts);

/* So long, in nanoseconds, took the quickest @per_mille of all at most; 0 when there are none. */
uint64_t latency_quantile_ns(const struct latency_counts *counts, uint32_t per_mille);
