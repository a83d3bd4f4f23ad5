/* core/shard_rights.c — rights to numbers, see core/shard_rights.h. Thread: the shard's. */
#include "core/shard_rights.h"

#include "core/identity.h"
#include "core/msg.h"

#define TOPICS_A_TURN 64u

static bool may(struct shard *shard, const struct envelope *envelope, struct span identity,
                struct entity entity, enum shard_right right)
{
    const struct shard_judge *judge = shard->judge;
    struct span name;

    if (entity.topic)
        name = topic_name(entity.topic);
    else if (entity.client && right == SHARD_PUBLISH) /* §6: observing an ETID needs no grant */
        name = identity_uid(entity.client->identity), right = SHARD_DIRECT;
    else
        return true; /* nobody there: nothing happens anyway */
    if (!judge || judge->may(judge->context, envelope->instance_index, identity, right, name))
        return true;
    counter_add(&shard->stats[right == SHARD_OBSERVE ? SHARD_STAT_OBSERVE_DENIED
                                                     : SHARD_STAT_PUBLISH_DENIED],
                right == SHARD_OBSERVE ? 1 : envelope->count);
    return false;
}

bool shard_judge_publish(struct shard *shard, struct envelope *envelope, struct entity entity)
{
    struct msg *whole = envelope->msg;
    struct span bytes = msg_span(whole);
    size_t identity_bytes_count = (size_t)envelope->hash;
    bool is_allowed =
        may(shard, envelope, span_of(bytes.data, identity_bytes_count), entity, SHARD_PUBLISH);

    envelope->flags &= (uint8_t)~ENVELOPE_JUDGE;
    envelope->hash = 0;
    envelope->msg =
        is_allowed ? msg_copy(&shard->mem, span_skip(bytes, identity_bytes_count)) : NULL;
    if (is_allowed && !envelope->msg)
        counter_add(&shard->stats[SHARD_STAT_NO_MEMORY], 1);
    msg_unref(&shard->mem, whole);
    return envelope->msg != NULL;
}

bool shard_judge_observe(struct shard *shard, struct envelope *envelope, struct entity entity)
{
    bool is_allowed = may(shard, envelope, msg_span(envelope->msg), entity, SHARD_OBSERVE);

    msg_unref(&shard->mem, envelope->msg);
    envelope->flags &= (uint8_t)~ENVELOPE_JUDGE;
    envelope->msg = NULL;
    return is_allowed;
}

/* -- new rules -- */

void shard_rights_reload(struct shard *shard)
{
    if (!shard->judge)
        return;
    uint64_t changed = shard->judge->reload(shard->judge->context);

    if (changed != 0)
        shard->recheck_cursor = 0; /* from the beginning, if it was under way */
    shard->recheck_instances |= changed;
}

/* Each client connected to us that subscribes to @topic is asked for its right to it. */
static void tell_subscribers(struct shard *shard, const struct topic *topic)
{
    struct envelope recheck = {.kind = ENVELOPE_RECHECK,
                               .instance_index = topic->instance_index,
                               .id = topic->id};
    struct msg *name = msg_copy(&shard->mem, topic_name(topic));
    uint32_t cursor = 0;
    uint32_t flags;

    while (members_next(&topic->holders, &cursor, &recheck.conn, &flags)) {
        if (!(flags & MEMBER_SUBSCRIBED) || recheck.conn.host_index >= shard->port->mesh->io_count)
            continue; /* clients inside the broker have all rights */
        /* Without memory for a name the connection must go: its right cannot be shown. */
        recheck.msg = name ? msg_ref(name) : NULL;
        port_push(shard->port, recheck.conn.host_index, recheck);
    }
    msg_unref(&shard->mem, name);
}

uint32_t shard_rights_step(struct shard *shard)
{
    uint32_t count = 0;

    while (shard->recheck_instances != 0 && count < TOPICS_A_TURN && port_is_clear(shard->port)) {
        shard->recheck_cursor = pool_next_used(&shard->topics, shard->recheck_cursor);
        if (shard->recheck_cursor == UINT32_MAX) {
            shard->recheck_instances = 0;
            break;
        }
        const struct topic *topic = pool_at(&shard->topics, shard->recheck_cursor++);

        if (shard->recheck_instances & UINT64_C(1) << topic->instance_index)
            tell_subscribers(shard, topic);
        count++;
    }
    return count;
}
