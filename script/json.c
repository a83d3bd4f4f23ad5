/* script/json.c — see script/json.h. Reading is jansson's, writing our own. Thread: the state's. */
#include "script/json.h"

#include <jansson.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char array_key; /* its address names the metatable of ba.json.array() */

/* -- writing -- */

static void put_escaped(luaL_Buffer *out, unsigned char byte)
{
    char text[8];

    switch (byte) {
    case '"':
    case '\\':
        luaL_addchar(out, '\\');
        luaL_addchar(out, (char)byte);
        return;
    case '\n':
        luaL_addstring(out, "\\n");
        return;
    case '\r':
        luaL_addstring(out, "\\r");
        return;
    case '\t':
        luaL_addstring(out, "\\t");
        return;
    default:
        snprintf(text, sizeof(text), "\\u%04x", byte);
        luaL_addstring(out, text);
    }
}

static void put_string(luaL_Buffer *out, const char *text, size_t bytes_count)
{
    luaL_addchar(out, '"');
    for (size_t done = 0; done < bytes_count;) {
        size_t plain = done;

        while (plain < bytes_count && (unsigned char)text[plain] >= ' ' && text[plain] != '"' &&
               text[plain] != '\\')
            plain++;
        luaL_addlstring(out, text + done, plain - done);
        if (plain < bytes_count)
            put_escaped(out, (unsigned char)text[plain]);
        done = plain + 1;
    }
    luaL_addchar(out, '"');
}

/* How many elements, when it is an array; else -1. */
static lua_Integer array_length(lua_State *L, int index)
{
    lua_Integer length = (lua_Integer)lua_rawlen(L, index);
    lua_Integer count = 0;

    if (length == 0) {
        bool is_marked = lua_getmetatable(L, index);

        if (is_marked) {
            lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
            is_marked = lua_rawequal(L, -1, -2);
            lua_pop(L, 2);
        }
        return is_marked ? 0 : -1;
    }
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1 || lua_tointeger(L, -1) > length) {
            lua_pop(L, 1);
            return -1;
        }
        count++;
    }
    return count == length ? length : -1;
}

static void put_number(lua_State *L, luaL_Buffer *out, int index)
{
    char text[32];

    if (lua_isinteger(L, index)) {
        snprintf(text, sizeof(text), "%lld", (long long)lua_tointeger(L, index));
    } else {
        double number = lua_tonumber(L, index);

        if (!isfinite(number))
            luaL_error(L, "JSON has no %f", number);
        snprintf(text, sizeof(text), "%.14g", number);
        if (strtod(text, NULL) != number)
            snprintf(text, sizeof(text), "%.17g", number);
    }
    luaL_addstring(out, text);
}

/* A luaL_Buffer keeps something on the stack's top, so values are put there for a moment only:
 * each level makes its own text and leaves it on the stack. */
static void push_table_text(lua_State *L, int index, int depth);

static void push_value_text(lua_State *L, int index, int depth)
{
    luaL_Buffer out;

    switch (lua_type(L, index)) {
    case LUA_TTABLE:
        push_table_text(L, index, depth);
        return;
    case LUA_TNIL:
        lua_pushliteral(L, "null");
        return;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
        return;
    case LUA_TNUMBER:
        luaL_buffinit(L, &out);
        put_number(L, &out, index);
        luaL_pushresult(&out);
        return;
    case LUA_TSTRING: {
        size_t bytes_count;
        const char *text = lua_tolstring(L, index, &bytes_count);

        luaL_buffinit(L, &out);
        put_string(&out, text, bytes_count);
        luaL_pushresult(&out);
        return;
    }
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L, index)) {
            lua_pushliteral(L, "null");
            return;
        }
        break;
    default:
        break;
    }
    luaL_error(L, "JSON has no %s", luaL_typename(L, index));
}

/* The key at @index as a member's name. */
static void push_key_text(lua_State *L, int index)
{
    int type = lua_type(L, index);

    if (type != LUA_TSTRING && type != LUA_TNUMBER)
        luaL_error(L, "a JSON object's keys are strings, not %s", luaL_typename(L, index));
    lua_pushvalue(L, index);
    (void)lua_tostring(L, -1); /* the copy: a key that changed would confuse lua_next */
    push_value_text(L, lua_gettop(L), 0);
    lua_remove(L, -2);
}

