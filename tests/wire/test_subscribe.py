"""
tests/wire/test_subscribe.py: names and their numbers; Subscribe, Create, Createsub, Unsubscribe
(§1, §4.3 to §4.6, §4.14).
"""

import os

from smqwire import (
    Frame,
    WireTest,
    change,
    create,
    createack,
    createsub,
    createsuback,
    named,
    publish,
    suback,
    subscribe,
    unsubscribe,
    wire,
)

# Names that a careless broker mixes up: each is another topic.
LOOKALIKES = [
    b"a",
    b"A",
    b"a\0",
    b"\0a",
    b"a ",
    b" a",
    b"aa",
    b"a/",
    b"/a",
    b"a\0b",
    b"a\0c",
    b"\0",
    b"\0\0",
    b"\xc3\xa4",
    b"\xe4",
    b"a\xcc\x88",
    b"\xff",
    b"*",
    b"#",
    b"+",
    b"%s%n",
    b"../a",
    b"self",
]


class NamesTest(WireTest):
    def test_a_suback_carries_status_tid_and_the_name_as_sent(self):
        client, name = self.connect(), self.topic().encode()
        client.send(subscribe(name))
        frame = client.read_frame()
        self.assertEqual(frame, suback(frame.u32(1), name))
        self.assertNotIn(frame.u32(1), (0, wire.SMQ_ID_SERVER, client.etid))

    def test_a_createack_carries_status_tid_and_the_name_as_sent(self):
        client, name = self.connect(), self.topic().encode()
        client.send(create(name))
        frame = client.read_frame()
        self.assertEqual(frame, createack(frame.u32(1), name))

    def test_a_createsuback_carries_status_stid_and_the_name_as_sent(self):
        client, name = self.connect(), self.topic().encode()
        client.send(createsub(name))
        frame = client.read_frame()
        self.assertEqual(frame, createsuback(frame.u32(1), name))
        self.assertNotEqual(frame.u32(1), 0, "0 means no sub-topic")

    def test_everyone_gets_the_same_tid_by_create_and_by_subscribe(self):
        clients = self.connect_many(5)
        tid = clients[0].create(self.topic())
        for client in clients:
            self.assertEqual(client.subscribe(self.topic()), tid)
            self.assertEqual(client.create(self.topic()), tid)

    def test_everyone_gets_the_same_stid(self):
        stids = {client.createsub(self.topic()) for client in self.connect_many(5)}
        self.assertEqual(len(stids), 1)

    def test_sub_topics_have_a_table_of_their_own(self):
        """A sub-topic of some name does not make the topic of that name, nor vice versa."""
        client, other = self.connect(), self.connect()
        stid, tid = client.createsub(self.topic()), client.subscribe(self.topic())
        self.assertEqual(client.createsub(self.topic()), stid)
        self.assertEqual(other.create(self.topic()), tid)
        if stid != tid:
            other.publish(stid, b"to a number that is no topic")
            other.publish(tid, b"to the topic")
            client.expect(publish(tid, other.etid, b"to the topic"))

    def test_names_are_compared_byte_for_byte(self):
        client, other = self.connect(), self.connect()
        prefix = self.topic().encode()
        tids = {name: client.create(prefix + name) for name in LOOKALIKES}
        self.assertEqual(len(set(tids.values())), len(LOOKALIKES))
        for name in reversed(LOOKALIKES):
            self.assertEqual(other.create(prefix + name), tids[name], name)
        stids = {client.createsub(prefix + name) for name in LOOKALIKES}
        self.assertEqual(len(stids), len(LOOKALIKES))

    def test_a_message_reaches_the_one_lookalike_it_was_sent_to(self):
        client = self.connect()
        tids = [client.subscribe(self.topic().encode() + name) for name in LOOKALIKES]
        for tid, name in zip(tids, LOOKALIKES):
            client.publish(tid, name)
            client.expect(publish(tid, client.etid, name))

    def test_one_byte_names_are_256_topics(self):
        client = self.connect()
        names = [bytes([byte]) for byte in range(256)]
        client.send(*map(create, names))
        acks = {frame.body[5:]: frame.u32(1) for frame in client.read_frames(256)}
        self.assertEqual(set(acks), set(names))
        self.assertEqual(len(set(acks.values())), 256)

    def test_self_is_a_name_like_any_other(self):
        client, other = self.connect(), self.connect()
        tid = client.subscribe("self")
        self.assertNotIn(tid, (client.etid, other.etid))
        self.assertEqual(other.subscribe("self"), tid)
        client.publish(tid, b"to all who subscribe to self")
        other.expect(publish(tid, client.etid, b"to all who subscribe to self"))

    def test_an_empty_name_is_denied(self):
        client = self.connect()
        client.send(subscribe(b""), create(b""), createsub(b""))
        client.expect_any_order(
            suback(0, b"", status=1), createack(0, b"", status=1), createsuback(0, b"", status=1)
        )
        client.expect_nothing()

    def test_a_long_name_is_as_good_as_a_short_one(self):
        client, other = self.connect(), self.connect()
        name = self.topic().encode().ljust(200, b"x")
        tid = client.subscribe(name)
        self.assertEqual(other.create(name), tid)
        self.assertNotEqual(other.create(name[:-1]), tid)

    def test_a_name_of_any_size_is_answered_with_the_name_as_sent(self):
        """Over limits.name_bytes: denied. The connection stays in any case."""
        client = self.connect()
        for length in (254, 255, 256, 257, 1023, 1024, 1025, 4096, 16384, 65000, 65527):
            for ask, answer in (
                (subscribe, suback),
                (create, createack),
                (createsub, createsuback),
            ):
                name = os.urandom(8) + b"n" * (length - 8)
                client.send(ask(name))
                frame = client.read_frame()
                self.assertIn(frame, (answer(frame.u32(1), name), answer(0, name, status=1)))
        client.expect_nothing()

    def test_a_name_too_long_to_be_sent_back_does_no_harm(self):
        """Answering takes five bytes more than asking: a Suback for these would not fit a frame."""
        for length in (65528, 65530, 65532):
            client = self.connect()
            client.send(subscribe(b"n" * length))
            frame = client.read_frame()  # a denial with what fits of the name, or the end
            if frame.type == wire.SMQ_SUBACK:
                self.assertEqual((frame.body[0], frame.u32(1)), (wire.SMQ_ACK_DENIED, 0))
                client.expect_nothing()
            else:
                self.assertEqual(frame.type, wire.SMQ_DISCONNECT)
                client.expect_closed()

    def test_tids_are_random_over_32_bits_and_never_an_etid(self):
        clients = self.connect_many(50)
        asker = clients[0]
        asker.send(*[create(self.topic(str(i))) for i in range(500)])
        tids = [frame.u32(1) for frame in asker.read_frames(500)]
        numbers = tids + [client.etid for client in clients]
        self.assertEqual(len(set(numbers)), 550, "TIDs and ETIDs share one number space")
        self.assertFalse({0, wire.SMQ_ID_SERVER} & set(numbers))
        self.assertEqual({tid >> 28 for tid in tids}, set(range(16)))
        self.assertGreater(len({b - a for a, b in zip(tids, tids[1:])}), 490, "not sequential")

    def test_a_tid_stays_as_long_as_somebody_who_was_given_it_lives(self):
        holder = self.connect()
        tid = holder.create(self.topic())
        holder.observe(tid, 0)
        for way in ("close", "reset"):
            other = self.connect()
            self.assertEqual(other.subscribe(self.topic()), tid)
            holder.expect(change(tid, 1))
            getattr(other, way)()
            holder.expect(change(tid, 0))
        self.assertEqual(self.connect().create(self.topic()), tid)

    def test_a_name_all_have_left_can_be_had_again(self):
        """It may be forgotten, and have another number then; it must work in either case."""
        for _ in range(20):
            client = self.connect()
            tid = client.subscribe(self.topic())
            client.publish(tid, b"me")
            client.expect(publish(tid, client.etid, b"me"))
            client.close()


