"""
tests/wire/test_admin.py: what the broker tells of itself on the admin instance, to who has logged in.

Goal: nobody else gets there; figures, log lines, who comes and goes, and the traffic of a tapped
connection arrive as they are, and only what was asked for. What is bounded, and how, is tested
without a server (tests/unit/webui/test_publisher.c).
"""

import base64
import itertools
import json
import pathlib
import shutil
import struct
import tempfile

from smqwire import HANG_S, PING, connect_frame, create, createack, http_head, plain_only, publish, raw_only, subscribe, wire
from smqws import BINARY, split_server_frame, upgrade_head, ws_frame, ws_key
from test_http import SCHEME, LoginTest, make_account

ADMIN_PATH = "/admin.smq"


class Page:
    """A page of the web UI: a WebSocket on the admin instance."""

    def __init__(self, test, client):
        self.test, self.client, self.topics = test, client, {}
        self.read(wire.SMQ_INIT)
        self.send(connect_frame(test.new_uid()))
        connack = self.read(wire.SMQ_CONNACK)
        test.assertEqual(connack[0], wire.SMQ_CONNACK_ACCEPTED)
        self.etid = struct.unpack_from("!I", connack, 1)[0]

    def send(self, frame):
        self.client.send(ws_frame(bytes(frame)[2:]))

    def read(self, packet_type):
        """The body of the next packet of this type; what else comes meanwhile is passed by."""
        while True:
            while not (frame := split_server_frame(self.client.buffer)):
                if not self.client._fill():
                    self.test.fail("the page's line is closed")
            opcode, message, self.client.buffer = frame
            self.test.assertEqual(opcode, BINARY)
            if message[0] == packet_type:
                return message[1:]

    def subscribe(self, name):
        self.send(subscribe(name.encode()))
        suback = self.read(wire.SMQ_SUBACK)
        self.test.assertEqual(suback[0], wire.SMQ_ACK_OK)
        self.topics[struct.unpack_from("!I", suback, 1)[0]] = name

    def hear_of(self, cause, name, accept):
        """
        The same, with @cause() again and again until it is heard of: what happens before the web
        actor knows that somebody listens is told to nobody.
        """
        for _ in range(100):
            cause()
            self.client.socket.settimeout(0.2)
            try:
                return self.hear(name, accept)
            except AssertionError:
                pass
            finally:
                self.client.socket.settimeout(HANG_S)
        self.test.fail("never heard of it")

    def hear(self, name, accept=lambda value: True):
        """The next value published on topic @name that @accept likes."""
        while True:
            body = self.read(wire.SMQ_PUBLISH)
            tid, publisher = struct.unpack_from("!II", body)
            self.test.assertEqual(publisher, wire.SMQ_ID_SERVER)
            value = json.loads(body[12:])
            if self.topics[tid] == name and accept(value):
                return value


class PageTest(LoginTest):
    """Words for pages of somebody who has logged in."""

    def open_page(self, *topics):
        """
        A page that subscribes to @topics, and what happens from here on is told: a list that is asked
        for after the answers comes from actors that know who listens.
        """
        client = self.dial(label="page")
        headers = [self.log_in(), f"Origin: {SCHEME}://localhost"]
        client.send(upgrade_head(ADMIN_PATH, ws_key(), headers))
        self.assertEqual(client.read_http()[0], 101)
        page = Page(self, client)
        for topic in topics:
            page.subscribe(topic)
        self.rows()
        return page

    def rows(self):
        return self.ask("/api/peers", self.cookie).json()["peers"]

    def tap(self, peer_id, is_on):
        """And each I/O thread knows: a list is gathered from all of them, behind what they were told."""
        answer = self.post(f"/api/peers/{peer_id}/tap", {"on": is_on}, self.cookie)
        self.assertEqual(answer.status, 200, answer.body)
        self.rows()

    def setUp(self):
        super().setUp()
        self.cookie = self.log_in()


