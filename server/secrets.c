/* server/secrets.c — see server/secrets.h. Thread: main; on_signature: a signer. */
#include "server/secrets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"

#define SIGNER_QUEUE_MAX 4096u /* two seconds of work: beyond, clients would give up waiting */
#define CORES_PER_SIGNER 4u

static_assert((int)CONFIG_CLIENT_OFF == (int)TLS_CLIENT_OFF, "the same words");
static_assert((int)CONFIG_CLIENT_OPTIONAL == (int)TLS_CLIENT_OPTIONAL, "the same words");
static_assert((int)CONFIG_CLIENT_REQUIRED == (int)TLS_CLIENT_REQUIRED, "the same words");

bool secrets_wanted(const struct config *config)
{
    for (uint32_t i = 0; i < config->listener_count; i++)
        if (config->listeners[i].tls)
            return true;
    return false;
}

uint32_t secrets_signer_count(const struct config *config)
{
    if (!secrets_wanted(config))
        return 0;
    return min_u32(1 + (uint32_t)config->io_thread_count / CORES_PER_SIGNER, LIMIT_SIGNERS);
}

/* -- credentials -- */

static const char *path_or_null(const char *path)
{
    return path[0] != '\0' ? path : NULL;
}

static const char *key_path_of(const char *key, const char *certificate)
{
    return path_or_null(key[0] != '\0' ? key : certificate);
}

static bool has_credentials(const struct config_tls *tls)
{
    return tls->ecc_certificate[0] != '\0' || tls->rsa_certificate[0] != '\0';
}

/* Our own CA, in data_dir/ca: made when it is not there, renewed in time. */
static bool ensure_own(struct secrets *secrets)
{
    char folder[PATH_MAX];
    char error[TLS_CA_ERROR_BYTES];
    size_t name_count = 0;
    char **names = NULL;

    if (mkdir(secrets->config->data_dir, 0700) != 0 && errno != EEXIST) {
        snprintf(secrets->error, sizeof(secrets->error), "cannot make %.200s: %s",
                 secrets->config->data_dir, strerror(errno));
        return false;
    }
    snprintf(folder, sizeof(folder), "%s/ca", secrets->config->data_dir);
    tls_ca_machine_names(&names, &name_count);
    bool good =
        tls_ca_ensure_server(folder, (const char *const *)names, name_count, &secrets->own, error);
    tls_ca_names_free(names, name_count);
    if (!good)
        snprintf(secrets->error, sizeof(secrets->error), "%.500s", error);
    secrets->is_own = good;
    return good;
}

static struct tls_context *build(struct secrets *secrets)
{
    const struct config_tls *tls = &secrets->config->tls;
    char own_crl_path[PATH_MAX] = "";
    struct tls_context_options options = {
        .name = "smqd",
        .ecc = {path_or_null(tls->ecc_certificate),
                key_path_of(tls->ecc_key, tls->ecc_certificate)},
        .rsa = {path_or_null(tls->rsa_certificate),
                key_path_of(tls->rsa_key, tls->rsa_certificate)},
        .client_auth = (enum tls_client_auth)tls->client_auth,
        .client_ca_path = path_or_null(tls->client_ca),
        .client_crl_path = path_or_null(tls->client_crl),
        .client_verdict_late = true, /* the client gets a Connack that says why */
        .version_min = tls->version_min == CONFIG_TLS_1_3 ? TLS_1_3 : TLS_1_2,
        .compact = tls->compact != 0,
        .tickets = secrets->tickets,
        .signer = secrets->signer};

    secrets->is_own = false;
    if (!has_credentials(tls)) {
        if (!ensure_own(secrets))
            return NULL;
        options.ecc =
            (struct tls_cert_files){secrets->own.ecc_chain_path, secrets->own.ecc_key_path};
        options.rsa =
            (struct tls_cert_files){secrets->own.rsa_chain_path, secrets->own.rsa_key_path};
        if (!options.client_ca_path) { /* devices of `smq ca device` are ours, too */
            char folder[PATH_MAX];

            snprintf(folder, sizeof(folder), "%s/ca", secrets->config->data_dir);
            tls_ca_crl_path(folder, own_crl_path);
            options.client_ca_path = secrets->own.ca_path;
            if (!options.client_crl_path && access(own_crl_path, F_OK) == 0)
                options.client_crl_path = own_crl_path;
        }
    }
    if (options.client_auth == TLS_CLIENT_OFF)
        options.client_ca_path = options.client_crl_path = NULL;
    return tls_context_create(&options, secrets->error);
}

