/*
 * tests/unit/core/test_log.c — mirrors core/log.c and core/log_writer.c.
 *
 * Goal:   events arrive whole, in order and harmless; what could not arrive is counted; the
 *         writer never waits for a reader that does not read.
 * Method: one lane, both sides on this thread, lines into a pipe.
 */
#include "core/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log_writer.h"

#include <criterion/criterion.h>

static struct log_lane lane;
static struct log_lane *lanes[] = {&lane};
static struct log_writer writer;
static int ends[2]; /* of the pipe */
static int wake_count;
static char text[1 << 20];

static void count_wake(void *context)
{
    cr_assert_eq(context, &wake_count);
    wake_count++;
}

static void start(void)
{
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_neq(fcntl(ends[0], F_SETFL, O_NONBLOCK), -1);
    unsetenv("JOURNAL_STREAM");
    wake_count = 0;
    log_lane_init(&lane, "io-0", count_wake, &wake_count);
    log_attach(&lane);
    log_set_level(LOG_LEVEL_INFO);
    log_writer_init(&writer, ends[1]);
}

/* What has been written so far, as a string. */
static const char *written(void)
{
    ssize_t bytes = read(ends[0], text, sizeof(text) - 1);

    text[bytes > 0 ? bytes : 0] = '\0';
    return text;
}

static uint32_t count_lines(const char *lines)
{
    uint32_t count = 0;

    for (; *lines != '\0'; lines++)
        count += *lines == '\n';
    return count;
}

TestSuite(log, .init = start);

Test(log, writes_time_level_name_and_text)
{
    int year, month, day, hour, minute, second, millisecond, used = 0;

    log_event(LOG_LEVEL_WARNING, "conn.slow", "id=%d", 7);
    cr_assert_eq(log_drain(&writer, lanes, 1, 0), 1);
    written();
    cr_assert_eq(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day, &hour,
                        &minute, &second, &millisecond, &used),
                 7, "%s", text);
    cr_assert_str_eq(text + used, "WARNING conn.slow id=7\n");
}

Test(log, writes_a_priority_instead_when_stderr_is_the_journal)
{
    char stream[64];
    struct stat about;

    cr_assert_eq(fstat(ends[1], &about), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)about.st_dev, (uintmax_t)about.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_writer_init(&writer, ends[1]);

    log_event(LOG_LEVEL_ERROR, "a.error", "x=1");
    log_event(LOG_LEVEL_WARNING, "a.warning", "x=1");
    log_event(LOG_LEVEL_INFO, "a.info", "x=1");
    log_drain(&writer, lanes, 1, 0);
    cr_assert_str_eq(written(), "<3>a.error x=1\n<4>a.warning x=1\n<6>a.info x=1\n");
}

Test(log, is_not_fooled_by_another_process_s_journal)
{
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_writer_init(&writer, ends[1]);
    log_event(LOG_LEVEL_INFO, "a.info", "x=1");
    log_drain(&writer, lanes, 1, 0);
    cr_assert_neq(written()[0], '<');
}

Test(log, leaves_out_what_is_less_important_than_the_level)
{
    log_event(LOG_LEVEL_DEBUG, "a.debug", "x=1");
    cr_assert_eq(log_drain(&writer, lanes, 1, 0), 0);
    cr_assert_eq(wake_count, 0);
    log_set_level(LOG_LEVEL_DEBUG);
    log_event(LOG_LEVEL_DEBUG, "a.debug", "x=1");
    cr_assert_eq(log_drain(&writer, lanes, 1, 0), 1);
}

Test(log, keeps_one_event_on_one_line_whatever_a_peer_chose)
{
    log_event(LOG_LEVEL_INFO, "a.b", "reason=\"%s\"", "x\nERROR fake.event\r\x1b[2J\x7f");
    log_drain(&writer, lanes, 1, 0);
    cr_assert_eq(count_lines(written()), 1);
    cr_assert_not_null(strstr(text, "reason=\"x?ERROR fake.event??[2J?\""));
}

Test(log, cuts_a_long_text_and_shows_it)
{
    char longest[LOG_TEXT_BYTES * 2];

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    log_event(LOG_LEVEL_INFO, "a.b", "%s", longest);
    log_drain(&writer, lanes, 1, 0);
    cr_assert_not_null(strstr(written(), "xxx...\n"));
}

Test(log, finds_room_for_the_longest_line_there_can_be)
{
    static char name[100];
    char longest[LOG_TEXT_BYTES * 2];

    memset(name, 'n', sizeof(name) - 1);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    for (int i = 0; i < 3; i++)
        log_event(LOG_LEVEL_WARNING, name, "%s", longest);
    writer.fold.entries[0].folded_count = 0;
    log_drain(&writer, lanes, 1, 0);
    writer.fold.entries[0].folded_count = UINT64_MAX;
    writer.fold.entries[0].window_ns = LOG_FOLD_WINDOW_NS_MAX;
    log_drain(&writer, lanes, 1, LOG_FOLD_WINDOW_NS_MAX);
    cr_assert_not_null(strstr(written(), "(repeated 18446744073709551615 times within 60 s)\n"));
}

