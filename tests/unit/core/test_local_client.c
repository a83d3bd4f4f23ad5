/*
 * tests/unit/core/test_local_client.c — mirrors core/local_client.c.
 *
 * Goal:   a client without a socket is to the shards what any other is; its holds stay those the
 *         shards know, whatever crosses on the way; ETID 1 is one client's at most.
 * Method: real shards and a local actor with two clients, turned by hand (shard_desk.h). What a
 *         client hears becomes a line of text.
 */
#include "core/local_client.h"

#include <signal.h>
#include <stdarg.h>

#include <criterion/criterion.h>

#include "tests/unit/core/shard_desk.h"

static struct local_client server, script; /* slots 0 and 1 */
static char heard_lines[16384];
static bool close_when_told; /* the server closes itself in its next callback */

static void note(const struct local_client *client, const char *format, ...) PRINTF(2, 3);

static void note(const struct local_client *client, const char *format, ...)
{
    size_t used = strlen(heard_lines);
    va_list arguments;

    used += (size_t)snprintf(heard_lines + used, sizeof(heard_lines) - used, "%s ",
                             client == &server ? "server" : "script");
    va_start(arguments, format);
    vsnprintf(heard_lines + used, sizeof(heard_lines) - used, format, arguments);
    va_end(arguments);
    if (close_when_told && client == &server) {
        close_when_told = false;
        local_client_close(&server);
    }
}

static void on_connected(void *context, enum smq_connack code)
{
    note(context, "connected %d\n", (int)code);
}

static void on_ended(void *context)
{
    note(context, "ended\n");
}

static void on_named(void *context, enum local_ask ask, enum smq_ack_status status, uint32_t id,
                     struct span name)
{
    static const char *const asks[] = {"subscribed", "created", "subcreated"};

    cr_assert_eq(status == SMQ_ACK_OK, id != SMQ_ID_NONE);
    note(context, "%s %.*s%s\n", asks[ask], (int)name.bytes_count, (const char *)name.data,
         status == SMQ_ACK_OK ? "" : " denied");
    heard.id = id;
}

static void on_observed(void *context, uint32_t id, bool granted)
{
    (void)id;
    note(context, "observed %s\n", granted ? "yes" : "no");
}

static void on_changed(void *context, uint32_t id, uint32_t subscriber_count)
{
    (void)id;
    note(context, "changed %u\n", subscriber_count);
}

static void on_message(void *context, const struct local_message *message)
{
    note(context, "message %.*s from %s%s\n", (int)message->payload.bytes_count,
         (const char *)message->payload.data,
         message->publisher == SMQ_ID_SERVER ? "the server" : "another",
         message->subtopic ? ", sub" : "");
}

static void on_found(void *context, uint32_t id, struct span name, bool is_client)
{
    note(context, "found %u %.*s%s\n", id, (int)name.bytes_count, (const char *)name.data,
         is_client ? "a client" : "");
}

static const struct local_client_calls calls = {.connected = on_connected,
                                                .ended = on_ended,
                                                .named = on_named,
                                                .observed = on_observed,
                                                .changed = on_changed,
                                                .message = on_message,
                                                .found = on_found};

static void start(uint32_t count)
{
    build_with(count, 1);
    config.limits.name_bytes_max = 20;
    for (uint32_t slot = 0; slot < 2; slot++) {
        struct local_client *client = slot == 0 ? &server : &script;
        struct local_client_options options = {.config = &config,
                                               .port = &mesh.ports[LOCAL],
                                               .mem = &local_mem,
                                               .name_key = name_key,
                                               .slot_index = slot,
                                               .calls = &calls,
                                               .context = client};

        local_client_init(client, &options);
    }
    heard_lines[0] = '\0';
    close_when_told = false;
}

/* Let the shards work and the clients hear, until all is quiet. */
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
                local_client_envelope(&server, &envelope);
                local_client_envelope(&script, &envelope);
                msg_unref(&local_mem, envelope.msg);
            }
        }
    } while (any);
}

/* What was heard since the last time, exactly. */
static void expect(const char *lines)
{
    settle();
    cr_assert_str_eq(heard_lines, lines);
    heard_lines[0] = '\0';
}

static struct span text(const char *words)
{
    return span_of(words, strlen(words));
}

