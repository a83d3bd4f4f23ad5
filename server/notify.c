/*
 * server/notify.c — one datagram to the service manager.
 */
#include "server/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool notify_send_to(const char *address, const char *state)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    if (!address || address[0] == '\0')
        return true;

    size_t address_bytes = strlen(address);

    if ((address[0] != '/' && address[0] != '@') || address_bytes >= sizeof(to.sun_path)) {
        errno = EAFNOSUPPORT; /* vsock and the like: not for a program on this machine */
        return false;
    }
    memcpy(to.sun_path, address, address_bytes);
    if (address[0] == '@')
        to.sun_path[0] = '\0'; /* the abstract namespace: a name of exactly these bytes */

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return false;

    socklen_t to_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + address_bytes);
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, to_bytes);
    int error = errno;

    close(fd);
    errno = error;
    return sent >= 0;
}

bool notify_send(const char *state)
{
    return notify_send_to(getenv("NOTIFY_SOCKET"), state);
}
