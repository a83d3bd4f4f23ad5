/*
 * tests/unit/core/test_lane.c — mirrors core/lane.c. (Two threads: tests/tsan/tsan_lane.c.)
 *
 * Goal:   first in, first out, over ring and spill, whatever the pattern of pushes, pops and
 *         flushes; nothing lost, nothing leaked; the spill's memory follows what waits in it.
 * Method: one thread plays both sides; envelopes are numbered.
 */
#include "core/lane.h"

#include <poll.h>
#include <signal.h>

#include <criterion/criterion.h>

#include "core/limits.h"
#include "core/msg.h"
#include "tests/unit/core/account.h"
#include "tests/unit/core/dice.h"

#define SLOTS 8u

static struct lane lane;
static struct parker parker;
static uint32_t pushed_count;
static uint32_t popped_count;

static void start(void)
{
    account_open();
    cr_assert_eq(parker_init(&parker), STATUS_OK);
    lane_init(&lane, &account, SLOTS, &parker);
    pushed_count = popped_count = 0;
}

static void push(void)
{
    struct envelope envelope = {.kind = ENVELOPE_PUBLISH, .id = pushed_count++};

    lane_push(&lane, &envelope);
}

/* Pop one and check that it is the next in order. */
static bool pop(void)
{
    struct envelope envelope;

    if (!lane_pop(&lane, &envelope))
        return false;
    cr_assert_eq(envelope.id, popped_count);
    cr_assert_eq(envelope.kind, ENVELOPE_PUBLISH);
    popped_count++;
    return true;
}

/* Play both sides until nothing is left anywhere. */
static void take_all(void)
{
    while (pop() || !lane_flush(&lane) || lane_depth(&lane) > 0)
        ;
}

static bool is_waking(void)
{
    struct pollfd wait = {.fd = parker.wake_fd, .events = POLLIN};

    return poll(&wait, 1, 0) == 1;
}

TestSuite(lane, .init = start);

Test(lane, refuses_an_unknown_kind, .signal = SIGABRT)
{
    struct envelope envelope = {.kind = ENVELOPE_KIND_COUNT};

    lane_push(&lane, &envelope);
}

Test(lane, refuses_a_slot_count_that_is_no_power_of_two, .signal = SIGABRT)
{
    struct lane other;

    lane_init(&other, &account, 12, &parker);
}

Test(lane, gives_nothing_when_it_is_empty)
{
    cr_assert_not(pop());
    cr_assert_eq(lane_depth(&lane), 0);
    cr_assert(lane_flush(&lane));
}

Test(lane, has_room_for_one_less_than_its_slots)
{
    for (uint32_t i = 0; i < SLOTS - 1; i++) {
        push();
        cr_assert_not(lane_is_backlogged(&lane));
        cr_assert_eq(lane_depth(&lane), i + 1);
    }
    cr_assert_eq(atomic_load(&lane.full_count), 0);
    push();
    cr_assert(lane_is_backlogged(&lane));
    cr_assert_eq(lane_depth(&lane), SLOTS - 1);
    cr_assert_eq(atomic_load(&lane.full_count), 1);
    cr_assert_eq(atomic_load(&lane.pushed_count), SLOTS);
}

Test(lane, does_not_overtake_the_spill)
{
    for (uint32_t i = 0; i < SLOTS + 2; i++)
        push();
    cr_assert(pop()); /* now the ring has room, but two wait in the spill */
    push();
    cr_assert_eq(lane_depth(&lane), SLOTS - 2, "the newest went behind them");
    cr_assert_not(lane_flush(&lane));
    while (pop())
        ;
    cr_assert(lane_flush(&lane));
    while (pop())
        ;
    cr_assert_eq(popped_count, pushed_count);
}

Test(lane, counts_being_full_once_until_the_spill_is_empty)
{
    for (uint32_t i = 0; i < SLOTS + 20; i++)
        push();
    cr_assert_eq(atomic_load(&lane.full_count), 1);
    take_all();
    for (uint32_t i = 0; i < SLOTS; i++)
        push();
    cr_assert_eq(atomic_load(&lane.full_count), 2);
}

