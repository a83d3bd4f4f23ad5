/*
 * net/smq_codec.h — the server's half of the wire: client frames in, server frames out.
 *
 * Pure: no socket, no clock, no allocation, so the same functions are unit-tested, fuzzed and
 * driven by the simulation. Source: SMQ protocol §2.1 and §3.
 */
#pragma once

#include "client/smq_wire.h"
#include "core/must.h"

enum smq_decode {
    SMQ_DECODE_FRAME,     /* *frame is set; frame->bytes_count were used */
    SMQ_DECODE_NEED_MORE, /* call again with more bytes; nothing was used */
    SMQ_DECODE_MALFORMED, /* *reason says why; the connection must close */
};

struct smq_frame {
    uint8_t type;         /* one that a client may send; the body has its fixed fields */
    uint16_t bytes_count; /* whole frame, header included */
    struct span body;     /* borrows from the input */
};

/* Read one frame from the front of @input. @frame_bytes_max: the configured limit. The frame
 * borrows @input and dies with it. */
enum smq_decode smq_decode(struct span input, uint32_t frame_bytes_max, struct smq_frame *frame,
                           const char **reason);

/* A Publish's or PubFrag's fixed fields, from a frame of that type. */
struct smq_publish {
    uint32_t destination;
    uint32_t publisher;
    uint32_t subtopic;
    struct span payload;
};
struct smq_publish smq_publish_of(const struct smq_frame *frame);

/* What a Connect says. */
struct smq_connect {
    uint16_t record_bytes_max; /* 0: no limit */
    struct span uid;
    struct span credentials;
    struct span info;
};
/* NULL, or why the Connect is not acceptable (Connack 1). */
const char *smq_connect_parse(struct span body, struct smq_connect *connect);

/* The longest run of Publishes at the front of @input that share the first one's destination and
 * publisher, all whole and within the limit. @input must begin with a whole Publish.
 * Returns its bytes; *@frame_count is at least 1. */
size_t smq_publish_run(struct span input, uint32_t frame_bytes_max, uint32_t *frame_count);

/* Build a server frame: type, then @fixed (already big-endian), then @text.
 * Returns bytes written; the whole must fit in @room (asserted). */
size_t smq_encode(uint8_t *out, size_t room, enum smq_packet type, struct span fixed,
                  struct span text);
