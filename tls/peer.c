/* tls/peer.c — read a client's certificate into a struct tls_peer. See tls/peer.h. */
#include "tls/peer.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
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

static bool is_text(const GENERAL_NAME *name)
{
    return name->type == GEN_DNS || name->type == GEN_EMAIL || name->type == GEN_URI;
}

/* A subject alternative name as text. 0: it is another kind, or no text that may stand there. */
static size_t text_of_san(const GENERAL_NAME *name, char out[TLS_NAME_BYTES_MAX + 1])
{
    if (is_text(name))
        return copy_identity(name->d.ia5, out);
    if (name->type != GEN_IPADD)
        return 0;
    int address_bytes = ASN1_STRING_length(name->d.iPAddress);
    int family = address_bytes == 4 ? AF_INET : address_bytes == 16 ? AF_INET6 : AF_UNSPEC;

    return inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), out, TLS_NAME_BYTES_MAX)
               ? strlen(out)
               : 0;
}

/* What is read of a certificate before its place is allocated. */
struct names {
    char identity[TLS_NAME_BYTES_MAX + 1];
    char issuer[TLS_NAME_BYTES_MAX + 1];
    char sans[TLS_SANS_BYTES_MAX];
    size_t identity_bytes;
    size_t issuer_bytes;
    size_t sans_bytes;
};

/* The subject alternative names, and the first that is a text as the identity. */
static void read_sans(X509 *certificate, struct names *names)
{
    GENERAL_NAMES *sans = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    for (size_t i = 0; sans && i < sk_GENERAL_NAME_num(sans); i++) {
        const GENERAL_NAME *san = sk_GENERAL_NAME_value(sans, i);
        char text[TLS_NAME_BYTES_MAX + 1];
        size_t bytes = text_of_san(san, text);

        if (bytes > 0 && is_text(san) && names->identity_bytes == 0) {
            memcpy(names->identity, text, bytes + 1);
            names->identity_bytes = bytes;
        }
        if (bytes > 0 && names->sans_bytes + bytes + 1 <= sizeof(names->sans)) {
            memcpy(names->sans + names->sans_bytes, text, bytes + 1);
            names->sans_bytes += bytes + 1;
        }
    }
    GENERAL_NAMES_free(sans);
}

static void read_issuer(X509 *certificate, struct names *names)
{
    BIO *text = BIO_new(BIO_s_mem());
    const uint8_t *bytes;
    size_t bytes_count;

    if (text &&
        X509_NAME_print_ex(text, X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253) >= 0 &&
        BIO_mem_contents(text, &bytes, &bytes_count) == 1) {
        names->issuer_bytes = min_size(bytes_count, TLS_NAME_BYTES_MAX);
        memcpy(names->issuer, bytes, names->issuer_bytes);
    }
    names->issuer[names->issuer_bytes] = '\0';
    BIO_free(text);
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

static size_t allocated_bytes(size_t identity_bytes, size_t issuer_bytes, size_t sans_bytes)
{
    return sizeof(struct tls_peer) + identity_bytes + 1 + issuer_bytes + 1 + sans_bytes;
}

struct tls_peer *tls_peer_read(struct mem *mem, X509 *certificate)
{
    struct names names = {0};

    read_sans(certificate, &names);
    if (names.identity_bytes == 0)
        names.identity_bytes = identity_of_cn(certificate, names.identity);
    read_issuer(certificate, &names);

    struct tls_peer *peer =
        mem_alloc_zero(mem, MEM_TLS,
                       allocated_bytes(names.identity_bytes, names.issuer_bytes, names.sans_bytes));
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
    peer->identity_bytes = (uint8_t)names.identity_bytes;
    peer->issuer_bytes = (uint8_t)names.issuer_bytes;
    peer->sans_bytes = (uint16_t)names.sans_bytes;
    char *at = memcpy(peer->identity, names.identity, names.identity_bytes + 1);
    at = memcpy(at + names.identity_bytes + 1, names.issuer, names.issuer_bytes + 1);
    memcpy(at + names.issuer_bytes + 1, names.sans, names.sans_bytes);
    return peer;
}

struct span tls_peer_issuer(const struct tls_peer *peer)
{
    return span_of(peer->identity + peer->identity_bytes + 1, peer->issuer_bytes);
}

struct span tls_peer_sans(const struct tls_peer *peer)
{
    const char *issuer = peer->identity + peer->identity_bytes + 1;

    return span_of(issuer + peer->issuer_bytes + 1, peer->sans_bytes);
}

size_t tls_peer_bytes(const struct tls_peer *peer)
{
    return peer ? allocated_bytes(peer->identity_bytes, peer->issuer_bytes, peer->sans_bytes) : 0;
}

void tls_peer_free(struct mem *mem, struct tls_peer *peer)
{
    mem_free(mem, MEM_TLS, peer, tls_peer_bytes(peer));
}
