/*
 * tests/unit/tls/test_ca.c — mirrors tls/ca.c and its family.
 *
 * Goal:   files as promised, refusals that leave nothing changed, an index that survives damage
 *         being found. That others accept the certificates is shown in s_client.py, with openssl.
 */
#include "tls/ca.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tls/check.h"
#include "tls/ca_files.h"
#include "tls/peer.h"

static char folder[64];
static char path[PATH_MAX];
static char error[TLS_CA_ERROR_BYTES];

static const char *at(const char *file)
{
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    return path;
}

static void begin(void)
{
    strcpy(folder, "/tmp/smq-ca-test-XXXXXX");
    must(mkdtemp(folder));
}

static void end(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    must(system(command) == 0);
}

static struct tls_ca *begin_with_ca(void)
{
    begin();
    CHECK(tls_ca_init(folder, "test CA", error));
    struct tls_ca *ca = tls_ca_open(folder, error);
    must(ca);
    return ca;
}

static unsigned mode_of(const char *file)
{
    struct stat facts;

    if (stat(at(file), &facts) != 0)
        return 0;
    return facts.st_mode & 0777;
}

static unsigned listed_count;
static unsigned revoked_count;

static void count_entry(void *context, const struct tls_ca_entry *entry)
{
    (void)context;
    listed_count++;
    revoked_count += entry->revoked ? 1 : 0;
}

static void list(struct tls_ca *ca)
{
    listed_count = 0;
    revoked_count = 0;
    CHECK(tls_ca_list(ca, count_entry, NULL, error));
}

static void a_folder_without_a_ca_is_refused_with_advice(void)
{
    begin();
    CHECK(tls_ca_open(folder, error) == NULL);
    CHECK(strstr(error, "smq ca init") != NULL);
    CHECK(tls_ca_open("/nonexistent/folder", error) == NULL);
    CHECK(!tls_ca_init("/nonexistent/folder", "x", error));
    CHECK(strstr(error, "/nonexistent/folder") != NULL);
    end();
}

static void a_second_init_changes_nothing(void)
{
    struct stat before;
    struct stat after;

    tls_ca_close(begin_with_ca());
    CHECK_EQUAL(stat(at("ca.key"), &before), 0);
    CHECK(!tls_ca_init(folder, "another", error));
    CHECK(strstr(error, "already") != NULL);
    CHECK_EQUAL(stat(at("ca.key"), &after), 0);
    CHECK_EQUAL(before.st_ino, after.st_ino);
    end();
}

static void names_that_are_none_are_refused(void)
{
    static const char *const bad[] = {
        "",           "a b",          "a,DNS:evil", "a\nb",       "*",     "*.",
        "a..b",       ".a",           "a.",         "*.*.a",      "a.*.b", "-a",
        "1.2.3.4/24", "fe80::1%eth0", "host:8883",  "tls://host", "\xff",
    };
    static const char *const good[] = {
        "localhost", "a",   "a-b.c_d.example", "*.example.org",
        "192.0.2.1", "::1", "2001:db8::1",     "xn--bcher-kva.example",
    };
    char label64[70];

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(!tls_ca_server_name_is_good(bad[i]));
    for (size_t i = 0; i < COUNT_OF(good); i++)
        CHECK(tls_ca_server_name_is_good(good[i]));
    memset(label64, 'a', 64);
    label64[64] = 0;
    CHECK(!tls_ca_server_name_is_good(label64));
    CHECK(tls_ca_server_name_is_good(label64 + 1));

    CHECK(tls_ca_device_name_is_good("pump-7"));
    CHECK(tls_ca_device_name_is_good(label64));
    CHECK(!tls_ca_device_name_is_good(""));
    CHECK(!tls_ca_device_name_is_good("../x"));
    CHECK(!tls_ca_device_name_is_good(".."));
    CHECK(!tls_ca_device_name_is_good("a/b"));
    CHECK(!tls_ca_device_name_is_good("-rf"));
}

static void a_refused_name_leaves_no_line_and_no_file(void)
{
    struct tls_ca *ca = begin_with_ca();
    struct tls_ca_device device;
    struct tls_ca_server server;
    const char *const names[] = {"good", "b a d"};

    CHECK(!tls_ca_device(ca, "../evil", &device, error));
    CHECK(!tls_ca_server(ca, "good", names, 2, &server, error));
    CHECK(strstr(error, "b a d") != NULL);
    CHECK(!tls_ca_server(ca, "good", names, 0, &server, error));
    list(ca);
    CHECK_EQUAL(listed_count, 0);
    CHECK_EQUAL(access(at("server"), F_OK), -1);
    tls_ca_close(ca);
    end();
}

