/* tests/sim/probe.c — see tests/sim/probe.h. Thread: one. */
#include "tests/sim/probe.h"

#include "core/shard_state.h"
#include "net/holds.h"
#include "tests/sim/journal.h"

static struct entity entity_of(struct world *world, uint32_t instance, uint32_t id)
{
    return entity_by_id(&world->shards[world_shard_of_id(world, id)], (uint16_t)instance, id);
}

struct topic_probe probe_topic(struct world *world, uint32_t instance, const struct name *name)
{
    struct shard *shard = &world->shards[world_shard_of_name(world, instance, name)];
    struct span text = span_of(name->bytes, name->bytes_count);
    struct topic *topic =
        topic_by_name(shard, (uint16_t)instance, text, siphash(&world->name_key, text));

    if (!topic)
        return (struct topic_probe){0};
    const struct members *observers = observers_of(shard, observable_topic(topic));

    expect(entity_of(world, instance, topic->id).topic == topic,
           "topic %u is not found by its number", topic->id);
    return (struct topic_probe){.exists = true,
                                .id = topic->id,
                                .subscriber_count = topic_subscriber_count(topic),
                                .holder_count = topic->holders.count,
                                .observer_count = observers ? observers->count : 0};
}

static const struct held *find_held(const struct conn *conn, uint32_t id)
{
    const struct held *held = conn->held_capacity_log2 ? conn->held : &conn->only_held;

    for (uint32_t i = 0; i < conn->held_count; i++)
        if (held[i].id == id)
            return &held[i];
    return NULL;
}

static bool observes(struct world *world, struct observable of, struct conn_handle conn)
{
    const struct members *observers =
        observers_of(&world->shards[world_shard_of_id(world, of.id)], of);
    uint32_t unused;

    return observers && members_find(observers, conn, &unused);
}

struct hold_probe probe_hold(struct world *world, uint32_t instance, uint32_t id, struct io *io,
                             const struct conn *conn)
{
    struct entity entity = entity_of(world, instance, id);
    struct conn_handle handle = conn_handle_of(io, conn);
    const struct held *held = find_held(conn, id);
    uint32_t local = held ? held->flags : 0;
    uint32_t flags = 0;
    struct hold_probe probe = {0};

    if (entity.topic) {
        probe.is_held = members_find(&entity.topic->holders, handle, &flags);
        probe.is_subscribed = flags & MEMBER_SUBSCRIBED;
        probe.is_observing = observes(world, observable_topic(entity.topic), handle);
    } else if (entity.client) {
        probe.is_observing = observes(world, observable_client(entity.client), handle);
    }
    expect(probe.is_subscribed == ((local & HELD_SUBSCRIBED) != 0),
           "slot %u of io %u: the shard says %s to %u, its I/O actor the contrary",
           conn->slot_index, io->io_index, probe.is_subscribed ? "subscribed" : "not subscribed",
           id);
    expect(probe.is_observing == ((local & HELD_OBSERVED) != 0),
           "slot %u of io %u: the shard says %s %u, its I/O actor the contrary", conn->slot_index,
           io->io_index, probe.is_observing ? "observing" : "not observing", id);
    expect(!probe.is_held || local & HELD_TOPIC,
           "slot %u of io %u: the shard says it holds %u, its I/O actor does not know",
           conn->slot_index, io->io_index, id);
    return probe;
}

uint32_t probe_held_count(const struct conn *conn)
{
    return conn->held_count;
}

bool probe_client(struct world *world, uint32_t instance, uint32_t etid, struct conn_handle *conn)
{
    const struct client *client = entity_of(world, instance, etid).client;

    if (client)
        *conn = client->conn;
    return client != NULL;
}

bool probe_is_topic(struct world *world, uint32_t instance, uint32_t id)
{
    return entity_of(world, instance, id).topic != NULL;
}

uint32_t probe_local_subscriber_count(struct io *io, uint32_t instance, uint32_t id)
{
    const struct local_topic *topic = holds_topic(io, (uint16_t)instance, id);

    return topic ? local_subscriber_count(topic) : 0;
}
