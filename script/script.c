/* script/script.c — see script/script.h. Thread: script-N (but for what main calls at start and
 * end). */
#include "script/script.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/limits.h"
#include "core/msg.h"
#include "script/async.h"
#include "script/parts.h"

#define FINISH_NS 1000000000 /* for what is still on the detour when the broker ends */

const struct stat_desc script_stat_descs[SCRIPT_STAT_COUNT] = {
#define X(name, text, unit, help) [SCRIPT_STAT_##name] = {text, unit, help},
    SCRIPT_STATS(X)
#undef X
};

static const char *const call_names[SCRIPT_CALL_COUNT] = {
#define X(name, text) [SCRIPT_CALL_##name] = text,
    SCRIPT_CALLS(X)
#undef X
};

const char *script_call_name(enum script_call call)
{
    must(call < SCRIPT_CALL_COUNT);
    return call_names[call];
}

/* -- loading -- */

static int get_onunload(lua_State *L)
{
    lua_getglobal(L, "onunload");
    return 1;
}

static void call_onunload(struct state *state)
{
    lua_State *L = state->L;

    lua_pushcfunction(L, get_onunload);
    if (lua_pcall(L, 0, 1, 0) == LUA_OK && lua_isfunction(L, -1))
        (void)!state_call(state, SCRIPT_CALL_ONUNLOAD, 0, 0);
    else
        lua_pop(L, 1); /* there is none, or no memory for its name */
}

static void unload(struct script *script, struct state *left)
{
    if (!left)
        return;
    call_onunload(left);
    if (script->state)
        hub_leave(left, script->state);
    state_close(left);
}

static void reset_slowest(struct script *script)
{
    for (uint32_t i = 0; i < SCRIPT_CALL_COUNT; i++)
        counter_set(&script->stats.calls[i].slowest_ns, 0);
}

/* Build the new one first; it takes over only when it has run. */
static void load(struct script *script)
{
    char error[STATE_ERROR_BYTES];
    struct state *left = script->state;
    struct state *state = state_open(script, error);

    script->wants_reload = false;
    async_reap(script, /* wait */ false);
    if (!state) {
        script_count(script, SCRIPT_STAT_LOAD_FAILURES, 1);
        log_event(LOG_LEVEL_ERROR, "script.not_loaded", "instance=%s %s: %s",
                  script->instance->path, left ? "the old script goes on" : "nobody is let in",
                  error);
        return;
    }
    script->state = state;
    if (left)
        hooks_hand_over(left, state);
    hooks_publish(script);
    unload(script, left);
    reset_slowest(script);
    script_count(script, SCRIPT_STAT_LOADS, 1);
    counter_set(&script->stats.values[SCRIPT_STAT_LOADED], 1);
    counter_set(&script->stats.values[SCRIPT_STAT_MEMORY], state->bounds.used_bytes);
    log_event(LOG_LEVEL_INFO, "script.loaded", "instance=%s file=%s memory=%zu",
              script->instance->path, script->path, state->bounds.used_bytes);
}

void script_start(struct script *script)
{
    load(script);
}

/* -- mail -- */

/* A bite of a list that a call from Lua waits for. */
static void on_rows(struct script *script, struct envelope *envelope)
{
    if (envelope->kind == ENVELOPE_ROWS) {
        msg_unref(script->mem, script->list_rows);
        script->list_rows = envelope->msg;
        envelope->msg = NULL;
        return;
    }
    script->list_next = envelope->id;
    script->is_list_done = true;
}

