/*
 * bench/worker.c — the turn of a generator thread, and the life of its connections.
 *
 * Owns:   its uring, bufgroup and connections.
 * Closing has three steps because the kernel may still hold our buffers: begin (shutdown), join
 * (inflight_count reaches zero), finish (give the descriptor back).
 */
#include "bench/worker.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFGROUP_ID         0
#define SOURCE_FIRST        0x7F000002u /* 127.0.0.2 */
#define LAZY_RECV_BYTES     4096u       /* SO_RCVBUF of one that will stop reading */
#define SEND_BUF_KEEP_BYTES 65536u

enum op { OP_CONNECT = 1, OP_RECV, OP_SEND, OP_SHUTDOWN, OP_CLOSE, OP_WAKE };

static uint64_t user_data_of(enum op op, uint32_t slot_index)
{
    return (uint64_t)op << 32 | slot_index;
}

_Noreturn PRINTF(2, 3) static void worker_die(int error, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "smqbench: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, ": %s\n", strerror(error));
    exit(2);
}

static struct io_uring_sqe *worker_sqe(struct worker *worker)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&worker->uring);

    if (sqe == NULL) {
        int result = io_uring_submit(&worker->uring);
        if (result < 0)
            worker_die(-result, "io_uring_enter");
        sqe = io_uring_get_sqe(&worker->uring);
        must(sqe != NULL);
    }
    return sqe;
}

static void conn_submit(struct conn *conn, struct io_uring_sqe *sqe, enum op op)
{
    sqe->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data64(sqe, user_data_of(op, conn->slot_index));
    conn->inflight_count++;
}

/* -- opening -- */

/* Options of one client socket, best effort except for the source address. */
static int socket_prepare(int fd, const struct conn *conn, uint32_t client_index)
{
    const struct worker_options *options = conn->worker->options;
    int on = 1;
    int lazy_recv_bytes = LAZY_RECV_BYTES;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (conn->is_lazy)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &lazy_recv_bytes, sizeof(lazy_recv_bytes));
    if (options->source_count == 0)
        return 0;

    /* One source address slows to a crawl after about 14,000 connections: the kernel searches
     * for a free port. Many addresses, and the port chosen only at connect, keep it fast. */
    struct sockaddr_in source = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(SOURCE_FIRST + client_index % options->source_count),
    };
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    return bind(fd, (struct sockaddr *)&source, sizeof(source));
}

