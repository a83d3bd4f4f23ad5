/*
 * tests/unit/tls/check.h — tests without Criterion.
 *
 * Criterion brings OpenSSL's libcrypto into the program, whose names are those of BoringSSL. So
 * the tests of tls/ are plain programs: a list of functions named as sentences, run in order, one
 * process. CHECK counts and goes on; a failed program exits 1. An argument runs the tests whose
 * names contain it.
 */
#pragma once

#include <stdio.h>
#include <string.h>

static int check_failures;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            check_failures++;                                                                      \
        }                                                                                          \
    } while (0)

#define CHECK_EQUAL(actual, expected)                                                              \
    do {                                                                                           \
        long long actual_ = (long long)(actual);                                                   \
        long long expected_ = (long long)(expected);                                               \
        if (actual_ != expected_) {                                                                \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #actual, actual_, \
                    expected_);                                                                    \
            check_failures++;                                                                      \
        }                                                                                          \
    } while (0)

#define CHECK_TEXT(actual, expected)                                                               \
    do {                                                                                           \
        const char *actual_ = (actual);                                                            \
        const char *expected_ = (expected);                                                        \
        if (strcmp(actual_, expected_) != 0) {                                                     \
            fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #actual,      \
                    actual_, expected_);                                                           \
            check_failures++;                                                                      \
        }                                                                                          \
    } while (0)

struct check_test {
    const char *name;
    void (*run)(void);
};

#define CHECK_TEST(function)                                                                       \
    {                                                                                              \
#function, function                                                                        \
    }

static inline int check_main(const struct check_test *tests, size_t test_count, int argc,
                             char **argv)
{
    size_t run_count = 0;

    for (size_t i = 0; i < test_count; i++) {
        int before = check_failures;

        if (argc > 1 && !strstr(tests[i].name, argv[1]))
            continue;
        tests[i].run();
        run_count++;
        printf("%s %s\n", check_failures == before ? "ok  " : "FAIL", tests[i].name);
    }
    if (run_count == 0) {
        fprintf(stderr, "no test has '%s' in its name\n", argc > 1 ? argv[1] : "");
        return 1;
    }
    return check_failures > 0 ? 1 : 0;
}
