/*
 * tests/unit/net/test_detour.c — mirrors net/detour.c.
 *
 * Goal:   requests of an instance with a script go past it and lose neither order nor anything
 * else; only who asks waits; whoever closes meanwhile leaves nothing behind. Method: a little
 * broker, whose control plays the script of "/a". It passes everything on, or sleeps, or the test
 * answers in its place. At its end the little broker counts what is left.
 */
#include <criterion/criterion.h>

#include "core/facts.h"
#include "core/identity.h"
#include "core/msg.h"
#include "net/detour.h"
#include "net/holds.h"
#include "tests/unit/net/little_client.h"

#define MAIL_MAX 65536u

static uint8_t mail[MAIL_MAX]; /* kinds of what came to the script */
static uint32_t mail_count;
static char left_why[64];
static char seen[16]; /* the last letter of each run, as far as there is room */
static uint32_t left_topic_count;
static uint32_t left_topic; /* the first one */
static uint8_t facts[512];
static size_t got_bytes;
static bool refuses;
static bool defers;              /* the next CONNECT is put aside ... */
static struct envelope deferred; /* ... here */

static bool note(struct little_broker *of, struct envelope *envelope)
{
    struct span text = envelope->msg ? msg_span(envelope->msg) : span_of("", 0);

    cr_assert_lt(mail_count, MAIL_MAX);
    mail[mail_count++] = envelope->kind;
    if (envelope->kind == ENVELOPE_PUBLISH && strlen(seen) < sizeof(seen) - 1)
        seen[strlen(seen)] = (char)text.data[text.bytes_count - 1];
    if (envelope->kind == ENVELOPE_PEER_LEFT) {
        left_topic_count = text.bytes_count > 0 ? smq_load_u32(text.data) : 0;
        left_topic = left_topic_count > 0 ? smq_load_u32(text.data + 4) : 0;
        text = text.bytes_count > 0 ? span_skip(text, 4 * (1 + left_topic_count)) : text;
        snprintf(left_why, sizeof(left_why), "%.*s", (int)text.bytes_count,
                 (const char *)text.data);
    }
    if (envelope->kind == ENVELOPE_FACTS) {
        got_bytes = min_size(text.bytes_count, sizeof(facts));
        memcpy(facts, text.data, got_bytes);
    }
    if (envelope->kind == ENVELOPE_CONNECT && defers) {
        deferred = *envelope;
        return true;
    }
    if (envelope->kind != ENVELOPE_CONNECT || !refuses)
        return false;
    msg_unref(&of->control_mem, envelope->msg);
    little_tell(of, envelope->conn.host_index,
                (struct envelope){.kind = ENVELOPE_CONNECTED,
                                  .status = SMQ_CONNACK_BAD_CREDENTIALS,
                                  .conn = envelope->conn,
                                  .msg =
                                      msg_copy(&of->control_mem, span_of("no such device", 14))});
    return true;
}

static void start(void)
{
    little_config(&broker);
    broker.has_script = true;
    broker.on_script = note;
    little_start(&broker);
    mail_count = 0;
    left_why[0] = '\0';
    memset(seen, 0, sizeof(seen));
    refuses = defers = false;
}

static void stop(void)
{
    broker.script_sleeps = false;
    little_stop(&broker);
}

TestSuite(detour, .init = start);

/* -- who comes and goes -- */

Test(detour, a_connect_is_introduced_and_passed_on)
{
    static const uint8_t expected[] = {ENVELOPE_FACTS, ENVELOPE_CONNECT, ENVELOPE_PEER_JOINED};

    (void)join(3, "lamp01");
    cr_assert_eq(mail_count, 3);
    cr_assert_arr_eq(mail, expected, sizeof(expected));
    stop();
}

Test(detour, the_facts_are_credentials_seed_and_head)
{
    uint8_t body[] = "\1\6lamp01\4pass";

    dial(3);
    say_text(3, DEVICE_HEAD);
    say_frame(3, SMQ_CONNECT, body, sizeof(body) - 1);
    little_settle(&broker);
    struct span init = hear(3, SMQ_INIT);
    uint32_t seed = smq_load_u32(init.data + 1);

    struct facts known = facts_read(span_of(facts, got_bytes));

    cr_assert_eq(known.seed, seed);
    cr_assert_not(known.is_secure);
    assert_body(known.credentials, "pass", 4);
    assert_body(known.head, DEVICE_HEAD, strlen(DEVICE_HEAD));
    cr_assert_eq(known.cert_sha256.bytes_count, 0, "there is no certificate");
    cr_assert_eq(io_bytes(MEM_INPUT), 0, "nothing of it is kept");
    stop();
}

