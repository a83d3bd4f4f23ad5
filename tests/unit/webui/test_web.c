/*
 * tests/unit/webui/test_web.c — the whole web actor without its thread: webui/web*.c.
 *
 * Goal:   each request gets exactly one answer, of the right kind, also without memory and when
 *         others than the web actor are slow; nothing is left behind.
 * Method: a mesh in which the test is every other actor: it pushes requests as I/O actors do, and
 *         answers lists. A plain program: BoringSSL and Criterion do not live together.
 */
#include "webui/web.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/guard.h"
#include "core/msg.h"
#include "tests/unit/tls/check.h"
#include "webui/reply.h"

#define IO_COUNT    2u
#define SHARD_COUNT 2u
#define WEB         IO_COUNT
#define CONTROL     (WEB + 1 + SHARD_COUNT)
#define ACTOR_COUNT (CONTROL + 1)

#define JSON_POST "Host: h\r\nContent-Type: application/json\r\nX-Smqd: 1\r\n"

static struct mem_budget budget;
static struct mem mems[ACTOR_COUNT];
static struct mem *mem_at[ACTOR_COUNT];
static struct parker parkers[ACTOR_COUNT];
static struct parker *parker_at[ACTOR_COUNT];
static struct mesh mesh;
static struct config_instance instances[] = {
    {.path = (char *)(uintptr_t) "/smq.lsp"},
    {.path = (char *)(uintptr_t) "/admin.smq", .needs_login = true},
};
static struct config config;
static struct guard guard;
static struct web *web;
static char folder[] = "/tmp/smqd-web-XXXXXX";
static char users[64];
static char password[WEB_PASSWORD_BYTES];
static char error[WEB_ERROR_BYTES];
static int64_t now_ms;

/* The last answer. */
static struct envelope answer;
static char text[65536];
static uint32_t lists_to_0_count;
static struct envelope publisher_joins; /* the CONNECT of its publisher; its message has gone */

/* -- the world -- */

static void put_text(void *context, struct body *out)
{
    body_put_text(out, context);
}

static void no_figures(void *context, struct stats_sample *sample)
{
    (void)context;
    sample->clock_ns = 1;
}

static void put_config(void *context, const struct config *in_force, struct body *out)
{
    (void)in_force;
    put_text(context, out);
}

static struct web_source source = {.context = (char *)(uintptr_t) "{\"figures\":1}",
                                   .sample = no_figures,
                                   .put_metrics = put_text,
                                   .put_config = put_config};

static void start(void)
{
    struct mesh_size size = {.io_count = IO_COUNT,
                             .local_count = 1,
                             .shard_count = SHARD_COUNT,
                             .slot_count = LIMIT_LANE_SLOTS_MIN};

    mem_budget_init(&budget, 64 << 20);
    for (uint32_t i = 0; i < ACTOR_COUNT; i++) {
        mem_init(&mems[i], &budget);
        mem_at[i] = &mems[i];
        parker_at[i] = &parkers[i];
        CHECK(parker_init(&parkers[i]) == STATUS_OK);
    }
    mesh_init_sized(&mesh, &size, parker_at, mem_at);
    config = (struct config){.instances = instances,
                             .instance_count = COUNT_OF(instances),
                             .data_dir = folder,
                             .web = {.enabled = 1,
                                     .ui = (char *)(uintptr_t) "/",
                                     .root = (char *)(uintptr_t) "",
                                     .machines = CONFIG_MACHINES_LOOPBACK,
                                     .token_file = (char *)(uintptr_t) "",
                                     .users = (char *)(uintptr_t) "",
                                     .admin_path = (char *)(uintptr_t) "/admin.smq",
                                     .session_ms = 60000},
                             .limits = {.failures_per_address_max = 10,
                                        .ban_ms = 60000,
                                        .addresses_max = 64,
                                        .exempt_addresses = (char *)(uintptr_t) "127.0.0.1"}};
    guard_init(&guard, &config, &(struct siphash_key){1, 2}, &mems[CONTROL]);
    struct web_options options = {.config = &config,
                                  .mesh = &mesh,
                                  .mesh_index = WEB,
                                  .mem = &mems[WEB],
                                  .source = &source,
                                  .guard = &guard};
    char first[WEB_PASSWORD_BYTES];

    now_ms = 1000;
    lists_to_0_count = 0;
    web = web_create(&options, first, error);
    CHECK(web != NULL);
    if (first[0] != '\0')
        strcpy(password, first);
    (void)web_turn(web, now_ms);
    CHECK(port_pop(&mesh.ports[mesh_shard_index(&mesh, SMQ_ID_SERVER % SHARD_COUNT)], WEB,
                   &publisher_joins));
    CHECK_EQUAL(publisher_joins.kind, ENVELOPE_CONNECT); /* not answered here */
    msg_unref(&mems[WEB], publisher_joins.msg);
}

