/*
 * tests/unit/bench/test_sequence.c — mirrors bench/sequence.h.
 * Goal: lost, late and repeated messages are told apart, and a doubt never hides a loss.
 * Method: small hand-made orders; then every order of a few numbers, with repetitions, against a
 * naive count.
 */
#include "bench/sequence.h"

#include <stdbool.h>

#include <criterion/criterion.h>

Test(sequence, counts_everything_as_lost_when_nothing_came)
{
    struct sequence sequence = {0};

    cr_assert_eq(sequence_lost_count(&sequence, 5), 5);
    cr_assert_eq(sequence_lost_count(&sequence, 0), 0);
}

Test(sequence, notices_a_lost_first_message)
{
    struct sequence sequence = {0};

    cr_assert_eq(sequence_take(&sequence, 1), SEQUENCE_IN_ORDER);
    cr_assert_eq(sequence_lost_count(&sequence, 2), 1);
}

Test(sequence, notices_a_lost_last_message)
{
    struct sequence sequence = {0};

    cr_assert_eq(sequence_take(&sequence, 0), SEQUENCE_IN_ORDER);
    cr_assert_eq(sequence_lost_count(&sequence, 2), 1);
}

Test(sequence, notices_a_repetition)
{
    struct sequence sequence = {0};

    cr_assert_eq(sequence_take(&sequence, 0), SEQUENCE_IN_ORDER);
    cr_assert_eq(sequence_take(&sequence, 0), SEQUENCE_REPEATED);
    cr_assert_eq(sequence_take(&sequence, 1), SEQUENCE_IN_ORDER);
    cr_assert_eq(sequence_take(&sequence, 0), SEQUENCE_REPEATED);
}

Test(sequence, takes_a_late_message_as_not_lost_once)
{
    struct sequence sequence = {0};

    cr_assert_eq(sequence_take(&sequence, 3), SEQUENCE_IN_ORDER);
    cr_assert_eq(sequence_take(&sequence, 1), SEQUENCE_LATE);
    cr_assert_eq(sequence_take(&sequence, 1), SEQUENCE_REPEATED);
    cr_assert_eq(sequence_lost_count(&sequence, 4), 2);
}

Test(sequence, remembers_exactly_64_numbers)
{
    struct sequence sequence = {0};

    cr_assert_eq(sequence_take(&sequence, 64), SEQUENCE_IN_ORDER); /* 1..63 are remembered */
    cr_assert_eq(sequence_take(&sequence, 1), SEQUENCE_LATE);
    cr_assert_eq(sequence_take(&sequence, 0), SEQUENCE_REPEATED); /* too old: stays lost */
    cr_assert_eq(sequence_lost_count(&sequence, 65), 63);
}

Test(sequence, survives_gaps_around_the_memory_s_width)
{
    for (uint64_t gap = 60; gap < 70; gap++) {
        struct sequence sequence = {0};

        cr_assert_eq(sequence_take(&sequence, 0), SEQUENCE_IN_ORDER);
        cr_assert_eq(sequence_take(&sequence, gap + 1), SEQUENCE_IN_ORDER);
        cr_assert_eq(sequence_lost_count(&sequence, gap + 2), gap);
        cr_assert_eq(sequence_take(&sequence, 0), SEQUENCE_REPEATED);
        cr_assert_eq(sequence_take(&sequence, gap), SEQUENCE_LATE);
        cr_assert_eq(sequence_lost_count(&sequence, gap + 2), gap - 1);
    }
}

Test(sequence, agrees_with_a_naive_count_in_every_order)
{
    enum { NUMBERS = 5, STEPS = 6, ORDERS = 15625 /* NUMBERS ^ STEPS */ };

    for (uint32_t order = 0; order < ORDERS; order++) {
        struct sequence sequence = {0};
        bool is_seen[NUMBERS] = {false};
        uint64_t repeated_count = 0;
        uint64_t repeated_expected = 0;
        uint64_t lost_expected = NUMBERS;

        for (uint32_t step = 0, rest = order; step < STEPS; step++, rest /= NUMBERS) {
            uint32_t number = rest % NUMBERS;

            if (sequence_take(&sequence, number) == SEQUENCE_REPEATED)
                repeated_count++;
            if (is_seen[number])
                repeated_expected++;
            else
                lost_expected--;
            is_seen[number] = true;
        }
        cr_assert_eq(repeated_count, repeated_expected);
        cr_assert_eq(sequence_lost_count(&sequence, NUMBERS), lost_expected);
    }
}
