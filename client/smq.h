/*
 * client/smq.h — SMQ for devices: one struct, one receive buffer, two transport functions.
 *
 *      static uint8_t buffer[256];
 *      struct smq smq;
 *
 *      smq_init(&smq, &transport, buffer, sizeof buffer);
 *      smq_open(&smq, &(struct smq_broker){.host = "example.net", .path = "/smq.lsp"}, 5000);
 *      smq_connect(&smq, &(struct smq_identity){.uid = mac, .uid_bytes_count = 6}, 5000);
 *      smq_subscribe(&smq, "led/set");
 *      while (smq_next(&smq, 60000) == SMQ_OK) {
 *          if (smq.event.packet == SMQ_PUBLISH)
 *              set_led(smq.event.data, smq.event.bytes_count);
 *      }
 *
 * Portable C99 for a bare microcontroller as well as for a server: no allocation, no globals, no
 * clock, no libc but memmove(). What is sent goes straight from the caller's memory to the
 * transport, so the buffer only receives: one of N bytes gets payloads of up to N bytes whole,
 * and larger ones in pieces of N (see struct smq_event). client/README.md has the sizes.
 *
 * Thread: one at a time for each struct smq. Sending between two smq_next() is fine, and leaves
 *         smq.event and the bytes it points at alone.
 * Errors: SMQ_TIMEOUT and SMQ_TOO_BIG leave the connection as it was. After any other error it is
 *         over: every later call returns that same status and touches the transport no more.
 *         Close the transport, and begin again with smq_init().
 */
#ifndef SMQ_H
#define SMQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/smq_wire.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The smallest receive buffer: the longest fixed part of a packet (15 bytes), rounded up. */
#define SMQ_BUFFER_BYTES_MIN 16u

/* An HTTP answer whose head is longer than this is not from an SMQ broker. */
#define SMQ_HTTP_HEAD_BYTES_MAX 8192u

enum smq_status {
    SMQ_OK = 0,
    SMQ_TIMEOUT,   /* nothing (more) came in time; what did come is kept: call again */
    SMQ_TOO_BIG,   /* larger than the protocol allows; not a byte of it was sent */
    SMQ_CLOSED,    /* the transport failed, or either side sent Disconnect */
    SMQ_MALFORMED, /* what came is not SMQ: wrong port, a proxy, or a broken broker */
    SMQ_REFUSED    /* smq_open: see smq.http_status; smq_connect: see smq.event */
};

/* How bytes travel: TCP, TLS, a modem. client/posix.h has a ready one for sockets. */
struct smq_transport {
    /**
     * Send up to @bytes_count (at least 1) bytes.
     * @more:   true when the rest of the same packet follows at once: hold the bytes back if you
     *          can (MSG_MORE, lwIP's TCP_WRITE_FLAG_MORE, an open TLS record), or ignore it.
     * Returns: how many bytes were taken, 1..@bytes_count; 0 or less ends the connection.
     */
    int32_t (*send)(void *context, const void *data, size_t bytes_count, bool more);

    /**
     * Wait at most @timeout_ms for the first byte, then return what is there; do not wait for
     * @room_bytes (at least 1) to fill.
     * Returns: how many bytes were stored, 1..@room_bytes; 0 when none came in time; less than 0
     *          when the connection ended.
     */
    int32_t (*recv)(void *context, void *room, size_t room_bytes, uint32_t timeout_ms);

    void *context; /* handed to both */
};

/*
 * What smq_next() received: the packet's fields, decoded. Those its type does not have keep an
 * older value.
 *
 *  packet             id                  also set              data
 *  SMQ_PUBLISH        TID, or own ETID    sender, subtopic      payload
 *  SMQ_SUBACK         TID                 code (0 ok, 1 denied) topic name
 *  SMQ_CREATEACK      TID                 code (0 ok, 1 denied) topic name
 *  SMQ_CREATESUBACK   sub-topic id        code (0 ok, 1 denied) sub-topic name
 *  SMQ_CHANGE         TID or ETID         subscriber_count      -
 *  SMQ_DISCONNECT     -                   -                     reason; nothing follows
 *  SMQ_PONG           -                   -                     -
 *  SMQ_CONNACK        own ETID            code (smq_connack)    reason    (by smq_connect)
 *  SMQ_INIT           seed                code (version)        own IP    (by smq_open)
 *
 * A data part larger than the buffer comes in several events, in order, with the same fields:
 * @offset says where the piece belongs, @left_bytes_count how much is still to come.
 */
