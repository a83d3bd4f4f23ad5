/*
 * auth/passwd_file.c — a user's line in a password file: put in, or taken out. See auth/passwd.h.
 *
 * Thread: main of `smq`; of smqd, before its actors run. Two people who edit one file at the same
 * moment: the folder is locked meanwhile, so the later one adds to what the first has written.
 */
#include <errno.h>
#include <openssl/mem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/passwd.h"
#include "core/files.h"

/* Is this, of a file that was parsed, the line of @user? */
static bool is_line_of(struct span line, struct span user)
{
    line = text_trim(line);
    return line.bytes_count > user.bytes_count && line.data[user.bytes_count] == ':' &&
           memcmp(line.data, user.data, user.bytes_count) == 0;
}

/* The text of a good password file; an empty one when there is none. Gives *text. */
static bool read_good_file(const char *path, bool may_be_missing, char **text, size_t *bytes_count,
                           char *error)
{
    if (may_be_missing && access(path, F_OK) != 0 && errno == ENOENT) {
        *bytes_count = 0;
        *text = calloc(1, 1);
        must(*text);
        return true;
    }
    if (!text_file_read(path, text, bytes_count, error))
        return false;
    struct passwd_set *set = passwd_parse(span_of(*text, *bytes_count), path, error);
    passwd_unref(set);
    if (!set)
        free(*text);
    return set != NULL;
}

/* Copies @text into @out (room for both), with the line of @user replaced by @line (with its
 * newline; empty: left out). Returns whether the user was there; *out_bytes: what was copied. */
static bool copy_with(struct span text, struct span user, struct span line, char *out,
                      size_t *out_bytes)
{
    struct text_lines lines = text_lines_of(text);
    struct span old;
    bool was_there = false;
    size_t at = 0;

    while (text_lines_next_raw(&lines, &old)) {
        bool is_ours = is_line_of(old, user);
        struct span copied = is_ours ? line : old;

        was_there = was_there || is_ours;
        if (copied.bytes_count > 0)
            memcpy(out + at, copied.data, copied.bytes_count);
        at += copied.bytes_count;
        if (copied.bytes_count > 0 && out[at - 1] != '\n')
            out[at++] = '\n'; /* the last line had none; another may follow now */
    }
    *out_bytes = at;
    return was_there;
}

static bool set_line(const char *path, struct span user, struct span password, bool *is_new,
                     char *error)
{
    char line[PASSWD_LINE_BYTES + 1];
    char *text;
    size_t text_bytes, out_bytes;

    if (!passwd_user_is_good(user, error) || !passwd_password_is_good(password, error) ||
        !read_good_file(path, true, &text, &text_bytes, error))
        return false;
    if (!passwd_line_make(user, password, line)) {
        free(text);
        return auth_error(error, "not enough memory to hash a password");
    }
    strcat(line, "\n");

    size_t line_bytes = strlen(line);
    char *out = malloc(text_bytes + line_bytes + 1);
    must(out);
    *is_new =
        !copy_with(span_of(text, text_bytes), user, span_of(line, line_bytes), out, &out_bytes);
    if (*is_new) {
        memcpy(out + out_bytes, line, line_bytes);
        out_bytes += line_bytes;
    }
    bool good = text_file_replace(path, span_of(out, out_bytes), error);
    free(out);
    free(text);
    return good;
}

static bool delete_line(const char *path, struct span user, char *error)
{
    char *text;
    size_t text_bytes, out_bytes;

    if (!passwd_user_is_good(user, error) ||
        !read_good_file(path, false, &text, &text_bytes, error))
        return false;
    char *out = malloc(text_bytes + 1);
    must(out);
    bool good = copy_with(span_of(text, text_bytes), user, span_of("", 0), out, &out_bytes);
    if (!good)
        auth_error(error, "%s: there is no user \"%.*s\"", path, (int)user.bytes_count,
                   (const char *)user.data);
    else
        good = text_file_replace(path, span_of(out, out_bytes), error);
    free(out);
    free(text);
    return good;
}

/* -- with the folder locked -- */

static int lock_folder(const char *path, char *error)
{
    int lock_fd = files_lock_folder_of(path);

    if (lock_fd < 0)
        auth_error(error, "%.400s: cannot lock its folder: %s", path, strerror(errno));
    return lock_fd;
}

bool passwd_file_set(const char *path, struct span user, struct span password, bool *is_new,
                     char *error)
{
    int lock_fd = lock_folder(path, error);
    bool good = lock_fd >= 0 && set_line(path, user, password, is_new, error);

    if (lock_fd >= 0)
        close(lock_fd);
    return good;
}

bool passwd_file_delete(const char *path, struct span user, char *error)
{
    int lock_fd = lock_folder(path, error);
    bool good = lock_fd >= 0 && delete_line(path, user, error);

    if (lock_fd >= 0)
        close(lock_fd);
    return good;
}
