/*
 * core/shard_names.h — numbers that somebody chose, and questions about names. Private to core/.
 *
 * A name's owner is found by its hash, a number's by the number. Drawn numbers fit their names; a
 * chosen one may lie in another shard. Then the topic lives where its number is, as all messages
 * go there, and the name's shard keeps a forward: who asks it by name gets his request back
 * (ELSEWHERE) and pushes it to the right one. No shard ever talks to another:
 *
 *      host ──CREATE, CHOSEN──> the number's shard: free? then it is made and held
 *           <──ELSEWHERE───────
 *           ──the same──> the name's shard: not used otherwise? then the forward is made for ever
 *           <──CREATED──        (denied: the host gives the hold back)
 *
 * Thread: the shard's.
 */
#pragma once

#include "core/shard_state.h"

/* Answer the connection that @request came from; takes the reference in @answer. */
void shard_answer(struct shard *shard, const struct envelope *request, struct envelope answer);

/* CREATE and SUBSCRIBE: is the name's topic in another shard? Then it has been answered. */
MUST_CHECK bool shard_name_is_elsewhere(struct shard *shard, const struct envelope *envelope);

/* CREATE: no number was chosen, or it and the name are free, or belong together already. */
MUST_CHECK bool shard_may_choose(struct shard *shard, const struct envelope *envelope);

/* Nobody has the number that this request brings along, if any. */
MUST_CHECK bool shard_number_is_free(struct shard *shard, const struct envelope *envelope);

/* @created goes to who asked; but a chosen number first has its name written down. */
void shard_created(struct shard *shard, const struct envelope *request, struct envelope created);

/* CREATESUB with a chosen number; @subtopic: who has the name here, or NULL. */
MUST_CHECK bool shard_may_choose_sub(struct shard *shard, const struct envelope *envelope,
                                     const struct subtopic *subtopic);

/* The same: is the name another shard's? Then this one has kept the number, and sent it there. */
MUST_CHECK bool shard_reserve_sub(struct shard *shard, const struct envelope *envelope);

/* LOOKUP. Takes its msg. */
void shard_lookup(struct shard *shard, const struct envelope *envelope);
