/* net/holds.c — see net/holds.h. Thread: the I/O actor's. */
#include "net/holds.h"

#include <string.h>

#define NO_TOPIC   ((1u << 27) - 1) /* held->topic of who does not subscribe */
#define LIST_FIRST 4u
#define FLAGS_MASK 31u /* struct held has so many bits for them */

static uint32_t topic_hash(uint16_t instance_index, uint32_t id)
{
    return hash_u32(id + instance_index * 0x9e3779b9u);
}

uint32_t holds_topic_hash_of(const void *owner, uint32_t ref)
{
    const struct io *io = owner;
    const struct local_topic *topic = pool_at(&io->topics, ref);

    return topic_hash(topic->instance_index, topic->id);
}

/* -- what a connection holds: one entry in the connection itself, more in an array -- */

static struct held *held_of(const struct conn *conn)
{
    return conn->held_capacity_log2 ? conn->held : (struct held *)(uintptr_t)&conn->only_held;
}

static struct held *held_find(const struct conn *conn, uint32_t id)
{
    struct held *held = held_of(conn);

    for (uint32_t i = 0; i < conn->held_count; i++)
        if (held[i].id == id)
            return &held[i];
    return NULL;
}

static bool held_make_room(struct io *io, struct conn *conn)
{
    uint32_t log2 = conn->held_capacity_log2;

    if (conn->held_count < 1u << log2)
        return true;
    if (conn->held_count == LIMIT_HELD_PER_CLIENT)
        return false;
    struct held *grown = mem_alloc(&io->mem, MEM_HELD, sizeof(*grown) << (log2 + 1));
    if (!grown)
        return false;
    memcpy(grown, held_of(conn), sizeof(*grown) * conn->held_count);
    if (log2 > 0)
        mem_free(&io->mem, MEM_HELD, conn->held, sizeof(*grown) << log2);
    conn->held = grown;
    conn->held_capacity_log2 = (uint8_t)(log2 + 1);
    return true;
}

static void held_free(struct io *io, struct conn *conn)
{
    if (conn->held_capacity_log2 > 0)
        mem_free(&io->mem, MEM_HELD, conn->held, sizeof(struct held) << conn->held_capacity_log2);
    conn->held_capacity_log2 = 0;
    conn->held_count = 0;
    conn->held = NULL;
}

static struct held *held_find_or_append(struct io *io, struct conn *conn, uint32_t id)
{
    struct held *held = held_find(conn, id);

    if (held)
        return held;
    if (!held_make_room(io, conn))
        return NULL;
    held = &held_of(conn)[conn->held_count++];
    *held = (struct held){.id = id, .topic = NO_TOPIC};
    return held;
}

static struct local_subscriber *subscribers_of(struct local_topic *topic)
{
    return topic->has_list ? topic->list->subscribers : &topic->only;
}

