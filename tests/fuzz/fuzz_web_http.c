/*
 * tests/fuzz/fuzz_web_http.c — any request, as the web actor reads it, and where it leads.
 *
 * Beyond not crashing: what is accepted has a path that leads nowhere but down, spans that lie
 * within the input, and one owner; the same request with bytes behind it has the same path.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/exact.h"
#include "webui/http.h"
#include "webui/routes.h"
#include "webui/sessions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_span(struct span span, const uint8_t *data, size_t bytes)
{
    if (span.bytes_count > 0)
        must(span.data >= data && span.data + span.bytes_count <= data + bytes);
}

static void check_path(const char *path)
{
    must(memchr(path, '\0', HTTP_PATH_BYTES));
    must(path[0] == '/');
    must(!strstr(path, "//"));
    must(!strstr(path, "/.."));
    must(!strstr(path, "/./"));
    for (const char *at = path; *at != '\0'; at++)
        must((uint8_t)*at >= 0x20 && *at != 0x7f);
}

static void check_route(const char *prefix, const char *path)
{
    struct route route = route_of(prefix, true, path);

    must(route.kind != ROUTE_NONE); /* there is a folder, so somebody has it */
    must(route.rest[0] != '/');
    must(route.rest[0] == '\0' || strstr(path, route.rest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct sessions sessions = {.timeout_ms = 1000};
    struct http_request request = {0};
    static struct exact exact;
    const uint8_t *copy = exact_copy(&exact, data, bytes);
    int code = http_parse(span_of(copy, bytes), &request);

    must(code == 0 || code == 400 || code == 404);
    if (code == 0) {
        check_path(request.path);
        check_span(request.query, copy, bytes);
        check_span(request.host, copy, bytes);
        check_span(request.origin, copy, bytes);
        check_span(request.session, copy, bytes);
        check_span(request.bearer, copy, bytes);
        check_span(request.if_none_match, copy, bytes);
        check_span(request.body, copy, bytes);
        check_route("/", request.path);
        check_route("/admin/", request.path);
        check_span(http_query_value(request.query, "ids"), copy, bytes);
        must(!sessions_find(&sessions, request.session, 0));
        (void)http_etag_matches(request.if_none_match, "\"e\"");
        (void)http_is_same_origin(&request);
    }
    exact_free(&exact);
    return 0;
}
