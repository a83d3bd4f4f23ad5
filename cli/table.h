/*
 * cli/table.h — JSON as tables for people.
 *
 * Nothing here knows what the broker counts, so a new statistic shows up without a new tool:
 *
 *      scalars of an object      label and value, aligned
 *      an object in an object    the same under a heading
 *      an array of objects       a table, one column for each member
 *
 * A name's last word is its unit, and decides how the number is written: _bytes 12.3 MiB,
 * _seconds 2d 03:04:05, _ms _us _ns as the largest unit that fits.
 *
 * Thread: main.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

void table_print(FILE *out, const json_t *value);

/**
 * Write one scalar as people read it; control characters of strangers become '?'.
 *
 * @name:  whose unit decides; @room gets at most @room_bytes with the terminator.
 * Returns: @room.
 */
const char *table_format(const char *name, const json_t *value, char *room, size_t room_bytes);
