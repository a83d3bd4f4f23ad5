/*
 * bench/plan.c — the arithmetic of bench/plan.h.
 */
#include "bench/plan.h"

#include "core/must.h"

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* How many i in 0..count-1 leave @rest when divided by @divisor. */
static uint32_t count_congruent(uint32_t count, uint32_t divisor, uint32_t rest)
{
    return rest < count ? (count - rest - 1) / divisor + 1 : 0;
}

static uint32_t subscription_count(const struct plan *plan)
{
    return max_u32(plan->subscriber_count, plan->topic_count);
}

uint32_t plan_client_count(const struct plan *plan)
{
    return plan->publisher_count + plan->subscriber_count + plan->bystander_count;
}

/* Where the bystanders' topics begin. */
static uint32_t used_topic_count(const struct plan *plan)
{
    return plan->is_rpc ? plan->publisher_count + plan->subscriber_count : plan->topic_count;
}

uint32_t plan_topic_count(const struct plan *plan)
{
    return used_topic_count(plan) + plan->bystander_count;
}

uint32_t plan_flow_count(const struct plan *plan)
{
    return plan->is_rpc ? plan->publisher_count : max_u32(plan->publisher_count, plan->topic_count);
}

uint32_t plan_flow_publisher(const struct plan *plan, uint32_t flow_index)
{
    return flow_index % plan->publisher_count;
}

uint32_t plan_flow_topic(const struct plan *plan, uint32_t flow_index)
{
    if (plan->is_rpc)
        return plan->publisher_count + flow_index % plan->subscriber_count;
    return flow_index % plan->topic_count;
}

uint32_t plan_publisher_flow_count(const struct plan *plan, uint32_t publisher_index)
{
    return count_congruent(plan_flow_count(plan), plan->publisher_count, publisher_index);
}

uint32_t plan_flow_receiver_count(const struct plan *plan, uint32_t flow_index)
{
    if (plan->is_rpc)
        return 1;
    uint32_t topic_index = plan_flow_topic(plan, flow_index);

    return count_congruent(subscription_count(plan), plan->topic_count, topic_index) -
           count_congruent(plan->stopped_count, plan->topic_count, topic_index);
}

uint32_t plan_client_topic(const struct plan *plan, uint32_t client_index, uint32_t nth)
{
    uint32_t first_bystander = plan->publisher_count + plan->subscriber_count;

    if (client_index >= first_bystander)
        return nth == 0 ? used_topic_count(plan) + client_index - first_bystander : PLAN_NONE;
    if (plan->is_rpc)
        return nth == 0 ? client_index : PLAN_NONE;
    if (client_index < plan->publisher_count)
        return PLAN_NONE;

    uint64_t subscription =
        client_index - plan->publisher_count + (uint64_t)nth * plan->subscriber_count;
    if (subscription >= subscription_count(plan))
        return PLAN_NONE;
    return (uint32_t)(subscription % plan->topic_count);
}

bool plan_client_is_stopped(const struct plan *plan, uint32_t client_index)
{
    return !plan->is_rpc && client_index >= plan->publisher_count &&
           client_index - plan->publisher_count < plan->stopped_count;
}

/* Flows into one topic, at most. */
static uint32_t topic_flow_count_max(const struct plan *plan)
{
    return (plan_flow_count(plan) - 1) / plan->topic_count + 1;
}

uint32_t plan_track_count(const struct plan *plan)
{
    if (plan->is_rpc)
        return plan->publisher_count;
    uint64_t count = (uint64_t)subscription_count(plan) * topic_flow_count_max(plan);

    return count < PLAN_NONE ? (uint32_t)count : PLAN_NONE;
}

uint32_t plan_track_index(const struct plan *plan, uint32_t client_index, uint32_t flow_index)
{
    if (plan->is_rpc)
        return client_index == flow_index ? flow_index : PLAN_NONE;
    if (client_index < plan->publisher_count ||
        client_index >= plan->publisher_count + plan->subscriber_count)
        return PLAN_NONE;

    uint32_t subscriber = client_index - plan->publisher_count;
    uint32_t topic_index = plan_flow_topic(plan, flow_index);
    bool is_wide = plan->subscriber_count >= plan->topic_count;
    uint32_t subscription = is_wide ? subscriber : topic_index;
    bool is_ours = is_wide ? subscriber % plan->topic_count == topic_index
                           : topic_index % plan->subscriber_count == subscriber;

    if (!is_ours)
        return PLAN_NONE;
    return subscription * topic_flow_count_max(plan) + flow_index / plan->topic_count;
}

bool plan_track_owner(const struct plan *plan, uint32_t track_index, uint32_t *flow_index,
                      uint32_t *client_index)
{
    must(track_index < plan_track_count(plan));
    if (plan->is_rpc) {
        *flow_index = track_index;
        *client_index = track_index;
        return true;
    }
    uint32_t subscription = track_index / topic_flow_count_max(plan);
    uint64_t flow = subscription % plan->topic_count +
                    (uint64_t)(track_index % topic_flow_count_max(plan)) * plan->topic_count;

    if (flow >= plan_flow_count(plan))
        return false;
    *flow_index = (uint32_t)flow;
    *client_index = plan->publisher_count + subscription % plan->subscriber_count;
    return true;
}