static int64_t bytes_left(void)
{
    int64_t total = 0;

    for (uint32_t i = 0; i < ACTOR_COUNT; i++)
        for (int kind = 0; kind < MEM_KIND_COUNT; kind++)
            total += atomic_load(&mems[i].kind_bytes[kind]);
    return total;
}

static void stop(void)
{
    web_destroy(web);
    guard_deinit(&guard, &mems[CONTROL]);
    mesh_deinit(&mesh);
    for (uint32_t i = 0; i < ACTOR_COUNT; i++)
        parker_deinit(&parkers[i]);
    CHECK_EQUAL(bytes_left(), 0);
}

static void turn(void)
{
    (void)web_turn(web, now_ms);
}

/* What connection @slot of I/O actor 0 sends, from 127.0.0.1. */
static void send_raw(uint32_t slot, const char *request, uint8_t flags, uint8_t last_of_ip)
{
    static const uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    size_t length = strlen(request);
    struct msg *msg = msg_new(&mems[0], HTTP_REQUEST_PREFIX_BYTES + length);

    memcpy(msg->bytes, ip, 16);
    msg->bytes[12] = last_of_ip ? 10 : 127; /* another machine, or this one */
    msg->bytes[15] = last_of_ip ? last_of_ip : 1;
    msg->bytes[16] = msg->bytes[17] = 0;
    memcpy(msg->bytes + HTTP_REQUEST_PREFIX_BYTES, request, length);
    port_push(&mesh.ports[0], WEB,
              (struct envelope){.kind = ENVELOPE_HTTP_REQUEST,
                                .flags = flags,
                                .conn = {.host_index = 0, .generation = 1, .slot_index = slot},
                                .msg = msg});
}

/* The next answer to I/O actor 0; false: none is there. LISTs and REPORTs are put aside. */
static bool take(void)
{
    do {
        if (!port_pop(&mesh.ports[0], WEB, &answer))
            return false;
        lists_to_0_count += answer.kind == ENVELOPE_LIST;
    } while (answer.kind == ENVELOPE_LIST || answer.kind == ENVELOPE_REPORT);
    CHECK_EQUAL(answer.kind, ENVELOPE_HTTP_ANSWER);
    text[0] = '\0';
    if (answer.msg) {
        CHECK(answer.msg->bytes_count < sizeof(text));
        memcpy(text, answer.msg->bytes, answer.msg->bytes_count);
        text[answer.msg->bytes_count] = '\0';
    }
    msg_unref(&mems[0], answer.msg);
    answer.msg = NULL;
    return true;
}

static int code(void)
{
    return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
}

static int ask_from(uint8_t last_of_ip, const char *request, uint8_t flags)
{
    send_raw(7, request, flags, last_of_ip);
    turn();
    if (!take())
        return -1;
    CHECK_EQUAL(answer.conn.slot_index, 7);
    CHECK(!take());
    return code();
}

static int ask(const char *request)
{
    return ask_from(0, request, ENVELOPE_KEEP);
}

/* Until a password has been judged: the worker wakes the web actor's parker. */
static void wait_for_verdict(void)
{
    struct pollfd wait = {.fd = parkers[WEB].wake_fd, .events = POLLIN};
    uint64_t unused;

    for (;;) {
        parker_prepare(&parkers[WEB]);
        if (web_turn(web, now_ms) > 0)
            break;
        CHECK(poll(&wait, 1, 30000) == 1);
        (void)!read(wait.fd, &unused, sizeof(unused));
    }
    parker_cancel(&parkers[WEB]);
}

