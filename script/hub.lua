-- script/hub.lua: the hub object, require"smq.hub" (the interface: script/README.md).
--
-- Handlers, options and names are kept here; what needs the broker is in `native` (script/hub.c). The
-- broker's side calls the functions of hub_entries(), by their names.

local native, json = ...

local SELF <const> = "self"
local PAYLOAD_BYTES_MAX <const> = 0xFFF0

local hook_options = {
    "authenticate", "permittop", "permitsubtop", "onconnect", "onclose", "onpublish", "ondrop", "onmsg", "log",
}
local number_options = { "readtmo", "queuesize", "keepidle", "keepintv" }

local hub_methods = {}
local hub_meta = { __index = hub_methods, __name = "smq.hub" }

-- What belongs to a hub and is nobody's business: by hub, not in it, so that scripts may add fields.
local insides = setmetatable({}, { __mode = "k" })

local function inside(hub)
    local it = insides[hub]
    if not it then error("call it with a colon: hub:method(...)", 3) end
    return it
end

-- ---- names and numbers ----

-- A number that came from JSON or a division may be written as 42.0.
local function whole(value)
    return math.type(value) == "float" and math.tointeger(value) or value
end

local names = {} -- functions on the insides

function names.create(it, topic)
    topic = whole(topic)
    if topic == SELF then return it.core:etid() end
    if math.type(topic) == "integer" then return topic end
    if type(topic) ~= "string" then error("a topic is a name or a number, not a " .. type(topic), 3) end
    local tid = it.tids[topic]
    if tid then return tid end
    local why
    tid, why = it.core:create(topic)
    if not tid then error(("topic %q: %s"):format(topic, why), 3) end
    it.tids[topic], it.topics[tid] = tid, topic
    return tid
end

function names.create_sub(it, subtopic)
    if subtopic == nil then return 0 end
    subtopic = whole(subtopic)
    if math.type(subtopic) == "integer" then return subtopic end
    if type(subtopic) ~= "string" then error("a sub-topic is a name or a number, not a " .. type(subtopic), 3) end
    local stid = it.stids[subtopic]
    if stid then return stid end
    local why
    stid, why = it.core:createsub(subtopic)
    if not stid then error(("sub-topic %q: %s"):format(subtopic, why), 3) end
    it.stids[subtopic], it.subtopics[stid] = stid, subtopic
    return stid
end

-- The number of what is there already, or nil.
function names.find(it, topic)
    topic = whole(topic)
    if topic == SELF then return it.core:etid() end
    if math.type(topic) == "integer" then return topic end
    return it.tids[topic] or it.core:lookup(false, topic)
end

-- ---- messages to the server's own client ----

local function complain(it, ptid, text)
    local peer = it.peers[ptid]
    if it.options.log then it.options.log(peer and peer.sock, text) else native.log("warning", text) end
end

