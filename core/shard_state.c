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

struct span topic_name(const struct topic *topic)
{
    const uint8_t *bytes = topic->name;

    if (topic->name_bytes_count > TOPIC_NAME_BYTES_INLINE)
        memcpy(&bytes, topic->name, sizeof(bytes));
    return span_of(bytes, topic->name_bytes_count);
}

static bool topic_set_name(struct shard *shard, struct topic *topic, struct span name)
{
    topic->name_bytes_count = (uint8_t)name.bytes_count;
    if (name.bytes_count <= TOPIC_NAME_BYTES_INLINE) {
        memcpy(topic->name, name.data, name.bytes_count);
        return true;
    }
    uint8_t *bytes = mem_alloc(&shard->mem, MEM_TOPIC, name.bytes_count);
    if (!bytes)
        return false;
    memcpy(bytes, name.data, name.bytes_count);
    memcpy(topic->name, &bytes, sizeof(bytes));
    return true;
}

static void topic_free_name(struct shard *shard, struct topic *topic)
{
    struct span name = topic_name(topic);

    if (name.bytes_count > TOPIC_NAME_BYTES_INLINE)
        mem_free(&shard->mem, MEM_TOPIC, (void *)(uintptr_t)name.data, name.bytes_count);
}

/* The key in topic_names; kept nowhere, since it is needed only when a topic goes. */
static uint32_t topic_name_hash(const struct shard *shard, const struct topic *topic)
{
    return (uint32_t)siphash(&shard->name_key, topic_name(topic));
}

struct topic *topic_by_name(struct shard *shard, uint16_t instance, struct span name, uint64_t hash)
{
    struct table *names = &instance_at(shard, instance)->topic_names;
    struct table_probe probe = table_find(names, (uint32_t)hash);

