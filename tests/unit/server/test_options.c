/*
 * tests/unit/server/test_options.c — mirrors server/options.c.
 * Goal: the command line is understood, and a mistake is answered with the way out.
 */
#include "server/options.h"

#include <string.h>
#include <sysexits.h>

#include "server/config.h"

#include <criterion/criterion.h>

#define ARGUMENTS_MAX 256

static struct options options;
static char out_text[8192];
static char err_text[8192];

static FILE *open_text(char *text)
{
    text[0] = '\0';
    return fmemopen(text, sizeof(out_text), "w");
}

/* Run options_parse over the words after "smqd". Fills out_text and err_text. */
static int parse(const char *const *words, int count)
{
    char *argv[ARGUMENTS_MAX] = {(char *)"smqd"};
    FILE *out = open_text(out_text);
    FILE *err = open_text(err_text);

    cr_assert_lt(count, ARGUMENTS_MAX - 1);
    for (int i = 0; i < count; i++)
        argv[i + 1] = (char *)(uintptr_t)words[i]; /* getopt_long does not write there */
    int code = options_parse(&options, count + 1, argv, out, err);

    fclose(out);
    fclose(err);
    return code;
}

#define PARSE(...)                                                                                 \
    parse((const char *const[]){__VA_ARGS__}, (int)COUNT_OF(((const char *const[]){__VA_ARGS__})))

static void assert_usage(int code, const char *words)
{
    cr_assert_eq(code, EX_USAGE);
    cr_assert_str_eq(out_text, "");
    cr_assert_not_null(strstr(err_text, words), "\"%s\" does not say \"%s\"", err_text, words);
    cr_assert_eq(strncmp(err_text, "smqd: ", 6), 0);
    cr_assert_eq(strchr(err_text, '\n'), err_text + strlen(err_text) - 1, "one line");
}

Test(options, refuses_what_it_does_not_know)
{
    assert_usage(PARSE("--banana"), "unknown option --banana");
    assert_usage(PARSE("-x"), "unknown option");
    assert_usage(PARSE("--lisen=tcp://*:1"), "did you mean --listen?");
    assert_usage(PARSE("--conifg", "x"), "did you mean --config?");
    assert_usage(PARSE("smqd.conf"), "not smqd.conf");
}

Test(options, refuses_a_missing_or_needless_value)
{
    assert_usage(PARSE("--config"), "a value is missing after --config");
    assert_usage(PARSE("--help=me"), "takes no value");
    assert_usage(PARSE("--set", "limits.connections"), "KEY=VALUE");
    assert_usage(PARSE("--set", "=5"), "KEY=VALUE");
}

Test(options, refuses_more_than_it_has_room_for)
{
    const char *words[2 * (OPTIONS_SETTINGS_MAX + 1)];

    for (uint32_t i = 0; i < COUNT_OF(words); i += 2) {
        words[i] = "--set";
        words[i + 1] = "drain_ms=1";
    }
    cr_assert_eq(parse(words, (int)COUNT_OF(words) - 2), OPTIONS_GO_ON);
    assert_usage(parse(words, (int)COUNT_OF(words)), "too many --set");
    for (uint32_t i = 0; i < COUNT_OF(words); i += 2) {
        words[i] = "--listen";
        words[i + 1] = "tcp://*:0";
    }
    cr_assert_eq(parse(words, 2 * LIMIT_LISTENERS), OPTIONS_GO_ON);
    assert_usage(parse(words, 2 * LIMIT_LISTENERS + 2), "too many --listen");
}

Test(options, serves_with_the_defaults_when_nothing_is_said)
{
    cr_assert_eq(parse(NULL, 0), OPTIONS_GO_ON);
    cr_assert_eq(options.task, OPTIONS_SERVE);
    cr_assert_null(options.config_path);
    cr_assert_null(options.data_dir);
    cr_assert_eq(options.listen_count, 0);
    cr_assert_eq(options.setting_count, 0);
}

Test(options, takes_all_of_them)
{
    cr_assert_eq(PARSE("--config", "a.conf", "--data-dir=/tmp/x", "--listen", "tcp://*:1",
                       "--listen", "tcp://*:2", "--set", "a=1", "--set", "b=2", "--check-config"),
                 OPTIONS_GO_ON);
    cr_assert_eq(options.task, OPTIONS_CHECK_CONFIG);
    cr_assert_str_eq(options.config_path, "a.conf");
    cr_assert_str_eq(options.data_dir, "/tmp/x");
    cr_assert_eq(options.listen_count, 2);
    cr_assert_str_eq(options.listen_urls[1], "tcp://*:2");
    cr_assert_eq(options.setting_count, 2);
    cr_assert_str_eq(options.settings[1], "b=2");
}

Test(options, answers_help_and_version_on_stdout)
{
    cr_assert_eq(PARSE("--version"), EX_OK);
    cr_assert_str_eq(out_text, "smqd " SMQD_VERSION "\n");
    cr_assert_eq(PARSE("--help"), EX_OK);
    cr_assert_str_eq(err_text, "");
    for (const char *const *name =
             (const char *const[]){"--config", "--listen", "--data-dir", "--set", "--check-config",
                                   "--print-config", "--version", "--help", "64", "78", NULL};
         *name; name++)
        cr_assert_not_null(strstr(out_text, *name), "the help does not say %s", *name);
}

Test(options, keeps_its_help_within_a_terminal)
{
    cr_assert_eq(PARSE("--help"), EX_OK);
    for (char *line = strtok(out_text, "\n"); line; line = strtok(NULL, "\n"))
        cr_assert_leq(strlen(line), 92, "%s", line);
}

/* -- tasks -- */

static const char *run_task(enum options_task task, struct config *config, uint64_t limit)
{
    FILE *out = open_text(out_text);

    options.task = task;
    cr_assert_eq(options_run_task(&options, config, 2, limit, out), EX_OK);
    fclose(out);
    return out_text;
}

Test(options, says_what_this_machine_allows)
{
    struct config config;
    struct config_error error;

    options = (struct options){0};
    cr_assert(config_load(&config, &options, &error), "%s", error.text);
    cr_assert_eq(options_run_task(&options, &config, 2, 1024, NULL), OPTIONS_GO_ON);

    cr_assert_not_null(strstr(run_task(OPTIONS_CHECK_CONFIG, &config, 1024), "1024, fewer than "
                                                                             "limits.connections"));
    cr_assert_not_null(strstr(out_text, "tcp://127.0.0.1:8080"));
    cr_assert_not_null(strstr(out_text, "/smq.lsp"));
    cr_assert_not_null(strstr(out_text, "2 cores here"));
    cr_assert_null(strstr(run_task(OPTIONS_CHECK_CONFIG, &config, 1000000), "fewer than"));
    cr_assert_eq(config.io_thread_count, CONFIG_AUTO, "untouched");
    config_deinit(&config);
}
