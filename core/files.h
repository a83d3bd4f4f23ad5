/*
 * core/files.h — writing small files that others read meanwhile.
 *
 * Thread: any; blocks on the disk. Owns nothing.
 *
 * Root often does this for a service with a user of its own (smq ca, smq passwd), which must be
 * able to read the result. So what is replaced keeps its owner, and what is new gets its folder's.
 */
#pragma once

#include <sys/types.h>

#include "core/must.h"

/**
 * Replace @path by @bytes: a new file "@path.new" beside it, flushed, then renamed, and the folder
 * flushed; so that a reader, or who comes after a crash, sees the old one or the new one.
 *
 * mode:    of the new file, whatever the umask.
 * Returns: 0, or an errno; then what was there is as it was.
 */
MUST_CHECK int files_replace(const char *path, mode_t mode, struct span bytes);

/** Write @bytes behind what is in the file, which is made with @mode if need be, and flush it.
 * Returns 0, or an errno; then a part of them may be there. */
MUST_CHECK int files_append(const char *path, mode_t mode, struct span bytes);

/** Make the folder @path, if it is not there yet. Returns 0, or an errno. */
MUST_CHECK int files_make_folder(const char *path, mode_t mode);
