/*
 * script/hub.c — what script/hub.lua needs of the broker: `native`, and the core of each hub.
 *
 * Functions that ask the broker something wait for the answer (script_wait); meanwhile messages for
 * the script become events. Thread: the script actor's, in calls from Lua.
 */
#include <jansson.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/msg.h"
#include "core/suggest.h"
#include "script/async.h"
#include "script/pack.h"
#include "script/parts.h"

#define CORE_TYPE   "smq.hub.core"
#define NEAREST_MAX 32u
#define TIME_MS_MAX 86400000u /* a day, as keepalive.idle_ms */

static const char *const entry_names[HUB_ENTRY_COUNT] = {
#define X(name, text) [HUB_ENTRY_##name] = text,
    HUB_ENTRIES(X)
#undef X
};

/* -- the hub behind a core -- */

static struct hub *check_hub(lua_State *L)
{
    return *(struct hub **)luaL_checkudata(L, 1, CORE_TYPE);
}

/* luaL_error() does not return, but its prototype does not say so. */
#define RAISE(...)                                                                                 \
    do {                                                                                           \
        luaL_error(__VA_ARGS__);                                                                   \
        must_never("an error in Lua was raised, and nothing happened");                            \
    } while (0)

/* The same, connected. */
static struct link *check_link(lua_State *L)
{
    struct hub *hub = check_hub(L);

    if (!hub->link)
        RAISE(L, "this hub is not bound to an instance: call hub:listen(path) first");
    if (hub->link->client.state != LOCAL_LIVE)
        RAISE(L, "this hub's client has been ended: another one took its place");
    return hub->link;
}

static struct span check_name(lua_State *L, int index)
{
    size_t bytes_count;
    const char *text = luaL_checklstring(L, index, &bytes_count);

    return span_of(text, bytes_count);
}

static uint32_t check_id(lua_State *L, int index)
{
    lua_Integer id = luaL_checkinteger(L, index);

    luaL_argcheck(L, id >= 0 && id <= UINT32_MAX, index, "an id is 0 to 4294967295");
    return (uint32_t)id;
}

/* -- binding -- */

static void bind_to(lua_State *L, struct hub *hub, uint16_t instance_index)
{
    const char *why;

    hub->link = link_take(hub->state->script, instance_index, hub->is_random, &why);
    if (!hub->link)
        RAISE(L, "instance \"%s\": %s", hub->state->script->config->instances[instance_index].path,
              why);
    hub->link->waiting_max = hub->queue_max;
}

/* native.new(is_random, queuesize) -> core: the first one of a script belongs to its instance */
static int native_new(lua_State *L)
{
    struct state *state = state_of(L);

    if (state->hub_count == SCRIPT_HUBS_MAX)
        return luaL_error(L, "more than %d hubs in one script", (int)SCRIPT_HUBS_MAX);
    struct hub **core = lua_newuserdatauv(L, sizeof(*core), 0);

    luaL_setmetatable(L, CORE_TYPE);
    struct hub *hub = &state->hubs[state->hub_count];

    *hub = (struct hub){.state = state,
                        .is_random = lua_toboolean(L, 1),
                        .queue_max = (uint32_t)luaL_optinteger(L, 2, 200)};
    for (uint32_t i = 0; i < HUB_ENTRY_COUNT; i++)
        hub->entries[i] = LUA_NOREF;
    *core = hub;
    state->hub_count++;
    if (hub == &state->hubs[0])
        bind_to(L, hub, state->script->instance_index);
    return 1;
}

static int core_listen(lua_State *L)
{
    struct hub *hub = check_hub(L);
    const char *path = luaL_checkstring(L, 2);
    const struct config *config = hub->state->script->config;

    if (hub->link)
        return luaL_error(L, "this hub is bound to an instance already");
    for (uint16_t i = 0; i < config->instance_count; i++) {
        if (strcmp(config->instances[i].path, path) != 0)
            continue;
        bind_to(L, hub, i);
        return 0;
    }
    return luaL_error(L, "there is no instance \"%s\" in the configuration", path);
}

