/*
 * tests/unit/net/test_peers.c — mirrors net/peers.c.
 *
 * Goal:   every connection is listed once, as JSON that any parser reads, whatever a client chose
 *         to call itself; listing takes a bite each turn.
 * Method: jansson reads the rows; UIDs and infos of every byte there is.
 */
#include <jansson.h>

#include <criterion/criterion.h>

#include "tests/unit/net/little_client.h"

static json_t *rows;

static void start(void)
{
    little_config(&broker);
    little_start(&broker);
}

/* Ask, and read the answer as a JSON array. */
static void list(void)
{
    json_error_t error;
    char *text;

    little_tell(&broker, 0, (struct envelope){.kind = ENVELOPE_LIST, .id = LIST_PEERS});
    little_settle(&broker);
    cr_assert_eq(broker.rows_end_count, 1);
    cr_assert_geq(asprintf(&text, "[%s]", broker.rows ? broker.rows : ""), 0);
    rows = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(rows, "%s in %s", error.text, text);
    cr_assert_eq(json_array_size(rows), broker.rows_told_count);
    free(text);
}

static void finish(void)
{
    json_decref(rows);
    little_stop(&broker);
}

static const char *text_at(size_t row, const char *key)
{
    const char *text = json_string_value(json_object_get(json_array_get(rows, row), key));

    cr_assert_not_null(text, "%s", key);
    return text;
}

static json_int_t number_at(size_t row, const char *key)
{
    json_t *value = json_object_get(json_array_get(rows, row), key);

    cr_assert(json_is_integer(value), "%s", key);
    return json_integer_value(value);
}

static void join_as(uint32_t slot, struct span uid, struct span info)
{
    uint8_t body[2 + 255 + 1 + LIMIT_INFO_BYTES] = {1, (uint8_t)uid.bytes_count};

    memcpy(body + 2, uid.data, uid.bytes_count);
    memcpy(body + 3 + uid.bytes_count, info.data, info.bytes_count);
    dial(slot);
    say_text(slot, DEVICE_HEAD);
    say_frame(slot, SMQ_CONNECT, body, 3 + uid.bytes_count + info.bytes_count);
    little_settle(&broker);
    cr_assert_eq(conn_of(slot)->state, CONN_LIVE);
}

TestSuite(peers, .init = start);

Test(peers, are_none_when_nobody_is_there)
{
    list();
    cr_assert_eq(json_array_size(rows), 0);
    finish();
}

Test(peers, do_not_include_those_who_leave)
{
    (void)join(0, "uid--0");
    (void)join(1, "uid--1");
    say_frame(0, 10, NULL, 0);
    little_settle(&broker);
    cr_assert_eq(conn_of(0)->state, CONN_LEAVING);
    list();
    cr_assert_eq(json_array_size(rows), 1);
    cr_assert_str_eq(text_at(0, "uid"), "uid--1");
    finish();
}

Test(peers, are_told_with_all_there_is_to_know)
{
    uint8_t body[64];
    uint32_t etid = join(64, "uid--0");

    (void)subscribe(64, "one");
    (void)subscribe(64, "two");
    say_frame(64, SMQ_CREATE, "three", 5);
    say_frame(64, SMQ_PUBLISH, body, publish_body(body, etid, etid, "x"));
    little_pass(&broker, 8);
    list();
    cr_assert_eq(json_array_size(rows), 1);
    cr_assert_str_eq(text_at(0, "uid"), "uid--0");
    cr_assert_str_eq(text_at(0, "info"), "");
    cr_assert_str_eq(text_at(0, "address"), "127.0.0.1");
    cr_assert_str_eq(text_at(0, "state"), "live");
    cr_assert_str_eq(text_at(0, "instance"), "/a");
    cr_assert_eq(number_at(0, "etid"), etid);
    cr_assert_eq(number_at(0, "port"), 50064);
    cr_assert_eq(number_at(0, "io"), 0);
    cr_assert_eq(number_at(0, "topics"), 3);
    cr_assert_eq(number_at(0, "subscriptions"), 2);
    cr_assert_eq(number_at(0, "received"), 1);
    cr_assert_eq(number_at(0, "sent"), 1);
    cr_assert_eq(number_at(0, "dropped"), 0);
    cr_assert_eq(number_at(0, "queued_bytes"), 0);
    cr_assert_eq(number_at(0, "silent_s"), 8 * WHEEL_TICK_MS / 1000);
    finish();
}

