/*
 * tests/unit/core/test_meter.c — mirrors core/meter.h.
 *
 * Goal:   over any span, no more than the rate and a second's credit, and no less.
 * Method: time by hand.
 */
#include "core/meter.h"

#include <pthread.h>

#include <criterion/criterion.h>

#include "tests/unit/core/dice.h"

#define NOW 1000u

Test(meter, lets_a_second_through_at_once)
{
    struct meter meter = {0};

    cr_assert_eq(meter_take(&meter, 60, 100, NOW), 0);
    cr_assert_eq(meter_take(&meter, 40, 100, NOW), 0, "all of it");
    cr_assert_eq(meter_take(&meter, 1, 100, NOW), 1, "and no more");
}

Test(meter, waits_until_what_was_too_much_is_paid_for)
{
    struct meter meter = {0};

    cr_assert_eq(meter_take(&meter, 1000, 100, NOW), 9 * METER_TICKS_PER_S);
    cr_assert_eq(meter_wait(meter.until, NOW + 8 * METER_TICKS_PER_S), METER_TICKS_PER_S);
    cr_assert_eq(meter_wait(meter.until, NOW + 9 * METER_TICKS_PER_S), 0);
}

Test(meter, saves_no_more_than_a_second)
{
    struct meter meter = {0};

    (void)meter_take(&meter, 100, 100, NOW);
    cr_assert_eq(meter_take(&meter, 100, 100, NOW + 1000), 0);
    cr_assert_gt(meter_take(&meter, 1, 100, NOW + 1000), 0);
}

Test(meter, counts_small_amounts_at_great_rates)
{
    struct meter meter = {0};
    uint32_t taken = 0;

    while (meter_take(&meter, 10, 1000000000, NOW) == 0)
        taken += 10;
    cr_assert_leq(taken, 1010000000);
    cr_assert_geq(taken, 990000000, "rounding is a hundredth, not more");
}

Test(meter, holds_the_rate_over_any_time)
{
    struct dice dice = {.state = 7};
    struct meter meter = {0};
    uint64_t sent = 0;
    uint32_t now = NOW;

    for (int i = 0; i < 10000; i++) {
        uint32_t amount = 1 + dice_below(&dice, 50);

        sent += amount;
        now += meter_take(&meter, amount, 100, now);
        now += dice_below(&dice, 10) == 0;
    }
    cr_assert_leq(sent, (uint64_t)(now - NOW) * 100 / METER_TICKS_PER_S + 100 + 50);
}

static struct shared_meter shared;

static void *use_it(void *argument)
{
    (void)argument;
    for (int i = 0; i < 100000; i++)
        (void)shared_meter_take(&shared, 1, 1000, NOW);
    return NULL;
}

Test(meter, of_several_threads_loses_nothing)
{
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, use_it, NULL), 0);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    uint32_t wait = shared_meter_take(&shared, 1000, 1000, NOW);

    cr_assert_eq(wait, 200u * METER_TICKS_PER_S, "201,000, of which a second was free");
}
