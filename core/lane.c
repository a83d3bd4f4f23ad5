/*
 * core/lane.c — see core/lane.h. Thread: each function says which side it belongs to.
 */
#include "core/lane.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/limits.h"
#include "core/msg.h"
#include "core/tsan.h"

CK_RING_PROTOTYPE(envelope, envelope)

static const char *const kind_names[ENVELOPE_KIND_COUNT] = {
#define X(name) [ENVELOPE_##name] = #name,
    ENVELOPES(X)
#undef X
};

const char *envelope_kind_name(enum envelope_kind kind)
{
    must(kind < ENVELOPE_KIND_COUNT);
    return kind_names[kind];
}

void lane_init(struct lane *lane, struct mem *mem, uint32_t slot_count, struct parker *parker)
{
    must(slot_count >= 2 && (slot_count & (slot_count - 1)) == 0);
    memset(lane, 0, sizeof(*lane));
    ck_ring_init(&lane->ring, slot_count);
    lane->slots = mem_alloc_lines(mem, MEM_LANE, sizeof(struct envelope) * slot_count);
    memset(lane->slots, 0, sizeof(struct envelope) * slot_count); /* pages now, not under load */
    lane->parker = parker;
    lane->mem = mem;
}

void lane_deinit(struct lane *lane)
{
    struct envelope envelope;
    size_t slot_count = ck_ring_capacity(&lane->ring);

    do {
        while (lane_pop(lane, &envelope))
            msg_unref(lane->mem, envelope.msg);
    } while (!lane_flush(lane) || lane_depth(lane) > 0);
    mem_free(lane->mem, MEM_LANE, lane->spill, sizeof(struct envelope) * lane->spill_capacity);
    mem_free(lane->mem, MEM_LANE, lane->slots, sizeof(struct envelope) * slot_count);
    lane->slots = lane->spill = NULL;
}

static void count_one(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static void spill_grow(struct lane *lane)
{
    uint32_t capacity = lane->spill_capacity ? lane->spill_capacity * 2 : LIMIT_LANE_SLOTS_MIN;
    /* Never refused: an envelope that must be sent has no other place to be. */
    struct envelope *grown = mem_alloc_lines(lane->mem, MEM_LANE, sizeof(*grown) * capacity);

    if (lane->spill_count > 0)
        memcpy(grown, lane->spill + lane->spill_first_index, sizeof(*grown) * lane->spill_count);
    mem_free(lane->mem, MEM_LANE, lane->spill, sizeof(*grown) * lane->spill_capacity);
    lane->spill = grown;
    lane->spill_capacity = capacity;
    lane->spill_first_index = 0;
}

static void spill_push(struct lane *lane, const struct envelope *envelope)
{
    if (lane->spill_first_index + lane->spill_count == lane->spill_capacity) {
        if (lane->spill_count * 2 > lane->spill_capacity || lane->spill_capacity == 0) {
            spill_grow(lane);
        } else { /* a spill that moves on but never empties must not grow: slide down */
            memcpy(lane->spill, lane->spill + lane->spill_first_index,
                   sizeof(*envelope) * lane->spill_count);
            lane->spill_first_index = 0;
        }
    }
    lane->spill[lane->spill_first_index + lane->spill_count++] = *envelope;
}

/* CK's prototype takes the entry as a plain pointer; it only reads it. */
static bool ring_push(struct lane *lane, const struct envelope *envelope)
{
    tsan_release(&lane->ring);
    tsan_look_away();
    bool pushed = ck_ring_enqueue_spsc_envelope(&lane->ring, lane->slots,
                                                (struct envelope *)(uintptr_t)envelope);
    tsan_look_again();
    return pushed;
}

void lane_push(struct lane *lane, const struct envelope *envelope)
{
    must(envelope->kind < ENVELOPE_KIND_COUNT);
    count_one(&lane->pushed_count);
    if (lane->spill_count == 0 && ring_push(lane, envelope))
        return;
    if (lane->spill_count == 0)
        count_one(&lane->full_count);
    spill_push(lane, envelope);
}

bool lane_flush(struct lane *lane)
{
    while (lane->spill_count > 0) {
        if (!ring_push(lane, lane->spill + lane->spill_first_index))
            return false;
        lane->spill_first_index++;
        lane->spill_count--;
    }
    if (lane->spill_capacity > 0) {
        mem_free(lane->mem, MEM_LANE, lane->spill, sizeof(struct envelope) * lane->spill_capacity);
        lane->spill = NULL;
        lane->spill_capacity = 0;
        lane->spill_first_index = 0;
    }
    return true;
}

bool lane_pop(struct lane *lane, struct envelope *out)
{
    tsan_look_away();
    bool popped = ck_ring_dequeue_spsc_envelope(&lane->ring, lane->slots, out);
    tsan_look_again();
    tsan_acquire(&lane->ring);
    return popped;
}

uint32_t lane_depth(const struct lane *lane)
{
    return ck_ring_size(&lane->ring);
}

uint32_t lane_room(const struct lane *lane)
{
    if (lane_is_backlogged(lane))
        return 0;
    return ck_ring_capacity(&lane->ring) - 1 - lane_depth(lane);
}

enum status parker_init(struct parker *parker)
{
    atomic_init(&parker->parked, false);
    atomic_init(&parker->wake_count, 0);
    parker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return parker->wake_fd < 0 ? STATUS_SYSTEM : STATUS_OK;
}

void parker_deinit(struct parker *parker)
{
    if (parker->wake_fd >= 0)
        close(parker->wake_fd);
    parker->wake_fd = -1;
}

void parker_wake(struct parker *parker)
{
    static const uint64_t one = 1;

    atomic_thread_fence(memory_order_seq_cst); /* our pushes before our look at parked */
    if (!atomic_load_explicit(&parker->parked, memory_order_relaxed))
        return;
    if (!atomic_exchange_explicit(&parker->parked, false, memory_order_acq_rel))
        return; /* another waker was first */
    atomic_fetch_add_explicit(&parker->wake_count, 1, memory_order_relaxed);
    ssize_t written = write(parker->wake_fd, &one, sizeof(one));
    must(written == sizeof(one) || errno == EAGAIN);
}

void parker_prepare(struct parker *parker)
{
    atomic_store_explicit(&parker->parked, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* our parked before our look at the lanes */
}

void parker_cancel(struct parker *parker)
{
    atomic_store_explicit(&parker->parked, false, memory_order_relaxed);
}
