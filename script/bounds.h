/*
 * script/bounds.h — what a script may use: memory, time, and libraries.
 *
 * Memory: each allocation of a Lua state goes through bounds_alloc, which counts it for the state's
 *         own limit and in the account of the thread that runs it (core/mem.h). At the limit Lua
 *         collects its garbage, then the script gets the error "not enough memory".
 * Time:   between bounds_begin() and bounds_end() a hook looks at the clock every
 *         BOUNDS_INSTRUCTIONS instructions. After the limit it raises an error at every
 * instruction, so that no pcall() and no coroutine keeps a script alive. What it cannot interrupt
 * is a single call of a C function: a slow query, a pattern that takes for ever. That delays only
 *         who waits for the script.
 * Libraries: bounds_open() opens Lua's own and takes away what would reach around the limits or out
 *         of the script's folder (script/sandbox.lua says what).
 *
 * Thread: the one that runs the state.
 */
#pragma once

#include <lua.h>
#include <stdatomic.h>

#include "core/mem.h"

#define BOUNDS_INSTRUCTIONS 1000 /* some 10 us; a look at the clock is 30 ns */

struct bounds {
    struct mem *mem;
    size_t used_bytes;
    size_t limit_bytes;
    int64_t deadline_ns;        /* CLOCK_MONOTONIC; INT64_MAX: none */
    uint32_t limit_ms;          /* that led to it: for the error's text */
    const char *limit_name;     /* ... the configuration's key */
    bool is_full;               /* the last one that asked for more was refused, by limit_bytes */
    bool is_over;               /* the time is up: an error at every instruction */
    const _Atomic bool *cancel; /* set by another thread: no time is left; NULL: nobody does */
};

/* What the state is for. */
struct bounds_options {
    const char *folder; /* absolute, of the script: require and dofile look there */
    bool allow_os;      /* os.execute, io.popen, files and modules from anywhere */
};

/* Gives: the state, for lua_close(); @bounds must outlive it and have mem and limit_bytes set.
 * NULL: over the limit. */
MUST_CHECK lua_State *bounds_new_state(struct bounds *bounds);

/* Open the libraries. Raises Lua errors: call it from a protected function. */
void bounds_open(lua_State *L, const struct bounds_options *options);

/* The time of what is called now. They do not nest. @limit_name: a literal, the key it comes from.
 */
void bounds_begin(struct bounds *bounds, lua_State *L, uint32_t limit_ms, const char *limit_name);
void bounds_end(struct bounds *bounds);

int64_t bounds_now_ns(void);
