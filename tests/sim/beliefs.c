/* tests/sim/beliefs.c — see tests/sim/beliefs.h. Thread: one. */
#include "tests/sim/beliefs.h"

#include <string.h>

#include "tests/sim/journal.h"
#include "tests/sim/kernel.h"
#include "tests/sim/messages.h"

static struct knowledge *knowledge_of(struct sim *sim, const struct link *link)
{
    return &sim->model.knowledge[link->index];
}

struct belief *belief_find(struct sim *sim, const struct link *link, uint32_t id)
{
    struct knowledge *knowledge = knowledge_of(sim, link);

    for (uint32_t i = 0; i < knowledge->belief_count; i++)
        if (knowledge->beliefs[i].id == id)
            return &knowledge->beliefs[i];
    return NULL;
}

struct belief *belief_of(struct sim *sim, const struct link *link, uint32_t id, uint8_t kind,
                         uint8_t name)
{
    struct knowledge *knowledge = knowledge_of(sim, link);
    struct belief *belief = belief_find(sim, link, id);

    if (belief)
        return belief;
    if (knowledge->belief_count == BELIEFS_MAX)
        return NULL;
    belief = &knowledge->beliefs[knowledge->belief_count++];
    *belief = (struct belief){.id = id, .kind = kind, .name = name};
    return belief;
}

bool beliefs_have_room(struct sim *sim, const struct link *link)
{
    const struct knowledge *knowledge = knowledge_of(sim, link);

    return knowledge->request_count + link->deed_count + 4 < REQUESTS_MAX &&
           knowledge->belief_count + link->deed_count + 4 < BELIEFS_MAX;
}

void beliefs_retire(struct sim *sim, uint32_t instance, uint32_t id)
{
    if (id != SMQ_ID_NONE)
        sim->model.old_ids[instance][sim->model.old_id_count++ % 8] = id;
}

/* -- requests -- */

static const struct name *name_of(const struct sim *sim, uint8_t type, uint8_t index)
{
    return type == SMQ_CREATESUB ? &sim->scenario.subnames[index] : &sim->scenario.names[index];
}

static uint32_t shard_of_request(const struct sim *sim, const struct link *link,
                                 const struct deed *deed)
{
    if (deed->type == SMQ_CREATESUB)
        return world_shard_of_subname(&sim->world, name_of(sim, deed->type, deed->name));
    if (deed->type == SMQ_OBSERVE)
        return world_shard_of_id(&sim->world, deed->id);
    if (deed->name == NAME_EMPTY || deed->name == NAME_TOO_LONG)
        return SHARD_NONE;
    return world_shard_of_name(&sim->world, link->instance, name_of(sim, deed->type, deed->name));
}

static void add_request(struct sim *sim, const struct link *link, const struct deed *deed,
                        uint32_t number)
{
    struct knowledge *knowledge = knowledge_of(sim, link);

    must(knowledge->request_count < REQUESTS_MAX);
    knowledge->requests[knowledge->request_count++] =
        (struct request){.number = number,
                         .type = deed->type,
                         .name = deed->name,
                         .id = deed->id,
                         .shard = shard_of_request(sim, link, deed)};
}

static void remove_request(struct knowledge *knowledge, uint32_t index)
{
    knowledge->request_count--;
    memmove(&knowledge->requests[index], &knowledge->requests[index + 1],
            sizeof(struct request) * (knowledge->request_count - index));
}

/* The oldest unanswered Observe of @id, or UINT32_MAX. */
static uint32_t find_observe(const struct knowledge *knowledge, uint32_t id)
{
    for (uint32_t i = 0; i < knowledge->request_count; i++)
        if (knowledge->requests[i].type == SMQ_OBSERVE && knowledge->requests[i].id == id)
            return i;
    return UINT32_MAX;
}

static void fed_unsubscribe(struct sim *sim, struct link *link, const struct deed *deed,
                            uint32_t number)
{
    struct belief *belief = belief_of(sim, link, deed->id, deed->id_kind, deed->name);

    if (!belief)
        return;
    belief->unsubscribe_number = number;
    if (belief->subscription == SUB_ON)
        belief->subscription = SUB_ENDING;
}

