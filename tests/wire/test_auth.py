"""
tests/wire/test_auth.py: who may come in, and what he may do then (§4.1, §4.2, §6).

Passwords are hashed here, with Python's scrypt; answers to the shared key with Python's hmac. Each
class has its own server and files.
"""

import base64
import hashlib
import hmac
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile

from smqwire import (
    HANG_S,
    SMQD,
    WireTest,
    ack,
    change,
    connect_frame,
    create,
    createsub,
    observe,
    pubfrag,
    publish,
    raw_only,
    subscribe,
    wire,
)

KEY = b"0123456789abcdef0123456789abcdef"
IN, BOUND, RULED = "/in.lsp", "/bound.lsp", "/ruled.lsp"


def account(user, password):
    """A line of a password file; a cheap hash."""
    salt = os.urandom(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=1 << 10, r=8, p=1, dklen=32)
    salt, digest = (base64.b64encode(part).decode().rstrip("=") for part in (salt, digest))
    return f"{user}:$scrypt$ln=10,r=8,p=1${salt}${digest}\n"


def answer(key, seed, uid):
    return hmac.new(key, struct.pack("!I", seed) + uid, hashlib.sha256).hexdigest()


def denied(packet, name):
    """A negative Suback, Createack or Createsuback."""
    return ack(packet, wire.SMQ_ACK_DENIED, 0, name)


class AuthTest(WireTest):
    """Files in a folder that the configuration names; %s stands for it."""

    files = {}
    template = ""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="smqauth-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        for name, text in cls.files.items():
            (cls.folder / name).write_text(text)
        cls.config = cls.template.replace("%s", str(cls.folder)) + 'instance "/smq.lsp" {}\n'
        super().setUpClass()

    def show(self, credentials, path=IN, uid=None):
        """A client that has sent its Connect; what comes is to be read."""
        client = self.bootstrap(path)
        client.uid = uid or self.new_uid()
        client.send(connect_frame(client.uid, credentials))
        return client

    def reload(self, **texts):
        """Write files anew, SIGHUP, and wait until the broker says what it did."""
        for name, text in texts.items():
            (self.folder / name).write_text(text)
        before = self.reloads()
        self.server.signal(signal.SIGHUP)
        self.wait_until(lambda: self.reloads() > before, "the files are read again")

    def reloads(self):
        return self.server.counter("auth.reloads_total") + self.server.counter("auth.reload_failures_total")