static int core_is_bound(lua_State *L)
{
    lua_pushboolean(L, check_hub(L)->link != NULL);
    return 1;
}

/* Which topics onpublish wants, as keys of the table at @index; nil: all. */
static void take_topics(lua_State *L, int index, struct hub *hub)
{
    hub->topic_count = 0;
    if (!lua_istable(L, index))
        return;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (hub->topic_count == HOOK_TOPICS_MAX) { /* hub.lua looks at the others by itself */
            hub->topic_count = 0;
            lua_pop(L, 2);
            return;
        }
        hub->topics[hub->topic_count++] = (uint32_t)lua_tointeger(L, -2);
    }
}

/* A time in ms within what a deadline can be; 0 stays "not set". */
static uint32_t ms_of(lua_Number ms)
{
    return ms <= 0 ? 0 : ms < 1 ? 1 : ms >= TIME_MS_MAX ? TIME_MS_MAX : (uint32_t)ms;
}

/* bind(entries [, topics]): the functions that the broker calls; and those topics, as keys, that
 * onpublish is limited to */
static int core_bind(lua_State *L)
{
    struct hub *hub = check_hub(L);

    luaL_checktype(L, 2, LUA_TTABLE);
    for (uint32_t i = 0; i < HUB_ENTRY_COUNT; i++) {
        luaL_unref(L, LUA_REGISTRYINDEX, hub->entries[i]);
        hub->entries[i] = LUA_NOREF;
        if (lua_getfield(L, 2, entry_names[i]) == LUA_TFUNCTION)
            hub->entries[i] = luaL_ref(L, LUA_REGISTRYINDEX);
        else
            lua_pop(L, 1);
    }
    take_topics(L, 3, hub);
    if (hub->state == hub->state->script->state) /* else when the state comes into force */
        hooks_publish(hub->state->script);
    return 0;
}

/* disconnect(key [, reason]) */
static int core_disconnect(lua_State *L)
{
    struct script *script = check_hub(L)->state->script;
    struct conn_handle conn = hooks_conn_of(luaL_checkinteger(L, 2));
    size_t bytes_count = 0;
    const char *reason = luaL_optlstring(L, 3, NULL, &bytes_count);

    luaL_argcheck(L, conn.host_index < script->port->mesh->io_count, 2, "not a connection");
    port_push(script->port, conn.host_index,
              (struct envelope){.kind = ENVELOPE_END,
                                .conn = conn,
                                .msg = msg_copy(script->mem, span_of(reason, bytes_count))});
    return 0;
}

/* -- questions to the shards -- */

static void begin_question(lua_State *L, struct link *link, enum status asked)
{
    if (asked == STATUS_LIMIT)
        luaL_error(L, "the name is empty, or longer than limits.name_bytes");
    if (asked != STATUS_OK)
        luaL_error(L, "limits.memory is reached");
    script_wait(link->script, &link->is_answered);
}

/* ask(core, name [, id]) -> id, or nil and why */
static int ask(lua_State *L, enum local_ask what)
{
    struct link *link = check_link(L);
    struct span name = check_name(L, 2);
    uint32_t id = lua_isnoneornil(L, 3) ? SMQ_ID_NONE : check_id(L, 3);

    luaL_argcheck(L, lua_isnoneornil(L, 3) || id != SMQ_ID_NONE, 3, "0 means no id");
    link->is_answered = false;
    begin_question(L, link,
                   id ? local_client_choose(&link->client, what, name, id)
                      : local_client_ask(&link->client, what, name));
    if (link->is_granted) {
        lua_pushinteger(L, link->answer_id);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, id ? "the id is taken, or the name has another one"
                         : "refused: a limit is reached (smq stats says which)");
    return 2;
}

static int core_subscribe(lua_State *L)
{
    lua_settop(L, 2);
    return ask(L, LOCAL_SUBSCRIBE);
}

static int core_create(lua_State *L)
{
    return ask(L, LOCAL_CREATE);
}

