/* net/smq_codec.c — see net/smq_codec.h. Pure. */
#include "net/smq_codec.h"

#include <string.h>

static const struct {
    uint8_t known;
    uint8_t from;
    uint8_t body_bytes_min;
} packets[SMQ_PACKET_COUNT] = {
#define X(name, value, minimum, from) [value] = {1, from, minimum},
    SMQ_PACKETS(X)
#undef X
};

enum smq_decode smq_decode(struct span input, uint32_t frame_bytes_max, struct smq_frame *frame,
                           const char **reason)
{
    if (input.bytes_count < SMQ_LENGTH_BYTES)
        return SMQ_DECODE_NEED_MORE;
    uint16_t bytes_count = smq_load_u16(input.data);

    if (bytes_count < SMQ_HEADER_BYTES) {
        *reason = "frame shorter than its header";
        return SMQ_DECODE_MALFORMED;
    }
    if (bytes_count > frame_bytes_max) {
        *reason = "frame too large";
        return SMQ_DECODE_MALFORMED;
    }
    if (input.bytes_count < SMQ_HEADER_BYTES)
        return SMQ_DECODE_NEED_MORE;
    uint8_t type = input.data[SMQ_LENGTH_BYTES];

    /* Judged before the body is here: nonsense does not get to make us wait for the rest. */
    if (type >= SMQ_PACKET_COUNT || !packets[type].known) {
        *reason = "unknown packet type";
        return SMQ_DECODE_MALFORMED;
    }
    if (!(packets[type].from & SMQ_FROM_CLIENT)) {
        *reason = "packet type only a server sends";
        return SMQ_DECODE_MALFORMED;
    }
    if (bytes_count - SMQ_HEADER_BYTES < packets[type].body_bytes_min) {
        *reason = "frame too short for its type";
        return SMQ_DECODE_MALFORMED;
    }
    if (input.bytes_count < bytes_count)
        return SMQ_DECODE_NEED_MORE;
    frame->type = type;
    frame->bytes_count = bytes_count;
    frame->body = span_of(input.data + SMQ_HEADER_BYTES, bytes_count - SMQ_HEADER_BYTES);
    return SMQ_DECODE_FRAME;
}

struct smq_publish smq_publish_of(const struct smq_frame *frame)
{
    const uint8_t *at = frame->body.data;

    must(frame->type == SMQ_PUBLISH || frame->type == SMQ_PUBFRAG);
    return (struct smq_publish){.destination = smq_load_u32(at),
                                .publisher = smq_load_u32(at + 4),
                                .subtopic = smq_load_u32(at + 8),
                                .payload = span_skip(frame->body, 12)};
}

/* A length byte and that many bytes. */
static bool take_counted(struct span *from, struct span *out)
{
    if (from->bytes_count < 1 || from->bytes_count < 1u + from->data[0])
        return false;
    *out = span_of(from->data + 1, from->data[0]);
    *from = span_skip(*from, 1u + out->bytes_count);
    return true;
}

const char *smq_connect_parse(struct span body, struct smq_connect *connect)
{
    uint8_t version = body.data[0];

    *connect = (struct smq_connect){0};
    body = span_skip(body, 1);
    if (version == 2) {
        if (body.bytes_count < 2)
            return "malformed Connect";
        uint16_t max = smq_load_u16(body.data);

        if (max >= SMQ_RECORD_BYTES_MIN && max <= SMQ_RECORD_BYTES_MAX)
            connect->record_bytes_max = max;
        body = span_skip(body, 2);
    } else if (version != 1) {
        return "unacceptable protocol version";
    }
    if (!take_counted(&body, &connect->uid))
        return "malformed Connect";
    if (connect->uid.bytes_count < SMQ_UID_BYTES_MIN)
        return "UID shorter than 6 bytes";
    if (!take_counted(&body, &connect->credentials))
        return "malformed Connect";
    connect->info = body;
    return NULL;
}

size_t smq_publish_run(struct span input, uint32_t frame_bytes_max, uint32_t *frame_count)
{
    const uint8_t *first = input.data + SMQ_HEADER_BYTES; /* destination, publisher */
    size_t run_bytes = 0;

    *frame_count = 0;
    while (input.bytes_count >= SMQ_PUBLISH_HEADER_BYTES) {
        uint16_t bytes_count = smq_load_u16(input.data);

        if (input.data[SMQ_LENGTH_BYTES] != SMQ_PUBLISH || bytes_count < SMQ_PUBLISH_HEADER_BYTES ||
            bytes_count > frame_bytes_max || bytes_count > input.bytes_count ||
            memcmp(input.data + SMQ_HEADER_BYTES, first, 8) != 0)
            break;
        run_bytes += bytes_count;
        (*frame_count)++;
        input = span_skip(input, bytes_count);
    }
    must(*frame_count > 0);
    return run_bytes;
}

size_t smq_encode(uint8_t *out, size_t room, enum smq_packet type, struct span fixed,
                  struct span text)
{
    size_t bytes_count = SMQ_HEADER_BYTES + fixed.bytes_count + text.bytes_count;

    must(bytes_count <= room && bytes_count <= SMQ_FRAME_BYTES_MAX);
    smq_store_u16(out, (uint16_t)bytes_count);
    out[SMQ_LENGTH_BYTES] = (uint8_t)type;
    out += SMQ_HEADER_BYTES;
    if (fixed.bytes_count > 0)
        memcpy(out, fixed.data, fixed.bytes_count);
    if (text.bytes_count > 0)
        memcpy(out + fixed.bytes_count, text.data, text.bytes_count);
    return bytes_count;
}
