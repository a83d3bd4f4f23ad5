/*
 * net/peers.c — every connection of an I/O actor as JSON rows, for whoever asked.
 *
 * Thread: the I/O actor's. A bite each turn, so that listing 20,000 connections delays nobody.
 * What clients chose (UID, info) is escaped here; bytes that are not ASCII become \u00XX.
 */
#include "net/peers.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/identity.h"
#include "core/json_text.h"
#include "core/msg.h"
#include "net/holds.h"

#define CONNS_A_TURN     256u
#define INFO_BYTES_SHOWN 256u /* so that a row has its bounds */

static struct identity identity_of(const struct conn *conn)
{
    struct identity identity = {.login = LOGIN_ANONYMOUS};

    if (conn->identity)
        identity = identity_read(msg_span(conn->identity));
    identity.info.bytes_count = min_size(identity.info.bytes_count, INFO_BYTES_SHOWN);
    return identity;
}

static const char *transport_of(const struct conn *conn)
{
    if (conn->flags & CONN_WS)
        return conn->flags & CONN_TLS ? "wss" : "ws";
    return conn->flags & CONN_TLS ? "tls" : "tcp";
}

/* When it was accepted, as Unix time; to a tick. */
static long long since_ms(const struct io *io, const struct conn *conn)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000 -
           (long long)(io->now_tick - conn->since_tick) * WHEEL_TICK_MS;
}

size_t peers_put_row(const struct io *io, const struct conn *conn, char out[PEERS_ROW_BYTES_MAX])
{
    char ip[CONN_IP_TEXT_BYTES];
    struct identity identity = identity_of(conn);
    size_t used = (size_t)sprintf(out, "{\"id\":\"%u.%u.%u\",\"uid\":\"", io->io_index,
                                  conn->slot_index, conn->generation);

    uint32_t received_count = conn->state < CONN_JOINING ? 0 : conn->received_count;

    conn_ip_text(conn, ip);
    used += json_put_escaped(out + used, identity.uid);
    used += (size_t)sprintf(out + used, "\",\"info\":\"");
    used += json_put_escaped(out + used, identity.info);
    used +=
        (size_t)sprintf(out + used, "\",\"login\":\"%s\",\"name\":\"", login_word(identity.login));
    used += json_put_escaped(out + used, identity.name);
    used += (size_t)sprintf(
        out + used,
        "\",\"etid\":%u,\"address\":\"%s\",\"port\":%u,\"state\":\"%s\",\"instance\":\"%s\","
        "\"transport\":\"%s\",\"since\":%lld,\"io\":%u,\"topics\":%u,\"subscriptions\":%u,"
        "\"received\":%u,\"sent\":%u,"
        "\"dropped\":%u,\"queued_bytes\":%u,\"silent_s\":%u",
        conn->etid, ip, conn->peer_port, conn_state_name((enum conn_state)conn->state),
        io->config->instances[conn->instance_index].path, transport_of(conn), since_ms(io, conn),
        io->io_index, holds_count(conn, HELD_TOPIC), holds_count(conn, HELD_SUBSCRIBED),
        received_count, conn->sent_count, conn->dropped_count, conn->out.queued_bytes,
        (io->now_tick - conn->last_input_tick) / (1000u / WHEEL_TICK_MS));
    must(used < PEERS_ROW_BYTES_MAX);
    if (io->secure_calls)
        used += io->secure_calls->put_row(conn, out + used, PEERS_ROW_BYTES_MAX - used - 1);
    must(used + 1 < PEERS_ROW_BYTES_MAX);
    out[used++] = '}';
    return used;
}

static void send_row(struct io *io, const char *text, size_t bytes_count)
{
    struct msg *row = msg_copy(&io->mem, span_of(text, bytes_count));

    if (!row)
        return; /* over the memory limit: a list with holes is better than none */
    io->list_count++;
    port_push(io->port, io->list_to, (struct envelope){.kind = ENVELOPE_ROWS, .msg = row});
}

