/*
 * server/admin.h — the Unix socket in the data dir: one line asks, JSON answers, then it closes.
 *
 *      "stats\n"  counters, gauges, limits and memory of every actor, at once
 *      "peers\n"  every connection; asked of the I/O actors, row by row
 *      "bans\n"   banned addresses
 *      "ban ADDRESS SECONDS\n", "lift ADDRESS\n"
 *
 * Only the owner of the data dir can open it (0600). Thread: control. Never blocks: an answer
 * waits in memory until its reader takes it.
 */
#pragma once

#include <poll.h>

#include "server/broker.h"

#define ADMIN_CLIENTS_MAX 8u
#define ADMIN_LINE_BYTES  128u
#define ADMIN_ERROR_BYTES BROKER_ERROR_BYTES

struct admin_client {
    int fd;           /* -1: free */
    uint64_t arrival; /* smaller: earlier */
    bool waits_for_rows;
    bool answered; /* close when all is written */
    uint32_t line_bytes;
    char line[ADMIN_LINE_BYTES];
    char *answer;
    size_t answer_bytes;
    size_t answer_capacity;
    size_t written_bytes;
};

struct admin {
    struct broker *broker;
    int listen_fd;
    char path[108]; /* sun_path */
    struct admin_client clients[ADMIN_CLIENTS_MAX];
    uint64_t arrival_count;
    struct admin_client *lister; /* whose LIST is under way; NULL: none */
    uint32_t rows_ends_missing;  /* I/O actors that have not finished it */
};

/* STATUS_SYSTEM with the reason in @error: the data dir cannot be used, or a broker uses it. */
MUST_CHECK enum status admin_init(struct admin *admin, struct broker *broker,
                                  char error[ADMIN_ERROR_BYTES]);
void admin_deinit(struct admin *admin);

/* Fill in what to poll; returns how many, at most ADMIN_CLIENTS_MAX + 1. */
uint32_t admin_poll_set(const struct admin *admin, struct pollfd *fds);

/* Act on what poll() said about them. */
void admin_handle(struct admin *admin, const struct pollfd *fds, uint32_t count);

/* ROWS or ROWS_END came from an I/O actor. Borrows the envelope. */
void admin_rows(struct admin *admin, const struct envelope *envelope);
