/*
 * server/config.h — from a file and a command line to the configuration in force.
 *
 *      defaults (config_keys.c)  <--  --config FILE  <--  --data-dir, --listen, --set
 *
 * Later ones win. Everything is checked here, once: what config_load accepts, the rest of the
 * server need not doubt. Errors are values: a text that begins with where the mistake is
 * ("FILE:LINE: " or "--set: "), says what is wrong and what would be right.
 *
 * Thread: only main(), before the other threads start. Afterwards struct config is constant.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "core/config.h"
#include "core/must.h"
#include "server/options.h"

#define CONFIG_ERROR_BYTES 1024u

struct config_error {
    char text[CONFIG_ERROR_BYTES]; /* one line, without a newline */
};

/**
 * Fill @config from the defaults, options->config_path when there is one, and the options.
 *
 * Owns:    @config owns its strings and arrays afterwards; config_deinit frees them.
 * Threads: threads.io and threads.router may still be CONFIG_AUTO: see config_resolve_threads.
 * Returns: false with error->text set; @config needs no deinit then.
 */
MUST_CHECK bool config_load(struct config *config, const struct options *options,
                            struct config_error *error);

void config_deinit(struct config *config);

/* Cores this process may run on: the affinity mask, not the machine. At least 1. */
uint32_t config_core_count(void);

/* Replace CONFIG_AUTO in threads.* by what suits @core_count cores (the table is in config.c). */
void config_resolve_threads(struct config *config, uint32_t core_count);

/**
 * Can the files be read that @config names: accounts, keys, lists, scripts, certificates, pages?
 *
 * Returns: false with error->text set: which key, why not, and what makes such a file. What is in
 *          them is judged by those who read them, and a data folder is made by the first start.
 */
MUST_CHECK bool config_check_files(const struct config *config, struct config_error *error);

#define CONFIG_NAMES_BYTES 1024u

/* What a configuration that was read again differs in, as names of keys with commas between them.
 */
struct config_change {
    char taken[CONFIG_NAMES_BYTES];   /* in force from now on */
    char restart[CONFIG_NAMES_BYTES]; /* in force after the next start */
};

/**
 * Take those values of @fresh into @now that may change while smqd runs (enum key_live).
 *
 * @boot: as it was at the start; @now: in force, @boot's with other numbers. It borrows nothing of
 *        @fresh. Threads must be resolved in all of them.
 */
void config_take_live(struct config *now, const struct config *boot, const struct config *fresh,
                      struct config_change *change);

/* Add the instance that the web UI connects to (web.admin_path), when there is a web UI. After
 * config_load, which has judged the path; once. It is not printed: it is not the operator's. */
void config_add_admin_instance(struct config *config);

/**
 * How many connections the kernel will let @config's I/O threads hold: each keeps its
 * connections in a descriptor table of its own, which is bounded by RLIMIT_NOFILE.
 *
 * @descriptor_limit: the soft RLIMIT_NOFILE that the I/O threads will see.
 * Returns: at most limits.connections. Threads must be resolved.
 */
uint64_t config_connection_room(const struct config *config, uint64_t descriptor_limit);

/* Does limits.memory leave anything to clients, beside smqd itself? Threads must be resolved. false
 * with error->text set. */
MUST_CHECK bool config_check_memory(const struct config *config, const char *origin,
                                    struct config_error *error);

/**
 * Write @config as a complete file that config_load reads back to the same values, each key with
 * its reason, range and default. Of the defaults this is, byte for byte, configs/default.conf.
 */
void config_print(const struct config *config, FILE *out);
