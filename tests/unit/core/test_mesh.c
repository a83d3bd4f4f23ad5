/*
 * tests/unit/core/test_mesh.c — mirrors core/mesh.c.
 *
 * Goal:   exactly those can talk who should; each sleeper is woken once per batch; the backlog is
 *         counted per lane.
 * Method: meshes of several shapes without threads; a parker that is prepared shows every wake.
 */
#include "core/mesh.h"

#include <signal.h>
#include <string.h>

#include <criterion/criterion.h>

#include "core/msg.h"
#include "tests/unit/core/account.h"

#define SLOTS 64u

static struct mesh mesh;
static struct parker parkers[LIMIT_ACTORS];
static struct parker *parker_of[LIMIT_ACTORS];
static struct mem *mem_of[LIMIT_ACTORS];

static void build_sized(const struct mesh_size *size, bool inline_shards)
{
    uint32_t shard_first = size->io_count + size->local_count;
    uint32_t control = shard_first + size->shard_count;

    account_open();
    for (uint32_t i = 0; i < control + 1 + size->signer_count; i++) {
        bool shares = inline_shards && i >= shard_first && i < control;

        cr_assert_eq(parker_init(&parkers[i]), STATUS_OK);
        parker_of[i] = &parkers[shares ? i - shard_first : i];
        mem_of[i] = &account;
    }
    mesh_init_sized(&mesh, size, parker_of, mem_of);
}

static void build(uint32_t io_count, uint32_t shard_count, bool inline_shards)
{
    struct mesh_size size = {.io_count = io_count, .shard_count = shard_count, .slot_count = SLOTS};

    build_sized(&size, inline_shards);
}

static void push(uint32_t from, uint32_t to, uint32_t id)
{
    port_push(&mesh.ports[from], to, (struct envelope){.kind = ENVELOPE_PUBLISH, .id = id});
}

static uint64_t wakes(uint32_t index)
{
    return atomic_load(&parkers[index].wake_count);
}

static bool may_talk(uint32_t from, uint32_t to)
{
    return mesh.lanes[from * mesh.actor_count + to] != NULL;
}

Test(mesh, does_not_let_io_actors_talk_to_each_other, .signal = SIGABRT)
{
    build(2, 2, false);
    push(0, 1, 1);
}

Test(mesh, does_not_let_shards_talk_to_each_other, .signal = SIGABRT)
{
    build(2, 2, false);
    push(2, 3, 1);
}

Test(mesh, does_not_let_anybody_talk_to_himself, .signal = SIGABRT)
{
    build(2, 2, false);
    push(4, 4, 1);
}

Test(mesh, refuses_more_io_actors_than_a_mask_has_bits, .signal = SIGABRT)
{
    build(LIMIT_IO_ACTORS + 1, 1, false);
}

Test(mesh, joins_io_actors_with_shards_and_control_with_all)
{
    build(3, 2, false);
    for (uint32_t from = 0; from < 6; from++)
        for (uint32_t to = 0; to < 6; to++) {
            bool io_and_shard =
                (from < 3 && to >= 3 && to < 5) || (to < 3 && from >= 3 && from < 5);
            bool control = (from == 5) != (to == 5);

            cr_assert_eq(may_talk(from, to), io_and_shard || control, "%u to %u", from, to);
        }
    cr_assert_eq(mesh_shard_index(&mesh, 1), 4);
    cr_assert_eq(mesh_control_index(&mesh), 5);
    mesh_deinit(&mesh);
    cr_assert(account_is_empty());
}

Test(mesh, refuses_more_locals_than_a_mask_has_bits_left, .signal = SIGABRT)
{
    struct mesh_size size = {.io_count = 1,
                             .local_count = LIMIT_LOCALS + 1,
                             .shard_count = 1,
                             .slot_count = SLOTS};

    build_sized(&size, false);
}

