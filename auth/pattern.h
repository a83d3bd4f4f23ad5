/*
 * auth/pattern.h — patterns for topic names, UIDs and users.
 *
 *      dev/%u-*   "dev/", the login's name, "-", and any bytes
 *
 * '*' stands for any bytes, also none and also '/'; %u for the login's name, %i for the UID, %%
 * and %* for the characters themselves. A name is put in byte for byte: a user called '*' matches
 * his own topics only. Somebody without a login has no name, and no pattern with %u matches for
 * him.
 *
 * Compiled to a few bytes once, matched many times. Pure; any thread.
 */
#pragma once

#include "core/identity.h"
#include "core/must.h"

#define PATTERN_TEXT_BYTES_MAX 255u
#define PATTERN_BYTES_MAX      (3u * PATTERN_TEXT_BYTES_MAX) /* compiled */
#define PATTERN_REASON_BYTES   128u

/**
 * Compile @text into @out (PATTERN_BYTES_MAX). Without @may_name, %u and %i are refused.
 *
 * Returns: the number of bytes; 0 with @reason (PATTERN_REASON_BYTES) set.
 */
MUST_CHECK size_t pattern_compile(struct span text, bool may_name, uint8_t *out, char *reason);

/**
 * Does @compiled match all of @text? @who: whom %u and %i name; may be NULL without them.
 *
 * Cost: the product of both lengths at worst.
 */
bool pattern_match(struct span compiled, const struct identity *who, struct span text);
