/* core/msg.c — see core/msg.h. Any thread. */
#include "core/msg.h"

#include <string.h>

struct msg *msg_new(struct mem *mem, size_t bytes_count)
{
    must(bytes_count <= UINT32_MAX);
    struct msg *msg = mem_alloc(mem, MEM_MESSAGE, sizeof(*msg) + bytes_count);

    if (!msg)
        return NULL;
    atomic_init(&msg->ref_count, 1);
    msg->bytes_count = (uint32_t)bytes_count;
    return msg;
}

struct msg *msg_copy(struct mem *mem, struct span bytes)
{
    struct msg *msg = msg_new(mem, bytes.bytes_count);

    if (msg && bytes.bytes_count > 0)
        memcpy(msg->bytes, bytes.data, bytes.bytes_count);
    return msg;
}

struct msg *msg_resize(struct mem *mem, struct msg *msg, size_t bytes_count)
{
    must(bytes_count <= UINT32_MAX);
    must(atomic_load_explicit(&msg->ref_count, memory_order_relaxed) == 1);
    struct msg *resized = mem_resize(mem, MEM_MESSAGE, msg, sizeof(*msg) + msg->bytes_count,
                                     sizeof(*msg) + bytes_count);

    if (resized)
        resized->bytes_count = (uint32_t)bytes_count;
    return resized;
}

void msg_unref(struct mem *mem, struct msg *msg)
{
    if (!msg)
        return;
    /* Sole holder: nobody else can add a reference any more, so no atomic write is needed. */
    if (atomic_load_explicit(&msg->ref_count, memory_order_acquire) != 1) {
        uint32_t before = atomic_fetch_sub_explicit(&msg->ref_count, 1, memory_order_acq_rel);

        must(before > 0);
        if (before > 1)
            return;
    }
    mem_free(mem, MEM_MESSAGE, msg, sizeof(*msg) + msg->bytes_count);
}
