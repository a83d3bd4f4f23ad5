/*
 * tests/unit/client/test_handshake.c — mirrors smq_open() and smq_connect() of client/smq.c.
 *
 * Goal:   the request and the Connect are right to the byte; every answer a broker, another kind
 *         of server, or a broken line can give leads to the status that says so.
 * Method: scripts cut at every byte, and failures at every byte sent.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_transport.h"

#define REQUEST "GET /smq.lsp HTTP/1.0\r\nHost: example.net\r\nSimpleMQ: 1\r\n"
#define INIT                                                                                       \
    "\0\x11\x01\x01\xDE\xAD\xBE\xEF"                                                               \
    "127.0.0.1" /* seed 0xDEADBEEF */
#define INIT_BYTES 17u
#define HTTP_OK    "HTTP/1.1 200 OK\r\nSmqBroker: true\r\n\r\n"

static const struct smq_broker broker = {.host = "example.net", .path = "/smq.lsp"};
static const struct smq_identity identity = {.uid = "device-1", .uid_bytes_count = 8};

static struct fake fake;
static struct smq smq;
static uint8_t buffer[64];

static void play(const void *script, size_t script_bytes)
{
    fake_init(&fake, script, script_bytes);
    smq_init(&smq, &fake.transport, buffer, sizeof buffer);
}

#define PLAY(literal) play(literal, sizeof(literal) - 1)

TestSuite(handshake, .timeout = 60);

/* -- smq_open -------------------------------------------------------------------------------- */

Test(handshake, open_fails_when_any_byte_of_the_request_fails)
{
    for (size_t fails_at = 0; fails_at < sizeof REQUEST "\r\n" - 1; fails_at++) {
        PLAY(INIT);
        fake.send_fails_at = fails_at;
        cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_CLOSED);
        cr_assert_eq(fake.sent_bytes, fails_at);
        cr_assert_eq(fake.script_at, 0, "nothing may be read after a failure");
    }
}

Test(handshake, open_ends_wherever_the_answer_ends)
{
    static const char script[] = HTTP_OK INIT;

    for (size_t end = 0; end < sizeof script - 1; end++) {
        play(script, end);
        cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_TIMEOUT, "silence after %zu bytes", end);
        play(script, end);
        fake.is_closed_at_end = true;
        cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_CLOSED, "closed after %zu bytes", end);
    }
}

Test(handshake, open_sends_the_request_and_takes_the_seed)
{
    for (size_t cut = 1; cut <= INIT_BYTES; cut++) {
        PLAY(INIT);
        fake.recv_bytes_max = cut;
        fake.send_bytes_max = cut;
        cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_OK);
        fake_expect_sent(&fake, REQUEST "\r\n", sizeof REQUEST "\r\n" - 1);
        cr_assert_eq(smq.seed, 0xDEADBEEF);
        cr_assert_eq(smq.http_status, 0);
        cr_assert(smq_event_is(&smq.event, "127.0.0.1"));
    }
}

Test(handshake, open_asks_for_an_http_answer_and_adds_headers)
{
    static const char sent[] = REQUEST "Cookie: a=b\r\nSendSmqHttpResponse: true\r\n\r\n";
    struct smq_broker asking = broker;

    asking.headers = "Cookie: a=b\r\n";
    asking.wants_response = true;
    for (size_t cut = 1; cut <= 50; cut++) {
        PLAY(HTTP_OK INIT);
        fake.recv_bytes_max = cut;
        cr_assert_eq(smq_open(&smq, &asking, 0), SMQ_OK);
        fake_expect_sent(&fake, sent, sizeof sent - 1);
        cr_assert_eq(smq.http_status, 200);
        cr_assert_eq(smq.seed, 0xDEADBEEF);
    }
}

Test(handshake, open_is_refused_by_any_other_http_status)
{
    PLAY("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_REFUSED);
    cr_assert_eq(smq.http_status, 404);
    cr_assert_eq(smq_ping(&smq), SMQ_REFUSED, "refused is final");
}

Test(handshake, open_gives_up_on_an_endless_http_head)
{
    static char script[SMQ_HTTP_HEAD_BYTES_MAX + 100] = "HTTP/1.1 200 OK\r\nX: ";

    memset(script + strlen(script), 'x', sizeof script - strlen(script));
    play(script, sizeof script);
    cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_MALFORMED);
}

