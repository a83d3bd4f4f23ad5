/* cli/target.h — a destination as people write it. Pure. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/**
 * A destination as people write it: all digits are an id (TID or ETID); anything else is a topic
 * name; "topic:42" is the name 42.
 *
 * Returns: true with *id set, or false with *name set, which borrows @text.
 */
bool target_parse(const char *text, uint32_t *id, const char **name);
