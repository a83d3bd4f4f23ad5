/*
 * tls/ssl_failure.c — explain why BoringSSL refused. See tls/handshake.h, tls/failure.h.
 *
 * Thread: the one whose call failed; BoringSSL's error queue is the thread's.
 */
#include <openssl/err.h>

#include "tls/handshake.h"
#include "tls/peer.h"

/* BoringSSL's reasons, as we count them. Those not here are malformed or misplaced messages. */
static enum tls_fail kind_of_reason(int reason)
{
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return TLS_FAIL_PLAIN_TEXT;
    case SSL_R_WRONG_VERSION_NUMBER:
        return TLS_FAIL_GARBAGE;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_INAPPROPRIATE_FALLBACK:
        return TLS_FAIL_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUP:
    case SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS:
    case SSL_R_MISSING_KEY_SHARE:
        return TLS_FAIL_NO_SHARED_CIPHER;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return TLS_FAIL_CERTIFICATE_MISSING;
    case SSL_R_BAD_SIGNATURE:
    case SSL_R_UNSUPPORTED_ELLIPTIC_CURVE:
    case SSL_R_CANNOT_PARSE_LEAF_CERT:
        return TLS_FAIL_CERTIFICATE_BAD;
    case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
    case SSL_R_DATA_LENGTH_TOO_LONG:
        return TLS_FAIL_RECORD_OVERFLOW;
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
    case SSL_R_DECRYPTION_FAILED:
    case SSL_R_INVALID_OUTER_RECORD_TYPE:
        return TLS_FAIL_BAD_RECORD;
    case SSL_R_TOO_MANY_EMPTY_FRAGMENTS:
    case SSL_R_TOO_MANY_WARNING_ALERTS:
    case SSL_R_TOO_MANY_KEY_UPDATES:
        return TLS_FAIL_FLOOD;
    default:
        /* BoringSSL numbers an alert of the peer 1000 and up. */
        return reason >= SSL_AD_REASON_OFFSET ? TLS_FAIL_ALERT : TLS_FAIL_BAD_HANDSHAKE;
    }
}

/* The first error of the SSL code in BoringSSL's queue, which names the cause; what the crypto code
 * under it put there first is a detail. Without one, the first error of all. Empties the queue. */
static uint32_t take_error(void)
{
    uint32_t first = 0;
    uint32_t first_ssl = 0;

    for (uint32_t error; (error = ERR_get_error()) != 0;) {
        first = first != 0 ? first : error;
        if (ERR_GET_LIB(error) == ERR_LIB_SSL && first_ssl == 0)
            first_ssl = error;
    }
    return first_ssl != 0 ? first_ssl : first;
}

struct tls_failure tls_failure_of_ssl(const struct tls_handshake *handshake, bool established)
{
    uint32_t error = take_error();
    struct tls_failure failure = {TLS_FAIL_INTERNAL, handshake->alert, "an internal error"};

    if (handshake->fail != TLS_FAIL_NONE) {
        failure.kind = handshake->fail;
        failure.text = tls_fail_help(handshake->fail);
    } else if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
        int reason = ERR_GET_REASON(error);
        long verify = SSL_get_verify_result(handshake->ssl);

        failure.kind = kind_of_reason(reason);
        if (failure.kind == TLS_FAIL_BAD_HANDSHAKE && established)
            failure.kind = TLS_FAIL_UNEXPECTED;
        failure.text = ERR_reason_error_string(error);
        if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
            failure.kind = tls_fail_of_verify(verify);
            failure.text = X509_verify_cert_error_string(verify);
        }
    } else if (error != 0 && ERR_reason_error_string(error)) {
        /* An error of the crypto or X.509 code, met while reading what the peer sent. */
        failure.kind = TLS_FAIL_BAD_HANDSHAKE;
        failure.text = ERR_reason_error_string(error);
    }
    return failure;
}
