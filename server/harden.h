/*
 * server/harden.h — less and less that the process may do, the further it has come in its start.
 *
 *      first of all   ──> harden_memory: nobody looks in
 *      listeners open ──> harden_begin: another user, no new privileges, few files (sandbox.h)
 *      all is made    ──> harden_end:   few system calls (calls.h)
 *
 * What a kernel or a container does not let us is logged and done without: a broker that is less
 * protected than it could be is better than none. What the configuration asks for by name and
 * cannot be had is an error.
 *
 * Thread: main. harden_begin before any other thread exists.
 */
#pragma once

#include "core/config.h"
#include "core/must.h"

#define HARDEN_ERROR_BYTES 256

/* First of all, when this process will hold keys or passwords: no core file, no debugger of another
 * process, whatever `harden` says. */
void harden_memory(const struct config *config);

/**
 * Become config->run_as when started as root, and leave the files that the configuration does not
 * name. The data dir is made when it is missing, and is that user's then.
 *
 * @config_path: where @config was read from, and will be again; NULL: not from a file.
 * Returns: STATUS_SYSTEM with the reason in @error.
 */
MUST_CHECK enum status harden_begin(const struct config *config, const char *config_path,
                                    char error[HARDEN_ERROR_BYTES]);

/* Just before the threads start, when all that is opened once has been. */
void harden_end(const struct config *config);

/* Log what was refused since the last call. The control actor does that once in a while. */
void harden_report(void);
