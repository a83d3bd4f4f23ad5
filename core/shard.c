/*
 * core/shard.c — what a router shard does with each envelope.
 *
 * Thread: the shard's (a router thread, an I/O thread's turn, or the simulation).
 * Owns:   nothing but its state (core/shard_state.c).
 * Never:  blocks. The thread around it, when it has one of its own: core/shard_thread.c.
 *
 * One rule keeps everybody's tables true: the shard is the authority on who holds what, and every
 * request gets exactly one answer on the same lane. An I/O actor whose connection has closed
 * meanwhile answers a hold it can no longer record with LEAVE.
 */
#include "core/shard.h"

#include <string.h>

#include "core/hooks.h"
#include "core/identity.h"
#include "core/msg.h"
#include "core/shard_names.h"
#include "core/shard_rights.h"
#include "core/shard_state.h"

const struct stat_desc shard_stat_descs[SHARD_STAT_COUNT] = {
#define X(name, text, unit, help) [SHARD_STAT_##name] = {text, unit, help},
    SHARD_STATS(X)
#undef X
};

#define STAT_NONE SHARD_STAT_COUNT /* no reason to refuse */

static void count(struct shard *shard, enum shard_stat stat, uint64_t amount)
{
    counter_add(&shard->stats[stat], amount);
}

static void answer(struct shard *shard, const struct envelope *request, struct envelope answer)
{
    shard_answer(shard, request, answer);
}

/* The I/O actor gave something back: was a limit of one client the reason? */
static void count_given_back(struct shard *shard, const struct envelope *envelope,
                             enum shard_stat at_limit)
{
    if (envelope->flags & ENVELOPE_AT_LIMIT)
        count(shard, at_limit, 1);
    if (envelope->flags & ENVELOPE_AT_SUB_LIMIT)
        count(shard, SHARD_STAT_SUBSCRIPTION_LIMIT, 1);
}

/* -- observers -- */

/* Tell everybody who observes @of that it has @subscriber_count subscribers now. */
static void tell_observers(struct shard *shard, struct observable of, uint32_t subscriber_count,
                           uint8_t flags)
{
    const struct members *observers = observers_of(shard, of);
    struct envelope change = {.kind = ENVELOPE_CHANGE,
                              .flags = flags,
                              .instance_index = of.instance_index,
                              .id = of.id,
                              .count = subscriber_count};
    uint32_t cursor = 0;
    uint32_t unused;

    if (!observers)
        return;
    while (members_next(observers, &cursor, &change.conn, &unused))
        port_push(shard->port, change.conn.host_index, change);
}

static void tell_topic_changed(struct shard *shard, struct topic *topic)
{
    tell_observers(shard, observable_topic(topic), topic_subscriber_count(topic), 0);
}

/* The client behind an ETID is gone, or replaced: Change 0, and the observations end. */
static void end_client_observations(struct shard *shard, struct client *client)
{
    struct observable of = observable_client(client);
    const struct members *observers = observers_of(shard, of);

    if (!observers)
        return;
    tell_observers(shard, of, 0, ENVELOPE_ENDED);
    count(shard, SHARD_STAT_OBSERVATIONS, (uint64_t)0 - observers->count);
    observers_clear(shard, of);
}

static bool is_observed_by(struct shard *shard, struct observable of, struct conn_handle conn)
{
    const struct members *observers = observers_of(shard, of);
    uint32_t unused;

    return observers && members_find(observers, conn, &unused);
}

static struct observable observable_of(struct entity entity)
{
    return entity.topic ? observable_topic(entity.topic) : observable_client(entity.client);
}

