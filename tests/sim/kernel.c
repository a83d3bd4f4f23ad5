/* tests/sim/kernel.c — see tests/sim/kernel.h. Thread: one. */
#include "tests/sim/kernel.h"

#include "net/session.h"
#include "tests/sim/journal.h"
#include "tests/sim/model.h"

#define MAIL_ROUNDS_MAX 4u /* as net/reactor.c */
#define QUIET_TICKS     4u /* as net/reactor.c: a timer that only looks */

static struct io *io_of(const struct sim *sim, const struct link *link)
{
    return &sim->world.ios[link->io_index];
}

struct conn *kernel_conn(const struct sim *sim, const struct link *link)
{
    return link->is_accepted ? conn_at(io_of(sim, link), link->slot_index) : NULL;
}

bool kernel_is_live(const struct sim *sim, const struct link *link)
{
    const struct conn *conn = kernel_conn(sim, link);

    return conn && conn->state == CONN_LIVE;
}

void kernel_dial(struct sim *sim, struct link *link, uint32_t io_index)
{
    must(io_index < sim->scenario.io_count);
    link->io_index = (uint8_t)io_index;
}

/* -- accepting -- */

/* A free descriptor, or UINT32_MAX. */
static uint32_t pick_slot(struct sim *sim, uint32_t io_index)
{
    uint32_t slot_count = sim->scenario.slot_count_max;
    uint32_t first = dice_below(&sim->dice, slot_count);

    for (uint32_t i = 0; i < slot_count; i++) {
        uint32_t slot = (first + i) % slot_count;

        if (!sim->links_by_slot[io_index][slot])
            return slot;
    }
    return UINT32_MAX;
}

/* The broker closed the descriptor at once. */
static void refuse(struct sim *sim, struct link *link, const char *why)
{
    journal_note("link %u: refused at accept, %s", link->index, why);
    model_refused(sim, link);
    link->phase = LINK_FREE;
}

static void accept_link(struct sim *sim, struct link *link)
{
    struct io *io = io_of(sim, link);

    io_count(io, IO_STAT_ACCEPTED, 1);
    if (io->draining) {
        refuse(sim, link, "draining");
        return;
    }
    if (!quota_take(&io->quotas->handshakes)) {
        io_count(io, IO_STAT_REFUSED_HANDSHAKES, 1);
        refuse(sim, link, "too many handshakes");
        return;
    }
    uint32_t slot = pick_slot(sim, link->io_index);
    must(slot != UINT32_MAX); /* more slots than links */
    struct conn *conn = conn_open(io, slot, 0);

    if (!conn) {
        io_count(io, IO_STAT_REFUSED_MEMORY, 1);
        quota_give(&io->quotas->handshakes);
        refuse(sim, link, "no memory");
        return;
    }
    link->is_accepted = true;
    link->slot_index = slot;
    link->accept_tick = link->last_fed_tick = io->now_tick;
    sim->links_by_slot[link->io_index][slot] = link;
    session_open(io, conn);
    journal_note("link %u: accepted by io %u in slot %u", link->index, link->io_index, slot);
}

/* -- receiving -- */

static uint32_t cut(struct sim *sim, uint32_t waiting_bytes)
{
    uint32_t most = min_u32(waiting_bytes, 4096); /* a receive buffer */

    switch (dice_below(&sim->dice, 8)) {
    case 0:
        return dice_between(&sim->dice, 1, min_u32(4, most));
    case 1:
    case 2:
        return dice_between(&sim->dice, 1, most);
    default:
        return most;
    }
}

static void receive_data(struct sim *sim, struct link *link, struct conn *conn)
{
    struct io *io = io_of(sim, link);
    uint32_t count = cut(sim, link_waiting_bytes(link));
    bool heard = conn->state < CONN_LEAVING;
    uint64_t lost_before = counter_read(&io->stats[IO_STAT_DROPPED_MEMORY]);

    journal_note("link %u: io %u receives %u of %u bytes", link->index, link->io_index, count,
                 link_waiting_bytes(link));
    io_count(io, IO_STAT_RECEIVES, 1);
    io_count(io, IO_STAT_BYTES_IN, count);
    link->last_fed_tick = io->now_tick;
    session_input(io, conn, span_of(link->to_broker.data + link->to_broker.start, count));

    bool lost = counter_read(&io->stats[IO_STAT_DROPPED_MEMORY]) != lost_before;
    link_fed(sim, link, count, heard, conn->state == CONN_LIVE && !lost);
}

