/*
 * tests/unit/bench/test_traffic.c — mirrors bench/traffic.h and bench/churn.h.
 * Goal: what a broker does wrong is found, in its exact number; what it does right is not blamed.
 * Method: run every case against a small broker that has one bad habit and counts its misdeeds.
 */
#include "bench/traffic.h"

#include <stdlib.h>

#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include "bench/churn.h"
#include "tests/unit/bench/fake_nats.h"

static struct fake_nats fake;
static struct result result;

#define DELIVERED_MIN 20u /* two misdeeds of the fake */
#define SECONDS_MAX   20

/* Short runs: what is asserted does not depend on how much got through. */
static struct options options_of(enum bench_case bench_case)
{
    return (struct options){
        .bench_case = bench_case,
        .protocol = "nats",
        .path = "/",
        .publisher_count = 1,
        .topic_count = 1,
        .subscriber_count = 1,
        .pair_count = 3,
        .conn_count = 8,
        .requester_count = 3,
        .responder_count = 2,
        .opening_count = 64,
        .payload_bytes = 64,
        .window = 16,
        .seconds = 0.1,
        .warmup_seconds = 0.05,
        .grace_seconds = 2,
        .thread_count = 1,
        .source_count = 0,
        .is_quiet = true,
    };
}

static bool run_once(const struct options *options, enum fake_habit habit)
{
    struct process_list nobody = {0};

    fake_nats_start(&fake, habit);
    struct target target = {.protocol = &wire_nats, .server = fake.address, .run = 7};

    result = (struct result){0};
    bool is_run = options->bench_case == CASE_CHURN
                      ? churn_execute(options, &target, &nobody, &result)
                      : traffic_execute(options, &target, &nobody, &result);
    fake_nats_stop(&fake);
    return is_run;
}

/* As short as will do: on a busy machine next to nothing may get through in a tenth of a second. */
static bool run(const struct options *options, enum fake_habit habit)
{
    struct options longer = *options;

    while (run_once(&longer, habit)) {
        if (options->bench_case == CASE_IDLE || result.delivered_count >= DELIVERED_MIN ||
            longer.seconds > SECONDS_MAX)
            return true;
        longer.seconds *= 4;
    }
    return false;
}

static void expect_good(const struct options *options)
{
    cr_assert(run(options, FAKE_FAITHFUL));
    cr_assert(result_is_good(&result), "lost %lu, repeated %lu, reordered %lu, foreign %lu",
              result.lost_count, result.repeated_count, result.reordered_count,
              result.foreign_count);
    cr_assert_gt(result.delivered_count, 0);
}

Test(traffic, counts_exactly_what_was_lost)
{
    struct options options = options_of(CASE_PAIR);

    cr_assert(run(&options, FAKE_LOSES));
    cr_assert_not(result_is_good(&result));
    cr_assert_gt(fake.misdeed_count, 0);
    cr_assert_eq(result.lost_count, fake.misdeed_count);
    cr_assert_eq(result.repeated_count + result.reordered_count + result.foreign_count, 0);
}

Test(traffic, counts_exactly_what_was_lost_at_a_fixed_rate)
{
    struct options options = options_of(CASE_FANIN);

    options.publisher_count = 5;
    options.rate = 5000;
    cr_assert(run(&options, FAKE_LOSES));
    cr_assert_gt(fake.misdeed_count, 0);
    cr_assert_eq(result.lost_count, fake.misdeed_count);
}

Test(traffic, counts_exactly_what_was_lost_of_a_publisher_with_many_topics)
{
    struct options options = options_of(CASE_PUBSUB);

    options.topic_count = 7;
    options.subscriber_count = 2;
    cr_assert(run(&options, FAKE_LOSES));
    cr_assert_gt(fake.misdeed_count, 0);
    cr_assert_eq(result.lost_count, fake.misdeed_count);
}

Test(traffic, counts_exactly_what_came_twice)
{
    struct options options = options_of(CASE_PAIR);

    cr_assert(run(&options, FAKE_REPEATS));
    cr_assert_not(result_is_good(&result));
    cr_assert_gt(fake.misdeed_count, 0);
    cr_assert_eq(result.repeated_count, fake.misdeed_count);
    cr_assert_eq(result.lost_count + result.reordered_count, 0);
}

Test(traffic, tells_overtaking_from_loss)
{
    struct options options = options_of(CASE_PUBSUB);

    cr_assert(run(&options, FAKE_SWAPS));
    cr_assert_not(result_is_good(&result));
    cr_assert_gt(result.reordered_count, 0);
    cr_assert_leq(result.reordered_count, fake.misdeed_count); /* held back, but nothing passed */
    cr_assert_eq(result.lost_count + result.repeated_count, 0);
}

