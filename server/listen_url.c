/*
 * server/listen_url.c — "tcp://[::1]:8080" into its parts.
 *
 * Pure but for the strings it gives. Names are not resolved here: that may take seconds and
 * belongs to the moment of listening.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/config_keys.h"
#include "server/config_parts.h"

#define HOST_BYTES_MAX 253 /* RFC 1035 §2.3.4 */
#define SCHEME_TCP     "tcp://"
#define SCHEME_TLS     "tls://"
#define EXAMPLES       "write for example tcp://127.0.0.1:8080, tcp://[::1]:8080 or tls://*:8883"

static bool refuse(char *reason, const char *what)
{
    snprintf(reason, CONFIG_REASON_BYTES, "%s; %s", what, EXAMPLES);
    return false;
}

/* @text is digits only, 0..65535. */
static bool parse_port(const char *text, uint16_t *port)
{
    unsigned value = 0;

    if (text[0] == '\0' || strlen(text) > 5)
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if (!isdigit((unsigned char)*at))
            return false;
        value = value * 10 + (unsigned)(*at - '0');
    }
    if (value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

/* An address of digits and dots must be a whole IPv4 one; anything else a host name. */
static bool host_is_good(const char *host)
{
    struct in_addr address;

    if (strcmp(host, "*") == 0)
        return true;
    if (host[0] == '\0' || host[0] == '-' || host[0] == '.')
        return false;
    if (host[strspn(host, "0123456789.")] == '\0')
        return inet_pton(AF_INET, host, &address) == 1;
    for (const char *at = host; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '.' && *at != '_')
            return false;
    return true;
}

/* Cut "HOST:PORT" or "[HOST]:PORT" in place. */
static bool split(char *address, char **host, char **port, char *reason)
{
    struct in6_addr ignored;

    if (address[0] == '[') {
        char *end = strchr(address, ']');

        if (!end)
            return refuse(reason, "the [ before the IPv6 address has no ]");
        *end = '\0';
        *host = address + 1;
        if (inet_pton(AF_INET6, *host, &ignored) != 1)
            return refuse(reason, "no IPv6 address between [ and ]");
        if (end[1] != ':')
            return refuse(reason, "the port is missing");
        *port = end + 2;
        return true;
    }

    char *colon = strrchr(address, ':');

    if (!colon)
        return refuse(reason, "the port is missing");
    *colon = '\0';
    *host = address;
    *port = colon + 1;
    if (strchr(address, ':'))
        return refuse(reason, "an IPv6 address needs [ and ] around it");
    if (!host_is_good(address))
        return refuse(reason, "no address, host name or * before the port");
    return true;
}

bool listen_url_parse(const char *url, struct config_listener *listener, char *reason)
{
    bool tls = strncmp(url, SCHEME_TLS, strlen(SCHEME_TLS)) == 0;
    char address[HOST_BYTES_MAX + 16];
    char *host = NULL;
    char *port_text = NULL;
    uint16_t port = 0;

    if (!tls && strncmp(url, SCHEME_TCP, strlen(SCHEME_TCP)) != 0)
        return refuse(reason, "the address does not begin with tcp:// or tls://");

    const char *rest = strstr(url, "//") + 2;

    if (strlen(rest) >= sizeof(address))
        return refuse(reason, "the address is too long");
    memcpy(address, rest, strlen(rest) + 1);
    if (strchr(address, '/') || strchr(address, '@'))
        return refuse(reason, "only an address and a port belong here (a broker's path is the "
                              "name of its instance)");
    if (!split(address, &host, &port_text, reason))
        return false;
    if (!parse_port(port_text, &port))
        return refuse(reason, "the port must be 0..65535 (0: the kernel chooses)");

    *listener = (struct config_listener){.url = strdup(url),
                                         .host = strdup(host),
                                         .port = port,
                                         .tls = tls};
    must(listener->url);
    must(listener->host);
    return true;
}
