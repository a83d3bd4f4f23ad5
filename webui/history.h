/*
 * webui/history.h — the last hour as curves: one value of each series for every two seconds.
 *
 * Fixed memory (72 kB), no file: a restart begins anew. Thread: the web actor's.
 */
#pragma once

#include "webui/body.h"

#define HISTORY_STEP_S  2u
#define HISTORY_SAMPLES 1800u /* an hour */

/* index, name as the API says it */
#define HISTORY_SERIES(X)                                                                          \
    X(MESSAGES_IN, "messages_in")                                                                  \
    X(MESSAGES_OUT, "messages_out")                                                                \
    X(BYTES_IN, "bytes_in")                                                                        \
    X(BYTES_OUT, "bytes_out")                                                                      \
    X(CONNECTIONS, "connections")                                                                  \
    X(MEMORY, "memory")                                                                            \
    X(P50_US, "p50_us")                                                                            \
    X(P99_US, "p99_us")                                                                            \
    X(DROPS, "drops")                                                                              \
    X(CPU, "cpu")

enum history_series {
#define X(name, text) HISTORY_##name,
    HISTORY_SERIES(X)
#undef X
        HISTORY_SERIES_COUNT
};

struct history {
    uint32_t count; /* samples kept */
    uint32_t next;  /* where the next one goes */
    int64_t last_t_ms;
    uint32_t step_count; /* seconds in the sample that is being made */
    double step_sums[HISTORY_SERIES_COUNT];
    uint32_t step_counts[HISTORY_SERIES_COUNT];
    float at[HISTORY_SERIES_COUNT][HISTORY_SAMPLES];
};

/* The values of one second; NAN: there was none. A sample is the mean of its seconds. */
void history_add(struct history *history, int64_t t_ms, const double values[HISTORY_SERIES_COUNT]);

/* All of it, as GET api/history answers. */
void history_put(const struct history *history, struct body *out);