Test(traffic, counts_messages_that_nobody_sent)
{
    struct options options = options_of(CASE_PAIR);

    cr_assert(run(&options, FAKE_INVENTS));
    cr_assert_not(result_is_good(&result));
    cr_assert_eq(result.foreign_count, fake.misdeed_count);
    cr_assert_eq(result.lost_count, 0);
}

Test(traffic, takes_a_closed_subscriber_for_an_announced_loss)
{
    struct options options = options_of(CASE_PUBSUB);

    options.subscriber_count = 4;
    cr_assert(run(&options, FAKE_CLOSES_SUBSCRIBER));
    cr_assert_eq(result.closed_count, 1);
    cr_assert_gt(result.lost_announced_count, 0);
    cr_assert_eq(result.lost_count, 0);
    cr_assert_str_not_empty(result.closed_reason);
}

Test(traffic, fails_with_the_broker_s_words_when_it_refuses, .init = cr_redirect_stderr)
{
    struct options options = options_of(CASE_PAIR);
    char text[512];

    cr_assert_not(run(&options, FAKE_REFUSES));
    fflush(stderr);
    size_t length = fread(text, 1, sizeof(text) - 1, cr_get_redirected_stderr());
    text[length] = '\0';
    cr_assert_not_null(strstr(text, "Authorization Violation"), "\"%s\"", text);
}

Test(traffic, tries_again_when_it_is_turned_away)
{
    struct options options = options_of(CASE_IDLE);

    options.conn_count = 40;
    options.thread_count = 2;
    options.retry_seconds = 0.01;
    cr_assert(run(&options, FAKE_REFUSES_FIRST));
    cr_assert(result_is_good(&result));
    cr_assert_eq(result.retried_count, fake.misdeed_count);
    cr_assert_eq(result.delivered_count, 40);
}

Test(traffic, fails_when_nobody_listens, .init = cr_redirect_stderr)
{
    struct options options = options_of(CASE_PAIR);
    struct process_list nobody = {0};

    fake_nats_start(&fake, FAKE_FAITHFUL);
    fake_nats_stop(&fake);
    struct target target = {.protocol = &wire_nats, .server = fake.address, .run = 7};

    cr_assert_not(traffic_execute(&options, &target, &nobody, &result));
}

Test(traffic, finds_nothing_wrong_with_a_faithful_broker)
{
    struct options options = options_of(CASE_PAIR);

    expect_good(&options);
    cr_assert_geq(result.latency.count, 1);
    cr_assert_leq(result.publisher_count_min, result.publisher_count_max);
}

Test(traffic, waits_for_every_receiver_of_a_fan_out_over_several_threads)
{
    struct options options = options_of(CASE_PUBSUB);

    options.subscriber_count = 9;
    options.thread_count = 3;
    options.window = 2; /* publishers are handed over between threads all the time */
    expect_good(&options);
    cr_assert_eq(result.worker_count, 3);
}

Test(traffic, keeps_to_a_fixed_rate_and_counts_all)
{
    struct options options = options_of(CASE_PAIR);

    options.rate = 2000;
    options.warmup_seconds = 0;
    expect_good(&options);
}

Test(traffic, sends_large_payloads_whole)
{
    struct options options = options_of(CASE_PAIR);

    options.payload_bytes = 65520;
    options.window = 4;
    expect_good(&options);
}

Test(traffic, brings_the_answers_of_rpc_to_who_asked)
{
    struct options options = options_of(CASE_RPC);

    options.bystander_count = 2;
    expect_good(&options);
}

Test(traffic, reaches_every_idle_subscriber_once)
{
    struct options options = options_of(CASE_IDLE);

    options.conn_count = 40;
    options.thread_count = 2;
    expect_good(&options);
    cr_assert_eq(result.conn_count, 41);
    cr_assert_eq(result.delivered_count, 40);
}

Test(traffic, does_not_wait_for_those_that_stop_reading)
{
    struct options options = options_of(CASE_SLOW);

    options.subscriber_count = 4;
    options.stopped_count = 1;
    /* Few enough for the fake, which blocks, to stay below the stopped one's socket buffers. */
    options.rate = 200;
    expect_good(&options);
}

Test(churn, comes_and_goes_without_a_failure)
{
    struct options options = options_of(CASE_CHURN);

    options.thread_count = 2;
    expect_good(&options);
    cr_assert_geq(result.latency.count, 1);
}

Test(churn, fails_when_every_visit_does, .init = cr_redirect_stderr)
{
    struct options options = options_of(CASE_CHURN);

    cr_assert_not(run(&options, FAKE_REFUSES));
    cr_assert_gt(result.failed_count, 0);
}
