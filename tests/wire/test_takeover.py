"""
tests/wire/test_takeover.py: the same UID connects again (§4.2).

Goal: the newcomer has the ETID and nothing else of the old connection; everybody who watched the
old one is told; nobody is thrown out by a Connect that was not accepted.
"""

import contextlib

from smqwire import (
    Frame,
    WireTest,
    change,
    connect_frame,
    disconnect,
    http_head,
    in_threads,
    observe,
    pubfrag,
    publish,
    raw_only,
    unobserve,
    wire,
)


class TakeoverTest(WireTest):
    def take_over(self, old, **options):
        """A new connection with the UID of @old."""
        return self.connect(old.uid, **options)

    def test_the_new_connection_has_the_same_etid(self):
        old = self.connect()
        new = self.take_over(old)
        self.assertEqual(new.etid, old.etid)

    def test_the_old_connection_is_told_reconnect_and_closed(self):
        old = self.connect()
        self.take_over(old)
        old.expect_disconnect("reconnect")

    def test_a_message_to_the_etid_reaches_the_new_connection(self):
        old, other = self.connect(), self.connect()
        new = self.take_over(old)
        other.tell(new, b"hello")
        old.expect_disconnect("reconnect")

    def test_the_new_connection_is_a_full_client(self):
        old = self.connect()
        new, other = self.take_over(old), self.connect()
        tid = new.subscribe(self.topic())
        new.publish(tid, b"from the new one")
        new.expect(publish(tid, new.etid, b"from the new one"))
        other.publish(tid, b"to the new one")
        new.expect(publish(tid, other.etid, b"to the new one"))

    def test_the_old_subscriptions_go_and_their_observers_are_told(self):
        old, observer = self.connect(), self.connect()
        tids = [old.subscribe(self.topic(str(i))) for i in range(5)]
        for tid in tids:
            observer.observe(tid, 1)
        self.take_over(old)
        observer.expect_any_order(*[change(tid, 0) for tid in tids])
        observer.expect_nothing()

    def test_the_new_connection_inherits_no_subscription(self):
        old, other = self.connect(), self.connect()
        tid = old.subscribe(self.topic())
        new = self.take_over(old)
        other.publish(tid, b"for subscribers")
        other.expect_nothing_about(self.topic())
        new.expect_nothing_about(self.topic())

    def test_the_new_connection_inherits_no_observation(self):
        old, other = self.connect(), self.connect()
        tid = old.create(self.topic())
        old.observe(tid, 0)
        old.observe_client(other)
        new = self.take_over(old)
        other.subscribe(self.topic())
        new.expect_nothing_about(self.topic())

    def test_observers_of_the_etid_get_change_0(self):
        old, observer = self.connect(), self.connect()
        observer.observe_client(old)
        self.take_over(old)
        observer.expect(change(old.etid, 0))

    def test_an_observation_of_the_etid_ends_with_the_takeover(self):
        old, observer = self.connect(), self.connect()
        observer.observe_client(old)
        new = self.take_over(old)
        observer.expect(change(old.etid, 0))
        witness = self.connect()
        witness.observe_client(new)
        new.close()
        witness.expect(change(new.etid, 0))
        observer.expect_nothing_about(self.topic())

    def test_the_new_connection_can_be_observed_under_the_same_etid(self):
        old, observer = self.connect(), self.connect()
        new = self.take_over(old)
        old.expect_disconnect("reconnect")
        observer.observe_client(new)
        new.close()
        observer.expect(change(new.etid, 0))

    def test_the_end_of_the_old_connection_does_not_end_the_new_one(self):
        """The old socket's close comes after the takeover, and must not remove the new client."""
        for way in ("close", "reset"):
            old, other = self.connect(), self.connect()
            new = self.take_over(old)
            other.send(observe(new.etid))
            getattr(old, way)()
            for _ in range(20):  # other connections come and go meanwhile
                self.connect().close()
            other.tell(new, b"still there")
            other.expect_nothing_about(self.topic())

    @raw_only("it sends a PubFrag")
    def test_a_half_built_pubfrag_goes_with_the_old_connection(self):
        old, other = self.connect(), self.connect()
        old.send(pubfrag(0, old.etid, b"half of it "))
        old.expect_nothing()
        new = self.take_over(old)
        new.send(pubfrag(other.etid, new.etid, b"all of it"))
        other.expect(publish(other.etid, new.etid, b"all of it"))

    def test_topics_keep_their_tids(self):
        old = self.connect()
        tid = old.subscribe(self.topic())
        holder = self.connect()
        self.assertEqual(holder.create(self.topic()), tid)
        new = self.take_over(old)
        self.assertEqual(new.create(self.topic()), tid)

    def test_frames_the_old_connection_sends_afterwards_are_not_done(self):
        old, watcher = self.connect(), self.connect()
        tid = watcher.subscribe(self.topic())
        new = self.take_over(old)
        old.expect(disconnect("reconnect"))
        with contextlib.suppress(OSError):  # closed already
            old.publish(tid, b"a ghost")
        new.publish(tid, b"the living")
        watcher.expect(publish(tid, new.etid, b"the living"))

    def test_an_old_connection_that_never_reads_is_taken_over_too(self):
        old, other = self.connect(receive_buffer_bytes=4096), self.connect()
        for _ in range(64):
            other.publish(old.etid, b"x" * 16000)
        other.expect_nothing()
        new = self.take_over(old)
        self.assertEqual(new.etid, old.etid)
        while (frame := old.read_frame()).type == wire.SMQ_PUBLISH:
            pass  # what was queued may still come, whole
        self.assertEqual(frame, disconnect("reconnect"))

    # -- who is not taken over --

    def test_a_refused_connect_throws_nobody_out(self):
        old = self.connect()
        for frame in (
            connect_frame(old.uid, version=3),
            Frame(wire.SMQ_CONNECT, connect_frame(old.uid, b"creds").body[:-1]),
            Frame(wire.SMQ_CONNECT, connect_frame(old.uid).body[:-1]),
        ):
            client = self.bootstrap()
            client.send(frame)
            client.expect_refused(wire.SMQ_CONNACK_BAD_CONNECT)
        old.expect_nothing()
        old.tell(old, b"alive")

    def test_a_bootstrap_alone_throws_nobody_out(self):
        old, half = self.connect(), self.bootstrap()
        half.send(bytes(connect_frame(old.uid))[:-1])
        old.expect_nothing()

    def test_uids_are_compared_byte_for_byte(self):
        uid = self.new_uid()
        others = [uid + b"\0", uid[:-1], uid.upper(), b"\0" + uid, uid + uid]
        clients = [self.connect(other) for other in (uid, *others)]
        self.assertEqual(len({client.etid for client in clients}), len(clients))
        for client in clients:
            client.expect_nothing()

    def test_a_uid_that_left_in_good_order_disturbs_nobody_when_it_returns(self):
        client, other = self.connect(), self.connect()
        other.observe_client(client)
        client.close()
        other.expect(change(client.etid, 0))
        self.connect(client.uid).expect_nothing()
        other.expect_nothing_about(self.topic())

    # -- many --

    def test_a_long_row_of_takeovers_keeps_the_etid(self):
        other = self.connect()
        row = [self.connect()]
        for i in range(100):
            row.append(self.take_over(row[-1]))
            row[-2].expect_disconnect("reconnect")
            self.assertEqual(row[-1].etid, row[0].etid)
        other.tell(row[-1], b"the last one")

    def test_two_machines_with_one_uid_fighting_harm_nobody_else(self):
        """Each comes back as soon as it is thrown out, as a real client does on a plain close."""
        uid, other = self.new_uid(), self.connect()
        tid = other.subscribe(self.topic())

        def fight():
            for round in range(60):
                client = self.connect(uid)
                with contextlib.suppress(OSError):  # thrown out already
                    client.send(publish(tid, client.etid, b"a blow"))
                (client.close if round % 3 else client.reset)()

        def talk():
            for i in range(300):
                other.publish(other.etid, str(i))
                while (frame := other.read_frame()) != publish(other.etid, other.etid, str(i)):
                    self.assertEqual((frame.u32(0), frame.body[12:]), (tid, b"a blow"))

        in_threads(fight, fight, talk)

    def test_twenty_at_once_leave_one(self):
        uid = self.new_uid()
        clients = [self.dial() for _ in range(20)]
        for client in clients:
            client.send(http_head(), connect_frame(uid))
        for client in clients:
            client.read_init()
            client.read_connack()
        self.assertEqual(len({client.etid for client in clients}), 1)
        etid, other = clients[0].etid, self.connect()
        other.publish(etid, b"who is it?")
        answers = [client.read_frame() for client in clients]
        self.assertEqual(answers.count(publish(etid, other.etid, b"who is it?")), 1)
        self.assertEqual(answers.count(disconnect("reconnect")), 19)

    def test_unobserving_after_the_takeover_is_nothing(self):
        old, observer = self.connect(), self.connect()
        observer.observe_client(old)
        self.take_over(old)
        observer.expect(change(old.etid, 0))
        observer.send(unobserve(old.etid), unobserve(old.etid))
        observer.expect_nothing()
