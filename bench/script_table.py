"""bench/script_table.py: what a Lua script costs those who need it, and those who do not.

No peers here: each figure is compared with smqd's own without the script, or with another one, in
the same run. Ratios are of runs beside each other in time, and the median over the rounds counts.
"""

import json
import os
import re
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import threading
import time

import brokers
from figures import (
    CPU, METRICS, P99, RATE, ROUNDS, SMQ, SMQBENCH, SMQD, measure, number, progress, with_broker,
)  # fmt: skip

CASES = {
    "luapath": "a script without onpublish: cost for a message",
    "luapublish": "onpublish on every message: messages a second through Lua",
    "lualogin": "authenticate with an SQLite lookup: what others feel of it",
    "lualoop": "a function with an endless loop in each hook: what others feel of it",
    "luamemory": "a function that eats memory in each hook",
    "luathrow": "a function that throws in each hook",
}

SCRIPTED, PLAIN = "/smq.lsp", "/plain.lsp"

PATH_ROUNDS = 12
PATH_SECONDS = 0.4
PATH_GOAL = 1.02
PUBLISH_GOAL = 150_000
LOGIN_RATE = 5500  # visits begun each second; at least LOGIN_GOAL of them must be whole
LOGIN_GOAL = 5000
LOGIN_SECONDS = 2
LOGIN_DEVICES = 10_000
P99_GOAL = 1.2
OTHERS = "pair --pairs 10 --rate 5000"  # who must not notice
BAD_SECONDS = 1
FEEDS_PER_SECOND = 20
TIMEOUT_SECONDS = 5
INIT, CONNECT, CONNACK, SUBSCRIBE, PUBLISH, DISCONNECT, CREATESUB = 1, 2, 3, 4, 8, 11, 17
LUA_ETID, NOBODY = 1, 0x7FFFFFFF

IDLE_LUA = """
local hub = require"smq.hub".create{
    authenticate = function(credentials, info) return 0 end,
    onconnect = function(tid, info, peer) peer.since = ba.clock() end,
    onclose = function(tid, sock, peer, reason) end,
}
hub:subscribe("script", { onmsg = function(data) end })
"""
ELSEWHERE_LUA = IDLE_LUA + """
hub:onpublish(function(data) return true end, { "elsewhere" })
"""
ONPUBLISH_LUA = """
require"smq.hub".create{ onpublish = function(data, from, tid, subtid, peer) return #data > 0 and peer.tid == from end }
"""
# The generator's UIDs are "smqb", the run and the client's number, in binary.
LOGIN_LUA = """
local database = assert(require"luasql.sqlite3".sqlite3():connect"DATABASE")
require"smq.hub".create{
    authenticate = function(credentials, info)
        local name = ("device-%05d"):format(string.unpack(">I4", info.uid:sub(-4)) % DEVICES)
        local cursor = assert(database:execute(
            ("select allowed from device where uid = '%s'"):format(database:escape(name))))
        local allowed = cursor:fetch()
        cursor:close()
        return tonumber(allowed) == 1 and 0 or 6
    end,
}
"""
HOOKS = (
    "authenticate", "permittop", "permitsubtop", "onpublish", "ondrop", "onconnect", "onclose", "onmsg"
)  # fmt: skip
BAD_LUA = {
    "lualoop": "while true do end",
    "luamemory": "local all = {} while true do all[#all + 1] = ('x'):rep(100000) .. #all end",
    "luathrow": "error('thrown on purpose')",
}
REASONS = {
    "lualoop": "script.callback_ms",
    "luamemory": "not enough memory",
    "luathrow": "thrown on purpose",
}
GOOD_LUA = """
local options = {
    authenticate = function() return 0 end,
    permittop = function() return true end,
    permitsubtop = function() return true end,
    onpublish = function() return true end,
    ondrop = function() end, onconnect = function() end, onclose = function() end, onmsg = function() end,
}
"""


class Scripted(brokers.Smqd):
    """smqd with a script for some of its instances. @scripts: path to Lua, None: without."""

    def __init__(self, scripts, name="smqd", settings=()):
        super().__init__(SMQD, name, settings)
        self.scripts = scripts

    def start(self, group=None):
        with open(self.file("smqd.conf"), "w", encoding="ascii") as config:
            for index, (path, lua) in enumerate(self.scripts.items()):
                if lua is None:
                    config.write(f'instance "{path}" {{\n}}\n')
                    continue
                script = self.file(f"{index}.lua")
                with open(script, "w", encoding="ascii") as out:
                    out.write(lua)
                config.write(f'instance "{path}" {{\n    script = "{script}"\n}}\n')
        return super().start(group)

    def file(self, name):
        return os.path.join(self.folder, name)

    def command(self):
        return [*super().command(), "--config", self.file("smqd.conf")]

    def script_stats(self):
        """By path: what `smq stats` says about its script."""
        done = subprocess.run(
            [SMQ, "stats", "--json", "--data-dir", self.folder], capture_output=True, check=True
        )
        return {row["instance"]: row for row in json.loads(done.stdout)["scripts"]}

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()


