/*
 * tests/faults/faults.c — the n-th thing of a kind goes wrong, in an smqd that is otherwise real.
 *
 *      reactor ──completion_handle──> [here] ──> net/completions.c
 *      all     ──mem_alloc──────────> [here] ──> core/mem.c
 *      all     ──clock_gettime──────> [here] ──> libc
 *
 * The linker leads those calls here (--wrap), so the broker's own code knows nothing of it. The
 * test's side is a shared page: it writes a kind and a number, and reads whether it came to pass.
 *
 * A fault is what a kernel could have done: a receive that ends early has really been cancelled, a
 * short send has really sent less, an accept that failed has no descriptor. Only stale and doubled
 * completions are what no kernel should do.
 *
 * Environment: FAULTS_PAGE, the file of the shared page; FAULTS_LIST, to print the kinds and leave;
 *              FAULTS_SMALL_RINGS, for submission and completion queues of a few places.
 * Thread:      any; completions only the I/O threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <time.h>
#include <unistd.h>

#include "net/completions.h"
#include "net/outq.h"

#define SWALLOW_MAX 64u

enum effect {
    ALLOC,   /* an allocation is refused */
    CLOCK,   /* from here on the clock is CLOCK_STEP_S ahead */
    RESULT,  /* the completion says the error */
    ENDED,   /* the multishot request ends behind this completion, with the error */
    LAST,    /* this completion says that it is the request's last, without an error */
    GATHER,  /* a send of nothing, which answers with the error; or of one byte, without one */
    LOST,    /* what was accepted is closed again, and the accept ends with the error */
    STALE,   /* a completion for an earlier connection of the slot comes before this one */
    DOUBLED, /* it comes twice */
};

struct kind {
    const char *name;
    enum effect effect;
    enum conn_op op; /* OP_COUNT: any */
    int error;
    bool is_harmless; /* nobody may notice */
};

static const struct kind kinds[] = {
    {"alloc", ALLOC, OP_COUNT, 0, false},
    {"clock", CLOCK, OP_COUNT, 0, true},
    {"recv-nobufs", ENDED, OP_RECV, ENOBUFS, true},
    {"recv-canceled", ENDED, OP_RECV, ECANCELED, true},
    {"recv-reset", ENDED, OP_RECV, ECONNRESET, false},
    {"recv-no-more", LAST, OP_RECV, 0, true},
    {"poll-canceled", RESULT, OP_POLL, ECANCELED, true},
    {"send-short", GATHER, OP_SEND, 0, true},
    {"send-again", GATHER, OP_SEND, EAGAIN, true},
    {"send-nobufs", GATHER, OP_SEND, ENOBUFS, false},
    {"send-canceled", GATHER, OP_SEND, ECANCELED, false},
    {"send-reset", GATHER, OP_SEND, ECONNRESET, false},
    {"writable-canceled", RESULT, OP_WRITABLE, ECANCELED, true},
    {"peer-unknown", RESULT, OP_PEER, EINVAL, true},
    {"cancel-lost", RESULT, OP_CANCEL, ENOENT, true},
    {"shutdown-failed", RESULT, OP_SHUTDOWN, ENOTCONN, true},
    {"close-failed", RESULT, OP_CLOSE, EIO, true},
    {"accept-aborted", LOST, OP_ACCEPT, ECONNABORTED, false},
    {"accept-nobufs", LOST, OP_ACCEPT, ENOBUFS, false},
    {"accept-nofile", LOST, OP_ACCEPT, ENFILE, false},
    {"accept-canceled", LOST, OP_ACCEPT, ECANCELED, false},
    {"wake-no-more", LAST, OP_WAKE, 0, true},
    {"stale", STALE, OP_COUNT, 0, true},
    {"doubled", DOUBLED, OP_COUNT, 0, true},
};

#define CLOCK_STEP_S 2

/* Shared with the test: kind + 1 (0: none), how many until it goes wrong, how often it went. And
 * the wish for a system call that is not on the list of server/calls.c, with what came of it. */
struct page {
    _Atomic uint32_t kind_plus_one;
    _Atomic uint32_t left_count;
    _Atomic uint32_t hit_count;
    _Atomic uint32_t forbidden_call_wanted;
    _Atomic int32_t forbidden_call_error; /* 0: it was made */
};

static struct page nothing;
static struct page *page = &nothing;

__attribute__((constructor)) static void open_page(void)
{
    const char *path = getenv("FAULTS_PAGE");

    if (getenv("FAULTS_LIST")) {
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
            printf("%s %s\n", kinds[i].name, kinds[i].is_harmless ? "harmless" : "felt");
        exit(0);
    }
    if (!path)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    must(fd >= 0 && mapped != MAP_FAILED);
    close(fd);
    page = mapped;
}

/* The kind that is to go wrong, if it has this effect; else NULL. */
static const struct kind *armed(enum effect effect)
{
    uint32_t kind = atomic_load_explicit(&page->kind_plus_one, memory_order_relaxed);

    return kind > 0 && kinds[kind - 1].effect == effect ? &kinds[kind - 1] : NULL;
}

