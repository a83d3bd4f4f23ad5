/* webui/assets.c — see webui/assets.h. Any thread. */
#include "webui/assets.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *path, const void *asset)
{
    return strcmp(path, ((const struct asset *)asset)->path);
}

const struct asset *asset_find(const struct assets *assets, const char *path)
{
    return assets->count == 0
               ? NULL
               : bsearch(path, assets->at, assets->count, sizeof(*assets->at), compare);
}
