"""
tests/wire/test_script_outsider.py: a script as somebody writes it who knows the original's interface and
nothing of this broker: every function of smq.hub and every part of `ba` that SMQ scripts use, in one
application. It must run as it stands.
"""

import hashlib
import json

from smqwire import ack, change, connect_frame, create, createsub, disconnect, observe, publish, wire
from test_script import ScriptTest

SERVER = 1


SCRIPT = """
local smq = require "smq.hub"
local hub, lost, warnings, spam = nil, {}, {}, 0

local function sha256(...)
    local hash = ba.crypto.hash("sha256")
    for _, part in ipairs{...} do hash(part) end
    return hash(true, "hex")
end

local function authenticate(credentials, info)
    local user = info.data.user
    if info.uid == "banned" then return 6, "You are banned" end
    if not user then return end
    if credentials ~= sha256("secret of " .. user, tostring(info.seed)) then return 3 end
    return 0
end

local function onconnect(tid, info, peer)
    assert(peer.tid == tid and peer.uid == info.uid and peer.sock == info.sock)
    peer.user, peer.since = info.data.user, ba.clock()
    hub:publish({event = "join", user = peer.user, about = info.info, url = info.url}, "presence")
    hub:observe(tid, function(count, id)
        hub:publish({event = "gone", count = count, tid = id}, "presence")
    end)
end

local function onclose(tid, sock, peer, err)
    assert(hub:sock2peer(sock) == peer and hub:etid2peer(tid) == peer)
    hub:publish({event = "leave", user = peer.user, err = err, watched = next(peer.topics) ~= nil}, "presence")
end

hub = smq.create{
    authenticate = authenticate,
    onconnect = onconnect,
    onclose = onclose,
    permittop = function(topic, issub, peer)
        return peer.user == "root" or not topic:find("^admin/") and (issub or topic ~= "read only")
    end,
    permitsubtop = function(subtopic, peer) return #subtopic < 20 end,
    onpublish = function(data, ptid, tid, subtid, peer)
        if data:find("spam", 1, true) then
            spam = spam + 1
            return false
        end
        return true
    end,
    ondrop = function(data, ptid, tid, subtid, peer)
        if peer and peer.user then lost[#lost + 1] = {data, hub:tid2topic(tid) or tid, peer.user} end
    end,
    onmsg = function(data, ptid, tid, subtid)
        hub:publish("nobody reads " .. data, ptid, hub:tid2subtopic(subtid))
    end,
    log = function(sock, text) warnings[#warnings + 1] = {hub:sock2peer(sock).user, text} end,
    readtmo = 20000, queuesize = 500, keepidle = 600, keepintv = 60, rndtid = false,
}
hub:setkeepalive(900)
hub:setkeepalive(900, 90)

-- Topics: created by name, with a number of our own, and as numbers.
local chat, fixed = hub:create"chat", hub:create("firmware/4711", 4711)
for _, name in ipairs{"presence", "counted"} do hub:create(name) end
assert(hub:createsub("ok", 3) == 3 and hub:subtopic2tid"ok" == 3 and hub:tid2subtopic(3) == "ok")
assert(hub:topic2tid"chat" == chat and hub:tid2topic(fixed) == "firmware/4711" and not hub:topic2tid"nowhere")
hub:subscribe(chat, {onmsg = function(data, ptid, tid, subtid)
    hub:pubon("heard: " .. data, ptid, tid, subtid)
end})
hub:subscribe("chat", {subtopic = "quiet", onmsg = function() end})
hub:subscribe("firmware/4711", {onmsg = function(data, ptid)
    local kind, value = ba.socket.n2h(2, data), ba.socket.n2h(4, data, 3)
    hub:publish(ba.socket.h2n(2, kind) .. ba.socket.h2n(4, value * 2), ptid, "ok")
end})
hub:subscribe("json", {json = true, onmsg = function(t, ptid) hub:publish({t.a + t.b, t.list[1]}, ptid) end})
hub:subscribe("for the catch-all")

-- Requests as the original's pages make them.
local calls = {}
function calls.peers()
    local users = ba.json.decode"[]"
    for sock, peer in hub:peers() do
        assert(hub:sock2peer(sock) == peer)
        users[#users + 1] = peer.tid == hub:gettid() and "server" or peer.user
    end
    table.sort(users)
    return users
end
function calls.names()
    local found = {}
    for tid, name in hub:topics() do found[name] = tid end
    for tid, name in hub:subtopics() do found["sub " .. name] = tid end
    return {chat = found.chat == chat, fixed = found["firmware/4711"], ok = found["sub ok"]}
end
function calls.topics(tid)
    local list = {}
    for topic in pairs(hub:etid2peer(tid).topics) do list[#list + 1] = hub:tid2topic(topic) end
    table.sort(list)
    return list
end
function calls.count(topic, who)
    return hub:observe(topic, function(n, name)
        hub:publish({name, n}, who, "ok")
        if n == 1 then hub:unobserve(topic) end
    end)
end
function calls.later(ms, who)
    local ticks, timer = 0
    timer = ba.timer(function()
        ticks = ticks + 1
        hub:publish("tick " .. ticks, who, "ok")
        if ticks == 2 then
            timer:cancel()
            ba.timer(function() hub:publish("last", who, "ok") end):set(ms, true)
        end
    end)
    timer:set(ms)
    return ms
end
function calls.misc()
    local free, used = hub:queuesize()
    local n = ba.rnd(3, 5)
    return {free, used, #ba.rnds(9), n >= 3 and n <= 5, ba.b64decode(ba.b64encode"any bytes"), spam, lost, warnings,
        smq.isSMQ{header = {SimpleMQ = "1"}}, smq.isSMQ{header = {Host = "here"}}}
end
function calls.leave(topic) hub:unsubscribe(topic) return true end
function calls.come_back(topic) return hub:subscribe(topic) == hub:topic2tid(topic) end
function calls.kick(tid, why) hub:shutdown(why, tid) return true end
hub:subscribe("self", {subtopic = "$RpcReq", json = true, onmsg = function(req, ptid, tid, subtid)
    local good, rsp = pcall(calls[req.name], table.unpack(req.args))
    hub:publish(good and {id = req.id, rsp = rsp} or {id = req.id, err = rsp}, ptid, "$RpcResp")
end})
"""


