/* net/rights.c — an instance's access list, see net/rights.h. Thread: the I/O actor's. */
#include "net/rights.h"

#include "auth/book.h"
#include "core/log.h"
#include "core/msg.h"

#define NAME_CHARS 64 /* of names in the log */

static int shown(struct span text)
{
    return (int)min_size(text.bytes_count, NAME_CHARS);
}

static const char *chars(struct span text)
{
    return text.bytes_count > 0 ? (const char *)text.data : "";
}

void rights_log(const struct identity *who, enum acl_action action, struct span name, uint32_t line)
{
    log_event(LOG_LEVEL_WARNING, "acl.denied",
              "action=%s name=\"%.*s\" uid=%.*s login=%s:%.*s line=%u", acl_action_word(action),
              shown(name), chars(name), shown(who->uid), chars(who->uid), login_word(who->login),
              shown(who->name), chars(who->name), line);
}

static struct acl_verdict decide(const struct io *io, const struct conn *conn,
                                 enum acl_action action, struct span name)
{
    struct identity who = identity_read(msg_span(conn->identity));

    must(conn->flags & CONN_RULED);
    return acl_decide(io->book->instances[conn->instance_index].acl, &who, action, name);
}

bool rights_would(const struct io *io, const struct conn *conn, enum acl_action action,
                  struct span name)
{
    return !(conn->flags & CONN_RULED) || decide(io, conn, action, name).allowed;
}

bool rights_may(struct io *io, const struct conn *conn, enum acl_action action, struct span name)
{
    if (!(conn->flags & CONN_RULED))
        return true;
    struct acl_verdict verdict = decide(io, conn, action, name);

    if (verdict.allowed)
        return true;
    struct identity who = identity_read(msg_span(conn->identity));

    io_count(io, IO_STAT_ACL_DENIED, 1);
    rights_log(&who, action, name, verdict.line);
    return false;
}
