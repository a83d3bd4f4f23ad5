/* cli/exit.c — how `smq` complains; see cli/exit.h. Thread: main. */
#include "cli/exit.h"

#include <stdarg.h>
#include <stdio.h>

enum exit_code complain(enum exit_code code, const char *format, ...)
{
    va_list arguments;

    fflush(stdout); /* what was printed before comes before */
    fputs("smq: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return code;
}
