"""
tests/wire/test_script.py: Lua scripts beside an instance (script/README.md), in the real server.

A script speaks through messages, its log lines and the statistics. Each class has its own server and
folder; a test that changes the script has its own class.
"""

import json
import pathlib
import re
import shutil
import signal
import tempfile

from smqwire import WireTest, ack, publish, raw_only, subscribe, wire

PLAIN = "/plain.lsp"  # an instance without a script, beside the one with it
SERVER = 1  # the script's ETID


class ScriptTest(WireTest):
    """`script` is the text of the instance's script, `settings` more lines of the configuration."""

    script = ""
    settings = "script { callback_ms = 60s }"  # a busy machine is not what is tested
    instance = ""  # more lines of the instance
    loads = True  # the script can be loaded

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="smqscript-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.file = cls.folder / "test.lua"
        cls.file.write_text(cls.script)
        cls.config = (
            f'instance "/smq.lsp" {{ script = "{cls.file}" {cls.instance} }}\n'
            f'instance "{PLAIN}" {{}}\n{cls.settings}\n'
        )
        super().setUpClass()
        cls.wait_loaded(1)

    @classmethod
    def wait_loaded(cls, loads, failures=0):
        """The script's own topics and subscriptions are there from now on."""
        test = cls("run")
        test.wait_until(
            lambda: cls.figure("loads_total") + cls.figure("load_failures_total") >= loads + failures
            or not cls.loads and cls.figure("load_failures_total") >= 1,
            "the script is loaded",
        )
        cls._gauges_at_start = cls.server.gauges_at_rest()

    @classmethod
    def figure(cls, name):
        return cls.server.stats()["scripts"][0][name]

    @classmethod
    def function(cls, name):
        return cls.server.stats()["scripts"][0]["functions"].get(name, {"calls_total": 0, "errors_total": 0})

    def wait_for_log(self, words):
        self.wait_until(lambda: words in self.server.log(), f"the log says {words!r}")

    def ask(self, client, topic, payload):
        """Publish to a topic of the script's, and read its answer to this client."""
        client.publish(client.create(topic), payload)
        return client.read_frame()


