/* net/ws_accept.c — see net/ws_accept.h. */
#include "net/ws_accept.h"

#include <openssl/base64.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

void ws_accept(const char *key, char accept[WS_ACCEPT_BYTES + 1])
{
    static const char salt[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[64 + sizeof(salt)];
    uint8_t digest[SHA_DIGEST_LENGTH];
    int bytes_count = snprintf(text, sizeof(text), "%s%s", key, salt);

    must(bytes_count > 0 && (size_t)bytes_count < sizeof(text));
    SHA1((const uint8_t *)text, (size_t)bytes_count, digest);
    must(EVP_EncodeBlock((uint8_t *)accept, digest, sizeof(digest)) == WS_ACCEPT_BYTES);
}
