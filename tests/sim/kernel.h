/*
 * tests/sim/kernel.h — the kernel and the reactor of the simulation.
 *
 * Does for an I/O actor what net/reactor.c and net/completions.c do with io_uring: accept, receive,
 * send, half-close, cancel, close, timers, the order of a turn. The kernel's freedom is the dice's:
 * which completions have come, where the bytes are cut, how much of a send was taken, what a
 * cancelled send had already done. One send is in flight per connection, and what it reads must
 * neither move nor change meanwhile: the bytes are taken when it completes. Thread: one.
 */
#pragma once

#include "tests/sim/link.h"
#include "tests/sim/sim.h"

/* The client dials: the connection waits to be accepted by @io_index. */
void kernel_dial(struct sim *sim, struct link *link, uint32_t io_index);

/**
 * One turn of an I/O actor, with its inline shard if it has one.
 *
 * @percent: how likely each completion that could have come has come. 100: everything has.
 * Returns: how much was done; 0: it slept, or there was nothing.
 */
uint32_t kernel_turn(struct sim *sim, uint32_t io_index, uint32_t percent);

/* Is nothing under way at this I/O actor's sockets? Bytes that a client does not read do not count,
 * nor does silence. */
bool kernel_is_quiet(const struct sim *sim, uint32_t io_index);

/* The broker's connection behind @link; NULL: not accepted yet, or refused. */
struct conn *kernel_conn(const struct sim *sim, const struct link *link);

/* Is the broker listening to @link as to a client, as far as the broker knows? */
bool kernel_is_live(const struct sim *sim, const struct link *link);
