/* server/stats_json.c — see server/stats_json.h. Thread: control. */
#include "server/stats_json.h"

#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define JANSSON_PRECISE JSON_INDENT(2) | JSON_PRESERVE_ORDER /* readable with netcat, too */

static void put(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static json_t *counters_of(const _Atomic uint64_t *stats, const struct stat_desc *descs,
                           uint32_t count)
{
    json_t *object = json_object();

    for (uint32_t i = 0; i < count; i++)
        put(object, descs[i].name, counter_read(&stats[i]));
    return object;
}

/* Sums over all actors of one kind. */
static void add_sums(json_t *sums, const _Atomic uint64_t *stats, const struct stat_desc *descs,
                     uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        json_t *sum = json_object_get(sums, descs[i].name);
        uint64_t before = sum ? (uint64_t)json_integer_value(sum) : 0;

        put(sums, descs[i].name, before + counter_read(&stats[i]));
    }
}

/* CPU time of a thread, in microseconds. */
static uint64_t thread_cpu_us(pthread_t thread)
{
    struct timespec time;
    clockid_t clock;

    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &time) != 0)
        return 0;
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static json_t *lanes_into(const struct broker *broker, uint32_t to)
{
    const struct mesh *mesh = &broker->mesh;
    json_t *lanes = json_array();

    for (uint32_t from = 0; from < mesh->actor_count; from++) {
        const struct lane *lane = mesh->lanes[from * mesh->actor_count + to];
        json_t *row;

        if (!lane)
            continue;
        row = json_object();
        json_object_set_new(row, "from",
                            json_string(from < broker->log_lane_count
                                            ? broker->log_lanes[from]->actor
                                            : "signer"));
        put(row, "slots", ck_ring_capacity(&lane->ring));
        put(row, "depth", lane_depth(lane));
        put(row, "pushed_total", counter_read(&lane->pushed_count));
        put(row, "full_total", counter_read(&lane->full_count));
        json_array_append_new(lanes, row);
    }
    return lanes;
}

static json_t *io_actors(const struct broker *broker, json_t *sums, json_t *closed)
{
    json_t *actors = json_array();

    for (uint32_t i = 0; i < broker->io_count; i++) {
        const struct io *io = &broker->reactors[i].io;
        json_t *actor = counters_of(io->stats, io_stat_descs, IO_STAT_COUNT);

        json_object_set_new(actor, "actor", json_string(broker->log_lanes[i]->actor));
        put(actor, "slots", io->slot_count_max);
        put(actor, "cpu_us", thread_cpu_us(broker->reactors[i].thread));
        put(actor, "woken_total", counter_read(&broker->parkers[i]->wake_count));
        json_object_set_new(actor, "lanes_in", lanes_into(broker, i));
        json_array_append_new(actors, actor);
        add_sums(sums, io->stats, io_stat_descs, IO_STAT_COUNT);
        for (uint32_t r = 0; r < CLOSE_REASON_COUNT; r++) {
            const char *name = close_reason_name((enum close_reason)r);
            json_t *sum = json_object_get(closed, name);
            uint64_t before = sum ? (uint64_t)json_integer_value(sum) : 0;

            put(closed, name, before + counter_read(&io->closed_counts[r]));
        }
    }
    return actors;
}

static json_t *shard_actors(const struct broker *broker, json_t *sums)
{
    json_t *actors = json_array();

    for (uint32_t i = 0; i < broker->shard_count; i++) {
        const struct shard *shard = &broker->shards[i];
        uint32_t index = broker->host_count + i;
        json_t *actor = counters_of(shard->stats, shard_stat_descs, SHARD_STAT_COUNT);

        json_object_set_new(actor, "actor", json_string(broker->log_lanes[index]->actor));
        json_object_set_new(actor, "inline", json_boolean(broker->inline_shards));
        if (!broker->inline_shards)
            put(actor, "cpu_us", thread_cpu_us(broker->shard_threads[i]));
        json_object_set_new(actor, "lanes_in", lanes_into(broker, index));
        json_array_append_new(actors, actor);
        add_sums(sums, shard->stats, shard_stat_descs, SHARD_STAT_COUNT);
    }
    return actors;
}

