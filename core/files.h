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
 *
 * Two who replace the same file at once would share the new one: see files_lock_folder_of().
 */
MUST_CHECK int files_replace(const char *path, mode_t mode, struct span bytes);

/* The two halves of it, for who must do something else between them: "@path.new", whole and
 * flushed; then the rename. ENOENT of the second: nothing was prepared. */
#define FILES_NEW ".new"
MUST_CHECK int files_prepare(const char *path, mode_t mode, struct span bytes);
MUST_CHECK int files_commit(const char *path);

/** Wait until nobody else has the lock of @path's folder, and take it. Gives a descriptor, whose
 * close ends it; -1: see errno. */
MUST_CHECK int files_lock_folder_of(const char *path);

/** Write @bytes behind what is in the file, which is made with @mode if need be, and flush it.
 * Returns 0, or an errno; then a part of them may be there. */
MUST_CHECK int files_append(const char *path, mode_t mode, struct span bytes);

/** Make the folder @path, if it is not there yet. Returns 0, or an errno. */
MUST_CHECK int files_make_folder(const char *path, mode_t mode);
