/*
 * net/holds.h — what each of our connections holds, and who of ours subscribes to what.
 *
 *      conn → held[]: id, flags ──┐ topic, position
 *                                 ↓
 *      (instance, TID) → local_topic → subscriber[]: slot, held_index ──> back to conn
 *
 * The shards are the authority; these lists follow their answers, in lane order. Both sides know
 * where the other is, so adding and removing is O(1) (finding an id within one connection is
 * linear in what it holds; limits.topics_per_client bounds that).
 * Thread: the I/O actor's.
 */
#pragma once

#include "net/io.h"

#define HELD_TOPIC      0x1u /* was given this topic's number */
#define HELD_SUBSCRIBED 0x2u
#define HELD_OBSERVED   0x4u /* a topic or an ETID */
#define HELD_PUBLISH    0x8u /* of a topic, where there is an access list: may publish to it */

struct local_subscriber {
    uint32_t slot_index;
    uint32_t held_index; /* in that connection's held[] */
};

/* Several subscribers. */
struct local_list {
    uint32_t count;
    uint32_t capacity;
    struct local_subscriber subscribers[];
};

/* A topic with at least one subscriber among our connections: 16 bytes for the most common case,
 * a device with a topic of its own. */
struct local_topic {
    uint32_t id;
    uint8_t instance_index;
    bool has_list;
    union {
        struct local_subscriber only; /* !has_list */
        struct local_list *list __attribute__((packed));
    };
};

/* Note that @conn holds @id with @flags (HELD_TOPIC or HELD_OBSERVED).
 * false: over the memory limit; the caller gives the hold back. */
MUST_CHECK bool holds_add(struct io *io, struct conn *conn, uint32_t id, uint32_t flags);

/* The same, and put it into the subscriber list. */
MUST_CHECK bool holds_subscribe(struct io *io, struct conn *conn, uint32_t id);

/* No longer a subscriber, though it still holds the number. Nothing if it was none. */
void holds_unsubscribe(struct io *io, struct conn *conn, uint32_t id);

/* No longer an observer; forgets the id if that was all. */
void holds_unobserve(struct io *io, struct conn *conn, uint32_t id);

/* Does @conn hold @id in any way, or may a pending answer make it so? */
bool holds_maybe(const struct conn *conn, uint32_t id);

/* Was @conn given the topic number @id? */
bool holds_topic_number(const struct conn *conn, uint32_t id);

/* Is it known, without its name, that @conn may publish to this number? false: the shard must say,
 * who knows the name, and says it in the log as well when it is denied. */
bool holds_may_publish(const struct conn *conn, uint32_t id);

/* Note it for a topic that @conn holds; nothing if it does not. */
void holds_judge(struct conn *conn, uint32_t id, bool may_publish);

/* New rules: nothing is known any more. */
void holds_forget_rights(struct conn *conn);

/* Does @conn subscribe to @id? */
bool holds_subscription(const struct conn *conn, uint32_t id);

/* How many ids @conn holds with @flag. O(held); asked once per request, not per message. */
uint32_t holds_count(const struct conn *conn, uint32_t flag);

/* Those ids, four bytes each, to @out. */
void holds_list(const struct conn *conn, uint32_t flag, uint8_t *out);

/* Give everything back: LEAVE to the owner of each id. */
void holds_drop_all(struct io *io, struct conn *conn);

/* For io->topic_ids. */
uint32_t holds_topic_hash_of(const void *owner, uint32_t ref);

/* The subscriber list of a topic, or NULL: nobody of ours. It must not change while walked. */
struct local_topic *holds_topic(struct io *io, uint16_t instance_index, uint32_t id);

static inline const struct local_subscriber *local_subscribers(const struct local_topic *topic)
{
    return topic->has_list ? topic->list->subscribers : &topic->only;
}

static inline uint32_t local_subscriber_count(const struct local_topic *topic)
{
    return topic->has_list ? topic->list->count : 1;
}
