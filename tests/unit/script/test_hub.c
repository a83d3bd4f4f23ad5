/*
 * tests/unit/script/test_hub.c — mirrors script/hub.c, script/hub.lua and script/link.c.
 *
 * Goal:   each method of the hub does what the interface says, with real shards, one and several.
 * Method: a script and a client by hand (script_desk.h); what the script says is compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "script/script.h"
#include "tests/unit/script/script_desk.h"

#define HUB    "local hub = smq.create() function say(...) hub:publish(text(...), 'out') end "
#define SHARDS 3u

static void expect(const char *lines)
{
    cr_assert_str_eq(desk_said(), lines);
}

/* Run a script that only says something. */
static void run(const char *text, const char *lines)
{
    desk_start(SHARDS, text);
    expect(lines);
    desk_end();
}

/* -- what is wrong -- */

Test(hub, create_refuses_a_callback_that_is_not_a_function)
{
    desk_start(1, "local good, why = pcall(smq.create, {onmsg = 42}) " HUB "say(good, why)");
    expect("false the option onmsg is a number, not a function\n");
    desk_end();
}

Test(hub, a_message_of_more_than_the_protocol_takes_is_an_error)
{
    run(HUB "say((pcall(hub.publish, hub, ('x'):rep(0xFFF1), 'big'))) "
            "say(hub:publish(('x'):rep(0xFFF0), 'big'))",
        "false\n1\n");
}

Test(hub, a_method_without_a_colon_says_so)
{
    run(HUB "say((select(2, pcall(hub.gettid))):match('colon'))", "colon\n");
}

Test(hub, a_page_that_connects_by_itself_is_told_how_it_is_bound_here)
{
    run(HUB
        "say((select(2, pcall(hub.connect, hub, {}))):match('the configuration binds the script'))",
        "the configuration binds the script\n");
}

Test(hub, an_unbound_hub_and_an_unknown_instance_are_errors)
{
    run(HUB "local other = smq.create() "
            "say((select(2, pcall(other.gettid, other))):match('not bound')) "
            "say((select(2, pcall(other.listen, other, '/nowhere'))):match('no instance')) "
            "other:listen('/second') say(other:gettid(), other:topic2tid('out'))",
        "not bound\nno instance\n1 nil\n");
}

Test(hub, ETID_1_is_one_scripts_and_a_random_one_is_another)
{
    run("local hub = smq.create{rndtid = true} "
        "function say(...) hub:publish(text(...), 'out') end "
        "say(hub:gettid() > 1)",
        "true\n");
}

/* -- names -- */

Test(hub, names_and_numbers_are_found_both_ways_and_not_made)
{
    run(HUB
        "local tid = hub:create('a/b') "
        "say(hub:topic2tid('a/b') == tid, hub:tid2topic(tid), hub:topic2tid('nothing'), "
        "hub:tid2topic(4711)) "
        "local stid = hub:createsub('sub') "
        "say(hub:subtopic2tid('sub') == stid, hub:tid2subtopic(stid), hub:subtopic2tid('none')) "
        "say(hub:topic2tid('pinned'), hub:tid2topic(42), hub:tid2subtopic(7))",
        "true a/b nil nil\ntrue sub nil\n42 pinned subpinned\n");
}

Test(hub, a_number_may_be_written_as_a_float)
{
    run(HUB "hub:publish('to a topic', hub:topic2tid('out') + 0.0) "
            "hub:subscribe(42.0, {subtopic = 7.0, onmsg = function(data) say(data) end}) "
            "hub:publish('pinned', 42, 'subpinned') "
            "say(hub:observe(hub:gettid() + 0.0, print))",
        "to a topic\nnil\npinned\n");
}

Test(hub, names_of_others_are_found_too)
{
    desk_start(SHARDS, HUB "hub:subscribe('ask', {onmsg = function(name) "
                           "local tid = hub:topic2tid(name) say(hub:tid2topic(tid)) end})");
    (void)desk_tid("made/by/a/client");
    desk_publish(desk_tid("ask"), 0, "made/by/a/client");
    expect("made/by/a/client\n");
    desk_end();
}

