/* tests/sim/client.c — see tests/sim/client.h. Thread: one. */
#include "tests/sim/client.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/journal.h"
#include "tests/sim/kernel.h"
#include "tests/sim/messages.h"

static const struct span nothing;

/* -- connecting -- */

struct link *client_free_link(struct sim *sim)
{
    struct link *free_link = NULL;
    uint32_t open_count = 0;

    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        if (sim->links[i].phase != LINK_FREE)
            open_count++;
        else
            free_link = &sim->links[i];
    }
    return open_count < sim->scenario.link_count ? free_link : NULL;
}

static void dial(struct sim *sim, struct link *link)
{
    link_open(link, ++sim->serial_count);
    link->instance = (uint8_t)dice_below(&sim->dice, sim->scenario.config.instance_count);
    link->uid = (uint8_t)dice_below(&sim->dice, sim->scenario.uid_count);
    link->window_bytes = 1u << 30;
    kernel_dial(sim, link, dice_below(&sim->dice, sim->scenario.io_count));
    model_open(sim, link);
}

static void write_request(struct sim *sim, struct link *link, const char *path, const char *marker)
{
    bool wants_answer = dice_percent(&sim->dice, 40);
    char request[256];
    int length = snprintf(request, sizeof(request), "GET %s HTTP/1.%u\r\nHost: sim\r\n%s%s\r\n",
                          path, dice_below(&sim->dice, 2), marker,
                          wants_answer ? "SendSmqHttpResponse: true\r\n" : "");

    must(length > 0 && (size_t)length < sizeof(request));
    link_write_raw(link, request, (size_t)length);
    link->phase = wants_answer ? LINK_HTTP : LINK_INIT;
}

void client_connect(struct sim *sim, struct link *link, bool only_dial)
{
    dial(sim, link);
    write_request(sim, link, sim->scenario.config.instances[link->instance].path,
                  "SimpleMQ: 1\r\n");
    journal_note("link %u: dials io %u, instance %u, as UID %u%s", link->index, link->io_index,
                 link->instance, link->uid, only_dial ? ", without Connect" : "");
    if (!only_dial)
        client_send_connect(sim, link);
}

void client_connect_badly(struct sim *sim, struct link *link)
{
    dial(sim, link);
    if (dice_percent(&sim->dice, 50))
        write_request(sim, link, "/nowhere", "SimpleMQ: 1\r\n");
    else
        write_request(sim, link, sim->scenario.config.instances[0].path, "");
    link->phase = LINK_HTTP;
    link->expects_refusal = true;
    journal_note("link %u: dials io %u with a bad request", link->index, link->io_index);
}

/* A UID of at least 6 bytes; the same number is the same UID in every instance. */
static size_t put_uid(uint8_t *out, const struct link *link)
{
    return (size_t)sprintf((char *)out, "uid-%03u", link->uid);
}

void client_send_connect(struct sim *sim, struct link *link)
{
    uint8_t body[128];
    size_t used = 0;

    if (dice_percent(&sim->dice, 50)) {
        body[used++] = 1;
    } else {
        body[used++] = 2;
        smq_store_u16(body + used, (uint16_t)(dice_percent(&sim->dice, 50) ? 0 : 1024));
        used += 2;
    }
    size_t uid_bytes = put_uid(body + used + 1, link);
    body[used++] = (uint8_t)uid_bytes;
    used += uid_bytes;
    body[used++] = 3;
    memcpy(body + used, "key", 3);
    used += 3;
    used += (size_t)sprintf((char *)body + used, "simulated device");
    link->asked_connect = true;
    link_write_frame(link, SMQ_CONNECT, span_of(body, used), nothing, (struct deed){0});
}

