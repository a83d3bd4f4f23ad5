/*
 * tests/unit/server/test_config.c — mirrors server/config.c, config_file.c, config_text.c and
 * config_print.c.
 *
 * Goal:   what is written is what is in force; every mistake is found, at its line, with the way
 *         out; and configs/default.conf is the built-in defaults.
 * Method: write small files and load them.
 */
#include "server/config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limits.h"
#include "server/config_keys.h"
#include "server/config_parts.h"

#include <criterion/criterion.h>

static char directory[] = "/tmp/smqd-config-XXXXXX";
static char path[64];
static struct config config;
static struct config_error error;
static bool loaded;

static void start(void)
{
    strcpy(directory + sizeof(directory) - 7, "XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/c", directory);
    loaded = false;
}

static void stop(void)
{
    if (loaded)
        config_deinit(&config);
    unlink(path);
    rmdir(directory);
}

TestSuite(config, .init = start, .fini = stop);

static void write_bytes(const char *text, size_t bytes)
{
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, bytes, file), bytes);
    fclose(file);
}

static bool load_with(const char *text, struct options options)
{
    if (loaded)
        config_deinit(&config);
    if (text) {
        write_bytes(text, strlen(text));
        options.config_path = path;
    }
    loaded = config_load(&config, &options, &error);
    return loaded;
}

static void take(const char *text)
{
    cr_assert(load_with(text, (struct options){0}), "%s", error.text);
}

/* @text must be refused at @line, and the error must say @words. */
static void refuse(const char *text, int line, const char *words)
{
    char origin[96];

    snprintf(origin, sizeof(origin), "%s:%d: ", path, line);
    cr_assert_not(load_with(text, (struct options){0}), "taken: %s", text);
    cr_assert_eq(strncmp(error.text, origin, strlen(origin)), 0, "\"%s\" is not at line %d: %s",
                 error.text, line, text);
    cr_assert_not_null(strstr(error.text, words), "\"%s\" does not say \"%s\"", error.text, words);
    cr_assert_null(strchr(error.text, '\n'), "one line");
}

static void refuse_setting(const char *setting, const char *words)
{
    struct options options = {.settings = {setting}, .setting_count = 1};

    cr_assert_not(load_with(NULL, options), "taken: %s", setting);
    cr_assert_eq(strncmp(error.text, "--set", 5), 0, "%s", error.text);
    cr_assert_not_null(strstr(error.text, words), "\"%s\" does not say \"%s\"", error.text, words);
}

/* -- mistakes in files -- */

Test(config, refuses_a_file_that_is_no_text_file)
{
    struct options options = {.config_path = "/nonexistent/smqd.conf"};

    cr_assert_not(load_with(NULL, options));
    cr_assert_not_null(strstr(error.text, "/nonexistent/smqd.conf: No such file or directory; "),
                       "%s", error.text);
    options.config_path = directory;
    cr_assert_not(load_with(NULL, options));
    cr_assert_not_null(strstr(error.text, "this is a directory"), "%s", error.text);

    write_bytes("drain_ms = 5\n\0drain_ms = 6\n", 27);
    options.config_path = path;
    cr_assert_not(load_with(NULL, options));
    cr_assert_not_null(strstr(error.text, "zero byte"), "%s", error.text);
}

Test(config, says_the_right_line_behind_comments)
{
    refuse("# one\n// two\n/* three\n four */\ndrain_ms = never\n", 5, "not a number");
    refuse("threads {\n    io = 1 # one\n\n    # more\n    router = x\n}\n", 5, "threads.router");
    refuse("listen = {\n  \"tcp://127.0.0.1:1\", # a\n  \"udp://127.0.0.1:1\"\n}\n", 3,
           "begin with tcp://");
}

