"""
tests/wire/test_keepalive.py: Ping, Pong, and the client that went away without a word (§4.15).

The server's times are short here (300 ms each); the tests only use that they pass, never that
they pass quickly.
"""

from smqwire import PING, PONG, Frame, WireTest, change, pubfrag, publish, raw_only, wire


class PingTest(WireTest):
    def test_a_ping_is_answered_by_a_pong(self):
        client = self.connect()
        client.send(PING)
        client.expect(PONG)

    def test_every_ping_has_its_pong(self):
        client = self.connect()
        client.send(*[PING] * 1000)
        client.expect(*[PONG] * 1000)
        client.expect_nothing()

    def test_a_pong_is_taken_silently(self):
        client = self.connect()
        client.send(*[PONG] * 100)
        client.expect_nothing()

    def test_a_ping_between_other_frames_is_answered(self):
        client = self.connect()
        client.send(
            publish(client.etid, client.etid, b"a"), PING, publish(client.etid, client.etid, b"b")
        )
        frames = client.read_frames(3)
        self.assertEqual(frames.count(PONG), 1)
        self.assertEqual([f.body[12:] for f in frames if f != PONG], [b"a", b"b"])

    def test_a_ping_with_a_body_is_taken_or_refused(self):
        client = self.connect()
        client.send(Frame(wire.SMQ_PING, b"x" * 100))
        self.assertIn(client.read_frame().type, (wire.SMQ_PONG, wire.SMQ_DISCONNECT))


class SilentTest(WireTest):
    """Long patience with the answer: here a test that is slow for a moment is not closed."""

    config = "keepalive { idle_ms = 300  answer_ms = 20000 }"

    def test_a_silent_client_is_pinged(self):
        self.connect().expect(PING)

    def test_a_client_that_answers_is_pinged_again(self):
        client = self.connect()
        for _ in range(4):
            client.expect(PING)
            client.send(PONG)
        client.answers_pings = True
        client.expect_nothing()

    def test_one_silence_is_one_ping(self):
        """No second Ping while the first is unanswered; another client's four are the clock."""
        silent, clock = self.connect(), self.connect()
        silent.expect(PING)
        for _ in range(4):
            clock.expect(PING)
            clock.send(PONG)
        silent.expect_nothing()

    def test_a_client_that_only_receives_is_pinged_too(self):
        """Sending to a client proves nothing: TCP takes bytes for a dead one for many minutes."""
        sender, receiver = self.connect(), self.connect()
        sender.answers_pings = True
        answered_count = 0
        while answered_count < 3:
            sender.publish(receiver.etid, b"something to read")
            sender.expect_nothing()
            if receiver.read_frame() == PING:
                receiver.send(PONG)
                answered_count += 1

    @raw_only("it sends a PubFrag")
    def test_pings_do_not_disturb_a_half_built_message(self):
        client = self.connect()
        client.send(pubfrag(0, client.etid, b"half "))
        client.expect(PING)
        client.answers_pings = True
        client.send(PONG, pubfrag(client.etid, client.etid, b"whole"))
        client.expect(publish(client.etid, client.etid, b"half whole"))

    def test_pings_do_not_disturb_half_a_frame(self):
        client = self.connect()
        frame = bytes(publish(client.etid, client.etid, b"late but whole"))
        client.send(frame[:10])
        client.expect(PING)
        client.send(frame[10:])
        client.answers_pings = True
        client.expect(publish(client.etid, client.etid, b"late but whole"))

    @raw_only("half a frame is not sent yet")
    def test_any_bytes_are_an_answer(self):
        """Half a frame is a sign of life as well, and what follows it is a new silence."""
        client = self.connect()
        client.expect(PING)
        client.send(bytes(PONG)[:2])
        client.expect(PING)
        client.send(bytes(PONG)[2:])
        client.expect(PING)


class LateTimerTest(WireTest):
    """One connection, several deadlines in turn: an earlier one must not wait for a later one."""

    config = "limits { handshake_ms = 3600000 } keepalive { idle_ms = 300  answer_ms = 3000 }"

    def test_a_long_handshake_deadline_does_not_delay_the_first_ping(self):
        self.connect().expect(PING)

    def test_nor_the_close_when_the_ping_is_not_answered(self):
        client = self.connect()
        client.expect(PING)
        client.read_all()


class GoneTest(WireTest):
    config = "keepalive { idle_ms = 300  answer_ms = 4000 }"

    def assert_pinged_then_closed(self, client):
        client.expect(PING)
        self.assertIn(client.read_all()[2:3], (b"", bytes([wire.SMQ_DISCONNECT])))

    def test_a_client_that_does_not_answer_is_closed(self):
        self.assert_pinged_then_closed(self.connect())

    def test_a_client_closed_for_silence_is_gone_for_its_observers(self):
        observer, client = self.connect(), self.connect()
        observer.answers_pings = client.answers_pings = True
        observer.observe_client(client)  # from here on it does not even read
        observer.expect(change(client.etid, 0))

    def test_three_hundred_silent_clients_are_all_closed(self):
        clients = self.connect_many(300)
        for client in clients:
            self.assert_pinged_then_closed(client)

    def test_those_closed_for_silence_are_counted(self):
        since = self.server.counter("closed.KEEPALIVE")
        self.assert_pinged_then_closed(self.connect())
        self.assert_counts("closed.KEEPALIVE", 1, since)


class PatientTest(WireTest):
    """Times as in the default config: nothing is pinged within a test."""

    def test_a_busy_client_is_not_pinged(self):
        client = self.connect()
        for _ in range(100):
            client.tell(client, b"busy")
        client.expect_nothing()
