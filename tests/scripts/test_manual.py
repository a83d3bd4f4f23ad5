#!/usr/bin/env python3
"""
tests/scripts/test_manual.py: the manual pages say what the programs say.

Goal: no option and no key is missing from its page, and what a page prints is what was written.
Method: the pages of a build directory, printed by groff, against --help and --print-config of its
programs; and scripts/manual.py with made-up texts. BUILD is the directory (default: build).
"""

import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("BUILD", "build")
sys.path.insert(0, str(TOP / "scripts"))

import manual  # noqa: E402


def run(*command, text=None):
    return subprocess.run(command, check=True, input=text, capture_output=True, text=True, timeout=60)


def printed(source):
    """A page as a reader sees it, in one wide line; fails when groff has anything to say."""
    done = run("groff", "-man", "-Tascii", "-P-cbou", "-ww", "-rLL=2000n", text=source)
    if done.stderr:
        raise AssertionError(done.stderr)
    return " ".join(done.stdout.split())


def words(text):
    return " ".join(text.split())


class PagesTest(unittest.TestCase):
    def page(self, name):
        return printed((BUILD / name).read_text(encoding="utf-8"))

    def assert_says(self, page, text):
        """Each line of a help text stands in the page; table rows without their gap, headings without a colon."""
        for line in filter(None, map(words, text.splitlines())):
            self.assertIn(re.sub(r"^usage: |:$", "", line, flags=re.IGNORECASE), page)

    def test_smqd(self):
        self.assert_says(self.page("smqd.8"), run(BUILD / "smqd", "--help").stdout)

    def test_smqbench(self):
        self.assert_says(self.page("smqbench.1"), run(BUILD / "smqbench", "--help").stdout)

    def test_smq_and_each_of_its_commands(self):
        page = self.page("smq.1")
        overview = run(BUILD / "smq", "help").stdout
        commands = re.findall(r"^  smq (\w+)", overview, re.MULTILINE)
        self.assertGreater(len(commands), 5)
        self.assert_says(page, overview.partition("\n")[2])
        for command in commands:
            if command != "help":
                self.assert_says(page, run(BUILD / "smq", "help", command).stdout.replace(" - ", "\n", 1))

    def test_each_key_with_its_default(self):
        page = self.page("smqd.conf.5")
        section = ""
        count = 0
        for line in map(str.strip, run(BUILD / "smqd", "--print-config").stdout.splitlines()):
            if line.endswith("{"):
                section = line.split()[0] + "."
            elif line == "}":
                section = ""
            elif line and not line.startswith("#"):
                self.assertIn(section + line, page)
                count += 1
            elif line.strip("# "):
                self.assertIn(words(line[2:]), page)
        self.assertGreater(count, 50)


class TextTest(unittest.TestCase):
    def test_text_is_printed_as_it_is(self):
        text = r""".dot 'quote' \n "a b" --option {"c"}"""
        self.assertIn(words(text), printed("\n".join([".TH X 1", ".SH x", manual.escape(text)])))

    def test_a_second_column_is_told_from_blanks_within_the_first(self):
        block = ["  one  A|B        what", "                  it means", "  two  A          the other", "  longer than the column"]
        self.assertEqual(manual.items(block), [".TP", ".B one A|B", "what", "it means", ".TP", ".B two A", "the other",
                                               ".TP", ".B longer than the column"])

    def test_what_has_no_second_column_is_an_example(self):
        self.assertEqual(manual.items(["  a | b", "  c"]), [".PP", ".EX", "  a | b", "  c", ".EE"])

    def test_a_usage_is_the_synopsis(self):
        self.assertEqual(manual.help_page("usage: x Y\n\nWords."),
                         [".SH SYNOPSIS", "x Y", ".SH DESCRIPTION", ".PP", "Words."])


if __name__ == "__main__":
    unittest.main()
