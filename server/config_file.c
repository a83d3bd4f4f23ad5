/*
 * server/config_file.c — a configuration file into struct config, by libconfuse.
 *
 * libconfuse is told that every value is a string: it gives the grammar and the line numbers,
 * and our table (config_keys.c) gives types, ranges and the words of an error.
 */
#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/config_keys.h"
#include "server/config_parts.h"

#define FILE_BYTES_MAX (16u << 20) /* a million pinned names; beyond, it is not a configuration */
#define KEYS_MAX       64u         /* in one section, with the entry that ends the list */
#define NAMED          (CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES) /* sections with a name */
#define NAME_BYTES     128u /* "limits.subscriptions_per_instance", and what is mistyped */

/* What we are reading, and where to say what is wrong with it. */
struct reader {
    struct config *config;
    const char *path;
    const char *text; /* the file, without comments */
    struct config_error *error;
    bool failed;
};

/* libconfuse gives its error function no context. One file is read at a time. */
static _Thread_local struct reader *current_reader;

/* A value as it stands in the file. */
struct located {
    char *text;
    int line;
};

/* -- libconfuse's callbacks -- */

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    (void)opt;
    struct located *located = malloc(sizeof(*located));

    must(located);
    located->text = strdup(value);
    must(located->text);
    located->line = cfg->line;
    *(void **)result = located;
    return 0;
}

static void on_value_free(void *value)
{
    struct located *located = value;

    if (!located)
        return;
    free(located->text);
    free(located);
}

/* The dotted name of what stands as @word inside @cfg. */
static void full_name(const cfg_t *cfg, const char *word, char *out)
{
    const char *section = cfg->name;

    if (strcmp(section, "root") == 0)
        snprintf(out, NAME_BYTES, "%s", word);
    else if (strcmp(section, "topic") == 0 || strcmp(section, "subtopic") == 0)
        snprintf(out, NAME_BYTES, "instance.%s.%s", section, word);
    else
        snprintf(out, NAME_BYTES, "%s.%s", section, word);
}

static void on_error(cfg_t *cfg, const char *format, va_list arguments)
{
    struct reader *reader = current_reader;
    char text[CONFIG_UNKNOWN_BYTES];

    must(reader);
    if (reader->failed)
        return; /* the first one is the cause */
    reader->failed = true;

    if (strncmp(format, "no such option", strlen("no such option")) == 0) {
        char name[NAME_BYTES];

        full_name(cfg, va_arg(arguments, const char *), name);
        config_unknown_key(name, text);
    } else if (strncmp(format, "found duplicate title", strlen("found duplicate title")) == 0) {
        snprintf(text, sizeof(text), "\"%.80s\" is there already; write it once",
                 va_arg(arguments, const char *));
    } else if (strncmp(format, "missing opening brace", strlen("missing opening brace")) == 0) {
        const char *section = va_arg(arguments, const char *);

        snprintf(text, sizeof(text), "\"%.80s\" is a section; write %.80s { KEY = VALUE }", section,
                 section);
    } else {
        vsnprintf(text, sizeof(text), format, arguments);
    }
    (void)config_fail(reader->error, "%s:%d: %s", reader->path, cfg->line, text);
}

/* -- the grammar -- */

static cfg_opt_t value_named(const char *name)
{
    cfg_opt_t option = CFG_PTR_CB(name, NULL, CFGF_NODEFAULT, on_value, on_value_free);

    return option;
}

/* The table's keys of @section ("" for the top level) into @options. Returns how many. */
static uint32_t list_keys(const char *section, cfg_opt_t *options)
{
    uint32_t count = 0;
    const char *name = NULL;

    for (uint32_t i = 0; i < config_key_count; i++) {
        if (!config_key_in_section(&config_keys[i], section, &name))
            continue;
        must(count < KEYS_MAX - 1);
        options[count++] = value_named(name);
    }
    return count;
}

