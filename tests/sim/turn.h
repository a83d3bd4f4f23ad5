/*
 * tests/sim/turn.h — the turns of the actors, in slices.
 *
 *      I/O actor:  wake, reap … reap, mail … mail, timers, attend … attend, flush, sleep
 *      shard:      wake, handle, flush, sleep
 *
 * Threads run at the same time, so between any two slices of one actor the others may have theirs:
 * a lane that was full a moment ago has room in the middle of a turn. The order within a turn is
 * net/reactor.c's and core/shard.c's. An actor that sleeps is woken by another actor through the
 * mesh, by a completion, or when the wheel said something would be due; by nothing else.
 * Thread: one.
 */
#pragma once

#include "tests/sim/sim.h"

/**
 * One slice of an actor's turn: of an I/O actor (with its inline shard), or of a shard.
 *
 * @percent: how likely each completion that could have come has come.
 * Returns: how much was done; 0: it sleeps, or there was nothing to do.
 */
uint32_t turn_slice(struct sim *sim, uint32_t actor, uint32_t percent);

/* The rest of the turn that is under way, or a whole one. */
uint32_t turn_rest(struct sim *sim, uint32_t actor, uint32_t percent);

/* Between two turns, with nothing to do and nothing due? */
bool turn_is_quiet(const struct sim *sim, uint32_t actor);
