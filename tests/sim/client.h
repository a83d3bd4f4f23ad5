/*
 * tests/sim/client.h — what a client can do: each function writes the bytes and notes the deed.
 *
 * Nothing happens at the broker before the kernel delivers them. Thread: one.
 */
#pragma once

#include "tests/sim/sim.h"

/* An id, and what it is to the client that uses it. */
struct chosen_id {
    uint32_t id;
    uint8_t kind; /* enum id_kind */
    uint8_t name; /* NAME_NONE: not a topic's */
};

/* Ways to be wrong; the broker must end the connection for each. */
enum wrong {
    WRONG_PTID,        /* somebody else's PTID in a Publish (9) */
    WRONG_FRAG_PTID,   /* and in a PubFrag (17) */
    WRONG_TYPE,        /* a type nobody sends (18) */
    WRONG_SERVER_TYPE, /* a type only a server sends */
    WRONG_LENGTH,      /* a frame shorter than its header */
    WRONG_BODY,        /* a body shorter than its fixed fields */
    WRONG_TOO_LARGE,   /* over the configured frame size */
    WRONG_CONNECT,     /* a second Connect */
    WRONG_FRAG_TOTAL,  /* PubFrag pieces that are too large together (17) */
    WRONG_COUNT
};

/* A free link, or NULL: as many connections as this scenario wants are open. */
struct link *client_free_link(struct sim *sim);

/* Dial, ask for the broker, and, unless @only_dial, send Connect: all in one go. */
void client_connect(struct sim *sim, struct link *link, bool only_dial);
/* Dial with a request the broker must refuse. */
void client_connect_badly(struct sim *sim, struct link *link);
/* The Connect that client_connect left out. */
void client_send_connect(struct sim *sim, struct link *link);
void client_send_bad_connect(struct sim *sim, struct link *link);

/* Subscribe, Create: a name's index; Createsub: a sub-topic's. */
void client_ask_name(struct sim *sim, struct link *link, enum smq_packet type, uint8_t name);
/* Unsubscribe, Observe, Unobserve. */
void client_ask_id(struct sim *sim, struct link *link, enum smq_packet type, struct chosen_id id);
/* One message; in @piece_count PubFrags when there is more than one. Its deed, or a stream of
 * UINT32_MAX when there was no room. */
struct deed client_publish(struct sim *sim, struct link *link, uint32_t destination,
                           uint32_t payload_bytes, uint32_t piece_count);
void client_ping(struct sim *sim, struct link *link);
void client_disconnect(struct sim *sim, struct link *link);
void client_be_wrong(struct sim *sim, struct link *link, enum wrong wrong);
/* The first bytes of a frame that never comes whole, then the end. */
void client_break_off(struct sim *sim, struct link *link);
/* The first bytes of a frame, or of a message in pieces; the rest does not come. */
void client_stall(struct sim *sim, struct link *link);
void client_close(struct sim *sim, struct link *link);
void client_abort(struct sim *sim, struct link *link);

/* -- choices -- */

/* A topic, an ETID, something of another instance, something old, or nonsense. */
struct chosen_id client_choose_id(struct sim *sim, const struct link *link);
/* Mostly a valid name. */
uint8_t client_choose_name(struct sim *sim);
uint32_t client_choose_size(struct sim *sim);
