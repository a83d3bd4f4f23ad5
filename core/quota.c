/* core/quota.c — see core/quota.h. Only main. */
#include "core/quota.h"

#include <stdlib.h>

static void set(struct quota *quota, uint32_t count_max)
{
    atomic_store_explicit(&quota->count_max, count_max, memory_order_relaxed);
}

void quotas_init(struct quotas *quotas, const struct config *config)
{
    *quotas =
        (struct quotas){.instances = calloc(config->instance_count, sizeof(*quotas->instances))};
    must(quotas->instances);
    quotas_update(quotas, config);
}

void quotas_update(struct quotas *quotas, const struct config *config)
{
    const struct config_limits *limits = &config->limits;

    set(&quotas->connections, limits->connection_count_max);
    set(&quotas->handshakes, limits->handshake_count_max);
    set(&quotas->pages, limits->page_count_max);
    set(&quotas->topics, limits->topics_max);
    set(&quotas->subscriptions, limits->subscriptions_max);
    for (uint32_t i = 0; i < config->instance_count; i++) {
        set(&quotas->instances[i].topics, limits->topics_per_instance_max);
        set(&quotas->instances[i].subscriptions, limits->subscriptions_per_instance_max);
        set(&quotas->instances[i].subtopics, limits->subtopics_per_instance_max);
        set(&quotas->instances[i].pending, limits->pending_per_instance_max);
        atomic_store_explicit(&quotas->instances[i].message_meter.until, 0, memory_order_relaxed);
        atomic_store_explicit(&quotas->instances[i].byte_meter.until, 0, memory_order_relaxed);
    }
}

void quotas_deinit(struct quotas *quotas)
{
    free(quotas->instances);
    quotas->instances = NULL;
}
