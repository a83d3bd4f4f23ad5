/*
 * server/config.c — defaults, file and command line into one checked struct config.
 *
 * Allocation failures here are must(): at start, before any limit, a machine without a few
 * kilobytes cannot run a broker anyway.
 */
#include "server/config.h"

#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/envelope.h"
#include "core/guard.h"
#include "core/limits.h"
#include "core/suggest.h"
#include "server/config_keys.h"
#include "server/config_parts.h"
#include "webui/admin_topics.h"

#define DEFAULT_LISTEN   "tcp://127.0.0.1:8080" /* reachable from this machine only: a safe start */
#define DEFAULT_INSTANCE "/smq.lsp"             /* the path of the original server's examples */
#define PATH_BYTES_MAX   255u
#define NAMES_MAX        128u /* dotted names that can be suggested */

bool config_fail(struct config_error *error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return false;
}

bool config_because(char *reason, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, CONFIG_REASON_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

void config_unknown_key(const char *name, char *text)
{
    static const char *const other_names[] = {
        "listen",
        "listener",
        "instance",
        "instance.topic",
        "instance.subtopic",
        "instance.topic.tid",
        "instance.subtopic.stid",
        "instance.auth",
        "instance.users",
        "instance.keys",
        "instance.acl",
        "instance.script",
        "instance.origins",
        "instance.bind_uid",
    };
    const char *names[NAMES_MAX];
    uint32_t count = 0;

    must(config_key_count + config_section_count + COUNT_OF(other_names) <= NAMES_MAX);
    for (uint32_t i = 0; i < config_key_count; i++)
        names[count++] = config_keys[i].name;
    for (uint32_t i = 0; i < config_section_count; i++)
        if (config_sections[i].name[0] != '\0')
            names[count++] = config_sections[i].name;
    for (uint32_t i = 0; i < COUNT_OF(other_names); i++)
        names[count++] = other_names[i];

    const char *nearest = suggest_nearest(name, names, count);

    if (nearest && strcmp(nearest, name) == 0)
        snprintf(text, CONFIG_UNKNOWN_BYTES,
                 "in a file, \"%.80s\" stands in its section: write %.*s { %s = ... }", name,
                 (int)strcspn(name, "."), name, name + strcspn(name, ".") + 1);
    else if (nearest)
        snprintf(text, CONFIG_UNKNOWN_BYTES, "unknown key \"%.80s\"; did you mean \"%s\"?", name,
                 nearest);
    else
        snprintf(text, CONFIG_UNKNOWN_BYTES,
                 "unknown key \"%.80s\"; smqd --print-config lists them all", name);
}

/* -- lists: grown by doubling, whenever the count is a power of two -- */

static void *grow(void *items, uint32_t count, size_t item_bytes)
{
    if ((count & (count - 1)) != 0)
        return items;
    void *larger = reallocarray(items, count == 0 ? 1 : (size_t)count * 2, item_bytes);

    must(larger);
    return larger;
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text);

    must(copy);
    return copy;
}

static void listener_deinit(struct config_listener *listener)
{
    free(listener->url);
    free(listener->host);
    *listener = (struct config_listener){0};
}

static void pins_deinit(struct config_pin **pins, uint32_t *count)
{
    for (uint32_t i = 0; i < *count; i++)
        free((*pins)[i].name);
    free(*pins);
    *pins = NULL;
    *count = 0;
}

void config_clear_listeners(struct config *config)
{
    for (uint32_t i = 0; i < config->listener_count; i++)
        listener_deinit(&config->listeners[i]);
    free(config->listeners);
    config->listeners = NULL;
    config->listener_count = 0;
}

void config_clear_instances(struct config *config)
{
    for (uint32_t i = 0; i < config->instance_count; i++) {
        struct config_instance *instance = &config->instances[i];

        pins_deinit(&instance->topics, &instance->topic_count);
        pins_deinit(&instance->subtopics, &instance->subtopic_count);
        config_auth_deinit(instance);
        free(instance->path);
        free(instance->origins);
    }
    free(config->instances);
    config->instances = NULL;
    config->instance_count = 0;
}

static bool listener_fits(const struct config *config, const struct config_listener *listener,
                          char *reason)
{
    if (config->listener_count >= LIMIT_LISTENERS)
        return config_because(reason, "too many addresses; %u is the most", LIMIT_LISTENERS);
    for (uint32_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *other = &config->listeners[i];

        if (listener->port != 0 && other->port == listener->port &&
            strcmp(other->host, listener->host) == 0)
            return config_because(reason, "this address and port are already listened at");
    }
    return true;
}

