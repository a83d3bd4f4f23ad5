/*
 * tests/unit/webui/test_reply.c — mirrors webui/reply.c.
 * Goal:   each response is whole, says how long it is, and carries the headers that keep browsers
 * safe.
 */
#include "webui/reply.h"

#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/core/account.h"

static struct http_request request;
static char text[8192];

static void start(void)
{
    account_open();
    request = (struct http_request){.keeps = true};
}

TestSuite(reply, .init = start);

static void take(struct msg *msg)
{
    cr_assert_not_null(msg);
    cr_assert_lt(msg->bytes_count, sizeof(text));
    memcpy(text, msg->bytes, msg->bytes_count);
    text[msg->bytes_count] = '\0';
    msg_unref(&account, msg);
    cr_assert(account_is_empty());
}

static void make(const struct reply *reply)
{
    take(reply_message(&account, reply, &request, 784111777));
}

static void assert_line(const char *line)
{
    const char *at = strstr(text, line);

    cr_assert(at && at[-1] == '\n' && at[strlen(line)] == '\r', "no \"%s\" in:\n%s", line, text);
}

static void assert_body(const char *body)
{
    const char *blank = strstr(text, "\r\n\r\n");

    cr_assert_not_null(blank);
    cr_assert_str_eq(blank + 4, body);
}

Test(reply, is_a_whole_response)
{
    struct reply reply = {.code = 200, .type = "text/plain", .body = span_of("hello", 5)};

    make(&reply);
    cr_assert_eq(strncmp(text, "HTTP/1.1 200 OK\r\n", 17), 0);
    assert_line("Date: Sun, 06 Nov 1994 08:49:37 GMT");
    assert_line("Content-Length: 5");
    assert_line("Content-Type: text/plain");
    assert_line("Connection: keep-alive");
    assert_line("Cache-Control: no-store");
    assert_body("hello");
    request.keeps = false;
    make(&reply);
    assert_line("Connection: close");
}

Test(reply, says_errors_in_json)
{
    struct reply reply = reply_error(404, "there is no such page");

    make(&reply);
    cr_assert_eq(strncmp(text, "HTTP/1.1 404 Not Found\r\n", 24), 0);
    assert_line("Content-Type: application/json");
    assert_line("Content-Length: 34");
    assert_body("{\"error\":\"there is no such page\"}\n");
}

Test(reply, to_head_says_only_how_long_it_would_be)
{
    struct reply reply = {.code = 200, .type = "text/plain", .body = span_of("hello", 5)};

    request.method = WEB_HEAD;
    make(&reply);
    assert_line("Content-Length: 5");
    assert_body("");
}

Test(reply, is_304_for_who_has_it)
{
    struct reply reply = {.code = 200,
                          .cache = REPLY_REVALIDATE,
                          .varies = true,
                          .type = "text/plain",
                          .etag = "\"e\"",
                          .body = span_of("hello", 5)};

    request.if_none_match = span_of("\"other\"", 7);
    reply_revalidate(&reply, &request);
    cr_assert_eq(reply.code, 200);
    request.if_none_match = span_of("\"e\"", 3);
    reply_revalidate(&reply, &request);
    cr_assert_eq(reply.code, 304);
    make(&reply);
    assert_line("ETag: \"e\"");
    assert_line("Vary: Accept-Encoding");
    assert_line("Cache-Control: no-cache");
    cr_assert_null(strstr(text, "Content-Length"), "RFC 9110 §15.4.5");
    assert_body("");
}

Test(reply, keeps_browsers_safe)
{
    struct reply reply = {.code = 200, .type = "text/html", .body = span_of("x", 1)};

    make(&reply);
    assert_line("X-Content-Type-Options: nosniff");
    assert_line("Referrer-Policy: same-origin");
    cr_assert_not_null(strstr(text, "frame-ancestors 'none'"));
    cr_assert_not_null(strstr(text, "script-src 'self'; style-src 'self'"));
    cr_assert_null(strstr(text, "unsafe"));
    cr_assert_null(strstr(text, "Strict-Transport-Security"), "it means nothing in the clear");
    request.is_secure = true;
    make(&reply);
    assert_line("Strict-Transport-Security: max-age=31536000");
    reply.trust = REPLY_USERS;
    make(&reply);
    assert_line("X-Content-Type-Options: nosniff");
    cr_assert_null(strstr(text, "Content-Security-Policy"), "the user's pages are his");
}

Test(reply, redirects_only_to_paths_of_plain_letters)
{
    struct reply reply;
    char long_path[REPLY_EXTRA_BYTES];

    cr_assert(reply_redirect(&reply, "/admin"));
    make(&reply);
    cr_assert_eq(strncmp(text, "HTTP/1.1 308 ", 13), 0);
    assert_line("Location: /admin/");
    assert_line("Content-Length: 0");
    cr_assert_not(reply_redirect(&reply, "/a\r\nSet-Cookie: x"));
    cr_assert_not(reply_redirect(&reply, "/\xc3\xa9"));
    memset(long_path, 'a', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    cr_assert_not(reply_redirect(&reply, long_path));
}

Test(reply, takes_a_body_that_was_written_in_place)
{
    struct reply reply = {.code = 200, .type = "text/plain"};
    struct body body = body_of(&account);

    body_put_text(&body, "hello");
    take(reply_finish(&body, &reply, &request, 0));
    assert_line("Content-Length: 5");
    assert_body("hello");
    body_put_text(&body, "hello");
    request.method = WEB_HEAD;
    take(reply_finish(&body, &reply, &request, 0));
    assert_line("Content-Length: 5");
    assert_body("");
    account.fail_at = 1;
    body_put_text(&body, "hello");
    cr_assert_null(reply_finish(&body, &reply, &request, 0));
    cr_assert(account_is_empty());
}
