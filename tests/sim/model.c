/* tests/sim/model.c — see tests/sim/model.h: the life of a connection, and who hears what.
 * Thread: one. */
#include "tests/sim/model.h"

#include <string.h>

#include "tests/sim/beliefs.h"
#include "tests/sim/journal.h"
#include "tests/sim/kernel.h"
#include "tests/sim/messages.h"
#include "tests/sim/sim.h"

const char *model_type_name(enum smq_packet type)
{
    static const char *const names[SMQ_PACKET_COUNT] = {
#define X(name, value, minimum, from) [value] = #name,
        SMQ_PACKETS(X)
#undef X
    };

    return type < SMQ_PACKET_COUNT && names[type] ? names[type] : "?";
}

void model_open(struct sim *sim, struct link *link)
{
    memset(&sim->model.knowledge[link->index], 0, sizeof(struct knowledge));
    messages_open(sim, link);
}

/* -- what the sessions were fed -- */

static void note_rivals(struct sim *sim, struct link *link)
{
    /* One that has closed since may still have its Connect on the way to the shard. */
    if (sim->model.connect_counts[link->instance][link->uid]++ > 0)
        link->had_rival = true;
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        struct link *other = &sim->links[i];

        if (other == link || other->phase == LINK_FREE || other->uid != link->uid ||
            other->instance != link->instance || !other->asked_connect)
            continue;
        other->had_rival = link->had_rival = true;
    }
}

void model_fed(struct sim *sim, struct link *link, const struct deed *deed, bool certain)
{
    if (deed->is_wrong) {
        link->was_wrong = true;
        return;
    }
    if (link->was_wrong || link->said_disconnect)
        return; /* the session does not listen any more */
    switch ((enum smq_packet)deed->type) {
    case SMQ_CONNECT:
        note_rivals(sim, link);
        return;
    case SMQ_SUBSCRIBE:
    case SMQ_CREATE:
    case SMQ_CREATESUB:
    case SMQ_UNSUBSCRIBE:
    case SMQ_OBSERVE:
    case SMQ_UNOBSERVE:
        beliefs_fed(sim, link, deed);
        return;
    case SMQ_PUBLISH:
    case SMQ_PUBFRAG:
        messages_fed(sim, deed, certain);
        return;
    case SMQ_DISCONNECT:
        link->said_disconnect = true;
        return;
    case SMQ_PING:
    case SMQ_PONG:
        return;
    case SMQ_INIT:
    case SMQ_CONNACK:
    case SMQ_SUBACK:
    case SMQ_CREATEACK:
    case SMQ_CHANGE:
    case SMQ_CREATESUBACK:
    case SMQ_PACKET_COUNT:
        break;
    }
    must_never("a deed no client does");
}

/* -- what the clients read -- */

static void received_connack(struct sim *sim, struct link *link, struct span body)
{
    uint8_t code = body.data[0];
    uint32_t etid = smq_load_u32(body.data + 1);
    bool may_refuse = sim->scenario.tight_limits || scenario_has_faults(&sim->scenario) ||
                      sim->scenario.time_passes || sim->is_draining;

    expect(link->phase == LINK_CONNACK, "link %u: Connack in phase %u (1)", link->index,
           link->phase);
    if (code != SMQ_CONNACK_ACCEPTED) {
        expect(etid == 0 && body.bytes_count > 5, "link %u: refused with ETID %u and %zu bytes (1)",
               link->index, etid, body.bytes_count);
        expect(link->was_wrong ? code == SMQ_CONNACK_BAD_CONNECT || may_refuse
                               : code == SMQ_CONNACK_UNAVAILABLE && may_refuse,
               "link %u: its Connect was refused with code %u (1)", link->index, code);
        link->phase = LINK_OVER;
        return;
    }
    expect(link->asked_connect, "link %u: a Connack without a Connect", link->index);
    expect(etid > SMQ_ID_SERVER, "link %u: the ETID %u is never given out", link->index, etid);
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        const struct link *other = &sim->links[i];

        if (other == link || other->instance != link->instance || other->phase != LINK_LIVE ||
            !kernel_is_live(sim, other))
            continue;
        expect(other->etid != etid || other->uid == link->uid,
               "links %u and %u have the same ETID %u and different UIDs", i, link->index, etid);
    }
    link->phase = LINK_LIVE;
    link->etid = etid;
    messages_expect(sim, link, etid);
}

static void received_init(struct link *link, struct span body)
{
    expect(link->phase == LINK_INIT, "link %u: Init in phase %u (1)", link->index, link->phase);
    expect(body.data[0] == SMQ_PROTOCOL_VERSION && body.bytes_count > 5,
           "link %u: Init of version %u, %zu bytes", link->index, body.data[0], body.bytes_count);
    link->phase = LINK_CONNACK;
}

