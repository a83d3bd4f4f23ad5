/*
 * tests/unit/core/test_table.c — mirrors core/table.c.
 *
 * Goal:   whatever was stored and not removed is found under its hash, as often as it was stored,
 *         and nothing else; the memory follows the count.
 * Method: a naive model (a list of pairs) under random inserts and removals, with hashes chosen so
 *         that probe chains are long, cross each other and wrap around the end.
 */
#include "core/table.h"

#include <signal.h>

#include <criterion/criterion.h>

#include "tests/unit/core/account.h"
#include "tests/unit/core/dice.h"

#define OBJECTS 20000u

static struct table table;
static uint32_t hashes[OBJECTS]; /* of the objects: a reference is an index in here */

static uint32_t hash_of(const void *owner, uint32_t ref)
{
    cr_assert_eq(owner, hashes);
    cr_assert_lt(ref, OBJECTS);
    return hashes[ref];
}

static void start(void)
{
    account_open();
    table_init(&table, hash_of, hashes);
}

/* How often a search for @hash comes upon @ref. Others may come up as well: the caller of a table
 * compares the objects. */
static uint32_t count_found(uint32_t hash, uint32_t ref)
{
    struct table_probe probe = table_find(&table, hash);
    uint32_t found_count = 0;

    while (table_next(&table, &probe))
        found_count += probe.ref == ref;
    return found_count;
}

/* A hash as the real ones are: all bits count. */
static uint32_t spread(uint32_t number)
{
    return number * 0x9e3779b1u;
}

static void insert(uint32_t hash, uint32_t ref)
{
    hashes[ref] = hash;
    cr_assert_eq(table_insert(&table, &account, hash, ref), STATUS_OK);
}

TestSuite(table, .init = start);

Test(table, finds_nothing_when_it_is_empty)
{
    struct table_probe probe = table_find(&table, 5);

    cr_assert_not(table_next(&table, &probe));
}

Test(table, seldom_comes_upon_a_reference_under_another_hash)
{
    uint32_t stranger_count = 0;

    insert(0x12345678, 10);
    for (uint32_t i = 1; i < 1u << 16; i++)
        stranger_count += count_found(0x12345678 ^ i * 0x9e3779b1u, 10);
    cr_assert_leq(stranger_count, (1u << 16) / 128, "a slot has eight bits of the hash");
    cr_assert_eq(count_found(0x12345678, 10), 1);
}

Test(table, refuses_a_reference_that_does_not_fit)
{
    cr_assert_neq(table_insert(&table, &account, 1, TABLE_REFS_MAX), STATUS_OK);
    cr_assert_neq(table_insert(&table, &account, 1, UINT32_MAX), STATUS_OK);
    cr_assert_eq(table.count, 0);
    cr_assert(account_is_empty());
}

Test(table, keeps_the_largest_reference)
{
    cr_assert_eq(table_insert(&table, &account, 1, TABLE_REFS_MAX - 1), STATUS_OK);
    cr_assert_eq(count_found(1, TABLE_REFS_MAX - 1), 1);
}

Test(table, does_not_remove_what_is_not_there, .signal = SIGABRT)
{
    insert(1, 10);
    table_remove(&table, &account, 1, 11);
}

Test(table, stores_nothing_when_there_is_no_memory)
{
    account.fail_at = 1;
    cr_assert_eq(table_insert(&table, &account, 1, 10), STATUS_NO_MEMORY);
    cr_assert_eq(table.count, 0);
    cr_assert_eq(count_found(1, 10), 0);
    cr_assert(account_is_empty());
}

Test(table, keeps_all_it_has_when_it_cannot_grow)
{
    enum status status;
    uint32_t count = 0;

    insert(0, 0);
    account.fail_at = 1;
    do {
        count++;
        hashes[count] = count * 8;
        status = table_insert(&table, &account, count * 8, count);
    } while (status == STATUS_OK);
    cr_assert_eq(status, STATUS_NO_MEMORY);
    cr_assert_eq(table.count, count);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(count_found(i * 8, i), 1);
    insert(count * 8, count); /* there is memory again */
    cr_assert_eq(count_found(count * 8, count), 1);
}

Test(table, works_on_when_it_cannot_shrink)
{
    for (uint32_t i = 0; i < 1000; i++)
        insert(spread(i), i);
    int64_t full_bytes = account_bytes();

    for (uint32_t i = 0; i < 990; i++) {
        account.fail_at = 1;
        table_remove(&table, &account, spread(i), i);
    }
    account.fail_at = 0;
    cr_assert_eq(account_bytes(), full_bytes);
    for (uint32_t i = 990; i < 1000; i++)
        cr_assert_eq(count_found(spread(i), i), 1);
}