/* One more of the armed kind comes by: is it the one? */
static bool is_the_one(void)
{
    uint32_t left = atomic_load(&page->left_count);

    while (left > 0 && !atomic_compare_exchange_weak(&page->left_count, &left, left - 1))
        ;
    if (left != 1)
        return false;
    atomic_fetch_add(&page->hit_count, 1);
    return true;
}

/* -- allocations -- */

void *__real_mem_alloc(struct mem *mem, enum mem_kind kind, size_t bytes);
void *__wrap_mem_alloc(struct mem *mem, enum mem_kind kind, size_t bytes);
void *__real_mem_alloc_zero(struct mem *mem, enum mem_kind kind, size_t bytes);
void *__wrap_mem_alloc_zero(struct mem *mem, enum mem_kind kind, size_t bytes);
void *__real_mem_resize(struct mem *mem, enum mem_kind kind, void *block, size_t old_bytes,
                        size_t new_bytes);
void *__wrap_mem_resize(struct mem *mem, enum mem_kind kind, void *block, size_t old_bytes,
                        size_t new_bytes);

/* core/mem.c refuses it itself, and counts that. Thread: the owner of @mem. */
static void maybe_refuse(struct mem *mem)
{
    if (armed(ALLOC) && is_the_one())
        mem->fail_at = 1;
}

void *__wrap_mem_alloc(struct mem *mem, enum mem_kind kind, size_t bytes)
{
    maybe_refuse(mem);
    return __real_mem_alloc(mem, kind, bytes);
}

void *__wrap_mem_alloc_zero(struct mem *mem, enum mem_kind kind, size_t bytes)
{
    maybe_refuse(mem);
    return __real_mem_alloc_zero(mem, kind, bytes);
}

void *__wrap_mem_resize(struct mem *mem, enum mem_kind kind, void *block, size_t old_bytes,
                        size_t new_bytes)
{
    if (new_bytes > old_bytes) /* shrinking is never refused */
        maybe_refuse(mem);
    return __real_mem_resize(mem, kind, block, old_bytes, new_bytes);
}

/* -- the clock -- */

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    static _Atomic time_t ahead_s;
    int result = __real_clock_gettime(clock, now);

    if (clock != CLOCK_MONOTONIC)
        return result;
    if (armed(CLOCK) && is_the_one())
        atomic_fetch_add(&ahead_s, CLOCK_STEP_S);
    now->tv_sec += atomic_load(&ahead_s);
    return result;
}

/* -- sends -- */

uint32_t __real_outq_gather(struct outq *out, struct iovec *iovecs, uint32_t room);
uint32_t __wrap_outq_gather(struct outq *out, struct iovec *iovecs, uint32_t room);

static _Thread_local struct reactor *own_reactor; /* this thread's, from its first completion on */
static _Thread_local int send_error;              /* what the next send's answer becomes */

/* A gathering that is sent, and not only sealed (net/secure.c), goes to the reactor's own iovecs.
 */
static bool is_for_the_kernel(const struct iovec *iovecs)
{
    const uint8_t *first = (const uint8_t *)own_reactor->scratch;
    const uint8_t *at = (const uint8_t *)iovecs;

    return at >= first && at < first + malloc_usable_size(own_reactor->scratch);
}

uint32_t __wrap_outq_gather(struct outq *out, struct iovec *iovecs, uint32_t room)
{
    const struct kind *kind = armed(GATHER);
    uint32_t count = __real_outq_gather(out, iovecs, room);

    if (count == 0 || !kind || !own_reactor || !is_for_the_kernel(iovecs) || !is_the_one())
        return count;
    send_error = kind->error;
    iovecs[0].iov_len = kind->error ? 0 : 1;
    return 1;
}

/* -- completions -- */

void __real_completion_handle(struct reactor *reactor, const struct io_uring_cqe *cqe);
void __wrap_completion_handle(struct reactor *reactor, const struct io_uring_cqe *cqe);

/* Requests that we have cancelled, and what the broker is to hear of their end. */
static _Thread_local struct {
    uint64_t user_data;
    int error; /* 0: nothing */
} ended[SWALLOW_MAX];
static _Thread_local uint32_t ended_count;

static enum conn_op op_of(const struct io_uring_cqe *cqe)
{
    return (enum conn_op)(cqe->user_data >> 56);
}

/* The kernel ends the request; the completion that says so is still to come. */
static void end_request(struct reactor *reactor, uint64_t user_data, int error)
{
    struct io_uring_sync_cancel_reg cancel = {.addr = user_data, .fd = -1, .timeout = {-1, -1}};

    must(ended_count < SWALLOW_MAX);
    if (io_uring_register_sync_cancel(&reactor->uring.kernel, &cancel) < 0)
        return; /* it has just ended by itself */
    ended[ended_count].user_data = user_data;
    ended[ended_count++].error = error;
}

/* Is this the end that we caused? *@error: what to say instead. */
static bool is_ended_by_us(const struct io_uring_cqe *cqe, int *error)
{
    if (cqe->res != -ECANCELED || cqe->flags & IORING_CQE_F_MORE)
        return false;
    for (uint32_t i = 0; i < ended_count; i++) {
        if (ended[i].user_data != cqe->user_data)
            continue;
        *error = ended[i].error;
        ended[i] = ended[--ended_count];
        return true;
    }
    return false;
}