static void keys_are_for_their_owner_alone(void)
{
    struct tls_ca *ca = begin_with_ca();
    struct tls_ca_device device;
    struct tls_ca_server server;
    const char *const names[] = {"localhost"};
    mode_t before = umask(0); /* the strictest case: nothing is taken away for us */

    CHECK(tls_ca_server(ca, "local", names, 1, &server, error));
    CHECK(tls_ca_device(ca, "pump-7", &device, error));
    CHECK_EQUAL(mode_of("ca.key"), 0600);
    CHECK_EQUAL(mode_of("server/local/ecc.key"), 0600);
    CHECK_EQUAL(mode_of("server/local/rsa.key"), 0600);
    CHECK_EQUAL(mode_of("device/pump-7.pem"), 0600);
    CHECK_EQUAL(mode_of("device/pump-7.h"), 0600);
    CHECK_EQUAL(mode_of("server/local/ecc.crt"), 0644);
    umask(before);
    tls_ca_close(ca);
    end();
}

static void a_device_has_one_valid_certificate_at_a_time(void)
{
    struct tls_ca *ca = begin_with_ca();
    struct tls_ca_device device;
    uint32_t count;

    CHECK(tls_ca_device(ca, "pump-7", &device, error));
    CHECK(!tls_ca_device(ca, "pump-7", &device, error));
    CHECK(strstr(error, "smq ca revoke pump-7") != NULL);
    CHECK(tls_ca_device(ca, "pump-8", &device, error));
    CHECK(tls_ca_revoke(ca, "pump-7", &count, error));
    CHECK_EQUAL(count, 1);
    CHECK(tls_ca_revoke(ca, "pump-7", &count, error)); /* again: only the list is written */
    CHECK_EQUAL(count, 0);
    CHECK(!tls_ca_revoke(ca, "pump-9", &count, error));
    CHECK(tls_ca_device(ca, "pump-7", &device, error));
    list(ca);
    CHECK_EQUAL(listed_count, 3);
    CHECK_EQUAL(revoked_count, 1);
    tls_ca_close(ca);

    ca = tls_ca_open(folder, error); /* and so it stands in the file */
    list(ca);
    CHECK_EQUAL(listed_count, 3);
    CHECK_EQUAL(revoked_count, 1);
    tls_ca_close(ca);
    end();
}

static void a_damaged_index_is_found_by_line(void)
{
    static const char *const damages[] = {
        "X\t0\tdevice\n",
        "V\t00112233445566778899aabbccddeeff\tdevice\t2026-01-01T00:00:00Z\t2026\t-\tx\n",
        ("R\t00112233445566778899aabbccddeeff\tdevice\t2026-01-01T00:00:00Z\t"
         "2036-01-01T00:00:00Z\t-\tx\n"),
        "\n",
    };
    struct tls_ca_device device;

    for (size_t i = 0; i < COUNT_OF(damages); i++) {
        struct tls_ca *ca = begin_with_ca();
        CHECK(tls_ca_device(ca, "pump-7", &device, error));
        tls_ca_close(ca);
        FILE *index = fopen(at("index.tsv"), "a");
        must(index);
        fputs(damages[i], index);
        fclose(index);
        CHECK(tls_ca_open(folder, error) == NULL);
        CHECK(strstr(error, "line 2") != NULL);
        end();
    }
}

/* As the machine's end in the middle of a write, or a full disk, leaves it. */
static void half_a_line_at_the_end_of_the_index_is_forgotten(void)
{
    struct tls_ca_device device;

    struct tls_ca *ca = begin_with_ca();
    CHECK(tls_ca_device(ca, "pump-7", &device, error));
    tls_ca_close(ca);
    FILE *index = fopen(at("index.tsv"), "a");
    must(index);
    fputs("V\t00112233445566778899aabbccdd", index);
    fclose(index);
    for (uint32_t count = 1; count <= 3; count++) { /* the second time it has been mended */
        char name[] = "pump-x";

        name[5] = (char)('0' + count);
        ca = tls_ca_open(folder, error);
        CHECK(ca != NULL);
        list(ca);
        CHECK_EQUAL(listed_count, count);
        CHECK(tls_ca_device(ca, name, &device, error));
        tls_ca_close(ca);
    }
    end();
}

static void a_key_of_another_ca_is_found(void)
{
    char command[256];

    tls_ca_close(begin_with_ca());
    snprintf(command, sizeof(command), "rm %s/ca.key", folder);
    must(system(command) == 0);
    EVP_PKEY *other = ca_key_ecc();
    CHECK(ca_prepare_key(at("ca.key"), other, error));
    CHECK(ca_commit(at("ca.key"), error));
    EVP_PKEY_free(other);
    CHECK(tls_ca_open(folder, error) == NULL);
    CHECK(strstr(error, "not the certificate of the key") != NULL);
    end();
}