static void login_text(const char *word, char out[1024])
{
    char body[256];

    snprintf(body, sizeof(body), "{\"user\":\"admin\",\"password\":\"%s\"}", word);
    snprintf(out, 1024, "POST /api/login HTTP/1.1\r\n" JSON_POST "Content-Length: %zu\r\n\r\n%s",
             strlen(body), body);
}

/* The cookie's line, for requests. */
static void log_in(char cookie[128])
{
    char request[1024];

    login_text(password, request);
    CHECK_EQUAL(ask(request), -1);
    wait_for_verdict();
    CHECK(take());
    CHECK_EQUAL(code(), 200);
    const char *at = strstr(text, "Set-Cookie: ");

    CHECK(at != NULL);
    snprintf(cookie, 128, "Cookie: %.*s\r\n", at ? (int)strcspn(at + 12, ";") : 0,
             at ? at + 12 : "");
}

static int ask_with(const char *cookie, const char *path)
{
    char request[1024];

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n", path, cookie);
    return ask(request);
}

/* -- requests -- */

static void each_request_has_one_answer(void)
{
    start();
    CHECK_EQUAL(ask("GET /rtl/smq.js HTTP/1.1\r\nHost: h\r\n\r\n"), 200);
    CHECK_EQUAL(answer.status, HTTP_ANSWER_KEEP);
    CHECK_EQUAL(ask_from(0, "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n", 0), 404);
    CHECK_EQUAL(answer.status, HTTP_ANSWER_CLOSE);
    CHECK_EQUAL(ask("nonsense\r\n\r\n"), 400);
    CHECK_EQUAL(answer.status, HTTP_ANSWER_CLOSE);
    CHECK_EQUAL(ask(""), 400);
    stop();
}

