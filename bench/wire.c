/*
 * bench/wire.c — what the protocols have in common: finding one, naming topics, reading a line.
 */
#include "bench/wire.h"

#include <stdarg.h>
#include <stdio.h>

static const struct wire_protocol *const protocols[] = {
    &wire_smq,
    &wire_redis,
    &wire_nats,
    &wire_mqtt,
};

const struct wire_protocol *wire_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(protocols); i++) {
        if (strcmp(protocols[i]->name, name) == 0)
            return protocols[i];
    }
    return NULL;
}

void wire_topic_name(struct wire_topic *topic, uint32_t run, uint32_t topic_index)
{
    int length = snprintf(topic->name, sizeof(topic->name), "b%u.%u", run, topic_index);

    must(length > 0 && (size_t)length < sizeof(topic->name));
    topic->name_bytes = (uint32_t)length;
}

uint32_t wire_topic_index(struct span name)
{
    const uint8_t *dot = memrchr(name.data, '.', name.bytes_count);
    uint64_t index = 0;

    if (dot == NULL || dot + 1 == name.data + name.bytes_count)
        return UINT32_MAX;
    for (const uint8_t *at = dot + 1; at < name.data + name.bytes_count; at++) {
        if (*at < '0' || *at > '9')
            return UINT32_MAX;
        index = index * 10 + (uint64_t)(*at - '0');
        if (index >= UINT32_MAX)
            return UINT32_MAX;
    }
    return (uint32_t)index;
}

void wire_refuse(struct wire_event *event, size_t used_bytes, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(event->reason, sizeof(event->reason), format, arguments);
    va_end(arguments);
    event->kind = WIRE_REFUSED;
    event->used_bytes = used_bytes;
}

struct span wire_line(struct span input)
{
    const uint8_t *end = input.bytes_count > 0 ? memchr(input.data, '\n', input.bytes_count) : NULL;

    if (end == NULL || end == input.data || end[-1] != '\r')
        return span_of(NULL, 0);
    return span_of(input.data, (size_t)(end - 1 - input.data));
}
