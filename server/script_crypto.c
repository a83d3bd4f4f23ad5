/* server/script_crypto.c — see server/script_crypto.h. Any thread: nothing is kept. */
#include "server/script_crypto.h"

#include <openssl/digest.h>
#include <openssl/hmac.h>
#include <string.h>

static const EVP_MD *algorithm_of(const char *name)
{
    static const struct {
        const char *name;
        const EVP_MD *(*get)(void);
    } algorithms[] = {{"md5", EVP_md5},       {"sha1", EVP_sha1},     {"sha224", EVP_sha224},
                      {"sha256", EVP_sha256}, {"sha384", EVP_sha384}, {"sha512", EVP_sha512}};

    for (uint32_t i = 0; i < COUNT_OF(algorithms); i++)
        if (strcmp(name, algorithms[i].name) == 0)
            return algorithms[i].get();
    return NULL;
}

static size_t hash(const char *algorithm, struct span key, struct span data, uint8_t *digest)
{
    const EVP_MD *md = algorithm_of(algorithm);
    unsigned bytes_count = 0;

    static_assert(EVP_MAX_MD_SIZE <= SCRIPT_DIGEST_BYTES_MAX, "all of them fit");
    if (!md)
        return 0;
    if (key.data)
        return HMAC(md, key.data, key.bytes_count, data.data, data.bytes_count, digest,
                    &bytes_count)
                   ? bytes_count
                   : 0;
    return EVP_Digest(data.data, data.bytes_count, digest, &bytes_count, md, NULL) ? bytes_count
                                                                                   : 0;
}

const struct script_crypto script_crypto = {.hash = hash};
