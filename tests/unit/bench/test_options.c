/*
 * tests/unit/bench/test_options.c — mirrors bench/options.h.
 * Goal: a wrong command line never starts a run, and says what would be right.
 * Method: one wrong word at a time.
 */
#include "bench/options.h"

#include <string.h>

#include <criterion/criterion.h>
#include <criterion/redirect.h>

/* Parse up to six words after the program's name. */
static int parse(struct options *options, const char *a, const char *b, const char *c,
                 const char *d, const char *e)
{
    const char *words[] = {"smqbench", a, b, c, d, e};
    int count = 1;

    while (count < 6 && words[count] != NULL)
        count++;
    return options_parse(options, count, (char **)words);
}

/* The command line is refused and the message names @word. */
static void refused(const char *word, const char *a, const char *b, const char *c, const char *d,
                    const char *e)
{
    struct options options;
    char text[1024];

    cr_assert_eq(parse(&options, a, b, c, d, e), 64);
    fflush(stderr);
    FILE *error = cr_get_redirected_stderr();
    size_t length = fread(text, 1, sizeof(text) - 1, error);
    text[length] = '\0';
    cr_assert_not_null(strstr(text, word), "\"%s\" lacks \"%s\"", text, word);
}

Test(options, refuse_an_unknown_case, .init = cr_redirect_stderr)
{
    refused("--help", "ping", NULL, NULL, NULL, NULL);
}

Test(options, refuse_an_unknown_option, .init = cr_redirect_stderr)
{
    refused("--speed", "pair", "--speed", "9", NULL, NULL);
}

Test(options, refuse_an_option_of_another_case, .init = cr_redirect_stderr)
{
    refused("means nothing to the case pair", "pair", "--stopped", "1", NULL, NULL);
}

Test(options, refuse_an_option_without_its_value, .init = cr_redirect_stderr)
{
    refused("wants a value", "pair", "--pairs", NULL, NULL, NULL);
}

Test(options, refuse_a_number_with_a_tail, .init = cr_redirect_stderr)
{
    refused("\"10k\"", "pair", "--pairs", "10k", NULL, NULL);
}

Test(options, refuse_a_negative_number, .init = cr_redirect_stderr)
{
    refused("from 1 to", "pair", "--pairs", "-1", NULL, NULL);
}

Test(options, refuse_a_payload_too_small_for_the_stamp, .init = cr_redirect_stderr)
{
    refused("from 40 to 65520", "pair", "--payload", "39", NULL, NULL);
}

Test(options, refuse_seconds_that_are_no_number, .init = cr_redirect_stderr)
{
    refused("\"nan\"", "pair", "--seconds", "nan", NULL, NULL);
}

Test(options, refuse_tls_options_without_tls, .init = cr_redirect_stderr)
{
    refused("go with --tls", "pair", "--ca", "ca.crt", NULL, NULL);
}

Test(options, refuse_a_key_without_its_certificate, .init = cr_redirect_stderr)
{
    refused("--key goes with --cert", "pair", "--tls", "--key", "me.key", NULL);
}

Test(options, refuse_to_resume_what_never_ends, .init = cr_redirect_stderr)
{
    refused("means nothing to the case pair", "pair", "--tls", "--resume", NULL, NULL);
}

Test(options, refuse_a_protocol_they_do_not_know, .init = cr_redirect_stderr)
{
    refused("smq, redis, nats or mqtt", "pair", "--protocol", "amqp", NULL, NULL);
}

Test(options, refuse_websocket_with_another_protocol, .init = cr_redirect_stderr)
{
    refused("--ws goes with the protocol smq", "pair", "--ws", "--protocol", "nats", NULL);
}

Test(options, refuse_to_stop_every_subscriber, .init = cr_redirect_stderr)
{
    refused("at least one", "slow", "--stopped", "10", NULL, NULL);
}

Test(options, have_defaults_that_suit_the_case)
{
    struct options options;

    cr_assert_eq(parse(&options, "fanin", NULL, NULL, NULL, NULL), -1);
    cr_assert_eq(options.publisher_count, 20);
    cr_assert_eq(options.payload_bytes, 64);
    cr_assert_eq(options.window, 64);
    cr_assert_eq(parse(&options, "slow", NULL, NULL, NULL, NULL), -1);
    cr_assert_eq(options.stopped_count, 1);
    cr_assert_gt(options.subscriber_count, options.stopped_count);
}

Test(options, take_what_is_given)
{
    struct options options;

    cr_assert_eq(parse(&options, "pair", "--rate", "1000", "--seconds", "0.5"), -1);
    cr_assert_eq(options.bench_case, CASE_PAIR);
    cr_assert_eq(options.rate, 1000);
    cr_assert_eq(options.seconds, 0.5);
    cr_assert_not(options.is_json);
}
