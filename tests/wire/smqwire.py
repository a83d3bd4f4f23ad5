"""
tests/wire/smqwire.py: start a real smqd, speak raw SMQ to it, and say clearly what went wrong.

What a test sees:

    class PublishTest(WireTest):
        config = 'limits { slow_consumer = drop_old }'       # one server for the whole class

        def test_a_message_reaches_its_subscriber(self):
            alice, bob = self.connect(), self.connect()      # connected, with an ETID
            tid = bob.subscribe("news")                      # Subscribe, and its Suback checked
            alice.publish(tid, b"hello")
            bob.expect(publish(tid, alice.etid, b"hello"))   # exactly this frame, nothing before

How the tests stay honest and quick:
  * No sleeps. "Nothing came" is proven by a round trip that had to come after it:
    Client.expect_nothing() for this connection, Client.expect_nothing_about(topic) through the
    actor that owns the topic.
  * The only times are hang bounds (HANG_S); no assertion depends on the speed of anything.
  * Client.expect() compares whole frames, so one frame too many fails the test as well.
  * Each class has its own server on free ports; stopping it checks exit code 0 and that no
    sanitizer wrote a report. A failing test shows the server's log and each client's transcript.

Environment: SMQD (default build/smqd), SMQD_ARGS (added to each server's arguments),
SMQ_WIRE_HANG_S (default 30). Python 3.11, standard library only.
"""

import collections
import contextlib
import itertools
import json
import os
import pathlib
import queue
import re
import shlex
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from smqframes import *  # the tests' words: publish(), subscribe(), PING, wire ...
from smqws import WsSocket

SMQD = os.path.abspath(os.environ.get("SMQD", str(TOP / "build" / "smqd")))
TLS_DIR = os.environ.get("SMQ_WIRE_TLS", "")  # run.py --tls made this CA: all listeners speak TLS
OVER_WS = bool(os.environ.get("SMQ_WIRE_WS"))  # run.py --ws: all clients speak WebSocket
SMQD_ARGS = shlex.split(os.environ.get("SMQD_ARGS", ""))
HANG_S = float(os.environ.get("SMQ_WIRE_HANG_S", "30"))  # generous: others use the machine, too
STOP_S = max(60.0, HANG_S)
# The server's patience with a Connect, where a test says nothing of it: a hundred clients over TLS take
# their turns, and others use the machine, too.
PATIENCE_MS = 60000
TRANSCRIPT_COUNT = 12  # frames shown per client when a test fails
WEB_OBSERVATIONS = 4  # the topics of the admin instance
GAUGE_OF_HOLDS = "memory.consumers_bytes.ids held by connections"
GAUGES_OF_CONNECTIONS = ("io.open", "limits.connections.used", "limits.handshakes.used")
GAUGES = (  # what the broker holds for its clients: back to the start's when all have gone
    "io.open",
    "io.live",
    "router.topics",
    "router.clients",
    "router.subscriptions",
    "router.observations",
    "limits.connections.used",
    "limits.handshakes.used",
    "limits.topics.used",
    "limits.subscriptions.used",
    "memory.consumers_bytes.connections",
    GAUGE_OF_HOLDS,
    "memory.consumers_bytes.subscriber lists of the I/O actors",
    "memory.consumers_bytes.incomplete frames",
    "memory.consumers_bytes.output queues",
)

SANITIZER_REPORT = re.compile(
    r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|LeakSanitizer: detected"
)


# ---- TLS ---------------------------------------------------------------------------------------


