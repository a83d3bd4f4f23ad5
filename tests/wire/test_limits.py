"""
tests/wire/test_limits.py: every limit holds, is answered as the protocol says (status 1, or
Connack 2), is counted, and gives way again when there is room (§6).
"""

import contextlib

from smqwire import (
    TLS_DIR,
    Server,
    WireTest,
    change,
    connect_frame,
    create,
    createack,
    createsub,
    createsuback,
    disconnect,
    http_head,
    observe,
    pubfrag,
    publish,
    raw_frame,
    raw_only,
    suback,
    subscribe,
    unobserve,
    unsubscribe,
    wire,
)

REFUSALS = {
    wire.SMQ_SUBACK: suback,
    wire.SMQ_CREATEACK: createack,
    wire.SMQ_CREATESUBACK: createsuback,
}


class LimitTest(WireTest):
    """Words for all the limits below."""

    def assert_denied(self, client, question, counter):
        """@question is answered with status 1, number 0 and the name as sent, and counted."""
        since = self.server.counter(counter)
        client.send(question)
        answer = client.read_frame()
        self.assertEqual(answer.type, question.type + 1)
        self.assertEqual(answer, REFUSALS[answer.type](0, question.body, status=1))
        self.assert_counts(counter, 1, since)
        client.expect_nothing()


class ConnectionsTest(LimitTest):
    config = "limits { connections = 4 }"

    def setUp(self):
        super().setUp()
        self.wait_until(lambda: self.server.counter("io.live") == 0, "all earlier clients are gone")

    def tearDown(self):
        self.doCleanups()  # makes room for the newcomer
        self.wait_until(lambda: self.server.counter("io.live") == 0, "all places are free again")
        super().tearDown()

    def assert_full(self):
        since = self.server.counter("io.refused_connections_total")
        client = self.bootstrap()
        client.send(connect_frame(self.new_uid()))
        client.expect_refused(wire.SMQ_CONNACK_UNAVAILABLE)
        self.assert_counts("io.refused_connections_total", 1, since)

    def test_one_too_many_gets_connack_2(self):
        clients = self.connect_many(4)
        self.assert_full()
        for client in clients:
            client.expect_nothing()

    def test_a_place_that_gets_free_is_given_away_again(self):
        clients = self.connect_many(4)
        for leave in (
            lambda client: client.close(),
            lambda client: client.reset(),
            lambda client: client.send(disconnect()),
            lambda client: client.send(b"\0\0\0"),
        ):
            self.assert_full()
            clients[0].observe_client(clients[1])
            leaver = clients.pop(1)
            leave(leaver)
            clients[0].expect(change(leaver.etid, 0))
            self.wait_until(lambda: self.try_connect(clients), "a place is free again")

    def try_connect(self, clients):
        """The place may be given back a moment after the observers heard of it."""
        client = self.bootstrap()
        client.send(connect_frame(self.new_uid()))
        frame = client.expect_type(wire.SMQ_CONNACK)
        if frame.body[0] != wire.SMQ_CONNACK_ACCEPTED:
            self.assertEqual(frame.body[0], wire.SMQ_CONNACK_UNAVAILABLE)
            return False
        client.etid = frame.u32(1)
        clients.append(client)
        return True

    def test_refused_ones_take_no_place(self):
        self.connect_many(3)
        for _ in range(10):
            client = self.bootstrap()
            client.send(connect_frame(b"short"))
            client.expect_refused(wire.SMQ_CONNACK_BAD_CONNECT)
        self.connect()
        self.assert_full()


