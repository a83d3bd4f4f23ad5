/* script/async.c — see script/async.h. */
#include "script/async.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/msg.h"
#include "script/embedded.h"
#include "script/pack.h"

#define WORKER_STACK_BYTES (1024u * 1024)

/* A job on its way there, and back. Its messages are freed by whoever has it. */
struct job {
    struct job *next;
    struct msg *code;     /* of the function, compiled */
    struct msg *upvalues; /* for each a byte: is it _ENV? Then the values of the others */
    struct msg *results;  /* NULL: an error */
    char *error;          /* for free() */
    int callback;         /* a reference in the script's state */
};

struct job_list {
    struct job *first;
    struct job **end;
};

struct async {
    struct async *next; /* among those that are to end */
    const struct script *script;
    struct parker *parker; /* of the script actor */
    pthread_t thread;
    struct mem mem; /* the worker's account */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job_list waiting; /* under the lock, as those below */
    struct job_list done;
    bool is_closing;
    bool has_ended;

    _Atomic bool cancel; /* set with is_closing: a function that runs ends */
    _Atomic uint32_t done_count;
    uint32_t job_count; /* the actor's: given and not finished */
};

/* -- lists -- */

static void list_init(struct job_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void list_add(struct job_list *list, struct job *job)
{
    job->next = NULL;
    *list->end = job;
    list->end = &job->next;
}

static struct job *list_take(struct job_list *list)
{
    struct job *job = list->first;

    if (!job)
        return NULL;
    list->first = job->next;
    if (!list->first)
        list->end = &list->first;
    return job;
}

static void job_free(struct mem *mem, struct job *job)
{
    if (!job)
        return;
    msg_unref(mem, job->code);
    msg_unref(mem, job->upvalues);
    msg_unref(mem, job->results);
    free(job->error);
    mem_free(mem, MEM_SCRIPT, job, sizeof(*job));
}

/* -- the worker. Thread: its own -- */

/* A line straight to the log's end: this thread has no lane. */
static int worker_trace(lua_State *L)
{
    luaL_Buffer line;
    int count = lua_gettop(L);

    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1)
            luaL_addchar(&line, ' ');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_pushresult(&line);
    log_event(LOG_LEVEL_INFO, "script.print", "async %s", lua_tostring(L, -1));
    return 0;
}

static int open_protected(lua_State *L)
{
    const struct script *script = lua_touserdata(L, 1);
    struct bounds_options options = {.folder = script->folder,
                                     .allow_os = script->config->script.allow_os};

    bounds_open(L, &options);
    lua_register(L, "trace", worker_trace);
    lua_register(L, "print", worker_trace);
    ba_open_library(L, script->crypto);
    lua_setglobal(L, "ba");
    return 0;
}

/* The function with what it refers to; then its results, packed. */
static int run_protected(lua_State *L)
{
    const struct job *job = lua_touserdata(L, 1);
    struct span kinds = msg_span(job->upvalues);
    uint8_t count = kinds.data[0];

    lua_settop(L, 0);
    if (luaL_loadbufferx(L, (const char *)job->code->bytes, job->code->bytes_count, "=async",
                         "b") != LUA_OK)
        return lua_error(L);
    (void)unpack_values(L, span_skip(kinds, 1u + count));
    for (int i = count; i >= 1; i--) {
        if (kinds.data[i])
            lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
        (void)lua_setupvalue(L, 1, i); /* pops */
    }
    lua_call(L, 0, LUA_MULTRET);
    pack_values(L, 1, lua_gettop(L), "a result of async");
    return 1;
}