bool config_add_listener(struct config *config, struct config_listener listener, char *reason)
{
    if (!listener_fits(config, &listener, reason)) {
        listener_deinit(&listener);
        return false;
    }
    config->listeners = grow(config->listeners, config->listener_count, sizeof(*config->listeners));
    config->listeners[config->listener_count++] = listener;
    return true;
}

static bool path_is_good(const char *path, char *reason)
{
    if (path[0] != '/')
        return config_because(reason, "a path begins with /; write \"/%.80s\"", path);
    if (strlen(path) > PATH_BYTES_MAX)
        return config_because(reason, "too long; %u bytes is the most", PATH_BYTES_MAX);
    for (const char *at = path; *at != '\0'; at++)
        if (*at <= ' ' || *at == 127 || strchr("?#%\"\\", *at))
            return config_because(reason,
                                  "clients send the path in a request line, so no blanks and none "
                                  "of ? # %% \" \\ and no other than ASCII characters");
    return true;
}

static bool has_instance(const struct config *config, const char *path)
{
    for (uint32_t i = 0; i < config->instance_count; i++)
        if (strcmp(config->instances[i].path, path) == 0)
            return true;
    return false;
}

static struct config_instance *append_instance(struct config *config, const char *path)
{
    config->instances = grow(config->instances, config->instance_count, sizeof(*config->instances));

    struct config_instance *instance = &config->instances[config->instance_count++];

    *instance = (struct config_instance){.path = copy_text(path)};
    return instance;
}

struct config_instance *config_add_instance(struct config *config, const char *path, char *reason)
{
    if (!path_is_good(path, reason))
        return NULL;
    if (config->instance_count >= LIMIT_INSTANCES) {
        (void)config_because(reason, "too many instances; %u is the most", LIMIT_INSTANCES);
        return NULL;
    }
    if (has_instance(config, path)) {
        (void)config_because(reason, "this instance is there already; each path may be used once");
        return NULL;
    }
    return append_instance(config, path);
}

/* Compares with every earlier pin: 10,000 of them take a tenth of a second, once at start. */
bool config_add_pin(struct config_instance *instance, enum pin_kind kind, const char *name,
                    uint32_t id, char *reason)
{
    bool topic = kind == PIN_TOPIC;
    struct config_pin **pins = topic ? &instance->topics : &instance->subtopics;
    uint32_t *count = topic ? &instance->topic_count : &instance->subtopic_count;

    if (name[0] == '\0')
        return config_because(reason, "the name is empty");
    if (id == SMQ_ID_NONE)
        return config_because(reason, "0 means no id; write 1..%u", UINT32_MAX);
    if (topic && id == SMQ_ID_SERVER)
        return config_because(reason, "id 1 belongs to the server's own client; write 2..%u",
                              UINT32_MAX);
    for (uint32_t i = 0; i < *count; i++) {
        if ((*pins)[i].id == id)
            return config_because(reason, "\"%.80s\" has this id already", (*pins)[i].name);
        if (strcmp((*pins)[i].name, name) == 0)
            return config_because(reason, "this name has the id %u already", (*pins)[i].id);
    }
    *pins = grow(*pins, *count, sizeof(**pins));
    (*pins)[(*count)++] = (struct config_pin){.name = copy_text(name), .id = id};
    return true;
}

/* -- the command line -- */

/* Replace the listeners by the addresses in @urls; @origin goes before an error. */
static bool add_listen_url(struct config *config, const char *url, const char *origin,
                           struct config_error *error)
{
    char reason[CONFIG_REASON_BYTES];
    struct config_listener listener;

    if (!listen_url_parse(url, &listener, reason) || !config_add_listener(config, listener, reason))
        return config_fail(error, "%s: \"%.80s\": %s", origin, url, reason);
    return true;
}

/* --set listen=URL,URL */
static bool set_listen(struct config *config, const char *urls, struct config_error *error)
{
    char *copy = copy_text(urls);
    char *rest = copy;
    bool good = true;

    config_clear_listeners(config);
    for (char *url = strsep(&rest, ","); url && good; url = strsep(&rest, ","))
        good = add_listen_url(config, url, "--set listen", error);
    free(copy);
    return good;
}

