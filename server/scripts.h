/*
 * server/scripts.h — the script actors of a broker: one for each instance with a script.
 *
 * Among the mesh's local hosts they come behind the web actor, in the order of their instances.
 * Thread: main, which is the control actor while they run.
 */
#pragma once

#include <pthread.h>

#include "core/limits.h"
#include "script/script.h"

struct broker;

struct scripts {
    uint32_t count;
    struct hooks *hooks; /* [instance_count]; NULL: no instance has a script */
    uint32_t first_host; /* mesh index of the first one */
    uint16_t instance_of[LIMIT_LOCALS];
    struct mem mems[LIMIT_LOCALS];
    struct parker parkers[LIMIT_LOCALS];
    struct script *actors[LIMIT_LOCALS];
    pthread_t threads[LIMIT_LOCALS];
    char *files[LIMIT_LOCALS]; /* borrowed from the configuration: what is watched */
};

/* How many instances have one; at most LIMIT_LOCALS less the web actor (server/config.c). */
void scripts_lay_out(struct scripts *scripts, const struct config *config, uint32_t first_host);

/* Accounts and parkers into the mesh's arrays, by mesh index. */
MUST_CHECK enum status scripts_lay_out_actors(struct scripts *scripts, struct mem_budget *budget,
                                              struct mem **mems, struct parker **parkers);

/* "script-0": for the log. */
void scripts_name(const struct scripts *scripts, uint32_t host, char *out, size_t bytes_count);

/* Make the actors; the mesh and the log's lanes must be there. */
void scripts_make(struct scripts *scripts, struct broker *broker);
void scripts_destroy(struct scripts *scripts); /* makes undone what was made */

/* Tell all of them to load their scripts again. Thread: control's. */
void scripts_reload(const struct scripts *scripts, struct port *port);
