/*
 * auth/passwd.c — password files: parsed, checked, and lines for them. See auth/passwd.h.
 *
 * Thread: any. After passwd_parse a set changes only its count of references, and what it remembers
 *         of passwords that were right: four words an account, each written whole and always to the
 *         same value, so that who reads them half-written remembers nothing yet.
 */
#include "auth/passwd.h"

#include <openssl/base64.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COST_LOG2_DEFAULT  13u /* passwd.h says why */
#define BLOCK_DEFAULT      8u
#define PARALLEL_DEFAULT   1u
#define COST_LOG2_MIN      10u /* less would be a hash in name only */
#define COST_LOG2_MAX      20u
#define BLOCK_MAX          32u
#define PARALLEL_MAX       16u /* each costs the full time again */
#define SALT_BYTES         16u /* of lines we make */
#define SALT_BYTES_MIN     8u
#define SALT_BYTES_MAX     32u
#define HASH_BYTES         32u
#define ACCOUNT_COUNT_MAX  16384u /* more lines than AUTH_FILE_BYTES_MAX can hold */
#define BASE64_ROOM(bytes) (((bytes) + 2) / 3 * 4 + 1)
#define METHOD             "$scrypt$"

struct account {
    uint8_t user[PASSWD_USER_BYTES_MAX];
    uint8_t user_bytes;
    uint8_t cost_log2; /* N = 2^this */
    uint8_t block;     /* r */
    uint8_t parallel;  /* p */
    uint8_t salt_bytes;
    uint8_t salt[SALT_BYTES_MAX];
    uint8_t hash[HASH_BYTES];
    uint32_t line;
    _Atomic uint64_t remembered[HASH_BYTES / 8]; /* zeros: nothing */
};

/* What a check costs shall tell nothing about its user. So each check computes one hash of every
 * price (ln, r, p) that stands in the file: the user's own at his price, and those of nobodies at
 * the others. Usually that is one hash, and all are nobodies for an unknown name. */
struct passwd_set {
    _Atomic uint32_t ref_count;
    uint32_t count;
    uint8_t memory_key[HASH_BYTES]; /* of what is remembered */
    uint32_t price_count;           /* at least 1 */
    struct account nobodies[PASSWD_PRICES_MAX];
    struct account accounts[]; /* in the order of their names */
};

static size_t check_bytes(const struct account *account)
{
    return (size_t)128 * account->block << account->cost_log2;
}

/* -- the hash -- */

static bool hash_password(const struct account *account, struct span password,
                          uint8_t hash[HASH_BYTES])
{
    /* Its own bound counts a few blocks more than the one we checked in the file. */
    bool good =
        EVP_PBE_scrypt((const char *)password.data, password.bytes_count, account->salt,
                       account->salt_bytes, UINT64_C(1) << account->cost_log2, account->block,
                       account->parallel, 2 * PASSWD_CHECK_BYTES_MAX, hash, HASH_BYTES) == 1;
    if (!good)
        ERR_clear_error();
    return good;
}

/* -- names and passwords -- */

bool passwd_user_is_good(struct span user, char *error)
{
    if (user.bytes_count == 0)
        return auth_error(error, "a user needs a name");
    if (user.bytes_count > PASSWD_USER_BYTES_MAX)
        return auth_error(error, "a user's name has at most %u bytes", PASSWD_USER_BYTES_MAX);
    if (user.data[0] == '#')
        return auth_error(error, "a user's name cannot begin with '#'");
    for (size_t i = 0; i < user.bytes_count; i++) {
        if (user.data[i] <= ' ' || user.data[i] == 0x7f || user.data[i] == ':')
            return auth_error(error, "a user's name has no blanks, colons or control characters");
    }
    return true;
}

bool passwd_password_is_good(struct span password, char *error)
{
    if (password.bytes_count == 0)
        return auth_error(error, "an empty password is none");
    if (password.bytes_count > PASSWD_PASSWORD_BYTES_MAX)
        return auth_error(error,
                          "a password has at most %u bytes: with the user's name it must "
                          "fit a Connect",
                          PASSWD_PASSWORD_BYTES_MAX);
    return true;
}

/* -- lines: written -- */

/* Base64 without its '='. @text: BASE64_ROOM. */
static void base64_print(const uint8_t *bytes, size_t bytes_count, char *text)
{
    size_t chars = EVP_EncodeBlock((uint8_t *)text, bytes, bytes_count);

    while (chars > 0 && text[chars - 1] == '=')
        chars--;
    text[chars] = '\0';
}

