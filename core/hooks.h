/*
 * core/hooks.h — what an instance's script wants to be asked or told, and where it is.
 *
 *      I/O actor ──CONNECT, SUBSCRIBE, PUBLISH …──> script host ──the same──> shard
 *                <──CONNECTED, SUBSCRIBED …: no────┘
 *
 * A hook is a detour: the very envelope that would go to a shard goes to the script's host, which
 * passes it on, or answers in the shard's place. Lanes keep order, so the detour does. The script
 * host sets what its script wants when that is loaded; I/O actors and shards read it for each
 * request. An instance without a script has no host: it pays a test or two.
 *
 * Thread: each function says whose.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/limits.h"

/* A Connect always takes the detour: the script must know its peers. Until a script is loaded all
 * of these are set, and the host refuses what it is asked. */
#define HOOK_PERMITTOP    0x01u /* SUBSCRIBE, CREATE */
#define HOOK_PERMITSUBTOP 0x02u /* CREATESUB */
#define HOOK_ONPUBLISH                                                                             \
    0x04u /* PUBLISH; with it SUBSCRIBE and UNSUBSCRIBE, which may not overtake */
#define HOOK_ONDROP    0x08u /* shards tell it which runs nobody received: DROPPED */
#define HOOKS_REFUSING (HOOK_PERMITTOP | HOOK_PERMITSUBTOP | HOOK_ONPUBLISH)

#define HOOK_TOPICS_MAX 16u /* hub:onpublish() may be limited to so many topics */

#define HOOKS_NO_HOST 0u /* actor 0 is an I/O actor */

/* Times that a script chose for its instance's clients, in ms; 0: the configuration's is in force.
 */
struct hooks_times {
    uint32_t connect_ms; /* from the accept to the Connect; never more than limits.handshake_ms */
    uint32_t idle_ms;    /* in place of keepalive.idle_ms */
    uint32_t answer_ms;  /* in place of keepalive.answer_ms */
};

/* One for each instance, where any has a script. */
struct hooks {
    _Atomic uint32_t host_index; /* of the script, in the mesh; once set it stays */
    _Atomic uint32_t mask;
    _Atomic uint32_t topic_count;             /* of HOOK_ONPUBLISH; 0: every topic and client */
    _Atomic uint32_t topics[HOOK_TOPICS_MAX]; /* those alone */
    _Atomic bool wants_room[LIMIT_ACTORS];    /* by I/O actor: something waits for the full lane */
    _Atomic uint32_t connect_ms; /* hooks_times; each alone, so they may be mixed for */
    _Atomic uint32_t idle_ms;    /* a moment */
    _Atomic uint32_t answer_ms;
};

/* Thread: main, before the start, for an instance that has a script of its own; or the script
 * host's whose hub is bound to this instance later. */
static inline void hooks_begin(struct hooks *hooks, uint32_t host_index, uint32_t mask)
{
    atomic_store_explicit(&hooks->mask, mask, memory_order_relaxed);
    atomic_store_explicit(&hooks->host_index, host_index, memory_order_release);
}

/* Who is asked; HOOKS_NO_HOST: nobody. @hooks may be NULL. Any thread. */
static inline uint32_t hooks_host(const struct hooks *hooks)
{
    return hooks ? atomic_load_explicit(&hooks->host_index, memory_order_acquire) : HOOKS_NO_HOST;
}

/* Any thread. */
static inline bool hooks_want(const struct hooks *hooks, uint32_t any_of)
{
    return hooks && atomic_load_explicit(&hooks->mask, memory_order_relaxed) & any_of;
}

/* Does onpublish want a Publish to @destination? Any thread. */
static inline bool hooks_want_publish(const struct hooks *hooks, uint32_t destination)
{
    if (!hooks_want(hooks, HOOK_ONPUBLISH))
        return false;
    uint32_t count = atomic_load_explicit(&hooks->topic_count, memory_order_acquire);

    for (uint32_t i = 0; i < count; i++)
        if (atomic_load_explicit(&hooks->topics[i], memory_order_relaxed) == destination)
            return true;
    return count == 0;
}

/* Thread: the script host's. @topic_count 0: all of them. */
static inline void hooks_set(struct hooks *hooks, uint32_t mask, const uint32_t *topics,
                             uint32_t topic_count)
{
    for (uint32_t i = 0; i < topic_count; i++)
        atomic_store_explicit(&hooks->topics[i], topics[i], memory_order_relaxed);
    atomic_store_explicit(&hooks->topic_count, topic_count, memory_order_release);
    atomic_store_explicit(&hooks->mask, mask, memory_order_release);
}

/* Thread: the script host's. Connections take them when their next deadline is set. */
static inline void hooks_set_times(struct hooks *hooks, struct hooks_times times)
{
    atomic_store_explicit(&hooks->connect_ms, times.connect_ms, memory_order_relaxed);
    atomic_store_explicit(&hooks->idle_ms, times.idle_ms, memory_order_relaxed);
    atomic_store_explicit(&hooks->answer_ms, times.answer_ms, memory_order_relaxed);
}

/* Any thread. */
static inline struct hooks_times hooks_times(const struct hooks *hooks)
{
    return (struct hooks_times){
        .connect_ms = atomic_load_explicit(&hooks->connect_ms, memory_order_relaxed),
        .idle_ms = atomic_load_explicit(&hooks->idle_ms, memory_order_relaxed),
        .answer_ms = atomic_load_explicit(&hooks->answer_ms, memory_order_relaxed),
    };
}

/* Thread: the script host's, after it has read from I/O actor @io_index: is a ROOM wanted there? */
static inline bool hooks_take_wish(struct hooks *hooks, uint32_t io_index)
{
    return atomic_load_explicit(&hooks->wants_room[io_index], memory_order_relaxed) &&
           atomic_exchange(&hooks->wants_room[io_index], false);
}
