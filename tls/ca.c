/* tls/ca.c — what one can ask of a CA. See tls/ca.h. Any one thread. */
#include "tls/ca.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "core/files.h"
#include "tls/ca_cert.h"
#include "tls/ca_files.h"
#include "tls/peer.h"

#define ROOT_FILE      "ca.crt"
#define ROOT_KEY_FILE  "ca.key"
#define CRL_FILE       "crl.pem"
#define INDEX_FILE     "index.tsv"
#define SERVER_FOLDER  "server"
#define DEVICE_FOLDER  "device"
#define BROKER_LABEL   "smqd" /* of the credentials that smqd makes for itself */
#define ALT_NAMES_ROOM (TLS_CA_NAMES_MAX * (TLS_CA_NAME_BYTES + 5u))

struct tls_ca {
    char folder[PATH_MAX];
    int lock_fd; /* the folder itself, locked */
    X509 *root;
    EVP_PKEY *key;
    struct ca_index index;
};

/* -- the folder -- */

/* Paths were checked for length when the folder was opened: these names are short. */
static void path_of(char path[PATH_MAX], const char *folder, const char *file)
{
    char error[TLS_CA_ERROR_BYTES];

    if (!ca_path(path, folder, file, NULL, error))
        path[0] = 0;
}

void tls_ca_root_path(const char *folder, char path[PATH_MAX])
{
    path_of(path, folder, ROOT_FILE);
}

void tls_ca_crl_path(const char *folder, char path[PATH_MAX])
{
    path_of(path, folder, CRL_FILE);
}

bool tls_ca_exists(const char *folder)
{
    char path[PATH_MAX];

    path_of(path, folder, ROOT_KEY_FILE);
    return access(path, F_OK) == 0;
}

/* Lock the folder against other programs; -1: see @error. */
static int lock_folder(const char *folder, char *error)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_EX) == 0)
        return fd;
    ca_error(error, "%s: cannot open this folder: %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

struct tls_ca *tls_ca_open(const char *folder, char *error)
{
    char path[PATH_MAX];

    if (!ca_path(path, folder, ROOT_KEY_FILE, NULL, error))
        return NULL;
    if (!tls_ca_exists(folder)) {
        ca_error(error, "%s: there is no CA in this folder; `smq ca init` makes one", folder);
        return NULL;
    }
    struct tls_ca *ca = calloc(1, sizeof(*ca));
    must(ca);
    snprintf(ca->folder, sizeof(ca->folder), "%s", folder);
    ca->lock_fd = lock_folder(folder, error);
    if (ca->lock_fd >= 0)
        ca->key = ca_read_key(path, error);
    path_of(path, folder, ROOT_FILE);
    if (ca->key)
        ca->root = ca_read_certificate(path, error);
    if (ca->root && X509_check_private_key(ca->root, ca->key) != 1) {
        ca_error(error, "%s: this is not the certificate of the key beside it", path);
        X509_free(ca->root);
        ca->root = NULL;
    }
    path_of(path, folder, INDEX_FILE);
    if (ca->root && ca_index_load(&ca->index, path, error))
        return ca;
    ERR_clear_error();
    tls_ca_close(ca);
    return NULL;
}

void tls_ca_close(struct tls_ca *ca)
{
    if (!ca)
        return;
    ca_index_free(&ca->index);
    X509_free(ca->root);
    EVP_PKEY_free(ca->key);
    if (ca->lock_fd >= 0)
        close(ca->lock_fd); /* and with it goes the lock */
    free(ca);
}

/* -- the revocation list -- */

static void serial_bytes_of(const char *text, uint8_t serial[CA_SERIAL_BYTES])
{
    for (size_t i = 0; i < CA_SERIAL_BYTES; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], 0};
        serial[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
}

static bool write_crl(const char *folder, X509 *root, EVP_PKEY *key, const struct ca_index *index,
                      char *error)
{
    char path[PATH_MAX];
    size_t count = 0;
    struct ca_revoked *revoked = calloc(index->line_count + 1, sizeof(*revoked));
    BIO *content = BIO_new(BIO_s_mem());

    must(revoked && content);
    for (size_t i = 0; i < index->line_count; i++) {
        if (!index->lines[i].revoked)
            continue;
        serial_bytes_of(index->lines[i].serial, revoked[count].serial);
        revoked[count++].revoked_s = ca_time_read(index->lines[i].revoked_at);
    }
    X509_CRL *crl = ca_crl(root, key, revoked, count);
    must(crl && PEM_write_bio_X509_CRL(content, crl) == 1);
    tls_ca_crl_path(folder, path);
    bool good = ca_write(path, CA_MODE_PUBLIC, content, error);
    X509_CRL_free(crl);
    BIO_free(content);
    free(revoked);
    return good;
}

/* -- init -- */

static bool write_root(const char *folder, const char *name, char *error)
{
    char path[PATH_MAX];
    struct ca_index empty = {0};
    EVP_PKEY *key = ca_key_ecc();
    struct ca_request request = {CA_ROOT, name, NULL, key, NULL, NULL};
    X509 *root = ca_certificate(&request);

    must(key && root);
    path_of(path, folder, ROOT_FILE);
    bool good = ca_prepare_certificate(path, root, error) && ca_commit(path, error) &&
                write_crl(folder, root, key, &empty, error);
    /* The key comes last: it is what says that a CA is here, and then everything is. */
    path_of(path, folder, ROOT_KEY_FILE);
    good = good && ca_prepare_key(path, key, error) && ca_commit(path, error);
    X509_free(root);
    EVP_PKEY_free(key);
    return good;
}

bool tls_ca_init(const char *folder, const char *name, char *error)
{
    char path[PATH_MAX];

    if (strlen(name) == 0 || strlen(name) > TLS_CA_DEVICE_BYTES)
        return ca_error(error, "a CA's name has 1 to %u bytes", TLS_CA_DEVICE_BYTES);
    if (!ca_path(path, folder, SERVER_FOLDER, NULL, error) || !ca_make_folder(folder, error))
        return false;
    int lock_fd = lock_folder(folder, error);
    if (lock_fd < 0)
        return false;
    bool good = false;
    if (tls_ca_exists(folder))
        ca_error(error, "%s: there is a CA in this folder already; it was left alone", folder);
    else
        good = write_root(folder, name, error);
    close(lock_fd);
    return good;
}

/* -- issuing -- */

static void serial_text_of(X509 *certificate, char text[CA_SERIAL_CHARS + 1])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);

    must(ASN1_STRING_length(serial) == CA_SERIAL_BYTES);
    for (size_t i = 0; i < CA_SERIAL_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", ASN1_STRING_get0_data(serial)[i]);
}

