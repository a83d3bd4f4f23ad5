/*
 * core/shard_state.c — the tables of one shard. See core/shard_state.h.
 *
 * Thread: the shard's. Owns: topics, clients, sub-topics, their names and member sets.
 *
 * Numbers: TIDs and ETIDs share one space per instance, cut by number % shard_count, so a shard
 * draws only numbers it owns, and checks them against everything it has given out.
 */
#include "core/shard_state.h"

#include <string.h>

#include "core/msg.h"

/* A reference in the ids table: pool index times two, plus one for clients. */
#define REF_CLIENT 1u

static struct shard_instance *instance_at(struct shard *shard, uint16_t instance)
{
    must(instance < shard->config->instance_count);
    return &shard->instances[instance];
}

static bool bytes_equal(struct span a, const void *bytes, size_t bytes_count)
{
    return a.bytes_count == bytes_count && memcmp(a.data, bytes, bytes_count) == 0;
}

/* -- numbers -- */

struct entity entity_by_id(struct shard *shard, uint16_t instance, uint32_t id)
{
    struct table *ids = &instance_at(shard, instance)->ids;
    struct table_probe probe = table_find(ids, hash_u32(id));

    while (table_next(ids, &probe)) {
        uint32_t index = probe.ref / 2;

        if (probe.ref & REF_CLIENT) {
            struct client *client = pool_at(&shard->clients, index);
            if (client->id == id)
                return (struct entity){.client = client};
        } else {
            struct topic *topic = pool_at(&shard->topics, index);
            if (topic->id == id)
                return (struct entity){.topic = topic};
        }
    }
    return (struct entity){0};
}

static uint32_t draw_owned_number(struct shard *shard)
{
    uint32_t shard_count = shard->port->mesh->shard_count;
    uint32_t number = random_ids_next(&shard->random);

    number -= number % shard_count;
    return number > UINT32_MAX - shard_count ? 0 : number + shard->shard_index;
}

/* Both kinds of ids are looked at: at 100,000 of each a random draw will collide. */
static uint32_t draw_id(struct shard *shard, uint16_t instance)
{
    for (;;) {
        uint32_t id = draw_owned_number(shard);
        if (id <= SMQ_ID_SERVER)
            continue;
        struct entity taken = entity_by_id(shard, instance, id);
        if (!taken.topic && !taken.client)
            return id;
    }
}

/* -- topics -- */

struct topic *topic_by_name(struct shard *shard, uint16_t instance, struct span name, uint64_t hash)
{
    struct table *names = &instance_at(shard, instance)->topic_names;
    struct table_probe probe = table_find(names, (uint32_t)hash);

    while (table_next(names, &probe)) {
        struct topic *topic = pool_at(&shard->topics, probe.ref);
        if (bytes_equal(name, topic->name, topic->name_bytes_count))
            return topic;
    }
    return NULL;
}

static uint32_t topic_index(struct shard *shard, const struct topic *topic)
{
    struct table *ids = &instance_at(shard, topic->instance_index)->ids;
    struct table_probe probe = table_find(ids, hash_u32(topic->id));

    while (table_next(ids, &probe))
        if (!(probe.ref & REF_CLIENT) && pool_at(&shard->topics, probe.ref / 2) == topic)
            return probe.ref / 2;
    must_never("a topic without a number");
}