Test(detour, the_scripts_refusal_reaches_the_client_with_its_reason)
{
    refuses = true;
    dial(3);
    say_text(3, DEVICE_HEAD);
    say_frame(3, SMQ_CONNECT, "\1\6lamp01", 9);
    little_settle(&broker);
    (void)hear(3, SMQ_INIT);
    struct span connack = hear(3, SMQ_CONNACK);

    cr_assert_eq(connack.data[0], SMQ_CONNACK_BAD_CREDENTIALS);
    assert_body(span_skip(connack, 5), "no such device", 14);
    cr_assert_eq(mail[mail_count - 1], ENVELOPE_PEER_LEFT);
    stop();
}

Test(detour, it_is_told_why_somebody_left)
{
    (void)join(3, "lamp01");
    say_frame(3, SMQ_DISCONNECT, NULL, 0);
    little_settle(&broker);
    cr_assert_eq(mail[mail_count - 1], ENVELOPE_PEER_LEFT);
    cr_assert_str_eq(left_why, "", "in good order");

    (void)join(4, "lamp02");
    little_reset(&broker, 0, 4);
    little_settle(&broker);
    cr_assert_eq(mail[mail_count - 1], ENVELOPE_PEER_LEFT);
    cr_assert_str_neq(left_why, "");

    (void)join(5, "lamp03");
    (void)join(6, "lamp03");
    cr_assert_str_eq(left_why, "reconnect");
    stop();
}

Test(detour, what_he_subscribed_to_comes_with_the_news)
{
    (void)join(3, "lamp01");
    uint32_t tid = subscribe(3, "t");

    say_frame(3, SMQ_DISCONNECT, NULL, 0);
    little_settle(&broker);
    cr_assert_eq(left_topic_count, 1);
    cr_assert_eq(left_topic, tid);
    cr_assert_str_eq(left_why, "");
    stop();
}

Test(detour, an_instance_without_a_script_goes_straight)
{
    dial(3);
    say_text(3, "GET /b HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n");
    say_frame(3, SMQ_CONNECT, "\1\6lamp01", 9);
    little_settle(&broker);
    (void)hear(3, SMQ_INIT);
    cr_assert_eq(hear(3, SMQ_CONNACK).data[0], SMQ_CONNACK_ACCEPTED);
    cr_assert_eq(mail_count, 0);
    stop();
}

Test(detour, who_closes_while_the_script_thinks_leaves_nothing)
{
    broker.script_sleeps = true;
    dial(3);
    say_text(3, DEVICE_HEAD);
    say_frame(3, SMQ_CONNECT, "\1\6lamp01", 9);
    little_settle(&broker);
    little_reset(&broker, 0, 3);
    little_settle(&broker);
    broker.script_sleeps = false;
    little_settle(&broker);
    cr_assert_eq(mail[mail_count - 1], ENVELOPE_PEER_LEFT);
    stop();
}

/* Its Connect, in another lane than the newer one's, comes to the script after that. */
Test(detour, a_connect_of_one_who_has_gone_takes_nobody_over)
{
    defers = true;
    dial(3);
    say_text(3, DEVICE_HEAD);
    say_frame(3, SMQ_CONNECT, "\1\6lamp01", 9);
    little_settle(&broker);
    little_reset(&broker, 0, 3);
    little_settle(&broker);
    defers = false;
    uint32_t etid = join(4, "lamp01");

    little_tell(&broker, deferred.conn.host_index, deferred);
    little_settle(&broker);
    hear_nothing(4);
    cr_assert_eq(conn_of(4)->etid, etid);
    stop();
}

/* Who comes and goes while the script sleeps would fill memory with what it leaves behind. */
Test(detour, who_connects_and_closes_again_and_again_is_refused_in_time)
{
    uint32_t refused_count = 0;

    broker.config.limits.handshake_count_max = 50;
    broker.script_sleeps = true;
    for (uint32_t i = 0; i < 10 * broker.config.limits.handshake_count_max; i++) {
        dial(3);
        say_text(3, DEVICE_HEAD);
        say_frame(3, SMQ_CONNECT, "\1\6lamp01", 9);
        little_settle(&broker);
        if (little_io_stat(&broker, IO_STAT_REFUSED_BUSY) > refused_count) {
            (void)hear(3, SMQ_INIT);
            cr_assert_eq(hear(3, SMQ_CONNACK).data[0], SMQ_CONNACK_UNAVAILABLE);
            refused_count++;
        }
        little_reset(&broker, 0, 3);
        little_settle(&broker);
    }
    cr_assert_gt(refused_count, 0);
    cr_assert_leq(broker.ios[0].detour_waiting_count, 5 * broker.config.limits.handshake_count_max);
    broker.script_sleeps = false;
    little_settle(&broker);
    (void)join(4, "lamp02"); /* and then all is as before */
    stop();
}

