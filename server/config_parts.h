/*
 * server/config_parts.h — what the files behind server/config.h say to one another.
 *
 *   config_text.c   bytes of a file  → text without comments, checked for balance
 *   config_file.c   that text        → values in struct config (libconfuse)
 *   listen_url.c    one URL          → struct config_listener
 *   config_policies.c  the section tls and those of listeners → a policy for each address
 *   config_live.c   a configuration that was read again → what may change of it
 *   config.c        all of it together, the command line on top, and the checks
 *
 * Thread: only main(), before the other threads start.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "core/config.h"
#include "core/must.h"
#include "server/config.h"

/* -- errors -- */

/* Set error->text and return false, so that a refusal is one line. */
bool config_fail(struct config_error *error, const char *format, ...) PRINTF(2, 3);

/* -- config_text.c -- */

/**
 * Overwrite the comments of @text with blanks, keeping every newline.
 *
 * libconfuse counts a comment's line three times and takes an unclosed section for a closed one;
 * after this pass its line numbers are right and what is open has been reported.
 *
 * Returns: false with error->text when a quote, comment or brace is never closed.
 */
MUST_CHECK bool config_text_blank_comments(char *text, const char *path,
                                           struct config_error *error);

/* The line, from 1, on which section @name with the title @title begins in blanked @text; 0 when
 * it is not found (a title written with escapes). */
int config_text_section_line(const char *text, const char *name, const char *title);

/* -- config_file.c -- */

/* Read the file at @path over what @config holds. Replaces listeners and instances when the file
 * has any. On false @config is still whole, and the caller deinits it. */
MUST_CHECK bool config_file_apply(struct config *config, const char *path,
                                  struct config_error *error);

/* -- listen_url.c -- */

/**
 * Parse "tcp://HOST:PORT" or "tls://HOST:PORT" (IPv4, [IPv6], a name, or * for any address) into
 * @listener.
 *
 * Gives:   listener->url and ->host, for config_listener_deinit.
 * Returns: false with @reason (CONFIG_REASON_BYTES) set; @listener is untouched.
 */
MUST_CHECK bool listen_url_parse(const char *url, struct config_listener *listener, char *reason);

/* -- config.c: names, and the lists of struct config -- */

/* Room for the text of config_unknown_key. */
#define CONFIG_UNKNOWN_BYTES 256u

/* "unknown key "limits.conections"; did you mean ...?" into @text; of a key that is one, but was
 * written outside of its section, where it belongs. */
void config_unknown_key(const char *name, char *text);

/* Takes what @listener points to, in every case. */
MUST_CHECK bool config_add_listener(struct config *config, struct config_listener listener,
                                    char *reason);
/* NULL with @reason set when the path is no good or already there. Borrowed from @config, until
 * the next call. */
struct config_instance *config_add_instance(struct config *config, const char *path, char *reason);

enum pin_kind { PIN_TOPIC = 0, PIN_SUBTOPIC };
MUST_CHECK bool config_add_pin(struct config_instance *instance, enum pin_kind kind,
                               const char *name, uint32_t id, char *reason);

/* Set @reason (CONFIG_REASON_BYTES) and return false. */
bool config_because(char *reason, const char *format, ...) PRINTF(2, 3);

/* -- config_policies.c -- */

struct config_key;

/* Borrowed from @config, until the next call. */
struct config_listener_section *config_add_listener_section(struct config *config, const char *url);
void config_add_override(struct config_listener_section *section, const struct config_key *key,
                         const char *value);
/* Frees the sections and the policies. */
void config_clear_policies(struct config *config);

/* Make config->tls_policies, and each listener's policy_index and allow_anonymous. Once, at the
 * end. */
MUST_CHECK bool config_make_policies(struct config *config, const char *origin,
                                     struct config_error *error);

/* -- config_auth.c: who may come in -- */

#define CONFIG_INSTANCE_TEXT_COUNT 4u
extern const char *const config_instance_texts[CONFIG_INSTANCE_TEXT_COUNT]; /* keys with a path */
/* The field of such a key; NULL in it: not set. */
char **config_instance_text(struct config_instance *instance, const char *name);

const char *config_auth_word(enum config_auth auth);
/* One more way, after those that are there. */
MUST_CHECK bool config_add_auth(struct config_instance *instance, const char *word, char *reason);
void config_auth_deinit(struct config_instance *instance);

MUST_CHECK bool config_check_auth(const struct config *config, const char *origin,
                                  struct config_error *error);
/* Is an address that others can reach open to anybody, without allow_anonymous? Then false. */
MUST_CHECK bool config_check_open(const struct config *config, const char *origin,
                                  struct config_error *error);

/* -- config_print.c: what is no scalar, as it stands in a file -- */

void config_print_listen(FILE *out, const struct config *config);
void config_print_listener_sections(FILE *out, const struct config *config);
void config_print_instances(FILE *out, const struct config *config);

/* -- config.c -- */

void config_clear_listeners(struct config *config);
void config_clear_instances(struct config *config);
