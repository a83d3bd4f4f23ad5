"""
tests/wire/test_script_hooks.py: hooks of a script that decide about requests (script/hooks.c,
net/detour.c), in the real server.

What a hook has decided is seen by clients, as everything; what it was told comes back as messages of
the script, and as figures of the statistics.
"""

import json
import signal

from smqwire import (
    TLS_DIR,
    ack,
    connect_frame,
    create,
    createsub,
    disconnect,
    publish,
    raw_only,
    subscribe,
    unsubscribe,
    wire,
)
from test_script import PLAIN, ScriptTest


class HooksTest(ScriptTest):
    """The script decides who comes in and what he may do; everything else goes its way."""

    script = """
        local log = {}
        local hub
        hub = require"smq.hub".create{
            authenticate = function(credentials, info)
                if credentials == "throw" then error"no" end
                if credentials == "nothing" then return end
                if credentials == "wrong" then return 3, "not with these words" end
                log[#log + 1] = ba.json.encode{ info.uid, info.info, info.url, info.data, info.header["X-Firmware"] or "",
                    info.uname or "", info.secure, info.peername:match("^127%.0%.0%.1:%d+$") ~= nil, info.seed > 0 }
                return 0
            end,
            permittop = function(topic, is_subscribe, peer)
                if topic == "throw" then error"no" end
                return topic ~= "never" and (is_subscribe or topic ~= "listen only") and peer ~= nil
            end,
            permitsubtop = function(subtopic, peer)
                asked = (asked or 0) + 1
                return subtopic ~= "never" and peer.uid ~= nil
            end,
            onconnect = function(tid, info, peer)
                peer.mine = info.uid .. "!"
                log[#log + 1] = ("in %s %d %s"):format(info.uid, tid, tostring(peer == hub:etid2peer(tid)))
            end,
            onclose = function(tid, sock, peer, reason)
                log[#log + 1] = ("out %s %s %s %s"):format(peer.uid, peer.mine, tostring(reason), tostring(sock == peer.sock))
            end,
            onpublish = function(data, ptid, tid, subtid, peer)
                if data == "throw" then error"no" end
                return data ~= "censored"
            end,
            ondrop = function(data, ptid, tid, subtid, peer)
                log[#log + 1] = ("dropped %s of %s"):format(data, peer and peer.uid or "?")
            end,
        }
        hub:createsub("known")
        hub:subscribe("log", { onmsg = function(data, from)
            hub:publish(ba.json.encode(ba.json.array(log)), from)
            log = {}
        end })
        hub:subscribe("asked", { onmsg = function(data, from) hub:publish(tostring(asked), from) end })
        hub:subscribe("peers", { onmsg = function(data, from)
            local uids = {}
            for sock, peer in hub:peers() do
                uids[#uids + 1] = peer.uid
                assert(hub:sock2peer(sock) == peer)
            end
            table.sort(uids)
            hub:publish(uids, from)
        end })
        hub:subscribe("away", { onmsg = function(data) hub:shutdown("go away", tonumber(data)) end })
    """

    def log(self, client):
        return json.loads(self.ask(client, "log", b"").body[12:])

    def connect_alone(self):
        """A client, when all of the tests before have gone, and the log speaks of nobody any more."""
        client = self.connect()
        self.wait_for_peers(client, [client.uid])
        self.log(client)
        return client

    def show(self, credentials, **options):
        client = self.bootstrap(**options)
        client.uid = self.new_uid()
        client.send(connect_frame(client.uid, credentials))
        return client

    def test_the_script_says_who_comes_in(self):
        self.show(b"right").read_connack()
        for credentials, code in ((b"wrong", 3), (b"nothing", 6), (b"throw", 6)):
            self.show(credentials).expect_refused(code)
        self.wait_for_log("not with these words")
        self.connect(path=PLAIN, credentials=b"wrong")

    @raw_only("it writes its own request")
    def test_it_knows_who_asks(self):
        client = self.connect_alone()
        newcomer = self.dial()
        newcomer.uid = self.new_uid()
        newcomer.send(
            b"GET /smq.lsp?room=4%202&x=1 HTTP/1.0\r\nHost: localhost\r\nSimpleMQ: 1\r\nX-Firmware: 7\r\n"
            b"Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n"
        )
        newcomer.read_init()
        newcomer.send(connect_frame(newcomer.uid, b"", b"a lamp"))
        newcomer.read_connack()
        uid, text, url, data, firmware, uname, secure, address, seed = json.loads(self.log(client)[0])
        self.assertEqual((uid.encode(), text, url, data), (newcomer.uid, "a lamp", "/smq.lsp", {"room": "4 2", "x": "1"}))
        self.assertEqual((firmware, uname, secure, address, seed), ("7", "", bool(TLS_DIR), True, True))

    def test_it_permits_names(self):
        client = self.connect()
        client.subscribe("allowed")
        client.send(create("listen only"))
        client.expect(ack(wire.SMQ_CREATEACK, wire.SMQ_ACK_DENIED, 0, b"listen only"))
        client.subscribe("listen only")
        for name in (b"never", b"throw"):
            client.send(subscribe(name))
            client.expect(ack(wire.SMQ_SUBACK, wire.SMQ_ACK_DENIED, 0, name))

    def test_it_permits_new_sub_topics_only(self):
        client = self.connect()
        before = self.ask(client, "asked", b"").body[12:]
        client.createsub("known")
        self.assertEqual(self.ask(client, "asked", b"").body[12:], before)
        for _ in range(3):
            client.createsub("new")
        client.send(createsub("never"))
        client.expect(ack(wire.SMQ_CREATESUBACK, wire.SMQ_ACK_DENIED, 0, b"never"))
        self.assertEqual(int(self.ask(client, "asked", b"").body[12:]), int(before.replace(b"nil", b"0")) + 2)
        loads = self.figure("loads_total")
        self.server.signal(signal.SIGHUP)
        self.wait_until(lambda: self.figure("loads_total") == loads + 1, "it is loaded again")
        client.createsub("new")
        self.assertEqual(self.ask(client, "asked", b"").body[12:], b"nil", "the new script is not asked about it")

    def test_messages_pass_it_in_order(self):
        sender, receiver, topic = self.connect(), self.connect(), self.topic()
        receiver.subscribe(topic)
        tid = sender.create(topic)
        words = [b"%d" % i if i % 3 else (b"censored", b"throw")[i % 2] for i in range(300)]
        sender.send(*(publish(tid, sender.etid, word) for word in words))
        receiver.expect(*(publish(tid, sender.etid, word) for i, word in enumerate(words) if i % 3))

    def test_a_message_to_a_client_passes_it_too(self):
        sender, receiver = self.connect(), self.connect()
        sender.publish(receiver.etid, b"censored")
        sender.publish(receiver.etid, b"hello")
        receiver.expect(publish(receiver.etid, sender.etid, b"hello"))

    def test_subscribe_and_unsubscribe_stay_in_order(self):
        client, topic = self.connect(), self.topic()
        tid = client.subscribe(topic)
        for _ in range(20):
            client.send(unsubscribe(tid), subscribe(topic))
            client.expect(ack(wire.SMQ_SUBACK, 0, tid, topic))
        client.publish(tid, b"here")
        client.expect(publish(tid, client.etid, b"here"))

    def test_it_hears_who_comes_and_goes(self):
        client = self.connect_alone()
        friend = self.connect()
        uid = friend.uid.decode()
        self.assertEqual(self.log(client)[1:], [f"in {uid} {friend.etid} true"])
        friend.send(disconnect())
        friend.expect_closed()
        self.wait_for_peers(client, [client.uid])
        self.assertEqual(self.log(client), [f"out {uid} {uid}! 0 true"])
        first = self.connect(uid=friend.uid)
        self.connect(uid=friend.uid)
        first.expect_disconnect()
        lines = []
        self.wait_until(lambda: lines.extend(self.log(client)) or any("out" in line for line in lines), "it is told")
        self.assertIn(f"out {uid} {uid}! reconnect true", lines)
        self.wait_for_peers(client, [client.uid, friend.uid])

    def wait_for_peers(self, client, uids):
        wanted = sorted(uid.decode() for uid in uids) + ["server"]
        self.wait_until(
            lambda: sorted(json.loads(self.ask(client, "peers", b"").body[12:])) == sorted(wanted), f"{wanted} are in"
        )

    def test_peers_are_known_after_a_reload(self):
        client = self.connect()
        loads = self.figure("loads_total")
        self.server.signal(signal.SIGHUP)
        self.wait_until(lambda: self.figure("loads_total") == loads + 1, "it is loaded again")
        self.wait_for_peers(client, [client.uid])
        topic = self.topic()
        client.subscribe(topic)

    def test_it_hears_what_nobody_received(self):
        client = self.connect_alone()
        client.publish(client.create(self.topic()), b"lost")
        lines = []
        self.wait_until(lambda: lines.extend(self.log(client)) or lines, "it is told")
        self.assertEqual(lines, [f"dropped lost of {client.uid.decode()}"])

    def test_it_may_send_somebody_away(self):
        client, victim = self.connect(), self.connect()
        client.publish(client.create("away"), b"%d" % victim.etid)
        victim.expect_disconnect(b"go away")


