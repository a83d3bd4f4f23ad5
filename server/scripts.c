/* server/scripts.c — see server/scripts.h. Thread: main. */
#include "server/scripts.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hooks.h"
#include "server/broker.h"
#include "server/script_crypto.h"

void scripts_lay_out(struct scripts *scripts, const struct config *config, uint32_t first_host)
{
    scripts->first_host = first_host;
    for (uint32_t i = 0; i < config->instance_count; i++) {
        if (!config->instances[i].script_path)
            continue;
        must(scripts->count < LIMIT_LOCALS);
        scripts->files[scripts->count] = config->instances[i].script_path;
        scripts->instance_of[scripts->count++] = (uint16_t)i;
    }
    if (scripts->count == 0)
        return;
    scripts->hooks = aligned_alloc(alignof(struct hooks), sizeof(struct hooks) * LIMIT_INSTANCES);
    must(scripts->hooks);
    memset((void *)scripts->hooks, 0, sizeof(struct hooks) * LIMIT_INSTANCES);
    for (uint32_t i = 0; i < scripts->count; i++) /* nobody is let in before it is loaded */
        hooks_begin(&scripts->hooks[scripts->instance_of[i]], first_host + i, HOOKS_REFUSING);
}

enum status scripts_lay_out_actors(struct scripts *scripts, struct mem_budget *budget,
                                   struct mem **mems, struct parker **parkers)
{
    for (uint32_t i = 0; i < scripts->count; i++) {
        mem_init(&scripts->mems[i], budget);
        if (parker_init(&scripts->parkers[i]) != STATUS_OK)
            return STATUS_SYSTEM;
        mems[scripts->first_host + i] = &scripts->mems[i];
        parkers[scripts->first_host + i] = &scripts->parkers[i];
    }
    return STATUS_OK;
}

void scripts_name(const struct scripts *scripts, uint32_t host, char *out, size_t bytes_count)
{
    must(host >= scripts->first_host && host < scripts->first_host + scripts->count);
    snprintf(out, bytes_count, "script-%u", host - scripts->first_host);
}

void scripts_make(struct scripts *scripts, struct broker *broker)
{
    for (uint32_t i = 0; i < scripts->count; i++) {
        uint32_t host = scripts->first_host + i;
        struct script_options options = {.config = broker->config,
                                         .instance_index = scripts->instance_of[i],
                                         .mesh = &broker->mesh,
                                         .mesh_index = host,
                                         .mem = &scripts->mems[i],
                                         .hooks = scripts->hooks,
                                         .log = broker->log_lanes[host],
                                         .name_key = broker->name_key,
                                         .crypto = &script_crypto};

        scripts->actors[i] = script_create(&options);
    }
}

void scripts_destroy(struct scripts *scripts)
{
    for (uint32_t i = 0; i < scripts->count; i++)
        if (scripts->actors[i])
            script_destroy(scripts->actors[i]);
    free(scripts->hooks);
    scripts->hooks = NULL;
}

void scripts_reload(const struct scripts *scripts, struct port *port)
{
    for (uint32_t i = 0; i < scripts->count; i++)
        port_push(port, scripts->first_host + i, (struct envelope){.kind = ENVELOPE_RELOAD});
}
