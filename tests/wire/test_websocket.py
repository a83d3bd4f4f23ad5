"""
tests/wire/test_websocket.py: WebSocket on the real server (§2.2, RFC 6455).

Goal: an upgrade is answered as browsers check it; what breaks a rule ends with the right code; a
browser and a device on one port talk to each other. The session itself is tested by running the
other files over WebSocket: tests/wire/run.py --ws.
"""

import struct

from smqwire import (
    PATH,
    WireTest,
    connect_frame,
    publish,
    raw_only,
    subscribe,
    wire,
)
from smqws import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    split_server_frame,
    upgrade_head,
    ws_accept,
    ws_frame,
    ws_key,
)


@raw_only("they speak WebSocket by themselves")
class WebSocketTest(WireTest):
    config = 'instance "/smq.lsp" {}\ninstance "/picky" { origins = "self https://pages.example" }'

    def upgrade(self, path=PATH, headers=()):
        client = self.dial()
        key = ws_key()
        client.send(upgrade_head(path, key, headers))
        return client, key

    def open(self, path=PATH, headers=()):
        client, key = self.upgrade(path, headers)
        status, answer = client.read_http()
        self.assertEqual(status, 101)
        self.assertEqual(answer["sec-websocket-accept"], ws_accept(key))
        self.assertEqual(answer["upgrade"].lower(), "websocket")
        self.assertEqual(answer["connection"].lower(), "upgrade")
        for absent in ("sec-websocket-extensions", "sec-websocket-protocol", "content-length"):
            self.assertNotIn(absent, answer)
        init = self.read_message(client)
        self.assertEqual(init[:2], bytes([wire.SMQ_INIT, wire.SMQ_PROTOCOL_VERSION]))
        self.assertEqual(init[6:], b"127.0.0.1")
        return client

    def join(self):
        client = self.open()
        client.send(ws_frame(bytes(connect_frame(self.new_uid()))[2:]))
        connack = self.read_message(client)
        self.assertEqual(connack[:2], bytes([wire.SMQ_CONNACK, wire.SMQ_CONNACK_ACCEPTED]))
        client.etid = struct.unpack_from("!I", connack, 2)[0]
        return client

    def read_frame(self, client):
        """(opcode, payload) of the next frame."""
        while not (frame := split_server_frame(client.buffer)):
            if not client._fill():
                self.fail(f"closed; have {bytes(client.buffer)!r}")
        opcode, payload, client.buffer = frame
        return opcode, payload

    def read_message(self, client):
        opcode, payload = self.read_frame(client)
        self.assertEqual(opcode, BINARY)
        return payload

    def assert_closed_with(self, client, code):
        opcode, payload = self.read_frame(client)
        self.assertEqual(opcode, CLOSE, payload)
        self.assertEqual(struct.unpack_from("!H", payload)[0], code)
        client.send(ws_frame(payload[:2], CLOSE))
        client.expect_closed()

    def assert_alive(self, client):
        client.send(ws_frame(bytes([wire.SMQ_PING])))
        self.assertEqual(self.read_message(client), bytes([wire.SMQ_PONG]))

    # -- the upgrade --

    def test_the_answer_to_the_key_is_the_one_of_the_rfc(self):
        client = self.dial()
        client.send(upgrade_head(PATH, "dGhlIHNhbXBsZSBub25jZQ=="))
        status, answer = client.read_http()
        self.assertEqual((status, answer["sec-websocket-accept"]), (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))

    def test_an_upgrade_elsewhere_than_on_a_broker_is_refused(self):
        client, _ = self.upgrade("/elsewhere")
        self.assertIn(client.read_http()[0], (400, 404))

    def test_another_version_is_told_which_one_is_spoken(self):
        client = self.dial()
        client.send(upgrade_head(PATH, ws_key()).replace(b"Version: 13", b"Version: 8"))
        status, answer = client.read_http()
        self.assertEqual((status, answer["sec-websocket-version"]), (426, "13"))

    def test_a_bad_key_is_a_bad_request(self):
        for key in ("", "short", "x" * 24, "dGhlIHNhbXBsZSBub25jZQ==x"):
            client = self.dial()
            client.send(upgrade_head(PATH, key))
            self.assertEqual(client.read_http()[0], 400, key)

    def test_only_pages_of_allowed_origins_connect_where_the_config_asks_for_it(self):
        for origin, status in (
            ("https://pages.example", 101),
            ("http://localhost", 101),
            ("https://LOCALHOST", 101),
            ("https://evil.example", 403),
            ("https://pages.example.evil.example", 403),
            ("null", 403),
        ):
            client, _ = self.upgrade("/picky", (f"Origin: {origin}",))
            self.assertEqual(client.read_http()[0], status, origin)
        self.open("/picky")  # no browser: no Origin
        self.open(PATH, ("Origin: https://evil.example",))

    def test_an_upgrade_cut_anywhere_works(self):
        head = upgrade_head(PATH, ws_key())
        for cut in range(1, len(head), 7):
            client = self.dial()
            client.send_cut(head, [cut])
            self.assertEqual(client.read_http()[0], 101)
            client.close()

    # -- messages --

    def test_browsers_and_devices_on_one_port_talk_to_each_other(self):
        browser, device = self.join(), self.connect()
        topic = self.topic()
        tid = device.subscribe(topic)
        browser.send(ws_frame(bytes(subscribe(topic))[2:]))
        self.assertEqual(self.read_message(browser)[0], wire.SMQ_SUBACK)
        for size in (0, 1, 110, 111, 112, 113, 114, 115, 1000, 1024, 65500, 65520):
            for sender in (browser, device):
                frame = publish(tid, sender.etid, b"x" * size, 7)
                if sender is browser:
                    browser.send(ws_frame(bytes(frame)[2:]))
                else:
                    device.send(frame)
                device.expect(frame)
                self.assertEqual(self.read_message(browser), bytes(frame)[2:])

    def test_a_message_may_come_in_fragments_with_control_frames_between(self):
        client = self.join()
        whole = bytes(publish(client.etid, client.etid, b"piece by piece"))[2:]
        for step in (1, 3, 10):
            pieces = [whole[at : at + step] for at in range(0, len(whole), step)]
            for index, piece in enumerate(pieces):
                client.send(
                    ws_frame(
                        piece, CONTINUATION if index else BINARY, final=index == len(pieces) - 1
                    )
                )
                if index == 1:
                    client.send(ws_frame(b"between", PING))
            self.assertEqual(self.read_frame(client), (PONG, b"between"))
            self.assertEqual(self.read_message(client), whole)

    def test_frames_cut_anywhere_are_read(self):
        client = self.join()
        frame = ws_frame(bytes(publish(client.etid, client.etid, b"y" * 200))[2:])
        for cut in range(1, len(frame)):
            client.send_cut(frame, [cut])
            self.assertEqual(len(self.read_message(client)), 213)

    def test_many_messages_in_one_segment_arrive_in_order(self):
        client = self.join()
        frames = [bytes(publish(client.etid, client.etid, b"%d" % i))[2:] for i in range(500)]
        client.send(b"".join(map(ws_frame, frames)))
        for frame in frames:
            self.assertEqual(self.read_message(client), frame)

    def test_pings_are_answered_with_their_payload(self):
        client = self.join()
        for payload in (b"", b"x", b"z" * 125):
            client.send(ws_frame(payload, PING))
            self.assertEqual(self.read_frame(client), (PONG, payload))
        client.send(ws_frame(b"nobody asked", PONG))
        self.assert_alive(client)

    # -- rules broken --

    def test_what_breaks_a_rule_ends_with_its_code(self):
        for what, data, code in (
            ("text", ws_frame(b"hello", TEXT), 1003),
            ("text in pieces", ws_frame(b"hel", TEXT, final=False), 1003),
            ("a frame without a mask", ws_frame(b"\x0c", mask=b""), 1002),
            ("a reserved bit", ws_frame(b"\x0c", first=0xC2), 1002),
            ("an unknown opcode", ws_frame(b"\x0c", opcode=3), 1002),
            ("an unknown control opcode", ws_frame(b"", opcode=11), 1002),
            ("a long ping", ws_frame(b"x" * 126, PING), 1002),
            ("a ping in pieces", ws_frame(b"x", PING, final=False), 1002),
            ("nothing to continue", ws_frame(b"\x0c", CONTINUATION), 1002),
            ("a message in a message", ws_frame(b"\x0c", final=False) + ws_frame(b"\x0c"), 1002),
            ("a length too long", ws_frame(b"\x0c", length_bytes=2), 1002),
            ("a length far too long", ws_frame(b"\x0c", length_bytes=8), 1002),
            ("a huge message", b"\x82\xff" + struct.pack("!Q", 1 << 40), 1009),
            ("a large message", ws_frame(b"\x08" + b"x" * 65533), 1009),
            ("half a close code", ws_frame(b"\x03", CLOSE), 1002),
            ("a close code nobody may send", ws_frame(b"\x03\xee", CLOSE), 1002),
        ):
            with self.subTest(what):
                client = self.join()
                client.send(data)
                self.assert_closed_with(client, code)

    def test_a_protocol_error_is_told_in_smq_and_then_closed(self):
        client = self.join()
        client.send(ws_frame(bytes(publish(1, client.etid + 1, b"not mine"))[2:]))
        self.assertEqual(self.read_message(client), bytes([wire.SMQ_DISCONNECT]) + b"corrupt frame")
        self.assert_closed_with(client, 1008)

    def test_pubfrag_closes_a_websocket(self):
        client = self.join()
        client.send(ws_frame(bytes([wire.SMQ_PUBFRAG]) + struct.pack("!III", 0, client.etid, 0)))
        self.assertEqual(self.read_message(client)[0], wire.SMQ_DISCONNECT)
        self.assert_closed_with(client, 1008)

    def test_an_empty_message_is_malformed(self):
        client = self.join()
        client.send(ws_frame(b""))
        self.assertEqual(self.read_message(client)[0], wire.SMQ_DISCONNECT)
        self.assert_closed_with(client, 1008)

    # -- the end --

    def test_a_close_is_answered_with_its_code(self):
        for payload, answer in ((b"", b""), (b"\x03\xe9bye", b"\x03\xe9"), (b"\x0f\xa0", b"\x0f\xa0")):
            client = self.join()
            client.send(ws_frame(payload, CLOSE))
            self.assertEqual(self.read_frame(client), (CLOSE, answer))
            client.expect_closed()

    def test_an_smq_disconnect_is_answered_by_a_close(self):
        client = self.join()
        client.send(ws_frame(bytes([wire.SMQ_DISCONNECT])))
        opcode, payload = self.read_frame(client)
        self.assertEqual((opcode, payload), (CLOSE, b"\x03\xe8"))
        client.expect_closed()

    def test_a_connection_that_read_a_page_may_upgrade(self):
        """Found by a fuzzer: its place was given back twice, and the server ended."""
        for _ in range(3):
            client = self.dial()
            client.send(b"GET /nothing-here HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status, answer = client.read_http()
            self.assertEqual(status, 404)
            client.read_bytes(int(answer["content-length"]))
            client.send(upgrade_head(PATH, ws_key()), ws_frame(bytes(connect_frame(self.new_uid()))[2:]))
            self.assertEqual(client.read_http()[0], 101)
            self.assertEqual(self.read_message(client)[0], wire.SMQ_INIT)
            self.assertEqual(self.read_message(client)[:2], bytes([wire.SMQ_CONNACK, 0]))
            client.close()
        self.assert_alive(self.join())

    def test_upgrades_are_counted(self):
        before = self.server.counter("io.websockets_total")
        self.join()
        self.assert_counts("io.websockets_total", 1, before)


@raw_only("they speak WebSocket by themselves")
class DrainTest(WireTest):
    def test_a_drain_closes_without_a_disconnect_so_that_pages_come_back(self):
        client = self.dial()
        client.send(upgrade_head(PATH, ws_key()), ws_frame(bytes(connect_frame(self.new_uid()))[2:]))
        self.assertEqual(client.read_http()[0], 101)
        types = []
        while len(types) < 2:
            while not (frame := split_server_frame(client.buffer)):
                client._fill()
            opcode, payload, client.buffer = frame
            types.append(payload[0])
        self.assertEqual(types, [wire.SMQ_INIT, wire.SMQ_CONNACK])
        self.server.stop()
        rest = bytes(client.buffer) + client.read_all()
        opcode, payload, rest = split_server_frame(rest)
        self.assertEqual((opcode, payload, rest), (CLOSE, b"\x03\xe9", b""))

    def tearDown(self):
        """The server has ended."""