static void on_observe(struct shard *shard, struct envelope *envelope)
{
    struct entity entity = entity_by_id(shard, envelope->instance_index, envelope->id);
    struct envelope reply = {.kind = ENVELOPE_CHANGE,
                             .flags = ENVELOPE_REPLY,
                             .id = envelope->id,
                             .count = 0};

    if (envelope->flags & ENVELOPE_JUDGE && !shard_judge_observe(shard, envelope, entity)) {
        reply.flags |= ENVELOPE_SILENT;
        answer(shard, envelope, reply);
        return;
    }
    if (!entity.topic && !entity.client) { /* unknown: Change 0, nothing kept (§4.13) */
        answer(shard, envelope, reply);
        return;
    }
    if (entity.topic)
        reply.count = topic_subscriber_count(entity.topic);
    else
        reply.flags |= ENVELOPE_SILENT; /* an ETID says nothing until it goes */

    struct observable of = observable_of(entity);
    bool own_etid = entity.client && conn_handle_equal(entity.client->conn, envelope->conn);

    if (own_etid || is_observed_by(shard, of, envelope->conn)) {
        answer(shard, envelope, reply);
        return;
    }
    if (envelope->flags & ENVELOPE_AT_LIMIT) {
        count(shard, SHARD_STAT_OBSERVE_LIMIT, 1);
        reply.flags |= ENVELOPE_SILENT;
    } else if (observers_add(shard, of, envelope->conn) == MEMBERS_NO_MEMORY) {
        count(shard, SHARD_STAT_NO_MEMORY, 1);
        reply.flags |= ENVELOPE_SILENT;
    } else {
        count(shard, SHARD_STAT_OBSERVATIONS, 1);
        reply.flags |= ENVELOPE_NEW;
    }
    answer(shard, envelope, reply);
}

static bool remove_observer(struct shard *shard, const struct envelope *envelope,
                            struct entity entity)
{
    if ((!entity.topic && !entity.client) ||
        !observers_remove(shard, observable_of(entity), envelope->conn))
        return false;
    count(shard, SHARD_STAT_OBSERVATIONS, (uint64_t)-1);
    return true;
}

static void on_unobserve(struct shard *shard, const struct envelope *envelope)
{
    struct entity entity = entity_by_id(shard, envelope->instance_index, envelope->id);

    count_given_back(shard, envelope, SHARD_STAT_OBSERVE_LIMIT);
    if (remove_observer(shard, envelope, entity))
        answer(shard, envelope,
               (struct envelope){.kind = ENVELOPE_CHANGE,
                                 .flags = ENVELOPE_ENDED | ENVELOPE_SILENT,
                                 .id = envelope->id});
    if (entity.topic)
        topic_forget_if_unheld(shard, entity.topic);
}

/* -- clients -- */

/* The UID is live: the newer connection takes it over, with the same ETID (§4.2). */
static void take_over(struct shard *shard, struct client *client, const struct envelope *envelope)
{
    struct envelope kick = {.kind = ENVELOPE_KICK,
                            .instance_index = client->instance_index,
                            .conn = client->conn,
                            .id = client->id};

    count(shard, SHARD_STAT_TAKEOVERS, 1);
    port_push(shard->port, client->conn.host_index, kick);
    end_client_observations(shard, client);
    msg_unref(&shard->mem, client->identity);
    client->identity = envelope->msg; /* its reference is ours now */
    client->conn = envelope->conn;
}

static void refuse_connect(struct shard *shard, const struct envelope *envelope,
                           enum smq_connack code)
{
    msg_unref(&shard->mem, envelope->msg);
    answer(shard, envelope, (struct envelope){.kind = ENVELOPE_CONNECTED, .status = (uint8_t)code});
}

/* ETID 1 is only for a client inside the broker, and only for one at a time (§1). */
static bool may_be_server(struct shard *shard, const struct envelope *envelope)
{
    must(mesh_shard_of_id(shard->port->mesh, SMQ_ID_SERVER) == shard->shard_index);
    return !entity_by_id(shard, envelope->instance_index, SMQ_ID_SERVER).client;
}

static bool may_take_over(const struct msg *newcomer, const struct client *client)
{
    struct identity newer = identity_read(msg_span(newcomer));
    struct identity older = identity_read(msg_span(client->identity));

    return identity_may_take_over(&newer, &older);
}

static void on_connect(struct shard *shard, const struct envelope *envelope)
{
    struct span uid = identity_uid(envelope->msg);
    bool is_server = envelope->flags & ENVELOPE_SERVER;
    struct client *client = client_by_uid(shard, envelope->instance_index, uid, envelope->hash);

    if (is_server && (client || !may_be_server(shard, envelope))) {
        refuse_connect(shard, envelope, SMQ_CONNACK_ACCESS_DENIED);
        return;
    }
    if (client && !may_take_over(envelope->msg, client)) {
        count(shard, SHARD_STAT_IDENTITY, 1);
        refuse_connect(shard, envelope, SMQ_CONNACK_ACCESS_DENIED);
        return;
    }
    if (client) {
        take_over(shard, client, envelope);
    } else {
        client = client_make(shard, envelope->instance_index, envelope->msg, envelope->hash,
                             is_server ? SMQ_ID_SERVER : 0);
        if (!client) {
            count(shard, SHARD_STAT_NO_MEMORY, 1);
            refuse_connect(shard, envelope, SMQ_CONNACK_UNAVAILABLE);
            return;
        }
        client->conn = envelope->conn;
    }
    answer(shard, envelope,
           (struct envelope){.kind = ENVELOPE_CONNECTED,
                             .status = SMQ_CONNACK_ACCEPTED,
                             .id = client->id});
}

