/* client/challenge.c — the shared key's answer. See client/challenge.h. */
#include "client/challenge.h"

void smq_challenge(uint32_t seed, const void *uid, uint8_t uid_bytes_count, smq_hmac_sha256 hmac,
                   void *context, char answer[SMQ_CHALLENGE_CHARS])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t message[4 + UINT8_MAX];
    uint8_t digest[32];

    message[0] = (uint8_t)(seed >> 24);
    message[1] = (uint8_t)(seed >> 16);
    message[2] = (uint8_t)(seed >> 8);
    message[3] = (uint8_t)seed;
    for (size_t i = 0; i < uid_bytes_count; i++)
        message[4 + i] = ((const uint8_t *)uid)[i];
    hmac(context, message, 4u + uid_bytes_count, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        answer[2 * i] = digits[digest[i] >> 4];
        answer[2 * i + 1] = digits[digest[i] & 15];
    }
}
