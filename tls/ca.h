/*
 * tls/ca.h — a certificate authority of one's own, as plain files in one folder.
 *
 *      FOLDER/ca.crt  ca.key            the root: give ca.crt to clients, ca.key to nobody
 *      FOLDER/crl.pem                   revoked certificates; a listener reads it
 *      FOLDER/index.tsv                 one line for each certificate made, see below
 *      FOLDER/server/NAME/ecc.crt  ecc.key  rsa.crt  rsa.key
 *      FOLDER/device/NAME.pem           key and certificate; NAME.h: the same for firmware
 *
 * Keys are P-256 (and RSA-2048 beside it for servers) and stand in files of mode 0600. A file is
 * replaced whole or not at all. The index has tab-separated columns: status (V or R), serial, kind
 * (server, server-rsa, device), issued, expires, revoked ("-": not), name; times are UTC. A
 * certificate stands in the index before it stands in a file, so none exists that cannot be
 * revoked.
 *
 * Used by `smq ca ...` and by smqd's first start. Thread: any one at a time; an open CA holds a
 * lock on its index, so two programs do not mix their lines.
 *
 * Every function that can fail fills @error (TLS_CA_ERROR_BYTES) with a sentence for a person.
 */
#pragma once

#include <limits.h>
#include <stdio.h>

#include "core/must.h"

#define TLS_CA_ERROR_BYTES     (PATH_MAX + 256u)
#define TLS_CA_NAMES_MAX       64u /* in one server certificate */
#define TLS_CA_NAME_BYTES      254u
#define TLS_CA_DEVICE_BYTES    64u /* of a device's name: what a CN may hold */
#define TLS_CA_RENEW_DAYS      30 /* tls_ca_ensure_server makes new ones this long before the end */
#define TLS_CA_INDEX_BYTES_MAX (64u << 20)

struct tls_ca;

struct tls_ca_server {
    char ca_path[PATH_MAX]; /* what a client has to trust */
    char ecc_chain_path[PATH_MAX];
    char ecc_key_path[PATH_MAX];
    char rsa_chain_path[PATH_MAX];
    char rsa_key_path[PATH_MAX];
    bool made; /* by this call; false: what was there is still good */
};

struct tls_ca_device {
    char pem_path[PATH_MAX];
    char header_path[PATH_MAX];
};

/* One line of the index. The strings live until the callback returns. */
struct tls_ca_entry {
    bool revoked;
    const char *serial; /* hexadecimal */
    const char *kind;
    const char *issued; /* 2026-01-31T12:00:00Z */
    const char *expires;
    const char *revoked_at; /* "-": it is not */
    const char *name;
};

/**
 * Make a CA called @name in @folder, which is created when missing.
 *
 * Returns: false when there is one already (it is left alone), or a file could not be written.
 */
MUST_CHECK bool tls_ca_init(const char *folder, const char *name, char *error);

/* Does @folder hold a CA? */
bool tls_ca_exists(const char *folder);

/* Read root and key, and lock the index. NULL: see @error. */
MUST_CHECK struct tls_ca *tls_ca_open(const char *folder, char *error);
void tls_ca_close(struct tls_ca *ca); /* NULL is fine */

/**
 * Make an ECDSA and an RSA credential for @names (DNS names, "*.example.org", addresses), in the
 * folder server/@label. What stood there is replaced; its certificates stay valid.
 */
MUST_CHECK bool tls_ca_server(struct tls_ca *ca, const char *label, const char *const *names,
                              size_t name_count, struct tls_ca_server *server, char *error);

/* Make a device's key and certificate. Refused while @name has a valid one. */
MUST_CHECK bool tls_ca_device(struct tls_ca *ca, const char *name, struct tls_ca_device *device,
                              char *error);

/**
 * Revoke every certificate of @name, or the one with this serial, and write the CRL.
 *
 * Returns: false when none is known, or a file could not be written. *revoked_count: how many
 *          were not revoked before.
 */
MUST_CHECK bool tls_ca_revoke(struct tls_ca *ca, const char *name, uint32_t *revoked_count,
                              char *error);

/* Call @each for all lines, oldest first; false: the index is damaged. */
MUST_CHECK bool tls_ca_list(struct tls_ca *ca, void (*each)(void *, const struct tls_ca_entry *),
                            void *context, char *error);

/* The root as a C array. */
MUST_CHECK bool tls_ca_header(struct tls_ca *ca, FILE *out, char *error);

/* The paths of the files that need no name. */
void tls_ca_root_path(const char *folder, char path[PATH_MAX]);
void tls_ca_crl_path(const char *folder, char path[PATH_MAX]);

/**
 * What a broker without configured credentials does at start: make the CA if there is none, and
 * credentials for @names unless those in server/smqd are valid for all of them, and for
 * TLS_CA_RENEW_DAYS more.
 */
MUST_CHECK bool tls_ca_ensure_server(const char *folder, const char *const *names,
                                     size_t name_count, struct tls_ca_server *server, char *error);

/**
 * "localhost", the host's name, and its addresses (no link-local ones), without doubles.
 *
 * Gives:   @name_count strings in *names, to be freed with tls_ca_names_free.
 */
void tls_ca_machine_names(char ***names, size_t *name_count);
void tls_ca_names_free(char **names, size_t name_count);

/* May @name stand in a server certificate? An address, or a DNS name with at most one leading
 * "*.". */
bool tls_ca_server_name_is_good(const char *name);
bool tls_ca_name_is_address(const char *name);

/* May @name be a device's? Letters, digits, dot, dash, underscore; no leading dot or dash. */
bool tls_ca_device_name_is_good(const char *name);
