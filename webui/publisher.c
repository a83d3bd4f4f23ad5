/* webui/publisher.c — see webui/publisher.h. Thread: the web actor's. */
#include "webui/publisher.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/msg.h"

/* A message on `peers` has to fit into one Publish. */
#define JOINED_BYTES_MAX 45000u
#define LEFT_BYTES_MAX   20000u
static_assert(JOINED_BYTES_MAX + LEFT_BYTES_MAX + 100 < SMQ_PAYLOAD_BYTES_MAX,
              "both, and the rest");

static const uint32_t topic_ids[ADMIN_TOPIC_COUNT] = {
#define X(name, text, tid) [ADMIN_##name] = tid,
    ADMIN_TOPICS(X)
#undef X
};

static int64_t unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* -- publishing -- */

static bool is_wanted(const struct publisher *publisher, enum admin_topic topic)
{
    return publisher->topics[topic].subscriber_count > 0;
}

/* Publish the body and drop it. What cannot be said now (a full lane, no memory) is not said. */
static void publish(struct publisher *publisher, enum admin_topic topic, struct body *body)
{
    struct local_message message = {.destination = topic_ids[topic], .payload = body_span(body)};

    if (!body->failed && publisher->client.state == LOCAL_LIVE && is_wanted(publisher, topic) &&
        port_is_clear(publisher->client.port))
        (void)!local_client_publish(&publisher->client, &message);
    body_drop(body);
}

static void publish_stats(struct publisher *publisher)
{
    struct body body = body_of(publisher->mem);

    if (!is_wanted(publisher, ADMIN_STATS))
        return;
    stats_put(publisher->stats, publisher_tls(publisher), &body);
    publish(publisher, ADMIN_STATS, &body);
}

/* -- events -- */

static void put_event(struct body *body, int64_t t_ms, enum log_level level, struct span name,
                      struct span text)
{
    static const char *const levels[] = {[LOG_LEVEL_ERROR] = "error",
                                         [LOG_LEVEL_WARNING] = "warning",
                                         [LOG_LEVEL_INFO] = "info",
                                         [LOG_LEVEL_DEBUG] = "debug"};

    must(level < COUNT_OF(levels));
    body_printf(body, "{\"t\":%lld,\"level\":\"%s\",\"name\":", (long long)t_ms, levels[level]);
    body_put_json(body, name);
    body_put_text(body, ",\"text\":");
    body_put_json(body, text);
    body_put_text(body, "}\n");
}

/* Its message: the name, a zero, the text. */
static void on_event(struct publisher *publisher, const struct envelope *envelope)
{
    struct span text = msg_span(envelope->msg);
    struct body body = body_of(publisher->mem);

    publisher->event_missed_count += envelope->count;
    if (publisher->event_count == PUBLISHER_EVENTS_A_SECOND) {
        publisher->event_missed_count++;
        return;
    }
    publisher->event_count++;
    size_t name_bytes = strnlen((const char *)text.data, text.bytes_count);

    must(name_bytes < text.bytes_count);
    put_event(&body, (int64_t)envelope->hash, (enum log_level)envelope->status,
              span_of(text.data, name_bytes), span_skip(text, name_bytes + 1));
    publish(publisher, ADMIN_EVENTS, &body);
}

static void say_missed_events(struct publisher *publisher)
{
    static const char name[] = "events.left_out";
    struct body body = body_of(publisher->mem);
    char text[32];

    publisher->event_count = 0;
    if (publisher->event_missed_count == 0)
        return;
    int length = snprintf(text, sizeof(text), "count=%llu",
                          (unsigned long long)publisher->event_missed_count);

    publisher->event_missed_count = 0;
    put_event(&body, unix_ms(), LOG_LEVEL_INFO, span_of(name, sizeof(name) - 1),
              span_of(text, (size_t)length));
    publish(publisher, ADMIN_EVENTS, &body);
}

/* -- peers -- */

