/*
 * tests/sim/control.h — the control actor's part: ask for lists, tell everybody to stop.
 *
 * As server/control.c, without signals and sockets. Thread: one.
 */
#pragma once

#include "tests/sim/sim.h"

/* Ask an I/O actor for its connections, unless an answer is still to come. */
void control_ask_list(struct sim *sim);

/* Take what has come. */
void control_listen(struct sim *sim);

/* Is nothing asked for that has not been answered? */
static inline bool control_is_quiet(const struct sim *sim)
{
    return !sim->control.is_asking;
}

/* The broker is told to stop: the I/O actors drain, then the shards end. */
void control_drain(struct sim *sim);
