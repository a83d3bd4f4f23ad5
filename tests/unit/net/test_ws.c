/*
 * tests/unit/net/test_ws.c — mirrors net/session_ws.c and net/session_http.c.
 *
 * Goal:   a session over WebSocket is the same session; every rule of RFC 6455 that a client can
 *         break ends it with the right code; requests for pages reach the web actor whole, one at
 *         a time, and its answers reach the client.
 * Method: a little broker, whose control plays the web actor; each conversation cut at many places.
 */
#include <criterion/criterion.h>

#include "core/msg.h"
#include "tests/unit/net/little_client.h"

#define UPGRADE_LINES                                                                              \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE_HEAD "GET /a HTTP/1.1\r\nHost: x:1\r\n" UPGRADE_LINES "\r\n"

static void start(void)
{
    little_config(&broker);
    broker.has_web = true;
    little_start(&broker);
}

static void stop(void)
{
    little_stop(&broker);
}

TestSuite(ws, .init = start);

/* -- a client -- */

/* A masked frame; returns its length. */
static size_t ws_frame_of(uint8_t *out, uint8_t first, const void *payload, size_t payload_bytes)
{
    static const uint8_t mask[4] = {0xa1, 0x02, 0x53, 0xf4};
    size_t at = 2;

    out[0] = first;
    if (payload_bytes < 126) {
        out[1] = (uint8_t)(0x80 | payload_bytes);
    } else {
        out[1] = 0xfe;
        smq_store_u16(out + 2, (uint16_t)payload_bytes);
        at = 4;
    }
    memcpy(out + at, mask, sizeof(mask));
    at += sizeof(mask);
    for (size_t i = 0; i < payload_bytes; i++)
        out[at + i] = ((const uint8_t *)payload)[i] ^ mask[i % 4];
    return at + payload_bytes;
}

static void say_ws(uint32_t slot, uint8_t first, const void *payload, size_t payload_bytes)
{
    static uint8_t frame[70000];

    say(slot, frame, ws_frame_of(frame, first, payload, payload_bytes));
}

/* An SMQ packet as one message. */
static size_t message_of(uint8_t *out, uint8_t type, const void *body, size_t body_bytes)
{
    static uint8_t payload[SMQ_FRAME_BYTES_MAX];

    payload[0] = type;
    memcpy(payload + 1, body, body_bytes);
    return ws_frame_of(out, 0x82, payload, 1 + body_bytes);
}

static void say_message(uint32_t slot, uint8_t type, const void *body, size_t body_bytes)
{
    static uint8_t frame[70000];

    say(slot, frame, message_of(frame, type, body, body_bytes));
}

/* The next frame's payload; asserts its first byte. */
static struct span hear_ws(uint32_t slot, uint8_t first)
{
    struct little_wire *wire = &broker.wires[0][slot];
    const uint8_t *frame = wire->got + heard_bytes[slot];

    cr_assert_geq(wire->got_bytes - heard_bytes[slot], 2, "nothing came");
    cr_assert_eq(frame[0], first, "%02x came, not %02x", frame[0], first);
    uint32_t header_bytes = frame[1] < 126 ? 2 : 4;
    uint32_t payload_bytes = frame[1] < 126 ? frame[1] : smq_load_u16(frame + 2);

    heard_bytes[slot] += header_bytes + payload_bytes;
    cr_assert_leq(heard_bytes[slot], wire->got_bytes);
    return span_of(frame + header_bytes, payload_bytes);
}

/* The next message's body; asserts its type. */
static struct span hear_message(uint32_t slot, uint8_t type)
{
    struct span payload = hear_ws(slot, 0x82);

    cr_assert_eq(payload.data[0], type);
    return span_skip(payload, 1);
}

