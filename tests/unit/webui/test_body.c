/*
 * tests/unit/webui/test_body.c — mirrors webui/body.c.
 * Goal:   what was put is what is sent, at any length, and running out of memory is told once.
 */
#include "webui/body.h"

#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/core/account.h"

TestSuite(body, .init = account_open);

static void assert_finished(struct body *body, const char *expected)
{
    struct msg *msg = body_finish(body, span_of("HEAD", 4));

    cr_assert_not_null(msg);
    cr_assert_eq(msg->bytes_count, strlen(expected));
    cr_assert_eq(memcmp(msg->bytes, expected, msg->bytes_count), 0);
    msg_unref(&account, msg);
    cr_assert(account_is_empty());
}

Test(body, has_its_head_in_front)
{
    struct body body = body_of(&account);

    assert_finished(&body, "HEAD");
    body_put_text(&body, "one ");
    body_printf(&body, "%d", 2);
    body_put(&body, span_of(NULL, 0));
    cr_assert_eq(body_bytes(&body), 5);
    assert_finished(&body, "HEADone 2");
}

Test(body, grows)
{
    struct body body = body_of(&account);
    char line[1001];

    for (uint32_t i = 0; i < 5000; i++) {
        memset(line, 'a' + (int)(i % 26), 1000);
        body_put(&body, span_of(line, 1000));
    }
    struct msg *msg = body_finish(&body, span_of("HEAD", 4));

    cr_assert_eq(msg->bytes_count, 5000004);
    for (uint32_t i = 0; i < 5000; i++)
        cr_assert_eq(msg->bytes[4 + i * 1000 + 999], 'a' + i % 26);
    msg_unref(&account, msg);
    cr_assert(account_is_empty());
}

Test(body, escapes_every_byte_for_json)
{
    struct body body = body_of(&account);
    uint8_t bytes[] = {'a', '"', '\\', 0, '\n', 0x7f, 0xff, '/'};

    body_put_json(&body, span_of(bytes, sizeof(bytes)));
    assert_finished(&body, "HEAD\"a\\u0022\\u005c\\u0000\\u000a\\u007f\\u00ff/\"");
}

Test(body, remembers_that_there_was_no_memory)
{
    struct body body = body_of(&account);

    body_put_text(&body, "first");
    account.fail_at = 1;
    cr_assert_null(body_reserve(&body, 1000000));
    body_put_text(&body, "there is memory again");
    cr_assert_null(body_finish(&body, span_of("HEAD", 4)));
    cr_assert(account_is_empty());
    body = body_of(&account);
    account.fail_at = 1;
    body_put_text(&body, "x");
    cr_assert_null(body_finish(&body, span_of("HEAD", 4)));
    body_drop(&body);
    cr_assert(account_is_empty());
}
