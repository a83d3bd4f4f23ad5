/* tls/ca_cert.c — see tls/ca_cert.h. Any thread. */
#include "tls/ca_cert.h"

#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define RSA_BITS 2048

EVP_PKEY *ca_key_ecc(void)
{
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *key = EVP_PKEY_new();

    if (ec && key && EC_KEY_generate_key(ec) == 1 && EVP_PKEY_set1_EC_KEY(key, ec) == 1) {
        EC_KEY_free(ec);
        return key;
    }
    EC_KEY_free(ec);
    EVP_PKEY_free(key);
    return NULL;
}

EVP_PKEY *ca_key_rsa(void)
{
    RSA *rsa = RSA_new();
    BIGNUM *exponent = BN_new();
    EVP_PKEY *key = EVP_PKEY_new();

    bool good = rsa && exponent && key && BN_set_word(exponent, RSA_F4) == 1 &&
                RSA_generate_key_ex(rsa, RSA_BITS, exponent, NULL) == 1 &&
                EVP_PKEY_set1_RSA(key, rsa) == 1;
    RSA_free(rsa);
    BN_free(exponent);
    if (good)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

/* A random positive number of exactly CA_SERIAL_BYTES bytes. */
static bool set_serial(X509 *certificate)
{
    uint8_t bytes[CA_SERIAL_BYTES];

    RAND_bytes(bytes, sizeof(bytes));
    bytes[0] = (uint8_t)((bytes[0] & 0x7F) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return good;
}

static bool set_times(const struct ca_request *request, X509 *certificate)
{
    static const int days[] = {
        [CA_ROOT] = CA_ROOT_DAYS,
        [CA_SERVER] = CA_SERVER_DAYS,
        [CA_DEVICE] = CA_DEVICE_DAYS,
    };
    time_t now = time(NULL);
    ASN1_TIME *begin = ASN1_TIME_adj(NULL, now, 0, -CA_BACKDATE_S);
    ASN1_TIME *end = ASN1_TIME_adj(NULL, now, days[request->kind], 0);
    int left_days = 0;
    int left_seconds = 0;
    bool good = begin && end && X509_set1_notBefore(certificate, begin) == 1 &&
                X509_set1_notAfter(certificate, end) == 1;

    if (good && request->issuer) {
        /* Nothing outlives the CA that vouches for it. */
        const ASN1_TIME *last = X509_get0_notAfter(request->issuer);
        good = ASN1_TIME_diff(&left_days, &left_seconds, last, end) == 1;
        if (good && (left_days > 0 || left_seconds > 0))
            good = X509_set1_notAfter(certificate, last) == 1;
    }
    ASN1_TIME_free(begin);
    ASN1_TIME_free(end);
    return good;
}

static bool set_names(const struct ca_request *request, X509 *certificate)
{
    X509_NAME *subject = X509_NAME_new();
    bool good = subject &&
                X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                           (const uint8_t *)request->common_name, -1, -1, 0) == 1;

    good = good && X509_set_subject_name(certificate, subject) == 1;
    good = good && X509_set_issuer_name(certificate, request->issuer
                                                         ? X509_get_subject_name(request->issuer)
                                                         : subject) == 1;
    X509_NAME_free(subject);
    return good;
}

static bool add_extension(X509V3_CTX *context, X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, context, nid, (char *)(uintptr_t)value);
    bool good = extension && X509_add_ext(certificate, extension, -1) == 1;

    X509_EXTENSION_free(extension);
    return good;
}

