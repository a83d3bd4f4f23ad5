/*
 * tests/unit/net/test_http_head.c — mirrors net/http_head.c.
 *
 * Goal:   what a request wants is told apart: a device's session, a WebSocket, a page; what follows
 *         the blank line is left alone; the answer is the same however the head is cut.
 * Method: heads as devices, browsers and nonsense send them, whole and byte by byte.
 */
#include "net/http_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "core/limits.h"

static struct http_head head;
static enum http_head_result parse(const char *text)
{
    return http_head_parse(span_of(text, strlen(text)), 0, &head);
}

/* Feed it byte by byte, from blocks that end where the bytes do. */
static enum http_head_result parse_in_pieces(const char *text, size_t piece_bytes)
{
    size_t seen_bytes = 0;

    for (;;) {
        size_t bytes_count = min_size(seen_bytes + piece_bytes, strlen(text));
        char *exact = malloc(bytes_count);

        cr_assert_not_null(exact);
        memcpy(exact, text, bytes_count);
        enum http_head_result result =
            http_head_parse(span_of(exact, bytes_count), seen_bytes, &head);
        free(exact);
        if (result != HTTP_HEAD_NEED_MORE || bytes_count == strlen(text))
            return result;
        seen_bytes = bytes_count;
    }
}

static void assert_done(const char *text, const char *path, bool is_smq, bool wants_response)
{
    for (size_t piece_bytes = 1; piece_bytes <= strlen(text); piece_bytes++) {
        cr_assert_eq(parse_in_pieces(text, piece_bytes), HTTP_HEAD_DONE, "%s", text);
        cr_assert_str_eq(head.path, path);
        cr_assert_eq(head.is_smq, is_smq, "%s", text);
        cr_assert_eq(head.wants_response, wants_response, "%s", text);
    }
}

/* -- what is not for us -- */

Test(http_head, refuses_what_is_not_http_at_its_first_byte)
{
    cr_assert_eq(parse("\x16\x03\x01"), HTTP_HEAD_BAD, "a TLS client at a plain port");
    cr_assert_eq(parse("\r\nGET / HTTP/1.0\r\n\r\n"), HTTP_HEAD_BAD);
    cr_assert_eq(parse("get / HTTP/1.0\r\n\r\n"), HTTP_HEAD_BAD);
    cr_assert_eq(parse("G\n"), HTTP_HEAD_BAD);
}

Test(http_head, refuses_malformed_requests)
{
    static const char *const heads[] = {
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET noslash HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nno colon\r\n\r\n",
        "GET / HTTP/1.0\r\n: no name\r\n\r\n",
        "NONSENSE / HTTP/1.0\r\n\r\n",
    };

    for (size_t i = 0; i < COUNT_OF(heads); i++)
        for (size_t piece_bytes = 1; piece_bytes <= strlen(heads[i]); piece_bytes += 3)
            cr_assert_eq(parse_in_pieces(heads[i], piece_bytes), HTTP_HEAD_BAD, "%s", heads[i]);
}

