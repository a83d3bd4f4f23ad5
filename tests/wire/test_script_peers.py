"""
tests/wire/test_script_peers.py: what a script knows of those who connect, and the times it gives them
(script/hub.lua), in the real server.
"""

import json
import pathlib
import shutil
import signal
import tempfile

from smqwire import PING, connect_frame, disconnect, raw_only, unsubscribe, wire
from smqws import WsSocket, upgrade_head, ws_key
from test_http import SCHEME, LoginTest
from test_script import ScriptTest
from test_tls import smq_ca
from test_tls_policy import PolicyServer, PolicyTest


class PeersTest(ScriptTest):
    script = """
        local closed = {}
        local hub
        local function sorted(topics)
            local list = ba.json.array()
            for tid, same in pairs(topics) do
                assert(tid == same)
                list[#list + 1] = tid
            end
            table.sort(list)
            return list
        end
        hub = require"smq.hub".create{
            onconnect = function(tid, info, peer)
                peer.notes = { count = 7, "first" }
                peer.lamp = info.uid .. "!"
                peer.handler = function() end
            end,
            onclose = function(tid, sock, peer, why) closed[peer.uid] = sorted(peer.topics) end,
        }
        hub:subscribe("topics of", { onmsg = function(data, from)
            local peer = hub:etid2peer(tonumber(data))
            hub:publish(sorted(peer.topics), from)
        end })
        hub:subscribe("closed", { onmsg = function(data, from) hub:publish(closed[data] or "not yet", from) end })
        hub:subscribe("fields", { onmsg = function(data, from)
            local peer = hub:etid2peer(from)
            hub:publish({ peer.notes, peer.lamp, peer.handler == nil }, from)
        end })
    """

    def topics_of(self, client):
        return json.loads(self.ask(client, "topics of", b"%d" % client.etid).body[12:])

    def test_a_clients_topics_are_known(self):
        client = self.connect()
        self.assertEqual(self.topics_of(client), [])
        tids = sorted(client.subscribe(self.topic(str(i))) for i in range(5))
        client.create(self.topic("not subscribed"))
        self.assertEqual(self.topics_of(client), tids)
        gone = tids.pop(2)
        client.send(unsubscribe(gone))
        self.wait_until(lambda: self.topics_of(client) == tids, "it is left out")

    def test_they_are_known_in_onclose_still(self):
        client, friend = self.connect(), self.connect()
        tids = sorted(friend.subscribe(self.topic(str(i))) for i in range(3))
        friend.send(disconnect())
        friend.expect_closed()
        answers = []

        def told():
            answers.append(self.ask(client, "closed", friend.uid).body[12:])
            return answers[-1] != b"not yet"

        self.wait_until(told, "onclose is called")
        self.assertEqual(json.loads(answers[-1]), tids)

    def test_what_a_script_adds_to_a_peer_is_there_after_a_reload(self):
        client = self.connect()
        notes = {"1": "first", "count": 7}
        before = json.loads(self.ask(client, "fields", b"").body[12:])
        self.assertEqual(before, [notes, client.uid.decode() + "!", False])
        loads = self.figure("loads_total")
        self.server.signal(signal.SIGHUP)
        self.wait_until(lambda: self.figure("loads_total") == loads + 1, "it is loaded again")
        after = json.loads(self.ask(client, "fields", b"").body[12:])
        self.assertEqual(after, [notes, client.uid.decode() + "!", True])
        self.wait_for_log("peer.handler is a function, and stays behind")


LONG_TIMES = """
    keepalive { idle_ms = 1200s  answer_ms = 1200s }
    limits { handshake_ms = 1200s }
    script { callback_ms = 60s }
"""


@raw_only("a WebSocket is closed without a Connack")
class ReadTimeTest(ScriptTest):
    settings = LONG_TIMES
    script = 'require"smq.hub".create{ readtmo = 300 }'

    def tearDown(self):
        pass  # a newcomer may be too slow

    def test_who_does_not_connect_is_refused(self):
        self.bootstrap().expect_refused(wire.SMQ_CONNACK_UNAVAILABLE)


