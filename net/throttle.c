/* net/throttle.c — see net/throttle.h. Thread: the I/O actor's. */
#include "net/throttle.h"

#include "core/log.h"
#include "net/session_parts.h"

#define SAID_TICKS (60000u / WHEEL_TICK_MS) /* a line a minute for each client is enough */

static_assert(WHEEL_TICK_MS * METER_TICKS_PER_S == 1000, "meters run on the wheel's ticks");

bool throttle_is_wanted(const struct config *config)
{
    const struct config_limits *limits = &config->limits;

    return limits->messages_per_client_max > 0 || limits->bytes_per_client_max > 0 ||
           limits->messages_per_instance_max > 0 || limits->bytes_per_instance_max > 0;
}

static uint32_t use(struct meter *meter, uint32_t amount, uint32_t rate, uint32_t now_tick)
{
    return rate > 0 && amount > 0 ? meter_take(meter, amount, rate, now_tick) : 0;
}

static uint32_t use_shared(struct shared_meter *meter, uint32_t amount, uint32_t rate,
                           uint32_t now_tick)
{
    return rate > 0 && amount > 0 ? shared_meter_take(meter, amount, rate, now_tick) : 0;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void say(struct io *io, const struct conn *conn, struct throttle *throttle, const char *why)
{
    const struct identity who = identity_read(msg_span(conn->identity));
    char ip[CONN_IP_TEXT_BYTES];

    if (throttle->said_tick != 0 && io->now_tick - throttle->said_tick < SAID_TICKS)
        return;
    throttle->said_tick = io->now_tick;
    conn_ip_text(conn, ip);
    log_event(LOG_LEVEL_WARNING, "conn.throttled", "uid=%.*s etid=%u peer=%s:%u limit=%s",
              (int)min_size(who.uid.bytes_count, 64), (const char *)who.uid.data, conn->etid, ip,
              conn->peer_port, why);
}

void throttle_count(struct io *io, struct conn *conn, uint32_t message_count, uint32_t bytes_count)
{
    const struct config_limits *limits = &io->config->limits;
    struct instance_quotas *instance = &io->quotas->instances[conn->instance_index];
    struct throttle *throttle = conn_begin_throttle(io, conn);
    uint32_t now = io->now_tick;

    if (!throttle)
        return; /* no memory for meters: its share is not measured, and it is heard */
    uint32_t own_ticks =
        max_u32(use(&throttle->messages, message_count, limits->messages_per_client_max, now),
                use(&throttle->bytes, bytes_count, limits->bytes_per_client_max, now));
    uint32_t shared_ticks = max_u32(use_shared(&instance->message_meter, message_count,
                                               limits->messages_per_instance_max, now),
                                    use_shared(&instance->byte_meter, bytes_count,
                                               limits->bytes_per_instance_max, now));
    uint32_t wait_ticks = max_u32(own_ticks, shared_ticks);

    if (wait_ticks == 0)
        return;
    if (conn->flags & CONN_THROTTLED) { /* more of the same turn; the timer looks at it again */
        if ((int32_t)(now + wait_ticks - throttle->resume_tick) > 0)
            throttle->resume_tick = now + wait_ticks;
        return;
    }
    conn->flags |= CONN_THROTTLED;
    throttle->resume_tick = now + wait_ticks;
    io_count(io, IO_STAT_THROTTLED, 1);
    io_count(io, own_ticks >= shared_ticks ? IO_STAT_THROTTLED_CLIENT : IO_STAT_THROTTLED_INSTANCE,
             1);
    say(io, conn, throttle, own_ticks >= shared_ticks ? "per_client" : "per_instance");
    session_retime(io, conn);
    conn_mark(io, conn); /* its receive is to be cancelled */
}

void throttle_forgive(struct io *io, struct conn *conn)
{
    struct throttle *throttle = conn->flags & CONN_THROTTLED ? conn_throttle(io, conn) : NULL;

    if (!throttle)
        return;
    throttle->messages = throttle->bytes = (struct meter){.until = 0};
    throttle->resume_tick = io->now_tick;
}

void throttle_end(struct io *io, struct conn *conn)
{
    if (!(conn->flags & CONN_THROTTLED))
        return;
    conn->flags &= ~CONN_THROTTLED;
    io_count(io, IO_STAT_THROTTLED, (uint64_t)-1);
}

void throttle_lift(struct io *io, struct conn *conn)
{
    throttle_end(io, conn);
    session_read_again(io, conn);
}
