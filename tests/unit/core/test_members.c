/*
 * tests/unit/core/test_members.c — mirrors core/members.c.
 *
 * Goal:   a set of handles with flags; two handles that differ in any field are two members.
 * Method: the one-member form by hand, then a naive model under random adds and removals.
 */
#include "core/members.h"

#include <signal.h>

#include <criterion/criterion.h>

#include "core/limits.h"
#include "tests/unit/core/account.h"
#include "tests/unit/core/dice.h"

static struct members members;
static uint32_t flags;

static void start(void)
{
    account_open();
    members = (struct members){0};
    flags = 0;
}

static struct conn_handle handle(uint32_t slot_index, uint16_t generation, uint16_t host_index)
{
    return (struct conn_handle){.slot_index = slot_index,
                                .generation = generation,
                                .host_index = host_index};
}

TestSuite(members, .init = start);

Test(members, does_not_find_a_stranger)
{
    cr_assert_not(members_find(&members, handle(1, 1, 1), &flags));
    cr_assert_not(members_remove(&members, &account, handle(1, 1, 1), &flags));
    cr_assert_eq(members_add(&members, &account, handle(1, 1, 1), 0), MEMBERS_ADDED);
    cr_assert_not(members_find(&members, handle(2, 1, 1), &flags));
    cr_assert_not(members_find(&members, handle(1, 2, 1), &flags));
    cr_assert_not(members_find(&members, handle(1, 1, 2), &flags));
    cr_assert_not(members_remove(&members, &account, handle(1, 2, 1), &flags));
    cr_assert_eq(members.count, 1);
}

Test(members, refuses_the_handle_of_no_connection, .signal = SIGABRT)
{
    cr_assert_eq(members_add(&members, &account, handle(1, 0, 1), 0), MEMBERS_ADDED);
}

Test(members, refuses_a_slot_that_does_not_fit, .signal = SIGABRT)
{
    cr_assert_eq(members_add(&members, &account, handle(LIMIT_CONNS_PER_IO, 1, 1), 0),
                 MEMBERS_ADDED);
}

Test(members, does_not_clear_a_flag_of_a_stranger, .signal = SIGABRT)
{
    members_clear(&members, handle(1, 1, 1), 1);
}

Test(members, keeps_one_member_in_the_struct_itself)
{
    cr_assert_eq(members_add(&members, &account, handle(0, 1, 0), 0), MEMBERS_ADDED);
    cr_assert(account_is_empty());
    cr_assert(members_find(&members, handle(0, 1, 0), &flags));
    cr_assert(members_remove(&members, &account, handle(0, 1, 0), &flags));
    cr_assert_eq(members.count, 0);
    cr_assert_not(members_find(&members, handle(0, 1, 0), &flags));
}

Test(members, tells_whether_an_add_changed_anything)
{
    struct conn_handle a = handle(5, 6, 7);

    for (int form = 0; form < 2; form++) { /* alone, then among others */
        cr_assert_eq(members_add(&members, &account, a, 0), MEMBERS_ADDED);
        cr_assert_eq(members_add(&members, &account, a, 0), MEMBERS_SAME);
        cr_assert_eq(members_add(&members, &account, a, MEMBER_SUBSCRIBED), MEMBERS_CHANGED);
        cr_assert_eq(members_add(&members, &account, a, MEMBER_SUBSCRIBED), MEMBERS_SAME);
        cr_assert_eq(members_add(&members, &account, a, 0), MEMBERS_SAME);
        cr_assert(members_find(&members, a, &flags));
        cr_assert_eq(flags, MEMBER_SUBSCRIBED);
        members_clear(&members, a, MEMBER_SUBSCRIBED);
        cr_assert(members_find(&members, a, &flags));
        cr_assert_eq(flags, 0);
        cr_assert(members_remove(&members, &account, a, &flags));
        for (uint32_t i = 100; i < 110 && form == 0; i++)
            cr_assert_eq(members_add(&members, &account, handle(i, 1, 0), 0), MEMBERS_ADDED);
    }
}

Test(members, keeps_the_largest_handle_apart_from_its_flags)
{
    struct conn_handle largest =
        handle(LIMIT_CONNS_PER_IO - 1, UINT16_MAX, (uint16_t)(LIMIT_HOSTS - 1));
    struct conn_handle seen;
    uint32_t cursor = 0;

    cr_assert_eq(members_add(&members, &account, largest, 0xffff), MEMBERS_ADDED);
    cr_assert(members_next(&members, &cursor, &seen, &flags));
    cr_assert(conn_handle_equal(seen, largest));
    cr_assert_eq(flags, 0xffff);
    cr_assert_not(members_next(&members, &cursor, &seen, &flags));
}

