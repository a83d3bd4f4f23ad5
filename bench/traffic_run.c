/*
 * bench/traffic_run.c — the main thread's side of a traffic run: phases, samples, the verdict.
 *
 * Thread: main. It sleeps nearly always, so that it costs the measurement nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/traffic.h"

#define LOOK_MS        5u /* how often main looks while it waits for something */
#define PROGRESS_MS    200u
#define SETTLE_SECONDS 0.3 /* silence before memory is read */
#define SETUP_STALL_S  20u /* no connection got through for so long: give up */

/* Totals over all workers, as last shown. */
struct totals {
    uint64_t published_count;
    uint64_t expected_count;
    uint64_t delivered_count;
    uint32_t settled_count;
    bool is_phase_seen; /* by every worker */
};

static struct totals totals_read(struct traffic *traffic)
{
    struct totals totals = {.is_phase_seen = true};
    uint32_t phase = atomic_load_explicit(&traffic->phase, memory_order_relaxed);

    for (uint32_t i = 0; i < traffic->worker_count; i++) {
        struct traffic_worker *tw = &traffic->workers[i];

        if (atomic_load_explicit(&tw->phase_shown, memory_order_acquire) != phase)
            totals.is_phase_seen = false;
        totals.settled_count += atomic_load_explicit(&tw->settled_shown, memory_order_acquire);
        totals.published_count += atomic_load_explicit(&tw->published_shown, memory_order_relaxed);
        totals.expected_count += atomic_load_explicit(&tw->expected_shown, memory_order_relaxed);
        totals.delivered_count += atomic_load_explicit(&tw->delivered_shown, memory_order_relaxed);
    }
    return totals;
}

static void sleep_ms(uint64_t ms)
{
    struct timespec pause = {.tv_sec = (time_t)(ms / 1000),
                             .tv_nsec = (long)(ms % 1000 * NS_PER_MS)};

    (void)nanosleep(&pause, NULL);
}

/* -- the progress line -- */

static bool is_progress_wanted(const struct traffic *traffic)
{
    return !traffic->options->is_quiet && isatty(STDERR_FILENO) == 1;
}

static void progress_end(const struct traffic *traffic)
{
    if (is_progress_wanted(traffic))
        fprintf(stderr, "\r%60s\r", "");
}

/* Sleep for @seconds, or until the run failed; show the rate meanwhile. */
static void wait_and_show(struct traffic *traffic, double seconds, const char *word)
{
    uint64_t start_ns = clock_now_ns();
    uint64_t end_ns = start_ns + (uint64_t)(seconds * 1e9);
    uint64_t before_count = totals_read(traffic).delivered_count;
    bool is_shown = is_progress_wanted(traffic);

    while (!atomic_load(&traffic->is_failed)) {
        uint64_t now_ns = clock_now_ns();

        if (now_ns >= end_ns)
            return;
        uint64_t left_ms = (end_ns - now_ns) / NS_PER_MS + 1;
        sleep_ms(left_ms < PROGRESS_MS ? left_ms : PROGRESS_MS);
        if (!is_shown)
            continue;
        uint64_t count = totals_read(traffic).delivered_count;
        fprintf(stderr, "\r%-8s %5.1f s  %12.0f messages/s ", word,
                (double)(clock_now_ns() - start_ns) / 1e9,
                (double)(count - before_count) * 1e9 / (double)(clock_now_ns() - now_ns));
        before_count = count;
    }
}

/* -- phases -- */

static void phase_set(struct traffic *traffic, enum phase phase)
{
    atomic_store_explicit(&traffic->phase, phase, memory_order_release);
    for (uint32_t i = 0; i < traffic->worker_count; i++)
        worker_wake(&traffic->workers[i].worker);
}

/* Wait until every connection is subscribed. */
MUST_CHECK static bool wait_for_setup(struct traffic *traffic)
{
    uint32_t client_count = plan_client_count(&traffic->plan);
    uint32_t before_count = 0;
    uint64_t progress_ns = clock_now_ns();
    uint64_t shown_ns = progress_ns;

    for (;;) {
        uint32_t settled_count = totals_read(traffic).settled_count;
        uint64_t now_ns = clock_now_ns();

        if (atomic_load(&traffic->is_failed))
            return false;
        if (settled_count == client_count)
            return true;
        if (settled_count != before_count)
            progress_ns = now_ns;
        before_count = settled_count;
        if (now_ns - progress_ns > SETUP_STALL_S * NS_PER_S) {
            traffic_fail(traffic,
                         "only %u of %u connections were subscribed, and none for %u s: does "
                         "the broker allow so many?",
                         settled_count, client_count, SETUP_STALL_S);
            return false;
        }
        if (is_progress_wanted(traffic) && now_ns - shown_ns > PROGRESS_MS * NS_PER_MS) {
            fprintf(stderr, "\rconnected %u of %u ", settled_count, client_count);
            shown_ns = now_ns;
        }
        sleep_ms(LOOK_MS);
    }
}

