/*
 * tests/unit/tls/test_record.c — mirrors tls/record.c.
 *
 * Goal:   every duty of the compact record layer, one by one, the refusals first.
 * Method: two record layers with each other's keys. "peer" is a client that may misbehave: it
 *         seals any inner content; "ours" is the one under test. That both agree with another
 *         implementation is proved elsewhere (test_conn.c, the s_client tests, the fuzz driver).
 */
#include "tls/record.h"

#include <openssl/aead.h>
#include <stdlib.h>

#include "client/smq_wire.h"
#include "tests/unit/tls/check.h"

#define BUFFER_BYTES (2 * TLS_RECORD_BYTES_MAX)

static struct tls_record *ours;
static struct tls_record *peer;
static uint8_t wire[BUFFER_BYTES];
static size_t wire_bytes;
static struct span data;
static struct tls_failure failure;

static void begin(enum tls_version version, enum tls_suite suite)
{
    static uint8_t secrets[2][TLS_SECRET_BYTES_MAX];
    struct tls_record_start start = {.version = version, .suite = suite};

    free(ours);
    free(peer);
    ours = malloc(tls_record_state_bytes(version, suite));
    peer = malloc(tls_record_state_bytes(version, suite));
    memset(secrets[0], 1, TLS_SECRET_BYTES_MAX);
    memset(secrets[1], 2, TLS_SECRET_BYTES_MAX);
    start.read_secret = start.read_key = start.read_iv = secrets[0];
    start.write_secret = start.write_key = start.write_iv = secrets[1];
    tls_record_init(ours, &start);
    start.read_secret = start.read_key = start.read_iv = secrets[1];
    start.write_secret = start.write_key = start.write_iv = secrets[0];
    tls_record_init(peer, &start);
    wire_bytes = 0;
}

/* Seal @bytes as they are, and then the content type; the record stands alone in wire. */
static void say(struct tls_record *who, const void *bytes, size_t bytes_count,
                enum tls_content content)
{
    memcpy(wire + tls_record_prefix_bytes(who), bytes, bytes_count);
    wire_bytes = tls_record_seal(who, wire, bytes_count, content);
}

static enum tls_opened open_at(struct tls_record *who)
{
    size_t record_bytes = 0;

    failure = (struct tls_failure){TLS_FAIL_NONE, 0, NULL};
    if (!tls_record_measure(who, span_of(wire, wire_bytes), &record_bytes, &failure))
        return TLS_OPENED_FAILED;
    CHECK_EQUAL(record_bytes, wire_bytes);
    return tls_record_open(who, wire, record_bytes, &data, &failure);
}

/* The peer says @bytes; what do we make of it? */
static enum tls_opened hear(const void *bytes, size_t bytes_count, enum tls_content content)
{
    say(peer, bytes, bytes_count, content);
    return open_at(ours);
}

