/* tests/unit/server/test_program_pages.c — mirrors server/program_pages.c. */
#include "server/program_pages.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Resident pages of files, bytes. */
static size_t file_bytes(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    unsigned long kilobytes = 0;
    char line[128];

    cr_assert(status);
    while (fgets(line, sizeof(line), status))
        if (sscanf(line, "RssFile: %lu kB", &kilobytes) == 1)
            break;
    fclose(status);
    return kilobytes * 1024;
}

Test(program_pages, most_go_and_come_back_when_they_are_used)
{
    size_t before_bytes = file_bytes();

    program_pages_forget();
    cr_assert_lt(file_bytes(), before_bytes / 2);
    cr_assert_eq(strtol("42", NULL, 10), 42);
}

static const char *constant = "still the same"; /* the pointer was relocated when we started */

Test(program_pages, what_was_written_stays)
{
    static int counted = 1;

    counted++;
    program_pages_forget();
    cr_assert_eq(counted, 2);
    cr_assert_str_eq(constant, "still the same");
}