/* Everything a file may say. Caller: cfg_free. Sections may be repeated; later keys win. */
static cfg_t *grammar(void)
{
    static const cfg_opt_t end = CFG_END();
    cfg_opt_t topic[] = {value_named("tid"), end};
    cfg_opt_t subtopic[] = {value_named("stid"), end};
    cfg_opt_t instance[] = {
        CFG_SEC("topic", topic, NAMED),
        CFG_SEC("subtopic", subtopic, NAMED),
        CFG_PTR_LIST_CB("auth", NULL, CFGF_NODEFAULT, on_value, on_value_free),
        value_named("users"),
        value_named("keys"),
        value_named("acl"),
        value_named("script"),
        value_named("bind_uid"),
        value_named("origins"),
        end,
    };
    cfg_opt_t listener[KEYS_MAX];
    cfg_opt_t sections[12][KEYS_MAX];
    cfg_opt_t root[KEYS_MAX];
    uint32_t root_count = list_keys("", root);

    must(config_section_count <= COUNT_OF(sections));
    must(root_count + config_section_count + 4 <= KEYS_MAX);
    for (uint32_t i = 0; i < config_section_count; i++) {
        const char *name = config_sections[i].name;

        if (name[0] == '\0')
            continue;
        sections[i][list_keys(name, sections[i])] = end;
        root[root_count++] = (cfg_opt_t)CFG_SEC(name, sections[i], CFGF_MULTI);
    }
    root[root_count++] =
        (cfg_opt_t)CFG_PTR_LIST_CB("listen", NULL, CFGF_NODEFAULT, on_value, on_value_free);
    root[root_count++] = (cfg_opt_t)CFG_SEC("instance", instance, NAMED);
    uint32_t listener_count = list_keys("tls", listener);
    listener[listener_count++] = value_named("allow_anonymous");
    must(listener_count < KEYS_MAX);
    listener[listener_count] = end;
    root[root_count++] = (cfg_opt_t)CFG_SEC("listener", listener, NAMED);
    root[root_count] = end;

    cfg_t *cfg = cfg_init(root, CFGF_NONE); /* copies the arrays */

    must(cfg);
    cfg_set_error_function(cfg, on_error);
    return cfg;
}

/* -- from the parsed tree to struct config -- */

static const struct located *value_of(cfg_t *section, const char *name)
{
    cfg_opt_t *option = cfg_getopt(section, name);

    must(option);
    return cfg_opt_size(option) > 0 ? cfg_opt_getnptr(option, 0) : NULL;
}

static bool apply_keys(struct reader *reader, cfg_t *section, const char *section_name)
{
    char reason[CONFIG_REASON_BYTES];
    const char *name = NULL;

    for (uint32_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];

        if (!config_key_in_section(key, section_name, &name))
            continue;
        const struct located *value = value_of(section, name);

        if (value && !config_key_store(key, reader->config, value->text, reason))
            return config_fail(reader->error, "%s:%d: %s = \"%.80s\": %s", reader->path,
                               value->line, key->name, value->text, reason);
    }
    return true;
}

static bool apply_sections(struct reader *reader, cfg_t *root)
{
    for (uint32_t i = 0; i < config_section_count; i++) {
        const char *name = config_sections[i].name;

        if (name[0] == '\0') {
            if (!apply_keys(reader, root, name))
                return false;
            continue;
        }
        for (unsigned repeat = 0; repeat < cfg_size(root, name); repeat++)
            if (!apply_keys(reader, cfg_getnsec(root, name, repeat), name))
                return false;
    }
    return true;
}

static bool apply_listeners(struct reader *reader, cfg_t *root)
{
    cfg_opt_t *option = cfg_getopt(root, "listen");
    char reason[CONFIG_REASON_BYTES];

    if (cfg_opt_size(option) > 0)
        config_clear_listeners(reader->config);
    for (unsigned i = 0; i < cfg_opt_size(option); i++) {
        const struct located *value = cfg_opt_getnptr(option, i);
        struct config_listener listener;

        if (!listen_url_parse(value->text, &listener, reason) ||
            !config_add_listener(reader->config, listener, reason))
            return config_fail(reader->error, "%s:%d: listen \"%.80s\": %s", reader->path,
                               value->line, value->text, reason);
        reader->config->listeners[reader->config->listener_count - 1].line = value->line;
    }
    return true;
}

/* One listener's own keys: stored as they stand, and applied at the end on top of what all have in
 * common. */
static bool apply_listener_keys(struct reader *reader, cfg_t *section, bool tls,
                                struct config_listener_section *stored)
{
    char reason[CONFIG_REASON_BYTES];
    const char *name = NULL;
    struct config trial = {0};
    bool good = true;

