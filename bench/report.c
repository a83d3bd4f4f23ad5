/*
 * bench/report.c — one result, told twice: lines for people, one JSON object for machines.
 */
#include "bench/report.h"

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "core/must.h"

/* One message of rpc crosses the broker twice: there and back. */
static double crossing_count(const struct options *options, const struct result *result)
{
    double count = (double)result->delivered_count;

    return options->bench_case == CASE_RPC ? 2 * count : count;
}

static double per(double amount, double count)
{
    return count > 0 ? amount / count : 0;
}

static double server_cpu_us(const struct options *options, const struct result *result)
{
    return per((double)result->server_cpu_ns / 1e3, crossing_count(options, result));
}

static double generator_cpu_us(const struct options *options, const struct result *result)
{
    return per((double)result->generator_cpu_ns / 1e3, crossing_count(options, result));
}

static double quantile_us(const struct result *result, double share)
{
    return (double)histogram_quantile(&result->latency, share) / 1e3;
}

static double rss_per_conn(const struct result *result)
{
    return per((double)result->rss_ready_bytes - (double)result->rss_before_bytes,
               result->conn_count);
}

static double slab_per_conn(const struct result *result)
{
    return per((double)result->slab_ready_bytes - (double)result->slab_before_bytes,
               result->conn_count);
}

/* The smallest publisher's share as a part of the largest one's; 1 is perfectly fair. */
static double fairness(const struct result *result)
{
    return per((double)result->publisher_count_min, (double)result->publisher_count_max);
}

bool result_is_good(const struct result *result)
{
    return result->lost_count == 0 && result->repeated_count == 0 && result->reordered_count == 0 &&
           result->foreign_count == 0 && result->publishers_closed_count == 0 &&
           result->failed_count == 0;
}

/* -- for machines -- */

static void set_number(json_t *object, const char *key, double value)
{
    must(json_object_set_new(object, key, json_real(value)) == 0);
}

static void set_count(json_t *object, const char *key, uint64_t value)
{
    must(json_object_set_new(object, key, json_integer((json_int_t)value)) == 0);
}

static json_t *config_json(const struct options *options)
{
    json_t *config = json_object();

    set_count(config, "publishers", options->publisher_count);
    set_count(config, "topics", options->topic_count);
    set_count(config, "subscribers", options->subscriber_count);
    set_count(config, "pairs", options->pair_count);
    set_count(config, "connections", options->conn_count);
    set_count(config, "requesters", options->requester_count);
    set_count(config, "responders", options->responder_count);
    set_count(config, "bystanders", options->bystander_count);
    set_count(config, "stopped", options->stopped_count);
    set_count(config, "payload_bytes", options->payload_bytes);
    set_count(config, "window", options->window);
    set_count(config, "rate", options->rate);
    return config;
}

static json_t *latency_json(const struct result *result)
{
    json_t *latency = json_object();

    set_number(latency, "p50", quantile_us(result, 0.50));
    set_number(latency, "p90", quantile_us(result, 0.90));
    set_number(latency, "p99", quantile_us(result, 0.99));
    set_number(latency, "p99.9", quantile_us(result, 0.999));
    set_number(latency, "max", (double)result->latency.value_max / 1e3);
    return latency;
}

static json_t *server_json(const struct options *options, const struct result *result)
{
    json_t *server = json_object();

    set_number(server, "cpu_s", (double)result->server_cpu_ns / 1e9);
    set_number(server, "cpu_us_per_message", server_cpu_us(options, result));
    set_count(server, "rss_before_bytes", result->rss_before_bytes);
    set_count(server, "rss_ready_bytes", result->rss_ready_bytes);
    set_count(server, "rss_after_bytes", result->rss_after_bytes);
    set_number(server, "rss_bytes_per_connection", rss_per_conn(result));
    return server;
}

static json_t *handshakes_json(const struct secure_handshakes *handshakes)
{
    json_t *object = json_object();

    set_count(object, "count", handshakes->count);
    set_number(object, "in_bytes", per((double)handshakes->in_bytes, (double)handshakes->count));
    set_number(object, "out_bytes", per((double)handshakes->out_bytes, (double)handshakes->count));
    return object;
}

static json_t *secure_json(const struct result *result)
{
    json_t *secure = json_object();

    json_object_set_new(secure, "full", handshakes_json(&result->secure.full));
    json_object_set_new(secure, "resumed", handshakes_json(&result->secure.resumed));
    return secure;
}

static void json_print(const struct options *options, const struct result *result)
{
    json_t *root = json_object();

    must(root != NULL);
    json_object_set_new(root, "case", json_string(bench_case_name(options->bench_case)));
    json_object_set_new(root, "protocol", json_string(options->protocol));
    json_object_set_new(root, "ws", json_boolean(options->is_ws));
    json_object_set_new(root, "ok", json_boolean(result_is_good(result)));
    json_object_set_new(root, "config", config_json(options));
    set_number(root, "setup_s", result->setup_seconds);
    set_number(root, "seconds", result->seconds);
    set_count(root, "connections", result->conn_count);
    set_count(root, "published", result->published_count);
    set_count(root, "delivered", result->delivered_count);
    set_number(root, "rate_per_s", per((double)result->delivered_count, result->seconds));
    set_number(root, "behind_s", result->behind_seconds);
    json_object_set_new(root, "latency_us", latency_json(result));
    set_count(root, "lost", result->lost_count);
    set_count(root, "lost_announced", result->lost_announced_count);
    set_count(root, "duplicated", result->repeated_count);
    set_count(root, "reordered", result->reordered_count);
    set_count(root, "foreign", result->foreign_count);
    set_count(root, "failed", result->failed_count);
    set_count(root, "retried", result->retried_count);
    set_count(root, "closed", result->closed_count + result->publishers_closed_count);
    set_count(root, "stopped_closed", result->stopped_closed_count);
    set_number(root, "fairness", fairness(result));
    json_object_set_new(root, "server",
                        result->has_server ? server_json(options, result) : json_null());
    json_object_set_new(root, "tls", options->is_tls ? secure_json(result) : json_null());
    set_number(root, "generator_cpu_us_per_message", generator_cpu_us(options, result));
    set_number(root, "generator_cores",
               per((double)result->generator_cpu_ns / 1e9, result->seconds));
    set_number(root, "slab_bytes_per_connection", slab_per_conn(result));

    must(json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0);
    putchar('\n');
    json_decref(root);
}

