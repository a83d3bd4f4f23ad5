/*
 * tests/tsan/tsan_lane.c — one pusher and one popper on a small lane, under ThreadSanitizer.
 *
 * Goal:   every envelope arrives once and in order, over ring and spill; what an envelope carries
 *         was written before it can be read; no memory is left.
 * Method: numbered envelopes in bursts of random size; every eighth carries a message with its
 *         number in it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "core/lane.h"
#include "core/msg.h"
#include "tests/unit/core/account.h"
#include "tests/unit/core/dice.h"

#define PUSHES      4000000u
#define SLOTS       64u
#define BURST_MAX   100u
#define WITH_MSG(i) ((i) % 8 == 0)

static struct lane lane;
static struct mem pusher_mem;
static struct mem popper_mem;

static void push(uint32_t number)
{
    struct envelope envelope = {.kind = ENVELOPE_PUBLISH, .id = number};

    if (WITH_MSG(number)) {
        envelope.msg = msg_copy(&pusher_mem, span_of(&number, sizeof(number)));
        must(envelope.msg);
    }
    lane_push(&lane, &envelope);
}

static void *pusher(void *unused)
{
    struct dice dice = {1};

    for (uint32_t next = 0; next < PUSHES;) {
        for (uint32_t burst = dice_below(&dice, BURST_MAX); burst > 0 && next < PUSHES; burst--)
            push(next++);
        while (!lane_flush(&lane))
            sched_yield();
    }
    return unused;
}

static void take(const struct envelope *envelope, uint32_t expected)
{
    must(envelope->kind == ENVELOPE_PUBLISH);
    must(envelope->id == expected);
    must((envelope->msg != NULL) == WITH_MSG(expected));
    if (envelope->msg)
        must(*(const uint32_t *)(const void *)envelope->msg->bytes == expected);
    msg_unref(&popper_mem, envelope->msg);
}

static void *popper(void *unused)
{
    struct envelope envelope;

    for (uint32_t expected = 0; expected < PUSHES;) {
        if (lane_pop(&lane, &envelope))
            take(&envelope, expected++);
        else
            sched_yield();
    }
    must(!lane_pop(&lane, &envelope));
    return unused;
}

int main(void)
{
    pthread_t threads[2];

    account_open();
    mem_init(&pusher_mem, &account_budget);
    mem_init(&popper_mem, &account_budget);
    lane_init(&lane, &pusher_mem, SLOTS, NULL);
    must(pthread_create(&threads[0], NULL, pusher, NULL) == 0);
    must(pthread_create(&threads[1], NULL, popper, NULL) == 0);
    for (int i = 0; i < 2; i++)
        must(pthread_join(threads[i], NULL) == 0);

    uint64_t full_count = atomic_load(&lane.full_count);

    must(full_count > 0); /* else the spill was not tried */
    lane_deinit(&lane);
    must(mem_total(&pusher_mem) + mem_total(&popper_mem) == 0);
    printf("%u envelopes, full %llu times\n", PUSHES, (unsigned long long)full_count);
    return 0;
}
