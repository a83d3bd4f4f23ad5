/*
 * tests/sim/link.h — one connection, seen from the client: what it wrote, what it has read.
 *
 *      client ──deeds──> to_broker ~~bytes~~> session_input        (the kernel cuts where it likes)
 *      client <──frames── from_broker <~~bytes~~ outq              (as far as the window is open)
 *
 * A deed is what a written frame asks for; it is told to the model (tests/sim/model.h) at the
 * moment the session has had its last byte, because that is when it counts. Thread: one.
 */
#pragma once

#include <sys/uio.h>

#include "client/smq_wire.h"
#include "core/limits.h"
#include "core/must.h"
#include "tests/sim/scenario.h"

#define LINKS_MAX 24u
#define DEEDS_MAX 64u

struct sim;

enum link_phase {
    LINK_FREE = 0, /* may be dialed */
    LINK_HTTP,     /* dialed; an HTTP answer must come before the first frame */
    LINK_INIT,     /* dialed; waiting for Init */
    LINK_CONNACK,  /* had Init; waiting for Connack */
    LINK_LIVE,     /* had Connack 0 */
    LINK_OVER,     /* had a goodbye: nothing may follow */
};

/* A run of bytes with a front that moves. */
struct bytes {
    uint8_t *data;
    uint32_t start;
    uint32_t end;
    uint32_t capacity;
};

/* What an id was when the client chose it. */
enum id_kind { ID_UNKNOWN, ID_TOPIC, ID_CLIENT };

struct deed {
    uint64_t end_offset; /* of its last byte among all bytes written */
    uint8_t type;        /* enum smq_packet */
    uint8_t name;        /* index; NAME_NONE when the id has no name we know */
    uint8_t id_kind;     /* enum id_kind */
    bool is_wrong;       /* the broker must end the connection for it */
    bool is_inside;      /* it stands between the pieces of a message, which is not whole yet */
    uint32_t id;
    uint32_t stream; /* of a message: see tests/sim/messages.c */
    uint32_t seq;
};

struct link {
    uint8_t index;
    uint8_t phase; /* enum link_phase */
    uint8_t io_index;
    uint8_t instance;
    uint8_t uid;
    uint32_t serial; /* of this connection among all of the run */
    uint32_t etid;   /* from the Connack */

    /* -- the client's side of the wire -- */
    struct bytes to_broker;
    struct deed deeds[DEEDS_MAX]; /* oldest first, from deed_first */
    uint32_t deed_first;
    uint32_t deed_count;
    uint64_t written_bytes;
    uint64_t fed_bytes;
    bool has_closed;       /* wrote its last byte: EOF follows */
    bool has_aborted;      /* reset: nothing follows, nothing is read */
    bool asked_connect;    /* wrote a Connect */
    bool broker_finished;  /* we have seen the broker's end of stream */
    uint32_t window_bytes; /* how much it will still read */
    struct bytes from_broker;

    /* -- the socket: kernel.c's -- */
    bool is_accepted;
    bool is_eof_fed;
    bool is_cancelled; /* its send was told to come home */
    bool is_closing;   /* the close of its descriptor is with the kernel */
    uint32_t slot_index;
    struct iovec in_flight[LIMIT_SEND_SEGMENTS];
    uint32_t accept_tick;   /* by the I/O actor's clock, which stands still during a turn */
    uint32_t last_fed_tick; /* the same */
    uint32_t fed_tick;      /* by the world's */
    bool is_begun;          /* the broker has a part of a frame or of a message in pieces ... */
    uint32_t begun_tick;    /* ... since then, by the I/O actor's clock */
    bool is_pinged;         /* read a Ping since then */
    uint32_t ping_tick;

    /* -- what explains an end: model.c's -- */
    bool was_wrong;       /* fed something the broker must close it for */
    bool said_disconnect; /* fed a Disconnect */
    bool had_rival;       /* another connection asked for the same UID */
    bool expects_refusal; /* its Connect or request is not acceptable */
};

/* Make @link ready for a new connection. @serial: unique in the run. */
void link_open(struct link *link, uint32_t serial);
void link_free(struct link *link); /* its memory, at the end of the run */

/* -- writing: each appends bytes; the deed goes along -- */

void link_write_raw(struct link *link, const void *bytes, size_t bytes_count);
/* A frame: header, @fixed, @text; then its deed. */
void link_write_frame(struct link *link, enum smq_packet type, struct span fixed, struct span text,
                      struct deed deed);
/* Attach a deed to what was written last. */
void link_add_deed(struct link *link, struct deed deed);

static inline bool link_has_room(const struct link *link)
{
    return link->deed_count < DEEDS_MAX - 8 && !link->has_closed && !link->has_aborted;
}

/* How many bytes wait to be received by the broker. */
static inline uint32_t link_waiting_bytes(const struct link *link)
{
    return link->to_broker.end - link->to_broker.start;
}

/* -- the wire's far ends -- */

/* How many bytes are missing of the frame the client has the beginning of; @next: the first one. */
uint32_t link_rest_of_frame(const struct link *link, uint8_t next);

/* @count bytes have been fed to the session: forget them, and tell the model of each deed that is
 * whole now. @heard: the session was taking input; @certain: and still is. */
void link_fed(struct sim *sim, struct link *link, uint32_t count, bool heard, bool certain);

/* The client reads @bytes: parse, and tell the model of each frame. */
void link_read(struct sim *sim, struct link *link, struct span bytes);

void bytes_append(struct bytes *bytes, const void *data, size_t count);
void bytes_skip(struct bytes *bytes, uint32_t count);
