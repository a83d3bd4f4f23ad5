/*
 * server/secrets.h — the broker's TLS: credentials from the configuration or from an own CA, the
 * signing workers, the tickets, and the reload of all of it.
 *
 *      config.tls, files --secrets_open--> struct tls_context --secure_offer--> each I/O actor
 *                              ^
 *      SIGHUP --secrets_reload-'   whole, or the old ones stay in force
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
    struct tls_context *context; /* NULL: no listener speaks TLS */
    struct tls_tickets *tickets;
    struct tls_signer *signer; /* NULL: no RSA credential */
    bool is_own;               /* credentials of our own CA: own says where */
    struct tls_ca_server own;
    uint64_t reloads_count;
    uint64_t reload_failures_count;
    bool is_stale;               /* the last reload failed: */
    char error[TLS_ERROR_BYTES]; /* why */
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
                             struct mesh *mesh);

/* End the signers: every connection is gone. Before the mesh is taken apart. */
void secrets_stop(struct secrets *secrets);
void secrets_close(struct secrets *secrets);

/* Read everything anew. true: secrets->context is a new one, to be offered. false: the old one
 * stays, and secrets->error says why. Logs either. */
MUST_CHECK bool secrets_reload(struct secrets *secrets);

/* Log what will expire soon. */
void secrets_warn(const struct secrets *secrets);