class ComingInTest(AuthTest):
    files = {
        "users": account("alice", "pass:word") + account("bob", "bob's"),
        "keys": f"pump-* {KEY.decode()}\n",
    }
    template = f"""
        instance "{IN}" {{ auth = {{key, password}} users = "%s/users" keys = "%s/keys" }}
        instance "{BOUND}" {{ auth = {{password}} users = "%s/users" bind_uid = on }}
        instance "/both.lsp" {{ auth = {{password, anonymous}} users = "%s/users" }}
    """

    def test_a_right_password_lets_in_and_again_at_once(self):
        for _ in range(3):
            self.show(b"alice:pass:word").read_connack()
        self.show(b"bob:bob's").read_connack()

    def test_anything_else_is_refused_with_connack_3(self):
        for credentials in (b"", b"alice", b"alice:wrong", b"alice:", b"nobody:pass:word", b":",
                            b"alice:" + b"x" * 240, b"a" * 100 + b":x", b"f" * 64, b"\0:\0"):
            self.show(credentials).expect_refused(wire.SMQ_CONNACK_BAD_CREDENTIALS)

    def test_refused_logins_are_counted_and_logged(self):
        before = self.server.counter("io.refused_logins_total")
        self.show(b"alice:nope").expect_refused(wire.SMQ_CONNACK_BAD_CREDENTIALS)
        self.assert_counts("io.refused_logins_total", 1, before)
        self.wait_until(lambda: "login.refused" in self.server.log(), "it is in the log")
        self.assertNotIn("nope", self.server.log())

    def test_many_passwords_at_once_are_all_answered(self):
        clients = [self.show(b"alice:pass:word" if i % 2 else b"bob:no") for i in range(20)]
        for i, client in enumerate(clients):
            if i % 2:
                client.read_connack()
            else:
                client.expect_refused(wire.SMQ_CONNACK_BAD_CREDENTIALS)

    def test_what_follows_a_connect_waits_for_the_password(self):
        client = self.bootstrap(IN)
        client.send(connect_frame(self.new_uid(), b"bob:bob's"), subscribe("early"))
        client.read_connack()
        client.expect_type(wire.SMQ_SUBACK)

    def test_who_leaves_before_the_verdict_leaves_nothing(self):
        for _ in range(10):
            self.show(b"bob:wrong").reset()

    def test_the_shared_key_is_shown_by_its_answer(self):
        client = self.bootstrap(IN)
        uid = b"pump-1"
        client.send(connect_frame(uid, answer(KEY, client.seed, uid)))
        client.read_connack()

    def test_an_answer_is_good_for_its_seed_and_uid_only(self):
        first, client = self.bootstrap(IN), self.bootstrap(IN)
        client.send(connect_frame(b"pump-1", answer(KEY, first.seed, b"pump-1")))
        client.expect_refused(wire.SMQ_CONNACK_BAD_CREDENTIALS)
        for uid, other in ((b"pump-2", b"pump-1"), (b"lamp-1", b"lamp-1")):
            client = self.bootstrap(IN)
            client.send(connect_frame(uid, answer(KEY, client.seed, other)))
            client.expect_refused(wire.SMQ_CONNACK_BAD_CREDENTIALS)
        client = self.bootstrap(IN)
        client.send(connect_frame(b"pump-1", answer(KEY[::-1], client.seed, b"pump-1")))
        client.expect_refused(wire.SMQ_CONNACK_BAD_CREDENTIALS)

    def test_anonymous_comes_last_and_does_not_forgive_a_wrong_password(self):
        self.show(b"", "/both.lsp").read_connack()
        self.show(b"something else", "/both.lsp").read_connack()
        self.show(b"alice:pass:word", "/both.lsp").read_connack()
        self.show(b"alice:wrong", "/both.lsp").expect_refused(wire.SMQ_CONNACK_BAD_CREDENTIALS)

    def test_a_uid_is_taken_over_by_the_same_login_only(self):
        uid = self.new_uid()
        alice = self.show(b"alice:pass:word", uid=uid)
        etid = alice.read_connack()
        self.show(b"bob:bob's", uid=uid).expect_refused(wire.SMQ_CONNACK_ACCESS_DENIED)
        alice.expect_nothing()
        again = self.show(b"alice:pass:word", uid=uid)
        self.assertEqual(again.read_connack(), etid)
        alice.expect_disconnect("reconnect")

    def test_nobody_anonymous_takes_over_but_may_be_taken_over(self):
        uid = self.new_uid()
        squatter = self.show(b"", "/both.lsp", uid)
        squatter.read_connack()
        owner = self.show(b"alice:pass:word", "/both.lsp", uid)
        owner.read_connack()
        squatter.expect_disconnect("reconnect")
        self.show(b"", "/both.lsp", uid).expect_refused(wire.SMQ_CONNACK_ACCESS_DENIED)
        owner.expect_nothing()

    def test_a_bound_uid_is_the_logins_name_or_begins_with_it_and_a_colon(self):
        self.show(b"alice:pass:word", BOUND, b"alice:lamp").read_connack()
        for uid in (b"alice-lamp", b"bobbob", b"bob:lamp"):
            self.show(b"alice:pass:word", BOUND, uid).expect_refused(wire.SMQ_CONNACK_ACCESS_DENIED)


class OldAccountsTest(AuthTest):
    files = {"users": account("alice", "one") + account("bob", "two"), "keys": f"* {KEY.decode()}\n"}
    template = f"""
        instance "{IN}" {{ auth = {{key, password}} users = "%s/users" keys = "%s/keys" }}
    """

    def setUp(self):
        super().setUp()
        self.reload(**self.files)

    def test_a_reload_ends_the_sessions_of_accounts_that_are_gone_or_changed(self):
        alice, bob = self.show(b"alice:one"), self.show(b"bob:two")
        pump = self.bootstrap(IN)
        pump.send(connect_frame(b"pump-1", answer(KEY, pump.seed, b"pump-1")))
        for client in (alice, bob, pump):
            client.read_connack()
        anybody = self.connect()
        kept = self.files["users"].splitlines(True)[1]
        self.reload(users=account("alice", "one") + kept)  # another salt: set anew
        alice.expect_disconnect("this login is no longer good")
        bob.expect_nothing()
        self.reload(users=kept, keys=f"* {KEY[::-1].decode()}\n")
        pump.expect_disconnect("this login is no longer good")
        bob.expect_nothing()
        anybody.expect_nothing()
        self.show(b"alice:one").expect_refused(wire.SMQ_CONNACK_BAD_CREDENTIALS)

    def test_a_file_with_an_error_changes_nothing(self):
        alice = self.show(b"alice:one")
        alice.read_connack()
        before = self.server.counter("auth.reload_failures_total")
        self.reload(users="alice:one\n")
        self.assertEqual(self.server.counter("auth.reload_failures_total"), before + 1)
        alice.expect_nothing()
        self.show(b"bob:two").read_connack()


