/*
 * tests/tsan/tsan_wake.c — the hunt for a lost wake-up.
 *
 * Goal:   who pushes and then wakes, is heard: a parked thread never sleeps over an envelope.
 * Method: two threads, each with one ball that it passes to a third one and waits for; all three
 *         sleep between, and all throw in random pauses so that each step of parking meets each
 *         step of waking. The third one is woken by two. A sleep of HANG_MS is a lost wake-up.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "core/lane.h"
#include "tests/unit/core/account.h"
#include "tests/unit/core/dice.h"

#define PLAYERS 2u /* and the wall they play against */
#define PASSES  200000u
#define SLOTS   64u
#define HANG_MS 10000

static struct parker parkers[PLAYERS + 1];
static struct lane to_wall[PLAYERS];
static struct lane to_player[PLAYERS];
static _Atomic uint64_t sleep_count;

static void pause_a_little(struct dice *dice)
{
    for (volatile uint32_t i = dice_below(dice, 4) ? 0 : dice_below(dice, 400); i > 0; i--)
        ;
}

/* Sleep until woken, unless one of @lanes holds something: as the actors do it. */
static void park(struct parker *parker, struct lane *lanes, uint32_t lane_count, struct dice *dice)
{
    struct pollfd wait = {.fd = parker->wake_fd, .events = POLLIN};
    uint64_t unused;

    parker_prepare(parker);
    pause_a_little(dice);
    for (uint32_t i = 0; i < lane_count; i++) {
        if (lane_depth(&lanes[i]) > 0) {
            parker_cancel(parker);
            return;
        }
    }
    atomic_fetch_add_explicit(&sleep_count, 1, memory_order_relaxed);
    int ready = poll(&wait, 1, HANG_MS);
    must(ready == 1); /* else: a lost wake-up */
    ssize_t got = read(parker->wake_fd, &unused, sizeof(unused));
    must(got == sizeof(unused) || errno == EAGAIN);
    parker_cancel(parker);
}

static void pass(struct lane *lane, struct parker *parker, uint32_t number, struct dice *dice)
{
    struct envelope ball = {.kind = ENVELOPE_PUBLISH, .id = number};

    pause_a_little(dice);
    lane_push(lane, &ball);
    must(lane_flush(lane));
    parker_wake(parker);
}

static void *player(void *argument)
{
    uint32_t self = (uint32_t)(uintptr_t)argument;
    struct dice dice = {self + 1};
    struct envelope ball;

    for (uint32_t i = 0; i < PASSES; i++) {
        pass(&to_wall[self], &parkers[PLAYERS], i, &dice);
        while (!lane_pop(&to_player[self], &ball))
            park(&parkers[self], &to_player[self], 1, &dice);
        must(ball.id == i);
    }
    return NULL;
}

static void *wall(void *unused)
{
    struct dice dice = {99};
    struct envelope ball;

    for (uint32_t left = PLAYERS * PASSES; left > 0;) {
        bool any = false;

        for (uint32_t i = 0; i < PLAYERS; i++) {
            if (!lane_pop(&to_wall[i], &ball))
                continue;
            pass(&to_player[i], &parkers[i], ball.id, &dice);
            any = true;
            left--;
        }
        if (!any)
            park(&parkers[PLAYERS], to_wall, PLAYERS, &dice);
    }
    return unused;
}

int main(void)
{
    pthread_t threads[PLAYERS + 1];

    account_open();
    for (uint32_t i = 0; i <= PLAYERS; i++)
        must(parker_init(&parkers[i]) == STATUS_OK);
    for (uint32_t i = 0; i < PLAYERS; i++) {
        lane_init(&to_wall[i], &account, SLOTS, &parkers[PLAYERS]);
        lane_init(&to_player[i], &account, SLOTS, &parkers[i]);
    }
    must(pthread_create(&threads[PLAYERS], NULL, wall, NULL) == 0);
    for (uint32_t i = 0; i < PLAYERS; i++)
        must(pthread_create(&threads[i], NULL, player, (void *)(uintptr_t)i) == 0);
    for (uint32_t i = 0; i <= PLAYERS; i++)
        must(pthread_join(threads[i], NULL) == 0);

    uint64_t slept_count = atomic_load(&sleep_count);

    must(slept_count > PASSES / 100); /* else nobody ever slept, and nothing was shown */
    for (uint32_t i = 0; i < PLAYERS; i++) {
        lane_deinit(&to_wall[i]);
        lane_deinit(&to_player[i]);
    }
    must(account_is_empty());
    printf("%u passes, %llu sleeps\n", PLAYERS * PASSES, (unsigned long long)slept_count);
    return 0;
}
