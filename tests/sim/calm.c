/*
 * tests/sim/calm.c — one action, begun at rest: every frame that every client will read is
 * foretold.
 *
 * The protocol as a sequential program: from what all clients know follows what the action does to
 * each of them. Then the actors run, in any order, until they rest; each frame must be one of the
 * foretold, in order where it is about the same thing, and none may be left over. Thread: one.
 */
#include <string.h>

#include "tests/sim/beliefs.h"
#include "tests/sim/client.h"
#include "tests/sim/journal.h"
#include "tests/sim/kernel.h"
#include "tests/sim/messages.h"

#define FORETOLD_MAX 512u
#define ANY          UINT32_MAX /* a number the broker is free to choose */

struct foretold {
    uint8_t link;
    uint8_t type; /* enum smq_packet */
    uint8_t name; /* of an answer to a name */
    bool has_come;
    uint32_t id;     /* TID, ETID, STID or destination; orders what is about the same thing */
    uint32_t value;  /* status, code, count, or the message's place in its stream */
    uint32_t stream; /* of a message */
};

struct calm {
    struct foretold frames[FORETOLD_MAX];
    uint32_t count;
};

/* -- foretelling -- */

static void foretell(struct sim *sim, const struct link *to, enum smq_packet type, uint32_t id,
                     uint32_t value)
{
    struct calm *calm = sim->model.calm;

    must(calm->count < FORETOLD_MAX);
    calm->frames[calm->count++] = (struct foretold){
        .link = to->index, .type = (uint8_t)type, .name = NAME_NONE, .id = id, .value = value};
}

static void foretell_ack(struct sim *sim, const struct link *to, enum smq_packet type, uint8_t name,
                         uint32_t status, uint32_t id)
{
    foretell(sim, to, type, id, status);
    sim->model.calm->frames[sim->model.calm->count - 1].name = name;
}

static void foretell_message(struct sim *sim, const struct link *to, const struct deed *deed)
{
    foretell(sim, to, SMQ_PUBLISH, deed->id, deed->seq);
    sim->model.calm->frames[sim->model.calm->count - 1].stream = deed->stream;
}

static bool is_named(const struct sim *sim, const struct foretold *frame, struct span text)
{
    const struct name *name = frame->type == SMQ_CREATESUBACK ? &sim->scenario.subnames[frame->name]
                                                              : &sim->scenario.names[frame->name];

    return name->bytes_count == text.bytes_count &&
           (text.bytes_count == 0 || memcmp(name->bytes, text.data, text.bytes_count) == 0);
}

static bool is_number(uint32_t foretold, uint32_t number)
{
    return foretold == number || (foretold == ANY && number != 0);
}

static bool is_as_foretold(const struct sim *sim, const struct foretold *frame, struct span body)
{
    uint32_t first = body.bytes_count >= 4 ? smq_load_u32(body.data) : 0;

    if (frame->type == SMQ_CONNACK)
        return frame->value == body.data[0] && is_number(frame->id, smq_load_u32(body.data + 1));
    if (frame->type == SMQ_CHANGE)
        return frame->id == first && frame->value == smq_load_u32(body.data + 4);
    if (frame->type == SMQ_PUBLISH)
        return frame->id == first && frame->stream == smq_load_u32(body.data + 12) &&
               frame->value == smq_load_u32(body.data + 20);
    if (frame->name == NAME_NONE)
        return true; /* Init, Pong, Disconnect: the rules know what is in them */
    bool is_any = frame->value == ANY;

    return (is_any || frame->value == body.data[0]) &&
           (is_any || is_number(frame->id, smq_load_u32(body.data + 1))) &&
           is_named(sim, frame, span_skip(body, 5));
}

void calm_received(struct sim *sim, const struct link *link, enum smq_packet type, struct span body)
{
    struct calm *calm = sim->model.calm;

    if (type == SMQ_PING) /* time that passed in the storm */
        return;
    for (uint32_t i = 0; i < calm->count; i++) {
        struct foretold *frame = &calm->frames[i];

        if (frame->has_come || frame->link != link->index || frame->type != type ||
            !is_as_foretold(sim, frame, body))
            continue;
        for (uint32_t before = 0; before < i; before++)
            expect(calm->frames[before].has_come || calm->frames[before].link != link->index ||
                       calm->frames[before].id != frame->id,
                   "link %u: %s about %u came before %s", link->index, model_type_name(type),
                   frame->id, model_type_name((enum smq_packet)calm->frames[before].type));
        frame->has_come = true;
        return;
    }
    journal_fail("link %u: nothing foretold this %s", link->index, model_type_name(type));
}

