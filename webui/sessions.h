/*
 * webui/sessions.h — who has logged in, and how often somebody tried in vain.
 *
 * Two small tables of fixed size. Neither reads a clock nor draws random numbers: both come from
 * the caller, so that tests decide them. Thread: the web actor's.
 *
 * A session's token is 128 random bits. Whoever has it is the user, so it is compared in constant
 * time, and lives in this table only. Sessions do not survive a restart.
 *
 * Attempts are counted for each address (for IPv6 each /64: one machine has them all). The count is
 * raised before a password is looked at, so that many guesses at once do not pass the bound either.
 */
#pragma once

#include "core/must.h"

#define SESSION_TOKEN_BYTES 16u
#define SESSION_TEXT_BYTES  (2 * SESSION_TOKEN_BYTES)
#define SESSION_USER_BYTES  64u
#define SESSIONS_MAX        256u /* a log-in more ends the one that was silent longest */

#define ATTEMPTS_MAX        5u    /* of one address, in ... */
#define ATTEMPTS_WINDOW_MS  60000 /* ... so long; then it waits for the window's end */
#define ATTEMPT_ADDRESS_MAX 512u  /* addresses remembered; one more replaces the oldest */

/* -- sessions -- */

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

/* -- attempts -- */

struct attempt {
    uint8_t address[16];
    int64_t since_ms; /* when the window began */
    uint32_t count;   /* 0: free */
};

struct attempts {
    struct attempt at[ATTEMPT_ADDRESS_MAX];
};

/* Note an attempt. Returns: 0, or for how many seconds this address has to wait; then it is not
 * counted. */
MUST_CHECK uint32_t attempts_begin(struct attempts *attempts, const uint8_t ip[16], int64_t now_ms);

/* It was the right password (or none was looked at): forget the attempt. */
void attempts_forgive(struct attempts *attempts, const uint8_t ip[16], bool all);