struct topic *topic_make(struct shard *shard, uint16_t instance, struct span name, uint64_t hash,
                         uint32_t id)
{
    struct shard_instance *at = instance_at(shard, instance);
    uint32_t index;
    struct topic *topic = pool_get(&shard->topics, &shard->mem, &index);

    must(name.bytes_count >= 1 && name.bytes_count <= 255);
    if (!topic)
        return NULL;
    topic->name = mem_alloc(&shard->mem, MEM_TOPIC, name.bytes_count);
    if (!topic->name)
        goto undo_pool;
    memcpy(topic->name, name.data, name.bytes_count);
    topic->name_bytes_count = (uint8_t)name.bytes_count;
    topic->name_hash = (uint32_t)hash;
    topic->instance_index = instance;
    topic->id = id ? id : draw_id(shard, instance);
    topic->is_pinned = id != 0;
    if (table_insert(&at->topic_names, &shard->mem, topic->name_hash, index) != STATUS_OK)
        goto undo_name;
    if (table_insert(&at->ids, &shard->mem, hash_u32(topic->id), index * 2) != STATUS_OK)
        goto undo_table;
    counter_add(&shard->stats[SHARD_STAT_TOPICS], 1);
    return topic;

undo_table:
    table_remove(&at->topic_names, &shard->mem, topic->name_hash, index);
undo_name:
    mem_free(&shard->mem, MEM_TOPIC, topic->name, topic->name_bytes_count);
undo_pool:
    pool_put(&shard->topics, &shard->mem, index);
    return NULL;
}

static void topic_free(struct shard *shard, struct topic *topic)
{
    uint32_t io_count = shard->port->mesh->io_count;

    members_deinit(&topic->holders, &shard->mem);
    members_deinit(&topic->observers, &shard->mem);
    mem_free(&shard->mem, MEM_TOPIC, topic->io_counts, sizeof(uint32_t) * io_count);
    topic->io_counts = NULL;
    mem_free(&shard->mem, MEM_TOPIC, topic->name, topic->name_bytes_count);
    topic->name = NULL;
}

void topic_forget_if_unheld(struct shard *shard, struct topic *topic)
{
    if (topic->holders.count > 0 || topic->observers.count > 0 || topic->is_pinned)
        return;
    must(topic->subscriber_count == 0);

    struct shard_instance *at = instance_at(shard, topic->instance_index);
    uint32_t index = topic_index(shard, topic);

    table_remove(&at->ids, &shard->mem, hash_u32(topic->id), index * 2);
    table_remove(&at->topic_names, &shard->mem, topic->name_hash, index);
    quota_give(&shard->quotas->topics);
    quota_give(&shard->quotas->instances[topic->instance_index].topics);
    topic_free(shard, topic);
    pool_put(&shard->topics, &shard->mem, index);
    counter_add(&shard->stats[SHARD_STAT_TOPICS], (uint64_t)-1);
}

/* From the second subscriber on, when there are several I/O actors to tell apart. */
static bool need_io_counts(struct shard *shard, struct topic *topic)
{
    uint32_t io_count = shard->port->mesh->io_count;

    if (io_count == 1 || topic->io_counts || topic->subscriber_count == 0)
        return true;
    topic->io_counts = mem_alloc_zero(&shard->mem, MEM_TOPIC, sizeof(uint32_t) * io_count);
    if (!topic->io_counts)
        return false;
    must(topic->subscriber_count == 1);
    topic->io_counts[__builtin_ctzll(topic->io_mask)] = 1;
    return true;
}

bool topic_count_in(struct shard *shard, struct topic *topic, uint16_t io_index)
{
    if (!need_io_counts(shard, topic))
        return false;
    if (topic->io_counts)
        topic->io_counts[io_index]++;
    topic->io_mask |= 1ull << io_index;
    topic->subscriber_count++;
    return true;
}

void topic_count_out(struct shard *shard, struct topic *topic, uint16_t io_index)
{
    must(topic->subscriber_count > 0);
    must(topic->io_mask & 1ull << io_index);
    topic->subscriber_count--;
    if (topic->io_counts) {
        must(topic->io_counts[io_index] > 0);
        topic->io_counts[io_index]--;
    }
    bool none_left =
        topic->io_counts ? topic->io_counts[io_index] == 0 : topic->subscriber_count == 0;
    if (none_left)
        topic->io_mask &= ~(1ull << io_index);
    if (topic->subscriber_count == 0 && topic->io_counts) {
        mem_free(&shard->mem, MEM_TOPIC, topic->io_counts,
                 sizeof(uint32_t) * shard->port->mesh->io_count);
        topic->io_counts = NULL;
    }
}

