/*
 * tests/unit/core/shard_desk.h — router shards, and the hosts that a test plays by hand: two I/O
 * actors, and if it asks for it a local actor.
 *
 * A test says what hosts would push, the shards turn, and it takes the answers one by one
 * with hear(). Nothing else may be in the lanes at finish(). Include Criterion first. No threads.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/msg.h"
#include "core/shard.h"

#define IOS        2u
#define SHARDS_MAX 3u
#define LOCAL      IOS /* the host index of the local actor, when there is one */
#define ACTORS_MAX (IOS + 1 + SHARDS_MAX + 1)
#define PINNED_TID 42u

static struct config config;
static struct config_instance instances[2];
static struct config_instance second_instance; /* what instances[1] will be; without pins */
static struct config_pin pins[2];
static struct mem_budget budget;
static struct mem io_mems[IOS];
static struct mem local_mem;
static struct mem control_mem;
static struct quotas quotas;
static struct mesh mesh;
static struct parker parkers[ACTORS_MAX];
static struct parker *parker_of[ACTORS_MAX];
static struct mem *mem_of[ACTORS_MAX];
static struct shard shards[SHARDS_MAX];
static uint32_t shard_count;
static const struct siphash_key name_key = {11, 12};

/* -- the world -- */

/* @locals: 0, or 1 for a local actor that the test plays too. */
static inline void build_with(uint32_t count, uint32_t locals)
{
    uint32_t hosts = IOS + locals;

    shard_count = count;
    pins[0] = (struct config_pin){.name = strdup("pinned"), .id = PINNED_TID};
    pins[1] = (struct config_pin){.name = strdup("subpinned"), .id = 7};
    instances[0] = (struct config_instance){.topics = &pins[0],
                                            .topic_count = 1,
                                            .subtopics = &pins[1],
                                            .subtopic_count = 1};
    instances[1] = second_instance;
    config = (struct config){.instances = instances,
                             .instance_count = 2,
                             .limits = {.topics_max = 100,
                                        .topics_per_instance_max = 100,
                                        .subscriptions_max = 100,
                                        .subscriptions_per_instance_max = 100,
                                        .subtopics_per_instance_max = 100}};
    mem_budget_init(&budget, 64 << 20);
    quotas_init(&quotas, &config);
    for (uint32_t i = 0; i < hosts + count + 1; i++) {
        cr_assert_eq(parker_init(&parkers[i]), STATUS_OK);
        parker_of[i] = &parkers[i];
        mem_of[i] = i < IOS             ? &io_mems[i]
                    : i < hosts         ? &local_mem
                    : i < hosts + count ? &shards[i - hosts].mem
                                        : &control_mem;
        mem_init(mem_of[i], &budget);
    }
    struct mesh_size size = {.io_count = IOS,
                             .local_count = locals,
                             .shard_count = count,
                             .slot_count = 1024};

    mesh_init_sized(&mesh, &size, parker_of, mem_of);
    for (uint32_t i = 0; i < count; i++) {
        struct shard_options options = {.config = &config,
                                        .mesh = &mesh,
                                        .quotas = &quotas,
                                        .name_key = name_key,
                                        .random_key = {13, i},
                                        .shard_index = i};
        cr_assert_eq(shard_init(&shards[i], &options), STATUS_OK);
    }
}

static inline void build(uint32_t count)
{
    build_with(count, 0);
}

static inline uint64_t counted(enum shard_stat which)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < shard_count; i++)
        sum += counter_read(&shards[i].stats[which]);
    return sum;
}

static inline void turn(void)
{
    for (uint32_t i = 0; i < shard_count; i++) {
        while (shard_turn(&shards[i]) > 0)
            (void)port_flush(shards[i].port);
    }
}

/* Nothing may be left in the lanes or in the tables, but what is pinned. */
static inline void finish(void)
{
    uint32_t actor_count = mesh.actor_count;

    for (uint32_t host = 0; host < mesh.host_count; host++)
        cr_assert_not(port_has_mail(&mesh.ports[host]), "an answer nobody expected");
    for (uint32_t i = 0; i < shard_count; i++)
        shard_deinit(&shards[i]);
    mesh_deinit(&mesh);
    quotas_deinit(&quotas);
    for (int kind = 0; kind < MEM_KIND_COUNT; kind++) {
        int64_t bytes = 0;

        for (uint32_t i = 0; i < actor_count; i++)
            bytes += atomic_load(&mem_of[i]->kind_bytes[kind]);
        cr_assert_eq(bytes, 0, "%s", mem_kind_name((enum mem_kind)kind));
    }
    for (uint32_t i = 0; i < actor_count; i++)
        parker_deinit(&parkers[i]);
    free(pins[0].name);
    free(pins[1].name);
}

/* -- what hosts say -- */

static inline struct conn_handle conn_at_io(uint16_t io, uint32_t slot)
{
    return (struct conn_handle){.host_index = io, .generation = 1, .slot_index = slot};
}

static inline void ask(uint32_t shard, struct conn_handle conn, struct envelope envelope)
{
    envelope.conn = conn;
    port_push(&mesh.ports[conn.host_index], mesh_shard_index(&mesh, shard), envelope);
    turn();
}

