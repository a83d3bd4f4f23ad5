/*
 * cli/pub.c — `smq pub TOPIC|ETID`: send a text, a file, or each line of it.
 *
 * Thread: main. Owns the payload's memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/session.h"
#include "cli/target.h"

struct pub {
    const struct options *options;
    struct session *session;
    uint32_t to;
    uint32_t subtopic;
};

static enum exit_code send_message(const struct pub *pub, const void *payload, size_t bytes_count)
{
    uint64_t repeat_count = pub->options->count == 0 ? 1 : pub->options->count;

    for (uint64_t i = 0; i < repeat_count; i++) {
        enum smq_status status =
            smq_publish(&pub->session->smq, pub->to, pub->subtopic, payload, bytes_count);

        if (status != SMQ_OK)
            return session_complain(pub->session, status);
    }
    return EXIT_OK;
}

static enum exit_code send_whole(const struct pub *pub, FILE *input, const char *name)
{
    static uint8_t payload[SMQ_PAYLOAD_BYTES_MAX + 1];
    size_t bytes_count = fread(payload, 1, sizeof payload, input);

    if (ferror(input))
        return complain(EXIT_NO_INPUT, "cannot read %s: %s", name, strerror(errno));
    if (bytes_count > SMQ_PAYLOAD_BYTES_MAX)
        return complain(EXIT_USAGE,
                        "%s is too large: a message holds at most %u bytes\n"
                        "     (--lines sends each line as a message of its own)",
                        name, SMQ_PAYLOAD_BYTES_MAX);
    return send_message(pub, payload, bytes_count);
}

static enum exit_code send_lines(const struct pub *pub, FILE *input, const char *name)
{
    enum exit_code code = EXIT_OK;
    char *line = NULL;
    size_t room_bytes = 0;
    ssize_t bytes_count;

    while (code == EXIT_OK && (bytes_count = getline(&line, &room_bytes, input)) >= 0) {
        if (bytes_count > 0 && line[bytes_count - 1] == '\n')
            bytes_count--;
        code = send_message(pub, line, (size_t)bytes_count);
    }
    if (code == EXIT_OK && ferror(input))
        code = complain(EXIT_NO_INPUT, "cannot read %s: %s", name, strerror(errno));
    free(line);
    return code;
}

static enum exit_code send_input(const struct pub *pub)
{
    const struct options *options = pub->options;
    bool is_stdin = options->file == NULL || strcmp(options->file, "-") == 0;
    const char *name = is_stdin ? "standard input" : options->file;
    FILE *input;
    enum exit_code code;

    if (options->message != NULL)
        return send_message(pub, options->message, strlen(options->message));
    input = is_stdin ? stdin : fopen(options->file, "rb");
    if (input == NULL)
        return complain(EXIT_NO_INPUT, "cannot open %s: %s", name, strerror(errno));
    code = options->is_line_by_line ? send_lines(pub, input, name) : send_whole(pub, input, name);
    if (!is_stdin)
        fclose(input);
    return code;
}

enum exit_code command_pub(const struct options *options)
{
    struct pub pub = {.options = options};
    enum exit_code code = EXIT_OK;
    const char *name;

    if (options->message != NULL && (options->file != NULL || options->is_line_by_line))
        return complain(EXIT_USAGE, "--message goes neither with --file nor with --lines");
    pub.session = session_open(options, &code);
    if (pub.session == NULL)
        return code;
    if (!target_parse(options->arguments[0], &pub.to, &name))
        code = session_resolve(pub.session, SMQ_CREATEACK, name, &pub.to);
    if (code == EXIT_OK && options->subtopic != NULL)
        code = session_resolve(pub.session, SMQ_CREATESUBACK, options->subtopic, &pub.subtopic);
    if (code == EXIT_OK)
        code = send_input(&pub);
    if (code == EXIT_OK)
        code = session_sync(pub.session);
    session_close(pub.session);
    return code;
}
