/*
 * cli/observe.c — `smq observe TOPIC|ETID`: print how many subscribers there are, at each change.
 *
 * Thread: main.
 */
#include <inttypes.h>

#include "cli/command.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/target.h"

/* Given a number we cannot know whether it is a topic's or a client's. A client's observation ends
 * at 0 by itself, and so does ours. */
static enum exit_code print_changes(struct session *session, const struct options *options,
                                    uint32_t id, bool ends_at_zero)
{
    const struct smq_event *event = &session->smq.event;
    uint64_t deadline_ms =
        options->listen_ms == 0 ? SESSION_FOREVER : clock_ms() + options->listen_ms;
    uint64_t printed_count = 0;

    while (options->count == 0 || printed_count < options->count) {
        switch (session_next(session, deadline_ms)) {
        case SESSION_EVENT:
            break;
        case SESSION_TIMEOUT:
            if (options->count == 0)
                return EXIT_OK;
            return complain(EXIT_TIMEOUT, "%" PRIu64 " of %" PRIu64 " changes came in time",
                            printed_count, options->count);
        case SESSION_STOPPED:
            return EXIT_OK;
        case SESSION_FAILED:
            return session->failure;
        }
        if (event->packet != SMQ_CHANGE || event->id != id)
            continue;
        enum exit_code code = print_change(options, event, options->arguments[0]);
        if (code != EXIT_OK || (ends_at_zero && event->subscriber_count == 0))
            return code;
        printed_count++;
    }
    return EXIT_OK;
}

enum exit_code command_observe(const struct options *options)
{
    enum exit_code code = EXIT_OK;
    struct session *session = session_open(options, &code);
    const char *topic;
    uint32_t id;

    if (session == NULL)
        return code;
    bool is_number = target_parse(options->arguments[0], &id, &topic);
    if (!is_number)
        code = session_resolve(session, SMQ_CREATEACK, topic, &id);
    if (code == EXIT_OK)
        code = session_complain(session, smq_observe(&session->smq, id));
    if (code == EXIT_OK)
        code = print_changes(session, options, id, is_number);
    session_close(session);
    return code;
}
