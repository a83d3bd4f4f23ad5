/* tests/unit/net/little_broker.c — see tests/unit/net/little_broker.h. Thread: one. */
#include "tests/unit/net/little_broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/msg.h"
#include "net/detour.h"
#include "net/smq_codec.h"

#define ROUNDS_MAX 10000u /* a settling that takes longer never ends */

/* -- life -- */

void little_config(struct little_broker *broker)
{
    memset(broker, 0, sizeof(*broker));
    broker->io_count = broker->shard_count = 1;
    broker->pins[0] = (struct config_pin){.name = (char *)(uintptr_t) "pinned", .id = 42};
    broker->pins[1] = (struct config_pin){.name = (char *)(uintptr_t) "subpinned", .id = 7};
    broker->instances[0] = (struct config_instance){.path = (char *)(uintptr_t) "/a",
                                                    .topics = &broker->pins[0],
                                                    .topic_count = 1,
                                                    .subtopics = &broker->pins[1],
                                                    .subtopic_count = 1};
    broker->instances[1] = (struct config_instance){.path = (char *)(uintptr_t) "/b"};
    broker->config = (struct config){.instances = broker->instances,
                                     .instance_count = 2,
                                     .lane_slot_count = 64,
                                     .keepalive_idle_ms = 60000,
                                     .keepalive_answer_ms = 10000,
                                     .limits = {.connection_count_max = 1000,
                                                .handshake_count_max = 1000,
                                                .page_count_max = 16,
                                                .handshake_timeout_ms = 4000,
                                                .topics_per_client_max = 1000,
                                                .pending_per_client_max = 8192,
                                                .pending_per_instance_max = 1000,
                                                .frame_timeout_ms = 600000,
                                                .topics_per_instance_max = 1000,
                                                .topics_max = 1000,
                                                .subscriptions_per_client_max = 1000,
                                                .subscriptions_per_instance_max = 1000,
                                                .subscriptions_max = 1000,
                                                .observations_per_client_max = 1000,
                                                .subtopics_per_instance_max = 1000,
                                                .frame_bytes_max = SMQ_FRAME_BYTES_MAX,
                                                .name_bytes_max = 200,
                                                .queue_bytes_max = 256 * 1024,
                                                .memory_bytes_max = 64 << 20}};
}

static void *lines_of(size_t count, size_t bytes)
{
    void *block = aligned_alloc(CACHE_LINE, count * bytes);

    must(block && bytes % CACHE_LINE == 0);
    memset(block, 0, count * bytes);
    return block;
}

static void lay_out(struct little_broker *broker)
{
    uint32_t control = broker->io_count + broker->shard_count;

    for (uint32_t i = 0; i <= control; i++) {
        bool is_io = i < broker->io_count;
        bool is_shard = !is_io && i < control;

        must(parker_init(&broker->parkers[i]) == STATUS_OK);
        broker->parker_of[i] =
            &broker->parkers[is_shard && broker->inline_shards ? i - broker->io_count : i];
        broker->mem_of[i] = is_io      ? &broker->ios[i].mem
                            : is_shard ? &broker->shards[i - broker->io_count].mem
                                       : &broker->control_mem;
        mem_init(broker->mem_of[i], &broker->budget);
    }
}

/* Not a real one: that takes a library that unit tests must not link. */
static void fake_accept(const char *key, char accept[WS_ACCEPT_BYTES + 1])
{
    snprintf(accept, WS_ACCEPT_BYTES + 1, "%s+ok.", key);
}

