/*
 * tests/unit/client/test_print.c — mirrors cli/print.c and cli/table.c.
 *
 * Goal:   nothing a stranger publishes can command a terminal, and text stays text.
 * Method: bytes on both sides of each border of UTF-8 and of the control characters; numbers on
 *         both sides of each unit; whole tables compared with what a person should read.
 */
#include "cli/print.h"

#include <criterion/criterion.h>
#include <stdlib.h>
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
    cr_assert_str_eq(formatted("uptime_s", json_integer(3599)), "0:59:59");
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
    cr_assert_str_eq(formatted("peers", json_array()), "none");
    cr_assert_str_eq(formatted("topics", json_pack("{s:i, s:i}", "used", 3, "max", 12000)),
                     "3 of 12,000");
    cr_assert_str_eq(formatted("topics", json_pack("{s:i, s:i}", "used", 3, "min", 1)), "(2)");
    cr_assert_str_eq(formatted("uid", json_string("a\x1b[31m\nb")), "a?[31m?b");
    cr_assert_str_eq(formatted("uid", json_string("\xc2\x9b")), "?");
    cr_assert_str_eq(formatted("uid", json_string("20 \xc2\xb0"
                                                  "C")),
                     "20 \xc2\xb0"
                     "C");
}

Test(table, writes_names_that_come_a_character_for_each_byte)
{
    /* as core/json_text.h has it: the bytes of UTF-8, which the terminal gets together again */
    cr_assert_str_eq(formatted("uid", json_string("\xc3\x83\xc2\xbc"
                                                  "ber")),
                     "\xc3\xbc"
                     "ber");
    cr_assert_str_eq(formatted("uid", json_string("\xc3\xbc"
                                                  "ber")),
                     "\xc3\xbc"
                     "ber",
                     "one byte, which is no UTF-8");
    cr_assert_str_eq(formatted("uid", json_stringn("a\0b", 3)), "a?b");
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

/* What table_print() writes of @root, which is taken. */
static const char *printed(json_t *root, bool shows_zeros)
{
    static char text[16384];
    FILE *out = fmemopen(text, sizeof text, "w");

    cr_assert_not_null(root);
    cr_assert_not_null(out);
    table_print(out, root, shows_zeros);
    fclose(out);
    json_decref(root);
    return text;
}

static void add_counter(json_t *object, const char *format, int number, int count)
{
    char name[32];

    snprintf(name, sizeof name, format, number);
    json_object_set_new(object, name, json_integer(count));
}

Test(table, aligns_the_columns_of_an_array_of_objects)
{
    json_t *root = json_pack("{s:s, s:[{s:i, s:s}, {s:i, s:s}]}", "version", "1", "peers", "etid",
                             12, "uid", "a", "etid", 1234567, "uid", "long name");

    cr_assert_str_eq(printed(root, false), "version  1\n"
                                           "\n"
                                           "peers\n"
                                           "     etid  uid\n"
                                           "       12  a\n"
                                           "  1234567  long name\n");
}

Test(table, starts_with_no_empty_line)
{
    cr_assert_str_eq(printed(json_pack("{s:[{s:i}]}", "peers", "etid", 1), false), "peers\n"
                                                                                   "  etid\n"
                                                                                   "     1\n");
}

Test(table, aligns_numbers_at_the_right_where_no_text_is_among_them)
{
    cr_assert_str_eq(printed(json_pack("{s:i, s:i}", "topics", 1, "turns_total", 2000), false),
                     "topics      1\n"
                     "turns   2,000\n");
    cr_assert_str_eq(printed(json_pack("{s:s, s:i}", "version", "0.1.0", "threads", 2), false),
                     "version  0.1.0\n"
                     "threads  2\n");
}

Test(table, writes_names_of_enums_in_lower_case)
{
    cr_assert_str_eq(printed(json_pack("{s:i, s:i}", "IO_ERROR", 1, "TLS sessions", 2), false),
                     "io error      1\n"
                     "TLS sessions  2\n");
}

/* Eight numbers: two counters at zero, one gauge at zero. */
static json_t *long_list(void)
{
    json_t *list = json_pack("{s:i, s:i, s:i}", "a_total", 0, "b_total", 0, "open", 0);

    for (int i = 0; i < 5; i++)
        add_counter(list, "n%d_total", i, 1000);
    return list;
}

Test(table, leaves_out_the_counters_at_zero_of_a_long_list)
{
    const char *text = printed(long_list(), false);

    cr_assert_str_eq(text, "open      0\n"
                           "n0    1,000\n"
                           "n1    1,000\n"
                           "n2    1,000\n"
                           "n3    1,000\n"
                           "n4    1,000\n"
                           "(2 counters at zero left out; --all shows them)\n");
    text = printed(long_list(), true);
    cr_assert_not_null(strstr(text, "a         0\n"));
    cr_assert_null(strstr(text, "left out"));
}

Test(table, keeps_the_counters_at_zero_of_a_short_list)
{
    json_t *list = long_list();

    json_object_del(list, "n4_total");
    cr_assert_null(strstr(printed(list, false), "left out"));
}

Test(table, takes_every_number_of_a_list_without_totals_for_a_counter)
{
    json_t *closed = json_pack("{s:i}", "PEER", 3);

    for (int i = 0; i < 7; i++)
        add_counter(closed, "R%d", i, i < 6 ? 0 : 1);
    json_object_del(closed, "R5");
    add_counter(closed, "SLOW", 0, 0);
    cr_assert_str_eq(printed(closed, false), "peer  3\n"
                                             "r6    1\n"
                                             "(6 counters at zero left out; --all shows them)\n");
}

/* An actor too wide for a line, with a lane into it. */
static json_t *wide_actor(int number, int turns)
{
    char name[32];

    snprintf(name, sizeof name, "io-%d", number);
    json_t *actor =
        json_pack("{s:s, s:i, s:i, s:i, s:[{s:s, s:i}]}", "actor", name, "open", 0, "turns_total",
                  turns, "quiet_total", 0, "lanes_in", "from", "shard-0", "depth", number);
    for (int i = 0; i < 10; i++)
        add_counter(actor, "rather_wide_counter_%d_total", i, 0);
    return actor;
}

Test(table, turns_a_wide_table_of_actors)
{
    json_t *root = json_pack("{s:[o, o]}", "io_actors", wide_actor(0, 1234567), wide_actor(1, 0));

    cr_assert_str_eq(printed(root, false), "io actors\n"
                                           "              io-0  io-1\n"
                                           "  open           0     0\n"
                                           "  turns  1,234,567     0\n"
                                           "  (11 counters at zero left out; --all shows them)\n"
                                           "\n"
                                           "  lanes into io-0\n"
                                           "    from     depth\n"
                                           "    shard-0      0\n"
                                           "\n"
                                           "  lanes into io-1\n"
                                           "    from     depth\n"
                                           "    shard-0      1\n");
}

Test(table, leaves_a_wide_table_straight_whose_rows_are_no_actors)
{
    json_t *peer = wide_actor(7, 1);

    json_object_del(peer, "actor");
    json_t *root = json_pack("{s:[o]}", "peers", peer);
    const char *text = printed(root, false);
    cr_assert_not_null(strstr(text, "rather wide counter 0  rather wide counter 1  "));
}

Test(table, breaks_many_actors_into_blocks_that_fit_a_screen)
{
    json_t *actors = json_array();
    size_t block_count = 0;
    int seen_count = 0;

    for (int i = 0; i < 64; i++)
        json_array_append_new(actors, wide_actor(i, 1000));
    char *text = strdup(printed(json_pack("{s:o}", "io_actors", actors), true));
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        cr_assert_leq(strlen(line), 100, "'%s'", line);
        if (strncmp(line, "  turns", 7) != 0)
            continue;
        block_count++;
        for (const char *at = line; (at = strstr(at, "1,000")) != NULL; at++)
            seen_count++;
    }
    free(text);
    cr_assert_eq(seen_count, 64, "each actor once, not %d", seen_count);
    cr_assert_gt(block_count, 1);
}
