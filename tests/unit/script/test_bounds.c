/*
 * tests/unit/script/test_bounds.c — mirrors script/bounds.c, script/sandbox.lua and the errors of
 * script/state.c.
 *
 * Goal:   a script cannot run for ever, take all memory, or reach what it should not; the actor
 *         goes on after each of these.
 * Method: scripts that try, by hand (script_desk.h).
 */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "script/script.h"
#include "tests/unit/script/script_desk.h"

#define HUB            "local hub = smq.create() function say(...) hub:publish(text(...), 'out') end "
#define ON(name, body) "hub:subscribe('" name "', {onmsg = function(data) " body " end}) "

static void expect(const char *lines)
{
    cr_assert_str_eq(desk_said(), lines);
}

/* The script's handler of "bad" does something bad; "good" works before and after it. */
static void survives(const char *body, uint32_t timeouts_count)
{
    char text[2048];

    snprintf(text, sizeof(text),
             HUB ON("good", "say(data)") "hub:subscribe('bad', {onmsg = function() %s end})", body);
    desk_start_within(1, text, 4 << 20, timeouts_count > 0 ? 20 : 60000, 100);
    uint32_t good = desk_tid("good"), bad = desk_tid("bad");

    for (int i = 0; i < 2; i++) {
        desk_publish(good, 0, "before");
        expect("before\n");
        desk_publish(bad, 0, "now");
        expect("");
        desk_publish(good, 0, "after");
        expect("after\n");
    }
    cr_assert_eq(desk_errors(SCRIPT_CALL_ONMSG), 2);
    cr_assert_eq(desk_stat(SCRIPT_STAT_TIMEOUTS), 2 * timeouts_count);
    desk_end();
}

/* -- time -- */

Test(bounds, an_endless_loop_ends)
{
    survives("while true do end", 1);
}

Test(bounds, pcall_does_not_keep_a_script_alive)
{
    survives("while true do pcall(function() while true do end end) end", 1);
}

Test(bounds, a_coroutine_does_not_keep_a_script_alive)
{
    survives(
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        1);
}

Test(bounds, an_error_handler_does_not_keep_a_script_alive)
{
    survives("while true do xpcall(function() while true do end end, "
             "function() while true do end end) end",
             1);
}

Test(bounds, closing_a_coroutine_does_not_keep_a_script_alive)
{
    survives("coroutine.wrap(function() local x <close> = setmetatable({}, "
             "{__close = function() while true do end end}) while true do end end)()",
             1);
}

/* -- memory -- */

Test(bounds, a_table_that_grows_for_ever_is_an_error)
{
    survives("local all = {} while true do all[#all + 1] = ('x'):rep(1000) .. #all end", 0);
}

Test(bounds, one_giant_string_is_an_error)
{
    survives("local s = ('x'):rep(1000000000)", 0);
}

Test(bounds, a_recursion_without_end_is_an_error)
{
    survives("local function f() return 1 + f() end f()", 0);
}

Test(bounds, JSON_that_contains_itself_is_an_error)
{
    survives("local t = {} t.t = t hub:publish(t, 'out')", 0);
}

/* -- errors -- */

Test(bounds, any_value_may_be_thrown)
{
    survives("error({1, 2})", 0);
    survives("error(nil)", 0);
    survives("error(setmetatable({}, {__tostring = function() error('again') end}))", 0);
}

/* -- libraries -- */

static void says(const char *expression, const char *line)
{
    char text[1024];

    snprintf(text, sizeof(text), HUB "say(%s)", expression);
    desk_start(1, text);
    expect(line);
    desk_end();
}

Test(bounds, what_ends_or_leaves_the_process_is_not_there)
{
    static const char *const functions[] = {"os.exit",   "os.setlocale", "os.execute", "os.remove",
                                            "os.rename", "os.tmpname",   "io.popen",   "io.tmpfile",
                                            "io.write",  "io.read"};

    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        char expression[128];
        char line[128];

        snprintf(expression, sizeof(expression),
                 "(select(2, pcall(%s)):match('%s is not for scripts'))", functions[i],
                 functions[i]);
        snprintf(line, sizeof(line), "%s is not for scripts\n", functions[i]);
        says(expression, line);
    }
    says("package.loadlib, debug.sethook, debug.getregistry, io.stdout, coroutine.close",
         "nil nil nil nil nil\n");
}

Test(bounds, files_are_those_of_the_scripts_folder)
{
    says("(io.open('/etc/passwd')), (io.open('../passwd')), (io.open('/proc/self/mem', 'w')), "
         "(pcall(dofile, '/etc/passwd')), (loadfile('/etc/passwd')), (io.open('test.lua')) ~= nil",
         "nil nil nil false nil true\n");
}

Test(bounds, compiled_chunks_are_refused)
{
    says("(load(string.dump(function() end)))", "nil\n");
    says("load('return 1 + 1')()", "2\n");
    says("load('return x', 'name', 't', {x = 7})()", "7\n");
}

Test(bounds, finalizers_are_refused)
{
    says("(pcall(setmetatable, {}, {__gc = function() end}))", "false\n");
    says("(pcall(setmetatable, {}, {}))", "true\n");
}

Test(bounds, modules_come_from_the_system_and_not_from_a_path_of_the_scripts_own)
{
    says("(pcall(function() package.path = '/tmp/?.lua' return require('script_desk_evil') end))",
         "false\n");
}
