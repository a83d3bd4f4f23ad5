/*
 * net/session_answers.c — what the shards say: envelopes in, frames out.
 *
 * Thread: the I/O actor's. The envelope's msg reference is dropped after its handler. An answer may
 * find its connection gone: then the hold it brings is given back, so the shard's tables stay true.
 */
#include <string.h>

#include "core/log.h"
#include "core/msg.h"
#include "core/shard.h"
#include "net/detour.h"
#include "net/door.h"
#include "net/holds.h"
#include "net/rights.h"
#include "net/session_parts.h"

/* Tell the owner of envelope->id something about the connection the envelope names. @flags: which
 * limit made us give a hold back, for the shard to count; 0: none. */
static void reply(struct io *io, const struct envelope *envelope, enum envelope_kind kind,
                  uint8_t flags)
{
    struct mesh *mesh = io->port->mesh;

    port_push(io->port, mesh_shard_index(mesh, mesh_shard_of_id(mesh, envelope->id)),
              (struct envelope){.kind = (uint8_t)kind,
                                .flags = flags,
                                .instance_index = envelope->instance_index,
                                .grant = envelope->grant,
                                .id = envelope->id,
                                .conn = envelope->conn});
}

/* A request is answered; @conn: NULL when who asked has gone. */
static void take_answer(struct io *io, const struct envelope *envelope, struct conn *conn)
{
    quota_give(&io->quotas->instances[envelope->instance_index].pending);
    if (!conn)
        return;
    must(conn->pending_count > 0);
    conn->pending_count--;
}

static void refuse_by_script(struct io *io, struct conn *conn, const struct envelope *envelope)
{
    struct identity identity = identity_read(msg_span(conn->identity));
    size_t bytes_count = min_size(envelope->msg->bytes_count, LIMIT_REASON_BYTES);
    char reason[LIMIT_REASON_BYTES + 1];

    must(envelope->status != SMQ_CONNACK_ACCEPTED);
    memcpy(reason, envelope->msg->bytes, bytes_count);
    reason[bytes_count] = '\0';
    session_refuse_login(io, conn, &identity, (enum smq_connack)envelope->status, reason);
}

static void on_connected(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);

    if (!conn) {
        if (envelope->status == SMQ_CONNACK_ACCEPTED)
            reply(io, envelope, ENVELOPE_GONE, 0);
        return;
    }
    must(conn->state == CONN_JOINING);
    if (envelope->msg) { /* the script's word, with its reason */
        refuse_by_script(io, conn, envelope);
        return;
    }
    if (envelope->status == SMQ_CONNACK_ACCESS_DENIED) {
        struct identity identity = identity_read(msg_span(conn->identity));

        session_refuse_login(io, conn, &identity, SMQ_CONNACK_ACCESS_DENIED,
                             "somebody else has this UID");
        return;
    }
    if (envelope->status != SMQ_CONNACK_ACCEPTED) {
        session_refuse(io, conn, (enum smq_connack)envelope->status, "the broker is out of memory");
        return;
    }
    uint8_t fixed[5] = {SMQ_CONNACK_ACCEPTED};

    conn->etid = envelope->id;
    conn_set_state(conn, CONN_LIVE);
    report_joined(io, conn);
    detour_joined(io, conn);
    smq_store_u32(fixed + 1, conn->etid);
    session_send(io, conn, SMQ_CONNACK, span_of(fixed, sizeof(fixed)), span_of(NULL, 0));
    log_event(LOG_LEVEL_DEBUG, "conn.live", "uid=%.*s etid=%u", conn->identity->bytes[0],
              (const char *)conn->identity->bytes + 1, conn->etid);
    session_retime(io, conn); /* the handshake's deadline no longer counts */
    session_resume(io, conn);
}

