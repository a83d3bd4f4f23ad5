/*
 * net/line.h — a line of connections that wait for something: first in, first out.
 *
 * Handles only: who has closed meanwhile is found out by whoever takes it out. It grows as needed,
 * and owns nothing when it is empty. Thread: the I/O actor's.
 */
#pragma once

#include "core/envelope.h"
#include "core/mem.h"

struct line_place {
    struct conn_handle conn;
    uint32_t tick; /* since when, where that matters */
};

struct line {
    struct line_place *places; /* [capacity], a ring */
    uint32_t capacity;         /* a power of two, or 0 */
    uint32_t first;
    uint32_t count;
};

void line_deinit(struct line *line, struct mem *mem);

/* To the end of the line. false: over the memory limit. */
MUST_CHECK bool line_push(struct line *line, struct mem *mem, struct line_place place);

/* Who is first; the line must not be empty. */
const struct line_place *line_first(const struct line *line);

/* Take the first out; false: the line is empty. */
MUST_CHECK bool line_pop(struct line *line, struct mem *mem, struct conn_handle *conn);
