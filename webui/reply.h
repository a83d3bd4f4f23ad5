/*
 * webui/reply.h — from what is to be said to one message with head and body.
 *
 * Every response has the headers that keep browsers safe; who builds a reply says only what
 * differs. Pure but for the message's memory. Thread: the web actor's. Source: RFC 9110, RFC 9111
 * (caching), RFC 6265bis (cookies), W3C CSP Level 3.
 */
#pragma once

#include "webui/body.h"
#include "webui/http.h"

enum reply_cache {
    REPLY_NO_STORE,   /* it is of this moment, or of this user */
    REPLY_REVALIDATE, /* keep it, and ask with its ETag each time */
};

/* Whose page is it? */
enum reply_trust {
    REPLY_OURS,  /* no script, style or frame but our own */
    REPLY_USERS, /* a page of the operator's: it may do what he likes */
};

#define REPLY_EXTRA_BYTES 384u

struct reply {
    int code;
    enum reply_cache cache;
    enum reply_trust trust;
    bool is_gzip;
    bool varies;      /* there is a gzip form and a plain one */
    const char *type; /* of the body; NULL: there is none */
    const char *etag; /* with its quotes; NULL: none */
    struct span body;
    const char *error; /* instead: a literal, the body is {"error":"…"}; no quotes in it */
    char extra[REPLY_EXTRA_BYTES]; /* more header lines, each with its CRLF */
};

/* "text", as JSON {"error":"text"}. */
struct reply reply_error(int code, const char *text);

/* Redirect to @path, with a slash behind it; false: it does not fit. */
MUST_CHECK bool reply_redirect(struct reply *reply, const char *path);

/* Add a header line to reply->extra. It must fit. */
void reply_header(struct reply *reply, const char *format, ...) PRINTF(2, 3);

/* If the request has this very thing already, make a 304 of a 200. */
void reply_revalidate(struct reply *reply, const struct http_request *request);

/**
 * The message to send.
 *
 * @now_s: CLOCK_REALTIME, for the Date.
 * Gives:  the message. NULL: no memory.
 */
MUST_CHECK struct msg *reply_message(struct mem *mem, const struct reply *reply,
                                     const struct http_request *request, int64_t now_s);

/* The same; the body is @body, which is taken, and not reply->body. */
MUST_CHECK struct msg *reply_finish(struct body *body, const struct reply *reply,
                                    const struct http_request *request, int64_t now_s);