void little_start(struct little_broker *broker)
{
    struct siphash_key name_key = {1, 2};

    log_set_level(LOG_LEVEL_ERROR); /* what peers do wrong here would fill the screen */
    must(broker->io_count <= LITTLE_IOS_MAX && broker->shard_count <= LITTLE_SHARDS_MAX);
    must(!broker->inline_shards || broker->io_count == broker->shard_count);
    mem_budget_init(&broker->budget, broker->config.limits.memory_bytes_max);
    broker->ios = lines_of(broker->io_count, sizeof(*broker->ios));
    broker->shards = lines_of(broker->shard_count, sizeof(*broker->shards));
    lay_out(broker);
    quotas_init(&broker->quotas, &broker->config);
    mesh_init(&broker->mesh, broker->io_count, broker->shard_count, broker->config.lane_slot_count,
              broker->parker_of, broker->mem_of);
    if (broker->has_script)
        hooks_begin(&broker->hooks[0], mesh_control_index(&broker->mesh), HOOKS_REFUSING);
    for (uint32_t i = 0; i < broker->shard_count; i++) {
        struct shard_options options = {.config = &broker->config,
                                        .mesh = &broker->mesh,
                                        .quotas = &broker->quotas,
                                        .name_key = name_key,
                                        .random_key = {3, i},
                                        .shard_index = i,
                                        .hooks = broker->has_script ? broker->hooks : NULL};
        must(shard_init(&broker->shards[i], &options) == STATUS_OK);
    }
    for (uint32_t i = 0; i < broker->io_count; i++) {
        struct io_options options = {.config = &broker->config,
                                     .mesh = &broker->mesh,
                                     .quotas = &broker->quotas,
                                     .name_key = name_key,
                                     .random_key = {4, i},
                                     .io_index = i,
                                     .slot_count_max = LITTLE_SLOTS,
                                     .ws_accept = fake_accept};

        if (broker->has_web)
            options.web_index = mesh_control_index(&broker->mesh);
        if (broker->has_script)
            options.hooks = broker->hooks;
        must(io_init(&broker->ios[i], &options, 1000) == STATUS_OK);
    }
}

static void everybody_leaves(struct little_broker *broker)
{
    for (uint32_t io = 0; io < broker->io_count; io++) {
        broker->ios[io].mem.fail_at = 0;
        for (uint32_t slot = 0; slot < LITTLE_SLOTS; slot++) {
            broker->wires[io][slot].holds = false;
            little_reset(broker, io, slot);
        }
    }
    for (uint32_t i = 0; i < broker->shard_count; i++)
        broker->shards[i].mem.fail_at = 0;
    little_settle(broker);
}

static void check_that_nothing_is_left(struct little_broker *broker)
{
    const struct quotas *quotas = &broker->quotas;
    uint64_t pinned_count = broker->instances[0].topic_count + broker->instances[1].topic_count;

    must(little_io_stat(broker, IO_STAT_OPEN) == 0);
    must(little_io_stat(broker, IO_STAT_LIVE) == 0);
    must(little_shard_stat(broker, SHARD_STAT_CLIENTS) == 0);
    must(little_shard_stat(broker, SHARD_STAT_SUBSCRIPTIONS) == 0);
    must(little_shard_stat(broker, SHARD_STAT_OBSERVATIONS) == 0);
    must(little_shard_stat(broker, SHARD_STAT_TOPICS) == pinned_count);
    must(quota_used(&quotas->connections) == 0);
    must(quota_used(&quotas->handshakes) == 0);
    must(quota_used(&quotas->topics) == 0);
    must(quota_used(&quotas->subscriptions) == 0);
    for (uint32_t i = 0; i < broker->config.instance_count; i++) {
        must(quota_used(&quotas->instances[i].topics) == 0);
        must(quota_used(&quotas->instances[i].subscriptions) == 0);
    }
}

static void check_memory(struct little_broker *broker)
{
    for (int kind = 0; kind < MEM_KIND_COUNT; kind++) {
        int64_t bytes = 0;

        for (uint32_t i = 0; i < broker->io_count + broker->shard_count + 1; i++)
            bytes += atomic_load(&broker->mem_of[i]->kind_bytes[kind]);
        must(bytes == 0);
    }
}

