-- script/sandbox.lua: what a script gets of Lua's own libraries (see script/bounds.h).
--
-- Called once for each state, before the script.

local folder, allow_os, resolve, load_module, is_over = ...

-- Lua's defaults without the process's own directory, and the script's folder before them.
local function without_here(paths)
    local kept = {}
    for path in paths:gmatch("[^;]+") do
        if path:sub(1, 2) ~= "./" then kept[#kept + 1] = path end
    end
    return table.concat(kept, ";")
end

local lua_path = folder .. "/?.lua;" .. folder .. "/?/init.lua;" .. without_here(package.path)
local c_path = without_here(package.cpath)
local searchpath, preload = package.searchpath, package.preload
local plain_load, plain_loadfile = load, loadfile
package.path, package.cpath = lua_path, c_path

local function search_lua(name)
    local path, why = searchpath(name, allow_os and package.path or lua_path)
    if not path then return why end
    local loader, message = plain_loadfile(path, "t")
    if not loader then error(("module '%s': %s"):format(name, message), 0) end
    return loader, path
end

local function search_c(name)
    local path, why = searchpath(name, allow_os and package.cpath or c_path)
    if not path then return why end
    local loader, message = load_module(path, "luaopen_" .. name:gsub("^.*%-", ""):gsub("%.", "_"))
    if not loader then error(("module '%s': %s"):format(name, message), 0) end
    return loader, path
end

local function search_preload(name)
    return preload[name] or ("no field package.preload['%s']"):format(name)
end

-- What Debian has under another name than the module's.
local packages = {
    ["luasql.postgres"] = "lua-sql-postgres", ["luasql.mysql"] = "lua-sql-mysql", ["luasql.sqlite3"] = "lua-sql-sqlite3",
    socket = "lua-socket", ["socket.http"] = "lua-socket", ltn12 = "lua-socket", mime = "lua-socket", ssl = "lua-sec",
    ["ssl.https"] = "lua-sec", cjson = "lua-cjson", lpeg = "lua-lpeg", lfs = "lua-filesystem",
}

local function search_package(name)
    return packages[name] and "Debian has it: apt-get install " .. packages[name]
end

-- require() uses this very table; a script may not put its own loaders of C code into it, as it has none.
local searchers = package.searchers
for i = #searchers, 1, -1 do searchers[i] = nil end
searchers[1], searchers[2], searchers[3], searchers[4] = search_package, search_preload, search_lua, search_c
package.loadlib = nil

-- Only the source of programs: compiled chunks are not checked by Lua and can corrupt the process.
function load(chunk, name, _, ...)
    return plain_load(chunk, name, "t", ...)
end

function loadfile(name, _, ...)
    if name == nil then return nil, "a file name is needed" end
    if allow_os then return plain_loadfile(name, "t", ...) end
    local path, why = resolve(name)
    if not path then return nil, why end
    return plain_loadfile(path, "t", ...)
end

function dofile(name)
    local chunk, why = loadfile(name)
    if not chunk then error(why, 2) end
    return chunk()
end

-- A finalizer runs where no time limit reaches it.
local plain_setmetatable, rawget = setmetatable, rawget
function setmetatable(object, metatable)
    if type(metatable) == "table" and rawget(metatable, "__gc") ~= nil then
        error("__gc is not for scripts", 2)
    end
    return plain_setmetatable(object, metatable)
end

-- Lua runs no hooks, and so knows no time limit, in the handler of an error that a hook raised, and when the
-- variables of a coroutine are closed that such an error ended.
local plain_xpcall, error = xpcall, error
function xpcall(fn, handler, ...)
    return plain_xpcall(fn, function(...)
        if is_over() then return ... end
        return handler(...)
    end, ...)
end

local create, resume = coroutine.create, coroutine.resume
local function pass(good, ...)
    if not good then error(..., 0) end
    return ...
end
function coroutine.wrap(fn)
    local thread = create(fn)
    return function(...) return pass(resume(thread, ...)) end
end
coroutine.close = nil

-- What is not for scripts says so, instead of being nil.
local function refuse(library, library_name, reason, ...)
    for _, name in ipairs{ ... } do
        library[name] = function() error(("%s.%s is not for scripts%s"):format(library_name, name, reason), 2) end
    end
end

-- These are the whole process's: never.
refuse(os, "os", "", "exit", "setlocale")
debug = { traceback = debug.traceback }
package.loaded.debug = debug
if allow_os then return end

-- Files of the script's folder only: others can be more than files (/proc/self/mem).
local plain_open, plain_lines = io.open, io.lines
local function open(name, mode)
    local path, why = resolve(name)
    if not path then return nil, why end
    return plain_open(path, mode)
end
local function lines(name, ...)
    local path, why = resolve(name)
    if not path then error(why, 2) end
    return plain_lines(path, ...)
end
io = { open = open, lines = lines, type = io.type }
os = {
    clock = os.clock, date = os.date, difftime = os.difftime, exit = os.exit, getenv = os.getenv,
    setlocale = os.setlocale, time = os.time,
}
local unless_allowed <const> = " (script.allow_os = on would allow it)"
refuse(os, "os", unless_allowed, "execute", "remove", "rename", "tmpname")
refuse(io, "io", unless_allowed, "popen", "tmpfile")
refuse(io, "io", "; print() writes to the log", "write", "read", "input", "output")
package.loaded.io, package.loaded.os = io, os