/* Wait until all that was sent has arrived, or nothing has for the grace time. */
static void wait_for_drain(struct traffic *traffic)
{
    uint64_t before_count = 0;
    uint64_t progress_ns = clock_now_ns();
    uint64_t grace_ns = (uint64_t)(traffic->options->grace_seconds * 1e9);

    while (!atomic_load(&traffic->is_failed)) {
        struct totals totals = totals_read(traffic);

        if (totals.is_phase_seen && totals.delivered_count >= totals.expected_count)
            break;
        if (totals.delivered_count != before_count)
            progress_ns = clock_now_ns();
        before_count = totals.delivered_count;
        if (clock_now_ns() - progress_ns > grace_ns)
            return;
        sleep_ms(LOOK_MS);
    }
    /* All are here; a repeated one would come now. */
    sleep_ms(10 * LOOK_MS);
}

/* The idle case's sweep: one message to each, as fast as the window lets it. */
static void wait_for_sweep(struct traffic *traffic)
{
    uint64_t before_count = 0;
    uint64_t progress_ns = clock_now_ns();
    uint64_t grace_ns = (uint64_t)(traffic->options->grace_seconds * 1e9);

    while (!atomic_load(&traffic->is_failed)) {
        struct totals totals = totals_read(traffic);

        if (totals.delivered_count >= plan_flow_count(&traffic->plan))
            return;
        if (totals.delivered_count != before_count)
            progress_ns = clock_now_ns();
        before_count = totals.delivered_count;
        if (clock_now_ns() - progress_ns > grace_ns)
            return; /* those who did not answer are counted as lost */
        sleep_ms(LOOK_MS);
    }
}

/* -- samples -- */

static void sample(const struct process_list *processes, struct process_sample *into,
                   struct result *result)
{
    *into = (struct process_sample){0};
    if (processes->count > 0)
        result->has_server = process_sample(processes, into);
}

/* Publish, and measure while publishing. */
static void measure(struct traffic *traffic, const struct process_list *processes,
                    struct result *result)
{
    struct process_sample before;
    struct process_sample after;
    bool is_idle = traffic->options->bench_case == CASE_IDLE;

    traffic->start_ns = clock_now_ns();
    if (!is_idle) {
        phase_set(traffic, PHASE_WARMUP);
        wait_and_show(traffic, traffic->options->warmup_seconds, "warm-up");
    }
    struct totals first = totals_read(traffic);
    uint64_t own_ns = process_own_cpu_ns();
    sample(processes, &before, result);
    uint64_t start_ns = clock_now_ns();

    phase_set(traffic, PHASE_MEASURE);
    if (is_idle)
        wait_for_sweep(traffic);
    else
        wait_and_show(traffic, traffic->options->seconds, "measure");

    struct totals last = totals_read(traffic);
    sample(processes, &after, result);
    result->seconds = (double)(clock_now_ns() - start_ns) / 1e9;
    result->generator_cpu_ns = process_own_cpu_ns() - own_ns;
    result->server_cpu_ns = after.cpu_ns - before.cpu_ns;
    result->published_count = last.published_count - first.published_count;
    result->delivered_count = last.delivered_count - first.delivered_count;
    phase_set(traffic, PHASE_DRAIN);
    wait_for_drain(traffic);
    sample(processes, &after, result);
    result->rss_after_bytes = after.rss_bytes;
}

