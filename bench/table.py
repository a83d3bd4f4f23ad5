"""bench/table.py: the comparison table. Called by bench/run.sh, which says how to use it.

Every case runs the same generator (smqbench) against every broker, in turns, several rounds; the
median of the rounds counts, because a virtual machine's speed may change by half from one minute
to the next. A goal compares smqd in its default configuration with the best peer of this run.
"""

import datetime
import json
import os
import platform
import subprocess
import sys

import brokers
import script_table
import tls_table
import web_table
from figures import (
    CPU, P50, P99, RATE, ROUNDS, SECONDS, SECONDS_BUSY, SECONDS_SPARSE, SMQBENCH, SMQD, Case, Goal,
    Report, measure, median, number, progress, run_case, table_head, with_broker,
)  # fmt: skip

RESULTS = "bench/results"
# Threads of smqd: I/O + router. The default is what the goals are for; the others are shown.
VARIANTS = (
    ("smqd", ()),
    ("smqd 1+1", ("threads.io=1", "threads.router=1")),
    ("smqd 2+1", ("threads.io=2", "threads.router=1")),
    ("smqd 2+2", ("threads.io=2", "threads.router=2")),
)
# Where a connection table of one uring (20,000 descriptors) is too small, or must not matter.
SETTINGS_WIDE = ("threads.io=6",)
SETTINGS_TOPICS = ("limits.topics_per_client=20000", "limits.subscriptions_per_client=20000")

CASES = {
    "pair": Case(
        "10 pairs, window 64",
        "pair --pairs 10",
        (Goal(CPU, "<=", 0.25), Goal(RATE, ">=", 1.5)),
        (P50, P99),
    ),
    "fan50": Case(
        "1 to 50 subscribers",
        "pubsub --subscribers 50",
        (Goal(CPU, "<=", 0.5), Goal(RATE, ">=", 1.5)),
        (P99,),
    ),
    "fan1000": Case(
        "1 to 1000 subscribers",
        "pubsub --subscribers 1000",
        (Goal(CPU, "<=", 0.4), Goal(RATE, ">=", 1.5)),
        (P99,),
    ),
    "fanin": Case(
        "20 publishers to 1",
        "fanin --publishers 20",
        (Goal(CPU, "<=", 0.25), Goal(RATE, ">=", 1.5)),
        (P99,),
    ),
    "one": Case(
        "1 pair, one message at a time",
        "pair --pairs 1 --window 1",
        (Goal(CPU, "<", 1.0), Goal(P50, "<=", 1.1), Goal(P99, "<=", 1.1)),
        (RATE,),
    ),
    "sparse": Case(
        "1000 messages/s over 10 pairs",
        "pair --pairs 10 --rate 1000",
        (Goal(CPU, "<=", 0.7), Goal(P99, "<=", 1.1)),
        (P50,),
        is_sparse=True,
    ),
    "many": Case(
        "200 pairs, 100 messages/s each",
        "pair --pairs 200 --rate 20000",
        (Goal(CPU, "<=", 0.85),),
        (P50, P99),
    ),
    "rpc": Case("1 caller, window 8", "rpc --window 8", (), (CPU, RATE, P50, P99)),
    "churn": Case(
        "connect, subscribe, leave",
        "churn",
        (Goal(CPU, "<=", 1.1),),
        (RATE, P99),
        unit="connection",
    ),
}
SPECIAL = {
    "idle": "10,000 idle subscribers with a topic each: memory",
    "idle100k": "100,000 connections in one process, all alive: memory",
    "flat": "cost for a message from 100 to 50,000 connections and 10 to 100,000 topics",
    "fair": "20 busy publishers: the smallest share beside the largest",
    "slow": "one subscriber stops reading; the other nine must not notice",
}

IDLE_CONNECTIONS = 10000
IDLE_RSS_GOAL = 300
WIDE_CONNECTIONS = 100000
WIDE_RSS_GOAL = 40_000_000
FLAT_CONNECTIONS = (100, 1000, 10000, 50000)
FLAT_TOPICS = (10, 1000, 10000, 100000)
FLAT_GOAL = 1.5  # dearest beside cheapest, connections; topics are shown
FAIR_GOAL = 0.5
SLOW_GOAL = 0.8  # rate with one stopped subscriber, beside the rate without


