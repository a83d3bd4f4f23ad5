/* webui/reply.c — see webui/reply.h. Thread: the web actor's. */
#include "webui/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
    int code;
    const char *text;
} reasons[] = {
    {200, "OK"},
    {304, "Not Modified"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
};

static const char *reason_of(int code)
{
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (reasons[i].code == code)
            return reasons[i].text;
    must_never("a status code without its words");
}

void reply_header(struct reply *reply, const char *format, ...)
{
    size_t used = strlen(reply->extra);
    va_list arguments;

    va_start(arguments, format);
    int bytes_count =
        vsnprintf(reply->extra + used, sizeof(reply->extra) - used, format, arguments);
    va_end(arguments);
    must(bytes_count >= 0 && used + (size_t)bytes_count + 2 < sizeof(reply->extra));
    memcpy(reply->extra + used + bytes_count, "\r\n", 3);
}

struct reply reply_error(int code, const char *text)
{
    return (struct reply){.code = code, .type = "application/json", .error = text};
}

bool reply_redirect(struct reply *reply, const char *path)
{
    *reply = (struct reply){.code = 308};
    if (strlen(path) + sizeof("Location: /") + 2 >= sizeof(reply->extra))
        return false;
    for (const char *at = path; *at != '\0'; at++)
        if (*at <= ' ' || *at >= 127 || *at == '%')
            return false; /* it would have to be encoded again; nothing of ours is called so */
    reply_header(reply, "Location: %s/", path);
    return true;
}

void reply_revalidate(struct reply *reply, const struct http_request *request)
{
    if (reply->code == 200 && reply->etag && request->if_none_match.bytes_count > 0 &&
        http_etag_matches(request->if_none_match, reply->etag))
        reply->code = 304;
}

/* -- the head -- */

struct head {
    char text[BODY_HEAD_BYTES_MAX];
    size_t used;
};

static void put(struct head *head, const char *format, ...) PRINTF(2, 3);

static void put(struct head *head, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int bytes_count =
        vsnprintf(head->text + head->used, sizeof(head->text) - head->used, format, arguments);
    va_end(arguments);
    must(bytes_count >= 0 && head->used + (size_t)bytes_count < sizeof(head->text));
    head->used += (size_t)bytes_count;
}

static void put_date(struct head *head, int64_t now_s)
{
    char text[40];
    time_t time = (time_t)now_s;
    struct tm utc;

    must(gmtime_r(&time, &utc));
    must(strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &utc) > 0);
    put(head, "Date: %s\r\n", text);
}

static void put_safety(struct head *head, const struct reply *reply, bool is_secure)
{
    put(head, "X-Content-Type-Options: nosniff\r\n"
              "Referrer-Policy: same-origin\r\n");
    if (reply->trust == REPLY_OURS)
        put(head, "Content-Security-Policy: default-src 'none'; script-src 'self'; "
                  "style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
                  "manifest-src 'self'; form-action 'self'; base-uri 'none'; "
                  "frame-ancestors 'none'\r\n");
    if (is_secure)
        put(head, "Strict-Transport-Security: max-age=31536000\r\n");
}

static void put_head(struct head *head, const struct reply *reply, size_t body_bytes,
                     const struct http_request *request, int64_t now_s)
{
    head->used = 0;
    put(head, "HTTP/1.1 %d %s\r\n", reply->code, reason_of(reply->code));
    put_date(head, now_s);
    if (reply->code != 304) {
        put(head, "Content-Length: %zu\r\n", body_bytes);
        if (reply->type)
            put(head, "Content-Type: %s\r\n", reply->type);
        if (reply->is_gzip)
            put(head, "Content-Encoding: gzip\r\n");
    }
    if (reply->etag)
        put(head, "ETag: %s\r\n", reply->etag);
    if (reply->varies)
        put(head, "Vary: Accept-Encoding\r\n");
    put(head, "Cache-Control: %s\r\n", reply->cache == REPLY_NO_STORE ? "no-store" : "no-cache");
    put_safety(head, reply, request->is_secure);
    put(head, "%sConnection: %s\r\n\r\n", reply->extra, request->keeps ? "keep-alive" : "close");
}

/* HEAD says how long the body would be; a 304 has none. */
static bool has_body(const struct reply *reply, const struct http_request *request)
{
    return request->method != WEB_HEAD && reply->code != 304;
}

struct msg *reply_message(struct mem *mem, const struct reply *reply,
                          const struct http_request *request, int64_t now_s)
{
    struct span body = reply->body;
    char error[256];
    struct head head;

    if (reply->error) {
        int length = snprintf(error, sizeof(error), "{\"error\":\"%s\"}\n", reply->error);

        must(length > 0 && (size_t)length < sizeof(error));
        body = span_of(error, (size_t)length);
    }
    put_head(&head, reply, body.bytes_count, request, now_s);
    if (!has_body(reply, request))
        return msg_copy(mem, span_of(head.text, head.used));
    struct msg *msg = msg_new(mem, head.used + body.bytes_count);

    if (!msg)
        return NULL;
    memcpy(msg->bytes, head.text, head.used);
    if (body.bytes_count > 0)
        memcpy(msg->bytes + head.used, body.data, body.bytes_count);
    return msg;
}

struct msg *reply_finish(struct body *body, const struct reply *reply,
                         const struct http_request *request, int64_t now_s)
{
    struct head head;

    put_head(&head, reply, body_bytes(body), request, now_s);
    if (has_body(reply, request))
        return body_finish(body, span_of(head.text, head.used));
    bool failed = body->failed;

    body_drop(body);
    return failed ? NULL : msg_copy(body->mem, span_of(head.text, head.used));
}