static void only_programs_on_this_machine_see_the_figures(void)
{
    start();
    CHECK_EQUAL(ask("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"), 200);
    CHECK(strstr(text, "{\"figures\":1}") != NULL);
    CHECK_EQUAL(ask_from(9, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", 0), 404);
    config.web.machines = CONFIG_MACHINES_ALL;
    CHECK_EQUAL(ask_from(9, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 0), 200);
    config.web.machines = CONFIG_MACHINES_OFF;
    CHECK_EQUAL(ask("GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n"), 404);
    stop();
}

static void without_memory_there_is_an_answer_all_the_same(void)
{
    char cookie[128];
    static const char *const paths[] = {"/rtl/smq.js", "/nothing", "/metrics",    "/api/session",
                                        "/api/stats",  "/led",     "/api/config", "/healthz"};

    start();
    log_in(cookie);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        for (uint64_t n = 1; n < 6; n++) {
            mems[WEB].fail_at = n;
            int got = ask_with(cookie, paths[i]);

            CHECK(got == 200 || got == 404 || got == 308 || got == 503);
            if (got == 503)
                CHECK_EQUAL(answer.status, HTTP_ANSWER_CLOSE);
            if (n == 1 && i > 0)
                CHECK_EQUAL(got, 503);
        }
    }
    mems[WEB].fail_at = 0;
    stop();
}

/* -- who may open a WebSocket -- */

static void an_upgrade_needs_a_login_and_a_page_of_ours(void)
{
    char cookie[128];
    char request[1024];

    start();
    log_in(cookie);
    snprintf(request, sizeof(request),
             "GET /admin.smq HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\n%s\r\n", cookie);
    CHECK_EQUAL(ask_from(0, request, ENVELOPE_UPGRADE), 0);
    CHECK_EQUAL(answer.status, HTTP_ANSWER_UPGRADE);
    CHECK_TEXT(text, "admin"); /* who it is */
    CHECK_EQUAL(ask_from(0, "GET /admin.smq HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\n\r\n",
                         ENVELOPE_UPGRADE),
                401);
    snprintf(request, sizeof(request),
             "GET /admin.smq HTTP/1.1\r\nHost: h\r\nOrigin: http://evil\r\n%s\r\n", cookie);
    CHECK_EQUAL(ask_from(0, request, ENVELOPE_UPGRADE), 403);
    snprintf(request, sizeof(request), "GET /admin.smq HTTP/1.1\r\nHost: h\r\n%s\r\n", cookie);
    CHECK_EQUAL(ask_from(0, request, ENVELOPE_UPGRADE), 403);
    stop();
}

/* -- log-in -- */

static void passwords_are_not_taken_in_the_clear_from_elsewhere(void)
{
    char request[1024];

    start();
    login_text(password, request);
    CHECK_EQUAL(ask_from(9, request, 0), 403);
    CHECK_EQUAL(ask_from(9, request, ENVELOPE_SECURE), -1);
    wait_for_verdict();
    CHECK(take());
    CHECK_EQUAL(code(), 200);
    CHECK(strstr(text, "; Secure") != NULL);
    config.web.plain_login = 1;
    CHECK_EQUAL(ask_from(9, request, 0), -1);
    wait_for_verdict();
    CHECK(take());
    CHECK_EQUAL(code(), 200);
    stop();
}

static void a_session_ends_when_nobody_uses_it(void)
{
    char cookie[128];

    start();
    log_in(cookie);
    now_ms += 59999;
    CHECK_EQUAL(ask_with(cookie, "/api/session"), 200);
    now_ms += 59999;
    CHECK_EQUAL(ask_with(cookie, "/api/session"), 200);
    now_ms += 60000;
    CHECK_EQUAL(ask_with(cookie, "/api/session"), 401);
    stop();
}

static void more_log_ins_at_once_than_there_is_room_are_put_off(void)
{
    char request[1024];
    uint32_t put_off_count = 0;
    uint32_t answer_count = 0;

    start();
    login_text("wrong", request);
    for (uint8_t i = 1; i <= 12; i++) /* each from another address */
        send_raw(i, request, ENVELOPE_SECURE, i);
    turn();
    while (answer_count < 12) {
        if (!take()) {
            wait_for_verdict();
            continue;
        }
        CHECK(code() == 401 || code() == 429);
        put_off_count += code() == 429;
        answer_count++;
    }
    CHECK_EQUAL(put_off_count, 4);
    CHECK_EQUAL(web_stats(web)[WEB_STAT_LOGINS_FULL], 4);
    stop();
}

/* Eight wrong passwords of one address at once: how many are checked? */
static uint32_t checked_of_eight(uint8_t last_of_ip)
{
    char request[1024];
    uint32_t checked_count = 0;
    uint32_t answer_count = 0;

    login_text("wrong", request);
    for (uint8_t i = 1; i <= 8; i++)
        send_raw(i, request, ENVELOPE_SECURE, last_of_ip);
    turn();
    while (answer_count < 8) {
        if (!take()) {
            wait_for_verdict();
            continue;
        }
        CHECK(code() == 401 || code() == 429);
        checked_count += code() == 401;
        answer_count++;
    }
    return checked_count;
}

static void one_address_cannot_take_all_places_for_log_ins(void)
{
    start();
    CHECK_EQUAL(checked_of_eight(9), 2);
    CHECK_EQUAL(web_stats(web)[WEB_STAT_LOGINS_ADDRESS_FULL], 6);
    CHECK_EQUAL(checked_of_eight(9), 2); /* the places are free again */
    CHECK_EQUAL(checked_of_eight(0), 8); /* this machine is exempt */
    CHECK_EQUAL(web_stats(web)[WEB_STAT_LOGINS_ADDRESS_FULL], 12);
    CHECK_EQUAL(web_stats(web)[WEB_STAT_LOGINS_FULL], 0);
    stop();
}

static void the_end_does_not_wait_for_passwords(void)
{
    char request[1024];

    start();
    login_text("wrong", request);
    CHECK_EQUAL(ask(request), -1);
    stop();
}

/* -- lists -- */

/* As actor @from: a row for the LIST that has come, and its end. */
static void answer_list(uint32_t from, const char *row, uint32_t next)
{
    struct envelope list;

    if (from == 0) {
        CHECK(!take());
        CHECK(lists_to_0_count-- > 0);
    } else {
        CHECK(port_pop(&mesh.ports[from], WEB, &list));
        CHECK_EQUAL(list.kind, ENVELOPE_LIST);
    }
    if (row)
        port_push(&mesh.ports[from], WEB,
                  (struct envelope){.kind = ENVELOPE_ROWS,
                                    .msg = msg_copy(&mems[from], span_of(row, strlen(row)))});
    port_push(&mesh.ports[from], WEB,
              (struct envelope){.kind = ENVELOPE_ROWS_END, .count = row ? 1 : 0, .id = next});
    turn();
}

static void a_list_is_gathered_from_all(void)
{
    char cookie[128];

    start();
    log_in(cookie);
    CHECK_EQUAL(ask_with(cookie, "/api/peers"), -1);
    answer_list(1, NULL, 0);
    CHECK(!take());
    answer_list(0, "{\"a\":1}", 0);
    CHECK(take());
    CHECK(strstr(text, "\r\n\r\n{\"peers\":[{\"a\":1}]}\n") != NULL);
    CHECK_EQUAL(ask_with(cookie, "/api/topics"), -1);
    answer_list(WEB + 1, "{\"b\":1}", 5);
    answer_list(WEB + 2, "{\"c\":1}", 0);
    CHECK(!take());
    answer_list(WEB + 1, "{\"d\":1}", 0);
    CHECK(take());
    CHECK(strstr(text, "{\"topics\":[{\"b\":1},\n{\"c\":1},\n{\"d\":1}]}\n") != NULL);
    stop();
}

/* What the shard of @id tells the publisher. */
static void tell_publisher(enum envelope_kind kind, uint32_t id, uint32_t count)
{
    port_push(&mesh.ports[mesh_shard_index(&mesh, id % SHARD_COUNT)], WEB,
              (struct envelope){.kind = (uint8_t)kind,
                                .status = SMQ_CONNACK_ACCEPTED,
                                .conn = publisher_joins.conn,
                                .instance_index = publisher_joins.instance_index,
                                .id = id,
                                .count = count});
}

/* Whoever connects between the list and the news would be missing on the page for ever. */
static void news_for_a_page_begin_before_the_list_that_it_asks_for(void)
{
    static const uint32_t peers_tid = 4;
    struct envelope envelope;
    char cookie[128];

    start();
    log_in(cookie);
    tell_publisher(ENVELOPE_CONNECTED, SMQ_ID_SERVER, 0);
    turn();
    tell_publisher(ENVELOPE_CHANGE, peers_tid, 1); /* both are there when its turn begins */
    CHECK_EQUAL(ask_with(cookie, "/api/peers"), -1);
    CHECK(port_pop(&mesh.ports[1], WEB, &envelope));
    CHECK_EQUAL(envelope.kind, ENVELOPE_REPORT);
    CHECK(port_pop(&mesh.ports[1], WEB, &envelope));
    CHECK_EQUAL(envelope.kind, ENVELOPE_LIST);
    stop();
}

/* The handles that actor @from is asked for. */
static uint32_t names_asked_of(uint32_t from)
{
    struct envelope list;

    if (!port_pop(&mesh.ports[from], WEB, &list))
        return 0;
    CHECK_EQUAL(list.kind, ENVELOPE_LIST);
    CHECK_EQUAL(list.id, LIST_PEERS_OF);
    uint32_t count = (uint32_t)(list.msg->bytes_count / sizeof(struct conn_handle));

    msg_unref(&mems[from], list.msg);
    return count;
}

static void a_list_of_some_asks_only_whom_it_must(void)
{
    char cookie[128];

    start();
    log_in(cookie);
    CHECK_EQUAL(ask_with(cookie, "/api/peers?ids="), 200);
    CHECK(strstr(text, "{\"peers\":[]}") != NULL);
    CHECK_EQUAL(ask_with(cookie, "/api/peers?ids=1.2.3,1.4.5,"), -1);
    CHECK_EQUAL(names_asked_of(1), 2);
    CHECK_EQUAL(names_asked_of(0), 0);
    CHECK_EQUAL(ask_with(cookie, "/api/peers?ids=1.2.3"), -1); /* waits */
    CHECK_EQUAL(names_asked_of(1), 0);
    port_push(&mesh.ports[1], WEB, (struct envelope){.kind = ENVELOPE_ROWS_END});
    turn();
    CHECK(take());
    CHECK_EQUAL(code(), 200);
    CHECK_EQUAL(names_asked_of(1), 1);
    CHECK_EQUAL(ask_with(cookie, "/api/peers?ids=7.2.3"), 400);
    CHECK_EQUAL(ask_with(cookie, "/api/peers?ids=1.2.3,,"), 400);
    CHECK_EQUAL(ask_with(cookie, "/api/peers?ids=1.2.3;1.2.4"), 400);
    CHECK_EQUAL(ask_with(cookie, "/api/peers?ids=0.5.1,1.5.1"), -1); /* waits at the end */
    stop();
}

static void lists_wait_for_one_another_up_to_a_bound(void)
{
    char cookie[128];
    uint32_t refused_count = 0;

    start();
    log_in(cookie);
    for (uint32_t i = 0; i < 20; i++) {
        int got = ask_with(cookie, "/api/peers");

        CHECK(got == -1 || got == 503);
        refused_count += got == 503;
    }
    CHECK_EQUAL(refused_count, 4);
    for (uint32_t i = 0; i < 16; i++) {
        answer_list(0, NULL, 0);
        CHECK(!take());
        answer_list(1, NULL, 0);
        CHECK(take());
        CHECK_EQUAL(code(), 200);
    }
    stop();
}

static void a_list_without_memory_is_503_and_the_next_is_whole(void)
{
    char cookie[128];

    start();
    log_in(cookie);
    mems[WEB].fail_at = 1;
    CHECK_EQUAL(ask_with(cookie, "/api/peers"), -1);
    answer_list(0, "{\"a\":1}", 0);
    answer_list(1, NULL, 0);
    CHECK(take());
    CHECK_EQUAL(code(), 503);
    CHECK_EQUAL(ask_with(cookie, "/api/peers"), -1);
    answer_list(0, "{\"a\":1}", 0);
    answer_list(1, NULL, 0);
    CHECK(take());
    CHECK_EQUAL(code(), 200);
    stop();
}

static void the_end_does_not_wait_for_a_list(void)
{
    char cookie[128];

    start();
    log_in(cookie);
    CHECK_EQUAL(ask_with(cookie, "/api/peers"), -1);
    stop();
}

/* -- doing -- */

static void a_disconnect_goes_to_the_connections_own_actor(void)
{
    char cookie[128];
    char request[1024];
    struct envelope end;

    start();
    log_in(cookie);
    snprintf(request, sizeof(request),
             "POST /api/peers/1.23.45/disconnect HTTP/1.1\r\n" JSON_POST
             "%sContent-Length: 16\r\n\r\n{\"reason\":\"bye\"}",
             cookie);
    CHECK_EQUAL(ask(request), 200);
    CHECK(port_pop(&mesh.ports[1], WEB, &end));
    CHECK_EQUAL(end.kind, ENVELOPE_END);
    CHECK_EQUAL(end.conn.host_index, 1);
    CHECK_EQUAL(end.conn.slot_index, 23);
    CHECK_EQUAL(end.conn.generation, 45);
    CHECK(end.msg && end.msg->bytes_count == 3 && memcmp(end.msg->bytes, "bye", 3) == 0);
    msg_unref(&mems[1], end.msg);
    stop();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(each_request_has_one_answer),
        CHECK_TEST(only_programs_on_this_machine_see_the_figures),
        CHECK_TEST(without_memory_there_is_an_answer_all_the_same),
        CHECK_TEST(an_upgrade_needs_a_login_and_a_page_of_ours),
        CHECK_TEST(passwords_are_not_taken_in_the_clear_from_elsewhere),
        CHECK_TEST(a_session_ends_when_nobody_uses_it),
        CHECK_TEST(more_log_ins_at_once_than_there_is_room_are_put_off),
        CHECK_TEST(one_address_cannot_take_all_places_for_log_ins),
        CHECK_TEST(the_end_does_not_wait_for_passwords),
        CHECK_TEST(a_list_is_gathered_from_all),
        CHECK_TEST(news_for_a_page_begin_before_the_list_that_it_asks_for),
        CHECK_TEST(a_list_of_some_asks_only_whom_it_must),
        CHECK_TEST(lists_wait_for_one_another_up_to_a_bound),
        CHECK_TEST(a_list_without_memory_is_503_and_the_next_is_whole),
        CHECK_TEST(the_end_does_not_wait_for_a_list),
        CHECK_TEST(a_disconnect_goes_to_the_connections_own_actor),
    };
    int result;

    log_set_level(LOG_LEVEL_ERROR);
    if (!mkdtemp(folder))
        return 1;
    snprintf(users, sizeof(users), "%s/web-users", folder);
    result = check_main(tests, COUNT_OF(tests), argc, argv);
    unlink(users);
    rmdir(folder);
    return result;
}
