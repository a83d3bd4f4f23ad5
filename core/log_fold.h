/*
 * core/log_fold.h — which events become lines, when the same one comes again and again.
 *
 * Per event name there is a window, of one second at first. In it
 *   - a text equal to the last one is not written again, only counted;
 *   - after LOG_FOLD_LINES lines anything more of that name is only counted; of a script's own
 *     words ("script.…") after LOG_FOLD_SCRIPT_LINES.
 * When the window ends and something was counted, one line says how much, and the next window
 * is twice as long, up to a minute. A window with nothing counted ends the folding. So a storm
 * of any length costs a dozen lines at first and then one to eleven a minute, and nothing that
 * happened goes unsaid.
 *
 * Pure: the clock is an argument. Thread: whoever owns the fold (control).
 */
#pragma once

#include "core/log.h"

#define LOG_FOLD_LINES 10u /* of one name in a window */
#define LOG_FOLD_SCRIPT_LINES                                                                      \
    100u /* a traceback, and what somebody prints who looks for an error */
#define LOG_FOLD_NAMES         32u /* watched at once; the longest quiet one makes room */
#define LOG_FOLD_WINDOW_NS     INT64_C(1000000000)
#define LOG_FOLD_WINDOW_NS_MAX INT64_C(60000000000)

/* What a line stands for, when it stands for several events. */
struct log_note {
    uint64_t folded_count; /* 0: one event, as it came */
    bool differed;         /* their texts were not all the same; the record has the last one */
    int64_t window_ns;     /* the time in which they came, at most */
};

struct log_fold_entry {
    struct log_record last; /* name NULL: the entry is free */
    int64_t window_ns;
    int64_t window_end_ns;
    uint32_t line_count;
    uint64_t folded_count;
    bool differed;
};

struct log_fold {
    void (*emit)(void *context, const struct log_record *record, const struct log_note *note);
    void *emit_context;
    struct log_fold_entry entries[LOG_FOLD_NAMES];
};

void log_fold_init(struct log_fold *fold,
                   void (*emit)(void *context, const struct log_record *record,
                                const struct log_note *note),
                   void *emit_context);

/* One event: emits at most two lines (what was folded before it, and it). Copies @record. */
void log_fold_push(struct log_fold *fold, const struct log_record *record, int64_t now_ns);

/* End the windows that are over. Call about once a second. */
void log_fold_tick(struct log_fold *fold, int64_t now_ns);

/* End all windows: before exit. */
void log_fold_flush(struct log_fold *fold);
