#!/usr/bin/env python3
"""
tests/scripts/test_documents.py: what the documents name exists.

Goal: a file that moved, or a key that was renamed, is found here and not by a reader.
Method: in every *.md of the checkout, the targets of links, whatever looks like the path of a file
of ours, and `section.key` with a section of configs/default.conf. Events of the log and members of
the statistics look alike.
"""

import pathlib
import re
import subprocess
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
PATH = re.compile(r"(?<![\w./~-])((?:\w[\w.-]*/)+[\w-]+\.(?:c|h|js|mjs|py|sh|lua|md|css|html|conf|service|socket))\b")
KEY = re.compile(r"`(?:--set )?(\w+)\.(\w+)(?: ?=[^`]*)?`")


def documents():
    names = subprocess.run(["git", "ls-files", "*.md"], cwd=TOP, check=True, capture_output=True, text=True).stdout
    return [TOP / name for name in names.split()]


def keys():
    """The configuration's keys by section."""
    found = {}
    section = None
    for line in (TOP / "configs/default.conf").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"(\w+) \{$", line):
            section = found.setdefault(match.group(1), set())
        elif section is not None and (match := re.match(r" +(\w+) = ", line)):
            section.add(match.group(1))
    return found


def strings():
    """What the code has as a string, with a dot in it or without."""
    return set(subprocess.run(["git", "grep", "-hoP", r'"\K[\w.]+(?=")', "--", "*.c", "*.h"], cwd=TOP, check=True,
                              capture_output=True, text=True).stdout.split())


class DocumentsTest(unittest.TestCase):
    def assert_each(self, pattern, is_there, count_min):
        """@is_there(document, match) of whatever matches; at least so many do, or the pattern is wrong."""
        missing = []
        count = 0
        for document in documents():
            for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
                for match in pattern.finditer(line):
                    count += 1
                    if not is_there(document, match):
                        missing.append(f"{document.relative_to(TOP)}:{number}: {match.group(0)}")
        self.assertEqual([], missing)
        self.assertGreater(count, count_min)

    def test_links_lead_somewhere(self):
        self.assert_each(LINK, lambda document, match: (document.parent / match.group(1)).exists(), 30)

    def test_files_that_are_named_exist(self):
        def is_there(document, match):
            path = match.group(1)
            return (TOP / path).exists() or (document.parent / path).exists() or path.startswith("data/")

        self.assert_each(PATH, is_there, 100)

    def test_keys_that_are_named_exist(self):
        sections = keys()
        others = strings()
        self.assertGreater(len(sections), 6)

        def is_there(_, match):
            section, key = match.groups()
            return (section not in sections or key in sections[section] or key in ("c", "md")
                    or not others.isdisjoint((key, f"{section}.{key}")))

        self.assert_each(KEY, is_there, 30)


if __name__ == "__main__":
    unittest.main()
