/*
 * cli/key.c — --key-file: see cli/key.h. Thread: main.
 *
 * The file is one that smqd reads too, so that one line can be copied from there; or a key alone.
 */
#include "cli/key.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <stdlib.h>
#include <string.h>

#include "auth/challenge.h"

static void hmac_sha256(void *context, const void *data, size_t bytes_count, uint8_t digest[32])
{
    const struct span *key = context;
    unsigned digest_bytes;

    must(HMAC(EVP_sha256(), key->data, key->bytes_count, data, bytes_count, digest,
              &digest_bytes) != NULL);
}

/* The first line, when it is a word by itself; else empty. */
static struct span lone_key(struct span text)
{
    struct text_lines lines = text_lines_of(text);
    struct span line;

    if (!text_lines_next(&lines, &line) || memchr(line.data, ' ', line.bytes_count) ||
        memchr(line.data, '\t', line.bytes_count))
        return span_of(NULL, 0);
    return line;
}

static enum exit_code answer_with(struct span text, const char *path, uint32_t seed,
                                  const char *uid, char answer[SMQ_CHALLENGE_CHARS])
{
    char error[AUTH_ERROR_BYTES];
    struct key_set *set = NULL;
    struct span key = lone_key(text);

    if (key.bytes_count == 0) {
        set = key_set_parse(text, path, error);
        if (!set)
            return complain(EXIT_NO_INPUT, "%s", error);
        key = key_set_find(set, span_of(uid, strlen(uid)));
    }
    if (key.bytes_count > 0)
        smq_challenge(seed, uid, (uint8_t)strlen(uid), hmac_sha256, &key, answer);
    key_set_unref(set);
    return key.bytes_count > 0
               ? EXIT_OK
               : complain(EXIT_NO_INPUT, "%s: no line is for the UID '%s'", path, uid);
}

enum exit_code key_answer(const char *path, uint32_t seed, const char *uid,
                          char answer[SMQ_CHALLENGE_CHARS])
{
    char error[AUTH_ERROR_BYTES];
    size_t bytes_count;
    char *text;

    if (!text_file_read(path, &text, &bytes_count, error))
        return complain(EXIT_NO_INPUT, "%s", error);
    enum exit_code code = answer_with(span_of(text, bytes_count), path, seed, uid, answer);
    OPENSSL_cleanse(text, bytes_count);
    free(text);
    return code;
}
