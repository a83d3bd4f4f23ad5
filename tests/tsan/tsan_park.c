/*
 * tests/tsan/tsan_park.c — the two fences of parking, one nanosecond beside the other.
 *
 * Goal:   of a popper that parks and a pusher that wakes, at least one sees the other. tsan_wake
 *         shows that the whole works; only here both sides meet often enough to miss a fence.
 * Method: rounds in lock-step. In each the pusher pushes and wakes while the popper announces and
 *         looks, at a moment that it shifts until each comes first about as often. Afterwards the
 *         popper has seen the envelope, or it has been woken.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "core/lane.h"
#include "tests/unit/core/account.h"
#include "tests/unit/core/dice.h"

#define ROUNDS     500000u
#define SLOTS      64u
#define JITTER_MAX 16u

static struct parker parker;
static struct lane lane;
static _Atomic uint32_t arrived_count;

/* Both threads leave within a few nanoseconds of each other. */
static void meet(uint32_t *meeting)
{
    uint32_t wanted = ++*meeting * 2;

    atomic_fetch_add(&arrived_count, 1);
    for (uint32_t spins = 0; atomic_load(&arrived_count) < wanted; spins++)
        if (spins % 4096 == 4095)
            sched_yield(); /* the other one has no core at the moment */
}

static void wait_steps(uint32_t steps)
{
    for (volatile uint32_t i = steps; i > 0; i--)
        ;
}

static void *pusher(void *unused)
{
    struct dice dice = {1};
    uint32_t meeting = 0;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        meet(&meeting);
        wait_steps(dice_below(&dice, JITTER_MAX));
        lane_push(&lane, &(struct envelope){.kind = ENVELOPE_PUBLISH, .id = i});
        parker_wake(&parker);
        meet(&meeting);
    }
    return unused;
}

static void *popper(void *unused)
{
    struct dice dice = {2};
    uint32_t meeting = 0;
    uint32_t asleep_count = 0;
    uint32_t late_steps = 0; /* felt out, so that each comes first about as often */
    struct envelope envelope;
    uint64_t wakes;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        meet(&meeting);
        wait_steps(late_steps + dice_below(&dice, JITTER_MAX));
        parker_prepare(&parker);
        bool would_sleep = lane_depth(&lane) == 0;
        meet(&meeting);
        if (would_sleep) {
            must(!atomic_load(&parker.parked)); /* else: a lost wake-up */
            must(read(parker.wake_fd, &wakes, sizeof(wakes)) == sizeof(wakes));
            asleep_count++;
            late_steps++;
        } else {
            (void)!read(parker.wake_fd, &wakes, sizeof(wakes)); /* woken as well, or not */
            late_steps -= late_steps > 0;
        }
        parker_cancel(&parker);
        must(lane_pop(&lane, &envelope) && envelope.id == i);
    }
    printf("%u rounds, %u would have slept\n", ROUNDS, asleep_count);
    return unused;
}

int main(void)
{
    pthread_t threads[2];

    account_open();
    must(parker_init(&parker) == STATUS_OK);
    lane_init(&lane, &account, SLOTS, &parker);
    must(pthread_create(&threads[0], NULL, pusher, NULL) == 0);
    must(pthread_create(&threads[1], NULL, popper, NULL) == 0);
    for (int i = 0; i < 2; i++)
        must(pthread_join(threads[i], NULL) == 0);
    lane_deinit(&lane);
    parker_deinit(&parker);
    must(account_is_empty());
    return 0;
}
