/*
 * core/must.h — the tools every file uses: must(), MUST_CHECK, span, status.
 *
 * Two kinds of error, two tools. What the world does wrong is an enum status, named by the
 * reaction it asks for. What only a bug in the broker can do is must(): live in every build
 * type, because a router that goes on with corrupt tables is worse than none.
 */
#pragma once

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE                        64
#define MUST_CHECK                        __attribute__((warn_unused_result))
#define PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#define COUNT_OF(array)                   (sizeof(array) / sizeof((array)[0]))

/* Operating errors: expected, counted, handled. */
enum status {
    STATUS_OK = 0,
    STATUS_NEED_MORE,     /* the peer has not sent enough yet */
    STATUS_MALFORMED,     /* the peer broke the protocol: close it */
    STATUS_LIMIT,         /* a configured bound was reached: refuse */
    STATUS_NO_MEMORY,     /* memory_limit was reached: refuse or shed */
    STATUS_SLOW_CONSUMER, /* the peer does not read: shed, or close it */
    STATUS_SYSTEM,        /* the kernel refused; errno is in the log line */
};

#define must(condition)                                                                            \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            must_fail(__FILE__, __LINE__, #condition);                                             \
    } while (0)

/* A place that only a bug can reach. */
#define must_never(text) must_fail(__FILE__, __LINE__, text)

/* Say where and what on stderr, then abort. Any thread. */
_Noreturn void must_fail(const char *file, int line, const char *condition);

/* Some bytes that belong to somebody else. */
struct span {
    const uint8_t *data;
    size_t bytes_count;
};

static inline struct span span_of(const void *data, size_t bytes_count)
{
    return (struct span){data, bytes_count};
}

static inline struct span span_skip(struct span span, size_t bytes_count)
{
    must(bytes_count <= span.bytes_count);
    return (struct span){span.data + bytes_count, span.bytes_count - bytes_count};
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}
