/*
 * net/reactor.h — an I/O thread: one uring, its listeners, and the turn that drives an io.
 *
 *      reap completions → run inline shard → drain lanes → expire timers →
 *      flush output of marked connections → enter the kernel once
 *
 * Thread: reactor_main runs in the I/O thread; everything else here is main's, before the start
 * and after the join.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include "core/log.h"
#include "core/shard.h"
#include "net/io.h"
#include "net/line.h"
#include "net/listener.h"
#include "net/uring.h"

struct send_scratch; /* msghdr and iovecs of one send, needed until it is submitted */

struct reactor {
    struct io io;
    struct uring uring;
    struct parker *parker;
    struct shard *inline_shard; /* NULL: shards have threads of their own */
    struct log_lane *log_lane;
    struct listener *listeners; /* [listener_count]; this reactor's own sockets, closed by it */
    uint32_t listener_count;
    uint8_t accepts_armed[LIMIT_LISTENERS]; /* in the kernel, of each listener; */
    uint32_t accept_count;                  /* of all */
    bool knows_peer_addresses;              /* the kernel can tell (6.7) */
    bool failed;                            /* could not start: see error */
    bool accept_paused; /* it failed: until a connection has closed, or for a moment */
    bool accept_told;   /* that there are no descriptors: in the log, once */
    uint32_t accept_failed_tick;
    uint32_t drain_cursor;
    uint32_t scarce_tick;   /* when the line was last longer than a turn could serve */
    struct line starved;    /* they found no receive buffer (CONN_WAITS) */
    struct line hung_up;    /* quiet ones whose peer has closed its side (CONN_WAITS) */
    uint32_t closing_first; /* slot of the first that waits for its turn to close */
    uint32_t scratch_used;
    uint32_t instant_count; /* completions that this turn's own requests bring at once */
    struct send_scratch *scratch;
    sem_t *started; /* posted once, when the reactor runs or has failed */
    char error[URING_ERROR_BYTES];
    pthread_t thread;
};

/* Set what does not need the uring. @reactor->io must have been initialised. */
void reactor_init(struct reactor *reactor, struct parker *parker, struct shard *inline_shard,
                  struct log_lane *log_lane, sem_t *started);

/* The I/O thread; @argument: the reactor. Creates the uring, posts `started`, runs until every
 * connection is gone after a STOP, and answers STOPPED. */
void *reactor_main(void *argument);

/* The life of a STOP: the first one drains, and is answered STOPPED when all connections are gone;
 * until the second one comes the thread only throws away mail and runs its inline shard, so that
 * the others can finish. */

/* How many direct descriptors one reactor may have under RLIMIT_NOFILE. */
uint32_t reactor_file_count_max(void);
