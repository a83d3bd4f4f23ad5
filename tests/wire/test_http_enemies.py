"""
tests/wire/test_http_enemies.py: somebody with a socket, patience and bad intentions, at the pages.

Goal: what two readers of a request could read differently is refused and ends the connection; whoever
is slow, greedy or loud ends alone, and the others, devices and browsers, notice nothing.
"""

import contextlib
import json
import os

from smqwire import Closed, http_head
from test_http import JSON_HEADERS, HttpTest, LoginTest

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"  # a request inside another one's body


def request(line, *headers, body=b""):
    return "\r\n".join([line, "Host: h", *headers, "", ""]).encode("latin-1") + body


class TwoReadersTest(HttpTest):
    """Request smuggling: a proxy in front must not see other requests than we do (RFC 9112 §11.2)."""

    def assert_refused(self, data, *statuses):
        """One refusal, and the end: nothing of what follows is taken for a request."""
        for send in ("send", "send_byte_by_byte"):
            with self.subTest(data=data[:120], way=send):
                client = self.dial()
                # It may be refused before the last byte is there.
                with contextlib.suppress(OSError):
                    getattr(client, send)(data)
                self.assertIn(client.read_http()[0], statuses or (400,))
                self.assertNotIn(b"HTTP/1", client.read_all())

    def test_two_lengths_are_refused_even_when_they_agree(self):
        for first, second in ((5, 5), (0, 5), (5, 0), (len(HIDDEN), 0)):
            self.assert_refused(
                request(
                    "POST /api/login HTTP/1.1",
                    f"Content-Length: {first}",
                    f"Content-Length: {second}",
                    body=HIDDEN,
                )
            )

    def test_a_length_that_is_no_plain_number_is_refused(self):
        for length in ("5, 5", "+5", "-1", "0x5", "5 5", "", "five", "5\x0b", "9" * 30, "18446744073709551616"):
            self.assert_refused(
                request("POST /api/login HTTP/1.1", f"Content-Length: {length}", body=HIDDEN), 400, 413
            )

    def test_chunked_bodies_are_refused_with_and_without_a_length(self):
        chunked = b"0\r\n\r\n" + HIDDEN
        self.assert_refused(
            request("POST /api/login HTTP/1.1", "Transfer-Encoding: chunked", body=chunked), 411
        )
        for headers in (
            ("Content-Length: 5", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ):
            self.assert_refused(request("POST /api/login HTTP/1.1", *headers, body=chunked), 400, 411)

    def test_any_other_transfer_coding_is_refused(self):
        for coding in ("gzip", "identity", "xchunked", "chunked, identity", "gzip, chunked", "\x0bchunked", ""):
            for method in ("POST /api/login", "GET /healthz"):
                self.assert_refused(
                    request(f"{method} HTTP/1.1", f"Transfer-Encoding: {coding}", body=HIDDEN), 400, 411
                )

    def test_names_and_lines_that_others_read_otherwise_are_refused(self):
        for line in (
            "Content-Length : 5", " Content-Length: 5", "Content Length: 5", "Content-Length\t: 5",
            "X: a\r\n Content-Length: 5", "X: a\x00b", "X\x00: a", "X: a\rContent-Length: 5", ": x",
            "Content-Length: 5\r\n folded",
        ):
            self.assert_refused(request("GET /healthz HTTP/1.1", line))

    def test_request_lines_that_are_no_http_are_refused(self):
        for line in (
            "GET /healthz", "GET /healthz HTTP/1.1 x", "GET /a b HTTP/1.1",
            "GET /healthz HTTP/1.x", "GET /healthz HTTP/2.0", "GET /healthz HTTP/0.9", "GET\t/healthz HTTP/1.1",
            "GET healthz HTTP/1.1", "GET * HTTP/1.1", "CONNECT h:80 HTTP/1.1", "GET /\x00 HTTP/1.1",
        ):
            self.assert_refused(request(line), 400, 404, 405)

    def test_a_body_of_a_get_is_no_request(self):
        self.web.send(request("GET /healthz HTTP/1.1", f"Content-Length: {len(HIDDEN)}", body=HIDDEN))
        self.assertEqual(self.answer(self.web).status, 200)
        self.web.send(request("GET /nothing HTTP/1.1"))
        self.assertEqual(self.answer(self.web).status, 404)

    def test_a_body_of_an_upgrade_or_a_bootstrap_is_no_request(self):
        client = self.dial()
        client.send(http_head(version="1.1", headers=("SimpleMQ: 1", f"Content-Length: {len(HIDDEN)}")), HIDDEN)
        self.assertNotIn(b"alive", client.read_all())


class ContinueTest(HttpTest):
    """RFC 9110 §10.1.1."""

    def test_who_waits_for_100_before_the_body_gets_it(self):
        body = json.dumps({"user": "x"}).encode()
        head = request(
            "POST /api/login HTTP/1.1", *JSON_HEADERS, "Expect: 100-continue", f"Content-Length: {len(body)}"
        )
        for _ in range(2):
            self.web.send(head)
            self.assertEqual(self.web.read_http()[0], 100)
            self.web.send(body)
            self.assertEqual(self.answer(self.web).status, 400)
        self.web.send(head + body)  # has not waited
        self.assertEqual(self.answer(self.web).status, 400)

    def test_a_body_that_is_too_large_is_refused_before_it_is_sent(self):
        self.web.send(request("POST /api/login HTTP/1.1", "Expect: 100-continue", "Content-Length: 20000"))
        self.assertEqual(self.web.read_http()[0], 413)

    def test_http_1_0_knows_no_100(self):
        self.web.send(request("POST /api/login HTTP/1.0", "Expect: 100-continue", "Content-Length: 2"))
        self.web.send(b"{}")
        self.assertEqual(self.answer(self.web).status, 403)


class GreedyTest(HttpTest):
    """Few pages at a time, so that a test can take them all."""

    config = "limits { pages = 20 }"

    def is_served(self, reader):
        """No: 503, or a reset that has overtaken it, as requests nobody read were behind (RFC 9112 §9.6)."""
        try:
            status = reader.read_http()[0]
        except Closed:
            return False
        self.assertIn(status, (200, 503))
        return status == 200

    def test_readers_who_take_all_the_room_for_pages_keep_no_device_out(self):
        readers = [self.dial(receive_buffer_bytes=4096) for _ in range(40)]
        for reader in readers:
            reader.send(b"GET /rtl/smq.js HTTP/1.1\r\nHost: h\r\n\r\n" * 50)
        served_count = sum(self.is_served(reader) for reader in readers)
        self.assertEqual(served_count, 20)
        device = self.connect()
        device.tell(device, b"still here")
        for reader in readers:
            reader.reset()
        self.wait_until(lambda: self.ask("/healthz", client=self.dial()).status == 200, "room again")

    def test_answers_that_are_not_taken_are_bounded_for_each_reader(self):
        reader = self.dial(receive_buffer_bytes=4096)
        ask = b"GET /rtl/smq.js HTTP/1.1\r\nHost: h\r\n\r\n"
        with contextlib.suppress(OSError):
            for _ in range(200):
                reader.send(ask * 100)
        with contextlib.suppress(OSError):
            reader.read_all()  # it ends: a hang fails
        self.assertLess(self.server.counter("io.http_requests_total"), 1000)
        self.assertEqual(self.assert_status(200, "/healthz", client=self.dial()).body, b"alive\n")

    def test_heads_and_bodies_that_never_end_hold_nobody_up(self):
        halves = [self.dial() for _ in range(100)]
        for number, half in enumerate(halves):
            if number % 2:
                half.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 7000)
            else:
                half.send(b"POST /api/login HTTP/1.1\r\nHost: h\r\nContent-Length: 16384\r\n\r\n" + b"x" * 16000)
        self.assertEqual(self.assert_status(200, "/healthz").body, b"alive\n")
        device = self.connect()
        device.tell(device, b"still here")

    def test_a_giant_cookie_is_431_and_a_large_one_is_none(self):
        answer = self.ask("/api/session", "Cookie: " + "a=b; " * 1400)
        self.assertEqual(answer.status, 401)
        self.web.send(b"GET /api/session HTTP/1.1\r\nHost: h\r\nCookie: " + b"a=b; " * 1700 + b"\r\n\r\n")
        self.assertEqual(self.web.read_http()[0], 431)