Test(config, suggests_a_key_for_one_it_does_not_know)
{
    refuse("limits {\n  conections = 5\n}\n", 2,
           "unknown key \"limits.conections\"; did you mean \"limits.connections\"?");
    refuse("\nthread { io = 1 }\n", 2, "did you mean \"threads\"?");
    refuse("handshakes = 5\n", 1, "did you mean \"limits.handshakes\"?");
    refuse("banana = 5\n", 1, "smqd --print-config");
    refuse("instance \"/a\" {\n  topik \"a\" { tid = 5 }\n}\n", 2,
           "did you mean \"instance.topic\"?");
    refuse("instance \"/a\" {\n  topic \"a\" {\n    id = 5\n  }\n}\n", 3,
           "did you mean \"instance.topic.tid\"?");
}

Test(config, refuses_a_value_with_the_bad_value_and_the_range)
{
    refuse("limits { connections = 0 }\n", 1,
           "limits.connections = \"0\": too small; write 1..50331648 connections (default 200000)");
    refuse("threads {\n lane_slots = 1000\n}", 2, "a power of two");
}

Test(config, refuses_broken_grammar)
{
    refuse("drain_ms 5\n", 1, "equal sign");
    refuse("drain_ms = {5}\n", 1, "unexpected token");
    refuse("drain_ms =\n", 2, "end of file");
    refuse("instance { }\n", 1, "title");
    refuse("threads = 5\n", 1, "write threads { KEY = VALUE }");
    refuse("limits.memory = 64M\n", 1, "write limits { memory = ... }");
}

Test(config, refuses_what_is_never_closed)
{
    refuse("\nthreads {\n io = 1\n", 2, "this { is never closed");
    refuse("drain_ms = 5\n}\n", 2, "closes nothing");
    refuse("\ndata_dir = \"x\n\n", 2, "this text is never closed; end it with \"");
    refuse("\ndata_dir = 'x\n\n", 2, "end it with '");
    refuse("\n\n/* never\n\n", 3, "this comment is never closed");
    refuse("a{{{{{{{{{\n", 1, "too many {");
}

Test(config, refuses_bad_instances_at_their_first_line)
{
    refuse("\ninstance \"smq.lsp\" {\n}\n", 2, "write \"/smq.lsp\"");
    refuse("instance \"/a\" {\n}\n\ninstance \"/b\" { }\ninstance '/a b' {\n}\n", 5, "no blanks");
    refuse("instance \"/a?b\" {\n}\n", 1, "request line");
    refuse("instance \"\" {\n}\n", 1, "begins with /");
    refuse("instance \"/a\" {\n}\ninstance \"/a\" {\n}\n", 3, "\"/a\" is there already");
}

Test(config, refuses_more_instances_than_there_is_room_for)
{
    char text[LIMIT_INSTANCES * 32 + 64] = "";
    size_t used = 0;

    for (uint32_t i = 0; i < LIMIT_INSTANCES; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "instance \"/%u\" { }\n", i);
    take(text);
    cr_assert_eq(config.instance_count, LIMIT_INSTANCES);
    snprintf(text + used, sizeof(text) - used, "instance \"/more\" { }\n");
    refuse(text, LIMIT_INSTANCES + 1, "too many instances");
}

Test(config, refuses_bad_pins_at_their_line)
{
    refuse("instance \"/a\" {\n topic \"x\" { tid = 0 }\n}\n", 2, "not an id; write 1..4294967295");
    refuse("instance \"/a\" {\n topic \"x\" { tid = 4294967296 }\n}\n", 2, "not an id");
    refuse("instance \"/a\" {\n topic \"x\" { tid = x }\n}\n", 2, "not an id");
    refuse("instance \"/a\" {\n topic \"x\" { tid = 1 }\n}\n", 2, "belongs to the server");
    refuse("instance \"/a\" {\n topic \"\" { tid = 7 }\n}\n", 2, "name is empty");
    refuse("instance \"/a\" {\n topic \"x\" { }\n}\n", 2, "has no id");
    refuse("instance \"/a\" {\n topic \"x\" { tid = 7 }\n topic \"y\" { tid = 7 }\n}\n", 3,
           "\"x\" has this id already");
    refuse("instance \"/a\" {\n topic \"x\" { tid = 7 }\n topic \"x\" { tid = 8 }\n}\n", 3,
           "\"x\" is there already");
    refuse("instance \"/a\" {\n subtopic \"x\" { stid = 7 }\n subtopic \"y\" { stid = 7 }\n}\n", 3,
           "\"x\" has this id already");
}

