/* core/local_client.c — see core/local_client.h. Thread: the actor's. */
#include "core/local_client.h"

#include <string.h>

#include "core/identity.h"
#include "core/msg.h"
#include "core/shard.h"

#define HOLD_TOPIC      0x1u /* was given this topic's number */
#define HOLD_SUBSCRIBED 0x2u
#define HOLD_OBSERVED   0x4u

struct local_hold {
    uint32_t id;
    uint32_t flags; /* HOLD_* */
};

/* -- what it holds -- */

static uint32_t hold_hash_of(const void *owner, uint32_t ref)
{
    const struct local_client *client = owner;
    const struct local_hold *hold = pool_at(&client->holds, ref);

    return hash_u32(hold->id);
}

static struct local_hold *hold_find(const struct local_client *client, uint32_t id, uint32_t *index)
{
    struct table_probe probe = table_find(&client->hold_ids, hash_u32(id));

    while (table_next(&client->hold_ids, &probe)) {
        struct local_hold *hold = pool_at(&client->holds, probe.ref);

        *index = probe.ref;
        if (hold->id == id)
            return hold;
    }
    return NULL;
}

static uint32_t hold_flags(const struct local_client *client, uint32_t id)
{
    uint32_t unused;
    const struct local_hold *hold = hold_find(client, id, &unused);

    return hold ? hold->flags : 0;
}

/* false: over the memory limit, nothing changed. */
static bool hold_set(struct local_client *client, uint32_t id, uint32_t flags)
{
    uint32_t index;
    struct local_hold *hold = hold_find(client, id, &index);

    if (!hold) {
        hold = pool_get(&client->holds, client->mem, &index);
        if (!hold)
            return false;
        hold->id = id;
        if (table_insert(&client->hold_ids, client->mem, hash_u32(id), index) != STATUS_OK) {
            pool_put(&client->holds, client->mem, index);
            return false;
        }
    }
    hold->flags |= flags;
    return true;
}

static void hold_clear(struct local_client *client, uint32_t id, uint32_t flags)
{
    uint32_t index;
    struct local_hold *hold = hold_find(client, id, &index);

    if (!hold)
        return;
    hold->flags &= ~flags;
    if (hold->flags != 0)
        return;
    table_remove(&client->hold_ids, client->mem, hash_u32(id), index);
    pool_put(&client->holds, client->mem, index);
}

/* -- requests -- */

static void push_to_shard(struct local_client *client, uint32_t shard, struct envelope envelope)
{
    envelope.instance_index = client->instance_index;
    envelope.conn = client->handle;
    port_push(client->port, mesh_shard_index(client->port->mesh, shard), envelope);
}

static void push_to_owner(struct local_client *client, struct envelope envelope)
{
    push_to_shard(client, mesh_shard_of_id(client->port->mesh, envelope.id), envelope);
}

void local_client_init(struct local_client *client, const struct local_client_options *options)
{
    must(options->port->index < options->port->mesh->host_count);
    must(options->slot_index < LIMIT_CONNS_PER_IO);
    *client = (struct local_client){.config = options->config,
                                    .port = options->port,
                                    .mem = options->mem,
                                    .name_key = options->name_key,
                                    .calls = options->calls,
                                    .context = options->context,
                                    .instance_index = options->instance_index,
                                    .handle = {.host_index = options->port->index,
                                               .slot_index = options->slot_index}};
    pool_init(&client->holds, MEM_HELD, sizeof(struct local_hold));
    table_init(&client->hold_ids, hold_hash_of, client);
}

void local_client_deinit(struct local_client *client)
{
    must(client->state == LOCAL_CLOSED);
    pool_deinit(&client->holds, client->mem);
    table_deinit(&client->hold_ids, client->mem);
}

