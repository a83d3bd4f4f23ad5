/*
 * cli/key.h — --key-file: credentials made from a shared key and the broker's seed.
 *
 * Thread: main.
 */
#pragma once

#include <stdint.h>

#include "cli/exit.h"
#include "client/challenge.h"

/* The answer to @seed for @uid, with the key in the file at @path, into @answer. */
enum exit_code key_answer(const char *path, uint32_t seed, const char *uid,
                          char answer[SMQ_CHALLENGE_CHARS]);
