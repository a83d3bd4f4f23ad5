/*
 * cli/url.h — a broker's address: SCHEME://HOST[:PORT][/PATH].
 *
 * Pure: text in, struct out; no lookup, no allocation. Thread: any.
 */
#pragma once

#include <stddef.h>

#define URL_DEFAULT      "tcp://127.0.0.1:8080/smq.lsp"
#define URL_DEFAULT_PATH "/smq.lsp"

struct url {
    char scheme[16];
    char host[256]; /* an IPv6 address without its brackets */
    char port[6];   /* digits; empty when the text has none: the scheme knows */
    char path[1024];
};

/**
 * Read @text. Without "SCHEME://" it is tcp, without a path it is URL_DEFAULT_PATH.
 *
 * Returns: NULL, or what is wrong with @text, as a static text; @url is then unspecified.
 */
__attribute__((warn_unused_result)) const char *url_parse(const char *text, struct url *url);

/* The value of the HTTP Host header: host:port, in brackets where it must be. @room_bytes should
 * be at least URL_HOST_HEADER_BYTES. */
#define URL_HOST_HEADER_BYTES (sizeof(((struct url *)0)->host) + 10)
void url_host_header(const struct url *url, char *room, size_t room_bytes);
