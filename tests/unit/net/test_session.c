/*
 * tests/unit/net/test_session.c — mirrors net/session*.c and net/input.c.
 *
 * Goal:   a session hears the same however its bytes are cut, keeps memory only while something is
 *         incomplete, and ends when it should, with the right last words. What the protocol asks of
 *         each packet is proved with the real server (tests/wire/).
 * Method: a little broker; what arrives at the far end is compared byte by byte.
 */
#include "net/session.h"

#include <time.h>

#include <criterion/criterion.h>

#include "net/http_head.h"
#include "tests/unit/net/little_client.h"

#define TICKS(ms) ((ms) / WHEEL_TICK_MS)

static void start(void)
{
    little_config(&broker);
    little_start(&broker);
}

static void stop(void)
{
    little_stop(&broker);
}

TestSuite(session, .init = start);

/* -- heads that are not for us -- */

static void assert_refused_http(const char *head, int code)
{
    for (size_t cut = 1; cut <= strlen(head); cut += 1 + strlen(head) / 20) {
        dial(0);
        for (size_t at = 0; at < strlen(head); at += cut)
            say(0, head + at, min_size(cut, strlen(head) - at));
        little_settle(&broker);
        hear_text(0, http_refusal(code));
        cr_assert_eq(conn_of(0)->state, CONN_LEAVING);
        cr_assert(conn_of(0)->flags & CONN_HALF_CLOSED);
        little_eof(&broker, 0, 0);
        little_settle(&broker);
        cr_assert_null(conn_of(0));
    }
}

Test(session, refuses_heads_that_are_not_for_it)
{
    static char endless[9000];

    memset(endless, 'x', sizeof(endless) - 1);
    memcpy(endless, "GET / HTTP/1.0\r\nA: ", 19);
    assert_refused_http("GET /a HTTP/1.0\r\n\r\n", 404);
    assert_refused_http("GET /c HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n", 404);
    assert_refused_http("GET /a/ HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n", 404);
    assert_refused_http("POST /a HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n", 405);
    assert_refused_http("GET /a HTTQ\r\n\r\n", 400);
    assert_refused_http("\x16\x03\x01", 400);
    assert_refused_http(endless, 431);
    stop();
}

Test(session, says_nothing_before_init_unless_asked_to)
{
    dial(0);
    say_text(0, DEVICE_HEAD);
    little_settle(&broker);
    struct span init = hear(0, SMQ_INIT);
    cr_assert_eq(init.data[0], SMQ_PROTOCOL_VERSION);
    assert_body(span_skip(init, 5), "127.0.0.1", 9);
    hear_nothing(0);

    dial(1);
    say_text(1, "GET /b HTTP/1.0\r\nSimpleMQ: 1\r\nSendSmqHttpResponse: true\r\n\r\n");
    little_settle(&broker);
    static const char accepted[] = "HTTP/1.1 200 OK\r\nSmqBroker: true\r\n";
    const char *got = (const char *)broker.wires[0][1].got;
    cr_assert_eq(strncmp(got, accepted, strlen(accepted)), 0);
    const char *end = memmem(got, broker.wires[0][1].got_bytes, "\r\n\r\n", 4);
    cr_assert_not_null(end);
    heard_bytes[1] = (uint32_t)(end + 4 - got);
    (void)hear(1, SMQ_INIT);
    hear_nothing(1);
    stop();
}

/* -- refused Connects -- */

static void assert_refused(uint32_t slot, enum smq_connack code, const char *reason)
{
    struct span connack;

    little_settle(&broker);
    connack = hear(slot, SMQ_CONNACK);
    cr_assert_eq(connack.data[0], code);
    cr_assert_eq(smq_load_u32(connack.data + 1), SMQ_ID_NONE);
    assert_body(span_skip(connack, 5), reason, strlen(reason));
    hear_nothing(slot);
    cr_assert_eq(conn_of(slot)->state, CONN_LEAVING);
    say_frame(slot, SMQ_PING, NULL, 0);
    little_settle(&broker);
    hear_nothing(slot);
    little_eof(&broker, 0, slot);
    little_settle(&broker);
    cr_assert_null(conn_of(slot));
}

