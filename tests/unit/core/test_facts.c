/*
 * tests/unit/core/test_facts.c — mirrors core/facts.c.
 * Goal: what is written is read, however much of it there is; what is cut short is noticed.
 */
#include "core/facts.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static struct span text(const char *chars)
{
    return span_of(chars, strlen(chars));
}

static void expect_same(struct span read, struct span written)
{
    cr_assert_eq(read.bytes_count, written.bytes_count);
    if (written.bytes_count > 0)
        cr_assert_arr_eq(read.data, written.data, written.bytes_count);
}

static void expect_all(const struct facts *read, const struct facts *written)
{
    expect_same(read->credentials, written->credentials);
    expect_same(read->address, written->address);
    expect_same(read->head, written->head);
    expect_same(read->cert_name, written->cert_name);
    expect_same(read->cert_serial, written->cert_serial);
    expect_same(read->cert_sha256, written->cert_sha256);
    expect_same(read->cert_issuer, written->cert_issuer);
    expect_same(read->cert_sans, written->cert_sans);
    cr_assert_eq(read->seed, written->seed);
    cr_assert_eq(read->is_secure, written->is_secure);
}

static const struct facts nothing;

static struct facts everything(void)
{
    return (struct facts){
        .credentials = span_of("a\0b", 3),
        .address = text("[2001:db8::1]:5000"),
        .head = text("GET /smq.lsp?room=4 HTTP/1.1\r\nHost: here\r\n\r\n"),
        .cert_name = text("pump-1"),
        .cert_serial = span_of("\x01\x00\xff", 3),
        .cert_sha256 = text("0123456789abcdef0123456789abcdef"),
        .cert_issuer = text("CN=our CA"),
        .cert_sans = span_of("pump-1\0pump-1.local", 20),
        .seed = 0xfffffffe,
        .is_secure = true,
    };
}

Test(facts, what_is_written_is_read)
{
    struct facts written = everything();
    uint8_t bytes[512];
    size_t bytes_count = facts_bytes(&written);

    cr_assert_leq(bytes_count, sizeof(bytes));
    facts_write(&written, bytes);
    struct facts read = facts_read(span_of(bytes, bytes_count));
    expect_all(&read, &written);
}

Test(facts, there_may_be_none)
{
    uint8_t bytes[64];

    facts_write(&nothing, bytes);
    struct facts read = facts_read(span_of(bytes, facts_bytes(&nothing)));
    expect_all(&read, &nothing);
}

Test(facts, no_more_is_written_than_was_said)
{
    struct facts written = everything();
    uint8_t bytes[512];
    size_t bytes_count = facts_bytes(&written);

    memset(bytes, 0xa5, sizeof(bytes));
    facts_write(&written, bytes);
    cr_assert_eq(bytes[bytes_count], 0xa5);
}

Test(facts, what_is_cut_short_is_noticed, .signal = SIGABRT)
{
    struct facts written = everything();
    uint8_t bytes[512];

    facts_write(&written, bytes);
    (void)facts_read(span_of(bytes, facts_bytes(&written) - 1));
}
