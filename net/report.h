/*
 * net/report.h — what an I/O actor tells the web actor while somebody looks.
 *
 *      clients that join and leave ──JOINED, LEFT──> web actor    while REPORT is on (net/report.c)
 *      runs of a tapped connection ──TAPPED────────>              while TAP is on     (net/tap.c)
 *
 * Nothing of it ever waits: what finds no room on the lane is left out, counted, and the count goes
 * with the next envelope. While nobody looks it costs a flag that is asked.
 *
 * Thread: the I/O actor's.
 */
#pragma once

#include "core/envelope.h"

struct io;
struct conn;

#define REPORT_JOINED_MAX 64u  /* that join in a turn; of more only the number is told */
#define REPORT_LEFT_MAX   256u /* the same */

struct io_report {
    bool is_on;
    uint32_t joined_count;
    uint32_t left_count;
    uint32_t joined_missed_count; /* not told, not yet said so */
    uint32_t left_missed_count;
    uint32_t tapped_missed_count;                 /* messages of tapped connections, the same */
    struct conn_handle joined[REPORT_JOINED_MAX]; /* in this turn */
    struct conn_handle left[REPORT_LEFT_MAX];
};

/* A REPORT or TAP of the web actor. */
void io_report(struct io *io, const struct envelope *envelope);
void io_tap(struct io *io, const struct envelope *envelope);

/* The client is live; or it was, and is now given up. */
void report_joined(struct io *io, const struct conn *conn);
void report_left(struct io *io, const struct conn *conn);

/* The end of a turn: tell what has gathered. */
void io_report_step(struct io *io);

/* A run from a connection, or to it, when that has CONN_TAPPED. Borrows @run. */
void tap_run(struct io *io, const struct conn *conn, bool is_out, struct msg *run,
             uint32_t frame_count);