class HubTest(ScriptTest):
    script = """
        local smq = require"smq.hub"
        local hub = smq.create{ onmsg = function(data, from) hub_said = data end }
        print("a line", 42, nil, {1} ~= nil)

        hub:create("firmware/fixed", 4711)
        hub:createsub("command", 12)
        hub:subscribe("firmware/fixed", { onmsg = function(data, from, tid, stid)
            hub:publish(("%s from %d on %d/%d"):format(data, from, tid, stid), from, "command")
        end })
        hub:subscribe("json", { json = true, onmsg = function(t, from) hub:publish({ twice = t.n * 2 }, from) end })
        hub:create("observed")
        hub:subscribe("count", { onmsg = function(data, from)
            hub:observe(data, function(n, name)
                hub:publish(name .. "=" .. n, from)
                if n > 0 then hub:unobserve(name) end
            end)
        end })
        hub:subscribe("later", { onmsg = function(data, from)
            ba.timer(function() hub:publish("now", from) end):set(1, true)
        end })
        hub:subscribe("name", { onmsg = function(data, from)
            hub:publish(hub:tid2topic(tonumber(data)) or "?", from)
        end })
        hub:subscribe("names", { onmsg = function(data, from)
            for tid, name in hub:topics() do if name:find(data, 1, true) then hub:publish(name, from) end end
        end })
        hub:subscribe("hash", { onmsg = function(data, from)
            hub:publish(ba.crypto.hash("sha256")(data)(true, "hex") .. " " ..
                ba.crypto.hash("hmac", "sha256", "key")(data)(true, "hex"), from)
        end })
        require"smqrpc".create(hub, { add = function(a, b) return a + b end })
    """

    def test_print_and_trace_are_lines_of_the_log(self):
        self.wait_for_log("script.print instance=/smq.lsp a line 42 nil true")

    def test_firmware_may_know_its_numbers_in_advance(self):
        client = self.connect()
        client.publish(4711, b"hello", 12)
        client.expect(publish(client.etid, SERVER, b"hello from %d on 4711/12" % client.etid, 12))
        self.assertEqual(client.create("firmware/fixed"), 4711)
        self.assertEqual(client.createsub("command"), 12)

    def test_numbers_that_were_chosen_are_the_scripts_instances_only(self):
        other = self.connect(path=PLAIN)
        self.assertNotEqual(other.create("firmware/fixed"), 4711)

    def test_json_is_decoded_and_a_table_encoded(self):
        client = self.connect()
        self.assertEqual(self.ask(client, "json", b'{"n":21}'), publish(client.etid, SERVER, b'{"twice":42}'))

    def test_observing(self):
        client = self.connect()
        self.assertEqual(self.ask(client, "count", b"observed").body[12:], b"observed=0")
        client.send(subscribe("observed"))  # its answer and the script's word come from two sides
        frames = {frame.type: frame for frame in client.read_frames(2)}
        self.assertEqual(frames[wire.SMQ_SUBACK].body[5:], b"observed")
        self.assertEqual(frames[wire.SMQ_PUBLISH].body[12:], b"observed=1")

    def test_timers(self):
        self.assertEqual(self.ask(self.connect(), "later", b"").body[12:], b"now")

    def test_names_of_topics_are_any_bytes(self):
        client = self.connect()
        name = b"odd \0 \xff\x80 name"
        client.create(name)
        self.assertEqual(self.ask(client, "names", b"odd ").body[12:], name)

    def test_names_of_clients_topics(self):
        client, topic = self.connect(), self.topic()
        tid = client.create(topic)
        self.assertEqual(self.ask(client, "name", b"%d" % tid).body[12:], topic.encode())
        self.assertEqual(self.ask(client, "name", b"123").body[12:], b"?")

    def test_hashes(self):
        self.assertEqual(
            self.ask(self.connect(), "hash", b"abc").body[12:],
            b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad "
            b"9c196e32dc0175f86f4b1cb89289d6619de6bee699e4c378e68309ed97a1a6ab",
        )

    def test_a_browsers_request_is_answered(self):
        client = self.connect()
        request, response = client.createsub("$RpcReq"), client.createsub("$RpcResp")
        client.publish(SERVER, b'{"id":7,"name":"add","args":[2,40]}', request)
        frame = client.read_frame()
        self.assertEqual(frame, publish(client.etid, SERVER, frame.body[12:], response))
        self.assertEqual(json.loads(frame.body[12:]), {"id": 7, "rsp": 42})

    def test_figures_are_in_the_statistics(self):
        before = self.function("onmsg")["calls_total"]
        self.ask(self.connect(), "json", b'{"n":1}')
        self.wait_until(lambda: self.function("onmsg")["calls_total"] == before + 1, "it is counted")
        self.assertGreater(self.figure("memory_bytes"), 10000)
        self.assertEqual(self.figure("errors_total"), 0)


class EnemyCase(ScriptTest):
    """Scripts that loop, eat memory or throw: the broker and its other clients do not notice."""

    script = """
        local hub = require"smq.hub".create()
        local all = {}
        hub:subscribe("loop", { onmsg = function() while true do pcall(function() while true do end end) end end })
        hub:subscribe("eat", { onmsg = function() while true do all[#all + 1] = ("x"):rep(1000) .. #all end end })
        hub:subscribe("throw", { onmsg = function() local nothing = nil; nothing.x = 1 end })
        hub:subscribe("forget", { onmsg = function() all = {} end })
        hub:subscribe("ping", { onmsg = function(data, from) hub:publish(data, from) end })
    """

    def assert_alive(self, client):
        self.assertEqual(self.ask(client, "ping", b"still here").body[12:], b"still here")


