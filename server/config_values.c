/*
 * server/config_values.c — what can be made of a row of the table of keys: its field, its value as
 * text, and text as its value. See server/config_keys.h; the table is config_keys.c.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/config_keys.h"

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* -- fields -- */

static void *field_of(const struct config_key *key, struct config *config)
{
    return (char *)config + key->offset;
}

static void number_put(const struct config_key *key, struct config *config, int64_t value)
{
    must(key->kind != KEY_TEXT);
    if (key->width_bytes == sizeof(int64_t)) {
        memcpy(field_of(key, config), &value, sizeof(value));
    } else {
        uint32_t narrow = (uint32_t)value; /* CONFIG_AUTO keeps its bits */

        must(key->width_bytes == sizeof(narrow));
        must(value >= INT32_MIN && value <= UINT32_MAX);
        memcpy(field_of(key, config), &narrow, sizeof(narrow));
    }
}

int64_t config_key_number(const struct config_key *key, const struct config *config)
{
    const char *field = (const char *)config + key->offset;

    must(key->kind != KEY_TEXT);
    if (key->width_bytes == sizeof(int64_t)) {
        int64_t value;

        memcpy(&value, field, sizeof(value));
        return value;
    }
    if (key->kind == KEY_THREADS) {
        int32_t value;

        memcpy(&value, field, sizeof(value));
        return value;
    }
    uint32_t value;

    memcpy(&value, field, sizeof(value));
    return value;
}

static void text_put(const struct config_key *key, struct config *config, const char *text)
{
    char **field = field_of(key, config);

    must(key->kind == KEY_TEXT);
    free(*field);
    *field = strdup(text);
    must(*field); /* at start, before any limit: without these bytes nothing works */
}

void config_keys_init(struct config *config)
{
    for (uint32_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];

        if (key->kind == KEY_TEXT)
            text_put(key, config, key->fallback_text);
        else
            number_put(key, config, key->fallback);
    }
}

void config_keys_deinit(struct config *config)
{
    for (uint32_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].kind != KEY_TEXT)
            continue;
        char **field = field_of(&config_keys[i], config);

        free(*field);
        *field = NULL;
    }
}

/* -- names -- */

const struct config_key *config_key_find(const char *name)
{
    for (uint32_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].name, name) == 0)
            return &config_keys[i];
    return NULL;
}

bool config_key_in_section(const struct config_key *key, const char *section,
                           const char **short_name)
{
    const char *dot = strchr(key->name, '.');
    size_t section_bytes = dot ? (size_t)(dot - key->name) : 0;

    if (strlen(section) != section_bytes || memcmp(key->name, section, section_bytes) != 0)
        return false;
    *short_name = dot ? dot + 1 : key->name;
    return true;
}

bool config_key_in_listener(const struct config_key *key, const char **short_name)
{
    if (config_key_is_of_listener(key))
        return config_key_in_section(key, "tls", short_name);
    *short_name = key->name;
    return key->offset == offsetof(struct config, allow_anonymous);
}

bool config_key_is_of_listener(const struct config_key *key)
{
    return key->offset >= offsetof(struct config, tls) &&
           key->offset < offsetof(struct config, tls) + sizeof(struct config_tls);
}

static const char *text_of(const struct config_key *key, const struct config *config)
{
    return *(char *const *)(const void *)((const char *)config + key->offset);
}

void config_keys_copy_listener(struct config *to, const struct config *from)
{
    for (uint32_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];

        if (!config_key_is_of_listener(key))
            continue;
        if (key->kind == KEY_TEXT)
            text_put(key, to, text_of(key, from));
        else
            number_put(key, to, config_key_number(key, from));
    }
}

void config_keys_deinit_listener(struct config *config)
{
    for (uint32_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].kind != KEY_TEXT || !config_key_is_of_listener(&config_keys[i]))
            continue;
        char **field = field_of(&config_keys[i], config);

        free(*field);
        *field = NULL;
    }
}

bool config_key_equal(const struct config_key *key, const struct config *left,
                      const struct config *right)
{
    return key->kind == KEY_TEXT ? strcmp(text_of(key, left), text_of(key, right)) == 0
                                 : config_key_number(key, left) == config_key_number(key, right);
}

void config_key_copy(const struct config_key *key, struct config *to, const struct config *from)
{
    number_put(key, to, config_key_number(key, from));
}

bool config_keys_equal_listener(const struct config *left, const struct config *right)
{
    for (uint32_t i = 0; i < config_key_count; i++) {
        if (config_key_is_of_listener(&config_keys[i]) &&
            !config_key_equal(&config_keys[i], left, right))
            return false;
    }
    return true;
}

