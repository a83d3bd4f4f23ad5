/*
 * tests/unit/core/test_mem.c — mirrors core/mem.c.
 *
 * Goal:   the limit holds to within one step an actor; every byte is counted by its kind; a test
 *         can make any allocation fail.
 * Method: small budgets, accounts that allocate what others free.
 */
#include "core/mem.h"

#include <malloc.h>
#include <signal.h>
#include <string.h>

#include <criterion/criterion.h>

#include "core/limits.h"
#include "tests/unit/core/account.h"

#define MIB (1024 * 1024)

static struct mem_budget budget;
static struct mem mem;

static void start(void)
{
    mem_budget_init(&budget, MIB);
    mem_init(&mem, &budget);
}

static int64_t kind_bytes(enum mem_kind kind)
{
    return atomic_load(&mem.kind_bytes[kind]);
}

TestSuite(mem, .init = start);

Test(mem, refuses_what_is_over_the_limit)
{
    cr_assert_null(mem_alloc(&mem, MEM_TOPIC, MIB + 1));
    cr_assert_eq(atomic_load(&mem.refused_count), 1);
    cr_assert_eq(kind_bytes(MEM_TOPIC), 0);
    cr_assert_eq(atomic_load(&budget.used_bytes), 0);
}

Test(mem, refuses_a_budget_of_nothing, .signal = SIGABRT)
{
    mem_budget_init(&budget, 0);
}

Test(mem, holds_the_limit_exactly_for_one_actor)
{
    static void *blocks[MIB / 32];
    size_t count = 0;

    while ((blocks[count] = mem_alloc(&mem, MEM_HELD, 1000)) != NULL)
        count++;
    int64_t used = mem_total(&mem);

    cr_assert_leq(used, MIB);
    cr_assert_gt(used + (int64_t)mem_cost(1000), MIB);
    while (count > 0)
        mem_free(&mem, MEM_HELD, blocks[--count], 1000);
    cr_assert_eq(mem_total(&mem), 0);
}

Test(mem, holds_the_limit_within_a_step_for_each_actor)
{
    static void *blocks[MIB / 500 + 1000];
    static struct mem actors[4];
    size_t count = 0;
    int64_t used = 0;
    bool any = true;

    for (int i = 0; i < 4; i++)
        mem_init(&actors[i], &budget);
    while (any) {
        any = false;
        for (int i = 0; i < 4; i++) {
            blocks[count] = mem_alloc(&actors[i], MEM_HELD, 500);
            any |= blocks[count] != NULL;
            count += blocks[count] != NULL;
        }
    }
    for (int i = 0; i < 4; i++)
        used += mem_total(&actors[i]);
    cr_assert_leq(used, MIB + 4 * LIMIT_MEM_STEP_BYTES);
    cr_assert_geq(used, MIB - 4 * LIMIT_MEM_STEP_BYTES);
    while (count > 0)
        mem_free(&mem, MEM_HELD, blocks[--count], 500);
}

Test(mem, settles_before_a_step_is_full)
{
    for (int i = 0; i < 100; i++) {
        mem_count(&mem, MEM_TLS, 1000);
        cr_assert_lt(mem.unsettled_bytes, LIMIT_MEM_STEP_BYTES);
        cr_assert_eq(atomic_load(&budget.used_bytes) + mem.unsettled_bytes, (i + 1) * 1000);
    }
    cr_assert_gt(atomic_load(&budget.used_bytes), 0);
    for (int i = 100; i > 0; i--) {
        mem_count(&mem, MEM_TLS, -1000);
        cr_assert_gt(mem.unsettled_bytes, -LIMIT_MEM_STEP_BYTES);
    }
    cr_assert_eq(atomic_load(&budget.used_bytes) + mem.unsettled_bytes, 0);
}

Test(mem, lets_one_actor_free_what_another_allocated)
{
    struct mem other;
    void *block = mem_alloc(&mem, MEM_MESSAGE, 100000);

    mem_init(&other, &budget);
    mem_free(&other, MEM_MESSAGE, block, 100000);
    cr_assert_eq(mem_total(&mem), (int64_t)mem_cost(100000));
    cr_assert_eq(mem_total(&other), -(int64_t)mem_cost(100000));
    cr_assert_eq(atomic_load(&budget.used_bytes), 0, "only the sum means anything");
}

Test(mem, says_when_it_becomes_tight_and_when_no_longer)
{
    mem_count(&mem, MEM_OTHER, MIB - MIB / 16);
    cr_assert_not(mem_is_tight(&budget));
    mem_count(&mem, MEM_OTHER, LIMIT_MEM_STEP_BYTES);
    cr_assert(mem_is_tight(&budget));
    mem_count(&mem, MEM_OTHER, -MIB);
    cr_assert_not(mem_is_tight(&budget));
}

Test(mem, takes_what_the_process_has_beside_it_off_the_limit)
{
    mem_count(&mem, MEM_OTHER, MIB / 4);
    mem_budget_measured(&budget, MIB / 2); /* so a quarter is not ours; a sixteenth is kept */
    cr_assert_null(mem_alloc(&mem, MEM_OTHER, MIB / 2));
    cr_assert_not(mem_is_tight(&budget));
    mem_count(&mem, MEM_OTHER, MIB / 2 - MIB / 16);
    cr_assert(mem_is_tight(&budget), "as near the limit as ever");

    mem_budget_measured(&budget, MIB / 4); /* less than is counted: pages nobody has touched */
    cr_assert_not(mem_is_tight(&budget));
    mem_count(&mem, MEM_OTHER, MIB / 4 - MIB / 16 + LIMIT_MEM_STEP_BYTES);
    cr_assert_null(mem_alloc(&mem, MEM_OTHER, MIB / 16), "the last sixteenth is kept");
}

