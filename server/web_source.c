/* server/web_source.c — see server/web_source.h. Thread: the web actor's. */
#include "server/web_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "server/config.h"
#include "server/stats_json.h"
#include "server/web_sample.h"
#include "webui/metrics.h"

/* -- figures, and the configuration -- */

static void sample(void *context, struct stats_sample *sample)
{
    web_sample(context, sample);
}

static void put_config(void *context, const struct config *config, struct body *out)
{
    (void)context;
    char *text = NULL;
    size_t bytes_count = 0;
    FILE *stream = open_memstream(&text, &bytes_count);

    must(stream);
    config_print(config, stream); /* files with secrets are named in it, not shown */
    must(fclose(stream) == 0);
    body_put(out, span_of(text, bytes_count));
    free(text);
}

/* -- metrics -- */

/* One figure that stands alone. */
static void put_one(struct body *out, const char *name, const char *help, double value)
{
    struct stat_desc desc = {name, "", help};

    metrics_begin(out, "", &desc);
    metrics_value(out, "", name, NULL, NULL, value);
}

static void put_io(const struct broker *broker, struct body *out)
{
    for (uint32_t stat = 0; stat < IO_STAT_COUNT; stat++) {
        metrics_begin(out, "io_", &io_stat_descs[stat]);
        for (uint32_t i = 0; i < broker->io_count; i++)
            metrics_value(out, "io_", io_stat_descs[stat].name, "actor",
                          broker->log_lanes[i]->actor,
                          (double)counter_read(&broker->reactors[i].io.stats[stat]));
    }
}

static void put_shards(const struct broker *broker, struct body *out)
{
    for (uint32_t stat = 0; stat < SHARD_STAT_COUNT; stat++) {
        metrics_begin(out, "router_", &shard_stat_descs[stat]);
        for (uint32_t i = 0; i < broker->shard_count; i++)
            metrics_value(out, "router_", shard_stat_descs[stat].name, "actor",
                          broker->log_lanes[broker->host_count + i]->actor,
                          (double)(int64_t)counter_read(&broker->shards[i].stats[stat]));
    }
}

static void put_web(const struct broker *broker, struct body *out)
{
    for (uint32_t stat = 0; stat < WEB_STAT_COUNT; stat++) {
        metrics_begin(out, "web_", &web_stat_descs[stat]);
        metrics_value(out, "web_", web_stat_descs[stat].name, NULL, NULL,
                      (double)counter_read(&web_stats(broker->web)[stat]));
    }
}

/* Of each script, and of each of its functions that has been called. */
static void put_scripts(const struct broker *broker, struct body *out)
{
    static const struct stat_desc calls[] = {
        {"calls_total", "calls", "calls of the script's functions"},
        {"call_errors_total", "calls", "of those, ended by an error"},
        {"call_seconds_total", "seconds", "time in those calls"},
    };
    const struct scripts *scripts = &broker->scripts;

    for (uint32_t stat = 0; stat < SCRIPT_STAT_COUNT && scripts->count > 0; stat++) {
        metrics_begin(out, "script_", &script_stat_descs[stat]);
        for (uint32_t i = 0; i < scripts->count; i++)
            metrics_value(out, "script_", script_stat_descs[stat].name, "instance",
                          broker->config->instances[scripts->instance_of[i]].path,
                          (double)counter_read(&script_stats(scripts->actors[i])->values[stat]));
    }
    for (uint32_t desc = 0; desc < COUNT_OF(calls) && scripts->count > 0; desc++) {
        metrics_begin(out, "script_", &calls[desc]);
        for (uint32_t i = 0; i < scripts->count * SCRIPT_CALL_COUNT; i++) {
            uint32_t index = i / SCRIPT_CALL_COUNT;
            enum script_call call = (enum script_call)(i % SCRIPT_CALL_COUNT);
            const struct script_call_stats *of = &script_stats(scripts->actors[index])->calls[call];
            const char *const names[2] = {"instance", "function"};
            const char *const values[2] = {
                broker->config->instances[scripts->instance_of[index]].path,
                script_call_name(call)};
            const double figures[] = {(double)counter_read(&of->count),
                                      (double)counter_read(&of->errors_count),
                                      (double)counter_read(&of->time_ns) / 1e9};

            if (counter_read(&of->count) > 0)
                metrics_value_2(out, "script_", calls[desc].name, names, values, figures[desc]);
        }
    }
}

/* Why connections ended, and how TLS failed: sums over the I/O actors. */
static void put_reasons(const struct broker *broker, struct body *out)
{
    static const struct stat_desc closed = {"closed_total", "connections",
                                            "connections closed, by reason"};
    static const struct stat_desc failed = {"tls_failed_total", "connections",
                                            "TLS connections that failed, by reason"};

    metrics_begin(out, "", &closed);
    for (uint32_t reason = 0; reason < CLOSE_REASON_COUNT; reason++) {
        uint64_t sum = 0;

        for (uint32_t i = 0; i < broker->io_count; i++)
            sum += counter_read(&broker->reactors[i].io.closed_counts[reason]);
        metrics_value(out, "", closed.name, "reason", close_reason_name((enum close_reason)reason),
                      (double)sum);
    }
    metrics_begin(out, "", &failed);
    for (uint32_t kind = 1; kind < TLS_FAIL_COUNT; kind++) {
        uint64_t sum = 0;

        for (uint32_t i = 0; i < broker->io_count; i++)
            sum += counter_read(&broker->reactors[i].io.tls_failed_counts[kind]);
        metrics_value(out, "", failed.name, "reason", tls_fail_name((enum tls_fail)kind),
                      (double)sum);
    }
}

