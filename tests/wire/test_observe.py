"""
tests/wire/test_observe.py: Observe, Unobserve and the Changes they bring (§4.12 to §4.14).
"""

import random

from smqwire import (
    WireTest,
    change,
    disconnect,
    in_threads,
    observe,
    publish,
    suback,
    subscribe,
    unobserve,
    unsubscribe,
    wire,
)


class TopicTest(WireTest):
    def test_observing_a_topic_gives_its_present_count_at_once(self):
        observer, first, second = self.connect_many(3)
        tid = observer.create(self.topic())
        observer.observe(tid, 0)
        first.subscribe(self.topic())
        observer.expect(change(tid, 1))
        second.subscribe(self.topic())
        observer.expect(change(tid, 2))
        late = self.connect()
        late.observe(tid, 2)
        late.expect_nothing_about(self.topic())

    def test_every_subscribe_unsubscribe_and_end_gives_a_change(self):
        observer, *clients = self.connect_many(5)
        tid = observer.create(self.topic())
        observer.observe(tid, 0)
        for count, client in enumerate(clients, 1):
            client.subscribe(self.topic())
            observer.expect(change(tid, count))
        clients[0].send(unsubscribe(tid))
        observer.expect(change(tid, 3))
        clients[1].close()
        observer.expect(change(tid, 2))
        clients[2].reset()
        observer.expect(change(tid, 1))
        clients[3].send(disconnect())
        observer.expect(change(tid, 0))
        observer.expect_nothing_about(self.topic())

    def test_a_protocol_error_of_a_subscriber_gives_a_change(self):
        observer, client = self.connect(), self.connect()
        tid = client.subscribe(self.topic())
        observer.observe(tid, 1)
        client.send(b"\0\3\0")
        observer.expect(change(tid, 0))

    def test_what_changes_no_count_gives_no_change(self):
        observer, client = self.connect(), self.connect()
        tid = client.subscribe(self.topic())
        observer.observe(tid, 1)
        client.subscribe(self.topic())  # again
        client.create(self.topic())
        other = self.connect()
        other.send(unsubscribe(tid))  # holds none
        other.create(self.topic())
        other.publish(tid, b"x")
        client.expect(publish(tid, other.etid, b"x"))
        other.close()
        client.send(observe(tid), unobserve(tid))
        client.expect(change(tid, 1))
        client.expect_nothing_about(self.topic())
        observer.expect_nothing_about(self.topic())

    def test_observe_then_subscribe_gives_the_change_before_the_suback(self):
        for i in range(20):
            client = self.connect()
            tid = client.create(self.topic(str(i)))
            client.send(observe(tid), subscribe(self.topic(str(i))))
            client.expect(change(tid, 0), change(tid, 1), suback(tid, self.topic(str(i))))

    def test_an_observer_that_subscribes_and_unsubscribes_sees_itself(self):
        client = self.connect()
        tid = client.create(self.topic())
        client.observe(tid, 0)
        for _ in range(10):
            client.send(subscribe(self.topic()), unsubscribe(tid))
            client.expect(change(tid, 1), suback(tid, self.topic()), change(tid, 0))

    def test_every_observer_is_told(self):
        client, *observers = self.connect_many(20)
        tid = client.create(self.topic())
        for observer in observers:
            observer.observe(tid, 0)
        client.subscribe(self.topic())
        for observer in observers:
            observer.expect(change(tid, 1))
            observer.expect_nothing_about(self.topic())

    def test_counts_come_one_by_one_and_in_order(self):
        observer, *clients = self.connect_many(60)
        tid = observer.create(self.topic())
        observer.observe(tid, 0)
        for client in clients:
            client.send(subscribe(self.topic()))
        observer.expect(*[change(tid, count) for count in range(1, 60)])
        for client in clients:
            client.close()
        observer.expect(*[change(tid, count) for count in range(58, -1, -1)])

    def test_an_observation_of_one_topic_says_nothing_of_another(self):
        observer, client = self.connect(), self.connect()
        tid = client.create(self.topic("observed"))
        observer.observe(tid, 0)
        for i in range(20):
            client.subscribe(self.topic(str(i)))
        observer.expect_nothing_about(self.topic("observed"))

    def test_observing_twice_is_one_observation(self):
        observer, client = self.connect(), self.connect()
        tid = client.create(self.topic())
        observer.send(observe(tid), observe(tid))
        observer.expect(change(tid, 0))
        client.subscribe(self.topic())
        frames = [observer.read_frame()]
        if frames[0] == change(tid, 0):  # the second Observe may be answered as the first
            frames = [observer.read_frame()]
        self.assertEqual(frames, [change(tid, 1)])
        observer.expect_nothing_about(self.topic())

    def test_unobserve_ends_it(self):
        observer, client = self.connect(), self.connect()
        tid = client.create(self.topic())
        observer.observe(tid, 0)
        observer.send(unobserve(tid))
        observer.expect_nothing_about(self.topic())
        client.subscribe(self.topic())
        observer.expect_nothing_about(self.topic())

    def test_unobserve_of_one_leaves_the_others(self):
        client, *observers = self.connect_many(6)
        tid = client.create(self.topic())
        for observer in observers:
            observer.observe(tid, 0)
        for gone in (2, 0, 2):
            observer = observers.pop(gone)
            observer.send(unobserve(tid))
            observer.expect_nothing_about(self.topic())
            client.send(subscribe(self.topic()), unsubscribe(tid))
            client.expect(suback(tid, self.topic()))
            for stays in observers:
                stays.expect(change(tid, 1), change(tid, 0))
            observer.expect_nothing_about(self.topic())

    def test_unobserving_what_is_not_observed_is_ignored(self):
        client, other = self.connect(), self.connect()
        tid = other.subscribe(self.topic())
        client.send(
            *map(unobserve, (tid, tid, 0, 1, client.etid, other.etid, 0xFFFFFFFF, 0x12345678))
        )
        client.expect_nothing_about(self.topic())
        client.observe(tid, 1)

    def test_an_observation_survives_all_subscribers(self):
        observer, client = self.connect(), self.connect()
        tid = client.subscribe(self.topic())
        observer.observe(tid, 1)
        client.close()
        observer.expect(change(tid, 0))
        newcomer = self.connect()
        self.assertEqual(newcomer.subscribe(self.topic()), tid, "an observer holds the name")
        observer.expect(change(tid, 1))

    def test_an_observer_that_leaves_harms_nobody(self):
        client, *observers = self.connect_many(6)
        tid = client.create(self.topic())
        for observer in observers:
            observer.observe(tid, 0)
        for i, observer in enumerate(observers[:4]):
            (observer.close, observer.reset)[i % 2]()
        client.subscribe(self.topic())
        observers[4].expect(change(tid, 1))

    def test_a_subscriber_of_many_topics_leaves_them_all(self):
        observer, client = self.connect(), self.connect()
        client.send(*[subscribe(self.topic(str(i))) for i in range(300)])
        tids = [frame.u32(1) for frame in client.read_frames(300)]
        observer.send(*map(observe, tids))
        observer.expect_any_order(*[change(tid, 1) for tid in tids])
        client.close()
        observer.expect_any_order(*[change(tid, 0) for tid in tids])

    def test_a_storm_of_observes_leaves_the_last_word_standing(self):
        observer, client = self.connect(), self.connect()
        tids = [client.create(self.topic(str(i))) for i in range(10)]
        storm = random.Random(3)
        observed = set()
        stream = []
        answers_count = 0
        for _ in range(2000):
            tid = storm.choice(tids)
            if tid in observed:
                observed.remove(tid)
                stream.append(unobserve(tid))
            else:
                observed.add(tid)
                stream.append(observe(tid))
                answers_count += 1
        observer.send(*stream)
        self.assertEqual(
            {frame.type for frame in observer.read_frames(answers_count)}, {wire.SMQ_CHANGE}
        )
        for i in range(10):
            observer.expect_nothing_about(self.topic(str(i)))
            client.subscribe(self.topic(str(i)))
            if tids[i] in observed:
                observer.expect(change(tids[i], 1))
            observer.expect_nothing_about(self.topic(str(i)))