    config_keys_copy_listener(&trial, reader->config);
    for (uint32_t i = 0; i < config_key_count && good; i++) {
        const struct config_key *key = &config_keys[i];
        bool may = config_key_in_listener(key, &name);
        const struct located *value =
            may || config_key_in_section(key, "tls", &name) ? value_of(section, name) : NULL;

        if (!value)
            continue;
        if (!tls && strcmp(name, key->name) != 0)
            good = config_fail(reader->error, "%s:%d: %s is about TLS, and \"%.80s\" has none",
                               reader->path, value->line, name, cfg_title(section));
        else if (!may)
            good = config_fail(reader->error,
                               "%s:%d: %s is one for all addresses: write it in the section tls",
                               reader->path, value->line, name);
        else if (!config_key_store(key, &trial, value->text, reason))
            good = config_fail(reader->error, "%s:%d: %s = \"%.80s\": %s", reader->path,
                               value->line, key->name, value->text, reason);
        else
            config_add_override(stored, key, value->text);
    }
    config_keys_deinit_listener(&trial);
    return good;
}

static bool apply_listener_sections(struct reader *reader, cfg_t *root)
{
    for (unsigned i = 0; i < cfg_size(root, "listener"); i++) {
        cfg_t *section = cfg_getnsec(root, "listener", i);
        const char *url = cfg_title(section);
        const struct config_listener *listener = NULL;
        int line = config_text_section_line(reader->text, "listener", url);

        for (uint32_t k = 0; k < reader->config->listener_count; k++)
            if (strcmp(reader->config->listeners[k].url, url) == 0)
                listener = &reader->config->listeners[k];
        if (!listener)
            return config_fail(reader->error,
                               "%s:%d: listener \"%.80s\": no such address stands in listen",
                               reader->path, line ? line : section->line, url);
        if (!apply_listener_keys(reader, section, listener->tls,
                                 config_add_listener_section(reader->config, url)))
            return false;
    }
    return true;
}

/* 1..4294967295, decimal or 0x; 0 when @text is neither. */
static uint32_t parse_id(const char *text)
{
    char *end = NULL;

    if (!isdigit((unsigned char)text[0]))
        return 0;
    errno = 0;
    unsigned long long value = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);

    return errno == 0 && *end == '\0' && value <= UINT32_MAX ? (uint32_t)value : 0;
}

static bool apply_pins(struct reader *reader, cfg_t *section, struct config_instance *instance,
                       enum pin_kind kind)
{
    const char *word = kind == PIN_TOPIC ? "topic" : "subtopic";
    const char *id_word = kind == PIN_TOPIC ? "tid" : "stid";
    char reason[CONFIG_REASON_BYTES];

    for (unsigned i = 0; i < cfg_size(section, word); i++) {
        cfg_t *pin = cfg_getnsec(section, word, i);
        const struct located *value = value_of(pin, id_word);

        if (!value)
            return config_fail(reader->error,
                               "%s:%d: %s \"%.80s\" has no id; write %s \"%.80s\" { %s = 42 }",
                               reader->path, pin->line, word, cfg_title(pin), word, cfg_title(pin),
                               id_word);
        uint32_t id = parse_id(value->text);

        if (id == 0)
            return config_fail(reader->error, "%s:%d: %s = \"%.80s\": not an id; write 1..%u",
                               reader->path, value->line, id_word, value->text, UINT32_MAX);
        if (!config_add_pin(instance, kind, cfg_title(pin), id, reason))
            return config_fail(reader->error, "%s:%d: %s \"%.80s\", %s = %u: %s", reader->path,
                               value->line, word, cfg_title(pin), id_word, id, reason);
    }
    return true;
}