static void on_gone(struct shard *shard, const struct envelope *envelope)
{
    struct client *client = entity_by_id(shard, envelope->instance_index, envelope->id).client;

    if (!client || !conn_handle_equal(client->conn, envelope->conn))
        return; /* taken over meanwhile: the ETID lives on */
    end_client_observations(shard, client);
    client_remove(shard, client);
}

/* -- topics -- */

/* Give the name back to where it came from, refused. */
static void deny(struct shard *shard, const struct envelope *envelope, enum envelope_kind kind,
                 enum shard_stat why)
{
    count(shard, why, 1);
    answer(shard, envelope,
           (struct envelope){.kind = (uint8_t)kind,
                             .status = SMQ_ACK_DENIED,
                             .msg = envelope->msg});
}

/* The topic of this name, made when it is new and the limits allow. On NULL *@why says which. */
static struct topic *resolve(struct shard *shard, const struct envelope *envelope,
                             enum shard_stat *why)
{
    struct span name = msg_span(envelope->msg);
    uint16_t instance = envelope->instance_index;
    struct topic *topic = topic_by_name(shard, instance, name, envelope->hash);

    if (topic)
        return topic;
    *why = SHARD_STAT_TOPIC_LIMIT;
    if (envelope->flags & ENVELOPE_AT_LIMIT || !shard_number_is_free(shard, envelope))
        return NULL;
    if (!quota_take(&shard->quotas->topics))
        return NULL;
    if (quota_take(&shard->quotas->instances[instance].topics)) {
        topic = topic_make(shard, instance, name, envelope->hash, envelope->id);
        if (topic) {
            topic->flags &= (uint8_t)~TOPIC_PINNED; /* with a number of its own, too */
            return topic;
        }
        *why = SHARD_STAT_NO_MEMORY;
        quota_give(&shard->quotas->instances[instance].topics);
    }
    quota_give(&shard->quotas->topics);
    return NULL;
}

/* The number of a new grant, as member flags. An I/O actor that must give a hold back (no memory, a
 * limit) names it: it may be too late, the client has left the topic meanwhile and been granted it
 * again, and that newer hold must stay. */
static uint32_t next_grant(struct shard *shard)
{
    shard->last_grant = (uint16_t)(shard->last_grant % MEMBER_GRANT_MAX + 1);
    return (uint32_t)shard->last_grant << MEMBER_GRANT_SHIFT;
}

/* Is the hold with these member flags the one that @envelope is about? */
static bool is_of_grant(uint32_t flags, const struct envelope *envelope)
{
    return envelope->grant == 0 || envelope->grant == flags >> MEMBER_GRANT_SHIFT;
}

static void on_create(struct shard *shard, const struct envelope *envelope)
{
    enum shard_stat why;
    uint32_t flags;

    if (shard_name_is_elsewhere(shard, envelope))
        return;
    if (!shard_may_choose(shard, envelope)) {
        deny(shard, envelope, ENVELOPE_CREATED, SHARD_STAT_CHOSEN_TAKEN);
        return;
    }
    struct topic *topic = resolve(shard, envelope, &why);

    if (!topic) {
        deny(shard, envelope, ENVELOPE_CREATED, why);
        return;
    }
    bool held = members_find(&topic->holders, envelope->conn, &flags);
    if (!held && envelope->flags & ENVELOPE_AT_LIMIT) {
        deny(shard, envelope, ENVELOPE_CREATED, SHARD_STAT_TOPIC_LIMIT);
        return;
    }
    if (!held && members_add(&topic->holders, &shard->mem, envelope->conn, next_grant(shard)) ==
                     MEMBERS_NO_MEMORY) {
        topic_forget_if_unheld(shard, topic);
        deny(shard, envelope, ENVELOPE_CREATED, SHARD_STAT_NO_MEMORY);
        return;
    }
    shard_created(shard, envelope,
                  (struct envelope){.kind = ENVELOPE_CREATED,
                                    .flags = held ? 0 : ENVELOPE_NEW,
                                    .grant = held ? 0 : shard->last_grant,
                                    .id = topic->id,
                                    .msg = envelope->msg});
}

