/*
 * tests/unit/core/test_shards.c — mirrors core/shard.c and core/shard_state.c, beyond one request.
 *
 * Goal:   several shards cut the names and numbers among them; full lanes hold back and lose
 *         nothing; whatever allocation fails, the tables stay true and all is given back.
 * Method: the I/O actors' side is played by hand (tests/unit/core/shard_desk.h).
 */
#include "core/shard.h"

#include <criterion/criterion.h>

#include "tests/unit/core/shard_desk.h"

/* -- several shards -- */

Test(shards, each_own_their_share_of_names_and_numbers)
{
    uint32_t ids[60];
    char name[16];
    uint32_t used_mask = 0;

    build(3);
    for (uint32_t i = 0; i < COUNT_OF(ids); i++) {
        snprintf(name, sizeof(name), "topic-%u", i);
        ids[i] = subscribe(A, name); /* asked of the name's owner */
        publish(B, ids[i], 1);       /* asked of the number's owner: the same shard */
        cr_assert_eq(hear_at(0, ENVELOPE_DELIVER)->id, ids[i]);
        used_mask |= 1u << ids[i] % 3;
        for (uint32_t k = 0; k < i; k++)
            cr_assert_neq(ids[k], ids[i]);
    }
    cr_assert_eq(used_mask, 7, "all three have some");
    cr_assert_eq(subscribe(A, "pinned"), PINNED_TID);
    leave(A, PINNED_TID);
    for (uint32_t i = 0; i < COUNT_OF(ids); i++)
        leave(A, ids[i]);
    cr_assert_eq(counted(SHARD_STAT_TOPICS), 1);
    finish();
}

Test(shards, never_give_out_a_number_twice)
{
    char name[16];

    build(2);
    quotas.topics.count_max = quotas.instances[0].topics.count_max = 10000;
    shards[0].random.key = shards[1].random.key; /* the worst luck: both draw the same */
    for (uint32_t i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "topic-%u", i);
        shards[i % 2].random.counter = 0; /* and again and again */
        uint32_t id = create(A, name);
        snprintf(name, sizeof(name), "client%u", i);
        shards[i % 2].random.counter = 0;
        cr_assert_neq(join(conn_at_io(1, 100 + i), name), id);
    }
    cr_assert_eq(counted(SHARD_STAT_TOPICS), 301);
    cr_assert_eq(counted(SHARD_STAT_CLIENTS), 300);
    finish();
}

/* -- lanes and the end -- */

Test(shards, take_nothing_in_while_a_receiver_is_full)
{
    build(1);
    uint32_t id = subscribe(A, "topic");

    for (uint32_t i = 0; i < 3000; i++) {
        port_push(&mesh.ports[1], mesh_shard_index(&mesh, 0),
                  (struct envelope){.kind = ENVELOPE_PUBLISH,
                                    .id = id,
                                    .count = 1,
                                    .conn = B,
                                    .msg = msg_copy(&io_mems[1], span_of(&i, sizeof(i)))});
        (void)port_flush(&mesh.ports[1]);
        (void)shard_turn(&shards[0]);
        (void)port_flush(shards[0].port);
    }
    cr_assert_not(port_is_clear(shards[0].port));
    cr_assert_gt(lane_depth(mesh.lanes[1 * mesh.actor_count + IOS]), 500, "the rest waits outside");
    for (uint32_t i = 0; i < 3000;) {
        (void)port_flush(&mesh.ports[1]);
        (void)shard_turn(&shards[0]);
        (void)port_flush(shards[0].port);
        struct envelope envelope;
        while (port_pop(&mesh.ports[0], IOS, &envelope)) {
            cr_assert_eq(memcmp(envelope.msg->bytes, &i, sizeof(i)), 0, "in order");
            msg_unref(&io_mems[0], envelope.msg);
            i++;
        }
    }
    leave(A, id);
    finish();
}

Test(shards, drop_for_a_slow_local_client_and_hold_nobody_up)
{
    struct conn_handle local = conn_at_io(LOCAL, 0);
    const uint32_t sent_count = 1500;
    uint32_t room;

    build_with(1, 1);
    uint32_t id = subscribe(A, "topic");
    uint32_t etid = join(local, "local0");

    cr_assert_eq(subscribe(local, "topic"), id);
    room = port_room(shards[0].port, LOCAL);
    cr_assert_lt(room, sent_count);
    for (uint32_t i = 0; i < sent_count; i++) {
        publish(B, id, 1);
        cr_assert_eq(hear_at(0, ENVELOPE_DELIVER)->id, id, "the others have it all");
    }
    cr_assert(port_is_clear(shards[0].port));
    cr_assert_eq(counted(SHARD_STAT_DROPPED_LOCAL), sent_count - room);
    publish(B, etid, 2);
    cr_assert_eq(counted(SHARD_STAT_DROPPED_LOCAL), sent_count - room + 2);
    for (uint32_t i = 0; i < room; i++)
        cr_assert_eq(hear_at(LOCAL, ENVELOPE_DELIVER)->id, id);
    publish(B, etid, 2);
    cr_assert_eq(hear(local, ENVELOPE_DIRECT)->count, 2, "there is room again");
    leave(local, id);
    leave(A, id);
    ask_about_id(local, ENVELOPE_GONE, etid);
    finish();
}