class DenialsTest(AuthTest):
    """With a log of its own: elsewhere equal lines are folded."""

    files = {
        "users": account("alice", "one"),
        "acl": "allow user alice direct desk-*\n"
        "deny user alice subscribe,create secret/%u\n"
        "deny uid pump-* subtopic *\n"
        "allow user alice subscribe status\n",
    }
    template = f"""
        instance "{RULED}" {{ auth = {{password}} users = "%s/users" acl = "%s/acl" topic "pinned" {{ tid = 100 }} }}
    """

    def test_each_is_counted_and_logged_with_its_rule(self):
        names = ("io.refused_denied_total", "router.dropped_denied_total",
                 "router.refused_observe_denied_total")
        since = {name: self.server.counter(name) for name in names}
        alice, other = self.show(b"alice:one", RULED, b"pump-1"), self.show(b"alice:one", RULED)
        for client in (alice, other):
            client.read_connack()
        tid = alice.subscribe("status")
        for ask in (subscribe("secret/alice"), create("secret/alice"), createsub("on")):
            alice.send(ask)
            alice.expect(denied(ask.type + 1, ask.body))
        alice.publish(tid, b"it may be listened to only")
        alice.publish(100, b"a pinned name")
        alice.publish(other.etid, b"to one client")
        alice.send(observe(100))
        other.expect_nothing()
        for name, count in zip(names, (3, 3, 1)):
            self.assert_counts(name, count, since[name])
        for action, name, line in (
            ("subscribe", "secret/alice", 2), ("create", "secret/alice", 2), ("subtopic", "on", 3),
            ("publish", "status", 0), ("publish", "pinned", 0), ("observe", "pinned", 0),
            ("direct", other.uid.decode(), 0),
        ):
            self.server.wait_for_log(
                f'WARNING acl.denied action={action} name="{name}" uid=pump-1 login=user:alice line={line}'
            )


class MissingFilesTest(AuthTest):
    def test_a_file_that_is_not_there_is_named_with_its_key(self):
        for key, ways in (("users", "{password}"), ("keys", "{key}"), ("acl", "{anonymous}")):
            config = self.folder / "config"
            missing = self.folder / "missing"
            config.write_text(f'instance "/in.lsp" {{ auth = {ways} {key} = "{missing}" }}')
            for more in ((), ("--check-config",)):
                done = subprocess.run(
                    [SMQD, "--config", str(config), "--listen", "tcp://127.0.0.1:0",
                     "--data-dir", str(self.folder / "data"), *more],
                    capture_output=True, text=True, timeout=HANG_S,
                )
                self.assertNotEqual(done.returncode, 0)
                for word in ("/in.lsp", f" {key}", str(missing), "No such file"):
                    self.assertIn(word, done.stderr)


RULES = """
    allow user admin any *
    deny anyone publish status/*
    allow user * publish,create,subscribe,observe dev/%u/*
    allow anyone subscribe status/*
    allow anyone create news
    allow anyone observe news
    allow user alice direct desk-*
    allow anyone subtopic on
"""