static void enter(struct local_client *client, const char *uid, bool is_server)
{
    cr_assert_eq(local_client_connect(client, text(uid), text("made here"), is_server), STATUS_OK);
    settle();
}

static void enter_server(void)
{
    enter(&server, "srv", true);
    expect("server connected 0\n");
}

static uint32_t asked(struct local_client *client, enum local_ask ask, const char *name)
{
    cr_assert_eq(local_client_ask(client, ask, text(name)), STATUS_OK);
    settle();
    return heard.id;
}

static void say(struct local_client *client, uint32_t to, const char *words)
{
    struct local_message message = {.destination = to, .payload = text(words)};

    cr_assert_eq(local_client_publish(client, &message), STATUS_OK);
}

static void end(void)
{
    local_client_close(&server);
    local_client_close(&script);
    settle();
    local_client_deinit(&server);
    local_client_deinit(&script);
    cr_assert_eq(counted(SHARD_STAT_CLIENTS), 0);
    cr_assert_eq(counted(SHARD_STAT_TOPICS), 1, "the pinned one");
    cr_assert_eq(counted(SHARD_STAT_SUBSCRIPTIONS), 0);
    cr_assert_eq(counted(SHARD_STAT_OBSERVATIONS), 0);
    finish();
}

/* -- what goes wrong -- */

Test(local_client, is_refused_ETID_1_when_another_has_it)
{
    start(3);
    enter_server();
    enter(&script, "other", true);
    expect("script connected 6\n");
    cr_assert_eq(script.state, LOCAL_CLOSED);
    cr_assert_eq(server.etid, SMQ_ID_SERVER);
    local_client_close(&server);
    enter(&script, "other", true);
    expect("script connected 0\n");
    cr_assert_eq(script.etid, SMQ_ID_SERVER, "it is free again");
    end();
}

Test(local_client, is_refused_ETID_1_with_a_UID_that_is_in_use)
{
    start(1);
    enter(&script, "same", false);
    expect("script connected 0\n");
    cr_assert_neq(script.etid, SMQ_ID_SERVER);
    enter(&server, "same", true);
    expect("server connected 6\n");
    end();
}

Test(local_client, is_refused_names_and_messages_of_the_wrong_size)
{
    static uint8_t big[SMQ_PAYLOAD_BYTES_MAX + 1];
    struct local_message message = {.destination = 5, .payload = span_of(big, sizeof(big))};

    start(1);
    enter_server();
    cr_assert_eq(local_client_ask(&server, LOCAL_CREATE, text("")), STATUS_LIMIT);
    cr_assert_eq(local_client_ask(&server, LOCAL_CREATE, text("twenty-one characters")),
                 STATUS_LIMIT);
    cr_assert_eq(local_client_publish(&server, &message), STATUS_LIMIT);
    message.payload.bytes_count--;
    cr_assert_eq(local_client_publish(&server, &message), STATUS_OK);
    expect("");
    cr_assert_eq(counted(SHARD_STAT_NO_RECEIVER), 1);
    end();
}

Test(local_client, hears_that_a_limit_denies_a_name)
{
    start(1);
    enter_server();
    quotas.topics.count_max = 0;
    (void)asked(&server, LOCAL_SUBSCRIBE, "one more");
    expect("server subscribed one more denied\n");
    end();
}

Test(local_client, may_not_have_a_UID_that_could_come_over_a_socket, .signal = SIGABRT)
{
    start(1);
    enter(&server, "sixsix", false);
}

Test(local_client, may_ask_nothing_before_it_is_live, .signal = SIGABRT)
{
    start(1);
    (void)asked(&server, LOCAL_CREATE, "topic");
}

Test(local_client, is_ended_by_another_with_its_UID)
{
    start(2);
    enter(&script, "same", false);
    uint32_t etid = script.etid;

    (void)asked(&script, LOCAL_SUBSCRIBE, "topic");
    expect("script connected 0\nscript subscribed topic\n");
    enter(&server, "same", false);
    expect("script ended\nserver connected 0\n");
    cr_assert_eq(script.state, LOCAL_CLOSED);
    cr_assert_eq(server.etid, etid, "as for everybody, with the same ETID");
    cr_assert_eq(counted(SHARD_STAT_SUBSCRIPTIONS), 0);
    end();
}

/* -- topics and messages -- */