class ReadersTest(HttpTest):
    """Words for those who take places of readers of pages."""

    def read_page(self, source):
        """A connection, and whether it was given what it asked for."""
        reader = self.dial(source=source)
        reader.send(b"GET /rtl/smq.js HTTP/1.1\r\nHost: h\r\n\r\n")
        status, headers = reader.read_http()
        self.assertIn(status, (200, 503))
        if status == 200:
            reader.read_bytes(int(headers["content-length"]))
        return reader, status == 200

    def is_served(self, source):
        return self.read_page(source)[1]


class PageRoomTest(ReadersTest):
    config = 'limits { pages = 16  handshake_ms = 1h  exempt_addresses = "127.0.0.1" }'

    def test_others_leave_some_to_exempt_addresses_and_who_is_refused_is_counted(self):
        since = self.server.counter("io.refused_pages_total")
        served = [self.is_served("127.0.0.2") for _ in range(20)]
        self.assertEqual(served, [True] * 14 + [False] * 6)
        served = [self.is_served("127.0.0.1") for _ in range(4)]
        self.assertEqual(served, [True] * 2 + [False] * 2)
        self.assert_counts("io.refused_pages_total", 8, since)


class PageRoomPerAddressTest(ReadersTest):
    config = (
        'limits { pages = 16  pages_per_address = 3  handshake_ms = 1h  exempt_addresses = "127.0.0.1" }'
    )

    def setUp(self):
        super().setUp()
        self.assert_status(200, "/healthz")  # self.web is there; it takes one place itself
        self.wait_until(lambda: self.server.counter("io.open") == 1, "earlier ones are gone")

    def assert_full(self, source):
        since = self.server.counter("io.refused_address_pages_total")
        self.assertFalse(self.is_served(source))
        self.assert_counts("io.refused_address_pages_total", 1, since)

    def test_one_address_cannot_take_the_places_of_others_and_an_exempt_one_may_have_any_number(self):
        since = self.server.counter("io.refused_address_pages_total")
        served = [self.is_served("127.0.0.2") for _ in range(10)]
        self.assertEqual(served, [True] * 3 + [False] * 7)
        self.assert_counts("io.refused_address_pages_total", 7, since)
        self.assert_counts("io.refused_pages_total", 0)
        self.server.wait_for_log("WARNING address.refused address=127.0.0.2 why=pages_per_address")
        for source in ("127.0.0.3", "127.0.0.4"):
            self.assertEqual([self.is_served(source) for _ in range(4)], [True] * 3 + [False])
        self.assertEqual([self.is_served("127.0.0.1") for _ in range(6)], [True] * 6)

    def test_who_leaves_gives_his_place_back(self):
        readers = [self.read_page("127.0.0.2")[0] for _ in range(3)]
        self.assert_full("127.0.0.2")
        readers[0].close()
        self.wait_until(lambda: self.is_served("127.0.0.2"), "there is room again")

    def test_who_goes_on_as_a_device_reads_no_pages_any_more(self):
        readers = [self.read_page("127.0.0.2")[0] for _ in range(3)]
        readers[0].send(http_head())
        readers[0].read_init()
        self.assertTrue(self.is_served("127.0.0.2"))
        self.assert_full("127.0.0.2")


