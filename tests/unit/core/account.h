/*
 * tests/unit/core/account.h — one memory account for a test, and what is left in it.
 *
 * A test that ends with account_bytes() == 0 gave everything back, with the kind and the size it
 * was taken with.
 */
#pragma once

#include "core/mem.h"

#define ACCOUNT_LIMIT_BYTES (256u << 20)

static struct mem_budget account_budget;
static struct mem account;

static inline void account_open(void)
{
    mem_budget_init(&account_budget, ACCOUNT_LIMIT_BYTES);
    mem_init(&account, &account_budget);
}

/* What @mem holds of all kinds. */
static inline int64_t mem_total(const struct mem *mem)
{
    int64_t total = 0;

    for (int kind = 0; kind < MEM_KIND_COUNT; kind++)
        total += atomic_load_explicit(&mem->kind_bytes[kind], memory_order_relaxed);
    return total;
}

static inline int64_t account_bytes(void)
{
    return mem_total(&account);
}

/* Has every kind been given back by itself? Sums alone would hide a wrong kind. */
static inline bool account_is_empty(void)
{
    for (int kind = 0; kind < MEM_KIND_COUNT; kind++)
        if (atomic_load_explicit(&account.kind_bytes[kind], memory_order_relaxed) != 0)
            return false;
    return true;
}
