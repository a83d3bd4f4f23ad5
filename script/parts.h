/*
 * script/parts.h — what the files of script/ know of one another. Private to script/.
 *
 *      script (the actor) ── state: one loaded script ── hubs ── link: a client of an instance
 *                         └─ the next state, while it is loaded
 *
 * Thread: the script actor's, but where it says otherwise.
 */
#pragma once

#include <lua.h>

#include "core/hooks.h"
#include "core/local_client.h"
#include "script/bounds.h"
#include "script/script.h"

#define SCRIPT_HUBS_MAX    8u /* of one script: each is bound to an instance of its own */
#define SCRIPT_LINKS_MAX   (2 * SCRIPT_HUBS_MAX) /* while one script replaces another */
#define SCRIPT_TIMERS_MAX  1000u /* set at a time: they are looked at one after the other */
#define SCRIPT_LOAD_MS     10000u
#define SCRIPT_EVENT_BATCH 256u /* of those that waited, before the lanes get a look */
#define SCRIPT_FOLD_COUNT  64u  /* errors whose traceback has been shown */

/* A client of an instance. Two states may share it while one replaces the other: there is only one
 * ETID 1. */
struct link {
    struct script *script;
    struct local_client client;
    uint32_t hub_count; /* hubs that use it; 0: it is free */
    bool is_random;     /* its ETID was drawn */
    uint32_t waiting_max;
    uint32_t waiting_count; /* published while a lane was full */

    /* The one answer that is waited for. */
    bool is_answered;
    bool is_granted;
    uint32_t answer_id;
    uint32_t answer_name_bytes;
    uint8_t answer_name[255];
};

/* What the broker calls of a hub (script/hub.lua). */
#define HUB_ENTRIES(X)                                                                             \
    X(MESSAGE, "message")                                                                          \
    X(CHANGE, "change")                                                                            \
    X(SUBSCRIPTIONS, "subscriptions")                                                              \
    X(OBSERVATIONS, "observations")                                                                \
    X(INTRODUCED, "introduced")                                                                    \
    X(JOINED, "joined")                                                                            \
    X(LEFT, "left")                                                                                \
    X(AUTHENTICATE, "authenticate")                                                                \
    X(PERMITTOP, "permittop")                                                                      \
    X(PERMITSUBTOP, "permitsubtop")                                                                \
    X(ONPUBLISH, "onpublish")                                                                      \
    X(ONDROP, "ondrop")                                                                            \
    X(EXPORTED, "exported")                                                                        \
    X(IMPORTED, "imported")

enum hub_entry {
#define X(name, text) HUB_ENTRY_##name,
    HUB_ENTRIES(X)
#undef X
        HUB_ENTRY_COUNT
};

struct hub {
    struct state *state;
    struct link *link; /* NULL: not bound to an instance yet */
    bool is_random;
    uint32_t queue_max;
    int entries[HUB_ENTRY_COUNT];     /* references to functions; LUA_NOREF: not wanted */
    uint32_t topics[HOOK_TOPICS_MAX]; /* of onpublish; */
    uint32_t topic_count;             /* 0: all, or too many to list: then hub.lua chooses */
    struct hooks_times times;
};

struct timer; /* script/timers.c */

/* One loaded script. */
struct state {
    struct script *script;
    struct bounds bounds;
    lua_State *L;
    struct hub hubs[SCRIPT_HUBS_MAX];
    uint32_t hub_count;
    struct async *async;  /* NULL until the first job */
    struct timer *timers; /* those that are set */
    uint32_t timer_count;
    uint64_t call_count;
    uint32_t shown[SCRIPT_FOLD_COUNT]; /* hashes of errors */
    uint32_t shown_count;
};

/* A message or a change that came while the script waited for something else. */
struct event {
    struct link *link;
    bool is_change;
    uint32_t id; /* destination, or what is observed */
    uint32_t publisher;
    uint32_t subtopic;
    uint32_t count; /* of a change: subscribers */
    struct msg *payload;
};

struct async; /* script/async.c */

struct script {
    const struct config *config;
    const struct config_instance *instance;
    uint16_t instance_index;
    struct port *port;
    struct mem *mem;
    struct log_lane *log;
    struct hooks *hooks; /* of all instances; NULL: nothing takes the detour (tests) */
    struct siphash_key name_key;
    const struct script_crypto *crypto;
    char *path;   /* of the file, absolute */
    char *folder; /* of the file, without links */