    while (table_next(names, &probe)) {
        struct topic *topic = pool_at(&shard->topics, probe.ref);
        struct span theirs = topic_name(topic);
        if (bytes_equal(name, theirs.data, theirs.bytes_count))
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
    if (!topic_set_name(shard, topic, name))
        goto undo_pool;
    topic->instance_index = (uint8_t)instance;
    topic->only_host_index = TOPIC_NO_SUBSCRIBER;
    topic->id = id ? id : draw_id(shard, instance);
    topic->flags = id ? TOPIC_PINNED : 0;
    if (table_insert(&at->topic_names, &shard->mem, (uint32_t)hash, index) != STATUS_OK)
        goto undo_name;
    if (table_insert(&at->ids, &shard->mem, hash_u32(topic->id), index * 2) != STATUS_OK)
        goto undo_table;
    counter_add(&shard->stats[SHARD_STAT_TOPICS], 1);
    return topic;

undo_table:
    table_remove(&at->topic_names, &shard->mem, (uint32_t)hash, index);
undo_name:
    topic_free_name(shard, topic);
undo_pool:
    pool_put(&shard->topics, &shard->mem, index);
    return NULL;
}

static size_t spread_bytes(const struct shard *shard)
{
    return sizeof(struct topic_spread) + sizeof(uint32_t) * shard->port->mesh->host_count;
}

static void spread_free(struct shard *shard, struct topic *topic)
{
    mem_free(&shard->mem, MEM_TOPIC, topic->spread, spread_bytes(shard));
    topic->spread = NULL;
}

static void topic_free(struct shard *shard, struct topic *topic)
{
    members_deinit(&topic->holders, &shard->mem);
    spread_free(shard, topic);
    topic_free_name(shard, topic);
}

void topic_forget_if_unheld(struct shard *shard, struct topic *topic)
{
    if (topic->holders.count > 0 || topic->flags & (ENTITY_OBSERVED | TOPIC_PINNED))
        return;
    must(topic_subscriber_count(topic) == 0);

    struct shard_instance *at = instance_at(shard, topic->instance_index);
    uint32_t index = topic_index(shard, topic);

    table_remove(&at->ids, &shard->mem, hash_u32(topic->id), index * 2);
    table_remove(&at->topic_names, &shard->mem, topic_name_hash(shard, topic), index);
    quota_give(&shard->quotas->topics);
    quota_give(&shard->quotas->instances[topic->instance_index].topics);
    topic_free(shard, topic);
    pool_put(&shard->topics, &shard->mem, index);
    counter_add(&shard->stats[SHARD_STAT_TOPICS], (uint64_t)-1);
}

uint32_t topic_subscriber_count(const struct topic *topic)
{
    if (topic->spread)
        return topic->spread->subscriber_count;
    return topic->only_host_index != TOPIC_NO_SUBSCRIBER;
}

uint64_t topic_host_mask(const struct topic *topic)
{
    if (topic->spread)
        return topic->spread->host_mask;
    return topic->only_host_index != TOPIC_NO_SUBSCRIBER ? 1ull << topic->only_host_index : 0;
}

static bool spread_make(struct shard *shard, struct topic *topic)
{
    struct topic_spread *spread = mem_alloc_zero(&shard->mem, MEM_TOPIC, spread_bytes(shard));

    if (!spread)
        return false;
    spread->subscriber_count = 1;
    spread->host_mask = 1ull << topic->only_host_index;
    spread->host_counts[topic->only_host_index] = 1;
    topic->spread = spread;
    return true;
}

bool topic_count_in(struct shard *shard, struct topic *topic, uint16_t host_index)
{
    if (topic_subscriber_count(topic) == 0) {
        topic->only_host_index = (uint8_t)host_index;
        return true;
    }
    if (!topic->spread && !spread_make(shard, topic))
        return false;
    topic->spread->subscriber_count++;
    topic->spread->host_counts[host_index]++;
    topic->spread->host_mask |= 1ull << host_index;
    return true;
}

void topic_count_out(struct shard *shard, struct topic *topic, uint16_t host_index)
{
    struct topic_spread *spread = topic->spread;

    if (!spread) {
        must(topic->only_host_index == host_index);
        topic->only_host_index = TOPIC_NO_SUBSCRIBER;
        return;
    }
    must(spread->host_counts[host_index] > 0);
    if (--spread->host_counts[host_index] == 0)
        spread->host_mask &= ~(1ull << host_index);
    if (--spread->subscriber_count > 0)
        return;
    spread_free(shard, topic);
    topic->only_host_index = TOPIC_NO_SUBSCRIBER;
}

/* -- observers -- */

static uint32_t watch_hash(uint16_t instance, uint32_t id)
{
    return hash_u32(id + instance * 0x9e3779b9u);
}

static uint32_t watch_hash_of(const void *owner, uint32_t ref)
{
    const struct shard *shard = owner;
    const struct watch *watch = pool_at(&shard->watches, ref);

    return watch_hash(watch->instance_index, watch->id);
}

struct observable observable_topic(struct topic *topic)
{
    return (struct observable){topic->instance_index, topic->id, &topic->flags};
}

struct observable observable_client(struct client *client)
{
    return (struct observable){client->instance_index, client->id, &client->flags};
}

static struct watch *watch_find(struct shard *shard, struct observable of, uint32_t *index)
{
    struct table_probe probe = table_find(&shard->watch_ids, watch_hash(of.instance_index, of.id));

    if (!(*of.flags & ENTITY_OBSERVED))
        return NULL;
    while (table_next(&shard->watch_ids, &probe)) {
        struct watch *watch = pool_at(&shard->watches, probe.ref);

        *index = probe.ref;
        if (watch->id == of.id && watch->instance_index == of.instance_index)
            return watch;
    }
    must_never("a flag says there are observers, and there are none");
}

static struct watch *watch_make(struct shard *shard, struct observable of)
{
    uint32_t index;
    struct watch *watch = pool_get(&shard->watches, &shard->mem, &index);

    if (!watch)
        return NULL;
    watch->id = of.id;
    watch->instance_index = (uint8_t)of.instance_index;
    if (table_insert(&shard->watch_ids, &shard->mem, watch_hash(of.instance_index, of.id), index) !=
        STATUS_OK) {
        pool_put(&shard->watches, &shard->mem, index);
        return NULL;
    }
    *of.flags |= ENTITY_OBSERVED;
    return watch;
}

const struct members *observers_of(struct shard *shard, struct observable of)
{
    uint32_t unused;
    struct watch *watch = watch_find(shard, of, &unused);

    return watch ? &watch->observers : NULL;
}

enum members_result observers_add(struct shard *shard, struct observable of,
                                  struct conn_handle conn)
{
    uint32_t unused;
    struct watch *watch = watch_find(shard, of, &unused);