/* With three shards, two of three chosen numbers lie in another shard than their names. */
Test(hub, chosen_numbers_work_in_every_shard)
{
    desk_start(SHARDS, HUB "for id = 1000, 1011 do "
                           "local name = 'fixed/' .. id "
                           "if hub:create(name, id) ~= id then say('not given', id) end "
                           "if hub:create(name, id) ~= id then say('not given again', id) end "
                           "hub:subscribe(name, {onmsg = function(data) say(name, data) end}) "
                           "if hub:createsub('s' .. id, id) ~= id then say('no sub', id) end "
                           "if hub:createsub('s' .. id, id) ~= id then say('no sub again', id) end "
                           "if hub:tid2subtopic(id) ~= 's' .. id then say('sub lost', id) end "
                           "if hub:tid2topic(id) ~= name then say('lost', id) end "
                           "end");
    expect("");
    for (uint32_t id = 1000; id < 1012; id++) {
        char name[32], line[64];

        snprintf(name, sizeof(name), "fixed/%u", id);
        snprintf(line, sizeof(line), "%s hello\n", name);
        cr_assert_eq(desk_tid(name), id, "a client that asks for the name gets the number");
        desk_publish(id, 0, "hello");
        expect(line);
        desk_unsubscribe(desk_subscribe(name));
    }
    desk_end();
}

Test(hub, a_chosen_number_that_is_taken_is_refused_and_leaves_nothing)
{
    desk_start(SHARDS,
               HUB "hub:create('first', 2000) "
                   "say((pcall(hub.create, hub, 'second', 2000))) " /* the number is taken */
                   "for id = 2001, 2006 do "
                   "if pcall(hub.create, hub, 'first', id) then say('two numbers', id) end "
                   "if hub:tid2topic(id) then say('left behind', id) end end "
                   "local tid = hub:create('drawn') "
                   "for id = 2001, 2006 do "
                   "if pcall(hub.create, hub, 'drawn', id) then say('two numbers', id) end end "
                   "say((pcall(hub.create, hub, 'zero', 0)), (pcall(hub.create, hub, 'one', 1))) "
                   "say((pcall(hub.create, hub, 'another', 42))) " /* pinned */
                   "hub:createsub('s', 5) "
                   "say((pcall(hub.createsub, hub, 't', 5)), (pcall(hub.createsub, hub, 't', 7)))");
    expect("false\nfalse false\nfalse\nfalse false\n");
    desk_end();
}

Test(hub, topics_and_subtopics_are_walked_in_all_shards)
{
    run(HUB "local sum = {} for i = 1, 60 do hub:create('t' .. i) hub:createsub('s' .. i) end "
            "local count, all = 0, {} "
            "for tid, name in hub:topics() do count = count + 1 all[name] = tid end "
            "say(count, all.t1 == hub:topic2tid('t1'), all.pinned) "
            "count = 0 for stid, name in hub:subtopics() do count = count + 1 end say(count)",
        "62 true 42\n61\n"); /* and "out", and the pinned ones */
}

/* -- messages -- */

Test(hub, a_handler_is_found_by_topic_and_subtopic)
{
    desk_start(SHARDS,
               "local hub "
               "function say(...) hub:publish(text(...), 'out') end "
               "hub = smq.create{onmsg = function(data) say('any', data) end} "
               "hub:subscribe('t', {subtopic = 'x', onmsg = function(data) say('t/x', data) end}) "
               "hub:subscribe('t', {onmsg = function(data, from, tid, stid) "
               "say('t', data, from, tid == hub:topic2tid('t'), stid) end}) "
               "hub:subscribe('u') hub:createsub('x')");
    uint32_t tid = desk_tid("t");

    desk_publish(tid, 0, "one");
    expect("t one 5 true 0\n");
    desk_publish(tid, 99, "two");
    expect("t two 5 true 99\n");
    desk_publish(desk_tid("u"), 0, "three");
    expect("any three\n");
    desk_end();
}

Test(hub, self_is_the_servers_own_ETID)
{
    desk_start(SHARDS, HUB "hub:subscribe('self', {onmsg = function(data, from, to) "
                           "say(data, from, to) end}) hub:publish('me', 'self')");
    expect("me 1 1\n");
    desk_publish(1, 0, "you");
    expect("you 5 1\n");
    desk_end();
}

Test(hub, json_is_decoded_and_what_is_none_goes_to_the_catch_all_as_it_is)
{
    desk_start(SHARDS,
               HUB "hub:onmsg(function(data) say('catch-all', data) end) "
                   "hub:subscribe('j', {json = true, onmsg = function(t) say(t.a, t.b[2]) end}) ");
    desk_publish(desk_tid("j"), 0, "{\"a\":1,\"b\":[true,\"x\"]}");
    expect("1 x\n");
    desk_publish(desk_tid("j"), 0, "{\"a\":");
    expect("catch-all {\"a\":\n");
    desk_end();
}

Test(hub, a_table_is_sent_as_JSON)
{
    run(HUB "hub:publish({1, 2, 'three'}, 'out') hub:publish({ok = true}, 'out')",
        "[1,2,\"three\"]\n{\"ok\":true}\n");
}