/* Forget an entry that says nothing any more; the last one moves into its place. */
static void held_remove(struct io *io, struct conn *conn, struct held *held)
{
    struct held *all = held_of(conn);
    uint32_t index = (uint32_t)(held - all);
    uint32_t last = --conn->held_count;

    must(held->flags == 0 && held->topic == NO_TOPIC);
    if (index != last) {
        *held = all[last];
        if (held->topic != NO_TOPIC) {
            struct local_topic *topic = pool_at(&io->topics, held->topic);
            subscribers_of(topic)[held->position].held_index = index;
        }
    }
    if (conn->held_count == 0)
        held_free(io, conn);
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

/* The topic's first subscriber. NO_TOPIC: over the memory limit. */
static uint32_t topic_make(struct io *io, uint16_t instance_index, uint32_t id,
                           struct local_subscriber subscriber)
{
    uint32_t index;
    struct local_topic *topic = pool_get(&io->topics, &io->mem, &index);

    if (!topic)
        return NO_TOPIC;
    topic->id = id;
    topic->instance_index = (uint8_t)instance_index;
    topic->only = subscriber;
    if (table_insert(&io->topic_ids, &io->mem, topic_hash(instance_index, id), index) == STATUS_OK)
        return index;
    pool_put(&io->topics, &io->mem, index);
    return NO_TOPIC;
}

static size_t list_bytes(uint32_t capacity)
{
    return sizeof(struct local_list) + sizeof(struct local_subscriber) * capacity;
}

/* Add to a topic that has subscribers already. false: over the memory limit. */
static bool topic_add(struct io *io, struct local_topic *topic, struct local_subscriber subscriber)
{
    uint32_t count = local_subscriber_count(topic);
    struct local_list *list = topic->has_list ? topic->list : NULL;

    if (!list || count == list->capacity) {
        uint32_t capacity = list ? list->capacity * 2 : LIST_FIRST;
        struct local_list *grown = mem_alloc(&io->mem, MEM_FANOUT, list_bytes(capacity));

        if (!grown)
            return false;
        memcpy(grown->subscribers, local_subscribers(topic), sizeof(subscriber) * count);
        if (list)
            mem_free(&io->mem, MEM_FANOUT, list, list_bytes(list->capacity));
        *grown = (struct local_list){.count = count, .capacity = capacity};
        topic->list = list = grown;
        topic->has_list = true;
    }
    list->subscribers[list->count++] = subscriber;
    return true;
}

bool holds_subscribe(struct io *io, struct conn *conn, uint32_t id)
{
    struct held *held = held_find_or_append(io, conn, id);

    if (!held)
        return false;
    if (held->flags & HELD_SUBSCRIBED)
        return true;
    struct local_subscriber subscriber = {.slot_index = conn->slot_index,
                                          .held_index = (uint32_t)(held - held_of(conn))};
    uint32_t index = topic_find(io, conn->instance_index, id);
    uint32_t position = 0;
    bool added;

    if (index == NO_TOPIC) {
        index = topic_make(io, conn->instance_index, id, subscriber);
        added = index != NO_TOPIC;
    } else {
        struct local_topic *topic = pool_at(&io->topics, index);

        position = local_subscriber_count(topic);
        added = topic_add(io, topic, subscriber);
    }
    if (!added) {
        if (held->flags == 0)
            held_remove(io, conn, held);
        return false;
    }
    held->flags |= HELD_TOPIC | HELD_SUBSCRIBED;
    held->topic = index & NO_TOPIC;
    held->position = position;
    return true;
}

static void topic_drop(struct io *io, uint32_t index)
{
    struct local_topic *topic = pool_at(&io->topics, index);

    table_remove(&io->topic_ids, &io->mem, topic_hash(topic->instance_index, topic->id), index);
    if (topic->has_list)
        mem_free(&io->mem, MEM_FANOUT, topic->list, list_bytes(topic->list->capacity));
    pool_put(&io->topics, &io->mem, index);
}

/* Take @held out of its subscriber list; the last subscriber moves into its place. */
static void leave_list(struct io *io, struct held *held)
{
    struct local_topic *topic = pool_at(&io->topics, held->topic);
    struct local_subscriber *subscribers = subscribers_of(topic);
    uint32_t last = local_subscriber_count(topic) - 1;

    if (held->position != last) {
        struct local_subscriber moved = subscribers[last];

        subscribers[held->position] = moved;
        held_of(conn_at(io, moved.slot_index))[moved.held_index].position = held->position;
    }
    if (topic->has_list)
        topic->list->count--;
    if (last == 0)
        topic_drop(io, held->topic);
    held->flags &= ~HELD_SUBSCRIBED & FLAGS_MASK;
    held->topic = NO_TOPIC;
}

/* -- for the session -- */

bool holds_add(struct io *io, struct conn *conn, uint32_t id, uint32_t flags)
{
    struct held *held = held_find_or_append(io, conn, id);

    must(flags == HELD_TOPIC || flags == HELD_OBSERVED);
    if (!held)
        return false;
    held->flags |= flags & FLAGS_MASK;
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
    held->flags &= ~HELD_OBSERVED & FLAGS_MASK;
    if (held->flags == 0)
        held_remove(io, conn, held);
}

bool holds_topic_number(const struct conn *conn, uint32_t id)
{
    const struct held *held = held_find(conn, id);

    return held && held->flags & HELD_TOPIC;
}

bool holds_may_publish(const struct conn *conn, uint32_t id)
{
    const struct held *held = held_find(conn, id);

    return held && held->flags & HELD_TOPIC && held->flags & HELD_PUBLISH;
}

void holds_judge(struct conn *conn, uint32_t id, bool may_publish)
{
    struct held *held = held_find(conn, id);

    if (!held)
        return;
    held->flags &= ~HELD_PUBLISH & FLAGS_MASK;
    held->flags |= may_publish ? HELD_PUBLISH : 0u;
}

void holds_forget_rights(struct conn *conn)
{
    struct held *held = held_of(conn);

    for (uint32_t i = 0; i < conn->held_count; i++)
        held[i].flags &= ~HELD_PUBLISH & FLAGS_MASK;
}

bool holds_subscription(const struct conn *conn, uint32_t id)
{
    const struct held *held = held_find(conn, id);

    return held && held->flags & HELD_SUBSCRIBED;
}

bool holds_maybe(const struct conn *conn, uint32_t id)
{
    return conn->pending_count > 0 || held_find(conn, id) != NULL;
}

uint32_t holds_count(const struct conn *conn, uint32_t flag)
{
    const struct held *held = held_of(conn);
    uint32_t count = 0;

    for (uint32_t i = 0; i < conn->held_count; i++)
        count += (held[i].flags & flag) != 0;
    return count;
}

void holds_list(const struct conn *conn, uint32_t flag, uint8_t *out)
{
    const struct held *held = held_of(conn);

    for (uint32_t i = 0; i < conn->held_count; i++) {
        if (!(held[i].flags & flag))
            continue;
        smq_store_u32(out, held[i].id);
        out += sizeof(uint32_t);
    }
}

void holds_drop_all(struct io *io, struct conn *conn)
{
    struct mesh *mesh = io->port->mesh;
    struct held *held = held_of(conn);
    struct envelope leave = {.kind = ENVELOPE_LEAVE,
                             .instance_index = conn->instance_index,
                             .conn = conn_handle_of(io, conn)};

    if (conn->held_count == 0)
        return; /* the place may still be the peer's address */
    for (uint32_t i = 0; i < conn->held_count; i++) {
        if (held[i].flags & HELD_SUBSCRIBED)
            leave_list(io, &held[i]);
        leave.id = held[i].id;
        port_push(io->port, mesh_shard_index(mesh, mesh_shard_of_id(mesh, leave.id)), leave);
    }
    held_free(io, conn);
}

struct local_topic *holds_topic(struct io *io, uint16_t instance_index, uint32_t id)
{
    uint32_t index = topic_find(io, instance_index, id);

    return index == NO_TOPIC ? NULL : pool_at(&io->topics, index);
}
