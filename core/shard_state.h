/*
 * core/shard_state.h — what a shard keeps: topics, clients, sub-topics, and how they are found.
 *
 * Private to core/shard*.c. The tables answer "who is this"; core/shard.c decides what happens.
 * Thread: the shard's.
 */
#pragma once

#include "core/members.h"
#include "core/shard.h"

struct topic {
    uint32_t id;
    uint32_t name_hash; /* low half of the keyed hash: the key in topic_names */
    uint16_t instance_index;
    uint8_t is_pinned;
    uint8_t name_bytes_count;
    uint32_t subscriber_count;
    uint64_t io_mask;    /* I/O actors with at least one subscriber */
    uint32_t *io_counts; /* [io_count] subscribers per I/O actor; NULL up to one subscriber */
    uint8_t *name;
    struct members holders; /* who was given the number; MEMBER_SUBSCRIBED: and listens */
    struct members observers;
};

struct client {
    uint32_t id;
    uint32_t uid_hash;
    uint16_t instance_index;
    struct conn_handle conn;
    struct msg *identity; /* one reference: u8 n, UID[n], info */
    struct members observers;
};

struct subtopic {
    uint32_t id;
    uint32_t name_hash;
    uint8_t name_bytes_count;
    uint8_t *name;
};

/* The UID inside a client's identity. */
struct span identity_uid(const struct msg *identity);

struct topic *topic_by_name(struct shard *shard, uint16_t instance, struct span name,
                            uint64_t hash);

/* Make a topic; @id 0: draw one. NULL: over the memory limit. Quotas are the caller's. */
struct topic *topic_make(struct shard *shard, uint16_t instance, struct span name, uint64_t hash,
                         uint32_t id);

/* Forget it when nobody holds or observes it and it is not pinned. */
void topic_forget_if_unheld(struct shard *shard, struct topic *topic);

/* One subscriber more or less at an I/O actor. false: over the memory limit, nothing changed. */
MUST_CHECK bool topic_count_in(struct shard *shard, struct topic *topic, uint16_t io_index);
void topic_count_out(struct shard *shard, struct topic *topic, uint16_t io_index);

struct client *client_by_uid(struct shard *shard, uint16_t instance, struct span uid,
                             uint64_t hash);
/* Takes the identity's reference on success. NULL: over the memory limit. */
struct client *client_make(struct shard *shard, uint16_t instance, struct msg *identity,
                           uint64_t hash);
void client_remove(struct shard *shard, struct client *client);

/* What has this number: at most one of the two is set. */
struct entity {
    struct topic *topic;
    struct client *client;
};
struct entity entity_by_id(struct shard *shard, uint16_t instance, uint32_t id);

struct subtopic *subtopic_by_name(struct shard *shard, uint16_t instance, struct span name,
                                  uint64_t hash);
struct subtopic *subtopic_make(struct shard *shard, uint16_t instance, struct span name,
                               uint64_t hash, uint32_t id);

void shard_state_init(struct shard *shard);
void shard_state_deinit(struct shard *shard);
