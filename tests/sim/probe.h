/*
 * tests/sim/probe.h — a look inside the actors: the one place of the simulation that knows how
 * shards and I/O actors keep their tables. Used at rest only. Thread: one.
 */
#pragma once

#include "tests/sim/world.h"

/* What the shard and the I/O actors together know about a topic. */
struct topic_probe {
    bool exists;
    uint32_t id;
    uint32_t subscriber_count;
    uint32_t holder_count; /* subscribers included */
    uint32_t observer_count;
};

/* By name, in the shard that owns it. */
struct topic_probe probe_topic(struct world *world, uint32_t instance, const struct name *name);

/* Is the connection a holder of, a subscriber to, an observer of this id, for the shard and for its
 * own I/O actor alike? Fails the run when the two disagree. */
struct hold_probe {
    bool is_held;
    bool is_subscribed;
    bool is_observing;
};
struct hold_probe probe_hold(struct world *world, uint32_t instance, uint32_t id, struct io *io,
                             const struct conn *conn);

/* How many ids a connection holds in any way, as its I/O actor has it. */
uint32_t probe_held_count(const struct conn *conn);

/* Which connection has this ETID: false when nobody has. */
bool probe_client(struct world *world, uint32_t instance, uint32_t etid, struct conn_handle *conn);

/* Does this number name a topic? */
bool probe_is_topic(struct world *world, uint32_t instance, uint32_t id);

/* Subscribers of a topic among one I/O actor's connections. */
uint32_t probe_local_subscriber_count(struct io *io, uint32_t instance, uint32_t id);