#define REFUSED(opened, wanted_kind, wanted_alert)                                                 \
    do {                                                                                           \
        CHECK_EQUAL(opened, TLS_OPENED_FAILED);                                                    \
        CHECK_EQUAL(failure.kind, TLS_FAIL_##wanted_kind);                                         \
        CHECK_EQUAL(failure.alert, TLS_ALERT_##wanted_alert);                                      \
    } while (0)

static const uint8_t key_update[] = {24, 0, 0, 1, 0};
static const uint8_t key_update_ask[] = {24, 0, 0, 1, 1};
static const uint8_t close_notify[] = {1, 0};
static const uint8_t user_canceled[] = {1, 90};

static const struct kind {
    enum tls_version version;
    enum tls_suite suite;
} kinds[] = {
    {TLS_1_3, TLS_SUITE_AES_128_GCM}, {TLS_1_3, TLS_SUITE_AES_256_GCM},
    {TLS_1_3, TLS_SUITE_CHACHA20},    {TLS_1_2, TLS_SUITE_AES_128_GCM},
    {TLS_1_2, TLS_SUITE_AES_256_GCM}, {TLS_1_2, TLS_SUITE_CHACHA20},
};

static void begin_1_3(void)
{
    begin(TLS_1_3, TLS_SUITE_AES_128_GCM);
}

/* -- duty 1: KeyUpdate -- */

static void a_key_update_with_a_value_over_1_is_refused(void)
{
    begin_1_3();
    REFUSED(hear("\x18\0\0\1\2", 5, TLS_CONTENT_HANDSHAKE), UNEXPECTED, ILLEGAL_PARAMETER);
}

static void a_key_update_of_the_wrong_length_is_refused(void)
{
    begin_1_3();
    REFUSED(hear("\x18\0\0\2\0\0", 6, TLS_CONTENT_HANDSHAKE), UNEXPECTED, DECODE_ERROR);
    begin_1_3();
    REFUSED(hear("\x18\0\0\0", 4, TLS_CONTENT_HANDSHAKE), UNEXPECTED, DECODE_ERROR);
}

static void bytes_after_a_key_update_in_the_same_record_are_refused(void)
{
    begin_1_3();
    REFUSED(hear("\x18\0\0\1\0\x18\0\0\1\0", 10, TLS_CONTENT_HANDSHAKE), UNEXPECTED,
            UNEXPECTED_MESSAGE);
}

static void thirty_three_key_updates_without_data_are_refused(void)
{
    begin_1_3();
    for (unsigned i = 0; i < TLS_KEY_UPDATES_MAX; i++) {
        wire_bytes = tls_record_seal_update(peer, wire);
        CHECK_EQUAL(open_at(ours), TLS_OPENED_NOTHING);
    }
    wire_bytes = tls_record_seal_update(peer, wire);
    REFUSED(open_at(ours), FLOOD, UNEXPECTED_MESSAGE);
}

static void data_between_key_updates_starts_their_count_anew(void)
{
    begin_1_3();
    for (unsigned i = 0; i < 3 * TLS_KEY_UPDATES_MAX; i++) {
        wire_bytes = tls_record_seal_update(peer, wire);
        CHECK_EQUAL(open_at(ours), TLS_OPENED_NOTHING);
        CHECK_EQUAL(hear("x", 1, TLS_CONTENT_DATA), TLS_OPENED_DATA);
    }
}

static void a_key_update_changes_the_key_and_restarts_the_counter(void)
{
    begin_1_3();
    CHECK_EQUAL(hear("before", 6, TLS_CONTENT_DATA), TLS_OPENED_DATA);
    uint8_t old_keys[32];
    memcpy(old_keys, ours->keys, sizeof(old_keys));
    wire_bytes = tls_record_seal_update(peer, wire);
    CHECK_EQUAL(open_at(ours), TLS_OPENED_NOTHING);
    CHECK(memcmp(old_keys, ours->keys, sizeof(old_keys)) != 0);
    CHECK_EQUAL(ours->read_sequence, 0);
    CHECK_EQUAL(hear("after", 5, TLS_CONTENT_DATA), TLS_OPENED_DATA);
    CHECK(data.bytes_count == 5 && memcmp(data.data, "after", 5) == 0);
    CHECK_EQUAL(ours->read_sequence, 1);
    CHECK(!tls_record_update_due(ours));
}

static void data_under_the_old_key_after_a_key_update_is_refused(void)
{
    begin_1_3();
    CHECK_EQUAL(hear(key_update, sizeof(key_update), TLS_CONTENT_HANDSHAKE), TLS_OPENED_NOTHING);
    REFUSED(hear("old", 3, TLS_CONTENT_DATA), BAD_RECORD, BAD_RECORD_MAC);
}

static void a_key_update_that_asks_makes_ours_due_once(void)
{
    begin_1_3();
    CHECK_EQUAL(hear(key_update_ask, sizeof(key_update_ask), TLS_CONTENT_HANDSHAKE),
                TLS_OPENED_NOTHING);
    CHECK(tls_record_update_due(ours));
    wire_bytes = tls_record_seal_update(ours, wire);
    CHECK(!tls_record_update_due(ours));
    CHECK_EQUAL(open_at(peer), TLS_OPENED_NOTHING);
    CHECK(!tls_record_update_due(peer)); /* ours does not ask back */
    say(ours, "new key", 7, TLS_CONTENT_DATA);
    CHECK_EQUAL(open_at(peer), TLS_OPENED_DATA);
}

static void a_key_update_cut_across_records_is_put_together(void)
{
    begin_1_3();
    for (size_t i = 0; i < 4; i++)
        CHECK_EQUAL(hear(key_update_ask + i, 1, TLS_CONTENT_HANDSHAKE), TLS_OPENED_NOTHING);
    CHECK(!tls_record_update_due(ours));
    CHECK_EQUAL(hear(key_update_ask + 4, 1, TLS_CONTENT_HANDSHAKE), TLS_OPENED_NOTHING);
    CHECK(tls_record_update_due(ours));
}

static void data_in_the_middle_of_a_key_update_is_refused(void)
{
    begin_1_3();
    CHECK_EQUAL(hear(key_update, 3, TLS_CONTENT_HANDSHAKE), TLS_OPENED_NOTHING);
    REFUSED(hear("x", 1, TLS_CONTENT_DATA), UNEXPECTED, UNEXPECTED_MESSAGE);
}

/* -- duty 2: other messages -- */

static void every_other_handshake_message_is_refused(void)
{
    for (unsigned type = 0; type < 256; type++) {
        uint8_t message[] = {(uint8_t)type, 0, 0, 0};

        if (type == 24)
            continue;
        begin_1_3();
        REFUSED(hear(message, sizeof(message), TLS_CONTENT_HANDSHAKE), UNEXPECTED,
                UNEXPECTED_MESSAGE);
    }
}

static void every_other_inner_type_is_refused(void)
{
    for (unsigned type = 1; type < 256; type++) {
        if (type >= TLS_CONTENT_ALERT && type <= TLS_CONTENT_DATA)
            continue;
        begin_1_3();
        REFUSED(hear("\1", 1, (enum tls_content)type), UNEXPECTED, UNEXPECTED_MESSAGE);
    }
}

static void an_empty_handshake_record_is_refused(void)
{
    begin_1_3();
    REFUSED(hear("", 0, TLS_CONTENT_HANDSHAKE), UNEXPECTED, UNEXPECTED_MESSAGE);
}

/* -- duty 3: alerts -- */

static void an_alert_that_is_not_two_bytes_is_refused(void)
{
    begin_1_3();
    REFUSED(hear("\1", 1, TLS_CONTENT_ALERT), UNEXPECTED, DECODE_ERROR);
    begin_1_3();
    REFUSED(hear("\1\0\1", 3, TLS_CONTENT_ALERT), UNEXPECTED, DECODE_ERROR);
    begin_1_3();
    REFUSED(hear("", 0, TLS_CONTENT_ALERT), UNEXPECTED, DECODE_ERROR);
}

static void every_alert_but_two_is_fatal_at_any_level(void)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        for (unsigned alert = 1; alert < 256; alert++) {
            uint8_t message[] = {TLS_ALERT_WARNING, (uint8_t)alert};

            if (alert == TLS_ALERT_USER_CANCELED)
                message[0] = TLS_ALERT_FATAL;
            begin(kinds[k].version, kinds[k].suite);
            CHECK_EQUAL(hear(message, 2, TLS_CONTENT_ALERT), TLS_OPENED_FAILED);
            CHECK_EQUAL(failure.kind, TLS_FAIL_ALERT);
        }
    }
}

