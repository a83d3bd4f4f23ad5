/*
 * net/listener.h — listening sockets: one for each address and I/O actor, sharing the port.
 *
 * The kernel spreads new connections over the sockets of a port (SO_REUSEPORT), so I/O actors
 * never hand connections to each other. No other process shares it: the first socket of an address
 * is opened as the only one of its port, so a second broker of the same user hears that it is
 * taken. A socket that the service manager keeps is only one: all I/O actors accept from it, and
 * who has got a connection is behind the others in the socket's line of waiters. Thread: main opens
 * them; each then belongs to a reactor.
 */
#pragma once

#include "core/config.h"
#include "core/must.h"

struct listener {
    int fd;                 /* -1 when closed */
    uint32_t address_bytes; /* length of a peer's address: sockaddr_in or sockaddr_in6 */
    bool tls;
};

#define LISTENER_ERROR_BYTES 256

/**
 * Open @count sockets (one for each I/O actor) for one configured address.
 *
 * *@port: the port to use, 0 for any; then the one the kernel chose.
 * Returns: STATUS_SYSTEM with the reason, and what to do, in @error; nothing is open then.
 */
MUST_CHECK enum status listener_open_all(const struct config_listener *config,
                                         struct listener *listeners, uint32_t count, uint16_t *port,
                                         char error[LISTENER_ERROR_BYTES]);

/**
 * The same for a socket that is bound and listening already: every actor gets a descriptor of it.
 *
 * Takes:   @fd, also on failure.
 * Returns: STATUS_SYSTEM with the reason in @error; nothing is open then.
 */
MUST_CHECK enum status listener_share_all(const struct config_listener *config, int fd,
                                          struct listener *listeners, uint32_t count,
                                          uint16_t *port, char error[LISTENER_ERROR_BYTES]);
