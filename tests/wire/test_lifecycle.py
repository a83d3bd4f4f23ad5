"""
tests/wire/test_lifecycle.py: starting, being ready, draining, ending; what service managers and
clients see of it.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading

from smqwire import HANG_S, SMQD, Server, WireTest, http_head, in_threads, publish, wire


class LifecycleTest(WireTest):
    """Each test starts servers of its own and says how they end."""

    @classmethod
    def setUpClass(cls):
        pass

    # No client dials from here, so a port that was free a moment ago still is.
    HOST = "127.83.77.81"
    URL = f"tcp://{HOST}:"

    def setUp(self):
        self.server = None
        self._names = iter(range(1000))

    def tearDown(self):
        pass

    def start(self, config=None, *args, env=None):
        self.server = Server(config, args, env).start()
        self.addCleanup(self.end_if_running, self.server)
        return self.server

    def run_to_its_end(self, *args):
        with tempfile.TemporaryDirectory() as folder:
            return subprocess.run(
                [SMQD, "--data-dir", folder, *args],
                capture_output=True,
                text=True,
                timeout=max(60, HANG_S),
            )

    def end_if_running(self, server):
        if server.process:
            with contextlib.suppress(OSError):
                server.process.kill()
            server.wait()
            server._forget()

    # -- starting --

    def test_it_starts_with_no_configuration_at_all(self):
        """As `smqd` in an empty folder, but for the port: tests share their machine."""
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen(
                [SMQD, "--listen", "tcp://127.0.0.1:0"],
                cwd=folder,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            try:
                self.assertTrue(process.stdout.readline().startswith("smqd ready"))
                self.assertTrue((pathlib.Path(folder) / "data" / "smqd.sock").is_socket())
            finally:
                process.terminate()
                self.assertEqual(process.wait(60), 0)
                process.stdout.close()

    def test_the_service_manager_is_told_when_it_is_ready(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM
        ) as manager:
            manager.bind(folder + "/notify")
            manager.settimeout(HANG_S)
            self.start(env={"NOTIFY_SOCKET": folder + "/notify"})
            self.assertIn(b"READY=1", manager.recv(4096).split(b"\n"))
            self.connect().expect_nothing()
            self.server.stop()
            self.assertIn(b"STOPPING=1", manager.recv(4096).split(b"\n"))

    def test_ready_means_that_the_statistics_answer_too(self):
        for _ in range(20):
            self.start()
            self.assertEqual(self.server.counter("io.open"), 0)
            self.server.stop()

    def test_a_service_manager_that_is_not_there_is_no_obstacle(self):
        self.start(env={"NOTIFY_SOCKET": "/nowhere/at/all"})
        self.connect().expect_nothing()
        self.server.stop()

    def test_a_port_in_use_is_told_and_exits_71(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            url = f"tcp://127.0.0.1:{other.getsockname()[1]}"
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run(
                    [SMQD, "--listen", url, "--data-dir", folder],
                    capture_output=True,
                    text=True,
                    timeout=max(60, HANG_S),
                )
        self.assertEqual(done.returncode, 71, done)
        self.assertNotIn("smqd ready", done.stdout)
        self.assertIn(url, done.stderr)

    def test_a_second_broker_of_the_same_port_is_told_and_the_first_goes_on(self):
        for threads, host in (("1", self.HOST), ("3", "0.0.0.0")):
            first = self.start(None, "--set", f"threads.io={threads}", "--listen", self.URL + "0")
            other = f"tcp://{host}:{first.port}"
            done = self.run_to_its_end(
                "--listen", other, "--set", "threads.io=2", "--set", "allow_anonymous=on"
            )
            self.assertEqual((done.returncode, done.stdout), (71, ""), done)
            self.assertIn(f"{other}: Address already in use", done.stderr)
            clients = [self.connect() for _ in range(20)]  # some for each thread
            for client in clients:
                client.tell(clients[0], b"all at the first")
            for client in clients:
                client.close()
            self.server.stop()

    def test_of_brokers_that_start_together_one_gets_the_port(self):
        url = f"{self.URL}{self.start(None, '--listen', self.URL + '0').port}"
        self.server.stop()
        with contextlib.ExitStack() as stack:
            processes = [
                subprocess.Popen(
                    [SMQD, "--listen", url, "--set", "threads.io=2",
                     "--data-dir", stack.enter_context(tempfile.TemporaryDirectory())],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                )
                for _ in range(5)
            ]  # fmt: skip
            for process in processes:
                stack.callback(process.kill)
            firsts = [process.stdout.readline() for process in processes]
            self.assertEqual(sum(line.startswith("smqd ready") for line in firsts), 1, firsts)
            for line, process in zip(firsts, processes):
                if line:
                    process.terminate()
                    code, says = 0, ""
                else:
                    code, says = 71, "Address already in use"
                _, err = process.communicate(timeout=max(60, HANG_S))
                self.assertEqual(process.returncode, code, err)
                self.assertIn(says, err)

    def test_two_addresses_that_overlap_are_told(self):
        port = self.start(None, "--listen", self.URL + "0").port
        self.server.stop()
        one, all_of_them = f"{self.URL}{port}", f"tcp://0.0.0.0:{port}"
        done = self.run_to_its_end(
            "--listen", one, "--listen", all_of_them, "--set", "allow_anonymous=on"
        )
        self.assertEqual((done.returncode, done.stdout), (71, ""), done)
        self.assertIn("another address of ours", done.stderr)

    def test_an_address_that_is_not_of_this_machine_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [SMQD, "--listen", "tcp://192.0.2.1:0", "--set", "allow_anonymous=on",
                 "--data-dir", folder],
                capture_output=True,
                text=True,
                timeout=max(60, HANG_S),
            )
        self.assertEqual(done.returncode, 71, done)
        self.assertIn("192.0.2.1", done.stderr)

    def test_a_data_directory_that_cannot_be_made_is_told(self):
        done = subprocess.run(
            [SMQD, "--listen", "tcp://127.0.0.1:0", "--data-dir", "/dev/null/x"],
            capture_output=True,
            text=True,
            timeout=max(60, HANG_S),
        )
        self.assertIn(done.returncode, (71, 73, 74, 78), done)
        self.assertIn("/dev/null/x", done.stderr)

    def test_the_socket_of_a_killed_server_is_no_obstacle(self):
        with tempfile.TemporaryDirectory() as folder:
            killed = self.start(None, "--data-dir", folder)
            killed.process.kill()
            self.assertEqual(killed.wait(), -signal.SIGKILL)
            self.assertTrue((pathlib.Path(folder) / "smqd.sock").exists())
            self.start(None, "--data-dir", folder)
            self.server.data_dir = pathlib.Path(folder)
            self.server.wait_for_admin()
            self.connect().expect_nothing()
            self.server.stop()

    # -- ending --

    def test_sigterm_and_sigint_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start()
            self.connect_many(10)
            server.signal(number)
            self.assertEqual(server.wait(), 0)

    def test_it_ends_with_no_client_and_with_half_open_ones(self):
        self.start().stop()
        self.start()
        self.dial()
        self.bootstrap()
        half = self.dial()
        half.send(http_head()[:10])
        self.server.stop()

    def test_clients_are_closed_without_a_disconnect_so_that_they_come_back(self):
        """A client takes a Disconnect as final, a plain close as a reason to return (§4.2)."""
        self.start()
        clients = self.connect_many(20)
        self.server.signal(signal.SIGTERM)
        for client in clients:
            client.expect_closed()
        self.assertEqual(self.server.wait(), 0)

    def test_what_was_published_before_the_signal_arrives(self):
        self.start("drain_ms = 600000  limits { queue_bytes = 4M }")
        sender, receiver = self.connect(), self.connect(receive_buffer_bytes=4096)
        frames = [publish(receiver.etid, sender.etid, str(i).encode() * 200) for i in range(2000)]
        sender.send(*frames)
        self.wait_until(
            lambda: self.server.counter("io.messages_out_total") >= 2000, "it is all queued"
        )
        self.server.signal(signal.SIGTERM)
        receiver.expect(*frames)
        receiver.expect_closed()
        self.assertEqual(self.server.wait(), 0)

    def test_one_who_does_not_read_does_not_hold_it_up_for_ever(self):
        self.start("drain_ms = 300  limits { queue_bytes = 4M }")
        sender, stuck = self.connect(), self.connect(receive_buffer_bytes=4096)
        sender.send(*[publish(stuck.etid, sender.etid, bytes(10_000)) for _ in range(300)])
        sender.expect_nothing()
        self.server.stop()

    def test_a_second_signal_ends_it_at_once(self):
        """The drain alone would take ten minutes here, which counts as a hang."""
        self.start("drain_ms = 600000  limits { queue_bytes = 4M }")
        sender, stuck = self.connect(), self.connect(receive_buffer_bytes=4096)
        frames = [publish(stuck.etid, sender.etid, bytes(10_000)) for _ in range(350)]
        sender.send(*frames)
        sender.expect_nothing()
        self.wait_until(
            lambda: self.server.counter("io.messages_out_total") >= 350, "it is all queued"
        )
        self.server.signal(signal.SIGTERM)
        sender.expect_closed()  # so it is draining
        self.assertIsNone(self.server.process.poll())
        self.server.signal(signal.SIGTERM)
        self.server.wait()

    def test_nobody_new_is_let_in_while_it_drains(self):
        self.start("drain_ms = 600000  limits { queue_bytes = 4M }")
        sender, stuck = self.connect(), self.connect(receive_buffer_bytes=4096)
        sender.send(*[publish(stuck.etid, sender.etid, bytes(10_000)) for _ in range(350)])
        sender.expect_nothing()
        self.wait_until(
            lambda: self.server.counter("io.messages_out_total") >= 350, "it is all queued"
        )
        address = self.server.listeners[0]
        self.server.signal(signal.SIGTERM)
        sender.expect_closed()
        try:
            with socket.create_connection(address, HANG_S) as late:
                late.settimeout(HANG_S)
                late.sendall(http_head())
                self.assertNotEqual(late.recv(100)[2:3], bytes([wire.SMQ_INIT]))
        except OSError:
            pass  # refused by the kernel, or closed without a word
        for _ in range(350):  # the stuck one reads at last, all of it, and so the drain is over
            stuck.expect_type(wire.SMQ_PUBLISH)
        stuck.expect_closed()
        self.assertEqual(self.server.wait(), 0)

    def test_it_ends_in_the_middle_of_heavy_traffic(self):
        for _ in range(3):
            self.start("drain_ms = 500")
            clients = self.connect_many(10)
            tids = [client.subscribe(self.topic()) for client in clients]
            ready = threading.Barrier(len(clients) + 1)

            def shout(client):
                ready.wait()
                with contextlib.suppress(OSError):
                    while True:
                        client.send(publish(tids[0], client.etid, bytes(100)))
                        client.socket.settimeout(HANG_S)
                        client.socket.recv(65536) or client.close()

            def stop():
                ready.wait()
                self.server.stop()

            in_threads(stop, *[lambda c=client: shout(c) for client in clients])

    def test_ten_starts_and_stops_with_one_data_directory(self):
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(10):
                self.start(None, "--data-dir", folder)
                client = self.connect()
                client.tell(client, b"hello again")
                self.server.signal(signal.SIGTERM)
                client.expect_closed()
                client.close()  # as a real client does; else the broker waits for it a moment
                self.server.stop()
            self.assertNotIn("smqd.sock", os.listdir(folder), "it takes its socket with it")

    def test_the_port_can_be_had_again_at_once(self):
        self.start()
        port = self.server.port
        for _ in range(4):
            self.assertEqual(self.server.port, port)
            client = self.connect()
            client.expect_nothing()
            self.server.signal(signal.SIGTERM)
            client.expect_closed()  # the server closes first: TIME_WAIT is on its side
            client.close()
            self.server.stop()
            self.start(None, "--listen", f"tcp://127.0.0.1:{port}")
