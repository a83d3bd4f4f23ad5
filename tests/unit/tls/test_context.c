/*
 * tests/unit/tls/test_context.c — mirrors tls/context.c.
 *
 * Goal:   a context is built whole or not at all, and a refusal names the file and the reason.
 * Method: the files of a good CA, each in turn missing, damaged, exchanged for another.
 */
#include "tls/context.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/tls/check.h"
#include "tests/unit/tls/fixture.h"
#include "tls/boring_memory.h"

static char error[TLS_ERROR_BYTES];
static char odd_path[PATH_MAX]; /* a file that the test writes */

static const char *odd_file(const char *text)
{
    snprintf(odd_path, sizeof(odd_path), "%s/odd", credentials_get()->folder);
    FILE *file = fopen(odd_path, "w");
    must(file);
    fputs(text, file);
    fclose(file);
    return odd_path;
}

/* The refusal must name @path and say @reason. */
static void check_refused(const struct tls_context_options *options, const char *path,
                          const char *reason)
{
    struct tls_context *context = tls_context_create(options, error);

    CHECK(context == NULL);
    CHECK(strncmp(error, path, strlen(path)) == 0);
    CHECK(strstr(error, reason) != NULL);
    if (check_failures > 0)
        fprintf(stderr, "  the refusal was: %s\n", error);
    tls_context_unref(context);
}

static void no_certificate_at_all_is_refused(void)
{
    struct tls_context_options options = {.name = "listener 1"};

    check_refused(&options, "listener 1", "needs a certificate");
}

static void a_missing_file_is_named(void)
{
    struct tls_context_options options = options_default();

    options.ecc.chain_path = "/nonexistent/x.crt";
    check_refused(&options, "/nonexistent/x.crt", strerror(ENOENT));
    options = options_default();
    options.rsa.key_path = "/nonexistent/x.key";
    check_refused(&options, "/nonexistent/x.key", "private key");
    options = options_default();
    options.ecc.chain_path = "/tmp";
    check_refused(&options, "/tmp", "plain file");
}

static void a_file_without_a_certificate_is_named(void)
{
    struct tls_context_options options = options_default();

    options.ecc.chain_path = odd_file("hello\n");
    check_refused(&options, odd_path, "no certificate in this file");
    options.ecc.chain_path = odd_file("");
    check_refused(&options, odd_path, "no certificate in this file");
    options.ecc.chain_path =
        odd_file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    check_refused(&options, odd_path, "damaged");
    options.ecc.chain_path = odd_file("-----BEGIN CERTIFICATE-----\nMIIB");
    check_refused(&options, odd_path, "damaged");
}

static void a_key_that_cannot_be_read_is_named(void)
{
    struct tls_context_options options = options_default();

    options.ecc.key_path = odd_file("no key");
    check_refused(&options, odd_path, "no private key");
}

static void an_encrypted_key_is_refused_without_asking(void)
{
    struct tls_context_options options = options_default();

    options.ecc.key_path = odd_file("-----BEGIN EC PRIVATE KEY-----\n"
                                    "Proc-Type: 4,ENCRYPTED\n"
                                    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
                                    "AAAAAAAAAAAAAAAAAAAAAA==\n"
                                    "-----END EC PRIVATE KEY-----\n");
    check_refused(&options, odd_path, "not encrypted");
}

static void a_key_of_another_certificate_is_refused(void)
{
    struct tls_context_options options = options_default();

    options.ecc.key_path = credentials_get()->device.pem_path;
    check_refused(&options, options.ecc.key_path, "does not belong");
}

static void the_two_kinds_may_not_be_exchanged(void)
{
    struct tls_context_options options = options_default();
    struct tls_cert_files ecc = options.ecc;

    options.ecc = options.rsa;
    check_refused(&options, options.ecc.chain_path, "P-256");
    options = options_default();
    options.rsa = ecc;
    check_refused(&options, ecc.chain_path, "RSA");
}

static void client_certificates_need_a_ca(void)
{
    struct tls_context_options options = options_default();

    options.client_auth = TLS_CLIENT_REQUIRED;
    check_refused(&options, "test", "no client CA");
    options.client_ca_path = credentials_get()->server.ecc_chain_path;
    check_refused(&options, options.client_ca_path, "not one of a CA");
}