class NotLoadedTest(ScriptTest):
    loads = False
    script = "this is no Lua"

    def test_nobody_is_let_in_until_there_is_a_script(self):
        client = self.bootstrap()
        client.uid = self.new_uid()
        client.send(connect_frame(client.uid))
        client.expect_refused(wire.SMQ_CONNACK_UNAVAILABLE)
        client.close()
        self.file.write_text("require'smq.hub'.create()")
        self.server.signal(signal.SIGHUP)
        self.wait_until(lambda: self.figure("loaded") == 1, "it is loaded")
        self.wait_loaded(1, 1)
        self.connect()

    def tearDown(self):
        pass  # a newcomer is let in or not, as the test says


class SomeTopicsTest(ScriptTest):
    script = """
        local hub = require"smq.hub".create()
        hub:onpublish(function(data) return data ~= "censored" end, { "guarded" })
    """

    def test_onpublish_is_for_the_listed_topics(self):
        sender, receiver = self.connect(), self.connect()
        guarded, free = receiver.subscribe("guarded"), receiver.subscribe("free")
        before = self.function("onpublish")["calls_total"]
        sender.publish(sender.create("guarded"), b"censored")
        sender.publish(guarded, b"one")
        receiver.expect(publish(guarded, sender.etid, b"one"))
        sender.publish(sender.create("free"), b"censored")
        receiver.expect(publish(free, sender.etid, b"censored"))
        self.assertEqual(self.function("onpublish")["calls_total"], before + 2)


