/* tests/sim/link.c — see tests/sim/link.h. Thread: one. */
#include "tests/sim/link.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/journal.h"
#include "tests/sim/model.h"
#include "tests/sim/sim.h"

/* -- bytes -- */

void bytes_append(struct bytes *bytes, const void *data, size_t count)
{
    if (bytes->end + count > bytes->capacity && bytes->start > 0) {
        memmove(bytes->data, bytes->data + bytes->start, bytes->end - bytes->start);
        bytes->end -= bytes->start;
        bytes->start = 0;
    }
    if (bytes->end + count > bytes->capacity) {
        bytes->capacity = (uint32_t)(bytes->end + count) * 2;
        bytes->data = realloc(bytes->data, bytes->capacity);
        must(bytes->data);
    }
    if (count > 0)
        memcpy(bytes->data + bytes->end, data, count);
    bytes->end += (uint32_t)count;
}

void bytes_skip(struct bytes *bytes, uint32_t count)
{
    must(count <= bytes->end - bytes->start);
    bytes->start += count;
    if (bytes->start == bytes->end)
        bytes->start = bytes->end = 0;
}

/* -- life -- */

void link_open(struct link *link, uint32_t serial)
{
    struct bytes to_broker = link->to_broker;
    struct bytes from_broker = link->from_broker;
    uint8_t index = link->index;

    must(link->phase == LINK_FREE);
    memset(link, 0, sizeof(*link));
    link->index = index;
    link->serial = serial;
    link->to_broker = to_broker;
    link->from_broker = from_broker;
    link->to_broker.start = link->to_broker.end = 0;
    link->from_broker.start = link->from_broker.end = 0;
}

void link_free(struct link *link)
{
    free(link->to_broker.data);
    free(link->from_broker.data);
}

/* -- writing -- */

void link_write_raw(struct link *link, const void *bytes, size_t bytes_count)
{
    bytes_append(&link->to_broker, bytes, bytes_count);
    link->written_bytes += bytes_count;
}

void link_add_deed(struct link *link, struct deed deed)
{
    must(link->deed_count < DEEDS_MAX);
    deed.end_offset = link->written_bytes;
    link->deeds[(link->deed_first + link->deed_count++) % DEEDS_MAX] = deed;
}

void link_write_frame(struct link *link, enum smq_packet type, struct span fixed, struct span text,
                      struct deed deed)
{
    uint8_t header[SMQ_HEADER_BYTES];
    size_t bytes_count = SMQ_HEADER_BYTES + fixed.bytes_count + text.bytes_count;

    must(bytes_count <= SMQ_FRAME_BYTES_MAX);
    smq_store_u16(header, (uint16_t)bytes_count);
    header[SMQ_LENGTH_BYTES] = (uint8_t)type;
    link_write_raw(link, header, sizeof(header));
    link_write_raw(link, fixed.data, fixed.bytes_count);
    link_write_raw(link, text.data, text.bytes_count);
    deed.type = (uint8_t)type;
    link_add_deed(link, deed);
}

/* -- the wire's far ends -- */

void link_fed(struct sim *sim, struct link *link, uint32_t count, bool heard, bool certain)
{
    uint64_t whole_bytes = 0; /* of all that was written */

    bytes_skip(&link->to_broker, count);
    link->fed_bytes += count;
    while (link->deed_count > 0 && link->deeds[link->deed_first].end_offset <= link->fed_bytes) {
        struct deed deed = link->deeds[link->deed_first];

        if (!deed.is_inside)
            whole_bytes = deed.end_offset;
        link->deed_first = (link->deed_first + 1) % DEEDS_MAX;
        link->deed_count--;
        if (heard)
            model_fed(sim, link, &deed, certain);
    }
    if (!link->is_begun || whole_bytes > 0)
        link->begun_tick = link->last_fed_tick;
    link->is_begun = whole_bytes > 0 ? link->fed_bytes > whole_bytes : true;
}

/* The end of an HTTP head in @bytes; 0: not there yet. */
static uint32_t head_bytes(struct span bytes)
{
    for (uint32_t i = 3; i < bytes.bytes_count; i++)
        if (memcmp(bytes.data + i - 3, "\r\n\r\n", 4) == 0)
            return i + 1;
    return 0;
}

static bool is_status(struct span head, const char *status)
{
    return memcmp(head.data, "HTTP/1.1 ", 9) == 0 && memcmp(head.data + 9, status, 3) == 0;
}

/* An HTTP answer; true: it is whole, and an acceptance. */
static bool read_head(const struct sim *sim, struct link *link, struct span input)
{
    uint32_t bytes_count = head_bytes(input);

    if (bytes_count == 0)
        return false;
    must(bytes_count > 12); /* it has a status line */
    if (link->expects_refusal || (sim->scenario.time_passes && is_status(input, "408"))) {
        expect(is_status(input, "404") || is_status(input, "408"),
               "link %u: a bad request was answered with %.12s", link->index,
               (const char *)input.data);
        link->expects_refusal = true;
        link->phase = LINK_OVER;
        link->from_broker.start = link->from_broker.end = 0; /* the text is for people */
        return false;
    }
    expect(is_status(input, "200"), "link %u: its HTTP request was answered with %.12s",
           link->index, (const char *)input.data);
    bytes_skip(&link->from_broker, bytes_count);
    link->phase = LINK_INIT;
    return true;
}

uint32_t link_rest_of_frame(const struct link *link, uint8_t next)
{
    const uint8_t *held = link->from_broker.data + link->from_broker.start;
    uint32_t held_bytes = link->from_broker.end - link->from_broker.start;

    if (held_bytes == 0)
        return 0;
    return (uint32_t)(held[0] << 8 | (held_bytes > 1 ? held[1] : next)) - held_bytes;
}

void link_read(struct sim *sim, struct link *link, struct span bytes)
{
    struct bytes *from = &link->from_broker;

    if (link->has_aborted)
        return;
    expect(bytes.bytes_count == 0 || link->phase != LINK_OVER || link->expects_refusal,
           "link %u: %zu bytes after its goodbye", link->index, bytes.bytes_count);
    bytes_append(from, bytes.data, bytes.bytes_count);
    if (link->phase == LINK_HTTP &&
        !read_head(sim, link, span_of(from->data + from->start, from->end - from->start)))
        return;
    while (from->end - from->start >= SMQ_HEADER_BYTES) {
        const uint8_t *frame = from->data + from->start;
        uint16_t frame_bytes = smq_load_u16(frame);

        expect(frame_bytes >= SMQ_HEADER_BYTES, "link %u: a frame of %u bytes", link->index,
               frame_bytes);
        if (from->end - from->start < frame_bytes)
            return;
        model_received(sim, link, (enum smq_packet)frame[SMQ_LENGTH_BYTES],
                       span_of(frame + SMQ_HEADER_BYTES, frame_bytes - SMQ_HEADER_BYTES));
        bytes_skip(from, frame_bytes);
    }
}