static bool take_subscription_quota(struct shard *shard, uint16_t instance)
{
    if (!quota_take(&shard->quotas->subscriptions))
        return false;
    if (quota_take(&shard->quotas->instances[instance].subscriptions))
        return true;
    quota_give(&shard->quotas->subscriptions);
    return false;
}

static void give_subscription_quota(struct shard *shard, uint16_t instance)
{
    quota_give(&shard->quotas->instances[instance].subscriptions);
    quota_give(&shard->quotas->subscriptions);
}

/* Make @conn a subscriber. Quotas have been taken. False: over the memory limit. */
static bool subscribe(struct shard *shard, struct topic *topic, struct conn_handle conn)
{
    uint32_t flags;

    if (!topic_count_in(shard, topic, conn.host_index))
        return false;
    if (members_find(&topic->holders, conn, &flags))
        members_clear(&topic->holders, conn, flags);
    if (members_add(&topic->holders, &shard->mem, conn, MEMBER_SUBSCRIBED | next_grant(shard)) !=
        MEMBERS_NO_MEMORY)
        return true;
    topic_count_out(shard, topic, conn.host_index);
    return false;
}

static void on_subscribe(struct shard *shard, const struct envelope *envelope)
{
    enum shard_stat why;
    uint32_t flags;

    if (shard_name_is_elsewhere(shard, envelope))
        return;
    struct topic *topic = resolve(shard, envelope, &why);

    if (!topic) {
        deny(shard, envelope, ENVELOPE_SUBSCRIBED, why);
        return;
    }
    bool held = members_find(&topic->holders, envelope->conn, &flags);
    bool subscribed = flags & MEMBER_SUBSCRIBED;

    if (!subscribed) {
        why = STAT_NONE;
        if (!held && envelope->flags & ENVELOPE_AT_LIMIT)
            why = SHARD_STAT_TOPIC_LIMIT;
        else if (envelope->flags & ENVELOPE_AT_SUB_LIMIT ||
                 !take_subscription_quota(shard, topic->instance_index))
            why = SHARD_STAT_SUBSCRIPTION_LIMIT;
        else if (!subscribe(shard, topic, envelope->conn)) {
            give_subscription_quota(shard, topic->instance_index);
            why = SHARD_STAT_NO_MEMORY;
        }
        if (why != STAT_NONE) {
            topic_forget_if_unheld(shard, topic);
            deny(shard, envelope, ENVELOPE_SUBSCRIBED, why);
            return;
        }
        count(shard, SHARD_STAT_SUBSCRIPTIONS, 1);
        /* Before the Suback: who observes and then subscribes hears in that order (§4.12). */
        tell_topic_changed(shard, topic);
    }
    answer(shard, envelope,
           (struct envelope){.kind = ENVELOPE_SUBSCRIBED,
                             .flags = subscribed ? 0 : ENVELOPE_NEW,
                             .grant = subscribed ? 0 : shard->last_grant,
                             .id = topic->id,
                             .msg = envelope->msg});
}

/* @conn no longer listens; it may still hold the number. */
static void end_subscription(struct shard *shard, struct topic *topic, struct conn_handle conn)
{
    topic_count_out(shard, topic, conn.host_index);
    give_subscription_quota(shard, topic->instance_index);
    count(shard, SHARD_STAT_SUBSCRIPTIONS, (uint64_t)-1);
    tell_topic_changed(shard, topic);
}

static void on_unsubscribe(struct shard *shard, const struct envelope *envelope)
{
    struct topic *topic = entity_by_id(shard, envelope->instance_index, envelope->id).topic;
    uint32_t flags;

    count_given_back(shard, envelope, SHARD_STAT_TOPIC_LIMIT);
    if (!topic || !members_find(&topic->holders, envelope->conn, &flags) ||
        !(flags & MEMBER_SUBSCRIBED) || !is_of_grant(flags, envelope))
        return;
    members_clear(&topic->holders, envelope->conn, MEMBER_SUBSCRIBED);
    end_subscription(shard, topic, envelope->conn);
    answer(shard, envelope, (struct envelope){.kind = ENVELOPE_UNSUBSCRIBED, .id = topic->id});
}