void stats_resident_bytes(uint64_t *rss_bytes, uint64_t *program_bytes)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long total, resident = 0, shared = 0;

    if (file && fscanf(file, "%llu %llu %llu", &total, &resident, &shared) != 3)
        resident = shared = 0;
    if (file)
        fclose(file);
    *rss_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
    *program_bytes = shared * (uint64_t)sysconf(_SC_PAGESIZE);
}

static json_t *memory(const struct broker *broker)
{
    json_t *object = json_object();
    json_t *kinds = json_object();
    struct mallinfo2 heap = mallinfo2();
    uint64_t rss_bytes;
    uint64_t program_bytes;
    uint64_t refused_count = 0;
    int64_t used_bytes = 0;

    for (uint32_t kind = 0; kind < MEM_KIND_COUNT; kind++) {
        int64_t sum = 0;

        for (uint32_t i = 0; i < broker->mesh.actor_count; i++)
            sum += atomic_load_explicit(&broker->mems[i]->kind_bytes[kind], memory_order_relaxed);
        put(kinds, mem_kind_text((enum mem_kind)kind), (uint64_t)(sum > 0 ? sum : 0));
        used_bytes += sum;
    }
    for (uint32_t i = 0; i < broker->mesh.actor_count; i++)
        refused_count += counter_read(&broker->mems[i]->refused_count);
    put(object, "limit_bytes", (uint64_t)mem_budget_limit(&broker->budget));
    put(object, "used_bytes", (uint64_t)(used_bytes > 0 ? used_bytes : 0));
    put(object, "room_bytes", (uint64_t)mem_budget_room(&broker->budget));
    put(object, "refused_total", refused_count);
    stats_resident_bytes(&rss_bytes, &program_bytes);
    put(object, "rss_bytes", rss_bytes);
    put(object, "program_bytes", program_bytes);
    put(object, "heap_bytes", heap.uordblks + heap.hblkhd);
    put(object, "heap_free_bytes", heap.fordblks);
    json_object_set_new(object, "consumers_bytes", kinds);
    return object;
}

static json_t *quota_row(const struct quota *quota)
{
    json_t *row = json_object();

    put(row, "used", quota_used(quota));
    put(row, "max", quota_max(quota));
    return row;
}

static json_t *limits(const struct broker *broker)
{
    json_t *object = json_object();
    json_t *instances = json_array();

    json_object_set_new(object, "connections", quota_row(&broker->quotas.connections));
    json_object_set_new(object, "handshakes", quota_row(&broker->quotas.handshakes));
    json_object_set_new(object, "topics", quota_row(&broker->quotas.topics));
    json_object_set_new(object, "subscriptions", quota_row(&broker->quotas.subscriptions));
    for (uint32_t i = 0; i < broker->config->instance_count; i++) {
        const struct instance_quotas *quotas = &broker->quotas.instances[i];
        json_t *row = json_object();

        json_object_set_new(row, "path", json_string(broker->config->instances[i].path));
        json_object_set_new(row, "topics", quota_row(&quotas->topics));
        json_object_set_new(row, "subscriptions", quota_row(&quotas->subscriptions));
        json_object_set_new(row, "subtopics", quota_row(&quotas->subtopics));
        json_array_append_new(instances, row);
    }
    json_object_set_new(object, "instances", instances);
    return object;
}

/* What is known of single addresses. */
static json_t *guard(const struct broker *broker)
{
    json_t *object = json_object();

    put(object, "addresses_max", (uint64_t)broker->guard.set_count * GUARD_WAYS);
    put(object, "bans_total",
        atomic_load_explicit(&broker->guard.bans_count, memory_order_relaxed));
    put(object, "unwatched_total",
        atomic_load_explicit(&broker->guard.unwatched_count, memory_order_relaxed));
    return object;
}

