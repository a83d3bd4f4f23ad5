/*
 * bench/histogram.h — how often each latency was seen, in constant memory.
 *
 * Log-linear, the layout of HDR histograms: every power of two is cut into 128 equal buckets, so
 * a value is off by less than 1 % and recording one is a shift and an add.
 *
 * Thread: one owner each; merge them when the owners have ended. Pure: no clock, no allocation.
 */
#pragma once

#include <stdint.h>

#define HISTOGRAM_STEP_BITS  7u  /* 128 buckets for each power of two: under 1 % error */
#define HISTOGRAM_VALUE_BITS 40u /* 2^40 ns is 18 minutes; larger values count as that */
#define HISTOGRAM_STEPS      (1u << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_VALUE_MAX  ((1ull << HISTOGRAM_VALUE_BITS) - 1)
#define HISTOGRAM_BUCKETS    ((HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS)

struct histogram {
    uint64_t count;     /* values recorded */
    uint64_t value_max; /* the largest, exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Which bucket a value falls into; values above HISTOGRAM_VALUE_MAX go into the last one. */
static inline uint32_t histogram_bucket(uint64_t value)
{
    if (value > HISTOGRAM_VALUE_MAX)
        value = HISTOGRAM_VALUE_MAX;
    if (value < HISTOGRAM_STEPS)
        return (uint32_t)value;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
    return shift * HISTOGRAM_STEPS + (uint32_t)(value >> shift);
}

/* Count one value. O(1). */
static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
    histogram->buckets[histogram_bucket(value)]++;
    histogram->count++;
    if (value > histogram->value_max)
        histogram->value_max = value;
}

/* The largest value that falls into @bucket. */
uint64_t histogram_bucket_value_max(uint32_t bucket);

/* Add @from to @into. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/**
 * The smallest value that at least @share (0..1) of the recorded ones do not exceed, rounded up
 * to its bucket's end and never above the true maximum. 0 when nothing was recorded.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double share);