# -- cases with a shape of their own; each starts fresh brokers where memory is what counts --


def run_idle(report):
    report.say("### Memory of an idle subscriber (10,000 of them, each with its own topic)\n")
    report.say("| broker | RSS growth each, bytes | slab each, both ends, bytes | goal | |")
    report.say("|---|---|---|---|---|")
    report.raw["idle"] = {}
    makers = [smqd_maker()] if os.path.exists(SMQD) else []
    for make in makers + brokers.installed_peers():
        with_broker(report, make, idle_row)
    report.say()


def idle_row(report, broker):
    progress(f"idle: {broker.name}")
    result = measure(report, broker, f"idle --connections {IDLE_CONNECTIONS} --seconds 1")
    report.raw["idle"][broker.name] = result
    if result is None:
        report.say(f"| {broker.name} | failed | | | |")
        return
    rss = result["server"]["rss_bytes_per_connection"]
    verdict, goal = "", ""
    if broker.protocol == "smq":
        goal = f"<= {IDLE_RSS_GOAL}"
        verdict = report.judge(rss <= IDLE_RSS_GOAL and result["ok"])
    slab = result["slab_bytes_per_connection"]
    report.say(f"| {broker.name} | {rss:,.0f} | {slab:,.0f} | {goal} | {verdict} |")


def run_idle100k(report):
    report.say("### 100,000 connections in one process\n")
    if not os.path.exists(SMQD):
        report.say("smqd is not built.\n")
        return

    def body(_report, broker):
        progress("idle100k: smqd")
        words = f"idle --connections {WIDE_CONNECTIONS} --seconds 2 --grace 10 --window 256"
        result = measure(report, broker, words)
        report.raw["idle100k"] = result
        if result is None:
            report.say(f"failed: {report.judge(False)}\n")
            return
        rss = result["server"]["rss_ready_bytes"]
        met = rss <= WIDE_RSS_GOAL and result["ok"]
        report.say(
            f"smqd with threads.io=6: all subscribed after {result['setup_s']:.1f} s, "
            f"{rss / 1e6:.1f} MB RSS ({result['server']['rss_bytes_per_connection']:.0f} bytes "
            f"each); a message to each of them then arrived, {result['lost']} lost. "
            f"Goal <= {WIDE_RSS_GOAL / 1e6:.0f} MB and none lost: {report.judge(met)}\n"
        )

    with_broker(report, smqd_maker(SETTINGS_WIDE), body)


def run_flat(report):
    report.say("### Cost for a message as the broker fills (smqd, threads.io=6)\n")
    if not os.path.exists(SMQD):
        report.say("smqd is not built.\n")
        return
    report.raw["flat"] = {}
    report.say("| | server CPU µs/message | messages/s | p99 µs |")
    report.say("|---|---|---|---|")

    def body(_report, broker):
        wide = [
            flat_row(report, broker, f"10 pairs beside {n - 20:,} quiet connections",
                     f"pair --pairs 10 --bystanders {n - 20}")
            for n in FLAT_CONNECTIONS
        ]  # fmt: skip
        for n in FLAT_TOPICS:
            flat_row(report, broker, f"10 publishers, {n:,} topics in turn, 10 subscribers",
                     f"pubsub --publishers 10 --topics {n} --subscribers 10")  # fmt: skip
        costs = [cost for cost in wide if cost is not None]
        met = len(costs) == len(wide) and max(costs) <= FLAT_GOAL * min(costs)
        report.say()
        report.say(
            f"Connections, dearest beside cheapest: {max(costs) / min(costs):.2f}× "
            f"(goal <= {FLAT_GOAL:g}×): {report.judge(met)}\n"
            if costs
            else f"No result: {report.judge(False)}\n"
        )

    with_broker(report, smqd_maker(SETTINGS_WIDE + SETTINGS_TOPICS), body)


