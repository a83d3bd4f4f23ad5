/*
 * net/conn.h — one connection: its slot, its life, its output.
 *
 *           ASKING
 *            ↑↓ └────┐
 *   FREE → HTTP → GREETED → JOINING → LIVE ─┐
 *            └───────┴─────────┴────────────┼→ LEAVING ─┐
 *            (any of them)                  └───────────┴→ CLOSING → FREE
 *
 * LEAVING: our last bytes are on their way, input is thrown away; then half-closed, until the
 * peer closes or a moment has passed. CLOSING: no new work; the kernel may still hold our buffers.
 *
 * The slot index is also the connection's number in the uring's table of direct descriptors.
 * Thread: the I/O actor that owns it; everybody else uses a conn_handle. An idle connection owns
 * no buffer: `input` and the output chunks exist only while there is something in them.
 */
#pragma once

#include "core/envelope.h"
#include "net/outq.h"
#include "net/wheel.h"

struct io;

enum conn_state {
    CONN_FREE = 0, /* the slot may be given out by the kernel */
    CONN_HTTP,     /* reading a request: a bootstrap, an upgrade, or for a page */
    CONN_ASKING,   /* the request is with the web actor; waiting for its answer */
    CONN_GREETED,  /* Init sent; waiting for Connect */
    CONN_JOINING,  /* Connect is with the shard; waiting for its verdict */
    CONN_LIVE,     /* Connack 0 sent */
    CONN_LEAVING,  /* goodbye queued; nothing more is read */
    CONN_CLOSING,  /* waiting for the kernel to let go, then for the descriptor to close */
    CONN_STATE_COUNT
};

/* Why a connection ended: name, help. Each has a counter. */
#define CLOSE_REASONS(X)                                                                           \
    X(PEER, "the peer closed")                                                                     \
    X(DISCONNECT, "the client sent Disconnect")                                                    \
    X(PROTOCOL, "protocol error")                                                                  \
    X(HTTP, "an HTTP request, answered or refused")                                                \
    X(REFUSED, "Connect refused")                                                                  \
    X(TAKEOVER, "the same UID connected again")                                                    \
    X(HANDSHAKE_TIMEOUT, "no Connect in time")                                                     \
    X(KEEPALIVE, "no answer to Ping")                                                              \
    X(SLOW, "output queue full, policy disconnect")                                                \
    X(MEMORY, "memory_limit reached")                                                              \
    X(DRAIN, "the broker is shutting down")                                                        \
    X(IO_ERROR, "the kernel reported an error")                                                    \
    X(TLS, "a TLS handshake or record failed; see tls.failed")                                     \
    X(CERTIFICATE, "its client certificate was revoked or expired")                                \
    X(ENDED, "disconnected by an administrator")                                                   \
    X(RIGHTS, "lost its login, or the right to a subscription")                                    \
    X(GUARD, "its address is banned, or over a limit")                                             \
    X(FRAME_TIMEOUT, "a frame began and was not finished in time")

enum close_reason {
#define X(name, text) CLOSE_##name,
    CLOSE_REASONS(X)
#undef X
        CLOSE_REASON_COUNT
};

/* Operations the kernel holds for a connection: a bit each in conn->ops. */
enum conn_op {
    OP_PEER = 0, /* asking for the peer's address */
    OP_POLL,     /* quiet: waiting for the first byte */
    OP_RECV,     /* busy: multishot receive; or one step of a TLS handshake */
    OP_SEND,     /* at once or not at all: always answered within its submission */
    OP_WRITABLE, /* the socket took no more: waiting for room */
    OP_CANCEL,
    OP_SHUTDOWN,
    OP_CLOSE,
    OP_ACCEPT, /* of a listener, not of a connection */
    OP_WAKE,   /* of the actor: its eventfd */
    OP_COUNT
};
#define OP_BIT(op) ((uint8_t)(1u << (op)))
static_assert(OP_CLOSE < 8, "conn->ops has a bit for each operation on a connection");

