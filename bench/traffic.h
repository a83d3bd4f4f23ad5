/*
 * bench/traffic.h — publishers, topics and subscribers in motion: every case but churn.
 *
 *   main thread       SETUP → HOLD → WARMUP → MEASURE → DRAIN → the workers stop
 *                       │ only main moves it on; workers look once a turn
 *   worker threads    connect and subscribe; publish while WARMUP and MEASURE; receive always
 *
 * Two ways to publish. With a window, a publisher has at most so many messages outstanding that
 * not all of their receivers have got: each message takes a slot of its publisher's window, each
 * delivery counts the slot down, and the last one frees it, which may happen in another worker's
 * thread. At a fixed rate, message k of the run is due at start + k / rate and is stamped with
 * that time whenever it really leaves, so a stall of the broker shows in the latency of all the
 * messages it held up (no coordinated omission); publishers take turns, so they never all burst.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "bench/histogram.h"
#include "bench/plan.h"
#include "bench/process.h"
#include "bench/report.h"
#include "bench/sequence.h"
#include "bench/worker.h"

enum phase {
    PHASE_SETUP = 0, /* connecting and subscribing */
    PHASE_HOLD,      /* all are subscribed; silence */
    PHASE_WARMUP,    /* publishing */
    PHASE_MEASURE,   /* publishing, and it counts */
    PHASE_DRAIN,     /* only receiving */
};

struct flow {
    uint64_t sent_count; /* the publisher's worker */
    uint32_t receiver_count;
};

/* The bytes before a payload; see struct wire_protocol. */
struct head {
    uint8_t bytes[WIRE_HEAD_BYTES_MAX];
    uint8_t bytes_count;
};

struct client {
    struct conn *conn;
    uint32_t acks_due_count; /* subscriptions not yet answered */
    bool is_settled;
    bool is_closed; /* by the broker */
};

struct publisher {
    /* -- its worker's thread -- */
    uint32_t flow_first;
    uint32_t flow_count;
    uint32_t flow_turn; /* whose turn it is, 0..flow_count - 1 */
    uint32_t slot_next;
    uint32_t worker_index;
    bool is_ready;       /* on its worker's ready list */
    uint64_t left_count; /* messages it may still send: UINT64_MAX, or fewer in idle */
    uint64_t measured_count;

    /* -- any worker -- */
    _Atomic uint32_t *slots; /* of the window: receivers that have not got the message yet */
    _Atomic bool is_handed_over;
    uint32_t handed_next; /* link of the handed-over list */
};

/* A connection that was turned away, and when it tries again. */
struct retry {
    uint64_t due_ns;
    uint32_t slot_index;
};

/* What one worker knows beside its connections. */
struct traffic_worker {
    struct worker worker;
    struct traffic *traffic;
    pthread_t thread;
    uint32_t *client_of_slot; /* constant after building: slot index to client index */

    /* -- its own thread -- */
    enum phase phase; /* as it saw it this turn */
    uint32_t opened_count;
    struct retry *retries; /* connections that wait for another try: a ring, the oldest first */
    uint32_t retry_first;
    uint32_t retry_count;
    uint64_t retried_count;
    uint32_t settled_count;
    uint32_t *ready; /* publishers that may have room in their window */
    uint32_t ready_count;
    uint64_t wake_mask;   /* workers to wake at the next turn, by index */
    uint32_t *publishers; /* its own, in order: for the rate */
    uint32_t publisher_count;
    uint64_t rate_round; /* every publisher has had so many turns ... */
    uint32_t rate_turn;  /* ... and this many of ours one more */
    uint64_t behind_ns;
    uint64_t published_count;
    uint64_t expected_count; /* deliveries that should follow from them */
    uint64_t delivered_count;
    uint64_t repeated_count;
    uint64_t reordered_count;
    uint64_t foreign_count;
    uint64_t closed_count;
    uint64_t publishers_closed_count;
    uint64_t stopped_closed_count;
    struct histogram latency;

    /* -- written here once a turn, read by main -- */
    _Alignas(CACHE_LINE) _Atomic uint64_t published_shown;
    _Atomic uint64_t expected_shown;
    _Atomic uint64_t delivered_shown;
    _Atomic uint32_t settled_shown;
    _Atomic uint32_t phase_shown;

    /* -- any worker: publishers of ours whose window another worker opened -- */
    _Alignas(CACHE_LINE) _Atomic uint32_t handed_over; /* the first of them, or PLAN_NONE */
};

struct traffic {
    /* -- constant once the workers run -- */
    const struct options *options;
    const struct wire_protocol *protocol;
    struct plan plan;
    struct worker_options worker_options;
    uint32_t worker_count;
    struct traffic_worker *workers;
    struct wire_topic *topics;

    /* -- see the fields' structs -- */
    struct client *clients;       /* each: its worker */
    struct publisher *publishers; /* each: its worker, and the slots any */
    struct flow *flows;           /* each: its publisher's worker */
    struct sequence *tracks;      /* each: its receiver's worker; see plan_track_index */
    _Atomic uint32_t *topic_ids;  /* SMQ: any worker during SETUP */

    /* -- main writes before it moves on from SETUP -- */
    struct head *heads;       /* by flow */
    struct head *reply_heads; /* rpc: by flow */
    uint64_t start_ns;        /* of WARMUP */

    _Atomic uint32_t phase; /* main writes */

    /* -- any thread, once -- */
    pthread_mutex_t failure_mutex;
    char failure[192]; /* why the run cannot go on */
    char closed_reason[WIRE_REASON_BYTES_MAX];
    _Atomic bool is_failed;
};

/**
 * Build everything for @options; no connection yet. Thread: main.
 * Returns: false, and a message on stderr, when the plan is too big.
 */
MUST_CHECK bool traffic_init(struct traffic *traffic, const struct options *options,
                             const struct target *target);
void traffic_deinit(struct traffic *traffic);

/* All topic ids are known: make the head of every flow. Thread: main, between SETUP and WARMUP. */
MUST_CHECK bool traffic_make_heads(struct traffic *traffic);

/* What the workers do (bench/traffic.c). */
extern const struct worker_hooks traffic_hooks;

/* Note why the run cannot go on; the first reason wins. Any thread. */
PRINTF(2, 3) void traffic_fail(struct traffic *traffic, const char *format, ...);

/**
 * Run the case of @options from the first connection to the last delivery. Thread: main.
 * @processes may be empty. Returns: false, and a message on stderr, when it could not be run.
 */
MUST_CHECK bool traffic_execute(const struct options *options, const struct target *target,
                                const struct process_list *processes, struct result *result);