class HandshakesTest(LimitTest):
    config = "limits { handshakes = 8  handshake_ms = 60000 }"

    def setUp(self):
        super().setUp()
        self.wait_until(
            lambda: self.server.counter("io.open") == 0, "all earlier connections are gone"
        )

    def tearDown(self):
        self.doCleanups()
        self.wait_until(self.has_room, "room for handshakes again")
        super().tearDown()

    def has_room(self):
        client = self.dial()
        with contextlib.suppress(OSError):
            client.send(http_head())
        try:
            return client.read_frame().type == wire.SMQ_INIT
        except AssertionError:
            return False
        finally:
            client.close()

    def test_half_open_ones_over_the_limit_are_turned_away_at_once(self):
        clients = [self.bootstrap() for _ in range(8)]
        since = self.server.counter("io.refused_handshakes_total")
        for _ in range(5):
            refused = self.dial()
            with contextlib.suppress(OSError):
                refused.send(http_head(), connect_frame(self.new_uid()))
            answer = refused.read_all()
            self.assertNotIn(bytes([wire.SMQ_CONNACK, wire.SMQ_CONNACK_ACCEPTED]), answer)
        self.assert_counts("io.refused_handshakes_total", 5, since)
        for client in clients:  # those who were there first are not disturbed
            client.send(connect_frame(self.new_uid()))
            client.read_connack()

    def test_connections_that_say_nothing_count_too(self):
        silent = [self.dial() for _ in range(8)]
        self.wait_until(lambda: self.server.counter("io.open") == 8, "eight silent connections")
        self.assertFalse(self.has_room())
        silent[0].close()
        self.wait_until(self.has_room, "the place of the one that left")

    def test_connected_clients_do_not_count(self):
        clients = []
        for _ in range(40):
            clients.append(self.connect())
        for client in clients:
            client.expect_nothing()


class FrameBytesTest(LimitTest):
    config = "limits { frame_bytes = 1024 }"

    def test_the_largest_allowed_frame_passes(self):
        client = self.connect()
        payload = b"f" * (1024 - wire.SMQ_PUBLISH_HEADER_BYTES)
        client.tell(client, payload)

    @raw_only("a WebSocket says 1009")
    def test_one_byte_more_closes_with_a_reason(self):
        since = self.server.counter("closed.PROTOCOL")
        for frame_type in (wire.SMQ_PUBLISH, wire.SMQ_SUBSCRIBE, wire.SMQ_DISCONNECT):
            client = self.connect()
            client.send(raw_frame(frame_type, b"f" * 1022))
            client.expect_disconnect()
        self.assert_counts("closed.PROTOCOL", 3, since)

    @raw_only("a WebSocket has other headers")
    def test_it_is_refused_before_it_has_all_come(self):
        client = self.connect()
        client.send(raw_frame(wire.SMQ_PUBLISH, b"f", length=65535))
        client.expect_disconnect()

    @raw_only("it sends PubFrags")
    def test_pieces_of_allowed_size_may_make_a_larger_message(self):
        """The message is the application's; the frame is what a client must be able to hold."""
        sender, receiver = self.connect(), self.connect()
        pieces = [pubfrag(0, sender.etid, bytes([i]) * 1000) for i in range(10)]
        sender.send(*pieces, pubfrag(receiver.etid, sender.etid))
        receiver.expect(
            publish(receiver.etid, sender.etid, b"".join(bytes([i]) * 1000 for i in range(10)))
        )

    def test_a_connect_over_the_limit_is_refused(self):
        client = self.bootstrap()
        client.send(connect_frame(self.new_uid(), info=b"i" * 2000))
        self.assertIn(
            client.read_all()[2:4],
            (b"", bytes([wire.SMQ_CONNACK, 1]), bytes([wire.SMQ_DISCONNECT])),
        )


class NameBytesTest(LimitTest):
    config = "limits { name_bytes = 16 }"

    def test_the_longest_allowed_name_is_accepted(self):
        client = self.connect()
        client.subscribe(b"n" * 16)
        client.create(b"m" * 16)
        client.createsub(b"s" * 16)

    def test_one_byte_more_is_denied_with_the_name_as_sent(self):
        client = self.connect()
        for ask in (subscribe, create, createsub):
            self.assert_denied(client, ask(b"n" * 17), "io.refused_name_limit_total")
            self.assert_denied(client, ask(b"n" * 5000), "io.refused_name_limit_total")

    def test_a_denied_name_does_not_exist(self):
        client = self.connect()
        self.assert_denied(client, subscribe(b"n" * 17), "io.refused_name_limit_total")
        client.subscribe(b"n" * 16)
        client.expect_nothing_about("short")