class TlsSocket:
    """
    A TLS session over a connected socket, with the methods of a socket that the tests use.

    Python's own SSLSocket cannot half-close and cannot be sent to and read from with short time-outs;
    here OpenSSL sees only memory. The handshake comes with the first bytes, either way: who says
    nothing sends nothing, as over TCP.
    """

    def __init__(self, raw, context, server_hostname="localhost"):
        self.raw, self.incoming, self.outgoing = raw, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.pending = b""  # sealed, not yet taken by the kernel
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_hostname=server_hostname)
        self.is_ready = False

    def handshake(self):
        """Once. Raises ConnectionError when the server closes meanwhile."""
        if self.is_ready:
            return
        while not self.is_ready:
            try:
                self.session.do_handshake()
                self.is_ready = True
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()
            except ssl.SSLEOFError:
                raise ConnectionResetError("closed in the TLS handshake") from None
        self._flush()

    def _flush(self):
        self.raw.sendall(self.pending + self.outgoing.read())
        self.pending = b""

    def _receive(self):
        data = self.raw.recv(65536)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def sendall(self, data):
        self.handshake()
        for start in range(0, len(data), 16384):
            self.session.write(data[start : start + 16384])
        self._flush()

    def send(self, data):
        self.handshake()
        if not self.pending:
            count = self.session.write(data[:16384])
            self.pending = self.outgoing.read()
        else:
            count = 0
        while self.pending:
            try:
                self.pending = self.pending[self.raw.send(self.pending) :]
            except TimeoutError:
                if count:
                    break
                raise
        return count

    def recv(self, count):
        if not self.is_ready:
            if not self.raw.recv(1, socket.MSG_PEEK):  # a server that closes at once is heard, too
                return b""
            self.handshake()
        while True:
            try:
                return self.session.read(count)
            except ssl.SSLWantReadError:
                self._receive()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def shutdown(self, how):
        assert how == socket.SHUT_WR
        if self.is_ready:
            with contextlib.suppress(ssl.SSLError):
                self.session.unwrap()  # close_notify; the server's own is not waited for
            self._flush()
        self.raw.shutdown(how)

    @property
    def family(self):
        return self.raw.family

    def settimeout(self, seconds):
        self.raw.settimeout(seconds)

    def setsockopt(self, *arguments):
        self.raw.setsockopt(*arguments)

    def getsockname(self):
        return self.raw.getsockname()

    def close(self):
        self.raw.close()


def tls_context(ca_path):
    return ssl.create_default_context(cafile=ca_path)


def plain_only(why):
    """Mark a test that makes no sense over TLS."""
    return unittest.skipIf(TLS_DIR, f"over TCP only: {why}")


def raw_only(why):
    """Mark a test of what only raw connections have, or of bytes that WebSocket wraps."""
    return unittest.skipIf(OVER_WS, f"raw SMQ only: {why}")


# ---- The server --------------------------------------------------------------------------------


