/* tls/hello.c — read a ClientHello, choose a certificate. Pure; see tls/hello.h. Any thread. */
#include "tls/hello.h"

#include <string.h>
#include <strings.h>

#include "client/smq_wire.h"
#include "tls/limits.h"

/* Numbers of the IANA registry "TLS ExtensionType Values". */
enum extension {
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_SUPPORTED_GROUPS = 10,
    EXTENSION_SIGNATURE_ALGORITHMS = 13,
    EXTENSION_ALPN = 16,
    EXTENSION_SUPPORTED_VERSIONS = 43,
};

#define WIRE_TLS_1_3 0x0304u
#define GROUP_P256   23u

const char *tls_cert_name(enum tls_cert cert)
{
    switch (cert) {
    case TLS_CERT_NONE:
        return "none";
    case TLS_CERT_ECC:
        return "ecc";
    case TLS_CERT_RSA:
        return "rsa";
    }
    must(false && "an unknown kind of certificate");
}

/* Take @bytes_count from the front of @input. False: it is shorter. */
static bool take(struct span *input, size_t bytes_count, struct span *taken)
{
    if (input->bytes_count < bytes_count)
        return false;
    *taken = span_of(input->data, bytes_count);
    *input = span_skip(*input, bytes_count);
    return true;
}

/* Take a block with a length of @length_bytes (1 or 2) before it. */
static bool take_block(struct span *input, size_t length_bytes, struct span *block)
{
    struct span length;

    if (!take(input, length_bytes, &length))
        return false;
    return take(input, length_bytes == 1 ? length.data[0] : smq_load_u16(length.data), block);
}

/* The body of the first extension of this type; false: there is none. */
static bool find_extension(struct span extensions, enum extension wanted, struct span *body)
{
    struct span type;

    while (take(&extensions, 2, &type) && take_block(&extensions, 2, body)) {
        if (smq_load_u16(type.data) == wanted)
            return true;
    }
    return false;
}

/* Is @wanted in a list of u16? */
static bool has_u16(struct span list, uint16_t wanted)
{
    struct span item;

    while (take(&list, 2, &item)) {
        if (smq_load_u16(item.data) == wanted)
            return true;
    }
    return false;
}

static bool has_any_u16(struct span list, const uint16_t *wanted, size_t wanted_count)
{
    for (size_t i = 0; i < wanted_count; i++) {
        if (has_u16(list, wanted[i]))
            return true;
    }
    return false;
}

/* The list of u16 inside an extension, with a length of @length_bytes before it. */
static bool find_list(struct span extensions, enum extension wanted, size_t length_bytes,
                      struct span *list)
{
    struct span body;

    return find_extension(extensions, wanted, &body) && take_block(&body, length_bytes, list);
}

/* RFC 6066 §3: a list of names, of which only type 0 (host name) was ever defined. */
static struct span read_sni(struct span extensions)
{
    struct span list;
    struct span type;
    struct span name;

    if (find_list(extensions, EXTENSION_SERVER_NAME, 2, &list)) {
        while (take(&list, 1, &type) && take_block(&list, 2, &name)) {
            if (type.data[0] == 0 && name.bytes_count <= TLS_NAME_BYTES_MAX)
                return name;
        }
    }
    return span_of(NULL, 0);
}

/* What we can sign with an RSA key: PSS, and PKCS #1 in TLS 1.2 only. */
static const uint16_t signatures_rsa[] = {0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601};
#define SIGNATURES_RSA_PSS     3u /* the first of them */
#define SIGNATURE_ECDSA_SHA256 0x0403u

/* ECDHE with AES-128-GCM, AES-256-GCM, ChaCha20-Poly1305. */
static const uint16_t suites_1_2_ecdsa[] = {0xC02B, 0xC02C, 0xCCA9};
static const uint16_t suites_1_2_rsa[] = {0xC02F, 0xC030, 0xCCA8};

