/*
 * tests/unit/script/test_async.c — mirrors script/async.c and script/pack.c.
 *
 * Goal:   a function runs in another state and its results come back; what cannot go there is an
 *         error; a worker that does not end ends with its script.
 * Method: scripts that use smq.async (script_desk.h); the worker is a real thread.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "script/script.h"
#include "tests/unit/script/script_desk.h"

#define HUB      "local hub = smq.create() function say(...) hub:publish(text(...), 'out') end "
#define WHILE_MS 10000

static void expect_later(const char *lines)
{
    cr_assert_str_eq(desk_said_within(WHILE_MS), lines);
}

/* -- what goes wrong -- */

Test(async, an_error_comes_as_nil_and_why)
{
    desk_start(1, HUB "smq.async(function() error('no way', 0) end, say)");
    expect_later("nil no way\n");
    desk_end();
}

Test(async, a_value_that_cannot_be_copied_is_an_error)
{
    desk_start(1, HUB "say((pcall(smq.async, function() return hub end, say)), "
                      "(pcall(smq.async, print, say)), (pcall(smq.async, 42, say)), "
                      "(pcall(smq.async, function() end, 42)))");
    expect_later("false false false false\n");
    desk_end();
}

Test(async, a_result_that_cannot_be_copied_is_an_error)
{
    desk_start(1, HUB "smq.async(function() return print end, function(r, why) "
                      "say(r, why:match('cannot go')) end)");
    expect_later("nil cannot go\n");
    desk_end();
}

Test(async, more_jobs_than_may_wait_are_an_error)
{
    desk_start_within(1,
                      HUB "local count = 0 for i = 1, 5 do "
                          "if pcall(smq.async, function() end) then count = count + 1 end end "
                          "say(count)",
                      16 << 20, 2000, 2);
    expect_later("2\n");
    desk_end();
}

Test(async, a_function_without_end_ends_with_its_script)
{
    desk_start(1, HUB "smq.async(function() while true do end end, say) say('begun')");
    expect_later("begun\n");
    desk_reload(HUB "say('next')");
    expect_later("next\n");
    desk_end();
}

Test(async, a_worker_has_limits_of_its_own)
{
    desk_start(1, HUB "smq.async(function() local t = {} "
                      "while true do t[#t + 1] = ('x'):rep(1000) .. #t end end, say) "
                      "smq.async(function() return 'still here' end, say)");
    const char *said = desk_said_within(WHILE_MS);

    cr_assert_eq(strncmp(said, "nil not enough memory\n", 22), 0, "%s", said);
    if (said[22] == '\0')
        expect_later("still here\n");
    desk_end();
}

/* -- what goes well -- */

Test(async, results_of_all_kinds_come_back)
{
    desk_start(1, HUB "local given = {1, 2.5, 'three', {four = true}, [10] = 'ten'} "
                      "smq.async(function() return given, nil, 'x\\0y', 1 << 62 end, "
                      "function(t, nothing, s, n) say(t[1], t[2], t[3], t[4].four, t[10], nothing, "
                      "#s, n, math.type(t[1])) end)");
    expect_later("1 2.5 three true ten nil 3 4611686018427387904 integer\n");
    desk_end();
}

Test(async, globals_of_the_worker_last_and_are_not_the_scripts)
{
    desk_start(1, HUB "counter = 100 for i = 1, 3 do "
                      "smq.async(function() counter = (counter or 0) + 1 return counter end, "
                      "function(n) if n == 3 then say(n, counter) end end) end");
    expect_later("3 100\n");
    desk_end();
}

Test(async, the_worker_has_the_libraries_and_ba_but_no_hub)
{
    desk_start(1, HUB "smq.async(function() return ba.json.encode({1}), _G.smq, _G.hub, "
                      "(pcall(io.popen, 'ls')) end, say)");
    expect_later("[1] nil nil false\n");
    desk_end();
}
