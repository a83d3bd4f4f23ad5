/*
 * net/session_connect.c — a Connect: who is it, may he have that UID, is there room; then the
 * shard.
 *
 *      GREETED ──Connect──> judged ──> JOINING ──> CONNECT to the shard ──CONNECTED──> LIVE
 *                             └> JOINING, CHECKING: a worker checks the password ─┘
 *
 * Thread: the I/O actor's. Source: SMQ protocol §3, §4.1.
 */
#include <string.h>

#include "auth/book.h"
#include "core/log.h"
#include "core/msg.h"
#include "net/detour.h"
#include "net/door.h"
#include "net/session_parts.h"

/* From handshake to client: move between the quotas. False: refused and leaving. */
static bool admit(struct io *io, struct conn *conn)
{
    if (mem_is_tight(io->mem.budget)) {
        io_count(io, IO_STAT_REFUSED_MEMORY, 1);
        session_refuse(io, conn, SMQ_CONNACK_UNAVAILABLE, "the broker is out of memory");
        return false;
    }
    if (!quota_take(&io->quotas->connections)) {
        io_count(io, IO_STAT_REFUSED_CONNECTIONS, 1);
        session_refuse(io, conn, SMQ_CONNACK_UNAVAILABLE, "the broker is full");
        return false;
    }
    quota_give(&io->quotas->handshakes);
    conn->flags |= CONN_ADMITTED;
    io_count(io, IO_STAT_LIVE, 1);
    return true;
}

/* Who it is has been settled: the shard gives the UID its number. */
static void join(struct io *io, struct conn *conn)
{
    struct mesh *mesh = io->port->mesh;
    struct identity identity = identity_read(msg_span(conn->identity));

    must(conn->state == CONN_JOINING);
    if (!admit(io, conn))
        return;
    uint64_t hash = siphash(&io->name_key, identity.uid);

    detour_connect(io, conn, mesh_shard_of_hash(mesh, hash),
                   (struct envelope){.kind = ENVELOPE_CONNECT,
                                     .instance_index = conn->instance_index,
                                     .conn = conn_handle_of(io, conn),
                                     .hash = hash,
                                     .msg = msg_ref(conn->identity)});
}

/* The web login that the upgrade was allowed for, if there was one; its name is borrowed. */
static void read_web_login(const struct io *io, const struct conn *conn, struct identity *identity)
{
    if (!(conn->flags & CONN_WS) || !io->config->instances[conn->instance_index].needs_login)
        return;
    identity->login = LOGIN_WEB;
    if (conn->identity)
        identity->name = identity_read(msg_span(conn->identity)).name;
}

/* Replace what the connection's identity is by @identity. false: no memory. */
static bool set_identity(struct io *io, struct conn *conn, const struct identity *identity)
{
    struct msg *msg = msg_new(&io->mem, identity_bytes(identity));

    if (!msg) {
        io_count(io, IO_STAT_REFUSED_MEMORY, 1);
        return false;
    }
    identity_write(identity, msg->bytes);
    msg_unref(&io->mem, conn->identity);
    conn->identity = msg;
    return true;
}

bool session_set_web_login(struct io *io, struct conn *conn, struct span name)
{
    struct identity identity = {.login = LOGIN_WEB, .name = name};

    identity.name.bytes_count = min_size(name.bytes_count, IDENTITY_NAME_BYTES_MAX);
    if (set_identity(io, conn, &identity))
        return true;
    conn_close(io, conn, CLOSE_MEMORY);
    return false;
}

/* Who is it? Fills in the login. */
static enum io_auth_answer judge(struct io *io, struct conn *conn,
                                 const struct smq_connect *connect, struct identity *identity,
                                 enum smq_connack *code, const char **reason)
{
    *code = SMQ_CONNACK_ACCEPTED;
    read_web_login(io, conn, identity);
    if (io->secure_calls)
        *code = io->secure_calls->judge_uid(io, conn, connect->uid, reason);
    if (*code != SMQ_CONNACK_ACCEPTED)
        return IO_AUTH_REFUSED;
    enum io_auth_answer answer =
        io->auth_calls ? io->auth_calls->judge(io, conn, connect, identity, code, reason)
                       : IO_AUTH_ACCEPTED;

