/*
 * tests/sim/quiet.c — at rest: what the actors hold is exactly what the clients know.
 *
 * Everybody reads, every actor runs until nothing moves; an actor that sleeps on its mail is found
 * here. Then names, numbers, subscribers, observers, quotas, gauges, counters and bytes are
 * compared, and what a client could not know (was an Observe refused in silence?) is looked up,
 * once, so that the next action can be foretold. Thread: one.
 */
#include <string.h>

#include "tests/sim/client.h"
#include "tests/sim/control.h"
#include "tests/sim/journal.h"
#include "tests/sim/kernel.h"
#include "tests/sim/messages.h"
#include "tests/sim/probe.h"
#include "tests/sim/turn.h"

/* Of an actor: a few small tables. */
#define TABLE_REST_BYTES (8 * 64 * (int64_t)sizeof(uint32_t))

#define ROUNDS_MAX      200000u /* far beyond any backlog a storm can build up */
#define IDLE_ROUNDS_MAX 1000u   /* rounds without progress that prove a standstill */

/* -- coming to rest -- */

static bool was_said_goodbye(const struct link *link)
{
    return link->phase != LINK_FREE && (link->broker_finished || link->phase == LINK_OVER);
}

static bool is_quiet(const struct sim *sim)
{
    for (uint32_t i = 0; i < mesh_control_index(&sim->world.mesh); i++)
        if (!turn_is_quiet(sim, i))
            return false;
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        if (was_said_goodbye(&sim->links[i]))
            return false;
    return control_is_quiet(sim);
}

/* Everybody reads; who has been said goodbye closes. */
static void let_clients_react(struct sim *sim)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        sim->links[i].window_bytes = 1u << 30;
        if (was_said_goodbye(&sim->links[i]))
            sim->links[i].has_closed = true;
    }
}

static uint32_t run_random_actor(struct sim *sim)
{
    uint32_t actor = dice_below(&sim->dice, mesh_control_index(&sim->world.mesh));

    if (dice_percent(&sim->dice, 50))
        return turn_slice(sim, actor, 100);
    return turn_rest(sim, actor, 100);
}

_Noreturn static void report_standstill(const struct sim *sim)
{
    const struct world *world = &sim->world;

    for (uint32_t i = 0; i < mesh_control_index(&world->mesh); i++)
        if (!turn_is_quiet(sim, i))
            journal_fail("actor %u has %s, and nothing moves any more", i,
                         port_has_mail(&world->mesh.ports[i])    ? "mail"
                         : !port_is_clear(&world->mesh.ports[i]) ? "a full lane ahead"
                                                                 : "a turn it does not end");
    journal_fail("the sockets do not come to rest");
}

void quiet_settle(struct sim *sim)
{
    uint32_t idle_rounds = 0;

    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        uint32_t count = 0;

        let_clients_react(sim);
        control_listen(sim);
        for (uint32_t i = 0; i < sim->world.mesh.actor_count; i++)
            count += run_random_actor(sim);
        if (is_quiet(sim))
            return;
        idle_rounds = count > 0 ? 0 : idle_rounds + 1;
        if (idle_rounds == IDLE_ROUNDS_MAX)
            break;
    }
    report_standstill(sim);
}

/* -- what each client knows -- */

/* The one thing a client is not told: whether a silent Observe was accepted. */
static void resolve_observation(struct sim *sim, const struct link *link, struct belief *belief,
                                const struct hold_probe *probe)
{
    bool wants = belief->observation != OBS_NONE && belief->observation != OBS_ENDING;
    bool exists = probe_is_topic(&sim->world, link->instance, belief->id);

    expect(wants || !probe->is_observing, "link %u observes %u, and did not ask for it (14)",
           link->index, belief->id);
    if (exists && wants && !sim->scenario.tight_limits && !scenario_has_faults(&sim->scenario))
        expect(probe->is_observing, "link %u asked to observe topic %u, and does not (12)",
               link->index, belief->id);
    belief->observation = probe->is_observing ? OBS_ON : OBS_NONE;
    belief->observe_count = probe->is_observing;
    if (!probe->is_observing)
        belief->has_count = false;
}