void little_stop(struct little_broker *broker)
{
    uint32_t actor_count = broker->mesh.actor_count;

    everybody_leaves(broker);
    msg_unref(&broker->control_mem, broker->request.msg);
    broker->request.msg = NULL;
    check_that_nothing_is_left(broker);
    for (uint32_t i = 0; i < broker->io_count; i++)
        io_deinit(&broker->ios[i]);
    for (uint32_t i = 0; i < broker->shard_count; i++)
        shard_deinit(&broker->shards[i]);
    mesh_deinit(&broker->mesh);
    quotas_deinit(&broker->quotas);
    check_memory(broker);
    for (uint32_t i = 0; i < actor_count; i++)
        parker_deinit(&broker->parkers[i]);
    for (uint32_t io = 0; io < broker->io_count; io++)
        for (uint32_t slot = 0; slot < LITTLE_SLOTS; slot++)
            free(broker->wires[io][slot].got);
    free(broker->rows);
    free(broker->ios);
    free(broker->shards);
}

/* -- the peer's end: everything that arrives is looked at -- */

static void note_id(struct little_broker *broker, uint32_t id)
{
    if (id != SMQ_ID_NONE)
        broker->ids[broker->id_count++ % LITTLE_IDS_MAX] = id;
}

/* Is this a frame that a server may send? Remember the id when it gives one out. */
static void check_frame(struct little_broker *broker, const uint8_t *frame, uint32_t bytes_count)
{
    static const uint8_t body_bytes_min[SMQ_PACKET_COUNT] = {
#define X(name, value, minimum, from) [value] = (from)&SMQ_FROM_SERVER ? (minimum) + 1 : 0,
        SMQ_PACKETS(X)
#undef X
    };
    uint8_t type = frame[SMQ_LENGTH_BYTES];

    must(type < SMQ_PACKET_COUNT && body_bytes_min[type] > 0);
    must(bytes_count - SMQ_HEADER_BYTES + 1 >= body_bytes_min[type]);
    if (type == SMQ_SUBACK || type == SMQ_CREATEACK || type == SMQ_CONNACK) {
        uint32_t id = smq_load_u32(frame + SMQ_HEADER_BYTES + 1);

        must((id == SMQ_ID_NONE) == (frame[SMQ_HEADER_BYTES] != 0)); /* refused: no id */
        note_id(broker, id);
    }
}

/* The HTTP answer in front: accepted or refused. Returns: is it whole? */
static bool skip_http(struct little_wire *wire)
{
    const uint8_t *end = memmem(wire->got, wire->got_bytes, "\r\n\r\n", 4);

    if (!end)
        return false;
    wire->read_bytes = (uint32_t)(end - wire->got) + 4;
    wire->hears_ws = memcmp(wire->got, "HTTP/1.1 101", 12) == 0;
    wire->hears_http = memcmp(wire->got, "HTTP/1.1 200", 12) != 0 && !wire->hears_ws;
    return true;
}

/* The next WebSocket frame; what it carries is seen as a raw frame, whose length bytes are not
 * looked at. Returns: was there one? */
static bool check_ws_frame(struct little_broker *broker, struct little_wire *wire)
{
    const uint8_t *frame = wire->got + wire->read_bytes;
    uint32_t left_bytes = wire->got_bytes - wire->read_bytes;

    if (left_bytes < 2 || (frame[1] == 126 && left_bytes < 4))
        return false;
    must(frame[1] <= 126); /* not masked, and no longer than a message of ours */
    uint32_t header_bytes = frame[1] < 126 ? 2 : 4;
    uint32_t payload_bytes = frame[1] < 126 ? frame[1] : smq_load_u16(frame + 2);

    must(header_bytes == 2 || payload_bytes >= 126);
    if (left_bytes < header_bytes + payload_bytes)
        return false;
    must(frame[0] == 0x82 || (frame[0] & 0xf0) == 0x80); /* whole, no extension */
    if (frame[0] == 0x82) {
        must(payload_bytes >= 1);
        const uint8_t *raw = frame + header_bytes - SMQ_LENGTH_BYTES;

        check_frame(broker, raw, payload_bytes + SMQ_LENGTH_BYTES);
        if (broker->on_frame)
            broker->on_frame(wire, raw, payload_bytes + SMQ_LENGTH_BYTES);
    } else {
        must(frame[0] == 0x88 || frame[0] == 0x89 || frame[0] == 0x8a);
    }
    wire->read_bytes += header_bytes + payload_bytes;
    return true;
}

