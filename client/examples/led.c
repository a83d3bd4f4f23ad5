/*
 * client/examples/led.c — a lamp that any SMQ client can switch: the least a real device does.
 *
 *      led [HOST [PORT]]           default 127.0.0.1 8080
 *
 *      smq pub led/set -m on       switches it, and "led/state" gets the news
 *      smq rpc led/set get ""      asks for its state; the answer comes to the asker alone
 *
 * On a board, set_lamp() drives a pin, and the transport is the board's network stack instead of
 * client/posix.h. Nothing else would change: 256 bytes of buffer, no heap.
 *
 * Thread: main.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/posix.h"

#define ANSWER_TIMEOUT_MS 5000u   /* for the broker's answers */
#define SILENCE_MS        120000u /* before we ask whether the broker is still there */
#define PONG_TIMEOUT_MS   10000u
#define RETRY_SECONDS_MAX 64u

struct lamp {
    struct smq smq;
    uint8_t buffer[256];
    uint32_t state_tid;    /* where we tell the world; 0 until known */
    uint32_t get_subtopic; /* the sub-topic that asks for the state; 0 until known */
    bool on;
};

static void set_lamp(struct lamp *lamp, bool on)
{
    lamp->on = on;
    printf("the lamp is %s\n", on ? "on" : "off");
    fflush(stdout);
}

static enum smq_status send_state(struct lamp *lamp, uint32_t to, uint32_t subtopic)
{
    const char *state = lamp->on ? "on" : "off";

    return smq_publish(&lamp->smq, to, subtopic, state, strlen(state));
}

static enum smq_status on_publish(struct lamp *lamp, const struct smq_event *event)
{
    if (event->subtopic != SMQ_ID_NONE && event->subtopic == lamp->get_subtopic)
        return send_state(lamp, event->sender, event->subtopic);
    if (smq_event_is(event, "on"))
        set_lamp(lamp, true);
    else if (smq_event_is(event, "off"))
        set_lamp(lamp, false);
    else
        return SMQ_OK; /* not for us */
    return lamp->state_tid == SMQ_ID_NONE ? SMQ_OK : send_state(lamp, lamp->state_tid, 0);
}

static enum smq_status on_event(struct lamp *lamp)
{
    const struct smq_event *event = &lamp->smq.event;

    switch (event->packet) {
    case SMQ_CREATEACK:
        lamp->state_tid = event->id;
        return SMQ_OK;
    case SMQ_CREATESUBACK:
        lamp->get_subtopic = event->id;
        return SMQ_OK;
    case SMQ_PUBLISH:
        return on_publish(lamp, event);
    default: /* Suback, Pong; after Disconnect the next smq_next() says SMQ_CLOSED */
        return SMQ_OK;
    }
}

/* Wait for an event, and make sure of the broker in a long silence. */
static enum smq_status next(struct lamp *lamp)
{
    enum smq_status status = smq_next(&lamp->smq, SILENCE_MS);

    if (status != SMQ_TIMEOUT)
        return status;
    status = smq_ping(&lamp->smq);
    return status == SMQ_OK ? smq_next(&lamp->smq, PONG_TIMEOUT_MS) : status;
}

/* One connection, from the first byte to the last. Returns true when it got as far as Connack. */
static bool serve(struct lamp *lamp, struct smq_posix *posix, const char *host)
{
    static const char uid[] = "led-example";
    struct smq_broker broker = {.host = host, .path = "/smq.lsp"};
    struct smq_identity identity = {.uid = uid,
                                    .uid_bytes_count = sizeof uid - 1,
                                    .info = "the LED example"};
    enum smq_status status;

    lamp->state_tid = SMQ_ID_NONE; /* ids are the broker's: a new connection, new ids */
    lamp->get_subtopic = SMQ_ID_NONE;
    smq_init(&lamp->smq, &posix->transport, lamp->buffer, sizeof lamp->buffer);
    status = smq_open(&lamp->smq, &broker, ANSWER_TIMEOUT_MS);
    if (status == SMQ_OK)
        status = smq_connect(&lamp->smq, &identity, ANSWER_TIMEOUT_MS);
    if (status != SMQ_OK)
        return false;

    /* A failure sticks, so the last status speaks for all three. */
    (void)smq_create(&lamp->smq, "led/state");
    (void)smq_createsub(&lamp->smq, "get");
    status = smq_subscribe(&lamp->smq, "led/set");
    while (status == SMQ_OK) {
        status = next(lamp);
        if (status == SMQ_OK)
            status = on_event(lamp);
    }
    return true;
}

int main(int argc, char **argv)
{
    const char *host = argc > 1 ? argv[1] : "127.0.0.1";
    const char *port = argc > 2 ? argv[2] : "8080";
    static struct lamp lamp;
    unsigned retry_seconds = 1;

    for (;;) {
        struct smq_posix posix;

        if (!smq_posix_open(&posix, host, port, ANSWER_TIMEOUT_MS)) {
            fprintf(stderr, "led: %s port %s: %s\n", host, port, smq_posix_error(&posix));
        } else {
            if (serve(&lamp, &posix, host))
                retry_seconds = 1;
            fprintf(stderr, "led: connection over; again in %u s\n", retry_seconds);
            smq_posix_close(&posix);
        }
        /* A fleet should add a random part, or it all knocks at the same moment. */
        sleep(retry_seconds);
        retry_seconds = retry_seconds < RETRY_SECONDS_MAX ? retry_seconds * 2 : RETRY_SECONDS_MAX;
    }
}
