/*
 * core/table.h — the hash table of the single-owner actors: a 32-bit hash to a 32-bit reference.
 *
 * Open addressing, linear probing, deletion by shifting back (no tombstones, so it never decays),
 * 8 bytes a slot, at most 7/8 full, doubled and halved as needed. It stores no keys: the caller
 * walks the references with its hash and compares the objects behind them.
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

struct table_slot {
    uint32_t hash;
    uint32_t ref_plus_one; /* 0: empty */
};

struct table {
    struct table_slot *slots;
    uint32_t mask; /* slots minus one; 0 when there are none */
    uint32_t count;
};

struct table_probe {
    uint32_t hash;
    uint32_t at;  /* slot to look at next */
    uint32_t ref; /* what table_next found */
};

static inline struct table_probe table_find(const struct table *table, uint32_t hash)
{
    return (struct table_probe){.hash = hash, .at = hash & table->mask};
}

/* The next reference that was stored under this hash; false: no more. */
static inline bool table_next(const struct table *table, struct table_probe *probe)
{
    if (!table->slots)
        return false;
    for (;;) {
        const struct table_slot *slot = &table->slots[probe->at];

        if (slot->ref_plus_one == 0)
            return false;
        probe->at = (probe->at + 1) & table->mask;
        if (slot->hash == probe->hash) {
            probe->ref = slot->ref_plus_one - 1;
            return true;
        }
    }
}

/* Store @ref under @hash. Does not look for a duplicate. STATUS_NO_MEMORY: nothing was stored. */
MUST_CHECK enum status table_insert(struct table *table, struct mem *mem, uint32_t hash,
                                    uint32_t ref);

/* Remove the entry with this hash and reference, which must be there. */
void table_remove(struct table *table, struct mem *mem, uint32_t hash, uint32_t ref);

void table_deinit(struct table *table, struct mem *mem);