static void a_broker_makes_what_it_needs_once(void)
{
    const char *const names[] = {"localhost", "127.0.0.1", "::1"};
    const char *const more[] = {"localhost", "127.0.0.1", "::1", "192.0.2.9"};
    struct tls_ca_server server;

    begin();
    CHECK(tls_ca_ensure_server(folder, names, 3, &server, error));
    CHECK(server.made);
    CHECK_EQUAL(access(server.ca_path, R_OK), 0);
    CHECK_EQUAL(access(server.rsa_key_path, R_OK), 0);
    CHECK(tls_ca_ensure_server(folder, names, 3, &server, error));
    CHECK(!server.made);
    CHECK(tls_ca_ensure_server(folder, names, 2, &server, error));
    CHECK(!server.made);
    CHECK(tls_ca_ensure_server(folder, more, 4, &server, error)); /* a new address */
    CHECK(server.made);
    must(unlink(server.ecc_key_path) == 0);
    CHECK(tls_ca_ensure_server(folder, more, 4, &server, error)); /* a lost key */
    CHECK(server.made);
    end();
}

static void this_machine_has_names(void)
{
    char **names;
    size_t count;
    bool localhost = false;

    tls_ca_machine_names(&names, &count);
    CHECK(count >= 3 && count <= TLS_CA_NAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        CHECK(tls_ca_server_name_is_good(names[i]));
        localhost = localhost || strcmp(names[i], "localhost") == 0;
        for (size_t j = 0; j < i; j++)
            CHECK(strcasecmp(names[i], names[j]) != 0);
    }
    CHECK(localhost);
    tls_ca_names_free(names, count);
}

static void times_are_read_as_they_are_printed(void)
{
    char text[CA_TIME_BYTES];

    ca_time_print(0, text);
    CHECK_TEXT(text, "1970-01-01T00:00:00Z");
    for (int64_t time_s = 1; time_s < INT64_C(4000000000); time_s = time_s * 7 + 11) {
        ca_time_print(time_s, text);
        CHECK_EQUAL(ca_time_read(text), time_s);
    }
    CHECK_EQUAL(ca_time_read("-"), -1);
    CHECK_EQUAL(ca_time_read("2026-01-01T00:00:00"), -1);
    CHECK_EQUAL(ca_time_read("2026-13-01T00:00:00Z"), -1);
}

static void a_certificate_of_odd_names_has_an_identity_without_surprises(void)
{
    static struct {
        const char *common_name;
        const char *alt_names;
        const char *identity;
        const char *sans; /* each with a blank behind it, for the 0 */
    } cases[] = {
        {"pump-7", "DNS:pump-8", "pump-8", "pump-8 "},
        {"pump-7", NULL, "pump-7", ""},
        {"pump-7", "IP:192.0.2.1", "pump-7", "192.0.2.1 "},
        {"pump-7", "IP:192.0.2.1,email:a@b.c", "a@b.c", "192.0.2.1 a@b.c "},
        {"pump-7", "URI:urn:dev:7,DNS:x", "urn:dev:7", "urn:dev:7 x "},
        {"pump\n7", NULL, "", ""},
    };
    struct mem_budget budget;
    struct mem mem;
    EVP_PKEY *key = ca_key_ecc();

    mem_budget_init(&budget, 1 << 20);
    mem_init(&mem, &budget);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ca_request root = {CA_ROOT, cases[i].common_name, cases[i].alt_names, key, NULL,
                                  NULL};
        X509 *certificate = ca_certificate(&root);
        must(certificate);
        struct tls_peer *peer = tls_peer_read(&mem, certificate);
        CHECK_TEXT(peer->identity, cases[i].identity);
        CHECK_EQUAL(peer->identity_bytes, strlen(cases[i].identity));
        struct span sans = tls_peer_sans(peer);
        CHECK_EQUAL(sans.bytes_count, strlen(cases[i].sans));
        for (size_t at = 0; at < sans.bytes_count; at++)
            CHECK_EQUAL(sans.data[at] ? sans.data[at] : ' ', cases[i].sans[at]);
        struct span issuer = tls_peer_issuer(peer);
        CHECK(issuer.bytes_count > 3 && memcmp(issuer.data, "CN=pump", 7) == 0);
        tls_peer_free(&mem, peer);
        X509_free(certificate);
    }
    CHECK_EQUAL(mem.kind_bytes[MEM_TLS], 0);
    EVP_PKEY_free(key);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_folder_without_a_ca_is_refused_with_advice),
        CHECK_TEST(a_second_init_changes_nothing),
        CHECK_TEST(names_that_are_none_are_refused),
        CHECK_TEST(a_refused_name_leaves_no_line_and_no_file),
        CHECK_TEST(keys_are_for_their_owner_alone),
        CHECK_TEST(a_device_has_one_valid_certificate_at_a_time),
        CHECK_TEST(a_damaged_index_is_found_by_line),
        CHECK_TEST(half_a_line_at_the_end_of_the_index_is_forgotten),
        CHECK_TEST(a_key_of_another_ca_is_found),
        CHECK_TEST(a_broker_makes_what_it_needs_once),
        CHECK_TEST(this_machine_has_names),
        CHECK_TEST(times_are_read_as_they_are_printed),
        CHECK_TEST(a_certificate_of_odd_names_has_an_identity_without_surprises),
    };

    return check_main(tests, COUNT_OF(tests), argc, argv);
}