@raw_only("a WebSocket is pinged by a WebSocket Ping")
class KeepaliveTest(ScriptTest):
    settings = LONG_TIMES
    script = """
        local hub = require"smq.hub".create{ keepidle = 0.3, keepintv = 1200 }
        hub:subscribe("shorter", { onmsg = function(data, from)
            hub:setkeepalive(0.3, 0.3)
            hub:publish("done", from)
        end })
    """

    def tearDown(self):
        pass  # a newcomer may be too slow

    def test_a_silent_client_is_pinged_and_closed_as_the_script_says(self):
        client = self.connect()
        client.expect(PING)
        client.answers_pings = True
        self.assertEqual(self.ask(client, "shorter", b"").body[12:], b"done")
        client.answers_pings = False
        client.expect(PING)
        client.expect_closed()


class CertServer(PolicyServer):
    def prepare(self):
        (self.directory / "test.lua").write_text("""
            local hub = require"smq.hub".create{
                onconnect = function(tid, info, peer) peer.cert = info.cert end,
            }
            hub:subscribe("cert", { onmsg = function(_, from) hub:publish(hub:etid2peer(from).cert, from) end })
        """)


class CertTest(PolicyTest):
    server_class = CertServer
    text = """
        listen = {"tls://127.0.0.1:0"}
        tls { client_auth = optional }
        instance "/smq.lsp" { script = "{folder}/test.lua" }
    """

    def test_a_script_sees_the_certificate(self):
        smq_ca("device", "device-7", "--dir", self.server.ca)
        context = self.trusting()
        context.load_cert_chain(self.server.ca / "device" / "device-7.pem")
        self.wait_until(lambda: self.server.stats()["scripts"][0]["loaded"] == 1, "the script is loaded")
        client = self.join(0, context, b"device-7")
        client.publish(client.create("cert"))
        cert = json.loads(client.read_frame().body[12:])
        self.assertEqual((cert["subject"], cert["sans"]), ("device-7", ["device-7"]))
        self.assertRegex(cert["issuer"], "^CN=.")
        self.assertRegex(cert["sha256"], "^[0-9a-f]{64}$")


@raw_only("it speaks HTTP and WebSocket by itself")
class SessionTest(LoginTest):
    """Browsers that have logged in."""

    script = """
        local hub = require"smq.hub".create{
            onconnect = function(tid, info, peer)
                info.session.visits = (info.session.visits or 0) + 1
                peer.session = info.session
            end,
        }
        hub:subscribe("session", { onmsg = function(_, from) hub:publish(hub:etid2peer(from).session, from) end })
    """

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="smqscript-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        (folder / "test.lua").write_text(cls.script)
        cls.config = f'instance "/smq.lsp" {{ script = "{folder}/test.lua"  auth = {{web}} }}'
        super().setUpClass()
        cls("run").wait_until(lambda: cls.server.stats()["scripts"][0]["loaded"] == 1, "the script is loaded")
        cls._gauges_at_start = cls.server.gauges_at_rest()

    def tearDown(self):
        pass  # who has not logged in is not let in

    def session_of(self, cookie):
        client, key = self.dial(), ws_key()
        client.send(upgrade_head("/smq.lsp", key, (cookie, f"Origin: {SCHEME}://localhost")))
        client.socket = WsSocket(client.socket)
        client.socket.key = key
        client.read_init()
        client.send(connect_frame(self.new_uid()))
        client.read_connack()
        client.publish(client.create("session"))
        return json.loads(client.read_frame().body[12:])

    def test_the_connections_of_a_browser_share_a_table(self):
        first, second = self.log_in(), self.log_in()
        self.assertEqual(self.session_of(first), {"uname": "admin", "visits": 1})
        self.assertEqual(self.session_of(first), {"uname": "admin", "visits": 2})
        self.assertEqual(self.session_of(second), {"uname": "admin", "visits": 1})