static void close_notify_ends_reading_but_not_writing(void)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        begin(kinds[k].version, kinds[k].suite);
        CHECK_EQUAL(hear(close_notify, 2, TLS_CONTENT_ALERT), TLS_OPENED_CLOSED);
        CHECK(ours->read_closed);
        say(ours, "last", 4, TLS_CONTENT_DATA);
        CHECK_EQUAL(open_at(peer), TLS_OPENED_DATA);
    }
}

static void user_canceled_is_ignored_but_not_for_ever(void)
{
    begin_1_3();
    for (unsigned i = 0; i < TLS_WARNINGS_MAX; i++)
        CHECK_EQUAL(hear(user_canceled, 2, TLS_CONTENT_ALERT), TLS_OPENED_NOTHING);
    REFUSED(hear(user_canceled, 2, TLS_CONTENT_ALERT), FLOOD, UNEXPECTED_MESSAGE);
}

static void data_between_warnings_starts_their_count_anew(void)
{
    begin_1_3();
    for (unsigned i = 0; i < 3 * TLS_WARNINGS_MAX; i++) {
        CHECK_EQUAL(hear(user_canceled, 2, TLS_CONTENT_ALERT), TLS_OPENED_NOTHING);
        CHECK_EQUAL(hear("x", 1, TLS_CONTENT_DATA), TLS_OPENED_DATA);
    }
}

