/*
 * bench/churn.c — see bench/churn.h.
 *
 * Thread: churn_execute is main's; the hooks run in their worker's thread.
 */
#include "bench/churn.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/worker.h"

#define SOURCE_COUNT     64u  /* addresses; each has 28,000 ports, and a closed one rests 60 s */
#define FAILED_COUNT_MAX 100u /* so many failures in a row without a success: give up */

struct churn_worker {
    struct worker worker;
    struct churn *churn;
    pthread_t thread;

    /* -- its own thread -- */
    uint64_t *opened_ns;  /* by slot: when the visit began */
    uint32_t *idle_slots; /* with --rate: those that wait for their next visit ... */
    uint32_t idle_count;  /* ... so many */
    uint64_t begun_count; /* visits */
    uint64_t start_ns;    /* of the first */
    uint32_t client_next;
    uint32_t open_count;
    bool is_measuring;
    bool has_begun;
    struct histogram latency;
    char failure[WIRE_REASON_BYTES_MAX]; /* the first */

    /* -- written here, read by main -- */
    _Atomic uint64_t visit_count;
    _Atomic uint64_t failed_count;
    _Atomic bool is_empty; /* no connection left; only after is_over */
};

struct churn {
    const struct options *options;
    struct worker_options worker_options;
    struct churn_worker *workers;
    uint32_t worker_count;
    struct wire_topic *topics; /* by place: worker index * connections of a worker + slot */
    _Atomic bool is_measuring;
    _Atomic bool is_over; /* main: open no more */
};

static struct churn_worker *churn_worker_of(struct worker *worker)
{
    return worker->context;
}

static void visit_begin(struct churn_worker *cw, struct conn *conn)
{
    cw->opened_ns[conn->slot_index] = clock_now_ns();
    cw->open_count++;
    cw->begun_count++;
    /* Every worker counts its own clients, in steps, so that no two ever share a number. */
    uint32_t client_index = cw->client_next;
    cw->client_next += cw->churn->worker_count;
    conn_open(conn, client_index);
}

static void churn_event(struct conn *conn, const struct wire_event *event)
{
    struct churn_worker *cw = churn_worker_of(conn->worker);
    uint32_t place = cw->worker.index + conn->slot_index * cw->churn->worker_count;

    if (event->kind == WIRE_READY) {
        conn->worker->protocol->subscribe(&conn->wire, &conn->fill, &cw->churn->topics[place]);
        conn_send_later(conn);
    } else if (event->kind == WIRE_SUBSCRIBED) {
        if (cw->is_measuring)
            histogram_record(&cw->latency, conn->worker->now_ns - cw->opened_ns[conn->slot_index]);
        conn_leave(conn);
    }
}

