/*
 * tests/tsan/tsan_script.c — a script actor between I/O actors and a shard, under ThreadSanitizer.
 *
 * Goal:   what a script's thread (script_main) shares with I/O actors, shards, its worker and
 * control is handed over, never touched by two; every message that onpublish lets through arrives
 * once, in order, also while the script is loaded again; nothing is left. Method: two threads play
 * I/O actors. Each lets a client in through the script, publishes numbered messages by way of
 * onpublish, and stops when the script's lane is full until it says ROOM; visitors come, take each
 * other's UID over, and go. The main thread loads the script again and reads its statistics.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/smq_wire.h"
#include "core/facts.h"
#include "core/hooks.h"
#include "core/identity.h"
#include "core/msg.h"
#include "core/shard.h"
#include "script/script.h"
#include "tests/tsan/sleep.h"
#include "tests/unit/core/account.h"
#include "tests/unit/core/dice.h"

#define IOS      2u
#define SCRIPT   IOS
#define SHARD    (SCRIPT + 1)
#define CONTROL  (SHARD + 1)
#define ACTORS   (CONTROL + 1)
#define MESSAGES 20000u /* published by each I/O actor ... */
#define DROPPED  16u    /* ... of which onpublish drops one in so many */
#define PASSED   (IOS * (MESSAGES - MESSAGES / DROPPED))
#define RELOADS  8u
#define SLOTS    64u
#define SUBJECT  1u /* slot of the connection that subscribes */
#define VISITOR  2u /* and of the one that comes and goes */

/* The messages' third number, which counts them, is at 9. */
static const char lua[] =
    "local smq = require'smq.hub'\n"
    "local hub = smq.create{\n"
    "    authenticate = function(credentials, info) return info.uid ~= '' and 0 or 6 end,\n"
    "    permittop = function(topic) return topic == 't' end,\n"
    "    onpublish = function(data) return string.unpack('<I4', data, 9) % 16 ~= 0 end,\n"
    "    onconnect = function(tid, info, peer) peer.since = ba.clock() end,\n"
    "    onclose = function(tid, sock, peer, reason) assert(peer.uid) end,\n"
    "}\n"
    "hub:create('own')\n"
    "local function work()\n"
    "    smq.async(function() return ('x'):rep(1000) end, function(text)\n"
    "        assert(#text == 1000)\n"
    "        ba.timer(work):set(1, true)\n"
    "    end)\n"
    "end\n"
    "work()\n";

static struct config_instance instance = {.path = (char *)(uintptr_t) "/smq.lsp"};
static struct config config = {
    .instances = &instance,
    .instance_count = 1,
    .limits = {.topics_max = 1000,
               .topics_per_instance_max = 1000,
               .subscriptions_max = 1000,
               .subscriptions_per_instance_max = 1000,
               .subtopics_per_instance_max = 1000,
               .name_bytes_max = 200},
    .script = {.memory_bytes_max = 32 << 20,
               .callback_ms = 10000,
               .async_ms = 10000,
               .queue_count_max = 1000},
};
static struct mem mems[ACTORS];
static struct mem *mem_of[ACTORS];
static struct parker parkers[ACTORS];
static struct parker *parker_of[ACTORS];
static struct quotas quotas;
static struct mesh mesh;
static struct shard shard;
static struct hooks hooks;
static struct script *script;
static const struct siphash_key name_key = {1, 2};
static pthread_barrier_t all_subscribed;
static pthread_barrier_t all_received;

struct actor {
    struct port *port;
    struct mem *mem;
    struct dice dice;
    uint32_t tid;
    uint32_t etid;             /* of the subject */
    uint32_t last_number[IOS]; /* of the messages that came */
    uint32_t received_count;
    uint32_t unanswered_count; /* requests whose answer is still to come */
    uint32_t visitor_etid;
    uint16_t visitor_generation;
    pthread_t thread;
};
static struct actor actors[IOS];

static void turn(struct actor *actor, bool may_sleep);

/* -- saying -- */

static struct conn_handle handle_of(const struct actor *actor, uint32_t slot, uint16_t generation)
{
    return (struct conn_handle){.host_index = actor->port->index,
                                .generation = generation,
                                .slot_index = slot};
}

static bool script_has_room(const struct actor *actor)
{
    return port_room(actor->port, SCRIPT) >= 4;
}

/* As net/detour.c: never more than the lane holds; who finds no room waits for a ROOM. */
static void wait_for_room(struct actor *actor)
{
    while (!script_has_room(actor)) {
        atomic_store(&hooks.wants_room[actor->port->index], true);
        if (!script_has_room(actor)) /* it may have just read */
            turn(actor, true);
    }
}

