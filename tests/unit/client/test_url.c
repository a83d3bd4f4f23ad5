/*
 * tests/unit/client/test_url.c — mirrors cli/url.c.
 *
 * Goal:   what people type as a broker's address is understood, or refused with a reason.
 * Method: tables of both kinds.
 */
#include "cli/url.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(url, refuses_what_is_no_address)
{
    static const char *const wrong[] = {
        "",
        "tcp://",
        "tcp:///smq.lsp",
        "tcp://:8080",
        "tcp://host:",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://host:123456",
        "tcp://host:80x/",
        "tcp://host:-1",
        "tcp://::1/smq.lsp",
        "tcp://[::1",
        "tcp://[::1]8080",
        "tcp://[]:8080",
        "tcp://user@host/",
        "tcp://host/a b",
        "tcp://host/a\r\nEvil: 1",
        "tcp://ho\tst/",
        "averylongschemename://host/",
    };
    struct url url;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_not_null(url_parse(wrong[i], &url), "'%s' was taken", wrong[i]);
}

Test(url, refuses_what_is_too_long)
{
    struct url url;
    char text[2048];

    snprintf(text, sizeof text, "tcp://%0*d/", (int)sizeof url.host, 0);
    cr_assert_not_null(url_parse(text, &url));
    snprintf(text, sizeof text, "tcp://%0*d/", (int)sizeof url.host - 1, 0);
    cr_assert_null(url_parse(text, &url));
    snprintf(text, sizeof text, "tcp://h/%0*d", (int)sizeof url.path - 1, 0);
    cr_assert_not_null(url_parse(text, &url));
    snprintf(text, sizeof text, "tcp://h/%0*d", (int)sizeof url.path - 2, 0);
    cr_assert_null(url_parse(text, &url));
}

Test(url, takes_an_address_apart)
{
    static const struct {
        const char *text;
        const char *scheme;
        const char *host;
        const char *port;
        const char *path;
    } right[] = {
        {"tcp://127.0.0.1:8080/smq.lsp", "tcp", "127.0.0.1", "8080", "/smq.lsp"},
        {"example.net", "tcp", "example.net", "", URL_DEFAULT_PATH},
        {"example.net:1", "tcp", "example.net", "1", URL_DEFAULT_PATH},
        {"http://example.net/", "http", "example.net", "", "/"},
        {"tcp://[::1]:65535/a/b?c=d:e", "tcp", "::1", "65535", "/a/b?c=d:e"},
        {"tcp://[fe80::1%25lo]", "tcp", "fe80::1%25lo", "", URL_DEFAULT_PATH},
    };

    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct url url;
        const char *wrong = url_parse(right[i].text, &url);

        cr_assert_null(wrong, "'%s': %s", right[i].text, wrong);
        cr_assert_str_eq(url.scheme, right[i].scheme);
        cr_assert_str_eq(url.host, right[i].host);
        cr_assert_str_eq(url.port, right[i].port);
        cr_assert_str_eq(url.path, right[i].path);
    }
}

Test(url, puts_an_ipv6_address_into_brackets_for_the_host_header)
{
    struct url url;
    char header[URL_HOST_HEADER_BYTES];

    cr_assert_null(url_parse("tcp://[::1]:8080", &url));
    url_host_header(&url, header, sizeof header);
    cr_assert_str_eq(header, "[::1]:8080");
    cr_assert_null(url_parse("tcp://example.net:8080", &url));
    url_host_header(&url, header, sizeof header);
    cr_assert_str_eq(header, "example.net:8080");
}