static void read_abilities(const struct tls_hello_parts *parts, struct tls_hello *hello)
{
    struct span signatures;
    struct span groups;
    bool has_signatures =
        find_list(parts->extensions, EXTENSION_SIGNATURE_ALGORITHMS, 2, &signatures);
    bool signs_ecc = has_signatures && has_u16(signatures, SIGNATURE_ECDSA_SHA256);

    if (hello->is_1_3) {
        hello->can_ecc = signs_ecc;
        hello->can_rsa =
            has_signatures && has_any_u16(signatures, signatures_rsa, SIGNATURES_RSA_PSS);
        return;
    }
    /* In TLS 1.2 the suite names the kind of certificate as well, and an ECDSA key must be on a
     * curve that the client listed. A client without extension 13 (old) gets RSA. */
    bool p256 = find_list(parts->extensions, EXTENSION_SUPPORTED_GROUPS, 2, &groups) &&
                has_u16(groups, GROUP_P256);
    hello->can_ecc =
        signs_ecc && p256 &&
        has_any_u16(parts->cipher_suites, suites_1_2_ecdsa, COUNT_OF(suites_1_2_ecdsa));
    hello->can_rsa =
        (!has_signatures || has_any_u16(signatures, signatures_rsa, COUNT_OF(signatures_rsa))) &&
        has_any_u16(parts->cipher_suites, suites_1_2_rsa, COUNT_OF(suites_1_2_rsa));
}

void tls_hello_read(const struct tls_hello_parts *parts, bool allow_1_3, struct tls_hello *hello)
{
    struct span versions;

    memset(hello, 0, sizeof(*hello));
    hello->is_1_3 = allow_1_3 &&
                    find_list(parts->extensions, EXTENSION_SUPPORTED_VERSIONS, 1, &versions) &&
                    has_u16(versions, WIRE_TLS_1_3);
    read_abilities(parts, hello);
    hello->sni = read_sni(parts->extensions);
    if (!find_list(parts->extensions, EXTENSION_ALPN, 2, &hello->alpn))
        hello->alpn = span_of(NULL, 0);
}

/* -- choosing -- */

static bool alpn_has(struct span list, const char *name)
{
    struct span protocol;

    while (take_block(&list, 1, &protocol)) {
        if (protocol.bytes_count == strlen(name) &&
            memcmp(protocol.data, name, protocol.bytes_count) == 0)
            return true;
    }
    return false;
}

static bool sni_is(struct span sni, const char *name)
{
    if (name[0] == '*' && name[1] == '.') {
        const uint8_t *dot = sni.bytes_count > 0 ? memchr(sni.data, '.', sni.bytes_count) : NULL;
        if (!dot || dot == sni.data)
            return false;
        sni = span_skip(sni, (size_t)(dot - sni.data));
        name++;
    }
    return sni.bytes_count == strlen(name) && sni.bytes_count > 0 &&
           strncasecmp((const char *)sni.data, name, sni.bytes_count) == 0;
}

static bool rule_matches(const struct tls_rule *rule, const struct tls_hello *hello)
{
    switch (rule->kind) {
    case TLS_RULE_ALPN:
        return alpn_has(hello->alpn, rule->name);
    case TLS_RULE_SNI:
        return sni_is(hello->sni, rule->name);
    }
    must(false && "an unknown kind of rule");
}

enum tls_cert tls_hello_choose(const struct tls_hello *hello, bool have_ecc, bool have_rsa,
                               const struct tls_rule *rules, size_t rule_count)
{
    must(have_ecc || have_rsa);
    must(rule_count <= TLS_RULES_MAX);
    if (!have_rsa)
        return TLS_CERT_ECC;
    if (!have_ecc)
        return TLS_CERT_RSA;
    if (hello->can_ecc != hello->can_rsa)
        return hello->can_ecc ? TLS_CERT_ECC : TLS_CERT_RSA;

    for (size_t i = 0; i < rule_count; i++) {
        if (rule_matches(&rules[i], hello))
            return rules[i].cert;
    }
    bool browser = alpn_has(hello->alpn, "http/1.1") || alpn_has(hello->alpn, "h2");
    return browser ? TLS_CERT_RSA : TLS_CERT_ECC;
}
