/*
 * core/log.c — the actors' side of the log, and the lane.
 */
#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/log_writer.h"

static _Thread_local struct log_lane *thread_lane;
static _Atomic uint8_t level_max = LOG_LEVEL_INFO;

void log_lane_init(struct log_lane *lane, const char *actor, void (*wake)(void *context),
                   void *wake_context)
{
    size_t actor_bytes = strlen(actor) + 1;

    must(actor_bytes <= sizeof(lane->actor));
    /* Not a memset of the whole: most lanes never touch most of their pages. */
    memcpy(lane->actor, actor, actor_bytes);
    lane->wake = wake;
    lane->wake_context = wake_context;
    atomic_init(&lane->pushed_count, 0);
    atomic_init(&lane->lost_count, 0);
    atomic_init(&lane->popped_count, 0);
    lane->lost_reported_count = 0;
}

void log_attach(struct log_lane *lane)
{
    thread_lane = lane;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&level_max, (uint8_t)level, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (uint8_t)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

static int64_t realtime_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fill(struct log_record *record, enum log_level level, const char *name,
                 const char *format, va_list arguments) __attribute__((format(printf, 4, 0)));

static void fill(struct log_record *record, enum log_level level, const char *name,
                 const char *format, va_list arguments)
{
    static const char cut[] = "...";

    record->name = name;
    record->time_ns = realtime_ns();
    record->level = (uint8_t)level;

    int wanted_bytes = vsnprintf(record->text, sizeof(record->text), format, arguments);

    must(wanted_bytes >= 0);
    if ((size_t)wanted_bytes >= sizeof(record->text))
        memcpy(record->text + sizeof(record->text) - sizeof(cut), cut, sizeof(cut));
    /* One event, one line, and no terminal is told anything by a peer. */
    for (char *at = record->text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || (unsigned char)*at >= 127)
            *at = '?';
}

/* Only the pushing side adds: a plain addition that others may read. */
static void count_lost(struct log_lane *lane)
{
    atomic_store_explicit(&lane->lost_count,
                          atomic_load_explicit(&lane->lost_count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void log_event(enum log_level level, const char *name, const char *format, ...)
{
    struct log_lane *lane = thread_lane;
    va_list arguments;

    if (!log_is_on(level))
        return;

    va_start(arguments, format);
    if (!lane) {
        struct log_record record;

        fill(&record, level, name, format, arguments);
        log_write_now(STDERR_FILENO, &record);
        va_end(arguments);
        return;
    }

    uint32_t pushed_count = atomic_load_explicit(&lane->pushed_count, memory_order_relaxed);
    uint32_t popped_count = atomic_load_explicit(&lane->popped_count, memory_order_acquire);

    if (pushed_count - popped_count == LOG_LANE_SLOTS) {
        count_lost(lane);
    } else {
        fill(&lane->records[pushed_count % LOG_LANE_SLOTS], level, name, format, arguments);
        atomic_store_explicit(&lane->pushed_count, pushed_count + 1, memory_order_release);
    }
    va_end(arguments);
    if (lane->wake)
        lane->wake(lane->wake_context);
}

const struct log_record *log_lane_peek(struct log_lane *lane)
{
    uint32_t popped_count = atomic_load_explicit(&lane->popped_count, memory_order_relaxed);

    if (popped_count == atomic_load_explicit(&lane->pushed_count, memory_order_acquire))
        return NULL;
    return &lane->records[popped_count % LOG_LANE_SLOTS];
}

void log_lane_pop(struct log_lane *lane)
{
    must(log_lane_peek(lane));
    atomic_store_explicit(&lane->popped_count,
                          atomic_load_explicit(&lane->popped_count, memory_order_relaxed) + 1,
                          memory_order_release);
}
