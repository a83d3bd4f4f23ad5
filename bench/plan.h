/*
 * bench/plan.h — who publishes to what and who receives it, as arithmetic.
 *
 *      publisher  --flow-->  topic  --subscription-->  subscriber
 *
 * With P publishers, T topics and S subscribers there are max(P,T) flows: flow f goes from
 * publisher f mod P to topic f mod T. And max(S,T) subscriptions: subscription s joins subscriber
 * s mod S to topic s mod T. So 10,10,10 is ten pairs; 1,1,50 a fan-out; 20,1,1 a fan-in; and
 * 10 publishers with 100,000 topics take 10,000 each.
 *
 * In rpc, R requesters have a flow each, to a responder; what comes back is counted like a
 * delivery at the requester, which receives its own flow and no other.
 *
 * Clients are numbered: publishers (or requesters), subscribers (or responders), bystanders.
 * Topics likewise: the T topics (in rpc: one inbox for each client), then one per bystander.
 *
 * Pure arithmetic: no allocation, no I/O, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PLAN_NONE UINT32_MAX

struct plan {
    uint32_t publisher_count;
    uint32_t topic_count;
    uint32_t subscriber_count;
    uint32_t bystander_count;
    uint32_t stopped_count; /* of the subscribers, the first so many; needs S >= T */
    bool is_rpc;            /* publishers are requesters, subscribers responders */
};

uint32_t plan_client_count(const struct plan *plan);
uint32_t plan_topic_count(const struct plan *plan); /* bystanders' and inboxes included */
uint32_t plan_flow_count(const struct plan *plan);

uint32_t plan_flow_publisher(const struct plan *plan, uint32_t flow_index);
uint32_t plan_flow_topic(const struct plan *plan, uint32_t flow_index);

/* Of the flows with this publisher: the first is its own number; this is how many. */
uint32_t plan_publisher_flow_count(const struct plan *plan, uint32_t publisher_index);

/* How many receivers count for a message of this flow: those that never stop reading. */
uint32_t plan_flow_receiver_count(const struct plan *plan, uint32_t flow_index);

/* The @nth topic (from 0) that @client_index subscribes to, or PLAN_NONE after the last. */
uint32_t plan_client_topic(const struct plan *plan, uint32_t client_index, uint32_t nth);

/* Is this client one of the subscribers that stop reading? */
bool plan_client_is_stopped(const struct plan *plan, uint32_t client_index);

/* -- where the receiver of a flow keeps its bench/sequence.h -- */

uint32_t plan_track_count(const struct plan *plan);

/* The place for what @client_index receives of @flow_index; PLAN_NONE: it should not receive it. */
uint32_t plan_track_index(const struct plan *plan, uint32_t client_index, uint32_t flow_index);

/* The flow and the receiving client of a track; false when the place is unused. */
bool plan_track_owner(const struct plan *plan, uint32_t track_index, uint32_t *flow_index,
                      uint32_t *client_index);
