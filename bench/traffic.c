/*
 * bench/traffic.c — what a worker does with its connections: subscribe, publish, count.
 *
 * Thread: the worker's, all of it. Main is in bench/traffic_run.c.
 */
#include "bench/traffic.h"

#include <stdarg.h>
#include <stdio.h>

#include "bench/clock.h"
#include "bench/stamp.h"

#define RATE_TURN_COUNT_MAX 4096u      /* messages started in one turn */
#define FILL_BYTES_MAX      (4u << 20) /* what a publisher may queue at a fixed rate */
#define FILL_RETRY_NS       NS_PER_MS  /* look again after so long when it is full */
#define NO_DEADLINE         UINT64_MAX

static struct traffic_worker *traffic_worker_of(struct worker *worker)
{
    return worker->context;
}

void traffic_fail(struct traffic *traffic, const char *format, ...)
{
    va_list arguments;

    pthread_mutex_lock(&traffic->failure_mutex);
    if (!atomic_load(&traffic->is_failed)) {
        va_start(arguments, format);
        (void)vsnprintf(traffic->failure, sizeof(traffic->failure), format, arguments);
        va_end(arguments);
        atomic_store(&traffic->is_failed, true);
    }
    pthread_mutex_unlock(&traffic->failure_mutex);
}

/* -- connecting and subscribing -- */

static void open_more(struct traffic_worker *tw)
{
    uint32_t opening_count_max = tw->traffic->options->opening_count;

    while (tw->opened_count < tw->worker.conn_count &&
           tw->opened_count - tw->settled_count < opening_count_max) {
        uint32_t slot_index = tw->opened_count++;

        conn_open(&tw->worker.conns[slot_index], tw->client_of_slot[slot_index]);
    }
}

/* Turned away: as a device does, try again after a pause. It is the same for all, so the first to
 * leave is the first to come back. */
static void retry_later(struct traffic_worker *tw, const struct conn *conn)
{
    uint32_t at = (tw->retry_first + tw->retry_count) % tw->worker.conn_count;
    uint64_t pause_ns = (uint64_t)(tw->traffic->options->retry_seconds * 1e9);

    must(tw->retry_count < tw->worker.conn_count);
    tw->retries[at] = (struct retry){clock_now_ns() + pause_ns, conn->slot_index};
    tw->retry_count++;
    tw->retried_count++;
}

/* Returns when the next one is due, ns. */
static uint64_t retry_due(struct traffic_worker *tw)
{
    uint64_t now_ns = clock_now_ns();

    while (tw->retry_count > 0 && tw->retries[tw->retry_first].due_ns <= now_ns) {
        uint32_t slot_index = tw->retries[tw->retry_first].slot_index;

        tw->retry_first = (tw->retry_first + 1) % tw->worker.conn_count;
        tw->retry_count--;
        conn_open(&tw->worker.conns[slot_index], tw->client_of_slot[slot_index]);
    }
    return tw->retry_count > 0 ? tw->retries[tw->retry_first].due_ns : NO_DEADLINE;
}

static void settle(struct traffic_worker *tw, struct client *client)
{
    must(!client->is_settled);
    client->is_settled = true;
    tw->settled_count++;
}

static void on_ready(struct traffic_worker *tw, struct conn *conn)
{
    struct traffic *traffic = tw->traffic;
    uint32_t client_index = conn->wire.client_index;
    struct client *client = &traffic->clients[client_index];
    const struct plan *plan = &traffic->plan;
    uint32_t nth = 0;

    if (plan->is_rpc && traffic->protocol->has_self_address &&
        client_index < plan->publisher_count + plan->subscriber_count) {
        uint32_t inbox_index = plan_client_topic(plan, client_index, 0);

        atomic_store_explicit(&traffic->topic_ids[inbox_index], conn->wire.self_id,
                              memory_order_relaxed);
        settle(tw, client);
        return;
    }
    for (;;) {
        uint32_t topic_index = plan_client_topic(plan, client_index, nth);

        if (topic_index == PLAN_NONE)
            break;
        traffic->protocol->subscribe(&conn->wire, &conn->fill, &traffic->topics[topic_index]);
        nth++;
    }
    client->acks_due_count = nth;
    if (nth == 0)
        settle(tw, client);
    else
        conn_send_later(conn);
}