class OutsiderCase(ScriptTest):
    script = SCRIPT


    def setUp(self):
        super().setUp()
        self.last_id = 0

    def tearDown(self):
        pass  # a newcomer knows no secret

    def join(self, user, info=b"", credentials=None):
        client = self.bootstrap(f"/smq.lsp?user={user}")
        client.uid = self.new_uid()
        if credentials is None:
            credentials = hashlib.sha256(f"secret of {user}{client.seed}".encode()).hexdigest().encode()
        client.send(connect_frame(client.uid, credentials, info))
        return client

    def enter(self, user, info=b""):
        client = self.join(user, info)
        client.read_connack()
        return client

    def call(self, client, name, *args):
        """The answer to one request; what comes before it is kept for read_json()."""
        self.last_id += 1
        request, response = client.createsub("$RpcReq"), client.createsub("$RpcResp")
        client.publish(SERVER, json.dumps({"id": self.last_id, "name": name, "args": args}).encode(), request)
        frame = client.read_frame()
        self.assertEqual(frame, publish(client.etid, SERVER, frame.body[12:], response))
        answer = json.loads(frame.body[12:])
        self.assertEqual((answer["id"], answer.get("err")), (self.last_id, None))
        return answer.get("rsp")

    def read_json(self, client):
        return json.loads(client.read_frame().body[12:])


class ComingAndGoingTest(OutsiderCase):
    """In a server of its own, where nobody else comes and goes."""

    def test_who_comes_in_and_who_goes(self):
        self.join("joe", credentials=b"guess").expect_refused(3)
        for uid in (b"banned", self.new_uid()):
            nobody = self.bootstrap()
            nobody.send(connect_frame(uid))
            nobody.expect_refused(6)
        watcher = self.enter("watcher")
        watcher.subscribe("presence")
        joe = self.enter("joe", b"a lamp")
        news = self.read_json(watcher)
        if news["user"] == "watcher":  # its own coming may be told while it subscribes
            news = self.read_json(watcher)
        self.assertEqual(news, {"event": "join", "user": "joe", "about": "a lamp", "url": "/smq.lsp"})
        self.assertEqual(self.call(watcher, "peers"), ["joe", "server", "watcher"])
        joe.subscribe("something")
        self.assertEqual(self.call(watcher, "topics", joe.etid), ["something"])
        joe.send(disconnect())
        news = sorted((self.read_json(watcher) for _ in range(2)), key=lambda line: line["event"])
        self.assertEqual(news[0], {"event": "gone", "count": 0, "tid": joe.etid})
        self.assertEqual(news[1], {"event": "leave", "user": "joe", "err": 0, "watched": True})


