/*
 * server/stats_json.h — all counters as one JSON text. Thread: control; reads other actors'
 * counters relaxed, so figures of one answer may be a moment apart.
 */
#pragma once

#include "server/broker.h"

/* The caller frees it. Cost: about a millisecond. */
char *stats_json(const struct broker *broker);
