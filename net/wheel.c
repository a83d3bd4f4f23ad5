/* net/wheel.c — see net/wheel.h. Thread: the owner's. */
#include "net/wheel.h"

#include <string.h>

void wheel_init(struct wheel *wheel, uint32_t now_tick,
                struct wheel_link *(*link_of)(void *owner, uint32_t index), void *owner)
{
    memset(wheel, 0, sizeof(*wheel));
    memset(wheel->heads, 0xff, sizeof(wheel->heads)); /* all WHEEL_NONE */
    wheel->now_tick = wheel->look_tick = now_tick;
    wheel->link_of = link_of;
    wheel->owner = owner;
}

static bool is_due(uint32_t deadline_tick, uint32_t now_tick)
{
    return (int32_t)(deadline_tick - now_tick) <= 0; /* ticks wrap after 34 years */
}

static void push_front(struct wheel *wheel, uint32_t list, uint32_t index)
{
    struct wheel_link *link = wheel->link_of(wheel->owner, index);

    link->previous_index = WHEEL_NONE;
    link->next_index = wheel->heads[list];
    if (link->next_index != WHEEL_NONE)
        wheel->link_of(wheel->owner, link->next_index)->previous_index = index;
    wheel->heads[list] = index;
    if (list != WHEEL_DUE)
        wheel->occupied[list / 64] |= 1ull << list % 64;
}

static void take_out(struct wheel *wheel, uint32_t index)
{
    struct wheel_link *link = wheel->link_of(wheel->owner, index);
    uint32_t list = link->deadline_tick % WHEEL_SLOTS;

    if (link->next_index != WHEEL_NONE)
        wheel->link_of(wheel->owner, link->next_index)->previous_index = link->previous_index;
    if (link->previous_index != WHEEL_NONE) {
        wheel->link_of(wheel->owner, link->previous_index)->next_index = link->next_index;
        return;
    }
    if (wheel->heads[list] != index)
        list = WHEEL_DUE;
    must(wheel->heads[list] == index);
    wheel->heads[list] = link->next_index;
    if (link->next_index == WHEEL_NONE && list != WHEEL_DUE)
        wheel->occupied[list / 64] &= ~(1ull << list % 64);
}

void wheel_add(struct wheel *wheel, uint32_t index, uint32_t deadline_tick)
{
    if (is_due(deadline_tick, wheel->look_tick)) /* not in this look again: that might never end */
        deadline_tick = wheel->look_tick + 1;
    wheel->link_of(wheel->owner, index)->deadline_tick = deadline_tick;
    push_front(wheel, deadline_tick % WHEEL_SLOTS, index);
    wheel->count++;
}

void wheel_remove(struct wheel *wheel, uint32_t index)
{
    take_out(wheel, index);
    wheel->count--;
}

/* Time passes @slot: those in it that are due go to WHEEL_DUE, the others wait another round. */
static void collect_due(struct wheel *wheel, uint32_t slot, uint32_t now_tick)
{
    uint32_t index = wheel->heads[slot];

    while (index != WHEEL_NONE) {
        struct wheel_link *link = wheel->link_of(wheel->owner, index);
        uint32_t next_index = link->next_index;

        if (is_due(link->deadline_tick, now_tick)) {
            take_out(wheel, index);
            push_front(wheel, WHEEL_DUE, index);
        }
        index = next_index;
    }
}

uint32_t wheel_expire(struct wheel *wheel, uint32_t now_tick)
{
    wheel->look_tick = now_tick;
    if (now_tick - wheel->now_tick > WHEEL_SLOTS)
        wheel->now_tick = now_tick - WHEEL_SLOTS; /* we slept long: each slot once is enough */
    while (wheel->heads[WHEEL_DUE] == WHEEL_NONE && wheel->now_tick != now_tick)
        collect_due(wheel, ++wheel->now_tick % WHEEL_SLOTS, now_tick);

    uint32_t index = wheel->heads[WHEEL_DUE];
    if (index != WHEEL_NONE)
        wheel_remove(wheel, index);
    return index;
}

uint32_t wheel_ticks_to_next(const struct wheel *wheel)
{
    if (wheel->count == 0)
        return UINT32_MAX;
    for (uint32_t ahead = 1; ahead <= WHEEL_SLOTS;) {
        uint32_t slot = (wheel->now_tick + ahead) % WHEEL_SLOTS;
        uint64_t rest = wheel->occupied[slot / 64] >> slot % 64;

        if (rest)
            return ahead + (uint32_t)__builtin_ctzll(rest);
        ahead += 64 - slot % 64;
    }
    return WHEEL_SLOTS;
}
