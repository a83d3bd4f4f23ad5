/* net/auth.c — who is it? See net/auth.h. Thread: the I/O actor's, but for io_auth_offer. */
#include "net/auth.h"

#include <string.h>

#include "core/log.h"
#include "core/msg.h"
#include "net/holds.h"
#include "net/secure.h"
#include "net/session_parts.h"

#define JUDGED_A_TURN 256u

uint64_t io_auth_token(struct conn_handle conn)
{
    return (uint64_t)conn.host_index << 48 | (uint64_t)conn.generation << 32 | conn.slot_index;
}

struct conn_handle io_auth_conn(uint64_t token)
{
    return (struct conn_handle){.host_index = (uint16_t)(token >> 48),
                                .generation = (uint16_t)(token >> 32),
                                .slot_index = (uint32_t)token};
}

/* -- the ways in -- */

/* What one of them says. */
enum opinion {
    OPINION_NONE = 0, /* it is not about this client */
    OPINION_RIGHT,
    OPINION_WRONG,
    OPINION_CHECK, /* a worker must say */
};

/* "user:password", cut at the first colon. */
static bool split(struct span credentials, struct span *user, struct span *password)
{
    const uint8_t *colon =
        credentials.bytes_count > 0 ? memchr(credentials.data, ':', credentials.bytes_count) : NULL;

    if (!colon)
        return false;
    *user = span_of(credentials.data, (size_t)(colon - credentials.data));
    *password = span_skip(credentials, user->bytes_count + 1);
    return true;
}

static enum opinion ask_password(const struct auth_instance *files, struct span credentials,
                                 struct identity *identity)
{
    struct span user, password;

    if (!split(credentials, &user, &password))
        return OPINION_NONE;
    if (user.bytes_count > PASSWD_USER_BYTES_MAX)
        return OPINION_WRONG;
    identity->login = LOGIN_USER;
    identity->name = user;
    return passwd_recall(files->users, user, password) ? OPINION_RIGHT : OPINION_CHECK;
}

static enum opinion ask_key(const struct auth_instance *files, const struct conn *conn,
                            struct span credentials, struct identity *identity)
{
    if (!challenge_is_answer(credentials))
        return OPINION_NONE;
    identity->login = LOGIN_KEY;
    identity->name = identity->uid;
    return key_set_check(files->keys, conn->seed, identity->uid, credentials) ? OPINION_RIGHT
                                                                              : OPINION_WRONG;
}

/* That a certificate is good has been judged before (net/secure.c). */
static enum opinion ask_certificate(const struct conn *conn, struct identity *identity)
{
    const struct tls_peer *peer =
        conn->flags & CONN_SECURED && conn->tls ? tls_conn_peer(conn->tls) : NULL;

    if (!peer || peer->verdict != TLS_FAIL_NONE || peer->identity_bytes == 0)
        return OPINION_NONE;
    identity->login = LOGIN_CERT;
    identity->name =
        span_of(peer->identity, min_size(peer->identity_bytes, IDENTITY_NAME_BYTES_MAX));
    return OPINION_RIGHT;
}

static enum opinion ask(enum config_auth way, const struct auth_instance *files,
                        const struct conn *conn, struct span credentials, struct identity *identity)
{
    switch (way) {
    case CONFIG_AUTH_PASSWORD:
        return ask_password(files, credentials, identity);
    case CONFIG_AUTH_KEY:
        return ask_key(files, conn, credentials, identity);
    case CONFIG_AUTH_CERTIFICATE:
        return ask_certificate(conn, identity);
    case CONFIG_AUTH_WEB: /* it was let in as such, or not at all */
        return identity->login == LOGIN_WEB ? OPINION_RIGHT : OPINION_NONE;
    case CONFIG_AUTH_ANONYMOUS:
        return OPINION_RIGHT;
    case CONFIG_AUTH_COUNT:
        break;
    }
    must_never("an unknown way in");
}

/* Nothing in the list was about this client. */
static enum io_auth_answer refuse_all(const struct config_instance *instance,
                                      struct span credentials, enum smq_connack *code,
                                      const char **reason)
{
    bool wants_certificate =
        instance->auth_count == 1 && config_asks_for(instance, CONFIG_AUTH_CERTIFICATE);

    *code = wants_certificate ? SMQ_CONNACK_CERTIFICATE_REQUIRED : SMQ_CONNACK_BAD_CREDENTIALS;
    *reason = wants_certificate              ? "a client certificate is required"
              : credentials.bytes_count == 0 ? "credentials are required"
                                             : "these are no credentials of a kind asked for here";
    return IO_AUTH_REFUSED;
}

