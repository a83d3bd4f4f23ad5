/*
 * tests/unit/server/test_config_policies.c — mirrors server/config_policies.c.
 *
 * Goal:   what a listener's section says is what that listener has, and the section tls the rest;
 *         equal policies are one; every mistake is found.
 */
#include "server/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config config;
static struct config_error error;
static bool loaded;

static bool load_with(const char *text, struct options options)
{
    char path[] = "/tmp/smqd-policies-XXXXXX";
    int fd = mkstemp(path);

    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    if (loaded)
        config_deinit(&config);
    options.config_path = path;
    loaded = config_load(&config, &options, &error);
    unlink(path);
    return loaded;
}

static void take(const char *text)
{
    cr_assert(load_with(text, (struct options){0}), "%s", error.text);
}

static void refuse(const char *text, const char *words)
{
    cr_assert_not(load_with(text, (struct options){0}), "taken: %s", text);
    cr_assert(strstr(error.text, words), "\"%s\" does not say \"%s\"", error.text, words);
}

static void stop(void)
{
    if (loaded)
        config_deinit(&config);
    loaded = false;
}

TestSuite(config_policies, .fini = stop);

static const struct config_tls *policy_of(uint32_t listener_index)
{
    return &config.tls_policies[config.listeners[listener_index].policy_index];
}

#define TWO "listen = {\"tls://127.0.0.1:1\", \"tls://127.0.0.1:2\"}\n"

Test(config_policies, without_a_section_all_are_alike)
{
    take(TWO "tls { client_auth = optional client_ca = \"/ca\" ecc_certificate = \"/a\" }\n");
    cr_assert_eq(config.tls_policy_count, 1);
    cr_assert_eq(policy_of(0), policy_of(1));
    cr_assert_str_eq(policy_of(0)->client_ca, "/ca");
    take("listen = {\"tcp://127.0.0.1:1\"}\n");
    cr_assert_eq(config.tls_policy_count, 0);
}

Test(config_policies, a_section_changes_what_it_says_and_nothing_else)
{
    take(TWO "tls { rules = \"alpn:h2=ecc\" version_min = 1.3 rsa_certificate = \"/r\" }\n"
             "listener \"tls://127.0.0.1:2\" { rules = \"\" client_auth = required client_ca = "
             "\"/ca\" }\n");
    cr_assert_eq(config.tls_policy_count, 2);
    cr_assert_str_eq(policy_of(0)->rules, "alpn:h2=ecc");
    cr_assert_eq(policy_of(0)->client_auth, CONFIG_CLIENT_OFF);
    cr_assert_str_eq(policy_of(1)->rules, "");
    cr_assert_eq(policy_of(1)->client_auth, CONFIG_CLIENT_REQUIRED);
    cr_assert_eq(policy_of(1)->version_min, CONFIG_TLS_1_3);
    cr_assert_str_eq(policy_of(1)->rsa_certificate, "/r");
}

Test(config_policies, it_does_not_matter_which_section_comes_first)
{
    take("listener \"tls://127.0.0.1:2\" { version_min = 1.2 }\n" TWO
         "tls { version_min = 1.3 }\n");
    cr_assert_eq(policy_of(0)->version_min, CONFIG_TLS_1_3);
    cr_assert_eq(policy_of(1)->version_min, CONFIG_TLS_1_2);
}

Test(config_policies, a_section_that_changes_nothing_makes_no_other_policy)
{
    take(TWO "listener \"tls://127.0.0.1:2\" { client_auth = off }\n");
    cr_assert_eq(config.tls_policy_count, 1);
}

