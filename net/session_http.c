/*
 * net/session_http.c — the requests by which connections begin, and those for pages.
 *
 *      GET /smq.lsp, SimpleMQ            → Init: an SMQ session of raw frames
 *      GET /smq.lsp, Upgrade: websocket  → 101, Init: one of WebSocket messages
 *      another path                      → HTTP_REQUEST to the web actor; its HTTP_ANSWER; again
 *      anything else                     → refused, and closed
 *
 * An upgrade on an instance that needs a login is put to the web actor first. While it thinks
 * (ASKING), what comes is kept. Thread: the I/O actor's. Source: SMQ protocol §2; RFC 6455 §4.2.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/guard.h"
#include "core/log.h"
#include "core/msg.h"
#include "net/detour.h"
#include "net/door.h"
#include "net/http_head.h"
#include "net/session_parts.h"

#define REQUEST_BYTES_MAX (LIMIT_HTTP_HEAD_BYTES + LIMIT_HTTP_BODY_BYTES)

static const char bootstrap_accepted[] = "HTTP/1.1 200 OK\r\n"
                                         "SmqBroker: true\r\n"
                                         "Cache-Control: no-store\r\n"
                                         "\r\n";
static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

void session_refuse_http(struct io *io, struct conn *conn, int code)
{
    const char *answer = http_refusal(code);

    log_event(LOG_LEVEL_DEBUG, "conn.http_refused", "code=%d", code);
    io_count(io, IO_STAT_HTTP_REFUSED, 1);
    conn_send_http(io, conn, span_of(answer, strlen(answer)));
    /* What speaks no HTTP, or too slowly, need not be waited for until it has read this: a flood of
     * them would keep a slot for two seconds each, and a half-close is a thread's work in the
     * kernel. */
    if (code == 400 || code == 408)
        conn->flags |= CONN_CURT;
    conn_leave(io, conn, CLOSE_HTTP, span_of(NULL, 0));
}

/* -- the beginnings of an SMQ session -- */

