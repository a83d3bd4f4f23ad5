/* core/pool.c — see core/pool.h. Thread: the owner's. */
#include "core/pool.h"

#include <string.h>

static size_t chunk_bytes(const struct pool *pool)
{
    return sizeof(struct pool_chunk) + (size_t)POOL_CHUNK_SLOTS * pool->object_bytes;
}

void pool_init(struct pool *pool, enum mem_kind kind, size_t object_bytes)
{
    must(object_bytes > 0);
    *pool = (struct pool){.kind = kind, .object_bytes = (uint32_t)(object_bytes + 7) & ~7u};
}

void pool_deinit(struct pool *pool, struct mem *mem)
{
    for (uint32_t i = 0; i < pool->chunk_count; i++)
        mem_free(mem, pool->kind, pool->chunks[i], chunk_bytes(pool));
    mem_free(mem, pool->kind, pool->chunks, sizeof(*pool->chunks) * pool->chunk_capacity);
    pool_init(pool, pool->kind, pool->object_bytes);
}

/* Make room for one more entry in chunks[]. */
static bool grow_directory(struct pool *pool, struct mem *mem)
{
    uint32_t capacity = pool->chunk_capacity ? pool->chunk_capacity * 2 : 8;
    struct pool_chunk **grown =
        mem_resize(mem, pool->kind, pool->chunks, sizeof(*grown) * pool->chunk_capacity,
                   sizeof(*grown) * capacity);

    if (!grown)
        return false;
    pool->chunks = grown;
    pool->chunk_capacity = capacity;
    return true;
}

/* The first chunk with room, made when there is none. */
static struct pool_chunk *chunk_with_room(struct pool *pool, struct mem *mem, uint32_t *chunk_index)
{
    uint32_t empty_index = UINT32_MAX;

    for (uint32_t i = pool->first_room; i < pool->chunk_count; i++) {
        if (pool->chunks[i] && pool->chunks[i]->used_mask != UINT64_MAX) {
            pool->first_room = empty_index < i ? empty_index : i;
            *chunk_index = i;
            return pool->chunks[i];
        }
        if (!pool->chunks[i] && empty_index == UINT32_MAX)
            empty_index = i;
    }
    if (empty_index == UINT32_MAX) {
        if (pool->chunk_count == pool->chunk_capacity && !grow_directory(pool, mem))
            return NULL;
        empty_index = pool->chunk_count;
        pool->chunks[pool->chunk_count++] = NULL;
    }
    struct pool_chunk *chunk = mem_alloc(mem, pool->kind, chunk_bytes(pool));
    if (!chunk)
        return NULL;
    chunk->used_mask = 0;
    pool->chunks[empty_index] = chunk;
    pool->first_room = empty_index;
    *chunk_index = empty_index;
    return chunk;
}

void *pool_get(struct pool *pool, struct mem *mem, uint32_t *index)
{
    uint32_t chunk_index;
    struct pool_chunk *chunk = chunk_with_room(pool, mem, &chunk_index);

    if (!chunk) {
        if (pool->used_count == 0) /* the directory may have been made for this chunk */
            pool_deinit(pool, mem);
        return NULL;
    }
    uint32_t slot = (uint32_t)__builtin_ctzll(~chunk->used_mask);
    void *object = chunk->objects + (size_t)slot * pool->object_bytes;

    chunk->used_mask |= 1ull << slot;
    pool->used_count++;
    memset(object, 0, pool->object_bytes);
    *index = chunk_index * POOL_CHUNK_SLOTS + slot;
    return object;
}

void pool_put(struct pool *pool, struct mem *mem, uint32_t index)
{
    uint32_t chunk_index = index / POOL_CHUNK_SLOTS;
    struct pool_chunk *chunk = pool->chunks[chunk_index];
    uint64_t bit = 1ull << (index % POOL_CHUNK_SLOTS);

    must(chunk && (chunk->used_mask & bit));
    chunk->used_mask &= ~bit;
    pool->used_count--;
    if (chunk_index < pool->first_room)
        pool->first_room = chunk_index;
    if (chunk->used_mask != 0)
        return;
    mem_free(mem, pool->kind, chunk, chunk_bytes(pool));
    pool->chunks[chunk_index] = NULL;
    if (pool->used_count == 0)
        pool_deinit(pool, mem);
}

uint32_t pool_next_used(const struct pool *pool, uint32_t from)
{
    for (uint32_t i = from / POOL_CHUNK_SLOTS; i < pool->chunk_count; i++) {
        uint32_t first = i == from / POOL_CHUNK_SLOTS ? from % POOL_CHUNK_SLOTS : 0;
        uint64_t mask = pool->chunks[i] ? pool->chunks[i]->used_mask & (UINT64_MAX << first) : 0;

        if (mask)
            return i * POOL_CHUNK_SLOTS + (uint32_t)__builtin_ctzll(mask);
    }
    return UINT32_MAX;
}
