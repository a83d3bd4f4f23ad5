/*
 * net/io.h — the state of one I/O actor: its connections, its subscriber lists, its lanes.
 *
 *      net/reactor.c  the kernel's side: urings, receive, send, close     (knows net/io.h)
 *      net/session.c  the protocol's side: frames in, envelopes out, and back
 *      net/holds.c    who of ours subscribes to what
 *
 * Nothing in here enters the kernel, so the simulation drives it with a fake reactor.
 * Thread: one; the I/O thread (or the simulation).
 */
#pragma once

#include "core/config.h"
#include "core/latency.h"
#include "core/mesh.h"
#include "core/pool.h"
#include "core/quota.h"
#include "core/siphash.h"
#include "core/stats.h"
#include "core/table.h"
#include "net/conn.h"
#include "net/report.h"
#include "tls/failure.h"

#define IO_STATS(X)                                                                                \
    X(ACCEPTED, "accepted_total", "connections", "connections accepted")                           \
    X(ACCEPT_ERRORS, "accept_errors_total", "errors", "accepts that failed (table full, kernel)")  \
    X(REFUSED_HANDSHAKES, "refused_handshakes_total", "connections",                               \
      "closed at once: limits.handshakes reached")                                                 \
    X(REFUSED_BANNED, "refused_banned_total", "connections", "closed at once: address banned")     \
    X(REFUSED_ADDRESS_FULL, "refused_address_full_total", "connections",                           \
      "closed at once: limits.connections_per_address reached")                                    \
    X(REFUSED_ADDRESS_FAST, "refused_address_fast_total", "connections",                           \
      "closed at once: limits.connects_per_address reached")                                       \
    X(THROTTLED, "throttled", "connections", "not read at the moment: they sent too much")         \
    X(THROTTLED_CLIENT, "throttled_client_total", "events",                                        \
      "not read for a while: limits.messages_per_client or bytes_per_client")                      \
    X(THROTTLED_INSTANCE, "throttled_instance_total", "events",                                    \
      "not read for a while: limits.messages_per_instance or bytes_per_instance")                  \
    X(REFUSED_CONNECTIONS, "refused_connections_total", "connections",                             \
      "Connack 2: limits.connections reached")                                                     \
    X(REFUSED_PAGES, "refused_pages_total", "requests",                                            \
      "503: limits.pages connections read web pages already")                                      \
    X(REFUSED_ADDRESS_PAGES, "refused_address_pages_total", "requests",                            \
      "503: limits.pages_per_address reached")                                                     \
    X(REFUSED_MEMORY, "refused_memory_total", "connections", "refused: memory_limit is near")      \
    X(OPEN, "open", "connections", "connections at the moment, handshakes included")               \
    X(LIVE, "live", "connections", "clients past Connack at the moment")                           \
    X(OPEN_TCP, "open_tcp", "connections", "of those open, plain TCP")                             \
    X(OPEN_TLS, "open_tls", "connections", "of those open, TLS")                                   \
    X(OPEN_WS, "open_ws", "connections", "of those open, WebSocket")                               \
    X(OPEN_WSS, "open_wss", "connections", "of those open, WebSocket over TLS")                    \
    X(SERVED_ECC, "served_ecc", "connections", "of those open, served the ECDSA certificate")      \
    X(SERVED_RSA, "served_rsa", "connections", "of those open, served the RSA certificate")        \
    X(MESSAGES_IN, "messages_in_total", "messages", "Publishes received")                          \
    X(MESSAGES_OUT, "messages_out_total", "messages", "Publishes queued to receivers")             \
    X(BYTES_IN, "bytes_in_total", "bytes", "bytes received")                                       \
    X(BYTES_OUT, "bytes_out_total", "bytes", "bytes sent")                                         \
    X(RECEIVES, "receives_total", "receives", "receive completions with data")                     \
    X(SENDS, "sends_total", "sends", "send operations")                                            \
    X(DROPPED_NEW, "dropped_new_total", "messages", "slow receiver: new messages dropped")         \
    X(DROPPED_OLD, "dropped_old_total", "messages", "slow receiver: old messages dropped")         \
    X(DROPPED_CLOSED, "dropped_closed_total", "messages", "slow receiver: lost by disconnecting")  \
    X(DROPPED_MEMORY, "dropped_memory_total", "messages", "dropped: memory_limit reached")         \
    X(DROPPED_GONE, "dropped_gone_total", "messages",                                              \
      "the receiver, or before its script saw it the sender, had just closed")                     \
    X(SHED_INPUT, "shed_input_total", "connections",                                               \
      "closed: memory_limit is near, and much of a frame was there, but not all")                  \
    X(SLOW_CONSUMERS, "slow_consumers_total", "events", "connections whose queue filled up")       \
    X(NAME_LIMIT, "refused_name_limit_total", "requests", "names refused: empty or too long")      \
    X(REFUSED_LOGINS, "refused_logins_total", "connections",                                       \
      "Connects refused: the login is no good")                                                    \
    X(REFUSED_BUSY, "refused_busy_total", "connections",                                           \
      "Connack 2: too many passwords wait to be checked, or Connects for a script")                \
    X(ACL_DENIED, "refused_denied_total", "requests", "names denied by the access list")           \
    X(SCRIPT_WAITING, "script_waiting", "requests", "that wait for room on the lane to a script")  \
    X(PENDING_LIMIT, "refused_pending_limit_total", "requests", "refused: too many unanswered")    \
    X(PINGS, "pings_sent_total", "pings", "Pings sent to silent clients")                          \
    X(NO_BUFFERS, "receive_no_buffers_total", "events", "receives that found no free buffer")      \
    X(RESTS, "rests_total", "events", "connections that became quiet: they wait for a first byte") \
    X(HANGUPS, "hangups_total", "events",                                                          \
      "quiet connections whose peer closed: read from in line")                                    \
    X(CQ_OVERFLOWS, "cq_overflows_total", "events", "completion queue overflows: an alarm")        \
    X(STALE, "stale_completions_total", "events", "completions of connections long gone")          \
    X(TURNS, "turns_total", "turns", "turns of the loop")                                          \
    X(SLEEPS, "sleeps_total", "sleeps", "turns that had to wait for something to do")              \
    X(BACKLOGS, "lane_backlogs_total", "turns", "turns held up by a full lane")                    \
    X(ENVELOPES, "envelopes_total", "envelopes", "envelopes taken from the lanes")                 \
    X(DELIVERIES, "deliveries_total", "runs", "runs fanned out to local subscribers")              \
    X(HTTP_REQUESTS, "http_requests_total", "requests", "requests put to the web actor")           \
    X(HTTP_REFUSED, "http_refused_total", "requests", "requests answered with an error at once")   \
    X(WS_UPGRADES, "websockets_total", "connections", "connections that became a WebSocket")       \
    X(TLS_WAITING, "tls_waiting", "connections", "in line for a step of their TLS handshake")      \
    X(TLS_HANDSHAKING, "tls_handshaking", "handshakes", "TLS handshakes in progress")              \
    X(TLS_ABANDONED, "tls_abandoned_total", "handshakes", "TLS handshakes that never ended")       \
    X(TLS_HANDSHAKES, "tls_handshakes_total", "handshakes", "TLS handshakes completed")            \
    X(TLS_RESUMED, "tls_resumed_total", "handshakes", "of those, resumed by a ticket")             \
    X(TLS_1_3, "tls_1_3_total", "handshakes", "of those, with TLS 1.3")                            \
    X(TLS_1_2, "tls_1_2_total", "handshakes", "of those, with TLS 1.2")                            \
    X(TLS_SERVED_ECC, "tls_served_ecc_total", "handshakes", "the ECDSA certificate was served")    \
    X(TLS_SERVED_RSA, "tls_served_rsa_total", "handshakes", "the RSA certificate was served")      \
    X(TLS_SIGNATURES, "tls_signatures_total", "signatures", "RSA signatures asked of the workers") \
    X(TLS_HANDSHAKE_BYTES_IN, "tls_handshake_bytes_in_total", "bytes", "received for handshakes")  \
    X(TLS_HANDSHAKE_BYTES_OUT, "tls_handshake_bytes_out_total", "bytes", "sent for handshakes")

