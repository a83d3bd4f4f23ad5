/*
 * net/completions.c — requests to the kernel, and a row for each kind of answer.
 *
 * Thread: the I/O thread. user_data is operation, generation and slot. A slot is not given out
 * again before every operation on it has come home, so a stale completion, or a second one of a
 * request that has ended, would be a bug of the kernel or ours; it is counted and ignored.
 */
#include "net/completions.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/msg.h"
#include "net/door.h"
#include "net/secure.h"
#include "net/session.h"

#define SCRATCH_COUNT     128u
#define INSTANT_BYTES_MAX 4096u
#define ACCEPTS_ARMED     32u /* of each listener: no more come in a turn, half a millisecond */
#define HUNG_UP_A_TURN    32u /* read from, to find the end: some 25 us each until all is closed */
#define SCARCE_TICKS      2u  /* after there was a line for buffers */
#define ACCEPT_TICKS      2u  /* after a failed accept, until the next; half of them on average */

struct send_scratch {
    struct msghdr header;
    struct iovec iovecs[LIMIT_SEND_SEGMENTS];
};

struct send_scratch *reactor_scratch_new(struct mem *mem)
{
    return mem_alloc_always(mem, MEM_RECEIVE, sizeof(struct send_scratch) * SCRATCH_COUNT);
}

void reactor_scratch_free(struct mem *mem, struct send_scratch *scratch)
{
    mem_free(mem, MEM_RECEIVE, scratch, sizeof(struct send_scratch) * SCRATCH_COUNT);
}

/* -- requests -- */

static uint64_t user_data_of(enum conn_op op, uint16_t generation, uint32_t slot_index)
{
    return (uint64_t)op << 56 | (uint64_t)generation << 32 | slot_index;
}

static struct io_uring_sqe *next_sqe(struct reactor *reactor)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&reactor->uring.kernel);

    if (sqe)
        return sqe;
    (void)io_uring_submit(&reactor->uring.kernel); /* full: this turn needs a second entry */
    reactor->scratch_used = 0;
    sqe = io_uring_get_sqe(&reactor->uring.kernel);
    must(sqe);
    return sqe;
}

/* Mark the request as the connection's: it is in the kernel's hands until its last completion. */
static void own(struct conn *conn, struct io_uring_sqe *sqe, enum conn_op op)
{
    must(!(conn->ops & OP_BIT(op)));
    conn->ops |= OP_BIT(op);
    io_uring_sqe_set_data64(sqe, user_data_of(op, conn->generation, conn->slot_index));
}

/* Each receive of a TLS handshake is work for many turns of those who are in: one at a time, with a
 * poll and perhaps a wait in between (net/turns.h). So handshakes do not use up the buffers either.
 */
static bool takes_steps(const struct conn *conn)
{
    return conn->flags & CONN_TLS && !(conn->flags & CONN_SECURED) && conn->state < CONN_LEAVING;
}

/* -- lines: when there are too few receive buffers, and when many hang up -- */

/* A multishot receive takes all that its socket has, up to 32 buffers at once: eight clients with a
 * lot to say would leave none for a hundred with a line. Who finds none stands in line. While that
 * does not empty within a turn, a connection gets one buffer a turn. */
static bool is_scarce(const struct reactor *reactor)
{
    return reactor->io.now_tick - reactor->scarce_tick < SCARCE_TICKS;
}

/* false: it has no need to stand in line, or there is no memory for it. */
static bool stand_in_line(struct reactor *reactor, struct line *line, struct conn *conn)
{
    struct io *io = &reactor->io;

    if (conn->state >= CONN_LEAVING || conn->flags & CONN_WAITS)
        return false;
    if (!line_push(line, &io->mem, (struct line_place){.conn = conn_handle_of(io, conn)}))
        return false;
    conn->flags |= CONN_WAITS;
    return true;
}

/* The first of the line are read from at the end of this turn. */
static void serve_line(struct reactor *reactor, struct line *line, uint32_t count_max)
{
    struct io *io = &reactor->io;
    struct conn_handle handle;

    for (uint32_t i = 0; i < count_max && line_pop(line, &io->mem, &handle); i++) {
        struct conn *conn = conn_find(io, handle);

        if (!conn || !(conn->flags & CONN_WAITS))
            continue;
        conn->flags &= ~CONN_WAITS;
        conn_mark(io, conn);
    }
}

