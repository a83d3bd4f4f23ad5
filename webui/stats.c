/* webui/stats.c — see webui/stats.h. Thread: the web actor's. */
#include "webui/stats.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const connection_names[STATS_CONNECTION_COUNT] = {
#define X(name, text) [STATS_CONNECTION_##name] = text,
    STATS_CONNECTIONS(X)
#undef X
};

static const char *const rate_names[STATS_RATE_COUNT] = {
#define X(name, text) [STATS_RATE_##name] = text,
    STATS_RATES(X)
#undef X
};

/* -- samples -- */

/* "PEER" and "dropped_new_total" as the pages say it: "peer", "new". */
static void copy_name(char out[STATS_NAME_BYTES], const char *name)
{
    static const char before[] = "dropped_";
    static const char after[] = "_total";

    if (strncmp(name, before, sizeof(before) - 1) == 0)
        name += sizeof(before) - 1;
    snprintf(out, STATS_NAME_BYTES, "%s", name);
    size_t length = strlen(out);

    if (length > sizeof(after) - 1 && strcmp(out + length - (sizeof(after) - 1), after) == 0)
        out[length - (sizeof(after) - 1)] = '\0';
    for (char *at = out; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
}

void stats_list_add(struct stats_list *list, const char *name, const char *help, uint64_t total)
{
    char wanted[STATS_NAME_BYTES];

    copy_name(wanted, name);
    for (uint32_t i = 0; i < list->count; i++) {
        if (strcmp(list->at[i].name, wanted) == 0) {
            list->at[i].total += total;
            return;
        }
    }
    must(list->count < STATS_LIST_MAX);
    struct stats_reason *reason = &list->at[list->count++];

    memcpy(reason->name, wanted, sizeof(reason->name));
    reason->help = help;
    reason->total = total;
}

struct stats_sample *stats_next(struct stats *stats)
{
    struct stats_sample *next = &stats->samples[1 - stats->now];

    memset(next, 0, sizeof(*next));
    return next;
}

/* -- two samples -- */

static const struct stats_sample *newer(const struct stats *stats)
{
    return &stats->samples[stats->now];
}

static const struct stats_sample *older(const struct stats *stats)
{
    return &stats->samples[1 - stats->now];
}

/* What has been counted between the samples, per second. */
static double rate_of(const struct stats *stats, uint64_t now, uint64_t before)
{
    int64_t passed_ns = newer(stats)->clock_ns - older(stats)->clock_ns;

    if (!stats->is_running || passed_ns <= 0 || now < before)
        return 0;
    return (double)(now - before) * 1e9 / (double)passed_ns;
}

static double rate(const struct stats *stats, enum stats_rate which)
{
    return rate_of(stats, newer(stats)->totals[which], older(stats)->totals[which]);
}

/* Share of one core. */
static double load(const struct stats *stats, uint32_t actor)
{
    return rate_of(stats, newer(stats)->actors[actor].cpu_ns, older(stats)->actors[actor].cpu_ns) /
           1e9;
}

static struct latency_counts latency(const struct stats *stats)
{
    return stats->is_running ? latency_since(&newer(stats)->latency, &older(stats)->latency)
                             : newer(stats)->latency;
}

/* In microseconds, not less than one: 0 would look like nothing. NAN: nothing was measured. */
static double quantile_us(const struct latency_counts *counts, uint32_t per_mille)
{
    uint64_t ns = latency_quantile_ns(counts, per_mille);

    return latency_count(counts) > 0 ? fmax(1, round((double)ns / 1000)) : NAN;
}

static void remember(struct stats *stats)
{
    const struct stats_sample *now = newer(stats);
    struct latency_counts counts = latency(stats);
    double drops = 0;
    double cpu = 0;

    for (uint32_t i = 0; i < now->drops.count; i++)
        drops += rate_of(stats, now->drops.at[i].total, older(stats)->drops.at[i].total);
    for (uint32_t i = 0; i < now->actor_count; i++)
        cpu += load(stats, i);
    const double values[HISTORY_SERIES_COUNT] = {
        [HISTORY_MESSAGES_IN] = rate(stats, STATS_RATE_MESSAGES_IN),
        [HISTORY_MESSAGES_OUT] = rate(stats, STATS_RATE_MESSAGES_OUT),
        [HISTORY_BYTES_IN] = rate(stats, STATS_RATE_BYTES_IN),
        [HISTORY_BYTES_OUT] = rate(stats, STATS_RATE_BYTES_OUT),
        [HISTORY_CONNECTIONS] = (double)now->connections[STATS_CONNECTION_OPEN],
        [HISTORY_MEMORY] = (double)now->memory_used_bytes,
        [HISTORY_P50_US] = quantile_us(&counts, 500),
        [HISTORY_P99_US] = quantile_us(&counts, 990),
        [HISTORY_DROPS] = drops,
        [HISTORY_CPU] = cpu,
    };

    history_add(&stats->history, now->t_ms, values);
}

void stats_taken(struct stats *stats)
{
    bool had_one = newer(stats)->clock_ns != 0;

    stats->now = 1 - stats->now;
    stats->is_running = had_one;
    if (stats->is_running)
        remember(stats);
}

/* -- JSON -- */

static void put_connections(const struct stats *stats, struct body *out)
{
    body_put_text(out, ",\"connections\":{");
    for (uint32_t i = 0; i < STATS_CONNECTION_COUNT; i++)
        body_printf(out, "%s\"%s\":%llu", i > 0 ? "," : "", connection_names[i],
                    (unsigned long long)newer(stats)->connections[i]);
    body_put_text(out, "},\"rates\":{");
    for (uint32_t i = 0; i < STATS_RATE_COUNT; i++)
        body_printf(out, "%s\"%s\":%.1f", i > 0 ? "," : "", rate_names[i],
                    rate(stats, (enum stats_rate)i));
    body_put_text(out, "}");
}

static void put_latency(const struct stats *stats, struct body *out)
{
    struct latency_counts counts = latency(stats);
    uint64_t count = latency_count(&counts);

    if (count == 0)
        body_put_text(out, ",\"latency_us\":{\"p50\":null,\"p99\":null,\"count\":0}");
    else
        body_printf(out, ",\"latency_us\":{\"p50\":%.0f,\"p99\":%.0f,\"count\":%llu}",
                    quantile_us(&counts, 500), quantile_us(&counts, 990),
                    (unsigned long long)count);
}

static void put_list(const struct stats *stats, const char *name, const struct stats_list *now,
                     const struct stats_list *before, struct body *out)
{
    body_printf(out, ",\"%s\":[", name);
    for (uint32_t i = 0; i < now->count; i++) {
        const struct stats_reason *reason = &now->at[i];

        body_printf(out,
                    "%s{\"name\":\"%s\",\"total\":%llu,\"rate\":%.1f,\"help\":", i > 0 ? "," : "",
                    reason->name, (unsigned long long)reason->total,
                    rate_of(stats, reason->total, before->at[i].total));
        body_put_json_text(out, reason->help);
        body_put_text(out, "}");
    }
    body_put_text(out, "]");
}

static void put_memory(const struct stats *stats, struct body *out)
{
    const struct stats_sample *now = newer(stats);

    body_printf(out,
                ",\"memory\":{\"limit_bytes\":%lld,\"used_bytes\":%lld,\"rss_bytes\":%lld,"
                "\"kinds\":[",
                (long long)now->memory_limit_bytes, (long long)now->memory_used_bytes,
                (long long)now->rss_bytes);
    for (uint32_t kind = 0; kind < MEM_KIND_COUNT; kind++) {
        body_put_text(out, kind > 0 ? ",{\"name\":" : "{\"name\":");
        body_put_json_text(out, mem_kind_text((enum mem_kind)kind));
        body_printf(out, ",\"bytes\":%lld}", (long long)now->memory_bytes[kind]);
    }
    body_put_text(out, "]}");
}

static void put_actors(const struct stats *stats, struct body *out)
{
    const struct stats_sample *now = newer(stats);

    body_put_text(out, ",\"actors\":[");
    for (uint32_t i = 0; i < now->actor_count; i++) {
        const struct stats_actor *actor = &now->actors[i];
        const struct stats_actor *before = &older(stats)->actors[i];

        body_printf(out,
                    "%s{\"name\":\"%s\",\"kind\":\"%s\",\"load\":%.4f,\"turns\":%.0f,"
                    "\"sleeps\":%.0f,\"envelopes\":%.0f,\"lane_depth\":%llu,\"lane_room\":%llu,"
                    "\"backlogs\":%.0f,\"connections\":%llu}",
                    i > 0 ? "," : "", actor->name, actor->kind, load(stats, i),
                    rate_of(stats, actor->turns, before->turns),
                    rate_of(stats, actor->sleeps, before->sleeps),
                    rate_of(stats, actor->envelopes, before->envelopes),
                    (unsigned long long)actor->lane_depth, (unsigned long long)actor->lane_room,
                    rate_of(stats, actor->backlogs, before->backlogs),
                    (unsigned long long)actor->connections);
    }
    body_put_text(out, "]");
}

static void put_calls(const struct stats *stats, const struct stats_script *script,
                      const struct stats_script *before, struct body *out)
{
    for (uint32_t i = 0; i < script->call_count; i++) {
        const struct stats_call *call = &script->calls[i];
        uint64_t count = call->count - before->calls[i].count;
        uint64_t time_ns = call->time_ns - before->calls[i].time_ns;

        body_printf(out, "%s{\"name\":\"%s\",\"total\":%llu,\"rate\":%.1f,\"errors\":%llu,",
                    i > 0 ? "," : "", call->name, (unsigned long long)call->count,
                    rate_of(stats, call->count, before->calls[i].count),
                    (unsigned long long)call->errors);
        if (count == 0 || !stats->is_running)
            body_put_text(out, "\"mean_us\":null,");
        else
            body_printf(out, "\"mean_us\":%.1f,", (double)time_ns / 1000 / (double)count);
        body_printf(out, "\"slowest_us\":%.1f}", (double)call->slowest_ns / 1000);
    }
}

/* Only where there are scripts. */
static void put_scripts(const struct stats *stats, struct body *out)
{
    const struct stats_sample *now = newer(stats);

    if (now->script_count == 0)
        return;
    body_put_text(out, ",\"scripts\":[");
    for (uint32_t i = 0; i < now->script_count; i++) {
        const struct stats_script *script = &now->scripts[i];
        const struct stats_script *before = &older(stats)->scripts[i];

        body_put_text(out, i > 0 ? ",{\"instance\":" : "{\"instance\":");
        body_put_json_text(out, script->instance);
        body_printf(out,
                    ",\"loaded\":%s,\"loads\":%llu,\"load_failures\":%llu,\"errors\":%llu,"
                    "\"timeouts\":%llu,"
                    "\"memory_bytes\":%llu,\"queue\":%llu,\"timers\":%llu,\"async_waiting\":%llu,"
                    "\"published\":%.1f,\"dropped\":%llu,\"calls\":[",
                    script->is_loaded ? "true" : "false", (unsigned long long)script->loads,
                    (unsigned long long)script->load_failures, (unsigned long long)script->errors,
                    (unsigned long long)script->timeouts, (unsigned long long)script->memory_bytes,
                    (unsigned long long)script->queue, (unsigned long long)script->timers,
                    (unsigned long long)script->async_waiting,
                    rate_of(stats, script->published, before->published),
                    (unsigned long long)script->dropped);
        put_calls(stats, script, before, out);
        body_put_text(out, "]}");
    }
    body_put_text(out, "]");
}

void stats_put(const struct stats *stats, struct span tls, struct body *out)
{
    const struct stats_sample *now = newer(stats);
    const struct stats_sample *before = older(stats);

    body_printf(out, "{\"t\":%lld,\"uptime_s\":%llu", (long long)now->t_ms,
                (unsigned long long)now->uptime_s);
    put_connections(stats, out);
    put_latency(stats, out);
    put_list(stats, "drops", &now->drops, &before->drops, out);
    put_list(stats, "closed", &now->closed, &before->closed, out);
    put_list(stats, "tls_failed", &now->tls_failed, &before->tls_failed, out);
    put_memory(stats, out);
    put_actors(stats, out);
    put_scripts(stats, out);
    body_put(out, tls);
    body_put_text(out, "}\n");
}