/* May take envelope->msg. */
static void dispatch(struct script *script, struct envelope *envelope)
{
    switch ((enum envelope_kind)envelope->kind) {
    case ENVELOPE_CONNECTED:
    case ENVELOPE_KICK:
    case ENVELOPE_SUBSCRIBED:
    case ENVELOPE_UNSUBSCRIBED:
    case ENVELOPE_CREATED:
    case ENVELOPE_SUBCREATED:
    case ENVELOPE_DELIVER:
    case ENVELOPE_DIRECT:
    case ENVELOPE_CHANGE:
    case ENVELOPE_FOUND:
    case ENVELOPE_ELSEWHERE:
        link_envelope(script, envelope);
        return;
    case ENVELOPE_ROWS:
    case ENVELOPE_ROWS_END:
        on_rows(script, envelope);
        return;
    case ENVELOPE_STOP:
        script->is_stopped = true;
        return;
    case ENVELOPE_RELOAD:
        script->wants_reload = true;
        return;
    case ENVELOPE_FACTS:
    case ENVELOPE_CONNECT:
    case ENVELOPE_SUBSCRIBE:
    case ENVELOPE_CREATE:
    case ENVELOPE_CREATESUB:
    case ENVELOPE_UNSUBSCRIBE:
    case ENVELOPE_PUBLISH:
    case ENVELOPE_DROPPED:
    case ENVELOPE_PEER_JOINED:
    case ENVELOPE_PEER_LEFT:
        if (hooks_envelope(script, envelope))
            return;
        break;
    case ENVELOPE_GONE:
    case ENVELOPE_RELEASE:
    case ENVELOPE_LEAVE:
    case ENVELOPE_ROOM:
    case ENVELOPE_OBSERVE:
    case ENVELOPE_UNOBSERVE:
    case ENVELOPE_LOOKUP:
    case ENVELOPE_HTTP_REQUEST:
    case ENVELOPE_HTTP_ANSWER:
    case ENVELOPE_END:
    case ENVELOPE_WHERE:
    case ENVELOPE_ADDRESS:
    case ENVELOPE_EXPEL:
    case ENVELOPE_RECHECK:
    case ENVELOPE_AUTH_VERDICT:
    case ENVELOPE_REPORT:
    case ENVELOPE_JOINED:
    case ENVELOPE_LEFT:
    case ENVELOPE_TAP:
    case ENVELOPE_TAPPED:
    case ENVELOPE_EVENT:
    case ENVELOPE_TLS_FACTS:
    case ENVELOPE_SIGNED:
    case ENVELOPE_STOPPED:
    case ENVELOPE_LIST:
    case ENVELOPE_KIND_COUNT:
        break;
    }
    must_never("an envelope that is not for scripts crossed the lane");
}

static uint32_t drain(struct script *script, uint32_t first, uint32_t end)
{
    uint32_t handled_count = 0;
    struct envelope envelope;

    for (uint32_t from = first; from < end; from++) {
        for (uint32_t i = 0; i < LIMIT_LANE_BATCH; i++) {
            if (!port_pop(script->port, from, &envelope))
                break;
            dispatch(script, &envelope);
            msg_unref(script->mem, envelope.msg);
            handled_count++;
        }
    }
    script_count(script, SCRIPT_STAT_ENVELOPES, handled_count);
    if (handled_count > 0)
        hooks_make_room(script);
    return handled_count;
}

/* What came while the script waited, before anything newer. */
static uint32_t drain_events(struct script *script)
{
    uint32_t handled_count = 0;

    while (script->event_count > 0 && handled_count < SCRIPT_EVENT_BATCH) {
        struct event event = script->events[script->event_first];

        script->event_first = (script->event_first + 1) % script->config->script.queue_count_max;
        script->event_count--;
        if (script->state)
            hub_event(script->state, &event, msg_span(event.payload));
        msg_unref(script->mem, event.payload);
        handled_count++;
    }
    counter_set(&script->stats.values[SCRIPT_STAT_QUEUE], script->event_count);
    return handled_count;
}

/* The I/O actors have ended: what they sent before is still decided, and passed on. */
static void finish(struct script *script)
{
    int64_t end_ns = bounds_now_ns() + FINISH_NS;

    while (drain(script, 0, script->port->mesh->io_count) > 0 && bounds_now_ns() < end_ns)
        (void)port_flush(script->port);
}

static void stop(struct script *script)
{
    struct state *left = script->state;

    if (left)
        call_onunload(left);
    script->state = NULL;
    if (left)
        state_close(left);
    async_reap(script, /* wait */ true);
    counter_set(&script->stats.values[SCRIPT_STAT_LOADED], 0);
}

uint32_t script_turn(struct script *script, int64_t now_ms)
{
    if (!port_is_clear(script->port) && !port_flush(script->port))
        return 0; /* no new work until what came of the old has left */
    script->now_ms = now_ms;
    script_count(script, SCRIPT_STAT_TURNS, 1);
    uint32_t handled_count = drain_events(script);

    if (script->event_count == 0)
        handled_count += drain(script, 0, script->port->mesh->actor_count);
    if (script->is_stopped) {
        finish(script);
        stop(script);
    } else if (script->wants_reload) {
        load(script);
    }
    if (script->state) {
        timers_run(script->state);
        handled_count += async_finish(script->state);
    }
    (void)port_flush(script->port);
    return handled_count;
}

/* -- sleeping -- */

/* Mail of the shards: all that is read while a call from Lua waits. */
static bool has_shard_mail(const struct script *script)
{
    const struct mesh *mesh = script->port->mesh;

    for (uint32_t i = 0; i < mesh->shard_count; i++) {
        uint32_t from = mesh_shard_index(mesh, i);

        if (lane_depth(mesh->lanes[from * mesh->actor_count + script->port->index]) > 0)
            return true;
    }
    return false;
}

