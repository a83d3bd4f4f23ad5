/*
 * tests/fuzz/fuzz_session.c — a whole broker without threads, played by a script of bytes.
 *
 * The input says who connects where, over WebSocket or not, what arrives in which pieces, what the
 * web actor answers, who does not read, which allocation fails, and whose turn it is. Beyond not
 * crashing, and the promises in the code: every peer gets whole frames that a server may send; what
 * one publisher sends to one destination arrives in order; when all have left, nothing is left
 * (little_stop).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/msg.h"
#include "net/ws_codec.h"
#include "tests/unit/net/little_broker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define SLOTS        8u
#define FLOWS_MAX    32u
#define SETTLE_TICKS 64u
#define MAGIC        0x5eedu

/* A step with this bit is the same of its kind, but of WebSockets and pages. */
#define STEP_WEB 0x80u

/* What one wire got from one publisher for one destination. */
struct flow {
    uint32_t publisher;
    uint32_t destination;
    uint32_t last_number;
};

static struct little_broker broker;
static struct flow flows[LITTLE_IOS_MAX][LITTLE_SLOTS][FLOWS_MAX];
static const uint8_t *script;
static const uint8_t *script_end;
static uint32_t cut_bytes;      /* arriving bytes come in pieces of this size; 0: whole */
static uint32_t fragment_bytes; /* a WebSocket message comes in fragments of this size; 0: whole */
static uint32_t next_number;    /* of a message */
static uint32_t answered_count; /* requests for pages */
static uint32_t lists_asked;

/* -- the script -- */

static uint8_t take(void)
{
    return script < script_end ? *script++ : 0;
}

static uint32_t take_u16(void)
{
    uint32_t high = take();

    return high << 8 | take();
}

/* One of the numbers that mean something, or any. */
static uint32_t take_id(void)
{
    uint8_t choice = take();

    if (choice < LITTLE_IDS_MAX)
        return broker.ids[choice];
    if (choice == 255)
        return take_u16() << 16 | take_u16();
    return choice < 128 ? broker.pins[0].id : choice % 4;
}

static struct span take_name(void)
{
    static const char *const names[] = {"a", "b", "pinned", "subpinned", "topic/of/twenty-two-b",
                                        "c", "d", ""};
    static uint8_t longest[400];
    uint8_t choice = take();

    if (choice == 255)
        return span_of(longest, take_u16() % sizeof(longest));
    const char *name = names[choice % COUNT_OF(names)];
    return span_of(name, strlen(name));
}

/* -- where -- */

struct place {
    uint32_t io;
    uint32_t slot;
};

static struct place take_place(void)
{
    static const uint8_t slots[SLOTS] = {0, 1, 2, 3, 63, 64, 65, LITTLE_SLOTS - 1};
    uint8_t choice = take();

    return (struct place){.io = choice / SLOTS % broker.io_count, .slot = slots[choice % SLOTS]};
}

static uint32_t etid_at(struct place place)
{
    struct conn *conn = little_conn(&broker, place.io, place.slot);

    return conn ? conn->etid : SMQ_ID_NONE;
}

/* -- what arrives -- */

static void feed(struct place place, struct span bytes)
{
    while (bytes.bytes_count > 0) {
        size_t step = cut_bytes ? min_size(cut_bytes, bytes.bytes_count) : bytes.bytes_count;

        little_feed(&broker, place.io, place.slot, span_of(bytes.data, step));
        bytes = span_skip(bytes, step);
    }
}

static void feed_text(struct place place, const char *text)
{
    feed(place, span_of(text, strlen(text)));
}

/* -- over WebSocket -- */

/* One masked frame. */
static void feed_ws_frame(struct place place, uint8_t first, struct span payload)
{
    static uint8_t frame[SMQ_FRAME_BYTES_MAX + WS_CLIENT_HEADER_BYTES_MAX];
    const uint8_t mask[4] = {0x37, (uint8_t)next_number, 0, 0xfa};
    size_t at = 2;

    must(payload.bytes_count <= SMQ_FRAME_BYTES_MAX);
    frame[0] = first;
    frame[1] = (uint8_t)(0x80 | min_size(payload.bytes_count, 126));
    if (payload.bytes_count >= 126) {
        smq_store_u16(frame + at, (uint16_t)payload.bytes_count);
        at += 2;
    }
    memcpy(frame + at, mask, sizeof(mask));
    at += sizeof(mask);
    ws_unmask(frame + at, payload.data, payload.bytes_count, mask); /* and so it masks */
    feed(place, span_of(frame, at + payload.bytes_count));
}

static void feed_ws_message(struct place place, struct span message)
{
    uint8_t opcode = WS_BINARY;

    while (fragment_bytes > 0 && message.bytes_count > fragment_bytes) {
        feed_ws_frame(place, opcode, span_of(message.data, fragment_bytes));
        message = span_skip(message, fragment_bytes);
        opcode = WS_CONTINUATION;
    }
    feed_ws_frame(place, 0x80 | opcode, message);
}

