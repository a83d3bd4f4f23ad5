"""
tests/wire/test_slow.py: a receiver that does not read never holds up the others, and its queue has
a limit (§4.20).

Method: one subscriber stops reading, another one reads all the time and must miss nothing; then
the slow one reads again, and what it got plus what the broker says it dropped is what was sent.
"""

import contextlib

from smqwire import (
    HANG_S,
    PING,
    Pace,
    WireTest,
    change,
    create,
    in_threads,
    publish,
    subscribe,
    wire,
)

COUNT = 12_000  # messages of 1 kB: far beyond the queue's limit and what the kernel takes
PAYLOAD = b"s" * 1000
QUEUE = "queue_bytes = 64K"
AHEAD_COUNT = 32  # the healthy one is never further behind: its queue stays under the limit


def numbered_payload(number):
    return number.to_bytes(4, "big") + PAYLOAD


class SlowTest(WireTest):
    """The policies share their scenario; each class below is one of them."""

    def set_up_clients(self):
        self.publisher, self.healthy, self.observer = self.connect_many(3)
        self.slow = self.connect(receive_buffer_bytes=4096, label="the slow one")
        self.tid = self.slow.subscribe(self.topic())
        self.healthy.subscribe(self.topic())
        self.observer.observe_client(self.slow)

    def frame(self, number):
        return publish(self.tid, self.publisher.etid, numbered_payload(number))

    def flood(self, count=COUNT):
        """Publish @count messages; the healthy one gets each of them, in order, meanwhile."""
        pace = Pace(AHEAD_COUNT)

        def receive_all():
            for number in range(count):
                self.healthy.expect(self.frame(number))
                pace.heard()

        def send_all():
            for number in range(count):
                pace.wait_for_room(number)
                self.publisher.send(self.frame(number))

        in_threads(receive_all, send_all)

    def read_numbers(self, last):
        """The numbers that the slow one gets, up to @last, which it must get."""
        numbers = []
        while not numbers or numbers[-1] != last:
            frame = self.slow.read_frame()
            number = int.from_bytes(frame.body[12:16], "big")
            self.assertEqual(frame, self.frame(number), "whole and unchanged")
            numbers.append(number)
        self.assertEqual(numbers, sorted(set(numbers)), "in order, and each once")
        return numbers

    def read_to_the_end(self):
        """
        The numbers that the slow one has got. All of them are on its I/O thread when the shard, which
        has passed them on, answers a Create of their topic: acks are not dropped, and come behind.
        """
        self.slow.send(create(self.topic()))
        numbers = []
        while (frame := self.slow.read_frame()).type != wire.SMQ_CREATEACK:
            numbers.append(int.from_bytes(frame.body[12:16], "big"))
        return numbers

    def dropped(self):
        return self.server.counter("io.dropped_new_total") + self.server.counter(
            "io.dropped_old_total"
        )


class DropNewTest(SlowTest):
    config = f"limits {{ {QUEUE} slow_consumer = drop_new }}"

    def test_the_newest_are_dropped_and_counted_and_nobody_else_misses_any(self):
        self.set_up_clients()
        since = self.dropped()
        self.flood()
        numbers = self.read_to_the_end()
        dropped_count = self.dropped() - since
        self.assertGreater(dropped_count, 0)
        self.assertEqual(numbers[:50], list(range(50)), "the oldest were kept")
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(len(numbers) + dropped_count, COUNT)

    def test_a_slow_one_that_reads_again_gets_new_messages(self):
        self.set_up_clients()
        self.flood()
        self.read_to_the_end()
        self.publisher.send(self.frame(COUNT))
        self.slow.expect(self.frame(COUNT))
        self.observer.expect_nothing_about(self.topic())


