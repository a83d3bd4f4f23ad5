/* script/bounds.c — see script/bounds.h. Thread: the one that runs the state. */
#include "script/bounds.h"

#include <dlfcn.h>
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "script/embedded.h"

#define HOOKED_MASK (LUA_MASKCOUNT)

int64_t bounds_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* -- memory -- */

/* Lua's allocator: @old_bytes is a type when there is no block. Shrinking never fails. */
static void *bounds_alloc(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    struct bounds *bounds = context;

    if (!block)
        old_bytes = 0;
    if (new_bytes == 0) {
        mem_free(bounds->mem, MEM_SCRIPT, block, old_bytes);
        bounds->used_bytes -= old_bytes;
        return NULL;
    }
    if (new_bytes > old_bytes) {
        bounds->is_full = bounds->used_bytes - old_bytes + new_bytes > bounds->limit_bytes;
        if (bounds->is_full)
            return NULL;
    }
    void *grown = mem_resize(bounds->mem, MEM_SCRIPT, block, old_bytes, new_bytes);

    if (grown)
        bounds->used_bytes += new_bytes - old_bytes; /* wraps the right way when it shrinks */
    return grown;
}

static int on_panic(lua_State *L)
{
    (void)L;
    must_never("a Lua error outside of a protected call");
}

lua_State *bounds_new_state(struct bounds *bounds)
{
    lua_State *L = lua_newstate(bounds_alloc, bounds);

    bounds->deadline_ns = INT64_MAX;
    if (L)
        lua_atpanic(L, on_panic);
    return L;
}

/* -- time -- */

static struct bounds *bounds_of(lua_State *L)
{
    void *context;

    (void)lua_getallocf(L, &context);
    return context;
}

static bool is_cancelled(const struct bounds *bounds)
{
    return bounds->cancel && atomic_load_explicit(bounds->cancel, memory_order_relaxed);
}

static void on_count(lua_State *L, lua_Debug *debug)
{
    struct bounds *bounds = bounds_of(L);

    (void)debug;
    if (!bounds->is_over && !is_cancelled(bounds) && bounds_now_ns() < bounds->deadline_ns) {
        if (lua_gethookcount(L) == 1) /* a coroutine that met an earlier end */
            lua_sethook(L, on_count, HOOKED_MASK, BOUNDS_INSTRUCTIONS);
        return;
    }
    bounds->is_over = true;
    lua_sethook(L, on_count, HOOKED_MASK, 1);
    luaL_where(L, 0); /* in a hook, 0 is the function that runs */
    if (is_cancelled(bounds))
        lua_pushliteral(L, "the script is being ended");
    else
        lua_pushfstring(L, "took longer than %d ms (%s)", (int)bounds->limit_ms,
                        bounds->limit_name);
    lua_concat(L, 2);
    lua_error(L);
}

void bounds_begin(struct bounds *bounds, lua_State *L, uint32_t limit_ms, const char *limit_name)
{
    bounds->is_over = false;
    bounds->limit_ms = limit_ms;
    bounds->limit_name = limit_name;
    bounds->deadline_ns = bounds_now_ns() + (int64_t)limit_ms * 1000000;
    lua_sethook(L, on_count, HOOKED_MASK, BOUNDS_INSTRUCTIONS);
}

void bounds_end(struct bounds *bounds)
{
    bounds->deadline_ns = INT64_MAX;
}

/* -- libraries -- */

/* The path of a file in words that no link can bend: of a new one, its folder's and its name. */
static bool real_path(const char *path, char real[PATH_MAX])
{
    char folder[PATH_MAX];
    const char *name = strrchr(path, '/') + 1;
    size_t folder_bytes = (size_t)(name - path);

    if (realpath(path, real))
        return true;
    if (errno != ENOENT || folder_bytes >= sizeof(folder) || name[0] == '\0' ||
        strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    memcpy(folder, path, folder_bytes);
    folder[folder_bytes] = '\0';
    if (!realpath(folder, real) || strlen(real) + 1 + strlen(name) >= PATH_MAX)
        return false;
    if (lstat(path, &(struct stat){0}) == 0)
        return false; /* a link to a file that is not there, wherever that would be */
    strcat(strcat(real, "/"), name);
    return true;
}

/* resolve(name) -> absolute path, or nil and why: a file inside the folder (first upvalue). */
static int resolve_in_folder(lua_State *L)
{
    const char *folder = lua_tostring(L, lua_upvalueindex(1));
    const char *name = luaL_checkstring(L, 1);
    char real[PATH_MAX];
    size_t folder_bytes = strlen(folder);

    if (name[0] != '/')
        name = lua_pushfstring(L, "%s/%s", folder, name);
    if (!real_path(name, real)) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s: %s", name, strerror(errno));
        return 2;
    }
    if (strncmp(real, folder, folder_bytes) != 0 || real[folder_bytes] != '/') {
        lua_pushnil(L);
        lua_pushfstring(L, "%s: not in the script's folder (script.allow_os = on would allow it)",
                        name);
        return 2;
    }
    lua_pushstring(L, real);
    return 1;
}

/* load_module(path, function) -> function, or nil and why. A module sees its own libraries first:
 * the ones that libpq brings (OpenSSL) have names in common with ours (BoringSSL). It stays loaded
 * until the process ends. */
static int load_module(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    const char *name = luaL_checkstring(L, 2);
    int flags = RTLD_NOW | RTLD_LOCAL;
    void *symbol = NULL;
    lua_CFunction function;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    flags |= RTLD_DEEPBIND;
#endif
    void *module = dlopen(path, flags);

    if (module)
        symbol = dlsym(module, name);
    if (!symbol) {
        lua_pushnil(L);
        lua_pushstring(L, dlerror());
        return 2;
    }
    memcpy(&function, &symbol, sizeof(function)); /* ISO C has no cast for this */
    lua_pushcfunction(L, function);
    return 1;
}

/* Is the time of the present call up? */
static int is_over(lua_State *L)
{
    lua_pushboolean(L, bounds_of(L)->is_over);
    return 1;
}

void bounds_open(lua_State *L, const struct bounds_options *options)
{
    /* Not what LUA_PATH of some shell says. */
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    luaL_openlibs(L);
    embedded_load(L, "sandbox");
    lua_pushstring(L, options->folder);
    lua_pushboolean(L, options->allow_os);
    lua_pushstring(L, options->folder);
    lua_pushcclosure(L, resolve_in_folder, 1);
    lua_pushcfunction(L, load_module);
    lua_pushcfunction(L, is_over);
    lua_call(L, 5, 0);
}
