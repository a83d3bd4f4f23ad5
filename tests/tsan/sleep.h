/*
 * tests/tsan/sleep.h — how an actor of these programs sleeps: as those of the broker do.
 *
 * Thread: the actor's whose port it is. Nothing is kept.
 */
#pragma once

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "core/lane.h"
#include "core/mesh.h"

#define HANG_MS 20000 /* a wake-up or a message was lost: stop loudly */

/* Until there is mail for @port, which @parker wakes. */
static inline void sleep_until_mail(struct port *port, struct parker *parker)
{
    struct pollfd wait = {.fd = parker->wake_fd, .events = POLLIN};
    uint64_t unused;

    parker_prepare(parker);
    if (port_has_mail(port)) {
        parker_cancel(parker);
        return;
    }
    must(poll(&wait, 1, HANG_MS) == 1);
    ssize_t got = read(parker->wake_fd, &unused, sizeof(unused));
    must(got == sizeof(unused) || errno == EAGAIN);
    parker_cancel(parker);
}
