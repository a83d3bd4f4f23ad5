/* server/web_sample.c — see server/web_sample.h. Thread: the web actor's. */
#include "server/web_sample.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/stats_json.h"

static int64_t read_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* CPU time of a thread. */
static uint64_t thread_cpu_ns(pthread_t thread)
{
    clockid_t clock;

    return pthread_getcpuclockid(thread, &clock) == 0 ? (uint64_t)read_ns(clock) : 0;
}

static uint64_t io_sum(const struct broker *broker, enum io_stat stat)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < broker->io_count; i++)
        sum += counter_read(&broker->reactors[i].io.stats[stat]);
    return sum;
}

static void sample_connections(const struct broker *broker, struct stats_sample *sample)
{
    static const enum io_stat gauges[STATS_CONNECTION_COUNT] = {
        [STATS_CONNECTION_OPEN] = IO_STAT_OPEN,      [STATS_CONNECTION_LIVE] = IO_STAT_LIVE,
        [STATS_CONNECTION_TCP] = IO_STAT_OPEN_TCP,   [STATS_CONNECTION_TLS] = IO_STAT_OPEN_TLS,
        [STATS_CONNECTION_WS] = IO_STAT_OPEN_WS,     [STATS_CONNECTION_WSS] = IO_STAT_OPEN_WSS,
        [STATS_CONNECTION_ECC] = IO_STAT_SERVED_ECC, [STATS_CONNECTION_RSA] = IO_STAT_SERVED_RSA,
    };
    static const enum io_stat totals[STATS_RATE_COUNT] = {
        [STATS_RATE_MESSAGES_IN] = IO_STAT_MESSAGES_IN,
        [STATS_RATE_MESSAGES_OUT] = IO_STAT_MESSAGES_OUT,
        [STATS_RATE_BYTES_IN] = IO_STAT_BYTES_IN,
        [STATS_RATE_BYTES_OUT] = IO_STAT_BYTES_OUT,
        [STATS_RATE_ACCEPTED] = IO_STAT_ACCEPTED,
        [STATS_RATE_HANDSHAKES] = IO_STAT_TLS_HANDSHAKES,
        [STATS_RATE_RESUMED] = IO_STAT_TLS_RESUMED,
    };

    for (uint32_t i = 0; i < STATS_CONNECTION_COUNT; i++)
        sample->connections[i] = io_sum(broker, gauges[i]);
    for (uint32_t i = 0; i < STATS_RATE_COUNT; i++)
        sample->totals[i] = io_sum(broker, totals[i]);
    for (uint32_t i = 0; i < broker->io_count; i++)
        latency_add(&sample->latency, &broker->reactors[i].io.latency);
}

/* Every counter whose name says so, of either kind of actor: a new way to lose a message needs no
 * line here. */
static void add_drops(struct stats_list *list, const _Atomic uint64_t *stats,
                      const struct stat_desc *descs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (strncmp(descs[i].name, "dropped_", strlen("dropped_")) == 0)
            stats_list_add(list, descs[i].name, descs[i].help, counter_read(&stats[i]));
}

static void sample_reasons(const struct broker *broker, struct stats_sample *sample)
{
    for (uint32_t i = 0; i < broker->shard_count; i++)
        add_drops(&sample->drops, broker->shards[i].stats, shard_stat_descs, SHARD_STAT_COUNT);
    for (uint32_t i = 0; i < broker->io_count; i++) {
        const struct io *io = &broker->reactors[i].io;

        add_drops(&sample->drops, io->stats, io_stat_descs, IO_STAT_COUNT);
        for (uint32_t r = 0; r < CLOSE_REASON_COUNT; r++)
            stats_list_add(&sample->closed, close_reason_name((enum close_reason)r),
                           close_reason_text((enum close_reason)r),
                           counter_read(&io->closed_counts[r]));
        for (uint32_t kind = 1; kind < TLS_FAIL_COUNT; kind++)
            stats_list_add(&sample->tls_failed, tls_fail_name((enum tls_fail)kind),
                           tls_fail_help((enum tls_fail)kind),
                           counter_read(&io->tls_failed_counts[kind]));
    }
}