def flat_row(report, broker, title, words):
    results = []
    for round_index in range(ROUNDS):
        progress(f"flat: {title}, round {round_index + 1}")
        results.append(measure(report, broker, words))
    report.raw["flat"][title] = results
    cells = [title, *(number(median(results, metric)) for metric in (CPU, RATE, P99))]
    report.say("| " + " | ".join(cells) + " |")
    return median(results, CPU)


def run_fair(report, running):
    report.say("### Fairness: 20 busy publishers, the smallest share beside the largest\n")
    report.raw["fair"] = {}
    for broker in running:
        progress(f"fair: {broker.name}")
        results = [measure(report, broker, "fanin --publishers 20") for _ in range(ROUNDS)]
        shares = [result["fairness"] for result in results if result is not None]
        report.raw["fair"][broker.name] = results
        if broker.name == "smqd":
            met = len(shares) == ROUNDS and min(shares) >= FAIR_GOAL
            verdict = f" (goal >= {FAIR_GOAL:g}): {report.judge(met)}"
        else:
            verdict = ""
        share = f"{min(shares):.2f}" if shares else "failed"
        report.say(f"* {broker.name}: {share}{verdict}")
    report.say()


def run_slow(report, running):
    report.say("### One of ten subscribers stops reading\n")
    report.say(
        "| broker | rate with nine | rate with nine and a stopped one | ratio | lost of the nine "
        "| stopped one closed | goal | |"
    )
    report.say("|---|---|---|---|---|---|---|---|")
    report.raw["slow"] = {}
    for broker in running:
        progress(f"slow: {broker.name}")
        without, beside = [], []
        for _ in range(ROUNDS):
            without.append(measure(report, broker, "pubsub --subscribers 9"))
            beside.append(measure(report, broker, "slow --subscribers 10 --stopped 1"))
        report.raw["slow"][broker.name] = {"without": without, "beside": beside}
        if None in without or None in beside:
            verdict = report.judge(False) if broker.protocol == "smq" else ""
            report.say(f"| {broker.name} | failed | | | | | | {verdict} |")
            continue
        ratio = median(beside, RATE) / max(median(without, RATE), 1)
        lost = sum(result["lost"] for result in beside)
        closed = sum(result["stopped_closed"] for result in beside)
        goal, verdict = "", ""
        if broker.name == "smqd":
            goal = f">= {SLOW_GOAL:g}×, none lost"
            verdict = report.judge(ratio >= SLOW_GOAL and all(r["ok"] for r in beside))
        report.say(
            f"| {broker.name} | {number(median(without, RATE))} | {number(median(beside, RATE))} "
            f"| {ratio:.2f}× | {lost} | {closed} of {ROUNDS} | {goal} | {verdict} |"
        )
    report.say()


def smqd_maker(settings=(), name="smqd"):
    return lambda: brokers.Smqd(SMQD, name, settings)


def start_all(report):
    """The brokers that stay up for the whole table."""
    makers = []
    if os.path.exists(SMQD):
        makers += [smqd_maker(settings, name) for name, settings in VARIANTS]
    else:
        report.notes.append(f"{SMQD} is not built: only the peers were measured")
    running = []
    for make in makers + brokers.installed_peers():
        broker = make()
        try:
            running.append(broker.start())
        except RuntimeError as error:
            report.notes.append(str(error))
    return running


def commit_name():
    """The commit that is checked out, with a plus when files differ from it."""
    words = ["git", "describe", "--always", "--dirty=+", "--abbrev=10"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def versions():
    """Of all brokers that are installed, in one line."""
    makers = [smqd_maker()] if os.path.exists(SMQD) else []
    texts = []
    for make in makers + brokers.installed_peers():
        broker = make()
        texts.append(broker.version())
        broker.stop()
    return ", ".join(sorted(texts))


def machine_facts():
    cpu = "unknown"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "when": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": platform.release(),
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{memory_bytes / 2**30:.0f} GiB",
        "versions": versions(),
        "commit": commit_name(),
        "method": f"64-byte payload, {SECONDS or SECONDS_BUSY} s a measurement "
        f"({SECONDS or SECONDS_SPARSE} s where sparse), median of {ROUNDS} interleaved rounds, "
        "loopback, one generator thread, everything on the same machine",
    }


