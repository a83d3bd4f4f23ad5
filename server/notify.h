/*
 * server/notify.h — telling systemd how we are, without libsystemd.
 *
 * The protocol is one datagram of KEY=VALUE lines to the Unix socket that NOTIFY_SOCKET names
 * (sd_notify(3)); without that variable every call does nothing.
 *
 * Thread: main() and the control actor.
 */
#pragma once

#include "core/must.h"

/**
 * Send @state, for example "READY=1\nSTATUS=2 listeners".
 *
 * Returns: true when it was sent or nobody asked for it; false with errno set when the socket
 *          that was named does not take it. Worth a log line, never worth stopping for.
 * Cost:    three system calls; never blocks.
 */
bool notify_send(const char *state);

/* The same to the socket @address, which may be NULL: for tests, and for those who kept it. */
bool notify_send_to(const char *address, const char *state);

#define NOTIFY_READY    "READY=1"
#define NOTIFY_STOPPING "STOPPING=1"
