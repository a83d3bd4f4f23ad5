/* webui/history.c — see webui/history.h. Thread: the web actor's. */
#include "webui/history.h"

#include <math.h>
#include <string.h>

static const char *const series_names[HISTORY_SERIES_COUNT] = {
#define X(name, text) [HISTORY_##name] = text,
    HISTORY_SERIES(X)
#undef X
};

static void end_step(struct history *history, int64_t t_ms)
{
    for (uint32_t i = 0; i < HISTORY_SERIES_COUNT; i++)
        history->at[i][history->next] =
            history->step_counts[i] > 0
                ? (float)(history->step_sums[i] / (double)history->step_counts[i])
                : NAN;
    history->next = (history->next + 1) % HISTORY_SAMPLES;
    if (history->count < HISTORY_SAMPLES)
        history->count++;
    history->last_t_ms = t_ms;
    history->step_count = 0;
    memset(history->step_sums, 0, sizeof(history->step_sums));
    memset(history->step_counts, 0, sizeof(history->step_counts));
}

void history_add(struct history *history, int64_t t_ms, const double values[HISTORY_SERIES_COUNT])
{
    for (uint32_t i = 0; i < HISTORY_SERIES_COUNT; i++) {
        if (isnan(values[i]))
            continue;
        history->step_sums[i] += values[i];
        history->step_counts[i]++;
    }
    if (++history->step_count == HISTORY_STEP_S)
        end_step(history, t_ms);
}

static void put_series(const struct history *history, const float *at, struct body *out)
{
    uint32_t first = (history->next + HISTORY_SAMPLES - history->count) % HISTORY_SAMPLES;

    for (uint32_t i = 0; i < history->count; i++) {
        float value = at[(first + i) % HISTORY_SAMPLES];

        if (isnan(value))
            body_put_text(out, i > 0 ? ",null" : "null");
        else
            body_printf(out, i > 0 ? ",%.6g" : "%.6g", (double)value);
    }
}

void history_put(const struct history *history, struct body *out)
{
    body_printf(out, "{\"step_s\":%u,\"t\":%lld,\"series\":{", HISTORY_STEP_S,
                (long long)history->last_t_ms);
    for (uint32_t i = 0; i < HISTORY_SERIES_COUNT; i++) {
        body_printf(out, "%s\"%s\":[", i > 0 ? "," : "", series_names[i]);
        put_series(history, history->at[i], out);
        body_put_text(out, "]");
    }
    body_put_text(out, "}}\n");
}
