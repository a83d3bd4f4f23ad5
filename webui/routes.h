/*
 * webui/routes.h — which part of the web actor a path belongs to. Pure.
 *
 *      /metrics /healthz /readyz   for machines, whatever the prefix
 *      /rtl/…                      smq.js, where pages of the original server look for it
 *      PREFIX api/…                the API
 *      PREFIX …                    the web UI, embedded
 *      anything else               a file of web.root
 */
#pragma once

#include "core/must.h"

#define ROUTE_PREFIX_BYTES 256u

enum route_kind {
    ROUTE_NONE,
    ROUTE_METRICS,
    ROUTE_HEALTH,
    ROUTE_READY,
    ROUTE_API,      /* rest: "stats", "peers/0.1.2/disconnect" */
    ROUTE_ASSET,    /* rest: "index.html", "led/", "" */
    ROUTE_FILE,     /* rest: "a/b.html", "" */
    ROUTE_REDIRECT, /* to the same path with a slash behind it */
};

struct route {
    enum route_kind kind;
    const char *rest; /* borrows the path */
};

/* web.ui as it is compared: with a slash at its end. */
void route_prefix(const char *ui, char prefix[ROUTE_PREFIX_BYTES + 1]);

/* @path: as http_parse() leaves it. @has_root: is web.root set? */
struct route route_of(const char *prefix, bool has_root, const char *path);
