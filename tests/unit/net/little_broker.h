/*
 * tests/unit/net/little_broker.h — real I/O actors and shards without threads, and without a
 * kernel.
 *
 *      feed ──> session ──> lanes ──> shard        (a turn at a time, when the test says so)
 *      got  <── outq    <── lanes <──
 *
 * The part of the reactor is played here: what is queued goes in flight at the end of a turn, and
 * arrives when the test, or the actor's next turn, completes it. What every connection's peer got
 * is kept, and read as it comes: an HTTP answer at most, then whole server frames. Broken promises
 * end the process through must(), so unit tests and fuzzers share it. Thread: one.
 */
#pragma once

#include <sys/uio.h>

#include "core/hooks.h"
#include "core/shard.h"
#include "net/io.h"
#include "net/session.h"

#define LITTLE_IOS_MAX    2u
#define LITTLE_SHARDS_MAX 3u
#define LITTLE_SLOTS      130u /* over two chunks */
#define LITTLE_ACTORS_MAX (LITTLE_IOS_MAX + LITTLE_SHARDS_MAX + 1u)
#define LITTLE_IDS_MAX    64u

/* One connection's far end. */
struct little_wire {
    bool is_open; /* accepted, and its descriptor not closed yet */
    bool holds;   /* the peer does not read: sends stay in flight until little_complete */
    bool waits;   /* a send ended short: nothing is sent until there is room again */
    bool hears_http;
    bool hears_ws; /* after a 101 */
    struct iovec in_flight[LIMIT_SEND_SEGMENTS];
    uint32_t in_flight_count;
    uint8_t *got; /* all bytes that arrived */
    uint32_t got_bytes;
    uint32_t got_capacity;
    uint32_t read_bytes; /* of got: the test, or the check, is past these */
};

struct little_broker {
    /* -- set before little_start -- */
    struct config config;
    struct config_instance instances[2];
    struct config_pin pins[2];
    uint32_t io_count;
    uint32_t shard_count;
    bool inline_shards; /* as many shards as I/O actors, in their turns */
    bool has_web;       /* control plays the web actor too */
    bool has_script; /* control plays the script host of "/a"; it passes everything on, but for: */
    /* Shown what comes to the script. true: it is dealt with, and its message is the function's. */
    bool (*on_script)(struct little_broker *broker, struct envelope *envelope);
    /* Told of every whole frame that arrived, but not to look at the length bytes of one that came
     * as a WebSocket message; NULL: nobody. */
    void (*on_frame)(struct little_wire *wire, const uint8_t *frame, uint32_t bytes_count);

    struct mem_budget budget;
    struct mem control_mem;
    struct quotas quotas;
    struct mesh mesh;
    struct parker parkers[LITTLE_ACTORS_MAX];
    struct parker *parker_of[LITTLE_ACTORS_MAX];
    struct mem *mem_of[LITTLE_ACTORS_MAX];
    struct io *ios;
    struct shard *shards;
    struct little_wire wires[LITTLE_IOS_MAX][LITTLE_SLOTS];
    struct hooks hooks[2];
    bool script_sleeps;           /* what comes to it stays in its lanes */
    uint32_t stopped_count;       /* STOPPED, as control got them */
    uint32_t request_count;       /* HTTP_REQUEST, as control got them */
    struct envelope request;      /* the last one; owns its message */
    char *rows;                   /* ROWS, as control got them: a string */
    size_t rows_bytes;            /* 0 when there are none */
    uint32_t rows_end_count;      /* ROWS_END */
    uint32_t rows_told_count;     /* the sum of what they said */
    uint32_t ids[LITTLE_IDS_MAX]; /* ids that acks gave out, the newest ones */
    uint32_t id_count;
};

/* Defaults: one of each, roomy limits, two instances "/a" and "/b"; "/a" pins "pinned" to 42. */
void little_config(struct little_broker *broker);

void little_start(struct little_broker *broker);

/* Everybody leaves, all come to rest; nothing must be left: gauges, quotas, memory. */
void little_stop(struct little_broker *broker);

/* -- what a kernel would do -- */

/* Accept; false: refused at once. The slot must be free. */
bool little_accept(struct little_broker *broker, uint32_t io_index, uint32_t slot);

/* Bytes arrive. They are copied to a block that ends with them. */
void little_feed(struct little_broker *broker, uint32_t io_index, uint32_t slot, struct span bytes);
void little_eof(struct little_broker *broker, uint32_t io_index, uint32_t slot);
void little_reset(struct little_broker *broker, uint32_t io_index, uint32_t slot);

/* What is in flight arrives, @bytes_max of it at most; less is a short send. After one: there is
 * room again. */
void little_complete(struct little_broker *broker, uint32_t io_index, uint32_t slot,
                     uint32_t bytes_max);

/* -- time and turns -- */

/* One turn of an I/O actor (with its inline shard), one of a dedicated shard. Returns: was there
 * anything to do? */
bool little_io_turn(struct little_broker *broker, uint32_t io_index);
bool little_shard_turn(struct little_broker *broker, uint32_t shard_index);

/* Turns of everybody until nothing moves. */
void little_settle(struct little_broker *broker);

/* @ticks pass, one by one, with a settling after each. */
void little_pass(struct little_broker *broker, uint32_t ticks);

/* A request goes on to the shard that it would have gone to. */
void little_pass_on(struct little_broker *broker, const struct envelope *envelope);

/* Control says something to an actor (mesh index). */
void little_tell(struct little_broker *broker, uint32_t actor, struct envelope envelope);

/* -- looking -- */

/* The connection in a slot; NULL when there is none. */
struct conn *little_conn(struct little_broker *broker, uint32_t io_index, uint32_t slot);

uint64_t little_io_stat(const struct little_broker *broker, enum io_stat stat);
uint64_t little_shard_stat(const struct little_broker *broker, enum shard_stat stat);
