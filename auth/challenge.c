/* auth/challenge.c — the shared key's answer, and files of keys. See auth/challenge.h. Any thread.
 */
#include "auth/challenge.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "auth/pattern.h"

#define UID_BYTES_MAX 255u
#define DIGEST_BYTES  (CHALLENGE_CHARS / 2)

void challenge_answer(struct span key, uint32_t seed, struct span uid, char *answer)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t message[4 + UID_BYTES_MAX] = {(uint8_t)(seed >> 24), (uint8_t)(seed >> 16),
                                          (uint8_t)(seed >> 8), (uint8_t)seed};
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;

    must(uid.bytes_count <= UID_BYTES_MAX);
    if (uid.bytes_count > 0)
        memcpy(message + 4, uid.data, uid.bytes_count);
    must(HMAC(EVP_sha256(), key.data, key.bytes_count, message, 4 + uid.bytes_count, digest,
              &digest_bytes) != NULL);
    must(digest_bytes == DIGEST_BYTES);
    for (uint32_t i = 0; i < DIGEST_BYTES; i++) {
        answer[2 * i] = digits[digest[i] >> 4];
        answer[2 * i + 1] = digits[digest[i] & 15];
    }
}

bool challenge_is_answer(struct span credentials)
{
    if (credentials.bytes_count != CHALLENGE_CHARS)
        return false;
    for (uint32_t i = 0; i < CHALLENGE_CHARS; i++) {
        uint8_t byte = credentials.data[i];

        if (!(byte >= '0' && byte <= '9') && !(byte >= 'a' && byte <= 'f'))
            return false;
    }
    return true;
}

/* -- files of keys -- */

struct shared_key {
    uint8_t pattern[PATTERN_BYTES_MAX];
    uint8_t key[CHALLENGE_KEY_BYTES_MAX];
    uint16_t pattern_bytes;
    uint8_t key_bytes;
};

struct key_set {
    _Atomic uint32_t ref_count;
    uint32_t count;
    struct shared_key keys[];
};

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static bool read_key(struct span line, const char *path, uint32_t number, struct shared_key *key,
                     char *error)
{
    char reason[PATTERN_REASON_BYTES];
    size_t pattern_bytes = 0;

    while (pattern_bytes < line.bytes_count && !is_blank(line.data[pattern_bytes]))
        pattern_bytes++;
    struct span secret = text_trim(span_skip(line, pattern_bytes));

    if (secret.bytes_count < CHALLENGE_KEY_BYTES_MIN ||
        secret.bytes_count > CHALLENGE_KEY_BYTES_MAX)
        return auth_error_at(error, path, number,
                             "expected a UID pattern, a blank, and a key of %u to %u bytes "
                             "(`openssl rand -hex 16` makes one)",
                             CHALLENGE_KEY_BYTES_MIN, CHALLENGE_KEY_BYTES_MAX);
    for (size_t i = 0; i < secret.bytes_count; i++) {
        if (is_blank(secret.data[i]))
            return auth_error_at(error, path, number, "a key has no blanks in it");
    }
    key->pattern_bytes =
        (uint16_t)pattern_compile(span_of(line.data, pattern_bytes), false, key->pattern, reason);
    if (key->pattern_bytes == 0)
        return auth_error_at(error, path, number, "%s", reason);
    memcpy(key->key, secret.data, secret.bytes_count);
    key->key_bytes = (uint8_t)secret.bytes_count;
    return true;
}

struct key_set *key_set_parse(struct span text, const char *path, char *error)
{
    struct text_lines lines = text_lines_of(text);
    struct span line;
    uint32_t count = 0;

    while (text_lines_next(&lines, &line))
        count++;
    if (count > CHALLENGE_KEY_COUNT_MAX) {
        auth_error(error, "%s: more than %u keys", path, CHALLENGE_KEY_COUNT_MAX);
        return NULL;
    }

    struct key_set *set = calloc(1, sizeof(*set) + count * sizeof(set->keys[0]));
    bool good = true;

    must(set);
    atomic_init(&set->ref_count, 1);
    lines = text_lines_of(text);
    while (good && text_lines_next(&lines, &line)) {
        good = read_key(line, path, lines.line, &set->keys[set->count], error);
        set->count++;
    }
    if (good)
        return set;
    key_set_unref(set);
    return NULL;
}

struct key_set *key_set_load(const char *path, char *error)
{
    char *text;
    size_t bytes_count;

    if (!text_file_read(path, &text, &bytes_count, error))
        return NULL;
    struct key_set *set = key_set_parse(span_of(text, bytes_count), path, error);
    OPENSSL_cleanse(text, bytes_count);
    free(text);
    return set;
}

struct key_set *key_set_ref(struct key_set *set)
{
    atomic_fetch_add_explicit(&set->ref_count, 1, memory_order_relaxed);
    return set;
}

void key_set_unref(struct key_set *set)
{
    if (!set || atomic_fetch_sub_explicit(&set->ref_count, 1, memory_order_acq_rel) > 1)
        return;
    OPENSSL_cleanse(set, sizeof(*set) + set->count * sizeof(set->keys[0]));
    free(set);
}

struct span key_set_find(const struct key_set *set, struct span uid)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct shared_key *key = &set->keys[i];

        if (pattern_match(span_of(key->pattern, key->pattern_bytes), NULL, uid))
            return span_of(key->key, key->key_bytes);
    }
    return span_of(NULL, 0);
}

bool key_set_check(const struct key_set *set, uint32_t seed, struct span uid,
                   struct span credentials)
{
    struct span key = key_set_find(set, uid);
    char answer[CHALLENGE_CHARS];

    if (key.bytes_count == 0 || credentials.bytes_count != CHALLENGE_CHARS)
        return false;
    challenge_answer(key, seed, uid, answer);
    return CRYPTO_memcmp(answer, credentials.data, CHALLENGE_CHARS) == 0;
}
