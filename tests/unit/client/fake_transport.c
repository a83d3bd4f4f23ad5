/* tests/unit/client/fake_transport.c — plays a script; see fake_transport.h. Thread: the test's. */
#include "fake_transport.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int32_t fake_send(void *context, const void *data, size_t bytes_count, bool more)
{
    struct fake *fake = context;
    size_t taken_bytes = smaller(bytes_count, fake->send_bytes_max);

    cr_assert(bytes_count > 0, "an empty send");
    cr_assert(data != NULL);
    fake->call_count++;
    if (fake->send_lie != 0)
        return fake->send_lie;
    if (fake->sent_bytes >= fake->send_fails_at)
        return -1;
    taken_bytes = smaller(taken_bytes, fake->send_fails_at - fake->sent_bytes);
    cr_assert(fake->sent_bytes + taken_bytes <= FAKE_SENT_BYTES_MAX);
    memcpy(fake->sent + fake->sent_bytes, data, taken_bytes);
    fake->sent_bytes += taken_bytes;
    if (taken_bytes == bytes_count && !more)
        fake->packet_count++;
    return (int32_t)taken_bytes;
}

static int32_t fake_recv(void *context, void *room, size_t room_bytes, uint32_t timeout_ms)
{
    struct fake *fake = context;
    size_t given_bytes = smaller(room_bytes, fake->recv_bytes_max);

    cr_assert(room_bytes > 0, "no room to receive into");
    fake->call_count++;
    fake->timeout_ms = timeout_ms;
    if (fake->recv_lie != 0)
        return fake->recv_lie;
    fake->stutter_now = !fake->stutter_now;
    if (fake->is_stuttering && fake->stutter_now)
        return 0;
    given_bytes = smaller(given_bytes, fake->script_bytes - fake->script_at);
    if (given_bytes == 0)
        return fake->is_closed_at_end ? -1 : 0;
    memcpy(room, fake->script + fake->script_at, given_bytes);
    fake->script_at += given_bytes;
    return (int32_t)given_bytes;
}

void fake_init(struct fake *fake, const void *script, size_t script_bytes)
{
    memset(fake, 0, sizeof *fake);
    fake->transport.send = fake_send;
    fake->transport.recv = fake_recv;
    fake->transport.context = fake;
    fake->script = script;
    fake->script_bytes = script_bytes;
    fake->recv_bytes_max = FAKE_NEVER;
    fake->send_bytes_max = FAKE_NEVER;
    fake->send_fails_at = FAKE_NEVER;
}

void fake_expect_sent(struct fake *fake, const void *bytes, size_t bytes_count)
{
    cr_assert_eq(fake->sent_bytes, bytes_count, "sent %zu bytes, expected %zu", fake->sent_bytes,
                 bytes_count);
    cr_assert_arr_eq(fake->sent, bytes, bytes_count);
    cr_assert_eq(fake->packet_count, 1, "its parts were marked as %zu packets", fake->packet_count);
    fake->sent_bytes = 0;
    fake->packet_count = 0;
}

size_t append_frame(uint8_t *stream, size_t stream_bytes, uint8_t packet, const void *body,
                    size_t body_bytes)
{
    smq_store_u16(stream + stream_bytes, (uint16_t)(SMQ_HEADER_BYTES + body_bytes));
    stream[stream_bytes + SMQ_LENGTH_BYTES] = packet;
    if (body_bytes > 0)
        memcpy(stream + stream_bytes + SMQ_HEADER_BYTES, body, body_bytes);
    return stream_bytes + SMQ_HEADER_BYTES + body_bytes;
}
