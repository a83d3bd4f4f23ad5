/* webui/http.c — see webui/http.h. Pure. */
#include "webui/http.h"

#include <ctype.h>
#include <http_parser.h>
#include <string.h>
#include <strings.h>

/* -- spans -- */

static struct span trim(struct span span)
{
    while (span.bytes_count > 0 && (span.data[0] == ' ' || span.data[0] == '\t'))
        span = span_skip(span, 1);
    while (span.bytes_count > 0 &&
           (span.data[span.bytes_count - 1] == ' ' || span.data[span.bytes_count - 1] == '\t'))
        span.bytes_count--;
    return span;
}

/* Cut @rest at the first @separator; false: there was nothing left. */
static bool next_item(struct span *rest, char separator, struct span *item)
{
    if (rest->bytes_count == 0)
        return false;
    const uint8_t *end = memchr(rest->data, separator, rest->bytes_count);
    size_t length = end ? (size_t)(end - rest->data) : rest->bytes_count;

    *item = span_of(rest->data, length);
    *rest = span_skip(*rest, end ? length + 1 : length);
    return true;
}

static bool is_word(struct span span, const char *word)
{
    return span.bytes_count == strlen(word) &&
           strncasecmp((const char *)span.data, word, span.bytes_count) == 0;
}

/* @span without @prefix; empty when it does not begin with that. */
static struct span after(struct span span, const char *prefix)
{
    size_t length = strlen(prefix);

    if (span.bytes_count < length || strncasecmp((const char *)span.data, prefix, length) != 0)
        return span_of(NULL, 0);
    return span_skip(span, length);
}

/* -- header values -- */

/* One of Accept-Encoding's items, "gzip;q=0.5": is gzip good for it? */
static bool is_gzip(struct span item)
{
    struct span coding = {0};
    struct span parameter;

    if (!next_item(&item, ';', &coding))
        return false;
    coding = trim(coding);
    if (!is_word(coding, "gzip") && !is_word(coding, "*"))
        return false;
    while (next_item(&item, ';', &parameter)) {
        struct span q = after(trim(parameter), "q=");

        if (q.bytes_count == 0)
            continue;
        for (size_t i = 0; i < q.bytes_count; i++)
            if (q.data[i] >= '1' && q.data[i] <= '9')
                return true;
        return false; /* only zeros: it is not wanted */
    }
    return true;
}

static bool wants_gzip(struct span list)
{
    struct span item;

    while (next_item(&list, ',', &item))
        if (is_gzip(item))
            return true;
    return false;
}

static struct span session_of(struct span cookies)
{
    struct span cookie;

    while (next_item(&cookies, ';', &cookie)) {
        struct span value = after(trim(cookie), HTTP_COOKIE_NAME "=");

        if (value.bytes_count > 0)
            return value;
    }
    return span_of(NULL, 0);
}

static bool is_json_type(struct span type)
{
    struct span essence = {0};

    return next_item(&type, ';', &essence) && is_word(trim(essence), "application/json");
}

bool http_etag_matches(struct span list, const char *etag)
{
    struct span item;

    while (next_item(&list, ',', &item)) {
        struct span tag = trim(item);

        if (http_span_is(tag, "*") || http_span_is(tag, etag))
            return true;
        if (tag.bytes_count > 2 && tag.data[0] == 'W' && tag.data[1] == '/' &&
            http_span_is(span_skip(tag, 2), etag)) /* the comparison is the weak one */
            return true;
    }
    return false;
}

/* -- the path -- */

static int hex_digit(uint8_t byte)
{
    if (!isxdigit(byte))
        return -1;
    return isdigit(byte) ? byte - '0' : tolower(byte) - 'a' + 10;
}

/* A segment that would lead somewhere else, or that is a hidden file (RFC 8615 has one that is
 * not). */
static bool has_bad_segment(const char *path)
{
    static const char well_known[] = "/.well-known/";

    for (const char *at = path; *at != '\0'; at++) {
        if (at[0] != '/')
            continue;
        if (at[1] == '/' || (at[1] == '.' && strncmp(at, well_known, strlen(well_known)) != 0))
            return true;
    }
    return false;
}

static int decode_path(struct span raw, char out[HTTP_PATH_BYTES])
{
    size_t used = 0;

    for (size_t i = 0; i < raw.bytes_count; i++) {
        int byte = raw.data[i];

        if (byte == '%') {
            int high = i + 2 < raw.bytes_count ? hex_digit(raw.data[i + 1]) : -1;
            int low = i + 2 < raw.bytes_count ? hex_digit(raw.data[i + 2]) : -1;

            if (high < 0 || low < 0)
                return 400;
            byte = high * 16 + low;
            i += 2;
            if (byte == '/') /* not a separator for whoever wrote it */
                return 404;
        }
        if (byte < 0x20 || byte == 0x7f)
            return 400;
        if (used == HTTP_PATH_BYTES - 1)
            return 404;
        out[used++] = (char)byte;
    }
    out[used] = '\0';
    if (out[0] != '/')
        return 400;
    return has_bad_segment(out) ? 404 : 0;
}

