/*
 * net/reactor.c — the turn of an I/O thread. See net/reactor.h; what each completion does is in
 * net/completions.c.
 *
 * Thread: the I/O thread. Owns: the uring, the receive buffers, the listeners' descriptors.
 * Never:  blocks except in io_uring_enter.
 */
#include "net/reactor.h"
#include "net/auth.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "net/completions.h"
#include "net/detour.h"
#include "net/door.h"
#include "net/secure.h"
#include "net/session.h"

#define SQE_COUNT          1024u
#define CQE_COUNT          8192u
#define DRAIN_CONNS_A_TURN 256u     /* paced: their clients come back somewhere else */
#define EXPIRED_A_TURN     32u      /* a millisecond: a tick's half-open ones end over many turns */
#define CLOSED_A_TURN      64u      /* the same, of those that close */
#define REAPS_A_TURN       64u      /* further looks into the kernel, at 20 completions each */
#define MAIL_ROUNDS_MAX    4u       /* shard and I/O actor answering each other within a turn */
#define INSTANT_WAIT_NS    10000000 /* when a guess about our own completions may be wrong */
#define BACKLOG_SLEEP_NS   50000

uint32_t reactor_file_count_max(void)
{
    struct rlimit limit;

    must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_cur < limit.rlim_max) { /* a uring's table is bounded by the soft limit */
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    }
    return limit.rlim_cur < LIMIT_FILES_PER_URING ? (uint32_t)limit.rlim_cur
                                                  : LIMIT_FILES_PER_URING;
}

