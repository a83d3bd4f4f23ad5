-- configs/examples/bridge.lua: what is published to "alarm" is posted to a web service of this machine.
--
-- It needs Debian's lua-socket, and leave to call others, which smqd otherwise does not have: bridge.conf. The
-- service's answer goes to "alarm/answer". The request is made in smq.async: a service that hangs holds up
-- the next request, and nobody else.

local smq = require"smq.hub"
local hub = smq.create()
hub:create("alarm/answer")
local url = os.getenv"BRIDGE_URL" or "http://127.0.0.1:9000/alarm"

hub:subscribe("alarm", {
    onmsg = function(data, etid)
        local body = ba.json.encode{ from = etid, text = data }
        smq.async(function()
            local http, ltn12 = require"socket.http", require"ltn12"
            http.TIMEOUT = 5
            local answer = {}
            local good, code = http.request{
                url = url, method = "POST", source = ltn12.source.string(body), sink = ltn12.sink.table(answer),
                headers = { ["Content-Type"] = "application/json", ["Content-Length"] = #body },
            }
            if not good then error(code, 0) end
            return code, table.concat(answer)
        end, function(code, answer)
            if not code then trace("the service does not answer: " .. answer) end
            hub:publish({ code = code, answer = answer }, "alarm/answer")
        end)
    end,
})
