/*
 * cli/options.c — one table of options for all commands; see cli/options.h.
 *
 * Thread: main.
 */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/url.h"

#define TIMEOUT_MS_DEFAULT 10000u
#define SECONDS_MAX        (30.0 * 24 * 3600) /* a month; keeps milliseconds within an int32_t */
#define HELP_COLUMN        26
#define DATA_DIR_SERVICE   "/var/lib/smqd" /* configs/smqd.service */

#define TALKING    (COMMAND_SUB | COMMAND_PUB | COMMAND_RPC | COMMAND_OBSERVE)
#define CONNECTING (TALKING | COMMAND_DEMO)
#define LISTENING  (COMMAND_SUB | COMMAND_OBSERVE)
#define ADMIN      (COMMAND_STATS | COMMAND_PEERS | COMMAND_BAN)
#define FILES      (COMMAND_PASSWD | COMMAND_EXPLAIN)

enum option_kind { KIND_FLAG, KIND_TEXT, KIND_COUNT, KIND_SECONDS };

/* kind, name, letter or 0, argument or NULL, field, commands, help (one line each) */
static const struct option_row {
    enum option_kind kind;
    const char *name;
    char letter;
    const char *argument;
    size_t field; /* offset in struct options */
    unsigned commands;
    const char *help;
} rows[] = {
#define FIELD(name) offsetof(struct options, name)
    {KIND_TEXT, "message", 'm', "TEXT", FIELD(message), COMMAND_PUB, "what to send"},
    {KIND_TEXT, "file", 'f', "FILE", FIELD(file), COMMAND_PUB,
     "send this file; '-' is standard input (the default without -m)"},
    {KIND_FLAG, "lines", 'l', NULL, FIELD(is_line_by_line), COMMAND_PUB,
     "send each line of the input as a message of its own"},
    {KIND_TEXT, "sub", 's', "SUBTOPIC", FIELD(subtopic), COMMAND_PUB, "the message's sub-topic"},
    {KIND_TEXT, "sub", 's', "SUBTOPIC", FIELD(subtopic), COMMAND_SUB,
     "only messages with this sub-topic"},
    {KIND_COUNT, "count", 'n', "N", FIELD(count), LISTENING, "stop after N (default: never)"},
    {KIND_COUNT, "count", 'n', "N", FIELD(count), COMMAND_PUB, "send it N times (default 1)"},
    {KIND_COUNT, "count", 'n', "N", FIELD(count), COMMAND_RPC, "wait for N replies (default 1)"},
    {KIND_TEXT, "name", 0, "TEXT", FIELD(name), COMMAND_DEMO,
     "what the device calls itself (default \"Demo device\")"},
    {KIND_COUNT, "count", 'n', "N", FIELD(count), COMMAND_DEMO,
     "that many devices, up to 100 (default 1)"},
    {KIND_SECONDS, "timeout", 't', "SECONDS", FIELD(listen_ms), LISTENING,
     "stop after so long (default: never);\nexit code 75 when --count was not reached"},
    {KIND_SECONDS, "timeout", 't', "SECONDS", FIELD(timeout_ms), COMMAND_PUB | COMMAND_RPC | ADMIN,
     "longest wait for each answer (default 10)"},
    {KIND_SECONDS, "for", 0, "SECONDS", FIELD(ban_ms), COMMAND_BAN,
     "add: how long the ban lasts, up to 30 days (default 3600)"},
    {KIND_FLAG, "memory", 0, NULL, FIELD(is_memory_only), COMMAND_STATS,
     "only the memory: what each kind of thing costs, and what is used"},
    {KIND_FLAG, "all", 'a', NULL, FIELD(shows_zeros), COMMAND_STATS,
     "also the counters at zero, which long lists leave out"},
    {KIND_FLAG, "verbose", 'v', NULL, FIELD(verbose), COMMAND_SUB | COMMAND_RPC,
     "also show topic, sender (ETID) and sub-topic"},
    {KIND_FLAG, "raw", 0, NULL, FIELD(raw), COMMAND_SUB | COMMAND_RPC,
     "print the payload's bytes as they are, with no newline added"},
    {KIND_FLAG, "json", 'j', NULL, FIELD(json), COMMAND_SUB | COMMAND_RPC | COMMAND_OBSERVE | ADMIN,
     "print JSON"},
    {KIND_TEXT, "url", 'u', "URL", FIELD(url), CONNECTING,
     "the broker (default $SMQ_URL, else " URL_DEFAULT ")"},
    {KIND_TEXT, "ca", 0, "FILE", FIELD(ca_path), CONNECTING,
     "tls://: trust this CA (PEM; default $SMQ_CA_FILE, else the system's)"},
    {KIND_TEXT, "cert", 0, "FILE", FIELD(cert_path), CONNECTING,
     "tls://: show this certificate (PEM; made by `smq ca device`)"},
    {KIND_TEXT, "key", 0, "FILE", FIELD(key_path), CONNECTING,
     "tls://: its key (default: in the file of the certificate)"},
    {KIND_FLAG, "insecure", 0, NULL, FIELD(is_insecure), CONNECTING,
     "tls://: accept any certificate; for experiments only"},
    {KIND_TEXT, "acl", 'a', "FILE", FIELD(acl_path), COMMAND_EXPLAIN, "the access list"},
    {KIND_TEXT, "user", 'u', "NAME", FIELD(login_user), COMMAND_EXPLAIN,
     "logged in as this user (default: anonymous)"},
    {KIND_TEXT, "cert", 0, "NAME", FIELD(login_cert), COMMAND_EXPLAIN,
     "showed a certificate of this name"},
    {KIND_TEXT, "web", 0, "NAME", FIELD(login_web), COMMAND_EXPLAIN,
     "a browser, logged in to the web pages as this user"},
    {KIND_FLAG, "shared-key", 0, NULL, FIELD(login_key), COMMAND_EXPLAIN,
     "proved its UID with the shared key"},
    {KIND_TEXT, "uid", 0, "TEXT", FIELD(uid), COMMAND_EXPLAIN, "its UID (default: none)"},
    {KIND_TEXT, "uid", 0, "TEXT", FIELD(uid), TALKING,
     "our unique id, 6 to 255 bytes (default: a random one)"},
    {KIND_TEXT, "credentials", 'c', "TEXT", FIELD(credentials), CONNECTING,
     "key or user:password, up to 255 bytes (default $SMQ_CREDENTIALS,\n"
     "which keeps it out of the process list)"},
    {KIND_TEXT, "key-file", 'k', "FILE", FIELD(key_file), CONNECTING,
     "prove our UID with the shared key in this file, instead of\n"
     "--credentials (default $SMQ_KEY_FILE)"},
    {KIND_TEXT, "info", 0, "TEXT", FIELD(info), TALKING,
     "who we are, for people reading the peer list (default \"smq\")"},
    {KIND_TEXT, "data-dir", 'd', "DIR", FIELD(data_dir), ADMIN,
     "where the broker keeps smqd.sock (default $SMQD_DATA_DIR, else\n./data, else the installed "
     "service's " DATA_DIR_SERVICE ")"},
    {KIND_FLAG, "stdin", 0, NULL, FIELD(from_stdin), COMMAND_PASSWD,
     "read the password from standard input, its first line"},
    {KIND_FLAG, "delete", 0, NULL, FIELD(is_delete), COMMAND_PASSWD, "take the user out"},
    {KIND_FLAG, "help", 'h', NULL, FIELD(help), CONNECTING | ADMIN | FILES, "this text"},
#undef FIELD
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

/* A getopt table of what @bit takes. The value returned by getopt is the row's index + this, so
 * that it meets neither '?' nor ':'. */
#define ROW_VALUE_BASE 256

static void getopt_tables(enum command_bit bit, struct option long_options[ROW_COUNT + 1],
                          char short_options[2 * ROW_COUNT + 2])
{
    size_t long_count = 0;
    char *at = short_options;

    *at++ = ':'; /* tell a missing argument from an unknown option */
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct option_row *row = &rows[i];

        if ((row->commands & bit) == 0)
            continue;
        long_options[long_count++] = (struct option){
            .name = row->name,
            .has_arg = row->argument != NULL ? required_argument : no_argument,
            .val = ROW_VALUE_BASE + (int)i,
        };
        if (row->letter != 0) {
            *at++ = row->letter;
            if (row->argument != NULL)
                *at++ = ':';
        }
    }
    long_options[long_count] = (struct option){0};
    *at = '\0';
}

