/*
 * webui/sessions.h — who has logged in.
 *
 * A small table of fixed size. It neither reads a clock nor draws random numbers: both come from
 * the caller, so that tests decide them. Thread: the web actor's.
 *
 * A session's token is 128 random bits. Whoever has it is the user, so it is compared in constant
 * time, and lives in this table only. Sessions do not survive a restart.
 */
#pragma once

#include "core/must.h"

#define SESSION_TOKEN_BYTES 16u
#define SESSION_TEXT_BYTES  (2 * SESSION_TOKEN_BYTES)
#define SESSION_USER_BYTES  64u
#define SESSIONS_MAX        256u /* a log-in more ends the one that was silent longest */

struct session {
    uint8_t token[SESSION_TOKEN_BYTES];
    char user[SESSION_USER_BYTES + 1]; /* "": free */
    int64_t last_used_ms;
};

struct sessions {
    struct session at[SESSIONS_MAX];
    int64_t timeout_ms;
};

/* Open one for @user (at most SESSION_USER_BYTES, not empty) and write the cookie's value, a
 * string, to @text. */
void sessions_open(struct sessions *sessions, struct span user,
                   const uint8_t token[SESSION_TOKEN_BYTES], int64_t now_ms,
                   char text[SESSION_TEXT_BYTES + 1]);

/* The session with this cookie, which counts as used now; NULL: there is none (any more). */
struct session *sessions_find(struct sessions *sessions, struct span text, int64_t now_ms);

void session_close(struct session *session);

uint32_t sessions_count(const struct sessions *sessions, int64_t now_ms);
