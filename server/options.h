/*
 * server/options.h — smqd's command line.
 *
 * Thread: only main(). Everything borrows from argv; nothing is allocated.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "core/limits.h"

struct config;

#define OPTIONS_SETTINGS_MAX 64u /* --set; there are about half as many keys */

/* What smqd was asked to do. */
enum options_task {
    OPTIONS_SERVE = 0,
    OPTIONS_CHECK_CONFIG, /* say whether the configuration is good */
    OPTIONS_PRINT_CONFIG, /* print it, as a file */
};

struct options {
    enum options_task task;
    const char *config_path; /* NULL: the built-in defaults */
    const char *data_dir;    /* NULL: from the configuration */
    const char *listen_urls[LIMIT_LISTENERS];
    uint32_t listen_count;
    const char *settings[OPTIONS_SETTINGS_MAX]; /* "KEY=VALUE", in the order given */
    uint32_t setting_count;
};

/* options_parse and options_run_task: there is something left to do. Not an exit code. */
#define OPTIONS_GO_ON (-1)

/**
 * Read the command line into @options.
 *
 * --help and --version are answered here, on @out; mistakes are told on @err.
 * Returns: OPTIONS_GO_ON, or the exit code: 0, or EX_USAGE (64).
 */
int options_parse(struct options *options, int argc, char **argv, FILE *out, FILE *err);

/**
 * Do --check-config or --print-config with the loaded @config, on @out. Call it before
 * config_resolve_threads, so that "auto" is printed as it was written.
 *
 * @core_count and @descriptor_limit are those of this machine (config_core_count(), the soft
 * RLIMIT_NOFILE).
 * Returns: OPTIONS_GO_ON when smqd was asked to serve, else the exit code 0.
 */
int options_run_task(const struct options *options, const struct config *config,
                     uint32_t core_count, uint64_t descriptor_limit, FILE *out);