/* Accounts and rules: how often they were read again, and who waits for a password's check. */
static json_t *auth(const struct broker *broker)
{
    const struct rights *rights = &broker->rights;
    json_t *object = json_object();

    put(object, "reloads_total", rights->reloads_count);
    put(object, "reload_failures_total", rights->reload_failures_count);
    json_object_set_new(object, "reload_error", json_string(rights->is_stale ? rights->error : ""));
    put(object, "passwords_waiting", rights->workers ? auth_workers_waiting(rights->workers) : 0);
    return object;
}

/* The file that --config names: how often it was read again, and what of it is not in force. */
static json_t *configuration(const struct broker *broker)
{
    const struct live *live = &broker->live;
    json_t *object = json_object();

    put(object, "reloads_total", live->reloads_count);
    put(object, "reload_failures_total", live->failures_count);
    json_object_set_new(object, "reload_error",
                        json_string(live->is_stale ? live->error.text : ""));
    json_object_set_new(object, "changed", json_string(live->change.taken));
    json_object_set_new(object, "needs_restart", json_string(live->change.restart));
    return object;
}

/* Each script: its counters, and how long its functions take. */
static json_t *scripts(const struct broker *broker)
{
    json_t *rows = json_array();

    for (uint32_t i = 0; i < broker->scripts.count; i++) {
        const struct script *script = broker->scripts.actors[i];
        const struct script_stats *stats = script_stats(script);
        json_t *row = counters_of(stats->values, script_stat_descs, SCRIPT_STAT_COUNT);
        json_t *calls = json_object();

        for (uint32_t call = 0; call < SCRIPT_CALL_COUNT; call++) {
            const struct script_call_stats *of = &stats->calls[call];
            json_t *figures = json_object();

            if (counter_read(&of->count) == 0) {
                json_decref(figures);
                continue;
            }
            put(figures, "calls_total", counter_read(&of->count));
            put(figures, "errors_total", counter_read(&of->errors_count));
            put(figures, "time_us_total", counter_read(&of->time_ns) / 1000);
            put(figures, "slowest_us", counter_read(&of->slowest_ns) / 1000);
            json_object_set_new(calls, script_call_name((enum script_call)call), figures);
        }
        json_object_set_new(row, "instance",
                            json_string(broker->config->instances[script_instance(script)].path));
        json_object_set_new(row, "file", json_string(broker->scripts.files[i]));
        put(row, "cpu_us", thread_cpu_us(broker->scripts.threads[i]));
        json_object_set_new(row, "functions", calls);
        json_array_append_new(rows, row);
    }
    return rows;
}

/* What a listener serves, and to whom. */
static json_t *tls_listener(const struct broker *broker, uint32_t listener_index, int64_t now_s)
{
    const struct secure_set *set = broker->secrets.set;
    const struct tls_context_facts *facts =
        tls_context_facts(set->policies[set->policy_of_listener[listener_index]].context);
    static const char *const auths[] = {[TLS_CLIENT_OFF] = "off",
                                        [TLS_CLIENT_OPTIONAL] = "optional",
                                        [TLS_CLIENT_REQUIRED] = "required"};
    json_t *row = json_object();

    json_object_set_new(row, "url", json_string(broker->config->listeners[listener_index].url));
    put(row, "port", broker->ports[listener_index]);
    put(row, "policy", set->policy_of_listener[listener_index]);
    json_object_set_new(row, "client_auth", json_string(auths[facts->client_auth]));
    json_object_set_new(row, "expiry_days", json_integer(tls_days_left(facts->expiry_s, now_s)));
    json_object_set_new(row, "expiry_file", json_string(facts->expiry_path));
    put(row, "ecc_chain_bytes", facts->ecc_chain_bytes);
    put(row, "rsa_chain_bytes", facts->rsa_chain_bytes);
    return row;
}