static void dial_and_greet(uint32_t slot)
{
    dial(slot);
    say_text(slot, DEVICE_HEAD);
    little_settle(&broker);
    (void)hear(slot, SMQ_INIT);
}

Test(session, refuses_anything_but_connect)
{
    for (uint8_t type = 0; type < 22; type++) {
        if (type == SMQ_CONNECT)
            continue;
        dial_and_greet(0);
        say_frame(0, type, "0123456789abcdef", 16);
        little_settle(&broker);
        cr_assert_eq(hear(0, SMQ_CONNACK).data[0], SMQ_CONNACK_BAD_CONNECT);
        little_eof(&broker, 0, 0);
        little_settle(&broker);
    }
    stop();
}

Test(session, says_why_a_connect_is_refused)
{
    dial_and_greet(0);
    say_frame(0, SMQ_CONNECT, "\3\6abcdef\0", 9);
    assert_refused(0, SMQ_CONNACK_BAD_CONNECT, "unacceptable protocol version");
    dial_and_greet(0);
    say_frame(0, SMQ_CONNECT, "\1\5abcde\0", 8);
    assert_refused(0, SMQ_CONNACK_BAD_CONNECT, "UID shorter than 6 bytes");
    stop();
}

Test(session, refuses_clients_when_there_is_no_room)
{
    broker.quotas.connections.count_max = 1;
    (void)join(0, "uid--0");
    dial_and_greet(1);
    say_frame(1, SMQ_CONNECT, "\1\6uid--1\0", 9);
    assert_refused(1, SMQ_CONNACK_UNAVAILABLE, "the broker is full");
    stop();
}

Test(session, refuses_clients_when_memory_is_short)
{
    int64_t taken_bytes = broker.budget.limit_bytes - broker.budget.limit_bytes / 20;

    dial_and_greet(0);
    mem_count(&broker.control_mem, MEM_OTHER, taken_bytes);
    cr_assert(mem_is_tight(&broker.budget));
    say_frame(0, SMQ_CONNECT, "\1\6uid--0\0", 9);
    mem_count(&broker.control_mem, MEM_OTHER, -taken_bytes);
    assert_refused(0, SMQ_CONNACK_UNAVAILABLE, "the broker is out of memory");
    stop();
}

Test(session, refuses_clients_whose_shard_finds_no_memory)
{
    uint32_t refused_count = 0;

    for (uint64_t fail_at = 1; fail_at <= 6; fail_at++) { /* somewhere in the shard */
        dial_and_greet(0);
        say_frame(0, SMQ_CONNECT, "\1\6uid--0\0", 9);
        broker.shards[0].mem.fail_at = fail_at;
        little_settle(&broker);
        broker.shards[0].mem.fail_at = 0;
        refused_count += hear(0, SMQ_CONNACK).data[0] == SMQ_CONNACK_UNAVAILABLE;
        little_reset(&broker, 0, 0);
        little_settle(&broker);
    }
    cr_assert_geq(refused_count, 1);
    cr_assert_lt(refused_count, 6, "there is memory again");
    stop();
}

Test(session, refuses_clients_while_it_shuts_down)
{
    dial_and_greet(0);
    broker.ios[0].draining = true;
    say_frame(0, SMQ_CONNECT, "\1\6uid--0\0", 9);
    broker.ios[0].draining = false;
    assert_refused(0, SMQ_CONNACK_UNAVAILABLE, "the broker is shutting down");
    stop();
}

/* -- time -- */

