/* net/io.c — see net/io.h. Thread: the I/O actor's; init and deinit are main's. */
#include "net/io.h"

#include <string.h>
#include <time.h>

#include "core/msg.h"
#include "net/detour.h"
#include "net/holds.h"
#include "net/session.h"
#include "net/throttle.h"

#define RETIMED_A_TURN     256u
#define SHED_CHUNKS_A_TURN 16u /* about 1,000 connections: a few microseconds */

const struct stat_desc io_stat_descs[IO_STAT_COUNT] = {
#define X(name, text, unit, help) [IO_STAT_##name] = {text, unit, help},
    IO_STATS(X)
#undef X
};

static struct wheel_link *timer_of(void *owner, uint32_t slot_index)
{
    return &conn_at(owner, slot_index)->timer;
}

enum status io_init(struct io *io, const struct io_options *options, uint32_t now_tick)
{
    must(options->slot_count_max > 0 && options->slot_count_max <= LIMIT_CONNS_PER_IO);
    io->config = options->config;
    io->config_msg = NULL;
    io->port = &options->mesh->ports[options->io_index];
    io->quotas = options->quotas;
    io->io_index = (uint16_t)options->io_index;
    io->name_key = options->name_key;
    io->seeds = (struct random_ids){.key = options->random_key};
    io->slot_count_max = options->slot_count_max;
    io->web_index = options->web_index;
    io->ws_accept = options->ws_accept;
    io->guard = options->guard;
    io->expel_cursor = io->retime_cursor = options->slot_count_max;
    io->refused_count = io->refused_said_tick = 0;
    io->is_metered = throttle_is_wanted(options->config);
    io->chunk_count = (options->slot_count_max + LIMIT_CONN_CHUNK - 1) / LIMIT_CONN_CHUNK;
    io->next_generation = 1;
    io->draining = io->stopped = false;
    io->marked_first = MARKED_NONE;
    io->now_tick = now_tick;
    io->shed_cursor = 0;
    io->is_listing = false;
    io->report = (struct io_report){.is_on = false};
    table_init(&io->topic_ids, holds_topic_hash_of, io);
    pool_init(&io->topics, MEM_FANOUT, sizeof(struct local_topic));
    wheel_init(&io->wheel, now_tick, timer_of, io);
    memset((void *)io->stats, 0, sizeof(io->stats));
    memset((void *)io->closed_counts, 0, sizeof(io->closed_counts));
    memset((void *)io->tls_failed_counts, 0, sizeof(io->tls_failed_counts));
    memset((void *)&io->latency, 0, sizeof(io->latency));
    io->stamp_ns = 0;
    io->may_note = false;
    io->secure = NULL;
    io->secure_calls = NULL;
    io->auth = NULL;
    io->auth_calls = NULL;
    io->book = NULL;
    if (detours_init(io, options->hooks) != STATUS_OK)
        return STATUS_NO_MEMORY;
    io->chunks = mem_alloc_zero(&io->mem, MEM_CONN, sizeof(*io->chunks) * io->chunk_count);
    return io->chunks ? STATUS_OK : STATUS_NO_MEMORY;
}

void io_deinit(struct io *io)
{
    must(io->topics.used_count == 0);
    detours_deinit(io);
    msg_unref(&io->mem, io->config_msg);
    io->config_msg = NULL;
    io->config = NULL; /* it may have been in there */
    pool_deinit(&io->topics, &io->mem);
    table_deinit(&io->topic_ids, &io->mem);
    for (uint32_t i = 0; i < io->chunk_count; i++)
        must(!io->chunks[i]);
    mem_free(&io->mem, MEM_CONN, io->chunks, sizeof(*io->chunks) * io->chunk_count);
    io->chunks = NULL;
}

static_assert(offsetof(struct msg, bytes) % _Alignof(struct config) == 0,
              "a message's bytes can be a configuration");

void io_take_config(struct io *io, struct msg *msg)
{
    must(msg->bytes_count == sizeof(struct config));
    msg_unref(&io->mem, io->config_msg);
    io->config_msg = msg_ref(msg);
    io->config = (const struct config *)(const void *)msg->bytes;
    io->is_metered = throttle_is_wanted(io->config);
    io->retime_cursor = 0;
}

void io_retime_step(struct io *io)
{
    uint32_t looked_at = 0;

    for (; io_has_to_retime(io) && looked_at < RETIMED_A_TURN; io->retime_cursor++) {
        if (!io->chunks[io->retime_cursor / LIMIT_CONN_CHUNK]) {
            io->retime_cursor |= LIMIT_CONN_CHUNK - 1; /* the next round is in the next chunk */
            continue;
        }
        struct conn *conn = conn_at(io, io->retime_cursor);

        looked_at++;
        if (!(conn->flags & CONN_TIMED))
            continue;
        throttle_forgive(io, conn);
        session_retime(io, conn);
    }
}

static void shed(struct io *io, struct conn *conn)
{
    if (conn->state == CONN_FREE || conn->state >= CONN_LEAVING)
        return;
    conn_shed(io, conn);
    session_shed(io, conn);
}

void io_shed_step(struct io *io)
{
    if (!mem_is_tight(io->mem.budget))
        return;
    for (uint32_t i = 0; i < SHED_CHUNKS_A_TURN; i++) {
        uint32_t chunk_index = io->shed_cursor++ % io->chunk_count;
        uint32_t first = chunk_index * LIMIT_CONN_CHUNK;

        if (!io->chunks[chunk_index])
            continue;
        for (uint32_t slot = first; slot < first + LIMIT_CONN_CHUNK && slot < io->slot_count_max;
             slot++)
            shed(io, conn_at(io, slot));
    }
}

void io_begin_timing(struct io *io, int64_t now_ns)
{
    io->stamp_ns = now_ns;
    io->may_note = true;
}

void io_note_latency(struct io *io, const struct envelope *deliver)
{
    struct timespec now;

    if (deliver->received_ns == 0 || !io->may_note)
        return;
    io->may_note = false; /* one reading of the clock a turn is enough, and cheap enough */
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - deliver->received_ns;

    latency_note(&io->latency, ns > 0 ? (uint64_t)ns : 0);
}

uint32_t io_drain_lanes(struct io *io)
{
    uint32_t actor_count = io->port->mesh->actor_count;
    struct envelope envelope;
    uint32_t handled_count = 0;

    for (uint32_t from = 0; from < actor_count; from++) {
        for (uint32_t i = 0; i < LIMIT_LANE_BATCH; i++) {
            if (!port_pop(io->port, from, &envelope))
                break;
            session_envelope(io, &envelope);
            handled_count++;
        }
    }
    io_count(io, IO_STAT_ENVELOPES, handled_count);
    return handled_count;
}