@raw_only("its pages speak WebSocket by themselves")
class AdminTest(PageTest):
    # -- who gets there --

    def test_devices_are_refused(self):
        client = self.dial()
        client.send(http_head(ADMIN_PATH))
        self.assertEqual(client.read_http()[0], 404)

    def test_only_a_page_of_ours_of_somebody_who_has_logged_in_gets_there(self):
        own = f"Origin: {SCHEME}://localhost"
        for headers, status in (
            ((own,), 401),
            ((self.cookie, "Origin: https://evil.example"), 403),
            ((self.cookie,), 403),
            ((self.cookie, own), 101),
        ):
            client = self.dial()
            client.send(upgrade_head(ADMIN_PATH, ws_key(), headers))
            self.assertEqual(client.read_http()[0], status, headers)

    def test_the_session_says_where_it_is(self):
        session = self.ask("/api/session", self.cookie).json()
        self.assertEqual(session["smq"], ADMIN_PATH)
        self.assertEqual(session["instances"], ["/smq.lsp"])

    # -- figures --

    def test_the_figures_of_each_second_come_while_somebody_subscribes(self):
        page = self.open_page("stats")
        device = self.connect()
        tid = device.subscribe("topic")
        device.publish(tid, b"x")
        device.expect_type(wire.SMQ_PUBLISH)
        counted = page.hear("stats", lambda stats: stats["latency_us"]["count"] > 0)
        self.assertGreater(counted["rates"]["messages_in"], 0)
        self.assertGreaterEqual(counted["connections"]["live"], 2)
        self.assertEqual(
            counted["connections"]["open"],
            sum(counted["connections"][name] for name in ("tcp", "tls", "ws", "wss")),
        )
        self.assertGreaterEqual(counted["connections"]["wss" if SCHEME == "https" else "ws"], 1)
        self.assertGreaterEqual(counted["latency_us"]["p99"], counted["latency_us"]["p50"])
        threads = {actor["name"]: actor for actor in counted["actors"]}
        self.assertEqual(threads["io-0"]["kind"], "io")
        self.assertGreater(threads["io-0"]["turns"], 0)
        self.assertLess(threads["io-0"]["load"], 1.1)
        self.assertLessEqual({"control", "web"}, set(threads))
        later = page.hear("stats")
        self.assertGreater(later["t"], counted["t"])

    def test_a_lost_message_shows_as_a_drop_with_its_reason(self):
        page = self.open_page("stats")
        device = self.connect()
        device.publish(4242, b"to nobody")
        device.expect_nothing()

        def is_there(stats):
            return any(drop["name"] == "no_receiver" and drop["rate"] > 0 for drop in stats["drops"])

        self.assertIn("help", page.hear("stats", is_there)["drops"][0])

    def test_the_api_has_the_figures_too(self):
        stats = self.ask("/api/stats", self.cookie).json()
        self.assertEqual(
            set(stats) - {"certificates", "reload"},
            {"t", "uptime_s", "connections", "rates", "latency_us", "drops", "closed", "tls_failed"}
            | {"memory", "actors"},
        )
        kinds = {kind["name"]: kind["bytes"] for kind in stats["memory"]["kinds"]}
        self.assertEqual(sum(kinds.values()), stats["memory"]["used_bytes"])

    def test_certificates_are_told_where_there_are_any(self):
        page = self.open_page("stats")
        stats = page.hear("stats")
        if SCHEME == "https":
            self.assertGreater(stats["certificates"][0]["days_left"], 0)
            self.assertIn(stats["certificates"][0]["kind"], ("ecc", "rsa"))
        else:
            self.assertNotIn("certificates", stats)

    def test_the_last_hour_is_kept(self):
        def series():
            return self.ask("/api/history", self.cookie).json()

        self.wait_until(lambda: len(series()["series"]["connections"]) >= 2, "two samples")
        history = series()
        self.assertEqual(history["step_s"], 2)
        self.assertEqual(len({len(values) for values in history["series"].values()}), 1)
        self.assertGreaterEqual(history["series"]["connections"][-1], 1)

    # -- who comes and who goes --

    def test_who_comes_and_who_goes_is_told(self):
        page = self.open_page("peers")
        uid = self.new_uid()
        device = self.connect(uid, info=b"a lamp")

        def joined(changes):
            return any(row["uid"] == uid.decode() for row in changes["joined"])

        changes = page.hear("peers", joined)
        row = next(row for row in changes["joined"] if row["uid"] == uid.decode())
        self.assertEqual(row["etid"], device.etid)
        self.assertEqual(row["info"], "a lamp")
        self.assertEqual(row["transport"], "tls" if SCHEME == "https" else "tcp")
        listed = next(other for other in self.rows() if other["id"] == row["id"])
        self.assertEqual(listed["uid"], row["uid"])
        self.assertLess(abs(listed["since"] - row["since"]), 60000)
        device.close()
        self.assertEqual(page.hear("peers", lambda changes: row["id"] in changes["left"])["missed"], 0)

    # -- events --

    def test_lines_of_the_log_are_told(self):
        page = self.open_page("events")

        def refused():
            client = self.bootstrap()
            client.send(connect_frame(b"short"))
            client.expect_refused(wire.SMQ_CONNACK_BAD_CONNECT)

        event = page.hear_of(refused, "events", lambda event: event["name"] == "conn.refused")
        self.assertEqual(event["level"], "info")
        self.assertIn("code=1", event["text"])

    # -- taps --

    def test_the_traffic_of_a_tapped_connection_is_told(self):
        page = self.open_page("tap")
        device, other = self.connect(), self.connect()
        row = next(row for row in self.rows() if row["etid"] == device.etid)
        tid = device.subscribe("topic")
        self.tap(row["id"], True)
        payload = bytes(range(256)) * 8
        other.publish(tid, payload, stid=7)
        device.expect(publish(tid, other.etid, payload, 7))
        heard = page.hear("tap")
        self.assertEqual(heard["id"], row["id"])
        self.assertEqual(
            [heard[name] for name in ("dir", "tid", "ptid", "stid", "bytes")],
            ["out", tid, other.etid, 7, 2048],
        )
        self.assertEqual(base64.b64decode(heard["data"]), payload[:1024])
        device.publish(other.etid, b"in")
        heard = page.hear("tap")
        self.assertEqual((heard["dir"], heard["tid"]), ("in", other.etid))
        self.assertEqual(base64.b64decode(heard["data"]), b"in")

        self.tap(row["id"], False)
        device.publish(other.etid, b"not told")
        other.expect_type(wire.SMQ_PUBLISH)
        other.expect_type(wire.SMQ_PUBLISH)
        self.tap(row["id"], True)
        device.publish(other.etid, b"told")
        self.assertEqual(base64.b64decode(page.hear("tap")["data"]), b"told")

    def test_a_tap_needs_a_log_in_and_a_good_name(self):
        self.assertEqual(self.post("/api/peers/0.1.1/tap", {"on": True}).status, 401)
        for path, body, status in (
            ("0.1", {"on": True}, 404),
            ("0.1.0", {"on": True}, 404),
            ("99.1.1", {"on": True}, 404),
            ("0.1.1", {"on": 1}, 400),
            ("0.1.1", {}, 400),
        ):
            answer = self.post(f"/api/peers/{path}/tap", body, self.cookie)
            self.assertEqual(answer.status, status, path)


