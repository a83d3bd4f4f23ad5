/*
 * tests/unit/net/test_bootstrap.c — mirrors net/bootstrap.c.
 *
 * Goal:   only a GET for a path, with a SimpleMQ header, is taken for a device; what follows the
 *         blank line is left alone; the answer is the same however the head is cut.
 * Method: heads as devices, browsers and nonsense send them, whole and byte by byte.
 */
#include "net/bootstrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "core/limits.h"

static struct bootstrap bootstrap;
static size_t head_bytes;

static enum bootstrap_result parse(const char *text)
{
    head_bytes = 0;
    return bootstrap_parse(span_of(text, strlen(text)), 0, &bootstrap, &head_bytes);
}

/* Feed it byte by byte, from blocks that end where the bytes do. */
static enum bootstrap_result parse_in_pieces(const char *text, size_t piece_bytes)
{
    size_t seen_bytes = 0;

    for (;;) {
        size_t bytes_count = min_size(seen_bytes + piece_bytes, strlen(text));
        char *exact = malloc(bytes_count);

        cr_assert_not_null(exact);
        memcpy(exact, text, bytes_count);
        enum bootstrap_result result =
            bootstrap_parse(span_of(exact, bytes_count), seen_bytes, &bootstrap, &head_bytes);
        free(exact);
        if (result != BOOTSTRAP_NEED_MORE || bytes_count == strlen(text))
            return result;
        seen_bytes = bytes_count;
    }
}

static void assert_done(const char *text, const char *path, bool is_smq, bool wants_response)
{
    for (size_t piece_bytes = 1; piece_bytes <= strlen(text); piece_bytes++) {
        cr_assert_eq(parse_in_pieces(text, piece_bytes), BOOTSTRAP_DONE, "%s", text);
        cr_assert_str_eq(bootstrap.path, path);
        cr_assert_eq(bootstrap.is_smq, is_smq, "%s", text);
        cr_assert_eq(bootstrap.wants_response, wants_response, "%s", text);
    }
}

/* -- what is not for us -- */

Test(bootstrap, refuses_what_is_not_http_at_its_first_byte)
{
    cr_assert_eq(parse("\x16\x03\x01"), BOOTSTRAP_BAD, "a TLS client at a plain port");
    cr_assert_eq(parse("\r\nGET / HTTP/1.0\r\n\r\n"), BOOTSTRAP_BAD);
    cr_assert_eq(parse("get / HTTP/1.0\r\n\r\n"), BOOTSTRAP_BAD);
    cr_assert_eq(parse("G\n"), BOOTSTRAP_BAD);
}

Test(bootstrap, refuses_malformed_requests)
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
            cr_assert_eq(parse_in_pieces(heads[i], piece_bytes), BOOTSTRAP_BAD, "%s", heads[i]);
}

