/*
 * tests/fuzz/fuzz_keys.c — a file of shared keys, and an answer to be checked with it.
 *
 * Beyond not crashing: a text is taken, or refused with a reason that names it; the answer made
 * with the key that was found is right, and no longer when a bit of it changes.
 */
#include <stdint.h>
#include <string.h>

#include "auth/challenge.h"
#include "tests/fuzz/exact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void read_and_answer(struct span text)
{
    char error[AUTH_ERROR_BYTES] = "";
    char answer[CHALLENGE_CHARS];
    struct span uid = span_of(text.data, min_size(text.bytes_count, 8));
    struct span credentials = span_of(answer, sizeof(answer));
    struct key_set *set = key_set_parse(text, "keys", error);

    (void)challenge_is_answer(text);
    if (!set) {
        must(strncmp(error, "keys:", 5) == 0);
        return;
    }
    struct span key = key_set_find(set, uid);
    if (key.bytes_count > 0) {
        challenge_answer(key, 7, uid, answer);
        must(challenge_is_answer(credentials));
        must(key_set_check(set, 7, uid, credentials));
        answer[0] ^= 1;
        must(!key_set_check(set, 7, uid, credentials));
    }
    key_set_unref(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct exact exact;

    read_and_answer(span_of(exact_copy(&exact, data, bytes), bytes));
    exact_free(&exact);
    return 0;
}
