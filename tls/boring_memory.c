/*
 * tls/boring_memory.c — the allocation functions of BoringSSL, see tls/boring_memory.h.
 *
 * Any thread. The names are BoringSSL's: they are weak in libcrypto, and the program's definition
 * wins. They must not fail lightly: BoringSSL handles NULL, but a handshake that dies of it is
 * harder to explain than one that was refused before it began (which is what the limits do).
 */
#include "tls/boring_memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define MALLOC_HEADER_BYTES 8 /* of glibc, before each block */

/* As declared by BoringSSL's own source; no public header has them. */
__attribute__((visibility("default"))) void *OPENSSL_memory_alloc(size_t bytes);
__attribute__((visibility("default"))) void OPENSSL_memory_free(void *block);
__attribute__((visibility("default"))) size_t OPENSSL_memory_get_size(void *block);

/* Of each thread alone: a handshake takes and frees some 200 blocks, and one sum for all threads
 * would be a cache line that the I/O threads take from each other 400 times for each. */
static _Thread_local int64_t thread_bytes;

void *OPENSSL_memory_alloc(size_t bytes)
{
    void *block = malloc(bytes > 0 ? bytes : 1); /* whose usable size is read: never nothing */

    if (block)
        thread_bytes += (int64_t)malloc_usable_size(block) + MALLOC_HEADER_BYTES;
    return block;
}

void OPENSSL_memory_free(void *block)
{
    if (!block)
        return;
    size_t bytes = malloc_usable_size(block);
    thread_bytes -= (int64_t)bytes + MALLOC_HEADER_BYTES;
    explicit_bzero(block, bytes); /* nearly everything in there is, or was, a secret */
    free(block);
}

size_t OPENSSL_memory_get_size(void *block)
{
    return block ? malloc_usable_size(block) : 0;
}

int64_t tls_boring_bytes_of_thread(void)
{
    return thread_bytes;
}
