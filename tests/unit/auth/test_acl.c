/*
 * tests/unit/auth/test_acl.c — mirrors auth/acl.c and auth/pattern.c.
 *
 * Goal:   the first rule that matches decides, and is named; a name cannot smuggle in a '*'; errors
 *         say where and what would be right.
 * Method: patterns are compared with a matcher that is obviously right (and slow), over all
 *         patterns and texts of up to five letters.
 */
#include "auth/acl.h"

#include <stdlib.h>
#include <unistd.h>

#include "auth/pattern.h"
#include "tests/unit/tls/check.h"

static char error[AUTH_ERROR_BYTES];

static struct span text_span(const char *text)
{
    return span_of(text, strlen(text));
}

static struct identity person(const char *uid, enum login login, const char *name)
{
    return (struct identity){.uid = text_span(uid), .login = login, .name = text_span(name)};
}

static struct acl *parse(const char *text)
{
    error[0] = '\0';
    return acl_parse(text_span(text), "acl", error);
}

/* -- patterns -- */

static bool matches(const char *pattern, const struct identity *who, const char *text)
{
    uint8_t compiled[PATTERN_BYTES_MAX];
    char reason[PATTERN_REASON_BYTES];
    size_t bytes = pattern_compile(text_span(pattern), true, compiled, reason);

    CHECK(bytes > 0);
    return pattern_match(span_of(compiled, bytes), who, text_span(text));
}

static bool matches_slowly(const char *pattern, const char *text)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '*')
        return matches_slowly(pattern + 1, text) || (*text && matches_slowly(pattern, text + 1));
    return *text == *pattern && matches_slowly(pattern + 1, text + 1);
}

/* The @number-th text over the letters of @alphabet; "" is 0. */
static void nth_text(uint32_t number, const char *alphabet, char out[16])
{
    uint32_t letters = (uint32_t)strlen(alphabet);
    size_t at = 0;

    for (; number > 0; number = (number - 1) / letters)
        out[at++] = alphabet[(number - 1) % letters];
    out[at] = '\0';
}

static void short_patterns_match_as_they_should(void)
{
    uint32_t pattern_count = 1 + 3 + 9 + 27 + 81 + 243;
    uint32_t text_count = 1 + 2 + 4 + 8 + 16 + 32;
    uint32_t matched_count = 0;

    for (uint32_t i = 1; i < pattern_count; i++) {
        for (uint32_t j = 0; j < text_count; j++) {
            char pattern[16], text[16];

            nth_text(i, "ab*", pattern);
            nth_text(j, "ab", text);
            bool is_match = matches(pattern, NULL, text);
            CHECK_EQUAL(is_match, matches_slowly(pattern, text));
            matched_count += is_match;
        }
    }
    CHECK(matched_count > 1000);
}

static void names_are_put_in_byte_for_byte(void)
{
    struct identity alice = person("lamp-1", LOGIN_USER, "alice");
    struct identity star = person("*", LOGIN_USER, "*");
    struct identity nobody = person("lamp-1", LOGIN_ANONYMOUS, "");

    CHECK(matches("dev/%u/*", &alice, "dev/alice/on"));
    CHECK(!matches("dev/%u/*", &alice, "dev/alic/on"));
    CHECK(!matches("dev/%u/*", &alice, "dev/bob/on"));
    CHECK(!matches("dev/%u/*", &alice, "dev/alice"));
    CHECK(matches("*%u*%u", &alice, "alicealicxalice"));
    CHECK(matches("cmd/%i", &alice, "cmd/lamp-1"));
    CHECK(matches("%i%u", &alice, "lamp-1alice"));
    CHECK(!matches("dev/%u/*", &star, "dev/alice/on"));
    CHECK(matches("dev/%u/*", &star, "dev/*/on"));
    CHECK(!matches("%i", &star, "lamp-1"));
    CHECK(!matches("dev/%u/*", &nobody, "dev//on"));
    CHECK(!matches("%u", &nobody, ""));
    CHECK(matches("cmd/%i", &nobody, "cmd/lamp-1"));
    CHECK(matches("100%%", &nobody, "100%"));
    CHECK(matches("a%*b", &nobody, "a*b"));
    CHECK(!matches("a%*b", &nobody, "axb"));
}