/* Independent facts about a connection. */
#define CONN_MARKED      0x01u   /* in the list of those to attend to at the end of the turn */
#define CONN_RELEASED    0x02u   /* its holds, quota and identity have been given back */
#define CONN_TIMED       0x04u   /* in the wheel */
#define CONN_PINGED      0x08u   /* our Ping has not been answered by any byte yet */
#define CONN_EOF         0x10u   /* the peer has closed its side */
#define CONN_HALF_CLOSED 0x20u   /* we have closed ours */
#define CONN_ADMITTED    0x40u   /* counts in the connections quota, else in handshakes */
#define CONN_SLOW        0x80u   /* said once that it is slow, until its queue has emptied */
#define CONN_DEMOTE      0x100u  /* its multishot receive was cancelled because it is quiet */
#define CONN_NO_INPUT    0x200u  /* closing: its receive or poll has been cancelled */
#define CONN_NO_OUTPUT   0x400u  /* closing: its send has been cancelled */
#define CONN_TLS         0x800u  /* its listener speaks TLS */
#define CONN_SECURED     0x1000u /* ... and the TLS handshake is done */
#define CONN_SIGNING     0x2000u /* TLS waits for an RSA signature: bytes are kept */
#define CONN_DEAF        0x4000u /* TLS may not be fed any more */
#define CONN_MUTE        0x8000u /* nothing may be sealed any more: close_notify is, or TLS failed */
#define CONN_WS          0x10000u /* it speaks WebSocket; `out` holds WebSocket frames */
#define CONN_WS_CLOSED   0x20000u /* our Close is queued: nothing may follow it */
#define CONN_ANSWERED    0x40000u /* it has had a page: it may be silent for a while, and then go */
#define CONN_PAGES       0x80000u /* counts in the pages quota, not in handshakes */
#define CONN_CHECKING    0x100000u  /* JOINING: a worker checks its password */
#define CONN_RULED       0x200000u  /* its instance has an access list */
#define CONN_TAPPED      0x400000u  /* its runs are told to the web actor (net/tap.c) */
#define CONN_CURT        0x800000u  /* leaving: closed as soon as our last bytes are sent */
#define CONN_ECHO        0x8000000u /* a WebSocket on web.echo: it gets back what it sends */
#define CONN_WAITS       0x1000000u /* in line, for a step of its TLS handshake or a buffer: not read */
#define CONN_TURN        0x2000000u /* has one of the places for those in a handshake */
#define CONN_SHAKES      0x4000000u /* the TLS handshake is in progress */

#define CONN_GUARDED   0x10000000u /* counted for its address: guard_leave must follow */
#define CONN_THROTTLED 0x20000000u /* sent more than it may: nothing is read for a while */
#define CONN_HELD      0x40000000u /* a script decides about what it sent: the same (net/detour.h) */
#define CONN_PAUSED    (CONN_THROTTLED | CONN_HELD)

#define CONN_INTRODUCED 0x80000000u /* its instance's script knows it: a PEER_LEFT must follow */

/* Bytes that wait for the rest of a frame, or of a fragmented message. */
struct input_part {
    uint8_t *data;
    uint32_t used_bytes;
    uint32_t capacity;
    uint32_t since_tick; /* of its first byte; meaningful while there is one */
};

struct conn_input {
    struct input_part frame;    /* the beginning of an HTTP request, or of a frame */
    struct input_part fragment; /* payload of PubFrag pieces, or of WebSocket fragments, so far */
    struct input_part cipher;   /* the beginning of a TLS record */
    uint32_t request_bytes;     /* of the HTTP request in front of `frame`, body included, when it
                                   is known: more than is there yet, or an upgrade being judged */
    struct msg *facts;          /* for a script, until the Connect has been passed on: the request
                                   head; from the Connect on, a FACTS message. Else NULL */
};

/* One id a connection holds: see net/holds.h. */
struct held {
    uint32_t id;
    uint32_t topic : 27; /* HELD_SUBSCRIBED: index of the subscriber list ... */
    uint32_t flags : 5;  /* HELD_* */
    uint32_t position;   /* ... and where in it */
};

struct sockaddr_in6;
struct tls_conn; /* tls/conn.h, by way of net/secure.h */

struct conn {
    /* -- touched by every delivery -- */
    struct outq out;
    uint32_t etid;
    uint32_t flags;      /* CONN_* below the states */
    uint16_t generation; /* drawn anew at each accept; never 0 while in use */
    uint8_t ops;         /* OP_BITs in the kernel's hands */
    uint8_t state;       /* enum conn_state; conn_set_state is its only writer */
    uint8_t close_reason;
    uint8_t instance_index;
    uint16_t record_bytes_max; /* of a version-2 Connect; 0: no limit */
    uint32_t marked_next;      /* slot of the next marked connection */
    uint32_t slot_index;
    uint32_t last_input_tick;
    uint32_t wait_tick; /* since when we wait: for Connect, a Pong, or the peer to close */
    union {
        uint32_t received_count; /* messages published */
        uint32_t seed;           /* until its Connect: of our Init */
    };
    uint32_t sent_count; /* messages queued to it */
    uint32_t dropped_count;

