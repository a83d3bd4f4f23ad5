"""
tests/wire/test_bootstrap.py: how a device gets from TCP to its Init frame (§2.1).

Goal: both forms of the bootstrap work however the bytes are cut, everything else is answered as
HTTP or closed, and a connection that never finishes its request does not stay.
"""

import socket
import struct

from smqwire import PATH, WireTest, connect_frame, http_head, raw_frame, raw_only, subscribe, wire

WITH_RESPONSE = ("SimpleMQ: 1", "SendSmqHttpResponse: true")


@raw_only("the bootstrap is")
class BootstrapTest(WireTest):
    def speak(self, head, **options):
        """A connection on which @head was sent."""
        client = self.dial(**options)
        client.send(head)
        return client

    def assert_connects(self, client):
        """From here on @client is an ordinary SMQ connection."""
        client.read_init()
        client.send(connect_frame(self.new_uid()))
        client.read_connack()
        client.expect_nothing()

    def assert_answers(self, head, *statuses):
        """@head is refused with one of @statuses, and no SMQ frame."""
        status, headers = self.speak(head).read_http()
        self.assertIn(status, statuses)
        self.assertNotIn("smqbroker", headers)

    # -- the two forms --

    def test_without_the_response_header_the_first_byte_is_of_the_init_frame(self):
        for version in ("1.0", "1.1"):
            with self.subTest(version):
                self.assert_connects(self.speak(http_head(version=version)))

    def test_with_the_response_header_a_200_comes_before_the_init_frame(self):
        for version in ("1.0", "1.1"):
            with self.subTest(version):
                client = self.speak(http_head(version=version, headers=WITH_RESPONSE))
                self.assertTrue(client.read_until(b"\r\n").startswith(b"HTTP/1.1 200 OK"))
                headers = client.read_until(b"\r\n\r\n").decode().lower().split("\r\n")
                self.assertIn("smqbroker: true", headers)
                for header in headers:
                    self.assertFalse(
                        header.startswith(("content-length", "transfer-encoding")), header
                    )
                self.assert_connects(client)

    def test_the_original_clients_request_works(self):
        """What the C client sends: HTTP/1.0, a Host, its one header, nothing more."""
        self.assert_connects(self.speak(b"GET /smq.lsp HTTP/1.0\r\nHost: x\r\nSimpleMQ: 1\r\n\r\n"))

    def test_a_host_header_is_not_needed(self):
        self.assert_connects(self.speak(b"GET /smq.lsp HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n"))

    def test_header_names_are_compared_without_case(self):
        for header in ("simplemq: 1", "SIMPLEMQ: 1", "SimpleMq:1", "SimpleMQ:   1  "):
            with self.subTest(header):
                self.assert_connects(self.speak(http_head(headers=(header,))))
        for header in ("sendsmqhttpresponse:true", "SENDSMQHTTPRESPONSE:\t TRUE \t"):
            with self.subTest(header):
                client = self.speak(http_head(headers=("simplemq: 1", header)))
                self.assertEqual(client.read_http()[0], 200)
                self.assert_connects(client)

    def test_headers_that_mean_nothing_to_the_broker_are_passed_over(self):
        others = [f"X-Device-{i}: {'v' * i}" for i in range(20)]
        self.assert_connects(self.speak(http_head(headers=(*others, "SimpleMQ: 1", *others))))

    def test_a_query_after_the_path_is_accepted(self):
        self.assert_connects(self.speak(http_head(PATH + "?site=7&x=%20")))

    # -- however the bytes are cut --

    def test_a_head_sent_byte_by_byte_works(self):
        for headers in (("SimpleMQ: 1",), WITH_RESPONSE):
            client = self.dial()
            client.send_byte_by_byte(http_head(headers=headers))
            if headers is WITH_RESPONSE:
                self.assertEqual(client.read_http()[0], 200)
            self.assert_connects(client)

    def test_frames_in_the_heads_segment_are_not_lost(self):
        client = self.speak(
            http_head() + bytes(connect_frame(self.new_uid())) + bytes(subscribe("a"))
        )
        client.read_init()
        client.read_connack()
        self.assertEqual(client.expect_type(wire.SMQ_SUBACK).body[5:], b"a")

    def test_head_and_frames_may_be_cut_anywhere(self):
        for headers in (("SimpleMQ: 1",), WITH_RESPONSE):
            head = http_head(headers=headers)
            for cut in [*range(1, 4), *range(len(head) - 6, len(head) + 24)]:
                with self.subTest(cut=cut - len(head), headers=len(headers)):
                    client = self.dial()
                    frames = bytes(connect_frame(self.new_uid())) + bytes(subscribe("a"))
                    client.send_cut(head + frames, [cut])
                    if headers is WITH_RESPONSE:
                        self.assertEqual(client.read_http()[0], 200)
                    client.read_init()
                    client.read_connack()
                    client.expect_type(wire.SMQ_SUBACK)
                    client.close()

    def test_the_response_is_not_delayed_until_the_first_frame_comes(self):
        client = self.speak(http_head(headers=WITH_RESPONSE))
        self.assertEqual(client.read_http()[0], 200)
        client.read_init()

    # -- the Init frame --

    def test_init_names_the_clients_address(self):
        client = self.bootstrap()
        self.assertEqual(client.address_text, "127.0.0.1")

    def test_each_init_has_another_seed(self):
        seeds = {self.bootstrap().seed for _ in range(64)}
        self.assertGreater(len(seeds), 60)
        self.assertGreater(
            max(seeds) - min(seeds), 1 << 24, "32 random bits spread wider than this"
        )

    # -- what is not a broker's client --

    def test_without_the_simplemq_header_the_answer_is_404(self):
        self.assert_answers(http_head(headers=()), 404)
        self.assert_answers(http_head(headers=("SendSmqHttpResponse: true",)), 404)
        self.assert_answers(http_head(headers=("X-SimpleMQ: 1", "SimpleMQX: 1")), 404)

    def test_a_404_stays_a_404_when_simplemq_stands_in_the_query_or_in_a_value(self):
        self.assert_answers(http_head(PATH + "?SimpleMQ:1", headers=()), 404)
        self.assert_answers(http_head(headers=("X-Note: SimpleMQ: 1",)), 404)

    def test_an_unknown_path_is_404(self):
        for path in (
            "/none",
            "/smq.ls",
            "/smq.lspx",
            "/SMQ.LSP",
            "/smq.lsp/x",
            "//smq.lsp",
            "/x/smq.lsp",
        ):
            with self.subTest(path):
                self.assert_answers(http_head(path), 404)

    def test_other_methods_are_refused(self):
        for method in ("POST", "PUT", "DELETE", "CONNECT", "PATCH"):
            with self.subTest(method):
                self.assert_answers(http_head(method=method), 400, 404, 405, 501)

    def assert_refused_somehow(self, data):
        """Closed, with an HTTP error or without a word; no SMQ frame, and not left open."""
        client = self.dial()
        try:
            client.send(data)
            client.shut()
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was all sent
        except OSError:
            pass  # ... and gone when shut() came
        answer = client.read_all()
        self.assertRegex(answer, rb"\A\Z|\AHTTP/1\.[01] 4\d\d |\AHTTP/1\.[01] 50[15] ")

    def test_what_is_not_http_is_refused(self):
        for data in (
            b"\r\n\r\n\r\n\r\n",
            b"\0" * 100,
            b"\xff" * 3000,
            b"hello broker\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /smq.lsp\r\n\r\n",
            b"GET /smq.lsp FTP/1.0\r\nSimpleMQ: 1\r\n\r\n",
            b"GET /smq.lsp HTTP/1.0\r\nSimpleMQ 1\r\n\r\n",
            b"GET /smq.lsp HTTP/9.9999999999\r\nSimpleMQ: 1\r\n\r\n",
            b"GET /smq\0.lsp HTTP/1.0\r\nSimpleMQ: 1\r\n\r\n",
            bytes(connect_frame("device-1")),  # SMQ at once, without a bootstrap
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # a TLS ClientHello
        ):
            with self.subTest(data[:40]):
                self.assert_refused_somehow(data)

    def test_a_head_of_any_size_is_bounded(self):
        for data in (
            b"GET /" + b"a" * 300_000,
            b"GET /smq.lsp HTTP/1.0\r\n" + b"A" * 300_000,
            b"GET /smq.lsp HTTP/1.0\r\nX: " + b"y" * 300_000,
            b"GET /smq.lsp HTTP/1.0\r\n" + b"X: y\r\n" * 50_000,
        ):
            with self.subTest(data[:30]):
                self.assert_refused_somehow(data)

    def test_a_too_large_head_is_refused_though_it_is_complete(self):
        head = http_head(headers=("SimpleMQ: 1", "X-Large: " + "y" * 200_000))
        self.assert_refused_somehow(head)

    def assert_taken_or_refused(self, head):
        start = self.speak(head).read_bytes(12)
        self.assertTrue(start.startswith(b"HTTP/1.1 400") or start[2] == wire.SMQ_INIT, start)

    def test_bare_newlines_are_taken_or_refused_but_never_waited_on(self):
        """RFC 9112 §2.2 lets a server take LF alone for CRLF; it must not wait for a CRLF then."""
        self.assert_taken_or_refused(http_head(newline="\n"))

    def test_an_empty_line_before_the_request_is_taken_or_refused(self):
        """RFC 9112 §2.2 again: a server should ignore at least one."""
        self.assert_taken_or_refused(b"\r\n" + http_head())

    def test_a_client_that_leaves_anywhere_in_its_head_harms_nobody(self):
        head = http_head(headers=WITH_RESPONSE)
        for cut in range(len(head) + 1):
            client = self.dial()
            client.send(head[:cut])
            (client.close if cut % 2 else client.reset)()

    def test_half_closing_after_half_a_head_is_answered_by_a_close(self):
        client = self.speak(http_head()[:20])
        client.shut()
        self.assertRegex(client.read_all(), rb"\A\Z|\AHTTP/1\.1 4")