static void check_stream(struct little_broker *broker, struct little_wire *wire)
{
    if (wire->read_bytes == 0 && wire->got_bytes >= 4 && memcmp(wire->got, "HTTP", 4) == 0 &&
        !skip_http(wire))
        return;
    while (wire->hears_ws)
        if (!check_ws_frame(broker, wire))
            return;
    while (!wire->hears_http && wire->got_bytes - wire->read_bytes >= SMQ_LENGTH_BYTES) {
        const uint8_t *frame = wire->got + wire->read_bytes;
        uint32_t bytes_count = smq_load_u16(frame);

        must(bytes_count >= SMQ_HEADER_BYTES);
        if (wire->got_bytes - wire->read_bytes < bytes_count)
            return;
        check_frame(broker, frame, bytes_count);
        if (broker->on_frame)
            broker->on_frame(wire, frame, bytes_count);
        wire->read_bytes += bytes_count;
    }
}

static void arrive(struct little_wire *wire, const void *bytes, size_t bytes_count)
{
    while (wire->got_bytes + bytes_count > wire->got_capacity) {
        wire->got_capacity = wire->got_capacity ? wire->got_capacity * 2 : 1024;
        wire->got = realloc(wire->got, wire->got_capacity);
        must(wire->got);
    }
    memcpy(wire->got + wire->got_bytes, bytes, bytes_count);
    wire->got_bytes += (uint32_t)bytes_count;
}

/* -- what a kernel would do -- */

struct conn *little_conn(struct little_broker *broker, uint32_t io_index, uint32_t slot)
{
    return broker->wires[io_index][slot].is_open ? conn_at(&broker->ios[io_index], slot) : NULL;
}

bool little_accept(struct little_broker *broker, uint32_t io_index, uint32_t slot)
{
    struct io *io = &broker->ios[io_index];
    struct little_wire *wire = &broker->wires[io_index][slot];

    must(!wire->is_open);
    io_count(io, IO_STAT_ACCEPTED, 1);
    if (io->draining || !quota_take(&io->quotas->handshakes))
        return false;
    struct conn *conn = conn_open(io, slot, 0);
    if (!conn) {
        quota_give(&io->quotas->handshakes);
        return false;
    }
    free(wire->got);
    *wire = (struct little_wire){.is_open = true};
    memset(conn->peer_ip + 10, 0xff, 2);
    memcpy(conn->peer_ip + 12, (uint8_t[]){127, 0, 0, 1}, 4);
    conn->peer_port = (uint16_t)(50000 + slot);
    session_open(io, conn);
    return true;
}

void little_feed(struct little_broker *broker, uint32_t io_index, uint32_t slot, struct span bytes)
{
    struct conn *conn = little_conn(broker, io_index, slot);

    if (!conn || conn->state == CONN_CLOSING || conn->flags & CONN_EOF || bytes.bytes_count == 0)
        return;
    uint8_t *exact = malloc(bytes.bytes_count);

    must(exact);
    memcpy(exact, bytes.data, bytes.bytes_count);
    session_input(&broker->ios[io_index], conn, exact, bytes.bytes_count);
    free(exact);
}

void little_eof(struct little_broker *broker, uint32_t io_index, uint32_t slot)
{
    struct conn *conn = little_conn(broker, io_index, slot);

    if (conn && conn->state != CONN_CLOSING && !(conn->flags & CONN_EOF))
        session_eof(&broker->ios[io_index], conn);
}

