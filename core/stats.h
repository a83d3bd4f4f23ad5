/*
 * core/stats.h — counters: written by one actor, readable by any, free of shared cache lines.
 *
 * Each actor embeds its own array; a description (name, unit, help) stands in the same list as the
 * enum, so what operators see is declared where it is counted.
 */
#pragma once

#include <stdatomic.h>

#include "core/must.h"

/* Thread: the one writer. A plain load and store, no locked instruction. */
static inline void counter_add(_Atomic uint64_t *at, uint64_t amount)
{
    uint64_t now = atomic_load_explicit(at, memory_order_relaxed);
    atomic_store_explicit(at, now + amount, memory_order_relaxed);
}

static inline void counter_set(_Atomic uint64_t *at, uint64_t value)
{
    atomic_store_explicit(at, value, memory_order_relaxed);
}

static inline uint64_t counter_read(const _Atomic uint64_t *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

struct stat_desc {
    const char *name; /* "messages_in_total"; a name without _total is a gauge */
    const char *unit;
    const char *help;
};
