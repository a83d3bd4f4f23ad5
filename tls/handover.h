/*
 * tls/handover.h — take the keys out of an SSL object whose handshake is done. Inside tls/ only.
 *
 * BoringSSL reads exactly what it needs and keeps no byte of the next record, so the record layer
 * of tls/record.h can go on in the middle of a connection.
 */
#pragma once

#include <openssl/ssl.h>

#include "tls/record.h"

/* The AEAD of a cipher suite, by its IANA number. False: none of those we allow. */
MUST_CHECK bool tls_suite_of_cipher(uint16_t cipher, enum tls_suite *suite);

/* Fill in the record layer that goes on where @ssl stands, in memory of tls_record_state_bytes().
 * @ssl is left as it is; it must not seal or open anything any more. */
void tls_handover(struct tls_record *record, const SSL *ssl);