class PatientTest(HttpTest):
    """Whatever it sends, a request is whole within limits.handshake_ms."""

    config = "limits { handshake_ms = 1500 }"

    def trickle(self, first, rest):
        """@rest byte by byte, each when nothing has come for a moment, until the server has enough."""
        client = self.dial()
        client.send(first)
        client.socket.settimeout(0.05)
        heard = b""
        for byte in rest:
            try:
                client.socket.send(bytes([byte]))
                data = client.socket.recv(1000)
                heard += data
                if not data:
                    return heard
            except TimeoutError:
                continue  # nothing yet: the next byte
            except OSError:
                return heard
        self.fail("200 s of one byte every 50 ms, and still open")

    def test_a_slow_head_is_408(self):
        heard = self.trickle(b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"x" * 4000)
        self.assertRegex(heard, rb"\A\Z|\AHTTP/1\.1 408 ")

    def test_a_slow_body_is_408(self):
        heard = self.trickle(
            b"POST /api/login HTTP/1.1\r\nHost: h\r\nContent-Length: 4001\r\n\r\n", b"x" * 4000
        )
        self.assertRegex(heard, rb"\A\Z|\AHTTP/1\.1 408 ")


class ManyLoginsTest(LoginTest):
    SESSIONS_MAX = 256  # webui/sessions.h

    def test_sessions_are_bounded_and_the_newest_stay(self):
        first = self.log_in()
        for _ in range(self.SESSIONS_MAX):
            last = self.log_in()
        self.assert_status(401, "/api/session", first)
        self.assert_status(200, "/api/session", last)
        self.assert_becomes("web.sessions", self.SESSIONS_MAX)

    def test_who_uses_his_session_keeps_it_while_others_log_in(self):
        mine = self.log_in()
        for _ in range(self.SESSIONS_MAX + 10):
            self.log_in()
            self.assert_status(200, "/api/session", mine)

    def test_cookies_that_nobody_was_given_take_no_place(self):
        mine = self.log_in()
        self.assert_status(200, "/api/session", mine)  # the log-in is counted before that is answered
        before = self.server.counter("web.sessions")
        for _ in range(500):
            self.assert_status(401, "/api/session", f"Cookie: smqd_session={os.urandom(16).hex()}")
        self.assert_becomes("web.sessions", before)
        self.assert_status(200, "/api/session", mine)


if __name__ == "__main__":
    import unittest

    unittest.main()
