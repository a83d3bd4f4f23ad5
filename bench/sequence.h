/*
 * bench/sequence.h — was every message of one flow received, once and in order?
 *
 * A flow is what one publisher sends to one topic; each of its receivers keeps one of these.
 *
 *      ... 5 6 . 8 9 | 10          next_number = 10, missing_count = 1 (number 7)
 *                    ^ expected
 *
 * The last 64 numbers are remembered bit by bit, which tells a late message from a repeated one.
 * Anything older counts as a repetition and its gap stays open: the mistake is on the strict side.
 *
 * Pure: no clock, no allocation.
 */
#pragma once

#include <stdint.h>

enum sequence_verdict {
    SEQUENCE_IN_ORDER, /* the expected one, or one after a gap */
    SEQUENCE_LATE,     /* fills a gap: it was overtaken by another */
    SEQUENCE_REPEATED, /* seen before */
};

struct sequence {
    uint64_t next_number;   /* one more than the largest received; starts at 0 */
    uint64_t seen_bits;     /* bit i: next_number - 1 - i was received */
    uint64_t missing_count; /* numbers below next_number not received */
};

/* Note that @number arrived. O(1). */
static inline enum sequence_verdict sequence_take(struct sequence *sequence, uint64_t number)
{
    if (number >= sequence->next_number) {
        uint64_t gap_count = number - sequence->next_number;

        sequence->seen_bits = gap_count < 63 ? (sequence->seen_bits << (gap_count + 1)) | 1 : 1;
        sequence->missing_count += gap_count;
        sequence->next_number = number + 1;
        return SEQUENCE_IN_ORDER;
    }

    uint64_t age = sequence->next_number - 1 - number;
    if (age > 63 || (sequence->seen_bits >> age & 1) != 0)
        return SEQUENCE_REPEATED;
    sequence->seen_bits |= 1ull << age;
    sequence->missing_count--;
    return SEQUENCE_LATE;
}

/* How many of @sent_count messages (numbered from 0) have not been received. */
static inline uint64_t sequence_lost_count(const struct sequence *sequence, uint64_t sent_count)
{
    uint64_t tail_count =
        sent_count > sequence->next_number ? sent_count - sequence->next_number : 0;

    return sequence->missing_count + tail_count;
}