struct smq_event {
    uint8_t packet; /* enum smq_packet */
    uint8_t code;
    uint16_t offset;           /* of data[0] in the whole; 0: the first piece */
    uint16_t bytes_count;      /* of @data, at most the size of the buffer */
    uint16_t left_bytes_count; /* to come in the next events; 0: this one is the last */
    uint32_t id;
    uint32_t sender;           /* the publisher's ETID: publish to it to answer */
    uint32_t subtopic;         /* 0: none */
    uint32_t subscriber_count; /* an ETID has 0 when that client has gone */
    const uint8_t *data;       /* in the buffer, valid until the next smq_next(); no terminator */
};

/* One connection. 64 bytes on a 32-bit machine. Read the first group, leave the second alone. */
struct smq {
    struct smq_event event; /* what smq_next() received last */
    uint32_t etid;          /* our own address; set by smq_connect() */
    uint32_t seed;          /* the broker's random number, for hashed credentials; by smq_open() */
    uint16_t http_status;   /* of the broker's HTTP answer; 0: it sent none */

    uint16_t fragment_bytes_count;         /* sent by smq_publish_fragment(), not yet finished */
    const struct smq_transport *transport; /* borrowed */
    uint8_t *buffer;                       /* borrowed */
    size_t buffer_bytes;
    size_t begin; /* buffer[begin..end) was received and not yet delivered */
    size_t end;
    uint8_t failure; /* enum smq_status; once set, every call returns it */
};

/* Where to knock. All are borrowed for the call only. */
struct smq_broker {
    const char *host;    /* for the Host line, "example.net" or "example.net:8080" */
    const char *path;    /* the broker's URL path, "/smq.lsp" */
    const char *headers; /* more HTTP header lines, each ending in "\r\n"; may be NULL */
    bool wants_response; /* ask for an HTTP answer first: some proxies need to see one */
};

/* Who we are. All are borrowed for the call only. */
struct smq_identity {
    const void *uid;         /* unique to this device; a second connection with the same */
    const void *credentials; /* UID takes over from the first. Credentials may be NULL */
    const char *info;        /* a text for people and scripts; may be NULL */
    uint8_t uid_bytes_count; /* SMQ_UID_BYTES_MIN..SMQ_UID_BYTES_MAX */
    uint8_t credentials_bytes_count;
    uint16_t record_bytes_max; /* largest TLS record we can take, SMQ_RECORD_BYTES_MIN..
                                  SMQ_RECORD_BYTES_MAX; 0: any */
};

/* -- life cycle ------------------------------------------------------------------------------ */

/**
 * Begin afresh. The transport must be connected (TCP, TLS) before smq_open() is called.
 *
 * Borrows: @transport and @buffer, until the last call with @smq.
 * Bytes:   @buffer_bytes is at least SMQ_BUFFER_BYTES_MIN. Give it the longest payload or topic
 *          name that must arrive in one piece.
 */
void smq_init(struct smq *smq, const struct smq_transport *transport, void *buffer,
              size_t buffer_bytes);

/**
 * Send the HTTP request and wait for the broker's Init (protocol §2.1, §4.1). Sets smq->seed.
 *
 * The broker gives 4 s from here for smq_connect().
 * Returns: SMQ_OK, or SMQ_TIMEOUT, SMQ_CLOSED, SMQ_MALFORMED, or SMQ_REFUSED when the answer was
 *          HTTP with a status other than 200: smq->http_status has it (404: no broker there).
 */
enum smq_status smq_open(struct smq *smq, const struct smq_broker *broker, uint32_t timeout_ms);

