"""bench/figures.py: from one run of smqbench to a row of a table: what all sections share."""

import collections
import json
import os
import statistics
import subprocess
import sys

SMQD = os.environ.get("SMQD", "build/smqd")
SMQ = os.environ.get("SMQ", "build/smq")
SMQBENCH = os.environ.get("SMQBENCH", "build/smqbench")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = os.environ.get("BENCH_SECONDS")
SECONDS_BUSY = "3"
SECONDS_SPARSE = "8"  # CPU of a quiet run needs longer

# @factor of the best peer's figure; with @is_absolute the figure itself.
Goal = collections.namedtuple("Goal", "metric relation factor is_absolute", defaults=(False,))

# @check: of a result, what must be true for it to be one of this case (None: nothing).
Case = collections.namedtuple(
    "Case", "title words goals shown is_sparse unit check",
    defaults=((), False, "message", None),
)  # fmt: skip

CPU, RATE, P50, P99, RSS = "cpu", "rate", "p50", "p99", "rss"
METRICS = {
    CPU: ("server CPU µs/{unit}", lambda r: r["server"]["cpu_us_per_message"], min),
    RATE: ("{unit}s/s", lambda r: r["rate_per_s"], max),
    P50: ("p50 µs", lambda r: r["latency_us"]["p50"], min),
    P99: ("p99 µs", lambda r: r["latency_us"]["p99"], min),
    RSS: ("RSS bytes/connection", lambda r: r["server"]["rss_bytes_per_connection"], min),
}


class Report:
    """Lines for people and everything for machines, collected as cases end."""

    def __init__(self):
        self.lines = []
        self.raw = {}
        self.notes = []
        self.missed = 0
        self.judged = 0

    def say(self, line=""):
        self.lines.append(line)
        print(line, flush=True)

    def judge(self, is_met):
        self.judged += 1
        if not is_met:
            self.missed += 1
        return "pass" if is_met else "**MISS**"


def progress(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def measure(report, broker, words, is_sparse=False):
    """Run smqbench once against @broker; its JSON object, or None when the run failed."""
    seconds = SECONDS or (SECONDS_SPARSE if is_sparse else SECONDS_BUSY)
    command = [
        SMQBENCH, *words.split(), "--protocol", broker.protocol,
        "--connect", f"127.0.0.1:{broker.port}", "--pid", str(broker.process.pid),
        "--json", "--quiet",
    ]  # fmt: skip
    if "--seconds" not in command:
        command += ["--seconds", seconds]
    if broker.credentials is not None:
        command += ["--tls", "--ca", broker.credentials.ca]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        report.notes.append(f"{broker.name}: `{words}` failed: {done.stderr.strip()}")
        return None
    result = json.loads(done.stdout)
    if not result["ok"]:
        report.notes.append(
            f"{broker.name}: `{words}`: lost {result['lost']}, duplicated {result['duplicated']}, "
            f"reordered {result['reordered']}, failed {result['failed']}, closed {result['closed']}"
        )
    return result


def median(results, metric):
    """The median over the rounds that worked, or None."""
    values = [METRICS[metric][1](result) for result in results if result is not None]
    return statistics.median(values) if values else None


def number(value):
    """Three figures, or a whole number when it is large."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def is_met(value, goal):
    if goal.relation == ">=":
        return value >= goal.factor
    return value < goal.factor if goal.relation == "<" else value <= goal.factor


def table_head(report, running):
    heads = ["case", "figure", *(broker.name for broker in running), "smqd : best", "goal", ""]
    report.say("| " + " | ".join(heads) + " |")
    report.say("|" + "---|" * len(heads))


def run_case(report, name, case, running):
    """All rounds of one case over all brokers; its rows of the table."""
    results = {broker.name: [] for broker in running}
    for round_index in range(ROUNDS):
        for broker in running:
            progress(f"{name}: round {round_index + 1} of {ROUNDS}, {broker.name}")
            result = measure(report, broker, case.words, case.is_sparse)
            if result is not None and case.check is not None and not case.check(result):
                report.notes.append(f"{broker.name}: `{case.words}` did something else")
                result = None
            results[broker.name].append(result)
    report.raw[name] = results
    goals = {goal.metric: goal for goal in case.goals}
    for metric in (*goals, *case.shown):
        row_say(report, case, metric, goals.get(metric), results, running)


def row_say(report, case, metric, goal, results, running):
    values = {broker.name: median(results[broker.name], metric) for broker in running}
    peers = [values[b.name] for b in running if b.protocol != "smq" and values[b.name] is not None]
    ours = values.get("smqd")
    ratio = None
    if ours is not None and peers and METRICS[metric][2](peers) > 0:
        ratio = ours / METRICS[metric][2](peers)
    figure = METRICS[metric][0].format(unit=case.unit)
    cells = [case.title, figure, *(number(values[b.name]) for b in running)]
    cells.append("–" if ratio is None else f"{ratio:.2f}×")
    cells += goal_cells(report, goal, ours, ratio, results.get("smqd", ()))
    report.say("| " + " | ".join(cells) + " |")


def goal_cells(report, goal, ours, ratio, results):
    """The goal and the verdict."""
    if goal is None:
        return ["shown", ""]
    words = f"{goal.relation} {goal.factor:g}" + ("" if goal.is_absolute else "×")
    value = ours if goal.is_absolute else ratio
    if value is None:
        report.judge(False)
        return [words, "no result"]
    clean = all(result is not None and result["ok"] for result in results)
    return [words, report.judge(is_met(value, goal) and clean)]


def with_broker(report, make, body, group=None):
    """Start a broker for one case alone, in a cgroup if one is given, and stop it whatever
    happens."""
    broker = make()
    try:
        broker.start(group)
        body(report, broker)
    except RuntimeError as error:
        report.notes.append(str(error))
        report.say(f"\n{broker.name} did not start: {report.judge(False)}\n")
    finally:
        broker.stop()
