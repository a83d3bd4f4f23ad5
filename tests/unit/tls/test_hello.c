/*
 * tests/unit/tls/test_hello.c — mirrors tls/hello.c.
 *
 * Goal:   the choice of the certificate, for every kind of client; malformed extensions are as if
 *         they were not there.
 * Method: ClientHello parts written by hand, as bytes.
 */
#include "tls/hello.h"

#include <stdlib.h>

#include "tests/unit/tls/check.h"

static uint8_t extensions[1024];
static size_t extensions_bytes;

static void add(uint16_t type, const void *body, size_t body_bytes)
{
    uint8_t *at = extensions + extensions_bytes;

    at[0] = (uint8_t)(type >> 8);
    at[1] = (uint8_t)type;
    at[2] = (uint8_t)(body_bytes >> 8);
    at[3] = (uint8_t)body_bytes;
    memcpy(at + 4, body, body_bytes);
    extensions_bytes += 4 + body_bytes;
}

#define ADD(type, text) add(type, text, sizeof(text) - 1)

/* Extensions as clients write them. */
#define WITH_1_3()      ADD(43, "\x04\x03\x04\x03\x03")
#define SIGNS_BOTH()    ADD(13, "\0\x06\x04\x03\x08\x04\x04\x01")
#define SIGNS_ECDSA()   ADD(13, "\0\x02\x04\x03")
#define SIGNS_RSA()     ADD(13, "\0\x04\x08\x04\x04\x01")
#define SIGNS_PKCS1()   ADD(13, "\0\x02\x04\x01")
#define GROUPS_P256()   ADD(10, "\0\x04\0\x1d\0\x17")
#define GROUPS_X25519() ADD(10, "\0\x02\0\x1d")
#define ALPN_BROWSER()  ADD(16, "\0\x0c\x02h2\x08http/1.1")
#define ALPN_OTHER()    ADD(16, "\0\x05\x04mqtt")
#define SNI_EXAMPLE()   ADD(0, "\0\x12\0\0\x0fsmq.example.org")

static const uint8_t suites_both[] = {0xC0, 0x2B, 0xC0, 0x2F, 0x13, 0x01};
static const uint8_t suites_ecdsa[] = {0xC0, 0x2B};
static const uint8_t suites_rsa[] = {0xCC, 0xA8};
static const uint8_t suites_old[] = {0x00, 0x2F, 0xC0, 0x13};

static struct tls_hello hello;

static void begin(void)
{
    extensions_bytes = 0;
}

static void read_with(const uint8_t *suites, size_t suites_bytes, bool allow_1_3)
{
    /* Exactly as large as the input, so that a sanitizer sees every step too far. */
    static uint8_t *copy;
    free(copy);
    copy = malloc(extensions_bytes + 1);
    memcpy(copy, extensions, extensions_bytes);
    struct tls_hello_parts parts = {span_of(suites, suites_bytes), span_of(copy, extensions_bytes)};

    tls_hello_read(&parts, allow_1_3, &hello);
}

#define READ(suites) read_with(suites, sizeof(suites), true)

static enum tls_cert choose(const struct tls_rule *rules, size_t rule_count)
{
    return tls_hello_choose(&hello, true, true, rules, rule_count);
}

static void malformed_extensions_are_as_if_not_there(void)
{
    begin();
    ADD(43, "\x05\x03\x04"); /* the list is longer than the extension */
    ADD(13, "\0");
    ADD(0, "\0\x12\0\0\xffsmq");
    ADD(16, "\0\xff\x02h2");
    READ(suites_both);
    CHECK(!hello.is_1_3);
    CHECK(!hello.can_ecc);
    CHECK(hello.can_rsa);
    CHECK_EQUAL(hello.sni.bytes_count, 0);
    CHECK_EQUAL(hello.alpn.bytes_count, 0);
}

static void cutting_a_hello_anywhere_does_no_harm(void)
{
    begin();
    WITH_1_3();
    SIGNS_BOTH();
    GROUPS_P256();
    ALPN_BROWSER();
    SNI_EXAMPLE();
    size_t whole_bytes = extensions_bytes;
    for (size_t bytes = 0; bytes <= whole_bytes; bytes++) {
        extensions_bytes = bytes;
        READ(suites_both);
        (void)choose(NULL, 0);
    }
    CHECK(hello.is_1_3 && hello.can_ecc && hello.can_rsa);
}

static void a_name_that_is_too_long_is_none(void)
{
    uint8_t body[5 + 300] = {0x01, 0x2f, 0, 0x01, 0x2c};

    memset(body + 5, 'a', 300);
    begin();
    add(0, body, sizeof(body));
    READ(suites_both);
    CHECK_EQUAL(hello.sni.bytes_count, 0);
}

static void a_1_3_client_that_signs_only_one_way_gets_that_certificate(void)
{
    begin();
    WITH_1_3();
    SIGNS_ECDSA();
    ALPN_BROWSER(); /* would say RSA if there was a choice */
    READ(suites_both);
    CHECK_EQUAL(choose(NULL, 0), TLS_CERT_ECC);
    begin();
    WITH_1_3();
    SIGNS_RSA();
    READ(suites_both);
    CHECK_EQUAL(choose(NULL, 0), TLS_CERT_RSA);
}

static void pkcs1_alone_is_no_way_to_sign_in_1_3(void)
{
    begin();
    WITH_1_3();
    SIGNS_PKCS1();
    READ(suites_both);
    CHECK(!hello.can_rsa);
    read_with(suites_both, sizeof(suites_both), false); /* but it is in 1.2 */
    CHECK(!hello.is_1_3);
    CHECK(hello.can_rsa);
}

