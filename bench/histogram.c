/*
 * bench/histogram.c — reading a histogram: the half that runs once, after the measurement.
 */
#include "bench/histogram.h"

#include "core/must.h"

uint64_t histogram_bucket_value_max(uint32_t bucket)
{
    must(bucket < HISTOGRAM_BUCKETS);
    if (bucket < 2 * HISTOGRAM_STEPS)
        return bucket; /* the first two powers are exact */
    uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
    uint64_t step = HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS;
    return ((step + 1) << shift) - 1;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    if (from->value_max > into->value_max)
        into->value_max = from->value_max;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    must(share >= 0.0 && share <= 1.0);
    if (histogram->count == 0)
        return 0;

    double exact_rank = share * (double)histogram->count;
    uint64_t rank = (uint64_t)exact_rank;
    if ((double)rank < exact_rank || rank == 0)
        rank++; /* "at least this many": round up */

    uint64_t seen_count = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen_count += histogram->buckets[i];
        if (seen_count < rank)
            continue;
        uint64_t value = histogram_bucket_value_max(i);
        return value < histogram->value_max ? value : histogram->value_max;
    }
    return histogram->value_max;
}
