/*
 * tls/limits.h — every bound of the TLS code, each with its reason.
 *
 * Sizes that RFC 8446 (TLS 1.3) and RFC 5246 (TLS 1.2) fix, and the few that we choose.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

/* -- a record: type u8 | version u16 | length u16 | body -- */
#define TLS_HEADER_BYTES       5u
#define TLS_TAG_BYTES          16u    /* of every AEAD we speak */
#define TLS_NONCE_BYTES        12u    /* of every AEAD we speak */
#define TLS_PLAIN_BYTES_MAX    16384u /* RFC 8446 §5.1 */
#define TLS_EXPANSION_BYTES    256u   /* RFC 8446 §5.2: padding, inner type and tag */
#define TLS_RECORD_BYTES_MAX   (TLS_HEADER_BYTES + TLS_PLAIN_BYTES_MAX + TLS_EXPANSION_BYTES)
#define TLS_EXPLICIT_NONCE     8u /* before the body of a TLS 1.2 GCM record, RFC 5288 §3 */
#define TLS_OVERHEAD_BYTES_MAX (TLS_HEADER_BYTES + TLS_EXPLICIT_NONCE + TLS_TAG_BYTES)

/* -- keys -- */
#define TLS_SECRET_BYTES_MAX 48u /* SHA-384 */
#define TLS_KEY_BYTES_MAX    32u

/* A resting connection is woken when it has derived its keys so often: more than a keep-alive and
 * a message each minute bring until it rests anew. */
#define TLS_DERIVED_MAX 32u

/* -- what a peer may do between two records with data (the same as BoringSSL's own) -- */
#define TLS_KEY_UPDATES_MAX 32u
#define TLS_EMPTIES_MAX     32u
#define TLS_WARNINGS_MAX    4u

/* One key seals so many records, then comes a KeyUpdate. RFC 8446 §5.5 allows 2^24.5. */
#define TLS_RECORDS_PER_KEY  (UINT64_C(1) << 24)
#define TLS_KEY_UPDATE_BYTES (TLS_HEADER_BYTES + 5u + 1u + TLS_TAG_BYTES) /* as a sealed record */
#define TLS_ALERT_BYTES_MAX  (TLS_HEADER_BYTES + TLS_EXPLICIT_NONCE + 2u + TLS_TAG_BYTES)

/* -- credentials -- */
#define TLS_CERT_FILE_BYTES_MAX                                                                    \
    (1u << 20)                    /* a chain is a few kB, a CRL of 20,000 entries 0.7 MB           \
                                   */
#define TLS_RULES_MAX        32u  /* walked for each ClientHello that could take both */
#define TLS_NAME_BYTES_MAX   255u /* a DNS name, an SNI, an identity */
#define TLS_SANS_BYTES_MAX   512u /* of a client's certificate: what of its SANs scripts may see */
#define TLS_SERIAL_BYTES_MAX 20u  /* RFC 5280 §4.1.2.2 */
#define TLS_RSA_BITS_MIN     2048u
#define TLS_RSA_BITS_MAX     4096u

/* -- signing workers -- */
#define TLS_SIGN_INPUT_BYTES_MAX 256u /* TLS 1.3: 64 + 34 + 48; TLS 1.2: two randoms and a key */
#define TLS_SIGNATURE_BYTES_MAX  (TLS_RSA_BITS_MAX / 8u)
#define TLS_SIGNER_WORKERS_MAX   16u

/* -- tickets -- */
#define TLS_TICKETS_PER_KEY                                                                        \
    (UINT64_C(1) << 28) /* random 96-bit nonces: well under the bound 2^32 */

static_assert(TLS_PLAIN_BYTES_MAX + TLS_EXPANSION_BYTES <= 0xFFFFu, "a record's length is a u16");