static void gather(struct publisher *publisher, const struct envelope *envelope, struct body *into,
                   size_t bytes_max)
{
    struct span rows = envelope->msg ? msg_span(envelope->msg) : span_of(NULL, 0);

    publisher->peer_missed_count += envelope->id;
    if (rows.bytes_count == 0)
        return;
    if (body_bytes(into) + rows.bytes_count + 1 > bytes_max) {
        publisher->peer_missed_count += envelope->count;
        return;
    }
    if (body_bytes(into) > 0)
        body_put_text(into, ",");
    body_put(into, rows);
}

static void publish_peers(struct publisher *publisher)
{
    struct body body = body_of(publisher->mem);

    if (body_bytes(&publisher->joined) + body_bytes(&publisher->left) == 0 &&
        publisher->peer_missed_count == 0)
        return;
    body_put_text(&body, "{\"joined\":[");
    body_put(&body, body_span(&publisher->joined));
    body_put_text(&body, "],\"left\":[");
    body_put(&body, body_span(&publisher->left));
    body_printf(&body, "],\"missed\":%llu}\n", (unsigned long long)publisher->peer_missed_count);
    body_drop(&publisher->joined);
    body_drop(&publisher->left);
    publisher->peer_missed_count = 0;
    publish(publisher, ADMIN_PEERS, &body);
}

/* -- taps -- */

static void tell_tap(struct publisher *publisher, struct conn_handle conn, bool is_on)
{
    port_push(publisher->client.port, conn.host_index,
              (struct envelope){.kind = ENVELOPE_TAP,
                                .flags = is_on ? ENVELOPE_ON : 0,
                                .conn = conn});
}

static struct publisher_tap *find_tap(struct publisher *publisher, struct conn_handle conn)
{
    for (uint32_t i = 0; i < PUBLISHER_TAPS_MAX; i++)
        if (conn_handle_equal(publisher->taps[i].conn, conn))
            return &publisher->taps[i];
    return NULL;
}

static void end_tap(struct publisher *publisher, struct publisher_tap *tap)
{
    tell_tap(publisher, tap->conn, false);
    *tap = (struct publisher_tap){0};
}

bool publisher_tap(struct publisher *publisher, struct conn_handle conn, bool is_on)
{
    struct publisher_tap *tap = find_tap(publisher, conn);

    must(conn.generation != 0);
    if (!is_on) {
        if (tap)
            end_tap(publisher, tap);
        return true;
    }
    if (!tap)
        tap = find_tap(publisher, (struct conn_handle){0});
    if (!tap)
        return false;
    tap->conn = conn;
    tap->end_ms = publisher->now_ms + PUBLISHER_TAP_MS;
    tell_tap(publisher, conn, true);
    return true;
}

static void begin_tapped(struct body *body, struct conn_handle conn)
{
    body_printf(body, "{\"id\":\"%u.%u.%u\",\"t\":%lld", conn.host_index, conn.slot_index,
                conn.generation, (long long)unix_ms());
}

static void publish_tapped(struct publisher *publisher, const struct envelope *envelope,
                           struct span frame)
{
    struct body body = body_of(publisher->mem);
    struct span payload = span_skip(frame, SMQ_PUBLISH_HEADER_BYTES);

    begin_tapped(&body, envelope->conn);
    body_printf(&body,
                ",\"dir\":\"%s\",\"tid\":%u,\"ptid\":%u,\"stid\":%u,\"topic\":null,"
                "\"bytes\":%zu,\"data\":\"",
                envelope->flags & ENVELOPE_OUT ? "out" : "in",
                smq_load_u32(frame.data + SMQ_HEADER_BYTES),
                smq_load_u32(frame.data + SMQ_HEADER_BYTES + 4),
                smq_load_u32(frame.data + SMQ_HEADER_BYTES + 8), payload.bytes_count);
    payload.bytes_count = min_size(payload.bytes_count, PUBLISHER_TAPPED_BYTES);
    body_put_base64(&body, payload);
    body_put_text(&body, "\"}\n");
    publish(publisher, ADMIN_TAP, &body);
}

