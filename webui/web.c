/* webui/web.c — see webui/web.h. Thread: web (but for what main calls at start and end). */
#include "webui/web.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/limits.h"
#include "webui/web_parts.h"

#define SECOND_MS 1000

const struct stat_desc web_stat_descs[WEB_STAT_COUNT] = {
#define X(name, text, unit, help) [WEB_STAT_##name] = {text, unit, help},
    WEB_STATS(X)
#undef X
};

/* -- answers -- */

static enum web_stat stat_of(int code)
{
    if (code < 300)
        return WEB_STAT_OK;
    if (code < 400)
        return WEB_STAT_NOT_MODIFIED;
    return code < 500 ? WEB_STAT_REFUSED : WEB_STAT_FAILED;
}

static void push_answer(struct web *web, struct conn_handle conn, enum http_answer how,
                        struct msg *msg)
{
    port_push(web->port, conn.host_index,
              (struct envelope){
                  .kind = ENVELOPE_HTTP_ANSWER, .status = (uint8_t)how, .conn = conn, .msg = msg});
}

void web_answer(struct web *web, const struct asker *asker, int code, struct msg *msg)
{
    web_count(web, stat_of(msg ? code : 503), 1);
    if (!msg)
        push_answer(web, asker->conn, HTTP_ANSWER_CLOSE, msg_ref(web->no_memory));
    else
        push_answer(web, asker->conn, asker->request.keeps ? HTTP_ANSWER_KEEP : HTTP_ANSWER_CLOSE,
                    msg);
}

void web_reply(struct web *web, const struct asker *asker, const struct reply *reply)
{
    web_answer(web, asker, reply->code,
               reply_message(web->mem, reply, &asker->request, web->now_s));
}

void web_reply_error(struct web *web, const struct asker *asker, int code, const char *text)
{
    struct reply reply = reply_error(code, text);

    web_reply(web, asker, &reply);
}

void web_reply_body(struct web *web, const struct asker *asker, const char *type, struct body *body)
{
    struct reply reply = {.code = 200, .type = type};

    web_answer(web, asker, reply.code, reply_finish(body, &reply, &asker->request, web->now_s));
}

/* -- requests -- */

static bool is_machines_listener(const struct config *config, uint32_t listener_index)
{
    const char *url = config->web.machines_url;

    if (!url || url[0] == '\0')
        return true;
    must(listener_index < config->listener_count);
    return strcmp(url, config->listeners[listener_index].url) == 0;
}

static bool is_machine_allowed(const struct web *web, const struct http_request *request)
{
    if (!is_machines_listener(web->config, request->listener_index))
        return false;
    switch ((enum config_machines)web->config->web.machines) {
    case CONFIG_MACHINES_OFF:
        return false;
    case CONFIG_MACHINES_LOOPBACK:
        return http_is_loopback(request->peer_ip);
    case CONFIG_MACHINES_ALL:
        return true;
    }
    must_never("web.machines has another word");
}

static void say_health(struct web *web, const struct asker *asker, bool is_good, const char *good,
                       const char *bad)
{
    const char *text = is_good ? good : bad;
    struct reply reply = {.code = is_good ? 200 : 503,
                          .type = "text/plain; charset=utf-8",
                          .body = span_of(text, strlen(text))};

    web_reply(web, asker, &reply);
}

static void on_machine(struct web *web, const struct asker *asker, enum route_kind kind)
{
    struct body body = body_of(web->mem);

    if (!is_machine_allowed(web, &asker->request)) {
        web_reply_error(web, asker, 404,
                        "not for this address, or not on this one; see web.machines");
    } else if (kind == ROUTE_HEALTH) {
        say_health(web, asker, true, "alive\n", "");
    } else if (kind == ROUTE_READY) {
        say_health(web, asker, !mem_is_tight(web->mem->budget), "ready\n",
                   "memory is nearly used up: new clients are refused\n");
    } else {
        web->source->put_metrics(web->source->context, &body);
        web_reply_body(web, asker, "text/plain; version=0.0.4; charset=utf-8", &body);
    }
}

