/*
 * tests/unit/webui/test_http.c — mirrors webui/http.c.
 * Goal:   a request is understood as the RFCs say, and a path cannot lead anywhere but down.
 * Method: whole requests as text.
 */
#include "webui/http.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

static struct http_request request;
static char text[8192];

static int parse(const char *head)
{
    snprintf(text, sizeof(text), "%s", head);
    request = (struct http_request){0};
    return http_parse(span_of(text, strlen(text)), &request);
}

static int get(const char *target)
{
    char head[4096];

    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    return parse(head);
}

/* A GET with these header lines. */
static void with(const char *headers)
{
    char head[4096];

    snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", headers);
    cr_assert_eq(parse(head), 0, "%s", headers);
}

static void assert_span(struct span span, const char *expected)
{
    cr_assert(http_span_is(span, expected), "%.*s, not %s", (int)span.bytes_count,
              (const char *)span.data, expected);
}

/* -- escapes -- */

Test(http, refuses_paths_that_lead_elsewhere)
{
    static const char *const paths[] = {
        "/..",         "/../etc/passwd", "/a/../b",        "/a/..",        "/./a", "/a/.",
        "/%2e%2e/etc", "/%2E%2E/",       "/a/%2e./b",      "/.%2e/",       "//a",  "/a//b",
        "/.git",       "/a/.htaccess",   "/..%2fetc",      "/a%2Fb",       "/%2e", "/...",
        "//",          "/.well-known",   "/.well-knownx/", "/a/%2e%2e%2f",
    };

    for (size_t i = 0; i < COUNT_OF(paths); i++)
        cr_assert_eq(get(paths[i]), 404, "%s", paths[i]);
    cr_assert_eq(get("/.well-known/x"), 0, "RFC 8615");
}

Test(http, refuses_paths_that_are_none)
{
    static const char *const paths[] = {"/%", "/%4", "/%zz", "/a%00b", "/%0a", "/a%0d%0ab", "/%7f"};

    for (size_t i = 0; i < COUNT_OF(paths); i++)
        cr_assert_eq(get(paths[i]), 400, "%s", paths[i]);
    cr_assert_eq(get("*"), 400);
    cr_assert_eq(get("a"), 400);
}

Test(http, refuses_a_path_longer_than_its_room)
{
    char path[HTTP_PATH_BYTES + 8];

    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[HTTP_PATH_BYTES - 1] = '\0';
    cr_assert_eq(get(path), 0);
    cr_assert_eq(strlen(request.path), HTTP_PATH_BYTES - 1);
    path[HTTP_PATH_BYTES - 1] = 'a';
    path[HTTP_PATH_BYTES] = '\0';
    cr_assert_eq(get(path), 404);
}

/* -- bad requests -- */

