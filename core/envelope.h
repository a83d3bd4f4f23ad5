/*
 * core/envelope.h — what actors say to each other: one cache line, passed by value over a lane.
 *
 *      host ──CONNECT SUBSCRIBE PUBLISH …──> shard            (host: I/O actor or local actor)
 *      host <──CONNECTED SUBSCRIBED DELIVER …── shard
 *
 * The only thing an envelope owns is one reference on `msg` (NULL: none): whoever pops it owns
 * that reference. Connections are named by handle, never by pointer; a handle whose connection
 * is gone is an ordinary miss.
 */
#pragma once

#include <assert.h>

#include "core/must.h"

struct msg;

/* name; who sends it to whom and what its fields say */
#define ENVELOPES(X)                                                                               \
    /* -- host to shard -- */                                                                      \
    X(CONNECT)     /* conn wants UID; msg: identity; hash: of the UID; SERVER */                   \
    X(GONE)        /* conn, which had the ETID id, has closed */                                   \
    X(SUBSCRIBE)   /* conn; msg: topic name; hash: of the name; AT_LIMIT */                        \
    X(CREATE)      /* the same, without subscribing */                                             \
    X(CREATESUB)   /* conn; msg: sub-topic name; hash */                                           \
    X(UNSUBSCRIBE) /* conn gives up topic id, but was once given its number */                     \
    X(RELEASE)     /* conn gives the topic id back (it may still observe it) */                    \
    X(LEAVE)       /* conn gives up all it holds of id */                                          \
    X(PUBLISH)     /* msg: a run from etid to id; count: its frames; JUDGE, RETURN, hash: below */ \
    X(OBSERVE)     /* conn; id; JUDGE */                                                           \
    X(UNOBSERVE)   /* conn; id */                                                                  \
    X(LOOKUP)      /* conn; what is id called; id 0: which id has the name msg; hash; SUBTOPIC */  \
    /* -- shard to host -- */                                                                      \
    X(CONNECTED)    /* conn has the ETID id; status: Connack code */                               \
    X(KICK)         /* conn lost its UID to a newer connection */                                  \
    X(SUBSCRIBED)   /* conn now holds id, subscribed; status; msg: name; NEW */                    \
    X(UNSUBSCRIBED) /* conn no longer subscribes to id, but still holds it */                      \
    X(CREATED)      /* conn now holds id; status; msg: name; NEW */                                \
    X(SUBCREATED)   /* sub-topic name has the STID id; status; msg: name */                        \
    X(DELIVER)      /* msg: a run for all local subscribers of topic id */                         \
    X(DIRECT)       /* msg: a run for conn */                                                      \
    X(CHANGE)       /* id now has count subscribers; REPLY, NEW, ENDED, SILENT */                  \
    X(FOUND)        /* answers a LOOKUP: id is called msg; CLIENT: it is one; neither: unknown */  \
    X(ELSEWHERE) /* a request (status: its kind) whose name moved to shard count: push it there */ \
    X(RECHECK)   /* rules have changed; conn subscribes to id: may it? msg: name, or NULL */       \
    /* -- I/O actor and web actor -- */                                                            \
    X(HTTP_REQUEST) /* conn asks for a page; UPGRADE, KEEP, SECURE; msg: see below */              \
    X(HTTP_ANSWER)  /* status: enum http_answer; msg: the whole response */                        \
    X(END)          /* conn is to be disconnected; LOST; msg: the reason */                        \
    X(REPORT)       /* to control, too: begin (ON) or end to send what follows */                  \
    X(JOINED)       /* msg: rows of count clients that came; id: more, left out */                 \
    X(LEFT)         /* msg: ids, in JSON, of count clients that went; id: more, left out */        \
    X(TAP)          /* begin (ON) or end to send TAPPED of conn */                                 \
    X(TAPPED)       /* msg: a run from conn, or to it (OUT); id: messages left out before it */    \
    X(WHERE)        /* which address has conn? etid: comes back in the ADDRESS */                  \
    X(ADDRESS)      /* msg: its 16 bytes; NULL: conn has gone */                                   \
    /* -- I/O actor and script host (core/hooks.h); requests above by the detour, too, and a       \
       CONNECT that the script accepts comes back: only its I/O actor knows if conn is there -- */ \
    X(FACTS)       /* of conn, whose CONNECT is next; msg: core/facts.h */                         \
    X(PEER_JOINED) /* conn, introduced by FACTS, is live: id is its ETID */                        \
    X(PEER_LEFT)   /* conn, introduced by FACTS, has gone, live or not; id; msg, or NULL: how      \
                      many topics it subscribed to (4 bytes), these, and why */                    \
    X(ROOM)        /* the lane to the script host has room again */                                \
    X(DROPPED)     /* by a shard: nobody received the run from etid to id; msg, count */           \
    /* -- control to web actor -- */                                                               \
    X(EVENT)     /* status: level; hash: Unix ms; msg: name, 0, text; count: left out before it */ \
    X(TLS_FACTS) /* msg: members of the stats object about certificates and the last reload */     \
    /* -- a helper thread to an I/O actor -- */                                                    \
    X(SIGNED)       /* the RSA signature that conn waits for is made */                            \
    X(AUTH_VERDICT) /* the password that conn showed; status: enum passwd_verdict */               \
    /* -- control to and from the others -- */                                                     \
    X(STOP)     /* drain: finish what is queued, close, then answer STOPPED */                     \
    X(STOPPED)  /* the sender has nothing left */                                                  \
    X(RELOAD)   /* new TLS credentials, accounts or rules are there to be taken; msg: so is this,  \
                   a struct config, of which only live keys differ from the one before */          \
    X(EXPEL)    /* from web, too: close whose address is banned by hand */                         \
    X(LIST)     /* id: enum list_kind; count: where to go on; answered by ROWS, then ROWS_END */   \
    X(ROWS)     /* msg: JSON objects, comma-separated */                                           \
    X(ROWS_END) /* count: how many there were; id: where to go on, 0: that was all */

