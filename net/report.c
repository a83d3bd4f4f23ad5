/* net/report.c — who joins and who leaves, told to the web actor; see net/report.h. */
#include "net/report.h"

#include <stdio.h>

#include "core/msg.h"
#include "net/io.h"
#include "net/peers.h"

#define ROOM_KEPT      16u    /* envelopes of the lane that are for requests */
#define ROWS_BYTES_MAX 16384u /* in one JOINED */
#define ID_BYTES_MAX   32u    /* "63.1048575.65535" with quotes and comma */

void io_report(struct io *io, const struct envelope *envelope)
{
    io->report.is_on = envelope->flags & ENVELOPE_ON;
    io->report.joined_count = io->report.left_count = 0;
    io->report.joined_missed_count = io->report.left_missed_count = 0;
}

void report_joined(struct io *io, const struct conn *conn)
{
    struct io_report *report = &io->report;

    if (!report->is_on)
        return;
    if (report->joined_count < REPORT_JOINED_MAX)
        report->joined[report->joined_count++] = conn_handle_of(io, conn);
    else
        report->joined_missed_count++;
}

void report_left(struct io *io, const struct conn *conn)
{
    struct io_report *report = &io->report;

    if (!report->is_on)
        return;
    if (report->left_count < REPORT_LEFT_MAX)
        report->left[report->left_count++] = conn_handle_of(io, conn);
    else
        report->left_missed_count++;
}

/* Push @bytes, which tell of @count; or note that these, too, were left out. */
static void tell(struct io *io, enum envelope_kind kind, struct span bytes, uint32_t count,
                 uint32_t *missed_count)
{
    struct msg *msg = NULL;

    if (count > 0 && port_room(io->port, io->web_index) > ROOM_KEPT)
        msg = msg_copy(&io->mem, bytes);
    if (!msg) {
        *missed_count += count;
        return;
    }
    port_push(
        io->port, io->web_index,
        (struct envelope){.kind = (uint8_t)kind, .id = *missed_count, .count = count, .msg = msg});
    *missed_count = 0;
}

static void tell_joined(struct io *io)
{
    struct io_report *report = &io->report;
    char rows[ROWS_BYTES_MAX];
    size_t used = 0;
    uint32_t count = 0;

    for (uint32_t i = 0; i < report->joined_count; i++) {
        const struct conn *conn = conn_find(io, report->joined[i]);

        if (!conn)
            continue; /* gone again: it is among those that left */
        if (used + PEERS_ROW_BYTES_MAX + 1 > sizeof(rows)) {
            tell(io, ENVELOPE_JOINED, span_of(rows, used), count, &report->joined_missed_count);
            used = 0;
            count = 0;
        }
        if (used > 0)
            rows[used++] = ',';
        used += peers_put_row(io, conn, rows + used);
        count++;
    }
    tell(io, ENVELOPE_JOINED, span_of(rows, used), count, &report->joined_missed_count);
    report->joined_count = 0;
}

static void tell_left(struct io *io)
{
    struct io_report *report = &io->report;
    char ids[REPORT_LEFT_MAX * ID_BYTES_MAX];
    size_t used = 0;

    for (uint32_t i = 0; i < report->left_count; i++)
        used += (size_t)sprintf(ids + used, "%s\"%u.%u.%u\"", i > 0 ? "," : "",
                                report->left[i].host_index, report->left[i].slot_index,
                                report->left[i].generation);
    tell(io, ENVELOPE_LEFT, span_of(ids, used), report->left_count, &report->left_missed_count);
    report->left_count = 0;
}

void io_report_step(struct io *io)
{
    if (io->report.joined_count > 0)
        tell_joined(io);
    if (io->report.left_count > 0)
        tell_left(io);
}
