/*
 * net/http_head.h — the HTTP request by which every connection begins.
 *
 * Pure: bytes in, struct out. The head is judged when it is whole, by Debian's http-parser. What is
 * gathered is what an I/O actor decides by; everything else about a page is the web actor's.
 * Source: SMQ protocol §2.1 and §2.2; RFC 9112 (HTTP/1.1); RFC 6455 §4.2.1 (the upgrade).
 */
#pragma once

#include "core/must.h"

#define HTTP_PATH_BYTES_MAX 255u
#define HTTP_HOST_BYTES_MAX 255u
#define HTTP_WS_KEY_BYTES   24u /* 16 random bytes in base64 */

struct http_head {
    char path[HTTP_PATH_BYTES_MAX + 1]; /* without the query */
    char host[HTTP_HOST_BYTES_MAX + 1]; /* "" when absent, or when it does not fit */
    char origin[HTTP_HOST_BYTES_MAX + 8 + 1];
    char ws_key[HTTP_WS_KEY_BYTES + 1]; /* "" when it is no such key */
    char ws_version[4];
    bool is_get;
    bool is_1_1;         /* HTTP/1.1, else 1.0 */
    bool keeps_alive;    /* another request may follow */
    bool is_smq;         /* "SimpleMQ" is there */
    bool wants_response; /* "SendSmqHttpResponse: true" */
    bool wants_ws;       /* "Connection: upgrade" and "Upgrade: websocket" */
    bool has_coding;     /* "Transfer-Encoding": where the body ends is another question */
    bool expects_100;    /* its sender waits for "100 Continue" before the body */
    bool has_origin;
    uint64_t body_bytes; /* Content-Length; 0 when there is none */
    size_t head_bytes;   /* blank line included; what follows is a body, frames, or the next one */
};

enum http_head_result {
    HTTP_HEAD_DONE,
    HTTP_HEAD_NEED_MORE,     /* no blank line yet */
    HTTP_HEAD_BAD,           /* not HTTP: 400 */
    HTTP_HEAD_TOO_LONG,      /* no blank line within LIMIT_HTTP_HEAD_BYTES: 431 */
    HTTP_HEAD_PATH_TOO_LONG, /* 414 */
};

/* @seen_bytes: how much of @input was searched before, in vain. */
enum http_head_result http_head_parse(struct span input, size_t seen_bytes, struct http_head *head);

/* A whole answer that closes the connection. Static.
 * 400, 403, 404, 405, 408, 411, 413, 414, 426, 431, 503. */
const char *http_refusal(int code);
