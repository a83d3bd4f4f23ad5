/*
 * server/control.h — the control actor: signals, the log, the admin socket, the orderly end.
 *
 * Thread: main. May block on anything short; nobody waits for it.
 */
#pragma once

#include "server/admin.h"

/* Block the signals control reads; before any thread is started. Returns the signalfd, or -1. */
int control_open_signals(void);

/**
 * Run until SIGTERM or SIGINT has been obeyed: the drain is over or its time is up.
 *
 * @broker must have been started; @admin answers on its socket meanwhile. Returns: true when every
 * actor stopped and can be joined; false when the time ran out or a second signal came: the process
 * should exit without them.
 */
MUST_CHECK bool control_run(struct broker *broker, struct admin *admin, int signal_fd,
                            struct log_writer *log);