static void a_1_2_client_without_p256_gets_rsa(void)
{
    begin();
    SIGNS_BOTH();
    GROUPS_X25519();
    READ(suites_both);
    CHECK_EQUAL(choose(NULL, 0), TLS_CERT_RSA);
    begin();
    SIGNS_BOTH();
    READ(suites_both);
    CHECK_EQUAL(choose(NULL, 0), TLS_CERT_RSA);
}

static void a_1_2_client_without_an_ecdsa_suite_gets_rsa(void)
{
    begin();
    SIGNS_BOTH();
    GROUPS_P256();
    READ(suites_rsa);
    CHECK_EQUAL(choose(NULL, 0), TLS_CERT_RSA);
}

static void a_1_2_client_without_an_rsa_suite_gets_ecc(void)
{
    begin();
    SIGNS_BOTH();
    GROUPS_P256();
    ALPN_BROWSER();
    READ(suites_ecdsa);
    CHECK_EQUAL(choose(NULL, 0), TLS_CERT_ECC);
}

static void an_old_client_without_signature_algorithms_gets_rsa(void)
{
    begin();
    GROUPS_P256();
    READ(suites_both);
    CHECK_EQUAL(choose(NULL, 0), TLS_CERT_RSA);
}

static void a_client_that_can_take_neither_gets_the_ordinary_failure(void)
{
    begin();
    SIGNS_BOTH();
    GROUPS_P256();
    READ(suites_old);
    CHECK(!hello.can_ecc && !hello.can_rsa);
    CHECK_EQUAL(choose(NULL, 0), TLS_CERT_ECC);
}

static void both_possible_is_ecc_for_a_device_and_rsa_for_a_browser(void)
{
    begin();
    WITH_1_3();
    SIGNS_BOTH();
    READ(suites_both);
    CHECK_EQUAL(choose(NULL, 0), TLS_CERT_ECC);
    ALPN_OTHER();
    READ(suites_both);
    CHECK_EQUAL(choose(NULL, 0), TLS_CERT_ECC);
    begin();
    WITH_1_3();
    SIGNS_BOTH();
    ALPN_BROWSER();
    READ(suites_both);
    CHECK_EQUAL(choose(NULL, 0), TLS_CERT_RSA);
}

static void the_first_rule_that_matches_decides(void)
{
    static const struct tls_rule rules[] = {
        {TLS_RULE_SNI, TLS_CERT_ECC, "devices.example.org"},
        {TLS_RULE_SNI, TLS_CERT_RSA, "*.example.org"},
        {TLS_RULE_ALPN, TLS_CERT_ECC, "h2"},
    };

    begin();
    WITH_1_3();
    SIGNS_BOTH();
    SNI_EXAMPLE();
    READ(suites_both);
    CHECK_EQUAL(choose(rules, 3), TLS_CERT_RSA);
    CHECK_EQUAL(choose(rules, 1), TLS_CERT_ECC); /* no match: the default, a device */
    ALPN_BROWSER();
    READ(suites_both);
    CHECK_EQUAL(choose(rules, 3), TLS_CERT_RSA);
    CHECK_EQUAL(choose(rules + 2, 1), TLS_CERT_ECC);
}

static void a_wildcard_stands_for_exactly_one_label(void)
{
    static const struct {
        const char *name;
        const char *sni;
        bool matches;
    } cases[] = {
        {"*.example.org", "a.example.org", true},
        {"*.EXAMPLE.org", "a.Example.ORG", true},
        {"*.example.org", "example.org", false},
        {"*.example.org", "a.b.example.org", false},
        {"*.example.org", ".example.org", false},
        {"example.org", "EXAMPLE.org", true},
        {"example.org", "xexample.org", false},
        {"example.org", "example.orgx", false},
        {"example.org", "", false},
        {"", "", false},
    };

    begin();
    WITH_1_3();
    SIGNS_BOTH();
    READ(suites_both);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tls_rule rule = {TLS_RULE_SNI, TLS_CERT_RSA, cases[i].name};

        hello.sni = span_of(cases[i].sni, strlen(cases[i].sni));
        CHECK_EQUAL(choose(&rule, 1), cases[i].matches ? TLS_CERT_RSA : TLS_CERT_ECC);
    }
}

static void with_one_credential_there_is_nothing_to_choose(void)
{
    begin();
    READ(suites_both);
    CHECK_EQUAL(tls_hello_choose(&hello, true, false, NULL, 0), TLS_CERT_ECC);
    CHECK_EQUAL(tls_hello_choose(&hello, false, true, NULL, 0), TLS_CERT_RSA);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(malformed_extensions_are_as_if_not_there),
        CHECK_TEST(cutting_a_hello_anywhere_does_no_harm),
        CHECK_TEST(a_name_that_is_too_long_is_none),
        CHECK_TEST(a_1_3_client_that_signs_only_one_way_gets_that_certificate),
        CHECK_TEST(pkcs1_alone_is_no_way_to_sign_in_1_3),
        CHECK_TEST(a_1_2_client_without_p256_gets_rsa),
        CHECK_TEST(a_1_2_client_without_an_ecdsa_suite_gets_rsa),
        CHECK_TEST(a_1_2_client_without_an_rsa_suite_gets_ecc),
        CHECK_TEST(an_old_client_without_signature_algorithms_gets_rsa),
        CHECK_TEST(a_client_that_can_take_neither_gets_the_ordinary_failure),
        CHECK_TEST(both_possible_is_ecc_for_a_device_and_rsa_for_a_browser),
        CHECK_TEST(the_first_rule_that_matches_decides),
        CHECK_TEST(a_wildcard_stands_for_exactly_one_label),
        CHECK_TEST(with_one_credential_there_is_nothing_to_choose),
    };

    return check_main(tests, COUNT_OF(tests), argc, argv);
}