/* Past an HTTP head whose first line begins with @start. */
static void hear_head(uint32_t slot, const char *begin)
{
    struct little_wire *wire = &broker.wires[0][slot];
    const char *got = (const char *)wire->got + heard_bytes[slot];
    const char *end = memmem(got, wire->got_bytes - heard_bytes[slot], "\r\n\r\n", 4);

    cr_assert_not_null(end, "no head came");
    cr_assert_eq(strncmp(got, begin, strlen(begin)), 0, "%.40s", got);
    heard_bytes[slot] += (uint32_t)(end + 4 - got);
}

static const char connect_body[] = "\1\6abcdef\0";

static void open_ws(uint32_t slot)
{
    dial(slot);
    say_text(slot, UPGRADE_HEAD);
    little_settle(&broker);
    hear_head(slot, "HTTP/1.1 101 ");
    (void)hear_message(slot, SMQ_INIT);
}

static uint32_t join_ws(uint32_t slot, const char *uid)
{
    char body[16];
    int body_bytes = snprintf(body, sizeof(body), "\1\6%s%c", uid, 0);

    open_ws(slot);
    say_message(slot, SMQ_CONNECT, body, (size_t)body_bytes);
    little_settle(&broker);
    struct span connack = hear_message(slot, SMQ_CONNACK);
    cr_assert_eq(connack.data[0], SMQ_CONNACK_ACCEPTED);
    return smq_load_u32(connack.data + 1);
}

/* The broker has said Close with this code, and lets go as soon as it is sent or answered. */
static void assert_closed_with(uint32_t slot, uint16_t code)
{
    little_settle(&broker);
    struct span payload = hear_ws(slot, 0x88);

    cr_assert_geq(payload.bytes_count, 2);
    cr_assert_eq(smq_load_u16(payload.data), code, "code %u", smq_load_u16(payload.data));
    hear_nothing(slot);
    little_eof(&broker, 0, slot);
    little_settle(&broker);
    cr_assert_null(conn_of(slot));
}

/* -- the upgrade -- */

static void assert_upgrade_refused(const char *head, const char *begin)
{
    dial(0);
    say_text(0, head);
    little_settle(&broker);
    hear_head(0, begin);
    little_eof(&broker, 0, 0);
    little_settle(&broker);
    cr_assert_null(conn_of(0));
}

Test(ws, refuses_upgrades_that_are_not_whole)
{
    assert_upgrade_refused("GET /a HTTP/1.0\r\nHost: x\r\n" UPGRADE_LINES "\r\n", "HTTP/1.1 400 ");
    assert_upgrade_refused("POST /a HTTP/1.1\r\nHost: x\r\n" UPGRADE_LINES "\r\n", "HTTP/1.1 405 ");
    assert_upgrade_refused("GET /a HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                           "Sec-WebSocket-Version: 13\r\n\r\n",
                           "HTTP/1.1 400 ");
    assert_upgrade_refused("GET /a HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                           "Sec-WebSocket-Version: 8\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                           "HTTP/1.1 426 ");
    stop();
}

Test(ws, lets_in_only_pages_of_allowed_origins)
{
    static char origins[] = "https://good.example self";

    broker.instances[0].origins = origins;
    assert_upgrade_refused(
        "GET /a HTTP/1.1\r\nHost: x:1\r\nOrigin: https://evil.example\r\n" UPGRADE_LINES "\r\n",
        "HTTP/1.1 403 ");
    assert_upgrade_refused("GET /a HTTP/1.1\r\nHost: x:1\r\nOrigin: https://x:12\r\n" UPGRADE_LINES
                           "\r\n",
                           "HTTP/1.1 403 ");
    assert_upgrade_refused("GET /a HTTP/1.1\r\nOrigin: null\r\n" UPGRADE_LINES "\r\n",
                           "HTTP/1.1 403 ");
    assert_upgrade_refused(
        "GET /a HTTP/1.1\r\nHost: x:1\r\nOrigin: https://good.example\r\n" UPGRADE_LINES "\r\n",
        "HTTP/1.1 101 ");
    assert_upgrade_refused("GET /a HTTP/1.1\r\nHost: x:1\r\nOrigin: http://X:1\r\n" UPGRADE_LINES
                           "\r\n",
                           "HTTP/1.1 101 ");
    assert_upgrade_refused(UPGRADE_HEAD, "HTTP/1.1 101 "); /* no browser */
    broker.instances[0].origins = NULL;
    stop();
}

