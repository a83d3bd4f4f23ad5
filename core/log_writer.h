/*
 * core/log_writer.h — the control actor's side of the log: lanes in, lines out.
 *
 *   2026-03-01T12:00:00.000Z INFO conn.opened id=7        on a terminal, in a file, in a pipe
 *   <6>conn.opened id=7                                   when stderr is journald's
 *
 * Thread: control. Never waits for whoever reads stderr: when that is full, records stay in
 * their lanes, then lanes count what they lose, and later a line says how much that was.
 */
#pragma once

#include "core/log.h"
#include "core/log_fold.h"

#define LOG_LINE_BYTES 400u /* time, level, name, text and note */
#define LOG_BUFFER_BYTES                                                                           \
    4096u /* PIPE_BUF: a pipe that polls writable takes it without blocking                        \
           */

struct log_writer {
    int fd;
    bool journal;
    uint64_t unwritten_count; /* lines that @fd did not take; not yet told */
    uint32_t buffered_bytes;
    char buffer[LOG_BUFFER_BYTES];
    struct log_fold fold;
    /* Who else hears each line, while it is made; may be NULL. */
    void (*also)(void *context, const struct log_record *record, const struct log_note *note);
    void *also_context;
};

/* @fd: where the lines go, usually 2; not closed by us. */
void log_writer_init(struct log_writer *writer, int fd);

/* What a line says behind the text when it stands for several events: " (repeated 3 times ...)", or
 * nothing. Returns its length; LOG_NOTE_BYTES are always enough. */
#define LOG_NOTE_BYTES 80u
size_t log_note_text(const struct log_note *note, char *out, size_t room);

/**
 * Write what the @lanes hold, and the summaries that are due.
 *
 * @now_ns: any clock that only goes forward.
 * Returns: how many events were taken; while it is not 0 there may be more.
 * Cost:    about one write(2) for ten lines.
 */
uint32_t log_drain(struct log_writer *writer, struct log_lane *const *lanes, uint32_t lane_count,
                   int64_t now_ns);

/* Before exit, when the actors are joined: everything that is left, waiting up to a second for
 * stderr to take it. */
void log_finish(struct log_writer *writer, struct log_lane *const *lanes, uint32_t lane_count,
                int64_t now_ns);

/* One record straight to @fd; may block. For threads without a lane. */
void log_write_now(int fd, const struct log_record *record);
