/*
 * bench/worker.h — one generator thread: a uring, its connections, and a turn.
 *
 *      hooks->turn()  →  flush: one send per connection  →  enter the kernel once
 *            ↑                                                    │
 *            └──── hooks->event() for each thing parsed ←─────────┘
 *
 * A worker knows how to connect, send, receive and close; what to say is the business of its
 * hooks (bench/traffic.c, bench/churn.c). The generator must not be the bottleneck, so it does
 * what a good broker does: everything queued for a connection in one turn leaves in one send,
 * with one send in flight; receives are multishot into shared buffers and parsed in place.
 *
 * Connections are direct descriptors of the worker's own uring. That table is capped by
 * RLIMIT_NOFILE (WORKER_CONNS_MAX), but each uring has its own, so more workers carry more.
 *
 * Thread: worker_run and everything it calls run in the worker's thread; conns belong to it.
 */
#pragma once

#include <liburing.h>
#include <netinet/in.h>
#include <stdatomic.h>

#include "bench/buffer.h"
#include "bench/clock.h"
#include "bench/secure.h"
#include "bench/wire.h"

#define WORKER_SQES       1024u
#define WORKER_CQES       32768u /* a turn may complete one receive and one send per connection */
#define WORKER_CONNS_MAX  19900u /* a 20,000 hard limit on files, less a few for the process */
#define WORKER_WAIT_NS    (20 * NS_PER_MS) /* the longest sleep: how late a phase is noticed */
#define WORKER_RECV_BYTES 16384u
#define WORKER_RECV_COUNT                                                                          \
    64u /* buffers of the bufgroup: 1 MiB stays in the cache; 8 MiB did not                        \
         */

enum conn_state {
    CONN_CLOSED = 0, /* no descriptor; may be opened */
    CONN_CONNECTING, /* TCP handshake running */
    CONN_OPEN,       /* bytes flow; TLS may still shake hands, the protocol still greet */
    CONN_CLOSING,    /* no new work; waiting for the kernel to let go */
};

struct worker;

struct conn {
    struct worker *worker;
    struct wire wire;
    struct buffer fill;    /* what to send next: append here, then conn_send_later */
    struct buffer sealed;  /* with TLS: records to send next; fill is sealed into it */
    struct buffer flight;  /* what the kernel is sending */
    struct buffer partial; /* received bytes that are not yet a whole frame */
    struct secure *secure; /* NULL without TLS; kept from visit to visit */
    uint32_t flight_sent_bytes;
    uint32_t slot_index;                /* in the worker's conns, and in its uring's file table */
    uint8_t state;                      /* enum conn_state */
    uint8_t inflight_count;             /* operations the kernel has not finished */
    bool is_send_busy;                  /* one of them is a send */
    bool is_dirty;                      /* on the worker's dirty list */
    bool is_receiver_stopped;           /* receive nothing more: see conn_stop_reading */
    bool is_lazy;                       /* receive one buffer at a time, so that reading can stop */
    bool is_leaving;                    /* close when everything queued has been sent */
    bool is_secure_begun;               /* with TLS: the ClientHello was made */
    bool is_secured;                    /* with TLS: the handshake is over, fill may be sealed */
    char reason[WIRE_REASON_BYTES_MAX]; /* why it closed; empty: we wanted it */
};

/* What a case does with connections. All run in the worker's thread. */
struct worker_hooks {
    /* Something was parsed. May append to conn->fill, and may close @conn. */
    void (*event)(struct conn *conn, const struct wire_event *event);

    /* @conn is closed and may be opened again. conn->reason says why; empty: by our wish. */
    void (*gone)(struct conn *conn);

    /* Once a turn. Returns when it wants the next one at the latest, ns of bench/clock.h. */
    uint64_t (*turn)(struct worker *worker);

    /* Is there work another thread handed over? Asked just before sleeping; must look with
     * sequential consistency, or a wake-up may be lost. */
    bool (*has_work)(struct worker *worker);
};

struct worker {
    /* -- constant after worker_init -- */
    const struct wire_protocol *protocol;
    const struct worker_hooks *hooks;
    const struct worker_options *options;
    void *context; /* the case's own */
    uint32_t index;
    uint32_t conn_count;
    struct conn *conns;
    int wake_fd; /* eventfd: see worker_wake */

    /* -- this worker's thread -- */
    struct io_uring uring;
    struct io_uring_buf_ring *bufgroup;
    uint8_t *recv_memory;
    uint32_t *dirty_slots;
    uint32_t dirty_count;
    uint32_t sends_in_flight_count;
    struct buffer plain; /* what a receive was decrypted to; empty between two of them */
    struct secure_tally secure_tally;
    uint64_t now_ns; /* read when a receive or a turn begins */

    /* -- any thread -- */
    _Alignas(CACHE_LINE) _Atomic bool is_stopped;
    _Atomic bool is_parked;
};

/* Whom a run is aimed at. */
struct target {
    const struct wire_protocol *protocol;
    const struct secure_layer *secure; /* NULL: no TLS. Borrowed */
    struct sockaddr_in server;
    uint32_t run; /* different in each run, so that names and stamps are never mixed up */
};

/* What workers need of the command line. Borrowed: lives longer than they do. */
struct worker_options {
    struct target target;
    const char *path;      /* SMQ: the broker's URL path */
    uint32_t source_count; /* client addresses 127.0.0.2 and up; 0: let the kernel choose */
    bool is_send_short;    /* a send can never block: see worker.c, worker_wait_count */
};

/**
 * Build a worker of @conn_count closed connections. Thread: main, before the worker's starts.
 * The uring itself is made in worker_run, because only its own thread may use it.
 */
void worker_init(struct worker *worker, uint32_t index, uint32_t conn_count,
                 const struct worker_options *options);
void worker_deinit(struct worker *worker); /* after its thread was joined */

/* Turn until worker_stop. Any failure of the uring itself ends the process with a message. */
void worker_run(struct worker *worker);

/* Ask worker_run to return soon. Any thread. */
void worker_stop(struct worker *worker);

/* Wake @worker if it sleeps. Any thread; call it after handing work over, which must itself be
 * sequentially consistent. Cheap if awake. */
void worker_wake(struct worker *worker);

/* Start connecting; @client_index names the client and chooses its source address. */
void conn_open(struct conn *conn, uint32_t client_index);

/* conn->fill has bytes: send them at the end of this turn. */
void conn_send_later(struct conn *conn);

/* Begin closing; hooks->gone follows. @reason NULL or empty: by our own wish. */
void conn_close(struct conn *conn, const char *reason);

/* Say goodbye as the protocol does, then close; hooks->gone follows. */
void conn_leave(struct conn *conn);

/* Like a device that hangs: keep the connection and never read again. Needs conn->is_lazy. */
void conn_stop_reading(struct conn *conn);
