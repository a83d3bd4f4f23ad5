/*
 * server/secrets.h — the broker's TLS: credentials from the configuration or from an own CA, the
 * signing workers, the tickets, and the reload of all of it.
 *
 *      config.tls_policies, files --secrets_open--> struct secure_set --secure_offer--> I/O actors
 *                                      ^
 *      SIGHUP, changed files --secrets_reload      all of it, or the old set stays in force
 *
 * Thread: main (as the control actor while the broker runs), but for the signers' callback.
 */
#pragma once

#include "core/mesh.h"
#include "net/secure.h"
#include "tls/ca.h"
#include "tls/signer.h"
#include "tls/tickets.h"

struct secrets {
    const struct config *config;
    struct mem *mem;        /* control's: BoringSSL's bytes of this thread are counted there */
    int64_t settled_bytes;  /* of them, already in @mem */
    struct secure_set *set; /* NULL: no listener speaks TLS */
    struct tls_tickets *tickets;
    struct tls_signer *signer; /* NULL: no RSA credential */
    bool is_own;               /* credentials of our own CA are used: own says where they are */
    struct tls_ca_server own;
    char **files; /* what was read at the last attempt, or would have been, had it been there */
    uint32_t file_count;
    uint64_t reloads_count;
    uint64_t reload_failures_count;
    bool is_stale;               /* the last reload failed: */
    char error[TLS_ERROR_BYTES]; /* why */
    int64_t warned_s;            /* when we last warned of what expires */
};

/* Does any listener speak TLS? */
bool secrets_wanted(const struct config *config);

/* How many signers the mesh needs ports for; 0 without TLS. */
uint32_t secrets_signer_count(const struct config *config);

/**
 * Read the credentials, or make our own in data_dir/ca, and start the signers, which push to I/O
 * actors through their ports of @mesh. Does nothing when no listener speaks TLS.
 *
 * Returns: false with the reason in secrets->error; nothing needs closing then.
 */
MUST_CHECK bool secrets_open(struct secrets *secrets, const struct config *config,
                             struct mesh *mesh, struct mem *mem);

/* For --check-config: would the configured credentials be taken? Makes nothing; our own CA, where
 * none are configured, is not looked at. false: @error (TLS_ERROR_BYTES) names file and reason. */
MUST_CHECK bool secrets_check(const struct config *config, char *error);

/* End the signers: every connection is gone. Before the mesh is taken apart. */
void secrets_stop(struct secrets *secrets);
void secrets_close(struct secrets *secrets);

/* Read everything anew. true: secrets->set is a new one, to be offered. false: the old one stays,
 * and secrets->error says why. Logs either. secrets->files is a new list in both cases. */
MUST_CHECK bool secrets_reload(struct secrets *secrets);

/* Log what will expire soon: at once, and then once a day, however often this is called. */
void secrets_warn(struct secrets *secrets, int64_t now_s);

/* The first of our own certificates to expire: Unix time, and its file. With TLS only. */
int64_t secrets_expiry_s(const struct secrets *secrets, const char **path);

/* When the first revocation list is out of date; INT64_MAX: there is none. With TLS only. */
int64_t secrets_crl_expiry_s(const struct secrets *secrets);
