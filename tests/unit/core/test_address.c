/*
 * tests/unit/core/test_address.c — mirrors core/address.c.
 *
 * Goal:   what is one address, what is in a network, and nothing that only looks like one.
 * Method: text in, key or verdict out.
 */
#include "core/address.h"

#include <string.h>

#include <criterion/criterion.h>

static uint64_t key_of(const char *text)
{
    uint8_t ip[ADDRESS_BYTES];

    cr_assert(address_parse(text, ip), "%s", text);
    return address_key_of(ip).value;
}

static const char *text_of(const char *text)
{
    static char out[ADDRESS_TEXT_BYTES];

    cr_assert_eq(address_key_text((struct address_key){key_of(text)}, out), strlen(out));
    return out;
}

Test(address, is_all_of_an_ipv4_and_half_of_an_ipv6_one)
{
    cr_assert_neq(key_of("192.0.2.7"), key_of("192.0.2.8"));
    cr_assert_eq(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    cr_assert_neq(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:3::1"));
}

Test(address, of_ipv4_is_the_same_when_it_is_mapped)
{
    cr_assert_eq(key_of("::ffff:192.0.2.7"), key_of("192.0.2.7"));
    cr_assert_neq(key_of("::1"), key_of("0.0.0.1"));
}

Test(address, reads_as_people_write_it)
{
    cr_assert_str_eq(text_of("192.0.2.7"), "192.0.2.7");
    cr_assert_str_eq(text_of("::ffff:192.0.2.7"), "192.0.2.7");
    cr_assert_str_eq(text_of("2001:db8:1:2::7"), "2001:db8:1:2::/64");
    cr_assert_str_eq(text_of("2001:db8:1:2::/64"), "2001:db8:1:2::/64");
    cr_assert_str_eq(text_of("ffff:ffff:ffff:ffff::"), "ffff:ffff:ffff:ffff::/64");
}

Test(address, is_nothing_else)
{
    static const char *const bad[] = {
        "",
        "localhost",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.7/24",
        "192.0.2.7 ",
        "2001:db8::/32",
        "2001:db8::/64x",
        "2001:db8::/ 64",
        "2001:db8::/-64",
        "::ffff:192.0.2.7/64",
        "1:2:3:4:5:6:7:8:9",
        "[::1]",
    };
    uint8_t ip[ADDRESS_BYTES];

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_not(address_parse(bad[i], ip), "%s", bad[i]);
}

static bool is_in(const char *address, const char *networks)
{
    struct address_net nets[4];
    uint8_t ip[ADDRESS_BYTES];
    const char *bad;
    size_t bad_bytes;
    int count = address_nets_parse(networks, nets, COUNT_OF(nets), &bad, &bad_bytes);

    cr_assert_geq(count, 0, "%s", networks);
    cr_assert(address_parse(address, ip));
    return address_is_in(ip, nets, (uint32_t)count);
}

Test(address, is_in_its_networks)
{
    cr_assert(is_in("127.0.0.1", "127.0.0.0/8 ::1"));
    cr_assert(is_in("127.255.1.2", "::1 127.0.0.0/8"));
    cr_assert(is_in("::1", "127.0.0.0/8  ::1/128 "));
    cr_assert_not(is_in("128.0.0.1", "127.0.0.0/8 ::1"));
    cr_assert_not(is_in("::2", "127.0.0.0/8 ::1"));
    cr_assert_not(is_in("127.0.0.1", ""));
}

Test(address, is_compared_by_bits)
{
    cr_assert(is_in("192.0.2.131", "192.0.2.128/30"));
    cr_assert_not(is_in("192.0.2.132", "192.0.2.128/30"));
    cr_assert(is_in("203.0.113.9", "0.0.0.0/0"));
    cr_assert_not(is_in("2001:db8::1", "0.0.0.0/0"));
    cr_assert(is_in("2001:db8:ffff::1", "2001:db8::/32"));
    cr_assert_not(is_in("2001:db9::1", "2001:db8::/32"));
    cr_assert(is_in("2001:db9::1", "::/0"));
}

Test(address, says_which_word_is_no_network)
{
    struct address_net nets[2];
    const char *bad;
    size_t bad_bytes;

    cr_assert_eq(address_nets_parse("127.0.0.1 10/8", nets, 2, &bad, &bad_bytes), -1);
    cr_assert_eq(bad_bytes, 4);
    cr_assert_eq(strncmp(bad, "10/8", 4), 0);
    cr_assert_eq(address_nets_parse("10.0.0.0/33", nets, 2, &bad, &bad_bytes), -1);
    cr_assert_eq(address_nets_parse("::/129", nets, 2, &bad, &bad_bytes), -1);
    cr_assert_eq(address_nets_parse("::1 ::2 ::3", nets, 2, &bad, &bad_bytes), -1);
    cr_assert_eq(strncmp(bad, "::3", 3), 0, "one too many");
}
