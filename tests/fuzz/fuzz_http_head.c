/*
 * tests/fuzz/fuzz_http_head.c — the head of any request.
 *
 * The first byte says in which pieces it comes. Beyond not crashing: the pieces get the verdict
 * the whole gets; a head ends with a blank line, within its limit; the path is a string with no
 * query.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "net/http_head.h"
#include "tests/fuzz/exact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_done(struct span input, const struct http_head *head)
{
    must(head->head_bytes >= 2 && head->head_bytes <= input.bytes_count);
    must(head->head_bytes <= LIMIT_HTTP_HEAD_BYTES);
    must(input.data[head->head_bytes - 1] == '\n');
    must(memchr(head->path, '\0', sizeof(head->path)));
    must(!strchr(head->path, '?'));
    must(memchr(head->host, '\0', sizeof(head->host)));
    must(memchr(head->origin, '\0', sizeof(head->origin)));
    must(memchr(head->ws_version, '\0', sizeof(head->ws_version)));
    must(strlen(head->ws_key) == 0 || strlen(head->ws_key) == HTTP_WS_KEY_BYTES);
}

static enum http_head_result parse_in_pieces(struct span input, size_t piece_bytes,
                                             struct http_head *head)
{
    size_t seen_bytes = 0;

    for (;;) {
        size_t bytes_count = min_size(seen_bytes + piece_bytes, input.bytes_count);
        enum http_head_result result =
            http_head_parse(span_of(input.data, bytes_count), seen_bytes, head);

        if (result != HTTP_HEAD_NEED_MORE || bytes_count == input.bytes_count)
            return result;
        seen_bytes = bytes_count;
    }
}

static void parse_both_ways(struct span input, size_t piece_bytes)
{
    struct http_head whole, pieces;
    enum http_head_result result = http_head_parse(input, 0, &whole);

    must(parse_in_pieces(input, piece_bytes, &pieces) == result);
    if (result != HTTP_HEAD_DONE)
        return;
    check_done(input, &whole);
    check_done(input, &pieces);
    must(pieces.head_bytes == whole.head_bytes && pieces.body_bytes == whole.body_bytes);
    must(strcmp(pieces.path, whole.path) == 0 && strcmp(pieces.origin, whole.origin) == 0);
    must(pieces.is_smq == whole.is_smq && pieces.wants_response == whole.wants_response);
    must(pieces.wants_ws == whole.wants_ws && pieces.keeps_alive == whole.keeps_alive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct exact exact;

    if (bytes < 1)
        return 0;
    parse_both_ways(span_of(exact_copy(&exact, data + 1, bytes - 1), bytes - 1), 1u + data[0]);
    exact_free(&exact);
    return 0;
}
