/*
 * tests/unit/core/test_siphash.c — mirrors core/siphash.c.
 * Goal:   our SipHash-2-4 is the published one; ids cannot be told from the counter.
 * Method: the vectors of the paper's appendix (key 00 … 0f, input 00 01 02 …).
 */
#include "core/siphash.h"

#include <criterion/criterion.h>

static const struct siphash_key paper_key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

static uint64_t hash_of_counting_bytes(size_t bytes_count)
{
    uint8_t bytes[64];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    return siphash(&paper_key, span_of(bytes, bytes_count));
}

Test(siphash, is_the_published_function)
{
    static const struct {
        size_t bytes_count;
        uint64_t hash;
    } vectors[] = {
        {0, 0x726fdb47dd0e0e31u},  {1, 0x74f839c593dc67fdu}, {2, 0x0d6c8009d9a94f5au},
        {3, 0x85676696d7fb7e2du},  {4, 0xcf2794e0277187b7u}, {5, 0x18765564cd99a68du},
        {6, 0xcbc9466e58fee3ceu},  {7, 0xab0200f58b01d137u}, {8, 0x93f5f5799a932462u},
        {15, 0xa129ca6149be45e5u},
    };

    for (size_t i = 0; i < COUNT_OF(vectors); i++)
        cr_assert_eq(hash_of_counting_bytes(vectors[i].bytes_count), vectors[i].hash, "%zu bytes",
                     vectors[i].bytes_count);
}

Test(siphash, depends_on_both_halves_of_the_key)
{
    struct siphash_key other = paper_key;
    uint64_t hash = hash_of_counting_bytes(0);

    other.k0 ^= 1;
    cr_assert_neq(siphash(&other, span_of(NULL, 0)), hash);
    other = paper_key;
    other.k1 ^= 1;
    cr_assert_neq(siphash(&other, span_of(NULL, 0)), hash);
}

Test(siphash, tells_zeros_from_fewer_zeros)
{
    static const uint8_t zeros[16];

    for (size_t i = 0; i < sizeof(zeros); i++)
        cr_assert_neq(siphash(&paper_key, span_of(zeros, i)),
                      siphash(&paper_key, span_of(zeros, i + 1)), "%zu and %zu", i, i + 1);
}

Test(siphash, reads_unaligned_bytes)
{
    uint8_t bytes[64];

    for (size_t i = 0; i < 15; i++)
        bytes[i + 1] = (uint8_t)i;
    cr_assert_eq(siphash(&paper_key, span_of(bytes + 1, 15)), 0xa129ca6149be45e5u);
}

Test(random_ids, are_the_keyed_hash_of_a_counter)
{
    struct random_ids random = {.key = paper_key};

    for (uint64_t i = 0; i < 10; i++)
        cr_assert_eq(random_ids_next(&random),
                     (uint32_t)siphash(&paper_key, span_of(&i, sizeof(i))));
}

Test(random_ids, seldom_repeat)
{
    /* 32 bits: among 10,000 draws one repetition is expected once in a hundred keys. */
    struct random_ids random = {.key = paper_key};
    static uint32_t drawn[10000];
    uint32_t repeated_count = 0;

    for (size_t i = 0; i < COUNT_OF(drawn); i++)
        drawn[i] = random_ids_next(&random);
    for (size_t i = 0; i < COUNT_OF(drawn); i++)
        for (size_t k = 0; k < i; k++)
            repeated_count += drawn[k] == drawn[i];
    cr_assert_leq(repeated_count, 1);
}

Test(hash_u32, gives_each_number_a_hash_of_its_own)
{
    /* It is a bijection: so neighbours spread, and nobody shares a hash. */
    static uint32_t hashes[4096];

    for (uint32_t i = 0; i < COUNT_OF(hashes); i++) {
        hashes[i] = hash_u32(i << 8);
        for (uint32_t k = 0; k < i; k++)
            cr_assert_neq(hashes[k], hashes[i]);
    }
}
