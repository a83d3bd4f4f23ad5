/*
 * server/config_auth.c — who may come in: the keys of an instance about it, and whether an address
 * that others can reach is open to everybody.
 *
 * Thread: only main(), before the other threads start. Pure but for config->instances.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/suggest.h"
#include "server/config_parts.h"

static const char *const auth_words[CONFIG_AUTH_COUNT] = {
    [CONFIG_AUTH_PASSWORD] = "password",       [CONFIG_AUTH_KEY] = "key",
    [CONFIG_AUTH_CERTIFICATE] = "certificate", [CONFIG_AUTH_WEB] = "web",
    [CONFIG_AUTH_ANONYMOUS] = "anonymous",
};

const char *const config_instance_texts[CONFIG_INSTANCE_TEXT_COUNT] = {"users", "keys", "acl",
                                                                       "script"};

const char *config_auth_word(enum config_auth auth)
{
    must(auth < CONFIG_AUTH_COUNT);
    return auth_words[auth];
}

/* -- one key at a time -- */

char **config_instance_text(struct config_instance *instance, const char *name)
{
    char **const fields[CONFIG_INSTANCE_TEXT_COUNT] = {&instance->users_path, &instance->keys_path,
                                                       &instance->acl_path, &instance->script_path};

    for (uint32_t i = 0; i < CONFIG_INSTANCE_TEXT_COUNT; i++)
        if (strcmp(name, config_instance_texts[i]) == 0)
            return fields[i];
    must_never("no such key of an instance");
}

void config_auth_deinit(struct config_instance *instance)
{
    for (uint32_t i = 0; i < CONFIG_INSTANCE_TEXT_COUNT; i++)
        free(*config_instance_text(instance, config_instance_texts[i]));
}

bool config_add_auth(struct config_instance *instance, const char *word, char *reason)
{
    uint32_t auth = 0;

    while (auth < CONFIG_AUTH_COUNT && strcmp(word, auth_words[auth]) != 0)
        auth++;
    if (auth == CONFIG_AUTH_COUNT) {
        const char *near = suggest_nearest(word, auth_words, CONFIG_AUTH_COUNT);

        return config_because(reason,
                              "write some of password, key, certificate, web, anonymous%s%s%s",
                              near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    if (config_asks_for(instance, (enum config_auth)auth) && instance->auth_count > 0)
        return config_because(reason, "it is in the list already");
    if (instance->auth_count > 0 &&
        instance->auth[instance->auth_count - 1] == CONFIG_AUTH_ANONYMOUS)
        return config_because(reason, "anonymous lets everybody in, so nothing after it is asked; "
                                      "write it last");
    instance->auth[instance->auth_count++] = (uint8_t)auth;
    instance->needs_login |= auth == CONFIG_AUTH_WEB;
    return true;
}

/* -- what only makes sense together -- */

static bool check_file(const struct config_instance *instance, enum config_auth auth,
                       const char *path, const char *name, const char *origin,
                       struct config_error *error)
{
    bool is_asked = instance->auth_count > 0 && config_asks_for(instance, auth);

    if (is_asked && !path)
        return config_fail(error, "%s: instance \"%s\": auth = %s needs %s = \"FILE\"", origin,
                           instance->path, auth_words[auth], name);
    if (!is_asked && path)
        return config_fail(error,
                           "%s: instance \"%s\": %s is set, but auth does not ask for %s; add it "
                           "to auth",
                           origin, instance->path, name, auth_words[auth]);
    return true;
}

/* Does any address ask its clients for certificates? */
static bool asks_certificates(const struct config *config)
{
    for (uint32_t i = 0; i < config->tls_policy_count; i++)
        if (config->tls_policies[i].client_auth != CONFIG_CLIENT_OFF)
            return true;
    return false;
}

bool config_check_auth(const struct config *config, const char *origin, struct config_error *error)
{
    for (uint32_t i = 0; i < config->instance_count; i++) {
        const struct config_instance *instance = &config->instances[i];

        if (!check_file(instance, CONFIG_AUTH_PASSWORD, instance->users_path, "users", origin,
                        error) ||
            !check_file(instance, CONFIG_AUTH_KEY, instance->keys_path, "keys", origin, error))
            return false;
        if (instance->auth_count > 0 && config_asks_for(instance, CONFIG_AUTH_CERTIFICATE) &&
            !asks_certificates(config))
            return config_fail(error,
                               "%s: instance \"%s\": auth = certificate needs tls.client_auth = "
                               "optional (or required)",
                               origin, instance->path);
        if (instance->bind_uid && config_lets_in_anybody(instance))
            return config_fail(error,
                               "%s: instance \"%s\": bind_uid needs a list auth without anonymous: "
                               "to whom else would a UID be bound?",
                               origin, instance->path);
    }
    return true;
}

/* -- addresses that others can reach -- */

/* By number, or the one name that every machine has for itself: what another name leads to, even
 * 127.example.org, is the name server's to say, and may change. */
static bool is_loopback(const char *host)
{
    struct in_addr ipv4;
    struct in6_addr ipv6;

    if (inet_pton(AF_INET, host, &ipv4) == 1)
        return ntohl(ipv4.s_addr) >> 24 == IN_LOOPBACKNET;
    if (inet_pton(AF_INET6, host, &ipv6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&ipv6);
    return strcmp(host, "localhost") == 0;
}

static bool refuse_open(const struct config_listener *listener,
                        const struct config_instance *instance, const char *origin,
                        struct config_error *error)
{
    char line[16] = "";

    if (listener->line > 0)
        snprintf(line, sizeof(line), ":%d", listener->line);
    return config_fail(error,
                       "%s%s: %s can be reached from other machines, and instance \"%s\" asks "
                       "nobody who he is; give it a list auth, or say that you want that: listener "
                       "\"%s\" { allow_anonymous = on }, or allow_anonymous = on for all addresses",
                       origin, line, listener->url, instance->path, listener->url);
}

bool config_check_open(const struct config *config, const char *origin, struct config_error *error)
{
    for (uint32_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        bool asks_certificate =
            listener->tls &&
            config->tls_policies[listener->policy_index].client_auth == CONFIG_CLIENT_REQUIRED;

        if (listener->allow_anonymous || is_loopback(listener->host) || asks_certificate)
            continue;
        for (uint32_t j = 0; j < config->instance_count; j++)
            if (config_lets_in_anybody(&config->instances[j]))
                return refuse_open(listener, &config->instances[j], origin, error);
    }
    return true;
}
