/*
 * cli/rpc.c — `smq rpc ETID|TOPIC SUBTOPIC [TEXT]`: ask, and print the reply.
 *
 * The answer to a message goes to its publisher's ETID; so whatever is published to us after the
 * question is taken for the reply, whoever sends it.
 *
 * Thread: main.
 */
#include <inttypes.h>
#include <string.h>

#include "cli/command.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/target.h"

struct rpc {
    const struct options *options;
    struct session *session;
    uint32_t to;
    uint32_t subtopic;
    bool is_to_client; /* observed, so that we need not wait for one who has gone */
};

/* Resolve the names, then send the question. */
static enum exit_code ask(struct rpc *rpc)
{
    const struct options *options = rpc->options;
    struct smq *smq = &rpc->session->smq;
    const char *text = options->argument_count > 2 ? options->arguments[2] : "";
    const char *topic;
    enum exit_code code = EXIT_OK;

    if (target_parse(options->arguments[0], &rpc->to, &topic))
        rpc->is_to_client = rpc->to != SMQ_ID_SERVER; /* a script answers, but is not observable */
    else
        code = session_resolve(rpc->session, SMQ_CREATEACK, topic, &rpc->to);
    if (code == EXIT_OK)
        code =
            session_resolve(rpc->session, SMQ_CREATESUBACK, options->arguments[1], &rpc->subtopic);
    if (code != EXIT_OK)
        return code;
    if (rpc->is_to_client)
        (void)smq_observe(smq, rpc->to); /* a failure sticks: the next status has it */
    return session_complain(rpc->session,
                            smq_publish(smq, rpc->to, rpc->subtopic, text, strlen(text)));
}

static enum exit_code print_replies(const struct rpc *rpc)
{
    const struct options *options = rpc->options;
    const struct smq_event *event = &rpc->session->smq.event;
    uint64_t left_count = options->count == 0 ? 1 : options->count;
    uint64_t deadline_ms = clock_ms() + options->timeout_ms;
    enum exit_code code = EXIT_OK;

    while (code == EXIT_OK && left_count > 0) {
        code = session_answer(rpc->session, deadline_ms, "the reply");
        if (code != EXIT_OK)
            break;
        if (event->packet == SMQ_PUBLISH && event->id == rpc->session->smq.etid) {
            code = print_message(options, event, NULL, event->id);
            deadline_ms = clock_ms() + options->timeout_ms;
            left_count--;
        } else if (event->packet == SMQ_CHANGE && event->id == rpc->to && rpc->is_to_client &&
                   event->subscriber_count == 0) {
            code = complain(EXIT_UNAVAILABLE, "nobody has the address %" PRIu32 " (any more)",
                            rpc->to);
        }
    }
    return code;
}

enum exit_code command_rpc(const struct options *options)
{
    struct rpc rpc = {.options = options};
    enum exit_code code = EXIT_OK;

    rpc.session = session_open(options, &code);
    if (rpc.session == NULL)
        return code;
    code = ask(&rpc);
    if (code == EXIT_OK)
        code = print_replies(&rpc);
    session_close(rpc.session);
    return code;
}
