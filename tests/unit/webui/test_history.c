/*
 * tests/unit/webui/test_history.c — mirrors webui/history.c.
 *
 * Goal:   a sample is the mean of its seconds, gaps stay gaps, and an hour is kept, oldest first.
 */
#include "webui/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/core/account.h"

static struct history history;
static struct body body;

static void start(void)
{
    account_open();
    body = body_of(&account);
}

static void stop(void)
{
    body_drop(&body);
    cr_assert(account_is_empty());
}

TestSuite(history, .init = start, .fini = stop);

/* One second in which every series has this value. */
static void add(int64_t t_ms, double value)
{
    double values[HISTORY_SERIES_COUNT];

    for (uint32_t i = 0; i < HISTORY_SERIES_COUNT; i++)
        values[i] = value;
    history_add(&history, t_ms, values);
}

/* What the API says from @from on, up to the next ']'. */
static const char *text_from(const char *from)
{
    static char text[65536];
    struct span all;

    body_drop(&body);
    history_put(&history, &body);
    all = body_span(&body);
    cr_assert_eq(all.bytes_count, strnlen((const char *)all.data, all.bytes_count));
    char *whole = strndup((const char *)all.data, all.bytes_count);
    const char *at = strstr(whole, from);
    cr_assert_not_null(at);
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, "]") + 1, at);
    free(whole);
    return text;
}

Test(history, has_nothing_at_first)
{
    cr_assert_str_eq(text_from("{\"step_s\""),
                     "{\"step_s\":2,\"t\":0,\"series\":{\"messages_in\":[]");
    cr_assert_str_eq(text_from("\"cpu\""), "\"cpu\":[]");
    add(1000, 5);
    cr_assert_str_eq(text_from("\"cpu\""), "\"cpu\":[]", "half a sample is none");
}

Test(history, takes_the_mean_of_two_seconds)
{
    add(1000, 5);
    add(2000, 6);
    add(3000, 1000000.25);
    add(4000, 1000000.25);
    cr_assert_str_eq(text_from("\"t\":4000"), "\"t\":4000,\"series\":{\"messages_in\":[5.5,1e+06]");
    cr_assert_str_eq(text_from("\"p99_us\""), "\"p99_us\":[5.5,1e+06]");
}

Test(history, says_null_where_nothing_was_measured)
{
    add(1000, NAN);
    add(2000, NAN);
    add(3000, NAN);
    add(4000, 7);
    cr_assert_str_eq(text_from("\"p50_us\""), "\"p50_us\":[null,7]", "half is enough");
}

Test(history, keeps_an_hour_oldest_first)
{
    for (int64_t i = 0; i < (int64_t)(HISTORY_SAMPLES + 3) * HISTORY_STEP_S; i++)
        add(i * 1000, (double)(i / HISTORY_STEP_S));
    const char *cpu = text_from("\"cpu\"");
    uint32_t commas = 0;

    cr_assert_eq(strncmp(cpu, "\"cpu\":[3,4,5,", 13), 0, "%.30s", cpu);
    cr_assert_not_null(strstr(cpu, ",1801,1802]"));
    for (const char *at = cpu; *at != '\0'; at++)
        commas += *at == ',';
    cr_assert_eq(commas + 1, HISTORY_SAMPLES);
}
