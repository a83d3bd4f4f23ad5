/*
 * core/suggest.h — "did you mean": the known word that is nearest to a mistyped one.
 *
 * Pure; no allocation. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SUGGEST_WORD_BYTES_MAX 63u /* longer words get no suggestion */

/* How many letters must be added, taken away, changed or swapped with their neighbour to make
 * @word into @other; UINT32_MAX when either is longer than SUGGEST_WORD_BYTES_MAX. */
uint32_t suggest_distance(const char *word, const char *other);

/**
 * The word of @candidates nearest to @word, or NULL when none is near enough that a person could
 * have meant it (about one error in three letters).
 *
 * A dotted candidate also counts as near when only its last part was written: "handshakes" finds
 * "limits.handshakes".
 */
const char *suggest_nearest(const char *word, const char *const *candidates,
                            uint32_t candidate_count);