enum io_stat {
#define X(name, text, unit, help) IO_STAT_##name,
    IO_STATS(X)
#undef X
        IO_STAT_COUNT
};

extern const struct stat_desc io_stat_descs[IO_STAT_COUNT];

/* RFC 6455 §4.2.2: the answer to a client's key. Passed in, since it needs a library's SHA-1. */
#define WS_ACCEPT_BYTES 28u
typedef void ws_accept_fn(const char *key, char accept[WS_ACCEPT_BYTES + 1]);

#define IO_NO_WEB 0u /* actor 0 is an I/O actor */

struct io_options {
    const struct config *config; /* constant; outlives the actor */
    struct mesh *mesh;
    struct quotas *quotas;
    struct siphash_key name_key;   /* the same for all actors */
    struct siphash_key random_key; /* of this actor alone: Init seeds */
    uint32_t io_index;
    uint32_t slot_count_max; /* direct descriptors this actor may use */
    uint32_t web_index;      /* mesh index of the web actor; IO_NO_WEB: there is none */
    ws_accept_fn *ws_accept; /* NULL: no WebSockets */
    struct guard *guard;     /* shared by all; NULL: no limits for one address */
    struct hooks *hooks;     /* [instance_count]; NULL: no instance has a script */
};

struct io;
struct facts;     /* core/facts.h */
struct io_auth;   /* net/auth.h */
struct io_secure; /* net/secure.h */

