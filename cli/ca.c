/*
 * cli/ca.c — `smq ca init | server | device | header | list | revoke`.
 *
 * Thread: main. The work is tls/ca.c's; here are the words: what was made, and what to do next.
 */
#include "cli/ca.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/exit.h"
#include "tls/ca.h"

#define FOLDER_DEFAULT "smq-ca"

/* What the command line says besides the verb. */
struct ca_call {
    const char *folder;
    const char *name;  /* --name: of the CA */
    const char *label; /* --label: of a server's folder */
    bool replace;      /* --replace */
    char **arguments;
    int argument_count;
};

static enum exit_code fail(const char *error)
{
    return complain(EXIT_NO_INPUT, "%s", error);
}

static struct tls_ca *open_ca(const struct ca_call *call)
{
    char error[TLS_CA_ERROR_BYTES];
    struct tls_ca *ca = tls_ca_open(call->folder, error);

    if (!ca)
        (void)fail(error);
    return ca;
}

/* " --dir X" for commands to copy, when it is not the default. */
static const char *folder_option(const struct ca_call *call)
{
    static char option[PATH_MAX + 8];

    if (strcmp(call->folder, FOLDER_DEFAULT) == 0)
        return "";
    snprintf(option, sizeof(option), " --dir %s", call->folder);
    return option;
}

/* -- the verbs -- */

static enum exit_code ca_init(const struct ca_call *call)
{
    char error[TLS_CA_ERROR_BYTES];
    char path[PATH_MAX];
    const char *option = folder_option(call);

    if (!tls_ca_init(call->folder, call->name, error))
        return fail(error);
    tls_ca_root_path(call->folder, path);
    printf("Made the CA '%s', valid for 20 years.\n"
           "  %s   give this to clients: they trust what it signed\n"
           "  %s/ca.key   keep this secret: who has it can make certificates\n"
           "\n"
           "Next:\n"
           "  smq ca%s server broker.example.org 192.0.2.1   credentials for a broker\n"
           "  smq ca%s device NAME                           a certificate for a device\n",
           call->name, path, call->folder, option, option);
    return EXIT_OK;
}

/* A folder's name for a server: its first name, with what a file name should not hold replaced. */
static void label_of(const char *name, char *label, size_t room)
{
    size_t at = 0;

    if (strncmp(name, "*.", 2) == 0)
        name++; /* "*.example.org" -> "_.example.org": see the loop */
    for (; *name && at + 1 < room; name++) {
        bool plain = strchr(".-_", *name) ? at > 0 : true;
        label[at++] = plain && *name != ':' && *name != '*' ? *name : '_';
    }
    label[at] = 0;
}

static enum exit_code ca_server(const struct ca_call *call)
{
    char error[TLS_CA_ERROR_BYTES];
    char label[TLS_CA_DEVICE_BYTES + 1];
    struct tls_ca_server server;
    bool wildcard = call->arguments[0][0] == '*';
    struct tls_ca *ca = open_ca(call);

    if (!ca)
        return EXIT_NO_INPUT;
    if (call->label)
        snprintf(label, sizeof(label), "%s", call->label);
    else
        label_of(call->arguments[0], label, sizeof(label));
    bool good = tls_ca_server(ca, label, (const char *const *)call->arguments,
                              (size_t)call->argument_count, &server, error);
    tls_ca_close(ca);
    if (!good)
        return fail(error);
    printf("Made two credentials for %s%s, valid for 820 days:\n"
           "  %s\n  %s\n  %s\n  %s\n"
           "\n"
           "Next: let smqd serve them, in its configuration:\n"
           "  listen = {\"tls://*:8883\"}\n"
           "  tls {\n"
           "      ecc_certificate = \"%s\"\n"
           "      ecc_key = \"%s\"\n"
           "      rsa_certificate = \"%s\"\n"
           "      rsa_key = \"%s\"\n"
           "  }\n"
           "and let a client trust them:\n"
           "  smq sub hello --url tls://%s%s:8883/smq.lsp --ca %s\n",
           call->arguments[0], call->argument_count > 1 ? " and the other names" : "",
           server.ecc_chain_path, server.ecc_key_path, server.rsa_chain_path, server.rsa_key_path,
           server.ecc_chain_path, server.ecc_key_path, server.rsa_chain_path, server.rsa_key_path,
           wildcard ? "broker" : "", call->arguments[0] + (wildcard ? 1 : 0), server.ca_path);
    return EXIT_OK;
}