static void on_kick(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);
    static const char reason[] = "reconnect"; /* §4.2: clients look for this word */
    uint8_t frame[SMQ_HEADER_BYTES + sizeof(reason)];

    if (!conn)
        return;
    size_t bytes_count = smq_encode(frame, sizeof(frame), SMQ_DISCONNECT, span_of(NULL, 0),
                                    span_of(reason, sizeof(reason) - 1));
    conn_leave(io, conn, CLOSE_TAKEOVER, span_of(frame, bytes_count));
}

/* Which limit forbids this new hold? Several requests may have been under way at once. */
static uint8_t limit_crossed(const struct io *io, const struct conn *conn, bool subscribes,
                             uint32_t id)
{
    const struct config_limits *limits = &io->config->limits;

    if (!holds_topic_number(conn, id) &&
        holds_count(conn, HELD_TOPIC) >= limits->topics_per_client_max)
        return ENVELOPE_AT_LIMIT;
    if (subscribes && holds_count(conn, HELD_SUBSCRIBED) >= limits->subscriptions_per_client_max)
        return ENVELOPE_AT_SUB_LIMIT;
    return 0;
}

/* Record a new hold, or give it back. Returns: does the connection have it now? */
static bool take_hold(struct io *io, struct conn *conn, const struct envelope *envelope)
{
    bool subscribes = envelope->kind == ENVELOPE_SUBSCRIBED;
    uint8_t crossed = limit_crossed(io, conn, subscribes, envelope->id);
    bool held_before = holds_topic_number(conn, envelope->id);

    if (!crossed && (subscribes ? holds_subscribe(io, conn, envelope->id)
                                : holds_add(io, conn, envelope->id, HELD_TOPIC)))
        return true;
    if (!crossed)
        io_count(io, IO_STAT_REFUSED_MEMORY, 1);
    reply(io, envelope, held_before ? ENVELOPE_UNSUBSCRIBE : ENVELOPE_RELEASE, crossed);
    return false;
}

/* The shard answers that conn had it before. But when we have just refused that very hold, our
 * giving it back is still on its way there, and this request was one step ahead of it. */
static bool still_holds(const struct conn *conn, const struct envelope *envelope)
{
    return envelope->kind == ENVELOPE_SUBSCRIBED ? holds_subscription(conn, envelope->id)
                                                 : holds_topic_number(conn, envelope->id);
}

/* SUBSCRIBED and CREATED: a hold, or a refusal. */
static void on_hold(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);
    enum smq_packet ack = envelope->kind == ENVELOPE_SUBSCRIBED ? SMQ_SUBACK : SMQ_CREATEACK;
    bool is_new = envelope->flags & ENVELOPE_NEW;
    struct span name = msg_span(envelope->msg);

    take_answer(io, envelope, conn);
    if (!conn) {
        if (is_new)
            reply(io, envelope, ENVELOPE_LEAVE, 0);
        return;
    }
    bool granted = envelope->status == SMQ_ACK_OK &&
                   (is_new ? take_hold(io, conn, envelope) : still_holds(conn, envelope));

    if (granted && conn->flags & CONN_RULED)
        holds_judge(conn, envelope->id, rights_would(io, conn, ACL_PUBLISH, name));
    if (granted)
        session_send_ack(io, conn, ack, SMQ_ACK_OK, envelope->id, name);
    else
        session_send_ack(io, conn, ack, SMQ_ACK_DENIED, 0, name);
    detour_answered(io, conn);
}

static void on_subcreated(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);

    take_answer(io, envelope, conn);
    if (!conn)
        return;
    session_send_ack(io, conn, SMQ_CREATESUBACK, (enum smq_ack_status)envelope->status,
                     envelope->id, msg_span(envelope->msg));
    detour_answered(io, conn);
}

static void on_unsubscribed(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);

    if (conn)
        holds_unsubscribe(io, conn, envelope->id);
}

