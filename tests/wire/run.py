#!/usr/bin/env python3
"""
tests/wire/run.py: run the wire tests, several files at a time, and say what failed.

Each test file runs in a process of its own, with servers of its own on free ports. The last line
is always `N passed, N failed`; the exit code is 0 only when nothing failed and something ran.

A file that failed is run once more, alone, when all others are through: on a machine shared with
others even a generous patience ends. When it passes then, it counts as passed, and is named loudly.
What a server did wrong is no matter of patience: a crash, a leak, a sanitizer's report stands.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import io
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]

SUBTESTS_SHOWN = 3  # failing subtests of one test that are shown in full

# In a failure's text: the server crashed, leaked, hung at its end, or a sanitizer reported; or the
# test process itself ended. No second try makes up for that. The same words: scripts/counting.sh.
FINAL = re.compile(
    r"\w+Sanitizer|runtime error:|smqd ended with (-|null|[^ ]+, not)|smqd did not end|the server died"
    r"|it has died|left behind:|harden\.refused|the test process ended"
)

# Thread shapes of the server that behave differently inside and must not on the wire.
SHAPES = {
    "1+0": ["threads.io=1", "threads.router=0"],
    "2+0": ["threads.io=2", "threads.router=0"],
    "1+1": ["threads.io=1", "threads.router=1"],
    "2+2": ["threads.io=2", "threads.router=2"],
}

EPILOG = """\
examples:
  tests/wire/run.py                        all of it, against build/smqd
  tests/wire/run.py takeover observe       two files
  tests/wire/run.py -k same_etid           tests with this word in their name
  tests/wire/run.py --shapes all           all of it, in each thread shape of the server
  tests/wire/run.py --tls                  all of it over TLS, with compact sessions and without
  tests/wire/run.py --ws                   all that makes sense there over WebSocket; also --tls --ws
  SMQD=build-asan/smqd tests/wire/run.py   a sanitizer build: a report fails the run
"""


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Send raw bytes to a real smqd and check every answer.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="test_FILE.py only (default: all files)"
    )
    parser.add_argument(
        "-k", metavar="WORD", help="only tests whose file, class or name holds WORD"
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="files at a time (default: one per core, here %(default)s)",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=1,
        metavar="N",
        help="run all N times, without second tries (default: 1)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="give every server this setting",
    )
    parser.add_argument(
        "--shapes",
        default="",
        metavar="IO+ROUTER[,...]",
        help=f"run once per thread shape: {', '.join(SHAPES)}, or all (default: the server's own)",
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="speak TLS, with tls.compact on and off (smq, or $SMQ, makes the CA)",
    )
    parser.add_argument(
        "--ws",
        action="store_true",
        help="speak WebSocket; tests of what only raw connections have are skipped",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="name each test with its time, slowest last"
    )
    parser.add_argument("--list", action="store_true", help="list the tests and stop")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


# ---- The child: one file ------------------------------------------------------------------------


class JsonResult(unittest.TestResult):
    """Keeps the time of each test; the failures are unittest's own."""

    def __init__(self):
        super().__init__()
        self.seconds = {}

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        self.seconds[test.id()] = time.monotonic() - self._started


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def load(name, word):
    sys.path.insert(0, str(HERE))
    tests = flatten(unittest.defaultTestLoader.loadTestsFromName(name))
    return unittest.TestSuite(
        test for test in tests if not word or word.lower() in test.id().lower()
    )


def run_child(name, word):
    """Run one file and print its outcome as one line of JSON."""
    suite = load(name, word)
    result = JsonResult()
    with contextlib.redirect_stdout(io.StringIO()):
        suite.run(result)
    # unittest keeps a failure per subtest and per class fixture as well; each is shown.
    failures = [(str(test), text) for test, text in result.failures + result.errors]
    failed_ids = {
        getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors
    }
    skipped_ids = {test.id() for test, _ in result.skipped}  # a class's, when all of it is
    print(
        json.dumps(
            {
                "passed": len(set(result.seconds) - failed_ids - skipped_ids),
                "skipped": [f"{test}: {why}" for test, why in result.skipped],
                "failed": len(failed_ids),
                "failures": failures,
                "seconds": result.seconds,
            }
        )
    )


