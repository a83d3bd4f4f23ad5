"""
tests/wire/test_faults_drain.py: the n-th thing goes wrong while the broker drains.

Goal: whatever goes wrong behind a SIGTERM, the process ends by itself, with exit code 0 and long before
its drain is cut; with a sanitizer's build also without a leak. What a kernel may do at any time does
not even cost a message that was queued before.
Method: as test_faults.py, but with a server for each fault: clients of every kind are there, one of them
with much unread, then comes the signal, and from there on the n-th one of a kind goes wrong.
"""

import contextlib
import pathlib
import signal
import tempfile
import time
import unittest

import smqwire
from smqwire import PING, Closed, WireTest, http_head, plain_only, publish, raw_only
from test_faults import FAULTY, LARGE, MOST, FaultyServer, Talk, kinds_to_play

UNREAD_COUNT = 150  # large messages, and more than the kernel holds for one who does not read


class Scene:
    """A server with clients in every state, about to be told to stop."""

    def __init__(self, data_dir, settings):
        words = ["--data-dir", str(data_dir), "--set", "drain_ms=600000", "--set", "limits.queue_bytes=8M", *settings]
        self.server = FaultyServer(words).start()
        self.server.data_dir = data_dir
        self.talk = Talk(self.server)

    def fill(self):
        talk = self.talk
        self.reader = talk.connect(receive_buffer_bytes=4096)
        sender = talk.connect(tls=True)
        topic = self.reader.subscribe("drain/unread")
        self.others = [sender, talk.connect(websocket=True), talk.connect(tls=True, websocket=True)]
        for client in self.others[1:]:
            client.subscribe("drain/some")
        self.unread = [publish(topic, sender.etid, LARGE) for _ in range(UNREAD_COUNT)]
        sender.create("drain/unread")
        sender.send(*self.unread)
        self.wait_until_queued(UNREAD_COUNT)
        silent, half, hello = talk.dial(), talk.dial(), talk.dial()
        half.send(http_head()[:10])
        hello.send(b"\x16\x03\x01")  # to be more, for all the broker knows
        self.others += [silent, half, hello]

    def wait_until_queued(self, count):
        """Until so many are queued for their receivers: they go over several threads there."""
        deadline = time.monotonic() + smqwire.HANG_S
        while self.server.counter("io.messages_out_total") < count:
            if time.monotonic() > deadline:
                raise AssertionError("the messages are not queued")
            time.sleep(0.01)

    def close(self):
        self.talk.close()
        if self.server.process:  # the test has failed
            self.server.process.kill()
            self.server.process.wait()
            self.server._forget()

    def hear_the_end(self, felt):
        """All are closed. Unless something may be felt, what was queued arrives before."""
        for client in self.others:
            with contextlib.suppress(OSError):
                client.send(PING)  # what comes behind the signal is received, and thrown away
        if not felt:
            self.reader.expect(*self.unread)
            self.reader.expect_closed()
        self.reader.read_all()
        self.reader.close()
        for client in self.others:
            with contextlib.suppress(Closed, OSError):  # a reset is an end, too
                client.read_all()
            client.close()


@plain_only("they speak TLS by themselves")
@raw_only("they speak WebSocket by themselves")
class DrainFaultTest(WireTest):
    settings = ()

    @classmethod
    def setUpClass(cls):
        if not FAULTY.exists():
            raise unittest.SkipTest(f"{FAULTY} is not built: ninja smqd-faulty")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data_dir = pathlib.Path(folder.name)  # one for all: certificates are made once

    def tearDown(self):
        pass

    def drain_with(self, index, count, felt):
        """Returns: did the @count-th come?"""
        scene = Scene(self.data_dir, self.settings)
        server = scene.server
        try:
            scene.fill()
            server.arm(index, count)
            server.signal(signal.SIGTERM)
            scene.hear_the_end(felt)
            server.wait()
            log = server.log()
            self.assertNotIn("smqd.drain_timeout", log)
            server.stop()
        except BaseException as failure:
            raise AssertionError(f"{failure}\n--- the server's log:\n{server.log()}") from failure
        finally:
            scene.close()
        return server.hit

    def every_one_of(self, wanted):
        hit_count = 0
        for index, name, felt in kinds_to_play(wanted):
            with self.subTest(name):
                count = 1
                while self.drain_with(index, count, felt):
                    count += 1
                    self.assertLess(count, MOST, "a drain has no end")
                hit_count += count - 1
        self.assertGreater(hit_count, 0, "nothing went wrong")

    def test_sends_that_take_less_or_nothing(self):
        self.every_one_of(lambda name: name.startswith(("send", "writable")))

    def test_receives_accepts_and_the_end_itself(self):
        """Whether anything is received or accepted behind the signal is chance; closes there are."""
        self.every_one_of(
            lambda name: name.startswith(
                ("recv", "accept", "wake", "peer", "cancel", "shutdown", "close")
            )
        )

    def test_allocations_that_are_refused(self):
        self.every_one_of(lambda name: name == "alloc")

    def test_completions_that_are_stale_or_come_twice(self):
        self.every_one_of(lambda name: name in ("stale", "doubled"))

    def test_a_clock_that_jumps_ahead(self):
        self.every_one_of(lambda name: name == "clock")
