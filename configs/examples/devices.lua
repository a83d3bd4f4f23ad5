-- configs/examples/devices.lua: who may connect stands in an SQLite database.
--
--      sqlite3 data/devices.db "insert into device values ('pump-1', 'its secret', 1)"
--
-- (data: the broker's data_dir; the table is made at the first start; apt-get install sqlite3.)
-- A device shows its secret as the Connect's credentials; its UID is its name in the table. The file may
-- be changed at any time, by any program. In a real one, keep a hash of the secret.

local smq = require"smq.hub"
local sqlite = require"luasql.sqlite3".sqlite3()
local database = assert(sqlite:connect(smq.data_dir .. "/devices.db", 1000)) -- wait 1 s for who writes
database:execute"create table if not exists device (uid text primary key, secret text, allowed integer)"

local function find(uid)
    local cursor = assert(database:execute(("select secret, allowed from device where uid = '%s'"):format(
        database:escape(uid))))
    local secret, allowed = cursor:fetch()
    cursor:close()
    return secret, tonumber(allowed) == 1
end

smq.create{
    authenticate = function(credentials, info)
        local secret, allowed = find(info.uid)
        if secret ~= credentials then return 3, "unknown device, or a wrong secret" end
        if not allowed then return 6, "this device is blocked" end
        return 0
    end,
    onconnect = function(tid, info) trace(info.uid .. " is in, from " .. info.peername) end,
    onclose = function(tid, sock, peer, reason) trace(peer.uid .. " is out: " .. tostring(reason)) end,
}

function onunload() database:close() end
