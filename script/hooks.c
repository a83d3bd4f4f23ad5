/*
 * script/hooks.c — requests that took the detour (core/hooks.h): the script decides, and they go on
 * to their shard, or are answered.
 *
 *      FACTS, CONNECT ──> authenticate ──> CONNECT back to its I/O actor │ CONNECTED, refused
 *      SUBSCRIBE, CREATE, CREATESUB ──> permit… ──> the same    │ denied
 *      PUBLISH ──> onpublish, for each message ──> what is left of the run
 *      PEER_JOINED, PEER_LEFT, DROPPED ──> onconnect, onclose, ondrop
 *
 * An error, or no time or memory left, is a no. What no hook wants goes on as it came, so whatever
 * took the detour for the sake of its order is only passed on.
 *
 * Thread: the script actor's.
 */
#include "core/hooks.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "client/smq_wire.h"
#include "core/facts.h"
#include "core/identity.h"
#include "core/msg.h"
#include "core/shard.h"
#include "script/parts.h"

#define RECORD_FIELDS 16 /* of a peer, in script/hub.lua */
#define REFUSED       "refused by the script"
#define NOT_LOADED    "the instance's script could not be loaded"

/* -- which hooks are set -- */

static bool has(const struct hub *hub, enum hub_entry entry)
{
    return hub && hub->entries[entry] != LUA_NOREF;
}

static void publish_hooks(struct script *script, uint16_t instance_index)
{
    struct hooks *hooks = &script->hooks[instance_index];
    const struct hub *hub = hub_of_instance(script->state, instance_index);
    uint32_t mask = 0;

    if (has(hub, HUB_ENTRY_PERMITTOP))
        mask |= HOOK_PERMITTOP;
    if (has(hub, HUB_ENTRY_PERMITSUBTOP))
        mask |= HOOK_PERMITSUBTOP;
    if (has(hub, HUB_ENTRY_ONPUBLISH))
        mask |= HOOK_ONPUBLISH;
    if (has(hub, HUB_ENTRY_ONDROP))
        mask |= HOOK_ONDROP;
    if (hub && hooks_host(hooks) == HOOKS_NO_HOST)
        hooks_begin(hooks, script->port->index, mask);
    hooks_set(hooks, mask, hub ? hub->topics : NULL, hub ? hub->topic_count : 0);
    hooks_set_times(hooks, hub ? hub->times : (struct hooks_times){0});
}

/* Is the script that has the say over this instance ours? Another one may have it by its own. */
static bool is_ours(const struct script *script, uint16_t instance_index)
{
    uint32_t host = hooks_host(&script->hooks[instance_index]);

    return host == script->port->index ||
           (host == HOOKS_NO_HOST && hub_of_instance(script->state, instance_index));
}

void hooks_publish(struct script *script)
{
    if (!script->hooks || !script->state)
        return;
    for (uint16_t i = 0; i < script->config->instance_count; i++)
        if (is_ours(script, i))
            publish_hooks(script, i);
}

void hooks_make_room(struct script *script)
{
    const struct mesh *mesh = script->port->mesh;

    if (!script->hooks)
        return;
    for (uint32_t i = 0; i < script->config->instance_count; i++) {
        if (hooks_host(&script->hooks[i]) != script->port->index)
            continue;
        for (uint32_t io = 0; io < mesh->io_count; io++)
            if (hooks_take_wish(&script->hooks[i], io))
                port_push(script->port, io, (struct envelope){.kind = ENVELOPE_ROOM});
    }
}

/* -- calling -- */

/* A connection as a number, for Lua: it names it for as long as it is there. */
static lua_Integer key_of(struct conn_handle conn)
{
    return (lua_Integer)((uint64_t)conn.host_index << 48 | (uint64_t)conn.generation << 32 |
                         conn.slot_index);
}

struct conn_handle hooks_conn_of(lua_Integer key)
{
    uint64_t bits = (uint64_t)key;

    return (struct conn_handle){.host_index = (uint16_t)(bits >> 48),
                                .generation = (uint16_t)(bits >> 32),
                                .slot_index = (uint32_t)bits};
}

/* What an entry is called with. Strings are made in the protected call: they may find no memory. */
struct call {
    const struct hub *hub;
    enum hub_entry entry;
    int result_count;
    void (*push)(lua_State *L, const struct call *call); /* the arguments */
    const struct envelope *envelope;
    struct local_message message; /* PUBLISH, DROPPED */
    const struct facts *facts;    /* CONNECT */
    struct identity identity;     /* CONNECT */
};