enum status local_client_connect(struct local_client *client, struct span uid, struct span info,
                                 bool is_server)
{
    const struct mesh *mesh = client->port->mesh;

    must(client->state == LOCAL_CLOSED);
    must(uid.bytes_count >= 1 && uid.bytes_count < SMQ_UID_BYTES_MIN);
    info.bytes_count = min_size(info.bytes_count, LIMIT_INFO_BYTES);
    struct identity identity = {.uid = uid, .login = LOGIN_ANONYMOUS, .info = info};
    struct msg *msg = msg_new(client->mem, identity_bytes(&identity));

    if (!msg)
        return STATUS_NO_MEMORY;
    identity_write(&identity, msg->bytes);
    uint64_t hash = siphash(&client->name_key, uid);

    client->state = LOCAL_JOINING;
    if (++client->handle.generation == 0)
        client->handle.generation = 1;
    push_to_shard(client,
                  is_server ? mesh_shard_of_id(mesh, SMQ_ID_SERVER)
                            : mesh_shard_of_hash(mesh, hash),
                  (struct envelope){.kind = ENVELOPE_CONNECT,
                                    .flags = is_server ? ENVELOPE_SERVER : 0,
                                    .hash = hash,
                                    .msg = msg});
    return STATUS_OK;
}

void local_client_close(struct local_client *client)
{
    struct table *ids = &client->hold_ids;

    for (uint32_t i = 0; (i = pool_next_used(&client->holds, i)) != UINT32_MAX; i++) {
        const struct local_hold *hold = pool_at(&client->holds, i);

        push_to_owner(client, (struct envelope){.kind = ENVELOPE_LEAVE, .id = hold->id});
    }
    pool_deinit(&client->holds, client->mem);
    table_deinit(ids, client->mem);
    pool_init(&client->holds, MEM_HELD, sizeof(struct local_hold));
    if (client->state == LOCAL_LIVE)
        push_to_owner(client, (struct envelope){.kind = ENVELOPE_GONE, .id = client->etid});
    client->state = LOCAL_CLOSED;
    client->etid = SMQ_ID_NONE;
    client->pending_count = 0;
}

static enum envelope_kind request_of(enum local_ask ask)
{
    switch (ask) {
    case LOCAL_SUBSCRIBE:
        return ENVELOPE_SUBSCRIBE;
    case LOCAL_CREATE:
        return ENVELOPE_CREATE;
    case LOCAL_CREATESUB:
        return ENVELOPE_CREATESUB;
    }
    must_never("an unknown request");
}

static uint32_t shard_of_name(const struct local_client *client, bool is_subtopic, struct span name,
                              uint64_t hash)
{
    const struct mesh *mesh = client->port->mesh;

    return is_subtopic
               ? mesh_shard_of_hash(mesh, hash)
               : shard_of_topic_name(client->config, mesh, client->instance_index, name, hash);
}

/* @id: chosen, or 0. */
static enum status ask_for(struct local_client *client, enum local_ask ask, struct span name,
                           uint32_t id)
{
    uint64_t hash = siphash(&client->name_key, name);
    uint32_t shard = id ? mesh_shard_of_id(client->port->mesh, id)
                        : shard_of_name(client, ask == LOCAL_CREATESUB, name, hash);

    must(client->state == LOCAL_LIVE);
    if (name.bytes_count == 0 || name.bytes_count > client->config->limits.name_bytes_max)
        return STATUS_LIMIT;
    struct msg *copy = msg_copy(client->mem, name);
    if (!copy)
        return STATUS_NO_MEMORY;
    client->pending_count++;
    push_to_shard(client, shard,
                  (struct envelope){.kind = (uint8_t)request_of(ask),
                                    .flags = id ? ENVELOPE_CHOSEN : 0,
                                    .id = id,
                                    .hash = hash,
                                    .msg = copy});
    return STATUS_OK;
}

enum status local_client_ask(struct local_client *client, enum local_ask ask, struct span name)
{
    return ask_for(client, ask, name, SMQ_ID_NONE);
}

enum status local_client_choose(struct local_client *client, enum local_ask ask, struct span name,
                                uint32_t id)
{
    must(ask != LOCAL_SUBSCRIBE && id != SMQ_ID_NONE);
    return ask_for(client, ask, name, id);
}

