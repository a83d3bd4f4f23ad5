/*
 * auth/pattern.c — patterns, compiled and matched. See auth/pattern.h. Pure; any thread.
 *
 * Compiled: a row of elements, each a byte PART_*; PART_TEXT is followed by a length and the bytes.
 * Matching goes back to the last '*' only: what an earlier one could take instead, the last one
 * can take as well.
 */
#include "auth/pattern.h"

#include <stdio.h>
#include <string.h>

enum part { PART_ANY = 1, PART_TEXT, PART_NAME, PART_UID };

/* One byte that stands for itself, after whatever is there already. */
static size_t put_byte(uint8_t *out, size_t at, size_t *text_at, uint8_t byte)
{
    if (*text_at == SIZE_MAX) {
        out[at++] = PART_TEXT;
        *text_at = at;
        out[at++] = 0;
    }
    out[*text_at]++;
    out[at++] = byte;
    return at;
}

size_t pattern_compile(struct span text, bool may_name, uint8_t *out, char *reason)
{
    size_t text_at = SIZE_MAX; /* where the length of the open PART_TEXT is; SIZE_MAX: none */
    size_t at = 0;

    if (text.bytes_count == 0 || text.bytes_count > PATTERN_TEXT_BYTES_MAX) {
        snprintf(reason, PATTERN_REASON_BYTES, "a pattern has 1 to %u bytes",
                 PATTERN_TEXT_BYTES_MAX);
        return 0;
    }
    for (size_t i = 0; i < text.bytes_count; i++) {
        uint8_t byte = text.data[i];

        if (byte == '*') {
            if (at == 0 || text_at != SIZE_MAX || out[at - 1] != PART_ANY)
                out[at++] = PART_ANY;
            text_at = SIZE_MAX;
            continue;
        }
        if (byte != '%') {
            at = put_byte(out, at, &text_at, byte);
            continue;
        }
        byte = ++i < text.bytes_count ? text.data[i] : 0;
        if (byte == '%' || byte == '*') {
            at = put_byte(out, at, &text_at, byte);
        } else if (may_name && (byte == 'u' || byte == 'i')) {
            out[at++] = byte == 'u' ? PART_NAME : PART_UID;
            text_at = SIZE_MAX;
        } else {
            snprintf(reason, PATTERN_REASON_BYTES,
                     "after '%%' comes %s%%%% or %%* for those characters",
                     may_name ? "u (the login's name) or i (the UID); " : "nothing here but ");
            return 0;
        }
    }
    return at;
}

/* The element at *at as the bytes it stands for; moves *at on. false: it stands for nothing. */
static bool part_bytes(struct span compiled, size_t *at, const struct identity *who,
                       struct span *bytes)
{
    switch ((enum part)compiled.data[(*at)++]) {
    case PART_TEXT:
        *bytes = span_of(compiled.data + *at + 1, compiled.data[*at]);
        *at += 1 + bytes->bytes_count;
        return true;
    case PART_NAME:
        *bytes = who->name;
        return who->login != LOGIN_ANONYMOUS;
    case PART_UID:
        *bytes = who->uid;
        return true;
    case PART_ANY:
        break;
    }
    must_never("PART_ANY is the matcher's own");
}

static bool begins_with(struct span text, size_t at, struct span part)
{
    return text.bytes_count - at >= part.bytes_count &&
           (part.bytes_count == 0 || memcmp(text.data + at, part.data, part.bytes_count) == 0);
}

bool pattern_match(struct span compiled, const struct identity *who, struct span text)
{
    size_t part_at = 0;
    size_t text_at = 0;
    size_t star_part_at = SIZE_MAX; /* what follows the last '*'; SIZE_MAX: there was none */
    size_t star_text_at = 0;        /* what it has taken so far ends here */

    for (;;) {
        bool is_stuck;

        if (part_at == compiled.bytes_count) {
            if (text_at == text.bytes_count)
                return true;
            is_stuck = true;
        } else if (compiled.data[part_at] == PART_ANY) {
            star_part_at = ++part_at;
            star_text_at = text_at;
            continue;
        } else {
            struct span part;

            if (!part_bytes(compiled, &part_at, who, &part))
                return false;
            is_stuck = !begins_with(text, text_at, part);
            text_at += is_stuck ? 0 : part.bytes_count;
        }
        if (!is_stuck)
            continue;
        if (star_part_at == SIZE_MAX || star_text_at == text.bytes_count)
            return false;
        part_at = star_part_at; /* the '*' takes one byte more */
        text_at = ++star_text_at;
    }
}