Test(local_client, subscribes_and_hears_others_and_itself)
{
    uint8_t frame[SMQ_PUBLISH_HEADER_BYTES + 2] = {0, sizeof(frame), SMQ_PUBLISH};

    start(3);
    enter_server();
    uint32_t id = asked(&server, LOCAL_SUBSCRIBE, "topic");

    cr_assert_eq(subscribe(A, "topic"), id);
    say(&server, id, "hello");
    expect("server subscribed topic\nserver message hello from the server\n");
    cr_assert_eq(hear_at(0, ENVELOPE_DELIVER)->etid, SMQ_ID_SERVER);
    cr_assert_eq(heard_text_bytes, SMQ_PUBLISH_HEADER_BYTES + 5);

    smq_store_u32(frame + 3, id);
    smq_store_u32(frame + 7, 77);
    smq_store_u32(frame + 11, 9);
    memcpy(frame + 15, "hi", 2);
    uint8_t run[2 * sizeof(frame)];
    memcpy(run, frame, sizeof(frame));
    memcpy(run + sizeof(frame), frame, sizeof(frame));
    ask(mesh_shard_of_id(&mesh, id), B,
        (struct envelope){.kind = ENVELOPE_PUBLISH,
                          .id = id,
                          .etid = 77,
                          .count = 2,
                          .msg = msg_copy(&io_mems[1], span_of(run, sizeof(run)))});
    expect("server message hi from another, sub\nserver message hi from another, sub\n");
    (void)hear_at(0, ENVELOPE_DELIVER);

    local_client_unsubscribe(&server, id);
    settle();
    cr_assert_not(local_client_subscribes(&server, id));
    say(&server, id, "again");
    expect("");
    (void)hear_at(0, ENVELOPE_DELIVER);
    leave(A, id);
    end();
}

Test(local_client, is_reached_at_its_ETID_and_speaks_for_others)
{
    struct local_message message = {.destination = SMQ_ID_SERVER,
                                    .publisher = 77,
                                    .subtopic = 5,
                                    .payload = text("x")};

    start(2);
    enter_server();
    enter(&script, "lua", false);
    expect("script connected 0\n");
    say(&script, SMQ_ID_SERVER, "one");
    say(&server, script.etid, "two");
    expect("script message two from the server\nserver message one from another\n");
    cr_assert_eq(local_client_publish(&server, &message), STATUS_OK);
    expect("server message x from another, sub\n");
    end();
}

Test(local_client, keeps_instances_apart)
{
    start(1);
    script.instance_index = 1;
    enter_server();
    enter(&script, "lua", true);
    expect("script connected 0\n");
    cr_assert_eq(script.etid, SMQ_ID_SERVER, "each instance has an ETID 1");
    uint32_t id = asked(&server, LOCAL_SUBSCRIBE, "topic");

    expect("server subscribed topic\n");
    say(&script, id, "strange");
    say(&script, SMQ_ID_SERVER, "own");
    expect("script message own from the server\n");
    end();
}

Test(local_client, creates_without_subscribing_and_holds_once)
{
    start(2);
    enter_server();
    uint32_t id = asked(&server, LOCAL_CREATE, "topic");

    cr_assert_eq(asked(&server, LOCAL_CREATE, "topic"), id);
    say(&server, id, "to nobody");
    cr_assert_eq(asked(&server, LOCAL_SUBSCRIBE, "topic"), id);
    cr_assert_eq(asked(&server, LOCAL_SUBSCRIBE, "topic"), id);
    (void)asked(&server, LOCAL_CREATESUB, "subpinned");
    expect("server created topic\nserver created topic\nserver subscribed topic\n"
           "server subscribed topic\nserver subcreated subpinned\n");
    cr_assert_eq(heard.id, 7);
    cr_assert_eq(counted(SHARD_STAT_SUBSCRIPTIONS), 1);
    end();
}

/* -- observing -- */

Test(local_client, observes_a_topic)
{
    start(2);
    enter_server();
    uint32_t id = asked(&server, LOCAL_CREATE, "topic");

    local_client_observe(&server, id);
    expect("server created topic\nserver observed yes\nserver changed 0\n");
    (void)subscribe(A, "topic");
    (void)asked(&server, LOCAL_SUBSCRIBE, "topic");
    expect("server changed 1\nserver changed 2\nserver subscribed topic\n");
    local_client_observe(&server, id);
    settle();
    leave(A, id);
    expect("server observed yes\nserver changed 2\nserver changed 1\n");
    local_client_unobserve(&server, id);
    settle();
    (void)subscribe(A, "topic");
    leave(A, id);
    expect("");
    end();
}