Test(http_head, tells_get_from_other_methods)
{
    static const char *const others[] = {"POST /a HTTP/1.0\r\n\r\n",
                                         "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n",
                                         "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"};

    for (size_t i = 0; i < COUNT_OF(others); i++) {
        cr_assert_eq(parse(others[i]), HTTP_HEAD_DONE, "%s", others[i]);
        cr_assert_not(head.is_get);
    }
    cr_assert_eq(parse("GET /a HTTP/1.0\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert(head.is_get);
}

Test(http_head, waits_for_the_blank_line)
{
    cr_assert_eq(parse(""), HTTP_HEAD_NEED_MORE);
    cr_assert_eq(parse("G"), HTTP_HEAD_NEED_MORE);
    cr_assert_eq(parse("GET / HTTP/1.0\r\nSimpleMQ: 1\r\n"), HTTP_HEAD_NEED_MORE);
    cr_assert_eq(parse("GET / HTTP/1.0\r\nSimpleMQ: 1\r\n\r"), HTTP_HEAD_NEED_MORE);
}

/* A head of exactly @bytes_count bytes. */
static const char *head_of(size_t bytes_count)
{
    static char text[LIMIT_HTTP_HEAD_BYTES + 100];
    int used = snprintf(text, sizeof(text), "GET / HTTP/1.0\r\nSimpleMQ: ");

    memset(text + used, 'x', bytes_count - (size_t)used - 4);
    memcpy(text + bytes_count - 4, "\r\n\r\n", 5);
    return text;
}

Test(http_head, keeps_to_the_limit_of_a_head_exactly)
{
    for (size_t piece_bytes = 100; piece_bytes <= 5000; piece_bytes += 700) {
        cr_assert_eq(parse_in_pieces(head_of(LIMIT_HTTP_HEAD_BYTES), piece_bytes), HTTP_HEAD_DONE);
        cr_assert_eq(head.head_bytes, LIMIT_HTTP_HEAD_BYTES);
        cr_assert_eq(parse_in_pieces(head_of(LIMIT_HTTP_HEAD_BYTES + 1), piece_bytes),
                     HTTP_HEAD_TOO_LONG);
    }
}

Test(http_head, does_not_wait_beyond_the_limit)
{
    char *endless = strdup(head_of(LIMIT_HTTP_HEAD_BYTES + 10));

    cr_assert_not_null(endless);
    endless[LIMIT_HTTP_HEAD_BYTES] = '\0'; /* no end in sight */
    cr_assert_eq(parse(endless), HTTP_HEAD_TOO_LONG);
    endless[LIMIT_HTTP_HEAD_BYTES - 1] = '\0';
    cr_assert_eq(parse(endless), HTTP_HEAD_NEED_MORE);
    free(endless);
}

Test(http_head, keeps_to_the_limit_of_a_path_exactly)
{
    char text[600];
    char path[HTTP_PATH_BYTES_MAX + 2] = "/";

    memset(path + 1, 'p', HTTP_PATH_BYTES_MAX);
    snprintf(text, sizeof(text), "GET %s HTTP/1.0\r\n\r\n", path);
    cr_assert_eq(parse(text), HTTP_HEAD_PATH_TOO_LONG);
    path[HTTP_PATH_BYTES_MAX] = '\0';
    snprintf(text, sizeof(text), "GET %s?%s HTTP/1.0\r\n\r\n", path, path);
    cr_assert_eq(parse(text), HTTP_HEAD_DONE);
    cr_assert_str_eq(head.path, path);
}

Test(http_head, does_not_take_similar_headers_for_ours)
{
    assert_done("GET /a HTTP/1.0\r\nSimpleM: 1\r\nSimpleMQQ: 1\r\nX-SimpleMQ: 1\r\n\r\n", "/a",
                false, false);
    assert_done("GET /a HTTP/1.0\r\nX: SimpleMQ\r\nSendSmqHttpResponses: true\r\n\r\n", "/a", false,
                false);
    assert_done("GET /a HTTP/1.0\r\nSimpleMQ-and-a-very-long-rest-of-a-name: 1\r\n\r\n", "/a",
                false, false);
    assert_done("GET /a HTTP/1.0\r\nSendSmqHttpResponse-and-a-long-rest: true\r\n\r\n", "/a", false,
                false);
}

Test(http_head, wants_no_response_unless_it_says_true)
{
    static const char *const values[] = {"false", "1", "", "truely", "tru", "true or not, we do"};
    char text[200];

    for (size_t i = 0; i < COUNT_OF(values); i++) {
        snprintf(text, sizeof(text),
                 "GET /a HTTP/1.0\r\nSimpleMQ: 1\r\nSendSmqHttpResponse: %s\r\n\r\n", values[i]);
        assert_done(text, "/a", true, false);
    }
}

/* -- what is -- */

Test(http_head, takes_the_request_of_a_device)
{
    assert_done("GET /smq.lsp HTTP/1.0\r\nHost: example.net\r\nSimpleMQ: 1\r\n\r\n", "/smq.lsp",
                true, false);
    assert_done("GET /smq.lsp HTTP/1.1\r\nHost: x\r\nSendSmqHttpResponse: true\r\nSimpleMQ: 1\r\n"
                "User-Agent: a\r\n\r\n",
                "/smq.lsp", true, true);
}

Test(http_head, does_not_mind_the_case_of_headers)
{
    assert_done("GET /a HTTP/1.0\r\nsimplemq: 1\r\nSENDSMQHTTPRESPONSE: TRUE\r\n\r\n", "/a", true,
                true);
}

Test(http_head, takes_a_header_without_a_value)
{
    assert_done("GET /a HTTP/1.0\r\nSimpleMQ:\r\n\r\n", "/a", true, false);
    assert_done("GET /a HTTP/1.0\r\nA:\r\nSimpleMQ: \r\nB:\r\n\r\n", "/a", true, false);
}

Test(http_head, takes_lines_that_end_without_a_carriage_return)
{
    assert_done("GET /a HTTP/1.0\nSimpleMQ: 1\nSendSmqHttpResponse: true\n\n", "/a", true, true);
}

Test(http_head, leaves_the_query_out_of_the_path)
{
    assert_done("GET /a?token=/b?c HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n", "/a", true, false);
}

/* -- bodies and what follows -- */

Test(http_head, knows_how_long_a_body_is)
{
    static const char *const codings[] = {" chunked", " gzip", " chunked, identity", " x", ""};
    char text[128];

    cr_assert_eq(parse("GET /a HTTP/1.1\r\nContent-Length: 5\r\nSimpleMQ: 1\r\n\r\n"),
                 HTTP_HEAD_DONE);
    cr_assert_eq(head.body_bytes, 5);
    cr_assert_eq(parse("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n"),
                 HTTP_HEAD_BAD);
    cr_assert_eq(parse("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
                 HTTP_HEAD_BAD);
    for (size_t i = 0; i < COUNT_OF(codings); i++) {
        snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nTransfer-Encoding:%s\r\n\r\n", codings[i]);
        cr_assert_eq(parse(text), HTTP_HEAD_DONE, "%s", text);
        cr_assert(head.has_coding, "%s", text);
    }
    cr_assert_eq(parse("GET / HTTP/1.1\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert_eq(head.body_bytes, 0);
    cr_assert_not(head.has_coding);
}

Test(http_head, knows_who_waits_for_100_continue)
{
    cr_assert_eq(parse("POST / HTTP/1.1\r\nExpect: 100-Continue\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert(head.expects_100);
    cr_assert_eq(parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert_not(head.expects_100);
    cr_assert_eq(parse("POST / HTTP/1.1\r\nExpect: tea\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert_not(head.expects_100);
}

Test(http_head, refuses_blanks_in_the_name_of_a_header)
{
    cr_assert_eq(parse("GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n"), HTTP_HEAD_BAD);
    cr_assert_eq(parse("GET / HTTP/1.1\r\nContent Length: 5\r\n\r\n"), HTTP_HEAD_BAD);
    cr_assert_eq(parse("GET / HTTP/1.1\r\nX: 1\r\nSimpleMQ : 1\r\n\r\n"), HTTP_HEAD_BAD);
}

Test(http_head, knows_whether_another_request_may_follow)
{
    cr_assert_eq(parse("GET / HTTP/1.1\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert(head.keeps_alive && head.is_1_1);
    cr_assert_eq(parse("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert_not(head.keeps_alive);
    cr_assert_eq(parse("GET / HTTP/1.0\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert_not(head.keeps_alive || head.is_1_1);
    cr_assert_eq(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert(head.keeps_alive);
}

/* -- WebSocket -- */

#define UPGRADE_HEAD "GET /a HTTP/1.1\r\nHost: x:1\r\n"
#define WS_KEY       "dGhlIHNhbXBsZSBub25jZQ=="

Test(http_head, takes_an_upgrade_only_when_both_headers_say_so)
{
    assert_done(UPGRADE_HEAD "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "/a", false,
                false);
    cr_assert(head.wants_ws);
    cr_assert_eq(parse(UPGRADE_HEAD
                       "Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n\r\n"),
                 HTTP_HEAD_DONE);
    cr_assert(head.wants_ws);
    cr_assert_eq(parse(UPGRADE_HEAD "Upgrade: websocket\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert_not(head.wants_ws);
    cr_assert_eq(parse(UPGRADE_HEAD "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert_not(head.wants_ws);
}

Test(http_head, gives_the_parts_of_an_upgrade)
{
    cr_assert_eq(parse(UPGRADE_HEAD "Origin: https://x:1\r\nSec-WebSocket-Version: 13\r\n"
                                    "Sec-WebSocket-Key: " WS_KEY " \r\n\r\n"),
                 HTTP_HEAD_DONE);
    cr_assert_str_eq(head.host, "x:1");
    cr_assert(head.has_origin);
    cr_assert_str_eq(head.origin, "https://x:1");
    cr_assert_str_eq(head.ws_version, "13");
    cr_assert_str_eq(head.ws_key, WS_KEY);
}

Test(http_head, takes_no_key_that_is_not_sixteen_bytes)
{
    static const char *const keys[] = {"", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
                                       "dGhlIHNhbXBsZSBub25j=Q==", "dGhlIHNhbXBsZSBub25jZQab"};
    char text[200];

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        snprintf(text, sizeof(text), UPGRADE_HEAD "Sec-WebSocket-Key: %s\r\n\r\n", keys[i]);
        cr_assert_eq(parse(text), HTTP_HEAD_DONE);
        cr_assert_str_eq(head.ws_key, "", "%s", keys[i]);
    }
}

Test(http_head, drops_values_that_do_not_fit)
{
    static char text[2000];
    static char name[400];

    memset(name, 'n', sizeof(name) - 1);
    snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\n%s: 1\r\n\r\n", name,
             name, name);
    cr_assert_eq(parse(text), HTTP_HEAD_DONE);
    cr_assert_str_eq(head.host, "");
    cr_assert_str_eq(head.origin, "");
    cr_assert(head.has_origin, "and so it matches nothing");
}

Test(http_head, leaves_what_follows_the_head_alone)
{
    static const char text[] = "GET /a HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n\0\x12\x02...\n\n";

    cr_assert_eq(http_head_parse(span_of(text, sizeof(text)), 0, &head), HTTP_HEAD_DONE);
    cr_assert_eq(head.head_bytes, strlen(text));
}

Test(http_head, forgets_the_head_before)
{
    cr_assert_eq(parse(
                     "GET /long/path HTTP/1.0\r\nSimpleMQ: 1\r\nSendSmqHttpResponse: true\r\n\r\n"),
                 HTTP_HEAD_DONE);
    cr_assert_eq(parse("GET /a HTTP/1.0\r\n\r\n"), HTTP_HEAD_DONE);
    cr_assert_str_eq(head.path, "/a");
    cr_assert_not(head.is_smq);
    cr_assert_not(head.wants_response);
}

/* -- answers -- */

Test(http_head, has_a_refusal_for_each_code)
{
    static const int codes[] = {400, 403, 404, 405, 408, 411, 413, 414, 426, 431, 503};
    char begin[20];

    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        const char *answer = http_refusal(codes[i]);

        snprintf(begin, sizeof(begin), "HTTP/1.1 %d ", codes[i]);
        cr_assert_eq(strncmp(answer, begin, strlen(begin)), 0);
        cr_assert_not_null(strstr(answer, "\r\nConnection: close\r\n"));
        cr_assert_not_null(strstr(answer, "\r\n\r\n"));
    }
}