static void on_tapped(struct publisher *publisher, const struct envelope *envelope)
{
    struct publisher_tap *tap = find_tap(publisher, envelope->conn);

    if (!tap)
        return; /* it has ended meanwhile */
    tap->missed_count += envelope->id;
    for (struct span rest = msg_span(envelope->msg); rest.bytes_count > 0;) {
        size_t frame_bytes = smq_load_u16(rest.data);

        must(frame_bytes >= SMQ_PUBLISH_HEADER_BYTES && frame_bytes <= rest.bytes_count);
        if (publisher->tapped_count == PUBLISHER_TAPPED_A_SECOND) {
            tap->missed_count++;
        } else {
            publisher->tapped_count++;
            publish_tapped(publisher, envelope, span_of(rest.data, frame_bytes));
        }
        rest = span_skip(rest, frame_bytes);
    }
}

static void tick_taps(struct publisher *publisher)
{
    publisher->tapped_count = 0;
    for (uint32_t i = 0; i < PUBLISHER_TAPS_MAX; i++) {
        struct publisher_tap *tap = &publisher->taps[i];
        struct body body = body_of(publisher->mem);

        if (tap->conn.generation == 0)
            continue;
        if (tap->missed_count > 0) {
            begin_tapped(&body, tap->conn);
            body_printf(&body, ",\"missed\":%llu}\n", (unsigned long long)tap->missed_count);
            tap->missed_count = 0;
            publish(publisher, ADMIN_TAP, &body);
        }
        if (publisher->now_ms >= tap->end_ms)
            end_tap(publisher, tap);
    }
}

/* -- who subscribes -- */

static void tell_report(struct publisher *publisher, uint32_t actor, bool is_on)
{
    port_push(publisher->client.port, actor,
              (struct envelope){.kind = ENVELOPE_REPORT, .flags = is_on ? ENVELOPE_ON : 0});
}

/* The first subscriber of a topic has come, or the last one has gone. */
static void wanted_changed(struct publisher *publisher, enum admin_topic topic)
{
    const struct mesh *mesh = publisher->client.port->mesh;
    bool is_on = is_wanted(publisher, topic);

    switch (topic) {
    case ADMIN_STATS:
        publish_stats(publisher);
        return;
    case ADMIN_EVENTS:
        publisher->event_missed_count = 0;
        tell_report(publisher, mesh_control_index(mesh), is_on);
        return;
    case ADMIN_PEERS:
        body_drop(&publisher->joined);
        body_drop(&publisher->left);
        publisher->peer_missed_count = 0;
        for (uint32_t i = 0; i < mesh->io_count; i++)
            tell_report(publisher, i, is_on);
        return;
    case ADMIN_TAP:
        for (uint32_t i = 0; !is_on && i < PUBLISHER_TAPS_MAX; i++)
            if (publisher->taps[i].conn.generation != 0)
                end_tap(publisher, &publisher->taps[i]);
        return;
    case ADMIN_TOPIC_COUNT:
        break;
    }
    must_never("an unknown topic");
}

static void set_subscribers(struct publisher *publisher, enum admin_topic topic, uint32_t count)
{
    bool was_wanted = is_wanted(publisher, topic);

    publisher->topics[topic].subscriber_count = count;
    if (was_wanted != is_wanted(publisher, topic))
        wanted_changed(publisher, topic);
}

/* -- the client's calls -- */

static void observe_topics(struct publisher *publisher)
{
    for (uint32_t i = 0; i < ADMIN_TOPIC_COUNT; i++) {
        if (publisher->topics[i].is_asked)
            continue;
        publisher->topics[i].is_asked = true;
        local_client_observe(&publisher->client, topic_ids[i]);
    }
}

static void on_connected(void *context, enum smq_connack code)
{
    if (code == SMQ_CONNACK_ACCEPTED)
        observe_topics(context);
}

static void on_ended(void *context)
{
    struct publisher *publisher = context;

    for (uint32_t i = 0; i < ADMIN_TOPIC_COUNT; i++) { /* the next tick connects again */
        set_subscribers(publisher, (enum admin_topic)i, 0);
        publisher->topics[i].is_asked = false;
    }
}