static int add_traceback(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

static void run_job(struct async *async, lua_State *L, struct bounds *bounds, struct job *job)
{
    int result = LUA_ERRMEM;

    if (L) {
        lua_settop(L, 0);
        lua_pushcfunction(L, add_traceback);
        lua_pushcfunction(L, run_protected);
        lua_pushlightuserdata(L, job);
        bounds_begin(bounds, L, async->script->config->script.async_ms, "script.async_ms");
        result = lua_pcall(L, 1, 1, 1);
        bounds_end(bounds);
    }
    if (result == LUA_OK) {
        size_t bytes_count;
        const char *bytes = lua_tolstring(L, -1, &bytes_count);

        job->results = msg_copy(&async->mem, span_of(bytes, bytes_count));
    }
    if (!job->results) {
        job->error = strdup(L && result != LUA_OK ? lua_tostring(L, -1) : "not enough memory");
        must(job->error);
    }
    if (L)
        lua_settop(L, 0);
}

static void *worker_main(void *argument)
{
    struct async *async = argument;
    struct bounds bounds = {.mem = &async->mem,
                            .limit_bytes = async->script->config->script.memory_bytes_max,
                            .cancel = &async->cancel};
    lua_State *L = bounds_new_state(&bounds);

    if (L) {
        lua_pushcfunction(L, open_protected);
        lua_pushlightuserdata(L, (void *)(uintptr_t)async->script);
        if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
            lua_close(L);
            L = NULL; /* each job says so */
        }
    }
    pthread_mutex_lock(&async->lock);
    while (!async->is_closing) {
        struct job *job = list_take(&async->waiting);

        if (!job) {
            pthread_cond_wait(&async->changed, &async->lock);
            continue;
        }
        pthread_mutex_unlock(&async->lock);
        run_job(async, L, &bounds, job);
        pthread_mutex_lock(&async->lock);
        list_add(&async->done, job);
        atomic_fetch_add_explicit(&async->done_count, 1, memory_order_release);
        if (!async->is_closing)
            parker_wake(async->parker);
    }
    pthread_mutex_unlock(&async->lock);
    if (L)
        lua_close(L);
    pthread_mutex_lock(&async->lock);
    async->has_ended = true;
    pthread_mutex_unlock(&async->lock);
    return NULL;
}

/* -- the actor's side -- */

static void count_waiting(const struct state *state)
{
    counter_set(&state->script->stats.values[SCRIPT_STAT_ASYNC_WAITING],
                state->async ? state->async->job_count : 0);
}

static struct async *begin(struct script *script)
{
    struct async *async = mem_alloc_always(script->mem, MEM_SCRIPT, sizeof(*async));
    pthread_attr_t attributes;

    memset((void *)async, 0, sizeof(*async));
    async->script = script;
    async->parker = script->port->mesh->parkers[script->port->index];
    mem_init(&async->mem, script->mem->budget);
    list_init(&async->waiting);
    list_init(&async->done);
    must(pthread_mutex_init(&async->lock, NULL) == 0);
    must(pthread_cond_init(&async->changed, NULL) == 0);
    must(pthread_attr_init(&attributes) == 0);
    must(pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES) == 0);
    int result = pthread_create(&async->thread, &attributes, worker_main, async);

    pthread_attr_destroy(&attributes);
    if (result == 0) {
        (void)pthread_setname_np(async->thread, "async");
        return async;
    }
    pthread_cond_destroy(&async->changed);
    pthread_mutex_destroy(&async->lock);
    mem_free(script->mem, MEM_SCRIPT, async, sizeof(*async));
    return NULL;
}

/* A buffer has a place on the stack, and lua_dump wants its function on the top when it begins. */
struct code {
    bool has_begun;
    luaL_Buffer buffer;
};

static int add_code(lua_State *L, const void *bytes, size_t bytes_count, void *context)
{
    struct code *code = context;

    if (!code->has_begun)
        luaL_buffinit(L, &code->buffer);
    code->has_begun = true;
    luaL_addlstring(&code->buffer, bytes, bytes_count);
    return 0;
}

/* Push the function's code and what it refers to, as two strings. */
static void push_function(lua_State *L)
{
    struct code code = {.has_begun = false};
    char kinds[1 + 255];
    int count = 0;
    int top;

    lua_pushvalue(L, 1);
    if (lua_dump(L, add_code, &code, 0) != 0 || !code.has_begun)
        luaL_error(L, "this function has no code to copy");
    luaL_pushresult(&code.buffer);
    lua_remove(L, -2);
    top = lua_gettop(L);
    for (const char *name; (name = lua_getupvalue(L, 1, count + 1)) != NULL; count++) {
        bool is_env = strcmp(name, "_ENV") == 0;

        luaL_checkstack(L, 4, "variables of the function");
        kinds[1 + count] = is_env;
        if (is_env)
            lua_pop(L, 1);
    }
    kinds[0] = (char)count;
    lua_pushlstring(L, kinds, 1u + (size_t)count);
    lua_insert(L, top + 1);
    pack_values(L, top + 2, lua_gettop(L) - top - 1, "a variable of the function for async");
    lua_insert(L, top + 2);
    lua_settop(L, top + 2);
    lua_concat(L, 2);
}

static struct msg *msg_of_string(struct mem *mem, lua_State *L, int index)
{
    size_t bytes_count;
    const char *bytes = lua_tolstring(L, index, &bytes_count);

    return msg_copy(mem, span_of(bytes, bytes_count));
}

