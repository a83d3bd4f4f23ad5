"""
tests/wire/test_instances.py: two broker paths share nothing (§4.21).
"""

from smqwire import WireTest, change, http_head, observe, publish, unobserve, unsubscribe

A, B = "/a.lsp", "/deep/path/b"


class InstancesTest(WireTest):
    config = f"""
        instance "{A}" {{ topic "pinned" {{ tid = 100 }}  subtopic "sub" {{ stid = 5 }} }}
        instance "{B}" {{ topic "other pin" {{ tid = 100 }}  topic "only b" {{ tid = 101 }} }}
    """

    def test_each_path_is_a_broker(self):
        for path in (A, B):
            client = self.connect(path=path)
            client.tell(client, path.encode())

    def tearDown(self):
        """As everywhere, but the default path is not served here."""
        self.assertIsNone(self.server.process.poll(), "the server died")
        for path in (A, B):
            self.connect(path=path).expect_nothing()

    def test_the_default_path_is_not_served_when_others_are_configured(self):
        client = self.dial()
        client.send(http_head("/smq.lsp"))
        self.assertEqual(client.read_http()[0], 404)

    def test_a_name_is_another_topic_in_each(self):
        a, b = self.connect(path=A), self.connect(path=B)
        tid_a, tid_b = a.subscribe(self.topic()), b.subscribe(self.topic())
        a.publish(tid_a, b"in a")
        a.expect(publish(tid_a, a.etid, b"in a"))
        b.expect_nothing_about(self.topic())
        b.publish(tid_b, b"in b")
        b.expect(publish(tid_b, b.etid, b"in b"))
        a.expect_nothing_about(self.topic())

    def test_a_tid_of_the_other_is_an_unknown_id(self):
        a, b = self.connect(path=A), self.connect(path=B)
        tid = a.subscribe(self.topic())
        b.publish(tid, b"over the wall")
        b.observe(tid, 0)  # unknown: Change 0, though a subscribes to it
        b.send(unsubscribe(tid), unobserve(tid))
        b.expect_nothing_about(self.topic())
        a.expect_nothing_about(self.topic())
        a.observe(tid, 1)

    def test_an_etid_of_the_other_is_an_unknown_id(self):
        a, b = self.connect(path=A), self.connect(path=B)
        b.publish(a.etid, b"over the wall")
        b.observe(a.etid, 0)
        a.expect_nothing()
        a.close()
        b.expect_nothing_about(self.topic())  # no Change when it goes: nothing was kept

    def test_another_instances_etid_as_publisher_is_a_corrupt_frame(self):
        a, b = self.connect(path=A), self.connect(path=B)
        b.send(publish(b.etid, a.etid, b"a lie"))
        b.expect_disconnect("corrupt frame")

    def test_the_same_uid_may_be_in_both(self):
        uid = self.new_uid()
        a, b = self.connect(uid, path=A), self.connect(uid, path=B)
        a.expect_nothing()
        a.tell(a, b"still here")
        again = self.connect(uid, path=B)
        b.expect_disconnect("reconnect")
        self.assertEqual(again.etid, b.etid)
        a.expect_nothing()

    def test_observers_in_one_hear_nothing_of_the_other(self):
        a, b, comer = self.connect(path=A), self.connect(path=B), self.connect(path=B)
        tid = a.create(self.topic())
        a.observe(tid, 0)
        comer.subscribe(self.topic())
        comer.close()
        a.expect_nothing_about(self.topic())
        b.expect_nothing_about(self.topic())

    def test_pins_are_of_one_instance(self):
        a, b = self.connect(path=A), self.connect(path=B)
        self.assertEqual(a.create("pinned"), 100)
        self.assertEqual(b.create("other pin"), 100)
        self.assertNotIn(b.create("pinned"), (100, 101))
        self.assertNotIn(a.create("only b"), (100, 101))
        self.assertEqual(a.createsub("sub"), 5)
        self.assertNotEqual(b.createsub("sub"), 5)
        b.subscribe("other pin")
        a.publish(100, b"a's own number 100")
        b.expect_nothing_about("other pin")

    def test_equal_pins_carry_messages_in_each(self):
        a, b = self.connect(path=A), self.connect(path=B)
        a.subscribe("pinned")
        b.subscribe("other pin")
        b.publish(100, b"in b")
        b.expect(publish(100, b.etid, b"in b"))
        a.publish(100, b"in a")
        a.expect(publish(100, a.etid, b"in a"))
        b.expect_nothing_about("other pin")
        a.send(observe(100))
        a.expect(change(100, 1))


class ManyInstancesTest(WireTest):
    paths = [f"/instance/{i}" for i in range(16)]
    config = "\n".join(f'instance "{path}" {{ }}' for path in paths)

    def tearDown(self):
        self.assertIsNone(self.server.process.poll(), "the server died")

    def test_one_name_in_sixteen_instances_is_sixteen_topics(self):
        clients = [self.connect(path=path) for path in self.paths]
        tids = [client.subscribe("same name") for client in clients]
        for client, tid in zip(clients, tids):
            client.publish(tid, str(tid))
        for client, tid in zip(clients, tids):
            client.expect(publish(tid, client.etid, str(tid)))
            client.expect_nothing_about("same name")