static int core_createsub(lua_State *L)
{
    return ask(L, LOCAL_CREATESUB);
}

static int core_unsubscribe(lua_State *L)
{
    struct link *link = check_link(L);

    local_client_unsubscribe(&link->client, check_id(L, 2));
    return 0;
}

/* observe(id) -> granted */
static int core_observe(lua_State *L)
{
    struct link *link = check_link(L);
    uint32_t id = check_id(L, 2);

    link->is_answered = false;
    local_client_observe(&link->client, id);
    script_wait(link->script, &link->is_answered);
    lua_pushboolean(L, link->is_granted);
    return 1;
}

static int core_unobserve(lua_State *L)
{
    struct link *link = check_link(L);

    local_client_unobserve(&link->client, check_id(L, 2));
    return 0;
}

/* The number of a sub-topic that the configuration pins may lie with its name: so look there. */
static const char *pinned_subtopic(const struct link *link, uint32_t id)
{
    const struct config_instance *instance =
        &link->client.config->instances[link->client.instance_index];

    for (uint32_t i = 0; i < instance->subtopic_count; i++)
        if (instance->subtopics[i].id == id)
            return instance->subtopics[i].name;
    return NULL;
}

/* lookup(is_subtopic, name | id) -> id | name, or nil: creates nothing */
static int core_lookup(lua_State *L)
{
    struct link *link = check_link(L);
    bool is_subtopic = lua_toboolean(L, 2);
    bool is_by_id = lua_isinteger(L, 3);
    uint32_t id = is_by_id ? check_id(L, 3) : SMQ_ID_NONE;
    struct span name = is_by_id ? span_of(NULL, 0) : check_name(L, 3);
    const char *pinned = is_by_id && is_subtopic ? pinned_subtopic(link, id) : NULL;

    if (pinned) {
        lua_pushstring(L, pinned);
        return 1;
    }
    if (is_by_id ? id == SMQ_ID_NONE : name.bytes_count == 0 || name.bytes_count > 255)
        return 0;
    link->is_answered = false;
    begin_question(L, link, local_client_lookup(&link->client, is_subtopic, name, id));
    if (is_by_id && link->answer_name_bytes > 0)
        lua_pushlstring(L, (const char *)link->answer_name, link->answer_name_bytes);
    else if (!is_by_id && link->answer_id != SMQ_ID_NONE)
        lua_pushinteger(L, link->answer_id);
    else
        lua_pushnil(L);
    return 1;
}

/* is_client(id): does a client have it? */
static int core_is_client(lua_State *L)
{
    struct link *link = check_link(L);
    uint32_t id = check_id(L, 2);

    link->is_granted = false;
    link->is_answered = id == SMQ_ID_NONE;
    if (!link->is_answered)
        begin_question(L, link, local_client_lookup(&link->client, false, span_of(NULL, 0), id));
    lua_pushboolean(L, link->is_granted);
    return 1;
}

/* -- lists -- */

/* A name as the shards write it: each byte is a code point. */
static void push_row_name(lua_State *L, const json_t *name)
{
    const unsigned char *text = (const unsigned char *)json_string_value(name);
    size_t bytes_count = json_string_length(name); /* zero bytes may be among them */
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    for (size_t i = 0; i < bytes_count; i++) {
        if (text[i] < 0x80) {
            luaL_addchar(&out, (char)text[i]);
        } else { /* two bytes of UTF-8: nothing over 0xff is written */
            must(i + 1 < bytes_count);
            luaL_addchar(&out, (char)((text[i] & 0x03) << 6 | (text[i + 1] & 0x3f)));
            i++;
        }
    }
    luaL_pushresult(&out);
}

static int add_rows_protected(lua_State *L)
{
    const json_t *rows = lua_touserdata(L, 1);
    const char *path = lua_tostring(L, 2);
    const json_t *row;
    size_t index;

    json_array_foreach(rows, index, row)
    {
        const char *instance = json_string_value(json_object_get(row, "instance"));

        if (!instance || strcmp(instance, path) != 0)
            continue;
        lua_pushinteger(L, json_integer_value(json_object_get(row, "tid")));
        push_row_name(L, json_object_get(row, "name"));
        lua_rawset(L, 3);
    }
    return 0;
}

