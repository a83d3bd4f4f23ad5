/*
 * tests/unit/bench/test_wire.c — mirrors bench/wire.h and the protocols behind it.
 * Goal: each parser answers the same however the bytes are cut, and says why it gives up.
 * Method: one script of server bytes for each protocol, with the events it must make; fed whole,
 * then cut in two at every place. Then what a broken or unwilling server might send.
 */
#include "bench/wire.h"

#include <criterion/criterion.h>

#include "client/smq_wire.h"

#define BYTES(text) text, sizeof(text) - 1
#define PAYLOAD     "0123456789abcdef"

/* A server that accepts the key of RFC 6455 §1.3. */
#define UPGRADED                                                                                   \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

/* What a server says in a good session, and the events a client must make of it. */
static const struct script {
    const struct wire_protocol *protocol;
    const char *bytes;
    size_t bytes_count;
    enum wire_event_kind kinds[8]; /* without WIRE_NOTHING; ends with WIRE_NEED_MORE */
} scripts[] = {
    {&wire_smq,
     BYTES("\0\x11\x01\x01\x12\x34\x56\x78"
           "127.0.0.1"
           "\0\x08\x03\0\0\0\0\x2a"
           "\0\x0c\x05\0\0\0\x01\x07"
           "b1.5"
           "\0\x1f\x08\0\0\x01\x07\0\0\0\x2a\0\0\0\0" PAYLOAD "\0\x03\x0c"
           "\0\x0b\x10\0\0\x01\x07\0\0\0\x01"
           "\0\x03\x0d"),
     {WIRE_READY, WIRE_SUBSCRIBED, WIRE_MESSAGE, WIRE_PONG, WIRE_NEED_MORE}},
    {&wire_smq_ws,
     BYTES(UPGRADED "\x82\x0f\x01\x01\x12\x34\x56\x78"
                    "127.0.0.1"
                    "\x82\x06\x03\0\0\0\0\x2a"
                    "\x82\x0a\x05\0\0\0\x01\x07"
                    "b1.5"
                    "\x89\x02hi"
                    "\x82\x1d\x08\0\0\x01\x07\0\0\0\x2a\0\0\0\0" PAYLOAD
                    "\x82\x7e\x00\x1d\x08\0\0\x01\x07\0\0\0\x2a\0\0\0\0" PAYLOAD "\x82\x01\x0d"),
     {WIRE_READY, WIRE_SUBSCRIBED, WIRE_MESSAGE, WIRE_MESSAGE, WIRE_PONG, WIRE_NEED_MORE}},
    {&wire_redis,
     BYTES("%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$2\r\nid\r\n:9\r\n$7\r\nmodules\r\n*0\r\n"
           ">3\r\n$9\r\nsubscribe\r\n$4\r\nb1.5\r\n:1\r\n"
           ":1\r\n"
           ">3\r\n$7\r\nmessage\r\n$4\r\nb1.5\r\n$16\r\n" PAYLOAD "\r\n"
           "+PONG\r\n"),
     {WIRE_READY, WIRE_SUBSCRIBED, WIRE_MESSAGE, WIRE_PONG, WIRE_NEED_MORE}},
    {&wire_nats,
     BYTES("INFO {\"server_id\":\"x\"} \r\nPONG\r\nPONG\r\nPING\r\nMSG b1.5 1 16\r\n" PAYLOAD
           "\r\nMSG b1.5 12 reply.9 16\r\n" PAYLOAD "\r\nPONG\r\n"),
     {WIRE_READY, WIRE_SUBSCRIBED, WIRE_MESSAGE, WIRE_MESSAGE, WIRE_PONG, WIRE_NEED_MORE}},
    {&wire_mqtt,
     BYTES("\x20\x02\0\0\x90\x03\0\x01\0\x30\x16\0\x04"
           "b1.5" PAYLOAD "\xd0\0"),
     {WIRE_READY, WIRE_SUBSCRIBED, WIRE_MESSAGE, WIRE_PONG, WIRE_NEED_MORE}},
};

