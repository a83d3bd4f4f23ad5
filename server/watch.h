/*
 * server/watch.h — have these files changed?
 *
 *      inotify on their folders --watch_on_events--> something happened --a quiet second--> look:
 *      is any file another one than before (device, inode, size, time of change)? --> watch_is_due
 *
 * Folders are watched, not files, because tools write a new file and rename it. What happened there
 * does not matter, only what the files are now; so links into other folders are followed as far as
 * a change of the link itself says so, and files that do not exist yet may be watched. Waiting for
 * quiet lets a certificate and its key be written one after the other.
 *
 * Without inotify (a limit of the system, a kernel without it), and in any case for network
 * folders, where it says nothing, the files are looked at every WATCH_LOOK_NS.
 *
 * Thread: control. Cost: one stat for each file and look.
 */
#pragma once

#include <stdint.h>

#include "core/must.h"

#define WATCH_QUIET_NS INT64_C(1000000000)
#define WATCH_LOOK_NS  INT64_C(30000000000)

struct watch_file;

struct watch {
    int inotify_fd; /* -1: only by looking */
    struct watch_file *files;
    uint32_t file_count;
    int64_t look_ns; /* when to look at the files next */
};

/* @reason (errno) says why it will only look, 0 when it need not. Never fails otherwise. */
void watch_open(struct watch *watch, int *reason);
void watch_close(struct watch *watch);

/* Watch these files from now on, as they are now. */
void watch_set(struct watch *watch, char *const *paths, uint32_t count, int64_t now_ns);

/* Something is readable at watch->inotify_fd. */
void watch_on_events(struct watch *watch, int64_t now_ns);

/* Has a file changed, and is it quiet since? Says so once for each change. */
MUST_CHECK bool watch_is_due(struct watch *watch, int64_t now_ns);