static void push_table_text(lua_State *L, int index, int depth)
{
    lua_Integer length;
    luaL_Buffer out;
    int base;

    if (depth >= JSON_DEPTH_MAX)
        luaL_error(L, "more than %d tables in one another", JSON_DEPTH_MAX);
    luaL_checkstack(L, 16, "JSON");
    length = array_length(L, index);
    lua_newtable(
        L); /* the pieces: joined at the end, so that memory is what the text needs twice */
    base = lua_gettop(L);
    lua_Integer piece_count = 0;

    if (length >= 0) {
        for (lua_Integer i = 1; i <= length; i++) {
            lua_rawgeti(L, index, i);
            push_value_text(L, lua_gettop(L), depth + 1);
            lua_rawseti(L, base, ++piece_count);
            lua_pop(L, 1);
        }
    } else {
        lua_pushnil(L);
        while (lua_next(L, index)) {
            int value = lua_gettop(L);

            push_key_text(L, value - 1);
            lua_pushliteral(L, ":");
            push_value_text(L, value, depth + 1);
            lua_concat(L, 3);
            lua_rawseti(L, base, ++piece_count);
            lua_pop(L, 1);
        }
    }
    luaL_buffinit(L, &out);
    luaL_addchar(&out, length >= 0 ? '[' : '{');
    for (lua_Integer i = 1; i <= piece_count; i++) {
        if (i > 1)
            luaL_addchar(&out, ',');
        lua_rawgeti(L, base, i);
        luaL_addvalue(&out);
    }
    luaL_addchar(&out, length >= 0 ? ']' : '}');
    luaL_pushresult(&out);
    lua_remove(L, base);
}

void json_push_text(lua_State *L, int index)
{
    push_value_text(L, lua_absindex(L, index), 0);
}

/* -- reading -- */

static void push_array_mark(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
}

static void push_json(lua_State *L, const json_t *value)
{
    const char *key;
    json_t *member;
    size_t index;

    luaL_checkstack(L, 6, "JSON");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        lua_newtable(L);
        json_object_foreach((json_t *)(uintptr_t)value, key, member)
        {
            lua_pushstring(L, key);
            push_json(L, member);
            lua_rawset(L, -3);
        }
        return;
    case JSON_ARRAY:
        lua_createtable(L, (int)json_array_size(value), 0);
        json_array_foreach(value, index, member)
        {
            push_json(L, member);
            lua_rawseti(L, -2, (lua_Integer)index + 1);
        }
        if (json_array_size(value) == 0) {
            push_array_mark(L);
            lua_setmetatable(L, -2);
        }
        return;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        return;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        return;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        return;
    case JSON_NULL:
        lua_pushlightuserdata(L, NULL);
        return;
    }
    must_never("an unknown kind of JSON");
}

/* In a protected call, so that jansson's tree is freed when Lua has no memory for it. */
static int push_protected(lua_State *L)
{
    push_json(L, lua_touserdata(L, 1));
    return 1;
}

static bool is_deep(struct span text)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.bytes_count; i++) {
        char byte = (char)text.data[i];

        if (in_string && byte == '\\')
            i++;
        else if (byte == '"')
            in_string = !in_string;
        else if (!in_string && (byte == '[' || byte == '{') && ++depth > JSON_DEPTH_MAX)
            return true;
        else if (!in_string && (byte == ']' || byte == '}') && depth > 0)
            depth--;
    }
    return false;
}

bool json_push_value(lua_State *L, struct span text, char error[JSON_ERROR_BYTES])
{
    json_error_t reason;

    if (text.bytes_count > JSON_BYTES_MAX || is_deep(text)) {
        snprintf(error, JSON_ERROR_BYTES, "more than %d bytes, or %d tables in one another",
                 JSON_BYTES_MAX, JSON_DEPTH_MAX);
        return false;
    }
    json_t *value = json_loadb((const char *)text.data, text.bytes_count,
                               JSON_DECODE_ANY | JSON_ALLOW_NUL, &reason);

    if (!value) {
        snprintf(error, JSON_ERROR_BYTES, "%.160s at byte %d", reason.text, reason.position);
        return false;
    }
    lua_pushcfunction(L, push_protected);
    lua_pushlightuserdata(L, value);
    int result = lua_pcall(L, 1, 1, 0);

    json_decref(value);
    if (result != LUA_OK)
        lua_error(L);
    return true;
}

/* -- the library -- */

static int encode(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    json_push_text(L, 1);
    return 1;
}

/* decode(text) -> value, or nil and why */
static int decode(lua_State *L)
{
    size_t bytes_count;
    const char *text = luaL_checklstring(L, 1, &bytes_count);
    char error[JSON_ERROR_BYTES];

    if (json_push_value(L, span_of(text, bytes_count), error))
        return 1;
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
}

/* array([t]) -> t, which is [] when it is empty */
static int array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    push_array_mark(L);
    lua_setmetatable(L, 1);
    return 1;
}

void json_push_library(lua_State *L)
{
    static const luaL_Reg functions[] = {{"encode", encode},
                                         {"decode", decode},
                                         {"array", array},
                                         {NULL, NULL}};

    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
}