/* Back to rest: everything foretold has come, and the tables say the same. */
static void come_to_rest(struct sim *sim)
{
    struct calm *calm = sim->model.calm;

    quiet_settle(sim);
    for (uint32_t i = 0; i < calm->count; i++)
        expect(calm->frames[i].has_come,
               "link %u: %s about %u with %u was foretold and did not come", calm->frames[i].link,
               model_type_name((enum smq_packet)calm->frames[i].type), calm->frames[i].id,
               calm->frames[i].value);
    quiet_check(sim);
}

/* -- what all clients know, put together -- */

static bool is_peer(const struct sim *sim, const struct link *link, uint32_t instance)
{
    return link->phase == LINK_LIVE && link->instance == instance && kernel_is_live(sim, link);
}

/* The link that has this ETID, or NULL. */
static struct link *find_client(struct sim *sim, uint32_t instance, uint32_t etid)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        if (is_peer(sim, &sim->links[i], instance) && sim->links[i].etid == etid)
            return &sim->links[i];
    return NULL;
}

static bool is_pinned(const struct sim *sim, uint32_t instance, uint8_t name)
{
    return name < sim->scenario.config.instances[instance].topic_count;
}

/* What somebody who holds or observes a topic of this name believes; NULL: nobody does. */
static const struct belief *find_topic(struct sim *sim, uint32_t instance, uint8_t name)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        const struct knowledge *knowledge = &sim->model.knowledge[i];

        if (!is_peer(sim, &sim->links[i], instance))
            continue;
        for (uint32_t n = 0; n < knowledge->belief_count; n++)
            if (knowledge->beliefs[n].name == name &&
                (knowledge->beliefs[n].is_held || knowledge->beliefs[n].observation == OBS_ON))
                return &knowledge->beliefs[n];
    }
    return NULL;
}

/* The topic's number; 0: there is no such topic now. */
static uint32_t tid_of(struct sim *sim, uint32_t instance, uint8_t name)
{
    const struct belief *belief = find_topic(sim, instance, name);

    if (is_pinned(sim, instance, name))
        return sim->scenario.instances[instance].topics[name].id;
    return belief ? belief->id : 0;
}

static bool is_subscriber(struct sim *sim, const struct link *link, uint32_t tid)
{
    const struct belief *belief = belief_find(sim, link, tid);

    return belief && belief->subscription == SUB_ON;
}

static bool is_observer(struct sim *sim, const struct link *link, uint32_t id)
{
    const struct belief *belief = belief_find(sim, link, id);

    return belief && belief->observation == OBS_ON;
}

static uint32_t subscriber_count(struct sim *sim, uint32_t instance, uint32_t tid)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < LINKS_MAX; i++)
        count += is_peer(sim, &sim->links[i], instance) && is_subscriber(sim, &sim->links[i], tid);
    return count;
}

/* What counts against a client's limits. */
struct holdings {
    uint32_t topic_count;
    uint32_t subscription_count;
    uint32_t observation_count;
};

static struct holdings holdings_of(const struct sim *sim, const struct link *link)
{
    const struct knowledge *knowledge = &sim->model.knowledge[link->index];
    struct holdings holdings = {0};

    for (uint32_t i = 0; i < knowledge->belief_count; i++) {
        holdings.topic_count += knowledge->beliefs[i].is_held;
        holdings.subscription_count += knowledge->beliefs[i].subscription == SUB_ON;
        holdings.observation_count += knowledge->beliefs[i].observation == OBS_ON;
    }
    return holdings;
}

/* Topics that count, of one instance. */
static uint32_t topic_count(struct sim *sim, uint32_t instance)
{
    uint32_t count = 0;

    for (uint32_t name = 0; name < sim->scenario.name_count; name++)
        count += !is_pinned(sim, instance, (uint8_t)name) &&
                 find_topic(sim, instance, (uint8_t)name) != NULL;
    return count;
}

static bool has_room_for_topic(struct sim *sim, uint32_t instance)
{
    const struct config_limits *limits = &sim->scenario.config.limits;
    uint32_t sum = 0;

    for (uint32_t i = 0; i < sim->scenario.config.instance_count; i++)
        sum += topic_count(sim, i);
    return sum < limits->topics_max && topic_count(sim, instance) < limits->topics_per_instance_max;
}