/* Any frame that is not a message: controls, and what breaks a rule. */
static void feed_ws_other(struct place place)
{
    static const uint8_t firsts[] = {0x88, 0x89, 0x8a, 0x81, 0x80, 0x02, 0x00, 0x09, 0xc2, 0x83};
    static uint8_t payload[400];
    uint8_t choice = take();
    size_t bytes_count = choice & 0x80 ? take_u16() % sizeof(payload) : choice / 16u;

    memset(payload, 'p', sizeof(payload));
    smq_store_u16(payload, (uint16_t)(choice & 0x40 ? take_u16() : 1000));
    feed_ws_frame(place, firsts[choice % 16u % COUNT_OF(firsts)], span_of(payload, bytes_count));
}

static bool is_ws(struct place place)
{
    struct conn *conn = little_conn(&broker, place.io, place.slot);

    return conn && conn->flags & CONN_WS;
}

/* In the form that the connection speaks by now. */
static void feed_frame(struct place place, uint8_t type, struct span fixed, struct span text)
{
    static uint8_t frame[SMQ_FRAME_BYTES_MAX];
    size_t bytes_count = SMQ_HEADER_BYTES + fixed.bytes_count + text.bytes_count;

    must(bytes_count <= sizeof(frame));
    smq_store_u16(frame, (uint16_t)bytes_count);
    frame[SMQ_LENGTH_BYTES] = type;
    if (fixed.bytes_count > 0)
        memcpy(frame + SMQ_HEADER_BYTES, fixed.data, fixed.bytes_count);
    if (text.bytes_count > 0)
        memcpy(frame + SMQ_HEADER_BYTES + fixed.bytes_count, text.data, text.bytes_count);
    if (is_ws(place))
        feed_ws_message(place, span_skip(span_of(frame, bytes_count), SMQ_LENGTH_BYTES));
    else
        feed(place, span_of(frame, bytes_count));
}

#define UPGRADE                                                                                    \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void feed_head(struct place place)
{
    static const char *const heads[] = {
        "GET /a HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nSimpleMQ: 1\r\nSendSmqHttpResponse: true\r\n\r\n",
        "GET /b?q=1 HTTP/1.1\nsimplemq:\nX-Long: 0123456789012345678901234567890123456789\n\n",
        "GET /c HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\n" UPGRADE "\r\n",
        "GET /b HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\n" UPGRADE "\r\n",
        "GET /page HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\ntwenty bytes of form!",
        "HEAD /page HTTP/1.0\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n" UPGRADE "\r\n",
    };

    feed_text(place, heads[take() % COUNT_OF(heads)]);
}

static void feed_connect(struct place place)
{
    static const char identities[][12] = {"\6uid--0", "\6uid--1\3key", "\6uid--2", "\6uid--3\0inf"};
    uint8_t fixed[3] = {1};
    uint8_t choice = take();
    size_t fixed_bytes = 1;

    if (choice & 0x80) { /* version 2, with a maximum */
        fixed[0] = 2;
        smq_store_u16(fixed + 1, (uint16_t)take_u16());
        fixed_bytes = 3;
    } else if (choice & 0x40) {
        fixed[0] = 3;
    }
    feed_frame(place, SMQ_CONNECT, span_of(fixed, fixed_bytes),
               span_of(identities[choice % COUNT_OF(identities)], sizeof(identities[0])));
}

static void feed_message(struct place place, uint8_t type)
{
    static uint8_t payload[40000];
    uint8_t fixed[12];
    uint8_t kind = take();
    uint32_t destination = take_id();
    uint32_t publisher = kind == 255 ? take_id() : etid_at(place);
    uint32_t payload_bytes = kind & 1 ? take_u16() % sizeof(payload) : take();
    uint32_t count = kind & 2 ? 1 + take() % 20 : 1;

    for (uint32_t i = 0; i < count; i++) {
        smq_store_u32(fixed, type == SMQ_PUBFRAG && i + 1 < count ? SMQ_ID_NONE : destination);
        smq_store_u32(fixed + 4, publisher);
        smq_store_u32(fixed + 8, MAGIC);
        smq_store_u32(payload, next_number++);
        /* Of a message in pieces only the first piece has a number, and has it whole. */
        bool has_number = type == SMQ_PUBLISH || i == 0;

        feed_frame(place, type, span_of(fixed, sizeof(fixed)),
                   span_of(payload, has_number ? payload_bytes + 4 : payload_bytes));
    }
}

