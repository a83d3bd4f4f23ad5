/*
 * tests/fuzz/fuzz_acl.c — an access list, and questions to it.
 *
 * The input is a list; its first line is a name as well. Beyond not crashing: a text is taken, or
 * refused with file and line; a verdict names a line of the text; the same text says the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/acl.h"
#include "tests/fuzz/exact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void ask(const struct acl *acl, const struct acl *again, const struct identity *who,
                struct span name, uint32_t line_count)
{
    for (uint32_t action = 0; action < ACL_ACTION_COUNT; action++) {
        struct acl_verdict one = acl_decide(acl, who, (enum acl_action)action, name);
        struct acl_verdict two = acl_decide(again, who, (enum acl_action)action, name);

        must(one.allowed == two.allowed && one.line == two.line);
        must(one.line <= line_count);
        must(one.line > 0 || !one.allowed);
    }
}

static void read_and_ask(struct span text)
{
    struct text_lines lines = text_lines_of(text);
    struct span name = {0}, line;
    char error[AUTH_ERROR_BYTES] = "";
    struct acl *acl = acl_parse(text, "acl", error);

    if (!acl) {
        must(strncmp(error, "acl:", 4) == 0);
        return;
    }
    struct acl *again = acl_parse(text, "acl", error);

    must(again && acl_is_same(acl, again));
    if (text_lines_next_raw(&lines, &line))
        name = span_of(line.data, min_size(line.bytes_count, 255));
    while (text_lines_next_raw(&lines, &line))
        ;
    for (uint32_t login = 0; login < LOGIN_COUNT; login++) {
        struct identity who = {.uid = name, .login = (enum login)login, .name = name};

        if (login == LOGIN_ANONYMOUS)
            who.name = span_of("", 0);
        ask(acl, again, &who, name, lines.line);
        ask(acl, again, &who, span_of("a/b", 3), lines.line);
    }
    acl_unref(acl);
    acl_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct exact exact;

    read_and_ask(span_of(exact_copy(&exact, data, bytes), bytes));
    exact_free(&exact);
    return 0;
}