static bool find_instance(const struct config *config, const char *path, uint8_t *instance_index)
{
    for (uint32_t i = 0; i < config->instance_count; i++) {
        if (strcmp(config->instances[i].path, path) == 0) {
            *instance_index = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static void send_init(struct io *io, struct conn *conn)
{
    char ip[CONN_IP_TEXT_BYTES];
    uint8_t fixed[5] = {SMQ_PROTOCOL_VERSION};

    conn->seed = random_ids_next(&io->seeds);
    smq_store_u32(fixed + 1, conn->seed);
    session_send(io, conn, SMQ_INIT, span_of(fixed, sizeof(fixed)),
                 span_of(ip, conn_ip_text(conn, ip)));
    if (conn->state == CONN_HTTP || conn->state == CONN_ASKING)
        conn_set_state(conn, CONN_GREETED);
}

static void greet_raw(struct io *io, struct conn *conn, const struct http_head *head)
{
    if (head->wants_response)
        conn_send_http(io, conn, span_of(bootstrap_accepted, strlen(bootstrap_accepted)));
    send_init(io, conn);
}

/* Answer the upgrade: what follows, in both directions, is WebSocket frames. */
static void become_ws(struct io *io, struct conn *conn, const struct http_head *head)
{
    char answer[192];
    char accept[WS_ACCEPT_BYTES + 1];

    io->ws_accept(head->ws_key, accept);
    int bytes_count = snprintf(answer, sizeof(answer),
                               "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: %s\r\n"
                               "SmqBroker: true\r\n"
                               "\r\n",
                               accept);

    must(bytes_count > 0 && (size_t)bytes_count < sizeof(answer));
    io_count(io, IO_STAT_WS_UPGRADES, 1);
    conn_send_http(io, conn, span_of(answer, (size_t)bytes_count));
    conn_speaks(io, conn, CONN_WS);
}

static void greet_ws(struct io *io, struct conn *conn, const struct http_head *head)
{
    become_ws(io, conn, head);
    send_init(io, conn);
}

/* The part of "https://name:port" that a Host header says too. */
static const char *host_of(const char *origin)
{
    const char *at = strstr(origin, "://");

    return at ? at + 3 : origin;
}

/* §10.2: only browsers send an Origin, and only for them does it say anything. @allowed: words with
 * blanks between them; "self" is the very host that was asked. */
static bool origin_is_allowed(const char *allowed, const struct http_head *head)
{
    if (!allowed || allowed[0] == '\0' || !head->has_origin)
        return true;
    for (const char *word = allowed; *word != '\0';) {
        size_t length = strcspn(word, " ");
        bool is_self = length == 4 && strncmp(word, "self", 4) == 0;

        if (is_self && head->host[0] != '\0' && strcasecmp(host_of(head->origin), head->host) == 0)
            return true;
        if (length == strlen(head->origin) && strncasecmp(word, head->origin, length) == 0)
            return true;
        word += length;
        word += strspn(word, " ");
    }
    return false;
}

/* What is wrong with an upgrade, as an HTTP code; 0: nothing. */
static int judge_upgrade(const struct io *io, const char *origins, const struct http_head *head)
{
    if (!io->ws_accept)
        return 404;
    if (!head->is_1_1 || !head->is_get)
        return 400;
    if (strcmp(head->ws_version, "13") != 0)
        return 426;
    if (head->ws_key[0] == '\0')
        return 400;
    return origin_is_allowed(origins, head) ? 0 : 403;
}

/* -- asking the web actor -- */

static bool has_web(const struct io *io)
{
    return io->web_index != IO_NO_WEB;
}

/* Nobody can keep everybody from the web UI: the last eighth of limits.pages is for exempt
 * addresses, so at least who sits at this machine (or comes through a tunnel to it) gets in. */
static bool is_page_room_kept(const struct io *io, const struct conn *conn)
{
    const struct quota *pages = &io->quotas->pages;

    return quota_used(pages) >= quota_max(pages) - quota_max(pages) / 8 && io->guard &&
           !guard_is_exempt(io->guard, conn->peer_ip);
}

/* From those who shake hands to those who read pages, or back: pages must not take the room of
 * devices that connect. false: that quota is full, and it was counted. */
static bool change_quota(struct io *io, struct conn *conn, bool to_pages)
{
    struct quota *handshakes = &io->quotas->handshakes;
    struct quota *pages = &io->quotas->pages;

    if (to_pages == ((conn->flags & CONN_PAGES) != 0))
        return true;
    if (to_pages && (is_page_room_kept(io, conn) || !quota_take(pages))) {
        io_count(io, IO_STAT_REFUSED_PAGES, 1);
        return false;
    }
    if (to_pages && !door_admit_page(io, conn)) {
        quota_give(pages);
        return false;
    }
    if (!to_pages && !quota_take(handshakes)) {
        io_count(io, IO_STAT_REFUSED_HANDSHAKES, 1);
        return false;
    }
    if (!to_pages)
        door_leave_page(io, conn);
    quota_give(to_pages ? handshakes : pages);
    conn->flags ^= CONN_PAGES;
    return true;
}

/* Before a session begins: who read pages on this connection shakes hands from now on. false: there
 * are too many who do, and it was told. */
static bool may_shake_hands(struct io *io, struct conn *conn)
{
    if (!(conn->flags & CONN_PAGES))
        return true;
    if (!change_quota(io, conn, false)) {
        session_refuse_http(io, conn, 503);
        return false;
    }
    conn->wait_tick = io->now_tick;
    return true;
}

/* @request: head and body, whole. @flags: ENVELOPE_UPGRADE, ENVELOPE_KEEP. */
static void ask(struct io *io, struct conn *conn, struct span request, uint8_t flags)
{
    if (conn->out.queued_bytes > LIMIT_HTTP_AHEAD_BYTES) { /* asks on, and does not take */
        conn_close(io, conn, CLOSE_SLOW);
        return;
    }
    /* A full lane would hold up this actor's devices, too: rather send this one away. */
    bool is_full = port_room(io->port, io->web_index) == 0;
    if (is_full)
        io_count(io, IO_STAT_REFUSED_PAGES, 1);
    if (is_full || !change_quota(io, conn, true)) {
        session_refuse_http(io, conn, 503);
        return;
    }
    struct msg *msg = msg_new(&io->mem, HTTP_REQUEST_PREFIX_BYTES + request.bytes_count);

    if (!msg) {
        io_count(io, IO_STAT_REFUSED_MEMORY, 1);
        session_refuse_http(io, conn, 503);
        return;
    }
    memcpy(msg->bytes, conn->peer_ip, sizeof(conn->peer_ip));
    smq_store_u16(msg->bytes + sizeof(conn->peer_ip), conn->listener_index);
    memcpy(msg->bytes + HTTP_REQUEST_PREFIX_BYTES, request.data, request.bytes_count);
    if (conn->flags & CONN_TLS)
        flags |= ENVELOPE_SECURE;
    io_count(io, IO_STAT_HTTP_REQUESTS, 1);
    conn_set_state(conn, CONN_ASKING);
    conn->wait_tick = io->now_tick;
    session_retime(io, conn);
    port_push(io->port, io->web_index,
              (struct envelope){.kind = ENVELOPE_HTTP_REQUEST,
                                .flags = flags,
                                .instance_index = conn->instance_index,
                                .conn = conn_handle_of(io, conn),
                                .msg = msg});
}

/* -- a request -- */

/* What became of the bytes that were looked at. */
struct taken {
    size_t used_bytes;      /* of them; the rest is for whoever comes next */
    bool keeps;             /* none is used yet: all are kept, as a request of ... */
    uint32_t request_bytes; /* ... so many; 0: not known */
};

static struct taken refuse(struct io *io, struct conn *conn, int code)
{
    session_refuse_http(io, conn, code);
    return (struct taken){0};
}

/* Browsers prove who they are before they upgrade. Devices do it at the Connect, where there is
 * another way for them. */
static bool needs_web_login(const struct io *io, const struct conn *conn,
                            const struct http_head *head)
{
    const struct config_instance *instance = &io->config->instances[conn->instance_index];

    return instance->needs_login && (head->wants_ws || instance->auth_count <= 1);
}

/* A request on a broker's path. */
static struct taken on_broker_path(struct io *io, struct conn *conn, const struct http_head *head,
                                   struct span whole)
{
    const char *origins = io->config->instances[conn->instance_index].origins;
    int code = head->wants_ws ? judge_upgrade(io, origins, head) : 0;

    if (!head->is_get)
        code = 405;
    else if (!head->wants_ws && !head->is_smq)
        code = 404;
    if (code != 0)
        return refuse(io, conn, code);
    if (!needs_web_login(io, conn, head)) {
        if (!may_shake_hands(io, conn))
            return (struct taken){0};
        if (head->wants_ws)
            greet_ws(io, conn, head);
        else
            greet_raw(io, conn, head);
        detour_keep_head(io, conn, span_of(whole.data, head->head_bytes));
        return (struct taken){.used_bytes = head->head_bytes};
    }
    if (!head->wants_ws || !has_web(io)) /* devices have no login */
        return refuse(io, conn, 404);
    ask(io, conn, span_of(whole.data, head->head_bytes), ENVELOPE_UPGRADE);
    /* The head is needed once more: it stays in front of what comes meanwhile. */
    return (struct taken){.keeps = conn->state == CONN_ASKING,
                          .request_bytes = (uint32_t)head->head_bytes};
}

/* For tests of the WebSocket layer: see web.echo in server/config_keys.c. */
static bool wants_echo(const struct io *io, const struct http_head *head)
{
    const char *echo = io->config->web.echo;

    return echo && echo[0] != '\0' && head->wants_ws && strcmp(head->path, echo) == 0;
}

static struct taken on_echo_path(struct io *io, struct conn *conn, const struct http_head *head)
{
    int code = judge_upgrade(io, NULL, head);

    if (code != 0)
        return refuse(io, conn, code);
    if (!may_shake_hands(io, conn))
        return (struct taken){0};
    become_ws(io, conn, head);
    conn->flags |= CONN_ECHO;
    if (conn->state == CONN_HTTP)
        conn_set_state(conn, CONN_GREETED);
    return (struct taken){.used_bytes = head->head_bytes};
}

/* A request for something else than a broker. */
static struct taken on_page(struct io *io, struct conn *conn, const struct http_head *head,
                            struct span whole)
{
    if (!has_web(io))
        return refuse(io, conn, head->is_get ? 404 : 405);
    if (head->has_coding)
        return refuse(io, conn, 411);
    if (head->body_bytes > LIMIT_HTTP_BODY_BYTES)
        return refuse(io, conn, 413);
    size_t request_bytes = head->head_bytes + (size_t)head->body_bytes;

    if (whole.bytes_count < request_bytes) {
        if (head->expects_100 && whole.bytes_count == head->head_bytes)
            conn_send_http(io, conn, span_of(go_on, strlen(go_on)));
        return (struct taken){.keeps = true, .request_bytes = (uint32_t)request_bytes};
    }
    ask(io, conn, span_of(whole.data, request_bytes), head->keeps_alive ? ENVELOPE_KEEP : 0);
    return (struct taken){.used_bytes = request_bytes};
}

/* What a head, whole or not, leads to. */
static struct taken judge_head(struct io *io, struct conn *conn, enum http_head_result result,
                               const struct http_head *head, struct span whole)
{
    switch (result) {
    case HTTP_HEAD_DONE:
        if (find_instance(io->config, head->path, &conn->instance_index))
            return on_broker_path(io, conn, head, whole);
        if (wants_echo(io, head))
            return on_echo_path(io, conn, head);
        return on_page(io, conn, head, whole);
    case HTTP_HEAD_NEED_MORE:
        return (struct taken){.keeps = true};
    case HTTP_HEAD_BAD:
        return refuse(io, conn, 400);
    case HTTP_HEAD_TOO_LONG:
        return refuse(io, conn, 431);
    case HTTP_HEAD_PATH_TOO_LONG:
        return refuse(io, conn, 414);
    }
    must_never("an unknown result of an HTTP head");
}

/* All of @bytes is a request, or the beginning of one. */
static void keep_first(struct io *io, struct conn *conn, struct span bytes, uint32_t request_bytes)
{
    struct conn_input *input = input_of(io, conn);

    if (!input || !input_append(io, conn, &input->frame, bytes))
        conn_close(io, conn, CLOSE_MEMORY);
    else
        input->request_bytes = request_bytes;
}

struct span session_http(struct io *io, struct conn *conn, struct span bytes)
{
    struct input_part *part = conn->input ? &conn->input->frame : NULL;
    uint32_t held_bytes = part ? part->used_bytes : 0;
    struct span whole = bytes;
    struct http_head head;
    struct taken taken;

    must(conn->state == CONN_HTTP);
    if (held_bytes > 0) { /* came in pieces: join them, up to what a request may be */
        size_t step = min_size(bytes.bytes_count, REQUEST_BYTES_MAX - held_bytes);

        if (!input_append(io, conn, part, span_of(bytes.data, step))) {
            conn_close(io, conn, CLOSE_MEMORY);
            return (struct span){0};
        }
        if (part->used_bytes < conn->input->request_bytes)
            return (struct span){0};
        whole = span_of(part->data, part->used_bytes);
    }
    size_t seen_bytes = held_bytes > 0 && conn->input->request_bytes == 0 ? held_bytes : 0;

    taken = judge_head(io, conn, http_head_parse(whole, seen_bytes, &head), &head, whole);
    if (taken.keeps && held_bytes == 0) {
        keep_first(io, conn, bytes, taken.request_bytes);
        return (struct span){0};
    }
    if (taken.keeps && whole.bytes_count - held_bytes == bytes.bytes_count) {
        conn->input->request_bytes = taken.request_bytes;
        return (struct span){0};
    }
    if (taken.keeps) { /* an upgrade is judged, and this is more than anybody sends meanwhile */
        conn_close(io, conn, CLOSE_PROTOCOL);
        return (struct span){0};
    }
    if (held_bytes > 0) {
        conn->input->request_bytes = 0;
        input_clear(io, conn, part);
    }
    /* A request is used whole or not at all, and it ends within the new bytes. */
    return taken.used_bytes > held_bytes ? span_skip(bytes, taken.used_bytes - held_bytes)
                                         : (struct span){0};
}

/* -- the answer -- */

/* The web actor let the upgrade happen: the head that it judged is still in front. */
static void upgrade(struct io *io, struct conn *conn)
{
    struct http_head head;
    struct span kept = span_of(conn->input->frame.data, conn->input->request_bytes);

    must(http_head_parse(kept, 0, &head) == HTTP_HEAD_DONE);
    if (!may_shake_hands(io, conn))
        return;
    greet_ws(io, conn, &head);
    detour_keep_head(io, conn, kept);
}

void session_http_answer(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);

    if (!conn)
        return;
    must(conn->state == CONN_ASKING);
    switch ((enum http_answer)envelope->status) {
    case HTTP_ANSWER_UPGRADE:
        if (!envelope->msg || session_set_web_login(io, conn, msg_span(envelope->msg)))
            upgrade(io, conn);
        break;
    case HTTP_ANSWER_KEEP:
        conn_send_http_msg(io, conn, envelope->msg);
        if (conn->flags & CONN_EOF)
            conn_leave(io, conn, CLOSE_HTTP, span_of(NULL, 0));
        if (conn->state != CONN_ASKING)
            return;
        conn->flags |= CONN_ANSWERED;
        conn->wait_tick = io->now_tick;
        conn_set_state(conn, CONN_HTTP);
        break;
    case HTTP_ANSWER_CLOSE:
        conn_send_http_msg(io, conn, envelope->msg);
        conn_leave(io, conn, CLOSE_HTTP, span_of(NULL, 0));
        return;
    }
    if (conn->state < CONN_LEAVING) {
        session_retime(io, conn);
        session_resume(io, conn);
    }
}
