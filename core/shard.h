/*
 * core/shard.h — one router shard: the owner of a slice of every instance's names and numbers.
 *
 *      topic name ↔ TID, its holders, its subscribers per host, its observers
 *      UID → client, ETID → connection handle, its observers
 *      sub-topic name → STID
 *
 * A shard knows who asked (a connection handle) and which hosts (core/mesh.h) have subscribers; the
 * delivery to each subscriber is the host's (two-level fan-out). It is driven by envelopes
 * only, so the same code runs in a thread of its own, inside an I/O thread's turn, and in the
 * simulation. It never blocks, touches no socket and, but for spinning in
 * shard_main, reads no clock.
 *
 * Thread: one; who calls shard_turn. Source: SMQ protocol §4.
 */
#pragma once

#include "core/config.h"
#include "core/mesh.h"
#include "core/pool.h"
#include "core/quota.h"
#include "core/siphash.h"
#include "core/stats.h"
#include "core/table.h"

#define SHARD_STATS(X)                                                                             \
    X(ENVELOPES, "envelopes_total", "envelopes", "requests taken from the I/O actors' lanes")      \
    X(RUNS, "runs_total", "runs", "runs of Publishes routed")                                      \
    X(MESSAGES, "messages_total", "messages", "Publishes routed")                                  \
    X(NO_RECEIVER, "dropped_no_receiver_total", "messages",                                        \
      "Publishes to an id nobody listens to")                                                      \
    X(DROPPED_LOCAL, "dropped_local_total", "messages",                                            \
      "a client inside the broker (web, script) did not keep up")                                  \
    X(TAKEOVERS, "takeovers_total", "clients", "a UID connected again and replaced the older one") \
    X(TOPICS, "topics", "topics", "topic names held at the moment")                                \
    X(CLIENTS, "clients", "clients", "clients whose UID this shard owns")                          \
    X(SUBTOPICS, "subtopics", "names", "sub-topic names")                                          \
    X(SUBSCRIPTIONS, "subscriptions", "subscriptions", "subscriptions at the moment")              \
    X(OBSERVATIONS, "observations", "observations", "observations at the moment")                  \
    X(TOPIC_LIMIT, "refused_topic_limit_total", "requests", "names refused: a topic limit")        \
    X(SUBSCRIPTION_LIMIT, "refused_subscription_limit_total", "requests",                          \
      "Subscribes refused: a subscription limit")                                                  \
    X(SUBTOPIC_LIMIT, "refused_subtopic_limit_total", "requests", "Createsubs refused: the limit") \
    X(CHOSEN_TAKEN, "refused_chosen_id_total", "requests",                                         \
      "chosen numbers refused: taken, or the name has another")                                    \
    X(OBSERVE_LIMIT, "refused_observe_limit_total", "requests", "Observes ignored: the limit")     \
    X(PUBLISH_DENIED, "dropped_denied_total", "messages",                                          \
      "Publishes to a number, denied by the access list")                                          \
    X(OBSERVE_DENIED, "refused_observe_denied_total", "requests",                                  \
      "Observes denied by the access list")                                                        \
    X(IDENTITY, "refused_takeover_total", "clients",                                               \
      "Connects refused: the UID belongs to another login")                                        \
    X(NO_MEMORY, "refused_memory_total", "requests", "requests refused: memory_limit reached")     \
    X(TURNS, "turns_total", "turns", "batches handled")                                            \
    X(SLEEPS, "sleeps_total", "sleeps", "times this actor's thread had nothing to do")

enum shard_stat {
#define X(name, text, unit, help) SHARD_STAT_##name,
    SHARD_STATS(X)
#undef X
        SHARD_STAT_COUNT
};

extern const struct stat_desc shard_stat_descs[SHARD_STAT_COUNT];

/* One instance's slice in one shard. */
struct shard_instance {
    struct table topic_names; /* → topics */
    struct table uids;        /* → clients */
    struct table ids;         /* TIDs and ETIDs → topics and clients */
    struct table subtopic_names;
    struct table subtopic_ids;
    struct table forward_names; /* → forwards */
};

/* Who may do what to what has only a number (core/shard_rights.h). */
enum shard_right {
    SHARD_PUBLISH, /* to a topic; its name */
    SHARD_OBSERVE, /* a topic; its name */
    SHARD_DIRECT,  /* publish to a client; its UID */
};

/* The rules, by callbacks. Thread: the shard's. */
struct shard_judge {
    /* @identity: core/identity.h, the info left out. Says in the log what it denies. */
    bool (*may)(void *context, uint16_t instance_index, struct span identity,
                enum shard_right right, struct span name);
    /* New rules are there to be taken. Returns a bit for each instance where they changed. */
    uint64_t (*reload)(void *context);
    void *context; /* this shard's alone */
};

struct shard {
    const struct config *config;
    struct port *port;
    struct quotas *quotas;
    uint32_t shard_index;
    uint16_t last_grant;             /* 1 … MEMBER_GRANT_MAX, and around */
    const struct shard_judge *judge; /* NULL: nothing is forbidden */
    const struct hooks *hooks;       /* [instance_count]; NULL: no instance has a script */
    uint64_t recheck_instances;      /* bits of those whose topics are being told of new rules */
    uint32_t recheck_cursor;         /* ... from this one on */
    bool stopped;                    /* a STOP has come: nothing more will be asked of us */

    struct siphash_key name_key; /* the same for all actors: decides who owns a name */
    struct random_ids random;
    struct pool topics;
    struct pool clients;
    struct pool subtopics;
    struct pool forwards; /* names whose numbers were chosen, and lie in another shard */
    struct pool watches;  /* who observes what */
    struct table watch_ids;
    struct shard_instance *instances; /* [config->instance_count] */
    struct mem mem;

    alignas(CACHE_LINE) _Atomic uint64_t stats[SHARD_STAT_COUNT];
};

struct shard_options {
    const struct config *config; /* constant; outlives the shard */
    struct mesh *mesh;
    struct quotas *quotas;
    struct siphash_key name_key;
    struct siphash_key random_key; /* of this shard alone */
    uint32_t shard_index;
    const struct shard_judge *judge; /* NULL: nothing is forbidden. Borrowed */
    const struct hooks *hooks; /* [instance_count]; NULL: no instance has a script. Borrowed */
};

/* @shard->mem must have been set up (it belongs to the mesh too). Thread: main, before the start.
 * Makes the pinned topics and sub-topics this shard owns. STATUS_NO_MEMORY: memory_limit is too
 * small even for those. */
MUST_CHECK enum status shard_init(struct shard *shard, const struct shard_options *options);
void shard_deinit(struct shard *shard);

/* Handle a bounded bite from every inbox. Returns how many envelopes were handled; takes none
 * while the port is backlogged. The caller flushes the port. */
uint32_t shard_turn(struct shard *shard);

/* Answer a LIST of topics or sub-topics: the next bite of rows (core/shard_topics.c). */
void shard_list(struct shard *shard, const struct envelope *request);

/* A request came back because its name lies in another shard: push it there. Takes its msg.
 * Thread: the host's that owns @port. */
void shard_resend(struct port *port, const struct envelope *envelope);

/* The loop of a dedicated router thread; @argument: the shard. Returns when told to STOP. */
void *shard_main(void *argument);

/* Which shard owns this topic name? Pinned names live where their number does. Any thread. */
uint32_t shard_of_topic_name(const struct config *config, const struct mesh *mesh,
                             uint16_t instance_index, struct span name, uint64_t hash);
