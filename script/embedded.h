/*
 * script/embedded.h — the Lua sources that are part of the program, made by script/embed.py.
 */
#pragma once

#include <lua.h>
#include <stddef.h>

struct embedded_source {
    const char *name; /* "hub": of script/hub.lua */
    const char *text;
    size_t bytes_count;
};

extern const struct embedded_source embedded_sources[]; /* ended by a NULL name */

/* Push the source called @name as a function. Raises a Lua error when there is no memory. */
void embedded_load(lua_State *L, const char *name);