Test(local_client, observes_a_client_until_it_goes)
{
    start(2);
    enter_server();
    uint32_t etid = join(A, "device1");

    local_client_observe(&server, etid);
    local_client_observe(&server, SMQ_ID_SERVER); /* its own: ignored */
    local_client_observe(&server, 12345);         /* unknown: 0, and nothing kept */
    settle();
    cr_assert(strstr(heard_lines, "server observed yes\n"));
    cr_assert(strstr(heard_lines, "server observed no\nserver changed 0\n"));
    cr_assert_eq(counted(SHARD_STAT_OBSERVATIONS), 1);
    heard_lines[0] = '\0';
    ask_about_id(A, ENVELOPE_GONE, etid);
    expect("server changed 0\n");
    cr_assert_eq(counted(SHARD_STAT_OBSERVATIONS), 0);
    end();
}

/* -- what crosses on the way -- */

Test(local_client, gives_back_what_comes_after_it_closed)
{
    start(2);
    cr_assert_eq(local_client_connect(&server, text("srv"), text(""), true), STATUS_OK);
    local_client_close(&server); /* the answer is under way */
    expect("");
    cr_assert_eq(counted(SHARD_STAT_CLIENTS), 0);

    enter_server();
    cr_assert_eq(local_client_ask(&server, LOCAL_SUBSCRIBE, text("a")), STATUS_OK);
    cr_assert_eq(local_client_ask(&server, LOCAL_CREATE, text("b")), STATUS_OK);
    cr_assert_eq(local_client_ask(&server, LOCAL_CREATESUB, text("c")), STATUS_OK);
    local_client_observe(&server, PINNED_TID);
    local_client_close(&server);
    cr_assert_eq(local_client_connect(&server, text("srv"), text(""), true), STATUS_OK);
    expect("server connected 0\n");
    cr_assert_eq(server.pending_count, 0);
    cr_assert_eq(counted(SHARD_STAT_SUBSCRIPTIONS), 0);
    end();
}

Test(local_client, may_close_itself_while_it_hears)
{
    start(1);
    enter_server();
    uint32_t id = asked(&server, LOCAL_SUBSCRIBE, "topic");

    expect("server subscribed topic\n");
    close_when_told = true;
    say(&server, id, "first");
    say(&server, id, "second");
    expect("server message first from the server\n");

    enter_server();
    (void)asked(&server, LOCAL_CREATE, "topic");
    heard_lines[0] = '\0';
    close_when_told = true;
    local_client_observe(&server, heard.id);
    expect("server observed yes\n");
    end();
}

Test(local_client, unsubscribes_what_a_pending_answer_brings)
{
    start(1);
    enter_server();
    uint32_t id = create(A, "topic");

    cr_assert_eq(local_client_ask(&server, LOCAL_SUBSCRIBE, text("topic")), STATUS_OK);
    local_client_unsubscribe(&server, id);
    local_client_unobserve(&server, id); /* nothing there: ignored by the shard */
    expect("server subscribed topic\n");
    cr_assert_eq(counted(SHARD_STAT_SUBSCRIPTIONS), 0);
    cr_assert_not(local_client_subscribes(&server, id));
    local_client_unobserve(&server, 4242); /* surely nothing: not even asked */
    turn();
    leave(A, id);
    end();
}

/* -- no memory -- */

Test(local_client, does_not_believe_in_a_hold_that_it_has_just_given_back)
{
    start(1);
    enter_server();
    for (uint32_t i = 0; i < 2; i++)
        cr_assert_eq(local_client_ask(&server, LOCAL_SUBSCRIBE, text("topic")), STATUS_OK);
    local_mem.fail_at = 1; /* the record of the first one's hold */
    expect("server subscribed topic denied\nserver subscribed topic denied\n");
    cr_assert_eq(counted(SHARD_STAT_SUBSCRIPTIONS), 0);
    (void)asked(&server, LOCAL_SUBSCRIBE, "topic");
    expect("server subscribed topic\n");
    end();
}