static enum io_auth_answer judge(struct io *io, struct conn *conn,
                                 const struct smq_connect *connect, struct identity *identity,
                                 enum smq_connack *code, const char **reason)
{
    static const uint8_t without_list[] = {CONFIG_AUTH_CERTIFICATE, CONFIG_AUTH_ANONYMOUS};
    const struct config_instance *instance = &io->config->instances[conn->instance_index];
    const uint8_t *ways = instance->auth_count > 0 ? instance->auth : without_list;
    uint32_t way_count = instance->auth_count > 0 ? instance->auth_count : COUNT_OF(without_list);

    for (uint32_t i = 0; i < way_count; i++) {
        switch (ask((enum config_auth)ways[i], &io->book->instances[conn->instance_index], conn,
                    connect->credentials, identity)) {
        case OPINION_NONE:
            continue;
        case OPINION_RIGHT:
            return IO_AUTH_ACCEPTED;
        case OPINION_CHECK:
            return IO_AUTH_CHECK;
        case OPINION_WRONG:
            *code = SMQ_CONNACK_BAD_CREDENTIALS;
            *reason = "wrong credentials";
            return IO_AUTH_REFUSED;
        }
    }
    return refuse_all(instance, connect->credentials, code, reason);
}

static void check(struct io *io, struct conn *conn, struct span credentials)
{
    struct span user, password;

    must(split(credentials, &user, &password));
    if (auth_workers_submit(io->auth->workers, io->book->instances[conn->instance_index].users,
                            user, password, io_auth_token(conn_handle_of(io, conn))))
        return;
    conn->flags &= ~CONN_CHECKING;
    io_count(io, IO_STAT_REFUSED_BUSY, 1);
    session_refuse(io, conn, SMQ_CONNACK_UNAVAILABLE, "too many logins at once");
}

/* -- new accounts and rules -- */

static void judge_again(struct io *io, struct conn *conn)
{
    if (conn->state != CONN_JOINING && conn->state != CONN_LIVE)
        return;
    struct identity who = identity_read(msg_span(conn->identity));

    holds_forget_rights(conn);
    if (auth_login_stays(io->auth->older, io->book, conn->instance_index, &who))
        return;
    log_event(LOG_LEVEL_INFO, "login.ended", "uid=%.*s login=%s:%.*s",
              (int)min_size(who.uid.bytes_count, 64), (const char *)who.uid.data,
              login_word(who.login), (int)min_size(who.name.bytes_count, 64),
              (const char *)who.name.data);
    if (conn->state == CONN_LIVE)
        session_end(io, conn, CLOSE_RIGHTS, "this login is no longer good");
    else
        session_refuse(io, conn, SMQ_CONNACK_BAD_CREDENTIALS, "this login is no longer good");
}

static void judge_some(struct io *io, uint32_t count_max)
{
    struct io_auth *auth = io->auth;
    uint32_t looked_at = 0;

    for (; auth->judge_cursor < io->slot_count_max && looked_at < count_max; auth->judge_cursor++) {
        if (!io->chunks[auth->judge_cursor / LIMIT_CONN_CHUNK]) {
            auth->judge_cursor |= LIMIT_CONN_CHUNK - 1;
            continue;
        }
        looked_at++;
        judge_again(io, conn_at(io, auth->judge_cursor));
    }
    if (auth->judge_cursor < io->slot_count_max)
        return;
    auth_book_unref(auth->older);
    auth->older = NULL;
}

void io_auth_judge_step(struct io *io)
{
    judge_some(io, JUDGED_A_TURN);
}

static void on_reload(struct io *io)
{
    struct io_auth *auth = io->auth;
    struct auth_book *book = atomic_exchange_explicit(&auth->offered, NULL, memory_order_acq_rel);

    if (!book)
        return;      /* two offers in a row: the first RELOAD took the second one */
    if (auth->older) /* what changed between the older two must not be missed */
        judge_some(io, UINT32_MAX);
    auth->older = io->book;
    auth->judge_cursor = 0;
    io->book = book;
}

void io_auth_offer(struct io_auth *auth, struct auth_book *book)
{
    struct auth_book *before =
        atomic_exchange_explicit(&auth->offered, auth_book_ref(book), memory_order_acq_rel);

    auth_book_unref(before); /* never taken: the newer one comes instead */
}

/* -- life -- */

static const struct io_auth_calls calls = {
    .judge = judge,
    .check = check,
    .on_reload = on_reload,
};

void io_auth_init(struct io *io, struct io_auth *auth, struct auth_book *book,
                  struct auth_workers *workers)
{
    *auth = (struct io_auth){.workers = workers};
    io->book = auth_book_ref(book);
    io->auth = auth;
    io->auth_calls = &calls;
}

void io_auth_deinit(struct io *io)
{
    if (!io->auth)
        return;
    auth_book_unref(io->book);
    auth_book_unref(io->auth->older);
    auth_book_unref(atomic_load_explicit(&io->auth->offered, memory_order_relaxed));
    io->book = NULL;
    io->auth = NULL;
    io->auth_calls = NULL;
}
