/*
 * bench/options.c — the command line, from one table.
 */
#include "bench/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stamp.h"
#include "bench/wire.h"
#include "core/must.h"

#define EXIT_USAGE        64
#define PAYLOAD_BYTES_MAX 65520u /* what SMQ can carry in one message */
#define WINDOW_MAX        65536u

static const struct {
    const char *name;
    const char *help;
} cases[CASE_COUNT] = {
    [CASE_IDLE] = {"idle", "connect and subscribe, hold, then reach every one: memory for each"},
    [CASE_PUBSUB] = {"pubsub", "publishers, topics and subscribers in any number"},
    [CASE_PAIR] = {"pair", "N publishers with a topic and a subscriber each"},
    [CASE_FANIN] = {"fanin", "many publishers, one topic, one subscriber: and is it fair?"},
    [CASE_RPC] = {"rpc", "requests to a responder's own address, and its answers"},
    [CASE_CHURN] = {"churn", "connect, subscribe, leave, again and again"},
    [CASE_SLOW] = {"slow", "some subscribers stop reading; the others must not notice"},
};

enum option_type { OPTION_TEXT, OPTION_COUNT, OPTION_SECONDS, OPTION_FLAG };

#define IN(bench_case) (1u << (bench_case))
#define IN_ALL         ((1u << CASE_COUNT) - 1)
#define IN_TRAFFIC     (IN_ALL & ~IN(CASE_CHURN))

static const struct option_row {
    const char *name;
    enum option_type type;
    size_t offset;
    uint32_t min;
    uint32_t max;
    uint32_t cases; /* bits: who uses it */
    const char *unit;
    const char *help;
} rows[] = {
#define ROW(name, type, field, min, max, cases, unit, help)                                        \
    {                                                                                              \
        name, type, offsetof(struct options, field), min, max, cases, unit, help                   \
    }
    ROW("protocol", OPTION_TEXT, protocol, 0, 0, IN_ALL, "NAME", "smq, redis, nats or mqtt [smq]"),
    ROW("connect", OPTION_TEXT, connect, 0, 0, IN_ALL, "HOST:PORT",
        "the broker [127.0.0.1 and the protocol's usual port]"),
    ROW("path", OPTION_TEXT, path, 0, 0, IN_ALL, "PATH", "SMQ: the broker's URL path [/smq.lsp]"),
    ROW("ws", OPTION_FLAG, is_ws, 0, 0, IN_ALL, "", "SMQ: over WebSocket, as browsers speak it"),
    ROW("pid", OPTION_TEXT, pids, 0, 0, IN_ALL, "PID[,PID]",
        "the broker's process: report its CPU time and memory"),
    ROW("tls", OPTION_FLAG, is_tls, 0, 0, IN_ALL, "", "speak TLS, and verify the broker"),
    ROW("ca", OPTION_TEXT, ca_path, 0, 0, IN_ALL, "FILE",
        "TLS: the CA to trust, PEM [the system's list]"),
    ROW("insecure", OPTION_FLAG, is_insecure, 0, 0, IN_ALL, "",
        "TLS: trust any certificate; spares the generator the verification"),
    ROW("cert", OPTION_TEXT, cert_path, 0, 0, IN_ALL, "FILE", "TLS: our certificate, PEM [none]"),
    ROW("key", OPTION_TEXT, key_path, 0, 0, IN_ALL, "FILE",
        "TLS: its key, PEM [in the file of --cert]"),
    ROW("tls-version", OPTION_TEXT, tls_version, 0, 0, IN_ALL, "1.2|1.3",
        "TLS: only this version [both]"),
    ROW("signatures", OPTION_TEXT, signatures, 0, 0, IN_ALL, "KIND",
        "TLS: ecdsa or rsa: only certificates of this kind [both]"),
    ROW("resume", OPTION_FLAG, is_resuming, 0, 0, IN(CASE_CHURN), "",
        "TLS: come back with the ticket of the visit before"),
    ROW("publishers", OPTION_COUNT, publisher_count, 1, 100000,
        IN(CASE_PUBSUB) | IN(CASE_FANIN) | IN(CASE_SLOW), "N", "publishers [1; fanin 20]"),
    ROW("topics", OPTION_COUNT, topic_count, 1, 1000000, IN(CASE_PUBSUB) | IN(CASE_SLOW), "N",
        "topics, dealt out to publishers and subscribers in turn [1]"),
    ROW("subscribers", OPTION_COUNT, subscriber_count, 1, 1000000, IN(CASE_PUBSUB) | IN(CASE_SLOW),
        "N", "subscribers [1; slow 10]"),
    ROW("pairs", OPTION_COUNT, pair_count, 1, 100000, IN(CASE_PAIR), "N", "pairs [10]"),
    ROW("connections", OPTION_COUNT, conn_count, 1, 1000000, IN(CASE_IDLE) | IN(CASE_CHURN), "N",
        "idle: subscribers [1000]; churn: connections at a time [16]"),
    ROW("requesters", OPTION_COUNT, requester_count, 1, 100000, IN(CASE_RPC), "N",
        "clients that ask [1]"),
    ROW("responders", OPTION_COUNT, responder_count, 1, 100000, IN(CASE_RPC), "N",
        "clients that answer [1]"),
    ROW("bystanders", OPTION_COUNT, bystander_count, 0, 1000000, IN_TRAFFIC & ~IN(CASE_IDLE), "N",
        "further connections, subscribed to topics nobody uses [0]"),
    ROW("stopped", OPTION_COUNT, stopped_count, 0, 100000, IN(CASE_SLOW), "N",
        "subscribers that stop reading after the warm-up [1]"),
    ROW("opening", OPTION_COUNT, opening_count, 1, 1000000, IN_TRAFFIC, "N",
        "connections on their way at a time, for each thread [64]"),
    ROW("retry", OPTION_SECONDS, retry_seconds, 0, 3600, IN_TRAFFIC, "S",
        "a connection that is turned away tries again after so long [0: the run fails]"),
    ROW("payload", OPTION_COUNT, payload_bytes, STAMP_BYTES, PAYLOAD_BYTES_MAX, IN_TRAFFIC, "BYTES",
        "payload of each message, 40 to 65520 [64]"),
    ROW("window", OPTION_COUNT, window, 1, WINDOW_MAX, IN_TRAFFIC, "N",
        "messages of one publisher not yet received by all [64]"),
    ROW("rate", OPTION_COUNT, rate, 1, 100000000, (IN_TRAFFIC & ~IN(CASE_IDLE)) | IN(CASE_CHURN),
        "N",
        "messages a second in all, sent by the clock (open loop) [off: --window]; churn: visits"),
    ROW("seconds", OPTION_SECONDS, seconds, 0, 86400, IN_ALL, "S", "length of the measurement [5]"),
    ROW("warmup", OPTION_SECONDS, warmup_seconds, 0, 3600, IN_ALL, "S",
        "before the measurement [0.5]"),
    ROW("grace", OPTION_SECONDS, grace_seconds, 0, 3600, IN_ALL, "S",
        "without progress at the end before messages count as lost [2]"),
    ROW("threads", OPTION_COUNT, thread_count, 1, 64, IN_ALL, "N",
        "generator threads; more are added for over 19,900 connections each [1]"),
    ROW("sources", OPTION_COUNT, source_count, 0, 65000, IN_ALL, "N",
        "client addresses from 127.0.0.2 up [one for each 10,000 connections]"),
    ROW("json", OPTION_FLAG, is_json, 0, 0, IN_ALL, "", "one JSON object on stdout"),
    ROW("quiet", OPTION_FLAG, is_quiet, 0, 0, IN_ALL, "", "no progress line"),
#undef ROW
};

