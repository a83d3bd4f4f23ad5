/* tests/sim/scenario.c — see tests/sim/scenario.h. Thread: one. */
#include "tests/sim/scenario.h"

#include <stdio.h>
#include <string.h>

#include "client/smq_wire.h"
#include "core/limits.h"

static const char *const paths[SIM_INSTANCES_MAX] = {"/smq.lsp", "/b", "/third/one"};

/* Pinned ids: any number but 0 and 1; these live in different shards. */
#define PIN_ID(instance, index) (100u + (instance)*10u + (index))

static void draw_names(struct scenario *scenario, struct dice *dice)
{
    uint32_t bytes_max = scenario->config.limits.name_bytes_max;

    scenario->name_count = dice_between(dice, 2, SIM_NAMES_MAX);
    scenario->subname_count = dice_between(dice, 1, SIM_SUBNAMES_MAX);
    for (uint32_t i = 0; i < SIM_NAMES_MAX; i++) {
        struct name *name = &scenario->names[i];

        /* Short ones beside the longest that are allowed; the first letters tell them apart. */
        name->bytes_count = i >= 2 && dice_percent(dice, 10) ? bytes_max : 2 + i % 5;
        memset(name->bytes, 'x', sizeof(name->bytes));
        name->bytes[0] = 't';
        name->bytes[1] = (uint8_t)('a' + i);
    }
    scenario->names[NAME_EMPTY].bytes_count = 0;
    scenario->names[NAME_TOO_LONG].bytes_count = bytes_max + dice_between(dice, 1, 40);
    memset(scenario->names[NAME_TOO_LONG].bytes, 'y', SIM_NAME_BYTES_MAX);
    for (uint32_t i = 0; i < SIM_SUBNAMES_MAX; i++) {
        struct name *name = &scenario->subnames[i];

        name->bytes_count = 2;
        name->bytes[0] = 's';
        name->bytes[1] = (uint8_t)('a' + i);
    }
}

/* Pins carry the first names' texts, so clients use them like any other. */
static char *pin_text(struct scenario *scenario, uint32_t instance, uint32_t index,
                      const struct name *name)
{
    char *text = scenario->pin_texts[instance][index];

    must(name->bytes_count < sizeof(scenario->pin_texts[0][0]));
    memcpy(text, name->bytes, name->bytes_count);
    text[name->bytes_count] = '\0';
    return text;
}

static void draw_instances(struct scenario *scenario, struct dice *dice)
{
    struct config *config = &scenario->config;

    config->instances = scenario->instances;
    config->instance_count = dice_between(dice, 1, SIM_INSTANCES_MAX);
    for (uint32_t i = 0; i < config->instance_count; i++) {
        struct config_instance *instance = &scenario->instances[i];

        instance->path = (char *)(uintptr_t)paths[i];
        instance->topics = scenario->pins[i];
        instance->topic_count = dice_below(dice, 3);
        for (uint32_t pin = 0; pin < instance->topic_count; pin++)
            scenario->pins[i][pin] =
                (struct config_pin){.name = pin_text(scenario, i, pin, &scenario->names[pin]),
                                    .id = PIN_ID(i, pin)};
        instance->subtopics = scenario->subpins[i];
        instance->subtopic_count = dice_below(dice, 2);
        scenario->subpins[i][0] =
            (struct config_pin){.name = pin_text(scenario, i, 2, &scenario->subnames[0]),
                                .id = PIN_ID(i, 2)};
    }
}

