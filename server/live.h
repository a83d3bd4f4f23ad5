/*
 * server/live.h — the configuration while smqd runs: read again on SIGHUP.
 *
 *      file, command line
 *              │ live_read    the configuration of the start with what live keys say now;
 *              v              or why not, and all stays as it is
 *      the next configuration
 *              ├ live_adopt   limits that all actors share: quotas, guard, memory, the log's level
 *              └ a message    limits of an actor's own: I/O actors and web take it with RELOAD,
 *                             each at its turn
 *
 * A key that is not live keeps its value, and is named: "needs a restart". So what the next one
 * points to, its listeners, instances and texts, is the start's, which lives as long as the
 * process; a snapshot is plain data, freed with its message. Files that the configuration names
 * (accounts, certificates) are read again by others, with the paths of the start.
 *
 * Thread: main, as the control actor.
 */
#pragma once

#include "core/msg.h"
#include "server/config.h"

struct broker;

struct live {
    const struct options *options; /* the command line, which wins again */
    const struct config *boot;
    struct config now;           /* in force; borrows from @boot */
    struct config next;          /* as live_read made it */
    struct config_change change; /* from @now to @next; of the last reload, what needs a restart */
    uint64_t reloads_count;
    uint64_t failures_count;
    bool is_stale;             /* the last attempt failed: */
    struct config_error error; /* why */
};

/* @boot as it is in force, threads resolved. Keeps both. */
void live_init(struct live *live, const struct options *options, const struct config *boot);

enum live_read {
    LIVE_NO_FILE = 0, /* there is no --config */
    LIVE_READ,        /* live->next may be adopted */
    LIVE_UNREADABLE,  /* logged: the file cannot be opened; nobody else need wait for that */
    LIVE_BROKEN,      /* logged, with file and line: nothing at all should change */
};

MUST_CHECK enum live_read live_read(struct live *live);

/* live->next as a message for the actors; NULL: no memory, which is logged. */
MUST_CHECK struct msg *live_message(struct live *live, struct mem *mem);

/* live->next is not taken, as what else was read again is no good. Logged. */
void live_drop(struct live *live);

/* live->next is in force; RELOADs with the message must follow. */
void live_adopt(struct live *live, struct broker *broker);