void conn_open(struct conn *conn, uint32_t client_index)
{
    struct worker *worker = conn->worker;

    must(conn->state == CONN_CLOSED);
    must(conn->inflight_count == 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        worker_die(errno, "cannot make a socket");
    if (socket_prepare(fd, conn, client_index) != 0)
        worker_die(errno, "cannot use a source address 127.0.0.x");

    /* The uring's table holds the socket; the process's file table is free again at once. */
    int result = io_uring_register_files_update(&worker->uring, conn->slot_index, &fd, 1);
    if (result < 0)
        worker_die(-result, "cannot register connection %u", conn->slot_index);
    close(fd);

    conn->state = CONN_CONNECTING;
    conn->reason[0] = '\0';
    conn->is_receiver_stopped = false;
    conn->is_leaving = false;
    conn->is_secure_begun = false;
    conn->is_secured = false;
    conn->wire = (struct wire){.run = worker->options->target.run, .client_index = client_index};
    struct io_uring_sqe *sqe = worker_sqe(worker);
    io_uring_prep_connect(sqe, (int)conn->slot_index,
                          (const struct sockaddr *)&worker->options->target.server,
                          sizeof(worker->options->target.server));
    conn_submit(conn, sqe, OP_CONNECT);
}

static void conn_recv(struct conn *conn)
{
    struct io_uring_sqe *sqe = worker_sqe(conn->worker);

    if (conn->is_lazy)
        io_uring_prep_recv(sqe, (int)conn->slot_index, NULL, 0, 0);
    else
        io_uring_prep_recv_multishot(sqe, (int)conn->slot_index, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFGROUP_ID;
    conn_submit(conn, sqe, OP_RECV);
}

static void conn_secure_begin(struct conn *conn)
{
    const struct secure_layer *layer = conn->worker->options->target.secure;

    if (conn->secure == NULL)
        conn->secure = layer->create(layer);
    layer->begin(conn->secure, &conn->sealed);
    conn->is_secure_begun = true;
    conn_send_later(conn);
}

static void on_connect(struct conn *conn, int result)
{
    struct worker *worker = conn->worker;

    if (conn->state != CONN_CONNECTING)
        return; /* closing already */
    if (result < 0) {
        char reason[WIRE_REASON_BYTES_MAX];
        const struct sockaddr_in *server = &worker->options->target.server;
        snprintf(reason, sizeof(reason), "%s: no connection to port %u (--connect HOST:PORT)",
                 strerror(-result), ntohs(server->sin_port));
        conn_close(conn, reason);
        return;
    }
    conn->state = CONN_OPEN;
    conn_recv(conn);
    if (worker->options->target.secure != NULL && !worker->protocol->is_greeting_plain)
        conn_secure_begin(conn);
    worker->protocol->greet(&conn->wire, &conn->fill, worker->options->path);
    if (conn->fill.bytes_count > 0)
        conn_send_later(conn);
}

/* -- closing -- */

void conn_close(struct conn *conn, const char *reason)
{
    if (conn->state == CONN_CLOSING || conn->state == CONN_CLOSED)
        return; /* the first reason is the true one */
    conn->state = CONN_CLOSING;
    snprintf(conn->reason, sizeof(conn->reason), "%s", reason != NULL ? reason : "");

    /* Ends the receive with 0 and a blocked send with an error; then conn_close_join. */
    struct io_uring_sqe *sqe = worker_sqe(conn->worker);
    io_uring_prep_shutdown(sqe, (int)conn->slot_index, SHUT_RDWR);
    conn_submit(conn, sqe, OP_SHUTDOWN);
}

static void conn_close_join(struct conn *conn)
{
    if (conn->state != CONN_CLOSING || conn->inflight_count > 0)
        return;
    struct io_uring_sqe *sqe = worker_sqe(conn->worker);
    io_uring_prep_close_direct(sqe, conn->slot_index); /* not IOSQE_FIXED_FILE: liburing #1192 */
    io_uring_sqe_set_data64(sqe, user_data_of(OP_CLOSE, conn->slot_index));
    conn->inflight_count++;
}

static void on_closed(struct conn *conn)
{
    must(conn->state == CONN_CLOSING);
    must(conn->inflight_count == 0);
    conn->state = CONN_CLOSED;
    if (conn->is_secure_begun)
        conn->worker->options->target.secure->end(conn->secure);
    conn->fill.bytes_count = 0;
    conn->sealed.bytes_count = 0;
    conn->flight.bytes_count = 0;
    conn->flight_sent_bytes = 0;
    conn->partial.bytes_count = 0;
    conn->worker->hooks->gone(conn);
}

/* Is there something that could be sent now? */
static bool conn_has_output(const struct conn *conn)
{
    if (conn->worker->options->target.secure == NULL)
        return conn->fill.bytes_count > 0;
    return conn->sealed.bytes_count > 0 || (conn->is_secured && conn->fill.bytes_count > 0);
}

/* With TLS, all that is queued becomes records, the fewest possible. */
static void conn_seal(struct conn *conn)
{
    if (conn->fill.bytes_count == 0)
        return;
    conn->worker->options->target.secure->seal(conn->secure,
                                               span_of(conn->fill.data, conn->fill.bytes_count),
                                               &conn->sealed);
    conn->fill.bytes_count = 0;
}

void conn_leave(struct conn *conn)
{
    conn->worker->protocol->leave(&conn->wire, &conn->fill);
    conn->is_leaving = true;
    if (conn->is_secured) {
        conn_seal(conn);
        conn->worker->options->target.secure->goodbye(conn->secure, &conn->sealed);
    }
    if (conn_has_output(conn) || conn->is_send_busy)
        conn_send_later(conn); /* on_send closes */
    else
        conn_close(conn, NULL);
}

/* -- sending -- */

void conn_send_later(struct conn *conn)
{
    struct worker *worker = conn->worker;

    if (conn->is_dirty)
        return;
    conn->is_dirty = true;
    worker->dirty_slots[worker->dirty_count++] = conn->slot_index;
}

static void conn_send(struct conn *conn)
{
    struct io_uring_sqe *sqe = worker_sqe(conn->worker);

    io_uring_prep_send(sqe, (int)conn->slot_index, conn->flight.data + conn->flight_sent_bytes,
                       conn->flight.bytes_count - conn->flight_sent_bytes,
                       MSG_WAITALL | MSG_NOSIGNAL);
    conn_submit(conn, sqe, OP_SEND);
    conn->is_send_busy = true;
    conn->worker->sends_in_flight_count++;
}

/* Start one send for each dirty connection that has none in flight. */
static void worker_flush(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->dirty_count; i++) {
        struct conn *conn = &worker->conns[worker->dirty_slots[i]];

        conn->is_dirty = false;
        if (conn->is_send_busy || conn->state != CONN_OPEN || !conn_has_output(conn))
            continue; /* the running send's completion looks again */
        must(conn->flight.bytes_count == 0);
        if (conn->is_secured)
            conn_seal(conn);
        struct buffer *next = worker->options->target.secure != NULL ? &conn->sealed : &conn->fill;
        struct buffer empty = conn->flight;
        conn->flight = *next;
        *next = empty;
        conn_send(conn);
    }
    worker->dirty_count = 0;
}

static void on_send(struct conn *conn, int result)
{
    conn->is_send_busy = false;
    conn->worker->sends_in_flight_count--;
    if (conn->state != CONN_OPEN)
        return;
    if (result < 0) {
        char reason[WIRE_REASON_BYTES_MAX];
        snprintf(reason, sizeof(reason), "send: %s", strerror(-result));
        conn_close(conn, reason);
        return;
    }
    conn->flight_sent_bytes += (uint32_t)result;
    if (conn->flight_sent_bytes < conn->flight.bytes_count) {
        conn_send(conn); /* short in spite of MSG_WAITALL: a signal, or a dying peer */
        return;
    }
    conn->flight.bytes_count = 0;
    conn->flight_sent_bytes = 0;
    if (conn->flight.room_bytes > SEND_BUF_KEEP_BYTES && !conn_has_output(conn))
        buffer_deinit(&conn->flight);
    if (conn_has_output(conn))
        conn_send_later(conn);
    else if (conn->is_leaving)
        conn_close(conn, NULL);
}

/* -- receiving -- */

/* Parse all whole frames of @input; returns how many bytes they were. */
static size_t conn_parse(struct conn *conn, struct span input)
{
    const struct wire_protocol *protocol = conn->worker->protocol;
    size_t used_bytes = 0;
    struct wire_event event = {.topic_name = {NULL, 0}}; /* only SMQ sets it, in a Suback */

    while (used_bytes < input.bytes_count && conn->state == CONN_OPEN) {
        size_t answer_bytes = conn->fill.bytes_count;

        protocol->next(&conn->wire, span_skip(input, used_bytes), &conn->fill, &event);
        if (conn->fill.bytes_count != answer_bytes)
            conn_send_later(conn);
        if (event.kind == WIRE_NEED_MORE)
            break;
        must(event.used_bytes > 0);
        used_bytes += event.used_bytes;
        if (event.kind == WIRE_REFUSED)
            conn_close(conn, event.reason);
        else if (event.kind != WIRE_NOTHING)
            conn->worker->hooks->event(conn, &event);
    }
    return used_bytes;
}

static void conn_feed(struct conn *conn, struct span input)
{
    if (conn->partial.bytes_count > 0) {
        buffer_append(&conn->partial, input.data, input.bytes_count);
        size_t used_bytes =
            conn_parse(conn, span_of(conn->partial.data, conn->partial.bytes_count));
        buffer_consume(&conn->partial, used_bytes);
        return;
    }
    struct span rest = span_skip(input, conn_parse(conn, input));
    if (conn->state == CONN_OPEN)
        buffer_append(&conn->partial, rest.data, rest.bytes_count);
}

/* NATS says its first line before TLS begins, and waits for the ClientHello then. */
static void conn_feed_greeting(struct conn *conn, struct span input)
{
    bool is_whole = memchr(input.data, '\n', input.bytes_count) != NULL;

    conn_feed(conn, input);
    if (is_whole && conn->state == CONN_OPEN)
        conn_secure_begin(conn);
}

/* With TLS: to plaintext, then as without. */
static void conn_feed_records(struct conn *conn, struct span input)
{
    struct worker *worker = conn->worker;
    char reason[SECURE_REASON_BYTES] = "the server closed the connection";
    enum secure_status status =
        worker->options->target.secure->feed(conn->secure, input, &worker->plain, &conn->sealed,
                                             &worker->secure_tally, reason);

    if (status == SECURE_ESTABLISHED)
        conn->is_secured = true;
    if (conn_has_output(conn))
        conn_send_later(conn);
    conn_feed(conn, span_of(worker->plain.data, worker->plain.bytes_count));
    worker->plain.bytes_count = 0;
    if (status == SECURE_CLOSED || status == SECURE_FAILED)
        conn_close(conn, reason);
}

static void conn_input(struct conn *conn, struct span input)
{
    if (conn->worker->options->target.secure == NULL)
        conn_feed(conn, input);
    else if (conn->is_secure_begun)
        conn_feed_records(conn, input);
    else
        conn_feed_greeting(conn, input);
}

static uint8_t *recv_buffer(struct worker *worker, uint32_t buffer_index)
{
    return worker->recv_memory + (size_t)buffer_index * WORKER_RECV_BYTES;
}

static void recv_buffer_put(struct worker *worker, uint32_t buffer_index)
{
    io_uring_buf_ring_add(worker->bufgroup, recv_buffer(worker, buffer_index), WORKER_RECV_BYTES,
                          (unsigned short)buffer_index, io_uring_buf_ring_mask(WORKER_RECV_COUNT),
                          0);
    io_uring_buf_ring_advance(worker->bufgroup, 1);
}

static void on_recv(struct conn *conn, int result, uint32_t cqe_flags)
{
    struct worker *worker = conn->worker;
    bool is_over = (cqe_flags & IORING_CQE_F_MORE) == 0;

    if (result > 0) {
        uint32_t buffer_index = cqe_flags >> IORING_CQE_BUFFER_SHIFT;

        worker->now_ns = clock_now_ns();
        if (conn->state == CONN_OPEN)
            conn_input(conn, span_of(recv_buffer(worker, buffer_index), (size_t)result));
        recv_buffer_put(worker, buffer_index);
    } else if (result == 0) {
        conn_close(conn, "the server closed the connection");
    } else if (result != -ENOBUFS) {
        char reason[WIRE_REASON_BYTES_MAX];
        snprintf(reason, sizeof(reason), "receive: %s", strerror(-result));
        conn_close(conn, reason);
    }
    /* A multishot ends by itself now and then, and after -ENOBUFS; by now its buffers are back. */
    if (is_over && conn->state == CONN_OPEN && !conn->is_receiver_stopped)
        conn_recv(conn);
}

void conn_stop_reading(struct conn *conn)
{
    must(conn->is_lazy);
    conn->is_receiver_stopped = true; /* the receive in flight takes at most one buffer more */
}

/* -- the turn -- */

static void on_wake(struct worker *worker)
{
    uint64_t count;

    if (read(worker->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        worker_die(errno, "eventfd");
}

static void wake_arm(struct worker *worker)
{
    struct io_uring_sqe *sqe = worker_sqe(worker);

    io_uring_prep_poll_multishot(sqe, worker->wake_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, user_data_of(OP_WAKE, 0));
}

static void worker_dispatch(struct worker *worker, const struct io_uring_cqe *cqe)
{
    enum op op = (enum op)(cqe->user_data >> 32);

    if (op == OP_WAKE) {
        on_wake(worker);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0)
            wake_arm(worker);
        return;
    }

    struct conn *conn = &worker->conns[(uint32_t)cqe->user_data];
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        must(conn->inflight_count > 0);
        conn->inflight_count--;
    }
    switch (op) {
    case OP_CONNECT:
        on_connect(conn, cqe->res);
        break;
    case OP_RECV:
        on_recv(conn, cqe->res, cqe->flags);
        break;
    case OP_SEND:
        on_send(conn, cqe->res);
        break;
    case OP_CLOSE:
        on_closed(conn);
        return;
    case OP_SHUTDOWN:
    case OP_WAKE:
        break;
    }
    conn_close_join(conn);
}

/* Handle what is there now; what completes meanwhile waits for the next turn. */
static void worker_reap(struct worker *worker)
{
    uint32_t count = io_uring_cq_ready(&worker->uring);
    uint32_t handled_count = 0;
    uint32_t head;
    struct io_uring_cqe *cqe;

    io_uring_for_each_cqe(&worker->uring, head, cqe)
    {
        if (handled_count == count)
            break;
        worker_dispatch(worker, cqe);
        handled_count++;
    }
    io_uring_cq_advance(&worker->uring, handled_count);
}

/* How many completions to sleep for. A send that cannot block completes inside the submit and
 * would end the sleep at once for nothing, so where no send can block we wait for one more than
 * those. A send that can block must never be waited for: its completion may need us to read. */
static uint32_t worker_wait_count(const struct worker *worker)
{
    return worker->options->is_send_short ? worker->sends_in_flight_count + 1 : 1;
}

/* Submit, and sleep until something completes or @deadline_ns. One system call. */
static void worker_enter(struct worker *worker, uint64_t deadline_ns)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t wait_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    struct io_uring_cqe *cqe = NULL;

    if (wait_ns > WORKER_WAIT_NS)
        wait_ns = WORKER_WAIT_NS;
    /* Sequentially consistent, like the waker's push and its look at is_parked: either we see its
     * work, or it sees us parked. */
    atomic_store(&worker->is_parked, true);
    if (worker->hooks->has_work(worker))
        wait_ns = 0;
    int result;
    if (wait_ns == 0) {
        result = io_uring_submit_and_get_events(&worker->uring);
    } else {
        struct __kernel_timespec timeout = {.tv_sec = (int64_t)(wait_ns / NS_PER_S),
                                            .tv_nsec = (int64_t)(wait_ns % NS_PER_S)};
        result = io_uring_submit_and_wait_timeout(&worker->uring, &cqe, worker_wait_count(worker),
                                                  &timeout, NULL);
    }
    atomic_store_explicit(&worker->is_parked, false, memory_order_relaxed);
    if (result < 0 && result != -ETIME && result != -EINTR && result != -EAGAIN && result != -EBUSY)
        worker_die(-result, "io_uring_enter");
}

