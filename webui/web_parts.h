/*
 * webui/web_parts.h — what the files behind webui/web.h say to one another.
 *
 *   web.c        the thread, its mail, who is answered
 *   web_api.c    the API: what may be asked, by whom, and the answers that are there at once
 *   web_login.c  log-in, log-out, sessions
 *   web_bans.c   banned addresses
 *   web_list.c   lists that are gathered from other actors
 *
 * Thread: the web actor's.
 */
#pragma once

#include "core/address.h"
#include "webui/accounts.h"
#include "webui/logins.h"
#include "webui/pages.h"
#include "webui/publisher.h"
#include "webui/routes.h"
#include "webui/sessions.h"
#include "webui/web.h"

#define WEB_TOKEN_BYTES_MIN 16u
#define WEB_TOKEN_BYTES_MAX 256u
#define WEB_LISTS_MAX       16u    /* who waits for a list; more are asked to come back */
#define WEB_TOPICS_MAX      50000u /* of a list; a page cannot do anything with more */

/* A list that is being gathered, or will be. */
struct web_list {
    struct asker asker;
    enum list_kind kind;
    struct msg *names; /* of LIST_PEERS_OF: handles; a reference */
};

#define WEB_BANS_MAX 8u /* who waits until a device's address is known */

/* Somebody wants a device banned. */
struct web_ban {
    struct asker asker;
    uint32_t seconds; /* 0: nobody does */
};

struct web {
    const struct config *config; /* in force: the one of the start, or in @config_msg */
    struct msg *config_msg;      /* a reference; NULL: it has not been read again */
    struct port *port;
    struct mem *mem;
    struct log_lane *log;
    const struct web_source *source;
    char prefix[ROUTE_PREFIX_BYTES + 1];
    char token[WEB_TOKEN_BYTES_MAX + 1]; /* "": none */
    int root_fd;                         /* -1: none */
    struct pages pages;
    struct sessions sessions;
    struct guard *guard;
    struct web_ban bans[WEB_BANS_MAX];
    struct accounts accounts;
    struct logins logins;
    struct stats *figures;
    struct publisher publisher;
    int64_t next_second_ms; /* when to look at the figures again, in now_ms */

    /* -- lists: lists[0] is being gathered into list_body -- */
    struct web_list lists[WEB_LISTS_MAX];
    uint32_t list_count;
    uint32_t list_ends_missing; /* how many have not told everything */
    uint32_t list_row_count;    /* topics so far */
    bool list_has_more;         /* … and there would be more */
    struct body list_body;

    struct msg *no_memory; /* what is said when there is none for saying it */
    int64_t now_ms;        /* CLOCK_BOOTTIME: of sessions; read once a turn */
    int64_t now_s;         /* CLOCK_REALTIME: of the Date */
    bool stopped;
    alignas(CACHE_LINE) _Atomic uint64_t stats[WEB_STAT_COUNT];
};

static inline void web_count(struct web *web, enum web_stat stat, uint64_t amount)
{
    counter_add(&web->stats[stat], amount);
}

/* -- web.c -- */

/* The one answer to a request. Takes @msg; NULL: there was no memory for it. */
void web_answer(struct web *web, const struct asker *asker, int code, struct msg *msg);
void web_reply(struct web *web, const struct asker *asker, const struct reply *reply);
void web_reply_error(struct web *web, const struct asker *asker, int code, const char *text);
/* The body is taken. */
void web_reply_body(struct web *web, const struct asker *asker, const char *type,
                    struct body *body);

/* -- web_api.c -- */

/* @name: "stats", "peers/0.1.2/disconnect". The request's spans are still whole. */
void web_api(struct web *web, const struct asker *asker, const char *name);

/* -- web_login.c -- */

void web_login(struct web *web, const struct asker *asker);
void web_logout(struct web *web, const struct asker *asker);
/* Answer with the logged-in user's facts. @cookie: NULL, or that of a new session. */
void web_session_facts(struct web *web, const struct asker *asker, const char *user,
                       const char *cookie);
/* Who asks? NULL: nobody who has logged in. */
struct session *web_session(struct web *web, const struct asker *asker);
/* Once a second: end the sessions that are over, and those whose accounts have changed or gone. */
void web_sessions_tick(struct web *web);
/* Of struct sessions: a session is over, and with it this WebSocket. @context: the web actor. */
void web_end_line(void *context, struct conn_handle line);
/* Answer the log-ins that have been judged; returns how many. */
uint32_t web_login_verdicts(struct web *web);
/* "a.b.c.d", or IPv6; for the log. */
#define WEB_IP_BYTES 46u
void web_ip_text(const uint8_t ip[16], char text[WEB_IP_BYTES]);

/* -- web_bans.c: each answers @asker -- */

void web_bans_list(struct web *web, const struct asker *asker);
/* Ban an address for so long, or end that. */
void web_ban(struct web *web, const struct asker *asker, const uint8_t ip[ADDRESS_BYTES],
             uint32_t seconds);
void web_lift(struct web *web, const struct asker *asker, const uint8_t ip[ADDRESS_BYTES]);
/* Ban the address of a device. */
void web_ban_peer(struct web *web, const struct asker *asker, struct conn_handle conn,
                  uint32_t seconds);
/* ADDRESS */
void web_bans_envelope(struct web *web, const struct envelope *envelope);

/* -- web_list.c -- */

/* @names: of LIST_PEERS_OF, else NULL; taken. */
void web_list(struct web *web, const struct asker *asker, enum list_kind kind, struct msg *names);
/* At the end: forget those that wait. */
void web_list_deinit(struct web *web);
/* ROWS or ROWS_END. */
void web_list_envelope(struct web *web, const struct envelope *envelope);
