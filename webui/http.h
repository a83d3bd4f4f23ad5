/*
 * webui/http.h — an HTTP request as the web actor sees it.
 *
 * Pure: bytes in, struct out; the spans borrow the bytes. The I/O actor has found head and body
 * whole and within their limits; everything is judged here all the same, by Debian's http-parser.
 * Source: RFC 9110 (semantics), RFC 9112 (HTTP/1.1).
 */
#pragma once

#include "core/must.h"

#define HTTP_PATH_BYTES  256u /* decoded, with its zero; the I/O actor refuses longer ones (414) */
#define HTTP_COOKIE_NAME "smqd_session"

enum web_method { WEB_GET, WEB_HEAD, WEB_POST, WEB_OTHER };

struct http_request {
    /* -- from the head and the body -- */
    enum web_method method;
    bool accepts_gzip;
    bool is_json;               /* Content-Type: application/json */
    bool is_marked;             /* X-Smqd: 1, which no form and no link can send */
    char path[HTTP_PATH_BYTES]; /* decoded: begins with '/'; no "." or ".." between slashes */
    struct span query;          /* without the '?', not decoded */
    struct span host;
    struct span origin;
    struct span session; /* the session cookie's value; empty: none */
    struct span bearer;  /* Authorization: Bearer … */
    struct span if_none_match;
    struct span body;

    /* -- from the envelope -- */
    uint8_t peer_ip[16];
    uint16_t listener_index;
    bool is_secure; /* came over TLS */
    bool keeps;     /* the connection may take another request */
};

/* Returns: 0, or the status code with which to refuse it: 400 or 404. */
int http_parse(struct span bytes, struct http_request *request);

/* Is @etag (with its quotes) in the list of an If-None-Match? */
MUST_CHECK bool http_etag_matches(struct span list, const char *etag);

/* The value of @name in a query, not decoded; its data is NULL when it is not there. */
struct span http_query_value(struct span query, const char *name);

/* 127.0.0.0/8 or ::1. @ip: IPv4 as ::ffff:a.b.c.d. */
MUST_CHECK bool http_is_loopback(const uint8_t ip[16]);

/* Is the page's origin ("https://name:port") the very host that was asked? A plain request may have
 * come through a proxy that speaks TLS for us; over TLS the page must have, too. */
MUST_CHECK bool http_is_same_origin(const struct http_request *request);

static inline bool http_span_is(struct span span, const char *text)
{
    size_t at = 0;

    while (at < span.bytes_count && text[at] != '\0' && span.data[at] == (uint8_t)text[at])
        at++;
    return at == span.bytes_count && text[at] == '\0';
}
