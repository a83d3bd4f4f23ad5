#!/usr/bin/env python3
"""bench/abuse.py: smqd under attack, short of memory, and when everybody comes back at once.

    bench/abuse.py flood      5,000 bad connections a second for a minute beside 1,000 good clients,
                              from one address
    bench/abuse.py botnet     the same from 1,000 addresses, which no limit for one address stops
    bench/abuse.py memory     limits.memory = 32M, and slow receivers that would take 200 MB
    bench/abuse.py storm      10,000 TLS devices, all coming back at once, three times
    bench/abuse.py            all of it; exit code 1 when a goal was missed
    bench/abuse.py --write …  and put what was measured into bench/results/abuse.md and .json

One line a figure, with its goal. A part that is written replaces what the file had of it, so that each
may be run when the machine has nothing else to do. The broker, the good clients and the bad ones share this machine's
cores. So the flood also goes to a second broker, while the good clients are at the first: what that
does to them is the machine's share; likewise for the storm. BENCH_SECONDS shortens the flood.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time

import brokers
from figures import SMQ, SMQBENCH, SMQD, Report
from table import RESULTS, machine_facts

SMQFLOOD = os.environ.get("SMQFLOOD", "build/smqflood")
FLOOD_SECONDS = int(os.environ.get("BENCH_SECONDS", "60"))
FLOOD_RATE = 5000
MEEKLY = ("nice", "-n", "19")
GOOD_PAIRS = 500
GOOD_RATE = 5000
DEVICES = 10000
MB = 1000 * 1000
MIB = 1024 * 1024


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Watch:
    """The largest RSS of a process, looked at every 10 ms."""

    def __init__(self, pid):
        self.pid, self.peak, self.is_over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self):
        while not self.is_over.wait(0.01):
            self.peak = max(self.peak, rss_bytes(self.pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def begin_bench(broker, words):
    command = [
        SMQBENCH, *words.split(), "--connect", f"127.0.0.1:{broker.port}",
        "--pid", str(broker.process.pid), "--json", "--quiet",
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_bench(bench):
    """Its JSON object; raises when the run itself failed."""
    out, error = bench.communicate(timeout=300)
    if bench.returncode not in (0, 1):
        raise RuntimeError(f"smqbench: {error.strip()}")
    return json.loads(out)


def run_bench(broker, words):
    return end_bench(begin_bench(broker, words))


def stats_of(broker):
    done = subprocess.run(
        [SMQ, "stats", "--json", "--data-dir", broker.folder],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def losses(result):
    return {name: result[name] for name in ("lost", "duplicated", "reordered", "failed", "closed")}


def judge_line(report, text, is_met):
    report.say(f"* {text}: {report.judge(is_met)}")


# ---- flood ---------------------------------------------------------------------------------------


def run_good(broker, seconds, target=None, address_count=0, before=()):
    """The good clients at @broker for so long, the bad ones at @target meanwhile; @before their command."""
    bench = begin_bench(
        broker, f"pair --pairs {GOOD_PAIRS} --rate {GOOD_RATE} --warmup 1 --sources 4 --seconds {seconds}"
    )  # fmt: skip
    time.sleep(2)  # all good ones are in
    told = {}
    if target:
        flood = subprocess.run(
            [*before, SMQFLOOD, str(target.port), str(FLOOD_RATE), str(seconds - 1), str(address_count)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        told = json.loads(flood.stdout)
    return end_bench(bench), told


def run_flood(report, name="one address", address_count=1):
    report.say(f"### {FLOOD_RATE:,} bad connections a second for {FLOOD_SECONDS} s beside "
               f"{2 * GOOD_PAIRS:,} good clients\n")
    # Good clients come from 127.0.0.x, bad ones from 127.1.x.y: those have limits.
    settings = ["limits.exempt_addresses=127.0.0.0/24", "limits.memory=64M"]
    broker, other = (brokers.Smqd(SMQD, settings=settings).start() for _ in range(2))
    try:
        quiet, _ = run_good(broker, 10)
        beside, _ = run_good(broker, 10, other, address_count)
        result, told = run_good(broker, FLOOD_SECONDS, broker, address_count)
        io = stats_of(broker)["io"]
        meek_beside, _ = run_good(broker, 10, other, address_count, MEEKLY)
        meek, meek_told = run_good(broker, 10, broker, address_count, MEEKLY)
    finally:
        broker.stop()
        other.stop()
    p99, p99_beside, p99_quiet = (each["latency_us"]["p99"] for each in (result, beside, quiet))
    report.raw[f"flood from {name}"] = {
        "quiet": quiet, "beside": beside, "result": result, "flood": told, "io": io,
        "meek": meek, "meek beside": meek_beside, "meek flood": meek_told,
    }  # fmt: skip
    refused = io["refused_address_fast_total"] + io["refused_address_full_total"]
    report.say(f"From {name}: {told['opened']:,} opened, at most {told['open_most']:,} at a time. The "
               f"broker refused {refused:,} for their address and {io['refused_handshakes_total']:,} for "
               f"limits.handshakes. Server CPU {result['server']['cpu_us_per_message']:.1f} µs a message, "
               f"quiet {quiet['server']['cpu_us_per_message']:.1f}.\n")
    judge_line(report, f"nothing lost, nobody closed: {losses(result)}", result["ok"])
    judge_line(report, f"p99 {p99:.0f} µs; quiet {p99_quiet:.0f}; with the flood at another broker "
               f"{p99_beside:.0f}. Goal ≤ 2 × quiet", p99 <= 2 * p99_quiet)
    report.say(f"* for comparison, the generator of the flood at nice 19 for 10 s, nearer to attackers with CPUs "
               f"of their own ({meek_told['opened']:,} opened): p99 {meek['latency_us']['p99']:.0f} µs; with the "
               f"flood at another broker {meek_beside['latency_us']['p99']:.0f}")
    report.say()


def run_botnet(report):
    run_flood(report, "1,000 addresses", 1000)


# ---- memory --------------------------------------------------------------------------------------


def read_exactly(client, count):
    data = b""
    while len(data) < count:
        if not (more := client.recv(count - len(data))):
            raise ConnectionError("closed")
        data += more
    return data


def read_frame(client):
    """Its type and body."""
    return read_exactly(client, int.from_bytes(read_exactly(client, 2), "big") - 2)


def hoard(broker, count):
    """@count clients with 60 kB of a message that they never finish; those that were let in."""
    hoarders = []
    for number in range(count):
        client = socket.create_connection(("127.0.0.1", broker.port), timeout=5)
        try:
            client.sendall(b"GET /smq.lsp HTTP/1.0\r\nHost: h\r\nSimpleMQ: 1\r\n\r\n")
            read_frame(client)
            body = b"\x01\x0bhoard%06d\0" % number
            client.sendall((len(body) + 3).to_bytes(2, "big") + b"\x02" + body)
            etid = read_frame(client)[2:6]
            piece = b"\0\0\0\0" + etid + b"\0\0\0\0" + bytes(60000)
            client.sendall((len(piece) + 3).to_bytes(2, "big") + b"\x13" + piece)
            hoarders.append(client)
        except OSError:  # refused, as it should be
            client.close()
    return hoarders


def run_memory(report):
    report.say("### limits.memory = 32M, and a load that wants 200 MB\n")
    broker = brokers.Smqd(SMQD, settings=["limits.memory=32M"]).start()
    try:
        idle_bytes = rss_bytes(broker.process.pid)
        with Watch(broker.process.pid) as watch:
            # 400 that stop reading, 256 kB each. (Below 1 kB each has a copy of its own; the
            # kernel's buffers hold some 3 MB of it first.) And 1,700 halves of a message, 60 kB each.
            slow = begin_bench(
                broker, "slow --publishers 1 --topics 1 --subscribers 420 --stopped 400 --payload 900 "
                "--rate 400 --seconds 20",
            )  # fmt: skip
            time.sleep(12)
            hoarders = hoard(broker, 1700)
            wanting = end_bench(slow)
            for hoarder in hoarders:
                hoarder.close()
            stats = stats_of(broker)
        time.sleep(3)
        after = run_bench(broker, "pair --pairs 100 --rate 2000 --seconds 3")
        time.sleep(2)
        after_bytes = rss_bytes(broker.process.pid)
    finally:
        broker.stop()
    shed = {name: stats["io"][name] for name in
            ("dropped_new_total", "dropped_memory_total", "shed_input_total", "slow_consumers_total",
             "refused_memory_total")}
    report.raw["memory"] = {"wanting": wanting, "after": after, "stats": stats, "peak": watch.peak}
    report.say(f"Idle {idle_bytes / MIB:.1f} MiB; shed: {shed}; "
               f"afterwards {after_bytes / MIB:.1f} MiB.\n")
    judge_line(report, f"RSS at most {watch.peak / MIB:.1f} MiB, goal ≤ 34", watch.peak <= 34 * MIB)
    judge_line(report, "something was shed", sum(shed.values()) > 0)
    judge_line(report, f"afterwards nothing is lost: {losses(after)}", after["ok"])
    report.say()


# ---- storm ---------------------------------------------------------------------------------------


def run_storm(report):
    report.say(f"### {DEVICES:,} TLS devices come back at once, three times\n")
    credentials = brokers.Credentials()
    broker, beside = (brokers.Smqd(SMQD, credentials=credentials).start() for _ in range(2))
    devices = f"idle --connections {DEVICES} --opening {DEVICES} --retry 1 --tls --insecure --seconds 4"
    others = f"pair --pairs 50 --rate 2000 --warmup 1 --tls --insecure"
    settled, p99s, is_back = [], [], True
    try:
        at_another = begin_bench(broker, f"{others} --seconds 16")
        time.sleep(2)
        run_bench(beside, devices)
        control = end_bench(at_another)
        beside.stop()
        report.raw["storm beside"] = control
        report.say(f"At another broker: others' p99 {control['latency_us']['p99'] / 1000:.1f} ms.")
        run_bench(broker, devices)  # the first time is not their return
        for number in range(4):
            bench = begin_bench(broker, f"{others} --seconds 16")
            time.sleep(2)
            storm = begin_bench(broker, devices)
            with Settled(broker) as held:
                result = end_bench(storm)
            other = end_bench(bench)
            is_back = is_back and result["ok"] and other["ok"]
            settled.append(held.bytes)
            p99s.append(other["latency_us"]["p99"] / 1000)
            report.raw[f"storm {number}"] = {"devices": result, "others": other, "rss": held.bytes}
            report.say(f"Storm {number}: all back after {result['setup_s']:.1f} s, {result['retried']:,} came "
                       f"twice; RSS with all of them {held.bytes / MB:.2f} MB; others' p99 {p99s[-1]:.1f} ms.")
    finally:
        broker.stop()
        beside.stop()
        credentials.remove()
    report.say()
    growth = max(abs(each / settled[0] - 1) for each in settled[1:])
    judge_line(report, "all are back, and nobody else lost anything", is_back)
    judge_line(report, f"RSS afterwards within {100 * growth:.1f} % of before, goal 5", growth <= 0.05)
    judge_line(report, f"others' p99 at most {max(p99s[1:]):.1f} ms, goal 50", max(p99s[1:]) <= 50)
    report.say()


class Settled(Watch):
    """The last RSS at which all devices were connected."""

    def __init__(self, broker):
        super().__init__(broker.process.pid)
        self.broker, self.bytes = broker, 0

    def look(self):
        while not self.is_over.wait(0.2):
            if stats_of(self.broker)["io"]["live"] >= DEVICES:
                self.bytes = rss_bytes(self.pid)


RUNS = {"flood": run_flood, "botnet": run_botnet, "memory": run_memory, "storm": run_storm}


def write(parts):
    """Replace these parts of the file of results: {name: {"facts", "lines", "raw"}}."""
    path = os.path.join(RESULTS, "abuse")
    kept = {}
    if os.path.exists(f"{path}.json"):
        with open(f"{path}.json", encoding="utf-8") as file:
            kept = json.load(file)
    kept.update(parts)
    with open(f"{path}.json", "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1)
        file.write("\n")
    with open(f"{path}.md", "w", encoding="utf-8") as file:
        file.write("# smqd under attack\n\nWritten by `bench/abuse.py --write`, a part at a time.\n\n")
        for name in (name for name in RUNS if name in kept):
            facts = kept[name]["facts"]
            file.write("\n".join(kept[name]["lines"]))
            file.write(f"\n{facts['when']}, {facts['cpu']}, kernel {facts['kernel']}, "
                       f"commit {facts['commit']}.\n\n")
    print(f"written: {path}.md and abuse.json", file=sys.stderr)


def main():
    words = [word for word in sys.argv[1:] if word != "--write"]
    chosen = words or list(RUNS)
    if any(word not in RUNS for word in chosen):
        sys.exit(__doc__)
    missed, judged, parts = 0, 0, {}
    facts = machine_facts()
    for word in chosen:
        report = Report()
        RUNS[word](report)
        parts[word] = {"facts": facts, "lines": report.lines, "raw": report.raw}
        missed, judged = missed + report.missed, judged + report.judged
    print(f"{judged - missed} of {judged} goals met")
    if "--write" in sys.argv:
        write(parts)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
