/* tests/sim/kernel.c — see tests/sim/kernel.h. Thread: one. */
#include "tests/sim/kernel.h"

#include "net/session.h"
#include "tests/sim/journal.h"
#include "tests/sim/model.h"

static void set_op(struct conn *conn, enum conn_op op)
{
    must(!(conn->ops & OP_BIT(op)));
    conn->ops |= OP_BIT(op);
}

static void clear_op(struct conn *conn, enum conn_op op)
{
    must(conn->ops & OP_BIT(op));
    conn->ops &= (uint8_t)~OP_BIT(op);
}

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
    link->fed_tick = sim->world.now_tick;
    sim->links_by_slot[link->io_index][slot] = link;
    session_open(io, conn);
    set_op(conn, OP_RECV);
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
    link->fed_tick = sim->world.now_tick;
    link->is_pinged = false;
    session_input(io, conn, link->to_broker.data + link->to_broker.start, count);

    if (dice_percent(&sim->dice, 5)) { /* no buffers: the multishot ends, and is armed again */
        clear_op(conn, OP_RECV);
        conn_mark(io, conn);
    }
    bool lost = counter_read(&io->stats[IO_STAT_DROPPED_MEMORY]) != lost_before;
    link_fed(sim, link, count, heard, conn->state == CONN_LIVE && !lost);
}

/* A quiet connection wakes: from now on it is read from, for a while. */
static void wake(struct sim *sim, struct link *link, struct conn *conn)
{
    journal_note("link %u: is busy again", link->index);
    clear_op(conn, OP_POLL);
    if (conn->state == CONN_CLOSING) {
        conn_mark(io_of(sim, link), conn);
        return;
    }
    set_op(conn, OP_RECV);
    conn->last_input_tick = io_of(sim, link)->now_tick;
    session_retime(io_of(sim, link), conn);
}

static void receive(struct sim *sim, struct link *link, struct conn *conn)
{
    struct io *io = io_of(sim, link);

    if (conn->ops & OP_BIT(OP_POLL)) {
        wake(sim, link, conn);
    } else if (link->has_aborted) {
        journal_note("link %u: reset", link->index);
        link->is_eof_fed = true;
        clear_op(conn, OP_RECV);
        if (conn->state != CONN_CLOSING)
            conn_close(io, conn, CLOSE_PEER);
    } else if (link_waiting_bytes(link) > 0) {
        receive_data(sim, link, conn);
    } else {
        journal_note("link %u: end of stream", link->index);
        link->is_eof_fed = true;
        clear_op(conn, OP_RECV);
        session_eof(io, conn);
    }
}

/* -- sending -- */

static void flush(struct sim *sim, struct link *link, struct conn *conn)
{
    struct io *io = io_of(sim, link);

    if (conn->ops & (OP_BIT(OP_SEND) | OP_BIT(OP_WRITABLE)) || conn->out.queued_bytes == 0)
        return;
    uint32_t count = outq_gather(&conn->out, link->in_flight, LIMIT_SEND_SEGMENTS);

    must(count > 0);
    set_op(conn, OP_SEND);
    io_count(io, IO_STAT_SENDS, 1);
    sim->in_flight_bytes[link->index] = conn->out.in_flight_bytes;
    model_offered(sim, link, link->in_flight, count);
}

/* How much of the send the socket took: nothing of it, a part, all. */
static uint32_t taken_bytes(struct sim *sim, const struct link *link, uint32_t in_flight_bytes)
{
    uint32_t most = min_u32(in_flight_bytes, link->window_bytes);

    if (link->has_aborted)
        return 0;
    if (link->is_cancelled || (sim->scenario.short_sends && dice_percent(&sim->dice, 30)))
        return dice_between(&sim->dice, 0, most);
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
    uint32_t count = taken_bytes(sim, link, in_flight_bytes);

    expect(in_flight_bytes == sim->in_flight_bytes[link->index],
           "link %u: %u bytes are in flight, but %u were sent", link->index, in_flight_bytes,
           sim->in_flight_bytes[link->index]);
    clear_op(conn, OP_SEND);
    journal_note("link %u: io %u sent %u of %u bytes", link->index, link->io_index, count,
                 in_flight_bytes);
    link->window_bytes -= count;
    carry(sim, link, count);
    io_count(io, IO_STAT_BYTES_OUT, count);
    outq_sent(&conn->out, &io->mem, count);
    if (count > 0)
        session_taken(io, conn);
    if (conn->state == CONN_CLOSING) {
        conn_mark(io, conn);
    } else if (link->has_aborted) {
        conn_close(io, conn, CLOSE_PEER);
    } else if (count < in_flight_bytes) { /* the rest when the socket is writable again */
        set_op(conn, OP_WRITABLE);
    } else {
        if (conn->out.queued_bytes == 0)
            conn->flags &= ~CONN_SLOW;
        if (conn->out.queued_bytes > 0 || conn->state == CONN_LEAVING)
            conn_mark(io, conn);
    }
}

/* -- the end of a connection: as net/completions.c -- */

static void release(struct sim *sim, struct link *link, struct conn *conn)
{
    if (!(conn->flags & CONN_RELEASED))
        model_ended(sim, link, conn);
    session_release(io_of(sim, link), conn);
}