static void receive(struct sim *sim, struct link *link)
{
    struct io *io = io_of(sim, link);
    struct conn *conn = kernel_conn(sim, link);

    if (link->has_aborted) {
        journal_note("link %u: reset", link->index);
        link->is_eof_fed = true;
        if (conn->state != CONN_CLOSING)
            conn_close(io, conn, CLOSE_PEER);
    } else if (link_waiting_bytes(link) > 0) {
        receive_data(sim, link, conn);
    } else {
        journal_note("link %u: end of stream", link->index);
        link->is_eof_fed = true;
        session_eof(io, conn);
    }
}

/* -- sending -- */

static void flush(struct sim *sim, struct link *link, struct conn *conn)
{
    struct io *io = io_of(sim, link);

    if (conn->ops & OP_BIT(OP_SEND) || conn->out.queued_bytes == 0)
        return;
    uint32_t count = outq_gather(&conn->out, link->in_flight, LIMIT_SEND_SEGMENTS);

    must(count > 0);
    conn->ops |= OP_BIT(OP_SEND);
    io_count(io, IO_STAT_SENDS, 1);
    sim->in_flight_bytes[link->index] = conn->out.in_flight_bytes;
}

/* How much of the send the peer's kernel took. */
static uint32_t taken_bytes(struct sim *sim, const struct link *link, uint32_t in_flight_bytes)
{
    uint32_t most = min_u32(in_flight_bytes, link->window_bytes);

    if (link->is_cancelled)
        return dice_between(&sim->dice, 0, most);
    if (sim->scenario.short_sends && dice_percent(&sim->dice, 30))
        return dice_between(&sim->dice, 1, most);
    return most;
}

/* Hand the client what was sent, piece by piece as it lies in the queue. */
static void carry(struct sim *sim, struct link *link, uint32_t count)
{
    for (uint32_t i = 0; count > 0; i++) {
        uint32_t step = min_u32(count, (uint32_t)link->in_flight[i].iov_len);

        link_read(sim, link, span_of(link->in_flight[i].iov_base, step));
        count -= step;
    }
}

static void complete_send(struct sim *sim, struct link *link)
{
    struct io *io = io_of(sim, link);
    struct conn *conn = kernel_conn(sim, link);
    uint32_t in_flight_bytes = conn->out.in_flight_bytes;
    uint32_t count = link->has_aborted ? 0 : taken_bytes(sim, link, in_flight_bytes);

    expect(in_flight_bytes == sim->in_flight_bytes[link->index],
           "link %u: %u bytes are in flight, but %u were sent", link->index, in_flight_bytes,
           sim->in_flight_bytes[link->index]);
    conn->ops &= (uint8_t)~OP_BIT(OP_SEND);
    journal_note("link %u: io %u sent %u of %u bytes", link->index, link->io_index, count,
                 in_flight_bytes);
    if (count == 0) { /* an error: the peer has gone, or we cancelled it */
        conn->out.in_flight_bytes = 0;
        if (conn->state != CONN_CLOSING)
            conn_close(io, conn, CLOSE_PEER);
    } else {
        link->window_bytes -= count;
        carry(sim, link, count);
        io_count(io, IO_STAT_BYTES_OUT, count);
        outq_sent(&conn->out, &io->mem, count);
        if (conn->out.queued_bytes == 0)
            conn->flags &= (uint16_t)~CONN_SLOW;
        if (conn->out.queued_bytes > 0 || conn->state == CONN_LEAVING)
            conn_mark(io, conn);
    }
    if (conn->state == CONN_CLOSING)
        conn_mark(io, conn);
}

/* -- the end of a connection: as net/completions.c -- */

static void retime(struct io *io, struct conn *conn, uint32_t deadline_tick)
{
    if (conn->flags & CONN_TIMED)
        wheel_remove(&io->wheel, conn->slot_index);
    conn->flags |= CONN_TIMED;
    wheel_add(&io->wheel, conn->slot_index, deadline_tick);
}

static void release(struct sim *sim, struct link *link, struct conn *conn)
{
    if (!(conn->flags & CONN_RELEASED))
        model_ended(sim, link, (enum close_reason)conn->close_reason);
    session_release(io_of(sim, link), conn);
}

