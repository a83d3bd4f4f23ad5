/* webui/routes.c — see webui/routes.h. Pure. */
#include "webui/routes.h"

#include <stdio.h>
#include <string.h>

void route_prefix(const char *ui, char prefix[ROUTE_PREFIX_BYTES + 1])
{
    size_t length = strlen(ui);

    must(length >= 1 && length < ROUTE_PREFIX_BYTES); /* checked with the configuration */
    snprintf(prefix, ROUTE_PREFIX_BYTES + 1, "%s%s", ui, ui[length - 1] == '/' ? "" : "/");
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

struct route route_of(const char *prefix, bool has_root, const char *path)
{
    static const struct {
        const char *path;
        enum route_kind kind;
    } machines[] = {
        {"/metrics", ROUTE_METRICS},
        {"/healthz", ROUTE_HEALTH},
        {"/readyz", ROUTE_READY},
    };
    static const char rtl[] = "/rtl/";
    static const char api[] = "api/";
    size_t length = strlen(prefix);

    for (size_t i = 0; i < COUNT_OF(machines); i++)
        if (strcmp(path, machines[i].path) == 0)
            return (struct route){machines[i].kind, ""};
    if (begins_with(path, rtl) && begins_with(path + strlen(rtl), "smq."))
        return (struct route){ROUTE_ASSET, path + strlen(rtl)};
    if (begins_with(path, prefix)) {
        const char *rest = path + length;

        if (begins_with(rest, api))
            return (struct route){ROUTE_API, rest + strlen(api)};
        return (struct route){ROUTE_ASSET, rest};
    }
    if (strlen(path) == length - 1 && strncmp(path, prefix, length - 1) == 0)
        return (struct route){ROUTE_REDIRECT, ""};
    return has_root ? (struct route){ROUTE_FILE, path + 1} : (struct route){ROUTE_NONE, ""};
}
