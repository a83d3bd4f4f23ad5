/* server/secrets.c — see server/secrets.h. Thread: main; on_signature: a signer. */
#include "server/secrets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "tls/boring_memory.h"
#include "tls/rules.h"

#define SIGNER_QUEUE_MAX 4096u /* two seconds of work: beyond, clients would give up waiting */
#define CORES_PER_SIGNER 4u
#define WARN_AGAIN_S     86400

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

/* -- the list of files -- */

static void forget_files(struct secrets *secrets)
{
    for (uint32_t i = 0; i < secrets->file_count; i++)
        free(secrets->files[i]);
    free(secrets->files);
    secrets->files = NULL;
    secrets->file_count = 0;
}

static void note_file(struct secrets *secrets, const char *path)
{
    if (!path)
        return;
    for (uint32_t i = 0; i < secrets->file_count; i++)
        if (strcmp(secrets->files[i], path) == 0)
            return;
    secrets->files = reallocarray(secrets->files, secrets->file_count + 1, sizeof(*secrets->files));
    must(secrets->files);
    secrets->files[secrets->file_count] = strdup(path);
    must(secrets->files[secrets->file_count]);
    secrets->file_count++;
}

/* -- our own CA -- */

/* In data_dir/ca: made when it is not there, renewed in time. */
static bool ensure_own(struct secrets *secrets, const char *folder)
{
    char error[TLS_CA_ERROR_BYTES];
    size_t name_count = 0;
    char **names = NULL;

    if (secrets->is_own)
        return true; /* for another policy, just now */
    if (mkdir(secrets->config->data_dir, 0700) != 0 && errno != EEXIST) {
        snprintf(secrets->error, sizeof(secrets->error), "cannot make %.200s: %s",
                 secrets->config->data_dir, strerror(errno));
        return false;
    }
    tls_ca_machine_names(&names, &name_count);
    bool good =
        tls_ca_ensure_server(folder, (const char *const *)names, name_count, &secrets->own, error);
    tls_ca_names_free(names, name_count);
    if (!good)
        snprintf(secrets->error, sizeof(secrets->error), "%.500s", error);
    secrets->is_own = good;
    return good;
}

/* A policy without certificates: ours are served, and devices of `smq ca device` are ours, too. */
static bool use_own(struct secrets *secrets, struct tls_context_options *options,
                    char crl_path[PATH_MAX])
{
    char folder[PATH_MAX];

    snprintf(folder, sizeof(folder), "%s/ca", secrets->config->data_dir);
    if (!ensure_own(secrets, folder))
        return false;
    options->ecc = (struct tls_cert_files){secrets->own.ecc_chain_path, secrets->own.ecc_key_path};
    options->rsa = (struct tls_cert_files){secrets->own.rsa_chain_path, secrets->own.rsa_key_path};
    if (options->client_ca_path || options->client_auth == TLS_CLIENT_OFF)
        return true;
    options->client_ca_path = secrets->own.ca_path;
    if (options->client_crl_path)
        return true;
    tls_ca_crl_path(folder, crl_path);
    if (access(crl_path, F_OK) == 0)
        options->client_crl_path = crl_path;
    else
        note_file(secrets, crl_path); /* the first revocation will make it */
    return true;
}

/* -- credentials -- */

/* Certificates and keys, which BoringSSL keeps. They are freed by whoever gives them up last: only
 * the sum over all accounts means anything. */
static void settle(struct secrets *secrets)
{
    int64_t now_bytes = tls_boring_bytes_of_thread();

    mem_count(secrets->mem, MEM_TLS, now_bytes - secrets->settled_bytes);
    secrets->settled_bytes = now_bytes;
}

static struct tls_context *build_one(struct secrets *secrets, uint32_t policy_index)
{
    static struct tls_rules rules; /* large; only main() comes here */
    const struct config_tls *tls = &secrets->config->tls_policies[policy_index];
    char own_crl_path[PATH_MAX] = "";
    char reason[TLS_RULES_REASON_BYTES];
    char name[32];
    struct tls_context_options options = {
        .name = name,
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