/* The turn's time, read once. */
static void begin_turn(struct io *io)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    io->now_tick =
        (uint32_t)(((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) / WHEEL_TICK_MS);
    io_begin_timing(io, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

void reactor_init(struct reactor *reactor, struct parker *parker, struct shard *inline_shard,
                  struct log_lane *log_lane, sem_t *started)
{
    reactor->parker = parker;
    reactor->inline_shard = inline_shard;
    reactor->log_lane = log_lane;
    reactor->started = started;
    memset(reactor->accepts_armed, 0, sizeof(reactor->accepts_armed));
    reactor->accept_count = 0;
    reactor->failed = reactor->accept_paused = reactor->accept_told = false;
    reactor->drain_cursor = 0;
    reactor->closing_first = MARKED_NONE;
    reactor->scarce_tick = reactor->io.now_tick - WHEEL_SLOTS; /* long ago */
    reactor->starved = reactor->hung_up = (struct line){0};
    reactor->scratch_used = reactor->instant_count = 0;
    reactor->error[0] = '\0';
}

/* -- the steps of a turn -- */

static void check_entered(int result)
{
    must(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
         result == -EBUSY);
}

static uint32_t reap_queue(struct reactor *reactor)
{
    struct io_uring *kernel = &reactor->uring.kernel;
    struct io_uring_cqe *cqe;
    unsigned int head;
    uint32_t count = 0;

    io_uring_for_each_cqe(kernel, head, cqe)
    {
        /* A lane that is full holds us up here: completions keep their buffers, the kernel runs
         * out of them, and the publishers' sockets fill. That is the whole of back-pressure. */
        if (count >= LIMIT_TURN_CQES || !port_is_clear(reactor->io.port))
            break;
        completion_handle(reactor, cqe);
        count++;
    }
    io_uring_cq_advance(kernel, count);
    if (io_uring_cq_has_overflow(kernel))
        io_count(&reactor->io, IO_STAT_CQ_OVERFLOWS, 1);
    return count;
}

/* Has the kernel more for us that it has not put into the queue yet? */
static bool keeps_more(const struct reactor *reactor)
{
    return *(volatile unsigned int *)reactor->uring.kernel.sq.kflags & IORING_SQ_TASKRUN;
}

/* From Linux 6.13 on, an entry brings 20 completions of those that wait and leaves the others in
 * line in the kernel. Ten thousand that hang up at once would be before everybody else for 500
 * turns. So ask for more. In between, the buffers of what has come go back. */
static void reap(struct reactor *reactor)
{
    uint32_t count = reap_queue(reactor);

    for (uint32_t i = 0; i < REAPS_A_TURN && keeps_more(reactor) && count < LIMIT_TURN_CQES &&
                         port_is_clear(reactor->io.port);
         i++) {
        bufgroup_publish(&reactor->uring.buffers);
        check_entered(io_uring_get_events(&reactor->uring.kernel));
        count += reap_queue(reactor);
    }
}

/* Inline shards and the I/O actor answer each other until neither has mail, a few times over. */
static uint32_t exchange_mail(struct reactor *reactor)
{
    struct shard *shard = reactor->inline_shard;
    uint32_t total_count = 0;

    for (uint32_t round = 0; round < MAIL_ROUNDS_MAX; round++) {
        uint32_t count = 0;

        if (shard) {
            count += shard_turn(shard);
            (void)port_flush(shard->port); /* shard_turn asks again */
        }
        count += io_drain_lanes(&reactor->io);
        total_count += count;
        if (count == 0 || !shard)
            break;
    }
    return total_count;
}

static void expire_timers(struct reactor *reactor)
{
    struct io *io = &reactor->io;

    for (uint32_t i = 0; i < EXPIRED_A_TURN; i++) {
        uint32_t slot_index = wheel_expire(&io->wheel, io->now_tick);

        if (slot_index == WHEEL_NONE)
            return;
        struct conn *conn = conn_at(io, slot_index);

        conn->flags &= ~CONN_TIMED;
        if (conn->flags & CONN_WAITS && !conn->tls && /* time in our line to begin: not its */
            conn->state < CONN_LEAVING)
            conn->wait_tick = io->now_tick;
        session_on_deadline(io, conn);
        if (conn->state >= CONN_LEAVING && !(conn->flags & CONN_RELEASED))
            continue; /* began to leave just now: the end of the turn sets its new deadline */
        if (conn->state == CONN_CLOSING)
            continue;
        if (session_is_quiet(io, conn))
            reactor_demote(reactor, conn);
        session_retime(io, conn);
    }
}

/* Who closes can wait: a thousand that go at once would hold up everybody for the time of a
 * thousand closes in the kernel. */
static void attend_to_marked(struct reactor *reactor)
{
    struct io *io = &reactor->io;
    struct conn *conn;

    while ((conn = conn_next_marked(io)) != NULL) {
        if (conn->state != CONN_CLOSING) {
            reactor_attend(reactor, conn);
            continue;
        }
        conn->flags |= CONN_MARKED; /* it stays so until its turn */
        conn->marked_next = reactor->closing_first;
        reactor->closing_first = conn->slot_index;
    }
    for (uint32_t i = 0; i < CLOSED_A_TURN && reactor->closing_first != MARKED_NONE; i++) {
        conn = conn_at(io, reactor->closing_first);
        reactor->closing_first = conn->marked_next;
        conn->flags &= ~CONN_MARKED;
        reactor_attend(reactor, conn);
    }
}

/* Shutting down: a bite of the connections each turn, then the farewell. */
static void drain(struct reactor *reactor)
{
    struct io *io = &reactor->io;

    reactor_stop_accepting(reactor);
    for (uint32_t i = 0; i < DRAIN_CONNS_A_TURN && reactor->drain_cursor < io->slot_count_max;) {
        if (!io->chunks[reactor->drain_cursor / LIMIT_CONN_CHUNK]) {
            reactor->drain_cursor += LIMIT_CONN_CHUNK;
            continue;
        }
        struct conn *conn = conn_at(io, reactor->drain_cursor++);
        if (conn->state == CONN_FREE)
            continue;
        session_drain(io, conn);
        i++;
    }
    if (reactor->drain_cursor >= io->slot_count_max && io_is_empty(io) &&
        io_detours_are_empty(io) && reactor->accept_count == 0)
        io->stopped = true;
}

/* -- waiting -- */

/* Does anybody wait to be read from? */
static bool has_lines(const struct reactor *reactor)
{
    return reactor->starved.count > 0 || reactor->hung_up.count > 0;
}

static bool has_work(const struct reactor *reactor)
{
    const struct io *io = &reactor->io;

    return io->marked_first != MARKED_NONE || reactor->closing_first != MARKED_NONE ||
           has_lines(reactor) || io->is_listing || secure_has_work(io) ||
           wheel_is_behind(&io->wheel, io->now_tick) || io_auth_has_work(io) || door_has_work(io) ||
           io_has_to_retime(io) || port_has_mail(io->port) ||
           (reactor->inline_shard && port_has_mail(reactor->inline_shard->port)) ||
           (io->draining && reactor->drain_cursor < io->slot_count_max);
}

static bool is_backlogged(const struct reactor *reactor)
{
    return !port_is_clear(reactor->io.port) ||
           (reactor->inline_shard && !port_is_clear(reactor->inline_shard->port));
}

/* Sleep in the kernel until a completion, a wake-up or the next timer. What our own sends and
 * closes bring at once is not worth waking up for: one completion more is. */
static void enter_and_wait(struct reactor *reactor)
{
    struct io *io = &reactor->io;
    uint32_t ticks = wheel_ticks_to_next(&io->wheel);
    uint64_t wait_ms = (uint64_t)min_u32(ticks, WHEEL_SLOTS) * WHEEL_TICK_MS;

    bool needs_ticks = secure_needs_ticks(io) || mem_is_tight(io->mem.budget) /* io_shed_step */
                       || reactor->accept_paused;
    if (needs_ticks)
        wait_ms = WHEEL_TICK_MS;
    struct __kernel_timespec timeout = {.tv_sec = (int64_t)(wait_ms / 1000),
                                        .tv_nsec = (int64_t)(wait_ms % 1000) * 1000000};
    struct io_uring_cqe *cqe;

    if (reactor->instant_count > 0 && wait_ms > 0)
        timeout = (struct __kernel_timespec){.tv_nsec = INSTANT_WAIT_NS};
    parker_prepare(reactor->parker);
    if (has_work(reactor)) { /* the second look: somebody pushed while we made up our mind */
        parker_cancel(reactor->parker);
        check_entered(io_uring_submit_and_get_events(&reactor->uring.kernel));
        return;
    }
    io_count(io, IO_STAT_SLEEPS, 1);
    check_entered(io_uring_submit_and_wait_timeout(
        &reactor->uring.kernel, &cqe, reactor->instant_count + 1,
        ticks == UINT32_MAX && reactor->instant_count == 0 && !needs_ticks ? NULL : &timeout,
        NULL));
    parker_cancel(reactor->parker);
}

static uint64_t read_clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* threads.spin: keep looking for that long before sleeping. Returns: has something come? */
static bool spin(struct reactor *reactor)
{
    uint32_t spin_us = reactor->io.config->spin_us;
    struct io_uring *kernel = &reactor->uring.kernel;

    if (spin_us == 0)
        return false;
    for (uint64_t end_us = read_clock_us() + spin_us; read_clock_us() < end_us;) {
        check_entered(io_uring_submit_and_get_events(kernel));
        if (io_uring_cq_ready(kernel) > 0 || has_work(reactor))
            return true;
    }
    return false;
}

static void enter_kernel(struct reactor *reactor)
{
    static const struct timespec moment = {.tv_nsec = BACKLOG_SLEEP_NS};

    bufgroup_publish(&reactor->uring.buffers);
    reactor->scratch_used = 0;
    if (is_backlogged(reactor)) { /* the other side does not say when there is room again */
        io_count(&reactor->io, IO_STAT_BACKLOGS, 1);
        check_entered(io_uring_submit_and_get_events(&reactor->uring.kernel));
        nanosleep(&moment, NULL);
    } else if (has_work(reactor)) {
        check_entered(io_uring_submit_and_get_events(&reactor->uring.kernel));
    } else if (!spin(reactor)) {
        enter_and_wait(reactor);
    }
    reactor->instant_count = 0;
}

static void run(struct reactor *reactor)
{
    struct io *io = &reactor->io;

    while (!io->stopped) {
        begin_turn(io);
        io_count(io, IO_STAT_TURNS, 1);
        reap(reactor);
        (void)exchange_mail(reactor);
        if (wheel_is_behind(&io->wheel, io->now_tick))
            expire_timers(reactor);
        if (io->draining)
            drain(reactor);
        else
            reactor_accept(reactor);
        io_list_step(io);
        io_detour_step(io);
        io_shed_step(io);
        secure_step(io);
        if (io_auth_has_work(io))
            io_auth_judge_step(io);
        if (door_has_work(io))
            door_step(io);
        io_retime_step(io);
        if (has_lines(reactor) && port_is_clear(io->port)) /* else buffers stay taken */
            reactor_serve_lines(reactor);
        attend_to_marked(reactor);
        io_report_step(io);
        (void)port_flush(io->port); /* is_backlogged asks again */
        if (!io->stopped)
            enter_kernel(reactor);
    }
}

/* -- the thread -- */

static enum status start(struct reactor *reactor)
{
    const struct config *config = reactor->io.config;
    struct uring_options options = {.sqe_count = SQE_COUNT,
                                    .cqe_count = CQE_COUNT,
                                    .file_count = reactor->io.slot_count_max,
                                    .buffer_count = config->recv_buffer_count,
                                    .buffer_bytes = config->recv_buffer_bytes};
    enum status status = uring_init(&reactor->uring, &options, reactor->error);

    if (status != STATUS_OK)
        return status;
    reactor->scratch = reactor_scratch_new(&reactor->io.mem);
    mem_count(&reactor->io.mem, MEM_RECEIVE, (int64_t)reactor->uring.buffers.mapped_bytes);
    reactor->knows_peer_addresses = reactor_probe_peer_address(reactor);
    if (!reactor->knows_peer_addresses)
        log_event(LOG_LEVEL_WARNING, "io.no_peer_addresses",
                  "this kernel cannot tell the address behind a direct descriptor (needs 6.7)");
    reactor_arm_wake(reactor);
    return STATUS_OK;
}

/* Our connections are gone; the shard in our turn still serves the other I/O actors. */
static void linger(struct reactor *reactor)
{
    static const struct timespec moment = {.tv_nsec = 1000000};

    while (!reactor_drop_mail(reactor)) {
        uint32_t count = 0;

        if (reactor->inline_shard) {
            count = shard_turn(reactor->inline_shard);
            (void)port_flush(reactor->inline_shard->port);
        }
        if (count == 0)
            nanosleep(&moment, NULL);
    }
}

void *reactor_main(void *argument)
{
    struct reactor *reactor = argument;
    struct mesh *mesh = reactor->io.port->mesh;

    log_attach(reactor->log_lane);
    if (start(reactor) != STATUS_OK) {
        reactor->failed = true;
        sem_post(reactor->started);
        return NULL;
    }
    sem_post(reactor->started);
    secure_start(&reactor->io);
    run(reactor);

    port_push(reactor->io.port, mesh_control_index(mesh),
              (struct envelope){.kind = ENVELOPE_STOPPED});
    while (!port_flush(reactor->io.port))
        sched_yield();
    linger(reactor);
    secure_stop(&reactor->io);
    line_deinit(&reactor->starved, &reactor->io.mem);
    line_deinit(&reactor->hung_up, &reactor->io.mem);
    reactor_scratch_free(&reactor->io.mem, reactor->scratch);
    mem_count(&reactor->io.mem, MEM_RECEIVE, -(int64_t)reactor->uring.buffers.mapped_bytes);
    uring_deinit(&reactor->uring);
    return NULL;
}