class TopicsPerClientTest(LimitTest):
    config = "limits { topics_per_client = 5 }"

    def test_one_name_too_many_is_denied(self):
        client, other = self.connect(), self.connect()
        tids = [client.create(f"{self.topic()}{i}") for i in range(5)]
        self.assert_denied(client, create(self.topic("a")), "router.refused_topic_limit_total")
        self.assert_denied(client, subscribe(self.topic("b")), "router.refused_topic_limit_total")
        other.create(self.topic("a"))
        for i, tid in enumerate(tids):  # what it has, it has
            self.assertEqual(client.create(f"{self.topic()}{i}"), tid)
            self.assertEqual(client.subscribe(f"{self.topic()}{i}"), tid)

    def test_names_of_others_count_as_well(self):
        """A client holds a name when it was given its number, whoever created it."""
        client, other = self.connect(), self.connect()
        for i in range(5):
            self.assertEqual(
                other.create(f"{self.topic()}{i}"), client.create(f"{self.topic()}{i}")
            )
        sixth = self.connect().create(self.topic("sixth"))
        self.assertNotEqual(sixth, 0)
        self.assert_denied(client, create(self.topic("sixth")), "router.refused_topic_limit_total")

    def test_many_in_one_segment_are_bounded_as_well(self):
        client = self.connect()
        client.send(*[create(f"{self.topic()}{i}") for i in range(50)])
        statuses = [frame.body[0] for frame in client.read_frames(50)]
        self.assertEqual(statuses.count(wire.SMQ_ACK_OK), 5)
        self.assertEqual(statuses.count(wire.SMQ_ACK_DENIED), 45)

    def test_requests_of_other_kinds_do_not_count_while_they_are_on_their_way(self):
        """A limit of five topics is not one of five unanswered requests."""
        client, numbers = self.connect(), range(0x3000_0000, 0x3000_0008)
        names = [f"{self.topic()}{i}" for i in range(8)]
        client.send(*map(observe, numbers), *map(createsub, names), create(self.topic()))
        answers = client.read_frames(17)
        self.assertEqual(
            [frame.body[0] for frame in answers if frame.type == wire.SMQ_CREATEACK],
            [wire.SMQ_ACK_OK],
        )

    def test_asking_again_for_what_one_has_does_not_count_while_it_is_on_its_way(self):
        client = self.connect()
        client.create(self.topic("held"))
        client.send(
            *[create(self.topic("held"))] * 20, *[create(f"{self.topic()}{i}") for i in range(4)]
        )
        self.assertEqual({frame.body[0] for frame in client.read_frames(24)}, {wire.SMQ_ACK_OK})


class TopicsPerInstanceTest(LimitTest):
    config = 'limits { topics_per_instance = 10 } instance "/smq.lsp" { } instance "/other" { }'

    def test_one_name_too_many_is_denied_and_may_be_had_when_others_go(self):
        first, second = self.connect(), self.connect()
        for i in range(5):
            first.create(f"{self.topic()}{i}")
            second.create(f"{self.topic()}{i + 5}")
        self.assert_denied(first, create(self.topic("a")), "router.refused_topic_limit_total")
        self.assert_denied(second, subscribe(self.topic("a")), "router.refused_topic_limit_total")
        first.subscribe(f"{self.topic()}9")  # an existing one is no new one
        elsewhere = self.connect(path="/other")
        elsewhere.create(self.topic("a"))
        second.close()
        self.wait_until(
            lambda: self.may_create(first, self.topic("a")), "names nobody holds are forgotten"
        )

    def may_create(self, client, name):
        client.send(create(name))
        return client.read_frame().body[0] == wire.SMQ_ACK_OK