class ClientTest(WireTest):
    def test_observing_a_client_gives_nothing_at_once(self):
        observer, client = self.connect(), self.connect()
        observer.observe_client(client)
        observer.expect_nothing()

    def test_the_end_of_an_observed_client_gives_change_0(self):
        observer = self.connect()
        for leave in (
            lambda client: client.close(),
            lambda client: client.reset(),
            lambda client: client.send(disconnect()),
            lambda client: client.send(disconnect("with a reason")),
            lambda client: client.shut(),
            lambda client: client.send(b"\0\3\0"),
            lambda client: client.send(publish(1, 1, b"corrupt")),
        ):
            client = self.connect()
            observer.observe_client(client)
            leave(client)
            observer.expect(change(client.etid, 0))
            observer.expect_nothing()

    def test_subscriptions_of_an_observed_client_are_no_news(self):
        observer, client = self.connect(), self.connect()
        observer.observe_client(client)
        tid = client.subscribe(self.topic())
        client.send(unsubscribe(tid))
        client.expect_nothing_about(self.topic())
        observer.tell(client, b"same way as a Change")
        observer.expect_nothing_about(self.topic())

    def test_every_observer_of_a_client_is_told_once(self):
        client, *observers = self.connect_many(20)
        for observer in observers:
            observer.observe_client(client)
            observer.send(observe(client.etid))  # twice is as good as once
            observer.tell(client, b"twice")
        client.close()
        for observer in observers:
            observer.expect(change(client.etid, 0))
            observer.expect_nothing_about(self.topic())

    def test_unobserving_a_client_ends_it(self):
        observer, witness, client = self.connect_many(3)
        observer.observe_client(client)
        witness.observe_client(client)
        observer.send(unobserve(client.etid))
        observer.tell(client, b"done")
        client.close()
        witness.expect(change(client.etid, 0))
        observer.expect_nothing_about(self.topic())

    def test_observing_oneself_is_ignored(self):
        client = self.connect()
        client.send(observe(client.etid), observe(client.etid), unobserve(client.etid))
        client.tell(client, b"nothing before this")
        client.expect_nothing()

    def test_two_clients_may_observe_each_other(self):
        first, second = self.connect(), self.connect()
        first.observe_client(second)
        second.observe_client(first)
        first.close()
        second.expect(change(first.etid, 0))
        second.expect_nothing()

    def test_an_etid_that_is_gone_is_unknown(self):
        observer, client = self.connect(), self.connect()
        observer.observe_client(client)
        client.close()
        observer.expect(change(client.etid, 0))
        observer.observe(client.etid, 0)
        observer.expect_nothing_about(self.topic())