static void draw_limits(struct scenario *scenario, struct dice *dice)
{
    struct config_limits *limits = &scenario->config.limits;
    bool tight = scenario->tight_limits;

    *limits = (struct config_limits){
        .connection_count_max = tight ? dice_between(dice, 3, 20) : 1000,
        .handshake_count_max = tight ? dice_between(dice, 2, 8) : 1000,
        .handshake_timeout_ms = 4000,
        .pending_per_client_max = 8192,
        .pending_per_instance_max = 65536,
        .frame_timeout_ms = dice_between(dice, 2000, 4000), /* before anybody is pinged */
        .topics_per_client_max = tight ? dice_between(dice, 1, 6) : 1000,
        .topics_per_instance_max = tight ? dice_between(dice, 1, 8) : 1000,
        .topics_max = tight ? dice_between(dice, 2, 16) : 1000,
        .subscriptions_per_client_max = tight ? dice_between(dice, 1, 5) : 1000,
        .subscriptions_per_instance_max = tight ? dice_between(dice, 2, 20) : 1000,
        .subscriptions_max = tight ? dice_between(dice, 3, 40) : 1000,
        .observations_per_client_max = tight ? dice_between(dice, 1, 5) : 1000,
        .subtopics_per_instance_max = tight ? dice_between(dice, 1, 4) : 1000,
        .frame_bytes_max = dice_percent(dice, 50) ? SMQ_FRAME_BYTES_MAX : 4096,
        .name_bytes_max = dice_percent(dice, 50) ? 255 : dice_between(dice, 8, 60),
        .queue_bytes_max = scenario->small_queues ? dice_between(dice, 1500, 6000) : 1u << 24,
        .slow_consumer = (enum slow_consumer)dice_below(dice, 3),
        .memory_bytes_max = 1ull << 30,
    };
    scenario->payload_bytes_max = dice_percent(dice, 50) ? 300 : 3000;
    if (scenario->payload_bytes_max + SMQ_PUBLISH_HEADER_BYTES > limits->queue_bytes_max)
        scenario->payload_bytes_max = 300; /* calm weather wants messages that fit */
}

void scenario_draw(struct scenario *scenario, struct dice *dice)
{
    static const uint32_t lane_slots[] = {2, 4, 4, 4, 8, 64};

    memset(scenario, 0, sizeof(*scenario));
    scenario->io_count = dice_between(dice, 1, SIM_IO_MAX);
    scenario->inline_shards = dice_percent(dice, 40);
    scenario->shard_count =
        scenario->inline_shards ? scenario->io_count : dice_between(dice, 1, SIM_SHARDS_MAX);
    scenario->slot_count_max = LIMIT_CONN_CHUNK * dice_between(dice, 1, 3);
    scenario->link_count = dice_between(dice, 2, 20);
    scenario->uid_count = dice_percent(dice, 30) ? dice_between(dice, 2, 6) : SIM_UIDS_MAX;
    scenario->tight_limits = dice_percent(dice, 35);
    scenario->small_queues = dice_percent(dice, 40);
    scenario->short_sends = dice_percent(dice, 50);
    scenario->failing_memory = dice_percent(dice, 20);
    scenario->little_memory = dice_percent(dice, 8);
    scenario->time_passes = dice_percent(dice, 50);
    /* Half of the runs cross the point where ticks wrap. */
    scenario->start_tick = dice_percent(dice, 50) ? UINT32_MAX - dice_below(dice, 400) : 1000;

    struct config *config = &scenario->config;

    config->io_thread_count = (int32_t)scenario->io_count;
    config->router_thread_count = scenario->inline_shards ? 0 : (int32_t)scenario->shard_count;
    config->lane_slot_count = lane_slots[dice_below(dice, COUNT_OF(lane_slots))];
    config->keepalive_idle_ms = dice_between(dice, 5000, 30000);
    config->keepalive_answer_ms = dice_between(dice, 2000, 10000);
    draw_limits(scenario, dice);
    draw_names(scenario, dice);
    draw_instances(scenario, dice);
}

void scenario_describe(const struct scenario *scenario, char *text, size_t room)
{
    static const char *const policies[] = {"drop_new", "drop_old", "disconnect"};

    snprintf(text, room,
             "%u io, %u shards%s, %u instances, lanes of %u, %u connections, %u UIDs, %u names%s%s"
             "%s%s%s%s, %s",
             scenario->io_count, scenario->shard_count, scenario->inline_shards ? " inline" : "",
             scenario->config.instance_count, scenario->config.lane_slot_count,
             scenario->link_count, scenario->uid_count, scenario->name_count,
             scenario->tight_limits ? ", tight limits" : "",
             scenario->small_queues ? ", small queues" : "",
             scenario->short_sends ? ", short sends" : "",
             scenario->failing_memory ? ", failing memory" : "",
             scenario->little_memory ? ", little memory" : "",
             scenario->time_passes ? ", time passes" : "",
             policies[scenario->config.limits.slow_consumer]);
}
