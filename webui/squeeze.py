#!/usr/bin/env python3
"""
webui/squeeze.py: scripts and style sheets without their comments and the blanks nobody needs.

    squeeze.py FILE      prints it, for the test and for you

The sources are written for readers; browsers get this. Line ends stay, so that nothing changes where
JavaScript puts semicolons by itself, and nothing is renamed. tests/web/squeeze.test.mjs proves that
each file still means the same. Python 3.11, standard library only.
"""

import pathlib
import re
import sys

SCRIPT = re.compile(
    r"""
    (?P<blank>(?:\s|/\*.*?\*/|//[^\n]*)+) |
    (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*') |
    (?P<regex>/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/\w*) |
    (?P<word>[\w$\#]+) |
    (?P<mark>.)
    """,
    re.DOTALL | re.VERBOSE,
)
TEMPLATE = re.compile(r"(?:\\.|\$(?!\{)|[^`\\$])*(?:`|\$\{)", re.DOTALL)
SHEET = re.compile(
    r"""(?P<blank>(?:\s|/\*.*?\*/)+) | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*') | (?P<mark>.)""",
    re.DOTALL | re.VERBOSE,
)
# Behind these words a slash begins a regular expression; behind any other it divides.
BEFORE_VALUE = {"return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do",
                "await", "yield", "instanceof"}  # fmt: skip
ALONE = "{}()[],;:?=>&|*%"  # a blank beside these separates nothing


def blank(run, before, after, alone):
    """What is left of @run between two characters."""
    if "\n" in run:
        return "\n" if before else ""
    return "" if before in alone or after in alone else " "


def script(text):
    """@text of a JavaScript file."""
    out, at, last = [], 0, ""  # last: the token before, blanks aside
    templates = []  # of each ${ we are in: the number of { that are open in it

    while at < len(text):
        token = SCRIPT.match(text, at)
        kind, word = token.lastgroup, token[0]
        if kind == "regex" and (last[-1:].isalnum() or last[-1:] in tuple("_$)]}\"'`")):
            if last not in BEFORE_VALUE:
                kind, word = "mark", "/"
        at += len(word)
        if kind == "blank":
            before = out[-1][-1:] if out else ""
            out.append(blank(word, before, text[at : at + 1], ALONE))
            continue
        if word == "{" and templates:
            templates[-1] += 1
        elif word == "}" and templates:
            templates[-1] -= 1
        if word == "`" or (word == "}" and templates and templates[-1] < 0):
            if word == "}":
                templates.pop()
            piece = TEMPLATE.match(text, at)[0]
            at += len(piece)
            word += piece
            if piece.endswith("${"):
                templates.append(0)
        out.append(word)
        last = word
    return "".join(out).rstrip() + "\n"


def sheet(text):
    """@text of a CSS file. A blank may mean something in a selector, but beside these never."""
    out = []

    for token in SHEET.finditer(text):
        if token.lastgroup != "blank":
            out.append(token[0])
            continue
        before = out[-1][-1:] if out else ""
        out.append(blank(token[0], before, text[token.end() : token.end() + 1], "{};,"))
    return "".join(out).rstrip() + "\n"


def squeeze(data, suffix):
    """The bytes @data of a file whose name ends with @suffix."""
    how = {".js": script, ".mjs": script, ".css": sheet}.get(suffix)
    return how(data.decode()).encode() if how else data


if __name__ == "__main__":
    file = pathlib.Path(sys.argv[1])
    sys.stdout.buffer.write(squeeze(file.read_bytes(), file.suffix))
