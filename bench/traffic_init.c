/*
 * bench/traffic_init.c — building what bench/traffic.h describes: from counts to arrays.
 *
 * Thread: main, while no worker runs (traffic_make_heads: while none of them publishes).
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/traffic.h"

#define WORKERS_MAX         64u    /* bits of traffic_worker.wake_mask */
#define SOURCE_CONNS        10000u /* connections from one source address; 14,000 is too many */
#define SHORT_SEND_BYTES    8192u  /* fits into any socket's send buffer */
#define SEND_OVERHEAD_BYTES 64u

/* @count zeroed elements, or the end: a generator without memory cannot go on. */
static void *array_new(size_t count, size_t element_bytes)
{
    void *array = calloc(count > 0 ? count : 1, element_bytes);

    if (array == NULL) {
        fprintf(stderr, "smqbench: out of memory (%zu times %zu bytes)\n", count, element_bytes);
        exit(2);
    }
    return array;
}

static struct plan plan_of(const struct options *options)
{
    struct plan plan = {
        .publisher_count = options->publisher_count,
        .topic_count = options->topic_count,
        .subscriber_count = options->subscriber_count,
        .bystander_count = options->bystander_count,
        .stopped_count = options->stopped_count,
    };

    switch (options->bench_case) {
    case CASE_IDLE: /* one publisher reaches every one of them at the end */
        plan.topic_count = options->conn_count;
        plan.subscriber_count = options->conn_count;
        break;
    case CASE_PAIR:
        plan.publisher_count = options->pair_count;
        plan.topic_count = options->pair_count;
        plan.subscriber_count = options->pair_count;
        break;
    case CASE_RPC:
        plan.is_rpc = true;
        plan.publisher_count = options->requester_count;
        plan.subscriber_count = options->responder_count;
        break;
    case CASE_PUBSUB:
    case CASE_FANIN:
    case CASE_SLOW:
    case CASE_CHURN:
    case CASE_COUNT:
        break;
    }
    return plan;
}

/* Can no send of this run ever block? Then a worker may wait for its sends to complete. All that
 * is outstanding fits into the socket's buffer when windows are small; see worker_wait_count. */
static bool is_send_short(const struct options *options)
{
    uint64_t window_bytes =
        (uint64_t)options->window * (options->payload_bytes + SEND_OVERHEAD_BYTES);

    return options->rate == 0 && window_bytes <= SHORT_SEND_BYTES &&
           options->bench_case != CASE_RPC;
}

/* Where a client's connection should live: with those it talks to, if there is room. */
static uint32_t preferred_worker(const struct traffic *traffic, uint32_t client_index)
{
    const struct plan *plan = &traffic->plan;
    uint32_t kind_index = client_index; /* its number among publishers, subscribers, ... */

    if (client_index >= plan->publisher_count + plan->subscriber_count)
        kind_index -= plan->publisher_count + plan->subscriber_count;
    else if (client_index >= plan->publisher_count)
        kind_index -= plan->publisher_count;
    if (!plan->is_rpc && plan->topic_count >= traffic->worker_count)
        kind_index %= plan->topic_count;
    return kind_index % traffic->worker_count;
}

static void deal_out_clients(struct traffic *traffic)
{
    uint32_t client_count = plan_client_count(&traffic->plan);
    uint32_t *worker_of_client = array_new(client_count, sizeof(uint32_t));
    uint32_t *conn_counts = array_new(traffic->worker_count, sizeof(uint32_t));

    for (uint32_t i = 0; i < client_count; i++) {
        uint32_t index = preferred_worker(traffic, i);

        while (conn_counts[index] == WORKER_CONNS_MAX)
            index = (index + 1) % traffic->worker_count;
        worker_of_client[i] = index;
        conn_counts[index]++;
    }
    for (uint32_t i = 0; i < traffic->worker_count; i++) {
        struct traffic_worker *tw = &traffic->workers[i];

        worker_init(&tw->worker, i, conn_counts[i], &traffic->worker_options);
        tw->worker.hooks = &traffic_hooks;
        tw->worker.context = tw;
        tw->traffic = traffic;
        tw->handed_over = PLAN_NONE;
        tw->client_of_slot = array_new(conn_counts[i], sizeof(uint32_t));
        tw->retries = array_new(conn_counts[i], sizeof(struct retry));
        tw->ready = array_new(traffic->plan.publisher_count, sizeof(uint32_t));
        tw->publishers = array_new(traffic->plan.publisher_count, sizeof(uint32_t));
        conn_counts[i] = 0;
    }
    for (uint32_t i = 0; i < client_count; i++) {
        struct traffic_worker *tw = &traffic->workers[worker_of_client[i]];
        uint32_t slot_index = conn_counts[tw->worker.index]++;

        tw->client_of_slot[slot_index] = i;
        traffic->clients[i].conn = &tw->worker.conns[slot_index];
        traffic->clients[i].conn->is_lazy = plan_client_is_stopped(&traffic->plan, i);
        if (i < traffic->plan.publisher_count) {
            tw->publishers[tw->publisher_count++] = i;
            traffic->publishers[i].worker_index = tw->worker.index;
        }
    }
    free(conn_counts);
    free(worker_of_client);
}