class SlowTest(ScriptTest):
    """A hook that lasts until the test lets it go on: who waits for it waits, and nobody else does."""

    settings = "script { callback_ms = 3600s }\nlimits { handshake_ms = 3600s }"  # who waits has time
    script = """
        require"smq.hub".create{
            authenticate = function(credentials)
                while credentials ~= "" do
                    local file = io.open(credentials)
                    if file then
                        file:close()
                        break
                    end
                end
                return 0
            end,
        }
    """

    def ask_to_wait(self, uid):
        """Ask to come in, and for a subscription already."""
        client = self.bootstrap()
        client.uid = uid
        client.send(connect_frame(uid, str(self.folder / "go").encode()), subscribe(self.topic()))
        return client

    def test_who_waits_and_who_does_not(self):
        sender, receiver = self.connect(), self.connect()
        tid = receiver.subscribe(self.topic("fast"))
        first, gone, second = (self.ask_to_wait(self.new_uid()) for _ in range(3))
        heir = self.ask_to_wait(second.uid)
        crowd = [self.ask_to_wait(self.new_uid()) for _ in range(200)]
        gone.reset()
        for i in range(100):
            sender.publish(tid, b"%d" % i)
            receiver.expect(publish(tid, sender.etid, b"%d" % i))
        self.connect(path=PLAIN).subscribe(self.topic())
        (self.folder / "go").write_text("")
        for client in (first, *crowd):
            client.read_connack()
            client.expect_type(wire.SMQ_SUBACK)
        # On two I/O threads either may be the first of the two.
        self.assertEqual(second.read_connack(), heir.read_connack(), "one has taken the other over")
        self.wait_until(lambda: self.rows_of(heir.etid) == 1, "and the other one is gone")

    def rows_of(self, etid):
        rows = json.loads(self.server.admin("peers"))["peers"]
        return sum(row["etid"] == etid for row in rows)
