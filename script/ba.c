/*
 * script/ba.c — the part of Mako's `ba` that SMQ scripts use: json, rnd, rnds, clock, socket.h2n
 * and n2h, crypto.hash, b64encode and b64decode. ba.timer is script/timers.c's.
 *
 * Thread: the state's; an async worker's state has it too.
 */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "script/json.h"
#include "script/parts.h"

#define RANDOM_BYTES_MAX 65536
#define HASH_TYPE        "smq.hash"

/* -- random -- */

static uint32_t draw(void)
{
    uint32_t number;

    must(getrandom(&number, sizeof(number), 0) == sizeof(number));
    return number;
}

/* rnd([a, b]) -> an integer in a … b, each as likely; without: 0 … 2^31 - 1 */
static int ba_rnd(lua_State *L)
{
    lua_Integer low = luaL_optinteger(L, 1, 0);
    lua_Integer high = luaL_optinteger(L, 2, INT32_MAX);

    luaL_argcheck(L, low <= high && high - low <= UINT32_MAX && high - low >= 0, 2,
                  "at least the first, and not 2^32 beyond");
    uint64_t count = (uint64_t)(high - low) + 1;
    uint64_t fair =
        (UINT64_C(1) << 32) / count * count; /* above, some numbers would come once more */
    uint64_t number;

    do {
        number = draw();
    } while (number >= fair);
    lua_pushinteger(L, low + (lua_Integer)(number % count));
    return 1;
}

/* rnds(n) -> n random bytes */
static int ba_rnds(lua_State *L)
{
    lua_Integer count = luaL_checkinteger(L, 1);
    luaL_Buffer out;

    luaL_argcheck(L, count >= 0 && count <= RANDOM_BYTES_MAX, 1, "0 to 65536 bytes");
    char *bytes = luaL_buffinitsize(L, &out, (size_t)count);

    for (size_t done = 0; done < (size_t)count;) {
        ssize_t got = getrandom(bytes + done, (size_t)count - done, 0);

        must(got > 0);
        done += (size_t)got;
    }
    luaL_pushresultsize(&out, (size_t)count);
    return 1;
}

/* clock() -> ms since some moment; it never goes back */
static int ba_clock(lua_State *L)
{
    lua_pushinteger(L, bounds_now_ns() / 1000000);
    return 1;
}

/* -- numbers as bytes -- */

/* socket.h2n(n, value) -> the value in n bytes, the highest first */
static int socket_h2n(lua_State *L)
{
    lua_Integer count = luaL_checkinteger(L, 1);
    uint64_t value = (uint64_t)luaL_checkinteger(L, 2);
    char bytes[8];

    luaL_argcheck(L, count >= 1 && count <= 8, 1, "1 to 8 bytes");
    for (uint32_t i = 8; i-- > 0; value >>= 8)
        bytes[i] = (char)(value & 0xff);
    lua_pushlstring(L, bytes + (8 - count), (size_t)count);
    return 1;
}

/* socket.n2h(n, text [, at]) -> the value of n bytes, from byte number at (1 is the first) on */
static int socket_n2h(lua_State *L)
{
    size_t bytes_count;
    lua_Integer count = luaL_checkinteger(L, 1);
    const char *bytes = luaL_checklstring(L, 2, &bytes_count);
    lua_Integer at = luaL_optinteger(L, 3, 1);
    uint64_t value = 0;

    luaL_argcheck(L, count >= 1 && count <= 8, 1, "1 to 8 bytes");
    luaL_argcheck(L, at >= 1 && at - 1 <= (lua_Integer)bytes_count - count, 3,
                  "so many bytes are not there");
    for (lua_Integer i = 0; i < count; i++)
        value = value << 8 | (uint8_t)bytes[at - 1 + i];
    lua_pushinteger(L, (lua_Integer)value);
    return 1;
}

/* -- base64 -- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int ba_b64encode(lua_State *L)
{
    size_t bytes_count;
    const uint8_t *bytes = (const uint8_t *)luaL_checklstring(L, 1, &bytes_count);
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    for (size_t i = 0; i < bytes_count; i += 3) {
        size_t left = bytes_count - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);

        luaL_addchar(&out, digits[group >> 18]);
        luaL_addchar(&out, digits[group >> 12 & 63]);
        luaL_addchar(&out, left > 1 ? digits[group >> 6 & 63] : '=');
        luaL_addchar(&out, left > 2 ? digits[group & 63] : '=');
    }
    luaL_pushresult(&out);
    return 1;
}

/* The value of a digit, of either alphabet; 64: none. */
static uint32_t digit_value(char digit)
{
    const char *at = digit == '-'   ? digits + 62
                     : digit == '_' ? digits + 63
                                    : strchr(digits, digit);

    return digit != '\0' && at ? (uint32_t)(at - digits) : 64;
}