Test(session, ends_a_handshake_that_takes_too_long)
{
    uint32_t ticks = TICKS(broker.config.limits.handshake_timeout_ms);

    dial(0); /* says nothing at all */
    dial(1); /* half a head */
    say_text(1, "GET");
    dial_and_greet(2); /* no Connect */
    little_pass(&broker, ticks - 1);
    say_text(1, " "); /* a byte now and then does not help */
    cr_assert_eq(conn_of(0)->state, CONN_HTTP);
    cr_assert_eq(conn_of(2)->state, CONN_GREETED);
    little_pass(&broker, 2);
    cr_assert_null(conn_of(0), "it has said nothing: nor do we");
    hear_text(1, http_refusal(408));
    assert_refused(2, SMQ_CONNACK_UNAVAILABLE, "Connect did not come in time");
    cr_assert_eq(counter_read(&broker.ios[0].closed_counts[CLOSE_HANDSHAKE_TIMEOUT]), 3);
    stop();
}

Test(session, does_not_wait_for_ever_for_the_peer_to_close)
{
    dial(0);
    say_text(0, "nonsense");
    little_settle(&broker);
    cr_assert_eq(conn_of(0)->state, CONN_LEAVING);
    little_pass(&broker, TICKS(4000));
    cr_assert_null(conn_of(0));
    stop();
}

Test(session, pings_a_silent_client_and_closes_a_dead_one)
{
    uint32_t idle_ticks = TICKS(broker.config.keepalive_idle_ms);
    uint32_t answer_ticks = TICKS(broker.config.keepalive_answer_ms);

    (void)join(0, "uid--0");
    little_pass(&broker, idle_ticks - 1);
    hear_nothing(0);
    little_pass(&broker, 2);
    (void)hear(0, SMQ_PING);
    hear_nothing(0);
    little_pass(&broker, answer_ticks - 2);
    say(0, "\0", 1); /* any byte is a sign of life, half a frame too */
    little_pass(&broker, idle_ticks - 1);
    hear_nothing(0);
    little_pass(&broker, 2);
    (void)hear(0, SMQ_PING);
    little_pass(&broker, answer_ticks + 2);
    cr_assert_null(conn_of(0), "no goodbye: nobody is there to hear it");
    cr_assert_eq(counter_read(&broker.ios[0].closed_counts[CLOSE_KEEPALIVE]), 1);
    stop();
}

/* -- the same however it is cut -- */

/* A conversation of one client with itself: all it says, in one piece. */
static size_t write_conversation(uint8_t *out, uint32_t etid, uint32_t tid)
{
    uint8_t body[64];
    size_t used = 0;

    used += frame_of(out + used, SMQ_SUBSCRIBE, "topic", 5);
    used += frame_of(out + used, SMQ_CREATE, "", 0);
    used += frame_of(out + used, SMQ_CREATESUB, "sub", 3);
    used += frame_of(out + used, SMQ_PING, NULL, 0);
    for (int i = 0; i < 3; i++)
        used += frame_of(out + used, SMQ_PUBLISH, body, publish_body(body, tid, etid, "to many"));
    used += frame_of(out + used, SMQ_PUBFRAG, body, publish_body(body, 0, etid, "one "));
    used += frame_of(out + used, SMQ_PUBFRAG, body, publish_body(body, 0, etid, ""));
    used += frame_of(out + used, SMQ_PUBLISH, body, publish_body(body, etid, etid, "between"));
    used += frame_of(out + used, SMQ_PUBFRAG, body, publish_body(body, etid, etid, "two"));
    smq_store_u32(body, tid);
    used += frame_of(out + used, SMQ_OBSERVE, body, 4);
    used += frame_of(out + used, SMQ_UNSUBSCRIBE, body, 4);
    used += frame_of(out + used, SMQ_UNOBSERVE, body, 4);
    used += frame_of(out + used, SMQ_PONG, NULL, 0);
    return used;
}

/* Play it in pieces of @cut bytes; returns what came back. */
static struct span play(size_t cut, bool settle_between)
{
    static uint8_t came[4096];
    uint8_t said[1024];

    start();
    memset(heard_bytes, 0, sizeof(heard_bytes));
    uint32_t etid = join(0, "uid--0");
    uint32_t tid = subscribe(0, "topic");
    uint32_t before_bytes = broker.wires[0][0].got_bytes;
    size_t said_bytes = write_conversation(said, etid, tid);