/* -- names -- */

Test(detour, what_follows_a_subscribe_waits_for_its_verdict)
{
    uint32_t etid = join(3, "lamp01");
    uint32_t tid = subscribe(3, "t");
    uint8_t body[64];
    size_t body_bytes = publish_body(body, tid, etid, "on");

    hooks_set(&broker.hooks[0], HOOK_PERMITTOP, NULL, 0); /* Publishes go straight now */
    broker.script_sleeps = true;
    say_frame(3, SMQ_SUBSCRIBE, "u", 1);
    say_frame(3, SMQ_PUBLISH, body, body_bytes);
    little_settle(&broker);
    hear_nothing(3);
    cr_assert(conn_of(3)->flags & CONN_HELD);

    broker.script_sleeps = false;
    little_settle(&broker);
    (void)hear(3, SMQ_SUBACK);
    (void)hear(3, SMQ_PUBLISH);
    cr_assert_not(conn_of(3)->flags & CONN_HELD);
    stop();
}

Test(detour, another_client_does_not_wait)
{
    uint32_t other = join(4, "lamp02");
    uint32_t tid = subscribe(4, "t");
    uint8_t body[64];
    size_t body_bytes = publish_body(body, tid, other, "on");

    (void)join(3, "lamp01");
    hooks_set(&broker.hooks[0], HOOK_PERMITTOP, NULL, 0);
    broker.script_sleeps = true;
    say_frame(3, SMQ_SUBSCRIBE, "u", 1);
    say_frame(4, SMQ_PUBLISH, body, body_bytes);
    little_settle(&broker);
    (void)hear(4, SMQ_PUBLISH);
    hear_nothing(3);
    stop();
}

Test(detour, the_end_of_input_waits_too)
{
    (void)join(3, "lamp01");
    broker.script_sleeps = true;
    say_frame(3, SMQ_SUBSCRIBE, "u", 1);
    little_eof(&broker, 0, 3);
    little_settle(&broker);
    cr_assert_not_null(conn_of(3));
    broker.script_sleeps = false;
    little_settle(&broker);
    cr_assert_null(conn_of(3));
    stop();
}

/* -- messages -- */

/* More than the lane holds: the rest waits, then its sender, and all of it comes in order. */
Test(detour, a_slow_script_stops_the_sender_and_loses_nothing)
{
    enum { COUNT = 1000 };
    uint32_t etid = join(3, "lamp01");
    uint32_t tid = subscribe(3, "t");
    uint32_t other = subscribe(3, "u");
    uint8_t body[64];

    (void)join(4, "lamp02");
    broker.script_sleeps = true;
    for (uint32_t i = 0; i < COUNT; i++) { /* no two in a row are of one run */
        char text[16];

        snprintf(text, sizeof(text), "%u", i);
        say_frame(3, SMQ_PUBLISH, body, publish_body(body, i % 2 ? tid : other, etid, text));
    }
    little_settle(&broker);
    hear_nothing(3);
    cr_assert(conn_of(3)->flags & CONN_HELD);
    cr_assert_eq(broker.ios[0].detour_waiting_count, 1, "one of a connection stands in line");

    broker.script_sleeps = false;
    little_settle(&broker);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct span publish = hear(3, SMQ_PUBLISH);
        char text[16];
        int text_bytes = snprintf(text, sizeof(text), "%u", i);

        assert_body(span_skip(publish, 12), text, (size_t)text_bytes);
    }
    cr_assert(io_detours_are_empty(&broker.ios[0]));
    cr_assert_not(conn_of(3)->flags & CONN_HELD);
    stop();
}

Test(detour, only_listed_topics_take_the_detour)
{
    uint32_t etid = join(3, "lamp01");
    uint32_t listed = subscribe(3, "t");
    uint32_t other = subscribe(3, "u");
    uint8_t body[64];

    hooks_set(&broker.hooks[0], HOOK_ONPUBLISH, &listed, 1);
    mail_count = 0;
    say_frame(3, SMQ_PUBLISH, body, publish_body(body, other, etid, "1"));
    little_settle(&broker);
    cr_assert_eq(mail_count, 0);
    say_frame(3, SMQ_PUBLISH, body, publish_body(body, listed, etid, "2"));
    little_settle(&broker);
    cr_assert_eq(mail_count, 1);
    cr_assert_eq(mail[0], ENVELOPE_PUBLISH);
    (void)hear(3, SMQ_PUBLISH);
    (void)hear(3, SMQ_PUBLISH);
    stop();
}

