/* net/bootstrap.c — see net/bootstrap.h. Pure. */
#include "net/bootstrap.h"

#include <http_parser.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/limits.h"

const char bootstrap_accepted[] = "HTTP/1.1 200 OK\r\n"
                                  "SmqBroker: true\r\n"
                                  "Cache-Control: no-store\r\n"
                                  "\r\n";

#define REFUSAL(status, text)                                                                      \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"  \
    "smqd: " text "\n"

const char *bootstrap_refusal(int code)
{
    switch (code) {
    case 404:
        return REFUSAL("404 Not Found", "no broker at this path, or not an SMQ request");
    case 405:
        return REFUSAL("405 Method Not Allowed", "use GET");
    case 408:
        return REFUSAL("408 Request Timeout", "the request did not come in time");
    case 431:
        return REFUSAL("431 Request Header Fields Too Large", "the request head is too large");
    case 503:
        return REFUSAL("503 Service Unavailable", "no room for another connection");
    default:
        return REFUSAL("400 Bad Request", "this is not an HTTP request");
    }
}

/* What the parser's callbacks gather. */
struct gather {
    struct bootstrap *bootstrap;
    size_t path_bytes;
    bool path_too_long;
    char field[24]; /* the longest name we look for has 19 letters */
    size_t field_bytes;
    char value[32];
    size_t value_bytes;
    bool in_value;
};

/* Append, dropping what does not fit: such a name or value is none of ours. */
static size_t gather_text(char *out, size_t used, size_t room, const char *text, size_t length)
{
    for (size_t i = 0; i < length && used < room; i++)
        out[used++] = text[i];
    return used;
}

static void finish_header(struct gather *gather)
{
    struct bootstrap *bootstrap = gather->bootstrap;

    while (gather->value_bytes > 0 && (gather->value[gather->value_bytes - 1] == ' ' ||
                                       gather->value[gather->value_bytes - 1] == '\t'))
        gather->value_bytes--; /* the parser leaves white space behind a value */
    if (gather->field_bytes == 8 && strncasecmp(gather->field, "SimpleMQ", 8) == 0)
        bootstrap->is_smq = true;
    if (gather->field_bytes == 19 && strncasecmp(gather->field, "SendSmqHttpResponse", 19) == 0)
        bootstrap->wants_response =
            gather->value_bytes == 4 && strncasecmp(gather->value, "true", 4) == 0;
    gather->field_bytes = gather->value_bytes = 0;
}

static int on_url(http_parser *parser, const char *at, size_t length)
{
    struct gather *gather = parser->data;

    if (gather->path_bytes + length > LIMIT_HTTP_HEAD_BYTES)
        return 1;
    for (size_t i = 0; i < length; i++) {
        if (gather->path_bytes > BOOTSTRAP_PATH_BYTES_MAX)
            break;
        if (gather->path_bytes == BOOTSTRAP_PATH_BYTES_MAX)
            gather->path_too_long = true;
        else
            gather->bootstrap->path[gather->path_bytes] = at[i];
        gather->path_bytes++;
    }
    return 0;
}

static int on_field(http_parser *parser, const char *at, size_t length)
{
    struct gather *gather = parser->data;

    if (gather->in_value)
        finish_header(gather);
    gather->in_value = false;
    gather->field_bytes =
        gather_text(gather->field, gather->field_bytes, sizeof(gather->field), at, length);
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t length)
{
    struct gather *gather = parser->data;

    gather->in_value = true;
    gather->value_bytes =
        gather_text(gather->value, gather->value_bytes, sizeof(gather->value), at, length);
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    finish_header(parser->data);
    return 1; /* whatever follows is not an HTTP body */
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

enum bootstrap_result bootstrap_parse(struct span input, size_t seen_bytes,
                                      struct bootstrap *bootstrap, size_t *head_bytes)
{
    static const http_parser_settings settings = {.on_url = on_url,
                                                  .on_header_field = on_field,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_headers_complete};
    struct gather gather = {.bootstrap = bootstrap};
    http_parser parser;

    if (!may_become_http(input))
        return BOOTSTRAP_BAD;
    size_t end = find_head_end(input, seen_bytes);
    if (end == 0 || end > LIMIT_HTTP_HEAD_BYTES)
        return end > 0 || input.bytes_count >= LIMIT_HTTP_HEAD_BYTES ? BOOTSTRAP_TOO_LONG
                                                                     : BOOTSTRAP_NEED_MORE;
    memset(bootstrap, 0, sizeof(*bootstrap));
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &gather;
    (void)http_parser_execute(&parser, &settings, (const char *)input.data, end);
    if (HTTP_PARSER_ERRNO(&parser) != HPE_OK || parser.http_major != 1)
        return BOOTSTRAP_BAD;
    if (gather.path_too_long)
        return BOOTSTRAP_TOO_LONG;
    if (parser.method != HTTP_GET)
        return BOOTSTRAP_METHOD;
    bootstrap->path[strcspn(bootstrap->path, "?")] = '\0';
    *head_bytes = end;
    return BOOTSTRAP_DONE;
}
