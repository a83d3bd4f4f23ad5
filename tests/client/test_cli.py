#!/usr/bin/env python3
"""
tests/client/test_cli.py: run the real `smq` and the LED example as people do, and check output,
complaint and exit code.

    SMQ=build/smq SMQD=build/smqd tests/client/test_cli.py [-v] [CLASS[.TEST]...]

Against scripted brokers, for what a good one never does: refuse, babble, stay silent, vanish.
Against the real smqd, for all that should work; skipped, and said so, when there is none.
No sleeps and no timed assertions; the times below are hang bounds, or time limits that the test
wants to see reached.
"""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "wire"))

import smqwire  # noqa: E402  the wire tests' harness starts the server for us

SMQ = os.environ.get("SMQ", str(TOP / "build" / "smq"))
LED = os.environ.get("LED", str(pathlib.Path(SMQ).parent / "client" / "led"))
HANG_S = 60

OK, USAGE, NO_INPUT, UNAVAILABLE, TIMEOUT, PROTOCOL, DENIED = 0, 64, 66, 69, 75, 76, 77
PAYLOAD_BYTES_MAX = 0xFFF0
ETID = 77


def smq_process(*arguments, url=None, env=None, **options):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SMQ_", "SMQD_"))}
    if url:
        environment["SMQ_URL"] = url
    return subprocess.Popen(
        [SMQ, *arguments], env={**environment, **(env or {})}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, **{"stdin": subprocess.DEVNULL, **options},
    )