Test(bootstrap, refuses_other_methods)
{
    cr_assert_eq(parse("POST /a HTTP/1.0\r\n\r\n"), BOOTSTRAP_METHOD);
    cr_assert_eq(parse("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n"), BOOTSTRAP_METHOD);
    cr_assert_eq(parse("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), BOOTSTRAP_METHOD);
}

Test(bootstrap, waits_for_the_blank_line)
{
    cr_assert_eq(parse(""), BOOTSTRAP_NEED_MORE);
    cr_assert_eq(parse("G"), BOOTSTRAP_NEED_MORE);
    cr_assert_eq(parse("GET / HTTP/1.0\r\nSimpleMQ: 1\r\n"), BOOTSTRAP_NEED_MORE);
    cr_assert_eq(parse("GET / HTTP/1.0\r\nSimpleMQ: 1\r\n\r"), BOOTSTRAP_NEED_MORE);
}

/* A head of exactly @bytes_count bytes. */
static const char *head_of(size_t bytes_count)
{
    static char head[LIMIT_HTTP_HEAD_BYTES + 100];
    int used = snprintf(head, sizeof(head), "GET / HTTP/1.0\r\nSimpleMQ: ");

    memset(head + used, 'x', bytes_count - (size_t)used - 4);
    memcpy(head + bytes_count - 4, "\r\n\r\n", 5);
    return head;
}

Test(bootstrap, keeps_to_the_limit_of_a_head_exactly)
{
    for (size_t piece_bytes = 100; piece_bytes <= 5000; piece_bytes += 700) {
        cr_assert_eq(parse_in_pieces(head_of(LIMIT_HTTP_HEAD_BYTES), piece_bytes), BOOTSTRAP_DONE);
        cr_assert_eq(head_bytes, LIMIT_HTTP_HEAD_BYTES);
        cr_assert_eq(parse_in_pieces(head_of(LIMIT_HTTP_HEAD_BYTES + 1), piece_bytes),
                     BOOTSTRAP_TOO_LONG);
    }
}

Test(bootstrap, does_not_wait_beyond_the_limit)
{
    char *endless = strdup(head_of(LIMIT_HTTP_HEAD_BYTES + 10));

    cr_assert_not_null(endless);
    endless[LIMIT_HTTP_HEAD_BYTES] = '\0'; /* no end in sight */
    cr_assert_eq(parse(endless), BOOTSTRAP_TOO_LONG);
    endless[LIMIT_HTTP_HEAD_BYTES - 1] = '\0';
    cr_assert_eq(parse(endless), BOOTSTRAP_NEED_MORE);
    free(endless);
}

Test(bootstrap, keeps_to_the_limit_of_a_path_exactly)
{
    char head[600];
    char path[BOOTSTRAP_PATH_BYTES_MAX + 2] = "/";

    memset(path + 1, 'p', BOOTSTRAP_PATH_BYTES_MAX);
    snprintf(head, sizeof(head), "GET %s HTTP/1.0\r\n\r\n", path);
    cr_assert_eq(parse(head), BOOTSTRAP_TOO_LONG);
    path[BOOTSTRAP_PATH_BYTES_MAX] = '\0';
    snprintf(head, sizeof(head), "GET %s HTTP/1.0\r\n\r\n", path);
    cr_assert_eq(parse(head), BOOTSTRAP_DONE);
    cr_assert_str_eq(bootstrap.path, path);
}

Test(bootstrap, does_not_take_similar_headers_for_ours)
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

Test(bootstrap, wants_no_response_unless_it_says_true)
{
    static const char *const values[] = {"false", "1", "", "truely", "tru", "true or not, we do"};
    char head[200];

    for (size_t i = 0; i < COUNT_OF(values); i++) {
        snprintf(head, sizeof(head),
                 "GET /a HTTP/1.0\r\nSimpleMQ: 1\r\nSendSmqHttpResponse: %s\r\n\r\n", values[i]);
        assert_done(head, "/a", true, false);
    }
}

/* -- what is -- */

Test(bootstrap, takes_the_request_of_a_device)
{
    assert_done("GET /smq.lsp HTTP/1.0\r\nHost: example.net\r\nSimpleMQ: 1\r\n\r\n", "/smq.lsp",
                true, false);
    assert_done("GET /smq.lsp HTTP/1.1\r\nHost: x\r\nSendSmqHttpResponse: true\r\nSimpleMQ: 1\r\n"
                "User-Agent: a\r\n\r\n",
                "/smq.lsp", true, true);
}

Test(bootstrap, does_not_mind_the_case_of_headers)
{
    assert_done("GET /a HTTP/1.0\r\nsimplemq: 1\r\nSENDSMQHTTPRESPONSE: TRUE\r\n\r\n", "/a", true,
                true);
}

Test(bootstrap, takes_a_header_without_a_value)
{
    assert_done("GET /a HTTP/1.0\r\nSimpleMQ:\r\n\r\n", "/a", true, false);
    assert_done("GET /a HTTP/1.0\r\nA:\r\nSimpleMQ: \r\nB:\r\n\r\n", "/a", true, false);
}

Test(bootstrap, takes_lines_that_end_without_a_carriage_return)
{
    assert_done("GET /a HTTP/1.0\nSimpleMQ: 1\nSendSmqHttpResponse: true\n\n", "/a", true, true);
}

Test(bootstrap, leaves_the_query_out_of_the_path)
{
    assert_done("GET /a?token=/b?c HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n", "/a", true, false);
}

Test(bootstrap, takes_an_upgrade_for_an_ordinary_head)
{
    assert_done("GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                "/a", false, false);
    assert_done("GET /a HTTP/1.1\r\nContent-Length: 5\r\nSimpleMQ: 1\r\n\r\n", "/a", true, false);
}

Test(bootstrap, leaves_what_follows_the_head_alone)
{
    static const char text[] = "GET /a HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n\0\x12\x02...\n\n";

    cr_assert_eq(bootstrap_parse(span_of(text, sizeof(text)), 0, &bootstrap, &head_bytes),
                 BOOTSTRAP_DONE);
    cr_assert_eq(head_bytes, strlen(text));
}

Test(bootstrap, forgets_the_head_before)
{
    cr_assert_eq(parse(
                     "GET /long/path HTTP/1.0\r\nSimpleMQ: 1\r\nSendSmqHttpResponse: true\r\n\r\n"),
                 BOOTSTRAP_DONE);
    cr_assert_eq(parse("GET /a HTTP/1.0\r\n\r\n"), BOOTSTRAP_DONE);
    cr_assert_str_eq(bootstrap.path, "/a");
    cr_assert_not(bootstrap.is_smq);
    cr_assert_not(bootstrap.wants_response);
}

/* -- answers -- */

Test(bootstrap, answers_as_clients_expect)
{
    cr_assert_eq(strncmp(bootstrap_accepted, "HTTP/1.1 200 OK\r\n", 17), 0);
    cr_assert_not_null(strstr(bootstrap_accepted, "\r\nSmqBroker: true\r\n"));
    cr_assert_null(strcasestr(bootstrap_accepted, "Content-Length"));
    cr_assert_null(strcasestr(bootstrap_accepted, "chunked"));
    cr_assert_str_eq(bootstrap_accepted + strlen(bootstrap_accepted) - 4, "\r\n\r\n");
}

Test(bootstrap, has_a_refusal_for_each_code)
{
    static const int codes[] = {400, 404, 405, 408, 431, 503};
    char begin[20];

    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        const char *answer = bootstrap_refusal(codes[i]);

        snprintf(begin, sizeof(begin), "HTTP/1.1 %d ", codes[i]);
        cr_assert_eq(strncmp(answer, begin, strlen(begin)), 0);
        cr_assert_not_null(strstr(answer, "\r\nConnection: close\r\n"));
        cr_assert_not_null(strstr(answer, "\r\n\r\n"));
    }
}
