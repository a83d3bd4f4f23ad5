/*
 * tests/unit/bench/test_histogram.c — mirrors bench/histogram.h.
 * Goal: a quantile is never below the true one and never more than 1 % above it.
 * Method: walk the bucket borders over the whole range; compare quantiles with a sorted list.
 */
#include "bench/histogram.h"

#include <stdlib.h>

#include <criterion/criterion.h>

static struct histogram histogram;

Test(histogram, of_nothing_has_the_quantile_zero)
{
    cr_assert_eq(histogram_quantile(&histogram, 0.99), 0);
}

Test(histogram, puts_what_is_too_large_into_the_last_bucket)
{
    cr_assert_eq(histogram_bucket(HISTOGRAM_VALUE_MAX), HISTOGRAM_BUCKETS - 1);
    cr_assert_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

Test(histogram, has_buckets_without_gap_or_overlap)
{
    for (uint32_t i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
        uint64_t last = histogram_bucket_value_max(i);

        cr_assert_eq(histogram_bucket(last), i);
        cr_assert_eq(histogram_bucket(last + 1), i + 1);
    }
    cr_assert_eq(histogram_bucket_value_max(HISTOGRAM_BUCKETS - 1), HISTOGRAM_VALUE_MAX);
}

Test(histogram, errs_by_less_than_one_percent)
{
    for (uint64_t value = 1; value < HISTOGRAM_VALUE_MAX; value += 1 + value / 7) {
        uint64_t shown = histogram_bucket_value_max(histogram_bucket(value));

        cr_assert_geq(shown, value);
        cr_assert_leq(shown - value, value / 100);
    }
}

Test(histogram, never_shows_more_than_the_true_maximum)
{
    histogram_record(&histogram, 1000001);
    cr_assert_eq(histogram_quantile(&histogram, 1.0), 1000001);
    cr_assert_eq(histogram_quantile(&histogram, 0.5), 1000001);
}

Test(histogram, rounds_ranks_up)
{
    for (uint64_t value = 1; value <= 100; value++)
        histogram_record(&histogram, value); /* exact below 128 */
    cr_assert_eq(histogram_quantile(&histogram, 0.0), 1);
    cr_assert_eq(histogram_quantile(&histogram, 0.5), 50);
    cr_assert_eq(histogram_quantile(&histogram, 0.501), 51);
    cr_assert_eq(histogram_quantile(&histogram, 0.99), 99);
    cr_assert_eq(histogram_quantile(&histogram, 1.0), 100);
}

Test(histogram, merges_counts_and_maximum)
{
    static struct histogram other;

    histogram_record(&histogram, 5);
    histogram_record(&other, 7);
    histogram_record(&other, 100000);
    histogram_merge(&histogram, &other);
    cr_assert_eq(histogram.count, 3);
    cr_assert_eq(histogram.value_max, 100000);
    cr_assert_eq(histogram_quantile(&histogram, 0.5), 7);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

Test(histogram, agrees_with_a_sorted_list)
{
    enum { COUNT = 10000 };
    static uint64_t values[COUNT];
    static const double shares[] = {0.01, 0.5, 0.9, 0.99, 0.999};

    srand(7);
    for (uint32_t i = 0; i < COUNT; i++) {
        values[i] = (uint64_t)rand() >> (rand() % 30);
        histogram_record(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), compare_u64);
    for (uint32_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        uint64_t exact = values[(uint32_t)(shares[i] * COUNT + 0.5) - 1];
        uint64_t shown = histogram_quantile(&histogram, shares[i]);

        cr_assert_geq(shown, exact);
        cr_assert_leq(shown - exact, exact / 100);
    }
}
