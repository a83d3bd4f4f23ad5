/*
 * webui/web_login.c — log-in, log-out, and who is logged in.
 *
 * Against guessing: a bound on failures for each address (core/guard.h; counted before the answer,
 * so that many guesses at once do not pass it), a bound on checks at a time, and the same answer
 * after the same time whether a user exists or not (auth/passwd.h). Against foreign pages:
 * web_api() lets only requests of our own pages through, and the cookie is SameSite=Strict.
 *
 * Thread: the web actor's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/guard.h"
#include "core/log.h"
#include "webui/web_parts.h"

#define HOST_NAME_BYTES 256u
#define TOO_MANY        "too many failed log-ins; wait"

void web_ip_text(const uint8_t ip[16], char text[WEB_IP_BYTES])
{
    static const uint8_t v4[12] = {[10] = 0xff, [11] = 0xff};
    bool is_v4 = memcmp(ip, v4, sizeof(v4)) == 0;

    must(inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? ip + 12 : ip, text, WEB_IP_BYTES));
}

struct session *web_session(struct web *web, const struct asker *asker)
{
    return sessions_find(&web->sessions, asker->request.session, web->now_ms);
}

/* -- the user's facts -- */

static void put_instances(const struct web *web, struct body *body)
{
    const struct config *config = web->config;

    const char *separator = "";

    body_put_text(body, ",\"smq\":");
    body_put_json_text(body, config->web.admin_path);
    body_put_text(body, ",\"instances\":[");
    for (uint32_t i = 0; i < config->instance_count; i++) {
        if (config_is_admin(config, &config->instances[i]))
            continue;
        body_put_text(body, separator);
        body_put_json_text(body, config->instances[i].path);
        separator = ",";
    }
    body_put_text(body, "]");
}

void web_session_facts(struct web *web, const struct asker *asker, const char *user,
                       const char *cookie)
{
    struct body body = body_of(web->mem);
    struct reply reply = {.code = 200, .type = "application/json"};
    char host[HOST_NAME_BYTES] = "";

    (void)gethostname(host, sizeof(host) - 1);
    body_put_text(&body, "{\"user\":");
    body_put_json_text(&body, user);
    put_instances(web, &body);
    body_put_text(&body, ",\"version\":");
    body_put_json_text(&body, SMQD_VERSION);
    body_put_text(&body, ",\"host\":");
    body_put_json_text(&body, host);
    body_printf(&body, ",\"session_ms\":%lld}\n", (long long)web->sessions.timeout_ms);
    if (cookie)
        reply_header(&reply, "Set-Cookie: %s=%s; Path=/; HttpOnly; SameSite=Strict%s",
                     HTTP_COOKIE_NAME, cookie, asker->request.is_secure ? "; Secure" : "");
    web_answer(web, asker, reply.code, reply_finish(&body, &reply, &asker->request, web->now_s));
}

/* -- log-in -- */

/* {"user":"…","password":"…"}; the caller frees *json, which owns both. */
static bool read_credentials(struct span text, json_t **json, struct span *user,
                             struct span *password)
{
    json_error_t unused;

    *json = json_loadb((const char *)text.data, text.bytes_count, JSON_REJECT_DUPLICATES, &unused);
    json_t *name = json_object_get(*json, "user");
    json_t *word = json_object_get(*json, "password");

    if (!json_is_string(name) || !json_is_string(word))
        return false;
    *user = span_of(json_string_value(name), json_string_length(name));
    *password = span_of(json_string_value(word), json_string_length(word));
    return true;
}

/* Sessions of those whose line has changed, or gone, end. */
static void refresh_accounts(struct web *web)
{
    struct passwd_set *before = accounts_refresh(&web->accounts);

    if (!before)
        return;
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &web->sessions.at[i];

        if (session->user[0] != '\0' &&
            !passwd_is_same(before, web->accounts.set,
                            span_of(session->user, strlen(session->user))))
            sessions_close(&web->sessions, session);
    }
    passwd_unref(before);
}

void web_sessions_tick(struct web *web)
{
    sessions_close_old(&web->sessions, web->now_ms);
    if (sessions_count(&web->sessions, web->now_ms) > 0)
        refresh_accounts(web);
}

void web_end_line(void *context, struct conn_handle line)
{
    static const char reason[] = "this log-in is over, or has too many pages open";
    struct web *web = context;

    port_push(web->port, line.host_index,
              (struct envelope){.kind = ENVELOPE_END,
                                .flags = ENVELOPE_LOST,
                                .conn = line,
                                .msg = msg_copy(web->mem, span_of(reason, strlen(reason)))});
}

static void put_off(struct web *web, const struct asker *asker, enum web_stat stat,
                    uint32_t seconds, const char *text)
{
    struct reply reply = reply_error(429, text);
    char ip[WEB_IP_BYTES];

    web_ip_text(asker->request.peer_ip, ip);
    log_event(LOG_LEVEL_WARNING, "web.login_limited", "address=%s wait_s=%u", ip, seconds);
    web_count(web, stat, 1);
    reply_header(&reply, "Retry-After: %u", seconds);
    web_reply(web, asker, &reply);
}

static void begin_login(struct web *web, const struct asker *asker, struct span user,
                        struct span password)
{
    struct asker later = *asker;
    uint32_t wait_s = guard_login_wait_s(web->guard, asker->request.peer_ip, guard_clock());