static bool take_observation(struct io *io, struct conn *conn, const struct envelope *envelope)
{
    bool crossed =
        holds_count(conn, HELD_OBSERVED) >= io->config->limits.observations_per_client_max;

    if (!crossed && holds_add(io, conn, envelope->id, HELD_OBSERVED))
        return true;
    if (!crossed)
        io_count(io, IO_STAT_REFUSED_MEMORY, 1);
    reply(io, envelope, ENVELOPE_UNOBSERVE, crossed ? ENVELOPE_AT_LIMIT : 0);
    return false;
}

static void on_change(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);
    bool is_new = envelope->flags & ENVELOPE_NEW;
    uint8_t fixed[8];

    if (envelope->flags & ENVELOPE_REPLY)
        take_answer(io, envelope, conn);
    if (!conn) {
        if (is_new)
            reply(io, envelope, ENVELOPE_LEAVE, 0);
        return;
    }
    if (is_new && !take_observation(io, conn, envelope))
        return;
    if (envelope->flags & ENVELOPE_ENDED)
        holds_unobserve(io, conn, envelope->id);
    if (envelope->flags & ENVELOPE_SILENT)
        return;
    smq_store_u32(fixed, envelope->id);
    smq_store_u32(fixed + 4, envelope->count);
    session_send(io, conn, SMQ_CHANGE, span_of(fixed, sizeof(fixed)), span_of(NULL, 0));
}

/* -- messages -- */

static void on_deliver(struct io *io, const struct envelope *envelope)
{
    struct local_topic *topic = holds_topic(io, envelope->instance_index, envelope->id);

    if (!topic) /* the last of ours left while this was on its way */
        return;
    io_count(io, IO_STAT_DELIVERIES, 1);
    const struct local_subscriber *subscribers = local_subscribers(topic);
    uint32_t subscriber_count = local_subscriber_count(topic);

    struct run run = {.raw = envelope->msg, .frame_count = envelope->count};

    /* Nothing here changes the list: who is closed now gives back its holds at the turn's end. */
    for (uint32_t i = 0; i < subscriber_count; i++)
        conn_send_run(io, conn_at(io, subscribers[i].slot_index), &run);
    run_deinit(&run, &io->mem);
    io_note_latency(io, envelope);
}

static void on_direct(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);
    struct run run = {.raw = envelope->msg, .frame_count = envelope->count};

    if (!conn) {
        io_count(io, IO_STAT_DROPPED_GONE, envelope->count);
        return;
    }
    conn_send_run(io, conn, &run);
    run_deinit(&run, &io->mem);
    io_note_latency(io, envelope);
}

/* -- control -- */

static void on_stop(struct io *io)
{
    io->draining = true;
    log_event(LOG_LEVEL_DEBUG, "io.drain", "open=%llu",
              (unsigned long long)counter_read(&io->stats[IO_STAT_OPEN]));
}

/* Somebody with the right to do so ends this client's session. */
static void on_end(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);
    char reason[LIMIT_REASON_BYTES + 1] = "";

    if (!conn)
        return;
    if (envelope->msg) {
        size_t bytes_count = min_size(envelope->msg->bytes_count, LIMIT_REASON_BYTES);

        memcpy(reason, envelope->msg->bytes, bytes_count);
        reason[bytes_count] = '\0';
    }
    session_end(io, conn, envelope->flags & ENVELOPE_LOST ? CLOSE_RIGHTS : CLOSE_ENDED, reason);
}

/* The rules have changed: who has lost the right to a subscription goes, and knows why. */
static void on_recheck(struct io *io, const struct envelope *envelope)
{
    if (io->auth_calls)
        io->auth_calls->on_reload(io); /* the shard's word may be quicker than control's */
    struct conn *conn = conn_find(io, envelope->conn);

    if (!conn || !(conn->flags & CONN_RULED) || !holds_subscription(conn, envelope->id))
        return;
    if (!envelope->msg || !rights_may(io, conn, ACL_SUBSCRIBE, msg_span(envelope->msg)))
        session_end(io, conn, CLOSE_RIGHTS, "the access list has changed");
}