/* What the session asks of a broker that speaks TLS. The session itself links without it. */
struct io_secure_calls {
    void (*on_signed)(struct io *io, struct conn *conn);
    void (*on_reload)(struct io *io);
    /* May this connection have this UID? Otherwise the Connack's code and *reason. */
    enum smq_connack (*judge_uid)(struct io *io, struct conn *conn, struct span uid,
                                  const char **reason);
    /* The connection's TLS as JSON members, each after a comma. Returns the length. */
    size_t (*put_row)(const struct conn *conn, char *out, size_t room);
    /* Fill in what there is of a client certificate; borrowed from the connection. */
    void (*put_facts)(const struct conn *conn, struct facts *facts);
};

struct guard;       /* core/guard.h */
struct hooks;       /* core/hooks.h */
struct detour;      /* net/detour.h */
struct auth_book;   /* auth/book.h */
struct identity;    /* core/identity.h */
struct smq_connect; /* net/smq_codec.h */

enum io_auth_answer {
    IO_AUTH_ACCEPTED,
    IO_AUTH_CHECK,   /* a worker must look at the password */
    IO_AUTH_REFUSED, /* code and reason say why */
};

/* What the session asks of a broker whose instances ask who somebody is (net/auth.h). */
struct io_auth_calls {
    /* Who is it? Fills in @identity's login and name; the UID is there, and the login of a browser
     * that came through the web UI. The name is borrowed from @connect or @conn. */
    enum io_auth_answer (*judge)(struct io *io, struct conn *conn,
                                 const struct smq_connect *connect, struct identity *identity,
                                 enum smq_connack *code, const char **reason);
    /* After IO_AUTH_CHECK: give the worker its job, or refuse. */
    void (*check)(struct io *io, struct conn *conn, struct span credentials);
    void (*on_reload)(struct io *io);
};

#define MARKED_NONE UINT32_MAX

struct conn_chunk; /* LIMIT_CONN_CHUNK slots */

struct io {
    const struct config *config; /* in force: the one of the start, or in @config_msg */
    struct msg *config_msg;      /* a reference; NULL: it has not been read again */
    struct port *port;
    struct quotas *quotas;
    uint16_t io_index;
    struct siphash_key name_key;
    struct random_ids seeds;

    struct conn_chunk **chunks; /* [chunk_count], NULL where no connection is */
    uint32_t chunk_count;
    uint32_t slot_count_max;
    uint16_t next_generation;
    bool draining;   /* no new clients; say goodbye to those we have */
    bool stopped;    /* every connection is gone after a drain */
    bool is_metered; /* what clients send in a second is limited (net/throttle.h) */

