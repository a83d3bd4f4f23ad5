/*
 * tests/unit/server/test_config_live.c — mirrors server/config_live.c.
 *
 * Goal:   live keys are taken, all others keep their value and are named; nothing of the text that
 * was read again is needed afterwards.
 */
#include "server/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config_keys.h"

static struct config boot;
static struct config now;
static struct config_change change;

static void load(struct config *config, const char *text)
{
    char path[] = "/tmp/smqd-live-XXXXXX";
    struct options options = {.config_path = path};
    struct config_error error;
    int fd = mkstemp(path);

    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    cr_assert(config_load(config, &options, &error), "%s", error.text);
    unlink(path);
    config_resolve_threads(config, 2);
}

static void start(const char *text)
{
    load(&boot, text);
    now = boot;
}

static void take(const char *text)
{
    struct config fresh;

    load(&fresh, text);
    config_take_live(&now, &boot, &fresh, &change);
    config_deinit(&fresh);
}

static void expect(const char *taken, const char *restart)
{
    cr_assert_str_eq(change.taken, taken);
    cr_assert_str_eq(change.restart, restart);
}

static void stop(void)
{
    config_deinit(&boot);
}

TestSuite(config_live, .fini = stop);

Test(config_live, the_same_text_changes_nothing)
{
    const char *text =
        "listen = {\"tcp://127.0.0.1:1\"} instance \"/a\" { topic \"x\" { tid = 5 } }\n"
        "limits { topics = 10 } tls { rules = \"alpn:a=rsa\" }";

    start(text);
    take(text);
    expect("", "");
    cr_assert_eq(memcmp(&now, &boot, sizeof(now)), 0);
}

Test(config_live, a_live_key_is_taken_and_can_be_left_out_again)
{
    start("limits { messages_per_client = 5 slow_consumer = drop_old }");
    take("limits { slow_consumer = disconnect } keepalive { idle_ms = 1s } drain_ms = 7");
    expect("limits.messages_per_client, limits.slow_consumer, keepalive.idle_ms, drain_ms", "");
    cr_assert_eq(now.limits.messages_per_client_max, 0);
    cr_assert_eq(now.limits.slow_consumer, SLOW_DISCONNECT);
    cr_assert_eq(now.keepalive_idle_ms, 1000);
    take("limits { messages_per_client = 5 slow_consumer = drop_old }");
    expect("limits.messages_per_client, limits.slow_consumer, keepalive.idle_ms, drain_ms", "");
    cr_assert_eq(memcmp(&now, &boot, sizeof(now)), 0);
}

Test(config_live, others_keep_their_value_and_are_named_each_time)
{
    start("");
    for (int i = 0; i < 2; i++) {
        take("listen = {\"tcp://[::1]:7\"} instance \"/b\" {} data_dir = other\n"
             "threads { io = 7 } web { session_ms = 77min } limits { name_bytes = 9 frame_ms = 2s "
             "}");
        expect(i == 0 ? "limits.frame_ms" : "",
               "listen, instance, threads.io, limits.name_bytes, web.session_ms, data_dir");
    }
    cr_assert_eq(now.limits.name_bytes_max, boot.limits.name_bytes_max);
    cr_assert_eq(now.listeners, boot.listeners);
    cr_assert_str_eq(now.data_dir, "data");
    take("listener \"tcp://127.0.0.1:8080\" { allow_anonymous = on }");
    expect("limits.frame_ms", "listener");
}

Test(config_live, what_was_made_at_the_start_does_not_grow)
{
    start("limits { connections = 100 handshakes = 50 }");
    take("limits { connections = 60 handshakes = 51 }");
    expect("limits.connections", "limits.handshakes");
    cr_assert_eq(now.limits.connection_count_max, 60);
    cr_assert_eq(now.limits.handshake_count_max, 50);
    take("limits { connections = 101 handshakes = 50 }");
    expect("", "limits.connections");
    cr_assert_eq(now.limits.connection_count_max, 60, "it stays as it is");
    take("limits { connections = 100 handshakes = 50 }");
    expect("limits.connections", "");
    cr_assert_eq(now.limits.connection_count_max, 100);
}

Test(config_live, no_text_is_live)
{
    start("");
    for (uint32_t i = 0; i < config_key_count; i++)
        cr_assert(config_keys[i].kind != KEY_TEXT || config_keys[i].live == KEY_RESTART, "%s",
                  config_keys[i].name);
}