static enum exit_code ca_device(const struct ca_call *call)
{
    char error[TLS_CA_ERROR_BYTES];
    char root_path[PATH_MAX];
    struct tls_ca_device device;
    uint32_t revoked_count = 0;
    const char *name = call->arguments[0];
    struct tls_ca *ca = open_ca(call);

    if (!ca)
        return EXIT_NO_INPUT;
    bool good = true;
    if (call->replace && !tls_ca_revoke(ca, name, &revoked_count, error))
        good = revoked_count == 0; /* there was none to replace: that is fine */
    good = good && tls_ca_device(ca, name, &device, error);
    tls_ca_close(ca);
    if (!good)
        return fail(error);
    tls_ca_root_path(call->folder, root_path);
    printf("Made a certificate for the device '%s', valid for 10 years%s.\n"
           "  %s   key and certificate: secret\n"
           "  %s   the same as C arrays, for firmware\n"
           "\n"
           "Next: let the device show it:\n"
           "  smq sub hello --url tls://localhost:8883/smq.lsp --ca %s --cert %s\n"
           "smqd asks for it where the configuration says\n"
           "  tls { client_auth = required client_ca = \"%s\" }\n",
           name, revoked_count > 0 ? " (the old one is revoked)" : "", device.pem_path,
           device.header_path, root_path, device.pem_path, root_path);
    return EXIT_OK;
}

static enum exit_code ca_header(const struct ca_call *call)
{
    char error[TLS_CA_ERROR_BYTES];
    struct tls_ca *ca = open_ca(call);

    if (!ca)
        return EXIT_NO_INPUT;
    bool good = tls_ca_header(ca, stdout, error);
    tls_ca_close(ca);
    return good ? EXIT_OK : complain(EXIT_IO, "%s", error);
}

static void print_entry(void *context, const struct tls_ca_entry *entry)
{
    const char *now = context;
    const char *status = entry->revoked                    ? "revoked"
                         : strcmp(entry->expires, now) < 0 ? "expired"
                                                           : "valid";

    /* Times of this form sort like text. */
    printf("%-8s %-10s %-32s until %.10s  %s\n", status, entry->kind, entry->name, entry->expires,
           entry->serial);
}

static enum exit_code ca_list(const struct ca_call *call)
{
    char error[TLS_CA_ERROR_BYTES];
    char now[32];
    time_t now_s = time(NULL);
    struct tm parts;
    struct tls_ca *ca = open_ca(call);

    if (!ca)
        return EXIT_NO_INPUT;
    strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now_s, &parts));
    bool good = tls_ca_list(ca, print_entry, now, error);
    tls_ca_close(ca);
    return good ? EXIT_OK : fail(error);
}

static enum exit_code ca_revoke(const struct ca_call *call)
{
    char error[TLS_CA_ERROR_BYTES];
    char crl_path[PATH_MAX];
    uint32_t revoked_count;
    struct tls_ca *ca = open_ca(call);

    if (!ca)
        return EXIT_NO_INPUT;
    bool good = tls_ca_revoke(ca, call->arguments[0], &revoked_count, error);
    tls_ca_close(ca);
    if (!good)
        return fail(error);
    tls_ca_crl_path(call->folder, crl_path);
    if (revoked_count == 0)
        printf("'%s' was revoked before; the list was written again.\n", call->arguments[0]);
    else
        printf("Revoked %u certificate%s of '%s'.\n", revoked_count, revoked_count == 1 ? "" : "s",
               call->arguments[0]);
    printf("  %s   the revocation list\n"
           "\n"
           "Next: smqd reads it where the configuration says tls { client_crl = \"%s\" }:\n"
           "when the file changes, it ends the connections that use a revoked certificate.\n",
           crl_path, crl_path);
    return EXIT_OK;
}

/* -- the command line -- */

