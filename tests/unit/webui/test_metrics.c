/*
 * tests/unit/webui/test_metrics.c — mirrors webui/metrics.c.
 * Goal:   what is written is Prometheus' text format 0.0.4, whatever the texts hold.
 */
#include "webui/metrics.h"

#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/core/account.h"

static struct body out;

static void start(void)
{
    account_open();
    out = body_of(&account);
}

TestSuite(metrics, .init = start);

static void assert_text(const char *expected)
{
    struct span text = body_span(&out);

    cr_assert_eq(text.bytes_count, strlen(expected), "%.*s", (int)text.bytes_count, text.data);
    cr_assert_eq(memcmp(text.data, expected, text.bytes_count), 0, "%.*s", (int)text.bytes_count,
                 text.data);
    body_drop(&out);
}

Test(metrics, tell_counters_from_gauges_by_their_names)
{
    struct stat_desc counter = {"messages_in_total", "messages", "Publishes received"};
    struct stat_desc gauge = {"open", "connections", "at the moment"};

    metrics_begin(&out, "io_", &counter);
    metrics_begin(&out, "", &gauge);
    assert_text("# HELP smqd_io_messages_in_total Publishes received\n"
                "# TYPE smqd_io_messages_in_total counter\n"
                "# HELP smqd_open at the moment\n"
                "# TYPE smqd_open gauge\n");
}

Test(metrics, write_values_with_their_labels)
{
    metrics_value(&out, "", "a", NULL, NULL, 1);
    metrics_value(&out, "io_", "a", "actor", "io-0", 18446744073709551615.0);
    metrics_value_2(&out, "", "a", (const char *[]){"from", "to"}, (const char *[]){"x", "y"},
                    -0.5);
    assert_text("smqd_a 1\n"
                "smqd_io_a{actor=\"io-0\"} 1.8446744073709552e+19\n"
                "smqd_a{from=\"x\",to=\"y\"} -0.5\n");
}

Test(metrics, escape_what_would_end_a_line_or_a_label)
{
    struct stat_desc desc = {"a", "", "one\ntwo \\ \"three\""};

    metrics_begin(&out, "", &desc);
    metrics_value(&out, "", "a", "l", "one\ntwo \\ \"three\"", 0);
    assert_text("# HELP smqd_a one\\ntwo \\\\ \"three\"\n"
                "# TYPE smqd_a gauge\n"
                "smqd_a{l=\"one\\ntwo \\\\ \\\"three\\\"\"} 0\n");
}
