-- configs/examples/firmware.lua: names with the numbers that firmware knows in advance.
--
-- Small devices publish to 4711 without ever asking for the name. Here each gets an answer on a sub-topic
-- whose number it knows, too.

local hub = require"smq.hub".create()

hub:create("sensor/report", 4711)
hub:create("sensor/readings")
hub:createsub("accepted", 1)
hub:createsub("rejected", 2)

hub:subscribe("sensor/report", {
    onmsg = function(data, etid)
        -- Two bytes of type, four of value, in the network's order.
        if #data ~= 6 then
            hub:publish("6 bytes are needed", etid, "rejected")
            return
        end
        local kind, value = ba.socket.n2h(2, data), ba.socket.n2h(4, data, 3)
        hub:publish({ kind = kind, value = value }, "sensor/readings")
        hub:publish(ba.socket.h2n(2, kind), etid, "accepted")
    end,
})