# -- the publish path --


def run_path(report):
    """Two brokers without a script, whose difference is noise; with one; and with an onpublish for
    topics that nobody uses here."""
    report.say("### A script without onpublish: 10 pairs, window 64\n")
    running = []
    makers = {"none": None, "none again": None, "script": IDLE_LUA, "elsewhere": ELSEWHERE_LUA}
    try:
        for name, lua in makers.items():
            running.append(Scripted({SCRIPTED: lua}, name).start())
        costs = path_costs(report, running)
    except RuntimeError as error:
        report.notes.append(str(error))
        report.say(f"failed: {report.judge(False)}\n")
        return
    finally:
        for broker in running:
            broker.stop()
    report.raw["luapath"] = costs
    if not costs:
        report.say(f"failed: {report.judge(False)}\n")
        return
    least = {name: min(values) for name, values in zip(makers, zip(*costs))}
    plain = [least["none"], least["none again"]]
    ratios = {
        name: statistics.median(row[index] / statistics.mean(row[:2]) for row in costs)
        for index, name in enumerate(makers)
    }
    words = [
        f"Server CPU for a message, beside the two brokers without a script: median of {len(costs)} "
        f"rounds (least of all, µs). Without: {percent(ratios['none'])} ({number(plain[0])}) and "
        f"{percent(ratios['none again'])} ({number(plain[1])}), which is the noise."
    ]
    for name, title in (("script", "A script without onpublish"),
                        ("elsewhere", "onpublish for another topic")):  # fmt: skip
        met = ratios[name] <= PATH_GOAL
        words.append(
            f"{title}: {percent(ratios[name])} ({number(least[name])}; goal <= "
            f"{percent(PATH_GOAL)}): {report.judge(met)}."
        )
    report.say(" ".join(words) + "\n")


def percent(ratio):
    return f"{100 * (ratio - 1):+.1f} %"


def path_costs(report, running):
    """For each whole round: µs of processor time for a message, a broker each."""
    rows = []
    for round_index in range(PATH_ROUNDS):
        progress(f"luapath: round {round_index + 1} of {PATH_ROUNDS}")
        first = round_index % len(running)  # who comes second finds another machine
        results = {}
        for broker in running[first:] + running[:first]:
            words = f"pair --pairs 10 --seconds {PATH_SECONDS} --warmup 0.2"
            results[broker.name] = measure(report, broker, words)
        if None not in results.values():
            rows.append([METRICS[CPU][1](results[broker.name]) for broker in running])
    return rows


# -- messages through Lua --


def run_publish(report):
    report.say("### onpublish on every message: 10 pairs, window 64\n")

    def body(_report, broker):
        results, lua_us = [], []
        for round_index in range(ROUNDS):
            progress(f"luapublish: round {round_index + 1} of {ROUNDS}")
            before = broker.script_stats()[SCRIPTED]
            results.append(measure(report, broker, "pair --pairs 10"))
            after = broker.script_stats()[SCRIPTED]
            calls = calls_of(after, "onpublish") - calls_of(before, "onpublish")
            lua_us.append((after["cpu_us"] - before["cpu_us"]) / max(calls, 1))
            if results[-1] and calls < results[-1]["delivered"]:
                report.notes.append(f"luapublish: {calls:,} calls only")
                results[-1] = None
        report.raw["luapublish"] = {"results": results, "lua_us": lua_us}
        if None in results:
            report.say(f"failed: {report.judge(False)}\n")
            return
        rate, p99, cpu = (
            statistics.median(METRICS[metric][1](result) for result in results)
            for metric in (RATE, P99, CPU)
        )
        in_order = all(result["ok"] for result in results)
        report.say(
            f"{rate:,.0f} messages/s, each through Lua (goal >= {PUBLISH_GOAL:,}), "
            f"{'none' if in_order else 'SOME'} lost, repeated or reordered: "
            f"{report.judge(in_order and rate >= PUBLISH_GOAL)}. The script's thread takes "
            f"{number(statistics.median(lua_us))} µs for a message, all of smqd {number(cpu)}; "
            f"p99 {number(p99)} µs.\n"
        )

    with_broker(report, lambda: Scripted({SCRIPTED: ONPUBLISH_LUA}), body)


def calls_of(row, function):
    return row["functions"].get(function, {}).get("calls_total", 0)


# -- logins --


