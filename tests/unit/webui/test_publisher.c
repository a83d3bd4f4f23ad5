/*
 * tests/unit/webui/test_publisher.c — mirrors webui/publisher.c.
 *
 * Goal:   each topic is published on while somebody subscribes, and not otherwise; the others are
 *         told to begin and to stop; each bound holds, and what was left out is said.
 * Method: real shards, and a page's connection A that the test plays (shard_desk.h); the publisher
 * is the local actor.
 */
#include "webui/publisher.h"

#include <criterion/criterion.h>

#include "tests/unit/core/shard_desk.h"

#define CONTROL mesh_control_index(&mesh)

static struct config_pin admin_pins[ADMIN_TOPIC_COUNT] = {
#define X(topic, text, tid) {.name = (char *)(uintptr_t)text, .id = tid},
    ADMIN_TOPICS(X)
#undef X
};
static const struct conn_handle peer = {.host_index = 1, .generation = 9, .slot_index = 77};
static struct stats stats;
static struct publisher publisher;
static int64_t now_ms = 1000;

/* Let shards and publisher hear each other until all is quiet. */
static void settle(void)
{
    struct envelope envelope;
    bool any;

    do {
        any = false;
        turn();
        for (uint32_t i = 0; i < shard_count; i++) {
            while (port_pop(&mesh.ports[LOCAL], mesh_shard_index(&mesh, i), &envelope)) {
                any = true;
                publisher_envelope(&publisher, &envelope);
                msg_unref(&local_mem, envelope.msg);
            }
        }
    } while (any);
}

static void tick(void)
{
    now_ms += 1000;
    publisher_tick(&publisher, now_ms);
    settle();
}

static void start(void)
{
    second_instance =
        (struct config_instance){.topics = admin_pins, .topic_count = ADMIN_TOPIC_COUNT};
    build_with(2, 1);
    struct publisher_options options = {.config = &config,
                                        .port = &mesh.ports[LOCAL],
                                        .mem = &local_mem,
                                        .name_key = name_key,
                                        .instance_index = 1,
                                        .stats = &stats};

    publisher_init(&publisher, &options);
    tick();
    cr_assert_eq(publisher.client.etid, SMQ_ID_SERVER);
    cr_assert_eq(counted(SHARD_STAT_OBSERVATIONS), ADMIN_TOPIC_COUNT);
}

static void stop(void)
{
    struct envelope envelope;

    publisher_stop(&publisher);
    settle();
    publisher_deinit(&publisher);
    for (uint32_t to = 0; to < mesh.actor_count; to++) /* what it told the others */
        while (to != LOCAL && port_pop(&mesh.ports[to], LOCAL, &envelope))
            msg_unref(mem_of[to], envelope.msg);
    finish();
}

TestSuite(publisher, .init = start, .fini = stop);

/* -- the page, and the others -- */

static uint32_t tid_of(enum admin_topic topic)
{
    return admin_pins[topic].id;
}

static void page_says(enum envelope_kind kind, enum admin_topic topic)
{
    ask(mesh_shard_of_id(&mesh, tid_of(topic)), A,
        (struct envelope){.kind = (uint8_t)kind, .instance_index = 1, .id = tid_of(topic)});
    settle();
}

static void page_subscribes(enum admin_topic topic)
{
    ask_about_name(A, ENVELOPE_SUBSCRIBE, admin_pins[topic].name, 0, 1);
    cr_assert_eq(hear(A, ENVELOPE_SUBSCRIBED)->id, tid_of(topic));
    settle();
}

static void page_leaves(enum admin_topic topic)
{
    page_says(ENVELOPE_LEAVE, topic);
}

/* The next message that came to the page: its payload. */
static const char *page_hears(enum admin_topic topic)
{
    static char text[sizeof(heard_text)];

    settle();
    cr_assert_eq(hear_at(0, ENVELOPE_DELIVER)->id, tid_of(topic));
    cr_assert_eq(heard.etid, SMQ_ID_SERVER);
    snprintf(text, sizeof(text), "%.*s", (int)(heard_text_bytes - SMQ_PUBLISH_HEADER_BYTES),
             (const char *)heard_text + SMQ_PUBLISH_HEADER_BYTES);
    return text;
}