static void on_page(struct web *web, const struct asker *asker, struct route route)
{
    struct msg *msg = NULL;
    int code = route.kind == ROUTE_ASSET
                   ? pages_asset(&web->pages, route.rest, &asker->request, web->now_s, &msg)
                   : pages_file(&web->pages, route.rest, &asker->request, web->now_s, &msg);

    web_answer(web, asker, code, msg);
}

static void not_allowed(struct web *web, const struct asker *asker)
{
    struct reply reply = reply_error(405, "only GET and HEAD here");

    reply_header(&reply, "Allow: GET, HEAD");
    web_reply(web, asker, &reply);
}

static void on_redirect(struct web *web, const struct asker *asker)
{
    struct reply reply;

    if (!reply_redirect(&reply, asker->request.path))
        reply = reply_error(404, "there is no such page");
    web_reply(web, asker, &reply);
}

static void route_request(struct web *web, const struct asker *asker)
{
    struct route route = route_of(web->prefix, web->root_fd >= 0, asker->request.path);
    bool is_get = asker->request.method == WEB_GET || asker->request.method == WEB_HEAD;

    if (route.kind == ROUTE_API) {
        web_api(web, asker, route.rest);
        return;
    }
    if (!is_get) {
        not_allowed(web, asker);
        return;
    }
    switch (route.kind) {
    case ROUTE_METRICS:
    case ROUTE_HEALTH:
    case ROUTE_READY:
        on_machine(web, asker, route.kind);
        return;
    case ROUTE_ASSET:
    case ROUTE_FILE:
        on_page(web, asker, route);
        return;
    case ROUTE_REDIRECT:
        on_redirect(web, asker);
        return;
    case ROUTE_NONE:
    case ROUTE_API:
        web_reply_error(web, asker, 404, "there is no such page");
        return;
    }
}

/* May this WebSocket be opened? Only by a page of ours, of somebody who has logged in: a browser
 * sends the cookie with whatever page asks, so the page's origin must be right, too. */
static void on_upgrade(struct web *web, const struct asker *asker)
{
    struct session *session = web_session(web, asker);

    if (!http_is_same_origin(&asker->request)) {
        web_reply_error(web, asker, 403, "only pages of this server may connect here");
    } else if (!session) {
        web_reply_error(web, asker, 401, "log in");
    } else {
        struct msg *user = msg_copy(web->mem, span_of(session->user, strlen(session->user)));

        web_count(web, user ? WEB_STAT_OK : stat_of(503), 1);
        if (user) {
            push_answer(web, asker->conn, HTTP_ANSWER_UPGRADE, user);
            sessions_add_line(&web->sessions, session, asker->conn);
        } else {
            push_answer(web, asker->conn, HTTP_ANSWER_CLOSE, msg_ref(web->no_memory));
        }
    }
}

static void on_request(struct web *web, const struct envelope *envelope)
{
    struct asker asker = {.conn = envelope->conn};
    struct span bytes = msg_span(envelope->msg);

    must(bytes.bytes_count >= HTTP_REQUEST_PREFIX_BYTES);
    web_count(web, WEB_STAT_REQUESTS, 1);
    memcpy(asker.request.peer_ip, bytes.data, sizeof(asker.request.peer_ip));
    asker.request.listener_index = (uint16_t)(bytes.data[16] << 8 | bytes.data[17]);
    asker.request.is_secure = envelope->flags & ENVELOPE_SECURE;
    int code = http_parse(span_skip(bytes, HTTP_REQUEST_PREFIX_BYTES), &asker.request);

    /* After a bad request nobody knows where the next one begins. */
    asker.request.keeps = code != 400 && envelope->flags & ENVELOPE_KEEP;
    if (code != 0)
        web_reply_error(web, &asker, code,
                        code == 404 ? "there is no such page" : "this request is not good HTTP");
    else if (envelope->flags & ENVELOPE_UPGRADE)
        on_upgrade(web, &asker);
    else
        route_request(web, &asker);
}

/* -- mail -- */

