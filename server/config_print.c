/*
 * server/config_print.c — struct config as a file that explains itself.
 *
 * Pure but for the stream. configs/default.conf is this of the defaults, and a test says so.
 */
#include <string.h>

#include "server/config.h"
#include "server/config_keys.h"
#include "server/config_parts.h"

#define COLUMNS 100u

/* "# " and the words of @text, broken at COLUMNS. */
static void print_comment(FILE *out, const char *indent, const char *text)
{
    size_t used = 0;

    while (*text != '\0') {
        size_t word_bytes = strcspn(text, " ");

        if (used > 0 && used + 1 + word_bytes > COLUMNS) {
            fputc('\n', out);
            used = 0;
        }
        if (used == 0)
            used = (size_t)fprintf(out, "%s#", indent);
        used += (size_t)fprintf(out, " %.*s", (int)word_bytes, text);
        text += word_bytes;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* As libconfuse reads it back: \xHH also keeps ${NAME} from being taken for a variable. */
static void print_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;

        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < ' ' || byte == 127 || byte == '$')
            fprintf(out, "\\x%02x", byte);
        else
            fputc(byte, out);
    }
    fputc('"', out);
}

static const char *const live_words[] = {
    [KEY_RESTART] = "",
    [KEY_LIVE] = "; live",
    [KEY_LIVE_DOWN] = "; live, up to its value at the start",
};

static void print_key(FILE *out, const struct config *config, const struct config_key *key,
                      const char *indent, const char *short_name)
{
    char value[CONFIG_VALUE_BYTES];
    char range[CONFIG_VALUE_BYTES];
    char fallback[CONFIG_VALUE_BYTES];
    char line[2 * CONFIG_VALUE_BYTES + 64];

    config_key_format(key, config, value);
    config_key_format_range(key, range);
    config_key_format_fallback(key, fallback);
    snprintf(line, sizeof(line), "[%s; default %s%s]", range, fallback, live_words[key->live]);

    print_comment(out, indent, key->why);
    print_comment(out, indent, line);
    fprintf(out, "%s%s = ", indent, short_name);
    if (key->kind == KEY_TEXT)
        print_quoted(out, value);
    else
        fputs(value, out);
    fputc('\n', out);
}

static void print_section(FILE *out, const struct config *config,
                          const struct config_section *section)
{
    bool top_level = section->name[0] == '\0';
    const char *indent = top_level ? "" : "    ";
    const char *short_name = NULL;
    bool first = true;

    fputc('\n', out);
    if (!top_level) {
        print_comment(out, "", section->why);
        fprintf(out, "%s {\n", section->name);
    }
    for (uint32_t i = 0; i < config_key_count; i++) {
        if (!config_key_in_section(&config_keys[i], section->name, &short_name))
            continue;
        if (!first)
            fputc('\n', out);
        print_key(out, config, &config_keys[i], indent, short_name);
        first = false;
    }
    if (!top_level)
        fputs("}\n", out);
}

static void print_head(FILE *out)
{
    print_comment(out, "",
                  "The configuration of smqd: every key, with its reason, range and default. A key "
                  "that is left out has its default.");
    fputs("#\n", out);
    fputs("#   smqd --config FILE                    run with it\n"
          "#   smqd --config FILE --check-config     only check it\n"
          "#   smqd --set limits.connections=1000    override one key (SECTION.KEY=VALUE)\n"
          "#\n",
          out);
    print_comment(out, "",
                  "Sizes take K, M and G (1024 at a time), times take us, ms, s, min and h; "
                  "without one, a number is in the key's own unit.");
    fputs("#\n", out);
    print_comment(out, "",
                  "This file is read again on SIGHUP (systemctl reload smqd). What the keys marked "
                  "live say is then in force, without dropping a connection; other changes need a "
                  "restart, and the log names them. The command line still wins.");
}

void config_print_listen(FILE *out, const struct config *config)
{
    fputc('\n', out);
    print_comment(out, "",
                  "Where to listen: tcp://ADDRESS:PORT, or tls://ADDRESS:PORT for TLS. The address "
                  "is IPv4, [IPv6], a host name, "
                  "or * for every address of the machine; port 0 lets the kernel choose. The "
                  "default is reached from this machine only.");
    fputs("listen = {", out);
    for (uint32_t i = 0; i < config->listener_count; i++) {
        fputs(i == 0 ? "" : ", ", out);
        print_quoted(out, config->listeners[i].url);
    }
    fputs("}\n", out);
}