Test(config, refuses_pins_that_break_a_limit)
{
    struct options options = {.settings = {"limits.topics_per_instance=1"}, .setting_count = 1};
    const char *two = "instance \"/a\" { topic \"x\" { tid = 7 } topic \"y\" { tid = 8 } }\n";

    cr_assert_not(load_with(two, options));
    cr_assert_not_null(strstr(error.text, "limits.topics_per_instance = 1"), "%s", error.text);
    options.settings[0] = "limits.topics=1";
    cr_assert_not(load_with(two, options));
    cr_assert_not_null(strstr(error.text, "limits.topics = 1"), "%s", error.text);
    options.settings[0] = "limits.name_bytes=8";
    cr_assert_not(load_with("instance \"/a\" { subtopic \"123456789\" { stid = 7 } }\n", options));
    cr_assert_not_null(strstr(error.text, "limits.name_bytes = 8"), "%s", error.text);
    options.settings[0] = "limits.subtopics_per_instance=0";
    cr_assert_not(load_with("instance \"/a\" { subtopic \"x\" { stid = 7 } }\n", options));
    cr_assert_not_null(strstr(error.text, "limits.subtopics_per_instance = 0"), "%s", error.text);
}

Test(config, refuses_to_listen_twice_at_one_address)
{
    refuse("listen = {\"tcp://*:80\",\n\"tcp://*:80\"}\n", 2, "already listened at");
    take("listen = {\"tcp://127.0.0.1:0\", \"tcp://127.0.0.1:0\"}\n"); /* two free ports */
    cr_assert_eq(config.listener_count, 2);
}

/* -- mistakes on the command line -- */

Test(config, refuses_bad_settings)
{
    refuse_setting("limits.conections=5", "did you mean \"limits.connections\"?");
    refuse_setting("limits.connections=0", "too small; write 1..50331648");
    refuse_setting("limits.connections=", "not a number");
    refuse_setting("=5", "KEY=VALUE");
    refuse_setting("limits.connections", "KEY=VALUE");
    refuse_setting("instance=/a", "in a file only");
    refuse_setting("listen=tcp://*:1,nonsense", "begin with tcp://");
    refuse_setting("listen=", "begin with tcp://");
}

Test(config, refuses_bad_options)
{
    struct options options = {.listen_urls = {"nonsense"}, .listen_count = 1};

    cr_assert_not(load_with(NULL, options));
    cr_assert_eq(strncmp(error.text, "--listen: \"nonsense\": ", 22), 0, "%s", error.text);
    options = (struct options){.data_dir = ""};
    cr_assert_not(load_with(NULL, options));
    cr_assert_eq(strncmp(error.text, "--data-dir: empty", 17), 0, "%s", error.text);
}

/* -- what is taken -- */

Test(config, takes_an_empty_file_as_the_defaults)
{
    take("");
    cr_assert_eq(config.listener_count, 1);
    cr_assert_str_eq(config.listeners[0].url, "tcp://127.0.0.1:8080");
    cr_assert_eq(config.instance_count, 1);
    cr_assert_str_eq(config.instances[0].path, "/smq.lsp");
    cr_assert_eq(config.instances[0].topic_count, 0);
    cr_assert_eq(config.io_thread_count, CONFIG_AUTO);
    cr_assert_eq(config.limits.handshake_timeout_ms, 4000);
    cr_assert_str_eq(config.data_dir, "data");
}

