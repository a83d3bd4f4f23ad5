/*
 * tests/unit/auth/test_passwd.c — mirrors auth/passwd.c, auth/passwd_file.c and auth/text.c.
 *
 * Goal:   what another implementation of scrypt made is right here; a file with any error in it is
 *         refused whole, with its line; editing touches one line and nothing else.
 * Method: the hashes below were made by Python's hashlib.scrypt. They are cheap ones (ln=10), but
 *         for one.
 */
#include "auth/passwd.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tls/check.h"

/* "correct horse" and "pa:ss" */
#define ALICE                                                                                      \
    "alice:$scrypt$ln=13,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$kpWIFbPVihfb2Aboy/"                        \
    "GRrbSMAciahKhFxQm64p6Rp4s"
#define BOB        "bob:$scrypt$ln=10,r=4,p=2$MTIzNDU2Nzg$rdRT54uvNSPZ3T4lRygHEXsln7lHTcTAxlorM1zAlCE"
#define METHOD_ANY "$scrypt$ln=10,r=4,p=2$MTIzNDU2Nzg$rdRT54uvNSPZ3T4lRygHEXsln7lHTcTAxlorM1zAlCE"

static char error[AUTH_ERROR_BYTES];

/* BoringSSL asks the program for memory; here it is counted, and may be refused. */
void *OPENSSL_memory_alloc(size_t bytes);
void OPENSSL_memory_free(void *block);
size_t OPENSSL_memory_get_size(void *block);

#define LARGE_BYTES (64u << 10) /* only scrypt's tables are */
#define LARGE_MAX   16u

static size_t refused_from_bytes = SIZE_MAX;
static size_t large_bytes[LARGE_MAX]; /* of each, in the order they were asked for */
static uint32_t large_count;

void *OPENSSL_memory_alloc(size_t bytes)
{
    if (bytes >= LARGE_BYTES && large_count < LARGE_MAX)
        large_bytes[large_count++] = bytes;
    return bytes < refused_from_bytes ? malloc(bytes > 0 ? bytes : 1) : NULL;
}

void OPENSSL_memory_free(void *block)
{
    free(block);
}

size_t OPENSSL_memory_get_size(void *block)
{
    return block ? malloc_usable_size(block) : 0;
}

static struct span text_span(const char *text)
{
    return span_of(text, strlen(text));
}

static struct passwd_set *parse(const char *text)
{
    error[0] = '\0';
    return passwd_parse(text_span(text), "users", error);
}

static enum passwd_verdict check(const struct passwd_set *set, const char *user,
                                 const char *password)
{
    return passwd_check(set, text_span(user), text_span(password));
}

static void hashes_of_others_are_right(void)
{
    struct passwd_set *set = parse("# people\n\n  " ALICE "  \r\n\t# more\n" BOB);

    CHECK(set != NULL);
    CHECK_EQUAL(passwd_count(set), 2);
    CHECK_EQUAL(check(set, "alice", "correct horse"), PASSWD_RIGHT);
    CHECK_EQUAL(check(set, "alice", "correct horsf"), PASSWD_WRONG);
    CHECK_EQUAL(check(set, "alice", ""), PASSWD_WRONG);
    CHECK_EQUAL(check(set, "bob", "pa:ss"), PASSWD_RIGHT);
    CHECK_EQUAL(check(set, "bob", "correct horse"), PASSWD_WRONG);
    CHECK_EQUAL(check(set, "Bob", "pa:ss"), PASSWD_WRONG);
    CHECK_EQUAL(check(set, "bo", "pa:ss"), PASSWD_WRONG);
    CHECK_EQUAL(check(set, "", "pa:ss"), PASSWD_WRONG);
    passwd_unref(set);
}

/* With one account in the file, that one is what any unknown name is checked against. */
static void the_password_of_another_is_not_right_for_an_unknown_user(void)
{
    struct passwd_set *set = parse(BOB "\n");
    char long_name[PASSWD_USER_BYTES_MAX + 2];

    CHECK_EQUAL(check(set, "carol", "pa:ss"), PASSWD_WRONG);
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    CHECK_EQUAL(check(set, long_name, "pa:ss"), PASSWD_WRONG);
    passwd_unref(set);

    set = parse("");
    CHECK_EQUAL(passwd_count(set), 0);
    CHECK_EQUAL(check(set, "carol", "pa:ss"), PASSWD_WRONG);
    passwd_unref(set);
}

