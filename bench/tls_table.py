"""bench/tls_table.py: the same comparison over TLS, and smqd's devices in little memory.

Every broker serves the same ECDSA certificate (smqd has the RSA one beside it, as it comes), and
every client verifies it; where handshakes are counted the generator leaves the certificate alone
(--insecure), because its work would hide the broker's.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import brokers
import cgroup
from figures import (
    CPU, P50, P99, RATE, ROUNDS, SMQD, Case, Goal, measure, median, number, progress, run_case,
    table_head, with_broker,
)  # fmt: skip


def is_all_full(result):
    return result["tls"]["full"]["count"] > 0 and result["tls"]["resumed"]["count"] == 0


def is_resuming(result):
    """Only the first visit of each place has no ticket."""
    return result["tls"]["resumed"]["count"] > 10 * result["tls"]["full"]["count"]


CASES = {
    "tlspair": Case(
        "TLS, 10 pairs, window 64",
        "pair --pairs 10",
        (Goal(CPU, "<=", 0.6), Goal(RATE, ">=", 1.5)),
        (P50, P99),
    ),
    "tlsfan50": Case("TLS, 1 to 50 subscribers", "pubsub --subscribers 50", (), (CPU, RATE, P99)),
    "tlsone": Case(
        "TLS, 1 pair, one message at a time", "pair --pairs 1 --window 1", (), (CPU, P50, P99)
    ),
    "tlsnew": Case(
        "TLS 1.3, connect, subscribe, leave: full handshake",
        "churn --tls-version 1.3 --insecure",
        (Goal(CPU, "<=", 250, True),),
        (RATE, P99),
        unit="connection",
        check=is_all_full,
    ),
    "tlsback": Case(
        "TLS 1.3, the same with a ticket",
        "churn --tls-version 1.3 --insecure --resume",
        (Goal(CPU, "<=", 140, True),),
        (RATE, P99),
        unit="connection",
        check=is_resuming,
    ),
}
SPECIAL = {
    "tlsidle": "10,000 idle TLS devices: memory, the kernel's too",
    "tlsstorm": "10,000 TLS devices at once: memory at its peak, and afterwards",
    "tls64m": "10,000 TLS devices in a memory cgroup of 64 MiB, a message a minute each",
    "tlsbytes": "bytes of a handshake to a device: ECC beside RSA",
}

DEVICES = 10000
NAME_AES_256 = "smqd, OpenSSL's clients (AES-256-GCM)"
IDLE_RSS_GOAL = 500
STEADY_GOAL = 50_000_000
PEAK_GOAL = 64_000_000
HOLD_SECONDS = 4  # after a second of silence smqd trades a receive for a cheaper poll
QUIET_SECONDS = 2  # of these, the last ones count
LIMIT_BYTES = 64 * 1024 * 1024
LIMIT_SETTINGS = ("limits.memory=22M",)  # what a 64 MiB machine has left beside the kernel's share
DEVICE_SECONDS = os.environ.get("BENCH_DEVICE_SECONDS", "60")
TLS_MEASURE = os.environ.get("TLS_MEASURE", "build/tests/unit/tls/tls_measure")
OPENSSL_DEVICES = os.path.join(os.path.dirname(__file__), "openssl_devices.py")


def smqd_maker(credentials, settings=(), name="smqd"):
    return lambda: brokers.Smqd(SMQD, name, settings, credentials)


def peer_makers(credentials):
    return [lambda peer=peer: peer(credentials) for peer in brokers.installed_peers()]


def megabytes(amount):
    return f"{amount / 1e6:.1f} MB"


def with_group(report, make, body, limit_bytes=None):
    """Run body(report, broker, group) with a broker alone in a cgroup. False without cgroups."""
    try:
        group = cgroup.make()
    except cgroup.Unavailable as error:
        report.say(f"\nskipped: {error}\n")
        return False
    try:
        if limit_bytes is not None:
            group.set_limit(limit_bytes)
        with_broker(report, make, lambda _report, broker: body(report, broker, group), group)
    finally:
        group.remove()
    return True


# -- the library's share --


def run_library(report):
    """The handshakes of this run beside what they cost without sockets, sessions and a generator
    on the other core. A processor of its own decides both, so their ratio can be compared across
    machines where the microseconds cannot."""
    report.say("### Of that, the library: a handshake in memory, without sockets (`tls_measure`)\n")
    rounds = []
    try:
        for _ in range(ROUNDS):
            progress("the handshake alone")
            done = subprocess.run(
                [TLS_MEASURE, "--handshakes"], check=True, capture_output=True, text=True
            )
            rounds.append(json.loads(done.stdout))
    except (OSError, subprocess.CalledProcessError) as error:
        report.say(f"skipped: {error}\n")
        return
    report.raw["library"] = rounds
    report.say("| TLS 1.3, ECDSA, X25519 | library, µs | smqd's visit, CPU µs | visit : library |")
    report.say("|---|---|---|---|")
    for title, field, case in (("full", "full_us", "tlsnew"), ("resumed", "resumed_us", "tlsback")):
        alone = statistics.median(measured[field] for measured in rounds)
        visit = median(report.raw.get(case, {}).get("smqd", ()), CPU)
        ratio = "–" if visit is None else f"{visit / alone:.2f}×"
        report.say(f"| {title} | {number(alone)} | {number(visit)} | {ratio} |")
    report.say()


# -- memory --


def run_idle(report, credentials):
    report.say(
        f"### Memory of {DEVICES:,} idle TLS 1.3 devices, subscribed, each with its own topic\n"
    )
    report.say(
        "| broker | RSS growth each, bytes | goal | | kernel's memory each, broker's end, bytes "
        "| RSS + kernel | goal | |"
    )
    report.say("|---|---|---|---|---|---|---|---|")
    report.raw["tlsidle"] = {}
    for make in [smqd_maker(credentials), *peer_makers(credentials)]:
        if not with_group(report, make, idle_row):
            break
    with_group(report, smqd_maker(credentials, name=NAME_AES_256), idle_row)
    report.say()


def measure_openssl(report, broker):
    """As measure(), with OpenSSL's clients, which prefer AES-256-GCM. None: it failed."""
    words = [
        sys.executable, "-B", OPENSSL_DEVICES, "--connect", f"127.0.0.1:{broker.port}",
        "--ca", broker.credentials.ca, "--pid", str(broker.process.pid),
        "--connections", str(DEVICES), "--seconds", str(HOLD_SECONDS),
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        report.notes.append(f"{broker.name}: {done.stderr.strip()}")
        return None
    return json.loads(done.stdout)


def idle_row(report, broker, group):
    progress(f"tlsidle: {broker.name}")
    with cgroup.Watch(group, broker.process.pid) as watch:
        if broker.name == NAME_AES_256:
            result = measure_openssl(report, broker)
        else:
            words = f"idle --connections {DEVICES} --seconds {HOLD_SECONDS}"
            result = measure(report, broker, words)
    held = result and watch.mean(*hold_of(result))
    if not held:
        verdict = report.judge(False) if broker.name == "smqd" else ""
        report.say(f"| {broker.name} | failed | | {verdict} | | | | |")
        return
    rss, kernel = held
    each = result["server"]["rss_bytes_per_connection"]
    report.raw["tlsidle"][broker.name] = {"result": result, "rss": rss, "kernel": kernel}
    cells = [broker.name, f"{each:,.0f}"]
    is_ours = broker.name == "smqd"
    cells += [f"<= {IDLE_RSS_GOAL}", report.judge(each <= IDLE_RSS_GOAL)] if is_ours else ["", ""]
    cells += [f"{kernel / DEVICES:,.0f}", megabytes(rss + kernel)]
    if is_ours:
        met = rss + kernel <= STEADY_GOAL and result["ok"]
        cells += [f"<= {megabytes(STEADY_GOAL)}", report.judge(met)]
    else:
        cells += ["", ""]
    report.say("| " + " | ".join(cells) + " |")


def hold_of(result):
    """The last quiet moments before the sweep, in seconds since the generator's start."""
    end = result["setup_s"] + HOLD_SECONDS
    return end - QUIET_SECONDS, end


def run_storm(report, credentials):
    report.say(f"### {DEVICES:,} TLS devices connect at once\n")

    def body(_report, broker, group):
        progress("tlsstorm: smqd")
        with cgroup.Watch(group, broker.process.pid) as watch:
            result = measure(
                report, broker,
                f"idle --connections {DEVICES} --opening {DEVICES} --retry 1 --insecure "
                f"--seconds {HOLD_SECONDS}",
            )  # fmt: skip
        held = result and watch.mean(*hold_of(result))
        if not held:
            report.say(f"failed: {report.judge(False)}\n")
            return
        rss, kernel = watch.peak(result["setup_s"] + HOLD_SECONDS)
        after_rss, after_kernel = held
        report.raw["tlsstorm"] = {
            "result": result, "peak": [rss, kernel], "after": [after_rss, after_kernel],
        }  # fmt: skip
        met = rss + kernel <= PEAK_GOAL and result["ok"]
        report.say(
            f"smqd: all subscribed after {result['setup_s']:.1f} s; {result['retried']:,} were "
            f"turned away and came back a second later. At the peak {megabytes(rss + kernel)} "
            f"(RSS {megabytes(rss)}, kernel {megabytes(kernel)}; goal <= {megabytes(PEAK_GOAL)}): "
            f"{report.judge(met)}. Afterwards {megabytes(after_rss + after_kernel)} (RSS "
            f"{megabytes(after_rss)}, kernel {megabytes(after_kernel)}).\n"
        )

    with_group(report, smqd_maker(credentials), body)


def run_64m(report, credentials):
    seconds = float(DEVICE_SECONDS)
    report.say(
        f"### {DEVICES:,} TLS devices, a message a minute each, for {seconds:,.0f} s, in a memory "
        f"cgroup of 64 MiB\n"
    )

    def body(_report, broker, group):
        progress(f"tls64m: smqd, {seconds:,.0f} s")
        words = (
            f"pubsub --publishers 1 --topics {DEVICES} --subscribers {DEVICES} "
            f"--rate {round(DEVICES / 60)} --opening {DEVICES} --retry 1 --insecure "
            f"--seconds {seconds}"
        )
        with cgroup.Watch(group, broker.process.pid) as watch:
            result = measure(report, broker, words)
        if result is None:
            report.say(f"failed ({group.killed_count()} killed): {report.judge(False)}\n")
            return
        rss, kernel = watch.peak()
        charged, buffers = group.peak_bytes(), group.buffer_peak_bytes()
        report.raw["tls64m"] = {
            "result": result, "peak": [rss, kernel], "charged": charged, "buffers": buffers,
        }  # fmt: skip
        met = result["ok"] and result["closed"] == 0 and group.killed_count() == 0
        report.say(
            f"smqd with {', '.join(LIMIT_SETTINGS)}: all connected at once, subscribed after "
            f"{result['setup_s']:.1f} s ({result['retried']:,} turned away at first). "
            f"{result['delivered']:,} messages delivered, {result['lost']} lost, "
            f"{result['closed']} connections lost. The peak was {megabytes(rss + kernel)} (RSS "
            f"{megabytes(rss)}, kernel {megabytes(kernel)}); charged against the limit were "
            f"{charged / 2**20:.1f} MiB{buffers_text(buffers)}. Goal: it stays up and nobody is "
            f"lost: {report.judge(met)}\n"
        )

    with_group(report, smqd_maker(credentials, LIMIT_SETTINGS), body, LIMIT_BYTES)


def buffers_text(buffers):
    """Cgroups version 1 has a limit of its own for them, of the same size."""
    return f", and {buffers / 2**20:.1f} MiB reserved for socket buffers" if buffers > 0 else ""


# -- bytes --


class PublicChain:
    """An RSA certificate as public CAs give them: 2048 bits, one intermediate between it and a
    root of 4096 bits. Made with openssl. Raises OSError or CalledProcessError."""

    def __init__(self, credentials):
        self.folder = tempfile.mkdtemp(prefix="smqbench-rsa-")
        self.ca, self.ecc, self.ecc_key = credentials.ca, credentials.ecc, credentials.ecc_key
        self.rsa = os.path.join(self.folder, "chain.pem")
        self.rsa_key = os.path.join(self.folder, "leaf.key")
        with open(self.path("openssl", "cnf"), "w", encoding="ascii") as config:
            config.write("[req]\ndistinguished_name = name\n[name]\n")
        subject = "/C=XX/O=An Example of a Public CA/CN="
        authority = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
        server = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
                  "extendedKeyUsage=serverAuth", "subjectAltName=DNS:localhost"]  # fmt: skip
        self.make("root", 4096, f"{subject}Root X1", None, authority)
        self.make("middle", 2048, f"{subject}R10", "root", authority)
        self.make("leaf", 2048, "/CN=localhost", "middle", server)
        with open(self.rsa, "w", encoding="ascii") as chain:
            for name in ("leaf", "middle"):
                with open(self.path(name, "crt"), encoding="ascii") as part:
                    chain.write(part.read())

    def path(self, name, ending):
        return os.path.join(self.folder, f"{name}.{ending}")

    def make(self, name, bits, subject, issuer, extensions):
        words = [
            "openssl", "req", "-x509", "-newkey", f"rsa:{bits}", "-nodes", "-days", "90", "-sha256",
            "-config", self.path("openssl", "cnf"), "-subj", subject,
            "-keyout", self.path(name, "key"), "-out", self.path(name, "crt"),
        ]  # fmt: skip
        if issuer is not None:
            words += ["-CA", self.path(issuer, "crt"), "-CAkey", self.path(issuer, "key")]
        for extension in extensions:
            words += ["-addext", extension]
        subprocess.run(words, check=True, capture_output=True)

    def smqd_settings(self):
        return [
            f"tls.ecc_certificate={self.ecc}", f"tls.ecc_key={self.ecc_key}",
            f"tls.rsa_certificate={self.rsa}", f"tls.rsa_key={self.rsa_key}",
        ]  # fmt: skip

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def run_bytes(report, credentials):
    report.say("### Bytes of a handshake: to the device, from the device\n")
    report.say("| certificate | TLS 1.3 | TLS 1.2 | TLS 1.3 with a ticket | TLS 1.2 with a ticket |")
    report.say("|---|---|---|---|---|")
    report.raw["tlsbytes"] = {}
    rows = [("ECDSA P-256, own CA (`smq ca`)", credentials, "ecdsa"),
            ("RSA-2048, own CA (`smq ca`)", credentials, "rsa")]  # fmt: skip
    chain = None
    try:
        chain = PublicChain(credentials)
        rows.append(("RSA-2048 with an intermediate, like a public CA's", chain, "rsa"))
    except (OSError, subprocess.CalledProcessError) as error:
        report.notes.append(f"no chain like a public CA's: {error}")
    try:
        for title, given, signatures in rows:
            with_broker(
                report, smqd_maker(given),
                lambda _report, broker: bytes_row(report, broker, title, signatures),
            )  # fmt: skip
    finally:
        if chain is not None:
            chain.remove()
    report.say()


