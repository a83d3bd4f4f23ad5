/* tests/unit/net/test_turns.c — mirrors net/turns.c. */
#include "net/turns.h"

#include <criterion/criterion.h>

static struct mem_budget budget;
static struct mem mem;
static struct turns turns;

static void setup(void)
{
    mem_budget_init(&budget, 1u << 20);
    mem_init(&mem, &budget);
    turns_init(&turns, 3);
}

/* Every test ends with nothing left. */
static void teardown(void)
{
    turns_deinit(&turns, &mem);
    cr_assert_eq(mem.kind_bytes[MEM_OTHER], 0);
}

TestSuite(turns, .init = setup, .fini = teardown);

static struct conn_handle conn_of(uint32_t slot_index)
{
    return (struct conn_handle){.generation = 1, .slot_index = slot_index};
}

static void wait_for(uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        cr_assert(turns_wait(&turns, &mem, conn_of(i)));
}

/* Let in whom it allows; returns how many, which came in order from @first on. */
static uint32_t let_in(uint32_t first, uint32_t now_tick)
{
    struct conn_handle conn;
    uint32_t count = 0;

    while (turns_next(&turns, &mem, &conn)) {
        cr_assert_eq(conn.slot_index, first + count);
        turns_begin(&turns, &mem, conn, now_tick);
        count++;
    }
    return count;
}

Test(turns, nobody_waits_at_first)
{
    cr_assert_not(turns_is_ready(&turns));
    cr_assert_eq(let_in(0, 0), 0);
}

Test(turns, no_more_than_the_limit_are_in_and_the_first_to_come_is_the_first_to_go)
{
    wait_for(0, 200);
    cr_assert_eq(let_in(0, 0), 3);
    cr_assert_not(turns_is_ready(&turns));
    for (uint32_t i = 3; i < 200; i++) {
        turns_end(&turns);
        cr_assert_eq(let_in(i, 0), 1);
    }
    turns_end(&turns);
    cr_assert_eq(let_in(200, 0), 0);
}

Test(turns, who_has_gone_takes_no_place)
{
    struct conn_handle conn;

    wait_for(0, 5);
    cr_assert(turns_next(&turns, &mem, &conn));
    cr_assert(turns_next(&turns, &mem, &conn)); /* neither begins */
    cr_assert_eq(let_in(2, 0), 3);
}

Test(turns, a_place_is_kept_for_a_while_only)
{
    struct conn_handle conn;

    wait_for(0, 6);
    cr_assert_eq(let_in(0, 10), 3);
    cr_assert_not(turns_expire(&turns, &mem, 10 + TURNS_TICKS - 1, &conn));
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert(turns_expire(&turns, &mem, 10 + TURNS_TICKS, &conn));
        cr_assert_eq(conn.slot_index, i);
        turns_end(&turns);
    }
    cr_assert_not(turns_expire(&turns, &mem, 10 + TURNS_TICKS, &conn));
    cr_assert_eq(let_in(3, 10 + TURNS_TICKS), 3);
}

Test(turns, who_goes_on_has_a_line_of_its_own_and_needs_no_place)
{
    struct conn_handle conn;

    wait_for(0, 4);
    cr_assert_eq(let_in(0, 0), 3);
    cr_assert_not(turns_is_ready(&turns));
    for (uint32_t i = 0; i < 3; i++)
        cr_assert(turns_wait_on(&turns, &mem, conn_of(i)));
    cr_assert(turns_is_ready(&turns));
    cr_assert_not(turns_next(&turns, &mem, &conn)); /* no place is free */
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert(turns_next_on(&turns, &mem, &conn));
        cr_assert_eq(conn.slot_index, i);
    }
    cr_assert_not(turns_next_on(&turns, &mem, &conn));
    cr_assert_not(turns_is_ready(&turns));
}

Test(turns, time_may_wrap)
{
    struct conn_handle conn;

    wait_for(0, 1);
    cr_assert_eq(let_in(0, UINT32_MAX), 1);
    cr_assert_not(turns_expire(&turns, &mem, UINT32_MAX, &conn));
    cr_assert_not(turns_expire(&turns, &mem, TURNS_TICKS - 2, &conn));
    cr_assert(turns_expire(&turns, &mem, TURNS_TICKS - 1, &conn));
}

Test(turns, the_order_holds_while_the_line_grows_and_wraps)
{
    uint32_t in_count = 0;
    uint32_t next = 0;

    turns_init(&turns, 1000);
    for (uint32_t round = 0; round < 50; round++) {
        wait_for(next, 37);
        next += 37;
        for (uint32_t i = 0; i < 30 + round % 8; i++) {
            struct conn_handle conn;

            if (!turns_next(&turns, &mem, &conn))
                break;
            cr_assert_eq(conn.slot_index, in_count++);
        }
    }
    cr_assert_eq(turns.waiting.count, next - in_count);
}

Test(turns, without_memory_nobody_stands_in_line)
{
    mem.fail_at = 1;
    cr_assert_not(turns_wait(&turns, &mem, conn_of(1)));
    cr_assert_eq(turns.waiting.count, 0);
    wait_for(0, 1);
    mem.fail_at = 1; /* begins all the same */
    cr_assert_eq(let_in(0, 0), 1);
    cr_assert_eq(turns.in_count, 1);
}
