/*
 * tests/unit/script/script_desk.h — a script, the shards it talks to, and one client, by hand.
 *
 * A test gives the script as text, with say(…) for what it wants to tell. Real shards turn while
 * the script waits; the client A (shard_desk.h) subscribes to the topic "out" and so hears say().
 * No threads, no sleeping.
 */
#pragma once

#include <stdint.h>

#include "core/must.h"

/* The world with @shard_count shards, and the script that is @text, loaded. */
void desk_start(uint32_t shard_count, const char *text);

/* The same, with what a script may use. */
void desk_start_within(uint32_t shard_count, const char *text, uint64_t memory_bytes,
                       uint32_t callback_ms, uint32_t queue_count);

/* Another text, and RELOAD. */
void desk_reload(const char *text);

/* All that has been said since the last time: lines, each ended by \n. Turns until all is quiet. */
const char *desk_said(void);

/* The client A publishes, to a topic that the script knows or to its ETID. */
void desk_publish(uint32_t tid, uint32_t subtopic, const char *text);
void desk_publish_from(uint32_t etid, uint32_t tid, uint32_t subtopic, const char *text);
uint32_t desk_tid(const char *topic);
uint32_t desk_subscribe(const char *topic);
void desk_unsubscribe(uint32_t tid);

/* A second client, with its ETID; it leaves with desk_leave(). */
uint32_t desk_join(const char *uid);
void desk_leave(uint32_t etid);

/* Let time pass for the timers: turns until something was said, or @turn_count of 1 ms are over. */
const char *desk_said_within(uint32_t turn_count);

uint64_t desk_stat(uint32_t script_stat);
uint64_t desk_errors(uint32_t script_call);

/* Ends the script, and sees that nothing is left of it. */
void desk_end(void);
