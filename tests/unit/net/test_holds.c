/*
 * tests/unit/net/test_holds.c — mirrors net/holds.c.
 *
 * Goal:   what a connection holds and who subscribes to a topic are one truth seen from two sides,
 *         however entries move when others go; what is given back is told to its owner, once.
 * Method: a naive model (a table of flags per connection and id) under random operations, some of
 *         which find no memory.
 */
#include "net/holds.h"

#include <signal.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/core/dice.h"
#include "tests/unit/net/little_broker.h"

#define CONNS     6u
#define INSTANCES 2u
#define IDS       12u /* 1 … IDS */

static struct little_broker broker;
static struct io *io;
static struct conn *conns[CONNS];
static uint32_t model[CONNS][IDS + 1]; /* HELD_* */

static void start(void)
{
    static const uint32_t slots[CONNS] = {0, 1, 5, 63, 64, LITTLE_SLOTS - 1};

    little_config(&broker);
    broker.shard_count = 3;
    little_start(&broker);
    io = &broker.ios[0];
    for (uint32_t i = 0; i < CONNS; i++) {
        cr_assert(little_accept(&broker, 0, slots[i]));
        conns[i] = conn_at(io, slots[i]);
        conns[i]->instance_index = i % INSTANCES;
    }
    memset(model, 0, sizeof(model));
}

static uint32_t model_count(uint32_t conn, uint32_t flag)
{
    uint32_t count = 0;

    for (uint32_t id = 1; id <= IDS; id++)
        count += (model[conn][id] & flag) != 0;
    return count;
}

static void check_conn(uint32_t at)
{
    static const uint32_t flags[] = {HELD_TOPIC, HELD_SUBSCRIBED, HELD_OBSERVED};

    for (uint32_t i = 0; i < COUNT_OF(flags); i++)
        cr_assert_eq(holds_count(conns[at], flags[i]), model_count(at, flags[i]));
    for (uint32_t id = 1; id <= IDS; id++) {
        cr_assert_eq(holds_maybe(conns[at], id), model[at][id] != 0);
        cr_assert_eq(holds_topic_number(conns[at], id), (model[at][id] & HELD_TOPIC) != 0);
        cr_assert_eq(holds_subscription(conns[at], id), (model[at][id] & HELD_SUBSCRIBED) != 0);
    }
}

/* The list has exactly the subscribers of this instance, each once. */
static void check_list(uint16_t instance, uint32_t id)
{
    struct local_topic *topic = holds_topic(io, instance, id);
    uint32_t expected_count = 0;

    for (uint32_t at = instance; at < CONNS; at += INSTANCES) {
        uint32_t found_count = 0;

        if (model[at][id] & HELD_SUBSCRIBED)
            expected_count++;
        for (uint32_t i = 0; topic && i < local_subscriber_count(topic); i++)
            found_count += local_subscribers(topic)[i].slot_index == conns[at]->slot_index;
        cr_assert_eq(found_count, (model[at][id] & HELD_SUBSCRIBED) != 0);
    }
    cr_assert_eq(topic != NULL, expected_count > 0, "a topic is there for its subscribers only");
    if (topic)
        cr_assert_eq(local_subscriber_count(topic), expected_count);
}

static void check(void)
{
    for (uint32_t at = 0; at < CONNS; at++)
        check_conn(at);
    for (uint16_t instance = 0; instance < INSTANCES; instance++)
        for (uint32_t id = 1; id <= IDS; id++)
            check_list(instance, id);
}

/* Pop the LEAVEs of @at; each id it held must be given back once, to the shard that owns it. */
static void check_leaves(uint32_t at)
{
    struct conn_handle handle = conn_handle_of(io, conns[at]);
    struct envelope envelope;

    for (uint32_t shard = 0; shard < broker.shard_count; shard++) {
        struct port *port = broker.shards[shard].port;

        while (port_pop(port, 0, &envelope)) {
            cr_assert_eq(envelope.kind, ENVELOPE_LEAVE);
            cr_assert_eq(envelope.instance_index, conns[at]->instance_index);
            cr_assert(conn_handle_equal(envelope.conn, handle));
            cr_assert_eq(envelope.id % broker.shard_count, shard);
            cr_assert_neq(model[at][envelope.id], 0, "given back twice, or never held");
            model[at][envelope.id] = 0;
        }
    }
    for (uint32_t id = 1; id <= IDS; id++)
        cr_assert_eq(model[at][id], 0, "%u was not given back", id);
}

/* Memory that is not there: the operation says so, and nothing has changed. */
static void grant(uint32_t at, uint32_t id, uint32_t flags, struct dice *dice)
{
    io->mem.fail_at = dice_below(dice, 4) == 0 ? 1 + dice_below(dice, 3) : 0;
    bool granted = flags & HELD_SUBSCRIBED ? holds_subscribe(io, conns[at], id)
                                           : holds_add(io, conns[at], id, flags);

    cr_assert(granted || io->mem.fail_at == 0, "refused, though no allocation failed");
    io->mem.fail_at = 0;
    if (granted)
        model[at][id] |= flags;
}

