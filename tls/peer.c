/* tls/peer.c — read a client's certificate into a struct tls_peer. See tls/peer.h. */
#include "tls/peer.h"

#include <openssl/mem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "client/smq_wire.h"

uint64_t tls_name_hash(const X509_NAME *name)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;

    int done = X509_NAME_digest((X509_NAME *)(uintptr_t)name, EVP_sha256(), digest, &digest_bytes);
    must(done == 1 && digest_bytes == SHA256_DIGEST_LENGTH);
    return (uint64_t)smq_load_u32(digest) << 32 | smq_load_u32(digest + 4);
}

int64_t tls_time_s(const ASN1_TIME *when)
{
    int days = 0;
    int seconds = 0;

    if (!when || ASN1_TIME_diff(&days, &seconds, NULL, when) != 1)
        return 0; /* unreadable: it counts as long past */
    return (int64_t)time(NULL) + (int64_t)days * 86400 + seconds;
}

enum tls_fail tls_fail_of_verify(long verify_error)
{
    switch (verify_error) {
    case X509_V_OK:
        return TLS_FAIL_NONE;
    case X509_V_ERR_CERT_REVOKED:
        return TLS_FAIL_CERTIFICATE_REVOKED;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return TLS_FAIL_CERTIFICATE_EXPIRED;
    default:
        return TLS_FAIL_CERTIFICATE_BAD;
    }
}

/* May this string stand for a client? No control character, no 0 in the middle, not too long. */
static bool is_identity(const uint8_t *text, size_t bytes)
{
    if (bytes == 0 || bytes > TLS_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < 0x20 || text[i] == 0x7F)
            return false;
    }
    return true;
}

static size_t copy_identity(const ASN1_STRING *string, char out[TLS_NAME_BYTES_MAX + 1])
{
    const uint8_t *text = ASN1_STRING_get0_data(string);
    size_t bytes = (size_t)ASN1_STRING_length(string);

    if (!is_identity(text, bytes))
        return 0;
    memcpy(out, text, bytes);
    out[bytes] = 0;
    return bytes;
}

/* The first subject alternative name that is a text. 0: there is none. */
static size_t identity_of_san(X509 *certificate, char out[TLS_NAME_BYTES_MAX + 1])
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    size_t bytes = 0;

    for (size_t i = 0; names && bytes == 0 && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS || name->type == GEN_EMAIL || name->type == GEN_URI)
            bytes = copy_identity(name->d.ia5, out);
    }
    GENERAL_NAMES_free(names);
    return bytes;
}

/* The last CN, as UTF-8. 0: there is none. */
static size_t identity_of_cn(X509 *certificate, char out[TLS_NAME_BYTES_MAX + 1])
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = -1;

    for (int next; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;)
        at = next;
    if (at < 0)
        return 0;

    uint8_t *utf8 = NULL;
    size_t bytes = 0;
    int utf8_bytes =
        ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (utf8_bytes > 0 && is_identity(utf8, (size_t)utf8_bytes)) {
        bytes = (size_t)utf8_bytes;
        memcpy(out, utf8, bytes);
        out[bytes] = 0;
    }
    OPENSSL_free(utf8);
    return bytes;
}

static size_t allocated_bytes(size_t identity_bytes)
{
    return sizeof(struct tls_peer) + identity_bytes + 1;
}

struct tls_peer *tls_peer_read(struct mem *mem, X509 *certificate)
{
    char identity[TLS_NAME_BYTES_MAX + 1] = "";
    size_t identity_bytes = identity_of_san(certificate, identity);

    if (identity_bytes == 0)
        identity_bytes = identity_of_cn(certificate, identity);

    struct tls_peer *peer = mem_alloc_zero(mem, MEM_TLS, allocated_bytes(identity_bytes));
    if (!peer)
        return NULL;
    unsigned digest_bytes = 0;
    int digested = X509_digest(certificate, EVP_sha256(), peer->sha256, &digest_bytes);
    must(digested == 1 && digest_bytes == sizeof(peer->sha256));
    peer->issuer = tls_name_hash(X509_get_issuer_name(certificate));
    peer->not_after_s = tls_time_s(X509_get0_notAfter(certificate));

    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    size_t serial_bytes = min_size((size_t)ASN1_STRING_length(serial), TLS_SERIAL_BYTES_MAX);
    memcpy(peer->serial, ASN1_STRING_get0_data(serial), serial_bytes);
    peer->serial_bytes = (uint8_t)serial_bytes;
    peer->identity_bytes = (uint8_t)identity_bytes;
    memcpy(peer->identity, identity, identity_bytes + 1);
    return peer;
}

size_t tls_peer_bytes(const struct tls_peer *peer)
{
    return peer ? allocated_bytes(peer->identity_bytes) : 0;
}

void tls_peer_free(struct mem *mem, struct tls_peer *peer)
{
    mem_free(mem, MEM_TLS, peer, tls_peer_bytes(peer));
}