/* b64decode(text) -> bytes, or nil and why; blanks and the end's = are left out */
static int ba_b64decode(lua_State *L)
{
    size_t bytes_count;
    const char *text = luaL_checklstring(L, 1, &bytes_count);
    uint32_t group = 0;
    uint32_t bit_count = 0;
    luaL_Buffer out;

    while (bytes_count > 0 && strchr("= \r\n\t", text[bytes_count - 1]))
        bytes_count--;
    luaL_buffinit(L, &out);
    for (size_t i = 0; i < bytes_count; i++) {
        uint32_t value = digit_value(text[i]);

        if (value == 64 && strchr(" \r\n\t", text[i]) && text[i] != '\0')
            continue;
        if (value == 64) {
            lua_pushnil(L);
            lua_pushfstring(L, "byte %d is not base64", (int)i + 1);
            return 2;
        }
        group = group << 6 | value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            luaL_addchar(&out, (char)(group >> bit_count & 0xff));
        }
    }
    luaL_pushresult(&out);
    return 1;
}

/* -- hashes -- */

/* What has been given to it is kept until it is asked: scripts hash little. */
struct hash {
    const struct script_crypto *crypto;
    bool is_keyed;
};

static void push_digest(lua_State *L, const struct hash *hash, bool is_hex)
{
    uint8_t digest[SCRIPT_DIGEST_BYTES_MAX];
    char hex[2 * SCRIPT_DIGEST_BYTES_MAX];
    size_t key_bytes = 0;
    size_t data_bytes;

    lua_getiuservalue(L, 1, 1); /* algorithm */
    lua_getiuservalue(L, 1, 2); /* key */
    lua_getiuservalue(L, 1, 3); /* data */
    const char *key = hash->is_keyed ? lua_tolstring(L, -2, &key_bytes) : NULL;
    const char *data = lua_tolstring(L, -1, &data_bytes);
    size_t count = hash->crypto->hash(lua_tostring(L, -3), span_of(key, key_bytes),
                                      span_of(data, data_bytes), digest);

    must(count > 0 && count <= sizeof(digest));
    for (size_t i = 0; i < count; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    if (is_hex)
        lua_pushlstring(L, hex, 2 * count);
    else
        lua_pushlstring(L, (const char *)digest, count);
}

/* hash(data) -> hash; hash(true [, "hex"]) -> digest */
static int hash_call(lua_State *L)
{
    const struct hash *hash = luaL_checkudata(L, 1, HASH_TYPE);

    if (lua_isboolean(L, 2)) {
        const char *form = luaL_optstring(L, 3, "binary");

        push_digest(L, hash, strcmp(form, "hex") == 0);
        return 1;
    }
    lua_getiuservalue(L, 1, 3);
    luaL_checkstring(L, 2);
    lua_pushvalue(L, 2);
    lua_concat(L, 2);
    lua_setiuservalue(L, 1, 3);
    lua_settop(L, 1);
    return 1;
}

/* crypto.hash(algorithm), crypto.hash("hmac", algorithm, key) */
static int crypto_hash(lua_State *L)
{
    const struct script_crypto *crypto = lua_touserdata(L, lua_upvalueindex(1));
    bool is_keyed = strcmp(luaL_checkstring(L, 1), "hmac") == 0;
    const char *algorithm = luaL_checkstring(L, is_keyed ? 2 : 1);
    uint8_t digest[SCRIPT_DIGEST_BYTES_MAX];

    if (is_keyed)
        luaL_checkstring(L, 3);
    if (!crypto || crypto->hash(algorithm, span_of(NULL, 0), span_of("", 0), digest) == 0)
        return luaL_error(L, "there is no hash \"%s\"", algorithm);
    struct hash *hash = lua_newuserdatauv(L, sizeof(*hash), 3);

    *hash = (struct hash){.crypto = crypto, .is_keyed = is_keyed};
    luaL_setmetatable(L, HASH_TYPE);
    lua_pushstring(L, algorithm);
    lua_setiuservalue(L, -2, 1);
    if (is_keyed)
        lua_pushvalue(L, 3);
    else
        lua_pushnil(L);
    lua_setiuservalue(L, -2, 2);
    lua_pushliteral(L, "");
    lua_setiuservalue(L, -2, 3);
    return 1;
}

static void push_crypto(lua_State *L, const struct script_crypto *crypto)
{
    luaL_newmetatable(L, HASH_TYPE);
    lua_pushcfunction(L, hash_call);
    lua_setfield(L, -2, "__call");
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushlightuserdata(L, (void *)(uintptr_t)crypto);
    lua_pushcclosure(L, crypto_hash, 1);
    lua_setfield(L, -2, "hash");
}

void ba_open_library(lua_State *L, const struct script_crypto *crypto)
{
    static const luaL_Reg functions[] = {{"rnd", ba_rnd},
                                         {"rnds", ba_rnds},
                                         {"clock", ba_clock},
                                         {"b64encode", ba_b64encode},
                                         {"b64decode", ba_b64decode},
                                         {NULL, NULL}};
    static const luaL_Reg socket[] = {{"h2n", socket_h2n}, {"n2h", socket_n2h}, {NULL, NULL}};

    luaL_newlib(L, functions);
    json_push_library(L);
    lua_setfield(L, -2, "json");
    luaL_newlib(L, socket);
    lua_setfield(L, -2, "socket");
    push_crypto(L, crypto);
    lua_setfield(L, -2, "crypto");
}