static void sample_memory(const struct broker *broker, struct stats_sample *sample)
{
    uint64_t rss_bytes;
    uint64_t program_bytes;

    for (uint32_t kind = 0; kind < MEM_KIND_COUNT; kind++) {
        int64_t sum = 0;

        for (uint32_t i = 0; i < broker->mesh.actor_count; i++)
            sum += atomic_load_explicit(&broker->mems[i]->kind_bytes[kind], memory_order_relaxed);
        sample->memory_bytes[kind] = sum > 0 ? sum : 0;
        sample->memory_used_bytes += sample->memory_bytes[kind];
    }
    sample->memory_limit_bytes = mem_budget_limit(&broker->budget);
    stats_resident_bytes(&rss_bytes, &program_bytes);
    sample->rss_bytes = (int64_t)rss_bytes;
}

/* -- threads -- */

static void add_lanes(const struct mesh *mesh, uint32_t to, struct stats_actor *actor)
{
    for (uint32_t from = 0; from < mesh->actor_count; from++) {
        const struct lane *lane = mesh->lanes[from * mesh->actor_count + to];

        if (!lane)
            continue;
        actor->lane_depth += lane_depth(lane);
        actor->lane_room += ck_ring_capacity(&lane->ring) - 1;
    }
}

static struct stats_actor *add_actor(const struct broker *broker, struct stats_sample *sample,
                                     const char *kind, uint32_t index)
{
    struct stats_actor *actor = &sample->actors[sample->actor_count++];

    snprintf(actor->name, sizeof(actor->name), "%s", broker->log_lanes[index]->actor);
    actor->kind = kind;
    add_lanes(&broker->mesh, index, actor);
    return actor;
}

/* What a shard does, in a thread of its own or within an I/O thread's turn. */
static void add_shard(const struct shard *shard, struct stats_actor *actor)
{
    actor->envelopes += counter_read(&shard->stats[SHARD_STAT_ENVELOPES]);
}

static void sample_io(const struct broker *broker, uint32_t i, struct stats_sample *sample)
{
    const struct io *io = &broker->reactors[i].io;
    struct stats_actor *actor = add_actor(broker, sample, "io", i);

    actor->cpu_ns = thread_cpu_ns(broker->reactors[i].thread);
    actor->turns = counter_read(&io->stats[IO_STAT_TURNS]);
    actor->sleeps = counter_read(&io->stats[IO_STAT_SLEEPS]);
    actor->envelopes = counter_read(&io->stats[IO_STAT_ENVELOPES]);
    actor->backlogs = counter_read(&io->stats[IO_STAT_BACKLOGS]);
    actor->connections = counter_read(&io->stats[IO_STAT_OPEN]);
    if (!broker->inline_shards)
        return;
    add_shard(&broker->shards[i], actor);
    add_lanes(&broker->mesh, broker->host_count + i, actor);
}

static void sample_router(const struct broker *broker, uint32_t i, struct stats_sample *sample)
{
    const struct shard *shard = &broker->shards[i];
    struct stats_actor *actor = add_actor(broker, sample, "router", broker->host_count + i);

    actor->cpu_ns = thread_cpu_ns(broker->shard_threads[i]);
    actor->turns = counter_read(&shard->stats[SHARD_STAT_TURNS]);
    actor->sleeps = counter_read(&shard->stats[SHARD_STAT_SLEEPS]);
    add_shard(shard, actor);
}