/* A certificate comes into the world in three steps, so that whoever is killed between any two
 * leaves nothing half done: its files are prepared ("X.new"); then the index names it, so that it
 * can be revoked; then the files are renamed. */

/* Make a certificate, and its line for the index. */
static X509 *sign(struct tls_ca *ca, struct ca_request *request, const char *kind, const char *name,
                  struct ca_line *line)
{
    *line = (struct ca_line){.revoked = false, .revoked_at = "-"};
    request->issuer = ca->root;
    request->issuer_key = ca->key;
    X509 *certificate = ca_certificate(request);
    must(certificate);
    serial_text_of(certificate, line->serial);
    snprintf(line->kind, sizeof(line->kind), "%s", kind);
    snprintf(line->name, sizeof(line->name), "%s", name);
    ca_time_print(time(NULL), line->issued);
    ca_time_print(tls_time_s(X509_get0_notAfter(certificate)), line->expires);
    return certificate;
}

/* "DNS:a,IP:::1": the names are checked, so none holds a comma or a colon that means more. */
static bool join_names(const char *const *names, size_t name_count, char *joined, char *error)
{
    size_t at = 0;

    if (name_count == 0 || name_count > TLS_CA_NAMES_MAX)
        return ca_error(error, "a server certificate needs 1 to %u names", TLS_CA_NAMES_MAX);
    for (size_t i = 0; i < name_count; i++) {
        if (!tls_ca_server_name_is_good(names[i]))
            return ca_error(error, "'%.80s' is neither a host name nor an address", names[i]);
        at += (size_t)snprintf(joined + at, ALT_NAMES_ROOM - at, "%s%s:%s", i > 0 ? "," : "",
                               tls_ca_name_is_address(names[i]) ? "IP" : "DNS", names[i]);
        must(at < ALT_NAMES_ROOM);
    }
    return true;
}

