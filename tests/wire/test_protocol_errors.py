"""
tests/wire/test_protocol_errors.py: bad input of any kind closes that connection with a reason and
costs nobody else anything (§4.18).

Method: a bystander with a subscription and an observation lives through each class; it must see
exactly what it should.
"""

import contextlib
import os
import random

from smqwire import (
    PING,
    PONG,
    WireTest,
    change,
    connect_frame,
    create,
    createsub,
    disconnect,
    http_head,
    observe,
    publish,
    pubfrag,
    raw_frame,
    subscribe,
    unobserve,
    unsubscribe,
    wire,
)

FROM_SERVER_ONLY = [value for value, _, sender in wire.packets.values() if sender == "SERVER"]
RESERVED = [0, 10, *range(20, 256)]


class ProtocolErrorTest(WireTest):
    def setUp(self):
        super().setUp()
        self.bystander = self.connect()
        self.tid = self.bystander.subscribe(self.topic("bystander"))

    def tearDown(self):
        """The bystander still works, and was sent nothing that was not for it."""
        self.bystander.publish(self.tid, b"untouched")
        self.bystander.expect(publish(self.tid, self.bystander.etid, b"untouched"))
        self.bystander.expect_nothing()
        super().tearDown()

    def assert_closes(self, *data):
        """@data ends a connection: a Disconnect with a short reason first, then the close."""
        client = self.connect()
        client.send(*data)
        frame = client.expect_type(wire.SMQ_DISCONNECT)
        self.assertTrue(0 < len(frame.body) <= 200, frame)
        self.assertTrue(frame.body.decode("ascii").isprintable(), "a reason is for people")
        client.expect_closed()
        client.close()

    def test_a_reserved_type_closes(self):
        for frame_type in RESERVED:
            with self.subTest(frame_type=frame_type):
                self.assert_closes(raw_frame(frame_type))

    def test_a_reserved_type_closes_whatever_its_body(self):
        for frame_type in (0, 10, 20, 255):
            for body in (b"x", bytes(12), b"y" * 65532):
                self.assert_closes(raw_frame(frame_type, body))

    def test_a_type_only_a_server_sends_closes(self):
        self.assertEqual(sorted(FROM_SERVER_ONLY), [1, 3, 5, 7, 16, 18])
        for frame_type in FROM_SERVER_ONLY:
            with self.subTest(frame_type=frame_type):
                self.assert_closes(raw_frame(frame_type, bytes(8) + b"a name"))

    def test_a_frame_shorter_than_its_own_header_closes(self):
        for length in range(wire.SMQ_HEADER_BYTES):
            for frame_type in (wire.SMQ_PING, wire.SMQ_PUBLISH, 0):
                with self.subTest(length=length, frame_type=frame_type):
                    self.assert_closes(raw_frame(frame_type, length=length))

    def test_a_body_shorter_than_its_fixed_fields_closes(self):
        for name, (frame_type, body_bytes_min, sender) in wire.packets.items():
            if sender == "SERVER" or name == "CONNECT":
                continue
            for length in range(body_bytes_min):
                with self.subTest(name=name, length=length):
                    self.assert_closes(raw_frame(frame_type, bytes(length)))

    def test_the_reasons_differ(self):
        """Each tells what was wrong, so that a developer of a client need not guess."""
        reasons = set()
        for data in (
            raw_frame(99),
            raw_frame(wire.SMQ_PING, length=2),
            raw_frame(wire.SMQ_PUBLISH, b""),
        ):
            client = self.connect()
            client.send(data)
            reasons.add(client.expect_type(wire.SMQ_DISCONNECT).body)
        self.assertEqual(len(reasons), 3, reasons)

    def test_an_error_is_noticed_behind_valid_frames_and_ends_the_rest(self):
        """What came before it is done, though not always answered; nothing after it is."""
        client = self.connect()
        before, after = publish(self.tid, client.etid, b"before"), publish(
            self.tid, client.etid, b"after"
        )
        client.send(PING, before, raw_frame(99), after)
        client.expect(PONG)
        client.expect_disconnect()
        self.bystander.expect(before)
        self.bystander.expect_nothing_about(self.topic("bystander"))

    def test_an_error_is_noticed_though_it_comes_byte_by_byte(self):
        client = self.connect()
        client.send_byte_by_byte(bytes(PING) + raw_frame(77))
        client.expect(PONG)
        client.expect_disconnect()

    def test_a_bad_length_is_noticed_at_once_and_not_waited_on(self):
        """Two bytes that say "0 bytes" are enough; waiting for a third would be a hang."""
        client = self.connect()
        client.send(b"\0\2\x0c")
        client.expect_disconnect()

    def test_the_reason_arrives_though_the_client_goes_on_sending(self):
        for _ in range(10):
            client = self.connect()
            with contextlib.suppress(OSError):
                client.send(raw_frame(99), *[raw_frame(wire.SMQ_SUBSCRIBE, b"x" * 1000)] * 200)
            client.expect_disconnect()

    def test_the_largest_frame_of_every_type_harms_nobody(self):
        body = os.urandom(wire.SMQ_FRAME_BYTES_MAX - wire.SMQ_HEADER_BYTES)
        for frame_type in range(24):
            client = self.connect()
            with contextlib.suppress(OSError):
                client.send(raw_frame(frame_type, body))
                client.shut()
            client.read_all()

    def test_random_bytes_after_connack_harm_nobody(self):
        dice = random.Random(5)
        for _ in range(60):
            client = self.connect()
            with contextlib.suppress(OSError):
                client.send(dice.randbytes(dice.choice((1, 2, 3, 10, 100, 5000))))
                client.shut()
            client.read_all()

    def test_random_frames_after_connack_harm_nobody(self):
        """Right lengths, random types and bodies: further into the broker than random bytes get."""
        dice = random.Random(6)
        for _ in range(100):
            client = self.connect()
            with contextlib.suppress(OSError):
                for _ in range(50):
                    body = dice.randbytes(dice.choice((0, 1, 4, 8, 12, 13, 40)))
                    frame_type = dice.choice((4, 6, 8, 9, 12, 13, 14, 15, 17, 19))
                    if frame_type in (wire.SMQ_PUBLISH, wire.SMQ_PUBFRAG) and len(body) >= 12:
                        body = body[:4] + client.etid.to_bytes(4, "big") + body[8:]
                    client.send(raw_frame(frame_type, body))
                client.shut()
            client.read_all()

    def test_one_wrong_bit_anywhere_in_a_conversation_harms_nobody(self):
        dice = random.Random(7)
        for _ in range(150):
            data = bytearray(self.conversation())
            bit = dice.randrange(len(data) * 8)
            data[bit // 8] ^= 1 << bit % 8
            client = self.dial()
            with contextlib.suppress(OSError):
                client.send(data)
                client.shut()
            client.read_all()

    # -- whole conversations, cut --

    def conversation(self):
        """One of each frame that asks for something, from the first byte on; no ETID needed."""
        topic = self.topic("conversation")
        return b"".join(
            map(
                bytes,
                (
                    http_head(),
                    connect_frame(self.new_uid(), b"creds", b"info", version=2),
                    PING,
                    PONG,
                    subscribe(topic),
                    create(topic),
                    createsub(topic),
                    subscribe(b""),
                    observe(0x12345678),
                    unobserve(0x12345678),
                    unsubscribe(0x12345678),
                ),
            )
        )

    def expect_conversation(self, client):
        client.read_init()
        client.read_connack()
        frames = client.read_frames(6)
        self.assertEqual(
            sorted(frame.type for frame in frames),
            sorted(
                (
                    wire.SMQ_PONG,
                    wire.SMQ_SUBACK,
                    wire.SMQ_CREATEACK,
                    wire.SMQ_CREATESUBACK,
                    wire.SMQ_SUBACK,
                    wire.SMQ_CHANGE,
                )
            ),
        )
        self.assertIn(change(0x12345678, 0), frames)
        client.send(disconnect("done"))
        client.expect_closed()

    def test_a_conversation_byte_by_byte_is_the_same_conversation(self):
        client = self.dial()
        client.send_byte_by_byte(self.conversation())
        self.expect_conversation(client)

    def test_a_conversation_in_one_piece_is_the_same_conversation(self):
        client = self.dial()
        client.send(self.conversation())
        self.expect_conversation(client)

    def test_a_conversation_cut_anywhere_is_the_same_conversation(self):
        dice = random.Random(8)
        for _ in range(60):
            client, data = self.dial(), self.conversation()
            client.send_cut(data, dice.sample(range(1, len(data)), dice.randrange(1, 12)))
            self.expect_conversation(client)
            client.close()

    def test_a_client_may_close_at_any_byte_of_a_conversation(self):
        for cut in range(len(self.conversation())):
            client = self.dial()
            client.send(self.conversation()[:cut])
            (client.close, client.reset, client.shut)[cut % 3]()
            if cut % 3 == 2:
                client.read_all()

    def test_a_client_may_close_at_any_byte_of_a_publish(self):
        for cut in range(1, 60):
            client = self.connect()
            data = bytes(publish(self.tid, client.etid, b"whole")) + bytes(
                pubfrag(0, client.etid, b"half a message")
            )
            client.send(data[:cut])
            client.shut()
            client.read_all()
            if cut >= wire.SMQ_PUBLISH_HEADER_BYTES + len(b"whole"):
                self.bystander.expect(publish(self.tid, client.etid, b"whole"))


class CountedTest(WireTest):
    def test_protocol_errors_are_counted(self):
        since = self.server.counter("closed.PROTOCOL")
        for data in (raw_frame(99), b"\0\2\0", raw_frame(wire.SMQ_PUBLISH)):
            client = self.connect()
            client.send(data)
            client.expect_disconnect()
        self.assert_counts("closed.PROTOCOL", 3, since)
