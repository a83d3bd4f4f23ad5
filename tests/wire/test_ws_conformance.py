"""
tests/wire/test_ws_conformance.py: the WebSocket layer by itself, judged from outside on web.echo.

Goal: what RFC 6455 allows comes back unchanged, in whatever pieces it came; what it forbids ends the
connection with the code the RFC names.
Method: one after the other the cases that conformance suites of this protocol are known for (sizes at
the edges of the three lengths, fragments with control frames between, reserved bits, opcodes, UTF-8,
close codes), each sent whole and chopped into single bytes. Then other people's clients (see Outside).
"""

import asyncio
import struct
import sys
import unittest

from smqwire import HANG_S, TLS_DIR, WireTest, raw_only, tls_context
from smqws import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    TEXT,
    split_server_frame,
    upgrade_head,
    ws_accept,
    ws_frame,
    ws_key,
)

ECHO = "/echo"
MESSAGE_BYTES_MAX = 65533  # a raw SMQ frame less its length
CONTROL_BYTES_MAX = 125

GOOD_TEXTS = (
    "", "plain", "Hello-µ@ßöäüàá-UTF-8!!", "\u0000", "\u007f\u0080", "\u07ff\u0800", "\ud7ff\ue000",
    "\uffff", "\U00010000", "\U0010ffff", "κόσμε", "\ufdd0\ufffe", "\U0001f600 in a text",
)  # fmt: skip
BAD_TEXTS = (
    b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc2", b"\xc2\xc2", b"\xe0\x80\x80", b"\xe0\x9f\xbf",
    b"\xe1\x80", b"\xe1\x80\xc0", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80",
    b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80", b"\xf0\x90\x80\x41", b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff",
    "κόσμε".encode() + b"\xed\xa0\x80edited", b"good until here\xce",
)  # fmt: skip
GOOD_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
              4000, 4999)  # fmt: skip
BAD_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)


class EchoTest(WireTest):
    args = (
        "--set", f"web.echo={ECHO}",
        "--set", "limits.handshake_ms=60000",  # an echo never says Connect
    )  # fmt: skip

    def open(self):
        client = self.dial()
        key = ws_key()
        client.send(upgrade_head(ECHO, key))
        status, answer = client.read_http()
        self.assertEqual((status, answer["sec-websocket-accept"]), (101, ws_accept(key)))
        return client

    def read_frame(self, client):
        """(opcode, payload) of the next frame."""
        while not (frame := split_server_frame(client.buffer)):
            if not client._fill():
                self.fail(f"closed; have {bytes(client.buffer)!r}")
        opcode, payload, client.buffer = frame
        return opcode, payload

    def assert_heard(self, client, *frames):
        for opcode, payload in frames:
            heard, echoed = self.read_frame(client)
            self.assertEqual(heard, opcode, echoed[:80])
            self.assertTrue(echoed == payload, f"{len(echoed)} bytes, not the {len(payload)} sent")

    def assert_closed_with(self, client, code):
        opcode, payload = self.read_frame(client)
        self.assertEqual(opcode, CLOSE, payload[:80])
        self.assertEqual(struct.unpack_from("!H", payload)[0], code, payload)
        client.send(ws_frame(payload[:2], CLOSE))
        client.expect_closed()

    def each_way(self, data):
        """A client that got @data whole, then one that got it byte by byte."""
        for send in ("send", "send_byte_by_byte"):
            with self.subTest(way=send, data=bytes(data[:40])):
                client = self.open()
                getattr(client, send)(data)
                yield client
                client.close()


