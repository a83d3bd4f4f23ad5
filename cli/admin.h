/*
 * cli/admin.h — ask a broker on this machine through its Unix socket: one line there, JSON back.
 *
 * Thread: main.
 */
#pragma once

#include <jansson.h>

#include "cli/options.h"

#define ADMIN_SOCKET_NAME "smqd.sock" /* in the broker's data directory */

/**
 * Send @question and a newline to the broker of options->data_dir, and read its answer to the end.
 *
 * Gives:   *answer, a JSON object; json_decref() frees it.
 * Time:    options->timeout_ms for each part of the answer.
 * Returns: EXIT_OK, or another code after a complaint. An answer {"error": "..."} is a complaint.
 */
__attribute__((warn_unused_result)) enum exit_code admin_ask(const struct options *options,
                                                             const char *question, json_t **answer);

/* Ask, and print the answer: as JSON, or as tables. @only: NULL, or the one member to show.
 * @shows_zeros: tables leave out no counter (JSON never does). */
enum exit_code admin_show(const struct options *options, const char *question, const char *only,
                          bool shows_zeros);
