/*
 * webui/sessions.h — who has logged in.
 *
 * A small table of fixed size. It neither reads a clock nor draws random numbers: both come from
 * the caller, so that tests decide them. Thread: the web actor's.
 *
 * A session's token is 128 random bits. Whoever has it is the user, so it is compared in constant
 * time, and lives in this table only. Sessions do not survive a restart, and a session's WebSockets
 * do not survive the session, however it ends.
 *
 * A page of the web UI that can be seen asks for something every few minutes, and so stays logged
 * in. The end of a session's life is for whoever has stolen a cookie, or a browser: no use puts it
 * off.
 */
#pragma once

#include "core/envelope.h"
#include "core/must.h"

#define SESSION_TOKEN_BYTES 16u
#define SESSION_TEXT_BYTES  (2 * SESSION_TOKEN_BYTES)
#define SESSION_USER_BYTES  64u
#define SESSIONS_MAX        256u /* a log-in more ends the one that was silent longest */
#define SESSION_LINES_MAX   16u  /* WebSockets of one; one more ends the oldest */
#define SESSION_LIFE_MS     (7 * 24 * 3600000LL) /* a screen on a wall asks once a week */

struct session {
    uint8_t token[SESSION_TOKEN_BYTES];
    char user[SESSION_USER_BYTES + 1]; /* "": free */
    int64_t opened_ms;
    int64_t last_used_ms;
    struct conn_handle lines[SESSION_LINES_MAX]; /* generation 0: none; some may have closed */
    uint32_t line_index;                         /* where the next one goes: the oldest's place */
};

struct sessions {
    struct session at[SESSIONS_MAX];
    int64_t timeout_ms; /* of one that nobody uses */
    int64_t life_ms;    /* of any; at least timeout_ms */
    void (*end_line)(void *context, struct conn_handle line);
    void *context;
};

/* Open one for @user (at most SESSION_USER_BYTES, not empty) and write the cookie's value, a
 * string, to @text. */
void sessions_open(struct sessions *sessions, struct span user,
                   const uint8_t token[SESSION_TOKEN_BYTES], int64_t now_ms,
                   char text[SESSION_TEXT_BYTES + 1]);

/* The session with this cookie, which counts as used now; NULL: there is none (any more). */
struct session *sessions_find(struct sessions *sessions, struct span text, int64_t now_ms);

/* A WebSocket was opened for it. */
void sessions_add_line(struct sessions *sessions, struct session *session, struct conn_handle line);

void sessions_close(struct sessions *sessions, struct session *session);

/* Close those that nobody has used for so long, and those whose life is over. */
void sessions_close_old(struct sessions *sessions, int64_t now_ms);

uint32_t sessions_count(const struct sessions *sessions, int64_t now_ms);
