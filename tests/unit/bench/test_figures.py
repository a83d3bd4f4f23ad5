"""tests/unit/bench/test_figures.py: mirrors bench/figures.py and bench/cgroup.py.

Goal:   a goal is met only by a figure that was measured, and cleanly; memory is read where the
        kernel shows it.
Method: made-up results, and files like the kernel's.
"""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "bench"))
sys.dont_write_bytecode = True

import cgroup  # noqa: E402
import figures  # noqa: E402
from figures import CPU, RATE, Goal, Report  # noqa: E402

CLEAN = {"ok": True}
DIRTY = {"ok": False}
MISS, PASS = "**MISS**", "pass"


def verdict(goal, ours, ratio, results=(CLEAN,)):
    report = Report()
    words = figures.goal_cells(report, goal, ours, ratio, results)
    return (*words, report.missed)


class Goals(unittest.TestCase):
    def test_a_goal_beside_the_best_peer_looks_at_the_ratio(self):
        self.assertEqual(verdict(Goal(CPU, "<=", 0.6), 9.0, 0.6), ("<= 0.6×", PASS, 0))
        self.assertEqual(verdict(Goal(CPU, "<=", 0.6), 0.1, 0.61), ("<= 0.6×", MISS, 1))
        self.assertEqual(verdict(Goal(RATE, ">=", 1.5), 1.0, 1.5), (">= 1.5×", PASS, 0))
        self.assertEqual(verdict(Goal(CPU, "<", 1.0), 1.0, 1.0), ("< 1×", MISS, 1))

    def test_an_absolute_goal_looks_at_the_figure(self):
        self.assertEqual(verdict(Goal(CPU, "<=", 250, True), 250, None), ("<= 250", PASS, 0))
        self.assertEqual(verdict(Goal(CPU, "<=", 250, True), 251, 0.1), ("<= 250", MISS, 1))

    def test_what_was_not_measured_misses_its_goal(self):
        self.assertEqual(verdict(Goal(CPU, "<=", 0.6), 1.0, None), ("<= 0.6×", "no result", 1))
        self.assertEqual(
            verdict(Goal(CPU, "<=", 250, True), None, None), ("<= 250", "no result", 1)
        )

    def test_a_good_figure_of_a_run_with_losses_misses_its_goal(self):
        for results in ((CLEAN, DIRTY), (None, CLEAN)):
            self.assertEqual(verdict(Goal(CPU, "<=", 0.6), 0.1, 0.1, results)[1], MISS)

    def test_what_has_no_goal_is_not_judged(self):
        self.assertEqual(verdict(None, 1.0, 1.0), ("shown", "", 0))


class Medians(unittest.TestCase):
    def test_rounds_that_failed_do_not_count(self):
        rounds = [None, {"rate_per_s": 1.0}, {"rate_per_s": 3.0}]
        self.assertEqual(figures.median(rounds, RATE), 2.0)
        self.assertIsNone(figures.median([None], RATE))


class Groups(unittest.TestCase):
    MOUNTS = (
        "30 20 0:25 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
        "31 20 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
        "32 20 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    )

    def test_a_controller_is_found_where_it_is_mounted(self):
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as mounts:
            mounts.write(self.MOUNTS)
            mounts.flush()
            self.assertEqual(
                cgroup.mounted("cgroup", "memory", mounts.name), "/sys/fs/cgroup/memory"
            )
            self.assertEqual(cgroup.mounted("cgroup2", None, mounts.name), "/sys/fs/cgroup/unified")
            self.assertIsNone(cgroup.mounted("cgroup", "blkio", mounts.name))

    def test_means_and_peaks_are_of_their_time(self):
        watch = cgroup.Watch(None, 0)
        watch.samples = [(0.0, 10, 100), (1.0, 90, 10), (2.0, 20, 60), (3.0, 30, 500)]
        self.assertEqual(watch.mean(1.0, 2.0), (55, 35))
        self.assertIsNone(watch.mean(5.0, 6.0))
        self.assertEqual(watch.peak(), (30, 500))
        self.assertEqual(watch.peak(2.5), (10, 100))

    SLABS = (
        "slabinfo - version: 2.1\n"
        "skbuff_head_cache 10 64 256 16 1 : tunables 0 0 0 : slabdata 4 4 0\n"
        "skbuff_small_head 10 28 576 14 2 : tunables 0 0 0 : slabdata 1 2 0\n"
        "TCP 26 26 2368 13 8 : tunables 0 0 0 : slabdata 2 2 0\n"
    )

    def test_packets_are_counted_by_the_pages_of_their_caches(self):
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as slabs:
            slabs.write(self.SLABS)
            slabs.flush()
            self.assertEqual(
                cgroup.packet_bytes(slabs.name), (4 * 1 + 2 * 2) * os.sysconf("SC_PAGE_SIZE")
            )

    def test_this_process_uses_memory(self):
        self.assertGreater(cgroup.rss_bytes(os.getpid()), 1 << 20)


if __name__ == "__main__":
    unittest.main()