static void say_id(struct actor *actor, uint32_t to, enum envelope_kind kind,
                   struct conn_handle conn, uint32_t id)
{
    port_push(actor->port, to, (struct envelope){.kind = (uint8_t)kind, .conn = conn, .id = id});
}

static void say_connect(struct actor *actor, struct conn_handle conn, const char *uid)
{
    struct identity identity = {.uid = span_of(uid, strlen(uid))};
    struct facts facts = {.address = span_of("127.0.0.1:5", 11),
                          .head = span_of("GET / HTTP/1.0\r\n\r\n", 18)};
    struct msg *told = msg_new(actor->mem, facts_bytes(&facts));
    struct msg *known = msg_new(actor->mem, identity_bytes(&identity));

    must(told && known);
    facts_write(&facts, told->bytes);
    identity_write(&identity, known->bytes);
    wait_for_room(actor);
    port_push(actor->port, SCRIPT,
              (struct envelope){.kind = ENVELOPE_FACTS, .conn = conn, .msg = told});
    port_push(actor->port, SCRIPT,
              (struct envelope){.kind = ENVELOPE_CONNECT,
                                .conn = conn,
                                .hash = siphash(&name_key, identity.uid),
                                .msg = known});
    actor->unanswered_count++;
}

static void say_subscribe(struct actor *actor)
{
    struct span name = span_of("t", 1);

    wait_for_room(actor);
    port_push(actor->port, SCRIPT,
              (struct envelope){.kind = ENVELOPE_SUBSCRIBE,
                                .conn = handle_of(actor, SUBJECT, 1),
                                .hash = siphash(&name_key, name),
                                .msg = msg_copy(actor->mem, name)});
    actor->unanswered_count++;
}

static void publish(struct actor *actor, uint32_t number)
{
    uint32_t content[3] = {actor->port->index, 0, number};
    uint8_t run[SMQ_PUBLISH_HEADER_BYTES + sizeof(content)];

    smq_store_u16(run, sizeof(run));
    run[SMQ_LENGTH_BYTES] = SMQ_PUBLISH;
    smq_store_u32(run + SMQ_HEADER_BYTES, actor->tid);
    smq_store_u32(run + SMQ_HEADER_BYTES + 4, actor->etid);
    smq_store_u32(run + SMQ_HEADER_BYTES + 8, 0);
    memcpy(run + SMQ_PUBLISH_HEADER_BYTES, content, sizeof(content));
    wait_for_room(actor);
    port_push(actor->port, SCRIPT,
              (struct envelope){.kind = ENVELOPE_PUBLISH,
                                .conn = handle_of(actor, SUBJECT, 1),
                                .id = actor->tid,
                                .etid = actor->etid,
                                .count = 1,
                                .msg = msg_copy(actor->mem, span_of(run, sizeof(run)))});
}

/* -- hearing -- */

static bool is_there(const struct actor *actor, struct conn_handle conn)
{
    return conn.generation == (conn.slot_index == VISITOR ? actor->visitor_generation : 1);
}

static void on_deliver(struct actor *actor, const struct envelope *envelope)
{
    uint32_t content[3];

    memcpy(content, envelope->msg->bytes + SMQ_PUBLISH_HEADER_BYTES, sizeof(content));
    must(content[0] < IOS && content[2] % DROPPED != 0);
    must(content[2] > actor->last_number[content[0]]); /* once, and in order */
    actor->last_number[content[0]] = content[2];
    actor->received_count++;
}

/* The script lets it in: on to the shard, if it is still there. */
static void on_accepted(struct actor *actor, struct envelope *connect)
{
    if (!is_there(actor, connect->conn)) {
        actor->unanswered_count--;
        return;
    }
    port_push(actor->port, SHARD, *connect);
    connect->msg = NULL;
}

static void on_connected(struct actor *actor, const struct envelope *envelope)
{
    must(envelope->status == SMQ_CONNACK_ACCEPTED);
    actor->unanswered_count--;
    if (!is_there(actor, envelope->conn)) {
        say_id(actor, SHARD, ENVELOPE_GONE, envelope->conn, envelope->id);
        return;
    }
    if (envelope->conn.slot_index == SUBJECT)
        actor->etid = envelope->id;
    else
        actor->visitor_etid = envelope->id;
    say_id(actor, SCRIPT, ENVELOPE_PEER_JOINED, envelope->conn, envelope->id);
}

