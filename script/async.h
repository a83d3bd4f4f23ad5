/*
 * script/async.h — smq.async(fn, callback): slow calls in a Lua state of their own, with its
 * thread.
 *
 *      script actor ──job: fn's code and what it refers to──> worker thread: fn()
 *                   <──what it returned───────────────────── callback(…)
 *
 * A worker belongs to one loaded script. Its state has the libraries and ba, but no hub; its
 * globals last from job to job, so a connection to a database may be kept in one. Jobs run one at a
 * time, in order. What goes to and fro is copied (script/pack.h).
 *
 * When the script is replaced, its worker is told to end and left alone: a query that is under way
 * holds nobody up. Only at the broker's end somebody waits for it.
 *
 * Thread: the script actor's, but for what async.c says.
 */
#pragma once

#include "script/parts.h"

/* async(fn, callback) for Lua. */
int async_start(lua_State *L);

/* Call the callbacks of what is done. Returns how many. */
uint32_t async_finish(struct state *state);

/* Is a job done? Before sleeping. */
bool async_is_ready(const struct state *state);

/* @state is closed: its worker shall end. It is joined by async_reap(). */
void async_leave(struct state *state);

/* Free workers that have ended; with @wait those that have not, too. */
void async_reap(struct script *script, bool wait);