/* The rows of one bite into the table on the top. */
static void add_rows(lua_State *L, struct script *script, const char *path)
{
    luaL_Buffer text;

    if (!script->list_rows)
        return;
    luaL_buffinit(L, &text);
    luaL_addchar(&text, '[');
    luaL_addlstring(&text, (const char *)script->list_rows->bytes, script->list_rows->bytes_count);
    luaL_addchar(&text, ']');
    luaL_pushresult(&text);
    msg_unref(script->mem, script->list_rows);
    script->list_rows = NULL;

    size_t bytes_count;
    const char *bytes = lua_tolstring(L, -1, &bytes_count);
    json_t *rows = json_loadb(bytes, bytes_count, JSON_ALLOW_NUL, NULL);

    must(rows); /* the shards wrote it */
    lua_pushcfunction(L, add_rows_protected);
    lua_pushlightuserdata(L, rows);
    lua_pushstring(L, path);
    lua_pushvalue(L, -5);
    int result = lua_pcall(L, 3, 0, 0);

    json_decref(rows);
    if (result != LUA_OK)
        lua_error(L);
    lua_pop(L, 1);
}

/* Push {[id] = name}, of all shards, a bite at a time. @conn: of LIST_TOPICS_OF. */
static void push_list(lua_State *L, enum list_kind kind, struct conn_handle conn)
{
    struct link *link = check_link(L);
    struct script *script = link->script;
    const struct mesh *mesh = script->port->mesh;
    const char *path = script->config->instances[link->client.instance_index].path;

    lua_newtable(L);
    for (uint32_t shard = 0; shard < mesh->shard_count; shard++) {
        script->list_next = 0;
        do {
            script->is_list_done = false;
            port_push(script->port, mesh_shard_index(mesh, shard),
                      (struct envelope){.kind = ENVELOPE_LIST,
                                        .id = kind,
                                        .conn = conn,
                                        .count = script->list_next});
            script_wait(script, &script->is_list_done);
            add_rows(L, script, path);
        } while (script->list_next != 0);
    }
}

/* list(is_subtopics) */
static int core_list(lua_State *L)
{
    push_list(L, lua_toboolean(L, 2) ? LIST_SUBTOPICS : LIST_TOPICS, (struct conn_handle){0});
    return 1;
}

/* topics_of(key): what a client subscribes to */
static int core_topics_of(lua_State *L)
{
    push_list(L, LIST_TOPICS_OF, hooks_conn_of(luaL_checkinteger(L, 2)));
    return 1;
}

/* times(readtmo, keepidle, keepintv), in s but for the first, nil: as the configuration says. In
 * force from the next bind() on. */
static int core_times(lua_State *L)
{
    struct hub *hub = check_hub(L);

    hub->times = (struct hooks_times){
        .connect_ms = ms_of(luaL_optnumber(L, 2, 0)),
        .idle_ms = ms_of(luaL_optnumber(L, 3, 0) * 1000),
        .answer_ms = ms_of(luaL_optnumber(L, 4, 0) * 1000),
    };
    return 0;
}

/* -- messages -- */

/* send(to, from, sub-topic, data) -> how many messages wait with this one, 0: it was dropped */
static int core_send(lua_State *L)
{
    struct link *link = check_link(L);
    struct script *script = link->script;
    struct local_message message = {.destination = check_id(L, 2),
                                    .publisher = check_id(L, 3),
                                    .subtopic = check_id(L, 4),
                                    .payload = check_name(L, 5)};
    bool is_clear = port_is_clear(script->port) || port_flush(script->port);

    if (is_clear)
        link->waiting_count = 0;
    if (link->waiting_count >= link->waiting_max ||
        local_client_publish(&link->client, &message) != STATUS_OK) {
        script_count(script, SCRIPT_STAT_PUBLISH_DROPPED, 1);
        log_event(LOG_LEVEL_WARNING, "script.queue_full",
                  "instance=%s a message was dropped: %u wait (queuesize)", script->instance->path,
                  link->waiting_count);
        lua_pushinteger(L, 0);
        return 1;
    }
    script_count(script, SCRIPT_STAT_PUBLISHED, 1);
    if (!port_is_clear(script->port))
        link->waiting_count++;
    lua_pushinteger(L, (lua_Integer)link->waiting_count + (port_is_clear(script->port) ? 1 : 0));
    return 1;
}

