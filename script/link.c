/* script/link.c — a script's client of an instance (script/parts.h). Thread: the script actor's. */
#include <string.h>

#include "core/msg.h"
#include "script/parts.h"

/* -- what the client hears -- */

static void answered(struct link *link, bool is_granted, uint32_t id)
{
    link->is_granted = is_granted;
    link->answer_id = id;
    link->is_answered = true;
}

static void on_connected(void *context, enum smq_connack code)
{
    answered(context, code == SMQ_CONNACK_ACCEPTED, SMQ_ID_NONE);
}

static void on_ended(void *context)
{
    struct link *link = context;

    answered(link, false, SMQ_ID_NONE); /* whatever was waited for: it does not come any more */
    log_event(LOG_LEVEL_WARNING, "script.replaced", "instance=%s another script uses it",
              link->script->config->instances[link->client.instance_index].path);
}

static void on_named(void *context, enum local_ask ask, enum smq_ack_status status, uint32_t id,
                     struct span name)
{
    (void)ask;
    (void)name;
    answered(context, status == SMQ_ACK_OK, id);
}

static void on_observed(void *context, uint32_t id, bool granted)
{
    answered(context, granted, id);
}

static void on_found(void *context, uint32_t id, struct span name, bool is_client)
{
    struct link *link = context;

    link->answer_name_bytes = min_u32((uint32_t)name.bytes_count, sizeof(link->answer_name));
    if (name.bytes_count > 0)
        memcpy(link->answer_name, name.data, link->answer_name_bytes);
    answered(link, is_client, id);
}

/* Now, or when the script no longer waits: Lua is not called while it is in a call of its own. */
static void tell(struct script *script, const struct event *event, struct span payload)
{
    if (!script->is_waiting && script->state) {
        hub_event(script->state, event, payload);
        return;
    }
    uint32_t room = script->config->script.queue_count_max;
    struct event *slot = &script->events[(script->event_first + script->event_count) % room];

    if (script->event_count < room) {
        *slot = *event;
        slot->payload = msg_copy(script->mem, payload);
    }
    if (script->event_count == room || !slot->payload) {
        script_count(script, SCRIPT_STAT_QUEUE_DROPPED, 1);
        return;
    }
    script->event_count++;
    counter_set(&script->stats.values[SCRIPT_STAT_QUEUE], script->event_count);
}

static void on_changed(void *context, uint32_t id, uint32_t subscriber_count)
{
    struct link *link = context;
    struct event event = {.link = link, .is_change = true, .id = id, .count = subscriber_count};

    tell(link->script, &event, span_of(NULL, 0));
}

static void on_message(void *context, const struct local_message *message)
{
    struct link *link = context;
    struct event event = {.link = link,
                          .id = message->destination,
                          .publisher = message->publisher,
                          .subtopic = message->subtopic};

    tell(link->script, &event, message->payload);
}

static const struct local_client_calls calls = {.connected = on_connected,
                                                .ended = on_ended,
                                                .named = on_named,
                                                .observed = on_observed,
                                                .changed = on_changed,
                                                .message = on_message,
                                                .found = on_found};

/* -- its life -- */

static void init_client(struct link *link, uint16_t instance_index)
{
    struct script *script = link->script;
    uint16_t generation = link->client.handle.generation;
    struct local_client_options options = {.config = script->config,
                                           .port = script->port,
                                           .mem = script->mem,
                                           .name_key = script->name_key,
                                           .instance_index = instance_index,
                                           .slot_index = (uint32_t)(link - script->links),
                                           .calls = &calls,
                                           .context = link};

    local_client_init(&link->client, &options);
    link->client.handle.generation = generation; /* what is still under way is not this one's */
}

struct link *link_take(struct script *script, uint16_t instance_index, bool is_random,
                       const char **why)
{
    static const char info[] = "script";
    const char *uid = is_random ? "lua-r" : "lua";
    struct link *link = NULL;

    for (uint32_t i = 0; i < SCRIPT_LINKS_MAX; i++) {
        struct link *other = &script->links[i];

        if (other->hub_count == 0)
            link = other;
        else if (other->client.instance_index == instance_index && other->is_random == is_random) {
            other->hub_count++;
            return other;
        }
    }
    *why = "too many instances for one script";
    if (!link)
        return NULL;
    link->script = script;
    link->is_random = is_random;
    link->waiting_count = 0;
    link->is_answered = false;
    init_client(link, instance_index);
    *why = "no memory";
    if (local_client_connect(&link->client, span_of(uid, strlen(uid)),
                             span_of(info, sizeof(info) - 1), !is_random) != STATUS_OK) {
        local_client_deinit(&link->client);
        return NULL;
    }
    script_wait(script, &link->is_answered);
    *why = "the instance has a server's client already";
    if (!link->is_granted) {
        local_client_deinit(&link->client);
        return NULL;
    }
    link->hub_count = 1;
    return link;
}

void link_give(struct link *link)
{
    must(link->hub_count > 0);
    if (--link->hub_count > 0)
        return;
    if (link->client.state != LOCAL_CLOSED)
        local_client_close(&link->client);
    local_client_deinit(&link->client);
}

void link_envelope(struct script *script, const struct envelope *envelope)
{
    for (uint32_t i = 0; i < SCRIPT_LINKS_MAX; i++) {
        struct link *link = &script->links[i];

        if (link->client.port) /* was used once: what comes too late goes back */
            local_client_envelope(&link->client, envelope);
    }
}