/* A client that greeted and subscribed, so that acknowledgements have something to confirm. */
struct session {
    struct wire wire;
    struct buffer out;
    struct buffer input;
    uint32_t kind_count;
};

/* Parse what is there, checking each event against the script. */
static void session_parse(struct session *session, const struct script *script)
{
    for (;;) {
        struct wire_event event = {0};

        script->protocol->next(&session->wire,
                               span_of(session->input.data, session->input.bytes_count),
                               &session->out, &event);
        if (event.kind == WIRE_NEED_MORE) {
            cr_assert_eq(event.used_bytes, 0);
            return;
        }
        cr_assert_gt(event.used_bytes, 0);
        cr_assert_leq(event.used_bytes, session->input.bytes_count);
        if (event.kind == WIRE_READY) {
            struct wire_topic topic = {"b1.5", 4};

            script->protocol->subscribe(&session->wire, &session->out, &topic);
        }
        if (event.kind == WIRE_MESSAGE) {
            cr_assert_eq(event.payload.bytes_count, sizeof(PAYLOAD) - 1);
            cr_assert_eq(memcmp(event.payload.data, PAYLOAD, sizeof(PAYLOAD) - 1), 0);
        }
        if (event.kind != WIRE_NOTHING) {
            cr_assert_eq(event.kind, script->kinds[session->kind_count], "%s: event %u was %d: %s",
                         script->protocol->name, session->kind_count, (int)event.kind,
                         event.reason);
            session->kind_count++;
        }
        buffer_consume(&session->input, event.used_bytes);
    }
}

static void session_run(const struct script *script, size_t cut_bytes)
{
    struct session session = {.wire = {.run = 1, .client_index = 2}};

    script->protocol->greet(&session.wire, &session.out, "/smq.lsp");
    cr_assert_gt(session.out.bytes_count, 0);
    buffer_append(&session.input, script->bytes, cut_bytes);
    session_parse(&session, script);
    buffer_append(&session.input, script->bytes + cut_bytes, script->bytes_count - cut_bytes);
    session_parse(&session, script);
    cr_assert_eq(session.input.bytes_count, 0, "%s: bytes left over", script->protocol->name);
    cr_assert_eq(script->kinds[session.kind_count], WIRE_NEED_MORE, "%s: events missing",
                 script->protocol->name);
    buffer_deinit(&session.out);
    buffer_deinit(&session.input);
}

Test(wire, makes_the_same_events_wherever_the_bytes_are_cut)
{
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        for (size_t cut = 0; cut <= scripts[i].bytes_count; cut++)
            session_run(&scripts[i], cut);
    }
}

/* What a server may send instead, and a word of the reason that must be given. */
static const struct {
    const struct wire_protocol *protocol;
    const char *bytes;
    size_t bytes_count;
    const char *reason;
} refusals[] = {
    {&wire_smq, BYTES("HTTP/1.1 404 Not Found\r\n\r\n"), "--path"},
    {&wire_smq, BYTES("\0\x02\x01"), "2 bytes"},
    {&wire_smq, BYTES("\0\x04\x01\x01"), "malformed"},
    {&wire_smq, BYTES("\0\x03\xff"), "malformed"},
    {&wire_smq, BYTES("\0\x11\x03\x06\0\0\0\0go away!!"), "Connack 6: go away!!"},
    {&wire_smq, BYTES("\0\x0c\x05\x01\0\0\0\0b1.5"), "denied"},
    {&wire_smq,
     BYTES("\0\x0c\x0b"
           "reconnect"),
     "Disconnect: reconnect"},
    {&wire_smq_ws, BYTES("\x82\x01\x01"), "malformed"},
    {&wire_smq_ws, BYTES("\x82\x81"), "length of 81"},
    {&wire_smq_ws, BYTES("\x82\x7f"), "length of 7f"},
    {&wire_smq_ws, BYTES("\x02\x01\x0d"), "begins with 02"},
    {&wire_smq_ws, BYTES("\x82\0"), "begins with 82"},
    {&wire_smq_ws, BYTES("\x88\x02\x03\xe9"), "Close 1001"},
    {&wire_smq_ws, BYTES("\x88\0"), "Close 1005"},
    {&wire_redis, BYTES("-NOAUTH Authentication required.\r\n"), "NOAUTH"},
    {&wire_redis, BYTES("*300\r\n"), "elements"},
    {&wire_nats, BYTES("-ERR 'Slow Consumer'\r\n"), "Slow Consumer"},
    {&wire_nats, BYTES("HTTP/1.1 400 Bad Request\r\n"), "not NATS"},
    {&wire_mqtt, BYTES("\x20\x02\0\x05"), "code 5"},
    {&wire_mqtt, BYTES("\x90\x03\0\x01\x80"), "SUBACK"},
    {&wire_mqtt, BYTES("\x30\x03\0\x04t"), "shorter"},
    {&wire_mqtt, BYTES("\x30\xff\xff\xff\xff\xff"), "four bytes"},
    {&wire_mqtt, BYTES("\x10\0"), "0x10"},
};