/* All that a client can ask for, with its @fail_at-th allocation refused. Returns: was one? */
static bool do_everything(uint64_t fail_at)
{
    struct local_message message = {.destination = PINNED_TID, .payload = text("x")};
    uint32_t refused_count = 0;
    char name[16];

    local_mem.fail_at = fail_at;
    if (local_client_connect(&server, text("srv"), text(""), true) != STATUS_OK)
        return true;
    settle();
    for (uint32_t i = 0; i < 90; i++) { /* so many that pool and table grow */
        snprintf(name, sizeof(name), "topic-%u", i);
        refused_count += local_client_ask(&server, LOCAL_CREATE, text(name)) == STATUS_NO_MEMORY;
        settle();
        refused_count += local_client_ask(&server, LOCAL_SUBSCRIBE, text(name)) == STATUS_NO_MEMORY;
        settle();
    }
    local_client_observe(&server, PINNED_TID);
    settle();
    refused_count += local_client_publish(&server, &message) == STATUS_NO_MEMORY;
    bool refused = local_mem.fail_at == 0;

    local_mem.fail_at = 0;
    cr_assert_eq(refused, refused_count > 0 || strstr(heard_lines, "denied"), "and it is told");
    return refused;
}

Test(local_client, stays_true_whatever_allocation_fails)
{
    uint64_t fail_at = 0;
    bool refused = true;

    while (refused) {
        start(1);
        refused = do_everything(++fail_at);
        end();
    }
    cr_assert_gt(fail_at, 180);
}

/* -- numbers of its own choice -- */

static void choose(enum local_ask ask, const char *name, uint32_t id)
{
    cr_assert_eq(local_client_choose(&server, ask, text(name), id), STATUS_OK);
    settle();
}

Test(local_client, is_denied_a_chosen_number_that_is_not_free)
{
    start(3);
    enter_server();
    uint32_t drawn = asked(&server, LOCAL_CREATE, "drawn");

    expect("server created drawn\n");
    choose(LOCAL_CREATE, "other", drawn);
    expect("server created other denied\n");
    choose(LOCAL_CREATE, "other", PINNED_TID);
    expect("server created other denied\n");
    choose(LOCAL_CREATE, "other", SMQ_ID_SERVER);
    expect("server created other denied\n");
    for (uint32_t id = 100; id < 106; id++) { /* in each shard */
        choose(LOCAL_CREATE, "drawn", id);
        expect("server created drawn denied\n");
        cr_assert_eq(local_client_lookup(&server, false, text(""), id), STATUS_OK);
        settle();
        cr_assert_neq(strstr(heard_lines, "found"), NULL);
        cr_assert_eq(strstr(heard_lines, "drawn"), NULL, "the number is free again");
        heard_lines[0] = '\0';
    }
    cr_assert_eq(counted(SHARD_STAT_CHOSEN_TAKEN), 9);
    end();
}

Test(local_client, finds_a_chosen_name_wherever_its_number_lies)
{
    char name[16], line[64];

    start(3);
    enter_server();
    enter(&script, "scr", false);
    heard_lines[0] = '\0';
    for (uint32_t id = 100; id < 112; id++) {
        snprintf(name, sizeof(name), "fixed-%u", id);
        snprintf(line, sizeof(line), "server created %s\n", name);
        choose(LOCAL_CREATE, name, id);
        expect(line);
        cr_assert_eq(heard.id, id);
        choose(LOCAL_CREATE, name, id); /* the same again is as good */
        expect(line);
        cr_assert_eq(asked(&script, LOCAL_SUBSCRIBE, name), id);
        heard_lines[0] = '\0';
        say(&server, id, "hello");
        expect("script message hello from the server\n");
    }
    local_client_close(&server);
    local_client_close(&script); /* nobody holds them any more: the names keep their numbers */
    enter_server();
    for (uint32_t id = 100; id < 112; id++) {
        snprintf(name, sizeof(name), "fixed-%u", id);
        cr_assert_eq(asked(&server, LOCAL_CREATE, name), id);
    }
    local_client_close(&server);
    settle();
    cr_assert_gt(shards[0].forwards.used_count + shards[1].forwards.used_count +
                     shards[2].forwards.used_count,
                 0, "some lie elsewhere");
    cr_assert_eq(counted(SHARD_STAT_TOPICS),
                 1 + 12 -
                     (shards[0].forwards.used_count + shards[1].forwards.used_count +
                      shards[2].forwards.used_count));
    local_client_deinit(&server);
    local_client_deinit(&script);
    finish();
}
