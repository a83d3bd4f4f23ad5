/*
 * core/members.c — see core/members.h. Thread: the owner's.
 *
 * A word:  63 … 44 slot │ 43 … 28 generation │ 27 … 16 host │ 15 … 0 flags.
 * The generation of a live connection is never 0, so no member is the word 0.
 */
#include "core/members.h"

#include <string.h>

#include "core/limits.h"

static_assert(LIMIT_CONNS_PER_IO <= 1u << 20, "a member's slot has 20 bits");
static_assert(LIMIT_HOSTS <= 1u << 12, "a member's host has 12 bits");

#define FLAG_BITS           0xffffull
#define CAPACITY_FIRST_LOG2 2u

static uint64_t word_of(struct conn_handle conn)
{
    must(conn.generation != 0);
    must(conn.slot_index < LIMIT_CONNS_PER_IO && conn.host_index < LIMIT_HOSTS);
    return (uint64_t)conn.slot_index << 44 | (uint64_t)conn.generation << 28 |
           (uint64_t)conn.host_index << 16;
}

static struct conn_handle handle_of(uint64_t word)
{
    return (struct conn_handle){.host_index = (word >> 16) & 0xfff,
                                .generation = (uint16_t)(word >> 28),
                                .slot_index = (uint32_t)(word >> 44)};
}

/* -- the two forms -- */

static uint64_t only_of(const struct members *members)
{
    uint64_t word;

    memcpy(&word, members->place, sizeof(word));
    return word;
}

static void set_only(struct members *members, uint64_t word)
{
    memcpy(members->place, &word, sizeof(word));
}

static uint64_t *slots_of(const struct members *members)
{
    uint64_t *slots = NULL;

    static_assert(sizeof(slots) <= sizeof(members->place), "a pointer fits where a word does");
    memcpy(&slots, members->place, sizeof(slots));
    return slots;
}

static uint32_t capacity_of(const struct members *members)
{
    return members->capacity_log2 ? 1u << members->capacity_log2 : 0;
}

/* -- slots -- */

static uint32_t home_of(uint64_t key, uint32_t capacity)
{
    return (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & (capacity - 1);
}

/* The slot that holds @key, or the empty one where it would go. */
static uint64_t *slot_of(uint64_t *slots, uint32_t capacity, uint64_t key)
{
    uint32_t at = home_of(key, capacity);

    while (slots[at] != 0 && (slots[at] & ~FLAG_BITS) != key)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

/* The word of @key, 0 when it is not in. *@slot: where it lies; NULL in the one-member form. */
static uint64_t find(const struct members *members, uint64_t key, uint64_t **slot)
{
    *slot = NULL;
    if (members->capacity_log2 == 0) {
        uint64_t only = members->count ? only_of(members) : 0;
        return (only & ~FLAG_BITS) == key ? only : 0;
    }
    *slot = slot_of(slots_of(members), capacity_of(members), key);
    return **slot;
}

static void set_word(struct members *members, uint64_t *slot, uint64_t word)
{
    if (slot)
        *slot = word;
    else
        set_only(members, word);
}

static bool resize(struct members *members, struct mem *mem, uint32_t capacity_log2)
{
    uint32_t capacity = 1u << capacity_log2;
    uint32_t old_capacity = capacity_of(members);
    uint64_t *slots = mem_alloc_zero(mem, MEM_MEMBER, sizeof(*slots) * capacity);

    if (!slots)
        return false;
    if (old_capacity == 0 && members->count == 1) {
        uint64_t only = only_of(members);
        *slot_of(slots, capacity, only & ~FLAG_BITS) = only;
    }
    uint64_t *old = old_capacity ? slots_of(members) : NULL;
    for (uint32_t i = 0; i < old_capacity; i++)
        if (old[i])
            *slot_of(slots, capacity, old[i] & ~FLAG_BITS) = old[i];
    mem_free(mem, MEM_MEMBER, old, sizeof(*old) * old_capacity);
    memcpy(members->place, &slots, sizeof(slots));
    members->capacity_log2 = capacity_log2 & 31u;
    return true;
}

/* -- the set -- */

enum members_result members_add(struct members *members, struct mem *mem, struct conn_handle conn,
                                uint32_t flags)
{
    uint64_t key = word_of(conn);
    uint32_t capacity = capacity_of(members);
    uint64_t *slot;
    uint64_t word = find(members, key, &slot);

    if (word) {
        set_word(members, slot, word | flags);
        return (word & flags) == flags ? MEMBERS_SAME : MEMBERS_CHANGED;
    }
    if (members->count == 0 && capacity == 0) {
        set_only(members, key | flags);
        members->count = 1;
        return MEMBERS_ADDED;
    }
    if (members->count + 1u > capacity - capacity / 4 &&
        !resize(members, mem, capacity ? members->capacity_log2 + 1u : CAPACITY_FIRST_LOG2))
        return MEMBERS_NO_MEMORY;
    *slot_of(slots_of(members), capacity_of(members), key) = key | flags;
    members->count++;
    return MEMBERS_ADDED;
}

bool members_find(const struct members *members, struct conn_handle conn, uint32_t *flags)
{
    uint64_t *slot;
    uint64_t word = find(members, word_of(conn), &slot);

    *flags = (uint32_t)(word & FLAG_BITS);
    return word != 0;
}

void members_clear(struct members *members, struct conn_handle conn, uint32_t flags)
{
    uint64_t *slot;
    uint64_t word = find(members, word_of(conn), &slot);

    must(word);
    set_word(members, slot, word & ~(uint64_t)flags);
}

/* Close the hole at @hole by shifting back those that probed past it. */
static void shift_back(uint64_t *slots, uint32_t capacity, uint32_t hole)
{
    uint32_t mask = capacity - 1;

    for (uint32_t at = (hole + 1) & mask; slots[at] != 0; at = (at + 1) & mask) {
        uint32_t home = home_of(slots[at] & ~FLAG_BITS, capacity);

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            slots[hole] = slots[at];
            hole = at;
        }
    }
    slots[hole] = 0;
}

bool members_remove(struct members *members, struct mem *mem, struct conn_handle conn,
                    uint32_t *flags)
{
    uint64_t *slot;
    uint64_t word = find(members, word_of(conn), &slot);
    uint32_t capacity = capacity_of(members);

    *flags = (uint32_t)(word & FLAG_BITS);
    if (!word)
        return false;
    members->count--;
    if (members->count == 0)
        members_deinit(members, mem);
    else {
        shift_back(slots_of(members), capacity, (uint32_t)(slot - slots_of(members)));
        if (capacity > 16 && members->count < capacity / 8)
            (void)resize(members, mem, members->capacity_log2 - 2u); /* no memory: stays large */
    }
    return true;
}

bool members_next(const struct members *members, uint32_t *cursor, struct conn_handle *conn,
                  uint32_t *flags)
{
    uint32_t capacity = capacity_of(members);
    uint64_t word = 0;

    if (capacity == 0) {
        if (*cursor == 0 && members->count == 1)
            word = only_of(members);
        *cursor = 1;
    }
    while (word == 0 && *cursor < capacity)
        word = slots_of(members)[(*cursor)++];
    if (word == 0)
        return false;
    *conn = handle_of(word);
    *flags = (uint32_t)(word & FLAG_BITS);
    return true;
}

void members_deinit(struct members *members, struct mem *mem)
{
    if (members->capacity_log2 > 0)
        mem_free(mem, MEM_MEMBER, slots_of(members), sizeof(uint64_t) * capacity_of(members));
    memset(members, 0, sizeof(*members));
}
