/*
 * tests/sim/coverage.h — what the runs have seen: every counter of the broker, summed over all
 * runs.
 *
 * A simulation that never fills a lane proves nothing about full lanes; here that would show.
 * Thread: one; the state is the process's.
 */
#pragma once

#include "tests/sim/sim.h"

/* The run is over, the world still there. */
void coverage_add(const struct sim *sim);

/* One line: runs, connections, messages. Then, when @with_counters, each counter; a counter that
 * stayed 0 is marked. */
void coverage_print(bool with_counters);