Test(ws, says_101_and_init_and_then_speaks_smq)
{
    open_ws(0);
    hear_nothing(0);
    cr_assert_eq(conn_of(0)->state, CONN_GREETED);
    stop();
}

/* -- messages -- */

Test(ws, reads_the_same_however_the_bytes_are_cut)
{
    static uint8_t bytes[8192];
    size_t bytes_count = 0;

    memcpy(bytes, UPGRADE_HEAD, strlen(UPGRADE_HEAD));
    bytes_count += strlen(UPGRADE_HEAD);
    bytes_count += message_of(bytes + bytes_count, SMQ_CONNECT, connect_body, 9);
    bytes_count += ws_frame_of(bytes + bytes_count, 0x89, "ping", 4);
    bytes_count += message_of(bytes + bytes_count, SMQ_SUBSCRIBE, "pinned", 6);
    bytes_count += ws_frame_of(bytes + bytes_count, 0x02, "\6new", 4); /* Create, in pieces */
    bytes_count += ws_frame_of(bytes + bytes_count, 0x89, "", 0);
    bytes_count += ws_frame_of(bytes + bytes_count, 0x00, "", 0);
    bytes_count += ws_frame_of(bytes + bytes_count, 0x80, "name", 4);
    bytes_count += ws_frame_of(bytes + bytes_count, 0x8a, "pong", 4);
    for (size_t cut = 1; cut < bytes_count; cut += cut < 60 ? 1 : 13) {
        dial(0);
        for (size_t at = 0; at < bytes_count; at += cut) {
            say(0, bytes + at, min_size(cut, bytes_count - at));
            if (cut > 3)
                little_settle(&broker);
        }
        little_settle(&broker);
        hear_head(0, "HTTP/1.1 101 ");
        (void)hear_message(0, SMQ_INIT);
        cr_assert_eq(hear_message(0, SMQ_CONNACK).data[0], SMQ_CONNACK_ACCEPTED);
        assert_body(hear_ws(0, 0x8a), "ping", 4);
        /* Pongs are ours, acks a shard's: they may come in any order. */
        bool acked = false, ponged = false;
        for (int i = 0; i < 2; i++) {
            if (broker.wires[0][0].got[heard_bytes[0]] == 0x8a)
                ponged = hear_ws(0, 0x8a).bytes_count == 0;
            else
                acked = smq_load_u32(hear_message(0, SMQ_SUBACK).data + 1) == 42;
        }
        cr_assert(acked && ponged);
        struct span created = hear_message(0, SMQ_CREATEACK);
        assert_body(span_skip(created, 5), "newname", 7);
        hear_nothing(0);
        cr_assert_null(conn_of(0)->input, "nothing is incomplete");
        little_reset(&broker, 0, 0);
        little_settle(&broker);
    }
    stop();
}

