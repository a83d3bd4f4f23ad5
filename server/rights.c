/* server/rights.c — see server/rights.h. Thread: main; on_verdict: a worker; may, reload: a shard.
 */
#include "server/rights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "net/rights.h"

#define CORES_PER_WORKER 8u /* 8 MB each while it works: few (auth/passwd.h) */
#define WORKERS_MAX      4u
#define CHECK_MS         30u /* of one password, with some reserve */
#define QUEUE_COUNT_MIN  8u
#define QUEUE_COUNT_MAX  4096u

uint32_t rights_worker_count(const struct config *config)
{
    if (!auth_needs_workers(config))
        return 0;
    return min_u32(1 + (uint32_t)config->io_thread_count / CORES_PER_WORKER, WORKERS_MAX);
}

/* As many as can be answered before they give up (limits.handshake_ms). */
static uint32_t queue_count_max(const struct config *config, uint32_t worker_count)
{
    uint64_t count = (uint64_t)config->limits.handshake_timeout_ms / CHECK_MS * worker_count;

    return count < QUEUE_COUNT_MIN ? QUEUE_COUNT_MIN
                                   : (uint32_t)(count < QUEUE_COUNT_MAX ? count : QUEUE_COUNT_MAX);
}

/* -- the workers' and the shards' side -- */

/* Thread: a worker. */
static void on_verdict(void *context, uint32_t worker_index, uint64_t token,
                       enum passwd_verdict verdict)
{
    const struct rights *rights = context;
    struct port *port =
        &rights->mesh->ports[mesh_signer_index(rights->mesh, rights->first_helper + worker_index)];
    struct conn_handle conn = io_auth_conn(token);

    port_push(port, conn.host_index,
              (struct envelope){.kind = ENVELOPE_AUTH_VERDICT,
                                .status = (uint8_t)verdict,
                                .conn = conn});
    (void)port_flush(port); /* a full lane moves on with the next verdict */
}

static enum acl_action action_of(enum shard_right right)
{
    switch (right) {
    case SHARD_PUBLISH:
        return ACL_PUBLISH;
    case SHARD_OBSERVE:
        return ACL_OBSERVE;
    case SHARD_DIRECT:
        return ACL_DIRECT;
    }
    must_never("an unknown right");
}

/* Thread: the shard's. */
static bool may(void *context, uint16_t instance_index, struct span identity,
                enum shard_right right, struct span name)
{
    const struct rights_shard *shard = context;
    const struct acl *acl = shard->book->instances[instance_index].acl;
    struct identity who = identity_read(identity);

    if (!acl)
        return true;
    struct acl_verdict verdict = acl_decide(acl, &who, action_of(right), name);

    if (!verdict.allowed)
        rights_log(&who, action_of(right), name, verdict.line);
    return verdict.allowed;
}

/* Thread: the shard's. */
static uint64_t take_offer(void *context)
{
    struct rights_shard *shard = context;
    struct auth_book *book = atomic_exchange_explicit(&shard->offered, NULL, memory_order_acq_rel);

    if (!book)
        return 0; /* two offers in a row: the first RELOAD took the second one */
    uint64_t changed = auth_changed_lists(shard->book, book);

    auth_book_unref(shard->book);
    shard->book = book;
    return changed;
}

/* -- life -- */

bool rights_open(struct rights *rights, const struct config *config)
{
    *rights = (struct rights){.config = config};
    rights->book = auth_book_load(config, rights->error);
    return rights->book != NULL;
}

void rights_lay_out(struct rights *rights, struct mesh *mesh)
{
    rights->mesh = mesh;
    rights->io_auths = calloc(mesh->io_count, sizeof(*rights->io_auths));
    rights->shards = calloc(mesh->shard_count, sizeof(*rights->shards));
    must(rights->io_auths && rights->shards);
    for (uint32_t i = 0; i < mesh->shard_count; i++) {
        struct rights_shard *shard = &rights->shards[i];

        shard->book = auth_book_ref(rights->book);
        shard->judge = (struct shard_judge){.may = may, .reload = take_offer, .context = shard};
    }
}

const struct shard_judge *rights_judge(struct rights *rights, uint32_t shard_index)
{
    return &rights->shards[shard_index].judge;
}

bool rights_start(struct rights *rights, uint32_t first_helper, struct mem *mems)
{
    uint32_t worker_count = rights_worker_count(rights->config);
    struct auth_workers_options options = {.worker_count = worker_count,
                                           .queue_count_max =
                                               queue_count_max(rights->config, worker_count),
                                           .done = on_verdict,
                                           .context = rights,
                                           .mems = mems};

    rights->first_helper = first_helper;
    if (worker_count == 0)
        return true;
    rights->workers = auth_workers_open(&options);
    if (!rights->workers)
        snprintf(rights->error, sizeof(rights->error),
                 "cannot start a thread that checks passwords: %s", strerror(errno));
    return rights->workers != NULL;
}

void rights_give(struct rights *rights, struct io *io, uint32_t io_index)
{
    io_auth_init(io, &rights->io_auths[io_index], rights->book, rights->workers);
}

void rights_stop(struct rights *rights)
{
    auth_workers_close(rights->workers);
    rights->workers = NULL;
}

void rights_close(struct rights *rights)
{
    must(!rights->workers);
    for (uint32_t i = 0; rights->shards && i < rights->mesh->shard_count; i++) {
        auth_book_unref(rights->shards[i].book);
        auth_book_unref(atomic_load_explicit(&rights->shards[i].offered, memory_order_relaxed));
    }
    free(rights->shards);
    free(rights->io_auths);
    auth_book_unref(rights->book);
    *rights = (struct rights){0};
}

/* -- reload -- */

struct auth_book *rights_load(struct rights *rights)
{
    struct auth_book *fresh = auth_book_load(rights->config, rights->error);

    rights->is_stale = !fresh;
    if (!fresh) {
        rights->reload_failures_count++;
        log_event(LOG_LEVEL_ERROR, "auth.reload_failed", "the old accounts and rules stay: %s",
                  rights->error);
    }
    return fresh;
}

void rights_adopt(struct rights *rights, struct auth_book *fresh)
{
    auth_book_unref(rights->book);
    rights->book = fresh;
    rights->reloads_count++;
    for (uint32_t i = 0; i < rights->mesh->io_count; i++)
        io_auth_offer(&rights->io_auths[i], fresh);
    for (uint32_t i = 0; i < rights->mesh->shard_count; i++)
        auth_book_unref(atomic_exchange_explicit(&rights->shards[i].offered, auth_book_ref(fresh),
                                                 memory_order_acq_rel));
    log_event(LOG_LEVEL_INFO, "auth.reloaded", "accounts and rules of %u instances",
              fresh->instance_count);
}
