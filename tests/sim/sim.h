/*
 * tests/sim/sim.h — one run of the simulation, all of it.
 *
 *      scenario   what this seed plays: limits, sizes, troubles
 *      world      the broker: real I/O actors, shards, mesh
 *      kernel     sockets, and the turn of an I/O actor
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

struct sim {
    struct world world;
    struct scenario scenario;
    struct dice dice;
    struct model model;
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

/* Everybody leaves, or the broker drains; then nothing must be left behind (quiet.c). */
void quiet_end(struct sim *sim);