static void check_belief(struct sim *sim, const struct link *link, struct belief *belief)
{
    struct io *io = &sim->world.ios[link->io_index];
    struct hold_probe probe =
        probe_hold(&sim->world, link->instance, belief->id, io, kernel_conn(sim, link));

    if (belief->subscription == SUB_ENDING)
        belief->subscription = SUB_NONE;
    if (belief->subscription == SUB_UNSURE && probe.is_subscribed) {
        belief->subscription = SUB_ON;
        messages_expect(sim, link, belief->id);
    } else if (belief->subscription == SUB_UNSURE) {
        belief->subscription = SUB_NONE;
    }
    expect(probe.is_held == belief->is_held, "link %u was %s number %u, the broker thinks not so",
           link->index, belief->is_held ? "given the" : "not given the", belief->id);
    expect(probe.is_subscribed == (belief->subscription == SUB_ON),
           "link %u %s to %u, the broker thinks not so", link->index,
           belief->subscription == SUB_ON ? "subscribes" : "does not subscribe", belief->id);
    resolve_observation(sim, link, belief, &probe);
}

/* The last Change said what the count is now. */
static void check_counts(struct sim *sim, const struct link *link)
{
    struct knowledge *knowledge = &sim->model.knowledge[link->index];

    for (uint32_t i = 0; i < knowledge->belief_count; i++) {
        const struct belief *belief = &knowledge->beliefs[i];

        if (belief->kind != ID_TOPIC || belief->observation != OBS_ON)
            continue;
        struct topic_probe topic =
            probe_topic(&sim->world, link->instance, &sim->scenario.names[belief->name]);

        expect(belief->has_count && belief->count == topic.subscriber_count,
               "link %u was told that topic %u has %u subscribers, but it has %u (12)", link->index,
               belief->id, belief->count, topic.subscriber_count);
    }
}

static void check_client(struct sim *sim, struct link *link)
{
    struct knowledge *knowledge = &sim->model.knowledge[link->index];
    const struct conn *conn = kernel_conn(sim, link);
    struct conn_handle owner = {0};
    uint32_t held_count = 0;

    for (uint32_t i = 0; i < knowledge->request_count; i++)
        expect(knowledge->requests[i].type == SMQ_OBSERVE,
               "link %u: its request for name %u was never answered", link->index,
               knowledge->requests[i].name);
    knowledge->request_count = 0;
    for (uint32_t i = 0; i < knowledge->belief_count; i++) {
        struct belief *belief = &knowledge->beliefs[i];

        check_belief(sim, link, belief);
        held_count += belief->is_held || belief->observation == OBS_ON;
    }
    expect(held_count == probe_held_count(conn), "link %u holds %u ids, and knows of %u",
           link->index, probe_held_count(conn), held_count);
    expect(probe_client(&sim->world, link->instance, link->etid, &owner) &&
               conn_handle_equal(owner, conn_handle_of(&sim->world.ios[link->io_index], conn)),
           "link %u has the ETID %u, which the shard gives to another (2)", link->index,
           link->etid);
    check_counts(sim, link);
    bool may_drop_queued =
        sim->scenario.config.limits.slow_consumer == SLOW_DROP_OLD || sim->scenario.little_memory;

    if (!may_drop_queued)
        expect(knowledge->received_count == conn->sent_count,
               "link %u received %u messages, but %u were queued for it", link->index,
               knowledge->received_count, conn->sent_count);
    else
        expect(knowledge->received_count <= conn->sent_count &&
                   conn->sent_count <= knowledge->received_count + conn->dropped_count,
               "link %u received %u messages, %u were queued and %u dropped for it", link->index,
               knowledge->received_count, conn->sent_count, conn->dropped_count);
}

static void check_uid(const struct sim *sim, const struct link *link)
{
    for (uint32_t i = link->index + 1u; i < LINKS_MAX; i++) {
        const struct link *other = &sim->links[i];

        expect(!kernel_is_live(sim, other) || other->uid != link->uid ||
                   other->instance != link->instance,
               "links %u and %u are both live as UID %u (2)", link->index, i, link->uid);
    }
}

/* -- what follows for the topics -- */

