/* cli/target.c — a destination as people write it; see cli/target.h. Thread: any. */
#include "cli/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool target_parse(const char *text, uint32_t *id, const char **name)
{
    static const char prefix[] = "topic:";
    char *end;

    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && value <= UINT32_MAX) {
        *id = (uint32_t)value;
        return true;
    }
    *name = strncmp(text, prefix, sizeof prefix - 1) == 0 ? text + sizeof prefix - 1 : text;
    return false;
}
