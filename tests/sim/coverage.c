/* tests/sim/coverage.c — see tests/sim/coverage.h. Thread: one. */
#include "tests/sim/coverage.h"

#include <inttypes.h>
#include <stdio.h>

static struct {
    uint64_t run_count;
    uint64_t connection_count;
    uint64_t message_count;
    uint64_t full_lane_count;
    uint64_t refused_allocation_count;
    uint64_t io[IO_STAT_COUNT];
    uint64_t shard[SHARD_STAT_COUNT];
    uint64_t closed[CLOSE_REASON_COUNT];
} sum;

void coverage_add(const struct sim *sim)
{
    const struct world *world = &sim->world;
    uint32_t actor_count = world->mesh.actor_count;

    sum.run_count++;
    sum.connection_count += sim->serial_count;
    sum.message_count += sim->message_count;
    for (uint32_t i = 0; i < IO_STAT_COUNT; i++)
        sum.io[i] += world_io_stat(world, (enum io_stat)i);
    for (uint32_t i = 0; i < SHARD_STAT_COUNT; i++)
        sum.shard[i] += world_shard_stat(world, (enum shard_stat)i);
    for (uint32_t io = 0; io < sim->scenario.io_count; io++)
        for (uint32_t i = 0; i < CLOSE_REASON_COUNT; i++)
            sum.closed[i] += counter_read(&world->ios[io].closed_counts[i]);
    for (uint32_t i = 0; i < actor_count * actor_count; i++)
        if (world->mesh.lanes[i])
            sum.full_lane_count += counter_read(&world->mesh.lanes[i]->full_count);
    for (uint32_t i = 0; i < actor_count; i++)
        sum.refused_allocation_count += counter_read(&world->mems[i]->refused_count);
}

static void print_counter(const char *owner, const char *name, uint64_t value)
{
    printf("  %-6s %-36s %14" PRIu64 "%s\n", owner, name, value, value ? "" : "   never");
}

void coverage_print(bool with_counters)
{
    printf("%" PRIu64 " runs agreed: %" PRIu64 " connections, %" PRIu64
           " messages received, %" PRIu64 " full lanes, %" PRIu64 " failed allocations\n",
           sum.run_count, sum.connection_count, sum.message_count, sum.full_lane_count,
           sum.refused_allocation_count);
    if (!with_counters)
        return;
    for (uint32_t i = 0; i < IO_STAT_COUNT; i++)
        print_counter("io", io_stat_descs[i].name, sum.io[i]);
    for (uint32_t i = 0; i < SHARD_STAT_COUNT; i++)
        print_counter("shard", shard_stat_descs[i].name, sum.shard[i]);
    for (uint32_t i = 0; i < CLOSE_REASON_COUNT; i++)
        print_counter("closed", close_reason_name((enum close_reason)i), sum.closed[i]);
}
