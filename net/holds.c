/* net/holds.c — see net/holds.h. Thread: the I/O actor's. */
#include "net/holds.h"

#include <string.h>

#define NO_TOPIC UINT32_MAX

static uint32_t topic_hash(uint16_t instance_index, uint32_t id)
{
    return hash_u32(id + instance_index * 0x9e3779b9u);
}

/* -- a connection's held[] -- */

static struct held *held_find(const struct conn *conn, uint32_t id)
{
    for (uint32_t i = 0; i < conn->held_count; i++)
        if (conn->held[i].id == id)
            return &conn->held[i];
    return NULL;
}

static struct held *held_append(struct io *io, struct conn *conn, uint32_t id)
{
    if (conn->held_count == conn->held_capacity) {
        uint32_t capacity = conn->held_capacity ? conn->held_capacity * 2u : 1;

        if (capacity > LIMIT_HELD_PER_CLIENT)
            capacity = LIMIT_HELD_PER_CLIENT;
        must(capacity > conn->held_count); /* config keeps the per-client limits below */
        struct held *grown =
            mem_resize(&io->mem, MEM_HELD, conn->held, sizeof(*grown) * conn->held_capacity,
                       sizeof(*grown) * capacity);
        if (!grown)
            return NULL;
        conn->held = grown;
        conn->held_capacity = (uint16_t)capacity;
    }
    struct held *held = &conn->held[conn->held_count++];
    *held = (struct held){.id = id, .topic_index = NO_TOPIC};
    return held;
}

static struct held *held_find_or_append(struct io *io, struct conn *conn, uint32_t id)
{
    struct held *held = held_find(conn, id);

    return held ? held : held_append(io, conn, id);
}

/* Mutable view of a topic's subscriber array. */
static struct local_subscriber *subscribers_of(struct local_topic *topic)
{
    return topic->capacity ? topic->subscribers : &topic->only;
}

/* Forget an entry that says nothing any more; the last one moves into its place. */
static void held_remove(struct io *io, struct conn *conn, struct held *held)
{
    uint32_t index = (uint32_t)(held - conn->held);
    uint32_t last = --conn->held_count;

    must(held->flags == 0 && held->topic_index == NO_TOPIC);
    if (index != last) {
        *held = conn->held[last];
        if (held->topic_index != NO_TOPIC) {
            struct local_topic *topic = pool_at(&io->topics, held->topic_index);
            subscribers_of(topic)[held->position].held_index = index;
        }
    }
    if (conn->held_count == 0) {
        mem_free(&io->mem, MEM_HELD, conn->held, sizeof(*held) * conn->held_capacity);
        conn->held = NULL;
        conn->held_capacity = 0;
    }
}

/* -- subscriber lists -- */

static uint32_t topic_find(struct io *io, uint16_t instance_index, uint32_t id)
{
    struct table_probe probe = table_find(&io->topic_ids, topic_hash(instance_index, id));

    while (table_next(&io->topic_ids, &probe)) {
        struct local_topic *topic = pool_at(&io->topics, probe.ref);
        if (topic->id == id && topic->instance_index == instance_index)
            return probe.ref;
    }
    return NO_TOPIC;
}

static uint32_t topic_find_or_make(struct io *io, uint16_t instance_index, uint32_t id)
{
    uint32_t index = topic_find(io, instance_index, id);

    if (index != NO_TOPIC)
        return index;
    struct local_topic *topic = pool_get(&io->topics, &io->mem, &index);
    if (!topic)
        return NO_TOPIC;
    topic->id = id;
    topic->instance_index = instance_index;
    if (table_insert(&io->topic_ids, &io->mem, topic_hash(instance_index, id), index) == STATUS_OK)
        return index;
    pool_put(&io->topics, &io->mem, index);
    return NO_TOPIC;
}

static void topic_drop_if_empty(struct io *io, uint32_t index)
{
    struct local_topic *topic = pool_at(&io->topics, index);

    if (topic->subscriber_count > 0)
        return;
    if (topic->capacity > 0)
        mem_free(&io->mem, MEM_FANOUT, topic->subscribers,
                 sizeof(*topic->subscribers) * topic->capacity);
    table_remove(&io->topic_ids, &io->mem, topic_hash(topic->instance_index, topic->id), index);
    pool_put(&io->topics, &io->mem, index);
}

