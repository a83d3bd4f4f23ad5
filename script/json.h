/*
 * script/json.h — Lua values to JSON and back: ba.json.
 *
 *      table with 1 … n     [ ]        a table is an array when it has elements 1 … n and nothing
 *      any other table      { }        else; an empty one is {}, but ba.json.array() makes it []
 *      ba.json.null         null       (a light userdata NULL)
 *      integer, float       number     NaN and infinities cannot be written
 *
 * Strings are bytes in UTF-8; what is not is refused by nobody and read by few.
 * Thread: the state's.
 */
#pragma once

#include <lua.h>

#include "core/must.h"

#define JSON_DEPTH_MAX   64      /* tables in tables */
#define JSON_BYTES_MAX   1048576 /* of a text that is read: on its way it needs ten times that */
#define JSON_ERROR_BYTES 200u

/* Push the text of the value at @index. Raises a Lua error for what has no JSON. */
void json_push_text(lua_State *L, int index);

/* Push the value of @text. Returns: false with @error set and nothing pushed: it is no JSON. */
MUST_CHECK bool json_push_value(lua_State *L, struct span text, char error[JSON_ERROR_BYTES]);

/* Push the library's table: encode, decode, array, null. */
void json_push_library(lua_State *L);