static void push_span(lua_State *L, struct span bytes)
{
    lua_pushlstring(L, bytes.bytes_count > 0 ? (const char *)bytes.data : "", bytes.bytes_count);
}

static int enter(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);
    int top;

    lua_rawgeti(L, LUA_REGISTRYINDEX, call->hub->entries[call->entry]);
    top = lua_gettop(L);
    call->push(L, call);
    lua_call(L, lua_gettop(L) - top, call->result_count);
    return call->result_count;
}

/* Returns: did it go well? Then the results are on the stack. */
static bool make_call(struct state *state, enum script_call what, struct call *call)
{
    lua_pushcfunction(state->L, enter);
    lua_pushlightuserdata(state->L, call);
    return state_call(state, what, 1, call->result_count);
}

/* -- onwards, or back -- */

static void to_shard(struct script *script, uint32_t shard, struct envelope *envelope)
{
    port_push(script->port, mesh_shard_index(script->port->mesh, shard), *envelope);
    envelope->msg = NULL;
}

static void answer(struct script *script, struct envelope *request, enum envelope_kind kind,
                   uint8_t status, struct msg *msg)
{
    port_push(script->port, request->conn.host_index,
              (struct envelope){.kind = (uint8_t)kind,
                                .status = status,
                                .instance_index = request->instance_index,
                                .conn = request->conn,
                                .msg = msg});
}

/* -- Connect -- */

static void push_hex(lua_State *L, struct span bytes)
{
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    for (size_t i = 0; i < bytes.bytes_count; i++) {
        char digits[3];

        snprintf(digits, sizeof(digits), "%02x", bytes.data[i]);
        luaL_addlstring(&out, digits, 2);
    }
    luaL_pushresult(&out);
}

/* introduced(credentials, key, uid, info, login, name, seed, address, secure, head, certificate's
 * name, serial, digest, issuer and SANs) */
static void push_facts(lua_State *L, const struct call *call)
{
    const struct facts *facts = call->facts;
    const struct identity *identity = &call->identity;

    push_span(L, facts->credentials);
    lua_pushinteger(L, key_of(call->envelope->conn));
    push_span(L, identity->uid);
    push_span(L, identity->info);
    lua_pushstring(L, login_word(identity->login));
    push_span(L, identity->name);
    lua_pushinteger(L, facts->seed);
    push_span(L, facts->address);
    lua_pushboolean(L, facts->is_secure);
    push_span(L, facts->head);
    if (facts->cert_sha256.bytes_count == 0)
        return;
    push_span(L, facts->cert_name);
    push_hex(L, facts->cert_serial);
    push_hex(L, facts->cert_sha256);
    push_span(L, facts->cert_issuer);
    push_span(L, facts->cert_sans);
}

static void refuse(struct script *script, struct envelope *connect, uint8_t code,
                   struct span reason)
{
    struct msg *text = msg_copy(script->mem, reason);

    answer(script, connect, ENVELOPE_CONNECTED, code, text);
}

/* Code and reason are on the stack: take them away. Returns: is it accepted? */
static bool take_verdict(struct script *script, struct envelope *connect)
{
    lua_State *L = script->state->L;
    size_t bytes_count = 0;
    bool is_number = lua_isinteger(L, -2);
    lua_Integer code = is_number ? lua_tointeger(L, -2) : SMQ_CONNACK_ACCESS_DENIED;
    const char *reason = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &bytes_count) : NULL;

    if (!is_number)
        log_event(LOG_LEVEL_WARNING, "script.no_verdict",
                  "instance=%s authenticate returned no code: refused",
                  script->config->instances[connect->instance_index].path);
    if (code < 0 || code > UINT8_MAX)
        code = SMQ_CONNACK_ACCESS_DENIED;
    if (code != SMQ_CONNACK_ACCEPTED)
        refuse(script, connect, (uint8_t)code,
               bytes_count > 0 ? span_of(reason, bytes_count) : span_of(REFUSED, strlen(REFUSED)));
    lua_pop(L, 2);
    return code == SMQ_CONNACK_ACCEPTED;
}

static bool authenticate(struct script *script, const struct hub *hub, const struct facts *facts,
                         struct envelope *connect)
{
    static const char failed[] = "the script failed";
    struct call call = {.hub = hub,
                        .entry = HUB_ENTRY_INTRODUCED,
                        .result_count = 2,
                        .push = push_facts,
                        .envelope = connect,
                        .facts = facts,
                        .identity = identity_read(msg_span(connect->msg))};
    enum script_call what =
        has(hub, HUB_ENTRY_AUTHENTICATE) ? SCRIPT_CALL_AUTHENTICATE : SCRIPT_CALL_INTRODUCE;

