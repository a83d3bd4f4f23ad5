/*
 * webui/assets.h — the pages that are part of the program: made by webui/embed.py at build time.
 * Constant: any thread.
 */
#pragma once

#include "core/must.h"

/* The same bytes in one coding. */
struct asset_form {
    const uint8_t *bytes; /* NULL: not there in this coding */
    uint32_t bytes_count;
    const char *etag; /* with its quotes; of this form */
};

struct asset {
    const char *path; /* below the UI's prefix: "index.html", "led/index.html" */
    const char *type; /* Content-Type */
    struct asset_form plain;
    struct asset_form gzip; /* where it is smaller */
};

/* Sorted by path, as bytes. */
struct assets {
    const struct asset *at;
    uint32_t count;
};

extern const struct assets embedded_assets;

/* NULL: there is none. */
const struct asset *asset_find(const struct assets *assets, const char *path);