static void a_long_pattern_and_a_long_name_end(void)
{
    char pattern[PATTERN_TEXT_BYTES_MAX + 2], text[1025];

    for (size_t i = 0; i < PATTERN_TEXT_BYTES_MAX; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    pattern[PATTERN_TEXT_BYTES_MAX] = '\0';
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    CHECK(matches(pattern, NULL, text));
    pattern[PATTERN_TEXT_BYTES_MAX - 1] = 'b';
    CHECK(!matches(pattern, NULL, text));
    memset(pattern, 'p', sizeof(pattern) - 1);
    pattern[sizeof(pattern) - 1] = '\0';

    uint8_t compiled[PATTERN_BYTES_MAX];
    char reason[PATTERN_REASON_BYTES];
    CHECK_EQUAL(pattern_compile(text_span(pattern), true, compiled, reason), 0);
    CHECK_TEXT(reason, "a pattern has 1 to 255 bytes");
}

/* -- lists -- */

#define LIST                                                                                       \
    "# who may do what\n"                                                                          \
    "allow user admin any *\n"                                                                     \
    "deny  anyone     publish status/*   # that is the broker's\n"                                 \
    "\n"                                                                                           \
    "allow user *     publish,create dev/%u/*\n"                                                   \
    "allow uid s-*    subscribe cmd/%i\n"                                                          \
    "allow cert *.example.org direct *\n"                                                          \
    "allow anonymous  subscribe \"the news # 1\"\n"                                                \
    "allow key pump*  observe *\n"

static struct acl_verdict decide(const struct acl *acl, struct identity who, enum acl_action action,
                                 const char *name)
{
    return acl_decide(acl, &who, action, text_span(name));
}

#define EXPECT(verdict_, allowed_, line_)                                                          \
    do {                                                                                           \
        struct acl_verdict got_ = (verdict_);                                                      \
        CHECK_EQUAL(got_.allowed, allowed_);                                                       \
        CHECK_EQUAL(got_.line, line_);                                                             \
    } while (0)

static void the_first_match_decides_and_is_named(void)
{
    struct acl *acl = parse(LIST);
    struct identity admin = person("desk-1", LOGIN_USER, "admin");
    struct identity alice = person("s-1", LOGIN_USER, "alice");
    struct identity cert = person("gate-1", LOGIN_CERT, "gate.example.org");
    struct identity nobody = person("s-2", LOGIN_ANONYMOUS, "");
    struct identity pump = person("pump-7", LOGIN_KEY, "pump-7");

    CHECK(acl != NULL);
    CHECK_EQUAL(acl_rule_count(acl), 7);
    EXPECT(decide(acl, admin, ACL_PUBLISH, "status/x"), true, 2);
    EXPECT(decide(acl, admin, ACL_DIRECT, "s-1"), true, 2);
    EXPECT(decide(acl, alice, ACL_PUBLISH, "status/x"), false, 3);
    EXPECT(decide(acl, alice, ACL_PUBLISH, "dev/alice/on"), true, 5);
    EXPECT(decide(acl, alice, ACL_CREATE, "dev/alice/on"), true, 5);
    EXPECT(decide(acl, alice, ACL_SUBSCRIBE, "dev/alice/on"), false, 0);
    EXPECT(decide(acl, alice, ACL_SUBSCRIBE, "cmd/s-1"), true, 6);
    EXPECT(decide(acl, nobody, ACL_SUBSCRIBE, "cmd/s-2"), true, 6);
    EXPECT(decide(acl, nobody, ACL_SUBSCRIBE, "cmd/s-1"), false, 0);
    EXPECT(decide(acl, cert, ACL_DIRECT, "anybody"), true, 7);
    EXPECT(decide(acl, alice, ACL_DIRECT, "anybody"), false, 0);
    EXPECT(decide(acl, nobody, ACL_SUBSCRIBE, "the news # 1"), true, 8);
    EXPECT(decide(acl, alice, ACL_SUBSCRIBE, "the news # 1"), false, 0);
    EXPECT(decide(acl, pump, ACL_OBSERVE, ""), true, 9);
    EXPECT(decide(acl, pump, ACL_SUBTOPIC, "x"), false, 0);
    acl_unref(acl);
}

static void a_default_is_what_is_left(void)
{
    struct acl *acl = parse("deny anyone publish a\n\ndefault allow\n");
    struct identity nobody = person("nobody", LOGIN_ANONYMOUS, "");

    EXPECT(decide(acl, nobody, ACL_PUBLISH, "a"), false, 1);
    EXPECT(decide(acl, nobody, ACL_PUBLISH, "b"), true, 3);
    acl_unref(acl);
    acl = parse("# nothing\n");
    EXPECT(decide(acl, nobody, ACL_PUBLISH, "a"), false, 0);
    acl_unref(acl);
}

static void errors_say_where_and_what_would_be_right(void)
{
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"alow anyone any *", "acl:1: expected allow or deny, not \"alow\"; did you mean "
                              "\"allow\"?"},
        {"\n# x\nallow", "acl:3: a rule is: allow|deny WHO ACTIONS PATTERN"},
        {"allow anyoe any *", "acl:1: expected anonymous, user, cert, key, web, anyone or uid, "
                              "not \"anyoe\"; did you mean \"anyone\"?"},
        {"allow anyone sub *",
         "acl:1: expected subscribe, publish, create, observe, subtopic, direct or any, not "
         "\"sub\""},
        {"allow anyone publish,subscibe *",
         "acl:1: expected subscribe, publish, create, observe, subtopic, direct or any, not "
         "\"subscibe\"; did you mean \"subscribe\"?"},
        {"allow user any *", "acl:1: a rule about user is: allow user WHOSE ACTIONS PATTERN"},
        {"deny anyone alice any *", "acl:1: a rule about anyone is: deny anyone ACTIONS PATTERN"},
        {"allow user alice any a b", "acl:1: more words than a rule has; put quotes around blanks"},
        {"allow anyone any \"a b", "acl:1: a quote is opened and not closed"},
        {"allow anyone any \"\"", "acl:1: a pattern has 1 to 255 bytes"},
        {"allow anyone any a%x", "acl:1: after '%' comes u (the login's name) or i (the UID); %% "
                                 "or %* for those characters"},
        {"allow anyone any a%", "acl:1: after '%' comes u (the login's name) or i (the UID); %% "
                                "or %* for those characters"},
        {"allow user %u any a", "acl:1: after '%' comes nothing here but %% or %* for those "
                                "characters"},
        {"default", "acl:1: expected default allow or default deny"},
        {"default denied", "acl:1: expected allow or deny, not \"denied\"; did you mean \"deny\"?"},
        {"default deny\nallow anyone any *",
         "acl:2: a rule after the default on line 1 would never be asked"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct acl *acl = parse(cases[i].text);

        CHECK(acl == NULL);
        CHECK_TEXT(error, cases[i].error);
        acl_unref(acl);
    }
}

