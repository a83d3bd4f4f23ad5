"""
tests/wire/test_order.py: what one publisher sends to one destination arrives in that order, at
every receiver, once (§4.11).

Method: payloads carry a number; the receivers run in threads of their own, so nobody's queue
grows to its limit because the test is not reading.
"""

import contextlib
import random
import signal

from smqwire import (
    Pace,
    WireTest,
    create,
    disconnect,
    in_threads,
    publish,
    subscribe,
    unsubscribe,
    wire,
)

MESSAGES_COUNT = 5000
AHEAD_COUNT = 500  # a publisher is never further ahead of its slowest receiver than this
ROOMY = "limits { queue_bytes = 4194304 }"  # these tests are about order, not about slow receivers


class OrderTest(WireTest):
    config = ROOMY

    def run_row(self, payloads, receivers, destination, publisher, chunk=None):
        """@publisher sends @payloads to @destination; each of @receivers gets just that row."""
        pace = Pace(AHEAD_COUNT, len(receivers))

        def send():
            for start in range(0, len(payloads), 100):
                pace.wait_for_room(start)
                frames = [
                    publish(destination, publisher.etid, p) for p in payloads[start : start + 100]
                ]
                data = b"".join(map(bytes, frames))
                cuts = sorted(random.sample(range(1, len(data)), chunk)) if chunk else []
                publisher.send_cut(data, cuts)

        def receive(index):
            for payload in payloads:
                receivers[index].expect(publish(destination, publisher.etid, payload))
                pace.heard(index)

        in_threads(send, *[lambda i=i: receive(i) for i in range(len(receivers))])

    def test_a_row_to_a_topic_arrives_in_order_at_every_subscriber(self):
        publisher, *receivers = self.connect_many(5)
        tid = [client.subscribe(self.topic()) for client in receivers][0]
        self.run_row([str(i).encode() for i in range(MESSAGES_COUNT)], receivers, tid, publisher)
        for client in receivers:
            client.expect_nothing_about(self.topic())

    def test_a_row_to_a_client_arrives_in_order(self):
        publisher, receiver = self.connect(), self.connect()
        row = [str(i).encode() for i in range(MESSAGES_COUNT)]
        self.run_row(row, [receiver], receiver.etid, publisher)
        receiver.expect_nothing()

    def test_a_row_to_oneself_arrives_in_order(self):
        client = self.connect()
        self.run_row(
            [str(i).encode() for i in range(MESSAGES_COUNT)], [client], client.etid, client
        )

    def test_a_row_of_many_sizes_arrives_in_order(self):
        """Small ones are copied and large ones shared inside; the order must not notice."""
        publisher, *receivers = self.connect_many(3)
        tid = [client.subscribe(self.topic()) for client in receivers][0]
        sizes = random.Random(1).choices((1, 30, 100, 900, 1100, 3000, 4096), k=2000)
        row = [f"{i} ".encode() + b"x" * size for i, size in enumerate(sizes)]
        self.run_row(row, receivers, tid, publisher)

    def test_a_row_of_large_messages_arrives_in_order(self):
        publisher, receiver = self.connect(), self.connect()
        tid = receiver.subscribe(self.topic())
        for i in range(100):
            frames = [
                publish(tid, publisher.etid, f"{i} {j} ".encode() + b"x" * 65000) for j in range(4)
            ]
            publisher.send(*frames)
            receiver.expect(*frames)

    def test_a_row_cut_at_random_bytes_arrives_in_order(self):
        publisher, receiver = self.connect(), self.connect()
        row = [f"{i} ".encode() + b"y" * (i % 50) for i in range(3000)]
        self.run_row(row, [receiver], receiver.etid, publisher, chunk=25)

    def test_rows_of_many_publishers_are_each_in_order(self):
        receiver, *publishers = self.connect_many(8)
        tid = receiver.subscribe(self.topic())
        count = 500
        paces = {client.etid: Pace(AHEAD_COUNT) for client in publishers}

        def send(client):
            for i in range(count):
                paces[client.etid].wait_for_room(i)
                client.publish(tid, str(i))

        def receive():
            row = {client.etid: 0 for client in publishers}
            for _ in range(count * len(publishers)):
                frame = receiver.read_frame()
                etid = frame.u32(4)
                self.assertEqual(frame, publish(tid, etid, str(row[etid])))
                row[etid] += 1
                paces[etid].heard(0)
            receiver.expect_nothing_about(self.topic())

        in_threads(receive, *[lambda c=client: send(c) for client in publishers])

    def test_rows_to_alternating_destinations_are_each_in_order(self):
        """A, B, A, B ... breaks every run of equal destinations that a broker might merge."""
        publisher, first, second = self.connect_many(3)
        tids = [first.subscribe(self.topic("a")), second.subscribe(self.topic("b"))]
        tids.append(first.subscribe(self.topic("both")))
        second.subscribe(self.topic("both"))
        to = [random.Random(2).choice(tids) for _ in range(1000)]
        publisher.send(*[publish(tid, publisher.etid, str(i)) for i, tid in enumerate(to)])
        for client, mine in ((first, (tids[0], tids[2])), (second, (tids[1], tids[2]))):
            got = client.read_frames(sum(tid in mine for tid in to))
            for tid in mine:
                row = [frame for frame in got if frame.u32(0) == tid]
                self.assertEqual(
                    row, [publish(t, publisher.etid, str(i)) for i, t in enumerate(to) if t == tid]
                )

    def test_other_requests_in_between_change_no_order(self):
        client = self.connect()
        tid = client.subscribe(self.topic())
        stream, count = [], 300
        for i in range(count):
            stream.append(publish(tid, client.etid, str(i)))
            stream.append(
                [create(f"{self.topic()}{i}"), subscribe(self.topic()), unsubscribe(2)][i % 3]
            )
        client.send(*stream)
        frames = client.read_frames(count + count * 2 // 3)
        row = [frame for frame in frames if frame.type == wire.SMQ_PUBLISH]
        self.assertEqual(row, [publish(tid, client.etid, str(i)) for i in range(count)])

    def test_a_reply_never_overtakes_what_was_said_before_it(self):
        """Suback after the Publish that was sent before Subscribe, on one topic."""
        client = self.connect()
        tid = client.subscribe(self.topic())
        for i in range(50):
            client.send(publish(tid, client.etid, str(i)), subscribe(self.topic()))
        for i in range(50):
            client.expect(publish(tid, client.etid, str(i)))
            self.assertEqual(client.read_frame().type, wire.SMQ_SUBACK)


class FewBuffersTest(WireTest):
    """Fewer receive buffers than clients with something to say."""

    config = "receive { buffers = 8  buffer_bytes = 1K }  limits { handshake_ms = 1h }"

    def say_at_once(self, clients, frames):
        """All have sent @frames to themselves before the server reads the first byte."""
        self.server.signal(signal.SIGSTOP)
        try:
            for client in clients:
                client.send(*[publish(client.etid, client.etid, payload) for payload in frames])
        finally:
            self.server.signal(signal.SIGCONT)

    def test_who_waits_for_one_loses_nothing_and_keeps_its_order(self):
        clients = self.connect_many(20)
        row = [b"%d " % number + bytes(500) for number in range(40)]
        since = self.server.counter("io.receive_no_buffers_total")
        for _ in range(2):
            self.say_at_once(clients, row)
            for client in clients:
                for payload in row:
                    client.expect(publish(client.etid, client.etid, payload))
        self.assertGreater(self.server.counter("io.receive_no_buffers_total"), since)

    def test_who_waits_for_one_may_leave(self):
        clients = self.connect_many(20)
        self.say_at_once(clients, [bytes(500)] * 40)
        for client in clients[1:]:
            client.close()
        for _ in range(40):
            clients[0].expect(publish(clients[0].etid, clients[0].etid, bytes(500)))
        self.wait_until(lambda: self.server.counter("io.open") == 1, "the others are gone")
        clients[0].expect_nothing()


class CrowdTest(WireTest):
    """Many quiet clients hang up in the same moment: they stand in line to be read from."""

    CROWD = 300

    def quiet_crowd(self):
        """Clients that have been silent for so long that the server waits for their first byte."""
        since = self.server.counter("io.rests_total")
        crowd = self.connect_many(self.CROWD)
        self.wait_until(
            lambda: self.server.counter("io.rests_total") - since >= self.CROWD, "all are quiet"
        )
        return crowd

    @contextlib.contextmanager
    def at_once(self):
        """What is sent and closed meanwhile reaches the server all together."""
        self.server.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.server.signal(signal.SIGCONT)

    def test_a_crowd_that_leaves_at_once_is_gone_without_a_trace(self):
        before = self.server.gauges_at_rest()
        since = self.server.counter("io.hangups_total")
        crowd = self.quiet_crowd()
        other = self.connect()
        with self.at_once():
            for client in crowd:
                client.close()
            other.publish(other.etid, b"behind all of them")
        other.expect(publish(other.etid, other.etid, b"behind all of them"))
        other.close()
        self.wait_until(lambda: self.server.gauges() == before, "nothing of them is left")
        self.assertGreaterEqual(self.server.counter("io.hangups_total") - since, self.CROWD)

    def test_what_they_said_before_is_heard(self):
        crowd = self.quiet_crowd()
        other = self.connect()
        with self.at_once():
            for client in crowd:
                client.publish(other.etid, b"farewell")
                client.shut()
        wanted = {publish(other.etid, client.etid, b"farewell") for client in crowd}
        self.assertEqual(set(other.read_frames(self.CROWD)), wanted)


class GoodbyeTest(WireTest):
    """What was sent before leaving counts."""

    config = ROOMY

    def assert_all_arrives(self, leave):
        publisher, receiver = self.connect(), self.connect()
        tid = receiver.subscribe(self.topic())
        row = [publish(tid, publisher.etid, f"{i} ".encode() + b"z" * 100) for i in range(500)]
        publisher.send(*row)
        leave(publisher)
        receiver.expect(*row)

    def test_messages_sent_before_a_disconnect_arrive(self):
        self.assert_all_arrives(lambda client: client.send(disconnect()))

    def test_messages_sent_before_a_close_arrive(self):
        self.assert_all_arrives(lambda client: client.close())

    def test_messages_sent_before_a_half_close_arrive(self):
        self.assert_all_arrives(lambda client: client.shut())

    def test_messages_sent_before_a_protocol_error_arrive(self):
        self.assert_all_arrives(lambda client: client.send(b"\0\3\xff"))

    def test_messages_queued_for_a_client_arrive_though_it_said_disconnect(self):
        """Close in good order: its own messages to itself, published before the Disconnect."""
        client = self.connect()
        tid = client.subscribe(self.topic())
        row = [publish(tid, client.etid, str(i)) for i in range(100)]
        client.send(*row)
        client.expect(*row)
        client.send(disconnect())
        client.expect_closed()
