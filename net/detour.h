/*
 * net/detour.h — requests that go past an instance's script before a shard sees them
 * (core/hooks.h).
 *
 *      session_connect.c   Connect ──FACTS, CONNECT──> script ──CONNECT──> back here ──> shard
 *      session_frames.c    Subscribe, Create, Createsub, Publish ──> script ──> shard
 *      session.c, session_answers.c    PEER_JOINED, PEER_LEFT ──> script
 *
 * Only who asks waits, never the I/O thread. Whoever asks for a name is CONN_HELD, and its frames
 * behind it wait, until the answer comes: so nothing of one client overtakes a hook's verdict.
 * Publishes stream. When the lane to the script is full, what is for it stands in a line here, and
 * who published is CONN_HELD until that has moved on: so a connection has at most one request in
 * line, and TCP tells who sends more than a script can take. The script's host says ROOM.
 *
 * A Publish that only its shard can judge (JUDGE) goes there first and comes back, its sender
 * CONN_HELD meanwhile: the script sees nothing that the access list forbids.
 *
 * Thread: the I/O actor's.
 */
#pragma once

#include "core/hooks.h"
#include "net/io.h"

/* Of one I/O actor, for one instance. */
struct detour {
    struct hooks *hooks;
    struct envelope *waiting; /* a ring of `capacity`; NULL: nothing waits */
    uint32_t first;
    uint32_t count;
    uint32_t capacity;
};

/* Boot and shutdown; main's. @hooks: [instance_count]; NULL: no instance has a script. What waits
 * at the end is dropped. */
MUST_CHECK enum status detours_init(struct io *io, struct hooks *hooks);
void detours_deinit(struct io *io);

/* The head of the request by which a session begins: kept for the script, if there is one. */
void detour_keep_head(struct io *io, struct conn *conn, struct span head);

/* Has the script so much to do that a Connect is better refused? Who connects and closes again and
 * again leaves requests behind in the line, and they are large: beyond what all handshakes under
 * way and as many that closed can have made, the line takes no more. */
bool detour_is_full(struct io *io, const struct conn *conn);

/* A Connect has been parsed: add what the script's `authenticate` may want to know. false: no
 * memory. */
MUST_CHECK bool detour_keep_facts(struct io *io, struct conn *conn, struct span credentials,
                                  uint32_t seed);

/* Push @request, of @conn, to where it goes first: the script host when it wants it, else the
 * shard. Takes the reference in it. */
void detour_connect(struct io *io, struct conn *conn, uint32_t shard, struct envelope request);
void detour_name(struct io *io, struct conn *conn, uint32_t shard, struct envelope request);
void detour_unsubscribe(struct io *io, struct conn *conn, uint32_t shard, struct envelope request);
void detour_publish(struct io *io, struct conn *conn, uint32_t shard, struct envelope request);

/* How long this connection may take, by its instance's script or the configuration. */
struct hooks_times detour_times(const struct io *io, const struct conn *conn);

/* The client is live; or it has gone, live or not. */
void detour_joined(struct io *io, struct conn *conn);
void detour_left(struct io *io, struct conn *conn);

/* May a request of this client have to wait for a script? */
bool detour_may_hold(struct io *io, const struct conn *conn);

/* The answer that @conn was held for has come. Afterwards the connection may be leaving or closing.
 */
void detour_answered(struct io *io, struct conn *conn);

/* A CONNECT that the script has accepted: on to its shard, if the connection is still there. Else
 * it could take over a newer one of the same UID. Takes its message then. */
void detour_accepted(struct io *io, struct envelope *connect);

/* A PUBLISH that its shard has judged: on to the script, or without a message: it may not. Takes
 * the message. */
void detour_judged(struct io *io, struct envelope *publish);

/* A turn: what waits moves on as far as there is room. */
void io_detour_step(struct io *io);

/* Does anything wait? */
bool io_detours_are_empty(const struct io *io);