/* room() -> free, used */
static int core_room(lua_State *L)
{
    struct link *link = check_link(L);
    uint32_t used = port_is_clear(link->script->port) ? 0 : link->waiting_count;

    lua_pushinteger(L, (lua_Integer)link->waiting_max - used);
    lua_pushinteger(L, used);
    return 2;
}

static int core_etid(lua_State *L)
{
    lua_pushinteger(L, check_link(L)->client.etid);
    return 1;
}

static int native_log(lua_State *L)
{
    static const char *const words[] = {"error", "warning", "info", NULL};
    static const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO};

    log_event(levels[luaL_checkoption(L, 1, "info", words)], "script.hub", "instance=%s %s",
              state_of(L)->script->instance->path, luaL_tolstring(L, 2, NULL));
    return 0;
}

/* nearest(word, known words …) -> the one that was meant, or nil */
static int native_nearest(lua_State *L)
{
    const char *candidates[NEAREST_MAX];
    uint32_t count = 0;

    for (int i = 2; i <= lua_gettop(L) && count < NEAREST_MAX; i++)
        candidates[count++] = luaL_checkstring(L, i);
    lua_pushstring(L, suggest_nearest(luaL_checkstring(L, 1), candidates, count));
    return 1;
}

/* call_number() -> which call of the script this is */
static int native_call_number(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)state_of(L)->call_count);
    return 1;
}

/* failed(text with its traceback): an error of onpublish, where the script itself published */
static int native_failed(lua_State *L)
{
    state_failed(state_of(L), SCRIPT_CALL_ONPUBLISH, luaL_checkstring(L, 1));
    return 0;
}

/* pack(value) -> a string for unpack() in another state of this process */
static int native_pack(lua_State *L)
{
    lua_settop(L, 1);
    pack_values(L, 1, 1, "this");
    return 1;
}

static int native_unpack(lua_State *L)
{
    return unpack_values(L, check_name(L, 1));
}

/* Push data_dir as an absolute path: where a script may write. nil: there is none (tests). */
static void push_data_dir(lua_State *L)
{
    const char *path = state_of(L)->script->config->data_dir;
    char real[PATH_MAX];

    lua_pushstring(L, path && realpath(path, real) ? real : path);
}

void hub_open_library(lua_State *L)
{
    static const luaL_Reg core[] = {{"listen", core_listen},
                                    {"is_bound", core_is_bound},
                                    {"bind", core_bind},
                                    {"disconnect", core_disconnect},
                                    {"subscribe", core_subscribe},
                                    {"create", core_create},
                                    {"createsub", core_createsub},
                                    {"unsubscribe", core_unsubscribe},
                                    {"observe", core_observe},
                                    {"unobserve", core_unobserve},
                                    {"lookup", core_lookup},
                                    {"is_client", core_is_client},
                                    {"list", core_list},
                                    {"topics_of", core_topics_of},
                                    {"times", core_times},
                                    {"send", core_send},
                                    {"room", core_room},
                                    {"etid", core_etid},
                                    {NULL, NULL}};
    static const luaL_Reg native[] = {{"new", native_new},
                                      {"log", native_log},
                                      {"async", async_start},
                                      {"nearest", native_nearest},
                                      {"call_number", native_call_number},
                                      {"failed", native_failed},
                                      {"pack", native_pack},
                                      {"unpack", native_unpack},
                                      {NULL, NULL}};

    luaL_newmetatable(L, CORE_TYPE);
    luaL_newlib(L, core);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, native);
    push_data_dir(L);
    lua_setfield(L, -2, "data_dir");
}

