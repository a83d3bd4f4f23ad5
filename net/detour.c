/* net/detour.c — see net/detour.h. Thread: the I/O actor's. */
#include "net/detour.h"

#include <stdio.h>
#include <string.h>

#include "core/facts.h"
#include "core/msg.h"
#include "net/holds.h"
#include "net/session_parts.h"

#define CAPACITY_FIRST 64u

enum status detours_init(struct io *io, struct hooks *hooks)
{
    io->detours = NULL;
    io->detour_waiting_count = 0;
    if (!hooks)
        return STATUS_OK;
    io->detours =
        mem_alloc_zero(&io->mem, MEM_LANE, sizeof(*io->detours) * io->config->instance_count);
    if (!io->detours)
        return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < io->config->instance_count; i++)
        io->detours[i].hooks = &hooks[i];
    return STATUS_OK;
}

static void free_line(struct io *io, struct detour *detour)
{
    mem_free(&io->mem, MEM_LANE, detour->waiting, sizeof(*detour->waiting) * detour->capacity);
    detour->waiting = NULL;
    detour->first = detour->count = detour->capacity = 0;
}

void detours_deinit(struct io *io)
{
    if (!io->detours)
        return;
    for (uint32_t i = 0; i < io->config->instance_count; i++) {
        struct detour *detour = &io->detours[i];

        for (; detour->count > 0; detour->count--, detour->first++)
            msg_unref(&io->mem, detour->waiting[detour->first % detour->capacity].msg);
        free_line(io, detour);
    }
    mem_free(&io->mem, MEM_LANE, io->detours, sizeof(*io->detours) * io->config->instance_count);
    io->detours = NULL;
}

/* The detour of this client's instance, or NULL: there is no script. */
static struct detour *detour_of(struct io *io, const struct conn *conn)
{
    if (!io->detours)
        return NULL;
    struct detour *detour = &io->detours[conn->instance_index];

    return hooks_host(detour->hooks) != HOOKS_NO_HOST ? detour : NULL;
}

/* -- the line -- */

static void grow(struct io *io, struct detour *detour)
{
    uint32_t capacity = detour->capacity > 0 ? detour->capacity * 2 : CAPACITY_FIRST;
    /* Never refused: a request that was taken in has no other place to be. */
    struct envelope *grown = mem_alloc_lines(&io->mem, MEM_LANE, sizeof(*grown) * capacity);

    for (uint32_t i = 0; i < detour->count; i++)
        grown[i] = detour->waiting[(detour->first + i) % detour->capacity];
    mem_free(&io->mem, MEM_LANE, detour->waiting, sizeof(*grown) * detour->capacity);
    detour->waiting = grown;
    detour->first = 0;
    detour->capacity = capacity;
}

/* Returns: is it on the lane? Otherwise it stands in line. */
static bool push(struct io *io, struct detour *detour, struct envelope envelope)
{
    uint32_t host = hooks_host(detour->hooks);

    if (detour->count == 0 && port_room(io->port, host) > 0) {
        port_push(io->port, host, envelope);
        return true;
    }
    if (detour->count == detour->capacity)
        grow(io, detour);
    detour->waiting[(detour->first + detour->count++) % detour->capacity] = envelope;
    io->detour_waiting_count++;
    io_count(io, IO_STAT_SCRIPT_WAITING, 1);
    return false;
}

bool detour_is_full(struct io *io, const struct conn *conn)
{
    const struct detour *detour = detour_of(io, conn);

    /* Each leaves FACTS and CONNECT, and a PEER_LEFT when it closes before its turn. */
    return detour && detour->count >= 4 * io->config->limits.handshake_count_max;
}

/* -- who waits -- */

static void hold(struct io *io, struct conn *conn)
{
    if (conn->flags & CONN_HELD)
        return;
    conn->flags |= CONN_HELD;
    session_retime(io, conn);
    conn_mark(io, conn); /* its receive is to be cancelled */
}

bool detour_may_hold(struct io *io, const struct conn *conn)
{
    const struct detour *detour = detour_of(io, conn);

    return detour && hooks_want(detour->hooks, HOOKS_REFUSING);
}

void detour_answered(struct io *io, struct conn *conn)
{
    if (!(conn->flags & CONN_HELD) || conn->state != CONN_LIVE)
        return;
    conn->flags &= ~CONN_HELD;
    session_read_again(io, conn);
}