static bool apply_setting(struct config *config, const char *setting, struct config_error *error)
{
    char reason[CONFIG_REASON_BYTES];
    char unknown[CONFIG_UNKNOWN_BYTES];
    char name[CONFIG_VALUE_BYTES];
    const char *equals = strchr(setting, '=');

    if (!equals || equals == setting || (size_t)(equals - setting) >= sizeof(name))
        return config_fail(error,
                           "--set: \"%.80s\": write KEY=VALUE, for example --set "
                           "limits.connections=1000",
                           setting);
    memcpy(name, setting, (size_t)(equals - setting));
    name[equals - setting] = '\0';

    if (strcmp(name, "listen") == 0)
        return set_listen(config, equals + 1, error);
    if (strncmp(name, "instance", strlen("instance")) == 0 ||
        strncmp(name, "listener", strlen("listener")) == 0)
        return config_fail(error,
                           "--set: \"%.80s\": instances and listeners' own sections are set in a "
                           "file only; see --config",
                           setting);

    const struct config_key *key = config_key_find(name);

    if (!key) {
        config_unknown_key(name, unknown);
        return config_fail(error, "--set: %s", unknown);
    }
    if (!config_key_store(key, config, equals + 1, reason))
        return config_fail(error, "--set: %s = \"%.80s\": %s", name, equals + 1, reason);
    return true;
}

static bool apply_options(struct config *config, const struct options *options,
                          struct config_error *error)
{
    char reason[CONFIG_REASON_BYTES];

    for (uint32_t i = 0; i < options->setting_count; i++)
        if (!apply_setting(config, options->settings[i], error))
            return false;
    if (options->data_dir &&
        !config_key_store(config_key_find("data_dir"), config, options->data_dir, reason))
        return config_fail(error, "--data-dir: %s", reason);
    if (options->listen_count > 0)
        config_clear_listeners(config);
    for (uint32_t i = 0; i < options->listen_count; i++)
        if (!add_listen_url(config, options->listen_urls[i], "--listen", error))
            return false;
    return true;
}

/* -- what only makes sense together -- */

static bool check_pins(const struct config_instance *instance, const struct config_limits *limits,
                       const char *origin, struct config_error *error)
{
    if (instance->topic_count > limits->topics_per_instance_max)
        return config_fail(error,
                           "%s: instance \"%s\" pins %u topics, more than "
                           "limits.topics_per_instance = %u",
                           origin, instance->path, instance->topic_count,
                           limits->topics_per_instance_max);
    if (instance->subtopic_count > limits->subtopics_per_instance_max)
        return config_fail(error,
                           "%s: instance \"%s\" pins %u sub-topics, more than "
                           "limits.subtopics_per_instance = %u",
                           origin, instance->path, instance->subtopic_count,
                           limits->subtopics_per_instance_max);

    for (uint32_t i = 0; i < instance->topic_count + instance->subtopic_count; i++) {
        const char *name = i < instance->topic_count
                               ? instance->topics[i].name
                               : instance->subtopics[i - instance->topic_count].name;

        if (strlen(name) > limits->name_bytes_max)
            return config_fail(error,
                               "%s: instance \"%s\": the pinned name \"%.80s\" is longer than "
                               "limits.name_bytes = %u",
                               origin, instance->path, name, limits->name_bytes_max);
    }
    return true;
}

static bool check_admin_path(const struct config *config, const char *origin,
                             struct config_error *error)
{
    const char *path = config->web.admin_path;
    char reason[CONFIG_REASON_BYTES];

    if (!config->web.enabled)
        return true;
    if (!path_is_good(path, reason))
        return config_fail(error, "%s: web.admin_path = \"%.80s\": %s", origin, path, reason);
    if (strcmp(path, config->web.ui) == 0)
        return config_fail(error, "%s: web.admin_path: the web UI itself is at \"%s\"", origin,
                           path);
    if (has_instance(config, path))
        return config_fail(error, "%s: web.admin_path: \"%s\" is the path of a broker instance",
                           origin, path);
    return true;
}

void config_add_admin_instance(struct config *config)
{
    char reason[CONFIG_REASON_BYTES];

    if (!config->web.enabled)
        return;
    struct config_instance *instance = append_instance(config, config->web.admin_path);

    must(config_add_auth(instance, "web", reason));
#define X(name, text, tid) must(config_add_pin(instance, PIN_TOPIC, text, tid, reason));
    ADMIN_TOPICS(X)
#undef X
}

