"""
tests/wire/test_disconnect.py: leaving, in good order and in none (§4.16).
"""

from smqwire import (
    PING,
    PONG,
    WireTest,
    change,
    connect_frame,
    disconnect,
    publish,
    raw_frame,
    subscribe,
    wire,
)


class DisconnectTest(WireTest):
    def test_a_disconnect_is_answered_by_the_close(self):
        client = self.connect()
        client.send(disconnect())
        client.expect_closed()

    def test_a_disconnect_may_carry_a_reason(self):
        for reason in (b"bye", b"\0\xff", b"r" * 60000):
            client = self.connect()
            client.send(disconnect(reason))
            client.expect_closed()

    def test_answers_to_what_came_before_are_still_sent(self):
        client = self.connect()
        client.send(*[PING] * 10, disconnect())
        client.expect(*[PONG] * 10)
        client.expect_closed()

    def test_nothing_after_a_disconnect_is_done(self):
        watcher, client = self.connect(), self.connect()
        tid = watcher.subscribe(self.topic())
        client.send(
            disconnect(), publish(tid, client.etid, b"a ghost"), subscribe(self.topic()), b"\0\0\0"
        )
        client.expect_closed()
        watcher.observe(tid, 1)
        watcher.expect_nothing_about(self.topic())

    def test_a_connect_after_a_disconnect_on_the_same_connection_is_nothing(self):
        client = self.connect()
        client.send(disconnect(), connect_frame(self.new_uid()))
        client.expect_closed()

    def test_a_half_close_is_answered_by_the_close(self):
        client = self.connect()
        client.shut()
        client.expect_closed()

    def test_each_way_to_leave_ends_subscriptions_and_the_etid(self):
        observer = self.connect()
        for number, leave in enumerate(
            (
                lambda client: client.send(disconnect()),
                lambda client: client.shut(),
                lambda client: client.close(),
                lambda client: client.reset(),
                lambda client: (client.send(bytes(subscribe("half a frame"))[:-4]), client.shut()),
                lambda client: (client.send(raw_frame(wire.SMQ_PING)[:1]), client.reset()),
            )
        ):
            with self.subTest(number):
                client = self.connect()
                tid = client.subscribe(self.topic(str(number)))
                observer.observe(tid, 1)
                observer.observe_client(client)
                leave(client)
                observer.expect_any_order(change(tid, 0), change(client.etid, 0))
                observer.publish(client.etid, b"nobody there")
                observer.expect_nothing()

    def test_a_uid_can_come_back_many_times(self):
        uid = self.new_uid()
        for i in range(50):
            client = self.connect(uid)
            tid = client.subscribe(self.topic())
            client.publish(tid, str(i))
            client.expect(publish(tid, client.etid, str(i)))
            if i % 3 == 0:
                client.send(disconnect())
                client.expect_closed()
            client.close()

    def test_closing_with_output_still_queued_harms_nobody(self):
        sender = self.connect()
        for way in ("close", "reset", "shut"):
            reader = self.connect(receive_buffer_bytes=4096)
            sender.observe_client(reader)
            for _ in range(30):
                sender.publish(reader.etid, b"x" * 8000)
            getattr(reader, way)()
            sender.expect(change(reader.etid, 0))
