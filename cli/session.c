/*
 * cli/session.c — one SMQ connection as the commands want it; see cli/session.h.
 *
 * Thread: main. Owns the link and the 64 KiB buffer.
 */
#include "cli/session.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli/key.h"

#define SILENCE_MS       60000u /* before we ask whether the broker is still there */
#define PONG_MS          10000u /* ... and how long it may take to say so */
#define SLICE_MS         1000u  /* longest wait at once: a signal just before it is seen after it */
#define GOODBYE_MS       1000u  /* for the broker to close after our Disconnect */
#define UID_RANDOM_BYTES 6u

static _Atomic bool stop_requested; /* every session looks at it */

static void on_signal(int number)
{
    (void)number;
    stop_requested = true;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* `smq sub | head`: a failed write tells us, and we say goodbye */
}

uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* -- complaints ------------------------------------------------------------------------------ */

/* The text part of the last event, made safe to print; it is the broker's, or a stranger's. */
static const char *event_text(const struct smq_event *event, char *room, size_t room_bytes)
{
    size_t i;

    for (i = 0; i < event->bytes_count && i + 1 < room_bytes; i++)
        room[i] = event->data[i] >= ' ' && event->data[i] < 0x7f ? (char)event->data[i] : '?';
    room[i] = '\0';
    return room;
}

static enum exit_code complain_refused(const struct session *session)
{
    const struct smq_event *event = &session->smq.event;
    char room[256];
    const char *reason = event_text(event, room, sizeof room);
    const char *advice = "";

    switch (event->code) {
    case SMQ_CONNACK_BAD_CONNECT:
        advice = "is --uid 6 to 255 bytes long?";
        break;
    case SMQ_CONNACK_UNAVAILABLE:
        return complain(EXIT_UNAVAILABLE, "the broker cannot take us now: %s", reason);
    case SMQ_CONNACK_BAD_CREDENTIALS:
        advice = "check --credentials, $SMQ_CREDENTIALS or --key-file";
        break;
    case SMQ_CONNACK_CERTIFICATE_REQUIRED:
    case SMQ_CONNACK_CERTIFICATE_REFUSED:
        advice = "this listener wants a client certificate it trusts";
        break;
    default:
        advice = "the broker's configuration or script says who may connect";
        break;
    }
    return complain(EXIT_DENIED, "the broker refused us (code %u): %s\n     %s", event->code,
                    reason[0] != '\0' ? reason : "it gave no reason", advice);
}

static enum exit_code complain_http(const struct session *session)
{
    uint16_t status = session->smq.http_status;

    return complain(EXIT_PROTOCOL, "%s:%s answered HTTP %u for %s\n     %s", session->url.host,
                    session->url.port, status, session->url.path,
                    status == 404 ? "no broker on this path: check the end of --url"
                                  : "is this an SMQ broker's port and path?");
}

enum exit_code session_complain(struct session *session, enum smq_status status)
{
    const struct smq_event *event = &session->smq.event;
    char room[256];

    switch (status) {
    case SMQ_OK:
        return EXIT_OK;
    case SMQ_TIMEOUT:
        return complain(EXIT_TIMEOUT, "the broker did not answer within %" PRIu64 " s",
                        (session->answer_timeout_ms + 999) / 1000);
    case SMQ_TOO_BIG:
        return complain(EXIT_USAGE, "too large to send: a payload holds at most %u bytes",
                        SMQ_PAYLOAD_BYTES_MAX);
    case SMQ_CLOSED:
        if (event->packet == SMQ_DISCONNECT)
            return complain(EXIT_UNAVAILABLE, "the broker disconnected us: %s",
                            event->bytes_count > 0 ? event_text(event, room, sizeof room)
                                                   : "it gave no reason");
        return complain(EXIT_UNAVAILABLE, "the connection to the broker broke: %s",
                        link_error(&session->link));
    case SMQ_MALFORMED:
        return complain(EXIT_PROTOCOL,
                        "what %s:%s sends for %s is not SMQ\n"
                        "     is that the broker's path (/smq.lsp unless configured), on its port "
                        "without TLS?",
                        session->url.host, session->url.port, session->url.path);
    case SMQ_REFUSED:
        return event->packet == SMQ_CONNACK ? complain_refused(session) : complain_http(session);
    }
    return EXIT_SOFTWARE; /* not reached: the switch is complete */
}

