/*
 * webui/web.h — the web actor: everything HTTP that is not SMQ, in a thread of its own.
 *
 *      I/O actor ──HTTP_REQUEST──> web actor: route, judge, build the whole response
 *                <──HTTP_ANSWER───           one message for each request
 *
 * The I/O actors never read a file, a password or a session, and the web actor never sees a socket.
 * What takes longer than a page (a password, a list of all devices) is answered when it is there;
 * other requests go on meanwhile.
 *
 * It is a local host of the mesh (core/mesh.h). Thread: `web`; it may block in reading a file of
 * web.root, and sleeps in poll().
 */
#pragma once

#include <pthread.h>

#include "core/config.h"
#include "core/log.h"
#include "core/mesh.h"
#include "core/siphash.h"
#include "core/stats.h"
#include "webui/stats.h"

#define WEB_STATS(X)                                                                               \
    X(REQUESTS, "requests_total", "requests", "HTTP requests, upgrades that needed a login too")   \
    X(OK, "answers_ok_total", "answers", "answers with what was asked for")                        \
    X(NOT_MODIFIED, "answers_not_modified_total", "answers", "answers 304: the browser had it")    \
    X(REFUSED, "answers_refused_total", "answers", "answers 4xx")                                  \
    X(FAILED, "answers_failed_total", "answers", "answers 5xx, and those for which no memory was") \
    X(LOGINS, "logins_total", "logins", "log-ins with the right password")                         \
    X(LOGINS_FAILED, "logins_failed_total", "logins", "log-ins with a wrong user or password")     \
    X(LOGINS_LIMITED, "logins_limited_total", "logins", "log-ins put off: too many attempts")      \
    X(LOGINS_FULL, "logins_full_total", "logins", "log-ins put off: eight are being checked")      \
    X(LOGINS_ADDRESS_FULL, "logins_address_full_total", "logins",                                  \
      "log-ins put off: two of that address are being checked")                                    \
    X(SESSIONS, "sessions", "sessions", "users logged in at the moment")                           \
    X(ACTIONS, "actions_total", "actions", "what users did to devices")                            \
    X(TURNS, "turns_total", "turns", "turns of the loop")                                          \
    X(SLEEPS, "sleeps_total", "sleeps", "turns that had to wait for something to do")              \
    X(ENVELOPES, "envelopes_total", "envelopes", "envelopes taken from the lanes")

enum web_stat {
#define X(name, text, unit, help) WEB_STAT_##name,
    WEB_STATS(X)
#undef X
        WEB_STAT_COUNT
};

extern const struct stat_desc web_stat_descs[WEB_STAT_COUNT];

/* What the server knows and the web actor shows. Called by the web actor's thread; each writes to
 * the end of a body. No field may be NULL. */
struct web_source {
    void *context;
    void (*sample)(void *context, struct stats_sample *sample); /* which is zeroed */
    void (*put_metrics)(void *context, struct body *out);       /* Prometheus text format 0.0.4 */
    /* The configuration in force, as --print-config, as plain text. */
    void (*put_config)(void *context, const struct config *config, struct body *out);
};

struct web;
struct guard;

#define WEB_ERROR_BYTES    512u
#define WEB_PASSWORD_BYTES 32u

struct web_options {
    const struct config *config; /* constant; outlives the actor, as all below */
    struct mesh *mesh;
    uint32_t mesh_index;
    struct mem *mem; /* in the mesh, too */
    struct log_lane *log;
    const struct web_source *source;
    struct siphash_key name_key; /* the same for all actors */
    struct guard *guard;         /* core/guard.h; the same */
};

/**
 * Read accounts, token and folder. Thread: main, before the start.
 *
 * @first_password: WEB_PASSWORD_BYTES; the password that was made for "admin", which nobody will
 * see again;
 *                  "" when there is an accounts' file already.
 * Gives:   the actor, for web_destroy().
 * Returns: NULL with @error (WEB_ERROR_BYTES) set.
 */
MUST_CHECK struct web *web_create(const struct web_options *options, char *first_password,
                                  char *error);

/* The thread's function; ends after a STOP from control, which is answered with STOPPED. */
void *web_main(void *web);

/* One turn without the thread, for tests: how many envelopes were handled. */
uint32_t web_turn(struct web *web, int64_t now_ms);

/* After its thread and those of the I/O actors have ended. */
void web_destroy(struct web *web);

/* Its counters. Any thread. */
const _Atomic uint64_t *web_stats(const struct web *web);