class LoopTest(EnemyCase):
    settings = "script { callback_ms = 3s }"

    def test_an_endless_loop_ends_and_is_counted(self):
        client, before = self.connect(), self.figure("timeouts_total")
        client.publish(client.create("loop"), b"")
        other = self.connect(path=PLAIN)
        other.subscribe("x")
        self.assert_alive(client)
        self.assertEqual(self.figure("timeouts_total"), before + 1)
        self.wait_for_log("in=onmsg test.lua:4: took longer than 3000 ms (script.callback_ms)")


class EnemiesTest(EnemyCase):
    settings = "script { callback_ms = 60s heap = 4M }"

    def test_who_eats_memory_gets_an_error(self):
        client, before = self.connect(), self.figure("errors_total")
        client.publish(client.create("eat"), b"")
        client.publish(client.create("forget"), b"")
        self.assert_alive(client)
        self.assertEqual(self.figure("errors_total"), before + 1)
        self.wait_for_log("in=onmsg not enough memory: more than 4096 kB (script.heap)")

    def test_an_error_has_file_line_and_traceback_once(self):
        client = self.connect()
        for _ in range(3):
            client.publish(client.create("throw"), b"")
        self.assert_alive(client)
        self.wait_for_log("in=onmsg test.lua:6: attempt to index a nil value (local 'nothing')")
        self.wait_for_log("script.traceback instance=/smq.lsp test.lua:6: in ")
        self.assertEqual(self.server.log().count("script.traceback instance=/smq.lsp test.lua:6: in "), 1)


class ReloadTest(ScriptTest):
    script = """
        local hub = require"smq.hub".create()
        hub:subscribe("who", { onmsg = function(data, from) hub:publish("first", from) end })
        function onunload() print("first is gone") end
    """

    def who(self):
        return self.ask(self.connect(), "who", b"?").body[12:]

    def reload(self, text, loads, failures):
        self.file.write_text(text)
        self.server.signal(signal.SIGHUP)
        self.wait_until(
            lambda: (self.figure("loads_total"), self.figure("load_failures_total")) == (loads, failures),
            "the script is loaded again",
        )

    def test_a_new_script_replaces_the_old_one_and_a_bad_one_does_not(self):
        self.assertEqual(self.who(), b"first")
        self.reload(self.script.replace("first", "second"), 2, 0)
        self.assertEqual(self.who(), b"second")
        self.wait_for_log("script.print instance=/smq.lsp first is gone")
        self.reload("this is no Lua", 2, 1)
        self.assertEqual(self.who(), b"second")
        self.wait_for_log("script.not_loaded instance=/smq.lsp the old script goes on: test.lua:1: syntax error near 'is'")
        self.reload(self.script.replace("first", "third") + "error('at the end')", 2, 2)
        self.assertEqual(self.who(), b"second")
        self.file.write_text(self.script.replace("first", "fourth"))  # the file alone, without a signal
        self.wait_until(lambda: self.figure("loads_total") == 3, "the change is noticed")
        self.assertEqual(self.who(), b"fourth")


class BadScriptTest(ScriptTest):
    loads = False
    script = "error('not today')"

    def tearDown(self):
        pass  # no newcomer is let in

    def test_the_broker_goes_on_without_it_and_says_why(self):
        self.wait_for_log("script.not_loaded instance=/smq.lsp nobody is let in: test.lua:1: not today")
        self.connect(path=PLAIN).subscribe("x")
        self.assertEqual(self.figure("loaded"), 0)


class DatabaseTest(ScriptTest):
    script = """
        local hub = require"smq.hub".create()
        local database = require"luasql.sqlite3".sqlite3():connect("")
        assert(database:execute"create table reading (device text, value real)")
        hub:subscribe("store", { json = true, onmsg = function(t, from)
            assert(database:execute(("insert into reading values ('%s', %f)"):format(database:escape(t.device), t.value)))
            local cursor = database:execute"select count(*), sum(value) from reading"
            local count, sum = cursor:fetch()
            cursor:close()
            hub:publish({ count = math.tointeger(count) or count, sum = sum }, from)
        end })
    """

    def test_sqlite_works_out_of_the_box(self):
        client = self.connect()
        self.ask(client, "store", b'{"device":"a","value":1.5}')
        answer = json.loads(self.ask(client, "store", b'{"device":"it\'s","value":2}').body[12:])
        self.assertEqual((float(answer["count"]), float(answer["sum"])), (2, 3.5))


