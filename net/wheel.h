/*
 * net/wheel.h — one timer wheel per I/O actor: deadlines in ticks, links by index, no allocation.
 *
 *      slot = deadline % WHEEL_SLOTS; a deadline more than one revolution away is passed over
 *      until its turn comes. What is due when a slot is passed waits in a list of its own, so each
 *      entry of a slot is looked at once however many of them are due.
 *
 * The links live inside the objects (connections) and are found through link_of. Thread: the
 * owner's. Add, remove: O(1). Expire: O(entries in the slots that passed).
 */
#pragma once

#include "core/must.h"

#define WHEEL_SLOTS   512u
#define WHEEL_TICK_MS 250u /* one revolution: 128 s */
#define WHEEL_NONE    UINT32_MAX

struct wheel_link {
    uint32_t next_index;
    uint32_t previous_index;
    uint32_t deadline_tick; /* meaningful while linked */
};

#define WHEEL_DUE WHEEL_SLOTS /* the list of those whose slot has been passed */

struct wheel {
    uint32_t heads[WHEEL_SLOTS + 1];
    uint64_t occupied[WHEEL_SLOTS / 64];
    uint32_t now_tick;  /* everything up to here has been expired, or waits in WHEEL_DUE */
    uint32_t look_tick; /* what the last wheel_expire was asked for: now_tick, or ahead of it */
    uint32_t count;
    struct wheel_link *(*link_of)(void *owner, uint32_t index);
    void *owner;
};

void wheel_init(struct wheel *wheel, uint32_t now_tick,
                struct wheel_link *(*link_of)(void *owner, uint32_t index), void *owner);

/* Put @index in, due at @deadline_tick; a past one: at the tick after the last look. It must not
 * be in. */
void wheel_add(struct wheel *wheel, uint32_t index, uint32_t deadline_tick);

/* Take @index out; it must be in. */
void wheel_remove(struct wheel *wheel, uint32_t index);

/* Take out the next entry that is due by @now_tick, or WHEEL_NONE: then time has moved on to
 * @now_tick. Call until none, now or later; entries may be added and removed in between. */
uint32_t wheel_expire(struct wheel *wheel, uint32_t now_tick);

/* Has time stood still before @now_tick, or is there a rest of what is due? */
static inline bool wheel_is_behind(const struct wheel *wheel, uint32_t now_tick)
{
    return wheel->now_tick != now_tick || wheel->heads[WHEEL_DUE] != WHEEL_NONE;
}

/* Ticks from now until something may be due; UINT32_MAX when the wheel is empty. May be early
 * (a later revolution), never late. */
uint32_t wheel_ticks_to_next(const struct wheel *wheel);
