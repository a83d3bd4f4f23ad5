/*
 * core/mem.h — every byte the broker allocates, counted by consumer and held under one limit.
 *
 *      actor's mem ──settles in steps of LIMIT_MEM_STEP_BYTES──> mem_budget (one for all)
 *
 * Each actor has a struct mem of its own, so counting costs two plain additions; only the sum
 * of what it did since the last settling goes to the shared budget. So the limit is exact to
 * within one step an actor. What is allocated by one actor and freed by another (a message) makes
 * one account negative and another positive: only the sums over all actors mean anything.
 *
 * Sizes are counted as malloc rounds them, so the sum is what was asked of malloc. What the process
 * has in RAM beside it (the program, stacks, holes in the heap) is measured now and then and taken
 * off the limit: so the limit is one of the process.
 */
#pragma once

#include <stdatomic.h>

#include "core/must.h"

/* name, what it is: the lines of the memory page */
#define MEM_KINDS(X)                                                                               \
    X(CONN, "connections")                                                                         \
    X(HELD, "ids held by connections")                                                             \
    X(FANOUT, "subscriber lists of the I/O actors")                                                \
    X(INPUT, "incomplete frames")                                                                  \
    X(OUTPUT, "output queues")                                                                     \
    X(MESSAGE, "messages and identities")                                                          \
    X(CLIENT, "clients in the shards")                                                             \
    X(TOPIC, "topics and names")                                                                   \
    X(MEMBER, "members and observers")                                                             \
    X(TABLE, "hash tables")                                                                        \
    X(LANE, "lanes between actors")                                                                \
    X(RECEIVE, "receive buffers and urings")                                                       \
    X(WEB, "web pages and log-ins")                                                                \
    X(SCRIPT, "scripts")                                                                           \
    X(TLS, "TLS sessions")                                                                         \
    X(OTHER, "everything else")

enum mem_kind {
#define X(name, text) MEM_##name,
    MEM_KINDS(X)
#undef X
        MEM_KIND_COUNT
};

const char *mem_kind_name(enum mem_kind kind);
const char *mem_kind_text(enum mem_kind kind);

/* What all actors together use. Any thread. */
struct mem_budget {
    alignas(CACHE_LINE) _Atomic int64_t used_bytes;
    _Atomic int64_t beside_bytes; /* of the limit, for what no account counts */
    _Atomic int64_t limit_bytes;  /* changed by main only, when the configuration is read again */
};

/* One actor's account. Owned by its thread; the counters may be read by any (relaxed). */
struct mem {
    struct mem_budget *budget;
    int64_t unsettled_bytes;
    uint64_t fail_at; /* tests: the n-th allocation from now fails; 0: none */
    _Atomic uint64_t refused_count;
    _Atomic int64_t kind_bytes[MEM_KIND_COUNT];
};

void mem_budget_init(struct mem_budget *budget, uint64_t limit_bytes);
void mem_init(struct mem *mem, struct mem_budget *budget);

/**
 * Take what the process has in RAM off the limit, as far as no account counts it, and a sixteenth
 * of the limit for what comes before the next look. But at most half of the limit: holes that a
 * load left in the heap are filled by the next one, so they must not keep everybody out.
 *
 * Thread: one, any; now and then, after freed memory has been given back.
 */
void mem_budget_measured(struct mem_budget *budget, uint64_t resident_bytes);

/* The limit. Any thread. */
static inline int64_t mem_budget_limit(const struct mem_budget *budget)
{
    return atomic_load_explicit(&budget->limit_bytes, memory_order_relaxed);
}

/* Another limit, while all run; mem_budget_measured should follow. Where more is used, new things
 * are refused and queues shed until it is less. */
void mem_budget_set_limit(struct mem_budget *budget, uint64_t limit_bytes);

/* What is left of the limit for all that is allocated. Any thread. */
int64_t mem_budget_room(const struct mem_budget *budget);

/* An account that ends before its budget: what it still counts goes to @heir, the caller's. */
void mem_deinit(struct mem *mem, struct mem *heir);

/**
 * Allocate @bytes, uninitialised.
 *
 * Thread:  the owner of @mem.
 * Gives:   the block; mem_free with the same kind and size, by any actor's account.
 * Returns: NULL when the limit is reached (counted): the caller refuses or sheds.
 */
MUST_CHECK void *mem_alloc(struct mem *mem, enum mem_kind kind, size_t bytes);

/* The same, zeroed. */
MUST_CHECK void *mem_alloc_zero(struct mem *mem, enum mem_kind kind, size_t bytes);

/* The same, never refused: for boot, and for the few bytes without which a close cannot go on. */
void *mem_alloc_always(struct mem *mem, enum mem_kind kind, size_t bytes);

/* Never refused, uninitialised, beginning on a cache line: for what two threads share. */
void *mem_alloc_lines(struct mem *mem, enum mem_kind kind, size_t bytes);

/* NULL is fine. Thread: the owner of @mem. */
void mem_free(struct mem *mem, enum mem_kind kind, void *block, size_t bytes);

/* Grow or shrink; on NULL the old block is untouched and still the caller's. */
MUST_CHECK void *mem_resize(struct mem *mem, enum mem_kind kind, void *block, size_t old_bytes,
                            size_t new_bytes);

/* Count bytes that were got another way (mmap, a library). Negative gives back. */
void mem_count(struct mem *mem, enum mem_kind kind, int64_t bytes);

/* Is less than a sixteenth of the budget left? Then new connections are refused and long queues
 * shed. Any thread. */
bool mem_is_tight(const struct mem_budget *budget);

/* What malloc really takes for @bytes. */
size_t mem_cost(size_t bytes);