struct tally {
    uint32_t live_count;
    uint32_t handshake_count;
    uint32_t topic_count; /* pinned ones too */
    uint32_t pin_count;
    uint32_t subscription_count;
    uint32_t observation_count;
};

static void count_members(const struct sim *sim, uint32_t instance, uint8_t name, uint32_t topic_id,
                          struct topic_probe *sum, uint32_t local[SIM_IO_MAX])
{
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        const struct link *link = &sim->links[i];
        const struct knowledge *knowledge = &sim->model.knowledge[i];

        if (!kernel_is_live(sim, link) || link->instance != instance)
            continue;
        for (uint32_t n = 0; n < knowledge->belief_count; n++) {
            const struct belief *belief = &knowledge->beliefs[n];

            if (belief->name != name || (!belief->is_held && belief->observation != OBS_ON))
                continue;
            expect(belief->id == topic_id, "link %u holds name %u as %u, but it is %u", i, name,
                   belief->id, topic_id);
            sum->holder_count += belief->is_held;
            sum->subscriber_count += belief->subscription == SUB_ON;
            local[link->io_index] += belief->subscription == SUB_ON;
            sum->observer_count += belief->observation == OBS_ON;
        }
    }
}

static void check_topic(struct sim *sim, uint32_t instance, uint8_t name, struct tally *tally)
{
    struct topic_probe topic = probe_topic(&sim->world, instance, &sim->scenario.names[name]);
    struct topic_probe sum = {0};
    uint32_t local[SIM_IO_MAX] = {0};
    bool is_pinned = name < sim->scenario.config.instances[instance].topic_count;

    count_members(sim, instance, name, topic.id, &sum, local);
    sum.exists = is_pinned || sum.holder_count > 0 || sum.observer_count > 0;
    expect(topic.exists == sum.exists, "name %u of instance %u %s, with %u holders", name, instance,
           topic.exists ? "was not forgotten" : "was forgotten", sum.holder_count);
    tally->topic_count += topic.exists;
    tally->pin_count += is_pinned;
    tally->subscription_count += topic.subscriber_count;
    tally->observation_count += topic.observer_count;
    if (!topic.exists)
        return;
    expect(topic.holder_count == sum.holder_count &&
               topic.subscriber_count == sum.subscriber_count &&
               topic.observer_count == sum.observer_count,
           "topic %u has %u holders, %u subscribers, %u observers; its clients know of %u, %u, %u",
           topic.id, topic.holder_count, topic.subscriber_count, topic.observer_count,
           sum.holder_count, sum.subscriber_count, sum.observer_count);
    for (uint32_t i = 0; i < sim->scenario.io_count; i++)
        expect(probe_local_subscriber_count(&sim->world.ios[i], instance, topic.id) == local[i],
               "topic %u: io %u has a list of %u subscribers, not %u", topic.id, i,
               probe_local_subscriber_count(&sim->world.ios[i], instance, topic.id), local[i]);
}

/* -- gauges and quotas -- */

static void check_gauge(const char *name, uint64_t value, uint64_t wanted)
{
    expect(value == wanted, "%s is %llu, not %llu", name, (unsigned long long)value,
           (unsigned long long)wanted);
}

static void check_gauges(struct sim *sim, const struct tally *tally)
{
    struct world *world = &sim->world;

    check_gauge("gauge clients", world_shard_stat(world, SHARD_STAT_CLIENTS), tally->live_count);
    check_gauge("gauge topics", world_shard_stat(world, SHARD_STAT_TOPICS), tally->topic_count);
    check_gauge("gauge subscriptions", world_shard_stat(world, SHARD_STAT_SUBSCRIPTIONS),
                tally->subscription_count);
    check_gauge("gauge observations", world_shard_stat(world, SHARD_STAT_OBSERVATIONS),
                tally->observation_count);
    check_gauge("gauge live", world_io_stat(world, IO_STAT_LIVE), tally->live_count);
    check_gauge("gauge open", world_io_stat(world, IO_STAT_OPEN),
                tally->live_count + tally->handshake_count);
    check_gauge("quota connections", quota_used(&world->quotas.connections), tally->live_count);
    check_gauge("quota handshakes", quota_used(&world->quotas.handshakes), tally->handshake_count);
    check_gauge("quota topics", quota_used(&world->quotas.topics),
                tally->topic_count - tally->pin_count);
    check_gauge("quota subscriptions", quota_used(&world->quotas.subscriptions),
                tally->subscription_count);

    uint64_t subtopic_count = 0;
    for (uint32_t i = 0; i < sim->scenario.config.instance_count; i++)
        subtopic_count += quota_used(&world->quotas.instances[i].subtopics) +
                          sim->scenario.config.instances[i].subtopic_count;
    check_gauge("gauge subtopics", world_shard_stat(world, SHARD_STAT_SUBTOPICS), subtopic_count);
}