static void churn_gone(struct conn *conn)
{
    struct churn_worker *cw = churn_worker_of(conn->worker);

    cw->open_count--;
    /* Gone by our own wish, or by the server's after we left: a whole visit. */
    if (conn->reason[0] == '\0' || conn->is_leaving) {
        atomic_fetch_add_explicit(&cw->visit_count, 1, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(&cw->failed_count, 1, memory_order_relaxed);
        if (cw->failure[0] == '\0')
            snprintf(cw->failure, sizeof(cw->failure), "%s", conn->reason);
    }
    if (cw->churn->options->rate > 0)
        cw->idle_slots[cw->idle_count++] = conn->slot_index;
    else if (!atomic_load_explicit(&cw->churn->is_over, memory_order_relaxed))
        visit_begin(cw, conn);
}

/* When this worker's next visit is due, by the clock. */
static uint64_t due_ns(const struct churn_worker *cw)
{
    uint64_t rate = cw->churn->options->rate;
    uint64_t number = cw->begun_count * cw->churn->worker_count + cw->worker.index;

    return cw->start_ns + number / rate * NS_PER_S + number % rate * NS_PER_S / rate;
}

/* Begin the visits that are due. What finds no idle slot is late. Returns when to look again. */
static uint64_t begin_due(struct churn_worker *cw)
{
    if (atomic_load_explicit(&cw->churn->is_over, memory_order_relaxed))
        return UINT64_MAX;
    while (cw->idle_count > 0 && due_ns(cw) <= cw->worker.now_ns)
        visit_begin(cw, &cw->worker.conns[cw->idle_slots[--cw->idle_count]]);
    return cw->idle_count > 0 ? due_ns(cw) : UINT64_MAX;
}

static void begin_first(struct churn_worker *cw)
{
    cw->has_begun = true;
    cw->start_ns = cw->worker.now_ns;
    for (uint32_t i = 0; i < cw->worker.conn_count; i++)
        if (cw->churn->options->rate > 0)
            cw->idle_slots[cw->idle_count++] = i;
        else
            visit_begin(cw, &cw->worker.conns[i]);
}

static uint64_t churn_turn(struct worker *worker)
{
    struct churn_worker *cw = churn_worker_of(worker);

    cw->is_measuring = atomic_load_explicit(&cw->churn->is_measuring, memory_order_relaxed);
    if (!cw->has_begun)
        begin_first(cw);
    uint64_t next_ns = cw->churn->options->rate > 0 ? begin_due(cw) : UINT64_MAX;
    if (cw->open_count == 0 &&
        atomic_load_explicit(&cw->churn->is_over, memory_order_relaxed)) /* idle ones come back */
        atomic_store_explicit(&cw->is_empty, true, memory_order_release);
    return next_ns;
}

static bool churn_has_work(struct worker *worker)
{
    (void)worker;
    return false;
}

static const struct worker_hooks churn_hooks = {
    .event = churn_event,
    .gone = churn_gone,
    .turn = churn_turn,
    .has_work = churn_has_work,
};

static void *churn_thread(void *argument)
{
    struct churn_worker *cw = argument;

    worker_run(&cw->worker);
    return NULL;
}

static uint64_t visits_read(const struct churn *churn, uint64_t *failed_count)
{
    uint64_t visit_count = 0;

    *failed_count = 0;
    for (uint32_t i = 0; i < churn->worker_count; i++) {
        visit_count += atomic_load_explicit(&churn->workers[i].visit_count, memory_order_relaxed);
        *failed_count +=
            atomic_load_explicit(&churn->workers[i].failed_count, memory_order_relaxed);
    }
    return visit_count;
}

/* Sleep for @seconds, with a progress line; false when nothing but failures come. */
MUST_CHECK static bool churn_wait(struct churn *churn, double seconds, const char *word)
{
    uint64_t start_ns = clock_now_ns();
    uint64_t end_ns = start_ns + (uint64_t)(seconds * 1e9);
    uint64_t failed_count;
    uint64_t first_count = visits_read(churn, &failed_count);

    for (;;) {
        uint64_t now_ns = clock_now_ns();
        uint64_t visit_count = visits_read(churn, &failed_count);

        if (visit_count == 0 && failed_count > FAILED_COUNT_MAX)
            return false;
        if (now_ns >= end_ns)
            return true;
        if (!churn->options->is_quiet && isatty(STDERR_FILENO) == 1)
            fprintf(stderr, "\r%-8s %5.1f s  %10.0f connections/s ", word,
                    (double)(now_ns - start_ns) / 1e9,
                    (double)(visit_count - first_count) * 1e9 / (double)(now_ns - start_ns + 1));
        uint64_t left_us = (end_ns - now_ns) / NS_PER_US + 1;
        usleep(left_us < 200000 ? (useconds_t)left_us : 200000);
    }
}

static void churn_drain(struct churn *churn)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)(churn->options->grace_seconds * 1e9);

    atomic_store(&churn->is_over, true);
    for (uint32_t i = 0; i < churn->worker_count && clock_now_ns() < end_ns;) {
        if (atomic_load_explicit(&churn->workers[i].is_empty, memory_order_acquire))
            i++;
        else
            usleep(1000);
    }
}

