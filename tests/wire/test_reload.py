"""
tests/wire/test_reload.py: the configuration read again on SIGHUP, while clients are connected.

Method: a new text into the file, SIGHUP, and the broker's word about it; then the admin socket's list
of peers, which each I/O actor answers after it has taken what control gave it before. So the next
frame is judged by the new limits, and no test waits for a time.
"""

import pathlib
import re
import signal
import tempfile

from smqwire import PING, PONG, connect_frame, create, publish, raw_only, wire
from test_abuse import ATTACKER, AbuseTest
from test_limits import LimitTest

MANY = "limits { frame_bytes = 60K } keepalive { idle_ms = 1h }\n"


class ReloadTest(AbuseTest):
    config = MANY

    def setUp(self):
        super().setUp()
        self.path = self.server.directory / "smqd.conf"
        self.addCleanup(self.reload, self.config)

    def hang_up(self, text=None):
        """Write the file, SIGHUP, and wait until it was read. Returns what the statistics say of it."""
        if text is not None:
            self.path.write_text(text)
        before = self.attempts()
        self.server.new_log()
        self.server.signal(signal.SIGHUP)
        self.wait_until(lambda: self.attempts() == before + 1, "the file is read again")
        self.server.admin("peers")
        return self.config_stats()

    def attempts(self):
        stats = self.config_stats()
        return stats["reloads_total"] + stats["reload_failures_total"]

    def config_stats(self):
        return self.server.stats()["config"]

    def reload(self, text=None):
        """Of a good file. Returns the keys that have changed."""
        stats = self.hang_up(text)
        self.assertEqual(stats["reload_error"], "")
        return stats["changed"].split(", ") if stats["changed"] else []


class LimitsTest(ReloadTest, LimitTest):
    def test_what_has_changed_is_named_and_the_same_file_changes_nothing(self):
        self.assertEqual(self.reload(), [])
        since = self.config_stats()["reloads_total"]
        changed = self.reload(MANY + "limits { topics = 5120 pages = 7 } drain_ms = 2s\n")
        self.assertEqual(changed, ["limits.pages", "limits.topics", "drain_ms"])
        stats = self.server.stats()
        self.assertEqual(stats["limits"]["topics"]["max"], 5120)
        self.assertEqual(stats["config"]["reloads_total"], since + 1)
        self.assertEqual(stats["config"]["needs_restart"], "")
        self.assertEqual(self.reload(MANY), ["limits.pages", "limits.topics", "drain_ms"])
        self.assertEqual(self.server.counter("limits.topics.max"), 2000000)

    def test_the_level_of_the_log_changes(self):
        self.assertEqual(self.reload(MANY + "log { level = debug }"), ["log.level"])
        self.server.new_log()
        self.connect()
        self.server.wait_for_log(r" DEBUG ")

    @raw_only("a WebSocket says 1009")
    def test_the_largest_frame_gets_smaller_and_larger(self):
        client = self.connect()
        client.tell(client, b"f" * 5000)
        self.reload("limits { frame_bytes = 1K }")
        client.tell(client, b"f" * 1000)
        other = self.connect()
        other.send(publish(other.etid, other.etid, b"f" * 5000))
        self.assertEqual(other.read_frame().type, wire.SMQ_DISCONNECT)
        self.reload(MANY)
        client.tell(client, b"f" * 5000)

    def test_a_client_that_is_silent_already_is_pinged_by_a_shorter_keepalive(self):
        client = self.connect()
        self.reload("keepalive { idle_ms = 50  answer_ms = 1h }")
        client.expect(PING)
        client.send(PONG)
        self.reload(MANY)
        client.answers_pings = True
        client.expect_nothing()

    def test_clients_of_an_instance_may_hold_fewer_names_and_more(self):
        client = self.connect()
        counter = "router.refused_topic_limit_total"
        for i in range(3):
            client.create(self.topic(f"{i}"))
        self.reload(MANY + "limits { topics_per_client = 3 }")
        self.assert_denied(client, create(self.topic("3")), counter)
        self.reload(MANY + "limits { topics_per_client = 4 }")
        client.create(self.topic("4"))
        self.assert_denied(client, create(self.topic("5")), counter)

    def test_the_memory_limit_changes(self):
        self.reload(MANY + "limits { memory = 200M }")
        self.assertEqual(self.server.counter("memory.limit_bytes"), 200 << 20)
        self.reload(MANY)
        self.assertGreater(self.server.counter("memory.limit_bytes"), 0)

    def test_fewer_connections_than_there_are(self):
        clients = [self.connect() for _ in range(3)]
        self.reload(MANY + "limits { connections = 2 }")
        for client in clients:
            client.expect_nothing()
        late = self.bootstrap()
        late.send(connect_frame(self.new_uid()))
        late.expect_refused(wire.SMQ_CONNACK_UNAVAILABLE)
        stats = self.hang_up(MANY + "limits { connections = 300000 }")
        self.assertEqual(stats["needs_restart"], "limits.connections")
        self.reload(MANY)
        self.connect().expect_nothing()