    /* Sessions are bound to the name: no policy takes another's. */
    snprintf(name, sizeof(name), "tls policy %u", policy_index);
    must(tls_rules_parse(&rules, tls->rules, reason)); /* server/config_policies.c has looked */
    options.rules = rules.rules;
    options.rule_count = rules.count;
    if (!has_credentials(tls) && !use_own(secrets, &options, own_crl_path))
        return NULL;
    if (options.client_auth == TLS_CLIENT_OFF)
        options.client_ca_path = options.client_crl_path = NULL;
    const char *const paths[] = {options.ecc.chain_path, options.ecc.key_path,
                                 options.rsa.chain_path, options.rsa.key_path,
                                 options.client_ca_path, options.client_crl_path};
    for (uint32_t i = 0; i < COUNT_OF(paths); i++)
        note_file(secrets, paths[i]);
    return tls_context_create(&options, secrets->error);
}

/* All of it, or NULL. */
static struct secure_set *build(struct secrets *secrets)
{
    const struct config *config = secrets->config;
    struct secure_set *set = secure_set_create(config->tls_policy_count);
    bool good = true;

    secrets->is_own = false;
    forget_files(secrets);
    for (uint32_t i = 0; i < config->tls_policy_count && good; i++) {
        set->policies[i].bind_uid = config->tls_policies[i].bind_uid != 0;
        set->policies[i].context = build_one(secrets, i);
        good = set->policies[i].context != NULL;
    }
    for (uint32_t i = 0; i < config->listener_count; i++)
        set->policy_of_listener[i] = config->listeners[i].policy_index;
    if (!good) {
        secure_set_unref(set);
        set = NULL;
    }
    settle(secrets);
    return set;
}

bool secrets_check(const struct config *config, char *error)
{
    struct secrets secrets = {.config = config};
    bool good = true;

    for (uint32_t i = 0; secrets_wanted(config) && i < config->tls_policy_count && good; i++) {
        if (!has_credentials(&config->tls_policies[i]))
            continue;
        struct tls_context *context = build_one(&secrets, i);

        good = context != NULL;
        tls_context_unref(context);
    }
    forget_files(&secrets);
    if (!good)
        snprintf(error, TLS_ERROR_BYTES, "%s", secrets.error);
    return good;
}

void secrets_close(struct secrets *secrets)
{
    must(!secrets->signer);
    secure_set_unref(secrets->set);
    tls_tickets_close(secrets->tickets);
    forget_files(secrets);
    if (secrets->mem)
        settle(secrets);
    secrets->set = NULL;
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
static bool needs_signer(const struct config *config)
{
    for (uint32_t i = 0; i < config->tls_policy_count; i++) {
        const struct config_tls *tls = &config->tls_policies[i];

        if (!has_credentials(tls) || tls->rsa_certificate[0] != '\0')
            return true;
    }
    return false;
}

static bool open_signer(struct secrets *secrets, struct mesh *mesh)
{
    struct tls_signer_options options = {.worker_count = mesh->signer_count,
                                         .queue_count_max = SIGNER_QUEUE_MAX,
                                         .done = on_signature,
                                         .context = mesh};

    if (!needs_signer(secrets->config))
        return true;
    secrets->signer = tls_signer_open(&options);
    if (!secrets->signer)
        snprintf(secrets->error, sizeof(secrets->error), "cannot start a signing thread: %s",
                 strerror(errno));
    return secrets->signer != NULL;
}

bool secrets_open(struct secrets *secrets, const struct config *config, struct mesh *mesh,
                  struct mem *mem)
{
    *secrets = (struct secrets){.config = config,
                                .mem = mem,
                                .settled_bytes = tls_boring_bytes_of_thread()};
    if (!secrets_wanted(config))
        return true;
    secrets->tickets = tls_tickets_open(config->tls_ticket_ms / 1000);
    if (!secrets->tickets) {
        snprintf(secrets->error, sizeof(secrets->error), "no memory for session tickets");
        return false;
    }
    if (open_signer(secrets, mesh))
        secrets->set = build(secrets);
    if (secrets->set)
        return true;
    secrets_stop(secrets);
    secrets_close(secrets);
    return false;
}

/* -- what expires -- */

static void warn_of(const char *what, int64_t expiry_s, int64_t now_s)
{
    int64_t days = tls_days_left(expiry_s, now_s);

    if (expiry_s == 0 || expiry_s == INT64_MAX)
        return;
    if (days < 0)
        log_event(LOG_LEVEL_ERROR, "tls.expired",
                  "file=%s days_ago=%lld clients will refuse it, or be refused: renew it, unless "
                  "this machine's clock is wrong",
                  what, (long long)-days);
    else if (days <= TLS_EXPIRY_WARNING_DAYS)
        log_event(LOG_LEVEL_WARNING, "tls.expires", "file=%s days_left=%lld", what,
                  (long long)days);
}

void secrets_warn(struct secrets *secrets, int64_t now_s)
{
    if (!secrets->set || now_s - secrets->warned_s < WARN_AGAIN_S)
        return;
    secrets->warned_s = now_s;
    for (uint32_t i = 0; i < secrets->set->policy_count; i++) {
        const struct config_tls *tls = &secrets->config->tls_policies[i];
        const struct tls_context_facts *facts =
            tls_context_facts(secrets->set->policies[i].context);

        warn_of(facts->expiry_path, facts->expiry_s, now_s);
        if (facts->client_auth == TLS_CLIENT_OFF)
            continue;
        warn_of(tls->client_ca[0] != '\0' ? tls->client_ca : "client_ca", facts->client_ca_expiry_s,
                now_s);
        warn_of(tls->client_crl[0] != '\0' ? tls->client_crl : "client_crl", facts->crl_expiry_s,
                now_s);
    }
}

int64_t secrets_expiry_s(const struct secrets *secrets, const char **path)
{
    int64_t expiry_s = INT64_MAX;

    for (uint32_t i = 0; i < secrets->set->policy_count; i++) {
        const struct tls_context_facts *facts =
            tls_context_facts(secrets->set->policies[i].context);

        if (facts->expiry_s >= expiry_s)
            continue;
        expiry_s = facts->expiry_s;
        *path = facts->expiry_path;
    }
    return expiry_s;
}

int64_t secrets_crl_expiry_s(const struct secrets *secrets)
{
    int64_t expiry_s = INT64_MAX;

    for (uint32_t i = 0; i < secrets->set->policy_count; i++) {
        const struct tls_context_facts *facts =
            tls_context_facts(secrets->set->policies[i].context);

        if (facts->client_auth != TLS_CLIENT_OFF && facts->crl_expiry_s < expiry_s)
            expiry_s = facts->crl_expiry_s;
    }
    return expiry_s;
}

/* -- reload -- */

bool secrets_reload(struct secrets *secrets)
{
    bool was_own = secrets->is_own;
    struct secure_set *fresh = build(secrets);
    int64_t now_s = (int64_t)time(NULL);
    const char *path = NULL;

    if (!fresh) {
        secrets->is_own = was_own;
        secrets->is_stale = true;
        secrets->reload_failures_count++;
        log_event(LOG_LEVEL_ERROR, "tls.reload_failed", "the old credentials stay: %s",
                  secrets->error);
        return false;
    }
    secure_set_unref(secrets->set);
    settle(secrets);
    secrets->set = fresh;
    secrets->is_stale = false;
    secrets->reloads_count++;
    log_event(LOG_LEVEL_INFO, "tls.reloaded", "first_expiry_days=%lld",
              (long long)tls_days_left(secrets_expiry_s(secrets, &path), now_s));
    secrets->warned_s = 0; /* of other files perhaps */
    secrets_warn(secrets, now_s);
    return true;
}
