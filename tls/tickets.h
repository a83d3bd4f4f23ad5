/*
 * tls/tickets.h — the keys that seal session tickets, and their rotation.
 *
 * A ticket is the session, sealed for ourselves and kept by the client: a known device comes back
 * without a signature and without our remembering it. The keys change by themselves: a new one
 * every interval, and the one before it still opens. So a ticket is good for at least one
 * interval and at most two, whatever the client claims.
 *
 *      key name (16) | nonce (12) | sealed session | tag (16)          AES-256-GCM
 *
 * One set serves one listener through all reloads of its certificates; what a session may be
 * resumed on is bound by the session-id context (tls/context.c), not by the key.
 *
 * Thread: any; a mutex guards the keys.
 */
#pragma once

#include "core/must.h"

struct tls_tickets;

#define TLS_TICKET_OVERHEAD_BYTES (16u + 12u + 16u)

/* @interval_s: between two new keys, at least 1. NULL: no memory, or no randomness. */
MUST_CHECK struct tls_tickets *tls_tickets_open(uint32_t interval_s);

/* Wipes the keys. NULL is fine. No connection may use them any more. */
void tls_tickets_close(struct tls_tickets *tickets);

/* How long clients are told to keep a ticket. */
uint32_t tls_tickets_lifetime_s(const struct tls_tickets *tickets);

/* Throw every ticket away, for example after a key was exposed: two new keys at once. */
void tls_tickets_reset(struct tls_tickets *tickets);

/**
 * Seal and open. @out: the input's size and TLS_TICKET_OVERHEAD_BYTES (seal); the input's (open).
 * It must not overlap the input.
 *
 * @now_s:  any clock that never steps back.
 * Returns: open is false for what is no ticket of ours, or was sealed with a key since dropped:
 *          an ordinary thing, after which the handshake is a full one.
 */
MUST_CHECK bool tls_tickets_seal(struct tls_tickets *tickets, uint64_t now_s, struct span session,
                                 uint8_t *out, size_t *out_bytes);
MUST_CHECK bool tls_tickets_open_one(struct tls_tickets *tickets, uint64_t now_s,
                                     struct span ticket, uint8_t *out, size_t *out_bytes);