void client_send_bad_connect(struct sim *sim, struct link *link)
{
    static const uint8_t bodies[][12] = {
        {9, 7, 'u', 'i', 'd', '-', '0', '0', '0', 0}, /* a version nobody speaks */
        {1, 5, 's', 'h', 'o', 'r', 't', 0},           /* a UID of five bytes */
        {1, 200, 'u', 'i', 'd', 0},                   /* a UID longer than the frame */
    };
    uint32_t which = dice_below(&sim->dice, COUNT_OF(bodies));

    journal_note("link %u: writes a bad Connect", link->index);
    link->asked_connect = true;
    link_write_frame(link, SMQ_CONNECT, span_of(bodies[which], sizeof(bodies[which])), nothing,
                     (struct deed){.is_wrong = true});
}

/* -- frames -- */

void client_ask_name(struct sim *sim, struct link *link, enum smq_packet type, uint8_t name)
{
    const struct name *text =
        type == SMQ_CREATESUB ? &sim->scenario.subnames[name] : &sim->scenario.names[name];

    journal_note("link %u: writes %s name %u", link->index, model_type_name(type), name);
    link_write_frame(link, type, nothing, span_of(text->bytes, text->bytes_count),
                     (struct deed){.name = name});
}

void client_ask_id(struct sim *sim, struct link *link, enum smq_packet type, struct chosen_id id)
{
    uint8_t fixed[4];

    (void)sim;
    journal_note("link %u: writes %s %u (name %u)", link->index, model_type_name(type), id.id,
                 id.name);
    smq_store_u32(fixed, id.id);
    link_write_frame(link, type, span_of(fixed, sizeof(fixed)), nothing,
                     (struct deed){.id = id.id, .id_kind = id.kind, .name = id.name});
}

/* The pieces before the last say nothing by themselves: no deed. */
static void write_piece(struct link *link, const struct stream *stream, struct span payload)
{
    uint8_t header[SMQ_PUBLISH_HEADER_BYTES];

    smq_store_u16(header, (uint16_t)(sizeof(header) + payload.bytes_count));
    header[SMQ_LENGTH_BYTES] = SMQ_PUBFRAG;
    smq_store_u32(header + SMQ_HEADER_BYTES, SMQ_ID_NONE);
    smq_store_u32(header + SMQ_HEADER_BYTES + 4, stream->etid);
    smq_store_u32(header + SMQ_HEADER_BYTES + 8, 0);
    link_write_raw(link, header, sizeof(header));
    link_write_raw(link, payload.data, payload.bytes_count);
}

struct deed client_publish(struct sim *sim, struct link *link, uint32_t destination,
                           uint32_t payload_bytes, uint32_t piece_count)
{
    struct deed deed = {.stream = UINT32_MAX, .id = destination};
    uint8_t payload[4096];
    uint8_t fixed[12];

    must(payload_bytes <= sizeof(payload) && piece_count >= 1);
    if (!messages_next(sim, link, destination, &deed))
        return (struct deed){.stream = UINT32_MAX};
    const struct stream *stream = &sim->model.streams[deed.stream];
    struct span rest = span_of(payload, payload_bytes);

    message_fill(&deed, stream, payload, payload_bytes);
    journal_note("link %u: writes message %u to %u, %u bytes in %u pieces", link->index, deed.seq,
                 destination, payload_bytes, piece_count);
    for (uint32_t i = 1; i < piece_count; i++) {
        uint32_t step = dice_between(&sim->dice, 0, (uint32_t)rest.bytes_count);

        write_piece(link, stream, span_of(rest.data, step));
        rest = span_skip(rest, step);
        if (dice_percent(&sim->dice, 10)) /* other frames may come between the pieces */
            link_write_frame(link, SMQ_PING, nothing, nothing, (struct deed){.is_inside = true});
    }
    smq_store_u32(fixed, destination);
    smq_store_u32(fixed + 4, stream->etid);
    smq_store_u32(fixed + 8, message_subtopic(&deed, stream));
    link_write_frame(link, piece_count > 1 ? SMQ_PUBFRAG : SMQ_PUBLISH,
                     span_of(fixed, sizeof(fixed)), rest, deed);
    return deed;
}

