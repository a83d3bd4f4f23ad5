/*
 * bench/churn.h — connect, subscribe, leave, again and again: what a visit costs the broker.
 *
 * A visit is timed from the connect call to the confirmed subscription. Each visit is a client of
 * its own (SMQ: another UID), but the visits of one place share its topic, as a device that comes
 * back would. Leaving means the protocol's word for it, where it has one, then closing.
 */
#pragma once

#include "bench/process.h"
#include "bench/report.h"
#include "bench/worker.h"

/* Thread: main. Returns: false, and a message on stderr, when it could not be run. */
MUST_CHECK bool churn_execute(const struct options *options, const struct target *target,
                              const struct process_list *processes, struct result *result);
