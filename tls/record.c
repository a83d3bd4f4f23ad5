/*
 * tls/record.c — seal and open records with bare keys. See tls/record.h.
 *
 * Thread: the owner of the connection; no state outside struct tls_record.
 *
 * The layout of record->keys, read before write in each pair:
 *
 *      TLS 1.3   secret, secret (hash) | key, iv (12), key, iv <- not there when resting
 *      TLS 1.2                           key, iv (4 for GCM, 12 for ChaCha20), key, iv
 */
#include "tls/record.h"

#include <openssl/aead.h>
#include <openssl/digest.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>
#include <string.h>

#include "client/smq_wire.h"

#define GCM_SALT_BYTES    4u /* the fixed part of a TLS 1.2 GCM nonce, RFC 5288 §3 */
#define AAD_BYTES_MAX     13u
#define MESSAGE_HEADER    4u /* of a handshake message: type u8, length u24 */
#define KEY_UPDATE_TYPE   24u
#define KEY_UPDATE_LENGTH 5u
#define WIRE_VERSION      0x0303u /* what both versions write into their records */

static const struct suite_facts {
    const EVP_AEAD *(*aead)(void);
    const EVP_MD *(*hash)(void);
    uint8_t secret_bytes;
    uint8_t key_bytes;
    bool explicit_nonce; /* TLS 1.2 carries a part of the nonce in each record */
} suites[TLS_SUITE_COUNT] = {
    [TLS_SUITE_AES_128_GCM] = {EVP_aead_aes_128_gcm, EVP_sha256, 32, 16, true},
    [TLS_SUITE_AES_256_GCM] = {EVP_aead_aes_256_gcm, EVP_sha384, 48, 32, true},
    [TLS_SUITE_CHACHA20] = {EVP_aead_chacha20_poly1305, EVP_sha256, 32, 32, false},
};

enum direction { DIRECTION_READ = 0, DIRECTION_WRITE };

/* Where one direction's keys stand. */
struct half {
    uint8_t *secret; /* NULL in TLS 1.2 */
    uint8_t *key;
    uint8_t *iv;
};

/* Where they are derived while the record rests. */
struct scratch {
    uint8_t key[TLS_KEY_BYTES_MAX];
    uint8_t iv[TLS_NONCE_BYTES];
};

size_t tls_secret_bytes(enum tls_suite suite)
{
    must(suite < TLS_SUITE_COUNT);
    return suites[suite].secret_bytes;
}

size_t tls_key_bytes(enum tls_suite suite)
{
    must(suite < TLS_SUITE_COUNT);
    return suites[suite].key_bytes;
}

size_t tls_iv_bytes(enum tls_version version, enum tls_suite suite)
{
    must(suite < TLS_SUITE_COUNT);
    return version == TLS_1_2 && suites[suite].explicit_nonce ? GCM_SALT_BYTES : TLS_NONCE_BYTES;
}

static size_t secrets_bytes(enum tls_version version, enum tls_suite suite)
{
    return version == TLS_1_3 ? 2 * tls_secret_bytes(suite) : 0;
}

static size_t key_and_iv_bytes(enum tls_version version, enum tls_suite suite)
{
    return tls_key_bytes(suite) + tls_iv_bytes(version, suite);
}

size_t tls_record_resting_bytes(enum tls_suite suite)
{
    return offsetof(struct tls_record, keys) + secrets_bytes(TLS_1_3, suite);
}

size_t tls_record_state_bytes(enum tls_version version, enum tls_suite suite)
{
    return offsetof(struct tls_record, keys) + secrets_bytes(version, suite) +
           2 * key_and_iv_bytes(version, suite);
}

size_t tls_record_bytes(const struct tls_record *record)
{
    return record->is_resting ? tls_record_resting_bytes(record->suite)
                              : tls_record_state_bytes(record->version, record->suite);
}

/* Of a resting record: the secret alone. */
static struct half half_of(struct tls_record *record, enum direction direction)
{
    struct half half = {NULL, NULL, NULL};

    if (record->version == TLS_1_3)
        half.secret = record->keys + (size_t)direction * tls_secret_bytes(record->suite);
    if (record->is_resting)
        return half;
    half.key = record->keys + secrets_bytes(record->version, record->suite) +
               (size_t)direction * key_and_iv_bytes(record->version, record->suite);
    half.iv = half.key + tls_key_bytes(record->suite);
    return half;
}