static const struct verb {
    const char *name;
    const char *arguments;
    int argument_count_min;
    int argument_count_max;
    const char *summary;
    enum exit_code (*run)(const struct ca_call *call);
} verbs[] = {
    {"init", "", 0, 0, "make a CA", ca_init},
    {"server", "NAME...", 1, (int)TLS_CA_NAMES_MAX, "credentials (ECC and RSA) for a broker",
     ca_server},
    {"device", "NAME", 1, 1, "key and certificate for a device", ca_device},
    {"header", "", 0, 0, "print the root certificate as a C array", ca_header},
    {"list", "", 0, 0, "print all certificates that were made", ca_list},
    {"revoke", "NAME|SERIAL", 1, 1, "end a certificate, write the revocation list", ca_revoke},
};
#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static void print_help(FILE *out)
{
    fputs("smq ca VERB [OPTION...] - a certificate authority of your own, in one folder\n\n", out);
    for (size_t i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  smq ca %-7s %-12s %s\n", verbs[i].name, verbs[i].arguments,
                verbs[i].summary);
    fputs("\n"
          "  --dir FOLDER    where the CA is (default: $SMQ_CA, else " FOLDER_DEFAULT ")\n"
          "  --name TEXT     init: the CA's name in its certificate (default: SMQ CA)\n"
          "  --label TEXT    server: the folder's name (default: the first NAME)\n"
          "  --replace       device: revoke the certificate that NAME has, make a new one\n"
          "\n"
          "A NAME of a server is a host name, *.domain or an address; give all by which clients\n"
          "call it. Keys are P-256 (and RSA-2048 beside it for servers), in files of mode 0600.\n"
          "\n"
          "  smq ca init\n"
          "  smq ca server broker.local 192.168.1.10\n"
          "  smq ca device pump-7\n"
          "  smq ca revoke pump-7\n",
          out);
}

/* Read options and arguments, in any order. EXIT_OK: *call is filled. */
static enum exit_code parse(struct ca_call *call, int argc, char **argv)
{
    static const char *const with_value[] = {"--dir", "--name", "--label"};
    const char **values[] = {&call->folder, &call->name, &call->label};

    for (int i = 0; i < argc; i++) {
        size_t option = 0;

        if (strncmp(argv[i], "--", 2) != 0) {
            call->arguments[call->argument_count++] = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--replace") == 0) {
            call->replace = true;
            continue;
        }
        while (option < 3 && strcmp(argv[i], with_value[option]) != 0)
            option++;
        if (option == 3)
            return complain(EXIT_USAGE, "smq ca has no option '%s'; see `smq ca --help`", argv[i]);
        if (i + 1 == argc)
            return complain(EXIT_USAGE, "%s needs a value; see `smq ca --help`", argv[i]);
        *values[option] = argv[++i];
    }
    return EXIT_OK;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0 ||
            (i == 1 && strcmp(argv[i], "help") == 0))
            return true;
    }
    return false;
}

static enum exit_code run(struct ca_call *call)
{
    if (call->argument_count == 0)
        return complain(EXIT_USAGE, "say what to do; see `smq ca --help`");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i].name, call->arguments[0]) != 0)
            continue;
        call->arguments++;
        call->argument_count--;
        if (call->argument_count < verbs[i].argument_count_min ||
            call->argument_count > verbs[i].argument_count_max)
            return complain(EXIT_USAGE, "usage: smq ca %s%s%s; see `smq ca --help`", verbs[i].name,
                            verbs[i].arguments[0] != '\0' ? " " : "", verbs[i].arguments);
        return verbs[i].run(call);
    }
    return complain(EXIT_USAGE, "smq ca cannot '%s'; see `smq ca --help`", call->arguments[0]);
}

int cmd_ca(int argc, char **argv)
{
    const char *folder = getenv("SMQ_CA");
    struct ca_call call = {.folder = folder && folder[0] ? folder : FOLDER_DEFAULT,
                           .name = "SMQ CA"};

    if (argc < 2 || asks_for_help(argc, argv)) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_OK;
    }
    char **arguments = calloc((size_t)argc, sizeof(*arguments));
    must(arguments);
    call.arguments = arguments;
    enum exit_code code = parse(&call, argc - 1, argv + 1);
    if (code == EXIT_OK)
        code = run(&call);
    free(arguments);
    return (int)code;
}