static void received_ping(struct sim *sim, struct link *link)
{
    expect(sim->scenario.time_passes, "link %u: a Ping, and no time has passed (15)", link->index);
    link->is_pinged = true;
    link->ping_tick = sim->world.now_tick;
    if (link_has_room(link) && dice_percent(&sim->dice, 80))
        link_write_frame(link, SMQ_PONG, span_of(NULL, 0), span_of(NULL, 0), (struct deed){0});
}

static bool is_text(struct span body, const char *text)
{
    return body.bytes_count == strlen(text) && memcmp(body.data, text, body.bytes_count) == 0;
}

static void received_disconnect(struct link *link, struct span body)
{
    bool is_late = is_text(body, "a frame was not finished in time"); /* model_ended judges it */

    expect(is_text(body, "reconnect") ? link->had_rival : link->was_wrong || is_late,
           "link %u: Disconnect \"%.*s\" for no reason (2, 18)", link->index, (int)body.bytes_count,
           (const char *)body.data);
    link->phase = LINK_OVER;
}

/* The smallest body of what a server sends; UINT32_MAX: a server does not send this. */
static uint32_t body_bytes_min(enum smq_packet type)
{
    static const struct {
        bool is_ours;
        uint8_t bytes_min;
    } packets[SMQ_PACKET_COUNT] = {
#define X(name, value, minimum, from) [value] = {((from)&SMQ_FROM_SERVER) != 0, minimum},
        SMQ_PACKETS(X)
#undef X
    };

    return type < SMQ_PACKET_COUNT && packets[type].is_ours ? packets[type].bytes_min : UINT32_MAX;
}

void model_received(struct sim *sim, struct link *link, enum smq_packet type, struct span body)
{
    expect(body_bytes_min(type) <= body.bytes_count,
           "link %u: a frame of type %u with a body of %zu bytes", link->index, type,
           body.bytes_count);
    bool is_greeting = type == SMQ_INIT || type == SMQ_CONNACK;

    expect(is_greeting || link->phase == LINK_LIVE ||
               (type == SMQ_DISCONNECT && link->phase != LINK_OVER),
           "link %u: a frame of type %u in phase %u (1)", link->index, type, link->phase);
    journal_note("link %u: reads %s %02x %u %u", link->index, model_type_name(type),
                 body.bytes_count >= 5 ? body.data[0] : 0,
                 body.bytes_count >= 5 ? smq_load_u32(body.data + 1) : 0,
                 body.bytes_count >= 8 ? smq_load_u32(body.data + 4) : 0);
    if (sim->model.calm)
        calm_received(sim, link, type, body);
    switch (type) {
    case SMQ_INIT:
        received_init(link, body);
        return;
    case SMQ_CONNACK:
        received_connack(sim, link, body);
        return;
    case SMQ_SUBACK:
    case SMQ_CREATEACK:
    case SMQ_CREATESUBACK:
        beliefs_acked(sim, link, type, body);
        return;
    case SMQ_PUBLISH:
        messages_received(sim, link, body);
        return;
    case SMQ_CHANGE:
        beliefs_changed(sim, link, smq_load_u32(body.data), smq_load_u32(body.data + 4));
        return;
    case SMQ_DISCONNECT:
        received_disconnect(link, body);
        return;
    case SMQ_PING:
        received_ping(sim, link);
        return;
    case SMQ_PONG:
        return;
    case SMQ_CONNECT:
    case SMQ_SUBSCRIBE:
    case SMQ_CREATE:
    case SMQ_UNSUBSCRIBE:
    case SMQ_OBSERVE:
    case SMQ_UNOBSERVE:
    case SMQ_CREATESUB:
    case SMQ_PUBFRAG:
    case SMQ_PACKET_COUNT:
        break;
    }
    must_never("a frame only a client sends was let through");
}

/* -- the end -- */

