/* webui/files.c — see webui/files.h. Thread: the web actor's. */
#include "webui/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *suffix;
    const char *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".htm", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".txt", "text/plain; charset=utf-8"},
    {".md", "text/plain; charset=utf-8"},
    {".xml", "application/xml"},
    {".csv", "text/csv; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".webp", "image/webp"},
    {".avif", "image/avif"},
    {".ico", "image/x-icon"},
    {".woff", "font/woff"},
    {".woff2", "font/woff2"},
    {".ttf", "font/ttf"},
    {".mp3", "audio/mpeg"},
    {".mp4", "video/mp4"},
    {".webm", "video/webm"},
    {".pdf", "application/pdf"},
    {".wasm", "application/wasm"},
    {".webmanifest", "application/manifest+json"},
};

const char *file_type(const char *path)
{
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot && i < COUNT_OF(types); i++)
        if (strcasecmp(dot, types[i].suffix) == 0)
            return types[i].type;
    return "application/octet-stream";
}

int files_open_root(const char *path)
{
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static enum file_result result_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EACCES:
    case EPERM:
    case ELOOP:
    case EXDEV: /* it leads out of the folder */
    case ENAMETOOLONG:
    case ENXIO: /* a socket or a device without a driver */
    case ENODEV:
        return FILE_NONE;
    default:
        return FILE_FAILED;
    }
}

enum file_result file_open(int root_fd, const char *path, int *fd, struct file_facts *facts)
{
    /* Not blocking: somebody may have put a pipe there. */
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    struct stat about;

    if (path[0] == '\0')
        return FILE_IS_FOLDER;
    int opened = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

    if (opened < 0)
        return result_of(errno);
    enum file_result result = FILE_FOUND;

    if (fstat(opened, &about) != 0)
        result = FILE_FAILED;
    else if (S_ISDIR(about.st_mode))
        result = FILE_IS_FOLDER;
    else if (!S_ISREG(about.st_mode))
        result = FILE_NONE;
    else if (about.st_size > (off_t)FILE_BYTES_MAX)
        result = FILE_TOO_LARGE;
    if (result != FILE_FOUND) {
        close(opened);
        return result;
    }
    *facts = (struct file_facts){.mtime_ns = (int64_t)about.st_mtim.tv_sec * 1000000000 +
                                             about.st_mtim.tv_nsec,
                                 .bytes_count = (uint64_t)about.st_size,
                                 .inode = about.st_ino};
    *fd = opened;
    return FILE_FOUND;
}

bool file_read(int fd, uint8_t *out, size_t bytes_count)
{
    while (bytes_count > 0) {
        ssize_t got = read(fd, out, bytes_count);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        out += got;
        bytes_count -= (size_t)got;
    }
    return true;
}

void file_etag(const struct file_facts *facts, char out[FILE_ETAG_BYTES])
{
    snprintf(out, FILE_ETAG_BYTES, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
             (uint64_t)facts->mtime_ns, facts->bytes_count, facts->inode);
}
