/*
 * net/rights.h — an instance's access list, at the I/O actor: what is asked by name.
 *
 *      Subscribe, Create, Createsub    judged here, before the shard is asked
 *      Publish to a held number        judged when the number was given (net/holds.h, HELD_PUBLISH)
 *      else, and any other number      judged by the shard, which knows its name (JUDGE)
 *
 * A connection of an instance with a list is CONN_RULED; the others pay for the look at that flag.
 * What is denied is counted, and the log names the rule's line. Thread: the I/O actor's.
 */
#pragma once

#include "auth/acl.h"
#include "net/io.h"

/* May @conn do this to @name? Says in the log, and counts, when it may not. */
MUST_CHECK bool rights_may(struct io *io, const struct conn *conn, enum acl_action action,
                           struct span name);

/* The same, silently: what would be. */
bool rights_would(const struct io *io, const struct conn *conn, enum acl_action action,
                  struct span name);

/* Say that something was denied: for the shards too, which have no conn. @line 0: no rule. */
void rights_log(const struct identity *who, enum acl_action action, struct span name,
                uint32_t line);
