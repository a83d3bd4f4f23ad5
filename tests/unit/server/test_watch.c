/*
 * tests/unit/server/test_watch.c — mirrors server/watch.c.
 *
 * Method: real files in a folder of our own; the time is what the test says it is.
 */
#include "server/watch.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static char folder[] = "/tmp/smqd-watch-XXXXXX";
static char certificate[64];
static char key[64];
static char other[64];
static struct watch watch;

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    cr_assert(file);
    fputs(text, file);
    fclose(file);
}

static void setup(void)
{
    char *paths[] = {certificate, key};
    int reason;

    strcpy(folder + sizeof(folder) - 7, "XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(certificate, sizeof(certificate), "%s/a.crt", folder);
    snprintf(key, sizeof(key), "%s/a.key", folder);
    snprintf(other, sizeof(other), "%s/a.new", folder);
    write_file(certificate, "one");
    watch_open(&watch, &reason);
    cr_assert_eq(reason, 0);
    watch_set(&watch, paths, 2, 0); /* the key is not there yet */
}

static void teardown(void)
{
    watch_close(&watch);
    unlink(certificate);
    unlink(key);
    unlink(other);
    rmdir(folder);
}

TestSuite(watch, .init = setup, .fini = teardown);

/* Take the events that are there, at @now_ns; were there any? */
static bool hear(int64_t now_ns)
{
    struct pollfd fd = {.fd = watch.inotify_fd, .events = POLLIN};

    if (poll(&fd, 1, 0) <= 0)
        return false;
    watch_on_events(&watch, now_ns);
    return true;
}

Test(watch, nothing_has_happened)
{
    cr_assert_not(hear(1));
    cr_assert_not(watch_is_due(&watch, 1));
    cr_assert_not(watch_is_due(&watch, 100 * SECOND));
}

Test(watch, a_written_file_is_due_after_a_quiet_second_and_once)
{
    write_file(certificate, "two");
    cr_assert(hear(5 * SECOND));
    cr_assert_not(watch_is_due(&watch, 5 * SECOND + WATCH_QUIET_NS - 1));
    cr_assert(watch_is_due(&watch, 5 * SECOND + WATCH_QUIET_NS));
    cr_assert_not(watch_is_due(&watch, 5 * SECOND + WATCH_QUIET_NS));
    cr_assert_not(watch_is_due(&watch, 500 * SECOND));
}

Test(watch, each_event_begins_the_quiet_anew)
{
    write_file(certificate, "two");
    cr_assert(hear(0));
    write_file(key, "two");
    cr_assert(hear(WATCH_QUIET_NS / 2));
    cr_assert_not(watch_is_due(&watch, WATCH_QUIET_NS));
    cr_assert(watch_is_due(&watch, WATCH_QUIET_NS / 2 + WATCH_QUIET_NS));
}

Test(watch, a_renamed_file_is_another_one)
{
    write_file(other, "one");
    cr_assert(hear(0));
    cr_assert_not(watch_is_due(&watch, WATCH_QUIET_NS), "not one of ours");
    cr_assert_eq(rename(other, certificate), 0);
    cr_assert(hear(2 * SECOND));
    cr_assert(watch_is_due(&watch, 2 * SECOND + WATCH_QUIET_NS));
}

Test(watch, a_file_may_come_and_go)
{
    write_file(key, "one");
    cr_assert(hear(0));
    cr_assert(watch_is_due(&watch, WATCH_QUIET_NS));
    unlink(key);
    cr_assert(hear(5 * SECOND));
    cr_assert(watch_is_due(&watch, 5 * SECOND + WATCH_QUIET_NS));
}

Test(watch, a_link_that_points_elsewhere_now_is_another_file)
{
    write_file(other, "elsewhere");
    cr_assert_eq(symlink(other, key), 0);
    cr_assert(hear(0));
    cr_assert(watch_is_due(&watch, WATCH_QUIET_NS));
    unlink(key);
    cr_assert_eq(symlink(certificate, key), 0);
    cr_assert(hear(5 * SECOND));
    cr_assert(watch_is_due(&watch, 5 * SECOND + WATCH_QUIET_NS));
}

Test(watch, without_inotify_it_looks_now_and_then)
{
    char *paths[] = {certificate};

    close(watch.inotify_fd);
    watch.inotify_fd = -1;
    watch_set(&watch, paths, 1, 0);
    write_file(certificate, "two");
    cr_assert_not(watch_is_due(&watch, WATCH_LOOK_NS - 1));
    cr_assert(watch_is_due(&watch, WATCH_LOOK_NS));
    cr_assert_not(watch_is_due(&watch, 2 * WATCH_LOOK_NS));
}

Test(watch, nothing_to_watch_is_never_due)
{
    watch_set(&watch, NULL, 0, 0);
    cr_assert_not(watch_is_due(&watch, INT64_MAX - 1));
}