static void on_subscribed(struct traffic_worker *tw, struct conn *conn,
                          const struct wire_event *event)
{
    struct traffic *traffic = tw->traffic;
    struct client *client = &traffic->clients[conn->wire.client_index];

    if (event->topic_name.data != NULL) {
        uint32_t topic_index = wire_topic_index(event->topic_name);

        if (topic_index >= plan_topic_count(&traffic->plan)) {
            traffic_fail(traffic, "the broker confirmed a topic nobody asked for");
            return;
        }
        atomic_store_explicit(&traffic->topic_ids[topic_index], event->topic_id,
                              memory_order_relaxed);
    }
    if (client->acks_due_count == 0) {
        traffic_fail(traffic, "the broker confirmed more subscriptions than were asked for");
        return;
    }
    client->acks_due_count--;
    if (client->acks_due_count == 0)
        settle(tw, client);
}

/* -- publishing -- */

/* Append one message to @conn's output. O(payload). */
static void message_append(struct conn *conn, const struct head *head, const struct stamp *stamp,
                           uint32_t payload_bytes)
{
    const struct wire_protocol *protocol = conn->worker->protocol;
    /* The head is copied with its constant size, because that is a few vector moves where its real
     * length would be a string instruction; the payload then covers what was too much. */
    uint8_t *at = buffer_extend(&conn->fill, WIRE_HEAD_BYTES_MAX + (size_t)payload_bytes +
                                                 protocol->publish_tail_bytes);

    conn->fill.bytes_count -= WIRE_HEAD_BYTES_MAX - head->bytes_count;
    memcpy(at, head->bytes, WIRE_HEAD_BYTES_MAX);
    at += head->bytes_count;
    stamp_write(at, stamp);
    memset(at + STAMP_BYTES, 'x', payload_bytes - STAMP_BYTES);
    at += payload_bytes;
    if (protocol->publish_tail_bytes > 0)
        memcpy(at, protocol->publish_tail, protocol->publish_tail_bytes);
    conn_send_later(conn);
}

/* Send the next message of a publisher, whose turn of flows moves on. */
static void publish(struct traffic_worker *tw, uint32_t publisher_index, uint32_t slot_index,
                    uint64_t sent_ns)
{
    struct traffic *traffic = tw->traffic;
    struct publisher *publisher = &traffic->publishers[publisher_index];
    uint32_t flow_index =
        publisher->flow_first + publisher->flow_turn * traffic->plan.publisher_count;
    struct flow *flow = &traffic->flows[flow_index];
    struct stamp stamp = {
        .magic = STAMP_MAGIC,
        .run = traffic->worker_options.target.run,
        .publisher_index = publisher_index,
        .flow_index = flow_index,
        .number = flow->sent_count++,
        .sent_ns = sent_ns,
        .slot_index = slot_index,
    };

    message_append(traffic->clients[publisher_index].conn, &traffic->heads[flow_index], &stamp,
                   traffic->options->payload_bytes);
    if (++publisher->flow_turn == publisher->flow_count)
        publisher->flow_turn = 0;
    tw->published_count++;
    tw->expected_count += flow->receiver_count;
    if (tw->phase == PHASE_MEASURE)
        publisher->measured_count++;
}

/* The receivers of the flow whose turn it is. */
static uint32_t next_receiver_count(const struct traffic *traffic,
                                    const struct publisher *publisher)
{
    uint32_t flow_index =
        publisher->flow_first + publisher->flow_turn * traffic->plan.publisher_count;

    return traffic->flows[flow_index].receiver_count;
}

/* Send as much as the window allows. */
static void publish_window(struct traffic_worker *tw, uint32_t publisher_index)
{
    struct publisher *publisher = &tw->traffic->publishers[publisher_index];
    uint32_t window = tw->traffic->options->window;
    uint64_t now_ns = clock_now_ns();

    while (publisher->left_count > 0) {
        _Atomic uint32_t *slot = &publisher->slots[publisher->slot_next];

        if (atomic_load_explicit(slot, memory_order_acquire) > 0)
            return; /* the last delivery of that message makes us ready again */
        atomic_store_explicit(slot, next_receiver_count(tw->traffic, publisher),
                              memory_order_relaxed);
        publish(tw, publisher_index, publisher->slot_next, now_ns);
        publisher->left_count--;
        if (++publisher->slot_next == window)
            publisher->slot_next = 0;
    }
}

