/*
 * cli/print.h — messages on standard output: text when it is text, else hex; or JSON.
 *
 * What others publish is not trusted: bytes that could command a terminal never reach it
 * unescaped, except with --raw.
 *
 * Thread: main. Each returns EXIT_OK, or EXIT_IO after a complaint (a closed pipe gives none).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/options.h"
#include "client/smq.h"

/* Valid UTF-8 without control characters; tab, newline and CR-newline are allowed. */
bool is_printable(const uint8_t *data, size_t bytes_count);

/**
 * Print the Publish in @event as the options say.
 *
 * @topic: the destination's name, or NULL when it is known by its number only.
 * @own_etid: to say "self" for messages to ourselves.
 */
enum exit_code print_message(const struct options *options, const struct smq_event *event,
                             const char *topic, uint32_t own_etid);

/* Print a Change. @target: what the user asked to observe. */
enum exit_code print_change(const struct options *options, const struct smq_event *event,
                            const char *target);
