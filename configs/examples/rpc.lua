-- configs/examples/rpc.lua: functions that pages and devices can call.
--
-- A page sends {"id":1,"name":"add","args":[2,3]} to ETID 1 with the sub-topic $RpcReq, and hears
-- {"id":1,"rsp":5} on $RpcResp; smq.js and existing pages of the original do that.

local hub = require"smq.hub".create()

require"smqrpc".create(hub, {
    add = function(a, b)
        if type(a) ~= "number" or type(b) ~= "number" then return nil, "two numbers are needed" end
        return a + b
    end,
    who = function(etid) -- the caller comes last
        local peer = hub:etid2peer(etid)
        return peer and peer.uid
    end,
    clients = function()
        local uids = ba.json.array()
        for _, peer in hub:peers() do uids[#uids + 1] = peer.uid end
        return uids
    end,
})