static void ready_push(struct traffic_worker *tw, uint32_t publisher_index)
{
    struct publisher *publisher = &tw->traffic->publishers[publisher_index];

    if (publisher->is_ready)
        return;
    publisher->is_ready = true;
    tw->ready[tw->ready_count++] = publisher_index;
}

/* Move what other workers handed over onto our own list. */
static void handed_over_take(struct traffic_worker *tw)
{
    if (atomic_load_explicit(&tw->handed_over, memory_order_relaxed) == PLAN_NONE)
        return;
    uint32_t publisher_index =
        atomic_exchange_explicit(&tw->handed_over, PLAN_NONE, memory_order_acquire);

    while (publisher_index != PLAN_NONE) {
        struct publisher *publisher = &tw->traffic->publishers[publisher_index];
        uint32_t next = publisher->handed_next;

        /* Cleared before we look at the window: a slot freed later hands it over again. */
        atomic_store(&publisher->is_handed_over, false);
        ready_push(tw, publisher_index);
        publisher_index = next;
    }
}

/* A publisher of another worker has room again. */
static void hand_over(struct traffic_worker *tw, uint32_t publisher_index)
{
    struct publisher *publisher = &tw->traffic->publishers[publisher_index];
    struct traffic_worker *owner = &tw->traffic->workers[publisher->worker_index];

    if (atomic_exchange(&publisher->is_handed_over, true))
        return;
    uint32_t first = atomic_load_explicit(&owner->handed_over, memory_order_relaxed);
    do
        publisher->handed_next = first;
    while (!atomic_compare_exchange_weak(&owner->handed_over, &first, publisher_index));
    tw->wake_mask |= 1ull << publisher->worker_index;
}

/* One receiver got the message in this slot, or will never get it. */
static void slot_count_down(struct traffic_worker *tw, uint32_t publisher_index,
                            uint32_t slot_index)
{
    struct publisher *publisher = &tw->traffic->publishers[publisher_index];
    _Atomic uint32_t *slot = &publisher->slots[slot_index];

    if (tw->traffic->worker_count == 1) { /* nobody else: spare the locked instruction */
        uint32_t left_count = atomic_load_explicit(slot, memory_order_relaxed) - 1;

        atomic_store_explicit(slot, left_count, memory_order_relaxed);
        if (left_count == 0)
            ready_push(tw, publisher_index);
        return;
    }
    if (atomic_fetch_sub_explicit(slot, 1, memory_order_acq_rel) > 1)
        return;
    if (publisher->worker_index == tw->worker.index)
        ready_push(tw, publisher_index);
    else
        hand_over(tw, publisher_index);
}

/* Messages before @number of this flow did not come: free their slots, or the publisher would wait
 * for them for ever and the run would measure its own stall. They still count as lost. */
static void slots_free_gap(struct traffic_worker *tw, const struct stamp *stamp,
                           uint64_t missing_count)
{
    const struct plan *plan = &tw->traffic->plan;
    const struct publisher *publisher = &tw->traffic->publishers[stamp->publisher_index];
    uint32_t window = tw->traffic->options->window;
    uint64_t flow_turn = stamp->flow_index / plan->publisher_count;

    if (missing_count > window)
        missing_count = window; /* more cannot have been outstanding */
    for (uint64_t i = 1; i <= missing_count; i++) {
        /* Flows take turns, so the publisher's count of messages gives the slot. */
        uint64_t sent_before = (stamp->number - i) * publisher->flow_count + flow_turn;

        slot_count_down(tw, stamp->publisher_index, (uint32_t)(sent_before % window));
    }
}

/* When message number @number of the whole run is due, ns. */
static uint64_t rate_due_ns(const struct traffic *traffic, uint64_t number)
{
    uint64_t rate = traffic->options->rate;

    return traffic->start_ns + number / rate * NS_PER_S + number % rate * NS_PER_S / rate;
}

/* Send all that is due. Publishers take turns in their order, so worker and publisher of message
 * k are known without a queue of timers. Returns when the next one is due, ns. */
