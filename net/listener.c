/* net/listener.c — see net/listener.h. Thread: main, before the start. */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/limits.h"

/* A uring is torn down asynchronously: the port of a broker that just ended may be busy for a
 * moment in spite of SO_REUSEADDR. */
#define BIND_TRIES    20
#define BIND_PAUSE_NS 100000000

/* Dead peers behind a silent line: the kernel finds out in about two minutes. */
#define TCP_IDLE_S     60
#define TCP_INTERVAL_S 15
#define TCP_PROBES     4

static void set(int fd, int level, int option, int value)
{
    /* Best effort: a kernel without one of these serves as well, only later or slower. */
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

/* Inherited by every accepted socket. */
static void set_accepted_options(int fd)
{
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, TCP_IDLE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, TCP_INTERVAL_S);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, TCP_PROBES);
}

/* SO_REUSEADDR: old connections in TIME_WAIT do not hold the port. */
static void set_options(int fd, int family)
{
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_accepted_options(fd);
    if (family == AF_INET6)
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
}

/* SO_REUSEPORT also lets another process of the same user in, and half of our clients would be
 * its own. So only sockets that follow the first are born with it. The first, @is_first, must
 * have the port for itself, and gets it once it listens: from then on nobody else can be first, as
 * neither bind nor listen does beside a listening socket. Of two brokers that start together, both
 * may bind, and one may listen. */
static int open_once(const struct addrinfo *address, bool is_first)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

    if (fd < 0)
        return -1;
    set_options(fd, address->ai_family);
    if (!is_first)
        set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 &&
        listen(fd, LIMIT_LISTEN_BACKLOG) == 0) {
        set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        return fd;
    }
    int error_number = errno;
    close(fd);
    errno = error_number;
    return -1;
}

static int try_open(const struct addrinfo *address, bool is_first)
{
    int fd = open_once(address, is_first);

    for (int i = 1; i < BIND_TRIES && fd < 0 && errno == EADDRINUSE; i++) {
        nanosleep(&(struct timespec){.tv_nsec = BIND_PAUSE_NS}, NULL);
        fd = open_once(address, is_first);
    }
    return fd;
}

static void explain(const char *url, int error_number, char error[LISTENER_ERROR_BYTES])
{
    const char *advice = "";

    if (error_number == EADDRINUSE)
        advice = "; another program, or another address of ours, has that port: choose another one";
    else if (error_number == EACCES)
        advice = "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
    else if (error_number == EADDRNOTAVAIL)
        advice = "; this machine has no such address";
    snprintf(error, LISTENER_ERROR_BYTES, "cannot listen at %s: %s%s", url, strerror(error_number),
             advice);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 address = {.sin6_port = 0};
    socklen_t bytes = sizeof(address);

    must(getsockname(fd, (struct sockaddr *)&address, &bytes) == 0);
    return ntohs(address.sin6_port); /* at the same place in a sockaddr_in */
}

static void set_port(struct addrinfo *address, uint16_t port)
{
    ((struct sockaddr_in6 *)(void *)address->ai_addr)->sin6_port = htons(port);
}

enum status listener_open_all(const struct config_listener *config, struct listener *listeners,
                              uint32_t count, uint16_t *port, char error[LISTENER_ERROR_BYTES])
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    bool any = strcmp(config->host, "*") == 0;
    struct addrinfo *address;
    char service[8];

    snprintf(service, sizeof(service), "%u", *port);
    int result = getaddrinfo(any ? "::" : config->host, service, &hints, &address);
    if (result != 0) {
        snprintf(error, LISTENER_ERROR_BYTES, "cannot listen at %s: %s", config->url,
                 gai_strerror(result));
        return STATUS_SYSTEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        listeners[i] = (struct listener){.fd = try_open(address, i == 0),
                                         .address_bytes = address->ai_addrlen,
                                         .tls = config->tls};
        if (listeners[i].fd < 0) {
            explain(config->url, errno, error);
            while (i > 0)
                close(listeners[--i].fd);
            freeaddrinfo(address);
            return STATUS_SYSTEM;
        }
        *port = port_of(listeners[i].fd);
        set_port(address, *port);
    }
    freeaddrinfo(address);
    return STATUS_OK;
}

enum status listener_share_all(const struct config_listener *config, int fd,
                               struct listener *listeners, uint32_t count, uint16_t *port,
                               char error[LISTENER_ERROR_BYTES])
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t bytes = sizeof(address);

    must(getsockname(fd, (struct sockaddr *)&address, &bytes) == 0);
    set_accepted_options(fd);
    (void)listen(fd, LIMIT_LISTEN_BACKLOG); /* best effort: its backlog may be shorter */
    for (uint32_t i = 0; i < count; i++) {
        listeners[i] = (struct listener){.fd = i == 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0),
                                         .address_bytes = bytes,
                                         .tls = config->tls};
        if (listeners[i].fd < 0) {
            explain(config->url, errno, error);
            while (i > 0)
                close(listeners[--i].fd);
            return STATUS_SYSTEM;
        }
    }
    *port = port_of(fd);
    return STATUS_OK;
}
