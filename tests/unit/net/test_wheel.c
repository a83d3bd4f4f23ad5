/*
 * tests/unit/net/test_wheel.c — mirrors net/wheel.c.
 *
 * Goal:   every entry comes out once, not before its deadline, at the first look after it; the
 *         wheel never says that it may sleep longer than until the next one.
 * Method: a naive model (an array of deadlines) under random adds, removals and steps of time, over
 *         several revolutions and over the wrap-around of the tick.
 */
#include "net/wheel.h"

#include <signal.h>

#include <criterion/criterion.h>

#include "tests/unit/core/dice.h"

#define ENTRIES 200u

static struct wheel wheel;
static struct wheel_link links[ENTRIES];

static uint32_t looks_count;

static struct wheel_link *link_of(void *owner, uint32_t index)
{
    cr_assert_eq(owner, links);
    cr_assert_lt(index, ENTRIES);
    looks_count++;
    return &links[index];
}

static void start_at(uint32_t now_tick)
{
    wheel_init(&wheel, now_tick, link_of, links);
}

static uint32_t expire_all(uint32_t now_tick)
{
    uint32_t count = 0;

    while (wheel_expire(&wheel, now_tick) != WHEEL_NONE)
        count++;
    return count;
}

Test(wheel, does_not_remove_what_is_not_in, .signal = SIGABRT)
{
    start_at(0);
    wheel_add(&wheel, 1, 10);
    links[2] = (struct wheel_link){WHEEL_NONE, WHEEL_NONE, 10};
    wheel_remove(&wheel, 2);
}

Test(wheel, has_nothing_when_it_is_empty)
{
    start_at(7);
    cr_assert_eq(wheel_ticks_to_next(&wheel), UINT32_MAX);
    cr_assert_eq(wheel_expire(&wheel, 7), WHEEL_NONE);
    cr_assert_eq(wheel_expire(&wheel, 1000000), WHEEL_NONE);
    cr_assert_eq(wheel.now_tick, 1000000);
}

Test(wheel, is_not_early)
{
    for (uint32_t ahead = 1; ahead < WHEEL_SLOTS * 3; ahead++) {
        start_at(100);
        wheel_add(&wheel, 5, 100 + ahead);
        for (uint32_t now = 100; now < 100 + ahead; now += 13)
            cr_assert_eq(wheel_expire(&wheel, now), WHEEL_NONE);
        cr_assert_eq(wheel_expire(&wheel, 100 + ahead - 1), WHEEL_NONE);
        cr_assert_eq(wheel_expire(&wheel, 100 + ahead), 5);
        cr_assert_eq(wheel.count, 0);
    }
}

Test(wheel, gives_a_past_deadline_at_the_next_tick)
{
    start_at(100);
    wheel_add(&wheel, 1, 100);
    wheel_add(&wheel, 2, 50);
    wheel_add(&wheel, 3, 0);
    cr_assert_eq(wheel_expire(&wheel, 100), WHEEL_NONE);
    cr_assert_eq(expire_all(101), 3);
}

Test(wheel, catches_up_after_a_long_sleep)
{
    start_at(100);
    for (uint32_t i = 0; i < ENTRIES; i++)
        wheel_add(&wheel, i, 101 + i * 20); /* over seven revolutions */
    cr_assert_eq(expire_all(100 + 20 * ENTRIES), ENTRIES);
    cr_assert_eq(wheel_ticks_to_next(&wheel), UINT32_MAX);
}

Test(wheel, leaves_later_revolutions_after_a_long_sleep)
{
    start_at(0);
    wheel_add(&wheel, 1, 3 * WHEEL_SLOTS + 10);
    wheel_add(&wheel, 2, 10);
    cr_assert_eq(wheel_expire(&wheel, 3 * WHEEL_SLOTS), 2);
    cr_assert_eq(wheel_expire(&wheel, 3 * WHEEL_SLOTS), WHEEL_NONE);
    cr_assert_eq(wheel_expire(&wheel, 3 * WHEEL_SLOTS + 9), WHEEL_NONE);
    cr_assert_eq(wheel_expire(&wheel, 3 * WHEEL_SLOTS + 10), 1);
}

Test(wheel, lets_an_entry_be_added_again_while_others_expire)
{
    start_at(0);
    for (uint32_t i = 0; i < 10; i++)
        wheel_add(&wheel, i, 5);
    for (uint32_t round = 0; round < 10; round++) {
        uint32_t index = wheel_expire(&wheel, 5);

        cr_assert_neq(index, WHEEL_NONE);
        wheel_add(&wheel, index, 5 + WHEEL_SLOTS); /* the same slot, a revolution later */
    }
    cr_assert_eq(wheel_expire(&wheel, 5), WHEEL_NONE);
    cr_assert_eq(wheel.count, 10);
    cr_assert_eq(expire_all(5 + WHEEL_SLOTS), 10);
}

