/* core/must.c — the end of a broker that found itself wrong. Any thread. */
#include "core/must.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void must_fail(const char *file, int line, const char *condition)
{
    /* Straight to stderr: the log's lanes may be the very thing that is broken. */
    fprintf(stderr, "smqd bug: %s:%d: %s\n", file, line, condition);
    fflush(stderr);
    abort();
}