class DropOldTest(SlowTest):
    config = f"limits {{ {QUEUE} slow_consumer = drop_old }}"

    def test_the_oldest_are_dropped_and_counted_and_nobody_else_misses_any(self):
        self.set_up_clients()
        since = self.dropped()
        self.flood()
        numbers = self.read_numbers(last=COUNT - 1)
        dropped_count = self.dropped() - since
        self.assertGreater(dropped_count, 0)
        self.assertEqual(len(numbers) + dropped_count, COUNT)
        self.assertEqual(numbers[-20:], list(range(COUNT - 20, COUNT)), "the newest were kept")
        self.slow.expect_nothing_about(self.topic())

    def test_acks_are_not_dropped_with_the_old_messages(self):
        self.set_up_clients()
        self.slow.send(subscribe(self.topic("early")))
        self.flood(4000)
        self.slow.send(subscribe(self.topic("late")))
        acked = []
        while len(acked) < 2:
            frame = self.slow.read_frame()
            if frame.type == wire.SMQ_SUBACK:
                acked.append(frame.body[5:].decode())
        self.assertEqual(acked, [self.topic("early"), self.topic("late")])


class DisconnectTest(SlowTest):
    config = f"limits {{ {QUEUE} slow_consumer = disconnect }}"

    def test_it_is_closed_and_counted_and_nobody_else_misses_any(self):
        self.set_up_clients()
        since = self.server.counter("closed.SLOW")
        self.flood()
        self.observer.expect(change(self.slow.etid, 0))
        self.assert_counts("closed.SLOW", 1, since)
        numbers = []
        with contextlib.suppress(AssertionError):  # the close may cut the last frame
            while (frame := self.slow.read_frame()).type == wire.SMQ_PUBLISH:
                numbers.append(int.from_bytes(frame.body[12:16], "big"))
        self.assertEqual(numbers, list(range(len(numbers))), "nothing was left out before the end")
        self.assertLess(len(numbers), COUNT)

    def test_its_subscriptions_go(self):
        self.set_up_clients()
        watcher = self.connect()
        watcher.observe(self.tid, 2)
        self.flood()
        watcher.expect(change(self.tid, 1))


class BoundTest(WireTest):
    """Whatever a client makes the broker say to it, it cannot make it keep."""

    config = f"limits {{ {QUEUE} }}"

    def flood_without_reading(self, client, frame, total_bytes=24 << 20):
        """Send @frame again and again until all is taken, the server closes, or takes no more."""
        batch = bytes(frame) * max(1, 65536 // len(bytes(frame)))
        client.socket.settimeout(min(HANG_S, 3))
        with contextlib.suppress(OSError):  # TimeoutError is one too: it stopped reading
            for _ in range(total_bytes // len(batch)):
                client.socket.sendall(batch)

    def assert_bounded(self, make_frame):
        bystander = self.connect()
        before = self.server.rss_bytes()
        clients = [self.connect(receive_buffer_bytes=4096) for _ in range(3)]
        for client in clients:
            self.flood_without_reading(client, make_frame(client))
        bystander.tell(bystander, b"served meanwhile")
        if not self.server.sanitized:  # sanitizers keep freed memory on purpose
            self.assertLess(self.server.rss_bytes() - before, 16 << 20)

    def test_pongs_do_not_pile_up(self):
        self.assert_bounded(lambda client: PING)

    def test_acks_do_not_pile_up(self):
        self.assert_bounded(lambda client: subscribe(self.topic("x" * 100)))

    def test_denials_do_not_pile_up(self):
        self.assert_bounded(lambda client: subscribe(b"n" * 2000))

    def test_messages_to_oneself_do_not_pile_up(self):
        self.assert_bounded(lambda client: publish(client.etid, client.etid, PAYLOAD))

    def test_a_reader_of_one_byte_at_a_time_gets_all_of_it(self):
        sender, reader = self.connect(), self.connect()
        frames = [publish(reader.etid, sender.etid, str(i)) for i in range(100)]
        sender.send(*frames)
        wanted = b"".join(map(bytes, frames))
        self.assertEqual(b"".join(reader.socket.recv(1) for _ in range(len(wanted))), wanted)

    def test_a_hundred_who_never_read_do_not_slow_down_one_who_does(self):
        slow = self.connect_many(100, receive_buffer_bytes=4096)
        publisher, healthy = self.connect(), self.connect()
        for client in (*slow, healthy):
            tid = client.subscribe(self.topic())
        for number in range(3000):
            frame = publish(tid, publisher.etid, numbered_payload(number))
            publisher.send(frame)
            healthy.expect(frame)
