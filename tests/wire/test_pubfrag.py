"""
tests/wire/test_pubfrag.py: a message sent in pieces (§4.17).
"""

import contextlib
import os
import random

from smqwire import PING, PONG, Frame, WireTest, change, pubfrag, publish, raw_only, subscribe, wire

PAYLOAD_BYTES_MAX = wire.SMQ_PAYLOAD_BYTES_MAX


@raw_only("PubFrag is")
class PubFragTest(WireTest):
    config = "limits { queue_bytes = 4194304 }"

    def setUp(self):
        super().setUp()
        self.sender, self.receiver = self.connect(), self.connect()
        self.tid = self.receiver.subscribe(self.topic("to"))

    def send_pieces(self, payload, sizes, sender=None, destination=None):
        """Send @payload cut into pieces of @sizes bytes; the rest is the last piece."""
        sender, pieces = sender or self.sender, []
        for size in sizes:
            pieces.append(pubfrag(0, sender.etid, payload[:size]))
            payload = payload[size:]
        sender.send(*pieces, pubfrag(destination or self.tid, sender.etid, payload))

    def expect_payload(self, payload, stid=0):
        self.receiver.expect(publish(self.tid, self.sender.etid, payload, stid))

    def expect_nothing_more(self):
        self.sender.expect_nothing_about(self.topic("to"))
        self.receiver.expect_nothing_about(self.topic("to"))

    # -- what arrives --

    def test_pieces_arrive_as_one_publish_in_the_order_sent(self):
        self.send_pieces(b"one two three", (4, 4))
        self.expect_payload(b"one two three")
        self.expect_nothing_more()

    def test_nothing_arrives_before_the_last_piece(self):
        self.sender.send(pubfrag(0, self.sender.etid, b"half "))
        self.expect_nothing_more()
        self.sender.send(pubfrag(self.tid, self.sender.etid, b"whole"))
        self.expect_payload(b"half whole")

    def test_a_single_last_piece_is_a_whole_message(self):
        self.sender.send(pubfrag(self.tid, self.sender.etid, b"alone", stid=5))
        self.expect_payload(b"alone", stid=5)

    def test_the_last_pieces_sub_topic_counts(self):
        etid = self.sender.etid
        self.sender.send(
            pubfrag(0, etid, b"a", stid=1),
            pubfrag(0, etid, b"b", stid=2),
            pubfrag(self.tid, etid, b"c", stid=3),
        )
        self.expect_payload(b"abc", stid=3)

    def test_empty_pieces_add_nothing(self):
        self.send_pieces(b"xy", (0, 1, 0, 0, 1, 0))
        self.expect_payload(b"xy")
        self.send_pieces(b"", (0, 0))
        self.expect_payload(b"")

    def test_pieces_go_to_a_client_as_well(self):
        self.send_pieces(b"to one client", (3,), destination=self.receiver.etid)
        self.receiver.expect(publish(self.receiver.etid, self.sender.etid, b"to one client"))

    def test_pieces_to_nobody_are_dropped_and_forgotten(self):
        self.send_pieces(b"to nobody", (3,), destination=0x12345678)
        self.send_pieces(b"to somebody", (3,))
        self.expect_payload(b"to somebody")

    def test_each_message_starts_empty(self):
        for i in range(50):
            payload = f"message {i}".encode() * (1 + i % 5)
            self.send_pieces(payload, (i % 3, 5))
            self.expect_payload(payload)

    def test_a_message_in_pieces_of_any_size_arrives_whole(self):
        dice = random.Random(4)
        for _ in range(30):
            payload = os.urandom(dice.randrange(PAYLOAD_BYTES_MAX + 1))
            self.send_pieces(
                payload, [dice.randrange(1, 5000) for _ in range(len(payload) // 6000)]
            )
            self.expect_payload(payload)

    def test_a_message_sent_byte_by_byte_arrives_whole(self):
        etid = self.sender.etid
        self.sender.send_byte_by_byte(
            bytes(pubfrag(0, etid, b"slow"))
            + bytes(pubfrag(0, etid, b" and "))
            + bytes(pubfrag(self.tid, etid, b"sure"))
        )
        self.expect_payload(b"slow and sure")

    def test_sixty_five_thousand_pieces_of_one_byte_make_the_largest_message(self):
        payload = os.urandom(PAYLOAD_BYTES_MAX)
        self.send_pieces(payload, [1] * (PAYLOAD_BYTES_MAX - 1))
        self.expect_payload(payload)

    def test_order_holds_between_pieces_and_plain_messages(self):
        for i in range(20):
            self.send_pieces(f"pieces {i}".encode(), (2, 2))
            self.sender.publish(self.tid, f"plain {i}")
        for i in range(20):
            self.expect_payload(f"pieces {i}".encode())
            self.expect_payload(f"plain {i}".encode())

    # -- what may come between the pieces --

    def test_other_frames_may_come_between_pieces(self):
        etid = self.sender.etid
        self.sender.send(
            pubfrag(0, etid, b"first "),
            publish(self.tid, etid, b"between"),
            PING,
            subscribe(self.topic("other")),
            pubfrag(self.tid, etid, b"second"),
        )
        self.expect_payload(b"between")
        self.expect_payload(b"first second")
        frames = self.sender.read_frames(2)
        self.assertIn(PONG, frames)
        self.assertIn(wire.SMQ_SUBACK, {frame.type for frame in frames})

    def test_two_senders_pieces_are_not_mixed(self):
        other = self.connect()
        for piece in (b"a", b"b", b"c"):
            for client in (self.sender, other):
                client.send(pubfrag(0, client.etid, piece + str(client.etid).encode()))
                client.expect_nothing()
        for client in (self.sender, other):
            client.send(pubfrag(self.tid, client.etid))
            etid = str(client.etid).encode()
            self.receiver.expect(
                publish(self.tid, client.etid, b"a" + etid + b"b" + etid + b"c" + etid)
            )

    # -- the limit --

    def test_the_largest_message_in_pieces_arrives(self):
        payload = os.urandom(PAYLOAD_BYTES_MAX)
        for sizes in ((PAYLOAD_BYTES_MAX,), (1,), (PAYLOAD_BYTES_MAX - 1,), (30000, 30000), (0,)):
            self.send_pieces(payload, sizes)
            self.expect_payload(payload)

    def test_one_byte_over_the_limit_closes(self):
        for sizes in ((PAYLOAD_BYTES_MAX,), (1,), (40000,), (20000, 20000, 20000)):
            with self.subTest(sizes=sizes):
                sender = self.connect()
                self.send_pieces(bytes(PAYLOAD_BYTES_MAX + 1), sizes, sender)
                sender.expect_disconnect()
        self.receiver.expect_nothing_about(self.topic("to"))

    def test_pieces_over_the_limit_close_before_the_last_one_comes(self):
        self.sender.send(*[pubfrag(0, self.sender.etid, bytes(30000))] * 3)
        self.sender.expect_disconnect()

    def test_endless_pieces_are_not_kept(self):
        with contextlib.suppress(OSError):  # closed while we were still sending
            for _ in range(200):
                self.sender.send(*[pubfrag(0, self.sender.etid, bytes(1000))] * 100)
        goodbye = self.sender.read_all()  # ends: the server closed
        self.assertIn(goodbye[2:3], (b"", bytes([wire.SMQ_DISCONNECT])))

    # -- whose it is --

    def test_a_foreign_publishers_id_is_a_corrupt_frame_in_every_piece(self):
        for lie in range(3):
            sender = self.connect()
            etids = [sender.etid] * 3
            etids[lie] = self.receiver.etid
            sender.send(*[pubfrag((0, 0, self.tid)[i], etid, b"x") for i, etid in enumerate(etids)])
            sender.expect_disconnect("corrupt frame")
        self.receiver.expect_nothing_about(self.topic("to"))

    def test_a_piece_shorter_than_its_fields_closes(self):
        for length in range(12):
            sender = self.connect()
            sender.send(pubfrag(0, sender.etid, b"x"), Frame(wire.SMQ_PUBFRAG, bytes(length)))
            sender.expect_disconnect()

    def test_half_a_message_vanishes_with_its_connection(self):
        observer = self.connect()
        for way in ("close", "reset"):
            sender = self.connect()
            observer.observe_client(sender)
            sender.send(pubfrag(0, sender.etid, b"never finished"))
            sender.expect_nothing()
            getattr(sender, way)()
            observer.expect(change(sender.etid, 0))
        self.receiver.expect_nothing_about(self.topic("to"))

    def test_many_half_messages_vanish_and_leave_room(self):
        """Half-built messages are the client's memory: 60 MB of them, in turns, must not add up."""
        for _ in range(10):
            senders = self.connect_many(100)
            for sender in senders:
                sender.send(pubfrag(0, sender.etid, bytes(60000)))
            for sender in senders:
                sender.expect_nothing()
                sender.close()
