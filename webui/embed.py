#!/usr/bin/env python3
"""
webui/embed.py: turn the pages into a C source (webui/assets.h), at build time.

    embed.py OUTPUT PATH=FILE...     PATH: where it is served, below the UI's prefix

Scripts and style sheets lose their comments (squeeze.py). The same files give the same bytes, whenever
and wherever: gzip without a time or a name.
Python 3.11, standard library only.
"""

import gzip
import hashlib
import pathlib
import sys

from squeeze import squeeze

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".mts": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
GAIN = 0.95  # what does not get smaller than this is not worth a second form
COLUMNS = 20


def array(name, data):
    rows = (data[at : at + COLUMNS] for at in range(0, len(data), COLUMNS))
    body = "\n".join("    " + "".join(f"{byte}," for byte in row) for row in rows)
    return f"static const uint8_t {name}[] = {{\n{body}\n}};\n"


def form(name, data, digest):
    if data is None:
        return "{0}"
    return f'{{{name}, {len(data)}, "\\"{digest}\\""}}'


def main(output, *pairs):
    arrays, rows = [], []
    for index, (path, file) in enumerate(sorted(pair.split("=", 1) for pair in pairs)):
        data = pathlib.Path(file).read_bytes()
        if not data:
            sys.exit(f"embed.py: {file} is empty")
        suffix = pathlib.PurePosixPath(path).suffix
        if suffix not in TYPES:
            sys.exit(f"embed.py: {path}: what is its Content-Type? Add {suffix!r} to TYPES")
        data = squeeze(data, suffix)
        digest = hashlib.sha256(data).hexdigest()[:20]
        packed = gzip.compress(data, compresslevel=9, mtime=0)
        if len(packed) > GAIN * len(data):
            packed = None
        arrays.append(array(f"plain_{index}", data))
        if packed:
            arrays.append(array(f"gzip_{index}", packed))
        rows.append(
            f'    {{"{path}", "{TYPES[suffix]}", {form(f"plain_{index}", data, digest)},\n'
            f'     {form(f"gzip_{index}", packed, digest + "-gzip")}}},\n'
        )
    table = "static const struct asset table[] = {\n" + "".join(rows) + "};\n" if rows else ""
    value = "{table, COUNT_OF(table)}" if rows else "{0}"
    pathlib.Path(output).write_text(
        "/* Made by webui/embed.py: change the pages, not this. */\n"
        '#include "webui/assets.h"\n\n'
        + "\n".join(arrays)
        + f"\n{table}\nconst struct assets embedded_assets = {value};\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
