/*
 * auth/workers.h — threads for password checks, which take 25 ms and 8 MB each.
 *
 *      I/O or web actor --submit--> queue --> worker: passwd_check --> done(token, verdict)
 *
 * done() sends the verdict home through a lane; the token says to whom, and may be stale by then,
 * as any name of a connection may be. A job belongs to the workers from submit to done(): there is
 * nothing to fetch and nothing to abandon. (tls/signer.h has both, because a signature is bytes
 * that somebody must take; sharing its mechanism would be more code than this.)
 *
 * The queue is bounded by what can be answered before the askers give up; beyond it a login is
 * refused at once. A password that was right before (passwd_recall) needs no worker, so the whole
 * fleet that comes back after an outage does not queue here.
 */
#pragma once

#include "auth/passwd.h"
#include "core/mem.h"
#include "core/must.h"

#define AUTH_WORKERS_MAX 16u

struct auth_workers;

/* Thread: the worker numbered @worker_index. Must not block. */
typedef void auth_done(void *context, uint32_t worker_index, uint64_t token,
                       enum passwd_verdict verdict);

struct auth_workers_options {
    uint32_t worker_count;    /* 1..AUTH_WORKERS_MAX */
    uint32_t queue_count_max; /* jobs that wait, not counting those being checked */
    auth_done *done;
    void *context;    /* borrowed; outlives the workers */
    struct mem *mems; /* each worker's account, borrowed; NULL: nothing is counted */
};

/* Start the workers. NULL: the threads could not be had (errno). */
MUST_CHECK struct auth_workers *auth_workers_open(const struct auth_workers_options *options);

/* End and join them; jobs that still wait are dropped, done() is not called for them. */
void auth_workers_close(struct auth_workers *workers);

/**
 * Queue a check.
 *
 * Thread:  any.
 * Takes:   a reference of its own on @set, copies of @user and @password.
 * Returns: false when the queue is full. A name or password too long for any account is no
 *          reason: it is checked like the others, and wrong.
 */
MUST_CHECK bool auth_workers_submit(struct auth_workers *workers, struct passwd_set *set,
                                    struct span user, struct span password, uint64_t token);

/* Jobs that wait now. Any thread. */
uint32_t auth_workers_waiting(struct auth_workers *workers);