static bool server_paths(const char *folder, const char *label, struct tls_ca_server *server,
                         char *error)
{
    char parent[PATH_MAX];

    tls_ca_root_path(folder, server->ca_path);
    return ca_path(parent, folder, SERVER_FOLDER, NULL, error) &&
           ca_path(server->ecc_chain_path, parent, label, "ecc.crt", error) &&
           ca_path(server->ecc_key_path, parent, label, "ecc.key", error) &&
           ca_path(server->rsa_chain_path, parent, label, "rsa.crt", error) &&
           ca_path(server->rsa_key_path, parent, label, "rsa.key", error);
}

/* One of a server's two credentials. */
static bool make_server(struct tls_ca *ca, const char *kind, EVP_PKEY *key, const char *name,
                        const char *alt_names, const char *chain_path, const char *key_path,
                        char *error)
{
    struct ca_request request = {CA_SERVER, name, alt_names, key, NULL, NULL};
    struct ca_line line;

    must(key);
    if (strlen(name) > TLS_CA_DEVICE_BYTES)
        request.common_name = "smq server"; /* clients look at the alternative names only */
    X509 *certificate = sign(ca, &request, kind, name, &line);
    bool good = ca_prepare_key(key_path, key, error) &&
                ca_prepare_certificate(chain_path, certificate, error) &&
                ca_index_add(&ca->index, &line, error) && ca_commit(key_path, error) &&
                ca_commit(chain_path, error);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return good;
}

bool tls_ca_server(struct tls_ca *ca, const char *label, const char *const *names,
                   size_t name_count, struct tls_ca_server *server, char *error)
{
    char path[PATH_MAX];
    char *alt_names = malloc(ALT_NAMES_ROOM);

    must(alt_names);
    bool good = join_names(names, name_count, alt_names, error);
    if (good && !tls_ca_device_name_is_good(label))
        good = ca_error(error, "'%.80s' cannot be a folder's name here", label);
    good = good && server_paths(ca->folder, label, server, error) &&
           ca_path(path, ca->folder, SERVER_FOLDER, NULL, error) && ca_make_folder(path, error) &&
           ca_path(path, ca->folder, SERVER_FOLDER, label, error) && ca_make_folder(path, error);
    good = good && make_server(ca, "server", ca_key_ecc(), names[0], alt_names,
                               server->ecc_chain_path, server->ecc_key_path, error);
    good = good && make_server(ca, "server-rsa", ca_key_rsa(), names[0], alt_names,
                               server->rsa_chain_path, server->rsa_key_path, error);
    server->made = good;
    free(alt_names);
    return good;
}

/* -- devices -- */

static bool prepare_device_pem(const char *path, X509 *certificate, EVP_PKEY *key, char *error)
{
    BIO *content = BIO_new(BIO_s_mem());

    must(content && PEM_write_bio_PrivateKey(content, key, NULL, NULL, 0, NULL, NULL) == 1 &&
         PEM_write_bio_X509(content, certificate) == 1);
    bool good = ca_prepare(path, CA_MODE_SECRET, content, error);
    BIO_free(content);
    return good;
}

/* The form that firmware compiles in: both as DER, which every TLS library for small devices
 * reads without a PEM parser. The key is SEC 1 (RFC 5915). */
static bool prepare_device_header(const char *path, const char *name, X509 *certificate,
                                  EVP_PKEY *key, char *error)
{
    uint8_t *certificate_der = NULL;
    uint8_t *key_der = NULL;
    int certificate_bytes = i2d_X509(certificate, &certificate_der);
    int key_bytes = i2d_ECPrivateKey(EVP_PKEY_get0_EC_KEY(key), &key_der);
    BIO *content = BIO_new(BIO_s_mem());

    must(content && certificate_bytes > 0 && key_bytes > 0);
    BIO_printf(content,
               "/* %s: certificate and private key of this device. Secret: keep it out of public "
               "places. */\n#pragma once\n\n",
               name);
    BIO_printf(content, "/* X.509, DER */\nstatic const unsigned char smq_device_cert[%d] = {\n",
               certificate_bytes);
    ca_print_array(content, certificate_der, (size_t)certificate_bytes);
    BIO_printf(content,
               "};\n\n/* P-256, SEC 1 DER */\nstatic const unsigned char smq_device_key[%d] = {\n",
               key_bytes);
    ca_print_array(content, key_der, (size_t)key_bytes);
    BIO_printf(content, "};\n");
    bool good = ca_prepare(path, CA_MODE_SECRET, content, error);
    BIO_free(content);
    OPENSSL_free(certificate_der);
    OPENSSL_free(key_der);
    return good;
}

