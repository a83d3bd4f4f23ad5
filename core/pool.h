/*
 * core/pool.h — objects of one size, named by a 32-bit index, in chunks that come and go.
 *
 * An index stays valid until pool_put; the object never moves. A chunk whose last object is put
 * goes back to malloc, so a storm leaves nothing behind. Thread: the owner's.
 */
#pragma once

#include "core/mem.h"

#define POOL_CHUNK_SLOTS 64u /* one bit each in the chunk's mask */

struct pool_chunk {
    uint64_t used_mask;
    uint8_t objects[] __attribute__((aligned(16)));
};

struct pool {
    struct pool_chunk **chunks;
    uint32_t chunk_capacity; /* entries in chunks[] */
    uint32_t chunk_count;    /* entries ever used; some may be NULL */
    uint32_t first_room;     /* no chunk before this one has room */
    uint32_t used_count;
    uint32_t object_bytes; /* rounded up to a multiple of 8 */
    enum mem_kind kind;
};

void pool_init(struct pool *pool, enum mem_kind kind, size_t object_bytes);
void pool_deinit(struct pool *pool, struct mem *mem);

/* Gives a zeroed object and its index. NULL: over the memory limit. */
MUST_CHECK void *pool_get(struct pool *pool, struct mem *mem, uint32_t *index);

/* Take the object back. Its index may be given out again at once. */
void pool_put(struct pool *pool, struct mem *mem, uint32_t index);

/* The object with this index, which must be in use (asserted for the chunk). */
static inline void *pool_at(const struct pool *pool, uint32_t index)
{
    struct pool_chunk *chunk = pool->chunks[index / POOL_CHUNK_SLOTS];

    must(chunk);
    return chunk->objects + (size_t)(index % POOL_CHUNK_SLOTS) * pool->object_bytes;
}

/* Walk all in use: the index of the first at or after @from, or UINT32_MAX. */
uint32_t pool_next_used(const struct pool *pool, uint32_t from);
