/* core/shard_names.c — see core/shard_names.h. Thread: the shard's. */
#include "core/shard_names.h"

#include <string.h>

#include "core/msg.h"

void shard_answer(struct shard *shard, const struct envelope *request, struct envelope answer)
{
    answer.conn = request->conn;
    answer.instance_index = request->instance_index;
    port_push(shard->port, request->conn.host_index, answer);
}

/* -- to another shard, by way of the host -- */

/* Takes the request's msg. */
static void send_elsewhere(struct shard *shard, const struct envelope *request, uint32_t to,
                           struct envelope elsewhere)
{
    elsewhere.kind = ENVELOPE_ELSEWHERE;
    elsewhere.status = request->kind;
    elsewhere.hash = request->hash;
    elsewhere.msg = request->msg;
    elsewhere.count = to;
    must(to != shard->shard_index);
    shard_answer(shard, request, elsewhere);
}

void shard_resend(struct port *port, const struct envelope *envelope)
{
    struct envelope request = *envelope;

    must(envelope->kind == ENVELOPE_ELSEWHERE && envelope->count < port->mesh->shard_count);
    request.kind = envelope->status;
    request.status = 0;
    request.count = 0;
    port_push(port, mesh_shard_index(port->mesh, envelope->count), request);
}

/* -- topics -- */

static uint32_t shard_of_name(const struct shard *shard, const struct envelope *envelope)
{
    return shard_of_topic_name(shard->config, shard->port->mesh, envelope->instance_index,
                               msg_span(envelope->msg), envelope->hash);
}

static bool owns_number(const struct shard *shard, uint32_t id)
{
    return mesh_shard_of_id(shard->port->mesh, id) == shard->shard_index;
}

/* The second half of a chosen number: the name's shard writes down where it is. */
static void place_name(struct shard *shard, const struct envelope *envelope)
{
    struct span name = msg_span(envelope->msg);
    uint16_t instance = envelope->instance_index;
    struct quotas *quotas = shard->quotas;
    uint32_t placed = forward_by_name(shard, instance, name, envelope->hash);
    bool good = placed == envelope->id;

    if (placed == SMQ_ID_NONE && !topic_by_name(shard, instance, name, envelope->hash) &&
        quota_take(&quotas->instances[instance].topics)) {
        good = forward_make(shard, instance, name, envelope->hash, envelope->id);
        if (!good)
            quota_give(&quotas->instances[instance].topics);
    }
    if (!good)
        counter_add(&shard->stats[SHARD_STAT_CHOSEN_TAKEN], 1);
    shard_answer(shard, envelope,
                 (struct envelope){.kind = ENVELOPE_CREATED,
                                   .status = good ? SMQ_ACK_OK : SMQ_ACK_DENIED,
                                   .flags = envelope->grant ? ENVELOPE_NEW : 0,
                                   .grant = envelope->grant,
                                   .id = envelope->id,
                                   .msg = envelope->msg});
}

bool shard_name_is_elsewhere(struct shard *shard, const struct envelope *envelope)
{
    struct span name = msg_span(envelope->msg);

    if (envelope->flags & ENVELOPE_CHOSEN && !owns_number(shard, envelope->id)) {
        place_name(shard, envelope);
        return true;
    }
    if (envelope->id != SMQ_ID_NONE || shard->forwards.used_count == 0)
        return false;
    uint32_t id = forward_by_name(shard, envelope->instance_index, name, envelope->hash);

    if (id == SMQ_ID_NONE)
        return false;
    send_elsewhere(shard, envelope, mesh_shard_of_id(shard->port->mesh, id),
                   (struct envelope){.flags = envelope->flags, .id = id});
    return true;
}

bool shard_may_choose(struct shard *shard, const struct envelope *envelope)
{
    struct span name = msg_span(envelope->msg);
    uint16_t instance = envelope->instance_index;

    if (!(envelope->flags & ENVELOPE_CHOSEN))
        return true;
    const struct topic *named = topic_by_name(shard, instance, name, envelope->hash);

    if (named)
        return named->id == envelope->id;
    return envelope->id > SMQ_ID_SERVER && shard_number_is_free(shard, envelope) &&
           forward_by_name(shard, instance, name, envelope->hash) == SMQ_ID_NONE;
}

bool shard_number_is_free(struct shard *shard, const struct envelope *envelope)
{
    if (envelope->id == SMQ_ID_NONE)
        return true;
    struct entity taken = entity_by_id(shard, envelope->instance_index, envelope->id);

    return !taken.topic && !taken.client;
}

