"""
tests/wire/test_config.py: what people type: the command line and the configuration file.

Method: smqd runs as a person would start it; exit codes, and the words that should help.
"""

import os
import pathlib
import re
import socket
import subprocess
import tempfile
import unittest

from smqwire import HANG_S, SMQD, TOP, Server, WireTest, http_head, plain_only

EX_OK, EX_USAGE, EX_CONFIG = 0, 64, 78


def run(*arguments, **options):
    """Run smqd to its end; returns the completed process with text output."""
    return subprocess.run(
        [SMQD, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=max(60, HANG_S),
        **options,
    )


class CommandLineTest(unittest.TestCase):
    def assert_usage(self, *arguments, says=""):
        done = run(*arguments)
        self.assertEqual(done.returncode, EX_USAGE, done)
        self.assertEqual(done.stdout, "")
        self.assertIn(says, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, "one line, that says what to do")
        return done.stderr

    def test_help_names_every_option(self):
        done = run("--help")
        self.assertEqual((done.returncode, done.stderr), (EX_OK, ""))
        for option in (
            "--config",
            "--data-dir",
            "--listen",
            "--set",
            "--check-config",
            "--print-config",
            "--version",
            "--help",
        ):
            self.assertIn(option, done.stdout)
        for code in ("0", "64", "78"):
            self.assertIn(code, done.stdout)
        self.assertLess(max(map(len, done.stdout.splitlines())), 101)

    def test_version_is_one_line(self):
        done = run("--version")
        self.assertEqual((done.returncode, done.stderr), (EX_OK, ""))
        self.assertRegex(done.stdout, r"\Asmqd \d+\.\d+\.\d+\S*\n\Z")

    def test_an_unknown_option_is_a_usage_error_with_a_guess(self):
        self.assertIn("did you mean --listen", self.assert_usage("--lisen", "tcp://127.0.0.1:0"))
        self.assertIn("did you mean --config", self.assert_usage("--confg=x"))
        self.assert_usage("--nothing-like-any-option", says="--help")

    def test_a_missing_value_is_a_usage_error(self):
        for option in ("--config", "--listen", "--set", "--data-dir"):
            self.assert_usage(option, says=option)

    def test_an_argument_that_is_no_option_is_a_usage_error(self):
        self.assert_usage("broker.conf", says="broker.conf")

    def test_a_set_without_a_value_is_a_usage_error(self):
        self.assert_usage("--set", "threads.io", says="threads.io")
        self.assert_usage("--set", "=3")


class ConfigFileTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="smqwire-")
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name) / "test.conf"

    def check(self, text, *arguments):
        self.path.write_text(text)
        return run("--config", str(self.path), *arguments, "--check-config")

    def assert_good(self, text, *arguments):
        done = self.check(text, *arguments)
        self.assertEqual(done.returncode, EX_OK, done)
        return done.stdout

    def assert_bad(self, text, line, *says):
        """Exit 78, and the first words are FILE:LINE."""
        done = self.check(text)
        self.assertEqual(done.returncode, EX_CONFIG, done)
        self.assertTrue(done.stderr.startswith(f"{self.path}:{line}: "), done.stderr)
        for words in says:
            self.assertIn(words, done.stderr)

    def test_the_default_file_is_good_and_is_the_default(self):
        default = TOP / "configs" / "default.conf"
        self.assert_good(default.read_text())
        self.assertEqual(
            run("--config", str(default), "--print-config").stdout, run("--print-config").stdout
        )

    def test_an_empty_file_is_good(self):
        self.assert_good("")
        self.assert_good("# only a comment\n")

    def test_what_is_printed_is_read_back_the_same(self):
        text = """
            listen = {"tcp://127.0.0.1:0", "tcp://[::1]:0"}
            threads { io = 2 router = 1 lane_slots = 256 }
            instance "/a" { topic "t \\"quoted\\" $x" { tid = 42 } subtopic "s" { stid = 7 } }
            instance "/b" { }
            limits { queue_bytes = 128K slow_consumer = drop_old memory = 64M }
            keepalive { idle_ms = 1000 }
            drain_ms = 100
        """
        self.path.write_text(text)
        printed = run("--config", str(self.path), "--print-config")
        self.assertEqual(printed.returncode, EX_OK, printed)
        self.path.write_text(printed.stdout)
        again = run("--config", str(self.path), "--print-config")
        self.assertEqual(again.stdout, printed.stdout)
        for words in (
            '"tcp://[::1]:0"',
            "tid = 42",
            "stid = 7",
            "io = 2",
            "drop_old",
            "128K",
            "idle_ms = 1000",
        ):
            self.assertIn(words, printed.stdout)

    def test_an_unknown_key_is_told_with_its_line_and_a_guess(self):
        self.assert_bad(
            "\n\nlimits {\n  conections = 5\n}\n", 4, "conections", "did you mean", "connections"
        )
        self.assert_bad("keepalive { idlems = 5 }", 1, "did you mean", "keepalive.idle_ms")
        self.assert_bad("lisen = {}\n", 1, "did you mean", "listen")
        self.assert_bad("log { level = info }\nwhatever = 3\n", 2, "whatever")

    def test_a_bad_value_is_told_with_what_would_be_right(self):
        self.assert_bad("limits {\n  connections = many\n}", 2, "many", "1..")
        self.assert_bad("limits {\n\n  queue_bytes = 3\n}", 3, "queue_bytes", "64K")
        self.assert_bad("limits { slow_consumer = wait }", 1, "drop_new", "drop_old", "disconnect")
        self.assert_bad("log { level = loud }", 1, "error", "debug")
        self.assert_bad("threads { lane_slots = 1000 }", 1, "power of two")
        self.assert_bad("threads { io = 0 }", 1, "1..48")
        self.assert_bad("limits { handshake_ms = 4 fortnights }", 1)
        self.assert_bad('listen = {"tcp://127.0.0.1"}', 1, "port")
        self.assert_bad('listen = {"http://127.0.0.1:80"}', 1, "tcp://")
        self.assert_bad('listen = {"tcp://1.2.3.4:70000"}', 1, "65535")

    def test_a_bad_instance_is_told_with_its_line(self):
        self.assert_bad('\ninstance "no-slash" {\n}\n', 2, "no-slash")
        self.assert_bad('instance "/a" { }\ninstance "/a" { }\n', 2)
        self.assert_bad('instance "/a" {\n topic "x" { tid = 0 }\n}', 2)
        self.assert_bad('instance "/a" {\n topic "x" { tid = 4294967296 }\n}', 2)
        self.assert_bad('instance "/a" {\n topic "x" { tid = 1 }\n}', 2)
        self.assert_bad('instance "/a" {\n topic "x" { tid = 5 }\n topic "y" { tid = 5 }\n}', 3)
        self.assert_bad('instance "/a" {\n topic "x" { }\n}', 2, "tid")

    def test_broken_syntax_is_told_with_its_line(self):
        self.assert_bad("\nlimits {\n  connections = 5\n", 2)  # where it was opened
        self.assert_bad("limits = 5\n", 1)
        self.assert_bad("}\n", 1)

    def test_a_file_that_cannot_be_read_is_named(self):
        missing = str(self.path.parent / "missing.conf")
        done = run("--config", missing, "--check-config")
        self.assertEqual(done.returncode, EX_CONFIG, done)
        self.assertTrue(done.stderr.startswith(missing), done.stderr)
        done = run("--config", str(self.path.parent), "--check-config")
        self.assertEqual(done.returncode, EX_CONFIG, done)
        self.assertIn("directory", done.stderr)

    def test_binary_rubbish_is_refused(self):
        for data in (os.urandom(2000), b"\0" * 100, b"\xff\xfe" * 50, b"limits {" * 5000):
            self.path.write_bytes(data)
            done = run("--config", str(self.path), "--check-config")
            self.assertEqual(done.returncode, EX_CONFIG, done)
            self.assertTrue(done.stderr.startswith(str(self.path)), done.stderr)

    def test_set_wins_over_the_file_and_listen_replaces_it(self):
        self.path.write_text('threads { io = 3 }\nlisten = {"tcp://127.0.0.1:1234"}\n')
        done = run(
            "--config",
            str(self.path),
            "--set",
            "threads.io=2",
            "--set",
            "limits.memory=48M",
            "--listen",
            "tcp://127.0.0.1:4321",
            "--print-config",
        )
        self.assertEqual(done.returncode, EX_OK, done)
        self.assertIn("io = 2\n", done.stdout)
        self.assertIn("memory = 48M\n", done.stdout)
        self.assertIn('listen = {"tcp://127.0.0.1:4321"}', done.stdout)
        self.assertNotIn('1234"', done.stdout)

    def test_a_bad_set_is_told_as_one(self):
        for setting, says in (
            ("threads.oi=2", "did you mean"),
            ("threads.io=many", "1..48"),
            ("io=2", "threads.io"),
        ):
            done = run("--set", setting, "--check-config")
            self.assertEqual(done.returncode, EX_CONFIG, done)
            self.assertTrue(done.stderr.startswith("--set: "), done.stderr)
            self.assertIn(says, done.stderr)

    def test_a_memory_limit_that_smqd_alone_would_fill_is_refused(self):
        for task in (["--check-config"], []):
            done = run("--set", "limits.memory=12M", "--set", "threads.io=16",
                       "--listen", "tcp://127.0.0.1:0", *task)  # fmt: skip
            self.assertEqual(done.returncode, EX_CONFIG, done)
            self.assertRegex(done.stderr, r"limits\.memory is too small: .* 16 I/O .* write \d+M")
        least = re.search(r"write (\d+M)", done.stderr)[1]
        done = run("--set", f"limits.memory={least}", "--set", "threads.io=16", "--check-config")
        self.assertEqual(done.returncode, EX_OK, done)

    def test_a_bad_listen_is_told_as_one(self):
        for url in (
            "127.0.0.1:80",
            "tcp://",
            "tcp://[::1:80",
            "tcp://::1:80",
            "tcp://1.2.3.4:x",
            "udp://1.2.3.4:5",
        ):
            done = run("--listen", url, "--check-config")
            self.assertIn(done.returncode, (EX_USAGE, EX_CONFIG), done)
            self.assertIn(
                "tcp://127.0.0.1:8080", done.stderr, "an example says more than a grammar"
            )

    def test_who_serves_anybody_says_it_of_each_address_or_of_all(self):
        text = '\nlisten = {"tcp://127.0.0.1:0",\n "tcp://*:1883", "tcp://*:1884"}\n'
        one, other = (f'listener "tcp://*:{port}" {{ allow_anonymous = on }}' for port in (1883, 1884))
        self.assert_bad(text, 3, "tcp://*:1883 can be reached", one)
        self.assert_bad(text + one, 3, "tcp://*:1884 can be reached", other)
        self.assert_good(text + one + "\n" + other)
        self.assert_good(text, "--set", "allow_anonymous=on")
        printed = run("--config", str(self.path), "--set", "allow_anonymous=on", "--print-config")
        self.assert_good(printed.stdout)
        line = printed.stdout[: printed.stdout.index("\nlisten = ")].count("\n") + 2
        self.assert_bad(printed.stdout.replace("allow_anonymous = on", "allow_anonymous = off"), line)
        self.check(text + one + other)
        printed = run("--config", str(self.path), "--print-config")
        self.assertIn('listener "tcp://*:1884" {\n    allow_anonymous = "on"\n}', printed.stdout)
        self.assert_good(printed.stdout)
        done = run("--config", str(self.path), "--listen", "tcp://*:1885", "--check-config")
        self.assertEqual(done.returncode, EX_CONFIG, done)
        self.assertTrue(done.stderr.startswith(f"{self.path}: tcp://*:1885 can be"), done.stderr)

    def test_a_bad_configuration_does_not_start_the_server(self):
        self.path.write_text("limits { connections = -1 }")
        done = run("--config", str(self.path), "--listen", "tcp://127.0.0.1:0")
        self.assertEqual(done.returncode, EX_CONFIG, done)
        self.assertEqual(done.stdout, "")

    def test_check_config_says_what_is_in_force(self):
        said = self.assert_good(
            'instance "/x" { topic "t" { tid = 9 } }', "--listen", "tcp://127.0.0.1:0"
        )
        for words in ("good", "tcp://127.0.0.1:0", "/x", "connections"):
            self.assertIn(words, said)

    def test_check_config_reads_the_certificates(self):
        """Not only whether they are there: who restarts smqd with a bad one has no broker."""
        self.assert_good("", "--listen", "tls://127.0.0.1:0")  # its own CA, which is not made now
        listen = ("--listen", "tls://127.0.0.1:0", "--check-config", "--set")
        self.path.write_text("no certificate")
        done = run(*listen, f"tls.ecc_certificate={self.path}")
        self.assertEqual(done.returncode, EX_CONFIG, done)
        self.assertIn(f"{self.path}: no certificate in this file", done.stderr)