static void dispatch(struct web *web, const struct envelope *envelope)
{
    switch ((enum envelope_kind)envelope->kind) {
    case ENVELOPE_HTTP_REQUEST:
        on_request(web, envelope);
        return;
    case ENVELOPE_ROWS:
    case ENVELOPE_ROWS_END:
        web_list_envelope(web, envelope);
        return;
    case ENVELOPE_ADDRESS:
        web_bans_envelope(web, envelope);
        return;
    case ENVELOPE_RELOAD:
        must(envelope->msg && envelope->msg->bytes_count == sizeof(struct config));
        msg_unref(web->mem, web->config_msg);
        web->config_msg = msg_ref(envelope->msg);
        web->config = (const struct config *)(const void *)web->config_msg->bytes;
        return;
    case ENVELOPE_STOP:
        web->stopped = true;
        publisher_stop(&web->publisher);
        return;
    case ENVELOPE_CONNECTED:
    case ENVELOPE_KICK:
    case ENVELOPE_SUBSCRIBED:
    case ENVELOPE_UNSUBSCRIBED:
    case ENVELOPE_CREATED:
    case ENVELOPE_SUBCREATED:
    case ENVELOPE_DELIVER:
    case ENVELOPE_DIRECT:
    case ENVELOPE_CHANGE:
    case ENVELOPE_ELSEWHERE:
    case ENVELOPE_JOINED:
    case ENVELOPE_LEFT:
    case ENVELOPE_TAPPED:
    case ENVELOPE_EVENT:
    case ENVELOPE_TLS_FACTS:
        publisher_envelope(&web->publisher, envelope);
        return;
    case ENVELOPE_CONNECT:
    case ENVELOPE_GONE:
    case ENVELOPE_SUBSCRIBE:
    case ENVELOPE_CREATE:
    case ENVELOPE_CREATESUB:
    case ENVELOPE_UNSUBSCRIBE:
    case ENVELOPE_RELEASE:
    case ENVELOPE_LEAVE:
    case ENVELOPE_PUBLISH:
    case ENVELOPE_OBSERVE:
    case ENVELOPE_UNOBSERVE:
    case ENVELOPE_LOOKUP:
    case ENVELOPE_FOUND:
    case ENVELOPE_HTTP_ANSWER:
    case ENVELOPE_END:
    case ENVELOPE_RECHECK:
    case ENVELOPE_AUTH_VERDICT:
    case ENVELOPE_REPORT:
    case ENVELOPE_TAP:
    case ENVELOPE_SIGNED:
    case ENVELOPE_FACTS:
    case ENVELOPE_PEER_JOINED:
    case ENVELOPE_PEER_LEFT:
    case ENVELOPE_ROOM:
    case ENVELOPE_DROPPED:
    case ENVELOPE_STOPPED:
    case ENVELOPE_WHERE:
    case ENVELOPE_EXPEL:
    case ENVELOPE_LIST:
    case ENVELOPE_KIND_COUNT:
        break;
    }
    must_never("an envelope that is not for the web actor crossed the lane");
}

static void handle(struct web *web, const struct envelope *envelope)
{
    dispatch(web, envelope);
    msg_unref(web->mem, envelope->msg);
}

/* Shards tell observers before they answer a Subscribe (§4.12): what a page was told before it asks
 * us something is in their lanes by now, and comes first. So a list of who is there and the news of
 * who comes leave nobody out between them. */
static uint32_t drain_shards(struct web *web)
{
    const struct mesh *mesh = web->port->mesh;
    uint32_t handled_count = 0;
    struct envelope envelope;

    for (uint32_t shard = 0; shard < mesh->shard_count; shard++) {
        for (uint32_t i = 0; i < LIMIT_LANE_BATCH; i++) {
            if (!port_pop(web->port, mesh_shard_index(mesh, shard), &envelope))
                break;
            handle(web, &envelope);
            handled_count++;
        }
    }
    return handled_count;
}

static uint32_t drain_lanes(struct web *web)
{
    uint32_t handled_count = 0;
    struct envelope envelope;

    for (uint32_t from = 0; from < web->port->mesh->actor_count; from++) {
        for (uint32_t i = 0; i < LIMIT_LANE_BATCH; i++) {
            if (!port_pop(web->port, from, &envelope))
                break;
            if (envelope.kind == ENVELOPE_HTTP_REQUEST)
                handled_count += drain_shards(web);
            handle(web, &envelope);
            handled_count++;
        }
    }
    web_count(web, WEB_STAT_ENVELOPES, handled_count);
    return handled_count;
}