void little_reset(struct little_broker *broker, uint32_t io_index, uint32_t slot)
{
    struct conn *conn = little_conn(broker, io_index, slot);

    if (conn && conn->state != CONN_CLOSING)
        conn_close(&broker->ios[io_index], conn, CLOSE_PEER);
}

void little_complete(struct little_broker *broker, uint32_t io_index, uint32_t slot,
                     uint32_t bytes_max)
{
    struct io *io = &broker->ios[io_index];
    struct little_wire *wire = &broker->wires[io_index][slot];
    struct conn *conn = little_conn(broker, io_index, slot);

    if (conn && wire->waits) {
        wire->waits = false;
        conn_mark(io, conn);
    }
    if (!conn || !(conn->ops & OP_BIT(OP_SEND)))
        return;
    uint32_t sent_bytes = min_u32(bytes_max, conn->out.in_flight_bytes);

    wire->waits = sent_bytes < conn->out.in_flight_bytes;
    uint32_t left_bytes = sent_bytes;

    for (uint32_t i = 0; i < wire->in_flight_count && left_bytes > 0; i++) {
        uint32_t step = min_u32(left_bytes, (uint32_t)wire->in_flight[i].iov_len);

        arrive(wire, wire->in_flight[i].iov_base, step);
        left_bytes -= step;
    }
    must(left_bytes == 0);
    check_stream(broker, wire);
    conn->ops &= (uint8_t)~OP_BIT(OP_SEND);
    outq_sent(&conn->out, &io->mem, sent_bytes);
    if (conn->out.queued_bytes == 0)
        conn->flags &= ~CONN_SLOW;
    if (conn->out.queued_bytes > 0 || conn->state >= CONN_LEAVING)
        conn_mark(io, conn);
}

/* -- the end of a turn -- */

static void flush(struct little_wire *wire, struct conn *conn)
{
    if (conn->ops & OP_BIT(OP_SEND) || wire->waits || conn->out.queued_bytes == 0)
        return;
    wire->in_flight_count = outq_gather(&conn->out, wire->in_flight, LIMIT_SEND_SEGMENTS);
    conn->ops |= OP_BIT(OP_SEND);
}

static void attend_leaving(struct io *io, struct little_wire *wire, struct conn *conn)
{
    if (!(conn->flags & CONN_RELEASED)) {
        session_release(io, conn);
        session_retime(io, conn);
    }
    flush(wire, conn);
    if (conn->out.queued_bytes > 0)
        return;
    if (conn->flags & CONN_EOF || conn->close_reason == CLOSE_DISCONNECT)
        conn_close(io, conn, (enum close_reason)conn->close_reason);
    else
        conn->flags |= CONN_HALF_CLOSED; /* until the peer closes, or the time is up */
}

static void attend_closing(struct io *io, struct little_wire *wire, struct conn *conn)
{
    session_release(io, conn);
    if (conn->ops & OP_BIT(OP_SEND)) { /* cancelled: comes home as an error */
        conn->ops &= (uint8_t)~OP_BIT(OP_SEND);
        conn->out.in_flight_bytes = 0;
    }
    if (conn->flags & CONN_TIMED)
        wheel_remove(&io->wheel, conn->slot_index);
    conn->flags &= ~CONN_TIMED;
    wire->is_open = false;
    conn_free(io, conn);
}

static bool attend_to_marked(struct little_broker *broker, uint32_t io_index)
{
    struct io *io = &broker->ios[io_index];
    struct conn *conn;
    bool any = false;

    while ((conn = conn_next_marked(io)) != NULL) {
        struct little_wire *wire = &broker->wires[io_index][conn->slot_index];

        any = true;
        if (conn->state == CONN_LEAVING)
            attend_leaving(io, wire, conn);
        else if (conn->state == CONN_CLOSING)
            attend_closing(io, wire, conn);
        else
            flush(wire, conn);
    }
    return any;
}