void reactor_serve_lines(struct reactor *reactor)
{
    serve_line(reactor, &reactor->starved, reactor->uring.buffers.buffer_count / 2);
    if (reactor->starved.count > 0)
        reactor->scarce_tick = reactor->io.now_tick;
    serve_line(reactor, &reactor->hung_up, HUNG_UP_A_TURN);
}

/* -- reading -- */

static void arm_recv(struct reactor *reactor, struct conn *conn)
{
    struct io_uring_sqe *sqe = next_sqe(reactor);

    if (takes_steps(conn) || is_scarce(reactor))
        io_uring_prep_recv(sqe, (int)conn->slot_index, NULL, 0, 0);
    else
        io_uring_prep_recv_multishot(sqe, (int)conn->slot_index, NULL, 0, 0);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    own(conn, sqe, OP_RECV);
}

static void arm_poll(struct reactor *reactor, struct conn *conn)
{
    struct io_uring_sqe *sqe = next_sqe(reactor);

    io_uring_prep_poll_add(sqe, (int)conn->slot_index, POLLIN | POLLRDHUP);
    sqe->flags |= IOSQE_FIXED_FILE;
    own(conn, sqe, OP_POLL);
}

static void arm_writable(struct reactor *reactor, struct conn *conn)
{
    struct io_uring_sqe *sqe = next_sqe(reactor);

    io_uring_prep_poll_add(sqe, (int)conn->slot_index, POLLOUT);
    sqe->flags |= IOSQE_FIXED_FILE;
    own(conn, sqe, OP_WRITABLE);
}

static void ask_peer(struct reactor *reactor, struct conn *conn)
{
    struct io_uring_sqe *sqe = next_sqe(reactor);

    /* getsockopt(SOL_SOCKET, SO_PEERNAME) as a uring command; liburing 2.3 has no name for the
     * fields: level and optname share addr, optlen lies in file_index, optval in addr3. */
    io_uring_prep_rw(IORING_OP_URING_CMD, sqe, (int)conn->slot_index, NULL, 0,
                     SOCKET_URING_OP_GETSOCKOPT);
    sqe->addr = (uint64_t)SO_PEERNAME << 32 | SOL_SOCKET;
    sqe->file_index = reactor->listeners[conn->listener_index].address_bytes; /* exactly */
    sqe->addr3 = (uintptr_t)conn->peer_pending;
    sqe->flags |= IOSQE_FIXED_FILE;
    own(conn, sqe, OP_PEER); /* not counted as instant: reading waits for it */
}

/* Cancel what may stay in the kernel for long: the wait for input, then that for output. Each once,
 * and by its user_data: a cancel by descriptor would make the kernel look at every request of the
 * uring. A shutdown and the question for the peer's address end by themselves. */
static void cancel_one(struct reactor *reactor, struct conn *conn)
{
    bool input = conn->ops & (OP_BIT(OP_POLL) | OP_BIT(OP_RECV)) && !(conn->flags & CONN_NO_INPUT);
    bool output = conn->ops & OP_BIT(OP_WRITABLE) && !(conn->flags & CONN_NO_OUTPUT);
    enum conn_op op = !input ? OP_WRITABLE : conn->ops & OP_BIT(OP_RECV) ? OP_RECV : OP_POLL;
    if (!input && !output)
        return;
    struct io_uring_sqe *sqe = next_sqe(reactor);

    conn->flags |= input ? CONN_NO_INPUT : CONN_NO_OUTPUT;
    io_uring_prep_cancel64(sqe, user_data_of(op, conn->generation, conn->slot_index), 0);
    own(conn, sqe, OP_CANCEL);
}

/* Not found: it was just then on its way to us, or to another round. If it does not come home now,
 * cancel it again. */
static void on_cancelled(struct conn *conn, const struct io_uring_cqe *cqe)
{
    if (cqe->res == -ENOENT && conn->ops & OP_BIT(OP_RECV))
        conn->flags &= ~CONN_NO_INPUT;
}

void reactor_demote(struct reactor *reactor, struct conn *conn)
{
    if (conn->ops & OP_BIT(OP_CANCEL))
        return;
    struct io_uring_sqe *sqe = next_sqe(reactor);

    conn->flags |= CONN_DEMOTE;
    io_uring_prep_cancel64(sqe, user_data_of(OP_RECV, conn->generation, conn->slot_index), 0);
    own(conn, sqe, OP_CANCEL);
}

