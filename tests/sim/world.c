/* tests/sim/world.c — see tests/sim/world.h. Thread: one. */
#include "tests/sim/world.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/journal.h"

static void *lines_of(size_t count, size_t bytes)
{
    void *block = aligned_alloc(CACHE_LINE, count * bytes);

    must(block && bytes % CACHE_LINE == 0);
    memset(block, 0, count * bytes);
    return block;
}

static struct siphash_key draw_key(struct dice *dice)
{
    return (struct siphash_key){dice_next(dice), dice_next(dice)};
}

/* A parker whose wake-ups go nowhere: we look at `parked` instead of sleeping on it. */
static void make_parker(struct parker *parker)
{
    atomic_init(&parker->parked, false);
    atomic_init(&parker->wake_count, 0);
    parker->wake_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    must(parker->wake_fd >= 0);
}

static void lay_out_actors(struct world *world)
{
    uint32_t io_count = world->scenario->io_count;
    uint32_t shard_count = world->scenario->shard_count;
    uint32_t control = io_count + shard_count;

    for (uint32_t i = 0; i <= control; i++) {
        bool is_shard = i >= io_count && i < control;

        make_parker(&world->thread_parkers[i]);
        world->parkers[i] =
            &world->thread_parkers[is_shard && world->scenario->inline_shards ? i - io_count : i];
        world->mems[i] = i < io_count ? &world->ios[i].mem
                         : is_shard   ? &world->shards[i - io_count].mem
                                      : &world->control_mem;
        mem_init(world->mems[i], &world->budget);
    }
}

static void make_actors(struct world *world, struct dice *dice)
{
    const struct scenario *scenario = world->scenario;

    for (uint32_t i = 0; i < scenario->shard_count; i++) {
        struct shard_options options = {.config = &scenario->config,
                                        .mesh = &world->mesh,
                                        .quotas = &world->quotas,
                                        .name_key = world->name_key,
                                        .random_key = draw_key(dice),
                                        .shard_index = i};
        must(shard_init(&world->shards[i], &options) == STATUS_OK);
    }
    for (uint32_t i = 0; i < scenario->io_count; i++) {
        struct io_options options = {.config = &scenario->config,
                                     .mesh = &world->mesh,
                                     .quotas = &world->quotas,
                                     .name_key = world->name_key,
                                     .random_key = draw_key(dice),
                                     .io_index = i,
                                     .slot_count_max = scenario->slot_count_max};
        must(io_init(&world->ios[i], &options, world->now_tick) == STATUS_OK);
    }
}

void world_init(struct world *world, const struct scenario *scenario, struct dice *dice)
{
    const struct config *config = &scenario->config;

    memset(world, 0, sizeof(*world));
    world->scenario = scenario;
    world->now_tick = scenario->start_tick;
    world->name_key = draw_key(dice);
    mem_budget_init(&world->budget, config->limits.memory_bytes_max);
    world->ios = lines_of(scenario->io_count, sizeof(*world->ios));
    world->shards = lines_of(scenario->shard_count, sizeof(*world->shards));
    lay_out_actors(world);
    quotas_init(&world->quotas, config);
    mesh_init(&world->mesh, scenario->io_count, scenario->shard_count, config->lane_slot_count,
              world->parkers, world->mems);
    make_actors(world, dice);

    int64_t used_bytes = 0;
    for (uint32_t kind = 0; kind < MEM_KIND_COUNT; kind++) {
        world->idle_bytes[kind] = world_bytes(world, (enum mem_kind)kind);
        used_bytes += world->idle_bytes[kind];
    }
    if (scenario->little_memory)
        world->budget.limit_bytes = used_bytes + dice_between(dice, 50000, 400000);
}

void world_deinit(struct world *world)
{
    uint32_t actor_count = world->mesh.actor_count;

    for (uint32_t i = 0; i < world->scenario->io_count; i++)
        io_deinit(&world->ios[i]);
    for (uint32_t i = 0; i < world->scenario->shard_count; i++)
        shard_deinit(&world->shards[i]);
    mesh_deinit(&world->mesh);
    quotas_deinit(&world->quotas);
    for (uint32_t kind = 0; kind < MEM_KIND_COUNT; kind++)
        expect(world_bytes(world, (enum mem_kind)kind) == 0,
               "after everything was freed, %s has %lld bytes", mem_kind_name((enum mem_kind)kind),
               (long long)world_bytes(world, (enum mem_kind)kind));
    for (uint32_t i = 0; i < actor_count; i++)
        parker_deinit(&world->thread_parkers[i]);
    free(world->ios);
    free(world->shards);
}

int64_t world_bytes(const struct world *world, enum mem_kind kind)
{
    uint32_t actor_count = world->scenario->io_count + world->scenario->shard_count + 1;
    int64_t sum = 0;

    for (uint32_t i = 0; i < actor_count; i++)
        sum += atomic_load_explicit(&world->mems[i]->kind_bytes[kind], memory_order_relaxed);
    return sum;
}

uint64_t world_io_stat(const struct world *world, enum io_stat stat)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < world->scenario->io_count; i++)
        sum += counter_read(&world->ios[i].stats[stat]);
    return sum;
}

uint64_t world_shard_stat(const struct world *world, enum shard_stat stat)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < world->scenario->shard_count; i++)
        sum += counter_read(&world->shards[i].stats[stat]);
    return sum;
}

static uint64_t hash_of(const struct world *world, const struct name *name)
{
    return siphash(&world->name_key, span_of(name->bytes, name->bytes_count));
}

uint32_t world_shard_of_name(const struct world *world, uint32_t instance, const struct name *name)
{
    return shard_of_topic_name(world_config(world), &world->mesh, (uint16_t)instance,
                               span_of(name->bytes, name->bytes_count), hash_of(world, name));
}

uint32_t world_shard_of_subname(const struct world *world, const struct name *name)
{
    return mesh_shard_of_hash(&world->mesh, hash_of(world, name));
}

uint32_t world_shard_of_id(const struct world *world, uint32_t id)
{
    return mesh_shard_of_id(&world->mesh, id);
}