Test(peers, may_call_themselves_what_they_like)
{
    uint8_t every_byte[256];

    for (size_t i = 0; i < sizeof(every_byte); i++)
        every_byte[i] = (uint8_t)(i == 0 ? ' ' : i); /* jansson has strings without NUL */
    join_as(0, span_of(every_byte, 255), span_of(every_byte, 256));
    join_as(1, span_of("\"},{\"uid\":\"", 11), span_of("\\", 1));
    list();
    cr_assert_eq(json_array_size(rows), 2);
    cr_assert_str_eq(text_at(1, "uid"), "\"},{\"uid\":\"");
    cr_assert_str_eq(text_at(1, "info"), "\\");

    const char *uid = text_at(0, "uid"); /* byte n is character n: two bytes of UTF-8 from 128 on */
    for (uint32_t i = 0; i < 255; i++) {
        uint32_t character = (uint8_t)*uid++;

        if (character >= 0x80)
            character = (character & 0x1f) << 6 | ((uint8_t)*uid++ & 0x3f);
        cr_assert_eq(character, every_byte[i]);
    }
    cr_assert_eq(*uid, '\0');
    finish();
}

Test(peers, fit_their_row_at_their_largest)
{
    static char path[256];
    uint8_t worst[LIMIT_INFO_BYTES];

    memset(path, 'p', sizeof(path) - 1);
    path[0] = '/';
    memset(worst, 0xff, sizeof(worst));
    join_as(0, span_of(worst, 255), span_of(worst, sizeof(worst)));
    struct conn *conn = conn_of(0);
    broker.instances[0].path = path;
    conn->received_count = conn->sent_count = conn->dropped_count = UINT32_MAX;
    list();
    cr_assert_eq(json_array_size(rows), 1);
    cr_assert_eq(number_at(0, "sent"), UINT32_MAX);
    broker.instances[0].path = (char *)(uintptr_t) "/a";
    finish();
}

Test(peers, are_all_listed_over_gaps_and_turns)
{
    uint32_t count = 0;

    for (uint32_t slot = 0; slot < LITTLE_SLOTS; slot++) {
        if (slot / 64 == 1 || slot % 3 == 1)
            continue;
        dial(slot);
        count++;
    }
    list();
    cr_assert_eq(json_array_size(rows), count);
    cr_assert_str_eq(text_at(0, "uid"), "");
    cr_assert_str_eq(text_at(0, "state"), "http");
    finish();
}

Test(peers, hold_up_nobody_while_control_is_busy)
{
    for (uint32_t slot = 0; slot < LITTLE_SLOTS; slot++)
        dial(slot);
    little_tell(&broker, 0, (struct envelope){.kind = ENVELOPE_LIST, .id = LIST_PEERS});
    for (int i = 0; i < 10; i++) {
        (void)little_io_turn(&broker, 0);
        cr_assert(port_is_clear(broker.ios[0].port), "a backlog would stop this actor's receives");
    }
    little_settle(&broker);
    cr_assert_eq(broker.rows_told_count, LITTLE_SLOTS);
    cr_assert_eq(broker.rows_end_count, 1);
    little_stop(&broker);
}

Test(peers, are_listed_one_list_after_the_other)
{
    for (uint32_t slot = 0; slot < LITTLE_SLOTS; slot++)
        dial(slot);
    for (int i = 0; i < 3; i++)
        little_tell(&broker, 0, (struct envelope){.kind = ENVELOPE_LIST, .id = LIST_PEERS});
    little_settle(&broker);
    cr_assert_eq(broker.rows_end_count, 3);
    cr_assert_eq(broker.rows_told_count, 3 * LITTLE_SLOTS);
    cr_assert_not(broker.ios[0].is_listing);
    little_stop(&broker);
}

Test(peers, are_told_at_once_when_they_are_named)
{
    struct conn_handle handles[LITTLE_SLOTS];
    struct msg *names;

    for (uint32_t slot = 0; slot < LITTLE_SLOTS; slot++) {
        dial(slot);
        handles[slot] = conn_handle_of(&broker.ios[0], conn_of(slot));
    }
    handles[1].generation++; /* somebody who was there before */
    names = msg_copy(&broker.control_mem, span_of(handles, sizeof(handles)));
    little_tell(&broker, 0,
                (struct envelope){.kind = ENVELOPE_LIST, .id = LIST_PEERS_OF, .msg = names});
    little_settle(&broker);
    cr_assert_eq(broker.rows_end_count, 1);
    cr_assert_eq(broker.rows_told_count, LITTLE_SLOTS - 1);
    finish();
}

Test(peers, are_left_out_when_there_is_no_memory_for_a_row)
{
    (void)join(0, "uid--0");
    (void)join(1, "uid--1");
    broker.ios[0].mem.fail_at = 1;
    list();
    cr_assert_eq(json_array_size(rows), 1, "a list with a hole is better than none");
    cr_assert_str_eq(text_at(0, "uid"), "uid--1");
    finish();
}