static void uring_open(struct worker *worker)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE,
        .cq_entries = WORKER_CQES,
    };
    int result = io_uring_queue_init_params(WORKER_SQES, &worker->uring, &params);

    if (result < 0)
        worker_die(-result, "cannot make an io_uring (Linux 6.1 or later is needed)");
    result = io_uring_register_files_sparse(&worker->uring, worker->conn_count);
    if (result < 0)
        worker_die(-result, "cannot register %u connections with one io_uring (ulimit -n)",
                   worker->conn_count);

    size_t entries_bytes = WORKER_RECV_COUNT * sizeof(struct io_uring_buf);
    if (posix_memalign((void **)&worker->bufgroup, 4096, entries_bytes) != 0)
        worker_die(ENOMEM, "buffers");
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)worker->bufgroup,
        .ring_entries = WORKER_RECV_COUNT,
        .bgid = BUFGROUP_ID,
    };
    result = io_uring_register_buf_ring(&worker->uring, &reg, 0);
    if (result < 0)
        worker_die(-result, "cannot register receive buffers");
    io_uring_buf_ring_init(worker->bufgroup);
    worker->recv_memory = malloc((size_t)WORKER_RECV_COUNT * WORKER_RECV_BYTES);
    if (worker->recv_memory == NULL)
        worker_die(ENOMEM, "buffers");
    for (uint32_t i = 0; i < WORKER_RECV_COUNT; i++)
        recv_buffer_put(worker, i);
}

