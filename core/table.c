/* core/table.c — see core/table.h. Thread: the owner's. */
#include "core/table.h"

#define SLOTS_MIN 8u

static uint32_t slot_of(uint32_t hash, uint32_t ref)
{
    return hash << 24 | (ref + 1);
}

static uint32_t home_of(const struct table *table, uint32_t at)
{
    uint32_t ref = (table->slots[at] & TABLE_REFS_MAX) - 1;

    return table_home(table, table->hash_of(table->owner, ref));
}

/* Slots from @from forward to @to. */
static uint32_t distance(const struct table *table, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + table->capacity - from;
}

static void put(struct table *table, uint32_t hash, uint32_t slot)
{
    uint32_t at = table_home(table, hash);

    while (table->slots[at] != 0)
        at = table_after(table, at);
    table->slots[at] = slot;
}

static enum status resize(struct table *table, struct mem *mem, uint32_t new_count)
{
    uint32_t *old = table->slots;
    uint32_t old_count = table->capacity;
    uint32_t *slots = mem_alloc_zero(mem, MEM_TABLE, sizeof(*slots) * new_count);

    if (!slots)
        return STATUS_NO_MEMORY;
    table->slots = slots;
    table->capacity = new_count;
    for (uint32_t i = 0; i < old_count; i++)
        if (old[i] != 0)
            put(table, table->hash_of(table->owner, (old[i] & TABLE_REFS_MAX) - 1), old[i]);
    mem_free(mem, MEM_TABLE, old, sizeof(*old) * old_count);
    return STATUS_OK;
}

void table_init(struct table *table, uint32_t (*hash_of)(const void *owner, uint32_t ref),
                const void *owner)
{
    *table = (struct table){.hash_of = hash_of, .owner = owner};
}

void table_deinit(struct table *table, struct mem *mem)
{
    mem_free(mem, MEM_TABLE, table->slots, sizeof(*table->slots) * table->capacity);
    table_init(table, table->hash_of, table->owner);
}

enum status table_insert(struct table *table, struct mem *mem, uint32_t hash, uint32_t ref)
{
    uint32_t capacity = table->capacity;

    if (ref >= TABLE_REFS_MAX)
        return STATUS_NO_MEMORY;
    if (table->count + 1 > capacity - capacity / 8) {
        enum status status =
            resize(table, mem, capacity < 64 ? capacity * 2 + SLOTS_MIN : capacity + capacity / 3);

        if (status != STATUS_OK)
            return status;
    }
    put(table, hash, slot_of(hash, ref));
    table->count++;
    return STATUS_OK;
}

void table_remove(struct table *table, struct mem *mem, uint32_t hash, uint32_t ref)
{
    uint32_t hole = table_home(table, hash);

    while (table->slots[hole] != slot_of(hash, ref)) {
        must(table->slots[hole] != 0); /* it must be there */
        hole = table_after(table, hole);
    }
    /* Shift back whoever would no longer be found past the hole. */
    for (uint32_t at = table_after(table, hole); table->slots[at] != 0;
         at = table_after(table, at)) {
        if (distance(table, home_of(table, at), at) >= distance(table, hole, at)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole] = 0;
    table->count--;
    if (table->count == 0)
        table_deinit(table, mem);
    else if (table->capacity > 64 && table->count < table->capacity / 4)
        (void)resize(table, mem, table->capacity / 2); /* no memory: it stays large, and works */
}