Test(ws, carries_messages_of_every_size_between_both_kinds_of_clients)
{
    static const size_t sizes[] = {0, 100, 112, 113, 114, 1000, 1010, 1024, 5000, 65520};
    static uint8_t body[SMQ_FRAME_BYTES_MAX];
    uint32_t from_ws = join_ws(0, "ws-one");
    uint32_t from_raw = join(1, "rawone");

    (void)join_ws(2, "ws-two");
    say_message(0, SMQ_SUBSCRIBE, "pinned", 6);
    say_message(2, SMQ_SUBSCRIBE, "pinned", 6);
    little_settle(&broker);
    (void)hear_message(0, SMQ_SUBACK);
    (void)hear_message(2, SMQ_SUBACK);
    (void)subscribe(1, "pinned");
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (int ws = 0; ws < 2; ws++) {
            smq_store_u32(body, 42);
            smq_store_u32(body + 4, ws ? from_ws : from_raw);
            smq_store_u32(body + 8, (uint32_t)i);
            memset(body + 12, 'a' + (int)i, sizes[i]);
            if (ws)
                say_message(0, SMQ_PUBLISH, body, 12 + sizes[i]);
            else
                say_frame(1, SMQ_PUBLISH, body, 12 + sizes[i]);
            little_settle(&broker);
            assert_body(hear_message(0, SMQ_PUBLISH), body, 12 + sizes[i]);
            assert_body(hear_message(2, SMQ_PUBLISH), body, 12 + sizes[i]);
            assert_body(hear(1, SMQ_PUBLISH), body, 12 + sizes[i]);
        }
    }
    stop();
}

Test(ws, reads_what_comes_together_as_one_run)
{
    uint32_t etid = join_ws(0, "ws-one");
    uint8_t bytes[2000];
    uint8_t body[20];
    size_t bytes_count = 0;

    say_message(0, SMQ_SUBSCRIBE, "pinned", 6);
    little_settle(&broker);
    (void)hear_message(0, SMQ_SUBACK);
    uint64_t runs_before = little_shard_stat(&broker, SHARD_STAT_RUNS);
    for (int i = 0; i < 20; i++)
        bytes_count += message_of(bytes + bytes_count, SMQ_PUBLISH, body,
                                  publish_body(body, 42, etid, "hello"));
    say(0, bytes, bytes_count);
    little_settle(&broker);
    cr_assert_eq(little_shard_stat(&broker, SHARD_STAT_RUNS) - runs_before, 1);
    for (int i = 0; i < 20; i++)
        (void)hear_message(0, SMQ_PUBLISH);
    stop();
}

/* -- rules a client can break -- */

Test(ws, ends_with_the_code_of_what_is_wrong)
{
    static uint8_t large[65536];
    static const struct {
        uint8_t first;
        const char *payload;
        size_t payload_bytes;
        uint16_t code;
    } cases[] = {
        {0x81, "text", 4, 1003},
        {0x01, "te", 2, 1003},
        {0x80, "more", 4, 1002},
        {0xc2, "x", 1, 1002},
        {0x83, "x", 1, 1002},
        {0x09, "x", 1, 1002},
        {0x88, "\x03", 1, 1002},
        {0x88, "\x03\xed", 2, 1002},
        {0x88, "\x00\x01", 2, 1002},
        {0x82, (const char *)large, 65534, 1009},
        {0x02, (const char *)large, 65534, 1009},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        open_ws(0);
        say_ws(0, cases[i].first, cases[i].payload, cases[i].payload_bytes);
        assert_closed_with(0, cases[i].code);
    }
    stop();
}

Test(ws, counts_all_fragments_of_a_message_against_the_limit)
{
    static uint8_t piece[40000];

    (void)join_ws(0, "ws-one");
    say_ws(0, 0x02, piece, sizeof(piece));
    say_ws(0, 0x80, piece, sizeof(piece));
    assert_closed_with(0, 1009);
    cr_assert_eq(io_bytes(MEM_INPUT), 0);
    stop();
}

Test(ws, does_not_take_a_message_within_a_message)
{
    (void)join_ws(0, "ws-one");
    say_ws(0, 0x02, "\6a", 2);
    say_ws(0, 0x82, "\6b", 2);
    assert_closed_with(0, 1002);
    stop();
}

