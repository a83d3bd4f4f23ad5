/*
 * tests/unit/webui/test_stats.c — mirrors webui/stats.c.
 *
 * Goal:   what is said of a second is the difference of two samples by the time between them; names
 *         are the pages' own.
 * Method: samples by hand; the JSON is looked at as text.
 */
#include "webui/stats.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/core/account.h"

static struct stats stats;
static struct body body;
static char text[65536];

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

TestSuite(stats, .init = start, .fini = stop);

/* A sample @seconds after the start, in which all counters have grown with the time. */
static struct stats_sample *sample(double seconds, uint64_t count)
{
    struct stats_sample *next = stats_next(&stats);

    next->clock_ns = 1 + (int64_t)(seconds * 1e9);
    next->t_ms = (int64_t)(seconds * 1000);
    next->uptime_s = (uint64_t)seconds;
    for (uint32_t i = 0; i < STATS_RATE_COUNT; i++)
        next->totals[i] = count;
    stats_list_add(&next->drops, "dropped_new_total", "a \"help\"", count);
    stats_list_add(&next->drops, "dropped_new_total", "a \"help\"", count);
    stats_list_add(&next->closed, "HANDSHAKE_TIMEOUT", "too late", count);
    next->latency.at[latency_bucket(50000)] = count;
    next->actor_count = 1;
    next->actors[0] = (struct stats_actor){.name = "io-0",
                                           .kind = "io",
                                           .cpu_ns = count * 1000000,
                                           .turns = count,
                                           .lane_depth = 3,
                                           .lane_room = 255,
                                           .connections = 7};
    return next;
}

static void expect(const char *part)
{
    struct span all;

    body_drop(&body);
    stats_put(&stats, span_of(",\"tls\":1", 8), &body);
    all = body_span(&body);
    snprintf(text, sizeof(text), "%.*s", (int)all.bytes_count, (const char *)all.data);
    cr_assert_not_null(strstr(text, part), "no %s in %s", part, text);
}

Test(stats, are_all_nought_before_the_first_sample)
{
    expect("{\"t\":0,\"uptime_s\":0,\"connections\":{\"open\":0,");
    expect("\"latency_us\":{\"p50\":null,\"p99\":null,\"count\":0}");
    expect("\"drops\":[]");
}

Test(stats, know_no_rates_of_one_sample)
{
    (void)sample(5, 1000);
    stats_taken(&stats);
    expect("\"messages_in\":0.0,");
    expect("{\"name\":\"new\",\"total\":2000,\"rate\":0.0,\"help\":\"a \\u0022help\\u0022\"}");
    cr_assert_eq(stats.history.step_count, 0, "nor does the history");
}

Test(stats, divide_by_the_time_that_has_passed)
{
    (void)sample(5, 1000);
    stats_taken(&stats);
    sample(7.5, 1500)->connections[STATS_CONNECTION_WSS] = 4;
    stats_taken(&stats);
    expect("\"t\":7500,");
    expect("\"wss\":4,");
    expect("\"messages_in\":200.0,");
    expect("\"resumed\":200.0}");
    expect("{\"name\":\"new\",\"total\":3000,\"rate\":400.0,");
    expect("\"closed\":[{\"name\":\"handshake_timeout\",\"total\":1500,\"rate\":200.0,");
    expect("\"actors\":[{\"name\":\"io-0\",\"kind\":\"io\",\"load\":0.2000,\"turns\":200,");
    expect("\"lane_depth\":3,\"lane_room\":255,\"backlogs\":0,\"connections\":7}]");
    expect("\"tls\":1}\n");
    cr_assert_eq(stats.history.step_count, 1);
}

Test(stats, say_of_a_scripts_functions_how_long_they_took_in_this_second)
{
    for (uint64_t second = 1; second <= 2; second++) {
        struct stats_sample *next = sample((double)second, 0);

        next->script_count = 1;
        next->scripts[0] = (struct stats_script){
            .instance = "/smq.lsp",
            .is_loaded = true,
            .loads = 2,
            .errors = 3,
            .memory_bytes = 4096,
            .published = 10 * second,
            .call_count = 1,
            .calls[0] = {.name = "onmsg",
                         .count = 100 * second,
                         .errors = 1,
                         .time_ns = 400000 * second,
                         .slowest_ns = 50000},
        };
        stats_taken(&stats);
    }
    expect(
        ",\"scripts\":[{\"instance\":\"/smq.lsp\",\"loaded\":true,\"loads\":2,\"load_failures\":0,"
        "\"errors\":3,\"timeouts\":0,\"memory_bytes\":4096,");
    expect("\"published\":10.0,\"dropped\":0,\"calls\":[{\"name\":\"onmsg\",\"total\":200,"
           "\"rate\":100.0,\"errors\":1,\"mean_us\":4.0,\"slowest_us\":50.0}]}]");
}

Test(stats, measure_the_latency_of_this_second_alone)
{
    (void)sample(1, 100);
    stats_taken(&stats);
    sample(2, 100)->latency.at[latency_bucket(9000000)] = 100;
    stats_taken(&stats);
    expect("\"count\":100}");
    cr_assert_not_null(strstr(text, "\"p50\":89"), "%s", text);
    (void)sample(3, 100);
    stats_taken(&stats);
}

Test(stats, say_one_microsecond_of_what_took_less)
{
    (void)sample(1, 0);
    stats_taken(&stats);
    sample(2, 0)->latency.at[latency_bucket(300)] = 10;
    stats_taken(&stats);
    expect("\"latency_us\":{\"p50\":1,\"p99\":1,\"count\":10}");
}

Test(stats, begin_anew_when_a_counter_goes_back)
{
    (void)sample(1, 1000);
    stats_taken(&stats);
    (void)sample(2, 10); /* no counter does: a gauge by mistake must not become 1.8e19 */
    stats_taken(&stats);
    expect("\"messages_in\":0.0,");
}