static const struct option_row *row_of(enum command_bit bit, int value)
{
    if (value >= ROW_VALUE_BASE)
        return &rows[value - ROW_VALUE_BASE];
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if ((rows[i].commands & bit) != 0 && rows[i].letter == value)
            return &rows[i];
    }
    return NULL;
}

static bool parse_count(const char *text, uint64_t *count)
{
    char *end;

    errno = 0;
    *count = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *count > 0;
}

static bool parse_seconds(const char *text, uint64_t *ms)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(seconds) || seconds < 0.001 ||
        seconds > SECONDS_MAX)
        return false;
    *ms = (uint64_t)llround(seconds * 1000.0);
    return true;
}

static enum exit_code store(struct options *options, const struct option_row *row,
                            const char *argument)
{
    void *field = (char *)options + row->field;

    switch (row->kind) {
    case KIND_FLAG:
        *(bool *)field = true;
        return EXIT_OK;
    case KIND_TEXT:
        *(const char **)field = argument;
        return EXIT_OK;
    case KIND_COUNT:
        if (parse_count(argument, field))
            return EXIT_OK;
        return complain(EXIT_USAGE, "--%s wants a whole number from 1, not '%s'", row->name,
                        argument);
    case KIND_SECONDS:
        if (parse_seconds(argument, field))
            return EXIT_OK;
        return complain(EXIT_USAGE, "--%s wants seconds from 0.001 to a month, not '%s'", row->name,
                        argument);
    }
    return EXIT_SOFTWARE; /* not reached: the switch is complete */
}

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : otherwise;
}