# ---- The parent ---------------------------------------------------------------------------------


def run_file(name, word, settings):
    """Run one file in a child process; a child that dies is a failure of its own."""
    arguments = shlex.split(os.environ.get("SMQD_ARGS", ""))
    for setting in settings:
        arguments += ["--set", setting]
    child = subprocess.run(
        [sys.executable, __file__, "--child", name, *(["-k", word] if word else [])],
        env={**os.environ, "SMQD_ARGS": shlex.join(arguments)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        return json.loads(child.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        text = f"the test process ended with {child.returncode}:\n{child.stdout}"
        return {"passed": 0, "skipped": [], "failed": 1, "failures": [(name, text)], "seconds": {}}


def shapes_of(text):
    if not text:
        return [("", [])]
    names = list(SHAPES) if text == "all" else text.split(",")
    for name in names:
        if name not in SHAPES:
            raise SystemExit(f"run.py: no shape {name!r}; there are {', '.join(SHAPES)} and all")
    return [(name, SHAPES[name]) for name in names]


# The two ways in which a TLS connection goes on after its handshake.
TLS_SHAPES = {"tls": ["tls.compact=on"], "tls, compact off": ["tls.compact=off"]}


def make_credentials(folder):
    """A CA and the server's credentials, for all servers; returns the settings that serve them."""
    smq = os.environ.get("SMQ", str(TOP / "build" / "smq"))
    for words in (["init"], ["server", "localhost", "127.0.0.1", "--label", "wire"]):
        subprocess.run([smq, "ca", *words, "--dir", folder], check=True, stdout=subprocess.DEVNULL)
    os.environ["SMQ_WIRE_TLS"] = folder
    return [
        f"tls.{kind}_{what}={folder}/server/wire/{kind}.{ending}"
        for kind in ("ecc", "rsa")
        for what, ending in (("certificate", "crt"), ("key", "key"))
    ]


# These take longest, so they begin first, and none of them is left over at the end with a core idle.
LONGEST = (
    "test_faults",
    "test_faults_drain",
    "test_abuse",
    "test_keepalive",
    "test_lifecycle",
    "test_tls",
    "test_killed",
    "test_activation",
)


def longest_first(jobs):
    """@jobs, [(name, shape, settings)], in the order to begin with them."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    return sorted(jobs, key=lambda job: ranks.get(job[0], len(LONGEST)))


# They speak HTTP or TLS by themselves, not SMQ.
NOT_OVER_WS = {"test_http", "test_http_enemies", "test_tls", "test_tls_policy"}


def variants(arguments, credentials):
    """(name, settings) of each way to run the whole."""
    for shape, settings in shapes_of(arguments.shapes):
        if not arguments.tls:
            yield shape, settings
        for name, more in TLS_SHAPES.items() if arguments.tls else ():
            yield f"{shape} {name}".strip(), settings + credentials + more


def title_of(name, shape):
    return f"{name} [{shape}]" if shape else name


def report(name, shape, outcome, verbose):
    seconds = sum(outcome["seconds"].values())
    print(
        f"{'ok  ' if not outcome['failed'] else 'FAIL'} {title_of(name, shape):32} {outcome['passed']:4} passed"
        + (f", {outcome['failed']} failed" if outcome["failed"] else "")
        + f"  {seconds:6.1f} s",
        flush=True,
    )
    if verbose:
        for test, took in sorted(outcome["seconds"].items(), key=lambda item: item[1]):
            print(f"       {took:6.2f} s  {test}")
    for skipped in outcome["skipped"]:
        print(f"     skipped: {skipped}")


def show_failures(failures, shape):
    """Each failure with its text; of the many subtests one test may have, only the first ones."""
    shown = collections.Counter()
    for test, text in failures:
        name = test.split(") ", 1)[0]  # "test_x (file.Class.test_x) (subtest's words)"
        shown[name] += 1
        if shown[name] <= SUBTESTS_SHOWN:
            print(f"\n==== {test}" + (f" [{shape}]" if shape else ""))
            print(
                "\n".join("     " + line for line in text.rstrip().splitlines()), "\n", flush=True
            )
    for name, count in shown.items():
        if count > SUBTESTS_SHOWN:
            print(f"==== {name}): {count - SUBTESTS_SHOWN} more like these\n")


def may_be_tried_again(outcome):
    texts = [text for _, text in outcome["failures"]]
    return bool(outcome["failed"]) and not any(map(FINAL.search, texts))


def run_all(jobs, job_count, run, verbose=False):
    """
    Run the jobs, [(name, shape, settings)], @job_count at a time, each as run(name, settings).
    Returns: [(job, outcome)], in the jobs' order.
    """
    with concurrent.futures.ThreadPoolExecutor(job_count) as pool:
        futures = {pool.submit(run, name, settings): (name, shape) for name, shape, settings in jobs}
        for future in concurrent.futures.as_completed(futures):
            report(*futures[future], future.result(), verbose)
    return list(zip(jobs, (future.result() for future in futures)))


def try_again(outcomes, run, verbose=False):
    """
    Once more, one after the other, what failed and may be tried again; shows the first failure.
    Returns: the outcomes that count, and the names of those that passed now.
    """
    final, lucky = [], []
    for (name, shape, settings), outcome in outcomes:
        if may_be_tried_again(outcome):
            show_failures(outcome["failures"], shape)
            print(f"{title_of(name, shape)} failed, and is run once more, alone:", flush=True)
            outcome = run(name, settings)
            report(name, shape, outcome, verbose)
            if not outcome["failed"]:
                lucky.append(title_of(name, shape))
        final.append(((name, shape, settings), outcome))
    return final, lucky


def main():
    arguments = parse_arguments()
    if arguments.ws:
        os.environ["SMQ_WIRE_WS"] = "1"
    if arguments.child:
        return run_child(arguments.child, arguments.k)

    names = [f"test_{name.removeprefix('test_').removesuffix('.py')}" for name in arguments.files]
    if not names:
        names = sorted(path.stem for path in HERE.glob("test_*.py"))
        if arguments.ws:
            names = [name for name in names if name not in NOT_OVER_WS]
    missing = [name for name in names if not (HERE / f"{name}.py").exists()]
    if missing:
        raise SystemExit(f"run.py: no such test file: {', '.join(missing)}")
    names = [name for name in names if load(name, arguments.k).countTestCases()]
    if arguments.list:
        for name in names:
            print("\n".join(test.id() for test in flatten(load(name, arguments.k))))
        return 0

    smqd = pathlib.Path(os.environ.setdefault("SMQD", str(TOP / "build" / "smqd")))
    if not os.access(smqd, os.X_OK):
        raise SystemExit(
            f"run.py: {smqd} is not there; build it (make build) or name one with SMQD="
        )

    def run(name, settings):
        return run_file(name, arguments.k, settings + arguments.set)

    lucky = []
    scratch = tempfile.TemporaryDirectory(prefix="smqwire-ca-")
    credentials = make_credentials(scratch.name) if arguments.tls else []
    with scratch:
        jobs = longest_first(
            (name, shape, settings)
            for shape, settings in variants(arguments, credentials)
            for name in names
        )
        outcomes = run_all(jobs * arguments.repeat, arguments.jobs, run, arguments.verbose)
        if arguments.repeat == 1:  # who repeats looks for what happens seldom
            outcomes, lucky = try_again(outcomes, run, arguments.verbose)
    for (_, shape, _), outcome in outcomes:  # last, where the end of a log is looked at first
        show_failures(outcome["failures"], shape)
    for title in lucky:
        print(f"passed only at the second try: {title}")
    passed = sum(outcome["passed"] for _, outcome in outcomes)
    failed = sum(outcome["failed"] for _, outcome in outcomes)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