Test(table, gives_all_references_of_a_hash)
{
    for (uint32_t ref = 0; ref < 20; ref++)
        insert(77, ref);
    for (uint32_t ref = 0; ref < 20; ref++)
        cr_assert_eq(count_found(77, ref), 1);
    table_remove(&table, &account, 77, 13);
    cr_assert_eq(count_found(77, 13), 0);
    cr_assert_eq(count_found(77, 12), 1);
    cr_assert_eq(count_found(77, 14), 1);
}

Test(table, owns_nothing_when_its_last_entry_is_gone)
{
    for (uint32_t i = 0; i < 1000; i++)
        insert(spread(i), i);
    cr_assert_gt(account_bytes(), 0);
    for (uint32_t i = 0; i < 1000; i++)
        table_remove(&table, &account, spread(i), i);
    cr_assert(account_is_empty());
    insert(1, 2);
    cr_assert_eq(count_found(1, 2), 1);
}

Test(table, gives_memory_back_as_it_empties)
{
    for (uint32_t i = 0; i < 10000; i++)
        insert(spread(i), i);
    int64_t full_bytes = account_bytes();

    for (uint32_t i = 0; i < 9990; i++)
        table_remove(&table, &account, spread(i), i);
    cr_assert_lt(account_bytes() * 50, full_bytes);
    for (uint32_t i = 9990; i < 10000; i++)
        cr_assert_eq(count_found(spread(i), i), 1);
}

/* Every arrangement of a few entries in eight places, and every one of them removed. Both ends of
 * the hash choose the place, so that this holds whichever the table looks at. */
Test(table, closes_every_hole_so_that_all_others_are_found)
{
    for (uint32_t pattern = 0; pattern < 8 * 8 * 8 * 8; pattern++) {
        for (uint32_t removed = 0; removed < 4; removed++) {
            uint32_t places[4];

            for (uint32_t i = 0; i < 4; i++) {
                places[i] = (pattern >> 3 * i & 7) * 0x20000001u;
                insert(places[i], i);
            }
            table_remove(&table, &account, places[removed], removed);
            for (uint32_t i = 0; i < 4; i++)
                cr_assert_eq(count_found(places[i], i), i == removed ? 0 : 1,
                             "pattern %o, removed %u, entry %u", pattern, removed, i);
            table_deinit(&table, &account);
        }
    }
    cr_assert(account_is_empty());
}

#define MODEL_MAX 3000

static struct {
    uint32_t hash;
    uint32_t ref;
} model[MODEL_MAX];

/* Hashes whose both ends crowd around the end of any array, so that chains are long and wrap. */
static uint32_t crowded_hash(struct dice *dice)
{
    uint32_t high = (0xf0u + dice_below(dice, 32)) << 24; /* 0xf0 … 0xff, 0x00 … 0x0f */
    uint32_t low = (uint32_t)-4 + dice_below(dice, 8);

    return dice_below(dice, 4) == 0 ? dice_throw(dice) : high | (low & 0xffffff);
}

static void agree_with_a_list(uint64_t seed, uint32_t count_max)
{
    struct dice dice = {seed};
    uint32_t count = 0;

    for (uint32_t step = 0; step < 6000; step++) {
        bool growing = step / 1000 % 2 == 0;

        if (count < count_max && (count == 0 || dice_below(&dice, 10) < (growing ? 8u : 2u))) {
            model[count].hash = crowded_hash(&dice);
            model[count].ref = step;
            insert(model[count].hash, model[count].ref);
            count++;
        } else {
            uint32_t index = dice_below(&dice, count);

            table_remove(&table, &account, model[index].hash, model[index].ref);
            cr_assert_eq(count_found(model[index].hash, model[index].ref), 0);
            model[index] = model[--count];
        }
        cr_assert_eq(table.count, count);
        if (step % 16 == 0)
            for (uint32_t i = 0; i < count; i++)
                cr_assert_eq(count_found(model[i].hash, model[i].ref), 1, "seed %lu step %u",
                             (unsigned long)seed, step);
    }
    table_deinit(&table, &account);
    cr_assert(account_is_empty());
}

Test(table, agrees_with_a_list_when_small)
{
    for (uint64_t seed = 1; seed <= 50; seed++)
        agree_with_a_list(seed, 7);
}

Test(table, agrees_with_a_list_when_large)
{
    agree_with_a_list(99, 700);
}
