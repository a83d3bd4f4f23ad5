/*
 * webui/pages.h — pages as messages: the embedded ones and those of web.root.
 *
 * A page that many browsers load is one message, shared by reference: what was made is kept for a
 * while (ANSWER_AGE_S, for its Date), in each form that was asked for. Files are looked at each
 * time, so a changed one is served changed; what is kept of them is bounded.
 *
 * Thread: the web actor's. Blocks only in reading a file of web.root.
 */
#pragma once

#include "webui/assets.h"
#include "webui/files.h"
#include "webui/reply.h"

#define ANSWER_AGE_S     10 /* the Date of a page may be so old */
#define KEPT_FILES_MAX   64u
#define KEPT_FILE_BYTES  (1u << 20) /* larger ones are read each time */
#define KEPT_BYTES_MAX   (4u << 20)
#define ASSET_FORM_COUNT 8u /* plain or gzip, over TLS or not, keep-alive or not */

struct kept_asset {
    struct msg *msgs[ASSET_FORM_COUNT];
    int64_t made_s[ASSET_FORM_COUNT];
};

struct kept_file {
    char path[HTTP_PATH_BYTES]; /* "": free */
    uint8_t form;
    struct file_facts facts;
    struct msg *msg;
    int64_t made_s;
    uint64_t used_at; /* of kept_clock; larger: later */
};

struct pages {
    struct mem *mem;
    const struct assets *assets;
    struct kept_asset *kept_assets; /* [assets->count] */
    int root_fd;                    /* web.root; -1: there is none */
    struct kept_file *kept_files;   /* [KEPT_FILES_MAX] when there is a root */
    size_t kept_bytes;
    uint64_t kept_clock;
};

/* @root_fd is the caller's, and must stay open. */
void pages_init(struct pages *pages, struct mem *mem, const struct assets *assets, int root_fd);
void pages_deinit(struct pages *pages);

/* Let go of everything that is kept: memory is tight. */
void pages_forget(struct pages *pages);

/**
 * The page at @rest (webui/routes.h), for a GET or HEAD.
 *
 * Gives:  *msg, the response: a 200, 304, 308, or an error. NULL: no memory.
 * Returns: its status code.
 */
int pages_asset(struct pages *pages, const char *rest, const struct http_request *request,
                int64_t now_s, struct msg **msg);
int pages_file(struct pages *pages, const char *rest, const struct http_request *request,
               int64_t now_s, struct msg **msg);