class Server:
    """
    One smqd process with its own data directory, on free loopback ports.

    @config:  the text of its config file; None starts without --config.
    @args:    more arguments. Without a `--listen` among them, tcp://127.0.0.1:0 is added.
    @env:     more environment.
    Use start() and stop(); stop() checks that the end was clean.
    """

    may_be_refused = False  # system calls that are not on the list
    pass_fds = ()  # descriptors that the process inherits

    def __init__(self, config=None, args=(), env=None):
        self.config, self.args, self.env = config, list(args), dict(env or {})
        self.process = None
        self.told_to_stop = False  # a second signal would cut the drain short
        self.listeners = []  # (host, port) as the ready line names them
        self.directory = self.data_dir = None
        self._log_shown_bytes = 0

    def command(self):
        command = [SMQD, *SMQD_ARGS, "--data-dir", str(self.data_dir)]
        if self.config is not None:
            (self.directory / "smqd.conf").write_text(self.config)
            command += ["--config", str(self.directory / "smqd.conf")]
        if "--listen" not in self.args:
            command += ["--listen", "tcp://127.0.0.1:0"]
        if "handshake_ms" not in f"{self.config} {command} {self.args}":
            command += ["--set", f"limits.handshake_ms={PATIENCE_MS}"]
        command += self.args
        return [word.replace("tcp://", "tls://") for word in command] if TLS_DIR else command

    def start(self):
        """Returns self when the server says it is ready; raises with its log when it does not."""
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="smqwire-"))
        self.data_dir = self.directory / "data"
        self.data_dir.mkdir()
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.env},
                pass_fds=self.pass_fds,
                text=True,
                errors="replace",
            )
        try:
            self._wait_ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            self._forget()
            raise
        return self

    def _wait_ready(self):
        lines = queue.Queue()

        def pump(stdout):
            for line in stdout:
                lines.put(line)
            lines.put(None)

        self._pump = threading.Thread(target=pump, args=(self.process.stdout,), daemon=True)
        self._pump.start()
        while True:
            try:
                line = lines.get(timeout=max(30.0, HANG_S))
            except queue.Empty:
                raise AssertionError("smqd did not say it is ready\n" + self.log()) from None
            if line is None:
                raise AssertionError(
                    f"smqd ended with {self.process.wait()} before it was ready\n" + self.log()
                )
            if line.startswith("smqd ready"):
                self.ready_line = line.rstrip("\n")
                self.listeners = [
                    (host.strip("[]"), int(port))
                    for host, port in re.findall(r"t(?:cp|ls)://(\[[^]]*\]|[^:\s]+):(\d+)", line)
                ]
                return

    @property
    def port(self):
        return self.listeners[0][1]

    def log(self):
        return (self.directory / "log").read_text(errors="replace") if self.directory else ""

    def new_log(self):
        """What the server logged since the last call."""
        text = self.log()
        new, self._log_shown_bytes = text[self._log_shown_bytes :], len(text)
        return new

    def wait_for_log(self, pattern):
        """
        Until the log, from the last new_log() on, matches the regular expression @pattern: a line is
        written by a thread of its own, so an answer may be here before its line. Returns the match.
        """
        for _ in range(int(max(30.0, HANG_S) * 100)):
            if match := re.search(pattern, self.log()[self._log_shown_bytes :], re.M):
                return match
            time.sleep(0.01)
        raise AssertionError(f"the log never said {pattern!r}")

    def admin(self, command):
        """Send one line to the admin socket; returns all it answers, as text."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(
                str(self.data_dir / "smqd.sock")
            )  # blocking: waits for room in the backlog
            admin.settimeout(HANG_S)
            admin.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: admin.recv(65536), b"")).decode()

    def wait_for_admin(self):
        """
        Until the admin socket answers. It should at once (test_lifecycle.py says so); waiting here
        keeps that one mistake from failing every other test. And until the web actor observes its
        own topics, and knows that: both are counted, by the shard and by itself.
        """
        for _ in range(int(HANG_S * 100)):
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                stats = self.stats()
                observes = stats["router"]["observations"] >= WEB_OBSERVATIONS
                if "web" not in stats or observes and _number_at(stats, GAUGE_OF_HOLDS) > 0:
                    return stats
            time.sleep(0.01)
        raise AssertionError("there is no admin socket\n" + self.log())

    def stats(self):
        return json.loads(self.admin("stats"))

    def counter(self, path):
        """One number of the statistics, by its dotted path: counter("io.live")."""
        return _number_at(self.stats(), path)

    def gauges(self):
        """What the broker holds for its clients at the moment."""
        stats = self.stats()
        return {path: _number_at(stats, path) for path in GAUGES}

    def gauges_at_rest(self):
        """
        The same, as soon as nobody is connected: whoever has gone may be counted a moment longer. A
        test that compares with what was before takes that from here.
        """
        for _ in range(int(max(30.0, HANG_S) * 100)):
            gauges = self.gauges()
            if not any(gauges[path] for path in GAUGES_OF_CONNECTIONS):
                return gauges
            time.sleep(0.01)
        raise AssertionError(f"somebody is still there: {gauges}")

    def rss_bytes(self):
        """Resident memory of the process."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    @property
    def sanitized(self):
        """Is this a sanitizer build? Such a one keeps freed memory, and is slow."""
        return any(
            word in pathlib.Path(SMQD).read_bytes() for word in (b"__asan_init", b"__tsan_init")
        )

    def signal(self, number):
        self.told_to_stop = self.told_to_stop or number in (signal.SIGTERM, signal.SIGINT)
        self.process.send_signal(number)

    def wait(self):
        """Wait for the end; returns the exit code (minus the signal's number when killed)."""
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise AssertionError("smqd did not end\n" + self.log()) from None

    def stop(self, exit_code=0):
        """
        End it, with SIGTERM unless it was told before.
        It must leave with @exit_code and without a sanitizer's report.
        """
        if self.process is None:
            return
        if self.process.poll() is None and not self.told_to_stop:
            self.signal(signal.SIGTERM)
        try:
            code, log = self.wait(), self.log()
        finally:
            self._forget()
        if code != exit_code:
            raise AssertionError(f"smqd ended with {code}, not {exit_code}; its log:\n{log}")
        if SANITIZER_REPORT.search(log):
            raise AssertionError("a sanitizer reported:\n" + log)
        if "harden.refused" in log and not self.may_be_refused:
            raise AssertionError("a system call is not on the list of server/calls.c:\n" + log)

    def _forget(self):
        if self.process:
            self._pump.join(HANG_S)
            self.process.stdout.close()
        self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def _number_at(stats, path):
    here = stats
    for word in path.split("."):
        if not isinstance(here, dict) or word not in here:
            raise AssertionError(
                f"the statistics have no {path!r}; there is {json.dumps(here, indent=1)}"
            )
        here = here[word]
    return here


