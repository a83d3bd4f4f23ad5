/*
 * tests/sim/journal.h — what happened lately, and the end of a run that went wrong.
 *
 * Every action leaves a line; the last JOURNAL_LINES are printed when the model and the broker
 * disagree, when must() fails in the broker, or when it crashes, together with the seed, the step
 * and the command that repeats the run. Thread: one; the state is the process's.
 */
#pragma once

#include "core/must.h"

#define JOURNAL_LINES 50u

/* A run begins. @verbose: print each line when it is noted. From now on abort() prints the journal,
 * and so does a step that does not end. */
void journal_begin(uint64_t seed, uint64_t step_count, bool verbose);

/* The step that the following lines belong to. */
void journal_step(uint64_t step);

/* Note what is about to be done. */
void journal_note(const char *format, ...) PRINTF(1, 2);

/* The broker did what it must not: say so, print the journal, exit 1. */
_Noreturn void journal_fail(const char *format, ...) PRINTF(1, 2);

/* journal_fail unless @condition holds; the rest says what the broker did wrong. */
#define expect(condition, ...)                                                                     \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            journal_fail(__VA_ARGS__);                                                             \
    } while (0)
