#!/usr/bin/env python3
"""
tests/scripts/test_runner.py: the runners count what happened, and a second try hides nothing.

Goal: a program that fails once is named even when it passes then; one that fails twice, and whatever
a server did wrong, stays a failure.
Method: scripts/counting.sh with make-believe programs, and tests/wire/run.py's functions with
make-believe outcomes.
"""

import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "wire"))

import run as wire_runner  # noqa: E402

# Fails when it is run for the first time. $1: what it says then.
FAILS_ONCE = """
    fails_once() {
        if [ -e "$folder/ran" ]; then echo "7 passed, 0 failed"; return 0; fi
        touch "$folder/ran"; echo "$1"; echo "6 passed, 1 failed"; return 1
    }
"""


class CountingTest(unittest.TestCase):
    def count(self, script):
        """Returns (exit code, the output's lines)."""
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                ["bash", "-uc", f". scripts/counting.sh\n{FAILS_ONCE}\n{script}\nfinish_counting"],
                cwd=TOP,
                env={"PATH": "/usr/bin:/bin", "folder": folder},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
            )
        return done.returncode, done.stdout.splitlines()

    def test_what_passes_is_run_once(self):
        code, lines = self.count('try good bash -c \'echo x >>"$folder/log"; echo "2 passed, 0 failed"\'\n'
                                 'check "ran once" [ "$(wc -l <"$folder/log")" = 1 ]')
        self.assertEqual((code, lines[-1]), (0, "3 passed, 0 failed"))
        self.assertNotIn("SECOND TRY", "\n".join(lines))

    def test_what_passes_at_the_second_try_counts_and_is_named(self):
        code, lines = self.count("try shaky fails_once 'the reason'\ncheck other true")
        self.assertEqual((code, lines[-1]), (0, "8 passed, 0 failed"))
        self.assertEqual(lines[-2], "PASSED ONLY AT THE SECOND TRY: shaky")
        self.assertIn("        the reason", lines)
        self.assertLess(lines.index("  ok    other"), lines.index("  ok    shaky (7)"))

    def test_what_fails_twice_has_failed(self):
        code, lines = self.count("try bad bash -c 'echo oops; echo \"1 passed, 2 failed\"; exit 1'")
        self.assertEqual((code, lines[-1]), (1, "1 passed, 2 failed"))
        self.assertEqual(lines.count("        oops"), 2)
        self.assertNotIn("SECOND TRY", "\n".join(lines))

    def test_what_a_server_did_wrong_is_not_tried_again(self):
        for words in ("ERROR: AddressSanitizer: heap-use-after-free", "net/conn.c:7:3: runtime error: x",
                      "smqd ended with -11, not 0", "smqd ended with -6 before it was ready",
                      "the server died", "left behind: {}"):
            with self.subTest(words):
                code, lines = self.count(f"try bad fails_once '{words}'")
                self.assertEqual((code, lines[-1]), (1, "6 passed, 1 failed"))

    def test_a_port_that_somebody_else_has_taken_is_tried_again(self):
        code, lines = self.count("try unlucky fails_once 'smqd ended with 71 before it was ready'")
        self.assertEqual((code, lines[-1]), (0, "7 passed, 0 failed"))

    def test_what_a_runner_tried_twice_by_itself_is_named(self):
        code, lines = self.count('account wire 0 $\'the reason\\npassed only at the second try: '
                                 'test_x [tls]\\n5 passed, 0 failed\'')
        self.assertEqual((code, lines[-1]), (0, "5 passed, 0 failed"))
        self.assertEqual(lines[-2], "PASSED ONLY AT THE SECOND TRY: wire: test_x [tls]")
        self.assertIn("        the reason", lines)

    def test_without_any_test_nothing_has_passed(self):
        self.assertEqual(self.count("")[0], 1)


def outcome(passed, failed, text="nothing came for 10 s"):
    failures = [("test_it", text)] * failed
    return {"passed": passed, "skipped": [], "failed": failed, "failures": failures, "seconds": {}}


class WireRunnerTest(unittest.TestCase):
    def try_again(self, first, second):
        """Returns: the outcome that counts, what was named, how often it was run again."""
        runs = []

        def run(name, settings):
            runs.append((name, settings))
            return second

        with contextlib.redirect_stdout(io.StringIO()) as shown:
            final, lucky = wire_runner.try_again([(("test_x", "2+2", ["a=b"]), first)], run)
        self.assertEqual(runs, [("test_x", ["a=b"])] * len(runs))
        if runs:
            self.assertIn(first["failures"][0][1], shown.getvalue())
        return final[0][1], lucky, len(runs)

    def test_what_passes_is_not_run_again(self):
        self.assertEqual(self.try_again(outcome(3, 0), None), (outcome(3, 0), [], 0))

    def test_what_passes_at_the_second_try_is_named(self):
        self.assertEqual(
            self.try_again(outcome(2, 1), outcome(3, 0)), (outcome(3, 0), ["test_x [2+2]"], 1)
        )

    def test_what_fails_twice_has_failed(self):
        self.assertEqual(self.try_again(outcome(2, 1), outcome(1, 2)), (outcome(1, 2), [], 1))

    def test_what_a_server_did_wrong_is_not_tried_again(self):
        for text in ("smqd ended with -6, not 0; its log:", "a sanitizer reported:\nERROR: LeakSanitizer",
                     "AssertionError: the server died", "left behind: {}", "smqd did not end",
                     "the test process ended with -9:"):
            with self.subTest(text):
                first = outcome(2, 1, text)
                self.assertEqual(self.try_again(first, outcome(3, 0)), (first, [], 0))


if __name__ == "__main__":
    unittest.main()
