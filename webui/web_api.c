/*
 * webui/web_api.c — the API below the UI's prefix: what may be asked, and by whom.
 *
 * Reading takes a session or the token; doing takes a session, and a request that only a page of
 * ours can send: JSON with the header X-Smqd, which neither a form nor a link has, and which a
 * foreign page may not add without our leave. Each thing done leaves a line in the log.
 *
 * Thread: the web actor's.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/guard.h"
#include "core/limits.h"
#include "core/log.h"
#include "webui/web_parts.h"

#define NO_SECONDS "seconds is missing: a whole number, up to a year"

/* Who may ask. */
enum right {
    RIGHT_ALL,   /* everybody: it is how a right is got or given up */
    RIGHT_USER,  /* who has logged in */
    RIGHT_TOKEN, /* … and programs with the token */
};

struct call {
    const char *name; /* with '*' for one segment, which is the handler's argument */
    enum web_method method;
    enum right right;
    void (*run)(struct web *web, const struct asker *asker, struct span argument);
};

/* "IO.SLOT.GENERATION", as a peer's row says; false: no such name can be. */
static bool read_handle(const struct web *web, struct span text, struct conn_handle *handle)
{
    uint64_t parts[3];
    size_t at = 0;

    for (int i = 0; i < 3; i++) {
        size_t digits = 0;

        parts[i] = 0;
        for (; at < text.bytes_count && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
            parts[i] = parts[i] * 10 + (uint64_t)(text.data[at] - '0');
            if (++digits > 9)
                return false;
        }
        bool is_last = i == 2;

        if (digits == 0 || (is_last ? at != text.bytes_count : at == text.bytes_count))
            return false;
        if (!is_last && text.data[at++] != '.')
            return false;
    }
    if (parts[0] >= web->port->mesh->io_count || parts[1] >= LIMIT_CONNS_PER_IO ||
        parts[2] > UINT16_MAX)
        return false;
    *handle = (struct conn_handle){.host_index = (uint16_t)parts[0],
                                   .slot_index = (uint32_t)parts[1],
                                   .generation = (uint16_t)parts[2]};
    return true;
}

/* -- reading -- */

static void get_session(struct web *web, const struct asker *asker, struct span argument)
{
    (void)argument;
    web_session_facts(web, asker, web_session(web, asker)->user, NULL);
}

static void get_stats(struct web *web, const struct asker *asker, struct span argument)
{
    struct body body = body_of(web->mem);

    (void)argument;
    stats_put(web->figures, publisher_tls(&web->publisher), &body);
    web_reply_body(web, asker, "application/json", &body);
}

static void get_history(struct web *web, const struct asker *asker, struct span argument)
{
    struct body body = body_of(web->mem);

    (void)argument;
    history_put(&web->figures->history, &body);
    web_reply_body(web, asker, "application/json", &body);
}

static void get_config(struct web *web, const struct asker *asker, struct span argument)
{
    struct body text = body_of(web->mem);
    struct body body = body_of(web->mem);

    (void)argument;
    web->source->put_config(web->source->context, web->config, &text);
    if (text.failed) {
        web_answer(web, asker, 503, NULL);
        return;
    }
    body_put_text(&body, "{\"text\":");
    body_put_json(&body, body_span(&text));
    body_put_text(&body, "}\n");
    body_drop(&text);
    web_reply_body(web, asker, "application/json", &body);
}

/* Handles out of "0.1.2,0.3.4"; a message. NULL: not such a list, too long, or no memory. */
static struct msg *read_names(const struct web *web, struct span ids)
{
    struct conn_handle handles[LIMIT_LIST_NAMES];
    size_t count = 0;

    while (ids.bytes_count > 0) {
        const uint8_t *comma = memchr(ids.data, ',', ids.bytes_count);
        size_t length = comma ? (size_t)(comma - ids.data) : ids.bytes_count;

        if (count == LIMIT_LIST_NAMES ||
            !read_handle(web, span_of(ids.data, length), &handles[count++]))
            return NULL;
        ids = span_skip(ids, comma ? length + 1 : length);
    }
    return msg_copy(web->mem, span_of(handles, count * sizeof(*handles)));
}

static void get_peers(struct web *web, const struct asker *asker, struct span argument)
{
    struct span ids = http_query_value(asker->request.query, "ids");
    struct msg *names;

    (void)argument;
    if (!ids.data) {
        web_list(web, asker, LIST_PEERS, NULL);
        return;
    }
    names = read_names(web, ids);
    if (names)
        web_list(web, asker, LIST_PEERS_OF, names);
    else
        web_reply_error(web, asker, 400, "ids is not a list of up to 200 ids");
}

