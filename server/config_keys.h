/*
 * server/config_keys.h — every scalar key of the configuration, declared once.
 *
 * One row of config_keys[] says a key's name, unit, range, default and reason. The file parser,
 * --set, --print-config (and so configs/default.conf), the range errors and "did you mean" are
 * all made from these rows; there is no second list. Listeners and instances are not scalars:
 * server/config.c knows them by name.
 *
 * Thread: only main(), before the other threads start. Nothing here keeps state.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "core/must.h"

enum key_kind {
    KEY_COUNT = 0,    /* a whole number of something */
    KEY_POWER_OF_TWO, /* a count that must be 1, 2, 4, 8, ... */
    KEY_THREADS,      /* a count, or "auto" (CONFIG_AUTO) */
    KEY_BYTES,        /* takes K, M and G, 1024 at a time */
    KEY_TIME,         /* in the row's unit, "us" or "ms"; takes us, ms, s, min and h */
    KEY_CHOICE,       /* one of the row's words; stored as its place among them */
    KEY_TEXT,         /* a string that the configuration owns */
};

/* When a changed value in the file is taken: */
enum key_live {
    KEY_RESTART = 0, /* by the next start */
    KEY_LIVE,        /* on SIGHUP */
    KEY_LIVE_DOWN,   /* on SIGHUP, up to what it was at the start: something was made as large */
};

struct config_key {
    const char *name; /* "limits.connections": section, dot, key; or a key alone */
    enum key_kind kind;
    const char *unit;   /* for people: "connections"; for KEY_TIME also the scale; for KEY_TEXT what
                         * it   is, when not a path */
    size_t offset;      /* in struct config */
    size_t width_bytes; /* of that field */
    enum key_live live; /* KEY_TEXT: KEY_RESTART, for its text belongs to one configuration */
    int64_t value_min;  /* not for KEY_CHOICE and KEY_TEXT */
    int64_t value_max;  /* same */
    int64_t fallback;   /* the default; not for KEY_TEXT */
    const char *fallback_text;  /* the default of a KEY_TEXT */
    const char *const *choices; /* of a KEY_CHOICE, ended by NULL */
    const char *zero_means;     /* when 0 is legal beside the range: what it says */
    const char *why;            /* what it is for, and why this default */
};

extern const struct config_key config_keys[];
extern const uint32_t config_key_count;

/* The sections in the order they are printed; "" (keys without a section) is the last. */
struct config_section {
    const char *name;
    const char *why;
};
extern const struct config_section config_sections[];
extern const uint32_t config_section_count;

#define CONFIG_VALUE_BYTES  512u /* room for a formatted value or range */
#define CONFIG_REASON_BYTES 384u /* room for why a value was refused */

/* Every scalar of @config to its default. Texts are allocated; they must not be set yet. */
void config_keys_init(struct config *config);
void config_keys_deinit(struct config *config);

/* The row called @name, or NULL. */
const struct config_key *config_key_find(const char *name);

/* Whether @key is in @section ("" for the top level); its name there in *@short_name. */
bool config_key_in_section(const struct config_key *key, const char *section,
                           const char **short_name);

/**
 * Parse @text, check it against the row, store it in @config.
 *
 * Returns: false with @reason (CONFIG_REASON_BYTES) filled and @config unchanged; the reason says
 *          what would be right, and reads on after "limits.connections = 0: ".
 */
MUST_CHECK bool config_key_store(const struct config_key *key, struct config *config,
                                 const char *text, char *reason);

/* The field's value, or the default's, as it would be written in a file. Into CONFIG_VALUE_BYTES.
 */
void config_key_format(const struct config_key *key, const struct config *config, char *out);
void config_key_format_fallback(const struct config_key *key, char *out);

/* What is legal, for people: "64..65536 slots, a power of two". Into CONFIG_VALUE_BYTES. */
void config_key_format_range(const struct config_key *key, char *out);

/* May a listener's section have @key, and under which name (*@short_name)? These are the keys of
 * its TLS policy, and allow_anonymous. */
bool config_key_in_listener(const struct config_key *key, const char **short_name);

/* Is @key one of a TLS policy? The other three are about all such keys of @config, and nothing else
 * of it. */
bool config_key_is_of_listener(const struct config_key *key);
void config_keys_copy_listener(struct config *to, const struct config *from); /* @to: zeroed */
void config_keys_deinit_listener(struct config *config);
bool config_keys_equal_listener(const struct config *left, const struct config *right);

/* Have both the same value? */
bool config_key_equal(const struct config_key *key, const struct config *left,
                      const struct config *right);

/* @from's value to @to. Must not be a KEY_TEXT. */
void config_key_copy(const struct config_key *key, struct config *to, const struct config *from);

/* The field as a number; must not be a KEY_TEXT. */
int64_t config_key_number(const struct config_key *key, const struct config *config);