    if (wait_s > 0) {
        put_off(web, asker, WEB_STAT_LOGINS_LIMITED, wait_s, TOO_MANY);
        return;
    }
    refresh_accounts(web);
    if (!web->accounts.set) {
        web_reply_error(web, asker, 503, "nobody can log in: the server's log says why");
        return;
    }
    asker_detach(&later);
    user.bytes_count = min_size(user.bytes_count, PASSWD_USER_BYTES_MAX + 1);
    if (user.bytes_count > PASSWD_USER_BYTES_MAX)
        user.bytes_count = 0; /* nobody is called so: as wrong as any other, after the same time */
    switch (logins_begin(&web->logins, &later, guard_is_exempt(web->guard, asker->request.peer_ip),
                         web->accounts.set, user, password)) {
    case LOGINS_BEGUN:
        return;
    case LOGINS_FULL:
        put_off(web, asker, WEB_STAT_LOGINS_FULL, 1, "others are logging in; try again");
        return;
    case LOGINS_ADDRESS_FULL:
        put_off(web, asker, WEB_STAT_LOGINS_ADDRESS_FULL, 1,
                "others of this address are logging in; try again");
        return;
    }
}

void web_login(struct web *web, const struct asker *asker)
{
    struct span user;
    struct span password;
    json_t *json = NULL;

    if (!asker->request.is_secure && !web->config->web.plain_login &&
        !http_is_loopback(asker->request.peer_ip))
        web_reply_error(web, asker, 403,
                        "over HTTP a password could be read on its way: use https, or set "
                        "web.plain_login");
    else if (!read_credentials(asker->request.body, &json, &user, &password))
        web_reply_error(web, asker, 400, "user and password are missing");
    else
        begin_login(web, asker, user, password);
    json_decref(json);
}

static void let_in(struct web *web, const struct login *login)
{
    uint8_t token[SESSION_TOKEN_BYTES];
    char cookie[SESSION_TEXT_BYTES + 1];

    must(getrandom(token, sizeof(token), 0) == sizeof(token));
    sessions_open(&web->sessions, span_of(login->user, strlen(login->user)), token, web->now_ms,
                  cookie);
    web_session_facts(web, &login->asker, login->user, cookie);
    explicit_bzero(token, sizeof(token));
    explicit_bzero(cookie, sizeof(cookie));
}

/* Count it against its address, with those of SMQ clients. */
static void note_failure(struct web *web, const struct login *login, const char *ip)
{
    uint32_t ban_s = guard_login_failed(web->guard, login->asker.request.peer_ip, guard_clock());

    web_count(web, WEB_STAT_LOGINS_FAILED, 1);
    if (ban_s > 0)
        log_event(LOG_LEVEL_WARNING, "address.banned", "address=%s for_s=%u why=\"failed logins\"",
                  ip, ban_s);
}

static void answer_login(struct web *web, const struct login *login)
{
    uint32_t wait_s = guard_login_wait_s(web->guard, login->asker.request.peer_ip, guard_clock());
    bool is_right = atomic_load_explicit(&login->state, memory_order_relaxed) == LOGIN_RIGHT;
    bool failed = atomic_load_explicit(&login->state, memory_order_relaxed) == LOGIN_FAILED;
    char ip[WEB_IP_BYTES];

    if (wait_s > 0) { /* others failed meanwhile: what this one would be told shall not be known */
        put_off(web, &login->asker, WEB_STAT_LOGINS_LIMITED, wait_s, TOO_MANY);
        return;
    }
    web_ip_text(login->asker.request.peer_ip, ip);
    log_event(is_right ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
              is_right ? "web.login" : "web.login_failed", "address=%s tls=%s%s user=%s", ip,
              login->asker.request.is_secure ? "yes" : "no",
              failed ? " no memory for the check" : "", login->user);
    if (failed) {
        web_reply_error(web, &login->asker, 503, "no memory to check the password; try again");
        return;
    }
    if (is_right) {
        web_count(web, WEB_STAT_LOGINS, 1);
        let_in(web, login);
    } else {
        note_failure(web, login, ip);
        web_reply_error(web, &login->asker, 401, "the user or the password is wrong");
    }
}

uint32_t web_login_verdicts(struct web *web)
{
    struct login *login;
    uint32_t count = 0;

    while ((login = logins_next(&web->logins))) {
        answer_login(web, login);
        logins_end(login);
        count++;
    }
    return count;
}

/* -- log-out -- */

void web_logout(struct web *web, const struct asker *asker)
{
    struct session *session = sessions_find(&web->sessions, asker->request.session, web->now_ms);
    struct reply reply = {.code = 200, .type = "application/json"};
    char ip[WEB_IP_BYTES];

    web_ip_text(asker->request.peer_ip, ip);
    if (session) {
        log_event(LOG_LEVEL_INFO, "web.logout", "user=%s address=%s", session->user, ip);
        sessions_close(&web->sessions, session);
    }
    reply.body = span_of("{}\n", 3);
    reply_header(&reply, "Set-Cookie: %s=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict%s",
                 HTTP_COOKIE_NAME, asker->request.is_secure ? "; Secure" : "");
    web_reply(web, asker, &reply);
}