@raw_only("its pages speak WebSocket by themselves")
class LogInsEndTest(PageTest):
    """Who is logged in no more hears nothing more, on the WebSocket either."""

    def open_with(self, cookie):
        client = self.dial(label="page")
        client.send(upgrade_head(ADMIN_PATH, ws_key(), [cookie, f"Origin: {SCHEME}://localhost"]))
        self.assertEqual(client.read_http()[0], 101)
        return Page(self, client)

    def assert_ended(self, page, since):
        self.assertIn(b"log-in is over", page.read(wire.SMQ_DISCONNECT))
        self.assert_counts("closed.RIGHTS", 1, since)

    def test_the_log_out_ends_its_own_pages_only(self):
        since = self.server.counter("closed.RIGHTS")
        cookie = self.log_in()
        page, other = self.open_with(cookie), self.open_with(self.cookie)
        self.assertEqual(self.post("/api/logout", {}, cookie).status, 200)
        self.assert_ended(page, since)
        other.send(PING)
        other.read(wire.SMQ_PONG)

    def test_a_changed_account_ends_its_pages_and_sessions_by_itself(self):
        since = self.server.counter("closed.RIGHTS")
        page = self.open_with(self.cookie)
        users = pathlib.Path(self.server.users_dir) / "web-users"
        before = users.read_text()
        try:
            users.unlink()
            make_account(self.server.users_dir, password="battery staple")
            self.assert_ended(page, since)
            self.assert_status(401, "/api/session", self.cookie)
        finally:
            (users.parent / "old").write_text(before)
            (users.parent / "old").rename(users)
        self.log_in()


