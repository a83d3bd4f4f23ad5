/*
 * core/shard_state.h — what a shard keeps: topics, clients, sub-topics, and how they are found.
 *
 * Private to core/shard*.c. The tables answer "who is this"; core/shard.c decides what happens.
 * Thread: the shard's.
 */
#pragma once

#include "core/members.h"
#include "core/shard.h"

/* Who observes a topic or a client. Few are observed, so this is found through a table and the
 * rest pay one flag. */
struct watch {
    uint32_t id;
    uint8_t instance_index;
    struct members observers; /* never empty */
};

#define ENTITY_OBSERVED 0x1u /* there is a watch for this id */
#define TOPIC_PINNED    0x2u /* from the configuration: never forgotten */

/* How a topic with several subscribers is spread over the hosts (core/mesh.h). */
struct topic_spread {
    uint32_t subscriber_count;
    uint64_t host_mask;     /* hosts with at least one subscriber */
    uint32_t host_counts[]; /* [host_count] */
};

#define TOPIC_NAME_BYTES_INLINE 20u
#define TOPIC_NO_SUBSCRIBER     0xffu

/* 48 bytes: what a device with a topic of its own costs a shard, beside the client. */
struct topic {
    uint32_t id;
    uint8_t instance_index;
    uint8_t flags; /* TOPIC_PINNED, ENTITY_OBSERVED */
    uint8_t name_bytes_count;
    uint8_t
        only_host_index; /* without spread: whose the one subscriber is, or TOPIC_NO_SUBSCRIBER */
    uint8_t name[TOPIC_NAME_BYTES_INLINE]; /* the name; of a long one, the pointer to it */
    struct members holders;      /* who was given the number; MEMBER_SUBSCRIBED: and listens */
    struct topic_spread *spread; /* NULL up to one subscriber */
};
static_assert(sizeof(struct topic) <= 48, "see limits in bench/results: bytes per idle subscriber");

struct client {
    uint32_t id;
    uint8_t instance_index;
    uint8_t flags; /* ENTITY_OBSERVED */
    struct conn_handle conn;
    struct msg *identity; /* one reference; core/identity.h */
};
static_assert(sizeof(struct client) <= 24, "one per connection");

struct subtopic {
    uint32_t id;
    uint32_t name_hash;
    uint8_t instance_index;
    uint8_t name_bytes_count;
    uint8_t *name;
};

/* A topic name whose number was chosen, and so has another shard as its owner: this shard, which
 * the name's hash leads to, knows where it went. For ever, as names in the configuration are. */
struct forward {
    uint32_t id;
    uint32_t name_hash;
    uint8_t name_bytes_count;
    uint8_t *name;
};

/* The number of a name that has moved, or 0. */
uint32_t forward_by_name(struct shard *shard, uint16_t instance, struct span name, uint64_t hash);
/* The name must not be there. false: over the memory limit. Quotas are the caller's. */
MUST_CHECK bool forward_make(struct shard *shard, uint16_t instance, struct span name,
                             uint64_t hash, uint32_t id);

/* The UID inside a client's identity. */
struct span identity_uid(const struct msg *identity);

struct topic *topic_by_name(struct shard *shard, uint16_t instance, struct span name,
                            uint64_t hash);

/* Make a topic; @id 0: draw one. NULL: over the memory limit. Quotas are the caller's. */
struct topic *topic_make(struct shard *shard, uint16_t instance, struct span name, uint64_t hash,
                         uint32_t id);

/* Forget it when nobody holds or observes it and it is not pinned. */
void topic_forget_if_unheld(struct shard *shard, struct topic *topic);

struct span topic_name(const struct topic *topic);

uint32_t topic_subscriber_count(const struct topic *topic);

/* The hosts with subscribers, one bit each. */
uint64_t topic_host_mask(const struct topic *topic);

/* One subscriber more or less at a host. false: over the memory limit, nothing changed. */
MUST_CHECK bool topic_count_in(struct shard *shard, struct topic *topic, uint16_t host_index);
void topic_count_out(struct shard *shard, struct topic *topic, uint16_t host_index);

struct client *client_by_uid(struct shard *shard, uint16_t instance, struct span uid,
                             uint64_t hash);
/* Make a client; @id 0: draw one. Takes the identity's reference on success. NULL: over the memory
 * limit. */
struct client *client_make(struct shard *shard, uint16_t instance, struct msg *identity,
                           uint64_t hash, uint32_t id);
void client_remove(struct shard *shard, struct client *client);

/* What has this number: at most one of the two is set. */
struct entity {
    struct topic *topic;
    struct client *client;
};
struct entity entity_by_id(struct shard *shard, uint16_t instance, uint32_t id);

/* What all observable things have. */
struct observable {
    uint16_t instance_index;
    uint32_t id;
    uint8_t *flags;
};
struct observable observable_topic(struct topic *topic);
struct observable observable_client(struct client *client);

/* The observers, or NULL: nobody. */
const struct members *observers_of(struct shard *shard, struct observable of);
MUST_CHECK enum members_result observers_add(struct shard *shard, struct observable of,
                                             struct conn_handle conn);
/* Returns: was it there? */
bool observers_remove(struct shard *shard, struct observable of, struct conn_handle conn);
void observers_clear(struct shard *shard, struct observable of);

struct subtopic *subtopic_by_name(struct shard *shard, uint16_t instance, struct span name,
                                  uint64_t hash);
struct subtopic *subtopic_make(struct shard *shard, uint16_t instance, struct span name,
                               uint64_t hash, uint32_t id);

struct subtopic *subtopic_by_id(struct shard *shard, uint16_t instance, uint32_t id);
bool subtopic_id_is_free(struct shard *shard, uint16_t instance, uint32_t id);
/* Keep the number of a name that another shard has, so that it is not drawn here. */
struct subtopic *subtopic_reserve(struct shard *shard, uint16_t instance, struct span name,
                                  uint64_t hash, uint32_t id);

void shard_state_init(struct shard *shard);
void shard_state_deinit(struct shard *shard);