static void change(struct dice *dice)
{
    uint32_t at = dice_below(dice, CONNS);
    uint32_t id = 1 + dice_below(dice, IDS);

    switch (dice_below(dice, 12)) {
    case 0:
    case 1:
        grant(at, id, HELD_TOPIC, dice);
        return;
    case 2:
    case 3:
        grant(at, id, HELD_OBSERVED, dice);
        return;
    case 4:
    case 5:
    case 6:
    case 7:
        grant(at, id, HELD_TOPIC | HELD_SUBSCRIBED, dice);
        return;
    case 8:
    case 9:
        holds_unsubscribe(io, conns[at], id);
        model[at][id] &= ~HELD_SUBSCRIBED;
        return;
    case 10:
        holds_unobserve(io, conns[at], id);
        model[at][id] &= ~HELD_OBSERVED;
        return;
    default:
        if (dice_below(dice, 8) == 0) {
            holds_drop_all(io, conns[at]);
            check_leaves(at);
        }
        return;
    }
}

TestSuite(holds, .init = start);

Test(holds, refuses_a_flag_that_is_not_its_own, .signal = SIGABRT)
{
    cr_assert(holds_add(io, conns[0], 1, HELD_SUBSCRIBED));
}

Test(holds, ignores_what_is_not_held)
{
    holds_unsubscribe(io, conns[0], 1);
    holds_unobserve(io, conns[0], 1);
    holds_drop_all(io, conns[0]);
    check();
    little_stop(&broker);
}

Test(holds, may_hold_what_is_still_asked_for)
{
    cr_assert_not(holds_maybe(conns[0], 1));
    conns[0]->pending_count = 1;
    cr_assert(holds_maybe(conns[0], 1));
    conns[0]->pending_count = 0;
    little_stop(&broker);
}

Test(holds, keeps_the_instances_apart)
{
    cr_assert(holds_subscribe(io, conns[0], 5));
    cr_assert_null(holds_topic(io, 1, 5));
    cr_assert(holds_subscribe(io, conns[1], 5));
    model[0][5] = model[1][5] = HELD_TOPIC | HELD_SUBSCRIBED;
    check();
    holds_unsubscribe(io, conns[0], 5);
    model[0][5] = HELD_TOPIC;
    check();
    little_stop(&broker);
}

Test(holds, owns_nothing_when_nothing_is_held)
{
    for (int round = 0; round < 2; round++) {
        for (uint32_t at = 0; at < CONNS; at++)
            for (uint32_t id = 1; id <= IDS; id++)
                cr_assert(holds_subscribe(io, conns[at], id));
        for (uint32_t at = 0; at < CONNS; at++)
            holds_drop_all(io, conns[at]);
        cr_assert_eq(atomic_load(&io->mem.kind_bytes[MEM_HELD]), 0);
        cr_assert_eq(atomic_load(&io->mem.kind_bytes[MEM_FANOUT]), 0);
    }
    little_stop(&broker);
}

Test(holds, agrees_with_a_table_of_flags)
{
    struct dice dice = {5};

    for (uint32_t step = 0; step < 30000; step++) {
        change(&dice);
        check();
    }
    for (uint32_t at = 0; at < CONNS; at++) {
        holds_drop_all(io, conns[at]);
        check_leaves(at);
    }
    check();
    little_stop(&broker);
}

/* -- rights to a number -- */

Test(holds, know_the_right_to_publish_until_it_is_forgotten)
{
    cr_assert_not(holds_may_publish(conns[0], 1), "not held");
    cr_assert(holds_add(io, conns[0], 1, HELD_TOPIC));
    cr_assert(holds_subscribe(io, conns[0], 2));
    cr_assert(holds_add(io, conns[0], 3, HELD_OBSERVED));
    cr_assert_not(holds_may_publish(conns[0], 1), "not judged");
    holds_judge(conns[0], 1, true);
    holds_judge(conns[0], 2, false);
    holds_judge(conns[0], 4, true); /* not held: nothing */
    cr_assert(holds_may_publish(conns[0], 1));
    cr_assert_not(holds_may_publish(conns[0], 2));
    cr_assert_not(holds_may_publish(conns[0], 3));
    cr_assert_not(holds_may_publish(conns[0], 4));
    cr_assert(holds_subscription(conns[0], 2), "that is another flag");
    holds_unsubscribe(io, conns[0], 2);
    holds_judge(conns[0], 2, true);
    cr_assert(holds_may_publish(conns[0], 2), "it still holds the number");
    holds_forget_rights(conns[0]);
    cr_assert_not(holds_may_publish(conns[0], 1));
    cr_assert_not(holds_may_publish(conns[0], 2));
    cr_assert_eq(holds_count(conns[0], HELD_TOPIC), 2);
    little_stop(&broker);
}