Test(config, takes_every_kind_of_key)
{
    take("listen = {\"tcp://*:1\", \"tcp://[::1]:2\"}\nallow_anonymous = on\n"
         "threads { io = 2 router = auto spin = 50us }\n"
         "receive { buffer_bytes = 16K }\n"
         "limits { slow_consumer = disconnect memory = 48M }\n"
         "keepalive { idle_ms = 2min }\n"
         "log { level = \"debug\" }\n"
         "drain_ms = 0\n"
         "data_dir = '/var/lib/smq d'\n");
    cr_assert_eq(config.listener_count, 2);
    cr_assert_str_eq(config.listeners[1].host, "::1");
    cr_assert_eq(config.listeners[1].port, 2);
    cr_assert_eq(config.io_thread_count, 2);
    cr_assert_eq(config.router_thread_count, CONFIG_AUTO);
    cr_assert_eq(config.spin_us, 50);
    cr_assert_eq(config.recv_buffer_bytes, 16384);
    cr_assert_eq(config.limits.slow_consumer, SLOW_DISCONNECT);
    cr_assert_eq(config.limits.memory_bytes_max, UINT64_C(48) << 20);
    cr_assert_eq(config.keepalive_idle_ms, 120000);
    cr_assert_eq(config.log_level, LOG_LEVEL_DEBUG);
    cr_assert_eq(config.drain_timeout_ms, 0);
    cr_assert_str_eq(config.data_dir, "/var/lib/smq d");
}

Test(config, takes_a_section_in_several_pieces)
{
    take("limits { topics = 5 }\nlimits { handshakes = 6 }\nlimits { topics = 7 }\n");
    cr_assert_eq(config.limits.topics_max, 7);
    cr_assert_eq(config.limits.handshake_count_max, 6);
}

Test(config, does_not_take_a_url_or_a_quoted_sign_for_a_comment)
{
    take("listen = {tcp://127.0.0.1:99}\ndata_dir = \"a#b//c/*d\"# yes\ndrain_ms = 7 // yes\n");
    cr_assert_eq(config.listeners[0].port, 99);
    cr_assert_str_eq(config.data_dir, "a#b//c/*d");
    cr_assert_eq(config.drain_timeout_ms, 7);
}

Test(config, takes_instances_with_pins)
{
    take("instance \"/a\" {\n"
         "  topic \"fire\" { tid = 42 }\n"
         "  topic \"smoke\" { tid = 0x2B }\n"
         "  subtopic \"ack\" { stid = 42 }\n"
         "  subtopic \"one\" { stid = 1 }\n"
         "}\n"
         "instance \"/b\" { topic \"fire\" { tid = 42 } }\n");
    cr_assert_eq(config.instance_count, 2, "and not /smq.lsp");
    cr_assert_eq(config.instances[0].topic_count, 2);
    cr_assert_str_eq(config.instances[0].topics[1].name, "smoke");
    cr_assert_eq(config.instances[0].topics[1].id, 0x2B);
    cr_assert_eq(config.instances[0].subtopic_count, 2);
    cr_assert_eq(config.instances[0].subtopics[1].id, 1);
    cr_assert_eq(config.instances[1].topics[0].id, 42);
}

Test(config, lets_the_command_line_win)
{
    struct options options = {
        .data_dir = "/tmp/y",
        .listen_urls = {"tcp://127.0.0.1:0", "tcp://[::1]:0"},
        .listen_count = 2,
        .settings = {"drain_ms=7", "limits.memory=1G", "drain_ms=8"},
        .setting_count = 3,
    };

    cr_assert(
        load_with("listen = {\"tcp://*:1\"}\nallow_anonymous = on\ndrain_ms = 6\ndata_dir = x\n",
                  options),
        "%s", error.text);
    cr_assert_eq(config.drain_timeout_ms, 8, "the last one");
    cr_assert_eq(config.limits.memory_bytes_max, UINT64_C(1) << 30);
    cr_assert_eq(config.listener_count, 2);
    cr_assert_str_eq(config.listeners[0].host, "127.0.0.1");
    cr_assert_str_eq(config.data_dir, "/tmp/y");
}

Test(config, takes_listeners_as_a_setting)
{
    struct options options = {.settings = {"listen=tcp://*:1,tcp://[::1]:2", "allow_anonymous=on"},
                              .setting_count = 2};

    cr_assert(load_with(NULL, options), "%s", error.text);
    cr_assert_eq(config.listener_count, 2);
    cr_assert_eq(config.listeners[1].port, 2);
}