    for (size_t at = 0; at < said_bytes; at += cut) {
        say(0, said + at, min_size(cut, said_bytes - at));
        if (settle_between)
            little_settle(&broker);
    }
    little_settle(&broker);
    cr_assert_eq(io_bytes(MEM_INPUT), 0, "nothing is incomplete");
    cr_assert_eq(io_bytes(MEM_OUTPUT), 0, "nothing waits");
    cr_assert_null(conn_of(0)->input);
    size_t came_bytes = broker.wires[0][0].got_bytes - before_bytes;
    memcpy(came, broker.wires[0][0].got + before_bytes, came_bytes);
    stop();
    return span_of(came, came_bytes);
}

Test(session_cuts, get_the_same_answers)
{
    static uint8_t whole[4096];
    struct span came = play(SIZE_MAX / 2, false);
    size_t whole_bytes = came.bytes_count;

    cr_assert_gt(whole_bytes, 150);
    memcpy(whole, came.data, whole_bytes);
    for (size_t cut = 1; cut < 300; cut++) {
        came = play(cut, false);
        cr_assert_eq(came.bytes_count, whole_bytes, "pieces of %zu bytes", cut);
        cr_assert_eq(memcmp(came.data, whole, whole_bytes), 0, "pieces of %zu bytes", cut);
    }
}

/* With answers between: their order may differ from the above, but not among each other. */
Test(session_cuts, get_all_answers_when_they_come_between)
{
    size_t whole_bytes = play(SIZE_MAX / 2, true).bytes_count;

    for (size_t cut = 1; cut < 40; cut++)
        cr_assert_eq(play(cut, true).bytes_count, whole_bytes, "pieces of %zu bytes", cut);
}

Test(session_cuts, may_fall_anywhere_in_the_handshake)
{
    static const char said[] = DEVICE_HEAD "\0\x0c\2\1\6uid--0\0"
                                           "\0\5\4ab"
                                           "\0\3\x0c";
    const size_t said_bytes = sizeof(said) - 1;

    for (size_t cut = 1; cut <= said_bytes; cut++) {
        start();
        dial(0);
        for (size_t at = 0; at < said_bytes; at += cut) {
            say(0, said + at, min_size(cut, said_bytes - at));
            if (cut % 2)
                little_settle(&broker);
        }
        little_settle(&broker);
        (void)hear(0, SMQ_INIT);
        cr_assert_eq(hear(0, SMQ_CONNACK).data[0], SMQ_CONNACK_ACCEPTED);
        bool pong_first =
            broker.wires[0][0].got[heard_bytes[0] + 2] == SMQ_PONG; /* no shard asked */
        (void)hear(0, pong_first ? SMQ_PONG : SMQ_SUBACK);
        (void)hear(0, pong_first ? SMQ_SUBACK : SMQ_PONG);
        hear_nothing(0);
        cr_assert_eq(io_bytes(MEM_INPUT), 0);
        stop();
    }
}

/* -- memory for what is incomplete -- */

Test(session, keeps_only_the_bytes_that_really_came)
{
    (void)join(0, "uid--0");
    say(0, "\xff\xff\x08", 3); /* announces 64 kB */
    cr_assert_leq(io_bytes(MEM_INPUT), 200);
    little_reset(&broker, 0, 0);
    little_settle(&broker);
    cr_assert_eq(io_bytes(MEM_INPUT), 0, "it goes with the connection");
    stop();
}

Test(session, closes_when_it_cannot_keep_what_came)
{
    for (uint64_t fail_at = 1; fail_at <= 2; fail_at++) {
        (void)join(0, "uid--0");
        broker.ios[0].mem.fail_at = fail_at;
        say(0, "\0\x20\x08", 3);
        broker.ios[0].mem.fail_at = 0;
        cr_assert_eq(conn_of(0)->state, CONN_CLOSING);
        cr_assert_eq(conn_of(0)->close_reason, CLOSE_MEMORY);
        little_settle(&broker);
        cr_assert_null(conn_of(0));
    }
    stop();
}

