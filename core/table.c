/* core/table.c — see core/table.h. Thread: the owner's. */
#include "core/table.h"

#include <string.h>

#define SLOTS_MIN 8u

static uint32_t slot_count(const struct table *table)
{
    return table->slots ? table->mask + 1 : 0;
}

static void put(struct table *table, uint32_t hash, uint32_t ref_plus_one)
{
    uint32_t at = hash & table->mask;

    while (table->slots[at].ref_plus_one != 0)
        at = (at + 1) & table->mask;
    table->slots[at] = (struct table_slot){hash, ref_plus_one};
}

static enum status resize(struct table *table, struct mem *mem, uint32_t new_count)
{
    struct table_slot *old = table->slots;
    uint32_t old_count = slot_count(table);
    struct table_slot *slots = mem_alloc_zero(mem, MEM_TABLE, sizeof(*slots) * new_count);

    if (!slots)
        return STATUS_NO_MEMORY;
    table->slots = slots;
    table->mask = new_count - 1;
    for (uint32_t i = 0; i < old_count; i++)
        if (old[i].ref_plus_one != 0)
            put(table, old[i].hash, old[i].ref_plus_one);
    mem_free(mem, MEM_TABLE, old, sizeof(*old) * old_count);
    return STATUS_OK;
}

enum status table_insert(struct table *table, struct mem *mem, uint32_t hash, uint32_t ref)
{
    uint32_t capacity = slot_count(table);

    must(ref < UINT32_MAX);
    if (table->count + 1 > capacity - capacity / 8) {
        enum status status = resize(table, mem, capacity ? capacity * 2 : SLOTS_MIN);

        if (status != STATUS_OK)
            return status;
    }
    put(table, hash, ref + 1);
    table->count++;
    return STATUS_OK;
}

void table_remove(struct table *table, struct mem *mem, uint32_t hash, uint32_t ref)
{
    uint32_t hole = hash & table->mask;

    while (table->slots[hole].ref_plus_one != ref + 1 || table->slots[hole].hash != hash) {
        must(table->slots[hole].ref_plus_one != 0); /* it must be there */
        hole = (hole + 1) & table->mask;
    }
    /* Shift back whoever would no longer be found past the hole. */
    for (uint32_t at = (hole + 1) & table->mask; table->slots[at].ref_plus_one != 0;
         at = (at + 1) & table->mask) {
        uint32_t home = table->slots[at].hash & table->mask;

        if (((at - home) & table->mask) >= ((at - hole) & table->mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole].ref_plus_one = 0;
    table->count--;
    if (table->count == 0)
        table_deinit(table, mem);
    else if (slot_count(table) > 64 && table->count < slot_count(table) / 8)
        (void)resize(table, mem, slot_count(table) / 4); /* no memory: it stays large, and works */
}

void table_deinit(struct table *table, struct mem *mem)
{
    mem_free(mem, MEM_TABLE, table->slots, sizeof(*table->slots) * slot_count(table));
    memset(table, 0, sizeof(*table));
}