static void a_flipped_bit_anywhere_is_refused(void)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        begin(kinds[k].version, kinds[k].suite);
        say(peer, "hello", 5, TLS_CONTENT_DATA);
        size_t bytes = wire_bytes;
        for (size_t bit = 0; bit < 8 * bytes; bit++) {
            if (bit / 8 == 3 || bit / 8 == 4)
                continue; /* the length: then it is another record */
            begin(kinds[k].version, kinds[k].suite);
            say(peer, "hello", 5, TLS_CONTENT_DATA);
            wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
            CHECK_EQUAL(open_at(ours), TLS_OPENED_FAILED);
        }
    }
}

static void a_bad_tag_is_bad_record_mac_and_the_end(void)
{
    begin_1_3();
    say(peer, "hello", 5, TLS_CONTENT_DATA);
    wire[wire_bytes - 1] ^= 1;
    REFUSED(open_at(ours), BAD_RECORD, BAD_RECORD_MAC);
    CHECK(ours->read_closed);
}

static void a_replayed_or_skipped_record_is_refused(void)
{
    uint8_t copy[64];

    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        begin(kinds[k].version, kinds[k].suite);
        say(peer, "one", 3, TLS_CONTENT_DATA);
        memcpy(copy, wire, wire_bytes);
        CHECK_EQUAL(open_at(ours), TLS_OPENED_DATA);
        memcpy(wire, copy, wire_bytes);
        REFUSED(open_at(ours), BAD_RECORD, BAD_RECORD_MAC);

        begin(kinds[k].version, kinds[k].suite);
        say(peer, "one", 3, TLS_CONTENT_DATA);
        say(peer, "two", 3, TLS_CONTENT_DATA);
        REFUSED(open_at(ours), BAD_RECORD, BAD_RECORD_MAC);
    }
}

/* -- duty 4: our goodbye -- */

static void close_notify_of_ours_is_understood_and_closes_writing(void)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        begin(kinds[k].version, kinds[k].suite);
        wire_bytes = tls_record_seal_alert(ours, wire, TLS_ALERT_CLOSE_NOTIFY);
        CHECK(wire_bytes <= TLS_ALERT_BYTES_MAX);
        CHECK(ours->write_closed);
        CHECK_EQUAL(open_at(peer), TLS_OPENED_CLOSED);
    }
}

/* -- duty 5: the inner type -- */

static void a_record_with_nothing_but_padding_is_refused(void)
{
    begin_1_3();
    REFUSED(hear("\0\0\0", 3, (enum tls_content)0), BAD_RECORD, UNEXPECTED_MESSAGE);
    begin_1_3();
    REFUSED(hear("", 0, (enum tls_content)0), BAD_RECORD, UNEXPECTED_MESSAGE);
}

static void padding_is_taken_off(void)
{
    begin_1_3();
    CHECK_EQUAL(hear("zeros\0\0\x17\0\0\0", 11, (enum tls_content)0), TLS_OPENED_DATA);
    CHECK_EQUAL(data.bytes_count, 7);
    CHECK(memcmp(data.data, "zeros\0\0", 7) == 0);
}

static void plaintext_of_2_to_the_14_is_taken(void)
{
    static uint8_t big[TLS_PLAIN_BYTES_MAX];
    size_t most = TLS_PLAIN_BYTES_MAX;

    memset(big, 'x', sizeof(big));
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        begin(kinds[k].version, kinds[k].suite);
        CHECK_EQUAL(hear(big, most, TLS_CONTENT_DATA), TLS_OPENED_DATA);
        CHECK_EQUAL(data.bytes_count, most);
    }
}

