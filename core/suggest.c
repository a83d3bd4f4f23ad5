/*
 * core/suggest.c — edit distance with swaps, over words short enough for three rows on the stack.
 */
#include "core/suggest.h"

#include <string.h>

#include "core/must.h"

#define ROW_CELLS (SUGGEST_WORD_BYTES_MAX + 1u)

static uint32_t min_of_three(uint32_t a, uint32_t b, uint32_t c)
{
    return min_u32(a, min_u32(b, c));
}

uint32_t suggest_distance(const char *word, const char *other)
{
    size_t word_bytes = strlen(word);
    size_t other_bytes = strlen(other);

    if (word_bytes > SUGGEST_WORD_BYTES_MAX || other_bytes > SUGGEST_WORD_BYTES_MAX)
        return UINT32_MAX;

    uint32_t rows[3][ROW_CELLS] = {{0}};

    for (size_t column = 0; column <= other_bytes; column++)
        rows[0][column] = (uint32_t)column;

    for (size_t row = 1; row <= word_bytes; row++) {
        uint32_t *here = rows[row % 3];
        const uint32_t *above = rows[(row + 2) % 3];
        const uint32_t *two_above = rows[(row + 1) % 3];

        here[0] = (uint32_t)row;
        for (size_t column = 1; column <= other_bytes; column++) {
            bool same = word[row - 1] == other[column - 1];

            here[column] = min_of_three(above[column] + 1, here[column - 1] + 1,
                                        above[column - 1] + (same ? 0 : 1));
            if (row > 1 && column > 1 && word[row - 1] == other[column - 2] &&
                word[row - 2] == other[column - 1])
                here[column] = min_u32(here[column], two_above[column - 2] + 1);
        }
    }
    return rows[word_bytes % 3][other_bytes];
}

static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? dot + 1 : name;
}

const char *suggest_nearest(const char *word, const char *const *candidates,
                            uint32_t candidate_count)
{
    const char *nearest = NULL;
    uint32_t nearest_distance = UINT32_MAX;

    for (uint32_t i = 0; i < candidate_count; i++) {
        uint32_t distance = suggest_distance(word, candidates[i]);
        uint32_t last_distance = suggest_distance(last_part(word), last_part(candidates[i]));

        /* The right key in the wrong place loses against an equally good one in the right place. */
        if (last_distance != UINT32_MAX)
            distance = min_u32(distance, last_distance + 1);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = candidates[i];
        }
    }

    size_t letters = strlen(last_part(word));

    return nearest_distance <= 1 + letters / 3 ? nearest : NULL;
}