class ListenersTest(WireTest):
    args = (
        "--listen",
        "tcp://127.0.0.1:0",
        "--listen",
        "tcp://[::1]:0",
        "--listen",
        "tcp://127.0.0.2:0",
    )

    def test_the_ready_line_names_every_listener_with_its_real_port(self):
        self.assertRegex(self.server.ready_line, r"\Asmqd ready")
        hosts = [host for host, _ in self.server.listeners]
        self.assertEqual(hosts, ["127.0.0.1", "::1", "127.0.0.2"])
        self.assertTrue(all(port > 0 for _, port in self.server.listeners))

    def test_all_listeners_serve_the_same_broker(self):
        clients = [self.connect(listener=listener) for listener in range(3)]
        self.assertEqual(len({client.subscribe(self.topic()) for client in clients}), 1)
        for client in clients:
            client.tell(clients[0], b"across listeners")

    def test_a_port_that_was_not_asked_for_is_not_open(self):
        with self.assertRaises(OSError), socket.create_connection(
            ("127.0.0.3", self.server.port), HANG_S
        ):
            pass


@plain_only("listening is the same, and this test dials by itself")
class ListenEverywhereTest(WireTest):
    args = ("--listen", "tcp://*:0", "--set", "allow_anonymous=on")

    def test_a_star_is_every_address(self):
        port = int(re.search(r":(\d+)\b(?!.*:\d)", self.server.ready_line)[1])
        self.server.listeners = [("127.0.0.1", port)]
        for address in ("127.0.0.1", "127.0.0.9"):
            with socket.create_connection((address, port), HANG_S) as connection:
                connection.sendall(http_head())
                self.assertEqual(connection.recv(3)[2:], b"\1")


@plain_only("the address stands in the file")
class FileListenTest(unittest.TestCase):
    def test_the_files_listeners_are_used_when_none_is_given(self):
        server = Server('listen = {"tcp://127.0.0.1:0"}', args=("--set", "threads.io=1"))
        server.command = lambda: [
            word for word in Server.command(server) if word not in ("--listen", "tcp://127.0.0.1:0")
        ]
        with server:
            self.assertEqual([host for host, _ in server.listeners], ["127.0.0.1"])
