/*
 * server/calls.h — the system calls that smqd makes, and none beside them (seccomp).
 *
 * What io_uring does for us goes past this filter: the kernel does it without a system call. So
 * the filter is about the rest, and server/sandbox.h holds for both.
 *
 * A call that is not on the list fails with EPERM, and that is noted; nothing is killed,
 * for a libc that is newer than the list should cost a log line and not the broker.
 */
#pragma once

#include <stdint.h>

#include "core/must.h"

/* What is on the list as well. */
struct calls_more {
    bool modules; /* a script's: their code is mapped, and what a database does with its files */
    bool network; /* connections to others */
};

/**
 * Thread:  main, at any time: it holds for all threads from now on, and for good.
 *
 * @only_report: refuse nothing; the kernel's log says what would have been (type=1326).
 * Returns: false with errno set: this kernel does not let us.
 */
MUST_CHECK bool calls_restrict(bool only_report, struct calls_more more);

#define CALLS_NAME_BYTES 32

/**
 * The next call of those that were refused, once each.
 *
 * Thread:  main.
 * Returns: false when there is none; else its name in @name, or its number when it has none.
 */
bool calls_next_refused(char name[CALLS_NAME_BYTES]);
