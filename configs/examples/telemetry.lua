-- configs/examples/telemetry.lua: readings go into SQLite, and a page asks for the last hour of one device.
--
-- A device publishes {"device": "pump-1", "value": 21.5} to "telemetry". The page (pages/telemetry.html, served
-- from web.root) calls history(device) by smqrpc. Writing happens in smq.async: a slow disk holds nobody up.

local smq = require"smq.hub"
local path = os.getenv"TELEMETRY_DB" or "data/telemetry.db"
local hub = smq.create()
local waiting = {} -- rows that are not written yet

-- In the worker's state. What is global there stays from call to call: the database is opened once.
local function write(rows)
    smq.async(function()
        if not database then
            database = assert(require"luasql.sqlite3".sqlite3():connect(path))
            database:execute"create table if not exists reading (device text, ms integer, value real)"
            database:execute"create index if not exists by_device on reading (device, ms)"
        end
        database:execute"begin"
        for _, row in ipairs(rows) do
            assert(database:execute(("insert into reading values ('%s', %d, %.17g)"):format(
                database:escape(row.device), row.ms, row.value)))
        end
        database:execute"commit"
        return #rows
    end, function(count, why)
        if not count then trace("readings are lost: " .. tostring(why)) end
    end)
end

-- The readings of a second go together, in one transaction.
ba.timer(function()
    if #waiting > 0 then write(waiting) end
    waiting = {}
end):set(tonumber(os.getenv"TELEMETRY_MS") or 1000)

hub:subscribe("telemetry", {
    json = true,
    onmsg = function(reading)
        if type(reading) ~= "table" or type(reading.device) ~= "string" or type(reading.value) ~= "number" then return end
        waiting[#waiting + 1] = { device = reading.device, ms = os.time() * 1000, value = reading.value }
    end,
})

-- Reading is quick with the index, so it is done here.
local reader
require"smqrpc".create(hub, {
    history = function(device)
        reader = reader or assert(require"luasql.sqlite3".sqlite3():connect(path))
        local cursor = reader:execute(
            ("select ms, value from reading where device = '%s' and ms > %d order by ms limit 5000"):format(
                reader:escape(device), (os.time() - 3600) * 1000))
        local points = ba.json.array()
        if not cursor then return points end -- nothing has been written yet
        local ms, value = cursor:fetch()
        while ms do
            points[#points + 1] = { tonumber(ms), tonumber(value) }
            ms, value = cursor:fetch()
        end
        cursor:close()
        return points
    end,
})