static void feed_number(struct place place)
{
    static const uint8_t types[] = {SMQ_UNSUBSCRIBE, SMQ_OBSERVE, SMQ_UNOBSERVE};
    uint8_t type = types[take() % COUNT_OF(types)];
    uint8_t fixed[4];

    smq_store_u32(fixed, take_id());
    feed_frame(place, type, span_of(fixed, sizeof(fixed)), span_of(NULL, 0));
}

static void feed_named(struct place place)
{
    static const uint8_t types[] = {SMQ_SUBSCRIBE, SMQ_CREATE, SMQ_CREATESUB, SMQ_SUBSCRIBE};
    uint8_t type = types[take() % COUNT_OF(types)];
    uint32_t count = 1 + take() % 4;

    for (; count > 0; count--)
        feed_frame(place, type, span_of(NULL, 0), take_name());
}

static void feed_raw(struct place place)
{
    size_t bytes_count = min_size(take(), (size_t)(script_end - script));

    feed(place, span_of(script, bytes_count));
    script += bytes_count;
}

/* -- what happens -- */

static void accept_at(struct place place)
{
    if (!little_conn(&broker, place.io, place.slot) && little_accept(&broker, place.io, place.slot))
        memset(flows[place.io][place.slot], 0, sizeof(flows[place.io][place.slot]));
}

/* A client that is there: most inputs should get this far. */
static void enter(struct place place, bool over_ws)
{
    accept_at(place);
    feed_text(place, over_ws ? "GET /a HTTP/1.1\r\nHost: x\r\n" UPGRADE "\r\n"
                             : "GET /a HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n");
    feed_connect(place);
    little_settle(&broker);
}

static void give_turn(void)
{
    uint8_t choice = take();

    if (choice % 3 == 0)
        little_settle(&broker);
    else if (choice % 3 == 1)
        (void)little_io_turn(&broker, choice / 3u % broker.io_count);
    else
        (void)little_shard_turn(&broker, choice / 3u % broker.shard_count);
}

static void read_or_not(struct place place)
{
    uint8_t choice = take();
    struct little_wire *wire = &broker.wires[place.io][place.slot];

    if (choice & 1)
        wire->holds = !wire->holds;
    else
        little_complete(&broker, place.io, place.slot, choice & 2 ? take_u16() : choice);
}

static void leave(struct place place)
{
    if (take() & 1)
        little_eof(&broker, place.io, place.slot);
    else
        little_reset(&broker, place.io, place.slot);
}

static void lack_memory(void)
{
    struct mem *mem = broker.mem_of[take() % (broker.io_count + broker.shard_count)];
    uint8_t choice = take();

    if (choice < 64)
        mem->fail_at = choice;
    else if (choice < 128)
        broker.budget.limit_bytes =
            atomic_load(&broker.budget.used_bytes) + (int64_t)(choice - 64) * 4096;
    else
        broker.budget.limit_bytes = (int64_t)broker.config.limits.memory_bytes_max;
}

static void control_says(void)
{
    uint8_t choice = take();
    uint32_t io = choice / 8u % broker.io_count;

    if (choice % 8 == 7) {
        little_tell(&broker, io, (struct envelope){.kind = ENVELOPE_STOP});
    } else if (lists_asked == broker.rows_end_count) {
        lists_asked++;
        little_tell(&broker, io, (struct envelope){.kind = ENVELOPE_LIST, .id = LIST_PEERS});
    }
}

