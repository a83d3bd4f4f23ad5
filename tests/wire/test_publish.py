"""
tests/wire/test_publish.py: who gets a Publish, and what arrives (§4.6 to §4.10).
"""

import os

from smqwire import WireTest, http_head, publish, raw_frame, wire

SIZES = [
    0,
    1,
    2,
    63,
    64,
    127,
    128,
    240,
    241,
    255,
    256,
    257,
    511,
    512,
    513,
    1023,
    1024,
    1025,
    2047,
    2048,
    4080,
    4081,
    4095,
    4096,
    4097,
    8191,
    8192,
    8193,
    16383,
    16384,
    16385,
    32752,
    32768,
    65519,
    65520,
]


class TopicTest(WireTest):
    def test_every_subscriber_gets_the_frame_as_it_was_sent(self):
        publisher, *subscribers = self.connect_many(6)
        tid = [client.subscribe(self.topic()) for client in subscribers][0]
        frame = publish(tid, publisher.etid, b"payload", stid=0x01020304)
        publisher.send(frame)
        for client in subscribers:
            client.expect(frame)
            client.expect_nothing_about(self.topic())

    def test_the_publisher_gets_it_too_when_it_subscribes(self):
        publisher, other = self.connect(), self.connect()
        tid = publisher.subscribe(self.topic())
        other.subscribe(self.topic())
        publisher.publish(tid, b"echo")
        publisher.expect(publish(tid, publisher.etid, b"echo"))
        other.expect(publish(tid, publisher.etid, b"echo"))
        publisher.expect_nothing_about(self.topic())

    def test_the_publisher_gets_nothing_when_it_does_not_subscribe(self):
        publisher, other = self.connect(), self.connect()
        tid = other.subscribe(self.topic())
        publisher.publish(tid, b"away")
        publisher.expect_nothing_about(self.topic())
        other.expect(publish(tid, publisher.etid, b"away"))

    def test_subscribers_of_other_topics_get_nothing(self):
        publisher, wanted, other = self.connect_many(3)
        tid = wanted.subscribe(self.topic("wanted"))
        other.subscribe(self.topic("other"))
        publisher.publish(tid, b"for one topic")
        wanted.expect(publish(tid, publisher.etid, b"for one topic"))
        other.expect_nothing_about(self.topic("wanted"))
        other.expect_nothing_about(self.topic("other"))

    def test_a_payload_of_any_size_arrives_whole(self):
        publisher, first, second = self.connect_many(3)
        tid = first.subscribe(self.topic())
        second.subscribe(self.topic())
        for size in SIZES:
            with self.subTest(size=size):
                frame = publish(tid, publisher.etid, os.urandom(size), stid=size)
                publisher.send(frame)
                first.expect(frame)
                second.expect(frame)

    def test_a_payload_of_any_size_arrives_whole_behind_another(self):
        """All sizes in one row: each begins at another offset of the receiver's buffers."""
        publisher, receiver = self.connect(), self.connect()
        tid = receiver.subscribe(self.topic())
        frames = [
            publish(tid, publisher.etid, os.urandom(size)) for size in (*SIZES, *reversed(SIZES))
        ]
        for frame in frames:  # one at a time may be in flight, so that no queue limit matters
            publisher.send(frame)
            receiver.expect(frame)

    def test_every_byte_may_be_in_a_payload(self):
        publisher, receiver = self.connect(), self.connect()
        tid = receiver.subscribe(self.topic())
        for payload in (
            bytes(range(256)),
            b"\0" * 300,
            b"\xff" * 300,
            raw_frame(wire.SMQ_DISCONNECT) * 9,
            http_head(),
        ):
            publisher.publish(tid, payload)
            receiver.expect(publish(tid, publisher.etid, payload))

    def test_any_sub_topic_id_is_carried_unchanged(self):
        publisher, receiver = self.connect(), self.connect()
        tid = receiver.subscribe(self.topic())
        for stid in (
            0,
            1,
            publisher.createsub("known"),
            0x7FFFFFFF,
            0x80000000,
            0xFFFFFFFF,
            tid,
            publisher.etid,
        ):
            publisher.publish(tid, b"x", stid)
            receiver.expect(publish(tid, publisher.etid, b"x", stid))

    def test_a_hundred_subscribers_get_it_once_each(self):
        clients, publisher = self.connect_many(100), self.connect()
        tid = [client.subscribe(self.topic()) for client in clients][0]
        for size in (10, 5000):
            frame = publish(tid, publisher.etid, os.urandom(size))
            publisher.send(frame)
            for client in clients:
                client.expect(frame)
        for client in clients:
            client.expect_nothing_about(self.topic())

    def test_one_client_in_five_hundred_topics_gets_each_message_once(self):
        client, publisher = self.connect(), self.connect()
        tids = [client.subscribe(self.topic(str(i))) for i in range(500)]
        publisher.send(*[publish(tid, publisher.etid, str(i)) for i, tid in enumerate(tids)])
        client.expect_any_order(
            *[publish(tid, publisher.etid, str(i)) for i, tid in enumerate(tids)]
        )

    def test_a_frame_sent_byte_by_byte_arrives_whole(self):
        publisher, receiver = self.connect(), self.connect()
        tid = receiver.subscribe(self.topic())
        frame = publish(tid, publisher.etid, b"one byte at a time")
        publisher.send_byte_by_byte(frame)
        receiver.expect(frame)