/* close_direct wants no IOSQE_FIXED_FILE. Generation 0: nobody waits for the answer. */
static void close_slot(struct reactor *reactor, uint32_t slot_index, struct conn *conn)
{
    struct io_uring_sqe *sqe = next_sqe(reactor);

    io_uring_prep_close_direct(sqe, slot_index);
    reactor->instant_count++;
    if (conn)
        own(conn, sqe, OP_CLOSE);
    else
        io_uring_sqe_set_data64(sqe, user_data_of(OP_CLOSE, 0, slot_index));
}

static void half_close(struct reactor *reactor, struct conn *conn)
{
    struct io_uring_sqe *sqe = next_sqe(reactor);

    io_uring_prep_shutdown(sqe, (int)conn->slot_index, SHUT_WR);
    sqe->flags |= IOSQE_FIXED_FILE;
    own(conn, sqe, OP_SHUTDOWN);
    conn->flags |= CONN_HALF_CLOSED;
}

/* Will this send's completion need no answer from us? It will not when everything queued went into
 * it, the connection goes on, and it is so small that the socket takes it whole. The last is a
 * guess; when it is wrong, only this receiver, which does not read anyway, waits a little longer
 * for its next send (INSTANT_WAIT_NS in net/reactor.c). */
static bool is_instant(const struct conn *conn, const struct outq *out)
{
    return out->in_flight_bytes == out->queued_bytes && out->queued_bytes <= INSTANT_BYTES_MAX &&
           (out == &conn->out || conn->out.queued_bytes == 0) && conn->state == CONN_LIVE;
}

/* Everything queued leaves in one send; the next one when this has come back.
 *
 * MSG_DONTWAIT: the kernel takes what fits, answers within the submission, and never keeps our
 * buffers. So the turn knows how many completions its own requests bring at once, and sleeps
 * until there is one more than those: half the turns of a sparse load. */
static void flush(struct reactor *reactor, struct conn *conn)
{
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    struct outq *out = &conn->out;

    if (conn->ops & (OP_BIT(OP_SEND) | OP_BIT(OP_WRITABLE)))
        return;
    if (conn->flags & CONN_TLS) {
        secure_fill(&reactor->io, conn);
        if (!conn->tls || conn->state == CONN_CLOSING)
            return;
        out = secure_queue(conn);
    }
    if (out->queued_bytes == 0)
        return;
    if (reactor->scratch_used == SCRATCH_COUNT) {
        (void)io_uring_submit(&reactor->uring.kernel);
        reactor->scratch_used = 0;
    }
    struct io_uring_sqe *sqe = next_sqe(reactor); /* first: it may submit, and free the scratch */
    struct send_scratch *scratch = &reactor->scratch[reactor->scratch_used];
    uint32_t iovec_count = outq_gather(out, scratch->iovecs, LIMIT_SEND_SEGMENTS);

    if (iovec_count == 1) {
        io_uring_prep_send(sqe, (int)conn->slot_index, scratch->iovecs[0].iov_base,
                           scratch->iovecs[0].iov_len, flags);
    } else {
        reactor->scratch_used++; /* the kernel reads it when this is submitted, not later */
        scratch->header = (struct msghdr){.msg_iov = scratch->iovecs, .msg_iovlen = iovec_count};
        io_uring_prep_sendmsg(sqe, (int)conn->slot_index, &scratch->header, (unsigned int)flags);
    }
    sqe->flags |= IOSQE_FIXED_FILE;
    own(conn, sqe, OP_SEND);
    reactor->instant_count += is_instant(conn, out);
    io_count(&reactor->io, IO_STAT_SENDS, 1);
}

/* -- the end of a turn -- */

static void listen_to(struct reactor *reactor, struct conn *conn)
{
    bool waits = conn->flags & (CONN_WAITS | CONN_PAUSED) && conn->state < CONN_LEAVING;

    if (conn->ops & (OP_BIT(OP_RECV) | OP_BIT(OP_POLL)) || conn->flags & CONN_EOF || waits)
        return;
    arm_recv(reactor, conn);
    if (conn->state == CONN_LIVE) /* it may be quiet from now on: look at it again in a second */
        session_retime(&reactor->io, conn);
}