/* scrypt's table, which says with which parameters it ran: RFC 7914 §6. */
#define TABLE_BYTES(cost_log2, block, parallel)                                                    \
    ((size_t)128 * (block) * ((1u << (cost_log2)) + 1 + (parallel)))

/* Each check of @set must compute these hashes and no other, in this order. */
static void expect_cost(const struct passwd_set *set, const size_t *tables, uint32_t table_count)
{
    static const struct {
        const char *user, *password;
    } tries[] = {
        {"alice", "correct horse"},
        {"alice", "wrong"},
        {"alice", ""},
        {"bob", "pa:ss"},
        {"bob", "wrong"},
        {"carol", "correct horse"},
        {"carol", "wrong"},
        {"", ""},
        {"a name that is longer than any user's can be, by some bytes: 67 bytes", "wrong"},
    };
    char name[16];

    CHECK(set != NULL);
    for (size_t i = 0; i < COUNT_OF(tries) + 20; i++) {
        snprintf(name, sizeof(name), "stranger-%zu", i);
        large_count = 0;
        (void)check(set, i < COUNT_OF(tries) ? tries[i].user : name,
                    i < COUNT_OF(tries) ? tries[i].password : "wrong");
        CHECK_EQUAL(large_count, table_count);
        for (uint32_t j = 0; j < table_count; j++)
            CHECK_EQUAL(large_bytes[j], tables[j]);
    }
}

static void a_check_costs_the_same_for_whatever_user_and_password(void)
{
    static const size_t usual[] = {TABLE_BYTES(13, 8, 1)};
    static const size_t cheap[] = {TABLE_BYTES(10, 4, 2)};
    static const size_t mixed[] = {TABLE_BYTES(13, 8, 1), TABLE_BYTES(10, 4, 2)};
    static const struct {
        const char *text;
        const size_t *tables;
        uint32_t table_count;
    } files[] = {
        {"# nobody\n", usual, 1},
        {ALICE "\n", usual, 1},
        {BOB "\n", cheap, 1},
        {ALICE "\n" BOB "\n", mixed, 2},
        {BOB "\nzoe:" METHOD_ANY, cheap, 1},
        {ALICE "\n" BOB "\nzoe:" METHOD_ANY, mixed, 2},
    };

    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct passwd_set *set = parse(files[i].text);

        expect_cost(set, files[i].tables, files[i].table_count);
        CHECK(passwd_check_bytes(set) <= files[i].tables[0]);
        CHECK(passwd_check_bytes(set) > files[i].tables[0] * 9 / 10);
        passwd_unref(set);
    }
}

/* All prices of a file are paid by each login, so there are few. */
static void too_many_prices_in_a_file_are_refused(void)
{
    char text[1024] = "";

    for (unsigned ln = 10; ln < 14; ln++)
        snprintf(
            text + strlen(text), sizeof(text) - strlen(text),
            "u%u:$scrypt$ln=%u,r=4,p=2$MTIzNDU2Nzg$rdRT54uvNSPZ3T4lRygHEXsln7lHTcTAxlorM1zAlCE\n",
            ln, ln);
    struct passwd_set *set = parse(text);
    CHECK(set != NULL);
    passwd_unref(set);
    strcat(text, "bob2:" METHOD_ANY "\n"); /* a price that is there */
    set = parse(text);
    CHECK(set != NULL);
    passwd_unref(set);
    strcat(text, ALICE "\n");
    CHECK(parse(text) == NULL);
    CHECK(strstr(error, "users:6: more than 4 different ln, r, p") == error);
}

