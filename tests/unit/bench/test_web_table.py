"""tests/unit/bench/test_web_table.py: mirrors bench/web_table.py and bench/browser.py.

Goal:   WebSocket is compared with raw round by round, and only clean rounds meet a goal; a browser
        counts the messages of its topics however the bytes come.
Method: made-up results, and the bytes that a server would send.
"""

import os
import struct
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "bench"))
sys.dont_write_bytecode = True

import browser  # noqa: E402
import web_table  # noqa: E402
from figures import RATE, Goal, Report  # noqa: E402

CASE = web_table.Beside("a case", "pair", (Goal(RATE, ">=", 0.8),), ())


def judged(*pairs):
    """The row's cells for rounds of (raw rate, WebSocket rate), with how many goals were missed."""
    report = Report()
    rounds = [
        [None if rate is None else {"rate_per_s": rate, "ok": rate != 13} for rate in pair]
        for pair in pairs
    ]
    web_table.row_say(report, CASE, RATE, CASE.goals[0], rounds)
    return [cell.strip() for cell in report.lines[-1].split("|")[3:-2]], report.missed


class Rows(unittest.TestCase):
    def test_the_ratio_is_that_of_runs_beside_each_other(self):
        cells, missed = judged((100, 90), (1000, 900), (10, 9))
        self.assertEqual((cells, missed), (["100", "90", "0.90×", ">= 0.8×"], 0))

    def test_too_slow_misses(self):
        self.assertEqual(judged((100, 79), (100, 79), (100, 99))[1], 1)

    def test_a_round_that_failed_or_lost_something_misses(self):
        self.assertEqual(judged((100, 99), (100, None))[1], 1)
        self.assertEqual(judged((100, 99), (13, 99))[1], 1)
        self.assertEqual(judged((None, None))[1], 1)


class Packets(unittest.TestCase):
    def setUp(self):
        self.browser = browser.Browser.__new__(browser.Browser)
        self.browser.buffer = b""
        self.browser.topics = {7: "stats"}
        self.browser.counts = {"stats": 0}

    def feed(self, data):
        for byte in data:
            self.browser.buffer += bytes([byte])
            while (packet := self.browser.next_packet()) is not None:
                self.browser.take(packet)

    def test_messages_of_a_topic_count_at_every_length(self):
        for length in (0, 1, 112, 113, 1000, 65000):
            body = bytes([browser.PUBLISH]) + struct.pack("!III", 7, 1, 0) + bytes(length)
            short = bytes([len(body)]) if len(body) < 126 else b"\x7e" + struct.pack("!H", len(body))
            self.feed(b"\x82" + short + body)
        self.assertEqual(self.browser.counts["stats"], 6)
        self.assertEqual(self.browser.buffer, b"")

    def test_other_topics_and_control_frames_do_not(self):
        self.feed(b"\x82\x0d" + bytes([browser.PUBLISH]) + struct.pack("!III", 8, 1, 0))
        self.feed(b"\x89\x02hi" + b"\x89\x00")
        self.assertEqual(self.browser.counts["stats"], 0)
        self.assertEqual(self.browser.buffer, b"")


if __name__ == "__main__":
    unittest.main()