/* -- last words -- */

static void assert_goodbye(uint32_t slot, const char *reason, enum close_reason why)
{
    little_settle(&broker);
    assert_body(hear(slot, SMQ_DISCONNECT), reason, strlen(reason));
    hear_nothing(slot);
    cr_assert_eq(conn_of(slot)->state, CONN_LEAVING);
    cr_assert_eq(conn_of(slot)->close_reason, why);
    little_reset(&broker, 0, slot);
    little_settle(&broker);
    cr_assert_null(conn_of(slot));
}

Test(session, says_goodbye_with_a_reason)
{
    uint8_t body[64];
    uint32_t etid = join(0, "uid--0");

    say_frame(0, SMQ_PUBLISH, body, publish_body(body, 1, etid + 1, "x"));
    assert_goodbye(0, "corrupt frame", CLOSE_PROTOCOL);
    etid = join(0, "uid--0");
    say_frame(0, SMQ_PUBFRAG, body, publish_body(body, 0, etid + 1, "x"));
    assert_goodbye(0, "corrupt frame", CLOSE_PROTOCOL);
    (void)join(0, "uid--0");
    say_frame(0, 10, NULL, 0);
    assert_goodbye(0, "unknown packet type", CLOSE_PROTOCOL);
    (void)join(0, "uid--0");
    say_frame(0, SMQ_CONNECT, "\1\6uid--0\0", 9);
    assert_goodbye(0, "already connected", CLOSE_PROTOCOL);
    stop();
}

Test(session, sends_what_is_queued_before_its_goodbye)
{
    (void)join(0, "uid--0");
    broker.wires[0][0].holds = true;
    for (int i = 0; i < 5; i++)
        say_frame(0, SMQ_PING, NULL, 0);
    say_frame(0, 10, NULL, 0);
    little_settle(&broker);
    hear_nothing(0);
    broker.wires[0][0].holds = false;
    little_settle(&broker);
    for (int i = 0; i < 5; i++)
        (void)hear(0, SMQ_PONG);
    assert_goodbye(0, "unknown packet type", CLOSE_PROTOCOL);
    stop();
}

Test(session, takes_the_place_of_an_older_one)
{
    uint32_t etid = join(0, "uid--0");
    uint8_t body[64];

    cr_assert_eq(join(1, "uid--0"), etid, "the same ETID");
    assert_goodbye(0, "reconnect", CLOSE_TAKEOVER);
    say_frame(1, SMQ_PUBLISH, body, publish_body(body, etid, etid, "to myself"));
    little_settle(&broker);
    assert_body(span_skip(hear(1, SMQ_PUBLISH), 12), "to myself", 9);
    stop();
}

Test(session, closes_at_once_after_a_disconnect)
{
    (void)join(0, "uid--0");
    say_frame(0, SMQ_DISCONNECT, "bye", 3);
    say_frame(0, SMQ_PING, NULL, 0);
    little_settle(&broker);
    hear_nothing(0);
    cr_assert_null(conn_of(0));
    cr_assert_eq(counter_read(&broker.ios[0].closed_counts[CLOSE_DISCONNECT]), 1);
    stop();
}

Test(session, owns_little_when_idle)
{
    (void)join(0, "uid--0");
    (void)subscribe(0, "topic");
    cr_assert_eq(io_bytes(MEM_INPUT), 0);
    cr_assert_eq(io_bytes(MEM_OUTPUT), 0);
    stop();
}

/* -- limits that are judged here -- */

Test(session, gives_a_refused_name_back_as_it_was)
{
    char name[300];
    struct span suback;

    memset(name, 'n', sizeof(name));
    (void)join(0, "uid--0");
    for (size_t name_bytes = 0; name_bytes <= sizeof(name); name_bytes += 50) {
        say_frame(0, SMQ_SUBSCRIBE, name, name_bytes);
        little_settle(&broker);
        suback = hear(0, SMQ_SUBACK);
        bool denied = name_bytes == 0 || name_bytes > broker.config.limits.name_bytes_max;
        cr_assert_eq(suback.data[0], denied ? SMQ_ACK_DENIED : SMQ_ACK_OK, "%zu", name_bytes);
        assert_body(span_skip(suback, 5), name, name_bytes);
    }
    stop();
}