/* -- clients -- */

struct span identity_uid(const struct msg *identity)
{
    must(identity->bytes_count >= 1 && identity->bytes_count >= 1u + identity->bytes[0]);
    return span_of(identity->bytes + 1, identity->bytes[0]);
}

struct client *client_by_uid(struct shard *shard, uint16_t instance, struct span uid, uint64_t hash)
{
    struct table *uids = &instance_at(shard, instance)->uids;
    struct table_probe probe = table_find(uids, (uint32_t)hash);

    while (table_next(uids, &probe)) {
        struct client *client = pool_at(&shard->clients, probe.ref);
        struct span theirs = identity_uid(client->identity);
        if (bytes_equal(uid, theirs.data, theirs.bytes_count))
            return client;
    }
    return NULL;
}

struct client *client_make(struct shard *shard, uint16_t instance, struct msg *identity,
                           uint64_t hash)
{
    struct shard_instance *at = instance_at(shard, instance);
    uint32_t index;
    struct client *client = pool_get(&shard->clients, &shard->mem, &index);

    if (!client)
        return NULL;
    client->id = draw_id(shard, instance);
    client->uid_hash = (uint32_t)hash;
    client->instance_index = instance;
    client->identity = identity;
    if (table_insert(&at->uids, &shard->mem, client->uid_hash, index) != STATUS_OK)
        goto undo_pool;
    if (table_insert(&at->ids, &shard->mem, hash_u32(client->id), index * 2 + REF_CLIENT) !=
        STATUS_OK)
        goto undo_table;
    counter_add(&shard->stats[SHARD_STAT_CLIENTS], 1);
    return client;

undo_table:
    table_remove(&at->uids, &shard->mem, client->uid_hash, index);
undo_pool:
    pool_put(&shard->clients, &shard->mem, index);
    return NULL;
}

void client_remove(struct shard *shard, struct client *client)
{
    struct shard_instance *at = instance_at(shard, client->instance_index);
    struct table_probe probe = table_find(&at->uids, client->uid_hash);

    while (table_next(&at->uids, &probe))
        if (pool_at(&shard->clients, probe.ref) == client)
            break;
    uint32_t index = probe.ref;
    table_remove(&at->uids, &shard->mem, client->uid_hash, index);
    table_remove(&at->ids, &shard->mem, hash_u32(client->id), index * 2 + REF_CLIENT);
    members_deinit(&client->observers, &shard->mem);
    msg_unref(&shard->mem, client->identity);
    client->identity = NULL;
    pool_put(&shard->clients, &shard->mem, index);
    counter_add(&shard->stats[SHARD_STAT_CLIENTS], (uint64_t)-1);
}

/* -- sub-topics: the broker only gives out their numbers, and cannot know who uses one -- */

struct subtopic *subtopic_by_name(struct shard *shard, uint16_t instance, struct span name,
                                  uint64_t hash)
{
    struct table *names = &instance_at(shard, instance)->subtopic_names;
    struct table_probe probe = table_find(names, (uint32_t)hash);

    while (table_next(names, &probe)) {
        struct subtopic *subtopic = pool_at(&shard->subtopics, probe.ref);
        if (bytes_equal(name, subtopic->name, subtopic->name_bytes_count))
            return subtopic;
    }
    return NULL;
}

static bool subtopic_id_is_free(struct shard *shard, uint16_t instance, uint32_t id)
{
    const struct config_instance *config = &shard->config->instances[instance];
    struct table *ids = &instance_at(shard, instance)->subtopic_ids;
    struct table_probe probe = table_find(ids, hash_u32(id));

    for (uint32_t i = 0; i < config->subtopic_count; i++)
        if (config->subtopics[i].id == id) /* pinned, maybe in another shard */
            return false;
    while (table_next(ids, &probe))
        if (((struct subtopic *)pool_at(&shard->subtopics, probe.ref))->id == id)
            return false;
    return true;
}