static bool set_extensions(const struct ca_request *request, X509 *certificate)
{
    static const struct {
        const char *constraints;
        const char *usage;
        const char *extended_usage;
    } of_kind[] = {
        [CA_ROOT] = {"critical,CA:TRUE,pathlen:0", "critical,keyCertSign,cRLSign", NULL},
        [CA_SERVER] = {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth"},
        [CA_DEVICE] = {"critical,CA:FALSE", "critical,digitalSignature", "clientAuth"},
    };
    X509V3_CTX context;
    X509 *issuer = request->issuer ? request->issuer : certificate;
    enum ca_kind kind = request->kind;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    bool good =
        add_extension(&context, certificate, NID_basic_constraints, of_kind[kind].constraints) &&
        add_extension(&context, certificate, NID_key_usage, of_kind[kind].usage) &&
        add_extension(&context, certificate, NID_subject_key_identifier, "hash") &&
        add_extension(&context, certificate, NID_authority_key_identifier, "keyid:always");
    if (good && of_kind[kind].extended_usage)
        good =
            add_extension(&context, certificate, NID_ext_key_usage, of_kind[kind].extended_usage);
    if (good && request->alt_names)
        good = add_extension(&context, certificate, NID_subject_alt_name, request->alt_names);
    return good;
}

X509 *ca_certificate(const struct ca_request *request)
{
    X509 *certificate = X509_new();
    EVP_PKEY *signing_key = request->issuer_key ? request->issuer_key : request->key;

    must((request->kind == CA_ROOT) == (request->issuer == NULL));
    bool good = certificate && X509_set_version(certificate, X509_VERSION_3) == 1 &&
                set_serial(certificate) && set_times(request, certificate) &&
                set_names(request, certificate) &&
                X509_set_pubkey(certificate, request->key) == 1 &&
                set_extensions(request, certificate) &&
                X509_sign(certificate, signing_key, EVP_sha256()) > 0;
    if (good)
        return certificate;
    X509_free(certificate);
    return NULL;
}

/* -- revocation lists -- */

static bool add_revoked(X509_CRL *crl, const struct ca_revoked *revoked)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    BIGNUM *number = BN_bin2bn(revoked->serial, sizeof(revoked->serial), NULL);
    ASN1_INTEGER *serial = number ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
    ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)revoked->revoked_s);

    bool good = entry && serial && when && X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
                X509_REVOKED_set_revocationDate(entry, when) == 1 &&
                X509_CRL_add0_revoked(crl, entry) == 1;
    if (!good)
        X509_REVOKED_free(entry);
    ASN1_TIME_free(when);
    ASN1_INTEGER_free(serial);
    BN_free(number);
    return good;
}

static bool add_crl_extensions(X509_CRL *crl, X509 *issuer, size_t revoked_count)
{
    X509V3_CTX context;
    ASN1_INTEGER *number = ASN1_INTEGER_new();

    /* The list only grows, so its length is a number that only grows (RFC 5280 §5.2.3). */
    bool good = number && ASN1_INTEGER_set_uint64(number, revoked_count + 1) == 1 &&
                X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1;
    ASN1_INTEGER_free(number);
    if (!good)
        return false;
    X509V3_set_ctx(&context, issuer, NULL, NULL, crl, 0);
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &context, NID_authority_key_identifier,
                                                     (char *)(uintptr_t) "keyid:always");
    good = extension && X509_CRL_add_ext(crl, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

X509_CRL *ca_crl(X509 *issuer, EVP_PKEY *issuer_key, const struct ca_revoked *revoked,
                 size_t revoked_count)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = ASN1_TIME_adj(NULL, time(NULL), 0, -CA_BACKDATE_S);

    bool good = crl && now && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
                X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) == 1 &&
                X509_CRL_set1_lastUpdate(crl, now) == 1 &&
                X509_CRL_set1_nextUpdate(crl, X509_get0_notAfter(issuer)) == 1;
    for (size_t i = 0; good && i < revoked_count; i++)
        good = add_revoked(crl, &revoked[i]);
    good = good && add_crl_extensions(crl, issuer, revoked_count) && X509_CRL_sort(crl) == 1 &&
           X509_CRL_sign(crl, issuer_key, EVP_sha256()) > 0;
    ASN1_TIME_free(now);
    if (good)
        return crl;
    X509_CRL_free(crl);
    return NULL;
}