enum status local_client_lookup(struct local_client *client, bool is_subtopic, struct span name,
                                uint32_t id)
{
    uint64_t hash = siphash(&client->name_key, name);
    bool is_by_name = name.bytes_count > 0;
    struct msg *copy = is_by_name ? msg_copy(client->mem, name) : NULL;

    must(client->state == LOCAL_LIVE && client->calls->found);
    if (is_by_name && !copy)
        return STATUS_NO_MEMORY;
    client->pending_count++;
    push_to_shard(client,
                  is_by_name ? shard_of_name(client, is_subtopic, name, hash)
                             : mesh_shard_of_id(client->port->mesh, id),
                  (struct envelope){.kind = ENVELOPE_LOOKUP,
                                    .flags = is_subtopic ? ENVELOPE_SUBTOPIC : 0,
                                    .id = is_by_name ? SMQ_ID_NONE : id,
                                    .hash = hash,
                                    .msg = copy});
    return STATUS_OK;
}

/* Is there, or may a pending answer bring, something to end? */
static bool holds_maybe(const struct local_client *client, uint32_t id)
{
    return client->pending_count > 0 || hold_flags(client, id) != 0;
}

void local_client_unsubscribe(struct local_client *client, uint32_t id)
{
    must(client->state == LOCAL_LIVE);
    if (holds_maybe(client, id))
        push_to_owner(client, (struct envelope){.kind = ENVELOPE_UNSUBSCRIBE, .id = id});
}

void local_client_observe(struct local_client *client, uint32_t id)
{
    must(client->state == LOCAL_LIVE);
    client->pending_count++;
    push_to_owner(client, (struct envelope){.kind = ENVELOPE_OBSERVE, .id = id});
}

void local_client_unobserve(struct local_client *client, uint32_t id)
{
    must(client->state == LOCAL_LIVE);
    if (holds_maybe(client, id))
        push_to_owner(client, (struct envelope){.kind = ENVELOPE_UNOBSERVE, .id = id});
}

enum status local_client_publish(struct local_client *client, const struct local_message *message)
{
    size_t payload_bytes = message->payload.bytes_count;
    uint32_t publisher = message->publisher ? message->publisher : client->etid;

    must(client->state == LOCAL_LIVE);
    if (payload_bytes > SMQ_PAYLOAD_BYTES_MAX)
        return STATUS_LIMIT;
    struct msg *run = msg_new(client->mem, SMQ_PUBLISH_HEADER_BYTES + payload_bytes);

    if (!run)
        return STATUS_NO_MEMORY;
    smq_store_u16(run->bytes, (uint16_t)run->bytes_count);
    run->bytes[SMQ_LENGTH_BYTES] = SMQ_PUBLISH;
    smq_store_u32(run->bytes + SMQ_HEADER_BYTES, message->destination);
    smq_store_u32(run->bytes + SMQ_HEADER_BYTES + 4, publisher);
    smq_store_u32(run->bytes + SMQ_HEADER_BYTES + 8, message->subtopic);
    if (payload_bytes > 0)
        memcpy(run->bytes + SMQ_PUBLISH_HEADER_BYTES, message->payload.data, payload_bytes);
    push_to_owner(client, (struct envelope){.kind = ENVELOPE_PUBLISH,
                                            .id = message->destination,
                                            .etid = publisher,
                                            .count = 1,
                                            .msg = run});
    return STATUS_OK;
}

bool local_client_subscribes(const struct local_client *client, uint32_t id)
{
    return hold_flags(client, id) & HOLD_SUBSCRIBED;
}

/* -- answers -- */

/* Is it about the client as it is now, not about an earlier life? */
static bool is_current(const struct local_client *client, const struct envelope *envelope)
{
    return client->state != LOCAL_CLOSED && conn_handle_equal(client->handle, envelope->conn);
}

/* A hold nobody can take goes back, by its handle and grant. */
static void give_back(struct local_client *client, const struct envelope *envelope,
                      enum envelope_kind kind)
{
    const struct mesh *mesh = client->port->mesh;

