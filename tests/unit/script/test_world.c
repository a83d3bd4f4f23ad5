/*
 * tests/unit/script/test_world.c — mirrors script/ba.c, script/json.c and script/timers.c.
 *
 * Goal:   ba does what scripts of the original expect of it.
 * Method: scripts that say what they got (script_desk.h).
 */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "script/script.h"
#include "tests/unit/script/script_desk.h"

#define HUB "local hub = smq.create() function say(...) hub:publish(text(...), 'out') end "

static void says(const char *expression, const char *line)
{
    char text[2048];

    snprintf(text, sizeof(text), HUB "say(%s)", expression);
    desk_start(1, text);
    cr_assert_str_eq(desk_said(), line);
    desk_end();
}

/* -- JSON -- */

Test(world, what_is_no_JSON_is_nil_and_why)
{
    says("(ba.json.decode('{')), (ba.json.decode('')), (ba.json.decode(('['):rep(100)))",
         "nil nil nil\n");
    says("type(select(2, ba.json.decode('[1,')))", "string\n");
}

Test(world, what_has_no_JSON_is_an_error)
{
    says("(pcall(ba.json.encode, print)), (pcall(ba.json.encode, {[{}] = 1})), "
         "(pcall(ba.json.encode, 0/0)), (pcall(ba.json.encode, {math.huge}))",
         "false false false false\n");
}

Test(world, JSON_goes_there_and_back)
{
    says("ba.json.encode(ba.json.decode('[1,2.5,true,null,\"\\\\u00e4\\\\n\",{\"a\":[]},[]]'))",
         "[1,2.5,true,null,\"\xc3\xa4\\n\",{\"a\":[]},[]]\n");
    says("ba.json.encode{}, ba.json.encode(ba.json.array()), ba.json.encode{1, nil, 3}",
         "{} [] {\"1\":1,\"3\":3}\n");
    says("ba.json.decode('9007199254740993'), ba.json.encode(9007199254740993), "
         "ba.json.encode(0.1), ba.json.decode('null') == ba.json.null",
         "9007199254740993 9007199254740993 0.1 true\n");
}

/* -- the rest of ba -- */

Test(world, base64_goes_there_and_back)
{
    says("ba.b64encode(''), ba.b64encode('a'), ba.b64encode('ab'), ba.b64encode('abc')",
         " YQ== YWI= YWJj\n");
    says(
        "ba.b64decode('YWJj'), ba.b64decode('YWI='), ba.b64decode('Y-_4') == ba.b64decode('Y+/4'), "
        "(ba.b64decode('Y*'))",
        "abc ab true nil\n");
}

Test(world, numbers_have_the_networks_order)
{
    says("ba.socket.h2n(2, 258):byte(1, -1)", "1 2\n");
    says("ba.socket.n2h(4, '\\0\\0\\1\\2'), ba.socket.n2h(2, 'x\\1\\2', 2), "
         "(pcall(ba.socket.n2h, 4, 'abc'))",
         "258 258 false\n");
}

Test(world, random_numbers_are_in_their_range)
{
    says("(function() local seen = {} for i = 1, 1000 do seen[ba.rnd(3, 5)] = true end "
         "return text(seen[2], seen[3], seen[4], seen[5], seen[6], #ba.rnds(16)) end)()",
         "nil true true true nil 16\n");
}

Test(world, without_a_library_there_is_no_hash)
{
    says("(pcall(ba.crypto.hash, 'sha256'))", "false\n");
}

/* -- timers -- */

Test(world, a_timer_comes_again_until_it_returns_false)
{
    desk_start(1, HUB "local n = 0 ba.timer(function() n = n + 1 "
                      "if n == 3 then say('three') return false end end):set(1)");
    cr_assert_str_eq(desk_said_within(5000), "three\n");
    cr_assert_eq(desk_stat(SCRIPT_STAT_TIMERS), 0);
    desk_end();
}

Test(world, a_oneshot_comes_once_and_a_cancelled_one_never)
{
    desk_start(1, HUB "ba.timer(function() say('never') end):set(1):cancel() "
                      "ba.timer(function() say('once') end):set(1, true)");
    cr_assert_str_eq(desk_said_within(5000), "once\n");
    cr_assert_eq(desk_stat(SCRIPT_STAT_TIMERS), 0);
    desk_end();
}

Test(world, a_timer_that_fails_goes_on)
{
    desk_start(1, HUB "local n = 0 ba.timer(function() n = n + 1 if n < 3 then error('no') end "
                      "say('yes') return false end):set(1)");
    cr_assert_str_eq(desk_said_within(5000), "yes\n");
    cr_assert_eq(desk_errors(SCRIPT_CALL_TIMER), 2);
    desk_end();
}

Test(world, no_more_timers_than_there_may_be)
{
    says("(pcall(function() for i = 1, 1001 do ba.timer(print):set(60000) end end))", "false\n");
}
