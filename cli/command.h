/*
 * cli/command.h — the commands of `smq`, one a file.
 *
 * Each takes parsed options with a checked number of arguments, complains itself, and returns the
 * exit code. Thread: main.
 */
#pragma once

#include "cli/options.h"

enum exit_code command_sub(const struct options *options);
enum exit_code command_pub(const struct options *options);
enum exit_code command_rpc(const struct options *options);
enum exit_code command_observe(const struct options *options);
enum exit_code command_stats(const struct options *options);
enum exit_code command_peers(const struct options *options);
enum exit_code command_ban(const struct options *options);
enum exit_code command_demo(const struct options *options);
enum exit_code command_passwd(const struct options *options);
enum exit_code command_explain(const struct options *options);
