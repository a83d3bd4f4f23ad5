/* cli/url.c — reads a broker's address; see cli/url.h. Thread: any. */
#include "cli/url.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX 65535

/* Copy text[0..bytes_count) into @room with a terminator; false when it does not fit. */
static bool copy(char *room, size_t room_bytes, const char *text, size_t bytes_count)
{
    if (bytes_count >= room_bytes)
        return false;
    memcpy(room, text, bytes_count);
    room[bytes_count] = '\0';
    return true;
}

static const char *parse_port(const char *text, size_t bytes_count, struct url *url)
{
    static const char wrong[] = "the port must be a number from 1 to 65535";

    if (bytes_count == 0 || strspn(text, "0123456789") < bytes_count)
        return wrong;
    if (!copy(url->port, sizeof url->port, text, bytes_count))
        return wrong;
    int port = atoi(url->port);
    return port >= 1 && port <= PORT_MAX ? NULL : wrong;
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT, in text[0..bytes_count). */
static const char *parse_authority(const char *text, size_t bytes_count, struct url *url)
{
    const char *end = text + bytes_count;
    const char *host_end;

    if (memchr(text, '@', bytes_count) != NULL)
        return "a name or password does not belong into the URL: use --credentials";
    if (bytes_count > 0 && text[0] == '[') {
        text++;
        host_end = memchr(text, ']', (size_t)(end - text));
        if (host_end == NULL)
            return "the IPv6 address lacks its closing ']'";
    } else {
        host_end = memchr(text, ':', bytes_count);
        if (host_end == NULL)
            host_end = end;
        else if (memchr(host_end + 1, ':', (size_t)(end - host_end - 1)) != NULL)
            return "an IPv6 address needs brackets: tcp://[::1]:8080/smq.lsp";
    }
    if (host_end == text)
        return "there is no host in it";
    if (!copy(url->host, sizeof url->host, text, (size_t)(host_end - text)))
        return "the host is too long";

    const char *rest = host_end < end && *host_end == ']' ? host_end + 1 : host_end;
    if (rest == end)
        return NULL;
    if (*rest != ':')
        return "only ':PORT' may follow the host";
    return parse_port(rest + 1, (size_t)(end - rest - 1), url);
}

const char *url_parse(const char *text, struct url *url)
{
    const char *scheme_end = strstr(text, "://");
    const char *path;

    *url = (struct url){.scheme = "tcp", .path = URL_DEFAULT_PATH};
    for (const char *at = text; *at != '\0'; at++) {
        /* A line break here would let the text write HTTP headers of its own. */
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            return "blanks and control characters are not allowed in it";
    }
    if (scheme_end != NULL) {
        if (!copy(url->scheme, sizeof url->scheme, text, (size_t)(scheme_end - text)))
            return "the scheme (what stands before '://') is too long";
        text = scheme_end + strlen("://");
    }
    path = strchr(text, '/');
    if (path == NULL)
        path = text + strlen(text);
    else if (!copy(url->path, sizeof url->path, path, strlen(path)))
        return "the path is too long";
    return parse_authority(text, (size_t)(path - text), url);
}

void url_host_header(const struct url *url, char *room, size_t room_bytes)
{
    bool is_ipv6 = strchr(url->host, ':') != NULL;

    snprintf(room, room_bytes, is_ipv6 ? "[%s]:%s" : "%s:%s", url->host, url->port);
}