static uint32_t draw_subtopic_id(struct shard *shard, uint16_t instance)
{
    for (;;) {
        uint32_t id = draw_owned_number(shard);

        if (id != SMQ_ID_NONE && subtopic_id_is_free(shard, instance, id))
            return id;
    }
}

struct subtopic *subtopic_make(struct shard *shard, uint16_t instance, struct span name,
                               uint64_t hash, uint32_t id)
{
    struct shard_instance *at = instance_at(shard, instance);
    uint32_t index;
    struct subtopic *subtopic = pool_get(&shard->subtopics, &shard->mem, &index);

    must(name.bytes_count >= 1 && name.bytes_count <= 255);
    if (!subtopic)
        return NULL;
    subtopic->name = mem_alloc(&shard->mem, MEM_TOPIC, name.bytes_count);
    if (!subtopic->name)
        goto undo_pool;
    memcpy(subtopic->name, name.data, name.bytes_count);
    subtopic->name_bytes_count = (uint8_t)name.bytes_count;
    subtopic->name_hash = (uint32_t)hash;
    subtopic->id = id ? id : draw_subtopic_id(shard, instance);
    if (table_insert(&at->subtopic_names, &shard->mem, subtopic->name_hash, index) != STATUS_OK)
        goto undo_name;
    if (table_insert(&at->subtopic_ids, &shard->mem, hash_u32(subtopic->id), index) != STATUS_OK)
        goto undo_table;
    counter_add(&shard->stats[SHARD_STAT_SUBTOPICS], 1);
    return subtopic;

undo_table:
    table_remove(&at->subtopic_names, &shard->mem, subtopic->name_hash, index);
undo_name:
    mem_free(&shard->mem, MEM_TOPIC, subtopic->name, subtopic->name_bytes_count);
undo_pool:
    pool_put(&shard->subtopics, &shard->mem, index);
    return NULL;
}

/* -- all of it -- */

void shard_state_init(struct shard *shard)
{
    size_t bytes = sizeof(*shard->instances) * shard->config->instance_count;

    pool_init(&shard->topics, MEM_TOPIC, sizeof(struct topic));
    pool_init(&shard->clients, MEM_CLIENT, sizeof(struct client));
    pool_init(&shard->subtopics, MEM_TOPIC, sizeof(struct subtopic));
    shard->instances = mem_alloc_always(&shard->mem, MEM_OTHER, bytes);
    memset(shard->instances, 0, bytes);
}

void shard_state_deinit(struct shard *shard)
{
    struct mem *mem = &shard->mem;

    for (uint32_t i = 0; (i = pool_next_used(&shard->topics, i)) != UINT32_MAX; i++)
        topic_free(shard, pool_at(&shard->topics, i));
    for (uint32_t i = 0; (i = pool_next_used(&shard->clients, i)) != UINT32_MAX; i++) {
        struct client *client = pool_at(&shard->clients, i);
        members_deinit(&client->observers, mem);
        msg_unref(mem, client->identity);
        client->identity = NULL;
    }
    for (uint32_t i = 0; (i = pool_next_used(&shard->subtopics, i)) != UINT32_MAX; i++) {
        struct subtopic *subtopic = pool_at(&shard->subtopics, i);
        mem_free(mem, MEM_TOPIC, subtopic->name, subtopic->name_bytes_count);
        subtopic->name = NULL;
    }
    pool_deinit(&shard->topics, mem);
    pool_deinit(&shard->clients, mem);
    pool_deinit(&shard->subtopics, mem);
    for (uint32_t i = 0; i < shard->config->instance_count; i++) {
        table_deinit(&shard->instances[i].topic_names, mem);
        table_deinit(&shard->instances[i].uids, mem);
        table_deinit(&shard->instances[i].ids, mem);
        table_deinit(&shard->instances[i].subtopic_names, mem);
        table_deinit(&shard->instances[i].subtopic_ids, mem);
    }
    mem_free(mem, MEM_OTHER, shard->instances,
             sizeof(*shard->instances) * shard->config->instance_count);
    shard->instances = NULL;
}
