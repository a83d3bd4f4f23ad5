"""
tests/wire/test_faults.py: the first thing goes wrong, then only the second, the third...

Goal: whatever goes wrong, at whatever point of a conversation, nothing is left behind, nothing hangs
and the others are served. What a kernel may do to everybody at any time (a receive that ends early, a
short send, a late completion) is not even felt.
Method: build/tests/faults/smqd-faulty, which is smqd with a hand on completions, allocations and the
clock (tests/faults/faults.c). Each conversation is repeated with the n-th one of a kind going wrong,
n = 1, 2, 3 and so on, until it is through before there was an n-th.
"""

import contextlib
import mmap
import os
import pathlib
import signal
import ssl
import struct
import subprocess
import tempfile
import time
import unittest

import smqwire
from smqwire import (
    SMQD,
    PING,
    PONG,
    PATH,
    Client,
    Closed,
    Server,
    WireTest,
    connect_frame,
    http_head,
    plain_only,
    publish,
    raw_only,
    subscribe,
    wire,
)
from smqws import WsSocket

FAULTY = pathlib.Path(SMQD).resolve().parent / "tests" / "faults" / "smqd-faulty"
MOST = 400  # a conversation that has more steps than that is no small one
LARGE = bytes(range(256)) * 80  # more than a receive buffer, and than what is copied

MEMORY = "memory.consumers_bytes."
KINDS_OF_BYTES = (  # all that a connection, a name or a message costs
    "connections",
    "incomplete frames",
    "output queues",
    "messages and identities",
    "clients in the shards",
)
TLS_BYTES = MEMORY + "TLS sessions"
TLS_SLACK_BYTES = 16384  # a reload's old credentials live a little longer


def kinds_of_faults():
    """[(name, may anybody notice?)]"""
    listed = subprocess.run(
        [FAULTY], env={**os.environ, "FAULTS_LIST": "1"}, capture_output=True, text=True
    ).stdout
    return [(name, word == "felt") for name, word in map(str.split, listed.splitlines())]


# With a sanitizer everything takes a few times as long: then only what ends something in the middle,
# for that is what leaks, or uses what has gone.
TELLING = (
    "alloc",
    "recv-reset",
    "send-reset",
    "accept-nofile",
    "close-failed",
    "stale",
    "doubled",
)
IS_SANITIZED = b"__asan_init" in pathlib.Path(SMQD).read_bytes()


def kinds_to_play(wanted):
    """[(index, name, may anybody notice?)] of those whose name is @wanted."""
    kinds = [
        (index, name, felt)
        for index, (name, felt) in enumerate(kinds_of_faults())
        if wanted(name) and (not IS_SANITIZED or name in TELLING)
    ]
    if not kinds:
        raise unittest.SkipTest("not with a sanitizer: it takes long, and ends nothing")
    return kinds


class FaultyServer(Server):
    """A server on TCP and TLS whose faults are set through a shared page."""

    def __init__(self, args=(), env=None):
        self.page_file = tempfile.NamedTemporaryFile(prefix="smqd-faults-")
        self.page_file.truncate(mmap.PAGESIZE)
        self.page = mmap.mmap(self.page_file.fileno(), mmap.PAGESIZE)
        listen = ["--listen", "tcp://127.0.0.1:0", "--listen", "tls://127.0.0.1:0"]
        environment = {"FAULTS_PAGE": self.page_file.name, **(env or {})}
        super().__init__(None, [*listen, *args], environment)

    def command(self):
        return [str(FAULTY), *super().command()[1:]]

    def arm(self, kind_index, count):
        """The @count-th of the kind goes wrong from here on."""
        struct.pack_into("=III", self.page, 0, 0, count, 0)
        struct.pack_into("=I", self.page, 0, kind_index + 1)

    def disarm(self):
        struct.pack_into("=I", self.page, 0, 0)

    def make_forbidden_call(self):
        """An I/O thread makes a system call that is not on the list, at the next thing it hears."""
        struct.pack_into("=Ii", self.page, 12, 1, 0)

    @property
    def forbidden_call_error(self):
        """None: it has not been made yet. 0: it was let through."""
        wanted, error = struct.unpack_from("=Ii", self.page, 12)
        return None if wanted else error

    @property
    def hit(self):
        return struct.unpack_from("=III", self.page)[2] > 0


class Talk:
    """One conversation: its clients, and how much they put up with."""

    def __init__(self, server):
        self.server, self.clients, self.is_felt = server, [], False

    def dial(self, tls=False, websocket=False, **options):
        context = None
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = self.server.listeners[1 if tls else 0]
        client = Client(address, f"client {len(self.clients)}", tls=context, **options)
        self.clients.append(client)
        if websocket:
            client.socket = WsSocket(client.socket)
        return client

    def connect(self, uid=None, **options):
        client = self.dial(**options)
        client.uid = uid or WireTest.new_uid()
        client.send(http_head(PATH))
        client.read_init()
        client.send(connect_frame(client.uid))
        client.read_connack()
        return client

    def gets(self, client, *frames):
        """It gets these; when something may be felt, these or less, but its Ping is answered."""
        if not self.is_felt:
            client.expect(*frames)
        client.send(PING)
        while client.read_frame() != PONG:
            pass

    def close(self):
        for client in self.clients:
            client.close()


