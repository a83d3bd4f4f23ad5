/*
 * core/log.h — events, from the actor where they happen to the control actor that writes them.
 *
 *      actor --records--> log_lane (one for each actor) --> control: log_drain --> stderr
 *
 * An event is a level, a stable name ("conn.slow") and a text of key=value pairs. Writing one
 * costs a snprintf into the lane and never blocks: a full lane drops the event and counts it,
 * and the writer says how many were lost. There is no event per message.
 *
 * A thread without a lane (main before the actors run, tools) writes straight to stderr.
 *
 * The lane is ours rather than a ck_ring because both sides work on the record in place: 256
 * bytes are formatted once and never copied.
 *
 * Order: first in, first out within a lane. Across lanes, none; each line has its own time.
 * Room:  LOG_LANE_SLOTS records.
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#include "core/config.h"
#include "core/must.h"

#define LOG_LANE_SLOTS  64u  /* a burst between two looks of control; more would be folded anyway */
#define LOG_TEXT_BYTES  236u /* with its zero; a longer text ends in "..." */
#define LOG_ACTOR_BYTES 16u

struct log_record {
    const char *name; /* a literal: "conn.slow" */
    int64_t time_ns;  /* CLOCK_REALTIME */
    uint8_t level;    /* enum log_level */
    char text[LOG_TEXT_BYTES];
};
static_assert(sizeof(struct log_record) == 256, "four cache lines");

struct log_lane {
    /* -- constant after boot -- */
    char actor[LOG_ACTOR_BYTES]; /* "io-0": named when records were lost */
    void (*wake)(void *context); /* tell control there is something; may be NULL: control polls */
    void *wake_context;

    /* -- the actor's side -- */
    alignas(CACHE_LINE) _Atomic uint32_t pushed_count; /* wraps; the slot is its low bits */
    _Atomic uint64_t lost_count;

    /* -- control's side -- */
    alignas(CACHE_LINE) _Atomic uint32_t popped_count;
    uint64_t lost_reported_count;

    alignas(CACHE_LINE) struct log_record records[LOG_LANE_SLOTS];
};
static_assert((LOG_LANE_SLOTS & (LOG_LANE_SLOTS - 1)) == 0, "the counts wrap at 2^32");

/**
 * Only main, before the actor runs. The pages of the records are touched when first used.
 *
 * @wake must not block and may be called from the actor's thread for each event; NULL when
 * control looks by itself.
 */
void log_lane_init(struct log_lane *lane, const char *actor, void (*wake)(void *context),
                   void *wake_context);

/* From now on the calling thread's events go into @lane; NULL: straight to stderr. The control
 * actor attaches a lane too, and drains it with the others. */
void log_attach(struct log_lane *lane);

/* The least important level that is kept; LOG_LEVEL_INFO at start. Any thread. */
void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);

/**
 * Note an event. Any thread.
 *
 * @name: a literal, dotted, never changed once released: operators search for it.
 * @format: key=value pairs; bytes that are not printable ASCII (a peer may have
 * chosen them) become '?'.
 * Cost:  1 ns when the level is off, 2 ns when the lane is full, else about 0.1 us.
 */
void log_event(enum log_level level, const char *name, const char *format, ...) PRINTF(3, 4);

/* -- the lane's far side, for core/log_writer.c and tests -- */

/* The oldest record, in place, or NULL. It is the lane's until log_lane_pop. */
const struct log_record *log_lane_peek(struct log_lane *lane);
void log_lane_pop(struct log_lane *lane);
