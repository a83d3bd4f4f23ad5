/* tls/handover.c — from an SSL object to bare keys. See tls/handover.h. Thread: the owner of @ssl.
 */
#include "tls/handover.h"

#include <openssl/mem.h>

/* A span over C++'s bssl::Span<const uint8_t>, which is a pointer and a length. */
struct boring_span {
    const uint8_t *data;
    size_t bytes_count;
};

/* bssl::SSL_get_traffic_secrets is exported, but declared for C++ only. Naming its symbol here
 * keeps a C++ compiler and its runtime out of the broker. */
extern bool
get_traffic_secrets(const SSL *ssl, struct boring_span *read, struct boring_span *write) __asm__(
    "_ZN4bssl23SSL_get_traffic_secretsEPK6ssl_stPNS_4SpanIKhEES6_");

bool tls_suite_of_cipher(uint16_t cipher, enum tls_suite *suite)
{
    switch (cipher) {
    case 0x1301: /* TLS_AES_128_GCM_SHA256 */
    case 0xC02B: /* ECDHE_ECDSA_AES_128_GCM */
    case 0xC02F: /* ECDHE_RSA_AES_128_GCM */
        *suite = TLS_SUITE_AES_128_GCM;
        return true;
    case 0x1302:
    case 0xC02C:
    case 0xC030:
        *suite = TLS_SUITE_AES_256_GCM;
        return true;
    case 0x1303:
    case 0xCCA9:
    case 0xCCA8:
        *suite = TLS_SUITE_CHACHA20;
        return true;
    default:
        return false;
    }
}

/* The start of a record layer from a TLS 1.2 session: its key block (RFC 5246 §6.3). */
static void start_1_2(const SSL *ssl, struct tls_record_start *start, uint8_t *block,
                      size_t block_bytes_max)
{
    size_t key_bytes = tls_key_bytes(start->suite);
    size_t iv_bytes = tls_iv_bytes(TLS_1_2, start->suite);
    size_t block_bytes = SSL_get_key_block_len(ssl);

    must(block_bytes == 2 * (key_bytes + iv_bytes) && block_bytes <= block_bytes_max);
    int made = SSL_generate_key_block(ssl, block, block_bytes);
    must(made == 1);
    /* The client's write key first: what we read with. */
    start->read_key = block;
    start->write_key = block + key_bytes;
    start->read_iv = block + 2 * key_bytes;
    start->write_iv = block + 2 * key_bytes + iv_bytes;
}

void tls_handover(struct tls_record *record, const SSL *ssl)
{
    struct boring_span read;
    struct boring_span write;
    uint8_t block[2 * (TLS_KEY_BYTES_MAX + TLS_NONCE_BYTES)];
    struct tls_record_start start = {
        .version = SSL_version(ssl) == TLS1_3_VERSION ? TLS_1_3 : TLS_1_2,
        .read_sequence = SSL_get_read_sequence(ssl),
        .write_sequence = SSL_get_write_sequence(ssl),
    };

    bool known =
        tls_suite_of_cipher(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)), &start.suite);
    must(known); /* tls/context.c allows no other */
    if (start.version == TLS_1_3) {
        bool got = get_traffic_secrets(ssl, &read, &write);
        must(got && read.bytes_count == tls_secret_bytes(start.suite));
        start.read_secret = read.data;
        start.write_secret = write.data;
    } else {
        start_1_2(ssl, &start, block, sizeof(block));
    }
    tls_record_init(record, &start);
    OPENSSL_cleanse(block, sizeof(block));
}
