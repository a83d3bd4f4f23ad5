/*
 * core/shard_thread.c — a dedicated router thread: one shard, and where it sleeps.
 *
 * Thread: the router thread (threads.router > 0). Blocks in park() only.
 */
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "core/shard.h"

static uint64_t read_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* threads.spin: keep looking for that long before sleeping. Returns: is there mail? */
static bool spin(const struct shard *shard)
{
    uint64_t spin_ns = (uint64_t)shard->config->spin_us * 1000;
    uint64_t end_ns = spin_ns ? read_clock_ns() + spin_ns : 0;

    while (spin_ns > 0 && read_clock_ns() < end_ns)
        if (port_has_mail(shard->port))
            return true;
    return false;
}

/* Sleep until somebody pushes to us; or, while a receiver's lane is full, for a moment: it does
 * not tell us when there is room again. */
static void park(struct shard *shard, struct parker *parker)
{
    bool clear = port_is_clear(shard->port);
    uint64_t unused;

    if (clear && spin(shard))
        return;
    parker_prepare(parker);
    if (clear && port_has_mail(shard->port)) {
        parker_cancel(parker);
        return;
    }
    counter_add(&shard->stats[SHARD_STAT_SLEEPS], 1);
    struct pollfd wait = {.fd = parker->wake_fd, .events = POLLIN};
    int ready = poll(&wait, 1, clear ? -1 : 1);
    must(ready >= 0 || errno == EINTR);
    if (ready > 0) {
        ssize_t got = read(parker->wake_fd, &unused, sizeof(unused));
        must(got == sizeof(unused) || errno == EAGAIN || errno == EINTR);
    }
    parker_cancel(parker);
}

void *shard_main(void *argument)
{
    struct shard *shard = argument;
    struct parker *parker = shard->port->mesh->parkers[shard->port->index];

    while (!shard->stopped) {
        uint32_t handled_count = shard_turn(shard);

        (void)port_flush(shard->port); /* shard_turn asks again */
        if (handled_count == 0)
            park(shard, parker);
    }
    (void)port_flush(shard->port); /* the STOPPED; whatever else is left, nobody waits for */
    return NULL;
}
