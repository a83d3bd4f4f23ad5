/*
 * core/guard.h — how much one address may, and which addresses are banned.
 *
 *      I/O actor  accept ──guard_admit──┐
 *                 close ───guard_leave──┤     set 0  [8 entries]   lock 0
 *                 login failed ─────────┼──>  set 1  [8 entries]   lock 1       fixed size,
 *      web actor  login failed, bans ───┤     …                                 made at boot
 *      control    smq ban ──────────────┘
 *
 * One table for all actors, because each I/O actor accepts on a listener of its own and the limits
 * are about their sum. Small locks, held for a look at eight entries, and only when a connection
 * comes or goes or a login fails: never for a message. (An actor that owned it would have to be
 * asked at each accept, which is a round trip and a queue just when a flood comes.)
 *
 * Bounded: an attacker with a /32 of IPv6 has 2^32 addresses. An entry with connections or a ban is
 * never given to another address. One of neither is, the longest unseen first. When all eight are
 * taken, the newcomer is let in unwatched and counted: who has that many addresses would not be
 * stopped by a limit for each, and the limits over all still hold. Sets are drawn with a secret
 * key.
 *
 * Exempt addresses (limits.exempt_addresses; this machine by default) may everything, are never
 * banned, and only their logins to the web UI are put off. So is the unknown address, ::, which all
 * have on kernels that cannot tell.
 *
 * Any thread. Time is in ticks of CLOCK_MONOTONIC (core/meter.h), from the caller.
 */
#pragma once

#include <pthread.h>

#include "core/address.h"
#include "core/config.h"
#include "core/mem.h"
#include "core/siphash.h"

#define GUARD_WAYS          8u /* entries in a set */
#define GUARD_LOCKS         64u
#define GUARD_EXEMPT_MAX    32        /* networks */
#define GUARD_FAIL_WINDOW_S 60u       /* limits.failures_per_address in so long */
#define GUARD_BAN_S_MAX     31536000u /* a year */

enum guard_verdict {
    GUARD_OK = 0,    /* and counted: guard_leave must follow */
    GUARD_UNWATCHED, /* let in, exempt or for want of room: no guard_leave */
    GUARD_BANNED,
    GUARD_TOO_MANY, /* limits.connections_per_address */
    GUARD_TOO_FAST, /* limits.connects_per_address */
};

enum guard_cause { GUARD_NOT_BANNED = 0, GUARD_BY_FAILURES, GUARD_BY_HAND };

enum guard_ban { GUARD_BAN_DONE, GUARD_BAN_EXEMPT, GUARD_BAN_NO_ROOM };

struct guard_banned {
    struct address_key key;
    uint32_t left_s;
    enum guard_cause cause;
};

struct guard_set;

struct guard {
    /* -- constant after boot -- */
    uint32_t set_count; /* a power of two */
    struct address_net exempt[GUARD_EXEMPT_MAX];
    uint32_t exempt_count;
    struct siphash_key key;
    struct guard_set *sets;

    /* -- changed by main only, when the configuration is read again; relaxed -- */
    _Atomic uint32_t connections_max; /* of one address; 0: any number */
    _Atomic uint32_t connects_per_s;  /* the same */
    _Atomic uint32_t pages_max;       /* the same */
    _Atomic uint32_t failures_max;    /* the same */
    _Atomic uint32_t ban_s;

    /* -- any thread -- */
    alignas(CACHE_LINE) _Atomic uint64_t unwatched_count; /* let in for want of room */
    _Atomic uint64_t bans_count;                          /* ever made */
    alignas(CACHE_LINE) pthread_mutex_t locks[GUARD_LOCKS];
};

/* Boot and shutdown; main's. The configuration has been checked. @mem: control's. */
void guard_init(struct guard *guard, const struct config *config, const struct siphash_key *key,
                struct mem *mem);
void guard_deinit(struct guard *guard, struct mem *mem);

/* Other limits, while all run. What is counted stays. Only main. */
void guard_update(struct guard *guard, const struct config *config);

/* The tick that it is now, for those without a wheel. */
uint32_t guard_clock(void);

MUST_CHECK bool guard_is_exempt(const struct guard *guard, const uint8_t ip[ADDRESS_BYTES]);

/* A connection has come. May it stay? */
MUST_CHECK enum guard_verdict guard_admit(struct guard *guard, const uint8_t ip[ADDRESS_BYTES],
                                          uint32_t now_tick);

/* One that was GUARD_OK has gone. */
void guard_leave(struct guard *guard, const uint8_t ip[ADDRESS_BYTES]);

/* One that was GUARD_OK asks for a web page, or has stopped doing so, before it leaves. false:
 * limits.pages_per_address do so already. */
MUST_CHECK bool guard_take_page(struct guard *guard, const uint8_t ip[ADDRESS_BYTES]);
void guard_give_page(struct guard *guard, const uint8_t ip[ADDRESS_BYTES]);

/* Is it banned, and why? */
MUST_CHECK enum guard_cause guard_is_banned(struct guard *guard, const uint8_t ip[ADDRESS_BYTES],
                                            uint32_t now_tick);

/* For how many seconds no login of this address is to be looked at; 0: it may try. */
MUST_CHECK uint32_t guard_login_wait_s(struct guard *guard, const uint8_t ip[ADDRESS_BYTES],
                                       uint32_t now_tick);

/* A login was wrong. Returns for how many seconds the address is banned by this one; 0: not. */
uint32_t guard_login_failed(struct guard *guard, const uint8_t ip[ADDRESS_BYTES],
                            uint32_t now_tick);

/* Ban an address by hand for @seconds (1..GUARD_BAN_S_MAX) from now, or end that. */
MUST_CHECK enum guard_ban guard_ban(struct guard *guard, const uint8_t ip[ADDRESS_BYTES],
                                    uint32_t seconds, uint32_t now_tick);
MUST_CHECK bool guard_lift(struct guard *guard, const uint8_t ip[ADDRESS_BYTES], uint32_t now_tick);

/* Bans from *@cursor (0 at first) on, at most @room. Returns how many; *@cursor: where to go on,
 * UINT32_MAX: that was all. */
uint32_t guard_list(struct guard *guard, uint32_t *cursor, struct guard_banned *bans, uint32_t room,
                    uint32_t now_tick);

/* A ban as a JSON object: address, seconds that are left, cause. */
#define GUARD_ROW_BYTES 128u
void guard_put_row(const struct guard_banned *ban, char out[GUARD_ROW_BYTES]);
