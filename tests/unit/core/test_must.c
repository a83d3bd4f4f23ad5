/*
 * tests/unit/core/test_must.c — mirrors core/must.h.
 * Goal: a broken promise ends the process, in every build type, and a kept one costs nothing.
 * Method: break one and look for the signal; walk a span to its end and one byte beyond.
 */
#include "core/must.h"

#include <signal.h>

#include <criterion/criterion.h>

Test(must, aborts_when_the_condition_is_false, .signal = SIGABRT)
{
    volatile int one = 1;

    must(one == 2);
}

Test(must, goes_on_when_the_condition_is_true)
{
    int evaluated_count = 0;

    must(++evaluated_count == 1);
    cr_assert_eq(evaluated_count, 1);
}

Test(span, may_be_skipped_to_its_end)
{
    struct span rest = span_skip(span_of("abc", 3), 3);

    cr_assert_eq(rest.bytes_count, 0);
}

Test(span, may_not_be_skipped_beyond_its_end, .signal = SIGABRT)
{
    (void)span_skip(span_of("abc", 3), 4);
}
