/*
 * tests/fuzz/fuzz_tls_hello.c — any bytes as a ClientHello's parts: read and choose.
 *
 * Input: u8 flags, u8 length of the cipher suites, the suites, and the rest is the extensions.
 * Looks for: a step outside the input (each part stands in memory of exactly its size), and a
 * choice of a credential that is not there.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/exact.h"
#include "tls/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes_count);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes_count)
{
    static const struct tls_rule rules[] = {
        {TLS_RULE_SNI, TLS_CERT_RSA, "*.example.org"},
        {TLS_RULE_ALPN, TLS_CERT_ECC, "h2"},
        {TLS_RULE_SNI, TLS_CERT_ECC, "smq.example.net"},
    };
    static struct exact exact[2];
    struct tls_hello hello;

    if (bytes_count < 2)
        return 0;
    bool allow_1_3 = data[0] & 1;
    bool have_ecc = data[0] & 2;
    bool have_rsa = (data[0] & 4) || !have_ecc;
    size_t suites_bytes = min_size(data[1], bytes_count - 2);
    size_t extensions_bytes = bytes_count - 2 - suites_bytes;
    uint8_t *suites = exact_copy(&exact[0], data + 2, suites_bytes);
    uint8_t *extensions = exact_copy(&exact[1], data + 2 + suites_bytes, extensions_bytes);
    struct tls_hello_parts parts = {span_of(suites, suites_bytes),
                                    span_of(extensions, extensions_bytes)};

    tls_hello_read(&parts, allow_1_3, &hello);
    enum tls_cert cert = tls_hello_choose(&hello, have_ecc, have_rsa, rules, COUNT_OF(rules));
    must(cert == TLS_CERT_ECC ? have_ecc : have_rsa);
    must(!hello.is_1_3 || allow_1_3);
    exact_free(&exact[0]);
    exact_free(&exact[1]);
    return 0;
}
