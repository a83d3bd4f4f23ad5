-- script/rpc.lua: require"smqrpc", answers to the requests of pages and devices.
--
--      rpc.create(hub, { name = function(arguments…, peer's ETID) … end })
--
-- A request comes to the server's own client with the sub-topic $RpcReq: {"id":…,"name":…,"args":[…]}. The
-- answer goes back on $RpcResp: {"id":…,"rsp":…}, or {"id":…,"err":…} when the function raised an error,
-- returned nil and a text, or is not there.

local json = ...

local module = {}

local function answer_to(functions, request, etid)
    local fn = functions[request.name]
    if type(fn) ~= "function" then return { id = request.id, err = "there is no " .. tostring(request.name) } end
    local arguments = type(request.args) == "table" and request.args or {}
    local count = #arguments
    for i = 1, count do
        if arguments[i] == json.null then arguments[i] = nil end
    end
    arguments[count + 1] = etid
    local good, response, why = pcall(fn, table.unpack(arguments, 1, count + 1))
    if not good then
        trace(("rpc %s: %s"):format(request.name, response))
        return { id = request.id, err = type(response) == "table" and response or tostring(response) }
    end
    if response == nil and why ~= nil then return { id = request.id, err = why } end
    if response == nil then response = json.null end
    return { id = request.id, rsp = response }
end

function module.create(hub, functions)
    if type(functions) ~= "table" then error("rpc.create(hub, {name = function})", 2) end
    local response_stid = hub:createsub("$RpcResp")
    hub:subscribe("self", {
        subtopic = "$RpcReq",
        json = true,
        onmsg = function(request, etid)
            if type(request) ~= "table" then return end
            local answer = answer_to(functions, request, etid)
            local good, why = pcall(hub.publish, hub, answer, etid, response_stid)
            if not good then
                hub:publish({ id = request.id, err = "the answer cannot be sent: " .. tostring(why) }, etid, response_stid)
            end
        end,
    })
    return functions
end

return module
