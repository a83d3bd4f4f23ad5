/* cli/print.c — messages on standard output; see cli/print.h. Thread: main. */
#include "cli/print.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Length of the UTF-8 character at @data, or 0 when it is none (RFC 3629 §4: no overlong forms,
 * no surrogates, nothing above U+10FFFF).
 */
static size_t utf8_bytes(const uint8_t *data, size_t bytes_count)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = data[0];
    size_t length = first < 0x80 ? 1 : first < 0xC0 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    uint32_t code = first;

    if (length <= 1)
        return length;
    if (first > 0xF4 || length > bytes_count)
        return 0;
    code &= 0x7Fu >> length;
    for (size_t i = 1; i < length; i++) {
        if ((data[i] & 0xC0) != 0x80)
            return 0;
        code = (code << 6) | (data[i] & 0x3Fu);
    }
    if (code < smallest[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return 0;
    return length;
}

bool is_printable(const uint8_t *data, size_t bytes_count)
{
    for (size_t i = 0; i < bytes_count;) {
        size_t length = utf8_bytes(data + i, bytes_count - i);

        if (length == 0 || data[i] == 0x7F)
            return false;
        if (data[i] < ' ' && data[i] != '\t' && data[i] != '\n' &&
            !(data[i] == '\r' && i + 1 < bytes_count && data[i + 1] == '\n'))
            return false;
        /* U+0080..U+009F are control characters too: some terminals obey them. */
        if (data[i] == 0xC2 && data[i + 1] < 0xA0)
            return false;
        i += length;
    }
    return true;
}

static void hex_of(char *room, const uint8_t *data, size_t bytes_count)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes_count; i++) {
        room[2 * i] = digits[data[i] >> 4];
        room[2 * i + 1] = digits[data[i] & 15];
    }
    room[2 * bytes_count] = '\0';
}

/* Everything so far reaches the reader now: `smq sub | grep` should not lag. */
static enum exit_code flush_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_OK;
    if (errno == EPIPE) /* the reader has had enough; that is its right */
        return EXIT_IO;
    return complain(EXIT_IO, "cannot write the output: %s", strerror(errno));
}

static void print_payload(const struct smq_event *event)
{
    char hex[2 * SMQ_FRAME_BYTES_MAX + 1];

    if (is_printable(event->data, event->bytes_count)) {
        fwrite(event->data, 1, event->bytes_count, stdout);
    } else {
        hex_of(hex, event->data, event->bytes_count);
        printf("0x%s", hex);
    }
    putchar('\n');
}

static enum exit_code print_json(json_t *object)
{
    if (object == NULL)
        return complain(EXIT_SOFTWARE, "cannot say this as JSON: out of memory, or not UTF-8");
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
    return flush_output();
}

static json_t *message_json(const struct smq_event *event, const char *topic)
{
    char hex[2 * SMQ_FRAME_BYTES_MAX + 1];
    json_t *object = json_pack("{s:I, s:I, s:I}", "to", (json_int_t)event->id, "from",
                               (json_int_t)event->sender, "subtopic", (json_int_t)event->subtopic);

    if (object == NULL)
        return NULL;
    if (topic != NULL)
        json_object_set_new(object, "topic", json_string(topic));
    if (is_printable(event->data, event->bytes_count)) {
        json_object_set_new(object, "payload",
                            json_stringn((const char *)event->data, event->bytes_count));
    } else {
        hex_of(hex, event->data, event->bytes_count);
        json_object_set_new(object, "payload_hex", json_string(hex));
    }
    return object;
}

enum exit_code print_message(const struct options *options, const struct smq_event *event,
                             const char *topic, uint32_t own_etid)
{
    if (topic == NULL && event->id == own_etid)
        topic = "self";
    if (options->json)
        return print_json(message_json(event, topic));
    if (options->raw) {
        fwrite(event->data, 1, event->bytes_count, stdout);
        return flush_output();
    }
    if (options->verbose) {
        if (topic != NULL)
            printf("[%s from %" PRIu32, topic, event->sender);
        else
            printf("[%" PRIu32 " from %" PRIu32, event->id, event->sender);
        if (event->subtopic != SMQ_ID_NONE)
            printf(" sub %" PRIu32, event->subtopic);
        fputs("] ", stdout);
    }
    print_payload(event);
    return flush_output();
}

enum exit_code print_change(const struct options *options, const struct smq_event *event,
                            const char *target)
{
    if (options->json)
        return print_json(json_pack("{s:s, s:I, s:I}", "target", target, "id",
                                    (json_int_t)event->id, "subscribers",
                                    (json_int_t)event->subscriber_count));
    printf("%s %" PRIu32 "\n", target, event->subscriber_count);
    return flush_output();
}