# ---- A client ----------------------------------------------------------------------------------


class Closed(AssertionError):
    """The server closed the connection while a test waited for a frame."""


class Client:
    """
    One TCP connection to a server, with the words of the protocol as methods.

    Built by WireTest: dial() gives it after TCP's handshake only, bootstrap() after Init,
    connect() after Connack. Reads are exact: a frame that was not expected is a failure.
    """

    def __init__(
        self, address, label="client", receive_buffer_bytes=None, tls=None, source=None
    ):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(HANG_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(address)
        if tls or TLS_DIR:
            self.socket = TlsSocket(self.socket, tls or tls_context(f"{TLS_DIR}/ca.crt"))
        if OVER_WS:
            self.socket = WsSocket(self.socket)
        self.label, self.etid, self.uid, self.seed = label, None, None, None
        self.answers_pings = (
            False  # True: the server's Pings are answered, and not shown to the test
        )
        self.buffer = bytearray()
        self.transcript = collections.deque(maxlen=TRANSCRIPT_COUNT)

    # -- bytes --

    def send(self, *parts):
        """Send frames or raw bytes, joined, in one call."""
        for part in parts:
            self.transcript.append(("->", part))
        self.socket.sendall(b"".join(bytes(part) for part in parts))

    def send_cut(self, data, cuts):
        """Send @data in several segments, cut before each offset of @cuts."""
        offsets = [0, *sorted(cuts), len(data)]
        for start, end in itertools.pairwise(offsets):
            if end > start:
                self.socket.sendall(data[start:end])

    def send_byte_by_byte(self, data):
        self.send_cut(bytes(data), range(1, len(data)))

    def _fill(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        except TimeoutError:
            raise self.failure(f"nothing came for {HANG_S:g} s") from None
        self.buffer += data
        return len(data)

    def read_bytes(self, count):
        while len(self.buffer) < count:
            if not self._fill():
                raise self.failure(
                    f"closed; wanted {count} bytes, have {bytes(self.buffer[:80])!r}", Closed
                )
        data, self.buffer = bytes(self.buffer[:count]), self.buffer[count:]
        return data

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self._fill():
                raise self.failure(
                    f"closed before {mark!r}; have {bytes(self.buffer[:80])!r}", Closed
                )
        return self.read_bytes(self.buffer.index(mark) + len(mark))

    def read_all(self):
        """Every byte until the server closes."""
        while self._fill():
            pass
        data, self.buffer = bytes(self.buffer), bytearray()
        return data

    def read_http(self):
        """An HTTP head; returns (status, headers with lower-case names)."""
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.[01] (\d{3})( .*)?", lines[0])
        if not match:
            raise self.failure(f"not an HTTP status line: {lines[0]!r}")
        pairs = (line.split(":", 1) for line in lines[1:-2])
        return int(match[1]), {name.strip().lower(): value.strip() for name, value in pairs}

    # -- frames --

    def read_frame(self):
        while True:
            frame = self._read_frame()
            if not (self.answers_pings and frame == PING):
                return frame
            self.send(PONG)

    def _read_frame(self):
        length, frame_type = struct.unpack("!HB", self.read_bytes(wire.SMQ_HEADER_BYTES))
        if length < wire.SMQ_HEADER_BYTES:
            raise self.failure(f"the server sent a frame of length {length}")
        frame = Frame(frame_type, self.read_bytes(length - wire.SMQ_HEADER_BYTES))
        self.transcript.append(("<-", frame))
        return frame

    def read_frames(self, count):
        return [self.read_frame() for _ in range(count)]

    def expect(self, *frames):
        """Exactly these frames come next, in this order."""
        for wanted in frames:
            try:
                got = self.read_frame()
            except Closed:
                raise self.failure(
                    f"wanted {wanted!r}, but the connection was closed", Closed
                ) from None
            if got != wanted:
                raise self.failure(f"wanted {wanted!r}\n   got {got!r}")

    def expect_any_order(self, *frames):
        """These frames come next, each once, in any order."""
        got = collections.Counter(self.read_frames(len(frames)))
        wanted = collections.Counter(frames)
        if got != wanted:
            raise self.failure(
                f"missing {list((wanted - got).elements())!r}\n"
                f"  extra {list((got - wanted).elements())!r}"
            )

    def expect_type(self, frame_type):
        frame = self.read_frame()
        if frame.type != frame_type:
            raise self.failure(f"wanted a {wire.names[frame_type].capitalize()}, got {frame!r}")
        return frame

    def expect_nothing(self):
        """No frame is on its way on this connection: a Ping is answered, and first."""
        self.send(PING)
        self.expect(PONG)

    def expect_nothing_about(self, topic):
        """
        No frame is on its way from the actor that owns @topic: a Create is answered, and first.
        Also a barrier: whatever this client said about @topic before has been done now.
        """
        self.create(topic)

    def expect_closed(self):
        """The server closes and sends nothing more before."""
        rest = self.read_all()
        if rest:
            raise self.failure(f"wanted the connection closed, got {rest[:80]!r}")

    def expect_disconnect(self, reason=None):
        """A Disconnect with @reason (None: any, but not an empty one), then the close."""
        frame = self.expect_type(wire.SMQ_DISCONNECT)
        if (reason is None and not frame.body) or (
            reason is not None and frame.body != as_bytes(reason)
        ):
            raise self.failure(f"wanted a Disconnect with {reason or 'a reason'!r}, got {frame!r}")
        self.expect_closed()

    def expect_refused(self, code):
        """A Connack with @code, ETID 0 and a reason, then the close."""
        frame = self.expect_type(wire.SMQ_CONNACK)
        if len(frame.body) < 6 or frame.body[0] != code or frame.u32(1) != 0:
            raise self.failure(
                f"wanted a Connack with code {code}, ETID 0 and a reason, got {frame!r}"
            )
        self.expect_closed()

    # -- conversations: each checks the answer --

    def read_init(self):
        frame = self.expect_type(wire.SMQ_INIT)
        version, self.seed = struct.unpack_from("!BI", frame.body)
        if version != wire.SMQ_PROTOCOL_VERSION:
            raise self.failure(f"Init has version {version}")
        self.address_text = frame.body[5:].decode()

    def read_connack(self):
        frame = self.expect_type(wire.SMQ_CONNACK)
        if frame.body[0] != wire.SMQ_CONNACK_ACCEPTED or frame.u32(1) in (0, wire.SMQ_ID_SERVER):
            raise self.failure(f"wanted an accepting Connack with an ETID, got {frame!r}")
        self.etid = frame.u32(1)
        return self.etid

    def subscribe(self, name):
        return self._ask(subscribe(name), wire.SMQ_SUBACK)

    def create(self, name):
        return self._ask(create(name), wire.SMQ_CREATEACK)

    def createsub(self, name):
        return self._ask(createsub(name), wire.SMQ_CREATESUBACK)

    def _ask(self, question, answer_type):
        self.send(question)
        answer = self.read_frame()
        wanted = ack(answer_type, wire.SMQ_ACK_OK, 0, question.body)
        if (
            answer.type != answer_type
            or answer.body[:1] + answer.body[5:] != wanted.body[:1] + wanted.body[5:]
        ):
            raise self.failure(f"asked {question!r}\n   got {answer!r}")
        if answer.u32(1) in (0, wire.SMQ_ID_SERVER):
            raise self.failure(f"a reserved number was given out: {answer!r}")
        return answer.u32(1)

    def observe(self, number, count):
        """Observe a topic; its present @count comes back at once."""
        self.send(observe(number))
        self.expect(change(number, count))

    def observe_client(self, other):
        """
        Observe the ETID of @other, and know that the broker has done it: a message sent behind the
        Observe goes the same way and arrives. (Observing an ETID has no answer of its own.)
        """
        self.send(observe(other.etid))
        self.tell(other, b"observed")

    def tell(self, other, payload):
        """Publish to the ETID of @other, which gets it next."""
        self.publish(other.etid, payload)
        other.expect(publish(other.etid, self.etid, payload))

    def publish(self, destination, payload=b"", stid=0):
        self.send(publish(destination, self.etid, payload, stid))

    def shut(self):
        """Say that nothing more will be sent (FIN), and still read."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        """Close with RST instead of FIN."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # -- failing --

    def failure(self, message, kind=AssertionError):
        lines = [f"    {way} {_shown(what)}" for way, what in self.transcript]
        return kind(f"{self.label}: {message}\n" + "\n".join(lines))


def _shown(part):
    if isinstance(part, Frame):
        return repr(part)
    part = bytes(part)
    return repr(part) if len(part) <= 60 else f"{part[:60]!r}+{len(part) - 60} bytes"


# ---- Tests -------------------------------------------------------------------------------------


class WireTest(unittest.TestCase):
    """One server per class; every test leaves it alive and able to serve a newcomer."""

    config = None  # the config file's text; None: no --config
    args = ()
    env = None
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.config, cls.args, cls.env).start()
        cls.addClassCleanup(cls.server.stop)
        cls.server.wait_for_admin()
        cls._gauges_at_start = cls.server.gauges_at_rest()
        cls.addClassCleanup(cls._check_nothing_is_left)

    @classmethod
    def _check_nothing_is_left(cls):
        """All clients have gone: the broker holds what it held at its start, and nothing more."""
        deadline, start = time.monotonic() + max(30.0, HANG_S), cls._gauges_at_start
        while cls.server.process:
            gauges = cls.server.gauges()
            if all(gauges[path] <= start[path] for path in GAUGES):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"left behind: {gauges}\nat the start: {start}")
            time.sleep(0.01)

    def setUp(self):
        self.server.new_log()
        self._names = itertools.count()

    def run(self, result=None):
        """As always, and adds the server's log to what a failing test has to say."""
        result = result if result is not None else self.defaultTestResult()
        before = len(result.failures), len(result.errors)
        super().run(result)
        for bucket, count in zip((result.failures, result.errors), before):
            if len(bucket) > count:
                test, text = bucket[-1]
                bucket[-1] = (
                    test,
                    text + "--- the server's log meanwhile:\n" + folded(self._new_log()),
                )
        return result

    def _new_log(self):
        server = getattr(self, "server", None)
        return server.new_log() if server and server.process else "(no server)\n"

    def tearDown(self):
        """Whatever the test did, the server lives and serves the next one."""
        if self.server.process:
            self.assertIsNone(self.server.process.poll(), "the server died")
            newcomer = self.connect()
            newcomer.answers_pings = True  # for servers with short keep-alive times
            newcomer.expect_nothing()
            newcomer.close()

    # -- clients; all are closed when the test ends --

    def dial(self, listener=0, **options):
        label = options.pop("label", f"client {next(self._names)}")
        client = Client(self.server.listeners[listener], label, **options)
        self.addCleanup(client.close)
        return client

    def bootstrap(self, path=PATH, **options):
        client = self.dial(**options)
        client.send(http_head(path))
        client.read_init()
        return client

    def connect(
        self, uid=None, path=PATH, credentials=b"", info=b"", version=1, max_record=0, **options
    ):
        client = self.bootstrap(path, **options)
        client.uid = as_bytes(uid) if uid is not None else self.new_uid()
        client.send(connect_frame(client.uid, credentials, info, version, max_record))
        client.read_connack()
        return client

    def connect_many(self, count, **options):
        """@count connected clients, with their handshakes overlapped: a hundred at a time, for over
        TLS each sends after the one before it, and the server counts seconds from the accept."""
        clients = []
        while len(clients) < count:
            batch = [self.dial(**options) for _ in range(min(100, count - len(clients)))]
            for client in batch:
                client.uid = self.new_uid()
                client.send(http_head(), connect_frame(client.uid))
            clients += batch
        for client in clients:
            client.read_init()
            client.read_connack()
        return clients

    _uid_count = itertools.count()

    @classmethod
    def new_uid(cls):
        return f"uid-{os.getpid()}-{next(WireTest._uid_count)}".encode()

    def topic(self, word="topic"):
        """A name no other test uses."""
        return f"{type(self).__name__}/{self._testMethodName}/{word}"

    # -- things that come to pass: bounded, and without guessing how long they take --

    def wait_until(self, condition, what):
        """Ask until @condition() is true; for things that only the statistics can tell."""
        deadline = time.monotonic() + max(30.0, HANG_S)
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"did not come to pass: {what}")
            time.sleep(0.01)

    def assert_becomes(self, path, value):
        """The statistics say so soon: another thread than the one that answered may keep that count."""
        self.wait_until(lambda: self.server.counter(path) == value, f"{path} is {value}")

    def assert_counts(self, path, amount, since=0):
        """The counter at @path reaches @since + @amount, and no more."""
        self.wait_until(
            lambda: self.server.counter(path) >= since + amount, f"{path} grows by {amount}"
        )
        self.assertEqual(self.server.counter(path), since + amount, path)