static void put_memory(const struct broker *broker, struct body *out)
{
    static const struct stat_desc desc = {"memory_bytes", "bytes",
                                          "memory allocated, by what it is for"};
    uint64_t refused_count = 0;

    metrics_begin(out, "", &desc);
    for (uint32_t kind = 0; kind < MEM_KIND_COUNT; kind++) {
        int64_t sum = 0;

        for (uint32_t i = 0; i < broker->mesh.actor_count; i++)
            sum += atomic_load_explicit(&broker->mems[i]->kind_bytes[kind], memory_order_relaxed);
        metrics_value(out, "", desc.name, "kind", mem_kind_name((enum mem_kind)kind),
                      sum > 0 ? (double)sum : 0);
    }
    for (uint32_t i = 0; i < broker->mesh.actor_count; i++)
        refused_count += counter_read(&broker->mems[i]->refused_count);
    put_one(out, "memory_limit_bytes", "limits.memory", (double)mem_budget_limit(&broker->budget));
    put_one(out, "memory_used_bytes", "memory allocated in all",
            (double)atomic_load_explicit(&broker->budget.used_bytes, memory_order_relaxed));
    put_one(out, "memory_room_bytes",
            "how much of limits.memory may be allocated, beside the program and a reserve",
            (double)mem_budget_room(&broker->budget));
    put_one(out, "memory_refused_total", "allocations refused at the limit", (double)refused_count);
}

static void put_limits(const struct broker *broker, struct body *out)
{
    const struct {
        const char *name;
        const struct quota *quota;
    } rows[] = {
        {"connections", &broker->quotas.connections},
        {"handshakes", &broker->quotas.handshakes},
        {"topics", &broker->quotas.topics},
        {"subscriptions", &broker->quotas.subscriptions},
    };
    static const struct stat_desc used = {"limit_used", "", "how much of a limit is taken"};
    static const struct stat_desc max = {"limit_max", "", "the limit"};

    metrics_begin(out, "", &used);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        metrics_value(out, "", used.name, "limit", rows[i].name, quota_used(rows[i].quota));
    metrics_begin(out, "", &max);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        metrics_value(out, "", max.name, "limit", rows[i].name, quota_max(rows[i].quota));
}

/* What waits for each actor, and how often it had no room. */
static void put_lanes(const struct broker *broker, struct body *out)
{
    static const struct stat_desc depth = {"lane_depth", "envelopes",
                                           "envelopes that wait for an actor"};
    static const struct stat_desc full = {"lane_full_total", "envelopes",
                                          "envelopes that found the lane to an actor full"};
    const struct mesh *mesh = &broker->mesh;

    for (int what = 0; what < 2; what++) {
        metrics_begin(out, "", what == 0 ? &depth : &full);
        for (uint32_t to = 0; to < broker->log_lane_count; to++) {
            uint64_t sum = 0;

            for (uint32_t from = 0; from < mesh->actor_count; from++) {
                const struct lane *lane = mesh->lanes[from * mesh->actor_count + to];

                if (lane)
                    sum += what == 0 ? lane_depth(lane) : counter_read(&lane->full_count);
            }
            metrics_value(out, "", what == 0 ? depth.name : full.name, "actor",
                          broker->log_lanes[to]->actor, (double)sum);
        }
    }
}

static void put_process(const struct broker *broker, struct body *out)
{
    static const struct stat_desc build = {"build_info", "", "the version, as a label"};
    struct rusage usage;
    struct timespec now;
    uint64_t rss_bytes;
    uint64_t program_bytes;

    metrics_begin(out, "", &build);
    metrics_value(out, "", build.name, "version", SMQD_VERSION, 1);
    clock_gettime(CLOCK_MONOTONIC, &now);
    put_one(out, "uptime_seconds", "since the start",
            (double)now.tv_sec + (double)now.tv_nsec / 1e9 - (double)broker->start_time_ns / 1e9);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        put_one(out, "cpu_seconds_total", "CPU time of all threads, the kernel's for them too",
                (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    stats_resident_bytes(&rss_bytes, &program_bytes);
    put_one(out, "resident_bytes", "memory of the process that is in RAM", (double)rss_bytes);
}

static void put_metrics(void *context, struct body *out)
{
    const struct broker *broker = context;

    put_process(broker, out);
    put_io(broker, out);
    put_shards(broker, out);
    put_web(broker, out);
    put_scripts(broker, out);
    put_reasons(broker, out);
    put_memory(broker, out);
    put_limits(broker, out);
    put_lanes(broker, out);
}

struct web_source web_source_of(struct broker *broker)
{
    return (struct web_source){.context = broker,
                               .sample = sample,
                               .put_metrics = put_metrics,
                               .put_config = put_config};
}