static void fed_observe(struct sim *sim, struct link *link, const struct deed *deed,
                        uint32_t number)
{
    struct belief *belief = belief_of(sim, link, deed->id, deed->id_kind, deed->name);

    must(belief);
    if (deed->id == link->etid) /* (13) ignored, and answered by nothing */
        return;
    belief->observe_number = number;
    belief->observe_count++;
    if (belief->observation == OBS_NONE)
        belief->observation = OBS_ASKED;
    else if (belief->observation == OBS_ENDING)
        belief->observation = OBS_UNSURE;
    add_request(sim, link, deed, number);
}

static void fed_unobserve(struct sim *sim, struct link *link, const struct deed *deed,
                          uint32_t number)
{
    struct belief *belief = belief_of(sim, link, deed->id, deed->id_kind, deed->name);

    if (!belief || belief->observation == OBS_NONE)
        return;
    belief->unobserve_number = number;
    belief->observation = OBS_ENDING;
}

void beliefs_fed(struct sim *sim, struct link *link, const struct deed *deed)
{
    uint32_t number = ++knowledge_of(sim, link)->next_number;

    if (deed->type == SMQ_UNSUBSCRIBE)
        fed_unsubscribe(sim, link, deed, number);
    else if (deed->type == SMQ_OBSERVE)
        fed_observe(sim, link, deed, number);
    else if (deed->type == SMQ_UNOBSERVE)
        fed_unobserve(sim, link, deed, number);
    else
        add_request(sim, link, deed, number);
}

/* -- answers settle what was asked before -- */

/* May an Observe be refused? Nobody tells the client; and until its I/O actor has given back what
 * the shard had granted, a Change may slip through. */
static bool may_be_silent(const struct sim *sim)
{
    return sim->scenario.tight_limits || scenario_has_faults(&sim->scenario);
}

static void settle_belief(struct sim *sim, const struct link *link, struct belief *belief,
                          uint32_t number)
{
    if (belief->subscription == SUB_ENDING && belief->unsubscribe_number < number)
        belief->subscription = SUB_NONE;
    if (belief->observation == OBS_ENDING && belief->unobserve_number < number) {
        belief->observation = OBS_NONE;
        belief->observe_count = 0;
        belief->has_count = false;
    }
    if (belief->kind != ID_TOPIC || belief->observe_number >= number)
        return;
    if (belief->observation == OBS_ASKED) { /* refused in silence; some Changes may slip through */
        expect(may_be_silent(sim), "link %u: its Observe of topic %u was not answered (12)",
               link->index, belief->id);
        belief->observation = OBS_UNSURE;
    } else if (belief->observation == OBS_UNSURE && !may_be_silent(sim)) {
        belief->observation = OBS_ON;
    }
}

/* Shard @shard has answered request @number, so it has handled all before. */
static void settle_before(struct sim *sim, struct link *link, uint32_t shard, uint32_t number)
{
    struct knowledge *knowledge = knowledge_of(sim, link);

    for (uint32_t i = 0; i < knowledge->request_count;) {
        const struct request *request = &knowledge->requests[i];

        if (request->shard != shard || request->number >= number) {
            i++;
            continue;
        }
        expect(request->type == SMQ_OBSERVE || scenario_has_faults(&sim->scenario),
               "link %u: request %u was answered before number %u, which its shard had first",
               link->index, number, request->number);
        if (request->type == SMQ_OBSERVE)
            remove_request(knowledge, i); /* answered by silence */
        else
            i++;
    }
    for (uint32_t i = 0; i < knowledge->belief_count; i++)
        if (world_shard_of_id(&sim->world, knowledge->beliefs[i].id) == shard)
            settle_belief(sim, link, &knowledge->beliefs[i], number);
}

/* -- Suback, Createack, Createsuback -- */

static uint8_t request_type_of(enum smq_packet ack)
{
    return ack == SMQ_SUBACK ? SMQ_SUBSCRIBE : ack == SMQ_CREATEACK ? SMQ_CREATE : SMQ_CREATESUB;
}

static bool is_named(const struct name *name, struct span text)
{
    return name->bytes_count == text.bytes_count &&
           (text.bytes_count == 0 || memcmp(name->bytes, text.data, text.bytes_count) == 0);
}

