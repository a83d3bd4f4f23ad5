-- configs/examples/telemetry.lua: readings go into SQLite, and a page asks for the last hour of one device.
--
-- A device publishes {"device": "pump-1", "value": 21.5} to "telemetry":
--
--      smq pub telemetry -m '{"device": "pump-1", "value": 21.5}'
--
-- The page (pages/telemetry.html, served from web.root) calls history(device) by smqrpc. Writing happens in
-- smq.async: a slow disk holds nobody up.

local smq = require"smq.hub"
local hub = smq.create()
local path = smq.data_dir .. "/telemetry.db"
local database = assert(require"luasql.sqlite3".sqlite3():connect(path, 1000))
local waiting = {} -- rows that are not written yet

assert(database:execute"pragma journal_mode = wal"):close() -- so reading does not wait for writing
assert(database:execute"create table if not exists reading (device text, ms integer, value real)")
assert(database:execute"create index if not exists by_device on reading (device, ms)")

-- In the worker's state. What is global there stays from call to call: the database is opened once.
local function write(rows)
    smq.async(function()
        writer = writer or assert(require"luasql.sqlite3".sqlite3():connect(path, 1000))
        writer:execute"begin"
        for _, row in ipairs(rows) do
            assert(writer:execute(("insert into reading values ('%s', %d, %.17g)"):format(
                writer:escape(row.device), row.ms, row.value)))
        end
        assert(writer:execute"commit")
    end, function(_, why)
        if why then trace("readings are lost: " .. why) end
    end)
end

-- The readings of a second go together, in one transaction.
ba.timer(function()
    if #waiting > 0 then write(waiting) end
    waiting = {}
end):set(1000)

hub:subscribe("telemetry", {
    json = true,
    onmsg = function(reading)
        if type(reading) ~= "table" or type(reading.device) ~= "string" or type(reading.value) ~= "number" then return end
        waiting[#waiting + 1] = { device = reading.device, ms = os.time() * 1000, value = reading.value }
    end,
})

-- Reading is quick with the index, so it is done here. A point for each 10 seconds: an hour of them fits into
-- one message, however often the device speaks.
require"smqrpc".create(hub, {
    history = function(device)
        local cursor = assert(database:execute(
            ("select ms / 10000 * 10000 as at, avg(value) from reading where device = '%s' and ms > %d group by at order by at")
                :format(database:escape(tostring(device)), (os.time() - 3600) * 1000)))
        local points = ba.json.array()
        local ms, value = cursor:fetch()
        while ms do
            points[#points + 1] = { tonumber(ms), tonumber(value) }
            ms, value = cursor:fetch()
        end
        cursor:close()
        return points
    end,
})

function onunload() database:close() end