static void attend_leaving(struct reactor *reactor, struct conn *conn)
{
    struct io *io = &reactor->io;

    if (!(conn->flags & CONN_RELEASED)) {
        session_release(io, conn);
        session_retime(io, conn);
    }
    flush(reactor, conn);
    listen_to(reactor, conn);
    if (conn->state == CONN_CLOSING || conn->out.queued_bytes > 0 ||
        conn_wire_queue(conn)->queued_bytes > 0)
        return; /* its completion marks it again */
    bool nothing_to_wait_for =
        conn->flags & (CONN_EOF | CONN_CURT) || conn->close_reason == CLOSE_DISCONNECT;

    if (nothing_to_wait_for)
        conn_close(io, conn, (enum close_reason)conn->close_reason);
    else if (!(conn->flags & CONN_HALF_CLOSED))
        half_close(reactor, conn);
}

static void attend_closing(struct reactor *reactor, struct conn *conn)
{
    session_release(&reactor->io, conn);
    if (conn->ops == 0)
        close_slot(reactor, conn->slot_index, conn);
    else if (!(conn->ops & (OP_BIT(OP_CANCEL) | OP_BIT(OP_CLOSE))))
        cancel_one(reactor, conn);
}

/* It has sent too much for now, or a script must decide first: end its multishot receive. */
static void stop_reading(struct reactor *reactor, struct conn *conn)
{
    if (!(conn->ops & OP_BIT(OP_RECV)) || conn->ops & OP_BIT(OP_CANCEL))
        return;
    struct io_uring_sqe *sqe = next_sqe(reactor);

    io_uring_prep_cancel64(sqe, user_data_of(OP_RECV, conn->generation, conn->slot_index), 0);
    own(conn, sqe, OP_CANCEL);
}

void reactor_attend(struct reactor *reactor, struct conn *conn)
{
    if (conn->state == CONN_LEAVING) {
        attend_leaving(reactor, conn);
    } else if (conn->state == CONN_CLOSING) {
        attend_closing(reactor, conn);
    } else {
        must(conn->state != CONN_FREE);
        if (conn->flags & CONN_PAUSED)
            stop_reading(reactor, conn);
        listen_to(reactor, conn);
        flush(reactor, conn);
    }
}

/* -- accepting -- */

/* One connection each, not a multishot: that one would take all who wait at the listener at once,
 * 4,096 after a power cut, and whatever comes on the others' connections would lie behind them. */
static void arm_accept(struct reactor *reactor, uint32_t listener_index)
{
    struct io_uring_sqe *sqe = next_sqe(reactor);

    io_uring_prep_multishot_accept_direct(sqe, reactor->listeners[listener_index].fd, NULL, NULL,
                                          0);
    sqe->ioprio &= (uint16_t)~IORING_ACCEPT_MULTISHOT; /* liburing 2.3 cannot say it otherwise */
    io_uring_sqe_set_data64(sqe, user_data_of(OP_ACCEPT, 0, listener_index));
    reactor->accepts_armed[listener_index]++;
    reactor->accept_count++;
}

void reactor_accept(struct reactor *reactor)
{
    /* An accept without a free descriptor costs somebody his connection, but one must try. */
    uint32_t free_count = reactor->io.slot_count_max - io_open_count(&reactor->io);
    uint32_t share_count = free_count / (reactor->listener_count + 1) + 1;

    if (reactor->accept_paused && reactor->io.now_tick - reactor->accept_failed_tick < ACCEPT_TICKS)
        return;
    reactor->accept_paused = false;
    for (uint32_t i = 0; i < reactor->listener_count; i++)
        while (reactor->accepts_armed[i] < min_u32(ACCEPTS_ARMED, share_count))
            arm_accept(reactor, i);
}

void reactor_stop_accepting(struct reactor *reactor)
{
    for (uint32_t i = 0; i < reactor->listener_count; i++) {
        if (reactor->listeners[i].fd < 0)
            continue;
        if (reactor->accepts_armed[i] > 0) {
            struct io_uring_sqe *sqe = next_sqe(reactor);

            io_uring_prep_cancel64(sqe, user_data_of(OP_ACCEPT, 0, i), IORING_ASYNC_CANCEL_ALL);
            io_uring_sqe_set_data64(sqe, user_data_of(OP_CANCEL, 0, i));
        }
        /* The kernel keeps its own reference until the accept has ended. */
        close(reactor->listeners[i].fd);
        reactor->listeners[i].fd = -1;
    }
}

