#!/usr/bin/env python3
"""
scripts/manual.py: the manual pages, made of what the programs say of themselves.

    scripts/manual.py VERSION FOLDER SMQD SMQ SMQBENCH

writes smqd.8, smq.1, smqbench.1 and smqd.conf.5 to FOLDER. What --help and --print-config say is said
nowhere else, so a page cannot be older than its program. Only what they have no place for (the line
that `apropos` finds, files, what to read next) stands here.
"""

import collections
import itertools
import pathlib
import re
import subprocess
import sys

GAP = re.compile(r"(?<=\S) {2,}(?=\S)")  # between two columns
SECTION = re.compile(r'(\w+)(?: "[^"]*")? \{$')
KEY = re.compile(r"(\w+) = (.*)$")

NAMES = {
    "smqd": (8, "broker for SMQ (Simple Message Queues)"),
    "smq": (1, "talk to an SMQ broker: devices, messages, figures, certificates"),
    "smqbench": (1, "measure an SMQ broker"),
    "smqd.conf": (5, "configuration of smqd"),
}
FILES = [
    ("/etc/smqd/smqd.conf", "the packaged service's configuration; see smqd.conf(5)"),
    ("/var/lib/smqd", "its data_dir: the own CA, accounts of the web UI, databases of scripts"),
]


def escape(text):
    """Text that roff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return "\\&" + text if text[:1] in (".", "'") else text


def header(name):
    section, what = NAMES[name]
    return [
        f'.TH {name.upper()} {section} "" "smqd {VERSION}"',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{name} \\- {escape(what)}",
    ]


def also(name):
    """What to read next; not smqbench, which the Debian package leaves out."""
    others = [f".BR {other} ({NAMES[other][0]})" for other in NAMES if other not in (name, "smqbench")]
    return [".SH SEE ALSO"] + [f"{line} ," for line in others[:-1]] + others[-1:]


def files():
    return [".SH FILES"] + [line for path, what in FILES for line in (".TP", f".I {path}", escape(what))]


def paragraphs(lines):
    """The lines between empty ones, block by block."""
    for is_empty, block in itertools.groupby(lines, lambda line: not line.strip()):
        if not is_empty:
            yield list(block)


def example(lines):
    return [".PP", ".EX", *(escape(line) for line in lines), ".EE"]


def items(block):
    """A table of options or commands; without a second column it is an example."""
    starts = collections.Counter(match.end() for line in block for match in GAP.finditer(line))
    if not starts:
        return example(block)
    column = max(starts, key=lambda start: (starts[start], start))
    out = []
    for line in block:
        if len(line) - len(line.lstrip()) >= column:
            out.append(escape(line.strip()))
            continue
        is_split = len(line) > column and line[column - 2 : column] == "  "
        term, text = (line[:column], line[column:]) if is_split else (line, "")
        out += [".TP", ".B " + escape(" ".join(term.split()))]
        out += [escape(text)] if text else []
    return out


def help_page(text):
    """What --help says: its usage, paragraphs at the margin, headings with a colon, tables, examples."""
    usage = ""
    out = []
    for block in paragraphs(text.splitlines()):
        indented = [line.startswith("  ") for line in block]
        if match := re.fullmatch(r"usage: (.*)", block[0], re.IGNORECASE):
            usage = match.group(1)
        elif not any(indented):
            out += [".PP", *map(escape, block)]
        elif indented[0]:
            out += items(block)
        else:
            first = indented.index(True)
            out += [".SS " + escape(" ".join(block[:first]).rstrip(":"))] + items(block[first:])
    return ([".SH SYNOPSIS", escape(usage)] if usage else []) + [".SH DESCRIPTION", *out]


def say(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout


def smqd_page(program):
    return header("smqd") + help_page(say(program, "--help")) + files() + also("smqd")


def smq_page(program):
    """The list of commands, and then each one's own help under its first line."""
    overview = say(program, "--help")
    out = header("smq") + help_page(overview.partition("\n")[2])
    for command in re.findall(r"^  smq (\w+) ", overview, re.MULTILINE):
        if command != "help":
            first, *rest = say(program, "help", command).splitlines()
            usage, _, what = first.partition(" - ")
            rest = [what] + rest if what else [rest[0].strip()] + rest[1:]
            out += [".SH " + escape(usage)] + help_page("\n".join(rest))[1:]
    return out + also("smq")


def smqbench_page(program):
    return header("smqbench") + help_page(say(program, "--help")) + also("smqbench")


def comment(lines):
    """A comment of the configuration: prose, examples further in, and at last the range."""
    out = []
    for block in paragraphs(lines):
        out += [".PP"] if out else []
        for is_code, group in itertools.groupby(block, lambda line: line.startswith("  ")):
            text = [escape(line) for line in group]
            out += [".EX", *text, ".EE"] if is_code else text
    if out and out[-1].startswith("["):
        out.insert(-1, ".br")
    return out


def conf_page(program):
    out = header("smqd.conf") + [".SH DESCRIPTION"]
    about = []
    section = ""
    for line in map(str.strip, say(program, "--print-config").splitlines()):
        if line.startswith("#"):
            about.append(line[2:])
        elif match := SECTION.fullmatch(line):
            section = match.group(1) + "."
            out += [".SS " + escape(match.group(1)), *comment(about)]
            about = []
        elif line == "}":  # of a section or of an instance without keys
            section = ""
        elif match := KEY.fullmatch(line):
            out += [".TP", f".B {section}{match.group(1)} = {escape(match.group(2))}", *comment(about)]
            about = []
        elif not line and about:
            out += [".PP", *comment(about)]
            about = []
    return out + files() + also("smqd.conf")


def main(folder, smqd, smq, smqbench):
    pages = {
        "smqd": smqd_page(smqd),
        "smq": smq_page(smq),
        "smqbench": smqbench_page(smqbench),
        "smqd.conf": conf_page(smqd),
    }
    for name, lines in pages.items():
        path = pathlib.Path(folder, f"{name}.{NAMES[name][0]}")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    VERSION = sys.argv[1]
    main(*sys.argv[2:])