static void a_right_password_is_remembered_and_no_other(void)
{
    struct passwd_set *set = parse(ALICE "\n" BOB "\n");

#define RECALL(user, password) passwd_recall(set, text_span(user), text_span(password))
    CHECK(!RECALL("bob", "pa:ss"));
    CHECK_EQUAL(check(set, "bob", "pa:s"), PASSWD_WRONG);
    CHECK(!RECALL("bob", "pa:s"));
    CHECK_EQUAL(check(set, "bob", "pa:ss"), PASSWD_RIGHT);
    CHECK(RECALL("bob", "pa:ss"));
    CHECK(!RECALL("bob", "pa:s"));
    CHECK(!RECALL("bob", ""));
    CHECK(!RECALL("alice", "pa:ss"));
    CHECK(!RECALL("carol", "pa:ss"));
    CHECK_EQUAL(check(set, "bob", "wrong"), PASSWD_WRONG);
    CHECK(RECALL("bob", "pa:ss"));
    passwd_unref(set);

    set = parse(BOB "\n"); /* as after a reload */
    CHECK(!RECALL("bob", "pa:ss"));
    passwd_unref(set);
#undef RECALL
}

static void without_memory_nobody_is_right(void)
{
    struct passwd_set *set = parse(ALICE "\n");
    char line[PASSWD_LINE_BYTES];

    refused_from_bytes = 1u << 20;
    CHECK_EQUAL(check(set, "alice", "correct horse"), PASSWD_FAILED);
    CHECK(!passwd_line_make(text_span("dave"), text_span("x"), line));
    refused_from_bytes = SIZE_MAX;
    passwd_unref(set);
}

static void a_line_we_make_is_right_and_each_has_its_own_salt(void)
{
    char one[PASSWD_LINE_BYTES], two[PASSWD_LINE_BYTES];

    CHECK(passwd_line_make(text_span("dave"), text_span("s3cret"), one));
    CHECK(passwd_line_make(text_span("dave"), text_span("s3cret"), two));
    CHECK(strcmp(one, two) != 0);
    struct passwd_set *set = parse(one);
    CHECK(set != NULL);
    CHECK_EQUAL(check(set, "dave", "s3cret"), PASSWD_RIGHT);
    CHECK_EQUAL(check(set, "dave", "s3cre"), PASSWD_WRONG);
    passwd_unref(set);
}

static void the_longest_line_fits(void)
{
    char user[PASSWD_USER_BYTES_MAX + 1], password[PASSWD_PASSWORD_BYTES_MAX + 1];
    char line[PASSWD_LINE_BYTES];

    memset(user, 'u', sizeof(user) - 1);
    memset(password, 'p', sizeof(password) - 1);
    user[sizeof(user) - 1] = password[sizeof(password) - 1] = '\0';
    CHECK(passwd_line_make(text_span(user), text_span(password), line));
    struct passwd_set *set = parse(line);
    CHECK(set != NULL);
    CHECK_EQUAL(check(set, user, password), PASSWD_RIGHT);
    passwd_unref(set);
}