local function to_catch_all(it, data, ptid, tid, subtid)
    local onmsg = it.onmsg
    if onmsg then return onmsg(data, ptid, tid, subtid) end
    native.log("info", ("a message from %d to %s for which there is no handler: %d bytes"):format(
        ptid, it.topics[tid] or tid, #data))
end

local function on_message(it, data, ptid, tid, subtid)
    local of_topic = it.handlers[tid]
    local handler = of_topic and (of_topic[subtid] or of_topic.any)
    if not handler then return to_catch_all(it, data, ptid, tid, subtid) end
    if handler.json then
        local value, why = json.decode(data)
        if value == nil then
            complain(it, ptid, ("bad JSON from %d to %s: %s"):format(ptid, it.topics[tid] or tid, why))
            return to_catch_all(it, data, ptid, tid, subtid)
        end
        data = value
    end
    return handler.onmsg(data, ptid, tid, subtid)
end

local function on_change(it, id, count)
    local observer = it.observers[id]
    if not observer then return end
    if count == 0 and observer.is_client then it.observers[id] = nil end
    return observer.fn(count, observer.name or id)
end

-- ---- peers ----

local sock_meta = { __name = "smq.sock" }
function sock_meta.__tostring(sock) return sock.name end

-- What the broker said of a client, by its info table: an array, as it came.
local records = setmetatable({}, { __mode = "k" })
local KEY <const>, UID <const>, INFO <const>, LOGIN <const>, NAME <const>, SEED <const> = 1, 2, 3, 4, 5, 6
local ADDRESS <const>, SECURE <const>, HEAD <const>, CERT <const>, SERIAL <const>, DIGEST <const> = 7, 8, 9, 10, 11, 12
local ISSUER <const>, SANS <const>, ETID <const>, FIELDS <const> = 13, 14, 15, 16 -- as many as in hooks.c

local header_meta = {}
function header_meta.__index(header, name) -- HTTP does not care for case
    if type(name) ~= "string" then return nil end
    local lower = name:lower()
    for key, value in next, header do
        if key:lower() == lower then return value end
    end
end

local function unescape(text)
    return (text:gsub("+", " "):gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function parse_query(query)
    local data = {}
    for pair in query:gmatch("[^&]+") do
        local name, value = pair:match("^([^=]*)=?(.*)$")
        data[unescape(name)] = unescape(value)
    end
    return data
end

local function parse_head(info, head)
    local url = head:match("^%S+%s+(%S+)") or ""
    local header = {}
    for line in head:gmatch("\r?\n([^\r\n]+)") do
        local name, value = line:match("^([^:]+):%s*(.-)%s*$")
        if name then header[name] = value end
    end
    rawset(info, "url", (url:match("^[^?]*")))
    rawset(info, "data", parse_query(url:match("?(.*)$") or ""))
    rawset(info, "header", setmetatable(header, header_meta))
end

-- A web login has a table of the script's own: the connections of one browser share it, the next ones too.
-- It is known by the cookie, whose value is not shown.
local SESSIONS_MAX <const> = 256 -- as many as the broker keeps; one more takes the oldest one's place
local sessions, session_cookies, session_place = {}, {}, 0

local function session_of(info)
    local record = records[info]
    local cookie = record[LOGIN] == "web" and (info.header.Cookie or ""):match("smqd_session=(%x+)")
    if not cookie then return nil end
    if not sessions[cookie] then
        session_place = session_place % SESSIONS_MAX + 1
        local oldest = session_cookies[session_place]
        if oldest then sessions[oldest] = nil end
        sessions[cookie], session_cookies[session_place] = { uname = record[NAME] }, cookie
    end
    return sessions[cookie]
end

-- The request is taken apart when somebody asks.
local info_meta = {}
function info_meta.__index(info, key)
    if key == "session" then return session_of(info) end
    if key ~= "url" and key ~= "data" and key ~= "header" then return nil end
    parse_head(info, records[info][HEAD])
    return rawget(info, key)
end

local function new_peer(it, record)
    local sock = setmetatable({ key = record[KEY], name = record[ADDRESS] }, sock_meta)
    local has_name = record[LOGIN] == "user" or record[LOGIN] == "web"
    local info = setmetatable({
        uid = record[UID], info = record[INFO], seed = record[SEED], sock = sock,
        peername = record[ADDRESS], secure = record[SECURE], uname = has_name and record[NAME] or nil,
    }, info_meta)
    if record[DIGEST] then
        info.cert = {
            subject = record[CERT], serial = record[SERIAL], sha256 = record[DIGEST], issuer = record[ISSUER], sans = {},
        }
        for name in record[SANS]:gmatch("([^\0]+)\0") do table.insert(info.cert.sans, name) end
    end
    records[info] = record
    local peer = setmetatable(
        { uid = record[UID], sock = sock, info = record[INFO], closing = false, phantom = false }, it.peer_meta)
    it.by_key[record[KEY]], it.infos[peer] = peer, info
    return peer, info
end

local function peer_of(it, etid)
    local peer = it.peers[etid]
    if not peer and etid == it.core:etid() then peer = it.own_peer end
    return peer
end

local function on_joined(it, key, etid)
    local peer, other = it.by_key[key], it.peers[etid]
    if not peer then return end
    if other then it.left(other.sock.key, "reconnect") end -- its own end is on another way, and later
    peer.tid, it.peers[etid] = etid, peer
    records[it.infos[peer]][ETID] = etid
    if it.options.onconnect then it.options.onconnect(etid, it.infos[peer], peer) end
end

local function on_left(it, key, reason, topics)
    local peer = it.by_key[key]
    if not peer then return end
    it.by_key[key] = nil -- first: an error in the script must not keep it
    if not peer.tid then return end
    peer.closing, peer.topics = true, topics
    if it.peers[peer.tid] == peer then it.peers[peer.tid] = nil end
    it.leaving = peer -- it can still be found
    local onclose = it.options.onclose
    local went_well, why = true, nil
    if onclose then went_well, why = pcall(onclose, peer.tid, peer.sock, peer, reason) end
    it.leaving = nil
    if not went_well then error(why, 0) end
end

-- Sub-topics that were permitted are not asked about again, nor those that are there already.
local ALLOWED_MAX <const> = 20000

local function permit_subtopic(it, key, subtopic)
    if it.allowed[subtopic] or it.stids[subtopic] or it.core:lookup(true, subtopic) then return true end
    if not it.options.permitsubtop(subtopic, it.by_key[key]) then return false end
    if it.allowed_count == ALLOWED_MAX then it.allowed, it.allowed_count = {}, 0 end
    it.allowed[subtopic], it.allowed_count = true, it.allowed_count + 1
    return true
end

-- What a script has added to a peer, packed. Only plain values can go to the next script.
local own_fields = { uid = true, tid = true, sock = true, info = true, topics = true, closing = true, phantom = true }

local function packed_fields(peer, left_out)
    local fields
    for name, value in next, peer do
        if not own_fields[name] then
            if pcall(native.pack, { [name] = value }) then
                fields = fields or {}
                fields[name] = value
            else
                left_out[tostring(name)] = type(value)
            end
        end
    end
    return fields and native.pack(fields)
end

-- All that the next script must know of those who are there.
local function exported(it)
    local list, left_out = {}, {}
    for _, peer in pairs(it.by_key) do
        local record = records[it.infos[peer]]
        record[FIELDS] = packed_fields(peer, left_out)
        list[#list + 1] = record
    end
    for name, kind in pairs(left_out) do
        native.log("warning", ("peer.%s is a %s, and stays behind: the new script does not find it"):format(name, kind))
    end
    return list
end

local function imported(it, ...)
    local record = { ... }
    local peer = new_peer(it, record)
    local etid = record[ETID]
    for name, value in pairs(record[FIELDS] and native.unpack(record[FIELDS]) or {}) do peer[name] = value end
    record[FIELDS] = nil
    if etid then peer.tid, it.peers[etid] = etid, peer end
end

-- ---- what the broker calls ----

-- Only what the script wants is in the table: the rest stays on the broker's fast way.
local function hub_entries(it)
    local options = it.options
    local entries = {
        message = function(...) return on_message(it, ...) end,
        change = function(...) return on_change(it, ...) end,
        subscriptions = function() return it.subscribed end,
        observations = function() return it.observers end,
        introduced = function(credentials, ...)
            local _, info = new_peer(it, { ... })
            if not options.authenticate then return 0 end
            return options.authenticate(credentials, info)
        end,
        joined = function(key, etid) return on_joined(it, key, etid) end,
        left = it.left,
        exported = function() return exported(it) end,
        imported = function(...) return imported(it, ...) end,
    }
    if options.authenticate then entries.authenticate = options.authenticate end -- for who counts
    if options.permittop then
        entries.permittop = function(key, topic, is_sub) return options.permittop(topic, is_sub, it.by_key[key]) end
    end
    if options.permitsubtop then
        entries.permitsubtop = function(key, subtopic) return permit_subtopic(it, key, subtopic) end
    end
    if options.onpublish then
        local onpublish, tids, by_key = options.onpublish, it.onpublish_tids, it.by_key
        entries.onpublish = function(data, ptid, tid, subtid, key)
            if tids and not tids[tid] then return true end
            return onpublish(data, ptid, tid, subtid, by_key[key])
        end
    end
    if options.ondrop then
        entries.ondrop = function(data, ptid, tid, subtid, key)
            return options.ondrop(data, ptid, tid, subtid, it.by_key[key] or peer_of(it, ptid))
        end
    end
    return entries
end

local function bind(it)
    local options = it.options
    it.core:times(options.readtmo, options.keepidle, options.keepintv)
    it.core:bind(hub_entries(it), it.onpublish_tids)
end

-- ---- publishing ----

local function text_of(data)
    if type(data) == "table" then data = json.encode(data) end
    if type(data) == "number" then data = tostring(data) end
    if type(data) ~= "string" then error("data is a string or a table, not a " .. type(data), 3) end
    if #data > PAYLOAD_BYTES_MAX then
        error(("%d bytes are more than a message takes (%d)"):format(#data, PAYLOAD_BYTES_MAX), 3)
    end
    return data
end

-- How often onpublish may lead to itself, by publishing what it then judges.
local NESTED_MAX <const> = 8

-- The script's own messages are judged, too. An error is a no, as everywhere.
local function passes_own(it, ...)
    local call = native.call_number() -- one that ran out of time did not count down
    if it.nested_in ~= call then it.nested, it.nested_in = 0, call end
    if it.nested == NESTED_MAX then
        error("onpublish publishes, and so is called again, and again: leave out what comes from hub:gettid()", 0)
    end
    it.nested = it.nested + 1
    local good, verdict = xpcall(it.options.onpublish, debug.traceback, ...)
    it.nested = it.nested - 1
    if good then return verdict end
    native.failed(verdict)
    return false
end

function hub_methods.publish(hub, data, topic, subtopic)
    local it = inside(hub)
    data = text_of(data)
    local tid, stid = names.create(it, topic), names.create_sub(it, subtopic)
    local own = it.core:etid()
    if it.options.onpublish and (not it.onpublish_tids or it.onpublish_tids[tid])
        and not passes_own(it, data, own, tid, stid, it.own_peer) then
        return 0
    end
    return it.core:send(tid, own, stid, data)
end

function hub_methods.pubon(hub, data, to_etid, from_etid, subtid)
    local it = inside(hub)
    data, to_etid, from_etid = text_of(data), whole(to_etid), whole(from_etid)
    if math.type(to_etid) ~= "integer" or math.type(from_etid) ~= "integer" then error("an ETID is a number", 2) end
    if not it.core:is_client(to_etid) then return false end
    return it.core:send(to_etid, from_etid, names.create_sub(it, subtid), data) > 0
end

-- ---- subscribing ----

function hub_methods.subscribe(hub, topic, settings)
    local it = inside(hub)
    settings = settings or {}
    if settings.onmsg ~= nil and type(settings.onmsg) ~= "function" then error("onmsg is not a function", 2) end
    local stid = settings.subtopic ~= nil and names.create_sub(it, settings.subtopic) or "any"
    local tid, why
    topic = whole(topic)
    if topic == SELF or topic == it.core:etid() then
        tid = it.core:etid()
    else
        local name = topic
        if math.type(topic) == "integer" then
            name = it.topics[topic] or it.core:lookup(false, topic)
            if not name then error(("there is no topic %d"):format(topic), 2) end
        elseif type(topic) ~= "string" then
            error("a topic is a name or a number, not a " .. type(topic), 2)
        end
        tid, why = it.core:subscribe(name)
        if not tid then error(("topic %q: %s"):format(name, why), 2) end
        it.tids[name], it.topics[tid] = tid, name
        it.subscribed[tid] = true
    end
    local of_topic = it.handlers[tid] or {}
    it.handlers[tid] = of_topic
    of_topic[stid] = settings.onmsg and { onmsg = settings.onmsg, json = settings.json } or
        (settings.json and { onmsg = function(...) return to_catch_all(it, ...) end, json = true }) or nil
    return tid
end

function hub_methods.unsubscribe(hub, topic)
    local it = inside(hub)
    local tid = names.find(it, topic)
    if not tid then return end
    it.handlers[tid] = nil
    if it.subscribed[tid] then
        it.subscribed[tid] = nil
        it.core:unsubscribe(tid)
    end
end

function hub_methods.observe(hub, topic, fn)
    local it = inside(hub)
    if type(fn) ~= "function" then error("observe needs a function", 2) end
    local id = names.create(it, topic)
    topic = whole(topic)
    if id == it.core:etid() then return nil end
    local is_client = math.type(topic) == "integer" and it.core:is_client(topic)
    local before = it.observers[id]
    it.observers[id] = { fn = fn, name = type(topic) == "string" and topic or nil, is_client = is_client }
    if it.core:observe(id) then return true end
    it.observers[id] = before
    return nil
end

function hub_methods.unobserve(hub, topic)
    local it = inside(hub)
    local id = names.find(it, topic)
    if not id or not it.observers[id] then return end
    it.observers[id] = nil
    it.core:unobserve(id)
end

-- ---- names ----

function hub_methods.create(hub, topic, tid)
    local it = inside(hub)
    if tid == nil then return names.create(it, topic) end
    local id, why = it.core:create(topic, tid)
    if not id then error(("topic %q with id %s: %s"):format(topic, tid, why), 2) end
    it.tids[topic], it.topics[id] = id, topic
    return id
end

function hub_methods.createsub(hub, subtopic, stid)
    local it = inside(hub)
    if stid == nil then return names.create_sub(it, subtopic) end
    local id, why = it.core:createsub(subtopic, stid)
    if not id then error(("sub-topic %q with id %s: %s"):format(subtopic, stid, why), 2) end
    it.stids[subtopic], it.subtopics[id] = id, subtopic
    return id
end

function hub_methods.gettid(hub) return inside(hub).core:etid() end

function hub_methods.topic2tid(hub, topic)
    local it = inside(hub)
    return it.tids[topic] or it.core:lookup(false, tostring(topic))
end

function hub_methods.tid2topic(hub, tid)
    local it = inside(hub)
    return it.topics[tid] or it.core:lookup(false, math.tointeger(tid) or error("a TID is a number", 2))
end

function hub_methods.subtopic2tid(hub, subtopic)
    local it = inside(hub)
    return it.stids[subtopic] or it.core:lookup(true, tostring(subtopic))
end

function hub_methods.tid2subtopic(hub, stid)
    local it = inside(hub)
    return it.subtopics[stid] or it.core:lookup(true, math.tointeger(stid) or error("a number is needed", 2))
end

-- All names at this moment, in a table of their own: the script may change them while it walks.
function hub_methods.topics(hub) return next, inside(hub).core:list(false), nil end

function hub_methods.subtopics(hub) return next, inside(hub).core:list(true), nil end

-- ---- peers ----

function hub_methods.peers(hub)
    local it = inside(hub)
    local all = { [it.own_peer.sock] = it.own_peer }
    for _, peer in pairs(it.peers) do all[peer.sock] = peer end
    return next, all, nil
end

function hub_methods.sock2peer(hub, sock)
    local it = inside(hub)
    if sock ~= nil and sock == it.own_peer.sock then return it.own_peer end
    if type(sock) ~= "table" then return nil end
    return it.by_key[sock.key] or it.leaving and it.leaving.sock == sock and it.leaving or nil
end

function hub_methods.etid2peer(hub, etid)
    local it = inside(hub)
    etid = whole(etid)
    return peer_of(it, etid) or it.leaving and it.leaving.tid == etid and it.leaving or nil
end

function hub_methods.shutdown(hub, msg, etid)
    local it = inside(hub)
    if msg ~= nil then msg = tostring(msg) end
    if etid ~= nil then
        local peer = it.peers[etid]
        if peer then it.core:disconnect(peer.sock.key, msg) end
        return
    end
    for key in pairs(it.by_key) do it.core:disconnect(key, msg) end
end

-- ---- the rest ----

function hub_methods.onmsg(hub, fn)
    if type(fn) ~= "function" then error("onmsg needs a function", 2) end
    inside(hub).onmsg = fn
end

-- hub:onpublish(fn [, {topics}]): later than create, and for some topics only.
function hub_methods.onpublish(hub, fn, topics)
    local it = inside(hub)
    if fn ~= nil and type(fn) ~= "function" then error("onpublish needs a function", 2) end
    it.options.onpublish = fn
    it.onpublish_tids = nil
    if topics then
        it.onpublish_tids = {}
        for _, topic in ipairs(topics) do it.onpublish_tids[names.create(it, topic)] = true end
    end
    bind(it)
end

function hub_methods.queuesize(hub) return inside(hub).core:room() end

function hub_methods.setkeepalive(hub, idle, interval)
    local it = inside(hub)
    idle = tonumber(idle)
    interval = interval == nil and idle and math.max(3, idle // 10) or tonumber(interval)
    if not idle or not interval or idle <= 0 or interval <= 0 then error("seconds are a number above 0", 2) end
    it.options.keepidle, it.options.keepintv = idle, interval
    if it.core:is_bound() then bind(it) end
end

function hub_methods.listen(hub, path)
    local it = inside(hub)
    it.core:listen(path)
    bind(it)
end

-- The one thing that is another here: there is no page whose request could become a connection.
function hub_methods.connect()
    error([[hub:connect(request) is not needed: the configuration binds the script, instance "/smq.lsp" { script = "..." }]], 2)
end

-- ---- the module ----

local module = {}

local is_option = { rndtid = true }
for _, list in ipairs{ hook_options, number_options } do
    for _, name in ipairs(list) do is_option[name] = true end
end

-- A hook with a typing error in its name is never asked, and lets everybody in: so say it.
local function warn_of_unknown(options)
    local known = {}
    for name in pairs(is_option) do known[#known + 1] = name end
    for key in pairs(options) do
        if not is_option[key] then
            local near = type(key) == "string" and native.nearest(key, table.unpack(known))
            native.log("warning", ("create: there is no option %s%s"):format(
                tostring(key), near and ("; did you mean %s?"):format(near) or ""))
        end
    end
end

local function check_options(options)
    local checked = {}
    warn_of_unknown(options)
    for key, value in pairs(options) do checked[key] = value end
    for _, name in ipairs(hook_options) do
        if options[name] ~= nil and type(options[name]) ~= "function" then
            error(("the option %s is a %s, not a function"):format(name, type(options[name])), 3)
        end
    end
    for _, name in ipairs(number_options) do
        local value = options[name]
        if value ~= nil and (type(value) ~= "number" or value <= 0) then
            error(("the option %s is not a number above 0"):format(name), 3)
        end
    end
    if options.keepidle and not options.keepintv then checked.keepintv = math.max(3, options.keepidle // 10) end
    return checked
end

function module.create(options)
    if options ~= nil and type(options) ~= "table" then error("the options are a table", 2) end
    options = check_options(options or {})
    local hub = setmetatable({}, hub_meta)
    local it = {
        core = native.new(options.rndtid and true or false, options.queuesize),
        options = options,
        onmsg = options.onmsg,
        tids = {}, topics = {}, stids = {}, subtopics = {},
        handlers = {}, subscribed = {}, observers = {},
        peers = {}, by_key = {}, infos = setmetatable({}, { __mode = "k" }), allowed = {}, allowed_count = 0,
        nested = 0,
    }
    it.peer_meta = { -- what a client subscribes to is the broker's to know, and asked for
        __index = function(peer, key)
            if key ~= "topics" or not peer.tid then return nil end
            local topics = {}
            for tid in pairs(it.core:topics_of(peer.sock.key)) do topics[tid] = tid end
            return topics
        end,
    }
    insides[hub] = it
    it.left = function(...) return on_left(it, ...) end
    it.own_peer = setmetatable({ uid = "server", info = "server" }, {
        __index = function(peer, key)
            if key == "tid" then return it.core:etid() end
            if key == "topics" then
                local topics = {}
                for tid in pairs(it.subscribed) do topics[tid] = tid end
                return topics
            end
        end,
    })
    it.own_peer.sock = setmetatable({ name = "server" }, {
        __index = function(_, key) if key == "etid" then return it.core:etid() end end,
        __tostring = function(sock) return sock.name end,
    })
    if it.core:is_bound() then bind(it) end
    return hub
end

-- Does this request (of a page, or a table of headers) want SMQ?
function module.isSMQ(request)
    if type(request) ~= "table" and type(request) ~= "userdata" then return false end
    local headers = request
    if type(request.header) == "function" then
        headers = request:header()
    elseif type(request.header) == "table" then
        headers = request.header
    end
    local found = {}
    for name, value in pairs(headers) do found[tostring(name):lower()] = tostring(value) end
    return found.simplemq ~= nil
        or (found.upgrade or ""):lower() == "websocket" and (found["sec-websocket-protocol"] or ""):find("SimpleMQ", 1, true) ~= nil
end

-- smq.async(fn, callback): fn runs in a state of its own, callback(what it returned) here.
module.async = native.async

-- Where the broker keeps its files, as an absolute path: a script's databases belong there.
module.data_dir = native.data_dir

return module