void secrets_close(struct secrets *secrets)
{
    must(!secrets->signer);
    tls_context_unref(secrets->context);
    tls_tickets_close(secrets->tickets);
    secrets->context = NULL;
    secrets->tickets = NULL;
}

/* -- signers -- */

/* Thread: a signer. The token is the connection's handle (net/secure.c). */
static void on_signature(void *context, uint32_t worker_index, uint64_t token)
{
    struct mesh *mesh = context;
    struct port *port = &mesh->ports[mesh_signer_index(mesh, worker_index)];
    struct conn_handle conn = {.host_index = (uint16_t)(token >> 48),
                               .generation = (uint16_t)(token >> 32),
                               .slot_index = (uint32_t)token};

    port_push(port, conn.host_index, (struct envelope){.kind = ENVELOPE_SIGNED, .conn = conn});
    (void)port_flush(port); /* a full lane moves on with the next signature */
}

void secrets_stop(struct secrets *secrets)
{
    if (secrets->signer)
        tls_signer_close(secrets->signer);
    secrets->signer = NULL;
}

/* -- life -- */

/* Without an RSA credential there is nothing that takes long. */
static bool open_signer(struct secrets *secrets, struct mesh *mesh)
{
    const struct config_tls *tls = &secrets->config->tls;
    struct tls_signer_options options = {.worker_count = mesh->signer_count,
                                         .queue_count_max = SIGNER_QUEUE_MAX,
                                         .done = on_signature,
                                         .context = mesh};

    if (has_credentials(tls) && tls->rsa_certificate[0] == '\0')
        return true;
    secrets->signer = tls_signer_open(&options);
    if (!secrets->signer)
        snprintf(secrets->error, sizeof(secrets->error), "cannot start a signing thread: %s",
                 strerror(errno));
    return secrets->signer != NULL;
}

bool secrets_open(struct secrets *secrets, const struct config *config, struct mesh *mesh)
{
    *secrets = (struct secrets){.config = config};
    if (!secrets_wanted(config))
        return true;
    secrets->tickets = tls_tickets_open(config->tls.ticket_ms / 1000);
    if (!secrets->tickets) {
        snprintf(secrets->error, sizeof(secrets->error), "no memory for session tickets");
        return false;
    }
    if (open_signer(secrets, mesh))
        secrets->context = build(secrets);
    if (secrets->context)
        return true;
    secrets_stop(secrets);
    secrets_close(secrets);
    return false;
}

/* -- reload -- */

static void warn_of(const char *what, int64_t expiry_s, int64_t now_s)
{
    int64_t days = tls_days_left(expiry_s, now_s);

    if (expiry_s != 0 && days <= TLS_EXPIRY_WARNING_DAYS)
        log_event(LOG_LEVEL_WARNING, "tls.expires", "file=%s days_left=%lld", what,
                  (long long)days);
}

void secrets_warn(const struct secrets *secrets)
{
    int64_t now_s = (int64_t)time(NULL);

    if (!secrets->context)
        return;
    const struct tls_context_facts *facts = tls_context_facts(secrets->context);

    warn_of(facts->expiry_path, facts->expiry_s, now_s);
    if (facts->client_auth == TLS_CLIENT_OFF)
        return;
    warn_of("client_ca", facts->client_ca_expiry_s, now_s);
    warn_of("client_crl", facts->crl_expiry_s, now_s);
}

bool secrets_reload(struct secrets *secrets)
{
    struct tls_context *fresh = build(secrets);

    if (!fresh) {
        secrets->is_stale = true;
        secrets->reload_failures_count++;
        log_event(LOG_LEVEL_ERROR, "tls.reload_failed", "the old credentials stay: %s",
                  secrets->error);
        return false;
    }
    tls_context_unref(secrets->context);
    secrets->context = fresh;
    secrets->is_stale = false;
    secrets->reloads_count++;
    log_event(LOG_LEVEL_INFO, "tls.reloaded", "first_expiry_days=%lld",
              (long long)tls_days_left(tls_context_facts(fresh)->expiry_s, (int64_t)time(NULL)));
    secrets_warn(secrets);
    return true;
}
