/*
 * tests/tsan/tsan_log.c — the log's lanes under ThreadSanitizer.
 *
 * Goal:   two actors and control share nothing but what the lanes hand over.
 * Method: two threads push bursts that just fit while this one drains to /dev/null; every event
 *         must be taken or counted as lost.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "core/log_writer.h"

#define ACTORS 2
#define EVENTS 50000

static struct log_lane lane_of[ACTORS];
static struct log_writer writer;
static _Atomic int running_count = ACTORS;
static pthread_barrier_t start;

static void *act(void *argument)
{
    log_attach(argument);
    pthread_barrier_wait(&start);
    for (int i = 0; i < EVENTS; i++) {
        log_event(LOG_LEVEL_INFO, "tsan.event", "i=%d", i);
        if (i % (int)LOG_LANE_SLOTS == 0)
            sched_yield(); /* losing nearly all of them would prove little */
    }
    atomic_fetch_sub(&running_count, 1);
    return NULL;
}

int main(void)
{
    struct log_lane *lanes[ACTORS];
    pthread_t threads[ACTORS];
    uint64_t taken_count = 0;
    uint64_t lost_count = 0;
    int64_t now_ns = 0;

    log_writer_init(&writer, open("/dev/null", O_WRONLY | O_CLOEXEC));
    must(pthread_barrier_init(&start, NULL, ACTORS + 1) == 0);
    for (int i = 0; i < ACTORS; i++) {
        lanes[i] = &lane_of[i];
        log_lane_init(lanes[i], "actor", NULL, NULL);
        must(pthread_create(&threads[i], NULL, act, lanes[i]) == 0);
    }
    pthread_barrier_wait(&start);
    while (atomic_load(&running_count) > 0)
        taken_count += log_drain(&writer, lanes, ACTORS, now_ns += 1000000);
    for (int i = 0; i < ACTORS; i++)
        must(pthread_join(threads[i], NULL) == 0);

    uint32_t taken_now;

    while ((taken_now = log_drain(&writer, lanes, ACTORS, now_ns += 1000000)) > 0)
        taken_count += taken_now;
    for (int i = 0; i < ACTORS; i++)
        lost_count += atomic_load(&lane_of[i].lost_count);

    printf("taken %llu, lost %llu, of %d\n", (unsigned long long)taken_count,
           (unsigned long long)lost_count, ACTORS * EVENTS);
    return taken_count + lost_count == ACTORS * EVENTS ? 0 : 1;
}