static bool has_room_for_subscription(struct sim *sim, uint32_t instance)
{
    const struct config_limits *limits = &sim->scenario.config.limits;
    uint32_t sum = 0;
    uint32_t here = 0;

    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        const struct link *link = &sim->links[i];

        if (!is_peer(sim, link, link->instance))
            continue;
        sum += holdings_of(sim, link).subscription_count;
        if (link->instance == instance)
            here += holdings_of(sim, link).subscription_count;
    }
    return sum < limits->subscriptions_max && here < limits->subscriptions_per_instance_max;
}

/* -- consequences -- */

/* Everybody who observes the topic hears the new count (12); @but: not who causes it by leaving. */
static void foretell_change(struct sim *sim, uint32_t instance, uint32_t tid, uint32_t count,
                            const struct link *but)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        if (&sim->links[i] != but && is_peer(sim, &sim->links[i], instance) &&
            is_observer(sim, &sim->links[i], tid))
            foretell(sim, &sim->links[i], SMQ_CHANGE, tid, count);
}

/* @link goes: its subscriptions end, and whoever observes its ETID hears 0 (2, 12, 13). */
static void foretell_leave(struct sim *sim, const struct link *link)
{
    const struct knowledge *knowledge = &sim->model.knowledge[link->index];

    if (!is_peer(sim, link, link->instance))
        return;
    for (uint32_t i = 0; i < knowledge->belief_count; i++) {
        const struct belief *belief = &knowledge->beliefs[i];

        if (belief->subscription == SUB_ON)
            foretell_change(sim, link->instance, belief->id,
                            subscriber_count(sim, link->instance, belief->id) - 1, link);
    }
    foretell_change(sim, link->instance, link->etid, 0, link);
}

/* -- names -- */

static bool may_hold(struct sim *sim, const struct link *link, uint32_t tid, bool is_held,
                     bool subscribes)
{
    const struct config_limits *limits = &sim->scenario.config.limits;
    struct holdings holdings = holdings_of(sim, link);

    if (!is_held && holdings.topic_count >= limits->topics_per_client_max)
        return false;
    if (tid == 0 && !has_room_for_topic(sim, link->instance))
        return false;
    return !subscribes || (holdings.subscription_count < limits->subscriptions_per_client_max &&
                           has_room_for_subscription(sim, link->instance));
}

static void ask_name(struct sim *sim, struct link *link, bool subscribes)
{
    uint8_t name = client_choose_name(sim);
    enum smq_packet ack = subscribes ? SMQ_SUBACK : SMQ_CREATEACK;
    bool is_valid = name < SIM_NAMES_MAX;
    uint32_t tid = is_valid ? tid_of(sim, link->instance, name) : 0;
    const struct belief *belief = tid ? belief_find(sim, link, tid) : NULL;
    bool is_held = belief && belief->is_held;
    bool is_new_subscriber = subscribes && !(belief && belief->subscription == SUB_ON);

    client_ask_name(sim, link, subscribes ? SMQ_SUBSCRIBE : SMQ_CREATE, name);
    if (!is_valid || !may_hold(sim, link, tid, is_held, is_new_subscriber)) {
        if (!is_valid || !is_held || is_new_subscriber) {
            foretell_ack(sim, link, ack, name, SMQ_ACK_DENIED, 0);
            return;
        }
    }
    if (is_new_subscriber && tid)
        foretell_change(sim, link->instance, tid, subscriber_count(sim, link->instance, tid) + 1,
                        NULL);
    foretell_ack(sim, link, ack, name, SMQ_ACK_OK, tid ? tid : ANY);
}

static void ask_subname(struct sim *sim, struct link *link)
{
    uint8_t name = (uint8_t)dice_below(&sim->dice, sim->scenario.subname_count);
    uint32_t stid = sim->model.stids[link->instance][name];

    client_ask_name(sim, link, SMQ_CREATESUB, name);
    if (stid)
        foretell_ack(sim, link, SMQ_CREATESUBACK, name, SMQ_ACK_OK, stid);
    else /* somebody may have asked, and left before the answer */
        foretell_ack(sim, link, SMQ_CREATESUBACK, name,
                     sim->scenario.tight_limits ? ANY : SMQ_ACK_OK, ANY);
}

/* -- ids -- */

static void unsubscribe(struct sim *sim, struct link *link)
{
    struct chosen_id id = client_choose_id(sim, link);

    client_ask_id(sim, link, SMQ_UNSUBSCRIBE, id);
    if (is_subscriber(sim, link, id.id))
        foretell_change(sim, link->instance, id.id,
                        subscriber_count(sim, link->instance, id.id) - 1, NULL);
}

