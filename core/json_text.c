/* core/json_text.c — see core/json_text.h. Pure. */
#include "core/json_text.h"

#include <stdio.h>

size_t json_put_escaped(char *out, struct span text)
{
    size_t used = 0;

    for (size_t i = 0; i < text.bytes_count; i++) {
        uint8_t byte = text.data[i];

        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\')
            out[used++] = (char)byte;
        else
            used += (size_t)sprintf(out + used, "\\u%04x", byte);
    }
    return used;
}
