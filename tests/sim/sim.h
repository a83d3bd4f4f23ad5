/*
 * tests/sim/sim.h — one run of the simulation, all of it.
 *
 *      scenario   what this seed plays: limits, sizes, troubles
 *      world      the broker: real I/O actors, shards, mesh
 *      kernel     sockets, and what completes on them
 *      turn       who runs when, in slices
 *      control    lists, and the end
 *      link       the client's end of each connection
 *      model      what the clients know, and what follows from it   (the oracle)
 *      storm      random actions, everything at once: rules that hold at every step
 *      calm       one action at a time: every frame foretold
 *      quiet      nothing moves: what the actors hold is what the clients know
 *
 * Storm and calm take turns; between them everything comes to rest and is compared. Thread: one.
 */
#pragma once

#include "tests/sim/dice.h"
#include "tests/sim/link.h"
#include "tests/sim/model.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

/* How far an actor's turn has come (tests/sim/turn.h). */
enum slice { SLICE_WAKE = 0, SLICE_REAP, SLICE_MAIL, SLICE_TIMERS, SLICE_ATTEND, SLICE_FLUSH };

struct turn {
    enum slice slice; /* the next one */
    uint32_t done_count;
    uint32_t mail_round_count;
    uint32_t slept_tick;  /* asleep: since when ... */
    uint32_t sleep_ticks; /* ... and for how long at most */
};

/* What the control actor waits for (tests/sim/control.h). */
struct control {
    bool is_asking; /* a list has been asked for and is not complete */
    uint32_t row_count;
    uint32_t stopped_count;
};

struct sim {
    struct world world;
    struct scenario scenario;
    struct dice dice;
    struct model model;
    struct turn turns[SIM_ACTORS_MAX];
    struct control control;
    struct link links[LINKS_MAX];
    struct link *links_by_slot[SIM_IO_MAX][SIM_SLOTS_MAX]; /* the kernel's table of descriptors */
    uint32_t in_flight_bytes[LINKS_MAX];                   /* as given to the kernel */
    uint32_t serial_count;                                 /* connections ever dialed */
    bool is_draining;                                      /* the broker was told to stop */
    uint64_t message_count; /* messages that clients received: says how much a run has seen */
};

/* One random action, whatever else is going on (storm.c). */
void storm_step(struct sim *sim);

/* One action from rest, its outcome foretold frame by frame, and back to rest (calm.c). */
void calm_step(struct sim *sim);

/* Let everybody read and every actor run until nothing moves; then compare what the actors hold
 * with what the clients know (quiet.c). */
void quiet_settle(struct sim *sim);
void quiet_check(struct sim *sim);

/* After some ticks at rest: nobody is kept waiting beyond the deadlines, give or take a tick that
 * had begun and one that is not over (quiet.c). */
void quiet_check_deadlines(const struct sim *sim);

/* Everybody leaves, or the broker drains; then nothing must be left behind (quiet.c). */
void quiet_end(struct sim *sim);