/* Seal more than tls_record_seal allows, as a hostile client would: AES-128-GCM by hand. */
static void say_too_much(size_t inner_bytes)
{
    EVP_AEAD_CTX aead;
    uint8_t nonce[TLS_NONCE_BYTES];
    size_t sealed;
    /* In TLS 1.3, AES-128-GCM: secret 32 | key 16 | iv 12, the writing half behind the other. */
    const uint8_t *key = peer->keys + 2 * 32 + 16 + 12;

    memcpy(nonce, key + 16, TLS_NONCE_BYTES);
    for (unsigned i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(peer->write_sequence >> (56 - 8 * i));
    peer->write_sequence++;
    memset(wire + TLS_HEADER_BYTES, TLS_CONTENT_DATA, inner_bytes);
    wire[0] = TLS_CONTENT_DATA;
    smq_store_u16(wire + 1, 0x0303);
    smq_store_u16(wire + 3, (uint16_t)(inner_bytes + TLS_TAG_BYTES));
    CHECK(EVP_AEAD_CTX_init(&aead, EVP_aead_aes_128_gcm(), key, 16, TLS_TAG_BYTES, NULL) == 1);
    CHECK(EVP_AEAD_CTX_seal(&aead, wire + TLS_HEADER_BYTES, &sealed, sizeof(wire), nonce,
                            sizeof(nonce), wire + TLS_HEADER_BYTES, inner_bytes, wire,
                            TLS_HEADER_BYTES) == 1);
    EVP_AEAD_CTX_cleanup(&aead);
    wire_bytes = TLS_HEADER_BYTES + sealed;
}

static void an_authentic_record_with_too_much_in_it_is_refused(void)
{
    begin_1_3();
    say_too_much(TLS_PLAIN_BYTES_MAX + 1); /* 2^14 and the type: as much as there may be */
    CHECK_EQUAL(open_at(ours), TLS_OPENED_DATA);
    say_too_much(TLS_PLAIN_BYTES_MAX + 2);
    REFUSED(open_at(ours), RECORD_OVERFLOW, RECORD_OVERFLOW);
}

static void a_header_that_claims_too_much_is_refused_before_its_bytes_come(void)
{
    size_t record_bytes;
    uint8_t header[] = {TLS_CONTENT_DATA, 3, 3, 0x41, 0x01};

    begin_1_3();
    CHECK(!tls_record_measure(ours, span_of(header, 5), &record_bytes, &failure));
    CHECK_EQUAL(failure.kind, TLS_FAIL_RECORD_OVERFLOW);
    header[4] = 0;
    CHECK(tls_record_measure(ours, span_of(header, 5), &record_bytes, &failure));
    CHECK_EQUAL(record_bytes, TLS_RECORD_BYTES_MAX);
}

static void a_header_of_the_wrong_type_or_version_is_refused(void)
{
    size_t record_bytes;

    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        begin(kinds[k].version, kinds[k].suite);
        for (unsigned type = 0; type < 256; type++) {
            uint8_t header[] = {(uint8_t)type, 3, 3, 0, 64};
            bool good = kinds[k].version == TLS_1_3 ? type == 23 : type >= 21 && type <= 23;

            CHECK_EQUAL(tls_record_measure(ours, span_of(header, 5), &record_bytes, &failure),
                        good);
        }
        CHECK(!tls_record_measure(ours, span_of("\x17\3\1\0\x40", 5), &record_bytes, &failure));
        CHECK_EQUAL(failure.alert, TLS_ALERT_PROTOCOL_VERSION);
        CHECK(!tls_record_measure(ours, span_of("GET /", 5), &record_bytes, &failure));
    }
}

static void a_header_asks_for_more_until_its_last_byte(void)
{
    size_t record_bytes = 1;

    begin_1_3();
    for (size_t i = 0; i < TLS_HEADER_BYTES; i++) {
        CHECK(tls_record_measure(ours, span_of("\x17\3\3\0\x40", i), &record_bytes, &failure));
        CHECK_EQUAL(record_bytes, 0);
    }
}

static void a_record_shorter_than_its_tag_is_refused(void)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        size_t least =
            kinds[k].version == TLS_1_2 ? TLS_EXPLICIT_NONCE + TLS_TAG_BYTES : TLS_TAG_BYTES;
        for (size_t body_bytes = 0; body_bytes < least; body_bytes++) {
            begin(kinds[k].version, kinds[k].suite);
            memset(wire, 0, sizeof(wire));
            memcpy(wire, "\x17\3\3", 3);
            smq_store_u16(wire + 3, (uint16_t)body_bytes);
            wire_bytes = TLS_HEADER_BYTES + body_bytes;
            REFUSED(open_at(ours), BAD_RECORD, BAD_RECORD_MAC);
        }
    }
}

static void empty_records_are_taken_but_not_for_ever(void)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        begin(kinds[k].version, kinds[k].suite);
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned i = 0; i < TLS_EMPTIES_MAX; i++)
                CHECK_EQUAL(hear("", 0, TLS_CONTENT_DATA), TLS_OPENED_NOTHING);
            if (round == 0)
                CHECK_EQUAL(hear("x", 1, TLS_CONTENT_DATA), TLS_OPENED_DATA);
        }
        REFUSED(hear("", 0, TLS_CONTENT_DATA), FLOOD, UNEXPECTED_MESSAGE);
    }
}

