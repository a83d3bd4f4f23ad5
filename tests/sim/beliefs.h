/*
 * tests/sim/beliefs.h — what a client knows about names and ids, from its requests and the answers.
 *
 * Rules:
 *   - each Subscribe, Create and Createsub is answered once; in order, among those one shard
 * answers
 *   - a name has one number for everybody who holds it (3, 4), and no two things share a number
 *   - a Change comes only to who observes; each differs by one from the last (12)
 * Part of the model (tests/sim/model.h). Thread: one.
 */
#pragma once

#include "tests/sim/sim.h"

struct belief *belief_find(struct sim *sim, const struct link *link, uint32_t id);
/* The belief about @id, made when there is none; NULL: this client knows enough already. */
struct belief *belief_of(struct sim *sim, const struct link *link, uint32_t id, uint8_t kind,
                         uint8_t name);
void beliefs_fed(struct sim *sim, struct link *link, const struct deed *deed);
void beliefs_acked(struct sim *sim, struct link *link, enum smq_packet type, struct span body);
void beliefs_changed(struct sim *sim, struct link *link, uint32_t id, uint32_t count);
/* May this client write another request? */
bool beliefs_have_room(struct sim *sim, const struct link *link);
/* Remember an id that names nothing any more, to use it wrongly later. */
void beliefs_retire(struct sim *sim, uint32_t instance, uint32_t id);
