/*
 * core/table.h — the hash table of the single-owner actors: from a 32-bit hash to references.
 *
 * Open addressing, linear probing, deletion by shifting back (no tombstones, so it never decays),
 * at most 7/8 full, grown by a third and shrunk as needed: at 100,000 devices five such tables
 * would otherwise waste ten bytes for each. A slot is 4 bytes: 24 bits of reference and 8
 * of the hash, so a wrong candidate is looked at once in 256 times. It stores neither keys nor
 * whole hashes: the caller compares the objects behind the references, and hash_of gives an
 * object's hash again when slots move.
 *
 *      struct table_probe probe = table_find(&table, hash);
 *      while (table_next(&table, &probe))
 *          if (object[probe.ref] is the one)
 *              ...
 *
 * CK's hash tables are for concurrent readers, and 0.7.1's have known bugs with deletes; one owner
 * needs neither. Thread: the owner's. Growing to n slots costs O(n), amortised O(1).
 */
#pragma once

#include "core/mem.h"

#define TABLE_REFS_MAX ((1u << 24) - 1) /* references are 0 .. this minus one */

struct table {
    uint32_t *slots; /* 8 low bits of the hash, reference plus one; 0: empty */
    uint32_t capacity;
    uint32_t count;
    uint32_t (*hash_of)(const void *owner, uint32_t ref); /* of an object that is in the table */
    const void *owner;
};

struct table_probe {
    uint32_t hash;
    uint32_t at;  /* slot to look at next */
    uint32_t ref; /* what table_next found */
};

/* @hash_of(@owner, ref) must give the hash that @ref was inserted with, for as long as it is in. */
void table_init(struct table *table, uint32_t (*hash_of)(const void *owner, uint32_t ref),
                const void *owner);

/* Free the slots; the table is empty and can be used again. */
void table_deinit(struct table *table, struct mem *mem);

/* The slot where a hash belongs: its high bits decide, its low 8 are the slot's tag. */
static inline uint32_t table_home(const struct table *table, uint32_t hash)
{
    return (uint32_t)((uint64_t)hash * table->capacity >> 32);
}

static inline uint32_t table_after(const struct table *table, uint32_t at)
{
    return at + 1 == table->capacity ? 0 : at + 1;
}

static inline struct table_probe table_find(const struct table *table, uint32_t hash)
{
    return (struct table_probe){.hash = hash, .at = table_home(table, hash)};
}

/* The next reference that may have been stored under this hash; false: no more. */
static inline bool table_next(const struct table *table, struct table_probe *probe)
{
    if (!table->slots)
        return false;
    for (;;) {
        uint32_t slot = table->slots[probe->at];

        if (slot == 0)
            return false;
        probe->at = table_after(table, probe->at);
        if (slot >> 24 == (probe->hash & 0xff)) {
            probe->ref = (slot & TABLE_REFS_MAX) - 1;
            return true;
        }
    }
}

/* Store @ref under @hash. Does not look for a duplicate. STATUS_NO_MEMORY: nothing was stored. */
MUST_CHECK enum status table_insert(struct table *table, struct mem *mem, uint32_t hash,
                                    uint32_t ref);

/* Remove the entry with this hash and reference, which must be there. */
void table_remove(struct table *table, struct mem *mem, uint32_t hash, uint32_t ref);
