/* tests/sim/messages.c — see tests/sim/messages.h. Thread: one. */
#include "tests/sim/messages.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/beliefs.h"
#include "tests/sim/journal.h"
#include "tests/sim/kernel.h"

/* -- contents -- */

static uint64_t content_key(const struct deed *deed, const struct stream *stream)
{
    return dice_mix((uint64_t)stream->serial << 32 | deed->seq) ^ stream->destination;
}

uint32_t message_subtopic(const struct deed *deed, const struct stream *stream)
{
    return (uint32_t)content_key(deed, stream);
}

void message_fill(const struct deed *deed, const struct stream *stream, uint8_t *payload,
                  uint32_t bytes_count)
{
    uint64_t key = content_key(deed, stream);

    must(bytes_count >= MESSAGE_BYTES_MIN);
    smq_store_u32(payload, deed->stream);
    smq_store_u32(payload + 4, stream->serial);
    smq_store_u32(payload + 8, deed->seq);
    for (uint32_t at = MESSAGE_BYTES_MIN; at < bytes_count; at += 8) {
        uint64_t word = key + at;

        memcpy(payload + at, &word, min_u32(8, bytes_count - at));
    }
}

/* -- streams -- */

static struct stream *stream_of(struct sim *sim, const struct link *link, uint32_t destination,
                                uint32_t *index)
{
    struct model *model = &sim->model;
    uint32_t free_index = STREAMS_MAX;

    for (uint32_t i = 0; i < model->stream_count; i++) {
        struct stream *stream = &model->streams[i];

        if (!stream->is_used) {
            free_index = i;
        } else if (stream->serial == link->serial && stream->destination == destination) {
            *index = i;
            return stream;
        }
    }
    if (free_index == STREAMS_MAX) {
        if (model->stream_count == STREAMS_MAX)
            return NULL;
        free_index = model->stream_count++;
    }
    struct stream *stream = &model->streams[free_index];
    uint8_t *certain = stream->certain;
    uint32_t capacity = stream->certain_capacity;

    memset(stream, 0, sizeof(*stream));
    stream->is_used = true;
    stream->publisher = link->index;
    stream->serial = link->serial;
    stream->instance = link->instance;
    stream->etid = link->etid;
    stream->destination = destination;
    stream->certain = certain;
    stream->certain_capacity = capacity;
    *index = free_index;
    return stream;
}

bool messages_next(struct sim *sim, struct link *link, uint32_t destination, struct deed *deed)
{
    struct stream *stream = stream_of(sim, link, destination, &deed->stream);

    if (!stream)
        return false;
    deed->seq = stream->written_count++;
    return true;
}

void messages_fed(struct sim *sim, const struct deed *deed, bool certain)
{
    struct stream *stream = &sim->model.streams[deed->stream];
    uint32_t at = deed->seq - stream->base_seq;

    must(stream->is_used && deed->seq == stream->sent_count);
    if (at >= stream->certain_capacity) {
        stream->certain_capacity = stream->certain_capacity ? stream->certain_capacity * 2 : 64;
        stream->certain = realloc(stream->certain, stream->certain_capacity);
        must(stream->certain);
    }
    stream->certain[at] = certain;
    stream->sent_count++;
    if (certain)
        sim->model.certain_count++;
    else
        sim->model.maybe_count++;
}

/* How many of [from, to) the session surely took. */
static uint32_t certain_between(const struct stream *stream, uint32_t from, uint32_t to)
{
    uint32_t count = 0;

    for (uint32_t seq = from; seq < to; seq++)
        count += stream->certain[seq - stream->base_seq];
    return count;
}

/* -- receiving -- */

static void check_entitled(struct sim *sim, const struct link *link, uint32_t destination)
{
    const struct belief *belief;

    if (destination == link->etid)
        return;
    belief = belief_find(sim, link, destination);
    expect(belief && belief->subscription != SUB_NONE,
           "link %u: a message to %u, which it does not subscribe to (7)", link->index,
           destination);
}

/* Messages that had to come before @seq and did not: dropped for this receiver, or a bug. */
static void count_missing(struct sim *sim, const struct link *link, const struct stream *stream,
                          uint32_t seq)
{
    struct knowledge *knowledge = &sim->model.knowledge[link->index];
    const struct reception *reception = &stream->at[link->index];
    uint32_t from = reception->has_begun ? reception->next_seq : reception->must_from;
    uint32_t count = from < seq ? certain_between(stream, from, seq) : 0;
    const struct conn *conn = kernel_conn(sim, link);

    if (count == 0)
        return;
    knowledge->missing_count += count;
    expect(
        knowledge->missing_count <= conn->dropped_count,
        "link %u: %u messages from link %u to %u are missing before number %u; in all %u are, but "
        "the broker dropped only %u for it (11)",
        link->index, count, stream->publisher, stream->destination, seq, knowledge->missing_count,
        conn->dropped_count);
}

static bool is_sure_receiver(struct sim *sim, const struct link *link, const struct stream *stream)
{
    const struct belief *belief;

    if (link->phase != LINK_LIVE || link->instance != stream->instance)
        return false;
    if (stream->destination == link->etid)
        return true;
    belief = belief_find(sim, link, stream->destination);
    return belief && belief->subscription == SUB_ON;
}

