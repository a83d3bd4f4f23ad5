"""bench/web_table.py: browsers beside devices, on one smqd: what WebSocket costs more than a raw
connection, and what the web UI costs.

No peers here: each figure is compared with smqd's own on raw connections, or without its web UI, in
the same run. A ratio is that of two runs beside each other in time, and the median over the rounds
counts: drifts of the machine then hit both.
"""

import collections
import os
import statistics
import subprocess
import tempfile
import time

import brokers
import browser
from figures import (
    CPU, METRICS, P50, P99, RATE, ROUNDS, SMQ, SMQBENCH, SMQD, Goal, is_met, measure, number,
    progress, with_broker,
)  # fmt: skip

Beside = collections.namedtuple("Beside", "title words goals shown unit", defaults=("message",))

CASES = {
    "wspair": Beside(
        "10 pairs, window 64", "pair --pairs 10", (Goal(RATE, ">=", 0.8),), (CPU, P50, P99)
    ),
    "wsfan50": Beside(
        "1 to 50 subscribers", "pubsub --subscribers 50", (Goal(CPU, "<=", 1.2),), (RATE, P99)
    ),
    "wsone": Beside(
        "1 pair, one message at a time", "pair --pairs 1 --window 1", (), (CPU, P50, P99)
    ),
    "wschurn": Beside("connect, subscribe, leave", "churn", (), (CPU, RATE, P99), "connection"),
    "wsspair": Beside(
        "over TLS: 10 pairs, window 64", "pair --pairs 10", (), (RATE, CPU, P50, P99)
    ),
}
SPECIAL = {
    "wsidle": "10,000 idle WebSockets, subscribed: memory above a raw connection",
    "webon": "statistics on, nobody looking: cost for a message",
    "webadmin": "the page Devices with 20,000 connected: processor time of the admin traffic",
}

IDLE_CONNECTIONS = 10000
IDLE_GOAL = 64
ON_GOAL = 0.01
ON_ROUNDS = 16  # short ones, the least disturbed counts: 1 % is far below the noise of one
ON_SECONDS = 0.5
ADMIN_CONNECTIONS = 20000
ADMIN_GOAL = 0.02
ADMIN_SECONDS = 6
ADMIN_SETTINGS = ("threads.io=6",)  # one uring holds at most 20,000 connections
ADMIN_TOPICS = ("stats", "events", "peers")
SEEN_ROWS = 40  # of the page: those on the screen, asked for again each REFRESH_SECONDS
REFRESH_SECONDS = 2.0
VISITS_PER_SECOND = 10
READY_SECONDS = 60
QUIET_SECONDS = 3  # after a second without input smqd trades a receive for a cheaper poll


def smqd_maker(settings=(), name="smqd", credentials=None):
    return lambda: brokers.Smqd(SMQD, name, settings, credentials)


# -- raw and WebSocket in turns --


def table_head(report):
    report.say("| case | figure | raw | WebSocket | WebSocket : raw | goal | |")
    report.say("|---|---|---|---|---|---|---|")


def run_beside(report, broker, name, case):
    pairs = []
    for round_index in range(ROUNDS):
        progress(f"{name}: round {round_index + 1} of {ROUNDS}")
        pairs.append([measure(report, broker, case.words + flag) for flag in ("", " --ws")])
    report.raw[name] = pairs
    goals = {goal.metric: goal for goal in case.goals}
    for metric in (*goals, *case.shown):
        row_say(report, case, metric, goals.get(metric), pairs)


def row_say(report, case, metric, goal, pairs):
    read = METRICS[metric][1]
    whole = [pair for pair in pairs if None not in pair]
    figures = [[read(result) for result in pair] for pair in whole]
    cells = [case.title, METRICS[metric][0].format(unit=case.unit)]
    if figures:
        ratio = statistics.median(ws / raw for raw, ws in figures)
        cells += [number(statistics.median(column)) for column in zip(*figures)]
        cells.append(f"{ratio:.2f}×")
    else:
        cells += ["–", "–", "–"]
    if goal is None:
        cells += ["shown", ""]
    else:
        clean = len(whole) == len(pairs) and all(r["ok"] for pair in whole for r in pair)
        met = clean and is_met(ratio, goal)
        cells += [f"{goal.relation} {goal.factor:g}×", report.judge(met)]
    report.say("| " + " | ".join(cells) + " |")


def run_cases(report, chosen):
    plain = [name for name in CASES if name in chosen and name != "wsspair"]
    if not plain and "wsspair" not in chosen:
        return
    table_head(report)
    if plain:
        with_broker(
            report, smqd_maker(),
            lambda _report, broker: [
                run_beside(report, broker, name, CASES[name]) for name in plain
            ],
        )  # fmt: skip
    if "wsspair" in chosen:
        credentials = brokers.Credentials()
        try:
            with_broker(
                report, smqd_maker(credentials=credentials),
                lambda _report, broker: run_beside(report, broker, "wsspair", CASES["wsspair"]),
            )  # fmt: skip
        finally:
            credentials.remove()
    report.say()