    if (make_call(script->state, what, &call))
        return take_verdict(script, connect);
    refuse(script, connect, SMQ_CONNACK_ACCESS_DENIED, span_of(failed, sizeof(failed) - 1));
    return false;
}

static void on_connect(struct script *script, struct envelope *connect)
{
    struct msg **facts = &script->facts[connect->from];
    struct hub *hub = hub_of_instance(script->state, connect->instance_index);
    bool is_accepted = true;

    must(*facts); /* it came just before */
    if (!script->state) {
        refuse(script, connect, SMQ_CONNACK_UNAVAILABLE,
               span_of(NOT_LOADED, sizeof(NOT_LOADED) - 1));
        is_accepted = false;
    } else if (hub) {
        struct facts known = facts_read(msg_span(*facts));

        is_accepted = authenticate(script, hub, &known, connect);
    }
    msg_unref(script->mem, *facts);
    *facts = NULL;
    script_count(script, SCRIPT_STAT_REFUSED, is_accepted ? 0 : 1);
    if (!is_accepted)
        return;
    port_push(script->port, connect->conn.host_index, *connect);
    connect->msg = NULL;
}

/* -- names -- */

/* permittop(key, topic, is_sub), permitsubtop(key, subtopic) */
static void push_name(lua_State *L, const struct call *call)
{
    lua_pushinteger(L, key_of(call->envelope->conn));
    push_span(L, msg_span(call->envelope->msg));
    if (call->envelope->kind != ENVELOPE_CREATESUB)
        lua_pushboolean(L, call->envelope->kind == ENVELOPE_SUBSCRIBE);
}

static bool permits(struct script *script, const struct envelope *request)
{
    bool is_subtopic = request->kind == ENVELOPE_CREATESUB;
    struct call call = {.hub = hub_of_instance(script->state, request->instance_index),
                        .entry = is_subtopic ? HUB_ENTRY_PERMITSUBTOP : HUB_ENTRY_PERMITTOP,
                        .result_count = 1,
                        .push = push_name,
                        .envelope = request};

    if (!script->state)
        return false;
    if (!has(call.hub, call.entry))
        return true;
    if (!make_call(script->state, is_subtopic ? SCRIPT_CALL_PERMITSUBTOP : SCRIPT_CALL_PERMITTOP,
                   &call))
        return false;
    bool is_permitted = lua_toboolean(script->state->L, -1);

    lua_pop(script->state->L, 1);
    return is_permitted;
}

static enum envelope_kind answer_of(const struct envelope *request)
{
    return request->kind == ENVELOPE_SUBSCRIBE ? ENVELOPE_SUBSCRIBED
           : request->kind == ENVELOPE_CREATE  ? ENVELOPE_CREATED
                                               : ENVELOPE_SUBCREATED;
}

static void on_name(struct script *script, struct envelope *request)
{
    const struct mesh *mesh = script->port->mesh;

    if (!permits(script, request)) {
        script_count(script, SCRIPT_STAT_DENIED, 1);
        answer(script, request, answer_of(request), SMQ_ACK_DENIED, request->msg);
        request->msg = NULL;
        return;
    }
    uint32_t shard = request->kind == ENVELOPE_CREATESUB
                         ? mesh_shard_of_hash(mesh, request->hash)
                         : shard_of_topic_name(script->config, mesh, request->instance_index,
                                               msg_span(request->msg), request->hash);

    to_shard(script, shard, request);
}

/* -- messages -- */

/* onpublish, ondrop(data, ptid, tid, subtid, key) */
static void push_message(lua_State *L, const struct call *call)
{
    push_span(L, call->message.payload);
    lua_pushinteger(L, call->message.publisher);
    lua_pushinteger(L, call->message.destination);
    lua_pushinteger(L, call->message.subtopic);
    lua_pushinteger(L, key_of(call->envelope->conn));
}

/* The message in front of @run, which is made of whole Publishes. */
static struct local_message first_of(struct span run, size_t *frame_bytes)
{
    *frame_bytes = smq_load_u16(run.data);
    must(*frame_bytes >= SMQ_PUBLISH_HEADER_BYTES && *frame_bytes <= run.bytes_count);
    return (struct local_message){.destination = smq_load_u32(run.data + SMQ_HEADER_BYTES),
                                  .publisher = smq_load_u32(run.data + SMQ_HEADER_BYTES + 4),
                                  .subtopic = smq_load_u32(run.data + SMQ_HEADER_BYTES + 8),
                                  .payload = span_of(run.data + SMQ_PUBLISH_HEADER_BYTES,
                                                     *frame_bytes - SMQ_PUBLISH_HEADER_BYTES)};
}

