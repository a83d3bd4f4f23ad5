"""
tests/wire/test_stats.py: the statistics socket tells the truth, to anyone who asks in any way.
"""

import contextlib
import json
import re
import socket

from smqwire import (
    HANG_S,
    WireTest,
    change,
    connect_frame,
    http_head,
    in_threads,
    observe,
    plain_only,
    publish,
    raw_frame,
    raw_only,
    subscribe,
    wire,
)


class StatsTest(WireTest):
    def assert_grows_by(self, name, amount, action):
        since = self.server.counter(name)
        action()
        self.wait_until(
            lambda: self.server.counter(name) == since + amount, f"{name} grows by {amount}"
        )

    def ask(self, data, shut=False):
        """Send @data to the socket; returns what it answers until it closes."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self.server.data_dir / "smqd.sock"))
            admin.settimeout(HANG_S)
            admin.sendall(data)
            if shut:
                admin.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: admin.recv(65536), b""))

    # -- what it says --

    def test_stats_is_one_json_object(self):
        text = self.server.admin("stats")
        self.assertIsInstance(json.loads(text), dict)
        self.assertTrue(text.endswith("\n"), "it is for terminals as well")

    def test_connections_and_clients_are_counted(self):
        base = self.server.gauges()
        self.wait_until(lambda: self.server.counter("io.open") == 0, "earlier connections are gone")
        clients = self.connect_many(7)
        half = [self.dial() for _ in range(3)]
        self.bootstrap()
        self.wait_until(lambda: self.server.counter("io.open") == 11, "11 open connections")
        self.assert_becomes("io.live", 7)
        own = self._gauges_at_start["router.clients"]  # the web actor's
        self.assert_becomes("router.clients", own + 7)
        for client in clients[:4] + half:
            client.close()
        self.wait_until(lambda: self.server.counter("io.live") == 3, "3 live clients")
        self.wait_until(lambda: self.server.counter("io.open") == 4, "4 open connections")
        self.assertGreaterEqual(self.server.counter("io.accepted_total"), base["io.open"] + 11)

    def test_topics_subscriptions_and_observations_are_counted(self):
        own = self._gauges_at_start  # the web actor's
        self.wait_until(
            lambda: self.server.counter("router.topics") == own["router.topics"],
            "earlier topics are gone",
        )
        first, second = self.connect(), self.connect()
        tids = [first.subscribe(f"{self.topic()}{i}") for i in range(5)]
        second.subscribe(f"{self.topic()}0")
        second.subscribe(f"{self.topic()}0")
        second.create(f"{self.topic()}5")
        second.observe(tids[1], 1)
        second.observe_client(first)
        gauges = self.server.gauges()
        self.assertEqual(
            {
                name: gauges[name] - own[name]
                for name in ("router.topics", "router.subscriptions", "router.observations")
            },
            {"router.topics": 6, "router.subscriptions": 6, "router.observations": 2},
        )
        first.close()
        second.expect_any_order(change(tids[1], 0), change(first.etid, 0))
        self.wait_until(
            lambda: self.server.counter("router.subscriptions") == own["router.subscriptions"] + 1,
            "one subscription is left",
        )
        self.wait_until(
            lambda: self.server.counter("router.topics") == own["router.topics"] + 3,
            "names nobody holds are forgotten",
        )

    def test_messages_are_counted_on_both_sides(self):
        publisher, *receivers = self.connect_many(4)
        tid = [client.subscribe(self.topic()) for client in receivers][0]
        since_out = self.server.counter("io.messages_out_total")

        def talk():
            publisher.send(*[publish(tid, publisher.etid, str(i)) for i in range(100)])
            for client in receivers:
                client.expect(*[publish(tid, publisher.etid, str(i)) for i in range(100)])

        self.assert_grows_by("io.messages_in_total", 100, talk)
        self.wait_until(
            lambda: self.server.counter("io.messages_out_total") == since_out + 300, "300 went out"
        )

    @plain_only("bytes are counted as the kernel gives them: with TLS's own")
    @raw_only("bytes are counted as they are sent")
    def test_bytes_are_counted(self):
        client = self.connect()
        client.expect_nothing()
        head_bytes = len(bytes(publish(0, 0)))
        self.assert_grows_by(
            "io.bytes_in_total", head_bytes + 1000, lambda: client.tell(client, bytes(1000))
        )

    def test_takeovers_are_counted(self):
        client = self.connect()
        self.assert_grows_by("router.takeovers_total", 1, lambda: self.connect(client.uid))

    @raw_only("the web actor keeps a connection whose upgrade it refuses")
    def test_each_reason_to_close_is_counted(self):
        self.wait_until(lambda: self.server.counter("io.open") == 0, "earlier connections are gone")

        def closes(*data):
            client = self.connect()
            client.send(*data)
            client.read_all()

        self.assert_grows_by(
            "closed.PROTOCOL", 2, lambda: (closes(raw_frame(99)), closes(b"\0\0\0"))
        )
        self.assert_grows_by("closed.DISCONNECT", 1, lambda: closes(raw_frame(wire.SMQ_DISCONNECT)))
        self.assert_grows_by("closed.PEER", 1, lambda: self.connect().close())

        def no_broker_here():
            client = self.dial()
            client.send(http_head("/nothing"))
            client.read_all()

        self.assert_grows_by("closed.HTTP", 1, no_broker_here)

        def bad_connect():
            client = self.bootstrap()
            client.send(connect_frame(b"short"))
            client.read_all()

        self.assert_grows_by("closed.REFUSED", 1, bad_connect)

    def test_what_is_dropped_for_nobody_is_counted(self):
        client = self.connect()
        self.assert_grows_by(
            "router.dropped_no_receiver_total",
            3,
            lambda: client.send(*[publish(0x12345678, client.etid)] * 3, observe(0x12345678)),
        )

    def test_peers_lists_who_is_connected(self):
        self.wait_until(lambda: self.server.counter("io.open") == 0, "earlier connections are gone")
        uids = [f"peer-{i}-{self._testMethodName}" for i in range(5)]
        clients = [self.connect(uid) for uid in uids]
        text = self.server.admin("peers")
        json.loads(text)
        for uid, client in zip(uids, clients):
            self.assertIn(uid, text)
            self.assertRegex(text, rf"\b({client.etid}|{client.etid:x}|{client.etid:08x})\b")

    def test_a_uid_of_any_bytes_is_listed_as_valid_json(self):
        uids = [
            b'"quoted"\\',
            b"\0\1\2\3\4\5\6",
            b"\xff\xfe\x80\x81\xc3\x28",
            "ünïcödé".encode(),
            b"</script>",
            b"line\nfeed",
            b"\xf0\x9f\x98\x80smile",
            b"\xed\xa0\x80lone",
            b"u" * 255,
        ]
        clients = [self.connect(uid, info=uid) for uid in uids]
        self.assertTrue(json.loads(self.server.admin("peers")))
        for client in clients:
            client.expect_nothing()

    # -- whom it answers --

    def test_an_unknown_word_is_answered_with_those_it_knows(self):
        answer = self.ask(b"nonsense\n").decode()
        self.assertIn("stats", answer)
        self.assertIn("peers", answer)

    def test_odd_questions_are_answered_or_closed_and_block_nobody(self):
        for data in (
            b"",
            b"\n",
            b"\0\0\0\n",
            b"stats" * 10_000,
            b"\xff" * 100 + b"\n",
            b"stats\nstats\nstats\n",
            b"STATS\n",
            b"stats\r\n",
            b"stats and more\n",
        ):
            try:
                self.ask(data, shut=True)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it need not read all of it
            self.server.stats()

    def test_one_who_asks_and_says_nothing_blocks_nobody(self):
        silent = []
        for _ in range(40):
            admin = socket.socket(socket.AF_UNIX)
            self.addCleanup(admin.close)
            admin.connect(str(self.server.data_dir / "smqd.sock"))
            admin.settimeout(HANG_S)
            silent.append(admin)
        self.server.stats()
        with contextlib.suppress(OSError):  # the oldest ones may have been closed for the newest
            silent[0].sendall(b"sta")
            silent[-1].sendall(b"sta")
        self.server.stats()

    def test_one_who_does_not_read_the_answer_blocks_nobody(self):
        for _ in range(10):
            admin = socket.socket(socket.AF_UNIX)
            self.addCleanup(admin.close)
            admin.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            admin.connect(str(self.server.data_dir / "smqd.sock"))
            admin.sendall(b"peers\n")
        self.connect_many(50)
        self.server.stats()

    def test_many_may_ask_at_once_while_the_broker_works(self):
        client = self.connect()

        def ask():
            for _ in range(30):
                self.server.stats()

        def work():
            for i in range(500):
                client.tell(client, str(i))

        in_threads(ask, ask, ask, work)

    def test_the_socket_is_for_its_owner_only(self):
        mode = (self.server.data_dir / "smqd.sock").stat().st_mode
        self.assertEqual(mode & 0o007, 0, "everyone could read who is connected")

    # -- the log --

    def test_there_is_no_log_line_per_message(self):
        client = self.connect()
        client.expect_nothing()
        self.server.new_log()
        for i in range(2000):
            client.tell(client, str(i))
        client.send(*[subscribe(f"{self.topic()}{i}") for i in range(100)])
        client.read_frames(100)
        self.assertLess(len(self.server.new_log().splitlines()), 20)

    def test_a_flood_of_equal_events_is_folded(self):
        clients = self.connect_many(500)
        self.server.new_log()
        for client in clients:  # all at once: folding is about so many in a second
            client.send(raw_frame(99))
        for client in clients:
            client.read_all()
        self.assertLess(len(self.server.new_log().splitlines()), 250, "repeats are folded")

    def test_nothing_a_client_says_can_forge_a_log_line(self):
        self.server.new_log()
        for uid in (
            b"evil\nsmqd: forged line",
            b"evil\r\nforged",
            b"evil\x1b[31mred\x1b[0m",
            b"evil\0zero",
        ):
            client = self.connect(uid, info=uid)
            self.connect(uid)
            client.read_all()
        client = self.connect(b"evil\nsmqd: forged line")
        client.send(raw_frame(99))
        client.read_all()
        log = self.server.new_log()
        self.assertIsNone(re.search(r"^(smqd: )?forged", log, re.M), log)
        self.assertNotIn("\x1b", log)
        self.assertNotIn("\0", log)