Test(members, adds_nobody_when_there_is_no_memory)
{
    cr_assert_eq(members_add(&members, &account, handle(1, 1, 1), 3), MEMBERS_ADDED);
    account.fail_at = 1;
    cr_assert_eq(members_add(&members, &account, handle(2, 1, 1), 0), MEMBERS_NO_MEMORY);
    cr_assert_eq(members.count, 1);
    cr_assert_not(members_find(&members, handle(2, 1, 1), &flags));
    cr_assert(members_find(&members, handle(1, 1, 1), &flags));
    cr_assert_eq(flags, 3);
    cr_assert_eq(members_add(&members, &account, handle(2, 1, 1), 0), MEMBERS_ADDED);
}

Test(members, works_on_when_it_cannot_shrink)
{
    for (uint32_t i = 0; i < 100; i++)
        cr_assert_eq(members_add(&members, &account, handle(i, 1, 0), i), MEMBERS_ADDED);
    for (uint32_t i = 0; i < 98; i++) {
        account.fail_at = 1;
        cr_assert(members_remove(&members, &account, handle(i, 1, 0), &flags));
    }
    account.fail_at = 0;
    for (uint32_t i = 98; i < 100; i++) {
        cr_assert(members_find(&members, handle(i, 1, 0), &flags));
        cr_assert_eq(flags, i);
    }
}

Test(members, gives_memory_back_as_it_empties)
{
    for (uint32_t i = 0; i < 1000; i++)
        cr_assert_eq(members_add(&members, &account, handle(i, 1, 0), 0), MEMBERS_ADDED);
    int64_t full_bytes = account_bytes();

    for (uint32_t i = 0; i < 995; i++)
        cr_assert(members_remove(&members, &account, handle(i, 1, 0), &flags));
    cr_assert_lt(account_bytes() * 20, full_bytes);
    for (uint32_t i = 995; i < 1000; i++)
        cr_assert(members_remove(&members, &account, handle(i, 1, 0), &flags));
    cr_assert(account_is_empty());
}

#define MODEL_MAX 300

static struct {
    struct conn_handle conn;
    uint32_t flags;
    bool seen;
} model[MODEL_MAX];
static uint32_t model_count;

static uint32_t model_find(struct conn_handle conn)
{
    uint32_t index = 0;

    while (index < model_count && !conn_handle_equal(model[index].conn, conn))
        index++;
    return index;
}

static void check_walk(void)
{
    struct conn_handle conn;
    uint32_t cursor = 0;
    uint32_t walked_count = 0;

    for (uint32_t i = 0; i < model_count; i++)
        model[i].seen = false;
    while (members_next(&members, &cursor, &conn, &flags)) {
        uint32_t index = model_find(conn);

        cr_assert_lt(index, model_count, "a member nobody added");
        cr_assert_not(model[index].seen, "walked over twice");
        cr_assert_eq(flags, model[index].flags);
        model[index].seen = true;
        walked_count++;
    }
    cr_assert_eq(walked_count, model_count);
    cr_assert_eq(members.count, model_count);
}

static void change(struct dice *dice, bool growing, uint32_t count_max)
{
    struct conn_handle conn = handle(dice_below(dice, 64), (uint16_t)(1 + dice_below(dice, 3)),
                                     (uint16_t)dice_below(dice, 3));
    uint32_t index = model_find(conn);
    uint32_t wanted = dice_below(dice, 4);

    if (dice_below(dice, 10) < (growing ? 7u : 3u)) {
        if (index == model_count && model_count == count_max)
            return;
        enum members_result result = members_add(&members, &account, conn, wanted);

        if (index == model_count) {
            cr_assert_eq(result, MEMBERS_ADDED);
            model[model_count].conn = conn;
            model[model_count++].flags = wanted;
        } else {
            bool same = (model[index].flags & wanted) == wanted;

            cr_assert_eq(result, same ? MEMBERS_SAME : MEMBERS_CHANGED);
            model[index].flags |= wanted;
        }
        return;
    }
    cr_assert_eq(members_remove(&members, &account, conn, &flags), index < model_count);
    if (index < model_count) {
        cr_assert_eq(flags, model[index].flags);
        model[index] = model[--model_count];
    }
}

static void agree_with_a_list(uint64_t seed, uint32_t count_max)
{
    struct dice dice = {seed};

    model_count = 0;
    for (uint32_t step = 0; step < 8000; step++) {
        change(&dice, step / 1000 % 2 == 0, count_max);
        if (step % 8 == 0)
            check_walk();
    }
    members_deinit(&members, &account);
    cr_assert(account_is_empty());
}

Test(members, agrees_with_a_list_when_small)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        agree_with_a_list(seed, 3);
}

Test(members, agrees_with_a_list_when_large)
{
    for (uint64_t seed = 1; seed <= 5; seed++)
        agree_with_a_list(seed, MODEL_MAX);
}