class TopicsTest(LimitTest):
    config = 'limits { topics = 10 } instance "/smq.lsp" { } instance "/other" { }'

    def test_the_sum_over_all_instances_is_bounded(self):
        first, second = self.connect(), self.connect(path="/other")
        for i in range(5):
            first.create(f"{self.topic()}{i}")
            second.create(f"{self.topic()}{i}")
        self.assert_denied(first, create(self.topic("a")), "router.refused_topic_limit_total")
        self.assert_denied(second, subscribe(self.topic("b")), "router.refused_topic_limit_total")


class SubscriptionsPerClientTest(LimitTest):
    config = "limits { subscriptions_per_client = 5 }"

    def test_one_subscription_too_many_is_denied_until_one_is_given_back(self):
        client, other = self.connect(), self.connect()
        tids = [client.subscribe(f"{self.topic()}{i}") for i in range(5)]
        self.assert_denied(
            client, subscribe(self.topic("more")), "router.refused_subscription_limit_total"
        )
        self.assertEqual(client.subscribe(f"{self.topic()}0"), tids[0])  # again is no new one
        other.subscribe(self.topic("more"))
        tid = client.create(self.topic("more"))
        other.publish(tid, b"not for the denied one")
        other.expect(publish(tid, other.etid, b"not for the denied one"))
        client.send(unsubscribe(tids[0]))
        client.expect_nothing_about(f"{self.topic()}0")
        client.subscribe(self.topic("more"))
        self.assert_denied(
            client, subscribe(self.topic("still more")), "router.refused_subscription_limit_total"
        )

    def test_unsubscribing_what_is_not_held_makes_no_room(self):
        client = self.connect()
        tids = [client.subscribe(f"{self.topic()}{i}") for i in range(5)]
        client.send(unsubscribe(tids[0]), unsubscribe(tids[0]), unsubscribe(0x12345678))
        client.expect_nothing_about(f"{self.topic()}0")
        client.subscribe(self.topic("one more"))
        self.assert_denied(
            client, subscribe(self.topic("two more")), "router.refused_subscription_limit_total"
        )

    def test_a_denied_subscribe_is_no_change(self):
        client, observer = self.connect(), self.connect()
        for i in range(5):
            client.subscribe(f"{self.topic()}{i}")
        tid = observer.create(self.topic("watched"))
        observer.observe(tid, 0)
        self.assert_denied(
            client, subscribe(self.topic("watched")), "router.refused_subscription_limit_total"
        )
        observer.expect_nothing_about(self.topic("watched"))


class SubscriptionsPerInstanceTest(LimitTest):
    config = (
        'limits { subscriptions_per_instance = 6 } instance "/smq.lsp" { } instance "/other" { }'
    )

    def test_one_too_many_is_denied_until_a_subscriber_leaves(self):
        *clients, last = self.connect_many(7)
        for client in clients:
            client.subscribe(self.topic())
        self.assert_denied(last, subscribe(self.topic()), "router.refused_subscription_limit_total")
        self.connect(path="/other").subscribe(self.topic())
        tid = last.create(self.topic())
        last.observe(tid, 6)
        clients[0].close()
        last.expect(change(tid, 5))
        last.send(subscribe(self.topic()))
        last.expect(change(tid, 6), suback(tid, self.topic()))


class SubscriptionsTest(LimitTest):
    config = 'limits { subscriptions = 6 } instance "/smq.lsp" { } instance "/other" { }'

    def test_the_sum_over_all_instances_is_bounded(self):
        here, there = self.connect(), self.connect(path="/other")
        for i in range(3):
            here.subscribe(f"{self.topic()}{i}")
            there.subscribe(f"{self.topic()}{i}")
        self.assert_denied(
            here, subscribe(self.topic("a")), "router.refused_subscription_limit_total"
        )
        self.assert_denied(
            there, subscribe(self.topic("a")), "router.refused_subscription_limit_total"
        )