/* -- who may come in -- */

Test(config, reads_who_may_come_in)
{
    take("instance \"/a\" {\n"
         "    auth = {\"key\", \"password\", \"anonymous\"}\n"
         "    users = u\n"
         "    keys = \"k\"\n"
         "    acl = l\n"
         "}\n"
         "instance \"/b\" { auth = {web} bind_uid = on }\n"
         "instance \"/c\" {}\n");
    const struct config_instance *a = &config.instances[0];

    cr_assert_eq(a->auth_count, 3);
    cr_assert_eq(a->auth[0], CONFIG_AUTH_KEY);
    cr_assert_eq(a->auth[2], CONFIG_AUTH_ANONYMOUS);
    cr_assert_str_eq(a->users_path, "u");
    cr_assert_str_eq(a->keys_path, "k");
    cr_assert_str_eq(a->acl_path, "l");
    cr_assert_not(a->bind_uid);
    cr_assert(config.instances[1].bind_uid);
    cr_assert(config_lets_in_anybody(a));
    cr_assert_not(config_lets_in_anybody(&config.instances[1]));
    cr_assert(config_lets_in_anybody(&config.instances[2]));
    cr_assert(config_asks_for(&config.instances[2], CONFIG_AUTH_CERTIFICATE));
    cr_assert_null(config.instances[2].acl_path);
}

Test(config, refuses_lists_that_make_no_sense)
{
    refuse("instance \"/a\" {\nauth = {pasword} }", 2, "did you mean \"password\"?");
    refuse("instance \"/a\" {\nauth = {fingerprint} }", 2, "write some of password, key");
    refuse("instance \"/a\" { auth = {key,\nkey} }", 2, "in the list already");
    refuse("instance \"/a\" { auth = {anonymous,\nkey} }", 2, "write it last");
    refuse("instance \"/a\" {\nbind_uid = yes }", 2, "write on or off");
    refuse("instance \"/a\" {\nuser = x }", 2, "instance.users");
}

static void refuse_whole(const char *text, const char *words)
{
    cr_assert_not(load_with(text, (struct options){0}), "taken: %s", text);
    cr_assert_not_null(strstr(error.text, words), "%s", error.text);
}

Test(config, refuses_ways_in_that_have_no_file_and_files_that_have_no_way)
{
    refuse_whole("instance \"/a\" { auth = {password} }", "needs users = \"FILE\"");
    refuse_whole("instance \"/a\" { auth = {key} }", "needs keys = \"FILE\"");
    refuse_whole("instance \"/a\" { users = x }", "add it to auth");
    refuse_whole("instance \"/a\" { auth = {password} users = u keys = x }", "add it to auth");
    refuse_whole("instance \"/a\" { auth = {certificate} }", "needs tls.client_auth");
    refuse_whole("instance \"/a\" { bind_uid = on }", "without anonymous");
}

Test(config, an_open_address_must_be_wanted)
{
    const char *words = "allow_anonymous = on";

    refuse_whole("listen = {\"tcp://*:1\"}", words);
    refuse_whole("listen = {\"tcp://127.0.0.1:1\", \"tls://10.0.0.1:1\"}", words);
    refuse_whole("listen = {\"tcp://[::]:1\"}", words);
    refuse_whole("listen = {\"tcp://127.example.org:1\"}", words); /* who says where that is? */
    refuse_whole("listen = {\"tcp://localhost.example.org:1\"}", words);
    refuse_whole("listen = {\"tcp://*:1\"}\ninstance \"/a\" { auth = {key} keys = k }\n"
                 "instance \"/b\" {}",
                 "\"/b\" asks nobody");
    refuse_whole("listen = {\"tls://*:1\"} tls { client_auth = optional }", words);
    take("listen = {\"tcp://*:1\"}\nallow_anonymous = on");
    refuse_whole("listen = {\"tcp://*:1\"}\nallow_anonymous = on\n"
                 "listener \"tcp://*:1\" { allow_anonymous = off }",
                 words);
    take("listen = {\"tcp://127.0.0.9:1\", \"tcp://[::1]:1\", \"tcp://localhost:2\"}");
    take("listen = {\"tcp://*:1\"}\ninstance \"/a\" { auth = {key} keys = k }");
    take("listen = {\"tls://*:1\"} tls { client_auth = required }");
}

