/* net/tap.c — the runs of a connection, copied to the web actor; see net/report.h. */
#include "core/msg.h"
#include "net/io.h"
#include "net/report.h"

#define ROOM_KEPT                                                                                  \
    32u /* envelopes of the lane that are for requests, and for who comes and goes                 \
         */

void io_tap(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);

    if (!conn)
        return;
    conn->flags &= ~CONN_TAPPED;
    if (envelope->flags & ENVELOPE_ON)
        conn->flags |= CONN_TAPPED;
}

void tap_run(struct io *io, const struct conn *conn, bool is_out, struct msg *run,
             uint32_t frame_count)
{
    if (port_room(io->port, io->web_index) <= ROOM_KEPT) {
        io->report.tapped_missed_count += frame_count;
        return;
    }
    port_push(io->port, io->web_index,
              (struct envelope){.kind = ENVELOPE_TAPPED,
                                .flags = is_out ? ENVELOPE_OUT : 0,
                                .conn = conn_handle_of(io, conn),
                                .id = io->report.tapped_missed_count,
                                .count = frame_count,
                                .msg = msg_ref(run)});
    io->report.tapped_missed_count = 0;
}