/* A request that nobody is answered for has moved on: its sender may send the next. */
static void moved(struct io *io, const struct envelope *envelope)
{
    if (envelope->kind != ENVELOPE_PUBLISH && envelope->kind != ENVELOPE_UNSUBSCRIBE)
        return;
    struct conn *conn = conn_find(io, envelope->conn);

    if (conn)
        detour_answered(io, conn);
}

static void move_on(struct io *io, struct detour *detour)
{
    uint32_t host = hooks_host(detour->hooks);

    while (detour->count > 0 && port_room(io->port, host) > 0) {
        struct envelope envelope = detour->waiting[detour->first];

        detour->first = (detour->first + 1) % detour->capacity;
        detour->count--;
        io->detour_waiting_count--;
        io_count(io, IO_STAT_SCRIPT_WAITING, (uint64_t)-1);
        port_push(io->port, host, envelope);
        moved(io, &envelope); /* may add to this line */
    }
}

void io_detour_step(struct io *io)
{
    if (io->detour_waiting_count == 0)
        return;
    for (uint32_t i = 0; i < io->config->instance_count; i++) {
        struct detour *detour = &io->detours[i];

        if (detour->count == 0)
            continue;
        move_on(io, detour);
        if (detour->count > 0) { /* wish first, then look again: the host may have just read */
            atomic_store(&detour->hooks->wants_room[io->io_index], true);
            move_on(io, detour);
        }
        if (detour->count == 0)
            free_line(io, detour);
    }
}

bool io_detours_are_empty(const struct io *io)
{
    return io->detour_waiting_count == 0;
}

/* -- who it is -- */

void detour_keep_head(struct io *io, struct conn *conn, struct span head)
{
    struct conn_input *input;

    if (!detour_of(io, conn) || conn->state != CONN_GREETED)
        return;
    input = input_of(io, conn);
    if (input)
        input->facts = msg_copy(&io->mem, head);
    if (!input || !input->facts)
        conn_close(io, conn, CLOSE_MEMORY);
    else
        session_retime(io, conn); /* the script may give its Connect less time */
}

bool detour_keep_facts(struct io *io, struct conn *conn, struct span credentials, uint32_t seed)
{
    char address[CONN_IP_TEXT_BYTES + 8]; /* brackets and port */
    char ip[CONN_IP_TEXT_BYTES];

    if (!detour_of(io, conn))
        return true;
    if (!input_of(io, conn))
        return false;
    conn_ip_text(conn, ip);
    int address_bytes = snprintf(address, sizeof(address), strchr(ip, ':') ? "[%s]:%u" : "%s:%u",
                                 ip, (unsigned)conn->peer_port);
    struct facts facts = {
        .credentials = credentials,
        .address = span_of(address, (size_t)address_bytes),
        .head = conn->input->facts ? msg_span(conn->input->facts) : span_of(NULL, 0),
        .seed = seed,
        .is_secure = conn->flags & CONN_TLS,
    };

    if (io->secure_calls)
        io->secure_calls->put_facts(conn, &facts);
    struct msg *msg = msg_new(&io->mem, facts_bytes(&facts));

    if (!msg)
        return false;
    facts_write(&facts, msg->bytes);
    msg_unref(&io->mem, conn->input->facts);
    conn->input->facts = msg;
    return true;
}

struct hooks_times detour_times(const struct io *io, const struct conn *conn)
{
    const struct config *config = io->config;
    struct hooks_times times = {.connect_ms = config->limits.handshake_timeout_ms,
                                .idle_ms = config->keepalive_idle_ms,
                                .answer_ms = config->keepalive_answer_ms};

    if (!io->detours)
        return times;
    struct hooks_times chosen = hooks_times(io->detours[conn->instance_index].hooks);

    if (chosen.connect_ms > 0)
        times.connect_ms = min_u32(chosen.connect_ms, times.connect_ms);
    if (chosen.idle_ms > 0)
        times.idle_ms = chosen.idle_ms;
    if (chosen.answer_ms > 0)
        times.answer_ms = chosen.answer_ms;
    return times;
}

static struct envelope about(const struct io *io, const struct conn *conn, enum envelope_kind kind)
{
    return (struct envelope){.kind = (uint8_t)kind,
                             .instance_index = conn->instance_index,
                             .id = conn->etid,
                             .conn = conn_handle_of(io, conn)};
}

void detour_joined(struct io *io, struct conn *conn)
{
    struct detour *detour = conn->flags & CONN_INTRODUCED ? detour_of(io, conn) : NULL;

    if (detour)
        (void)push(io, detour, about(io, conn, ENVELOPE_PEER_JOINED));
}

/* What a script may ask for when somebody has gone: his topics, and why. NULL: no memory, or there
 * is nothing to say. */