/* From the workers' counters and the tracks to the verdict. The workers have ended. */
static void verdict(struct traffic *traffic, struct result *result)
{
    const struct plan *plan = &traffic->plan;

    for (uint32_t i = 0; i < traffic->worker_count; i++) {
        const struct traffic_worker *tw = &traffic->workers[i];

        histogram_merge(&result->latency, &tw->latency);
        secure_tally_add(&result->secure, &tw->worker.secure_tally);
        result->retried_count += tw->retried_count;
        result->repeated_count += tw->repeated_count;
        result->reordered_count += tw->reordered_count;
        result->foreign_count += tw->foreign_count;
        result->closed_count += tw->closed_count;
        result->publishers_closed_count += tw->publishers_closed_count;
        result->stopped_closed_count += tw->stopped_closed_count;
        if ((double)tw->behind_ns / 1e9 > result->behind_seconds)
            result->behind_seconds = (double)tw->behind_ns / 1e9;
    }
    for (uint32_t i = 0; i < plan_track_count(plan); i++) {
        uint32_t flow_index;
        uint32_t client_index;

        if (!plan_track_owner(plan, i, &flow_index, &client_index) ||
            plan_client_is_stopped(plan, client_index))
            continue;
        uint64_t lost_count =
            sequence_lost_count(&traffic->tracks[i], traffic->flows[flow_index].sent_count);
        if (traffic->clients[client_index].is_closed)
            result->lost_announced_count += lost_count;
        else
            result->lost_count += lost_count;
    }
    result->publisher_count_min = UINT64_MAX;
    for (uint32_t i = 0; i < plan->publisher_count; i++) {
        uint64_t count = traffic->publishers[i].measured_count;

        if (count < result->publisher_count_min)
            result->publisher_count_min = count;
        if (count > result->publisher_count_max)
            result->publisher_count_max = count;
    }
    snprintf(result->closed_reason, sizeof(result->closed_reason), "%s", traffic->closed_reason);
}

static void *worker_thread(void *argument)
{
    struct traffic_worker *tw = argument;

    worker_run(&tw->worker);
    return NULL;
}

/* Start the workers; returns how many run. */
static uint32_t workers_start(struct traffic *traffic)
{
    for (uint32_t i = 0; i < traffic->worker_count; i++) {
        struct traffic_worker *tw = &traffic->workers[i];

        if (pthread_create(&tw->thread, NULL, worker_thread, tw) != 0) {
            traffic_fail(traffic, "cannot start generator thread %u", i + 1);
            return i;
        }
    }
    return traffic->worker_count;
}

static void workers_join(struct traffic *traffic, uint32_t started_count)
{
    for (uint32_t i = 0; i < started_count; i++)
        worker_stop(&traffic->workers[i].worker);
    for (uint32_t i = 0; i < started_count; i++)
        pthread_join(traffic->workers[i].thread, NULL);
}

/* Everything between the start of the workers and their end. */
static void conduct(struct traffic *traffic, const struct process_list *processes,
                    struct result *result)
{
    struct process_sample ready;
    uint64_t start_ns = clock_now_ns();

    if (!wait_for_setup(traffic))
        return;
    result->setup_seconds = (double)(clock_now_ns() - start_ns) / 1e9;
    if (!traffic_make_heads(traffic)) {
        traffic_fail(traffic, "not every topic can be addressed");
        return;
    }
    phase_set(traffic, PHASE_HOLD);
    wait_and_show(traffic, SETTLE_SECONDS, "settle");
    if (traffic->options->bench_case == CASE_IDLE)
        wait_and_show(traffic, traffic->options->seconds, "hold");
    sample(processes, &ready, result);
    result->rss_ready_bytes = ready.rss_bytes;
    result->slab_ready_bytes = process_slab_bytes();
    measure(traffic, processes, result);
}

bool traffic_execute(const struct options *options, const struct target *target,
                     const struct process_list *processes, struct result *result)
{
    struct traffic traffic;
    struct process_sample before;

    if (!traffic_init(&traffic, options, target))
        return false;
    result->conn_count = plan_client_count(&traffic.plan);
    result->worker_count = traffic.worker_count;
    result->publisher_count = traffic.plan.publisher_count;
    sample(processes, &before, result);
    result->rss_before_bytes = before.rss_bytes;
    result->slab_before_bytes = process_slab_bytes();

    uint32_t started_count = workers_start(&traffic);
    if (started_count == traffic.worker_count)
        conduct(&traffic, processes, result);
    progress_end(&traffic);
    workers_join(&traffic, started_count);
    bool is_run = !atomic_load(&traffic.is_failed);
    if (is_run)
        verdict(&traffic, result);
    else
        fprintf(stderr, "smqbench: %s\n", traffic.failure);
    traffic_deinit(&traffic);
    return is_run;
}