/* HKDF-Expand-Label with an empty context (RFC 8446 §7.1). */
static void expand_label(const EVP_MD *hash, const uint8_t *secret, const char *label, uint8_t *out,
                         size_t out_bytes)
{
    uint8_t info[2 + 1 + 6 + 16 + 1];
    size_t label_bytes = strlen(label);

    must(label_bytes <= 16 && out_bytes <= UINT8_MAX);
    smq_store_u16(info, (uint16_t)out_bytes);
    info[2] = (uint8_t)(6 + label_bytes);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, label_bytes);
    info[9 + label_bytes] = 0;
    int done = HKDF_expand(out, out_bytes, hash, secret, EVP_MD_size(hash), info, 10 + label_bytes);
    must(done == 1);
}

static void half_derive(const struct tls_record *record, struct half half)
{
    const EVP_MD *hash = suites[record->suite].hash();

    expand_label(hash, half.secret, "key", half.key, tls_key_bytes(record->suite));
    expand_label(hash, half.secret, "iv", half.iv, TLS_NONCE_BYTES);
}

/* The same with key and IV in any case, if need be derived into @scratch. */
static struct half half_to_use(struct tls_record *record, enum direction direction,
                               struct scratch *scratch)
{
    struct half half = half_of(record, direction);

    if (!record->is_resting)
        return half;
    half.key = scratch->key;
    half.iv = scratch->iv;
    half_derive(record, half);
    if (record->derived_count < UINT8_MAX)
        record->derived_count++;
    return half;
}

static void half_done(const struct tls_record *record, struct scratch *scratch)
{
    if (record->is_resting)
        OPENSSL_cleanse(scratch, sizeof(*scratch));
}

/* The next generation of one direction's keys (RFC 8446 §7.2). */
static void half_advance(struct tls_record *record, enum direction direction)
{
    const EVP_MD *hash = suites[record->suite].hash();
    struct half half = half_of(record, direction);
    uint8_t next[TLS_SECRET_BYTES_MAX];

    must(record->version == TLS_1_3);
    expand_label(hash, half.secret, "traffic upd", next, tls_secret_bytes(record->suite));
    memcpy(half.secret, next, tls_secret_bytes(record->suite));
    OPENSSL_cleanse(next, sizeof(next));
    if (!record->is_resting)
        half_derive(record, half);
}

void tls_record_init(struct tls_record *record, const struct tls_record_start *start)
{
    must(start->suite < TLS_SUITE_COUNT);
    memset(record, 0, sizeof(*record));
    record->version = (uint8_t)start->version;
    record->suite = (uint8_t)start->suite;
    record->read_sequence = start->read_sequence;
    record->write_sequence = start->write_sequence;

    struct half read = half_of(record, DIRECTION_READ);
    struct half write = half_of(record, DIRECTION_WRITE);
    must(read.key && write.key); /* it does not rest yet */
    if (start->version == TLS_1_3) {
        memcpy(read.secret, start->read_secret, tls_secret_bytes(start->suite));
        memcpy(write.secret, start->write_secret, tls_secret_bytes(start->suite));
        half_derive(record, read);
        half_derive(record, write);
        return;
    }
    memcpy(read.key, start->read_key, tls_key_bytes(start->suite));
    memcpy(write.key, start->write_key, tls_key_bytes(start->suite));
    memcpy(read.iv, start->read_iv, tls_iv_bytes(start->version, start->suite));
    memcpy(write.iv, start->write_iv, tls_iv_bytes(start->version, start->suite));
}

void tls_record_deinit(struct tls_record *record)
{
    OPENSSL_cleanse(record, tls_record_bytes(record));
}

void tls_record_rest(struct tls_record *record)
{
    size_t resting_bytes = tls_record_resting_bytes(record->suite);

    must(record->version == TLS_1_3);
    OPENSSL_cleanse((uint8_t *)record + resting_bytes, tls_record_bytes(record) - resting_bytes);
    record->is_resting = true;
    record->derived_count = 0;
}

void tls_record_wake(struct tls_record *record)
{
    must(record->is_resting);
    record->is_resting = false;
    half_derive(record, half_of(record, DIRECTION_READ));
    half_derive(record, half_of(record, DIRECTION_WRITE));
}

bool tls_record_is_restless(const struct tls_record *record)
{
    return record->is_resting && record->derived_count >= TLS_DERIVED_MAX;
}