Test(ws, says_why_before_it_closes)
{
    uint8_t body[32];
    (void)join_ws(0, "ws-one");
    say_message(0, SMQ_PUBLISH, body, publish_body(body, 42, 12345, "as another"));
    little_settle(&broker);
    assert_body(hear_message(0, SMQ_DISCONNECT), "corrupt frame", 13);
    assert_closed_with(0, 1008);

    (void)join_ws(0, "ws-one");
    say_message(0, SMQ_PUBFRAG, body, publish_body(body, 42, conn_of(0)->etid, "piece"));
    little_settle(&broker);
    assert_body(hear_message(0, SMQ_DISCONNECT), "PubFrag on a WebSocket", 22);
    assert_closed_with(0, 1008);

    open_ws(0);
    say_ws(0, 0x82, "", 0); /* a message without a type */
    little_settle(&broker);
    cr_assert_eq(hear_message(0, SMQ_CONNACK).data[0], SMQ_CONNACK_BAD_CONNECT);
    assert_closed_with(0, 1000);
    stop();
}

Test(ws, answers_a_close_with_its_code_and_closes)
{
    (void)join_ws(0, "ws-one");
    say_ws(0, 0x88,
           "\x03\xe9"
           "going away",
           12);
    little_settle(&broker);
    assert_body(hear_ws(0, 0x88), "\x03\xe9", 2);
    cr_assert_null(conn_of(0), "its Close was the last word");

    (void)join_ws(0, "ws-one");
    say_ws(0, 0x88, "", 0);
    little_settle(&broker);
    assert_body(hear_ws(0, 0x88), "", 0);
    cr_assert_null(conn_of(0));
    stop();
}

Test(ws, pings_as_a_websocket_and_takes_any_byte_for_an_answer)
{
    (void)join_ws(0, "ws-one");
    uint32_t idle_ticks = broker.config.keepalive_idle_ms / WHEEL_TICK_MS + 3;

    little_pass(&broker, idle_ticks);
    assert_body(hear_ws(0, 0x89), "", 0);
    say_ws(0, 0x8a, "", 0);
    little_pass(&broker, 3);
    cr_assert_eq(conn_of(0)->state, CONN_LIVE);
    stop();
}

Test(ws, is_closed_so_that_it_comes_back_when_the_broker_drains)
{
    (void)join_ws(0, "ws-one");
    session_drain(&broker.ios[0], conn_of(0));
    little_settle(&broker);
    struct span close = hear_ws(0, 0x88);
    cr_assert_eq(smq_load_u16(close.data), 1001);
    stop();
}

Test(ws, drops_old_messages_of_one_that_does_not_read)
{
    uint8_t body[600] = {0};
    uint32_t from = join(1, "sender");

    broker.config.limits.slow_consumer = SLOW_DROP_OLD;
    (void)join_ws(0, "ws-one");
    say_message(0, SMQ_SUBSCRIBE, "pinned", 6);
    little_settle(&broker);
    (void)hear_message(0, SMQ_SUBACK);
    broker.wires[0][0].holds = true;
    smq_store_u32(body, 42);
    smq_store_u32(body + 4, from);
    uint32_t count = broker.config.limits.queue_bytes_max / sizeof(body) * 3;
    for (uint32_t i = 0; i < count; i++) {
        smq_store_u32(body + 8, i);
        say_frame(1, SMQ_PUBLISH, body, i % 2 ? sizeof(body) : 50);
        if (i % 50 == 0) {
            say_ws(0, 0x89, "\x08", 1); /* its Pong looks like a Publish, and must stay */
            little_settle(&broker);
        }
    }
    little_settle(&broker);
    cr_assert_gt(little_io_stat(&broker, IO_STAT_DROPPED_OLD), count / 4);
    broker.wires[0][0].holds = false;
    for (int i = 0; i < 20; i++) {
        little_complete(&broker, 0, 0, UINT32_MAX);
        little_settle(&broker);
    }
    uint32_t last = 0, pongs = 0;
    while (heard_bytes[0] < broker.wires[0][0].got_bytes) {
        if (broker.wires[0][0].got[heard_bytes[0]] == 0x8a) {
            assert_body(hear_ws(0, 0x8a), "\x08", 1);
            pongs++;
        } else {
            last = smq_load_u32(hear_message(0, SMQ_PUBLISH).data + 8);
        }
    }
    cr_assert_eq(last, count - 1, "the newest is there");
    cr_assert_eq(pongs, (count + 49) / 50);
    stop();
}