Test(detour, what_nobody_receives_is_shown)
{
    uint32_t etid = join(3, "lamp01");
    uint8_t body[64];

    hooks_set(&broker.hooks[0], HOOK_ONDROP, NULL, 0);
    say_frame(3, SMQ_PUBLISH, body, publish_body(body, 12345, etid, "1"));
    little_settle(&broker);
    cr_assert_eq(mail[mail_count - 1], ENVELOPE_DROPPED);
    stop();
}

/* -- access lists -- */

static bool allows;

static bool may(void *context, uint16_t instance_index, struct span identity,
                enum shard_right right, struct span name)
{
    (void)context, (void)instance_index, (void)name;
    cr_assert_eq(right, SHARD_PUBLISH);
    assert_body(identity_read(identity).uid, "lamp01", 6);
    return allows;
}

static const struct shard_judge judge = {.may = may};

/* lamp01 is slot 3, and has an access list to mind; it may publish to @own. Slot 4 holds "t".
 * Returns t's number. */
static uint32_t start_ruled(uint32_t *own)
{
    uint32_t tid;

    (void)join(4, "lamp02");
    tid = subscribe(4, "t");
    (void)join(3, "lamp01");
    *own = subscribe(3, "u");
    holds_judge(conn_of(3), *own, true);
    conn_of(3)->flags |= CONN_RULED;
    for (uint32_t i = 0; i < broker.shard_count; i++)
        broker.shards[i].judge = &judge;
    hooks_set(&broker.hooks[0], HOOK_ONPUBLISH, NULL, 0);
    mail_count = 0;
    return tid;
}

static void say_publish(uint32_t slot, uint32_t tid, const char *text)
{
    uint8_t body[64];

    say_frame(slot, SMQ_PUBLISH, body, publish_body(body, tid, conn_of(slot)->etid, text));
}

Test(detour, the_script_sees_nothing_that_is_forbidden)
{
    uint32_t own;
    uint32_t tid = start_ruled(&own);

    allows = false;
    say_publish(3, tid, "1");
    little_settle(&broker);
    cr_assert_eq(mail_count, 0);
    hear_nothing(4);
    cr_assert_not(conn_of(3)->flags & CONN_HELD);
    cr_assert_eq(little_shard_stat(&broker, SHARD_STAT_PUBLISH_DENIED), 1);

    allows = true;
    say_publish(3, tid, "2");
    little_settle(&broker);
    cr_assert_eq(mail_count, 1);
    cr_assert_eq(mail[0], ENVELOPE_PUBLISH);
    assert_body(span_skip(hear(4, SMQ_PUBLISH), 12), "2", 1);
    cr_assert_eq(little_shard_stat(&broker, SHARD_STAT_MESSAGES), 2, "each is counted once");
    stop();
}

/* What goes by way of the shard is not overtaken by what goes straight to the script. */
Test(detour, what_the_shard_judges_keeps_its_place)
{
    uint32_t own;
    uint32_t tid = start_ruled(&own);

    allows = true;
    for (char text[2] = "0"; text[0] < '8'; text[0]++)
        say_publish(3, text[0] % 2 ? own : tid, text);
    little_settle(&broker);
    cr_assert_str_eq(seen, "01234567");
    for (char text[2] = "0"; text[0] < '8'; text[0]++)
        assert_body(span_skip(hear(text[0] % 2 ? 3 : 4, SMQ_PUBLISH), 12), text, 1);
    cr_assert_not(conn_of(3)->flags & CONN_HELD);
    stop();
}

Test(detour, who_is_judged_waits_for_a_slow_script_too)
{
    uint32_t own;
    uint32_t tid = start_ruled(&own);

    allows = true;
    broker.script_sleeps = true;
    for (uint32_t i = 0; i < 300; i++)
        say_publish(3, i % 2 ? tid : own, "x");
    little_settle(&broker);
    broker.script_sleeps = false;
    little_settle(&broker);
    cr_assert_eq(mail_count, 300);
    cr_assert(io_detours_are_empty(&broker.ios[0]));
    cr_assert_not(conn_of(3)->flags & CONN_HELD);
    stop();
}

/* -- faults -- */

/* Every allocation fails once: whatever becomes of the client, nothing is left of it. */
Test(detour, no_memory_anywhere)
{
    for (uint64_t n = 1; n < 60; n++) {
        mail_count = 0;
        dial(3);
        broker.ios[0].mem.fail_at = n;
        say_text(3, DEVICE_HEAD);
        say_frame(3, SMQ_CONNECT, "\1\6lamp01", 9);
        little_settle(&broker);
        if (conn_of(3))
            say_frame(3, SMQ_SUBSCRIBE, "u", 1);
        little_settle(&broker);
        broker.ios[0].mem.fail_at = 0;
        little_reset(&broker, 0, 3);
        little_settle(&broker);
        cr_assert_eq(little_io_stat(&broker, IO_STAT_OPEN), 0);
    }
    stop();
}