class KnownPeersTest(ScriptTest):
    script = """
        local hub
        hub = require"smq.hub".create()
        hub:subscribe("peers", { onmsg = function(_, from)
            local lines = {}
            for sock, peer in hub:peers() do
                assert(hub:sock2peer(sock) == peer)
                lines[#lines + 1] = ("%s %s %s"):format(peer.uid, peer.info, tostring(peer == hub:etid2peer(peer.tid)))
            end
            table.sort(lines)
            hub:publish(lines, from)
        end })
    """

    def test_a_new_script_knows_who_is_in(self):
        client = self.connect(info=b"a lamp")
        wanted = [f"{client.uid.decode()} a lamp true"]
        for loads in (0, 1, 1):
            before = self.figure("loads_total")
            if loads:
                self.server.signal(signal.SIGHUP)
                self.wait_until(lambda: self.figure("loads_total") == before + 1, "it is loaded again")
            lines = json.loads(self.ask(client, "peers", b"").body[12:])
            self.assertEqual([line for line in lines if client.uid.decode() in line], wanted)


@raw_only("it speaks HTTP")
class MetricsTest(ScriptTest):
    """What Prometheus is told of a script: it is there, and it moves when the script does something."""

    settings = "script { callback_ms = 3s  heap = 8M }"
    script = """
        local hub = require"smq.hub".create{ permittop = function(topic) return topic ~= "never" end }
        local kept = {}
        hub:subscribe("keep", { onmsg = function(data, from)
            kept[#kept + 1] = ("x"):rep(1000000)
            ba.timer(function() end):set(1000000)
            hub:publish("kept", from)
        end })
        hub:subscribe("throw", { onmsg = function() error("on purpose") end })
        hub:subscribe("loop", { onmsg = function() while true do end end })
    """

    def metrics(self):
        """{"memory_bytes": 1.0, "calls_total onmsg": 2.0, …} of this script."""
        client = self.dial()
        client.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status, headers = client.read_http()
        self.assertEqual(status, 200)
        text = client.read_bytes(int(headers["content-length"])).decode()
        found = re.findall(r'^smqd_script_(\w+)\{instance="/smq\.lsp"(?:,\w+="(\w+)")?\} (\S+)$', text, re.M)
        return {f"{name} {function}".strip(): float(value) for name, function, value in found}

    def test_they_move(self):
        client, before = self.connect(), self.metrics()
        self.assertEqual((before["loaded"], before["loads_total"], before["queue"]), (1, 1, 0))
        self.assertEqual(self.ask(client, "keep", b"").body[12:], b"kept")
        client.publish(client.create("throw"))
        client.publish(client.create("loop"))
        client.send(subscribe("never"))
        client.expect(ack(wire.SMQ_SUBACK, wire.SMQ_ACK_DENIED, 0, b"never"))
        grown = {
            "calls_total onmsg": 3, "calls_total permittop": 4, "call_errors_total onmsg": 2, "errors_total": 2,
            "timeouts_total": 1, "denied_total": 1, "published_total": 1, "timers": 1,
        }

        def all_grown():
            after = self.metrics()
            return {name: after.get(name, 0) - before.get(name, 0) for name in grown} == grown

        self.wait_until(all_grown, f"these have grown: {grown}")
        after = self.metrics()
        self.assertGreater(after["memory_bytes"], before["memory_bytes"] + 500000)
        self.assertGreaterEqual(after["call_seconds_total onmsg"], before.get("call_seconds_total onmsg", 0) + 3)