/* -- pages -- */

static void answer(enum http_answer what, const char *text)
{
    struct msg *msg = text ? msg_copy(&broker.control_mem, span_of(text, strlen(text))) : NULL;

    little_tell(&broker, 0,
                (struct envelope){.kind = ENVELOPE_HTTP_ANSWER,
                                  .status = (uint8_t)what,
                                  .conn = broker.request.conn,
                                  .msg = msg});
    little_settle(&broker);
}

static void assert_request(const char *text)
{
    struct span request = span_skip(msg_span(broker.request.msg), HTTP_REQUEST_PREFIX_BYTES);

    assert_body(request, text, strlen(text));
}

Test(ws, hands_whole_requests_to_the_web_actor_one_at_a_time)
{
    static const char page[] = "GET /page?x HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char form[] = "POST /form HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
    char both[200];
    uint32_t asked = 0;

    snprintf(both, sizeof(both), "%s%s%s", page, form, page);
    for (size_t cut = 1; cut <= strlen(both); cut++) {
        dial(0);
        for (size_t at = 0; at < strlen(both); at += cut)
            say(0, both + at, min_size(cut, strlen(both) - at));
        little_settle(&broker);
        cr_assert_eq(broker.request_count, ++asked, "cut %zu", cut);
        assert_request(page);
        cr_assert(broker.request.flags & ENVELOPE_KEEP);
        answer(HTTP_ANSWER_KEEP, "first");
        cr_assert_eq(broker.request_count, ++asked);
        assert_request(form);
        answer(HTTP_ANSWER_KEEP, "second");
        cr_assert_eq(broker.request_count, ++asked);
        assert_request(page);
        answer(HTTP_ANSWER_CLOSE, "third");
        hear_text(0, "firstsecondthird");
        little_eof(&broker, 0, 0);
        little_settle(&broker);
        cr_assert_null(conn_of(0));
    }
    stop();
}

Test(ws, tells_the_web_actor_who_asks)
{
    dial(0);
    say_text(0, "GET / HTTP/1.0\r\n\r\n");
    little_settle(&broker);
    const uint8_t *prefix = broker.request.msg->bytes;

    cr_assert_eq(memcmp(prefix, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16), 0);
    cr_assert_eq(smq_load_u16(prefix + 16), 0);
    cr_assert_eq(broker.request.flags, 0, "HTTP/1.0, no TLS");
    answer(HTTP_ANSWER_CLOSE, "x");
    stop();
}

Test(ws, answers_bodies_it_does_not_take_by_itself)
{
    assert_upgrade_refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                           "HTTP/1.1 411 ");
    assert_upgrade_refused("POST / HTTP/1.1\r\nContent-Length: 16385\r\n\r\n", "HTTP/1.1 413 ");
    cr_assert_eq(broker.request_count, 0);
    stop();
}

Test(ws, gives_the_answer_to_one_who_has_closed_its_side)
{
    dial(0);
    say_text(0, "GET / HTTP/1.1\r\n\r\n");
    little_settle(&broker);
    little_eof(&broker, 0, 0);
    little_settle(&broker);
    answer(HTTP_ANSWER_KEEP, "here");
    hear_text(0, "here");
    cr_assert_null(conn_of(0));
    stop();
}

Test(ws, forgets_an_answer_for_one_who_has_gone)
{
    dial(0);
    say_text(0, "GET / HTTP/1.1\r\n\r\n");
    little_settle(&broker);
    little_reset(&broker, 0, 0);
    little_settle(&broker);
    answer(HTTP_ANSWER_KEEP, "nobody reads this");
    stop();
}

