/*
 * tests/sim/scenario.h — what one seed plays: how many actors, which limits, which troubles.
 *
 * Drawn from the dice before anything else. Names and UIDs come from small sets, so that clients
 * meet each other all the time; every instance uses the same names, so that a leak between
 * instances shows. Thread: one.
 */
#pragma once

#include "core/config.h"
#include "tests/sim/dice.h"

#define SIM_IO_MAX         3u
#define SIM_SHARDS_MAX     3u
#define SIM_INSTANCES_MAX  3u
#define SIM_NAMES_MAX      12u /* valid ones */
#define SIM_SUBNAMES_MAX   6u
#define SIM_UIDS_MAX       40u
#define SIM_NAME_BYTES_MAX 300u /* longer than any limit: refused names are used too */
#define SIM_SLOTS_MAX      192u /* per I/O actor: three chunks */

/* Indexes of the names that the broker must refuse, after the valid ones. */
#define NAME_EMPTY    (SIM_NAMES_MAX)
#define NAME_TOO_LONG (SIM_NAMES_MAX + 1u)
#define NAME_COUNT    (SIM_NAMES_MAX + 2u)
#define NAME_NONE     UINT8_MAX

struct name {
    uint32_t bytes_count;
    uint8_t bytes[SIM_NAME_BYTES_MAX];
};

struct scenario {
    uint32_t io_count;
    uint32_t shard_count;
    bool inline_shards; /* a shard runs in each I/O actor's turn */
    uint32_t slot_count_max;
    uint32_t name_count;
    uint32_t subname_count;
    uint32_t uid_count;  /* per instance; fewer than connections, so they take over */
    uint32_t link_count; /* connections at a time */
    uint32_t payload_bytes_max;
    bool tight_limits;   /* limits small enough to be reached: a request may be refused */
    bool small_queues;   /* the slow-consumer policy will be needed */
    bool short_sends;    /* a send may take a part only */
    bool failing_memory; /* allocations fail now and then */
    bool little_memory;  /* limits.memory is nearly used up */
    bool time_passes;    /* handshakes and silent clients time out */
    uint32_t start_tick;

    struct name names[NAME_COUNT];
    struct name subnames[SIM_SUBNAMES_MAX];
    struct config config; /* owns nothing beyond this struct */
    struct config_instance instances[SIM_INSTANCES_MAX];
    struct config_pin pins[SIM_INSTANCES_MAX][2];
    struct config_pin subpins[SIM_INSTANCES_MAX][1];
    char pin_texts[SIM_INSTANCES_MAX][3][8];
};

/* @scenario must stay where it is: the configuration points into it. */
void scenario_draw(struct scenario *scenario, struct dice *dice);

/* One line for the log. */
void scenario_describe(const struct scenario *scenario, char *text, size_t room);

/* Is anything allowed to fail for lack of memory? */
static inline bool scenario_has_faults(const struct scenario *scenario)
{
    return scenario->failing_memory || scenario->little_memory;
}
