/* core/siphash.c — see core/siphash.h. Pure. */
#include "core/siphash.h"

#include <endian.h>
#include <string.h>

struct sip_state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static inline void sip_rounds(struct sip_state *s, int count)
{
    for (int i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v1 = rotate_left(s->v1, 13) ^ s->v0;
        s->v0 = rotate_left(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate_left(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate_left(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate_left(s->v1, 17) ^ s->v2;
        s->v2 = rotate_left(s->v2, 32);
    }
}

static inline void sip_absorb(struct sip_state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

uint64_t siphash(const struct siphash_key *key, struct span bytes)
{
    struct sip_state s = {
        .v0 = key->k0 ^ 0x736f6d6570736575u,
        .v1 = key->k1 ^ 0x646f72616e646f6du,
        .v2 = key->k0 ^ 0x6c7967656e657261u,
        .v3 = key->k1 ^ 0x7465646279746573u,
    };
    uint64_t last = (uint64_t)bytes.bytes_count << 56;

    for (; bytes.bytes_count >= 8; bytes = span_skip(bytes, 8)) {
        uint64_t word;

        memcpy(&word, bytes.data, sizeof(word));
        sip_absorb(&s, le64toh(word));
    }
    for (size_t i = 0; i < bytes.bytes_count; i++)
        last |= (uint64_t)bytes.data[i] << (8 * i);
    sip_absorb(&s, last);

    s.v2 ^= 0xff;
    sip_rounds(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint32_t random_ids_next(struct random_ids *random)
{
    uint64_t counter = random->counter++;

    return (uint32_t)siphash(&random->key, span_of(&counter, sizeof(counter)));
}