static void errors_name_file_and_line_and_refuse_all(void)
{
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"alice\n", "users:1: no ':' after the user's name; `smq passwd users USER` writes such a "
                    "line"},
        {BOB "\n\nalice:secret\n", "users:3: user \"alice\" has no scrypt hash; `smq passwd users "
                                   "alice` makes one"},
        {":" METHOD_ANY, "users:1: a user needs a name"},
        {"a b:" METHOD_ANY, "users:1: a user's name has no blanks, colons or control characters"},
        {"a:$scrypt$ln=10,r=8$MTIzNDU2Nzg$x",
         "users:1: expected ln=10..20,r=1..32,p=1..16 and '$' after \"$scrypt$\""},
        {"a:$scrypt$ln=9,r=8,p=1$MTIzNDU2Nzg$x",
         "users:1: expected ln=10..20,r=1..32,p=1..16 and '$' after \"$scrypt$\""},
        {"a:$scrypt$ln=21,r=8,p=1$MTIzNDU2Nzg$x",
         "users:1: expected ln=10..20,r=1..32,p=1..16 and '$' after \"$scrypt$\""},
        {"a:$scrypt$ln=10,r=0,p=1$MTIzNDU2Nzg$x",
         "users:1: expected ln=10..20,r=1..32,p=1..16 and '$' after \"$scrypt$\""},
        {"a:$scrypt$ln=10,r=,p=1$MTIzNDU2Nzg$x",
         "users:1: expected ln=10..20,r=1..32,p=1..16 and '$' after \"$scrypt$\""},
        {"a:$scrypt$ln=10,r=8,p=17$MTIzNDU2Nzg$x",
         "users:1: expected ln=10..20,r=1..32,p=1..16 and '$' after \"$scrypt$\""},
        {"a:$scrypt$ln=10,r=8,p=4294967297$MTIzNDU2Nzg$x",
         "users:1: expected ln=10..20,r=1..32,p=1..16 and '$' after \"$scrypt$\""},
        {"a:$scrypt$ln=16,r=8,p=1$MTIzNDU2Nzg$x",
         "users:1: a check with ln=16,r=8 takes 64 MB; the most is 32 MB"},
        {"a:$scrypt$ln=10,r=8,p=1$MTIz$x", "users:1: the salt is not base64 of 8 to 32 bytes"},
        {"a:$scrypt$ln=10,r=8,p=1$MTIzNDU2Nzg=$x",
         "users:1: the salt is not base64 of 8 to 32 bytes"},
        {"a:$scrypt$ln=10,r=8,p=1$MTIzNDU2Nzg$rdRT54uv",
         "users:1: the hash is not base64 of 32 bytes"},
        {"a:$scrypt$ln=10,r=8,p=1$MTIzNDU2Nzg$rdRT54uvNSPZ3T4lRygHEXsln7lHTcTAxlorM1zAlCE$",
         "users:1: the hash is not base64 of 32 bytes"},
        {BOB "\n# \n" ALICE "\n" BOB "\n", "users:4: user \"bob\" stands on line 1 already"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct passwd_set *set = parse(cases[i].text);

        CHECK(set == NULL);
        CHECK_TEXT(error, cases[i].error);
        passwd_unref(set);
    }
}

static void the_same_line_is_the_same_login(void)
{
    struct passwd_set *old = parse(ALICE "\n" BOB "\n");
    struct passwd_set *same = parse(BOB "\n" ALICE "\n");
    struct passwd_set *without = parse(ALICE "\n");
    struct passwd_set *changed = parse("bob:$scrypt$ln=10,r=4,p=2$MTIzNDU2Nzg$"
                                       "kpWIFbPVihfb2Aboy/GRrbSMAciahKhFxQm64p6Rp4s\n");

    CHECK(passwd_is_same(old, same, text_span("bob")));
    CHECK(passwd_is_same(old, without, text_span("alice")));
    CHECK(!passwd_is_same(old, without, text_span("bob")));
    CHECK(!passwd_is_same(old, changed, text_span("bob")));
    CHECK(!passwd_is_same(old, same, text_span("carol")));
    passwd_unref(old);
    passwd_unref(same);
    passwd_unref(without);
    passwd_unref(changed);
}

static void a_set_lives_as_long_as_its_last_holder(void)
{
    struct passwd_set *set = parse(BOB "\n");
    struct passwd_set *other = passwd_ref(set);

    passwd_unref(set);
    CHECK_EQUAL(check(other, "bob", "pa:ss"), PASSWD_RIGHT);
    passwd_unref(other);
    passwd_unref(NULL);
}

/* -- files -- */

static char folder[] = "/tmp/smqd-passwd-XXXXXX";
static char path[64];

static void write_file(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
    CHECK_EQUAL(chmod(path, mode), 0);
}

static mode_t mode_of(void)
{
    struct stat about;

    return stat(path, &about) == 0 ? about.st_mode & 07777 : 0;
}

static bool set_password(const char *user, const char *password, bool *is_new)
{
    return passwd_file_set(path, text_span(user), text_span(password), is_new, error);
}

static void a_missing_file_is_made_for_our_eyes_only(void)
{
    bool is_new = false;

    CHECK(set_password("erin", "one", &is_new));
    CHECK(is_new);
    CHECK_EQUAL(mode_of(), 0600);
    CHECK(set_password("erin", "two", &is_new));
    CHECK(!is_new);

    struct passwd_set *set = passwd_load(path, error);
    CHECK(set != NULL);
    CHECK_EQUAL(passwd_count(set), 1);
    CHECK_EQUAL(check(set, "erin", "one"), PASSWD_WRONG);
    CHECK_EQUAL(check(set, "erin", "two"), PASSWD_RIGHT);
    passwd_unref(set);
    unlink(path);
}

