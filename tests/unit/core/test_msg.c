/*
 * tests/unit/core/test_msg.c — mirrors core/msg.c. (Many threads at once: tests/tsan/tsan_msg.c.)
 * Goal:   the last holder frees it, whoever that is, and nobody before.
 * Method: count references by hand and look at the account.
 */
#include "core/msg.h"

#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/core/account.h"

TestSuite(msg, .init = account_open);

Test(msg, is_not_made_when_there_is_no_memory)
{
    account.fail_at = 1;
    cr_assert_null(msg_new(&account, 10));
    account.fail_at = 1;
    cr_assert_null(msg_copy(&account, span_of("abc", 3)));
    cr_assert(account_is_empty());
}

Test(msg, copies_the_bytes)
{
    char text[] = "hello";
    struct msg *msg = msg_copy(&account, span_of(text, 5));

    memset(text, 'x', 5);
    cr_assert_eq(msg_span(msg).bytes_count, 5);
    cr_assert_eq(memcmp(msg_span(msg).data, "hello", 5), 0);
    msg_unref(&account, msg);
    cr_assert(account_is_empty());
}

Test(msg, grows_and_shrinks_while_only_its_maker_holds_it)
{
    struct msg *msg = msg_copy(&account, span_of("hello", 5));

    account.fail_at = 1;
    cr_assert_null(msg_resize(&account, msg, 100000));
    cr_assert_eq(msg->bytes_count, 5, "as it was");
    msg = msg_resize(&account, msg, 100000);
    cr_assert_eq(msg->bytes_count, 100000);
    msg = msg_resize(&account, msg, 4);
    cr_assert_eq(memcmp(msg->bytes, "hell", 4), 0);
    cr_assert_eq(msg->bytes_count, 4);
    msg_unref(&account, msg);
    cr_assert(account_is_empty());
}

Test(msg, may_be_empty)
{
    struct msg *msg = msg_copy(&account, span_of(NULL, 0));

    cr_assert_not_null(msg);
    cr_assert_eq(msg->bytes_count, 0);
    msg_unref(&account, msg);
    cr_assert(account_is_empty());
}

Test(msg, lives_until_its_last_holder_lets_go)
{
    struct msg *msg = msg_new(&account, 1000);
    int64_t bytes = account_bytes();

    cr_assert_eq(msg_ref(msg), msg);
    msg_ref_many(msg, 3);
    for (int i = 0; i < 4; i++) {
        msg_unref(&account, msg);
        cr_assert_eq(account_bytes(), bytes, "%d of 5 let go", i + 1);
    }
    msg_unref(&account, msg);
    cr_assert(account_is_empty());
}

Test(msg, is_freed_on_the_account_of_its_last_holder)
{
    struct mem other;
    struct msg *msg = msg_new(&account, 1000);

    mem_init(&other, &account_budget);
    msg_ref(msg);
    msg_unref(&account, msg);
    msg_unref(&other, msg);
    cr_assert_eq(mem_total(&other), -account_bytes());
}

Test(msg, is_nothing_when_null)
{
    msg_unref(&account, NULL);
    cr_assert(account_is_empty());
}