@raw_only("they speak WebSocket by themselves")
class AllowedTest(EchoTest):
    def test_messages_of_every_size_at_the_edges_of_the_lengths(self):
        client = self.open()
        for opcode in (TEXT, BINARY):
            for size in (0, 1, 124, 125, 126, 127, 128, 65532, MESSAGE_BYTES_MAX):
                payload = b"*" * size
                client.send(ws_frame(payload, opcode))
                self.assert_heard(client, (opcode, payload))

    def test_they_may_come_in_chops_of_any_size(self):
        for size in (0, 125, 126, 127, 128, 1000):
            for client in self.each_way(ws_frame(b"*" * size)):
                self.assert_heard(client, (BINARY, b"*" * size))
        client = self.open()
        data = ws_frame(b"+" * MESSAGE_BYTES_MAX, TEXT)
        for chop in (997, 1024, 4093, 32768):
            client.send_cut(data, range(chop, len(data), chop))
            self.assert_heard(client, (TEXT, b"+" * MESSAGE_BYTES_MAX))

    def test_any_mask_is_taken_off(self):
        client = self.open()
        for mask in (bytes(4), b"\xff" * 4, b"\1\2\3\4", b"\0\0\0\x80"):
            for size in range(20):
                client.send(ws_frame(bytes(range(size)), mask=mask))
                self.assert_heard(client, (BINARY, bytes(range(size))))

    def test_fragments_are_put_together(self):
        for pieces in ((b"", b""), (b"", b"", b""), (b"", b"x", b""), (b"ab", b"cd"), (b"x" * 126,) * 9):
            for opcode in (TEXT, BINARY):
                for client in self.each_way(self.fragments(opcode, pieces)):
                    self.assert_heard(client, (opcode, b"".join(pieces)))

    @staticmethod
    def fragments(opcode, pieces, between=b""):
        last = len(pieces) - 1
        frames = [
            ws_frame(piece, CONTINUATION if i else opcode, final=i == last)
            for i, piece in enumerate(pieces)
        ]
        return between.join(frames)

    def test_control_frames_come_between_fragments_and_are_answered_at_once(self):
        ping = ws_frame(b"between", PING) + ws_frame(b"nobody asked", PONG)
        for client in self.each_way(self.fragments(TEXT, (b"one ", b"two ", b"three"), ping)):
            self.assert_heard(
                client, (PONG, b"between"), (PONG, b"between"), (TEXT, b"one two three")
            )

    def test_a_message_of_a_thousand_fragments(self):
        client = self.open()
        client.send(self.fragments(BINARY, [b"%d " % i for i in range(1000)]))
        self.assert_heard(client, (BINARY, b"".join(b"%d " % i for i in range(1000))))

    def test_one_message_after_the_other_keeps_its_kind(self):
        data = self.fragments(TEXT, (b"a", b"b")) + ws_frame(b"c") + self.fragments(BINARY, (b"d", b"e"))
        for client in self.each_way(data):
            self.assert_heard(client, (TEXT, b"ab"), (BINARY, b"c"), (BINARY, b"de"))

    def test_pings_of_every_size_are_answered_in_order(self):
        payloads = [bytes(255 - i for i in range(size)) for size in (0, 1, 12, 124, CONTROL_BYTES_MAX)]
        for client in self.each_way(b"".join(ws_frame(each, PING) for each in payloads)):
            self.assert_heard(client, *((PONG, each) for each in payloads))

    def test_pongs_nobody_asked_for_are_ignored(self):
        for client in self.each_way(ws_frame(b"", PONG) + ws_frame(b"x" * 125, PONG) + ws_frame(b"", PING)):
            self.assert_heard(client, (PONG, b""))

    def test_text_is_utf_8_wherever_it_is_cut(self):
        client = self.open()
        for text in GOOD_TEXTS:
            data = text.encode("utf-8", "surrogatepass")
            client.send(ws_frame(data, TEXT))
            self.assert_heard(client, (TEXT, data))
            for cut in range(1, len(data)):
                client.send(self.fragments(TEXT, (data[:cut], data[cut:])))
                self.assert_heard(client, (TEXT, data))


@raw_only("they speak WebSocket by themselves")
class ForbiddenTest(EchoTest):
    def assert_fails(self, code, *data):
        """Each of @data, alone and behind a good message, ends a connection with @code."""
        for each in data:
            for client in self.each_way(ws_frame(b"good") + each):
                self.assert_heard(client, (BINARY, b"good"))
                self.assert_closed_with(client, code)

    def test_reserved_bits(self):
        for bits in range(1, 8):
            for opcode in (TEXT, BINARY, PING, CLOSE):
                self.assert_fails(1002, ws_frame(b"x", first=FIN | bits << 4 | opcode))
        for bits in (1, 2, 4):
            self.assert_fails(
                1002, ws_frame(b"x", final=False) + ws_frame(b"y", first=FIN | bits << 4 | CONTINUATION)
            )

    def test_opcodes_that_are_not_in_use(self):
        for opcode in (*range(3, 8), *range(11, 16)):
            self.assert_fails(1002, ws_frame(b"", opcode), ws_frame(b"payload", opcode))

    def test_lengths_that_are_longer_than_needed(self):
        for size, length_bytes in ((0, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8)):
            self.assert_fails(1002, ws_frame(b"x" * size, length_bytes=length_bytes)[:60])
        self.assert_fails(1002, b"\x82\xff" + struct.pack("!Q", 1 << 63 | 5))

    def test_messages_that_are_too_large(self):
        for size in (MESSAGE_BYTES_MAX + 1, 65535, 65536, 1 << 20, (1 << 63) - 1):
            length = b"\xfe" + struct.pack("!H", size) if size < 65536 else b"\xff" + struct.pack("!Q", size)
            self.assert_fails(1009, b"\x82" + length)
        client = self.open()
        client.send(ws_frame(b"x" * 40000, final=False), ws_frame(b"x" * 40000, CONTINUATION))
        self.assert_closed_with(client, 1009)

    def test_frames_without_a_mask(self):
        for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
            self.assert_fails(1002, ws_frame(b"", opcode, mask=b""), ws_frame(b"x", opcode, mask=b""))

    def test_control_frames_that_are_long_or_in_pieces(self):
        for opcode in (PING, PONG, CLOSE):
            self.assert_fails(1002, ws_frame(b"\x03\xe8" + b"x" * 124, opcode)[:60])
            self.assert_fails(1002, ws_frame(b"\x03\xe8", opcode, final=False))

    def test_fragments_out_of_order(self):
        for data in (
            ws_frame(b"x", CONTINUATION),
            ws_frame(b"x", CONTINUATION, final=False),
            ws_frame(b"x", final=False) + ws_frame(b"y"),
            ws_frame(b"x", final=False) + ws_frame(b"y", TEXT, final=False),
            ws_frame(b"", final=False) + ws_frame(b"", BINARY),
        ):
            self.assert_fails(1002, data)

    def test_text_that_is_not_utf_8(self):
        for text in BAD_TEXTS:
            self.assert_fails(1007, ws_frame(text, TEXT))
            self.assert_fails(
                1007, ws_frame(text[:1], TEXT, final=False) + ws_frame(text[1:], CONTINUATION)
            )