static void begin_reading(struct reactor *reactor, struct conn *conn)
{
    if (conn->flags & CONN_TLS)
        arm_poll(reactor, conn); /* there may be others before it: see net/turns.h */
    else
        arm_recv(reactor, conn);
}

static void on_accepted(struct reactor *reactor, uint32_t slot_index, uint8_t listener_index)
{
    struct io *io = &reactor->io;

    io_count(io, IO_STAT_ACCEPTED, 1);
    reactor->accept_told = false;
    if (io->draining) {
        close_slot(reactor, slot_index, NULL);
        return;
    }
    if (!quota_take(&io->quotas->handshakes)) {
        io_count(io, IO_STAT_REFUSED_HANDSHAKES, 1);
        close_slot(reactor, slot_index, NULL);
        return;
    }
    struct conn *conn = conn_open(io, slot_index, listener_index);
    if (!conn) {
        io_count(io, IO_STAT_REFUSED_MEMORY, 1);
        quota_give(&io->quotas->handshakes);
        close_slot(reactor, slot_index, NULL);
        return;
    }
    if (reactor->listeners[listener_index].tls)
        conn_speaks(io, conn, CONN_TLS);
    session_open(io, conn);
    if (!reactor->knows_peer_addresses) {
        begin_reading(reactor, conn);
        return;
    }
    /* Answered within the submission. Nothing is read before: it may have to go at once. */
    conn->peer_pending = mem_alloc_always(&io->mem, MEM_CONN, sizeof(*conn->peer_pending));
    ask_peer(reactor, conn);
}

static void on_accept(struct reactor *reactor, const struct io_uring_cqe *cqe)
{
    uint32_t listener_index = (uint32_t)cqe->user_data;

    must(reactor->accepts_armed[listener_index] > 0);
    reactor->accepts_armed[listener_index]--;
    reactor->accept_count--;
    if (cqe->res >= 0) {
        on_accepted(reactor, (uint32_t)cqe->res, (uint8_t)listener_index);
        return;
    }
    if (cqe->res == -ECANCELED)
        return;
    io_count(&reactor->io, IO_STAT_ACCEPT_ERRORS, 1);
    if (cqe->res == -ECONNABORTED)
        return; /* whoever it was has gone again */
    /* Our table is full, and the next close makes room; or the machine's is, or it has no memory:
     * nobody tells us when that is over. */
    reactor->accept_paused = true;
    reactor->accept_failed_tick = reactor->io.now_tick;
    if (cqe->res == -ENFILE && !reactor->accept_told) {
        reactor->accept_told = true;
        log_event(LOG_LEVEL_WARNING, "io.descriptors_full",
                  "slots=%u; more threads.io or a larger RLIMIT_NOFILE would carry more",
                  reactor->io.slot_count_max);
    }
}

/* -- answers about a connection -- */

static void on_peer(struct reactor *reactor, struct conn *conn, const struct io_uring_cqe *cqe)
{
    struct sockaddr_in6 *peer = conn->peer_pending;

    if (cqe->res > 0 && peer->sin6_family == AF_INET6) {
        memcpy(conn->peer_ip, &peer->sin6_addr, sizeof(conn->peer_ip));
        conn->peer_port = ntohs(peer->sin6_port);
    } else if (cqe->res > 0 && peer->sin6_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)peer;

        memset(conn->peer_ip + 10, 0xff, 2);
        memcpy(conn->peer_ip + 12, &ipv4->sin_addr, 4);
        conn->peer_port = ntohs(ipv4->sin_port);
    }
    mem_free(&reactor->io.mem, MEM_CONN, peer, sizeof(*peer));
    conn->peer_pending = NULL;
    if (conn->state < CONN_LEAVING && door_admit(&reactor->io, conn))
        begin_reading(reactor, conn);
}

static void on_poll(struct reactor *reactor, struct conn *conn, const struct io_uring_cqe *cqe)
{
    bool has_hung_up = cqe->res > 0 && cqe->res & (POLLRDHUP | POLLHUP);

    if (conn->state == CONN_CLOSING)
        return;
    if (conn->flags & CONN_PAUSED && conn->state < CONN_LEAVING)
        return; /* it reads when that is over */
    if (conn->flags & CONN_TLS && conn->state < CONN_LEAVING &&
        !secure_may_read(&reactor->io, conn))
        return;
    if (has_hung_up && stand_in_line(reactor, &reactor->hung_up, conn)) {
        io_count(&reactor->io, IO_STAT_HANGUPS, 1); /* a crowd may; who speaks goes first */
        return;
    }
    arm_recv(reactor, conn); /* what it was woken for is there: read it, and stay for a while */
    conn->last_input_tick = reactor->io.now_tick;
    session_retime(&reactor->io, conn);
}

