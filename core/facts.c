/* core/facts.c — see core/facts.h: a fixed part, then each span with its length in front. */
#include "core/facts.h"

#include <string.h>

#include "client/smq_wire.h"

#define FIXED_BYTES 5u /* the seed, and one flag */

/* Each span of @facts, one after the other; NULL behind the last one. */
static struct span *span_at(struct facts *facts, uint32_t index)
{
    struct span *spans[] = {&facts->credentials, &facts->address,     &facts->head,
                            &facts->cert_name,   &facts->cert_serial, &facts->cert_sha256,
                            &facts->cert_issuer, &facts->cert_sans};

    return index < COUNT_OF(spans) ? spans[index] : NULL;
}

size_t facts_bytes(const struct facts *facts)
{
    struct facts copy = *facts;
    size_t bytes_count = FIXED_BYTES;
    const struct span *span;

    for (uint32_t i = 0; (span = span_at(&copy, i)) != NULL; i++)
        bytes_count += sizeof(uint32_t) + span->bytes_count;
    return bytes_count;
}

void facts_write(const struct facts *facts, uint8_t *out)
{
    struct facts copy = *facts;
    const struct span *span;

    smq_store_u32(out, facts->seed);
    out[4] = facts->is_secure;
    out += FIXED_BYTES;
    for (uint32_t i = 0; (span = span_at(&copy, i)) != NULL; i++) {
        smq_store_u32(out, (uint32_t)span->bytes_count);
        out += sizeof(uint32_t);
        if (span->bytes_count > 0)
            memcpy(out, span->data, span->bytes_count);
        out += span->bytes_count;
    }
}

struct facts facts_read(struct span bytes)
{
    struct facts facts = {0};
    struct span *span;

    must(bytes.bytes_count >= FIXED_BYTES);
    facts.seed = smq_load_u32(bytes.data);
    facts.is_secure = bytes.data[4] != 0;
    bytes = span_skip(bytes, FIXED_BYTES);
    for (uint32_t i = 0; (span = span_at(&facts, i)) != NULL; i++) {
        must(bytes.bytes_count >= sizeof(uint32_t));
        size_t bytes_count = smq_load_u32(bytes.data);

        bytes = span_skip(bytes, sizeof(uint32_t));
        must(bytes.bytes_count >= bytes_count);
        *span = span_of(bytes.data, bytes_count);
        bytes = span_skip(bytes, bytes_count);
    }
    return facts;
}
