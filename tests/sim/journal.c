/* tests/sim/journal.c — see tests/sim/journal.h. Thread: one. */
#include "tests/sim/journal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_BYTES 160u
#define STUCK_S    60u /* a step takes microseconds: one that takes this long does not end */

static struct {
    uint64_t seed;
    uint64_t step_count;
    uint64_t step;
    uint64_t watched_step; /* the one at the last look */
    bool verbose;
    uint64_t line_count; /* ever noted; the line is its remainder */
    uint64_t line_steps[JOURNAL_LINES];
    char lines[JOURNAL_LINES][LINE_BYTES];
} journal;

static void print_journal(void)
{
    uint64_t first = journal.line_count > JOURNAL_LINES ? journal.line_count - JOURNAL_LINES : 0;

    fprintf(stderr, "the last %" PRIu64 " actions:\n", journal.line_count - first);
    for (uint64_t i = first; i < journal.line_count; i++)
        fprintf(stderr, "  %8" PRIu64 "  %s\n", journal.line_steps[i % JOURNAL_LINES],
                journal.lines[i % JOURNAL_LINES]);
    fprintf(stderr,
            "failed at step %" PRIu64 "; again: sim --seed %" PRIu64 " --steps %" PRIu64 "\n",
            journal.step, journal.seed, journal.step_count);
    fflush(stderr);
}

/* must() said what and where, then called abort(). One thread, and the process ends here: that
 * stdio is not async-signal-safe cannot hurt any more. */
static void on_fatal_signal(int number)
{
    fprintf(stderr, "sim: the broker ended itself (signal %d)\n", number);
    print_journal();
    _exit(1);
}

static void on_alarm(int number)
{
    (void)number;
    if (journal.watched_step != journal.step) {
        journal.watched_step = journal.step;
        (void)alarm(STUCK_S);
        return;
    }
    fprintf(stderr, "sim: the broker does not come out of a step\n");
    print_journal();
    _exit(1);
}

void journal_begin(uint64_t seed, uint64_t step_count, bool verbose)
{
    journal.seed = seed;
    journal.step_count = step_count;
    journal.step = 0;
    journal.verbose = verbose;
    journal.watched_step = UINT64_MAX;
    journal.line_count = 0;
    (void)signal(SIGALRM, on_alarm);
    (void)alarm(STUCK_S);
    (void)signal(SIGABRT, on_fatal_signal);
#ifndef __SANITIZE_ADDRESS__ /* whose own report says more */
    (void)signal(SIGSEGV, on_fatal_signal);
    (void)signal(SIGBUS, on_fatal_signal);
    (void)signal(SIGFPE, on_fatal_signal);
#endif
}

void journal_step(uint64_t step)
{
    journal.step = step;
}

void journal_note(const char *format, ...)
{
    char *line = journal.lines[journal.line_count % JOURNAL_LINES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, LINE_BYTES, format, arguments);
    va_end(arguments);
    journal.line_steps[journal.line_count++ % JOURNAL_LINES] = journal.step;
    if (journal.verbose)
        printf("%8" PRIu64 "  %s\n", journal.step, line);
}

_Noreturn void journal_fail(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "sim: broker and model disagree: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    print_journal();
    _exit(1); /* nothing is freed: a leak report would only hide the reason */
}