    if (!watch)
        watch = watch_make(shard, of); /* its first member needs no memory: it is never empty */
    return watch ? members_add(&watch->observers, &shard->mem, conn, 0) : MEMBERS_NO_MEMORY;
}

bool observers_remove(struct shard *shard, struct observable of, struct conn_handle conn)
{
    uint32_t unused;
    struct watch *watch = watch_find(shard, of, &unused);

    if (!watch || !members_remove(&watch->observers, &shard->mem, conn, &unused))
        return false;
    if (watch->observers.count == 0)
        observers_clear(shard, of);
    return true;
}

void observers_clear(struct shard *shard, struct observable of)
{
    uint32_t index;
    struct watch *watch = watch_find(shard, of, &index);

    if (!watch)
        return;
    table_remove(&shard->watch_ids, &shard->mem, watch_hash(of.instance_index, of.id), index);
    members_deinit(&watch->observers, &shard->mem);
    pool_put(&shard->watches, &shard->mem, index);
    *of.flags &= (uint8_t)~ENTITY_OBSERVED;
}

/* -- clients -- */

struct span identity_uid(const struct msg *identity)
{
    must(identity->bytes_count >= 1 && identity->bytes_count >= 1u + identity->bytes[0]);
    return span_of(identity->bytes + 1, identity->bytes[0]);
}

static uint32_t uid_hash(const struct shard *shard, const struct client *client)
{
    return (uint32_t)siphash(&shard->name_key, identity_uid(client->identity));
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
                           uint64_t hash, uint32_t id)
{
    struct shard_instance *at = instance_at(shard, instance);
    uint32_t index;
    struct client *client = pool_get(&shard->clients, &shard->mem, &index);

    if (!client)
        return NULL;
    client->id = id ? id : draw_id(shard, instance);
    client->instance_index = (uint8_t)instance;
    client->identity = identity;
    if (table_insert(&at->uids, &shard->mem, (uint32_t)hash, index) != STATUS_OK)
        goto undo_pool;
    if (table_insert(&at->ids, &shard->mem, hash_u32(client->id), index * 2 + REF_CLIENT) !=
        STATUS_OK)
        goto undo_table;
    counter_add(&shard->stats[SHARD_STAT_CLIENTS], 1);
    return client;

undo_table:
    table_remove(&at->uids, &shard->mem, (uint32_t)hash, index);
undo_pool:
    pool_put(&shard->clients, &shard->mem, index);
    return NULL;
}

void client_remove(struct shard *shard, struct client *client)
{
    struct shard_instance *at = instance_at(shard, client->instance_index);
    uint32_t hash = uid_hash(shard, client);
    struct table_probe probe = table_find(&at->uids, hash);
    bool found = false;

    while (!found && table_next(&at->uids, &probe))
        found = pool_at(&shard->clients, probe.ref) == client;
    must(found);
    uint32_t index = probe.ref;
    table_remove(&at->uids, &shard->mem, hash, index);
    table_remove(&at->ids, &shard->mem, hash_u32(client->id), index * 2 + REF_CLIENT);
    observers_clear(shard, observable_client(client));
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

struct subtopic *subtopic_by_id(struct shard *shard, uint16_t instance, uint32_t id)
{
    struct table *ids = &instance_at(shard, instance)->subtopic_ids;
    struct table_probe probe = table_find(ids, hash_u32(id));

    while (table_next(ids, &probe)) {
        struct subtopic *subtopic = pool_at(&shard->subtopics, probe.ref);
        if (subtopic->id == id)
            return subtopic;
    }
    return NULL;
}

bool subtopic_id_is_free(struct shard *shard, uint16_t instance, uint32_t id)
{
    const struct config_instance *config = &shard->config->instances[instance];

    for (uint32_t i = 0; i < config->subtopic_count; i++)
        if (config->subtopics[i].id == id) /* pinned, maybe in another shard */
            return false;
    return !subtopic_by_id(shard, instance, id);
}

static uint32_t draw_subtopic_id(struct shard *shard, uint16_t instance)
{
    for (;;) {
        uint32_t id = draw_owned_number(shard);

        if (id != SMQ_ID_NONE && subtopic_id_is_free(shard, instance, id))
            return id;
    }
}

/* With its number in the table, but not its name. */
static struct subtopic *subtopic_add(struct shard *shard, uint16_t instance, struct span name,
                                     uint64_t hash, uint32_t id, uint32_t *index)
{
    struct shard_instance *at = instance_at(shard, instance);
    struct subtopic *subtopic = pool_get(&shard->subtopics, &shard->mem, index);

    must(name.bytes_count >= 1 && name.bytes_count <= 255);
    if (!subtopic)
        return NULL;
    subtopic->name = mem_alloc(&shard->mem, MEM_TOPIC, name.bytes_count);
    if (!subtopic->name)
        goto undo_pool;
    memcpy(subtopic->name, name.data, name.bytes_count);
    subtopic->instance_index = (uint8_t)instance;
    subtopic->name_bytes_count = (uint8_t)name.bytes_count;
    subtopic->name_hash = (uint32_t)hash;
    subtopic->id = id ? id : draw_subtopic_id(shard, instance);
    if (table_insert(&at->subtopic_ids, &shard->mem, hash_u32(subtopic->id), *index) != STATUS_OK)
        goto undo_name;
    return subtopic;

undo_name:
    mem_free(&shard->mem, MEM_TOPIC, subtopic->name, subtopic->name_bytes_count);
undo_pool:
    pool_put(&shard->subtopics, &shard->mem, *index);
    return NULL;
}

struct subtopic *subtopic_make(struct shard *shard, uint16_t instance, struct span name,
                               uint64_t hash, uint32_t id)
{
    struct shard_instance *at = instance_at(shard, instance);
    uint32_t index;
    struct subtopic *subtopic = subtopic_add(shard, instance, name, hash, id, &index);

    if (!subtopic)
        return NULL;
    if (table_insert(&at->subtopic_names, &shard->mem, subtopic->name_hash, index) != STATUS_OK) {
        table_remove(&at->subtopic_ids, &shard->mem, hash_u32(subtopic->id), index);
        mem_free(&shard->mem, MEM_TOPIC, subtopic->name, subtopic->name_bytes_count);
        pool_put(&shard->subtopics, &shard->mem, index);
        return NULL;
    }
    counter_add(&shard->stats[SHARD_STAT_SUBTOPICS], 1);
    return subtopic;
}

struct subtopic *subtopic_reserve(struct shard *shard, uint16_t instance, struct span name,
                                  uint64_t hash, uint32_t id)
{
    uint32_t unused;

    must(id != SMQ_ID_NONE);
    return subtopic_add(shard, instance, name, hash, id, &unused);
}

/* -- names that have moved to the shard of a chosen number -- */

uint32_t forward_by_name(struct shard *shard, uint16_t instance, struct span name, uint64_t hash)
{
    struct table *names = &instance_at(shard, instance)->forward_names;
    struct table_probe probe = table_find(names, (uint32_t)hash);

    while (table_next(names, &probe)) {
        struct forward *forward = pool_at(&shard->forwards, probe.ref);
        if (bytes_equal(name, forward->name, forward->name_bytes_count))
            return forward->id;
    }
    return SMQ_ID_NONE;
}

bool forward_make(struct shard *shard, uint16_t instance, struct span name, uint64_t hash,
                  uint32_t id)
{
    struct shard_instance *at = instance_at(shard, instance);
    uint32_t index;
    struct forward *forward = pool_get(&shard->forwards, &shard->mem, &index);

    if (!forward)
        return false;
    forward->name = mem_alloc(&shard->mem, MEM_TOPIC, name.bytes_count);
    if (!forward->name)
        goto undo_pool;
    memcpy(forward->name, name.data, name.bytes_count);
    forward->name_bytes_count = (uint8_t)name.bytes_count;
    forward->name_hash = (uint32_t)hash;
    forward->id = id;
    if (table_insert(&at->forward_names, &shard->mem, forward->name_hash, index) == STATUS_OK)
        return true;
    mem_free(&shard->mem, MEM_TOPIC, forward->name, forward->name_bytes_count);
undo_pool:
    pool_put(&shard->forwards, &shard->mem, index);
    return false;
}

/* -- all of it -- */

/* Hashes of what is in the tables, for when slots move. */
static uint32_t topic_name_hash_of(const void *owner, uint32_t ref)
{
    const struct shard *shard = owner;

    return topic_name_hash(shard, pool_at(&shard->topics, ref));
}

static uint32_t uid_hash_of(const void *owner, uint32_t ref)
{
    const struct shard *shard = owner;

    return uid_hash(shard, pool_at(&shard->clients, ref));
}

static uint32_t id_hash_of(const void *owner, uint32_t ref)
{
    const struct shard *shard = owner;

    if (ref & REF_CLIENT)
        return hash_u32(((const struct client *)pool_at(&shard->clients, ref / 2))->id);
    return hash_u32(((const struct topic *)pool_at(&shard->topics, ref / 2))->id);
}

static uint32_t subtopic_name_hash_of(const void *owner, uint32_t ref)
{
    const struct shard *shard = owner;

    return ((const struct subtopic *)pool_at(&shard->subtopics, ref))->name_hash;
}

static uint32_t subtopic_id_hash_of(const void *owner, uint32_t ref)
{
    const struct shard *shard = owner;

    return hash_u32(((const struct subtopic *)pool_at(&shard->subtopics, ref))->id);
}

static uint32_t forward_name_hash_of(const void *owner, uint32_t ref)
{
    const struct shard *shard = owner;

    return ((const struct forward *)pool_at(&shard->forwards, ref))->name_hash;
}

void shard_state_init(struct shard *shard)
{
    size_t bytes = sizeof(*shard->instances) * shard->config->instance_count;

    pool_init(&shard->topics, MEM_TOPIC, sizeof(struct topic));
    pool_init(&shard->clients, MEM_CLIENT, sizeof(struct client));
    pool_init(&shard->subtopics, MEM_TOPIC, sizeof(struct subtopic));
    pool_init(&shard->forwards, MEM_TOPIC, sizeof(struct forward));
    pool_init(&shard->watches, MEM_MEMBER, sizeof(struct watch));
    table_init(&shard->watch_ids, watch_hash_of, shard);
    shard->instances = mem_alloc_always(&shard->mem, MEM_OTHER, bytes);
    for (uint32_t i = 0; i < shard->config->instance_count; i++) {
        struct shard_instance *instance = &shard->instances[i];

        table_init(&instance->topic_names, topic_name_hash_of, shard);
        table_init(&instance->uids, uid_hash_of, shard);
        table_init(&instance->ids, id_hash_of, shard);
        table_init(&instance->subtopic_names, subtopic_name_hash_of, shard);
        table_init(&instance->subtopic_ids, subtopic_id_hash_of, shard);
        table_init(&instance->forward_names, forward_name_hash_of, shard);
    }
}

void shard_state_deinit(struct shard *shard)
{
    struct mem *mem = &shard->mem;

    for (uint32_t i = 0; (i = pool_next_used(&shard->topics, i)) != UINT32_MAX; i++)
        topic_free(shard, pool_at(&shard->topics, i));
    for (uint32_t i = 0; (i = pool_next_used(&shard->clients, i)) != UINT32_MAX; i++) {
        struct client *client = pool_at(&shard->clients, i);
        msg_unref(mem, client->identity);
        client->identity = NULL;
    }
    for (uint32_t i = 0; (i = pool_next_used(&shard->subtopics, i)) != UINT32_MAX; i++) {
        struct subtopic *subtopic = pool_at(&shard->subtopics, i);
        mem_free(mem, MEM_TOPIC, subtopic->name, subtopic->name_bytes_count);
        subtopic->name = NULL;
    }
    for (uint32_t i = 0; (i = pool_next_used(&shard->forwards, i)) != UINT32_MAX; i++) {
        struct forward *forward = pool_at(&shard->forwards, i);
        mem_free(mem, MEM_TOPIC, forward->name, forward->name_bytes_count);
        forward->name = NULL;
    }
    for (uint32_t i = 0; (i = pool_next_used(&shard->watches, i)) != UINT32_MAX; i++)
        members_deinit(&((struct watch *)pool_at(&shard->watches, i))->observers, mem);
    pool_deinit(&shard->watches, mem);
    table_deinit(&shard->watch_ids, mem);
    pool_deinit(&shard->topics, mem);
    pool_deinit(&shard->clients, mem);
    pool_deinit(&shard->subtopics, mem);
    pool_deinit(&shard->forwards, mem);
    for (uint32_t i = 0; i < shard->config->instance_count; i++) {
        table_deinit(&shard->instances[i].topic_names, mem);
        table_deinit(&shard->instances[i].uids, mem);
        table_deinit(&shard->instances[i].ids, mem);
        table_deinit(&shard->instances[i].subtopic_names, mem);
        table_deinit(&shard->instances[i].subtopic_ids, mem);
        table_deinit(&shard->instances[i].forward_names, mem);
    }
    mem_free(mem, MEM_OTHER, shard->instances,
             sizeof(*shard->instances) * shard->config->instance_count);
    shard->instances = NULL;
}
