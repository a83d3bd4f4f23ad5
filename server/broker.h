/*
 * server/broker.h — all actors of one smqd, put together and taken apart.
 *
 * Thread: main only. While the actors run, main is the control actor (server/control.c).
 */
#pragma once

#include "core/guard.h"
#include "core/log_writer.h"
#include "core/shard.h"
#include "net/reactor.h"
#include "server/live.h"
#include "server/rights.h"
#include "server/scripts.h"
#include "server/secrets.h"
#include "webui/web.h"

#define BROKER_ERROR_BYTES 512

struct broker {
    const struct config *config;  /* of the start: listeners, instances, threads, files */
    struct live live;             /* ... and what of it is in force now */
    uint64_t machine_share_bytes; /* limits.memory when the configuration says 0 */
    struct mem_budget budget;
    struct mem control_mem;
    struct quotas quotas;
    struct guard guard; /* what one address may, and who is banned */
    struct mesh mesh;
    struct parker control_parker;
    struct parker **parkers;       /* [actor_count] as the mesh wants them */
    struct mem **mems;             /* [actor_count] */
    struct parker *thread_parkers; /* [thread_count] I/O threads, then router threads */
    uint32_t thread_count;
    uint32_t io_count;
    uint32_t host_count; /* io_count and local actors: where the shards begin */
    uint32_t shard_count;
    bool inline_shards;          /* shards run in the I/O threads' turn */
    struct reactor *reactors;    /* [io_count] */
    struct shard *shards;        /* [shard_count] */
    pthread_t *shard_threads;    /* [shard_count] when not inline */
    struct log_lane **log_lanes; /* [log_lane_count]: I/O actors, web, scripts, shards, control */
    uint32_t log_lane_count;
    struct secrets secrets;
    struct io_secure *io_secures; /* [io_count] in use when secrets.set is set */
    struct rights rights;         /* accounts, keys, access lists */
    struct mem *helper_mems;      /* [mesh.signer_count] signers, then password checkers */
    struct web *web;              /* NULL: web.enabled is off */
    struct web_source web_source;
    struct mem web_mem;
    struct parker web_parker;
    pthread_t web_thread;
    struct scripts scripts;
    pthread_t main_thread;       /* who made it, and runs control */
    struct siphash_key name_key; /* of names and UIDs: the same for all actors */
    uint16_t *ports;             /* [listener_count] the real port of each configured listener */
    int64_t start_time_ns;
};

/**
 * Build everything and open the listeners; nothing runs yet.
 *
 * @options: the command line that @config was made of. Keeps both.
 * Returns: STATUS_OK, or STATUS_SYSTEM / STATUS_NO_MEMORY with a reason in @error.
 */
MUST_CHECK enum status broker_init(struct broker *broker, const struct config *config,
                                   const struct options *options, char error[BROKER_ERROR_BYTES]);

/**
 * Make the web actor, when it is enabled; the data dir must be there.
 *
 * @first_password: as web_create() says; "" when there is no web.
 * Returns: STATUS_OK, or STATUS_SYSTEM with a reason in @error.
 */
MUST_CHECK enum status broker_make_web(struct broker *broker, char *first_password,
                                       char error[BROKER_ERROR_BYTES]);

/* Start all threads and wait until each says it runs. On failure the process must exit: some
 * threads may be running. */
MUST_CHECK enum status broker_start(struct broker *broker, char error[BROKER_ERROR_BYTES]);

/* Join all threads; control has told them to stop. Then free everything. */
void broker_join(struct broker *broker);
void broker_deinit(struct broker *broker);
