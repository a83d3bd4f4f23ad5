/*
 * tests/tsan/tsan_msg.c — one message, many holders on many threads, under ThreadSanitizer.
 *
 * Goal:   whoever lets go last frees it, after everybody's last look; the accounts add up to zero.
 * Method: a giver hands references of each message to all takers; a taker reads it, now and then
 *         takes a second reference, and lets go at its own pace.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "core/lane.h"
#include "core/msg.h"
#include "tests/unit/core/account.h"
#include "tests/unit/core/dice.h"

#define TAKERS    3u
#define MESSAGES  300000u
#define KEPT_MAX  16u
#define MSG_BYTES 40u
#define SLOTS     256u

static struct lane lanes[TAKERS];
static struct mem mems[TAKERS + 1];

static void *giver(void *unused)
{
    struct mem *mem = &mems[TAKERS];
    uint8_t bytes[MSG_BYTES];

    for (uint32_t i = 0; i < MESSAGES; i++) {
        memset(bytes, (int)i, sizeof(bytes));
        struct msg *msg = msg_copy(mem, span_of(bytes, sizeof(bytes)));

        must(msg);
        msg_ref_many(msg, TAKERS);
        for (uint32_t taker = 0; taker < TAKERS; taker++) {
            lane_push(&lanes[taker], &(struct envelope){.kind = ENVELOPE_DELIVER, .msg = msg});
            while (!lane_flush(&lanes[taker]))
                sched_yield();
        }
        must(msg->bytes[0] == (uint8_t)i);
        msg_unref(mem, msg);
    }
    return unused;
}

static void *taker(void *argument)
{
    uint32_t self = (uint32_t)(uintptr_t)argument;
    struct msg *kept[KEPT_MAX] = {NULL};
    struct dice dice = {self + 1};
    struct envelope envelope;

    for (uint32_t i = 0; i < MESSAGES;) {
        if (!lane_pop(&lanes[self], &envelope)) {
            sched_yield();
            continue;
        }
        for (uint32_t k = 0; k < MSG_BYTES; k++)
            must(envelope.msg->bytes[k] == (uint8_t)i);
        uint32_t place = dice_below(&dice, KEPT_MAX);

        msg_unref(&mems[self], kept[place]);
        kept[place] = dice_below(&dice, 2) ? msg_ref(envelope.msg) : NULL;
        msg_unref(&mems[self], envelope.msg);
        i++;
    }
    for (uint32_t place = 0; place < KEPT_MAX; place++)
        msg_unref(&mems[self], kept[place]);
    return NULL;
}

int main(void)
{
    pthread_t threads[TAKERS + 1];
    int64_t left_bytes = 0;

    account_open();
    for (uint32_t i = 0; i <= TAKERS; i++)
        mem_init(&mems[i], &account_budget);
    for (uint32_t i = 0; i < TAKERS; i++)
        lane_init(&lanes[i], &mems[TAKERS], SLOTS, NULL);
    must(pthread_create(&threads[TAKERS], NULL, giver, NULL) == 0);
    for (uint32_t i = 0; i < TAKERS; i++)
        must(pthread_create(&threads[i], NULL, taker, (void *)(uintptr_t)i) == 0);
    for (uint32_t i = 0; i <= TAKERS; i++)
        must(pthread_join(threads[i], NULL) == 0);
    for (uint32_t i = 0; i < TAKERS; i++)
        lane_deinit(&lanes[i]);
    for (uint32_t i = 0; i <= TAKERS; i++)
        left_bytes += mem_total(&mems[i]);
    must(left_bytes == 0);
    printf("%u messages to %u takers\n", MESSAGES, TAKERS);
    return 0;
}