void config_print_listener_sections(FILE *out, const struct config *config)
{
    const char *short_name = NULL;

    fputc('\n', out);
    print_comment(
        out, "",
        "What one address does differently: keys of the section tls (of a tls:// address), "
        "and allow_anonymous, under the address as it stands in listen. Others keep what "
        "is said for all; but a certificate of its own has a key of its own. Addresses "
        "whose TLS differs share no sessions.");
    fputs("#     listener \"tls://*:443\" {\n"
          "#         client_auth = off\n"
          "#         rules = \"sni:*.devices.example.org=ecc\"\n"
          "#     }\n"
          "#     listener \"tcp://10.0.0.1:1883\" { allow_anonymous = on }\n",
          out);
    for (uint32_t i = 0; i < config->listener_section_count; i++) {
        const struct config_listener_section *section = &config->listener_sections[i];

        fputs("listener ", out);
        print_quoted(out, section->url);
        fputs(" {\n", out);
        for (uint32_t k = 0; k < section->override_count; k++) {
            must(config_key_in_listener(config_key_find(section->overrides[k].key), &short_name));
            fprintf(out, "    %s = ", short_name);
            print_quoted(out, section->overrides[k].value);
            fputc('\n', out);
        }
        fputs("}\n", out);
    }
}

static void print_pins(FILE *out, const char *word, const char *id_word,
                       const struct config_pin *pins, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fprintf(out, "    %s ", word);
        print_quoted(out, pins[i].name);
        fprintf(out, " { %s = %u }\n", id_word, pins[i].id);
    }
}

static void print_text(FILE *out, const char *name, const char *text)
{
    if (!text)
        return;
    fprintf(out, "    %s = ", name);
    print_quoted(out, text);
    fputc('\n', out);
}

static void print_auth(FILE *out, const struct config_instance *instance)
{
    for (uint32_t i = 0; i < instance->auth_count; i++)
        fprintf(out, "%s\"%s\"%s", i == 0 ? "    auth = {" : ", ",
                config_auth_word((enum config_auth)instance->auth[i]),
                i + 1 == instance->auth_count ? "}\n" : "");
    print_text(out, "users", instance->users_path);
    print_text(out, "keys", instance->keys_path);
    print_text(out, "acl", instance->acl_path);
    print_text(out, "script", instance->script_path);
    if (instance->bind_uid)
        fputs("    bind_uid = on\n", out);
}

void config_print_instances(FILE *out, const struct config *config)
{
    fputc('\n', out);
    print_comment(out, "",
                  "Broker instances: isolated worlds of topics and clients, each behind the URL "
                  "path that clients ask for. Names whose ids firmware knows in advance are "
                  "pinned; ids are 1..4294967295, each once in its instance, and TID 1 belongs to "
                  "the server. auth lists how clients prove who they are, in the order in which "
                  "it is asked: password (user:password; users is the file, see smq passwd), key "
                  "(a shared key; keys is the file), certificate (of a TLS client), web (browsers "
                  "that have logged in to the web UI), anonymous (not at all). Without it: a "
                  "certificate if the client shows one, else anonymous. acl is an access list (smq "
                  "explain). With bind_uid = on a client's UID must be its login's name, or "
                  "begin with that and a colon. These files are read again on SIGHUP. "
                  "script is a Lua script that runs beside the instance (script/README.md); it is "
                  "loaded again when it changes, and on SIGHUP. "
                  "origins are those of the web pages whose WebSockets are let in, with blanks "
                  "between them; \"self\" is the host that serves the page. Without them any page "
                  "may connect; devices are not asked:");
    fputs("#     instance \"/smq.lsp\" {\n"
          "#         auth = {\"key\", \"password\"}\n"
          "#         keys = \"data/keys\"\n"
          "#         users = \"data/users\"\n"
          "#         acl = \"data/acl\"\n"
          "#         bind_uid = off\n"
          "#         script = \"devices.lua\"\n"
          "#         topic \"alarm/fire\" { tid = 42 }\n"
          "#         subtopic \"acknowledge\" { stid = 7 }\n"
          "#         origins = \"self https://pages.example\"\n"
          "#     }\n",
          out);
    for (uint32_t i = 0; i < config->instance_count; i++) {
        const struct config_instance *instance = &config->instances[i];

        if (config_is_admin(config, instance))
            continue;
        fputs("instance ", out);
        print_quoted(out, instance->path);
        fputs(" {\n", out);
        print_auth(out, instance);
        print_text(out, "origins",
                   instance->origins && instance->origins[0] ? instance->origins : NULL);
        print_pins(out, "topic", "tid", instance->topics, instance->topic_count);
        print_pins(out, "subtopic", "stid", instance->subtopics, instance->subtopic_count);
        fputs("}\n", out);
    }
}

void config_print(const struct config *config, FILE *out)
{
    print_head(out);
    config_print_listen(out, config);
    config_print_listener_sections(out, config);
    config_print_instances(out, config);
    for (uint32_t i = 0; i < config_section_count; i++)
        print_section(out, config, &config_sections[i]);
}
