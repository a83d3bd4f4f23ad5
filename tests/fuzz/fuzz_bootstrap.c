/*
 * tests/fuzz/fuzz_bootstrap.c — the head of any request.
 *
 * The first byte says in which pieces it comes. Beyond not crashing: the pieces get the verdict
 * the whole gets; a head ends with a blank line, within its limit; the path is a string with no
 * query.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "net/bootstrap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_done(struct span input, const struct bootstrap *bootstrap, size_t head_bytes)
{
    must(head_bytes >= 2 && head_bytes <= input.bytes_count);
    must(head_bytes <= LIMIT_HTTP_HEAD_BYTES);
    must(input.data[head_bytes - 1] == '\n');
    must(memchr(bootstrap->path, '\0', sizeof(bootstrap->path)));
    must(!strchr(bootstrap->path, '?'));
}

static enum bootstrap_result parse_in_pieces(struct span input, size_t piece_bytes,
                                             struct bootstrap *bootstrap, size_t *head_bytes)
{
    size_t seen_bytes = 0;

    for (;;) {
        size_t bytes_count = min_size(seen_bytes + piece_bytes, input.bytes_count);
        enum bootstrap_result result =
            bootstrap_parse(span_of(input.data, bytes_count), seen_bytes, bootstrap, head_bytes);

        if (result != BOOTSTRAP_NEED_MORE || bytes_count == input.bytes_count)
            return result;
        seen_bytes = bytes_count;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct bootstrap whole, pieces;
    size_t whole_bytes = 0;
    size_t pieces_bytes = 0;

    if (bytes < 1)
        return 0;
    struct span input = span_of(data + 1, bytes - 1);
    enum bootstrap_result result = bootstrap_parse(input, 0, &whole, &whole_bytes);

    must(parse_in_pieces(input, 1u + data[0], &pieces, &pieces_bytes) == result);
    if (result != BOOTSTRAP_DONE)
        return 0;
    check_done(input, &whole, whole_bytes);
    must(pieces_bytes == whole_bytes);
    must(strcmp(pieces.path, whole.path) == 0);
    must(pieces.is_smq == whole.is_smq && pieces.wants_response == whole.wants_response);
    return 0;
}
