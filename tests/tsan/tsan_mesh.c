/*
 * tests/tsan/tsan_mesh.c — I/O actors and router threads at full speed, under ThreadSanitizer.
 *
 * Goal:   what real router threads (shard_main) and I/O actors share is handed over, never touched
 *         by two; every message arrives once, in the publisher's order; nothing is left.
 * Method: two threads play I/O actors. Each has clients that subscribe to all topics, and publishes
 *         numbered messages; all the while others come, observe, take UIDs over and go. Lanes are
 *         as small as they can be, so that spills and parking happen all the time.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/msg.h"
#include "core/shard.h"
#include "tests/tsan/sleep.h"
#include "tests/unit/core/account.h"
#include "tests/unit/core/dice.h"

#define IOS      2u
#define SHARDS   2u
#define CONTROL  (IOS + SHARDS)
#define ACTORS   (CONTROL + 1)
#define TOPICS   4u
#define MESSAGES 30000u /* published by each I/O actor */
#define SLOTS    64u
#define SUBJECT  1u /* slot of the connection that subscribes */
#define VISITOR  2u /* and of the one that comes and goes */

static struct config_instance instance;
static struct config config = {
    .instances = &instance,
    .instance_count = 1,
    .limits = {.topics_max = 1000,
               .topics_per_instance_max = 1000,
               .subscriptions_max = 1000,
               .subscriptions_per_instance_max = 1000,
               .subtopics_per_instance_max = 1000},
};
static struct mem mems[ACTORS];
static struct mem *mem_of[ACTORS];
static struct parker parkers[ACTORS];
static struct parker *parker_of[ACTORS];
static struct quotas quotas;
static struct mesh mesh;
static struct shard shards[SHARDS];
static const struct siphash_key name_key = {1, 2};
static pthread_barrier_t all_subscribed;
static pthread_barrier_t all_received;

struct actor {
    struct port *port;
    struct mem *mem;
    struct dice dice;
    uint32_t tids[TOPICS];
    uint32_t known_count;              /* topics we have a SUBSCRIBED for */
    uint32_t last_number[IOS][TOPICS]; /* of the messages that came */
    uint32_t received_count;
    uint32_t unanswered_count; /* requests whose answer is still to come */
    uint32_t visitor_etid;
    uint16_t visitor_generation;
    pthread_t thread;
};
static struct actor actors[IOS];

/* -- saying -- */

static struct conn_handle handle_of(const struct actor *actor, uint32_t slot, uint16_t generation)
{
    return (struct conn_handle){.host_index = actor->port->index,
                                .generation = generation,
                                .slot_index = slot};
}

static void say(struct actor *actor, uint32_t shard, struct envelope envelope)
{
    port_push(actor->port, mesh_shard_index(&mesh, shard), envelope);
}

static void say_name(struct actor *actor, enum envelope_kind kind, struct conn_handle conn,
                     struct span text, struct span name)
{
    uint64_t hash = siphash(&name_key, name);

    say(actor, mesh_shard_of_hash(&mesh, hash),
        (struct envelope){
            .kind = (uint8_t)kind, .conn = conn, .hash = hash, .msg = msg_copy(actor->mem, text)});
    actor->unanswered_count++;
}

static void say_id(struct actor *actor, enum envelope_kind kind, struct conn_handle conn,
                   uint32_t id)
{
    say(actor, mesh_shard_of_id(&mesh, id),
        (struct envelope){.kind = (uint8_t)kind, .conn = conn, .id = id});
}

static void publish(struct actor *actor, uint32_t topic, uint32_t number)
{
    uint32_t content[3] = {actor->port->index, topic, number};
    uint32_t tid = actor->tids[topic];

    say(actor, mesh_shard_of_id(&mesh, tid),
        (struct envelope){.kind = ENVELOPE_PUBLISH,
                          .conn = handle_of(actor, SUBJECT, 1),
                          .id = tid,
                          .count = 1,
                          .msg = msg_copy(actor->mem, span_of(content, sizeof(content)))});
}

/* -- hearing -- */

