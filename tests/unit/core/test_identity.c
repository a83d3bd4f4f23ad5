/*
 * tests/unit/core/test_identity.c — mirrors core/identity.c.
 * Goal: what is written is read; who may take over a UID, and who may not.
 */
#include "core/identity.h"

#include <criterion/criterion.h>
#include <string.h>

static struct span text(const char *chars)
{
    return span_of(chars, strlen(chars));
}

static struct identity person(enum login login, const char *name)
{
    return (struct identity){.uid = text("device"), .login = login, .name = text(name)};
}

static void expect_text(struct span bytes, const char *expected)
{
    cr_assert_eq(bytes.bytes_count, strlen(expected));
    cr_assert_eq(memcmp(bytes.data, expected, bytes.bytes_count), 0);
}

Test(identity, what_is_written_is_read)
{
    struct identity written = {text("device-1"), LOGIN_USER, text("alice"), text("a lamp")};
    uint8_t bytes[64];
    size_t bytes_count = identity_bytes(&written);

    cr_assert_eq(bytes_count, 3 + 8 + 5 + 6);
    identity_write(&written, bytes);
    struct identity read = identity_read(span_of(bytes, bytes_count));
    expect_text(read.uid, "device-1");
    cr_assert_eq(read.login, LOGIN_USER);
    expect_text(read.name, "alice");
    expect_text(read.info, "a lamp");
}

Test(identity, rights_do_not_depend_on_the_info)
{
    struct identity written = {text("device-1"), LOGIN_ANONYMOUS, text(""), text("a lamp")};
    uint8_t bytes[64];

    identity_write(&written, bytes);
    struct span part = identity_without_info(span_of(bytes, identity_bytes(&written)));
    struct identity read = identity_read(part);

    cr_assert_eq(part.bytes_count, 3 + 8);
    expect_text(read.uid, "device-1");
    expect_text(read.info, "");
}

static bool is_bound(const char *uid, enum login login, const char *name)
{
    struct identity identity = {.uid = text(uid), .login = login, .name = text(name)};

    return identity_is_bound(&identity);
}

Test(identity, a_uid_can_be_bound_to_its_login)
{
    cr_assert(is_bound("alice", LOGIN_USER, "alice"));
    cr_assert(is_bound("alice:lamp", LOGIN_USER, "alice"));
    cr_assert(is_bound("alice:", LOGIN_WEB, "alice"));
    cr_assert_not(is_bound("alice-lamp", LOGIN_USER, "alice"));
    cr_assert_not(is_bound("alic", LOGIN_USER, "alice"));
    cr_assert_not(is_bound("bob:alice", LOGIN_USER, "alice"));
    cr_assert(is_bound("lamp-1", LOGIN_CERT, "lamp-1"));
    cr_assert_not(is_bound("lamp-1:x", LOGIN_CERT, "lamp-1"), "certificates may have colons");
    cr_assert(is_bound("lamp-1", LOGIN_KEY, "lamp-1"));
    cr_assert_not(is_bound("", LOGIN_ANONYMOUS, ""));
}

Test(identity, the_same_login_takes_over_and_no_other)
{
    struct identity alice = person(LOGIN_USER, "alice");
    struct identity bob = person(LOGIN_USER, "bob");
    struct identity long_alice = person(LOGIN_USER, "alice2");
    struct identity certificate = person(LOGIN_CERT, "alice");
    struct identity nobody = person(LOGIN_ANONYMOUS, "");

    cr_assert(identity_may_take_over(&alice, &alice));
    cr_assert(identity_may_take_over(&nobody, &nobody));
    cr_assert(identity_may_take_over(&alice, &nobody), "what was never granted can be taken");
    cr_assert_not(identity_may_take_over(&nobody, &alice));
    cr_assert_not(identity_may_take_over(&bob, &alice));
    cr_assert_not(identity_may_take_over(&long_alice, &alice));
    cr_assert_not(identity_may_take_over(&alice, &long_alice));
    cr_assert_not(identity_may_take_over(&certificate, &alice));
}
