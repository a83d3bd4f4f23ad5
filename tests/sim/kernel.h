/*
 * tests/sim/kernel.h — the kernel of the simulation: sockets, and what completes on them.
 *
 * Does for a connection what net/completions.c does with io_uring: accept, receive, send,
 * half-close, cancel, close. The kernel's freedom is the dice's: which completions have come, where
 * the bytes are cut, how much of a send was taken, what a cancelled send had already done. One send
 * is in flight per connection, and what it reads must neither move nor change meanwhile: the bytes
 * are taken when it completes. When an actor looks at completions is tests/sim/turn.h's. Thread:
 * one.
 */
#pragma once

#include "tests/sim/link.h"
#include "tests/sim/sim.h"

/* The client dials: the connection waits to be accepted by @io_index. */
void kernel_dial(struct sim *sim, struct link *link, uint32_t io_index);

/* One completion of @link reaches its I/O actor. false: there is none. */
bool kernel_complete(struct sim *sim, struct link *link);

/* Could anything complete at this I/O actor? Bytes that a client does not read do not count. */
bool kernel_has_completions(const struct sim *sim, uint32_t io_index);

/* The end of a turn at a marked connection: release, flush, half-close, cancel, close. */
void kernel_attend(struct sim *sim, struct conn *conn, uint32_t io_index);

/* The connection has been quiet: its receive may become a poll. */
void kernel_demote(struct sim *sim, struct conn *conn);

/* The broker's connection behind @link; NULL: not accepted yet, or refused. */
struct conn *kernel_conn(const struct sim *sim, const struct link *link);

/* Is the broker listening to @link as to a client, as far as the broker knows? */
bool kernel_is_live(const struct sim *sim, const struct link *link);