void messages_received(struct sim *sim, struct link *link, struct span body)
{
    const uint8_t *fields = body.data;
    struct span payload = span_skip(body, 12);
    uint8_t wanted[4096];
    struct deed deed = {0};

    expect(payload.bytes_count >= MESSAGE_BYTES_MIN && payload.bytes_count <= sizeof(wanted),
           "link %u: a message of %zu bytes", link->index, payload.bytes_count);
    deed.stream = smq_load_u32(payload.data);
    deed.seq = smq_load_u32(payload.data + 8);
    expect(deed.stream < STREAMS_MAX, "link %u: a message nobody wrote", link->index);
    struct stream *stream = &sim->model.streams[deed.stream];
    struct reception *reception = &stream->at[link->index];

    expect(stream->is_used && stream->serial == smq_load_u32(payload.data + 4) &&
               stream->instance == link->instance,
           "link %u: a message of stream %u, which is not its world's", link->index, deed.stream);
    message_fill(&deed, stream, wanted, (uint32_t)payload.bytes_count);
    expect(smq_load_u32(fields) == stream->destination &&
               smq_load_u32(fields + 4) == stream->etid &&
               smq_load_u32(fields + 8) == message_subtopic(&deed, stream) &&
               memcmp(payload.data, wanted, payload.bytes_count) == 0,
           "link %u: message %u from link %u to %u arrived changed (7)", link->index, deed.seq,
           stream->publisher, stream->destination);
    expect(deed.seq < stream->sent_count, "link %u: message %u of link %u was not sent yet",
           link->index, deed.seq, stream->publisher);
    check_entitled(sim, link, stream->destination);
    expect(deed.seq >= reception->next_seq,
           "link %u: message %u from link %u to %u came after number %u (11)", link->index,
           deed.seq, stream->publisher, stream->destination, reception->next_seq - 1);
    if (is_sure_receiver(sim, link, stream)) {
        count_missing(sim, link, stream, deed.seq);
        reception->has_begun = true;
    }
    reception->next_seq = deed.seq + 1;
    reception->received_count++;
    sim->model.knowledge[link->index].received_count++;
    sim->message_count++;
}

/* -- epochs -- */

void messages_expect(struct sim *sim, const struct link *link, uint32_t destination)
{
    for (uint32_t i = 0; i < sim->model.stream_count; i++) {
        struct stream *stream = &sim->model.streams[i];

        if (!stream->is_used || stream->instance != link->instance ||
            stream->destination != destination)
            continue;
        stream->at[link->index].has_begun = false;
        stream->at[link->index].must_from = stream->sent_count;
    }
}

void messages_open(struct sim *sim, const struct link *link)
{
    for (uint32_t i = 0; i < sim->model.stream_count; i++) {
        struct stream *stream = &sim->model.streams[i];

        stream->at[link->index] = (struct reception){.must_from = stream->sent_count};
    }
}

/* No more was dropped for @link than was sent, since the last rest, to where it may have listened.
 */
static void check_dropped(struct sim *sim, const struct link *link)
{
    struct knowledge *knowledge = &sim->model.knowledge[link->index];
    uint32_t dropped_count = kernel_conn(sim, link)->dropped_count - knowledge->dropped_at_rest;
    uint32_t unheard_count = 0;

    for (uint32_t i = 0; i < sim->model.stream_count; i++) {
        const struct stream *stream = &sim->model.streams[i];

        if (stream->is_used && stream->instance == link->instance &&
            (stream->destination == link->etid || belief_find(sim, link, stream->destination)))
            unheard_count +=
                stream->sent_count - stream->base_seq - stream->at[link->index].received_count;
    }
    expect(dropped_count <= unheard_count,
           "link %u: %u messages were dropped for it, but it missed only %u (20)", link->index,
           dropped_count, unheard_count);
    knowledge->dropped_at_rest += dropped_count;
}

void messages_settle(struct sim *sim)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        if (kernel_is_live(sim, &sim->links[i]))
            check_dropped(sim, &sim->links[i]);
    for (uint32_t i = 0; i < sim->model.stream_count; i++) {
        struct stream *stream = &sim->model.streams[i];
        const struct link *publisher = &sim->links[stream->publisher];

        if (!stream->is_used)
            continue;
        for (uint32_t to = 0; to < LINKS_MAX; to++) {
            if (kernel_is_live(sim, &sim->links[to]) &&
                is_sure_receiver(sim, &sim->links[to], stream))
                count_missing(sim, &sim->links[to], stream, stream->sent_count);
            stream->at[to] =
                (struct reception){.next_seq = stream->sent_count, .must_from = stream->sent_count};
        }
        stream->base_seq = stream->sent_count;
        if (publisher->serial != stream->serial || !kernel_is_live(sim, publisher))
            stream->is_used = false;
    }
}

void model_free(struct model *model)
{
    for (uint32_t i = 0; i < STREAMS_MAX; i++)
        free(model->streams[i].certain);
}
