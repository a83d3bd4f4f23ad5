/*
 * client/challenge.h — the credentials for a broker that knows a shared key.
 *
 *      smq_open(&smq, &broker, 5000);                     the broker's Init brings smq.seed
 *      smq_challenge(smq.seed, mac, 6, hmac, NULL, answer);
 *      smq_connect(&smq, &(struct smq_identity){.uid = mac, .uid_bytes_count = 6,
 *                  .credentials = answer, .credentials_bytes_count = SMQ_CHALLENGE_CHARS}, 5000);
 *
 * The answer is HMAC-SHA256 over the seed (four bytes, big-endian) and the UID, as 64 lower-case
 * hex digits. The key is never sent. The HMAC itself is the caller's: mbedTLS, wolfSSL and many
 * chips have one; a key's bytes are those of the broker's key file, text as it stands there.
 *
 * Portable C99, no allocation; 280 bytes of stack.
 */
#ifndef SMQ_CHALLENGE_H
#define SMQ_CHALLENGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SMQ_CHALLENGE_CHARS 64u

/* HMAC-SHA256 of @data with the caller's key, into @digest. @context: as given. */
typedef void (*smq_hmac_sha256)(void *context, const void *data, size_t bytes_count,
                                uint8_t digest[32]);

/* @uid: @uid_bytes_count bytes, as smq_connect() will get it. @answer gets no terminator. */
void smq_challenge(uint32_t seed, const void *uid, uint8_t uid_bytes_count, smq_hmac_sha256 hmac,
                   void *context, char answer[SMQ_CHALLENGE_CHARS]);

#ifdef __cplusplus
}
#endif
#endif
