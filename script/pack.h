/*
 * script/pack.h — plain Lua values as bytes: from one state to another.
 *
 * nil, booleans, numbers, strings, and tables of these (no objects: a metatable with __index; at
 * most PACK_DEPTH_MAX in one another). Thread: the state's.
 */
#pragma once

#include <lua.h>

#include "core/must.h"

#define PACK_DEPTH_MAX 32

/* Push a string of @count values from the stack index @first on. Raises a Lua error that names what
 * has no such form; @what: whose values they are. */
void pack_values(lua_State *L, int first, int count, const char *what);

/* Push the values again. Returns how many. Raises a Lua error when there is no memory. */
int unpack_values(lua_State *L, struct span bytes);