Test(lane, gives_the_spill_back_when_it_is_empty)
{
    int64_t empty_bytes = account_bytes();

    for (uint32_t i = 0; i < 10000; i++)
        push();
    cr_assert_gt(account_bytes(), empty_bytes + 9000 * (int64_t)sizeof(struct envelope));
    take_all();
    cr_assert_eq(popped_count, 10000);
    cr_assert_eq(account_bytes(), empty_bytes);
}

/* A popper that keeps up, but never catches up: the spill never empties, and must not grow. */
Test(lane, does_not_let_a_steady_spill_grow)
{
    for (uint32_t i = 0; i < SLOTS + 10; i++)
        push();
    for (uint32_t i = 0; i < 100000; i++) {
        push();
        cr_assert(pop());
        cr_assert_not(lane_flush(&lane));
    }
    cr_assert_leq(lane.spill_capacity, LIMIT_LANE_SLOTS_MIN);
    take_all();
    cr_assert_eq(popped_count, pushed_count);
}

Test(lane, keeps_the_order_under_every_pattern)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct dice dice = {seed};
        uint32_t push_weight = 1 + dice_below(&dice, 9);

        for (uint32_t step = 0; step < 2000; step++) {
            uint32_t thrown = dice_below(&dice, 10);

            if (thrown < push_weight)
                push();
            else if (thrown < 9)
                (void)!pop();
            else
                (void)lane_flush(&lane);
            cr_assert_eq(lane_depth(&lane) + lane.spill_count, pushed_count - popped_count);
        }
        take_all();
        cr_assert_eq(popped_count, pushed_count, "seed %lu", (unsigned long)seed);
    }
}

Test(lane, carries_the_whole_envelope)
{
    struct conn_handle conn = {.host_index = 63, .generation = 65535, .slot_index = 1048575};
    struct envelope out, in = {.kind = ENVELOPE_CHANGE,
                               .status = 2,
                               .flags = ENVELOPE_ENDED,
                               .from = 129,
                               .instance_index = 63,
                               .id = 0xdeadbeef,
                               .etid = 0xfeedface,
                               .conn = conn,
                               .hash = 0x0123456789abcdef,
                               .count = UINT32_MAX};

    lane_push(&lane, &in);
    cr_assert(lane_pop(&lane, &out));
    cr_assert_arr_eq((const char *)&out, (const char *)&in, sizeof(in));
}

Test(lane, drops_what_is_left_with_its_references)
{
    struct msg *msg = msg_new(&account, 100);

    for (uint32_t i = 0; i < SLOTS * 3; i++) {
        struct envelope envelope = {.kind = ENVELOPE_DELIVER, .msg = msg_ref(msg)};
        lane_push(&lane, &envelope);
    }
    cr_assert(lane_is_backlogged(&lane));
    lane_deinit(&lane);
    cr_assert_eq(atomic_load(&msg->ref_count), 1);
    msg_unref(&account, msg);
    cr_assert(account_is_empty());
}

Test(parker, is_not_woken_when_it_is_awake)
{
    start();
    parker_wake(&parker);
    cr_assert_not(is_waking());
    parker_prepare(&parker);
    parker_cancel(&parker);
    parker_wake(&parker);
    cr_assert_not(is_waking(), "it changed its mind");
    cr_assert_eq(atomic_load(&parker.wake_count), 0);
}

Test(parker, is_woken_once)
{
    start();
    parker_prepare(&parker);
    parker_wake(&parker);
    parker_wake(&parker);
    cr_assert(is_waking());
    cr_assert_eq(atomic_load(&parker.wake_count), 1, "the second waker saves its system call");
    parker_cancel(&parker);
    parker_prepare(&parker);
    parker_wake(&parker);
    cr_assert_eq(atomic_load(&parker.wake_count), 2);
    parker_deinit(&parker);
    cr_assert_eq(parker.wake_fd, -1);
}

Test(envelope, has_a_name_for_each_kind)
{
    cr_assert_str_eq(envelope_kind_name(ENVELOPE_CONNECT), "CONNECT");
    cr_assert_str_eq(envelope_kind_name(ENVELOPE_ROWS_END), "ROWS_END");
}

Test(envelope, has_no_name_for_what_is_no_kind, .signal = SIGABRT)
{
    (void)envelope_kind_name(ENVELOPE_KIND_COUNT);
}