Test(config_policies, a_certificate_of_ones_own_has_a_key_of_ones_own)
{
    take(TWO
         "tls { ecc_certificate = \"/a\" ecc_key = \"/a.key\" rsa_certificate = \"/r\" rsa_key = "
         "\"/r.key\" }\n"
         "listener \"tls://127.0.0.1:2\" { ecc_certificate = \"/b\" }\n");
    cr_assert_str_eq(policy_of(1)->ecc_key, "");
    cr_assert_str_eq(policy_of(1)->rsa_key, "/r.key");
    take(TWO "tls { ecc_certificate = \"/a\" ecc_key = \"/a.key\" }\n"
             "listener \"tls://127.0.0.1:2\" { ecc_key = \"/b.key\" ecc_certificate = \"/b\" }\n");
    cr_assert_str_eq(policy_of(1)->ecc_key, "/b.key");
    cr_assert_str_eq(policy_of(0)->ecc_key, "/a.key");
}

Test(config_policies, the_command_line_changes_what_they_have_in_common)
{
    struct options options = {.settings = {"tls.version_min=1.3"}, .setting_count = 1};

    cr_assert(
        load_with(TWO "listener \"tls://127.0.0.1:2\" { bind_uid = off rules = \"alpn:a=rsa\" }\n",
                  options));
    cr_assert_eq(policy_of(0)->version_min, CONFIG_TLS_1_3);
    cr_assert_eq(policy_of(1)->version_min, CONFIG_TLS_1_3);
}

Test(config_policies, addresses_of_the_command_line_need_no_section)
{
    struct options options = {.listen_urls = {"tls://127.0.0.1:3"}, .listen_count = 1};

    cr_assert(load_with(TWO "listener \"tls://127.0.0.1:2\" { version_min = 1.3 }\n", options));
    cr_assert_eq(policy_of(0)->version_min, CONFIG_TLS_1_2);
}

Test(config_policies, mistakes_are_found)
{
    refuse(TWO "\nlistener \"tls://127.0.0.1:3\" { }\n",
           ":3: listener \"tls://127.0.0.1:3\": no such address");
    refuse("listen = {\"tcp://127.0.0.1:1\"}\nlistener \"tcp://127.0.0.1:1\" { rules = x }\n",
           "is about TLS");
    refuse(TWO "listener \"tls://127.0.0.1:2\" {\n client_auth = maybe\n}\n",
           ":3: tls.client_auth");
    refuse(TWO "listener \"tls://127.0.0.1:2\" {\n ticket_ms = 60000\n}\n",
           ":3: ticket_ms is one for all");
    refuse(TWO "listener \"tls://127.0.0.1:2\" {\n nonsense = 1\n}\n", ":3: unknown key");
    refuse(TWO "listener \"tls://127.0.0.1:2\" { }\nlistener \"tls://127.0.0.1:2\" { }\n",
           "write it once");
    refuse(TWO "listener \"tls://127.0.0.1:2\" { bind_uid = on }\n",
           "listener \"tls://127.0.0.1:2\": tls.bind_uid");
    refuse(TWO "listener \"tls://127.0.0.1:2\" { rules = \"h2=rsa\" }\n",
           "begins with sni: or alpn:");
    refuse(TWO "tls { rules = \"sni:x=dsa\" }\n", "tls.rules: \"sni:x=dsa\"");
    refuse(TWO "tls { ecc_certificate = \"/a\" }\n"
               "listener \"tls://127.0.0.1:2\" { client_auth = required }\n",
           "needs tls.client_ca");
}

Test(config_policies, what_is_printed_is_read_back_the_same)
{
    static const char text[] =
        TWO "tls { client_ca = \"/ca\" }\n"
            "listener \"tls://127.0.0.1:2\" { rules = \"sni:*.a.example=ecc\" "
            "client_auth = required }\n";
    char *printed[2];

    for (int i = 0; i < 2; i++) {
        size_t bytes;
        FILE *out = open_memstream(&printed[i], &bytes);

        take(i == 0 ? text : printed[0]);
        config_print(&config, out);
        fclose(out);
    }
    cr_assert_str_eq(printed[0], printed[1]);
    cr_assert(strstr(printed[0],
                     "listener \"tls://127.0.0.1:2\" {\n    rules = \"sni:*.a.example=ecc\"\n"));
    free(printed[0]);
    free(printed[1]);
}