    struct state *state;   /* in force, or NULL */
    struct state *loading; /* built and run at this moment, or NULL */
    struct link links[SCRIPT_LINKS_MAX];
    struct async *leaving; /* workers of scripts that have been replaced */

    struct msg *facts[LIMIT_ACTORS]; /* by I/O actor: of the CONNECT that comes next */

    /* The bite of a list that is waited for. */
    struct msg *list_rows;
    uint32_t list_next;
    bool is_list_done;

    bool is_waiting; /* a call from Lua waits for an answer: messages become events */
    bool is_stopped;
    bool wants_reload;
    struct event *events; /* a ring of config->script.queue */
    uint32_t event_first;
    uint32_t event_count;
    int64_t now_ms; /* of this turn; CLOCK_MONOTONIC */

    void (*wait)(void *context); /* tests: instead of sleeping */
    void *wait_context;

    struct script_stats stats;
};

static inline void script_count(struct script *script, enum script_stat stat, uint64_t amount)
{
    counter_add(&script->stats.values[stat], amount);
}

/* -- script.c -- */

/* Let the world turn until *@is_done. Thread: the actor's, in a call from Lua. */
void script_wait(struct script *script, const bool *is_done);

/* -- state.c -- */

/* Build a state and run the script's file in it. NULL with the reason in @error: nothing is left
 * of it. */
#define STATE_ERROR_BYTES 512u
struct state *state_open(struct script *script, char error[STATE_ERROR_BYTES]);
void state_close(struct state *state);

/* Which state is this? Raises nothing. */
struct state *state_of(lua_State *L);

/**
 * Call the function below @argument_count arguments, within its time.
 *
 * Returns: true with @result_count results on the stack; false: an error was logged, and the stack
 *          is as before the function was pushed.
 */
MUST_CHECK bool state_call(struct state *state, enum script_call what, int argument_count,
                           int result_count);

/* Log and count an error of a function that Lua called by itself. @text: with its traceback. */
void state_failed(struct state *state, enum script_call what, const char *text);

/* Push a string. false: no memory for it in this state; it was logged and the stack is empty. */
MUST_CHECK bool state_push_bytes(struct state *state, struct span bytes);

/* -- link.c -- */

/* A client of the instance for one more hub, connected. Waits. NULL with @why (a literal) set. */
struct link *link_take(struct script *script, uint16_t instance_index, bool is_random,
                       const char **why);
/* One hub less; the last one closes it. */
void link_give(struct link *link);
void link_envelope(struct script *script, const struct envelope *envelope);

/* -- hub.c -- */

void hub_open_library(lua_State *L); /* push `native` */
void hub_deinit(struct hub *hub);
/* Something came for a hub that uses @link: call its handler. */
void hub_event(struct state *state, const struct event *event, struct span payload);
/* Of what @left subscribed to and observed, end what @kept does not. Either may be NULL. */
void hub_leave(struct state *left, struct state *kept);

/* Push the entry's function. false: it is not wanted, and nothing was pushed. */
bool hub_push_entry(const struct hub *hub, enum hub_entry entry);

/* The hub of @state for an instance, or NULL. */
struct hub *hub_of_instance(struct state *state, uint16_t instance_index);

/* -- hooks.c -- */

/* Say what the script in force wants to decide, after a change. */
void hooks_publish(struct script *script);

/* Something was read from the lanes: tell those I/O actors where requests wait for room. */
void hooks_make_room(struct script *script);

/* A request on the detour, or news of a peer. May take its msg. false: it is something else. */
MUST_CHECK bool hooks_envelope(struct script *script, struct envelope *envelope);

/* The peers that @left knows are handed over to @kept: it was they who were let in. */
void hooks_hand_over(struct state *left, struct state *kept);

/* The connection that a number stands for in Lua. */
struct conn_handle hooks_conn_of(lua_Integer key);
void hooks_deinit(struct script *script);

/* -- ba.c -- */

void ba_open_library(lua_State *L, const struct script_crypto *crypto); /* push `ba` */

/* -- timers.c -- */

void timers_open_library(lua_State *L); /* push ba.timer */
void timers_run(struct state *state);
/* When the next one is due, or INT64_MAX. */
int64_t timers_next_ms(const struct state *state);
void timers_clear(struct state *state);
