/*
 * server/stats_json.h — all counters as one JSON text. Thread: control; reads other actors'
 * counters relaxed, so figures of one answer may be a moment apart.
 */
#pragma once

#include "server/broker.h"

/* The caller frees it. Cost: about a millisecond. */
char *stats_json(const struct broker *broker);

/* Any thread: what is resident of the process, and which part of it is pages of files: the program
 * and its libraries, which several processes may share. */
void stats_resident_bytes(uint64_t *rss_bytes, uint64_t *program_bytes);