static void a_list_may_be_long_but_not_endless(void)
{
    const char *line = "allow user someone publish a/topic/*/of/ours\n";
    size_t line_bytes = strlen(line);
    char *text = malloc(line_bytes * (ACL_RULE_COUNT_MAX + 1) + 1);

    CHECK(text != NULL);
    for (size_t i = 0; i <= ACL_RULE_COUNT_MAX; i++)
        memcpy(text + i * line_bytes, line, line_bytes + 1);
    CHECK(parse(text) == NULL);
    CHECK_TEXT(error, "acl:10001: more than 10000 rules");
    text[line_bytes * ACL_RULE_COUNT_MAX] = '\0';

    struct acl *acl = parse(text);
    struct identity someone = person("one-uid", LOGIN_USER, "someone");
    CHECK(acl != NULL);
    EXPECT(decide(acl, someone, ACL_PUBLISH, "a/topic/b/of/ours"), true, 1);
    EXPECT(decide(acl, someone, ACL_PUBLISH, "a/topic/b/of/theirs"), false, 0);
    acl_unref(acl);
    free(text);
}

static void the_same_rules_are_the_same_list(void)
{
    struct acl *acl = parse(LIST);
    struct acl *spaced = parse("# another comment\n\n" LIST);
    struct acl *longer = parse(LIST "deny anyone any x\n");
    struct acl *allowing = parse(LIST "default allow\n");
    struct acl *turned = parse("deny user a any b\n");
    struct acl *turned_too = parse("allow user a any b\n");

    CHECK(acl_is_same(acl, acl));
    CHECK(acl_is_same(acl, spaced));
    CHECK(!acl_is_same(acl, longer));
    CHECK(!acl_is_same(acl, allowing));
    CHECK(!acl_is_same(turned, turned_too));
    acl_unref(acl);
    acl_unref(spaced);
    acl_unref(longer);
    acl_unref(allowing);
    acl_unref(turned);
    acl_unref(turned_too);
    acl_unref(NULL);
}

static void a_list_comes_from_a_file(void)
{
    char path[] = "/tmp/smqd-acl-XXXXXX";
    int fd = mkstemp(path);
    struct identity nobody = person("nobody", LOGIN_ANONYMOUS, "");

    CHECK(fd >= 0);
    CHECK(write(fd, "allow anyone any *\n", 19) == 19);
    close(fd);
    struct acl *acl = acl_load(path, error);
    CHECK(acl != NULL);
    struct acl *other = acl_ref(acl);
    acl_unref(acl);
    EXPECT(decide(other, nobody, ACL_PUBLISH, "x"), true, 1);
    acl_unref(other);
    unlink(path);
    CHECK(acl_load(path, error) == NULL);
    CHECK(strstr(error, path) != NULL);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(short_patterns_match_as_they_should),
        CHECK_TEST(names_are_put_in_byte_for_byte),
        CHECK_TEST(a_long_pattern_and_a_long_name_end),
        CHECK_TEST(the_first_match_decides_and_is_named),
        CHECK_TEST(a_default_is_what_is_left),
        CHECK_TEST(errors_say_where_and_what_would_be_right),
        CHECK_TEST(a_list_may_be_long_but_not_endless),
        CHECK_TEST(the_same_rules_are_the_same_list),
        CHECK_TEST(a_list_comes_from_a_file),
    };

    return check_main(tests, COUNT_OF(tests), argc, argv);
}