static void release(struct shard *shard, struct topic *topic, struct conn_handle conn)
{
    uint32_t flags;

    if (members_remove(&topic->holders, &shard->mem, conn, &flags) && flags & MEMBER_SUBSCRIBED)
        end_subscription(shard, topic, conn);
    topic_forget_if_unheld(shard, topic);
}

static void on_release(struct shard *shard, const struct envelope *envelope)
{
    struct topic *topic = entity_by_id(shard, envelope->instance_index, envelope->id).topic;
    uint32_t flags;

    count_given_back(shard, envelope, SHARD_STAT_TOPIC_LIMIT);
    if (topic && members_find(&topic->holders, envelope->conn, &flags) &&
        is_of_grant(flags, envelope))
        release(shard, topic, envelope->conn);
}

static void on_leave(struct shard *shard, const struct envelope *envelope)
{
    struct entity entity = entity_by_id(shard, envelope->instance_index, envelope->id);

    (void)remove_observer(shard, envelope, entity); /* first: who leaves does not hear of it */
    if (entity.topic)
        release(shard, entity.topic, envelope->conn);
}

static void on_createsub(struct shard *shard, const struct envelope *envelope)
{
    struct span name = msg_span(envelope->msg);
    uint16_t instance = envelope->instance_index;
    struct subtopic *subtopic = subtopic_by_name(shard, instance, name, envelope->hash);

    if (envelope->flags & ENVELOPE_CHOSEN && !shard_may_choose_sub(shard, envelope, subtopic)) {
        deny(shard, envelope, ENVELOPE_SUBCREATED, SHARD_STAT_CHOSEN_TAKEN);
        return;
    }
    if (envelope->flags & ENVELOPE_CHOSEN && shard_reserve_sub(shard, envelope))
        return;
    if (!subtopic) {
        struct quota *quota = &shard->quotas->instances[instance].subtopics;

        if (!quota_take(quota)) {
            deny(shard, envelope, ENVELOPE_SUBCREATED, SHARD_STAT_SUBTOPIC_LIMIT);
            return;
        }
        subtopic = subtopic_make(shard, instance, name, envelope->hash, envelope->id);
        if (!subtopic) {
            quota_give(quota);
            deny(shard, envelope, ENVELOPE_SUBCREATED, SHARD_STAT_NO_MEMORY);
            return;
        }
    }
    answer(shard, envelope,
           (struct envelope){.kind = ENVELOPE_SUBCREATED,
                             .id = subtopic->id,
                             .msg = envelope->msg});
}

/* -- messages -- */

/* Hand a run to a host. An I/O actor always empties its inbox; a local one is a receiver whose
 * queue is its lane: it may be slow, but must not hold anybody up (§4.20). */
static void push_run(struct shard *shard, uint32_t host, const struct envelope *envelope)
{
    if (host >= shard->port->mesh->io_count && port_room(shard->port, host) == 0) {
        count(shard, SHARD_STAT_DROPPED_LOCAL, envelope->count);
        msg_unref(&shard->mem, envelope->msg);
        return;
    }
    port_push(shard->port, host, *envelope);
}

static void publish_to_topic(struct shard *shard, const struct topic *topic,
                             const struct envelope *envelope)
{
    struct envelope deliver = {.kind = ENVELOPE_DELIVER,
                               .instance_index = topic->instance_index,
                               .id = topic->id,
                               .etid = envelope->etid,
                               .count = envelope->count,
                               .msg = envelope->msg,
                               .received_ns = envelope->received_ns};
    uint64_t mask = topic_host_mask(topic);

    must(mask != 0);
    if (mask & (mask - 1))
        msg_ref_many(envelope->msg, (uint32_t)__builtin_popcountll(mask) - 1);
    for (; mask; mask &= mask - 1)
        push_run(shard, (uint32_t)__builtin_ctzll(mask), &deliver);
}

/* The script wants to see what nobody received. Takes the run, if so. A script that is slow to look
 * misses some: nobody waits for it. */