static void attend_leaving(struct sim *sim, struct link *link, struct conn *conn)
{
    struct io *io = io_of(sim, link);

    if (!(conn->flags & CONN_RELEASED)) {
        release(sim, link, conn);
        retime(io, conn, session_deadline(io, conn));
    }
    flush(sim, link, conn);
    if (conn->out.queued_bytes > 0)
        return; /* its completion marks it again */
    if (conn->flags & CONN_EOF || conn->close_reason == CLOSE_DISCONNECT) {
        conn_close(io, conn, (enum close_reason)conn->close_reason);
    } else if (!(conn->flags & CONN_HALF_CLOSED)) {
        conn->flags |= CONN_HALF_CLOSED;
        link->broker_finished = true;
    }
}

static void attend_closing(struct sim *sim, struct link *link, struct conn *conn)
{
    release(sim, link, conn);
    if (conn->ops == 0)
        link->is_closing = true;
    else
        link->is_cancelled = true;
}

static void attend(struct sim *sim, struct link *link, struct conn *conn)
{
    if (conn->state == CONN_LEAVING) {
        attend_leaving(sim, link, conn);
    } else if (conn->state == CONN_CLOSING) {
        attend_closing(sim, link, conn);
    } else {
        must(conn->state != CONN_FREE);
        flush(sim, link, conn);
    }
}

static void complete_close(struct sim *sim, struct link *link)
{
    struct io *io = io_of(sim, link);
    struct conn *conn = kernel_conn(sim, link);

    if (conn->flags & CONN_TIMED)
        wheel_remove(&io->wheel, conn->slot_index);
    conn->flags &= (uint16_t)~CONN_TIMED;
    journal_note("link %u: closed, %s", link->index,
                 close_reason_name((enum close_reason)conn->close_reason));
    conn_free(io, conn);
    sim->links_by_slot[link->io_index][link->slot_index] = NULL;
    link->is_accepted = false;
    link->phase = LINK_FREE;
}

/* -- completions -- */

/* What could have happened to this socket by now? At most one thing at a time is asked for. */
static bool has_completion(const struct sim *sim, const struct link *link)
{
    if (link->phase == LINK_FREE)
        return false;
    const struct conn *conn = kernel_conn(sim, link);

    if (!conn || link->is_closing)
        return true; /* an accept, or a close */
    if (conn->ops & OP_BIT(OP_SEND) &&
        (link->window_bytes > 0 || link->has_aborted || link->is_cancelled))
        return true;
    bool has_input = link_waiting_bytes(link) > 0 || link->has_closed || link->has_aborted;

    return has_input && !link->is_eof_fed && conn->state != CONN_CLOSING;
}

static void complete_one(struct sim *sim, struct link *link)
{
    struct conn *conn = kernel_conn(sim, link);

    if (!conn) {
        accept_link(sim, link);
        return;
    }
    if (link->is_closing) {
        complete_close(sim, link);
        return;
    }
    bool can_send = conn->ops & OP_BIT(OP_SEND) &&
                    (link->window_bytes > 0 || link->has_aborted || link->is_cancelled);
    bool can_receive = conn->state != CONN_CLOSING && !link->is_eof_fed &&
                       (link_waiting_bytes(link) > 0 || link->has_closed || link->has_aborted);

    if (can_send && (!can_receive || dice_percent(&sim->dice, 50)))
        complete_send(sim, link);
    else if (can_receive)
        receive(sim, link);
}

/* Completions in any order. A lane that is full holds us up here, as in net/reactor.c. */
static uint32_t reap(struct sim *sim, uint32_t io_index, uint32_t percent)
{
    struct io *io = &sim->world.ios[io_index];
    uint32_t first = dice_below(&sim->dice, LINKS_MAX);
    uint32_t count = 0;

    for (uint32_t i = 0; i < LINKS_MAX && port_is_clear(io->port); i++) {
        struct link *link = &sim->links[(first + i) % LINKS_MAX];

        if (link->phase == LINK_FREE || link->io_index != io_index)
            continue;
        for (uint32_t n = 0; n < 4 && has_completion(sim, link) && port_is_clear(io->port) &&
                             dice_percent(&sim->dice, percent);
             n++) {
            complete_one(sim, link);
            count++;
        }
    }
    return count;
}

