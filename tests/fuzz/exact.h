/*
 * tests/fuzz/exact.h — memory that ends where a parser's input ends.
 *
 * A step beyond the last byte ends the program, with AddressSanitizer and without it: the bytes
 * stand against a page that nobody may touch, so that also the fast builds (scripts/fuzz.sh) see
 * what parsers most often do wrong. With AddressSanitizer each is a block of its own, and steps in
 * front of it are seen as well.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/must.h"

#define EXACT_BYTES_MAX   (1u << 20) /* libFuzzer makes no longer inputs */
#define EXACT_FENCE_BYTES (1u << 16) /* a page, however large pages are */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXACT_IS_BLOCK 1
#endif
#endif

/* Zeroed and static at first. Holds one thing at a time. */
struct exact {
    uint8_t *block; /* what exact_free frees; with the fence nothing is ever freed */
    uint8_t *end;   /* of readable memory */
};

/* Room for @bytes_count bytes, which are not set. Until exact_free. */
static inline uint8_t *exact_room(struct exact *exact, size_t bytes_count)
{
    must(bytes_count <= EXACT_BYTES_MAX);
#ifdef EXACT_IS_BLOCK
    exact->block = malloc(bytes_count > 0 ? bytes_count : 1);
    must(exact->block);
    return exact->block;
#else
    if (!exact->end) {
        uint8_t *begin = mmap(NULL, EXACT_BYTES_MAX + EXACT_FENCE_BYTES, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        must(begin != MAP_FAILED);
        exact->end = begin + EXACT_BYTES_MAX;
        must(mprotect(exact->end, EXACT_FENCE_BYTES, PROT_NONE) == 0);
    }
    return exact->end - bytes_count;
#endif
}

static inline uint8_t *exact_copy(struct exact *exact, const uint8_t *data, size_t bytes_count)
{
    uint8_t *copy = exact_room(exact, bytes_count);

    if (bytes_count > 0)
        memcpy(copy, data, bytes_count);
    return copy;
}

static inline void exact_free(struct exact *exact)
{
    free(exact->block);
    exact->block = NULL;
}