/* Once a second: who is still logged in; everybody's counters, and tell who wants to know. */
static void do_each_second(struct web *web)
{
    if (web->now_ms < web->next_second_ms)
        return;
    /* By the second's end, not by this turn's: so it does not creep. After a long sleep, begin
     * anew. */
    web->next_second_ms += SECOND_MS;
    if (web->next_second_ms <= web->now_ms)
        web->next_second_ms = web->now_ms + SECOND_MS;
    web_sessions_tick(web);
    web->source->sample(web->source->context, stats_next(web->figures));
    stats_taken(web->figures);
    publisher_tick(&web->publisher, web->now_ms);
}

uint32_t web_turn(struct web *web, int64_t now_ms)
{
    struct timespec now;

    if (!port_is_clear(web->port) && !port_flush(web->port))
        return 0; /* no new work until the answers to the old have left */
    clock_gettime(CLOCK_REALTIME, &now);
    web->now_ms = now_ms;
    web->now_s = now.tv_sec;
    web_count(web, WEB_STAT_TURNS, 1);
    uint32_t handled_count = drain_lanes(web) + web_login_verdicts(web);

    if (!web->stopped)
        do_each_second(web);

    counter_set(&web->stats[WEB_STAT_SESSIONS], sessions_count(&web->sessions, now_ms));
    if (handled_count > 0 && mem_is_tight(web->mem->budget))
        pages_forget(&web->pages);
    (void)port_flush(web->port);
    return handled_count;
}

/* -- the thread -- */

static int64_t boot_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now); /* sessions end while a laptop sleeps, too */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until somebody pushes to us, a password was judged or the second is over; or, while a receiver's
 * lane is full, for a moment. */
static void park(struct web *web)
{
    struct parker *parker = web->port->mesh->parkers[web->port->index];
    struct pollfd wait = {.fd = parker->wake_fd, .events = POLLIN};
    uint64_t unused;

    parker_prepare(parker);
    if (port_has_mail(web->port) || logins_next(&web->logins)) {
        parker_cancel(parker);
        return;
    }
    web_count(web, WEB_STAT_SLEEPS, 1);
    int64_t wait_ms = web->next_second_ms - boot_ms();
    int ready = poll(&wait, 1, !port_is_clear(web->port) ? 1 : wait_ms > 0 ? (int)wait_ms : 0);
    must(ready >= 0 || errno == EINTR);
    if (ready > 0)
        (void)!read(parker->wake_fd, &unused, sizeof(unused)); /* EAGAIN: it was for nothing */
    parker_cancel(parker);
}

void *web_main(void *argument)
{
    struct web *web = argument;

    log_attach(web->log);
    while (!web->stopped)
        if (web_turn(web, boot_ms()) == 0)
            park(web);
    port_push(web->port, mesh_control_index(web->port->mesh),
              (struct envelope){.kind = ENVELOPE_STOPPED});
    (void)port_flush(web->port); /* whatever else is left, nobody waits for */
    return NULL;
}

const _Atomic uint64_t *web_stats(const struct web *web)
{
    return web->stats;
}

/* -- start and end -- */

static bool read_token(struct web *web, const char *path, char *error)
{
    FILE *file = path[0] != '\0' ? fopen(path, "re") : NULL;

    if (path[0] == '\0')
        return true;
    if (!file) {
        snprintf(error, WEB_ERROR_BYTES, "web.token_file: %.300s: %s", path, strerror(errno));
        return false;
    }
    if (!fgets(web->token, sizeof(web->token), file))
        web->token[0] = '\0';
    fclose(file);
    web->token[strcspn(web->token, "\r\n")] = '\0';
    size_t length = strlen(web->token);

    if (length >= WEB_TOKEN_BYTES_MIN && length < WEB_TOKEN_BYTES_MAX)
        return true;
    snprintf(error, WEB_ERROR_BYTES,
             "web.token_file: %.300s: its first line must be a secret of %u to %u characters", path,
             WEB_TOKEN_BYTES_MIN, WEB_TOKEN_BYTES_MAX - 1);
    return false;
}

