/*
 * tests/unit/server/test_listen_url.c — mirrors server/listen_url.c.
 * Goal: every form of address is understood, and every wrong one is told what is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/config_keys.h"
#include "server/config_parts.h"

#include <criterion/criterion.h>

static char reason[CONFIG_REASON_BYTES];

static void assert_refused(const char *url, const char *words)
{
    struct config_listener listener = {.port = 4711};

    reason[0] = '\0';
    cr_assert_not(listen_url_parse(url, &listener, reason), "%s was taken", url);
    cr_assert_not_null(strstr(reason, words), "%s: \"%s\" does not say \"%s\"", url, reason, words);
    cr_assert_not_null(strstr(reason, "tcp://127.0.0.1:8080"), "%s: no example in it", reason);
    cr_assert_eq(listener.port, 4711, "untouched");
}

static void assert_taken(const char *url, const char *host, uint16_t port)
{
    struct config_listener listener;

    cr_assert(listen_url_parse(url, &listener, reason), "%s: %s", url, reason);
    cr_assert_str_eq(listener.url, url);
    cr_assert_str_eq(listener.host, host);
    cr_assert_eq(listener.port, port);
    cr_assert_eq(listener.tls, strncmp(url, "tls://", 6) == 0);
    free(listener.url);
    free(listener.host);
}

Test(listen_url, refuses_what_is_not_tcp)
{
    assert_refused("", "begin with tcp://");
    assert_refused("127.0.0.1:8080", "begin with tcp://");
    assert_refused("http://127.0.0.1:8080", "begin with tcp://");
    assert_refused("TCP://127.0.0.1:8080", "begin with tcp://");
    assert_refused("tcp:/127.0.0.1:8080", "begin with tcp://");
}

Test(listen_url, refuses_a_missing_or_wrong_port)
{
    assert_refused("tcp://127.0.0.1", "port is missing");
    assert_refused("tcp://[::1]", "port is missing");
    assert_refused("tcp://[::1]8080", "port is missing");
    assert_refused("tcp://127.0.0.1:", "port must be");
    assert_refused("tcp://127.0.0.1:65536", "port must be");
    assert_refused("tcp://127.0.0.1:99999999999999999999", "port must be");
    assert_refused("tcp://127.0.0.1:80a", "port must be");
    assert_refused("tcp://127.0.0.1:-1", "port must be");
    assert_refused("tcp://127.0.0.1: 80", "port must be");
    assert_refused("tcp://[::1]:", "port must be");
}

Test(listen_url, refuses_a_wrong_host)
{
    assert_refused("tcp://:8080", "before the port");
    assert_refused("tcp://256.0.0.1:8080", "before the port");
    assert_refused("tcp://1.2.3:8080", "before the port");
    assert_refused("tcp://-host:8080", "before the port");
    assert_refused("tcp://.host:8080", "before the port");
    assert_refused("tcp://ho st:8080", "before the port");
    assert_refused("tcp://::1:8080", "needs [ and ]");
    assert_refused("tcp://[::1:8080", "no ]");
    assert_refused("tcp://[]:8080", "no IPv6");
    assert_refused("tcp://[127.0.0.1]:8080", "no IPv6");
    assert_refused("tcp://[::g]:8080", "no IPv6");
}

Test(listen_url, refuses_what_belongs_elsewhere)
{
    assert_refused("tcp://127.0.0.1:8080/", "name of its instance");
    assert_refused("tcp://127.0.0.1:8080/smq.lsp", "name of its instance");
    assert_refused("tcp://me@127.0.0.1:8080", "only an address");
}

Test(listen_url, refuses_a_host_longer_than_names_can_be)
{
    char url[600];

    memcpy(url, "tcp://", 6);
    memset(url + 6, 'x', sizeof(url) - 7);
    url[sizeof(url) - 1] = '\0';
    assert_refused(url, "too long");
}

Test(listen_url, takes_every_form_of_address)
{
    assert_taken("tcp://127.0.0.1:8080", "127.0.0.1", 8080);
    assert_taken("tcp://0.0.0.0:1", "0.0.0.0", 1);
    assert_taken("tcp://[::1]:8080", "::1", 8080);
    assert_taken("tcp://[::]:65535", "::", 65535);
    assert_taken("tcp://[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4", 80);
    assert_taken("tcp://localhost:0", "localhost", 0);
    assert_taken("tcp://broker-1.example.net:8080", "broker-1.example.net", 8080);
    assert_taken("tcp://3com.example:8080", "3com.example", 8080);
    assert_taken("tcp://*:8080", "*", 8080);
    assert_taken("tls://[::1]:8883", "::1", 8883);
    assert_taken("tls://*:0", "*", 0);
}
