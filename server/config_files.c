/*
 * server/config_files.c — are the files there that a configuration names?
 *
 * What is in them is judged where they are read. But who checks a configuration before a restart
 * wants to hear of a mistyped name now.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "server/config.h"
#include "server/config_keys.h"
#include "server/config_parts.h"

/* A key that names a file, and what makes one (NULL: nothing of ours). */
struct named_file {
    const char *key;
    const char *path; /* NULL or "": not set */
    const char *advice;
};

static bool is_readable(const struct named_file *file, const char *place,
                        struct config_error *error)
{
    if (!file->path || file->path[0] == '\0' || access(file->path, R_OK) == 0)
        return true;
    return config_fail(error, "%s%s = \"%.200s\": %s%s%s", place, file->key, file->path,
                       strerror(errno), file->advice ? "; " : "", file->advice ? file->advice : "");
}

static bool are_readable(const struct named_file *files, uint32_t count, const char *place,
                         struct config_error *error)
{
    for (uint32_t i = 0; i < count; i++)
        if (!is_readable(&files[i], place, error))
            return false;
    return true;
}

static bool check_instance(const struct config_instance *instance, struct config_error *error)
{
    char place[CONFIG_REASON_BYTES];
    const struct named_file files[] = {
        {"users", instance->users_path, "`smq passwd FILE USER` makes one"},
        {"keys", instance->keys_path, "write a UID pattern and a key on each line"},
        {"acl", instance->acl_path, NULL},
        {"script", instance->script_path, NULL},
    };

    snprintf(place, sizeof(place), "instance \"%.80s\": ", instance->path);
    return are_readable(files, COUNT_OF(files), place, error);
}

static bool check_policy(const struct config_tls *tls, struct config_error *error)
{
    static const char advice[] = "`smq ca` makes certificates; without any, smqd makes its own";
    const struct named_file files[] = {
        {"tls.ecc_certificate", tls->ecc_certificate, advice},
        {"tls.ecc_key", tls->ecc_key, NULL},
        {"tls.rsa_certificate", tls->rsa_certificate, advice},
        {"tls.rsa_key", tls->rsa_key, NULL},
        {"tls.client_ca", tls->client_ca, NULL},
        {"tls.client_crl", tls->client_crl, "`smq ca revoke` writes one"},
    };

    return are_readable(files, COUNT_OF(files), "", error);
}

bool config_check_files(const struct config *config, struct config_error *error)
{
    const struct named_file files[] = {
        {"web.root", config->web.root, NULL},
        {"web.token_file", config->web.token_file, "`openssl rand -hex 32` makes a secret"},
    };

    for (uint32_t i = 0; i < config->instance_count; i++)
        if (!check_instance(&config->instances[i], error))
            return false;
    for (uint32_t i = 0; i < config->tls_policy_count; i++)
        if (!check_policy(&config->tls_policies[i], error))
            return false;
    return are_readable(files, COUNT_OF(files), "", error);
}
