"""
tests/wire/test_script_edges.py: where hooks of a script meet the rest: access lists, the end of the
broker, and lists of topics longer than the I/O actors keep.
"""

import json
import pathlib
import shutil
import signal
import tempfile

from smqwire import connect_frame, publish
from test_script import ScriptTest

HOOK_TOPICS_MAX = 16  # core/hooks.h
FREE, GUARDED = 100, 101

SEEN_LUA = """
    local seen = {}
    local hub = require"smq.hub".create()
    local function note(data)
        if data ~= "" then seen[#seen + 1] = data end
        return data ~= "censored"
    end
    hub:subscribe("seen", { onmsg = function(data, from)
        hub:publish(ba.json.encode(ba.json.array(seen)), from)
        seen = {}
    end })
"""


class SeenTest(ScriptTest):
    """The script notes what onpublish is shown."""

    def seen(self, client):
        return json.loads(self.ask(client, "seen", b"").body[12:])


class RightsTest(SeenTest):
    script = SEEN_LUA + "hub:onpublish(note)"
    rules = """
        allow anyone subscribe *
        allow anyone create seen
        allow anyone publish seen
        allow anyone publish free
    """

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="smqrules-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        (folder / "acl").write_text(cls.rules)
        cls.instance = (
            f'acl = "{folder}/acl" topic "free" {{ tid = {FREE} }} topic "guarded" {{ tid = {GUARDED} }}'
        )
        super().setUpClass()

    def test_onpublish_sees_only_what_the_access_list_allows(self):
        sender, receiver = self.connect(), self.connect()
        receiver.subscribe("guarded")
        receiver.subscribe("free")
        sender.send(
            publish(GUARDED, sender.etid, b"by number"),
            publish(FREE, sender.etid, b"one"),
            publish(FREE, sender.etid, b"censored"),
            publish(GUARDED, sender.etid, b"again"),
            publish(FREE, sender.etid, b"two"),
        )
        receiver.expect(*(publish(FREE, sender.etid, word) for word in (b"one", b"two")))
        sender.subscribe("guarded")
        sender.publish(GUARDED, b"by one who holds it")
        self.assertEqual(self.seen(sender), ["one", "censored", "two"])

    def test_a_sender_keeps_its_order_from_before_it_holds_a_topic(self):
        sender, receiver = self.connect(), self.connect()
        receiver.subscribe("free")
        words = [b"%d" % i for i in range(400)]
        frames = [publish(FREE, sender.etid, word) for word in words]
        sender.send(*frames[:200])
        sender.subscribe("free")
        sender.send(*frames[200:])
        receiver.expect(*frames)
        sender.expect(*frames[200:])
        self.assertEqual(self.seen(receiver), [word.decode() for word in words])


class ManyTopicsTest(SeenTest):
    script = SEEN_LUA + f"""
        local topics = {{}}
        for i = 1, {HOOK_TOPICS_MAX + 4} do topics[i] = "guarded/" .. i end
        hub:onpublish(note, topics)
    """

    def test_a_list_of_topics_may_be_long(self):
        sender, receiver = self.connect(), self.connect()
        free = receiver.subscribe("free")
        for i in range(1, HOOK_TOPICS_MAX + 5):
            tid = receiver.subscribe(f"guarded/{i}")
            sender.publish(tid, b"censored")
            sender.publish(tid, b"%d" % i)
            receiver.expect(publish(tid, sender.etid, b"%d" % i))
            sender.publish(free, b"censored")
            receiver.expect(publish(free, sender.etid, b"censored"))
        expected = [word for i in range(1, HOOK_TOPICS_MAX + 5) for word in ("censored", str(i))]
        self.assertEqual(self.seen(sender), expected)


class EndTest(ScriptTest):
    """The broker is told to end while its script has much to decide."""

    settings = "script { callback_ms = 3600s }"  # for as long as the test needs
    script = """
        local calls = { connects = 0, messages = 0 }
        local function wait_for(path)
            local file
            repeat file = io.open(path) until file
            file:close()
        end
        require"smq.hub".create{
            authenticate = function(credentials)
                calls.connects = calls.connects + 1
                return 0
            end,
            onpublish = function(data)
                calls.messages = calls.messages + 1
                if data:sub(1, 1) == "/" then
                    print"it thinks"
                    wait_for(data)
                end
                return true
            end,
        }
        function onunload() print(("%d Connects and %d messages"):format(calls.connects, calls.messages)) end
    """

    def test_what_waits_for_the_script_is_decided_and_the_broker_ends(self):
        sender = self.connect()
        go = self.folder / "go"
        sender.publish(sender.etid, str(go).encode())
        self.wait_for_log("it thinks")
        late = self.bootstrap()
        late.send(connect_frame(self.new_uid()))
        before = self.server.counter("io.messages_in_total")
        sender.send(*(publish(sender.etid, sender.etid, b"%d" % i) for i in range(50)))
        self.wait_until(
            lambda: self.server.counter("io.messages_in_total") == before + 50
            and self.server.counter("io.live") == 2,
            "they wait in the script's lane",
        )
        self.server.signal(signal.SIGTERM)
        sender.expect_closed()
        late.expect_closed()
        go.write_text("")
        self.assertEqual(self.server.wait(), 0)
        self.assertIn("2 Connects and 51 messages", self.server.log())
        self.server.stop()

    def tearDown(self):
        pass  # there is no broker left to look at
