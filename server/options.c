/*
 * server/options.c — the command line, and the two tasks that end before the server starts.
 */
#include "server/options.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#include "core/suggest.h"
#include "server/config.h"

static const char help_text[] =
    "Usage: smqd [OPTION]...\n"
    "\n"
    "A broker for the SMQ protocol. Without options it listens at tcp://127.0.0.1:8080 and\n"
    "serves one instance, /smq.lsp.\n"
    "\n"
    "Configuration (the command line wins over the file, the file over the defaults):\n"
    "  --config FILE      read FILE (default: none; configs/default.conf shows every key)\n"
    "  --listen URL       listen at tcp://ADDRESS:PORT, or tls://ADDRESS:PORT for TLS (IPv6 in\n"
    "                     brackets; an own CA is made when no certificate is set); repeatable,\n"
    "                     and replaces the configured addresses; port 0: the kernel chooses,\n"
    "                     and the port is printed (default: tcp://127.0.0.1:8080)\n"
    "  --data-dir DIR     where smqd keeps what it makes: the socket of smq stats, web-users, an\n"
    "                     own CA, databases of scripts; made if missing (default: data)\n"
    "  --set KEY=VALUE    override one key of the file; may be repeated; for example\n"
    "                     --set threads.io=2 --set limits.memory=48M\n"
    "\n"
    "Instead of serving:\n"
    "  --check-config     say whether the configuration is good, and what this machine allows\n"
    "  --print-config     print the configuration in force, every key with unit and reason\n"
    "  --version          print the version\n"
    "  -h, --help         print this\n"
    "\n"
    "When it is ready, smqd prints one line on stdout that begins with \"smqd ready\" and names\n"
    "each address with its real port; events go to stderr. SIGTERM or SIGINT sends what is\n"
    "queued, closes and exits within drain_ms (default: 5000); a second one exits at once.\n"
    "SIGHUP reads FILE, accounts, access lists, certificates and scripts again and drops nobody:\n"
    "keys that --print-config marks live are taken, others are named in the log.\n"
    "\n"
    "Exit codes: 0 clean, 64 wrong usage, 71 or 74 the system refused, 78 wrong configuration.\n";

enum option_id {
    OPTION_CONFIG = 1,
    OPTION_LISTEN,
    OPTION_DATA_DIR,
    OPTION_SET,
    OPTION_CHECK_CONFIG,
    OPTION_PRINT_CONFIG,
    OPTION_VERSION,
    OPTION_HELP = 'h',
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"data-dir", required_argument, NULL, OPTION_DATA_DIR},
    {"set", required_argument, NULL, OPTION_SET},
    {"check-config", no_argument, NULL, OPTION_CHECK_CONFIG},
    {"print-config", no_argument, NULL, OPTION_PRINT_CONFIG},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};
#define OPTION_NAMES_COUNT (COUNT_OF(long_options) - 1)

static int usage(FILE *err, const char *what, const char *word)
{
    fprintf(err, "smqd: %s%s; smqd --help lists the options\n", what, word);
    return EX_USAGE;
}

/* getopt_long refused @word ("--lisen=x"): say what it may have been. */
static int usage_unknown(FILE *err, const char *word)
{
    const char *names[OPTION_NAMES_COUNT];
    char name[SUGGEST_WORD_BYTES_MAX + 1];
    const char *start = word + strspn(word, "-");

    for (size_t i = 0; i < OPTION_NAMES_COUNT; i++)
        names[i] = long_options[i].name;
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(start, "="), start);

    const char *nearest = suggest_nearest(name, names, OPTION_NAMES_COUNT);

    if (!nearest)
        return usage(err, "unknown option ", word);
    if (strcmp(nearest, name) == 0)
        return usage(err, "this option takes no value: ", word);
    fprintf(err, "smqd: unknown option %s; did you mean --%s?\n", word, nearest);
    return EX_USAGE;
}

