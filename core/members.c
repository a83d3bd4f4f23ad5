/*
 * core/members.c — see core/members.h. Thread: the owner's.
 *
 * A word:  63 … 44 slot │ 43 … 28 generation │ 27 … 16 I/O actor │ 15 … 0 flags.
 * The generation of a live connection is never 0, so no member is the word 0.
 */
#include "core/members.h"

#include <string.h>

#include "core/limits.h"

static_assert(LIMIT_CONNS_PER_IO <= 1u << 20, "a member's slot has 20 bits");
static_assert(LIMIT_IO_ACTORS <= 1u << 12, "a member's I/O actor has 12 bits");

#define FLAG_BITS      0xffffull
#define CAPACITY_FIRST 4u

static uint64_t word_of(struct conn_handle conn)
{
    must(conn.generation != 0);
    must(conn.slot_index < LIMIT_CONNS_PER_IO && conn.io_index < LIMIT_IO_ACTORS);
    return (uint64_t)conn.slot_index << 44 | (uint64_t)conn.generation << 28 |
           (uint64_t)conn.io_index << 16;
}

static struct conn_handle handle_of(uint64_t word)
{
    return (struct conn_handle){.io_index = (word >> 16) & 0xfff,
                                .generation = (uint16_t)(word >> 28),
                                .slot_index = (uint32_t)(word >> 44)};
}

static uint32_t home_of(uint64_t key, uint32_t capacity)
{
    return (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & (capacity - 1);
}

/* The slot that holds @key, or the empty one where it would go. */
static uint64_t *slot_of(const struct members *members, uint64_t key)
{
    uint32_t at = home_of(key, members->capacity);

    while (members->words[at] != 0 && (members->words[at] & ~FLAG_BITS) != key)
        at = (at + 1) & (members->capacity - 1);
    return &members->words[at];
}

/* Where @key is, or NULL. */
static uint64_t *find(const struct members *members, uint64_t key)
{
    if (members->capacity == 0) {
        uint64_t *only = (uint64_t *)(uintptr_t)&members->only;
        return members->count == 1 && (*only & ~FLAG_BITS) == key ? only : NULL;
    }
    uint64_t *slot = slot_of(members, key);
    return *slot ? slot : NULL;
}

static bool resize(struct members *members, struct mem *mem, uint32_t capacity)
{
    struct members old = *members;
    uint64_t *words = mem_alloc_zero(mem, MEM_MEMBER, sizeof(*words) * capacity);

    if (!words)
        return false;
    members->words = words;
    members->capacity = capacity;
    if (old.capacity == 0 && old.count == 1)
        *slot_of(members, old.only & ~FLAG_BITS) = old.only;
    for (uint32_t i = 0; i < old.capacity; i++)
        if (old.words[i])
            *slot_of(members, old.words[i] & ~FLAG_BITS) = old.words[i];
    if (old.capacity > 0)
        mem_free(mem, MEM_MEMBER, old.words, sizeof(*old.words) * old.capacity);
    return true;
}

enum members_result members_add(struct members *members, struct mem *mem, struct conn_handle conn,
                                uint32_t flags)
{
    uint64_t key = word_of(conn);
    uint64_t *slot = find(members, key);

    if (slot) {
        bool same = (*slot & flags) == flags;
        *slot |= flags;
        return same ? MEMBERS_SAME : MEMBERS_CHANGED;
    }
    if (members->count == 0 && members->capacity == 0) {
        members->only = key | flags;
        members->count = 1;
        return MEMBERS_ADDED;
    }
    if (members->count + 1 > members->capacity - members->capacity / 4 &&
        !resize(members, mem, members->capacity ? members->capacity * 2 : CAPACITY_FIRST))
        return MEMBERS_NO_MEMORY;
    *slot_of(members, key) = key | flags;
    members->count++;
    return MEMBERS_ADDED;
}

bool members_find(const struct members *members, struct conn_handle conn, uint32_t *flags)
{
    uint64_t *slot = find(members, word_of(conn));

    *flags = slot ? (uint32_t)(*slot & FLAG_BITS) : 0;
    return slot != NULL;
}

void members_clear(struct members *members, struct conn_handle conn, uint32_t flags)
{
    uint64_t *slot = find(members, word_of(conn));

    must(slot);
    *slot &= ~(uint64_t)flags;
}

/* Close the hole at @hole by shifting back those that probed past it. */
static void shift_back(struct members *members, uint32_t hole)
{
    uint32_t mask = members->capacity - 1;

    for (uint32_t at = (hole + 1) & mask; members->words[at] != 0; at = (at + 1) & mask) {
        uint32_t home = home_of(members->words[at] & ~FLAG_BITS, members->capacity);

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            members->words[hole] = members->words[at];
            hole = at;
        }
    }
    members->words[hole] = 0;
}

bool members_remove(struct members *members, struct mem *mem, struct conn_handle conn,
                    uint32_t *flags)
{
    uint64_t *slot = find(members, word_of(conn));

    *flags = slot ? (uint32_t)(*slot & FLAG_BITS) : 0;
    if (!slot)
        return false;
    members->count--;
    if (members->capacity == 0)
        members->only = 0;
    else if (members->count == 0)
        members_deinit(members, mem);
    else {
        shift_back(members, (uint32_t)(slot - members->words));
        if (members->capacity > 16 && members->count < members->capacity / 8)
            (void)resize(members, mem, members->capacity / 4); /* no memory: stays large */
    }
    return true;
}

bool members_next(const struct members *members, uint32_t *cursor, struct conn_handle *conn,
                  uint32_t *flags)
{
    uint64_t word = 0;

    if (members->capacity == 0) {
        if (*cursor == 0 && members->count == 1)
            word = members->only;
        *cursor = 1;
    }
    while (word == 0 && *cursor < members->capacity)
        word = members->words[(*cursor)++];
    if (word == 0)
        return false;
    *conn = handle_of(word);
    *flags = (uint32_t)(word & FLAG_BITS);
    return true;
}

void members_deinit(struct members *members, struct mem *mem)
{
    if (members->capacity > 0)
        mem_free(mem, MEM_MEMBER, members->words, sizeof(uint64_t) * members->capacity);
    memset(members, 0, sizeof(*members));
}
