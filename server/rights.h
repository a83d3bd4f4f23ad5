/*
 * server/rights.h — the broker's accounts, keys and access lists: read, given to all actors, and
 * read again.
 *
 *      config, files --rights_open--> struct auth_book --> each I/O actor (net/auth.h), each shard
 *                        ^
 *      SIGHUP --rights_load, rights_adopt: whole, or the old ones stay in force
 *
 * Thread: main (as the control actor while the broker runs), but for the workers' and the shards'
 *         callbacks.
 */
#pragma once

#include "core/shard.h"
#include "net/auth.h"

/* How one shard gets at the rules. */
struct rights_shard {
    struct auth_book *book;              /* the shard's: in force, a reference */
    _Atomic(struct auth_book *) offered; /* by control, not yet taken: a reference */
    struct shard_judge judge;
};

struct rights {
    const struct config *config;
    struct mesh *mesh;
    struct auth_book *book;       /* in force: a reference */
    struct auth_workers *workers; /* NULL: no instance asks for passwords */
    struct io_auth *io_auths;     /* [io_count] */
    struct rights_shard *shards;  /* [shard_count] */
    uint32_t first_helper;        /* of the workers, among the mesh's signers */
    uint64_t reloads_count;
    uint64_t reload_failures_count;
    bool is_stale;                /* the last reload failed: */
    char error[AUTH_ERROR_BYTES]; /* why */
};

/* How many workers the mesh needs ports for. */
uint32_t rights_worker_count(const struct config *config);

/**
 * Read all files. Before anything else is made: it needs nothing, and is what people get wrong.
 *
 * Returns: false with the reason in rights->error.
 */
MUST_CHECK bool rights_open(struct rights *rights, const struct config *config);

/* What a shard is to ask; once the number of actors is known. */
void rights_lay_out(struct rights *rights, struct mesh *mesh);
const struct shard_judge *rights_judge(struct rights *rights, uint32_t shard_index);

/**
 * Start the workers, which push through their ports of the mesh from helper @first_helper on and
 * count in @mems, and give each of @ios its part.
 *
 * Returns: false with the reason in rights->error.
 */
MUST_CHECK bool rights_start(struct rights *rights, uint32_t first_helper, struct mem *mems);
void rights_give(struct rights *rights, struct io *io, uint32_t io_index);

/* End the workers: every connection is gone. Before the mesh is taken apart. */
void rights_stop(struct rights *rights);
void rights_close(struct rights *rights);

/* Read everything anew. Gives the new book; NULL: the reason is logged, and in rights->error. */
MUST_CHECK struct auth_book *rights_load(struct rights *rights);

/* From now on @fresh is in force: offered to all actors, to whom a RELOAD must follow. Takes it. */
void rights_adopt(struct rights *rights, struct auth_book *fresh);