void shard_created(struct shard *shard, const struct envelope *request, struct envelope created)
{
    uint32_t to = request->flags & ENVELOPE_CHOSEN ? shard_of_name(shard, request) : 0;

    if (!(request->flags & ENVELOPE_CHOSEN)) {
        shard_answer(shard, request, created);
    } else if (to != shard->shard_index) {
        send_elsewhere(shard, request, to,
                       (struct envelope){.flags = ENVELOPE_CHOSEN,
                                         .grant = created.grant,
                                         .id = created.id});
    } else {
        /* As in the other case, for ever: firmware knows the number. */
        entity_by_id(shard, request->instance_index, created.id).topic->flags |= TOPIC_PINNED;
        shard_answer(shard, request, created);
    }
}

/* -- sub-topics -- */

static bool is_pinned_sub(const struct shard *shard, const struct envelope *envelope)
{
    const struct config_instance *instance = &shard->config->instances[envelope->instance_index];
    struct span name = msg_span(envelope->msg);

    for (uint32_t i = 0; i < instance->subtopic_count; i++) {
        const struct config_pin *pin = &instance->subtopics[i];

        if (pin->id == envelope->id)
            return strlen(pin->name) == name.bytes_count &&
                   memcmp(pin->name, name.data, name.bytes_count) == 0;
    }
    return false;
}

bool shard_may_choose_sub(struct shard *shard, const struct envelope *envelope,
                          const struct subtopic *subtopic)
{
    struct span name = msg_span(envelope->msg);

    must(envelope->id != SMQ_ID_NONE);
    if (subtopic)
        return subtopic->id == envelope->id;
    if (!owns_number(shard, envelope->id) || is_pinned_sub(shard, envelope))
        return true; /* the number's shard has kept it; or the configuration has */
    const struct subtopic *taken = subtopic_by_id(shard, envelope->instance_index, envelope->id);

    if (taken)
        return taken->name_bytes_count == name.bytes_count &&
               memcmp(taken->name, name.data, name.bytes_count) == 0;
    return subtopic_id_is_free(shard, envelope->instance_index, envelope->id);
}

bool shard_reserve_sub(struct shard *shard, const struct envelope *envelope)
{
    uint32_t to = mesh_shard_of_hash(shard->port->mesh, envelope->hash);
    uint16_t instance = envelope->instance_index;

    if (to == shard->shard_index)
        return false;
    must(owns_number(shard, envelope->id));
    if (!is_pinned_sub(shard, envelope) && !subtopic_by_id(shard, instance, envelope->id)) {
        struct quota *quota = &shard->quotas->instances[instance].subtopics;
        bool took = quota_take(quota);

        if (!took || !subtopic_reserve(shard, instance, msg_span(envelope->msg), envelope->hash,
                                       envelope->id)) {
            if (took)
                quota_give(quota);
            counter_add(&shard->stats[SHARD_STAT_SUBTOPIC_LIMIT], 1);
            shard_answer(shard, envelope,
                         (struct envelope){.kind = ENVELOPE_SUBCREATED,
                                           .status = SMQ_ACK_DENIED,
                                           .msg = envelope->msg});
            return true;
        }
    }
    send_elsewhere(shard, envelope, to,
                   (struct envelope){.flags = ENVELOPE_CHOSEN, .id = envelope->id});
    return true;
}

/* -- questions -- */

/* The number of a name, or 0. */
static uint32_t id_of_name(struct shard *shard, const struct envelope *envelope)
{
    struct span name = msg_span(envelope->msg);
    uint16_t instance = envelope->instance_index;

    if (envelope->flags & ENVELOPE_SUBTOPIC) {
        const struct subtopic *subtopic = subtopic_by_name(shard, instance, name, envelope->hash);

        return subtopic ? subtopic->id : SMQ_ID_NONE;
    }
    const struct topic *topic = topic_by_name(shard, instance, name, envelope->hash);

    return topic ? topic->id : forward_by_name(shard, instance, name, envelope->hash);
}

static struct span name_of_id(struct shard *shard, const struct envelope *envelope)
{
    uint16_t instance = envelope->instance_index;

    if (envelope->flags & ENVELOPE_SUBTOPIC) {
        const struct subtopic *subtopic = subtopic_by_id(shard, instance, envelope->id);

        return subtopic ? span_of(subtopic->name, subtopic->name_bytes_count) : span_of(NULL, 0);
    }
    const struct topic *topic = entity_by_id(shard, instance, envelope->id).topic;

    return topic ? topic_name(topic) : span_of(NULL, 0);
}

void shard_lookup(struct shard *shard, const struct envelope *envelope)
{
    struct envelope found = {.kind = ENVELOPE_FOUND, .id = envelope->id, .msg = envelope->msg};

    if (envelope->msg) {
        found.id = id_of_name(shard, envelope);
    } else {
        struct span name = name_of_id(shard, envelope);

        found.msg = name.bytes_count > 0 ? msg_copy(&shard->mem, name) : NULL;
        if (!(envelope->flags & ENVELOPE_SUBTOPIC) &&
            entity_by_id(shard, envelope->instance_index, envelope->id).client)
            found.flags = ENVELOPE_CLIENT;
    }
    shard_answer(shard, envelope, found);
}
