"""
tests/wire/test_handshake.py: Init, Connect, Connack (§3, §4.1).

Goal: a well-formed Connect gets an ETID, any other one a Connack that says why, and the bytes of
that answer arrive before the close.
"""

import statistics
import struct

from smqwire import (
    PING,
    Frame,
    WireTest,
    connect_frame,
    create,
    disconnect,
    http_head,
    publish,
    raw_frame,
    subscribe,
    wire,
)

UID = b"device-1"


class HandshakeTest(WireTest):
    def answer_to(self, *frames):
        """A connection that got its Init and then sent @frames."""
        client = self.bootstrap()
        client.send(*frames)
        return client

    def assert_accepted(self, frame):
        client = self.answer_to(frame)
        etid = client.read_connack()
        client.publish(etid, b"to myself")
        client.expect(publish(etid, etid, b"to myself"))
        client.close()

    def assert_refused(self, frame, code=wire.SMQ_CONNACK_BAD_CONNECT):
        client = self.answer_to(frame)
        client.expect_refused(code)
        client.close()

    # -- accepted --

    def test_version_1_is_accepted(self):
        self.assert_accepted(connect_frame(self.new_uid()))

    def test_version_2_is_accepted_with_any_max(self):
        for max_record in (0, 1, 256, 257, 1000, 8192, 8193, 65535):
            with self.subTest(max_record=max_record):
                self.assert_accepted(
                    connect_frame(self.new_uid(), version=2, max_record=max_record)
                )

    def test_a_connack_that_accepts_is_a_zero_and_the_etid(self):
        client = self.answer_to(connect_frame(self.new_uid()))
        frame = client.expect_type(wire.SMQ_CONNACK)
        self.assertEqual(frame.body[0], wire.SMQ_CONNACK_ACCEPTED)
        self.assertGreaterEqual(len(frame.body), 5)

    def test_credentials_and_info_may_be_there(self):
        self.assert_accepted(connect_frame(self.new_uid(), b"user:password", b"an info text"))
        self.assert_accepted(connect_frame(self.new_uid(), b"user:password", b"", version=2))
        self.assert_accepted(connect_frame(self.new_uid(), b"", b"\0\xff", version=2))

    def test_the_largest_uid_and_credentials_are_accepted(self):
        uid = self.new_uid().ljust(wire.SMQ_UID_BYTES_MAX, b"u")
        for version in (1, 2):
            self.assert_accepted(connect_frame(uid, b"c" * 255, b"i" * 2000, version=version))

    def test_the_shortest_uid_is_accepted(self):
        self.assert_accepted(connect_frame(b"\0\xff\0\xff\0\xff"))
        self.assertEqual(wire.SMQ_UID_BYTES_MIN, 6)

    def test_a_connect_sent_byte_by_byte_is_accepted(self):
        for version in (1, 2):
            client = self.bootstrap()
            client.send_byte_by_byte(
                connect_frame(self.new_uid(), b"creds", b"info", version=version)
            )
            client.read_connack()

    def test_a_whole_conversation_in_one_segment_is_answered_in_order(self):
        client = self.dial()
        names = [self.topic(str(i)).encode() for i in range(50)]
        client.send(http_head(), connect_frame(self.new_uid()), *map(create, names), PING)
        client.read_init()
        client.read_connack()
        frames = client.read_frames(51)
        self.assertEqual({f.body[5:] for f in frames if f.type == wire.SMQ_CREATEACK}, set(names))
        self.assertEqual(sum(f.type == wire.SMQ_PONG for f in frames), 1)

    # -- the ETID --

    def test_everyone_gets_an_etid_of_his_own(self):
        etids = [client.etid for client in self.connect_many(100)]
        self.assertEqual(len(set(etids)), 100)

    def test_etids_are_random_over_32_bits(self):
        etids = [client.etid for client in self.connect_many(64)]
        steps = {b - a for a, b in zip(etids, etids[1:])}
        self.assertGreater(len(steps), 60, "they must not be sequential")
        # 64 random numbers: one in each quarter misses with (3/4)^64, about 1e-8.
        self.assertEqual({etid >> 30 for etid in etids}, {0, 1, 2, 3})
        self.assertGreater(statistics.pstdev(etids), 1 << 28)

    # -- refused --

    def test_an_unknown_version_is_refused(self):
        for version in (0, 3, 4, 127, 255):
            with self.subTest(version=version):
                self.assert_refused(connect_frame(UID, version=version))

    def test_a_uid_under_six_bytes_is_refused(self):
        for length in range(wire.SMQ_UID_BYTES_MIN):
            for version in (1, 2):
                with self.subTest(length=length, version=version):
                    self.assert_refused(
                        connect_frame(b"abcdef"[:length], b"creds", b"info", version=version)
                    )

    def test_a_connect_cut_off_at_any_byte_is_refused(self):
        for version in (1, 2):
            whole = connect_frame(UID, b"creds", version=version).body
            for length in range(wire.packets["CONNECT"][1], len(whole)):
                with self.subTest(length=length, version=version):
                    self.assert_refused(Frame(wire.SMQ_CONNECT, whole[:length]))

    def test_a_connect_shorter_than_any_can_be_is_refused_or_closed(self):
        for body in (b"", b"\1", b"\2", b"\1\0", b"\2\0", b"\1\6"):
            client = self.answer_to(Frame(wire.SMQ_CONNECT, body))
            answer = client.read_all()
            if answer:
                self.assertEqual(answer[2:8], bytes([wire.SMQ_CONNACK, 1]) + bytes(4), answer)

    def test_lengths_inside_a_connect_that_point_outside_are_refused(self):
        for body in (
            b"\1" + bytes([200]) + UID + b"\0",  # the UID ends far outside
            b"\1" + bytes([len(UID) + 1]) + UID + b"\0",  # the UID takes the credentials' length
            b"\1" + bytes([len(UID)]) + UID + b"\1",  # credentials of 1 byte that is not there
            b"\1" + bytes([len(UID)]) + UID + b"\xff" + b"c" * 254,
            b"\2\0\0" + bytes([255]) + UID + b"\0",
            b"\2\0\0" + bytes([len(UID)]) + UID + b"\xff",
        ):
            with self.subTest(body[:20]):
                self.assert_refused(Frame(wire.SMQ_CONNECT, body))

    def test_anything_but_connect_first_is_refused(self):
        for frame_type in [*range(0, 24), 100, 128, 255]:
            if frame_type == wire.SMQ_CONNECT:
                continue
            with self.subTest(frame_type=frame_type):
                client = self.answer_to(Frame(frame_type, bytes(12)))
                answer = client.read_all()
                if answer:  # a Connack 1, and nothing else
                    self.assertEqual(answer[2:8], bytes([wire.SMQ_CONNACK, 1]) + bytes(4), answer)
                    self.assertEqual(struct.unpack("!H", answer[:2])[0], len(answer))

    def test_a_ping_before_connect_gets_no_pong(self):
        answer = self.answer_to(PING, connect_frame(self.new_uid())).read_all()
        self.assertFalse(answer.startswith(bytes(Frame(wire.SMQ_PONG, b""))))
        self.assertNotEqual(
            answer[2:4], bytes([wire.SMQ_CONNACK, 0]), "the Connect must not count any more"
        )

    def test_nothing_after_a_refused_connect_is_done(self):
        watcher = self.connect()
        tid = watcher.subscribe(self.topic())
        client = self.answer_to(
            connect_frame(b"short"),
            connect_frame(self.new_uid()),
            subscribe("x"),
            publish(tid, 0, b"no"),
        )
        client.expect_refused(wire.SMQ_CONNACK_BAD_CONNECT)
        watcher.expect_nothing_about(self.topic())

    def test_the_refusal_arrives_though_the_client_goes_on_sending(self):
        """Closing a socket with unread bytes sends RST, which may destroy the answer on its way."""
        for _ in range(10):
            client = self.bootstrap()
            try:
                client.send(
                    connect_frame(b"short"), *[raw_frame(wire.SMQ_SUBSCRIBE, b"x" * 1000)] * 200
                )
            except (BrokenPipeError, ConnectionResetError):
                pass  # the server need not read all of it
            client.expect_refused(wire.SMQ_CONNACK_BAD_CONNECT)

    # -- once only --

    def test_a_second_connect_is_a_protocol_error(self):
        client = self.connect()
        client.send(connect_frame(client.uid))
        client.expect_disconnect()

    # -- clients that leave half-way --

    def test_a_client_that_leaves_anywhere_in_its_connect_harms_nobody(self):
        data = http_head() + bytes(connect_frame(b"leaver-" + self.new_uid(), b"creds", version=2))
        for cut in range(len(http_head()), len(data)):
            client = self.dial()
            client.send(data[:cut])
            (client.close if cut % 2 else client.reset)()

    def test_a_client_that_leaves_at_once_after_connect_is_seen_to_leave(self):
        """A Publish to the topic it subscribed to reaches the others, and only them."""
        watcher = self.connect()
        tid = watcher.subscribe(self.topic())
        for way in ("close", "reset"):
            client = self.dial()
            client.send(
                http_head(), connect_frame(self.new_uid()), subscribe(self.topic()), disconnect()
            )
            getattr(client, way)()
        observer = self.connect()
        observer.send(publish(tid, observer.etid, b"on"))
        watcher.expect(publish(tid, observer.etid, b"on"))


class DeadlineTest(WireTest):
    config = "limits { handshake_ms = 1500 }"

    def test_a_connect_that_does_not_come_gets_connack_2_and_the_close(self):
        self.bootstrap().expect_refused(wire.SMQ_CONNACK_UNAVAILABLE)

    def test_half_a_connect_gets_connack_2_and_the_close(self):
        client = self.bootstrap()
        client.send(bytes(connect_frame(UID))[:-1])
        client.expect_refused(wire.SMQ_CONNACK_UNAVAILABLE)

    def test_the_deadline_is_over_once_connected(self):
        late, client = self.bootstrap(), self.connect()
        late.expect_refused(wire.SMQ_CONNACK_UNAVAILABLE)  # so its time has passed for both
        client.expect_nothing()

    def test_late_ones_are_counted(self):
        since = self.server.counter("closed.HANDSHAKE_TIMEOUT")
        for client in [self.bootstrap() for _ in range(5)]:
            client.expect_refused(wire.SMQ_CONNACK_UNAVAILABLE)
        self.assert_counts("closed.HANDSHAKE_TIMEOUT", 5, since)
