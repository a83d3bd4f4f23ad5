/*
 * tests/unit/client/test_print.c — mirrors cli/print.c and cli/table.c.
 *
 * Goal:   nothing a stranger publishes can command a terminal, and text stays text.
 * Method: bytes on both sides of each border of UTF-8 and of the control characters; numbers on
 *         both sides of each unit.
 */
#include "cli/print.h"

#include <criterion/criterion.h>
#include <string.h>

#include "cli/table.h"

static bool printable(const char *text)
{
    return is_printable((const uint8_t *)text, strlen(text));
}

Test(print, takes_control_characters_for_binary)
{
    cr_assert_not(is_printable((const uint8_t *)"", 1), "NUL");
    cr_assert_not(printable("\x1b[31m"));
    cr_assert_not(printable("\x07"));
    cr_assert_not(printable("overwritten\rline"));
    cr_assert_not(printable("ends in\r"));
    cr_assert_not(printable("\x7f"));
    cr_assert_not(printable("\xc2\x80"), "U+0080, a control character");
    cr_assert_not(printable("\xc2\x9b"), "U+009B, what ESC [ means to some terminals");
    cr_assert_not(printable("\xc2\x9f"));
}

Test(print, takes_what_is_not_utf8_for_binary)
{
    static const char *const wrong[] = {
        "\x80",             /* a continuation alone */
        "\xbf",             /* the same */
        "\xc3",             /* cut short */
        "a\xe2\x82",        /* cut short */
        "\xc3(",            /* not continued */
        "\xc0\xaf",         /* '/' in two bytes */
        "\xe0\x80\xaf",     /* '/' in three */
        "\xf0\x80\x80\xaf", /* '/' in four */
        "\xed\xa0\x80",     /* a surrogate */
        "\xed\xbf\xbf",     /* a surrogate */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf5\x80\x80\x80", /* no such first byte */
        "\xff",
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_not(printable(wrong[i]), "number %zu", i);
}

Test(print, takes_text_for_text)
{
    cr_assert(printable(""));
    cr_assert(printable("plain text with\ttabs,\nlines and\r\nother lines\n"));
    cr_assert(printable("\xc2\xa0"), "U+00A0");
    cr_assert(printable("Zürich \xe2\x82\xac \xf0\x9f\x92\xa1"));
    cr_assert(printable("\xed\x9f\xbf"), "U+D7FF, just before the surrogates");
    cr_assert(printable("\xee\x80\x80"), "U+E000, just after them");
    cr_assert(printable("\xf4\x8f\xbf\xbf"), "U+10FFFF");
}

static const char *formatted(const char *name, json_t *value)
{
    static char room[80];

    table_format(name, value, room, sizeof room);
    json_decref(value);
    return room;
}

Test(table, writes_a_number_in_the_unit_of_its_name)
{
    cr_assert_str_eq(formatted("used_bytes", json_integer(0)), "0 B");
    cr_assert_str_eq(formatted("used_bytes", json_integer(1023)), "1023 B");
    cr_assert_str_eq(formatted("used_bytes", json_integer(1024)), "1.00 KiB");
    cr_assert_str_eq(formatted("used_bytes", json_integer(15 * 1048576)), "15.0 MiB");
    cr_assert_str_eq(formatted("uptime_seconds", json_integer(59)), "0:00:59");
    cr_assert_str_eq(formatted("uptime_seconds", json_integer(93784)), "1d 02:03:04");
    cr_assert_str_eq(formatted("wait_ns", json_integer(999)), "999 ns");
    cr_assert_str_eq(formatted("wait_us", json_integer(1500)), "1.50 ms");
    cr_assert_str_eq(formatted("wait_ms", json_integer(2000)), "2.00 s");
    cr_assert_str_eq(formatted("accepted", json_integer(999)), "999");
    cr_assert_str_eq(formatted("accepted", json_integer(1234567)), "1,234,567");
    cr_assert_str_eq(formatted("balance", json_integer(-123456)), "-123,456");
    cr_assert_str_eq(formatted("etid", json_integer(1234567)), "1234567");
    cr_assert_str_eq(formatted("share", json_real(0.256)), "0.26");
}

Test(table, writes_what_is_not_a_number)
{
    cr_assert_str_eq(formatted("tls", json_true()), "yes");
    cr_assert_str_eq(formatted("tls", json_false()), "no");
    cr_assert_str_eq(formatted("uid", json_null()), "-");
    cr_assert_str_eq(formatted("uid", json_string("a\x1b[31m\nb")), "a?[31m?b");
    cr_assert_str_eq(formatted("uid", json_string("\xc2\x9b")), "?");
    cr_assert_str_eq(formatted("uid", json_string("20 \xc2\xb0"
                                                  "C")),
                     "20 \xc2\xb0"
                     "C");
}

Test(table, cuts_long_text_between_characters)
{
    char room[8];
    json_t *value = json_string("abcd\xe2\x82\xac");

    cr_assert_str_eq(table_format("uid", value, room, 8), "abcd\xe2\x82\xac");
    cr_assert_str_eq(table_format("uid", value, room, 7), "abcd");
    cr_assert_str_eq(table_format("uid", value, room, 6), "abcd");
    cr_assert_str_eq(table_format("uid", value, room, 5), "abcd");
    cr_assert_str_eq(table_format("uid", value, room, 4), "abc");
    json_decref(value);
}

Test(table, aligns_the_columns_of_an_array_of_objects)
{
    static const char expected[] = "version  1\n"
                                   "\n"
                                   "peers\n"
                                   "     etid  uid\n"
                                   "       12  a\n"
                                   "  1234567  long name\n";
    char printed[512] = "";
    FILE *out = fmemopen(printed, sizeof printed, "w");
    json_t *root = json_pack("{s:s, s:[{s:i, s:s}, {s:i, s:s}]}", "version", "1", "peers", "etid",
                             12, "uid", "a", "etid", 1234567, "uid", "long name");

    table_print(out, root);
    fclose(out);
    json_decref(root);
    cr_assert_str_eq(printed, expected);
}
