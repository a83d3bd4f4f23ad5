/* webui/sessions.c — see webui/sessions.h. Thread: the web actor's. */
#include "webui/sessions.h"

#include <stdio.h>
#include <string.h>

static bool is_over(const struct sessions *sessions, const struct session *session, int64_t now_ms)
{
    return session->user[0] == '\0' || now_ms - session->last_used_ms >= sessions->timeout_ms ||
           now_ms - session->opened_ms >= sessions->life_ms;
}

void sessions_add_line(struct sessions *sessions, struct session *session, struct conn_handle line)
{
    struct conn_handle *place = &session->lines[session->line_index];

    if (place->generation != 0)
        sessions->end_line(sessions->context, *place);
    *place = line;
    session->line_index = (session->line_index + 1) % SESSION_LINES_MAX;
}

void sessions_close(struct sessions *sessions, struct session *session)
{
    for (uint32_t i = 0; i < SESSION_LINES_MAX; i++)
        if (session->lines[i].generation != 0)
            sessions->end_line(sessions->context, session->lines[i]);
    explicit_bzero(session, sizeof(*session));
}

void sessions_close_old(struct sessions *sessions, int64_t now_ms)
{
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &sessions->at[i];

        if (session->user[0] != '\0' && is_over(sessions, session, now_ms))
            sessions_close(sessions, session);
    }
}

void sessions_open(struct sessions *sessions, struct span user,
                   const uint8_t token[SESSION_TOKEN_BYTES], int64_t now_ms,
                   char text[SESSION_TEXT_BYTES + 1])
{
    struct session *place = &sessions->at[0];

    must(user.bytes_count >= 1 && user.bytes_count <= SESSION_USER_BYTES);
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &sessions->at[i];

        if (is_over(sessions, session, now_ms)) {
            place = session;
            break;
        }
        if (session->last_used_ms < place->last_used_ms)
            place = session;
    }
    sessions_close(sessions, place);
    memcpy(place->token, token, SESSION_TOKEN_BYTES);
    memcpy(place->user, user.data, user.bytes_count);
    place->opened_ms = now_ms;
    place->last_used_ms = now_ms;
    for (uint32_t i = 0; i < SESSION_TOKEN_BYTES; i++)
        sprintf(text + (size_t)2 * i, "%02x", token[i]);
}

/* The nibble of a lower-case hex digit; false: it is none. */
static bool nibble_of(uint8_t byte, uint8_t *nibble)
{
    if (byte >= '0' && byte <= '9')
        *nibble = (uint8_t)(byte - '0');
    else if (byte >= 'a' && byte <= 'f')
        *nibble = (uint8_t)(byte - 'a' + 10);
    else
        return false;
    return true;
}

static bool token_of(struct span text, uint8_t token[SESSION_TOKEN_BYTES])
{
    if (text.bytes_count != SESSION_TEXT_BYTES)
        return false;
    for (uint32_t i = 0; i < SESSION_TOKEN_BYTES; i++) {
        uint8_t high = 0;
        uint8_t low = 0;

        if (!nibble_of(text.data[(size_t)2 * i], &high) ||
            !nibble_of(text.data[(size_t)2 * i + 1], &low))
            return false;
        token[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_token(const uint8_t a[SESSION_TOKEN_BYTES], const uint8_t b[SESSION_TOKEN_BYTES])
{
    uint8_t difference = 0;

    for (uint32_t i = 0; i < SESSION_TOKEN_BYTES; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

struct session *sessions_find(struct sessions *sessions, struct span text, int64_t now_ms)
{
    uint8_t token[SESSION_TOKEN_BYTES];

    if (!token_of(text, token))
        return NULL;
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &sessions->at[i];

        if (is_over(sessions, session, now_ms) || !is_token(session->token, token))
            continue;
        session->last_used_ms = now_ms;
        return session;
    }
    return NULL;
}

uint32_t sessions_count(const struct sessions *sessions, int64_t now_ms)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < SESSIONS_MAX; i++)
        count += !is_over(sessions, &sessions->at[i], now_ms);
    return count;
}