static void on_named(void *context, enum local_ask ask, enum smq_ack_status status, uint32_t id,
                     struct span name)
{
    (void)context;
    (void)ask;
    (void)status;
    (void)id;
    (void)name;
    must_never("it asks for no name");
}

static void on_observed(void *context, uint32_t id, bool granted)
{
    struct publisher *publisher = context;

    for (uint32_t i = 0; i < ADMIN_TOPIC_COUNT; i++)
        if (topic_ids[i] == id)
            publisher->topics[i].is_asked = granted; /* no memory: the next tick asks again */
}

static void on_changed(void *context, uint32_t id, uint32_t subscriber_count)
{
    struct publisher *publisher = context;

    for (uint32_t i = 0; i < ADMIN_TOPIC_COUNT; i++)
        if (topic_ids[i] == id)
            set_subscribers(publisher, (enum admin_topic)i, subscriber_count);
}

static void on_message(void *context, const struct local_message *message)
{
    (void)context; /* nobody has anything to say to it */
    (void)message;
}

static const struct local_client_calls calls = {.connected = on_connected,
                                                .ended = on_ended,
                                                .named = on_named,
                                                .observed = on_observed,
                                                .changed = on_changed,
                                                .message = on_message};

/* -- for the web actor -- */

void publisher_init(struct publisher *publisher, const struct publisher_options *options)
{
    struct local_client_options client = {.config = options->config,
                                          .port = options->port,
                                          .mem = options->mem,
                                          .name_key = options->name_key,
                                          .instance_index = options->instance_index,
                                          .calls = &calls,
                                          .context = publisher};

    *publisher = (struct publisher){.mem = options->mem, .stats = options->stats};
    publisher->joined = body_of(options->mem);
    publisher->left = body_of(options->mem);
    local_client_init(&publisher->client, &client);
}

void publisher_stop(struct publisher *publisher)
{
    local_client_close(&publisher->client);
}

void publisher_deinit(struct publisher *publisher)
{
    if (publisher->client.state != LOCAL_CLOSED)
        publisher_stop(publisher);
    local_client_deinit(&publisher->client);
    body_drop(&publisher->joined);
    body_drop(&publisher->left);
    msg_unref(publisher->mem, publisher->tls);
    publisher->tls = NULL;
}

struct span publisher_tls(const struct publisher *publisher)
{
    return publisher->tls ? msg_span(publisher->tls) : span_of(NULL, 0);
}

void publisher_tick(struct publisher *publisher, int64_t now_ms)
{
    static const char uid[] = "smqd";
    static const char info[] = "the broker's own figures";

    publisher->now_ms = now_ms;
    if (publisher->client.state == LOCAL_CLOSED)
        (void)!local_client_connect(&publisher->client, span_of(uid, sizeof(uid) - 1),
                                    span_of(info, sizeof(info) - 1), /* is_server */ true);
    else if (publisher->client.state == LOCAL_LIVE)
        observe_topics(publisher);
    publish_stats(publisher);
    say_missed_events(publisher);
    publish_peers(publisher);
    tick_taps(publisher);
}

void publisher_envelope(struct publisher *publisher, const struct envelope *envelope)
{
    switch (envelope->kind) {
    case ENVELOPE_EVENT:
        on_event(publisher, envelope);
        return;
    case ENVELOPE_JOINED:
        gather(publisher, envelope, &publisher->joined, JOINED_BYTES_MAX);
        return;
    case ENVELOPE_LEFT:
        gather(publisher, envelope, &publisher->left, LEFT_BYTES_MAX);
        return;
    case ENVELOPE_TAPPED:
        on_tapped(publisher, envelope);
        return;
    case ENVELOPE_TLS_FACTS:
        msg_unref(publisher->mem, publisher->tls);
        publisher->tls = msg_ref(envelope->msg);
        return;
    default:
        local_client_envelope(&publisher->client, envelope);
    }
}
