/*
 * tls/ca_files.h — the CA's plain files: written whole or not at all, and the index.
 *
 * Inside tls/ca.c's family only. Errors go to @error (TLS_CA_ERROR_BYTES), with path and reason.
 */
#pragma once

#include <limits.h>
#include <openssl/bio.h>

#include "core/must.h"
#include "tls/ca_cert.h"

#define CA_MODE_SECRET 0600u
#define CA_MODE_PUBLIC 0644u
#define CA_MODE_FOLDER 0755u

/* Fill @error and return false, so that a failing step is one line. */
PRINTF(2, 3) bool ca_error(char *error, const char *format, ...);

/* folder/a or folder/a/b; false: too long. @b may be NULL. */
MUST_CHECK bool ca_path(char path[PATH_MAX], const char *folder, const char *a, const char *b,
                        char *error);

/* Create a folder unless it is there; its parent exists. */
MUST_CHECK bool ca_make_folder(const char *path, char *error);

/* Replace @path by what stands in the memory BIO @content: a new file, flushed, then renamed. */
MUST_CHECK bool ca_write(const char *path, unsigned mode, BIO *content, char *error);

/* Its two halves; between them "@path.new" is there, whole. */
MUST_CHECK bool ca_prepare(const char *path, unsigned mode, BIO *content, char *error);
MUST_CHECK bool ca_commit(const char *path, char *error);

MUST_CHECK bool ca_prepare_certificate(const char *path, X509 *certificate, char *error);
MUST_CHECK bool ca_prepare_key(const char *path, EVP_PKEY *key, char *error);

/* NULL: not there, or damaged. Give what they read. */
MUST_CHECK X509 *ca_read_certificate(const char *path, char *error);
MUST_CHECK EVP_PKEY *ca_read_key(const char *path, char *error);

/* Bytes as the lines of a C array: "    0x30, 0x82, ...". */
void ca_print_array(BIO *out, const uint8_t *bytes, size_t bytes_count);

/* -- the index -- */

#define CA_TIME_BYTES   21u /* "2026-01-31T12:00:00Z" */
#define CA_SERIAL_CHARS (2u * CA_SERIAL_BYTES)

struct ca_line {
    bool revoked;
    char serial[CA_SERIAL_CHARS + 1];
    char kind[12];
    char issued[CA_TIME_BYTES];
    char expires[CA_TIME_BYTES];
    char revoked_at[CA_TIME_BYTES]; /* "-" */
    char name[256];
};

struct ca_index {
    char path[PATH_MAX];
    struct ca_line *lines;
    size_t line_count;
    bool is_torn; /* the file ends in the middle of a line: who added it was stopped */
};

/* A missing file is an empty index. */
MUST_CHECK bool ca_index_load(struct ca_index *index, const char *path, char *error);
void ca_index_free(struct ca_index *index);

/* Add a line, in memory and at the end of the file. */
MUST_CHECK bool ca_index_add(struct ca_index *index, const struct ca_line *line, char *error);

/* Write all lines anew, after some were changed. */
MUST_CHECK bool ca_index_save(const struct ca_index *index, char *error);

/* Unix time to text and back; -1: not a time. */
void ca_time_print(int64_t time_s, char text[CA_TIME_BYTES]);
int64_t ca_time_read(const char *text);
