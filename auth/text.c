/* auth/text.c — the small text files of accounts and rules. See auth/text.h. Any thread. */
#include "auth/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/files.h"

#define NEW_FILE_MODE 0600u

static void print_error(char *error, size_t at, const char *format, va_list arguments)
{
    if (at < AUTH_ERROR_BYTES)
        vsnprintf(error + at, AUTH_ERROR_BYTES - at, format, arguments);
}

bool auth_error(char *error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_error(error, 0, format, arguments);
    va_end(arguments);
    return false;
}

bool auth_error_at(char *error, const char *path, uint32_t line, const char *format, ...)
{
    va_list arguments;
    int at = snprintf(error, AUTH_ERROR_BYTES, "%.255s:%u: ", path, line);

    va_start(arguments, format);
    print_error(error, (size_t)at, format, arguments);
    va_end(arguments);
    return false;
}

/* -- files -- */

static bool read_all(int fd, char *text, size_t room, size_t *bytes_count)
{
    *bytes_count = 0;
    while (*bytes_count < room) {
        ssize_t got = read(fd, text + *bytes_count, room - *bytes_count);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        *bytes_count += (size_t)got;
    }
    return true;
}

bool text_file_read(const char *path, char **text, size_t *bytes_count, char *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return auth_error(error, "%s: %s", path, strerror(errno));

    char *bytes = malloc(AUTH_FILE_BYTES_MAX + 1);
    bool good = false;

    must(bytes);
    if (!read_all(fd, bytes, AUTH_FILE_BYTES_MAX + 1, bytes_count))
        auth_error(error, "%s: %s", path, strerror(errno));
    else if (*bytes_count > AUTH_FILE_BYTES_MAX)
        auth_error(error, "%s: larger than %u kB, which no such file is", path,
                   AUTH_FILE_BYTES_MAX >> 10);
    else if (memchr(bytes, '\0', *bytes_count))
        auth_error(error, "%s: has a zero byte in it, so it is no text file", path);
    else
        good = true;
    close(fd);
    if (!good) {
        free(bytes);
        return false;
    }
    *text = realloc(bytes, *bytes_count + 1);
    must(*text);
    (*text)[*bytes_count] = '\0';
    return true;
}

bool text_file_replace(const char *path, struct span text, char *error)
{
    struct stat old;
    mode_t mode = stat(path, &old) == 0 ? old.st_mode & 0777 : NEW_FILE_MODE;
    int code = files_replace(path, mode, text);

    return code == 0 ||
           auth_error(error, "%.400s: cannot write this file: %s", path, strerror(code));
}

/* -- lines -- */

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

struct span text_trim(struct span text)
{
    while (text.bytes_count > 0 && is_blank(text.data[0]))
        text = span_skip(text, 1);
    while (text.bytes_count > 0 && is_blank(text.data[text.bytes_count - 1]))
        text.bytes_count--;
    return text;
}

bool text_lines_next_raw(struct text_lines *lines, struct span *line)
{
    if (lines->rest.bytes_count == 0)
        return false;
    const uint8_t *newline = memchr(lines->rest.data, '\n', lines->rest.bytes_count);
    size_t bytes = newline ? (size_t)(newline - lines->rest.data) + 1 : lines->rest.bytes_count;

    *line = span_of(lines->rest.data, bytes);
    lines->rest = span_skip(lines->rest, bytes);
    lines->line++;
    return true;
}

bool text_lines_next(struct text_lines *lines, struct span *line)
{
    while (text_lines_next_raw(lines, line)) {
        *line = text_trim(*line);
        if (line->bytes_count > 0 && line->data[0] != '#')
            return true;
    }
    return false;
}