static bool open_root(struct web *web, const char *path, char *error)
{
    if (path[0] == '\0')
        return true;
    web->root_fd = files_open_root(path);
    if (web->root_fd >= 0)
        return true;
    snprintf(error, WEB_ERROR_BYTES, "web.root: %.300s: %s", path, strerror(errno));
    return false;
}

/* A broker goes on without log-ins; somebody who needs them finds the reason in the log. */
static void open_accounts(struct web *web, char *first_password)
{
    const struct config *config = web->config;
    char error[AUTH_ERROR_BYTES];
    char path[ACCOUNTS_PATH_BYTES];
    bool is_default = config->web.users[0] == '\0';

    snprintf(path, sizeof(path), "%s%s", is_default ? config->data_dir : config->web.users,
             is_default ? "/web-users" : "");
    if (!accounts_open(&web->accounts, path, first_password, error))
        log_event(LOG_LEVEL_ERROR, "web.no_logins", "nobody can log in: %s", error);
}

static struct msg *make_no_memory(struct mem *mem)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Retry-After: 5\r\nConnection: close\r\n\r\n";

    return msg_copy(mem, span_of(text, sizeof(text) - 1));
}

/* The broker's own instance. Others may be behind the log-in, too. */
static uint16_t admin_instance(const struct config *config)
{
    for (uint32_t i = 0; i < config->instance_count; i++)
        if (config_is_admin(config, &config->instances[i]))
            return (uint16_t)i;
    must_never("there is a web UI, but no instance for it");
}

static void make_publisher(struct web *web, const struct web_options *options)
{
    struct publisher_options publisher = {.config = options->config,
                                          .port = web->port,
                                          .mem = web->mem,
                                          .name_key = options->name_key,
                                          .instance_index = admin_instance(options->config),
                                          .stats = web->figures};

    publisher_init(&web->publisher, &publisher);
}

struct web *web_create(const struct web_options *options, char *first_password, char *error)
{
    size_t bytes_count = (sizeof(struct web) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct web *web = mem_alloc_lines(options->mem, MEM_WEB, bytes_count);

    memset(web, 0, bytes_count);
    web->config = options->config;
    web->port = &options->mesh->ports[options->mesh_index];
    web->mem = options->mem;
    web->log = options->log;
    web->source = options->source;
    web->guard = options->guard;
    web->root_fd = -1;
    web->list_body = body_of(web->mem);
    web->sessions.timeout_ms = options->config->web.session_ms;
    web->sessions.life_ms =
        web->sessions.timeout_ms > SESSION_LIFE_MS ? web->sessions.timeout_ms : SESSION_LIFE_MS;
    web->sessions.end_line = web_end_line;
    web->sessions.context = web;
    route_prefix(options->config->web.ui, web->prefix);
    web->no_memory = make_no_memory(web->mem);
    web->figures = mem_alloc_always(web->mem, MEM_WEB, sizeof(*web->figures));
    memset(web->figures, 0, sizeof(*web->figures));
    make_publisher(web, options);
    if (!web->no_memory || !read_token(web, options->config->web.token_file, error) ||
        !open_root(web, options->config->web.root, error)) {
        if (!web->no_memory)
            snprintf(error, WEB_ERROR_BYTES, "limits.memory is too small to start with");
        return NULL; /* the process exits */
    }
    pages_init(&web->pages, web->mem, &embedded_assets, web->root_fd);
    open_accounts(web, first_password);
    if (logins_start(&web->logins, options->mesh->parkers[options->mesh_index]) != STATUS_OK) {
        snprintf(error, WEB_ERROR_BYTES, "cannot start a thread for log-ins: %s", strerror(errno));
        return NULL;
    }
    return web;
}

void web_destroy(struct web *web)
{
    size_t bytes_count = (sizeof(struct web) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;

    logins_stop(&web->logins);
    accounts_close(&web->accounts);
    web_list_deinit(web);
    pages_deinit(&web->pages);
    if (web->root_fd >= 0)
        close(web->root_fd);
    msg_unref(web->mem, web->no_memory);
    msg_unref(web->mem, web->config_msg);
    publisher_deinit(&web->publisher);
    mem_free(web->mem, MEM_WEB, web->figures, sizeof(*web->figures));
    explicit_bzero(web->token, sizeof(web->token));
    mem_free(web->mem, MEM_WEB, web, bytes_count);
}