class SubscriptionTest(WireTest):
    def test_create_does_not_subscribe(self):
        client, other = self.connect(), self.connect()
        tid = client.create(self.topic())
        other.observe(tid, 0)
        other.publish(tid, b"for subscribers")
        other.expect_nothing_about(self.topic())
        client.expect_nothing_about(self.topic())

    def test_subscribing_twice_gives_the_same_tid_one_delivery_and_one_change(self):
        client, other = self.connect(), self.connect()
        tid = client.create(self.topic())
        other.observe(tid, 0)
        self.assertEqual(client.subscribe(self.topic()), tid)
        self.assertEqual(client.subscribe(self.topic()), tid)
        other.expect(change(tid, 1))
        other.expect_nothing_about(self.topic())
        other.publish(tid, b"once")
        other.expect_nothing_about(self.topic())
        client.expect(publish(tid, other.etid, b"once"))
        client.expect_nothing_about(self.topic())

    def test_after_subscribing_twice_one_unsubscribe_ends_it(self):
        client, other = self.connect(), self.connect()
        tid = client.subscribe(self.topic())
        client.subscribe(self.topic())
        other.observe(tid, 1)
        client.send(unsubscribe(tid))
        other.expect(change(tid, 0))
        other.publish(tid, b"too late")
        other.expect_nothing_about(self.topic())
        client.expect_nothing_about(self.topic())

    def test_unsubscribe_has_no_answer(self):
        client = self.connect()
        tid = client.subscribe(self.topic())
        client.send(unsubscribe(tid))
        client.expect_nothing()
        client.expect_nothing_about(self.topic())

    def test_an_unsubscribed_client_gets_no_more_while_others_do(self):
        client, stays, other = self.connect_many(3)
        tid = client.subscribe(self.topic())
        stays.subscribe(self.topic())
        client.send(unsubscribe(tid))
        client.expect_nothing_about(self.topic())
        other.publish(tid, b"for those who stay")
        stays.expect(publish(tid, other.etid, b"for those who stay"))
        client.expect_nothing_about(self.topic())

    def test_subscribing_again_after_unsubscribing_works(self):
        client, other = self.connect(), self.connect()
        holder = self.connect()
        tid = holder.create(self.topic())
        for i in range(20):
            self.assertEqual(client.subscribe(self.topic()), tid)
            other.publish(tid, str(i))
            client.expect(publish(tid, other.etid, str(i)))
            client.send(unsubscribe(tid))
        client.expect_nothing_about(self.topic())

    def test_unsubscribing_what_is_not_held_is_ignored(self):
        client, other = self.connect(), self.connect()
        tid = other.subscribe(self.topic())
        client.observe(tid, 1)
        client.send(
            *map(unsubscribe, (tid, tid, 0, 1, client.etid, other.etid, 0xFFFFFFFF, 0x12345678))
        )
        client.expect_nothing_about(self.topic())
        client.tell(other, b"reachable")
        client.publish(tid, b"and subscribed")
        other.expect(publish(tid, client.etid, b"and subscribed"))

    def test_unsubscribe_ends_one_subscription_of_many(self):
        client = self.connect()
        tids = [client.subscribe(self.topic(str(i))) for i in range(20)]
        client.send(*map(unsubscribe, tids[::2]))
        for i in range(0, 20, 2):
            client.expect_nothing_about(self.topic(str(i)))
        for i, tid in enumerate(tids):
            client.publish(tid, str(i))
            if i % 2:
                client.expect(publish(tid, client.etid, str(i)))
            else:
                client.expect_nothing_about(self.topic(str(i)))

    def test_each_subscriber_of_a_topic_can_leave_in_any_order(self):
        """Whatever list the broker keeps, taking from its front, middle and end must be right."""
        clients, other = self.connect_many(9), self.connect()
        tid = [client.subscribe(self.topic()) for client in clients][0]
        for leaver in (4, 0, 6, 0, 4, 1, 2, 1, 0):
            client = clients.pop(leaver)
            client.send(unsubscribe(tid))
            client.expect_nothing_about(self.topic())
            other.publish(tid, f"{len(clients)} left")
            other.expect_nothing_about(self.topic())
            for stays in clients:
                stays.expect(publish(tid, other.etid, f"{len(clients)} left"))
            client.expect_nothing_about(self.topic())

    def test_a_closed_client_is_no_subscriber_any_more(self):
        for way in ("close", "reset"):
            client, stays, other = self.connect_many(3)
            tid = client.subscribe(self.topic(way))
            stays.subscribe(self.topic(way))
            other.observe(tid, 2)
            getattr(client, way)()
            other.expect(change(tid, 1))
            other.publish(tid, b"to one")
            stays.expect(publish(tid, other.etid, b"to one"))

    def test_a_thousand_subscribes_in_one_segment_are_all_answered(self):
        client = self.connect()
        names = {self.topic(str(i)).encode() for i in range(1000)}
        client.send(*map(subscribe, names))
        acks = client.read_frames(1000)
        self.assertEqual({frame.body[5:] for frame in acks}, names)
        self.assertEqual({frame.body[0] for frame in acks}, {wire.SMQ_ACK_OK})

    def test_subscribe_then_publish_in_one_segment_comes_back(self):
        """What one client says is done in the order it said it."""
        client = self.connect()
        tid = client.create(self.topic())
        for i in range(20):
            client.send(
                subscribe(self.topic()),
                publish(tid, client.etid, b"in"),
                unsubscribe(tid),
                publish(tid, client.etid, b"out"),
            )
            client.expect(suback(tid, self.topic()), publish(tid, client.etid, b"in"))
        client.expect_nothing_about(self.topic())

    def test_bytes_after_a_fixed_field_do_no_harm(self):
        """A longer Unsubscribe than any client sends: taken or refused, never misread."""
        client, other = self.connect(), self.connect()
        tid = other.subscribe(self.topic())
        client.send(Frame(wire.SMQ_UNSUBSCRIBE, tid.to_bytes(4, "big") + b"and more"))
        client.shut()
        client.read_all()
        newcomer = self.connect()
        newcomer.publish(tid, b"still there")
        other.expect(publish(tid, newcomer.etid, b"still there"))

    def test_a_name_with_a_frame_inside_is_only_a_name(self):
        client = self.connect()
        name = (
            self.topic().encode()
            + bytes(subscribe("inner"))
            + bytes(named(wire.SMQ_DISCONNECT, b""))
        )
        client.subscribe(name)
        client.expect_nothing()