static uint32_t ticks_of(uint32_t ms)
{
    return (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

/* Has there been anything that explains this end? */
static bool is_explained(const struct sim *sim, const struct link *link, enum close_reason reason)
{
    const struct config *config = &sim->scenario.config;
    uint32_t now_tick = sim->world.now_tick;

    switch (reason) {
    case CLOSE_PEER:
        return link->has_closed || link->has_aborted;
    case CLOSE_DISCONNECT:
        return link->said_disconnect;
    case CLOSE_PROTOCOL:
        return link->was_wrong;
    case CLOSE_HTTP:
        return link->expects_refusal;
    case CLOSE_REFUSED:
        return link->was_wrong || sim->scenario.tight_limits ||
               scenario_has_faults(&sim->scenario) || sim->is_draining;
    case CLOSE_TAKEOVER:
        return link->had_rival;
    case CLOSE_HANDSHAKE_TIMEOUT:
        return now_tick - link->accept_tick >= ticks_of(config->limits.handshake_timeout_ms);
    case CLOSE_KEEPALIVE:
        return now_tick - link->last_fed_tick >=
               ticks_of(config->keepalive_idle_ms) + ticks_of(config->keepalive_answer_ms);
    case CLOSE_SLOW:
        return sim->scenario.small_queues ||
               sim->scenario.little_memory; /* queues are short then */
    case CLOSE_MEMORY:
        return scenario_has_faults(&sim->scenario);
    case CLOSE_DRAIN:
        return sim->is_draining;
    case CLOSE_FRAME_TIMEOUT:
        return link->is_begun &&
               now_tick - link->begun_tick >= ticks_of(config->limits.frame_timeout_ms);
    case CLOSE_IO_ERROR:
    case CLOSE_TLS:
    case CLOSE_CERTIFICATE:
    case CLOSE_ENDED:
    case CLOSE_RIGHTS:
    case CLOSE_GUARD:
    case CLOSE_REASON_COUNT:
        break;
    }
    return false;
}

void model_ended(struct sim *sim, struct link *link, const struct conn *conn)
{
    enum close_reason reason = (enum close_reason)conn->close_reason;

    sim->model.ended_dropped_count += conn->dropped_count;
    expect(is_explained(sim, link, reason), "link %u: ended as %s, for no reason", link->index,
           close_reason_name(reason));
    if (link->etid != SMQ_ID_NONE)
        beliefs_retire(sim, link->instance, link->etid);
}

void model_refused(struct sim *sim, struct link *link)
{
    expect(sim->scenario.tight_limits || scenario_has_faults(&sim->scenario) || sim->is_draining,
           "link %u: not accepted, with no limit near", link->index);
}

/* -- bounds -- */

void model_watch(struct sim *sim, struct link *link, const struct conn *conn)
{
    const struct config_limits *limits = &sim->scenario.config.limits;
    struct knowledge *knowledge = &sim->model.knowledge[link->index];
    uint32_t queued_bytes = conn->out.queued_bytes;
    uint32_t frame_bytes = SMQ_PUBLISH_HEADER_BYTES + sim->scenario.payload_bytes_max;

    expect(queued_bytes <= limits->queue_bytes_max + LIMIT_QUEUE_CONTROL_ROOM + LIMIT_REASON_BYTES,
           "link %u: %u bytes wait for it, over the limit (20)", link->index, queued_bytes);
    if (conn->dropped_count == knowledge->dropped_count)
        return;
    knowledge->dropped_count = conn->dropped_count;
    expect(sim->scenario.small_queues || scenario_has_faults(&sim->scenario),
           "link %u: a message was dropped for it, and its queue has room (20)", link->index);
    if (limits->slow_consumer == SLOW_DROP_NEW && !scenario_has_faults(&sim->scenario))
        expect(queued_bytes + frame_bytes > limits->queue_bytes_max,
               "link %u: a message was dropped, and only %u bytes wait for it (20)", link->index,
               queued_bytes);
}

/* No message was queued where it did not fit: counted from the front, each ends within the limit.
 * Only answers and the like may lie beyond. */
void model_offered(const struct sim *sim, const struct link *link, const struct iovec *pieces,
                   uint32_t count)
{
    uint32_t bytes_max = sim->scenario.config.limits.queue_bytes_max;
    uint32_t passed_bytes = 0;

    if (link->phase == LINK_HTTP || sim->in_flight_bytes[link->index] <= bytes_max)
        return;
    uint32_t skip_bytes = link_rest_of_frame(link, *(const uint8_t *)pieces[0].iov_base);

    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *bytes = pieces[i].iov_base;
        uint32_t piece_bytes = (uint32_t)pieces[i].iov_len;

        for (uint32_t at = skip_bytes, frame_bytes; at < piece_bytes; at += frame_bytes) {
            frame_bytes = smq_load_u16(bytes + at);
            expect(frame_bytes >= SMQ_HEADER_BYTES && at + frame_bytes <= piece_bytes,
                   "link %u: its output has a frame of %u bytes in a piece of %u", link->index,
                   frame_bytes, piece_bytes);
            expect(bytes[at + SMQ_LENGTH_BYTES] != SMQ_PUBLISH ||
                       passed_bytes + at + frame_bytes <= bytes_max,
                   "link %u: a message lies %u bytes beyond the limit of its queue (20)",
                   link->index, passed_bytes + at + frame_bytes - bytes_max);
        }
        skip_bytes = 0;
        passed_bytes += piece_bytes;
    }
}
