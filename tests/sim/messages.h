/*
 * tests/sim/messages.h — every message has a number: who gets it, in which order, how often.
 *
 * What one connection publishes to one destination is a stream; the payload says which stream and
 * which place in it, and is made of that, so that one bit astray shows. Rules:
 *   - only who subscribes, or has the ETID, gets it (7, 8), and as it was sent
 *   - in order, and once (11)
 *   - from the Suback, or the Connack, on without a gap, but for what the broker says it dropped
 * Part of the model (tests/sim/model.h). Thread: one.
 */
#pragma once

#include "tests/sim/sim.h"

/* The next message of @link to @destination. false: too many streams for now. */
bool messages_next(struct sim *sim, struct link *link, uint32_t destination, struct deed *deed);
/* Its sub-topic, and its payload of @bytes_count bytes (at least MESSAGE_BYTES_MIN). */
#define MESSAGE_BYTES_MIN 12u
uint32_t message_subtopic(const struct deed *deed, const struct stream *stream);
void message_fill(const struct deed *deed, const struct stream *stream, uint8_t *payload,
                  uint32_t bytes_count);
void messages_fed(struct sim *sim, const struct deed *deed, bool certain);
void messages_received(struct sim *sim, struct link *link, struct span body);
/* From now on everything to @destination must reach @link. */
void messages_expect(struct sim *sim, const struct link *link, uint32_t destination);
/* A new connection on this link: it has received nothing. */
void messages_open(struct sim *sim, const struct link *link);
/* At rest: everything that had to come has come; streams of those who left are forgotten. */
void messages_settle(struct sim *sim);