static struct msg *last_words(struct io *io, const struct conn *conn)
{
    const char *why = conn->close_reason == CLOSE_DISCONNECT ? "" /* in good order */
                      : conn->close_reason == CLOSE_TAKEOVER
                          ? "reconnect"
                          : close_reason_text((enum close_reason)conn->close_reason);
    uint32_t topic_count = holds_count(conn, HELD_SUBSCRIBED);
    size_t topics_bytes = topic_count * sizeof(uint32_t);
    struct msg *msg;

    if (why[0] == '\0' && topic_count == 0)
        return NULL;
    msg = msg_new(&io->mem, sizeof(uint32_t) + topics_bytes + strlen(why));
    if (!msg)
        return NULL;
    smq_store_u32(msg->bytes, topic_count);
    holds_list(conn, HELD_SUBSCRIBED, msg->bytes + sizeof(uint32_t));
    memcpy(msg->bytes + sizeof(uint32_t) + topics_bytes, why, strlen(why));
    return msg;
}

void detour_left(struct io *io, struct conn *conn)
{
    struct detour *detour = conn->flags & CONN_INTRODUCED ? detour_of(io, conn) : NULL;

    conn->flags &= ~(CONN_HELD | CONN_INTRODUCED);
    if (!detour)
        return;
    struct envelope left = about(io, conn, ENVELOPE_PEER_LEFT);

    left.msg = last_words(io, conn);
    (void)push(io, detour, left);
}

/* -- requests -- */

static void to_shard(struct io *io, uint32_t shard, struct envelope request)
{
    port_push(io->port, mesh_shard_index(io->port->mesh, shard), request);
}

void detour_connect(struct io *io, struct conn *conn, uint32_t shard, struct envelope request)
{
    struct detour *detour = detour_of(io, conn);

    if (!detour || !conn->input || !conn->input->facts) {
        to_shard(io, shard, request);
        return;
    }
    struct envelope facts = about(io, conn, ENVELOPE_FACTS);

    facts.msg = conn->input->facts;
    conn->input->facts = NULL;
    input_drop_if_empty(io, conn);
    conn->flags |= CONN_INTRODUCED;
    (void)push(io, detour, facts);
    (void)push(io, detour, request); /* it is JOINING: nothing of it is read */
}

void detour_accepted(struct io *io, struct envelope *connect)
{
    if (!conn_find(io, connect->conn))
        return;
    to_shard(io, mesh_shard_of_hash(io->port->mesh, connect->hash), *connect);
    connect->msg = NULL;
}

void detour_name(struct io *io, struct conn *conn, uint32_t shard, struct envelope request)
{
    struct detour *detour = detour_of(io, conn);
    uint32_t wanted =
        request.kind == ENVELOPE_CREATESUB ? HOOK_PERMITSUBTOP : HOOK_PERMITTOP | HOOK_ONPUBLISH;

    if (!detour || !hooks_want(detour->hooks, wanted)) {
        to_shard(io, shard, request);
        return;
    }
    (void)push(io, detour, request);
    hold(io, conn);
}

void detour_unsubscribe(struct io *io, struct conn *conn, uint32_t shard, struct envelope request)
{
    struct detour *detour = detour_of(io, conn);

    if (!detour || !hooks_want(detour->hooks, HOOK_ONPUBLISH))
        to_shard(io, shard, request);
    else if (!push(io, detour, request))
        hold(io, conn);
}

void detour_publish(struct io *io, struct conn *conn, uint32_t shard, struct envelope request)
{
    struct detour *detour = detour_of(io, conn);

    if (!detour || !hooks_want_publish(detour->hooks, request.id)) {
        to_shard(io, shard, request);
    } else if (request.flags & ENVELOPE_JUDGE) {
        request.flags |= ENVELOPE_RETURN;
        to_shard(io, shard, request);
        hold(io, conn);
    } else if (!push(io, detour, request)) {
        hold(io, conn);
    }
}

void detour_judged(struct io *io, struct envelope *publish)
{
    struct conn *conn = conn_find(io, publish->conn);
    struct detour *detour = conn && conn->flags & CONN_INTRODUCED ? detour_of(io, conn) : NULL;

    if (!detour) { /* the script does not know it any more */
        io_count(io, IO_STAT_DROPPED_GONE, publish->msg ? publish->count : 0);
        return;
    }
    if (publish->msg && !push(io, detour, *publish)) {
        publish->msg = NULL;
        return; /* it stands in line, and its sender waits for that */
    }
    publish->msg = NULL;
    detour_answered(io, conn);
}