static void churn_build(struct churn *churn)
{
    uint32_t conn_count = churn->options->conn_count;

    churn->workers = calloc(churn->worker_count, sizeof(struct churn_worker));
    churn->topics = calloc(conn_count, sizeof(struct wire_topic));
    must(churn->workers != NULL && churn->topics != NULL);
    for (uint32_t i = 0; i < conn_count; i++)
        wire_topic_name(&churn->topics[i], churn->worker_options.target.run, i);
    for (uint32_t i = 0; i < churn->worker_count; i++) {
        struct churn_worker *cw = &churn->workers[i];
        uint32_t share_count = (conn_count - i - 1) / churn->worker_count + 1;

        worker_init(&cw->worker, i, share_count, &churn->worker_options);
        cw->worker.hooks = &churn_hooks;
        cw->worker.context = cw;
        cw->churn = churn;
        cw->client_next = i;
        cw->opened_ns = calloc(share_count, sizeof(uint64_t));
        cw->idle_slots = calloc(share_count, sizeof(uint32_t));
        must(cw->opened_ns != NULL && cw->idle_slots != NULL);
    }
}

static void churn_free(struct churn *churn)
{
    for (uint32_t i = 0; i < churn->worker_count; i++) {
        worker_deinit(&churn->workers[i].worker);
        free(churn->workers[i].opened_ns);
        free(churn->workers[i].idle_slots);
    }
    free(churn->workers);
    free(churn->topics);
}

/* Warm up, measure, drain; false when no visit ever succeeded. */
MUST_CHECK static bool churn_conduct(struct churn *churn, const struct process_list *processes,
                                     struct result *result)
{
    struct process_sample before = {0};
    struct process_sample after = {0};
    uint64_t failed_count;
    bool is_run = churn_wait(churn, churn->options->warmup_seconds, "warm-up");

    if (!is_run)
        return false;
    if (processes->count > 0)
        result->has_server = process_sample(processes, &before);
    uint64_t first_count = visits_read(churn, &failed_count);
    uint64_t own_ns = process_own_cpu_ns();
    uint64_t start_ns = clock_now_ns();
    atomic_store(&churn->is_measuring, true);
    is_run = churn_wait(churn, churn->options->seconds, "measure");
    result->delivered_count = visits_read(churn, &failed_count) - first_count;
    result->seconds = (double)(clock_now_ns() - start_ns) / 1e9;
    result->generator_cpu_ns = process_own_cpu_ns() - own_ns;
    if (result->has_server)
        result->has_server = process_sample(processes, &after);
    result->server_cpu_ns = after.cpu_ns - before.cpu_ns;
    result->rss_before_bytes = before.rss_bytes;
    result->rss_after_bytes = after.rss_bytes;
    churn_drain(churn);
    return is_run;
}

bool churn_execute(const struct options *options, const struct target *target,
                   const struct process_list *processes, struct result *result)
{
    uint32_t needed_count = (options->conn_count - 1) / WORKER_CONNS_MAX + 1;
    bool is_loopback = ntohl(target->server.sin_addr.s_addr) >> 24 == 127;
    struct churn churn = {
        .options = options,
        .worker_options = {.target = *target,
                           .path = options->path,
                           .source_count = options->source_count},
        .worker_count = options->thread_count > needed_count ? options->thread_count : needed_count,
    };

    if (churn.worker_count > options->conn_count)
        churn.worker_count = options->conn_count;
    if (is_loopback && options->source_count == 0)
        churn.worker_options.source_count = SOURCE_COUNT;
    churn_build(&churn);
    result->conn_count = options->conn_count;
    result->worker_count = churn.worker_count;
    for (uint32_t i = 0; i < churn.worker_count; i++)
        must(pthread_create(&churn.workers[i].thread, NULL, churn_thread, &churn.workers[i]) == 0);
    bool is_run = churn_conduct(&churn, processes, result);
    for (uint32_t i = 0; i < churn.worker_count; i++)
        worker_stop(&churn.workers[i].worker);
    for (uint32_t i = 0; i < churn.worker_count; i++) {
        struct churn_worker *cw = &churn.workers[i];

        pthread_join(cw->thread, NULL);
        histogram_merge(&result->latency, &cw->latency);
        result->failed_count += cw->failed_count;
        secure_tally_add(&result->secure, &cw->worker.secure_tally);
        if (result->closed_reason[0] == '\0')
            snprintf(result->closed_reason, sizeof(result->closed_reason), "%s", cw->failure);
    }
    if (!options->is_quiet && isatty(STDERR_FILENO) == 1)
        fprintf(stderr, "\r%60s\r", "");
    if (!is_run)
        fprintf(stderr, "smqbench: no connection got through: %s\n", result->closed_reason);
    churn_free(&churn);
    return is_run;
}