class RateTest(ReloadTest):
    """A rate that would take minutes: what comes at all comes because the rate has changed."""

    COUNT = 600

    def flood(self, client, tid):
        client.send(*[publish(tid, client.etid, b"%03d" % i * 100) for i in range(self.COUNT)])

    def expect_all(self, client, tid, sender):
        client.expect(*[publish(tid, sender.etid, b"%03d" % i * 100) for i in range(self.COUNT)])

    def test_a_rate_comes_changes_and_goes_and_no_message_is_lost(self):
        sender, receiver = self.connect(), self.connect()
        tid = receiver.subscribe(self.topic())
        self.flood(sender, tid)
        self.expect_all(receiver, tid, sender)
        for key in ("messages_per_client = 1", "messages_per_instance = 1", "bytes_per_client = 1K"):
            with self.subTest(key=key):
                since = self.server.counter("io.throttled_client_total") + self.server.counter(
                    "io.throttled_instance_total"
                )
                self.assertEqual(self.reload(MANY + f"limits {{ {key} }}"), ["limits." + key.split()[0]])
                self.flood(sender, tid)
                self.wait_until(
                    lambda: self.server.counter("io.throttled") == 1, "the sender is not read any more"
                )
                self.assertGreater(
                    self.server.counter("io.throttled_client_total")
                    + self.server.counter("io.throttled_instance_total"),
                    since,
                )
                self.reload(MANY)
                self.expect_all(receiver, tid, sender)
                self.wait_until(lambda: self.server.counter("io.throttled") == 0, "it is read again")


class AddressTest(ReloadTest):
    config = 'limits { connections_per_address = 3  exempt_addresses = "127.0.0.1" }'

    def limit(self, count):
        return self.config.replace("= 3", f"= {count}")

    def test_connections_of_an_address_may_be_more_and_fewer(self):
        clients = [self.connect(source=ATTACKER) for _ in range(3)]
        self.assertFalse(self.is_let_in(ATTACKER))
        self.reload(self.limit(5))
        clients += [self.connect(source=ATTACKER) for _ in range(2)]
        self.assertFalse(self.is_let_in(ATTACKER))
        self.reload(self.limit(1))
        for client in clients:
            client.tell(clients[0], b"we stay")
        self.assertFalse(self.is_let_in(ATTACKER))
        for client in clients:
            client.close()
        self.wait_until(lambda: self.server.counter("io.open") == 0, "all have gone")
        self.connect(source=ATTACKER)
        self.assertFalse(self.is_let_in(ATTACKER))


class CommandLineTest(ReloadTest):
    args = ("--set", "limits.topics=77", "--set", "limits.queue_bytes=128K")
    config = "limits { topics = 1 }"

    def test_it_wins_after_a_reload_as_well(self):
        self.assertEqual(self.reload("limits { topics = 500 pages = 9 queue_bytes = 1M }"), ["limits.pages"])
        self.assertEqual(self.server.counter("limits.topics.max"), 77)


class MistakesTest(ReloadTest):
    def test_a_broken_file_changes_nothing_and_is_told_with_its_line(self):
        client = self.connect()
        before = self.server.stats()
        stats = self.hang_up("limits {\n  topics = 500\n  pages = many\n}\n")
        mistake = f"{self.path}:3: limits.pages"
        self.assertIn(mistake, stats["reload_error"])
        said = self.server.wait_for_log(r"ERROR config\.reload_failed nothing is changed: (.*)")
        self.assertTrue(said[1].startswith(mistake), said[1])
        self.assertEqual(stats["reload_failures_total"], before["config"]["reload_failures_total"] + 1)
        self.assertEqual(self.server.stats()["limits"]["topics"], before["limits"]["topics"])
        client.expect_nothing()
        self.assertEqual(self.reload(MANY), [])

    def test_what_needs_a_restart_is_named_and_the_rest_is_taken(self):
        since = self.server.counter("limits.topics.max")
        stats = self.hang_up(
            'instance "/smq.lsp" {}\ninstance "/more" {}\nreceive { buffers = 128 }\n'
            "limits { topics = 1234 name_bytes = 99 }\n" + MANY
        )
        names = "instance, receive.buffers, limits.name_bytes"
        self.assertEqual((stats["changed"], stats["needs_restart"]), ("limits.topics", names))
        self.server.wait_for_log(rf"WARNING config\.restart needs a restart: {names}$")
        self.assertEqual(self.server.counter("limits.topics.max"), 1234)
        self.connect().create("n" * 255)
        self.reload(MANY)
        self.assertEqual(self.server.counter("limits.topics.max"), since)
        self.assertEqual(self.config_stats()["needs_restart"], "")


class UnreadableTest(ReloadTest):
    """Others are read again all the same. (A file that is not there is as good as one that may not be
    read, whoever runs this.)"""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="smqwire-")
        cls.addClassCleanup(folder.cleanup)
        acl = pathlib.Path(folder.name) / "acl"
        acl.write_text("default allow\n")
        cls.acl, cls.config = acl, f'instance "/smq.lsp" {{ acl = "{acl}" }}'
        super().setUpClass()

    def test_it_waits_for_the_other_files(self):
        self.acl.write_text("nonsense\n")
        stats = self.hang_up(self.config + "limits { topics = 7 }")
        self.assertIn("all is taken or nothing", stats["reload_error"])
        self.assertEqual(stats["changed"], "")
        self.assertEqual(self.server.counter("limits.topics.max"), 2000000)
        self.acl.write_text("default allow\n")
        self.assertEqual(self.reload(), ["limits.topics"])
        self.assertEqual(self.server.counter("limits.topics.max"), 7)

    def test_it_is_told_once_and_keeps_nobody_else_from_being_read(self):
        self.path.unlink()
        since = self.server.counter("auth.reloads_total")
        stats = self.hang_up()
        self.assertIn(f"{self.path}: No such file", stats["reload_error"])
        self.assertEqual(self.server.counter("auth.reloads_total"), since + 1)
        self.server.wait_for_log(r"WARNING config\.unreadable .*: let smqd's user read it .*, or restart smqd")
        self.assertEqual(len(re.findall(r" config\.", self.server.new_log())), 1)
