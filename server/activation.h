/*
 * server/activation.h — listening sockets that the service manager opened before us and keeps.
 *
 * With socket activation (sd_listen_fds(3), without libsystemd) the port stays open across a
 * restart: who connects meanwhile waits in the socket's queue instead of being refused. A socket
 * belongs to the configured address that it is bound to; tcp:// or tls:// is said there.
 *
 * Thread: main, before the start.
 */
#pragma once

#include "core/config.h"
#include "core/limits.h"
#include "core/must.h"

#define ACTIVATION_ERROR_BYTES 256
#define ACTIVATION_FIRST_FD    3 /* sd_listen_fds(3) */
#define ACTIVATION_NONE        (-1)

struct activation {
    int fds[LIMIT_LISTENERS]; /* ACTIVATION_NONE once somebody has taken it */
    uint32_t fd_count;
};

/* What the environment says about inherited sockets, as text; NULL where it says nothing. */
struct activation_words {
    const char *pid;   /* LISTEN_PID: whom they are for */
    const char *count; /* LISTEN_FDS */
    int first_fd;
};

/**
 * Take what was passed to this process: nothing at all is the ordinary case.
 *
 * Owns:    the sockets in @activation until activation_find() gives them away.
 * Returns: STATUS_SYSTEM with a reason in @error for a count that is none, or something passed
 *          that is no listening TCP socket. Close-on-exec is set, and O_NONBLOCK is not: io_uring
 *          would answer EAGAIN instead of waiting.
 */
MUST_CHECK enum status activation_read(struct activation *activation,
                                       const struct activation_words *words,
                                       char error[ACTIVATION_ERROR_BYTES]);

/* The same of the environment, whose words are removed: they are for us alone. */
MUST_CHECK enum status activation_read_environment(struct activation *activation,
                                                   char error[ACTIVATION_ERROR_BYTES]);

/**
 * The socket bound to what @listener asks for, which is the caller's then.
 *
 * Returns: ACTIVATION_NONE when there is none, also for port 0: that asks for a port of our own.
 */
MUST_CHECK int activation_find(struct activation *activation,
                               const struct config_listener *listener);

/* After all have been found: one that is left would have clients whom nobody accepts.
 * Returns: STATUS_SYSTEM with its address, and what to do, in @error. */
MUST_CHECK enum status activation_finish(const struct activation *activation,
                                         char error[ACTIVATION_ERROR_BYTES]);