Test(mesh, joins_locals_with_io_actors_and_shards_but_not_with_each_other)
{
    struct mesh_size size = {.io_count = 2,
                             .local_count = 2,
                             .shard_count = 2,
                             .signer_count = 1,
                             .slot_count = SLOTS * 2};
    static const char kinds[] = "iillssct"; /* by mesh index; t: a signer */
    static const char *const pairs = "il li is si ls sl ic ci lc cl sc cs ti ";

    build_sized(&size, false);
    for (uint32_t from = 0; from < 8; from++)
        for (uint32_t to = 0; to < 8; to++) {
            char pair[] = {kinds[from], kinds[to], ' ', '\0'};

            cr_assert_eq(may_talk(from, to), strstr(pairs, pair) != NULL, "%u to %u", from, to);
        }
    cr_assert_eq(mesh.host_count, 4);
    cr_assert_eq(mesh_local_index(&mesh, 1), 3);
    cr_assert_eq(mesh_shard_index(&mesh, 1), 5);
    cr_assert_eq(mesh_control_index(&mesh), 6);
    cr_assert_eq(mesh_signer_index(&mesh, 0), 7);
    cr_assert_eq(port_room(&mesh.ports[4], 3), SLOTS * 2 - 1, "messages come this way");
    cr_assert_eq(port_room(&mesh.ports[0], 3), SLOTS * 2 - 1, "and requests for pages this way");
    cr_assert_eq(port_room(&mesh.ports[6], 3), LIMIT_LANE_SLOTS_MIN - 1, "a question now and then");
    mesh_deinit(&mesh);
    cr_assert(account_is_empty());
}

Test(mesh, can_be_as_large_as_the_limits_say)
{
    struct mesh_size size = {.io_count = LIMIT_IO_ACTORS,
                             .local_count = LIMIT_LOCALS,
                             .shard_count = LIMIT_SHARDS,
                             .signer_count = LIMIT_SIGNERS,
                             .slot_count = SLOTS};

    build_sized(&size, false);
    uint32_t control = mesh_control_index(&mesh);
    struct envelope envelope;

    push(control, 0, 7);
    cr_assert(port_pop(&mesh.ports[0], control, &envelope));
    cr_assert_eq(envelope.from, control, "the sender's index fits its field");
    mesh_deinit(&mesh);
    cr_assert(account_is_empty());
}

Test(mesh, gives_a_name_and_a_number_an_owner)
{
    build(1, 3, false);
    for (uint32_t id = 0; id < 10; id++)
        cr_assert_eq(mesh_shard_of_id(&mesh, id), id % 3);
    for (uint64_t high = 0; high < 10; high++)
        cr_assert_eq(mesh_shard_of_hash(&mesh, high << 32 | 0x55), high % 3,
                     "the upper half: the lower one finds the table's slot");
}

Test(port, gives_nothing_from_who_never_talks_to_it)
{
    struct envelope envelope;

    build(2, 1, false);
    cr_assert_not(port_pop(&mesh.ports[0], 1, &envelope));
    cr_assert_not(port_pop(&mesh.ports[0], 0, &envelope));
}

Test(port, says_who_sent_it)
{
    struct envelope envelope;

    build(2, 2, false);
    push(1, 2, 77);
    cr_assert_not(port_has_mail(&mesh.ports[3]));
    cr_assert(port_has_mail(&mesh.ports[2]));
    cr_assert_not(port_pop(&mesh.ports[2], 0, &envelope));
    cr_assert(port_pop(&mesh.ports[2], 1, &envelope));
    cr_assert_eq(envelope.from, 1);
    cr_assert_eq(envelope.id, 77);
    cr_assert_not(port_has_mail(&mesh.ports[2]));
}

Test(port, wakes_each_sleeper_once_per_batch)
{
    build(2, 2, false);
    for (uint32_t i = 0; i < 5; i++)
        parker_prepare(&parkers[i]);
    for (uint32_t i = 0; i < 10; i++)
        push(0, 2, i);
    cr_assert_eq(wakes(2), 0, "not before the batch is over");
    cr_assert(port_flush(&mesh.ports[0]));
    cr_assert_eq(wakes(2), 1);
    cr_assert_eq(wakes(1), 0);
    cr_assert_eq(wakes(3), 0, "nothing was pushed to it");

    parker_prepare(&parkers[2]);
    cr_assert(port_flush(&mesh.ports[0]));
    cr_assert_eq(wakes(2), 1, "nothing new");
    push(0, 2, 1);
    push(0, 3, 1);
    cr_assert(port_flush(&mesh.ports[0]));
    cr_assert_eq(wakes(2), 2);
    cr_assert_eq(wakes(3), 1);
}

