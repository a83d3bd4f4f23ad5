#!/bin/bash
# clang-tidy over our C files (.clang-tidy says which checks), as many at a time as there are cores.
#
#   scripts/lint.sh [FILE...]      default: all but tests/, whose macros are Criterion's
#
# A process for each file: one for many sees errors that are not there (va_list). The last line is
# "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/.."

NINJA_TARGETS=build.ninja CC=clang scripts/build.sh build-clang # what changed since, too
# Generated headers must be there before anything can be read.
mapfile -t generated < <(ninja -C build-clang -t targets all | sed -n 's/\.h: CUSTOM_COMMAND.*/.h/p')
[ ${#generated[@]} -eq 0 ] || ninja --quiet -C build-clang "${generated[@]}"

if [ $# -gt 0 ]; then
    files=("$@")
else
    mapfile -t files < <(python3 -c '
import json, os
folder = "build-clang"
with open(f"{folder}/compile_commands.json", encoding="utf-8") as commands:
    files = {os.path.relpath(os.path.join(folder, c["file"])) for c in json.load(commands)}
# The largest first, so that none of them is left over at the end with a core idle.
wanted = (f for f in files if not f.startswith(("tests/", folder)))
print(*sorted(wanted, key=lambda f: (-os.path.getsize(f), f)), sep="\n")')
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2016 # the inner shell expands it
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" sh -c '
    if output=$(clang-tidy --quiet -p build-clang "$1" 2>/dev/null); then echo "ok $1"
    else printf "FAIL %s\n%s\n" "$1" "$output"; fi' lint >"$log"

failed=$(grep -c '^FAIL ' "$log") || true
grep -v '^ok ' "$log" || true
echo "$((${#files[@]} - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
