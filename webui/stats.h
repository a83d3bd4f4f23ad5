/*
 * webui/stats.h — the broker's figures: what was counted in the last second, and in the last hour.
 *
 *      server --struct stats_sample, once a second--> two of them make rates --> JSON, history
 *
 * A sample is plain data: the server fills it from the counters of all actors, which grow for ever;
 * what is said of a second is the difference of two samples. Thread: the web actor's.
 */
#pragma once

#include "core/latency.h"
#include "core/limits.h"
#include "core/log.h"
#include "webui/history.h"

/* Of the moment. */
#define STATS_CONNECTIONS(X)                                                                       \
    X(OPEN, "open")                                                                                \
    X(LIVE, "live")                                                                                \
    X(TCP, "tcp")                                                                                  \
    X(TLS, "tls")                                                                                  \
    X(WS, "ws")                                                                                    \
    X(WSS, "wss")                                                                                  \
    X(ECC, "ecc")                                                                                  \
    X(RSA, "rsa")

/* Counted since the start. */
#define STATS_RATES(X)                                                                             \
    X(MESSAGES_IN, "messages_in")                                                                  \
    X(MESSAGES_OUT, "messages_out")                                                                \
    X(BYTES_IN, "bytes_in")                                                                        \
    X(BYTES_OUT, "bytes_out")                                                                      \
    X(ACCEPTED, "accepted")                                                                        \
    X(HANDSHAKES, "handshakes")                                                                    \
    X(RESUMED, "resumed")

enum stats_connection {
#define X(name, text) STATS_CONNECTION_##name,
    STATS_CONNECTIONS(X)
#undef X
        STATS_CONNECTION_COUNT
};

enum stats_rate {
#define X(name, text) STATS_RATE_##name,
    STATS_RATES(X)
#undef X
        STATS_RATE_COUNT
};

#define STATS_NAME_BYTES 32u
#define STATS_LIST_MAX   32u

/* Reasons, each with its counter: ways to lose a message, to close, to fail in TLS. */
struct stats_reason {
    char name[STATS_NAME_BYTES];
    const char *help; /* a literal */
    uint64_t total;
};

struct stats_list {
    uint32_t count;
    struct stats_reason at[STATS_LIST_MAX];
};

/* A thread; an inline shard counts in its I/O thread. */
struct stats_actor {
    char name[LOG_ACTOR_BYTES];
    const char *kind; /* "io", "router", "control", "web", "script" */
    uint64_t cpu_ns;  /* these five since the start */
    uint64_t turns;
    uint64_t sleeps;
    uint64_t envelopes;
    uint64_t backlogs;
    uint64_t lane_depth; /* these three of the moment; the lanes into it */
    uint64_t lane_room;
    uint64_t connections;
};

#define STATS_CALLS_MAX 16u

/* One of a script's functions that are called. */
struct stats_call {
    const char *name; /* a literal */
    uint64_t count;   /* these three since the start */
    uint64_t errors;
    uint64_t time_ns;
    uint64_t slowest_ns; /* since the script was loaded */
};

/* The script of an instance. */
struct stats_script {
    const char *instance; /* its path; the configuration's */
    bool is_loaded;
    uint64_t memory_bytes; /* these four of the moment */
    uint64_t queue;
    uint64_t timers;
    uint64_t async_waiting;
    uint64_t loads; /* and these since the start */
    uint64_t load_failures;
    uint64_t errors;
    uint64_t timeouts;
    uint64_t published;
    uint64_t dropped;
    uint32_t call_count;
    struct stats_call calls[STATS_CALLS_MAX];
};

struct stats_sample {
    int64_t clock_ns; /* CLOCK_MONOTONIC */
    int64_t t_ms;     /* Unix time */
    uint64_t uptime_s;
    uint64_t connections[STATS_CONNECTION_COUNT];
    uint64_t totals[STATS_RATE_COUNT];
    struct latency_counts latency;
    struct stats_list drops;
    struct stats_list closed;
    struct stats_list tls_failed;
    int64_t memory_limit_bytes;
    int64_t memory_used_bytes;
    int64_t rss_bytes;
    int64_t memory_bytes[MEM_KIND_COUNT];
    uint32_t actor_count;
    struct stats_actor actors[LIMIT_ACTORS];
    uint32_t script_count;
    struct stats_script scripts[LIMIT_LOCALS];
};

/* For who fills a sample: add a reason; when it is there already (another actor's), add to it. */
void stats_list_add(struct stats_list *list, const char *name, const char *help, uint64_t total);

struct stats {
    struct stats_sample samples[2];
    uint32_t now;    /* the newer of them */
    bool is_running; /* there are two */
    struct history history;
};

/* Where the next sample belongs. Fill it, then stats_taken(). */
struct stats_sample *stats_next(struct stats *stats);
void stats_taken(struct stats *stats);

/* The `stats` object. @tls: more members of it, with a comma in front; may be empty. */
void stats_put(const struct stats *stats, struct span tls, struct body *out);