static bool tell_dropped(struct shard *shard, const struct envelope *envelope)
{
    const struct hooks *hooks = &shard->hooks[envelope->instance_index];
    uint32_t host = hooks_host(hooks);
    struct envelope dropped = *envelope;

    if (host == HOOKS_NO_HOST || !hooks_want(hooks, HOOK_ONDROP) ||
        port_room(shard->port, host) == 0)
        return false;
    dropped.kind = ENVELOPE_DROPPED;
    port_push(shard->port, host, dropped);
    return true;
}

static void on_publish(struct shard *shard, struct envelope *envelope)
{
    struct entity entity = entity_by_id(shard, envelope->instance_index, envelope->id);
    bool may = !(envelope->flags & ENVELOPE_JUDGE) || shard_judge_publish(shard, envelope, entity);

    if (envelope->flags & ENVELOPE_RETURN) {
        envelope->flags &= (uint8_t)~ENVELOPE_RETURN;
        port_push(shard->port, envelope->conn.host_index, *envelope);
        if (may)
            return; /* it is counted when it comes again */
    }
    count(shard, SHARD_STAT_RUNS, 1);
    count(shard, SHARD_STAT_MESSAGES, envelope->count);
    if (!may)
        return;
    if (entity.topic && topic_subscriber_count(entity.topic) > 0) {
        publish_to_topic(shard, entity.topic, envelope);
        return;
    }
    if (entity.client) {
        struct envelope direct = *envelope;

        direct.kind = ENVELOPE_DIRECT;
        direct.conn = entity.client->conn;
        push_run(shard, direct.conn.host_index, &direct);
        return;
    }
    count(shard, SHARD_STAT_NO_RECEIVER, envelope->count);
    if (shard->hooks && tell_dropped(shard, envelope))
        return;
    msg_unref(&shard->mem, envelope->msg);
}

static void on_stop(struct shard *shard, const struct envelope *envelope)
{
    shard->stopped = true;
    port_push(shard->port, envelope->from, (struct envelope){.kind = ENVELOPE_STOPPED});
}

/* -- the loop -- */

/* The switch is exhaustive on purpose: a new kind does not compile until someone decides what it
 * does here. Each handler owns the envelope's msg reference. */
static void dispatch(struct shard *shard, struct envelope *envelope)
{
    switch ((enum envelope_kind)envelope->kind) {
    case ENVELOPE_CONNECT:
        on_connect(shard, envelope);
        return;
    case ENVELOPE_GONE:
        on_gone(shard, envelope);
        return;
    case ENVELOPE_SUBSCRIBE:
        on_subscribe(shard, envelope);
        return;
    case ENVELOPE_CREATE:
        on_create(shard, envelope);
        return;
    case ENVELOPE_CREATESUB:
        on_createsub(shard, envelope);
        return;
    case ENVELOPE_UNSUBSCRIBE:
        on_unsubscribe(shard, envelope);
        return;
    case ENVELOPE_RELEASE:
        on_release(shard, envelope);
        return;
    case ENVELOPE_LEAVE:
        on_leave(shard, envelope);
        return;
    case ENVELOPE_PUBLISH:
        on_publish(shard, envelope);
        return;
    case ENVELOPE_OBSERVE:
        on_observe(shard, envelope);
        return;
    case ENVELOPE_UNOBSERVE:
        on_unobserve(shard, envelope);
        return;
    case ENVELOPE_LOOKUP:
        shard_lookup(shard, envelope);
        return;
    case ENVELOPE_STOP:
        on_stop(shard, envelope);
        return;
    case ENVELOPE_LIST:
        shard_list(shard, envelope);
        return;
    case ENVELOPE_RELOAD:
        shard_rights_reload(shard);
        return;
    case ENVELOPE_CONNECTED:
    case ENVELOPE_KICK:
    case ENVELOPE_SUBSCRIBED:
    case ENVELOPE_UNSUBSCRIBED:
    case ENVELOPE_CREATED:
    case ENVELOPE_SUBCREATED:
    case ENVELOPE_DELIVER:
    case ENVELOPE_DIRECT:
    case ENVELOPE_CHANGE:
    case ENVELOPE_FOUND:
    case ENVELOPE_ELSEWHERE:
    case ENVELOPE_RECHECK:
    case ENVELOPE_SIGNED:
    case ENVELOPE_AUTH_VERDICT:
    case ENVELOPE_STOPPED:
    case ENVELOPE_ROWS:
    case ENVELOPE_ROWS_END:
    case ENVELOPE_HTTP_REQUEST:
    case ENVELOPE_HTTP_ANSWER:
    case ENVELOPE_END:
    case ENVELOPE_REPORT:
    case ENVELOPE_JOINED:
    case ENVELOPE_LEFT:
    case ENVELOPE_TAP:
    case ENVELOPE_TAPPED:
    case ENVELOPE_WHERE:
    case ENVELOPE_ADDRESS:
    case ENVELOPE_EXPEL:
    case ENVELOPE_FACTS:
    case ENVELOPE_PEER_JOINED:
    case ENVELOPE_PEER_LEFT:
    case ENVELOPE_ROOM:
    case ENVELOPE_DROPPED:
    case ENVELOPE_EVENT:
    case ENVELOPE_TLS_FACTS:
    case ENVELOPE_KIND_COUNT:
        break;
    }
    must_never("an envelope that is not for shards crossed the lane");
}