static void take(struct actor *actor, struct envelope *envelope)
{
    switch ((int)envelope->kind) {
    case ENVELOPE_DELIVER:
        on_deliver(actor, envelope);
        break;
    case ENVELOPE_CONNECT:
        on_accepted(actor, envelope);
        break;
    case ENVELOPE_CONNECTED:
        on_connected(actor, envelope);
        break;
    case ENVELOPE_SUBSCRIBED:
        must(envelope->status == SMQ_ACK_OK);
        actor->tid = envelope->id;
        actor->unanswered_count--;
        break;
    default:
        must(envelope->kind == ENVELOPE_KICK || envelope->kind == ENVELOPE_ROOM);
    }
    msg_unref(actor->mem, envelope->msg);
}

static uint32_t hear(struct actor *actor)
{
    struct envelope envelope;
    uint32_t count = 0;

    for (uint32_t from = 0; from < ACTORS; from++)
        for (; port_pop(actor->port, from, &envelope); count++)
            take(actor, &envelope);
    return count;
}

static void turn(struct actor *actor, bool may_sleep)
{
    uint32_t count;

    do {
        count = hear(actor);
    } while (!port_flush(actor->port));
    if (count == 0 && may_sleep)
        sleep_until_mail(actor->port, &parkers[actor->port->index]);
}

/* -- what an I/O actor does -- */

/* Somebody comes under a UID that both I/O actors use; who came before goes, in or not. */
static void visit(struct actor *actor)
{
    struct conn_handle conn = handle_of(actor, VISITOR, actor->visitor_generation);

    if (actor->visitor_generation > 0) {
        wait_for_room(actor);
        say_id(actor, SCRIPT, ENVELOPE_PEER_LEFT, conn, actor->visitor_etid);
        if (actor->visitor_etid != SMQ_ID_NONE)
            say_id(actor, SHARD, ENVELOPE_GONE, conn, actor->visitor_etid);
    }
    actor->visitor_etid = SMQ_ID_NONE;
    actor->visitor_generation = (uint16_t)(actor->visitor_generation % 60000 + 1);
    say_connect(actor, handle_of(actor, VISITOR, actor->visitor_generation), "visitor");
}

static void leave(struct actor *actor)
{
    struct conn_handle subject = handle_of(actor, SUBJECT, 1);
    struct conn_handle visitor = handle_of(actor, VISITOR, actor->visitor_generation);

    wait_for_room(actor);
    say_id(actor, SCRIPT, ENVELOPE_PEER_LEFT, visitor, actor->visitor_etid);
    say_id(actor, SCRIPT, ENVELOPE_PEER_LEFT, subject, actor->etid);
    say_id(actor, SHARD, ENVELOPE_GONE, visitor, actor->visitor_etid);
    say_id(actor, SHARD, ENVELOPE_LEAVE, subject, actor->tid);
    say_id(actor, SHARD, ENVELOPE_GONE, subject, actor->etid);
    turn(actor, false);
}

static void *act(void *argument)
{
    struct actor *actor = argument;

    say_connect(actor, handle_of(actor, SUBJECT, 1), actor->port->index == 0 ? "first" : "second");
    while (actor->etid == SMQ_ID_NONE)
        turn(actor, true);
    say_subscribe(actor);
    while (actor->tid == SMQ_ID_NONE)
        turn(actor, true);
    pthread_barrier_wait(&all_subscribed);
    for (uint32_t number = 1; number <= MESSAGES; number++) {
        publish(actor, number);
        if (dice_below(&actor->dice, 50) == 0)
            visit(actor);
        if (dice_below(&actor->dice, 20) == 0)
            turn(actor, false);
    }
    while (actor->received_count < PASSED || actor->unanswered_count > 0)
        turn(actor, true);
    pthread_barrier_wait(&all_received);
    leave(actor);
    return NULL;
}

/* -- putting it together -- */

static void build(void)
{
    struct mesh_size size = {.io_count = IOS,
                             .local_count = 1,
                             .shard_count = 1,
                             .slot_count = SLOTS};
    struct shard_options shard_options = {.config = &config,
                                          .mesh = &mesh,
                                          .quotas = &quotas,
                                          .name_key = name_key,
                                          .random_key = {3, 4},
                                          .hooks = &hooks};
    struct script_options script_options = {.config = &config,
                                            .mesh = &mesh,
                                            .mesh_index = SCRIPT,
                                            .hooks = &hooks,
                                            .name_key = name_key};

    for (uint32_t i = 0; i < ACTORS; i++) {
        must(parker_init(&parkers[i]) == STATUS_OK);
        mem_of[i] = i == SHARD ? &shard.mem : &mems[i];
        parker_of[i] = &parkers[i];
        mem_init(mem_of[i], &account_budget);
    }
    quotas_init(&quotas, &config);
    mesh_init_sized(&mesh, &size, parker_of, mem_of);
    must(shard_init(&shard, &shard_options) == STATUS_OK);
    hooks_begin(&hooks, SCRIPT, HOOKS_REFUSING);
    script_options.mem = mem_of[SCRIPT];
    script = script_create(&script_options);
    for (uint32_t i = 0; i < IOS; i++)
        actors[i] = (struct actor){.port = &mesh.ports[i], .mem = mem_of[i], .dice = {i + 1}};
}

