/*
 * tests/unit/core/test_log_fold.c — mirrors core/log_fold.c.
 *
 * Goal:   a storm of equal events costs few lines, and no event goes unsaid.
 * Method: push records with a clock of our own, collect what is emitted.
 */
#include "core/log_fold.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#define SECOND   INT64_C(1000000000)
#define LINE_MAX 4096

struct line {
    char text[LOG_TEXT_BYTES];
    struct log_note note;
};

static struct line lines[LINE_MAX];
static uint32_t line_count;
static struct log_fold fold;

static void collect(void *context, const struct log_record *record, const struct log_note *note)
{
    (void)context;
    cr_assert_lt(line_count, LINE_MAX);
    memcpy(lines[line_count].text, record->text, sizeof(lines[0].text));
    lines[line_count].note = *note;
    line_count++;
}

static void start(void)
{
    line_count = 0;
    log_fold_init(&fold, collect, NULL);
}

static void push(const char *name, const char *text, int64_t now_ns)
{
    struct log_record record = {.name = name, .level = LOG_LEVEL_WARNING};

    snprintf(record.text, sizeof(record.text), "%s", text);
    log_fold_push(&fold, &record, now_ns);
}

static void push_number(const char *name, int number, int64_t now_ns)
{
    char text[32];

    snprintf(text, sizeof(text), "id=%d", number);
    push(name, text, now_ns);
}

/* Events that the emitted lines account for. */
static uint64_t accounted_count(void)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < line_count; i++)
        sum += lines[i].note.folded_count > 0 ? lines[i].note.folded_count : 1;
    return sum;
}

TestSuite(log_fold, .init = start);

Test(log_fold, writes_a_single_event_at_once)
{
    push("a.b", "x=1", 0);
    cr_assert_eq(line_count, 1);
    cr_assert_str_eq(lines[0].text, "x=1");
    cr_assert_eq(lines[0].note.folded_count, 0);
}

Test(log_fold, says_nothing_more_when_nothing_was_folded)
{
    push("a.b", "x=1", 0);
    log_fold_tick(&fold, 2 * SECOND);
    log_fold_flush(&fold);
    cr_assert_eq(line_count, 1);
}

Test(log_fold, counts_equal_events_and_says_how_many_when_the_window_ends)
{
    for (int i = 0; i < 6; i++)
        push("a.b", "x=1", i);
    cr_assert_eq(line_count, 1);
    log_fold_tick(&fold, SECOND - 1);
    cr_assert_eq(line_count, 1, "the window is not over");
    log_fold_tick(&fold, SECOND);
    cr_assert_eq(line_count, 2);
    cr_assert_eq(lines[1].note.folded_count, 5);
    cr_assert_not(lines[1].note.differed);
    cr_assert_eq(lines[1].note.window_ns, SECOND);
}

Test(log_fold, keeps_events_apart_by_name)
{
    push("a.b", "x=1", 0);
    push("a.c", "x=1", 0);
    cr_assert_eq(line_count, 2);
}

Test(log_fold, takes_equal_names_at_different_addresses_for_the_same)
{
    char name[] = "a.b";

    push("a.b", "x=1", 0);
    push(name, "x=1", 0);
    cr_assert_eq(line_count, 1);
}

Test(log_fold, says_what_it_folded_before_a_different_text)
{
    push("a.b", "x=1", 0);
    push("a.b", "x=1", 0);
    push("a.b", "x=2", 0);
    cr_assert_eq(line_count, 3);
    cr_assert_eq(lines[1].note.folded_count, 1);
    cr_assert_str_eq(lines[1].text, "x=1");
    cr_assert_str_eq(lines[2].text, "x=2");
}

Test(log_fold, folds_a_flood_of_one_name_with_different_texts)
{
    for (int i = 0; i < 1000; i++)
        push_number("a.b", i, i);
    cr_assert_eq(line_count, LOG_FOLD_LINES);
    log_fold_tick(&fold, SECOND);
    cr_assert_eq(line_count, LOG_FOLD_LINES + 1);
    cr_assert_eq(lines[LOG_FOLD_LINES].note.folded_count, 1000 - LOG_FOLD_LINES);
    cr_assert(lines[LOG_FOLD_LINES].note.differed);
    cr_assert_str_eq(lines[LOG_FOLD_LINES].text, "id=999", "the last one is shown");
}

Test(log_fold, doubles_the_window_while_a_storm_lasts)
{
    /* Ten equal events a second for an hour: 1 + 2 + 4 ... 32 s, then one line a minute. */
    for (int64_t tenth = 0; tenth < 36000; tenth++) {
        push("a.b", "x=1", tenth * SECOND / 10);
        log_fold_tick(&fold, tenth * SECOND / 10);
    }
    cr_assert_gt(line_count, 50);
    cr_assert_lt(line_count, 70);
    cr_assert_eq(lines[line_count - 1].note.window_ns, LOG_FOLD_WINDOW_NS_MAX);
    log_fold_flush(&fold);
    cr_assert_eq(accounted_count(), 36000);
}

Test(log_fold, starts_afresh_after_a_quiet_window)
{
    push("a.b", "x=1", 0);
    push("a.b", "x=1", 0);
    log_fold_tick(&fold, SECOND);     /* says 1; the next window is two seconds */
    log_fold_tick(&fold, 3 * SECOND); /* quiet: forgotten */
    push("a.b", "x=1", 4 * SECOND);
    cr_assert_eq(line_count, 3);
    cr_assert_eq(lines[2].note.folded_count, 0, "written at once again");
}

Test(log_fold, ends_a_window_by_itself_when_nobody_ticks)
{
    push("a.b", "x=1", 0);
    push("a.b", "x=1", 0);
    push("a.b", "x=2", 5 * SECOND);
    cr_assert_eq(accounted_count(), 3);
}

Test(log_fold, loses_no_count_when_there_are_more_names_than_it_watches)
{
    static char names[LOG_FOLD_NAMES * 3][8];

    for (int i = 0; i < (int)COUNT_OF(names); i++)
        snprintf(names[i], sizeof(names[i]), "n.%d", i);
    for (int64_t round = 0; round < 4; round++)
        for (int i = 0; i < (int)COUNT_OF(names); i++)
            for (int repeat = 0; repeat < 3; repeat++)
                push(names[i], "x=1", round);
    log_fold_flush(&fold);
    cr_assert_eq(accounted_count(), 4 * 3 * COUNT_OF(names));
}

Test(log_fold, says_what_is_folded_when_flushed)
{
    push("a.b", "x=1", 0);
    push("a.b", "x=1", 0);
    log_fold_flush(&fold);
    cr_assert_eq(line_count, 2);
    log_fold_flush(&fold);
    cr_assert_eq(line_count, 2, "once");
}