enum envelope_kind {
#define X(name) ENVELOPE_##name,
    ENVELOPES(X)
#undef X
        ENVELOPE_KIND_COUNT
};

const char *envelope_kind_name(enum envelope_kind kind);

/* What a LIST asks for: of an I/O actor all its connections, or those whose handles are in its msg
 * (up to LIMIT_LIST_NAMES, at once); of a shard a bite of its topics or sub-topics,
 * or of those topics that conn subscribes to. */
enum list_kind { LIST_PEERS, LIST_PEERS_OF, LIST_TOPICS, LIST_SUBTOPICS, LIST_TOPICS_OF };

/* An HTTP_REQUEST's message: the peer's address (IPv4 as ::ffff:a.b.c.d), the listener's index
 * (u16, big-endian), then head and body as they came, whole. Its one HTTP_ANSWER says what to do.
 */
#define HTTP_REQUEST_PREFIX_BYTES 18u
enum http_answer {
    HTTP_ANSWER_KEEP,    /* send it; another request may follow. Only for a KEEP */
    HTTP_ANSWER_CLOSE,   /* send it, then close */
    HTTP_ANSWER_UPGRADE, /* the WebSocket may be opened; msg: the user's name. Only for an UPGRADE
                          */
};

/* Flags; each is about the kinds that name it above. */
#define ENVELOPE_AT_LIMIT     0x01u /* conn may hold nothing new: deny unless it holds this already */
#define ENVELOPE_AT_SUB_LIMIT 0x02u /* conn may subscribe to nothing new */
#define ENVELOPE_NEW          0x04u /* this did not exist before: take it into the local tables */
#define ENVELOPE_ENDED        0x08u /* the observation has ended */
#define ENVELOPE_SILENT       0x10u /* book-keeping only: the client hears nothing */
#define ENVELOPE_REPLY        0x20u /* the one answer to an OBSERVE */
#define ENVELOPE_SERVER       0x40u /* of CONNECT: wants ETID 1, and goes to the shard that owns it */
#define ENVELOPE_CHOSEN       0x40u /* of CREATE, CREATESUB: it shall have this id */
#define ENVELOPE_SUBTOPIC     0x40u /* of LOOKUP: sub-topics, not topics */
#define ENVELOPE_CLIENT       0x40u /* of FOUND: a client has this id */
#define ENVELOPE_RETURN       0x40u /* of a PUBLISH to JUDGE: it comes back; no msg: it may not */
#define ENVELOPE_JUDGE        0x80u /* may it? The name is not known; msg begins with the client's */
                                    /* identity (core/identity.h), of hash bytes or all of it */

/* Flags of REPORT and TAP, and of TAPPED. */
#define ENVELOPE_ON  0x01u
#define ENVELOPE_OUT 0x01u

/* Flag of END. */
#define ENVELOPE_LOST 0x01u /* it lost its right to be here; else somebody sends it away */

/* Flags of HTTP_REQUEST. */
#define ENVELOPE_UPGRADE 0x01u /* may this become a WebSocket on instance_index? */
#define ENVELOPE_KEEP    0x02u /* the connection could take another request */
#define ENVELOPE_SECURE  0x04u /* it came over TLS */

/* The name of a connection for everybody but its own I/O actor. */
struct conn_handle {
    uint16_t host_index; /* which actor holds the client: its mesh index */
    uint16_t generation; /* of the slot; never 0 for a live one */
    uint32_t slot_index;
};

static inline bool conn_handle_equal(struct conn_handle a, struct conn_handle b)
{
    return a.slot_index == b.slot_index && a.generation == b.generation &&
           a.host_index == b.host_index;
}

struct envelope {
    uint8_t kind;            /* enum envelope_kind */
    uint8_t status;          /* enum smq_ack_status or enum smq_connack */
    uint8_t flags;           /* ENVELOPE_* above */
    uint8_t from;            /* mesh index of the sender; set by port_push */
    uint16_t instance_index; /* which broker instance: the namespace of all ids below */
    uint16_t grant;          /* of a NEW hold: its number, echoed by who gives it back; else 0 */
    uint32_t id;             /* TID, ETID or STID the envelope is about */
    uint32_t etid;           /* the publisher */
    struct conn_handle conn;
    struct msg *msg;
    uint64_t hash;  /* of a name or UID */
    uint32_t count; /* frames in a run; subscribers in a CHANGE */
    uint8_t pad[4];
    int64_t received_ns; /* of a run whose way is timed: when it came in; else 0 */
    uint8_t pad_too[8];
};
static_assert(sizeof(struct envelope) == CACHE_LINE, "one envelope is one cache line");