Test(port, does_not_wake_the_thread_it_runs_in)
{
    build(2, 2, true);
    parker_prepare(&parkers[0]);
    push(0, 2, 1); /* shard 0 runs in I/O actor 0's turn */
    cr_assert(port_flush(&mesh.ports[0]));
    cr_assert_eq(wakes(0), 0);
    push(1, 2, 1); /* from the other thread it is a stranger */
    cr_assert(port_flush(&mesh.ports[1]));
    cr_assert_eq(wakes(0), 1);
}

Test(port, counts_the_lanes_that_are_full)
{
    struct port *port;
    struct envelope envelope;
    uint32_t popped_count[2] = {0, 0};

    build(1, 2, false);
    port = &mesh.ports[0];
    for (uint32_t i = 0; i < SLOTS - 1; i++)
        push(0, 1, i);
    cr_assert(port_is_clear(port));
    push(0, 1, SLOTS - 1);
    push(0, 1, SLOTS);
    cr_assert_eq(port->backlog_count, 1, "a lane counts once");
    for (uint32_t i = 0; i < SLOTS * 2; i++)
        push(0, 2, i);
    cr_assert_eq(port->backlog_count, 2);
    cr_assert_not(port_flush(port));

    while (port_pop(&mesh.ports[1], 0, &envelope))
        cr_assert_eq(envelope.id, popped_count[0]++);
    cr_assert_not(port_flush(port), "the other lane is still full");
    cr_assert_eq(port->backlog_count, 1);
    while (!port_is_clear(port)) {
        while (port_pop(&mesh.ports[2], 0, &envelope))
            cr_assert_eq(envelope.id, popped_count[1]++);
        (void)port_flush(port);
    }
    while (port_pop(&mesh.ports[1], 0, &envelope))
        cr_assert_eq(envelope.id, popped_count[0]++);
    while (port_pop(&mesh.ports[2], 0, &envelope))
        cr_assert_eq(envelope.id, popped_count[1]++);
    cr_assert_eq(popped_count[0], SLOTS + 1);
    cr_assert_eq(popped_count[1], SLOTS * 2);
    mesh_deinit(&mesh);
    cr_assert(account_is_empty());
}

Test(port, knows_how_much_more_fits)
{
    struct envelope envelope;

    build(1, 1, false);
    cr_assert_eq(port_room(&mesh.ports[0], 1), SLOTS - 1);
    for (uint32_t i = 0; i < SLOTS - 1; i++) {
        push(0, 1, i);
        cr_assert_eq(port_room(&mesh.ports[0], 1), SLOTS - 2 - i);
        cr_assert(port_is_clear(&mesh.ports[0]));
    }
    push(0, 1, SLOTS);
    cr_assert(port_pop(&mesh.ports[1], 0, &envelope));
    cr_assert_eq(port_room(&mesh.ports[0], 1), 0, "what is spilled goes first");
    cr_assert(port_flush(&mesh.ports[0]));
    cr_assert_eq(port_room(&mesh.ports[0], 1), 0);
    cr_assert(port_pop(&mesh.ports[1], 0, &envelope));
    cr_assert_eq(port_room(&mesh.ports[0], 1), 1);
}

Test(port, has_no_room_for_who_never_hears_it, .signal = SIGABRT)
{
    build(2, 1, false);
    (void)port_room(&mesh.ports[0], 1);
}

Test(port, wakes_the_popper_when_the_spill_moves_on)
{
    struct envelope envelope;

    build(1, 1, false);
    for (uint32_t i = 0; i < SLOTS + 5; i++)
        push(0, 1, i);
    cr_assert_not(port_flush(&mesh.ports[0]));
    while (port_pop(&mesh.ports[1], 0, &envelope))
        ;
    parker_prepare(&parkers[1]);
    cr_assert(port_flush(&mesh.ports[0]));
    cr_assert_eq(wakes(1), 1, "no push, but there is something new to pop");
}

Test(mesh, drops_what_nobody_took)
{
    build(1, 1, false);
    for (uint32_t i = 0; i < SLOTS * 2; i++)
        port_push(&mesh.ports[0], 1,
                  (struct envelope){.kind = ENVELOPE_PUBLISH, .msg = msg_new(&account, 10)});
    mesh_deinit(&mesh);
    cr_assert(account_is_empty());
}