def folded(log, lines_max=80):
    """The last lines of @log, with repeated ones counted."""
    lines = []
    for line, group in itertools.groupby(log.splitlines()):
        count = len(list(group))
        lines.append(line if count == 1 else f"{line}  [{count} times]")
    return "\n".join(lines[-lines_max:]) + "\n"


def in_threads(*jobs):
    """
    Run the jobs side by side. The first failure is raised here at once; the others may still be
    waiting for what will not come, and end when the test's clients are closed.
    """
    outcomes = queue.Queue()

    def run(job):
        try:
            job()
            outcomes.put(None)
        except BaseException as failure:  # handed to the test's own thread
            outcomes.put(failure)

    for job in jobs:
        threading.Thread(target=run, args=(job,), daemon=True).start()
    for _ in jobs:
        failure = outcomes.get()
        if failure is not None:
            raise failure


class Pace:
    """Keeps a publisher at most @ahead_count messages ahead of the slowest of its receivers."""

    def __init__(self, ahead_count, receiver_count=1):
        self.ahead_count = ahead_count
        self.condition = threading.Condition()
        self.received = [0] * receiver_count

    def wait_for_room(self, sent_count):
        with self.condition:
            enough = self.condition.wait_for(
                lambda: sent_count - min(self.received) < self.ahead_count,
                timeout=max(60.0, HANG_S),
            )
        if not enough:
            raise AssertionError(f"sent {sent_count}, the receivers have {self.received}")

    def heard(self, receiver=0):
        with self.condition:
            self.received[receiver] += 1
            if self.received[receiver] % max(1, self.ahead_count // 4) == 0:
                self.condition.notify_all()


if __name__ == "__main__":
    raise SystemExit("this is the harness; run tests/wire/run.py")
