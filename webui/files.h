/*
 * webui/files.h — the operator's own pages: web.root.
 *
 * The kernel keeps us inside the folder (openat2 with RESOLVE_BENEATH): neither ".." nor a link
 * leads out of it. Only regular files are read, whole, and at most FILE_BYTES_MAX of them; reading
 * may wait for a disk, which is why nothing here runs in an I/O thread.
 *
 * Thread: the web actor's.
 */
#pragma once

#include "core/must.h"

#define FILE_BYTES_MAX  (16u << 20)
#define FILE_ETAG_BYTES 64u

struct file_facts {
    int64_t mtime_ns;
    uint64_t bytes_count;
    uint64_t inode;
};

enum file_result {
    FILE_FOUND,
    FILE_IS_FOLDER,
    FILE_NONE,      /* or not a regular file, or not ours to read, or outside */
    FILE_TOO_LARGE, /* beyond FILE_BYTES_MAX */
    FILE_FAILED,    /* the system refused; errno */
};

/* A descriptor of the folder; -1: errno. */
MUST_CHECK int files_open_root(const char *path);

/* Open the file at @path ("index.html", "a/b.png": no slash in front). FILE_FOUND gives *fd. */
MUST_CHECK enum file_result file_open(int root_fd, const char *path, int *fd,
                                      struct file_facts *facts);

/* All its bytes, into a buffer of facts->bytes_count. false: it has changed, or the disk fails. */
MUST_CHECK bool file_read(int fd, uint8_t *out, size_t bytes_count);

/* From when it was changed and how long it is; with its quotes. */
void file_etag(const struct file_facts *facts, char out[FILE_ETAG_BYTES]);

/* By the end of its name. */
const char *file_type(const char *path);
