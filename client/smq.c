/*
 * client/smq.c — SMQ for devices: packets out, events in.
 *
 * Thread: the caller's; nothing is shared between two struct smq.
 * Owns:   nothing. The buffer and the transport are the caller's.
 * Never:  allocates, keeps static state, or calls libc beyond memmove().
 *
 * Sending composes at most 15 bytes on the stack and hands the rest over from where it lies. A
 * failure sticks (smq->failure), so the parts of a packet are sent without looking after each.
 *
 * Receiving reads as much as there is room for, and cuts packets out of the buffer:
 *
 *      buffer:  | delivered | begin ... received ... end | room |
 *
 * fill() moves the received part to the front, and only when bytes are missing. The fixed fields
 * of a packet leave the buffer once decoded, so that all of it is there for the data part.
 */
#include "client/smq.h"

/* The C standard's own; declared here because bare toolchains may come without <string.h>. */
void *memmove(void *to, const void *from, size_t bytes_count);

#define CONNECT_VERSION_PLAIN   1u
#define CONNECT_VERSION_LIMITED 2u /* has a record limit */
#define CONNECT_HEAD_BYTES_MAX  7u /* length, type, version, record limit, UID length */

#define HTTP_STATUS_OK       200u
#define HTTP_STATUS_AT       9u /* of its three digits in "HTTP/1.1 200 OK" */
#define HTTP_STATUS_DIGITS   3u
#define HTTP_FOUR_BYTES_LAST 0x0D0A0D0Au /* CR LF CR LF */

/* One more than the smallest body of what a server may send; 0: a server never sends that. The
 * data part begins where the smallest body ends. */