static bool complete_all(struct little_broker *broker, uint32_t io_index)
{
    bool any = false;

    for (uint32_t slot = 0; slot < LITTLE_SLOTS; slot++) {
        struct conn *conn = little_conn(broker, io_index, slot);

        struct little_wire *wire = &broker->wires[io_index][slot];

        if (!conn || wire->holds || !(wire->waits || conn->ops & OP_BIT(OP_SEND)))
            continue;
        little_complete(broker, io_index, slot, UINT32_MAX);
        any = true;
    }
    return any;
}

static void expire_timers(struct io *io)
{
    uint32_t slot;

    while ((slot = wheel_expire(&io->wheel, io->now_tick)) != WHEEL_NONE) {
        struct conn *conn = conn_at(io, slot);

        conn->flags &= ~CONN_TIMED;
        session_on_deadline(io, conn);
        if (conn->state != CONN_CLOSING)
            session_retime(io, conn);
    }
}

static void drain(struct little_broker *broker, uint32_t io_index)
{
    struct io *io = &broker->ios[io_index];

    for (uint32_t slot = 0; slot < LITTLE_SLOTS; slot++)
        if (little_conn(broker, io_index, slot))
            session_drain(io, conn_at(io, slot));
}

bool little_io_turn(struct little_broker *broker, uint32_t io_index)
{
    struct io *io = &broker->ios[io_index];
    bool any = complete_all(broker, io_index);

    if (broker->inline_shards)
        any |= little_shard_turn(broker, io_index);
    any |= io_drain_lanes(io) > 0;
    if (io->now_tick != io->wheel.now_tick)
        expire_timers(io);
    if (io->draining)
        drain(broker, io_index);
    any |= io->is_listing;
    io_list_step(io);
    io_detour_step(io);
    any |= attend_to_marked(broker, io_index);
    io_report_step(io);
    return !port_flush(io->port) || any;
}

bool little_shard_turn(struct little_broker *broker, uint32_t shard_index)
{
    struct shard *shard = &broker->shards[shard_index];
    bool any = shard_turn(shard) > 0;

    return !port_flush(shard->port) || any;
}

static void take_row(struct little_broker *broker, const struct envelope *envelope)
{
    size_t bytes_count = envelope->msg->bytes_count;

    broker->rows = realloc(broker->rows, broker->rows_bytes + bytes_count + 2);
    must(broker->rows);
    if (broker->rows_bytes > 0)
        broker->rows[broker->rows_bytes++] = ',';
    memcpy(broker->rows + broker->rows_bytes, envelope->msg->bytes, bytes_count);
    broker->rows_bytes += bytes_count;
    broker->rows[broker->rows_bytes] = '\0';
}

/* As the web actor would: the newest request is there to be looked at. */
static void take_request(struct little_broker *broker, const struct envelope *envelope)
{
    must(envelope->msg->bytes_count > HTTP_REQUEST_PREFIX_BYTES);
    msg_unref(&broker->control_mem, broker->request.msg);
    broker->request = *envelope;
    broker->request_count++;
}

void little_pass_on(struct little_broker *broker, const struct envelope *envelope)
{
    struct mesh *mesh = &broker->mesh;
    bool by_number = envelope->kind == ENVELOPE_PUBLISH || envelope->kind == ENVELOPE_UNSUBSCRIBE;
    bool by_topic = envelope->kind == ENVELOPE_SUBSCRIBE || envelope->kind == ENVELOPE_CREATE;
    uint32_t shard = by_number ? mesh_shard_of_id(mesh, envelope->id)
                     : by_topic
                         ? shard_of_topic_name(&broker->config, mesh, envelope->instance_index,
                                               msg_span(envelope->msg), envelope->hash)
                         : mesh_shard_of_hash(mesh, envelope->hash);

    little_tell(broker, mesh_shard_index(mesh, shard), *envelope);
}