static void sample_actors(const struct broker *broker, struct stats_sample *sample)
{
    const _Atomic uint64_t *web = web_stats(broker->web);
    uint32_t control = mesh_control_index(&broker->mesh);

    for (uint32_t i = 0; i < broker->io_count; i++)
        sample_io(broker, i, sample);
    for (uint32_t i = 0; !broker->inline_shards && i < broker->shard_count; i++)
        sample_router(broker, i, sample);
    add_actor(broker, sample, "control", control)->cpu_ns = thread_cpu_ns(broker->main_thread);

    struct stats_actor *actor =
        add_actor(broker, sample, "web", mesh_local_index(&broker->mesh, 0));

    actor->cpu_ns = (uint64_t)read_ns(CLOCK_THREAD_CPUTIME_ID);
    actor->turns = counter_read(&web[WEB_STAT_TURNS]);
    actor->sleeps = counter_read(&web[WEB_STAT_SLEEPS]);
    actor->envelopes = counter_read(&web[WEB_STAT_ENVELOPES]);
}

static void sample_script(const struct broker *broker, uint32_t i, struct stats_sample *sample)
{
    const struct script *script = broker->scripts.actors[i];
    const struct script_stats *stats = script_stats(script);
    const _Atomic uint64_t *values = stats->values;
    struct stats_actor *actor = add_actor(broker, sample, "script", broker->scripts.first_host + i);
    struct stats_script *row = &sample->scripts[sample->script_count++];

    actor->cpu_ns = thread_cpu_ns(broker->scripts.threads[i]);
    actor->turns = counter_read(&values[SCRIPT_STAT_TURNS]);
    actor->sleeps = counter_read(&values[SCRIPT_STAT_SLEEPS]);
    actor->envelopes = counter_read(&values[SCRIPT_STAT_ENVELOPES]);
    *row = (struct stats_script){
        .instance = broker->config->instances[script_instance(script)].path,
        .is_loaded = counter_read(&values[SCRIPT_STAT_LOADED]) != 0,
        .memory_bytes = counter_read(&values[SCRIPT_STAT_MEMORY]),
        .queue = counter_read(&values[SCRIPT_STAT_QUEUE]),
        .timers = counter_read(&values[SCRIPT_STAT_TIMERS]),
        .async_waiting = counter_read(&values[SCRIPT_STAT_ASYNC_WAITING]),
        .loads = counter_read(&values[SCRIPT_STAT_LOADS]),
        .load_failures = counter_read(&values[SCRIPT_STAT_LOAD_FAILURES]),
        .errors = counter_read(&values[SCRIPT_STAT_ERRORS]),
        .timeouts = counter_read(&values[SCRIPT_STAT_TIMEOUTS]),
        .published = counter_read(&values[SCRIPT_STAT_PUBLISHED]),
        .dropped = counter_read(&values[SCRIPT_STAT_QUEUE_DROPPED]) +
                   counter_read(&values[SCRIPT_STAT_PUBLISH_DROPPED]),
        .call_count = SCRIPT_CALL_COUNT,
    };
    for (uint32_t call = 0; call < SCRIPT_CALL_COUNT; call++) {
        const struct script_call_stats *of = &stats->calls[call];

        row->calls[call] = (struct stats_call){.name = script_call_name((enum script_call)call),
                                               .count = counter_read(&of->count),
                                               .errors = counter_read(&of->errors_count),
                                               .time_ns = counter_read(&of->time_ns),
                                               .slowest_ns = counter_read(&of->slowest_ns)};
    }
}
static_assert((unsigned)SCRIPT_CALL_COUNT <= STATS_CALLS_MAX, "each function has its row");

void web_sample(const struct broker *broker, struct stats_sample *sample)
{
    sample->clock_ns = read_ns(CLOCK_MONOTONIC);
    sample->t_ms = read_ns(CLOCK_REALTIME) / 1000000;
    sample->uptime_s = (uint64_t)(sample->clock_ns - broker->start_time_ns) / 1000000000;
    sample_connections(broker, sample);
    sample_reasons(broker, sample);
    sample_memory(broker, sample);
    sample_actors(broker, sample);
    for (uint32_t i = 0; i < broker->scripts.count; i++)
        sample_script(broker, i, sample);
}