class RulesTest(AuthTest):
    files = {
        "users": account("alice", "one") + account("bob", "two") + account("admin", "three"),
        "acl": RULES,
    }
    template = f"""
        instance "{RULED}" {{
            auth = {{password, anonymous}} users = "%s/users" acl = "%s/acl"
            topic "pinned" {{ tid = 100 }} topic "dev/alice/pinned" {{ tid = 101 }}
        }}
    """

    def setUp(self):
        super().setUp()
        self.reload(acl=RULES)
        self.alice = self.enter(b"alice:one")
        self.admin = self.enter(b"admin:three")

    def enter(self, credentials=b"", uid=None):
        client = self.show(credentials, RULED, uid)
        client.read_connack()
        return client

    def test_a_name_without_the_right_is_answered_with_status_1(self):
        for ask, packet, name in (
            (subscribe, wire.SMQ_SUBACK, "dev/bob/x"),
            (subscribe, wire.SMQ_SUBACK, "news"),
            (create, wire.SMQ_CREATEACK, "status/x"),
            (createsub, wire.SMQ_CREATESUBACK, "off"),
        ):
            self.alice.send(ask(name))
            self.alice.expect(denied(packet, name))
        self.alice.subscribe("dev/alice/x")
        self.alice.createsub("on")
        self.wait_until(lambda: "line=0" in self.server.log(), "the log names the rule")

    @raw_only("it sends a PubFrag")
    def test_a_topic_one_was_given_may_still_not_be_published_to(self):
        tid = self.alice.subscribe("status/power")
        before = self.server.counter("router.dropped_denied_total")
        self.alice.publish(tid, b"forged")
        self.alice.send(pubfrag(tid, self.alice.etid, b"forged too"))
        self.alice.expect_nothing_about("news")
        self.assert_counts("router.dropped_denied_total", 2, before)
        self.assertEqual(self.admin.create("status/power"), tid)
        self.admin.publish(tid, b"true")
        self.alice.expect(publish(tid, self.admin.etid, b"true"))

    @raw_only("it sends a PubFrag")
    def test_by_number_is_as_by_name(self):
        """A client that was never given the number may use it where the rules allow the name."""
        tid = self.admin.subscribe("dev/alice/lamp")
        secret = self.admin.subscribe("secret")
        before = self.server.counter("router.dropped_denied_total")
        self.alice.publish(tid, b"mine")
        self.admin.expect(publish(tid, self.alice.etid, b"mine"))
        self.alice.send(pubfrag(tid, self.alice.etid, b"mine too"))
        self.admin.expect_type(wire.SMQ_PUBLISH)
        bob = self.enter(b"bob:two")
        bob.publish(tid, b"not his")
        self.alice.publish(secret, b"not hers")
        self.assert_counts("router.dropped_denied_total", 2, before)
        self.admin.expect_nothing_about("secret")
        self.admin.expect_nothing_about("dev/alice/lamp")

    def test_pinned_names_are_checked_by_name(self):
        self.admin.subscribe("pinned")
        self.admin.subscribe("dev/alice/pinned")
        self.alice.publish(100, b"no")
        self.alice.publish(101, b"yes")
        self.admin.expect(publish(101, self.alice.etid, b"yes"))
        self.admin.expect_nothing_about("pinned")

    def test_order_holds_over_the_grant(self):
        """Publishes before and after the Createack take different ways, and arrive in order."""
        tid = self.admin.subscribe("dev/alice/order")
        self.alice.publish(tid, b"1")
        self.alice.send(create("dev/alice/order"), publish(tid, self.alice.etid, b"2"))
        self.alice.expect_type(wire.SMQ_CREATEACK)
        self.alice.publish(tid, b"3")
        for payload in (b"1", b"2", b"3"):
            self.admin.expect(publish(tid, self.alice.etid, payload))

    def test_observing_by_number(self):
        news, secret = self.admin.create("news"), self.admin.create("secret")
        before = self.server.counter("router.refused_observe_denied_total")
        self.alice.send(observe(secret))
        self.alice.observe(news, 0)
        self.assert_counts("router.refused_observe_denied_total", 1, before)
        self.admin.subscribe("secret")
        self.alice.expect_nothing_about("news")
        self.admin.subscribe("news")
        self.alice.expect(change(news, 1))

    def test_direct_messages_go_by_the_receivers_uid(self):
        desk, other = self.enter(uid=b"desk-1"), self.enter()
        self.alice.tell(desk, b"hello")
        self.alice.publish(other.etid, b"denied")
        desk.publish(self.alice.etid, b"denied as well")
        desk.expect_nothing()
        other.expect_nothing()
        self.alice.expect_nothing()
        self.admin.tell(other, b"all rights")

    def test_an_unknown_number_is_dropped_as_ever(self):
        before = self.server.counter("router.dropped_no_receiver_total")
        self.alice.publish(123456789, b"to nobody")
        self.assert_counts("router.dropped_no_receiver_total", 1, before)

    def test_new_rules_end_subscriptions_that_are_no_longer_allowed(self):
        bob = self.enter(b"bob:two")
        tid = self.alice.subscribe("dev/alice/x")
        bob.subscribe("dev/bob/x")
        self.alice.publish(tid, b"to me")
        self.alice.expect(publish(tid, self.alice.etid, b"to me"))
        self.reload(acl="deny user alice subscribe dev/*\n" + RULES)
        self.alice.expect_disconnect("the access list has changed")
        bob.expect_nothing()
        again = self.enter(b"alice:one")
        again.send(subscribe("dev/alice/x"))
        again.expect(denied(wire.SMQ_SUBACK, "dev/alice/x"))

    def test_new_rules_count_for_numbers_that_were_given_before(self):
        tid = self.alice.create("dev/alice/y")
        self.admin.subscribe("dev/alice/y")
        self.alice.publish(tid, b"one")
        self.admin.expect(publish(tid, self.alice.etid, b"one"))
        before = self.server.counter("router.dropped_denied_total")
        self.reload(acl="deny user alice publish *\n" + RULES)
        self.wait_until(lambda: self.publish_is_denied(tid, before), "the new rule is in force")

    def publish_is_denied(self, tid, before):
        self.alice.publish(tid, b"two")
        self.alice.expect_nothing_about("news")
        return self.server.counter("router.dropped_denied_total") > before

    def test_other_instances_have_no_rules(self):
        a, b = self.connect(), self.connect()
        tid = a.subscribe("anything")
        b.publish(tid, b"by number")
        a.expect(publish(tid, b.etid, b"by number"))
