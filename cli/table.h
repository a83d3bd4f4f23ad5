/*
 * cli/table.h — JSON as tables for people.
 *
 * Nothing here knows what the broker counts, so a new statistic shows up without a new tool:
 *
 *      scalars of an object      label and value, aligned
 *      {"used": 3, "max": 10}    one value, "3 of 10"
 *      an object in an object    the same under a heading
 *      an array of objects       a table, one column for each member
 *      ... with an "actor" each  when that is too wide for a screen, the table is turned: a row for
 *                                each member, a column for each actor; what is nested in an actor
 *                                follows under a heading of its own ("lanes into io-0")
 *
 * A name's last word is its unit, and decides how the number is written: _bytes 12.3 MiB,
 * _s or _seconds 2d 03:04:05, _ms _us _ns as the largest unit that fits. _total makes it a counter:
 * in long lists those at zero are left out and a note says how many. A long list without a _total
 * counts by all its numbers.
 *
 * Thread: main.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Print @value on @out. @shows_zeros: leave out no counter. */
void table_print(FILE *out, const json_t *value, bool shows_zeros);

/**
 * Write one scalar as people read it; control characters of strangers become '?'.
 *
 * @name:  whose unit decides; @room gets at most @room_bytes with the terminator.
 * Returns: @room.
 */
const char *table_format(const char *name, const json_t *value, char *room, size_t room_bytes);