/* -- the turn -- */

static uint32_t exchange_mail(struct sim *sim, uint32_t io_index)
{
    struct io *io = &sim->world.ios[io_index];
    struct shard *shard = sim->scenario.inline_shards ? &sim->world.shards[io_index] : NULL;
    uint32_t total_count = 0;

    for (uint32_t round = 0; round < MAIL_ROUNDS_MAX; round++) {
        uint32_t count = 0;

        if (shard) {
            count += shard_turn(shard);
            (void)port_flush(shard->port);
        }
        count += io_drain_lanes(io);
        total_count += count;
        if (count == 0 || !shard)
            break;
    }
    return total_count;
}

static void expire_timers(struct sim *sim, struct io *io)
{
    uint32_t slot_index;

    while ((slot_index = wheel_expire(&io->wheel, io->now_tick)) != WHEEL_NONE) {
        struct conn *conn = conn_at(io, slot_index);

        conn->flags &= (uint16_t)~CONN_TIMED;
        session_on_deadline(io, conn);
        if (conn->state == CONN_CLOSING)
            continue;
        uint32_t next_tick = session_deadline(io, conn);

        if (conn->state == CONN_LIVE && dice_percent(&sim->dice, 50))
            next_tick = io->now_tick + QUIET_TICKS; /* looks, and does nothing before its time */
        conn->flags |= CONN_TIMED;
        wheel_add(&io->wheel, slot_index, next_tick);
    }
}

/* Shutting down: say goodbye to everybody, then be stopped when all are gone. */
static void drain(struct sim *sim, uint32_t io_index)
{
    struct io *io = &sim->world.ios[io_index];

    for (uint32_t slot = 0; slot < sim->scenario.slot_count_max; slot++)
        if (sim->links_by_slot[io_index][slot])
            session_drain(io, conn_at(io, slot));
    if (io_is_empty(io))
        io->stopped = true;
}

static void attend_to_marked(struct sim *sim, uint32_t io_index)
{
    struct io *io = &sim->world.ios[io_index];
    struct conn *conn;

    while ((conn = conn_next_marked(io)) != NULL) {
        struct link *link = sim->links_by_slot[io_index][conn->slot_index];

        must(link);
        model_watch(sim, link, conn);
        attend(sim, link, conn);
    }
}

static bool may_run(const struct sim *sim, const struct io *io)
{
    bool shard_clear =
        !sim->scenario.inline_shards || port_is_clear(sim->world.shards[io->io_index].port);

    return !world_is_asleep(&sim->world, io->io_index) || !port_is_clear(io->port) ||
           !shard_clear || sim->world.now_tick != io->now_tick;
}

/* Did a completion wake the I/O actor? Then its turn begins by itself. */
static bool has_completions(const struct sim *sim, uint32_t io_index)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        if (sim->links[i].phase != LINK_FREE && sim->links[i].io_index == io_index &&
            has_completion(sim, &sim->links[i]))
            return true;
    return false;
}

static bool has_mail(const struct sim *sim, const struct io *io)
{
    return port_has_mail(io->port) ||
           (sim->scenario.inline_shards && port_has_mail(sim->world.shards[io->io_index].port));
}

uint32_t kernel_turn(struct sim *sim, uint32_t io_index, uint32_t percent)
{
    struct io *io = &sim->world.ios[io_index];
    struct parker *parker = sim->world.parkers[io_index];
    bool is_woken = has_completions(sim, io_index) && dice_percent(&sim->dice, percent);

    if (!may_run(sim, io) && !is_woken)
        return 0;
    parker_cancel(parker);
    io->now_tick = sim->world.now_tick;
    uint32_t count = reap(sim, io_index, percent) + exchange_mail(sim, io_index);

    if (io->now_tick != io->wheel.now_tick)
        expire_timers(sim, io);
    if (io->draining)
        drain(sim, io_index);
    io_list_step(io);
    attend_to_marked(sim, io_index);
    (void)port_flush(io->port); /* reap asks again */
    if (count == 0) {
        parker_prepare(parker);
        if (has_mail(sim, io) || io->is_listing)
            parker_cancel(parker);
    }
    return count;
}

bool kernel_is_quiet(const struct sim *sim, uint32_t io_index)
{
    return !has_completions(sim, io_index);
}
