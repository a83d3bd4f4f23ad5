/*
 * tls/record.h — a TLS connection after its handshake, as nothing but keys and counters.
 *
 *      SSL object (2.6 kB) --handshake done--> struct tls_record (144 bytes for AES-128-GCM)
 *                                                 |  ^
 *                                          rest   v  |  wake
 *                                              TLS 1.3, resting: 88 bytes, secrets only
 *
 * The record layer of TLS 1.3 (RFC 8446 §5) and of TLS 1.2 with GCM or ChaCha20 (RFC 5246 §6,
 * RFC 5288, RFC 7905), for the server's side. Pure: bytes in, bytes out, in the caller's
 * buffers; no I/O, no clock, no allocation.
 *
 * What it owes a peer, beside sealing and opening (each has a test of its own):
 *   - KeyUpdate: follow the peer's, answer before our next data, send our own in time;
 *   - refuse every other message after the handshake, and renegotiation;
 *   - alerts, close_notify, caps on empty records, warnings and key updates;
 *   - a counter that moves exactly once for each record: so a sealed record is sent, or the
 *     connection closes. A retry after a short send sends the same ciphertext again.
 *
 * The AEAD's key schedule is built anew for each record, on the stack: 0.09 us for AES-GCM,
 * 0.006 us for ChaCha20, beside 0.08 us for sealing 64 bytes. Keeping it would cost 600 bytes for
 * each direction, four times what all the rest of a connection takes. A resting record derives key
 * and IV from its secret as well, for each record anew (2 us, and nothing can fail): a quiet
 * connection need not keep what a busy one saves time with.
 *
 * Thread: whoever owns the connection. Two records share nothing.
 */
#pragma once

#include "core/must.h"
#include "tls/failure.h"
#include "tls/limits.h"

enum tls_version { TLS_1_2 = 0, TLS_1_3 };

enum tls_suite {
    TLS_SUITE_AES_128_GCM = 0, /* SHA-256 */
    TLS_SUITE_AES_256_GCM,     /* SHA-384 */
    TLS_SUITE_CHACHA20,        /* ChaCha20-Poly1305, SHA-256 */
    TLS_SUITE_COUNT
};

enum tls_content {
    TLS_CONTENT_CHANGE_CIPHER_SPEC = 20,
    TLS_CONTENT_ALERT = 21,
    TLS_CONTENT_HANDSHAKE = 22,
    TLS_CONTENT_DATA = 23,
};

enum tls_alert_level { TLS_ALERT_WARNING = 1, TLS_ALERT_FATAL = 2 };

/* The alerts we send or know (RFC 8446 §6). */
enum tls_alert {
    TLS_ALERT_CLOSE_NOTIFY = 0,
    TLS_ALERT_UNEXPECTED_MESSAGE = 10,
    TLS_ALERT_BAD_RECORD_MAC = 20,
    TLS_ALERT_RECORD_OVERFLOW = 22,
    TLS_ALERT_BAD_CERTIFICATE = 42,
    TLS_ALERT_CERTIFICATE_REVOKED = 44,
    TLS_ALERT_CERTIFICATE_EXPIRED = 45,
    TLS_ALERT_ILLEGAL_PARAMETER = 47,
    TLS_ALERT_DECODE_ERROR = 50,
    TLS_ALERT_PROTOCOL_VERSION = 70,
    TLS_ALERT_INTERNAL_ERROR = 80,
    TLS_ALERT_USER_CANCELED = 90,
    TLS_ALERT_NO_RENEGOTIATION = 100,
};

/* One connection's keys. What follows the counters depends on version and suite; see record.c. */
struct tls_record {
    uint64_t read_sequence;    /* of the next record to open */
    uint64_t write_sequence;   /* of the next record to seal */
    uint8_t version;           /* enum tls_version */
    uint8_t suite;             /* enum tls_suite */
    bool read_closed : 1;      /* nothing may be opened any more */
    bool write_closed : 1;     /* nothing may be sealed any more */
    bool answer_due : 1;       /* the peer asked for our KeyUpdate */
    bool is_resting : 1;       /* keys and IVs are not there: derived when needed */
    uint8_t key_updates_count; /* these three: since the last record with data */
    uint8_t empties_count;
    uint8_t warnings_count;
    uint8_t partial_count; /* bytes of a KeyUpdate that was cut across records */
    uint8_t derived_count; /* records since it began to rest; stops at the largest */
    uint8_t keys[];        /* secrets, keys and IVs: cleansed by tls_record_deinit */
};