Test(mem, leaves_half_of_the_limit_whatever_the_process_has_beside_it)
{
    mem_budget_measured(&budget, 100 * MIB);
    cr_assert_not(mem_is_tight(&budget));
    void *block = mem_alloc(&mem, MEM_OTHER, MIB / 2 - 64);

    cr_assert_not_null(block);
    cr_assert(mem_is_tight(&budget));
    cr_assert_null(mem_alloc(&mem, MEM_OTHER, 64));
    mem_free(&mem, MEM_OTHER, block, MIB / 2 - 64);
    cr_assert_not(mem_is_tight(&budget), "so it recovers by itself");
}

Test(mem, never_refuses_what_must_go_on)
{
    mem_count(&mem, MEM_OTHER, 2 * MIB);
    cr_assert_null(mem_alloc(&mem, MEM_CONN, 8));
    void *block = mem_alloc_always(&mem, MEM_CONN, 8);
    void *lines = mem_alloc_lines(&mem, MEM_LANE, 100);

    cr_assert_not_null(block);
    cr_assert_eq((uintptr_t)lines % CACHE_LINE, 0);
    mem_free(&mem, MEM_CONN, block, 8);
    mem_free(&mem, MEM_LANE, lines, 100);
    cr_assert_eq(kind_bytes(MEM_LANE), 0);
}

Test(mem, fails_the_nth_allocation_and_no_other)
{
    void *first, *third;

    mem.fail_at = 2;
    first = mem_alloc(&mem, MEM_TOPIC, 8);
    cr_assert_not_null(first);
    cr_assert_null(mem_alloc(&mem, MEM_TOPIC, 8));
    third = mem_alloc(&mem, MEM_TOPIC, 8);
    cr_assert_not_null(third);
    mem_free(&mem, MEM_TOPIC, first, 8);
    mem_free(&mem, MEM_TOPIC, third, 8);
}

Test(mem, leaves_the_block_alone_when_it_cannot_grow)
{
    uint8_t *block = mem_alloc(&mem, MEM_INPUT, 100);

    memset(block, 7, 100);
    cr_assert_null(mem_resize(&mem, MEM_INPUT, block, 100, 2 * MIB));
    cr_assert_eq(kind_bytes(MEM_INPUT), (int64_t)mem_cost(100));
    for (int i = 0; i < 100; i++)
        cr_assert_eq(block[i], 7);
    mem_free(&mem, MEM_INPUT, block, 100);
}

Test(mem, shrinks_even_when_it_is_over_the_limit)
{
    uint8_t *block = mem_alloc(&mem, MEM_INPUT, 1000);

    mem_count(&mem, MEM_OTHER, 2 * MIB);
    mem.fail_at = 1;
    block[9] = 42;
    block = mem_resize(&mem, MEM_INPUT, block, 1000, 10);
    cr_assert_not_null(block);
    cr_assert_eq(block[9], 42);
    cr_assert_eq(kind_bytes(MEM_INPUT), (int64_t)mem_cost(10));
    mem_free(&mem, MEM_INPUT, block, 10);
    cr_assert_eq(kind_bytes(MEM_INPUT), 0);
}

Test(mem, zeroes_when_asked_to)
{
    for (int i = 0; i < 10; i++) {
        uint8_t *dirty = mem_alloc(&mem, MEM_INPUT, 200);

        memset(dirty, 0xff, 200);
        mem_free(&mem, MEM_INPUT, dirty, 200);
        uint8_t *block = mem_alloc_zero(&mem, MEM_INPUT, 200);
        for (int k = 0; k < 200; k++)
            cr_assert_eq(block[k], 0);
        mem_free(&mem, MEM_INPUT, block, 200);
    }
}

Test(mem, frees_nothing_for_null)
{
    mem_free(&mem, MEM_INPUT, NULL, 200);
    cr_assert_eq(mem_total(&mem), 0);
}

Test(mem, counts_what_malloc_really_takes)
{
#if defined(__SANITIZE_ADDRESS__)
    cr_skip_test("AddressSanitizer's malloc rounds another way");
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    cr_skip_test("AddressSanitizer's malloc rounds another way");
#endif
#endif
    for (size_t bytes = 1; bytes < 5000; bytes += 7) {
        void *block = malloc(bytes);

        cr_assert_eq(malloc_usable_size(block) + 8, mem_cost(bytes), "%zu bytes", bytes);
        free(block);
    }
}

Test(mem, has_a_name_and_a_text_for_each_kind)
{
    for (int kind = 0; kind < MEM_KIND_COUNT; kind++) {
        cr_assert_not_null(mem_kind_name((enum mem_kind)kind));
        cr_assert_gt(strlen(mem_kind_text((enum mem_kind)kind)), 0);
    }
    cr_assert_str_eq(mem_kind_name(MEM_CONN), "CONN");
}