static void on_reload(struct io *io, const struct envelope *envelope)
{
    if (envelope->msg)
        io_take_config(io, envelope->msg);
    if (io->secure_calls)
        io->secure_calls->on_reload(io);
    if (io->auth_calls)
        io->auth_calls->on_reload(io);
}

static void on_signed(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);

    if (conn && io->secure_calls)
        io->secure_calls->on_signed(io, conn);
}

void session_envelope(struct io *io, struct envelope *envelope)
{
    switch ((enum envelope_kind)envelope->kind) {
    case ENVELOPE_CONNECTED:
        on_connected(io, envelope);
        break;
    case ENVELOPE_KICK:
        on_kick(io, envelope);
        break;
    case ENVELOPE_SUBSCRIBED:
    case ENVELOPE_CREATED:
        on_hold(io, envelope);
        break;
    case ENVELOPE_SUBCREATED:
        on_subcreated(io, envelope);
        break;
    case ENVELOPE_UNSUBSCRIBED:
        on_unsubscribed(io, envelope);
        break;
    case ENVELOPE_CHANGE:
        on_change(io, envelope);
        break;
    case ENVELOPE_DELIVER:
        on_deliver(io, envelope);
        break;
    case ENVELOPE_DIRECT:
        on_direct(io, envelope);
        break;
    case ENVELOPE_STOP:
        on_stop(io);
        break;
    case ENVELOPE_HTTP_ANSWER:
        session_http_answer(io, envelope);
        break;
    case ENVELOPE_END:
        on_end(io, envelope);
        break;
    case ENVELOPE_SIGNED:
        on_signed(io, envelope);
        break;
    case ENVELOPE_AUTH_VERDICT:
        session_auth_verdict(io, envelope);
        break;
    case ENVELOPE_RECHECK:
        on_recheck(io, envelope);
        break;
    case ENVELOPE_ELSEWHERE:
        shard_resend(io->port, envelope); /* for one that has closed, too: the answer goes back */
        return;
    case ENVELOPE_RELOAD:
        on_reload(io, envelope);
        break;
    case ENVELOPE_LIST:
        io_list_peers(io, envelope);
        break;
    case ENVELOPE_REPORT:
        io_report(io, envelope);
        break;
    case ENVELOPE_TAP:
        io_tap(io, envelope);
        break;
    case ENVELOPE_CONNECT:
        detour_accepted(io, envelope);
        break;
    case ENVELOPE_PUBLISH:
        detour_judged(io, envelope);
        break;
    case ENVELOPE_ROOM:
        break; /* io_detour_step sees it by itself, in this turn */
    case ENVELOPE_WHERE:
        door_tell_address(io, envelope);
        break;
    case ENVELOPE_EXPEL:
        door_expel(io);
        break;
    case ENVELOPE_GONE:
    case ENVELOPE_SUBSCRIBE:
    case ENVELOPE_CREATE:
    case ENVELOPE_CREATESUB:
    case ENVELOPE_UNSUBSCRIBE:
    case ENVELOPE_RELEASE:
    case ENVELOPE_LEAVE:
    case ENVELOPE_OBSERVE:
    case ENVELOPE_UNOBSERVE:
    case ENVELOPE_LOOKUP:
    case ENVELOPE_FOUND:
    case ENVELOPE_HTTP_REQUEST:
    case ENVELOPE_JOINED:
    case ENVELOPE_LEFT:
    case ENVELOPE_TAPPED:
    case ENVELOPE_ADDRESS:
    case ENVELOPE_FACTS:
    case ENVELOPE_PEER_JOINED:
    case ENVELOPE_PEER_LEFT:
    case ENVELOPE_DROPPED:
    case ENVELOPE_EVENT:
    case ENVELOPE_TLS_FACTS:
    case ENVELOPE_STOPPED:
    case ENVELOPE_ROWS:
    case ENVELOPE_ROWS_END:
    case ENVELOPE_KIND_COUNT:
        must_never("an envelope that is not for I/O actors crossed the lane");
    }
    msg_unref(&io->mem, envelope->msg);
}
