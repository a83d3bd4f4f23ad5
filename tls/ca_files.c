/* tls/ca_files.c — the CA's plain files and their index. See tls/ca_files.h. Any one thread. */
#include "tls/ca_files.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/files.h"
#include "tls/ca.h"

bool ca_error(char *error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, TLS_CA_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

bool ca_path(char path[PATH_MAX], const char *folder, const char *a, const char *b, char *error)
{
    int bytes = b ? snprintf(path, PATH_MAX, "%s/%s/%s", folder, a, b)
                  : snprintf(path, PATH_MAX, "%s/%s", folder, a);

    /* Room for the ".new" of files_replace() as well. */
    if (bytes < 0 || bytes >= PATH_MAX - 8)
        return ca_error(error, "%.200s...: this path is too long", folder);
    return true;
}

bool ca_make_folder(const char *path, char *error)
{
    int code = files_make_folder(path, CA_MODE_FOLDER);

    return code == 0 || ca_error(error, "%s: cannot make this folder: %s", path, strerror(code));
}

/* -- writing -- */

bool ca_prepare(const char *path, unsigned mode, BIO *content, char *error)
{
    const uint8_t *bytes;
    size_t bytes_count;

    must(BIO_mem_contents(content, &bytes, &bytes_count) == 1);
    int code = files_prepare(path, mode, span_of(bytes, bytes_count));

    return code == 0 || ca_error(error, "%s: cannot write this file: %s", path, strerror(code));
}

bool ca_commit(const char *path, char *error)
{
    int code = files_commit(path);

    return code == 0 || ca_error(error, "%s: cannot write this file: %s", path, strerror(code));
}

bool ca_write(const char *path, unsigned mode, BIO *content, char *error)
{
    return ca_prepare(path, mode, content, error) && ca_commit(path, error);
}

bool ca_prepare_certificate(const char *path, X509 *certificate, char *error)
{
    BIO *content = BIO_new(BIO_s_mem());

    must(content && PEM_write_bio_X509(content, certificate) == 1);
    bool good = ca_prepare(path, CA_MODE_PUBLIC, content, error);
    BIO_free(content);
    return good;
}

bool ca_prepare_key(const char *path, EVP_PKEY *key, char *error)
{
    BIO *content = BIO_new(BIO_s_mem());

    must(content && PEM_write_bio_PrivateKey(content, key, NULL, NULL, 0, NULL, NULL) == 1);
    bool good = ca_prepare(path, CA_MODE_SECRET, content, error);
    BIO_free(content);
    return good;
}

void ca_print_array(BIO *out, const uint8_t *bytes, size_t bytes_count)
{
    for (size_t i = 0; i < bytes_count; i++)
        BIO_printf(out, "%s0x%02x,%s", i % 12 == 0 ? "    " : " ", bytes[i],
                   i % 12 == 11 || i + 1 == bytes_count ? "\n" : "");
}

/* -- reading -- */

static BIO *open_to_read(const char *path, char *error)
{
    BIO *file = BIO_new_file(path, "r");

    if (!file)
        ca_error(error, "%s: cannot read this file: %s", path, strerror(errno));
    ERR_clear_error();
    return file;
}

X509 *ca_read_certificate(const char *path, char *error)
{
    BIO *file = open_to_read(path, error);
    X509 *certificate = file ? PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;

    if (file && !certificate)
        ca_error(error, "%s: no certificate in this file", path);
    BIO_free(file);
    ERR_clear_error();
    return certificate;
}

EVP_PKEY *ca_read_key(const char *path, char *error)
{
    BIO *file = open_to_read(path, error);
    EVP_PKEY *key = file ? PEM_read_bio_PrivateKey(file, NULL, NULL, (void *)(uintptr_t) "") : NULL;

    if (file && !key)
        ca_error(error, "%s: no private key in this file", path);
    BIO_free(file);
    ERR_clear_error();
    return key;
}

/* -- the index -- */

void ca_time_print(int64_t time_s, char text[CA_TIME_BYTES])
{
    time_t time = (time_t)time_s;
    struct tm parts;

    gmtime_r(&time, &parts);
    strftime(text, CA_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

int64_t ca_time_read(const char *text)
{
    struct tm parts = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);

    return end && *end == 0 ? (int64_t)timegm(&parts) : -1;
}

/* Cut the next field off *line into @out. */
static bool take_field(char **line, char *out, size_t out_bytes)
{
    char *field = strsep(line, "\t");

    if (!field || strlen(field) >= out_bytes)
        return false;
    strcpy(out, field);
    return true;
}

static bool is_serial(const char *text)
{
    return strlen(text) == CA_SERIAL_CHARS && strspn(text, "0123456789abcdef") == CA_SERIAL_CHARS;
}

static bool line_read(char *text, struct ca_line *line)
{
    char status[2];

    if (!take_field(&text, status, sizeof(status)) ||
        !take_field(&text, line->serial, sizeof(line->serial)) ||
        !take_field(&text, line->kind, sizeof(line->kind)) ||
        !take_field(&text, line->issued, sizeof(line->issued)) ||
        !take_field(&text, line->expires, sizeof(line->expires)) ||
        !take_field(&text, line->revoked_at, sizeof(line->revoked_at)) ||
        !take_field(&text, line->name, sizeof(line->name)) || text)
        return false;
    line->revoked = status[0] == 'R';
    return (status[0] == 'V' || status[0] == 'R') && is_serial(line->serial) &&
           ca_time_read(line->issued) >= 0 && ca_time_read(line->expires) >= 0 &&
           line->revoked == (ca_time_read(line->revoked_at) >= 0);
}

static void line_print(BIO *out, const struct ca_line *line)
{
    BIO_printf(out, "%c\t%s\t%s\t%s\t%s\t%s\t%s\n", line->revoked ? 'R' : 'V', line->serial,
               line->kind, line->issued, line->expires, line->revoked_at, line->name);
}

static void index_push(struct ca_index *index, const struct ca_line *line)
{
    /* Room doubles: at 0, 1, 2, 4, 8 ... lines. */
    if ((index->line_count & (index->line_count - 1)) == 0) {
        size_t room = index->line_count == 0 ? 1 : 2 * index->line_count;
        index->lines = realloc(index->lines, room * sizeof(*index->lines));
        must(index->lines);
    }
    index->lines[index->line_count++] = *line;
}

bool ca_index_load(struct ca_index *index, const char *path, char *error)
{
    char *text = NULL;
    size_t room = 0;
    bool good = true;

    memset(index, 0, sizeof(*index));
    snprintf(index->path, sizeof(index->path), "%s", path);
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT
                   ? true
                   : ca_error(error, "%s: cannot read the index: %s", path, strerror(errno));
    for (ssize_t bytes; good && (bytes = getline(&text, &room, file)) > 0;) {
        struct ca_line line;

        index->is_torn = text[bytes - 1] != '\n';
        if (!index->is_torn)
            text[bytes - 1] = 0;
        good = line_read(text, &line);
        if (good)
            index_push(index, &line);
        else if (index->is_torn)
            good = true; /* the machine went down: of no certificate, for the line comes first */
    }
    if (!good)
        ca_error(error, "%s: line %zu of the index is damaged", path, index->line_count + 1);
    free(text);
    fclose(file);
    if (!good)
        ca_index_free(index);
    return good;
}

void ca_index_free(struct ca_index *index)
{
    free(index->lines);
    index->lines = NULL;
    index->line_count = 0;
}

bool ca_index_add(struct ca_index *index, const struct ca_line *line, char *error)
{
    const uint8_t *bytes;
    size_t bytes_count;
    BIO *text = BIO_new(BIO_s_mem());

    must(text);
    line_print(text, line);
    must(BIO_mem_contents(text, &bytes, &bytes_count) == 1);
    index_push(index, line);
    bool good;
    if (index->is_torn) { /* nothing can stand behind half a line */
        good = ca_index_save(index, error);
    } else {
        int code = files_append(index->path, CA_MODE_PUBLIC, span_of(bytes, bytes_count));

        good = code == 0 ||
               ca_error(error, "%s: cannot write the index: %s", index->path, strerror(code));
    }
    BIO_free(text);
    index->is_torn = !good;
    if (!good)
        index->line_count--;
    return good;
}

bool ca_index_save(const struct ca_index *index, char *error)
{
    BIO *text = BIO_new(BIO_s_mem());

    must(text);
    for (size_t i = 0; i < index->line_count; i++)
        line_print(text, &index->lines[i]);
    bool good = ca_write(index->path, CA_MODE_PUBLIC, text, error);
    BIO_free(text);
    return good;
}
