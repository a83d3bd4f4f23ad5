/*
 * script/script.h — the script actor: a Lua script beside an instance, in a thread of its own.
 *
 *      I/O actor, shards ──requests that a hook decides, messages──> script: Lua
 *                        <──the same requests, answers, Publishes────
 *
 * It is a local host of the mesh (core/mesh.h), like the web actor, and its hub is a client without
 * a socket (core/local_client.h). A script may take long: nobody waits for it but whoever's request
 * takes the detour to it. What a script may do to the broker has its bounds in script/bounds.h.
 *
 * The script is loaded by the thread itself, and again on RELOAD: a new state is built and run, and
 * only when that went well it takes the old one's place. Until there is one, who needs a hook's
 * verdict is refused.
 *
 * Thread: `script-N`; it sleeps in poll(), and may block wherever the script does.
 */
#pragma once

#include "core/config.h"
#include "core/log.h"
#include "core/mesh.h"
#include "core/siphash.h"
#include "core/stats.h"

#define SCRIPT_STATS(X)                                                                            \
    X(LOADED, "loaded", "scripts", "1: a script is in force; 0: none could be loaded")             \
    X(LOADS, "loads_total", "loads", "times a script was loaded and took over")                    \
    X(LOAD_FAILURES, "load_failures_total", "loads", "times it could not be: the old one stays")   \
    X(ERRORS, "errors_total", "errors", "errors in the script's functions, each with a log line")  \
    X(TIMEOUTS, "timeouts_total", "calls", "calls ended because of script.callback_ms")            \
    X(REFUSED, "refused_total", "connections", "Connects that the script refused")                 \
    X(DENIED, "denied_total", "requests", "names that the script denied")                          \
    X(DROPPED, "dropped_onpublish_total", "messages", "Publishes that onpublish dropped")          \
    X(MEMORY, "memory_bytes", "bytes", "memory of the Lua state")                                  \
    X(QUEUE, "queue", "events", "messages that wait while the script waits for an answer")         \
    X(QUEUE_DROPPED, "dropped_queue_total", "messages",                                            \
      "messages to the script: its queue was full")                                                \
    X(PUBLISHED, "published_total", "messages", "messages the script sent")                        \
    X(PUBLISH_DROPPED, "dropped_publish_total", "messages",                                        \
      "messages of the script, dropped: more than queuesize waited")                               \
    X(TIMERS, "timers", "timers", "timers that are set")                                           \
    X(ASYNC_JOBS, "async_total", "jobs", "jobs given to smq.async")                                \
    X(ASYNC_WAITING, "async_waiting", "jobs", "jobs of smq.async that wait or run")                \
    X(TURNS, "turns_total", "turns", "turns of the loop")                                          \
    X(SLEEPS, "sleeps_total", "sleeps", "turns that had to wait for something to do")              \
    X(ENVELOPES, "envelopes_total", "envelopes", "envelopes taken from the lanes")

enum script_stat {
#define X(name, text, unit, help) SCRIPT_STAT_##name,
    SCRIPT_STATS(X)
#undef X
        SCRIPT_STAT_COUNT
};

extern const struct stat_desc script_stat_descs[SCRIPT_STAT_COUNT];

/* What of a script is called: each has a count, a time and errors of its own. */
#define SCRIPT_CALLS(X)                                                                            \
    X(LOAD, "load")                                                                                \
    X(INTRODUCE, "introduce")                                                                      \
    X(AUTHENTICATE, "authenticate")                                                                \
    X(PERMITTOP, "permittop")                                                                      \
    X(PERMITSUBTOP, "permitsubtop")                                                                \
    X(ONPUBLISH, "onpublish")                                                                      \
    X(ONCONNECT, "onconnect")                                                                      \
    X(ONCLOSE, "onclose")                                                                          \
    X(ONDROP, "ondrop")                                                                            \
    X(ONMSG, "onmsg")                                                                              \
    X(OBSERVER, "observer")                                                                        \
    X(TIMER, "timer")                                                                              \
    X(ASYNC, "async")                                                                              \
    X(ONUNLOAD, "onunload")

enum script_call {
#define X(name, text) SCRIPT_CALL_##name,
    SCRIPT_CALLS(X)
#undef X
        SCRIPT_CALL_COUNT
};

const char *script_call_name(enum script_call call);

struct script_call_stats {
    _Atomic uint64_t count;
    _Atomic uint64_t errors_count;
    _Atomic uint64_t time_ns;    /* sum */
    _Atomic uint64_t slowest_ns; /* since the script was loaded */
};

/* Written by the actor, read by any thread. */
struct script_stats {
    alignas(CACHE_LINE) _Atomic uint64_t values[SCRIPT_STAT_COUNT];
    struct script_call_stats calls[SCRIPT_CALL_COUNT];
};

#define SCRIPT_DIGEST_BYTES_MAX 64u

/* Hashing for ba.crypto.hash, from whoever has a library for it. */
struct script_crypto {
    /* @algorithm: "sha256"; @key: of an HMAC, with NULL data for a plain hash. Returns: the
     * digest's length in @digest (SCRIPT_DIGEST_BYTES_MAX), 0: no such algorithm. Any thread. */
    size_t (*hash)(const char *algorithm, struct span key, struct span data, uint8_t *digest);
};

struct script_options {
    const struct config *config; /* constant; outlives the actor, as all below */
    uint16_t instance_index;     /* whose script it is */
    struct mesh *mesh;
    uint32_t mesh_index;
    struct mem *mem;     /* in the mesh, too */
    struct hooks *hooks; /* [instance_count]; NULL: nothing takes the detour */
    struct log_lane *log;
    struct siphash_key name_key;        /* the same for all actors */
    const struct script_crypto *crypto; /* NULL: ba.crypto.hash raises an error */
};

struct script;

/* Thread: main, before the start. Gives: the actor, for script_destroy(). The script itself is
 * loaded when the thread runs. */
struct script *script_create(const struct script_options *options);

/* The thread's function; ends after a STOP from control, which is answered with STOPPED. */
void *script_main(void *script);

/* The same in pieces, without the thread, for tests: load, then turns. */
void script_start(struct script *script);
uint32_t script_turn(struct script *script, int64_t now_ms);

/* Tests: what is done while the script waits for an answer (instead of sleeping). */
void script_on_wait(struct script *script, void (*wait)(void *context), void *context);

/* After its thread and those of all others have ended. */
void script_destroy(struct script *script);

/* Any thread. */
const struct script_stats *script_stats(const struct script *script);
uint16_t script_instance(const struct script *script);