static uint64_t publish_rate(struct traffic_worker *tw)
{
    struct traffic *traffic = tw->traffic;
    uint64_t now_ns = clock_now_ns();

    if (tw->publisher_count == 0)
        return NO_DEADLINE;
    for (uint32_t count = 0;; count++) {
        uint32_t publisher_index = tw->publishers[tw->rate_turn];
        struct conn *conn = traffic->clients[publisher_index].conn;
        uint64_t due_ns =
            rate_due_ns(traffic, tw->rate_round * traffic->plan.publisher_count + publisher_index);

        tw->behind_ns = now_ns > due_ns ? now_ns - due_ns : 0;
        if (due_ns > now_ns || count == RATE_TURN_COUNT_MAX)
            return due_ns;
        if (conn->fill.bytes_count > FILL_BYTES_MAX)
            return now_ns + FILL_RETRY_NS; /* the broker does not read; the message stays due */
        publish(tw, publisher_index, 0, due_ns);
        if (++tw->rate_turn == tw->publisher_count) {
            tw->rate_turn = 0;
            tw->rate_round++;
        }
    }
}

/* -- receiving -- */

/* rpc, at the responder: send the payload back to who asked. */
static void answer(struct traffic_worker *tw, struct conn *conn, const struct stamp *stamp)
{
    message_append(conn, &tw->traffic->reply_heads[stamp->flow_index], stamp,
                   tw->traffic->options->payload_bytes);
}

static void count_delivery(struct traffic_worker *tw, struct sequence *track,
                           const struct stamp *stamp)
{
    bool is_windowed = tw->traffic->options->rate == 0;
    uint64_t missing_before = track->missing_count;
    uint64_t now_ns = tw->worker.now_ns;

    switch (sequence_take(track, stamp->number)) {
    case SEQUENCE_REPEATED:
        tw->repeated_count++;
        return;
    case SEQUENCE_LATE: /* its slot was freed when it was missed */
        tw->reordered_count++;
        tw->delivered_count++;
        return;
    case SEQUENCE_IN_ORDER:
        break;
    }
    tw->delivered_count++;
    if (tw->phase == PHASE_MEASURE)
        histogram_record(&tw->latency, now_ns > stamp->sent_ns ? now_ns - stamp->sent_ns : 0);
    if (!is_windowed)
        return;
    if (track->missing_count > missing_before)
        slots_free_gap(tw, stamp, track->missing_count - missing_before);
    slot_count_down(tw, stamp->publisher_index, stamp->slot_index);
}

static void on_message(struct traffic_worker *tw, struct conn *conn, struct span payload)
{
    struct traffic *traffic = tw->traffic;
    const struct plan *plan = &traffic->plan;
    uint32_t client_index = conn->wire.client_index;
    struct stamp stamp;

    if (!stamp_read(payload, traffic->worker_options.target.run, &stamp) ||
        payload.bytes_count != traffic->options->payload_bytes ||
        stamp.flow_index >= plan_flow_count(plan) || stamp.slot_index >= traffic->options->window ||
        stamp.publisher_index != plan_flow_publisher(plan, stamp.flow_index)) {
        tw->foreign_count++;
        return;
    }
    if (plan->is_rpc && client_index >= plan->publisher_count) {
        answer(tw, conn, &stamp);
        return;
    }
    if (plan_client_is_stopped(plan, client_index))
        return; /* nobody waits for it, and it is expected to lose */
    uint32_t track_index = plan_track_index(plan, client_index, stamp.flow_index);
    if (track_index == PLAN_NONE) {
        tw->foreign_count++;
        return;
    }
    count_delivery(tw, &traffic->tracks[track_index], &stamp);
}

/* -- hooks -- */

static void traffic_event(struct conn *conn, const struct wire_event *event)
{
    struct traffic_worker *tw = traffic_worker_of(conn->worker);

    switch (event->kind) {
    case WIRE_MESSAGE:
        on_message(tw, conn, event->payload);
        return;
    case WIRE_READY:
        on_ready(tw, conn);
        return;
    case WIRE_SUBSCRIBED:
        on_subscribed(tw, conn, event);
        return;
    case WIRE_PONG:
    case WIRE_NOTHING:
    case WIRE_NEED_MORE:
    case WIRE_REFUSED:
        return;
    }
}

