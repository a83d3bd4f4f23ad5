/* server/activation.c — see server/activation.h. */
#include "server/activation.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME_BYTES (INET6_ADDRSTRLEN + sizeof("[]:65535"))

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

static bool parse_number(const char *text, uint64_t *number)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false; /* strtoull would take a sign, or blanks */
    errno = 0;
    *number = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0;
}

static bool is_listening_tcp(int fd)
{
    int value;
    socklen_t bytes = sizeof(value);
    union address address = {.any.sa_family = AF_UNSPEC};
    socklen_t address_bytes = sizeof(address);

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &bytes) != 0 || value == 0)
        return false;
    bytes = sizeof(value);
    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &bytes) != 0 || value != IPPROTO_TCP)
        return false;
    return getsockname(fd, &address.any, &address_bytes) == 0 &&
           (address.any.sa_family == AF_INET || address.any.sa_family == AF_INET6);
}

static bool prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
           fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0;
}

enum status activation_read(struct activation *activation, const struct activation_words *words,
                            char error[ACTIVATION_ERROR_BYTES])
{
    uint64_t pid;
    uint64_t count;

    activation->fd_count = 0;
    if (!words->pid || !words->count)
        return STATUS_OK;
    if (!parse_number(words->pid, &pid) || pid != (uint64_t)getpid())
        return STATUS_OK; /* for a parent of ours, who forgot to tidy up */
    if (!parse_number(words->count, &count) || count > LIMIT_LISTENERS) {
        snprintf(error, ACTIVATION_ERROR_BYTES, "LISTEN_FDS=%.40s: 0..%u sockets can be passed",
                 words->count, LIMIT_LISTENERS);
        return STATUS_SYSTEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        int fd = words->first_fd + (int)i;

        if (!is_listening_tcp(fd) || !prepare(fd)) {
            snprintf(error, ACTIVATION_ERROR_BYTES,
                     "descriptor %d, passed by the service manager, is no listening TCP socket; "
                     "only ListenStream=ADDRESS:PORT fits in the .socket file",
                     fd);
            return STATUS_SYSTEM;
        }
        activation->fds[activation->fd_count++] = fd;
    }
    return STATUS_OK;
}

enum status activation_read_environment(struct activation *activation,
                                        char error[ACTIVATION_ERROR_BYTES])
{
    struct activation_words words = {.pid = getenv("LISTEN_PID"),
                                     .count = getenv("LISTEN_FDS"),
                                     .first_fd = ACTIVATION_FIRST_FD};
    enum status status = activation_read(activation, &words, error);

    (void)unsetenv("LISTEN_PID"); /* fails for bad names only */
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return status;
}

static void address_of(int fd, union address *address)
{
    socklen_t bytes = sizeof(*address);

    memset(address, 0, sizeof(*address));
    must(getsockname(fd, &address->any, &bytes) == 0);
}

/* Any address is any, in both families: "*" takes either. */
static bool is_any(const union address *address)
{
    return address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&address->ipv6.sin6_addr)
                                              : address->ipv4.sin_addr.s_addr == htonl(INADDR_ANY);
}

static uint16_t port_of(const union address *address)
{
    return ntohs(address->ipv6.sin6_port); /* at the same place in a sockaddr_in */
}

static bool same_host(const union address *bound, const struct sockaddr *wanted)
{
    if (bound->any.sa_family != wanted->sa_family)
        return false;
    if (wanted->sa_family == AF_INET)
        return bound->ipv4.sin_addr.s_addr ==
               ((const struct sockaddr_in *)(const void *)wanted)->sin_addr.s_addr;
    return wanted->sa_family == AF_INET6 &&
           memcmp(&bound->ipv6.sin6_addr,
                  &((const struct sockaddr_in6 *)(const void *)wanted)->sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

static int take(struct activation *activation, uint32_t index)
{
    int fd = activation->fds[index];

    activation->fds[index] = ACTIVATION_NONE;
    return fd;
}

/* @wanted NULL: any address. */
static int find_bound(struct activation *activation, const struct sockaddr *wanted, uint16_t port)
{
    for (uint32_t i = 0; i < activation->fd_count; i++) {
        union address bound;

        if (activation->fds[i] == ACTIVATION_NONE)
            continue;
        address_of(activation->fds[i], &bound);
        if (port_of(&bound) == port && (wanted ? same_host(&bound, wanted) : is_any(&bound)))
            return take(activation, i);
    }
    return ACTIVATION_NONE;
}

int activation_find(struct activation *activation, const struct config_listener *listener)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses;
    int fd = ACTIVATION_NONE;

    if (activation->fd_count == 0 || listener->port == 0)
        return ACTIVATION_NONE;
    if (strcmp(listener->host, "*") == 0)
        return find_bound(activation, NULL, listener->port);
    if (getaddrinfo(listener->host, NULL, &hints, &addresses) != 0)
        return ACTIVATION_NONE; /* opening one of our own will say why */
    for (struct addrinfo *at = addresses; at && fd == ACTIVATION_NONE; at = at->ai_next)
        fd = find_bound(activation, at->ai_addr, listener->port);
    freeaddrinfo(addresses);
    return fd;
}

static void name_of(int fd, char name[NAME_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    union address address;

    address_of(fd, &address);
    if (address.any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &address.ipv6.sin6_addr, host, sizeof(host)); /* it fits */
        snprintf(name, NAME_BYTES, "[%s]:%u", host, port_of(&address));
    } else {
        (void)inet_ntop(AF_INET, &address.ipv4.sin_addr, host, sizeof(host));
        snprintf(name, NAME_BYTES, "%s:%u", host, port_of(&address));
    }
}

enum status activation_finish(const struct activation *activation,
                              char error[ACTIVATION_ERROR_BYTES])
{
    for (uint32_t i = 0; i < activation->fd_count; i++) {
        char name[NAME_BYTES];

        if (activation->fds[i] == ACTIVATION_NONE)
            continue;
        name_of(activation->fds[i], name);
        snprintf(error, ACTIVATION_ERROR_BYTES,
                 "the service manager listens at %s, and the configuration does not: add it to "
                 "listen, once, or take it out of the .socket file",
                 name);
        return STATUS_SYSTEM;
    }
    return STATUS_OK;
}