/* -- what both directions share -- */

static bool has_explicit_nonce(const struct tls_record *record)
{
    return record->version == TLS_1_2 && suites[record->suite].explicit_nonce;
}

static void store_u64(uint8_t *at, uint64_t value)
{
    smq_store_u32(at, (uint32_t)(value >> 32));
    smq_store_u32(at + 4, (uint32_t)value);
}

/* RFC 8446 §5.3, and RFC 7905 §2 for ChaCha20 in TLS 1.2: IV xor sequence. RFC 5288 §3 for GCM in
 * TLS 1.2: salt, then the eight bytes that stand in the record. */
static void nonce_make(const struct tls_record *record, struct half half, uint64_t sequence,
                       const uint8_t *explicit_nonce, uint8_t nonce[TLS_NONCE_BYTES])
{
    if (explicit_nonce) {
        memcpy(nonce, half.iv, GCM_SALT_BYTES);
        memcpy(nonce + GCM_SALT_BYTES, explicit_nonce, TLS_EXPLICIT_NONCE);
        return;
    }
    must(tls_iv_bytes(record->version, record->suite) == TLS_NONCE_BYTES);
    memset(nonce, 0, 4);
    store_u64(nonce + 4, sequence);
    for (size_t i = 0; i < TLS_NONCE_BYTES; i++)
        nonce[i] ^= half.iv[i];
}

/* The bytes that are authenticated but not encrypted; returns how many. TLS 1.3: the record's
 * header (RFC 8446 §5.2). TLS 1.2: sequence, header with the plaintext's length (RFC 5246
 * §6.2.3.3). */
static size_t aad_make(const struct tls_record *record, const uint8_t *header, uint64_t sequence,
                       size_t plain_bytes, uint8_t aad[AAD_BYTES_MAX])
{
    if (record->version == TLS_1_3) {
        memcpy(aad, header, TLS_HEADER_BYTES);
        return TLS_HEADER_BYTES;
    }
    store_u64(aad, sequence);
    memcpy(aad + 8, header, 3);
    smq_store_u16(aad + 11, (uint16_t)plain_bytes);
    return AAD_BYTES_MAX;
}

/* -- opening -- */

static enum tls_opened fail(struct tls_record *record, struct tls_failure *failure,
                            enum tls_fail kind, enum tls_alert alert, const char *text)
{
    record->read_closed = true;
    *failure = (struct tls_failure){kind, (uint8_t)alert, text};
    return TLS_OPENED_FAILED;
}

bool tls_record_measure(const struct tls_record *record, struct span input, size_t *record_bytes,
                        struct tls_failure *failure)
{
    *record_bytes = 0;
    if (input.bytes_count < TLS_HEADER_BYTES)
        return true;

    uint8_t type = input.data[0];
    size_t body_bytes = smq_load_u16(input.data + 3);

    if (smq_load_u16(input.data + 1) != WIRE_VERSION) {
        *failure = (struct tls_failure){TLS_FAIL_BAD_RECORD, TLS_ALERT_PROTOCOL_VERSION,
                                        "the record's version is not that of this connection"};
        return false;
    }
    /* TLS 1.3 hides the type, and after the handshake there is no middlebox's CCS any more. */
    bool may_come = record->version == TLS_1_3
                        ? type == TLS_CONTENT_DATA
                        : type >= TLS_CONTENT_ALERT && type <= TLS_CONTENT_DATA;
    if (!may_come) {
        *failure = (struct tls_failure){TLS_FAIL_BAD_RECORD, TLS_ALERT_UNEXPECTED_MESSAGE,
                                        "the record's outer type is not one that may come now"};
        return false;
    }
    if (body_bytes > TLS_PLAIN_BYTES_MAX + TLS_EXPANSION_BYTES) {
        *failure = (struct tls_failure){TLS_FAIL_RECORD_OVERFLOW, TLS_ALERT_RECORD_OVERFLOW,
                                        "the record's length is over 2^14 + 256"};
        return false;
    }
    *record_bytes = TLS_HEADER_BYTES + body_bytes;
    return true;
}