# -- memory --


def run_idle(report):
    """Each figure from a broker of its own, that has served nobody yet."""
    report.say(f"### {IDLE_CONNECTIONS:,} idle subscribers, each with a topic of its own: memory\n")
    found = {"": [], " --ws": []}
    for round_index in range(ROUNDS):
        for flag, results in found.items():

            def body(_report, broker, flag=flag, results=results):
                progress(f"wsidle: round {round_index + 1} of {ROUNDS}{flag}")
                words = f"idle --connections {IDLE_CONNECTIONS} --seconds 1{flag}"
                results.append(measure(report, broker, words))

            with_broker(report, smqd_maker(), body)
    report.raw["wsidle"] = found
    if None in found[""] + found[" --ws"] or not found[" --ws"]:
        report.say(f"failed: {report.judge(False)}\n")
        return
    raw, ws = (
        statistics.median(r["server"]["rss_bytes_per_connection"] for r in results)
        for results in found.values()
    )
    met = ws - raw <= IDLE_GOAL and all(r["ok"] for r in found[""] + found[" --ws"])
    report.say(
        f"RSS growth each: raw {raw:,.0f} bytes, WebSocket {ws:,.0f} bytes, which is {ws - raw:+,.0f}. "
        f"Goal <= {IDLE_GOAL:+}: {report.judge(met)}\n"
    )


# -- the web UI --


def run_on(report):
    """With the web UI's statistics, and twice without: two equal brokers show what is noise."""
    report.say("### Statistics on, nobody looking: 10 pairs, window 64\n")
    running = []
    try:
        for name, word in (("on", "on"), ("off", "off"), ("off again", "off")):
            running.append(smqd_maker((f"web.enabled={word}",), name)().start())
        costs = on_costs(report, running)
        seconds, web_ns = idle_cost(running[0])
    except RuntimeError as error:
        report.notes.append(str(error))
        report.say(f"failed: {report.judge(False)}\n")
        return
    finally:
        for broker in running:
            broker.stop()
    report.raw["webon"] = costs
    if not all(costs.values()):
        report.say(f"failed: {report.judge(False)}\n")
        return
    on, *off = (min(costs[broker.name]) for broker in running)
    own = web_ns / seconds / 1e9
    report.say(
        f"Server CPU, the least of {ON_ROUNDS} rounds: on {number(on)} µs a message, off "
        f"{number(min(off))} and {number(max(off))} in two equal brokers, whose difference is the "
        f"noise. Goal: on costs < {100 * ON_GOAL:g} % more than off, as far as can be measured: "
        f"{report.judge(on < (1 + ON_GOAL) * max(off))}. The thread behind the web UI takes "
        f"{100 * own:.3f} % of a core by itself (goal < {100 * ON_GOAL:g} %): "
        f"{report.judge(own < ON_GOAL)}.\n"
    )


def on_costs(report, running):
    """By broker: µs of processor time for a message, each round."""
    costs = {broker.name: [] for broker in running}
    for round_index in range(ON_ROUNDS):
        progress(f"webon: round {round_index + 1} of {ON_ROUNDS}")
        # Whoever comes second finds another machine: take turns at that, too.
        first = round_index % len(running)
        for broker in running[first:] + running[:first]:
            result = measure(report, broker, f"pair --pairs 10 --seconds {ON_SECONDS}")
            if result is not None:
                costs[broker.name].append(METRICS[CPU][1](result))
    return costs


