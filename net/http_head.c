/* net/http_head.c — see net/http_head.h. Pure. */
#include "net/http_head.h"

#include <http_parser.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/limits.h"

#define REFUSAL(status, headers, text)                                                             \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain; charset=utf-8\r\n" headers                   \
    "Connection: close\r\n\r\n"                                                                    \
    "smqd: " text "\n"

const char *http_refusal(int code)
{
    switch (code) {
    case 403:
        return REFUSAL("403 Forbidden", "", "pages of this origin may not connect here");
    case 404:
        return REFUSAL("404 Not Found", "", "no broker at this path, or not an SMQ request");
    case 405:
        return REFUSAL("405 Method Not Allowed", "Allow: GET\r\n", "use GET");
    case 408:
        return REFUSAL("408 Request Timeout", "", "the request did not come in time");
    case 411:
        return REFUSAL("411 Length Required", "", "send the body with a Content-Length");
    case 413:
        return REFUSAL("413 Content Too Large", "", "the request's body is too large");
    case 414:
        return REFUSAL("414 URI Too Long", "", "the path is too long");
    case 426:
        return REFUSAL("426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n",
                       "WebSocket version 13 is spoken here");
    case 431:
        return REFUSAL("431 Request Header Fields Too Large", "", "the request head is too large");
    case 503:
        return REFUSAL("503 Service Unavailable", "", "no room for another connection");
    default:
        return REFUSAL("400 Bad Request", "", "this is not an HTTP request");
    }
}

/* The headers we look at; a value goes where the row says, cut to fit or dropped. */
enum header {
    HEADER_OTHER = 0,
    HEADER_HOST,
    HEADER_ORIGIN,
    HEADER_SIMPLEMQ,
    HEADER_SEND_RESPONSE,
    HEADER_UPGRADE,
    HEADER_WS_KEY,
    HEADER_WS_VERSION,
    HEADER_TRANSFER_ENCODING,
    HEADER_EXPECT,
    HEADER_COUNT
};

static const char *const header_names[HEADER_COUNT] = {
    [HEADER_OTHER] = "",
    [HEADER_HOST] = "Host",
    [HEADER_ORIGIN] = "Origin",
    [HEADER_SIMPLEMQ] = "SimpleMQ",
    [HEADER_SEND_RESPONSE] = "SendSmqHttpResponse",
    [HEADER_UPGRADE] = "Upgrade",
    [HEADER_WS_KEY] = "Sec-WebSocket-Key",
    [HEADER_WS_VERSION] = "Sec-WebSocket-Version",
    [HEADER_TRANSFER_ENCODING] = "Transfer-Encoding",
    [HEADER_EXPECT] = "Expect",
};

/* What the parser's callbacks gather. Text that overflows keeps a length beyond its room. */
struct gather {
    struct http_head *head;
    size_t path_bytes;
    bool in_query;
    char field[24]; /* the longest name we look for has 21 letters */
    size_t field_bytes;
    char value[HTTP_HOST_BYTES_MAX + 8 + 1];
    size_t value_bytes;
    bool in_value;
    bool upgrades_to_ws;
};

static void gather_text(char *out, size_t *used, size_t room, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++, (*used)++)
        if (*used < room)
            out[*used] = text[i];
}

static enum header header_of(const struct gather *gather)
{
    for (int i = HEADER_HOST; i < HEADER_COUNT; i++)
        if (strlen(header_names[i]) == gather->field_bytes &&
            strncasecmp(header_names[i], gather->field, gather->field_bytes) == 0)
            return (enum header)i;
    return HEADER_OTHER;
}

/* The value, as a string, if it fits; else "". */
static void take_value(const struct gather *gather, char *out, size_t room)
{
    out[0] = '\0';
    if (gather->value_bytes >= room || memchr(gather->value, '\0', gather->value_bytes))
        return;
    memcpy(out, gather->value, gather->value_bytes);
    out[gather->value_bytes] = '\0';
}

static bool value_is(const struct gather *gather, const char *word)
{
    return gather->value_bytes == strlen(word) &&
           strncasecmp(gather->value, word, gather->value_bytes) == 0;
}

/* 22 letters of base64 and "==": 16 bytes. */
static bool is_ws_key(const struct gather *gather)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return gather->value_bytes == HTTP_WS_KEY_BYTES && strspn(gather->value, letters) == 22 &&
           memcmp(gather->value + 22, "==", 2) == 0;
}