/* Decrypt the body in place. False: it is not authentic, or too short to be. */
static bool decrypt(struct tls_record *record, uint8_t *bytes, size_t bytes_count, uint8_t **plain,
                    size_t *plain_bytes)
{
    const EVP_AEAD *aead = suites[record->suite].aead();
    struct scratch scratch;
    size_t explicit_bytes = has_explicit_nonce(record) ? TLS_EXPLICIT_NONCE : 0;
    uint8_t *body = bytes + TLS_HEADER_BYTES + explicit_bytes;
    uint8_t nonce[TLS_NONCE_BYTES];
    uint8_t aad[AAD_BYTES_MAX];
    EVP_AEAD_CTX aead_ctx;

    if (bytes_count < TLS_HEADER_BYTES + explicit_bytes + TLS_TAG_BYTES)
        return false;
    size_t body_bytes = bytes_count - TLS_HEADER_BYTES - explicit_bytes;
    struct half half = half_to_use(record, DIRECTION_READ, &scratch);
    nonce_make(record, half, record->read_sequence,
               explicit_bytes > 0 ? bytes + TLS_HEADER_BYTES : NULL, nonce);
    size_t aad_bytes =
        aad_make(record, bytes, record->read_sequence, body_bytes - TLS_TAG_BYTES, aad);

    int ready = EVP_AEAD_CTX_init(&aead_ctx, aead, half.key, tls_key_bytes(record->suite),
                                  TLS_TAG_BYTES, NULL);
    must(ready == 1);
    int opened = EVP_AEAD_CTX_open(&aead_ctx, body, plain_bytes, body_bytes, nonce, sizeof(nonce),
                                   body, body_bytes, aad, aad_bytes);
    EVP_AEAD_CTX_cleanup(&aead_ctx);
    OPENSSL_cleanse(&aead_ctx, sizeof(aead_ctx));
    half_done(record, &scratch);
    *plain = body;
    return opened == 1;
}

static enum tls_opened open_alert(struct tls_record *record, struct span content,
                                  struct tls_failure *failure)
{
    if (content.bytes_count != 2)
        return fail(record, failure, TLS_FAIL_UNEXPECTED, TLS_ALERT_DECODE_ERROR,
                    "an alert that is not two bytes long");
    if (content.data[1] == TLS_ALERT_CLOSE_NOTIFY) {
        record->read_closed = true;
        return TLS_OPENED_CLOSED;
    }
    if (content.data[1] != TLS_ALERT_USER_CANCELED || content.data[0] != TLS_ALERT_WARNING) {
        /* Nothing may be answered to a fatal alert (RFC 8446 §6.2): tls_conn sends none. */
        return fail(record, failure, TLS_FAIL_ALERT, TLS_ALERT_CLOSE_NOTIFY,
                    "the peer sent a fatal alert");
    }
    if (++record->warnings_count > TLS_WARNINGS_MAX)
        return fail(record, failure, TLS_FAIL_FLOOD, TLS_ALERT_UNEXPECTED_MESSAGE,
                    "too many warning alerts");
    return TLS_OPENED_NOTHING;
}

/* A whole KeyUpdate has come (RFC 8446 §4.6.3). */
static enum tls_opened open_key_update(struct tls_record *record, uint8_t request,
                                       struct tls_failure *failure)
{
    if (request > 1)
        return fail(record, failure, TLS_FAIL_UNEXPECTED, TLS_ALERT_ILLEGAL_PARAMETER,
                    "a KeyUpdate with a value other than 0 or 1");
    if (++record->key_updates_count > TLS_KEY_UPDATES_MAX)
        return fail(record, failure, TLS_FAIL_FLOOD, TLS_ALERT_UNEXPECTED_MESSAGE,
                    "too many KeyUpdates without data");

    half_advance(record, DIRECTION_READ);
    record->read_sequence = 0;
    record->partial_count = 0;
    /* One answer is enough for any number of questions: it goes before our next data. */
    if (request == 1)
        record->answer_due = true;
    return TLS_OPENED_NOTHING;
}

static enum tls_opened open_handshake(struct tls_record *record, struct span content,
                                      struct tls_failure *failure)
{
    static const uint8_t expected[MESSAGE_HEADER] = {KEY_UPDATE_TYPE, 0, 0, 1};

    if (record->version == TLS_1_2)
        return fail(record, failure, TLS_FAIL_UNEXPECTED, TLS_ALERT_NO_RENEGOTIATION,
                    "renegotiation is not allowed");
    if (content.bytes_count == 0)
        return fail(record, failure, TLS_FAIL_UNEXPECTED, TLS_ALERT_UNEXPECTED_MESSAGE,
                    "an empty handshake record");

