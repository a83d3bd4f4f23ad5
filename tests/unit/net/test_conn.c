/*
 * tests/unit/net/test_conn.c — mirrors net/conn.c.
 *
 * Goal:   only the moves in the picture are possible; a handle of a connection that is gone finds
 *         nothing; a receiver that does not read costs at most its queue, by the policy.
 * Method: every pair of states, each in a process of its own; a little broker for the rest.
 */
#include "net/conn.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "core/msg.h"
#include "tests/unit/net/little_client.h"

static void start(void)
{
    little_config(&broker);
    little_start(&broker);
}

TestSuite(conn, .init = start);

/* -- the table of states -- */

/* The picture in net/conn.h, once more. */
static bool may_go(enum conn_state from, enum conn_state to)
{
    if (from == CONN_FREE)
        return to == CONN_HTTP;
    if (from == CONN_CLOSING)
        return to == CONN_FREE;
    if (to == CONN_CLOSING)
        return true;
    if (to == CONN_LEAVING)
        return from != CONN_LEAVING;
    if (from == CONN_HTTP || from == CONN_ASKING)
        return to == CONN_GREETED || (from == CONN_HTTP ? to == CONN_ASKING : to == CONN_HTTP);
    return from < CONN_LIVE && to == from + 1;
}

static bool survives(enum conn_state from, enum conn_state to)
{
    struct conn conn = {.state = (uint8_t)from};
    int status;
    pid_t child = fork();

    cr_assert_geq(child, 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        conn_set_state(&conn, to);
        _exit(conn.state == to ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Test(conn_state, moves_only_as_in_the_picture)
{
    for (int from = 0; from < CONN_STATE_COUNT; from++)
        for (int to = 0; to <= CONN_STATE_COUNT; to++)
            cr_assert_eq(survives((enum conn_state)from, (enum conn_state)to),
                         to < CONN_STATE_COUNT &&
                             may_go((enum conn_state)from, (enum conn_state)to),
                         "from %d to %d", from, to);
}

Test(conn_state, has_names)
{
    cr_assert_str_eq(conn_state_name(CONN_LIVE), "live");
    cr_assert_str_eq(close_reason_name(CLOSE_SLOW), "SLOW");
    for (int reason = 0; reason < CLOSE_REASON_COUNT; reason++)
        cr_assert_gt(strlen(close_reason_text((enum close_reason)reason)), 0);
}

/* -- slots and handles -- */

Test(conn, is_not_found_by_a_stale_handle)
{
    struct io *io = &broker.ios[0];

    dial(3);
    struct conn_handle handle = conn_handle_of(io, conn_of(3));

    cr_assert_eq(conn_find(io, handle), conn_of(3));
    cr_assert_neq(handle.generation, 0);
    little_reset(&broker, 0, 3);
    cr_assert_null(conn_find(io, handle), "closing: for everybody else it is gone");
    little_settle(&broker);
    cr_assert_null(conn_find(io, handle), "its chunk is gone, too");
    dial(3);
    cr_assert_null(conn_find(io, handle), "another one lives there now");
    little_stop(&broker);
}

Test(conn, never_has_the_generation_zero)
{
    for (uint32_t i = 0; i < 70000; i++) {
        dial(0);
        cr_assert_neq(conn_of(0)->generation, 0);
        little_reset(&broker, 0, 0);
        (void)little_io_turn(&broker, 0);
        cr_assert_null(conn_of(0));
    }
    little_stop(&broker);
}

Test(conn, gives_its_memory_back_with_the_last_of_its_chunk)
{
    int64_t before_bytes = io_bytes(MEM_CONN);

    dial(0);
    dial(1);
    dial(LITTLE_SLOTS - 1);
    cr_assert_gt(io_bytes(MEM_CONN),
                 before_bytes + LIMIT_CONN_CHUNK * 2 * (int64_t)sizeof(struct conn));
    for (uint32_t i = 0; i < 3; i++)
        little_reset(&broker, 0, i < 2 ? i : LITTLE_SLOTS - 1);
    little_settle(&broker);
    cr_assert_eq(io_bytes(MEM_CONN), before_bytes);
    little_stop(&broker);
}

Test(conn, is_refused_when_there_is_no_memory_for_its_slot)
{
    broker.ios[0].mem.fail_at = 1;
    cr_assert_not(little_accept(&broker, 0, 0));
    cr_assert_eq(quota_used(&broker.quotas.handshakes), 0);
    little_stop(&broker);
}

Test(conn, is_attended_to_once)
{
    struct io *io = &broker.ios[0];
    uint32_t seen_mask = 0;
    struct conn *conn;

    for (uint32_t slot = 0; slot < 5; slot++)
        dial(slot);
    for (uint32_t i = 0; i < 20; i++)
        conn_mark(io, conn_of(i * 3 % 5));
    while ((conn = conn_next_marked(io)) != NULL) {
        cr_assert_not(seen_mask & 1u << conn->slot_index);
        seen_mask |= 1u << conn->slot_index;
    }
    cr_assert_eq(seen_mask, 0x1f);
    little_stop(&broker);
}

Test(conn, writes_addresses_as_people_do)
{
    struct conn conn = {.peer_ip = {[10] = 0xff, 0xff, 192, 168, 1, 20}};
    char text[CONN_IP_TEXT_BYTES];

    cr_assert_eq(conn_ip_text(&conn, text), 12);
    cr_assert_str_eq(text, "192.168.1.20");
    conn = (struct conn){.peer_ip = {[0] = 0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    (void)conn_ip_text(&conn, text);
    cr_assert_str_eq(text, "2001:db8::1");
}

/* -- slow receivers -- */

#define QUEUE_BYTES   5000u
#define PAYLOAD_BYTES 185u /* a frame of 200 */

static uint32_t etid;
static uint32_t published_count;

/* A client that does not read, and @count messages to it, each numbered, in runs of @run_count. */
static void flood(enum slow_consumer policy, uint32_t count, uint32_t run_count)
{
    static uint8_t bytes[SMQ_FRAME_BYTES_MAX];
    uint8_t body[12 + PAYLOAD_BYTES] = {0};
    size_t used = 0;

    broker.config.limits.queue_bytes_max = QUEUE_BYTES;
    broker.config.limits.slow_consumer = policy;
    etid = join(0, "uid--0");
    uint32_t sender = join(1, "uid--1");
    broker.wires[0][0].holds = true;
    for (published_count = 0; published_count < count; published_count++) {
        smq_store_u32(body, etid);
        smq_store_u32(body + 4, sender);
        smq_store_u32(body + 12, published_count);
        used += frame_of(bytes + used, SMQ_PUBLISH, body, sizeof(body));
        if ((published_count + 1) % run_count == 0) {
            say(1, bytes, used);
            little_settle(&broker);
            used = 0;
        }
    }
}

/* The numbers that arrived, once it reads again; asserts that they rise. */
static uint32_t read_numbers(uint32_t *first, uint32_t *last)
{
    uint32_t count = 0;

    broker.wires[0][0].holds = false;
    little_settle(&broker);
    while (heard_bytes[0] < broker.wires[0][0].got_bytes) {
        uint32_t number = smq_load_u32(hear(0, SMQ_PUBLISH).data + 12);

        cr_assert(count == 0 || number > *last);
        if (count++ == 0)
            *first = number;
        *last = number;
    }
    return count;
}

Test(slow_conn, loses_new_messages)
{
    uint32_t first, last;

    for (uint32_t run_count = 1; run_count <= 10; run_count += 9) {
        start();
        flood(SLOW_DROP_NEW, 100, run_count);
        cr_assert_leq(conn_of(0)->out.queued_bytes, QUEUE_BYTES);
        cr_assert_eq(conn_of(0)->dropped_count, 75, "5000 bytes hold 25 frames");
        cr_assert_eq(little_io_stat(&broker, IO_STAT_DROPPED_NEW), 75);
        cr_assert_eq(little_io_stat(&broker, IO_STAT_SLOW_CONSUMERS), 1);
        cr_assert_eq(read_numbers(&first, &last), 25);
        cr_assert_eq(first, 0);
        cr_assert_eq(last, 24);
        little_stop(&broker);
    }
}

Test(slow_conn, loses_old_messages)
{
    uint32_t first, last;

    for (uint32_t run_count = 1; run_count <= 10; run_count += 9) {
        start();
        flood(SLOW_DROP_OLD, 100, run_count);
        cr_assert_leq(conn_of(0)->out.queued_bytes, QUEUE_BYTES);
        uint64_t dropped_count = little_io_stat(&broker, IO_STAT_DROPPED_OLD);

        cr_assert_eq(little_io_stat(&broker, IO_STAT_DROPPED_NEW), 0);
        cr_assert_eq(conn_of(0)->dropped_count, dropped_count);
        cr_assert_eq(read_numbers(&first, &last) + dropped_count, 100);
        cr_assert_eq(first, 0, "the kernel had it");
        cr_assert_eq(last, 99);
        little_stop(&broker);
    }
}

Test(slow_conn, is_closed_by_policy)
{
    start();
    flood(SLOW_DISCONNECT, 100, 1);
    cr_assert_null(conn_of(0));
    cr_assert_eq(counter_read(&broker.ios[0].closed_counts[CLOSE_SLOW]), 1);
    cr_assert_eq(little_io_stat(&broker, IO_STAT_DROPPED_CLOSED), 1);
    little_stop(&broker);
}

Test(slow_conn, may_be_slow_again_after_it_caught_up)
{
    uint32_t first, last;

    start();
    flood(SLOW_DROP_NEW, 50, 1);
    (void)read_numbers(&first, &last);
    cr_assert_not(conn_of(0)->flags & CONN_SLOW);
    little_stop(&broker);
}

Test(conn, is_closed_when_even_acks_have_no_room)
{
    uint32_t acks = 0;

    broker.config.limits.queue_bytes_max = QUEUE_BYTES;
    (void)join(0, "uid--0");
    broker.wires[0][0].holds = true;
    while (conn_of(0) && conn_of(0)->state == CONN_LIVE && acks < 100000) {
        say_frame(0, SMQ_PING, NULL, 0);
        acks++;
    }
    cr_assert_eq(conn_of(0)->close_reason, CLOSE_SLOW);
    cr_assert_eq(acks, (QUEUE_BYTES + LIMIT_QUEUE_CONTROL_ROOM) / SMQ_HEADER_BYTES + 1);
    little_settle(&broker);
    little_stop(&broker);
}

Test(conn, drops_messages_that_find_no_memory)
{
    uint8_t body[64];
    uint32_t id = join(0, "uid--0");

    say_frame(0, SMQ_PUBLISH, body, publish_body(body, id, id, "lost"));
    little_shard_turn(&broker, 0);
    broker.ios[0].mem.fail_at = 1;
    little_settle(&broker);
    hear_nothing(0);
    cr_assert_eq(little_io_stat(&broker, IO_STAT_DROPPED_MEMORY), 1);
    cr_assert_eq(conn_of(0)->state, CONN_LIVE);
    little_stop(&broker);
}

Test(conn, is_closed_when_an_answer_finds_no_memory)
{
    (void)join(0, "uid--0");
    broker.ios[0].mem.fail_at = 1;
    say_frame(0, SMQ_PING, NULL, 0);
    cr_assert_eq(conn_of(0)->close_reason, CLOSE_MEMORY);
    little_settle(&broker);
    cr_assert_null(conn_of(0));
    little_stop(&broker);
}