/* "/path?query", or that of "http://host/path?query". */
static int take_target(struct span target, struct http_request *request)
{
    struct span rest = after(target, "http://");

    if (rest.bytes_count == 0)
        rest = after(target, "https://");
    if (rest.bytes_count > 0) {
        const uint8_t *slash = memchr(rest.data, '/', rest.bytes_count);

        target = slash ? span_skip(rest, (size_t)(slash - rest.data)) : span_of("/", 1);
    }
    const uint8_t *mark = memchr(target.data, '?', target.bytes_count);
    size_t path_bytes = mark ? (size_t)(mark - target.data) : target.bytes_count;

    if (mark)
        request->query = span_skip(target, path_bytes + 1);
    return decode_path(span_of(target.data, path_bytes), request->path);
}

struct span http_query_value(struct span query, const char *name)
{
    size_t length = strlen(name);
    struct span item;

    while (next_item(&query, '&', &item))
        if (item.bytes_count > length && memcmp(item.data, name, length) == 0 &&
            item.data[length] == '=')
            return span_skip(item, length + 1);
    return span_of(NULL, 0);
}

/* -- the head -- */

/* What the parser's callbacks gather. The input is in one piece, so a field or value comes in one
 * piece too, but for a value that is folded over lines: nobody sends those, so that is refused. */
struct gather {
    struct http_request *request;
    struct span target;
    struct span field;
    bool in_value;
    uint32_t host_count;
    bool is_folded;
};

static int on_url(http_parser *parser, const char *at, size_t length)
{
    struct gather *gather = parser->data;

    gather->target = span_of(at, length);
    return 0;
}

static int on_field(http_parser *parser, const char *at, size_t length)
{
    struct gather *gather = parser->data;

    gather->field = span_of(at, length);
    gather->in_value = false;
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t length)
{
    struct gather *gather = parser->data;
    struct http_request *request = gather->request;
    struct span value = trim(span_of(at, length));

    gather->is_folded |= gather->in_value;
    gather->in_value = true;
    if (is_word(gather->field, "Host")) {
        request->host = value;
        gather->host_count++;
    } else if (is_word(gather->field, "Origin")) {
        request->origin = value;
    } else if (is_word(gather->field, "Cookie")) {
        request->session = session_of(value);
    } else if (is_word(gather->field, "If-None-Match")) {
        request->if_none_match = value;
    } else if (is_word(gather->field, "Accept-Encoding")) {
        request->accepts_gzip = wants_gzip(value);
    } else if (is_word(gather->field, "Content-Type")) {
        request->is_json = is_json_type(value);
    } else if (is_word(gather->field, "X-Smqd")) {
        request->is_marked = http_span_is(value, "1");
    } else if (is_word(gather->field, "Authorization")) {
        request->bearer = trim(after(value, "Bearer "));
    }
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    (void)parser;
    return 1; /* the body is everything behind the head: the I/O actor has measured it */
}

static enum web_method method_of(unsigned method)
{
    if (method == HTTP_GET)
        return WEB_GET;
    if (method == HTTP_HEAD)
        return WEB_HEAD;
    return method == HTTP_POST ? WEB_POST : WEB_OTHER;
}

/* The length of the head, blank line included; 0: there is no end. */
static size_t head_length(struct span bytes)
{
    for (size_t i = 1; i < bytes.bytes_count; i++) {
        if (bytes.data[i] != '\n')
            continue;
        if (bytes.data[i - 1] == '\n' ||
            (i >= 2 && bytes.data[i - 1] == '\r' && bytes.data[i - 2] == '\n'))
            return i + 1;
    }
    return 0;
}

int http_parse(struct span bytes, struct http_request *request)
{
    static const http_parser_settings settings = {.on_url = on_url,
                                                  .on_header_field = on_field,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_headers_complete};
    struct gather gather = {.request = request};
    size_t head_bytes = head_length(bytes);
    http_parser parser;

    if (head_bytes == 0)
        return 400;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &gather;
    (void)http_parser_execute(&parser, &settings, (const char *)bytes.data, head_bytes);
    if (HTTP_PARSER_ERRNO(&parser) != HPE_OK || parser.http_major != 1 || gather.is_folded)
        return 400;
    if (gather.host_count > 1 || (gather.host_count == 0 && parser.http_minor >= 1))
        return 400; /* RFC 9112 §3.2 */
    request->method = method_of(parser.method);
    request->body = span_skip(bytes, head_bytes);
    return take_target(gather.target, request);
}

/* -- addresses -- */

bool http_is_loopback(const uint8_t ip[16])
{
    static const uint8_t v4[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t v6[16] = {[15] = 1};

    if (memcmp(ip, v4, sizeof(v4)) == 0)
        return ip[12] == 127;
    return memcmp(ip, v6, sizeof(v6)) == 0;
}

bool http_is_same_origin(const struct http_request *request)
{
    struct span host = after(request->origin, "https://");

    if (host.bytes_count == 0 && !request->is_secure)
        host = after(request->origin, "http://");
    return host.bytes_count > 0 && host.bytes_count == request->host.bytes_count &&
           strncasecmp((const char *)host.data, (const char *)request->host.data,
                       host.bytes_count) == 0;
}
