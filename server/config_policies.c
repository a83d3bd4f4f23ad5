/*
 * server/config_policies.c — from the section tls and the listeners' own sections to one policy for
 * each tls:// address, and to what each address allows. See server/config_parts.h.
 *
 * Listeners whose policies are equal share one: they then share their sessions, too.
 */
#include <stdlib.h>
#include <string.h>

#include "server/config_keys.h"
#include "server/config_parts.h"
#include "tls/rules.h"

static char *copy_text(const char *text)
{
    char *copy = strdup(text);

    must(copy);
    return copy;
}

/* -- sections -- */

struct config_listener_section *config_add_listener_section(struct config *config, const char *url)
{
    config->listener_sections =
        reallocarray(config->listener_sections, config->listener_section_count + 1,
                     sizeof(*config->listener_sections));
    must(config->listener_sections);
    struct config_listener_section *section =
        &config->listener_sections[config->listener_section_count++];

    *section = (struct config_listener_section){.url = copy_text(url)};
    return section;
}

void config_add_override(struct config_listener_section *section, const struct config_key *key,
                         const char *value)
{
    section->overrides =
        reallocarray(section->overrides, section->override_count + 1, sizeof(*section->overrides));
    must(section->overrides);
    section->overrides[section->override_count++] =
        (struct config_override){.key = copy_text(key->name), .value = copy_text(value)};
}

void config_clear_policies(struct config *config)
{
    for (uint32_t i = 0; i < config->listener_section_count; i++) {
        struct config_listener_section *section = &config->listener_sections[i];

        for (uint32_t k = 0; k < section->override_count; k++) {
            free(section->overrides[k].key);
            free(section->overrides[k].value);
        }
        free(section->overrides);
        free(section->url);
    }
    for (uint32_t i = 0; i < config->tls_policy_count; i++) {
        struct config one = {.tls = config->tls_policies[i]};

        config_keys_deinit_listener(&one);
    }
    free(config->listener_sections);
    free(config->tls_policies);
    config->listener_sections = NULL;
    config->tls_policies = NULL;
    config->listener_section_count = config->tls_policy_count = 0;
}

/* -- one policy -- */

static bool check_policy(const struct config_tls *tls, const char *origin,
                         struct config_error *error)
{
    bool has_own = tls->ecc_certificate[0] == '\0' && tls->rsa_certificate[0] == '\0';
    char reason[TLS_RULES_REASON_BYTES];
    static struct tls_rules rules; /* large; only main() comes here */

    if (tls->ecc_key[0] != '\0' && tls->ecc_certificate[0] == '\0')
        return config_fail(error, "%s: tls.ecc_key needs tls.ecc_certificate", origin);
    if (tls->rsa_key[0] != '\0' && tls->rsa_certificate[0] == '\0')
        return config_fail(error, "%s: tls.rsa_key needs tls.rsa_certificate", origin);
    if (tls->client_auth != CONFIG_CLIENT_OFF && tls->client_ca[0] == '\0' && !has_own)
        return config_fail(error,
                           "%s: tls.client_auth needs tls.client_ca: which CA's certificates "
                           "are good?",
                           origin);
    if (tls->bind_uid && tls->client_auth == CONFIG_CLIENT_OFF)
        return config_fail(error, "%s: tls.bind_uid needs tls.client_auth = required (or optional)",
                           origin);
    if (!tls_rules_parse(&rules, tls->rules, reason))
        return config_fail(error, "%s: tls.rules: %s", origin, reason);
    return true;
}

/* A certificate of one's own does not go with the key of the common one: then the key, too, is
 * one's own, or stands in the certificate's file. */
static void forget_key_of(const char *certificate_name, struct config *policy)
{
    bool ecc = strcmp(certificate_name, "tls.ecc_certificate") == 0;
    char reason[CONFIG_REASON_BYTES];

    if (ecc || strcmp(certificate_name, "tls.rsa_certificate") == 0)
        must(config_key_store(config_key_find(ecc ? "tls.ecc_key" : "tls.rsa_key"), policy, "",
                              reason));
}

static bool apply_section(const struct config_listener_section *section, struct config *policy,
                          const char *origin, struct config_error *error)
{
    char reason[CONFIG_REASON_BYTES];

    for (uint32_t i = 0; i < section->override_count; i++)
        forget_key_of(section->overrides[i].key, policy);
    for (uint32_t i = 0; i < section->override_count; i++) {
        const struct config_override *override = &section->overrides[i];
        const struct config_key *key = config_key_find(override->key);

        must(key);
        if (!config_key_store(key, policy, override->value, reason))
            return config_fail(error, "%s: %s = \"%.80s\": %s", origin, key->name, override->value,
                               reason);
    }
    return true;
}

static const struct config_listener_section *section_of(const struct config *config,
                                                        const char *url)
{
    for (uint32_t i = 0; i < config->listener_section_count; i++)
        if (strcmp(config->listener_sections[i].url, url) == 0)
            return &config->listener_sections[i];
    return NULL;
}

/* Takes @policy's texts. Returns its index, or that of an equal one. */
static uint8_t add_policy(struct config *config, struct config *policy)
{
    for (uint32_t i = 0; i < config->tls_policy_count; i++) {
        struct config other = {.tls = config->tls_policies[i]};

        if (config_keys_equal_listener(policy, &other)) {
            config_keys_deinit_listener(policy);
            return (uint8_t)i;
        }
    }
    config->tls_policies = reallocarray(config->tls_policies, config->tls_policy_count + 1,
                                        sizeof(*config->tls_policies));
    must(config->tls_policies);
    config->tls_policies[config->tls_policy_count] = policy->tls;
    return (uint8_t)config->tls_policy_count++;
}

/* -- all of them -- */

bool config_make_policies(struct config *config, const char *origin, struct config_error *error)
{
    char where[CONFIG_REASON_BYTES];

    if (!check_policy(&config->tls, origin, error))
        return false;
    for (uint32_t i = 0; i < config->listener_count; i++) {
        struct config_listener *listener = &config->listeners[i];
        const struct config_listener_section *section = section_of(config, listener->url);
        struct config policy = {0};

        config_keys_copy_listener(&policy, config);
        policy.allow_anonymous = config->allow_anonymous;
        snprintf(where, sizeof(where), "%.200s: listener \"%.80s\"", origin, listener->url);
        if (section && (!apply_section(section, &policy, where, error) ||
                        !check_policy(&policy.tls, where, error))) {
            config_keys_deinit_listener(&policy);
            return false;
        }
        listener->allow_anonymous = policy.allow_anonymous != 0;
        if (listener->tls)
            listener->policy_index = add_policy(config, &policy);
        else
            config_keys_deinit_listener(&policy);
    }
    return true;
}