class UnfinishedTest(WireTest):
    """A connection that is not a client yet lives for limits.handshake_ms, whatever it does."""

    config = "limits { handshake_ms = 1500 }"

    def assert_ends(self, client):
        answer = client.read_all()
        self.assertRegex(answer, rb"\A\Z|\AHTTP/1\.1 408 ")

    def test_a_connection_that_says_nothing_is_closed(self):
        self.assert_ends(self.dial())

    def test_half_a_head_is_closed(self):
        client = self.dial()
        client.send(http_head()[:-2])
        self.assert_ends(client)

    def test_sending_a_byte_now_and_then_does_not_extend_the_time(self):
        """The deadline is for the whole handshake: restarted per byte, it would never end."""
        client = self.dial()
        client.socket.settimeout(0.05)
        for byte in http_head(headers=("X-Slow: " + "y" * 4000,)):
            try:
                client.socket.send(bytes([byte]))
                if not client.socket.recv(1000):
                    return
            except TimeoutError:
                continue  # nothing to read yet: the next byte
            except OSError:
                return
        self.fail("200 s of one byte every 50 ms, and still open")


class AddressTest(WireTest):
    args = (
        "--listen",
        "tcp://127.0.0.1:0",
        "--listen",
        "tcp://[::1]:0",
        "--listen",
        "tcp://[::]:0",
        "--set",
        "allow_anonymous=on",
    )

    def setUp(self):
        super().setUp()
        if not socket.has_ipv6:
            self.skipTest("no IPv6 here")

    def test_init_names_an_ipv4_address(self):
        self.assertEqual(self.bootstrap(listener=0).address_text, "127.0.0.1")

    def test_init_names_an_ipv6_address(self):
        self.assertEqual(self.bootstrap(listener=1).address_text, "::1")

    def test_init_names_an_ipv4_mapped_address_without_its_prefix(self):
        host, port = self.server.listeners[2]
        self.server.listeners[2] = ("127.0.0.1", port)
        self.addCleanup(self.server.listeners.__setitem__, 2, (host, port))
        client = self.dial(listener=2)
        if client.socket.family != socket.AF_INET:
            self.fail("this must be an IPv4 connection to an IPv6 listener")
        client.send(http_head())
        client.read_init()
        self.assertEqual(client.address_text, "127.0.0.1")


class InitBytesTest(WireTest):
    def test_the_init_frame_is_exactly_this(self):
        client = self.dial()
        client.send(http_head())
        start = client.read_bytes(8)
        length, frame_type, version = struct.unpack_from("!HBB", start)
        self.assertEqual((length, frame_type, version), (8 + len("127.0.0.1"), wire.SMQ_INIT, 1))
        self.assertEqual(client.read_bytes(len("127.0.0.1")), b"127.0.0.1")
        client.send(raw_frame(wire.SMQ_DISCONNECT))


if __name__ == "__main__":
    import unittest

    unittest.main()