static void read_back(char *text, size_t room)
{
    FILE *file = fopen(path, "r");

    CHECK(file != NULL);
    size_t bytes = fread(text, 1, room - 1, file);
    text[bytes] = '\0';
    fclose(file);
}

static void editing_leaves_the_other_lines_as_they_are(void)
{
    char text[2048];
    bool is_new = true;

    write_file("# who\n  " BOB "\n\n# bob: not he\n" ALICE, 0640);
    CHECK(set_password("bob", "new", &is_new));
    CHECK(!is_new);
    CHECK_EQUAL(mode_of(), 0640);
    read_back(text, sizeof(text));
    CHECK(strncmp(text, "# who\nbob:$scrypt$", 18) == 0);
    CHECK(strstr(text, "\n\n# bob: not he\n" ALICE "\n") != NULL);

    CHECK(passwd_file_delete(path, text_span("bob"), error));
    read_back(text, sizeof(text));
    CHECK_TEXT(text, "# who\n\n# bob: not he\n" ALICE "\n");
    CHECK(!passwd_file_delete(path, text_span("bob"), error));
    CHECK(strstr(error, "there is no user \"bob\"") != NULL);
    unlink(path);
}

static void a_bad_file_or_name_is_not_touched(void)
{
    char text[256];
    bool is_new;

    write_file("alice:plain\n", 0600);
    CHECK(!set_password("bob", "x", &is_new));
    CHECK(strstr(error, "users:1: user \"alice\" has no scrypt hash") != NULL);
    CHECK(!set_password("b ob", "x", &is_new));
    CHECK(!set_password("#bob", "x", &is_new));
    CHECK(!set_password("bob", "", &is_new));
    CHECK(!passwd_file_delete(path, text_span("alice"), error));
    read_back(text, sizeof(text));
    CHECK_TEXT(text, "alice:plain\n");
    unlink(path);
    CHECK(!passwd_file_delete(path, text_span("alice"), error));
    CHECK(passwd_load(path, error) == NULL);
}

static void what_is_no_text_file_is_refused(void)
{
    FILE *file = fopen(path, "w");

    fwrite("a\0b", 1, 3, file);
    fclose(file);
    CHECK(passwd_load(path, error) == NULL);
    CHECK(strstr(error, "zero byte") != NULL);
    CHECK_EQUAL(truncate(path, AUTH_FILE_BYTES_MAX + 1), 0);
    CHECK(passwd_load(path, error) == NULL);
    CHECK(strstr(error, "larger than 1024 kB") != NULL);
    unlink(path);
    CHECK(passwd_load(folder, error) == NULL);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(hashes_of_others_are_right),
        CHECK_TEST(the_password_of_another_is_not_right_for_an_unknown_user),
        CHECK_TEST(a_check_costs_the_same_for_whatever_user_and_password),
        CHECK_TEST(too_many_prices_in_a_file_are_refused),
        CHECK_TEST(a_right_password_is_remembered_and_no_other),
        CHECK_TEST(without_memory_nobody_is_right),
        CHECK_TEST(a_line_we_make_is_right_and_each_has_its_own_salt),
        CHECK_TEST(the_longest_line_fits),
        CHECK_TEST(errors_name_file_and_line_and_refuse_all),
        CHECK_TEST(the_same_line_is_the_same_login),
        CHECK_TEST(a_set_lives_as_long_as_its_last_holder),
        CHECK_TEST(a_missing_file_is_made_for_our_eyes_only),
        CHECK_TEST(editing_leaves_the_other_lines_as_they_are),
        CHECK_TEST(a_bad_file_or_name_is_not_touched),
        CHECK_TEST(what_is_no_text_file_is_refused),
    };

    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof(path), "%s/users", folder);
    int code = check_main(tests, COUNT_OF(tests), argc, argv);
    rmdir(folder);
    return code;
}