Test(http, refuses_what_is_no_request)
{
    cr_assert_eq(parse(""), 400);
    cr_assert_eq(parse("GET / HTTP/1.1\r\nHost: h\r\n"), 400, "no blank line");
    cr_assert_eq(parse("GET /\r\n\r\n"), 400, "HTTP/0.9");
    cr_assert_eq(parse("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 400);
    cr_assert_eq(parse("HTTP/1.1 200 OK\r\n\r\n"), 400);
    cr_assert_eq(parse("GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n"), 400);
}

Test(http, wants_one_host)
{
    cr_assert_eq(parse("GET / HTTP/1.1\r\n\r\n"), 400);
    cr_assert_eq(parse("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
    cr_assert_eq(parse("GET / HTTP/1.0\r\n\r\n"), 0);
}

Test(http, refuses_values_folded_over_lines)
{
    cr_assert_eq(parse("GET / HTTP/1.1\r\nHost: h\r\nCookie: a\r\n b\r\n\r\n"), 400);
}

/* -- what it says -- */

Test(http, tells_methods_apart)
{
    cr_assert_eq(parse("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    cr_assert_eq(request.method, WEB_GET);
    cr_assert_eq(parse("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    cr_assert_eq(request.method, WEB_HEAD);
    cr_assert_eq(parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"), 0);
    cr_assert_eq(request.method, WEB_POST);
    assert_span(request.body, "hi");
    cr_assert_eq(parse("DELETE / HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    cr_assert_eq(request.method, WEB_OTHER);
}

Test(http, decodes_the_path_and_leaves_the_query)
{
    cr_assert_eq(get("/a%20b/%C3%A9?x=%20&ids=1.2.3"), 0);
    cr_assert_str_eq(request.path, "/a b/\xc3\xa9");
    assert_span(request.query, "x=%20&ids=1.2.3");
    assert_span(http_query_value(request.query, "ids"), "1.2.3");
    cr_assert_null(http_query_value(request.query, "id").data);
    assert_span(http_query_value(span_of("a=&b=", 5), "b"), "");
    cr_assert_not_null(http_query_value(span_of("a=&b=", 5), "b").data);
    cr_assert_eq(get("/?"), 0);
    cr_assert_eq(request.query.bytes_count, 0);
}

Test(http, takes_a_whole_url)
{
    cr_assert_eq(get("http://h:80/a?b"), 0);
    cr_assert_str_eq(request.path, "/a");
    cr_assert_eq(get("https://h"), 0);
    cr_assert_str_eq(request.path, "/");
    cr_assert_eq(get("http://h/../a"), 404);
}

Test(http, knows_who_takes_gzip)
{
    static const char *const yes[] = {"gzip", "br, gzip", "GZIP;q=0.5", "*", "deflate , *;q=0.1"};
    static const char *const no[] = {"identity", "gzip;q=0", "gzip; q=0.000",
                                     "x-gzip2",  "",         "*;q=0"};
    char header[128];

    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        snprintf(header, sizeof(header), "Accept-Encoding: %s", yes[i]);
        with(header);
        cr_assert(request.accepts_gzip, "%s", header);
    }
    for (size_t i = 0; i < COUNT_OF(no); i++) {
        snprintf(header, sizeof(header), "Accept-Encoding: %s", no[i]);
        with(header);
        cr_assert_not(request.accepts_gzip, "%s", header);
    }
}

Test(http, finds_the_session_among_cookies)
{
    with("Cookie: a=b; smqd_session=cafe; c=d");
    assert_span(request.session, "cafe");
    with("Cookie: xsmqd_session=cafe");
    cr_assert_eq(request.session.bytes_count, 0);
    with("Cookie: smqd_session=");
    cr_assert_eq(request.session.bytes_count, 0);
}

Test(http, reads_the_other_headers)
{
    with("content-type: application/json; charset=utf-8\r\nX-Smqd: 1 \r\nAuthorization: bearer "
         "s3cret");
    cr_assert(request.is_json);
    cr_assert(request.is_marked);
    assert_span(request.bearer, "s3cret");
    with("Content-Type: text/plain\r\nX-Smqd: 0\r\nAuthorization: Basic eA==");
    cr_assert_not(request.is_json);
    cr_assert_not(request.is_marked);
    cr_assert_eq(request.bearer.bytes_count, 0);
    with("Content-Type: application/jsonx");
    cr_assert_not(request.is_json);
}

Test(http, compares_etags)
{
    const char *etag = "\"abc\"";

    cr_assert(http_etag_matches(span_of("\"x\", \"abc\"", 10), etag));
    cr_assert(http_etag_matches(span_of("W/\"abc\"", 7), etag));
    cr_assert(http_etag_matches(span_of("*", 1), etag));
    cr_assert_not(http_etag_matches(span_of("\"abcd\"", 6), etag));
    cr_assert_not(http_etag_matches(span_of("abc", 3), etag));
    cr_assert_not(http_etag_matches(span_of("", 0), etag));
}

Test(http, knows_this_machine)
{
    static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 9};
    static const uint8_t v6[16] = {[15] = 1};
    static const uint8_t other_v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 10};
    static const uint8_t other_v6[16] = {[12] = 127, [15] = 1};

    cr_assert(http_is_loopback(v4));
    cr_assert(http_is_loopback(v6));
    cr_assert_not(http_is_loopback(other_v4));
    cr_assert_not(http_is_loopback(other_v6));
}

Test(http, compares_a_pages_origin_with_the_host)
{
    cr_assert_eq(parse("GET / HTTP/1.1\r\nHost: h:81\r\nOrigin: http://H:81\r\n\r\n"), 0);
    cr_assert(http_is_same_origin(&request));
    request.is_secure = true;
    cr_assert_not(http_is_same_origin(&request), "the page came in the clear");
    cr_assert_eq(parse("GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://h\r\n\r\n"), 0);
    cr_assert(http_is_same_origin(&request), "through a proxy that speaks TLS");
    cr_assert_eq(parse("GET / HTTP/1.1\r\nHost: h\r\nOrigin: http://evil\r\n\r\n"), 0);
    cr_assert_not(http_is_same_origin(&request));
    with("Origin: null");
    cr_assert_not(http_is_same_origin(&request));
    with("X: y");
    cr_assert_not(http_is_same_origin(&request), "a browser would have sent one");
    cr_assert_eq(parse("GET / HTTP/1.0\r\nOrigin: http://\r\n\r\n"), 0);
    cr_assert_not(http_is_same_origin(&request), "nothing equals nothing");
}
