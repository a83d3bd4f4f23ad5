/*
 * tests/unit/bench/test_plan.c — mirrors bench/plan.h.
 * Goal: every flow reaches exactly the subscribers of its topic, each with a place of its own.
 * Method: for many shapes, walk all clients and topics the slow way and compare.
 */
#include "bench/plan.h"

#include <string.h>

#include <criterion/criterion.h>

/* Does the plan say that @client_index subscribes to @topic_index? */
static bool is_subscribed(const struct plan *plan, uint32_t client_index, uint32_t topic_index)
{
    for (uint32_t nth = 0;; nth++) {
        uint32_t topic = plan_client_topic(plan, client_index, nth);

        if (topic == PLAN_NONE)
            return false;
        if (topic == topic_index)
            return true;
    }
}

static void check_shape(const struct plan *plan)
{
    static uint8_t is_used[4096];
    uint32_t track_count = plan_track_count(plan);

    cr_assert_leq(track_count, sizeof(is_used));
    memset(is_used, 0, sizeof(is_used));
    for (uint32_t flow = 0; flow < plan_flow_count(plan); flow++) {
        uint32_t receiver_count = 0;

        cr_assert_lt(plan_flow_publisher(plan, flow), plan->publisher_count);
        cr_assert_lt(plan_flow_topic(plan, flow), plan_topic_count(plan));
        for (uint32_t client = 0; client < plan_client_count(plan); client++) {
            uint32_t track = plan_track_index(plan, client, flow);
            uint32_t topic = plan->is_rpc ? flow : plan_flow_topic(plan, flow);
            bool is_receiver = is_subscribed(plan, client, topic);
            uint32_t owner_flow;
            uint32_t owner_client;

            cr_assert_eq(track != PLAN_NONE, is_receiver);
            if (!is_receiver)
                continue;
            cr_assert_lt(track, track_count);
            cr_assert_not(is_used[track], "two receivers share a place");
            is_used[track] = 1;
            cr_assert(plan_track_owner(plan, track, &owner_flow, &owner_client));
            cr_assert_eq(owner_flow, flow);
            cr_assert_eq(owner_client, client);
            if (!plan_client_is_stopped(plan, client))
                receiver_count++;
        }
        cr_assert_eq(plan_flow_receiver_count(plan, flow), receiver_count);
    }
    for (uint32_t track = 0; track < track_count; track++) {
        uint32_t flow;
        uint32_t client;

        cr_assert_eq(plan_track_owner(plan, track, &flow, &client), is_used[track] != 0);
    }
}

Test(plan, gives_every_receiver_of_every_flow_its_own_place)
{
    for (uint32_t p = 1; p <= 6; p++) {
        for (uint32_t t = 1; t <= 7; t++) {
            for (uint32_t s = 1; s <= 8; s++) {
                struct plan plan = {.publisher_count = p,
                                    .topic_count = t,
                                    .subscriber_count = s,
                                    .bystander_count = 2};
                check_shape(&plan);
            }
        }
    }
}

Test(plan, does_not_count_on_those_that_stop_reading)
{
    for (uint32_t stopped = 1; stopped < 9; stopped++) {
        struct plan plan = {.publisher_count = 2,
                            .topic_count = 3,
                            .subscriber_count = 9,
                            .stopped_count = stopped};
        check_shape(&plan);
    }
}

Test(plan, of_rpc_returns_every_flow_to_its_own_requester_only)
{
    for (uint32_t requesters = 1; requesters < 6; requesters++) {
        for (uint32_t responders = 1; responders < 4; responders++) {
            struct plan plan = {.publisher_count = requesters,
                                .subscriber_count = responders,
                                .bystander_count = 1,
                                .is_rpc = true};
            check_shape(&plan);
            for (uint32_t flow = 0; flow < requesters; flow++)
                cr_assert_eq(plan_flow_topic(&plan, flow), requesters + flow % responders);
        }
    }
}

Test(plan, deals_flows_out_to_publishers_without_a_rest)
{
    for (uint32_t p = 1; p < 8; p++) {
        for (uint32_t t = 1; t < 20; t++) {
            struct plan plan = {.publisher_count = p, .topic_count = t, .subscriber_count = 1};
            uint32_t flow_count = 0;

            for (uint32_t i = 0; i < p; i++) {
                uint32_t own_count = plan_publisher_flow_count(&plan, i);

                cr_assert_geq(own_count, 1);
                for (uint32_t nth = 0; nth < own_count; nth++)
                    cr_assert_eq(plan_flow_publisher(&plan, i + nth * p), i);
                flow_count += own_count;
            }
            cr_assert_eq(flow_count, plan_flow_count(&plan));
        }
    }
}

Test(plan, gives_each_bystander_a_topic_nobody_else_has)
{
    struct plan plan = {.publisher_count = 3,
                        .topic_count = 4,
                        .subscriber_count = 5,
                        .bystander_count = 6};

    cr_assert_eq(plan_topic_count(&plan), 10);
    for (uint32_t client = 0; client < plan_client_count(&plan); client++) {
        for (uint32_t topic = 4; topic < 10; topic++)
            cr_assert_eq(is_subscribed(&plan, client, topic), client == 8 + topic - 4);
    }
}