/* Where somebody tries smqd out, or else where the service has it. */
static const char *default_data_dir(void)
{
    bool is_service_only = access("./data", F_OK) != 0 && access(DATA_DIR_SERVICE, F_OK) == 0;

    return is_service_only ? DATA_DIR_SERVICE : "./data";
}

enum exit_code options_parse(struct options *options, enum command_bit bit, int argc, char **argv)
{
    struct option long_options[ROW_COUNT + 1];
    char short_options[2 * ROW_COUNT + 2];

    *options = (struct options){
        .url = environment("SMQ_URL", URL_DEFAULT),
        .credentials = environment("SMQ_CREDENTIALS", NULL),
        .key_file = environment("SMQ_KEY_FILE", NULL),
        .ca_path = environment("SMQ_CA_FILE", NULL),
        .data_dir = environment("SMQD_DATA_DIR", default_data_dir()),
        .info = "smq",
        .timeout_ms = TIMEOUT_MS_DEFAULT,
    };
    getopt_tables(bit, long_options, short_options);
    opterr = 0;
    optind = 1;
    for (;;) {
        int value = getopt_long(argc, argv, short_options, long_options, NULL);

        if (value == -1)
            break;
        if (value == ':')
            return complain(EXIT_USAGE, "%s needs a value; see `smq %s --help`", argv[optind - 1],
                            argv[0]);
        if (value == '?' && optopt != 0 && optopt < ROW_VALUE_BASE)
            return complain(EXIT_USAGE, "-%c is no option of this command; see `smq %s --help`",
                            optopt, argv[0]);
        if (value == '?')
            return complain(EXIT_USAGE, "%s is not understood here; see `smq %s --help`",
                            argv[optind - 1], argv[0]);
        enum exit_code code = store(options, row_of(bit, value), optarg);
        if (code != EXIT_OK)
            return code;
    }
    options->arguments = argv + optind;
    options->argument_count = argc - optind;
    return EXIT_OK;
}

void options_print(FILE *out, enum command_bit bit)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct option_row *row = &rows[i];
        char left[64];

        if ((row->commands & bit) == 0)
            continue;
        snprintf(left, sizeof left, "%c%c%s --%s%s%s", row->letter != 0 ? '-' : ' ',
                 row->letter != 0 ? row->letter : ' ', row->letter != 0 ? "," : " ", row->name,
                 row->argument != NULL ? " " : "", row->argument != NULL ? row->argument : "");
        fprintf(out, "  %-*s ", HELP_COLUMN, left);
        for (const char *at = row->help; *at != '\0'; at++) {
            fputc(*at, out);
            if (*at == '\n')
                fprintf(out, "  %-*s ", HELP_COLUMN, "");
        }
        fputc('\n', out);
    }
}