Test(handshake, open_takes_an_http_head_of_the_largest_size)
{
    static char script[SMQ_HTTP_HEAD_BYTES_MAX + INIT_BYTES] = "HTTP/1.1 200 OK\r\nX: ";

    memset(script + strlen(script), 'x', SMQ_HTTP_HEAD_BYTES_MAX - strlen(script));
    memcpy(script + SMQ_HTTP_HEAD_BYTES_MAX - 4, "\r\n\r\n", 4);
    memcpy(script + SMQ_HTTP_HEAD_BYTES_MAX, INIT, INIT_BYTES);
    play(script, sizeof script);
    cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_OK);
    cr_assert_eq(smq.seed, 0xDEADBEEF);
}

Test(handshake, open_refuses_what_is_not_an_init_of_version_1)
{
    PLAY("\0\x11\x01\x02\xDE\xAD\xBE\xEF"
         "127.0.0.1");
    cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_MALFORMED, "another version");
    PLAY("\0\x03\x0D");
    cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_MALFORMED, "another packet");
    PLAY("SSH-2.0-OpenSSH_9.2p1\r\n");
    cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_MALFORMED, "another protocol");
}

/* -- smq_connect ----------------------------------------------------------------------------- */

static void open_with(const void *script, size_t script_bytes)
{
    static uint8_t whole[1024];

    memcpy(whole, INIT, INIT_BYTES);
    memcpy(whole + INIT_BYTES, script, script_bytes);
    play(whole, INIT_BYTES + script_bytes);
    cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_OK);
    fake_expect_sent(&fake, REQUEST "\r\n", sizeof REQUEST "\r\n" - 1);
}

#define OPEN_WITH(literal) open_with(literal, sizeof(literal) - 1)
#define ACCEPTED           "\0\x08\x03\x00\x0A\x0B\x0C\x0D"

Test(handshake, connect_fails_when_any_byte_of_it_fails)
{
    struct smq_identity full = identity;

    full.credentials = "key";
    full.credentials_bytes_count = 3;
    full.info = "info";
    full.record_bytes_max = 512;
    for (size_t fails_at = 0; fails_at < 23; fails_at++) {
        OPEN_WITH(ACCEPTED);
        fake.send_fails_at = fails_at;
        cr_assert_eq(smq_connect(&smq, &full, 0), SMQ_CLOSED, "byte %zu", fails_at);
    }
}

Test(handshake, connect_sends_version_1_and_takes_the_etid)
{
    static const uint8_t wire[] = {0, 14, 2, 1, 8, 'd', 'e', 'v', 'i', 'c', 'e', '-', '1', 0};

    for (size_t cut = 1; cut <= sizeof wire; cut++) {
        OPEN_WITH(ACCEPTED);
        fake.send_bytes_max = cut;
        cr_assert_eq(smq_connect(&smq, &identity, 0), SMQ_OK);
        fake_expect_sent(&fake, wire, sizeof wire);
        cr_assert_eq(smq.etid, 0x0A0B0C0D);
    }
}

Test(handshake, connect_sends_credentials_and_info)
{
    static const uint8_t with_info[] = {0,   22,  2, 1,   8,   'd', 'e', 'v', 'i', 'c', 'e',
                                        '-', '1', 3, 'k', 'e', 'y', 'l', 'a', 'm', 'p', '!'};
    static const uint8_t without[] = {0,   17,  2,   1,   8, 'd', 'e', 'v', 'i',
                                      'c', 'e', '-', '1', 3, 'k', 'e', 'y'};
    struct smq_identity full = identity;

    full.credentials = "key";
    full.credentials_bytes_count = 3;
    OPEN_WITH(ACCEPTED);
    cr_assert_eq(smq_connect(&smq, &full, 0), SMQ_OK);
    fake_expect_sent(&fake, without, sizeof without);

    full.info = "lamp!";
    OPEN_WITH(ACCEPTED);
    cr_assert_eq(smq_connect(&smq, &full, 0), SMQ_OK);
    fake_expect_sent(&fake, with_info, sizeof with_info);
}