int async_start(lua_State *L)
{
    struct state *state = state_of(L);
    struct script *script = state->script;

    luaL_argcheck(L, lua_isfunction(L, 1) && !lua_iscfunction(L, 1), 1, "a Lua function is needed");
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    if (state->async && state->async->job_count >= script->config->script.queue_count_max)
        return luaL_error(L, "too many jobs wait (script.queue)");
    push_function(L); /* code at 3, the rest at 4 */
    if (!state->async && !(state->async = begin(script)))
        return luaL_error(L, "cannot start a thread");
    lua_pushvalue(L, 2);
    int callback = luaL_ref(L, LUA_REGISTRYINDEX); /* LUA_REFNIL: nobody wants to know */
    struct job *job = mem_alloc_zero(script->mem, MEM_SCRIPT, sizeof(*job));

    if (job) {
        job->callback = callback;
        job->code = msg_of_string(script->mem, L, 3);
        job->upvalues = msg_of_string(script->mem, L, 4);
    }
    if (!job || !job->code || !job->upvalues) {
        job_free(script->mem, job);
        luaL_unref(L, LUA_REGISTRYINDEX, callback);
        return luaL_error(L, "limits.memory is reached");
    }
    script_count(script, SCRIPT_STAT_ASYNC_JOBS, 1);
    state->async->job_count++;
    count_waiting(state);
    pthread_mutex_lock(&state->async->lock);
    list_add(&state->async->waiting, job);
    pthread_cond_signal(&state->async->changed);
    pthread_mutex_unlock(&state->async->lock);
    return 0;
}

static int push_results_protected(lua_State *L)
{
    const struct job *job = lua_touserdata(L, 1);

    lua_settop(L, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, job->callback);
    if (job->results)
        (void)unpack_values(L, msg_span(job->results));
    else {
        lua_pushnil(L);
        lua_pushlstring(L, job->error, strcspn(job->error, "\n"));
    }
    return lua_gettop(L);
}

/* callback(what it returned …), or callback(nil, why) */
static void tell(struct state *state, const struct job *job)
{
    lua_State *L = state->L;
    int before = lua_gettop(L);

    lua_pushcfunction(L, push_results_protected);
    lua_pushlightuserdata(L, (void *)(uintptr_t)job);
    if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
        lua_settop(L, before);
        log_event(LOG_LEVEL_ERROR, "script.error",
                  "instance=%s in=async not enough memory for the results",
                  state->script->instance->path);
    } else {
        (void)!state_call(state, SCRIPT_CALL_ASYNC, lua_gettop(L) - before - 1, 0);
    }
}

uint32_t async_finish(struct state *state)
{
    struct async *async = state->async;
    uint32_t count = 0;

    while (async_is_ready(state)) {
        pthread_mutex_lock(&async->lock);
        struct job *job = list_take(&async->done);
        pthread_mutex_unlock(&async->lock);

        must(job);
        atomic_fetch_sub_explicit(&async->done_count, 1, memory_order_relaxed);
        async->job_count--;
        if (job->error)
            log_event(LOG_LEVEL_ERROR, "script.async", "instance=%s %.*s",
                      state->script->instance->path, (int)strcspn(job->error, "\n"), job->error);
        if (job->callback != LUA_REFNIL)
            tell(state, job);
        luaL_unref(state->L, LUA_REGISTRYINDEX, job->callback);
        job_free(state->script->mem, job);
        count++;
    }
    if (count > 0)
        count_waiting(state);
    return count;
}

bool async_is_ready(const struct state *state)
{
    return state->async &&
           atomic_load_explicit(&state->async->done_count, memory_order_acquire) > 0;
}

void async_leave(struct state *state)
{
    struct async *async = state->async;

    if (!async)
        return;
    atomic_store_explicit(&async->cancel, true, memory_order_relaxed);
    pthread_mutex_lock(&async->lock);
    async->is_closing = true;
    pthread_cond_signal(&async->changed);
    pthread_mutex_unlock(&async->lock);
    async->next = state->script->leaving;
    state->script->leaving = async;
    state->async = NULL;
    count_waiting(state);
}

static void free_worker(struct script *script, struct async *async)
{
    must(pthread_join(async->thread, NULL) == 0);
    for (struct job *job; (job = list_take(&async->waiting)) || (job = list_take(&async->done));)
        job_free(script->mem, job);
    pthread_cond_destroy(&async->changed);
    pthread_mutex_destroy(&async->lock);
    mem_deinit(&async->mem, script->mem);
    mem_free(script->mem, MEM_SCRIPT, async, sizeof(*async));
}

void async_reap(struct script *script, bool wait)
{
    for (struct async **at = &script->leaving; *at;) {
        struct async *async = *at;

        pthread_mutex_lock(&async->lock);
        bool has_ended = async->has_ended;
        pthread_mutex_unlock(&async->lock);
        if (!has_ended && !wait) {
            at = &async->next;
            continue;
        }
        *at = async->next;
        free_worker(script, async);
    }
}