static void check_messages(struct sim *sim)
{
    uint64_t in_count = world_io_stat(&sim->world, IO_STAT_MESSAGES_IN);

    check_gauge("counter messages of the shards",
                world_shard_stat(&sim->world, SHARD_STAT_MESSAGES), in_count);
    expect(in_count >= sim->model.certain_count &&
               in_count <= sim->model.certain_count + sim->model.maybe_count,
           "%llu messages came in, but clients sent %llu, and maybe %llu more",
           (unsigned long long)in_count, (unsigned long long)sim->model.certain_count,
           (unsigned long long)sim->model.maybe_count);
}

/* What was dropped for connections, those that have ended included, is what the counters say. */
static void check_drops(struct sim *sim)
{
    const struct world *world = &sim->world;
    uint64_t count = sim->model.ended_dropped_count;

    if (scenario_has_faults(&sim->scenario))
        return; /* what a publisher's I/O actor could not keep is counted with the rest */
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        if (kernel_is_live(sim, &sim->links[i]))
            count += kernel_conn(sim, &sim->links[i])->dropped_count;
    check_gauge("the sum of the counters of dropped messages",
                world_io_stat(world, IO_STAT_DROPPED_NEW) +
                    world_io_stat(world, IO_STAT_DROPPED_OLD) +
                    world_io_stat(world, IO_STAT_DROPPED_CLOSED),
                count);
}

/* -- memory -- */

/* A client's identity: one message, shared by its shard and its I/O actor. */
static int64_t identity_bytes(void)
{
    size_t uid_bytes = sizeof("uid-000") - 1;
    size_t info_bytes = sizeof("simulated device") - 1;

    return (int64_t)mem_cost(sizeof(struct msg) + 1 + uid_bytes + info_bytes);
}

static void check_memory(struct sim *sim, const struct tally *tally)
{
    struct world *world = &sim->world;
    int64_t used_bytes = 0;
    int64_t settled_bytes = atomic_load_explicit(&world->budget.used_bytes, memory_order_relaxed);

    check_gauge("bytes of output", (uint64_t)world_bytes(world, MEM_OUTPUT), 0);
    check_gauge("bytes of input", (uint64_t)world_bytes(world, MEM_INPUT), 0);
    check_gauge("bytes of messages", (uint64_t)world_bytes(world, MEM_MESSAGE),
                (uint64_t)(tally->live_count * identity_bytes()));
    check_gauge("bytes of lanes", (uint64_t)world_bytes(world, MEM_LANE),
                (uint64_t)world->idle_bytes[MEM_LANE]);
    for (uint32_t kind = 0; kind < MEM_KIND_COUNT; kind++)
        used_bytes += world_bytes(world, (enum mem_kind)kind);
    for (uint32_t i = 0; i < world->mesh.actor_count; i++)
        settled_bytes += world->mems[i]->unsettled_bytes;
    check_gauge("the budget", (uint64_t)settled_bytes, (uint64_t)used_bytes);
}

/* -- all of it -- */