static void on_recv_data(struct reactor *reactor, struct conn *conn, const struct io_uring_cqe *cqe)
{
    struct io *io = &reactor->io;
    uint32_t buffer_index = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    must(cqe->flags & IORING_CQE_F_BUFFER);
    io_count(io, IO_STAT_RECEIVES, 1);
    io_count(io, IO_STAT_BYTES_IN, (uint64_t)cqe->res);
    uint8_t *bytes = bufgroup_at(&reactor->uring.buffers, buffer_index);
    if (conn->flags & CONN_TLS)
        secure_input(io, conn, bytes, (size_t)cqe->res);
    else
        session_input(io, conn, bytes, (size_t)cqe->res);
    bufgroup_return(&reactor->uring.buffers, buffer_index);
}

static void on_recv(struct reactor *reactor, struct conn *conn, const struct io_uring_cqe *cqe)
{
    struct io *io = &reactor->io;

    if (cqe->res > 0)
        on_recv_data(reactor, conn, cqe);
    else if (cqe->res == 0)
        session_eof(io, conn);
    else if (cqe->res == -ENOBUFS)
        io_count(io, IO_STAT_NO_BUFFERS, 1);
    else if (cqe->res != -ECANCELED && conn->state != CONN_CLOSING)
        conn_close(io, conn, cqe->res == -ECONNRESET ? CLOSE_PEER : CLOSE_IO_ERROR);
    if (conn->ops & OP_BIT(OP_RECV))
        return; /* the multishot goes on */
    if (takes_steps(conn) && !(conn->flags & CONN_EOF)) {
        arm_poll(reactor, conn);
        return;
    }
    if (conn->flags & CONN_DEMOTE && conn->state == CONN_LIVE && !(conn->flags & CONN_EOF)) {
        conn->flags &= ~CONN_DEMOTE;
        io_count(io, IO_STAT_RESTS, 1);
        arm_poll(reactor, conn);
        secure_rest(io, conn);
        return;
    }
    if (cqe->res != -ENOBUFS || !stand_in_line(reactor, &reactor->starved, conn))
        conn_mark(io, conn); /* armed again at the end of the turn */
}

static void on_send(struct reactor *reactor, struct conn *conn, const struct io_uring_cqe *cqe)
{
    struct io *io = &reactor->io;
    struct outq *out = conn_wire_queue(conn);
    uint32_t offered_bytes = out->in_flight_bytes;
    uint32_t sent_bytes = cqe->res > 0 ? (uint32_t)cqe->res : 0;

    io_count(io, IO_STAT_BYTES_OUT, sent_bytes);
    outq_sent(out, &io->mem, sent_bytes);
    if (conn->state == CONN_CLOSING)
        return;
    if (sent_bytes > 0)
        session_taken(io, conn);
    if (cqe->res < 0 && cqe->res != -EAGAIN) {
        conn_close(io, conn,
                   cqe->res == -EPIPE || cqe->res == -ECONNRESET ? CLOSE_PEER : CLOSE_IO_ERROR);
        return;
    }
    if (sent_bytes < offered_bytes) {
        arm_writable(reactor, conn);
        return;
    }
    if (conn->out.queued_bytes == 0)
        conn->flags &= ~CONN_SLOW;
    if (out->queued_bytes > 0 || conn->out.queued_bytes > 0 || conn->state == CONN_LEAVING)
        conn_mark(io, conn);
}

static void on_closed(struct reactor *reactor, struct conn *conn)
{
    struct io *io = &reactor->io;

    if (conn->flags & CONN_TIMED)
        wheel_remove(&io->wheel, conn->slot_index);
    conn->flags &= ~CONN_TIMED;
    reactor->accept_paused = false;
    secure_free(io, conn);
    conn_free(io, conn);
}

/* -- one completion -- */

/* The connection a completion is about; NULL: it has none (actors, refused accepts). */
static struct conn *conn_of(struct reactor *reactor, const struct io_uring_cqe *cqe)
{
    uint16_t generation = (uint16_t)(cqe->user_data >> 32);