Test(hub, unsubscribe_ends_it)
{
    desk_start(SHARDS, HUB "hub:subscribe('t', {onmsg = function(data) "
                           "say(data) hub:unsubscribe('t') end})");
    uint32_t tid = desk_tid("t");

    desk_publish(tid, 0, "one");
    expect("one\n");
    desk_publish(tid, 0, "two");
    expect("");
    desk_end();
}

Test(hub, pubon_speaks_for_another_client_to_one_that_is_there)
{
    char text[512];
    uint32_t etid;

    desk_start(SHARDS, HUB "hub:subscribe('to', {onmsg = function(data) "
                           "say(hub:pubon('psst', tonumber(data), 77)) end})");
    etid = desk_join("friend-1");
    snprintf(text, sizeof(text), "%u", etid);
    desk_publish(desk_tid("to"), 0, text);
    cr_assert(strstr(desk_said(), "direct: psst\n"));
    desk_leave(etid);
    desk_publish(desk_tid("to"), 0, text);
    expect("false\n");
    desk_end();
}

/* -- observing -- */

Test(hub, observe_tells_how_many_subscribe)
{
    desk_start(SHARDS, HUB "say(hub:observe('t', function(count, name) say(count, name) end), "
                           "hub:observe(4711, print), hub:observe('self', print))");
    expect("true nil nil\n0 t\n");
    uint32_t tid = desk_subscribe("t");

    expect("1 t\n");
    desk_unsubscribe(tid);
    expect("0 t\n");
    desk_end();
}

Test(hub, an_ETIDs_observation_ends_with_its_0)
{
    char text[64];
    uint32_t etid;

    desk_start(SHARDS, HUB "hub:subscribe('who', {onmsg = function(data) "
                           "say(hub:observe(tonumber(data), function(count, id) "
                           "say('gone', count, id == tonumber(data)) end)) end})");
    etid = desk_join("friend-1");
    snprintf(text, sizeof(text), "%u", etid);
    desk_publish(desk_tid("who"), 0, text);
    expect("true\n");
    desk_leave(etid);
    expect("gone 0 true\n");
    desk_end();
}

Test(hub, unobserve_ends_it)
{
    desk_start(SHARDS, HUB "hub:observe('t', function(count) say(count) end) hub:unobserve('t')");
    (void)desk_said(); /* the first count may have been under way */
    uint32_t tid = desk_subscribe("t");

    expect("");
    desk_unsubscribe(tid);
    desk_end();
}

/* -- its own onpublish -- */

Test(hub, the_servers_own_messages_go_through_onpublish)
{
    run("local hub = smq.create{onpublish = function(data, from, tid) return data ~= 'no' end} "
        "say = 1 hub:publish('yes', 'out') hub:publish('no', 'out') hub:publish('yes', 'out')",
        "yes\nyes\n");
}

Test(hub, an_error_in_its_own_onpublish_drops_the_message_and_nothing_else)
{
    desk_start(SHARDS, "local hub = smq.create{onpublish = function(data) "
                       "if data == 'bad' then error('no') end return true end} "
                       "hub:publish(text(hub:publish('bad', 'out'), 'goes on'), 'out')");
    expect("0 goes on\n");
    cr_assert_eq(desk_errors(SCRIPT_CALL_ONPUBLISH), 1);
    desk_end();
}

Test(hub, onpublish_that_publishes_what_it_judges_is_stopped)
{
    desk_start(SHARDS, "local hub local depth, deepest = 0, 0 "
                       "hub = smq.create{onpublish = function(data) "
                       "depth = depth + 1 deepest = math.max(deepest, depth) "
                       "if data == 'again' then hub:publish('again', 'other') end "
                       "depth = depth - 1 return true end} "
                       "hub:publish('again', 'other') "
                       "hub:publish(text(deepest, 'and goes on'), 'out')");
    expect("8 and goes on\n");
    cr_assert_eq(desk_errors(SCRIPT_CALL_ONPUBLISH), 1);
    desk_end();
}

Test(hub, onpublish_that_runs_out_of_time_does_not_count_as_nested)
{
    desk_start_within(1,
                      "local hub hub = smq.create{onpublish = function(data) "
                      "while data == 'loop' do end return true end} "
                      "hub:subscribe('t', {onmsg = function(data) hub:publish(data, 'out') end})",
                      16 << 20, 20, 100);
    uint32_t tid = desk_tid("t");

    for (int i = 0; i < 10; i++)
        desk_publish(tid, 0, "loop");
    expect("");
    desk_publish(tid, 0, "fine");
    expect("fine\n");
    desk_end();
}

Test(hub, onpublish_may_be_limited_to_topics)
{
    run("local hub = smq.create() "
        "hub:onpublish(function() return false end, {'guarded'}) "
        "hub:publish('one', 'out') "
        "hub:onpublish(function() return false end, {'out'}) "
        "hub:publish('two', 'out')",
        "one\n");
}