Test(handshake, connect_sends_version_2_with_a_record_limit)
{
    static const uint8_t wire[] = {0,   16,  2,   2,   0x02, 0x01, 8,   'd',
                                   'e', 'v', 'i', 'c', 'e',  '-',  '1', 0};
    struct smq_identity limited = identity;

    limited.record_bytes_max = 0x0201;
    OPEN_WITH(ACCEPTED);
    cr_assert_eq(smq_connect(&smq, &limited, 0), SMQ_OK);
    fake_expect_sent(&fake, wire, sizeof wire);
}

Test(handshake, connect_sends_no_byte_of_what_is_too_big)
{
    static char info[SMQ_FRAME_BYTES_MAX];
    struct smq_identity big = identity;

    big.info = info;
    memset(info, 'i', SMQ_FRAME_BYTES_MAX - 14 + 1); /* 14: all but the info */
    OPEN_WITH(ACCEPTED);
    cr_assert_eq(smq_connect(&smq, &big, 0), SMQ_TOO_BIG);
    cr_assert_eq(fake.sent_bytes, 0);

    info[SMQ_FRAME_BYTES_MAX - 14] = '\0';
    cr_assert_eq(smq_connect(&smq, &big, 0), SMQ_OK);
    cr_assert_eq(fake.sent_bytes, SMQ_FRAME_BYTES_MAX);
}

Test(handshake, connect_is_refused_with_code_and_reason)
{
    OPEN_WITH("\0\x0E\x03\x03\0\0\0\0"
              "no key");
    cr_assert_eq(smq_connect(&smq, &identity, 0), SMQ_REFUSED);
    cr_assert_eq(smq.event.code, SMQ_CONNACK_BAD_CREDENTIALS);
    cr_assert(smq_event_is(&smq.event, "no key"));
    cr_assert_eq(smq.etid, SMQ_ID_NONE);
    cr_assert_eq(smq_next(&smq, 0), SMQ_REFUSED, "refused is final");
}

Test(handshake, connect_says_closed_when_the_broker_disconnects_instead)
{
    OPEN_WITH("\0\x06\x0B"
              "bye");
    cr_assert_eq(smq_connect(&smq, &identity, 0), SMQ_CLOSED);
    cr_assert(smq_event_is(&smq.event, "bye"), "the reason is there to be shown");
}

Test(handshake, connect_refuses_any_other_packet)
{
    OPEN_WITH("\0\x03\x0D");
    cr_assert_eq(smq_connect(&smq, &identity, 0), SMQ_MALFORMED);
    OPEN_WITH(INIT "");
    cr_assert_eq(smq_connect(&smq, &identity, 0), SMQ_MALFORMED, "a second Init");
}

Test(handshake, connect_ends_wherever_the_answer_ends)
{
    for (size_t end = 0; end < 8; end++) {
        open_with(ACCEPTED, end);
        cr_assert_eq(smq_connect(&smq, &identity, 0), SMQ_TIMEOUT);
        open_with(ACCEPTED, end);
        fake.is_closed_at_end = true;
        cr_assert_eq(smq_connect(&smq, &identity, 0), SMQ_CLOSED);
    }
}

Test(handshake, works_with_the_smallest_buffer)
{
    static const char script[] = "\0\x2F\x01\x01\xDE\xAD\xBE\xEF"
                                 "2001:0db8:0000:0000:0000:0000:0000:0001" ACCEPTED;

    for (size_t cut = 1; cut < sizeof script; cut++) {
        play(script, sizeof script - 1);
        smq_init(&smq, &fake.transport, buffer, SMQ_BUFFER_BYTES_MIN);
        fake.recv_bytes_max = cut;
        cr_assert_eq(smq_open(&smq, &broker, 0), SMQ_OK);
        cr_assert_eq(smq.seed, 0xDEADBEEF);
        cr_assert_eq(smq_connect(&smq, &identity, 0), SMQ_OK);
        cr_assert_eq(smq.etid, 0x0A0B0C0D);
    }
}
