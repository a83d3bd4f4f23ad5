/* core/files.c — see core/files.h. Any thread. */
#include "core/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_all(int fd, struct span bytes)
{
    while (bytes.bytes_count > 0) {
        ssize_t written = write(fd, bytes.data, bytes.bytes_count);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes = span_skip(bytes, (size_t)written);
    }
    return true;
}

static int open_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t bytes_count = slash ? (size_t)(slash - path) + 1 : 0;

    if (bytes_count >= sizeof(folder)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(folder, sizeof(folder), "%.*s", (int)bytes_count, path);
    return open(bytes_count > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Only root may give files away; for everybody else a new file is theirs, as with any editor. */
static bool give_to(int fd, const struct stat *owned)
{
    return fchown(fd, owned->st_uid, owned->st_gid) == 0 || errno == EPERM;
}

/* Whose the file at @path is or, before it is there, should be: its folder's owner. */
static bool find_owner(const char *path, int folder_fd, struct stat *owned)
{
    return stat(path, owned) == 0 || (errno == ENOENT && fstat(folder_fd, owned) == 0);
}

static bool fill(int fd, const struct stat *owned, mode_t mode, struct span bytes)
{
    return write_all(fd, bytes) && give_to(fd, owned) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
}

/* false: too long. */
static bool new_path_of(const char *path, char new_path[PATH_MAX])
{
    int length = snprintf(new_path, PATH_MAX, "%s" FILES_NEW, path);

    return length >= 0 && length < PATH_MAX;
}

int files_lock_folder_of(const char *path)
{
    int fd = open_folder_of(path);

    if (fd < 0)
        return -1;
    while (flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        close(fd);
        return -1;
    }
    return fd;
}

int files_prepare(const char *path, mode_t mode, struct span bytes)
{
    char new_path[PATH_MAX];
    struct stat owned;
    int error = 0;

    if (!new_path_of(path, new_path))
        return ENAMETOOLONG;
    int folder_fd = open_folder_of(path);
    if (folder_fd < 0)
        return errno;
    (void)unlink(new_path); /* of a run that was cut short */
    int fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || !find_owner(path, folder_fd, &owned) || !fill(fd, &owned, mode, bytes))
        error = errno;
    if (fd >= 0 && close(fd) != 0 && error == 0)
        error = errno;
    if (fd >= 0 && error != 0)
        (void)unlink(new_path);
    close(folder_fd);
    return error;
}

int files_commit(const char *path)
{
    char new_path[PATH_MAX];
    int error = 0;

    if (!new_path_of(path, new_path))
        return ENAMETOOLONG;
    int folder_fd = open_folder_of(path);
    if (folder_fd < 0)
        return errno;
    if (rename(new_path, path) != 0 || fsync(folder_fd) != 0)
        error = errno;
    if (error != 0 && error != ENOENT)
        (void)unlink(new_path);
    close(folder_fd);
    return error;
}

int files_replace(const char *path, mode_t mode, struct span bytes)
{
    int error = files_prepare(path, mode, bytes);

    return error != 0 ? error : files_commit(path);
}

int files_append(const char *path, mode_t mode, struct span bytes)
{
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
    struct stat owned;
    int folder_fd = open_folder_of(path);

    if (folder_fd < 0)
        return errno;
    int fd = open(path, flags | O_CREAT | O_EXCL, mode);
    bool is_new = fd >= 0; /* only then it is given away: else it might be a link to another's */
    if (!is_new && errno == EEXIST)
        fd = open(path, flags);
    bool good = fd >= 0 && (!is_new || (fstat(folder_fd, &owned) == 0 && give_to(fd, &owned))) &&
                write_all(fd, bytes) && fsync(fd) == 0;
    int error = good ? 0 : errno;

    if (fd >= 0)
        close(fd);
    close(folder_fd);
    return error;
}

int files_make_folder(const char *path, mode_t mode)
{
    struct stat owned;

    if (mkdir(path, mode) != 0)
        return errno == EEXIST ? 0 : errno;
    int parent_fd = open_folder_of(path);
    int fd =
        open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW); /* no link put there now */
    int error = parent_fd >= 0 && fd >= 0 && fstat(parent_fd, &owned) == 0 && give_to(fd, &owned)
                    ? 0
                    : errno;

    if (parent_fd >= 0)
        close(parent_fd);
    if (fd >= 0)
        close(fd);
    return error;
}