Test(wheel, does_not_give_an_entry_twice_in_one_look)
{
    start_at(0);
    wheel_add(&wheel, 1, 5);
    cr_assert_eq(wheel_expire(&wheel, 20), 1);
    wheel_add(&wheel, 1, 3); /* past already */
    cr_assert_eq(wheel_expire(&wheel, 20), WHEEL_NONE);
    cr_assert_eq(wheel_expire(&wheel, 21), 1);
    wheel_add(&wheel, 1, 21);
    cr_assert_eq(wheel_expire(&wheel, 21), WHEEL_NONE);
    cr_assert_eq(wheel_ticks_to_next(&wheel), 1);
}

Test(wheel, looks_at_each_entry_of_a_slot_once)
{
    start_at(0);
    for (uint32_t i = 0; i < ENTRIES / 2; i++)
        wheel_add(&wheel, i, 5);
    for (uint32_t i = ENTRIES / 2; i < ENTRIES; i++)
        wheel_add(&wheel, i, 5 + WHEEL_SLOTS); /* in front of those that are due */
    looks_count = 0;
    cr_assert_eq(expire_all(5), ENTRIES / 2);
    cr_assert_lt(looks_count, ENTRIES * 10, "not the square of them");
}

Test(wheel, tells_how_long_it_may_sleep)
{
    for (uint32_t now = 0; now < WHEEL_SLOTS; now += 7) {
        for (uint32_t ahead = 1; ahead <= WHEEL_SLOTS; ahead += 5) {
            start_at(now);
            wheel_add(&wheel, 3, now + ahead);
            cr_assert_eq(wheel_ticks_to_next(&wheel), ahead);
            wheel_remove(&wheel, 3);
            cr_assert_eq(wheel_ticks_to_next(&wheel), UINT32_MAX);
        }
    }
}

Test(wheel, may_wake_early_for_a_later_revolution_but_not_late)
{
    start_at(0);
    wheel_add(&wheel, 3, WHEEL_SLOTS * 2 + 9);
    cr_assert_eq(wheel_ticks_to_next(&wheel), 9);
}

static bool present[ENTRIES];
static uint32_t deadlines[ENTRIES];

static void check_sleep(uint32_t now_tick, uint64_t seed)
{
    uint32_t sleep = wheel_ticks_to_next(&wheel);
    uint32_t count = 0;

    for (uint32_t i = 0; i < ENTRIES; i++) {
        count += present[i];
        if (present[i])
            cr_assert_leq(sleep, deadlines[i] - now_tick, "seed %lu: late", (unsigned long)seed);
    }
    cr_assert_eq(wheel.count, count);
    cr_assert_eq(sleep == UINT32_MAX, count == 0);
}

static void add_or_remove(struct dice *dice, uint32_t now_tick)
{
    uint32_t index = dice_below(dice, ENTRIES);

    if (present[index]) {
        wheel_remove(&wheel, index);
        present[index] = false;
        return;
    }
    uint32_t ahead = dice_below(dice, 4) == 0 ? dice_below(dice, WHEEL_SLOTS * 4)
                                              : dice_below(dice, WHEEL_SLOTS / 8);

    wheel_add(&wheel, index, now_tick + ahead);
    deadlines[index] = now_tick + (ahead == 0 ? 1 : ahead);
    present[index] = true;
}

static void agree_with_an_array(uint64_t seed, uint32_t first_tick)
{
    struct dice dice = {seed};
    uint32_t now_tick = first_tick;
    uint32_t index;

    start_at(now_tick);
    for (uint32_t i = 0; i < ENTRIES; i++)
        present[i] = false;
    for (uint32_t step = 0; step < 3000; step++) {
        for (uint32_t changes = dice_below(&dice, 5); changes > 0; changes--)
            add_or_remove(&dice, now_tick);
        check_sleep(now_tick, seed);
        now_tick +=
            dice_below(&dice, 200) == 0 ? dice_below(&dice, WHEEL_SLOTS * 3) : dice_below(&dice, 8);
        while ((index = wheel_expire(&wheel, now_tick)) != WHEEL_NONE) {
            cr_assert(present[index], "seed %lu: twice, or removed", (unsigned long)seed);
            cr_assert_leq((int32_t)(deadlines[index] - now_tick), 0, "seed %lu: early",
                          (unsigned long)seed);
            present[index] = false;
            if (dice_below(&dice, 4) == 0) /* others come and go in the middle of it */
                add_or_remove(&dice, now_tick);
        }
        cr_assert_eq(wheel.now_tick, now_tick);
        for (uint32_t i = 0; i < ENTRIES; i++)
            cr_assert(!present[i] || (int32_t)(deadlines[i] - now_tick) > 0,
                      "seed %lu: %u is overdue", (unsigned long)seed, i);
    }
}

Test(wheel, agrees_with_an_array)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        agree_with_an_array(seed, (uint32_t)seed * 1000);
}

Test(wheel, goes_on_when_the_tick_wraps_around)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        agree_with_an_array(seed, UINT32_MAX - (uint32_t)seed * 300);
}
