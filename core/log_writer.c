/*
 * core/log_writer.c — see core/log_writer.h.
 */
#include "core/log_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FINISH_WAIT_MS 1000

static const struct {
    const char *word;
    char priority; /* syslog's */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"ERROR", '3'},
    [LOG_LEVEL_WARNING] = {"WARNING", '4'},
    [LOG_LEVEL_INFO] = {"INFO", '6'},
    [LOG_LEVEL_DEBUG] = {"DEBUG", '7'},
};

/* systemd sets JOURNAL_STREAM to "device:inode" of the stream it gave us. Comparing matters: the
 * variable is inherited by shells whose stderr is a terminal. INVOCATION_ID is too, and says less.
 */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device = 0;
    uintmax_t inode = 0;
    struct stat about;

    return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 && fstat(fd, &about) == 0 &&
           device == about.st_dev && inode == about.st_ino;
}

static size_t format_time(int64_t time_ns, char *out, size_t room)
{
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm parts;

    gmtime_r(&seconds, &parts);
    size_t used = strftime(out, room, "%Y-%m-%dT%H:%M:%S", &parts);

    return used +
           (size_t)snprintf(out + used, room - used, ".%03dZ ", (int)(time_ns / 1000000 % 1000));
}

size_t log_note_text(const struct log_note *note, char *out, size_t room)
{
    out[0] = '\0';
    if (note->folded_count == 0)
        return 0;
    return (size_t)snprintf(out, room, " (%s %" PRIu64 " %s within %d s)",
                            note->differed ? "the last of" : "repeated", note->folded_count,
                            note->differed ? "more" : "times", (int)(note->window_ns / 1000000000));
}

/* One line with its newline into @out (LOG_LINE_BYTES). Returns its bytes. */
static size_t format_line(bool journal, const struct log_record *record,
                          const struct log_note *note, char *out)
{
    size_t room = LOG_LINE_BYTES - 1; /* the newline has its place in any case */
    size_t used = 0;

    must(record->level < COUNT_OF(levels));
    if (journal) {
        used = (size_t)snprintf(out, room, "<%c>", levels[record->level].priority);
    } else {
        used = format_time(record->time_ns, out, room);
        used += (size_t)snprintf(out + used, room - used, "%s ", levels[record->level].word);
    }
    used += (size_t)snprintf(out + used, room - used, "%.64s %s", record->name, record->text);
    used += log_note_text(note, out + used, room - used);
    must(used < room); /* LOG_LINE_BYTES is the sum of the parts */
    out[used] = '\n';
    return used + 1;
}

void log_write_now(int fd, const struct log_record *record)
{
    static const struct log_note one_event = {0};
    char line[LOG_LINE_BYTES];
    size_t bytes = format_line(is_journal(fd), record, &one_event, line);

    if (write(fd, line, bytes) < 0)
        return; /* nowhere left to complain */
}

/* -- the buffer -- */

static bool is_writable(const struct log_writer *writer, int wait_ms)
{
    struct pollfd poll_fd = {.fd = writer->fd, .events = POLLOUT};

    return poll(&poll_fd, 1, wait_ms) == 1 && (poll_fd.revents & POLLOUT);
}

/* Hand over what is buffered, if @fd takes it within @wait_ms. Returns: is the buffer empty? */
static bool flush(struct log_writer *writer, int wait_ms)
{
    while (writer->buffered_bytes > 0) {
        if (!is_writable(writer, wait_ms))
            return false;
        ssize_t written = write(writer->fd, writer->buffer, writer->buffered_bytes);

        if (written < 0 && (errno == EINTR || errno == EAGAIN))
            return false;
        if (written < 0) {
            /* Closed, or a full disk: these lines are gone, and keeping them helps nobody. */
            for (uint32_t i = 0; i < writer->buffered_bytes; i++)
                writer->unwritten_count += writer->buffer[i] == '\n';
            writer->buffered_bytes = 0;
            return false;
        }
        writer->buffered_bytes -= (uint32_t)written;
        memmove(writer->buffer, writer->buffer + written, writer->buffered_bytes);
    }
    return true;
}

static bool has_room(struct log_writer *writer, uint32_t line_count)
{
    return writer->buffered_bytes + line_count * LOG_LINE_BYTES <= sizeof(writer->buffer) ||
           flush(writer, 0);
}

static void append(void *context, const struct log_record *record, const struct log_note *note)
{
    struct log_writer *writer = context;

    if (writer->also)
        writer->also(writer->also_context, record, note);
    if (!has_room(writer, 1)) {
        writer->unwritten_count += note->folded_count > 0 ? note->folded_count : 1;
        return;
    }
    writer->buffered_bytes += (uint32_t)format_line(writer->journal, record, note,
                                                    writer->buffer + writer->buffered_bytes);
}

void log_writer_init(struct log_writer *writer, int fd)
{
    writer->fd = fd;
    writer->journal = is_journal(fd);
    writer->unwritten_count = 0;
    writer->buffered_bytes = 0;
    writer->also = NULL;
    log_fold_init(&writer->fold, append, writer);
}

/* -- draining -- */

static void report_lost(struct log_writer *writer, uint64_t count, const char *where)
{
    static const struct log_note one_event = {0};
    struct log_record record = {.name = "log.lost", .level = LOG_LEVEL_WARNING};
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    record.time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    snprintf(record.text, sizeof(record.text), "events=%" PRIu64 " at=%s", count, where);
    append(writer, &record, &one_event);
}

static void report_losses(struct log_writer *writer, struct log_lane *const *lanes,
                          uint32_t lane_count)
{
    for (uint32_t i = 0; i < lane_count; i++) {
        uint64_t lost_count = atomic_load_explicit(&lanes[i]->lost_count, memory_order_relaxed);

        if (lost_count == lanes[i]->lost_reported_count || !has_room(writer, 1))
            continue;
        report_lost(writer, lost_count - lanes[i]->lost_reported_count, lanes[i]->actor);
        lanes[i]->lost_reported_count = lost_count;
    }
    if (writer->unwritten_count > 0 && has_room(writer, 1)) {
        uint64_t count = writer->unwritten_count;

        writer->unwritten_count = 0;
        report_lost(writer, count, "stderr");
    }
}

/* At most a lane's worth, so that a talkative actor does not keep control to itself. */
static uint32_t drain_lane(struct log_writer *writer, struct log_lane *lane, int64_t now_ns)
{
    const struct log_record *record;
    uint32_t taken_count = 0;

    /* A record may bring the summary of those before it. */
    while (taken_count < LOG_LANE_SLOTS && has_room(writer, 2) && (record = log_lane_peek(lane))) {
        log_fold_push(&writer->fold, record, now_ns);
        log_lane_pop(lane);
        taken_count++;
    }
    return taken_count;
}

uint32_t log_drain(struct log_writer *writer, struct log_lane *const *lanes, uint32_t lane_count,
                   int64_t now_ns)
{
    uint32_t taken_count = 0;

    for (uint32_t i = 0; i < lane_count; i++)
        taken_count += drain_lane(writer, lanes[i], now_ns);
    log_fold_tick(&writer->fold, now_ns);
    report_losses(writer, lanes, lane_count);
    (void)flush(writer, 0); /* what does not go now goes with the next */
    return taken_count;
}

void log_finish(struct log_writer *writer, struct log_lane *const *lanes, uint32_t lane_count,
                int64_t now_ns)
{
    do {
        (void)flush(writer, FINISH_WAIT_MS);
    } while (log_drain(writer, lanes, lane_count, now_ns) > 0);
    log_fold_flush(&writer->fold);
    (void)flush(writer, FINISH_WAIT_MS);
}