static void page_hears_with(enum admin_topic topic, const char *part)
{
    const char *text = page_hears(topic);

    cr_assert_not_null(strstr(text, part), "no %s in %s", part, text);
}

/* What the publisher told @to next; 0: nothing. */
static enum envelope_kind told(uint32_t to, bool *is_on)
{
    struct envelope envelope;

    if (!port_pop(&mesh.ports[to], LOCAL, &envelope))
        return ENVELOPE_KIND_COUNT;
    *is_on = envelope.flags & ENVELOPE_ON;
    if (envelope.kind == ENVELOPE_TAP)
        cr_assert(conn_handle_equal(envelope.conn, peer));
    return (enum envelope_kind)envelope.kind;
}

static void assert_told(uint32_t to, enum envelope_kind kind, bool on)
{
    bool is_on = !on;

    cr_assert_eq(told(to, &is_on), kind, "%s", envelope_kind_name(kind));
    cr_assert_eq(is_on, on);
}

static void assert_not_told(uint32_t to)
{
    bool unused;

    cr_assert_eq(told(to, &unused), ENVELOPE_KIND_COUNT);
}

/* Another actor says something to the publisher. */
static void say(struct envelope envelope, const void *bytes, size_t bytes_count)
{
    envelope.msg = msg_copy(&local_mem, span_of(bytes, bytes_count));
    publisher_envelope(&publisher, &envelope);
    msg_unref(&local_mem, envelope.msg);
}

static void say_text(enum envelope_kind kind, uint32_t count, uint32_t missed, const char *text)
{
    say((struct envelope){.kind = (uint8_t)kind, .count = count, .id = missed}, text, strlen(text));
}

static void say_event(uint32_t missed)
{
    static const char text[] = "conn.slow\0uid=\"x\"";

    say((struct envelope){.kind = ENVELOPE_EVENT,
                          .status = LOG_LEVEL_WARNING,
                          .hash = 1234,
                          .count = missed},
        text, sizeof(text) - 1);
}

static size_t frame_of(uint8_t *out, const char *payload)
{
    size_t bytes = SMQ_PUBLISH_HEADER_BYTES + strlen(payload);

    smq_store_u16(out, (uint16_t)bytes);
    out[SMQ_LENGTH_BYTES] = SMQ_PUBLISH;
    smq_store_u32(out + 3, 11);
    smq_store_u32(out + 7, 22);
    smq_store_u32(out + 11, 33);
    memcpy(out + SMQ_PUBLISH_HEADER_BYTES, payload, strlen(payload));
    return bytes;
}

static void say_tapped(const char *one, const char *two, uint32_t missed)
{
    uint8_t run[4096];
    size_t used = frame_of(run, one);

    if (two)
        used += frame_of(run + used, two);
    say((struct envelope){.kind = ENVELOPE_TAPPED,
                          .flags = ENVELOPE_OUT,
                          .conn = peer,
                          .id = missed,
                          .count = two ? 2 : 1},
        run, used);
}

/* -- nobody looks -- */

Test(publisher, says_nothing_while_nobody_subscribes)
{
    say_event(5);
    say_text(ENVELOPE_JOINED, 1, 7, "{}");
    tick();
    tick();
    hear_nothing();
    for (uint32_t to = 0; to < mesh.actor_count; to++)
        if (to != LOCAL)
            assert_not_told(to);
    cr_assert_eq(counted(SHARD_STAT_NO_RECEIVER), 0, "it does not even publish");
}

/* -- figures -- */

Test(publisher, publishes_figures_at_once_and_then_each_second)
{
    static const char tls[] = ",\"certificates\":[]";

    say((struct envelope){.kind = ENVELOPE_TLS_FACTS}, tls, sizeof(tls) - 1);
    page_subscribes(ADMIN_STATS);
    page_hears_with(ADMIN_STATS, "{\"t\":");
    tick();
    page_hears_with(ADMIN_STATS, "\"uptime_s\":");
    page_leaves(ADMIN_STATS);
    tick();
    hear_nothing();
    cr_assert_eq(publisher_tls(&publisher).bytes_count, sizeof(tls) - 1);
}

/* -- events -- */