class PinnedTest(WireTest):
    config = """
        instance "/smq.lsp" {
            topic "pinned/low"  { tid = 42 }
            topic "pinned/high" { tid = 4294967295 }
            subtopic "pinned sub" { stid = 7 }
        }
    """

    def test_a_pinned_topic_has_its_number(self):
        client = self.connect()
        self.assertEqual(client.subscribe("pinned/low"), 42)
        self.assertEqual(client.create("pinned/low"), 42)
        self.assertEqual(client.create("pinned/high"), 0xFFFFFFFF)

    def test_a_pinned_sub_topic_has_its_number(self):
        self.assertEqual(self.connect().createsub("pinned sub"), 7)

    def test_firmware_may_publish_to_a_pinned_number_without_asking(self):
        client, firmware = self.connect(), self.connect()
        client.subscribe("pinned/low")
        firmware.publish(42, b"hello", stid=7)
        client.expect(publish(42, firmware.etid, b"hello", stid=7))

    def test_a_pinned_topic_can_be_observed_without_asking(self):
        client, firmware = self.connect(), self.connect()
        firmware.observe(42, 0)
        client.subscribe("pinned/low")
        firmware.expect(change(42, 1))

    def test_a_pinned_topic_keeps_its_number_when_all_have_left(self):
        for _ in range(3):
            client = self.connect()
            self.assertEqual(client.subscribe("pinned/high"), 0xFFFFFFFF)
            client.close()

    def test_other_names_do_not_get_a_pinned_number(self):
        client = self.connect()
        client.send(*[create(self.topic(str(i))) for i in range(300)])
        self.assertFalse({42, 0xFFFFFFFF} & {frame.u32(1) for frame in client.read_frames(300)})
        self.assertNotEqual(client.createsub("another"), 7)

    def test_a_topic_with_the_name_of_a_pinned_sub_topic_is_not_pinned(self):
        self.assertNotEqual(self.connect().create("pinned sub"), 7)
        self.assertNotEqual(self.connect().createsub("pinned/low"), 42)