/* The oldest unanswered request of this type and name. */
static uint32_t find_request(struct sim *sim, const struct link *link, uint8_t type,
                             struct span text)
{
    const struct knowledge *knowledge = knowledge_of(sim, link);

    for (uint32_t i = 0; i < knowledge->request_count; i++) {
        const struct request *request = &knowledge->requests[i];

        if (request->type == type && is_named(name_of(sim, type, request->name), text))
            return i;
    }
    journal_fail("link %u: an answer to a request of type %u that it did not make", link->index,
                 type);
}

/* Out of memory, the I/O actor refuses at once: ahead of an older request for the same name. */
static void note_doubt(struct sim *sim, const struct link *link, const struct request *refused)
{
    struct knowledge *knowledge = knowledge_of(sim, link);

    for (uint32_t i = 0; scenario_has_faults(&sim->scenario) && i < knowledge->request_count; i++)
        if (knowledge->requests[i].type == refused->type &&
            knowledge->requests[i].name == refused->name)
            knowledge->requests[i].is_doubtful = true;
}

static void check_denial(struct sim *sim, const struct link *link, const struct request *request,
                         uint32_t id)
{
    bool is_valid = request->shard != SHARD_NONE;

    expect(id == 0, "link %u: denied, and yet given the number %u (3)", link->index, id);
    expect(!is_valid || sim->scenario.tight_limits || scenario_has_faults(&sim->scenario),
           "link %u: name %u was denied, with no limit near (3)", link->index, request->name);
}

/* Everybody who holds this name now has the same number for it, and nobody a different name. */
static void check_agreement(struct sim *sim, const struct link *link, uint8_t name, uint32_t tid)
{
    if (!kernel_is_live(sim, link))
        return; /* an old answer: it holds nothing any more */
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        const struct link *other = &sim->links[i];
        const struct knowledge *knowledge = &sim->model.knowledge[i];

        if (other->instance != link->instance || !kernel_is_live(sim, other))
            continue;
        expect(other->phase != LINK_LIVE || other->etid != tid,
               "topic %u of link %u has the number of link %u's ETID", tid, link->index, i);
        for (uint32_t n = 0; n < knowledge->belief_count; n++) {
            const struct belief *belief = &knowledge->beliefs[n];

            if (!belief->is_held)
                continue;
            expect((belief->id == tid) == (belief->name == name),
                   "name %u has number %u for link %u, but name %u has %u for link %u (4)", name,
                   tid, link->index, belief->name, belief->id, i);
        }
    }
}

static void learn_topic(struct sim *sim, struct link *link, const struct request *request,
                        uint32_t tid)
{
    uint32_t *known = &sim->model.tids[link->instance][request->name];
    const struct config_instance *instance = &sim->scenario.config.instances[link->instance];

    expect(tid > SMQ_ID_SERVER, "link %u: the number %u is never given out", link->index, tid);
    if (request->name < instance->topic_count)
        expect(tid == instance->topics[request->name].id,
               "link %u: name %u is pinned to %u, but has number %u", link->index, request->name,
               instance->topics[request->name].id, tid);
    if (*known != tid &&
        kernel_is_live(sim, link)) { /* else the answer is old, and so its number */
        beliefs_retire(sim, link->instance, *known);
        *known = tid;
    }

    struct belief *belief = belief_of(sim, link, tid, ID_TOPIC, request->name);
    must(belief);
    belief->kind = ID_TOPIC;
    belief->name = request->name;
    belief->is_held = true;
    check_agreement(sim, link, request->name, tid);
    if (request->type != SMQ_SUBSCRIBE)
        return;
    if (request->is_doubtful) {
        belief->subscription = SUB_UNSURE;
    } else if (belief->unsubscribe_number > request->number) {
        if (belief->subscription == SUB_NONE)
            belief->subscription = SUB_ENDING; /* had been left again before this answer came */
    } else if (belief->subscription != SUB_ON) {
        belief->subscription = SUB_ON;
        messages_expect(sim, link, tid);
    }
}