/* -- values to text -- */

/* 8192 → "8K": the largest suffix that loses nothing. */
static void format_bytes(int64_t value, char *out, size_t room)
{
    if (value != 0 && value % GIB == 0)
        snprintf(out, room, "%" PRId64 "G", value / GIB);
    else if (value != 0 && value % MIB == 0)
        snprintf(out, room, "%" PRId64 "M", value / MIB);
    else if (value != 0 && value % KIB == 0)
        snprintf(out, room, "%" PRId64 "K", value / KIB);
    else
        snprintf(out, room, "%" PRId64, value);
}

static void format_number(const struct config_key *key, int64_t value, char *out, size_t room)
{
    switch (key->kind) {
    case KEY_BYTES:
        format_bytes(value, out, room);
        return;
    case KEY_TIME:
        /* The name of an *_ms key says the unit already. */
        if (strstr(key->name, "_ms"))
            snprintf(out, room, "%" PRId64, value);
        else
            snprintf(out, room, "%" PRId64 "%s", value, key->unit);
        return;
    case KEY_CHOICE:
        snprintf(out, room, "%s", key->choices[value]);
        return;
    case KEY_THREADS:
        if (value == CONFIG_AUTO) {
            snprintf(out, room, "auto");
            return;
        }
        snprintf(out, room, "%" PRId64, value);
        return;
    case KEY_COUNT:
    case KEY_POWER_OF_TWO:
        snprintf(out, room, "%" PRId64, value);
        return;
    case KEY_TEXT:
        break;
    }
    must(false && "a text has no number");
}

void config_key_format(const struct config_key *key, const struct config *config, char *out)
{
    if (key->kind == KEY_TEXT) {
        char *const *field = (char *const *)(const void *)((const char *)config + key->offset);

        snprintf(out, CONFIG_VALUE_BYTES, "%s", *field);
        return;
    }
    format_number(key, config_key_number(key, config), out, CONFIG_VALUE_BYTES);
}

void config_key_format_fallback(const struct config_key *key, char *out)
{
    if (key->kind == KEY_TEXT)
        snprintf(out, CONFIG_VALUE_BYTES, "%s", key->fallback_text);
    else
        format_number(key, key->fallback, out, CONFIG_VALUE_BYTES);
}

static void format_choices(const struct config_key *key, char *out)
{
    size_t used = (size_t)snprintf(out, CONFIG_VALUE_BYTES, "one of");

    for (uint32_t i = 0; key->choices[i]; i++) {
        must(used < CONFIG_VALUE_BYTES);
        used += (size_t)snprintf(out + used, CONFIG_VALUE_BYTES - used, "%s %s", i ? "," : "",
                                 key->choices[i]);
    }
}

void config_key_format_range(const struct config_key *key, char *out)
{
    char low[32];
    char high[32];

    if (key->kind == KEY_CHOICE) {
        format_choices(key, out);
        return;
    }
    if (key->kind == KEY_TEXT) {
        snprintf(out, CONFIG_VALUE_BYTES, "%s", key->unit[0] != '\0' ? key->unit : "a path");
        return;
    }
    if (key->kind == KEY_BYTES) {
        format_bytes(key->value_min, low, sizeof(low));
        format_bytes(key->value_max, high, sizeof(high));
    } else {
        snprintf(low, sizeof(low), "%" PRId64, key->value_min);
        snprintf(high, sizeof(high), "%" PRId64, key->value_max);
    }
    snprintf(out, CONFIG_VALUE_BYTES, "%s..%s %s%s%s%s%s", low, high, key->unit,
             key->kind == KEY_THREADS ? ", or auto" : "",
             key->kind == KEY_POWER_OF_TWO ? ", a power of two" : "",
             key->zero_means ? ", or 0: " : "", key->zero_means ? key->zero_means : "");
}

/* -- text to values -- */

struct suffix {
    const char *text;
    int64_t factor;
};

static const struct suffix byte_suffixes[] = {{"", 1}, {"K", KIB}, {"M", MIB}, {"G", GIB}};
static const struct suffix no_suffixes[] = {{"", 1}};
/* In microseconds; a key in ms divides by 1000 at the end. */
static const struct suffix time_suffixes[] = {
    {"us", 1}, {"ms", 1000}, {"s", 1000000}, {"min", 60000000}, {"h", INT64_C(3600000000)},
};

enum number_result { NUMBER_OK = 0, NUMBER_NOT_A_NUMBER, NUMBER_BAD_SUFFIX, NUMBER_TOO_FINE };

