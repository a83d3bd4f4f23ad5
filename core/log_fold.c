/*
 * core/log_fold.c — see core/log_fold.h.
 */
#include "core/log_fold.h"

#include <string.h>

void log_fold_init(struct log_fold *fold,
                   void (*emit)(void *context, const struct log_record *record,
                                const struct log_note *note),
                   void *emit_context)
{
    *fold = (struct log_fold){.emit = emit, .emit_context = emit_context};
}

static void emit_event(struct log_fold *fold, const struct log_record *record)
{
    static const struct log_note one_event = {0};

    fold->emit(fold->emit_context, record, &one_event);
}

/* Say what was counted, if anything was. */
static void emit_folded(struct log_fold *fold, struct log_fold_entry *entry)
{
    struct log_note note = {
        .folded_count = entry->folded_count,
        .differed = entry->differed,
        .window_ns = entry->window_ns,
    };

    if (entry->folded_count == 0)
        return;
    fold->emit(fold->emit_context, &entry->last, &note);
    entry->folded_count = 0;
    entry->differed = false;
}

/* The window is over: go on with a longer one after a storm, or forget the name. */
static void end_window(struct log_fold *fold, struct log_fold_entry *entry, int64_t now_ns)
{
    if (entry->folded_count == 0) {
        entry->last.name = NULL;
        return;
    }
    emit_folded(fold, entry);
    entry->window_ns *= 2;
    if (entry->window_ns > LOG_FOLD_WINDOW_NS_MAX)
        entry->window_ns = LOG_FOLD_WINDOW_NS_MAX;
    entry->window_end_ns = now_ns + entry->window_ns;
    entry->line_count = 0;
}

static struct log_fold_entry *find(struct log_fold *fold, const char *name)
{
    for (uint32_t i = 0; i < LOG_FOLD_NAMES; i++) {
        struct log_fold_entry *entry = &fold->entries[i];

        if (entry->last.name && strcmp(entry->last.name, name) == 0)
            return entry;
    }
    return NULL;
}

/* A free entry, or the one whose window ends first, after it has said what it counted. */
static struct log_fold_entry *make_room(struct log_fold *fold)
{
    struct log_fold_entry *first_to_end = &fold->entries[0];

    for (uint32_t i = 0; i < LOG_FOLD_NAMES; i++) {
        struct log_fold_entry *entry = &fold->entries[i];

        if (!entry->last.name)
            return entry;
        if (entry->window_end_ns < first_to_end->window_end_ns)
            first_to_end = entry;
    }
    emit_folded(fold, first_to_end);
    return first_to_end;
}

static void watch(struct log_fold *fold, const struct log_record *record, int64_t now_ns)
{
    *make_room(fold) = (struct log_fold_entry){
        .last = *record,
        .window_ns = LOG_FOLD_WINDOW_NS,
        .window_end_ns = now_ns + LOG_FOLD_WINDOW_NS,
        .line_count = 1,
    };
    emit_event(fold, record);
}

static uint32_t line_count_max(const struct log_record *record)
{
    static const char script[] = "script.";

    return strncmp(record->name, script, sizeof(script) - 1) == 0 ? LOG_FOLD_SCRIPT_LINES
                                                                  : LOG_FOLD_LINES;
}

void log_fold_push(struct log_fold *fold, const struct log_record *record, int64_t now_ns)
{
    struct log_fold_entry *entry = find(fold, record->name);

    if (entry && now_ns >= entry->window_end_ns)
        end_window(fold, entry, now_ns);
    if (!entry || !entry->last.name) {
        watch(fold, record, now_ns);
        return;
    }

    bool same = strcmp(entry->last.text, record->text) == 0;

    if (!same && entry->line_count < line_count_max(record)) {
        emit_folded(fold, entry);
        entry->last = *record;
        entry->line_count++;
        emit_event(fold, record);
        return;
    }
    entry->differed |= !same;
    entry->folded_count++;
    entry->last = *record;
}

void log_fold_tick(struct log_fold *fold, int64_t now_ns)
{
    for (uint32_t i = 0; i < LOG_FOLD_NAMES; i++) {
        struct log_fold_entry *entry = &fold->entries[i];

        if (entry->last.name && now_ns >= entry->window_end_ns)
            end_window(fold, entry, now_ns);
    }
}

void log_fold_flush(struct log_fold *fold)
{
    for (uint32_t i = 0; i < LOG_FOLD_NAMES; i++) {
        if (!fold->entries[i].last.name)
            continue;
        emit_folded(fold, &fold->entries[i]);
        fold->entries[i].last.name = NULL;
    }
}