/**
 * Send Connect and wait for Connack (protocol §3, §4.1). Sets smq->etid.
 *
 * A Connect of version 1 is sent when record_bytes_max is 0, else of version 2.
 * Returns: SMQ_OK, or SMQ_TOO_BIG, SMQ_TIMEOUT, SMQ_CLOSED, SMQ_MALFORMED, or SMQ_REFUSED:
 *          smq->event.code is an enum smq_connack, smq->event.data the broker's reason.
 */
enum smq_status smq_connect(struct smq *smq, const struct smq_identity *identity,
                            uint32_t timeout_ms);

/**
 * Say goodbye (protocol §4.16). @reason may be NULL. The transport is the caller's to close; when
 * the last messages matter, wait for the broker to close first: smq_next() until SMQ_CLOSED.
 */
enum smq_status smq_disconnect(struct smq *smq, const char *reason);

/**
 * Wait for the next packet, or the next piece of a large one, and put it into smq->event.
 *
 * A Ping from the broker is answered in here and not shown.
 * Time:    @timeout_ms is given to each recv() of the transport, so it is counted anew from the
 *          last byte received. 0 polls.
 * Returns: SMQ_OK (also for SMQ_DISCONNECT, which is the last event), or SMQ_TIMEOUT, SMQ_CLOSED,
 *          SMQ_MALFORMED. A half-received packet survives SMQ_TIMEOUT. In a long silence send
 *          smq_ping(), and give up when not even SMQ_PONG comes.
 */
enum smq_status smq_next(struct smq *smq, uint32_t timeout_ms);

/* Is the event's data exactly @text, and all of it there? For topic names in Suback and friends. */
bool smq_event_is(const struct smq_event *event, const char *text);

/*
 * -- verbs -----------------------------------------------------------------------------------
 * Each sends one packet and returns SMQ_OK, SMQ_TOO_BIG or SMQ_CLOSED. None waits for an answer:
 * those with one are answered by the event named. Names are C strings of at most 65532 bytes.
 */

/* Get the messages of a topic, and its TID: SMQ_SUBACK. */
enum smq_status smq_subscribe(struct smq *smq, const char *topic);

/* Get a topic's TID, to publish to or to observe: SMQ_CREATEACK. */
enum smq_status smq_create(struct smq *smq, const char *topic);

/* Get the id of a sub-topic name: SMQ_CREATESUBACK. */
enum smq_status smq_createsub(struct smq *smq, const char *subtopic);

/* No more messages of this topic. One may still be under way. */
enum smq_status smq_unsubscribe(struct smq *smq, uint32_t tid);

/* Be told how many subscribers a topic has, now and at each change, or, for an ETID, when that
 * client goes: SMQ_CHANGE. */
enum smq_status smq_observe(struct smq *smq, uint32_t id);
enum smq_status smq_unobserve(struct smq *smq, uint32_t id);

/* Is the broker still there? SMQ_PONG. */
enum smq_status smq_ping(struct smq *smq);

/**
 * Publish to a topic (@to is a TID) or to one client (@to is an ETID), protocol §4.7 to §4.11.
 *
 * @subtopic: from SMQ_CREATESUBACK; 0 for none.
 * Bytes:     @bytes_count is 0..SMQ_PAYLOAD_BYTES_MAX, else SMQ_TOO_BIG. The size of the buffer
 *            does not matter.
 */
enum smq_status smq_publish(struct smq *smq, uint32_t to, uint32_t subtopic, const void *payload,
                            size_t bytes_count);

/**
 * Publish what is not in memory as a whole: any number of smq_publish_fragment(), and then one
 * smq_publish_last(), which says where it all goes (protocol §4.17). The broker sends it on as
 * one message. Other packets may be sent between the fragments.
 *
 * Bytes: all fragments together hold at most SMQ_PAYLOAD_BYTES_MAX, else SMQ_TOO_BIG: the
 *        fragment was not sent, the earlier ones wait for their smq_publish_last().
 */
enum smq_status smq_publish_fragment(struct smq *smq, const void *payload, size_t bytes_count);
enum smq_status smq_publish_last(struct smq *smq, uint32_t to, uint32_t subtopic,
                                 const void *payload, size_t bytes_count);

#ifdef __cplusplus
}
#endif

#endif