def write_results(report, facts, name):
    os.makedirs(RESULTS, exist_ok=True)
    path = os.path.join(RESULTS, name)
    with open(f"{path}.md", "w", encoding="utf-8") as out:
        out.write("\n".join(report.lines) + "\n")
    with open(f"{path}.json", "w", encoding="utf-8") as out:
        json.dump({"facts": facts, "notes": report.notes, "results": report.raw}, out, indent=1)
        out.write("\n")
    print(f"written: {path}.md and {name}.json", file=sys.stderr)


def run_plain(report, chosen):
    """All without TLS that was asked for, over brokers that are always stopped again."""
    needs_running = [name for name in chosen if name in CASES or name in ("fair", "slow")]
    running = start_all(report) if needs_running else []
    try:
        if any(name in CASES for name in chosen):
            table_head(report, running)
            for name in (name for name in CASES if name in chosen):
                run_case(report, name, CASES[name], running)
            report.say()
        if "fair" in chosen:
            run_fair(report, running)
        if "slow" in chosen:
            run_slow(report, running)
    finally:
        for broker in running:
            broker.stop()
    for name, runner in (("idle", run_idle), ("idle100k", run_idle100k), ("flat", run_flat)):
        if name in chosen:
            runner(report)


# A file of results each: its heading, its cases, and what runs them.
SECTIONS = {
    "latest": ("smqd beside its peers", (*CASES, *SPECIAL), run_plain),
    "tls": ("smqd beside its peers, over TLS", (*tls_table.CASES, *tls_table.SPECIAL),
            tls_table.run),
    "web": ("Browsers beside devices", (*web_table.CASES, *web_table.SPECIAL), web_table.run),
    "scripts": ("What a Lua script costs", tuple(script_table.CASES), script_table.run),
}  # fmt: skip


def run_section(name, chosen, is_written):
    """The chosen cases of a section; how many goals were missed."""
    title, _, runner = SECTIONS[name]
    report = Report()
    facts = machine_facts()
    report.say(f"# {title}\n")
    for key, value in facts.items():
        report.say(f"* {key}: {value}")
    report.say()
    runner(report, chosen)
    if report.notes:
        report.say("### Notes\n")
        for note in report.notes:
            report.say(f"* {note}")
        report.say()
    report.say(f"{report.judged - report.missed} of {report.judged} goals met.")
    if is_written:
        write_results(report, facts, name)
    return report.missed


def list_cases():
    for cases, special in ((CASES, SPECIAL), (tls_table.CASES, tls_table.SPECIAL),
                           (web_table.CASES, web_table.SPECIAL), ({}, script_table.CASES)):  # fmt: skip
        for name, case in cases.items():
            print(f"{name:10} {case.title}")
        for name, title in special.items():
            print(f"{name:10} {title}")


def main():
    words = sys.argv[1:]
    if words == ["--list"]:
        list_cases()
        return 0
    whole = [name for name in SECTIONS if name in words] or ([] if words else list(SECTIONS))
    known = [*SECTIONS, *(case for _, cases, _ in SECTIONS.values() for case in cases)]
    unknown = [word for word in words if word not in known]
    if unknown:
        print(f"bench/run.sh: no case {unknown[0]!r}; see bench/run.sh --list", file=sys.stderr)
        return 64
    if not os.path.exists(SMQBENCH):
        print(f"bench/run.sh: {SMQBENCH} is missing; build it first (make)", file=sys.stderr)
        return 1
    missed = 0
    for name, (_, cases, _) in SECTIONS.items():
        chosen = cases if name in whole else [case for case in cases if case in words]
        if chosen:
            missed += run_section(name, chosen, name in whole)
    return 0 if missed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