/* As the script host would. Returns: has it taken the message? */
static bool take_script_mail(struct little_broker *broker, struct envelope *envelope)
{
    if (broker->on_script && broker->on_script(broker, envelope))
        return true;
    switch ((int)envelope->kind) {
    case ENVELOPE_FACTS:
    case ENVELOPE_PEER_JOINED:
    case ENVELOPE_PEER_LEFT:
    case ENVELOPE_DROPPED:
        return false;
    case ENVELOPE_CONNECT:
        little_tell(broker, envelope->conn.host_index, *envelope);
        return true;
    default:
        little_pass_on(broker, envelope);
        return true;
    }
}

static bool is_script_mail(const struct little_broker *broker, const struct envelope *envelope)
{
    return broker->has_script && envelope->kind != ENVELOPE_STOPPED &&
           envelope->kind != ENVELOPE_ROWS && envelope->kind != ENVELOPE_ROWS_END &&
           envelope->kind != ENVELOPE_HTTP_REQUEST;
}

static void give_room(struct little_broker *broker, uint32_t from)
{
    if (broker->has_script && from < broker->io_count && hooks_take_wish(&broker->hooks[0], from))
        little_tell(broker, from, (struct envelope){.kind = ENVELOPE_ROOM});
}

static bool control_turn(struct little_broker *broker)
{
    struct port *port = &broker->mesh.ports[mesh_control_index(&broker->mesh)];
    struct envelope envelope;
    bool any = false;

    for (uint32_t from = 0; from < broker->mesh.actor_count; from++) {
        if (broker->script_sleeps && from < broker->io_count)
            continue;
        while (port_pop(port, from, &envelope)) {
            any = true;
            if (is_script_mail(broker, &envelope)) {
                if (take_script_mail(broker, &envelope))
                    continue;
            } else if (envelope.kind == ENVELOPE_STOPPED) {
                broker->stopped_count++;
            } else if (envelope.kind == ENVELOPE_ROWS) {
                take_row(broker, &envelope);
            } else if (envelope.kind == ENVELOPE_HTTP_REQUEST) {
                take_request(broker, &envelope);
                continue; /* its message is kept */
            } else {
                must(envelope.kind == ENVELOPE_ROWS_END);
                broker->rows_end_count++;
                broker->rows_told_count += envelope.count;
            }
            msg_unref(&broker->control_mem, envelope.msg);
        }
        give_room(broker, from);
    }
    return !port_flush(port) || any;
}

void little_settle(struct little_broker *broker)
{
    bool any = true;

    for (uint32_t round = 0; any; round++) {
        must(round < ROUNDS_MAX);
        any = control_turn(broker);
        for (uint32_t i = 0; i < broker->io_count; i++)
            any |= little_io_turn(broker, i);
        for (uint32_t i = 0; i < broker->shard_count; i++)
            any |= little_shard_turn(broker, i);
    }
}

void little_pass(struct little_broker *broker, uint32_t ticks)
{
    for (; ticks > 0; ticks--) {
        for (uint32_t i = 0; i < broker->io_count; i++)
            broker->ios[i].now_tick++;
        little_settle(broker);
    }
}

void little_tell(struct little_broker *broker, uint32_t actor, struct envelope envelope)
{
    port_push(&broker->mesh.ports[mesh_control_index(&broker->mesh)], actor, envelope);
}

uint64_t little_io_stat(const struct little_broker *broker, enum io_stat stat)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < broker->io_count; i++)
        sum += counter_read(&broker->ios[i].stats[stat]);
    return sum;
}

uint64_t little_shard_stat(const struct little_broker *broker, enum shard_stat stat)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < broker->shard_count; i++)
        sum += counter_read(&broker->shards[i].stats[stat]);
    return sum;
}
