/*
 * core/mem.c — see core/mem.h. Thread: each account belongs to one; the budget is shared.
 */
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

#include "core/limits.h"

/* Of the limit, for the holes that a load makes within the second before anybody looks: without it
 * 2.7 MB above 32 were seen (bench/abuse.py memory). */
#define MEASURED_MARGIN 16

static const char *const kind_names[MEM_KIND_COUNT] = {
#define X(name, text) [MEM_##name] = #name,
    MEM_KINDS(X)
#undef X
};

static const char *const kind_texts[MEM_KIND_COUNT] = {
#define X(name, text) [MEM_##name] = text,
    MEM_KINDS(X)
#undef X
};

const char *mem_kind_name(enum mem_kind kind)
{
    must(kind < MEM_KIND_COUNT);
    return kind_names[kind];
}

const char *mem_kind_text(enum mem_kind kind)
{
    must(kind < MEM_KIND_COUNT);
    return kind_texts[kind];
}

size_t mem_cost(size_t bytes)
{
    /* glibc: 8 bytes of header, steps of 16, at least 32. */
    size_t rounded = (bytes + 8 + 15) & ~(size_t)15;
    return rounded < 32 ? 32 : rounded;
}

void mem_budget_init(struct mem_budget *budget, uint64_t limit_bytes)
{
    atomic_init(&budget->used_bytes, 0);
    atomic_init(&budget->beside_bytes, 0);
    mem_budget_set_limit(budget, limit_bytes);
}

void mem_budget_set_limit(struct mem_budget *budget, uint64_t limit_bytes)
{
    must(limit_bytes > 0 && limit_bytes <= INT64_MAX);
    int64_t beside = atomic_load_explicit(&budget->beside_bytes, memory_order_relaxed);

    /* Its share of the old limit may be all of a smaller one. */
    if (beside > (int64_t)limit_bytes / 2)
        atomic_store_explicit(&budget->beside_bytes, (int64_t)limit_bytes / 2,
                              memory_order_relaxed);
    atomic_store_explicit(&budget->limit_bytes, (int64_t)limit_bytes, memory_order_relaxed);
}

void mem_init(struct mem *mem, struct mem_budget *budget)
{
    memset(mem, 0, sizeof(*mem));
    mem->budget = budget;
}

void mem_deinit(struct mem *mem, struct mem *heir)
{
    int64_t unsettled = mem->unsettled_bytes;

    /* The kinds move over whole; of their sum only what the budget does not know yet. */
    for (int kind = 0; kind < MEM_KIND_COUNT; kind++) {
        int64_t bytes = atomic_load_explicit(&mem->kind_bytes[kind], memory_order_relaxed);

        unsettled -= bytes;
        mem_count(heir, (enum mem_kind)kind, bytes);
    }
    heir->unsettled_bytes += unsettled;
}

static int64_t budget_used(const struct mem_budget *budget)
{
    return atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
}

int64_t mem_budget_room(const struct mem_budget *budget)
{
    return mem_budget_limit(budget) -
           atomic_load_explicit(&budget->beside_bytes, memory_order_relaxed);
}

void mem_budget_measured(struct mem_budget *budget, uint64_t resident_bytes)
{
    int64_t beside = (int64_t)resident_bytes - budget_used(budget);

    if (beside < 0)
        beside = 0; /* much is allocated that nobody has touched yet */
    int64_t limit = mem_budget_limit(budget);

    beside += limit / MEASURED_MARGIN;
    if (beside > limit / 2)
        beside = limit / 2;
    atomic_store_explicit(&budget->beside_bytes, beside, memory_order_relaxed);
}

bool mem_is_tight(const struct mem_budget *budget)
{
    return budget_used(budget) > mem_budget_room(budget) - mem_budget_limit(budget) / 16;
}

void mem_count(struct mem *mem, enum mem_kind kind, int64_t bytes)
{
    int64_t now = atomic_load_explicit(&mem->kind_bytes[kind], memory_order_relaxed) + bytes;

    atomic_store_explicit(&mem->kind_bytes[kind], now, memory_order_relaxed);
    mem->unsettled_bytes += bytes;
    if (mem->unsettled_bytes < LIMIT_MEM_STEP_BYTES && mem->unsettled_bytes > -LIMIT_MEM_STEP_BYTES)
        return;
    atomic_fetch_add_explicit(&mem->budget->used_bytes, mem->unsettled_bytes, memory_order_relaxed);
    mem->unsettled_bytes = 0;
}

static bool mem_may_take(struct mem *mem, size_t bytes)
{
    bool injected = mem->fail_at > 0 && --mem->fail_at == 0;
    int64_t after = budget_used(mem->budget) + mem->unsettled_bytes + (int64_t)bytes;

    if (!injected && after <= mem_budget_room(mem->budget))
        return true;
    uint64_t refused = atomic_load_explicit(&mem->refused_count, memory_order_relaxed);
    atomic_store_explicit(&mem->refused_count, refused + 1, memory_order_relaxed);
    return false;
}

void *mem_alloc(struct mem *mem, enum mem_kind kind, size_t bytes)
{
    if (!mem_may_take(mem, mem_cost(bytes)))
        return NULL;
    return mem_alloc_always(mem, kind, bytes);
}

void *mem_alloc_zero(struct mem *mem, enum mem_kind kind, size_t bytes)
{
    void *block = mem_alloc(mem, kind, bytes);

    if (block)
        memset(block, 0, bytes);
    return block;
}

void *mem_alloc_always(struct mem *mem, enum mem_kind kind, size_t bytes)
{
    void *block = malloc(bytes);

    must(block); /* the machine itself is out of memory: nothing sensible is left to do */
    mem_count(mem, kind, (int64_t)mem_cost(bytes));
    return block;
}

void *mem_alloc_lines(struct mem *mem, enum mem_kind kind, size_t bytes)
{
    size_t rounded = (bytes + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
    void *block = aligned_alloc(CACHE_LINE, rounded);

    must(block);
    mem_count(mem, kind, (int64_t)mem_cost(bytes));
    return block;
}

void mem_free(struct mem *mem, enum mem_kind kind, void *block, size_t bytes)
{
    if (!block)
        return;
    free(block);
    mem_count(mem, kind, -(int64_t)mem_cost(bytes));
}

void *mem_resize(struct mem *mem, enum mem_kind kind, void *block, size_t old_bytes,
                 size_t new_bytes)
{
    if (!block)
        return mem_alloc(mem, kind, new_bytes);
    if (new_bytes > old_bytes && !mem_may_take(mem, mem_cost(new_bytes)))
        return NULL; /* both blocks may live for a moment: so the whole new size is asked for */

    void *grown = realloc(block, new_bytes);
    must(grown);
    mem_count(mem, kind, (int64_t)mem_cost(new_bytes) - (int64_t)mem_cost(old_bytes));
    return grown;
}