    struct pool topics;     /* struct local_topic: topics with subscribers among our connections */
    struct table topic_ids; /* (instance, TID) → topics */
    uint32_t marked_first;  /* connections to flush or close at the end of the turn */
    struct wheel wheel;
    uint32_t now_tick; /* the turn's time, in WHEEL_TICK_MS */
    int64_t stamp_ns;  /* the same, until the turn's first run has taken it along; else 0 */
    bool may_note;     /* no run's time on its way has been noted in this turn */
    bool is_listing;   /* a LIST is being answered, a bite each turn: */
    uint16_t list_to;  /* to this actor */
    uint16_t list_waiting_count; /* others asked meanwhile: */
    uint16_t list_waiting[LIMIT_LIST_ASKERS];
    uint32_t shed_cursor;
    uint32_t expel_cursor;  /* the next to look at: whose address is banned? Beyond all: none is */
    uint32_t retime_cursor; /* the next whose deadline is to be set anew; beyond all: none is */
    uint32_t refused_count; /* for their address, and not logged yet */
    uint32_t refused_said_tick; /* when the last such line was written */
    uint32_t list_cursor;
    uint32_t list_count;
    struct io_report report;
    struct mem mem;
    uint32_t web_index; /* as in io_options */
    ws_accept_fn *ws_accept;
    struct guard *guard;
    struct io_secure *secure;                   /* NULL: no listener speaks TLS */
    const struct io_secure_calls *secure_calls; /* NULL: the same */
    struct io_auth *auth;                       /* NULL: everybody is let in */
    const struct io_auth_calls *auth_calls;     /* NULL: the same */
    struct detour *detours;        /* [instance_count]; NULL: no instance has a script */
    uint32_t detour_waiting_count; /* requests in line, in all of them */
    struct auth_book *book;        /* accounts and rules in force; NULL: none */

    alignas(CACHE_LINE) _Atomic uint64_t stats[IO_STAT_COUNT];
    _Atomic uint64_t closed_counts[CLOSE_REASON_COUNT];
    _Atomic uint64_t tls_failed_counts[TLS_FAIL_COUNT];
    struct latency latency; /* from received to queued for its receivers, of a run each turn */
};

/* @io->mem must have been set up (it belongs to the mesh too). Thread: main, before the start. */
MUST_CHECK enum status io_init(struct io *io, const struct io_options *options, uint32_t now_tick);

/* Free what is left. Every connection must be FREE. */
void io_deinit(struct io *io);

static inline void io_count(struct io *io, enum io_stat stat, uint64_t amount)
{
    counter_add(&io->stats[stat], amount);
}

/* From now on the configuration in @msg is in force, of which this keeps a reference. Deadlines
 * that were made by the one before are set anew, a bite of the connections each turn. */
void io_take_config(struct io *io, struct msg *msg);
void io_retime_step(struct io *io);

static inline bool io_has_to_retime(const struct io *io)
{
    return io->retime_cursor < io->slot_count_max;
}

/* Handle a bounded bite from every inbox. Returns how many envelopes were handled. */
uint32_t io_drain_lanes(struct io *io);

/* A turn begins at @now_ns (CLOCK_MONOTONIC): the first run that comes in takes that time along,
 * and the first such one that arrives is noted. Who never calls this (the simulation) times
 * nothing. */
void io_begin_timing(struct io *io, int64_t now_ns);

/* The run that @deliver, a DELIVER or DIRECT, has brought is queued for its receivers. */
void io_note_latency(struct io *io, const struct envelope *deliver);

/* Answer a LIST: those connections that it names, at once; or every connection as JSON rows, a bite
 * each turn (net/peers.c). Who asks while another list is under way waits; each actor asks one at a
 * time. */
void io_list_peers(struct io *io, const struct envelope *request);
void io_list_step(struct io *io);

/* While memory is tight, shed long queues and large unfinished input: a bite of the connections
 * each turn, round and round. */
void io_shed_step(struct io *io);

static inline uint32_t io_open_count(struct io *io)
{
    return (uint32_t)counter_read(&io->stats[IO_STAT_OPEN]);
}

/* Is any connection open? */
static inline bool io_is_empty(struct io *io)
{
    return io_open_count(io) == 0;
}