static void begin_list(struct io *io, uint16_t to)
{
    io->is_listing = true;
    io->list_to = to;
    io->list_cursor = 0;
    io->list_count = 0;
}

/* Takes @rows. */
static void send_rows(struct io *io, uint16_t to, struct msg *rows, size_t bytes_count)
{
    struct msg *exact = msg_resize(&io->mem, rows, bytes_count);

    must(exact); /* it does not grow */
    port_push(io->port, to, (struct envelope){.kind = ENVELOPE_ROWS, .msg = exact});
}

#define SOME_BYTES 65536u /* of rows in one message */
static_assert(SOME_BYTES > PEERS_ROW_BYTES_MAX + 1, "a row always fits");

/* Those that are asked for by name: at once, as many in a message as fit, so that the answer takes
 * a few places in the lane and not one for each. */
static void list_some(struct io *io, const struct envelope *request)
{
    const struct conn_handle *handles =
        (const struct conn_handle *)(const void *)request->msg->bytes;
    uint32_t handle_count = (uint32_t)(request->msg->bytes_count / sizeof(*handles));
    struct envelope end = {.kind = ENVELOPE_ROWS_END};
    struct msg *rows = NULL;
    size_t used = 0;

    must(handle_count <= LIMIT_LIST_NAMES);
    for (uint32_t i = 0; i < handle_count; i++) {
        const struct conn *conn = conn_find(io, handles[i]);

        if (!conn || conn->state >= CONN_LEAVING)
            continue;
        if (rows && used + 1 + PEERS_ROW_BYTES_MAX > SOME_BYTES) {
            send_rows(io, request->from, rows, used);
            rows = NULL;
        }
        if (!rows) {
            rows = msg_new(&io->mem, SOME_BYTES);
            used = 0;
        }
        if (!rows)
            break;
        if (used > 0)
            rows->bytes[used++] = ',';
        used += peers_put_row(io, conn, (char *)rows->bytes + used);
        end.count++;
    }
    if (rows)
        send_rows(io, request->from, rows, used);
    port_push(io->port, request->from, end);
}

void io_list_peers(struct io *io, const struct envelope *request)
{
    if (request->id == LIST_PEERS_OF) {
        list_some(io, request);
        return;
    }
    if (!io->is_listing) {
        begin_list(io, request->from);
        return;
    }
    must(io->list_waiting_count < LIMIT_LIST_ASKERS); /* each asks one at a time */
    io->list_waiting[io->list_waiting_count++] = request->from;
}

static void end_list(struct io *io)
{
    io->is_listing = false;
    port_push(io->port, io->list_to,
              (struct envelope){.kind = ENVELOPE_ROWS_END, .count = io->list_count});
    if (io->list_waiting_count == 0)
        return;
    begin_list(io, io->list_waiting[0]);
    io->list_waiting_count--;
    memmove(io->list_waiting, io->list_waiting + 1,
            io->list_waiting_count * sizeof(io->list_waiting[0]));
}

void io_list_step(struct io *io)
{
    char row[PEERS_ROW_BYTES_MAX];
    uint32_t looked_at = 0;

    if (!io->is_listing)
        return;
    /* Only as much as fits: a full lane to control would hold up this actor's clients. */
    uint32_t room = port_room(io->port, io->list_to);

    for (; io->list_cursor < io->slot_count_max && looked_at < CONNS_A_TURN; io->list_cursor++) {
        if (!io->chunks[io->list_cursor / LIMIT_CONN_CHUNK]) {
            io->list_cursor |= LIMIT_CONN_CHUNK - 1; /* the next round is in the next chunk */
            continue;
        }
        if (room == 0)
            return;
        const struct conn *conn = conn_at(io, io->list_cursor);

        looked_at++;
        if (conn->state == CONN_FREE || conn->state >= CONN_LEAVING)
            continue;
        send_row(io, row, peers_put_row(io, conn, row));
        room--;
    }
    if (io->list_cursor < io->slot_count_max || room == 0)
        return;
    end_list(io);
}