static bool has_listener(const struct config *config, const char *url)
{
    for (uint32_t i = 0; i < config->listener_count; i++)
        if (strcmp(config->listeners[i].url, url) == 0)
            return true;
    return false;
}

static bool check_web(const struct config *config, const char *origin, struct config_error *error)
{
    const struct config_web *web = &config->web;
    char reason[CONFIG_REASON_BYTES];
    size_t ui_bytes = strlen(web->ui);

    if (!path_is_good(web->ui, reason))
        return config_fail(error, "%s: web.ui = \"%.80s\": %s", origin, web->ui, reason);
    if (strstr(web->ui, "//") || strstr(web->ui, "/."))
        return config_fail(error, "%s: web.ui = \"%.80s\": browsers would ask for another path",
                           origin, web->ui);
    if (web->root[0] != '\0' && ui_bytes == 1)
        return config_fail(error,
                           "%s: web.root is served at /, so the web UI needs another path; for "
                           "example web.ui = \"/admin/\"",
                           origin);
    for (uint32_t i = 0; i < config->instance_count; i++)
        if (strcmp(config->instances[i].path, web->ui) == 0)
            return config_fail(error, "%s: web.ui: \"%s\" is the path of a broker instance", origin,
                               web->ui);
    if (web->machines_url[0] != '\0' && !has_listener(config, web->machines_url))
        return config_fail(error,
                           "%s: web.machines_listener = \"%.80s\": not one of the addresses in "
                           "listen",
                           origin, web->machines_url);
    if (web->echo[0] != '\0' &&
        (!path_is_good(web->echo, reason) || has_instance(config, web->echo)))
        return config_fail(error,
                           "%s: web.echo = \"%.80s\": not the path of a broker instance, and "
                           "like one of them in form",
                           origin, web->echo);
    return check_admin_path(config, origin, error);
}

static bool check_exempt(const struct config *config, const char *origin,
                         struct config_error *error)
{
    struct address_net nets[GUARD_EXEMPT_MAX];
    const char *bad = NULL;
    size_t bad_bytes = 0;

    if (address_nets_parse(config->limits.exempt_addresses, nets, GUARD_EXEMPT_MAX, &bad,
                           &bad_bytes) >= 0)
        return true;
    return config_fail(error,
                       "%s: limits.exempt_addresses: \"%.*s\" is no address and no network "
                       "(192.0.2.0/24), or it is one of more than %d",
                       origin, (int)min_size(bad_bytes, 80), bad, GUARD_EXEMPT_MAX);
}

static bool check_scripts(const struct config *config, const char *origin,
                          struct config_error *error)
{
    uint32_t count_max = LIMIT_LOCALS - (config->web.enabled ? 1 : 0);
    uint32_t count = 0;

    for (uint32_t i = 0; i < config->instance_count; i++)
        count += config->instances[i].script_path != NULL;
    if (count > count_max)
        return config_fail(error, "%s: %u instances have a script; %u is the most", origin, count,
                           count_max);
    return true;
}

static bool check_whole(struct config *config, const char *origin, struct config_error *error)
{
    uint64_t pinned_count = 0;

    must(config->listener_count > 0);
    must(config->instance_count > 0);
    for (uint32_t i = 0; i < config->instance_count; i++) {
        if (!check_pins(&config->instances[i], &config->limits, origin, error))
            return false;
        pinned_count += config->instances[i].topic_count;
    }
    if (pinned_count > config->limits.topics_max)
        return config_fail(error, "%s: the instances pin %llu topics, more than limits.topics = %u",
                           origin, (unsigned long long)pinned_count, config->limits.topics_max);
    return check_exempt(config, origin, error) && config_make_policies(config, origin, error) &&
           check_scripts(config, origin, error) && check_web(config, origin, error) &&
           config_check_auth(config, origin, error) && config_check_open(config, origin, error);
}

/* -- the whole -- */

static void init_defaults(struct config *config)
{
    char reason[CONFIG_REASON_BYTES];
    struct config_listener listener;

    *config = (struct config){0};
    config_keys_init(config);
    must(listen_url_parse(DEFAULT_LISTEN, &listener, reason));
    must(config_add_listener(config, listener, reason));
    must(config_add_instance(config, DEFAULT_INSTANCE, reason));
}

