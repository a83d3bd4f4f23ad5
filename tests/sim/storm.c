/*
 * tests/sim/storm.c — one random action, whatever else is under way.
 *
 * Clients write without waiting for answers, read when they like, and vanish at any point; actors
 * run in any order. The rules that must hold are the model's. Thread: one.
 */
#include "tests/sim/beliefs.h"
#include "tests/sim/client.h"
#include "tests/sim/control.h"
#include "tests/sim/journal.h"
#include "tests/sim/kernel.h"
#include "tests/sim/turn.h"

/* -- clients -- */

/* Everything about one topic in one go, before any of it is answered: here the tables race. */
static void write_burst(struct sim *sim, struct link *link)
{
    uint8_t name = (uint8_t)dice_below(&sim->dice, sim->scenario.name_count);
    struct chosen_id id = {.id = sim->model.tids[link->instance][name],
                           .kind = ID_TOPIC,
                           .name = name};
    static const enum smq_packet types[] = {SMQ_SUBSCRIBE,   SMQ_CREATE,  SMQ_SUBSCRIBE,
                                            SMQ_UNSUBSCRIBE, SMQ_OBSERVE, SMQ_UNOBSERVE};
    uint32_t count = dice_between(&sim->dice, 2, 7);

    for (uint32_t i = 0; i < count && link_has_room(link) && beliefs_have_room(sim, link); i++) {
        uint32_t which = dice_below(&sim->dice, COUNT_OF(types));

        if (which < 3)
            client_ask_name(sim, link, types[which], name);
        else if (id.id != SMQ_ID_NONE)
            client_ask_id(sim, link, types[which], id);
    }
}

static void write_messages(struct sim *sim, struct link *link)
{
    uint32_t destination = client_choose_id(sim, link).id;
    uint32_t count = dice_percent(&sim->dice, 70) ? 1 : dice_between(&sim->dice, 2, 8);

    if (link->phase != LINK_LIVE)
        return; /* it does not know its own ETID yet */
    for (uint32_t i = 0; i < count && link_has_room(link); i++)
        (void)client_publish(sim, link, destination, client_choose_size(sim),
                             dice_percent(&sim->dice, 8) ? 3 : 1);
}

static void write_something(struct sim *sim, struct link *link)
{
    static const enum smq_packet types[] = {SMQ_SUBSCRIBE, SMQ_CREATE,    SMQ_UNSUBSCRIBE,
                                            SMQ_OBSERVE,   SMQ_UNOBSERVE, SMQ_CREATESUB};
    static const uint8_t weights[] = {44, 16, 14, 18, 10, 8, 12, 100, 8, 1, 1};
    uint32_t action = dice_weighted(&sim->dice, weights, COUNT_OF(weights));

    if (action < 2)
        client_ask_name(sim, link, types[action], client_choose_name(sim));
    else if (action < 5)
        client_ask_id(sim, link, types[action], client_choose_id(sim, link));
    else if (action == 5)
        client_ask_name(sim, link, types[action],
                        (uint8_t)dice_below(&sim->dice, sim->scenario.subname_count));
    else if (action == 6)
        write_burst(sim, link);
    else if (action == 7)
        write_messages(sim, link);
    else if (action == 8)
        client_ping(sim, link);
    else if (action == 9)
        client_disconnect(sim, link);
    else if (link->phase == LINK_LIVE)
        client_be_wrong(sim, link, (enum wrong)dice_below(&sim->dice, WRONG_COUNT));
}

static struct link *pick_open(struct sim *sim)
{
    uint32_t first = dice_below(&sim->dice, LINKS_MAX);

    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        struct link *link = &sim->links[(first + i) % LINKS_MAX];

        if (link->phase != LINK_FREE && !link->has_closed && !link->has_aborted)
            return link;
    }
    return NULL;
}

static void dial_one(struct sim *sim)
{
    struct link *link = client_free_link(sim);

    if (!link)
        return;
    uint32_t throw = dice_below(&sim->dice, 100);
    if (throw < 3)
        client_connect_badly(sim, link);
    else
        client_connect(sim, link, throw < 20);
}

/* In scenarios with small queues a third of the clients read little, or nothing for a while. */
static void read_some(struct sim *sim, struct link *link)
{
    if (!sim->scenario.small_queues || link->index % 3 != 0) {
        link->window_bytes = 1u << 30;
        return;
    }
    link->window_bytes = dice_percent(&sim->dice, 60) ? 0 : dice_below(&sim->dice, 1000);
    journal_note("link %u: will read %u bytes", link->index, link->window_bytes);
}

/* Three ways to vanish. */
static void go(struct sim *sim, struct link *link)
{
    switch (dice_below(&sim->dice, 3)) {
    case 0:
        client_close(sim, link);
        break;
    case 1:
        client_abort(sim, link);
        break;
    default:
        client_break_off(sim, link);
        break;
    }
}

static void act(struct sim *sim, struct link *link)
{
    uint32_t throw = dice_below(&sim->dice, 100);

    if (link->broker_finished || link->phase == LINK_OVER) {
        if (throw < 70)
            client_close(sim, link);
        return;
    }
    if (throw < 12) {
        read_some(sim, link);
    } else if (throw == 12) {
        go(sim, link);
    } else if (!link->asked_connect) {
        if (link->expects_refusal || !link_has_room(link))
            return;
        if (throw < 20)
            client_send_bad_connect(sim, link);
        else if (throw < 60)
            client_send_connect(sim, link);
    } else if (link_has_room(link) && beliefs_have_room(sim, link)) {
        write_something(sim, link); /* before its Connack too */
    }
}

/* -- troubles -- */

static void let_time_pass(struct sim *sim)
{
    uint32_t ticks = dice_percent(&sim->dice, 95) ? 1 : dice_between(&sim->dice, 2, 60);

    if (!sim->scenario.time_passes)
        return;
    journal_note("%u ticks pass", ticks);
    sim->world.now_tick += ticks;
}

/* One of the next allocations of one actor fails. */
static void break_memory(struct sim *sim)
{
    uint32_t actor = dice_below(&sim->dice, sim->world.mesh.actor_count - 1);
    uint32_t nth = dice_between(&sim->dice, 1, 12);

    if (!sim->scenario.failing_memory)
        return;
    journal_note("allocation %u from now of actor %u will fail", nth, actor);
    sim->world.mems[actor]->fail_at = nth;
}

static void let_control_act(struct sim *sim)
{
    control_listen(sim);
    if (dice_percent(&sim->dice, 50))
        control_ask_list(sim);
}

void storm_step(struct sim *sim)
{
    static const uint8_t weights[] = {60, 40, 4, 4, 2, 1};
    struct link *link;

    switch (dice_weighted(&sim->dice, weights, COUNT_OF(weights))) {
    case 0: {
        uint32_t actor = dice_below(&sim->dice, mesh_control_index(&sim->world.mesh));
        uint32_t percent = dice_percent(&sim->dice, 50) ? 100 : 30;

        if (dice_percent(&sim->dice, 50))
            (void)turn_rest(sim, actor, percent);
        else
            (void)turn_slice(sim, actor, percent);
        break;
    }
    case 1:
        link = pick_open(sim);
        if (link)
            act(sim, link);
        break;
    case 2:
        dial_one(sim);
        break;
    case 3:
        let_time_pass(sim);
        break;
    case 4:
        break_memory(sim);
        break;
    default:
        let_control_act(sim);
        break;
    }
}