static void on_deliver(struct actor *actor, const struct envelope *envelope)
{
    uint32_t content[3];

    memcpy(content, envelope->msg->bytes, sizeof(content));
    must(content[0] < IOS && content[1] < TOPICS);
    must(content[2] > actor->last_number[content[0]][content[1]]); /* once, and in order */
    actor->last_number[content[0]][content[1]] = content[2];
    actor->received_count++;
}

static void on_subscribed(struct actor *actor, const struct envelope *envelope)
{
    must(envelope->status == SMQ_ACK_OK);
    if (envelope->conn.slot_index == SUBJECT)
        actor->tids[envelope->msg->bytes[1] - '0'] = envelope->id;
    actor->known_count += envelope->conn.slot_index == SUBJECT;
    actor->unanswered_count--;
}

/* As an I/O actor does it: who is gone gives back what an answer brings. */
static void on_visitor_s(struct actor *actor, const struct envelope *envelope)
{
    bool gone = envelope->conn.generation != actor->visitor_generation;

    if (envelope->kind == ENVELOPE_CONNECTED) {
        actor->unanswered_count--;
        if (gone)
            say_id(actor, ENVELOPE_GONE, envelope->conn, envelope->id);
        else
            actor->visitor_etid = envelope->id;
    } else if (envelope->flags & ENVELOPE_NEW) { /* an observation */
        say_id(actor, ENVELOPE_LEAVE, envelope->conn, envelope->id);
    }
}

static uint32_t hear(struct actor *actor)
{
    struct envelope envelope;
    uint32_t count = 0;

    for (uint32_t from = 0; from < ACTORS; from++) {
        while (port_pop(actor->port, from, &envelope)) {
            if (envelope.kind == ENVELOPE_DELIVER)
                on_deliver(actor, &envelope);
            else if (envelope.kind == ENVELOPE_SUBSCRIBED)
                on_subscribed(actor, &envelope);
            else
                on_visitor_s(actor, &envelope);
            msg_unref(actor->mem, envelope.msg);
            count++;
        }
    }
    return count;
}

/* One turn: what is to be said has been pushed. With a full lane ahead only listen. */
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

static void subscribe_to_all(struct actor *actor)
{
    char name[] = "t0";

    for (uint32_t i = 0; i < TOPICS; i++) {
        name[1] = (char)('0' + i);
        say_name(actor, ENVELOPE_SUBSCRIBE, handle_of(actor, SUBJECT, 1), span_of(name, 2),
                 span_of(name, 2));
    }
    while (actor->known_count < TOPICS)
        turn(actor, true);
}

/* Somebody comes under a UID that both I/O actors use, observes, or goes. */
static void visit(struct actor *actor)
{
    static const uint8_t identity[] = "\7visitor\0"; /* a login of none, and its end: no name */
    struct conn_handle conn;

    if (actor->visitor_etid != SMQ_ID_NONE) {
        conn = handle_of(actor, VISITOR, actor->visitor_generation);
        say_id(actor, ENVELOPE_OBSERVE, conn, actor->tids[dice_below(&actor->dice, TOPICS)]);
        say_id(actor, ENVELOPE_GONE, conn, actor->visitor_etid);
    }
    actor->visitor_etid = SMQ_ID_NONE;
    actor->visitor_generation = (uint16_t)(actor->visitor_generation % 60000 + 1);
    conn = handle_of(actor, VISITOR, actor->visitor_generation);
    say_name(actor, ENVELOPE_CONNECT, conn, span_of(identity, 10), span_of(identity + 1, 7));
}

static void *act(void *argument)
{
    struct actor *actor = argument;

    subscribe_to_all(actor);
    pthread_barrier_wait(&all_subscribed);
    for (uint32_t number = 1; number <= MESSAGES; number++) {
        publish(actor, dice_below(&actor->dice, TOPICS), number);
        if (dice_below(&actor->dice, 50) == 0)
            visit(actor);
        if (dice_below(&actor->dice, 20) == 0)
            turn(actor, false);
    }
    while (actor->received_count < IOS * MESSAGES)
        turn(actor, true);
    pthread_barrier_wait(&all_received);
    while (actor->unanswered_count > 0)
        turn(actor, true);
    if (actor->visitor_etid != SMQ_ID_NONE)
        say_id(actor, ENVELOPE_GONE, handle_of(actor, VISITOR, actor->visitor_generation),
               actor->visitor_etid);
    for (uint32_t i = 0; i < TOPICS; i++)
        say_id(actor, ENVELOPE_LEAVE, handle_of(actor, SUBJECT, 1), actor->tids[i]);
    turn(actor, false);
    return NULL;
}