static const struct ca_line *find_valid(const struct tls_ca *ca, const char *kind, const char *name)
{
    for (size_t i = ca->index.line_count; i-- > 0;) {
        const struct ca_line *line = &ca->index.lines[i];

        if (!line->revoked && strcmp(line->kind, kind) == 0 && strcmp(line->name, name) == 0 &&
            ca_time_read(line->expires) > time(NULL))
            return line;
    }
    return NULL;
}

/* The PEM comes last: as long as its ".new" is there, the rest of the work is to be done. */
static bool commit_device(const struct tls_ca_device *device, char *error)
{
    return ca_commit(device->header_path, error) && ca_commit(device->pem_path, error);
}

/* Was the run that entered @line stopped before the device's files had their names? Their paths
 * have been checked to have room for more. */
static bool is_unfinished(const struct ca_line *line, const struct tls_ca_device *device)
{
    char error[TLS_CA_ERROR_BYTES];
    char serial[CA_SERIAL_CHARS + 1] = "";
    char new_path[PATH_MAX + 8];

    snprintf(new_path, sizeof(new_path), "%s" FILES_NEW, device->pem_path);
    X509 *certificate = ca_read_certificate(new_path, error);
    if (certificate && ASN1_STRING_length(X509_get0_serialNumber(certificate)) == CA_SERIAL_BYTES)
        serial_text_of(certificate, serial);
    X509_free(certificate);
    return strcmp(serial, line->serial) == 0;
}

static bool finish_device(const struct tls_ca_device *device, char *error)
{
    char new_path[PATH_MAX + 8];

    snprintf(new_path, sizeof(new_path), "%s" FILES_NEW, device->header_path);
    return access(new_path, F_OK) == 0 ? commit_device(device, error)
                                       : ca_commit(device->pem_path, error);
}

static bool device_paths(const struct tls_ca *ca, const char *name, struct tls_ca_device *device,
                         char *error)
{
    char folder[PATH_MAX];
    char file[TLS_CA_DEVICE_BYTES + 8];

    snprintf(file, sizeof(file), "%s.pem", name);
    bool good = ca_path(folder, ca->folder, DEVICE_FOLDER, NULL, error) &&
                ca_make_folder(folder, error) &&
                ca_path(device->pem_path, folder, file, NULL, error);
    snprintf(file, sizeof(file), "%s.h", name);
    return good && ca_path(device->header_path, folder, file, NULL, error);
}

bool tls_ca_device(struct tls_ca *ca, const char *name, struct tls_ca_device *device, char *error)
{
    char alt_name[TLS_CA_DEVICE_BYTES + 8];
    struct ca_line line;

    if (!tls_ca_device_name_is_good(name))
        return ca_error(error,
                        "'%.80s' cannot be a device's name: use 1 to %u letters, digits, '.', '-', "
                        "'_', and no '.' or '-' in front",
                        name, TLS_CA_DEVICE_BYTES);
    if (!device_paths(ca, name, device, error))
        return false;
    const struct ca_line *valid = find_valid(ca, DEVICE_FOLDER, name);
    if (valid && is_unfinished(valid, device))
        return finish_device(device, error);
    if (valid)
        return ca_error(error,
                        "%s has a certificate already, valid until %s; "
                        "`smq ca revoke %s` ends it",
                        name, valid->expires, name);
    snprintf(alt_name, sizeof(alt_name), "DNS:%s", name);
    struct ca_request request = {CA_DEVICE, name, alt_name, ca_key_ecc(), NULL, NULL};
    must(request.key);
    X509 *certificate = sign(ca, &request, DEVICE_FOLDER, name, &line);
    bool good = prepare_device_pem(device->pem_path, certificate, request.key, error) &&
                prepare_device_header(device->header_path, name, certificate, request.key, error) &&
                ca_index_add(&ca->index, &line, error) && commit_device(device, error);
    X509_free(certificate);
    EVP_PKEY_free(request.key);
    return good;
}

/* -- revoking, listing, exporting -- */