@raw_only("its pages speak WebSocket by themselves")
class DenialsTest(PageTest):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="smqadmin-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        (folder / "acl").write_text("allow anyone subscribe *\ndeny anyone create secret*\n")
        cls.config = f'instance "/smq.lsp" {{ acl = "{folder}/acl" }}\n'
        super().setUpClass()

    def test_what_the_access_list_denies_is_an_event_with_the_rules_line(self):
        page = self.open_page("events")
        device = self.connect()
        names = (f"secret{i}" for i in itertools.count())  # equal lines would be folded

        def ask():
            name = next(names)
            device.send(create(name))
            device.expect(createack(0, name.encode(), status=1))

        event = page.hear_of(ask, "events", lambda event: event["name"] == "acl.denied")
        self.assertEqual(event["level"], "warning")
        uid = device.uid.decode()
        self.assertRegex(
            event["text"], rf'^action=create name="secret\d+" uid={uid} login=anonymous: line=2$'
        )


@raw_only("its pages speak WebSocket by themselves")
class ScriptsTest(PageTest):
    """What the pages say of an instance's script."""

    SCRIPT = """
        local smq = require"smq.hub"
        local hub = smq.create()
        hub:subscribe("work", { onmsg = function(data, from) hub:publish("done", from) end })
        hub:subscribe("fault", { onmsg = function(data, from)
            hub:publish("as far as here", from)
            error("it went wrong")
        end })
    """

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="smqadmin-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        (folder / "devices.lua").write_text(cls.SCRIPT)
        cls.config = f'instance "/smq.lsp" {{ script = "{folder}/devices.lua" }}\n'
        super().setUpClass()
        cls("run").wait_until(
            lambda: cls.server.stats()["scripts"][0]["loads_total"] == 1, "the script is loaded"
        )
        cls._gauges_at_start = cls.server.gauges_at_rest()  # with the script's own subscriptions

    def ask_script(self, device, topic):
        device.publish(device.create(topic))
        return device.expect_type(wire.SMQ_PUBLISH)

    def test_its_functions_are_counted_and_timed(self):
        page = self.open_page("stats")
        device = self.connect()
        for _ in range(3):
            self.ask_script(device, "work")

        def row(stats):
            return stats["scripts"][0]

        def onmsg(stats):
            return next(call for call in row(stats)["calls"] if call["name"] == "onmsg")

        stats = page.hear("stats", lambda stats: onmsg(stats)["total"] >= 3)
        self.assertEqual((row(stats)["instance"], row(stats)["loaded"]), ("/smq.lsp", True))
        self.assertGreater(row(stats)["memory_bytes"], 0)
        self.assertGreater(onmsg(stats)["slowest_us"], 0)
        self.assertIn("script-0", [actor["name"] for actor in stats["actors"]])

    def test_its_errors_are_counted_and_told(self):
        page = self.open_page("stats", "events")
        device = self.connect()

        event = page.hear_of(
            lambda: self.ask_script(device, "fault"),
            "events",
            lambda event: event["name"] == "script.error",
        )
        self.assertEqual(event["level"], "error")
        self.assertIn("it went wrong", event["text"])
        stats = page.hear("stats", lambda stats: stats["scripts"][0]["errors"] > 0)
        self.assertGreater(sum(call["errors"] for call in stats["scripts"][0]["calls"]), 0)


@plain_only("the same over TLS")
class NoWebTest(LoginTest):
    args = ["--set", "web.enabled=off"]

    def test_without_a_web_ui_there_is_no_admin_instance(self):
        client = self.dial()
        client.send(upgrade_head(ADMIN_PATH, ws_key()))
        self.assertIn(client.read_http()[0], (400, 404))
