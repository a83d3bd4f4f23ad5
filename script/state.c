/*
 * script/state.c — one loaded script: built, called, and what it says when it fails.
 *
 * Thread: the script actor's. Lua is entered through state_call() only, and never from inside a
 * call from Lua.
 */
#include <errno.h>
#include <lauxlib.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/async.h"
#include "script/embedded.h"
#include "script/json.h"
#include "script/parts.h"

#define SCRIPT_FILE_BYTES_MAX (8u << 20) /* beyond, it is no script */
#define LINE_BYTES            200u       /* of a traceback in the log */
#define MEMORY_TEXT_BYTES     96u

static const char state_key; /* its address names the state in the registry */

/* -- errors -- */

/* Any error value as a text with a traceback behind it. */
static int on_error(lua_State *L)
{
    const char *text = luaL_tolstring(L, 1, NULL);

    luaL_traceback(L, L, text, 1);
    return 1;
}

static uint32_t hash_text(const char *text, size_t bytes_count)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < bytes_count; i++)
        hash = (hash ^ (uint8_t)text[i]) * 16777619u;
    return hash;
}

/* Has its traceback been shown? From now on it has. */
static bool was_shown(struct state *state, uint32_t hash)
{
    uint32_t known_count = min_u32(state->shown_count, SCRIPT_FOLD_COUNT);

    for (uint32_t i = 0; i < known_count; i++)
        if (state->shown[i] == hash)
            return true;
    state->shown[state->shown_count++ % SCRIPT_FOLD_COUNT] = hash;
    return false;
}