static int sleep_ms(const struct script *script)
{
    if (!port_is_clear(script->port))
        return 1; /* a receiver's lane is full: it does not tell us when there is room */
    if (script->is_waiting || !script->state)
        return -1;
    int64_t next_ms = timers_next_ms(script->state);

    if (next_ms == INT64_MAX)
        return -1;
    next_ms -= bounds_now_ns() / 1000000;
    return next_ms < 0 ? 0 : next_ms > INT_MAX ? INT_MAX : (int)next_ms;
}

static void park(struct script *script)
{
    struct parker *parker = script->port->mesh->parkers[script->port->index];
    struct pollfd wait = {.fd = parker->wake_fd, .events = POLLIN};
    uint64_t unused;

    parker_prepare(parker);
    if (script->is_waiting
            ? has_shard_mail(script)
            : port_has_mail(script->port) || (script->state && async_is_ready(script->state))) {
        parker_cancel(parker);
        return;
    }
    script_count(script, SCRIPT_STAT_SLEEPS, 1);
    int ready = poll(&wait, 1, sleep_ms(script));
    must(ready >= 0 || errno == EINTR);
    if (ready > 0)
        (void)!read(parker->wake_fd, &unused, sizeof(unused)); /* EAGAIN: it was for nothing */
    parker_cancel(parker);
}

/* Only the shards' mail is read: requests that need a hook stay in their lanes, in order. The
 * shards run until all scripts have ended, so the answer comes. */
void script_wait(struct script *script, const bool *is_done)
{
    const struct mesh *mesh = script->port->mesh;
    uint32_t first = mesh_shard_index(mesh, 0);

    must(!script->is_waiting);
    script->is_waiting = true;
    while (!*is_done) {
        bool is_clear = port_flush(script->port);

        if (drain(script, first, first + mesh->shard_count) > 0 || *is_done)
            continue;
        if (script->wait)
            script->wait(script->wait_context);
        else
            park(script);
        (void)is_clear; /* park() looks again */
    }
    script->is_waiting = false;
}

void script_on_wait(struct script *script, void (*wait)(void *context), void *context)
{
    script->wait = wait;
    script->wait_context = context;
}

/* -- the thread -- */

void *script_main(void *argument)
{
    struct script *script = argument;

    log_attach(script->log);
    script_start(script);
    while (!script->is_stopped)
        if (script_turn(script, bounds_now_ns() / 1000000) == 0 && !script->is_stopped)
            park(script);
    port_push(script->port, mesh_control_index(script->port->mesh),
              (struct envelope){.kind = ENVELOPE_STOPPED});
    (void)port_flush(script->port); /* whatever else is left, nobody waits for */
    return NULL;
}

const struct script_stats *script_stats(const struct script *script)
{
    return &script->stats;
}

uint16_t script_instance(const struct script *script)
{
    return script->instance_index;
}

/* -- start and end -- */

/* The file's folder without links: what the script may read is judged by it. A folder that is not
 * there makes the load fail, with the reason. */
static void find_file(struct script *script)
{
    char copy[PATH_MAX];
    char real[PATH_MAX];

    snprintf(copy, sizeof(copy), "%s", script->instance->script_path);
    const char *folder = dirname(copy);

    script->folder = strdup(realpath(folder, real) ? real : folder);
    script->path = strdup(script->instance->script_path);
    must(script->folder && script->path);
}

static size_t events_bytes(const struct script *script)
{
    return sizeof(struct event) * script->config->script.queue_count_max;
}

struct script *script_create(const struct script_options *options)
{
    struct script *script = mem_alloc_lines(options->mem, MEM_SCRIPT, sizeof(*script));

    memset(script, 0, sizeof(*script));
    script->config = options->config;
    script->instance_index = options->instance_index;
    script->instance = &options->config->instances[options->instance_index];
    script->port = &options->mesh->ports[options->mesh_index];
    script->mem = options->mem;
    script->log = options->log;
    script->hooks = options->hooks;
    script->name_key = options->name_key;
    script->crypto = options->crypto;
    script->events = mem_alloc_always(script->mem, MEM_SCRIPT, events_bytes(script));
    find_file(script);
    return script;
}

void script_destroy(struct script *script)
{
    stop(script);
    while (script->event_count > 0) {
        msg_unref(script->mem, script->events[script->event_first].payload);
        script->event_first = (script->event_first + 1) % script->config->script.queue_count_max;
        script->event_count--;
    }
    msg_unref(script->mem, script->list_rows);
    hooks_deinit(script);
    mem_free(script->mem, MEM_SCRIPT, script->events, events_bytes(script));
    free(script->folder);
    free(script->path);
    mem_free(script->mem, MEM_SCRIPT, script, sizeof(*script));
}
