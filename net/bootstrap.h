/*
 * net/bootstrap.h — the HTTP request by which a connection says which broker it wants.
 *
 * Pure: bytes in, struct out. The head is judged when it is whole, by Debian's http-parser.
 * Source: SMQ protocol §2.1.
 */
#pragma once

#include "core/must.h"

#define BOOTSTRAP_PATH_BYTES_MAX 255u

struct bootstrap {
    char path[BOOTSTRAP_PATH_BYTES_MAX + 1]; /* without the query */
    bool is_smq;                             /* "SimpleMQ" is there */
    bool wants_response;                     /* "SendSmqHttpResponse: true" */
};

enum bootstrap_result {
    BOOTSTRAP_DONE,      /* *head_bytes were used; what follows is SMQ already */
    BOOTSTRAP_NEED_MORE, /* no blank line yet */
    BOOTSTRAP_BAD,       /* not HTTP: 400 */
    BOOTSTRAP_METHOD,    /* HTTP, but not GET: 405 */
    BOOTSTRAP_TOO_LONG,  /* no blank line within LIMIT_HTTP_HEAD_BYTES, or the path: 431 */
};

/* @seen_bytes: how much of @input was searched before, in vain. */
enum bootstrap_result bootstrap_parse(struct span input, size_t seen_bytes,
                                      struct bootstrap *bootstrap, size_t *head_bytes);

/* The answer for a client that asked for one, and those for requests that are not ours. Static. */
extern const char bootstrap_accepted[];
const char *bootstrap_refusal(int code); /* 400, 404, 405, 408, 431, 503 */