/* -- opening and closing --------------------------------------------------------------------- */

/* "smq-" and random digits: two of us never throw one another out. */
static void random_uid(char *room, size_t room_bytes)
{
    uint8_t random[UID_RANDOM_BYTES] = {0};
    size_t at = (size_t)snprintf(room, room_bytes, "smq-");

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        snprintf((char *)random, sizeof random, "%" PRIx64, clock_ms()); /* better than nothing */
    for (size_t i = 0; i < sizeof random; i++)
        at += (size_t)snprintf(room + at, room_bytes - at, "%02x", random[i]);
}

static enum exit_code check_identity(const char *uid, const char *credentials)
{
    size_t uid_bytes = strlen(uid);

    if (uid_bytes < SMQ_UID_BYTES_MIN || uid_bytes > SMQ_UID_BYTES_MAX)
        return complain(EXIT_USAGE, "--uid must be %u to %u bytes long, this one has %zu",
                        SMQ_UID_BYTES_MIN, SMQ_UID_BYTES_MAX, uid_bytes);
    if (credentials != NULL && strlen(credentials) > UINT8_MAX)
        return complain(EXIT_USAGE, "--credentials must be at most %u bytes long", UINT8_MAX);
    return EXIT_OK;
}

static enum exit_code handshake(struct session *session, const struct options *options,
                                const char *uid)
{
    char host[URL_HOST_HEADER_BYTES];
    struct smq_broker broker = {.host = host, .path = session->url.path};
    struct smq_identity identity = {
        .uid = uid,
        .uid_bytes_count = (uint8_t)strlen(uid),
        .credentials = options->credentials,
        .credentials_bytes_count =
            options->credentials != NULL ? (uint8_t)strlen(options->credentials) : 0,
        .info = options->info,
    };
    uint32_t timeout_ms = (uint32_t)session->answer_timeout_ms;
    char answer[SMQ_CHALLENGE_CHARS];
    enum smq_status status;

    url_host_header(&session->url, host, sizeof host);
    smq_init(&session->smq, session->link.transport, session->buffer, sizeof session->buffer);
    status = smq_open(&session->smq, &broker, timeout_ms);
    if (status == SMQ_OK)
        event_text(&session->smq.event, session->own_address, sizeof session->own_address);
    if (status == SMQ_OK && options->key_file != NULL) {
        enum exit_code code = key_answer(options->key_file, session->smq.seed, uid, answer);

        if (code != EXIT_OK)
            return code;
        identity.credentials = answer;
        identity.credentials_bytes_count = sizeof answer;
    }
    if (status == SMQ_OK)
        status = smq_connect(&session->smq, &identity, timeout_ms);
    session->heard_ms = clock_ms();
    return session_complain(session, status);
}

struct session *session_open(const struct options *options, enum exit_code *code)
{
    char uid_room[sizeof "smq-" + 2 * UID_RANDOM_BYTES];
    const char *uid = options->uid;
    struct session *session = calloc(1, sizeof *session);
    const char *wrong;

    if (session == NULL) {
        *code = complain(EXIT_SOFTWARE, "out of memory");
        return NULL;
    }
    if (uid == NULL) {
        random_uid(uid_room, sizeof uid_room);
        uid = uid_room;
    }
    session->answer_timeout_ms = options->timeout_ms;
    catch_signals();
    wrong = url_parse(options->url, &session->url);
    if (wrong != NULL)
        *code = complain(EXIT_USAGE, "--url '%s': %s", options->url, wrong);
    else
        *code = check_identity(uid, options->credentials);
    if (*code == EXIT_OK)
        *code = link_open(&session->link, &session->url, options);
    if (*code == EXIT_OK)
        *code = handshake(session, options, uid);
    if (*code == EXIT_OK)
        return session;
    link_close(&session->link);
    free(session);
    return NULL;
}

void session_close(struct session *session)
{
    uint64_t deadline_ms = clock_ms() + GOODBYE_MS;

    /* Closing with unread bytes would reset the connection, and the broker might lose what we
     * sent last. So read until it closes. */
    if (smq_disconnect(&session->smq, NULL) == SMQ_OK) {
        while (clock_ms() < deadline_ms && smq_next(&session->smq, GOODBYE_MS) == SMQ_OK)
            ;
    }
    link_close(&session->link);
    free(session);
}

