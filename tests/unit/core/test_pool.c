/*
 * tests/unit/core/test_pool.c — mirrors core/pool.c.
 *
 * Goal:   an index names one object until it is put, and objects never move; chunks come when they
 *         are needed and go when their last object goes.
 * Method: objects that hold their own index, a model of which are in use, random order.
 */
#include "core/pool.h"

#include <signal.h>

#include <criterion/criterion.h>

#include "tests/unit/core/account.h"
#include "tests/unit/core/dice.h"

struct thing {
    uint64_t index;
    uint64_t text[2];
};

static struct pool pool;

static void start(void)
{
    account_open();
    pool_init(&pool, MEM_TOPIC, sizeof(struct thing));
}

static struct thing *get(uint32_t *index)
{
    struct thing *thing = pool_get(&pool, &account, index);

    cr_assert_not_null(thing);
    cr_assert_eq(thing->index, 0, "zeroed");
    cr_assert_eq(thing->text[1], 0, "zeroed");
    thing->index = *index;
    thing->text[1] = UINT64_MAX;
    return thing;
}

TestSuite(pool, .init = start);

Test(pool, does_not_take_back_what_is_not_in_use, .signal = SIGABRT)
{
    uint32_t index, other;

    get(&index);
    get(&other);
    pool_put(&pool, &account, index);
    pool_put(&pool, &account, index);
}

Test(pool, refuses_objects_of_no_size, .signal = SIGABRT)
{
    pool_init(&pool, MEM_TOPIC, 0);
}

Test(pool, has_no_object_when_there_is_no_memory)
{
    uint32_t index;

    for (uint64_t fail_at = 1; fail_at <= 2; fail_at++) { /* the directory; the chunk */
        account.fail_at = fail_at;
        cr_assert_null(pool_get(&pool, &account, &index));
        cr_assert_eq(pool.used_count, 0);
        pool_deinit(&pool, &account);
        cr_assert(account_is_empty());
    }
}

Test(pool, goes_on_when_there_is_memory_again)
{
    uint32_t index;

    for (uint32_t i = 0; i < POOL_CHUNK_SLOTS * 8; i++)
        get(&index);
    account.fail_at = 1; /* the directory is full: it cannot grow */
    cr_assert_null(pool_get(&pool, &account, &index));
    account.fail_at = 2; /* it grows, but there is no chunk */
    cr_assert_null(pool_get(&pool, &account, &index));
    get(&index);
    cr_assert_eq(index, POOL_CHUNK_SLOTS * 8);
    pool_deinit(&pool, &account);
    cr_assert(account_is_empty());
}

Test(pool, zeroes_a_slot_that_was_used_before)
{
    uint32_t index, again;

    get(&index);
    get(&again); /* the chunk must stay */
    pool_put(&pool, &account, index);
    get(&again); /* asserts zero */
    cr_assert_eq(again, index, "the lowest free slot comes first");
}

Test(pool, keeps_objects_where_they_are)
{
    static struct thing *things[POOL_CHUNK_SLOTS * 20];
    uint32_t index;

    for (uint32_t i = 0; i < COUNT_OF(things); i++) {
        things[i] = get(&index);
        cr_assert_eq(index, i);
    }
    for (uint32_t i = 0; i < COUNT_OF(things); i++) {
        cr_assert_eq(pool_at(&pool, i), things[i]);
        cr_assert_eq(things[i]->index, i);
        cr_assert_eq((uintptr_t)things[i] % 8, 0);
    }
}

Test(pool, gives_a_chunk_back_with_its_last_object)
{
    uint32_t index;

    for (uint32_t i = 0; i < POOL_CHUNK_SLOTS * 3; i++)
        get(&index);
    int64_t full_bytes = account_bytes();

    for (uint32_t i = POOL_CHUNK_SLOTS; i < POOL_CHUNK_SLOTS * 2; i++)
        pool_put(&pool, &account, i);
    cr_assert_leq(account_bytes() + (int64_t)(POOL_CHUNK_SLOTS * sizeof(struct thing)), full_bytes);
    cr_assert_null(pool.chunks[1]);
    get(&index);
    cr_assert_eq(index, POOL_CHUNK_SLOTS, "the gap is used again");
}

Test(pool, fills_a_chunk_with_room_before_it_makes_one_and_then_the_gap)
{
    uint32_t index;

    for (uint32_t i = 0; i < POOL_CHUNK_SLOTS * 3; i++)
        get(&index);
    for (uint32_t i = POOL_CHUNK_SLOTS; i < POOL_CHUNK_SLOTS * 2; i++)
        pool_put(&pool, &account, i);
    pool_put(&pool, &account, POOL_CHUNK_SLOTS * 3 - 1);
    get(&index);
    cr_assert_eq(index, POOL_CHUNK_SLOTS * 3 - 1);
    get(&index);
    cr_assert_eq(index, POOL_CHUNK_SLOTS);
}

Test(pool, owns_nothing_when_all_is_put)
{
    uint32_t index;

    for (uint32_t i = 0; i < 500; i++)
        get(&index);
    for (uint32_t i = 0; i < 500; i++)
        pool_put(&pool, &account, i);
    cr_assert(account_is_empty());
    get(&index);
    cr_assert_eq(index, 0);
}

Test(pool, walks_over_gaps)
{
    uint32_t index;

    cr_assert_eq(pool_next_used(&pool, 0), UINT32_MAX);
    for (uint32_t i = 0; i < POOL_CHUNK_SLOTS * 3; i++)
        get(&index);
    for (uint32_t i = 0; i < POOL_CHUNK_SLOTS * 3; i++)
        if (i != 5 && i != 63 && i != 130)
            pool_put(&pool, &account, i);
    cr_assert_eq(pool_next_used(&pool, 0), 5);
    cr_assert_eq(pool_next_used(&pool, 5), 5);
    cr_assert_eq(pool_next_used(&pool, 6), 63);
    cr_assert_eq(pool_next_used(&pool, 64), 130);
    cr_assert_eq(pool_next_used(&pool, 131), UINT32_MAX);
    cr_assert_eq(pool_next_used(&pool, 1000000), UINT32_MAX);
}

#define SLOTS 600

Test(pool, agrees_with_a_list_of_flags)
{
    static bool used[SLOTS * 2];
    struct dice dice = {7};
    uint32_t used_count = 0;

    for (uint32_t step = 0; step < 40000; step++) {
        bool growing = step / 4000 % 2 == 0;
        uint32_t index = dice_below(&dice, SLOTS);

        if (used_count < SLOTS && dice_below(&dice, 10) < (growing ? 7u : 3u)) {
            get(&index);
            cr_assert_lt(index, COUNT_OF(used), "holes are filled before the pool grows");
            cr_assert_not(used[index], "given out twice");
            used[index] = true;
            used_count++;
        } else if (used[index]) {
            cr_assert_eq(((struct thing *)pool_at(&pool, index))->index, index);
            pool_put(&pool, &account, index);
            used[index] = false;
            used_count--;
        }
        cr_assert_eq(pool.used_count, used_count);
        if (step % 500 == 0) {
            uint32_t at = 0;

            for (uint32_t i = 0; i < COUNT_OF(used); i++) {
                if (!used[i])
                    continue;
                cr_assert_eq(pool_next_used(&pool, at), i);
                at = i + 1;
            }
        }
    }
    pool_deinit(&pool, &account);
    cr_assert(account_is_empty());
}