class ObservationsPerClientTest(LimitTest):
    config = "limits { observations_per_client = 5 }"

    def test_one_observation_too_many_is_ignored_and_counted(self):
        client, other = self.connect(), self.connect()
        tids = [client.create(f"{self.topic()}{i}") for i in range(6)]
        since = self.server.counter("router.refused_observe_limit_total")
        for tid in tids[:5]:
            client.observe(tid, 0)
        client.send(observe(tids[5]))
        self.assert_counts("router.refused_observe_limit_total", 1, since)
        for i in range(6):
            other.subscribe(f"{self.topic()}{i}")
        client.expect_any_order(*[change(tid, 1) for tid in tids[:5]])
        client.expect_nothing_about(f"{self.topic()}5")

    def test_unobserving_makes_room(self):
        client = self.connect()
        tids = [client.create(f"{self.topic()}{i}") for i in range(6)]
        for tid in tids[:5]:
            client.observe(tid, 0)
        client.send(unobserve(tids[2]))
        client.expect_nothing_about(f"{self.topic()}2")
        client.observe(tids[5], 0)

    def test_an_observed_client_that_goes_makes_room(self):
        client, *others = self.connect_many(6)
        for other in others:
            client.observe_client(other)
        others[0].close()
        client.expect(change(others[0].etid, 0))
        newcomer = self.connect()
        client.observe_client(newcomer)
        newcomer.close()
        client.expect(change(newcomer.etid, 0))

    def test_unknown_ids_are_not_observations(self):
        client = self.connect()
        for number in range(0x3000_0000, 0x3000_0020):
            client.observe(number, 0)
        tids = [client.create(f"{self.topic()}{i}") for i in range(5)]
        for tid in tids:
            client.observe(tid, 0)


class SubtopicsPerInstanceTest(LimitTest):
    config = 'limits { subtopics_per_instance = 5 } instance "/smq.lsp" { } instance "/other" { }'

    def test_one_sub_topic_too_many_is_denied(self):
        client = self.connect()
        stids = [client.createsub(f"sub {i}") for i in range(5)]
        self.assert_denied(client, createsub("sub 5"), "router.refused_subtopic_limit_total")
        self.assertEqual([client.createsub(f"sub {i}") for i in range(5)], stids)
        self.connect(path="/other").createsub("sub 5")
        client.create("sub 5")  # topics are another table


