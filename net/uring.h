/*
 * net/uring.h — one io_uring: set up with what this kernel has, or a reason a person can act on.
 *
 * Thread: the I/O thread that owns it; it must create it too (IORING_SETUP_SINGLE_ISSUER).
 * Oldest kernel: 6.1 (multishot receive, DEFER_TASKRUN).
 */
#pragma once

#include <liburing.h>

#include "core/must.h"

/* Newer than liburing 2.3's header. Source: the kernel's include/uapi/linux/io_uring.h. */
#ifndef IORING_OP_URING_CMD
#define IORING_OP_URING_CMD 46
#endif
#ifndef SOCKET_URING_OP_GETSOCKOPT
#define SOCKET_URING_OP_GETSOCKOPT 2
#endif

#define URING_ERROR_BYTES 256

/* Receive buffers the kernel picks from; idle connections own none. */
struct bufgroup {
    struct io_uring_buf_ring *shared; /* the kernel's view */
    uint8_t *bytes;                   /* buffer_count * buffer_bytes, one mapping */
    size_t mapped_bytes;
    uint32_t buffer_count;
    uint32_t buffer_bytes;
    uint32_t returned_count; /* since the last bufgroup_publish */
};

struct uring {
    struct io_uring kernel;
    struct bufgroup buffers;
    uint32_t file_count; /* size of the table of direct descriptors */
};

struct uring_options {
    uint32_t sqe_count;
    uint32_t cqe_count;
    uint32_t file_count;
    uint32_t buffer_count; /* power of two */
    uint32_t buffer_bytes;
};

/**
 * Create the uring, its table of direct descriptors and its buffers.
 *
 * Returns: STATUS_OK; or STATUS_SYSTEM with what is missing and what to do in @error.
 */
MUST_CHECK enum status uring_init(struct uring *uring, const struct uring_options *options,
                                  char error[URING_ERROR_BYTES]);
void uring_deinit(struct uring *uring);

/* The bytes of the buffer a completion names. */
static inline uint8_t *bufgroup_at(const struct bufgroup *buffers, uint32_t buffer_index)
{
    return buffers->bytes + (size_t)buffer_index * buffers->buffer_bytes;
}

/* Give a buffer back; the kernel sees it at the next bufgroup_publish. */
void bufgroup_return(struct bufgroup *buffers, uint32_t buffer_index);
void bufgroup_publish(struct bufgroup *buffers);
