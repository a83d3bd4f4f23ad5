/*
 * core/shard_rights.h — rights to what is named by a number: only the shard knows the name.
 *
 *      I/O actor: PUBLISH, JUDGE {id, identity + run} ──> shard: which name is id? ──> judge->may()
 *
 * Where an instance has an access list, its I/O actors judge what is asked by name themselves, and
 * Publishes to topics that the client was given by name. Numbers they do not know come here with
 * the client's identity in front. The rules themselves are behind struct shard_judge: core knows
 * none.
 *
 * Private to core/shard*.c. Thread: the shard's.
 */
#pragma once

#include "core/shard_state.h"

/**
 * May the client do what the envelope asks for? A PUBLISH's run is put in front of *envelope's
 * message, without the identity; an OBSERVE has no message any more.
 *
 * Returns: false: it is denied, or there was no memory; counted, and the message is gone.
 */
MUST_CHECK bool shard_judge_publish(struct shard *shard, struct envelope *envelope,
                                    struct entity entity);
MUST_CHECK bool shard_judge_observe(struct shard *shard, struct envelope *envelope,
                                    struct entity entity);

/* A RELOAD: the subscriptions of instances whose rules have changed are told to their holders. */
void shard_rights_reload(struct shard *shard);

/* A bite of that; called when the port is clear. Returns how many topics were looked at. */
uint32_t shard_rights_step(struct shard *shard);