static const uint8_t body_bytes_min_plus_one[SMQ_PACKET_COUNT] = {
#define X(name, value, body_bytes_min, from)                                                       \
    [SMQ_##name] = ((from)&SMQ_FROM_SERVER) ? (body_bytes_min) + 1 : 0,
    SMQ_PACKETS(X)
#undef X
};

static size_t text_bytes_count(const char *text)
{
    size_t bytes_count = 0;

    while (text != NULL && text[bytes_count] != '\0')
        bytes_count++;
    return bytes_count;
}

static enum smq_status fail(struct smq *smq, enum smq_status status)
{
    smq->failure = (uint8_t)status;
    return status;
}

/* -- sending --------------------------------------------------------------------------------- */

static enum smq_status send_all(struct smq *smq, const void *data, size_t bytes_count, bool more)
{
    const struct smq_transport *transport = smq->transport;
    const uint8_t *at = data;

    while (bytes_count > 0 && smq->failure == SMQ_OK) {
        int32_t sent_bytes = transport->send(transport->context, at, bytes_count, more);

        if (sent_bytes <= 0 || (size_t)sent_bytes > bytes_count)
            return fail(smq, SMQ_CLOSED);
        at += sent_bytes;
        bytes_count -= (size_t)sent_bytes;
    }
    return (enum smq_status)smq->failure;
}

static void send_text(struct smq *smq, const char *text)
{
    send_all(smq, text, text_bytes_count(text), true);
}

/* Fill in the length and type of @head, then send it and @tail as one frame. */
static enum smq_status send_frame(struct smq *smq, enum smq_packet packet, uint8_t *head,
                                  size_t head_bytes, const void *tail, size_t tail_bytes)
{
    if (tail_bytes > SMQ_FRAME_BYTES_MAX - head_bytes)
        return SMQ_TOO_BIG;
    smq_store_u16(head, (uint16_t)(head_bytes + tail_bytes));
    head[SMQ_LENGTH_BYTES] = (uint8_t)packet;
    send_all(smq, head, head_bytes, tail_bytes > 0);
    return send_all(smq, tail, tail_bytes, false);
}

static enum smq_status send_name(struct smq *smq, enum smq_packet packet, const char *name)
{
    uint8_t head[SMQ_HEADER_BYTES];

    return send_frame(smq, packet, head, sizeof head, name, text_bytes_count(name));
}

static enum smq_status send_id(struct smq *smq, enum smq_packet packet, uint32_t id)
{
    uint8_t head[SMQ_HEADER_BYTES + sizeof id];

    smq_store_u32(head + SMQ_HEADER_BYTES, id);
    return send_frame(smq, packet, head, sizeof head, NULL, 0);
}

enum smq_status smq_subscribe(struct smq *smq, const char *topic)
{
    return send_name(smq, SMQ_SUBSCRIBE, topic);
}

enum smq_status smq_create(struct smq *smq, const char *topic)
{
    return send_name(smq, SMQ_CREATE, topic);
}

enum smq_status smq_createsub(struct smq *smq, const char *subtopic)
{
    return send_name(smq, SMQ_CREATESUB, subtopic);
}

enum smq_status smq_unsubscribe(struct smq *smq, uint32_t tid)
{
    return send_id(smq, SMQ_UNSUBSCRIBE, tid);
}

enum smq_status smq_observe(struct smq *smq, uint32_t id)
{
    return send_id(smq, SMQ_OBSERVE, id);
}

enum smq_status smq_unobserve(struct smq *smq, uint32_t id)
{
    return send_id(smq, SMQ_UNOBSERVE, id);
}

enum smq_status smq_ping(struct smq *smq)
{
    return send_name(smq, SMQ_PING, NULL);
}

enum smq_status smq_disconnect(struct smq *smq, const char *reason)
{
    return send_name(smq, SMQ_DISCONNECT, reason);
}

static enum smq_status send_publish(struct smq *smq, enum smq_packet packet, uint32_t to,
                                    uint32_t subtopic, const void *payload, size_t bytes_count)
{
    uint8_t head[SMQ_PUBLISH_HEADER_BYTES];

    smq_store_u32(head + SMQ_HEADER_BYTES, to);
    smq_store_u32(head + SMQ_HEADER_BYTES + 4, smq->etid);
    smq_store_u32(head + SMQ_HEADER_BYTES + 8, subtopic);
    return send_frame(smq, packet, head, sizeof head, payload, bytes_count);
}

enum smq_status smq_publish(struct smq *smq, uint32_t to, uint32_t subtopic, const void *payload,
                            size_t bytes_count)
{
    return send_publish(smq, SMQ_PUBLISH, to, subtopic, payload, bytes_count);
}

enum smq_status smq_publish_fragment(struct smq *smq, const void *payload, size_t bytes_count)
{
    return smq_publish_last(smq, SMQ_ID_NONE, 0, payload, bytes_count);
}

enum smq_status smq_publish_last(struct smq *smq, uint32_t to, uint32_t subtopic,
                                 const void *payload, size_t bytes_count)
{
    if (bytes_count > SMQ_PAYLOAD_BYTES_MAX - smq->fragment_bytes_count)
        return SMQ_TOO_BIG;
    smq->fragment_bytes_count =
        to == SMQ_ID_NONE ? (uint16_t)(smq->fragment_bytes_count + bytes_count) : 0;
    return send_publish(smq, SMQ_PUBFRAG, to, subtopic, payload, bytes_count);
}

/* -- receiving ------------------------------------------------------------------------------- */

/* Have at least @bytes_count bytes in the buffer, which must be large enough for them. */
static enum smq_status fill(struct smq *smq, size_t bytes_count, uint32_t timeout_ms)
{
    const struct smq_transport *transport = smq->transport;

    while (smq->end - smq->begin < bytes_count) {
        size_t room_bytes;
        int32_t got_bytes;

        smq->end -= smq->begin;
        memmove(smq->buffer, smq->buffer + smq->begin, smq->end);
        smq->begin = 0;

        room_bytes = smq->buffer_bytes - smq->end;
        got_bytes =
            transport->recv(transport->context, smq->buffer + smq->end, room_bytes, timeout_ms);
        if (got_bytes == 0)
            return SMQ_TIMEOUT;
        if (got_bytes < 0 || (size_t)got_bytes > room_bytes)
            return fail(smq, SMQ_CLOSED);
        smq->end += (size_t)got_bytes;
    }
    return SMQ_OK;
}

static void decode_fixed_fields(struct smq_event *event, const uint8_t *body)
{
    switch (event->packet) {
    case SMQ_PUBLISH:
        event->id = smq_load_u32(body);
        event->sender = smq_load_u32(body + 4);
        event->subtopic = smq_load_u32(body + 8);
        break;
    case SMQ_CHANGE:
        event->id = smq_load_u32(body);
        event->subscriber_count = smq_load_u32(body + 4);
        break;
    case SMQ_DISCONNECT:
    case SMQ_PING:
    case SMQ_PONG:
        break;
    default: /* Init and all acknowledgements */
        event->code = body[0];
        event->id = smq_load_u32(body + 1);
        break;
    }
}

/* Take the length, type and fixed fields of the next packet out of the buffer. */
static enum smq_status next_packet(struct smq *smq, uint32_t timeout_ms)
{
    struct smq_event *event = &smq->event;
    enum smq_status status = fill(smq, SMQ_HEADER_BYTES, timeout_ms);
    const uint8_t *head = smq->buffer + smq->begin;
    uint8_t packet;
    uint16_t head_bytes;
    uint16_t frame_bytes;

    if (status != SMQ_OK)
        return status;
    frame_bytes = smq_load_u16(head);
    packet = head[SMQ_LENGTH_BYTES];
    if (packet >= SMQ_PACKET_COUNT || body_bytes_min_plus_one[packet] == 0)
        return fail(smq, SMQ_MALFORMED);
    head_bytes = (uint16_t)(SMQ_HEADER_BYTES + body_bytes_min_plus_one[packet] - 1u);
    if (frame_bytes < head_bytes)
        return fail(smq, SMQ_MALFORMED);

    status = fill(smq, head_bytes, timeout_ms);
    if (status != SMQ_OK)
        return status;
    event->packet = packet;
    event->offset = 0;
    event->bytes_count = 0;
    event->left_bytes_count = (uint16_t)(frame_bytes - head_bytes);
    decode_fixed_fields(event, smq->buffer + smq->begin + SMQ_HEADER_BYTES);
    smq->begin += head_bytes;
    return SMQ_OK;
}

/* Take the data part, or as much of it as the buffer holds. */
static enum smq_status next_piece(struct smq *smq, uint32_t timeout_ms)
{
    struct smq_event *event = &smq->event;
    uint16_t piece_bytes = event->left_bytes_count;
    enum smq_status status;

    if (piece_bytes > smq->buffer_bytes)
        piece_bytes = (uint16_t)smq->buffer_bytes;
    status = fill(smq, piece_bytes, timeout_ms);
    if (status != SMQ_OK)
        return status;
    event->data = smq->buffer + smq->begin;
    event->offset = (uint16_t)(event->offset + event->bytes_count);
    event->bytes_count = piece_bytes;
    event->left_bytes_count = (uint16_t)(event->left_bytes_count - piece_bytes);
    smq->begin += piece_bytes;
    return SMQ_OK;
}

enum smq_status smq_next(struct smq *smq, uint32_t timeout_ms)
{
    do {
        enum smq_status status = (enum smq_status)smq->failure;

        if (status == SMQ_OK && smq->event.left_bytes_count == 0)
            status = next_packet(smq, timeout_ms);
        if (status == SMQ_OK)
            status = next_piece(smq, timeout_ms);
        if (status != SMQ_OK)
            return status;
        if (smq->event.packet == SMQ_DISCONNECT)
            smq->failure = SMQ_CLOSED;
        if (smq->event.packet == SMQ_PING && smq->event.left_bytes_count == 0)
            send_name(smq, SMQ_PONG, NULL);
    } while (smq->event.packet == SMQ_PING);
    return SMQ_OK;
}

bool smq_event_is(const struct smq_event *event, const char *text)
{
    uint16_t i;

    for (i = 0; i < event->bytes_count; i++) {
        if (text[i] == '\0' || (uint8_t)text[i] != event->data[i])
            return false;
    }
    return text[i] == '\0' && event->offset == 0 && event->left_bytes_count == 0;
}

/* -- life cycle ------------------------------------------------------------------------------ */

void smq_init(struct smq *smq, const struct smq_transport *transport, void *buffer,
              size_t buffer_bytes)
{
    *smq = (struct smq){.transport = transport, .buffer = buffer, .buffer_bytes = buffer_bytes};
}

/* Skip an HTTP answer up to its blank line, and keep its status. */
static enum smq_status skip_http_head(struct smq *smq, uint32_t timeout_ms)
{
    uint32_t four_bytes_last = 0;
    uint16_t at;

    for (at = 0; four_bytes_last != HTTP_FOUR_BYTES_LAST; at++) {
        enum smq_status status = fill(smq, 1, timeout_ms);
        uint8_t byte;

        if (status != SMQ_OK)
            return status;
        if (at == SMQ_HTTP_HEAD_BYTES_MAX)
            return fail(smq, SMQ_MALFORMED);
        byte = smq->buffer[smq->begin++];
        four_bytes_last = (four_bytes_last << 8) | byte;
        if (at >= HTTP_STATUS_AT && at < HTTP_STATUS_AT + HTTP_STATUS_DIGITS)
            smq->http_status = (uint16_t)(smq->http_status * 10u + byte - '0');
    }
    return smq->http_status == HTTP_STATUS_OK ? SMQ_OK : fail(smq, SMQ_REFUSED);
}

enum smq_status smq_open(struct smq *smq, const struct smq_broker *broker, uint32_t timeout_ms)
{
    enum smq_status status;

    send_text(smq, "GET ");
    send_text(smq, broker->path);
    send_text(smq, " HTTP/1.0\r\nHost: ");
    send_text(smq, broker->host);
    send_text(smq, "\r\nSimpleMQ: 1\r\n");
    send_text(smq, broker->headers);
    if (broker->wants_response)
        send_text(smq, "SendSmqHttpResponse: true\r\n");
    status = send_all(smq, "\r\n", 2, false);

    /* The first byte of an Init's length is 0: an 'H' can only be HTTP, asked for or not. */
    if (status == SMQ_OK)
        status = fill(smq, 1, timeout_ms);
    if (status == SMQ_OK && smq->buffer[smq->begin] == 'H')
        status = skip_http_head(smq, timeout_ms);
    if (status == SMQ_OK)
        status = smq_next(smq, timeout_ms);
    if (status != SMQ_OK)
        return status;
    if (smq->event.packet != SMQ_INIT || smq->event.code != SMQ_PROTOCOL_VERSION)
        return fail(smq, SMQ_MALFORMED);
    smq->seed = smq->event.id;
    return SMQ_OK;
}

static enum smq_status send_connect(struct smq *smq, const struct smq_identity *identity)
{
    uint8_t head[CONNECT_HEAD_BYTES_MAX];
    uint8_t *at = head + SMQ_HEADER_BYTES;
    size_t info_bytes = text_bytes_count(identity->info);
    size_t credentials_bytes = identity->credentials_bytes_count;
    size_t frame_bytes;

    *at++ = CONNECT_VERSION_PLAIN;
    if (identity->record_bytes_max != 0) {
        at[-1] = CONNECT_VERSION_LIMITED;
        smq_store_u16(at, identity->record_bytes_max);
        at += 2;
    }
    *at++ = identity->uid_bytes_count;

    frame_bytes =
        (size_t)(at - head) + identity->uid_bytes_count + 1u + credentials_bytes + info_bytes;
    if (frame_bytes > SMQ_FRAME_BYTES_MAX)
        return SMQ_TOO_BIG;
    smq_store_u16(head, (uint16_t)frame_bytes);
    head[SMQ_LENGTH_BYTES] = SMQ_CONNECT;

    send_all(smq, head, (size_t)(at - head), true);
    send_all(smq, identity->uid, identity->uid_bytes_count, true);
    send_all(smq, &identity->credentials_bytes_count, 1, credentials_bytes + info_bytes > 0);
    send_all(smq, identity->credentials, credentials_bytes, info_bytes > 0);
    return send_all(smq, identity->info, info_bytes, false);
}

enum smq_status smq_connect(struct smq *smq, const struct smq_identity *identity,
                            uint32_t timeout_ms)
{
    enum smq_status status = send_connect(smq, identity);

    /* Of an Init longer than the buffer there is still a rest to come. */
    while (status == SMQ_OK) {
        status = smq_next(smq, timeout_ms);
        if (smq->event.packet != SMQ_INIT || smq->event.offset == 0)
            break;
    }
    if (status != SMQ_OK)
        return status;
    if (smq->event.packet == SMQ_DISCONNECT)
        return fail(smq, SMQ_CLOSED);
    if (smq->event.packet != SMQ_CONNACK)
        return fail(smq, SMQ_MALFORMED);
    if (smq->event.code != SMQ_CONNACK_ACCEPTED)
        return fail(smq, SMQ_REFUSED);
    smq->etid = smq->event.id;
    return SMQ_OK;
}