    for (size_t i = 0; i < content.bytes_count; i++) {
        uint8_t at = record->partial_count;

        if (at == KEY_UPDATE_LENGTH)
            return fail(record, failure, TLS_FAIL_UNEXPECTED, TLS_ALERT_UNEXPECTED_MESSAGE,
                        "bytes after a KeyUpdate under the old key");
        if (at == 0 && content.data[i] != KEY_UPDATE_TYPE)
            return fail(record, failure, TLS_FAIL_UNEXPECTED, TLS_ALERT_UNEXPECTED_MESSAGE,
                        "a handshake message other than KeyUpdate");
        if (at < MESSAGE_HEADER && content.data[i] != expected[at])
            return fail(record, failure, TLS_FAIL_UNEXPECTED, TLS_ALERT_DECODE_ERROR,
                        "a KeyUpdate of the wrong length");
        record->partial_count++;
    }
    if (record->partial_count < KEY_UPDATE_LENGTH)
        return TLS_OPENED_NOTHING; /* cut across records, which §5.1 allows */
    return open_key_update(record, content.data[content.bytes_count - 1], failure);
}

static enum tls_opened open_data(struct tls_record *record, struct span content, struct span *data,
                                 struct tls_failure *failure)
{
    if (record->partial_count > 0)
        return fail(record, failure, TLS_FAIL_UNEXPECTED, TLS_ALERT_UNEXPECTED_MESSAGE,
                    "data in the middle of a handshake message");
    if (content.bytes_count == 0) {
        if (++record->empties_count > TLS_EMPTIES_MAX)
            return fail(record, failure, TLS_FAIL_FLOOD, TLS_ALERT_UNEXPECTED_MESSAGE,
                        "too many empty records");
        return TLS_OPENED_NOTHING;
    }
    record->empties_count = 0;
    record->warnings_count = 0;
    record->key_updates_count = 0;
    *data = content;
    return TLS_OPENED_DATA;
}

/* Take padding and the true type off the end (RFC 8446 §5.4). False: there was only padding. */
static bool strip_inner(struct span *content, uint8_t *type)
{
    while (content->bytes_count > 0) {
        *type = content->data[--content->bytes_count];
        if (*type != 0)
            return true;
    }
    return false;
}

enum tls_opened tls_record_open(struct tls_record *record, uint8_t *bytes, size_t bytes_count,
                                struct span *data, struct tls_failure *failure)
{
    uint8_t type = bytes[0];
    uint8_t *plain = NULL;
    size_t plain_bytes = 0;
    bool is_1_3 = record->version == TLS_1_3;

    must(!record->read_closed);
    must(bytes_count >= TLS_HEADER_BYTES && bytes_count <= TLS_RECORD_BYTES_MAX);
    must(bytes_count == TLS_HEADER_BYTES + smq_load_u16(bytes + 3));

    if (!decrypt(record, bytes, bytes_count, &plain, &plain_bytes))
        return fail(record, failure, TLS_FAIL_BAD_RECORD, TLS_ALERT_BAD_RECORD_MAC,
                    "a record that does not decrypt");
    if (++record->read_sequence == UINT64_MAX)
        return fail(record, failure, TLS_FAIL_FLOOD, TLS_ALERT_INTERNAL_ERROR,
                    "the record counter is used up");
    if (plain_bytes > TLS_PLAIN_BYTES_MAX + (is_1_3 ? 1 : 0))
        return fail(record, failure, TLS_FAIL_RECORD_OVERFLOW, TLS_ALERT_RECORD_OVERFLOW,
                    "a record with more than 2^14 bytes in it");

    struct span content = span_of(plain, plain_bytes);
    if (is_1_3 && !strip_inner(&content, &type))
        return fail(record, failure, TLS_FAIL_BAD_RECORD, TLS_ALERT_UNEXPECTED_MESSAGE,
                    "a record with nothing but padding");

    switch (type) {
    case TLS_CONTENT_DATA:
        return open_data(record, content, data, failure);
    case TLS_CONTENT_HANDSHAKE:
        return open_handshake(record, content, failure);
    case TLS_CONTENT_ALERT:
        return open_alert(record, content, failure);
    default:
        return fail(record, failure, TLS_FAIL_UNEXPECTED, TLS_ALERT_UNEXPECTED_MESSAGE,
                    "a record of a type that may not come now");
    }
}