bool passwd_line_make(struct span user, struct span password, char *line)
{
    struct account account = {.cost_log2 = COST_LOG2_DEFAULT,
                              .block = BLOCK_DEFAULT,
                              .parallel = PARALLEL_DEFAULT,
                              .salt_bytes = SALT_BYTES};
    char salt[BASE64_ROOM(SALT_BYTES)];
    char hash[BASE64_ROOM(HASH_BYTES)];

    must(user.bytes_count <= PASSWD_USER_BYTES_MAX);
    RAND_bytes(account.salt, SALT_BYTES);
    if (!hash_password(&account, password, account.hash))
        return false;
    base64_print(account.salt, SALT_BYTES, salt);
    base64_print(account.hash, HASH_BYTES, hash);
    snprintf(line, PASSWD_LINE_BYTES, "%.*s:" METHOD "ln=%u,r=%u,p=%u$%s$%s", (int)user.bytes_count,
             (const char *)user.data, account.cost_log2, account.block, account.parallel, salt,
             hash);
    return true;
}

/* -- lines: read -- */

/* What stands before @end, which is skipped in *text as well. false: there is no @end. */
static bool cut(struct span *text, char end, struct span *part)
{
    const uint8_t *at = memchr(text->data, end, text->bytes_count);

    if (!at)
        return false;
    *part = span_of(text->data, (size_t)(at - text->data));
    *text = span_skip(*text, part->bytes_count + 1);
    return true;
}

/* "NAME=digits", all of @text. */
static bool read_parameter(struct span text, const char *name, uint32_t value_max, uint8_t *value)
{
    size_t name_bytes = strlen(name);
    uint32_t number = 0;

    if (text.bytes_count <= name_bytes || memcmp(text.data, name, name_bytes) != 0)
        return false;
    text = span_skip(text, name_bytes);
    for (size_t i = 0; i < text.bytes_count; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (uint32_t)(text.data[i] - '0');
        if (number > value_max)
            return false;
    }
    *value = (uint8_t)number;
    return number > 0;
}

static bool read_parameters(struct span text, struct account *account)
{
    struct span cost, block;

    return cut(&text, ',', &cost) && cut(&text, ',', &block) &&
           read_parameter(cost, "ln=", COST_LOG2_MAX, &account->cost_log2) &&
           account->cost_log2 >= COST_LOG2_MIN &&
           read_parameter(block, "r=", BLOCK_MAX, &account->block) &&
           read_parameter(text, "p=", PARALLEL_MAX, &account->parallel);
}

/* Base64 without '='. Returns the number of bytes, 0 when it is none or does not fit. */
static size_t base64_read(struct span text, uint8_t *bytes, size_t room)
{
    uint8_t padded[BASE64_ROOM(SALT_BYTES_MAX + HASH_BYTES)];
    size_t chars = text.bytes_count;
    size_t bytes_count = 0;

    if (chars == 0 || chars + 3 > sizeof(padded) || memchr(text.data, '=', chars))
        return 0;
    memcpy(padded, text.data, chars);
    while (chars % 4 != 0)
        padded[chars++] = '=';

    uint8_t decoded[sizeof(padded)];
    if (!EVP_DecodeBase64(decoded, &bytes_count, sizeof(decoded), padded, chars) ||
        bytes_count > room)
        return 0;
    memcpy(bytes, decoded, bytes_count);
    return bytes_count;
}

/* One line into @account. */
static bool read_account(struct span line, const char *path, uint32_t number,
                         struct account *account, char *error)
{
    struct span user, parameters, salt;
    char reason[AUTH_ERROR_BYTES];

    *account = (struct account){.line = number};
    if (!cut(&line, ':', &user))
        return auth_error_at(
            error, path, number,
            "no ':' after the user's name; `smq passwd %s USER` writes such a line", path);
    if (!passwd_user_is_good(user, reason))
        return auth_error_at(error, path, number, "%s", reason);
    memcpy(account->user, user.data, user.bytes_count);
    account->user_bytes = (uint8_t)user.bytes_count;

    size_t method_bytes = strlen(METHOD);
    if (line.bytes_count < method_bytes || memcmp(line.data, METHOD, method_bytes) != 0)
        return auth_error_at(error, path, number,
                             "user \"%.*s\" has no scrypt hash; `smq passwd %s %.*s` makes one",
                             (int)user.bytes_count, user.data, path, (int)user.bytes_count,
                             user.data);
    line = span_skip(line, method_bytes);
    if (!cut(&line, '$', &parameters) || !read_parameters(parameters, account))
        return auth_error_at(error, path, number,
                             "expected ln=%u..%u,r=1..%u,p=1..%u and '$' after \"" METHOD "\"",
                             COST_LOG2_MIN, COST_LOG2_MAX, BLOCK_MAX, PARALLEL_MAX);
    if (check_bytes(account) > PASSWD_CHECK_BYTES_MAX)
        return auth_error_at(error, path, number,
                             "a check with ln=%u,r=%u takes %zu MB; the most is %u MB",
                             account->cost_log2, account->block, check_bytes(account) >> 20,
                             PASSWD_CHECK_BYTES_MAX >> 20);
    if (!cut(&line, '$', &salt) ||
        (account->salt_bytes = (uint8_t)base64_read(salt, account->salt, SALT_BYTES_MAX)) <
            SALT_BYTES_MIN)
        return auth_error_at(error, path, number, "the salt is not base64 of %u to %u bytes",
                             SALT_BYTES_MIN, SALT_BYTES_MAX);
    if (base64_read(line, account->hash, HASH_BYTES) != HASH_BYTES)
        return auth_error_at(error, path, number, "the hash is not base64 of %u bytes", HASH_BYTES);
    return true;
}

