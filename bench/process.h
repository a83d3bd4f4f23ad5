/*
 * bench/process.h — what processes cost, as /proc tells it: CPU time, memory, the kernel's share.
 *
 * Thread: main. Nothing is kept open between calls.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/must.h"

#define PROCESS_PIDS_MAX 16u

struct process_list {
    uint32_t count;
    int pids[PROCESS_PIDS_MAX];
};

struct process_sample {
    uint64_t cpu_ns;    /* of all its threads, user and system */
    uint64_t rss_bytes; /* resident, shared pages included */
};

/* "12,34" to numbers. False when it is not that, or holds too many. */
MUST_CHECK bool process_list_parse(struct process_list *list, const char *text);

/* Sum over all processes. False when one of them has gone; *sample is then useless. */
MUST_CHECK bool process_sample(const struct process_list *list, struct process_sample *sample);

/* This process's own CPU time, ns. */
uint64_t process_own_cpu_ns(void);

/* The kernel's slab memory, bytes, of the whole machine: both ends of a loopback connection. */
uint64_t process_slab_bytes(void);
