/*
 * core/mesh.h — who can talk to whom: every actor's port, and the lanes between them.
 *
 *      index:  0 …                    host_count …    then one     the rest
 *      actor:  I/O actors │ locals  │ router shards │ control   │ signers
 *              └───── hosts ──────┘
 *
 * A host is an actor that holds clients: an I/O actor holds connections, a local one has clients
 * without a socket (core/local_client.h). To a shard they are alike, so a host's index is its bit
 * in a topic's mask and names it in a conn_handle.
 *
 * Hosts and shards are joined both ways, I/O actors and locals too, and control with all of them;
 * I/O actors never talk to each other, nor locals, nor shards. Signers (threads of tls/signer.h)
 * only push, and only to I/O actors. A port belongs to one actor; it remembers whom it pushed to,
 * so that each sleeper is woken once per batch. A port can also be built without threads
 * (simulation).
 */
#pragma once

#include "core/lane.h"
#include "core/limits.h"

struct port {
    struct mesh *mesh;
    uint16_t index;
    uint16_t touched_count; /* how many of touched[] have been pushed to since the last wake */
    uint16_t backlog_count; /* lanes with a spill */
    uint8_t touched[LIMIT_ACTORS];
    bool is_touched[LIMIT_ACTORS];
};

struct mesh {
    uint32_t io_count;
    uint32_t host_count; /* io_count and the locals */
    uint32_t shard_count;
    uint32_t signer_count;
    uint32_t actor_count;    /* host_count + shard_count + 1 + signer_count */
    struct port *ports;      /* [actor_count] */
    struct lane **lanes;     /* [from * actor_count + to]; NULL where nobody talks */
    struct parker **parkers; /* [actor_count]; inline shards share their I/O actor's */
    struct mem *mem;         /* the lanes' memory; main's account */
};

/* Who takes part. */
struct mesh_size {
    uint32_t io_count;
    uint32_t local_count;
    uint32_t shard_count;
    uint32_t signer_count;
    uint32_t slot_count; /* of the lanes between hosts and shards */
};

/* Build all lanes. @parkers[i] is where actor i sleeps (NULL for signers), @mems[i] its account;
 * both stay the caller's and must outlive the mesh. Only main, before the threads start. */
void mesh_init_sized(struct mesh *mesh, const struct mesh_size *size, struct parker **parkers,
                     struct mem **mems);

/* The same, without locals and signers. */
void mesh_init(struct mesh *mesh, uint32_t io_count, uint32_t shard_count, uint32_t slot_count,
               struct parker **parkers, struct mem **mems);
void mesh_deinit(struct mesh *mesh); /* after every thread has joined */

static inline uint32_t mesh_local_index(const struct mesh *mesh, uint32_t local)
{
    return mesh->io_count + local;
}

static inline uint32_t mesh_shard_index(const struct mesh *mesh, uint32_t shard)
{
    return mesh->host_count + shard;
}

static inline uint32_t mesh_control_index(const struct mesh *mesh)
{
    return mesh->host_count + mesh->shard_count;
}

static inline uint32_t mesh_signer_index(const struct mesh *mesh, uint32_t signer)
{
    return mesh_control_index(mesh) + 1 + signer;
}

/* Which shard owns a number (TID or ETID), and which a name (by its keyed hash). Ids are drawn so
 * that a name and its number have the same owner. */
static inline uint32_t mesh_shard_of_id(const struct mesh *mesh, uint32_t id)
{
    return id % mesh->shard_count;
}

static inline uint32_t mesh_shard_of_hash(const struct mesh *mesh, uint64_t hash)
{
    return (uint32_t)(hash >> 32) % mesh->shard_count;
}

/* Push to actor @to. Thread: the port's. Takes the msg reference. */
void port_push(struct port *port, uint32_t to, struct envelope envelope);

/* How many more envelopes to actor @to surely fit, so that the port stays clear. For what can wait:
 * a list, not an answer. Thread: the port's. */
uint32_t port_room(const struct port *port, uint32_t to);

/* Wake everybody pushed to since the last call, move spills on. Thread: the port's; once a batch.
 * Returns: are all spills empty? If not, take in no new work. */
bool port_flush(struct port *port);

/* Is nothing stuck? Cheap. */
static inline bool port_is_clear(const struct port *port)
{
    return port->backlog_count == 0;
}

/* Pop the next envelope sent to this port by actor @from. Thread: the port's. */
MUST_CHECK bool port_pop(struct port *port, uint32_t from, struct envelope *out);

/* Does any lane into this port hold something? Thread: the port's. */
bool port_has_mail(const struct port *port);
