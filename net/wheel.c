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

void wheel_add(struct wheel *wheel, uint32_t index, uint32_t deadline_tick)
{
    struct wheel_link *link = wheel->link_of(wheel->owner, index);

    if (is_due(deadline_tick, wheel->look_tick)) /* not in this look again: that might never end */
        deadline_tick = wheel->look_tick + 1;
    uint32_t slot = deadline_tick % WHEEL_SLOTS;

    link->deadline_tick = deadline_tick;
    link->previous_index = WHEEL_NONE;
    link->next_index = wheel->heads[slot];
    if (link->next_index != WHEEL_NONE)
        wheel->link_of(wheel->owner, link->next_index)->previous_index = index;
    wheel->heads[slot] = index;
    wheel->occupied[slot / 64] |= 1ull << slot % 64;
    wheel->count++;
}

void wheel_remove(struct wheel *wheel, uint32_t index)
{
    struct wheel_link *link = wheel->link_of(wheel->owner, index);
    uint32_t slot = link->deadline_tick % WHEEL_SLOTS;

    if (link->next_index != WHEEL_NONE)
        wheel->link_of(wheel->owner, link->next_index)->previous_index = link->previous_index;
    if (link->previous_index != WHEEL_NONE) {
        wheel->link_of(wheel->owner, link->previous_index)->next_index = link->next_index;
    } else {
        must(wheel->heads[slot] == index);
        wheel->heads[slot] = link->next_index;
        if (link->next_index == WHEEL_NONE)
            wheel->occupied[slot / 64] &= ~(1ull << slot % 64);
    }
    wheel->count--;
}

/* The first entry of @slot that is due, or WHEEL_NONE. */
static uint32_t due_in_slot(struct wheel *wheel, uint32_t slot, uint32_t now_tick)
{
    uint32_t index = wheel->heads[slot];

    while (index != WHEEL_NONE) {
        struct wheel_link *link = wheel->link_of(wheel->owner, index);

        if (is_due(link->deadline_tick, now_tick))
            return index;
        index = link->next_index;
    }
    return WHEEL_NONE;
}

uint32_t wheel_expire(struct wheel *wheel, uint32_t now_tick)
{
    uint32_t passed = now_tick - wheel->now_tick;

    wheel->look_tick = now_tick;
    if (passed > WHEEL_SLOTS) { /* we slept past a whole revolution: each slot once is enough */
        wheel->now_tick = now_tick - WHEEL_SLOTS;
        passed = WHEEL_SLOTS;
    }
    for (; passed > 0; passed--) {
        uint32_t slot = (wheel->now_tick + 1) % WHEEL_SLOTS;
        uint32_t index = due_in_slot(wheel, slot, now_tick);

        if (index != WHEEL_NONE) {
            wheel_remove(wheel, index);
            return index; /* time stays before this slot until it has nothing more that is due */
        }
        wheel->now_tick++;
    }
    return WHEEL_NONE;
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