static bool apply_auth(struct reader *reader, cfg_t *section, struct config_instance *instance)
{
    cfg_opt_t *option = cfg_getopt(section, "auth");
    char reason[CONFIG_REASON_BYTES];

    for (unsigned i = 0; i < cfg_opt_size(option); i++) {
        const struct located *value = cfg_opt_getnptr(option, i);

        if (!config_add_auth(instance, value->text, reason))
            return config_fail(reader->error, "%s:%d: auth \"%.80s\": %s", reader->path,
                               value->line, value->text, reason);
    }
    for (uint32_t i = 0; i < CONFIG_INSTANCE_TEXT_COUNT; i++) {
        const struct located *value = value_of(section, config_instance_texts[i]);

        if (!value || value->text[0] == '\0')
            continue;
        char **field = config_instance_text(instance, config_instance_texts[i]);

        *field = strdup(value->text);
        must(*field);
    }
    const struct located *bind_uid = value_of(section, "bind_uid");

    instance->bind_uid = bind_uid && strcmp(bind_uid->text, "on") == 0;
    if (bind_uid && !instance->bind_uid && strcmp(bind_uid->text, "off") != 0)
        return config_fail(reader->error, "%s:%d: bind_uid = \"%.80s\": write on or off",
                           reader->path, bind_uid->line, bind_uid->text);
    return true;
}

static bool apply_instances(struct reader *reader, cfg_t *root)
{
    char reason[CONFIG_REASON_BYTES];

    if (cfg_size(root, "instance") > 0)
        config_clear_instances(reader->config);
    for (unsigned i = 0; i < cfg_size(root, "instance"); i++) {
        cfg_t *section = cfg_getnsec(root, "instance", i);
        const char *path = cfg_title(section);
        struct config_instance *instance = config_add_instance(reader->config, path, reason);

        if (!instance) {
            int line = config_text_section_line(reader->text, "instance", path);

            /* libconfuse remembers only where a section ends. */
            return config_fail(reader->error, "%s:%d: instance \"%.80s\": %s", reader->path,
                               line ? line : section->line, path, reason);
        }
        const struct located *origins = value_of(section, "origins");

        if (origins) {
            instance->origins = strdup(origins->text);
            must(instance->origins);
        }
        if (!apply_auth(reader, section, instance) ||
            !apply_pins(reader, section, instance, PIN_TOPIC) ||
            !apply_pins(reader, section, instance, PIN_SUBTOPIC))
            return false;
    }
    return true;
}

/* -- the file -- */

/* The whole file as a string, or NULL with @error set. Gives: the string, for free(). */
static char *read_whole(const char *path, struct config_error *error)
{
    struct stat about;
    FILE *file = fopen(path, "re");

    if (!file || fstat(fileno(file), &about) != 0) {
        (void)config_fail(error, "%s: %s%s", path, strerror(errno),
                          errno == ENOENT
                              ? "; `smqd --print-config > FILE` writes one to begin with"
                              : "");
        if (file)
            fclose(file);
        return NULL;
    }

    char *text = NULL;
    size_t bytes = 0;

    /* libconfuse ends the process when it meets a directory, so that is found out here. */
    if (S_ISDIR(about.st_mode)) {
        (void)config_fail(error, "%s: this is a directory, not a configuration file", path);
    } else {
        text = malloc(FILE_BYTES_MAX + 1);
        must(text);
        bytes = fread(text, 1, FILE_BYTES_MAX + 1, file);
        if (ferror(file))
            (void)config_fail(error, "%s: %s", path, strerror(errno));
        else if (bytes > FILE_BYTES_MAX)
            (void)config_fail(error, "%s: larger than %u MB, so not a configuration file", path,
                              FILE_BYTES_MAX >> 20);
        else if (memchr(text, '\0', bytes))
            (void)config_fail(error, "%s: has a zero byte in it, so not a text file", path);
        else
            text[bytes] = '\0';
        if (ferror(file) || bytes > FILE_BYTES_MAX || memchr(text, '\0', bytes)) {
            free(text);
            text = NULL;
        }
    }
    fclose(file);
    return text;
}

bool config_file_apply(struct config *config, const char *path, struct config_error *error)
{
    char *text = read_whole(path, error);

    if (!text)
        return false;
    if (!config_text_blank_comments(text, path, error)) {
        free(text);
        return false;
    }

    struct reader reader = {.config = config, .path = path, .text = text, .error = error};
    cfg_t *root = grammar();

    must(!current_reader);
    current_reader = &reader;
    bool parsed = cfg_parse_buf(root, text) == CFG_SUCCESS;

    if (!parsed && !reader.failed)
        (void)config_fail(error, "%s: cannot be read as a configuration file", path);
    current_reader = NULL;

    bool applied = parsed && apply_sections(&reader, root) && apply_listeners(&reader, root) &&
                   apply_listener_sections(&reader, root) && apply_instances(&reader, root);

    cfg_free(root);
    free(text);
    return applied;
}