static void get_topics(struct web *web, const struct asker *asker, struct span argument)
{
    (void)argument;
    web_list(web, asker, LIST_TOPICS, NULL);
}

/* -- doing -- */

/* A line for everything that was done, by whom, from where. */
static void audit(struct web *web, const struct asker *asker, const char *action,
                  struct span target, const char *detail)
{
    char ip[WEB_IP_BYTES];

    web_ip_text(asker->request.peer_ip, ip);
    web_count(web, WEB_STAT_ACTIONS, 1);
    log_event(LOG_LEVEL_INFO, "web.action", "user=%s address=%s action=%s target=%.*s detail=%.80s",
              web_session(web, asker)->user, ip, action, (int)target.bytes_count,
              (const char *)target.data, detail);
}

static void done(struct web *web, const struct asker *asker)
{
    struct reply reply = {.code = 200, .type = "application/json", .body = span_of("{}\n", 3)};

    web_reply(web, asker, &reply);
}

static void post_disconnect(struct web *web, const struct asker *asker, struct span argument)
{
    json_t *json = json_loadb((const char *)asker->request.body.data,
                              asker->request.body.bytes_count, JSON_REJECT_DUPLICATES, NULL);
    const char *reason = json_string_value(json_object_get(json, "reason"));
    struct conn_handle handle;

    if (!read_handle(web, argument, &handle)) {
        web_reply_error(web, asker, 404, "there is no such device");
    } else if (!reason || strlen(reason) > LIMIT_REASON_BYTES) {
        web_reply_error(web, asker, 400, "a reason is missing, or it is too long");
    } else {
        struct msg *msg = msg_copy(web->mem, span_of(reason, strlen(reason)));

        audit(web, asker, "disconnect", argument, reason);
        port_push(web->port, handle.host_index,
                  (struct envelope){.kind = ENVELOPE_END, .conn = handle, .msg = msg});
        done(web, asker); /* who has gone meanwhile is gone, too */
    }
    json_decref(json);
}

/* A whole number of seconds, from one to a year; 0: it is not. */
static uint32_t read_seconds(const json_t *json)
{
    const json_t *seconds = json_object_get(json, "seconds");
    json_int_t value = json_is_integer(seconds) ? json_integer_value(seconds) : 0;

    return value >= 1 && value <= GUARD_BAN_S_MAX ? (uint32_t)value : 0;
}

static void post_ban_peer(struct web *web, const struct asker *asker, struct span argument)
{
    json_t *json = json_loadb((const char *)asker->request.body.data,
                              asker->request.body.bytes_count, JSON_REJECT_DUPLICATES, NULL);
    uint32_t seconds = read_seconds(json);
    struct conn_handle handle;
    char detail[16];

    if (!read_handle(web, argument, &handle)) {
        web_reply_error(web, asker, 404, "there is no such device");
    } else if (seconds == 0) {
        web_reply_error(web, asker, 400, NO_SECONDS);
    } else {
        snprintf(detail, sizeof(detail), "%u", seconds);
        audit(web, asker, "ban", argument, detail);
        web_ban_peer(web, asker, handle, seconds);
    }
    json_decref(json);
}

/* bans/add, bans/lift: {"address":"…","seconds":…} */
static void change_ban(struct web *web, const struct asker *asker, bool is_lifted)
{
    json_t *json = json_loadb((const char *)asker->request.body.data,
                              asker->request.body.bytes_count, JSON_REJECT_DUPLICATES, NULL);
    const char *address = json_string_value(json_object_get(json, "address"));
    uint32_t seconds = read_seconds(json);
    uint8_t ip[ADDRESS_BYTES];
    char detail[16];

    if (!address || !address_parse(address, ip)) {
        web_reply_error(web, asker, 400, "address is missing: an IPv4 or IPv6 address");
    } else if (is_lifted) {
        audit(web, asker, "lift", span_of(address, strlen(address)), "");
        web_lift(web, asker, ip);
    } else if (seconds == 0) {
        web_reply_error(web, asker, 400, NO_SECONDS);
    } else {
        snprintf(detail, sizeof(detail), "%u", seconds);
        audit(web, asker, "ban", span_of(address, strlen(address)), detail);
        web_ban(web, asker, ip, seconds);
    }
    json_decref(json);
}

static void get_bans(struct web *web, const struct asker *asker, struct span argument)
{
    (void)argument;
    web_bans_list(web, asker);
}

static void post_bans_add(struct web *web, const struct asker *asker, struct span argument)
{
    (void)argument;
    change_ban(web, asker, false);
}

static void post_bans_lift(struct web *web, const struct asker *asker, struct span argument)
{
    (void)argument;
    change_ban(web, asker, true);
}