class OutsiderTest(OutsiderCase):
    def test_it_sends_somebody_away(self):
        root, victim = self.enter("root"), self.enter("victim")
        self.assertTrue(self.call(root, "kick", victim.etid, "off you go"))
        victim.expect_disconnect(b"off you go")

    def test_names(self):
        joe, root = self.enter("joe"), self.enter("root")
        for name in (b"admin/keys", b"read only"):
            joe.send(create(name))
            joe.expect(ack(wire.SMQ_CREATEACK, wire.SMQ_ACK_DENIED, 0, name))
        joe.subscribe("read only")
        root.create("admin/keys")
        long = b"a sub-topic of more than 20 bytes"
        joe.send(createsub(long))
        joe.expect(ack(wire.SMQ_CREATESUBACK, wire.SMQ_ACK_DENIED, 0, long))
        self.assertEqual(self.call(joe, "names"), {"chat": True, "fixed": 4711, "ok": 3})

    def test_messages(self):
        joe = self.enter("joe")
        chat = joe.create("chat")
        joe.publish(chat, b"not heard", joe.createsub("quiet"))
        joe.publish(chat, b"hello", 3)
        joe.expect(publish(joe.etid, chat, b"heard: hello", 3))
        joe.publish(4711, b"\0\x07\0\0\0\x15")
        joe.expect(publish(joe.etid, SERVER, b"\0\x07\0\0\0\x2a", 3))
        joe.publish(joe.create("json"), b'{"a":1,"b":2,"list":["x"]}')
        self.assertEqual(self.read_json(joe), [3, "x"])
        joe.publish(joe.create("for the catch-all"), b"this", 3)
        joe.expect(publish(joe.etid, SERVER, b"nobody reads this", 3))
        joe.publish(joe.create("json"), b"{")
        joe.expect(publish(joe.etid, SERVER, b"nobody reads {"))
        joe.publish(chat, b"buy spam")
        joe.publish(joe.create("a desert"), b"lost")
        free, used, random, between, decoded, spam, lost, warnings, is_smq, is_not = self.call(joe, "misc")
        self.assertEqual((free, used, random, between, decoded, spam), (500, 0, 9, True, "any bytes", 1))
        self.assertEqual((is_smq, is_not), (True, False))
        self.assertEqual(warnings[0][0], "joe")
        self.assertIn("bad JSON", warnings[0][1])
        seen = []
        self.wait_until(lambda: seen.extend(self.call(joe, "misc")[6]) or seen, "ondrop is called")
        self.assertIn(["lost", "a desert", "joe"], seen)

    def test_unsubscribing_and_observing(self):
        joe, friend = self.enter("joe"), self.enter("friend")
        self.assertTrue(self.call(joe, "count", "counted", friend.etid))
        self.assertEqual(self.read_json(friend), ["counted", 0])
        joe.subscribe("counted")
        self.assertEqual(self.read_json(friend), ["counted", 1])
        self.assertIsNone(self.call(joe, "count", 999, friend.etid))

    def test_timers(self):
        joe, friend = self.enter("joe"), self.enter("friend")
        self.assertEqual(self.call(joe, "later", 1, friend.etid), 1)
        for text in (b"tick 1", b"tick 2", b"last"):
            friend.expect(publish(friend.etid, SERVER, text, 3))


class UnsubscribingTest(OutsiderCase):
    """In a server of its own: it takes a topic away from the script."""

    def test_unsubscribing(self):
        joe = self.enter("joe")
        self.assertTrue(self.call(joe, "leave", "chat"))
        chat, watcher = joe.create("chat"), self.enter("watcher")
        watcher.send(observe(chat))
        while watcher.read_frame() != change(chat, 0):
            pass
        joe.publish(chat, b"anybody?", 3)
        lost = []
        self.wait_until(lambda: lost.extend(self.call(joe, "misc")[6]) or lost, "ondrop is called")
        self.assertEqual(lost[0], ["anybody?", "chat", "joe"])
        self.assertTrue(self.call(joe, "come_back", "chat"))
        joe.publish(chat, b"anybody?", 3)
        joe.expect(publish(joe.etid, SERVER, b"nobody reads anybody?", 3))
