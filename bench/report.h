/*
 * bench/report.h — what a run found, and how it is told to people and to machines.
 *
 * Thread: main, after the workers have ended.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/histogram.h"
#include "bench/options.h"
#include "bench/secure.h"

/* Everything a case measured. What a case does not measure stays zero. */
struct result {
    /* -- the run -- */
    double setup_seconds; /* until the last connection was subscribed */
    double seconds;       /* of the measurement */
    uint32_t conn_count;
    uint32_t worker_count;
    uint32_t publisher_count;

    /* -- inside the measurement -- */
    uint64_t published_count;
    uint64_t delivered_count;     /* churn: cycles; rpc: requests answered */
    struct histogram latency;     /* ns */
    uint64_t publisher_count_min; /* messages of the publisher that sent fewest ... */
    uint64_t publisher_count_max; /* ... and most */
    double behind_seconds;        /* fixed rate: how late the last message was sent */

    /* -- over the whole run: nothing may be lost before or after, either -- */
    uint64_t lost_count;
    uint64_t lost_announced_count; /* on connections that the broker closed, or that stopped */
    uint64_t repeated_count;
    uint64_t reordered_count;
    uint64_t foreign_count; /* messages that were not for their receiver, or not of this run */
    uint64_t closed_count;  /* connections the broker closed, the stopped ones not included */
    uint64_t publishers_closed_count;
    uint64_t stopped_closed_count; /* slow: stopped subscribers that the broker closed */
    uint64_t retried_count;        /* connections that were turned away, and tried again */
    uint64_t failed_count;         /* churn: connections that did not get through */
    char closed_reason[96];        /* of the first one */

    struct secure_tally secure; /* TLS handshakes of the whole run; zero without TLS */

    /* -- CPU inside the measurement -- */
    bool has_server;
    uint64_t server_cpu_ns;
    uint64_t generator_cpu_ns;

    /* -- memory of the server, and the slab of the machine -- */
    uint64_t rss_before_bytes; /* before the first connection */
    uint64_t rss_ready_bytes;  /* all connected and subscribed, nothing sent */
    uint64_t rss_after_bytes;  /* at the end, still connected */
    uint64_t slab_before_bytes;
    uint64_t slab_ready_bytes;
};

/* Was everything delivered that no policy excused? The exit code hangs on it. */
bool result_is_good(const struct result *result);

/* To stdout, as options->is_json asks. */
void report_print(const struct options *options, const struct result *result);