static inline void ask_about_id(struct conn_handle conn, enum envelope_kind kind, uint32_t id)
{
    ask(mesh_shard_of_id(&mesh, id), conn, (struct envelope){.kind = (uint8_t)kind, .id = id});
}

static inline void ask_about_name(struct conn_handle conn, enum envelope_kind kind,
                                  const char *name, uint8_t flags, uint16_t instance)
{
    struct span text = span_of(name, strlen(name));
    uint64_t hash = siphash(&name_key, text);
    uint32_t shard = kind == ENVELOPE_CREATESUB
                         ? mesh_shard_of_hash(&mesh, hash)
                         : shard_of_topic_name(&config, &mesh, instance, text, hash);

    ask(shard, conn,
        (struct envelope){.kind = (uint8_t)kind,
                          .flags = flags,
                          .instance_index = instance,
                          .hash = hash,
                          .msg = msg_copy(mem_of[conn.host_index], text)});
}

static inline void connect(struct conn_handle conn, const char *uid)
{
    uint8_t identity[64] = {(uint8_t)strlen(uid)};
    uint64_t hash = siphash(&name_key, span_of(uid, strlen(uid)));

    memcpy(identity + 1, uid, strlen(uid));
    ask(mesh_shard_of_hash(&mesh, hash), conn,
        (struct envelope){.kind = ENVELOPE_CONNECT,
                          .hash = hash,
                          .msg = msg_copy(mem_of[conn.host_index],
                                          span_of(identity, 3 + strlen(uid)))});
}

static inline void publish(struct conn_handle conn, uint32_t id, uint32_t count)
{
    ask(mesh_shard_of_id(&mesh, id), conn,
        (struct envelope){.kind = ENVELOPE_PUBLISH,
                          .id = id,
                          .etid = 5,
                          .count = count,
                          .msg = msg_copy(mem_of[conn.host_index], span_of("run", 3))});
}

/* -- what they hear -- */

static struct envelope heard;    /* the last one; its msg has been given back, */
static uint8_t heard_text[4096]; /* but this was in it */
static uint32_t heard_text_bytes;

/* The next answer to a host, from any shard; asserts what it is. */
static inline const struct envelope *hear_at(uint32_t io, enum envelope_kind kind)
{
    bool any = false;

    for (uint32_t i = 0; i < shard_count && !any; i++)
        any = port_pop(&mesh.ports[io], mesh_shard_index(&mesh, i), &heard);
    cr_assert(any, "no %s", envelope_kind_name(kind));
    cr_assert_eq(heard.kind, kind, "%s, not %s", envelope_kind_name((enum envelope_kind)heard.kind),
                 envelope_kind_name(kind));
    heard_text_bytes = heard.msg ? min_u32(heard.msg->bytes_count, sizeof(heard_text)) : 0;
    if (heard_text_bytes > 0)
        memcpy(heard_text, heard.msg->bytes, heard_text_bytes);
    msg_unref(mem_of[io], heard.msg);
    return &heard;
}

static inline const struct envelope *hear(struct conn_handle conn, enum envelope_kind kind)
{
    const struct envelope *envelope = hear_at(conn.host_index, kind);

    cr_assert(conn_handle_equal(envelope->conn, conn));
    return envelope;
}

static inline void hear_nothing(void)
{
    for (uint32_t host = 0; host < mesh.host_count; host++)
        cr_assert_not(port_has_mail(&mesh.ports[host]));
}

static inline void hear_change(struct conn_handle conn, uint32_t id, uint32_t count)
{
    const struct envelope *change = hear(conn, ENVELOPE_CHANGE);

    cr_assert_eq(change->id, id);
    cr_assert_eq(change->count, count);
    cr_assert_not(change->flags & ENVELOPE_SILENT);
}

/* -- short forms for what should go well -- */

static inline uint32_t join(struct conn_handle conn, const char *uid)
{
    connect(conn, uid);
    cr_assert_eq(hear(conn, ENVELOPE_CONNECTED)->status, SMQ_CONNACK_ACCEPTED);
    return heard.id;
}

static inline uint32_t subscribe(struct conn_handle conn, const char *name)
{
    ask_about_name(conn, ENVELOPE_SUBSCRIBE, name, 0, 0);
    cr_assert_eq(hear(conn, ENVELOPE_SUBSCRIBED)->status, SMQ_ACK_OK);
    return heard.id;
}

static inline uint32_t create(struct conn_handle conn, const char *name)
{
    ask_about_name(conn, ENVELOPE_CREATE, name, 0, 0);
    cr_assert_eq(hear(conn, ENVELOPE_CREATED)->status, SMQ_ACK_OK);
    return heard.id;
}

static inline uint32_t observe(struct conn_handle conn, uint32_t id)
{
    ask_about_id(conn, ENVELOPE_OBSERVE, id);
    cr_assert(hear(conn, ENVELOPE_CHANGE)->flags & ENVELOPE_REPLY);
    return heard.count;
}

static inline void leave(struct conn_handle conn, uint32_t id)
{
    ask_about_id(conn, ENVELOPE_LEAVE, id);
}

#define A conn_at_io(0, 1)
#define B conn_at_io(1, 1)
#define C conn_at_io(0, 2)
