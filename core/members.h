/*
 * core/members.h — a set of connection handles, with flags: who holds a topic, who observes it.
 *
 * One member costs nothing beyond the struct (most topics of devices have one); more live in an
 * open-addressing array of 8-byte words. Thread: the owner's (a shard). O(1) each.
 */
#pragma once

#include "core/envelope.h"
#include "core/mem.h"

#define MEMBER_SUBSCRIBED  0x1u /* otherwise only given the number */
#define MEMBER_GRANT_SHIFT 1u   /* the other flag bits of a holder: the number of its last grant */
#define MEMBER_GRANT_MAX   0x7fffu

struct members {
    uint32_t place[2]; /* one member: its word; more: a pointer to slots of 8 bytes. In halves, so
                        * that the struct needs 12 bytes and no padding where it is embedded */
    uint32_t count : 27;
    uint32_t capacity_log2 : 5; /* 0: no slots, at most one member */
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