def thread_cpu_ns(pid, name=None):
    """Processor time of all threads of @pid, or of those called @name."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as comm:
                is_wanted = name is None or comm.read().strip() == name
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
                total += int(stat.read().split()[0]) if is_wanted else 0
        except OSError:
            continue  # it has ended
    return total


def idle_cost(broker):
    """Seconds, and the ns of processor time that the thread of the web UI took in them."""
    start, before = time.monotonic(), thread_cpu_ns(broker.process.pid, "web")
    time.sleep(REFRESH_SECONDS * 2)
    return time.monotonic() - start, thread_cpu_ns(broker.process.pid, "web") - before


class Watcher:
    """The page Devices as a browser keeps it up to date, and devices that come and go meanwhile."""

    def __init__(self, broker, user, password):
        self.broker = broker
        self.user = browser.Browser(broker.port, user, password)
        self.visit_count = 0

    def wait_until_connected(self, count):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.user.get("stats")["connections"]["live"] >= count:
                time.sleep(QUIET_SECONDS)
                return
            time.sleep(0.2)
        raise RuntimeError(f"{count} connections were not ready in {READY_SECONDS} s")

    def window(self, seconds, ids):
        """A while in which devices come and go, and the rows with @ids are asked for (none: nobody
        looks). Returns the share of a core that the broker took."""
        pid = self.broker.process.pid
        start, before = time.monotonic(), thread_cpu_ns(pid)
        refresh_at, now = start, start
        for step in range(1, round(seconds * VISITS_PER_SECOND) + 1):
            browser.device_visit(self.broker.port, b"visit-%06d" % self.visit_count)
            self.visit_count += 1
            if ids and now >= refresh_at:
                self.user.get(f"peers?ids={','.join(ids)}")
                refresh_at += REFRESH_SECONDS
            self.user.listen(start + step / VISITS_PER_SECOND)
            now = time.monotonic()
        return (thread_cpu_ns(pid) - before) / 1e9 / (time.monotonic() - start)

    def load_list(self):
        """The whole list, as the page loads it once: its rows, and the ms of processor time."""
        before = thread_cpu_ns(self.broker.process.pid)
        rows = self.user.get("peers")["peers"]
        return rows, (thread_cpu_ns(self.broker.process.pid) - before) / 1e6

    def look(self):
        """(share of a core, nobody looking; somebody looking; rows; ms for all rows)"""
        quiet = self.window(ADMIN_SECONDS, [])
        self.user.subscribe(ADMIN_TOPICS)
        rows, list_ms = self.load_list()
        watched = self.window(ADMIN_SECONDS, [row["id"] for row in rows[:SEEN_ROWS]])
        self.user.leave()
        return quiet, watched, len(rows), list_ms


def admin_body(report, broker, user, password):
    words = f"idle --connections {ADMIN_CONNECTIONS} --seconds {ROUNDS * (2 * ADMIN_SECONDS + 2)}"
    command = [
        SMQBENCH, *words.split(), "--threads", "2", "--connect", f"127.0.0.1:{broker.port}", "--quiet"
    ]  # fmt: skip
    looks = []
    watcher = Watcher(broker, user, password)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as devices:
        try:
            watcher.wait_until_connected(ADMIN_CONNECTIONS)
            for round_index in range(ROUNDS):
                progress(f"webadmin: round {round_index + 1} of {ROUNDS}")
                looks.append(watcher.look())
        finally:
            devices.terminate()
    report.raw["webadmin"] = {"looks": looks, "messages": watcher.user.counts}
    quiet, watched, rows, list_ms = (statistics.median(column) for column in zip(*looks))
    cost = statistics.median(watched - quiet for quiet, watched, _, _ in looks)
    each_second = min(watcher.user.counts[name] for name in ("stats", "peers"))
    is_live = each_second >= ROUNDS * (ADMIN_SECONDS - 2) and rows >= ADMIN_CONNECTIONS
    if not is_live:
        report.notes.append(f"webadmin: {rows:,.0f} rows, messages {watcher.user.counts}")
    report.say(
        f"Topics {', '.join(ADMIN_TOPICS)}, and {SEEN_ROWS} rows each {REFRESH_SECONDS:g} s, while "
        f"{VISITS_PER_SECOND} devices a second come and go: {100 * watched:.2f} % of a core, nobody "
        f"looking {100 * quiet:.2f} %, so the admin traffic costs {100 * cost:.2f} % (goal < "
        f"{100 * ADMIN_GOAL:g} %): {report.judge(is_live and cost < ADMIN_GOAL)}. The whole list, "
        f"{rows:,.0f} rows, is loaded once: {list_ms:.0f} ms of processor time.\n"
    )


def run_admin(report):
    report.say(f"### The page Devices with {ADMIN_CONNECTIONS:,} connected\n")
    with tempfile.TemporaryDirectory(prefix="smqbench-users-") as folder:
        users = os.path.join(folder, "users")
        subprocess.run([SMQ, "passwd", users, "bench", "--stdin"], input=b"a password for bench\n",
                       stdout=subprocess.DEVNULL, check=True)  # fmt: skip
        settings = (*ADMIN_SETTINGS, f"web.users={users}")
        with_broker(
            report, smqd_maker(settings),
            lambda _report, broker: admin_body(report, broker, "bench", "a password for bench"),
        )  # fmt: skip


def run(report, chosen):
    if not os.path.exists(SMQD):
        report.say(f"{SMQD} is not built.\n")
        return
    run_cases(report, chosen)
    for name, runner in (("wsidle", run_idle), ("webon", run_on), ("webadmin", run_admin)):
        if name in chosen:
            runner(report)