static bool lets_through(struct state *state, struct call *call)
{
    if (!make_call(state, SCRIPT_CALL_ONPUBLISH, call))
        return false;
    bool is_kept = lua_toboolean(state->L, -1);

    lua_pop(state->L, 1);
    return is_kept;
}

/* What is left of a run, as it is judged: nothing is copied as long as nothing is dropped. */
struct left {
    struct msg *whole;
    struct msg *copy;  /* NULL: all of it so far */
    size_t used_bytes; /* of the copy */
    uint32_t count;
    bool is_lost; /* there was no memory for the copy */
};

static void keep(struct left *left, struct span frame)
{
    left->count++;
    if (!left->copy)
        return;
    memcpy(left->copy->bytes + left->used_bytes, frame.data, frame.bytes_count);
    left->used_bytes += frame.bytes_count;
}

/* The frame at @at is dropped: from now on what is kept is copied. */
static void leave_out(struct script *script, struct left *left, const uint8_t *at)
{
    if (left->copy || left->is_lost)
        return;
    left->copy = msg_new(script->mem, left->whole->bytes_count);
    left->is_lost = !left->copy;
    if (left->is_lost)
        return;
    left->used_bytes = (size_t)(at - left->whole->bytes);
    memcpy(left->copy->bytes, left->whole->bytes, left->used_bytes);
}

static void judge_run(struct script *script, struct call *call, struct left *left)
{
    const struct envelope *publish = call->envelope;
    struct span run = msg_span(publish->msg);
    size_t frame_bytes;

    for (; run.bytes_count > 0 && !left->is_lost; run = span_skip(run, frame_bytes)) {
        call->message = first_of(run, &frame_bytes);
        if (lets_through(script->state, call))
            keep(left, span_of(run.data, frame_bytes));
        else
            leave_out(script, left, run.data);
    }
}

static void on_publish(struct script *script, struct envelope *publish)
{
    struct left left = {.whole = publish->msg};
    struct call call = {.hub = hub_of_instance(script->state, publish->instance_index),
                        .entry = HUB_ENTRY_ONPUBLISH,
                        .result_count = 1,
                        .push = push_message,
                        .envelope = publish};

    if (!script->state)
        return; /* dropped: who would say that it may pass? */
    if (has(call.hub, call.entry)) {
        judge_run(script, &call, &left);
        script_count(script, SCRIPT_STAT_DROPPED,
                     left.is_lost ? publish->count : publish->count - left.count);
        if (left.is_lost || left.count == 0) {
            msg_unref(script->mem, left.copy);
            return;
        }
        publish->count = left.count;
    }
    if (left.copy) {
        msg_unref(script->mem, publish->msg);
        struct msg *exact = msg_resize(script->mem, left.copy, left.used_bytes);

        publish->msg = exact ? exact : left.copy;
    }
    to_shard(script, mesh_shard_of_id(script->port->mesh, publish->id), publish);
}

static void on_dropped(struct script *script, const struct envelope *dropped)
{
    struct call call = {.hub = hub_of_instance(script->state, dropped->instance_index),
                        .entry = HUB_ENTRY_ONDROP,
                        .push = push_message,
                        .envelope = dropped};
    struct span run = msg_span(dropped->msg);
    size_t frame_bytes;

    if (!has(call.hub, call.entry))
        return;
    for (; run.bytes_count > 0; run = span_skip(run, frame_bytes)) {
        call.message = first_of(run, &frame_bytes);
        (void)!make_call(script->state, SCRIPT_CALL_ONDROP, &call);
    }
}

/* -- peers -- */

/* The reason, 0 for none, and the topics {[tid] = tid} of somebody who has gone. */
static void push_last_words(lua_State *L, struct span words)
{
    uint32_t topic_count = words.bytes_count > 0 ? smq_load_u32(words.data) : 0;
    const uint8_t *topics = words.data + sizeof(uint32_t);

    if (words.bytes_count > 0)
        words = span_skip(words, sizeof(uint32_t) * (1 + topic_count));
    if (words.bytes_count > 0)
        push_span(L, words);
    else
        lua_pushinteger(L, 0);
    lua_createtable(L, 0, 0);
    for (uint32_t i = 0; i < topic_count; i++) {
        lua_pushinteger(L, smq_load_u32(topics + i * sizeof(uint32_t)));
        lua_pushvalue(L, -1);
        lua_rawset(L, -3);
    }
}