Test(config, one_address_may_be_open_and_another_not)
{
    take("listen = {\"tcp://*:1\", \"tls://127.0.0.1:2\"}\n"
         "listener \"tcp://*:1\" { allow_anonymous = on }");
    cr_assert(config.listeners[0].allow_anonymous);
    cr_assert_not(config.listeners[1].allow_anonymous);
    refuse_whole("drain_ms = 1\nlisten = {\"tcp://*:1\",\n\"tcp://*:2\"}\n"
                 "listener \"tcp://*:1\" { allow_anonymous = on }",
                 ":3: tcp://*:2 can be reached");
    refuse_whole("listen = {\"tcp://*:1\"}", "listener \"tcp://*:1\" { allow_anonymous = on }");
    take("listen = {\"tls://*:1\", \"tls://*:2\"}\nallow_anonymous = on\n"
         "listener \"tls://*:1\" { allow_anonymous = off client_auth = required }\n");
    cr_assert_not(config.listeners[0].allow_anonymous);
    cr_assert(config.listeners[1].allow_anonymous);
    take("listen = {\"tls://*:1\", \"tls://127.0.0.1:2\"}\n"
         "listener \"tls://*:1\" { allow_anonymous = on }");
    cr_assert_eq(config.tls_policy_count, 1, "it is not about TLS, so they share their sessions");
}

Test(config, a_listener_section_is_told_what_is_wrong_with_it)
{
    refuse_whole("listen = {\"tcp://[::1]:1\"}\n\nlistener \"tcp://[::1]:1\" {\n"
                 "client_auth = off }",
                 ":4: client_auth is about TLS");
    refuse_whole("listen = {\"tcp://[::1]:1\"}\nlistener \"tcp://[::1]:2\" {}",
                 ":2: listener \"tcp://[::1]:2\": no such address");
    refuse_whole("listen = {\"tcp://[::1]:1\"}\nlistener \"tcp://[::1]:1\" {\n"
                 "allow_anonymous = yes }",
                 ":3: allow_anonymous = \"yes\"");
}

/* -- printing -- */

/* @config as a file; good until the next but one call. */
static char *printed(void)
{
    static char texts[2][65536];
    static uint32_t turn;
    char *text = texts[turn++ % 2];
    FILE *out = fmemopen(text, sizeof(texts[0]), "w");

    config_print(&config, out);
    fclose(out);
    return text;
}