/* What came is left as it is; what follows is not. */
static void end_behind(struct reactor *reactor, struct io_uring_cqe *cqe, const struct kind *kind)
{
    if (kind->effect == LAST) {
        end_request(reactor, cqe->user_data, 0);
        cqe->flags &= ~IORING_CQE_F_MORE;
        __real_completion_handle(reactor, cqe);
    } else {
        end_request(reactor, cqe->user_data, kind->error);
        __real_completion_handle(reactor, cqe);
    }
}

/* An accept that failed: its descriptor was never there. */
static void lose(struct reactor *reactor, struct io_uring_cqe *cqe, const struct kind *kind)
{
    int none = -1;

    must(io_uring_register_files_update(&reactor->uring.kernel, (unsigned)cqe->res, &none, 1) == 1);
    cqe->res = -kind->error;
    __real_completion_handle(reactor, cqe);
}

static void handle_stale(struct reactor *reactor, const struct io_uring_cqe *cqe)
{
    struct io_uring_cqe stale = {.user_data = cqe->user_data ^ 1ull << 47, .res = -ECANCELED};

    __real_completion_handle(reactor, &stale);
    __real_completion_handle(reactor, cqe);
}

/* Has the kernel posted more of this request behind @cqe? Then it is not the request's last. */
static bool has_more_behind(struct reactor *reactor, const struct io_uring_cqe *cqe)
{
    struct io_uring *kernel = &reactor->uring.kernel;
    struct io_uring_cqe *other;
    bool is_behind = false;
    unsigned head;

    io_uring_for_each_cqe(kernel, head, other)
    {
        if (is_behind && other->user_data == cqe->user_data)
            return true;
        is_behind |= other == cqe;
    }
    return false;
}

static bool concerns(struct reactor *reactor, const struct kind *kind,
                     const struct io_uring_cqe *cqe)
{
    bool goes_on = cqe->flags & IORING_CQE_F_MORE;
    enum conn_op op = op_of(cqe);
    bool is_of_conn = op != OP_ACCEPT && op != OP_WAKE && (uint16_t)(cqe->user_data >> 32) != 0;

    if (kind->op != OP_COUNT && kind->op != op)
        return false;
    if (kind->effect == ENDED || kind->effect == LAST)
        return goes_on && cqe->res >= 0 && !has_more_behind(reactor, cqe);
    if (kind->effect == LOST)
        return cqe->res >= 0;
    if (kind->effect == DOUBLED)
        return is_of_conn && !goes_on; /* another one of a multishot would be taken for a new one */
    return kind->effect == RESULT || (kind->effect == STALE && is_of_conn);
}

static void go_wrong(struct reactor *reactor, struct io_uring_cqe *cqe, const struct kind *kind)
{
    switch (kind->effect) {
    case ENDED:
    case LAST:
        end_behind(reactor, cqe, kind);
        return;
    case LOST:
        lose(reactor, cqe, kind);
        return;
    case STALE:
        handle_stale(reactor, cqe);
        return;
    case DOUBLED:
        __real_completion_handle(reactor, cqe);
        break;
    case RESULT:
        cqe->res = -kind->error;
        break;
    case ALLOC:
    case CLOCK:
    case GATHER:
        must_never("not about completions");
    }
    __real_completion_handle(reactor, cqe);
}

/* What an intruder might do: a call that smqd never makes. This one only asks. */
static void make_forbidden_call(void)
{
    bool made = personality(0xffffffff) >= 0;

    atomic_store(&page->forbidden_call_error, made ? 0 : errno);
    atomic_store(&page->forbidden_call_wanted, 0);
}

void __wrap_completion_handle(struct reactor *reactor, const struct io_uring_cqe *cqe)
{
    uint32_t armed_kind = atomic_load_explicit(&page->kind_plus_one, memory_order_relaxed);
    const struct kind *kind = armed_kind > 0 ? &kinds[armed_kind - 1] : NULL;
    struct io_uring_cqe copy = *cqe;
    int error;

    own_reactor = reactor;
    if (atomic_load_explicit(&page->forbidden_call_wanted, memory_order_relaxed))
        make_forbidden_call();
    if (op_of(cqe) == OP_SEND && send_error && cqe->res == 0) {
        copy.res = -send_error;
        send_error = 0;
    } else if (is_ended_by_us(cqe, &error)) {
        if (error == 0)
            return;
        copy.res = -error;
    } else if (kind && kind->effect >= RESULT && kind->effect != GATHER &&
               concerns(reactor, kind, cqe) && is_the_one()) {
        go_wrong(reactor, &copy, kind);
        return;
    }
    __real_completion_handle(reactor, &copy);
}

/* -- queues -- */

int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *uring,
                                      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *uring,
                                      struct io_uring_params *params);

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *uring,
                                      struct io_uring_params *params)
{
    if (getenv("FAULTS_SMALL_RINGS")) {
        entries = 4;
        params->cq_entries = 4;
    }
    return __real_io_uring_queue_init_params(entries, uring, params);
}