/* -- a set -- */

static int compare_user(const struct account *account, struct span user)
{
    int order = memcmp(account->user, user.data, min_size(account->user_bytes, user.bytes_count));

    return order != 0 ? order : (int)account->user_bytes - (int)user.bytes_count;
}

static int compare_accounts(const void *a, const void *b)
{
    const struct account *other = b;

    return compare_user(a, span_of(other->user, other->user_bytes));
}

static const struct account *find(const struct passwd_set *set, struct span user)
{
    uint32_t low = 0;
    uint32_t high = set->count;

    if (user.bytes_count > PASSWD_USER_BYTES_MAX)
        return NULL;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_user(&set->accounts[middle], user);

        if (order == 0)
            return &set->accounts[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static struct passwd_set *set_new(uint32_t account_count)
{
    struct passwd_set *set = calloc(1, sizeof(*set) + account_count * sizeof(set->accounts[0]));

    must(set);
    atomic_init(&set->ref_count, 1);
    RAND_bytes(set->memory_key, sizeof(set->memory_key));
    return set;
}

static bool has_price_of(const struct account *a, const struct account *b)
{
    return a->cost_log2 == b->cost_log2 && a->block == b->block && a->parallel == b->parallel;
}

static bool add_price(struct passwd_set *set, const struct account *account)
{
    for (uint32_t i = 0; i < set->price_count; i++)
        if (has_price_of(&set->nobodies[i], account))
            return true;
    if (set->price_count == PASSWD_PRICES_MAX)
        return false;
    struct account *nobody = &set->nobodies[set->price_count++];

    *nobody = (struct account){.cost_log2 = account->cost_log2,
                               .block = account->block,
                               .parallel = account->parallel,
                               .salt_bytes = SALT_BYTES};
    RAND_bytes(nobody->salt, SALT_BYTES);
    return true;
}

static bool find_prices(struct passwd_set *set, const char *path, char *error)
{
    static const struct account usual = {.cost_log2 = COST_LOG2_DEFAULT,
                                         .block = BLOCK_DEFAULT,
                                         .parallel = PARALLEL_DEFAULT};

    for (uint32_t i = 0; i < set->count; i++) {
        const struct account *account = &set->accounts[i];

        if (!add_price(set, account))
            return auth_error_at(error, path, account->line,
                                 "more than %u different ln, r, p in one file: each login would "
                                 "take the time of all of them; `smq passwd` writes the usual ones",
                                 PASSWD_PRICES_MAX);
    }
    return set->count > 0 || add_price(set, &usual);
}

static bool refuse_doubles(const struct passwd_set *set, const char *path, char *error)
{
    for (uint32_t i = 1; i < set->count; i++) {
        const struct account *one = &set->accounts[i - 1];
        const struct account *two = &set->accounts[i];
        uint32_t first = min_u32(one->line, two->line);

        if (compare_accounts(one, two) == 0)
            return auth_error_at(error, path, one->line ^ two->line ^ first,
                                 "user \"%.*s\" stands on line %u already", (int)two->user_bytes,
                                 (const char *)two->user, first);
    }
    return true;
}

struct passwd_set *passwd_parse(struct span text, const char *path, char *error)
{
    struct text_lines lines = text_lines_of(text);
    struct span line;
    uint32_t count = 0;

    while (text_lines_next(&lines, &line))
        count++;
    if (count > ACCOUNT_COUNT_MAX) {
        auth_error(error, "%s: more than %u users", path, ACCOUNT_COUNT_MAX);
        return NULL;
    }

    struct passwd_set *set = set_new(count);
    bool good = true;

    lines = text_lines_of(text);
    while (good && text_lines_next(&lines, &line)) {
        good = read_account(line, path, lines.line, &set->accounts[set->count], error);
        set->count++;
    }
    good = good && find_prices(set, path, error);
    if (good) {
        qsort(set->accounts, set->count, sizeof(set->accounts[0]), compare_accounts);
        good = refuse_doubles(set, path, error);
    }
    if (good)
        return set;
    passwd_unref(set);
    return NULL;
}

struct passwd_set *passwd_load(const char *path, char *error)
{
    char *text;
    size_t bytes_count;

    if (!text_file_read(path, &text, &bytes_count, error))
        return NULL;
    struct passwd_set *set = passwd_parse(span_of(text, bytes_count), path, error);
    OPENSSL_cleanse(text, bytes_count);
    free(text);
    return set;
}

struct passwd_set *passwd_ref(struct passwd_set *set)
{
    atomic_fetch_add_explicit(&set->ref_count, 1, memory_order_relaxed);
    return set;
}

void passwd_unref(struct passwd_set *set)
{
    if (!set || atomic_fetch_sub_explicit(&set->ref_count, 1, memory_order_acq_rel) > 1)
        return;
    OPENSSL_cleanse(set, sizeof(*set) + set->count * sizeof(set->accounts[0]));
    free(set);
}

uint32_t passwd_count(const struct passwd_set *set)
{
    return set->count;
}

/* -- remembering -- */

/* What is remembered of @password: quick to make, useless without the set's key. */
static void digest(const struct passwd_set *set, const struct account *account,
                   struct span password, uint64_t words[HASH_BYTES / 8])
{
    uint8_t message[SALT_BYTES_MAX + HASH_BYTES + PASSWD_PASSWORD_BYTES_MAX];
    unsigned digest_bytes;

    must(password.bytes_count <= PASSWD_PASSWORD_BYTES_MAX);
    memcpy(message, account->salt, SALT_BYTES_MAX); /* the rest of a short one is zero */
    memcpy(message + SALT_BYTES_MAX, account->hash, HASH_BYTES);
    if (password.bytes_count > 0)
        memcpy(message + SALT_BYTES_MAX + HASH_BYTES, password.data, password.bytes_count);
    must(HMAC(EVP_sha256(), set->memory_key, sizeof(set->memory_key), message,
              SALT_BYTES_MAX + HASH_BYTES + password.bytes_count, (uint8_t *)words,
              &digest_bytes) != NULL);
    OPENSSL_cleanse(message, sizeof(message));
}

bool passwd_recall(const struct passwd_set *set, struct span user, struct span password)
{
    const struct account *account = find(set, user);
    bool is_known = account != NULL;
    uint64_t words[HASH_BYTES / 8];
    uint64_t difference = 0;

    if (password.bytes_count > PASSWD_PASSWORD_BYTES_MAX)
        return false;
    if (!is_known)
        account = &set->nobodies[0]; /* the same work */
    digest(set, account, password, words);
    for (size_t i = 0; i < COUNT_OF(words); i++)
        difference |=
            words[i] ^ atomic_load_explicit(&account->remembered[i], memory_order_relaxed);
    return difference == 0 && is_known;
}

static void remember(const struct passwd_set *set, const struct account *account,
                     struct span password)
{
    struct account *writable = (struct account *)(uintptr_t)account;
    uint64_t words[HASH_BYTES / 8];

    digest(set, account, password, words);
    for (size_t i = 0; i < COUNT_OF(words); i++)
        atomic_store_explicit(&writable->remembered[i], words[i], memory_order_relaxed);
}

/* -- checking -- */

size_t passwd_check_bytes(const struct passwd_set *set)
{
    size_t most = 0;

    for (uint32_t i = 0; i < set->price_count; i++)
        if (most < check_bytes(&set->nobodies[i]))
            most = check_bytes(&set->nobodies[i]);
    return most;
}

enum passwd_verdict passwd_check(const struct passwd_set *set, struct span user,
                                 struct span password)
{
    const struct account *account = find(set, user);
    bool failed = false;
    bool is_right = false;

    for (uint32_t i = 0; i < set->price_count; i++) {
        bool is_his = account && has_price_of(account, &set->nobodies[i]);
        const struct account *checked = is_his ? account : &set->nobodies[i];
        uint8_t hash[HASH_BYTES] = {0};

        failed |= !hash_password(checked, password, hash);
        is_right |= (CRYPTO_memcmp(hash, checked->hash, HASH_BYTES) == 0) & is_his;
        OPENSSL_cleanse(hash, sizeof(hash));
    }
    if (failed)
        return PASSWD_FAILED;
    is_right = is_right && password.bytes_count <= PASSWD_PASSWORD_BYTES_MAX;
    if (is_right)
        remember(set, account, password);
    return is_right ? PASSWD_RIGHT : PASSWD_WRONG;
}

bool passwd_is_same(const struct passwd_set *a, const struct passwd_set *b, struct span user)
{
    const struct account *one = find(a, user);
    const struct account *two = find(b, user);

    if (!one || !two)
        return false;
    return has_price_of(one, two) && one->salt_bytes == two->salt_bytes &&
           memcmp(one->salt, two->salt, one->salt_bytes) == 0 &&
           memcmp(one->hash, two->hash, HASH_BYTES) == 0;
}