# ---- The conversations --------------------------------------------------------------------------


def join(talk):
    talk.connect().expect_nothing()


def join_over_tls(talk):
    talk.connect(tls=True).expect_nothing()


def upgrade(talk):
    talk.connect(websocket=True).expect_nothing()


def upgrade_over_tls(talk):
    talk.connect(tls=True, websocket=True).expect_nothing()


def read_a_page(talk):
    client = talk.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    client.read_http()
    client.read_all()


def subscribe_and_observe(talk):
    one, two = talk.connect(), talk.connect(tls=True)
    topic = one.subscribe("faults/some")
    two.observe(topic, 1)
    two.createsub("faults/sub")
    one.send(subscribe("faults/other"))
    one.read_frame()


def publish_to_itself(talk):
    client = talk.connect()
    topic = client.subscribe(f"faults/echo of {client.etid}")
    for payload in (b"small", LARGE):
        client.publish(topic, payload)
        talk.gets(client, publish(topic, client.etid, payload))


def fan_out(talk):
    receivers = [talk.connect(), talk.connect(tls=True), talk.connect(websocket=True)]
    topics = [client.subscribe("faults/fan") for client in receivers]
    sender = talk.connect()
    sender.create("faults/fan")
    sent = [publish(topics[0], sender.etid, payload) for payload in (b"one", b"two", LARGE)]
    sender.send(*sent)
    for receiver in receivers:
        talk.gets(receiver, *sent)


def take_over(talk):
    first = talk.connect()
    first.subscribe("faults/mine")
    second = talk.connect(uid=first.uid)
    if not talk.is_felt and second.etid != first.etid:
        raise AssertionError("another ETID after a takeover")
    first.read_all()
    second.expect_nothing()


def reset(talk):
    client = talk.connect(tls=True)
    client.subscribe("faults/gone")
    client.socket.raw.close()


def reloads(talk):
    tls = talk.server.stats()["tls"]
    return tls["reloads_total"] + tls["reload_failures_total"]


def reload(talk):
    client = talk.connect(tls=True)
    before = reloads(talk)
    talk.server.signal(signal.SIGHUP)
    for _ in range(int(smqwire.HANG_S * 100)):
        if reloads(talk) > before:
            break
        time.sleep(0.01)
    else:
        raise AssertionError("nothing came for SIGHUP")
    client.expect_nothing()


CONVERSATIONS = (
    join,
    join_over_tls,
    upgrade,
    upgrade_over_tls,
    read_a_page,
    subscribe_and_observe,
    publish_to_itself,
    fan_out,
    take_over,
    reset,
    reload,
)

# What may be going on several times at once.
ROOMY = 3 * [
    each for each in CONVERSATIONS if each not in (fan_out, reload, subscribe_and_observe)
]


# ---- The tests ----------------------------------------------------------------------------------


