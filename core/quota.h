/*
 * core/quota.h — the limits that hold over several actors: how many there may be, and are.
 *
 * Shared counters, touched when something is made or goes, never per message: but for the meters
 * of an instance, where its messages a second are limited. Any thread.
 */
#pragma once

#include <stdatomic.h>

#include "core/config.h"
#include "core/meter.h"
#include "core/must.h"

struct quota {
    _Atomic uint32_t used_count;
    _Atomic uint32_t count_max; /* changed by main only, when the configuration is read again */
};

/* One more, unless that would be over the limit. */
MUST_CHECK static inline bool quota_take(struct quota *quota)
{
    if (atomic_fetch_add_explicit(&quota->used_count, 1, memory_order_relaxed) <
        atomic_load_explicit(&quota->count_max, memory_order_relaxed))
        return true;
    atomic_fetch_sub_explicit(&quota->used_count, 1, memory_order_relaxed);
    return false;
}

static inline void quota_give(struct quota *quota)
{
    uint32_t before = atomic_fetch_sub_explicit(&quota->used_count, 1, memory_order_relaxed);
    must(before > 0);
}

static inline uint32_t quota_max(const struct quota *quota)
{
    return atomic_load_explicit(&quota->count_max, memory_order_relaxed);
}

static inline uint32_t quota_used(const struct quota *quota)
{
    return atomic_load_explicit(&quota->used_count, memory_order_relaxed);
}

/* Quotas of one broker instance. */
struct instance_quotas {
    struct quota topics;
    struct quota subscriptions;
    struct quota subtopics;
    struct quota pending; /* requests of clients that shards, or the script, have not answered */
    struct shared_meter message_meter;
    struct shared_meter byte_meter;
};

struct quotas {
    struct quota connections; /* clients that have had Connack 0 */
    struct quota handshakes;  /* accepted, not yet that far */
    struct quota pages;       /* connections that ask for web pages */
    struct quota topics;      /* over all instances */
    struct quota subscriptions;
    struct instance_quotas *instances; /* [config->instance_count] */
};

/* Only main: allocate and set from the configuration; free. */
void quotas_init(struct quotas *quotas, const struct config *config);
void quotas_deinit(struct quotas *quotas);

/* Other limits, while all run: what is used stays, also where it is more now. Debts of the meters
 * are forgotten: they were made at another rate. Only main. */
void quotas_update(struct quotas *quotas, const struct config *config);
