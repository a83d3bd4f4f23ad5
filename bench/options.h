/*
 * bench/options.h — what the command line may say, and the values it leaves.
 *
 * Written once, in the table of options.c: name, unit, default, help, and which cases use it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OPTIONS_PIDS_MAX 16u

enum bench_case {
    CASE_IDLE = 0,
    CASE_PUBSUB,
    CASE_PAIR,
    CASE_FANIN,
    CASE_RPC,
    CASE_CHURN,
    CASE_SLOW,
    CASE_COUNT
};

struct options {
    enum bench_case bench_case;

    /* -- where -- */
    const char *protocol; /* name for wire_find */
    const char *connect;  /* HOST:PORT, or NULL: loopback and the protocol's usual port */
    const char *path;     /* SMQ: the broker's URL path */
    bool is_ws;           /* SMQ: over WebSocket */
    const char *pids;     /* comma-separated, or NULL */

    /* -- TLS; NULL: not said. See bench/tls.h -- */
    bool is_tls;
    bool is_insecure;
    bool is_resuming; /* churn */
    const char *ca_path;
    const char *cert_path;
    const char *key_path;
    const char *tls_version;
    const char *signatures;

    /* -- what; 0 in a count means "not used by this case" -- */
    uint32_t publisher_count;
    uint32_t topic_count;
    uint32_t subscriber_count;
    uint32_t pair_count;
    uint32_t conn_count;      /* idle: subscribers; churn: connections at a time */
    uint32_t bystander_count; /* connected and subscribed, never addressed */
    uint32_t stopped_count;   /* slow: subscribers that stop reading */
    uint32_t opening_count;   /* connections that may be on their way at a time, for each thread */
    uint32_t responder_count; /* rpc */
    uint32_t requester_count; /* rpc */
    uint32_t payload_bytes;
    uint32_t window; /* messages outstanding for each publisher; unused at a fixed rate */
    uint32_t rate;   /* messages a second in all; 0: as many as the window lets through */

    /* -- how long -- */
    double seconds;
    double warmup_seconds;
    double retry_seconds; /* a connection that did not get through tries again; 0: the run fails */
    double grace_seconds; /* without progress, before messages count as lost */

    /* -- how -- */
    uint32_t thread_count;
    uint32_t source_count; /* 0: as many as needed */
    bool is_json;
    bool is_quiet;
};

/**
 * Fill @options from the command line. Prints to stderr what is wrong and how to put it right.
 * Returns: -1 to go on; else the exit code (0 after --help, 64 after a mistake).
 */
int options_parse(struct options *options, int argc, char **argv);

/* "pubsub" and so on. */
const char *bench_case_name(enum bench_case bench_case);