static void a_revocation_list_of_somebody_else_is_refused(void)
{
    struct tls_context_options options = options_default();
    char other_folder[] = "/tmp/smq-tls-other-XXXXXX";
    char ca_path[PATH_MAX];
    char crl_path[PATH_MAX];
    char command[64];

    must(mkdtemp(other_folder));
    /* the same name, another key: the signature has to tell */
    char host_name[64] = "";
    char root_name[80];
    must(gethostname(host_name, sizeof(host_name) - 1) == 0);
    snprintf(root_name, sizeof(root_name), "SMQ CA %.50s", host_name);
    char ca_error_text[TLS_CA_ERROR_BYTES];
    must(tls_ca_init(other_folder, root_name, ca_error_text));
    tls_ca_root_path(other_folder, ca_path);
    tls_ca_crl_path(other_folder, crl_path);

    options.client_auth = TLS_CLIENT_OPTIONAL;
    options.client_ca_path = credentials_get()->server.ca_path;
    options.client_crl_path = crl_path;
    check_refused(&options, crl_path, "not signed by a CA");
    options.client_crl_path = odd_file("nothing");
    check_refused(&options, odd_path, "no revocation list");
    options.client_crl_path = odd_file("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    check_refused(&options, odd_path, "damaged");
    options.client_auth = TLS_CLIENT_OFF;
    check_refused(&options, odd_path, "no client certificates");
    snprintf(command, sizeof(command), "rm -r %s", other_folder);
    must(system(command) == 0);
}

static void too_many_rules_are_refused(void)
{
    struct tls_context_options options = options_default();
    static struct tls_rule rules[TLS_RULES_MAX + 1];

    for (size_t i = 0; i < COUNT_OF(rules); i++)
        rules[i] = (struct tls_rule){TLS_RULE_SNI, TLS_CERT_ECC, "x"};
    options.rules = rules;
    options.rule_count = COUNT_OF(rules);
    check_refused(&options, "test", "at most 32");
}

static void a_refusal_leaves_no_memory_behind(void)
{
    struct tls_context_options options = options_default();

    options.rsa.key_path = options.ecc.key_path;
    CHECK(tls_context_create(&options, error) == NULL);
    int64_t before_bytes = tls_boring_bytes_of_thread();
    for (int i = 0; i < 10; i++)
        CHECK(tls_context_create(&options, error) == NULL);
    CHECK_EQUAL(tls_boring_bytes_of_thread(), before_bytes);
}

static void what_is_served_is_told(void)
{
    struct tls_context_options options = options_default();
    struct tls_context *context = context_make(&options);
    const struct tls_context_facts *facts = tls_context_facts(context);

    CHECK(facts->have_ecc && facts->have_rsa);
    CHECK(facts->ecc_chain_bytes > 300 && facts->ecc_chain_bytes < 800);
    CHECK(facts->rsa_chain_bytes > facts->ecc_chain_bytes);
    int64_t days = tls_days_left(facts->expiry_s, time(NULL));
    CHECK(days > 800 && days <= 820);
    CHECK_TEXT(facts->expiry_path, options.ecc.chain_path);
    tls_context_unref(context);

    options.rsa.chain_path = NULL;
    context = context_make(&options);
    CHECK(!tls_context_facts(context)->have_rsa);
    tls_context_unref(context);
}

static void days_left_round_down(void)
{
    CHECK_EQUAL(tls_days_left(86400, 0), 1);
    CHECK_EQUAL(tls_days_left(86399, 0), 0);
    CHECK_EQUAL(tls_days_left(0, 0), 0);
    CHECK_EQUAL(tls_days_left(0, 1), -1);
    CHECK_EQUAL(tls_days_left(0, 86401), -2);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(no_certificate_at_all_is_refused),
        CHECK_TEST(a_missing_file_is_named),
        CHECK_TEST(a_file_without_a_certificate_is_named),
        CHECK_TEST(a_key_that_cannot_be_read_is_named),
        CHECK_TEST(an_encrypted_key_is_refused_without_asking),
        CHECK_TEST(a_key_of_another_certificate_is_refused),
        CHECK_TEST(the_two_kinds_may_not_be_exchanged),
        CHECK_TEST(client_certificates_need_a_ca),
        CHECK_TEST(a_revocation_list_of_somebody_else_is_refused),
        CHECK_TEST(too_many_rules_are_refused),
        CHECK_TEST(a_refusal_leaves_no_memory_behind),
        CHECK_TEST(what_is_served_is_told),
        CHECK_TEST(days_left_round_down),
    };
    int code = check_main(tests, COUNT_OF(tests), argc, argv);

    credentials_remove();
    return code;
}
