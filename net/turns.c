/* net/turns.c — see net/turns.h. Thread: the I/O actor's. */
#include "net/turns.h"

#include <string.h>

#define CAPACITY_MIN 64u

struct turn {
    struct conn_handle conn;
    uint32_t tick; /* of its beginning */
};

/* -- a ring -- */

static size_t ring_bytes(uint32_t capacity)
{
    return capacity * sizeof(struct turn);
}

static void ring_free(struct turns_ring *ring, struct mem *mem)
{
    mem_free(mem, MEM_OTHER, ring->slots, ring_bytes(ring->capacity));
    *ring = (struct turns_ring){0};
}

static struct turn *ring_at(const struct turns_ring *ring, uint32_t place)
{
    return &ring->slots[(ring->first + place) & (ring->capacity - 1)];
}

static bool ring_grow(struct turns_ring *ring, struct mem *mem)
{
    struct turns_ring grown = {.capacity = ring->capacity > 0 ? 2 * ring->capacity : CAPACITY_MIN,
                               .count = ring->count};

    grown.slots = mem_alloc(mem, MEM_OTHER, ring_bytes(grown.capacity));
    if (!grown.slots)
        return false;
    for (uint32_t i = 0; i < ring->count; i++)
        grown.slots[i] = *ring_at(ring, i);
    ring_free(ring, mem);
    *ring = grown;
    return true;
}

static bool ring_push(struct turns_ring *ring, struct mem *mem, struct turn turn)
{
    if (ring->count == ring->capacity && !ring_grow(ring, mem))
        return false;
    *ring_at(ring, ring->count++) = turn;
    return true;
}

static void ring_pop(struct turns_ring *ring, struct mem *mem)
{
    must(ring->count > 0);
    ring->first++;
    if (--ring->count == 0)
        ring_free(ring, mem);
}

/* -- turns -- */

void turns_init(struct turns *turns, uint32_t in_max)
{
    must(in_max > 0);
    *turns = (struct turns){.in_max = in_max};
}

void turns_deinit(struct turns *turns, struct mem *mem)
{
    ring_free(&turns->waiting, mem);
    ring_free(&turns->begun, mem);
}

bool turns_wait(struct turns *turns, struct mem *mem, struct conn_handle conn)
{
    return ring_push(&turns->waiting, mem, (struct turn){.conn = conn});
}

bool turns_next(struct turns *turns, struct mem *mem, struct conn_handle *conn)
{
    if (!turns_is_ready(turns))
        return false;
    *conn = ring_at(&turns->waiting, 0)->conn;
    ring_pop(&turns->waiting, mem);
    return true;
}

void turns_begin(struct turns *turns, struct mem *mem, struct conn_handle conn, uint32_t now_tick)
{
    must(turns->in_count < turns->in_max);
    turns->in_count++;
    /* Without memory to note it, its place is kept until it ends by itself. */
    (void)!ring_push(&turns->begun, mem, (struct turn){.conn = conn, .tick = now_tick});
}

void turns_end(struct turns *turns)
{
    must(turns->in_count > 0);
    turns->in_count--;
}

bool turns_expire(struct turns *turns, struct mem *mem, uint32_t now_tick, struct conn_handle *conn)
{
    if (turns->begun.count == 0)
        return false;
    const struct turn *oldest = ring_at(&turns->begun, 0);

    if ((int32_t)(now_tick - oldest->tick - TURNS_TICKS) < 0)
        return false;
    *conn = oldest->conn;
    ring_pop(&turns->begun, mem);
    return true;
}