/* -- the queue -- */

Test(hub, messages_wait_while_the_script_waits_and_no_more_than_fit)
{
    desk_start_within(1,
                      HUB "hub:subscribe('t', {onmsg = function(data) "
                          "if data == 'wait' then hub:create('new') end say(data) end})",
                      16 << 20, 2000, 2);
    uint32_t tid = desk_tid("t");

    desk_publish(tid, 0, "wait");
    desk_publish(tid, 0, "one");
    desk_publish(tid, 0, "two");
    desk_publish(tid, 0, "three");
    expect("wait\none\ntwo\n");
    cr_assert_eq(desk_stat(SCRIPT_STAT_QUEUE_DROPPED), 1);
    cr_assert_eq(desk_stat(SCRIPT_STAT_QUEUE), 0);
    desk_end();
}

Test(hub, queuesize_says_what_is_free)
{
    run("local hub = smq.create{queuesize = 17} "
        "function say(...) hub:publish(text(...), 'out') end say(hub:queuesize())",
        "17 0\n");
}

/* -- requests and answers -- */

Test(hub, smqrpc_answers_each_request)
{
    char text[256];
    uint32_t stid;

    desk_start(SHARDS,
               HUB "local rpc = require'smqrpc' "
                   "rpc.create(hub, {add = function(a, b) return a + b end, "
                   "fail = function() error('no way', 0) end, "
                   "refuse = function() return nil, 'not today' end, nothing = function() end}) "
                   "say(hub:createsub('$RpcReq'))");
    stid = (uint32_t)strtoul(desk_said(), NULL, 10);
    uint32_t etid = desk_join("a page");
    static const struct {
        const char *request;
        const char *response;
    } cases[] = {
        {"{\"id\":1,\"name\":\"add\",\"args\":[2,3]}", "\"rsp\":5"},
        {"{\"id\":2,\"name\":\"fail\",\"args\":[]}", "\"err\":\"no way\""},
        {"{\"id\":3,\"name\":\"refuse\"}", "\"err\":\"not today\""},
        {"{\"id\":4,\"name\":\"nothing\",\"args\":[null]}", "\"rsp\":null"},
        {"{\"id\":5,\"name\":\"unknown\",\"args\":[]}", "\"err\":\"there is no unknown\""},
    };
    for (uint32_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(text, sizeof(text), "\"id\":%u", i + 1);
        desk_publish_from(etid, 1, stid, cases[i].request);
        const char *said = desk_said();

        cr_assert(strstr(said, cases[i].response), "%s", said);
        cr_assert(strstr(said, text), "%s", said);
    }
    desk_leave(etid);
    desk_end();
}

/* -- one script after another -- */

Test(hub, a_new_script_takes_over_and_the_old_ones_subscriptions_end)
{
    desk_start(SHARDS, HUB "hub:subscribe('both', {onmsg = function(d) say('old', d) end}) "
                           "hub:subscribe('old', {onmsg = function(d) say('old', d) end}) "
                           "function onunload() say('bye') end");
    uint32_t both = desk_tid("both"), old = desk_tid("old");

    desk_reload(HUB "hub:subscribe('both', {onmsg = function(d) say('new', d) end})");
    expect("bye\n");
    desk_publish(both, 0, "1");
    desk_publish(old, 0, "2");
    expect("new 1\n");
    cr_assert_eq(desk_stat(SCRIPT_STAT_LOADS), 2);
    desk_end();
}

Test(hub, a_script_that_fails_leaves_the_old_one_as_it_was)
{
    desk_start(SHARDS, HUB "hub:subscribe('t', {onmsg = function(d) say('old', d) end})");
    uint32_t tid = desk_tid("t");
    static const char *const bad[] = {"this is no Lua", "error('at the end')",
                                      HUB "hub:subscribe('more') error('after a subscribe')"};

    for (uint32_t i = 0; i < COUNT_OF(bad); i++) {
        desk_reload(bad[i]);
        expect("");
        desk_publish(tid, 0, "still here");
        expect("old still here\n");
    }
    cr_assert_eq(desk_stat(SCRIPT_STAT_LOADS), 1);
    cr_assert_eq(desk_stat(SCRIPT_STAT_LOAD_FAILURES), COUNT_OF(bad));
    desk_end();
}

Test(hub, without_any_good_script_the_actor_waits_for_one)
{
    desk_start(SHARDS, "error('not yet')");
    cr_assert_eq(desk_stat(SCRIPT_STAT_LOADED), 0);
    desk_reload(HUB "say('here')");
    expect("here\n");
    cr_assert_eq(desk_stat(SCRIPT_STAT_LOADED), 1);
    desk_end();
}