class UnknownTest(WireTest):
    def test_observing_an_unknown_id_gives_change_0_at_once(self):
        client = self.connect()
        for number in (0x12345678, 2, 0x80000000, 0xFFFFFFFF):
            client.observe(number, 0)
        client.expect_nothing()

    def test_observing_zero_gives_change_0(self):
        self.connect().observe(0, 0)

    def test_nothing_is_kept_of_an_unknown_id(self):
        """A flood of random ids must not fill a table: asked again, each is unknown again."""
        client = self.connect()
        for _ in range(3):
            numbers = [0x2000_0000 + i for i in range(2000)]
            client.send(*map(observe, numbers))
            client.expect_any_order(*[change(number, 0) for number in numbers])
        client.expect_nothing()


class CrowdTest(WireTest):
    def test_counts_stay_right_while_many_come_and_go_at_once(self):
        """Each client subscribes and leaves many times, side by side; the last count is 0."""
        observer = self.connect()
        tid = observer.create(self.topic())
        observer.observe(tid, 0)
        crowd, rounds_count = 6, 20

        def come_and_go(seed):
            dice = random.Random(seed)
            for _ in range(rounds_count):
                client = self.connect()
                client.subscribe(self.topic())
                leave = dice.choice(("close", "reset", "unsubscribe", "disconnect"))
                if leave == "unsubscribe":
                    client.send(unsubscribe(tid))
                    client.expect_nothing_about(self.topic())
                elif leave == "disconnect":
                    client.send(disconnect())
                getattr(client, "close" if leave in ("unsubscribe", "disconnect") else leave)()

        def watch():
            count = 0
            for _ in range(crowd * rounds_count * 2):  # each coming and each going is one Change
                frame = observer.read_frame()
                now = frame.u32(4)
                self.assertEqual(frame, change(tid, now))
                self.assertIn(now - count, (-1, 1), "a count changes by one")
                count = now
            self.assertEqual(count, 0)

        in_threads(watch, *[lambda s=seed: come_and_go(s) for seed in range(crowd)])
        observer.expect_nothing_about(self.topic())