void worker_run(struct worker *worker)
{
    uring_open(worker);
    wake_arm(worker);
    while (!atomic_load_explicit(&worker->is_stopped, memory_order_acquire)) {
        uint64_t deadline_ns = worker->hooks->turn(worker);

        worker_flush(worker);
        worker_enter(worker, deadline_ns);
        worker_reap(worker);
    }
    io_uring_queue_exit(&worker->uring);
}

void worker_stop(struct worker *worker)
{
    atomic_store_explicit(&worker->is_stopped, true, memory_order_release);
    worker_wake(worker);
}

void worker_wake(struct worker *worker)
{
    uint64_t one = 1;

    if (!atomic_load(&worker->is_parked) || !atomic_exchange(&worker->is_parked, false))
        return; /* awake, or somebody else wakes it: see worker_enter */
    if (write(worker->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        worker_die(errno, "eventfd");
}

void worker_init(struct worker *worker, uint32_t index, uint32_t conn_count,
                 const struct worker_options *options)
{
    must(conn_count <= WORKER_CONNS_MAX);
    *worker = (struct worker){
        .protocol = options->target.protocol,
        .options = options,
        .index = index,
        .conn_count = conn_count,
        .conns = calloc(conn_count > 0 ? conn_count : 1, sizeof(struct conn)),
        .dirty_slots = calloc(conn_count > 0 ? conn_count : 1, sizeof(uint32_t)),
        .wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
    };
    if (worker->conns == NULL || worker->dirty_slots == NULL)
        worker_die(ENOMEM, "%u connections", conn_count);
    if (worker->wake_fd < 0)
        worker_die(errno, "eventfd");
    for (uint32_t i = 0; i < conn_count; i++) {
        worker->conns[i].worker = worker;
        worker->conns[i].slot_index = i;
    }
}

void worker_deinit(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->conn_count; i++) {
        if (worker->conns[i].secure != NULL)
            worker->options->target.secure->destroy(worker->conns[i].secure);
        buffer_deinit(&worker->conns[i].fill);
        buffer_deinit(&worker->conns[i].sealed);
        buffer_deinit(&worker->conns[i].flight);
        buffer_deinit(&worker->conns[i].partial);
    }
    buffer_deinit(&worker->plain);
    close(worker->wake_fd);
    free(worker->recv_memory);
    free(worker->bufgroup);
    free(worker->dirty_slots);
    free(worker->conns);
    *worker = (struct worker){.wake_fd = -1};
}