static void finish_header(struct gather *gather)
{
    struct http_head *head = gather->head;

    if (gather->value_bytes < sizeof(gather->value)) {
        while (gather->value_bytes > 0 && (gather->value[gather->value_bytes - 1] == ' ' ||
                                           gather->value[gather->value_bytes - 1] == '\t'))
            gather->value_bytes--; /* the parser leaves white space behind a value */
        gather->value[gather->value_bytes] = '\0';
    }
    switch (header_of(gather)) {
    case HEADER_HOST:
        take_value(gather, head->host, sizeof(head->host));
        break;
    case HEADER_ORIGIN:
        head->has_origin = true;
        take_value(gather, head->origin, sizeof(head->origin));
        break;
    case HEADER_SIMPLEMQ:
        head->is_smq = true;
        break;
    case HEADER_SEND_RESPONSE:
        head->wants_response = value_is(gather, "true");
        break;
    case HEADER_UPGRADE:
        gather->upgrades_to_ws = value_is(gather, "websocket");
        break;
    case HEADER_WS_KEY:
        if (is_ws_key(gather))
            take_value(gather, head->ws_key, sizeof(head->ws_key));
        break;
    case HEADER_WS_VERSION:
        take_value(gather, head->ws_version, sizeof(head->ws_version));
        break;
    case HEADER_TRANSFER_ENCODING:
        head->has_coding = true;
        break;
    case HEADER_EXPECT:
        head->expects_100 = value_is(gather, "100-continue");
        break;
    case HEADER_OTHER:
    case HEADER_COUNT:
        break;
    }
    gather->field_bytes = gather->value_bytes = 0;
}

static int on_url(http_parser *parser, const char *at, size_t length)
{
    struct gather *gather = parser->data;

    for (size_t i = 0; i < length && !gather->in_query; i++) {
        if (at[i] == '?')
            gather->in_query = true;
        else
            gather_text(gather->head->path, &gather->path_bytes, HTTP_PATH_BYTES_MAX, at + i, 1);
    }
    return 0;
}

static int on_field(http_parser *parser, const char *at, size_t length)
{
    struct gather *gather = parser->data;

    if (memchr(at, ' ', length))
        return -1; /* RFC 9112 §5.1: others may read "Content-Length :" otherwise */
    if (gather->in_value)
        finish_header(gather);
    gather->in_value = false;
    gather_text(gather->field, &gather->field_bytes, sizeof(gather->field), at, length);
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t length)
{
    struct gather *gather = parser->data;

    gather->in_value = true;
    gather_text(gather->value, &gather->value_bytes, sizeof(gather->value), at, length);
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    finish_header(parser->data);
    return 1; /* whatever follows is not the parser's */
}

/* The length of the head, blank line included; 0: not there yet. */
static size_t find_head_end(struct span input, size_t seen_bytes)
{
    size_t from = seen_bytes > 3 ? seen_bytes - 3 : 0;

    for (size_t i = from; i < input.bytes_count; i++) {
        if (input.data[i] != '\n')
            continue;
        if (i >= 1 && input.data[i - 1] == '\n')
            return i + 1;
        if (i >= 2 && input.data[i - 1] == '\r' && input.data[i - 2] == '\n')
            return i + 1;
    }
    return 0;
}

/* Nonsense should not get to wait for a blank line that never comes. */
static bool may_become_http(struct span input)
{
    for (size_t i = 0; i < min_size(input.bytes_count, 3); i++)
        if (input.data[i] < 'A' || input.data[i] > 'Z')
            return false;
    return true;
}

enum http_head_result http_head_parse(struct span input, size_t seen_bytes, struct http_head *head)
{
    static const http_parser_settings settings = {.on_url = on_url,
                                                  .on_header_field = on_field,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_headers_complete};
    struct gather gather = {.head = head};
    http_parser parser;

    if (!may_become_http(input))
        return HTTP_HEAD_BAD;
    size_t end = find_head_end(input, seen_bytes);
    if (end == 0 || end > LIMIT_HTTP_HEAD_BYTES)
        return end > 0 || input.bytes_count >= LIMIT_HTTP_HEAD_BYTES ? HTTP_HEAD_TOO_LONG
                                                                     : HTTP_HEAD_NEED_MORE;
    memset(head, 0, sizeof(*head));
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &gather;
    (void)http_parser_execute(&parser, &settings, (const char *)input.data, end);
    if (HTTP_PARSER_ERRNO(&parser) != HPE_OK || parser.http_major != 1)
        return HTTP_HEAD_BAD;
    if (gather.path_bytes > HTTP_PATH_BYTES_MAX)
        return HTTP_HEAD_PATH_TOO_LONG;
    head->is_get = parser.method == HTTP_GET;
    head->is_1_1 = parser.http_minor >= 1;
    head->keeps_alive = http_should_keep_alive(&parser) != 0;
    head->wants_ws = gather.upgrades_to_ws && parser.flags & F_CONNECTION_UPGRADE;
    head->expects_100 &= head->is_1_1;
    head->body_bytes = parser.content_length == UINT64_MAX ? 0 : parser.content_length;
    head->head_bytes = end;
    return HTTP_HEAD_DONE;
}
