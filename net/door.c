/* net/door.c — see net/door.h. Thread: the I/O actor's. */
#include "net/door.h"

#include "core/guard.h"
#include "core/log.h"
#include "core/msg.h"
#include "net/session_parts.h"

#define EXPELLED_A_TURN 256u

/* A flood costs one line a tick. */
static void say_refused(struct io *io, const struct conn *conn, const char *why)
{
    char ip[CONN_IP_TEXT_BYTES];

    io->refused_count++;
    if (io->refused_said_tick == io->now_tick)
        return;
    io->refused_said_tick = io->now_tick;
    conn_ip_text(conn, ip);
    log_event(LOG_LEVEL_WARNING, "address.refused", "address=%s why=%s count=%u", ip, why,
              io->refused_count);
    io->refused_count = 0;
}

bool door_admit(struct io *io, struct conn *conn)
{
    static const struct {
        enum io_stat stat;
        const char *why;
    } refusals[] = {
        [GUARD_BANNED] = {IO_STAT_REFUSED_BANNED, "banned"},
        [GUARD_TOO_MANY] = {IO_STAT_REFUSED_ADDRESS_FULL, "connections_per_address"},
        [GUARD_TOO_FAST] = {IO_STAT_REFUSED_ADDRESS_FAST, "connects_per_address"},
    };
    if (!io->guard)
        return true;
    enum guard_verdict verdict = guard_admit(io->guard, conn->peer_ip, io->now_tick);

    if (verdict == GUARD_OK)
        conn->flags |= CONN_GUARDED;
    if (verdict == GUARD_OK || verdict == GUARD_UNWATCHED)
        return true;
    io_count(io, refusals[verdict].stat, 1);
    say_refused(io, conn, refusals[verdict].why);
    conn_close(io, conn, CLOSE_GUARD);
    return false;
}

bool door_admit_page(struct io *io, const struct conn *conn)
{
    if (!(conn->flags & CONN_GUARDED) || guard_take_page(io->guard, conn->peer_ip))
        return true;
    io_count(io, IO_STAT_REFUSED_ADDRESS_PAGES, 1);
    say_refused(io, conn, "pages_per_address");
    return false;
}

void door_leave_page(struct io *io, const struct conn *conn)
{
    if (conn->flags & CONN_GUARDED)
        guard_give_page(io->guard, conn->peer_ip);
}

void door_leave(struct io *io, struct conn *conn)
{
    if (conn->flags & CONN_GUARDED)
        guard_leave(io->guard, conn->peer_ip);
    conn->flags &= ~CONN_GUARDED;
}

void door_login_failed(struct io *io, const struct conn *conn)
{
    char ip[CONN_IP_TEXT_BYTES];

    if (!io->guard || guard_is_exempt(io->guard, conn->peer_ip))
        return;
    uint32_t ban_s = guard_login_failed(io->guard, conn->peer_ip, io->now_tick);

    if (ban_s == 0)
        return;
    conn_ip_text(conn, ip);
    log_event(LOG_LEVEL_WARNING, "address.banned", "address=%s for_s=%u why=\"failed logins\"", ip,
              ban_s);
}

bool door_is_shut(const struct io *io, const struct conn *conn)
{
    return io->guard && guard_is_banned(io->guard, conn->peer_ip, io->now_tick) != GUARD_NOT_BANNED;
}

void door_expel(struct io *io)
{
    if (io->guard)
        io->expel_cursor = 0;
}

static void expel(struct io *io, struct conn *conn)
{
    if (conn->state == CONN_FREE || conn->state >= CONN_LEAVING)
        return;
    if (guard_is_banned(io->guard, conn->peer_ip, io->now_tick) == GUARD_BY_HAND)
        session_end(io, conn, CLOSE_GUARD, "this address is banned");
}

void door_step(struct io *io)
{
    uint32_t looked_at = 0;

    for (; door_has_work(io) && looked_at < EXPELLED_A_TURN; io->expel_cursor++) {
        if (!io->chunks[io->expel_cursor / LIMIT_CONN_CHUNK]) {
            io->expel_cursor |= LIMIT_CONN_CHUNK - 1; /* the next round is in the next chunk */
            continue;
        }
        looked_at++;
        expel(io, conn_at(io, io->expel_cursor));
    }
}

void door_tell_address(struct io *io, const struct envelope *envelope)
{
    const struct conn *conn = conn_find(io, envelope->conn);

    port_push(io->port, envelope->from,
              (struct envelope){.kind = ENVELOPE_ADDRESS,
                                .etid = envelope->etid,
                                .conn = envelope->conn,
                                .msg = conn ? msg_copy(&io->mem, span_of(conn->peer_ip,
                                                                         sizeof(conn->peer_ip)))
                                            : NULL});
}
