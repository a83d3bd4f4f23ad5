/*
 * bench/wire.h — a pub/sub protocol as the generator needs it: five things to say, a few to hear.
 *
 *      TCP is up → greet → READY → subscribe → SUBSCRIBED → ... publish / MESSAGE ...
 *
 * One struct wire_protocol for each of smq, redis, nats and mqtt, so that every broker is measured
 * by the same generator. A Publish is always head + payload + tail, and the head depends only on
 * sender and topic; it is made once for each flow and copied for each message, whatever the
 * protocol, so none of them pays for formatting text.
 *
 * Thread: the worker that owns the connection. Pure: bytes in, bytes and events out; no socket,
 *         no clock. What must be answered (a server's ping) is appended to @out.
 */
#pragma once

#include <stdint.h>

#include "bench/buffer.h"
#include "core/must.h"

#define WIRE_HEAD_BYTES_MAX       64u /* the longest, Redis's, takes 54 */
#define WIRE_TOPIC_NAME_BYTES_MAX 24u
#define WIRE_REASON_BYTES_MAX     96u

/* The name of a topic of this run. */
struct wire_topic {
    char name[WIRE_TOPIC_NAME_BYTES_MAX]; /* "b<run>.<index>", terminated */
    uint32_t name_bytes;
};

/* What a protocol remembers of one connection. Zero is the state before greet. */
struct wire {
    uint32_t run;             /* set by the owner: makes names unique between runs */
    uint32_t client_index;    /* set by the owner: unique in the run */
    uint32_t self_id;         /* SMQ: the ETID */
    uint32_t ack_count;       /* NATS: subscriptions whose PONG has not come */
    uint32_t subscription_id; /* NATS: the last one given */
    uint8_t stage;            /* the protocol's own */
    bool is_ws;               /* SMQ: its packets travel as WebSocket messages */
};

enum wire_event_kind {
    WIRE_NEED_MORE,  /* nothing was used: call again with more bytes */
    WIRE_NOTHING,    /* something was used that does not matter here */
    WIRE_READY,      /* the handshake is done: subscribe and publish */
    WIRE_SUBSCRIBED, /* the oldest subscription not yet answered is now in force */
    WIRE_MESSAGE,    /* a message arrived: payload */
    WIRE_PONG,       /* the answer to our ping */
    WIRE_REFUSED,    /* the server will not have us, or sent nonsense: reason */
};

struct wire_event {
    enum wire_event_kind kind;
    size_t used_bytes;                  /* of the input; 0 only with WIRE_NEED_MORE */
    struct span payload;                /* WIRE_MESSAGE: borrows the input */
    struct span topic_name;             /* WIRE_SUBSCRIBED, SMQ only: borrows the input */
    uint32_t topic_id;                  /* WIRE_SUBSCRIBED, SMQ only */
    char reason[WIRE_REASON_BYTES_MAX]; /* WIRE_REFUSED */
};

struct wire_protocol {
    const char *name;
    uint16_t port; /* where its brokers usually listen */

    /* A message to a client's own address needs no subscription (SMQ's ETIDs). */
    bool has_self_address;

    /* Over TLS, the server's first line still comes before the handshake. */
    bool is_greeting_plain;

    /* TCP is up: the first bytes to send, if any. @path is the SMQ broker's URL path. */
    void (*greet)(struct wire *wire, struct buffer *out, const char *path);

    /* Take one thing from the front of @input. */
    void (*next)(struct wire *wire, struct span input, struct buffer *out,
                 struct wire_event *event);

    void (*subscribe)(struct wire *wire, struct buffer *out, const struct wire_topic *topic);
    void (*ping)(struct wire *wire, struct buffer *out);

    /* Say goodbye, where the protocol has a word for it; the caller closes afterwards. */
    void (*leave)(struct wire *wire, struct buffer *out);

    /**
     * Write what precedes a payload of @payload_bytes sent by @wire to @topic (to @topic_id in
     * SMQ). @head has WIRE_HEAD_BYTES_MAX bytes. Returns how many were written.
     */
    uint32_t (*publish_head)(const struct wire *wire, const struct wire_topic *topic,
                             uint32_t topic_id, uint32_t payload_bytes, uint8_t *head);

    const char *publish_tail; /* what follows the payload */
    uint32_t publish_tail_bytes;
};

extern const struct wire_protocol wire_smq;
extern const struct wire_protocol wire_smq_ws; /* over WebSocket */
extern const struct wire_protocol wire_redis;
extern const struct wire_protocol wire_nats;
extern const struct wire_protocol wire_mqtt;

/* The protocol called @name, or NULL. SMQ over WebSocket is SMQ with an option, not one of these.
 */
const struct wire_protocol *wire_find(const char *name);

/* Name the topic number @topic_index of run @run. */
void wire_topic_name(struct wire_topic *topic, uint32_t run, uint32_t topic_index);

/* The index that wire_topic_name put into @name; UINT32_MAX when it is not such a name. */
uint32_t wire_topic_index(struct span name);

/* For protocol files: fill in a WIRE_REFUSED that used @used_bytes. */
PRINTF(3, 4)
void wire_refuse(struct wire_event *event, size_t used_bytes, const char *format, ...);

/* For text protocols: the bytes before the first CRLF of @input, or {NULL, 0} without one. */
struct span wire_line(struct span input);