/* Why a connection ended; the first reason is kept. */
static void note_reason(struct traffic *traffic, const struct conn *conn)
{
    pthread_mutex_lock(&traffic->failure_mutex);
    if (traffic->closed_reason[0] == '\0')
        snprintf(traffic->closed_reason, sizeof(traffic->closed_reason), "%s", conn->reason);
    pthread_mutex_unlock(&traffic->failure_mutex);
}

static void traffic_gone(struct conn *conn)
{
    struct traffic_worker *tw = traffic_worker_of(conn->worker);
    struct traffic *traffic = tw->traffic;
    uint32_t client_index = conn->wire.client_index;

    if (tw->phase == PHASE_SETUP && traffic->options->retry_seconds > 0 &&
        !traffic->clients[client_index].is_settled) {
        note_reason(traffic, conn);
        retry_later(tw, conn);
        return;
    }
    traffic->clients[client_index].is_closed = true;
    if (tw->phase == PHASE_SETUP) {
        traffic_fail(traffic, "connection %u: %s", client_index + 1, conn->reason);
        return;
    }
    if (plan_client_is_stopped(&traffic->plan, client_index)) {
        tw->stopped_closed_count++;
        return;
    }
    if (client_index < traffic->plan.publisher_count)
        tw->publishers_closed_count++;
    else
        tw->closed_count++;
    note_reason(traffic, conn);
}

/* Once for each phase, when this worker first sees it. */
static void phase_begin(struct traffic_worker *tw, enum phase phase)
{
    struct traffic *traffic = tw->traffic;
    enum phase before = tw->phase;

    tw->phase = phase;
    if (before < PHASE_WARMUP && phase >= PHASE_WARMUP && traffic->options->rate == 0) {
        for (uint32_t i = 0; i < tw->publisher_count; i++)
            ready_push(tw, tw->publishers[i]);
    }
    if (before < PHASE_MEASURE && phase >= PHASE_MEASURE && traffic->plan.stopped_count > 0) {
        for (uint32_t i = 0; i < tw->worker.conn_count; i++) {
            if (plan_client_is_stopped(&traffic->plan, tw->client_of_slot[i]))
                conn_stop_reading(&tw->worker.conns[i]);
        }
    }
}

static void counters_show(struct traffic_worker *tw)
{
    atomic_store_explicit(&tw->published_shown, tw->published_count, memory_order_relaxed);
    atomic_store_explicit(&tw->expected_shown, tw->expected_count, memory_order_relaxed);
    atomic_store_explicit(&tw->delivered_shown, tw->delivered_count, memory_order_relaxed);
    atomic_store_explicit(&tw->settled_shown, tw->settled_count, memory_order_release);
    atomic_store_explicit(&tw->phase_shown, tw->phase, memory_order_release);
}

static void wake_others(struct traffic_worker *tw)
{
    while (tw->wake_mask != 0) {
        uint32_t index = (uint32_t)__builtin_ctzll(tw->wake_mask);

        tw->wake_mask &= tw->wake_mask - 1;
        worker_wake(&tw->traffic->workers[index].worker);
    }
}

static uint64_t traffic_turn(struct worker *worker)
{
    struct traffic_worker *tw = traffic_worker_of(worker);
    enum phase phase = (enum phase)atomic_load_explicit(&tw->traffic->phase, memory_order_acquire);
    uint64_t deadline_ns = NO_DEADLINE;

    if (phase != tw->phase)
        phase_begin(tw, phase);
    if (phase == PHASE_SETUP) {
        deadline_ns = retry_due(tw);
        open_more(tw);
    }
    handed_over_take(tw);
    if (phase == PHASE_WARMUP || phase == PHASE_MEASURE) {
        if (tw->traffic->options->rate > 0)
            deadline_ns = publish_rate(tw);
        for (uint32_t i = 0; i < tw->ready_count; i++) {
            tw->traffic->publishers[tw->ready[i]].is_ready = false;
            publish_window(tw, tw->ready[i]);
        }
        tw->ready_count = 0;
    }
    wake_others(tw);
    counters_show(tw);
    return deadline_ns;
}

static bool traffic_has_work(struct worker *worker)
{
    struct traffic_worker *tw = traffic_worker_of(worker);

    return atomic_load(&tw->handed_over) != PLAN_NONE;
}

const struct worker_hooks traffic_hooks = {
    .event = traffic_event,
    .gone = traffic_gone,
    .turn = traffic_turn,
    .has_work = traffic_has_work,
};