class ClientTest(WireTest):
    def test_a_publish_to_an_etid_goes_to_that_client_alone(self):
        publisher, wanted, other = self.connect_many(3)
        other.subscribe(self.topic())
        publisher.publish(wanted.etid, b"private", stid=9)
        wanted.expect(publish(wanted.etid, publisher.etid, b"private", stid=9))
        wanted.expect_nothing()
        for client in (publisher, other):
            client.expect_nothing_about(self.topic())

    def test_a_client_may_publish_to_itself(self):
        client = self.connect()
        for payload in (b"", b"me", b"m" * 65520):
            client.tell(client, payload)

    def test_a_client_is_reachable_without_subscribing_to_anything(self):
        client, other = self.connect(), self.connect()
        other.tell(client, b"unasked")

    def test_the_receiver_can_answer_to_the_publishers_id(self):
        asker, answerer = self.connect(), self.connect()
        tid = answerer.subscribe(self.topic())
        asker.publish(tid, b"question?")
        question = answerer.read_frame()
        answerer.publish(question.u32(4), b"answer!")
        asker.expect(publish(asker.etid, answerer.etid, b"answer!"))

    def test_a_payload_of_any_size_arrives_whole(self):
        publisher, receiver = self.connect(), self.connect()
        for size in SIZES:
            publisher.tell(receiver, os.urandom(size))

    def test_every_pair_of_many_clients_can_talk(self):
        clients = self.connect_many(12)
        for sender in clients:
            sender.send(*[publish(to.etid, sender.etid, b"hi") for to in clients])
        for receiver in clients:
            receiver.expect_any_order(
                *[publish(receiver.etid, sender.etid, b"hi") for sender in clients]
            )
            receiver.expect_nothing()


class PublisherTest(WireTest):
    """PTID must be the sender's own ETID (§4.9)."""

    def assert_corrupt(self, wrong_id):
        liar, watcher = self.connect(), self.connect()
        tid = watcher.subscribe(self.topic())
        liar.send(publish(tid, wrong_id(liar, watcher, tid), b"a lie"))
        liar.expect_disconnect("corrupt frame")
        watcher.expect_nothing_about(self.topic())

    def test_another_clients_etid_is_a_corrupt_frame(self):
        self.assert_corrupt(lambda liar, watcher, tid: watcher.etid)

    def test_zero_is_a_corrupt_frame(self):
        self.assert_corrupt(lambda liar, watcher, tid: 0)

    def test_the_servers_id_is_a_corrupt_frame(self):
        self.assert_corrupt(lambda liar, watcher, tid: wire.SMQ_ID_SERVER)

    def test_a_tid_is_a_corrupt_frame(self):
        self.assert_corrupt(lambda liar, watcher, tid: tid)

    def test_ones_own_etid_with_one_bit_wrong_is_a_corrupt_frame(self):
        for bit in (0, 7, 15, 31):
            self.assert_corrupt(lambda liar, watcher, tid, bit=bit: liar.etid ^ (1 << bit))

    def test_it_is_checked_though_nobody_would_get_the_message(self):
        liar = self.connect()
        liar.send(publish(0x12345678, liar.etid ^ 1, b"a lie to nobody"))
        liar.expect_disconnect("corrupt frame")

    def test_what_came_before_a_corrupt_frame_is_delivered_and_nothing_after(self):
        liar, watcher = self.connect(), self.connect()
        tid = watcher.subscribe(self.topic())
        good = publish(tid, liar.etid, b"true")
        liar.send(good, good, publish(tid, watcher.etid, b"a lie"), good)
        liar.expect_disconnect("corrupt frame")
        watcher.expect(good, good)
        watcher.expect_nothing_about(self.topic())


class NobodyThereTest(WireTest):
    def assert_dropped(self, publisher, destinations):
        since = self.server.counter("router.dropped_no_receiver_total")
        publisher.send(*[publish(to, publisher.etid, b"anyone?") for to in destinations])
        publisher.expect_nothing()
        self.assert_counts("router.dropped_no_receiver_total", len(destinations), since)
        publisher.expect_nothing()

    def test_unknown_numbers_are_dropped_and_counted(self):
        self.assert_dropped(self.connect(), [0x12345678, 0xFFFFFFFF, 2, 0x80000000, 3])

    def test_zero_and_the_servers_id_are_dropped_without_a_script(self):
        self.assert_dropped(self.connect(), [0, wire.SMQ_ID_SERVER])

    def test_a_topic_without_subscribers_drops(self):
        client = self.connect()
        self.assert_dropped(client, [client.create(self.topic())] * 3)

    def test_a_client_that_is_gone_drops(self):
        client, gone = self.connect(), self.connect()
        client.observe_client(gone)
        gone.close()
        client.read_frame()  # the Change that says so
        self.assert_dropped(client, [gone.etid])

    def test_ten_thousand_messages_to_nobody_are_no_error(self):
        client = self.connect()
        self.assert_dropped(client, [0x1000_0000 + i for i in range(10_000)])