    port_push(client->port, mesh_shard_index(mesh, mesh_shard_of_id(mesh, envelope->id)),
              (struct envelope){.kind = (uint8_t)kind,
                                .instance_index = envelope->instance_index,
                                .grant = envelope->grant,
                                .id = envelope->id,
                                .conn = envelope->conn});
}

static void take_answer(struct local_client *client)
{
    must(client->pending_count > 0);
    client->pending_count--;
}

static void on_connected(struct local_client *client, const struct envelope *envelope)
{
    bool accepted = envelope->status == SMQ_CONNACK_ACCEPTED;

    if (!is_current(client, envelope)) {
        if (accepted)
            give_back(client, envelope, ENVELOPE_GONE);
        return;
    }
    must(client->state == LOCAL_JOINING);
    client->state = accepted ? LOCAL_LIVE : LOCAL_CLOSED;
    client->etid = accepted ? envelope->id : SMQ_ID_NONE;
    client->calls->connected(client->context, (enum smq_connack)envelope->status);
}

static void on_kick(struct local_client *client, const struct envelope *envelope)
{
    if (!is_current(client, envelope))
        return;
    local_client_close(client);
    client->calls->ended(client->context);
}

/* Record a new hold, or give it back. Returns: is it there now? */
static bool take_hold(struct local_client *client, const struct envelope *envelope, uint32_t flags)
{
    if (hold_set(client, envelope->id, flags))
        return true;
    give_back(client, envelope, ENVELOPE_RELEASE); /* all of it: nothing was held before */
    return false;
}

/* SUBSCRIBED and CREATED. "You have it already" is believed only while it is so here: a hold that
 * was just given back may be one step behind this answer. */
static void on_hold(struct local_client *client, const struct envelope *envelope)
{
    bool subscribed = envelope->kind == ENVELOPE_SUBSCRIBED;
    bool is_new = envelope->flags & ENVELOPE_NEW;
    uint32_t flags = HOLD_TOPIC | (subscribed ? HOLD_SUBSCRIBED : 0);

    if (!is_current(client, envelope)) {
        if (is_new)
            give_back(client, envelope, ENVELOPE_LEAVE);
        return;
    }
    take_answer(client);
    if (envelope->status != SMQ_ACK_OK && is_new) /* a chosen number, whose name is not free */
        give_back(client, envelope, ENVELOPE_RELEASE);
    bool granted = envelope->status == SMQ_ACK_OK &&
                   (is_new ? take_hold(client, envelope, flags)
                           : (hold_flags(client, envelope->id) & flags) == flags);

    client->calls->named(client->context, subscribed ? LOCAL_SUBSCRIBE : LOCAL_CREATE,
                         granted ? SMQ_ACK_OK : SMQ_ACK_DENIED,
                         granted ? envelope->id : SMQ_ID_NONE, msg_span(envelope->msg));
}

static void on_subcreated(struct local_client *client, const struct envelope *envelope)
{
    if (!is_current(client, envelope))
        return;
    take_answer(client);
    client->calls->named(client->context, LOCAL_CREATESUB, (enum smq_ack_status)envelope->status,
                         envelope->id, msg_span(envelope->msg));
}

static void on_found(struct local_client *client, const struct envelope *envelope)
{
    if (!is_current(client, envelope))
        return;
    take_answer(client);
    client->calls->found(client->context, envelope->id,
                         envelope->msg ? msg_span(envelope->msg) : span_of(NULL, 0),
                         envelope->flags & ENVELOPE_CLIENT);
}

static void on_elsewhere(struct local_client *client, const struct envelope *envelope)
{
    struct envelope request = *envelope;

    request.msg = msg_ref(envelope->msg);
    shard_resend(client->port, &request);
}

static void on_unsubscribed(struct local_client *client, const struct envelope *envelope)
{
    if (is_current(client, envelope))
        hold_clear(client, envelope->id, HOLD_SUBSCRIBED);
}