static void build_publishers(struct traffic *traffic)
{
    const struct plan *plan = &traffic->plan;
    uint32_t flow_count = plan_flow_count(plan);

    traffic->flows = array_new(flow_count, sizeof(struct flow));
    for (uint32_t i = 0; i < flow_count; i++)
        traffic->flows[i].receiver_count = plan_flow_receiver_count(plan, i);
    traffic->publishers = array_new(plan->publisher_count, sizeof(struct publisher));
    for (uint32_t i = 0; i < plan->publisher_count; i++) {
        struct publisher *publisher = &traffic->publishers[i];

        publisher->flow_first = i;
        publisher->flow_count = plan_publisher_flow_count(plan, i);
        publisher->left_count =
            traffic->options->bench_case == CASE_IDLE ? publisher->flow_count : UINT64_MAX;
        publisher->slots = array_new(traffic->options->window, sizeof(_Atomic uint32_t));
    }
}

static uint32_t worker_count_of(const struct traffic *traffic)
{
    uint32_t client_count = plan_client_count(&traffic->plan);
    uint32_t needed_count = (client_count - 1) / WORKER_CONNS_MAX + 1;
    uint32_t count = traffic->options->thread_count;

    if (count > client_count)
        count = client_count;
    return count > needed_count ? count : needed_count;
}

bool traffic_init(struct traffic *traffic, const struct options *options,
                  const struct target *target)
{
    *traffic = (struct traffic){
        .options = options,
        .protocol = target->protocol,
        .plan = plan_of(options),
        .failure_mutex = PTHREAD_MUTEX_INITIALIZER,
    };
    uint32_t client_count = plan_client_count(&traffic->plan);
    uint32_t topic_count = plan_topic_count(&traffic->plan);
    bool is_loopback = ntohl(target->server.sin_addr.s_addr) >> 24 == 127;

    traffic->worker_count = worker_count_of(traffic);
    if (traffic->worker_count > WORKERS_MAX || plan_track_count(&traffic->plan) == PLAN_NONE) {
        fprintf(stderr, "smqbench: %u connections are too many for one generator\n", client_count);
        return false;
    }
    traffic->worker_options = (struct worker_options){
        .target = *target,
        .path = options->path,
        .source_count = options->source_count,
        .is_send_short = is_send_short(options),
    };
    if (is_loopback && options->source_count == 0)
        traffic->worker_options.source_count = 1 + client_count / SOURCE_CONNS;

    traffic->clients = array_new(client_count, sizeof(struct client));
    traffic->tracks = array_new(plan_track_count(&traffic->plan), sizeof(struct sequence));
    traffic->topics = array_new(topic_count, sizeof(struct wire_topic));
    traffic->topic_ids = array_new(topic_count, sizeof(_Atomic uint32_t));
    for (uint32_t i = 0; i < topic_count; i++)
        wire_topic_name(&traffic->topics[i], target->run, i);
    build_publishers(traffic);
    if (posix_memalign((void **)&traffic->workers, CACHE_LINE,
                       traffic->worker_count * sizeof(struct traffic_worker)) != 0) {
        fprintf(stderr, "smqbench: out of memory\n");
        return false;
    }
    memset(traffic->workers, 0, traffic->worker_count * sizeof(struct traffic_worker));
    deal_out_clients(traffic);
    return true;
}

/* Make the head that @client_index needs to send to @topic_index. */
MUST_CHECK static bool head_make(struct traffic *traffic, uint32_t client_index,
                                 uint32_t topic_index, struct head *head)
{
    uint32_t topic_id =
        atomic_load_explicit(&traffic->topic_ids[topic_index], memory_order_relaxed);

    if (traffic->protocol->has_self_address && topic_id == 0) {
        fprintf(stderr, "smqbench: the broker gave no id for the topic %s\n",
                traffic->topics[topic_index].name);
        return false;
    }
    head->bytes_count =
        (uint8_t)traffic->protocol->publish_head(&traffic->clients[client_index].conn->wire,
                                                 &traffic->topics[topic_index], topic_id,
                                                 traffic->options->payload_bytes, head->bytes);
    return true;
}

bool traffic_make_heads(struct traffic *traffic)
{
    const struct plan *plan = &traffic->plan;
    uint32_t flow_count = plan_flow_count(plan);

    traffic->heads = array_new(flow_count, sizeof(struct head));
    traffic->reply_heads = array_new(plan->is_rpc ? flow_count : 0, sizeof(struct head));
    for (uint32_t i = 0; i < flow_count; i++) {
        uint32_t publisher_index = plan_flow_publisher(plan, i);
        uint32_t topic_index = plan_flow_topic(plan, i);

        if (!head_make(traffic, publisher_index, topic_index, &traffic->heads[i]))
            return false;
        /* In rpc a client's inbox has the client's number: the responder answers to flow i's. */
        if (plan->is_rpc &&
            !head_make(traffic, topic_index, publisher_index, &traffic->reply_heads[i]))
            return false;
    }
    return true;
}

void traffic_deinit(struct traffic *traffic)
{
    for (uint32_t i = 0; i < traffic->worker_count; i++) {
        worker_deinit(&traffic->workers[i].worker);
        free(traffic->workers[i].client_of_slot);
        free(traffic->workers[i].retries);
        free(traffic->workers[i].ready);
        free(traffic->workers[i].publishers);
    }
    for (uint32_t i = 0; i < traffic->plan.publisher_count; i++)
        free((void *)traffic->publishers[i].slots);
    free(traffic->workers);
    free(traffic->reply_heads);
    free(traffic->heads);
    free((void *)traffic->topic_ids);
    free(traffic->topics);
    free(traffic->tracks);
    free(traffic->flows);
    free(traffic->publishers);
    free(traffic->clients);
    *traffic = (struct traffic){0};
}