/* Digits, then one of the suffixes. Too large a number becomes INT64_MAX: the range refuses it. */
static enum number_result parse_number(const char *text, const struct suffix *suffixes,
                                       uint32_t suffix_count, int64_t *value)
{
    char *end = NULL;

    if (!isdigit((unsigned char)text[0]))
        return NUMBER_NOT_A_NUMBER;
    errno = 0;
    long long digits = strtoll(text, &end, 10);

    for (uint32_t i = 0; i < suffix_count; i++) {
        if (strcasecmp(end, suffixes[i].text) != 0)
            continue;
        if (errno == ERANGE || __builtin_mul_overflow(digits, suffixes[i].factor, value))
            *value = INT64_MAX;
        return NUMBER_OK;
    }
    return NUMBER_BAD_SUFFIX;
}

static enum number_result parse_time(const struct config_key *key, const char *text, int64_t *value)
{
    bool in_ms = strcmp(key->unit, "ms") == 0;

    if (parse_number(text, no_suffixes, COUNT_OF(no_suffixes), value) == NUMBER_OK)
        return NUMBER_OK;

    enum number_result result = parse_number(text, time_suffixes, COUNT_OF(time_suffixes), value);

    if (result != NUMBER_OK || !in_ms || *value == INT64_MAX)
        return result;
    if (*value % 1000 != 0)
        return NUMBER_TOO_FINE;
    *value /= 1000;
    return NUMBER_OK;
}

static enum number_result parse_value(const struct config_key *key, const char *text,
                                      int64_t *value)
{
    if (key->kind == KEY_TIME)
        return parse_time(key, text, value);
    if (key->kind == KEY_BYTES)
        return parse_number(text, byte_suffixes, COUNT_OF(byte_suffixes), value);
    return parse_number(text, no_suffixes, COUNT_OF(no_suffixes), value);
}

static bool refuse(const struct config_key *key, const char *what, char *reason)
{
    char range[CONFIG_VALUE_BYTES];
    char fallback[CONFIG_VALUE_BYTES];

    config_key_format_range(key, range);
    config_key_format_fallback(key, fallback);
    snprintf(reason, CONFIG_REASON_BYTES, "%s; write %.150s (default %.60s)", what, range,
             fallback);
    return false;
}

static const char *suffix_help(const struct config_key *key)
{
    if (key->kind == KEY_BYTES)
        return "the size may end in K, M or G only";
    if (key->kind == KEY_TIME)
        return "the time may end in us, ms, s, min or h only";
    return "the number has something behind it";
}

static bool store_choice(const struct config_key *key, struct config *config, const char *text,
                         char *reason)
{
    for (uint32_t i = 0; key->choices[i]; i++) {
        if (strcmp(key->choices[i], text) == 0) {
            number_put(key, config, i);
            return true;
        }
    }
    return refuse(key, "not one of the words", reason);
}

static bool store_text(const struct config_key *key, struct config *config, const char *text,
                       char *reason)
{
    if (text[0] == '\0' && key->fallback_text[0] != '\0')
        return refuse(key, "empty", reason);
    if (strlen(text) >= CONFIG_VALUE_BYTES)
        return refuse(key, "too long", reason);
    text_put(key, config, text);
    return true;
}

bool config_key_store(const struct config_key *key, struct config *config, const char *text,
                      char *reason)
{
    int64_t value = 0;

    if (key->kind == KEY_TEXT)
        return store_text(key, config, text, reason);
    if (key->kind == KEY_CHOICE)
        return store_choice(key, config, text, reason);
    if (key->kind == KEY_THREADS && strcmp(text, "auto") == 0) {
        number_put(key, config, CONFIG_AUTO);
        return true;
    }

    switch (parse_value(key, text, &value)) {
    case NUMBER_OK:
        break;
    case NUMBER_NOT_A_NUMBER:
        return refuse(key, "not a number", reason);
    case NUMBER_BAD_SUFFIX:
        return refuse(key, suffix_help(key), reason);
    case NUMBER_TOO_FINE:
        return refuse(key, "not a whole number of milliseconds", reason);
    }

    if (value == 0 && key->zero_means) {
        number_put(key, config, 0);
        return true;
    }
    if (value < key->value_min)
        return refuse(key, "too small", reason);
    if (value > key->value_max)
        return refuse(key, "too large", reason);
    if (key->kind == KEY_POWER_OF_TWO && (value & (value - 1)) != 0)
        return refuse(key, "not a power of two", reason);
    number_put(key, config, value);
    return true;
}
