/*
 * tests/unit/net/test_completions.c — mirrors net/completions.c, as far as one thread can tell.
 *
 * Goal:   each connection gets its own bytes, however many are flushed in one turn. (The rest of
 *         the reactor is proved with the real server: tests/wire/.)
 * Method: a real uring, connections over socket pairs, their other ends read back.
 */
#include "net/completions.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "core/msg.h"
#include "tests/unit/core/account.h"

#define CONNS       1200u
#define PIECE_BYTES LIMIT_SHARE_BYTES_MIN
#define SQE_COUNT   1024u

static struct config_instance instance;
static struct config config = {.instances = &instance,
                               .instance_count = 1,
                               .lane_slot_count = 64,
                               .limits = {.connection_count_max = CONNS,
                                          .handshake_count_max = CONNS,
                                          .queue_bytes_max = 1 << 20}};
static struct reactor reactor;
static struct quotas quotas;
static struct mesh mesh;
static struct mem shard_mem;
static struct mem control_mem;
static struct parker parkers[3];
static struct parker *parker_of[3] = {&parkers[0], &parkers[1], &parkers[2]};
static struct mem *mem_of[3] = {&reactor.io.mem, &shard_mem, &control_mem};
static int peers[CONNS]; /* the far end of each connection */

static void build(void)
{
    struct io_options options = {.config = &config,
                                 .mesh = &mesh,
                                 .quotas = &quotas,
                                 .slot_count_max = CONNS};
    struct uring_options uring_options = {.sqe_count = SQE_COUNT,
                                          .cqe_count = 4 * SQE_COUNT,
                                          .file_count = CONNS,
                                          .buffer_count = 8,
                                          .buffer_bytes = 1024};

    account_open();
    cr_assert_geq(reactor_file_count_max(), CONNS + 100, "this test needs that many descriptors");
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(parker_init(&parkers[i]), STATUS_OK);
        mem_init(mem_of[i], &account_budget);
    }
    quotas_init(&quotas, &config);
    mesh_init(&mesh, 1, 1, config.lane_slot_count, parker_of, mem_of);
    cr_assert_eq(io_init(&reactor.io, &options, 1000), STATUS_OK);
    reactor_init(&reactor, &parkers[0], NULL, NULL, NULL);
    cr_assert_eq(uring_init(&reactor.uring, &uring_options, reactor.error), STATUS_OK, "%s",
                 reactor.error);
    reactor.scratch = reactor_scratch_new(&reactor.io.mem);
}

/* A connection in @slot that reads no more, so that attending to it is one send and nothing else.
 */
static struct conn *open_conn(uint32_t slot)
{
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(io_uring_register_files_update(&reactor.uring.kernel, slot, &pair[0], 1), 1);
    close(pair[0]);
    peers[slot] = pair[1];
    struct conn *conn = conn_open(&reactor.io, slot, 0);

    cr_assert_not_null(conn);
    cr_assert(quota_take(&quotas.handshakes));
    conn->flags |= CONN_EOF;
    return conn;
}

static void queue_piece(struct conn *conn)
{
    uint32_t numbers[PIECE_BYTES / sizeof(uint32_t)];

    for (uint32_t i = 0; i < COUNT_OF(numbers); i++)
        numbers[i] = conn->slot_index;
    struct msg *msg = msg_copy(&reactor.io.mem, span_of(numbers, sizeof(numbers)));

    cr_assert_not_null(msg);
    cr_assert(outq_append_shared(&conn->out, &reactor.io.mem, msg, 0, PIECE_BYTES));
    msg_unref(&reactor.io.mem, msg);
}

static void assert_got(uint32_t slot, uint32_t piece_count)
{
    uint32_t numbers[4 * PIECE_BYTES / sizeof(uint32_t)];
    ssize_t got = recv(peers[slot], numbers, sizeof(numbers), MSG_DONTWAIT);

    cr_assert_eq(got, (ssize_t)(piece_count * PIECE_BYTES), "slot %u got %zd bytes", slot, got);
    for (size_t i = 0; i < (size_t)got / sizeof(uint32_t); i++)
        cr_assert_eq(numbers[i], slot, "slot %u got what was for slot %u", slot, numbers[i]);
}

/* Submit, and handle whatever has come. */
static void enter(void)
{
    struct io_uring_cqe *cqe;

    cr_assert_geq(io_uring_submit_and_get_events(&reactor.uring.kernel), 0);
    while (io_uring_peek_cqe(&reactor.uring.kernel, &cqe) == 0) {
        completion_handle(&reactor, cqe);
        io_uring_cqe_seen(&reactor.uring.kernel, cqe);
    }
}

/* Close all; then nothing may be left. */
static void finish(void)
{
    struct conn *conn;

    for (uint32_t slot = 0; slot < CONNS; slot++)
        conn_close(&reactor.io, conn_at(&reactor.io, slot), CLOSE_PEER);
    while (!io_is_empty(&reactor.io)) {
        while ((conn = conn_next_marked(&reactor.io)) != NULL)
            reactor_attend(&reactor, conn);
        enter();
    }
    reactor_scratch_free(&reactor.io.mem, reactor.scratch);
    io_deinit(&reactor.io);
    uring_deinit(&reactor.uring);
    mesh_deinit(&mesh);
    quotas_deinit(&quotas);
    for (uint32_t slot = 0; slot < CONNS; slot++)
        close(peers[slot]);
    cr_assert_eq(mem_total(mem_of[0]) + mem_total(mem_of[1]) + mem_total(mem_of[2]), 0);
}

/* One turn flushes @first connections with several pieces, then enough with one piece to fill the
 * submission queue exactly, then again some with several. */
static void flush_in_one_turn(uint32_t first)
{
    uint32_t piece_counts[CONNS];

    build();
    for (uint32_t slot = 0; slot < CONNS; slot++) {
        struct conn *conn = open_conn(slot);

        piece_counts[slot] = slot < first || slot >= SQE_COUNT ? 2 : 1;
        for (uint32_t i = 0; i < piece_counts[slot]; i++)
            queue_piece(conn);
        reactor_attend(&reactor, conn);
    }
    enter();
    for (uint32_t slot = 0; slot < CONNS; slot++)
        assert_got(slot, piece_counts[slot]);
    finish();
}

Test(completions, give_each_connection_its_own_bytes)
{
    flush_in_one_turn(100);
}

Test(completions, give_each_connection_its_own_bytes_when_all_have_several_pieces)
{
    flush_in_one_turn(SQE_COUNT);
}