/* One option into @options. OPTIONS_GO_ON, or an exit code. */
static int take(struct options *options, enum option_id option, FILE *out, FILE *err)
{
    switch (option) {
    case OPTION_CONFIG:
        options->config_path = optarg;
        return OPTIONS_GO_ON;
    case OPTION_LISTEN:
        if (options->listen_count == COUNT_OF(options->listen_urls))
            return usage(err, "too many --listen; one more was ", optarg);
        options->listen_urls[options->listen_count++] = optarg;
        return OPTIONS_GO_ON;
    case OPTION_DATA_DIR:
        options->data_dir = optarg;
        return OPTIONS_GO_ON;
    case OPTION_SET:
        if (options->setting_count == COUNT_OF(options->settings))
            return usage(err, "too many --set; use a file; one more was ", optarg);
        if (!strchr(optarg, '=') || optarg[0] == '=')
            return usage(err, "--set needs KEY=VALUE, not ", optarg);
        options->settings[options->setting_count++] = optarg;
        return OPTIONS_GO_ON;
    case OPTION_CHECK_CONFIG:
        options->task = OPTIONS_CHECK_CONFIG;
        return OPTIONS_GO_ON;
    case OPTION_PRINT_CONFIG:
        options->task = OPTIONS_PRINT_CONFIG;
        return OPTIONS_GO_ON;
    case OPTION_VERSION:
        fputs("smqd " SMQD_VERSION "\n", out);
        return EX_OK;
    case OPTION_HELP:
        fputs(help_text, out);
        return EX_OK;
    }
    must(false && "an option without a case");
}

int options_parse(struct options *options, int argc, char **argv, FILE *out, FILE *err)
{
    int found;

    *options = (struct options){.task = OPTIONS_SERVE};
    opterr = 0; /* we speak for ourselves */
    optind = 0; /* from the beginning: tests call this often */
    /* "+": stop at the first argument that is no option; ":": tell a missing value apart. */
    while ((found = getopt_long(argc, argv, "+:h", long_options, NULL)) != -1) {
        if (found == ':')
            return usage(err, "a value is missing after ", argv[optind - 1]);
        if (found == '?')
            return usage_unknown(err, argv[optind - 1]);
        int code = take(options, (enum option_id)found, out, err);

        if (code != OPTIONS_GO_ON)
            return code;
    }
    if (optind < argc)
        return usage(err, "smqd takes options only, not ", argv[optind]);
    return OPTIONS_GO_ON;
}

/* -- tasks -- */

static void describe_threads(const struct config *config, uint32_t core_count, FILE *out)
{
    fprintf(out, "  threads      %d I/O, ", config->io_thread_count);
    if (config->router_thread_count == 0)
        fputs("which route as well", out);
    else
        fprintf(out, "%d router", config->router_thread_count);
    fprintf(out, " (%" PRIu32 " core%s here)\n", core_count, core_count == 1 ? "" : "s");
}

static void describe_connections(const struct config *config, uint64_t descriptor_limit, FILE *out)
{
    uint64_t room = config_connection_room(config, descriptor_limit);

    fprintf(out, "  connections  %" PRIu64, room);
    if (room == config->limits.connection_count_max) {
        fputs(" (limits.connections)\n", out);
        return;
    }
    fprintf(out,
            ", fewer than limits.connections = %" PRIu32 ": this process may have %" PRIu64
            "\n               descriptors for each I/O thread. More: ulimit -n (a shell), "
            "LimitNOFILE=\n               (systemd), or more threads.io\n",
            config->limits.connection_count_max, descriptor_limit);
}

static void describe(const struct options *options, const struct config *config,
                     uint32_t core_count, uint64_t descriptor_limit, FILE *out)
{
    struct config resolved = *config; /* borrows all that it points to */

    config_resolve_threads(&resolved, core_count);
    fprintf(out, "%s: good\n", options->config_path ? options->config_path : "built-in defaults");
    for (uint32_t i = 0; i < config->listener_count; i++)
        fprintf(out, "  listen       %s\n", config->listeners[i].url);
    for (uint32_t i = 0; i < config->instance_count; i++)
        fprintf(out, "  instance     %s (%" PRIu32 " topics and %" PRIu32 " sub-topics pinned)\n",
                config->instances[i].path, config->instances[i].topic_count,
                config->instances[i].subtopic_count);
    describe_threads(&resolved, core_count, out);
    describe_connections(&resolved, descriptor_limit, out);
}

int options_run_task(const struct options *options, const struct config *config,
                     uint32_t core_count, uint64_t descriptor_limit, FILE *out)
{
    switch (options->task) {
    case OPTIONS_SERVE:
        return OPTIONS_GO_ON;
    case OPTIONS_CHECK_CONFIG:
        describe(options, config, core_count, descriptor_limit, out);
        break;
    case OPTIONS_PRINT_CONFIG:
        config_print(config, out);
        break;
    }
    return fflush(out) == 0 ? EX_OK : EX_IOERR;
}