/* -- putting it together -- */

static void build(void)
{
    for (uint32_t i = 0; i < ACTORS; i++) {
        must(parker_init(&parkers[i]) == STATUS_OK);
        mem_of[i] = i < IOS || i == CONTROL ? &mems[i] : &shards[i - IOS].mem;
        parker_of[i] = &parkers[i];
        mem_init(mem_of[i], &account_budget);
    }
    quotas_init(&quotas, &config);
    mesh_init(&mesh, IOS, SHARDS, SLOTS, parker_of, mem_of);
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct shard_options options = {.config = &config,
                                        .mesh = &mesh,
                                        .quotas = &quotas,
                                        .name_key = name_key,
                                        .random_key = {3, i},
                                        .shard_index = i};
        must(shard_init(&shards[i], &options) == STATUS_OK);
    }
    for (uint32_t i = 0; i < IOS; i++)
        actors[i] = (struct actor){.port = &mesh.ports[i],
                                   .mem = mem_of[i],
                                   .dice = {i + 1},
                                   .visitor_generation = 1};
}

/* The shards have ended: let them answer what is left, until nobody has anything to say. */
static void settle(void)
{
    bool any = true;

    while (any) {
        any = false;
        for (uint32_t i = 0; i < SHARDS; i++) {
            any |= shard_turn(&shards[i]) > 0;
            any |= !port_flush(shards[i].port);
        }
        for (uint32_t i = 0; i < IOS; i++) {
            any |= hear(&actors[i]) > 0;
            any |= !port_flush(actors[i].port);
        }
    }
}

static void check_and_free(void)
{
    uint64_t left_count = 0;
    int64_t left_bytes = 0;

    for (uint32_t i = 0; i < SHARDS; i++) {
        left_count += counter_read(&shards[i].stats[SHARD_STAT_TOPICS]);
        left_count += counter_read(&shards[i].stats[SHARD_STAT_CLIENTS]);
        left_count += counter_read(&shards[i].stats[SHARD_STAT_SUBSCRIPTIONS]);
        left_count += counter_read(&shards[i].stats[SHARD_STAT_OBSERVATIONS]);
    }
    must(left_count == 0);
    for (uint32_t i = 0; i < SHARDS; i++)
        shard_deinit(&shards[i]);
    mesh_deinit(&mesh);
    for (uint32_t i = 0; i < ACTORS; i++)
        left_bytes += mem_total(mem_of[i]);
    must(left_bytes == 0);
    quotas_deinit(&quotas);
}

int main(void)
{
    pthread_t shard_threads[SHARDS];
    struct port *control;
    uint64_t takeover_count = 0;

    account_open();
    build();
    control = &mesh.ports[CONTROL];
    must(pthread_barrier_init(&all_subscribed, NULL, IOS) == 0);
    must(pthread_barrier_init(&all_received, NULL, IOS) == 0);
    for (uint32_t i = 0; i < SHARDS; i++)
        must(pthread_create(&shard_threads[i], NULL, shard_main, &shards[i]) == 0);
    for (uint32_t i = 0; i < IOS; i++)
        must(pthread_create(&actors[i].thread, NULL, act, &actors[i]) == 0);
    for (uint32_t i = 0; i < IOS; i++)
        must(pthread_join(actors[i].thread, NULL) == 0);
    for (uint32_t i = 0; i < SHARDS; i++)
        port_push(control, mesh_shard_index(&mesh, i), (struct envelope){.kind = ENVELOPE_STOP});
    must(port_flush(control));
    for (uint32_t i = 0; i < SHARDS; i++)
        must(pthread_join(shard_threads[i], NULL) == 0);
    settle();
    for (uint32_t i = 0; i < SHARDS; i++)
        takeover_count += counter_read(&shards[i].stats[SHARD_STAT_TAKEOVERS]);
    check_and_free();
    printf("%u messages to each of %u actors, %llu takeovers\n", IOS * MESSAGES, IOS,
           (unsigned long long)takeover_count);
    return 0;
}