static void post_tap(struct web *web, const struct asker *asker, struct span argument)
{
    json_t *json = json_loadb((const char *)asker->request.body.data,
                              asker->request.body.bytes_count, JSON_REJECT_DUPLICATES, NULL);
    const json_t *on = json_object_get(json, "on");
    struct conn_handle handle;

    if (!read_handle(web, argument, &handle) || handle.generation == 0) {
        web_reply_error(web, asker, 404, "there is no such device");
    } else if (!json_is_boolean(on)) {
        web_reply_error(web, asker, 400, "on is missing: true or false");
    } else if (!publisher_tap(&web->publisher, handle, json_is_true(on))) {
        web_reply_error(web, asker, 503, "too many devices are being listened to");
    } else {
        audit(web, asker, "tap", argument, json_is_true(on) ? "on" : "off");
        done(web, asker);
    }
    json_decref(json);
}

static void post_login(struct web *web, const struct asker *asker, struct span argument)
{
    (void)argument;
    web_login(web, asker);
}

static void post_logout(struct web *web, const struct asker *asker, struct span argument)
{
    (void)argument;
    web_logout(web, asker);
}

/* -- who may ask what -- */

static const struct call calls[] = {
    {"session", WEB_GET, RIGHT_USER, get_session},
    {"login", WEB_POST, RIGHT_ALL, post_login},
    {"logout", WEB_POST, RIGHT_ALL, post_logout},
    {"stats", WEB_GET, RIGHT_TOKEN, get_stats},
    {"history", WEB_GET, RIGHT_TOKEN, get_history},
    {"peers", WEB_GET, RIGHT_TOKEN, get_peers},
    {"topics", WEB_GET, RIGHT_TOKEN, get_topics},
    {"config", WEB_GET, RIGHT_USER, get_config},
    {"peers/*/disconnect", WEB_POST, RIGHT_USER, post_disconnect},
    {"peers/*/tap", WEB_POST, RIGHT_USER, post_tap},
    {"peers/*/ban", WEB_POST, RIGHT_USER, post_ban_peer},
    {"bans", WEB_GET, RIGHT_TOKEN, get_bans},
    {"bans/add", WEB_POST, RIGHT_USER, post_bans_add},
    {"bans/lift", WEB_POST, RIGHT_USER, post_bans_lift},
};

static bool matches(const char *pattern, const char *name, struct span *argument)
{
    const char *star = strchr(pattern, '*');
    size_t before = star ? (size_t)(star - pattern) : strlen(pattern);

    *argument = span_of(NULL, 0);
    if (strncmp(name, pattern, before) != 0)
        return false;
    if (!star)
        return name[before] == '\0';
    *argument = span_of(name + before, strcspn(name + before, "/"));
    return argument->bytes_count > 0 &&
           strcmp(name + before + argument->bytes_count, star + 1) == 0;
}

/* In constant time for a given length of what was sent. */
static bool is_token(const struct web *web, struct span sent)
{
    size_t length = strlen(web->token);
    uint8_t difference = 0;

    if (length == 0 || sent.bytes_count != length)
        return false;
    for (size_t i = 0; i < length; i++)
        difference |= (uint8_t)web->token[i] ^ sent.data[i];
    return difference == 0;
}

static bool has_right(struct web *web, const struct asker *asker, enum right right)
{
    if (right == RIGHT_ALL || web_session(web, asker))
        return true;
    return right == RIGHT_TOKEN && is_token(web, asker->request.bearer);
}

/* A POST of another page's making? */
static bool is_foreign(const struct http_request *request)
{
    return !request->is_json || !request->is_marked ||
           (request->origin.bytes_count > 0 && !http_is_same_origin(request));
}

static void refuse_method(struct web *web, const struct asker *asker, enum web_method allowed)
{
    struct reply reply = reply_error(405, "not with this method");

    reply_header(&reply, "Allow: %s", allowed == WEB_GET ? "GET, HEAD" : "POST");
    web_reply(web, asker, &reply);
}

void web_api(struct web *web, const struct asker *asker, const char *name)
{
    enum web_method method = asker->request.method == WEB_HEAD ? WEB_GET : asker->request.method;
    const struct call *call = NULL;
    struct span argument = {0};

    for (size_t i = 0; i < COUNT_OF(calls) && !call; i++)
        if (matches(calls[i].name, name, &argument))
            call = &calls[i];
    if (!call)
        web_reply_error(web, asker, 404, "the API has nothing of this name");
    else if (call->method != method)
        refuse_method(web, asker, call->method);
    else if (method == WEB_POST && is_foreign(&asker->request))
        web_reply_error(web, asker, 403, "only pages of this server may do this");
    else if (!has_right(web, asker, call->right))
        web_reply_error(web, asker, 401, "log in");
    else
        call->run(web, asker, argument);
}