Test(wire, says_why_a_server_will_not_do)
{
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        struct wire wire = {0};
        struct buffer out = {0};
        struct wire_event event = {0};

        refusals[i].protocol->next(&wire, span_of(refusals[i].bytes, refusals[i].bytes_count), &out,
                                   &event);
        cr_assert_eq(event.kind, WIRE_REFUSED, "%s: case %zu was not refused",
                     refusals[i].protocol->name, i);
        cr_assert_not_null(strstr(event.reason, refusals[i].reason), "%s: \"%s\" lacks \"%s\"",
                           refusals[i].protocol->name, event.reason, refusals[i].reason);
        buffer_deinit(&out);
    }
}

Test(wire_smq_ws, asks_for_an_upgrade_and_judges_the_answer)
{
    static const struct {
        const char *answer;
        const char *reason;
    } cases[] = {
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403 Forbidden"},
        {"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: another\r\n\r\n", "our key"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct wire wire = {0};
        struct buffer out = {0};
        struct wire_event event = {0};

        wire_smq_ws.greet(&wire, &out, "/smq.lsp");
        cr_assert_not_null(memmem(out.data, out.bytes_count, "GET /smq.lsp HTTP/1.1\r\n", 23));
        wire_smq_ws.next(&wire, span_of(cases[i].answer, strlen(cases[i].answer)), &out, &event);
        cr_assert_eq(event.kind, WIRE_REFUSED);
        cr_assert_not_null(strstr(event.reason, cases[i].reason), "%s", event.reason);
        buffer_deinit(&out);
    }
}

Test(wire_smq_ws, answers_a_ping_with_the_same_bytes_masked)
{
    struct wire wire = {0};
    struct buffer out = {0};
    struct wire_event event = {0};

    wire_smq_ws.next(&wire, span_of("\x89\x02hi", 4), &out, &event);
    cr_assert_eq(event.kind, WIRE_NOTHING);
    cr_assert_eq(out.bytes_count, 8);
    cr_assert_eq(memcmp(out.data, "\x8a\x82\0\0\0\0hi", 8), 0);
    buffer_deinit(&out);
}

Test(wire_smq, answers_init_with_a_connect_that_names_the_client)
{
    struct wire wire = {.run = 0x01020304, .client_index = 0x0a0b0c0d};
    struct buffer out = {0};
    struct wire_event event = {0};

    wire_smq.next(&wire, span_of("\0\x08\x01\x01\0\0\0\x07", 8), &out, &event);
    cr_assert_eq(event.kind, WIRE_NOTHING);
    cr_assert_eq(smq_load_u16(out.data), out.bytes_count);
    cr_assert_eq(out.data[2], SMQ_CONNECT);
    cr_assert_eq(out.data[3], 2);
    cr_assert_eq(out.data[6], 12);
    cr_assert_eq(memcmp(out.data + 7, "smqb\1\2\3\4\x0a\x0b\x0c\x0d", 12), 0);
    buffer_deinit(&out);
}

Test(wire_smq, learns_its_own_address_and_the_topic_s)
{
    struct wire wire = {0};
    struct buffer out = {0};
    struct wire_event event = {0};

    wire_smq.next(&wire, span_of("\0\x08\x03\0\0\0\0\x2a", 8), &out, &event);
    cr_assert_eq(wire.self_id, 42);
    wire_smq.next(&wire,
                  span_of("\0\x0c\x05\0\0\0\x01\x07"
                          "b1.5",
                          12),
                  &out, &event);
    cr_assert_eq(event.topic_id, 263);
    cr_assert_eq(wire_topic_index(event.topic_name), 5);
    buffer_deinit(&out);
}

/* head + payload + tail must be a message the protocol's own brokers take. */
Test(wire, writes_publishes_as_the_protocols_want_them)
{
    struct wire wire = {.self_id = 0x2a};
    struct wire_topic topic = {"b1.5", 4};
    uint8_t head[WIRE_HEAD_BYTES_MAX];
    uint32_t count;

    count = wire_smq.publish_head(&wire, &topic, 0x107, 64, head);
    cr_assert_eq(count, 15);
    cr_assert_eq(memcmp(head, "\0\x4f\x08\0\0\x01\x07\0\0\0\x2a\0\0\0\0", 15), 0);
    wire.is_ws = true;
    count = wire_smq_ws.publish_head(&wire, &topic, 0x107, 64, head);
    cr_assert_eq(count, 19);
    cr_assert_eq(memcmp(head, "\x82\xcd\0\0\0\0\x08\0\0\x01\x07\0\0\0\x2a\0\0\0\0", 19), 0);
    count = wire_smq_ws.publish_head(&wire, &topic, 0x107, 113, head);
    cr_assert_eq(count, 21);
    cr_assert_eq(memcmp(head, "\x82\xfe\0\x7e\0\0\0\0\x08", 9), 0);
    count = wire_redis.publish_head(&wire, &topic, 0, 64, head);
    cr_assert_eq(count, 32);
    cr_assert_eq(memcmp(head, "*3\r\n$7\r\nPUBLISH\r\n$4\r\nb1.5\r\n$64\r\n", 32), 0);
    count = wire_nats.publish_head(&wire, &topic, 0, 64, head);
    cr_assert_eq(count, 13);
    cr_assert_eq(memcmp(head, "PUB b1.5 64\r\n", 13), 0);
    count = wire_mqtt.publish_head(&wire, &topic, 0, 200, head);
    cr_assert_eq(count, 9);
    cr_assert_eq(memcmp(head,
                        "\x30\xce\x01\0\x04"
                        "b1.5",
                        9),
                 0);
}

Test(wire_nats, gives_each_subscription_its_own_id)
{
    struct wire wire = {0};
    struct buffer out = {0};
    struct wire_topic topic = {"b1.5", 4};

    wire_nats.subscribe(&wire, &out, &topic);
    wire_nats.subscribe(&wire, &out, &topic);
    cr_assert_eq(out.bytes_count, 2 * (12 + 6));
    cr_assert_eq(memcmp(out.data, "SUB b1.5 1\r\nPING\r\nSUB b1.5 2\r\nPING\r\n", 36), 0);
    buffer_deinit(&out);
}

Test(wire, finds_the_index_in_a_topic_s_name)
{
    struct wire_topic topic;

    wire_topic_name(&topic, UINT32_MAX, UINT32_MAX - 1);
    cr_assert_eq(wire_topic_index(span_of(topic.name, topic.name_bytes)), UINT32_MAX - 1);
    cr_assert_eq(wire_topic_index(span_of("b1.", 3)), UINT32_MAX);
    cr_assert_eq(wire_topic_index(span_of("b1", 2)), UINT32_MAX);
    cr_assert_eq(wire_topic_index(span_of("b1.5x", 5)), UINT32_MAX);
    cr_assert_eq(wire_topic_index(span_of("b1.4294967295", 13)), UINT32_MAX);
    cr_assert_eq(wire_topic_index(span_of("b1.99999999999999999999", 23)), UINT32_MAX);
}

Test(wire, knows_its_protocols_by_name)
{
    cr_assert_eq(wire_find("smq"), &wire_smq);
    cr_assert_eq(wire_find("mqtt"), &wire_mqtt);
    cr_assert_null(wire_find("amqp"));
}
