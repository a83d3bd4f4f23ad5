/*
 * core/limits.h — every bound that is built in, each with its reason.
 *
 * What an operator may want to change is in the configuration instead (core/config.h); these are
 * the bounds of the machinery, and the ceilings of the configurable ones.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

#include "client/smq_wire.h"

/* -- actors -- */
#define LIMIT_HOSTS          64u /* actors with clients: a topic's mask of them is one u64 */
#define LIMIT_LOCALS         16u /* of those, the ones without sockets: web, scripts */
#define LIMIT_IO_ACTORS      (LIMIT_HOSTS - LIMIT_LOCALS)
#define LIMIT_SHARDS         64u /* at least as many as I/O actors: one in each when inline */
#define LIMIT_SIGNERS        16u /* one makes 1,700 RSA signatures a second */
#define LIMIT_ACTORS         (LIMIT_HOSTS + LIMIT_SHARDS + 1u + LIMIT_SIGNERS) /* 1: control */
#define LIMIT_LIST_ASKERS    17u /* who may ask an I/O actor for its connections: control, the web */
#define LIMIT_LIST_NAMES     200u /* connections asked for by name: a screen of a table, and some */
#define LIMIT_INSTANCES      64u  /* broker paths, and one of the web UI; a table each in a shard */
#define LIMIT_LISTENERS      32u
#define LIMIT_LISTEN_BACKLOG 4096 /* a reconnect storm; the kernel caps it at somaxconn */

/* -- memory -- */
#define LIMIT_MEM_STEP_BYTES 32768 /* an actor settles with the shared budget in such steps */

/* -- lanes -- */
#define LIMIT_LANE_SLOTS_MIN 64u
#define LIMIT_LANE_SLOTS_MAX 65536u
#define LIMIT_LANE_BATCH     256u /* envelopes taken from one lane before looking at the next */

/* -- connections -- */
#define LIMIT_CONNS_PER_IO    (1u << 20) /* handle: 20 bits of slot */
#define LIMIT_FILES_PER_URING (1u << 16) /* 8 bytes each in the kernel, whether used or not */
#define LIMIT_CONN_CHUNK      64u        /* slots allocated and given back together */
#define LIMIT_HTTP_HEAD_BYTES 8192u  /* devices send about 100, browsers with cookies some 1,000 */
#define LIMIT_HTTP_BODY_BYTES 16384u /* the forms of the web pages are small */
#define LIMIT_HTTP_AHEAD_BYTES                                                                     \
    (256u * 1024)                    /* answers not yet taken, when the next request comes */
#define LIMIT_HELD_PER_CLIENT 32768u /* ids one client may hold: its count is a u16 */
#define LIMIT_INFO_BYTES      1024u /* of a Connect's info: kept for as long as the client is there */
#define LIMIT_REASON_BYTES    120u /* text in a Disconnect or a refused Connack */

/* -- one turn of the I/O loop -- */
#define LIMIT_TURN_CQES          4096u /* completions handled before the lanes get a look */
#define LIMIT_SEND_SEGMENTS      16u   /* iovecs in one send; merging beyond that gains nothing */
#define LIMIT_SHARE_BYTES_MIN    1024u /* from here a reference is cheaper than a copy (measured) */
#define LIMIT_METERED_RUN_BYTES  1024u /* of a run, where what comes in a second is limited */
#define LIMIT_TIGHT_QUEUE_BYTES  8192u /* what a queue may hold while memory is tight */
#define LIMIT_TIGHT_INPUT_BYTES  4096u /* and a frame that is not finished at once */
#define LIMIT_QUEUE_CONTROL_ROOM 65536u /* over queue_bytes, for acks; beyond: disconnect */

static_assert(LIMIT_HOSTS <= 64, "a mask of hosts is one u64");
static_assert(LIMIT_SHARDS >= LIMIT_IO_ACTORS, "an inline shard for each I/O actor");
static_assert(LIMIT_ACTORS <= 255, "an envelope's sender is one byte");
static_assert(LIMIT_HTTP_HEAD_BYTES >= 1024, "browsers send about 700 bytes of headers");
static_assert((LIMIT_CONN_CHUNK & (LIMIT_CONN_CHUNK - 1)) == 0, "slot / chunk is a shift");