static char *read_file(const char *name)
{
    static char text[65536];
    FILE *file = fopen(name, "re");

    cr_assert_not_null(file, "%s", name);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

Test(config, is_what_default_conf_says_when_nothing_is_said)
{
    const char *root = getenv("SMQD_SOURCE_ROOT");
    char name[512];

    snprintf(name, sizeof(name), "%s/configs/default.conf", root ? root : ".");
    cr_assert(load_with(NULL, (struct options){0}));
    cr_assert_str_eq(read_file(name), printed(),
                     "run: build/smqd --print-config > configs/default.conf");

    struct options options = {.config_path = name};

    cr_assert(load_with(NULL, options), "%s", error.text);
    cr_assert_str_eq(read_file(name), printed(), "loading it changes nothing");
}

Test(config, reads_back_what_it_prints)
{
    take("listen = {\"tcp://*:1\", \"tcp://[::1]:2\"}\nallow_anonymous = on\n"
         "threads { io = 3 router = 0 lane_slots = 64 spin = 1ms }\n"
         "limits { slow_consumer = drop_old memory = 100000000 queue_bytes = 1M }\n"
         "instance \"/a\" { topic \"q\\\"\\\\\\x01\\x24{HOME} #/*\" { tid = 5 } }\n"
         "instance \"/c\" { auth = {key, web} keys = 'k y' acl = a bind_uid = on }\n"
         "instance \"/b\" { subtopic 'x y' { stid = 4294967295 } }\n"
         "data_dir = '${HOME}\"x'\n");
    cr_assert_str_eq(config.instances[0].topics[0].name, "q\"\\\x01${HOME} #/*");
    char *first = printed();

    take(first);
    cr_assert_str_eq(config.instances[0].topics[0].name, "q\"\\\x01${HOME} #/*");
    cr_assert_eq(config.instances[1].auth[1], CONFIG_AUTH_WEB);
    cr_assert_str_eq(config.instances[1].keys_path, "k y");
    cr_assert_str_eq(config.instances[1].acl_path, "a");
    cr_assert(config.instances[1].bind_uid);
    cr_assert_eq(config.instances[2].subtopics[0].id, UINT32_MAX);
    cr_assert_str_eq(config.data_dir, "${HOME}\"x");
    cr_assert_eq(config.limits.memory_bytes_max, 100000000);
    cr_assert_str_eq(printed(), first);
}

static uint32_t count_of(const char *text, const char *wanted)
{
    uint32_t count = 0;

    for (const char *at = text; (at = strstr(at, wanted)); at++)
        count++;
    return count;
}

Test(config, prints_every_key_once)
{
    take("");
    char *text = printed();

    for (uint32_t i = 0; i < config_key_count; i++) {
        const char *dot = strrchr(config_keys[i].name, '.');
        char wanted[128];

        snprintf(wanted, sizeof(wanted), "\n%s%s = ", dot ? "    " : "",
                 dot ? dot + 1 : config_keys[i].name);
        cr_assert_eq(count_of(text, wanted), 1, "%s", config_keys[i].name);
    }
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        cr_assert_leq(strlen(line), 100, "%s", line);
}

/* -- the machine -- */

/* -- the web -- */

static void refuse_web(const char *text, const char *words)
{
    cr_assert_not(load_with(text, (struct options){0}), "taken: %s", text);
    cr_assert_not_null(strstr(error.text, words), "\"%s\" does not say \"%s\"", error.text, words);
}

Test(config, wants_another_path_for_the_web_ui_when_there_are_pages)
{
    refuse_web("web { root = \"/tmp\" }", "needs another path");
    take("web {\n root = \"/tmp\"\n ui = \"/admin\"\n}");
}

Test(config, wants_a_path_for_the_web_ui_that_browsers_ask_for)
{
    refuse_web("web { ui = \"admin\" }", "begins with /");
    refuse_web("web { ui = \"/a//b\" }", "another path");
    refuse_web("web { ui = \"/a/../b\" }", "another path");
    refuse_web("web { ui = \"/a b\" }", "no blanks");
    refuse_web("web { ui = \"/smq.lsp\" }", "broker instance");
}

Test(config, wants_a_path_of_its_own_for_the_admin_instance)
{
    refuse_web("web { admin_path = \"admin\" }", "begins with /");
    refuse_web("web { admin_path = \"/smq.lsp\" }", "broker instance");
    refuse_web("web {\n ui = \"/ui\"\n admin_path = \"/ui\"\n}", "web UI itself");
    take("web {\n enabled = off\n admin_path = \"/smq.lsp\"\n}");
    config_add_admin_instance(&config);
    cr_assert_eq(config.instance_count, 1, "no web, no instance for it");
}

Test(config, wants_a_path_of_its_own_for_the_echo)
{
    refuse_web("web { echo = \"echo\" }", "web.echo");
    refuse_web("web { echo = \"/smq.lsp\" }", "web.echo");
    take("web { echo = \"/echo\" }");
    cr_assert_str_eq(config.web.echo, "/echo");
}

Test(config, adds_the_admin_instance_and_does_not_print_it)
{
    char *text = NULL;
    size_t bytes_count;

    take("web { admin_path = \"/own\" }");
    config_add_admin_instance(&config);
    cr_assert_eq(config.instance_count, 2);
    cr_assert_str_eq(config.instances[1].path, "/own");
    cr_assert(config.instances[1].needs_login);
    cr_assert_not(config.instances[0].needs_login);
    FILE *stream = open_memstream(&text, &bytes_count);
    config_print(&config, stream);
    fclose(stream);
    cr_assert_null(strstr(text, "instance \"/own\""));
    cr_assert_not_null(strstr(text, "admin_path = \"/own\""));
    free(text);
    config_deinit(&config);
}

static void assert_threads(int32_t io, int32_t router, uint32_t core_count, int32_t expected_io,
                           int32_t expected_router)
{
    config.io_thread_count = io;
    config.router_thread_count = router;
    config_resolve_threads(&config, core_count);
    cr_assert_eq(config.io_thread_count, expected_io, "%" PRIu32 " cores: %d I/O", core_count,
                 config.io_thread_count);
    cr_assert_eq(config.router_thread_count, expected_router, "%" PRIu32 " cores: %d router",
                 core_count, config.router_thread_count);
}

Test(config, chooses_threads_by_cores)
{
    assert_threads(CONFIG_AUTO, CONFIG_AUTO, 1, 1, 0);
    assert_threads(CONFIG_AUTO, CONFIG_AUTO, 2, 1, 0);
    assert_threads(CONFIG_AUTO, CONFIG_AUTO, 3, 1, 0);
    assert_threads(CONFIG_AUTO, CONFIG_AUTO, 4, 3, 1);
    assert_threads(CONFIG_AUTO, CONFIG_AUTO, 8, 6, 2);
    assert_threads(CONFIG_AUTO, CONFIG_AUTO, 16, 12, 4);
    assert_threads(CONFIG_AUTO, CONFIG_AUTO, 1024, LIMIT_IO_ACTORS, LIMIT_SHARDS);
}

Test(config, leaves_chosen_threads_alone)
{
    for (uint32_t core_count = 1; core_count < 200; core_count++) {
        assert_threads(3, 2, core_count, 3, 2);
        assert_threads(1, 0, core_count, 1, 0);
    }
}

Test(config, fits_the_threads_it_may_choose_to_those_it_may_not)
{
    assert_threads(2, CONFIG_AUTO, 2, 2, 0);
    assert_threads(CONFIG_AUTO, 1, 2, 1, 1);
    assert_threads(6, CONFIG_AUTO, 8, 6, 2);
    assert_threads(1, CONFIG_AUTO, 8, 1, 1);
    assert_threads(CONFIG_AUTO, 0, 8, 8, 0);
    assert_threads(CONFIG_AUTO, 64, 8, 1, 64);
}

Test(config, chooses_within_bounds_on_any_machine)
{
    for (uint32_t core_count = 1; core_count < 2000; core_count++) {
        config.io_thread_count = config.router_thread_count = CONFIG_AUTO;
        config_resolve_threads(&config, core_count);
        cr_assert_geq(config.io_thread_count, 1);
        cr_assert_leq(config.io_thread_count, (int32_t)LIMIT_IO_ACTORS);
        cr_assert_geq(config.router_thread_count, 0);
        cr_assert_leq(config.router_thread_count, (int32_t)LIMIT_SHARDS);
        cr_assert_leq(config.io_thread_count + config.router_thread_count, (int32_t)core_count);
    }
}

Test(config, counts_at_least_one_core)
{
    cr_assert_geq(config_core_count(), 1);
    cr_assert_leq(config_core_count(), sysconf(_SC_NPROCESSORS_CONF));
}

Test(config, knows_how_many_connections_the_kernel_will_hold)
{
    config.io_thread_count = 3;
    config.limits.connection_count_max = 50000;
    cr_assert_eq(config_connection_room(&config, 1024), 3072);
    cr_assert_eq(config_connection_room(&config, 20000), 50000, "the limit comes first");
    config.limits.connection_count_max = UINT32_MAX;
    cr_assert_eq(config_connection_room(&config, UINT64_MAX), UINT64_C(3) * LIMIT_CONNS_PER_IO);
}
