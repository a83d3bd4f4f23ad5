/*
 * tests/fuzz/fuzz_passwd.c — a password file, and a name looked for in it.
 *
 * Beyond not crashing: a text is taken, or refused with a reason that names it; what was taken once
 * is taken again, and the first name in it is found.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/passwd.h"
#include "tests/fuzz/exact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* The name on the first line that has one: it must be found, and be the same as itself. */
static void look_for_first(const struct passwd_set *set, struct span text)
{
    struct text_lines lines = text_lines_of(text);
    struct span line;

    if (!text_lines_next(&lines, &line)) {
        must(passwd_count(set) == 0);
        return;
    }
    const uint8_t *colon = memchr(line.data, ':', line.bytes_count);

    must(colon && passwd_count(set) > 0);
    must(passwd_is_same(set, set, span_of(line.data, (size_t)(colon - line.data))));
    must(!passwd_is_same(set, set, span_of(line.data, line.bytes_count)));
}

static void read_twice(struct span text)
{
    char error[AUTH_ERROR_BYTES] = "";
    struct passwd_set *set = passwd_parse(text, "users", error);

    if (!set) {
        must(strncmp(error, "users:", 6) == 0);
        return;
    }
    must(error[0] == '\0');
    look_for_first(set, text);

    struct passwd_set *again = passwd_parse(text, "users", error);

    must(again && passwd_count(again) == passwd_count(set));
    passwd_unref(again);
    passwd_unref(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct exact exact;

    read_twice(span_of(exact_copy(&exact, data, bytes), bytes));
    exact_free(&exact);
    return 0;
}