/* What a handshake leaves behind. In TLS 1.3 the two secrets, in 1.2 the keys and IVs. */
struct tls_record_start {
    enum tls_version version;
    enum tls_suite suite;
    uint64_t read_sequence;
    uint64_t write_sequence;
    const uint8_t *read_secret; /* TLS 1.3: tls_secret_bytes() each */
    const uint8_t *write_secret;
    const uint8_t *read_key; /* TLS 1.2: tls_key_bytes() and tls_iv_bytes() each */
    const uint8_t *write_key;
    const uint8_t *read_iv;
    const uint8_t *write_iv;
};

enum tls_opened {
    TLS_OPENED_DATA = 0, /* the span is application data, in place */
    TLS_OPENED_NOTHING,  /* a record for this layer only: go on with the next */
    TLS_OPENED_CLOSED,   /* close_notify: the peer sends no more; we still may */
    TLS_OPENED_FAILED,   /* send failure->alert and close */
};

/* Sizes of a suite's parts, in bytes. */
size_t tls_secret_bytes(enum tls_suite suite); /* also that of its hash */
size_t tls_key_bytes(enum tls_suite suite);
size_t tls_iv_bytes(enum tls_version version, enum tls_suite suite);

/* The size to allocate for a struct tls_record of this kind; resting, which TLS 1.3 alone can; and
 * of one that is there. */
size_t tls_record_state_bytes(enum tls_version version, enum tls_suite suite);
size_t tls_record_resting_bytes(enum tls_suite suite);
size_t tls_record_bytes(const struct tls_record *record);

/* Copies what @start points to; the caller cleanses its own. */
void tls_record_init(struct tls_record *record, const struct tls_record_start *start);

/* Wipes the keys. The memory stays the caller's. */
void tls_record_deinit(struct tls_record *record);

/* Wipe what can be derived again; the memory beyond tls_record_resting_bytes is free. Of one that
 * rests: begin to count anew. TLS 1.3 only. */
void tls_record_rest(struct tls_record *record);

/* Derive it, into memory of tls_record_state_bytes again. */
void tls_record_wake(struct tls_record *record);

/* Has it opened and sealed so much while resting that it should be woken? */
bool tls_record_is_restless(const struct tls_record *record);

/**
 * Look at the front of @input: how long is the record there?
 *
 * Returns: false when no such record may come; *failure says why. Otherwise *record_bytes is
 *          the whole record's size, or 0 while its header is incomplete.
 */
MUST_CHECK bool tls_record_measure(const struct tls_record *record, struct span input,
                                   size_t *record_bytes, struct tls_failure *failure);

/**
 * Open exactly one record, in place.
 *
 * Takes:   nothing; @bytes is overwritten with plaintext. *data borrows it.
 * Bytes:   as tls_record_measure said (asserted).
 * Returns: see enum tls_opened. After CLOSED and FAILED nothing more may be opened (asserted).
 */
MUST_CHECK enum tls_opened tls_record_open(struct tls_record *record, uint8_t *bytes,
                                           size_t bytes_count, struct span *data,
                                           struct tls_failure *failure);

/* Bytes before and after the plaintext of a sealed record. */
size_t tls_record_prefix_bytes(const struct tls_record *record);
size_t tls_record_suffix_bytes(const struct tls_record *record);

/**
 * Seal one record. The plaintext already stands at @out + tls_record_prefix_bytes().
 *
 * Bytes:   @plain_bytes up to TLS_PLAIN_BYTES_MAX; @out has room for prefix and suffix as well.
 * Returns: the record's size. It must be sent, or the connection closed.
 */
size_t tls_record_seal(struct tls_record *record, uint8_t *out, size_t plain_bytes,
                       enum tls_content content);

/* Must a KeyUpdate go before the next data? (It was asked for, or the key is used up.) */
bool tls_record_update_due(const struct tls_record *record);

/* Seal a KeyUpdate and switch to the next key. Needs TLS_KEY_UPDATE_BYTES; returns the size. */
size_t tls_record_seal_update(struct tls_record *record, uint8_t *out);

/* Seal an alert, after which nothing may be sealed. Needs TLS_ALERT_BYTES_MAX; returns the size. */
size_t tls_record_seal_alert(struct tls_record *record, uint8_t *out, enum tls_alert alert);
