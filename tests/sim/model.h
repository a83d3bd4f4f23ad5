/*
 * tests/sim/model.h — the oracle: what each client knows of the broker, and what must follow.
 *
 * It is told what the sessions were fed and what the clients read, never what the actors think. The
 * broker's state, as far as the protocol shows it, is what all clients know put together: who holds
 * a name, who subscribes, who observes, who is behind an ETID. From that follow
 *
 *      rules that hold at every step, in any interleaving   (beliefs.c, messages.c)
 *      each frame of a single action begun at rest          (calm.c)
 *      the exact contents of the actors' tables at rest     (quiet.c)
 *
 * The one fact about the inside that the rules use: requests of one connection to one shard are
 * answered in order, so an answer settles everything asked of that shard before. Thread: one.
 * Source: SMQ protocol §4; the numbers in messages and comments are its items.
 */
#pragma once

#include "client/smq_wire.h"
#include "net/conn.h"
#include "tests/sim/link.h"
#include "tests/sim/scenario.h"

#define BELIEFS_MAX  64u /* ids one client has to do with */
#define REQUESTS_MAX 96u /* unanswered ones */
#define STREAMS_MAX  512u
#define SHARD_NONE   UINT32_MAX /* answered by the I/O actor itself */

enum subscription {
    SUB_NONE = 0,
    SUB_ON,     /* confirmed: every message must come */
    SUB_ENDING, /* Unsubscribe was fed: messages may come until an answer settles it */
    SUB_UNSURE, /* two requests for one name, one refused for lack of memory: which one? */
};

enum observation {
    OBS_NONE = 0,
    OBS_ASKED,  /* Observe was fed; its answer, if any, is to come */
    OBS_ON,     /* each Change differs by one from the last */
    OBS_UNSURE, /* an older observation may still speak too */
    OBS_ENDING, /* Unobserve was fed */
};

/* What a client knows about one id. */
struct belief {
    uint32_t id;
    uint8_t name; /* NAME_NONE: not known */
    uint8_t kind; /* enum id_kind */
    uint8_t subscription;
    uint8_t observation;
    bool is_held; /* Suback or Createack gave it the number */
    bool has_count;
    uint32_t count;              /* the last Change said */
    uint32_t observe_count;      /* Observes fed since there was no observation */
    uint32_t observe_number;     /* the last one's request number */
    uint32_t unobserve_number;   /* the last Unobserve's */
    uint32_t unsubscribe_number; /* the last Unsubscribe's */
};

/* Something a shard will answer. */
struct request {
    uint32_t number;
    uint32_t id;    /* of an Observe */
    uint32_t shard; /* who answers */
    uint8_t type;   /* enum smq_packet */
    uint8_t name;
    bool is_doubtful; /* an answer that came may have been this one's */
};

/* What one client knows. */
struct knowledge {
    struct belief beliefs[BELIEFS_MAX];
    uint32_t belief_count;
    struct request requests[REQUESTS_MAX]; /* oldest first */
    uint32_t request_count;
    uint32_t next_number;
    uint32_t received_count;  /* messages */
    uint32_t missing_count;   /* messages that surely were for it and did not come */
    uint32_t dropped_count;   /* what the broker says it dropped for it, when we last looked */
    uint32_t dropped_at_rest; /* and at the last rest */
};

/* How one connection has got on with one stream. */
struct reception {
    uint32_t next_seq;       /* nothing below may come any more */
    uint32_t received_count; /* since the last rest */
    uint32_t must_from;      /* until the first has come: everything from here on must */
    bool has_begun;          /* since the subscription, or the Connack: from now on without a gap */
};

/* What one connection publishes to one destination: numbered messages. */
struct stream {
    bool is_used;
    uint8_t publisher; /* index of the link */
    uint8_t instance;
    uint32_t serial;      /* of the publisher's connection */
    uint32_t etid;        /* the publisher's */
    uint32_t destination; /* TID or ETID */
    uint32_t written_count;
    uint32_t sent_count; /* fed to the session */
    uint32_t base_seq;   /* certain[0] is about this one */
    uint8_t *certain;    /* did the session surely take it? */
    uint32_t certain_capacity;
    struct reception at[LINKS_MAX];
};

struct model {
    struct knowledge knowledge[LINKS_MAX];
    struct stream streams[STREAMS_MAX];
    uint32_t stream_count;                           /* none is used from here on */
    uint32_t tids[SIM_INSTANCES_MAX][SIM_NAMES_MAX]; /* as last told; 0: never */
    uint32_t stids[SIM_INSTANCES_MAX][SIM_SUBNAMES_MAX];
    uint32_t old_ids[SIM_INSTANCES_MAX][8]; /* TIDs and ETIDs that have gone */
    uint32_t old_id_count;
    uint32_t connect_counts[SIM_INSTANCES_MAX][SIM_UIDS_MAX]; /* Connects fed since the last rest */
    struct calm *calm;            /* the action under way foretells everything; NULL in a storm */
    uint64_t ended_dropped_count; /* dropped for connections that have ended */
    uint64_t certain_count;       /* messages the sessions surely took */
    uint64_t maybe_count;         /* and those that they may have taken */
};

/* -- told by the wire -- */

/* The session has had all of what @deed asks for. @certain: it took it for sure. */
void model_fed(struct sim *sim, struct link *link, const struct deed *deed, bool certain);

/* The client has read a frame. */
void model_received(struct sim *sim, struct link *link, enum smq_packet type, struct span body);

/* The broker ends the connection; @conn says for which reason: was there one? */
void model_ended(struct sim *sim, struct link *link, const struct conn *conn);

/* The broker closed the connection before it accepted it. */
void model_refused(struct sim *sim, struct link *link);

/* The end of a turn at a connection something happened to: bounds that hold always. */
void model_watch(struct sim *sim, struct link *link, const struct conn *conn);

/* The front of its output is offered to the kernel: @count pieces, each of whole frames but for the
 * rest of one that the client has a part of already. */
void model_offered(const struct sim *sim, const struct link *link, const struct iovec *pieces,
                   uint32_t count);

/* A connection begins: it knows nothing. */
void model_open(struct sim *sim, struct link *link);

void model_free(struct model *model);

/* The protocol's word for a packet type. */
const char *model_type_name(enum smq_packet type);

/* -- calm.c: the foretold frames -- */

void calm_received(struct sim *sim, const struct link *link, enum smq_packet type,
                   struct span body);
