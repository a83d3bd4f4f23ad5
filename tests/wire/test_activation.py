"""
tests/wire/test_activation.py: sockets that a service manager keeps, and restarts behind them.

The test plays the manager: it opens the listening socket, passes it as descriptor 3, and starts
one broker after the other. Clients must never see their connect() refused.
"""

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

from smqwire import (
    SMQD,
    Client,
    Closed,
    Server,
    WireTest,
    connect_frame,
    http_head,
    in_threads,
    wire,
)

# What systemd does between fork and exec: descriptors from 3 on, and for whom they are.
EXEC_WITH_SOCKETS = """
import os, sys
fds = [int(fd) for fd in sys.argv[1].split(",")]
high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.closerange(3 + len(high), 200)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)))
os.execv(sys.argv[2], sys.argv[2:])
"""


class ActivatedServer(Server):
    """A Server that is given @sockets, and listens at their addresses."""

    def __init__(self, sockets, args=()):
        urls = [f"tcp://127.0.0.1:{each.getsockname()[1]}" for each in sockets]
        super().__init__(None, [word for url in urls for word in ("--listen", url)] + list(args))
        self.pass_fds = tuple(each.fileno() for each in sockets)

    def command(self):
        fds = ",".join(str(fd) for fd in self.pass_fds)
        return [sys.executable, "-c", EXEC_WITH_SOCKETS, fds, *super().command()]


def listening_socket(backlog=1000):
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(backlog)
    return listening


class ActivationTest(WireTest):
    """Each test is the service manager of its own brokers."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.server = None
        self._names = iter(range(100_000))
        self.socket = listening_socket()
        self.addCleanup(self.socket.close)

    def tearDown(self):
        pass

    def start(self, *args, sockets=None):
        self.server = ActivatedServer(sockets or [self.socket], args).start()
        self.addCleanup(self.end_if_running, self.server)
        return self.server

    def end_if_running(self, server):
        if server.process:
            with contextlib.suppress(OSError):
                server.process.kill()
            server.wait()
            server._forget()

    def refused(self, sockets, *args):
        """Start what must not start; returns what it says."""
        with tempfile.TemporaryDirectory() as folder:
            fds = [each.fileno() for each in sockets]
            process = subprocess.run(
                [sys.executable, "-c", EXEC_WITH_SOCKETS, ",".join(map(str, fds)), SMQD]
                + ["--data-dir", folder, *args],
                pass_fds=fds,
                capture_output=True,
                text=True,
                timeout=60,
            )
        self.assertEqual(process.returncode, os.EX_OSERR, process.stderr)
        return process.stderr

    # -- the sockets --

    def test_it_serves_at_a_socket_it_was_given(self):
        self.start()
        self.assertEqual(self.server.port, self.socket.getsockname()[1])
        self.connect().expect_nothing()
        self.server.stop()

    def test_one_of_several_addresses_may_be_its_own(self):
        other = listening_socket()
        self.addCleanup(other.close)
        self.start("--listen", "tcp://127.0.0.1:0", sockets=[other, self.socket])
        self.assertEqual(len(self.server.listeners), 3)
        for i in range(3):
            self.connect(listener=i).expect_nothing()
        self.server.stop()

    def test_a_socket_that_does_not_block_is_no_busy_loop(self):
        self.socket.setblocking(False)
        self.start()
        self.connect().expect_nothing()
        self.assertTrue(os.get_blocking(self.socket.fileno()))
        self.assertEqual(self.server.counter("io.accept_errors_total"), 0)
        self.server.stop()

    def test_all_io_threads_accept_from_it(self):
        self.start("--set", "threads.io=4", "--set", "threads.router=0")
        connected_count = 0

        def all_have_accepted():  # how many each takes is up to the kernel, and to who else runs
            nonlocal connected_count
            connected_count += len(self.connect_many(50))
            accepted = [actor["accepted_total"] for actor in self.server.stats()["io_actors"]]
            self.assertEqual(sum(accepted), connected_count)
            return min(accepted) > 0

        self.wait_until(all_have_accepted, "each thread accepts")
        self.server.stop()

    def test_a_socket_that_nobody_would_serve_is_refused(self):
        said = self.refused([self.socket], "--listen", "tcp://127.0.0.1:0")
        self.assertIn(f"127.0.0.1:{self.socket.getsockname()[1]}", said)
        self.assertIn("listen", said)

    def test_what_is_no_listening_socket_is_refused(self):
        with socket.socket() as idle, socket.socket(socket.AF_UNIX) as local:
            self.assertIn("no listening TCP socket", self.refused([idle]))
            self.assertIn("no listening TCP socket", self.refused([local]))

    # -- restarts --

    def test_who_connects_between_two_brokers_is_served_by_the_second(self):
        """The order is certain: the first has ended before anybody connects."""
        self.start()
        self.connect().close()
        self.server.stop()
        early = [socket.create_connection(self.socket.getsockname()) for _ in range(50)]
        self.start()
        self.assert_counts("io.accepted_total", 50)
        for each in early:
            each.close()
        self.connect().expect_nothing()
        self.server.stop()

    def test_nobody_is_refused_while_it_restarts(self):
        """Ten restarts under clients that come and go all the time. One that had been accepted when
        the broker was told to stop is closed, as all are then, and gets in the next time."""
        with tempfile.TemporaryDirectory() as folder:
            args = ["--data-dir", folder, "--set", "threads.io=2", "--set", "drain_ms=5000"]
            address = self.socket.getsockname()
            over = threading.Event()
            served = [0] * 8

            def come_and_go(index):
                while not over.is_set():
                    self.visit(address)
                    served[index] += 1

            def restart():
                try:
                    for _ in range(10):
                        before = sum(served)
                        self.wait_until(lambda: sum(served) >= before + 20, "clients are served")
                        self.server.stop()
                        self.start(*args)
                finally:
                    over.set()

            self.start(*args)
            in_threads(restart, *[lambda i=i: come_and_go(i) for i in range(len(served))])
            self.assertGreaterEqual(min(served), 1)
            self.server.stop()

    def visit(self, address):
        """Come in, however often the broker ends meanwhile; connect() itself must never fail, and a
        ConnectionRefusedError is not among what is forgiven."""
        for _ in range(100):
            with contextlib.suppress(Closed, ConnectionResetError, BrokenPipeError, ssl.SSLError):
                client = Client(address, "visitor")
                try:
                    client.send(http_head())
                    client.read_init()
                    client.send(connect_frame(self.new_uid()))
                    answer = client.expect_type(wire.SMQ_CONNACK)
                finally:
                    client.close()
                if answer.body[0] == wire.SMQ_CONNACK_ACCEPTED:
                    return
                self.assertEqual(answer.body[0], wire.SMQ_CONNACK_UNAVAILABLE)
        self.fail("never served")