/* -- sealing -- */

size_t tls_record_prefix_bytes(const struct tls_record *record)
{
    return TLS_HEADER_BYTES + (has_explicit_nonce(record) ? TLS_EXPLICIT_NONCE : 0);
}

size_t tls_record_suffix_bytes(const struct tls_record *record)
{
    return TLS_TAG_BYTES + (record->version == TLS_1_3 ? 1 : 0);
}

size_t tls_record_seal(struct tls_record *record, uint8_t *out, size_t plain_bytes,
                       enum tls_content content)
{
    const EVP_AEAD *aead = suites[record->suite].aead();
    struct scratch scratch;
    struct half half = half_to_use(record, DIRECTION_WRITE, &scratch);
    size_t prefix_bytes = tls_record_prefix_bytes(record);
    uint8_t *body = out + prefix_bytes;
    size_t body_bytes = plain_bytes;
    uint8_t nonce[TLS_NONCE_BYTES];
    uint8_t aad[AAD_BYTES_MAX];
    EVP_AEAD_CTX aead_ctx;

    must(!record->write_closed);
    must(plain_bytes <= TLS_PLAIN_BYTES_MAX);
    must(record->write_sequence < UINT64_MAX);

    out[0] = (uint8_t)content;
    if (record->version == TLS_1_3) {
        body[body_bytes++] = (uint8_t)content;
        out[0] = TLS_CONTENT_DATA;
    }
    size_t record_bytes = prefix_bytes + body_bytes + TLS_TAG_BYTES;
    smq_store_u16(out + 1, WIRE_VERSION);
    smq_store_u16(out + 3, (uint16_t)(record_bytes - TLS_HEADER_BYTES));

    bool explicit_nonce = has_explicit_nonce(record);
    if (explicit_nonce)
        store_u64(out + TLS_HEADER_BYTES, record->write_sequence);
    nonce_make(record, half, record->write_sequence, explicit_nonce ? out + TLS_HEADER_BYTES : NULL,
               nonce);
    size_t aad_bytes = aad_make(record, out, record->write_sequence, plain_bytes, aad);

    int ready = EVP_AEAD_CTX_init(&aead_ctx, aead, half.key, tls_key_bytes(record->suite),
                                  TLS_TAG_BYTES, NULL);
    must(ready == 1);
    size_t sealed_bytes = 0;
    int sealed = EVP_AEAD_CTX_seal(&aead_ctx, body, &sealed_bytes, body_bytes + TLS_TAG_BYTES,
                                   nonce, sizeof(nonce), body, body_bytes, aad, aad_bytes);
    must(sealed == 1);
    must(sealed_bytes == body_bytes + TLS_TAG_BYTES);
    EVP_AEAD_CTX_cleanup(&aead_ctx);
    OPENSSL_cleanse(&aead_ctx, sizeof(aead_ctx));
    half_done(record, &scratch);
    record->write_sequence++;
    return record_bytes;
}

bool tls_record_update_due(const struct tls_record *record)
{
    if (record->version != TLS_1_3)
        return false;
    return record->answer_due || record->write_sequence >= TLS_RECORDS_PER_KEY;
}

size_t tls_record_seal_update(struct tls_record *record, uint8_t *out)
{
    /* update_not_requested: the peer chooses its own time for its own key. */
    static const uint8_t message[KEY_UPDATE_LENGTH] = {KEY_UPDATE_TYPE, 0, 0, 1, 0};

    must(record->version == TLS_1_3);
    memcpy(out + tls_record_prefix_bytes(record), message, sizeof(message));
    size_t bytes = tls_record_seal(record, out, sizeof(message), TLS_CONTENT_HANDSHAKE);
    must(bytes == TLS_KEY_UPDATE_BYTES);
    half_advance(record, DIRECTION_WRITE);
    record->write_sequence = 0;
    record->answer_due = false;
    return bytes;
}

size_t tls_record_seal_alert(struct tls_record *record, uint8_t *out, enum tls_alert alert)
{
    uint8_t *message = out + tls_record_prefix_bytes(record);

    message[0] = alert == TLS_ALERT_CLOSE_NOTIFY ? TLS_ALERT_WARNING : TLS_ALERT_FATAL;
    message[1] = (uint8_t)alert;
    size_t bytes = tls_record_seal(record, out, 2, TLS_CONTENT_ALERT);
    record->write_closed = true;
    return bytes;
}
