/*
 * tls/boring_memory.h — every byte that BoringSSL holds, counted.
 *
 * BoringSSL lets the program define its three allocation functions; ours count in what malloc
 * really takes, and wipe what is freed. There is a sum for each thread, from which an I/O actor
 * settles its own account (tls_engine does it after each call).
 */
#pragma once

#include <stdint.h>

/* What this thread allocated less what it freed; negative when it frees what others got. */
int64_t tls_boring_bytes_of_thread(void);