    if (generation == 0)
        return NULL;
    struct conn *conn = conn_in_slot(&reactor->io, (uint32_t)cqe->user_data);
    if (conn && conn->generation == generation)
        return conn;
    io_count(&reactor->io, IO_STAT_STALE, 1);
    return NULL;
}

static void conn_completion(struct reactor *reactor, struct conn *conn, enum conn_op op,
                            const struct io_uring_cqe *cqe)
{
    if (!(conn->ops & OP_BIT(op))) { /* the kernel has said so already: as good as a stale one */
        io_count(&reactor->io, IO_STAT_STALE, 1);
        return;
    }
    if (!(cqe->flags & IORING_CQE_F_MORE))
        conn->ops &= (uint8_t)~OP_BIT(op);
    switch (op) {
    case OP_PEER:
        on_peer(reactor, conn, cqe);
        break;
    case OP_POLL:
        on_poll(reactor, conn, cqe);
        break;
    case OP_RECV:
        on_recv(reactor, conn, cqe);
        break;
    case OP_SEND:
        on_send(reactor, conn, cqe);
        break;
    case OP_WRITABLE: /* or closed under it: the next send, or the receive, will tell */
        conn_mark(&reactor->io, conn);
        break;
    case OP_CANCEL:
        on_cancelled(conn, cqe);
        break;
    case OP_SHUTDOWN: /* failed: the peer was faster; the deadline closes */
        break;
    case OP_CLOSE:
        on_closed(reactor, conn);
        return;
    case OP_ACCEPT:
    case OP_WAKE:
    case OP_COUNT:
        must_never("not an operation on a connection");
    }
    if (conn->state == CONN_CLOSING)
        conn_mark(&reactor->io, conn);
}

void completion_handle(struct reactor *reactor, const struct io_uring_cqe *cqe)
{
    enum conn_op op = (enum conn_op)(cqe->user_data >> 56);

    if (op == OP_ACCEPT) {
        on_accept(reactor, cqe);
    } else if (op == OP_WAKE) {
        if (!(cqe->flags & IORING_CQE_F_MORE))
            reactor_arm_wake(reactor);
    } else {
        struct conn *conn = conn_of(reactor, cqe);

        if (conn)
            conn_completion(reactor, conn, op, cqe);
    }
}

/* -- the actor -- */

void reactor_arm_wake(struct reactor *reactor)
{
    struct io_uring_sqe *sqe = next_sqe(reactor);

    /* Each write to the eventfd posts a completion; its count is never read. */
    io_uring_prep_poll_multishot(sqe, reactor->parker->wake_fd, POLLIN);
    sqe->poll32_events |= (uint32_t)EPOLLET;
    io_uring_sqe_set_data64(sqe, user_data_of(OP_WAKE, 0, 0));
}

bool reactor_drop_mail(struct reactor *reactor)
{
    struct io *io = &reactor->io;
    struct envelope envelope;
    bool told_to_exit = false;

    for (uint32_t from = 0; from < io->port->mesh->actor_count; from++)
        while (port_pop(io->port, from, &envelope)) {
            if (envelope.kind == ENVELOPE_STOP)
                told_to_exit = true;
            msg_unref(&io->mem, envelope.msg);
        }
    return told_to_exit;
}

bool reactor_probe_peer_address(struct reactor *reactor)
{
    struct io_uring *kernel = &reactor->uring.kernel;
    uint16_t peer; /* a pair's peer has no name: just its family */
    struct io_uring_cqe *cqe;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    struct io_uring_sqe *sqe = next_sqe(reactor);

    io_uring_prep_rw(IORING_OP_URING_CMD, sqe, pair[0], NULL, 0, SOCKET_URING_OP_GETSOCKOPT);
    sqe->addr = (uint64_t)SO_PEERNAME << 32 | SOL_SOCKET;
    sqe->file_index = sizeof(peer);
    sqe->addr3 = (uintptr_t)&peer;
    io_uring_sqe_set_data64(sqe, user_data_of(OP_PEER, 0, 0));
    int result = io_uring_submit_and_wait(kernel, 1);
    must(result == 1);
    must(io_uring_wait_cqe(kernel, &cqe) == 0);
    bool supported = cqe->res >= 0;
    io_uring_cqe_seen(kernel, cqe);
    close(pair[0]);
    close(pair[1]);
    return supported;
}