static bool topic_make_room(struct io *io, struct local_topic *topic)
{
    if (topic->subscriber_count == 0 || topic->subscriber_count < topic->capacity)
        return true;
    uint32_t capacity = topic->capacity ? topic->capacity * 2 : 4;
    struct local_subscriber *grown = mem_alloc(&io->mem, MEM_FANOUT, sizeof(*grown) * capacity);

    if (!grown)
        return false;
    memcpy(grown, subscribers_of(topic), sizeof(*grown) * topic->subscriber_count);
    if (topic->capacity > 0)
        mem_free(&io->mem, MEM_FANOUT, topic->subscribers, sizeof(*grown) * topic->capacity);
    topic->subscribers = grown;
    topic->capacity = capacity;
    return true;
}

bool holds_subscribe(struct io *io, struct conn *conn, uint32_t id)
{
    struct held *held = held_find_or_append(io, conn, id);

    if (!held)
        return false;
    if (held->flags & HELD_SUBSCRIBED)
        return true;
    uint32_t index = topic_find_or_make(io, conn->instance_index, id);
    if (index == NO_TOPIC) {
        if (held->flags == 0)
            held_remove(io, conn, held);
        return false;
    }
    struct local_topic *topic = pool_at(&io->topics, index);
    if (!topic_make_room(io, topic)) {
        topic_drop_if_empty(io, index);
        if (held->flags == 0)
            held_remove(io, conn, held);
        return false;
    }
    held->flags |= HELD_TOPIC | HELD_SUBSCRIBED;
    held->topic_index = index;
    held->position = topic->subscriber_count++;
    subscribers_of(topic)[held->position] =
        (struct local_subscriber){.slot_index = conn->slot_index,
                                  .held_index = (uint32_t)(held - conn->held)};
    return true;
}

/* Take @held out of its subscriber list; the last subscriber moves into its place. */
static void leave_list(struct io *io, struct held *held)
{
    uint32_t index = held->topic_index;
    struct local_topic *topic = pool_at(&io->topics, index);
    struct local_subscriber *subscribers = subscribers_of(topic);
    uint32_t last = --topic->subscriber_count;

    if (held->position != last) {
        struct local_subscriber moved = subscribers[last];

        subscribers[held->position] = moved;
        conn_at(io, moved.slot_index)->held[moved.held_index].position = held->position;
    }
    held->flags &= ~HELD_SUBSCRIBED;
    held->topic_index = NO_TOPIC;
    topic_drop_if_empty(io, index);
}

bool holds_add(struct io *io, struct conn *conn, uint32_t id, uint32_t flags)
{
    struct held *held = held_find_or_append(io, conn, id);

    must(flags == HELD_TOPIC || flags == HELD_OBSERVED);
    if (!held)
        return false;
    held->flags |= flags;
    return true;
}

void holds_unsubscribe(struct io *io, struct conn *conn, uint32_t id)
{
    struct held *held = held_find(conn, id);

    if (held && held->flags & HELD_SUBSCRIBED)
        leave_list(io, held);
}

void holds_unobserve(struct io *io, struct conn *conn, uint32_t id)
{
    struct held *held = held_find(conn, id);

    if (!held || !(held->flags & HELD_OBSERVED))
        return;
    held->flags &= ~HELD_OBSERVED;
    if (held->flags == 0)
        held_remove(io, conn, held);
}

bool holds_topic_number(const struct conn *conn, uint32_t id)
{
    const struct held *held = held_find(conn, id);

    return held && held->flags & HELD_TOPIC;
}

bool holds_maybe(const struct conn *conn, uint32_t id)
{
    return conn->pending_count > 0 || held_find(conn, id) != NULL;
}

void holds_drop_all(struct io *io, struct conn *conn)
{
    struct mesh *mesh = io->port->mesh;
    struct envelope leave = {.kind = ENVELOPE_LEAVE,
                             .instance_index = conn->instance_index,
                             .conn = conn_handle_of(io, conn)};

    if (conn->held_count == 0)
        return;
    for (uint32_t i = 0; i < conn->held_count; i++) {
        struct held *held = &conn->held[i];

        if (held->flags & HELD_SUBSCRIBED)
            leave_list(io, held);
        leave.id = held->id;
        port_push(io->port, mesh_shard_index(mesh, mesh_shard_of_id(mesh, held->id)), leave);
    }
    mem_free(&io->mem, MEM_HELD, conn->held, sizeof(*conn->held) * conn->held_capacity);
    conn->held = NULL;
    conn->held_count = conn->held_capacity = 0;
}

uint32_t holds_count(const struct conn *conn, uint32_t flag)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < conn->held_count; i++)
        count += (conn->held[i].flags & flag) != 0;
    return count;
}

struct local_topic *holds_topic(struct io *io, uint16_t instance_index, uint32_t id)
{
    uint32_t index = topic_find(io, instance_index, id);

    return index == NO_TOPIC ? NULL : pool_at(&io->topics, index);
}