Test(session, ends_a_fragmented_message_that_grows_too_large)
{
    static uint8_t body[12 + 40000];
    uint32_t etid = join(0, "uid--0");

    memset(body, 'x', sizeof(body));
    (void)publish_body(body, 0, etid, "");
    say_frame(0, SMQ_PUBFRAG, body, 12 + 40000);
    say_frame(0, SMQ_PUBFRAG, body, 12 + SMQ_PAYLOAD_BYTES_MAX - 40000);
    little_settle(&broker);
    hear_nothing(0);
    cr_assert_eq(conn_of(0)->state, CONN_LIVE);
    say_frame(0, SMQ_PUBFRAG, body, 13);
    assert_goodbye(0, "fragmented message too large", CLOSE_PROTOCOL);
    cr_assert_eq(io_bytes(MEM_INPUT), 0);
    stop();
}

Test(session, puts_the_largest_fragmented_message_together)
{
    static uint8_t body[12 + 40000];
    uint32_t etid = join(0, "uid--0");

    memset(body, 'x', sizeof(body));
    (void)publish_body(body, 0, etid, "");
    say_frame(0, SMQ_PUBFRAG, body, 12 + 40000);
    (void)publish_body(body, etid, etid, "");
    say_frame(0, SMQ_PUBFRAG, body, 12 + SMQ_PAYLOAD_BYTES_MAX - 40000);
    little_settle(&broker);
    cr_assert_eq(hear(0, SMQ_PUBLISH).bytes_count, 12 + SMQ_PAYLOAD_BYTES_MAX);
    stop();
}

Test(session, drains_with_a_plain_close)
{
    (void)join(0, "uid--0");
    dial(1);
    little_tell(&broker, 0, (struct envelope){.kind = ENVELOPE_STOP});
    little_settle(&broker);
    hear_nothing(0);
    cr_assert_eq(conn_of(0)->close_reason, CLOSE_DRAIN);
    little_pass(&broker, TICKS(4000));
    cr_assert_null(conn_of(0));
    cr_assert_null(conn_of(1));
    stop();
}

/* -- how long a run takes inside the broker -- */

static uint64_t timed_count(void)
{
    struct latency_counts counts = {0};

    latency_add(&counts, &broker.ios[0].latency);
    return latency_count(&counts);
}

static int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void publish_from(uint32_t slot, uint32_t destination, uint32_t publisher)
{
    uint8_t body[64];

    say_frame(slot, SMQ_PUBLISH, body, publish_body(body, destination, publisher, "x"));
}

Test(session, times_one_run_of_a_turn)
{
    uint32_t etid = join(0, "device");
    uint32_t tid = subscribe(0, "topic");

    publish_from(0, tid, etid);
    little_settle(&broker);
    cr_assert_eq(timed_count(), 0, "nobody told it the time");

    io_begin_timing(&broker.ios[0], clock_ns() - 2000000000);
    publish_from(0, tid, etid);
    publish_from(0, etid, etid);
    little_settle(&broker);
    cr_assert_eq(timed_count(), 1, "one, of both");
    struct latency_counts counts = {0};
    latency_add(&counts, &broker.ios[0].latency);
    cr_assert_geq(latency_quantile_ns(&counts, 500), 1800000000u);

    io_begin_timing(&broker.ios[0], clock_ns());
    publish_from(0, etid, etid);
    little_settle(&broker);
    cr_assert_eq(timed_count(), 2, "and what goes to a client");
    stop();
}

Test(session, does_not_time_what_nobody_gets)
{
    uint32_t etid = join(0, "device");

    io_begin_timing(&broker.ios[0], clock_ns());
    publish_from(0, 12345, etid);
    little_settle(&broker);
    cr_assert_eq(timed_count(), 0);
    stop();
}