bool tls_ca_revoke(struct tls_ca *ca, const char *name, uint32_t *revoked_count, char *error)
{
    char now[CA_TIME_BYTES];

    bool known = false;

    *revoked_count = 0;
    ca_time_print(time(NULL), now);
    for (size_t i = 0; i < ca->index.line_count; i++) {
        struct ca_line *line = &ca->index.lines[i];

        if (strcmp(line->name, name) != 0 && strcasecmp(line->serial, name) != 0)
            continue;
        known = true;
        if (line->revoked)
            continue;
        line->revoked = true;
        memcpy(line->revoked_at, now, sizeof(now));
        ++*revoked_count;
    }
    if (!known)
        return ca_error(error,
                        "no certificate has the name or serial '%.80s'; `smq ca list` "
                        "shows them",
                        name);
    /* The index first: a list is made from it, so one written from an older index would take a
     * revocation back. For what was revoked before, the list is written once more. */
    return ca_index_save(&ca->index, error) &&
           write_crl(ca->folder, ca->root, ca->key, &ca->index, error);
}

bool tls_ca_list(struct tls_ca *ca, void (*each)(void *, const struct tls_ca_entry *),
                 void *context, char *error)
{
    (void)error; /* the index was read, and checked, by tls_ca_open */
    for (size_t i = 0; i < ca->index.line_count; i++) {
        const struct ca_line *line = &ca->index.lines[i];
        struct tls_ca_entry entry = {line->revoked, line->serial,     line->kind, line->issued,
                                     line->expires, line->revoked_at, line->name};
        each(context, &entry);
    }
    return true;
}

bool tls_ca_header(struct tls_ca *ca, FILE *out, char *error)
{
    uint8_t *der = NULL;
    const uint8_t *text;
    size_t text_bytes;
    int der_bytes = i2d_X509(ca->root, &der);
    BIO *content = BIO_new(BIO_s_mem());

    must(content && der_bytes > 0);
    BIO_printf(content,
               "/* The root certificate that devices trust. Public. */\n#pragma once\n\n"
               "/* X.509, DER */\nstatic const unsigned char smq_ca_cert[%d] = {\n",
               der_bytes);
    ca_print_array(content, der, (size_t)der_bytes);
    BIO_printf(content, "};\n");
    must(BIO_mem_contents(content, &text, &text_bytes) == 1);
    bool good = fwrite(text, 1, text_bytes, out) == text_bytes && fflush(out) == 0;
    if (!good)
        ca_error(error, "cannot write the header: %s", strerror(errno));
    BIO_free(content);
    OPENSSL_free(der);
    return good;
}

/* -- what a broker asks for -- */

/* Is the certificate at @path ours, good for long enough, and for all names? */
static bool is_still_good(struct tls_ca *ca, const char *path, const char *key_path,
                          const char *const *names, size_t name_count)
{
    char error[TLS_CA_ERROR_BYTES];
    X509 *certificate = ca_read_certificate(path, error);
    EVP_PKEY *key = certificate ? ca_read_key(key_path, error) : NULL;
    int64_t needed_s = time(NULL) + (int64_t)TLS_CA_RENEW_DAYS * 86400;

    bool good = key && X509_check_private_key(certificate, key) == 1 &&
                X509_verify(certificate, ca->key) == 1 &&
                tls_time_s(X509_get0_notAfter(certificate)) > needed_s;
    for (size_t i = 0; good && i < name_count; i++) {
        good = tls_ca_name_is_address(names[i])
                   ? X509_check_ip_asc(certificate, names[i], 0) == 1
                   : X509_check_host(certificate, names[i], strlen(names[i]), 0, NULL) == 1;
    }
    ERR_clear_error();
    X509_free(certificate);
    EVP_PKEY_free(key);
    return good;
}

bool tls_ca_ensure_server(const char *folder, const char *const *names, size_t name_count,
                          struct tls_ca_server *server, char *error)
{
    char root_name[TLS_CA_DEVICE_BYTES + 1] = "SMQ CA";
    char host[TLS_CA_DEVICE_BYTES - 8];

    if (gethostname(host, sizeof(host) - 1) == 0) {
        host[sizeof(host) - 1] = 0;
        snprintf(root_name, sizeof(root_name), "SMQ CA %s", host);
    }
    memset(server, 0, sizeof(*server));
    if (!tls_ca_exists(folder) && !tls_ca_init(folder, root_name, error))
        return false;
    struct tls_ca *ca = tls_ca_open(folder, error);
    if (!ca)
        return false;
    bool good = server_paths(folder, BROKER_LABEL, server, error);
    if (good &&
        !(is_still_good(ca, server->ecc_chain_path, server->ecc_key_path, names, name_count) &&
          is_still_good(ca, server->rsa_chain_path, server->rsa_key_path, names, name_count)))
        good = tls_ca_server(ca, BROKER_LABEL, names, name_count, server, error);
    tls_ca_close(ca);
    return good;
}
