"""
tests/wire/test_abuse.py: limits against abuse: what one address may, who is banned, and how much a
client or an instance may send in a second (limits.*). Each limit is crossed, and counted.

All of 127.0.0.0/8 is this machine, so that an attacker here is 127.0.0.2, or others; the test itself
and the good clients are 127.0.0.1, which is exempt.
"""

import contextlib
import json
import os
import subprocess
import time

from smqwire import (
    HANG_S,
    PING,
    PONG,
    SMQD,
    Server,
    WireTest,
    connect_frame,
    create,
    createack,
    http_head,
    plain_only,
    pubfrag,
    publish,
    raw_only,
    subscribe,
    wire,
)
from test_auth import IN, AuthTest, account
from test_http import JSON_HEADERS, LoginTest

ATTACKER = "127.0.0.2"
OTHER = "127.0.0.3"
SMQ = os.path.join(os.path.dirname(SMQD), "smq")


class AbuseTest(WireTest):
    """Words for all below."""

    def setUp(self):
        super().setUp()
        self.wait_until(lambda: self.server.counter("io.open") == 0, "earlier ones are gone")

    def is_let_in(self, source):
        """Does a connection from @source live long enough to hear an Init?"""
        try:
            return self.hears_an_init(self.dial(source=source))
        except OSError:
            return False

    def hears_an_init(self, client):
        try:
            client.send(http_head())
            client.read_init()
            return True
        except (AssertionError, OSError):
            return False
        finally:
            client.close()

    def assert_turned_away(self, source, counter):
        since = self.server.counter(counter)
        self.assertFalse(self.is_let_in(source))
        self.assert_counts(counter, 1, since)

    def assert_refusals_logged(self, source, why):
        """A line now and then, for many: so there are more refusals until it is there."""
        line = f"WARNING address.refused address={source} why={why} count="
        seen = []

        def is_logged():
            self.assertFalse(self.is_let_in(source))
            seen.append(self.server.new_log())
            return line in "".join(seen)

        self.wait_until(is_logged, line)

    def smq(self, *arguments):
        """`smq` as people run it: its exit code, what it says."""
        done = subprocess.run(
            [SMQ, *arguments, "--data-dir", str(self.server.data_dir)],
            capture_output=True, text=True, timeout=30, check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def bans(self):
        code, text = self.smq("ban", "list", "--json")
        self.assertEqual(code, 0, text)
        return {ban["address"]: ban for ban in json.loads(text)["bans"]}


class ConnectionsPerAddressTest(AbuseTest):
    config = 'limits { connections_per_address = 3  exempt_addresses = "127.0.0.1" }'

    def test_one_too_many_is_closed_at_once_until_one_leaves(self):
        clients = [self.connect(source=ATTACKER) for _ in range(3)]
        self.assert_turned_away(ATTACKER, "io.refused_address_full_total")
        self.assert_refusals_logged(ATTACKER, "connections_per_address")
        for client in clients:
            client.expect_nothing()
        clients.pop().close()
        self.wait_until(lambda: self.is_let_in(ATTACKER), "there is room again")

    def test_half_open_ones_count_as_well(self):
        for _ in range(3):
            self.dial(source=ATTACKER)
        self.wait_until(
            lambda: self.server.counter("io.open") == 3, "those who say nothing have taken all places"
        )
        self.assertFalse(self.is_let_in(ATTACKER))

    def test_others_and_exempt_ones_do_not_notice(self):
        for _ in range(3):
            self.connect(source=ATTACKER)
        self.assert_turned_away(ATTACKER, "io.refused_address_full_total")
        for _ in range(3):
            self.connect(source=OTHER)
        self.connect_many(20)


class ConnectsPerAddressTest(AbuseTest):
    config = 'limits { connects_per_address = 5  exempt_addresses = "127.0.0.1" }'

    def test_those_beyond_the_rate_are_closed_and_later_ones_come_in(self):
        crowd = [self.dial(source=ATTACKER) for _ in range(100)]  # at once, however slow the rest is
        let_in = [self.hears_an_init(client) for client in crowd]
        self.assertTrue(let_in[0])
        self.assertIn(False, let_in, "a hundred in a second or a few are more than five each")
        self.assertGreaterEqual(
            self.server.counter("io.refused_address_fast_total"), let_in.count(False)
        )
        self.connect_many(20)
        self.wait_until(lambda: self.is_let_in(ATTACKER), "it is let in again")


class AddressesTest(AbuseTest):
    """A table of 64, in sets of eight."""

    config = 'limits { addresses = 64  connections_per_address = 1  exempt_addresses = "127.0.0.1" }'

    def test_who_finds_no_room_in_the_table_is_let_in_and_counted(self):
        clients = [self.connect(source=f"127.0.1.{i}") for i in range(1, 101)]
        self.assertGreaterEqual(self.server.counter("guard.unwatched_total"), 36)
        for client in clients:
            client.expect_nothing()


class FailedLoginsTest(AuthTest, AbuseTest):
    """Passwords that are wrong, then a ban."""

    files = {"users": account("alice", "wonderland")}
    template = (
        'instance "/in.lsp" { auth = {"password"}  users = "%s/users" }\n'
        'limits { failures_per_address = 4  ban_ms = 1h  exempt_addresses = "127.0.0.1" }'
    )

    def tearDown(self):
        self.smq("ban", "lift", ATTACKER)
        super().tearDown()

    def guess(self, password="guess", source=ATTACKER):
        """The Connack's code."""
        client = self.bootstrap(IN, source=source)
        client.send(connect_frame(self.new_uid(), b"alice:" + password.encode()))
        code = client.expect_type(wire.SMQ_CONNACK).body[0]
        client.close()
        return code

    def ban_by_guessing(self):
        for _ in range(4):
            self.assertEqual(self.guess(), wire.SMQ_CONNACK_BAD_CREDENTIALS)

    def test_the_address_is_banned_and_shown(self):
        since = self.server.counter("guard.bans_total")
        self.ban_by_guessing()
        self.assert_turned_away(ATTACKER, "io.refused_banned_total")
        self.assert_counts("guard.bans_total", 1, since)
        ban = self.bans()[ATTACKER]
        self.assertEqual(ban["cause"], "failed logins")
        self.assertTrue(3500 < ban["seconds"] <= 3600)
        self.assert_refusals_logged(ATTACKER, "banned")

    def test_the_right_password_does_not_help_and_a_lift_does(self):
        self.ban_by_guessing()
        self.assertFalse(self.is_let_in(ATTACKER))
        self.assertEqual(self.smq("ban", "lift", ATTACKER)[0], 0)
        self.assertEqual(self.bans(), {})
        self.assertEqual(self.guess("wonderland"), wire.SMQ_CONNACK_ACCEPTED)
        self.assertEqual(self.guess(), wire.SMQ_CONNACK_BAD_CREDENTIALS)
        self.assertTrue(self.is_let_in(ATTACKER), "the failures before are forgotten")

    def test_clients_that_are_in_stay(self):
        client = self.connect(source=ATTACKER)
        self.ban_by_guessing()
        self.assertFalse(self.is_let_in(ATTACKER))
        client.expect_nothing()

    def test_many_guesses_at_once_do_not_pass_the_bound(self):
        """Among fifty at once is the right one, behind the bound: that is not told any more."""
        clients = [self.bootstrap(IN, source=ATTACKER) for _ in range(50)]
        for i, client in enumerate(clients):
            password = b"wonderland" if i == 49 else b"guess%d" % i
            client.send(connect_frame(self.new_uid(), b"alice:" + password))
        codes = [client.expect_type(wire.SMQ_CONNACK).body[0] for client in clients]
        self.assertNotIn(wire.SMQ_CONNACK_ACCEPTED, codes)

    def test_exempt_addresses_are_not_banned(self):
        for _ in range(20):
            self.assertEqual(self.guess(source="127.0.0.1"), wire.SMQ_CONNACK_BAD_CREDENTIALS)
        self.assertEqual(self.bans(), {})
        self.connect()

    def test_other_addresses_may_fail_by_themselves(self):
        self.ban_by_guessing()
        self.assertEqual(self.guess("wonderland", source=OTHER), wire.SMQ_CONNACK_ACCEPTED)


class ShortBanTest(AuthTest, AbuseTest):
    files = {"users": account("alice", "wonderland")}
    template = (
        'instance "/in.lsp" { auth = {"password"}  users = "%s/users" }\n'
        'limits { failures_per_address = 1  ban_ms = 1s  exempt_addresses = "127.0.0.1" }'
    )

    def test_a_ban_ends_by_itself(self):
        client = self.bootstrap(IN, source=ATTACKER)
        client.send(connect_frame(self.new_uid(), b"alice:guess"))
        client.expect_refused(wire.SMQ_CONNACK_BAD_CREDENTIALS)
        line = 'WARNING address.banned address=127.0.0.2 for_s=1 why="failed logins"'
        self.wait_until(lambda: line in self.server.log(), line)
        self.wait_until(lambda: self.is_let_in(ATTACKER), "the second is over")
        self.assertEqual(self.bans(), {})


class BansByHandTest(AbuseTest):
    config = 'limits { exempt_addresses = "127.0.0.1 ::1" }'

    def tearDown(self):
        for address in self.bans():
            self.smq("ban", "lift", address.removesuffix("/64"))
        super().tearDown()

    def test_a_ban_disconnects_who_is_there_and_keeps_out_who_comes(self):
        victim, half_open = self.connect(source=ATTACKER), self.bootstrap(source=ATTACKER)
        other = self.connect(source=OTHER)
        since = self.server.counter("closed.GUARD")
        self.assertEqual(self.smq("ban", "add", ATTACKER, "--for", "60"), (0, ""))
        victim.expect_disconnect("this address is banned")
        half_open.expect_type(wire.SMQ_DISCONNECT)
        self.assert_counts("closed.GUARD", 2, since)
        self.assert_turned_away(ATTACKER, "io.refused_banned_total")
        other.expect_nothing()

    def test_the_list_says_how_long_and_why(self):
        self.smq("ban", "add", "2001:db8:1:2:3:4:5:6", "--for", "60")
        self.smq("ban", "add", ATTACKER)
        bans = self.bans()
        self.assertEqual(set(bans), {"2001:db8:1:2::/64", ATTACKER})
        self.assertTrue(0 < bans["2001:db8:1:2::/64"]["seconds"] <= 60)
        self.assertTrue(60 < bans[ATTACKER]["seconds"] <= 3600)
        self.assertEqual(bans[ATTACKER]["cause"], "by hand")
        self.assertIn(ATTACKER, self.smq("ban", "list")[1])

    def test_what_cannot_be_is_said(self):
        for arguments, word in (
            (("add", "127.0.0.1"), "exempt"),
            (("lift", OTHER), "not banned"),
            (("add", "somewhere"), "no IPv4 or IPv6 address"),
            (("add", "10.0.0.0/8"), "no IPv4 or IPv6 address"),
            (("add",), "smq ban"),
            (("forbid", ATTACKER), "smq ban"),
        ):
            code, text = self.smq("ban", *arguments)
            self.assertNotEqual(code, 0, arguments)
            self.assertIn(word, text, arguments)

    def test_nonsense_on_the_socket_is_an_error(self):
        for line in ("ban", f"ban {ATTACKER}", f"ban {ATTACKER} 0", f"ban {ATTACKER} x", "lift", "ban x 5",
                     f"ban {ATTACKER} 99999999", f"ban {ATTACKER} 5 5"):
            self.assertIn("error", self.server.admin(line), line)
        self.assertEqual(self.bans(), {})


@raw_only("its pages speak HTTP by themselves")
class WebBansTest(LoginTest):
    """The same in the web UI."""

    config = 'limits { failures_per_address = 3  exempt_addresses = "127.0.0.1" }\nweb { plain_login = on }'

    def setUp(self):
        super().setUp()
        self.cookie = self.log_in()

    def tearDown(self):
        for ban in self.bans():
            self.do("bans/lift", address=ban["address"])
        super().tearDown()

    def do(self, call, **body):
        return self.post(f"/api/{call}", body, self.cookie)

    def bans(self):
        return self.ask("/api/bans", self.cookie).json()["bans"]

    def test_a_device_is_banned_by_its_address(self):
        device, beside = self.connect(source=ATTACKER), self.connect(source=ATTACKER)
        rows = self.ask("/api/peers", self.cookie).json()["peers"]
        row = next(row for row in rows if row["uid"] == device.uid.decode())
        answer = self.do(f"peers/{row['id']}/ban", seconds=600)
        self.assertEqual((answer.status, answer.json()), (200, {"address": ATTACKER}))
        device.expect_disconnect("this address is banned")
        beside.expect_disconnect("this address is banned")
        [ban] = self.bans()
        self.assertEqual((ban["address"], ban["cause"]), (ATTACKER, "by hand"))
        self.assertTrue(500 < ban["seconds"] <= 600)
        self.server.wait_for_log(r"INFO web.action user=admin .*action=ban target=\d+\.\d+\.\d+ detail=600")
        self.server.wait_for_log(r'WARNING address.banned address=127.0.0.2 for_s=600 why="by hand"')

    def test_an_address_is_banned_and_lifted(self):
        self.assertEqual(self.do("bans/add", address="192.0.2.7", seconds=60).status, 200)
        self.assertEqual([ban["address"] for ban in self.bans()], ["192.0.2.7"])
        self.assertEqual(self.do("bans/lift", address="192.0.2.7").status, 200)
        self.assertEqual(self.bans(), [])
        self.assertEqual(self.do("bans/lift", address="192.0.2.7").status, 404)
        self.server.wait_for_log(r"action=lift target=192\.0\.2\.7")

    def test_what_cannot_be_is_refused(self):
        for call, body, status in (
            ("peers/0.1.1/ban", {"seconds": 60}, 404),
            ("peers/nobody/ban", {"seconds": 60}, 404),
            ("peers/0.1.1/ban", {}, 400),
            ("peers/0.1.1/ban", {"seconds": 0}, 400),
            ("peers/0.1.1/ban", {"seconds": 1e12}, 400),
            ("bans/add", {"address": "127.0.0.1", "seconds": 60}, 409),
            ("bans/add", {"address": "here", "seconds": 60}, 400),
            ("bans/add", {"seconds": 60}, 400),
            ("bans/add", {"address": "192.0.2.7", "seconds": "60"}, 400),
            ("bans/lift", {}, 400),
        ):
            self.assertEqual(self.do(call, **body).status, status, (call, body))
        self.assertEqual(self.bans(), [])

    def test_only_who_has_logged_in_and_only_our_pages_may(self):
        body = {"address": "192.0.2.7", "seconds": 60}
        for call in ("bans/add", "bans/lift", "peers/0.1.1/ban"):
            self.assertEqual(self.post(f"/api/{call}", body).status, 401)
            for headers in (("Content-Type: application/json",), (*JSON_HEADERS, "Origin: http://evil")):
                answer = self.post(f"/api/{call}", body, self.cookie, plain_headers=headers)
                self.assertEqual(answer.status, 403)
        self.assertEqual(self.ask("/api/bans").status, 401)
        self.assertEqual(self.bans(), [])

    def test_guessing_bans_the_address(self):
        """Here, too, logins of both kinds count together; who is in keeps its connection."""
        client = self.dial(source=ATTACKER)
        head = "POST /api/login HTTP/1.1\r\nHost: h\r\n" + "\r\n".join(JSON_HEADERS)

        def guess(password):
            body = json.dumps({"user": "admin", "password": password}).encode()
            client.send(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            return self.answer(client)

        self.assertEqual([guess("guess").status for _ in range(3)], [401] * 3)
        answer = guess("correct horse")
        self.assertEqual(answer.status, 429)
        self.assertGreater(int(answer.headers["retry-after"]), 500)
        [ban] = self.bans()
        self.assertEqual((ban["address"], ban["cause"]), (ATTACKER, "failed logins"))
        with contextlib.suppress(AssertionError, OSError):
            late = self.dial(source=ATTACKER)
            late.send(http_head())
            self.fail(f"let in: {late.read_frame()}")


class RestartTest(AbuseTest):
    def test_bans_end_with_the_process(self):
        self.assertEqual(self.smq("ban", "add", "192.0.2.7")[0], 0)
        self.assertEqual(set(self.bans()), {"192.0.2.7"})
        with Server(self.config) as second:
            self.server, first = second, self.server
            try:
                second.wait_for_admin()
                self.assertEqual(self.bans(), {})
            finally:
                self.server = first


# ---- how much in a second ------------------------------------------------------------------------


class RateTest(AbuseTest):
    """Who sends too much is delayed; that nothing is lost, and how long it took at least, is shown
    without knowing how fast anything is: a limit only makes it slower."""

    def send_to_itself(self, client, count, payload=b""):
        """Twice @count messages, which come back; returns the seconds that took. Twice, for what a
        WebSocket brings in one receive is read at once, and only the next one waits for it."""
        tid = client.subscribe(self.topic(str(id(client))))
        begin = time.monotonic()
        for _ in range(2):
            for i in range(count):
                client.send(publish(tid, client.etid, b"%d " % i + payload))
            for i in range(count):
                client.expect(publish(tid, client.etid, b"%d " % i + payload))
        return time.monotonic() - begin


class MessagesPerClientTest(RateTest):
    config = "limits { messages_per_client = 200 }"

    def test_messages_beyond_the_rate_are_late_and_none_is_lost(self):
        client, since = self.connect(), self.server.counter("io.throttled_client_total")
        self.assertGreater(self.send_to_itself(client, 450), 1, "900 at 200 a second, and 200 at once")
        self.assertGreater(self.server.counter("io.throttled_client_total"), since)
        self.server.wait_for_log(rf"WARNING conn.throttled uid={client.uid.decode()} .*per_client")

    def test_others_are_not_delayed_by_it(self):
        flooder, other = self.connect(), self.connect()
        tid = flooder.create(self.topic())
        flooder.send(*[publish(tid, flooder.etid, b"x")] * 2000)
        self.assert_becomes("io.throttled", 1)  # it is not read any more
        other.expect_nothing()
        self.assert_becomes("io.throttled", 1)  # nor now: each time that it is read, it is for a moment
        flooder.reset()

    def test_requests_count_as_well(self):
        client, since = self.connect(), self.server.counter("io.throttled_client_total")
        name = self.topic()
        client.send(*[create(name)] * 600)
        answers = {bytes(frame) for frame in client.read_frames(600)}
        self.assertEqual(len(answers), 1)
        self.assertGreater(self.server.counter("io.throttled_client_total"), since)

    def test_one_that_leaves_while_it_is_not_read_is_gone(self):
        client = self.connect()
        client.send(*[PING] * 2000)
        self.assert_becomes("io.throttled", 1)  # it is not read any more
        client.reset()
        self.wait_until(lambda: self.server.counter("io.open") == 0, "it is gone")
        self.assertEqual(self.server.counter("io.throttled"), 0)

    def test_slow_ones_are_never_delayed(self):
        client, since = self.connect(), self.server.counter("io.throttled_client_total")
        for _ in range(100):
            client.send(PING)
            client.expect(PONG)
        self.assertEqual(self.server.counter("io.throttled_client_total"), since)


class BytesPerClientTest(RateTest):
    config = "limits { bytes_per_client = 64K }"

    def test_bytes_beyond_the_rate_are_late_and_none_is_lost(self):
        client, since = self.connect(), self.server.counter("io.throttled_client_total")
        self.assertGreater(self.send_to_itself(client, 60, bytes(4096)), 1, "480 kB at 64 a second")
        self.assertGreater(self.server.counter("io.throttled_client_total"), since)


class PerInstanceTest(RateTest):
    config = (
        "limits { messages_per_instance = 200  bytes_per_instance = 1M }\n"
        'instance "/smq.lsp" {}\ninstance "/other.lsp" {}'
    )

    def test_the_sum_of_all_clients_is_bounded(self):
        clients, since = self.connect_many(5), self.server.counter("io.throttled_instance_total")
        tid = clients[0].subscribe(self.topic())
        begin = time.monotonic()
        for _ in range(2):  # see send_to_itself()
            for client in clients:
                client.send(*[publish(tid, client.etid, b"x")] * 100)
            clients[0].read_frames(500)
        self.assertGreater(time.monotonic() - begin, 1, "1,000 at 200 a second, and some at once")
        self.assertGreater(self.server.counter("io.throttled_instance_total"), since)
        self.server.wait_for_log(r"conn.throttled .*per_instance")

    def test_its_bytes_are_bounded_as_well(self):
        clients, since = self.connect_many(5), self.server.counter("io.throttled_instance_total")
        tid = clients[0].create(self.topic())
        begin = time.monotonic()
        for _ in range(2):  # 5 MB in 100 messages, for nobody
            for client in clients:
                client.send(*[publish(tid, client.etid, bytes(50000))] * 10, PING)
            for client in clients:
                client.expect(PONG)
        self.assertGreater(time.monotonic() - begin, 1, "5 MB at 1 a second, and some at once")
        self.assertGreater(self.server.counter("io.throttled_instance_total"), since)

    def test_other_instances_are_not_delayed(self):
        flooder, other = self.connect(), self.connect(path="/other.lsp")
        flooder.send(*[PING] * 2000)
        self.assert_becomes("io.throttled", 1)  # it is not read any more
        other.expect_nothing()
        self.assert_becomes("io.throttled", 1)  # nor now
        flooder.reset()


class PendingTest(AbuseTest):
    config = "limits { pending_per_client = 4 }"

    def test_requests_beyond_those_unanswered_are_denied_and_counted(self):
        client, since = self.connect(), self.server.counter("io.refused_pending_limit_total")
        names = [self.topic(str(i)) for i in range(200)]
        client.send(*map(create, names))
        statuses = [frame.body[0] for frame in client.read_frames(200)]
        self.assertGreaterEqual(statuses.count(wire.SMQ_ACK_OK), 4)
        self.assert_counts(
            "io.refused_pending_limit_total", statuses.count(wire.SMQ_ACK_DENIED), since
        )
        self.assertGreater(statuses.count(wire.SMQ_ACK_DENIED), 0)
        client.create(self.topic("later"))


class PendingPerInstanceTest(AbuseTest):
    config = 'limits { pending_per_instance = 4 }  instance "/smq.lsp" { }  instance "/other" { }'

    def flood(self, client, prefix):
        """200 Creates at once: how many were denied."""
        client.send(*[create(self.topic(f"{prefix}{i}")) for i in range(200)])
        return [frame.body[0] for frame in client.read_frames(200)].count(wire.SMQ_ACK_DENIED)

    def test_requests_beyond_those_of_its_instance_are_denied_and_counted(self):
        client, other = self.connect(), self.connect(path="/other")
        since = self.server.counter("io.refused_pending_limit_total")
        denied = self.flood(client, "one")
        self.assertGreater(denied, 0)
        self.assert_counts("io.refused_pending_limit_total", denied, since)
        client.create(self.topic("later"))
        other.create(self.topic("elsewhere"))

    def test_who_leaves_without_its_answers_keeps_no_place(self):
        client = self.connect()
        for round_ in range(5):
            hasty = self.connect()
            hasty.send(*[create(self.topic(f"{round_}-{i}")) for i in range(200)])
            hasty.close()
            self.wait_until(lambda: self.flood(client, "later") <= 196, "all four places are free")


# ---- those who begin and do not end --------------------------------------------------------------


class UnfinishedTest(AbuseTest):
    config = "limits { frame_ms = 1000 }"

    def assert_ends(self, data):
        """A client that sends @data, and no more, is ended."""
        client, since = self.connect(), self.server.counter("closed.FRAME_TIMEOUT")
        client.send(data(client))
        client.expect_disconnect("a frame was not finished in time")
        self.assert_counts("closed.FRAME_TIMEOUT", 1, since)

    @raw_only("it cuts a raw frame")
    def test_a_frame_that_never_ends_ends_its_client(self):
        self.assert_ends(lambda client: b"\xff\xff\x08" + bytes(1000))

    @plain_only("it peeks at the socket")
    @raw_only("it cuts a raw frame")
    def test_a_byte_now_and_then_does_not_help(self):
        client = self.connect()
        client.send(b"\xff\xff\x08")
        client.socket.settimeout(0.05)
        for _ in range(200):
            with contextlib.suppress(OSError):
                client.send(b"\0")
            try:
                if client.socket.recv(1, 2):  # MSG_PEEK
                    break
            except OSError:
                continue
        client.socket.settimeout(HANG_S)
        client.expect_disconnect("a frame was not finished in time")

    @raw_only("it sends PubFrags")
    def test_a_fragmented_message_that_never_ends_ends_its_client(self):
        self.assert_ends(lambda client: pubfrag(0, client.etid, b"piece"))

    def test_who_sends_whole_frames_may_be_as_slow_as_he_likes(self):
        client = self.connect()
        client.send(subscribe(self.topic()))
        client.expect_type(wire.SMQ_SUBACK)
        other = self.connect()
        with contextlib.suppress(AssertionError):
            other.send(b"\xff\xff\x08")
            other.read_all()  # until its time is over
        client.expect_nothing()


@plain_only("it counts bytes")
class TightTest(AbuseTest):
    """When memory is nearly used up, large unfinished input goes, and those who finish go on."""

    config = "limits { memory = 16M  frame_ms = 1h  handshake_ms = 1h }"

    @raw_only("it sends PubFrags")
    def test_half_built_messages_are_shed_for_those_who_finish(self):
        good = self.connect()
        since = self.server.counter("io.shed_input_total")
        hoarders = []
        with contextlib.suppress(AssertionError, OSError):
            for _ in range(200):
                hoarders.append(self.connect())
                hoarders[-1].send(pubfrag(0, hoarders[-1].etid, bytes(60_000)))
        self.assertGreater(len(hoarders), 50)
        self.wait_until(
            lambda: self.server.counter("io.shed_input_total") > since, "the first are shed"
        )
        self.wait_until(
            lambda: self.server.counter("memory.used_bytes") < 15 << 19, "there is room again"
        )
        self.connect()
        good.expect_nothing()

    @raw_only("it sends HTTP by hand")
    def test_half_of_a_request_is_shed_as_well(self):
        since = self.server.counter("io.shed_input_total")
        for _ in range(1500):
            client = self.dial()
            with contextlib.suppress(OSError):
                client.send(b"GET /smq.lsp HTTP/1.1\r\nX: " + b"x" * 7000)
        self.wait_until(
            lambda: self.server.counter("io.shed_input_total") > since, "the first are shed"
        )
        self.doCleanups()
        self.wait_until(lambda: self.is_let_in("127.0.0.1"), "there is room again")