static void learn_subtopic(struct sim *sim, const struct link *link, const struct request *request,
                           uint32_t stid)
{
    uint32_t *known = &sim->model.stids[link->instance][request->name];
    const struct config_instance *instance = &sim->scenario.config.instances[link->instance];

    expect(stid != 0 && (*known == 0 || *known == stid),
           "link %u: sub-topic %u has the number %u, but had %u", link->index, request->name, stid,
           *known);
    if (request->name < instance->subtopic_count)
        expect(stid == instance->subtopics[request->name].id, "sub-topic %u is pinned to %u",
               request->name, instance->subtopics[request->name].id);
    for (uint32_t i = 0; i < sim->scenario.subname_count; i++)
        expect(i == request->name || sim->model.stids[link->instance][i] != stid,
               "sub-topics %u and %u have the same number %u", i, request->name, stid);
    *known = stid;
}

void beliefs_acked(struct sim *sim, struct link *link, enum smq_packet type, struct span body)
{
    struct knowledge *knowledge = knowledge_of(sim, link);
    uint32_t index = find_request(sim, link, request_type_of(type), span_skip(body, 5));
    struct request request = knowledge->requests[index];
    uint32_t id = smq_load_u32(body.data + 1);
    bool is_ok = body.data[0] == SMQ_ACK_OK;

    expect(is_ok || body.data[0] == SMQ_ACK_DENIED, "link %u: an answer with status %u",
           link->index, body.data[0]);
    remove_request(knowledge, index);
    if (request.shard != SHARD_NONE && !request.is_doubtful &&
        (is_ok || !scenario_has_faults(&sim->scenario)))
        settle_before(sim, link, request.shard, request.number);
    if (!is_ok) {
        check_denial(sim, link, &request, id);
        note_doubt(sim, link, &request);
        return;
    }
    expect(request.shard != SHARD_NONE, "link %u: a name that must be refused was not (5)",
           link->index);
    if (type == SMQ_CREATESUBACK)
        learn_subtopic(sim, link, &request, id);
    else
        learn_topic(sim, link, &request, id);
}

/* -- Change -- */

static void topic_changed(struct sim *sim, struct link *link, struct belief *belief, uint32_t count)
{
    struct knowledge *knowledge = knowledge_of(sim, link);
    uint32_t asked = find_observe(knowledge, belief->id);

    if (belief->observation == OBS_ASKED) {
        belief->observation = may_be_silent(sim) ? OBS_UNSURE : OBS_ON;
        if (asked != UINT32_MAX)
            remove_request(knowledge, asked);
    } else if (belief->observation == OBS_ON && belief->has_count && !may_be_silent(sim)) {
        bool is_step = count == belief->count + 1 || count + 1 == belief->count;
        bool is_repeat = count == belief->count && asked != UINT32_MAX;

        expect(is_step || is_repeat,
               "link %u: Change of topic %u from %u to %u: each must be one step (12)", link->index,
               belief->id, belief->count, count);
        if (is_repeat)
            remove_request(knowledge, asked);
    }
    belief->has_count = true;
    belief->count = count;
}

/* An ETID says 0, once, and the observation is over; an unknown id says 0 at once (13). */
static void client_changed(struct sim *sim, struct link *link, struct belief *belief,
                           uint32_t count)
{
    struct knowledge *knowledge = knowledge_of(sim, link);
    uint32_t asked = find_observe(knowledge, belief->id);

    expect(count == 0, "link %u: Change of %u, which is no topic, to %u (13)", link->index,
           belief->id, count);
    if (asked != UINT32_MAX)
        remove_request(knowledge, asked);
    if (belief->observation == OBS_ENDING)
        return;
    belief->observation = belief->observe_count > 1 ? OBS_UNSURE : OBS_NONE;
    belief->observe_count--;
}

void beliefs_changed(struct sim *sim, struct link *link, uint32_t id, uint32_t count)
{
    struct belief *belief = belief_find(sim, link, id);

    expect(belief && belief->observation != OBS_NONE,
           "link %u: Change of %u, which it does not observe (12)", link->index, id);
    if (belief->kind == ID_TOPIC)
        topic_changed(sim, link, belief, count);
    else
        client_changed(sim, link, belief, count);
}