Test(publisher, tells_events_as_they_come)
{
    page_subscribes(ADMIN_EVENTS);
    assert_told(CONTROL, ENVELOPE_REPORT, true);
    say_event(0);
    cr_assert_str_eq(page_hears(ADMIN_EVENTS), "{\"t\":1234,\"level\":\"warning\",\"name\":"
                                               "\"conn.slow\",\"text\":\"uid=\\u0022x\\u0022\"}\n");
    tick();
    hear_nothing();
    page_leaves(ADMIN_EVENTS);
    assert_told(CONTROL, ENVELOPE_REPORT, false);
}

Test(publisher, tells_fifty_events_a_second_and_how_many_more_there_were)
{
    page_subscribes(ADMIN_EVENTS);
    for (uint32_t i = 0; i < PUBLISHER_EVENTS_A_SECOND + 3; i++)
        say_event(i == 0 ? 4 : 0);
    for (uint32_t i = 0; i < PUBLISHER_EVENTS_A_SECOND; i++)
        page_hears_with(ADMIN_EVENTS, "conn.slow");
    hear_nothing();
    tick();
    page_hears_with(ADMIN_EVENTS, "\"name\":\"events.left_out\",\"text\":\"count=7\"");
    say_event(0);
    page_hears_with(ADMIN_EVENTS, "conn.slow");
    page_leaves(ADMIN_EVENTS);
}

/* -- who comes and who goes -- */

Test(publisher, gathers_for_a_second_who_comes_and_who_goes)
{
    page_subscribes(ADMIN_PEERS);
    assert_told(0, ENVELOPE_REPORT, true);
    assert_told(1, ENVELOPE_REPORT, true);
    assert_not_told(CONTROL);
    say_text(ENVELOPE_JOINED, 1, 0, "{\"id\":\"0.1.1\"}");
    say_text(ENVELOPE_LEFT, 2, 0, "\"1.1.1\",\"1.2.1\"");
    say_text(ENVELOPE_JOINED, 1, 2, "{\"id\":\"1.3.1\"}");
    hear_nothing();
    tick();
    cr_assert_str_eq(page_hears(ADMIN_PEERS), "{\"joined\":[{\"id\":\"0.1.1\"},{\"id\":\"1.3.1\"}],"
                                              "\"left\":[\"1.1.1\",\"1.2.1\"],\"missed\":2}\n");
    tick();
    hear_nothing();
    page_leaves(ADMIN_PEERS);
    assert_told(0, ENVELOPE_REPORT, false);
    assert_told(1, ENVELOPE_REPORT, false);
}

Test(publisher, counts_who_does_not_fit_into_one_message)
{
    static char rows[9001];

    memset(rows, ' ', sizeof(rows) - 1);
    page_subscribes(ADMIN_PEERS);
    for (uint32_t i = 0; i < 10; i++)
        say_text(ENVELOPE_JOINED, 20, 0, rows);
    tick();
    (void)hear_at(0, ENVELOPE_DELIVER);
    say_text(ENVELOPE_LEFT, 1, 0, "\"1.1.1\"");
    tick();
    page_hears_with(ADMIN_PEERS, "\"left\":[\"1.1.1\"],\"missed\":0}");
    say_text(ENVELOPE_JOINED, 20, 0, "");
    for (uint32_t i = 0; i < 10; i++)
        say_text(ENVELOPE_LEFT, 500, 0, rows);
    tick();
    (void)hear_at(0, ENVELOPE_DELIVER);
    say_text(ENVELOPE_LEFT, 0, 3, "");
    tick();
    page_hears_with(ADMIN_PEERS, "\"joined\":[],\"left\":[],\"missed\":3}");
    page_leaves(ADMIN_PEERS);
}

/* -- taps -- */

static void begin_tap(void)
{
    cr_assert(publisher_tap(&publisher, peer, true));
    assert_told(1, ENVELOPE_TAP, true);
}

Test(publisher, tells_each_message_of_a_tapped_run)
{
    page_subscribes(ADMIN_TAP);
    begin_tap();
    say_tapped("hello", "world!", 0);
    page_hears_with(ADMIN_TAP, "\"dir\":\"out\",\"tid\":11,\"ptid\":22,\"stid\":33,\"topic\":null,"
                               "\"bytes\":5,\"data\":\"aGVsbG8=\"}");
    page_hears_with(ADMIN_TAP, "\"bytes\":6,\"data\":\"d29ybGQh\"}");
    cr_assert(publisher_tap(&publisher, peer, false));
    assert_told(1, ENVELOPE_TAP, false);
    say_tapped("late", NULL, 0);
    settle();
    hear_nothing();
    page_leaves(ADMIN_TAP);
}

