/*
 * net/completions.h — what the reactor asks the kernel for, and what it does with each answer.
 *
 * Private to net/reactor.c and net/completions.c. Thread: the I/O thread.
 */
#pragma once

#include "net/reactor.h"

/* Handle one completion. */
void completion_handle(struct reactor *reactor, const struct io_uring_cqe *cqe);

/* The end of the turn looks at a marked connection: flush, arm, half-close, close. */
void reactor_attend(struct reactor *reactor, struct conn *conn);

/* Some of those who stand in line are read from: who found no receive buffer, as many as will find
 * one now; and a bite of those who hung up. */
void reactor_serve_lines(struct reactor *reactor);

/* Quiet for a while: trade the multishot receive for a poll. */
void reactor_demote(struct reactor *reactor, struct conn *conn);

/* Arm accepts where too few are armed, as many as there are descriptors; or cancel them all. */
void reactor_accept(struct reactor *reactor);
void reactor_stop_accepting(struct reactor *reactor);

/* Hear the eventfd that other actors write to. */
void reactor_arm_wake(struct reactor *reactor);

/* Can this kernel tell the peer's address of a direct descriptor? Asks about a socket of its own,
 * so the uring must be idle. */
bool reactor_probe_peer_address(struct reactor *reactor);

/* After the end: throw away what shards still send. Returns: has the second STOP come? */
bool reactor_drop_mail(struct reactor *reactor);

struct send_scratch *reactor_scratch_new(struct mem *mem);
void reactor_scratch_free(struct mem *mem, struct send_scratch *scratch);