/* Control's: everything that can be read while the script runs. */
static uint64_t script_figure(enum script_stat stat)
{
    const struct script_stats *stats = script_stats(script);

    must(counter_read(&stats->values[SCRIPT_STAT_ERRORS]) == 0);
    must(counter_read(&stats->values[SCRIPT_STAT_LOAD_FAILURES]) == 0);
    return counter_read(&stats->values[stat]);
}

static void wait_for_loads(uint64_t count)
{
    for (uint32_t ms = 0; script_figure(SCRIPT_STAT_LOADS) < count; ms++) {
        must(ms < HANG_MS);
        usleep(1000);
    }
}

static void tell(uint32_t to, enum envelope_kind kind)
{
    port_push(&mesh.ports[CONTROL], to, (struct envelope){.kind = (uint8_t)kind});
    must(port_flush(&mesh.ports[CONTROL]));
}

/* The threads have ended: let the shard answer what is left, until nobody has anything to say. */
static void settle(void)
{
    bool any = true;

    while (any) {
        any = shard_turn(&shard) > 0;
        any |= !port_flush(shard.port);
        for (uint32_t i = 0; i < IOS; i++) {
            any |= hear(&actors[i]) > 0;
            any |= !port_flush(actors[i].port);
        }
    }
}

static void check_and_free(void)
{
    int64_t left_bytes = 0;

    must(counter_read(&shard.stats[SHARD_STAT_CLIENTS]) == 0);
    must(counter_read(&shard.stats[SHARD_STAT_SUBSCRIPTIONS]) == 0);
    must(counter_read(&shard.stats[SHARD_STAT_OBSERVATIONS]) == 0);
    shard_deinit(&shard);
    mesh_deinit(&mesh);
    quotas_deinit(&quotas);
    for (uint32_t i = 0; i < ACTORS; i++)
        left_bytes += mem_total(mem_of[i]);
    must(left_bytes == 0);
}

static void write_script(char *folder, char *path, size_t path_bytes)
{
    must(mkdtemp(folder));
    snprintf(path, path_bytes, "%s/tsan.lua", folder);
    FILE *file = fopen(path, "w");

    must(file && fputs(lua, file) >= 0 && fclose(file) == 0);
    instance.script_path = path;
}

int main(void)
{
    char folder[] = "/tmp/tsan_script_XXXXXX";
    char path[64];
    pthread_t shard_thread, script_thread;

    log_set_level(LOG_LEVEL_WARNING);
    account_open();
    write_script(folder, path, sizeof(path));
    build();
    must(pthread_barrier_init(&all_subscribed, NULL, IOS) == 0);
    must(pthread_barrier_init(&all_received, NULL, IOS) == 0);
    must(pthread_create(&shard_thread, NULL, shard_main, &shard) == 0);
    must(pthread_create(&script_thread, NULL, script_main, script) == 0);
    wait_for_loads(1);
    for (uint32_t i = 0; i < IOS; i++)
        must(pthread_create(&actors[i].thread, NULL, act, &actors[i]) == 0);
    for (uint64_t i = 0; i < RELOADS; i++) {
        tell(SCRIPT, ENVELOPE_RELOAD);
        wait_for_loads(i + 2);
    }
    for (uint32_t i = 0; i < IOS; i++)
        must(pthread_join(actors[i].thread, NULL) == 0);
    tell(SCRIPT, ENVELOPE_STOP);
    must(pthread_join(script_thread, NULL) == 0);
    printf(
        "%u messages to each of %u actors, %llu dropped by the script, %llu jobs of its worker\n",
        PASSED, IOS, (unsigned long long)script_figure(SCRIPT_STAT_DROPPED),
        (unsigned long long)script_figure(SCRIPT_STAT_ASYNC_JOBS));
    must(script_figure(SCRIPT_STAT_DROPPED) == IOS * (MESSAGES / DROPPED));
    must(script_figure(SCRIPT_STAT_ASYNC_JOBS) > 0);
    script_destroy(script);
    tell(SHARD, ENVELOPE_STOP);
    must(pthread_join(shard_thread, NULL) == 0);
    settle();
    check_and_free();
    unlink(path);
    rmdir(folder);
    return 0;
}
