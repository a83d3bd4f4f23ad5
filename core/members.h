/*
 * core/members.h — a set of connection handles, with flags: who holds a topic, who observes it.
 *
 * One member costs nothing beyond the struct (most topics of devices have one); more live in an
 * open-addressing array of 8-byte words. Thread: the owner's (a shard). O(1) each.
 */
#pragma once

#include "core/envelope.h"
#include "core/mem.h"

#define MEMBER_SUBSCRIBED 0x1u /* otherwise only given the number */

struct members {
    union {
        uint64_t only;   /* capacity 0: the one member, or 0 */
        uint64_t *words; /* capacity > 0: 0 is an empty slot */
    };
    uint32_t count;
    uint32_t capacity; /* slots: 0 or a power of two */
};

enum members_result { MEMBERS_ADDED, MEMBERS_CHANGED, MEMBERS_SAME, MEMBERS_NO_MEMORY };

/* Add @conn, or set further flags of it. */
MUST_CHECK enum members_result members_add(struct members *members, struct mem *mem,
                                           struct conn_handle conn, uint32_t flags);

/* Is @conn in it? Its flags then come in *@flags. */
MUST_CHECK bool members_find(const struct members *members, struct conn_handle conn,
                             uint32_t *flags);

/* Clear flags of a member that is in it. */
void members_clear(struct members *members, struct conn_handle conn, uint32_t flags);

/* Remove. Returns: was it there? Its flags then come in *@flags. */
bool members_remove(struct members *members, struct mem *mem, struct conn_handle conn,
                    uint32_t *flags);

/* Walk all: *@cursor starts at 0. False: no more. The set must not change meanwhile. */
MUST_CHECK bool members_next(const struct members *members, uint32_t *cursor,
                             struct conn_handle *conn, uint32_t *flags);

void members_deinit(struct members *members, struct mem *mem);
