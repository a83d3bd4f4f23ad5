/* tls/ca_names.c — names that may stand in certificates, and those of this machine. Any thread. */
#include <arpa/inet.h>
#include <ctype.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls/ca.h"

bool tls_ca_name_is_address(const char *name)
{
    uint8_t bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* Labels of 1 to 63 letters, digits, dashes and underscores, parted by dots. */
static bool is_dns_name(const char *name)
{
    size_t label_bytes = 0;

    for (const char *at = name; *at; at++) {
        if (*at == '.') {
            if (label_bytes == 0)
                return false;
            label_bytes = 0;
        } else if (isalnum((unsigned char)*at) || *at == '_' || (*at == '-' && label_bytes > 0)) {
            if (++label_bytes > 63)
                return false;
        } else {
            return false;
        }
    }
    return label_bytes > 0;
}

bool tls_ca_server_name_is_good(const char *name)
{
    if (strlen(name) >= TLS_CA_NAME_BYTES)
        return false;
    if (tls_ca_name_is_address(name))
        return true;
    if (strncmp(name, "*.", 2) == 0)
        name += 2;
    return is_dns_name(name);
}

bool tls_ca_device_name_is_good(const char *name)
{
    size_t bytes = strlen(name);

    if (bytes == 0 || bytes > TLS_CA_DEVICE_BYTES || name[0] == '.' || name[0] == '-')
        return false;
    for (size_t i = 0; i < bytes; i++) {
        if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
            return false;
    }
    return true;
}

/* -- this machine -- */

struct names {
    char **items; /* TLS_CA_NAMES_MAX */
    size_t count;
};

static void add_name(struct names *names, const char *name)
{
    if (names->count == TLS_CA_NAMES_MAX || !tls_ca_server_name_is_good(name))
        return;
    for (size_t i = 0; i < names->count; i++) {
        if (strcasecmp(names->items[i], name) == 0)
            return;
    }
    names->items[names->count] = strdup(name);
    must(names->items[names->count]);
    names->count++;
}

static void add_address(struct names *names, const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN];
    const struct sockaddr_in6 *v6;

    if (!address)
        return;
    if (address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text,
                  sizeof(text));
        add_name(names, text);
    } else if (address->sa_family == AF_INET6) {
        v6 = (const struct sockaddr_in6 *)(const void *)address;
        if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
            return; /* means nothing without an interface, and changes with it */
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        add_name(names, text);
    }
}

void tls_ca_machine_names(char ***items, size_t *name_count)
{
    char host[TLS_CA_NAME_BYTES];
    struct ifaddrs *interfaces = NULL;
    struct names names = {calloc(TLS_CA_NAMES_MAX, sizeof(char *)), 0};

    must(names.items);
    add_name(&names, "localhost");
    if (gethostname(host, sizeof(host) - 1) == 0) {
        host[sizeof(host) - 1] = 0;
        add_name(&names, host);
    }
    add_name(&names, "127.0.0.1");
    add_name(&names, "::1");
    if (getifaddrs(&interfaces) == 0) {
        for (const struct ifaddrs *one = interfaces; one; one = one->ifa_next)
            add_address(&names, one->ifa_addr);
        freeifaddrs(interfaces);
    }
    *items = names.items;
    *name_count = names.count;
}

void tls_ca_names_free(char **names, size_t name_count)
{
    for (size_t i = 0; i < name_count; i++)
        free(names[i]);
    free(names);
}
