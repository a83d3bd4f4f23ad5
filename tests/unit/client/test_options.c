/*
 * tests/unit/client/test_options.c — mirrors cli/options.c and cli/target.c.
 *
 * Goal:   a wrong command line is refused with code 64, a right one means what it says.
 * Method: command lines as a shell would hand them over.
 */
#include "cli/options.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>

#include "cli/target.h"
#include "cli/url.h"

static struct options options;

static void begin(void)
{
    unsetenv("SMQ_URL");
    unsetenv("SMQ_CREDENTIALS");
    unsetenv("SMQD_DATA_DIR");
}

TestSuite(options, .init = begin);

/* Split @line at blanks, and parse it for @bit. */
static enum exit_code parse(enum command_bit bit, const char *line)
{
    static char copy[256];
    static char *argv[32];
    int argc = 0;

    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return options_parse(&options, bit, argc, argv);
}

Test(options, refuses_what_it_does_not_understand, .init = cr_redirect_stderr)
{
    cr_assert_eq(parse(COMMAND_PUB, "pub t --nonsense"), EXIT_USAGE);
    cr_assert_eq(parse(COMMAND_PUB, "pub t -Z"), EXIT_USAGE);
    cr_assert_eq(parse(COMMAND_PUB, "pub t -m"), EXIT_USAGE);
    cr_assert_eq(parse(COMMAND_PUB, "pub t --message"), EXIT_USAGE);
    cr_assert_eq(parse(COMMAND_PUB, "pub t --json"), EXIT_USAGE, "another command's");
    cr_assert_eq(parse(COMMAND_STATS, "stats --url x"), EXIT_USAGE, "another command's");
    cr_assert_eq(parse(COMMAND_SUB, "sub t --verbose=yes"), EXIT_USAGE, "a flag takes no value");
}

Test(options, refuses_numbers_out_of_range, .init = cr_redirect_stderr)
{
    static const char *const wrong[] = {
        "--count 0",     "--count -1",    "--count 1x",     "--count 99999999999999999999",
        "--timeout 0",   "--timeout -1",  "--timeout x",    "--timeout 5s",
        "--timeout nan", "--timeout inf", "--timeout 1e99",
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char line[64];

        snprintf(line, sizeof line, "sub t %s", wrong[i]);
        cr_assert_eq(parse(COMMAND_SUB, line), EXIT_USAGE, "%s", wrong[i]);
    }
}

Test(options, have_the_defaults_that_the_help_promises)
{
    cr_assert_eq(parse(COMMAND_RPC, "rpc"), EXIT_OK);
    cr_assert_str_eq(options.url, URL_DEFAULT);
    cr_assert_str_eq(options.data_dir, "./data");
    cr_assert_str_eq(options.info, "smq");
    cr_assert_eq(options.timeout_ms, 10000);
    cr_assert_eq(options.listen_ms, 0);
    cr_assert_eq(options.count, 0);
    cr_assert_null(options.credentials);
    cr_assert_null(options.uid);
    cr_assert_eq(options.argument_count, 0);
}

Test(options, come_from_the_environment_and_the_command_line_wins)
{
    setenv("SMQ_URL", "tcp://a", 1);
    setenv("SMQ_CREDENTIALS", "secret", 1);
    setenv("SMQD_DATA_DIR", "", 1);
    cr_assert_eq(parse(COMMAND_SUB, "sub t"), EXIT_OK);
    cr_assert_str_eq(options.url, "tcp://a");
    cr_assert_str_eq(options.credentials, "secret");
    cr_assert_str_eq(options.data_dir, "./data", "an empty variable is none");
    cr_assert_eq(parse(COMMAND_SUB, "sub t --url tcp://b -c other"), EXIT_OK);
    cr_assert_str_eq(options.url, "tcp://b");
    cr_assert_str_eq(options.credentials, "other");
}

Test(options, may_stand_before_between_and_after_the_arguments)
{
    cr_assert_eq(parse(COMMAND_SUB, "sub -v a --timeout 1.5 b -n7 c --sub x -- -d"), EXIT_OK);
    cr_assert(options.verbose);
    cr_assert_eq(options.listen_ms, 1500);
    cr_assert_eq(options.timeout_ms, 10000, "of answers: not what --timeout means to sub");
    cr_assert_eq(options.count, 7);
    cr_assert_str_eq(options.subtopic, "x");
    cr_assert_eq(options.argument_count, 4);
    cr_assert_str_eq(options.arguments[0], "a");
    cr_assert_str_eq(options.arguments[3], "-d");
}

Test(target, is_an_id_when_all_are_digits_and_a_name_otherwise)
{
    uint32_t id = 0;
    const char *name = NULL;

    cr_assert(target_parse("0", &id, &name));
    cr_assert_eq(id, 0);
    cr_assert(target_parse("4294967295", &id, &name));
    cr_assert_eq(id, 4294967295);

    cr_assert_not(target_parse("4294967296", &id, &name), "too large for an id");
    cr_assert_str_eq(name, "4294967296");
    cr_assert_not(target_parse("-1", &id, &name));
    cr_assert_not(target_parse(" 1", &id, &name));
    cr_assert_not(target_parse("1a", &id, &name));
    cr_assert_not(target_parse("99999999999999999999999", &id, &name));
    cr_assert_not(target_parse("", &id, &name));
    cr_assert_not(target_parse("topic:42", &id, &name));
    cr_assert_str_eq(name, "42");
    cr_assert_not(target_parse("topic:topic:", &id, &name));
    cr_assert_str_eq(name, "topic:");
}

Test(options, shows_all_counters_only_when_asked, .init = cr_redirect_stderr)
{
    cr_assert_eq(parse(COMMAND_STATS, "stats"), EXIT_OK);
    cr_assert_not(options.shows_zeros);
    cr_assert_eq(parse(COMMAND_STATS, "stats --all"), EXIT_OK);
    cr_assert(options.shows_zeros);
    cr_assert_eq(parse(COMMAND_PEERS, "peers --all"), EXIT_USAGE, "peers leaves nothing out");
}
