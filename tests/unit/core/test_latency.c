/*
 * tests/unit/core/test_latency.c — mirrors core/latency.c.
 *
 * Goal:   every duration has a bucket, and a quantile is never further off than the header says.
 * Method: durations around each power of two; distributions whose quantiles are known.
 */
#include "core/latency.h"

#include <criterion/criterion.h>

static struct latency latency;

static struct latency_counts counts_now(void)
{
    struct latency_counts counts = {0};

    latency_add(&counts, &latency);
    return counts;
}

static uint64_t quantile(uint32_t per_mille)
{
    struct latency_counts counts = counts_now();

    return latency_quantile_ns(&counts, per_mille);
}

static void assert_near(uint64_t got, uint64_t wanted)
{
    uint64_t off = got > wanted ? got - wanted : wanted - got;

    cr_assert_leq(off * 100, wanted * 7, "%llu ns for %llu ns", (unsigned long long)got,
                  (unsigned long long)wanted);
}

Test(latency, says_nothing_of_nothing)
{
    cr_assert_eq(quantile(500), 0);
    cr_assert_eq(quantile(1000), 0);
}

Test(latency, has_buckets_in_order_and_no_gap)
{
    uint32_t last = 0;

    for (uint64_t ns = 0; ns < 100000; ns++) {
        uint32_t bucket = latency_bucket(ns);

        cr_assert(bucket == last || bucket == last + 1, "at %llu ns", (unsigned long long)ns);
        last = bucket;
    }
    cr_assert_eq(latency_bucket((1ull << 33) - 1), LATENCY_BUCKETS - 1);
    cr_assert_eq(latency_bucket(1ull << 33), LATENCY_BUCKETS - 1);
    cr_assert_eq(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
}

Test(latency, is_right_to_seven_per_cent_at_every_size)
{
    for (uint32_t log2 = 0; log2 < 33; log2++) {
        for (uint64_t eighth = 8; eighth < 16; eighth++) {
            uint64_t ns = log2 < 3 ? 1ull << log2 : eighth << (log2 - 3);

            latency = (struct latency){0};
            latency_note(&latency, ns);
            assert_near(quantile(500), ns);
            assert_near(quantile(1000), ns);
        }
    }
}

Test(latency, finds_quantiles)
{
    for (uint64_t i = 1; i <= 1000; i++)
        latency_note(&latency, i * 1000);
    assert_near(quantile(500), 500000);
    assert_near(quantile(990), 990000);
    assert_near(quantile(1), 1000);
    assert_near(quantile(0), 1000);
    assert_near(quantile(1000), 1000000);
}

Test(latency, tells_what_came_since)
{
    for (uint32_t i = 0; i < 100; i++)
        latency_note(&latency, 1000);
    struct latency_counts before = counts_now();

    for (uint32_t i = 0; i < 10; i++)
        latency_note(&latency, 50000);
    struct latency_counts now = counts_now();
    struct latency_counts since = latency_since(&now, &before);

    cr_assert_eq(latency_count(&since), 10);
    assert_near(latency_quantile_ns(&since, 1), 50000);
    cr_assert_eq(latency_count(&now), 110);
    assert_near(latency_quantile_ns(&now, 500), 1000);
}
