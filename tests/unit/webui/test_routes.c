/*
 * tests/unit/webui/test_routes.c — mirrors webui/routes.c.
 * Goal:   each path has one owner, whatever the UI's prefix.
 */
#include "webui/routes.h"

#include <criterion/criterion.h>

static void assert_route(const char *prefix, bool has_root, const char *path, enum route_kind kind,
                         const char *rest)
{
    struct route route = route_of(prefix, has_root, path);

    cr_assert_eq(route.kind, kind, "%s below %s: %d", path, prefix, route.kind);
    cr_assert_str_eq(route.rest, rest, "%s below %s", path, prefix);
}

Test(routes, put_a_slash_behind_the_prefix)
{
    char prefix[ROUTE_PREFIX_BYTES + 1];

    route_prefix("/", prefix);
    cr_assert_str_eq(prefix, "/");
    route_prefix("/admin", prefix);
    cr_assert_str_eq(prefix, "/admin/");
    route_prefix("/admin/", prefix);
    cr_assert_str_eq(prefix, "/admin/");
}

Test(routes, give_machines_their_paths_under_any_prefix)
{
    assert_route("/", false, "/metrics", ROUTE_METRICS, "");
    assert_route("/admin/", true, "/healthz", ROUTE_HEALTH, "");
    assert_route("/admin/", true, "/readyz", ROUTE_READY, "");
    assert_route("/admin/", false, "/metrics/", ROUTE_NONE, "");
}

Test(routes, give_the_api_and_the_pages_what_is_below_the_prefix)
{
    assert_route("/", false, "/", ROUTE_ASSET, "");
    assert_route("/", false, "/led/", ROUTE_ASSET, "led/");
    assert_route("/", false, "/api/stats", ROUTE_API, "stats");
    assert_route("/", false, "/api/", ROUTE_API, "");
    assert_route("/", false, "/api", ROUTE_ASSET, "api");
    assert_route("/a/b/", false, "/a/b/api/peers/1.2.3/tap", ROUTE_API, "peers/1.2.3/tap");
    assert_route("/a/b/", false, "/a/b/x.js", ROUTE_ASSET, "x.js");
    assert_route("/a/b/", false, "/a/b", ROUTE_REDIRECT, "");
    assert_route("/a/b/", false, "/a/bc", ROUTE_NONE, "");
    assert_route("/a/b/", false, "/a/", ROUTE_NONE, "");
}

Test(routes, serve_smq_js_where_the_original_does)
{
    assert_route("/admin/", true, "/rtl/smq.js", ROUTE_ASSET, "smq.js");
    assert_route("/", false, "/rtl/smq.mjs", ROUTE_ASSET, "smq.mjs");
    assert_route("/admin/", true, "/rtl/other.js", ROUTE_FILE, "rtl/other.js");
    assert_route("/admin/", false, "/rtl/", ROUTE_NONE, "");
}

Test(routes, give_the_rest_to_the_users_pages)
{
    assert_route("/admin/", true, "/", ROUTE_FILE, "");
    assert_route("/admin/", true, "/a/b.html", ROUTE_FILE, "a/b.html");
    assert_route("/admin/", true, "/admin", ROUTE_REDIRECT, "");
    assert_route("/admin/", true, "/api/stats", ROUTE_FILE, "api/stats");
    assert_route("/admin/", false, "/", ROUTE_NONE, "");
}