/* -- from the broker -- */

bool hub_push_entry(const struct hub *hub, enum hub_entry entry)
{
    if (hub->entries[entry] == LUA_NOREF)
        return false;
    lua_rawgeti(hub->state->L, LUA_REGISTRYINDEX, hub->entries[entry]);
    return true;
}

struct hub *hub_of_instance(struct state *state, uint16_t instance_index)
{
    for (uint32_t i = 0; state && i < state->hub_count; i++) {
        struct hub *hub = &state->hubs[i];

        if (hub->link && hub->link->client.instance_index == instance_index)
            return hub;
    }
    return NULL;
}

static struct hub *hub_of_link(struct state *state, const struct link *link)
{
    for (uint32_t i = 0; i < state->hub_count; i++)
        if (state->hubs[i].link == link)
            return &state->hubs[i];
    return NULL;
}

void hub_event(struct state *state, const struct event *event, struct span payload)
{
    struct hub *hub = hub_of_link(state, event->link);
    lua_State *L = state->L;

    if (!hub || !hub_push_entry(hub, event->is_change ? HUB_ENTRY_CHANGE : HUB_ENTRY_MESSAGE))
        return; /* it came for a script that has been replaced */
    if (event->is_change) {
        lua_pushinteger(L, event->id);
        lua_pushinteger(L, event->count);
        (void)!state_call(state, SCRIPT_CALL_OBSERVER, 2, 0);
        return;
    }
    if (!state_push_bytes(state, payload))
        return;
    lua_pushinteger(L, event->publisher);
    lua_pushinteger(L, event->id);
    lua_pushinteger(L, event->subtopic);
    (void)!state_call(state, SCRIPT_CALL_ONMSG, 4, 0);
}

void hub_deinit(struct hub *hub)
{
    if (hub->link)
        link_give(hub->link);
    hub->link = NULL;
}

/* -- one script after another -- */

/* Push the table of what @hub has by @entry, or nil. */
static void push_held(struct hub *hub, enum hub_entry entry)
{
    lua_State *L = hub->state->L;

    if (!hub_push_entry(hub, entry)) {
        lua_pushnil(L);
        return;
    }
    if (!state_call(hub->state, SCRIPT_CALL_ONUNLOAD, 0, 1))
        lua_pushnil(L);
}

static bool keeps(struct hub *hub, enum hub_entry entry, lua_Integer id)
{
    bool found = false;

    if (!hub)
        return false;
    push_held(hub, entry);
    if (lua_istable(hub->state->L, -1)) {
        lua_rawgeti(hub->state->L, -1, id);
        found = !lua_isnil(hub->state->L, -1);
        lua_pop(hub->state->L, 1);
    }
    lua_pop(hub->state->L, 1);
    return found;
}

static void leave_held(struct hub *left, struct hub *kept, enum hub_entry entry)
{
    lua_State *L = left->state->L;

    push_held(left, entry);
    if (lua_istable(L, -1)) {
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            lua_Integer id = lua_tointeger(L, -2);

            lua_pop(L, 1);
            if (keeps(kept, entry, id))
                continue;
            if (entry == HUB_ENTRY_SUBSCRIPTIONS)
                local_client_unsubscribe(&left->link->client, (uint32_t)id);
            else
                local_client_unobserve(&left->link->client, (uint32_t)id);
        }
    }
    lua_pop(L, 1);
}

void hub_leave(struct state *left, struct state *kept)
{
    for (uint32_t i = 0; i < left->hub_count; i++) {
        struct hub *hub = &left->hubs[i];
        struct hub *other = kept && hub->link ? hub_of_link(kept, hub->link) : NULL;

        if (!hub->link || hub->link->client.state != LOCAL_LIVE || !other)
            continue; /* whoever is the last one closes the client, and all goes back */
        leave_held(hub, other, HUB_ENTRY_SUBSCRIPTIONS);
        leave_held(hub, other, HUB_ENTRY_OBSERVATIONS);
    }
}