/* -- duty 6: nonces -- */

static void the_counter_moves_once_for_each_record(void)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        begin(kinds[k].version, kinds[k].suite);
        for (unsigned i = 0; i < 5; i++) {
            CHECK_EQUAL(ours->write_sequence, i);
            CHECK_EQUAL(peer->read_sequence, i);
            say(ours, "same", 4, TLS_CONTENT_DATA);
            CHECK_EQUAL(open_at(peer), TLS_OPENED_DATA);
        }
    }
}

static void two_records_of_one_plaintext_differ(void)
{
    uint8_t first[64];

    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        begin(kinds[k].version, kinds[k].suite);
        say(ours, "same", 4, TLS_CONTENT_DATA);
        memcpy(first, wire, wire_bytes);
        say(ours, "same", 4, TLS_CONTENT_DATA);
        CHECK(memcmp(first, wire, wire_bytes) != 0);
    }
}

static void a_key_update_is_due_at_2_to_the_24_records(void)
{
    begin_1_3();
    ours->write_sequence = TLS_RECORDS_PER_KEY - 1;
    peer->read_sequence = TLS_RECORDS_PER_KEY - 1;
    CHECK(!tls_record_update_due(ours));
    say(ours, "last", 4, TLS_CONTENT_DATA);
    CHECK_EQUAL(open_at(peer), TLS_OPENED_DATA);
    CHECK(tls_record_update_due(ours));
    wire_bytes = tls_record_seal_update(ours, wire);
    CHECK_EQUAL(open_at(peer), TLS_OPENED_NOTHING);
    CHECK(!tls_record_update_due(ours));
    CHECK_EQUAL(ours->write_sequence, 0);

    begin(TLS_1_2, TLS_SUITE_AES_128_GCM);
    ours->write_sequence = TLS_RECORDS_PER_KEY;
    CHECK(!tls_record_update_due(ours)); /* TLS 1.2 has none */
}

static void the_counter_goes_into_all_eight_bytes_of_the_nonce(void)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        begin(kinds[k].version, kinds[k].suite);
        ours->write_sequence = UINT64_C(0x0102030405060708);
        peer->read_sequence = UINT64_C(0x0102030405060708);
        say(ours, "far", 3, TLS_CONTENT_DATA);
        if (kinds[k].version == TLS_1_2 && kinds[k].suite != TLS_SUITE_CHACHA20)
            CHECK(memcmp(wire + TLS_HEADER_BYTES, "\1\2\3\4\5\6\7\x8", 8) == 0);
        CHECK_EQUAL(open_at(peer), TLS_OPENED_DATA);
        begin(kinds[k].version, kinds[k].suite);
        ours->write_sequence = UINT64_C(1) << 56;
        say(ours, "far", 3, TLS_CONTENT_DATA);
        CHECK_EQUAL(open_at(peer), TLS_OPENED_FAILED);
    }
}

/* -- duty 7: TLS 1.2 -- */

static void renegotiation_is_refused(void)
{
    begin(TLS_1_2, TLS_SUITE_AES_128_GCM);
    REFUSED(hear("\1\0\0\0", 4, TLS_CONTENT_HANDSHAKE), UNEXPECTED, NO_RENEGOTIATION);
    begin(TLS_1_2, TLS_SUITE_CHACHA20);
    REFUSED(hear(key_update, 5, TLS_CONTENT_HANDSHAKE), UNEXPECTED, NO_RENEGOTIATION);
}

static void the_type_of_a_1_2_record_is_authenticated(void)
{
    begin(TLS_1_2, TLS_SUITE_AES_128_GCM);
    say(peer, close_notify, 2, TLS_CONTENT_ALERT);
    wire[0] = TLS_CONTENT_DATA;
    REFUSED(open_at(ours), BAD_RECORD, BAD_RECORD_MAC);
}

/* -- duty 8: secrets -- */

static void nothing_of_the_keys_is_left_after_deinit(void)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        size_t bytes = tls_record_state_bytes(kinds[k].version, kinds[k].suite);

        begin(kinds[k].version, kinds[k].suite);
        tls_record_deinit(ours);
        for (size_t i = 0; i < bytes; i++)
            CHECK_EQUAL(((const uint8_t *)ours)[i], 0);
    }
}