/* joined(key, etid), left(key, reason, topics) */
static void push_peer(lua_State *L, const struct call *call)
{
    const struct envelope *envelope = call->envelope;

    lua_pushinteger(L, key_of(envelope->conn));
    if (envelope->kind == ENVELOPE_PEER_JOINED)
        lua_pushinteger(L, envelope->id);
    else
        push_last_words(L, envelope->msg ? msg_span(envelope->msg) : span_of(NULL, 0));
}

static void on_peer(struct script *script, const struct envelope *envelope)
{
    bool is_joined = envelope->kind == ENVELOPE_PEER_JOINED;
    struct call call = {.hub = hub_of_instance(script->state, envelope->instance_index),
                        .entry = is_joined ? HUB_ENTRY_JOINED : HUB_ENTRY_LEFT,
                        .push = push_peer,
                        .envelope = envelope};

    if (has(call.hub, call.entry))
        (void)!make_call(script->state, is_joined ? SCRIPT_CALL_ONCONNECT : SCRIPT_CALL_ONCLOSE,
                         &call);
}

/* -- one script after another -- */

/* A peer of the old state, as an array on the top of its stack. */
struct record {
    struct call call;
    lua_State *from;
};

/* imported(…): the array's values. They are raw strings and numbers: reading them allocates
 * nothing. */
static void push_record(lua_State *L, const struct call *call)
{
    lua_State *from = ((const struct record *)call)->from;

    luaL_checkstack(L, RECORD_FIELDS, NULL);
    for (int i = 1; i <= RECORD_FIELDS; i++) {
        size_t bytes_count;
        const char *text;

        switch (lua_rawgeti(from, -1, i)) {
        case LUA_TSTRING:
            text = lua_tolstring(from, -1, &bytes_count);
            lua_pushlstring(L, text, bytes_count);
            break;
        case LUA_TNUMBER:
            lua_pushinteger(L, lua_tointeger(from, -1));
            break;
        case LUA_TBOOLEAN:
            lua_pushboolean(L, lua_toboolean(from, -1));
            break;
        default:
            lua_pushnil(L);
            break;
        }
        lua_pop(from, 1);
    }
}

static void push_nothing(lua_State *L, const struct call *call)
{
    (void)L;
    (void)call;
}

static void hand_over(const struct hub *from, const struct hub *to)
{
    lua_State *L = from->state->L;
    struct call all = {.hub = from,
                       .entry = HUB_ENTRY_EXPORTED,
                       .result_count = 1,
                       .push = push_nothing};

    if (!has(from, HUB_ENTRY_EXPORTED) || !has(to, HUB_ENTRY_IMPORTED) ||
        !make_call(from->state, SCRIPT_CALL_INTRODUCE, &all))
        return;
    for (lua_Unsigned i = 1; i <= lua_rawlen(L, -1); i++) {
        struct record record = {
            .call = {.hub = to, .entry = HUB_ENTRY_IMPORTED, .push = push_record}, .from = L};

        lua_rawgeti(L, -1, (lua_Integer)i);
        (void)!make_call(to->state, SCRIPT_CALL_INTRODUCE, &record.call);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void hooks_hand_over(struct state *left, struct state *kept)
{
    for (uint32_t i = 0; i < left->hub_count; i++) {
        struct hub *from = &left->hubs[i];
        struct hub *to =
            from->link ? hub_of_instance(kept, from->link->client.instance_index) : NULL;

        if (to)
            hand_over(from, to);
    }
}

/* -- any of them -- */

bool hooks_envelope(struct script *script, struct envelope *envelope)
{
    switch ((int)envelope->kind) {
    case ENVELOPE_FACTS:
        msg_unref(script->mem, script->facts[envelope->from]);
        script->facts[envelope->from] = envelope->msg;
        envelope->msg = NULL;
        return true;
    case ENVELOPE_CONNECT:
        on_connect(script, envelope);
        return true;
    case ENVELOPE_SUBSCRIBE:
    case ENVELOPE_CREATE:
    case ENVELOPE_CREATESUB:
        on_name(script, envelope);
        return true;
    case ENVELOPE_UNSUBSCRIBE:
        to_shard(script, mesh_shard_of_id(script->port->mesh, envelope->id), envelope);
        return true;
    case ENVELOPE_PUBLISH:
        on_publish(script, envelope);
        return true;
    case ENVELOPE_DROPPED:
        on_dropped(script, envelope);
        return true;
    case ENVELOPE_PEER_JOINED:
    case ENVELOPE_PEER_LEFT:
        on_peer(script, envelope);
        return true;
    default:
        return false;
    }
}

void hooks_deinit(struct script *script)
{
    for (uint32_t i = 0; i < LIMIT_ACTORS; i++) {
        msg_unref(script->mem, script->facts[i]);
        script->facts[i] = NULL;
    }
}