Test(shards, answer_stop)
{
    struct envelope envelope;
    uint32_t control = IOS + 1;

    build(1);
    port_push(&mesh.ports[control], IOS, (struct envelope){.kind = ENVELOPE_STOP});
    turn();
    cr_assert(shards[0].stopped);
    cr_assert(port_pop(&mesh.ports[control], IOS, &envelope));
    cr_assert_eq(envelope.kind, ENVELOPE_STOPPED);
    finish();
}

/* -- no memory -- */

/* Do everything a shard can, with its @fail_at-th allocation refused. */
static void do_everything(uint64_t fail_at)
{
    struct envelope envelope;
    struct conn_handle conns[] = {A, B, C};
    uint32_t etids[COUNT_OF(conns)] = {0};
    char name[64] = "a name that is too long to lie inside the topic itself 0";

    shards[0].mem.fail_at = fail_at;
    for (uint32_t i = 0; i < COUNT_OF(conns); i++) {
        snprintf(name + 55, sizeof(name) - 55, "%u", i);
        connect(conns[i], name);
        etids[i] = hear_at(conns[i].host_index, ENVELOPE_CONNECTED)->id;
    }
    for (uint32_t i = 0; i < COUNT_OF(conns); i++) {
        snprintf(name + 55, sizeof(name) - 55, "%u", i);
        ask_about_name(conns[i], ENVELOPE_SUBSCRIBE, "short", 0, 0);
        ask_about_name(conns[i], ENVELOPE_CREATE, name, 0, 0);
        ask_about_name(conns[i], ENVELOPE_CREATESUB, name, 0, 0);
        ask_about_id(conns[i], ENVELOPE_OBSERVE, PINNED_TID);
        ask_about_id(conns[i], ENVELOPE_OBSERVE, etids[0]);
    }
    bool refused = shards[0].mem.fail_at == 0;

    cr_assert(refused == (counted(SHARD_STAT_NO_MEMORY) > 0), "a refusal is counted");
    shards[0].mem.fail_at = 0;
    for (uint32_t io = 0; io < IOS; io++) { /* each answer that gave something: give it back */
        while (port_pop(&mesh.ports[io], IOS, &envelope)) {
            msg_unref(&io_mems[io], envelope.msg);
            if (envelope.kind != ENVELOPE_SUBCREATED && envelope.flags & ENVELOPE_NEW)
                leave(envelope.conn, envelope.id);
        }
    }
    for (uint32_t i = 0; i < COUNT_OF(conns); i++)
        if (etids[i])
            ask_about_id(conns[i], ENVELOPE_GONE, etids[i]);
    for (uint32_t io = 0; io < IOS; io++)
        while (port_pop(&mesh.ports[io], IOS, &envelope))
            msg_unref(&io_mems[io], envelope.msg);
}

Test(shards, stay_true_whatever_allocation_fails)
{
    uint64_t fail_at = 1;
    bool refused = true;

    for (; refused; fail_at++) {
        build(1);
        do_everything(fail_at);
        refused = counted(SHARD_STAT_NO_MEMORY) > 0;
        cr_assert_eq(counted(SHARD_STAT_TOPICS), 1);
        cr_assert_eq(counted(SHARD_STAT_CLIENTS), 0);
        cr_assert_eq(counted(SHARD_STAT_SUBSCRIPTIONS), 0);
        cr_assert_eq(counted(SHARD_STAT_OBSERVATIONS), 0);
        cr_assert_eq(quota_used(&quotas.topics), 0);
        cr_assert_eq(quota_used(&quotas.subscriptions), 0);
        cr_assert_eq(quota_used(&quotas.instances[0].topics), 0);
        cr_assert_eq(quota_used(&quotas.instances[0].subscriptions), 0);
        cr_assert_eq(quota_used(&quotas.instances[0].subtopics), counted(SHARD_STAT_SUBTOPICS) - 1);
        finish();
    }
    cr_assert_gt(fail_at, 10, "each table, pool, set and name that grows is one");
}

Test(shards, do_not_start_without_memory_for_what_is_pinned)
{
    build(1);
    finish();
    pins[0] = (struct config_pin){.name = strdup("pinned"), .id = PINNED_TID};
    pins[1] = (struct config_pin){.name = strdup("subpinned"), .id = 7};
    mem_budget_init(&budget, 1); /* not a byte, but what is never refused */
    quotas_init(&quotas, &config);
    mem_init(&shards[0].mem, &budget);
    mesh_init(&mesh, IOS, 1, 64, parker_of, mem_of);
    struct shard_options options = {.config = &config, .mesh = &mesh, .quotas = &quotas};

    cr_assert_eq(shard_init(&shards[0], &options), STATUS_NO_MEMORY);
    shard_deinit(&shards[0]);
    mesh_deinit(&mesh);
    quotas_deinit(&quotas);
    free(pins[0].name);
    free(pins[1].name);
}