static void observe(struct sim *sim, struct link *link)
{
    struct chosen_id id = client_choose_id(sim, link);
    bool is_topic = id.kind == ID_TOPIC && tid_of(sim, link->instance, id.name) == id.id;
    bool has_room = holdings_of(sim, link).observation_count <
                    sim->scenario.config.limits.observations_per_client_max;

    client_ask_id(sim, link, SMQ_OBSERVE, id);
    if (is_topic && (is_observer(sim, link, id.id) || has_room))
        foretell(sim, link, SMQ_CHANGE, id.id, subscriber_count(sim, link->instance, id.id));
    else if (!is_topic && !find_client(sim, link->instance, id.id))
        foretell(sim, link, SMQ_CHANGE, id.id, 0);
}

/* -- messages -- */

static void foretell_delivery(struct sim *sim, const struct link *from, const struct deed *deed)
{
    const struct link *owner = find_client(sim, from->instance, deed->id);

    if (owner)
        foretell_message(sim, owner, deed);
    for (uint32_t i = 0; !owner && i < LINKS_MAX; i++)
        if (is_peer(sim, &sim->links[i], from->instance) &&
            is_subscriber(sim, &sim->links[i], deed->id))
            foretell_message(sim, &sim->links[i], deed);
}

static void publish(struct sim *sim, struct link *link)
{
    uint32_t destination = client_choose_id(sim, link).id;
    uint32_t pongs_bytes = 64; /* a Ping may come between the pieces */
    uint32_t room = min_u32(sim->scenario.config.limits.queue_bytes_max, 8000) - pongs_bytes;
    uint32_t count = dice_between(&sim->dice, 1, 6);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t payload_bytes = client_choose_size(sim);
        uint32_t piece_count = dice_percent(&sim->dice, 15) ? dice_between(&sim->dice, 2, 4) : 1;

        if (payload_bytes + SMQ_PUBLISH_HEADER_BYTES > room)
            break; /* calm: nobody is to be slow */
        room -= payload_bytes + SMQ_PUBLISH_HEADER_BYTES;
        uint32_t pings_before = link->deed_count;
        struct deed deed = client_publish(sim, link, destination, payload_bytes, piece_count);

        if (deed.stream == ANY)
            return;
        for (uint32_t ping = pings_before + 1; ping < link->deed_count; ping++)
            foretell(sim, link, SMQ_PONG, 0, 0);
        foretell_delivery(sim, link, &deed);
    }
}

static void ping(struct sim *sim, struct link *link)
{
    client_ping(sim, link);
    foretell(sim, link, SMQ_PONG, 0, 0);
}

/* -- coming and going -- */

static uint32_t live_count(const struct sim *sim)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < LINKS_MAX; i++)
        count += is_peer(sim, &sim->links[i], sim->links[i].instance);
    return count;
}

static uint32_t handshake_count(const struct sim *sim)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < LINKS_MAX; i++)
        count += sim->links[i].is_accepted && sim->links[i].phase != LINK_LIVE;
    return count;
}

/* What a good Connect leads to. */
static void foretell_connack(struct sim *sim, const struct link *link)
{
    struct link *rival = NULL;

    if (live_count(sim) >= sim->scenario.config.limits.connection_count_max) {
        foretell(sim, link, SMQ_CONNACK, 0, SMQ_CONNACK_UNAVAILABLE);
        return;
    }
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        if (is_peer(sim, &sim->links[i], link->instance) && sim->links[i].uid == link->uid)
            rival = &sim->links[i];
    foretell(sim, link, SMQ_CONNACK, rival ? rival->etid : ANY, SMQ_CONNACK_ACCEPTED);
    if (!rival)
        return;
    foretell_leave(sim, rival);
    foretell(sim, rival, SMQ_DISCONNECT, 0, 0);
}

static void dial(struct sim *sim)
{
    struct link *link = client_free_link(sim);
    uint32_t throw = dice_below(&sim->dice, 100);
    bool is_accepted = handshake_count(sim) < sim->scenario.config.limits.handshake_count_max;

    if (!link)
        return;
    if (throw < 5) {
        client_connect_badly(sim, link);
        return;
    }
    client_connect(sim, link, throw < 20);
    if (!is_accepted)
        return;
    foretell(sim, link, SMQ_INIT, 0, 0);
    if (throw >= 20)
        foretell_connack(sim, link);
}

static void go(struct sim *sim, struct link *link)
{
    uint32_t throw = dice_below(&sim->dice, 5);

    foretell_leave(sim, link);
    if (throw == 0) {
        client_close(sim, link);
    } else if (throw == 1) {
        client_abort(sim, link);
    } else if (throw == 2) {
        client_break_off(sim, link);
    } else if (throw == 3) {
        client_disconnect(sim, link);
    } else {
        client_be_wrong(sim, link, (enum wrong)dice_below(&sim->dice, WRONG_COUNT));
        foretell(sim, link, SMQ_DISCONNECT, 0, 0);
    }
}

