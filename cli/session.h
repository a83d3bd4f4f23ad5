/*
 * cli/session.h — one SMQ connection as the commands want it: opened from the options, with
 * complaints people understand, and looked after in a long silence.
 *
 *      struct session *session = session_open(options, &code);
 *      if (session == NULL)
 *          return code;
 *      ... session_resolve(), smq_publish(&session->smq, ...), session_next() ...
 *      session_close(session);
 *
 * Thread: main, or one for each session. session_open() installs handlers for SIGINT and SIGTERM,
 * which make session_next() return SESSION_STOPPED; a second signal kills as usual.
 */
#pragma once

#include <stdint.h>

#include "cli/link.h"
#include "cli/options.h"
#include "client/smq.h"

/* No end: for session_next(). */
#define SESSION_FOREVER UINT64_MAX

struct session {
    struct smq smq;
    struct link link;
    struct url url;
    uint64_t answer_timeout_ms;
    uint64_t heard_ms;                   /* clock_ms() of the last event */
    bool is_ping_under_way;              /* sent since */
    enum exit_code failure;              /* set when SESSION_FAILED was returned */
    char own_address[46];                /* our IP as the broker sees it; may be empty */
    uint8_t buffer[SMQ_FRAME_BYTES_MAX]; /* so that every payload arrives whole */
};

enum session_result {
    SESSION_EVENT,   /* session->smq.event has it */
    SESSION_TIMEOUT, /* the deadline passed */
    SESSION_STOPPED, /* the user pressed Ctrl-C, or the system wants us to go */
    SESSION_FAILED,  /* the connection is over; complained; session->failure is the exit code */
};

/* Milliseconds of a clock that only goes forward. */
uint64_t clock_ms(void);

/**
 * Connect as the options say.
 *
 * Gives:   the session; session_close() frees it.
 * Returns: NULL after a complaint, with *code set.
 */
struct session *session_open(const struct options *options, enum exit_code *code);

/* Say goodbye, wait shortly for the broker to take it, and free. */
void session_close(struct session *session);

/* Wait for the next event until clock_ms() reaches @deadline_ms. Pings in a long silence. */
enum session_result session_next(struct session *session, uint64_t deadline_ms);

/* As session_next(), for an answer: complains when it does not come. @what: "the Suback". */
enum exit_code session_answer(struct session *session, uint64_t deadline_ms, const char *what);

/**
 * Get the id of a name with smq_create() or smq_createsub().
 *
 * @packet: SMQ_CREATEACK or SMQ_CREATESUBACK. Other events are dropped while waiting.
 * Returns: EXIT_OK with *id set, or another code after a complaint.
 */
enum exit_code session_resolve(struct session *session, enum smq_packet packet, const char *name,
                               uint32_t *id);

/* Sleep. Returns false, at once, when a signal wants us to go. */
bool session_pause(uint64_t ms);

/* Wait until the broker has read all we sent: everything before a Ping is before its Pong. Other
 * events are dropped while waiting. */
enum exit_code session_sync(struct session *session);

/* Complain about a verb's status other than SMQ_OK. Returns the exit code. */
enum exit_code session_complain(struct session *session, enum smq_status status);