class Visitors:
    """smqbench churn, beside something else."""

    def __init__(self, broker, path):
        words = f"churn --rate {LOGIN_RATE} --connections 64 --seconds {LOGIN_SECONDS + 0.5}"
        self.process = subprocess.Popen(
            [SMQBENCH, *words.split(), "--path", path, "--connect", f"127.0.0.1:{broker.port}",
             "--pid", str(broker.process.pid), "--json", "--quiet"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def result(self):
        """Its JSON object. Raises RuntimeError."""
        out, error = self.process.communicate()
        if self.process.returncode not in (0, 1):
            raise RuntimeError(f"churn failed: {error.strip()}")
        return json.loads(out)


def others(report, broker, seconds, path=PLAIN):
    return measure(report, broker, f"{OTHERS} --path {path} --seconds {seconds} --warmup 0.3")


def login_round(report, broker):
    """(p99 of others when it is quiet, beside visitors without and with a script; the visitors)"""
    found = [others(report, broker, LOGIN_SECONDS, SCRIPTED)]
    visits = []
    for path in (PLAIN, SCRIPTED):
        visitors = Visitors(broker, path)
        found.append(others(report, broker, LOGIN_SECONDS, SCRIPTED))
        visits.append(visitors.result())
    return found, visits


def run_login(report):
    report.say(
        f"### authenticate looks into SQLite ({LOGIN_DEVICES:,} devices): connect, subscribe, leave, "
        f"{LOGIN_RATE:,} a second by the clock\n"
    )

    def body(_report, broker):
        rounds = []
        for round_index in range(ROUNDS):
            progress(f"lualogin: round {round_index + 1} of {ROUNDS}")
            rounds.append(login_round(report, broker))
        report.raw["lualogin"] = rounds
        if any(None in found for found, _ in rounds):
            report.say(f"failed: {report.judge(False)}\n")
            return
        p99s = [[METRICS[P99][1](result) for result in found] for found, _ in rounds]
        quiet, plain, scripted = (statistics.median(column) for column in zip(*p99s))
        rates = [
            statistics.median(visits[index]["rate_per_s"] for _, visits in rounds)
            for index in range(2)
        ]
        failed = sum(visits[1]["failed"] for _, visits in rounds)
        ratio = statistics.median(row[2] / row[1] for row in p99s)
        row = broker.script_stats()[SCRIPTED]["functions"]["authenticate"]
        report.say(
            f"{rates[1]:,.0f} connections/s admitted by the script, {failed} failed (goal >= "
            f"{LOGIN_GOAL:,}): {report.judge(rates[1] >= LOGIN_GOAL and failed == 0)}; without a "
            f"script {rates[0]:,.0f}. A call takes "
            f"{row['time_us_total'] / row['calls_total']:.0f} µs. Others' p99, at 5,000 messages/s: "
            f"{number(scripted)} µs beside these, {number(plain)} beside the same without a script, "
            f"{number(quiet)} when nobody comes. With : without a script {ratio:.2f} (goal <= "
            f"{P99_GOAL:g}): {report.judge(ratio <= P99_GOAL)}.\n"
        )

    with_broker(report, make_login_broker, body)


def make_login_broker():
    broker = Scripted({SCRIPTED: None, PLAIN: None})
    path = broker.file("devices.db")
    with sqlite3.connect(path) as database:
        database.execute("create table device (uid text primary key, allowed integer)")
        database.executemany(
            "insert into device values (?, 1)",
            ((f"device-{index:05}",) for index in range(LOGIN_DEVICES)),
        )
    database.close()
    broker.scripts[SCRIPTED] = LOGIN_LUA.replace("DATABASE", path).replace(
        "DEVICES", str(LOGIN_DEVICES)
    )
    return broker


# -- scripts that go wrong --


def bad_script(hook, lua):
    """All hooks are there and do nothing; @hook does @lua."""
    return (
        GOOD_LUA
        + f"options.{hook} = function() {lua} end\n"
        + 'local hub = require"smq.hub".create(options)\nhub:subscribe"self"\n'
    )


class Feed:
    """Clients of one instance that come, make every hook be called, and go, while a `with` lasts."""

    def __init__(self, port, path):
        self.port, self.path = port, path
        self.count = 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()

    def run(self):
        while not self.is_over.wait(1 / FEEDS_PER_SECOND):
            self.count += 1
            try:
                self.visit()
            except OSError:
                continue  # refused, or it took too long: as it should be

    def visit(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_SECONDS) as line:
            uid = b"feed-%08d" % self.count
            line.sendall(
                f"GET {self.path} HTTP/1.0\r\nHost: localhost\r\nSimpleMQ: 1\r\n\r\n".encode()
                + frame(CONNECT, bytes([1, len(uid)]) + uid + b"\0")
            )
            stream = line.makefile("rb")
            read_frame(stream, INIT)
            code, etid = struct.unpack("!BI", read_frame(stream, CONNACK)[:5])
            if code != 0:
                return
            name = b"%d" % self.count
            line.sendall(
                frame(SUBSCRIBE, name)
                + frame(CREATESUB, name)
                + frame(PUBLISH, struct.pack("!III", LUA_ETID, etid, 0) + b"to the script")
                + frame(PUBLISH, struct.pack("!III", NOBODY, etid, 0) + b"to nobody")
                + frame(DISCONNECT, b"")
            )
            while stream.read(4096):
                pass


def frame(kind, body):
    return struct.pack("!HB", 3 + len(body), kind) + body


def read_frame(stream, kind):
    head = stream.read(3)
    if len(head) < 3 or head[2] != kind:
        raise OSError("not the frame that was expected")
    return stream.read(struct.unpack("!H", head[:2])[0] - 3)


class Burner:
    """A program that takes a core, which is what a script in an endless loop does."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", "while True: pass"])

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def beside(report, broker, path):
    """The others' figures while clients come to the instance at @path."""
    with Feed(broker.port, path):
        return others(report, broker, BAD_SECONDS)


def is_visible(broker, hook, reason):
    """Is what went wrong in `smq stats` and, with file and line, in the log?"""
    row = broker.script_stats()[f"/{hook}"]
    counted = row["functions"].get(hook, {}).get("errors_total", 0) > 0
    line = rf"script\.error.*instance=/{hook} in={hook} \S*\.lua:\d+: .*{re.escape(reason)}"
    if reason == REASONS["luamemory"]:  # Lua itself says it, without a place
        line = rf"script\.error.*instance=/{hook} in={hook} .*{re.escape(reason)}"
    return counted and re.search(line, broker.log()) is not None


def is_idle(broker, hook):
    """Has the script done what was left to do?"""
    before = broker.script_stats()[f"/{hook}"]["cpu_us"]
    time.sleep(0.2)
    return broker.script_stats()[f"/{hook}"]["cpu_us"] == before


def run_bad(name):
    def runner(report):
        report.say(f"### {CASES[name][0].upper()}{CASES[name][1:]}\n")
        scripts = {PLAIN: None, "/calm": bad_script("onmsg", "")}
        scripts |= {f"/{hook}": bad_script(hook, BAD_LUA[name]) for hook in HOOKS}
        with_broker(
            report, lambda: Scripted(scripts),
            lambda _report, broker: bad_body(report, broker, name),
        )  # fmt: skip

    return runner


def bad_body(report, broker, name):
    burns = name == "lualoop"
    pairs, unseen = [], []
    for hook in HOOKS:
        progress(f"{name}: {hook}")
        if burns:
            with Burner():
                calm = beside(report, broker, "/calm")
        else:
            calm = beside(report, broker, "/calm")
        bad = beside(report, broker, f"/{hook}")
        pairs.append((calm, bad))
        if not wait_until(lambda hook=hook: is_visible(broker, hook, REASONS[name])):
            unseen.append(hook)
        wait_until(lambda hook=hook: is_idle(broker, hook))
    report.raw[name] = pairs
    if any(None in pair for pair in pairs):
        report.say(f"failed: {report.judge(False)}\n")
        return
    p99s = [[METRICS[P99][1](result) for result in pair] for pair in pairs]
    calm, bad = (statistics.median(column) for column in zip(*p99s))
    ratio = statistics.median(b / a for a, b in p99s)
    rates = [result["rate_per_s"] for _, result in pairs]
    clean = all(result["ok"] for _, result in pairs)
    other = "a good script and a program that takes a core" if burns else "a good script"
    with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as status:
        peak = int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]) / 1024
    report.say(
        f"Others, at 5,000 messages/s: at least {min(rates):,.0f} a second arrived, "
        f"{'nothing' if clean else 'SOMETHING'} was lost: {report.judge(clean)}. Their p99 is "
        f"{number(bad)} µs, beside {other} {number(calm)}: {ratio:.2f} (goal <= {P99_GOAL:g}): "
        f"{report.judge(ratio <= P99_GOAL)}. Counted by `smq stats` and with its reason in the log: "
        f"{len(HOOKS) - len(unseen)} of {len(HOOKS)} hooks: {report.judge(not unseen)}. "
        f"RSS at its peak {peak:,.0f} MiB.\n"
    )


def wait_until(is_true, seconds=10):
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def run(report, chosen):
    runners = {"luapath": run_path, "luapublish": run_publish, "lualogin": run_login}
    runners |= {name: run_bad(name) for name in BAD_LUA}
    for name in CASES:
        if name in chosen:
            runners[name](report)