bool config_load(struct config *config, const struct options *options, struct config_error *error)
{
    const char *origin = options->config_path ? options->config_path : "command line";

    error->text[0] = '\0';
    init_defaults(config);
    if ((!options->config_path || config_file_apply(config, options->config_path, error)) &&
        apply_options(config, options, error) && check_whole(config, origin, error))
        return true;

    must(error->text[0] != '\0');
    config_deinit(config);
    return false;
}

void config_deinit(struct config *config)
{
    config_clear_listeners(config);
    config_clear_instances(config);
    config_clear_policies(config);
    config_keys_deinit(config);
}

/* -- what depends on the machine -- */

uint32_t config_core_count(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1; /* more than 1024 cores: the operator will want to choose anyway */
    int count = CPU_COUNT(&set);

    return count > 0 ? (uint32_t)count : 1;
}

/* Up to so many cores, so many threads. A second I/O thread on a small machine costs 15 to 50 %
 * CPU in merged traffic and 2.5 times in sparse, a router thread of its own up to 3.7 times:
 * they wake one another all the time. On larger ones busy threads do not sleep. */
static const struct {
    uint32_t core_count_max;
    int32_t io_count;
    int32_t router_count;
} small_machines[] = {
    {1, 1, 0},
    {3, 1, 0},
};

#define IO_PER_ROUTER 3 /* on larger machines */

static int32_t clamp(int64_t value, int32_t low, int32_t high)
{
    if (value < low)
        return low;
    return value > high ? high : (int32_t)value;
}

void config_resolve_threads(struct config *config, uint32_t core_count)
{
    int32_t *io = &config->io_thread_count;
    int32_t *router = &config->router_thread_count;

    for (uint32_t i = 0; i < COUNT_OF(small_machines); i++) {
        if (core_count > small_machines[i].core_count_max)
            continue;
        if (*io == CONFIG_AUTO)
            *io = small_machines[i].io_count;
        if (*router == CONFIG_AUTO)
            *router = small_machines[i].router_count;
        return;
    }

    /* Of R routers and 3R I/O threads every fourth core is a router's. */
    if (*router == CONFIG_AUTO && *io == CONFIG_AUTO)
        *router = clamp(core_count / (IO_PER_ROUTER + 1), 1, (int32_t)LIMIT_SHARDS);
    if (*router == CONFIG_AUTO)
        *router = clamp((*io + IO_PER_ROUTER - 1) / IO_PER_ROUTER, 1, (int32_t)LIMIT_SHARDS);
    if (*io == CONFIG_AUTO)
        *io = clamp((int64_t)core_count - *router, 1, (int32_t)LIMIT_IO_ACTORS);
}

uint64_t config_connection_room(const struct config *config, uint64_t descriptor_limit)
{
    uint64_t each = descriptor_limit < LIMIT_CONNS_PER_IO ? descriptor_limit : LIMIT_CONNS_PER_IO;

    must(config->io_thread_count >= 1);
    uint64_t room = each * (uint64_t)config->io_thread_count;

    return room < config->limits.connection_count_max ? room : config->limits.connection_count_max;
}

#define PROGRAM_BYTES (7ull << 20)  /* code, tables, the web actor: measured, with TLS */
#define THREAD_BYTES  (128u * 1024) /* a stack, and what malloc keeps for each */
#define LEAST_BYTES   (2ull << 20)  /* some hundred clients and their queues */

bool config_check_memory(const struct config *config, const char *origin,
                         struct config_error *error)
{
    uint64_t io_count = (uint64_t)config->io_thread_count;
    uint64_t router_count = (uint64_t)config->router_thread_count;
    uint64_t lane_bytes = (uint64_t)config->lane_slot_count * sizeof(struct envelope);
    uint64_t own_bytes = PROGRAM_BYTES + (io_count + router_count) * THREAD_BYTES +
                         io_count * config->recv_buffer_count * config->recv_buffer_bytes +
                         2 * io_count * router_count * lane_bytes;
    uint64_t least_mib = (own_bytes + LEAST_BYTES + (1u << 20) - 1) >> 20;

    if (config->limits.memory_bytes_max == 0 || config->limits.memory_bytes_max >= least_mib << 20)
        return true;
    return config_fail(error,
                       "%s: limits.memory is too small: smqd itself takes about %lluM with %d I/O "
                       "and %d router threads and their buffers; write %lluM or more, or fewer "
                       "threads",
                       origin, (unsigned long long)(own_bytes >> 20), config->io_thread_count,
                       config->router_thread_count, (unsigned long long)least_mib);
}