    /* -- the rest -- */
    uint16_t held_count;
    uint16_t pending_count; /* requests for holds that the shards have not answered yet */
    union {
        struct held only_held; /* held_capacity_log2 0: what it holds */
        /* else: that many. Packed, so that four bytes are left for the next field */
        struct held *held __attribute__((packed));
        /* just accepted: where the kernel puts the address */
        struct sockaddr_in6 *peer_pending __attribute__((packed));
    };
    uint32_t since_tick;  /* of its accept */
    struct msg *identity; /* core/identity.h; shared with the shard. Before the Connect: NULL, or
                             without a UID the web login that the upgrade was allowed for */
    struct conn_input *input; /* NULL when nothing is incomplete */
    struct tls_conn *tls;     /* NULL: plain TCP, or TLS before its first bytes */
    struct wheel_link timer;
    uint16_t peer_port;
    uint8_t held_capacity_log2;
    uint8_t listener_index;
    uint8_t peer_ip[16]; /* IPv4 as ::ffff:a.b.c.d */
};
static_assert(sizeof(struct conn) <= 136, "the largest part of an idle connection");

const char *conn_state_name(enum conn_state state);
const char *close_reason_name(enum close_reason reason);
const char *close_reason_text(enum close_reason reason);

/* The only writer of conn->state; a move that is not in the table is a bug in the broker. */
void conn_set_state(struct conn *conn, enum conn_state next);

/**
 * Make the slot a connection in CONN_HTTP.
 *
 * Thread:  the owner of @io. @slot_index: as the kernel gave it.
 * Returns: NULL when there is no memory for it (the caller closes the descriptor).
 */
MUST_CHECK struct conn *conn_open(struct io *io, uint32_t slot_index, uint8_t listener_index);

/* It speaks TLS (CONN_TLS), or WebSocket (CONN_WS): counted by what it speaks. */
void conn_speaks(struct io *io, struct conn *conn, uint32_t flag);

/* The descriptor is closed: give the slot back. */
void conn_free(struct io *io, struct conn *conn);

/* The connection, or NULL if it closed since the handle was made (ordinary). */
struct conn *conn_find(struct io *io, struct conn_handle handle);

/* Whatever connection is in a slot, in any state but FREE; NULL: none. */
struct conn *conn_in_slot(const struct io *io, uint32_t slot_index);

/* Its meters: those that are there; or made now for it and its neighbours, NULL without memory. */
struct throttle *conn_throttle(const struct io *io, const struct conn *conn);
MUST_CHECK struct throttle *conn_begin_throttle(struct io *io, const struct conn *conn);

/* The connection in a slot that is in use. */
struct conn *conn_at(const struct io *io, uint32_t slot_index);

struct conn_handle conn_handle_of(const struct io *io, const struct conn *conn);

/* The peer's address as text, without port; IPv4 without its ::ffff:. Returns its length. */
#define CONN_IP_TEXT_BYTES 46
size_t conn_ip_text(const struct conn *conn, char text[CONN_IP_TEXT_BYTES]);

/* Let the end of the turn look at this connection. */
void conn_mark(struct io *io, struct conn *conn);

/* The next marked connection, unmarked; NULL: none left. */
struct conn *conn_next_marked(struct io *io);

/* Queue a raw SMQ frame that must not be dropped (acks, changes, goodbyes), in the form the
 * connection speaks. Closes the connection when even that has no room. Thread: the owner. */
void conn_send_control(struct io *io, struct conn *conn, struct span frame);

/* Queue one WebSocket frame as it is, under the same rule. */
void conn_send_ws(struct io *io, struct conn *conn, struct span frame);

/* Queue an HTTP answer, or the end of one: all of @msg by reference, or bytes by copy. An answer is
 * asked for, so it may be larger than any queue. */
void conn_send_http(struct io *io, struct conn *conn, struct span bytes);
void conn_send_http_msg(struct io *io, struct conn *conn, struct msg *msg);

/* A run of Publishes on its way to several receivers, in the forms they speak. */
struct run {
    struct msg *raw;      /* raw SMQ frames; borrowed */
    struct msg *ws;       /* the same as WebSocket messages, made for the first who wants them */
    uint32_t frame_count; /* Publishes in it */
};

/* Free what was made of the run. */
void run_deinit(struct run *run, struct mem *mem);

/* Queue a run of Publishes, under the slow-consumer policy. Borrows @run.
 * Cost: one copy, or one reference from LIMIT_SHARE_BYTES_MIN on. No system call. */
void conn_send_run(struct io *io, struct conn *conn, struct run *run);

/* Memory is tight: drop what is queued beyond LIMIT_TIGHT_QUEUE_BYTES, oldest first, counted. */
void conn_shed(struct io *io, struct conn *conn);

/* Say goodbye: @frame, a raw SMQ frame (may be empty), is queued, then a WebSocket's Close; input
 * is ignored, and when all has been sent the connection is half-closed and then closed. */
void conn_leave(struct io *io, struct conn *conn, enum close_reason reason, struct span frame);

/* Close now; what is queued is lost. The reactor goes on with it at the end of the turn. */
void conn_close(struct io *io, struct conn *conn, enum close_reason reason);