uint32_t shard_turn(struct shard *shard)
{
    struct mesh *mesh = shard->port->mesh;
    struct envelope envelope;
    uint32_t handled_count = 0;

    for (uint32_t from = 0; from < mesh->actor_count; from++) {
        for (uint32_t i = 0; i < LIMIT_LANE_BATCH && port_is_clear(shard->port); i++) {
            if (!port_pop(shard->port, from, &envelope))
                break;
            dispatch(shard, &envelope);
            handled_count++;
        }
    }
    if (handled_count > 0) {
        count(shard, SHARD_STAT_ENVELOPES, handled_count);
        count(shard, SHARD_STAT_TURNS, 1);
    }
    if (shard->recheck_instances != 0)
        handled_count += shard_rights_step(shard);
    return handled_count;
}

uint32_t shard_of_topic_name(const struct config *config, const struct mesh *mesh,
                             uint16_t instance_index, struct span name, uint64_t hash)
{
    const struct config_instance *instance = &config->instances[instance_index];

    for (uint32_t i = 0; i < instance->topic_count; i++) {
        const struct config_pin *pin = &instance->topics[i];
        if (strlen(pin->name) == name.bytes_count &&
            memcmp(pin->name, name.data, name.bytes_count) == 0)
            return mesh_shard_of_id(mesh, pin->id);
    }
    return mesh_shard_of_hash(mesh, hash);
}

/* -- life -- */

static enum status make_pinned(struct shard *shard, uint16_t instance_index)
{
    const struct config_instance *instance = &shard->config->instances[instance_index];
    struct mesh *mesh = shard->port->mesh;

    for (uint32_t i = 0; i < instance->topic_count; i++) {
        struct span name = span_of(instance->topics[i].name, strlen(instance->topics[i].name));
        uint64_t hash = siphash(&shard->name_key, name);

        if (mesh_shard_of_id(mesh, instance->topics[i].id) == shard->shard_index &&
            !topic_make(shard, instance_index, name, hash, instance->topics[i].id))
            return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < instance->subtopic_count; i++) {
        struct span name =
            span_of(instance->subtopics[i].name, strlen(instance->subtopics[i].name));
        uint64_t hash = siphash(&shard->name_key, name);

        if (mesh_shard_of_hash(mesh, hash) == shard->shard_index &&
            !subtopic_make(shard, instance_index, name, hash, instance->subtopics[i].id))
            return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

enum status shard_init(struct shard *shard, const struct shard_options *options)
{
    shard->config = options->config;
    shard->quotas = options->quotas;
    shard->judge = options->judge;
    shard->hooks = options->hooks;
    shard->recheck_instances = 0;
    shard->shard_index = options->shard_index;
    shard->port = &options->mesh->ports[mesh_shard_index(options->mesh, options->shard_index)];
    shard->last_grant = 0;
    shard->stopped = false;
    shard->name_key = options->name_key;
    shard->random = (struct random_ids){.key = options->random_key};
    memset((void *)shard->stats, 0, sizeof(shard->stats));
    shard_state_init(shard);
    for (uint16_t i = 0; i < shard->config->instance_count; i++) {
        enum status status = make_pinned(shard, i);

        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

void shard_deinit(struct shard *shard)
{
    shard_state_deinit(shard);
}