Test(log, says_how_many_were_lost_and_where)
{
    for (uint32_t i = 0; i < LOG_LANE_SLOTS + 5; i++)
        log_event(LOG_LEVEL_INFO, "a.b", "x=1");
    cr_assert_eq(log_drain(&writer, lanes, 1, 0), LOG_LANE_SLOTS);
    cr_assert_not_null(strstr(written(), "WARNING log.lost events=5 at=io-0\n"));

    log_drain(&writer, lanes, 1, 0);
    cr_assert_null(strstr(written(), "log.lost"), "told once");
}

Test(log, wakes_control_for_each_event_even_when_the_lane_is_full)
{
    for (uint32_t i = 0; i < LOG_LANE_SLOTS + 5; i++)
        log_event(LOG_LEVEL_INFO, "a.b", "x=1");
    cr_assert_eq(wake_count, LOG_LANE_SLOTS + 5);
}

Test(log, goes_on_past_the_end_of_the_lane)
{
    for (uint32_t i = 0; i < LOG_LANE_SLOTS * 5; i++) {
        log_event(LOG_LEVEL_INFO, "a.b", "i=%u", i);
        const struct log_record *record = log_lane_peek(&lane);
        char expected[32];

        snprintf(expected, sizeof(expected), "i=%u", i);
        cr_assert_not_null(record);
        cr_assert_str_eq(record->text, expected);
        log_lane_pop(&lane);
    }
    cr_assert_null(log_lane_peek(&lane));
}

Test(log, folds_repeats)
{
    for (int i = 0; i < 20; i++)
        log_event(LOG_LEVEL_INFO, "a.b", "x=1");
    log_drain(&writer, lanes, 1, 0);
    cr_assert_eq(count_lines(written()), 1);
    log_finish(&writer, lanes, 1, 0);
    cr_assert_not_null(strstr(written(), "INFO a.b x=1 (repeated 19 times within 1 s)\n"));
}

Test(log, does_not_wait_for_a_reader_that_does_not_read)
{
    uint64_t sent_count = 0;

    /* Fill the pipe, the buffer and the lane, with names that do not fold into one another. */
    static char names[64][8];

    for (int i = 0; i < 64; i++)
        snprintf(names[i], sizeof(names[i]), "n.%d", i);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 64; i++, sent_count++)
            log_event(LOG_LEVEL_INFO, names[i], "round=%d", round);
        log_drain(&writer, lanes, 1, (int64_t)round * 2 * LOG_FOLD_WINDOW_NS);
    }
    uint64_t lost_count = atomic_load(&lane.lost_count);

    cr_assert_gt(lost_count, 0, "the pipe was meant to be full");

    /* The reader comes back: all that was not lost arrives, and the loss is told. */
    static char everything[1 << 20];
    size_t used = 0;

    for (int i = 0; i < 1000; i++) {
        ssize_t bytes = read(ends[0], everything + used, sizeof(everything) - 1 - used);

        used += bytes > 0 ? (size_t)bytes : 0;
        log_drain(&writer, lanes, 1, INT64_C(1000) * LOG_FOLD_WINDOW_NS);
    }
    everything[used] = '\0';

    uint64_t told_count = 0;
    uint32_t told_lines = 0;

    for (const char *at = everything; (at = strstr(at, "log.lost events=")); told_lines++) {
        at += strlen("log.lost events=");
        told_count += strtoull(at, NULL, 10);
    }
    cr_assert_eq(told_count, lost_count);
    cr_assert_eq(count_lines(everything) - told_lines, sent_count - lost_count);
}

Test(log, survives_a_reader_that_is_gone)
{
    signal(SIGPIPE, SIG_IGN);
    close(ends[0]);
    log_event(LOG_LEVEL_INFO, "a.b", "x=1");
    log_drain(&writer, lanes, 1, 0);
    log_event(LOG_LEVEL_INFO, "a.c", "x=1");
    cr_assert_eq(log_drain(&writer, lanes, 1, 0), 1);
    log_finish(&writer, lanes, 1, 0);
    cr_assert_gt(writer.unwritten_count, 0);
}

#define THREAD_EVENTS 20000

static void *talk(void *argument)
{
    (void)argument;
    log_attach(&lane);
    for (int i = 0; i < THREAD_EVENTS; i++)
        log_event(LOG_LEVEL_INFO, "a.b", "i=%d", i);
    return NULL;
}

Test(log, carries_events_between_threads_in_order)
{
    pthread_t thread;
    int last = -1;
    uint32_t taken_count = 0;
    bool running = true;

    lane.wake = NULL; /* it counts without a lock */
    cr_assert_eq(pthread_create(&thread, NULL, talk, NULL), 0);
    while (running || log_lane_peek(&lane)) {
        running = running && pthread_tryjoin_np(thread, NULL) != 0;
        const struct log_record *record = log_lane_peek(&lane);
        int number;

        if (!record)
            continue;
        cr_assert_eq(sscanf(record->text, "i=%d", &number), 1);
        cr_assert_gt(number, last);
        last = number;
        taken_count++;
        log_lane_pop(&lane);
    }
    cr_assert_eq(taken_count + atomic_load(&lane.lost_count), THREAD_EVENTS);
}

Test(log, writes_straight_to_stderr_without_a_lane)
{
    cr_assert_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    log_attach(NULL);
    log_event(LOG_LEVEL_ERROR, "start.failed", "port=%d", 80);
    cr_assert_not_null(strstr(written(), "ERROR start.failed port=80\n"));
}