/* -- events ---------------------------------------------------------------------------------- */

static enum session_result failed(struct session *session, enum exit_code code)
{
    session->failure = code;
    return SESSION_FAILED;
}

/* Nothing came for a while: ping, or give the broker up. */
static enum smq_status look_after(struct session *session, uint64_t now_ms)
{
    uint64_t silence_ms = now_ms - session->heard_ms;

    if (session->is_ping_under_way)
        return silence_ms < SILENCE_MS + PONG_MS ? SMQ_OK : SMQ_TIMEOUT;
    if (silence_ms < SILENCE_MS)
        return SMQ_OK;
    session->is_ping_under_way = true;
    return smq_ping(&session->smq);
}

enum session_result session_next(struct session *session, uint64_t deadline_ms)
{
    while (!stop_requested) {
        uint64_t now_ms = clock_ms();

        /* Asked before reading, or a flood would keep us past the deadline. */
        if (now_ms >= deadline_ms)
            return SESSION_TIMEOUT;
        uint64_t left_ms = deadline_ms - now_ms;
        uint32_t wait_ms = left_ms < SLICE_MS ? (uint32_t)left_ms : SLICE_MS;
        enum smq_status status = smq_next(&session->smq, wait_ms);

        if (status == SMQ_OK) {
            session->heard_ms = clock_ms();
            session->is_ping_under_way = false;
            if (session->smq.event.packet != SMQ_DISCONNECT)
                return SESSION_EVENT;
            status = SMQ_CLOSED;
        } else if (status == SMQ_TIMEOUT) {
            if (look_after(session, clock_ms()) == SMQ_OK)
                continue;
            return failed(session, complain(EXIT_UNAVAILABLE,
                                            "the broker has gone silent: no answer to a Ping"));
        }
        return failed(session, session_complain(session, status));
    }
    return SESSION_STOPPED;
}

bool session_pause(uint64_t ms)
{
    uint64_t deadline_ms = clock_ms() + ms;

    for (uint64_t now_ms = clock_ms(); !stop_requested && now_ms < deadline_ms;
         now_ms = clock_ms()) {
        uint64_t left_ms = deadline_ms - now_ms;

        poll(NULL, 0, left_ms < SLICE_MS ? (int)left_ms : (int)SLICE_MS);
    }
    return !stop_requested;
}

enum exit_code session_answer(struct session *session, uint64_t deadline_ms, const char *what)
{
    switch (session_next(session, deadline_ms)) {
    case SESSION_EVENT:
        return EXIT_OK;
    case SESSION_TIMEOUT:
        return complain(EXIT_TIMEOUT, "no answer (%s) within %g s; --timeout waits longer", what,
                        (double)session->answer_timeout_ms / 1000.0);
    case SESSION_STOPPED:
        return complain(EXIT_TIMEOUT, "stopped while waiting for an answer (%s)", what);
    case SESSION_FAILED:
        break;
    }
    return session->failure;
}

enum exit_code session_resolve(struct session *session, enum smq_packet packet, const char *name,
                               uint32_t *id)
{
    const char *what = packet == SMQ_CREATEACK ? "topic" : "sub-topic";
    uint64_t deadline_ms = clock_ms() + session->answer_timeout_ms;
    enum smq_status status = packet == SMQ_CREATEACK ? smq_create(&session->smq, name)
                                                     : smq_createsub(&session->smq, name);

    if (status != SMQ_OK)
        return session_complain(session, status);
    for (;;) {
        const struct smq_event *event = &session->smq.event;
        enum exit_code code = session_answer(session, deadline_ms, what);

        if (code != EXIT_OK)
            return code;
        if (event->packet != packet || !smq_event_is(event, name))
            continue;
        if (event->code != SMQ_ACK_OK)
            return complain(EXIT_DENIED, "the broker denies us the %s '%s'", what, name);
        *id = event->id;
        return EXIT_OK;
    }
}

enum exit_code session_sync(struct session *session)
{
    uint64_t deadline_ms = clock_ms() + session->answer_timeout_ms;
    enum smq_status status = smq_ping(&session->smq);
    enum exit_code code = session_complain(session, status);

    while (code == EXIT_OK) {
        code = session_answer(session, deadline_ms, "Pong");
        if (code == EXIT_OK && session->smq.event.packet == SMQ_PONG)
            break;
    }
    return code;
}
