/*
 * cli/sub.c — `smq sub TOPIC...`: print the messages of topics.
 *
 * Thread: main. Owns the list of what was asked for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/print.h"
#include "cli/session.h"

/* A client-side word for our own ETID; on the wire it would be a topic like any other. */
#define SELF "self"

struct subscription {
    const char *topic; /* borrows argv */
    uint32_t id;       /* TID, or our ETID for "self"; SMQ_ID_NONE until acknowledged */
};

struct sub {
    const struct options *options;
    struct session *session;
    struct subscription *subscriptions; /* options->argument_count of them */
    uint32_t subtopic;                  /* print only these; SMQ_ID_NONE: all */
    uint64_t printed_count;
};

static enum exit_code subscribe_all(struct sub *sub)
{
    sub->subscriptions = calloc((size_t)sub->options->argument_count, sizeof *sub->subscriptions);
    if (sub->subscriptions == NULL)
        return complain(EXIT_SOFTWARE, "out of memory");
    for (int i = 0; i < sub->options->argument_count; i++) {
        struct subscription *subscription = &sub->subscriptions[i];
        enum smq_status status = SMQ_OK;

        subscription->topic = sub->options->arguments[i];
        if (strcmp(subscription->topic, SELF) == 0) {
            subscription->id = sub->session->smq.etid;
            fprintf(stderr, "smq: our address is %" PRIu32 "\n", subscription->id);
        } else {
            status = smq_subscribe(&sub->session->smq, subscription->topic);
        }
        if (status != SMQ_OK)
            return session_complain(sub->session, status);
    }
    return EXIT_OK;
}

static enum exit_code on_suback(struct sub *sub, const struct smq_event *event)
{
    for (int i = 0; i < sub->options->argument_count; i++) {
        struct subscription *subscription = &sub->subscriptions[i];

        if (subscription->id != SMQ_ID_NONE || !smq_event_is(event, subscription->topic))
            continue;
        if (event->code != SMQ_ACK_OK)
            return complain(EXIT_DENIED, "the broker denies us the topic '%s'",
                            subscription->topic);
        subscription->id = event->id;
        if (sub->options->verbose)
            fprintf(stderr, "smq: subscribed to %s (%" PRIu32 ")\n", subscription->topic,
                    event->id);
        break; /* asked twice for the same: its own Suback follows */
    }
    return EXIT_OK;
}

static enum exit_code on_publish(struct sub *sub, const struct smq_event *event)
{
    if (sub->subtopic != SMQ_ID_NONE && event->subtopic != sub->subtopic)
        return EXIT_OK;
    for (int i = 0; i < sub->options->argument_count; i++) {
        if (sub->subscriptions[i].id != event->id)
            continue;
        sub->printed_count++;
        return print_message(sub->options, event, sub->subscriptions[i].topic,
                             sub->session->smq.etid);
    }
    return EXIT_OK; /* to us alone, and nobody asked for "self" */
}

static enum exit_code listen_to_all(struct sub *sub)
{
    const struct options *options = sub->options;
    const struct smq_event *event = &sub->session->smq.event;
    uint64_t deadline_ms =
        options->listen_ms == 0 ? SESSION_FOREVER : clock_ms() + options->listen_ms;
    enum exit_code code = EXIT_OK;

    while (code == EXIT_OK && (options->count == 0 || sub->printed_count < options->count)) {
        switch (session_next(sub->session, deadline_ms)) {
        case SESSION_EVENT:
            if (event->packet == SMQ_SUBACK)
                code = on_suback(sub, event);
            else if (event->packet == SMQ_PUBLISH)
                code = on_publish(sub, event);
            break;
        case SESSION_TIMEOUT:
            if (options->count == 0)
                return EXIT_OK;
            return complain(EXIT_TIMEOUT, "%" PRIu64 " of %" PRIu64 " messages came in time",
                            sub->printed_count, options->count);
        case SESSION_STOPPED:
            return EXIT_OK;
        case SESSION_FAILED:
            return sub->session->failure;
        }
    }
    return code;
}

enum exit_code command_sub(const struct options *options)
{
    struct sub sub = {.options = options};
    enum exit_code code = EXIT_OK;

    sub.session = session_open(options, &code);
    if (sub.session == NULL)
        return code;
    if (options->subtopic != NULL)
        code = session_resolve(sub.session, SMQ_CREATESUBACK, options->subtopic, &sub.subtopic);
    if (code == EXIT_OK)
        code = subscribe_all(&sub);
    if (code == EXIT_OK)
        code = listen_to_all(&sub);
    free(sub.subscriptions);
    session_close(sub.session);
    return code;
}
