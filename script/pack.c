/* script/pack.c — see script/pack.h. Thread: the state's. */
#include "script/pack.h"

#include <lauxlib.h>
#include <string.h>

/* One byte says what follows; numbers are as the machine has them: it is the same process. */
enum pack_tag {
    TAG_NIL = 'n',
    TAG_TRUE = 't',
    TAG_FALSE = 'f',
    TAG_INTEGER = 'i',
    TAG_FLOAT = 'd',
    TAG_STRING = 's',
    TAG_TABLE = '{', /* keys and values, then TAG_END */
    TAG_END = '}',
};

/* The pieces go into the table at @pieces: a luaL_Buffer would need the stack's top. */
static void put(lua_State *L, int pieces, const void *bytes, size_t bytes_count)
{
    lua_pushlstring(L, bytes, bytes_count);
    lua_rawseti(L, pieces, (lua_Integer)lua_rawlen(L, pieces) + 1);
}

static void put_tagged(lua_State *L, int pieces, enum pack_tag tag, const void *bytes,
                       size_t bytes_count)
{
    char whole[1 + sizeof(lua_Integer)] = {(char)tag};

    must(bytes_count < sizeof(whole));
    if (bytes_count > 0)
        memcpy(whole + 1, bytes, bytes_count);
    put(L, pieces, whole, 1 + bytes_count);
}

static void pack_value(lua_State *L, int pieces, int index, int depth, const char *what)
{
    luaL_checkstack(L, 8, "values for another state");
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        put_tagged(L, pieces, TAG_NIL, NULL, 0);
        return;
    case LUA_TBOOLEAN:
        put_tagged(L, pieces, lua_toboolean(L, index) ? TAG_TRUE : TAG_FALSE, NULL, 0);
        return;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            lua_Integer value = lua_tointeger(L, index);
            put_tagged(L, pieces, TAG_INTEGER, &value, sizeof(value));
        } else {
            lua_Number value = lua_tonumber(L, index);
            put_tagged(L, pieces, TAG_FLOAT, &value, sizeof(value));
        }
        return;
    case LUA_TSTRING: {
        size_t bytes_count;
        const char *text = lua_tolstring(L, index, &bytes_count);

        put_tagged(L, pieces, TAG_STRING, &bytes_count, sizeof(bytes_count));
        put(L, pieces, text, bytes_count);
        return;
    }
    case LUA_TTABLE:
        if (luaL_getmetafield(L, index, "__index") != LUA_TNIL)
            luaL_error(L, "%s: an object cannot go to another state", what);
        if (depth >= PACK_DEPTH_MAX)
            luaL_error(L, "%s: more than %d tables in one another", what, PACK_DEPTH_MAX);
        put_tagged(L, pieces, TAG_TABLE, NULL, 0);
        lua_pushnil(L);
        while (lua_next(L, index)) {
            int value = lua_gettop(L);

            pack_value(L, pieces, value - 1, depth + 1, what);
            pack_value(L, pieces, value, depth + 1, what);
            lua_pop(L, 1);
        }
        put_tagged(L, pieces, TAG_END, NULL, 0);
        return;
    default:
        luaL_error(L, "%s: a %s cannot go to another state", what, luaL_typename(L, index));
    }
}

void pack_values(lua_State *L, int first, int count, const char *what)
{
    luaL_Buffer out;

    lua_newtable(L);
    int pieces = lua_gettop(L);

    for (int i = 0; i < count; i++)
        pack_value(L, pieces, first + i, 0, what);
    lua_Integer piece_count = (lua_Integer)lua_rawlen(L, pieces);

    luaL_buffinit(L, &out);
    for (lua_Integer i = 1; i <= piece_count; i++) {
        lua_rawgeti(L, pieces, i);
        luaL_addvalue(&out);
    }
    luaL_pushresult(&out);
    lua_remove(L, pieces);
}

/* -- and back -- */

static void take(struct span *rest, void *out, size_t bytes_count)
{
    must(rest->bytes_count >= bytes_count);
    memcpy(out, rest->data, bytes_count);
    *rest = span_skip(*rest, bytes_count);
}

/* Returns: false at TAG_END, with nothing pushed. */
static bool unpack_value(lua_State *L, struct span *rest)
{
    char tag;
    lua_Integer integer;
    lua_Number number;
    size_t bytes_count;

    luaL_checkstack(L, 6, "values of another state");
    take(rest, &tag, 1);
    switch ((enum pack_tag)tag) {
    case TAG_NIL:
        lua_pushnil(L);
        return true;
    case TAG_TRUE:
    case TAG_FALSE:
        lua_pushboolean(L, tag == TAG_TRUE);
        return true;
    case TAG_INTEGER:
        take(rest, &integer, sizeof(integer));
        lua_pushinteger(L, integer);
        return true;
    case TAG_FLOAT:
        take(rest, &number, sizeof(number));
        lua_pushnumber(L, number);
        return true;
    case TAG_STRING:
        take(rest, &bytes_count, sizeof(bytes_count));
        must(rest->bytes_count >= bytes_count);
        lua_pushlstring(L, (const char *)rest->data, bytes_count);
        *rest = span_skip(*rest, bytes_count);
        return true;
    case TAG_TABLE:
        lua_newtable(L);
        while (unpack_value(L, rest)) {
            must(unpack_value(L, rest));
            lua_rawset(L, -3);
        }
        return true;
    case TAG_END:
        return false;
    }
    must_never("an unknown tag");
}

int unpack_values(lua_State *L, struct span bytes)
{
    int count = 0;

    for (; bytes.bytes_count > 0; count++)
        must(unpack_value(L, &bytes));
    return count;
}