def bytes_row(report, broker, title, signatures):
    cells = [title]
    for resume in ("", " --resume"):
        for version in ("1.3", "1.2"):
            progress(f"tlsbytes: {title}, TLS {version}{resume}")
            words = (
                f"churn --connections 1 --seconds 0.3 --warmup 0.1 --insecure "
                f"--tls-version {version} --signatures {signatures}{resume}"
            )
            result = measure(report, broker, words)
            counted = result and result["tls"]["resumed" if resume else "full"]
            report.raw["tlsbytes"][f"{title}, {version}{resume}"] = counted
            cells.append(
                f"{counted['in_bytes']:,.0f} + {counted['out_bytes']:,.0f}"
                if counted and counted["count"] > 0
                else "failed"
            )
    report.say("| " + " | ".join(cells) + " |")


# -- all of it --


def start_all(report, credentials):
    running = []
    for make in [smqd_maker(credentials), *peer_makers(credentials)]:
        broker = make()
        try:
            running.append(broker.start())
        except RuntimeError as error:
            report.notes.append(str(error))
    return running


def run(report, chosen):
    """The chosen cases. Brokers are always stopped again, and the credentials removed."""
    credentials = brokers.Credentials()
    try:
        if any(name in CASES for name in chosen):
            running = start_all(report, credentials)
            try:
                table_head(report, running)
                for name in (name for name in CASES if name in chosen):
                    run_case(report, name, CASES[name], running)
                report.say()
            finally:
                for broker in running:
                    broker.stop()
        if {"tlsnew", "tlsback"} & set(chosen):
            run_library(report)
        for name, runner in (("tlsidle", run_idle), ("tlsstorm", run_storm),
                             ("tls64m", run_64m), ("tlsbytes", run_bytes)):  # fmt: skip
            if name in chosen:
                runner(report, credentials)
    finally:
        credentials.remove()