class FaultTest(WireTest):
    """One server for all; a bystander in each talks on, whatever happens to the others."""

    settings = ()
    more_env = None

    @classmethod
    def setUpClass(cls):
        if not FAULTY.exists():
            raise smqwire.unittest.SkipTest(f"{FAULTY} is not built: ninja smqd-faulty")
        words = [word for setting in cls.settings for word in ("--set", setting)]
        cls.server = FaultyServer(words, cls.more_env).start()
        cls.addClassCleanup(cls.server.stop)
        cls.server.wait_for_admin()
        cls.bystander = Talk(cls.server)
        cls.addClassCleanup(cls.bystander.close)
        cls.left = cls.bystander.connect()
        cls.right = cls.bystander.connect(tls=True)
        for client in (cls.left, cls.right):
            client.answers_pings = True
        cls.topic = cls.left.subscribe("bystander")
        cls.right.create("bystander")
        nobody_else = cls.held()
        for conversation in CONVERSATIONS:  # what is made once, and kept, is made now
            cls.play(conversation, felt=False)
        while not all(actor["tls_handshakes_total"] for actor in cls.server.stats()["io_actors"]):
            cls.play(join_over_tls, felt=False)  # and by each I/O thread
        cls.resting = cls.when_they_have_left()
        cls.resting |= {name: nobody_else[name] for name in smqwire.GAUGES}

    @classmethod
    def held(cls):
        stats = cls.server.stats()
        names = (*smqwire.GAUGES, *(MEMORY + kind for kind in KINDS_OF_BYTES), TLS_BYTES)
        return {name: smqwire._number_at(stats, name) for name in dict.fromkeys(names)}

    @classmethod
    def when_they_have_left(cls):
        """What is held for the two bystanders: as soon as nobody else is there, and all is sent."""
        for _ in range(int(smqwire.HANG_S * 100)):
            held = cls.held()
            if held["io.open"] == 2 and held[MEMORY + "output queues"] == 0:
                return held
            time.sleep(0.01)
        raise AssertionError(f"they do not leave: {held}")

    @classmethod
    def differences(cls):
        """Returns: name -> (at rest, now). Fewer bytes than at first is no leak: what the talks
        before left behind may have been freed only after that was taken."""
        if cls.server.process.poll() is not None:
            return "it has died"
        held, resting = cls.held(), cls.resting
        slack = {TLS_BYTES: TLS_SLACK_BYTES}
        return {
            name: (resting[name], held[name])
            for name in held
            if (
                held[name] > resting[name] + slack.get(name, 0)
                if name.startswith(MEMORY)
                else held[name] != resting[name]
            )
        }

    @classmethod
    def is_at_rest(cls):
        return not cls.differences()

    @classmethod
    def play(cls, conversation, felt):
        """Returns: what the clients met, or None."""
        talk = Talk(cls.server)
        talk.is_felt = felt
        try:
            conversation(talk)
        except (Closed, OSError, ssl.SSLError, AssertionError) as failure:
            if not felt or isinstance(failure, TimeoutError) or "nothing came for" in str(failure):
                raise
            return failure
        finally:
            talk.close()
        return None

    def check_bystanders(self):
        self.right.publish(self.topic, b"still there?")
        self.left.expect(publish(self.topic, self.right.etid, b"still there?"))

    def until_something_is_left(self, conversation, index, name, felt):
        for count in range(1, MOST):
            self.server.arm(index, count)
            try:
                self.play(conversation, felt)
                self.server.disarm()
                self.check_bystanders()
                self.play(join, felt=False)
                self.wait_until(self.is_at_rest, "all is given back")
            except BaseException as failure:
                raise AssertionError(
                    f"number {count} of {name} in {conversation.__name__}: {failure}"
                    f"\n(resting, held): {self.differences()}"
                ) from failure
            if not self.server.hit:
                return count - 1
        self.fail(f"{conversation.__name__} has no end")

    def every_one_of(self, wanted):
        hit_count = 0
        for index, name, felt in kinds_to_play(wanted):
            for conversation in CONVERSATIONS:
                with self.subTest(name, conversation=conversation.__name__):
                    hit_count += self.until_something_is_left(conversation, index, name, felt)
        self.assertGreater(hit_count, 0, "nothing went wrong")


@plain_only("they speak TLS by themselves")
@raw_only("they speak WebSocket by themselves")
class EveryFaultTest(FaultTest):
    def test_allocations_that_are_refused(self):
        self.every_one_of(lambda name: name == "alloc")

    def test_receives_that_end(self):
        self.every_one_of(lambda name: name.startswith(("recv", "poll")))

    def test_sends_that_take_less_or_nothing(self):
        self.every_one_of(lambda name: name.startswith(("send", "writable")))

    def test_accepts_that_fail(self):
        self.every_one_of(lambda name: name.startswith("accept"))

    def test_other_requests_that_fail(self):
        self.every_one_of(
            lambda name: name.startswith(("peer", "cancel", "shutdown", "close", "wake"))
        )

    def test_completions_that_are_stale_or_come_twice(self):
        self.every_one_of(lambda name: name in ("stale", "doubled"))

    def test_a_clock_that_jumps_ahead(self):
        """By less than anybody's patience."""
        self.every_one_of(lambda name: name == "clock")


@plain_only("they speak TLS by themselves")
@raw_only("they speak WebSocket by themselves")
class SmallRingsTest(FaultTest):
    """Four places for requests, as many for completions, and the smallest lanes: all overflow."""

    settings = ("threads.lane_slots=64", "threads.io=2", "threads.router=1")
    more_env = {"FAULTS_SMALL_RINGS": "1"}

    def test_all_conversations_at_once_and_again(self):
        for _ in range(5):
            smqwire.in_threads(
                *(lambda play=conversation: self.play(play, felt=False) for conversation in ROOMY)
            )
            self.check_bystanders()
        self.wait_until(self.is_at_rest, "all is given back")

    def test_more_completions_at_once_than_there_is_room_for(self):
        """They came while the server stood still, so that it finds them all together."""
        talk = Talk(self.server)
        self.addCleanup(talk.close)
        clients = [talk.connect() for _ in range(64)]
        self.server.signal(signal.SIGSTOP)
        for client in clients:
            client.send(PING)
        self.server.signal(signal.SIGCONT)
        for client in clients:
            client.expect(PONG)
        self.assertGreater(self.server.counter("io.cq_overflows_total"), 0)
        talk.close()
        self.check_bystanders()
        self.wait_until(self.is_at_rest, "all is given back")
