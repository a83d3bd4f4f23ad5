/*
 * tests/unit/tls/test_rules.c — mirrors tls/rules.c.
 *
 * Goal:   what is written is what tls_hello_choose gets, in order; each mistake is named.
 */
#include "tls/rules.h"

#include <string.h>

#include "tests/unit/tls/check.h"

static struct tls_rules rules;
static char reason[TLS_RULES_REASON_BYTES];

static void nothing_is_no_rule(void)
{
    CHECK(tls_rules_parse(&rules, "", reason));
    CHECK_EQUAL(rules.count, 0);
    CHECK(tls_rules_parse(&rules, " ,\n ", reason));
    CHECK_EQUAL(rules.count, 0);
}

static void rules_come_in_order(void)
{
    CHECK(
        tls_rules_parse(&rules, "sni:a.example=ecc,sni:*.example.org=rsa\n  alpn:h2=ecc", reason));
    CHECK_EQUAL(rules.count, 3);
    CHECK_EQUAL(rules.rules[0].kind, TLS_RULE_SNI);
    CHECK_EQUAL(rules.rules[0].cert, TLS_CERT_ECC);
    CHECK_TEXT(rules.rules[0].name, "a.example");
    CHECK_EQUAL(rules.rules[1].cert, TLS_CERT_RSA);
    CHECK_TEXT(rules.rules[1].name, "*.example.org");
    CHECK_EQUAL(rules.rules[2].kind, TLS_RULE_ALPN);
    CHECK_TEXT(rules.rules[2].name, "h2");
}

static void a_name_may_have_an_equals_sign(void)
{
    CHECK(tls_rules_parse(&rules, "alpn:a=b=rsa", reason));
    CHECK_TEXT(rules.rules[0].name, "a=b");
}

static void each_mistake_is_named(void)
{
    static const char *const mistakes[][2] = {
        {"h2=rsa", "begins with sni: or alpn:"},
        {"sni:a.example", "ends with =ecc or =rsa"},
        {"sni:a.example=dsa", "ends with =ecc or =rsa"},
        {"sni:=ecc", "empty or too long"},
        {"sni:a.*.example=ecc", "first label only"},
        {"sni:*=ecc", "first label only"},
        {"sni:**.example=ecc", "first label only"},
        {"sni:*.*.example=ecc", "first label only"},
        {"alpn:h2=rsa sni:x", "\"sni:x\""},
    };

    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        reason[0] = '\0';
        CHECK(!tls_rules_parse(&rules, mistakes[i][0], reason));
        CHECK(strstr(reason, mistakes[i][1]) != NULL);
    }
}

static void there_is_a_limit(void)
{
    char text[16 * (TLS_RULES_MAX + 1) + 1] = "";

    for (unsigned i = 0; i < TLS_RULES_MAX; i++)
        memcpy(text + (size_t)i * 16, "alpn:abcdef=rsa ", 16);
    CHECK(tls_rules_parse(&rules, text, reason));
    CHECK_EQUAL(rules.count, TLS_RULES_MAX);
    strcat(text, "alpn:a=rsa");
    CHECK(!tls_rules_parse(&rules, text, reason));
    CHECK(strstr(reason, "32") != NULL);
}

static void a_name_of_any_length_is_safe(void)
{
    static char text[TLS_RULES_BYTES_MAX + 32];

    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "sni:", 4);
    CHECK(!tls_rules_parse(&rules, text, reason)); /* longer than all rules may be */
    memcpy(text + 4 + TLS_NAME_BYTES_MAX, "=ecc", 5);
    CHECK(tls_rules_parse(&rules, text, reason));
    memset(text, 'x', 300);
    memcpy(text, "sni:", 4);
    memcpy(text + 5 + TLS_NAME_BYTES_MAX, "=ecc", 5);
    CHECK(!tls_rules_parse(&rules, text, reason));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(nothing_is_no_rule),    CHECK_TEST(rules_come_in_order),
        CHECK_TEST(each_mistake_is_named), CHECK_TEST(a_name_may_have_an_equals_sign),
        CHECK_TEST(there_is_a_limit),      CHECK_TEST(a_name_of_any_length_is_safe),
    };

    return check_main(tests, COUNT_OF(tests), argc, argv);
}