/* The web actor answers the last request, once, with what that request allows. */
static void web_answers(void)
{
    static const char page[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage";
    uint8_t choice = take();
    uint8_t flags = broker.request.flags;
    struct envelope answer = {.kind = ENVELOPE_HTTP_ANSWER, .conn = broker.request.conn};
    struct span text = span_of(page, sizeof(page) - 1);

    if (broker.request_count == answered_count)
        return;
    answered_count = broker.request_count;
    answer.status = HTTP_ANSWER_CLOSE;
    if (choice & 1 && flags & ENVELOPE_UPGRADE) {
        answer.status = HTTP_ANSWER_UPGRADE;
        text = span_of("user", choice & 2 ? 4 : 0);
    } else if (choice & 1 && flags & ENVELOPE_KEEP) {
        answer.status = HTTP_ANSWER_KEEP;
    }
    if (text.bytes_count > 0)
        answer.msg = msg_copy(&broker.control_mem, text);
    if (answer.msg || answer.status == HTTP_ANSWER_UPGRADE)
        little_tell(&broker, answer.conn.host_index, answer);
}

/* Somebody at the web UI has had enough of a device. */
static void end(struct place place)
{
    struct conn *conn = little_conn(&broker, place.io, place.slot);
    struct msg *reason = conn ? msg_copy(&broker.control_mem, span_of("enough", 6)) : NULL;

    if (reason)
        little_tell(&broker, place.io,
                    (struct envelope){.kind = ENVELOPE_END,
                                      .conn = conn_handle_of(&broker.ios[place.io], conn),
                                      .msg = reason});
}

static void web_step(uint8_t what, struct place place)
{
    switch (what) {
    case 8:
        feed_ws_other(place);
        return;
    case 9:
        fragment_bytes = take();
        return;
    case 13:
        end(place);
        return;
    case 14:
        web_answers();
        return;
    default:
        enter(place, true);
        return;
    }
}

static void step(void)
{
    uint8_t choice = take();
    uint8_t what = choice % 16;
    struct place place = take_place();

    if (choice & STEP_WEB) {
        web_step(what, place);
        return;
    }
    switch (what) {
    case 0:
        accept_at(place);
        return;
    case 1:
        feed_raw(place);
        return;
    case 2:
        feed_head(place);
        return;
    case 3:
        feed_connect(place);
        return;
    case 4:
        feed_named(place);
        return;
    case 5:
        feed_message(place, SMQ_PUBLISH);
        return;
    case 6:
        feed_message(place, SMQ_PUBFRAG);
        return;
    case 7:
        feed_number(place);
        return;
    case 8:
        feed_frame(place, (uint8_t[]){SMQ_PING, SMQ_PONG, SMQ_DISCONNECT, SMQ_PING}[take() % 4],
                   span_of(NULL, 0), span_of(NULL, 0));
        return;
    case 9:
        cut_bytes = take();
        return;
    case 10:
        give_turn();
        return;
    case 11:
        read_or_not(place);
        return;
    case 12:
        little_pass(&broker, take() % SETTLE_TICKS);
        return;
    case 13:
        leave(place);
        return;
    case 14:
        if (take() & 1)
            lack_memory();
        else
            control_says();
        return;
    default:
        enter(place, false);
        return;
    }
}

/* -- what everybody gets -- */

static void on_frame(struct little_wire *wire, const uint8_t *frame, uint32_t bytes_count)
{
    size_t index = (size_t)(wire - &broker.wires[0][0]);
    struct flow *flow = flows[index / LITTLE_SLOTS][index % LITTLE_SLOTS];
    const uint8_t *body = frame + SMQ_HEADER_BYTES;

    if (frame[SMQ_LENGTH_BYTES] != SMQ_PUBLISH || bytes_count < SMQ_PUBLISH_HEADER_BYTES + 4 ||
        smq_load_u32(body + 8) != MAGIC)
        return;
    uint32_t number = smq_load_u32(frame + SMQ_PUBLISH_HEADER_BYTES) + 1;

    for (uint32_t i = 0; i < FLOWS_MAX; i++, flow++) {
        if (flow->last_number == 0)
            *flow = (struct flow){smq_load_u32(body + 4), smq_load_u32(body), 0};
        if (flow->destination != smq_load_u32(body) || flow->publisher != smq_load_u32(body + 4))
            continue;
        must(number > flow->last_number);
        flow->last_number = number;
        return;
    }
}

static void configure(void)
{
    uint8_t shape = take();
    uint8_t sizes = take();
    struct config_limits *limits = &broker.config.limits;

    little_config(&broker);
    broker.on_frame = on_frame;
    broker.io_count = 1 + (shape & 1);
    broker.inline_shards = shape & 2;
    broker.shard_count = broker.inline_shards ? broker.io_count : 1 + shape / 4u % 3;
    limits->slow_consumer = (enum slow_consumer)(shape / 16u % 3);
    if (shape & 64)
        broker.config.lane_slot_count = 4; /* always full: everything goes through the spill */
    if (shape & 128) {
        broker.has_web = true;
        broker.instances[1].needs_login = true;
        broker.instances[1].origins = (char *)(uintptr_t) "self";
    }
    if (sizes & 1)
        limits->queue_bytes_max = 4096;
    if (sizes & 2)
        limits->frame_bytes_max = 2048;
    if (sizes & 4) {
        limits->connection_count_max = 5;
        limits->handshake_count_max = 4;
        limits->topics_per_client_max = 4;
        limits->topics_per_instance_max = 6;
        limits->topics_max = 7;
        limits->subscriptions_per_client_max = 3;
        limits->subscriptions_per_instance_max = 6;
        limits->subscriptions_max = 7;
        limits->observations_per_client_max = 2;
        limits->pending_per_instance_max = 3;
        limits->subtopics_per_instance_max = 2;
        limits->name_bytes_max = 20;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    script = data;
    script_end = data + bytes;
    cut_bytes = fragment_bytes = next_number = lists_asked = answered_count = 0;
    memset(flows, 0, sizeof(flows));
    configure();
    little_start(&broker);
    while (script < script_end)
        step();
    broker.budget.limit_bytes = (int64_t)broker.config.limits.memory_bytes_max;
    little_stop(&broker);
    return 0;
}
