/*
 * auth/challenge.h — a shared key, shown without being sent.
 *
 *      broker                                   client
 *        Init: seed  ───────────────────────────>  credentials = hex(HMAC-SHA256(key, seed || UID))
 *        the same computed, and compared  <──────  Connect: UID, credentials
 *
 * Exactly: the HMAC's message is the seed's four bytes as they stand in the Init packet
 * (big-endian), then the UID's bytes as in the Connect. The credentials are its 32 bytes as 64
 * lower-case hex digits, nothing else. Test vectors: tests/unit/auth/test_challenge.c.
 *
 * The answer is good for one connection (the next has another seed) and one UID. Who listens to
 * plain TCP cannot learn the key from it, but can try words: so a key is random, at least 16 bytes
 * (`openssl rand -hex 16`). A seed has 32 bits: who collects answers for years may see one again.
 * TLS does not have these limits; this is for devices that cannot afford it.
 *
 * A key file has a line for each key, the first whose pattern matches the UID counts:
 *
 *      # UID pattern   key
 *      pump-*          3f1c86e6a2f8450ba9d3c1e07b5f2d64
 *      *               0f0e0d0c0b0a09080706050403020100
 *
 * A set of keys is immutable and counted. Thread: any; a check takes microseconds.
 */
#pragma once

#include "auth/text.h"
#include "core/must.h"

#define CHALLENGE_CHARS         64u /* of the credentials */
#define CHALLENGE_KEY_BYTES_MIN 16u
#define CHALLENGE_KEY_BYTES_MAX 128u
#define CHALLENGE_KEY_COUNT_MAX 4096u /* a Connect may look at all of them */

/* The credentials that answer @seed, into CHALLENGE_CHARS bytes, no terminator. */
void challenge_answer(struct span key, uint32_t seed, struct span uid, char *answer);

/* Could these credentials be such an answer? By their form only. */
bool challenge_is_answer(struct span credentials);

struct key_set;

/**
 * Read keys from @text. All or nothing.
 *
 * Gives:   one reference.
 * Returns: NULL with @error (AUTH_ERROR_BYTES) set: "PATH:LINE: what is wrong". No key is in it.
 */
MUST_CHECK struct key_set *key_set_parse(struct span text, const char *path, char *error);
MUST_CHECK struct key_set *key_set_load(const char *path, char *error);

/* Any thread. NULL is fine for unref. */
struct key_set *key_set_ref(struct key_set *set);
void key_set_unref(struct key_set *set);

/* The key for @uid, borrowed; empty: there is none. */
struct span key_set_find(const struct key_set *set, struct span uid);

/* Are @credentials the answer to @seed with @uid's key? Compared in constant time. */
MUST_CHECK bool key_set_check(const struct key_set *set, uint32_t seed, struct span uid,
                              struct span credentials);
