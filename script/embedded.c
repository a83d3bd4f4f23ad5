/* script/embedded.c — see script/embedded.h. */
#include "script/embedded.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "core/must.h"

void embedded_load(lua_State *L, const char *name)
{
    const struct embedded_source *source = embedded_sources;
    char chunk_name[32];

    while (source->name && strcmp(source->name, name) != 0)
        source++;
    must(source->name);
    snprintf(chunk_name, sizeof(chunk_name), "=smqd:%s.lua", name);
    if (luaL_loadbufferx(L, source->text, source->bytes_count, chunk_name, "t") != LUA_OK)
        lua_error(L); /* no memory: a test loads each of them */
}