/* -- and what it is for -- */

static void data_of_every_size_goes_both_ways(void)
{
    static uint8_t text[TLS_PLAIN_BYTES_MAX];
    static const size_t sizes[] = {1, 2, 15, 16, 17, 255, 256, 1000, 16383, 16384};

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 7);
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        begin(kinds[k].version, kinds[k].suite);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            CHECK_EQUAL(hear(text, sizes[i], TLS_CONTENT_DATA), TLS_OPENED_DATA);
            CHECK(data.bytes_count == sizes[i] && memcmp(data.data, text, sizes[i]) == 0);
            CHECK_EQUAL(wire_bytes,
                        tls_record_prefix_bytes(ours) + sizes[i] + tls_record_suffix_bytes(ours));
            say(ours, text, sizes[i], TLS_CONTENT_DATA);
            CHECK_EQUAL(open_at(peer), TLS_OPENED_DATA);
            CHECK(data.bytes_count == sizes[i] && memcmp(data.data, text, sizes[i]) == 0);
        }
    }
}

/* -- resting -- */

static void a_resting_record_speaks_and_hears_as_before(void)
{
    static const char text[] = "good night";

    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        if (kinds[k].version != TLS_1_3)
            continue;
        begin(kinds[k].version, kinds[k].suite);
        for (int round = 0; round < 6; round++) {
            if (round == 1 || round == 4)
                tls_record_rest(ours);
            if (round == 3)
                tls_record_wake(ours);
            CHECK_EQUAL(hear(text, sizeof(text), TLS_CONTENT_DATA), TLS_OPENED_DATA);
            CHECK(memcmp(data.data, text, sizeof(text)) == 0);
            say(ours, text, sizeof(text), TLS_CONTENT_DATA);
            CHECK_EQUAL(open_at(peer), TLS_OPENED_DATA);
            CHECK(memcmp(data.data, text, sizeof(text)) == 0);
        }
    }
}

static void the_keys_change_while_it_rests(void)
{
    for (int waking = 0; waking < 2; waking++) {
        begin_1_3();
        tls_record_rest(ours);
        say(peer, key_update_ask, sizeof(key_update_ask), TLS_CONTENT_HANDSHAKE);
        CHECK_EQUAL(open_at(ours), TLS_OPENED_NOTHING);
        /* The peer turns its own key, as it does when it seals an update. */
        uint8_t unsent[TLS_KEY_UPDATE_BYTES];
        (void)tls_record_seal_update(peer, unsent);
        CHECK(tls_record_update_due(ours));
        wire_bytes = tls_record_seal_update(ours, wire);
        CHECK_EQUAL(open_at(peer), TLS_OPENED_NOTHING);
        if (waking)
            tls_record_wake(ours);
        CHECK_EQUAL(hear("new", 3, TLS_CONTENT_DATA), TLS_OPENED_DATA);
        say(ours, "new", 3, TLS_CONTENT_DATA);
        CHECK_EQUAL(open_at(peer), TLS_OPENED_DATA);
    }
}

static void what_can_be_derived_is_gone_while_it_rests(void)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        size_t bytes = tls_record_state_bytes(kinds[k].version, kinds[k].suite);

        if (kinds[k].version != TLS_1_3)
            continue;
        begin(kinds[k].version, kinds[k].suite);
        CHECK_EQUAL(tls_record_bytes(ours), bytes);
        tls_record_rest(ours);
        CHECK_EQUAL(tls_record_bytes(ours), tls_record_resting_bytes(kinds[k].suite));
        for (size_t i = tls_record_bytes(ours); i < bytes; i++)
            CHECK_EQUAL(((const uint8_t *)ours)[i], 0);
    }
}

static void who_is_busy_does_not_rest_for_long(void)
{
    begin_1_3();
    CHECK(!tls_record_is_restless(ours));
    tls_record_rest(ours);
    for (unsigned i = 0; i < TLS_DERIVED_MAX; i++) {
        CHECK(!tls_record_is_restless(ours));
        CHECK_EQUAL(hear("again", 5, TLS_CONTENT_DATA), TLS_OPENED_DATA);
    }
    CHECK(tls_record_is_restless(ours));
    for (unsigned i = 0; i < 300; i++) /* the count does not begin anew */
        CHECK_EQUAL(hear("again", 5, TLS_CONTENT_DATA), TLS_OPENED_DATA);
    CHECK(tls_record_is_restless(ours));
    tls_record_wake(ours);
    CHECK(!tls_record_is_restless(ours));
}

