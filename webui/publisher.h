/*
 * webui/publisher.h — what the broker tells of itself on the admin instance, as its ETID 1.
 *
 *      topic    what                                              from
 *      stats    the figures of the last second, each second       webui/stats.h
 *      events   lines of the log, as they come                    EVENT, of control
 *      peers    who came and who went, once a second              JOINED, LEFT, of the I/O actors
 *      tap      the messages of one connection, as they come      TAPPED, of its I/O actor
 *
 * All of it only while somebody subscribes: the topics are observed, and control and the I/O actors
 * are told with REPORT when to send and when to stop. Each is bounded; what is left out is counted,
 * and said. Messages are JSON.
 *
 * Thread: the web actor's. Owns: its local client, and what it gathers for the next second.
 */
#pragma once

#include "core/local_client.h"
#include "webui/admin_topics.h"
#include "webui/stats.h"

#define PUBLISHER_EVENTS_A_SECOND 50u
#define PUBLISHER_TAPPED_A_SECOND 200u /* messages, of all taps together */
#define PUBLISHER_TAPS_MAX        16u
#define PUBLISHER_TAP_MS          300000 /* somebody may forget it */
#define PUBLISHER_TAPPED_BYTES    1024u  /* of a message that are shown */

struct publisher_tap {
    struct conn_handle conn; /* generation 0: free */
    int64_t end_ms;
    uint64_t missed_count; /* messages not told, not yet said */
};

struct publisher {
    struct local_client client;
    struct mem *mem;
    const struct stats *stats;
    int64_t now_ms; /* of taps: any clock that only goes forward */
    struct {
        bool is_asked; /* an OBSERVE is on its way, or was granted */
        uint32_t subscriber_count;
    } topics[ADMIN_TOPIC_COUNT];
    uint32_t event_count; /* in this second */
    uint64_t event_missed_count;
    struct body joined; /* rows, comma-separated, since the last message on `peers` */
    struct body left;   /* ids, the same */
    uint64_t peer_missed_count;
    struct publisher_tap taps[PUBLISHER_TAPS_MAX];
    uint32_t tapped_count; /* in this second */
    struct msg *tls;       /* of TLS_FACTS, for the stats object; NULL: no TLS */
};

struct publisher_options {
    const struct config *config; /* constant; outlives the publisher */
    struct port *port;
    struct mem *mem;
    struct siphash_key name_key; /* the same for all actors */
    uint16_t instance_index;     /* the admin instance */
    const struct stats *stats;   /* the newest figures */
};

void publisher_init(struct publisher *publisher, const struct publisher_options *options);

/* Say goodbye to the shards, which must still run. Nothing comes after it. */
void publisher_stop(struct publisher *publisher);
void publisher_deinit(struct publisher *publisher);

/* A second has passed, and there are new figures. The first call connects. */
void publisher_tick(struct publisher *publisher, int64_t now_ms);

/* Anything from a shard, and EVENT, JOINED, LEFT, TAPPED and TLS_FACTS. Borrows it. */
void publisher_envelope(struct publisher *publisher, const struct envelope *envelope);

/* Begin or end to tell the messages of a connection. false: too many taps. */
MUST_CHECK bool publisher_tap(struct publisher *publisher, struct conn_handle conn, bool is_on);

/* What TLS_FACTS said last, for stats_put. */
struct span publisher_tls(const struct publisher *publisher);