/* -- for people -- */

static const char *unit_of(enum bench_case bench_case)
{
    if (bench_case == CASE_CHURN)
        return "connections";
    return bench_case == CASE_RPC ? "calls" : "messages";
}

static void text_print_faults(const struct result *result)
{
    printf("  lost        %" PRIu64 ", duplicated %" PRIu64 ", reordered %" PRIu64,
           result->lost_count, result->repeated_count, result->reordered_count);
    if (result->foreign_count > 0)
        printf(", FOREIGN %" PRIu64, result->foreign_count);
    if (result->lost_announced_count > 0)
        printf(", announced losses %" PRIu64, result->lost_announced_count);
    putchar('\n');
    if (result->failed_count > 0)
        printf("  failed      %" PRIu64 " connections (%s)\n", result->failed_count,
               result->closed_reason);
    if (result->retried_count > 0)
        printf("  retried     %" PRIu64 " connections that were turned away at first (%s)\n",
               result->retried_count, result->closed_reason);
    if (result->closed_count + result->publishers_closed_count > 0)
        printf("  closed      %" PRIu64 " connections by the broker, %" PRIu64
               " of them publishers (%s)\n",
               result->closed_count + result->publishers_closed_count,
               result->publishers_closed_count, result->closed_reason);
    if (result->stopped_closed_count > 0)
        printf("  stopped     %" PRIu64 " that stopped reading were closed by the broker\n",
               result->stopped_closed_count);
}

/* Memory for each connection is worth a line only where connections are what is measured; in
 * the other cases the growth under load is. */
static void text_print_memory(const struct options *options, const struct result *result)
{
    bool is_idle = options->bench_case == CASE_IDLE;

    if (result->has_server && is_idle)
        printf("  server RSS  %.1f MB before, %.1f MB connected, %.1f MB after: %.0f bytes for "
               "each connection\n",
               (double)result->rss_before_bytes / 1e6, (double)result->rss_ready_bytes / 1e6,
               (double)result->rss_after_bytes / 1e6, rss_per_conn(result));
    else if (result->has_server)
        printf("  server RSS  %.1f MB before, %.1f MB after\n",
               (double)result->rss_before_bytes / 1e6, (double)result->rss_after_bytes / 1e6);
    if (is_idle)
        printf("  kernel slab %.0f bytes for each connection, both ends\n", slab_per_conn(result));
}

static void text_print_handshakes(const char *word, const struct secure_handshakes *handshakes)
{
    if (handshakes->count > 0)
        printf("  TLS         %" PRIu64 " %s handshakes, each %.0f bytes to us, %.0f from us\n",
               handshakes->count, word,
               per((double)handshakes->in_bytes, (double)handshakes->count),
               per((double)handshakes->out_bytes, (double)handshakes->count));
}

static void text_print(const struct options *options, const struct result *result)
{
    const char *case_name = bench_case_name(options->bench_case);
    const char *unit = unit_of(options->bench_case);
    const char *carrier = options->is_ws ? " over WebSocket" : "";

    if (options->bench_case == CASE_CHURN)
        printf("%s over %s%s: %u connections at a time, measured %.2f s\n", case_name,
               options->protocol, carrier, result->conn_count, result->seconds);
    else
        printf("%s over %s%s: %u connections, ready in %.2f s, measured %.2f s\n", case_name,
               options->protocol, carrier, result->conn_count, result->setup_seconds,
               result->seconds);
    printf("  rate        %.0f %s/s (%" PRIu64 " in all)\n",
           per((double)result->delivered_count, result->seconds), unit, result->delivered_count);
    printf("  latency µs  p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f\n",
           quantile_us(result, 0.50), quantile_us(result, 0.90), quantile_us(result, 0.99),
           quantile_us(result, 0.999), (double)result->latency.value_max / 1e3);
    text_print_faults(result);
    if (result->behind_seconds > 0.001)
        printf("  behind      %.3f s: the rate was more than broker and generator can do\n",
               result->behind_seconds);
    if (result->publisher_count > 1)
        printf("  fairness    %.2f (fewest %" PRIu64 ", most %" PRIu64 " of one publisher)\n",
               fairness(result), result->publisher_count_min, result->publisher_count_max);
    if (result->has_server)
        printf("  server CPU  %.3f µs for each %s (%.2f cores)\n", server_cpu_us(options, result),
               options->bench_case == CASE_CHURN ? "connection" : "delivered message",
               per((double)result->server_cpu_ns / 1e9, result->seconds));
    printf("  generator   %.3f µs (%.2f cores, %u threads)\n", generator_cpu_us(options, result),
           per((double)result->generator_cpu_ns / 1e9, result->seconds), result->worker_count);
    text_print_handshakes("full", &result->secure.full);
    text_print_handshakes("resumed", &result->secure.resumed);
    text_print_memory(options, result);
}

void report_print(const struct options *options, const struct result *result)
{
    if (options->is_json)
        json_print(options, result);
    else
        text_print(options, result);
    fflush(stdout);
}