@raw_only("they speak WebSocket by themselves")
class CloseTest(EchoTest):
    def test_good_codes_come_back(self):
        for code in GOOD_CODES:
            payload = struct.pack("!H", code)
            for client in self.each_way(ws_frame(payload + b"a reason", CLOSE)):
                self.assert_heard(client, (CLOSE, payload))
                client.expect_closed()

    def test_bad_codes_do_not(self):
        for code in BAD_CODES:
            for client in self.each_way(ws_frame(struct.pack("!H", code), CLOSE)):
                self.assert_closed_with(client, 1002)

    def test_no_code_is_answered_with_none_and_half_a_code_with_an_error(self):
        for client in self.each_way(ws_frame(b"", CLOSE)):
            self.assert_heard(client, (CLOSE, b""))
            client.expect_closed()
        for client in self.each_way(ws_frame(b"\x03", CLOSE)):
            self.assert_closed_with(client, 1002)

    def test_reasons_up_to_the_room_of_a_control_frame(self):
        for size in (1, 122, CONTROL_BYTES_MAX - 2):
            for client in self.each_way(ws_frame(b"\x03\xe8" + b"*" * size, CLOSE)):
                self.assert_heard(client, (CLOSE, b"\x03\xe8"))
                client.expect_closed()

    def test_a_reason_is_utf_8(self):
        for text in GOOD_TEXTS:
            data = text.encode("utf-8", "surrogatepass")
            for client in self.each_way(ws_frame(b"\x03\xe8" + data, CLOSE)):
                self.assert_heard(client, (CLOSE, b"\x03\xe8"))
                client.expect_closed()
        for text in BAD_TEXTS:
            for client in self.each_way(ws_frame(b"\x03\xe8" + text, CLOSE)):
                self.assert_closed_with(client, 1007)

    def test_what_follows_a_close_is_not_read(self):
        for late in (ws_frame(b"late"), ws_frame(b"late", PING), ws_frame(b"", CLOSE), ws_frame(b"", 3)):
            client = self.open()
            client.send(ws_frame(b"\x03\xe8", CLOSE) + late)
            self.assert_heard(client, (CLOSE, b"\x03\xe8"))
            client.expect_closed()

    def test_a_close_within_a_message_ends_it(self):
        for client in self.each_way(ws_frame(b"x", final=False) + ws_frame(b"\x03\xe9", CLOSE)):
            self.assert_heard(client, (CLOSE, b"\x03\xe9"))
            client.expect_closed()


@raw_only("they speak WebSocket by themselves")
class OffTest(WireTest):
    def test_there_is_no_echo_unless_the_config_asks_for_one(self):
        client = self.dial()
        client.send(upgrade_head(ECHO, ws_key()))
        self.assertIn(client.read_http()[0], (400, 404))


def find_websockets():
    """Debian's python3-websockets, also for a Python that is not Debian's; or None."""
    try:
        import websockets
    except ImportError:
        sys.path.append("/usr/lib/python3/dist-packages")
        try:
            import websockets
        except ImportError:
            return None
        finally:
            sys.path.pop()
    return websockets


@raw_only("they speak WebSocket by themselves")
class OutsideTest(EchoTest):
    """Another implementation's client, strict in what it takes: Python's websockets."""

    def test_python_websockets_hears_what_it_says(self):
        websockets = find_websockets()
        if websockets is None:
            raise unittest.SkipTest("python3-websockets is not installed")
        asyncio.run(asyncio.wait_for(self.talk(websockets), HANG_S))

    async def talk(self, websockets):
        host, port = self.server.listeners[0]
        context = tls_context(f"{TLS_DIR}/ca.crt") if TLS_DIR else None
        url = f"{'wss' if context else 'ws'}://{host}:{port}{ECHO}"
        async with websockets.connect(url, ssl=context, max_size=1 << 20) as line:
            self.assertIsNone(line.subprotocol)
            for size in (0, 125, 126, 127, 128, 1000, 65532, MESSAGE_BYTES_MAX):
                for message in (bytes(size), "x" * size):
                    await line.send(message)
                    self.assertEqual(await line.recv(), message)
            await line.send(["in ", "three ", "pieces: é"])  # it makes fragments of a list
            self.assertEqual(await line.recv(), "in three pieces: é")
            await (await line.ping(b"are you there"))
        self.assertEqual((line.close_code, line.close_reason), (1000, ""))
        async with websockets.connect(url, ssl=context) as line:
            await line.send(bytes(MESSAGE_BYTES_MAX + 1))
            with self.assertRaises(websockets.ConnectionClosedError):
                await line.recv()
            self.assertEqual(line.close_code, 1009)
