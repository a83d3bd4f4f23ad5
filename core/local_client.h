/*
 * core/local_client.h — a client that lives in an actor of the broker and has no socket.
 *
 *      web or script actor: local_client ──CONNECT SUBSCRIBE PUBLISH …──> shards
 *                                        <──CONNECTED SUBSCRIBED DELIVER …──
 *
 * To the shards it is what a connection of net/ is, and it keeps the same rules (ARCHITECTURE.md,
 * "The rules that keep it right"): its list of holds follows the shards' answers, and a hold that
 * comes when it is closed, or for which there is no memory, goes back. An actor may have several
 * clients, each with a slot_index of its own; every envelope a shard sends to that actor is offered
 * to each of them with local_client_envelope().
 *
 * Its UID is shorter than any that comes over a socket, so nobody outside can take it over.
 *
 * Thread: the actor's. Nothing here blocks. Calls back only from local_client_envelope(), and any
 * function here, local_client_close() too, may be called from there.
 */
#pragma once

#include "core/config.h"
#include "core/mesh.h"
#include "core/pool.h"
#include "core/siphash.h"
#include "core/table.h"

/* What a Publish says. */
struct local_message {
    uint32_t destination; /* a TID or an ETID */
    uint32_t publisher;   /* to publish: 0 means the client's own ETID */
    uint32_t subtopic;
    struct span payload; /* borrowed */
};

/* What can be asked by name. */
enum local_ask { LOCAL_SUBSCRIBE, LOCAL_CREATE, LOCAL_CREATESUB };

/* What the client hears. Spans are borrowed. No field may be NULL, but what is said to. */
struct local_client_calls {
    /* The answer to local_client_connect(): it is live, or closed again. */
    void (*connected)(void *context, enum smq_connack code);
    /* Another local client took the UID over: it is closed. */
    void (*ended)(void *context);
    /* The one answer to a subscribe, create or createsub; @id is 0 when denied. */
    void (*named)(void *context, enum local_ask ask, enum smq_ack_status status, uint32_t id,
                  struct span name);
    /* The one answer to an observe, before the first `changed`; @granted false: an unknown id, its
     * own, or no memory. */
    void (*observed)(void *context, uint32_t id, bool granted);
    void (*changed)(void *context, uint32_t id, uint32_t subscriber_count);
    void (*message)(void *context, const struct local_message *message);
    /* The one answer to a lookup: @id is called @name, or a client has it; id 0, or neither:
     * unknown. NULL for who never looks up. */
    void (*found)(void *context, uint32_t id, struct span name, bool is_client);
};

enum local_client_state { LOCAL_CLOSED = 0, LOCAL_JOINING, LOCAL_LIVE };

struct local_client {
    const struct config *config;
    struct port *port;
    struct mem *mem;
    struct siphash_key name_key;
    const struct local_client_calls *calls;
    void *context;
    uint16_t instance_index;
    enum local_client_state state;
    struct conn_handle handle; /* its generation changes with each connect */
    uint32_t etid;             /* SMQ_ID_NONE unless live */
    uint32_t pending_count;    /* requests for holds that the shards have not answered yet */
    struct pool holds;         /* struct local_hold */
    struct table hold_ids;     /* id → holds */
};

struct local_client_options {
    const struct config *config; /* constant; outlives the client */
    struct port *port;           /* the actor's: it must be a host */
    struct mem *mem;             /* the actor's */
    struct siphash_key name_key; /* the same for all actors */
    uint16_t instance_index;
    uint32_t slot_index; /* among the clients of its actor */
    const struct local_client_calls *calls;
    void *context;
};

void local_client_init(struct local_client *client, const struct local_client_options *options);

/* It must be closed. What the shards still answer is nobody's then, so only once they have ended.
 */
void local_client_deinit(struct local_client *client);

/**
 * Ask to join the instance; it must be closed. @uid: 1 to SMQ_UID_BYTES_MIN - 1 bytes.
 * @is_server: with ETID 1; refused (access denied) when another client has it.
 * Returns: STATUS_NO_MEMORY, and it stays closed; else `connected` comes.
 */
MUST_CHECK enum status local_client_connect(struct local_client *client, struct span uid,
                                            struct span info, bool is_server);

/* Give everything back. Nothing is called back any more until the next connect. */
void local_client_close(struct local_client *client);

/* All below: the client must be live. */

/* STATUS_LIMIT: the name is empty or longer than limits.name; STATUS_NO_MEMORY; else `named` comes.
 */
MUST_CHECK enum status local_client_ask(struct local_client *client, enum local_ask ask,
                                        struct span name);

/* The same of LOCAL_CREATE and LOCAL_CREATESUB, with a number of one's own choice (not 0). It is
 * denied when somebody else has it, or the name has another; granted, it lasts until the broker
 * ends. A denied sub-topic may have used the number up: look the name up before. */
MUST_CHECK enum status local_client_choose(struct local_client *client, enum local_ask ask,
                                           struct span name, uint32_t id);

/* What is the number of this name, or (name empty) the name of this number? Creates nothing.
 * STATUS_NO_MEMORY; else `found` comes. Answers come in order, each from its shard: ask one at a
 * time. */
MUST_CHECK enum status local_client_lookup(struct local_client *client, bool is_subtopic,
                                           struct span name, uint32_t id);
void local_client_unsubscribe(struct local_client *client, uint32_t id);
void local_client_observe(struct local_client *client, uint32_t id);
void local_client_unobserve(struct local_client *client, uint32_t id);

/* STATUS_LIMIT: the payload is over SMQ_PAYLOAD_BYTES_MAX. Who publishes much looks at
 * port_is_clear() first: behind a full lane messages pile up without a bound. */
MUST_CHECK enum status local_client_publish(struct local_client *client,
                                            const struct local_message *message);

/* Is this id subscribed to? */
bool local_client_subscribes(const struct local_client *client, uint32_t id);

/* An envelope from a shard; ignored when it is not about this client. Borrows it and its msg. */
void local_client_envelope(struct local_client *client, const struct envelope *envelope);
