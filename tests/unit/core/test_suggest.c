/*
 * tests/unit/core/test_suggest.c — mirrors core/suggest.c.
 * Goal: a slip of the finger finds its word; a different word finds nothing.
 */
#include "core/suggest.h"

#include <string.h>

#include "core/must.h"

#include <criterion/criterion.h>

static const char *const words[] = {"limits.connections", "limits.handshakes", "threads.io",
                                    "threads", "listen"};

static const char *nearest(const char *word)
{
    return suggest_nearest(word, words, COUNT_OF(words));
}

Test(suggest, counts_what_is_to_be_changed)
{
    cr_assert_eq(suggest_distance("listen", "listen"), 0);
    cr_assert_eq(suggest_distance("lisen", "listen"), 1, "one missing");
    cr_assert_eq(suggest_distance("liisten", "listen"), 1, "one too many");
    cr_assert_eq(suggest_distance("lidten", "listen"), 1, "one wrong");
    cr_assert_eq(suggest_distance("litsen", "listen"), 1, "two swapped");
    cr_assert_eq(suggest_distance("", "listen"), 6);
    cr_assert_eq(suggest_distance("listen", ""), 6);
    cr_assert_eq(suggest_distance("kitten", "sitting"), 3);
}

Test(suggest, refuses_words_longer_than_its_rows)
{
    char longest[SUGGEST_WORD_BYTES_MAX + 1];
    char too_long[SUGGEST_WORD_BYTES_MAX + 2];

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    memset(too_long, 'x', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    cr_assert_eq(suggest_distance(longest, longest), 0);
    cr_assert_eq(suggest_distance(longest, "y"), SUGGEST_WORD_BYTES_MAX);
    cr_assert_eq(suggest_distance(too_long, "x"), UINT32_MAX);
    cr_assert_eq(suggest_distance("x", too_long), UINT32_MAX);
    cr_assert_null(nearest(too_long));
}

Test(suggest, finds_nothing_for_a_word_that_is_no_slip)
{
    cr_assert_null(nearest("banana"));
    cr_assert_null(nearest("x"));
    cr_assert_null(suggest_nearest("listen", NULL, 0));
}

Test(suggest, finds_the_word_behind_a_slip)
{
    cr_assert_str_eq(nearest("limits.conections"), "limits.connections");
    cr_assert_str_eq(nearest("thread.io"), "threads.io");
    cr_assert_str_eq(nearest("lsiten"), "listen");
}

Test(suggest, finds_a_key_that_was_written_without_its_section_or_in_another)
{
    cr_assert_str_eq(nearest("handshakes"), "limits.handshakes");
    cr_assert_str_eq(nearest("threads.handshakes"), "limits.handshakes");
}