Test(ws, counts_readers_of_pages_apart)
{
    broker.quotas.pages.count_max = 1;
    dial(0);
    say_text(0, "GET / HTTP/1.1\r\n\r\n");
    little_settle(&broker);
    cr_assert_eq(quota_used(&broker.quotas.handshakes), 0);
    cr_assert_eq(quota_used(&broker.quotas.pages), 1);
    dial(1);
    say_text(1, "GET / HTTP/1.1\r\n\r\n");
    little_settle(&broker);
    hear_head(1, "HTTP/1.1 503 ");
    cr_assert_eq(little_io_stat(&broker, IO_STAT_REFUSED_PAGES), 1);
    stop();
}

/* As the fuzzer found: a session after a page took the place of another one's handshake. */
Test(ws, counts_one_who_reads_a_page_and_then_joins_as_any_other)
{
    static const char *const beginnings[] = {UPGRADE_HEAD,
                                             "GET /a HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n"};

    for (uint32_t slot = 0; slot < COUNT_OF(beginnings); slot++) {
        dial(slot);
        say_text(slot, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
        little_settle(&broker);
        answer(HTTP_ANSWER_KEEP, "HTTP/1.1 200 OK\r\n\r\n");
        cr_assert_eq(quota_used(&broker.quotas.pages), 1);
        cr_assert_eq(quota_used(&broker.quotas.handshakes), 0);
        say_text(slot, beginnings[slot]);
        little_settle(&broker);
        cr_assert_eq(quota_used(&broker.quotas.pages), 0);
        cr_assert_eq(quota_used(&broker.quotas.handshakes), 1);
        little_eof(&broker, 0, slot);
        little_settle(&broker);
        cr_assert_eq(quota_used(&broker.quotas.handshakes), 0);
    }
    stop();
}

Test(ws, lets_go_of_those_who_ask_nothing_more)
{
    dial(0);
    say_text(0, "GET / HTTP/1.1\r\n\r\n");
    little_settle(&broker);
    answer(HTTP_ANSWER_KEEP, "page");
    hear_text(0, "page");
    little_pass(&broker, 20000 / WHEEL_TICK_MS);
    cr_assert_null(conn_of(0));
    stop();
}

Test(ws, asks_before_it_upgrades_where_a_login_is_needed)
{
    broker.instances[0].needs_login = true;
    assert_upgrade_refused(DEVICE_HEAD, "HTTP/1.1 404 ");

    dial(0);
    say_text(0, UPGRADE_HEAD);
    say_message(0, SMQ_CONNECT, connect_body, 9); /* it does not wait */
    little_settle(&broker);
    cr_assert_eq(broker.request_count, 1);
    assert_request(UPGRADE_HEAD);
    cr_assert(broker.request.flags & ENVELOPE_UPGRADE);
    hear_nothing(0);
    answer(HTTP_ANSWER_UPGRADE, NULL);
    hear_head(0, "HTTP/1.1 101 ");
    (void)hear_message(0, SMQ_INIT);
    cr_assert_eq(hear_message(0, SMQ_CONNACK).data[0], SMQ_CONNACK_ACCEPTED);
    cr_assert_eq(quota_used(&broker.quotas.pages), 0);

    dial(1);
    say_text(1, UPGRADE_HEAD);
    little_settle(&broker);
    answer(HTTP_ANSWER_CLOSE, "HTTP/1.1 401 Unauthorized\r\n\r\n");
    hear_head(1, "HTTP/1.1 401 ");
    broker.instances[0].needs_login = false;
    stop();
}

Test(ws, is_ended_by_an_administrator_with_a_reason)
{
    (void)join_ws(0, "ws-one");
    struct msg *reason = msg_copy(&broker.control_mem, span_of("enough", 6));

    little_tell(&broker, 0,
                (struct envelope){.kind = ENVELOPE_END,
                                  .conn = conn_handle_of(&broker.ios[0], conn_of(0)),
                                  .msg = reason});
    little_settle(&broker);
    assert_body(hear_message(0, SMQ_DISCONNECT), "enough", 6);
    assert_closed_with(0, 1000);
    stop();
}
