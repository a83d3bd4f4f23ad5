/*
 * server/sandbox.h — what of the file system a process may still touch (landlock).
 *
 * Landlock sits behind the kernel's own permission checks, so it also holds for what io_uring
 * opens, which a system-call filter never sees. From ABI 4 on it takes away bind() and connect()
 * over TCP as well: our sockets are bound by then, and we call nobody.
 *
 * Thread: main, before any other exists: only threads made afterwards inherit it.
 */
#pragma once

#include <stdint.h>

#include "core/must.h"

struct sandbox {
    int fd;
    int abi;          /* 0: this kernel has no landlock */
    uint64_t handled; /* LANDLOCK_ACCESS_FS_*: what is forbidden but where it is allowed */
    uint32_t allowed_count;
};

/* @network: leave TCP alone. Returns: false when the kernel has no landlock, or does not let us;
 * errno says which. */
MUST_CHECK bool sandbox_open(struct sandbox *sandbox, bool network);

/* Everything below the folder (or the file) @path may be read, and with @may_write changed.
 * Returns: false with errno set; ENOENT for a path that is not there. */
MUST_CHECK bool sandbox_allow(struct sandbox *sandbox, const char *path, bool may_write);

/* Read the folder of the file @path, and the one it really lies in when it is a link: files are
 * replaced by renaming others to their name. A folder that is not there is left out. */
void sandbox_allow_folder_of(struct sandbox *sandbox, const char *path);

/* From now on the rest is out of reach, for good. Returns: false with errno set. */
MUST_CHECK bool sandbox_enter(struct sandbox *sandbox);