Test(publisher, shows_the_beginning_of_a_long_message)
{
    static char payload[2001];

    memset(payload, 'x', sizeof(payload) - 1);
    page_subscribes(ADMIN_TAP);
    begin_tap();
    say_tapped(payload, NULL, 0);
    page_hears_with(ADMIN_TAP, "\"bytes\":2000,\"data\":\"eHh4");
    const char *data = strstr((const char *)heard_text + SMQ_PUBLISH_HEADER_BYTES, "\"data\":\"");
    cr_assert_eq(strcspn(data + 8, "\""), (PUBLISHER_TAPPED_BYTES + 2) / 3 * 4);
    page_leaves(ADMIN_TAP);
}

Test(publisher, bounds_what_taps_tell_in_a_second)
{
    page_subscribes(ADMIN_TAP);
    begin_tap();
    for (uint32_t i = 0; i < PUBLISHER_TAPPED_A_SECOND; i++)
        say_tapped("x", i == 0 ? "y" : NULL, i == 0 ? 5 : 0);
    for (uint32_t i = 0; i < PUBLISHER_TAPPED_A_SECOND; i++)
        page_hears_with(ADMIN_TAP, "\"bytes\":1");
    settle();
    hear_nothing();
    tick();
    page_hears_with(ADMIN_TAP, "{\"id\":\"1.77.9\",\"t\":");
    cr_assert_not_null(memmem(heard_text, heard_text_bytes, "\"missed\":6}", 11));
    tick();
    hear_nothing();
    page_leaves(ADMIN_TAP);
}

Test(publisher, ends_a_tap_after_five_minutes)
{
    page_subscribes(ADMIN_TAP);
    begin_tap();
    now_ms += PUBLISHER_TAP_MS - 2000;
    tick();
    assert_not_told(1);
    begin_tap(); /* again: from now on */
    tick();
    assert_not_told(1);
    now_ms += PUBLISHER_TAP_MS;
    tick();
    assert_told(1, ENVELOPE_TAP, false);
    page_leaves(ADMIN_TAP);
    assert_not_told(1);
}

Test(publisher, ends_all_taps_when_nobody_hears_them)
{
    page_subscribes(ADMIN_TAP);
    begin_tap();
    page_leaves(ADMIN_TAP);
    assert_told(1, ENVELOPE_TAP, false);
    say_tapped("x", NULL, 0);
    settle();
    hear_nothing();
}

Test(publisher, allows_so_many_taps_and_no_more)
{
    struct conn_handle conn = peer;

    for (uint32_t i = 0; i < PUBLISHER_TAPS_MAX; i++, conn.slot_index++)
        cr_assert(publisher_tap(&publisher, conn, true));
    cr_assert_not(publisher_tap(&publisher, conn, true));
    cr_assert(publisher_tap(&publisher, conn, false), "that one is off, as wished");
    cr_assert(publisher_tap(&publisher, peer, false));
    cr_assert(publisher_tap(&publisher, conn, true));
}

/* -- no memory -- */

Test(publisher, goes_on_whatever_allocation_fails)
{
    for (enum admin_topic topic = ADMIN_TOPIC_COUNT; topic-- > 0;)
        page_subscribes(topic); /* figures, which are told at once, last */
    cr_assert(publisher_tap(&publisher, peer, true));
    for (uint64_t fail_at = 1; fail_at < 20; fail_at++) {
        struct envelope envelope;

        local_mem.fail_at = fail_at;
        publisher_tick(&publisher, now_ms += 1000);
        local_mem.fail_at = 0;
        say_event(0);
        say_tapped("x", NULL, 0);
        say_text(ENVELOPE_JOINED, 1, 0, "{}");
        local_mem.fail_at = fail_at;
        publisher_tick(&publisher, now_ms += 1000);
        local_mem.fail_at = 0;
        settle();
        for (uint32_t i = 0; i < shard_count; i++)
            while (port_pop(&mesh.ports[0], mesh_shard_index(&mesh, i), &envelope))
                msg_unref(&io_mems[0], envelope.msg);
    }
    for (enum admin_topic topic = 0; topic < ADMIN_TOPIC_COUNT; topic++)
        page_leaves(topic);
}