static void listen_to(struct io *io, struct conn *conn)
{
    if (conn->ops & (OP_BIT(OP_RECV) | OP_BIT(OP_POLL)) || conn->flags & CONN_EOF)
        return;
    set_op(conn, OP_RECV);
    if (conn->state == CONN_LIVE)
        session_retime(io, conn);
}

static void attend_leaving(struct sim *sim, struct link *link, struct conn *conn)
{
    struct io *io = io_of(sim, link);

    if (!(conn->flags & CONN_RELEASED)) {
        release(sim, link, conn);
        session_retime(io, conn);
    }
    flush(sim, link, conn);
    listen_to(io, conn);
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

void kernel_attend(struct sim *sim, struct conn *conn, uint32_t io_index)
{
    struct link *link = sim->links_by_slot[io_index][conn->slot_index];

    must(link);
    model_watch(sim, link, conn);
    if (conn->state == CONN_LEAVING) {
        attend_leaving(sim, link, conn);
    } else if (conn->state == CONN_CLOSING) {
        attend_closing(sim, link, conn);
    } else {
        must(conn->state != CONN_FREE);
        listen_to(io_of(sim, link), conn);
        flush(sim, link, conn);
    }
}

static void complete_close(struct sim *sim, struct link *link)
{
    struct io *io = io_of(sim, link);
    struct conn *conn = kernel_conn(sim, link);

    if (conn->flags & CONN_TIMED)
        wheel_remove(&io->wheel, conn->slot_index);
    conn->flags &= ~CONN_TIMED;
    journal_note("link %u: closed, %s", link->index,
                 close_reason_name((enum close_reason)conn->close_reason));
    conn_free(io, conn);
    sim->links_by_slot[link->io_index][link->slot_index] = NULL;
    link->is_accepted = false;
    link->phase = LINK_FREE;
}

/* -- completions -- */

#define WAITING_OPS (OP_BIT(OP_RECV) | OP_BIT(OP_POLL) | OP_BIT(OP_WRITABLE))

/* A cancelled receive or poll comes home. */
static void complete_cancel(struct sim *sim, struct link *link, struct conn *conn)
{
    clear_op(conn, conn->ops & OP_BIT(OP_RECV)   ? OP_RECV
                   : conn->ops & OP_BIT(OP_POLL) ? OP_POLL
                                                 : OP_WRITABLE);
    conn_mark(io_of(sim, link), conn);
}

/* There is room in the socket again. */
static void complete_writable(struct sim *sim, struct link *link, struct conn *conn)
{
    clear_op(conn, OP_WRITABLE);
    conn_mark(io_of(sim, link), conn);
}

/* What could have happened to a socket by now, one of each. */
enum event {
    EVENT_NONE,
    EVENT_ACCEPT,
    EVENT_RECEIVE,
    EVENT_SEND,
    EVENT_WRITABLE,
    EVENT_CANCEL,
    EVENT_CLOSE
};

static bool can_receive(const struct link *link, const struct conn *conn)
{
    bool has_input = link_waiting_bytes(link) > 0 || link->has_closed || link->has_aborted;

    return has_input && !link->is_eof_fed && conn->state != CONN_CLOSING &&
           conn->ops & (OP_BIT(OP_RECV) | OP_BIT(OP_POLL));
}

/* @prefers_send: which, when both could be. */
static enum event next_event(const struct sim *sim, const struct link *link, bool prefers_send)
{
    if (link->phase == LINK_FREE)
        return EVENT_NONE;
    const struct conn *conn = kernel_conn(sim, link);

    if (!conn)
        return EVENT_ACCEPT;
    if (link->is_closing)
        return EVENT_CLOSE;
    if (link->is_cancelled && conn->ops & WAITING_OPS)
        return EVENT_CANCEL;
    bool receives = can_receive(link, conn);
    bool has_room = link->window_bytes > 0 || link->has_aborted;

    if (conn->ops & OP_BIT(OP_SEND) && (prefers_send || !receives))
        return EVENT_SEND;
    if (conn->ops & OP_BIT(OP_WRITABLE) && has_room && (prefers_send || !receives))
        return EVENT_WRITABLE;
    return receives ? EVENT_RECEIVE : EVENT_NONE;
}

bool kernel_complete(struct sim *sim, struct link *link)
{
    switch (next_event(sim, link, dice_percent(&sim->dice, 50))) {
    case EVENT_NONE:
        return false;
    case EVENT_ACCEPT:
        accept_link(sim, link);
        return true;
    case EVENT_RECEIVE:
        receive(sim, link, kernel_conn(sim, link));
        return true;
    case EVENT_SEND:
        complete_send(sim, link);
        return true;
    case EVENT_WRITABLE:
        complete_writable(sim, link, kernel_conn(sim, link));
        return true;
    case EVENT_CANCEL:
        complete_cancel(sim, link, kernel_conn(sim, link));
        return true;
    case EVENT_CLOSE:
        complete_close(sim, link);
        return true;
    }
    must_never("an unknown event");
}

bool kernel_has_completions(const struct sim *sim, uint32_t io_index)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        if (sim->links[i].io_index == io_index &&
            next_event(sim, &sim->links[i], true) != EVENT_NONE)
            return true;
    return false;
}

/* The reactor trades the receive of a connection that has been quiet for a poll. */
void kernel_demote(struct sim *sim, struct conn *conn)
{
    if (dice_percent(&sim->dice, 50) || conn->flags & CONN_EOF)
        return;
    clear_op(conn, OP_RECV);
    set_op(conn, OP_POLL);
}