const char *bench_case_name(enum bench_case bench_case)
{
    must(bench_case < CASE_COUNT);
    return cases[bench_case].name;
}

static void help_print(void)
{
    printf("smqbench measures an SMQ broker, and its peers with the same generator.\n\n"
           "usage: smqbench CASE [--OPTION VALUE]...\n\ncases:\n");
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        printf("  %-8s %s\n", cases[i].name, cases[i].help);
    printf("\noptions (default in brackets):\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char left[40];
        snprintf(left, sizeof(left), "--%s %s", rows[i].name, rows[i].unit);
        printf("  %-24s %s\n", left, rows[i].help);
        if (rows[i].cases == IN_ALL)
            continue;
        printf("  %-24s (", "");
        for (uint32_t c = 0, named_count = 0; c < CASE_COUNT; c++) {
            if (rows[i].cases & IN(c))
                printf("%s%s", named_count++ > 0 ? ", " : "", cases[c].name);
        }
        printf(")\n");
    }
    printf("\nTimes in reports are microseconds. Exit codes: 0 all arrived; 1 something was lost,\n"
           "repeated or reordered that no policy announced; 2 the run failed; 64 usage.\n\n"
           "  smqbench pair --pairs 10 --pid $(pidof smqd)\n"
           "  smqbench pubsub --subscribers 1000 --json\n"
           "  smqbench pair --rate 1000 --seconds 8 --protocol nats --connect 127.0.0.1:4222\n");
}