static void on_observed(struct local_client *client, const struct envelope *envelope)
{
    take_answer(client);
    if (envelope->flags & ENVELOPE_NEW && !hold_set(client, envelope->id, HOLD_OBSERVED))
        give_back(client, envelope, ENVELOPE_UNOBSERVE);
    client->calls->observed(client->context, envelope->id,
                            hold_flags(client, envelope->id) & HOLD_OBSERVED);
}

static void on_change(struct local_client *client, const struct envelope *envelope)
{
    uint16_t generation = client->handle.generation;

    if (!is_current(client, envelope)) {
        if (envelope->flags & ENVELOPE_NEW)
            give_back(client, envelope, ENVELOPE_LEAVE);
        return;
    }
    if (envelope->flags & ENVELOPE_REPLY)
        on_observed(client, envelope);
    if (client->state == LOCAL_CLOSED || client->handle.generation != generation)
        return; /* closed while it was told */
    if (envelope->flags & ENVELOPE_ENDED)
        hold_clear(client, envelope->id, HOLD_OBSERVED);
    if (!(envelope->flags & ENVELOPE_SILENT))
        client->calls->changed(client->context, envelope->id, envelope->count);
}

/* -- messages -- */

/* The frames of a run, one by one, for as long as the client stays. */
static void tell_run(struct local_client *client, const struct msg *run)
{
    uint16_t generation = client->handle.generation;

    for (struct span rest = msg_span(run); rest.bytes_count > 0;) {
        const uint8_t *frame = rest.data;
        size_t frame_bytes = smq_load_u16(frame);

        if (client->state != LOCAL_LIVE || client->handle.generation != generation)
            return;
        must(frame_bytes >= SMQ_PUBLISH_HEADER_BYTES && frame_bytes <= rest.bytes_count);
        struct local_message message = {.destination = smq_load_u32(frame + SMQ_HEADER_BYTES),
                                        .publisher = smq_load_u32(frame + SMQ_HEADER_BYTES + 4),
                                        .subtopic = smq_load_u32(frame + SMQ_HEADER_BYTES + 8),
                                        .payload = span_of(frame + SMQ_PUBLISH_HEADER_BYTES,
                                                           frame_bytes - SMQ_PUBLISH_HEADER_BYTES)};

        client->calls->message(client->context, &message);
        rest = span_skip(rest, frame_bytes);
    }
}

static void on_deliver(struct local_client *client, const struct envelope *envelope)
{
    if (local_client_subscribes(client, envelope->id))
        tell_run(client, envelope->msg);
}

static void on_direct(struct local_client *client, const struct envelope *envelope)
{
    if (is_current(client, envelope))
        tell_run(client, envelope->msg);
}

void local_client_envelope(struct local_client *client, const struct envelope *envelope)
{
    if (envelope->instance_index != client->instance_index ||
        (envelope->kind != ENVELOPE_DELIVER &&
         envelope->conn.slot_index != client->handle.slot_index))
        return;
    switch (envelope->kind) {
    case ENVELOPE_CONNECTED:
        on_connected(client, envelope);
        return;
    case ENVELOPE_KICK:
        on_kick(client, envelope);
        return;
    case ENVELOPE_SUBSCRIBED:
    case ENVELOPE_CREATED:
        on_hold(client, envelope);
        return;
    case ENVELOPE_SUBCREATED:
        on_subcreated(client, envelope);
        return;
    case ENVELOPE_UNSUBSCRIBED:
        on_unsubscribed(client, envelope);
        return;
    case ENVELOPE_CHANGE:
        on_change(client, envelope);
        return;
    case ENVELOPE_FOUND:
        on_found(client, envelope);
        return;
    case ENVELOPE_ELSEWHERE:
        on_elsewhere(client, envelope);
        return;
    case ENVELOPE_DELIVER:
        on_deliver(client, envelope);
        return;
    case ENVELOPE_DIRECT:
        on_direct(client, envelope);
        return;
    default:
        must_never("an envelope that shards do not send to hosts");
    }
}
