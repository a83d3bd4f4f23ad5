/*
 * auth/text.h — the small text files of accounts and rules: read whole, cut into lines, and
 * replaced whole or not at all.
 *
 * Any thread; no state. Errors are sentences for people in @error (AUTH_ERROR_BYTES), beginning
 * with the path, and the line where there is one. Allocations are malloc's: a file is bounded by
 * AUTH_FILE_BYTES_MAX, and without memory for it (asserted) nothing else would work either.
 */
#pragma once

#include "core/must.h"

#define AUTH_ERROR_BYTES    512u
#define AUTH_FILE_BYTES_MAX (1u << 20) /* 8,000 accounts */

/* Fill @error and return false, so that a failing step is one line. */
PRINTF(2, 3) bool auth_error(char *error, const char *format, ...);

/* The same, beginning with "PATH:LINE: ". */
PRINTF(4, 5)
bool auth_error_at(char *error, const char *path, uint32_t line, const char *format, ...);

/**
 * The whole file as text.
 *
 * Gives:   *text, for free().
 * Returns: false when it cannot be read, is too large, or holds a zero byte.
 */
MUST_CHECK bool text_file_read(const char *path, char **text, size_t *bytes_count, char *error);

/**
 * Replace @path by @text, at once (core/files.h). A file that was there keeps its mode; a new one
 * is readable to its owner only (0600).
 */
MUST_CHECK bool text_file_replace(const char *path, struct span text, char *error);

/* A walk over lines. */
struct text_lines {
    struct span rest;
    uint32_t line; /* the number, from 1, of the line that was returned last */
};

static inline struct text_lines text_lines_of(struct span text)
{
    return (struct text_lines){.rest = text};
}

/* The next line that says something: without blanks around it, not empty, not a comment ('#').
 * false: there is none. */
MUST_CHECK bool text_lines_next(struct text_lines *lines, struct span *line);

/* Any next line, with its newline: for those who write the others back as they were. */
MUST_CHECK bool text_lines_next_raw(struct text_lines *lines, struct span *line);

/* @text without blanks, tabs and carriage returns around it. */
struct span text_trim(struct span text);