static int options_default(struct options *options, const char *case_name)
{
    *options = (struct options){
        .bench_case = CASE_COUNT,
        .protocol = "smq",
        .path = "/smq.lsp",
        .publisher_count = 1,
        .topic_count = 1,
        .subscriber_count = 1,
        .pair_count = 10,
        .conn_count = 1000,
        .requester_count = 1,
        .responder_count = 1,
        .opening_count = 64,
        .payload_bytes = 64,
        .window = 64,
        .seconds = 5,
        .warmup_seconds = 0.5,
        .grace_seconds = 2,
        .thread_count = 1,
    };
    for (uint32_t c = 0; c < CASE_COUNT; c++) {
        if (strcmp(case_name, cases[c].name) == 0)
            options->bench_case = (enum bench_case)c;
    }
    if (options->bench_case == CASE_COUNT) {
        fprintf(stderr, "smqbench: there is no case \"%s\"; smqbench --help lists them\n",
                case_name);
        return EXIT_USAGE;
    }
    if (options->bench_case == CASE_CHURN)
        options->conn_count = 16;
    if (options->bench_case == CASE_FANIN)
        options->publisher_count = 20;
    if (options->bench_case == CASE_SLOW) {
        options->subscriber_count = 10;
        options->stopped_count = 1;
    }
    return -1;
}

static const struct option_row *row_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

/* Store @text where @row says. False (and a message) when it does not fit. */
MUST_CHECK static bool row_store(const struct option_row *row, const char *text,
                                 struct options *options)
{
    void *field = (char *)options + row->offset;
    char *end = NULL;

    errno = 0;
    switch (row->type) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return true;
    case OPTION_TEXT:
        *(const char **)field = text;
        return true;
    case OPTION_SECONDS: {
        double seconds = strtod(text, &end);
        if (end == text || *end != '\0' || !(seconds >= 0) || seconds > (double)row->max) {
            fprintf(stderr, "smqbench: --%s wants seconds from 0 to %u, not \"%s\"\n", row->name,
                    row->max, text);
            return false;
        }
        *(double *)field = seconds;
        return true;
    }
    case OPTION_COUNT:
        break;
    }
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || text[0] == '-' || value < row->min ||
        value > row->max) {
        fprintf(stderr, "smqbench: --%s wants a number from %u to %u, not \"%s\"\n", row->name,
                row->min, row->max, text);
        return false;
    }
    *(uint32_t *)field = (uint32_t)value;
    return true;
}

/* What single options cannot know: do they fit together? */
static int options_check(const struct options *options)
{
    if (wire_find(options->protocol) == NULL) {
        fprintf(stderr, "smqbench: --protocol is smq, redis, nats or mqtt, not \"%s\"\n",
                options->protocol);
        return EXIT_USAGE;
    }
    if (options->is_ws && wire_find(options->protocol) != &wire_smq) {
        fprintf(stderr, "smqbench: --ws goes with the protocol smq\n");
        return EXIT_USAGE;
    }
    if (!options->is_tls &&
        (options->ca_path != NULL || options->is_insecure || options->cert_path != NULL ||
         options->key_path != NULL || options->tls_version != NULL || options->signatures != NULL ||
         options->is_resuming)) {
        fprintf(stderr,
                "smqbench: --ca, --insecure, --cert, --key, --tls-version, --signatures and "
                "--resume go with --tls\n");
        return EXIT_USAGE;
    }
    if (options->key_path != NULL && options->cert_path == NULL) {
        fprintf(stderr, "smqbench: --key goes with --cert\n");
        return EXIT_USAGE;
    }
    if (options->bench_case == CASE_SLOW) {
        if (options->stopped_count >= options->subscriber_count) {
            fprintf(stderr, "smqbench: --stopped must leave at least one of the %u subscribers\n",
                    options->subscriber_count);
            return EXIT_USAGE;
        }
        if (options->subscriber_count < options->topic_count) {
            fprintf(stderr, "smqbench: slow wants at least as many --subscribers as --topics\n");
            return EXIT_USAGE;
        }
    }
    return -1;
}

int options_parse(struct options *options, int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_print();
        return argc < 2 ? EXIT_USAGE : 0;
    }
    int code = options_default(options, argv[1]);
    if (code >= 0)
        return code;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            help_print();
            return 0;
        }
        const struct option_row *row =
            strncmp(argv[i], "--", 2) == 0 ? row_find(argv[i] + 2) : NULL;
        if (row == NULL) {
            fprintf(stderr, "smqbench: unknown option \"%s\"; smqbench --help lists them\n",
                    argv[i]);
            return EXIT_USAGE;
        }
        if ((row->cases & IN(options->bench_case)) == 0) {
            fprintf(stderr, "smqbench: --%s means nothing to the case %s\n", row->name,
                    bench_case_name(options->bench_case));
            return EXIT_USAGE;
        }
        const char *text = "";
        if (row->type != OPTION_FLAG) {
            if (++i == argc) {
                fprintf(stderr, "smqbench: --%s wants a value (%s)\n", row->name, row->unit);
                return EXIT_USAGE;
            }
            text = argv[i];
        }
        if (!row_store(row, text, options))
            return EXIT_USAGE;
    }
    return options_check(options);
}