void client_ping(struct sim *sim, struct link *link)
{
    (void)sim;
    journal_note("link %u: writes PING", link->index);
    link_write_frame(link, SMQ_PING, nothing, nothing, (struct deed){0});
}

void client_disconnect(struct sim *sim, struct link *link)
{
    bool has_reason = dice_percent(&sim->dice, 50);

    journal_note("link %u: writes DISCONNECT", link->index);
    link_write_frame(link, SMQ_DISCONNECT, nothing, span_of("bye", has_reason ? 3 : 0),
                     (struct deed){0});
}

static void write_endless_pieces(struct link *link)
{
    static const uint8_t zeros[4000]; /* fits the smallest frame limit of a scenario */
    const struct stream stream = {.etid = link->etid};

    link_add_deed(link, (struct deed){.is_wrong = true});
    for (uint32_t bytes = 0; bytes <= SMQ_PAYLOAD_BYTES_MAX; bytes += sizeof(zeros))
        write_piece(link, &stream, span_of(zeros, sizeof(zeros)));
}

void client_be_wrong(struct sim *sim, struct link *link, enum wrong wrong)
{
    static const uint8_t bad_bodies[] = {SMQ_UNSUBSCRIBE, SMQ_OBSERVE, SMQ_UNOBSERVE, SMQ_PUBLISH,
                                         SMQ_PUBFRAG};
    static const uint8_t server_types[] = {SMQ_INIT,      SMQ_CONNACK, SMQ_SUBACK,
                                           SMQ_CREATEACK, SMQ_CHANGE,  SMQ_CREATESUBACK};
    uint8_t frame[SMQ_PUBLISH_HEADER_BYTES] = {0, sizeof(frame)};

    journal_note("link %u: does something wrong (%d)", link->index, (int)wrong);
    switch (wrong) {
    case WRONG_PTID:
    case WRONG_FRAG_PTID:
        frame[2] = wrong == WRONG_PTID ? SMQ_PUBLISH : SMQ_PUBFRAG;
        smq_store_u32(frame + SMQ_HEADER_BYTES, link->etid);
        smq_store_u32(frame + SMQ_HEADER_BYTES + 4, link->etid + 1);
        break;
    case WRONG_TYPE:
        frame[2] = (uint8_t)(dice_percent(&sim->dice, 30) ? 10 * dice_below(&sim->dice, 2)
                                                          : dice_between(&sim->dice, 20, 255));
        break;
    case WRONG_SERVER_TYPE:
        frame[2] = server_types[dice_below(&sim->dice, COUNT_OF(server_types))];
        break;
    case WRONG_LENGTH:
        smq_store_u16(frame, (uint16_t)dice_below(&sim->dice, SMQ_HEADER_BYTES));
        break;
    case WRONG_BODY:
        smq_store_u16(frame, 6);
        frame[2] = bad_bodies[dice_below(&sim->dice, COUNT_OF(bad_bodies))];
        break;
    case WRONG_TOO_LARGE: /* where nothing is too large, a wrong type */
        smq_store_u16(frame, (uint16_t)min_u32(sim->scenario.config.limits.frame_bytes_max + 1,
                                               SMQ_FRAME_BYTES_MAX));
        frame[2] = sim->scenario.config.limits.frame_bytes_max < SMQ_FRAME_BYTES_MAX ? SMQ_PING : 0;
        break;
    case WRONG_CONNECT:
        smq_store_u16(frame, 6);
        frame[2] = SMQ_CONNECT;
        break;
    case WRONG_FRAG_TOTAL:
        write_endless_pieces(link);
        return;
    case WRONG_COUNT:
        must_never("not a way to be wrong");
    }
    /* The deed first: some of these are judged by their first bytes. */
    link_add_deed(link, (struct deed){.is_wrong = true});
    link_write_raw(link, frame, sizeof(frame));
}

