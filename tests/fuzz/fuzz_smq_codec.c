/*
 * tests/fuzz/fuzz_smq_codec.c — frames out of any bytes.
 *
 * Beyond not crashing: a frame's prefix is never another frame, and it is a frame with its last
 * byte and not before; a verdict once given stays; a run
 * is what reading frame by frame finds; a Connect's parts lie inside it, one behind the other; a
 * frame that is built again from what was decoded is the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/smq_codec.h"
#include "tests/fuzz/exact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define FRAME_BYTES_MAX 4096u
#define PREFIX_BYTES    16u

/* Every prefix that cuts a header, and some that cut the rest. */
static void check_prefixes(struct span input, enum smq_decode whole, const struct smq_frame *frame)
{
    size_t step = input.bytes_count / 8 + 1;
    bool decided = false;

    for (size_t cut = 0; cut <= input.bytes_count; cut += cut < PREFIX_BYTES ? 1 : step) {
        struct smq_frame prefix;
        const char *reason = NULL;
        enum smq_decode got =
            smq_decode(span_of(input.data, cut), FRAME_BYTES_MAX, &prefix, &reason);

        must((got == SMQ_DECODE_MALFORMED) == (reason != NULL));
        must(!decided || got == whole); /* more bytes change nothing */
        decided |= got != SMQ_DECODE_NEED_MORE;
        if (got == SMQ_DECODE_FRAME)
            must(prefix.bytes_count == frame->bytes_count && prefix.type == frame->type);
    }
}

static void check_run(struct span input)
{
    uint32_t count;
    size_t run_bytes = smq_publish_run(input, FRAME_BYTES_MAX, &count);
    struct span run = span_of(input.data, run_bytes);

    for (; count > 0; count--) {
        struct smq_frame frame;
        const char *reason;

        must(smq_decode(run, FRAME_BYTES_MAX, &frame, &reason) == SMQ_DECODE_FRAME);
        must(frame.type == SMQ_PUBLISH);
        must(memcmp(frame.body.data, input.data + SMQ_HEADER_BYTES, 8) == 0);
        run = span_skip(run, frame.bytes_count);
    }
    must(run.bytes_count == 0);
}

static void check_connect(struct span body)
{
    struct smq_connect connect;

    if (smq_connect_parse(body, &connect) != NULL)
        return;
    must(connect.uid.bytes_count >= SMQ_UID_BYTES_MIN);
    must(connect.uid.data > body.data);
    must(connect.uid.data + connect.uid.bytes_count < connect.credentials.data);
    must(connect.credentials.data + connect.credentials.bytes_count == connect.info.data);
    must(connect.info.data + connect.info.bytes_count == body.data + body.bytes_count);
}

static void check_last_byte(struct span input, const struct smq_frame *frame)
{
    struct smq_frame cut;
    const char *reason;
    size_t bytes_count = frame->bytes_count;

    must(smq_decode(span_of(input.data, bytes_count), FRAME_BYTES_MAX, &cut, &reason) ==
         SMQ_DECODE_FRAME);
    must(smq_decode(span_of(input.data, bytes_count - 1), FRAME_BYTES_MAX, &cut, &reason) ==
         SMQ_DECODE_NEED_MORE);
}

static void check_frame(struct span input, const struct smq_frame *frame)
{
    uint8_t again[FRAME_BYTES_MAX];

    must(frame->bytes_count <= input.bytes_count && frame->bytes_count <= FRAME_BYTES_MAX);
    check_last_byte(input, frame);
    must(smq_encode(again, sizeof(again), (enum smq_packet)frame->type, span_of(NULL, 0),
                    frame->body) == frame->bytes_count);
    must(memcmp(again, input.data, frame->bytes_count) == 0);
    if (frame->type == SMQ_PUBLISH)
        check_run(input);
    if (frame->type == SMQ_PUBLISH || frame->type == SMQ_PUBFRAG)
        must(smq_publish_of(frame).payload.bytes_count + SMQ_PUBLISH_HEADER_BYTES ==
             frame->bytes_count);
    if (frame->type == SMQ_CONNECT)
        check_connect(frame->body);
}

static void decode_all(struct span input)
{
    for (;;) {
        struct smq_frame frame;
        const char *reason = NULL;
        enum smq_decode got = smq_decode(input, FRAME_BYTES_MAX, &frame, &reason);

        check_prefixes(input, got, &frame);
        if (got != SMQ_DECODE_FRAME)
            return;
        check_frame(input, &frame);
        input = span_skip(input, frame.bytes_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct exact exact;

    decode_all(span_of(exact_copy(&exact, data, bytes), bytes));
    exact_free(&exact);
    return 0;
}
