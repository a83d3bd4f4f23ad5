/*
 * core/json_text.h — bytes that a client chose, as the inside of a JSON string. Pure.
 */
#pragma once

#include "core/must.h"

#define JSON_BYTES_PER_BYTE 6u /* \u00XX */

/* Write @text without quotes around it to @out, which has JSON_BYTES_PER_BYTE for each of its
 * bytes and one for a zero. Bytes that are not printable ASCII become \u00XX. Returns the length.
 */
size_t json_put_escaped(char *out, struct span text);