void client_break_off(struct sim *sim, struct link *link)
{
    static const uint8_t beginning[] = {0, 40, SMQ_SUBSCRIBE, 't'};

    link_write_raw(link, beginning, dice_between(&sim->dice, 1, sizeof(beginning)));
    client_close(sim, link);
}

void client_stall(struct sim *sim, struct link *link)
{
    static const uint8_t beginning[] = {0, 40, SMQ_SUBSCRIBE, 't'};
    const struct stream stream = {.etid = link->etid};

    if (dice_percent(&sim->dice, 50))
        link_write_raw(link, beginning, dice_between(&sim->dice, 3, sizeof(beginning)));
    else
        write_piece(link, &stream, span_of(beginning, dice_between(&sim->dice, 1, 4)));
}

void client_close(struct sim *sim, struct link *link)
{
    (void)sim;
    journal_note("link %u: closes", link->index);
    link->has_closed = true;
}

void client_abort(struct sim *sim, struct link *link)
{
    (void)sim;
    journal_note("link %u: resets", link->index);
    link->has_aborted = true;
}

/* -- choices -- */

static struct chosen_id choose_topic(struct sim *sim, uint32_t instance)
{
    uint8_t name = (uint8_t)dice_below(&sim->dice, sim->scenario.name_count);

    return (
        struct chosen_id){.id = sim->model.tids[instance][name], .kind = ID_TOPIC, .name = name};
}

static struct chosen_id choose_client(struct sim *sim, uint32_t instance)
{
    uint32_t first = dice_below(&sim->dice, LINKS_MAX);

    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        const struct link *link = &sim->links[(first + i) % LINKS_MAX];

        if (link->phase == LINK_LIVE && link->instance == instance)
            return (struct chosen_id){.id = link->etid, .kind = ID_CLIENT, .name = NAME_NONE};
    }
    return (struct chosen_id){.kind = ID_UNKNOWN, .name = NAME_NONE};
}

struct chosen_id client_choose_id(struct sim *sim, const struct link *link)
{
    struct model *model = &sim->model;
    uint32_t throw = dice_below(&sim->dice, 100);
    struct chosen_id chosen = {.kind = ID_UNKNOWN, .name = NAME_NONE};

    if (throw < 65) {
        chosen = choose_topic(sim, link->instance);
    } else if (throw < 88) {
        chosen = choose_client(sim, link->instance);
    } else if (throw < 93) { /* an id of another world is nobody's in this one (21) */
        uint32_t other = dice_below(&sim->dice, sim->scenario.config.instance_count);

        if (other != link->instance && throw &1)
            chosen.id = choose_client(sim, other).id;
    } else if (throw < 97) {
        chosen.id = model->old_ids[link->instance][dice_below(&sim->dice, 8)];
    }
    for (uint32_t name = 0; name < sim->scenario.name_count; name++)
        if (chosen.id != 0 && model->tids[link->instance][name] == chosen.id)
            return (struct chosen_id){.id = chosen.id, .kind = ID_TOPIC, .name = (uint8_t)name};
    while (chosen.id == 0) {
        chosen.kind = ID_UNKNOWN;
        chosen.name = NAME_NONE;
        chosen.id = dice_percent(&sim->dice, 20) ? SMQ_ID_SERVER : (uint32_t)dice_next(&sim->dice);
    }
    return chosen;
}

uint8_t client_choose_name(struct sim *sim)
{
    if (dice_percent(&sim->dice, 4))
        return dice_percent(&sim->dice, 50) ? NAME_EMPTY : NAME_TOO_LONG;
    return (uint8_t)dice_below(&sim->dice, sim->scenario.name_count);
}

uint32_t client_choose_size(struct sim *sim)
{
    uint32_t most = sim->scenario.payload_bytes_max;

    if (dice_percent(&sim->dice, 70))
        return dice_between(&sim->dice, MESSAGE_BYTES_MIN, 60);
    return dice_between(&sim->dice, MESSAGE_BYTES_MIN, most);
}