/* A line of a traceback that says nothing about the script: Lua's own, and our parts of it. */
static bool is_noise(const char *line)
{
    static const char *const beginnings[] = {"stack traceback:", "[C]: in ?",
                                             "[C]: in function 'error'", "(...tail calls...)",
                                             "smqd:"};

    for (size_t i = 0; i < COUNT_OF(beginnings); i++)
        if (strncmp(line, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

/* The error's line each time (core/log_fold.h folds them); the rest once. */
static void log_error(struct state *state, enum script_call what, const char *text)
{
    size_t first_bytes = strcspn(text, "\n");
    const char *path = state->script->instance->path;

    log_event(LOG_LEVEL_ERROR, "script.error", "instance=%s in=%s %.*s", path,
              script_call_name(what), (int)first_bytes, text);
    if (was_shown(state, hash_text(text, first_bytes)))
        return;
    for (const char *line = text + first_bytes; *line != '\0';) {
        line += strspn(line, "\n\t ");
        size_t bytes_count = strcspn(line, "\n");

        if (bytes_count > 0 && !is_noise(line))
            log_event(LOG_LEVEL_ERROR, "script.traceback", "instance=%s %.*s", path,
                      (int)(bytes_count < LINE_BYTES ? bytes_count : LINE_BYTES), line);
        line += bytes_count;
    }
}

/* -- calls -- */

static void count_call(struct script *script, enum script_call what, int64_t ns, bool failed)
{
    struct script_call_stats *stats = &script->stats.calls[what];

    counter_add(&stats->count, 1);
    counter_add(&stats->time_ns, (uint64_t)ns);
    if ((uint64_t)ns > counter_read(&stats->slowest_ns))
        counter_set(&stats->slowest_ns, (uint64_t)ns);
    if (failed) {
        counter_add(&stats->errors_count, 1);
        script_count(script, SCRIPT_STAT_ERRORS, 1);
    }
}

/* Returns: Lua's status; an error's text is on the stack. */
static int call_within(struct state *state, enum script_call what, uint32_t limit_ms,
                       int argument_count, int result_count)
{
    struct script *script = state->script;
    lua_State *L = state->L;
    int base = lua_gettop(L) - argument_count;
    int64_t begin_ns = bounds_now_ns();

    lua_pushcfunction(L, on_error); /* light: allocates nothing */
    lua_insert(L, base);
    state->call_count++;
    bounds_begin(&state->bounds, L, limit_ms,
                 what == SCRIPT_CALL_LOAD ? "of loading" : "script.callback_ms");
    int result = lua_pcall(L, argument_count, result_count, base);

    bounds_end(&state->bounds);
    lua_remove(L, base);
    count_call(script, what, bounds_now_ns() - begin_ns, result != LUA_OK);
    if (result != LUA_OK && state->bounds.is_over)
        script_count(script, SCRIPT_STAT_TIMEOUTS, 1);
    counter_set(&script->stats.values[SCRIPT_STAT_MEMORY], state->bounds.used_bytes);
    return result;
}

/* The error on the stack; of no memory Lua itself says only that, and not where. */
static const char *error_text(const struct state *state, int result, char room[MEMORY_TEXT_BYTES])
{
    if (result != LUA_ERRMEM)
        return lua_tostring(state->L, -1);
    if (!state->bounds.is_full)
        return "not enough memory: limits.memory is reached";
    snprintf(room, MEMORY_TEXT_BYTES, "not enough memory: more than %zu kB (script.heap)",
             state->bounds.limit_bytes / 1024);
    return room;
}

bool state_call(struct state *state, enum script_call what, int argument_count, int result_count)
{
    uint32_t limit_ms = state->script->config->script.callback_ms;
    int result = call_within(state, what, limit_ms, argument_count, result_count);
    char room[MEMORY_TEXT_BYTES];

    if (result == LUA_OK)
        return true;
    log_error(state, what, error_text(state, result, room));
    lua_pop(state->L, 1);
    return false;
}

void state_failed(struct state *state, enum script_call what, const char *text)
{
    count_call(state->script, what, 0, true);
    log_error(state, what, text);
}

static int push_protected(lua_State *L)
{
    const struct span *bytes = lua_touserdata(L, 1);

    lua_pushlstring(L, (const char *)bytes->data, bytes->bytes_count);
    return 1;
}

bool state_push_bytes(struct state *state, struct span bytes)
{
    lua_State *L = state->L;

    lua_pushcfunction(L, push_protected);
    lua_pushlightuserdata(L, &bytes);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK)
        return true;
    lua_settop(L, 0);
    count_call(state->script, SCRIPT_CALL_ONMSG, 0, true);
    log_error(state, SCRIPT_CALL_ONMSG, "not enough memory for a message");
    return false;
}

struct state *state_of(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
    struct state *state = lua_touserdata(L, -1);

    lua_pop(L, 1);
    return state;
}

/* -- what every script finds -- */

/* trace(…) and print(…): a line in the log */
static int trace(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_Buffer line;

    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1)
            luaL_addchar(&line, ' ');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_pushresult(&line);
    log_event(LOG_LEVEL_INFO, "script.print", "instance=%s %s", state_of(L)->script->instance->path,
              lua_tostring(L, -1));
    return 0;
}

/* A module that scripts get with require(), made by one of our own sources with the @arguments on
 * the stack. */
static void preload(lua_State *L, const char *source, const char *name, int argument_count)
{
    embedded_load(L, source);
    lua_insert(L, -argument_count - 1);
    lua_call(L, argument_count, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static void open_own(lua_State *L, struct script *script)
{
    lua_register(L, "trace", trace);
    lua_register(L, "print", trace);
    ba_open_library(L, script->crypto);
    timers_open_library(L);
    lua_setfield(L, -2, "timer");
    lua_getfield(L, -1, "json");
    lua_insert(L, -2);
    lua_setglobal(L, "ba"); /* json stays */

    hub_open_library(L);
    lua_pushvalue(L, -2);
    preload(L, "hub", "smq.hub", 2);
    lua_setglobal(L, "smq");
    preload(L, "rpc", "smqrpc", 1); /* takes json */
    lua_pop(L, 1);
}

/* -- loading -- */

static char *read_file(const char *path, size_t *bytes_count, char error[STATE_ERROR_BYTES])
{
    FILE *file = fopen(path, "re");
    char *text = malloc(SCRIPT_FILE_BYTES_MAX + 1);

    must(text);
    *bytes_count = file ? fread(text, 1, SCRIPT_FILE_BYTES_MAX + 1, file) : 0;
    if (!file || ferror(file) || *bytes_count > SCRIPT_FILE_BYTES_MAX) {
        snprintf(error, STATE_ERROR_BYTES, "%.300s: %s", path,
                 file && *bytes_count > SCRIPT_FILE_BYTES_MAX ? "larger than 8 MB, so no script"
                                                              : strerror(errno));
        free(text);
        text = NULL;
    }
    if (file)
        fclose(file);
    return text;
}

struct source {
    struct state *state;
    const char *text;
    size_t bytes_count;
};

/* Everything that may raise an error: libraries, the file, and running it. */
static int load_protected(lua_State *L)
{
    const struct source *source = lua_touserdata(L, 1);
    struct script *script = source->state->script;
    struct bounds_options options = {.folder = script->folder,
                                     .allow_os = script->config->script.allow_os};
    const char *name = strrchr(script->path, '/');

    lua_pushlightuserdata(L, source->state);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
    bounds_open(L, &options);
    open_own(L, script);
    lua_pushfstring(L, "@%s", name ? name + 1 : script->path);
    if (luaL_loadbufferx(L, source->text, source->bytes_count, lua_tostring(L, -1), "t") != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 0);
    return 0;
}

struct state *state_open(struct script *script, char error[STATE_ERROR_BYTES])
{
    struct source source;
    char *text = read_file(script->path, &source.bytes_count, error);

    if (!text)
        return NULL;
    struct state *state = mem_alloc_always(script->mem, MEM_SCRIPT, sizeof(*state));

    *state = (struct state){.script = script};
    state->bounds =
        (struct bounds){.mem = script->mem, .limit_bytes = script->config->script.memory_bytes_max};
    state->L = bounds_new_state(&state->bounds);
    source.state = state;
    source.text = text;
    script->loading = state;
    int result = LUA_ERRMEM;

    if (state->L) {
        lua_pushcfunction(state->L, load_protected);
        lua_pushlightuserdata(state->L, &source);
        result = call_within(state, SCRIPT_CALL_LOAD, SCRIPT_LOAD_MS, 1, 0);
    }
    script->loading = NULL;
    free(text);
    if (result == LUA_OK)
        return state;
    char room[MEMORY_TEXT_BYTES];
    const char *reason =
        state->L ? error_text(state, result, room) : "script.heap is too small for any script";

    snprintf(error, STATE_ERROR_BYTES, "%.*s", (int)strcspn(reason, "\n"), reason);
    if (state->L)
        log_error(state, SCRIPT_CALL_LOAD, reason);
    hub_leave(state, script->state);
    state_close(state);
    return NULL;
}

void state_close(struct state *state)
{
    struct script *script = state->script;

    for (uint32_t i = 0; i < state->hub_count; i++)
        hub_deinit(&state->hubs[i]);
    timers_clear(state);
    async_leave(state);
    if (state->L)
        lua_close(state->L);
    must(state->bounds.used_bytes == 0);
    mem_free(script->mem, MEM_SCRIPT, state, sizeof(*state));
}