/* What is served, until when, and how clients failed. The days are those of what expires first. */
static json_t *tls(const struct broker *broker)
{
    const struct secrets *secrets = &broker->secrets;
    int64_t now_s = (int64_t)time(NULL);
    int64_t crl_expiry_s = secrets_crl_expiry_s(secrets);
    const char *expiry_path = "";
    json_t *object = json_object();
    json_t *failed = json_object();
    json_t *listeners = json_array();
    int64_t expiry_s = secrets_expiry_s(secrets, &expiry_path);

    json_object_set_new(object, "own_ca", json_boolean(secrets->is_own));
    json_object_set_new(object, "expiry_days", json_integer(tls_days_left(expiry_s, now_s)));
    json_object_set_new(object, "expiry_file", json_string(expiry_path));
    if (crl_expiry_s != INT64_MAX)
        json_object_set_new(object, "crl_expiry_days",
                            json_integer(tls_days_left(crl_expiry_s, now_s)));
    put(object, "reloads_total", secrets->reloads_count);
    put(object, "reload_failures_total", secrets->reload_failures_count);
    json_object_set_new(object, "reload_good", json_boolean(!secrets->is_stale));
    json_object_set_new(object, "reload_error",
                        json_string(secrets->is_stale ? secrets->error : ""));
    for (uint32_t i = 0; i < broker->config->listener_count; i++)
        if (broker->config->listeners[i].tls)
            json_array_append_new(listeners, tls_listener(broker, i, now_s));
    json_object_set_new(object, "listeners", listeners);
    for (uint32_t kind = 1; kind < TLS_FAIL_COUNT; kind++) {
        uint64_t sum = 0;

        for (uint32_t i = 0; i < broker->io_count; i++)
            sum += counter_read(&broker->reactors[i].io.tls_failed_counts[kind]);
        put(failed, tls_fail_name((enum tls_fail)kind), sum);
    }
    json_object_set_new(object, "failed", failed);
    return object;
}

/* How long runs take inside the broker, from received to queued for their receivers. */
static json_t *latency(const struct broker *broker)
{
    static const uint32_t per_mille[] = {500, 900, 990, 999};
    static const char *const names[] = {"p50_ns", "p90_ns", "p99_ns", "p999_ns"};
    struct latency_counts sum = {0};
    json_t *object = json_object();

    for (uint32_t i = 0; i < broker->io_count; i++)
        latency_add(&sum, &broker->reactors[i].io.latency);
    put(object, "samples_total", latency_count(&sum));
    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        put(object, names[i], latency_quantile_ns(&sum, per_mille[i]));
    return object;
}

char *stats_json(const struct broker *broker)
{
    struct timespec now;
    json_t *root = json_object();
    json_t *io_sums = json_object();
    json_t *shard_sums = json_object();
    json_t *closed = json_object();

    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t up_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - broker->start_time_ns;
    json_object_set_new(root, "version", json_string(SMQD_VERSION));
    put(root, "uptime_s", (uint64_t)(up_ns / 1000000000));
    put(root, "threads_io", broker->io_count);
    put(root, "threads_router", broker->inline_shards ? 0 : broker->shard_count);
    json_t *io = io_actors(broker, io_sums, closed);
    json_t *shards = shard_actors(broker, shard_sums);
    json_object_set_new(root, "io", io_sums);
    json_object_set_new(root, "closed", closed);
    json_object_set_new(root, "latency", latency(broker));
    json_object_set_new(root, "router", shard_sums);
    if (broker->web)
        json_object_set_new(root, "web",
                            counters_of(web_stats(broker->web), web_stat_descs, WEB_STAT_COUNT));
    if (broker->scripts.count > 0)
        json_object_set_new(root, "scripts", scripts(broker));
    if (broker->secrets.set)
        json_object_set_new(root, "tls", tls(broker));
    if (auth_has_files(broker->config))
        json_object_set_new(root, "auth", auth(broker));
    if (broker->live.options->config_path)
        json_object_set_new(root, "config", configuration(broker));
    json_object_set_new(root, "limits", limits(broker));
    json_object_set_new(root, "guard", guard(broker));
    json_object_set_new(root, "memory", memory(broker));
    json_object_set_new(root, "io_actors", io);
    json_object_set_new(root, "shards", shards);
    char *text = json_dumps(root, JANSSON_PRECISE);
    must(text);
    json_decref(root);
    return text;
}
