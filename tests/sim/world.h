/*
 * tests/sim/world.h — the broker of one run: real I/O actors and shards on a real mesh, without
 * threads and without a kernel.
 *
 * Put together as server/broker.c does it. Who runs when is tests/sim/turn.h's. Thread: one.
 */
#pragma once

#include "core/shard.h"
#include "net/io.h"
#include "tests/sim/scenario.h"

#define SIM_ACTORS_MAX (SIM_IO_MAX + SIM_SHARDS_MAX + 1u)

struct world {
    const struct scenario *scenario;
    struct mem_budget budget;
    struct mem control_mem;
    struct quotas quotas;
    struct mesh mesh;
    struct parker *parkers[SIM_ACTORS_MAX];
    struct mem *mems[SIM_ACTORS_MAX];
    struct parker thread_parkers[SIM_ACTORS_MAX];
    struct io *ios;       /* [scenario->io_count] */
    struct shard *shards; /* [scenario->shard_count] */
    struct siphash_key name_key;
    uint32_t now_tick;
    int64_t idle_bytes[MEM_KIND_COUNT]; /* what the broker used before anybody came */
};

/* @world must be on cache lines. @scenario outlives it. */
void world_init(struct world *world, const struct scenario *scenario, struct dice *dice);

/* Every connection must be free. Fails the run when a byte has not been given back. */
void world_deinit(struct world *world);

/* Bytes of one kind over all accounts. */
int64_t world_bytes(const struct world *world, enum mem_kind kind);

/* The sum of one counter over all I/O actors, and over all shards. */
uint64_t world_io_stat(const struct world *world, enum io_stat stat);
uint64_t world_shard_stat(const struct world *world, enum shard_stat stat);

/* Which shard answers for a topic's name, for a sub-topic's, and for a number. */
uint32_t world_shard_of_name(const struct world *world, uint32_t instance, const struct name *name);
uint32_t world_shard_of_subname(const struct world *world, const struct name *name);
uint32_t world_shard_of_id(const struct world *world, uint32_t id);

static inline const struct config *world_config(const struct world *world)
{
    return &world->scenario->config;
}