    if (answer == IO_AUTH_REFUSED || !io->config->instances[conn->instance_index].bind_uid ||
        identity_is_bound(identity))
        return answer;
    *code = SMQ_CONNACK_ACCESS_DENIED;
    *reason = "the UID is not the login's name";
    return IO_AUTH_REFUSED;
}

void session_connect(struct io *io, struct conn *conn, const struct smq_frame *frame)
{
    struct smq_connect connect;
    enum smq_connack code;
    const char *error = smq_connect_parse(frame->body, &connect);

    if (error) {
        session_refuse(io, conn, SMQ_CONNACK_BAD_CONNECT, error);
        return;
    }
    if (io->draining) {
        session_refuse(io, conn, SMQ_CONNACK_UNAVAILABLE, "the broker is shutting down");
        return;
    }
    if (detour_is_full(io, conn)) {
        io_count(io, IO_STAT_REFUSED_BUSY, 1);
        session_refuse(io, conn, SMQ_CONNACK_UNAVAILABLE, "the script has too much to do");
        return;
    }
    struct identity identity = {.uid = connect.uid, .info = connect.info};

    identity.info.bytes_count = min_size(connect.info.bytes_count, LIMIT_INFO_BYTES);
    enum io_auth_answer answer = judge(io, conn, &connect, &identity, &code, &error);

    if (answer == IO_AUTH_REFUSED) {
        session_refuse_login(io, conn, &identity, code, error);
        return;
    }
    if (!set_identity(io, conn, &identity) ||
        !detour_keep_facts(io, conn, connect.credentials, conn->seed)) {
        session_refuse(io, conn, SMQ_CONNACK_UNAVAILABLE, "the broker is out of memory");
        return;
    }
    conn->record_bytes_max = connect.record_bytes_max;
    conn->received_count = 0; /* it was the seed */
    if (io->book && io->book->instances[conn->instance_index].acl)
        conn->flags |= CONN_RULED;
    conn_set_state(conn, CONN_JOINING);
    if (answer == IO_AUTH_ACCEPTED) {
        join(io, conn);
        return;
    }
    conn->flags |= CONN_CHECKING;
    io->auth_calls->check(io, conn, connect.credentials);
}

void session_auth_verdict(struct io *io, const struct envelope *envelope)
{
    struct conn *conn = conn_find(io, envelope->conn);

    if (!conn)
        return; /* it did not wait */
    must(conn->state == CONN_JOINING && conn->flags & CONN_CHECKING);
    conn->flags &= ~CONN_CHECKING;
    struct identity identity = identity_read(msg_span(conn->identity));

    switch ((enum passwd_verdict)envelope->status) {
    case PASSWD_RIGHT:
        if (!door_is_shut(io, conn)) {
            join(io, conn);
            return;
        } /* what it guessed while the ban came shall not be known */
        __attribute__((fallthrough));
    case PASSWD_WRONG:
        session_refuse_login(io, conn, &identity, SMQ_CONNACK_BAD_CREDENTIALS,
                             "wrong user or password");
        return;
    case PASSWD_FAILED:
        io_count(io, IO_STAT_REFUSED_MEMORY, 1);
        session_refuse(io, conn, SMQ_CONNACK_UNAVAILABLE, "no memory to check a password");
        return;
    }
    must_never("an unknown verdict");
}

void session_refuse_login(struct io *io, struct conn *conn, const struct identity *identity,
                          enum smq_connack code, const char *reason)
{
    char ip[CONN_IP_TEXT_BYTES];

    conn_ip_text(conn, ip);
    if (code != SMQ_CONNACK_UNAVAILABLE) {
        io_count(io, IO_STAT_REFUSED_LOGINS, 1);
        door_login_failed(io, conn);
    }
    log_event(LOG_LEVEL_WARNING, "login.refused", "peer=%s:%u uid=%.*s code=%u reason=\"%s\"", ip,
              conn->peer_port, (int)min_size(identity->uid.bytes_count, 64),
              (const char *)identity->uid.data, (unsigned)code, reason);
    session_refuse(io, conn, code, reason);
}