static void a_connection_of_the_usual_kind_takes_at_most_144_bytes(void)
{
    CHECK(tls_record_state_bytes(TLS_1_3, TLS_SUITE_AES_128_GCM) <= 144);
    CHECK(tls_record_state_bytes(TLS_1_2, TLS_SUITE_AES_128_GCM) <= 64);
    CHECK(tls_record_resting_bytes(TLS_SUITE_AES_128_GCM) <= 88);
    CHECK(tls_record_resting_bytes(TLS_SUITE_AES_256_GCM) <= 120);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_key_update_with_a_value_over_1_is_refused),
        CHECK_TEST(a_key_update_of_the_wrong_length_is_refused),
        CHECK_TEST(bytes_after_a_key_update_in_the_same_record_are_refused),
        CHECK_TEST(thirty_three_key_updates_without_data_are_refused),
        CHECK_TEST(data_between_key_updates_starts_their_count_anew),
        CHECK_TEST(a_key_update_changes_the_key_and_restarts_the_counter),
        CHECK_TEST(data_under_the_old_key_after_a_key_update_is_refused),
        CHECK_TEST(a_key_update_that_asks_makes_ours_due_once),
        CHECK_TEST(a_key_update_cut_across_records_is_put_together),
        CHECK_TEST(data_in_the_middle_of_a_key_update_is_refused),
        CHECK_TEST(every_other_handshake_message_is_refused),
        CHECK_TEST(every_other_inner_type_is_refused),
        CHECK_TEST(an_empty_handshake_record_is_refused),
        CHECK_TEST(an_alert_that_is_not_two_bytes_is_refused),
        CHECK_TEST(every_alert_but_two_is_fatal_at_any_level),
        CHECK_TEST(close_notify_ends_reading_but_not_writing),
        CHECK_TEST(user_canceled_is_ignored_but_not_for_ever),
        CHECK_TEST(data_between_warnings_starts_their_count_anew),
        CHECK_TEST(a_flipped_bit_anywhere_is_refused),
        CHECK_TEST(a_bad_tag_is_bad_record_mac_and_the_end),
        CHECK_TEST(a_replayed_or_skipped_record_is_refused),
        CHECK_TEST(close_notify_of_ours_is_understood_and_closes_writing),
        CHECK_TEST(a_record_with_nothing_but_padding_is_refused),
        CHECK_TEST(padding_is_taken_off),
        CHECK_TEST(plaintext_of_2_to_the_14_is_taken),
        CHECK_TEST(an_authentic_record_with_too_much_in_it_is_refused),
        CHECK_TEST(a_header_that_claims_too_much_is_refused_before_its_bytes_come),
        CHECK_TEST(a_header_of_the_wrong_type_or_version_is_refused),
        CHECK_TEST(a_header_asks_for_more_until_its_last_byte),
        CHECK_TEST(a_record_shorter_than_its_tag_is_refused),
        CHECK_TEST(empty_records_are_taken_but_not_for_ever),
        CHECK_TEST(the_counter_moves_once_for_each_record),
        CHECK_TEST(two_records_of_one_plaintext_differ),
        CHECK_TEST(a_key_update_is_due_at_2_to_the_24_records),
        CHECK_TEST(the_counter_goes_into_all_eight_bytes_of_the_nonce),
        CHECK_TEST(renegotiation_is_refused),
        CHECK_TEST(the_type_of_a_1_2_record_is_authenticated),
        CHECK_TEST(nothing_of_the_keys_is_left_after_deinit),
        CHECK_TEST(data_of_every_size_goes_both_ways),
        CHECK_TEST(a_resting_record_speaks_and_hears_as_before),
        CHECK_TEST(the_keys_change_while_it_rests),
        CHECK_TEST(what_can_be_derived_is_gone_while_it_rests),
        CHECK_TEST(who_is_busy_does_not_rest_for_long),
        CHECK_TEST(a_connection_of_the_usual_kind_takes_at_most_144_bytes),
    };

    return check_main(tests, COUNT_OF(tests), argc, argv);
}