/* A connection that has not said Connect yet: it does, it does it badly, or it goes. */
static void shake_hands(struct sim *sim, struct link *link)
{
    uint32_t throw = dice_below(&sim->dice, 3);

    if (throw == 0) {
        client_send_connect(sim, link);
        foretell_connack(sim, link);
    } else if (throw == 1) {
        client_send_bad_connect(sim, link);
        foretell(sim, link, SMQ_CONNACK, 0, SMQ_CONNACK_BAD_CONNECT);
    } else {
        client_close(sim, link);
    }
}

static void act(struct sim *sim, struct link *link)
{
    static const uint8_t weights[] = {22, 8, 4, 8, 12, 5, 36, 3, 6};

    if (link->phase != LINK_LIVE) {
        shake_hands(sim, link);
        return;
    }
    uint32_t action = dice_weighted(&sim->dice, weights, COUNT_OF(weights));

    if (action == 0)
        ask_name(sim, link, true);
    else if (action == 1)
        ask_name(sim, link, false);
    else if (action == 2)
        ask_subname(sim, link);
    else if (action == 3)
        unsubscribe(sim, link);
    else if (action == 4)
        observe(sim, link);
    else if (action == 5)
        client_ask_id(sim, link, SMQ_UNOBSERVE, client_choose_id(sim, link));
    else if (action == 6)
        publish(sim, link);
    else if (action == 7)
        ping(sim, link);
    else
        go(sim, link);
}

static struct link *pick(struct sim *sim)
{
    uint32_t first = dice_below(&sim->dice, LINKS_MAX);

    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        struct link *link = &sim->links[(first + i) % LINKS_MAX];

        if (link->phase != LINK_FREE)
            return link;
    }
    return NULL;
}

static void pass_ticks(struct sim *sim, uint32_t tick_count)
{
    for (uint32_t i = 0; i < tick_count; i++) {
        sim->world.now_tick++;
        quiet_settle(sim);
    }
}

/* Tick by tick, with nobody doing anything: Pings, and the end of who does not answer. */
static void let_time_pass(struct sim *sim)
{
    uint32_t tick_count = dice_between(&sim->dice, 3, 90); /* what is overdue may take two */

    if (!sim->scenario.time_passes)
        return;
    journal_note("%u ticks pass, one by one", tick_count);
    pass_ticks(sim, tick_count);
    quiet_check_deadlines(sim);
    quiet_check(sim);
}

/* A client begins something and does not end it: it stays until limits.frame_ms is over, however
 * little by little its bytes come, and no longer. */
static void let_stall(struct sim *sim, struct link *link)
{
    uint32_t timeout_ticks = sim->scenario.config.limits.frame_timeout_ms / WHEEL_TICK_MS;
    uint32_t first_ticks = dice_between(&sim->dice, 1, timeout_ticks - 2);

    if (!sim->scenario.time_passes || link->phase != LINK_LIVE || !kernel_is_live(sim, link))
        return;
    journal_note("link %u: stalls, for %u ticks", link->index, timeout_ticks);
    client_stall(sim, link);
    quiet_settle(sim);
    pass_ticks(sim, first_ticks);
    if (dice_percent(&sim->dice, 50)) /* of a frame's body, or of the next piece */
        link_write_raw(link, "\0", 1);
    quiet_settle(sim);
    pass_ticks(sim, timeout_ticks - 1 - first_ticks);
    expect(kernel_is_live(sim, link), "link %u: ended before limits.frame_ms", link->index);
    pass_ticks(sim, 4);
    expect(link->phase != LINK_LIVE, "link %u: still there, after limits.frame_ms", link->index);
    quiet_check_deadlines(sim);
    quiet_check(sim);
}

void calm_step(struct sim *sim)
{
    struct calm calm = {.count = 0};
    struct link *link = pick(sim);

    if (link && dice_percent(&sim->dice, 2)) {
        let_stall(sim, link);
        return;
    }
    if (dice_percent(&sim->dice, 3)) {
        let_time_pass(sim);
        return;
    }
    sim->model.calm = &calm;
    if (!link || dice_percent(&sim->dice, 12))
        dial(sim);
    else if (beliefs_have_room(sim, link))
        act(sim, link);
    else
        go(sim, link);
    come_to_rest(sim);
    sim->model.calm = NULL;
}