void quiet_check(struct sim *sim)
{
    struct tally tally = {0};

    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        struct link *link = &sim->links[i];

        if (link->phase == LINK_FREE)
            continue;
        expect((link->phase == LINK_LIVE) == kernel_is_live(sim, link),
               "link %u is in phase %u, the broker has it as %s", i, link->phase,
               conn_state_name((enum conn_state)kernel_conn(sim, link)->state));
        if (link->phase != LINK_LIVE) {
            tally.handshake_count++;
            continue;
        }
        tally.live_count++;
        check_client(sim, link);
        check_uid(sim, link);
        for (uint32_t n = 0; n < sim->model.knowledge[i].belief_count; n++)
            tally.observation_count += sim->model.knowledge[i].beliefs[n].kind != ID_TOPIC &&
                                       sim->model.knowledge[i].beliefs[n].observation == OBS_ON;
    }
    for (uint32_t instance = 0; instance < sim->scenario.config.instance_count; instance++)
        for (uint32_t name = 0; name < sim->scenario.name_count; name++)
            check_topic(sim, instance, (uint8_t)name, &tally);
    check_gauges(sim, &tally);
    check_messages(sim);
    check_memory(sim, &tally);
    check_drops(sim);
    messages_settle(sim);
    memset(sim->model.connect_counts, 0, sizeof(sim->model.connect_counts));
}

/* -- deadlines -- */

static void check_deadline(const struct sim *sim, const struct link *link)
{
    const struct config *config = &sim->scenario.config;
    uint32_t slack_ms = 2 * WHEEL_TICK_MS;
    uint32_t waited_ms = (sim->world.now_tick - link->accept_tick) * WHEEL_TICK_MS;
    uint32_t silent_ms = (sim->world.now_tick - link->fed_tick) * WHEEL_TICK_MS;
    uint32_t pinged_ms = (sim->world.now_tick - link->ping_tick) * WHEEL_TICK_MS;

    if (link->phase != LINK_LIVE)
        expect(waited_ms <= config->limits.handshake_timeout_ms + slack_ms,
               "link %u has been shaking hands for %u ms (1)", link->index, waited_ms);
    else if (silent_ms > config->keepalive_idle_ms + slack_ms)
        expect(link->is_pinged && pinged_ms <= config->keepalive_answer_ms + slack_ms,
               "link %u has been silent for %u ms, and %s (15)", link->index, silent_ms,
               link->is_pinged ? "did not answer a Ping" : "was not pinged");
}

void quiet_check_deadlines(const struct sim *sim)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        if (sim->links[i].phase != LINK_FREE)
            check_deadline(sim, &sim->links[i]);
}

/* -- the end of a run -- */

void quiet_end(struct sim *sim)
{
    struct world *world = &sim->world;

    for (uint32_t i = 0; i < world->mesh.actor_count; i++)
        world->mems[i]->fail_at = 0;
    if (dice_percent(&sim->dice, 50)) {
        control_drain(sim);
    } else {
        for (uint32_t i = 0; i < LINKS_MAX; i++)
            if (sim->links[i].phase != LINK_FREE)
                client_close(sim, &sim->links[i]);
        quiet_settle(sim);
    }
    quiet_check(sim);

    uint64_t closed_count = 0;
    for (uint32_t i = 0; i < sim->scenario.io_count; i++)
        for (uint32_t reason = 0; reason < CLOSE_REASON_COUNT; reason++)
            closed_count += counter_read(&world->ios[i].closed_counts[reason]);
    expect(closed_count <= world_io_stat(world, IO_STAT_ACCEPTED), "more ends than beginnings");
    for (uint32_t kind = 0; kind < MEM_KIND_COUNT; kind++) {
        bool may_stay = kind == MEM_TOPIC || kind == MEM_TABLE; /* sub-topics live for ever */

        /* A table with something pinned in it shrinks to 64 slots, not to its first size. */
        int64_t slots_bytes = kind == MEM_TABLE ? TABLE_REST_BYTES * world->mesh.actor_count : 0;
        int64_t more_bytes = world_bytes(world, (enum mem_kind)kind) - world->idle_bytes[kind];

        expect((more_bytes >= 0 && more_bytes <= slots_bytes) ||
                   (may_stay && world_shard_stat(world, SHARD_STAT_SUBTOPICS) > 0),
               "everybody has left, and %s still has %lld bytes, not %lld",
               mem_kind_name((enum mem_kind)kind),
               (long long)world_bytes(world, (enum mem_kind)kind),
               (long long)world->idle_bytes[kind]);
    }
}
