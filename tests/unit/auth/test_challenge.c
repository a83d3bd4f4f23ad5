/*
 * tests/unit/auth/test_challenge.c — mirrors auth/challenge.c, and client/challenge.c.
 *
 * Goal:   both ends make the answer that the test vectors say; any other answer is wrong.
 * Method: the vectors are Python's hmac.new(key, struct.pack(">I", seed) + uid, "sha256").
 */
#include "auth/challenge.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "client/challenge.h"
#include "tests/unit/tls/check.h"

static char error[AUTH_ERROR_BYTES];
static char many_k[100], many_u[255];

static const struct {
    struct span key;
    uint32_t seed;
    struct span uid;
    const char *answer;
} vectors[] = {
    {{(const uint8_t *)"0123456789abcdef0123456789abcdef", 32},
     0x01020304,
     {(const uint8_t *)"lamp-1", 6},
     "94dcfad0b7a48d92de7a77c3453d30cbf59d4818d856217b59f4e279f24a33fd"},
    {{(const uint8_t *)many_k, 16},
     0xffffffff,
     {(const uint8_t *)"\x00\x11\x22\x33\x44\x55", 6},
     "9a91eb17ca337f315b0de996a3af20bd7179916d6c198e97a247b5606cbc4434"},
    {{(const uint8_t *)many_k, 100},
     0,
     {(const uint8_t *)many_u, 255},
     "60e78954ca0c03548b8a9399ae391b497538e33a04918a9d4cb2ba15fa98b637"},
};

static struct span text_span(const char *text)
{
    return span_of(text, strlen(text));
}

static void our_hmac(void *context, const void *data, size_t bytes_count, uint8_t digest[32])
{
    const struct span *key = context;
    unsigned digest_bytes = 0;

    CHECK(HMAC(EVP_sha256(), key->data, key->bytes_count, data, bytes_count, digest,
               &digest_bytes) != NULL);
}

static void both_ends_make_the_answers_of_the_vectors(void)
{
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct span key = vectors[i].key;
        char answer[CHALLENGE_CHARS + 1] = "";
        char theirs[SMQ_CHALLENGE_CHARS + 1] = "";

        challenge_answer(key, vectors[i].seed, vectors[i].uid, answer);
        CHECK_TEXT(answer, vectors[i].answer);
        smq_challenge(vectors[i].seed, vectors[i].uid.data, (uint8_t)vectors[i].uid.bytes_count,
                      our_hmac, &key, theirs);
        CHECK_TEXT(theirs, vectors[i].answer);
        CHECK(challenge_is_answer(text_span(answer)));
    }
}

static void an_answer_is_known_by_its_form(void)
{
    const char *good = vectors[0].answer;
    char text[CHALLENGE_CHARS + 2];

    CHECK(!challenge_is_answer(text_span("")));
    CHECK(!challenge_is_answer(text_span("user:password")));
    CHECK(!challenge_is_answer(span_of(good, CHALLENGE_CHARS - 1)));
    snprintf(text, sizeof(text), "%s0", good);
    CHECK(!challenge_is_answer(text_span(text)));
    snprintf(text, sizeof(text), "%s", good);
    text[0] = 'A';
    CHECK(!challenge_is_answer(text_span(text)));
    text[0] = ':';
    CHECK(!challenge_is_answer(text_span(text)));
}

#define KEYS                                                                                       \
    "# a key each\n"                                                                               \
    "pump-* 0123456789abcdef0123456789abcdef\n"                                                    \
    "lamp-1\t  the-key-of-lamp-1  \n"                                                              \
    "lamp-* ffffffffffffffff\n"

static bool check(const struct key_set *set, const char *key, uint32_t seed, const char *uid)
{
    char answer[CHALLENGE_CHARS];

    challenge_answer(text_span(key), seed, text_span(uid), answer);
    return key_set_check(set, seed, text_span(uid), span_of(answer, sizeof(answer)));
}

static void the_first_key_whose_pattern_matches_counts(void)
{
    struct key_set *set = key_set_parse(text_span(KEYS), "keys", error);

    CHECK(set != NULL);
    CHECK(check(set, "0123456789abcdef0123456789abcdef", 7, "pump-1"));
    CHECK(!check(set, "0123456789abcdef0123456789abcdeF", 7, "pump-1"));
    CHECK(!check(set, "0123456789abcdef0123456789abcdef", 7, "lamp-2"));
    CHECK(check(set, "the-key-of-lamp-1", 7, "lamp-1"));
    CHECK(!check(set, "ffffffffffffffff", 7, "lamp-1"));
    CHECK(check(set, "ffffffffffffffff", 7, "lamp-2"));
    CHECK(!check(set, "ffffffffffffffff", 7, "door-1"));
    key_set_unref(set);
}

static void an_answer_is_good_for_its_seed_and_its_uid(void)
{
    struct key_set *set = key_set_parse(text_span("* ffffffffffffffff"), "keys", error);
    struct key_set *other = key_set_ref(set);
    char answer[CHALLENGE_CHARS];

    challenge_answer(text_span("ffffffffffffffff"), 7, text_span("pump-1"), answer);
    struct span credentials = span_of(answer, sizeof(answer));
    key_set_unref(set);
    CHECK(key_set_check(other, 7, text_span("pump-1"), credentials));
    CHECK(!key_set_check(other, 8, text_span("pump-1"), credentials));
    CHECK(!key_set_check(other, 7, text_span("pump-2"), credentials));
    CHECK(!key_set_check(other, 7, text_span("pump-1"), span_of(answer, sizeof(answer) - 1)));
    answer[63] ^= 1;
    CHECK(!key_set_check(other, 7, text_span("pump-1"), credentials));
    key_set_unref(other);
    key_set_unref(NULL);
}

static void errors_say_where_and_hold_no_key(void)
{
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"# x\n\nlamp-1\n", "keys:3: expected a UID pattern, a blank, and a key of 16 to 128 bytes "
                            "(`openssl rand -hex 16` makes one)"},
        {"* secretsecretsec", "keys:1: expected a UID pattern, a blank, and a key of 16 to 128 "
                              "bytes (`openssl rand -hex 16` makes one)"},
        {"* secretsecret secretsecret", "keys:1: a key has no blanks in it"},
        {"a%u secretsecretsecretsecret", "keys:1: after '%' comes nothing here but %% or %* for "
                                         "those characters"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK(key_set_parse(text_span(cases[i].text), "keys", error) == NULL);
        CHECK_TEXT(error, cases[i].error);
        CHECK(strstr(error, "secret") == NULL);
    }
    CHECK(key_set_load("/nonexistent/keys", error) == NULL);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(both_ends_make_the_answers_of_the_vectors),
        CHECK_TEST(an_answer_is_known_by_its_form),
        CHECK_TEST(the_first_key_whose_pattern_matches_counts),
        CHECK_TEST(an_answer_is_good_for_its_seed_and_its_uid),
        CHECK_TEST(errors_say_where_and_hold_no_key),
    };

    memset(many_k, 'k', sizeof(many_k));
    memset(many_u, 'u', sizeof(many_u));
    return check_main(tests, COUNT_OF(tests), argc, argv);
}
