/* net/turns.c — see net/turns.h. Thread: the I/O actor's. */
#include "net/turns.h"

void turns_init(struct turns *turns, uint32_t in_max)
{
    must(in_max > 0);
    *turns = (struct turns){.in_max = in_max};
}

void turns_deinit(struct turns *turns, struct mem *mem)
{
    line_deinit(&turns->waiting, mem);
    line_deinit(&turns->going, mem);
    line_deinit(&turns->begun, mem);
}

bool turns_wait(struct turns *turns, struct mem *mem, struct conn_handle conn)
{
    return line_push(&turns->waiting, mem, (struct line_place){.conn = conn});
}

bool turns_next(struct turns *turns, struct mem *mem, struct conn_handle *conn)
{
    return turns_may_begin(turns) && line_pop(&turns->waiting, mem, conn);
}

bool turns_wait_on(struct turns *turns, struct mem *mem, struct conn_handle conn)
{
    return line_push(&turns->going, mem, (struct line_place){.conn = conn});
}

bool turns_next_on(struct turns *turns, struct mem *mem, struct conn_handle *conn)
{
    return line_pop(&turns->going, mem, conn);
}

void turns_begin(struct turns *turns, struct mem *mem, struct conn_handle conn, uint32_t now_tick)
{
    must(turns->in_count < turns->in_max);
    turns->in_count++;
    /* Without memory to note it, its place is kept until it ends by itself. */
    (void)!line_push(&turns->begun, mem, (struct line_place){.conn = conn, .tick = now_tick});
}

void turns_end(struct turns *turns)
{
    must(turns->in_count > 0);
    turns->in_count--;
}

bool turns_expire(struct turns *turns, struct mem *mem, uint32_t now_tick, struct conn_handle *conn)
{
    if (turns->begun.count == 0 ||
        (int32_t)(now_tick - line_first(&turns->begun)->tick - TURNS_TICKS) < 0)
        return false;
    return line_pop(&turns->begun, mem, conn);
}
