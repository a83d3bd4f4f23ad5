#!/usr/bin/env python3
"""
script/embed.py: turn Lua sources into a C source (script/embedded.h), at build time.

    embed.py OUTPUT FILE...

Python 3.11, standard library only.
"""

import pathlib
import sys

COLUMNS = 20


def main(output, *files):
    arrays, rows = [], []
    for file in sorted(map(pathlib.Path, files)):
        data = file.read_bytes()
        lines = (data[at : at + COLUMNS] for at in range(0, len(data), COLUMNS))
        body = "\n".join("    " + "".join(f"{byte}," for byte in line) for line in lines)
        arrays.append(f"static const unsigned char text_{file.stem}[] = {{\n{body}\n}};\n")
        rows.append(
            f'    {{"{file.stem}", (const char *)text_{file.stem}, sizeof(text_{file.stem})}},\n'
        )
    pathlib.Path(output).write_text(
        "/* Made by script/embed.py: change the Lua files, not this. */\n"
        '#include "script/embedded.h"\n\n'
        + "\n".join(arrays)
        + "\nconst struct embedded_source embedded_sources[] = {\n"
        + "".join(rows)
        + "    {0},\n};\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
