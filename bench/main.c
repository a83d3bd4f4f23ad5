/*
 * bench/main.c — smqbench: from the command line to one report and an exit code.
 *
 * Thread: main.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/churn.h"
#include "bench/clock.h"
#include "bench/options.h"
#include "bench/process.h"
#include "bench/report.h"
#include "bench/tls.h"
#include "bench/traffic.h"

enum exit_code { EXIT_GOOD = 0, EXIT_LOSS = 1, EXIT_FAILED = 2, EXIT_WRONG_USE = 64 };

#define HOST_BYTES 256u

/* HOST:PORT to @host and an address. False, and a message, when it is none. */
MUST_CHECK static bool server_resolve(const struct options *options,
                                      const struct wire_protocol *protocol, char host[HOST_BYTES],
                                      struct sockaddr_in *server)
{
    char port[16];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    snprintf(host, HOST_BYTES, "127.0.0.1");
    snprintf(port, sizeof(port), "%u", protocol->port);
    if (options->connect != NULL) {
        const char *colon = strrchr(options->connect, ':');
        size_t host_bytes = colon != NULL ? (size_t)(colon - options->connect) : 0;

        if (host_bytes == 0 || host_bytes >= HOST_BYTES || colon[1] == '\0') {
            fprintf(stderr, "smqbench: --connect wants HOST:PORT, not \"%s\"\n", options->connect);
            return false;
        }
        memcpy(host, options->connect, host_bytes);
        host[host_bytes] = '\0';
        snprintf(port, sizeof(port), "%s", colon + 1);
    }
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "smqbench: cannot resolve %s:%s: %s\n", host, port, gai_strerror(error));
        return false;
    }
    memcpy(server, found->ai_addr, sizeof(*server));
    freeaddrinfo(found);
    return true;
}

/* What TLS the command line asks for, into @target. False, and a message, when it is no good. */
MUST_CHECK static bool secure_open(const struct options *options, const char *host,
                                   struct target *target)
{
    char reason[TLS_REASON_BYTES];
    struct tls_options tls_options = {
        .host = host,
        .ca_path = options->ca_path,
        .is_insecure = options->is_insecure,
        .cert_path = options->cert_path,
        .key_path = options->key_path,
        .version = options->tls_version,
        .signatures = options->signatures,
        .is_resuming = options->is_resuming,
    };

    if (!options->is_tls)
        return true;
    target->secure = tls_layer_open(&tls_options, reason);
    if (target->secure == NULL)
        fprintf(stderr, "smqbench: %s\n", reason);
    return target->secure != NULL;
}

/* Each uring's file table is capped by the soft limit on files: use what the hard one allows. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    struct options options;
    struct process_list processes = {0};
    struct target target = {0};
    char host[HOST_BYTES];

    int code = options_parse(&options, argc, argv);
    if (code >= 0)
        return code;
    target.protocol = options.is_ws ? &wire_smq_ws : wire_find(options.protocol);
    if (options.pids != NULL && !process_list_parse(&processes, options.pids)) {
        fprintf(stderr, "smqbench: --pid wants process ids, separated by commas, not \"%s\"\n",
                options.pids);
        return EXIT_WRONG_USE;
    }
    struct process_sample here;
    if (processes.count > 0 && !process_sample(&processes, &here)) {
        fprintf(stderr, "smqbench: there is no process %s (--pid)\n", options.pids);
        return EXIT_WRONG_USE;
    }
    if (!server_resolve(&options, target.protocol, host, &target.server) ||
        !secure_open(&options, host, &target))
        return EXIT_WRONG_USE;
    raise_file_limit();
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* sends at a fixed rate leave on time */

    target.run = (uint32_t)getpid() << 12 ^ (uint32_t)(clock_now_ns() / NS_PER_MS);
    struct result *result = calloc(1, sizeof(*result));
    must(result != NULL);
    bool is_run = options.bench_case == CASE_CHURN
                      ? churn_execute(&options, &target, &processes, result)
                      : traffic_execute(&options, &target, &processes, result);
    if (is_run)
        report_print(&options, result);
    code = !is_run ? EXIT_FAILED : result_is_good(result) ? EXIT_GOOD : EXIT_LOSS;
    free(result);
    tls_layer_close(target.secure);
    return code;
}
