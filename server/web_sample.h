/*
 * server/web_sample.h — the counters of all actors as one sample for the web actor's figures.
 *
 * Thread: the web actor's; reads other actors' counters relaxed, so its figures may be a moment
 * apart.
 */
#pragma once

#include "server/broker.h"
#include "webui/stats.h"

/* Fill @sample, which is zeroed. Cost: 10 to 100 us. */
void web_sample(const struct broker *broker, struct stats_sample *sample);