class CliTest(unittest.TestCase):
    url = None

    def finish(self, process, code=OK, stdin=None):
        """Wait for the end; returns (stdout as bytes, stderr as text)."""
        try:
            out, err = process.communicate(stdin, timeout=HANG_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"{process.args} hangs\nstdout: {out}\nstderr: {err}")
        self.assertEqual(process.returncode, code, f"{process.args}\nstdout: {out}\nstderr: {err}")
        return out, err.decode()

    def run_smq(self, *arguments, code=OK, stdin=None, url=None, env=None):
        process = smq_process(*arguments, url=url or self.url, env=env,
                              stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE)
        return self.finish(process, code, stdin)

    def start_smq(self, *arguments, **options):
        process = smq_process(*arguments, url=self.url, **options)
        self.addCleanup(self.reap, process)
        return process

    def reap(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def read_line(self, stream, pattern):
        """Read lines up to one that matches; returns the match. A hang ends with the test run."""
        seen = []
        for line in iter(stream.readline, b""):
            seen.append(line.decode(errors="replace"))
            match = re.search(pattern, seen[-1])
            if match:
                return match
        self.fail(f"no line like {pattern!r} in {seen}")


# ---- The command line alone ----------------------------------------------------------------------


class HelpTest(CliTest):
    def test_help_names_every_command_and_each_has_its_own(self):
        out, _ = self.run_smq("help")
        commands = re.findall(r"^  smq (\w+)", out.decode(), re.M)
        self.assertIn("sub", commands)
        for command in commands:
            if command == "help":
                continue
            by_word, _ = self.run_smq("help", command)
            by_option, _ = self.run_smq(command, "--help")
            self.assertEqual(by_word, by_option)
            self.assertTrue(by_word.startswith(b"smq " + command.encode()))

    def test_help_stays_within_100_columns(self):
        for command in ("sub", "pub", "rpc", "observe", "stats", "peers", "demo", "ca", "passwd",
                        "explain"):
            out, _ = self.run_smq("help", command)
            for line in out.decode().splitlines():
                self.assertLessEqual(len(line), 100, line)

    def test_wrong_command_lines_are_refused_with_advice(self):
        for arguments in (["nonsense"], ["help", "nonsense"], ["sub"], ["pub"], ["pub", "a", "b"], ["rpc", "a"],
                          ["stats", "x"], ["demo"], ["demo", "fan"], ["demo", "led", "-n", "101"],
                          ["demo", "led", "--name", "x" * 60], ["demo", "led", "--uid", "my-uid"],
                          ["passwd", "f"], ["passwd", "f", "a:b"],
                          ["explain", "publish", "t"], ["explain", "fly", "t", "--acl", "f"],
                          ["explain", "publish", "t", "--acl", "f", "--user", "a", "--cert", "b"], ["pub", "t", "--nonsense"], ["sub", "t", "-n"],
                          ["pub", "t", "-m", "x", "-l"], ["pub", "t", "-m", "x", "-f", "y"]):
            out, err = self.run_smq(*arguments, code=USAGE)
            self.assertEqual(out, b"", arguments)
            self.assertTrue(err.startswith("smq: "), err)
        self.assertIn("smq help", self.run_smq("nonsense", code=USAGE)[1])

    def test_wrong_identities_are_refused_before_any_connection(self):
        self.assertIn("6 to 255", self.run_smq("pub", "t", "--uid", "short", code=USAGE)[1])
        self.assertIn("255", self.run_smq("pub", "t", "-c", "x" * 256, code=USAGE)[1])
        self.assertIn("brackets", self.run_smq("pub", "t", "--url", "tcp://::1/", code=USAGE)[1])
        self.assertIn("tcp://HOST", self.run_smq("pub", "t", "--url", "ftp://h/", code=USAGE)[1])


# ---- Brokers that misbehave ----------------------------------------------------------------------


class PasswdTest(CliTest):
    """`smq passwd`: the file it writes is checked with Python's own scrypt."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "users"

    def is_right(self, user, password):
        for line in self.path.read_text().splitlines():
            name, _, entry = line.partition(":")
            if name != user:
                continue
            _, method, parameters, salt, digest = entry.split("$")
            values = dict(part.split("=") for part in parameters.split(","))
            salt, digest = (base64.b64decode(text + "=" * (-len(text) % 4)) for text in (salt, digest))
            self.assertEqual(method, "scrypt")
            return digest == hashlib.scrypt(
                password.encode(), salt=salt, n=1 << int(values["ln"]), r=int(values["r"]),
                p=int(values["p"]), maxmem=1 << 26, dklen=32)
        return False

    def passwd(self, user, *options, code=OK, stdin=None):
        return self.run_smq("passwd", str(self.path), user, *options, code=code, stdin=stdin)

    def test_a_password_from_a_pipe(self):
        self.assertIn(b"Set the password", self.passwd("alice", "--stdin", stdin=b"first\nnot this\n")[0])
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertTrue(self.is_right("alice", "first"))
        self.passwd("bob", "--stdin", stdin=b"other")
        self.assertIn(b"Changed", self.passwd("alice", "--stdin", stdin="zw\u00f6lf\r\n".encode())[0])
        self.assertTrue(self.is_right("alice", "zw\u00f6lf"))
        self.assertFalse(self.is_right("alice", "first"))
        self.assertTrue(self.is_right("bob", "other"))
        self.passwd("alice", "--delete")
        self.assertNotIn("alice", self.path.read_text())
        self.assertTrue(self.is_right("bob", "other"))
        self.assertIn("no user", self.passwd("alice", "--delete", code=NO_INPUT)[1])

    def test_what_is_refused(self):
        self.assertIn("no password", self.passwd("alice", "--stdin", stdin=b"", code=NO_INPUT)[1])
        self.assertIn("empty", self.passwd("alice", "--stdin", stdin=b"\n", code=NO_INPUT)[1])
        self.assertIn("190", self.passwd("alice", "--stdin", stdin=b"x" * 191, code=NO_INPUT)[1])
        self.assertFalse(self.path.exists())
        self.path.write_text("# a line\nalice:secret\n")
        self.assertIn(":2: ", self.passwd("bob", "--stdin", stdin=b"x", code=NO_INPUT)[1])
        self.assertEqual(self.path.read_text(), "# a line\nalice:secret\n")
        process = smq_process("passwd", str(self.path), "bob", start_new_session=True)
        self.assertIn("--stdin", self.finish(process, NO_INPUT)[1])  # no terminal to ask on

    def type_passwords(self, *lines):
        """Run it on a terminal of its own; returns (exit code, what the terminal showed)."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(SMQ, [SMQ, "passwd", str(self.path), "alice"])
        shown = b""
        with os.fdopen(terminal, "r+b", buffering=0) as terminal:
            for line in lines:
                while not shown.endswith(b": "):
                    shown += terminal.read(1)
                terminal.write(line)
                shown += b"|"
            with contextlib.suppress(OSError):  # EIO: the other end has gone
                while part := terminal.read(1024):
                    shown += part
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()

    def test_a_password_typed_twice_is_not_shown(self):
        code, shown = self.type_passwords(b"hidden\n", b"hidden\n")
        self.assertEqual((code, "hidden" in shown), (OK, False), shown)
        self.assertTrue(self.is_right("alice", "hidden"))
        code, shown = self.type_passwords(b"one\n", b"two\n")
        self.assertEqual(code, NO_INPUT)
        self.assertIn("not the same", shown)
        code, shown = self.type_passwords(b"\x03")
        self.assertEqual(code, NO_INPUT, shown)
        self.assertTrue(self.is_right("alice", "hidden"))


class ExplainTest(CliTest):
    """`smq explain`: the rule that decides is named."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "acl"
        self.path.write_text("# ours\nallow user *  publish,create dev/%u/*\nallow key pump*  observe x\n"
                             "allow uid s-*   subscribe cmd/%i\n")

    def explain(self, *arguments, code=OK):
        return self.run_smq("explain", "--acl", str(self.path), *arguments, code=code)

    def test_the_rule_that_decides_is_printed(self):
        out, _ = self.explain("publish", "dev/alice/on", "--user", "alice")
        self.assertEqual(out.decode(), "allowed: publish dev/alice/on\n"
                                       f"  {self.path}:2: allow user *  publish,create dev/%u/*\n")
        out, _ = self.explain("publish", "dev/alice/on", "--user", "bob", code=DENIED)
        self.assertIn(b"no rule", out)
        self.explain("subscribe", "cmd/s-1", "--uid", "s-1")
        self.explain("subscribe", "cmd/s-1", "--uid", "s-2", code=DENIED)
        self.assertIn(b"neither create nor subscribe",
                      self.explain("observe", "x", "--uid", "pump-1", "--shared-key")[0])
        self.explain("observe", "x", "--uid", "pump-1", code=DENIED)
        self.path.write_text("deny anyone any *\n")
        self.assertIn(b":1: deny", self.explain("subscribe", "x", code=DENIED)[0])

    def test_a_wrong_list_is_refused(self):
        self.path.write_text("allow anyone publsh x\n")
        self.assertIn(':1: ', self.explain("publish", "x", code=NO_INPUT)[1])
        self.assertIn('"publish"', self.explain("publish", "x", code=NO_INPUT)[1])


def frame(packet, body=b""):
    return struct.pack(">HB", 3 + len(body), packet) + body


DISCONNECT = 11
INIT = frame(1, b"\x01\0\0\0\x07127.0.0.1")
CONNACK = frame(3, b"\0" + struct.pack(">I", ETID))


class Peer:
    """The broker's end of one connection."""

    def __init__(self, connection):
        self.connection = connection
        self.stream = connection.makefile("rb")

    def say(self, *parts):
        self.connection.sendall(b"".join(parts))

    def hear_head(self):
        return b"".join(iter(self.stream.readline, b"\r\n"))

    def hear(self):
        """The next frame, as (packet, body); None at the end."""
        head = self.stream.read(3)
        if len(head) < 3:
            return None
        length, packet = struct.unpack(">HB", head)
        return packet, self.stream.read(length - 3)

    def welcome(self):
        self.hear_head()
        self.say(INIT)
        self.hear()
        self.say(CONNACK)

    def hear_to_the_end(self):
        """All frames up to the Disconnect, with it, as a good broker would before it closes."""
        heard = []
        for heard_frame in iter(self.hear, None):
            heard.append(heard_frame)
            if heard_frame[0] == DISCONNECT:
                break
        return heard


class ScriptedTest(CliTest):
    def broker(self, script):
        """A broker that plays script(peer) for each connection, then closes it."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        script(Peer(connection))

        threading.Thread(target=serve, daemon=True).start()
        self.url = f"tcp://127.0.0.1:{listener.getsockname()[1]}/smq.lsp"

    def test_nobody_listens(self):
        with socket.socket() as nobody:  # bound, so that no other program gets the port
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            _, err = self.run_smq("pub", "t", "-m", "x", url=f"tcp://127.0.0.1:{port}/", code=UNAVAILABLE)
        self.assertIn(f"port {port}", err)
        self.assertIn("is the broker running", err)

    def test_http_404(self):
        def script(peer):
            peer.hear_head()
            peer.say(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

        self.broker(script)
        _, err = self.run_smq("pub", "t", "-m", "x", code=PROTOCOL)
        self.assertIn("404", err)
        self.assertIn("/smq.lsp", err)

    def test_another_protocol(self):
        self.broker(lambda peer: (peer.hear_head(), peer.say(b"SSH-2.0-OpenSSH_9.2p1\r\n")))
        self.assertIn("not SMQ", self.run_smq("pub", "t", "-m", "x", code=PROTOCOL)[1])

    def test_closed_before_init(self):
        self.broker(lambda peer: peer.hear_head())
        self.assertIn("closed", self.run_smq("pub", "t", "-m", "x", code=UNAVAILABLE)[1])

    def test_silence_before_init(self):
        self.broker(lambda peer: peer.hear_to_the_end())
        _, err = self.run_smq("pub", "t", "-m", "x", "--timeout", "0.2", code=TIMEOUT)
        self.assertIn("did not answer", err)

    def test_wrong_credentials(self):
        def script(peer):
            peer.hear_head()
            peer.say(INIT)
            peer.hear()
            peer.say(frame(3, b"\x03\0\0\0\0not \x1b[31myou"))

        self.broker(script)
        _, err = self.run_smq("pub", "t", "-m", "x", code=DENIED)
        self.assertIn("--credentials", err)
        self.assertIn("not ?[31myou", err, "the reason is shown, and cannot command the terminal")

    def test_no_room(self):
        def script(peer):
            peer.hear_head()
            peer.say(INIT)
            peer.hear()
            peer.say(frame(3, b"\x02\0\0\0\0full"))

        self.broker(script)
        self.assertIn("full", self.run_smq("pub", "t", "-m", "x", code=UNAVAILABLE)[1])

    def test_a_denied_topic(self):
        def script(peer):
            peer.welcome()
            packet, name = peer.hear()
            peer.say(frame(packet + 1, b"\x01\0\0\0\0" + name))
            peer.hear_to_the_end()

        self.broker(script)
        for arguments in (["pub", "secret", "-m", "x"], ["sub", "secret"], ["observe", "secret"],
                          ["rpc", "secret", "s"], ["sub", "t", "--sub", "secret"]):
            _, err = self.run_smq(*arguments, code=DENIED)
            self.assertIn("'secret'", err)

    def test_disconnected_with_a_reason(self):
        def script(peer):
            peer.welcome()
            peer.hear()
            peer.say(frame(11, b"maintenance"))

        self.broker(script)
        self.assertIn("maintenance", self.run_smq("sub", "t", code=UNAVAILABLE)[1])

    def test_no_suback_and_no_reply(self):
        self.broker(lambda peer: (peer.welcome(), peer.hear_to_the_end()))
        self.assertIn("topic", self.run_smq("pub", "t", "-m", "x", "-t", "0.2", code=TIMEOUT)[1])

    def test_the_request_and_the_connect(self):
        seen = {}

        def script(peer):
            seen["head"] = peer.hear_head()
            peer.say(INIT)
            seen["connect"] = peer.hear()
            peer.say(CONNACK)
            seen["frames"] = [peer.hear(), peer.hear()]
            peer.say(frame(13))
            seen["frames"] += peer.hear_to_the_end()

        self.broker(script)
        self.run_smq("pub", "1234", "-m", "hi", "--uid", "device-1", "-c", "key", "--info", "me")
        self.assertEqual(seen["head"].splitlines()[0], b"GET /smq.lsp HTTP/1.0")
        self.assertIn(b"SimpleMQ: 1\r\n", seen["head"])
        self.assertEqual(seen["connect"], (2, b"\x01\x08device-1\x03keyme"))
        self.assertEqual(seen["frames"], [(8, struct.pack(">III", 1234, ETID, 0) + b"hi"), (12, b""), (11, b"")])

    def test_two_of_us_have_different_uids(self):
        uids = set()

        def script(peer):
            peer.hear_head()
            peer.say(INIT)
            uids.add(peer.hear())

        self.broker(script)
        self.run_smq("pub", "t", "-m", "x", code=UNAVAILABLE)
        self.run_smq("pub", "t", "-m", "x", code=UNAVAILABLE)
        self.assertEqual(len(uids), 2)

    def test_a_signal_says_goodbye(self):
        heard = []

        def script(peer):
            peer.welcome()
            peer.hear()
            peer.say(frame(5, b"\0\0\0\0\x09t"))
            heard.extend(peer.hear_to_the_end())

        self.broker(script)
        process = self.start_smq("sub", "t", "-v")
        self.read_line(process.stderr, "subscribed to t")
        process.send_signal(signal.SIGTERM)
        self.finish(process)
        self.assertEqual(heard, [(11, b"")])

    def test_a_closed_pipe_ends_it(self):
        def script(peer):
            peer.welcome()
            peer.hear()
            peer.say(frame(5, b"\0\0\0\0\x09t"))
            while True:
                peer.say(frame(8, struct.pack(">III", 9, 1, 0) + b"x"))

        self.broker(script)
        process = self.start_smq("sub", "t")
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        self.assertEqual(self.finish(process, code=74)[1], "")

    def test_a_ping_is_answered(self):
        heard = []

        def script(peer):
            peer.welcome()
            peer.hear()
            peer.say(frame(5, b"\0\0\0\0\x09t"), frame(12))
            heard.append(peer.hear())
            peer.say(frame(8, struct.pack(">III", 9, 1, 0) + b"after"))
            peer.hear_to_the_end()

        self.broker(script)
        self.assertEqual(self.run_smq("sub", "t", "-n", "1")[0], b"after\n")
        self.assertEqual(heard, [(13, b"")])

    def test_a_demo_device_comes_back_after_a_lost_connection(self):
        def script(peer):
            peer.welcome()
            peer.hear()

        self.broker(script)
        process = self.start_smq("demo", "led")
        for _ in range(2):
            self.read_line(process.stderr, "the connection to the broker broke")
        process.send_signal(signal.SIGTERM)
        self.finish(process, code=UNAVAILABLE)

    def test_a_demo_device_that_never_had_a_connection_gives_up(self):
        self.run_smq("demo", "led", url="tcp://127.0.0.1:1/smq.lsp", code=UNAVAILABLE)


# ---- The socket of a broker on this machine ------------------------------------------------------


class AdminTest(CliTest):
    def ask(self, answer, *arguments, code=OK):
        """Run smq against a socket that gives @answer; returns (stdout, stderr, the question)."""
        asked = []
        directory = self.enterContext(tempfile.TemporaryDirectory(prefix="smqcli-"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{directory}/smqd.sock")
            listener.listen()

            def serve():
                connection, _ = listener.accept()
                with connection:
                    asked.append(connection.makefile("rb").readline())
                    connection.sendall(answer)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            out, err = self.run_smq(*arguments, code=code, env={"SMQD_DATA_DIR": directory})
            thread.join(HANG_S)
        return out.decode(), err, asked[0]

    def test_no_socket_and_a_stale_one(self):
        with tempfile.TemporaryDirectory(prefix="smqcli-") as directory:
            _, err = self.run_smq("stats", "--data-dir", directory, code=UNAVAILABLE)
            self.assertIn(f"{directory}/smqd.sock", err)
            self.assertIn("--data-dir", err)
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(f"{directory}/smqd.sock")
            _, err = self.run_smq("stats", "-d", directory, code=UNAVAILABLE)
            self.assertIn("start it again", err)
        self.assertIn("too long", self.run_smq("stats", "-d", "x" * 108, code=USAGE)[1])

    def test_answers_that_are_no_answer(self):
        self.assertIn("not JSON", self.ask(b"oops", "stats", code=PROTOCOL)[1])
        self.assertIn("not JSON", self.ask(b"", "stats", code=PROTOCOL)[1])
        self.assertIn("no such", self.ask(b'{"error":"no such command"}', "peers", code=UNAVAILABLE)[1])
        self.assertIn("'memory'", self.ask(b'{"a":1}', "stats", "--memory", code=PROTOCOL)[1])

    def test_tables_for_people_and_json_for_programs(self):
        answer = {"uptime_seconds": 61, "memory": {"used_bytes": 2048, "lines": [{"name": "topic", "count": 1234}]}}
        text = json.dumps(answer).encode()
        out, _, asked = self.ask(text, "stats")
        self.assertEqual(asked, b"stats\n")
        self.assertEqual(out, "uptime  0:01:01\n\nmemory\n  used bytes  2.00 KiB\n"
                              "  lines\n    name   count\n    topic  1,234\n")
        out, _, _ = self.ask(text, "stats", "--memory", "--json")
        self.assertEqual(json.loads(out), answer["memory"])
        out, _, asked = self.ask(text, "peers", "--json")
        self.assertEqual(asked, b"peers\n")
        self.assertEqual(json.loads(out), answer)

    def test_a_zero_byte_in_a_uid(self):
        out, _, _ = self.ask(b'{"peers": [{"uid": "a\\u0000b"}, {"uid": "\\u00c3\\u00bcber"}]}', "peers")
        self.assertEqual(out.split(), ["peers", "uid", "a?b", "\u00fcber"])

    def test_a_large_answer(self):
        answer = json.dumps({"peers": [{"uid": f"device-{i}"} for i in range(20000)]}).encode()
        out, _, _ = self.ask(answer, "peers")
        self.assertEqual(out.count("device-"), 20000)


# ---- The real broker -----------------------------------------------------------------------------


@unittest.skipUnless(os.access(smqwire.SMQD, os.X_OK), f"{smqwire.SMQD} is not built")
class TlsBroker(smqwire.Server):
    """A broker that makes its own CA, whatever run the tests are part of."""

    def __init__(self, *settings):
        super().__init__(args=["--listen", "tls://127.0.0.1:0", *settings])

    def command(self):
        return [smqwire.SMQD, "--data-dir", str(self.data_dir), *self.args]


class InstalledBroker(smqwire.Server):
    """configs/smqd.conf as it stands there, but for ports and the data directory."""

    def command(self):
        text = (TOP / "configs" / "smqd.conf").read_text()
        for installed, here in (
            ("tls://*:8883", "tls://127.0.0.1:0"),
            ("tcp://127.0.0.1:8080", "tcp://127.0.0.1:0"),
            ("/var/lib/smqd", str(self.data_dir)),
        ):
            assert installed in text, installed
            text = text.replace(installed, here)
        path = self.directory / "smqd.conf"
        path.write_text(text)
        return [smqwire.SMQD, "--data-dir", str(self.data_dir), "--config", str(path)]


class InstalledTest(CliTest):
    """What the package's configuration promises at its first start."""

    def test_devices_come_in_with_a_certificate_until_it_is_revoked(self):
        broker = InstalledBroker().start()
        self.addCleanup(broker.stop)
        self.url = f"tls://localhost:{broker.port}{smqwire.PATH}"
        folder = str(broker.data_dir / "ca")
        trust = ("--ca", f"{folder}/ca.crt")

        _, err = self.run_smq("pub", "news", "-m", "x", *trust, code=DENIED)
        self.assertIn("credentials are required", err)
        for name in ("lamp-1", "lamp-2"):
            self.run_smq("ca", "device", name, "--dir", folder)
        show_1, show_2 = ((*trust, "--cert", f"{folder}/device/lamp-{i}.pem") for i in (1, 2))
        lamp_1 = self.start_smq("sub", "-v", "news", "-n", "2", *show_1)
        self.read_line(lamp_1.stderr, "subscribed to")
        self.run_smq("pub", "news", "-m", "hello", *show_2)
        self.read_line(lamp_1.stdout, "hello")

        self.run_smq("ca", "revoke", "lamp-1", "--dir", folder)
        out, err = lamp_1.communicate(timeout=HANG_S)
        self.assertNotEqual(lamp_1.returncode, OK, out)
        self.assertIn("no longer valid", err.decode())
        self.run_smq("pub", "news", "-m", "x", *show_1, code=DENIED)
        self.run_smq("pub", "news", "-m", "x", *show_2)


MBEDTLS_DEVICE = pathlib.Path(SMQ).parent / "client" / "mbedtls_device"


class TlsTest(CliTest):
    """smq over tls://, as README shows it; and a device over Mbed TLS."""

    @classmethod
    def setUpClass(cls):
        cls.broker = TlsBroker("--set", "tls.client_auth=optional").start()
        cls.addClassCleanup(cls.broker.stop)
        cls.url = f"tls://localhost:{cls.broker.port}{smqwire.PATH}"
        cls.ca = cls.broker.data_dir / "ca" / "ca.crt"

    def device(self, name):
        pem = self.ca.parent / "device" / f"{name}.pem"
        if not pem.exists():
            self.run_smq("ca", "device", name, "--dir", str(self.ca.parent))
        return str(pem)

    def subscriber(self, *arguments):
        process = self.start_smq("sub", "-v", *arguments)
        self.read_line(process.stderr, "subscribed to")
        return process

    def test_a_message_arrives(self):
        sub = self.subscriber("news", "-n", "1", "--ca", str(self.ca))
        self.run_smq("pub", "news", "-m", "hello", "--ca", str(self.ca))
        self.assertRegex(self.finish(sub)[0].decode(), r"\A\[news from \d+\] hello\n\Z")

    def test_a_large_message_arrives(self):
        data = os.urandom(PAYLOAD_BYTES_MAX)
        sub = self.subscriber("large", "-n", "1", "--raw", "--ca", str(self.ca))
        self.run_smq("pub", "large", "--ca", str(self.ca), stdin=data)
        self.assertEqual(self.finish(sub)[0], data)

    def test_who_is_not_trusted_is_not_spoken_to(self):
        _, err = self.run_smq("pub", "news", "-m", "x", code=DENIED)
        self.assertIn("not trusted", err)
        self.run_smq("pub", "news", "-m", "x", "--insecure")

    def test_who_meets_an_old_certificate_is_told_to_look_at_the_clock_too(self):
        folder = self.broker.directory
        for command in (
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout old.key -out old.csr -subj /CN=localhost",
            "x509 -req -in old.csr -signkey old.key -days -1 -out old.crt",
        ):
            subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True, timeout=HANG_S)
        old = TlsBroker("--set", f"tls.ecc_certificate={folder}/old.crt", "--set", f"tls.ecc_key={folder}/old.key")
        self.addCleanup(old.start().stop)
        _, err = self.run_smq("pub", "news", "-m", "x", "--ca", f"{folder}/old.crt", code=DENIED,
                              url=f"tls://localhost:{old.port}{smqwire.PATH}")
        self.assertIn("certificate has expired", err)
        self.assertIn("clock", err)

    def test_a_plain_client_is_told_what_the_port_speaks(self):
        url = self.url.replace("tls://", "tcp://")
        _, err = self.run_smq("pub", "news", "-m", "x", url=url, code=PROTOCOL)
        self.assertIn("400", err)

    def test_a_client_certificate_names_the_client(self):
        pem = self.device("cli-device")
        sub = self.subscriber("named", "-n", "1", "--ca", str(self.ca), "--cert", pem)
        peers, _ = self.run_smq("peers", "--json", "--data-dir", str(self.broker.data_dir))
        self.assertIn("cli-device", [row["identity"] for row in json.loads(peers)["peers"]])
        self.run_smq("pub", "named", "-m", "x", "--ca", str(self.ca))
        self.finish(sub)

    # -- client/tls_mbedtls.h --

    def mbedtls(self, *arguments):
        if not MBEDTLS_DEVICE.exists():
            self.skipTest("there is no Mbed TLS here")
        process = subprocess.Popen(
            [MBEDTLS_DEVICE, str(self.broker.port), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )
        self.addCleanup(self.reap, process)
        return process

    def test_a_device_over_mbed_tls_echoes(self):
        for device in ((), (self.device("mbed-device"),)):
            with self.subTest(device=device):
                process = self.mbedtls("localhost", str(self.ca), *device)
                self.assertEqual(process.stdout.readline(), b"subscribed\n")
                out, _ = self.run_smq("rpc", "mbed", "echo", "ping", "--ca", str(self.ca))
                self.assertEqual(out, b"ping\n")
                self.finish(process)

    def test_mbed_tls_does_not_trust_another_ca_or_name(self):
        with tempfile.TemporaryDirectory() as folder:
            self.run_smq("ca", "init", "--dir", folder + "/other")
            for host, ca in (("localhost", folder + "/other/ca.crt"), ("elsewhere.test", str(self.ca))):
                with self.subTest(host=host):
                    process = self.mbedtls(host, ca)
                    _, err = self.finish(process, code=1)
                    self.assertNotIn("flags=0x0", err)


class BrokerTest(smqwire.WireTest, CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.url = f"tcp://127.0.0.1:{cls.server.port}{smqwire.PATH}"

    def start_sub(self, *arguments):
        """`smq sub -v` whose subscriptions the broker has acknowledged."""
        process = self.start_smq("sub", "-v", *arguments)
        self.read_line(process.stderr, "subscribed to")
        return process

    def test_a_message_arrives(self):
        sub = self.start_sub("news", "--count", "2")
        self.run_smq("pub", "news", "-m", "hello")
        self.run_smq("pub", "news", "-m", "Zürich")
        out, _ = self.finish(sub)
        self.assertRegex(out.decode(), r"\A\[news from \d+\] hello\n\[news from \d+\] Zürich\n\Z")

    def test_who_forgets_the_path_is_told_so(self):
        _, err = self.run_smq("sub", "x", url=f"tcp://127.0.0.1:{self.server.port}/", code=PROTOCOL)
        self.assertIn("/smq.lsp", err)

    def test_binary_comes_as_hex_or_raw_or_json(self):
        data = bytes(range(256))
        for option, expected in (("--raw", data), (None, b"0x" + data.hex().encode() + b"\n")):
            process = self.start_smq("sub", "binary", "-n", "1", *([option] if option else []))
            self.wait_for_subscriber("binary")
            self.run_smq("pub", "binary", stdin=data)
            self.assertEqual(self.finish(process)[0], expected)
        process = self.start_smq("sub", "binary", "-n", "1", "--json")
        self.wait_for_subscriber("binary")
        self.run_smq("pub", "binary", stdin=data)
        message = json.loads(self.finish(process)[0])
        self.assertEqual(message["payload_hex"], data.hex())
        self.assertEqual(message["topic"], "binary")

    def wait_for_subscriber(self, topic):
        """The quiet forms of sub do not say when they are ready: the broker does."""
        observer = self.connect()
        observer.send(smqwire.observe(observer.create(topic)))
        while observer.expect_type(smqwire.wire.SMQ_CHANGE).u32(4) == 0:
            pass
        observer.close()

    def test_the_largest_payload_and_one_byte_more(self):
        data = os.urandom(PAYLOAD_BYTES_MAX)
        process = self.start_sub("large", "-n", "1", "--raw")
        self.run_smq("pub", "large", stdin=data)
        self.assertEqual(self.finish(process)[0], data)
        _, err = self.run_smq("pub", "large", stdin=data + b"x", code=USAGE)
        self.assertIn(str(PAYLOAD_BYTES_MAX), err)
        self.assertIn("/nowhere", self.run_smq("pub", "t", "-f", "/nowhere", code=NO_INPUT)[1])

    def test_each_line_and_each_repetition_is_a_message_in_order(self):
        lines = [f"line {i}" for i in range(200)]
        process = self.start_sub("lines", "-n", "400")
        self.run_smq("pub", "lines", "--lines", "--count", "2", stdin="\n".join(lines).encode())
        out, _ = self.finish(process)
        self.assertEqual(re.findall(r"\] (.*)", out.decode()), [line for line in lines for _ in range(2)])

    def test_sub_filters_by_subtopic(self):
        process = self.start_sub("filtered", "--sub", "wanted", "-n", "1")
        self.run_smq("pub", "filtered", "-m", "no")
        self.run_smq("pub", "filtered", "-m", "no", "--sub", "other")
        self.run_smq("pub", "filtered", "-m", "yes", "--sub", "wanted")
        self.assertRegex(self.finish(process)[0].decode(), r"\A\[filtered from \d+ sub \d+\] yes\n\Z")

    def test_self_is_reached_at_the_address_it_shows(self):
        process = self.start_smq("sub", "self", "-n", "1")
        etid = self.read_line(process.stderr, r"our address is (\d+)")[1]
        self.run_smq("pub", etid, "-m", "for you alone")
        self.assertEqual(self.finish(process)[0], b"for you alone\n")

    def test_observe_counts_up_and_down(self):
        observe = self.start_smq("observe", "watched", "--count", "3")
        self.read_line(observe.stdout, r"^watched 0$")
        self.finish(self.start_sub_for_a_moment("watched"))
        self.assertEqual(self.finish(observe)[0], b"watched 1\nwatched 0\n")

    def start_sub_for_a_moment(self, topic):
        process = self.start_sub(topic)
        process.send_signal(signal.SIGINT)
        return process

    def test_observing_a_client_ends_when_it_goes(self):
        process = self.start_smq("sub", "self")
        etid = self.read_line(process.stderr, r"our address is (\d+)")[1]
        observe = self.start_smq("observe", etid)
        # Proof that the observation has begun: a client is told of at most once, so ask the broker.
        self.run_smq("rpc", etid, "ping", "-t", "0.2", code=TIMEOUT)
        process.send_signal(signal.SIGTERM)
        self.finish(process)
        self.assertEqual(self.finish(observe)[0].decode(), f"{etid} 0\n")

    def test_rpc_to_nobody_does_not_wait(self):
        _, err = self.run_smq("rpc", "4294967295", "get", "--timeout", "3600", code=UNAVAILABLE)
        self.assertIn("4294967295", err)

    def test_a_time_limit(self):
        self.run_smq("sub", "quiet", "--timeout", "0.1")
        _, err = self.run_smq("sub", "quiet", "--timeout", "0.1", "-n", "1", code=TIMEOUT)
        self.assertIn("0 of 1", err)

    def test_stats_and_peers_of_the_real_broker(self):
        process = self.start_smq("sub", "peers-test", "--uid", "a-known-uid", "-v")
        self.read_line(process.stderr, "subscribed to")
        directory = str(self.server.data_dir)
        table = self.run_smq("peers", "-d", directory)[0]
        self.assertIn(b"a-known-uid", table)
        self.assertRegex(table, rb" 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d ", "since when, as a clock shows it")
        self.assertIn("a-known-uid", json.dumps(json.loads(self.run_smq("peers", "-j", "-d", directory)[0])))
        for arguments in ([], ["--memory"]):
            self.assertNotEqual(self.run_smq("stats", *arguments, "-d", directory)[0], b"")
            json.loads(self.run_smq("stats", *arguments, "-j", "-d", directory)[0])

    def test_a_wrong_path(self):
        url = f"tcp://127.0.0.1:{self.server.port}/nope"
        self.assertIn("/nope", self.run_smq("pub", "t", "-m", "x", url=url, code=PROTOCOL)[1])

    def test_the_led_example(self):
        news = self.start_sub("led/state", "-n", "2")
        led = subprocess.Popen([LED, "127.0.0.1", str(self.server.port)], stdout=subprocess.PIPE)
        self.addCleanup(self.reap, led)
        self.wait_for_subscriber("led/set")
        self.run_smq("pub", "led/set", "-m", "on")
        self.read_line(led.stdout, "the lamp is on")
        self.assertEqual(self.run_smq("rpc", "led/set", "get")[0], b"on\n")
        self.run_smq("pub", "led/set", "-m", "off")
        self.assertRegex(self.finish(news)[0].decode(), r"\] on\n.*\] off\n")

    def start_demo(self, *arguments):
        """`smq demo led` that has announced itself; returns the process and its address."""
        process = self.start_smq("demo", "led", *arguments)
        return process, self.read_line(process.stdout, r"^(.*): address (\d+), 4 LEDs$")[2]

    def test_a_demo_device_says_who_it_is_to_all_and_to_those_who_ask(self):
        announced = self.start_sub("/m2m/led/device", "--sub", "devinfo", "-n", "1", "--raw")
        process, etid = self.start_demo("--name", 'Käte"s lamp')
        info = json.loads(self.finish(announced)[0])
        self.assertEqual((info["devname"], info["ipaddr"]), ('Käte"s lamp', "127.0.0.1"))
        self.assertIsInstance(info["temp"], int)
        self.assertEqual([led["id"] for led in info["leds"]], [1, 2, 3, 4])
        self.assertEqual(info["leds"][0], {"id": 1, "name": "Alarm", "color": "red", "on": False})
        answer = json.loads(self.run_smq("rpc", "/m2m/led/display", "devinfo", "Hello", "--raw")[0])
        self.assertEqual(answer["leds"], info["leds"])
        self.assertIn(f"{etid}", self.run_smq("peers", "-d", str(self.server.data_dir))[0].decode())
        process.send_signal(signal.SIGINT)
        self.finish(process)

    def test_a_demo_device_does_as_it_is_told_and_tells_all(self):
        process, etid = self.start_demo()
        news = self.start_sub("/m2m/led/device", "--sub", "led", "-n", "2", "--raw")
        # Not two bytes, an LED it does not have, a state there is not: nothing happens.
        for command in (b"\2", b"\2\1\0", b"\x09\1", b"\2\2", b"\2\1", b"\3\0"):
            self.run_smq("pub", etid, stdin=command)
        self.read_line(process.stdout, r"^Demo device: Warning \(yellow\) is on$")
        self.read_line(process.stdout, r"^Demo device: Running \(green\) is off$")
        self.assertEqual(self.finish(news)[0], b"\2\1\3\0")
        info = json.loads(self.run_smq("rpc", "/m2m/led/display", "devinfo", "Hello", "--raw")[0])
        self.assertEqual([led["on"] for led in info["leds"]], [False, True, False, False])

    def test_a_demo_device_has_a_temperature(self):
        sub = self.start_sub("/m2m/temp", "-n", "1", "--raw")
        self.start_demo()
        self.assertIn(struct.unpack(">h", self.finish(sub)[0])[0], range(190, 240))

    def test_several_demo_devices_are_told_apart(self):
        process = self.start_smq("demo", "led", "--count", "3", "--name", "Lamp")
        seen = [self.read_line(process.stdout, r"^(Lamp \d): address (\d+)") for _ in range(3)]
        self.assertEqual(sorted(match[1] for match in seen), ["Lamp 1", "Lamp 2", "Lamp 3"])
        self.assertEqual(len({match[2] for match in seen}), 3)
        process.send_signal(signal.SIGTERM)
        self.finish(process)


if __name__ == "__main__":
    unittest.main()
