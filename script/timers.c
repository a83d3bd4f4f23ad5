/*
 * script/timers.c — ba.timer(fn):set(ms [, oneshot]), :cancel().
 *
 * A timer that is set lives on, whether the script keeps it or not. It comes again until cancel(),
 * or until its function returns false. Those that are set are in one list and looked at in turn:
 * there are few. Thread: the script actor's.
 */
#include <lauxlib.h>

#include "script/parts.h"

#define TIMER_TYPE   "smq.timer"
#define TIMER_MS_MAX INT64_C(31536000000) /* a year */

/* A userdata; its user value is the function. While it is set, the registry has it by its address.
 */
struct timer {
    struct timer *next;
    int64_t due_ms;
    int64_t period_ms;
    bool is_set;
    bool is_oneshot;
};

static void count_timers(struct state *state, int change)
{
    state->timer_count += (uint32_t)change;
    counter_set(&state->script->stats.values[SCRIPT_STAT_TIMERS], state->timer_count);
}

static void unset(lua_State *L, struct state *state, struct timer *timer)
{
    struct timer **at = &state->timers;

    if (!timer->is_set)
        return;
    while (*at != timer)
        at = &(*at)->next;
    *at = timer->next;
    timer->is_set = false;
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, timer);
    count_timers(state, -1);
}

static int timer_new(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    struct timer *timer = lua_newuserdatauv(L, sizeof(*timer), 1);

    *timer = (struct timer){0};
    luaL_setmetatable(L, TIMER_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    return 1;
}

static int64_t now_ms(void)
{
    return bounds_now_ns() / 1000000;
}

static int timer_set(lua_State *L)
{
    struct timer *timer = luaL_checkudata(L, 1, TIMER_TYPE);
    lua_Number ms = luaL_checknumber(L, 2);
    struct state *state = state_of(L);

    luaL_argcheck(L, ms >= 0 && ms <= (lua_Number)TIMER_MS_MAX, 2, "0 ms to a year");
    unset(L, state, timer);
    if (state->timer_count == SCRIPT_TIMERS_MAX)
        return luaL_error(L, "more than %d timers are set", (int)SCRIPT_TIMERS_MAX);
    lua_pushvalue(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, timer);
    timer->period_ms = ms < 1 ? 1 : (int64_t)ms;
    timer->due_ms = now_ms() + timer->period_ms;
    timer->is_oneshot = lua_toboolean(L, 3);
    timer->is_set = true;
    timer->next = state->timers;
    state->timers = timer;
    count_timers(state, 1);
    lua_settop(L, 1);
    return 1;
}

static int timer_cancel(lua_State *L)
{
    unset(L, state_of(L), luaL_checkudata(L, 1, TIMER_TYPE));
    lua_settop(L, 1);
    return 1;
}

void timers_open_library(lua_State *L)
{
    static const luaL_Reg methods[] = {{"set", timer_set}, {"cancel", timer_cancel}, {NULL, NULL}};

    luaL_newmetatable(L, TIMER_TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_pushcfunction(L, timer_new);
}

static struct timer *first_due(const struct state *state, int64_t at_ms)
{
    struct timer *first = NULL;

    for (struct timer *timer = state->timers; timer; timer = timer->next)
        if (timer->due_ms <= at_ms && (!first || timer->due_ms < first->due_ms))
            first = timer;
    return first;
}

/* Who is late does not make up for it: the next time is a period from now. */
static void fire(struct state *state, struct timer *timer)
{
    lua_State *L = state->L;

    lua_rawgetp(L, LUA_REGISTRYINDEX, timer); /* alive until we are through */
    if (timer->is_oneshot)
        unset(L, state, timer);
    else
        timer->due_ms = now_ms() + timer->period_ms;
    lua_getiuservalue(L, -1, 1);
    if (state_call(state, SCRIPT_CALL_TIMER, 0, 1)) {
        if (lua_isboolean(L, -1) && !lua_toboolean(L, -1))
            unset(L, state, timer);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void timers_run(struct state *state)
{
    int64_t at_ms = now_ms();
    uint32_t fired_count = 0;
    struct timer *timer;

    while (fired_count++ < SCRIPT_TIMERS_MAX && (timer = first_due(state, at_ms)))
        fire(state, timer);
}

int64_t timers_next_ms(const struct state *state)
{
    int64_t next_ms = INT64_MAX;

    for (const struct timer *timer = state->timers; timer; timer = timer->next)
        if (timer->due_ms < next_ms)
            next_ms = timer->due_ms;
    return next_ms;
}

void timers_clear(struct state *state)
{
    state->timers = NULL; /* the userdata go with the state */
    count_timers(state, -(int)state->timer_count);
}