class MemoryTest(LimitTest):
    """limits.memory: what would go over it is refused or closed, and then it recovers."""

    config = "limits { memory = 16M  queue_bytes = 256K  frame_ms = 1h }"

    def flood_with_pieces(self, count):
        """@count clients with 60 kB of a half-built message each; returns those still there."""
        clients = []
        for _ in range(count):
            client = self.dial()
            client.uid = self.new_uid()
            with contextlib.suppress(AssertionError, OSError):  # refused: that is what it is about
                client.send(http_head(), connect_frame(client.uid))
                client.read_init()
                client.read_connack()
                client.send(pubfrag(0, client.etid, bytes(60_000)))
                client.expect_nothing()
                clients.append(client)
        return clients

    def is_there(self, client):
        with contextlib.suppress(AssertionError, OSError):
            client.expect_nothing()
            return True
        return False

    @raw_only("it sends PubFrags")
    def test_half_built_messages_do_not_exceed_it(self):
        # The broker sheds some that it had let in, so only those count that are there at the end.
        kept = [client for client in self.flood_with_pieces(400) if self.is_there(client)]
        self.assertLess(len(kept) * 60_000, 10 << 20, "24 MB of pieces do not fit into 16 MB")
        self.assertGreater(len(kept), 20, "but some do")
        if not self.server.sanitized:
            self.assertLess(self.server.rss_bytes(), 20 << 20)
        for client in kept:
            client.close()
        self.wait_until(lambda: len(self.flood_with_pieces(1)) == 1, "memory is given back")

    @raw_only("it sends PubFrags")
    def test_queues_of_those_who_do_not_read_do_not_exceed_it(self):
        slow = []
        with contextlib.suppress(AssertionError):
            for _ in range(100):
                slow.append(self.connect(receive_buffer_bytes=4096))
                slow[-1].subscribe(self.topic())
        self.assertGreater(len(slow), 10)
        publisher = slow.pop()
        tid = publisher.create(self.topic())
        with contextlib.suppress(OSError):
            for i in range(400):
                publisher.send(publish(tid, publisher.etid, bytes([i % 256]) * 4000))
        if not self.server.sanitized:
            self.assertLess(self.server.rss_bytes(), 20 << 20)
        self.doCleanups()
        self.wait_until(lambda: len(self.flood_with_pieces(1)) == 1, "memory is given back")

    @raw_only("it sends PubFrags")
    def test_names_do_not_exceed_it(self):
        clients, statuses = [], []
        with contextlib.suppress(AssertionError, OSError):
            for number in range(200):
                client = self.connect()
                clients.append(client)
                for start in range(0, 1000, 100):
                    names = [f"{number}/{i}/".ljust(250, "n") for i in range(start, start + 100)]
                    client.send(*map(create, names))
                    statuses += [frame.body[0] for frame in client.read_frames(100)]
        self.assertGreater(statuses.count(wire.SMQ_ACK_OK), 5000)
        self.assertLess(statuses.count(wire.SMQ_ACK_OK) * 250, 10 << 20)
        if not self.server.sanitized:
            self.assertLess(self.server.rss_bytes(), 20 << 20)
        for client in clients:
            client.close()
        self.wait_until(lambda: len(self.flood_with_pieces(1)) == 1, "memory is given back")


class FootprintTest(LimitTest):
    """What the process takes of the machine, where no sanitizer stands between."""

    config = "limits { frame_ms = 1h  handshake_ms = 1h }"

    def setUp(self):
        super().setUp()
        if self.server.sanitized:
            self.skipTest("a sanitizer's memory is its own")

    def test_an_idle_broker_is_small(self):
        """With its web actor; TLS adds the library's tables and the credentials; each thread beyond
        the first, its stack, rings and buffers."""
        with Server() as idle:
            stats = idle.stats()
            thread_count = stats["threads_io"] + stats["threads_router"]
            self.assertLess(idle.rss_bytes(), ((9 if TLS_DIR else 7) + thread_count) << 20)

    @raw_only("it sends PubFrags")
    def test_memory_is_given_back_after_a_storm(self):
        """The second storm needs what the first one left: nothing grows from storm to storm."""
        peaks = []
        for _ in range(4):
            clients = self.connect_many(1000)
            for client in clients:
                client.send(subscribe(self.topic()), pubfrag(0, client.etid, bytes(20_000)))
            for client in clients:
                client.expect_type(wire.SMQ_SUBACK)
                client.expect_nothing()
            peaks.append(self.server.rss_bytes())
            for client in clients:
                client.close()
            self.wait_until(lambda: self.server.counter("io.open") == 0, "the storm is over")
        self.assertGreater(peaks[0], 20 << 20, "the storm was one")
        self.assertLess(max(peaks), peaks[0] + (8 << 20), "of 20 MB in each storm")
        self.wait_until(
            lambda: self.server.rss_bytes() < 16 << 20, "20 MB of pieces are given back"
        )


class ExactTest(LimitTest):
    """Limits crossed by many at once: the sum is exact, not approximately right."""

    config = "limits { subscriptions_per_instance = 50 }"

    def test_exactly_fifty_of_a_hundred_get_in(self):
        clients = self.connect_many(100)
        for client in clients:
            client.send(subscribe(self.topic()))
        statuses = [client.read_frame().body[0] for client in clients]
        self.assertEqual(statuses.count(wire.SMQ_ACK_OK), 50)
        publisher = self.connect()
        publisher.observe(publisher.create(self.topic()), 50)
