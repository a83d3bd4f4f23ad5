/*
 * tests/fuzz/fuzz_config.c — the parsers of the configuration that are our own.
 *
 * The first byte chooses a key; the rest is taken for a file, for an address and for that key's
 * value (for every key's it would mostly be the same refusal dozens of times). Beyond not crashing:
 * blanking comments keeps every newline and has nothing left to do a second time; a value that was
 * taken is written so that it is taken again, as the same value.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/config_keys.h"
#include "server/config_parts.h"
#include "tests/fuzz/exact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void as_file(const char *text)
{
    struct config_error error = {{0}};
    char *first = strdup(text);

    must(first);
    if (config_text_blank_comments(first, "fuzz", &error)) {
        char *second = strdup(first);

        must(second);
        must(strlen(first) == strlen(text));
        for (size_t i = 0; text[i] != '\0'; i++) {
            must(first[i] == text[i] || first[i] == ' ');
            must((first[i] == '\n') == (text[i] == '\n'));
        }
        must(config_text_blank_comments(second, "fuzz", &error));
        must(strcmp(first, second) == 0);
        (void)config_text_section_line(first, "instance", "/a");
        free(second);
    } else {
        must(error.text[0] != '\0');
    }
    free(first);
}

static void as_address(const char *text)
{
    char reason[CONFIG_REASON_BYTES];
    struct config_listener listener;

    if (!listen_url_parse(text, &listener, reason))
        return;
    must(strcmp(listener.url, text) == 0);
    must(listener.host[0] != '\0');
    free(listener.url);
    free(listener.host);
}

static void as_value(const struct config_key *key, const char *text)
{
    static struct config config;
    char reason[CONFIG_REASON_BYTES];
    char written[CONFIG_VALUE_BYTES];

    if (!config.data_dir)
        config_keys_init(&config);
    if (!config_key_store(key, &config, text, reason) || key->kind == KEY_TEXT)
        return;
    int64_t value = config_key_number(key, &config);

    config_key_format(key, &config, written);
    must(config_key_store(key, &config, written, reason));
    must(config_key_number(key, &config) == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct exact exact;

    if (bytes < 1)
        return 0;
    /* As long as the input without its first byte, and a NUL. */
    char *text = (char *)exact_room(&exact, bytes);

    memcpy(text, data + 1, bytes - 1);
    text[bytes - 1] = '\0';
    as_file(text);
    as_address(text);
    as_value(&config_keys[data[0] % config_key_count], text);
    exact_free(&exact);
    return 0;
}
