/* server/watch.c — see server/watch.h. Thread: control. */
#include "server/watch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_EVENTS                                                                              \
    (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |            \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* What a file was when we looked. All zero: it was not there. */
struct look {
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec changed;
};

struct watch_file {
    char *path;
    struct look look;
};

void watch_open(struct watch *watch, int *reason)
{
    *watch = (struct watch){.inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
    *reason = watch->inotify_fd < 0 ? errno : 0;
    watch->look_ns = INT64_MAX;
}

static void forget_files(struct watch *watch)
{
    for (uint32_t i = 0; i < watch->file_count; i++)
        free(watch->files[i].path);
    free(watch->files);
    watch->files = NULL;
    watch->file_count = 0;
}

void watch_close(struct watch *watch)
{
    forget_files(watch);
    if (watch->inotify_fd >= 0)
        close(watch->inotify_fd);
    watch->inotify_fd = -1;
}

static struct look look_at(const char *path)
{
    struct stat facts;

    if (stat(path, &facts) != 0)
        return (struct look){0};
    return (struct look){facts.st_dev, facts.st_ino, facts.st_size, facts.st_ctim};
}

static bool looks_equal(const struct look *left, const struct look *right)
{
    return left->device == right->device && left->inode == right->inode &&
           left->bytes == right->bytes && left->changed.tv_sec == right->changed.tv_sec &&
           left->changed.tv_nsec == right->changed.tv_nsec;
}

/* Watching a folder twice changes nothing, and one that cannot be watched is looked at. */
static void watch_folder(const struct watch *watch, const char *path)
{
    char copy[PATH_MAX];

    if (watch->inotify_fd < 0 || strlen(path) >= sizeof(copy))
        return;
    memcpy(copy, path, strlen(path) + 1);
    (void)inotify_add_watch(watch->inotify_fd, dirname(copy), FOLDER_EVENTS);
}

void watch_set(struct watch *watch, char *const *paths, uint32_t count, int64_t now_ns)
{
    forget_files(watch);
    watch->files = calloc(count + 1, sizeof(*watch->files));
    must(watch->files);
    for (uint32_t i = 0; i < count; i++) {
        watch_folder(watch, paths[i]); /* first: what changes between is then seen twice */
        watch->files[i] = (struct watch_file){.path = strdup(paths[i]), .look = look_at(paths[i])};
        must(watch->files[i].path);
    }
    watch->file_count = count;
    watch->look_ns = count > 0 ? now_ns + WATCH_LOOK_NS : INT64_MAX;
}

void watch_on_events(struct watch *watch, int64_t now_ns)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    while (read(watch->inotify_fd, events, sizeof(events)) > 0)
        watch->look_ns = now_ns + WATCH_QUIET_NS;
}

bool watch_is_due(struct watch *watch, int64_t now_ns)
{
    bool changed = false;

    if (now_ns < watch->look_ns)
        return false;
    watch->look_ns = now_ns + WATCH_LOOK_NS;
    for (uint32_t i = 0; i < watch->file_count; i++) {
        struct watch_file *file = &watch->files[i];
        struct look now = look_at(file->path);

        changed |= !looks_equal(&file->look, &now);
        file->look = now;
    }
    return changed;
}
