/* core/latency.c — see core/latency.h. */
#include "core/latency.h"

/* The middle of a bucket. */
static uint64_t bucket_ns(uint32_t bucket)
{
    if (bucket < 8)
        return bucket;
    uint64_t step = 1ull << (bucket / 8 - 1);

    return (8 + bucket % 8) * step + step / 2;
}

void latency_add(struct latency_counts *sum, const struct latency *latency)
{
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        sum->at[i] += counter_read(&latency->counts[i]);
}

struct latency_counts latency_since(const struct latency_counts *now,
                                    const struct latency_counts *before)
{
    struct latency_counts since;

    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        since.at[i] = now->at[i] - before->at[i];
    return since;
}

uint64_t latency_count(const struct latency_counts *counts)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        sum += counts->at[i];
    return sum;
}

uint64_t latency_quantile_ns(const struct latency_counts *counts, uint32_t per_mille)
{
    uint64_t count = latency_count(counts);
    uint64_t wanted = (count * per_mille + 999) / 1000;
    uint64_t seen = 0;

    for (uint32_t i = 0; i < LATENCY_BUCKETS && count > 0; i++) {
        seen += counts->at[i];
        if (seen >= wanted && seen > 0)
            return bucket_ns(i);
    }
    return 0;
}
